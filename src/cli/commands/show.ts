import type { Connection, DatasetRow, DatasetValue } from '../../model/destination.js'
import { withoutSecrets } from '../../model/secrets/scrubber.js'
import { type Pipeline, scrubberOf } from '../../pipeline/pipeline.js'
import type { ExitCode } from '../failure.js'
import { amount, printable } from '../terminal/printable.js'
import { textTable } from '../terminal/table.js'
import type { Output } from '../terminal/terminal.js'
import type { CommandContext } from './command.js'
import { openPipelines, type PipelineOverrides } from './command.js'

export interface ShowCommandOptions extends PipelineOverrides {
  /** Sample rows of a table. Default 10. */
  readonly limit?: number | undefined
}

/**
 * `sluice show FILE [TABLE]`: lists the tables of a dataset with their row counts, or shows the columns and first rows
 * of one.
 */
export async function showCommand(
  file: string,
  table: string | undefined,
  options: ShowCommandOptions,
  context: CommandContext,
): Promise<ExitCode> {
  let exitCode: ExitCode = 0
  for (const pipeline of await openPipelines(file, options)) {
    const shown = await withoutSecrets(() => showPipeline(pipeline, table, options, context), scrubberOf(pipeline))
    if (!shown) exitCode = 1
  }
  return exitCode
}

/** False if the requested table does not exist. */
async function showPipeline(
  { destination, datasetName }: Pipeline,
  table: string | undefined,
  options: ShowCommandOptions,
  context: CommandContext,
): Promise<boolean> {
  const { out, err } = context.terminal
  if ((await destination.exists?.()) === false) {
    // Connecting would create the database, and this command only reads.
    out.line(printable(`${destination.name}, dataset ${datasetName}`))
    out.line(NO_TABLES)
    return true
  }
  await using connection = await destination.connect(datasetName, context.signal)
  out.line(printable(`${destination.name}, dataset ${connection.dataset}`))
  const tables = await connection.inspect()
  if (tables.size === 0) {
    out.line(NO_TABLES)
  } else if (table === undefined) {
    await showTables(connection, [...tables.keys()], out)
  } else if (tables.has(table)) {
    await showTable(connection, table, [...(tables.get(table) ?? [])], options.limit ?? 10, out)
  } else {
    err.line(printable(`There is no table ${table}; there are: ${[...tables.keys()].join(', ')}`))
    return false
  }
  return true
}

const NO_TABLES = 'no tables yet: `sluice run` makes them'

async function showTables(connection: Connection, tables: readonly string[], out: Output): Promise<void> {
  const rows: string[][] = []
  for (const table of tables) rows.push([table, amount(await connection.count(table))])
  for (const line of textTable([{ title: 'table' }, { title: 'rows', align: 'right' }], rows)) out.line(line)
}

async function showTable(
  connection: Connection,
  table: string,
  columns: readonly (readonly [name: string, { readonly type: string; readonly nullable: boolean }])[],
  limit: number,
  out: Output,
): Promise<void> {
  const described = columns.map(([name, { type, nullable }]) => [name, type, nullable ? '' : 'not null'])
  for (const line of textTable([{ title: 'column' }, { title: 'type' }, { title: '' }], described)) out.line(line)
  const sample: DatasetRow[] = []
  for await (const rows of connection.read({ table, limit })) sample.push(...rows)
  out.line(`\n${amount(sample.length)} of ${amount(await connection.count(table))} rows`)
  const names = columns.map(([name]) => name)
  for (const row of sample) {
    out.line()
    const pairs = names.map(name => [name, shown(row[name] ?? null)])
    for (const line of textTable([{ title: 'column' }, { title: 'value', maxWidth: VALUE_WIDTH }], pairs).slice(2)) {
      out.line(line)
    }
  }
}

const VALUE_WIDTH = 100

function shown(value: DatasetValue): string {
  if (value === null) return '–'
  if (value instanceof Date) return value.toISOString()
  if (value instanceof Uint8Array) return `${amount(value.length)} bytes`
  return String(value)
}
