import { doubleQuoted } from '../../../destinations/sql/sqlSession.js'
import type {
  Connection,
  DatasetRow,
  DatasetValue,
  InspectedColumn,
  QueryBatch,
  RowValue,
} from '../../../model/destination.js'
import { withoutSecrets } from '../../../model/secrets/scrubber.js'
import { didYouMean } from '../../../model/texts/nearMiss.js'
import { type Pipeline, scrubberOf } from '../../../pipeline/pipeline.js'
import { type ExitCode, worstOf } from '../../failure.js'
import { amount, counted, printable } from '../../terminal/printable.js'
import { type CsvOptions, printRows, rowFormat } from '../../terminal/rowFormats.js'
import { textTable } from '../../terminal/table.js'
import { tell } from '../../terminal/tell.js'
import { type Output, widthOf } from '../../terminal/terminal.js'
import type { CommandContext } from '../command.js'
import { openPipelines, type PipelineOverrides } from '../command.js'

export interface ShowCommandOptions extends PipelineOverrides, CsvOptions {
  /** Rows of a table. Default 10; with `json` and `csv` all. */
  readonly limit?: number | undefined
  readonly json?: boolean
  readonly csv?: boolean
  /** Of a table, only its columns. */
  readonly columnsOnly?: boolean
}

/**
 * `sluice show FILE [TABLE]`: lists the tables of a dataset with their row counts, or shows the columns and first rows
 * of one. As JSON and CSV, it prints only the list or the rows.
 */
export async function showCommand(
  file: string,
  table: string | undefined,
  options: ShowCommandOptions,
  context: CommandContext,
): Promise<ExitCode> {
  const codes: ExitCode[] = []
  for (const pipeline of await openPipelines(file, options, 'reads', context.terminal.err)) {
    codes.push(await withoutSecrets(() => showPipeline(pipeline, table, options, context), scrubberOf(pipeline)))
  }
  // Of several pipelines, the one that has the table was meant.
  return codes.includes(0) ? 0 : worstOf(codes)
}

/** 2: the dataset has no such table. 1: it has no table at all yet. */
export async function showPipeline(
  pipeline: Pipeline,
  table: string | undefined,
  options: ShowCommandOptions,
  context: CommandContext,
): Promise<ExitCode> {
  const { destination, datasetName } = pipeline
  const { out, err } = context.terminal
  const format = rowFormat(options)
  const isTable = format === 'table'
  if ((await destination.exists?.()) === false) {
    // Connecting would create the database, and this command only reads.
    if (isTable) tell(out, printable(`${destination.name}, dataset ${datasetName}`))
    return noTables(table, isTable, context.terminal)
  }
  await using connection = await destination.connect(datasetName, context.signal)
  if (isTable) tell(out, printable(`${destination.name}, dataset ${connection.dataset}`))
  const tables = inOrder(await connection.inspect())
  const columns = table === undefined ? undefined : tables.get(table)
  if (tables.size === 0) return noTables(table, isTable, context.terminal)
  if (table === undefined) {
    const counted = countedTables(connection, [...tables.keys()])
    if (isTable) await showTables(counted, out)
    else await printRows(counted, format, out, undefined, options)
  } else if (columns !== undefined && !isTable) {
    const exact = connection.query?.({ sql: `SELECT * FROM ${doubleQuoted(table)}`, exactTimes: true })
    const rows = exact ?? batchesOf(pipeline.dataset().table(table).batches(), columns)
    await printRows(rows, format, out, options.limit, options)
  } else if (columns !== undefined) {
    showColumns([...columns], out)
    if (options.columnsOnly !== true)
      await showTable(connection, table, [...columns.keys()], options.limit ?? SHOWN_ROWS, out)
  } else {
    const names = [...tables.keys()]
    tell(err, printable(`error: there is no table ${table}${didYouMean(table, names)}; there are: ${names.join(', ')}`))
    return 2
  }
  return 0
}

/** Own tables before those that dlt and Sluice keep, each by name: databases have orders of their own, or none. */
function inOrder<Table>(tables: ReadonlyMap<string, Table>): ReadonlyMap<string, Table> {
  const key = (name: string): string => `${name.startsWith('_') ? 1 : 0}${name}`
  return new Map([...tables].sort(([a], [b]) => (key(a) < key(b) ? -1 : 1)))
}

/** 1 if one was asked for. */
function noTables(table: string | undefined, isTable: boolean, { out, err }: CommandContext['terminal']): ExitCode {
  const told = 'no tables yet: `sluice run` makes them'
  if (table === undefined) (isTable ? out : err).line(told)
  else tell(err, printable(`error: there is no table ${table}: ${told}`))
  return table === undefined ? 0 : 1
}

async function* countedTables(connection: Connection, tables: readonly string[]): AsyncGenerator<QueryBatch> {
  const columns = [
    { name: 'table', type: 'text' },
    { name: 'rows', type: 'bigint' },
  ]
  const rows: RowValue[][] = []
  for (const table of tables) rows.push([table, await connection.count(table)])
  yield { columns, rows }
}

/** Rows as objects, with their columns. */
async function* batchesOf(
  batches: AsyncIterable<readonly Readonly<Record<string, RowValue>>[]>,
  inspected: ReadonlyMap<string, InspectedColumn>,
): AsyncGenerator<QueryBatch> {
  const columns = [...inspected].map(([name, { type }]) => ({ name, type }))
  const rowOf = (row: Readonly<Record<string, RowValue>>): RowValue[] => columns.map(({ name }) => row[name] ?? null)
  // The header is printed even if there are no rows.
  yield { columns, rows: [] }
  for await (const rows of batches) yield { columns, rows: rows.map(rowOf) }
}

async function showTables(counted: AsyncIterable<QueryBatch>, out: Output): Promise<void> {
  const rows: string[][] = []
  for await (const batch of counted) {
    rows.push(...batch.rows.map(([table, count]) => [String(table), amount(Number(count))]))
  }
  for (const line of textTable([{ title: 'table' }, { title: 'rows', align: 'right' }], rows, widthOf(out)))
    out.line(line)
}

/** The columns of a table, with their types. */
function showColumns(
  columns: readonly (readonly [name: string, { readonly type: string; readonly nullable: boolean }])[],
  out: Output,
): void {
  const described = columns.map(([name, { type, nullable }]) => [name, type, nullable ? 'yes' : 'no'])
  for (const line of textTable(
    [{ title: 'column' }, { title: 'type' }, { title: 'nullable' }],
    described,
    widthOf(out),
  ))
    out.line(line)
}

async function showTable(
  connection: Connection,
  table: string,
  names: readonly string[],
  limit: number,
  out: Output,
): Promise<void> {
  const sample: DatasetRow[] = []
  for await (const rows of connection.read({ table, limit })) sample.push(...rows)
  out.line(`\n${amount(sample.length)} of ${counted(await connection.count(table), 'row')}`)
  const maxWidth = out.isTerminal ? VALUE_WIDTH : Number.POSITIVE_INFINITY
  for (const row of sample) {
    out.line()
    const pairs = names.map(name => [name, shown(row[name] ?? null)])
    const lines = textTable([{ title: 'column' }, { title: 'value', maxWidth }], pairs, widthOf(out))
    for (const line of lines.slice(2)) out.line(line)
  }
}

/** Longer values are shortened on a terminal. */
const VALUE_WIDTH = 100
const SHOWN_ROWS = 10

function shown(value: DatasetValue): string {
  if (value === null) return '–'
  if (value instanceof Date) return value.toISOString()
  if (value instanceof Uint8Array) return `${amount(value.length)} bytes`
  return String(value)
}
