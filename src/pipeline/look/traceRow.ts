import { placedAnswers, recordedLoads } from '../../journal/journal.js'
import type { RowValue } from '../../model/destination.js'
import { ConfigError } from '../../model/errors.js'
import { isFromJournal, type Receipt } from '../../model/receipt.js'
import { didYouMean } from '../../model/texts/nearMiss.js'
import type { KeyNames } from '../../normalize/tables/shapes.js'
import type { ReadonlySchema, ReadonlyTable } from '../../schema/schemaTypes.js'
import { type SystemNames, systemNames } from '../../schema/systemTables.js'
import { namingOf } from '../run/prepare.js'
import { type PipelineSetup, pipelineFolder } from '../setup.js'
import { type Dataset, datasetOf } from './dataset.js'
import { type Place, type PlacedValue, placedRecords, type RowLine } from './placedRecords.js'

/** What tells a row from others: values of columns, or one text: the value of the only column of the key, or the `_dlt_id`. */
export type RowKey = string | Readonly<Record<string, string>>

/** Where a row comes from. */
export interface RowTrace {
  readonly table: string
  /** As `dataset().table()` gives it. */
  readonly row: Readonly<Record<string, RowValue>>
  /** Rows with this key, counted up to a hundred. If there are several, this is one of the newest load. */
  readonly rowsWithKey: number
  /** Of a nested row: the rows above it, the nearest first, by table and `_dlt_id`. */
  readonly above: readonly { readonly table: string; readonly id: string }[]
  /** The resource that the table belongs to. */
  readonly resource: string | undefined
  readonly loadId: string
  /** Absent if the load is not among the committed ones of this pipeline, as after a change of its name. */
  readonly committedAt?: Date | undefined
  /** What the load could prove of the resource. Absent if another tool made it. */
  readonly receipt?: Receipt | undefined
  readonly journal: TracedJournal
}

/**
 * What the journal of the load tells. `not_kept`: there is none. `not_found`: no answer in it holds the record. `unreadable`:
 * the answers are no JSON, so that nothing can be found in them.
 */
export type TracedJournal =
  | { readonly state: 'not_kept' }
  | {
      readonly state: 'found' | 'not_found' | 'unreadable'
      readonly path: string
      /**
       * The load whose journal it is: the newest one before this load, which took all pages of the resource from a journal,
       * as a replay does. Absent if the journal is its own.
       */
      readonly replayed?: string | undefined
      /** Answers in it, of all resources. */
      readonly answers: number
      /** Those of the resource. */
      readonly ofResource: number
      /** Several if more than one answer holds the key; in the order of their arrival. */
      readonly sources: readonly TracedSource[]
    }

/** An answer that holds the record. */
export interface TracedSource {
  /** 1 for the first answer of the journal. */
  readonly answer: number
  readonly method: string
  /** Without secrets. */
  readonly url: string
  readonly status: number
  readonly recordedAt: Date
  /** Bytes of the journal's file, and the JSONPath in the body. */
  readonly record: Place
  /** Values that the answer has under the names of the columns. Others were made by a step, the parent or Sluice. */
  readonly values: readonly PlacedValue[]
  /** Columns whose value in the answer is another one than in the row. */
  readonly differing: readonly string[]
}

export interface TraceOptions {
  readonly signal?: AbortSignal | undefined
}

const MOST_COUNTED = 100
/** Answers that are told. */
const MOST_SOURCES = 20
/** Nested tables are never deeper. */
const MOST_LEVELS = 1_000

/** Traces a row to its load and, where the journal was kept, to the answers. Undefined if there is no such row. */
export async function traceRow(
  setup: PipelineSetup,
  name: string,
  key: RowKey,
  { signal }: TraceOptions,
): Promise<RowTrace | undefined> {
  const dataset = datasetOf(setup)
  const schema = await dataset.schema()
  const table = tableOf(schema, name, setup)
  const names = keyNamesOf(setup, schema as ReadonlySchema)
  const system = systemNames(names.naming)
  const found = await rowOf(dataset, table, key, system, signal)
  if (found === undefined) return undefined
  const line = await lineOf(dataset, schema as ReadonlySchema, { table, row: found.row }, system, signal)
  const [root] = line
  const loadId = String(root.row[system.loadId] ?? '')
  const resource = root.table.resource
  const [load] = await dataset.history({ loadId, limit: 1 })
  const receipt = load?.receipts.find(one => one.resource === resource)
  const above = line.slice(0, -1).map(({ table, row }) => ({ table: table.name, id: String(row[system.id]) }))
  return {
    table: table.name,
    row: found.row,
    rowsWithKey: found.rows,
    above: above.reverse(),
    resource,
    loadId,
    committedAt: load?.committedAt,
    receipt,
    journal: await journalOf(setup, line, { loadId, resource, names, isReplay: isFromJournal(receipt) }, signal),
  }
}

function tableOf(schema: ReadonlySchema | undefined, name: string, { name: pipeline }: PipelineSetup): ReadonlyTable {
  const table = schema?.tables.get(name)
  if (table !== undefined) return table
  const known = [...(schema?.tables.keys() ?? [])]
  const message =
    known.length === 0
      ? `${pipeline} has loaded nothing yet`
      : `there is no such table${didYouMean(name, known)}; there are ${known.join(', ')}`
  throw new ConfigError([{ place: { path: `table ${name}` }, message }])
}

function keyNamesOf(setup: PipelineSetup, schema: ReadonlySchema): KeyNames {
  return { naming: namingOf(setup, schema), breakPath: schema.normalizers.use_break_path_on_normalize !== false }
}

type Row = Readonly<Record<string, RowValue>>

async function rowOf(
  dataset: Dataset,
  table: ReadonlyTable,
  key: RowKey,
  { id, loadId }: SystemNames,
  signal: AbortSignal | undefined,
): Promise<{ readonly row: Row; readonly rows: number } | undefined> {
  for (const values of keysOf(table, key, id)) {
    const relation = Object.entries(values).reduce(
      (narrowed, [column, value]) => narrowed.where(column, '=', value),
      dataset.table(table.name),
    )
    const newest = table.columns.has(loadId) ? relation.orderBy(loadId, 'descending') : relation
    const row = await newest.first({ signal })
    if (row === undefined) continue
    const rows = await relation.limit(MOST_COUNTED).count({ signal })
    return { row, rows }
  }
  return undefined
}

/** What a key may mean, one after the other. A text that no value of a column can be is left out. */
function keysOf(table: ReadonlyTable, key: RowKey, id: string): readonly Readonly<Record<string, string>>[] {
  if (typeof key !== 'string') {
    const unknown = Object.keys(key).find(column => !table.columns.has(column))
    if (unknown === undefined) return fits(table, key) ? [key] : []
    const message = `table ${table.name} has no column ${unknown}${didYouMean(unknown, table.columns.keys())}`
    throw new ConfigError([{ place: { path: 'key' }, message }])
  }
  const [only, second] = primaryKeyOf(table)
  const byKey = only === undefined || second !== undefined || !fits(table, { [only]: key }) ? [] : [{ [only]: key }]
  return [...byKey, ...(table.columns.has(id) ? [{ [id]: key }] : [])]
}

function primaryKeyOf({ columns }: ReadonlyTable): readonly string[] {
  return [...columns.values()].filter(({ primary_key }) => primary_key === true).map(({ name }) => name)
}

/** An engine refuses to compare a number with a text that is none. */
function fits({ columns }: ReadonlyTable, values: Readonly<Record<string, string>>): boolean {
  return Object.entries(values).every(([column, value]) => {
    const type = columns.get(column)?.data_type
    if (type === 'bigint') return /^-?\d{1,39}$/.test(value)
    if (type === 'double' || type === 'decimal' || type === 'wei')
      return value.trim() !== '' && Number.isFinite(Number(value))
    if (type === 'timestamp' || type === 'date') return !Number.isNaN(Date.parse(value))
    return type !== 'bool' || value === 'true' || value === 'false'
  })
}

/** The row with those above it, from the one of a root table on. */
async function lineOf(
  dataset: Dataset,
  schema: ReadonlySchema,
  own: RowLine,
  { id, parentId, listIndex }: SystemNames,
  signal: AbortSignal | undefined,
): Promise<readonly [RowLine, ...RowLine[]]> {
  let line: readonly [RowLine, ...RowLine[]] = [own]
  for (let level = 0; level < MOST_LEVELS; level++) {
    const [{ table, row }, ...below] = line
    const parent = schema.tables.get(table.parent ?? '')
    const key = row[parentId]
    if (parent === undefined || typeof key !== 'string') break
    const above = await dataset.table(parent.name).where(id, '=', key).first({ signal })
    if (above === undefined) break
    const index = Number(row[listIndex] ?? 0)
    line = [{ table: parent, row: above }, { table, row, listIndex: index }, ...below]
  }
  return line
}

interface Loaded {
  readonly loadId: string
  readonly resource: string | undefined
  readonly names: KeyNames
  /** The load may have been a replay. */
  readonly isReplay: boolean
}

async function journalOf(
  setup: PipelineSetup,
  line: readonly [RowLine, ...RowLine[]],
  { loadId, resource, names, isReplay }: Loaded,
  signal: AbortSignal | undefined,
): Promise<TracedJournal> {
  const recorded = await recordedLoads(setup.files, pipelineFolder(setup))
  const own = recorded.findLast(load => load.loadId === loadId && load.fate === 'done')
  const kept = own ?? (isReplay ? recorded.findLast(load => Number(load.loadId) < Number(loadId)) : undefined)
  if (kept === undefined || resource === undefined) return { state: 'not_kept' }
  const ofOther = kept === own ? {} : { replayed: kept.loadId }
  const keys = primaryKeyOf(line[0].table)
  const sources: TracedSource[] = []
  let ofResource = 0
  let readable = 0
  const answers = placedAnswers(setup.files, kept.path, resource)
  for (let next = await answers.next(); ; next = await answers.next()) {
    signal?.throwIfAborted()
    if (next.done === true) {
      const { answers, path } = next.value
      const isReadable = ofResource === 0 || readable > 0
      const state = sources.length > 0 ? 'found' : isReadable ? 'not_found' : 'unreadable'
      return { state, path, ...ofOther, answers, ofResource, sources: bestOf(sources) }
    }
    const { number, method, url, recordedAt, response, bodyStart } = next.value
    ofResource++
    const found = placedRecords(response.body, bodyStart, line, keys, names)
    if (found === undefined) continue
    readable++
    for (const { record, values } of found) {
      const differing = values.filter(({ isEqual }) => isEqual === false).map(({ column }) => column)
      const at = new Date(recordedAt)
      sources.push({ answer: number, method, url, status: response.status, recordedAt: at, record, values, differing })
    }
  }
}

/** The places that are most like the row come first, then in the order of their arrival. */
function bestOf(sources: readonly TracedSource[]): readonly TracedSource[] {
  const ordered = [...sources].sort((left, right) => left.differing.length - right.differing.length)
  return ordered.slice(0, MOST_SOURCES)
}
