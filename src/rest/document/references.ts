import { numberLiteral, setNumberLiteral } from '../../json/value.js'
import { later } from '../../model/runtime/firstUse.js'
import { Secret, SecretReference } from '../../model/secrets/secret.js'
import { nearMiss } from '../../model/texts/nearMiss.js'
import { authKinds } from '../auth/authKinds.js'
import type { Problems, PropertyPath } from './problems.js'

const MAX_DEPTH = 100

/** Replaces a secret that was not found, so that the rest of the document can be checked. */
const unknownSecret = new Secret('', 'missing')

/**
 * A copy of the document with every reference replaced by its value. Functions and objects with methods, such as a
 * user's paginator, stay the same. Numbers keep their spelling.
 */
export function resolveReferences(document: unknown, lookup: Lookup, problems: Problems): unknown {
  return copy(document, [], lookup, problems)
}

function copy(value: unknown, path: PropertyPath, lookup: Lookup, problems: Problems): unknown {
  if (typeof value === 'string') return resolveText(value, path, lookup, problems)
  if (value instanceof SecretReference) {
    const found = lookup.secret(value.reference)
    if ('value' in found) return found.value
    problems.addMissingSecret(path, found.missing)
    return unknownSecret
  }
  if (path.length > MAX_DEPTH) {
    problems.add(path.slice(0, 4), `nested deeper than ${MAX_DEPTH} levels, or contains itself`)
    return null
  }
  if (Array.isArray(value)) {
    const list = value.map((item, index) => copy(item, [...path, index], lookup, problems))
    for (const index of list.keys()) setNumberLiteral(list, index, numberLiteral(value, index))
    return list
  }
  if (!isPlain(value)) return value
  const object = Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, copy(item, [...path, key], lookup, problems)]),
  )
  for (const key of Object.keys(object)) setNumberLiteral(object, key, numberLiteral(value, key))
  return object
}

/** An object that consists only of its keys. */
export function isPlain(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== null && prototype !== Object.prototype) return false
  const { next, sign } = value as { next?: unknown; sign?: unknown }
  return typeof next !== 'function' && typeof sign !== 'function'
}

function resolveText(text: string, path: PropertyPath, lookup: Lookup, problems: Problems): string | Secret {
  const shell = shellReference(text, path)
  if (shell !== undefined) {
    const name = shell.replace(/^.*?(\w+)\W*$/, '$1')
    problems.add(
      path,
      `\`${shell}\` is taken as it is written. For a secret write \`\${secrets.${name.toLowerCase()}}\`, for another variable of the environment \`\${env.${name}}\``,
    )
    return ''
  }
  if (text.includes('***') && path.some(key => SENT.has(String(key)))) {
    problems.add(
      path,
      'holds `***`, which is what a Secret shows in place of its value. Give the Secret alone, or write a text such as `Token ${secrets.api_key}`',
    )
    return ''
  }
  if (!text.includes('${')) return text
  for (const [reference, context = ''] of text.matchAll(/\$\{(\w+)\.[\w.-]+\}/g)) {
    if (context === 'secrets' || context === 'env') continue
    const meant = nearMiss(context, ['secrets', 'env'])
    if (meant !== undefined) problems.add(path, `unknown reference \`${reference}\`; did you mean \`\${${meant}.…}\`?`)
  }
  if (!/\$\{(secrets|env)\.[\w.-]+\}/.test(text)) return text
  const found = lookup.text(text, holdsPlaceholders(path) ? doubleBraces : undefined, isSecretField(path))
  if ('value' in found) return found.value
  problems.addMissingSecret(path, found.missing)
  return text.includes('${secrets.') ? unknownSecret : ''
}

/** Keys whose texts are sent. A column or a mask may be written with `***`. */
const SENT = new Set(['base_url', 'path', 'auth', 'headers', 'params', 'json', 'data'])

/**
 * A variable as shells and other tools write it: `${NAME}` anywhere; where credentials are, also `$API_KEY` and the like,
 * `$(NAME)`, `%NAME%`, `{{ NAME }}` and `${{ secrets.NAME }}`.
 */
function shellReference(text: string, path: PropertyPath): string | undefined {
  const inBraces = /(?<!\$)\$\{[A-Z][A-Z0-9_]*\}/.exec(text)?.[0]
  if (inBraces !== undefined) return inBraces
  const holdsCredentials = path.some(key => key === 'auth' || key === 'headers' || key === 'params')
  return holdsCredentials ? CREDENTIAL_VARIABLE.exec(text)?.[1] : undefined
}

const CREDENTIAL_VARIABLE =
  /^(?:\w+ )?(\$(?:[A-Z0-9]+_)*(?:KEY|TOKEN|SECRET|PASSWORD)|\$\([A-Z][A-Z0-9_]*\)|%[A-Z][A-Z0-9_]*%|\$?\{\{ *(?:\w+\.)*[A-Z][A-Z0-9_]*(?: *\| *\w+)* *\}\})$/

/** Whether what stands here is secret, wherever it comes from. */
function isSecretField(path: PropertyPath): boolean {
  return path.includes('auth') && SECRET_FIELDS().has(String(path.at(-1)))
}

const SECRET_FIELDS = later(() => new Set<string>(authKinds.flatMap(({ secretFields }) => secretFields)))

const interpolated = new Set(['path', 'params', 'json', 'data', 'headers'])

/** Whether braces in this text would be read as placeholders. */
function holdsPlaceholders(path: PropertyPath): boolean {
  const endpoint = path.indexOf('endpoint')
  return endpoint !== -1 && (endpoint === path.length - 1 || interpolated.has(String(path[endpoint + 1])))
}

function doubleBraces(value: string): string {
  return value.replace(/[{}]/g, brace => brace + brace)
}

/** Resolves what a document refers to but does not hold. The layer above knows the environment and the files. */
export interface Lookup {
  /** A secret by name, for `secret('name')`. */
  secret(name: string): LookupResult<Secret>
  /**
   * Text with its `${secrets.name}` and `${env.NAME}` replaced. It becomes a Secret if one of them is a secret.
   * `escapeValue` is applied to the values that are not secrets. `isSecret`: it becomes a Secret in any case.
   */
  text(text: string, escapeValue?: (value: string) => string, isSecret?: boolean): LookupResult<string | Secret>
  /** A secret field that an `auth` block leaves out. `alone`: the block has no other secret. */
  credential(field: string, alone: boolean): LookupResult<Secret>
  /** Any other field that an `auth` block leaves out. `needed`: the block is not complete without it. */
  setting(field: string, needed: boolean): LookupResult<string>
}

/** `missing` is a message that says what was looked for and where. It does not contain the path. */
export type LookupResult<T> = { readonly value: T } | { readonly missing: string }

/** A lookup that finds nothing. */
export const emptyLookup: Lookup = {
  secret: name => ({ missing: `the secret \`${name}\` cannot be looked up here` }),
  text: text => ({ missing: `\`${text}\` cannot be looked up here` }),
  credential: field => ({ missing: `the secret \`${field}\` is missing` }),
  setting: field => ({ missing: `\`${field}\` is missing` }),
}
