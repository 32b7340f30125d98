import { MAX_JSON_DEPTH } from '../../json/value.js'
import { RequestError, shortened } from '../../model/errors.js'

/** A JSON value that keeps its digits and key order. Of equal keys, it keeps the first place and the last value. */
export type Tree = null | boolean | string | NumberText | readonly Tree[] | ObjectTree
export type ObjectTree = ReadonlyMap<string, Tree>

/** A number as it is written. */
export class NumberText {
  readonly literal: string
  /** Neither fraction nor exponent. */
  readonly integer: boolean

  constructor(literal: string, integer: boolean) {
    this.literal = literal
    this.integer = integer
  }
}

/**
 * Reads JSON values from bytes, strictly. The bytes must be valid UTF-8 with a zero byte after them. No JSON text
 * contains a zero byte, so no reader looks past the end. This is the exact, slow reader, for records that the kernel's
 * walk does not know yet.
 */
export class TreeReader {
  readonly #bytes: Buffer
  /** Place of the next byte to read. */
  position = 0
  #depth = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  /** Reads the value at `position`, and moves it behind the value. */
  read(): Tree {
    this.skipSpace()
    const byte = this.#bytes[this.position]
    if (byte === 0x7b) return this.#object()
    if (byte === 0x5b) return this.#list()
    if (byte === 0x22) return this.#text()
    if (byte === 0x74) return this.#word('true', true)
    if (byte === 0x66) return this.#word('false', false)
    if (byte === 0x6e) return this.#word('null', null)
    return this.#number()
  }

  skipSpace(): void {
    let byte = this.#bytes[this.position]
    while (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09) byte = this.#bytes[++this.position]
  }

  /** Whether the next byte after white space is `byte`. If so, reads it. */
  accept(byte: number): boolean {
    this.skipSpace()
    if (this.#bytes[this.position] !== byte) return false
    this.position++
    return true
  }

  expect(byte: number): void {
    if (!this.accept(byte)) throw this.malformed()
  }

  malformed(): RequestError {
    return malformedJson(this.#bytes, this.position)
  }

  #object(): ObjectTree {
    this.#enter()
    const members = new Map<string, Tree>()
    if (!this.accept(0x7d)) {
      do {
        this.skipSpace()
        if (this.#bytes[this.position] !== 0x22) throw this.malformed()
        const key = this.#text()
        this.expect(0x3a)
        members.set(key, this.read())
      } while (this.accept(0x2c))
      this.expect(0x7d)
    }
    this.#depth--
    return members
  }

  #list(): readonly Tree[] {
    this.#enter()
    const elements: Tree[] = []
    if (!this.accept(0x5d)) {
      do elements.push(this.read())
      while (this.accept(0x2c))
      this.expect(0x5d)
    }
    this.#depth--
    return elements
  }

  #enter(): void {
    this.position++
    if (++this.#depth > MAX_JSON_DEPTH) {
      throw new RequestError(
        'response_format',
        `The records are nested deeper than ${MAX_JSON_DEPTH} levels at byte ${this.position}`,
      )
    }
  }

  #text(): string {
    const bytes = this.#bytes
    const start = this.position
    let escaped = false
    let at = start + 1
    for (;;) {
      // A backslash may be the last byte.
      const byte = bytes[at] ?? 0
      if (byte === 0x22) break
      if (byte < 0x20) {
        this.position = at
        throw this.malformed()
      }
      if (byte === 0x5c) {
        escaped = true
        at++
      }
      at++
    }
    this.position = at + 1
    if (!escaped) return bytes.toString('utf8', start + 1, at)
    try {
      return JSON.parse(bytes.toString('utf8', start, at + 1)) as string
    } catch {
      this.position = start
      throw this.malformed()
    }
  }

  #word<T>(word: string, value: T): T {
    const end = this.position + word.length
    if (this.#bytes.toString('latin1', this.position, end) !== word) throw this.malformed()
    this.position = end
    return value
  }

  #number(): NumberText {
    const bytes = this.#bytes
    const start = this.position
    let at = start
    let integer = true
    if (bytes[at] === 0x2d) at++
    if (bytes[at] === 0x30) at++
    else at = this.#digits(at)
    if (bytes[at] === 0x2e) {
      integer = false
      at = this.#digits(at + 1)
    }
    if (bytes[at] === 0x65 || bytes[at] === 0x45) {
      integer = false
      at++
      if (bytes[at] === 0x2b || bytes[at] === 0x2d) at++
      at = this.#digits(at)
    }
    this.position = at
    return new NumberText(bytes.toString('latin1', start, at), integer)
  }

  /** The position after one or more digits from `at`. */
  #digits(at: number): number {
    const bytes = this.#bytes
    const start = at
    while (bytes[at]! >= 0x30 && bytes[at]! <= 0x39) at++
    if (at > start) return at
    this.position = at
    throw this.malformed()
  }
}

/** The error for bytes that are not JSON at `position`. */
function malformedJson(bytes: Uint8Array, position: number): RequestError {
  const end = bytes.indexOf(0, position)
  const rest = shortened(
    Buffer.from(bytes.subarray(position, Math.min(position + 60, end < 0 ? bytes.length : end))).toString(),
    20,
  )
  const found = rest === '' ? 'they end too early' : `unexpected ${JSON.stringify(rest)}`
  return new RequestError('response_format', `The records are not JSON: ${found} at byte ${position}`)
}

/** Compact JSON of a value, with numbers as written. `text` gets every key and text and returns its replacement. */
export function treeJson(tree: Tree, text: (text: string) => string): string {
  if (tree === null) return 'null'
  if (typeof tree === 'string') return JSON.stringify(text(tree))
  if (typeof tree === 'boolean') return tree ? 'true' : 'false'
  if (tree instanceof NumberText) return tree.literal
  if (isObjectTree(tree)) {
    let members = ''
    for (const [key, value] of tree) {
      if (members !== '') members += ','
      members += `${JSON.stringify(text(key))}:${treeJson(value, text)}`
    }
    return `{${members}}`
  }
  let elements = ''
  for (const element of tree) elements += elements === '' ? treeJson(element, text) : `,${treeJson(element, text)}`
  return `[${elements}]`
}

export function isObjectTree(tree: Tree): tree is ObjectTree {
  return tree instanceof Map
}

export function isListTree(tree: Tree): tree is readonly Tree[] {
  return Array.isArray(tree)
}

/** The first characters of a value's JSON, for messages. */
export function excerpt(tree: Tree): string {
  const json = treeJson(tree, same => same)
  return shortened(json)
}
