import type { Secret } from '../../core/secret.js'

/** What a document refers to but does not hold. The floor above knows the environment and the files. */
export interface Lookup {
  /** A secret by name, for `secret('name')`. */
  secret(name: string): Found<Secret>
  /**
   * Text with its `${secrets.name}` and `${env.NAME}` replaced: a Secret as soon as one of them is a secret. `escapeValue`
   * is applied to values that are no secrets.
   */
  text(text: string, escapeValue?: (value: string) => string): Found<string | Secret>
  /** A secret field that an `auth` block leaves out. `alone`: the block has no other secret. */
  credential(field: string, alone: boolean): Found<Secret>
  /** Any other field that an `auth` block leaves out. */
  setting(field: string): Found<string>
}

/** `missing` says what was looked for and where; it is a message, without the path. */
export type Found<T> = { readonly value: T } | { readonly missing: string }

/** A lookup that finds nothing. */
export const emptyLookup: Lookup = {
  secret: name => ({ missing: `the secret \`${name}\` cannot be looked up here` }),
  text: text => ({ missing: `\`${text}\` cannot be looked up here` }),
  credential: field => ({ missing: `the secret \`${field}\` is missing` }),
  setting: field => ({ missing: `\`${field}\` is missing` }),
}
