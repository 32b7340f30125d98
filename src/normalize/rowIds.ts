import { randomFillSync } from 'node:crypto'
import { shake128Base64 } from '../core/digest.js'
import { instantiate } from '../core/instantiate.js'
import keccak from './wasm/keccak.wasm.js'

/** Characters of a generated row id: 10 bytes in standard base64 without padding. */
export const ROW_ID_LENGTH = 14
/** Bytes of a generated row id in a text column: u32 length, 14 ASCII characters. */
export const ROW_ID_STRIDE = 18

const idBytes = 10

/** `row_hash` and `key_hash`: the id made from canonical JSON. */
export function rowHash(canonical: string): string {
  return shake128Base64(canonical, idBytes)
}

/** Id of a nested row, made from the id of its parent, its table and its place in the list. */
export function nestedId(parent: string, table: string, index: number): string {
  return shake128Base64(`${parent}_${table}_${index}`, idBytes)
}

/**
 * Writes `count` random ids (80 bits from the system's generator) as values of a text column, {@link ROW_ID_STRIDE} bytes
 * each, to `out` from `at`. Over a hundred times as fast as `randomBytes(10).toString('base64')` for each.
 */
export function randomIds(count: number, out: Uint8Array, at = 0): void {
  const { exports, input, output, capacity } = kernel()
  for (let done = 0; done < count; done += capacity) {
    const now = Math.min(capacity, count - done)
    randomFillSync(input, 0, now * idBytes)
    exports.encode(now)
    out.set(output.subarray(0, now * ROW_ID_STRIDE), at + done * ROW_ID_STRIDE)
  }
}

/**
 * Ids of `count` nested rows of a table: {@link nestedId} for every row, six times as fast. `parents` is a text column
 * (per value u32 length, UTF-8) with each row's parent id; `indexes` the places in the lists, 0 to 2^31−1. The ids are
 * written to `out` as values of a text column, {@link ROW_ID_STRIDE} bytes each.
 */
export function nestedIds(
  parents: Uint8Array,
  table: string,
  indexes: BigInt64Array | Int32Array,
  count: number,
  out: Uint8Array,
): void {
  const places = indexes instanceof Int32Array ? indexes : lowHalves(indexes, count)
  const middle = Buffer.from(`_${table}_`)
  if (middle.length > longestMiddle || !areGenerated(parents, count)) {
    nestedIdsOfAny(parents, table, places, count, out)
    return
  }
  const { exports, input, output, middle: middleOfKernel, indexes: indexesOfKernel, capacity } = kernel()
  middleOfKernel.set(middle)
  for (let done = 0; done < count; done += capacity) {
    const now = Math.min(capacity, count - done)
    input.set(parents.subarray(done * ROW_ID_STRIDE, (done + now) * ROW_ID_STRIDE))
    indexesOfKernel.set(places.subarray(done, done + now))
    exports.nested(middle.length, now)
    out.set(output.subarray(0, now * ROW_ID_STRIDE), done * ROW_ID_STRIDE)
  }
}

// Parent, middle, ten digits and a byte of padding fill the 168 bytes of a block of SHAKE-128.
const longestMiddle = 168 - ROW_ID_LENGTH - 10 - 1

/** Whether all parent ids have the length of generated ones: with data of its own a row may have any id. */
function areGenerated(parents: Uint8Array, count: number): boolean {
  if (parents.length < count * ROW_ID_STRIDE) return false
  for (let at = 0, end = count * ROW_ID_STRIDE; at < end; at += ROW_ID_STRIDE) {
    if (parents[at] !== ROW_ID_LENGTH || (parents[at + 1]! | parents[at + 2]! | parents[at + 3]!) !== 0) return false
  }
  return true
}

function nestedIdsOfAny(parents: Uint8Array, table: string, places: Int32Array, count: number, out: Uint8Array): void {
  const source = Buffer.from(parents.buffer, parents.byteOffset, parents.byteLength)
  const target = Buffer.from(out.buffer, out.byteOffset, out.byteLength)
  let at = 0
  for (let row = 0; row < count; row++) {
    const length = source.readUInt32LE(at)
    const parent = source.toString('utf8', at + 4, at + 4 + length)
    at += 4 + length
    target.writeUInt32LE(ROW_ID_LENGTH, row * ROW_ID_STRIDE)
    target.write(nestedId(parent, table, places[row]!), row * ROW_ID_STRIDE + 4, 'latin1')
  }
}

function lowHalves(indexes: BigInt64Array, count: number): Int32Array {
  const halves = new Int32Array(indexes.buffer, indexes.byteOffset, count * 2)
  return Int32Array.from({ length: count }, (_, row) => halves[row * 2]!)
}

interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer }
  readonly CAPACITY: { readonly value: number }
  /** Addresses. */
  readonly input: { readonly value: number }
  readonly indexes: { readonly value: number }
  readonly output: { readonly value: number }
  readonly middle: { readonly value: number }
  nested(middleLength: number, count: number): void
  encode(count: number): void
}

interface Kernel {
  readonly exports: Exports
  readonly capacity: number
  readonly input: Uint8Array
  readonly indexes: Int32Array
  readonly output: Uint8Array
  readonly middle: Uint8Array
}

let loaded: Kernel | undefined

/** The compiled kernel; loaded with the first id. Its memory never grows, so views of it stay valid. */
function kernel(): Kernel {
  loaded ??= load()
  return loaded
}

function load(): Kernel {
  const exports = instantiate(keccak) as Exports
  const capacity = exports.CAPACITY.value
  const { buffer } = exports.memory
  return {
    exports,
    capacity,
    input: new Uint8Array(buffer, exports.input.value, capacity * ROW_ID_STRIDE),
    indexes: new Int32Array(buffer, exports.indexes.value, capacity),
    output: new Uint8Array(buffer, exports.output.value, capacity * ROW_ID_STRIDE),
    middle: new Uint8Array(buffer, exports.middle.value, longestMiddle),
  }
}
