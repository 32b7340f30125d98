import { hasNumberLiterals, type JsonValue, MAX_JSON_DEPTH, numberLiteral } from './value.js'

/**
 * Compact JSON. Numbers that were read and not changed keep their text. Bigints are digits. Values from user functions
 * are accepted too: a Date becomes ISO text with Z (an invalid one null), a Uint8Array base64, NaN and ±Infinity null.
 * Undefined members are left out (null in arrays), and `toJSON` methods are called. Throws a TypeError that names the
 * place for values that are not data (functions, symbols, promises, maps, sets and other collections, errors) and for
 * too deep nesting, including cycles.
 *
 * @example
 * ```ts
 * import { stringifyJson } from 'sluice'
 *
 * console.log(stringifyJson({ id: 7190000000000000001n, at: new Date(0) }))
 * ```
 */
export function stringifyJson(value: unknown): string {
  return write(value, plain, 0, undefined)
}

/**
 * The input of every hash: compact JSON as orjson's `OPT_SORT_KEYS` prints it. Keys are sorted by code point at every
 * level. Numbers are integers or doubles, as written (`1`, `1.0`). Doubles have the shortest digits, with an exponent
 * from 1e16 up and below 1e-5 (`1e+16`, `1e-6`). NaN and ±Infinity are null.
 */
export function canonicalJson(value: JsonValue): string {
  return write(value, canonical, 0, undefined)
}

/** How two printers differ. */
interface Style {
  keys(object: object): readonly string[]
  number(value: number, literal: string | undefined): string
  text(value: string): string
}

const plain: Style = {
  keys: Object.keys,
  number: (value, literal) => literal ?? (Number.isFinite(value) ? printNumber(value) : 'null'),
  text: quoted,
}

const canonical: Style = {
  keys: object => sortByCodePoint(Object.keys(object)),
  number: (value, literal) => {
    if (!Number.isFinite(value)) return 'null'
    // JavaScript's own integers have no literal and are integers. 1.0 has a literal.
    return literal === undefined && Number.isSafeInteger(value) ? String(value) : printDouble(value)
  },
  text: value => quoted(surrogate.test(value) ? value.replace(loneSurrogate, '\ufffd') : value),
}

const surrogate = /[\ud800-\udfff]/
const loneSurrogate = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g

// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON escapes them
const special = /["\\\u0000-\u001f\ud800-\udfff]/

function quoted(text: string): string {
  // Most texts are short and plain. A test and a join are much faster than a call of JSON.stringify.
  return text.length < 100 && !special.test(text) ? `"${text}"` : JSON.stringify(text)
}

function write(value: unknown, style: Style, depth: number, literal: string | undefined): string {
  switch (typeof value) {
    case 'string':
      return style.text(value)
    case 'number':
      return style.number(value, literal)
    case 'boolean':
      return value ? 'true' : 'false'
    case 'bigint':
      return String(value)
    case 'object':
      return value === null ? 'null' : writeObject(value, style, depth + 1)
    default:
      throw new NotData(`a ${typeof value}`)
  }
}

function writeObject(value: object, style: Style, depth: number): string {
  if (depth > MAX_JSON_DEPTH)
    throw new TypeError(`a value is nested more than ${MAX_JSON_DEPTH} levels deep, or in itself`)
  if (Array.isArray(value)) return writeArray(value, style, depth)
  const prototype: unknown = Object.getPrototypeOf(value)
  const isPlain = prototype === Object.prototype || prototype === null
  if (!isPlain && value instanceof Date) {
    return Number.isNaN(value.getTime()) ? 'null' : JSON.stringify(value.toISOString())
  }
  if (!isPlain && value instanceof Uint8Array) return `"${Buffer.from(value).toString('base64')}"`
  if ('toJSON' in value && typeof value.toJSON === 'function') return write(value.toJSON(), style, depth, undefined)
  if (!isPlain) refuseWhatIsNoData(value)
  const literals = hasNumberLiterals(value)
  let text = ''
  let key = ''
  try {
    for (key of style.keys(value)) {
      const member = (value as Readonly<Record<string, unknown>>)[key]
      if (member === undefined) continue
      const literal = literals ? numberLiteral(value, key) : undefined
      text += `${text === '' ? '{' : ','}${style.text(key)}:${write(member, style, depth, literal)}`
    }
  } catch (error) {
    throw within(key, error)
  }
  return text === '' ? '{}' : `${text}}`
}

/** Refuses objects whose members do not show their content. They would be written as `{}`. */
function refuseWhatIsNoData(value: object): void {
  const isCollection = Symbol.iterator in value || Symbol.asyncIterator in value
  const isPromise = 'then' in value && typeof value.then === 'function'
  const isOther = noData.some(kind => value instanceof kind)
  if (!isCollection && !isPromise && !isOther) return
  // Nobody awaits it, so its failure would end the process.
  if (isPromise) (value.then as PromiseLike<unknown>['then']).call(value, undefined, () => {})
  const { name } = value.constructor ?? {}
  throw new NotData(isPromise ? 'a promise' : name === undefined || name === '' ? 'an object' : `a ${name}`)
}

const noData = [Error, RegExp, WeakMap, WeakSet, WeakRef, ArrayBuffer, DataView, Number, String, Boolean]

function writeArray(value: readonly unknown[], style: Style, depth: number): string {
  const literals = hasNumberLiterals(value)
  let text = '['
  let index = 0
  try {
    for (; index < value.length; index++) {
      const literal = literals ? numberLiteral(value, index) : undefined
      text += `${index === 0 ? '' : ','}${write(value[index] ?? null, style, depth, literal)}`
    }
  } catch (error) {
    throw within(`[${index}]`, error)
  }
  return `${text}]`
}

/** A value that JSON cannot hold, with the path to it. */
class NotData extends TypeError {
  readonly what: string
  readonly path: string

  constructor(what: string, path = '') {
    super(`${path === '' ? 'the value' : path} is ${what}, which JSON cannot hold`)
    this.what = what
    this.path = path
  }
}

function within(place: string, error: unknown): unknown {
  if (!(error instanceof NotData)) return error
  const separator = /^[^[]/.test(error.path) ? '.' : ''
  return new NotData(error.what, `${place}${separator}${error.path}`)
}

function printNumber(value: number): string {
  return Object.is(value, -0) ? '-0.0' : String(value)
}

/** The shortest text of a finite double in orjson's form. */
function printDouble(value: number): string {
  if (value === 0) return Object.is(value, -0) ? '-0.0' : '0.0'
  const magnitude = Math.abs(value)
  if (magnitude >= 1e-5 && magnitude < 1e16) return Number.isInteger(value) ? `${value}.0` : String(value)
  return value.toExponential()
}

/** Sorts by UTF-8 bytes. `sort` uses UTF-16 units, which differ for surrogates. */
function sortByCodePoint(keys: string[]): readonly string[] {
  if (keys.length < 2) return keys
  if (!keys.some(key => surrogate.test(key))) return keys.sort()
  return keys.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
}
