import type { Address } from '../../json/kernel/instantiate.js'
import type { Naming } from '../../schema/naming.js'
import type { Kernel } from '../kernel/kernel.js'
import type { ColumnWriter } from './columnWriter.js'
import type { TableWriter } from './tableWriter.js'

/**
 * What is known about the records of a table, in the form that the walk over their bytes needs. Each place in a record
 * has a field. Each object has a node with its fields. Each list has a shape with the table of its elements. At
 * anything unknown the walk gives up the record. The exact way then reads it and adds to the shapes.
 */

/** Names for key paths. */
export interface KeyNames {
  readonly naming: Naming
  /** Separators in a key keep their meaning (`use_break_path_on_normalize`). */
  readonly breakPath: boolean
}

/** One key of the objects at one place. */
export class Field {
  readonly address: Address
  readonly table: string
  readonly key: string
  /** Joined fragments before shortening. */
  readonly path: string
  /** Name of the column. */
  readonly name: string
  readonly #kernel: Kernel
  #keepsJson: boolean
  #column: ColumnWriter | undefined
  #node: Node | undefined
  #list: ListShape | undefined
  #isExact = false
  #shared: Address = 0
  #keySlot = -1
  /** Variant columns by kind of value. */
  textVariant: ColumnWriter | undefined
  bigintVariant: ColumnWriter | undefined
  doubleVariant: ColumnWriter | undefined
  boolVariant: ColumnWriter | undefined
  jsonVariant: ColumnWriter | undefined
  /** Values other than objects and lists are dropped: the contract rejects the column. */
  discarded = false
  /** Values that do not fit the column are dropped: the contract rejects variants. */
  variantsDiscarded = false

  constructor(kernel: Kernel, table: string, key: string, path: string, name: string, keepsJson: boolean) {
    this.#kernel = kernel
    this.table = table
    this.key = key
    this.path = path
    this.name = name
    this.#keepsJson = keepsJson
    this.address = kernel.exports.newField(kernel.fields.length, keepsJson)
    kernel.fields.push(this)
  }

  /** Objects and lists stay whole, as JSON. */
  get keepsJson(): boolean {
    return this.#keepsJson
  }

  get column(): ColumnWriter | undefined {
    return this.#column
  }

  /** The members of the object here. */
  get node(): Node | undefined {
    return this.#node
  }

  /** The elements of the list here. */
  get list(): ListShape | undefined {
    return this.#list
  }

  bindColumn(column: ColumnWriter): void {
    this.#column = column
    this.#kernel.exports.setColumn(this.address, column.address, column.kind)
    if (column.dataType !== 'json') return
    this.#keepsJson = true
    this.#kernel.exports.setKeepsJson(this.address)
  }

  bindNode(node: Node): void {
    this.#node = node
    this.#kernel.exports.setNode(this.address, node.address)
  }

  bindList(list: ListShape): void {
    this.#list = list
    this.#kernel.exports.setList(this.address, list.address)
  }

  /** The walk must leave records with this key to the exact way. */
  leaveToExactWay(): void {
    this.#isExact = true
    this.#setSpecial()
  }

  /** This field and an earlier one share a column. In one row, the last of them wins. */
  shareColumn(earlier: Field): void {
    if (earlier.#shared === 0) {
      earlier.#shared = this.#kernel.exports.acquireZeroed(4)
      earlier.#setSpecial()
    }
    this.#shared = earlier.#shared
    this.#setSpecial()
  }

  /** This value, at `slot`, is part of the id of the root row. */
  makesRootId(slot: number): void {
    this.#keySlot = slot
    this.#setSpecial()
  }

  #setSpecial(): void {
    this.#kernel.exports.setSpecial(this.address, this.#isExact, this.#shared, this.#keySlot)
  }
}

/** The field with this number of the kernel. Only fields have such numbers. */
export function fieldAt(kernel: Kernel, number: number): Field {
  return kernel.fields[number] as Field
}

/** Spellings of keys with needless escapes that a node remembers. Others take the slow lookup. */
const MOST_SPELLINGS = 256

/** Zeros after a spelling: the kernel compares 16 bytes at a time. */
const SPELLING_PADDING = 16

/** The objects at one place of a table's rows. */
export class Node {
  readonly address: Address
  /** Levels of nesting that remain below the members. None: objects and lists stay whole. */
  readonly level: number
  /** Path of the object within its row, empty for the row itself. */
  readonly path: string
  readonly #kernel: Kernel
  readonly #byKey = new Map<string, { readonly field: Field; readonly spelling: Address }>()
  #spellings = 0

  constructor(kernel: Kernel, level: number, path: string) {
    this.#kernel = kernel
    this.level = level
    this.path = path
    this.address = kernel.exports.newNode(kernel.nodes.length)
    kernel.nodes.push(this)
  }

  field(key: string): Field | undefined {
    return this.#byKey.get(key)?.field
  }

  add(field: Field): void {
    const usual = Buffer.from(JSON.stringify(field.key).slice(1, -1), 'utf8')
    this.#byKey.set(field.key, { field, spelling: this.#enter(usual, field) })
  }

  /** Adds a spelling of a field's key, without its quotes, and returns its place. */
  #enter(raw: Uint8Array, field: Field): Address {
    const { exports } = this.#kernel
    const bytes = exports.acquireZeroed(raw.length + 1 + SPELLING_PADDING)
    this.#kernel.bytes.set(raw, bytes)
    this.#kernel.bytes[bytes + raw.length] = 0x22
    this.#spellings++
    return exports.addKey(this.address, field.address, bytes, raw.length + 1)
  }

  /** Place of a known key's spelling, without its quotes, if the key may be spelt unusually. */
  findSpelling(raw: Uint8Array): Address | undefined {
    if (raw.indexOf(0x5c) < 0) return undefined
    let key: string
    try {
      key = JSON.parse(`"${Buffer.from(raw).toString('utf8')}"`) as string
    } catch {
      return undefined
    }
    const known = this.#byKey.get(key)
    if (known === undefined) return undefined
    if (this.#spellings >= this.#byKey.size + MOST_SPELLINGS) return known.spelling
    return this.#enter(Buffer.from(raw), known.field)
  }
}

/** The lists at one place, or the records of a root table. */
export class ListShape {
  readonly address: Address
  readonly tableName: string
  /** Joined fragments of the table's name before shortening. */
  readonly tablePath: string
  /** The lists, or records, whose elements hold these. Undefined for the records of a resource. */
  readonly above: ListShape | undefined
  readonly root: Node
  /** Column `value`, for elements that are not objects. */
  readonly value: Field
  /** Elements that are lists. */
  readonly list: Field
  readonly #kernel: Kernel
  #table: TableWriter | undefined
  #discarded = false

  constructor(
    kernel: Kernel,
    tableName: string,
    tablePath: string,
    above: ListShape | undefined,
    level: number,
    names: KeyNames,
    keepsJson: (name: string) => boolean,
  ) {
    this.#kernel = kernel
    this.tableName = tableName
    this.tablePath = tablePath
    this.above = above
    this.root = new Node(kernel, level, '')
    const { naming } = names
    const value = naming.identifier('value')
    const list = naming.identifier('list')
    this.value = new Field(kernel, tableName, 'value', value, value, true)
    this.list = new Field(kernel, tableName, 'list', list, list, level - 1 <= 0 || keepsJson(list))
    this.address = kernel.exports.newShape(this.root.address, this.value.address, this.list.address)
  }

  /** Known once an element was seen, or if the table existed before. */
  get table(): TableWriter | undefined {
    return this.#table
  }

  /** The contract rejects the table. */
  get discarded(): boolean {
    return this.#discarded
  }

  /** `exact`: the walk must leave these lists to the exact way. */
  bindTable(table: TableWriter, exact: boolean): void {
    this.#table = table
    this.#kernel.exports.setTable(this.address, table.address, exact)
  }

  /** Adds the field of a key of the objects at `node`: rows of this shape's table, or objects inside them. */
  addField(node: Node, key: string, path: string, name: string, keepsJson: boolean): Field {
    const field = new Field(this.#kernel, this.tableName, key, path, name, keepsJson)
    node.add(field)
    // Records that are not objects count as objects with this key.
    if (node === this.root && key === 'value') this.#kernel.exports.setWrapped(this.address, field.address)
    return field
  }

  discard(): void {
    this.#discarded = true
    this.#kernel.exports.setDiscarded(this.address)
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
