import type { Connection, Load } from '../../model/destination.js'
import { SchemaError } from '../../model/errors.js'
import { applyDrop } from '../sql/applyCommit.js'
import { DatasetTables } from '../sql/ddl.js'
import { numberFrom, type SqlSession } from '../sql/sqlSession.js'
import { isCommitted, readCommitted, readPipelines } from '../sql/systemStatements.js'
import { ToldStates } from '../sql/toldStates.js'
import { windowAttempts } from '../sql/windowAttempts.js'
import type { PostgresAddress } from './postgresAddress.js'
import { Clients, openClient, type PostgresClient } from './postgresClient.js'
import { postgresDialect } from './postgresDialect.js'
import { postgresLoad } from './postgresLoad.js'
import { lockDataset, lockPipeline } from './postgresLocks.js'
import { queryRows, queryToParquet } from './postgresQuery.js'
import { atOneMoment, readRows } from './postgresRead.js'
import { inTransaction, postgresSession } from './postgresSession.js'
import { BEGIN } from './postgresStaging.js'

/** A connection to one dataset, which is a schema of the database. Opens sessions when needed. */
export async function postgresConnection(
  address: PostgresAddress,
  dataset: string,
  signal: AbortSignal | undefined,
): Promise<Connection> {
  // Refuses a name that the server would change now, not in the middle of a load.
  postgresDialect.identifier(dataset)
  const clients = new Clients(address, signal)
  const loads = new Set<Load>()
  const told = new ToldStates()
  await clients.give(await clients.take())

  const withClient = async <T>(doing: string, work: (client: PostgresClient) => Promise<T>): Promise<T> => {
    const client = await clients.take()
    try {
      return await work(client)
    } catch (error) {
      throw client.failure(error, doing)
    } finally {
      await clients.give(client)
    }
  }
  const reading = async <T>(doing: string, work: (session: SqlSession) => Promise<T>): Promise<T> =>
    await withClient(doing, client => atOneMoment(client, () => work(postgresSession(client, dataset))))

  return {
    dataset,
    async committed(pipeline, schemaName) {
      const committed = await reading('reading the stored state', session =>
        readCommitted(session, pipeline, schemaName),
      )
      told.add(pipeline, schemaName, committed)
      return committed
    },
    async hasLoad(loadId) {
      return await reading('reading the loads', async session =>
        isCommitted(session, await DatasetTables.inspect(session), loadId),
      )
    },
    async pipelines() {
      return await reading('reading the pipelines', readPipelines)
    },
    async begin(plan, onStatement) {
      const expectUnchanged = told.take(plan, address.name)
      const client = await openClient(address, `sluice ${plan.pipeline}`.slice(0, 63), signal)
      try {
        const unlock = await lockPipeline(client, address, dataset, plan)
        await atOneMoment(client, () => expectUnchanged(postgresSession(client, dataset)))
        const load = postgresLoad(client, address, dataset, plan, unlock, signal, onStatement)
        loads.add(load)
        return load
      } catch (error) {
        await client.end()
        throw client.failure(error, 'taking the lock of the pipeline')
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
        throw client.failure(error, `reading table ${query.table}`)
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
    async *query(statement) {
      const client = await clients.take()
      try {
        yield* queryRows(client, dataset, statement)
      } catch (error) {
        throw client.failure(error, 'running the query')
      } finally {
        // A query may have changed settings of its session.
        await client.end()
      }
    },
    async queryToParquet(statement, path) {
      const client = await clients.take()
      try {
        return await queryToParquet(client, dataset, statement, path)
      } catch (error) {
        throw client.failure(error, 'running the query')
      } finally {
        await client.end()
      }
    },
    attempts: windowAttempts(
      work => reading('reading the windows', work),
      work =>
        withClient('writing the windows', client =>
          inTransaction(client, BEGIN, async () => {
            await lockDataset(client, address, dataset)
            return await work(postgresSession(client, dataset))
          }),
        ),
    ),
    async drop(plan) {
      await withClient('dropping tables', client =>
        inTransaction(client, BEGIN, async () => {
          await lockDataset(client, address, dataset)
          await applyDrop(postgresSession(client, dataset), plan)
        }),
      )
    },
    async [Symbol.asyncDispose]() {
      for (const load of loads) await load.abort()
      await clients.close()
    },
  }
}
