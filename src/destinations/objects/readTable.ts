import type { DuckDBConnection } from '@duckdb/node-api'
import type { DatasetRow, QueryBatch, ReadQuery, SqlQuery } from '../../model/destination.js'
import { DestinationError, SchemaError } from '../../model/errors.js'
import { openMemory } from '../duckdb/database.js'
import { duckdbDialect } from '../duckdb/duckdbDialect.js'
import { queryRows, queryToParquet, tablesIn } from '../duckdb/duckdbQuery.js'
import { readRows, writeParquet } from '../duckdb/duckdbRead.js'
import { columnType } from '../sql/ddl.js'
import { doubleQuoted } from '../sql/sqlSession.js'
import type { CommittedTable, DatasetReader, Snapshot } from './dataset/committedDataset.js'
import type { FileFormatName } from './format/fileEncoding.js'
import { fileFormats } from './format/formats.js'
import type { Storage } from './storage/storage.js'

/** How often to look at a dataset again when files were replaced between looking and reading. */
const LOOKS = 5

/** Rows of a table at one moment. If a later load removes files, they are still read to the end. */
export async function* readTable(
  storage: Storage,
  reader: DatasetReader,
  dataset: string,
  query: ReadQuery,
): AsyncGenerator<readonly DatasetRow[]> {
  const tables = async (): Promise<CommittedTable[]> => [await tableNamed(reader, dataset, query.table)]
  yield* withViews(storage, dataset, tables, connection => readRows(connection, dataset, query))
}

/**
 * Runs a statement over tables of the dataset, at one moment. Fetches only the files of the tables that it names, where
 * these can be known, and none for a list of the tables.
 */
export async function* queryTables(
  storage: Storage,
  reader: DatasetReader,
  dataset: string,
  statement: SqlQuery,
  signal: AbortSignal | undefined,
): AsyncGenerator<QueryBatch> {
  const tables = tablesNamed(reader, statement)
  yield* withViews(storage, dataset, tables, connection => queryRows(connection, dataset, statement, signal))
}

/** Writes the rows of a statement, as {@link queryTables} runs it, into one Parquet file on this machine. */
export async function exportStatement(
  storage: Storage,
  reader: DatasetReader,
  dataset: string,
  statement: SqlQuery,
  path: string,
  signal: AbortSignal | undefined,
): Promise<number> {
  const written = withViews(storage, dataset, tablesNamed(reader, statement), async function* (connection) {
    yield await queryToParquet(connection, dataset, statement, path, signal)
  })
  return await lastOf(written)
}

/** The tables that a statement names, of one moment. */
function tablesNamed(reader: DatasetReader, statement: SqlQuery) {
  return async (connection: DuckDBConnection): Promise<CommittedTable[]> => {
    const snapshot = await reader.snapshot()
    if (/^\s*show\b/i.test(statement.sql)) {
      return (await allTables(reader, snapshot)).map(table => ({ ...table, files: [] }))
    }
    const named = new Set(tablesIn(connection, statement.sql).map(name => name.toLowerCase()))
    const isNamed = ({ name }: CommittedTable): boolean => named.has(name.toLowerCase())
    const own = [...snapshot.tables.values()].filter(isNamed)
    // The system tables are read from many objects, so only a statement that may need them does so.
    if (named.size > 0 && own.length === named.size) return own
    const all = await allTables(reader, snapshot)
    return named.size === 0 ? all : all.filter(isNamed)
  }
}

/** Number of rows of a table: as the loads counted them, or counted now if another tool wrote them. */
export async function countRows(
  storage: Storage,
  reader: DatasetReader,
  dataset: string,
  name: string,
): Promise<number> {
  const { files } = await tableNamed(reader, dataset, name)
  if (files.every(file => file.rows !== undefined)) return files.reduce((sum, file) => sum + (file.rows ?? 0), 0)
  return await oneNumber(storage, reader, dataset, name, async (connection, view) => {
    const reader = await connection.runAndReadAll(`SELECT count(*) FROM ${view}`)
    return Number(reader.getRows()[0]?.[0])
  })
}

/** Writes the rows of a query into one Parquet file on this machine. */
export async function exportParquet(
  storage: Storage,
  reader: DatasetReader,
  dataset: string,
  query: ReadQuery,
  path: string,
): Promise<number> {
  return await oneNumber(storage, reader, dataset, query.table, connection =>
    writeParquet(connection, dataset, query, path),
  )
}

async function oneNumber(
  storage: Storage,
  reader: DatasetReader,
  dataset: string,
  name: string,
  work: (connection: DuckDBConnection, view: string) => Promise<number>,
): Promise<number> {
  const tables = async (): Promise<CommittedTable[]> => [await tableNamed(reader, dataset, name)]
  const numbers = withViews(storage, dataset, tables, async function* (connection, [table]) {
    yield await work(connection, viewOf(dataset, table?.name ?? name))
  })
  return await lastOf(numbers)
}

async function lastOf(numbers: AsyncIterable<number>): Promise<number> {
  let last = 0
  for await (const number of numbers) last = number
  return last
}

/** Calls `work` with views of the tables, all of one moment, which are named like the tables. */
async function* withViews<T>(
  storage: Storage,
  dataset: string,
  tablesOf: (connection: DuckDBConnection) => Promise<readonly CommittedTable[]>,
  work: (connection: DuckDBConnection, tables: readonly CommittedTable[]) => AsyncGenerator<T>,
): AsyncGenerator<T> {
  const database = await openMemory(`${storage.place} ${dataset}`)
  const connection = await database.connect()
  try {
    for (let looks = 1; ; looks++) {
      const tables = await tablesOf(connection)
      await using borrowed = await storage.borrow(tables.flatMap(({ files }) => files))
      if (borrowed === undefined && looks < LOOKS) continue
      if (borrowed === undefined) throw missingFiles(storage, tables)
      await connection.run('SET SESSION preserve_insertion_order = false')
      await connection.run(`CREATE SCHEMA ${doubleQuoted(dataset)}`)
      let first = 0
      for (const table of tables) {
        const paths = borrowed.paths.slice(first, first + table.files.length)
        first += table.files.length
        await connection.run(
          `CREATE VIEW ${viewOf(dataset, table.name)} AS ${await relation(connection, table, paths)}`,
        )
      }
      yield* work(connection, tables)
      return
    }
  } finally {
    connection.closeSync()
    await database.close()
  }
}

function viewOf(dataset: string, table: string): string {
  return `${doubleQuoted(dataset)}.${doubleQuoted(table)}`
}

function missingFiles({ place }: Storage, tables: readonly CommittedTable[]): DestinationError {
  const names = tables.map(({ name }) => name).join(', ')
  return new DestinationError(
    'destination',
    `Files of table ${names} are missing from ${place}: its loads list them, but they were removed by something else. Restore them, or load the table anew with a refresh`,
    { destination: place },
  )
}

async function allTables(reader: DatasetReader, snapshot: Snapshot): Promise<CommittedTable[]> {
  return [...snapshot.tables.values(), ...(await reader.system(snapshot))]
}

/** The table with this name, system tables included. Fails with a SchemaError. */
async function tableNamed(reader: DatasetReader, dataset: string, name: string): Promise<CommittedTable> {
  const snapshot = await reader.snapshot()
  const own = snapshot.tables.get(name)
  if (own !== undefined) return own
  const all = await allTables(reader, snapshot)
  const found =
    all.find(table => table.name === name) ?? all.find(table => table.name.toLowerCase() === name.toLowerCase())
  if (found !== undefined) return found
  throw new SchemaError('schema', `Dataset ${dataset} has no table ${name}`, { table: name })
}

async function relation(
  connection: DuckDBConnection,
  table: CommittedTable,
  paths: readonly string[],
): Promise<string> {
  const parts: string[] = []
  for (const format of Object.keys(fileFormats) as FileFormatName[]) {
    const own = paths.filter((_, index) => table.files[index]?.format === format)
    if (own.length > 0) parts.push(await select(connection, table, format, own))
  }
  if (parts.length > 0) return parts.join(' UNION ALL ')
  return `SELECT ${table.columns.map(nothing).join(', ')} WHERE false`
}

async function select(
  connection: DuckDBConnection,
  table: CommittedTable,
  formatName: FileFormatName,
  paths: readonly string[],
): Promise<string> {
  const format = fileFormats[formatName]
  const from = format.reader(paths, table.columns)
  const present = format.describes ? await columnsOf(connection, from) : undefined
  const values = table.columns.map(column =>
    present === undefined || present.has(column.name.toLowerCase())
      ? `${format.value(column)} AS ${doubleQuoted(column.name)}`
      : nothing(column),
  )
  return `SELECT ${values.join(', ')} FROM ${from}`
}

async function columnsOf(connection: DuckDBConnection, from: string): Promise<ReadonlySet<string>> {
  const reader = await connection.runAndReadAll(`DESCRIBE SELECT * FROM ${from}`)
  return new Set(reader.getRows().map(([name]) => String(name).toLowerCase()))
}

function nothing(column: CommittedTable['columns'][number]): string {
  return `CAST(NULL AS ${columnType(duckdbDialect, column)}) AS ${doubleQuoted(column.name)}`
}
