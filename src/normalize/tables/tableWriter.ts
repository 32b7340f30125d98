import type { Address } from '../../json/kernel/instantiate.js'
import type { Column, ColumnBatch } from '../../model/batch.js'
import type { ColumnSchema, DataType, TableSchema } from '../../schema/schemaTypes.js'
import type { SystemNames } from '../../schema/systemTables.js'
import type { Kernel } from '../kernel/kernel.js'
import type { BufferPool } from './buffers.js'
import { ColumnWriter } from './columnWriter.js'
import { RootRows } from './rootRows.js'
import { IdColumn } from './rowIds.js'

/** The parent row of a row whose parent is in another table than usual. */
interface ForeignParent {
  readonly parentId: string
  readonly rootId: string | undefined
  /** Number of the root row in the load, if it belongs to the same root table. */
  readonly rootRow: number | undefined
}

/** How the ids of a root table's rows are made. */
export type RootIdKind = 'random' | 'key' | 'row'

/**
 * The rows of one table that are not in a batch yet. {@link startRow} starts a row. Columns without a value need no
 * write. {@link resolveIds} makes ids for many rows at once.
 */
export class TableWriter {
  readonly name: string
  readonly schema: TableSchema
  /** The parent table of these rows. Undefined for root tables. */
  readonly parent: TableWriter | undefined
  readonly children: TableWriter[] = []
  readonly address: Address
  readonly #columns = new Map<string, ColumnWriter>()
  readonly #kernel: Kernel
  readonly #pool: BufferPool
  readonly rootIdKind: RootIdKind
  /** Rows carry the id of their root row. */
  hasRootIds = false
  /** For a root table: rows pass on their own id to the rows below, not the one that they carry. */
  givesOwnId = false
  /** Rows of earlier batches. */
  cutRows = 0
  readonly ids: IdColumn
  readonly parentIds: IdColumn
  readonly rootIds: IdColumn
  /** Rows whose ids are known. */
  #resolved = 0
  /** Ids that came with the data, by row. */
  #given: Map<number, string> | undefined
  /**
   * For rows of lists whose parent row is in another table than `parent`: the ids of the parent row, until theirs are
   * made.
   */
  #foreign: Map<number, ForeignParent> | undefined
  /** For nested rows whose ids follow from the key of their root row. */
  readonly #rootRows: RootRows | undefined

  constructor(
    kernel: Kernel,
    pool: BufferPool,
    schema: TableSchema,
    parent: TableWriter | undefined,
    rootIdKind: RootIdKind,
  ) {
    this.name = schema.name
    this.schema = schema
    this.parent = parent
    this.rootIdKind = rootIdKind
    this.address = kernel.exports.newTable(parent?.address ?? 0)
    this.#kernel = kernel
    this.#pool = pool
    this.ids = new IdColumn(kernel)
    this.parentIds = new IdColumn(kernel)
    this.rootIds = new IdColumn(kernel)
    if (parent !== undefined && this.root.rootIdKind === 'key') this.#rootRows = new RootRows()
    parent?.children.push(this)
  }

  /** Rows of the current batch. */
  get rows(): number {
    return this.#kernel.exports.rowsOf(this.address)
  }

  /** Bytes of the values of the current batch. */
  get valueBytes(): number {
    return this.#kernel.exports.valueBytes(this.address)
  }

  /** The writer of a typed column of the schema. */
  column(hints: ColumnSchema): ColumnWriter {
    const known = this.#columns.get(hints.name)
    if (known !== undefined) return known
    if (hints.data_type === undefined) throw new TypeError(`column ${hints.name} has no type`)
    const made = new ColumnWriter(this.#kernel, this, { ...hints, data_type: hints.data_type })
    this.#columns.set(made.name, made)
    return made
  }

  /** The writer of a column, if it has had a value in this load. */
  known(name: string): ColumnWriter | undefined {
    return this.#columns.get(name)
  }

  /** The root ids of the rows below, by row of this table. */
  get idsBelow(): IdColumn {
    return this.givesOwnId ? this.ids : this.rootIds
  }

  /** Starts a row of a root table. */
  startRow(): number {
    return this.#kernel.exports.startRow(this.address)
  }

  /** The writer of the root records above these rows, or itself for root records. */
  get root(): TableWriter {
    let top: TableWriter = this
    while (top.parent !== undefined) top = top.parent
    return top
  }

  /** Starts a row of a nested table. */
  startNestedRow(parentRow: number, listIndex: number): number {
    return this.#kernel.exports.startNestedRow(this.address, parentRow, listIndex)
  }

  /** The next row belongs to a list in a row of another table than `parent`. */
  hangOn(parent: TableWriter, parentRow: number): void {
    const parentId = parent.ids.at(parentRow)
    const rootId = this.hasRootIds ? parent.idsBelow.at(parentRow) : undefined
    const rootRow = parent.root === this.root ? parent.#rootRowOf(parentRow) : undefined
    this.#foreign ??= new Map()
    this.#foreign.set(this.rows, { parentId, rootId, rootRow })
  }

  /** The number of a row's root row in the load. Undefined if it is not kept. */
  #rootRowOf(row: number): number | undefined {
    return this.parent === undefined ? this.cutRows + row : this.#rootRows?.at(row)
  }

  /** Sets the id of a row that brings its own. */
  giveId(row: number, id: string): void {
    this.#given ??= new Map()
    this.#given.set(row, id)
  }

  /** {@link rollback} can go back to here. */
  mark(): void {
    this.#kernel.exports.markRows(this.address)
  }

  /** Discards the rows of the current root record. */
  rollback(): void {
    const before = this.rows
    this.#kernel.exports.rollbackRows(this.address)
    if (this.#given === undefined || this.rows === before) return
    for (const row of this.#given.keys()) if (row >= this.rows) this.#given.delete(row)
  }

  /** Makes the ids of all rows so far, in this table and those below it. */
  resolveIds(): void {
    const from = this.#resolved
    const rows = this.rows
    if (rows > from) {
      if (this.parent !== undefined) this.#makeNestedIds(this.parent, from, rows)
      else if (this.rootIdKind === 'random') this.ids.makeRandom(from, rows)
      if (this.#given !== undefined) for (const [row, id] of this.#given) if (row >= from) this.ids.set(row, id)
      if (this.parent === undefined && this.hasRootIds) {
        this.rootIds.copy(this.ids, from, rows)
        this.#resolveForeign(from)
      }
      this.#resolved = rows
    }
    for (const child of this.children) child.resolveIds()
  }

  #makeNestedIds(parent: TableWriter, from: number, rows: number): void {
    const { exports } = this.#kernel
    const parentRows = exports.parentRowsOf(this.address)
    this.parentIds.gather(parent.ids, parentRows, from, rows)
    if (this.hasRootIds) {
      if (parent.givesOwnId) this.rootIds.copy(this.parentIds, from, rows)
      else this.rootIds.gather(parent.rootIds, parentRows, from, rows)
    }
    this.#rootRows?.gather(parent.#rootRows ?? parent.cutRows, this.#kernel, parentRows, from, rows)
    this.#resolveForeign(from)
    this.ids.makeNested(this.parentIds, this.name, exports.listIndexesOf(this.address), from, rows)
  }

  #resolveForeign(from: number): void {
    if (this.#foreign === undefined) return
    for (const [row, { parentId, rootId, rootRow }] of this.#foreign) {
      if (row < from) continue
      if (this.parent !== undefined) this.parentIds.set(row, parentId)
      this.#rootRows?.set(row, rootRow)
      if (rootId !== undefined) this.rootIds.set(row, rootId)
    }
    this.#foreign = undefined
  }

  /**
   * The rows so far as a batch, with columns in the order of the schema. The ids of the whole family must be resolved.
   */
  cut(names: SystemNames, loadId: Uint8Array, lent: Uint8Array[]): ColumnBatch {
    const rows = this.rows
    const columns: Column[] = []
    for (const { name } of this.schema.columns.values()) {
      const column = this.#systemColumn(name, names, loadId, lent) ?? this.#dataColumn(name, lent)
      if (column !== undefined) columns.push(column)
    }
    const rootRuns = this.#rootRows?.runs(this.name, rows, this.cutRows)
    this.#given = undefined
    this.#foreign = undefined
    this.ids.clear()
    this.parentIds.clear()
    this.rootIds.clear()
    this.cutRows += rows
    this.#resolved = 0
    const { exports } = this.#kernel
    exports.clearRows(this.address)
    for (const child of this.children) exports.forgetParentRow(child.address)
    return { table: this.name, rows, columns, ...(rootRuns === undefined ? {} : { rootRuns }) }
  }

  #dataColumn(name: string, lent: Uint8Array[]): Column | undefined {
    const writer = this.#columns.get(name)
    return writer === undefined || writer.count === 0 ? undefined : writer.cut(this.rows, this.#pool, lent)
  }

  #systemColumn(name: string, names: SystemNames, loadId: Uint8Array, lent: Uint8Array[]): Column | undefined {
    const text = (values: Uint8Array): Column => wholeColumn(name, 'text', this.rows, values)
    if (name === names.id) return text(this.ids.values(this.rows, this.#pool, lent))
    if (name === names.rootId && this.hasRootIds) return text(this.rootIds.values(this.rows, this.#pool, lent))
    if (this.parent === undefined) {
      return name === names.loadId ? text(repeated(loadId, this.rows, this.#pool, lent)) : undefined
    }
    if (name === names.parentId) return text(this.parentIds.values(this.rows, this.#pool, lent))
    if (name === names.listIndex) return wholeColumn(name, 'bigint', this.rows, this.#indexValues(lent))
    return undefined
  }

  #indexValues(lent: Uint8Array[]): Uint8Array {
    const rows = this.rows
    const bytes = this.#pool.acquire(rows * 8)
    lent.push(bytes)
    const words = new Int32Array(bytes.buffer, 0, rows * 2)
    const first = this.#kernel.exports.listIndexesOf(this.address) >> 2
    const listIndexes = this.#kernel.words.subarray(first, first + rows)
    for (let row = 0; row < rows; row++) {
      words[row * 2] = listIndexes[row]!
      words[row * 2 + 1] = 0
    }
    return bytes.subarray(0, rows * 8)
  }
}

function wholeColumn(name: string, dataType: DataType, rows: number, values: Uint8Array): Column {
  return { name, dataType, count: rows, validity: undefined, values }
}

function repeated(value: Uint8Array, rows: number, pool: BufferPool, lent: Uint8Array[]): Uint8Array {
  const size = value.length * rows
  const bytes = pool.acquire(size)
  lent.push(bytes)
  bytes.set(value)
  for (let filled = value.length; filled < size; filled *= 2) {
    bytes.copyWithin(filled, 0, Math.min(filled, size - filled))
  }
  return bytes.subarray(0, size)
}
