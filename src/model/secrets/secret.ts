import { inspect } from 'node:util'
import { ConfigError } from '../errors.js'

const values = new WeakMap<Secret, string>()

/**
 * A value that must not be shown. It prints, serialises and interpolates as `***`. Only {@link reveal} returns the
 * text. Only the request signer and a destination's connection code call it.
 */
export class Secret {
  /** Where the value came from, for messages: `API_KEY`, `.sluice/secrets.toml: api_key`. Never the value. */
  readonly origin: string
  /**
   * What refers to it and where that was found, for whoever has to look at it:
   * `${secrets.api_key}, from the variable API_KEY in /shop/.env`. Absent if nothing was looked up.
   */
  readonly from?: string | undefined

  constructor(value: string, origin = 'code', from?: string) {
    values.set(this, value)
    this.origin = origin
    if (from !== undefined) this.from = from
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

/** Where the secrets within a value were found, each once. Looks into plain objects and lists. */
export function secretPlaces(...within: readonly unknown[]): readonly string[] {
  return [...new Set(within.flatMap(placesIn))]
}

function placesIn(value: unknown): readonly string[] {
  if (value instanceof Secret) return value.from === undefined ? [] : [value.from]
  if (typeof value !== 'object' || value === null) return []
  const isPlain = Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype
  return isPlain ? Object.values(value).flatMap(placesIn) : []
}

/** The text of a secret. Allowed importers are listed in the floors test: signer, client, destinations, scrubber. */
export function reveal(secret: Secret): string {
  const value = values.get(secret)
  if (value === undefined) throw new TypeError('not a Secret of this process')
  return value
}

/**
 * The name of a secret. The value is looked up when the document is checked. It can replace a `Secret` anywhere in a
 * document, but holds no value.
 */
export class SecretReference {
  /** Dotted name, as in `api_key` or `github.token`. */
  readonly reference: string
  readonly origin: string

  constructor(reference: string) {
    this.reference = reference
    this.origin = `secret('${reference}')`
  }

  /** As in YAML, so that a template literal means the same: `Token ${secret('api_key')}`. It holds no value to hide. */
  toString(): string {
    return `\${secrets.${this.reference}}`
  }

  toJSON(): string {
    return this.toString()
  }

  [Symbol.toPrimitive](): string {
    return this.toString()
  }

  [inspect.custom](): string {
    return this.origin
  }
}

/**
 * Names a secret in a TypeScript document, like `${secrets.name}` in YAML and JSON. When the source is created, it is
 * looked up in the environment (`API_KEY` for `api_key`) and in `secrets.toml`. If it is not there, a run rejects with a
 * ConfigError. Throws a ConfigError without a name.
 *
 * @example
 * ```ts
 * import { duckdb, pipeline, restApi, secret } from 'sluice'
 *
 * const source = restApi({
 *   client: { base_url: 'https://api.example.com', auth: { type: 'bearer', token: secret('api_key') } },
 *   resources: ['shops'],
 * })
 * await pipeline({ name: 'shops', source, destination: duckdb('shops.duckdb') }).run()
 * ```
 */
export function secret(name: string): SecretReference {
  if (typeof name !== 'string' || name === '') {
    throw new ConfigError([{ place: { path: 'secret()' }, message: "expected the name of a secret, as in 'api_key'" }])
  }
  return new SecretReference(name)
}
