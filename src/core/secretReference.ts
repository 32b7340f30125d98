import { inspect } from 'node:util'

/**
 * The name of a secret whose value is looked up when the document around it is checked. It fits wherever a
 * `Secret` is wanted in a document, but holds nothing that could be revealed.
 */
export class SecretReference {
  /** Dotted name, as in `api_key` or `github.token`. */
  readonly reference: string
  readonly origin: string

  constructor(reference: string) {
    this.reference = reference
    this.origin = `secret('${reference}')`
  }

  toString(): string {
    return '***'
  }

  toJSON(): string {
    return `\${secrets.${this.reference}}`
  }

  [Symbol.toPrimitive](): string {
    return '***'
  }

  [inspect.custom](): string {
    return this.origin
  }
}

/** A secret by name, for documents written in TypeScript: what `${secrets.name}` is in YAML and JSON. */
export function secret(name: string): SecretReference {
  return new SecretReference(name)
}
