import { DataError, SchemaError, shortened } from '../../model/errors.js'
import { addColumn, isComplete } from '../../schema/columns.js'
import { evolvesColumnsOnce, frozen, isNewTable } from '../../schema/contracts.js'
import type { ColumnSchema, DataType, TableSchema } from '../../schema/schemaTypes.js'
import type { LoadShapes } from '../tables/loadShapes.js'
import { keyId, recordId } from '../tables/rowIds.js'
import type { Field, ListShape, Node } from '../tables/shapes.js'
import type { TableWriter } from '../tables/tableWriter.js'
import { type CellRules, misfit, type Scalar, setVariantColumn } from './cells.js'
import type { Coerced } from './coerce.js'
import { detectType } from './coerce.js'
import { excerpt, isListTree, isObjectTree, type ObjectTree, type Tree } from './tree.js'

/** The parent row and list position of a nested row. */
interface Place {
  readonly parent: TableWriter
  readonly parentRow: number
  readonly listIndex: number
}

/** One row before its values have columns. */
interface FlatRow {
  /** By column name, in the order of column creation. Null if the last of several keys has null. */
  readonly cells: Map<string, { readonly field: Field; readonly tree: Tree }>
  /** By path of their table. */
  readonly lists: Map<string, ListCell>
}

interface ListCell {
  readonly field: Field
  /** Path of the object that holds the list, within its row. */
  readonly path: string
  /** Levels of nesting that remain below the row. */
  readonly rowLevel: number
  readonly elements: readonly Tree[]
}

/** A value with the column it goes to. */
interface Target {
  readonly field: Field
  readonly kind: Scalar['kind']
  readonly value: Coerced
  readonly column: ColumnSchema
  /** The column is not in the table yet, or has no type. */
  readonly isNew: boolean
  readonly isVariant: boolean
}

/**
 * The exact way: takes one record as a tree and flattens it in dlt's order (scalars of an object first, its objects
 * last to first, then its lists). It evolves the schema under its contract, writes the rows, and updates the shapes so
 * that the walk knows them next time.
 */
export class Evolver {
  readonly #shapes: LoadShapes
  readonly #cells: CellRules
  /** Rows that a contract rejects. */
  discardedRows = 0

  constructor(shapes: LoadShapes, cells: CellRules) {
    this.#shapes = shapes
    this.#cells = cells
  }

  /** Writes a record of the root table `shape`. */
  record(shape: ListShape, record: Tree): void {
    const members = isObjectTree(record) ? record : new Map([['value', record]])
    this.#row(shape, shape, this.#flatten(shape, members), undefined, members)
  }

  #row(
    root: ListShape,
    shape: ListShape,
    row: FlatRow,
    place: Place | undefined,
    members: ObjectTree | undefined,
  ): void {
    const table = this.#store(root, shape, row, place, members)
    if (table === undefined) return
    const written = table.rows - 1
    const started = new Map<string, number>()
    for (const { field, path, rowLevel, elements } of row.lists.values()) {
      this.#list(root, this.#shapes.list(shape, path, field, rowLevel), table, written, elements, started)
    }
  }

  #list(
    root: ListShape,
    shape: ListShape,
    parent: TableWriter,
    parentRow: number,
    elements: readonly Tree[],
    started: Map<string, number>,
  ): void {
    if (shape.discarded) {
      this.discardedRows += elements.length
      return
    }
    // Two lists of one row fill one table: the second continues the index, so that its rows do not repeat the ids of
    // the first.
    const first = started.get(shape.tableName) ?? 0
    if (first > 0 && elements.length > 0) {
      this.#cells.warnOnce(
        'table_collision',
        shape.tableName,
        `Table ${shape.tableName} gets the elements of two lists of one record; give one of them another name`,
      )
    }
    for (const [index, element] of elements.entries()) {
      const place = { parent, parentRow, listIndex: first + index }
      if (isObjectTree(element)) this.#row(root, shape, this.#flatten(shape, element), place, element)
      else this.#row(root, shape, this.#elementRow(shape, element), place, undefined)
    }
    started.set(shape.tableName, first + elements.length)
  }

  /** The row of a list element that is not an object. */
  #elementRow(shape: ListShape, element: Tree): FlatRow {
    const row: FlatRow = { cells: new Map(), lists: new Map() }
    const field = isListTree(element) ? shape.list : shape.value
    if (isListTree(element) && !field.keepsJson) {
      row.lists.set(field.name, { field, path: '', rowLevel: shape.root.level - 1, elements: element })
    } else row.cells.set(field.name, { field, tree: element })
    return row
  }

  #flatten(shape: ListShape, members: ObjectTree): FlatRow {
    const row: FlatRow = { cells: new Map(), lists: new Map() }
    const open: { readonly node: Node; readonly members: ObjectTree }[] = [{ node: shape.root, members }]
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      for (const [key, tree] of next.members) this.#member(shape, next.node, key, tree, row, open)
    }
    return row
  }

  #member(
    shape: ListShape,
    node: Node,
    key: string,
    tree: Tree,
    row: FlatRow,
    open: { readonly node: Node; readonly members: ObjectTree }[],
  ): void {
    const field = this.#shapes.field(shape, node, key)
    if (!field.keepsJson && isObjectTree(tree)) {
      if (field.node === undefined) this.#noteInner(shape, field, 'objects')
      open.push({ node: this.#shapes.innerOf(node, field), members: tree })
    } else if (!field.keepsJson && isListTree(tree)) {
      const rowLevel = shape.root.level
      if (field.list === undefined) this.#noteInner(shape, field, 'lists')
      this.#shapes.list(shape, node.path, field, rowLevel)
      const path = `${node.path}\0${this.#shapes.tableFragment(key)}`
      const earlier = row.lists.get(path)
      if (earlier !== undefined && earlier.elements.length > 0) {
        this.#cells.warnOnce(
          'table_collision',
          `${shape.tableName} ${path}`,
          `Keys ${quoted(earlier.field.key)} and ${quoted(key)} of ${shape.tableName} are both lists of one table; only the last one of a record was loaded`,
        )
      }
      row.lists.set(path, { field, path: node.path, rowLevel, elements: tree })
    } else {
      const earlier = row.cells.get(field.name)
      if (earlier !== undefined && earlier.tree !== null) {
        this.#cells.warnOnce(
          'column_collision',
          `${shape.tableName}.${field.name}`,
          `Keys ${quoted(earlier.field.key)} and ${quoted(key)} of ${shape.tableName} both become column ${field.name}; of a record that has both, one value was loaded`,
        )
      }
      row.cells.set(field.name, { field, tree })
    }
  }

  /** Values that do not fit a column of a simple type go to their own columns or table. */
  #noteInner({ tableName }: ListShape, { name }: Field, what: 'objects' | 'lists'): void {
    const column = this.#shapes.schema.tables.get(tableName)?.columns.get(name)
    if (column === undefined || !isComplete(column) || this.#shapes.hasInner(tableName, name)) return
    const place = what === 'objects' ? 'columns' : 'a table'
    this.#cells.warnOnce(
      'variant_column',
      `${tableName}.${name} ${what}`,
      `Column ${tableName}.${name} is ${column.data_type} and cannot take the ${what} that came: those have ${place} of their own; declare the column as json to keep them whole`,
    )
  }

  /** Writes the row and returns its table. Undefined if the contract rejects the row. */
  #store(
    root: ListShape,
    shape: ListShape,
    row: FlatRow,
    place: Place | undefined,
    members: ObjectTree | undefined,
  ): TableWriter | undefined {
    const shapes = this.#shapes
    const table = shapes.schema.tables.get(shape.tableName)
    const hangs = place !== undefined && (table === undefined || table.parent !== undefined)
    const targets = this.#targets(shape, table, row, hangs)
    const admitted = this.#evolve(shape, table, targets, row, hangs ? place : undefined)
    if (!admitted) {
      this.discardedRows++
      return undefined
    }
    if (place !== undefined && !hangs) this.#noteForeignTable(root, table)
    const writer = shapes.writer(root, shape, place?.parent)
    const isForeign = place !== undefined && (hangs || writer.hasRootIds) && writer.parent !== place.parent
    // Before the row exists: resolving the parent's id resolves the ids of all rows so far.
    if (isForeign) shapes.hangOn(writer, place.parent, place.parentRow)
    const written = hangs ? writer.startNestedRow(isForeign ? 0 : place.parentRow, place.listIndex) : writer.startRow()
    for (const { field, kind, column, value, isVariant } of targets.values()) {
      const columnWriter = writer.column(column)
      columnWriter.put(written, value)
      if (isVariant) setVariantColumn(field, kind, columnWriter)
    }
    for (const { field } of row.cells.values()) shapes.bind(field, writer)
    this.#identify(writer, written, row, members)
    return writer
  }

  /** A root table under a list has its own keys, or belongs to another resource by chance. */
  #noteForeignTable(root: ListShape, table: TableSchema | undefined): void {
    const own = this.#shapes.schema.tables.get(root.tableName)
    const { resource } = own ?? {}
    if (table === undefined || table.resource === resource) return
    if (own?.write_disposition === 'replace' || table.write_disposition === 'replace') {
      throw new SchemaError(
        'schema',
        `Table ${table.name} of resource ${table.resource} also gets the elements of a list in the records of ${resource}, and one of both is replaced: rows would be lost, or come again with each load. Give that resource another table_name`,
        { table: table.name },
      )
    }
    this.#cells.warnOnce(
      'table_collision',
      `${root.tableName} ${table.name}`,
      `Table ${table.name} of resource ${table.resource} also gets the elements of a list in the records of ${resource}; give that resource another table_name`,
    )
  }

  /** Sets the id that the row brings. In a root table with ids from content, makes it from the content. */
  #identify(writer: TableWriter, written: number, row: FlatRow, members: ObjectTree | undefined): void {
    const own = row.cells.get(this.#shapes.names.id)?.tree ?? ''
    const id = typeof own === 'string' ? own : excerpt(own)
    if (id !== '') writer.giveId(written, id)
    else if (writer.parent === undefined && writer.rootIdKind === 'key') {
      const keys = this.#shapes.keyColumns(writer)
      writer.ids.set(
        written,
        keyId(writer.name, keys, name => row.cells.get(name)?.tree),
      )
    } else if (writer.parent === undefined && writer.rootIdKind === 'row') {
      writer.ids.set(written, recordId(members ?? new Map([['value', row.cells.get('value')?.tree ?? null]])))
    }
  }

  /** The values of the row by final column name. */
  #targets(shape: ListShape, table: TableSchema | undefined, row: FlatRow, hangs: boolean): Map<string, Target> {
    const { tableName } = shape
    const targets = new Map<string, Target>()
    for (const [name, { field, tree }] of row.cells) {
      if (this.#shapes.isSystemColumn(name, hangs, shape)) continue
      const scalar = this.#cells.scalar(tree, tableName, name)
      if (scalar === undefined) {
        this.#noteNull(tableName, table, name, field, tree)
        continue
      }
      const target = this.#target(tableName, table, field, name, scalar, tree)
      targets.set(target.column.name, target)
    }
    return targets
  }

  #noteNull(tableName: string, table: TableSchema | undefined, name: string, field: Field, tree: Tree): void {
    const column = table?.columns.get(name)
    if (column !== undefined && isComplete(column)) return
    // A number that no double can hold is reported as such.
    this.#shapes.noteNull(tableName, name, field, tree !== null)
    if (column !== undefined || this.#shapes.newColumn(name, 'text').nullable !== false) return
    throw new DataError('not_null', `Column ${tableName}.${name} must not be null`, { path: `${tableName}.${name}` })
  }

  #target(
    tableName: string,
    table: TableSchema | undefined,
    field: Field,
    name: string,
    scalar: Scalar,
    tree: Tree,
  ): Target {
    const { kind } = scalar
    const main = this.#fitting(tableName, table, name, scalar, tree, false, () => this.#shapes.preferredType(name))
    if (main !== undefined) return { field, kind, ...main, isVariant: false }
    const variantName = this.#shapes.variantName(table, name, kind)
    const variant = this.#fitting(tableName, table, variantName, scalar, tree, true, () => undefined)
    if (variant !== undefined) return { field, kind, ...variant, isVariant: true }
    const type = table?.columns.get(variantName)?.data_type ?? kind
    throw misfit(scalar, tree, tableName, variantName, type)
  }

  /** The value for the column of this name, which is created if necessary. Undefined if it does not fit. */
  #fitting(
    tableName: string,
    table: TableSchema | undefined,
    name: string,
    scalar: Scalar,
    tree: Tree,
    variant: boolean,
    preferred: () => DataType | undefined,
  ): { column: ColumnSchema; value: Coerced; isNew: boolean } | undefined {
    const { schema, loadSeconds } = this.#shapes
    const existing = table?.columns.get(name)
    if (existing?.data_type !== undefined) {
      const value = this.#cells.fit(scalar, existing.data_type, existing, tableName, name)
      return value === undefined ? undefined : { column: existing, value, isNew: false }
    }
    const type = preferred() ?? detectType(scalar, schema.settings.detections, loadSeconds) ?? scalar.kind
    const column = { ...this.#shapes.newColumn(name, type, variant), ...existing }
    const value = this.#cells.fit(scalar, type, column, tableName, name)
    if (value === undefined && variant) throw misfit(scalar, tree, tableName, name, type)
    return value === undefined ? undefined : { column, value, isNew: true }
  }

  /**
   * Adds new columns, and a new table, to the schema as far as the contract allows. Removes targets that it drops.
   * False if it rejects the row itself.
   */
  #evolve(
    shape: ListShape,
    table: TableSchema | undefined,
    targets: Map<string, Target>,
    row: FlatRow,
    place: Place | undefined,
  ): boolean {
    const { schema, names } = this.#shapes
    const contract = this.#shapes.contract(shape, place?.parent.name)
    const isNew = isNewTable(table)
    if (isNew && contract.tables !== 'evolve') {
      if (contract.tables === 'freeze') throw frozenTable(shape.tableName)
      shape.discard()
      return false
    }
    const columnsMode = isNew || (table !== undefined && evolvesColumnsOnce(table)) ? 'evolve' : contract.columns
    let admitted = true
    for (const target of [...targets.values()]) {
      if (!target.isNew || target.column.name.startsWith(names.prefix)) continue
      const mode = target.isVariant ? contract.data_type : columnsMode
      if (mode === 'evolve') continue
      if (mode === 'freeze') throw frozenColumn(shape.tableName, target)
      targets.delete(target.column.name)
      if (mode === 'discard_row') admitted = false
      else this.#discard(target)
    }
    const grown = table ?? this.#newTable(shape.tableName, place)
    if (table === undefined) schema.tables.set(grown.name, grown)
    this.#addColumns(shape, grown, targets, row)
    return admitted
  }

  /** Adds new columns in the order of the row, then the missing system columns. */
  #addColumns(shape: ListShape, table: TableSchema, targets: Map<string, Target>, row: FlatRow): void {
    const news = new Map<string, Target>()
    for (const target of targets.values()) if (target.isNew) news.set(target.field.name, target)
    const system = this.#shapes.systemColumns(table, shape)
    if (news.size > 0 || system.size > 0) {
      for (const name of row.cells.keys()) {
        const column = system.get(name)
        if (column !== undefined) addColumn(table, column)
        const target = news.get(name)
        if (target === undefined) continue
        targets.set(target.column.name, { ...target, column: addColumn(table, target.column), isNew: false })
      }
    }
    for (const column of system.values()) addColumn(table, column)
    if (news.size > 0) this.#shapes.refuseTooManyColumns(table)
    for (const target of news.values()) if (target.isVariant) this.#noteVariant(table, target)
  }

  #noteVariant(table: TableSchema, { column, field, kind }: Target): void {
    const { variants } = this.#shapes
    const made = variants.get(table.name)
    if (made === undefined) variants.set(table.name, [column.name])
    else if (!made.includes(column.name)) made.push(column.name)
    const type = table.columns.get(field.name)?.data_type
    this.#cells.warnOnce(
      'variant_column',
      `${table.name}.${column.name}`,
      `Column ${table.name}.${field.name}${type === undefined ? '' : ` is ${type} and`} cannot take every ${kind} that came: those are in the new column ${column.name}; ${allInOne(table, field.name, [type, column.data_type])}`,
    )
  }

  #discard({ field, isVariant }: Target): void {
    this.#cells.discardedValues++
    if (isVariant) field.variantsDiscarded = true
    else field.discarded = true
  }

  #newTable(name: string, place: Place | undefined): TableSchema {
    const columns = new Map<string, ColumnSchema>()
    return place === undefined ? { name, columns } : { name, columns, parent: place.parent.name }
  }
}

/** What to write so that all values go into one column. */
function allInOne({ parent }: TableSchema, name: string, types: readonly (DataType | undefined)[]): string {
  const numbers = types.every(type => type !== undefined && NUMBERS.has(type))
  const isExact = types.includes('decimal') || types.includes('wei')
  const column = `${/^\w+$/.test(name) ? name : JSON.stringify(name)}: { data_type: ${!numbers ? 'text' : isExact ? 'decimal' : 'double'} }`
  const place = parent === undefined ? 'in the resource' : 'in `nested_hints` of the resource'
  return `to have all in one column, write \`columns: { ${column} }\` ${place}, and run once with --full-refresh`
}

const NUMBERS: ReadonlySet<DataType> = new Set<DataType>(['bigint', 'double', 'decimal', 'wei'])

function quoted(key: string): string {
  return JSON.stringify(shortened(key))
}

function frozenTable(table: string): SchemaError {
  return frozen(`table ${table} is new`, 'tables', { table })
}

function frozenColumn(table: string, { column, field, isVariant, kind }: Target): SchemaError {
  const details = { table, column: column.name }
  if (!isVariant) return frozen(`column ${table}.${column.name} is new`, 'columns', details)
  const what = `column ${table}.${field.name} got a ${kind} that it cannot hold (${column.name} would be new)`
  return frozen(what, 'data_type', details)
}
