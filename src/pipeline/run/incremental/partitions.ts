import type { JsonObject, JsonValue } from '../../../json/value.js'
import { stringifyJson } from '../../../json/write.js'
import type { CursorRange } from '../../../model/cursors/cursorRange.js'
import { DataError } from '../../../model/errors.js'
import type { IncrementalHint, PartitionHint, Resource } from '../../../model/source.js'
import { identityOf, identityValue } from './parentIdentity.js'

/** What cuts a list into windows: the cursor of its records, the records of its parent, or its pages. */
export type Cut = (IncrementalHint & { readonly by?: undefined }) | PartitionCut

/** A cut by records of the parent, or by pages. `cursorPath` stands for it in the ledger, and is no path of a cursor. */
export type PartitionCut = PartitionHint & { readonly cursorPath: string }

/**
 * With another key, records are in other partitions, or parts that meet are compared by other values: that is another
 * cut. So it is with pages of another length. `keyed`: the parent, or the list itself where its pages are the partitions.
 */
export function partitionCut(hint: PartitionHint, keyed: Resource): PartitionCut {
  const size = hint.by === 'pages' ? keyed.counted?.size : undefined
  const of = `${hint.by} by ${(keyed.hints.primaryKey ?? []).join(', ')}`
  return { ...hint, cursorPath: size === undefined ? `(${of})` : `(${of} with ${size})` }
}

/** Whether the ledger has the windows of partitions under this name. */
export function isPartitionCut(cursorPath: string): boolean {
  return cursorPath.startsWith('(')
}

/** All parents, dealt out by their keys: a slice is a range of so many shares. */
export const ALL_SHARES = 1_000_000

/**
 * What one window reads. By `values`, `start` and `end` are the key of one record of the parent; by `parents` they are
 * shares of the records of the parent; by `pages` they are places in the list.
 */
export interface PartitionRange extends CursorRange {
  readonly by: PartitionHint['by']
}

/** Decides which records of the parent belong to a partition. The same record always belongs to the same one. */
export class PartitionParents {
  readonly #range: PartitionRange
  readonly #parent: Resource

  constructor(range: PartitionRange, parent: Resource) {
    this.#range = range
    this.#parent = parent
  }

  has(record: JsonObject): boolean {
    const { by, start, end } = this.#range
    if (by === 'values') return stringifyJson(keyOf(this.#parent, record)) === stringifyJson(start)
    const share = shareOf(this.#parent, record)
    return share >= Number(start) && share < Number(end)
  }
}

/** The key of a record of the parent: its value, or the list of its values. Throws a DataError if it has none. */
export function keyOf(parent: Resource, record: JsonObject): JsonValue {
  const key = identityValue(record, parent.hints.primaryKey ?? [])
  if (key === undefined) throw withoutKey(parent, record)
  return key
}

/** A number and its text have one share: an API may write a key the one way today and the other way tomorrow. */
function shareOf(parent: Resource, record: JsonObject): number {
  const digest = identityOf({ key: alike(keyOf(parent, record)) }, ['key'])
  if (digest === undefined) throw withoutKey(parent, record)
  return Buffer.from(digest, 'base64url').readUIntBE(0, 6) % ALL_SHARES
}

/** The same for keys that lead to the same list. */
function alike(key: JsonValue): JsonValue {
  if (Array.isArray(key)) return key.map(alike)
  return typeof key === 'object' ? key : String(key)
}

function withoutKey({ name, hints, path }: Resource, record: JsonObject): DataError {
  const keys = Object.keys(record).join(', ') || 'none'
  const key = (hints.primaryKey ?? []).join(', ')
  const message = `a record of ${name} has no value of its primary key ${key}; it has the keys ${keys}. A partition knows records of the parent by their keys; fix the primary_key of ${name}.`
  return new DataError('placeholder', message, { resource: name, path })
}
