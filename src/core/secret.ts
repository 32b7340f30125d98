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
