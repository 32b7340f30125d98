import { isJsonObject } from '../../json/value.js'
import { SchemaError } from '../../model/errors.js'
import { isComplete, newColumn, preferredType } from '../../schema/columns.js'
import type { Naming } from '../../schema/naming.js'
import {
  type ColumnSchema,
  type DataType,
  needsPrimaryKey,
  type Schema,
  type SchemaContract,
  type TableSchema,
} from '../../schema/schemaTypes.js'
import { normalizerConfig } from '../../schema/stored/document.js'
import { type SystemNames, systemNames } from '../../schema/systemTables.js'
import { setVariantColumn, variantColumn } from '../exact/cells.js'
import type { JsonScalar } from '../exact/coerce.js'
import { isObjectTree, type ObjectTree, type Tree } from '../exact/tree.js'
import type { Kernel } from '../kernel/kernel.js'
import { BufferPool } from './buffers.js'
import { columnFragment, type Field, type KeyNames, ListShape, Node, tableFragment } from './shapes.js'
import { type RootIdKind, TableWriter } from './tableWriter.js'

const KINDS: readonly JsonScalar['kind'][] = ['text', 'bigint', 'double', 'bool', 'json']

/** Levels of nested tables by default. */
const DEFAULT_NESTING = 1000

/** The tables that hold the records of one root table. */
export interface RootFamily {
  readonly root: ListShape
  readonly table: TableWriter
  /** Grows as nested tables get their first rows. */
  readonly tables: TableWriter[]
  /** Columns whose values make the id of a root row. */
  readonly keys: readonly string[]
}

export interface LoadShapesOptions {
  readonly kernel: Kernel
  readonly schema: Schema
  readonly naming: Naming
  readonly loadId: string
  readonly maxNesting: number | undefined
  readonly maxColumns: number | undefined
  readonly contract: ((table: string) => SchemaContract) | undefined
}

const EVOLVE: SchemaContract = { tables: 'evolve', columns: 'evolve', data_type: 'evolve' }

/** The shapes and the table writers of one load. Creates new ones from names, levels and schema. */
export class LoadShapes {
  readonly schema: Schema
  readonly names: SystemNames
  readonly pool = new BufferPool()
  /** When the load began, seconds since 1970. */
  readonly loadSeconds: number
  readonly #options: LoadShapesOptions
  readonly #keyNames: KeyNames
  readonly #families = new Map<string, RootFamily>()
  readonly #writers = new Map<string, TableWriter>()
  /** Fields by shape and column name, to find keys that share a column. */
  readonly #fieldNames = new WeakMap<ListShape, Map<string, Field>>()
  readonly #onlyNull = new Map<string, Map<string, { readonly field: Field; hadValue: boolean }>>()
  /** Variant columns that this load created, by table. */
  readonly variants = new Map<string, string[]>()

  constructor(options: LoadShapesOptions) {
    this.#options = options
    this.schema = options.schema
    this.names = systemNames(options.naming)
    this.loadSeconds = Number(options.loadId)
    const { use_break_path_on_normalize: breakPath } = options.schema.normalizers
    this.#keyNames = { naming: options.naming, breakPath: breakPath !== false }
  }

  get writers(): Iterable<TableWriter> {
    return this.#writers.values()
  }

  /** The family of a root table in the schema. */
  family(tableName: string): RootFamily {
    const known = this.#families.get(tableName)
    if (known !== undefined) return known
    const schemaTable = this.schema.tables.get(tableName)
    if (schemaTable === undefined) throw new TypeError(`table ${tableName} is not part of the schema`)
    const root = this.#shape(tableName, tableName, undefined, this.#nesting(schemaTable))
    const table = this.#writers.get(tableName) ?? this.#newWriter(schemaTable, undefined)
    const family: RootFamily = { root, table, tables: [table], keys: this.keyColumns(table) }
    this.#families.set(tableName, family)
    return family
  }

  #nesting(table: TableSchema): number {
    const marks = table['x-normalizer']
    const hint = isJsonObject(marks) ? marks.max_nesting : undefined
    if (typeof hint === 'number') return hint
    const configured = normalizerConfig(this.schema).max_nesting
    return this.#options.maxNesting ?? (typeof configured === 'number' ? configured : DEFAULT_NESTING)
  }

  #shape(tableName: string, tablePath: string, above: ListShape | undefined, level: number): ListShape {
    const isJson = (name: string): boolean => this.#isJson(tableName, name)
    return new ListShape(this.#options.kernel, tableName, tablePath, above, level, this.#keyNames, isJson)
  }

  /** Whether objects and lists for this column stay whole at any level. */
  #isJson(tableName: string, name: string): boolean {
    const declared = this.schema.tables.get(tableName)?.columns.get(name)?.data_type
    return (declared ?? preferredType(this.schema, name)) === 'json'
  }

  field(shape: ListShape, node: Node, key: string): Field {
    const known = node.field(key)
    if (known !== undefined) return known
    const { naming } = this.#keyNames
    const fragment = columnFragment(key, this.#keyNames)
    const path = node.path === '' ? fragment : naming.joinPath(node.path, fragment)
    const name = naming.column(node.path === '' ? fragment : naming.shortenFragments(node.path, fragment))
    const field = shape.addField(node, key, path, name, node.level <= 0 || this.#isJson(shape.tableName, name))
    this.#share(shape, field)
    const family = this.#families.get(shape.tableName)
    if (family?.root === shape && family.table.rootIdKind === 'key') field.makesRootId(family.keys.indexOf(name))
    if (this.#isAnySystemColumn(name)) field.leaveToExactWay()
    return field
  }

  #share(shape: ListShape, field: Field): void {
    let fields = this.#fieldNames.get(shape)
    if (fields === undefined) {
      fields = new Map()
      this.#fieldNames.set(shape, fields)
    }
    const first = fields.get(field.name)
    if (first === undefined) fields.set(field.name, field)
    else field.shareColumn(first)
    if (fields.size > MOST_KEYS) throw tooMany(shape.tableName, `${MOST_KEYS} different keys`, [...fields.keys()])
  }

  #isAnySystemColumn(name: string): boolean {
    const { id, loadId, parentId, listIndex, rootId } = this.names
    return name === id || name === loadId || name === parentId || name === listIndex || name === rootId
  }

  /** The node of the objects at a field. */
  innerOf(node: Node, field: Field): Node {
    if (field.node !== undefined) return field.node
    const inner = new Node(this.#options.kernel, node.level - 1, field.path)
    field.bindNode(inner)
    return inner
  }

  /** The shape of the lists at a field of the object at `path` in rows of `shape`. */
  list(shape: ListShape, path: string, field: Field, rowLevel: number): ListShape {
    if (field.list !== undefined) return field.list
    const { naming } = this.#keyNames
    const fragments = [shape.tablePath, path, this.tableFragment(field.key)]
    const made = this.#shape(naming.shortenFragments(...fragments), naming.joinPath(...fragments), shape, rowLevel - 1)
    field.bindList(made)
    return made
  }

  tableFragment(key: string): string {
    return tableFragment(key, this.#keyNames)
  }

  /** The writer of a shape's table, which is in the schema. `parent` is undefined for root records. */
  writer(root: ListShape, shape: ListShape, parent: TableWriter | undefined): TableWriter {
    if (shape.table !== undefined) return shape.table
    const schemaTable = this.schema.tables.get(shape.tableName)
    if (schemaTable === undefined) throw new TypeError(`table ${shape.tableName} is not part of the schema`)
    const hangsOn = schemaTable.parent === undefined ? undefined : parent
    const writer = this.#writers.get(shape.tableName) ?? this.#newWriter(schemaTable, hangsOn)
    if (this.#carriesRootId(shape)) writer.hasRootIds = true
    const family = this.#families.get(root.tableName)
    if (family !== undefined && !family.tables.includes(writer)) {
      family.tables.push(writer)
      if (family.tables.length > MOST_TABLES) {
        const names = family.tables.map(({ name }) =>
          name.slice(root.tableName.length + this.#keyNames.naming.separator.length),
        )
        throw tooMany(root.tableName, `${MOST_TABLES} nested tables`, names)
      }
    }
    const exact =
      writer.parent === undefined ? writer.rootIdKind !== 'random' || writer.hasRootIds : writer.parent !== parent
    shape.bindTable(writer, exact)
    return writer
  }

  #newWriter(table: TableSchema, parent: TableWriter | undefined): TableWriter {
    const writer = new TableWriter(this.#options.kernel, this.pool, table, parent, this.#rootIdKind(table))
    writer.givesOwnId = parent === undefined && this.#propagatesRootId(table.name)
    this.#writers.set(table.name, writer)
    return writer
  }

  #rootIdKind(table: TableSchema): RootIdKind {
    const strategy = table['x-merge-strategy']
    if (table.write_disposition !== 'merge') return 'random'
    if (needsPrimaryKey(strategy)) return 'key'
    if (strategy === 'scd2' && table.columns.get(this.names.id)?.['x-row-version'] === true) return 'row'
    return 'random'
  }

  keyColumns(writer: TableWriter): readonly string[] {
    const keys: string[] = []
    for (const column of writer.schema.columns.values()) if (column.primary_key === true) keys.push(column.name)
    return keys
  }

  /** Whether rows of the shape's table carry the id of a row above them. A table with its own keys may do so too. */
  #carriesRootId({ above }: ListShape): boolean {
    for (let shape = above; shape !== undefined; shape = shape.above) {
      const isRoot = this.schema.tables.get(shape.tableName)?.parent === undefined
      if (isRoot && this.#propagatesRootId(shape.tableName)) return true
    }
    return false
  }

  /** Whether rows of a root table give their id to the rows below them. */
  #propagatesRootId(tableName: string): boolean {
    const { propagation } = normalizerConfig(this.schema)
    if (!isJsonObject(propagation)) return false
    const { tables, root: everyRoot } = propagation
    const ofTable = isJsonObject(tables) ? tables[tableName] : undefined
    return [ofTable, everyRoot].some(map => isJsonObject(map) && this.names.id in map)
  }

  /** The next row belongs to a list in a row of another table than its table's usual parent, if it has one. */
  hangOn(writer: TableWriter, parent: TableWriter, parentRow: number): void {
    parent.root.resolveIds()
    writer.hangOn(parent, parentRow)
  }

  /** Tells a field the columns of its values. */
  bind(field: Field, writer: TableWriter): void {
    if (field.column !== undefined) return
    const hints = writer.schema.columns.get(field.name)
    if (hints === undefined || !isComplete(hints)) return
    field.bindColumn(writer.column(hints))
    for (const kind of KINDS) {
      const variant = writer.schema.columns.get(this.variantName(writer.schema, field.name, kind))
      if (variant === undefined || !isComplete(variant) || variantColumn(field, kind) !== undefined) continue
      setVariantColumn(field, kind, writer.column(variant))
    }
  }

  /** Name of the column for values of a kind that the main column does not take. */
  variantName(table: TableSchema | undefined, name: string, kind: JsonScalar['kind']): string {
    const { naming } = this.#keyNames
    if (kind === 'json') {
      const earlier = naming.shortenFragments(name, 'v_complex')
      if (table?.columns.has(earlier)) return earlier
    }
    return naming.shortenFragments(name, `v_${kind}`)
  }

  /**
   * A column for values of the data. If it has the name of a system column that its table lacks, it is a normal column
   * of that column's type. The default hints of that name do not apply.
   */
  newColumn(name: string, type: DataType, variant = false): ColumnSchema {
    if (this.#isAnySystemColumn(name)) return { name, data_type: type, nullable: true }
    return newColumn(this.schema, name, type, { variant })
  }

  /** The type of a column of this name, before any value is seen. */
  preferredType(name: string): DataType | undefined {
    if (this.#isAnySystemColumn(name)) return name === this.names.listIndex ? 'bigint' : 'text'
    return preferredType(this.schema, name)
  }

  /** Whether the column's values are generated, not taken from the data. */
  isSystemColumn(name: string, hangs: boolean, shape: ListShape): boolean {
    const { id, loadId, parentId, listIndex, rootId } = this.names
    if (name === rootId) return this.#carriesRootId(shape)
    return name === id || (hangs ? name === parentId || name === listIndex : name === loadId)
  }

  /** Fails if the table has more columns than the destination allows, or an absurd number. */
  refuseTooManyColumns(table: TableSchema): void {
    const most = this.#options.maxColumns ?? MOST_COLUMNS
    if (table.columns.size > most) throw tooMany(table.name, `${most} columns`, [...table.columns.keys()])
  }

  /** The record's value for the column of this name. Undefined if the record has no such key. */
  valueOf(record: ObjectTree, name: string, above = ''): Tree | undefined {
    const { naming } = this.#keyNames
    let found: Tree | undefined
    for (const [key, value] of record) {
      const path = naming.joinPath(above, columnFragment(key, this.#keyNames))
      if (naming.column(naming.shortenFragments(path)) === name) found = value
      else if (isObjectTree(value)) found = this.valueOf(value, name, path) ?? found
    }
    return found
  }

  /** Whether values of this name have their own columns or table: members of objects, elements of lists. */
  hasInner(tableName: string, name: string): boolean {
    const { naming } = this.#keyNames
    const { tables } = this.schema
    if (tables.has(naming.shortenFragments(tableName, name))) return true
    const start = `${name}${naming.separator}`
    const columns = [...(tables.get(tableName)?.columns.values() ?? [])]
    return columns.some(column => column.name.startsWith(start) && column.variant !== true)
  }

  /** The system columns that a table lacks, in order. */
  systemColumns(table: TableSchema, shape: ListShape): Map<string, ColumnSchema> {
    const { id, loadId, parentId, listIndex, rootId } = this.names
    const own = table.parent === undefined ? [loadId, id] : [parentId, listIndex, id]
    const expected = this.#carriesRootId(shape) ? [rootId, ...own] : own
    const missing = new Map<string, ColumnSchema>()
    for (const name of expected) {
      const existing = table.columns.get(name)
      if (existing !== undefined && isComplete(existing)) continue
      missing.set(name, newColumn(this.schema, name, name === listIndex ? 'bigint' : 'text'))
    }
    return missing
  }

  /** The contract of a table. If the table does not exist yet, that of its future parent. */
  contract(shape: ListShape, parent: string | undefined): SchemaContract {
    const known = parent === undefined || this.schema.tables.has(shape.tableName)
    return this.#options.contract?.(known ? shape.tableName : parent) ?? EVOLVE
  }

  /** `hadValue`: the record has a value, which is lost. */
  noteNull(table: string, column: string, field: Field, hadValue: boolean): void {
    const columns = this.#onlyNull.get(table) ?? new Map<string, { readonly field: Field; hadValue: boolean }>()
    this.#onlyNull.set(table, columns)
    const known = columns.get(column)
    if (known === undefined) columns.set(column, { field, hadValue })
    else known.hadValue ||= hadValue
  }

  /** Columns that were always null, and so are not in their table. By table. */
  onlyNull(): ReadonlyMap<string, readonly string[]> {
    const found = new Map<string, readonly string[]>()
    for (const [table, columns] of this.#onlyNull) {
      const names = [...columns]
        .filter(([name, { field, hadValue }]) => !hadValue && this.#isOnlyNull(table, name, field))
        .map(([name]) => name)
      if (names.length > 0) found.set(table, names)
    }
    return found
  }

  #isOnlyNull(table: string, column: string, { node, list, discarded }: Field): boolean {
    const existing = this.schema.tables.get(table)?.columns.get(column)
    if (existing !== undefined && isComplete(existing)) return false
    return node === undefined && list === undefined && !discarded && !this.hasInner(table, column)
  }
}

/** Most columns of a table, most keys of its records, and most tables of a resource. More means that names are data. */
const MOST_COLUMNS = 10_000
const MOST_KEYS = 20_000
const MOST_TABLES = 1_000

/** Names the object that most of the keys have in common: its keys are values. */
function tooMany(table: string, what: string, names: readonly string[]): SchemaError {
  const starts = new Map<string, number>()
  for (const name of names) {
    const [start = '', ...rest] = name.split('__')
    if (rest.length > 0) starts.set(start, (starts.get(start) ?? 0) + 1)
  }
  const [most] = [...starts].sort((a, b) => b[1] - a[1])
  const remedy =
    most !== undefined && most[1] > names.length / 2
      ? `Load that object as one JSON column: columns: {${most[0]}: {data_type: json}}`
      : 'Turn them into a list of records with a `map` step, or leave them out'
  return new SchemaError(
    'schema',
    `Table ${table} would have more than ${what}, such as ${names.slice(-3).join(', ')}: keys of its records seem to be values. ${remedy}. Nothing was committed`,
    { table },
  )
}
