import { crc32 } from 'node:zlib'
import type { BodyPlace, RecordedResponse, ResponseIdentity } from '../model/responses.js'
import type { Scrubber, Sealed } from '../model/secrets/scrubber.js'
import { uriComponent } from '../model/texts/percentEncoding.js'

/**
 * Records of WARC/1.1 (ISO 28500), the standard archive form for HTTP. The first record of a journal is a `warcinfo`
 * with the facts of the load; each answer is one `response` record with fields of our own: `Sluice-Resource` and
 * `Sluice-Request` (its identity), `Sluice-Method`, `Sluice-Sequence`, `Sluice-Resumed` in a run that goes on after
 * another, `Sluice-Sealed` where secrets were removed, `Sluice-Doubt` where the answer may not be whole, and `Sluice-Rest`
 * where the body is a part: how many bytes of the whole were read with it, their SHA-256, and how many begin each part.
 */
export interface WarcRecord {
  /** By lower-case name. */
  readonly fields: ReadonlyMap<string, string>
  readonly block: Uint8Array
}

export interface ResponseRecord {
  readonly identity: ResponseIdentity
  readonly response: RecordedResponse
  readonly method: string
  /** Redacted. */
  readonly url: string
  /** Milliseconds since the epoch. */
  readonly recordedAt: number
  /** Number of answers that the journal had when the process that recorded this one opened it. */
  readonly after?: number | undefined
}

export interface DecodedResponse {
  readonly answer: ResponseRecord
  /** Whether every removed secret was put back. If not, `***` is in its place. */
  readonly whole: boolean
}

type Seals = Sealed['seals']

const HEAD_END = Buffer.from('\r\n\r\n')
/** The bytes after the block of every record. */
export const RECORD_END = Buffer.from('\r\n\r\n')

/** Checksum of a block for `WARC-Block-Digest`. It is cheap, and enough to notice the damage of a power cut. */
export function blockDigest(checksum: number): string {
  return `crc32:${checksum.toString(16).padStart(8, '0')}`
}

/** The buffers of a record, in the order to write them. */
export function encodeRecord(
  fields: Readonly<Record<string, string | undefined>>,
  block: readonly Uint8Array[],
): readonly Uint8Array[] {
  let length = 0
  let checksum = 0
  for (const part of block) {
    // The checksum of nothing would be 0, whatever came before.
    if (part.length === 0) continue
    length += part.length
    checksum = crc32(part, checksum)
  }
  let head = 'WARC/1.1\r\n'
  for (const name in fields) {
    const value = fields[name]
    if (value !== undefined) head += `${name}: ${value.replace(/[\r\n]+/g, ' ')}\r\n`
  }
  head += `WARC-Block-Digest: ${blockDigest(checksum)}\r\nContent-Length: ${length}\r\n\r\n`
  return [Buffer.from(head), ...block, RECORD_END]
}

/** Fields and length of the head at the start of `bytes`. Undefined if there is no complete head. */
export function parseHead(
  bytes: Buffer,
): { readonly fields: ReadonlyMap<string, string>; readonly headBytes: number } | undefined {
  const end = bytes.indexOf(HEAD_END)
  if (end < 0) return undefined
  const [version, ...lines] = bytes.toString('utf8', 0, end).split('\r\n')
  if (version !== 'WARC/1.1') return undefined
  return { fields: fieldMap(lines), headBytes: end + HEAD_END.length }
}

function fieldMap(lines: readonly string[]): ReadonlyMap<string, string> {
  const fields = new Map<string, string>()
  for (const line of lines) {
    const colon = line.indexOf(':')
    if (colon > 0) fields.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim())
  }
  return fields
}

/** Identity of record number `sequence` of a load. The same load and number give the same identity. */
export function recordId(loadDigest: string, sequence: number): string {
  const d = loadDigest
  const number = sequence.toString(16).padStart(12, '0')
  return `<urn:uuid:${d.slice(0, 8)}-${d.slice(8, 12)}-8${d.slice(12, 15)}-8${d.slice(15, 18)}-${number}>`
}

/** The record of one answer. Secrets that `scrubber` knows are removed, with a note to put them back. */
export function encodeResponse(
  answer: ResponseRecord,
  about: { readonly id: string; readonly sequence: number },
  scrubber: Scrubber,
): readonly Uint8Array[] {
  const { identity, response } = answer
  const lines = Object.entries(response.headers).map(([name, value]) => `${name}: ${value}\r\n`)
  const head = scrubber.seal(Buffer.from(`HTTP/1.1 ${response.status} \r\n${lines.join('')}\r\n`))
  const body = scrubber.seal(response.body)
  const sealed = head.seals.length + body.seals.length === 0 ? undefined : JSON.stringify([head.seals, body.seals])
  return encodeRecord(
    {
      'WARC-Type': 'response',
      'WARC-Record-ID': about.id,
      'WARC-Date': new Date(answer.recordedAt).toISOString(),
      'WARC-Target-URI': scrubber.text(answer.url),
      'Content-Type': 'application/http;msgtype=response',
      'Sluice-Resource': uriComponent(identity.resource),
      'Sluice-Request': uriComponent(identity.request),
      'Sluice-Method': answer.method,
      'Sluice-Sequence': String(about.sequence),
      'Sluice-Resumed': answer.after === undefined || answer.after === 0 ? undefined : String(answer.after),
      'Sluice-Sealed': sealed,
      'Sluice-Doubt': response.doubt,
      'Sluice-Rest': placeText(response.rest),
    },
    [head.bytes, body.bytes],
  )
}

/** Key of an answer's identity among those of its load. */
export function identityKey({ resource, request }: ResponseIdentity): string {
  return `${uriComponent(resource)} ${uriComponent(request)}`
}

/** The same key, from the fields of a response record. */
export function fieldsKey(fields: ReadonlyMap<string, string>): string {
  return `${fields.get('sluice-resource') ?? ''} ${fields.get('sluice-request') ?? ''}`
}

/** The answer in a response record. Its body is part of the record's block, unless secrets were put back. */
export function decodeResponse({ fields, block }: WarcRecord, scrubber: Scrubber | undefined): DecodedResponse {
  const bytes = Buffer.from(block.buffer, block.byteOffset, block.byteLength)
  const end = bytes.indexOf(HEAD_END) + HEAD_END.length
  const sealed = fields.get('sluice-sealed')
  const doubt = fields.get('sluice-doubt')
  const rest = placeOf(fields.get('sluice-rest'))
  const [headSeals, bodySeals]: readonly [Seals, Seals] = sealed === undefined ? [[], []] : JSON.parse(sealed)
  const unsealed = (part: Uint8Array, seals: Seals) =>
    scrubber?.unseal({ bytes: part, seals }) ?? { bytes: part, whole: seals.length === 0 }
  const headPart = unsealed(bytes.subarray(0, end), headSeals)
  const body = unsealed(bytes.subarray(end), bodySeals)
  const head = Buffer.from(headPart.bytes).toString()
  const [status = '', ...lines] = head.slice(0, -HEAD_END.length).split('\r\n')
  return {
    answer: {
      identity: {
        resource: decodeURIComponent(fields.get('sluice-resource') ?? ''),
        request: decodeURIComponent(fields.get('sluice-request') ?? ''),
      },
      response: {
        status: Number(status.split(' ')[1]),
        headers: Object.fromEntries(fieldMap(lines)),
        body: body.bytes,
        ...(doubt !== undefined && { doubt }),
        ...(rest !== undefined && { rest }),
      },
      method: fields.get('sluice-method') ?? 'GET',
      url: fields.get('warc-target-uri') ?? '',
      recordedAt: Date.parse(fields.get('warc-date') ?? ''),
    },
    whole: headPart.whole && body.whole,
  }
}

function placeText(place: BodyPlace | undefined): string | undefined {
  return place === undefined ? undefined : `${place.bytes} ${place.digest} ${place.head}`
}

function placeOf(text: string | undefined): BodyPlace | undefined {
  if (text === undefined) return undefined
  const [bytes, digest = '', head] = text.split(' ')
  return { bytes: Number(bytes), digest, head: Number(head) }
}
