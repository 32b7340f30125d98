import type { DuckDBConnection } from '@duckdb/node-api'
import type { CommitPlan, OnStatement, TablePlan } from '../../model/destination.js'
import { isComplete } from '../../schema/columns.js'
import { lineage, rootTable, tableChain } from '../../schema/rootKey.js'
import type { ReadonlySchema, ReadonlyTable } from '../../schema/schemaTypes.js'
import { openChain } from '../sql/chain.js'
import type { CommitTally } from '../sql/commitTally.js'
import { columnType, DatasetTables } from '../sql/ddl.js'
import { hasDuplicates, insertStaged, keepTest } from '../sql/rows.js'
import { hasRow, type SqlSession, type StagedTable, toldSession } from '../sql/sqlSession.js'
import type { Database } from './database.js'
import { duckdbDialect } from './duckdbDialect.js'
import { duckdbSession, interruptible } from './duckdbSession.js'
import type { Staged, StagedAmount, StagedFiles, StagingFolder } from './duckdbStaging.js'
import { type ChangedSettings, changedSettings, mebibytes, settingsOf } from './instanceSettings.js'
import { hasLongVectors } from './vectorMemory.js'

/**
 * Used while rows arrive. One thread: with several, each would end a statement with an incomplete row group. Closing
 * the file would compress that again, and the walk needs the other cores. A buffer of one row group: by default DuckDB
 * waits for five before it compresses the first.
 */
const WHILE_READING = { threads: '1', write_buffer_row_group_count: '1' }

/**
 * Used until the end: otherwise DuckDB keeps every block that it writes while there is memory left, and the allocator
 * keeps what is freed, in an arena for each thread that ran a statement.
 */
function withMemory(mib: number) {
  const flush = { allocator_flush_threshold: '8MiB', allocator_bulk_deallocation_flush_threshold: '1MiB' }
  return { memory_limit: `${mib}MiB`, ...flush }
}

/**
 * Used for the commit of long rows. DuckDB counts 16 bytes for a text when it decides whether to write a commit to its
 * log first. It would write every long text there, 2,048 rows in one piece of memory, and keep the rows in memory.
 */
const COMMIT_LONG_ROWS = { checkpoint_threshold: '1KB', auto_checkpoint_skip_wal_threshold: '0' }

/** DuckDB compresses so many rows while they are inserted, and the rest in the commit. */
const ROW_GROUP_ROWS = 122_880
/**
 * With fewer rows, one thread does nearly all of the commit: DuckDB compresses a row group with one, and the tables one
 * after the other. The thread that waits for it asks again and again, and so takes a whole core.
 */
const WORTH_THREADS_ROWS = 2 * ROW_GROUP_ROWS
/** Larger row groups go to disk in parts before they are compressed, so that more memory brings little. */
const ROW_GROUP_BYTES_IN_MEMORY = 64 << 20

/**
 * Memory for inserting: the values of a row group until they are compressed, or a batch and its copy, in blocks that
 * texts may fill by half.
 */
function insertionMib(columns: number, { rowBytes, batchBytes }: StagedAmount): number {
  const fits = rowBytes * ROW_GROUP_ROWS < ROW_GROUP_BYTES_IN_MEMORY
  const least = fits ? 128 : Math.min(128, Math.max(48, columns * 4))
  return Math.max(least, columns * 2, mebibytesOf(4 * batchBytes))
}

/** Memory for compressing: besides, DuckDB cannot move the texts of one vector to disk meanwhile. */
function compressionMib(columns: number, amount: StagedAmount): number {
  return insertionMib(columns, amount) + mebibytesOf(amount.vectorBytes)
}

function mebibytesOf(bytes: number): number {
  return Math.ceil(bytes / 2 ** 20)
}

/** The commit inserts less than this as fast as a start is prepared. */
const WORTH_A_START = { rows: 5_000, bytes: 1 << 20 }

function isWorthAStart({ rows, bytes }: Pick<StagedAmount, 'rows' | 'bytes'>): boolean {
  return rows >= WORTH_A_START.rows || bytes >= WORTH_A_START.bytes
}

/**
 * Inserts rows into their tables while others still arrive, in the transaction that will commit them. DuckDB's threads
 * then compress early what the commit would have to. It bets that the tables are empty or only appended to, and that no
 * key arrives twice. If the bet is lost or another writer comes, it rolls back. The commit then starts from the staged
 * files, which hold everything.
 *
 * A program may share the instance and its settings. So they change only while nobody else has it, and are restored
 * when somebody comes. A reader of the program itself is noticed with the next rows.
 */
export interface HeadStart {
  /** Rows of a table were staged. Never waits and never fails. */
  staged(table: string, schema: ReadonlySchema): void
  /** Resolves when it takes nothing more from the staged files. Call it outside of the writer's turn. */
  stop(): Promise<void>
  /**
   * After `stop`: makes the plan in the transaction, and inserts what was staged since. Returns the open transaction and
   * what remains to do in it. Undefined if nothing was begun or the bet is lost. Only `end` closes it, committed or not.
   */
  finish(
    planned: (session: SqlSession) => Promise<CommitPlan>,
    staged: Staged,
    signal: AbortSignal | undefined,
  ): Promise<OpenTransaction | undefined>
  /** Rolls back what is not committed. Idempotent. */
  readonly end: () => Promise<void>
  /** The transaction from `finish` could not be committed. */
  readonly failed: (error: unknown) => void
  /** Why rows inserted ahead had to be rolled back. Undefined if they were not. */
  readonly lost: () => string | undefined
}

interface OpenTransaction {
  readonly connection: DuckDBConnection
  readonly session: SqlSession
  readonly plan: CommitPlan
  readonly staged: ReadonlyMap<string, StagedTable>
  /** What was done in it so far. */
  readonly tally: CommitTally
}

interface Begun {
  readonly connection: DuckDBConnection
  readonly whileReading: ChangedSettings
  readonly memory: ChangedSettings
  readonly session: SqlSession
  readonly tables: DatasetTables
  /** By table that this transaction created, extended or filled: its columns at that time. */
  readonly shapes: Map<string, readonly string[]>
  /** By root table that this transaction filled: whether its tables were empty before. */
  readonly roots: Map<string, 'empty' | 'filled'>
  /** Memory limits of DuckDB: now, and before. Never more than before. */
  memoryMib: number
  readonly mostMemoryMib: number
  /** There was no table in the database. */
  readonly isFirst: boolean
}

export function headStart(
  database: Database,
  dataset: string,
  folder: StagingFolder,
  onStatement: OnStatement | undefined,
): HeadStart {
  const waiting = new Map<string, ReadonlySchema>()
  let begun: Begun | undefined
  let working: Promise<void> | undefined
  let stopped = false
  let forget = (): void => {}
  let share = (): void => {}
  let lost: string | undefined
  let ending: Promise<void> | undefined

  const rollBack = async (): Promise<void> => {
    stopped = true
    begun?.connection.interrupt()
    await working
    forget()
    share()
    if (begun === undefined) return
    const { connection } = begun
    const now = begun
    begun = undefined
    try {
      await connection.run('ROLLBACK').catch(() => {})
      await restore(now)
    } finally {
      connection.closeSync()
    }
  }
  /** Before another connection is opened: restores the settings. */
  const giveBack = async (): Promise<void> => {
    await working
    if (begun !== undefined) await restore(begun)
  }
  const end = (): Promise<void> => {
    ending ??= rollBack()
    return ending
  }

  const work = async (): Promise<void> => {
    for (const [table, schema] of waiting) {
      waiting.delete(table)
      const staged = await folder.take(table, schema)
      if (staged === undefined) continue
      if (begun === undefined) {
        const open = async (): Promise<void> => {
          begun = await begin(database, dataset, onStatement)
        }
        forget = await database.beginAhead(open, end)
        share = database.onSharing(giveBack)
      }
      if (begun !== undefined && (await database.isShared())) await restore(begun)
      if (stopped || begun === undefined) return
      await putIn(begun, schema, table, staged)
    }
  }

  return {
    staged(table, schema) {
      if (stopped || !database.takesHeadStarts || !isPromising(schema, table)) return
      if (begun === undefined && working === undefined && !isWorthAStart(folder.amountOf(table))) return
      waiting.set(table, schema)
      working ??= work()
        // The failure appears again in the commit, which then starts from the files.
        .catch((error: unknown) => {
          lost ??= stopped ? undefined : reasonOf(error)
          // A failure here appears again at the end.
          end().catch(() => {})
        })
        .finally(() => {
          working = undefined
        })
    },
    async stop() {
      waiting.clear()
      await working
    },
    async finish(planned, staged, signal) {
      if (begun === undefined || stopped) return undefined
      const { connection, session } = begun
      const now = begun
      return await interruptible(connection, signal, async () => {
        const plan = await planned(session)
        const rest = await putInRest(now, plan.schema, staged)
        await prepareCommit(now, staged)
        const tables = await remaining(now, plan, staged)
        if (tables === undefined) lost = 'not every row may stay as it came'
        return tables === undefined
          ? undefined
          : { connection, session, plan: { ...plan, tables }, staged: rest, tally: now.tables.tally }
      })
    },
    end,
    failed(error) {
      lost ??= reasonOf(error)
    },
    lost: () => lost,
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error)
}

async function restore({ whileReading, memory }: Pick<Begun, 'whileReading' | 'memory'>): Promise<void> {
  await whileReading.restore()
  await memory.restore()
}

async function begin(database: Database, dataset: string, onStatement: OnStatement | undefined): Promise<Begun> {
  const connection = await database.connect()
  const changed: ChangedSettings[] = []
  try {
    await connection.run('SET SESSION preserve_insertion_order = false')
    const session = toldSession(await duckdbSession(connection, dataset), onStatement)
    const before = await settingsOf(session, Object.keys({ ...WHILE_READING, ...withMemory(0), ...COMMIT_LONG_ROWS }))
    const { threads = '', write_buffer_row_group_count = '', ...memoryBefore } = before
    const whileReading = changedSettings(session, { threads, write_buffer_row_group_count })
    const memory = changedSettings(session, memoryBefore)
    changed.push(memory, whileReading)
    const mostMemoryMib = mebibytes(memoryBefore.memory_limit ?? '')
    if (!(await database.isShared())) {
      await whileReading.change(WHILE_READING)
    } else {
      await memory.restore()
      await whileReading.restore()
    }
    await connection.run('BEGIN TRANSACTION')
    await session.createDataset()
    const tables = await DatasetTables.inspect(session)
    const isFirst = !(await hasRow(session, 'SELECT 1 FROM duckdb_tables()'))
    const limits = { memoryMib: 0, mostMemoryMib, isFirst }
    return { connection, whileReading, memory, session, tables, shapes: new Map(), roots: new Map(), ...limits }
  } catch (error) {
    for (const settings of changed) await settings.restore().catch(() => {})
    connection.closeSync()
    throw error
  }
}

/** Whether the schema allows inserting the rows of this table as they are. */
function isPromising(schema: ReadonlySchema, name: string): boolean {
  const table = rootTable(schema, name)
  if (table === undefined || table.write_disposition === 'skip') return false
  if (table.write_disposition !== 'merge') return true
  return (
    table['x-merge-strategy'] !== 'scd2' &&
    table['x-merge-source-filter'] === undefined &&
    ![...table.columns.values()].some(column => column.hard_delete === true)
  )
}

async function putIn(begun: Begun, schema: ReadonlySchema, name: string, staged: StagedFiles): Promise<void> {
  const { session, tables, roots } = begun
  const root = rootTable(schema, name)
  const table = schema.tables.get(name)
  if (root === undefined || table === undefined) throw new TypeError('unreachable: rows of an unknown table')
  if (!roots.has(root.name)) roots.set(root.name, (await hasRows(begun, schema, root.name)) ? 'filled' : 'empty')
  const isReplacing = root.write_disposition === 'merge' || root.write_disposition === 'replace'
  if (isReplacing && roots.get(root.name) === 'filled') throw new Error('the bet is lost: there are rows to replace')
  for (const one of [...lineage(schema, name)].reverse()) await ensure(begun, one)
  const columns = await tables.ensure(table)
  const { amount } = staged
  const memoryMib = amount.rows < ROW_GROUP_ROWS ? insertionMib : compressionMib
  await limitMemory(begun, memoryMib(table.columns.size, amount))
  const target = session.table(name)
  const tally = tables.tally.of(name)
  const keys = { parent: undefined, rowKey: undefined, parentKey: undefined, rootKey: undefined }
  await insertStaged(session, { name, target, columns, schema: table, tally, staged, ...keys })
}

/** Raises the limit to this, if it is lower. */
async function limitMemory(begun: Begun, mib: number): Promise<void> {
  const memoryMib = Math.min(begun.mostMemoryMib, mib)
  if (memoryMib <= begun.memoryMib) return
  begun.memoryMib = memoryMib
  await begun.memory.change(withMemory(memoryMib))
}

/**
 * One thread stays for long rows: each would have the texts of a vector in memory. Their rows go straight into the file
 * only where memory surely suffices, because a failure there closes the database: where the file had no table. In older
 * ones DuckDB may have to write long texts again, which are not counted here.
 */
async function prepareCommit(begun: Begun, { all }: Staged): Promise<void> {
  const tables = [...all.values()]
  const mib = Math.max(0, ...tables.map(({ columns, amount }) => compressionMib(columns.size, amount)))
  await limitMemory(begun, mib)
  const areLong = tables.some(({ amount }) => hasLongVectors(amount))
  if (areLong && begun.isFirst && mib <= begun.mostMemoryMib) await begun.memory.change(COMMIT_LONG_ROWS)
  else if (tables.some(({ amount }) => amount.rows >= WORTH_THREADS_ROWS)) await begun.whileReading.restore()
}

/** Inserts what was staged since, for tables that already have rows. Returns what is left for the commit. */
async function putInRest(
  begun: Begun,
  schema: ReadonlySchema,
  { rest }: Staged,
): Promise<ReadonlyMap<string, StagedTable>> {
  const left = new Map(rest)
  for (const [name, staged] of rest) {
    if (!begun.roots.has(rootTable(schema, name)?.name ?? name)) continue
    await putIn(begun, schema, name, staged)
    left.delete(name)
  }
  return left
}

async function hasRows({ session, tables }: Begun, schema: ReadonlySchema, root: string): Promise<boolean> {
  for (const { name } of tableChain(schema, root)) {
    if (tables.get(name) !== undefined && (await hasRow(session, `SELECT 1 FROM ${session.table(name)}`))) return true
  }
  return false
}

async function ensure({ tables, shapes }: Begun, table: ReadonlyTable): Promise<void> {
  const shape = shapeOf(table)
  if (!continues(shapes.get(table.name), shape)) throw new Error('the bet is lost: the columns have changed')
  shapes.set(table.name, shape)
  await tables.ensure(table)
}

function shapeOf(table: ReadonlyTable): string[] {
  return [...table.columns.values()]
    .filter(isComplete)
    .map(column => `${column.name} ${columnType(duckdbDialect, column)}${column.nullable === false ? '' : NULLABLE}`)
}

const NULLABLE = ' NULL'

/** Whether adding columns turns a table with the columns `before` into the one that a commit would make now. */
function continues(before: readonly string[] | undefined, now: readonly string[]): boolean {
  if (before === undefined) return true
  return now.every((column, index) => (index < before.length ? column === before[index] : column.endsWith(NULLABLE)))
}

/** What a commit still has to do for its tables. Undefined if inserted rows must not stay as they are. */
async function remaining(begun: Begun, plan: CommitPlan, staged: Staged): Promise<readonly TablePlan[] | undefined> {
  if (plan.drop.length + plan.truncate.length > 0) return undefined
  for (const [name, shape] of begun.shapes) {
    const table = plan.schema.tables.get(name)
    if (table === undefined || !continues(shape, shapeOf(table))) return undefined
  }
  const open = new Set(begun.roots.keys())
  const tables: TablePlan[] = []
  for (const table of plan.tables) {
    if (open.delete(table.table)) {
      if (!(await isInsertion(begun, plan, table, staged))) return undefined
      tables.push({ table: table.table, disposition: 'append' })
    } else tables.push(table)
  }
  return open.size === 0 ? tables : undefined
}

/** Whether the commit of this table only inserts every staged row. */
async function isInsertion(
  { session, tables, roots }: Begun,
  plan: CommitPlan,
  table: TablePlan,
  staged: Staged,
): Promise<boolean> {
  if (table.disposition === 'append') return true
  if (roots.get(table.table) === 'filled' || table.strategy === 'scd2' || table.sourceFilter !== undefined) return false
  const rows = staged.all.get(table.table)
  const chain = await openChain(session, tables, plan.schema, table.table, staged.all)
  if (rows === undefined || chain === undefined) return false
  if (table.disposition === 'replace') return true
  if (keepTest(session, chain, 's') !== undefined) return false
  // Only this strategy works without a key. The commit refuses the others.
  if (chain.primaryKey.length === 0) return table.strategy === undefined || table.strategy === 'delete-insert'
  return chain.deduplicated || !(await hasDuplicates(session, rows, chain.primaryKey))
}
