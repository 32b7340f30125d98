import type { JsonObject, JsonValue } from '../../json/value.js'
import type { Expectations } from '../../model/expectations.js'
import type { Secret } from '../../model/secrets/secret.js'
import type {
  IncrementalHint,
  IncrementalWindow,
  ParentChangedHint,
  PartitionHint,
  ProcessingStep,
  TableHints,
} from '../../model/source.js'
import type { MadeRecord } from '../../model/userFunction.js'
import type { ContractMode, SchemaContract } from '../../schema/schemaTypes.js'
import type { AnswerCondition, Authenticator, Method, Paginator, RetryPolicy, Transport, WaitFrom } from '../api.js'
import type { MaskModel } from '../mask/maskHash.js'
import type { BodyFormat } from './declaration/formatKeys.js'

/**
 * A document with every decision made: defaults merged, shorthands expanded, placeholders parsed, secrets found. It is
 * frozen plain data, except for functions and objects from a TypeScript document.
 */
export interface RestModel {
  /** Name of the source, and key of its state. */
  readonly name: string
  readonly client: ClientModel
  /** Parents before children, otherwise in the order of the document. */
  readonly resources: readonly ResourceModel[]
  readonly maxTableNesting?: number | undefined
  readonly rootKey?: boolean | undefined
  readonly schemaContract?: ContractMode | Partial<SchemaContract> | undefined
}

export interface ClientModel {
  /** As configured. `''` if every path is absolute. */
  readonly baseUrl: string
  /** Origins besides that of `baseUrl` that may receive credentials and configured headers, as `https://host:port`. */
  readonly allowedOrigins: readonly string[]
  /** Requests in flight for one origin and credential. Undefined: the client adapts. */
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
  /** Values that nobody sees. */
  readonly mask?: MaskModel | undefined
  /** What the document says about the shape of records. `steps` do it. */
  readonly shape?: ShapeModel | undefined
  readonly steps: readonly ProcessingStep[]
  readonly incremental?: IncrementalModel | undefined
  /** What happens to rows that a complete listing no longer has. */
  readonly deletes?: 'soft' | 'hard' | 'with_parent' | undefined
  readonly maxDeleteShare?: number | undefined
  readonly expect?: Expectations | undefined
}

/** As written. It is part of what a journal fits to. */
export interface ShapeModel {
  readonly filter?: string | undefined
  readonly add: Readonly<Record<string, string>>
  readonly rename: Readonly<Record<string, string>>
  readonly select?: readonly string[] | undefined
  readonly drop: readonly string[]
}

/** A list that is requested from the API. */
export interface EndpointResource extends ResourceBase {
  readonly kind: 'endpoint'
  /** The one resource whose records this one needs. */
  readonly parent?: string | undefined
  /** Keys of the parent's record. Each is copied to `_<parent>_<key>`. */
  readonly includeFromParent: readonly string[]
  /** Whether its requests carry the end of the cursor's window. */
  readonly sendsWindowStart: boolean
  readonly sendsWindowEnd: boolean
  readonly endpoint: EndpointModel
  /** Lists inside the records that are read to their end. */
  readonly completeNested: readonly NestedListModel[]
}

/** TypeScript only: a list made by a function. */
export interface FunctionResource extends ResourceBase {
  readonly kind: 'function'
  readonly records: RecordsFunction
}

/** A list inside the records that the API may cut. */
export interface NestedListModel {
  /** Key path in the document, as in `resources[0].complete_nested.labels`. */
  readonly path: string
  /** Names that lead from the record to the list. */
  readonly names: readonly string[]
  /** As written. `decides` says for which records it is true. */
  readonly when?: string | undefined
  readonly decides?: ((record: JsonObject) => boolean) | undefined
  /** JSONPath of a flag in the record: true where the list goes on. */
  readonly hasMorePath?: string | undefined
  /** JSONPath of the length of the list in the record. */
  readonly totalPath?: string | undefined
  /** The endpoint gives what comes after the elements in the record, and not all of them. */
  readonly append: boolean
  /** How the list of one record is read: the record is its parent. */
  readonly resource: EndpointResource
}

/** A list written in the document. */
export interface ListResource extends ResourceBase {
  readonly kind: 'list'
  readonly records: readonly JsonObject[]
}

/** Yields records or pages of records, in order. Called once a run. */
export type RecordsFunction = (context: {
  readonly signal: AbortSignal
  readonly window?: IncrementalWindow | undefined
}) => AsyncIterable<MadeRecord | readonly MadeRecord[]> | Iterable<MadeRecord | readonly MadeRecord[]>

/**
 * Turns a cursor's value into what the API expects. It may declare a narrower value: `(seconds: number) => …`. Nothing
 * checks that. A Date is sent as its ISO text; null leaves the parameter out.
 */
export type ConvertFunction = { call(value: JsonValue): JsonValue | Date }['call']

/**
 * Literal text and placeholders, in order. Escaped braces are already plain text. An expression is
 * `resources.<parent>.<jsonpath>` or `incremental.<attribute>`, and is known to be available. Parent names hold no dot.
 */
export type Template = readonly (string | { readonly expression: string })[]

/** A JSON value whose strings and keys may hold placeholders. */
export type ValueTemplate =
  | {
      readonly kind: 'literal'
      readonly value: null | boolean | number | bigint
      /** A number as the document spells it, if JavaScript would print it differently. */
      readonly literal?: string | undefined
    }
  | { readonly kind: 'text'; readonly template: Template }
  | { readonly kind: 'list'; readonly items: readonly ValueTemplate[] }
  | {
      readonly kind: 'object'
      readonly entries: readonly { readonly key: Template; readonly value: ValueTemplate }[]
    }

/** A query parameter or form field. Its value is never an `object`. A list repeats the name, and null is left out. */
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

/** `fail`: the run fails. `skip`: the record has no list. `omit`: its place in the request is left out. */
export type OnNull = 'fail' | 'skip' | 'omit'

export interface EndpointModel {
  /** Key path in the document, as in `resources[1].endpoint`. */
  readonly path: string
  readonly method: Method
  /**
   * Relative to `baseUrl`, or absolute. Static path parameters are already filled in, as written. The other
   * placeholders must be percent-encoded, unless one starts the template and gives an absolute URL.
   */
  readonly url: Template
  /** Possible mistakes. They are announced with the first list of a run. */
  readonly suspicions: readonly string[]
  /** Without parameters that are part of the path. `start_param` and `end_param` are not included. */
  readonly params: readonly FieldTemplate[]
  /** Client headers, overridden by the endpoint's. Names ignore case. No secrets: see `credentials`. */
  readonly headers: readonly HeaderTemplate[]
  readonly body?: BodyTemplate | undefined
  readonly paginator: PaginatorModel
  /** JSONPath. Undefined: detect. */
  readonly dataSelector?: string | undefined
  /** Whether its body is a query of GraphQL. */
  readonly isGraphql?: boolean | undefined
  /** Whether the records are the nodes of a Relay connection. A null node is then a record that failed. */
  readonly isConnection?: boolean | undefined
  /** Whether a selector without a match on the first page is an error. */
  readonly dataSelectorRequired: boolean
  /** Whether the last path segment holds a placeholder. The answer is then one object on one page, unless configured otherwise. */
  readonly singleEntity: boolean
  /** How the bytes of an answer become records. */
  readonly reading: ReadingModel
  /** The request orders an export, and the records are in its result. */
  readonly job?: JobModel | undefined
  readonly responseActions: readonly ResponseActionModel[]
  /** Undefined: no authentication. Resources that take it from the client or the defaults share one object. */
  readonly auth?: AuthModel | undefined
  readonly credentials: CredentialsModel
  readonly retry: RetryPolicy
  readonly timeoutMs: number
  /** Caps of each list. */
  readonly maxPages?: number | undefined
  readonly maxRecords?: number | undefined
  readonly maxMs?: number | undefined
  /** One request for several parent records. Undefined: one request for each. */
  readonly batch?: BatchModel | undefined
  /** Lists are read only where the parent's record changed. */
  readonly parentChanged?: ParentChangedHint | undefined
  /** How a backfill cuts the lists, where no cursor does. */
  readonly partition?: PartitionHint | undefined
  /** What the document says of placeholders that find no value in the parent's record. */
  readonly onNull?: OnNull | undefined
  /** Pages requested early. 0 is strictly serial. */
  readonly readAhead?: number | undefined
  /** Pages that are too large for the API are asked for with fewer records. */
  readonly adapt?: AdaptModel | undefined
}

/** Parts of a request whose values are secrets. They are added while signing, only for allowed origins. */
export interface CredentialsModel {
  readonly headers: Readonly<Record<string, Secret>>
  readonly params: Readonly<Record<string, Secret>>
  /** Members of the body, by the keys that lead to them; of a form, the field. */
  readonly body: readonly { readonly keys: readonly string[]; readonly secret: Secret }[]
}

export interface AdaptModel {
  /** Where the size of a page stands in a request. */
  readonly place: { readonly param: string } | { readonly bodyPath: string }
  /** Fewest records of a page. */
  readonly min: number
  readonly statuses: readonly number[]
  readonly when: readonly AnswerCondition[]
}

/** A request about a job. Path and values of parameters may hold `{handle}`. */
export interface JobRequest {
  readonly path: string
  readonly method: Method
  readonly params: readonly (readonly [name: string, value: string])[]
}

/** Has one of `handlePath` and `handleHeader`, and one of `download` and `urlPath`. */
export interface JobModel {
  readonly handlePath?: string | undefined
  readonly handleHeader?: string | undefined
  readonly poll: JobRequest
  /** Undefined: the HTTP status is the status of the job. */
  readonly statusPath?: string | undefined
  readonly done: readonly string[]
  readonly failed: readonly string[]
  readonly messagePath?: string | undefined
  readonly everyMs: number
  readonly timeoutMs: number
  readonly download?: JobRequest | undefined
  readonly urlPath?: string | undefined
  readonly cleanup?: JobRequest | undefined
  readonly totalPath?: string | undefined
  /** Key path in the document. */
  readonly path: string
}

export interface ReadingModel {
  /** Undefined: the content type decides. */
  readonly format?: BodyFormat | undefined
  readonly encoding?: string | undefined
  /** Names of values in lists, or their path. */
  readonly columnsFrom?: string | readonly string[] | undefined
  readonly keyColumn?: string | undefined
  readonly nullValues?: readonly string[] | undefined
}

export interface BatchModel {
  readonly size: number
  /** Separates the values of a placeholder that is part of a text. */
  readonly separator: string
}

/** `declared`: created by the entry of `paginatorKinds` with this type, from a config that its schema checked. */
export type PaginatorModel =
  | { readonly kind: 'auto' }
  | {
      readonly kind: 'declared'
      readonly type: string
      readonly config: Readonly<Record<string, unknown>>
      readonly path: string
    }
  | { readonly kind: 'custom'; readonly paginator: Paginator; readonly path: string }

/** `declared`: created by the entry of `authKinds` with this type. Its secret fields are `Secret`s. */
export type AuthModel =
  | {
      readonly kind: 'declared'
      readonly type: string
      readonly config: Readonly<Record<string, unknown>>
      readonly path: string
    }
  | { readonly kind: 'custom'; readonly authenticator: Authenticator; readonly path: string }

/** What a function of the response may ask for. */
export type FunctionAction = 'ignore' | 'skip_page' | 'stop' | 'retry' | 'fail' | 'empty'

export type ResponseActionName = FunctionAction | 'refresh_auth' | 'reset_pagination'

/** What response functions see. */
export interface ResponseView {
  readonly status: number
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>
  /** Body as text. */
  readonly text: string
  readonly url: string
}

/** Returns an action, or a new body to read, or nothing. */
export type ResponseFunction = (
  response: ResponseView,
) =>
  | undefined
  | FunctionAction
  | { readonly body: string }
  | Promise<undefined | FunctionAction | { readonly body: string }>

/** Without conditions it always matches. Entries are tried in order. */
export interface ResponseActionModel extends AnswerCondition {
  readonly action: ResponseActionName | readonly ResponseFunction[]
  /** For `retry`. */
  readonly waitFrom?: WaitFrom | undefined
  /** For `fail`: text with `{path}` for values of the body. */
  readonly message?: string | undefined
  /** For `empty` and `stop`: such an answer proves that the list is whole. */
  readonly provesEnd?: boolean | undefined
  readonly path: string
}

/** Where the first sync token comes from, if the list does not give it. */
export interface InitialTokenModel {
  readonly endpoint: EndpointModel
  /** JSONPath of the token in the answer. */
  readonly tokenPath: string
}

/** A sync token: what the last answer of a list gives for the next run. */
interface TokenModel {
  /** It is a link, with which the next run begins. */
  readonly isUrl: boolean
  /** The answer to a token that is no longer known. */
  readonly expired: { readonly status?: number | undefined; readonly body?: string | undefined }
  /** Asked before a list is read from its beginning. */
  readonly initial?: InitialTokenModel | undefined
  /** Where a run that has a token reads. Undefined: from the endpoint of the resource. */
  readonly changes?: EndpointModel | undefined
}

export interface IncrementalModel {
  readonly hint: IncrementalHint
  /** The place in the hint is of a token in the answers, not of a cursor in the records. */
  readonly token?: TokenModel | undefined
  /** Query parameter for the converted `lastValue` (from the start of the run). Left out if null. */
  readonly startParam?: string | undefined
  /** Query parameter for the converted `endValue`. Left out if null. */
  readonly endParam?: string | undefined
  /** Applied to values in requests. Never to records or null. */
  readonly convert?: ((value: JsonValue, bound: 'lower' | 'upper') => JsonValue | Date) | undefined
  /** Key path of `convert` or `param_format` in the document. */
  readonly convertPath?: string | undefined
}
