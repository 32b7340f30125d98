import { mkdir, open, rm, rmdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { ColumnBatch } from '../../model/batch.js'
import type { DataType, ReadonlySchema, ReadonlyTable } from '../../schema/schemaTypes.js'
import { type ParquetColumn, type ParquetEncoder, parquetEncoder } from '../parquet/encoder.js'
import { columnType, freeName } from '../sql/ddl.js'
import type { StagedTable } from '../sql/sqlSession.js'
import { doubleQuoted, textLiteral } from '../sql/sqlSession.js'
import { type DistinctValues, distinctValues } from './distinctValues.js'
import { duckdbDialect } from './duckdbDialect.js'
import { type VectorMemory, vectorMemory } from './vectorMemory.js'

/**
 * The staged rows of a load: uncompressed Parquet files in the load's own folder, one or more for each table. The
 * commit reads them with all of DuckDB's threads. The database does not change before that.
 */
export interface StagingFolder {
  /** Appends a row group. Batches of one table keep their order. */
  add(batch: ColumnBatch, schema: ReadonlySchema): Promise<void>
  /** What was added to a table so far. */
  amountOf(table: string): Pick<StagedAmount, 'rows' | 'bytes'>
  /** Takes the rows of a table that were not taken yet, if any. Their files get no further rows, and stay. */
  take(table: string, schema: ReadonlySchema): Promise<StagedFiles | undefined>
  /** Ends the files and describes their content. Add no batch afterwards. A second call describes the same in `all`. */
  finish(schema: ReadonlySchema): Promise<Staged>
  remove(): Promise<void>
}

export interface StagedFiles extends StagedTable {
  readonly paths: readonly string[]
  /** What the files hold under which name, by column of the table. */
  readonly stored: ReadonlyMap<string, ParquetColumn>
  /** What the table has so far, in these files and those taken before. */
  readonly amount: StagedAmount
}

/** How much was staged of a table. */
export interface StagedAmount {
  readonly rows: number
  readonly bytes: number
  /** Average bytes of a row, in the batch with the longest rows. */
  readonly rowBytes: number
  /** Bytes of the largest batch. */
  readonly batchBytes: number
  /** Memory that DuckDB takes to compress one column of a vector, in the vector and column where that is most. */
  readonly vectorBytes: number
}

/** Everything that was staged, by table. */
export interface Staged {
  readonly all: ReadonlyMap<string, StagedFiles>
  /** Without the rows that were taken before, in no particular order. */
  readonly rest: ReadonlyMap<string, StagedFiles>
}

interface StagedFile {
  readonly path: string
  /** The file has this many columns of its table, from the first. */
  readonly columns: number
}

interface TableFiles {
  readonly files: StagedFile[]
  /** Number of files taken, from the first. */
  taken: number
  /** Column names in the files are numbers, so that any name is allowed. */
  readonly columns: Map<string, ParquetColumn>
  /** Files of the batches' `rootRuns`. */
  rootRuns: TableFiles | undefined
  current: { readonly path: string; readonly encoder: ParquetEncoder } | undefined
  readonly vectors: VectorMemory
  /** Undefined before the first row. */
  distinct: DistinctValues | undefined
  amount: StagedAmount
  /** Settles after the last write. */
  tail: Promise<void>
}

const MOST_ATTEMPTS = 10

/** Makes a folder that only this user may enter. Loads that end remove the empty ones above it, maybe just now. */
export async function makeOwnFolder(folder: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await mkdir(folder, { recursive: true, mode: 0o700 })
      return
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || attempt === MOST_ATTEMPTS) throw error
    }
  }
}

/** Creates the folder. Removes what an earlier attempt left in it. */
export async function openStagingFolder(folder: string): Promise<StagingFolder> {
  await rm(folder, { recursive: true, force: true })
  await makeOwnFolder(folder)
  const tables = new Map<string, TableFiles>()
  let files = 0

  const endFile = async (table: TableFiles): Promise<void> => {
    if (table.current === undefined) return
    await append(table.current.path, table.current.encoder.end())
    table.current = undefined
  }

  const write = async (table: TableFiles, batch: ColumnBatch, schema: ReadonlyTable | undefined): Promise<void> => {
    for (const { name, dataType } of batch.columns) {
      if (table.columns.has(name)) continue
      // The first row group fixes the columns of a file.
      await endFile(table)
      const timezone = schema?.columns.get(name)?.timezone
      table.columns.set(name, { name: `c${table.columns.size}`, source: name, dataType, timezone })
    }
    table.distinct ??= distinctValues(schema)
    table.distinct.add(batch)
    const pieces: Uint8Array[] = []
    if (table.current === undefined) {
      const path = join(folder, `${files++}.parquet`)
      table.current = { path, encoder: parquetEncoder([...table.columns.values()]) }
      table.files.push({ path, columns: table.columns.size })
      pieces.push(...table.current.encoder.begin())
    }
    const rowGroup = table.current.encoder.rowGroup(batch)
    const bytes = rowGroup.reduce((sum, piece) => sum + piece.length, 0)
    table.amount = withBatch(table.amount, batch.rows, bytes, table.vectors.add(batch, bytes))
    await append(table.current.path, [...pieces, ...rowGroup])
  }

  const addTo = async (table: TableFiles, batch: ColumnBatch, schema: ReadonlyTable | undefined): Promise<void> => {
    table.tail = table.tail.then(() => write(table, batch, schema))
    await table.tail
    if (batch.rootRuns === undefined) return
    table.rootRuns ??= newTable()
    await addTo(table.rootRuns, batch.rootRuns, undefined)
  }

  /** After pending writes, ends the current file. Returns the files that were not taken before. */
  const takeFiles = async (table: TableFiles): Promise<readonly StagedFile[]> => {
    const taking = table.tail.then(async () => {
      await endFile(table)
      const untaken = table.files.slice(table.taken)
      table.taken = table.files.length
      return untaken
    })
    table.tail = taking.then(() => {})
    // This caller sees a failure, and so do later ones. If there are none, it must not count as unhandled.
    table.tail.catch(() => {})
    return await taking
  }

  return {
    async add(batch, schema) {
      if (batch.rows === 0) return
      const table = tables.get(batch.table) ?? newTable()
      tables.set(batch.table, table)
      await addTo(table, batch, schema.tables.get(batch.table))
    },
    amountOf: name => tables.get(name)?.amount ?? { rows: 0, bytes: 0 },
    async take(name, schema) {
      const table = tables.get(name)
      if (table === undefined) return undefined
      const files = await takeFiles(table)
      return files.length === 0 ? undefined : stagedFiles(table, files, schema.tables.get(name))
    },
    async finish(schema) {
      const all = new Map<string, StagedFiles>()
      const rest = new Map<string, StagedFiles>()
      for (const [name, table] of tables) {
        const untaken = await takeFiles(table)
        const { rootRuns: runs } = table
        if (runs !== undefined) await takeFiles(runs)
        const rootRuns = runs === undefined ? undefined : stagedFiles(runs, runs.files, undefined)
        all.set(name, { ...stagedFiles(table, table.files, schema.tables.get(name)), rootRuns })
        if (untaken.length > 0) rest.set(name, { ...stagedFiles(table, untaken, schema.tables.get(name)), rootRuns })
      }
      return { all, rest }
    },
    async remove() {
      await rm(folder, { recursive: true, force: true })
      // Other pipelines share this folder. It stays while one of them stages.
      await rmdir(dirname(folder)).catch(() => {})
    },
  }
}

function newTable(): TableFiles {
  return {
    files: [],
    taken: 0,
    columns: new Map(),
    rootRuns: undefined,
    current: undefined,
    vectors: vectorMemory(),
    distinct: undefined,
    amount: { rows: 0, bytes: 0, rowBytes: 0, batchBytes: 0, vectorBytes: 0 },
    tail: Promise.resolve(),
  }
}

function withBatch(before: StagedAmount, rows: number, bytes: number, vectorBytes: number): StagedAmount {
  return {
    rows: before.rows + rows,
    bytes: before.bytes + bytes,
    rowBytes: Math.max(before.rowBytes, bytes / rows),
    batchBytes: Math.max(before.batchBytes, bytes),
    vectorBytes,
  }
}

/** Appends pieces to the file in order, and continues after a short write. */
async function append(path: string, pieces: readonly Uint8Array[]): Promise<void> {
  const file = await open(path, 'a', 0o600)
  try {
    let rest = pieces.filter(piece => piece.length > 0)
    while (rest.length > 0) {
      const { bytesWritten } = await file.writev(rest)
      if (bytesWritten === 0) throw new Error(`${path} takes no more bytes`)
      rest = after(rest, bytesWritten)
    }
  } finally {
    await file.close()
  }
}

function after(pieces: readonly Uint8Array[], bytes: number): Uint8Array[] {
  let skip = bytes
  const rest: Uint8Array[] = []
  for (const piece of pieces) {
    if (skip >= piece.length) {
      skip -= piece.length
    } else {
      rest.push(skip === 0 ? piece : piece.subarray(skip))
      skip = 0
    }
  }
  return rest
}

/** A file has fewer rows than this, so that file and row fit in one number. */
const MOST_ROWS_A_FILE = 2n ** 40n

function stagedFiles(table: TableFiles, files: readonly StagedFile[], schema: ReadonlyTable | undefined): StagedFiles {
  const stored = new Map([...table.columns].slice(0, Math.max(...files.map(file => file.columns))))
  const paths = files.map(({ path }) => path)
  const size = files.length === table.files.length ? table.amount : undefined
  const distinct = table.distinct?.names
  return { ...relationOf(paths, stored, schema), paths, stored, amount: table.amount, size, distinct }
}

/** Staged rows of one table, from several loads: files with the same columns are one relation. */
export function joinStaged(staged: readonly StagedFiles[], table: ReadonlyTable): readonly StagedTable[] {
  const alike = new Map<string, StagedFiles[]>()
  for (const one of staged) {
    const key = JSON.stringify([...one.stored])
    alike.set(key, [...(alike.get(key) ?? []), one])
  }
  return [...alike.values()].map(files =>
    relationOf(
      files.flatMap(({ paths }) => paths),
      files[0]?.stored ?? new Map(),
      table,
    ),
  )
}

function relationOf(
  paths: readonly string[],
  present: ReadonlyMap<string, ParquetColumn>,
  schema: ReadonlyTable | undefined,
): StagedTable {
  const missing = [...(schema?.columns.values() ?? [])].filter(
    column => column.data_type !== undefined && !present.has(column.name),
  )
  const ordinal = freeName('_sluice_row', [...present.keys(), ...missing.map(column => column.name)])
  const nulls = missing.map(
    column => `CAST(NULL AS ${columnType(duckdbDialect, column)}) AS ${doubleQuoted(column.name)}`,
  )
  const columns = [...present].map(([name, column]) => {
    const wanted = schema?.columns.get(name)
    const value = doubleQuoted(column.name)
    const cast = wanted !== undefined && isStagedAsText(column.dataType)
    return `${cast ? `CAST(${value} AS ${columnType(duckdbDialect, wanted)})` : value} AS ${doubleQuoted(name)}`
  })
  const row = `CAST(file_index AS BIGINT) * ${MOST_ROWS_A_FILE} + file_row_number AS ${doubleQuoted(ordinal)}`
  return {
    relation: `(SELECT ${[...columns, ...nulls, row].join(', ')} FROM read_parquet([${paths.map(textLiteral).join(', ')}], union_by_name = true))`,
    columns: new Set(present.keys()),
    ordinal,
  }
}

/** Types that the files store as text. */
function isStagedAsText(type: DataType): boolean {
  return type === 'decimal' || type === 'wei'
}
