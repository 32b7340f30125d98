import { awsEncoded, awsQuery, awsSigned } from '../../../model/awsSignature.js'
import { reveal, Secret } from '../../../model/secrets/secret.js'
import type { S3Credentials } from './s3Options.js'

export interface UnsignedRequest {
  readonly method: string
  /** As sent in the `host` header. */
  readonly host: string
  /** Percent-encoded, as sent. */
  readonly path: string
  readonly query: Readonly<Record<string, string>>
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>
  /** SHA-256 of the body in hex. */
  readonly bodySha256: string
}

/** All headers of a request, signed for S3. `nowMs` is milliseconds since the epoch. */
export function signed(
  { method, host, path, query, headers, bodySha256 }: UnsignedRequest,
  { accessKeyId, secretAccessKey, sessionToken }: S3Credentials,
  region: string,
  nowMs: number,
): Readonly<Record<string, string>> {
  const request = {
    method,
    path,
    query: queryText(query),
    headers: { ...headers, host, 'x-amz-content-sha256': bodySha256 },
    bodySha256,
  }
  const key = {
    accessKeyId,
    secretAccessKey: textOf(secretAccessKey),
    sessionToken: sessionToken === undefined ? undefined : textOf(sessionToken),
    region,
    service: 's3',
  }
  return awsSigned(request, key, nowMs)
}

/** A query with sorted, encoded parameters, as signed and sent. Without `?`. */
export function queryText(query: Readonly<Record<string, string>>): string {
  return awsQuery(Object.entries(query))
}

/** A key as a path: percent-encodes everything but unreserved characters and `/`. */
export function pathText(key: string): string {
  return key.split('/').map(awsEncoded).join('/')
}

function textOf(secret: Secret | string): string {
  return secret instanceof Secret ? reveal(secret) : secret
}
