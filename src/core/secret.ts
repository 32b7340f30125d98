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
}

/** Values shorter than this are too common to be searched for. */
const SHORTEST_SCRUBBED = 4

export function scrubber(secrets: Iterable<Secret> = []): Scrubber {
  const needles = new Set<string>()
  const add = (secret: Secret): void => {
    const value = reveal(secret)
    if (value.length < SHORTEST_SCRUBBED) return
    for (const form of encodings(value)) needles.add(form)
  }
  for (const secret of secrets) add(secret)
  const text = (input: string): string => {
    let output = input
    for (const needle of needles) if (output.includes(needle)) output = output.replaceAll(needle, '***')
    return output
  }
  return {
    add,
    text,
    bytes(input) {
      const buffer = Buffer.from(input.buffer, input.byteOffset, input.byteLength)
      let found = false
      for (const needle of needles) if (buffer.includes(needle)) found = true
      return found ? Buffer.from(text(buffer.toString('latin1')), 'latin1') : input
    },
  }
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
    bytes.toString('hex'),
    JSON.stringify(value).slice(1, -1),
  ]
  return [...new Set(forms)].sort((a, b) => b.length - a.length)
}
