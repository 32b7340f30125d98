/** Generated from the declaration by `npx tsx scripts/generate-docs.ts`: edits here are lost. */

import type { JsonObject, JsonValue } from '../../../json/value.js'
import type { Secret, SecretReference } from '../../../model/secrets/secret.js'
import type { Authenticator, Paginator, Transport } from '../../api.js'
import type { RecordsFunction, ResponseFunction } from '../model.js'

export interface BearerAuthConfig {
  /** A token in the header Authorization. */
  type?: 'bearer' | undefined
  /** The token. A secret. */
  token?: string | Secret | null | undefined
}

export interface ApiKeyAuthConfig {
  /** A key in a header, in the query or in a cookie. */
  type: 'api_key'
  /** The key. A secret. */
  api_key?: string | Secret | null | undefined
  /**
   * Name of the header, the query parameter or the cookie.
   *
   * Default: `Authorization`.
   *
   * Example: `X-API-Key`.
   */
  name?: string | null | undefined
  /**
   * Where the key goes. `param` is another word for `query`.
   *
   * Allowed: `header`, `query`, `param`, `cookie`.
   *
   * Default: `header`.
   */
  location?: 'header' | 'query' | 'param' | 'cookie' | null | undefined
}

export interface HttpBasicAuthConfig {
  /** A user name and a password in the header Authorization. */
  type: 'http_basic'
  /**
   * The user name; some APIs expect a key here.
   *
   * Example: `ann`.
   */
  username?: string | Secret | null | undefined
  /**
   * The password. A secret; empty where the API takes a user name alone.
   *
   * Example: `""`.
   */
  password?: '' | string | Secret | null | undefined
}

export interface Oauth2ClientCredentialsAuthConfig {
  /** OAuth 2.0 client credentials: a bearer token, asked for and renewed as needed. */
  type: 'oauth2_client_credentials'
  /**
   * Where tokens are asked for.
   *
   * Example: `https://auth.example.com/oauth/token`.
   */
  access_token_url?: string | null | undefined
  /** Id of the client. */
  client_id?: string | Secret | null | undefined
  /** Secret of the client. A secret. */
  client_secret?: string | Secret | null | undefined
  /**
   * More fields of the token request; they replace those of the same name, null removes one.
   *
   * Default: `{}`.
   *
   * Example: `{"scope":"read"}`.
   */
  access_token_request_data?: { [name: string]: string | number | boolean | null | Secret } | null | undefined
  /**
   * Seconds that a token lasts when its answer does not say.
   *
   * Default: `3600`.
   */
  default_token_expiration?: number | null | undefined
  /** A token to begin with, used until the API refuses it. A secret. */
  access_token?: string | Secret | null | undefined
}

export interface Oauth2JwtAuthConfig {
  /** OAuth 2.0 JWT bearer: a token for an assertion signed with a private key (RS256). */
  type: 'oauth2_jwt'
  /** Issuer and subject of the assertion. */
  client_id?: string | Secret | null | undefined
  /** RSA key as PEM text (PKCS#8 or PKCS#1). A secret. */
  private_key?: string | Secret | null | undefined
  /** Where tokens are asked for; also the audience of the assertion. */
  auth_endpoint?: string | null | undefined
  /** Scopes asked for: a list, or text with spaces between them. */
  scopes?: string | string[] | null | undefined
  /**
   * More headers of the token request.
   *
   * Default: `{}`.
   */
  headers?: { [name: string]: string } | null | undefined
  /** Passphrase of the key. A secret. */
  private_key_passphrase?: string | Secret | null | undefined
  /**
   * Seconds that a token lasts when its answer does not say.
   *
   * Default: `3600`.
   */
  default_token_expiration?: number | null | undefined
}

export type AuthKeys =
  | BearerAuthConfig
  | ApiKeyAuthConfig
  | HttpBasicAuthConfig
  | Oauth2ClientCredentialsAuthConfig
  | Oauth2JwtAuthConfig

export type AuthConfig =
  | 'bearer'
  | 'api_key'
  | 'http_basic'
  | 'oauth2_client_credentials'
  | 'oauth2_jwt'
  | AuthKeys
  | Authenticator

/** Looks at the first page: links, totals, cursors. */
export interface AutoPaginatorConfig {
  /** Looks at the first page: links, totals, cursors. */
  type: 'auto'
}

/** One request; links and cursors in the answer are ignored. */
export interface SinglePagePaginatorConfig {
  /** One request; links and cursors in the answer are ignored. */
  type: 'single_page'
}

/** Follows a link in the body. It replaces the URL with its query; method, headers and body stay. No link, null or an empty text ends the list. */
export interface JsonLinkPaginatorConfig {
  /**
   * Follows a link in the body. It replaces the URL with its query; method, headers and body stay. No link, null or an empty text ends the list.
   *
   * Allowed: `json_link`, `json_response`.
   */
  type: 'json_link' | 'json_response'
  /**
   * JSONPath of the link to the next page.
   *
   * Default: `next`.
   */
  next_url_path?: string | undefined
}

/** Follows the Link header. A missing relation ends the list. */
export interface HeaderLinkPaginatorConfig {
  /** Follows the Link header. A missing relation ends the list. */
  type: 'header_link'
  /**
   * Relation (`rel`) of the link to the next page.
   *
   * Default: `next`.
   */
  links_next_key?: string | undefined
}

/** Sends the cursor found in the body. No cursor, null, 0, false or an empty text ends the list. */
export interface CursorPaginatorConfig {
  /** Sends the cursor found in the body. No cursor, null, 0, false or an empty text ends the list. */
  type: 'cursor'
  /**
   * JSONPath of the cursor of the next page.
   *
   * Default: `cursors.next`.
   */
  cursor_path?: string | undefined
  /** Query parameter that carries it; `cursor` when there is no `cursor_body_path`. */
  cursor_param?: string | null | undefined
  /** Place in the body that carries it. */
  cursor_body_path?: string | null | undefined
  /**
   * A page without records ends the list, whatever cursor it has.
   *
   * Default: `false`.
   */
  stop_after_empty_page?: boolean | undefined
  /** JSONPath of a boolean that alone decides whether there is another page. */
  has_more_path?: string | null | undefined
}

/** Sends the cursor found in a header. A missing or empty header ends the list. */
export interface HeaderCursorPaginatorConfig {
  /** Sends the cursor found in a header. A missing or empty header ends the list. */
  type: 'header_cursor'
  /**
   * Response header with the cursor.
   *
   * Default: `next`.
   */
  cursor_key?: string | undefined
  /**
   * Query parameter that carries it.
   *
   * Default: `cursor`.
   */
  cursor_param?: string | undefined
}

/** Counts pages up to a total, an empty page, `has_more_path` or `maximum_page`. */
export interface PageNumberPaginatorConfig {
  /** Counts pages up to a total, an empty page, `has_more_path` or `maximum_page`. */
  type: 'page_number'
  /**
   * The API's number of its first page.
   *
   * Default: `0`.
   */
  base_page?: number | undefined
  /** First page to ask for; `base_page` if absent. */
  page?: number | null | undefined
  /** Query parameter with the number; `page` when there is no `page_body_path`. */
  page_param?: string | null | undefined
  /** Place in the body with the number. */
  page_body_path?: string | null | undefined
  /** JSONPath of the number of pages, `total` if absent; null: there is none. Under the default path it may be missing from answers. */
  total_path?: string | null | undefined
  /** Exclusive bound of the page number. */
  maximum_page?: number | null | undefined
  /**
   * A page without records ends the list.
   *
   * Default: `true`.
   */
  stop_after_empty_page?: boolean | undefined
  /** JSONPath of a boolean: false ends the list, as a total that is reached does. */
  has_more_path?: string | null | undefined
}

/** Counts records up to a total, an empty page, `has_more_path` or `maximum_offset`. Where the API gives fewer than `limit` although there is more, the offset advances by what arrived. */
export interface OffsetPaginatorConfig {
  /** Counts records up to a total, an empty page, `has_more_path` or `maximum_offset`. Where the API gives fewer than `limit` although there is more, the offset advances by what arrived. */
  type: 'offset'
  /** Records a page; sent with every request. 0: none is sent, the API decides. */
  limit: number
  /**
   * First offset.
   *
   * Default: `0`.
   */
  offset?: number | undefined
  /** Query parameter with the offset; `offset` when there is no `offset_body_path`. */
  offset_param?: string | null | undefined
  /** Place in the body with the offset. */
  offset_body_path?: string | null | undefined
  /** Query parameter with the limit; `limit` when there is no `limit_body_path`. */
  limit_param?: string | null | undefined
  /** Place in the body with the limit. */
  limit_body_path?: string | null | undefined
  /** JSONPath of the number of records, `total` if absent; null: there is none. Under the default path it may be missing from answers. */
  total_path?: string | null | undefined
  /** Exclusive bound of the offset. */
  maximum_offset?: number | null | undefined
  /**
   * A page without records ends the list.
   *
   * Default: `true`.
   */
  stop_after_empty_page?: boolean | undefined
  /** JSONPath of a boolean: false ends the list, as a total that is reached does. */
  has_more_path?: string | null | undefined
}

export type PaginatorKeys =
  | AutoPaginatorConfig
  | SinglePagePaginatorConfig
  | JsonLinkPaginatorConfig
  | HeaderLinkPaginatorConfig
  | CursorPaginatorConfig
  | HeaderCursorPaginatorConfig
  | PageNumberPaginatorConfig
  | OffsetPaginatorConfig

export type PaginatorConfig =
  | 'auto'
  | 'single_page'
  | 'json_link'
  | 'json_response'
  | 'header_link'
  | 'cursor'
  | 'header_cursor'
  | 'page_number'
  | PaginatorKeys
  | Paginator

export interface RetryConfig {
  /**
   * Requests in all, the first included.
   *
   * Default: `4`.
   */
  attempts?: number | null | undefined
  /**
   * Statuses that are asked again.
   *
   * Default: `[429,500,502,503,504]`.
   */
  statuses?: (number | string)[] | null | undefined
  /**
   * Dropped connections and timeouts too.
   *
   * Default: `true`.
   */
  on_connection_error?: boolean | null | undefined
  /**
   * Seconds before the first retry.
   *
   * Default: `1`.
   */
  base?: number | null | undefined
  /**
   * Each wait is this many times the one before.
   *
   * Default: `2`.
   */
  factor?: number | null | undefined
  /**
   * Longest wait of its own, in seconds.
   *
   * Default: `300`.
   */
  max_delay?: number | null | undefined
  /**
   * Longest wait that the API may ask for (`Retry-After`, the end of a rate limit), in seconds. A longer one ends the run, which keeps its pages for the next.
   *
   * Default: `900`.
   */
  max_wait?: number | null | undefined
  /**
   * `full`: a random part of each wait, so that many clients do not come back at once.
   *
   * Allowed: `full`, `none`.
   *
   * Default: `full`.
   */
  jitter?: 'full' | 'none' | null | undefined
  /** A successful answer with this text is asked again too. */
  body_contains?: string | string[] | null | undefined
}

export interface RateLimitConfig {
  /** Requests started in any such interval. */
  requests?: number | null | undefined
  /**
   * Length of the interval in seconds.
   *
   * Default: `1`.
   */
  per?: number | null | undefined
  /** Requests in flight. */
  max_concurrency?: number | null | undefined
}

/** The API: what all resources have in common. */
export interface ClientConfig {
  /**
   * What relative paths are appended to; may be empty when every path is absolute.
   *
   * Example: `https://api.example.com/v1/`.
   */
  base_url: string
  /** Headers of every request. */
  headers?: { [name: string]: string | Secret | SecretReference } | null | undefined
  /**
   * Authentication of every request to `base_url` and `allowed_hosts`.
   *
   * Allowed: `bearer`, `api_key`, `http_basic`, `oauth2_client_credentials`, `oauth2_jwt`.
   */
  auth?: 'bearer' | 'api_key' | 'http_basic' | 'oauth2_client_credentials' | 'oauth2_jwt' | AuthKeys | Authenticator | null | undefined
  /**
   * Paginator of every endpoint that has none.
   *
   * Allowed: `auto`, `single_page`, `json_link`, `json_response`, `header_link`, `cursor`, `header_cursor`, `page_number`, `{ type: 'offset' }`.
   *
   * Default: `auto`.
   */
  paginator?: 'auto' | 'single_page' | 'json_link' | 'json_response' | 'header_link' | 'cursor' | 'header_cursor' | 'page_number' | PaginatorKeys | Paginator | null | undefined
  /**
   * Other hosts or origins that may receive credentials and configured headers.
   *
   * Example: `["files.example.com","http://localhost:8080"]`.
   */
  allowed_hosts?: string[] | null | undefined
  /** When and how often a request is sent again. */
  retry?: RetryConfig | null | undefined
  /** Most requests in flight; without it Sluice adapts. */
  concurrency?: number | null | undefined
  /** Limits that the API states. */
  rate_limit?: RateLimitConfig | null | undefined
  /** TypeScript: sends requests in place of Sluice. */
  transport?: Transport | null | undefined
}

/** The value of a field of the parent’s record. A placeholder says the same in one word. */
export interface ResolveParamConfig {
  /** The value of a field of the parent’s record. A placeholder says the same in one word. */
  type: 'resolve'
  /** Name of the parent. */
  resource: string
  /** Field of the parent’s record, as JSONPath. */
  field: string
}

/** The value that incremental loading starts from. */
export interface IncrementalParamConfig {
  /** The value that incremental loading starts from. */
  type: 'incremental'
  /**
   * Field of the record that grows, as a name or JSONPath.
   *
   * Example: `updated_at`.
   *
   * Example: `meta.at`.
   */
  cursor_path: string
  /** Where the first run begins. */
  initial_value?: string | number | boolean | bigint | null | undefined
  /**
   * Which of two cursor values is further.
   *
   * Allowed: `max`, `min`.
   *
   * Default: `max`.
   */
  last_value_func?: 'max' | 'min' | null | undefined
  /**
   * Order in which the API lists records; paging ends as soon as a record is out of range.
   *
   * Allowed: `asc`, `desc`.
   */
  row_order?: 'asc' | 'desc' | null | undefined
  /**
   * Whether records equal to the start value are loaded; those seen before are recognised.
   *
   * Allowed: `closed`, `open`.
   *
   * Default: `closed`.
   */
  range_start?: 'closed' | 'open' | null | undefined
  /**
   * Whether records equal to `end_value` are loaded.
   *
   * Allowed: `open`, `closed`.
   *
   * Default: `open`.
   */
  range_end?: 'open' | 'closed' | null | undefined
  /**
   * What happens to a record without cursor value.
   *
   * Allowed: `raise`, `include`, `exclude`.
   *
   * Default: `raise`.
   */
  on_cursor_value_missing?: 'raise' | 'include' | 'exclude' | null | undefined
  /** How far to look back: seconds if `initial_value` is a timestamp, days if it is a date, else an amount. Without it, the values decide. */
  lag?: number | null | undefined
  /** Key that recognises records seen before; default: that of the resource; empty: none. */
  primary_key?: string | string[] | null | undefined
  /**
   * Take the window from a scheduler. Not supported: give `initial_value` and `end_value`.
   *
   * Default: `false`.
   */
  allow_external_schedulers?: false | null | undefined
  /**
   * How times are sent: `epoch_seconds`, `epoch_ms`, `epoch_us`, `iso8601`, `rfc1123`, or a pattern of strftime. Numbers of the API are seconds, milliseconds or microseconds by their size. What the format leaves out widens the window.
   *
   * Example: `%Y-%m-%d %H:%M`.
   *
   * Example: `epoch_ms`.
   */
  param_format?: string | null | undefined
  /**
   * Time zone in which a pattern of `param_format` is written; `UTC` if absent.
   *
   * Example: `Europe/Berlin`.
   */
  param_time_zone?: string | null | undefined
  /** TypeScript: makes of a cursor value what the API wants; records are not touched. */
  convert?: ((value: JsonValue) => JsonValue) | null | undefined
  /** Older name of `convert`. */
  transform?: ((value: JsonValue) => JsonValue) | null | undefined
}

export type ParamValueConfig =
  | string
  | number
  | boolean
  | bigint
  | null
  | (string | number | boolean | bigint | null)[]
  | ResolveParamConfig
  | IncrementalParamConfig
  | Secret
  | SecretReference

export interface ResponseActionKeys {
  /**
   * Status of the answer.
   *
   * Example: `404`.
   *
   * Example: `5xx`.
   *
   * Example: `500-503`.
   */
  status_code?: number | string | null | undefined
  /** Text that the body contains. */
  content?: string | null | undefined
  /**
   * `ignore` or `stop`: the list ends here, its earlier pages stay · `skip_page`: go on with the next page · `empty`: as if the page had no records · `retry`: ask again · `fail`: fail the run.
   *
   * Allowed: `ignore`, `skip_page`, `stop`, `retry`, `fail`, `empty`.
   */
  action: 'ignore' | 'skip_page' | 'stop' | 'retry' | 'fail' | 'empty' | ResponseFunction | ResponseFunction[]
}

export type ResponseActionConfig =
  | ResponseActionKeys
  | ResponseFunction

export interface IncrementalConfig {
  /**
   * Field of the record that grows, as a name or JSONPath.
   *
   * Example: `updated_at`.
   *
   * Example: `meta.at`.
   */
  cursor_path: string
  /** Where the first run begins. */
  initial_value?: string | number | boolean | bigint | null | undefined
  /**
   * Which of two cursor values is further.
   *
   * Allowed: `max`, `min`.
   *
   * Default: `max`.
   */
  last_value_func?: 'max' | 'min' | null | undefined
  /**
   * Order in which the API lists records; paging ends as soon as a record is out of range.
   *
   * Allowed: `asc`, `desc`.
   */
  row_order?: 'asc' | 'desc' | null | undefined
  /**
   * Whether records equal to the start value are loaded; those seen before are recognised.
   *
   * Allowed: `closed`, `open`.
   *
   * Default: `closed`.
   */
  range_start?: 'closed' | 'open' | null | undefined
  /**
   * Whether records equal to `end_value` are loaded.
   *
   * Allowed: `open`, `closed`.
   *
   * Default: `open`.
   */
  range_end?: 'open' | 'closed' | null | undefined
  /**
   * What happens to a record without cursor value.
   *
   * Allowed: `raise`, `include`, `exclude`.
   *
   * Default: `raise`.
   */
  on_cursor_value_missing?: 'raise' | 'include' | 'exclude' | null | undefined
  /** How far to look back: seconds if `initial_value` is a timestamp, days if it is a date, else an amount. Without it, the values decide. */
  lag?: number | null | undefined
  /** Key that recognises records seen before; default: that of the resource; empty: none. */
  primary_key?: string | string[] | null | undefined
  /**
   * Take the window from a scheduler. Not supported: give `initial_value` and `end_value`.
   *
   * Default: `false`.
   */
  allow_external_schedulers?: false | null | undefined
  /**
   * How times are sent: `epoch_seconds`, `epoch_ms`, `epoch_us`, `iso8601`, `rfc1123`, or a pattern of strftime. Numbers of the API are seconds, milliseconds or microseconds by their size. What the format leaves out widens the window.
   *
   * Example: `%Y-%m-%d %H:%M`.
   *
   * Example: `epoch_ms`.
   */
  param_format?: string | null | undefined
  /**
   * Time zone in which a pattern of `param_format` is written; `UTC` if absent.
   *
   * Example: `Europe/Berlin`.
   */
  param_time_zone?: string | null | undefined
  /** TypeScript: makes of a cursor value what the API wants; records are not touched. */
  convert?: ((value: JsonValue) => JsonValue) | null | undefined
  /** Where a backfill ends; such a run reads and writes no state. Needs `initial_value`. */
  end_value?: string | number | boolean | bigint | null | undefined
  /** Query parameter that is sent the value to start from. */
  start_param?: string | null | undefined
  /** Query parameter that is sent `end_value`. */
  end_param?: string | null | undefined
}

export interface EndpointConfig {
  /**
   * Relative to `base_url`, or absolute. May hold `{resources.parent.field}`, `{incremental.start_value}` and `{param}`.
   *
   * Example: `v1/feedback`.
   *
   * Example: `users/{resources.users.id}/posts`.
   */
  path?: string | null | undefined
  /**
   * HTTP method.
   *
   * Allowed: `GET`, `POST`, `PUT`, `PATCH`.
   *
   * Default: `GET`.
   */
  method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | null | undefined
  /** Query parameters. A list repeats the name; null leaves it out. Those named in the path are put there. */
  params?: { [name: string]: ParamValueConfig } | null | undefined
  /** JSON body. A string that is one placeholder takes the type of its value. */
  json?: JsonObject | null | undefined
  /** Form body as map or list of pairs, or a raw body as text. */
  data?: JsonValue | null | undefined
  /** Headers, over those of the client; null removes one. */
  headers?: { [name: string]: string | number | boolean | bigint | null | Secret | SecretReference } | null | undefined
  /**
   * How to get from page to page.
   *
   * Allowed: `auto`, `single_page`, `json_link`, `json_response`, `header_link`, `cursor`, `header_cursor`, `page_number`, `{ type: 'offset' }`.
   *
   * Default: `auto`.
   */
  paginator?: 'auto' | 'single_page' | 'json_link' | 'json_response' | 'header_link' | 'cursor' | 'header_cursor' | 'page_number' | PaginatorKeys | Paginator | null | undefined
  /** JSONPath of the records in the body; without it, or where it is empty, the first page decides. */
  data_selector?: string | null | undefined
  /**
   * Whether it is an error that the selector matches nothing on the first page.
   *
   * Default: `true`.
   */
  data_selector_required?: boolean | null | undefined
  /** What to do with certain answers, in order. */
  response_actions?: ResponseActionConfig[] | null | undefined
  /** Load only what is new. */
  incremental?: IncrementalConfig | null | undefined
  /**
   * Instead of `client.auth`; null: no authentication.
   *
   * Allowed: `bearer`, `api_key`, `http_basic`, `oauth2_client_credentials`, `oauth2_jwt`.
   */
  auth?: 'bearer' | 'api_key' | 'http_basic' | 'oauth2_client_credentials' | 'oauth2_jwt' | AuthKeys | Authenticator | null | undefined
  /** Over `client.retry`, key by key. */
  retry?: RetryConfig | null | undefined
  /**
   * Seconds to wait for an answer, and for each part of it.
   *
   * Default: `60`.
   */
  timeout?: number | null | undefined
  /** Most pages of one list. */
  max_pages?: number | null | undefined
  /** Most records of one list; the page that goes beyond is loaded whole. */
  max_records?: number | null | undefined
  /** Most seconds that are spent on one list, waits included. What is under way then is given up, and the list ends with the pages before it. */
  max_seconds?: number | null | undefined
  /**
   * Most records of the parent in one request. Their values are joined by `batch_separator`; in a list, an element that is one placeholder becomes one element a value, and an object with placeholders one object a record.
   *
   * Default: `1`.
   *
   * Example: `50`.
   */
  batch_size?: number | null | undefined
  /**
   * Stands between the values of a batch.
   *
   * Default: `,`.
   */
  batch_separator?: string | null | undefined
  /** Pages asked for before they are needed; 0: one after the other. */
  read_ahead?: number | null | undefined
}

export interface ProcessingStepConfig {
  /** Keeps records for which it returns true. */
  filter?: ((record: JsonObject) => boolean) | null | undefined
  /** Replaces a record. */
  map?: ((record: JsonObject) => JsonObject) | null | undefined
  /** Replaces a record by several. */
  yield_map?: ((record: JsonObject) => Iterable<JsonObject>) | null | undefined
}

export interface WriteDispositionKeys {
  /**
   * What happens to rows that are there already.
   *
   * Allowed: `append`, `replace`, `merge`, `skip`.
   */
  disposition: 'append' | 'replace' | 'merge' | 'skip'
  /**
   * How rows are merged; only with `disposition: merge`.
   *
   * Allowed: `delete-insert`, `upsert`, `insert-only`, `scd2`.
   *
   * Default: `delete-insert`.
   */
  strategy?: 'delete-insert' | 'upsert' | 'insert-only' | 'scd2' | null | undefined
  /**
   * `delete-insert`: each key arrives once, so that looking for duplicates can be left out.
   *
   * Default: `false`.
   */
  deduplicated?: boolean | null | undefined
  /**
   * `scd2`: names of the columns that hold from when and until when a row was valid.
   *
   * Default: `["_dlt_valid_from","_dlt_valid_to"]`.
   */
  validity_column_names?: [string, string] | null | undefined
  /**
   * `scd2`: timestamp that marks rows still valid; without it they hold NULL.
   *
   * Example: `9999-12-31`.
   */
  active_record_timestamp?: string | null | undefined
  /** `scd2`: the moment of the change. It stays in the schema for runs that leave it out; null: the start of each load again, as before the first. */
  boundary_timestamp?: string | null | undefined
  /** `scd2`: column that holds the hash of a row, where the records bring their own. */
  row_version_column_name?: string | null | undefined
}

export type WriteDispositionConfig =
  | 'append'
  | 'replace'
  | 'merge'
  | 'skip'
  | WriteDispositionKeys

/** Hints of one column. Keys that start with `x-` are free. */
export interface ColumnConfig {
  /** Name of the column, not normalised yet. */
  name?: string | null | undefined
  /**
   * Type of the column; without it the first value decides.
   *
   * Allowed: `text`, `double`, `bool`, `timestamp`, `bigint`, `binary`, `json`, `decimal`, `wei`, `date`, `time`.
   */
  data_type?: 'text' | 'double' | 'bool' | 'timestamp' | 'bigint' | 'binary' | 'json' | 'decimal' | 'wei' | 'date' | 'time' | null | undefined
  /**
   * Whether rows may lack a value.
   *
   * Default: `true`.
   */
  nullable?: boolean | null | undefined
  /** Bits of a bigint, bytes of a text, digits of a decimal or of a second. */
  precision?: number | null | undefined
  /** Digits after the point of a decimal. */
  scale?: number | null | undefined
  /**
   * Whether a timestamp is an instant, or a time on the wall.
   *
   * Default: `true`.
   */
  timezone?: boolean | null | undefined
  /** Said about the column at the destination. */
  description?: string | null | undefined
  /** Part of the primary key. */
  primary_key?: boolean | null | undefined
  /** Part of the merge key. */
  merge_key?: boolean | null | undefined
  /** Values do not repeat. */
  unique?: boolean | null | undefined
  /** Rows are stored in the order of this column, where the destination can. */
  sort?: boolean | null | undefined
  /** Rows are partitioned by this column, where the destination can. */
  partition?: boolean | null | undefined
  /** Rows are clustered by this column, where the destination can. */
  cluster?: boolean | null | undefined
  /** Identifies a row for its nested tables. */
  row_key?: boolean | null | undefined
  /** Holds the row key of the parent row. */
  parent_key?: boolean | null | undefined
  /** Holds the row key of the root row. */
  root_key?: boolean | null | undefined
  /** Merge: a row with true, or with any value that is no boolean, is deleted. */
  hard_delete?: boolean | null | undefined
  /**
   * Merge: of rows with one key, the first in this order stays.
   *
   * Allowed: `asc`, `desc`.
   */
  dedup_sort?: 'asc' | 'desc' | null | undefined
  /** The column holds the cursor of incremental loading. */
  incremental?: boolean | null | undefined
  /** The column took values that did not fit another. */
  variant?: boolean | null | undefined
  [key: `x-${string}`]: JsonValue | undefined
}

export type ColumnsConfig =
  | { [name: string]: ColumnConfig | null }
  | ColumnConfig[]

export interface SchemaContractKeys {
  /**
   * New tables.
   *
   * Allowed: `evolve`, `freeze`, `discard_row`, `discard_value`.
   *
   * Default: `evolve`.
   */
  tables?: 'evolve' | 'freeze' | 'discard_row' | 'discard_value' | null | undefined
  /**
   * New columns of known tables.
   *
   * Allowed: `evolve`, `freeze`, `discard_row`, `discard_value`.
   *
   * Default: `evolve`.
   */
  columns?: 'evolve' | 'freeze' | 'discard_row' | 'discard_value' | null | undefined
  /**
   * Values that do not fit the type of their column.
   *
   * Allowed: `evolve`, `freeze`, `discard_row`, `discard_value`.
   *
   * Default: `evolve`.
   */
  data_type?: 'evolve' | 'freeze' | 'discard_row' | 'discard_value' | null | undefined
}

export type SchemaContractConfig =
  | 'evolve'
  | 'freeze'
  | 'discard_row'
  | 'discard_value'
  | SchemaContractKeys

export interface NestedHintConfig {
  /** Name of the nested table. */
  table_name?: string | null | undefined
  /**
   * What happens to rows that are there already.
   *
   * Allowed: `append`, `replace`, `merge`, `skip`.
   *
   * Default: `append`.
   */
  write_disposition?: 'append' | 'replace' | 'merge' | 'skip' | WriteDispositionKeys | null | undefined
  /**
   * Columns that identify a row; also used to recognise records that incremental loading sees twice.
   *
   * Example: `id`.
   *
   * Example: `["shop","day"]`.
   */
  primary_key?: string | string[] | null | undefined
  /** Merge: columns whose values, once new rows bring them, have all their old rows deleted. */
  merge_key?: string | string[] | null | undefined
  /**
   * Hints by column: a map from name to hints, or a list of hints with names.
   *
   * Example: `{"created_at":{"data_type":"timestamp"}}`.
   */
  columns?: ColumnsConfig | null | undefined
  /**
   * What may change: new tables, new columns, other types.
   *
   * Allowed: `evolve`, `freeze`, `discard_row`, `discard_value`.
   *
   * Default: `evolve`.
   */
  schema_contract?: 'evolve' | 'freeze' | 'discard_row' | 'discard_value' | SchemaContractKeys | null | undefined
  /** Depth to which nested lists become tables of their own; below it they stay JSON. */
  max_table_nesting?: number | null | undefined
  /**
   * Table format, where the destination has several.
   *
   * Allowed: `iceberg`, `delta`, `hive`, `native`.
   */
  table_format?: 'iceberg' | 'delta' | 'hive' | 'native' | null | undefined
  /** Format of the files of the table where rows are kept as files: `parquet`, `jsonl` or `csv`. Elsewhere stored for dlt, and without effect. */
  file_format?: string | null | undefined
  /** References to other tables; stored with the schema. */
  references?: JsonObject[] | null | undefined
}

export interface ResourceKeys<Table extends string = string> {
  /** Where the records are; a text is its `path`. */
  endpoint?: string | EndpointConfig | null | undefined
  /**
   * The records themselves, or in TypeScript a generator of them, in place of `endpoint`.
   *
   * Example: `[{"id":"eu"},{"id":"us"}]`.
   */
  records?: JsonObject[] | RecordsFunction | null | undefined
  /** Keys of the parent’s record, each copied into the child as `_parent_key`. */
  include_from_parent?: string[] | null | undefined
  /** TypeScript: functions that see each record, in order. */
  processing_steps?: ProcessingStepConfig[] | null | undefined
  /** Accepted, as dlt has it, and without effect: lists are read in parallel in any case; `--concurrency` and `client.concurrency` bound it. */
  parallelized?: boolean | null | undefined
  /**
   * Whether its records are loaded; if not, they are read only for its children.
   *
   * Default: `true`.
   */
  selected?: boolean | null | undefined
  /** Name of its table; default: the name of the resource. */
  table_name?: Table | ((record: JsonObject) => string) | null | undefined
  /**
   * What happens to rows that are there already.
   *
   * Allowed: `append`, `replace`, `merge`, `skip`.
   *
   * Default: `append`.
   */
  write_disposition?: 'append' | 'replace' | 'merge' | 'skip' | WriteDispositionKeys | null | undefined
  /**
   * Columns that identify a row; also used to recognise records that incremental loading sees twice.
   *
   * Example: `id`.
   *
   * Example: `["shop","day"]`.
   */
  primary_key?: string | string[] | null | undefined
  /** Merge: columns whose values, once new rows bring them, have all their old rows deleted. */
  merge_key?: string | string[] | null | undefined
  /**
   * Hints by column: a map from name to hints, or a list of hints with names.
   *
   * Example: `{"created_at":{"data_type":"timestamp"}}`.
   */
  columns?: ColumnsConfig | null | undefined
  /**
   * What may change: new tables, new columns, other types.
   *
   * Allowed: `evolve`, `freeze`, `discard_row`, `discard_value`.
   *
   * Default: `evolve`.
   */
  schema_contract?: 'evolve' | 'freeze' | 'discard_row' | 'discard_value' | SchemaContractKeys | null | undefined
  /** Depth to which nested lists become tables of their own; below it they stay JSON. */
  max_table_nesting?: number | null | undefined
  /**
   * Table format, where the destination has several.
   *
   * Allowed: `iceberg`, `delta`, `hive`, `native`.
   */
  table_format?: 'iceberg' | 'delta' | 'hive' | 'native' | null | undefined
  /** Format of the files of the table where rows are kept as files: `parquet`, `jsonl` or `csv`. Elsewhere stored for dlt, and without effect. */
  file_format?: string | null | undefined
  /** References to other tables; stored with the schema. */
  references?: JsonObject[] | null | undefined
  /** Hints of nested tables, by path under the resource. */
  nested_hints?: { [name: string]: NestedHintConfig } | null | undefined
  /**
   * What becomes of rows that a complete listing no longer has: marked, or removed; with `with_parent`, which needs the primary key of the parent in `include_from_parent`, of rows whose parent’s row goes. Needs `write_disposition: merge` with a primary key, and a database. Default: they stay.
   *
   * Allowed: `soft`, `hard`, `with_parent`.
   */
  deletes?: 'soft' | 'hard' | 'with_parent' | null | undefined
  /** The greatest share of a table that one run may take away, 0.1 if it is not given: by `deletes`, or by `write_disposition: replace` where the listing is not known to be complete. A run that would take more fails, and changes nothing. Resources that fill one table need the same share. */
  max_delete_share?: number | null | undefined
}

export type NamedResource<Name extends string = string> = {
  /** Name of the resource: of its table, unless `table_name` is given, and of its state. */
  name: Name | (string & {})
}

export type ResourceConfig<Name extends string = string, Table extends string = string> =
  NamedResource<Name> & ResourceKeys<Table>

export interface ResourceDefaultsConfig<Table extends string = string> {
  /** Keys of every endpoint. */
  endpoint?: EndpointConfig | null | undefined
  /**
   * The records themselves, or in TypeScript a generator of them, in place of `endpoint`.
   *
   * Example: `[{"id":"eu"},{"id":"us"}]`.
   */
  records?: JsonObject[] | RecordsFunction | null | undefined
  /** Keys of the parent’s record, each copied into the child as `_parent_key`. */
  include_from_parent?: string[] | null | undefined
  /** TypeScript: functions that see each record, in order. */
  processing_steps?: ProcessingStepConfig[] | null | undefined
  /** Accepted, as dlt has it, and without effect: lists are read in parallel in any case; `--concurrency` and `client.concurrency` bound it. */
  parallelized?: boolean | null | undefined
  /**
   * Whether its records are loaded; if not, they are read only for its children.
   *
   * Default: `true`.
   */
  selected?: boolean | null | undefined
  /** Name of its table; default: the name of the resource. */
  table_name?: Table | ((record: JsonObject) => string) | null | undefined
  /**
   * What happens to rows that are there already.
   *
   * Allowed: `append`, `replace`, `merge`, `skip`.
   *
   * Default: `append`.
   */
  write_disposition?: 'append' | 'replace' | 'merge' | 'skip' | WriteDispositionKeys | null | undefined
  /**
   * Columns that identify a row; also used to recognise records that incremental loading sees twice.
   *
   * Example: `id`.
   *
   * Example: `["shop","day"]`.
   */
  primary_key?: string | string[] | null | undefined
  /** Merge: columns whose values, once new rows bring them, have all their old rows deleted. */
  merge_key?: string | string[] | null | undefined
  /**
   * Hints by column: a map from name to hints, or a list of hints with names.
   *
   * Example: `{"created_at":{"data_type":"timestamp"}}`.
   */
  columns?: ColumnsConfig | null | undefined
  /**
   * What may change: new tables, new columns, other types.
   *
   * Allowed: `evolve`, `freeze`, `discard_row`, `discard_value`.
   *
   * Default: `evolve`.
   */
  schema_contract?: 'evolve' | 'freeze' | 'discard_row' | 'discard_value' | SchemaContractKeys | null | undefined
  /** Depth to which nested lists become tables of their own; below it they stay JSON. */
  max_table_nesting?: number | null | undefined
  /**
   * Table format, where the destination has several.
   *
   * Allowed: `iceberg`, `delta`, `hive`, `native`.
   */
  table_format?: 'iceberg' | 'delta' | 'hive' | 'native' | null | undefined
  /** Format of the files of the table where rows are kept as files: `parquet`, `jsonl` or `csv`. Elsewhere stored for dlt, and without effect. */
  file_format?: string | null | undefined
  /** References to other tables; stored with the schema. */
  references?: JsonObject[] | null | undefined
  /** Hints of nested tables, by path under the resource. */
  nested_hints?: { [name: string]: NestedHintConfig } | null | undefined
  /**
   * What becomes of rows that a complete listing no longer has: marked, or removed; with `with_parent`, which needs the primary key of the parent in `include_from_parent`, of rows whose parent’s row goes. Needs `write_disposition: merge` with a primary key, and a database. Default: they stay.
   *
   * Allowed: `soft`, `hard`, `with_parent`.
   */
  deletes?: 'soft' | 'hard' | 'with_parent' | null | undefined
  /** The greatest share of a table that one run may take away, 0.1 if it is not given: by `deletes`, or by `write_disposition: replace` where the listing is not known to be complete. A run that would take more fails, and changes nothing. Resources that fill one table need the same share. */
  max_delete_share?: number | null | undefined
}

export interface RestApiConfig<Name extends string = string, Table extends string = string> {
  /** Address of the JSON Schema, for editors. */
  $schema?: string | null | undefined
  /** The API: what all resources have in common. */
  client: ClientConfig
  /** The lists to load. A text is the name of a resource and its path. */
  resources: (Name | ResourceConfig<Name, Table> | (RecordsFunction & NamedResource<Name>))[]
  /** Keys of every resource that does not set them. */
  resource_defaults?: ResourceDefaultsConfig<Table> | null | undefined
}

/** Has a `destination` or a `dataset` of its own, so that its state is never mixed with another. */
export interface ProfileConfig {
  /** Where to load to. Default: as without the profile. */
  destination?: string | null | undefined
  /** Name of the dataset. Default: as without the profile. */
  dataset?: string | null | undefined
  /** Stop after so many pages of each list: a trial. */
  limit?: number | null | undefined
  /** Most requests in flight. */
  concurrency?: number | null | undefined
}

export interface DocumentPipelineConfig<Name extends string = string, Table extends string = string> {
  /** Name of the pipeline, the key of its state. Default: the name of the file. */
  name?: string | null | undefined
  /**
   * Where to load to. Paths are relative to this file. `${secrets.name}` and `${env.NAME}` may stand for the user, the password and the values of parameters, or for all of it. Default: `duckdb:<name>.duckdb`.
   *
   * Example: `duckdb:feedback.duckdb`.
   *
   * Example: `postgres://loader:${secrets.db_password}@db.example.com/warehouse`.
   */
  destination?: string | null | undefined
  /** Name of the dataset, the schema of the database. Default: `<name>_dataset`. */
  dataset?: string | null | undefined
  /**
   * Other places to load to, by name. `--profile prod` or `SLUICE_PROFILE=prod` chooses one.
   *
   * Example: `{"prod":{"destination":"${secrets.warehouse_url}","dataset":"feedback"}}`.
   */
  profiles?: { [name: string]: ProfileConfig } | null | undefined
  /**
   * Folder of `<schema>.schema.yaml`, or that file: hints that win over data and source. The first run writes it.
   *
   * Example: `schemas/import`.
   */
  import_schema_path?: string | null | undefined
  /**
   * Folder of `<schema>.schema.yaml`, or that file: the schema as each run committed it.
   *
   * Example: `schemas/export`.
   */
  export_schema_path?: string | null | undefined
  /** Address of the JSON Schema, for editors. */
  $schema?: string | null | undefined
  /** The API: what all resources have in common. */
  client: ClientConfig
  /** The lists to load. A text is the name of a resource and its path. */
  resources: (Name | ResourceConfig<Name, Table> | (RecordsFunction & NamedResource<Name>))[]
  /** Keys of every resource that does not set them. */
  resource_defaults?: ResourceDefaultsConfig<Table> | null | undefined
}

/** Where the records come from: a `rest_api` document, and a few keys around it. */
export interface SourceConfig<Name extends string = string, Table extends string = string> {
  /**
   * Name of the source: of its schema and of its state.
   *
   * Default: `rest_api`.
   */
  name?: string | null | undefined
  /** Depth to which nested lists become tables, for resources that do not say. */
  max_table_nesting?: number | null | undefined
  /**
   * Whether nested tables carry the key of their root row.
   *
   * Default: `false`.
   */
  root_key?: boolean | null | undefined
  /**
   * Contract of resources that have none.
   *
   * Allowed: `evolve`, `freeze`, `discard_row`, `discard_value`.
   */
  schema_contract?: 'evolve' | 'freeze' | 'discard_row' | 'discard_value' | SchemaContractKeys | null | undefined
  /** Accepted, as dlt has it, and without effect: lists are read in parallel in any case. */
  parallelized?: boolean | null | undefined
  /** Address of the JSON Schema, for editors. */
  $schema?: string | null | undefined
  /** The API: what all resources have in common. */
  client: ClientConfig
  /** The lists to load. A text is the name of a resource and its path. */
  resources: (Name | ResourceConfig<Name, Table> | (RecordsFunction & NamedResource<Name>))[]
  /** Keys of every resource that does not set them. */
  resource_defaults?: ResourceDefaultsConfig<Table> | null | undefined
}

export interface SourcePipelineConfig<Name extends string = string, Table extends string = string> {
  /** Address of the JSON Schema, for editors. */
  $schema?: string | null | undefined
  /** Name of the pipeline, the key of its state. Default: the name of the file. */
  name?: string | null | undefined
  /**
   * Where to load to. Paths are relative to this file. `${secrets.name}` and `${env.NAME}` may stand for the user, the password and the values of parameters, or for all of it. Default: `duckdb:<name>.duckdb`.
   *
   * Example: `duckdb:feedback.duckdb`.
   *
   * Example: `postgres://loader:${secrets.db_password}@db.example.com/warehouse`.
   */
  destination?: string | null | undefined
  /** Name of the dataset, the schema of the database. Default: `<name>_dataset`. */
  dataset?: string | null | undefined
  /**
   * Other places to load to, by name. `--profile prod` or `SLUICE_PROFILE=prod` chooses one.
   *
   * Example: `{"prod":{"destination":"${secrets.warehouse_url}","dataset":"feedback"}}`.
   */
  profiles?: { [name: string]: ProfileConfig } | null | undefined
  /**
   * Folder of `<schema>.schema.yaml`, or that file: hints that win over data and source. The first run writes it.
   *
   * Example: `schemas/import`.
   */
  import_schema_path?: string | null | undefined
  /**
   * Folder of `<schema>.schema.yaml`, or that file: the schema as each run committed it.
   *
   * Example: `schemas/export`.
   */
  export_schema_path?: string | null | undefined
  /** Where the records come from: a `rest_api` document, and a few keys around it. */
  source: SourceConfig<Name, Table>
}

/** Paginators that a text names alone. */
export type PaginatorShorthand = Extract<PaginatorConfig, string>

/** Kinds of authentication. */
export type AuthType = NonNullable<Extract<AuthConfig, { type?: string | undefined }>['type']>
