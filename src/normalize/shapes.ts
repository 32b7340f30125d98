import type { Naming } from '../core/identifiers.js'
import type { ColumnWriter } from './columns.js'
import { type Keyed, KeyTable, Spelling } from './keys.js'
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
export class Field implements Keyed {
  // What the walk reads for every value comes first, close together in memory.
  /** Bytes of the key and its closing quote. */
  readonly keyLength: number
  place = 0
  /** Row serial of the last visit: a second one in the same row is a repeated key. */
  stamp = 0
  /** One of `exact`, `shared` and `keySlot` applies. */
  special = false
  column: ColumnWriter | undefined
  readonly spelling: Spelling
  readonly key: string
  /** Joined fragments before shortening. */
  readonly path: string
  /** Name of the column. */
  readonly name: string
  /** Objects and lists stay whole, as JSON. */
  keepsJson: boolean
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

  constructor(key: string, path: string, name: string, keepsJson: boolean) {
    this.spelling = new Spelling(Buffer.from(JSON.stringify(key).slice(1, -1), 'utf8'))
    this.keyLength = this.spelling.length
    this.key = key
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

/** Spellings of keys with needless escapes that a node remembers; beyond, they are looked up the slow way. */
const MOST_SPELLINGS = 256

/** The objects at one place of a table's rows. */
export class Node {
  /** Levels of nesting left below the members; none: objects and lists stay whole. */
  readonly level: number
  /** Path of the object within its row, empty for the row itself. */
  readonly path: string
  readonly keys = new KeyTable<Field>()
  readonly #byKey = new Map<string, Field>()

  constructor(level: number, path: string) {
    this.level = level
    this.path = path
  }

  field(key: string): Field | undefined {
    return this.#byKey.get(key)
  }

  add(key: string, path: string, name: string, keepsJson: boolean): Field {
    const field = new Field(key, path, name, keepsJson)
    this.#byKey.set(key, field)
    this.keys.add(field)
    return field
  }

  /** The field of a key, without its quotes, that may not be spelled the usual way. */
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
    if (field !== undefined && this.keys.spellings < this.#byKey.size + MOST_SPELLINGS) {
      this.keys.enter(new Spelling(raw), field)
    }
    return field
  }
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
    this.value = new Field('value', value, value, true)
    this.list = new Field('list', list, list, level - 1 <= 0 || keepsJson(list))
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
