import { parseJson } from '../json/parse.js'
import { isJsonObject, type JsonValue } from '../json/value.js'
import { stringifyJson } from '../json/write.js'
import { DataError } from '../model/errors.js'
import type { Witness, WitnessedAnswer, WitnessedRequest } from '../rest/api.js'
import { type Exchange, withoutSignatures } from './recordedExchange.js'

/** Keeps the requests of a pipeline in memory, so that secrets that become known later can still be removed. */
export interface Recorder extends Witness {
  /** The exchanges since the last call. */
  taken(): readonly Exchange[]
}

/** A recording belongs into Git, so it must not be larger. */
const MOST_BYTES = 2 ** 26

export function createRecorder(): Recorder {
  let exchanges: Exchange[] = []
  let bytes = 0
  const keep = ({ signed, ...asked }: WitnessedRequest, bySigner: boolean, answer: WitnessedAnswer): void => {
    bytes += answer.body.length
    if (bytes > MOST_BYTES) {
      const message = `the answers have more than ${MOST_BYTES / 2 ** 20} MiB, too much for a recording; take fewer \`--pages\`, or smaller ones`
      throw new DataError('journal', message)
    }
    exchanges.push({ ...asked, url: withoutSignatures(asked.url), bySigner, signed, answer })
  }
  return {
    answered({ body, ...asked }, { status, headers, body: content, doubt }) {
      const answer = { status, headers, body: unsignedBody(content), ...(doubt !== undefined && { doubt }) }
      keep({ ...asked, ...(body !== undefined && { body: withoutSignatures(body) }) }, false, answer)
    },
    granted({ url, method, resource, signed }, answer) {
      const { origin, pathname } = new URL(url)
      // The body and the query of an authenticator's request are secret.
      keep({ resource, method, url: `${origin}${pathname}`, signed }, true, concealed(answer))
    },
    taken() {
      const all = exchanges
      exchanges = []
      bytes = 0
      return all
    },
  }
}

function unsignedBody(body: Uint8Array): Uint8Array {
  const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('latin1')
  const clean = withoutSignatures(text)
  return clean === text ? Uint8Array.from(body) : Buffer.from(clean, 'latin1')
}

const CONCEALED = '***'

/** The answer to a login or a token request: its structure and its times, without values that may be credentials. */
function concealed({ status, headers, body }: WitnessedAnswer): WitnessedAnswer {
  return {
    status,
    headers: Object.fromEntries(
      Object.entries(headers).flatMap(([name, value]) => {
        if (name === 'set-cookie') return [[name, concealedCookies(value)]]
        if (name === 'content-type') return [[name, value]]
        return PASSING.test(name) ? [] : [[name, CONCEALED]]
      }),
    ),
    body: Buffer.from(concealedBody(Buffer.from(body).toString())),
  }
}

const PASSING =
  /^(?:age|cache-control|connection|content-(?:length|encoding)|date|etag|expires|keep-alive|pragma|server|transfer-encoding|vary|via)$/

/** Cookies are separated by commas, and dates contain commas: a cookie begins with `name=`. */
function concealedCookies(value: string): string {
  const names = value.split(/,\s*(?=[^;,=\s]+=)/).flatMap(cookie => /^\s*([^;,=\s]+)=/.exec(cookie)?.[1] ?? [])
  return names.map(name => `${name}=${CONCEALED}`).join(', ')
}

function concealedBody(text: string): string {
  if (text.trim() === '') return text
  let value: JsonValue
  try {
    value = parseJson(text)
  } catch {
    return CONCEALED
  }
  return stringifyJson(concealedValue(value, ''))
}

function concealedValue(value: JsonValue, key: string): JsonValue {
  if (typeof value === 'string') return concealedText(value, key)
  if (typeof value === 'number' || typeof value === 'bigint') return TELLS_TIME.test(key) ? value : CONCEALED
  if (Array.isArray(value)) return value.map(item => concealedValue(item, key))
  if (!isJsonObject(value)) return value
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, concealedValue(item, name)]))
}

const TELLS_TIME = /expir|ttl|lifetime|max_?age|valid|until|time|seconds|_at$|_in$/i
const KIND_OF_TOKEN = /^(?:bearer|basic|token|mac|jwt)$/i
const DATE = /^\d{4}-\d\d-\d\d(?:[T ][\d:.+Z-]*)?$/

function concealedText(text: string, key: string): string {
  if (KIND_OF_TOKEN.test(text) || DATE.test(text)) return text
  if (TELLS_TIME.test(key) && /^\d{1,13}$/.test(text)) return text
  // The answer may say where the API is.
  if (/^https?:\/\//.test(text) && URL.canParse(text)) {
    const { origin, pathname } = new URL(text)
    return `${origin}${pathname.replace(/[^/]{24,}/g, CONCEALED)}`
  }
  return CONCEALED
}
