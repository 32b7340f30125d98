import { createHash } from 'node:crypto'
import { readdir, rm, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { DuckDBConnection } from '@duckdb/node-api'
import type { Connection, Load, LoadPlan } from '../../model/destination.js'
import { SchemaError } from '../../model/errors.js'
import { HeldPipelines } from '../heldPipelines.js'
import { applyDrop } from '../sql/applyCommit.js'
import { DatasetTables } from '../sql/ddl.js'
import { numberFrom, type SqlSession } from '../sql/sqlSession.js'
import { isCommitted, readCommitted, readPipelines } from '../sql/systemStatements.js'
import { ToldStates } from '../sql/toldStates.js'
import { windowAttempts } from '../sql/windowAttempts.js'
import type { Database } from './database.js'
import { commitTogether, type DuckdbLoad, duckdbLoad } from './duckdbLoad.js'
import { queryRows, queryToParquet } from './duckdbQuery.js'
import { readRows, writeParquet } from './duckdbRead.js'
import { duckdbSession, inTransaction } from './duckdbSession.js'
import { openHoldingFolder, openStagingFolder, type StagingFolder } from './duckdbStaging.js'

/** DuckDB locks out other processes. */
const held = new HeldPipelines()

/** A connection to one dataset. `stagingRoot` returns the folder for staged rows. */
export function duckdbConnection(
  database: Database,
  dataset: string,
  stagingRoot: () => string | Promise<string>,
  signal: AbortSignal | undefined,
): Connection {
  /** Those that have not ended. */
  const loads = new Map<Load, DuckdbLoad>()
  const told = new ToldStates()
  /** The folder for the rows of parts, and the names that it had. */
  let parts: Promise<{ readonly root: string; readonly left: Set<string> }> | undefined

  const openPart = async (name: string): Promise<StagingFolder> => {
    parts ??= Promise.resolve(stagingRoot()).then(async root => ({
      root,
      left: new Set(await readdir(root).catch(() => [])),
    }))
    const { root, left } = await parts
    if (left.delete(name)) await rm(join(root, name), { recursive: true, force: true })
    return openHoldingFolder(join(root, name))
  }

  const withConnection = async <T>(
    doing: string,
    work: (connection: DuckDBConnection) => Promise<T>,
    at?: string,
  ): Promise<T> => {
    try {
      const connection = await database.connect()
      try {
        return await work(connection)
      } finally {
        connection.closeSync()
      }
    } catch (error) {
      throw database.explain(error, doing, at)
    }
  }
  const withSession = async <T>(doing: string, work: (session: SqlSession) => Promise<T>): Promise<T> =>
    await withConnection(
      doing,
      async connection => await work(await duckdbSession(connection, dataset, database.dialect)),
    )

  return {
    dataset,
    async committed(pipeline, schemaName) {
      const committed = await withSession('reading the stored state', session =>
        readCommitted(session, pipeline, schemaName),
      )
      told.add(pipeline, schemaName, committed)
      return committed
    },
    async hasLoad(loadId) {
      return await withSession('reading the loads', async session =>
        isCommitted(session, await DatasetTables.inspect(session), loadId),
      )
    },
    async pipelines() {
      return await withSession('reading the pipelines', readPipelines)
    },
    async begin(plan, onStatement) {
      const letGo = held.take(database.place, dataset, plan)
      try {
        const name = folderName(dataset, plan)
        const folder =
          plan.part === undefined ? await openStagingFolder(join(await stagingRoot(), name)) : await openPart(name)
        const load = duckdbLoad(
          database,
          dataset,
          plan,
          told.take(plan, database.place),
          folder,
          () => {
            loads.delete(load)
            letGo()
          },
          signal,
          onStatement,
        )
        loads.set(load, load)
        return load
      } catch (error) {
        letGo()
        throw database.explain(error, 'creating its staging folder')
      }
    },
    async commitTogether(all) {
      const own = all.map(({ load, ...rest }) => {
        const ours = loads.get(load)
        if (ours === undefined) throw new Error('a load that has ended, or of another connection')
        return { ...rest, load: ours }
      })
      await commitTogether(database, dataset, own, signal)
    },
    async inspect() {
      return await withSession('reading the tables', session => session.inspect())
    },
    async *read(query) {
      const connection = await database.connect()
      try {
        yield* readRows(connection, dataset, query)
      } catch (error) {
        throw database.explain(error, `reading table ${query.table}`)
      } finally {
        connection.closeSync()
      }
    },
    async count(table) {
      return await withSession(`counting table ${table}`, async session => {
        if ((await DatasetTables.inspect(session)).get(table) === undefined) {
          throw new SchemaError('schema', `Dataset ${dataset} has no table ${table}`, { table })
        }
        return await numberFrom(session, `SELECT count(*) FROM ${session.table(table)}`)
      })
    },
    async *query(statement) {
      const connection = await database.connect()
      try {
        yield* queryRows(connection, dataset, statement, signal)
      } catch (error) {
        signal?.throwIfAborted()
        throw database.explain(error, 'running the query')
      } finally {
        connection.closeSync()
      }
    },
    async queryToParquet(statement, path) {
      try {
        return await withConnection(
          'running the query',
          connection => queryToParquet(connection, dataset, statement, path, signal),
          path,
        )
      } catch (error) {
        signal?.throwIfAborted()
        throw error
      }
    },
    async writeParquet(query, path) {
      return await withConnection(
        `writing table ${query.table} into ${path}`,
        connection => writeParquet(connection, dataset, query, path),
        path,
      )
    },
    attempts: windowAttempts(
      work => withSession('reading the windows', work),
      work =>
        database.exclusively(() =>
          withConnection('writing the windows', async connection => {
            const session = await duckdbSession(connection, dataset, database.dialect)
            return await inTransaction(connection, () => work(session))
          }),
        ),
    ),
    async drop(plan) {
      await database.exclusively(() =>
        withConnection('dropping tables', async connection => {
          const session = await duckdbSession(connection, dataset, database.dialect)
          await inTransaction(connection, async () => {
            await applyDrop(session, plan)
          })
        }),
      )
    },
    async [Symbol.asyncDispose]() {
      try {
        for (const load of loads.keys()) await load.abort()
        // Other pipelines share this folder. It stays while one of them stages.
        await parts?.then(({ root }) => rmdir(root)).catch(() => {})
      } finally {
        await database.close()
      }
    },
  }
}

/** Short, legal on every file system, and different for each pipeline, part and dataset. */
function folderName(dataset: string, { pipeline, part }: LoadPlan): string {
  const names = part === undefined ? [dataset, pipeline] : [dataset, pipeline, part]
  return createHash('sha256').update(names.join('\0')).digest('hex').slice(0, 16)
}
