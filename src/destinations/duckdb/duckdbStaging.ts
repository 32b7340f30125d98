import { createHash } from 'node:crypto'
import { mkdir, open, rm, rmdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { ColumnBatch } from '../../model/batch.js'
import type { DataType, ReadonlySchema, ReadonlyTable } from '../../schema/schemaTypes.js'
import {
  type EncodedRows,
  joinedFile,
  type ParquetColumn,
  type ParquetEncoder,
  parquetEncoder,
} from '../parquet/encoder.js'
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
  /** The same, for a commit with other loads: rows that are held stay so until `joinStaged`, or until `write`. */
  finishHeld(schema: ReadonlySchema): Promise<Staged['all']>
  /** Writes what is held. */
  write(): Promise<void>
  remove(): Promise<void>
}

export interface StagedFiles extends StagedTable {
  readonly paths: readonly string[]
  /** What the files hold under which name, by column of the table. */
  readonly stored: ReadonlyMap<string, ParquetColumn>
  /** What the table has so far, in these files and those taken before. */
  readonly amount: StagedAmount
  /** The rows, where they are all held in memory. */
  readonly held?: HeldRows | undefined
}

/** Rows that are in no file yet. */
interface HeldRows extends EncodedRows {
  /** Writes a file into the folder of the load, and returns its path. */
  writeFile(name: string, pieces: readonly Uint8Array[]): Promise<string>
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
  readonly encoder: ParquetEncoder
  /** Copies of its row groups, as long as it is not written. */
  held: Uint8Array[] | undefined
}

interface TableFiles {
  readonly files: StagedFile[]
  /** Number of files taken, from the first. */
  taken: number
  /** Column names in the files are numbers, so that any name is allowed. */
  readonly columns: Map<string, ParquetColumn>
  /** Files of the batches' `rootRuns`. */
  rootRuns: TableFiles | undefined
  current: StagedFile | undefined
  /** Bytes of the files that are held. */
  heldBytes: number
  readonly vectors: VectorMemory
  /** Undefined before the first row. */
  distinct: DistinctValues | undefined
  amount: StagedAmount
  /** Settles after the last write. */
  tail: Promise<void>
}

/** Bytes that a table of one load holds, and those of all loads of this process. */
const MOST_HELD_OF_TABLE = 2 ** 20
const MOST_HELD = 32 * 2 ** 20
let heldBytes = 0

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

/** Removes what an earlier attempt left in the folder, and creates it. */
async function makeAnew(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true })
  await makeOwnFolder(folder)
}

/** Creates the folder. Removes what an earlier attempt left in it. */
export async function openStagingFolder(folder: string): Promise<StagingFolder> {
  await makeAnew(folder)
  return stagingFolder(folder, async () => {}, false)
}

/** Holds few rows in memory. Creates the folder with the first file: most small loads need none of their own. */
export function openHoldingFolder(folder: string): StagingFolder {
  let making: Promise<void> | undefined
  const make = (): Promise<void> => {
    making ??= makeAnew(folder)
    return making
  }
  return stagingFolder(folder, make, true)
}

function stagingFolder(folder: string, make: () => Promise<void>, isHolding: boolean): StagingFolder {
  const tables = new Map<string, TableFiles>()
  let files = 0
  let isMade = !isHolding

  const writeTo = async (path: string, pieces: readonly Uint8Array[]): Promise<void> => {
    isMade = true
    await make()
    await append(path, pieces)
  }

  const endFile = async (table: TableFiles): Promise<void> => {
    const { current } = table
    table.current = undefined
    if (current !== undefined && current.held === undefined) await writeTo(current.path, current.encoder.end())
  }

  /** Writes the files that are held, whole but for the one that still grows. */
  const writeHeld = async (table: TableFiles): Promise<void> => {
    for (const file of table.files) {
      const { held, encoder, path } = file
      if (held === undefined) continue
      await writeTo(path, [...encoder.begin(), ...held, ...(file === table.current ? [] : encoder.end())])
      file.held = undefined
    }
    letGo(table)
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
      const encoder = parquetEncoder([...table.columns.values()])
      const isHeld = isHolding && table.files.every(file => file.held !== undefined)
      table.current = { path, columns: table.columns.size, encoder, held: isHeld ? [] : undefined }
      table.files.push(table.current)
      pieces.push(...encoder.begin())
    }
    const { current } = table
    const rowGroup = current.encoder.rowGroup(batch)
    const bytes = rowGroup.reduce((sum, piece) => sum + piece.length, 0)
    table.amount = withBatch(table.amount, batch.rows, bytes, table.vectors.add(batch, bytes))
    if (current.held !== undefined && table.heldBytes + bytes <= MOST_HELD_OF_TABLE && heldBytes + bytes <= MOST_HELD) {
      // The buffers of the batch will be reused.
      current.held.push(Buffer.concat(rowGroup))
      table.heldBytes += bytes
      heldBytes += bytes
      return
    }
    if (current.held === undefined) return await writeTo(current.path, [...pieces, ...rowGroup])
    current.held.push(...rowGroup)
    await writeHeld(table)
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

  const writeAll = async (table: TableFiles): Promise<void> => {
    await writeHeld(table)
    if (table.rootRuns !== undefined) await writeHeld(table.rootRuns)
  }

  const heldOf = ({ files: [file, ...others] }: TableFiles): HeldRows | undefined => {
    if (file?.held === undefined || others.length > 0) return undefined
    return {
      groups: file.encoder.groups,
      pieces: file.held,
      async writeFile(name, pieces) {
        const path = join(folder, name)
        // What an attempt before wrote is not appended to.
        await rm(path, { force: true })
        await writeTo(path, pieces)
        return path
      },
    }
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
        await writeAll(table)
        const rootRuns = runs === undefined ? undefined : stagedFiles(runs, runs.files, undefined)
        all.set(name, { ...stagedFiles(table, table.files, schema.tables.get(name)), rootRuns })
        if (untaken.length > 0) rest.set(name, { ...stagedFiles(table, untaken, schema.tables.get(name)), rootRuns })
      }
      return { all, rest }
    },
    async finishHeld(schema) {
      const all = new Map<string, StagedFiles>()
      for (const [name, table] of tables) {
        await takeFiles(table)
        const { rootRuns: runs } = table
        if (runs !== undefined) await takeFiles(runs)
        const rootRuns = runs === undefined ? undefined : stagedFiles(runs, runs.files, undefined)
        const files = stagedFiles(table, table.files, schema.tables.get(name))
        all.set(name, { ...files, rootRuns, held: heldOf(table) })
      }
      return all
    },
    async write() {
      for (const table of tables.values()) await writeAll(table)
    },
    async remove() {
      for (const table of tables.values()) {
        letGo(table)
        if (table.rootRuns !== undefined) letGo(table.rootRuns)
      }
      if (!isMade) return
      await rm(folder, { recursive: true, force: true })
      // Other pipelines share the folder above. It stays while one of them stages, or a connection loads parts.
      if (!isHolding) await rmdir(dirname(folder)).catch(() => {})
    },
  }
}

function letGo(table: TableFiles): void {
  heldBytes -= table.heldBytes
  table.heldBytes = 0
}

function newTable(): TableFiles {
  return {
    files: [],
    taken: 0,
    columns: new Map(),
    rootRuns: undefined,
    current: undefined,
    heldBytes: 0,
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

/**
 * Staged rows of one table, from several loads: files with the same columns are one relation. What is held becomes one
 * file.
 */
export async function joinStaged(
  staged: readonly StagedFiles[],
  table: ReadonlyTable,
): Promise<readonly StagedTable[]> {
  const alike = new Map<string, StagedFiles[]>()
  for (const one of staged) {
    const key = JSON.stringify([...one.stored])
    alike.set(key, [...(alike.get(key) ?? []), one])
  }
  const joined: StagedTable[] = []
  for (const files of alike.values()) {
    const stored = files[0]?.stored ?? new Map<string, ParquetColumn>()
    const held = files.flatMap(file => file.held ?? [])
    const paths = files.flatMap(file => (file.held === undefined ? file.paths : []))
    const [first] = held
    if (first !== undefined) {
      const name = `${createHash('sha256').update(table.name).digest('hex').slice(0, 16)}-${joined.length}.parquet`
      paths.push(await first.writeFile(name, joinedFile([...stored.values()], held)))
    }
    joined.push(relationOf(paths, stored, table))
  }
  return joined
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
