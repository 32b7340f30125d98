import { setImmediate } from 'node:timers/promises'
import { elements, valueAt } from '../../json/bytes.js'
import { joinRecords, pieces } from '../../json/records.js'
import type { JsonObject, JsonValue } from '../../json/value.js'
import type { Load } from '../../model/destination.js'
import type { RunEvent, WarningCode } from '../../model/events.js'
import type { Resource, Source, TableHints } from '../../model/source.js'
import { functionError, isPromise, shownResult, unheard } from '../../model/userFunction.js'
import type { Normalizer } from '../../normalize/normalizer.js'
import { frozen, frozenFor, isNewTable, resolveContract } from '../../schema/contracts.js'
import type { ReadonlyTable, Schema } from '../../schema/schemaTypes.js'
import { applyTableHints, columnName } from '../../schema/tableHints.js'
import { underImport } from '../look/schemaFiles.js'
import type { RunOptions } from '../setup.js'
import type { FilledColumns } from './gone/fieldsGone.js'
import { refuseLargeRecord } from './largeRecord.js'
import type { Meter } from './meter.js'
import { deletionOf, type PlannedResource, refuseOtherReplace } from './plan/planResources.js'
import { DELETION_MARK } from './plan/tablePlans.js'
import type { Prepared } from './prepare.js'

/**
 * The one place where records become rows and rows are staged. Resources may write at the same time. Their records are
 * normalised one page after the other, at the pace of the slower of normaliser and destination.
 */
export interface Writer {
  /** Rows that contracts have rejected so far. */
  readonly discardedRows: number
  /** Adds records of a root table. Resolves to their `rows` there, when all batches that it filled are staged. */
  write(
    table: string,
    records: Uint8Array,
  ): Promise<{ readonly rows: number; readonly discardedRows: number; readonly discardedValues: number }>
  /** Stages the remaining rows and runs the checks at the end of a load. */
  finish(): Promise<void>
}

/** Bytes of records before the event loop gets a turn: sockets, files and signals wait during normalisation. */
const TURN_BYTES = 256 << 10

/** Larger pages are normalised in pieces, so that they hold no more in columns than other pages. */
const PIECE_BYTES = 1 << 20

export function writer(normalizer: Normalizer, load: Load, schema: Schema, filled: FilledColumns): Writer {
  let turn: Promise<unknown> = Promise.resolve()
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const result = turn.then(work)
    turn = result.catch(() => undefined)
    return result
  }
  const stage = async (all: boolean): Promise<void> => {
    for (const batch of normalizer.take(all)) {
      filled.take(batch.table, batch.rows, batch.columns)
      await load.stage(batch, schema)
    }
  }
  let discarded = 0
  let turnBytes = 0
  return {
    get discardedRows() {
      return discarded
    },
    write: (table, records) =>
      inTurn(async () => {
        let [before, discardedRows, discardedValues] = [0, 0, 0]
        for (const piece of pieces(records, PIECE_BYTES)) {
          refuseLargeRecord(piece)
          const counts = normalizer.write(table, piece, before)
          before += counts.records
          discardedRows += counts.discardedRows
          discardedValues += counts.discardedValues
          await stage(false)
          turnBytes += piece.length
          if (turnBytes >= TURN_BYTES) {
            turnBytes = 0
            await setImmediate()
          }
        }
        discarded += discardedRows
        return { rows: before - discardedRows, discardedRows, discardedValues }
      }),
    finish: () =>
      inTurn(async () => {
        await stage(true)
        normalizer.finish()
      }),
  }
}

/** Whether the contract allows a table. */
export type TableFate = 'write' | 'discard'

interface WriterContext extends Pick<Prepared, 'schema' | 'declared' | 'naming' | 'imported'> {
  readonly source: Source
  readonly options: Pick<RunOptions, 'schemaContract'>
  readonly emit: (event: RunEvent) => void
  readonly rows: Writer
  /** Of the resources of a table, the first gives its hints. */
  readonly byTable: ReadonlyMap<string, readonly PlannedResource[]>
  /** For the tables that received records. */
  readonly fates: Map<string, TableFate>
  /** By the same tables: the resource that gives its hints, which may be the first whose function names the table. */
  readonly owners: Map<string, PlannedResource>
  readonly meter: Meter
}

/** As with dlt, hints enter the schema with the first page for a table, even an empty one. */
export function recordWriter(planned: PlannedResource, context: WriterContext): (records: Uint8Array) => Promise<void> {
  const { resource } = planned
  const { naming, rows, byTable, fates, owners, meter: resourceMeter } = context
  const open = (raw: string): readonly [table: string, fate: TableFate] => {
    const table = naming.tablesPath(raw)
    const owner = owners.get(table) ?? byTable.get(table)?.[0] ?? planned
    owners.set(table, owner)
    refuseOtherReplace(table, owner, planned)
    const fate = fates.get(table) ?? openTable(table, owner, context)
    fates.set(table, fate)
    return [table, fate]
  }
  const writeTable = async (raw: string, records: Uint8Array): Promise<void> => {
    const [table, fate] = open(raw)
    if (fate === 'discard') {
      resourceMeter.discarded([...elements(records, 0)].length, 0)
      return
    }
    const written = await rows.write(table, records)
    resourceMeter.wrote(table, written.rows)
    resourceMeter.discarded(written.discardedRows, written.discardedValues)
  }
  const { tableName } = resource.hints
  const write = async (records: Uint8Array): Promise<void> => {
    if (typeof tableName !== 'function') return await writeTable(tableName ?? resource.name, records)
    for (const [table, part] of recordsByTable(resource, tableName, records)) await writeTable(table, part)
  }
  return async records => {
    try {
      await write(records)
    } catch (error) {
      throw frozenFor(error, resource.name, contractPath(resource, context))
    }
  }
}

/** The key with the contract that holds for the tables of a resource. Undefined: it is an option of the run, or stored. */
function contractPath({ path, hints }: Resource, { options, source }: WriterContext): string | undefined {
  if (options.schemaContract !== undefined) return undefined
  if (hints.schemaContract !== undefined) return `${path}.schema_contract`
  return source.schemaContract === undefined ? undefined : 'schema_contract'
}

/** Adds the hints of a table's resource to the schema, if the contract allows the table. */
function openTable(table: string, planned: PlannedResource, context: WriterContext): TableFate {
  const { resource, disposition } = planned
  const { schema, naming } = context
  const hints = withRunContract(withDeletionMark(resource, context.source), context.options)
  const contract = resolveContract(schema, table, hints.schemaContract)
  if (isNewTable(schema.tables.get(table)) && contract.tables !== 'evolve') {
    if (contract.tables !== 'freeze') return 'discard'
    throw frozen(`table ${table} is new`, 'tables', { table })
  }
  const given = {
    resource: resource.name,
    table,
    hints: underImport(hints, table, context.imported, raw => columnName(schema, naming, raw)),
    naming,
    runDisposition: disposition,
    cursorPath: resource.incremental?.isToken === true ? undefined : resource.incremental?.cursorPath,
    warn: (code: WarningCode, message: string) =>
      context.emit({ type: 'warning', code, message, resource: resource.name }),
  }
  applyTableHints(context.declared, { ...given, warn: undefined })
  applyTableHints(schema, given)
  warnWithoutKeys(planned, schema.tables.get(table), context.emit)
  warnOfVersion(planned, context.emit)
  return 'write'
}

/** Adds the mark to the resource's table, and to nested tables whose rows are deleted by their own keys. */
function withDeletionMark(resource: Resource, source: Source): TableHints {
  const { hints } = resource
  if (deletionOf(source, resource) !== 'soft') return hints
  const marked = (table: TableHints): TableHints => ({
    ...table,
    columns: [...(table.columns ?? []), { name: DELETION_MARK, data_type: 'timestamp', nullable: true }],
  })
  const nested = Object.entries(hints.nestedHints ?? {}).map(([path, table]) => {
    const isDeleted = (table.primaryKey ?? []).length > 0 && table.writeDisposition?.disposition === 'merge'
    return [path, isDeleted ? marked(table) : table] as const
  })
  return { ...marked(hints), nestedHints: Object.fromEntries(nested) }
}

/** The contract of the run replaces that of the resource, and stays with its table. */
function withRunContract(hints: TableHints, { schemaContract }: Pick<RunOptions, 'schemaContract'>): TableHints {
  return schemaContract === undefined ? hints : { ...hints, schemaContract }
}

function warnOfVersion({ resource, disposition }: PlannedResource, emit: (event: RunEvent) => void): void {
  const { strategy, rowVersionColumnName: version, skipUnchangedRows } = disposition
  if (version === undefined || strategy === 'scd2' || skipUnchangedRows === true) return
  emit({
    type: 'warning',
    code: 'other',
    resource: resource.name,
    namesResource: true,
    message: `${resource.name}: row_version_column_name has no effect without skip_unchanged_rows: true; add it, or leave the version out`,
  })
}

function warnWithoutKeys(
  { resource, disposition }: PlannedResource,
  table: ReadonlyTable | undefined,
  emit: (event: RunEvent) => void,
): void {
  if (disposition.disposition !== 'merge' || disposition.strategy === 'scd2') return
  if ([...(table?.columns.values() ?? [])].some(column => column.primary_key || column.merge_key)) return
  emit({
    type: 'warning',
    code: 'no_keys',
    resource: resource.name,
    namesResource: true,
    message: `${resource.name} is merged but has neither primary_key nor merge_key: its rows are appended`,
  })
}

/**
 * Splits records by the table that a function names for each, and keeps their order. The names are not normalised yet.
 */
function recordsByTable(
  resource: Pick<Resource, 'name' | 'path'>,
  tableName: (record: JsonObject) => string,
  records: Uint8Array,
): ReadonlyMap<string, Uint8Array> {
  const spans = new Map<string, { start: number; end: number }[]>()
  for (const span of elements(records, 0)) {
    const table = nameOf(resource, tableName, valueAt(records, span))
    const group = spans.get(table)
    if (group === undefined) spans.set(table, [span])
    else group.push(span)
  }
  return new Map([...spans].map(([table, group]) => [table, joinRecords(records, group)]))
}

function nameOf(
  { name: resource, path }: Pick<Resource, 'name' | 'path'>,
  tableName: (record: JsonObject) => string,
  record: JsonValue,
): string {
  try {
    const name: unknown = tableName(record as JsonObject)
    if (typeof name === 'string' && name.trim() !== '') return name
    unheard(name)
    const isAsync = isPromise(name) ? '; it must not be async' : ''
    throw new TypeError(`it returned ${shownResult(name)}, expected the name of a table${isAsync}`)
  } catch (error) {
    throw functionError(resource, `${path}.table_name`, error, { record })
  }
}
