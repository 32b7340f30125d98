import type { JsonObject, JsonValue } from '../../json/value.js'
import type { Secret } from '../../model/secrets/secret.js'
import type { IncrementalHint, IncrementalWindow, ProcessingStep, TableHints } from '../../model/source.js'
import type { ContractMode, SchemaContract } from '../../schema/schemaTypes.js'
import type { Authenticator, Method, Paginator, RetryPolicy, Transport } from '../api.js'

/**
 * A document with every decision taken: defaults merged, shorthands spelled out, placeholders parsed, secrets found.
 * Frozen, plain data, except for the functions and objects that a TypeScript document brought along.
 */
export interface RestModel {
  /** Name of the source; the key of its state. */
  readonly name: string
  readonly client: ClientModel
  /** Parents before children, otherwise in the order of the document. */
  readonly resources: readonly ResourceModel[]
  readonly maxTableNesting?: number | undefined
  readonly rootKey?: boolean | undefined
  readonly schemaContract?: ContractMode | Partial<SchemaContract> | undefined
}

export interface ClientModel {
  /** As configured; `''` when every path is absolute. */
  readonly baseUrl: string
  /** Origins besides that of `baseUrl` that may receive credentials and configured headers, as `https://host:port`. */
  readonly allowedOrigins: readonly string[]
  /** Requests in flight for one origin and credential; undefined: the client adapts. */
  readonly concurrency?: number | undefined
  readonly rateLimit?: RateLimitModel | undefined
  /** Sends requests instead of the built-in transport. */
  readonly transport?: Transport | undefined
}

interface RateLimitModel {
  /** Requests allowed in any `perMs` milliseconds. */
  readonly requests?: number | undefined
  readonly perMs: number
  readonly maxConcurrency?: number | undefined
}

export type ResourceModel = EndpointResource | FunctionResource | ListResource

interface ResourceBase {
  readonly name: string
  /** Key path in the document, as in `resources[1]`. */
  readonly path: string
  readonly selected: boolean
  readonly hints: TableHints
  readonly steps: readonly ProcessingStep[]
  readonly incremental?: IncrementalModel | undefined
  /** What becomes of rows that a complete listing no longer has. */
  readonly deletes?: 'soft' | 'hard' | 'with_parent' | undefined
  readonly maxDeleteShare?: number | undefined
}

/** A list that is asked from the API. */
export interface EndpointResource extends ResourceBase {
  readonly kind: 'endpoint'
  /** The one resource whose records this one is asked for. */
  readonly parent?: string | undefined
  /** Keys of the parent's record, each copied to `_<parent>_<key>`. */
  readonly includeFromParent: readonly string[]
  readonly endpoint: EndpointModel
}

/** TypeScript only: a list made by a function. */
export interface FunctionResource extends ResourceBase {
  readonly kind: 'function'
  readonly records: RecordsFunction
}

/** A list that stands in the document. */
export interface ListResource extends ResourceBase {
  readonly kind: 'list'
  readonly records: readonly JsonObject[]
}

/** Yields records or pages of records, in order. Called once a run. */
export type RecordsFunction = (context: {
  readonly signal: AbortSignal
  readonly window?: IncrementalWindow | undefined
}) => AsyncIterable<JsonObject | readonly JsonObject[]> | Iterable<JsonObject | readonly JsonObject[]>

/**
 * Literal text and placeholders, in order. Escaped braces are plain text by now. An expression is
 * `resources.<parent>.<jsonpath>` or `incremental.<attribute>`, known to be available; parent names hold no dot.
 */
export type Template = readonly (string | { readonly expression: string })[]

/** A JSON value whose strings and keys may hold placeholders. */
export type ValueTemplate =
  | {
      readonly kind: 'literal'
      readonly value: null | boolean | number | bigint
      /** A number as the document spells it, where it would be printed otherwise. */
      readonly literal?: string | undefined
    }
  | { readonly kind: 'text'; readonly template: Template }
  | { readonly kind: 'list'; readonly items: readonly ValueTemplate[] }
  | {
      readonly kind: 'object'
      readonly entries: readonly { readonly key: Template; readonly value: ValueTemplate }[]
    }

/** A query parameter or form field. Its value is never of kind `object`; a list repeats the name; null is left out. */
export interface FieldTemplate {
  readonly name: Template
  readonly value: ValueTemplate
  /** Key path in the document, as in `resources[1].endpoint.params.since`. */
  readonly path: string
}

export interface HeaderTemplate {
  readonly name: Template
  /** null removes the header that would be sent by default. */
  readonly value: Template | null
  readonly path: string
}

export type BodyTemplate =
  | { readonly kind: 'json'; readonly value: ValueTemplate; readonly path: string }
  | { readonly kind: 'form'; readonly fields: readonly FieldTemplate[]; readonly path: string }
  | { readonly kind: 'text'; readonly text: Template; readonly path: string }

export interface EndpointModel {
  /** Key path in the document, as in `resources[1].endpoint`. */
  readonly path: string
  readonly method: Method
  /**
   * Relative to `baseUrl`, or absolute. Static path parameters are bound already, as they are written; each placeholder left
   * is to be percent-encoded, unless it starts the template and gives an absolute URL.
   */
  readonly url: Template
  /** What looks like a mistake and need not be one; told with the first list of a run. */
  readonly suspicions: readonly string[]
  /** Without those bound into the path. `start_param` and `end_param` are not among them. */
  readonly params: readonly FieldTemplate[]
  /** Client headers and, over them, the endpoint's; names differ without case. No secrets: see `credentials`. */
  readonly headers: readonly HeaderTemplate[]
  readonly body?: BodyTemplate | undefined
  readonly paginator: PaginatorModel
  /** JSONPath; undefined: detect. */
  readonly dataSelector?: string | undefined
  /** A selector that matches nothing on the first page is an error. */
  readonly dataSelectorRequired: boolean
  /** The last path segment holds a placeholder: one object, one page, unless configured otherwise. */
  readonly singleEntity: boolean
  readonly responseActions: readonly ResponseActionModel[]
  /** Undefined: no authentication. The same object for every resource that takes it from the client or the defaults. */
  readonly auth?: AuthModel | undefined
  /** Headers and query parameters whose values are secrets; added while signing, only for allowed origins. */
  readonly credentials: {
    readonly headers: Readonly<Record<string, Secret>>
    readonly params: Readonly<Record<string, Secret>>
  }
  readonly retry: RetryPolicy
  readonly timeoutMs: number
  /** Caps of each list. */
  readonly maxPages?: number | undefined
  readonly maxRecords?: number | undefined
  readonly maxMs?: number | undefined
  /** One request for several records of the parent; undefined: one for each. */
  readonly batch?: BatchModel | undefined
  /** Pages asked for before they are needed; 0 is strictly serial. */
  readonly readAhead?: number | undefined
}

export interface BatchModel {
  readonly size: number
  /** Stands between the values of a placeholder that is part of a text. */
  readonly separator: string
}

/** `declared` is created by the entry of `paginatorKinds` with this type, from a config its schema has checked. */
export type PaginatorModel =
  | { readonly kind: 'auto' }
  | {
      readonly kind: 'declared'
      readonly type: string
      readonly config: Readonly<Record<string, unknown>>
      readonly path: string
    }
  | { readonly kind: 'custom'; readonly paginator: Paginator; readonly path: string }

/** `declared` is created by the entry of `authKinds` with this type; its secret fields are `Secret`s. */
export type AuthModel =
  | {
      readonly kind: 'declared'
      readonly type: string
      readonly config: Readonly<Record<string, unknown>>
      readonly path: string
    }
  | { readonly kind: 'custom'; readonly authenticator: Authenticator; readonly path: string }

export type ResponseActionName = 'ignore' | 'skip_page' | 'stop' | 'retry' | 'fail' | 'empty'

/** What response functions see. */
export interface ResponseView {
  readonly status: number
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>
  /** Body as text. */
  readonly text: string
  readonly url: string
}

/** Returns an action, or a body to be read instead, or nothing. */
export type ResponseFunction = (
  response: ResponseView,
) =>
  | undefined
  | ResponseActionName
  | { readonly body: string }
  | Promise<undefined | ResponseActionName | { readonly body: string }>

/** Matches when all of the given conditions hold; without any, always. Entries are asked in order. */
export interface ResponseActionModel {
  /** Inclusive ranges: 404 is [404, 404], `5xx` is [500, 599]. */
  readonly statuses?: readonly (readonly [from: number, to: number])[] | undefined
  /** The body, as text, contains this. */
  readonly content?: string | undefined
  readonly action: ResponseActionName | readonly ResponseFunction[]
  readonly path: string
}

export interface IncrementalModel {
  readonly hint: IncrementalHint
  /** Query parameter that gets the converted `lastValue` (as it stood when the run began), left out when null. */
  readonly startParam?: string | undefined
  /** Query parameter that gets the converted `endValue`, left out when null. */
  readonly endParam?: string | undefined
  /** Applied to injected values, never to records and never to null. */
  readonly convert?: ((value: JsonValue) => JsonValue) | undefined
  /** Key path of `convert` in the document. */
  readonly convertPath?: string | undefined
}
