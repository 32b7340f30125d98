import { alternatives, ConfigError, type ConfigProblem, shortened } from './errors.js'
import { Secret } from './secrets/secret.js'
import { nearKey } from './texts/nearMiss.js'

/**
 * What an option may be: the problems of a value at a key path. Undefined is an option that was left out. JavaScript
 * callers have no types that would catch another value, and a wrong one would fail in the middle of the work, or be
 * taken for another.
 */
export type OptionKind = (value: unknown, path: string) => readonly ConfigProblem[]

/** A kind for every option of a type, so that none is forgotten. */
export type OptionKinds<Options> = { readonly [Key in keyof Options]-?: OptionKind }

/** Fails with a ConfigError that names every option of another kind. */
export function checkOptions(kind: OptionKind, value: unknown, path = ''): void {
  const [first, ...others] = kind(value, path)
  if (first !== undefined) throw new ConfigError([first, ...others])
}

/** `expected` completes the sentence "expected …". */
export function optionKind(
  expected: string,
  fits: (value: unknown) => boolean,
  show: (value: unknown) => string = shown,
): OptionKind {
  return (value, path) =>
    value === undefined || fits(value)
      ? []
      : [{ place: { path }, message: `expected ${expected}, not ${value === MISSING ? 'nothing' : show(value)}` }]
}

const MISSING = Symbol('missing')

/** The same for an option that may not be left out. */
export function needed(kind: OptionKind): OptionKind {
  return (value, path) => kind(value === undefined ? MISSING : value, path)
}

/** An object with options of these kinds. Another name is a problem, unless others are allowed. */
export function optionsOf<Options>(
  expected: string,
  kinds: OptionKinds<Options>,
  others: 'refused' | 'allowed' = 'refused',
): OptionKind {
  const object = optionKind(expected, isObject)
  return (value, path) => {
    const problems = object(value, path)
    if (value === undefined || problems.length > 0) return problems
    const given = value as Readonly<Record<string, unknown>>
    const at = (key: string): string => (path === '' ? key : `${path}.${key}`)
    const unknown = Object.keys(given).filter(key => given[key] !== undefined && !Object.hasOwn(kinds, key))
    return [
      ...Object.entries<OptionKind>(kinds).flatMap(([key, kind]) => kind(given[key], at(key))),
      ...(others === 'allowed' ? [] : unknown.map(key => unknownOption(key, at(key), Object.keys(kinds)))),
    ]
  }
}

function unknownOption(key: string, path: string, known: readonly string[]): ConfigProblem {
  const meant = nearKey(key, known)
  const hint = meant === undefined ? `known here: ${known.join(', ')}` : `did you mean \`${meant}\`?`
  return { place: { path }, message: `unknown option; ${hint}` }
}

export function listOf(expected: string, item: OptionKind): OptionKind {
  const list = optionKind(expected, Array.isArray)
  return (value, path) =>
    Array.isArray(value)
      ? value.flatMap((one: unknown, index) => needed(item)(one, `${path}[${index}]`))
      : list(value, path)
}

export function recordOf(expected: string, item: OptionKind): OptionKind {
  const record = optionKind(expected, isObject)
  return (value, path) =>
    isObject(value)
      ? Object.entries(value).flatMap(([key, one]) => needed(item)(one, `${path}.${key}`))
      : record(value, path)
}

export function wordOf(words: readonly string[]): OptionKind {
  return optionKind(alternatives(words), value => typeof value === 'string' && words.includes(value))
}

/** An object that has these functions. */
export function havingFunctions(expected: string, names: readonly string[]): OptionKind {
  return optionKind(
    expected,
    value => isObject(value) && names.every(name => typeof (value as Record<string, unknown>)[name] === 'function'),
  )
}

export const anything: OptionKind = () => []
export const text = optionKind('text', value => typeof value === 'string')
export const flag = optionKind('true or false', value => typeof value === 'boolean')
export const callback = optionKind('a function', value => typeof value === 'function')
export const names = listOf('a list of names', text)
export const wholeFromOne = optionKind(
  'a whole number from 1',
  value => Number.isSafeInteger(value) && Number(value) > 0,
)
export const wholeFromZero = optionKind(
  'a whole number from 0',
  value => Number.isSafeInteger(value) && Number(value) >= 0,
)
export const abortSignal = havingFunctions('an AbortSignal', ['throwIfAborted', 'addEventListener'])
/** No system has a path without letters, or one with a NUL. */
export const path = optionKind('a path', value => typeof value === 'string' && value !== '' && !value.includes('\0'))
export const environment = optionKind('environment variables by name', isObject)
/** The message does not repeat it. */
export const secretText = optionKind(
  'text or a Secret',
  value => typeof value === 'string' || value instanceof Secret,
  kindOf,
)

export function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function shown(value: unknown): string {
  if (typeof value === 'string') return shortened(JSON.stringify(value))
  return isSimple(value) ? shortened(String(value)) : kindOf(value)
}

function isSimple(value: unknown): boolean {
  return value === null || ['number', 'bigint', 'boolean'].includes(typeof value)
}

function kindOf(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'a list'
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}
