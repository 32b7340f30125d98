import { createHash, createHmac } from 'node:crypto'
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

/**
 * All headers of a request, signed for S3 with AWS Signature Version 4
 * (https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html). `nowMs` is milliseconds since the
 * epoch.
 */
export function signed(
  request: UnsignedRequest,
  credentials: S3Credentials,
  region: string,
  nowMs: number,
): Readonly<Record<string, string>> {
  const time = new Date(nowMs).toISOString().replace(/[-:]|\.\d{3}/g, '')
  const day = time.slice(0, 8)
  const { sessionToken } = credentials
  const headers: Record<string, string> = {
    ...request.headers,
    host: request.host,
    'x-amz-content-sha256': request.bodySha256,
    'x-amz-date': time,
    ...(sessionToken === undefined ? {} : { 'x-amz-security-token': textOf(sessionToken) }),
  }
  const names = Object.keys(headers).sort()
  const canonical = [
    request.method,
    request.path,
    queryText(request.query),
    ...names.map(name => `${name}:${(headers[name] ?? '').trim().replace(/\s+/g, ' ')}`),
    '',
    names.join(';'),
    request.bodySha256,
  ].join('\n')
  const scope = `${day}/${region}/s3/aws4_request`
  const toSign = ['AWS4-HMAC-SHA256', time, scope, sha256(canonical)].join('\n')
  const key = [day, region, 's3', 'aws4_request'].reduce<string | Buffer>(
    (current, part) => createHmac('sha256', current).update(part).digest(),
    `AWS4${textOf(credentials.secretAccessKey)}`,
  )
  const signature = createHmac('sha256', key).update(toSign).digest('hex')
  return {
    ...headers,
    authorization: `AWS4-HMAC-SHA256 Credential=${credentials.accessKeyId}/${scope}, SignedHeaders=${names.join(';')}, Signature=${signature}`,
  }
}

/** A query with sorted, encoded parameters, as signed and sent. Without `?`. */
export function queryText(query: Readonly<Record<string, string>>): string {
  return Object.entries(query)
    .map(([name, value]) => `${encoded(name)}=${encoded(value)}`)
    .sort()
    .join('&')
}

/** A key as a path: percent-encodes everything but unreserved characters and `/`. */
export function pathText(key: string): string {
  return key.split('/').map(encoded).join('/')
}

function encoded(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    character => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}

function textOf(secret: Secret | string): string {
  return secret instanceof Secret ? reveal(secret) : secret
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
