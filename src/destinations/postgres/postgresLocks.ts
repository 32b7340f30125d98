import { createHash } from 'node:crypto'
import type { LoadPlan } from '../../model/destination.js'
import { DestinationError } from '../../model/errors.js'
import type { PostgresAddress } from './postgresAddress.js'
import { GOODBYE_MS, type PostgresClient } from './postgresClient.js'
import { inPassing } from './postgresSession.js'
import { BEGIN } from './postgresStaging.js'

/**
 * Longer than a session outlives a process killed in the middle of a statement. The server checks for it every second
 * (`client_connection_check_interval`).
 */
const WAIT_MS = 3000

/**
 * Takes the lock of a pipeline and dataset for this session, so that no other host loads the same. Waits a moment for
 * the session of a killed process. Fails with `destination_locked` and names the session that holds the lock. The
 * server releases it when the session ends.
 */
export async function lockPipeline(
  client: PostgresClient,
  { name: destination, lockTimeoutMs, connectTimeoutMs }: PostgresAddress,
  dataset: string,
  { pipeline, part }: LoadPlan,
): Promise<() => Promise<void>> {
  const key = lockKey('pipeline', dataset, pipeline)
  // Parts share the pipeline, and a load of the whole waits for all of them.
  const locks =
    part === undefined
      ? [{ how: '', key }]
      : [
          { how: '_shared', key },
          { how: '', key: lockKey('part', dataset, pipeline, part) },
        ]
  const waitMs = lockTimeoutMs === 0 ? WAIT_MS : Math.min(lockTimeoutMs, WAIT_MS)
  try {
    // The timeout belongs to the transaction, the lock to the session.
    const locking = inPassing(client, BEGIN, async () => {
      await client.checkSession()
      await refuseReadOnly(client)
      await client.query(`SELECT pg_catalog.set_config('lock_timeout', $1, true)`, [String(waitMs)])
      for (const lock of locks) await client.query(`SELECT pg_catalog.pg_advisory_lock${lock.how}($1)`, [lock.key])
    })
    await client.within(connectTimeoutMs === 0 ? 0 : waitMs + connectTimeoutMs, locking)
  } catch (error) {
    if ((error as { readonly code?: unknown }).code !== '55P03') throw error
    throw new DestinationError(
      'destination_locked',
      `Pipeline ${pipeline} is being loaded into ${destination} already, by ${await client.within(GOODBYE_MS, holderOf(client, key))}; wait for that run to end`,
      { destination, transient: true },
    )
  }
  return async () => {
    for (const lock of locks.toReversed()) {
      const unlocking = client.query(`SELECT pg_catalog.pg_advisory_unlock${lock.how}($1)`, [lock.key])
      await client.within(GOODBYE_MS, unlocking).catch(() => {})
    }
  }
}

/**
 * Waits until no other load commits into the dataset, and holds the lock to the end of the transaction, which waits no
 * longer than `lockTimeoutMs` for a table. Rows that a policy hides are an error there: they would stay where all are
 * deleted, and come a second time where they are merged.
 */
export async function lockDataset(
  client: PostgresClient,
  { lockTimeoutMs }: PostgresAddress,
  dataset: string,
): Promise<void> {
  await client.query('SELECT pg_catalog.pg_advisory_xact_lock($1)', [lockKey('dataset', dataset)])
  await client.query(
    `SELECT pg_catalog.set_config('lock_timeout', $1, true), pg_catalog.set_config('row_security', 'off', true)`,
    [String(lockTimeoutMs)],
  )
}

/** Whoever made transactions of a role only read did not want it to load. Fails now, not at the first row. */
async function refuseReadOnly(client: PostgresClient): Promise<void> {
  const { rows } = await client.query("SELECT pg_catalog.current_setting('transaction_read_only')")
  if (rows[0]?.[0] === 'on') throw Object.assign(new Error('transactions only read'), { code: '25006' })
}

function lockKey(...parts: readonly string[]): bigint {
  return createHash('sha256')
    .update(['sluice', ...parts].join('\0'))
    .digest()
    .readBigInt64BE()
}

async function holderOf(client: PostgresClient, key: bigint): Promise<string> {
  const { rows } = await client.query(
    `SELECT l.pid, to_char(a.backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), host(a.client_addr)
     FROM pg_catalog.pg_locks AS l LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = l.pid
     WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted
       AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
       AND ((l.classid::bigint << 32) | l.objid::bigint) = $1`,
    [key],
  )
  const [pid, start, address] = rows[0] ?? []
  if (pid === undefined) return 'a session that has just ended'
  return `server process ${pid}${start === null || start === undefined ? '' : ` since ${start}`}${address === null || address === undefined ? '' : ` from ${address}`}`
}
