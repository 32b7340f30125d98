import { parseJson } from '../../../json/parse.js'
import type { JsonObject, JsonValue } from '../../../json/value.js'
import { isJsonObject } from '../../../json/value.js'
import { stringifyJson } from '../../../json/write.js'
import type { LoadedWindow } from '../../../model/cursors/cursorRange.js'
import type { Committed, LoadPlan } from '../../../model/destination.js'
import type { PipelineState } from '../../../model/pipelineState.js'
import { decodeState, encodeState } from '../../../model/pipelineState.js'
import type { Receipt } from '../../../model/receipt.js'
import type { ReadonlySchema, ReadonlyTable } from '../../../schema/schemaTypes.js'
import { inflatedText, schemaText } from '../../../schema/stored/document.js'
import { ATTEMPTS } from '../../sql/windowAttempts.js'
import { LOADS, RECEIPTS, receiptRow, STATES, VERSIONS, WINDOWS, windowRow } from '../../systemRows.js'
import { segment } from '../format/layout.js'

/** Folders of dlt's own objects. They contain no data file. */
export const folders = {
  loads: LOADS.name,
  versions: VERSIONS.name,
  states: STATES.name,
  receipts: RECEIPTS.name,
  windows: WINDOWS.name,
  attempts: ATTEMPTS.name,
  /** What loads are about to write, so that the next one can clean up after a crash. */
  intents: '_sluice_intents',
  /** Summaries of load records, so that not every record must be read. */
  checkpoints: '_sluice_checkpoints',
} as const

/** dlt's mark of a dataset, with the version of its object layout. */
export const INIT = { key: 'init', version: 2 } as const

export const initText = (): Uint8Array =>
  Buffer.from(`{"initial_version":${INIT.version},"current_version":${INIT.version}}`)

export interface SystemObject {
  readonly key: string
  readonly content: Uint8Array
}

const line = (object: JsonObject): string => `${stringifyJson(object)}\n`

export function loadRecordKey(schemaName: string, loadId: string): string {
  return `${folders.loads}/${segment(schemaName)}__${segment(loadId)}.jsonl`
}

/** The common start of the record keys of one schema. */
export function recordGroup(key: string): string {
  return key.slice(0, key.lastIndexOf('__'))
}

/** The id of a load, as spelt in the key of its record or its receipts. */
export function loadPart(key: string): string {
  return key.slice(key.lastIndexOf('__') + 2).replace(/\.jsonl$/, '')
}

export function isStoredSystemKey(key: string): boolean {
  return key.startsWith(`${folders.versions}/`) || key.startsWith(`${folders.states}/`)
}

export function intentKey({ pipeline, loadId }: LoadPlan): string {
  return `${intentPrefix(pipeline)}${segment(loadId)}.json`
}

export function intentPrefix(pipeline: string): string {
  return `${folders.intents}/${segment(pipeline)}__`
}

/** The stored schema. Its name has the time in seconds and the bytes of its hash in hex. */
export function versionObject(schema: ReadonlySchema, at: bigint): SystemObject {
  const row = {
    version_hash: schema.version_hash,
    schema_name: schema.name,
    version: schema.version,
    engine_version: schema.engine_version,
    inserted_at: isoTime(at),
    schema: schemaText(schema),
  }
  const name = `${segment(schema.name)}__${unixSeconds(at)}__${hexOfHash(schema.version_hash)}`
  return { key: `${folders.versions}/${name}.jsonl`, content: Buffer.from(line(row)) }
}

/**
 * The stored state, with dlt's keys only: dlt refuses a dataset whose state has an extra key. So its rows have no
 * `_dlt_id` in files, unlike elsewhere.
 */
export function stateObject(state: PipelineState, load: LoadPlan, schemaHash: string, at: bigint): SystemObject {
  const row = {
    version: state._state_version,
    engine_version: state._state_engine_version,
    pipeline_name: state.pipeline_name,
    state: encodeState(state),
    created_at: isoTime(at),
    version_hash: state._version_hash ?? null,
    _dlt_load_id: load.loadId,
  }
  const name = `${segment(state.pipeline_name)}__${segment(load.loadId)}__${hexOfHash(schemaHash)}`
  return { key: `${folders.states}/${name}.jsonl`, content: Buffer.from(line(row)) }
}

/** The parts of an object's name between double underscores. The first part may contain some itself. */
export function nameParts(key: string, count: number): readonly string[] {
  const parts = key
    .slice(key.lastIndexOf('/') + 1)
    .replace(/\.jsonl?$/, '')
    .split('__')
  const rest = parts.splice(Math.max(1, parts.length - count + 1))
  return [parts.join('__'), ...rest]
}

export function receiptsObject(receipts: readonly Receipt[], schemaName: string, load: LoadPlan): SystemObject {
  const rows = receipts.map(receipt => inlined(RECEIPTS, receiptRow(load, receipt)))
  return { key: `${folders.receipts}/${segment(schemaName)}__${segment(load.loadId)}.jsonl`, content: linesOf(rows) }
}

/** The window of a backfill that a load is. */
export function windowObject(window: LoadedWindow, schemaName: string, load: LoadPlan, at: bigint): SystemObject {
  const row = inlined(WINDOWS, { ...windowRow(load, schemaName, window, at), committed_at: isoTime(at) })
  return { key: `${folders.windows}/${segment(schemaName)}__${segment(load.loadId)}.jsonl`, content: linesOf([row]) }
}

const linesOf = (rows: readonly JsonObject[]): Uint8Array => Buffer.from(rows.map(line).join(''))

/** A row in which JSON stands as itself, not as text. */
function inlined(table: ReadonlyTable, row: Readonly<Record<string, unknown>>): JsonObject {
  const inline = ([name, value]: readonly [string, unknown]) =>
    [name, table.columns.get(name)?.data_type === 'json' && value !== null ? parseJson(String(value)) : value] as const
  return Object.fromEntries(Object.entries(row).map(inline)) as JsonObject
}

/** A stored schema or state from its object. Undefined if it is neither. */
export function readRow(content: Uint8Array): JsonObject | undefined {
  let value: JsonValue
  try {
    value = parseJson(content)
  } catch {
    return undefined
  }
  return isJsonObject(value) ? value : undefined
}

export function schemaOfRow(row: JsonObject): string {
  return inflatedText(String(row.schema))
}

export function stateOfRow(row: JsonObject): NonNullable<Committed['state']> {
  return decodeState(String(row.state))
}

/** `2024-01-02T03:04:05.678901+00:00`, without the fraction if it is 0. */
export function isoTime(at: bigint): string {
  const micros = ((at % 1_000_000n) + 1_000_000n) % 1_000_000n
  const seconds = new Date(Number((at - micros) / 1000n)).toISOString().slice(0, 19)
  return `${seconds}${micros === 0n ? '' : `.${String(micros).padStart(6, '0')}`}+00:00`
}

/** As Python prints it: `1795189125.770919`, `1.0`. */
function unixSeconds(at: bigint): string {
  const fraction = String(at % 1_000_000n)
    .padStart(6, '0')
    .replace(/0+$/, '')
  return `${at / 1_000_000n}.${fraction === '' ? '0' : fraction}`
}

/** The part of a name that identifies its schema. */
export function hexOfHash(hash: string): string {
  return Buffer.from(hash, 'base64').toString('hex')
}
