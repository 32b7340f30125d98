/** The format of a conformance case; `README.md` beside this file explains it. */
export interface Case {
  readonly name: string
  readonly about: string
  readonly tags: readonly string[]
  readonly pipeline?: { readonly name?: string; readonly dataset?: string }
  readonly source?: SourceArguments
  readonly env?: Readonly<Record<string, string>>
  readonly config?: unknown
  readonly runs: readonly Run[]
}

interface SourceArguments {
  readonly name?: string
  readonly max_table_nesting?: number
  readonly root_key?: boolean
  readonly schema_contract?: unknown
  readonly parallelized?: boolean
}

export interface Run {
  readonly config?: unknown
  readonly source?: SourceArguments
  readonly env?: Readonly<Record<string, string>>
  readonly args?: {
    readonly write_disposition?: unknown
    readonly schema_contract?: unknown
    readonly refresh?: string
  }
  readonly exchanges: readonly Exchange[]
  readonly max_requests?: number
  readonly request_order?: 'any'
  readonly deviation?: string
  readonly expect: Expect
}

export interface Exchange {
  readonly request: {
    readonly method?: string
    readonly origin?: 'base' | 'other'
    readonly path: string
    readonly query?: 'any' | Readonly<Record<string, unknown>>
    readonly headers?: Readonly<Record<string, string | null>>
    readonly json?: unknown
    readonly form?: Readonly<Record<string, unknown>> | readonly (readonly [string, string])[]
    readonly text?: string
  }
  readonly response: {
    readonly status?: number
    readonly headers?: Readonly<Record<string, string>>
    readonly json?: unknown
    readonly text?: string
    readonly drop?: boolean
    readonly delay_ms?: number
  }
  readonly times?: number | 'any'
}

export interface SeenRequest {
  readonly method: string
  readonly origin?: string
  readonly path: string
  readonly query?: readonly (readonly [string, string])[]
  readonly headers?: Readonly<Record<string, string>>
  readonly json?: unknown
  readonly form?: readonly (readonly [string, string])[]
  readonly text?: string
  readonly status: number | 'drop'
  readonly unmatched?: boolean
}

export type CellRow = Readonly<Record<string, unknown>>

export interface Expect {
  readonly requests?: readonly SeenRequest[]
  readonly dataset?: string
  readonly loads?: number
  readonly tables?: Readonly<Record<string, ExpectedTable>>
  readonly schema?: Readonly<Record<string, { readonly columns: Readonly<Record<string, unknown>> }>>
  readonly stored_schema?: { readonly version: number; readonly version_hash: string }
  readonly state?: Readonly<Record<string, Readonly<Record<string, unknown>>>>
  readonly error?: {
    readonly stage?: string
    readonly code: string
    readonly path?: string
    readonly contains?: readonly string[]
  }
  readonly warnings?: readonly { readonly code: string; readonly contains?: readonly string[] }[]
}

export interface ExpectedTable {
  readonly columns: readonly { readonly name: string; readonly type: string; readonly nullable: boolean }[]
  readonly rows: readonly CellRow[]
}
