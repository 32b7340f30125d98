import type { CommitPlan, Committed, LoadPlan } from '../../model/destination.js'
import { decodeState, type PipelineState } from '../../model/pipelineState.js'
import type { ReadonlySchema, ReadonlyTable } from '../../schema/schemaTypes.js'
import { inflatedText } from '../../schema/stored/document.js'
import {
  columnsOf,
  LOADS,
  RECEIPTS,
  STATES,
  type SystemRow,
  systemRows,
  VERSIONS,
  versionRow,
  WINDOWS,
} from '../systemRows.js'
import type { DatasetTables } from './ddl.js'
import type { SqlSession, SqlValue } from './sqlSession.js'

/** Where transactions can overlap: one row, which each of a kind changes. dlt ignores such a table too. */
export function turnsTable(name: string): ReadonlyTable {
  return { name, columns: columnsOf([['load_id', 'text']]) }
}

/** Of commits. The row names the newest load. */
export const TURNS = turnsTable('_sluice_turns')

/** Makes this transaction conflict with every other one that takes a turn in the table. */
export async function takeTurn(
  session: SqlSession,
  tables: DatasetTables,
  turns: ReadonlyTable,
  loadId = '',
): Promise<void> {
  if (!session.dialect.letsCommitsOverlap) return
  await tables.ensure(turns)
  const changed = await session.run(`UPDATE ${session.table(turns.name)} SET load_id = $1`, [loadId])
  if (changed === 0) await insertRows(session, turns, [{ load_id: loadId }])
}

/** Creates the missing system tables that a commit writes to. */
export async function ensureSystemTables(tables: DatasetTables, plan: CommitPlan): Promise<void> {
  for (const table of [VERSIONS, LOADS, RECEIPTS]) await tables.ensure(table)
  if (plan.state !== undefined || (plan.otherStates ?? []).length > 0) await tables.ensure(STATES)
  if (plan.window !== undefined) await tables.ensure(WINDOWS)
}

/** A load whose rows are written. */
export interface CommittedLoad {
  readonly load: LoadPlan
  readonly plan: CommitPlan
}

/** Writes all system rows of loads that one transaction commits. */
export async function writeSystemRows(session: SqlSession, loads: readonly CommittedLoad[]): Promise<void> {
  for (const { plan } of loads) {
    if (plan.drop.length > 0 || plan.forgetSchema === true) await forgetSchemaVersions(session, plan.schema.name)
  }
  const schemas = new Map(loads.map(({ plan }) => [JSON.stringify([plan.schema.name, plan.schema.version_hash]), plan]))
  for (const { schema, committedAt } of schemas.values()) await writeSchemaVersion(session, schema, committedAt)
  for (const { load, plan } of loads) await forgetNewerStates(session, plan.otherStates ?? [], load.loadId)
  const rows = loads.map(({ load, plan }) => systemRows(load, plan))
  await insertRows(
    session,
    STATES,
    rows.flatMap(({ states }) => states),
  )
  await insertRows(
    session,
    RECEIPTS,
    rows.flatMap(({ receipts }) => receipts),
  )
  await insertRows(
    session,
    WINDOWS,
    rows.flatMap(({ windows }) => windows),
  )
  await insertRows(
    session,
    LOADS,
    rows.flatMap(one => one.loads),
  )
}

/** Which of the loads are in the table of completed loads. */
export async function committedOf(
  session: SqlSession,
  tables: DatasetTables,
  loadIds: readonly string[],
): Promise<ReadonlySet<string>> {
  if (tables.get(LOADS.name) === undefined) return new Set()
  const places = loadIds.map((_, index) => `$${index + 1}`)
  const rows = await session.rows(
    `SELECT DISTINCT load_id FROM ${session.table(LOADS.name)} WHERE load_id IN (${places.join(', ')}) AND status = 0`,
    loadIds,
  )
  return new Set(rows.map(([loadId]) => String(loadId)))
}

/** Whether the load is in the table of completed loads. */
export async function isCommitted(session: SqlSession, tables: DatasetTables, loadId: string): Promise<boolean> {
  return (await committedOf(session, tables, [loadId])).has(loadId)
}

/** As dlt does, adds a row for the schema unless its hash is there. The load's row names the hash. */
export async function writeSchemaVersion(session: SqlSession, schema: ReadonlySchema, at: bigint): Promise<void> {
  const known = await session.rows(
    `SELECT 1 FROM ${session.table(VERSIONS.name)} WHERE schema_name = $1 AND version_hash = $2 LIMIT 1`,
    [schema.name, schema.version_hash],
  )
  if (known.length > 0) return
  await insertRows(session, VERSIONS, [versionRow(schema, at)])
}

/** For dlt, a known hash means that all tables exist. So a drop must remove all versions. */
export async function forgetSchemaVersions(session: SqlSession, schemaName: string): Promise<void> {
  await session.run(`DELETE FROM ${session.table(VERSIONS.name)} WHERE schema_name = $1`, [schemaName])
}

/** The newest load id counts, so that the states of others that are newer have to go. */
export async function forgetNewerStates(
  session: SqlSession,
  others: readonly PipelineState[],
  loadId: string,
): Promise<void> {
  for (const { pipeline_name: pipeline } of others) {
    await session.run(`DELETE FROM ${session.table(STATES.name)} WHERE pipeline_name = $1 AND _dlt_load_id > $2`, [
      pipeline,
      loadId,
    ])
  }
}

/** Engines take some ten thousand values in a statement. */
const ROWS_A_STATEMENT = 100

/**
 * Inserts rows that have the columns of the first one. Points of time are given as microseconds and become literals. Other
 * values are bound.
 */
export async function insertRows(session: SqlSession, table: ReadonlyTable, rows: readonly SystemRow[]): Promise<void> {
  const { identifier, timestamp } = session.dialect
  const columns = Object.keys(rows[0] ?? {})
  for (let from = 0; from < rows.length; from += ROWS_A_STATEMENT) {
    const values: SqlValue[] = []
    const written = rows.slice(from, from + ROWS_A_STATEMENT).map(row => {
      const expressions = columns.map(name => {
        const value = row[name] ?? null
        if (table.columns.get(name)?.data_type === 'timestamp' && typeof value === 'bigint')
          return timestamp(value, true)
        return `$${values.push(value)}`
      })
      return `(${expressions.join(', ')})`
    })
    const names = columns.map(identifier).join(', ')
    await session.run(`INSERT INTO ${session.table(table.name)} (${names}) VALUES ${written.join(', ')}`, values)
  }
}

/** Implements `pipelines` of a connection. */
export async function readPipelines(session: SqlSession): Promise<readonly string[]> {
  if (!(await session.inspect()).has(STATES.name)) return []
  const rows = await session.rows(`SELECT DISTINCT pipeline_name FROM ${session.table(STATES.name)}`)
  return rows.map(([pipeline]) => String(pipeline))
}

/**
 * What the last load committed: the newest state of a complete load, and the schema of the newest load with the name,
 * else the one stored last. A schema that was used again has only its old row. Also reads datasets that dlt wrote.
 * Undefined if there is neither.
 */
export async function readCommitted(
  session: SqlSession,
  pipeline: string,
  schemaName: string,
): Promise<Committed | undefined> {
  const tables = await session.inspect()
  if (!tables.has(LOADS.name)) return undefined
  const { sql, values } = committedStatement(session, tables, pipeline, schemaName)
  const [[newest, schema, state, loadId] = []] = await session.rows(sql, values)
  if (typeof state !== 'string' && typeof schema !== 'string') return undefined
  return {
    loadId: textOr(newest) ?? textOr(loadId),
    state: typeof state === 'string' ? decodeState(state) : undefined,
    schema: typeof schema === 'string' ? inflatedText(schema) : undefined,
    tables,
  }
}

/** One statement: each takes a way to the server, and time to plan. */
function committedStatement(
  session: SqlSession,
  tables: ReadonlyMap<string, unknown>,
  pipeline: string,
  schemaName: string,
): { readonly sql: string; readonly values: readonly SqlValue[] } {
  const loads = session.table(LOADS.name)
  const values: SqlValue[] = []
  const placeholder = (value: string): string => `$${values.push(value)}`
  const name = placeholder(schemaName)
  const schemas = tables.has(VERSIONS.name)
    ? `SELECT v.schema
    FROM ${session.table(VERSIONS.name)} AS v
    WHERE v.schema_name = ${name}
    ORDER BY CASE WHEN v.version_hash = (
      SELECT schema_version_hash FROM ${loads}
      WHERE status = 0 AND schema_name = ${name}
      ORDER BY load_id DESC LIMIT 1
    ) THEN 0 ELSE 1 END, v.inserted_at DESC
    LIMIT 1`
    : 'SELECT NULL AS schema'
  const states = tables.has(STATES.name)
    ? `SELECT s.state, s._dlt_load_id
    FROM ${session.table(STATES.name)} AS s
    JOIN ${loads} AS l ON l.load_id = s._dlt_load_id
    WHERE s.pipeline_name = ${placeholder(pipeline)} AND l.status = 0
    ORDER BY l.load_id DESC
    LIMIT 1`
    : 'SELECT NULL AS state, NULL AS _dlt_load_id'
  const sql = `SELECT newest.load_id, schemas.schema, states.state, states._dlt_load_id
  FROM (SELECT max(load_id) AS load_id FROM ${loads} WHERE status = 0 AND schema_name = ${name}) AS newest
  LEFT JOIN (${schemas}) AS schemas ON TRUE
  LEFT JOIN (${states}) AS states ON TRUE`
  return { sql, values }
}

function textOr(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}
