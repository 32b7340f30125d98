import { mkdir, open, rm, rmdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { ColumnBatch } from '../../model/batch.js'
import type { DataType, ReadonlySchema, ReadonlyTable } from '../../schema/schemaTypes.js'
import { type ParquetColumn, type ParquetEncoder, parquetEncoder } from '../parquet/encoder.js'
import { columnType, freeName } from '../sql/ddl.js'
import type { StagedTable } from '../sql/sqlSession.js'
import { doubleQuoted, textLiteral } from '../sql/sqlSession.js'
import { duckdbDialect } from './duckdbDialect.js'

/**
 * The rows of a load on their way: uncompressed Parquet files in a folder of the load's own, one or more a table,
 * which the commit reads with all of DuckDB's threads. Nothing of the database changes before that.
 */
export interface StagingFolder {
  /** Appends a row group. Batches of one table keep their order. */
  add(batch: ColumnBatch, schema: ReadonlySchema): Promise<void>
  /** Rows of a table that were not taken yet, if any: they are from now on. Their files get no further rows, and stay. */
  take(table: string, schema: ReadonlySchema): Promise<StagedFiles | undefined>
  /** Ends the files and describes what they hold; no batch may be added afterwards. */
  finish(schema: ReadonlySchema): Promise<Staged>
  remove(): Promise<void>
}

export interface StagedFiles extends StagedTable {
  /** Bytes of the rows that DuckDB works on at a time, going by the batch of the table with the widest ones. */
  readonly vectorBytes: number
}

/** Everything that was staged, by table. */
export interface Staged {
  readonly all: ReadonlyMap<string, StagedFiles>
  /** Without what was taken before; in no certain order. */
  readonly rest: ReadonlyMap<string, StagedFiles>
}

interface StagedFile {
  readonly path: string
  /** It has the first so many columns of its table. */
  readonly columns: number
}

interface TableFiles {
  readonly files: StagedFile[]
  /** Files taken, from the first. */
  taken: number
  /** Names in the files are numbers, so that any column name is allowed. */
  readonly columns: Map<string, ParquetColumn>
  current: { readonly path: string; readonly encoder: ParquetEncoder } | undefined
  /** Bytes of everything that was written. */
  bytes: number
  /** Bytes of a row, on average in the batch with the widest ones. */
  rowBytes: number
  /** Settles when the last write has. */
  tail: Promise<void>
}

/** DuckDB works on so many rows at a time, whatever they hold. */
const VECTOR_ROWS = 2048

/** Creates the folder; whatever is in it from an earlier attempt is gone. */
export async function openStagingFolder(folder: string): Promise<StagingFolder> {
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true, mode: 0o700 })
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
      // The columns of a file are fixed by its first row group.
      await endFile(table)
      const timezone = schema?.columns.get(name)?.timezone
      table.columns.set(name, { name: `c${table.columns.size}`, source: name, dataType, timezone })
    }
    const pieces: Uint8Array[] = []
    if (table.current === undefined) {
      const path = join(folder, `${files++}.parquet`)
      table.current = { path, encoder: parquetEncoder([...table.columns.values()]) }
      table.files.push({ path, columns: table.columns.size })
      pieces.push(...table.current.encoder.begin())
    }
    const rowGroup = table.current.encoder.rowGroup(batch)
    const bytes = rowGroup.reduce((sum, piece) => sum + piece.length, 0)
    table.bytes += bytes
    table.rowBytes = Math.max(table.rowBytes, bytes / batch.rows)
    await append(table.current.path, [...pieces, ...rowGroup])
  }

  /** Ends the file that is written, behind what is under way; the result is what nobody took before. */
  const takeFiles = async (table: TableFiles): Promise<readonly StagedFile[]> => {
    const taking = table.tail.then(async () => {
      await endFile(table)
      const untaken = table.files.slice(table.taken)
      table.taken = table.files.length
      return untaken
    })
    table.tail = taking.then(() => {})
    // A failure is this caller's, and of whoever adds more; that nobody does is no failure of its own.
    table.tail.catch(() => {})
    return await taking
  }

  return {
    async add(batch, schema) {
      if (batch.rows === 0) return
      const table = tables.get(batch.table) ?? newTable()
      tables.set(batch.table, table)
      table.tail = table.tail.then(() => write(table, batch, schema.tables.get(batch.table)))
      await table.tail
    },
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
        all.set(name, stagedFiles(table, table.files, schema.tables.get(name)))
        if (untaken.length > 0) rest.set(name, stagedFiles(table, untaken, schema.tables.get(name)))
      }
      return { all, rest }
    },
    async remove() {
      await rm(folder, { recursive: true, force: true })
      // Shared with other pipelines: stays as long as one of them stages.
      await rmdir(dirname(folder)).catch(() => {})
    },
  }
}

function newTable(): TableFiles {
  return {
    files: [],
    taken: 0,
    columns: new Map(),
    current: undefined,
    bytes: 0,
    rowBytes: 0,
    tail: Promise.resolve(),
  }
}

/** Pieces one after the other at the end of the file; a short write is continued. */
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

/** Rows of one file stay below this, so that file and row make one number. */
const MOST_ROWS_A_FILE = 2n ** 40n

function stagedFiles(table: TableFiles, files: readonly StagedFile[], schema: ReadonlyTable | undefined): StagedFiles {
  const present = new Map([...table.columns].slice(0, Math.max(...files.map(file => file.columns))))
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
  const paths = files.map(file => textLiteral(file.path)).join(', ')
  const row = `CAST(file_index AS BIGINT) * ${MOST_ROWS_A_FILE} + file_row_number AS ${doubleQuoted(ordinal)}`
  return {
    relation: `(SELECT ${[...columns, ...nulls, row].join(', ')} FROM read_parquet([${paths}], union_by_name = true))`,
    columns: new Set(present.keys()),
    ordinal,
    vectorBytes: Math.min(table.bytes, table.rowBytes * VECTOR_ROWS),
  }
}

/** Types whose values have no form of their own in the files. */
function isStagedAsText(type: DataType): boolean {
  return type === 'decimal' || type === 'wei'
}
