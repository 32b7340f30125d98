import type { Address } from '../../json/kernel/instantiate.js'
import { DataError } from '../../model/errors.js'
import type { CellRules } from '../exact/cells.js'
import { type Tree, TreeReader } from '../exact/tree.js'
import { type Field, fieldAt, type ListShape } from '../tables/shapes.js'
import type { TableWriter } from '../tables/tableWriter.js'
import { GIVE_UP, type Kernel, type KernelHost } from './kernel.js'

const COMMA = 0x2c
const LIST_END = 0x5d

/** The tables that hold the records of one root table. */
export interface Family {
  readonly root: ListShape
  readonly table: TableWriter
  readonly tables: readonly TableWriter[]
  /** Columns whose values make the id of a root row, if it is made from keys. */
  readonly keys: readonly string[]
  /** Makes the id of a root row from its record `bytes[start, end)`. Absent if ids are random. */
  readonly rootId: ((row: number, start: number, end: number) => void) | undefined
}

/**
 * The walk over a page, which the kernel does (walk.as.ts), and what it leaves to its host. It knows only what the
 * shapes know, and gives up the record at anything else.
 *
 * Positions are byte offsets into the page. The kernel passes addresses to its host.
 */
export class Walk implements KernelHost {
  readonly #kernel: Kernel
  readonly #cells: CellRules
  /** The page and its length without the zero bytes behind it. */
  #page: Address = 0
  #length = 0
  #reader = new TreeReader(Buffer.alloc(1))
  /** The memory that the reader reads from. */
  #readerMemory: Uint8Array | undefined
  /** Addresses of the tables of a family, for the kernel. */
  readonly #tables = new Map<Family, { readonly count: number; readonly block: Address }>()
  #family: Family | undefined
  /** Rows not started because a contract rejects their table. */
  discardedRows = 0
  /** The record of these notes, and their values when it started. */
  #notedRecord = -1
  #discardedRowsBefore = 0
  #discardedValuesBefore = 0

  constructor(kernel: Kernel, cells: CellRules, nulInText: boolean) {
    this.#kernel = kernel
    this.#cells = cells
    kernel.exports.allowNul(nulInText)
  }

  /** Copies the page, which must be valid UTF-8. */
  setPage(records: Uint8Array, keySlots: number): void {
    const { exports } = this.#kernel
    this.#page = exports.setPage(records.length)
    exports.setKeySlots(keySlots)
    this.#kernel.bytes.set(records, this.#page)
    this.#length = records.length
    this.#readerMemory = undefined
    this.#notedRecord = -1
    this.reader.position = 0
  }

  /** The exact reader of the page. Get it again after anything was written to a column. */
  get reader(): TreeReader {
    const { bytes } = this.#kernel
    if (bytes === this.#readerMemory) return this.#reader
    const { position } = this.#reader
    this.#reader = new TreeReader(bytes.subarray(this.#page, this.#page + this.#length + 1))
    this.#reader.position = position
    this.#readerMemory = bytes
    return this.#reader
  }

  /** Records read since the page was set. */
  get records(): number {
    return this.#kernel.exports.records.value
  }

  /** Where the current record starts. */
  get recordStart(): number {
    return this.#kernel.exports.recordStart.value - this.#page
  }

  /** Where {@link walk} stopped. */
  get position(): number {
    return this.#kernel.exports.position.value - this.#page
  }

  /** Where {@link walk} continues. */
  set position(position: number) {
    this.#kernel.exports.position.value = this.#page + position
  }

  /** A record was read in the exact way, up to `end`. */
  passRecord(end: number): void {
    this.#kernel.exports.passRecord(this.#page + end)
  }

  /** A part of the page, valid until anything is written to a column. */
  slice(start: number, end: number): Uint8Array {
    return this.#kernel.bytes.subarray(this.#page + start, this.#page + end)
  }

  /** JSON of the value in the current record that makes the id of its row, as {@link slice}. */
  keyValue(slot: number): Uint8Array | undefined {
    const { words, bytes, exports } = this.#kernel
    const span = (exports.keySpans.value >> 2) + slot * 2
    const start = words[span] ?? 0
    return start === 0 ? undefined : bytes.subarray(start, words[span + 1])
  }

  /** Whether nothing of the page is left at `position`. */
  atEnd(position: number): boolean {
    return position === this.#length
  }

  /**
   * Reads records from `position` to the end of the list (true), or until a table of the family has `batchRows` rows
   * (false, `position` is at the next record). Throws {@link GIVE_UP} at an unknown record. The caller then discards
   * the record's rows and reads `recordStart` in the exact way.
   */
  walk(family: Family, batchRows: number): boolean {
    const { count, block } = this.#tablesOf(family)
    this.#family = family
    const { exports } = this.#kernel
    const { root, table, rootId } = family
    return exports.walk(root.address, table.address, block, count, batchRows, rootId !== undefined) !== 0
  }

  #tablesOf(family: Family): { readonly count: number; readonly block: Address } {
    const known = this.#tables.get(family)
    const count = family.tables.length
    if (known?.count === count) return known
    const { exports } = this.#kernel
    if (known !== undefined) exports.release(known.block, known.count * 4)
    const made = { count, block: exports.acquire(count * 4) }
    this.#kernel.words.set(
      family.tables.map(table => table.address),
      made.block >> 2,
    )
    this.#tables.set(family, made)
    return made
  }

  /** Discards the current record after the walk gave up. */
  rollback(family: Family): void {
    for (const table of family.tables) table.rollback()
    if (this.#notedRecord !== this.recordStart) return
    this.discardedRows = this.#discardedRowsBefore
    this.#cells.discardedValues = this.#discardedValuesBefore
  }

  /** Before something may be discarded. */
  #noteRecord(): void {
    const { recordStart } = this
    if (this.#notedRecord === recordStart) return
    this.#notedRecord = recordStart
    this.#discardedRowsBefore = this.discardedRows
    this.#discardedValuesBefore = this.#cells.discardedValues
  }

  uncommon(at: Address, field: number, row: number): Address {
    this.#noteRecord()
    const { reader } = this
    reader.position = at - this.#page
    const tree = reader.read()
    const end = this.#page + reader.position
    if (!this.#stores(tree, fieldAt(this.#kernel, field), row)) throw GIVE_UP
    return end
  }

  /** A value that does not fit is an error only if its key does not come again. The exact way checks that. */
  #stores(tree: Tree, field: Field, row: number): boolean {
    try {
      return this.#cells.store(tree, field, field.table, row)
    } catch (error) {
      if (error instanceof DataError) return false
      throw error
    }
  }

  discardList(at: Address): Address {
    this.#noteRecord()
    const { reader } = this
    reader.position = at - this.#page
    let rows = 0
    do {
      reader.read()
      rows++
    } while (reader.accept(COMMA))
    if (!reader.accept(LIST_END)) throw GIVE_UP
    this.discardedRows += rows
    return this.#page + reader.position
  }

  nearestDouble(start: Address, end: Address): number {
    return Number(this.#kernel.bytes.toString('latin1', start, end))
  }

  escapedKey(node: number, start: Address, end: Address): Address {
    const spelling = this.#kernel.nodes[node]?.findSpelling(this.#kernel.bytes.subarray(start, end))
    if (spelling === undefined) throw GIVE_UP
    return spelling
  }

  surrogateReplaced(column: number): void {
    const { table, name } = this.#kernel.columns[column]! // the kernel has the number from there
    this.#cells.surrogateReplaced(table, name)
  }

  nulRemoved(column: number): void {
    const { table, name } = this.#kernel.columns[column]! // the kernel has the number from there
    this.#cells.nulRemoved(table, name)
  }

  digitsCut(column: number): void {
    const { table, name } = this.#kernel.columns[column]! // the kernel has the number from there
    this.#cells.changed(table, name)
  }

  rootId(row: number, start: Address, end: Address): void {
    this.#family?.rootId?.(row, start - this.#page, end - this.#page)
  }
}
