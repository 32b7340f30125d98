import { randomFillSync } from 'node:crypto'
import type { Address } from '../../json/kernel/instantiate.js'
import { parseJson } from '../../json/parse.js'
import { isJsonObject, type JsonValue, keepNumberLiterals } from '../../json/value.js'
import { canonicalJson } from '../../json/write.js'
import { shake128Base64 } from '../../model/cursors/boundaryHashes.js'
import { DataError } from '../../model/errors.js'
import { excerpt, type ObjectTree, type Tree, treeJson } from '../exact/tree.js'
import type { Kernel } from '../kernel/kernel.js'
import { ID_BYTES, ID_LENGTH, ID_STRIDE, LONGEST_MIDDLE } from '../kernel/walk.wasm.js'
import type { BufferPool } from './buffers.js'

/** Random bytes to fetch at a time. */
const RANDOM_IDS = 1024

/** `row_hash` and `key_hash`: the id made from canonical JSON. */
export function rowHash(canonical: string): string {
  return shake128Base64(canonical, ID_BYTES)
}

/** Id of a nested row, made from the id of its parent, its table and its place in the list. */
export function nestedId(parent: string, table: string, index: number): string {
  return shake128Base64(`${parent}_${table}_${index}`, ID_BYTES)
}

/**
 * Row ids as a text column, in the kernel's memory. Nearly all have the length of a generated id. The others are in a
 * map.
 */
export class IdColumn {
  readonly #kernel: Kernel
  #block: Address = 0
  #size = 0
  /** Ids of another length, by row. */
  #others: Map<number, string> | undefined

  constructor(kernel: Kernel) {
    this.#kernel = kernel
  }

  /** Place of a row's id, with room for all ids before `rows`. */
  #place(row: number, rows: number): Address {
    const size = rows * ID_STRIDE
    if (size > this.#size) {
      const { exports } = this.#kernel
      const block = exports.acquire(Math.max(size, this.#size * 2))
      if (this.#size > 0) {
        this.#kernel.bytes.copyWithin(block, this.#block, this.#block + this.#size)
        exports.release(this.#block, this.#size)
      }
      this.#block = block
      this.#size = Math.max(size, this.#size * 2)
    }
    return this.#block + row * ID_STRIDE
  }

  set(row: number, id: string): void {
    const at = this.#place(row, row + 1)
    const { bytes } = this.#kernel
    bytes.writeUInt32LE(ID_LENGTH, at)
    if (Buffer.byteLength(id) === ID_LENGTH) {
      bytes.write(id, at + 4)
      this.#others?.delete(row)
      return
    }
    this.#others ??= new Map()
    this.#others.set(row, id)
  }

  /** The id of one row. */
  at(row: number): string {
    const at = this.#block + row * ID_STRIDE
    return this.#others?.get(row) ?? this.#kernel.bytes.toString('utf8', at + 4, at + ID_STRIDE)
  }

  /** Gives random ids, 80 bits from the system's generator, to the rows from `from` up to, but without, `to`. */
  makeRandom(from: number, to: number): void {
    const { exports } = this.#kernel
    const random = exports.acquire(RANDOM_IDS * ID_BYTES)
    for (let row = from; row < to; row += RANDOM_IDS) {
      const count = Math.min(RANDOM_IDS, to - row)
      const place = this.#place(row, to)
      randomFillSync(this.#kernel.bytes, random, count * ID_BYTES)
      exports.encodedIds(random, place, count)
    }
    exports.release(random, RANDOM_IDS * ID_BYTES)
  }

  /**
   * Gives {@link nestedId}s to the rows from `from` up to, but without, `to`. Uses the parents' ids at the same rows,
   * and the list positions at `listIndexes` by row.
   */
  makeNested(parents: IdColumn, table: string, listIndexes: Address, from: number, to: number): void {
    const middle = Buffer.from(`_${table}_`)
    const place = this.#place(from, to)
    if (middle.length > LONGEST_MIDDLE) {
      for (let row = from; row < to; row++) this.#makeOne(parents, table, listIndexes, row)
      return
    }
    const { exports } = this.#kernel
    const written = exports.acquire(LONGEST_MIDDLE)
    this.#kernel.bytes.set(middle, written)
    const ofParents = parents.#block + from * ID_STRIDE
    exports.nestedIds(ofParents, listIndexes + from * 4, place, written, middle.length, to - from)
    exports.release(written, LONGEST_MIDDLE)
    for (const row of parents.#others?.keys() ?? []) {
      if (row >= from && row < to) this.#makeOne(parents, table, listIndexes, row)
    }
  }

  #makeOne(parents: IdColumn, table: string, listIndexes: Address, row: number): void {
    this.set(row, nestedId(parents.at(row), table, this.#kernel.words[(listIndexes >> 2) + row] ?? 0))
  }

  /** Rows from `from` up to, but without, `to` get ids of `source`: `sourceRows` has the source row of each. */
  gather(source: IdColumn, sourceRows: Address, from: number, to: number): void {
    const place = this.#place(from, to)
    this.#kernel.exports.gatherIds(source.#block, sourceRows + from * 4, place, to - from)
    if (source.#others === undefined) return
    const { words } = this.#kernel
    for (let row = from; row < to; row++) {
      const other = source.#others.get(words[(sourceRows >> 2) + row] ?? 0)
      if (other !== undefined) this.set(row, other)
    }
  }

  /** Rows from `from` up to, but without, `to` get the ids of the same rows in `source`. */
  copy(source: IdColumn, from: number, to: number): void {
    const place = this.#place(from, to)
    const first = source.#block + from * ID_STRIDE
    this.#kernel.bytes.copyWithin(place, first, first + (to - from) * ID_STRIDE)
    if (source.#others === undefined) return
    for (const [row, id] of source.#others) if (row >= from && row < to) this.set(row, id)
  }

  /** The ids of all `rows` rows as values of a text column. Adds the buffer to `lent`. */
  values(rows: number, pool: BufferPool, lent: Uint8Array[]): Uint8Array {
    const { bytes } = this.#kernel
    if (this.#others !== undefined) {
      return Buffer.concat(Array.from({ length: rows }, (_, row) => textValue(this.at(row))))
    }
    const values = pool.acquire(rows * ID_STRIDE)
    lent.push(values)
    values.set(bytes.subarray(this.#block, this.#block + rows * ID_STRIDE))
    return values.subarray(0, rows * ID_STRIDE)
  }

  clear(): void {
    this.#others = undefined
  }
}

/** One value of a text column. */
export function textValue(text: string): Uint8Array {
  const bytes = Buffer.from(text, 'utf8')
  const value = Buffer.alloc(4 + bytes.length)
  value.writeUInt32LE(bytes.length)
  bytes.copy(value, 4)
  return value
}

/**
 * Id from the values of the key columns (`key_hash`), hashed as they came, before conversion. Fails with a {@link
 * DataError} if one is missing.
 */
export function keyId(table: string, columns: readonly string[], value: (column: string) => Tree | undefined): string {
  const members = new Map<string, Tree>()
  for (const column of columns) members.set(column, value(column) ?? null)
  for (const [column, tree] of members) if (tree === null) throw missingKey(table, column, excerpt(members))
  return rowHash(canonicalJson(parseJson(treeJson(members, same => same))))
}

/** Like {@link keyId}, from the values' JSON bytes. Undefined if a key is missing. */
export function keyIdOfBytes(
  table: string,
  columns: readonly string[],
  value: (slot: number) => Uint8Array | undefined,
): string {
  let json = ''
  for (const [slot, column] of columns.entries()) {
    const bytes = value(slot)
    const text = bytes === undefined ? 'null' : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString()
    if (text === 'null') throw missingKey(table, column, undefined)
    json += `${json === '' ? '' : ','}${JSON.stringify(column)}:${text}`
  }
  if (columns.length === 1 && PLAIN_INTEGER.test(json)) return rowHash(`{${json}}`)
  return rowHash(canonicalJson(parseJson(`{${json}}`)))
}

/** A member whose canonical form is its own text. */
const PLAIN_INTEGER = /^"[a-z0-9_]+":-?[1-9][0-9]{0,14}$/

/** Id from the whole record except its `_dlt` keys (`row_hash`). */
export function recordId(record: ObjectTree): string {
  const members = new Map<string, Tree>()
  for (const [key, tree] of record) if (!key.startsWith('_dlt')) members.set(key, tree)
  return rowHash(canonicalJson(parseJson(treeJson(members, same => same))))
}

/** Like {@link recordId}, from the record's JSON bytes. */
export function recordIdOfBytes(bytes: Uint8Array): string {
  const record = parseJson(bytes)
  const members: JsonValue = isJsonObject(record) ? record : { value: record }
  const marked = Object.keys(members).filter(key => key.startsWith('_dlt'))
  if (marked.length === 0) return rowHash(canonicalJson(members))
  const copy: Record<string, JsonValue> = { ...members }
  for (const key of marked) delete copy[key]
  keepNumberLiterals(members, copy)
  return rowHash(canonicalJson(copy))
}

function missingKey(table: string, column: string, record: string | undefined): DataError {
  const where = record === undefined ? '' : ` (${record})`
  return new DataError(
    'primary_key',
    `Column ${table}.${column} is part of the primary key, but a record has no value for it${where}`,
    { path: `${table}.${column}` },
  )
}
