// @ts-nocheck: AssemblyScript, part of walk.as.ts.
//
// The rows of a table that are not in a batch yet.

import { Column, growValidity, makeColumn, mark, truncate, usedBytes } from './columns.as'
import { acquire, acquireZeroed, release } from './memory.as'

const FIRST_ROWS: i32 = 256

@unmanaged export class Table {
  /** Rows of the current batch. */
  rows: i32
  rowCapacity: i32
  /** Rows when the current root record began. */
  recordStart: i32
  /** Row of the parent that the last list belonged to. */
  lastParentRow: i32
  /** The table whose rows these rows hang on, if any. */
  parent: Table
  /** For nested tables, by row: i32 each. */
  parentRows: usize
  listIndexes: usize
  /** The first of the list. */
  columns: Column
}

export function newTable(parent: Table): Table {
  const table = changetype<Table>(acquireZeroed(offsetof<Table>()))
  table.rowCapacity = FIRST_ROWS
  table.lastParentRow = -1
  table.parent = parent
  if (changetype<usize>(parent) == 0) return table
  table.parentRows = acquire(FIRST_ROWS << 2)
  table.listIndexes = acquire(FIRST_ROWS << 2)
  return table
}

export function newColumn(table: Table, width: i32, number: i32): Column {
  table.columns = makeColumn(width, number, table.rowCapacity, table.columns)
  return table.columns
}

/** Begins a row of a root table. */
export function startRow(table: Table): i32 {
  if (table.rows == table.rowCapacity) growRows(table)
  return table.rows++
}

/** Begins a row of a nested table. */
export function startNestedRow(table: Table, parentRow: i32, listIndex: i32): i32 {
  const row = startRow(table)
  store<i32>(table.parentRows + (<usize>row << 2), parentRow)
  store<i32>(table.listIndexes + (<usize>row << 2), listIndex)
  return row
}

function growRows(table: Table): void {
  const before = table.rowCapacity
  table.rowCapacity = before << 1
  for (let column = table.columns; changetype<usize>(column) != 0; column = column.next) {
    growValidity(column, table.rowCapacity)
  }
  if (changetype<usize>(table.parent) == 0) return
  table.parentRows = doubled(table.parentRows, before << 2)
  table.listIndexes = doubled(table.listIndexes, before << 2)
}

function doubled(block: usize, size: u32): usize {
  const larger = acquire(size << 1)
  memory.copy(larger, block, size)
  release(block, size)
  return larger
}

/** Rollbacks within the page go back as far as here. */
export function markRows(table: Table): void {
  for (let column = table.columns; changetype<usize>(column) != 0; column = column.next) mark(column)
}

/** Forgets the rows of the current root record. */
export function rollbackRows(table: Table): void {
  if (table.rows == table.recordStart) return
  for (let column = table.columns; changetype<usize>(column) != 0; column = column.next) {
    truncate(column, table.recordStart, table.rows)
  }
  table.rows = table.recordStart
  table.lastParentRow = -1
}

/** Bytes of the values of the current batch. */
export function valueBytes(table: Table): f64 {
  let bytes: f64 = 0
  for (let column = table.columns; changetype<usize>(column) != 0; column = column.next) bytes += usedBytes(column)
  return bytes
}

/** Begins the next batch. */
export function clearRows(table: Table): void {
  table.rows = 0
  table.recordStart = 0
  table.lastParentRow = -1
}

/** The next list may belong to any row of the parent. */
export function forgetParentRow(table: Table): void {
  table.lastParentRow = -1
}

export function rowsOf(table: Table): i32 {
  return table.rows
}

export function parentRowsOf(table: Table): usize {
  return table.parentRows
}

export function listIndexesOf(table: Table): usize {
  return table.listIndexes
}
