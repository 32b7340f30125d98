/** How a resource will be asked for, said before any request: for `plan`. Nothing in it is a secret. */
export interface ResourceDescription {
  readonly request: RequestDescription
  readonly paginator: Decision
  readonly selector: Decision
  readonly auth: Decision
  readonly retry: RetryDescription
  readonly timeoutMs: number
  /** Caps of each list; undefined: none. */
  readonly maxPages?: number | undefined
  readonly maxRecords?: number | undefined
  readonly maxMs?: number | undefined
  /** Most records of the parent in one request; undefined: one. */
  readonly batchSize?: number | undefined
  /** Requests in flight; undefined: it adapts. */
  readonly concurrency?: number | undefined
  readonly rateLimit?: { readonly requests?: number | undefined; readonly perMs: number } | undefined
}

/** The first request of a list. What comes from the parent's record stands as `{resources.parent.field}`. */
export interface RequestDescription {
  readonly method: string
  /** With the query; values that are credentials are `***`. */
  readonly url: string
  /** As configured, and with `***` those that carry credentials. */
  readonly headers: Readonly<Record<string, string>>
  /** As text. */
  readonly body?: string | undefined
}

/** Something that was decided, and why. */
export interface Decision {
  /** As it would be configured, in one line: `offset, limit: 100`. */
  readonly value: string
  readonly because: 'configured' | 'inherited' | 'single_entity' | 'detected' | 'default'
  /** Key path of what decided it, as in `client.paginator`, where there is one. */
  readonly path?: string | undefined
}

export interface RetryDescription {
  /** Total attempts, the first included. */
  readonly attempts: number
  readonly statuses: readonly number[]
  readonly onConnectionError: boolean
  readonly baseMs: number
  readonly factor: number
  readonly maxDelayMs: number
}
