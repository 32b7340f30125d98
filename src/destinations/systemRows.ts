import type { JsonValue } from '../json/value.js'
import { stringifyJson } from '../json/write.js'
import type { LoadedWindow } from '../model/cursors/cursorRange.js'
import type { CommitPlan, LoadPlan } from '../model/destination.js'
import { encodeState, type PipelineState } from '../model/pipelineState.js'
import type { Receipt } from '../model/receipt.js'
import { nodeCrypto } from '../model/runtime/nodeCrypto.js'
import { naming } from '../schema/naming.js'
import type { ColumnSchema, DataType, ReadonlySchema, ReadonlyTable } from '../schema/schemaTypes.js'
import { schemaText } from '../schema/stored/document.js'
import { loadsTable, stateTable, versionTable } from '../schema/systemTables.js'

const names = naming('snake_case')

/** dlt's own three tables, as dlt creates them. */
export const LOADS: ReadonlyTable = loadsTable(names)
export const VERSIONS: ReadonlyTable = versionTable(names)
export const STATES: ReadonlyTable = stateTable(names)

/** One row for each load and resource: what the load could prove. dlt does not know this table and ignores it. */
export const RECEIPTS: ReadonlyTable = {
  name: '_sluice_receipts',
  columns: columnsOf([
    ['load_id', 'text'],
    ['resource', 'text'],
    ['verdict', 'text'],
    ['reasons', 'json'],
    ['requests', 'bigint'],
    ['retries', 'bigint'],
    ['pages', 'bigint'],
    ['pages_from_journal', 'bigint'],
    ['records', 'bigint'],
    ['filtered', 'bigint'],
    ['discarded_rows', 'bigint'],
    ['discarded_values', 'bigint'],
    ['rows', 'json'],
    ['bytes', 'bigint'],
    ['announced', 'bigint', true],
    ['waited_ms', 'bigint'],
    ['variants', 'json', true],
    ['deleted', 'bigint', true],
    // Datasets of older versions lack these.
    ['extent', 'text', true],
    ['pipeline_name', 'text', true],
  ]),
}

/** One row for each window of a backfill that was committed. Values of the cursor are JSON. dlt ignores this table too. */
export const WINDOWS: ReadonlyTable = {
  name: '_sluice_windows',
  columns: columnsOf([
    ['load_id', 'text'],
    ['pipeline_name', 'text'],
    ['schema_name', 'text'],
    ['resource', 'text'],
    ['cursor_path', 'text'],
    ['backfill_id', 'text'],
    ['window_start', 'json'],
    ['window_end', 'json'],
    ['cursor', 'json', true],
    ['verdict', 'text'],
    ['requests', 'bigint'],
    ['records', 'bigint'],
    ['committed_at', 'timestamp'],
    // Datasets of older versions lack these.
    ['commit_number', 'bigint', true],
    ['asked_end', 'json', true],
  ]),
}

/** The tables that a commit writes about itself, by what they hold: dlt's own three, and two of Sluice. */
export const systemTables = {
  versions: VERSIONS,
  loads: LOADS,
  states: STATES,
  receipts: RECEIPTS,
  windows: WINDOWS,
} as const

/** Columns that are not null, but for those marked. */
export function columnsOf(definitions: readonly (readonly [string, DataType, boolean?])[]): Map<string, ColumnSchema> {
  return new Map(
    definitions.map(([name, dataType, nullable]) => [name, { name, data_type: dataType, nullable: nullable ?? false }]),
  )
}

/** Columns with their values. Timestamps are microseconds since 1970, JSON is text. */
export type SystemRow = Readonly<Record<string, null | number | bigint | string>>

/** What a commit writes about itself, for each of {@link systemTables}. */
export type SystemRows = Readonly<Record<keyof typeof systemTables, readonly SystemRow[]>>

/**
 * The rows of the system tables that belong to a commit. Write them together with its records. The row of `versions` is
 * written once for each schema and hash: leave it out if the table has it. States of other pipelines are among `states`.
 *
 * ```ts
 * const { versions, loads, states, receipts, windows } = systemRows({ loadId: '1700000000.5', pipeline: 'shop' }, plan)
 * ```
 */
export function systemRows(load: LoadPlan, plan: CommitPlan): SystemRows {
  const { schema, committedAt, laterLoadId = load.loadId } = plan
  return {
    versions: [versionRow(schema, committedAt)],
    loads: [...new Set([load.loadId, laterLoadId])].map(id => loadRow(id, schema, committedAt)),
    states: statesOf(plan).map(state => stateRow(state, laterLoadId, committedAt)),
    receipts: plan.receipts.map(receipt => receiptRow(load, receipt)),
    windows: plan.window === undefined ? [] : [windowRow(load, schema.name, plan.window, committedAt)],
  }
}

/** The states to store: the pipeline's own, and those of others. */
export function statesOf({ state, otherStates = [] }: Pick<CommitPlan, 'state' | 'otherStates'>): PipelineState[] {
  return [...(state === undefined ? [] : [state]), ...otherStates]
}

/** A version of a schema as a row of {@link VERSIONS}. */
export function versionRow(schema: ReadonlySchema, at: bigint): SystemRow {
  return {
    version: schema.version,
    engine_version: schema.engine_version,
    inserted_at: at,
    schema_name: schema.name,
    version_hash: schema.version_hash,
    schema: schemaText(schema),
  }
}

/** The state of a pipeline as a row of {@link STATES}. */
export function stateRow(state: PipelineState, loadId: string, at: bigint): SystemRow {
  return {
    version: state._state_version,
    engine_version: state._state_engine_version,
    pipeline_name: state.pipeline_name,
    state: encodeState(state),
    created_at: at,
    version_hash: state._version_hash ?? null,
    _dlt_load_id: loadId,
    _dlt_id: stateRowId(state.pipeline_name, loadId),
  }
}

/** A completed load as a row of {@link LOADS}. */
export function loadRow(loadId: string, schema: ReadonlySchema, at: bigint): SystemRow {
  return {
    load_id: loadId,
    schema_name: schema.name,
    status: 0,
    inserted_at: at,
    schema_version_hash: schema.version_hash,
  }
}

/** Fourteen characters, like dlt's row ids. A load stores at most one state of a pipeline. */
function stateRowId(pipeline: string, loadId: string): string {
  return nodeCrypto()
    .createHash('shake128', { outputLength: 10 })
    .update(`${pipeline}_${loadId}`)
    .digest('base64')
    .replace(/=+$/, '')
}

/** A receipt as a row of {@link RECEIPTS}. */
export function receiptRow({ loadId, pipeline }: LoadPlan, receipt: Receipt): SystemRow {
  return {
    load_id: loadId,
    resource: receipt.resource,
    verdict: receipt.verdict,
    reasons: JSON.stringify(receipt.reasons),
    requests: receipt.requests,
    retries: receipt.retries,
    pages: receipt.pages,
    pages_from_journal: receipt.pagesFromJournal,
    records: receipt.records,
    filtered: receipt.filtered,
    discarded_rows: receipt.discardedRows,
    discarded_values: receipt.discardedValues,
    rows: JSON.stringify(receipt.rows),
    bytes: receipt.bytes,
    announced: receipt.announced ?? null,
    waited_ms: Math.round(receipt.waitedMs),
    variants: receipt.variants === undefined ? null : JSON.stringify(receipt.variants),
    deleted: receipt.deleted ?? null,
    extent: receipt.extent,
    pipeline_name: pipeline,
  }
}

/** A window as a row of {@link WINDOWS}. */
export function windowRow(
  { loadId, pipeline }: LoadPlan,
  schemaName: string,
  window: LoadedWindow,
  at: bigint,
): SystemRow {
  return {
    load_id: loadId,
    pipeline_name: pipeline,
    schema_name: schemaName,
    resource: window.resource,
    cursor_path: window.cursorPath,
    backfill_id: window.backfill,
    window_start: stringifyJson(window.start),
    window_end: stringifyJson(window.end),
    cursor: window.cursor === undefined ? null : stringifyJson(window.cursor as unknown as JsonValue),
    verdict: window.verdict,
    requests: window.requests,
    records: window.records,
    commit_number: window.number ?? null,
    asked_end: window.askedEnd === undefined ? null : stringifyJson(window.askedEnd),
    committed_at: at,
  }
}
