import { inspect } from 'node:util'

const values = new WeakMap<Secret, string>()

/**
 * A value that must not be seen. It prints, serialises and interpolates as `***`; only {@link reveal} gives the text,
 * and only the signer of requests and the connecting part of a destination call that.
 */
export class Secret {
  /** Where the value came from, for messages: `API_KEY`, `.sluice/secrets.toml: api_key`. Never the value. */
  readonly origin: string

  constructor(value: string, origin = 'code') {
    values.set(this, value)
    this.origin = origin
  }

  toString(): string {
    return '***'
  }

  toJSON(): string {
    return '***'
  }

  [Symbol.toPrimitive](): string {
    return '***'
  }

  [inspect.custom](): string {
    return 'Secret(***)'
  }
}

/** The text of a secret. Allowed importers are listed in the floors test: signer, client, destinations, scrubber. */
export function reveal(secret: Secret): string {
  const value = values.get(secret)
  if (value === undefined) throw new TypeError('not a Secret of this process')
  return value
}

/**
 * The second net: removes known secret values, in every encoding they are likely to take, from text and bytes that
 * are printed or stored. The first net is the type: values should never get that far.
 */
export interface Scrubber {
  add(secret: Secret): void
  text(text: string): string
  /** The same bytes when nothing was found, else a copy. */
  bytes(bytes: Uint8Array): Uint8Array
  /** Like `bytes`, with a note of what stood where. The note holds no secret, only where each one came from. */
  seal(bytes: Uint8Array): Sealed
  /** What was sealed, as far as the same secrets are known again; elsewhere `***` remains. */
  unseal(sealed: Sealed): Uint8Array
}

export interface Sealed {
  readonly bytes: Uint8Array
  /** By origin, number among the secrets of that origin and encoding: offsets of the `***` in `bytes`, rising. */
  readonly seals: readonly (readonly [origin: string, number: number, form: number, ...offsets: number[]])[]
}

/** Values shorter than this are too common to be searched for. */
const SHORTEST_SCRUBBED = 4

interface Known {
  readonly origin: string
  readonly number: number
  /** Texts to search for, longest first. */
  readonly forms: readonly string[]
}

export function scrubber(secrets: Iterable<Secret> = []): Scrubber {
  const known = new Map<string, Known>()
  /** By what is searched for, as one character a byte. */
  let needles: Map<string, readonly [Known, number]> | undefined
  let pattern = /$^/g

  const add = (secret: Secret): void => {
    const value = reveal(secret)
    if (value.length < SHORTEST_SCRUBBED || known.has(value)) return
    const { origin } = secret
    const number = [...known.values()].filter(other => other.origin === origin).length
    known.set(value, { origin, number, forms: encodings(value) })
    needles = undefined
  }
  for (const secret of secrets) add(secret)

  const search = (): Map<string, readonly [Known, number]> => {
    if (needles !== undefined) return needles
    const found = new Map<string, readonly [Known, number]>()
    for (const secret of known.values()) {
      for (const [form, text] of secret.forms.entries()) {
        const needle = Buffer.from(text).toString('latin1')
        if (!found.has(needle)) found.set(needle, [secret, form])
      }
    }
    const longestFirst = [...found.keys()].sort((a, b) => b.length - a.length)
    pattern = new RegExp(longestFirst.map(needle => needle.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')).join('|'), 'g')
    needles = found
    return found
  }

  const seal = (bytes: Uint8Array): Sealed => {
    const wanted = search()
    if (wanted.size === 0) return { bytes, seals: [] }
    // One character a byte: the search is several times faster than one through the bytes for each needle.
    const latin1 = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
    const seals = new Map<string, [string, number, number, ...number[]]>()
    let shift = 0
    const cleaned = latin1.replace(pattern, (needle, at: number) => {
      const [secret, form] = wanted.get(needle) ?? unknownNeedle()
      const key = `${form} ${secret.number} ${secret.origin}`
      const offsets = seals.get(key)
      if (offsets === undefined) seals.set(key, [secret.origin, secret.number, form, at + shift])
      else offsets.push(at + shift)
      shift += MASK.length - needle.length
      return MASK
    })
    return seals.size === 0
      ? { bytes, seals: [] }
      : { bytes: Buffer.from(cleaned, 'latin1'), seals: [...seals.values()] }
  }

  return {
    add,
    text(input) {
      search()
      if (known.size === 0) return input
      const latin1 = Buffer.from(input).toString('latin1')
      const cleaned = latin1.replace(pattern, MASK)
      return cleaned === latin1 ? input : Buffer.from(cleaned, 'latin1').toString()
    },
    bytes: input => seal(input).bytes,
    seal,
    unseal({ bytes, seals }) {
      const places = seals.flatMap(([origin, number, form, ...offsets]) => {
        const secret = [...known.values()].find(other => other.origin === origin && other.number === number)
        const text = secret?.forms[form]
        return text === undefined ? [] : offsets.map(at => ({ at, text: Buffer.from(text) }))
      })
      if (places.length === 0) return bytes
      const parts: Uint8Array[] = []
      let from = 0
      for (const { at, text } of places.sort((a, b) => a.at - b.at)) {
        parts.push(bytes.subarray(from, at), text)
        from = at + MASK.length
      }
      return Buffer.concat([...parts, bytes.subarray(from)])
    },
  }
}

const MASK = '***'

function unknownNeedle(): never {
  throw new TypeError('unreachable: the pattern is made of the needles')
}

function encodings(value: string): string[] {
  const bytes = Buffer.from(value)
  const percent = encodeURIComponent(value)
  const forms = [
    value,
    percent,
    percent.replace(/%[0-9A-F]{2}/g, code => code.toLowerCase()),
    percent.replaceAll('%20', '+'),
    [...bytes].map(byte => `%${byte.toString(16).padStart(2, '0').toUpperCase()}`).join(''),
    bytes.toString('base64'),
    bytes.toString('base64').replace(/=+$/, ''),
    bytes.toString('base64url'),
    ...insideBase64(bytes),
    bytes.toString('hex'),
    bytes.toString('hex').toUpperCase(),
    JSON.stringify(value).slice(1, -1),
    JSON.stringify(value)
      .slice(1, -1)
      .replace(/[\u0080-\uffff]/g, escapedUnit),
  ]
  return [...new Set(forms)].sort((a, b) => b.length - a.length)
}

/** Shorter pieces of base64 than this appear by chance. */
const SHORTEST_BASE64 = 8

/** The characters of base64 that depend on the value alone, where it stands somewhere inside a longer text. */
function insideBase64(value: Buffer): string[] {
  const pieces: string[] = []
  for (const before of [0, 1, 2]) {
    const bytes = Buffer.concat([Buffer.alloc(before), value])
    const from = Math.ceil((before * 8) / 6)
    const to = Math.floor((bytes.length * 8) / 6)
    if (to - from < SHORTEST_BASE64) continue
    pieces.push(bytes.toString('base64').slice(from, to), bytes.toString('base64url').slice(from, to))
  }
  return pieces
}

function escapedUnit(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`
}
