import type { Connection, Load } from '../../core/destination.js'
import { SchemaError } from '../../core/errors.js'
import { isCommitted } from '../sql/commit.js'
import { readCommitted } from '../sql/committed.js'
import { DatasetTables } from '../sql/ddl.js'
import { applyDrop } from '../sql/drop.js'
import { numberFrom, type SqlSession } from '../sql/session.js'
import type { Address } from './address.js'
import { Clients, openClient, type PostgresClient } from './client.js'
import { postgresDialect } from './dialect.js'
import { postgresError } from './errors.js'
import { postgresLoad } from './load.js'
import { lockDataset, lockPipeline } from './lock.js'
import { atOneMoment, readRows } from './read.js'
import { inTransaction, postgresSession } from './session.js'
import { BEGIN } from './staging.js'

/** A connection to one dataset, which is a schema of the database. Sessions are opened as they are needed. */
export async function postgresConnection(
  address: Address,
  dataset: string,
  signal: AbortSignal | undefined,
): Promise<Connection> {
  // A name that the server would change is refused now, not in the middle of a load.
  postgresDialect.identifier(dataset)
  const clients = new Clients(address)
  const loads = new Set<Load>()
  await clients.give(await clients.take())

  const withClient = async <T>(doing: string, work: (client: PostgresClient) => Promise<T>): Promise<T> => {
    const client = await clients.take()
    try {
      return await work(client)
    } catch (error) {
      throw postgresError(client.lost ?? error, address.name, doing)
    } finally {
      await clients.give(client)
    }
  }
  const reading = async <T>(doing: string, work: (session: SqlSession) => Promise<T>): Promise<T> =>
    await withClient(doing, client => atOneMoment(client, () => work(postgresSession(client, dataset))))

  return {
    dataset,
    async committed(pipeline, schemaName) {
      return await reading('reading the stored state', session => readCommitted(session, pipeline, schemaName))
    },
    async hasLoad(loadId) {
      return await reading('reading the loads', async session =>
        isCommitted(session, await DatasetTables.inspect(session), loadId),
      )
    },
    async begin(plan) {
      signal?.throwIfAborted()
      const client = await openClient(address, `sluice ${plan.pipeline}`.slice(0, 63))
      try {
        const unlock = await lockPipeline(client, address.name, dataset, plan.pipeline)
        const load = postgresLoad(client, address, dataset, plan, unlock, signal)
        loads.add(load)
        return load
      } catch (error) {
        await client.end()
        throw postgresError(error, address.name, 'taking the lock of the pipeline')
      }
    },
    async inspect() {
      return await reading('reading the tables', session => session.inspect())
    },
    async *read(query) {
      const client = await clients.take()
      try {
        yield* readRows(client, dataset, query)
      } catch (error) {
        throw postgresError(client.lost ?? error, address.name, `reading table ${query.table}`)
      } finally {
        await clients.give(client)
      }
    },
    async count(table) {
      return await reading(`counting table ${table}`, async session => {
        if ((await session.inspect()).get(table) === undefined) {
          throw new SchemaError('schema', `Dataset ${dataset} has no table ${table}`, { table })
        }
        return await numberFrom(session, `SELECT count(*) FROM ${session.table(table)}`)
      })
    },
    async drop(names, next) {
      await withClient('dropping tables', client =>
        inTransaction(client, BEGIN, async () => {
          await lockDataset(client, dataset)
          await client.query(`SELECT pg_catalog.set_config('lock_timeout', $1, true)`, [String(address.lockTimeoutMs)])
          await applyDrop(postgresSession(client, dataset), names, next)
        }),
      )
    },
    async [Symbol.asyncDispose]() {
      for (const load of loads) await load.abort()
      await clients.close()
    },
  }
}
