import { writeFile } from 'node:fs/promises'
import { fileError } from '../config/file/documentFile.js'
import type { OpenFile } from '../journal/fileSystem.js'
import { systemFiles } from '../journal/journal.js'
import { decodeInfo, encodeInfo, loadDigest } from '../journal/loads.js'
import { readRecord, scan } from '../journal/scan.js'
import { decodeResponse, encodeRecord, encodeResponse, recordId, type WarcRecord } from '../journal/warc.js'
import { replaceBy } from '../journal/wholeFile.js'
import { isJsonObject, type JsonObject } from '../json/value.js'
import type { Scrubber } from '../model/secrets/scrubber.js'
import { uriComponent } from '../model/texts/percentEncoding.js'
import type { Exchange } from './recordedExchange.js'

/** The requests of a pipeline, with the answers of the API. */
export interface Recording {
  /** Name of the pipeline. */
  readonly pipeline: string
  /** Milliseconds since the epoch: the time that the pipeline saw. */
  readonly recordedAt: number
  /** Most pages of a list, and most lists of a child resource. */
  readonly pages: number
  readonly parents: number
  /** Paths that were masked besides those of the document. */
  readonly mask: readonly string[]
  /** What each resource masked when it was recorded, as `email: hash`. Undefined: the recording is older and does not say. */
  readonly masked?: Readonly<Record<string, string>> | undefined
  /** Variables that the document names, which are no secrets. */
  readonly environment: Readonly<Record<string, string>>
  readonly exchanges: readonly Exchange[]
}

/** In the first record. Each version of the format has its own number. */
const FORMAT = 'sluice recording 1'
const ANY_FORMAT = /^sluice recording \d+$/

/** A larger file is not read into memory. */
const MOST_BYTES = 2 ** 28

/** The file of a recording: WARC 1.1, as a journal is, with a `request` record before each `response`. */
export function encodeRecording(recording: Recording, scrubber: Scrubber): Buffer {
  const { pipeline, recordedAt, pages, parents, mask, masked = {}, environment, exchanges } = recording
  // Removed for good: unlike a journal, a recording has no notes to restore secrets from.
  const forever: Scrubber = { ...scrubber, seal: bytes => ({ bytes: scrubber.bytes(bytes), seals: [] }) }
  const clean = (text: string): string => scrubber.text(text)
  const known = Object.fromEntries(Object.entries(environment).map(([name, value]) => [name, clean(value)]))
  const meta: JsonObject = { pipeline, pages, parents, mask: [...mask], masked: { ...masked }, environment: known }
  const date = new Date(recordedAt).toISOString()
  const digest = loadDigest(`recording of ${pipeline}`)
  const info = { loadId: '0', fingerprint: FORMAT, meta: { ...meta, recordedAt: date } }
  const parts: Uint8Array[] = [...encodeInfo(info, recordedAt)]
  exchanges.forEach(({ resource, bySigner, method, url, body = '', signed, answer }, index) => {
    const number = index * 2 + 1
    const at = { id: recordId(digest, number + 1), sequence: index + 1 }
    const target = clean(url)
    const { pathname, search, host } = URL.canParse(target)
      ? new URL(target)
      : { pathname: target, search: '', host: '' }
    const head = `${method} ${pathname}${search} HTTP/1.1\r\nhost: ${host}\r\n\r\n`
    parts.push(
      ...encodeRecord(
        {
          'WARC-Type': 'request',
          'WARC-Record-ID': recordId(digest, number),
          'WARC-Date': date,
          'WARC-Target-URI': target,
          'WARC-Concurrent-To': at.id,
          'Content-Type': 'application/http;msgtype=request',
          'Sluice-Resource': uriComponent(resource),
          'Sluice-Signer': bySigner ? 'yes' : undefined,
          'Sluice-Signed': signed.length === 0 ? undefined : signed.map(uriComponent).join(' '),
          'Sluice-Method': method,
        },
        [Buffer.from(head), scrubber.bytes(Buffer.from(body))],
      ),
      ...encodeResponse(
        {
          identity: { resource, request: String(index + 1) },
          response: answer,
          method,
          url,
          recordedAt,
        },
        at,
        forever,
      ),
    )
  })
  return Buffer.concat(parts)
}

/** Writes the whole file or nothing. If several processes write it at once, the last one wins. */
export async function writeRecording(path: string, bytes: Buffer): Promise<void> {
  try {
    await replaceBy(path, partial => writeFile(partial, bytes, { flag: 'wx', flush: true }))
  } catch (error) {
    throw fileError(path, `cannot be written (${(error as NodeJS.ErrnoException).code ?? 'unknown reason'})`)
  }
}

/** Reads a recording. Throws a ConfigError that names the file if it is none, or damaged. */
export async function readRecording(path: string): Promise<Recording> {
  let file: OpenFile
  try {
    file = await systemFiles.open(path, 'r')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw fileError(
      path,
      code === 'ENOENT'
        ? 'does not exist; `sluice record` makes a recording of a pipeline file'
        : `cannot be read (${code ?? 'unknown reason'})`,
    )
  }
  try {
    const size = await file.size()
    if (size > MOST_BYTES) throw fileError(path, `is larger than ${MOST_BYTES / 2 ** 20} MiB; record fewer \`--pages\``)
    return await decodeRecording(file, size, path)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EISDIR') throw fileError(path, 'is a folder, not a recording')
    throw error
  } finally {
    await file.close()
  }
}

async function decodeRecording(file: OpenFile, size: number, path: string): Promise<Recording> {
  const exchanges: Exchange[] = []
  let facts: Omit<Recording, 'exchanges'> | undefined
  let asked: WarcRecord | undefined
  let end = 0
  for await (const located of scan(file)) {
    const record = await readRecord(file, located)
    if (located.start === 0) facts = factsOf(record, path)
    const type = record.fields.get('warc-type')
    if (type === 'request') asked = record
    else if (type === 'response' && asked !== undefined) {
      exchanges.push(exchangeOf(asked, record, path))
      asked = undefined
    }
    end = located.end
  }
  if (facts === undefined) throw fileError(path, 'is not a recording of Sluice; `sluice record` makes one')
  if (end !== size || asked !== undefined)
    throw fileError(
      path,
      `is cut off or damaged after ${end} of ${size} bytes; take it from Git again, or record it anew`,
    )
  return { ...facts, exchanges }
}

function factsOf(record: WarcRecord, path: string): Omit<Recording, 'exchanges'> {
  const info = decodeInfo(record)
  if (info === undefined || !ANY_FORMAT.test(info.fingerprint))
    throw fileError(path, 'is not a recording of Sluice; `sluice record` makes one')
  if (info.fingerprint !== FORMAT)
    throw fileError(path, `is a recording of another version of Sluice (${info.fingerprint}); record it anew`)
  const { pipeline, recordedAt, pages, parents, mask, masked, environment } = info.meta
  const at = Date.parse(String(recordedAt))
  const isWhole =
    typeof pipeline === 'string' && isCount(pages) && isCount(parents) && Array.isArray(mask) && !Number.isNaN(at)
  if (!isWhole) throw fileError(path, 'lacks facts in its first record; record it anew')
  return {
    pipeline,
    recordedAt: at,
    pages,
    parents,
    mask: mask.map(String),
    masked: isJsonObject(masked) ? texts(masked) : undefined,
    environment: isJsonObject(environment) ? texts(environment) : {},
  }
}

function texts(object: JsonObject): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(object).map(([name, value]) => [name, String(value)]))
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0
}

/** Headers about an encoded body, which a recording has decoded. */
const ENCODED = new Set(['content-encoding', 'content-length', 'transfer-encoding'])

function exchangeOf(asked: WarcRecord, answered: WarcRecord, path: string): Exchange {
  const { fields, block } = asked
  const bytes = Buffer.from(block)
  const text = bytes.subarray(bytes.indexOf('\r\n\r\n') + 4).toString()
  const { response, url, identity, method } = decodeResponse(answered, undefined).answer
  const isStatus = Number.isInteger(response.status) && response.status >= 200 && response.status <= 599
  if (!isStatus || !URL.canParse(url)) throw fileError(path, `holds a broken answer, to ${url}; record it anew`)
  return {
    resource: identity.resource,
    bySigner: fields.get('sluice-signer') === 'yes',
    method,
    url,
    ...(text !== '' && { body: text }),
    signed: (fields.get('sluice-signed') ?? '')
      .split(' ')
      .filter(Boolean)
      .map(name => decoded(name, path)),
    answer: {
      ...response,
      headers: Object.fromEntries(Object.entries(response.headers).filter(([name]) => !ENCODED.has(name))),
    },
  }
}

function decoded(name: string, path: string): string {
  try {
    return decodeURIComponent(name)
  } catch {
    throw fileError(path, `holds a broken name, ${name}; record it anew`)
  }
}
