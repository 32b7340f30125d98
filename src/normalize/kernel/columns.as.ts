// @ts-nocheck: AssemblyScript, part of walk.as.ts.
//
// The growing values of a column, laid out as in core/batch.

import { giveUp } from './host.as'
import { acquire, acquireZeroed, blockSize, release } from './memory.as'

// What a field's column takes: its type, as far as the walk writes values of it by itself.
export const TEXT: i32 = 0
export const BIGINT: i32 = 1
export const DOUBLE: i32 = 2
export const BOOL: i32 = 3
export const TIMESTAMP: i32 = 4
/** Any other type: the host writes the values. */
export const OTHER: i32 = 5
/** Of fields without a column. */
export const NO_COLUMN: i32 = 6

/** Width of values with a length, u32 before their bytes. */
export const LENGTH_AND_BYTES: i32 = 0
/** Width of bits; other widths are bytes. */
export const BITS: i32 = 1

/** Bytes that may be written behind what a text holds: a vector and an escaped character. */
const TEXT_SLACK: u32 = 32
const FIRST_BYTES: u32 = 1024

@unmanaged export class Column {
  /** Values so far. */
  count: i32
  /** Values that fit in without growing; 0 for values with a length. */
  capacity: i32
  /** Bytes of values with a length so far. */
  position: u32
  /** One bit a row. */
  validity: usize
  values: usize
  /** Bytes of the block of `values`. */
  size: u32
  /** {@link LENGTH_AND_BYTES}, {@link BITS}, or the bytes of a value. */
  width: i32
  /** Bytes of the block of `validity`. */
  validitySize: u32
  markedCount: i32
  markedPosition: u32
  /** For the host. */
  number: i32
  /** Of the same table. */
  next: Column
}

export function makeColumn(width: i32, number: i32, rowCapacity: i32, next: Column): Column {
  const column = changetype<Column>(acquireZeroed(offsetof<Column>()))
  column.width = width
  column.number = number
  column.next = next
  column.validitySize = validityBytes(rowCapacity)
  column.validity = acquireZeroed(column.validitySize)
  adopt(column, width == BITS ? acquireZeroed(FIRST_BYTES) : acquire(FIRST_BYTES), FIRST_BYTES)
  return column
}

function validityBytes(rows: i32): u32 {
  return (<u32>rows + 7) >> 3
}

function adopt(column: Column, values: usize, size: u32): void {
  column.values = values
  column.size = size
  const width = column.width
  column.capacity = width == LENGTH_AND_BYTES ? 0 : width == BITS ? <i32>size << 3 : <i32>size / width
}

/** Moves the first `used` bytes of the values to a block of `size` bytes at least. */
function moveValues(column: Column, used: u32, size: u32): void {
  const bytes = blockSize(size)
  const values = column.width == BITS ? acquireZeroed(bytes) : acquire(bytes)
  memory.copy(values, column.values, used)
  release(column.values, column.size)
  adopt(column, values, bytes)
}

/** Makes room for one more value of a fixed width. */
function growValues(column: Column): void {
  moveValues(column, column.size, column.size << 1)
}

export function growValidity(column: Column, rowCapacity: i32): void {
  const bytes = validityBytes(rowCapacity)
  if (bytes <= column.validitySize) return
  const validity = acquireZeroed(bytes)
  memory.copy(validity, column.validity, column.validitySize)
  release(column.validity, column.validitySize)
  column.validity = validity
  column.validitySize = blockSize(bytes)
}

export function has(column: Column, row: i32): bool {
  return (load<u8>(column.validity + (row >> 3)) & (1 << (row & 7))) != 0
}

/** Before a value is added: a second one in the same row makes the walk give up the record. */
@inline function setValid(column: Column, row: i32): void {
  const at = column.validity + (row >> 3)
  const bit: u32 = 1 << (row & 7)
  const bits: u32 = load<u8>(at)
  if ((bits & bit) != 0) giveUp()
  store<u8>(at, bits | bit)
}

@inline function nextValue(column: Column, row: i32): i32 {
  if (column.count == column.capacity) growValues(column)
  setValid(column, row)
  return column.count++
}

export function putInt64(column: Column, row: i32, value: i64): void {
  const index = nextValue(column, row)
  store<i64>(column.values + (<usize>index << 3), value)
}

export function putDouble(column: Column, row: i32, value: f64): void {
  const index = nextValue(column, row)
  store<f64>(column.values + (<usize>index << 3), value)
}

export function putInt32(column: Column, row: i32, value: i32): void {
  const index = nextValue(column, row)
  store<i32>(column.values + (<usize>index << 2), value)
}

export function putBool(column: Column, row: i32, value: bool): void {
  const index = nextValue(column, row)
  const at = column.values + (index >> 3)
  store<u8>(at, load<u8>(at) | (<u32>value << (index & 7)))
}

/** Where a text begins whose bytes are then written by the caller, `length` or as far as {@link textLimit}. */
export function beginText(column: Column, length: u32): usize {
  const needed = <u64>column.position + 4 + length + TEXT_SLACK
  if (needed > column.size) moveValues(column, column.position, <u32>min<u64>(needed, u32.MAX_VALUE))
  return column.values + column.position + 4
}

/** A vector and a character may be written from here, but no more. */
@inline export function textLimit(column: Column): usize {
  return column.values + column.size - TEXT_SLACK
}

/** More room for a text that is written as far as `to`; where that is afterwards. */
export function growText(column: Column, to: usize): usize {
  const used = <u32>(to - column.values)
  moveValues(column, used, column.size << 1)
  return column.values + used
}

/** Completes the text that is written as far as `to`. */
@inline export function endText(column: Column, row: i32, to: usize): void {
  setValid(column, row)
  const at = column.values + column.position
  store<u32>(at, <u32>(to - at) - 4)
  column.position = <u32>(to - column.values)
  column.count++
}

/** Remembers this place: {@link truncate} can go back as far as here. */
export function mark(column: Column): void {
  column.markedCount = column.count
  column.markedPosition = column.position
}

/** Forgets the values of the rows from `row` to before `rows`. */
export function truncate(column: Column, row: i32, rows: i32): void {
  let count = column.count
  for (let at = row; at < rows; at++) {
    if (!has(column, at)) continue
    const byte = column.validity + (at >> 3)
    store<u8>(byte, <u32>load<u8>(byte) & ~(1 << (at & 7)))
    count--
    if (column.width == BITS) {
      const bits = column.values + (count >> 3)
      store<u8>(bits, <u32>load<u8>(bits) & ~(1 << (count & 7)))
    }
  }
  if (count == column.count) return
  column.count = count
  if (column.width == LENGTH_AND_BYTES) column.position = positionOf(column, count)
}

function positionOf(column: Column, index: i32): u32 {
  let position = column.markedPosition
  for (let at = column.markedCount; at < index; at++) position += 4 + load<u32>(column.values + position)
  return position
}

/** First of `rows` rows without a value, or -1. */
export function firstGap(column: Column, rows: i32): i32 {
  if (column.count == rows) return -1
  for (let row = 0; row < rows; row++) if (!has(column, row)) return row
  return -1
}

/** Bytes of the values so far. */
export function usedBytes(column: Column): u32 {
  const width = column.width
  return width == LENGTH_AND_BYTES ? column.position : width == BITS ? validityBytes(column.count) : column.count * width
}

/** Starts anew, after `rows` rows. */
export function clearColumn(column: Column, rows: i32): void {
  memory.fill(column.validity, 0, validityBytes(rows))
  if (column.width == BITS) memory.fill(column.values, 0, validityBytes(column.count))
  column.count = 0
  column.position = 0
  mark(column)
}

export function countOf(column: Column): i32 {
  return column.count
}

export function valuesOf(column: Column): usize {
  return column.values
}

export function validityOf(column: Column): usize {
  return column.validity
}
