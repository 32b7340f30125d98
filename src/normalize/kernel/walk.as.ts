// @ts-nocheck: AssemblyScript, compiled by scripts/build-wasm.mjs into walk.wasm.ts.
//
// The walk over the bytes of a page, straight into columns. It knows only what the shapes know; anything else makes it
// give up, after which the host forgets the record's rows and reads it in the exact way. It never accepts what is not
// JSON. Functions take the address of a value and return the one behind it; behind the page stand zeros, which are in
// no JSON, so that vectors may be read past its end and every scan stops.

import {
  COLON,
  COMMA,
  isDigit,
  LIST_END,
  LIST_START,
  MINUS,
  OBJECT_END,
  OBJECT_START,
  QUOTE,
  skipSpace,
} from './characters.as'
import { BIGINT, BOOL, DOUBLE, putBool, putDouble, putInt64, TEXT, TIMESTAMP } from './columns.as'
import { digitsCut, discardList, giveUp, nearestDouble, rootId, uncommon } from './host.as'
import { keyAt, keyEnd } from './keys.as'
import { acquire, blockSize, release } from './memory.as'
import { FRACTION, float, INTEGER, integer, number, numberKind } from './numbers.as'
import { Field, Node, Shape } from './shapes.as'
import { startNestedRow, startRow, Table } from './tables.as'
import { putText } from './texts.as'
import { beginsLikeTimestamp, hasMoreDigits, micros, timestampEnd } from './timestamps.as'

export { acquire, acquireZeroed, release } from './memory.as'
export {
  BIGINT,
  BITS,
  BOOL,
  beginText,
  clearColumn,
  countOf,
  DOUBLE,
  endText,
  firstGap,
  LENGTH_AND_BYTES,
  OTHER,
  putBool,
  putDouble,
  putInt32,
  putInt64,
  TEXT,
  TIMESTAMP,
  usedBytes,
  validityOf,
  valuesOf,
} from './columns.as'
export { encodedIds, gatherIds, ID_BYTES, ID_LENGTH, ID_STRIDE, LONGEST_MIDDLE, nestedIds } from './keccak.as'
export { addKey } from './keys.as'
export {
  newField,
  newNode,
  newShape,
  setColumn,
  setDiscarded,
  setKeepsJson,
  setList,
  setNode,
  setSpecial,
  setTable,
  setWrapped,
} from './shapes.as'
export {
  clearRows,
  forgetParentRow,
  listIndexesOf,
  markRows,
  newColumn,
  newTable,
  parentRowsOf,
  rollbackRows,
  rowsOf,
  startNestedRow,
  startRow,
  valueBytes,
} from './tables.as'
export { allowNul } from './texts.as'

/** `true`, `alse` and `null` as little-endian words. */
const TRUE_WORD: u32 = 0x65757274
const ALSE_WORD: u32 = 0x65736c61
const NULL_WORD: u32 = 0x6c6c756e

/** Zeros behind the page. */
const PADDING: u32 = 64

let page: usize = 0
let pageSize: u32 = 0

/** Where a page of `length` bytes is to be written. */
export function setPage(length: u32): usize {
  const size = length + PADDING
  if (size > pageSize) {
    if (page != 0) release(page, pageSize)
    pageSize = blockSize(max<u32>(size, 1 << 16))
    page = acquire(pageSize)
  }
  memory.fill(page + length, 0, PADDING)
  records = 0
  return page
}

/** Records read since the page was set. */
export let records: i32 = 0
/** Where the current record begins, and where {@link walk} stopped. */
export let recordStart: usize = 0
export let position: usize = 0
/** Number of the row being written, over all tables and the whole load; wraps. */
let serial: i32 = 0

/** Starts (0 where there is none) and ends of the values that the root row's id is made from. */
export let keySpans: usize = 0
let keySlots: i32 = 0
let keySpansSize: u32 = 0

export function setKeySlots(count: i32): void {
  const size = <u32>count << 3
  if (size > keySpansSize) {
    if (keySpans != 0) release(keySpans, keySpansSize)
    keySpans = acquire(size)
    keySpansSize = size
  }
  keySlots = count
}

/**
 * Reads records from `position` on until the end of the list (true) or until one of the `count` tables of the family, whose
 * addresses are at `tables`, holds `batchRows` rows (false, `position` is at the next record).
 */
export function walk(root: Shape, table: Table, tables: usize, count: i32, batchRows: i32, makesIds: bool): bool {
  let at = position
  while (true) {
    const full = beginRecord(tables, count, batchRows)
    at = skipSpace(at)
    position = at
    if (full) return false
    recordStart = at
    for (let slot = 0; slot < keySlots; slot++) store<usize>(keySpans + (<usize>slot << 3), 0)
    // The first record of a load takes the exact way, to see that the table has its system columns.
    if (changetype<usize>(root.table) == 0) giveUp()
    const row = startRow(table)
    at = load<u8>(at) == OBJECT_START ? object(at, root.root, table, row, nextSerial()) : wrapped(at, root, row)
    if (makesIds) rootId(row, recordStart, at)
    records++
    at = skipSpace(at)
    const byte = load<u8>(at)
    if (byte == COMMA) at++
    else if (byte == LIST_END) {
      position = at + 1
      beginRecord(tables, count, batchRows)
      return true
    } else giveUp()
  }
}

/** Remembers what a rollback keeps; whether a table has all the rows of a batch. */
@inline function beginRecord(tables: usize, count: i32, batchRows: i32): bool {
  let full = false
  for (let index = 0; index < count; index++) {
    const table = load<Table>(tables + (<usize>index << 2))
    table.recordStart = table.rows
    if (table.rows >= batchRows) full = true
  }
  return full
}

/** A record was read by the host, as far as `end`. */
export function passRecord(end: usize): void {
  position = end
  records++
}

@inline function nextSerial(): i32 {
  serial = (serial + 1) & 0x3fffffff
  return serial
}

/** A record that is no object counts as an object with the key `value`. */
function wrapped(at: usize, root: Shape, row: i32): usize {
  const field = root.wrapped
  if (changetype<usize>(field) == 0 || field.special) giveUp()
  return value(at, field, root.table, row, nextSerial())
}

function object(start: usize, node: Node, table: Table, row: i32, stamp: i32): usize {
  let at = start + 1
  if (load<u8>(at) <= 0x20) at = skipSpace(at)
  if (load<u8>(at) == OBJECT_END) return at + 1
  if (node.slotCount == 0) giveUp()
  let key = node.noKey
  while (true) {
    if (load<u8>(at) != QUOTE) giveUp()
    key = keyAt(node, key, at + 1)
    at = keyEnd
    if (load<u8>(at) != COLON) {
      at = skipSpace(at)
      if (load<u8>(at) != COLON) giveUp()
    }
    at++
    if (load<u8>(at) <= 0x20) at = skipSpace(at)
    const field = key.field
    if (field.stamp == stamp) giveUp()
    field.stamp = stamp
    at = field.special ? special(at, field, table, row, stamp) : value(at, field, table, row, stamp)
    let byte: u32 = load<u8>(at)
    if (byte <= 0x20) {
      at = skipSpace(at)
      byte = load<u8>(at)
    }
    if (byte == COMMA) {
      at++
      if (load<u8>(at) <= 0x20) at = skipSpace(at)
    } else if (byte == OBJECT_END) return at + 1
    else giveUp()
  }
}

/** Of the integers beyond this, several are one double. */
const GREATEST_EXACT: i64 = 9_007_199_254_740_992

function special(start: usize, field: Field, table: Table, row: i32, stamp: i32): usize {
  if (field.exact) giveUp()
  if (field.shared != 0) {
    if (load<i32>(field.shared) == stamp) giveUp()
    store<i32>(field.shared, stamp)
  }
  const end = value(start, field, table, row, stamp)
  if (field.keySlot >= 0) {
    const span = keySpans + (<usize>field.keySlot << 3)
    store<usize>(span, start)
    store<usize>(span, end, 4)
  }
  return end
}

/**
 * What a value is decides before what its column is: the former is known at once, the latter only after the look-up of the
 * key, and confirms it nearly always. With the order turned around, sparse records took a third longer.
 */
function value(at: usize, field: Field, table: Table, row: i32, stamp: i32): usize {
  const byte: u32 = load<u8>(at)
  if (byte == QUOTE) {
    if (beginsLikeTimestamp(at + 1)) {
      if (field.kind == TIMESTAMP) return timestamp(at, field, row)
      if (field.kind == TEXT) return putText(at + 1, field.column, row)
    } else if (field.kind == TEXT) return putText(at + 1, field.column, row)
  } else if (isDigit(byte) || byte == MINUS) {
    const end = number(at)
    if (numberKind == INTEGER) {
      if (field.kind == BIGINT) {
        putInt64(field.column, row, integer)
        return end
      }
      if (field.kind == DOUBLE) {
        if (integer > GREATEST_EXACT || integer < -GREATEST_EXACT) digitsCut(field.column.number)
        putDouble(field.column, row, <f64>integer)
        return end
      }
    } else if (field.kind == DOUBLE) {
      const double = numberKind == FRACTION ? float : nearestDouble(at, end)
      if (double - double == 0) {
        putDouble(field.column, row, double)
        return end
      }
    }
  } else if (byte == 0x74 || byte == 0x66) {
    const isFalse = <usize>(byte == 0x66)
    if (load<u32>(at + isFalse) != (isFalse ? ALSE_WORD : TRUE_WORD)) giveUp()
    if (field.kind == BOOL) {
      putBool(field.column, row, !isFalse)
      return at + 4 + isFalse
    }
  } else return otherValue(at, byte, field, table, row, stamp)
  return uncommon(at, field.number, row)
}

function timestamp(at: usize, field: Field, row: i32): usize {
  const end = timestampEnd(at + 1)
  if (end == 0) return uncommon(at, field.number, row)
  if (hasMoreDigits) digitsCut(field.column.number)
  putInt64(field.column, row, micros)
  return end
}

/** Null, an object, a list, or what does not go straight into the field's column. */
function otherValue(at: usize, byte: u32, field: Field, table: Table, row: i32, stamp: i32): usize {
  if (byte == 0x6e) {
    if (load<u32>(at) != NULL_WORD) giveUp()
    return at + 4
  }
  if (byte == OBJECT_START && !field.keepsJson) {
    if (changetype<usize>(field.node) == 0) giveUp()
    return object(at, field.node, table, row, stamp)
  }
  if (byte == LIST_START && !field.keepsJson) {
    if (changetype<usize>(field.list) == 0) giveUp()
    return list(at, field.list, table, row)
  }
  return uncommon(at, field.number, row)
}

function list(start: usize, shape: Shape, parent: Table, parentRow: i32): usize {
  let at = skipSpace(start + 1)
  if (load<u8>(at) == LIST_END) return at + 1
  const table = shape.table
  if (changetype<usize>(table) == 0 || shape.exact) {
    if (shape.discarded) return discardList(at)
    giveUp()
  }
  const nested = table.parent == parent
  if (nested) {
    if (table.lastParentRow == parentRow) giveUp()
    table.lastParentRow = parentRow
  }
  let index = 0
  while (true) {
    const row = nested ? startNestedRow(table, parentRow, index++) : startRow(table)
    const byte = load<u8>(at)
    const stamp = nextSerial()
    if (byte == OBJECT_START) at = object(at, shape.root, table, row, stamp)
    else at = value(at, byte == LIST_START ? shape.list : shape.value, table, row, stamp)
    if (load<u8>(at) <= 0x20) at = skipSpace(at)
    if (load<u8>(at) == COMMA) {
      at++
      if (load<u8>(at) <= 0x20) at = skipSpace(at)
    } else if (load<u8>(at) == LIST_END) return at + 1
    else giveUp()
  }
}
