/** Generated from the declaration by `npx tsx scripts/generate-docs.ts`: edits here are lost. */

import type { JsonObject, JsonValue } from '../../../json/value.js'
import type { Secret, SecretReference } from '../../../model/secrets/secret.js'
import type { MadeRecord, RecordFunction } from '../../../model/userFunction.js'
import type { OwnAuthenticator, OwnPaginator, Transport } from '../../api.js'
import type { ConvertFunction, RecordsFunction, ResponseFunction } from '../model.js'

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
   * The user name. Some APIs expect a key here.
   *
   * Example: `ann`.
   */
  username?: string | Secret | null | undefined
  /**
   * The password. A secret. Empty if the API takes only a user name.
   *
   * Example: `""`.
   */
  password?: '' | string | Secret | null | undefined
}

export interface Oauth2ClientCredentialsAuthConfig {
  /** OAuth 2.0 client credentials: a bearer token, asked for and renewed as needed. */
  type: 'oauth2_client_credentials'
  /**
   * Address that gives tokens.
   *
   * Example: `https://auth.example.com/oauth/token`.
   */
  access_token_url?: string | null | undefined
  /** Id of the client. */
  client_id?: string | Secret | null | undefined
  /** Secret of the client. A secret. */
  client_secret?: string | Secret | null | undefined
  /**
   * How the client proves who it is: its secret in the `body`, or in a header (`basic`); an assertion that it signs (`private_key_jwt`); or not at all (`none`).
   *
   * Allowed: `body`, `basic`, `private_key_jwt`, `none`.
   *
   * Default: `body`.
   */
  client_auth?: 'body' | 'basic' | 'private_key_jwt' | 'none' | null | undefined
  /** Key for `private_key_jwt`, as PEM text: RSA, EC or Ed25519. A secret. */
  private_key?: string | Secret | null | undefined
  /** Passphrase of the key. A secret. */
  private_key_passphrase?: string | Secret | null | undefined
  /** Id of the key, for the header `kid`. */
  private_key_id?: string | null | undefined
  /** Audience of the assertion. Default: `access_token_url`. */
  assertion_audience?: string | null | undefined
  /**
   * Scopes: a list, or a text with spaces between them.
   *
   * Example: `read offline_access`.
   */
  scope?: string | readonly string[] | null | undefined
  /** The API that the token is for, where the server wants to know. */
  audience?: string | null | undefined
  /**
   * More fields of the token request. They replace fields of the same name; null removes one.
   *
   * Default: `{}`.
   *
   * Example: `{"scope":"read"}`.
   */
  access_token_request_data?: { [name: string]: string | number | boolean | null | Secret } | null | undefined
  /**
   * Lifetime of a token in seconds, if the answer does not tell it.
   *
   * Default: `3600`.
   */
  default_token_expiration?: number | null | undefined
  /**
   * JSONPath of an address in the token’s answer. Requests go there instead of to the host of `base_url`. Needs `base_url_hosts`.
   *
   * Example: `instance_url`.
   */
  base_url_path?: string | null | undefined
  /**
   * Hosts that the address may have. `*.` stands for any names in front. Always https.
   *
   * Example: `["*.salesforce.com"]`.
   */
  base_url_hosts?: readonly string[] | null | undefined
  /** First token, used until the API refuses it. A secret. */
  access_token?: string | Secret | null | undefined
}

export interface Oauth2JwtAuthConfig {
  /** OAuth 2.0 JWT bearer: a token for an assertion signed with a private key (RS256). */
  type: 'oauth2_jwt'
  /** Issuer of the assertion, and its subject if there is no other. */
  client_id?: string | Secret | null | undefined
  /** RSA key as PEM text (PKCS#8 or PKCS#1). A secret. */
  private_key?: string | Secret | null | undefined
  /** Address that gives tokens. */
  auth_endpoint?: string | null | undefined
  /** Scopes: a list, or a text with spaces between them. */
  scopes?: string | readonly string[] | null | undefined
  /**
   * Subject of the token, if it is not the client.
   *
   * Example: `ann@example.com`.
   */
  subject?: string | null | undefined
  /** Audience of the assertion. Default: `auth_endpoint`. */
  assertion_audience?: string | null | undefined
  /** Id of the key, for the header `kid`. */
  private_key_id?: string | null | undefined
  /**
   * How the client also proves who it is: its secret in the `body`, or in a header (`basic`); an assertion of its own (`private_key_jwt`); or by its id alone (`none`). Default: the assertion is enough.
   *
   * Allowed: `body`, `basic`, `private_key_jwt`, `none`.
   */
  client_auth?: 'body' | 'basic' | 'private_key_jwt' | 'none' | null | undefined
  /** Secret of the client. A secret. */
  client_secret?: string | Secret | null | undefined
  /**
   * More headers of the token request.
   *
   * Default: `{}`.
   */
  headers?: { [name: string]: string } | null | undefined
  /** Passphrase of the key. A secret. */
  private_key_passphrase?: string | Secret | null | undefined
  /**
   * Lifetime of a token in seconds, if the answer does not tell it.
   *
   * Default: `3600`.
   */
  default_token_expiration?: number | null | undefined
  /**
   * JSONPath of an address in the token’s answer. Requests go there instead of to the host of `base_url`. Needs `base_url_hosts`.
   *
   * Example: `instance_url`.
   */
  base_url_path?: string | null | undefined
  /**
   * Hosts that the address may have. `*.` stands for any names in front. Always https.
   *
   * Example: `["*.salesforce.com"]`.
   */
  base_url_hosts?: readonly string[] | null | undefined
}

export interface LoginAuthConfig {
  /** A request that returns a token, which signs the other requests. */
  type: 'login'
  /**
   * Where to log in: relative to `base_url`, or an address.
   *
   * Example: `auth/login`.
   *
   * Example: `https://login.example.com/v1/session`.
   */
  path?: string | null | undefined
  /**
   * HTTP method of the login.
   *
   * Allowed: `POST`, `GET`, `PUT`.
   *
   * Default: `POST`.
   */
  method?: 'POST' | 'GET' | 'PUT' | null | undefined
  /** Query parameters of the login. */
  params?: { [name: string]: string | number | boolean | null | Secret } | null | undefined
  /**
   * JSON body of the login. It may hold secrets.
   *
   * Example: `{"user":"ann","password":"${secrets.password}"}`.
   */
  json?: { [name: string]: string | number | boolean | null | Secret | JsonObject | readonly JsonValue[] } | null | undefined
  /** Form body of the login. It may hold secrets. */
  data?: { [name: string]: string | number | boolean | null | Secret } | null | undefined
  /** Headers of the login. They may hold secrets. */
  headers?: { [name: string]: string | number | boolean | null | Secret } | null | undefined
  /**
   * JSONPath of the token in the answer. `$`: the answer is the token.
   *
   * Example: `data.token`.
   */
  token_path?: string | null | undefined
  /**
   * Header of the answer with the token, in place of `token_path`.
   *
   * Example: `X-Auth-Token`.
   */
  token_header?: string | null | undefined
  /**
   * Cookie of the answer with the token, in place of `token_path`.
   *
   * Example: `session`.
   */
  token_cookie?: string | null | undefined
  /** JSONPath of the moment when the token ends: a date, or seconds or milliseconds since 1970. */
  expires_path?: string | null | undefined
  /** JSONPath of the lifetime of the token in seconds. */
  expires_in_path?: string | null | undefined
  /** Lifetime of the token in seconds, if the answer does not tell it. Default: until a 401. */
  ttl?: number | null | undefined
  /**
   * Where the token goes in the other requests. `bearer`: into the header Authorization, as a bearer token.
   *
   * Allowed: `bearer`, `header`, `query`, `cookie`.
   *
   * Default: `bearer`.
   */
  location?: 'bearer' | 'header' | 'query' | 'cookie' | null | undefined
  /**
   * Name of the header, the query parameter or the cookie. Default: that of `token_header` or `token_cookie`.
   *
   * Example: `X-Auth-Token`.
   */
  name?: string | null | undefined
  /**
   * What is sent, with `{token}` for the token.
   *
   * Example: `Token {token}`.
   */
  template?: string | null | undefined
}

export interface Oauth2RefreshTokenAuthConfig {
  /** OAuth 2.0 refresh token: gets bearer tokens for it. If the server gives a new refresh token each time, the new one is kept in a file. */
  type: 'oauth2_refresh_token'
  /**
   * Address that gives tokens.
   *
   * Example: `https://auth.example.com/oauth/token`.
   */
  access_token_url?: string | null | undefined
  /** Id of the client. */
  client_id?: string | Secret | null | undefined
  /** Secret of the client. A secret. A client without one has `client_auth: none`. */
  client_secret?: string | Secret | null | undefined
  /** The first refresh token. A secret. Without it, `sluice auth FILE` gets one. */
  refresh_token?: string | Secret | null | undefined
  /**
   * How the client proves who it is: its secret in the `body`, or in a header (`basic`); an assertion that it signs (`private_key_jwt`); or not at all (`none`).
   *
   * Allowed: `body`, `basic`, `private_key_jwt`, `none`.
   *
   * Default: `body`.
   */
  client_auth?: 'body' | 'basic' | 'private_key_jwt' | 'none' | null | undefined
  /** Key for `private_key_jwt`, as PEM text: RSA, EC or Ed25519. A secret. */
  private_key?: string | Secret | null | undefined
  /** Passphrase of the key. A secret. */
  private_key_passphrase?: string | Secret | null | undefined
  /** Id of the key, for the header `kid`. */
  private_key_id?: string | null | undefined
  /** Audience of the assertion. Default: `access_token_url`. */
  assertion_audience?: string | null | undefined
  /**
   * Scopes: a list, or a text with spaces between them.
   *
   * Example: `read offline_access`.
   */
  scope?: string | readonly string[] | null | undefined
  /** The API that the token is for, where the server wants to know. */
  audience?: string | null | undefined
  /**
   * More fields of the token request. They replace fields of the same name; null removes one.
   *
   * Default: `{}`.
   *
   * Example: `{"scope":"read"}`.
   */
  access_token_request_data?: { [name: string]: string | number | boolean | null | Secret } | null | undefined
  /**
   * Lifetime of a token in seconds, if the answer does not tell it.
   *
   * Default: `3600`.
   */
  default_token_expiration?: number | null | undefined
  /**
   * JSONPath of an address in the token’s answer. Requests go there instead of to the host of `base_url`. Needs `base_url_hosts`.
   *
   * Example: `instance_url`.
   */
  base_url_path?: string | null | undefined
  /**
   * Hosts that the address may have. `*.` stands for any names in front. Always https.
   *
   * Example: `["*.salesforce.com"]`.
   */
  base_url_hosts?: readonly string[] | null | undefined
  /**
   * Page where people sign in, for `sluice auth FILE`.
   *
   * Example: `https://auth.example.com/authorize`.
   */
  authorization_url?: string | null | undefined
  /**
   * More parameters of that page.
   *
   * Example: `{"access_type":"offline","prompt":"consent"}`.
   */
  authorization_params?: { [name: string]: string } | null | undefined
  /** Port of `http://127.0.0.1:PORT/callback`, if the server wants to know it before. Default: any. */
  redirect_port?: number | null | undefined
  /** Address that gives codes to enter on another device, for `sluice auth FILE --device`. */
  device_authorization_url?: string | null | undefined
  /**
   * Folder in which refresh tokens are kept, for you alone. Default: `tokens` in the working folder, `.sluice`.
   *
   * Example: `/var/lib/sluice/tokens`.
   */
  token_store?: string | null | undefined
}

export interface AwsSigv4AuthConfig {
  /** AWS Signature Version 4: each request is signed with a key. */
  type: 'aws_sigv4'
  /** Id of the key. */
  access_key_id?: string | Secret | null | undefined
  /** The key. A secret. */
  secret_access_key?: string | Secret | null | undefined
  /** Token of temporary credentials. A secret. */
  session_token?: string | Secret | null | undefined
  /**
   * Region of the service.
   *
   * Example: `eu-central-1`.
   */
  region?: string | null | undefined
  /**
   * Name of the service, as AWS signs it. `execute-api`: an API behind API Gateway.
   *
   * Default: `execute-api`.
   */
  service?: string | null | undefined
}

export interface HmacAuthConfig {
  /** A signature (HMAC) over parts of each request. */
  type: 'hmac'
  /** Key of the signature. A secret. */
  key?: string | Secret | null | undefined
  /**
   * How the key is written.
   *
   * Allowed: `text`, `base64`, `hex`.
   *
   * Default: `text`.
   */
  key_encoding?: 'text' | 'base64' | 'hex' | null | undefined
  /**
   * Hash of the signature.
   *
   * Allowed: `sha256`, `sha1`, `sha384`, `sha512`, `md5`.
   *
   * Default: `sha256`.
   */
  algorithm?: 'sha256' | 'sha1' | 'sha384' | 'sha512' | 'md5' | null | undefined
  /**
   * How the signature is written.
   *
   * Allowed: `hex`, `base64`, `base64url`.
   *
   * Default: `hex`.
   */
  encoding?: 'hex' | 'base64' | 'base64url' | null | undefined
  /**
   * What is signed. Placeholders: `{method}`, `{url}`, `{host}`, `{path}`, `{query}`, `{path_and_query}`, `{body}`, `{body_sha256}`, `{body_sha512}`, `{body_md5}`, `{timestamp}`, `{nonce}`.
   *
   * Example: `{timestamp}{method}{path_and_query}{body}`.
   */
  message?: string | null | undefined
  /**
   * Form of `{timestamp}`: since 1970, or as in `2026-01-31T00:00:00.000Z`.
   *
   * Allowed: `seconds`, `milliseconds`, `iso`.
   *
   * Default: `seconds`.
   */
  timestamp?: 'seconds' | 'milliseconds' | 'iso' | null | undefined
  /**
   * Headers to add, with `{signature}`, `{timestamp}`, `{nonce}` and hashes of the body. They may hold secrets.
   *
   * Example: `{"X-Signature":"{signature}","X-Timestamp":"{timestamp}"}`.
   */
  headers?: { [name: string]: string | Secret } | null | undefined
  /**
   * Query parameters to add. Those without `{signature}` are part of the `{query}` that is signed.
   *
   * Example: `{"timestamp":"{timestamp}","signature":"{signature}"}`.
   */
  params?: { [name: string]: string | Secret } | null | undefined
}

export interface Oauth1AuthConfig {
  /** OAuth 1.0a: each request is signed by HMAC. */
  type: 'oauth1'
  /** Key of the consumer. */
  consumer_key?: string | Secret | null | undefined
  /** Secret of the consumer. A secret. */
  consumer_secret?: string | Secret | null | undefined
  /** Access token. */
  token?: string | Secret | null | undefined
  /** Secret of the token. A secret. */
  token_secret?: string | Secret | null | undefined
  /**
   * How requests are signed.
   *
   * Allowed: `HMAC-SHA1`, `HMAC-SHA256`.
   *
   * Default: `HMAC-SHA1`.
   */
  signature_method?: 'HMAC-SHA1' | 'HMAC-SHA256' | null | undefined
  /**
   * Realm of the header. Some APIs want the account here.
   *
   * Example: `1234567`.
   */
  realm?: string | null | undefined
}

export interface MtlsAuthConfig {
  /** A certificate that the connection shows (mutual TLS). */
  type: 'mtls'
  /**
   * The certificate, with those between it and its authority: a file, or PEM text.
   *
   * Example: `client.pem`.
   */
  cert?: string | Secret | null | undefined
  /**
   * Its key: a file, or PEM text. A secret.
   *
   * Example: `client.key`.
   */
  key?: string | Secret | null | undefined
  /** Passphrase of the key. A secret. */
  key_passphrase?: string | Secret | null | undefined
  /** Authority that the server’s certificate is checked by, in place of those that Node knows: a file, or PEM text. */
  ca?: string | Secret | null | undefined
  /** Further credentials of the requests. Their tokens are requested with the certificate too. */
  auth?: AuthKeys | null | undefined
}

export interface RotateAuthConfig {
  /** Several credentials: when the API says that one has nothing left (429, or rate limit headers), the next one is used. */
  type: 'rotate'
  /**
   * The credentials, in the order of their use.
   *
   * Example: `[{"token":"${secrets.first}"},{"token":"${secrets.second}"}]`.
   */
  auths?: readonly AuthKeys[] | null | undefined
}

export type AuthKeys =
  | BearerAuthConfig
  | ApiKeyAuthConfig
  | HttpBasicAuthConfig
  | Oauth2ClientCredentialsAuthConfig
  | Oauth2JwtAuthConfig
  | LoginAuthConfig
  | Oauth2RefreshTokenAuthConfig
  | AwsSigv4AuthConfig
  | HmacAuthConfig
  | Oauth1AuthConfig
  | MtlsAuthConfig
  | RotateAuthConfig

export type AuthConfig =
  | 'bearer'
  | 'api_key'
  | 'http_basic'
  | 'oauth2_client_credentials'
  | 'oauth2_jwt'
  | 'login'
  | 'oauth2_refresh_token'
  | 'aws_sigv4'
  | 'hmac'
  | 'oauth1'
  | 'mtls'
  | 'rotate'
  | AuthKeys
  | OwnAuthenticator

/** Looks at the first page: links, totals, cursors. */
export interface AutoPaginatorConfig {
  /** Looks at the first page: links, totals, cursors. */
  type: 'auto'
}

/** One request; links and cursors in the answer are ignored. */
export interface SinglePagePaginatorConfig {
  /** One request; links and cursors in the answer are ignored. */
  type: 'single_page'
  /** JSONPath of the number of records in the whole list. It does not end the list; Sluice compares the list with it. */
  total_path?: string | null | undefined
  /** Response header with the number of records in the whole list, as `total_path`. */
  total_header?: string | null | undefined
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
  /**
   * The API's documentation says that a missing link or cursor is the end of the list. Without it, a list of one page is `unproven`.
   *
   * Default: `false`.
   */
  stop_when_missing?: boolean | undefined
  /** JSONPath of a flag that says whether there is another page. Where it is missing or null, the rest of the answer decides. */
  has_more_path?: string | null | undefined
  /** JSONPath of a boolean that is true on the last page. */
  done_path?: string | null | undefined
  /**
   * A page without records ends the list, even if it leads to another page.
   *
   * Default: `false`.
   */
  stop_after_empty_page?: boolean | undefined
  /** JSONPath of the number of records in the whole list. It does not end the list; Sluice compares the list with it. */
  total_path?: string | null | undefined
  /** Response header with the number of records in the whole list, as `total_path`. */
  total_header?: string | null | undefined
}

/** Follows a link in a header, the Link header if no other is named. A missing relation ends the list. */
export interface HeaderLinkPaginatorConfig {
  /** Follows a link in a header, the Link header if no other is named. A missing relation ends the list. */
  type: 'header_link'
  /**
   * Relation (`rel`) of the link to the next page.
   *
   * Default: `next`.
   */
  links_next_key?: string | undefined
  /**
   * Response header with the link: in the form of `Link`, or a URL alone.
   *
   * Default: `Link`.
   *
   * Example: `Next-Page`.
   */
  header?: string | undefined
  /**
   * The API's documentation says that a missing link or cursor is the end of the list. Without it, a list of one page is `unproven`.
   *
   * Default: `false`.
   */
  stop_when_missing?: boolean | undefined
  /** JSONPath of a flag that says whether there is another page. Where it is missing or null, the rest of the answer decides. */
  has_more_path?: string | null | undefined
  /** JSONPath of a boolean that is true on the last page. */
  done_path?: string | null | undefined
  /**
   * A page without records ends the list, even if it leads to another page.
   *
   * Default: `false`.
   */
  stop_after_empty_page?: boolean | undefined
  /** JSONPath of the number of records in the whole list. It does not end the list; Sluice compares the list with it. */
  total_path?: string | null | undefined
  /** Response header with the number of records in the whole list, as `total_path`. */
  total_header?: string | null | undefined
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
  /** Query parameter for the cursor. Default: `cursor`, unless `cursor_body_path` is given. */
  cursor_param?: string | null | undefined
  /** Place of the cursor in the JSON or form body. */
  cursor_body_path?: string | null | undefined
  /**
   * The API's documentation says that a missing link or cursor is the end of the list. Without it, a list of one page is `unproven`.
   *
   * Default: `false`.
   */
  stop_when_missing?: boolean | undefined
  /** JSONPath of a flag that says whether there is another page. Where it is missing or null, the rest of the answer decides. */
  has_more_path?: string | null | undefined
  /** JSONPath of a boolean that is true on the last page. */
  done_path?: string | null | undefined
  /**
   * A page without records ends the list, even if it leads to another page.
   *
   * Default: `false`.
   */
  stop_after_empty_page?: boolean | undefined
  /** JSONPath of the number of records in the whole list. It does not end the list; Sluice compares the list with it. */
  total_path?: string | null | undefined
  /** Response header with the number of records in the whole list, as `total_path`. */
  total_header?: string | null | undefined
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
   * Query parameter for the cursor.
   *
   * Default: `cursor`.
   */
  cursor_param?: string | undefined
  /**
   * The API's documentation says that a missing link or cursor is the end of the list. Without it, a list of one page is `unproven`.
   *
   * Default: `false`.
   */
  stop_when_missing?: boolean | undefined
  /** JSONPath of a flag that says whether there is another page. Where it is missing or null, the rest of the answer decides. */
  has_more_path?: string | null | undefined
  /** JSONPath of a boolean that is true on the last page. */
  done_path?: string | null | undefined
  /**
   * A page without records ends the list, even if it leads to another page.
   *
   * Default: `false`.
   */
  stop_after_empty_page?: boolean | undefined
  /** JSONPath of the number of records in the whole list. It does not end the list; Sluice compares the list with it. */
  total_path?: string | null | undefined
  /** Response header with the number of records in the whole list, as `total_path`. */
  total_header?: string | null | undefined
}

/** Sends the value of a field of the last record, as `since_id` or `starting_after`, until a page is empty, or a flag or a short page ends the list. */
export interface KeysetPaginatorConfig {
  /** Sends the value of a field of the last record, as `since_id` or `starting_after`, until a page is empty, or a flag or a short page ends the list. */
  type: 'keyset'
  /**
   * Field of a record, as a name or JSONPath. Its value in the last record is sent with the next request.
   *
   * Example: `id`.
   */
  field: string
  /**
   * Query parameter for the value.
   *
   * Example: `since_id`.
   */
  param?: string | null | undefined
  /** Place of the value in the JSON or form body. */
  body_path?: string | null | undefined
  /**
   * Which record of a page gives the value: the last one, or that with the greatest or smallest value.
   *
   * Allowed: `last`, `greatest`, `least`.
   *
   * Default: `last`.
   */
  pick?: 'last' | 'greatest' | 'least' | undefined
  /**
   * The API gives records with the value that is sent once more. Those that were read before are left out, by the primary key.
   *
   * Default: `false`.
   */
  inclusive?: boolean | undefined
  /**
   * Several records may have one value. The next request then begins before the last value of a page.
   *
   * Default: `false`.
   */
  ties?: boolean | undefined
  /** Value of the first request. */
  start?: string | number | null | undefined
  /** Records per page, sent with every request. 0: none is sent. */
  limit: number
  /** Query parameter for the limit. Default: `limit`, unless `limit_body_path` is given. */
  limit_param?: string | null | undefined
  /** Place of the limit in the body. */
  limit_body_path?: string | null | undefined
  /**
   * A page with fewer records than `limit` is the last one.
   *
   * Default: `false`.
   */
  stop_after_short_page?: boolean | undefined
  /** JSONPath of a flag that says whether there is another page. Where it is missing or null, the rest of the answer decides. */
  has_more_path?: string | null | undefined
  /** JSONPath of a boolean that is true on the last page. */
  done_path?: string | null | undefined
  /**
   * A page without records ends the list.
   *
   * Default: `true`.
   */
  stop_after_empty_page?: boolean | undefined
  /** JSONPath of the number of records in the whole list. It does not end the list; Sluice compares the list with it. */
  total_path?: string | null | undefined
  /** Response header with the number of records in the whole list, as `total_path`. */
  total_header?: string | null | undefined
}

/** Counts pages up to a total, an empty page, `has_more_path` or `maximum_page`. */
export interface PageNumberPaginatorConfig {
  /** Counts pages up to a total, an empty page, `has_more_path` or `maximum_page`. */
  type: 'page_number'
  /** The API's number of its first page. Default: 0. An empty page 0 proves nothing then: it is empty too where an API counts from 1. */
  base_page?: number | null | undefined
  /** First page to request. Default: `base_page`. */
  page?: number | null | undefined
  /** Query parameter for the number. Default: `page`, unless `page_body_path` is given. */
  page_param?: string | null | undefined
  /** Place of the number in the body. */
  page_body_path?: string | null | undefined
  /** JSONPath of the number of pages, `total` if absent; null: there is none. Under the default path it may be missing from answers. */
  total_path?: string | null | undefined
  /** The list ends before this page number. */
  maximum_page?: number | null | undefined
  /**
   * A page without records ends the list.
   *
   * Default: `true`.
   */
  stop_after_empty_page?: boolean | undefined
  /** JSONPath of a flag: false ends the list, as a total that is reached does. Where it is missing or null, the other ends decide. */
  has_more_path?: string | null | undefined
  /** JSONPath of a boolean: true ends the list. */
  done_path?: string | null | undefined
  /** Response header with the number of pages, instead of `total_path`. */
  total_header?: string | null | undefined
}

/** Counts records up to a total, an empty page, `has_more_path` or `maximum_offset`. Where the API gives fewer than `limit` although there is more, the offset advances by what arrived. */
export interface OffsetPaginatorConfig {
  /** Counts records up to a total, an empty page, `has_more_path` or `maximum_offset`. Where the API gives fewer than `limit` although there is more, the offset advances by what arrived. */
  type: 'offset'
  /** Records per page, sent with every request. 0: no limit is sent, and the API decides. */
  limit: number
  /**
   * First offset.
   *
   * Default: `0`.
   */
  offset?: number | undefined
  /** Query parameter for the offset. Default: `offset`, unless `offset_body_path` is given. */
  offset_param?: string | null | undefined
  /** Place of the offset in the body. */
  offset_body_path?: string | null | undefined
  /** Text of that parameter with `{offset}` in it, for APIs that want more than the number, as `{offset},50`. */
  offset_template?: string | null | undefined
  /** Query parameter for the limit. Default: `limit`, unless `limit_body_path` is given. */
  limit_param?: string | null | undefined
  /** Place of the limit in the body. */
  limit_body_path?: string | null | undefined
  /** JSONPath of the number of records, `total` if absent; null: there is none. Under the default path it may be missing from answers. */
  total_path?: string | null | undefined
  /** The list ends before this offset. */
  maximum_offset?: number | null | undefined
  /**
   * A page without records ends the list.
   *
   * Default: `true`.
   */
  stop_after_empty_page?: boolean | undefined
  /** JSONPath of a flag: false ends the list, as a total that is reached does. Where it is missing or null, the other ends decide. */
  has_more_path?: string | null | undefined
  /** JSONPath of a boolean: true ends the list. */
  done_path?: string | null | undefined
  /** Response header with the number of records, instead of `total_path`. */
  total_header?: string | null | undefined
}

export type PaginatorKeys =
  | AutoPaginatorConfig
  | SinglePagePaginatorConfig
  | JsonLinkPaginatorConfig
  | HeaderLinkPaginatorConfig
  | CursorPaginatorConfig
  | HeaderCursorPaginatorConfig
  | KeysetPaginatorConfig
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
  | OwnPaginator

export interface AnswerConditionConfig {
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
   * JSONPath in the body. `equals`, `in` or `exists` say what must be there; without them, anything but null.
   *
   * Example: `error.code`.
   */
  json_path?: string | null | undefined
  /** A value at `json_path` is this one. Numbers and texts of the same digits are equal. */
  equals?: string | number | boolean | bigint | null | undefined
  /**
   * A value at `json_path` is one of these.
   *
   * Example: `["throttled",429]`.
   */
  in?: readonly (string | number | boolean | bigint | null)[] | null | undefined
  /** Whether there is a value at `json_path`. Null is none. */
  exists?: boolean | null | undefined
}

export interface WaitFromConfig {
  /**
   * Header of the answer.
   *
   * Example: `X-RateLimit-Reset`.
   */
  header?: string | null | undefined
  /**
   * JSONPath in the body.
   *
   * Example: `error.retry_after_ms`.
   */
  json_path?: string | null | undefined
  /**
   * What the value is: a time to wait, or the moment to wait for (a date, or seconds since 1970).
   *
   * Allowed: `seconds`, `milliseconds`, `date`.
   *
   * Default: `seconds`.
   */
  unit?: 'seconds' | 'milliseconds' | 'date' | null | undefined
}

export interface RetryConfig {
  /**
   * Most requests, including the first.
   *
   * Default: `4`.
   */
  attempts?: number | null | undefined
  /**
   * Statuses after which the request is sent again.
   *
   * Default: `[429,500,502,503,504]`.
   */
  statuses?: readonly (number | string)[] | null | undefined
  /**
   * Whether to retry after a dropped connection or a timeout.
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
   * Each wait is this many times longer than the one before.
   *
   * Default: `2`.
   */
  factor?: number | null | undefined
  /**
   * Longest wait between two attempts, in seconds.
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
  /** A successful answer that contains this text is retried too. */
  body_contains?: string | readonly string[] | null | undefined
  /**
   * Answers that are retried too, whatever their status: those that meet one of these conditions.
   *
   * Example: `[{"json_path":"status","in":["busy","throttled"]}]`.
   */
  when?: readonly AnswerConditionConfig[] | null | undefined
  /** Where an answer says how long to wait, if not in `Retry-After`. */
  wait_from?: WaitFromConfig | null | undefined
}

export interface RateLimitConfig {
  /** Most requests in an interval. */
  requests?: number | null | undefined
  /**
   * Length of the interval in seconds.
   *
   * Default: `1`.
   */
  per?: number | null | undefined
  /** Most requests at the same time. */
  max_concurrency?: number | null | undefined
}

export interface ClientConfig {
  /**
   * Address that paths are relative to. It may be left out if every path is absolute.
   *
   * Example: `https://api.example.com/v1/`.
   */
  base_url?: string | null | undefined
  /** Headers of every request. */
  headers?: { [name: string]: string | Secret | SecretReference } | null | undefined
  /**
   * Authentication of every request to `base_url` and `allowed_hosts`.
   *
   * Allowed: `bearer`, `api_key`, `http_basic`, `oauth2_client_credentials`, `oauth2_jwt`, `login`, `oauth2_refresh_token`, `aws_sigv4`, `hmac`, `oauth1`, `mtls`, `rotate`.
   */
  auth?: 'bearer' | 'api_key' | 'http_basic' | 'oauth2_client_credentials' | 'oauth2_jwt' | 'login' | 'oauth2_refresh_token' | 'aws_sigv4' | 'hmac' | 'oauth1' | 'mtls' | 'rotate' | AuthKeys | OwnAuthenticator | null | undefined
  /**
   * Paginator of every endpoint without one of its own.
   *
   * Allowed: `auto`, `single_page`, `json_link`, `json_response`, `header_link`, `cursor`, `header_cursor`, `page_number`, `{ type: 'keyset' }`, `{ type: 'offset' }`.
   *
   * Default: `auto`.
   */
  paginator?: 'auto' | 'single_page' | 'json_link' | 'json_response' | 'header_link' | 'cursor' | 'header_cursor' | 'page_number' | PaginatorKeys | OwnPaginator | null | undefined
  /**
   * Other hosts or origins that may receive credentials and configured headers.
   *
   * Example: `["files.example.com","http://localhost:8080"]`.
   */
  allowed_hosts?: readonly string[] | null | undefined
  /** When and how often a failed request is sent again. */
  retry?: RetryConfig | null | undefined
  /** Most requests at the same time. Without it, Sluice adapts. */
  concurrency?: number | null | undefined
  /** Rate limits of the API. */
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
   * Field of the record whose value grows, as a name or JSONPath.
   *
   * Example: `updated_at`.
   *
   * Example: `meta.at`.
   */
  cursor_path: string
  /** Where the first run begins. */
  initial_value?: string | number | boolean | bigint | null | undefined
  /**
   * Whether the greatest or the smallest value is the newest.
   *
   * Allowed: `max`, `min`.
   *
   * Default: `max`.
   */
  last_value_func?: 'max' | 'min' | null | undefined
  /**
   * Order in which the API lists records. The list ends at the first record out of range.
   *
   * Allowed: `asc`, `desc`.
   */
  row_order?: 'asc' | 'desc' | null | undefined
  /**
   * closed: records equal to the start value are loaded, unless they were loaded before. open: they are not.
   *
   * Allowed: `closed`, `open`.
   *
   * Default: `closed`.
   */
  range_start?: 'closed' | 'open' | null | undefined
  /**
   * closed: records equal to `end_value` are loaded. open: they are not.
   *
   * Allowed: `open`, `closed`.
   *
   * Default: `open`.
   */
  range_end?: 'open' | 'closed' | null | undefined
  /**
   * What to do with a record that has no cursor value.
   *
   * Allowed: `raise`, `include`, `exclude`.
   *
   * Default: `raise`.
   */
  on_cursor_value_missing?: 'raise' | 'include' | 'exclude' | null | undefined
  /** How far to look back: seconds if `initial_value` is a timestamp, days if it is a date, else an amount. Without it, the values decide. */
  lag?: number | null | undefined
  /** Key that recognises records that were loaded before. Default: that of the resource. Empty: none. */
  primary_key?: string | readonly string[] | null | undefined
  /** true: the run reads the window from `DLT_INTERVAL_START` to `DLT_INTERVAL_END` of the environment, within `initial_value` and `end_value`, and keeps no state. Numbers are seconds. false: never. Absent: only where `DLT_ALLOW_EXTERNAL_SCHEDULERS` is true. */
  allow_external_schedulers?: boolean | null | undefined
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
  /** TypeScript: converts the cursor value into the form that the API wants. Records stay as they are. */
  convert?: ConvertFunction | null | undefined
  /** Older name of `convert`. */
  transform?: ConvertFunction | null | undefined
}

export type ParamValueConfig =
  | string
  | number
  | boolean
  | bigint
  | null
  | readonly (string | number | boolean | bigint | null)[]
  | ResolveParamConfig
  | IncrementalParamConfig
  | Secret
  | SecretReference

export interface GraphqlConfig {
  /** The query, as it is: its braces are not placeholders. Values go into `variables`. */
  query: string
  /**
   * Values of the query’s variables. May hold placeholders.
   *
   * Example: `{"first":100,"since":"{incremental.start_value}"}`.
   */
  variables?: JsonObject | null | undefined
  /** Which operation to run, if the query has several. */
  operation_name?: string | null | undefined
  /**
   * JSONPath of the Relay connection in the answer. It sets the `paginator`, by `pageInfo`, and `data_selector`, its `nodes`, where the endpoint has none.
   *
   * Example: `data.orders`.
   */
  connection?: string | null | undefined
  /**
   * The variable for the cursor of the next page.
   *
   * Default: `after`.
   */
  cursor_variable?: string | null | undefined
}

/** One JSON value. */
export interface JsonFormatConfig {
  /** One JSON value. */
  type: 'json'
  /**
   * Files to read of a zip archive: names, in which `*` stands for any text. Without it, every file is read. Their records come in the order of the archive.
   *
   * Example: `orders-*.csv`.
   *
   * Example: `["2025/orders.csv","2026/orders.csv"]`.
   */
  entries?: string | readonly string[] | null | undefined
}

/** Lines of JSON, also called NDJSON. Each value is a record. */
export interface JsonlFormatConfig {
  /** Lines of JSON, also called NDJSON. Each value is a record. */
  type: 'jsonl'
  /**
   * Files to read of a zip archive: names, in which `*` stands for any text. Without it, every file is read. Their records come in the order of the archive.
   *
   * Example: `orders-*.csv`.
   *
   * Example: `["2025/orders.csv","2026/orders.csv"]`.
   */
  entries?: string | readonly string[] | null | undefined
}

/** Comma-separated values. They stay texts, unless hints name a type. */
export interface CsvFormatConfig {
  /** Comma-separated values. They stay texts, unless hints name a type. */
  type: 'csv'
  /**
   * Text between two values. Default: `,`, and a tab for `tsv`.
   *
   * Example: `;`.
   *
   * Example: `|`.
   *
   * Example: `	`.
   */
  delimiter?: string | null | undefined
  /**
   * Character around values that hold delimiters or line breaks. `false`: quotation marks are text.
   *
   * Default: `"`.
   */
  quote?: string | false | null | undefined
  /**
   * Character before a quotation mark that is part of a value. Default: the quotation mark itself.
   *
   * Example: `\`.
   */
  escape?: string | null | undefined
  /**
   * `true`: the first line has the names · `false`: there are no names, and the columns are `column_1`, `column_2` … · a list: the names of a file that has none. To replace names, give a list and skip the line that has them.
   *
   * Default: `true`.
   */
  header?: boolean | readonly string[] | null | undefined
  /**
   * Lines to leave out at the beginning, such as a title above the names.
   *
   * Default: `0`.
   */
  skip_lines?: number | null | undefined
  /**
   * Lines that begin with this text are left out. Default: none.
   *
   * Example: `#`.
   */
  comment?: string | null | undefined
  /**
   * Files to read of a zip archive: names, in which `*` stands for any text. Without it, every file is read. Their records come in the order of the archive.
   *
   * Example: `orders-*.csv`.
   *
   * Example: `["2025/orders.csv","2026/orders.csv"]`.
   */
  entries?: string | readonly string[] | null | undefined
}

/** Tab-separated values. */
export interface TsvFormatConfig {
  /** Tab-separated values. */
  type: 'tsv'
  /**
   * Text between two values. Default: `,`, and a tab for `tsv`.
   *
   * Example: `;`.
   *
   * Example: `|`.
   *
   * Example: `	`.
   */
  delimiter?: string | null | undefined
  /**
   * Character around values that hold delimiters or line breaks. `false`: quotation marks are text.
   *
   * Default: `"`.
   */
  quote?: string | false | null | undefined
  /**
   * Character before a quotation mark that is part of a value. Default: the quotation mark itself.
   *
   * Example: `\`.
   */
  escape?: string | null | undefined
  /**
   * `true`: the first line has the names · `false`: there are no names, and the columns are `column_1`, `column_2` … · a list: the names of a file that has none. To replace names, give a list and skip the line that has them.
   *
   * Default: `true`.
   */
  header?: boolean | readonly string[] | null | undefined
  /**
   * Lines to leave out at the beginning, such as a title above the names.
   *
   * Default: `0`.
   */
  skip_lines?: number | null | undefined
  /**
   * Lines that begin with this text are left out. Default: none.
   *
   * Example: `#`.
   */
  comment?: string | null | undefined
  /**
   * Files to read of a zip archive: names, in which `*` stands for any text. Without it, every file is read. Their records come in the order of the archive.
   *
   * Example: `orders-*.csv`.
   *
   * Example: `["2025/orders.csv","2026/orders.csv"]`.
   */
  entries?: string | readonly string[] | null | undefined
}

/** XML. Attributes and elements become fields, and values stay texts. `data_selector` begins with the outermost element, as in `rss.channel.item`. */
export interface XmlFormatConfig {
  /** XML. Attributes and elements become fields, and values stay texts. `data_selector` begins with the outermost element, as in `rss.channel.item`. */
  type: 'xml'
  /**
   * Elements that are lists even if only one arrives. With the element around it, the list is there even if none arrives.
   *
   * Example: `["item"]`.
   *
   * Example: `["channel.item","order.line"]`.
   */
  list_elements?: readonly string[] | null | undefined
  /**
   * Text before the names of attributes.
   *
   * Default: `""`.
   */
  attribute_prefix?: string | null | undefined
  /**
   * The field for the text of an element that has attributes or elements, too.
   *
   * Default: `text`.
   */
  text_key?: string | null | undefined
  /**
   * Files to read of a zip archive: names, in which `*` stands for any text. Without it, every file is read. Their records come in the order of the archive.
   *
   * Example: `orders-*.csv`.
   *
   * Example: `["2025/orders.csv","2026/orders.csv"]`.
   */
  entries?: string | readonly string[] | null | undefined
}

/** A workbook of Excel (`.xlsx`). Dates become texts such as `2026-01-31`. */
export interface ExcelFormatConfig {
  /** A workbook of Excel (`.xlsx`). Dates become texts such as `2026-01-31`. */
  type: 'excel'
  /** Name or number of the sheet. Default: the first that is not hidden. */
  sheet?: string | number | null | undefined
  /**
   * `true`: the first line has the names · `false`: there are no names, and the columns are `column_1`, `column_2` … · a list: the names of a file that has none. To replace names, give a list and skip the line that has them.
   *
   * Default: `true`.
   */
  header?: boolean | readonly string[] | null | undefined
  /**
   * Rows to leave out at the beginning.
   *
   * Default: `0`.
   */
  skip_rows?: number | null | undefined
  /**
   * Files to read of a zip archive: names, in which `*` stands for any text. Without it, every file is read. Their records come in the order of the archive.
   *
   * Example: `orders-*.csv`.
   *
   * Example: `["2025/orders.csv","2026/orders.csv"]`.
   */
  entries?: string | readonly string[] | null | undefined
}

export type FormatKeys =
  | JsonFormatConfig
  | JsonlFormatConfig
  | CsvFormatConfig
  | TsvFormatConfig
  | XmlFormatConfig
  | ExcelFormatConfig

export type FormatConfig =
  | 'json'
  | 'jsonl'
  | 'csv'
  | 'tsv'
  | 'xml'
  | 'excel'
  | FormatKeys

export interface AdaptPageSizeConfig {
  /**
   * Query parameter with the size of a page. Not needed for `offset` and `keyset`, which know their limit.
   *
   * Example: `per_page`.
   */
  param?: string | null | undefined
  /**
   * Place of the size in the body instead.
   *
   * Example: `variables.first`.
   */
  body_path?: string | null | undefined
  /**
   * Fewest records of a page.
   *
   * Default: `1`.
   */
  min?: number | null | undefined
  /**
   * Statuses that say that a page is too large.
   *
   * Default: `[413,504]`.
   */
  statuses?: readonly (number | string)[] | null | undefined
  /**
   * Other answers that say so, whatever their status: those that meet one of these conditions.
   *
   * Example: `[{"json_path":"errors[*].type","equals":"MAX_NODE_LIMIT_EXCEEDED"}]`.
   */
  when?: readonly AnswerConditionConfig[] | null | undefined
}

/** How to see whether the result is there. */
export interface PollConfig {
  /** Relative to `base_url`, or absolute. `{handle}` is the handle of the job. */
  path: string
  /**
   * HTTP method.
   *
   * Allowed: `GET`, `POST`.
   *
   * Default: `GET`.
   */
  method?: 'GET' | 'POST' | null | undefined
  /** Query parameters. Texts may hold `{handle}`. */
  params?: { [name: string]: string | number | boolean | bigint | null } | null | undefined
  /**
   * JSONPath of the status of the job. Without it, the HTTP status is the status of the job.
   *
   * Example: `status`.
   */
  status_path?: string | null | undefined
  /** Statuses of a job whose result is there. */
  done: readonly (string | number | boolean | bigint | null)[]
  /**
   * Statuses of a job that will have no result. Upper and lower case are the same.
   *
   * Default: `["failed","failure","error","cancelled","canceled","aborted","expired"]`.
   */
  failed?: readonly (string | number | boolean | bigint | null)[] | null | undefined
  /** JSONPath of the reason why a job failed. Without it, the error shows the answer. */
  message_path?: string | null | undefined
  /**
   * Seconds between two looks. `Retry-After` counts more.
   *
   * Default: `5`.
   */
  every?: number | null | undefined
  /**
   * Most seconds to wait for the result in one run. The next run waits for the same job.
   *
   * Default: `3600`.
   */
  timeout?: number | null | undefined
}

/** Where the result is. */
export interface DownloadConfig {
  /**
   * JSONPath of the URL of the file in the last status, or of several URLs. A host that is not the API’s gets no credentials.
   *
   * Example: `result.url`.
   *
   * Example: `files[*].url`.
   */
  url_path?: string | null | undefined
  /** Relative to `base_url`, or absolute. `{handle}` is the handle of the job. */
  path?: string | null | undefined
  /** Query parameters. Texts may hold `{handle}`. */
  params?: { [name: string]: string | number | boolean | bigint | null } | null | undefined
}

export interface CleanupConfig {
  /** Relative to `base_url`, or absolute. `{handle}` is the handle of the job. */
  path: string
  /**
   * HTTP method.
   *
   * Allowed: `DELETE`, `POST`.
   *
   * Default: `DELETE`.
   */
  method?: 'DELETE' | 'POST' | null | undefined
}

/** An export that is ordered, waited for and downloaded. */
export interface JobConfig {
  /**
   * JSONPath of the handle of the job in the answer to the order. It may be an id or a URL.
   *
   * Example: `id`.
   *
   * Example: `job.status_url`.
   */
  handle_path?: string | null | undefined
  /**
   * Header that has the handle instead.
   *
   * Example: `Location`.
   */
  handle_header?: string | null | undefined
  /** How to see whether the result is there. */
  poll: PollConfig
  /** Where the result is. */
  download: DownloadConfig
  /** Request that removes the job once its result is read. If it fails, that is a warning. */
  cleanup?: CleanupConfig | null | undefined
  /** JSONPath of the number of records in the last status. It is compared with what arrives. */
  total_path?: string | null | undefined
}

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
   * JSONPath in the body. `equals`, `in` or `exists` say what must be there; without them, anything but null.
   *
   * Example: `error.code`.
   */
  json_path?: string | null | undefined
  /** A value at `json_path` is this one. Numbers and texts of the same digits are equal. */
  equals?: string | number | boolean | bigint | null | undefined
  /**
   * A value at `json_path` is one of these.
   *
   * Example: `["throttled",429]`.
   */
  in?: readonly (string | number | boolean | bigint | null)[] | null | undefined
  /** Whether there is a value at `json_path`. Null is none. */
  exists?: boolean | null | undefined
  /**
   * `ignore` or `stop`: the list ends here, its earlier pages stay · `skip_page`: go on with the next page · `empty`: as if the page had no records · `retry`: ask again · `fail`: fail the run · `refresh_auth`: fetch new credentials and ask again, once · `reset_pagination`: read the list from its start again, once.
   *
   * Allowed: `ignore`, `skip_page`, `stop`, `retry`, `fail`, `empty`, `refresh_auth`, `reset_pagination`.
   */
  action: 'ignore' | 'skip_page' | 'stop' | 'retry' | 'fail' | 'empty' | 'refresh_auth' | 'reset_pagination' | ResponseFunction | readonly ResponseFunction[]
  /** For `retry`: where the answer says how long to wait. */
  wait_from?: WaitFromConfig | null | undefined
  /**
   * For `fail`: the text of the error. `{path}` stands for the value at a JSONPath in the body.
   *
   * Example: `the report failed: {error.message}`.
   */
  message?: string | null | undefined
  /**
   * For `empty` and `stop`: whether such an answer proves that the list is whole.
   *
   * Default: `false`.
   */
  proves_end?: boolean | null | undefined
}

export type ResponseActionConfig =
  | ResponseActionKeys
  | ResponseFunction

export interface TokenExpiredConfig {
  /** Status of the answer. */
  status?: number | null | undefined
  /** Text in the body of the answer. */
  body?: string | null | undefined
}

export interface InitialTokenConfig {
  /**
   * Relative to `base_url`, or absolute. May hold `{resources.parent.field}`.
   *
   * Example: `users/me/profile`.
   *
   * Example: `changes/startPageToken`.
   */
  path: string
  /**
   * HTTP method.
   *
   * Allowed: `GET`, `POST`.
   *
   * Default: `GET`.
   */
  method?: 'GET' | 'POST' | null | undefined
  /** Query parameters. Those of the endpoint are not sent. */
  params?: { [name: string]: string | number | boolean | bigint | null } | null | undefined
  /** JSON body. */
  json?: JsonObject | null | undefined
  /**
   * JSONPath of the token in the answer. Default: `token_path` or `next_url_path` of `incremental`. Of several matches the first counts.
   *
   * Example: `historyId`.
   *
   * Example: `startPageToken`.
   */
  token_path?: string | null | undefined
}

export interface ChangesConfig {
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
  /** Query parameters. A list repeats the name; null leaves it out. A parameter that the path names as `{name}` goes into the path instead. */
  params?: { [name: string]: ParamValueConfig } | null | undefined
  /** JSON body. A text that is a single placeholder takes the type of its value. Members may be secrets. */
  json?: JsonObject | null | undefined
  /** A GraphQL query, sent by POST in place of `json`. It waits for the costs that answers tell, as those of Shopify and GitHub do. */
  graphql?: GraphqlConfig | null | undefined
  /** Form body as map or list of pairs, or a raw body as text. */
  data?: JsonValue | null | undefined
  /** Headers. They replace those of the client with the same name; null removes one. */
  headers?: { [name: string]: string | number | boolean | bigint | null | Secret | SecretReference } | null | undefined
  /**
   * How to get from page to page.
   *
   * Allowed: `auto`, `single_page`, `json_link`, `json_response`, `header_link`, `cursor`, `header_cursor`, `page_number`, `{ type: 'keyset' }`, `{ type: 'offset' }`.
   *
   * Default: `auto`.
   */
  paginator?: 'auto' | 'single_page' | 'json_link' | 'json_response' | 'header_link' | 'cursor' | 'header_cursor' | 'page_number' | PaginatorKeys | OwnPaginator | null | undefined
  /** JSONPath of the records in the body. Without it, Sluice looks for the list in the first page. */
  data_selector?: string | null | undefined
  /**
   * Whether the run fails if the selector matches nothing on the first page.
   *
   * Default: `true`.
   */
  data_selector_required?: boolean | null | undefined
  /**
   * How the body is written, where its content type says something else or nothing. Without it, the content type decides, and then the ending of the name.
   *
   * Allowed: `json`, `jsonl`, `csv`, `tsv`, `xml`, `excel`.
   *
   * Example: `jsonl`.
   *
   * Example: `{"type":"csv","delimiter":";"}`.
   */
  format?: 'json' | 'jsonl' | 'csv' | 'tsv' | 'xml' | 'excel' | FormatKeys | null | undefined
  /**
   * Encoding of the text, where the content type says a wrong one or none. A byte order mark counts more. Bytes that are not text in it are an error.
   *
   * Example: `windows-1252`.
   *
   * Example: `utf-16le`.
   *
   * Example: `shift_jis`.
   */
  encoding?: string | null | undefined
  /**
   * Texts that mean null. They are compared with the whole value, in nested values too.
   *
   * Example: `[""]`.
   *
   * Example: `["","N/A"]`.
   */
  null_values?: readonly string[] | null | undefined
  /**
   * For records that are lists of values: the path of the list with their names in the body, or the names. A list of names among the records is not a record.
   *
   * Example: `columns`.
   *
   * Example: `values[0]`.
   *
   * Example: `meta.columns[*].name`.
   *
   * Example: `["id","name"]`.
   */
  columns_from?: string | readonly string[] | null | undefined
  /**
   * For a map of records: the field that takes the name of each member. `data_selector` leads to the map. A value that is not an object goes into the field `value`. Where `data_selector` ends with `[*]`, the field takes the name of the list.
   *
   * Example: `id`.
   */
  key_column?: string | null | undefined
  /**
   * Pages that are too large for the API are asked for again with half the records: after 413 and 504, where no answer comes in time, and where a body is too long. No record is lost or comes twice. After good pages the size grows again.
   *
   * Example: `{"param":"per_page","min":10}`.
   */
  adapt_page_size?: AdaptPageSizeConfig | null | undefined
}

export interface WindowConfig {
  /**
   * Width of a window: an ISO 8601 duration if the cursor is a time, else an amount.
   *
   * Example: `P7D`.
   *
   * Example: `PT6H`.
   *
   * Example: `10000`.
   */
  step: string | number
  /**
   * Which windows are loaded first.
   *
   * Allowed: `oldest_first`, `newest_first`.
   *
   * Default: `oldest_first`.
   */
  order?: 'oldest_first' | 'newest_first' | null | undefined
  /**
   * How far each window also looks back over the one before it. Only with `merge`.
   *
   * Example: `P1D`.
   */
  lookback?: string | number | null | undefined
}

export interface IncrementalConfig {
  /**
   * Field of the record whose value grows, as a name or JSONPath.
   *
   * Example: `updated_at`.
   *
   * Example: `meta.at`.
   */
  cursor_path?: string | null | undefined
  /** Where the first run begins. */
  initial_value?: string | number | boolean | bigint | null | undefined
  /**
   * Whether the greatest or the smallest value is the newest.
   *
   * Allowed: `max`, `min`.
   *
   * Default: `max`.
   */
  last_value_func?: 'max' | 'min' | null | undefined
  /**
   * Order in which the API lists records. The list ends at the first record out of range.
   *
   * Allowed: `asc`, `desc`.
   */
  row_order?: 'asc' | 'desc' | null | undefined
  /**
   * closed: records equal to the start value are loaded, unless they were loaded before. open: they are not.
   *
   * Allowed: `closed`, `open`.
   *
   * Default: `closed`.
   */
  range_start?: 'closed' | 'open' | null | undefined
  /**
   * closed: records equal to `end_value` are loaded. open: they are not.
   *
   * Allowed: `open`, `closed`.
   *
   * Default: `open`.
   */
  range_end?: 'open' | 'closed' | null | undefined
  /**
   * What to do with a record that has no cursor value.
   *
   * Allowed: `raise`, `include`, `exclude`.
   *
   * Default: `raise`.
   */
  on_cursor_value_missing?: 'raise' | 'include' | 'exclude' | null | undefined
  /** How far to look back: seconds if `initial_value` is a timestamp, days if it is a date, else an amount. Without it, the values decide. */
  lag?: number | null | undefined
  /** Key that recognises records that were loaded before. Default: that of the resource. Empty: none. */
  primary_key?: string | readonly string[] | null | undefined
  /** true: the run reads the window from `DLT_INTERVAL_START` to `DLT_INTERVAL_END` of the environment, within `initial_value` and `end_value`, and keeps no state. Numbers are seconds. false: never. Absent: only where `DLT_ALLOW_EXTERNAL_SCHEDULERS` is true. */
  allow_external_schedulers?: boolean | null | undefined
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
  /** TypeScript: converts the cursor value into the form that the API wants. Records stay as they are. */
  convert?: ConvertFunction | null | undefined
  /** JSONPath of a sync token in the last answer of a list. It is kept, and the next run sends it. Instead of `cursor_path`. */
  token_path?: string | null | undefined
  /** Query parameter for the sync token. `{incremental.last_value}` puts it elsewhere. */
  token_param?: string | null | undefined
  /** JSONPath of a link in the last answer of a list, with which the next run begins. Instead of `cursor_path`. */
  next_url_path?: string | null | undefined
  /** The answer to a token that is no longer known; status 410 if absent. Everything is then read again, once. */
  token_expired?: TokenExpiredConfig | null | undefined
  /** Where the first token comes from, if the list does not give it. It is asked for before the list is read, so that no change meanwhile is lost. */
  initial_token?: InitialTokenConfig | null | undefined
  /** Where the next runs read what changed, if not from the endpoint. Keys that are left out are those of the endpoint; `params` and `json` are merged with its own. */
  changes?: ChangesConfig | null | undefined
  /** End of a backfill. The run then neither reads nor writes state. Needs `initial_value`. */
  end_value?: string | number | boolean | bigint | null | undefined
  /** Query parameter for the value to start from. */
  start_param?: string | null | undefined
  /** Query parameter for `end_value`. */
  end_param?: string | null | undefined
  /**
   * Whether each record of the parent has a cursor of its own, so that a new one is read from the beginning. The parent needs a `primary_key`.
   *
   * Default: `false`.
   */
  per_parent?: boolean | null | undefined
  /** How `sluice backfill` cuts the range of the cursor. Each window is a load of its own. */
  window?: WindowConfig | null | undefined
}

export interface PartitionConfig {
  /**
   * What a partition is. `values`: one record of the parent, which is a list in the file (`records`) · `parents`: a slice of the records of the parent, by their keys · `pages`: so many pages of the list itself, whose answers tell its length.
   *
   * Allowed: `values`, `parents`, `pages`.
   */
  by: 'values' | 'parents' | 'pages'
  /**
   * With `parents`: how many slices. Each reads the list of the parents again, and the lists of its own ones.
   *
   * Example: `16`.
   */
  slices?: number | null | undefined
  /**
   * With `pages`: how many. Each partition also reads the page before its first one.
   *
   * Example: `100`.
   */
  pages?: number | null | undefined
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
  /** Query parameters. A list repeats the name; null leaves it out. A parameter that the path names as `{name}` goes into the path instead. */
  params?: { [name: string]: ParamValueConfig } | null | undefined
  /** JSON body. A text that is a single placeholder takes the type of its value. Members may be secrets. */
  json?: JsonObject | null | undefined
  /** A GraphQL query, sent by POST in place of `json`. It waits for the costs that answers tell, as those of Shopify and GitHub do. */
  graphql?: GraphqlConfig | null | undefined
  /** Form body as map or list of pairs, or a raw body as text. */
  data?: JsonValue | null | undefined
  /** Headers. They replace those of the client with the same name; null removes one. */
  headers?: { [name: string]: string | number | boolean | bigint | null | Secret | SecretReference } | null | undefined
  /**
   * How to get from page to page.
   *
   * Allowed: `auto`, `single_page`, `json_link`, `json_response`, `header_link`, `cursor`, `header_cursor`, `page_number`, `{ type: 'keyset' }`, `{ type: 'offset' }`.
   *
   * Default: `auto`.
   */
  paginator?: 'auto' | 'single_page' | 'json_link' | 'json_response' | 'header_link' | 'cursor' | 'header_cursor' | 'page_number' | PaginatorKeys | OwnPaginator | null | undefined
  /** JSONPath of the records in the body. Without it, Sluice looks for the list in the first page. */
  data_selector?: string | null | undefined
  /**
   * Whether the run fails if the selector matches nothing on the first page.
   *
   * Default: `true`.
   */
  data_selector_required?: boolean | null | undefined
  /**
   * How the body is written, where its content type says something else or nothing. Without it, the content type decides, and then the ending of the name.
   *
   * Allowed: `json`, `jsonl`, `csv`, `tsv`, `xml`, `excel`.
   *
   * Example: `jsonl`.
   *
   * Example: `{"type":"csv","delimiter":";"}`.
   */
  format?: 'json' | 'jsonl' | 'csv' | 'tsv' | 'xml' | 'excel' | FormatKeys | null | undefined
  /**
   * Encoding of the text, where the content type says a wrong one or none. A byte order mark counts more. Bytes that are not text in it are an error.
   *
   * Example: `windows-1252`.
   *
   * Example: `utf-16le`.
   *
   * Example: `shift_jis`.
   */
  encoding?: string | null | undefined
  /**
   * Texts that mean null. They are compared with the whole value, in nested values too.
   *
   * Example: `[""]`.
   *
   * Example: `["","N/A"]`.
   */
  null_values?: readonly string[] | null | undefined
  /**
   * For records that are lists of values: the path of the list with their names in the body, or the names. A list of names among the records is not a record.
   *
   * Example: `columns`.
   *
   * Example: `values[0]`.
   *
   * Example: `meta.columns[*].name`.
   *
   * Example: `["id","name"]`.
   */
  columns_from?: string | readonly string[] | null | undefined
  /**
   * For a map of records: the field that takes the name of each member. `data_selector` leads to the map. A value that is not an object goes into the field `value`. Where `data_selector` ends with `[*]`, the field takes the name of the list.
   *
   * Example: `id`.
   */
  key_column?: string | null | undefined
  /**
   * Pages that are too large for the API are asked for again with half the records: after 413 and 504, where no answer comes in time, and where a body is too long. No record is lost or comes twice. After good pages the size grows again.
   *
   * Example: `{"param":"per_page","min":10}`.
   */
  adapt_page_size?: AdaptPageSizeConfig | null | undefined
  /** The request orders an export; its records are in the file that comes of it. */
  job?: JobConfig | null | undefined
  /** What to do with certain answers. The first that matches counts. */
  response_actions?: readonly ResponseActionConfig[] | null | undefined
  /** Load only what is new. */
  incremental?: IncrementalConfig | null | undefined
  /**
   * Replaces `client.auth`. null: no authentication.
   *
   * Allowed: `bearer`, `api_key`, `http_basic`, `oauth2_client_credentials`, `oauth2_jwt`, `login`, `oauth2_refresh_token`, `aws_sigv4`, `hmac`, `oauth1`, `mtls`, `rotate`.
   */
  auth?: 'bearer' | 'api_key' | 'http_basic' | 'oauth2_client_credentials' | 'oauth2_jwt' | 'login' | 'oauth2_refresh_token' | 'aws_sigv4' | 'hmac' | 'oauth1' | 'mtls' | 'rotate' | AuthKeys | OwnAuthenticator | null | undefined
  /** Replaces keys of `client.retry`. */
  retry?: RetryConfig | null | undefined
  /**
   * Seconds to wait for an answer, and for each part of it. The whole of a body may take ten times as long, and a second more for each 16 KiB; one that only drips is given up then.
   *
   * Default: `60`.
   */
  timeout?: number | null | undefined
  /** Most pages of one list. */
  max_pages?: number | null | undefined
  /** Most records of one list. The last page is loaded whole. */
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
   * Text between the values of a batch.
   *
   * Default: `,`.
   */
  batch_separator?: string | null | undefined
  /**
   * For which records of the parent the list is read. `parent_changed`: only for those that are new, or not as they were when their list was last read and committed · `parent_newer`: only for those that changed since, by the field of `changed_by`; the state keeps its greatest value instead of every record. The parent needs a `primary_key`. What was not read stays as it is, and the receipt says `unproven`.
   *
   * Allowed: `always`, `parent_changed`, `parent_newer`.
   *
   * Default: `always`.
   */
  read_when?: 'always' | 'parent_changed' | 'parent_newer' | null | undefined
  /**
   * Fields of the parent’s record that tell a change. Without it, any change of the record counts. `parent_newer` needs one field, which grows with each change.
   *
   * Example: `updated_at`.
   *
   * Example: `["version","comments_count"]`.
   */
  changed_by?: string | readonly string[] | null | undefined
  /** How `sluice backfill` cuts a list that has no cursor. Each partition is a load of its own. The parent, or the list itself with `pages`, needs a `primary_key`. */
  partition?: PartitionConfig | null | undefined
  /**
   * What to do where a placeholder `{resources.parent.field}` finds null. `fail`: the run fails · `skip`: that record of the parent has no list, also if it has no such field · `omit`: leave out the parameter, header or member of the body. Without `on_null` the run fails too, but a member of a JSON body that is nothing but the placeholder is sent as null.
   *
   * Allowed: `fail`, `skip`, `omit`.
   */
  on_null?: 'fail' | 'skip' | 'omit' | null | undefined
  /** How many pages to request ahead. 0: one page after the other. */
  read_ahead?: number | null | undefined
}

export interface ProcessingStepConfig {
  /** Keeps records for which it returns true. */
  filter?: RecordFunction<boolean> | null | undefined
  /** Replaces a record. */
  map?: RecordFunction<MadeRecord> | null | undefined
  /** Replaces a record by several. */
  yield_map?: RecordFunction<Iterable<MadeRecord>> | null | undefined
}

export interface WriteDispositionKeys {
  /**
   * What happens to rows that are there already.
   *
   * Allowed: `append`, `replace`, `merge`, `skip`.
   */
  disposition: 'append' | 'replace' | 'merge' | 'skip'
  /**
   * How rows are merged. Only with `disposition: merge`.
   *
   * Allowed: `delete-insert`, `upsert`, `insert-only`, `scd2`, `cdc`.
   *
   * Default: `delete-insert`.
   */
  strategy?: 'delete-insert' | 'upsert' | 'insert-only' | 'scd2' | 'cdc' | null | undefined
  /**
   * `delete-insert`: true promises that each key arrives once. Sluice then does not look for duplicates.
   *
   * Default: `false`.
   */
  deduplicated?: boolean | null | undefined
  /**
   * `scd2`: names of the two columns with the start and the end of a row’s validity.
   *
   * Default: `["_dlt_valid_from","_dlt_valid_to"]`.
   */
  validity_column_names?: readonly [string, string] | null | undefined
  /**
   * `scd2`: end date of rows that are still valid. Default: NULL.
   *
   * Example: `9999-12-31`.
   */
  active_record_timestamp?: string | null | undefined
  /** `scd2`: the moment of the change. It stays in the schema for runs that leave it out; null: the start of each load again, as before the first. */
  boundary_timestamp?: string | null | undefined
  /** `scd2`: column with the hash of a row, if the records have one. `upsert`, `cdc`: with `skip_unchanged_rows`, the only column that is compared. */
  row_version_column_name?: string | null | undefined
  /**
   * SQL condition on the rows that arrived: only rows that meet it are merged, with what is nested in them. Not with `insert-only`.
   *
   * Example: `status <> 'draft'`.
   */
  source_filter?: string | null | undefined
  /**
   * `delete-insert`, `scd2`, `cdc`: SQL condition on the rows of the table. Only rows that meet it are deleted or ended; `delete-insert` deletes all of them. Used instead of keys. `{table}` stands for the table, `{staging_table}` for the rows that arrived.
   *
   * Example: `day IN (SELECT day FROM {staging_table})`.
   */
  destination_scope?: string | null | undefined
  /**
   * `upsert`, `cdc`: true leaves a row alone that is equal to the one that arrived.
   *
   * Default: `false`.
   */
  skip_unchanged_rows?: boolean | null | undefined
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
   * Type of the column. Without it, the first value decides.
   *
   * Allowed: `text`, `double`, `bool`, `timestamp`, `bigint`, `binary`, `json`, `decimal`, `wei`, `date`, `time`.
   */
  data_type?: 'text' | 'double' | 'bool' | 'timestamp' | 'bigint' | 'binary' | 'json' | 'decimal' | 'wei' | 'date' | 'time' | null | undefined
  /**
   * Whether the column may be NULL.
   *
   * Default: `true`.
   */
  nullable?: boolean | null | undefined
  /** Bits of a bigint, bytes of a text, digits of a decimal, or digits of a second. */
  precision?: number | null | undefined
  /** Digits after the point of a decimal. */
  scale?: number | null | undefined
  /**
   * true: a timestamp with time zone. false: without.
   *
   * Default: `true`.
   */
  timezone?: boolean | null | undefined
  /** Comment on the column, stored with the schema. */
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
  /** Merge: a row with true in this column is deleted at the destination. In a column that is not boolean, any value but NULL counts as true. */
  hard_delete?: boolean | null | undefined
  /**
   * Merge: if several rows have the same key, the first in this order stays.
   *
   * Allowed: `asc`, `desc`.
   */
  dedup_sort?: 'asc' | 'desc' | null | undefined
  /** The column holds the cursor of incremental loading. */
  incremental?: boolean | null | undefined
  /** The column was made for values that did not fit another column. */
  variant?: boolean | null | undefined
  [key: `x-${string}`]: JsonValue | undefined
}

export type ColumnsConfig =
  | { [name: string]: ColumnConfig | null }
  | readonly ColumnConfig[]

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
   * Values of another type than the column has.
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
   * Columns that identify a row. Incremental loading also uses them to recognise records that it has loaded.
   *
   * Example: `id`.
   *
   * Example: `["shop","day"]`.
   */
  primary_key?: string | readonly string[] | null | undefined
  /** Merge: all old rows with a value that arrives in these columns are deleted first. */
  merge_key?: string | readonly string[] | null | undefined
  /**
   * Hints for columns: a map from name to hints, or a list of hints with names.
   *
   * Example: `{"created_at":{"data_type":"timestamp"}}`.
   */
  columns?: ColumnsConfig | null | undefined
  /**
   * Which changes of the schema are allowed: new tables, new columns, other types.
   *
   * Allowed: `evolve`, `freeze`, `discard_row`, `discard_value`.
   *
   * Default: `evolve`.
   */
  schema_contract?: 'evolve' | 'freeze' | 'discard_row' | 'discard_value' | SchemaContractKeys | null | undefined
  /** How many levels of nested lists become tables. Deeper lists stay JSON. */
  max_table_nesting?: number | null | undefined
  /**
   * Table format, where the destination has several.
   *
   * Allowed: `iceberg`, `delta`, `hive`, `native`.
   */
  table_format?: 'iceberg' | 'delta' | 'hive' | 'native' | null | undefined
  /** Format of the files of the table where rows are kept as files: `parquet`, `jsonl` or `csv`. Elsewhere stored for dlt, and without effect. */
  file_format?: string | null | undefined
  /** References to other tables, stored with the schema. */
  references?: readonly JsonObject[] | null | undefined
}

export interface MaxAgeConfig {
  /**
   * Field of the record with a time, as a name or JSONPath.
   *
   * Example: `updated_at`.
   */
  path: string
  /**
   * Greatest age of the newest time, as an ISO 8601 duration of weeks, days, hours, minutes and seconds.
   *
   * Example: `P1D`.
   *
   * Example: `PT6H`.
   */
  duration: string
}

export interface ExpectationsConfig {
  /** Fewest records that must arrive. */
  min_records?: number | null | undefined
  /**
   * Greatest share by which the number of records may differ from that of the last committed load of the resource. 0.2: a fifth more or less.
   *
   * Example: `0.2`.
   */
  max_change?: number | null | undefined
  /** How old the newest record may be. */
  max_age?: MaxAgeConfig | null | undefined
  /**
   * Fields that every record must have, as names or JSONPaths. Null counts as missing.
   *
   * Example: `["email","customer.id"]`.
   */
  not_null?: readonly string[] | null | undefined
  /**
   * Fields whose values must occur once in the run. A list in the list: their values together. Records without a value are left out. The first million values are remembered.
   *
   * Example: `["email",["shop","number"]]`.
   */
  unique?: readonly (string | readonly string[])[] | null | undefined
}

export interface CompleteNestedConfig {
  /**
   * Completes the list of records for which this expression (CEL) is true.
   *
   * Example: `size(record.labels) >= 10`.
   */
  when?: string | null | undefined
  /**
   * JSONPath in the record of a boolean: true where the list goes on.
   *
   * Example: `labels.pageInfo.hasNextPage`.
   */
  has_more_path?: string | null | undefined
  /**
   * JSONPath in the record of the length of the list. What is there in the end is compared with it.
   *
   * Example: `fields.comment.total`.
   */
  total_path?: string | null | undefined
  /**
   * true: the endpoint gives what comes after the records that are there. false: it gives the whole list, which takes their place.
   *
   * Default: `false`.
   */
  append?: boolean | null | undefined
  /**
   * Where the list of one record is read. A text is the `path`. It names fields of the record as `{resources.name.field}`; `name` is this resource.
   *
   * Example: `issues/{resources.issues.number}/labels`.
   */
  endpoint: string | EndpointConfig
}

export interface ResourceKeys<Table extends string = string> {
  /** Where the records are. A text is the `path`. */
  endpoint?: string | EndpointConfig | null | undefined
  /**
   * The records themselves, or in TypeScript a generator of them, in place of `endpoint`.
   *
   * Example: `[{"id":"eu"},{"id":"us"}]`.
   */
  records?: readonly JsonObject[] | RecordsFunction | null | undefined
  /** Fields of the parent’s record to copy into the child. Field `id` of parent `orders` becomes `_orders_id`. */
  include_from_parent?: readonly string[] | null | undefined
  /** TypeScript: functions that see each record, in order. */
  processing_steps?: readonly ProcessingStepConfig[] | null | undefined
  /**
   * Keeps records for which this expression (CEL) is true. Rows that were loaded earlier stay.
   *
   * Example: `record.status != 'draft'`.
   *
   * Example: `has(record.amount) && record.amount >= 100.0`.
   */
  filter?: string | null | undefined
  /**
   * New fields, by expressions (CEL) of the record as the API sent it.
   *
   * Example: `{"full_name":"record.first + ' ' + record.last","city":"record.address.?city.orValue(null)"}`.
   */
  add?: { [name: string]: string } | null | undefined
  /**
   * New names of fields of the record, by their old names.
   *
   * Example: `{"ID":"id"}`.
   */
  rename?: { [name: string]: string } | null | undefined
  /**
   * The only fields to keep, by the names of `rename` and `add`. A path leads into objects and lists.
   *
   * Example: `["id","customer.name"]`.
   */
  select?: readonly string[] | null | undefined
  /**
   * Fields to leave out. A path leads into objects and lists.
   *
   * Example: `["raw","customer.address"]`.
   */
  drop?: readonly string[] | null | undefined
  /**
   * What nobody may see, by its path in the record: through lists, `*` is any member, `$..` any depth. `hash`: an HMAC of the value, the same in every run · `redact`: `***` · `drop`: left out · `last4`: its last four characters. Applied before an answer is journaled. A path adds to those of the defaults; null cancels one.
   *
   * Example: `{"email":"hash","contacts.phone":"last4","$..ssn":"drop"}`.
   */
  mask?: { [name: string]: 'hash' | 'redact' | 'drop' | 'last4' | null } | null | undefined
  /**
   * The secret key of `hash`, at least 16 characters. Another salt gives other hashes.
   *
   * Example: `${secrets.mask_salt}`.
   */
  mask_salt?: Secret | SecretReference | null | undefined
  /** Accepted for dlt, without effect. Lists are always read in parallel; `--concurrency` and `client.concurrency` set the limit. */
  parallelized?: boolean | null | undefined
  /**
   * false: the records are read for child resources only and get no table.
   *
   * Default: `true`.
   */
  selected?: boolean | null | undefined
  /** Name of the table. Default: the name of the resource. */
  table_name?: Table | RecordFunction<string> | null | undefined
  /**
   * What happens to rows that are there already.
   *
   * Allowed: `append`, `replace`, `merge`, `skip`.
   *
   * Default: `append`.
   */
  write_disposition?: 'append' | 'replace' | 'merge' | 'skip' | WriteDispositionKeys | null | undefined
  /**
   * Columns that identify a row. Incremental loading also uses them to recognise records that it has loaded.
   *
   * Example: `id`.
   *
   * Example: `["shop","day"]`.
   */
  primary_key?: string | readonly string[] | null | undefined
  /** Merge: all old rows with a value that arrives in these columns are deleted first. */
  merge_key?: string | readonly string[] | null | undefined
  /**
   * Hints for columns: a map from name to hints, or a list of hints with names.
   *
   * Example: `{"created_at":{"data_type":"timestamp"}}`.
   */
  columns?: ColumnsConfig | null | undefined
  /**
   * Which changes of the schema are allowed: new tables, new columns, other types.
   *
   * Allowed: `evolve`, `freeze`, `discard_row`, `discard_value`.
   *
   * Default: `evolve`.
   */
  schema_contract?: 'evolve' | 'freeze' | 'discard_row' | 'discard_value' | SchemaContractKeys | null | undefined
  /** How many levels of nested lists become tables. Deeper lists stay JSON. */
  max_table_nesting?: number | null | undefined
  /**
   * Table format, where the destination has several.
   *
   * Allowed: `iceberg`, `delta`, `hive`, `native`.
   */
  table_format?: 'iceberg' | 'delta' | 'hive' | 'native' | null | undefined
  /** Format of the files of the table where rows are kept as files: `parquet`, `jsonl` or `csv`. Elsewhere stored for dlt, and without effect. */
  file_format?: string | null | undefined
  /** References to other tables, stored with the schema. */
  references?: readonly JsonObject[] | null | undefined
  /** Hints for nested tables, by the path of their list. */
  nested_hints?: { [name: string]: NestedHintConfig } | null | undefined
  /** What the records of a run must be. A run that breaks it is incomplete: it fails, and nothing is committed. */
  expect?: ExpectationsConfig | null | undefined
  /**
   * What happens to rows that a complete list no longer has. `soft` marks them, `hard` removes them, `with_parent` does what is done to the row of the parent, whose primary key must be in `include_from_parent`. Needs `write_disposition: merge`, a primary key and a database. Default: they stay.
   *
   * Allowed: `soft`, `hard`, `with_parent`.
   */
  deletes?: 'soft' | 'hard' | 'with_parent' | null | undefined
  /** Greatest share of a table that one run may take away. Default: 0.1. It holds for `deletes`, and for `replace` and the `destination_scope` of `delete-insert` after a list that is not known to be complete. A run that would take more fails and changes nothing. Resources that fill one table need the same share. */
  max_delete_share?: number | null | undefined
  /** Lists inside the records of which the API gives only the beginning, by their paths. They are read to their end, for the records that need it. If that fails to show a list whole, the receipt says so. */
  complete_nested?: { [name: string]: CompleteNestedConfig } | null | undefined
}

export type NamedResource<Name extends string = string> = {
  /** Name of the resource. It is also the name of its table, unless `table_name` is given, and of its state. */
  name: Name | (string & {})
}

export type ResourceConfig<Name extends string = string, Table extends string = string> =
  NamedResource<Name> & ResourceKeys<Table>

export interface ResourceDefaultsConfig<Table extends string = string> {
  /** Defaults for the keys of every endpoint. */
  endpoint?: EndpointConfig | null | undefined
  /**
   * The records themselves, or in TypeScript a generator of them, in place of `endpoint`.
   *
   * Example: `[{"id":"eu"},{"id":"us"}]`.
   */
  records?: readonly JsonObject[] | RecordsFunction | null | undefined
  /** Fields of the parent’s record to copy into the child. Field `id` of parent `orders` becomes `_orders_id`. */
  include_from_parent?: readonly string[] | null | undefined
  /** TypeScript: functions that see each record, in order. */
  processing_steps?: readonly ProcessingStepConfig[] | null | undefined
  /**
   * Keeps records for which this expression (CEL) is true. Rows that were loaded earlier stay.
   *
   * Example: `record.status != 'draft'`.
   *
   * Example: `has(record.amount) && record.amount >= 100.0`.
   */
  filter?: string | null | undefined
  /**
   * New fields, by expressions (CEL) of the record as the API sent it.
   *
   * Example: `{"full_name":"record.first + ' ' + record.last","city":"record.address.?city.orValue(null)"}`.
   */
  add?: { [name: string]: string } | null | undefined
  /**
   * New names of fields of the record, by their old names.
   *
   * Example: `{"ID":"id"}`.
   */
  rename?: { [name: string]: string } | null | undefined
  /**
   * The only fields to keep, by the names of `rename` and `add`. A path leads into objects and lists.
   *
   * Example: `["id","customer.name"]`.
   */
  select?: readonly string[] | null | undefined
  /**
   * Fields to leave out. A path leads into objects and lists.
   *
   * Example: `["raw","customer.address"]`.
   */
  drop?: readonly string[] | null | undefined
  /**
   * What nobody may see, by its path in the record: through lists, `*` is any member, `$..` any depth. `hash`: an HMAC of the value, the same in every run · `redact`: `***` · `drop`: left out · `last4`: its last four characters. Applied before an answer is journaled. A path adds to those of the defaults; null cancels one.
   *
   * Example: `{"email":"hash","contacts.phone":"last4","$..ssn":"drop"}`.
   */
  mask?: { [name: string]: 'hash' | 'redact' | 'drop' | 'last4' | null } | null | undefined
  /**
   * The secret key of `hash`, at least 16 characters. Another salt gives other hashes.
   *
   * Example: `${secrets.mask_salt}`.
   */
  mask_salt?: Secret | SecretReference | null | undefined
  /** Accepted for dlt, without effect. Lists are always read in parallel; `--concurrency` and `client.concurrency` set the limit. */
  parallelized?: boolean | null | undefined
  /**
   * false: the records are read for child resources only and get no table.
   *
   * Default: `true`.
   */
  selected?: boolean | null | undefined
  /** Name of the table. Default: the name of the resource. */
  table_name?: Table | RecordFunction<string> | null | undefined
  /**
   * What happens to rows that are there already.
   *
   * Allowed: `append`, `replace`, `merge`, `skip`.
   *
   * Default: `append`.
   */
  write_disposition?: 'append' | 'replace' | 'merge' | 'skip' | WriteDispositionKeys | null | undefined
  /**
   * Columns that identify a row. Incremental loading also uses them to recognise records that it has loaded.
   *
   * Example: `id`.
   *
   * Example: `["shop","day"]`.
   */
  primary_key?: string | readonly string[] | null | undefined
  /** Merge: all old rows with a value that arrives in these columns are deleted first. */
  merge_key?: string | readonly string[] | null | undefined
  /**
   * Hints for columns: a map from name to hints, or a list of hints with names.
   *
   * Example: `{"created_at":{"data_type":"timestamp"}}`.
   */
  columns?: ColumnsConfig | null | undefined
  /**
   * Which changes of the schema are allowed: new tables, new columns, other types.
   *
   * Allowed: `evolve`, `freeze`, `discard_row`, `discard_value`.
   *
   * Default: `evolve`.
   */
  schema_contract?: 'evolve' | 'freeze' | 'discard_row' | 'discard_value' | SchemaContractKeys | null | undefined
  /** How many levels of nested lists become tables. Deeper lists stay JSON. */
  max_table_nesting?: number | null | undefined
  /**
   * Table format, where the destination has several.
   *
   * Allowed: `iceberg`, `delta`, `hive`, `native`.
   */
  table_format?: 'iceberg' | 'delta' | 'hive' | 'native' | null | undefined
  /** Format of the files of the table where rows are kept as files: `parquet`, `jsonl` or `csv`. Elsewhere stored for dlt, and without effect. */
  file_format?: string | null | undefined
  /** References to other tables, stored with the schema. */
  references?: readonly JsonObject[] | null | undefined
  /** Hints for nested tables, by the path of their list. */
  nested_hints?: { [name: string]: NestedHintConfig } | null | undefined
  /** What the records of a run must be. A run that breaks it is incomplete: it fails, and nothing is committed. */
  expect?: ExpectationsConfig | null | undefined
  /**
   * What happens to rows that a complete list no longer has. `soft` marks them, `hard` removes them, `with_parent` does what is done to the row of the parent, whose primary key must be in `include_from_parent`. Needs `write_disposition: merge`, a primary key and a database. Default: they stay.
   *
   * Allowed: `soft`, `hard`, `with_parent`.
   */
  deletes?: 'soft' | 'hard' | 'with_parent' | null | undefined
  /** Greatest share of a table that one run may take away. Default: 0.1. It holds for `deletes`, and for `replace` and the `destination_scope` of `delete-insert` after a list that is not known to be complete. A run that would take more fails and changes nothing. Resources that fill one table need the same share. */
  max_delete_share?: number | null | undefined
}

export interface RestApiConfig<Name extends string = string, Table extends string = string> {
  /** Address of the JSON Schema, for editors. */
  $schema?: string | null | undefined
  /** The API: what all resources have in common. It may be left out if every path is absolute. */
  client?: ClientConfig | null | undefined
  /** The lists to load. A text is the name of a resource and its path. */
  resources: readonly (Name | ResourceConfig<Name, Table> | (RecordsFunction & NamedResource<Name>))[]
  /** Defaults for the keys of every resource. */
  resource_defaults?: ResourceDefaultsConfig<Table> | null | undefined
}

/** Has a `command`, a `webhook`, or both. */
export interface NotifyConfig {
  /**
   * When. `failure`: the run rejected. `incomplete`: records are missing, also where `--allow-incomplete` commits the rest. `late`: no load for longer than `late_after`. `drift`: tables or columns changed, or the contract refused something. `success`: none of these.
   *
   * Allowed: `failure`, `incomplete`, `late`, `drift`, `success`.
   *
   * Default: `["failure","incomplete","late","drift"]`.
   */
  on?: 'failure' | 'incomplete' | 'late' | 'drift' | 'success' | readonly ('failure' | 'incomplete' | 'late' | 'drift' | 'success')[] | null | undefined
  /**
   * Program and its arguments, run without a shell in the folder of the file. It gets the notice as JSON on its standard input.
   *
   * Example: `["./page-me.sh","orders"]`.
   */
  command?: readonly string[] | null | undefined
  /**
   * Address that the notice is posted to as JSON. It may be a secret.
   *
   * Example: `${secrets.chat_webhook}`.
   */
  webhook?: string | Secret | SecretReference | null | undefined
  /**
   * Key that signs the webhook by HMAC-SHA256, as Standard Webhooks does. Only as a reference.
   *
   * Example: `${secrets.notify_key}`.
   */
  secret?: string | Secret | SecretReference | null | undefined
  /**
   * The longest time between loads, as an ISO 8601 duration. After a run that loaded nothing, the last load is looked up.
   *
   * Example: `PT2H`.
   */
  late_after?: string | null | undefined
  /**
   * Longest time that notifying takes, with every retry. The run waits for it.
   *
   * Default: `10`.
   */
  max_seconds?: number | null | undefined
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
  /** Who is told of runs of this profile. Default: as without the profile; `[]`: nobody. */
  notify?: NotifyConfig | readonly NotifyConfig[] | null | undefined
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
   * Who is told after a run, a replay or a backfill: a command, or a webhook. It never fails the run. The page "In production" explains it.
   *
   * Example: `{"on":"failure","webhook":"${secrets.chat_webhook}"}`.
   */
  notify?: NotifyConfig | readonly NotifyConfig[] | null | undefined
  /**
   * Other places to load to, by name. `--profile prod` or `SLUICE_PROFILE=prod` chooses one.
   *
   * Example: `{"prod":{"destination":"${secrets.warehouse_url}","dataset":"feedback"}}`.
   */
  profiles?: { [name: string]: ProfileConfig } | null | undefined
  /**
   * When `sluice worker` runs the pipeline by itself, as five fields of cron in UTC; `CRON_TZ=Europe/Berlin 0 6 * * *` names a time zone. Other commands do not read it.
   *
   * Example: `0 * * * *`.
   */
  schedule?: string | null | undefined
  /**
   * A bucket, `s3://bucket/prefix`, that keeps the pages of a run until they are committed, so that another machine goes on with a run whose machine is gone. Settings follow a `?` and credentials come from the environment, as with the destination. Default: the working folder alone.
   *
   * Example: `s3://loads/journals`.
   *
   * Example: `${env.JOURNALS}`.
   */
  journal?: string | null | undefined
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
  /** How many levels of nested lists become tables, for resources without a value of their own. */
  max_table_nesting?: number | null | undefined
  /**
   * Adds the id of the top-level row to nested tables.
   *
   * Default: `false`.
   */
  root_key?: boolean | null | undefined
  /**
   * Schema contract of resources without one of their own.
   *
   * Allowed: `evolve`, `freeze`, `discard_row`, `discard_value`.
   */
  schema_contract?: 'evolve' | 'freeze' | 'discard_row' | 'discard_value' | SchemaContractKeys | null | undefined
  /** Accepted for dlt, without effect. Lists are always read in parallel. */
  parallelized?: boolean | null | undefined
  /** Address of the JSON Schema, for editors. */
  $schema?: string | null | undefined
  /** The API: what all resources have in common. It may be left out if every path is absolute. */
  client?: ClientConfig | null | undefined
  /** The lists to load. A text is the name of a resource and its path. */
  resources: readonly (Name | ResourceConfig<Name, Table> | (RecordsFunction & NamedResource<Name>))[]
  /** Defaults for the keys of every resource. */
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
  /** How many levels of nested lists become tables, for resources without a value of their own. */
  max_table_nesting?: number | null | undefined
  /**
   * Adds the id of the top-level row to nested tables.
   *
   * Default: `false`.
   */
  root_key?: boolean | null | undefined
  /**
   * Schema contract of resources without one of their own.
   *
   * Allowed: `evolve`, `freeze`, `discard_row`, `discard_value`.
   */
  schema_contract?: 'evolve' | 'freeze' | 'discard_row' | 'discard_value' | SchemaContractKeys | null | undefined
  /** Accepted for dlt, without effect. Lists are always read in parallel. */
  parallelized?: boolean | null | undefined
  /** Address of the JSON Schema, for editors. */
  $schema?: string | null | undefined
  /** The API: what all resources have in common. It may be left out if every path is absolute. */
  client?: ClientConfig | null | undefined
  /** The lists to load. A text is the name of a resource and its path. */
  resources: readonly (Name | ResourceConfig<Name, Table> | (RecordsFunction & NamedResource<Name>))[]
  /** Defaults for the keys of every resource. */
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
   * Who is told after a run, a replay or a backfill: a command, or a webhook. It never fails the run. The page "In production" explains it.
   *
   * Example: `{"on":"failure","webhook":"${secrets.chat_webhook}"}`.
   */
  notify?: NotifyConfig | readonly NotifyConfig[] | null | undefined
  /**
   * Other places to load to, by name. `--profile prod` or `SLUICE_PROFILE=prod` chooses one.
   *
   * Example: `{"prod":{"destination":"${secrets.warehouse_url}","dataset":"feedback"}}`.
   */
  profiles?: { [name: string]: ProfileConfig } | null | undefined
  /**
   * When `sluice worker` runs the pipeline by itself, as five fields of cron in UTC; `CRON_TZ=Europe/Berlin 0 6 * * *` names a time zone. Other commands do not read it.
   *
   * Example: `0 * * * *`.
   */
  schedule?: string | null | undefined
  /**
   * A bucket, `s3://bucket/prefix`, that keeps the pages of a run until they are committed, so that another machine goes on with a run whose machine is gone. Settings follow a `?` and credentials come from the environment, as with the destination. Default: the working folder alone.
   *
   * Example: `s3://loads/journals`.
   *
   * Example: `${env.JOURNALS}`.
   */
  journal?: string | null | undefined
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
