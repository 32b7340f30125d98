import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { AwsV4Signer } from 'aws4fetch'

export const ACCESS_KEY_ID = 'AKIDTEST4711'
export const SECRET_ACCESS_KEY = 'test/secret+access=key-0815'
export const BUCKET = 'test-bucket'

/** What is done instead of, or after, answering a request. */
/** `xml` is the whole answer. */
export type S3Fault =
  | { readonly status: number; readonly code: string }
  | { readonly xml: string }
  | 'cut'
  | 'cut after doing it'
  | 'half'

export interface S3Double {
  readonly url: string
  readonly objects: Map<string, Buffer>
  /** `METHOD key?query` of each request. */
  readonly requests: readonly string[]
  /** The session token of each request. */
  readonly tokens: readonly (string | undefined)[]
  /** Regions that were signed for. */
  readonly regions: ReadonlySet<string>
  /** Asked for each request. */
  fault: (request: string) => S3Fault | undefined
  /** Whether `start-after` is understood. */
  skips: boolean
  /** Uploads that were begun and neither completed nor aborted. */
  readonly openUploads: () => number
  close(): Promise<void>
}

/** Keys of one page of a list. */
const PAGE = 3

/**
 * A small S3 in memory, strict where it matters: it checks signatures with a signer of other authors, digests,
 * `If-None-Match`, and pages its lists.
 */
export async function startS3Double(): Promise<S3Double> {
  const objects = new Map<string, Buffer>()
  const uploads = new Map<string, Map<number, Buffer>>()
  const uploadKeys = new Map<string, string>()
  const requests: string[] = []
  const tokens: (string | undefined)[] = []
  const regions = new Set<string>()
  let count = 0

  const act = (method: string, url: URL, headers: IncomingMessage['headers'], body: Buffer): Answer => {
    const key = decodeURIComponent(url.pathname.slice(BUCKET.length + 2))
    if (!url.pathname.startsWith(`/${BUCKET}/`)) return failure(404, 'NoSuchBucket')
    const uploadId = url.searchParams.get('uploadId') ?? ''
    if (method === 'POST' && url.searchParams.has('uploads')) {
      uploads.set(`u${++count}`, new Map())
      uploadKeys.set(`u${count}`, key)
      return xml(`<InitiateMultipartUploadResult><UploadId>u${count}</UploadId></InitiateMultipartUploadResult>`)
    }
    if (method === 'PUT' && uploadId !== '') {
      uploads.get(uploadId)?.set(Number(url.searchParams.get('partNumber')), body)
      return { status: 200, headers: { etag: `"${md5(body)}"` }, body: '' }
    }
    if (method === 'POST' && uploadId !== '') {
      const parts = [...(uploads.get(uploadId) ?? [])].sort(([a], [b]) => a - b)
      const named = [...body.toString().matchAll(/<ETag>(.*?)<\/ETag>/g)].map(([, tag]) => tag)
      if (parts.map(([, part]) => `"${md5(part)}"`).join() !== named.join()) return failure(400, 'InvalidPart')
      objects.set(key, Buffer.concat(parts.map(([, part]) => part)))
      uploads.delete(uploadId)
      return xml('<CompleteMultipartUploadResult></CompleteMultipartUploadResult>')
    }
    if (method === 'DELETE') {
      if (uploadId === '') objects.delete(key)
      else uploads.delete(uploadId)
      return { status: 204, headers: {}, body: '' }
    }
    if (method === 'PUT') {
      if (headers['if-none-match'] === '*' && objects.has(key)) return failure(412, 'PreconditionFailed')
      objects.set(key, body)
      return { status: 200, headers: { etag: `"${md5(body)}"` }, body: '' }
    }
    if (key === '' && url.searchParams.has('uploads')) return listUploads(url.searchParams)
    if (key === '') return list(url.searchParams)
    const content = objects.get(key)
    return content === undefined ? failure(404, 'NoSuchKey') : object(content, headers.range)
  }
  const list = (query: URLSearchParams): Answer => {
    const keys = [...objects.keys()].filter(key => key.startsWith(query.get('prefix') ?? '')).sort()
    const after = double.skips ? (query.get('start-after') ?? '') : ''
    const start = Number(query.get('continuation-token') ?? keys.filter(key => key <= after).length)
    const page = keys.slice(start, start + PAGE)
    const contents = page.map(
      key => `<Contents><Key>${escapeXml(key)}</Key><Size>${objects.get(key)?.length}</Size></Contents>`,
    )
    const more = start + PAGE < keys.length
    const next = more ? `<NextContinuationToken>${start + PAGE}</NextContinuationToken>` : ''
    return xml(`<ListBucketResult><IsTruncated>${more}</IsTruncated>${next}${contents.join('')}</ListBucketResult>`)
  }
  const listUploads = (query: URLSearchParams): Answer => {
    const start = [...uploads.keys()].filter(id => id <= (query.get('upload-id-marker') ?? ''))
    const open = [...uploads.keys()].slice(start.length)
    const page = open.slice(0, PAGE).map(id => ({ id, key: uploadKeys.get(id) ?? '' }))
    const entries = page.map(({ id, key }) => `<Upload><Key>${escapeXml(key)}</Key><UploadId>${id}</UploadId></Upload>`)
    const last = page.at(-1)
    const next = `<NextKeyMarker>${escapeXml(last?.key ?? '')}</NextKeyMarker><NextUploadIdMarker>${last?.id ?? ''}</NextUploadIdMarker>`
    const more = open.length > PAGE
    return xml(
      `<ListMultipartUploadsResult><IsTruncated>${more}</IsTruncated>${more ? next : ''}${entries.join('')}</ListMultipartUploadsResult>`,
    )
  }
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const body = Buffer.concat(chunks)
    const method = request.method ?? ''
    const url = new URL(request.url ?? '', double.url)
    const described = `${method} ${decodeURIComponent(url.pathname.slice(BUCKET.length + 2))}${url.search}`
    requests.push(described)
    tokens.push(request.headers['x-amz-security-token'] as string | undefined)
    regions.add(/Credential=[^/]*\/\d+\/([^/]*)/.exec(request.headers.authorization ?? '')?.[1] ?? '')
    const fault = double.fault(described)
    if (fault === 'cut') return void request.socket.destroy()
    if (typeof fault === 'object')
      return send(response, 'xml' in fault ? xml(fault.xml) : failure(fault.status, fault.code))
    const wrong = (await signatureProblem(request, url, body)) ?? digestProblem(request.headers, body)
    if (wrong !== undefined) return send(response, failure(403, wrong))
    const answer = act(method, url, request.headers, body)
    if (fault === 'cut after doing it') return void request.socket.destroy()
    if (fault === 'half') {
      const body = Buffer.from(answer.body)
      request.socket.write(`HTTP/1.1 ${answer.status} OK\r\nconnection: close\r\n\r\n`)
      return void request.socket.end(body.subarray(0, body.length / 2))
    }
    send(response, answer)
  }
  const server = createServer((request, response) => {
    handle(request, response).catch(error => send(response, failure(500, String(error))))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const double: S3Double = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    objects,
    requests,
    tokens,
    regions,
    fault: () => undefined,
    skips: true,
    openUploads: () => uploads.size,
    async close() {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
  }
  return double
}

interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | Buffer
}

/** All of an object, or the bytes of a range. */
function object(content: Buffer, range: string | undefined): Answer {
  const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(range ?? '') ?? []
  const tag = { etag: `"${md5(content)}"` }
  if (from === undefined || to === undefined) return { status: 200, headers: tag, body: content }
  const body = content.subarray(Number(from), Number(to) + 1)
  const end = Number(from) + body.length - 1
  return { status: 206, headers: { ...tag, 'content-range': `bytes ${from}-${end}/${content.length}` }, body }
}

function send(response: ServerResponse, { status, headers, body }: Answer): void {
  response.writeHead(status, headers).end(body)
}

function xml(content: string): Answer {
  return { status: 200, headers: { 'content-type': 'application/xml' }, body: `<?xml version="1.0"?>${content}` }
}

function failure(status: number, code: string): Answer {
  return { ...xml(`<Error><Code>${code}</Code><Message>no &amp; no</Message></Error>`), status }
}

async function signatureProblem(request: IncomingMessage, url: URL, body: Buffer): Promise<string | undefined> {
  const { authorization = '' } = request.headers
  const signedNames = /SignedHeaders=([^,]*)/.exec(authorization)?.[1]?.split(';') ?? []
  const sent = Object.fromEntries(signedNames.map(name => [name, String(request.headers[name])]))
  delete sent.host
  const signer = new AwsV4Signer({
    method: request.method ?? '',
    url: url.href,
    headers: sent,
    body,
    accessKeyId: ACCESS_KEY_ID,
    secretAccessKey: SECRET_ACCESS_KEY,
    service: 's3',
    region: /Credential=[^/]*\/\d+\/([^/]*)/.exec(authorization)?.[1] ?? '',
    datetime: String(request.headers['x-amz-date']),
    // This signer leaves out some headers unless it is told not to.
    allHeaders: true,
  })
  const expected = (await signer.sign()).headers.get('authorization')
  const normalised = (text: string | null): string => (text ?? '').replaceAll(', ', ',')
  return normalised(expected) === normalised(authorization) ? undefined : 'SignatureDoesNotMatch'
}

function digestProblem(headers: IncomingMessage['headers'], body: Buffer): string | undefined {
  const digest = createHash('sha256').update(body).digest()
  if (headers['x-amz-content-sha256'] !== digest.toString('hex')) return 'XAmzContentSHA256Mismatch'
  const checksum = headers['x-amz-checksum-sha256']
  return checksum === undefined || checksum === digest.toString('base64') ? undefined : 'BadDigest'
}

function md5(body: Buffer): string {
  return createHash('md5').update(body).digest('hex')
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
}
