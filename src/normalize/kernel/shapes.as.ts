// @ts-nocheck: AssemblyScript, part of walk.as.ts.
//
// What is known about records, as in shapes.ts, as far as the walk needs it.

import { Column, NO_COLUMN } from './columns.as'
import { Key, noKey } from './keys.as'
import { acquireZeroed } from './memory.as'
import { Table } from './tables.as'

/** One key of the objects at one place. */
@unmanaged export class Field {
  /** Row serial of the last visit: a second one in the same row is a repeated key. */
  stamp: i32
  /** Of the column. */
  kind: i32
  column: Column
  /** One of `exact`, `shared` and `keySlot` applies. */
  special: bool
  /** The walk must leave records with this key to the exact way. */
  exact: bool
  /** Objects and lists stay whole, as JSON. */
  keepsJson: bool
  /** The members of the object here. */
  node: Node
  /** The elements of the list here. */
  list: Shape
  /** Address of the row serial of the last visit of any key that leads to the same column, where there are several. */
  shared: usize
  /** Place among the columns that the root row's id is made from, -1 for none. */
  keySlot: i32
  /** For the host. */
  number: i32
}

/** The objects at one place of a table's rows. */
@unmanaged export class Node {
  /** Stands for the key before the first. */
  noKey: Key
  /** Open addressing by hash: keys. */
  slots: usize
  slotCount: u32
  keys: u32
  /** For the host. */
  number: i32
}

/** The lists at one place, or the records of a root table. */
@unmanaged export class Shape {
  /** Known once an element was seen, or the table existed before. */
  table: Table
  root: Node
  /** Key `value` of the root, if it is known: records that are no objects count as objects with it. */
  wrapped: Field
  /** Column `value`, of elements that are no objects. */
  value: Field
  /** Elements that are lists. */
  list: Field
  /** The contract does not admit the table. */
  discarded: bool
  /** The walk must leave these lists to the exact way. */
  exact: bool
}

export function newField(number: i32, keepsJson: bool): Field {
  const field = changetype<Field>(acquireZeroed(offsetof<Field>()))
  field.kind = NO_COLUMN
  field.keepsJson = keepsJson
  field.keySlot = -1
  field.number = number
  return field
}

export function setColumn(field: Field, column: Column, kind: i32): void {
  field.column = column
  field.kind = kind
}

export function setKeepsJson(field: Field): void {
  field.keepsJson = true
}

export function setNode(field: Field, node: Node): void {
  field.node = node
}

export function setList(field: Field, list: Shape): void {
  field.list = list
}

/** `shared` is a block of four zeros, the same for all fields of a column, or 0. */
export function setSpecial(field: Field, exact: bool, shared: usize, keySlot: i32): void {
  field.special = exact || shared != 0 || keySlot >= 0
  field.exact = exact
  field.shared = shared
  field.keySlot = keySlot
}

export function newNode(number: i32): Node {
  const node = changetype<Node>(acquireZeroed(offsetof<Node>()))
  node.number = number
  node.noKey = noKey()
  return node
}

export function newShape(root: Node, value: Field, list: Field): Shape {
  const shape = changetype<Shape>(acquireZeroed(offsetof<Shape>()))
  shape.root = root
  shape.value = value
  shape.list = list
  return shape
}

export function setTable(shape: Shape, table: Table, exact: bool): void {
  shape.table = table
  shape.exact = exact
}

export function setWrapped(shape: Shape, field: Field): void {
  shape.wrapped = field
}

export function setDiscarded(shape: Shape): void {
  shape.discarded = true
}
