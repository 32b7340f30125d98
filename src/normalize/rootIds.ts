import { DataError } from '../core/errors.js'
import { canonicalJson, type JsonValue, keepNumberLiterals, parseJson } from '../core/json.js'
import { isJsonObject } from '../core/jsonObject.js'
import { rowHash } from './rowIds.js'
import { excerpt, type ObjectTree, type Tree, treeJson } from './tree.js'

/**
 * Id made from the values of the key columns (`key_hash`): they are hashed as they came, before they are converted.
 * Fails with a {@link DataError} where one is missing.
 */
export function keyId(table: string, columns: readonly string[], value: (column: string) => Tree | undefined): string {
  const members = new Map<string, Tree>()
  for (const column of columns) members.set(column, value(column) ?? null)
  for (const [column, tree] of members) if (tree === null) throw missingKey(table, column, excerpt(members))
  return rowHash(canonicalJson(parseJson(treeJson(members, same => same))))
}

/** As {@link keyId}, from the values' JSON bytes; undefined where a key is missing. */
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

/** Id made from the whole record but for its `_dlt` keys (`row_hash`). */
export function recordId(record: ObjectTree): string {
  const members = new Map<string, Tree>()
  for (const [key, tree] of record) if (!key.startsWith('_dlt')) members.set(key, tree)
  return rowHash(canonicalJson(parseJson(treeJson(members, same => same))))
}

/** As {@link recordId}, from the record's JSON bytes. */
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
