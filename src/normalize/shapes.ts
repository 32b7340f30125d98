import type { Naming } from '../core/identifiers.js'
import type { ColumnWriter } from './columns.js'
import type { TableWriter } from './tables.js'

/**
 * What is known about the records of a table, in the form that the walk over their bytes needs: for each place in a
 * record a field, for each object a node with its fields, for each list a shape with the table of its elements.
 * Whatever is not known here makes the walk give up the record; the exact way then reads it and adds to the shapes.
 */

/** Names for key paths. */
export interface KeyNames {
  readonly naming: Naming
  /** Literal separators in a key keep their meaning (`use_break_path_on_normalize`). */
  readonly breakPath: boolean
}

/** One key of the objects at one place. */
export class Field {
  readonly key: string
  /** The key's bytes with the closing quote, as four bytes a word; the last word under `tailMask`. */
  readonly words: Int32Array
  readonly tailMask: number
  /** Bytes of the key and its closing quote. */
  readonly length: number
  readonly ordinal: number
  /** Joined fragments before shortening. */
  readonly path: string
  /** Name of the column. */
  readonly name: string
  /** Objects and lists stay whole, as JSON. */
  keepsJson: boolean
  column: ColumnWriter | undefined
  /** Variant columns by kind of value. */
  textVariant: ColumnWriter | undefined
  bigintVariant: ColumnWriter | undefined
  doubleVariant: ColumnWriter | undefined
  boolVariant: ColumnWriter | undefined
  jsonVariant: ColumnWriter | undefined
  /** The members of the object here. */
  node: Node | undefined
  /** The elements of the list here. */
  list: ListShape | undefined
  /** Row serial of the last visit: a second one in the same row is a repeated key. */
  stamp = 0
  /** One of the three below applies. */
  special = false
  /** The walk must leave records with this key to the exact way. */
  exact = false
  /** Shared with other keys of the same row that have the same column. */
  shared: SharedColumn | undefined
  /** Place among the columns that the root row's id is made from, -1 for none. */
  keySlot = -1
  /** Values that are no objects or lists are dropped: the contract does not admit the column. */
  discarded = false
  /** Values that do not fit the column are dropped: the contract does not admit variants. */
  variantsDiscarded = false

  constructor(key: string, raw: Uint8Array, ordinal: number, path: string, name: string, keepsJson: boolean) {
    this.key = key
    const { words, tailMask, length } = quotedWords(raw)
    this.words = words
    this.tailMask = tailMask
    this.length = length
    this.ordinal = ordinal
    this.path = path
    this.name = name
    this.keepsJson = keepsJson
  }
}

/** A column that several keys of a row lead to; the last of them wins. */
export interface SharedColumn {
  /** Row serial of the last visit of any of the keys. */
  stamp: number
}

const QUOTE = 0x22
const TAIL_MASKS = [-1, 0xff, 0xffff, 0xffffff]

/** Spellings of keys with needless escapes that a node remembers; beyond, they are looked up the slow way. */
const MOST_SPELLINGS = 256

/** The objects at one place of a table's rows. */
export class Node {
  /** Levels of nesting left below the members; none: objects and lists stay whole. */
  readonly level: number
  /** Path of the object within its row, empty for the row itself. */
  readonly path: string
  /** In the order of their first sight. */
  readonly fields: Field[] = []
  readonly #byKey = new Map<string, Field>()
  readonly #entries: Spelling[] = []
  /** Open addressing: entry number plus one. */
  #slots = new Int32Array(16)

  constructor(level: number, path: string) {
    this.level = level
    this.path = path
  }

  field(key: string): Field | undefined {
    return this.#byKey.get(key)
  }

  add(key: string, path: string, name: string, keepsJson: boolean): Field {
    const raw = Buffer.from(JSON.stringify(key).slice(1, -1), 'utf8')
    const field = new Field(key, raw, this.fields.length, path, name, keepsJson)
    this.fields.push(field)
    this.#byKey.set(key, field)
    this.#enter(raw, field)
    return field
  }

  /**
   * The field whose key is spelled as the `length` bytes at `at`, followed by a quote, with this {@link keyHash}.
   */
  find(view: DataView, at: number, length: number, hash: number): Field | undefined {
    const slots = this.#slots
    const mask = slots.length - 1
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const number = slots[slot]!
      if (number === 0) return undefined
      const entry = this.#entries[number - 1]!
      if (entry.hash === hash && entry.length === length + 1 && isSpelled(view, at, entry)) return entry.field
    }
  }

  /** As {@link find} for keys that are not spelled the usual way. */
  findSpelling(bytes: Uint8Array, start: number, end: number): Field | undefined {
    const raw = bytes.slice(start, end)
    if (raw.indexOf(0x5c) < 0) return undefined
    let key: string
    try {
      key = JSON.parse(`"${Buffer.from(raw).toString('utf8')}"`) as string
    } catch {
      return undefined
    }
    const field = this.#byKey.get(key)
    if (field !== undefined && this.#entries.length < this.fields.length + MOST_SPELLINGS) this.#enter(raw, field)
    return field
  }

  #enter(raw: Uint8Array, field: Field): void {
    const hash = keyHash(raw)
    this.#entries.push({ ...quotedWords(raw), hash, field })
    if (this.#entries.length * 2 <= this.#slots.length) {
      this.#place(hash, this.#entries.length)
      return
    }
    this.#slots = new Int32Array(this.#slots.length * 2)
    for (const [index, entry] of this.#entries.entries()) this.#place(entry.hash, index + 1)
  }

  #place(hash: number, number: number): void {
    const mask = this.#slots.length - 1
    let slot = hash & mask
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask
    this.#slots[slot] = number
  }
}

/** One way to write a key. */
interface Spelling extends QuotedWords {
  readonly hash: number
  readonly field: Field
}

/** Bytes of a key and a quote as words, in the order of memory; the last word counts under `tailMask`. */
interface QuotedWords {
  readonly words: Int32Array
  readonly tailMask: number
  /** In bytes. */
  readonly length: number
}

function quotedWords(raw: Uint8Array): QuotedWords {
  const length = raw.length + 1
  const words = new Int32Array((length + 3) >> 2)
  const bytes = new Uint8Array(words.buffer)
  bytes.set(raw)
  bytes[raw.length] = QUOTE
  return { words, tailMask: TAIL_MASKS[length & 3]!, length }
}

/** Whether the bytes at `at` are this key and a quote. */
export function isSpelled(view: DataView, at: number, { words, tailMask }: QuotedWords): boolean {
  const last = words.length - 1
  let place = at
  for (let index = 0; index < last; index++) {
    if (view.getInt32(place, true) !== words[index]) return false
    place += 4
  }
  return (view.getInt32(place, true) & tailMask) === words[last]
}

/**
 * Hash of a key's raw bytes: word by word as long as words hold neither quote, backslash nor control character, then
 * byte by byte. The walk computes the same while it looks for the end of a key.
 */
function keyHash(raw: Uint8Array): number {
  const view = new DataView(raw.buffer, raw.byteOffset, raw.length)
  let hash = KEY_HASH_SEED
  let at = 0
  while (at + 4 <= raw.length) {
    const word = view.getInt32(at, true)
    if (endsPlainText(word)) break
    hash = keyHashStep(hash, word)
    at += 4
  }
  for (; at < raw.length; at++) hash = keyHashStep(hash, raw[at]!)
  return hash
}

export const KEY_HASH_SEED = 0x2b7e1516
export function keyHashStep(hash: number, part: number): number {
  const mixed = Math.imul(hash ^ part, 0x9e3779b1)
  return mixed ^ (mixed >>> 15)
}

/** Whether one of four bytes of a text is a quote, a backslash or a control character. */
export function endsPlainText(word: number): boolean {
  return textEnds(word) !== 0
}

/**
 * Marks quotes, backslashes and control characters among four bytes of a text by the highest bit of their byte. The
 * lowest mark is exact; bytes above it may be marked by mistake.
 */
export function textEnds(word: number): number {
  const quotes = word ^ 0x22222222
  const backslashes = word ^ 0x5c5c5c5c
  const controls = (word - 0x20202020) & ~word
  return (controls | ((quotes - 0x01010101) & ~quotes) | ((backslashes - 0x01010101) & ~backslashes)) & 0x80808080
}

/** The lists at one place, or the records of a root table. */
export class ListShape {
  readonly tableName: string
  /** Joined fragments of the table's name before shortening. */
  readonly tablePath: string
  /** The lists, or records, whose elements hold these; undefined for the records of a resource. */
  readonly above: ListShape | undefined
  /** Known once an element was seen, or the table existed before. */
  table: TableWriter | undefined
  readonly root: Node
  /** Column `value`, of elements that are no objects. */
  readonly value: Field
  /** Elements that are lists. */
  readonly list: Field
  /** The contract does not admit the table. */
  discarded = false
  /** The walk must leave these lists to the exact way. */
  exact = false

  constructor(
    tableName: string,
    tablePath: string,
    above: ListShape | undefined,
    level: number,
    names: KeyNames,
    keepsJson: (name: string) => boolean,
  ) {
    this.tableName = tableName
    this.tablePath = tablePath
    this.above = above
    this.root = new Node(level, '')
    const { naming } = names
    const value = naming.identifier('value')
    const list = naming.identifier('list')
    this.value = new Field('value', Buffer.from('value'), 0, value, value, true)
    this.list = new Field('list', Buffer.from('list'), 0, list, list, level - 1 <= 0 || keepsJson(list))
  }
}

/** Blank as Python's `str.strip` sees it. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are among Python's white space
const BLANK = /^[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]*$/

/** A key as one fragment of a column's path. */
export function columnFragment(key: string, { naming, breakPath }: KeyNames): string {
  if (BLANK.test(key)) return EMPTY_KEY
  return (breakPath ? naming.path(key) : '') || naming.identifier(key)
}

/** A key of a list as one fragment of a table's path. */
export function tableFragment(key: string, { naming, breakPath }: KeyNames): string {
  if (BLANK.test(key)) return EMPTY_KEY
  return (breakPath ? naming.tablesPath(key) : '') || naming.tableIdentifier(key)
}

/** The name of keys that are blank. */
const EMPTY_KEY = '_empty'
