import type { CommitAnew, CommitNotes, CommitPlan, Load, LoadPlan, OnStatement } from '../../model/destination.js'
import { DestinationError } from '../../model/errors.js'
import { tableChain } from '../../schema/rootKey.js'
import { applyCommit } from '../sql/applyCommit.js'
import { committedView, inspectedOnce } from '../sql/committedView.js'
import { DatasetTables } from '../sql/ddl.js'
import { toldSession } from '../sql/sqlSession.js'
import { isCommitted } from '../sql/systemStatements.js'
import { LOADS, STATES, VERSIONS } from '../systemRows.js'
import { adoptNewTables } from './adoptTables.js'
import type { PostgresAddress } from './postgresAddress.js'
import { GOODBYE_MS, type PostgresClient } from './postgresClient.js'
import { lockDataset } from './postgresLocks.js'
import { inTransaction, postgresSession } from './postgresSession.js'
import { BEGIN, openStaging } from './postgresStaging.js'

/** The default `work_mem` is small. A merge sorts and joins more than usual queries. */
const WORK_MEMORY = `SELECT pg_catalog.set_config('work_mem', '64MB', true) WHERE pg_catalog.pg_size_bytes(pg_catalog.current_setting('work_mem')) < 67108864`

/** A load in its own session. Its rows become visible at the end of one transaction. Calls `unlock` once. */
export function postgresLoad(
  client: PostgresClient,
  address: PostgresAddress,
  dataset: string,
  plan: LoadPlan,
  unlock: () => Promise<void>,
  signal: AbortSignal | undefined,
  onStatement: OnStatement | undefined,
): Load {
  const staging = openStaging(client, address, dataset, plan.loadId)
  let ended: Promise<void> | undefined
  const end = (): Promise<void> => {
    ended ??= finish()
    return ended
  }
  const finish = async (): Promise<void> => {
    // Rows still being sent are no longer needed.
    if (await isBusy(staging.settle())) client.destroy()
    else {
      if (staging.inTransaction) await client.rollBack()
      await unlock()
    }
    await client.end()
  }
  let done: Pick<CommitNotes, 'deleted' | 'changes'> | undefined
  return {
    async stage(batch, schema) {
      signal?.throwIfAborted()
      if (ended !== undefined) throw new Error('stage after the end of the load')
      if (client.lost !== undefined) throw client.failure(client.lost, `staging rows of ${batch.table}`)
      await staging.add(batch, schema).catch(error => {
        throw client.failure(error, `staging rows of ${batch.table}`)
      })
    },
    async commit(final, anew) {
      if (ended !== undefined) return
      signal?.throwIfAborted()
      try {
        await staging.settle()
        await commit(final, anew)
      } catch (error) {
        throw client.failure(await explained(error), `committing load ${plan.loadId}`)
      }
      // The load is committed. A session that cannot be closed in order ends with the connection.
      await end().catch(() => {})
    },
    abort: end,
    notes: () => ({ ...done }),
  }

  async function commit(planned: CommitPlan, anew: CommitAnew | undefined): Promise<void> {
    const session = toldSession(postgresSession(client, dataset), onStatement)
    await inTransaction(client, staging.inTransaction ? undefined : BEGIN, async () => {
      // The lock of the pipeline belongs to the session that took it.
      await client.checkSession()
      await lockDataset(client, address, dataset)
      const before = inspectedOnce(session)
      const final = anew === undefined ? planned : await anew(committedView(before, [plan.loadId]))
      await client.query(WORK_MEMORY)
      await session.createDataset()
      const tables = await DatasetTables.inspect(before)
      if (!(await isCommitted(session, tables, plan.loadId))) {
        await refuseDetours(client, address, dataset, final)
        const staged = await staging.relations(session, final.schema)
        const left = await adoptNewTables({ session, dataset, tables, staging }, final, staged)
        done = await applyCommit(session, plan, left, staged, tables.tally)
      }
      if (staging.newSchema !== undefined) await client.query(`DROP SCHEMA ${staging.newSchema} CASCADE`)
      signal?.throwIfAborted()
    })
  }

  /** For a lock timeout: names the sessions that hold tables of the dataset. */
  async function explained(error: unknown): Promise<unknown> {
    if ((error as { readonly code?: unknown }).code !== '55P03') return error
    const asking = client.query(HOLDERS, [dataset])
    const { rows } = await client.within(GOODBYE_MS, asking).catch(() => ({ rows: [] }))
    const holders = rows.map(
      ([pid, application, state]) => `process ${pid} (${[application, state].filter(Boolean).join(', ')})`,
    )
    if (holders.length === 0) return error
    return Object.assign(new Error((error as Error).message), { code: '55P03', detail: holders.join('; ') })
  }
}

/** Views may hide rows, and rules may do something else instead: rows would be lost or doubled without a word. */
async function refuseDetours(
  client: PostgresClient,
  { name: destination }: PostgresAddress,
  dataset: string,
  { schema, tables }: CommitPlan,
): Promise<void> {
  const written = new Set([LOADS.name, VERSIONS.name, STATES.name])
  for (const { table } of tables) for (const { name } of tableChain(schema, table)) written.add(name)
  const { rows } = await client.query(DETOURS, [dataset])
  const [table, rule] = rows.find(([name]) => written.has(name ?? '')) ?? []
  if (table === undefined) return
  const why =
    rule === null
      ? 'is a view, which may hide rows from a load; rename it'
      : `has the rule ${rule}, which does something else instead of what a load asks for; drop the rule`
  throw new DestinationError(
    'destination',
    `${destination}: ${dataset}.${table} ${why}, or load into a new dataset. Nothing was changed`,
    { destination },
  )
}

const DETOURS = `SELECT c.relname, r.rulename
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_rewrite AS r
  ON r.ev_class = c.oid AND r.ev_type <> '1' AND r.is_instead AND r.ev_enabled <> 'D'
WHERE n.nspname = $1 AND (c.relkind IN ('v', 'm') OR r.rulename IS NOT NULL)`

/** Sessions that hold a table of the dataset. */
const HOLDERS = `SELECT DISTINCT l.pid, a.application_name, a.state
FROM pg_catalog.pg_locks AS l
JOIN pg_catalog.pg_class AS c ON c.oid = l.relation
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = l.pid
WHERE l.granted AND n.nspname = $1 AND l.pid <> pg_catalog.pg_backend_pid()
  AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
ORDER BY l.pid LIMIT 5`

async function isBusy(work: Promise<void>): Promise<boolean> {
  return await Promise.race([
    work.then(
      () => false,
      () => false,
    ),
    new Promise<boolean>(resolve => setImmediate(resolve, true)),
  ])
}
