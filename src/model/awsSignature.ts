import { nodeCrypto } from './runtime/nodeCrypto.js'

/** A request as it is signed: what the server sees of it. */
export interface AwsRequest {
  readonly method: string
  /** Canonical: percent-encoded as the service wants it. */
  readonly path: string
  /** Canonical: sorted and percent-encoded, without `?`. */
  readonly query: string
  /** All that are signed, by lower-case name, `host` included. */
  readonly headers: Readonly<Record<string, string>>
  /** SHA-256 of the body in hex. */
  readonly bodySha256: string
}

export interface AwsKey {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  /** Only for temporary credentials. */
  readonly sessionToken?: string | undefined
  readonly region: string
  /** As in `s3` or `execute-api`. */
  readonly service: string
}

/**
 * The signed headers of a request with those that AWS Signature Version 4 adds
 * (https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html). `nowMs` is milliseconds since the
 * epoch.
 */
export function awsSigned(request: AwsRequest, key: AwsKey, nowMs: number): Readonly<Record<string, string>> {
  const time = new Date(nowMs).toISOString().replace(/[-:]|\.\d{3}/g, '')
  const day = time.slice(0, 8)
  const { accessKeyId, secretAccessKey, sessionToken, region, service } = key
  const headers: Record<string, string> = {
    ...request.headers,
    'x-amz-date': time,
    ...(sessionToken === undefined ? {} : { 'x-amz-security-token': sessionToken }),
  }
  const names = Object.keys(headers).sort()
  const canonical = [
    request.method,
    request.path,
    request.query,
    ...names.map(name => `${name}:${(headers[name] ?? '').trim().replace(/\s+/g, ' ')}`),
    '',
    names.join(';'),
    request.bodySha256,
  ].join('\n')
  const scope = `${day}/${region}/${service}/aws4_request`
  const toSign = ['AWS4-HMAC-SHA256', time, scope, awsSha256(canonical)].join('\n')
  const signingKey = [day, region, service, 'aws4_request'].reduce<string | Buffer>(
    (current, part) => nodeCrypto().createHmac('sha256', current).update(part).digest(),
    `AWS4${secretAccessKey}`,
  )
  const signature = nodeCrypto().createHmac('sha256', signingKey).update(toSign).digest('hex')
  return {
    ...headers,
    authorization: `AWS4-HMAC-SHA256 Credential=${accessKeyId}/${scope}, SignedHeaders=${names.join(';')}, Signature=${signature}`,
  }
}

/** In hex. */
export function awsSha256(text: string): string {
  return nodeCrypto().createHash('sha256').update(text).digest('hex')
}
