import { instantiate } from '../../json/kernel/instantiate.js'
import { EnvironmentError } from '../../model/errors.js'
import type { ColumnWriter } from '../tables/columnWriter.js'
import type { Field, Node } from '../tables/shapes.js'
import walk from './walk.wasm.js'

/** A place in the kernel's memory; 0 for none. */
export type Address = number

/**
 * Thrown through the kernel, and caught by its caller, when a record holds something that the walk does not know. It is
 * thrown often enough to be made only once.
 */
export const GIVE_UP = new Error('the record needs the exact way')

/** What the walk leaves to others, see wasm/host.as.ts; each may throw {@link GIVE_UP}. */
export interface KernelHost {
  uncommon(at: Address, field: number, row: number): Address
  discardList(at: Address): Address
  nearestDouble(start: Address, end: Address): number
  escapedKey(node: number, start: Address, end: Address): Address
  surrogateReplaced(column: number): void
  nulRemoved(column: number): void
  rootId(row: number, start: Address, end: Address): void
}

/** The functions of wasm/walk.as.ts and its parts, which say what they do. */
interface KernelExports {
  readonly memory: { readonly buffer: ArrayBuffer }
  readonly records: { readonly value: number }
  readonly recordStart: { readonly value: Address }
  readonly position: { value: Address }
  readonly keySpans: { readonly value: Address }
  setPage(length: number): Address
  setKeySlots(count: number): void
  walk(root: Address, table: Address, tables: Address, count: number, batchRows: number, makesIds: boolean): number
  passRecord(end: Address): void
  allowNul(allowed: boolean): void

  acquire(size: number): Address
  acquireZeroed(size: number): Address
  release(block: Address, size: number): void

  newTable(parent: Address): Address
  newColumn(table: Address, width: number, column: number): Address
  startRow(table: Address): number
  startNestedRow(table: Address, parentRow: number, listIndex: number): number
  rowsOf(table: Address): number
  parentRowsOf(table: Address): Address
  listIndexesOf(table: Address): Address
  valueBytes(table: Address): number
  markRows(table: Address): void
  rollbackRows(table: Address): void
  clearRows(table: Address): void
  forgetParentRow(table: Address): void

  putInt64(column: Address, row: number, value: bigint): void
  putDouble(column: Address, row: number, value: number): void
  putInt32(column: Address, row: number, value: number): void
  putBool(column: Address, row: number, value: boolean): void
  beginText(column: Address, length: number): Address
  endText(column: Address, row: number, to: Address): void
  countOf(column: Address): number
  valuesOf(column: Address): Address
  validityOf(column: Address): Address
  usedBytes(column: Address): number
  firstGap(column: Address, rows: number): number
  clearColumn(column: Address, rows: number): void

  encodedIds(bytes: Address, output: Address, count: number): void
  gatherIds(source: Address, rows: Address, output: Address, count: number): void
  nestedIds(
    parents: Address,
    indexes: Address,
    output: Address,
    middle: Address,
    middleLength: number,
    count: number,
  ): void

  newField(field: number, keepsJson: boolean): Address
  setColumn(field: Address, column: Address, kind: number): void
  setKeepsJson(field: Address): void
  setNode(field: Address, node: Address): void
  setList(field: Address, shape: Address): void
  setSpecial(field: Address, exact: boolean, shared: Address, keySlot: number): void
  newNode(node: number): Address
  addKey(node: Address, field: Address, bytes: Address, length: number): Address
  newShape(root: Address, value: Address, list: Address): Address
  setTable(shape: Address, table: Address, exact: boolean): void
  setWrapped(shape: Address, field: Address): void
  setDiscarded(shape: Address): void
}

/** The walk of one load, with the memory that its shapes, its page and the columns of the current batches are in. */
export class Kernel {
  readonly exports: KernelExports
  /** What the kernel names by number. */
  readonly columns: ColumnWriter[] = []
  readonly fields: Field[] = []
  readonly nodes: Node[] = []
  #bytes = Buffer.alloc(0)
  #words = new Int32Array(0)

  constructor(host: () => KernelHost) {
    this.exports = instantiate(walk, {
      host: {
        giveUp: () => {
          throw GIVE_UP
        },
        outOfMemory,
        uncommon: (at: Address, field: number, row: number) => host().uncommon(at, field, row),
        discardList: (at: Address) => host().discardList(at),
        nearestDouble: (start: Address, end: Address) => host().nearestDouble(start, end),
        escapedKey: (node: number, start: Address, end: Address) => host().escapedKey(node, start, end),
        surrogateReplaced: (column: number) => host().surrogateReplaced(column),
        nulRemoved: (column: number) => host().nulRemoved(column),
        rootId: (row: number, start: Address, end: Address) => host().rootId(row, start, end),
      },
    }) as KernelExports
  }

  /** The memory; to be asked for again after every call of the kernel, which may have enlarged it. */
  get bytes(): Buffer {
    if (this.#bytes.length === 0) this.#bytes = Buffer.from(this.exports.memory.buffer)
    return this.#bytes
  }

  /** The same in 32-bit integers. */
  get words(): Int32Array {
    if (this.#words.length === 0) this.#words = new Int32Array(this.exports.memory.buffer)
    return this.#words
  }
}

function outOfMemory(bytes: number): never {
  throw new EnvironmentError(
    `There is no memory for the rows of a batch, which may take 2 GB: another ${bytes >>> 0} bytes were needed; ask for smaller records, or give the process more memory`,
    { code: 'memory' },
  )
}
