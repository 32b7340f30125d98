import { isPlainJson } from './plainJson.js'
import { type JsonValue, MAX_INTEGER_DIGITS, MAX_JSON_DEPTH, setMember, setNumberLiteral } from './value.js'

/** A text that is not JSON, or that is nested too deeply. `offset` counts UTF-16 code units of the text. */
export class JsonSyntaxError extends SyntaxError {
  readonly offset: number

  constructor(message: string, offset: number) {
    super(`${message} at offset ${offset}`)
    this.name = 'JsonSyntaxError'
    this.offset = offset
  }
}

/**
 * Reads JSON without losing digits. Integers beyond ±(2^53−1) become bigint. Numbers that JavaScript would print
 * differently keep their text (`numberLiteral`), except a number that is the whole document. Of duplicate keys the last
 * value counts, at the first position. Bytes are UTF-8, with or without a byte order mark. Invalid sequences become
 * U+FFFD. Throws JsonSyntaxError.
 */
export function parseJson(text: string | Uint8Array): JsonValue {
  const source = typeof text === 'string' ? text : decoder.decode(text)
  const value = isPlainJson(source) ? tryParse(source) : undefined
  return value === undefined ? new Parser(source).document() : value
}

const decoder = new TextDecoder()

function tryParse(source: string): JsonValue | undefined {
  try {
    return JSON.parse(source) as JsonValue
  } catch {
    return undefined
  }
}

const quote = 0x22
const backslash = 0x5c
const openBrace = 0x7b
const closeBrace = 0x7d
const openBracket = 0x5b
const closeBracket = 0x5d
const comma = 0x2c
const colon = 0x3a

const numberToken = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y
const words: ReadonlyMap<number, readonly [string, JsonValue]> = new Map<number, readonly [string, JsonValue]>([
  [0x74, ['true', true]],
  [0x66, ['false', false]],
  [0x6e, ['null', null]],
])

/** The exact reader. It is several times slower than JSON.parse, and explains errors. */
class Parser {
  readonly #source: string
  #at = 0
  #depth = 0
  /** Text of the last number, if it must be kept. */
  #literal: string | undefined

  constructor(source: string) {
    this.#source = source
  }

  document(): JsonValue {
    const value = this.#value()
    this.#space()
    if (this.#at < this.#source.length) throw this.#error('unexpected text after the JSON value')
    return value
  }

  #value(): JsonValue {
    this.#literal = undefined
    this.#space()
    const code = this.#source.charCodeAt(this.#at)
    if (code === quote) return this.#string()
    if (code === openBrace) return this.#object()
    if (code === openBracket) return this.#array()
    const word = words.get(code)
    if (word === undefined) return this.#number()
    if (!this.#source.startsWith(word[0], this.#at)) throw this.#error('unexpected word')
    this.#at += word[0].length
    return word[1]
  }

  #object(): JsonValue {
    const object: Record<string, JsonValue> = {}
    this.#open()
    if (this.#closes(closeBrace)) return object
    for (;;) {
      this.#space()
      if (this.#source.charCodeAt(this.#at) !== quote) throw this.#error('expected a key in double quotes')
      const key = this.#string()
      this.#space()
      if (this.#source.charCodeAt(this.#at) !== colon) throw this.#error("expected ':'")
      this.#at++
      const value = this.#value()
      if (key === '__proto__') setMember(object, key, value)
      else object[key] = value
      setNumberLiteral(object, key, this.#literal)
      if (this.#closes(closeBrace)) return object
      this.#comma("expected ',' or '}'")
    }
  }

  #array(): JsonValue {
    const array: JsonValue[] = []
    this.#open()
    if (this.#closes(closeBracket)) return array
    for (;;) {
      const value = this.#value()
      if (this.#literal !== undefined) setNumberLiteral(array, array.length, this.#literal)
      array.push(value)
      if (this.#closes(closeBracket)) return array
      this.#comma("expected ',' or ']'")
    }
  }

  #open(): void {
    if (++this.#depth > MAX_JSON_DEPTH) throw this.#error(`nested more than ${MAX_JSON_DEPTH} levels deep`)
    this.#at++
  }

  #closes(code: number): boolean {
    this.#space()
    if (this.#source.charCodeAt(this.#at) !== code) return false
    this.#at++
    this.#depth--
    this.#literal = undefined
    return true
  }

  #comma(otherwise: string): void {
    if (this.#source.charCodeAt(this.#at) !== comma) throw this.#error(otherwise)
    this.#at++
  }

  #string(): string {
    const source = this.#source
    const start = this.#at
    let at = start + 1
    let plain = true
    for (;;) {
      const code = source.charCodeAt(at)
      if (code === quote) break
      if (code === backslash) {
        plain = false
        at += 2
      } else if (code >= 0x20) at++
      else {
        this.#at = at
        throw this.#error(Number.isNaN(code) ? 'unterminated string' : 'control character in a string')
      }
    }
    this.#at = at + 1
    if (plain) return source.slice(start + 1, at)
    const text = tryParse(source.slice(start, at + 1))
    if (typeof text === 'string') return text
    this.#at = start
    throw this.#error('invalid escape in the string')
  }

  #number(): JsonValue {
    numberToken.lastIndex = this.#at
    const match = numberToken.exec(this.#source)
    if (match === null) throw this.#error(this.#at < this.#source.length ? 'expected a value' : 'unexpected end')
    this.#at = numberToken.lastIndex
    const text = match[0]
    const value = Number(text)
    if (match[1] === undefined && match[2] === undefined) {
      if (value === 0) return 0
      if (Number.isSafeInteger(value)) return value
      if (text.length <= MAX_INTEGER_DIGITS) return BigInt(text)
    }
    if (String(value) !== text) this.#literal = text
    return value
  }

  #space(): void {
    for (;;) {
      const code = this.#source.charCodeAt(this.#at)
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return
      this.#at++
    }
  }

  #error(message: string): JsonSyntaxError {
    return new JsonSyntaxError(message, this.#at)
  }
}
