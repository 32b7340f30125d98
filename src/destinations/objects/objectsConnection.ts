import { createHash } from 'node:crypto'
import type { CommittedView, Connection, InspectedColumn, Load } from '../../model/destination.js'
import { DestinationError } from '../../model/errors.js'
import type { ReadonlyColumn } from '../../schema/schemaTypes.js'
import { openMemory } from '../duckdb/database.js'
import { duckdbDialect } from '../duckdb/duckdbDialect.js'
import { openStagingFolder } from '../duckdb/duckdbStaging.js'
import { columnType } from '../sql/ddl.js'
import { attemptObjects } from './dataset/attemptObjects.js'
import { dropChanges } from './dataset/changes.js'
import { type CommittedTable, datasetReader, type Snapshot } from './dataset/committedDataset.js'
import { clearUp, writeCommit } from './dataset/writeCommit.js'
import type { EncodingOptions } from './format/fileEncoding.js'
import { type Layout, microsecondsOf, segment } from './format/layout.js'
import { filesError, filesLoad, loadFolder, newestCommit } from './objectsLoad.js'
import { countRows, exportParquet, exportStatement, queryTables, readTable } from './readTable.js'
import { keysUnder, mapLimited, type Storage } from './storage/storage.js'

/** Pipelines that this process is loading, by place and pipeline. The commit refuses other processes. */
const held = new Set<string>()

/** Requests at once. */
const READS_AT_ONCE = 16

export interface FilesSettings {
  readonly layout: Layout
  readonly encoding: EncodingOptions
}

/** A connection to one dataset. `storage` starts at its folder and closes with the connection. */
export async function filesConnection(
  storage: Storage,
  dataset: string,
  { layout, encoding }: FilesSettings,
  signal: AbortSignal | undefined,
): Promise<Connection> {
  const loads = new Set<Load>()
  const reader = datasetReader(storage, layout)
  const database = await openMemory(storage.place)
  const explained = async <T>(doing: string, work: () => Promise<T>): Promise<T> => {
    try {
      return await work()
    } catch (error) {
      throw filesError(error, storage.place, doing)
    }
  }

  const inspectedIn = async (snapshot: Snapshot, isThere: (table: CommittedTable) => Promise<boolean>) => {
    const present = await mapLimited([...snapshot.tables.values()], READS_AT_ONCE, async table =>
      (await isThere(table)) ? [table] : [],
    )
    const tables = [...present.flat(), ...(await reader.system(snapshot, 1))]
    return new Map(
      tables.map(({ name, columns }) => [name, new Map(columns.map(column => [column.name, inspected(column)]))]),
    )
  }

  const viewOf = (snapshot: Snapshot): CommittedView => ({
    ...connection,
    committed: (pipeline, schemaName) => reader.committed(pipeline, schemaName, snapshot),
    pipelines: () => reader.pipelines(snapshot),
    // Whether files were removed by hand was looked at when the load began.
    inspect: () => inspectedIn(snapshot, async () => true),
  })

  const connection: Connection = {
    dataset,
    async committed(pipeline, schemaName) {
      return await explained('reading the stored state', () => reader.committed(pipeline, schemaName))
    },
    async hasLoad(loadId) {
      return await explained('reading the loads', async () => (await reader.record(loadId))?.status === 0)
    },
    async pipelines() {
      return await explained('reading the pipelines', () => reader.pipelines())
    },
    async begin(plan) {
      const key = `${storage.place}\0${plan.pipeline}`
      if (held.has(key)) {
        throw new DestinationError(
          'destination_locked',
          `Pipeline ${plan.pipeline} is being loaded into ${storage.place} already; wait for that run to end`,
          { destination: storage.place, transient: true },
        )
      }
      held.add(key)
      try {
        const drafts = digest(key)
        const drafting: Storage = {
          ...storage,
          put: (name, content, put) => storage.put(name, content, { ...put, drafts }),
        }
        await storage.clearDrafts(drafts)
        await clearUp(drafting, reader, plan)
        const begunAfter = newestCommit(await reader.snapshot(), plan.pipeline)
        const folder = loadFolder(await storage.stagingDir(), drafts)
        const load = filesLoad(plan, {
          storage: drafting,
          reader,
          layout,
          encoding,
          database,
          staging: await openStagingFolder(folder),
          folder,
          begunAfter,
          viewOf,
          signal,
          clear: () => storage.clearDrafts(drafts),
          release() {
            loads.delete(load)
            held.delete(key)
          },
        })
        loads.add(load)
        return load
      } catch (error) {
        held.delete(key)
        throw filesError(error, storage.place, 'beginning a load')
      }
    },
    async inspect() {
      return await explained('reading the tables', async () =>
        inspectedIn(await reader.snapshot(), table => hasFiles(storage, table)),
      )
    },
    async *read(query) {
      try {
        yield* readTable(storage, reader, dataset, query)
      } catch (error) {
        throw filesError(error, storage.place, `reading table ${query.table}`)
      }
    },
    async *query(statement) {
      try {
        yield* queryTables(storage, reader, dataset, statement, signal)
      } catch (error) {
        signal?.throwIfAborted()
        throw filesError(error, storage.place, 'running the query')
      }
    },
    async queryToParquet(statement, path) {
      try {
        return await exportStatement(storage, reader, dataset, statement, path, signal)
      } catch (error) {
        signal?.throwIfAborted()
        throw filesError(error, storage.place, 'running the query')
      }
    },
    async count(table) {
      return await explained(`counting table ${table}`, () => countRows(storage, reader, dataset, table))
    },
    async writeParquet(query, path) {
      return await explained(`writing table ${query.table} into ${path}`, () =>
        exportParquet(storage, reader, dataset, query, path),
      )
    },
    attempts: attemptObjects(storage, work => explained('writing the windows', () => database.exclusively(work))),
    async drop(plan) {
      await explained('dropping tables', () =>
        database.exclusively(async () => {
          const snapshot = await reader.snapshot()
          const { tables, schema, state, otherStates, loadId } = await plan({
            ...viewOf(snapshot),
            inspect: () => inspectedIn(snapshot, table => hasFiles(storage, table)),
          })
          if (snapshot.complete.has(segment(loadId))) return
          await writeCommit(storage, reader, layout, snapshot, {
            load: { loadId, pipeline: state.pipeline_name },
            plan: { schema, state, otherStates, receipts: [], committedAt: microsecondsOf(loadId) },
            changes: dropChanges(snapshot, tables, { schema, state, otherStates }),
            files: [],
          })
        }),
      )
    },
    async [Symbol.asyncDispose]() {
      for (const load of loads) await load.abort()
      await database.close()
      await storage.close()
    },
  }
  return connection
}

/**
 * Whether the files of a table are there, by its first and its last one: who removes a table by hand removes its folder.
 * Fails if only one of them is there. A table without files has no rows.
 */
async function hasFiles(storage: Storage, { name, files }: CommittedTable): Promise<boolean> {
  const ends = [files[0], files.at(-1)].flatMap(file => (file === undefined ? [] : [file.key]))
  const missing: string[] = []
  for (const key of new Set(ends)) if (!(await keysUnder(storage, key)).includes(key)) missing.push(key)
  if (missing.length === 0) return true
  const left = await mapLimited(files, READS_AT_ONCE, async ({ key }) => (await keysUnder(storage, key)).includes(key))
  if (!left.includes(true)) return false
  throw new DestinationError(
    'destination',
    `${missing[0]}, a file of table ${name}, is gone from ${storage.place}, and other files of the table are there. Put it back, or remove all files of the table: then a run loads it from the beginning`,
    { destination: storage.place },
  )
}

function inspected(column: ReadonlyColumn): InspectedColumn {
  return { type: columnType(duckdbDialect, column), nullable: column.nullable !== false }
}

/** Short and legal on every file system. */
function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16)
}
