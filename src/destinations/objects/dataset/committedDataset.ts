import { parseJson } from '../../../json/parse.js'
import type { Committed } from '../../../model/destination.js'
import type { ReadonlyColumn, ReadonlyTable } from '../../../schema/schema.js'
import { readSchema } from '../../../schema/stored/document.js'
import { LOADS, RECEIPTS, STATES, VERSIONS } from '../../sql/systemRows.js'
import { formatOfExtension } from '../format/formats.js'
import type { Layout } from '../format/layout.js'
import { segment } from '../format/layout.js'
import { mapLimited, type Storage } from '../storage/storage.js'
import { type DataFile, GIVEN_UP, type LoadRecord, readLoadRecord } from './manifest.js'
import { folders, hexOfHash, nameParts, readRow, schemaOfRow, stateOfRow } from './systemObjects.js'

/** Small objects that are read at once. */
const READS_AT_ONCE = 16

/** A table as the committed loads have left it. */
export interface CommittedTable {
  readonly name: string
  readonly columns: readonly ReadonlyColumn[]
  readonly files: readonly DataFile[]
}

/** A dataset at one moment: only what committed loads say is there. */
export interface Snapshot {
  /** Complete loads, oldest first. */
  readonly loads: readonly LoadRecord[]
  /** Loads that were given up for another process, by id. */
  readonly givenUp: ReadonlyMap<string, LoadRecord>
  readonly tables: ReadonlyMap<string, CommittedTable>
  readonly system: readonly CommittedTable[]
  /** Keys of stored schemas by schema name as it is in keys, newest first. */
  readonly versions: ReadonlyMap<string, readonly string[]>
  /** Keys of stored states by pipeline as it is in keys, newest first. */
  readonly states: ReadonlyMap<string, readonly string[]>
  readonly nextSequence: number
}

/** Reads a dataset. Records never change once they are complete, so they are read once. */
export function datasetReader(storage: Storage, layout: Layout) {
  const known = new Map<string, LoadRecord>()

  const readRecord = async (key: string): Promise<LoadRecord | undefined> => {
    const before = known.get(key)
    if (before !== undefined) return before
    const content = await storage.get(key)
    const record = content === undefined ? undefined : parsedRecord(key, content)
    if (record?.status === 0) known.set(key, record)
    return record
  }

  const snapshot = async (): Promise<Snapshot> => {
    const keys = await keysUnder(storage, `${folders.loads}/`)
    const read = await mapLimited(keys, READS_AT_ONCE, readRecord)
    const records = read.filter(record => record !== undefined)
    const loads = records.filter(record => record.status === 0).sort((a, b) => compare(a.loadId, b.loadId))
    const givenUp = new Map(records.filter(one => one.status === GIVEN_UP).map(one => [one.loadId, one] as const))
    const removed = new Set(loads.flatMap(load => load.manifest?.removed ?? []))
    const system = await systemKeys(storage, loads, removed)
    const foreign = loads.filter(load => load.manifest === undefined)
    return {
      loads,
      givenUp,
      ...system,
      system: systemTables(loads, system),
      tables: tablesOf(
        loads,
        removed,
        foreign.length === 0 ? undefined : await foreignTables(storage, layout, foreign, removed, system.versions),
      ),
      nextSequence: Math.max(0, ...loads.map(load => load.manifest?.sequence ?? 0)) + 1,
    }
  }

  return {
    snapshot,
    /** The record of a load under any schema, read anew unless it is complete. */
    async record(loadId: string): Promise<LoadRecord | undefined> {
      const end = `__${segment(loadId)}.jsonl`
      const keys = (await keysUnder(storage, `${folders.loads}/`)).filter(key => key.endsWith(end))
      const records = await mapLimited(keys, READS_AT_ONCE, readRecord)
      return records.find(record => record?.status === 0) ?? records.find(record => record !== undefined)
    },
    /** What `committed` of a connection promises. */
    async committed(pipeline: string, schemaName: string): Promise<Committed | undefined> {
      const { loads, states, versions } = await snapshot()
      const stateKey = states.get(segment(pipeline))?.[0]
      const schemaKey = versions.get(segment(schemaName))?.[0]
      const [state, schema] = await Promise.all([stateKey, schemaKey].map(key => rowAt(storage, key)))
      if (state === undefined && schema === undefined) return undefined
      return {
        loadId:
          loads.findLast(load => load.schemaName === schemaName)?.loadId ??
          (state === undefined ? undefined : String(state._dlt_load_id)),
        state: state === undefined ? undefined : stateOfRow(state),
        schema: schema === undefined ? undefined : schemaOfRow(schema),
      }
    },
  }
}

export type DatasetReader = ReturnType<typeof datasetReader>

function parsedRecord(key: string, content: Uint8Array): LoadRecord | undefined {
  try {
    return readLoadRecord(key, parseJson(content))
  } catch {
    return undefined
  }
}

async function rowAt(storage: Storage, key: string | undefined) {
  const content = key === undefined ? undefined : await storage.get(key)
  return content === undefined ? undefined : readRow(content)
}

export async function keysUnder(storage: Storage, prefix: string): Promise<string[]> {
  const keys: string[] = []
  for await (const { key } of storage.list(prefix)) keys.push(key)
  return keys.sort()
}

interface SystemKeys {
  readonly versions: ReadonlyMap<string, readonly string[]>
  readonly states: ReadonlyMap<string, readonly string[]>
  readonly receipts: readonly string[]
}

/** An object counts when the load it names, or a load with the schema it holds, is complete. */
async function systemKeys(
  storage: Storage,
  loads: readonly LoadRecord[],
  removed: ReadonlySet<string>,
): Promise<SystemKeys> {
  if (loads.length === 0) return { versions: new Map(), states: new Map(), receipts: [] }
  const complete = new Set(loads.map(load => segment(load.loadId)))
  const hashes = new Set(loads.map(load => hexOfHash(load.schemaVersionHash ?? '')))
  const [versions = [], states = [], receipts = []] = await Promise.all(
    [folders.versions, folders.states, folders.receipts].map(folder => keysUnder(storage, `${folder}/`)),
  )
  const live = (keys: readonly string[], counts: (key: string) => boolean): string[] =>
    keys.filter(key => key.endsWith('.jsonl') && !removed.has(key) && counts(key))
  return {
    versions: grouped(live(versions, key => hashes.has(nameParts(key, 3)[2] ?? ''))),
    states: grouped(live(states, key => complete.has(nameParts(key, 3)[1] ?? ''))),
    receipts: live(receipts, key => complete.has(nameParts(key, 2)[1] ?? '')),
  }
}

/** Keys `<name>__<time>__<hash>` by name, newest first. */
function grouped(keys: readonly string[]): Map<string, string[]> {
  const groups = new Map<string, string[]>()
  for (const key of keys) {
    const [name = ''] = nameParts(key, 3)
    groups.set(name, [...(groups.get(name) ?? []), key])
  }
  const time = (key: string): number => Number(nameParts(key, 3)[1])
  for (const group of groups.values()) group.sort((a, b) => time(b) - time(a))
  return groups
}

function systemTables(loads: readonly LoadRecord[], keys: SystemKeys): CommittedTable[] {
  const table = ({ name, columns }: ReadonlyTable, objects: readonly string[]): CommittedTable => ({
    name,
    columns: [...columns.values()],
    files: objects.map(key => ({ table: name, key, format: 'jsonl', rows: undefined, bytes: 0 })),
  })
  const tables = [
    table(VERSIONS, [...keys.versions.values()].flat()),
    table(
      LOADS,
      loads.map(load => load.key),
    ),
    table(STATES, [...keys.states.values()].flat()),
    table(RECEIPTS, keys.receipts),
  ]
  return tables.filter(({ files }) => files.length > 0)
}

/** Files add up in any order, for each load names those it puts out of use; definitions in the order of the commits. */
function tablesOf(
  loads: readonly LoadRecord[],
  removed: ReadonlySet<string>,
  foreign: Foreign | undefined,
): ReadonlyMap<string, CommittedTable> {
  const definitions = new Map(foreign?.tables.map(table => [table.name, table.columns]))
  const manifests = loads
    .flatMap(({ manifest, loadId }) => (manifest === undefined ? [] : [{ manifest, loadId }]))
    .sort((a, b) => a.manifest.sequence - b.manifest.sequence || compare(a.loadId, b.loadId))
  for (const { manifest } of manifests) {
    for (const name of manifest.dropped) definitions.delete(name)
    for (const [name, columns] of manifest.tables) {
      const names = new Set(columns.map(column => column.name))
      const others = (definitions.get(name) ?? []).filter(column => !names.has(column.name))
      definitions.set(name, [...columns, ...others])
    }
  }
  // dlt replaces a table by deleting its files, ours too; it leaves no note of that.
  const deleted = (key: string, loadId: string): boolean =>
    foreign !== undefined && foreign.newest > loadId && !foreign.keys.has(key)
  const files = [
    ...(foreign?.tables.flatMap(table => table.files) ?? []),
    ...manifests.flatMap(({ manifest, loadId }) => manifest.files.filter(file => !deleted(file.key, loadId))),
  ]
  const live = new Map<string, DataFile[]>([...definitions.keys()].map(name => [name, []]))
  for (const file of files) if (!removed.has(file.key)) live.get(file.table)?.push(file)
  return new Map([...definitions].map(([name, columns]) => [name, { name, columns, files: live.get(name) ?? [] }]))
}

interface Foreign {
  readonly tables: readonly CommittedTable[]
  /** Every data file that is there, whoever wrote it. */
  readonly keys: ReadonlySet<string>
  /** Id of the newest of these loads. */
  readonly newest: string
}

/** Tables of loads that dlt committed: files are found by the layout, columns in the stored schemas. */
async function foreignTables(
  storage: Storage,
  layout: Layout,
  loads: readonly LoadRecord[],
  removed: ReadonlySet<string>,
  versions: Snapshot['versions'],
): Promise<Foreign> {
  const ids = new Set(loads.map(load => load.loadId))
  const objects: { key: string; bytes: number }[] = []
  for await (const object of storage.list('')) {
    if (!/^(_dlt_|_sluice_)/.test(object.key) && !removed.has(object.key)) objects.push(object)
  }
  const tables: CommittedTable[] = []
  for (const schemaName of new Set(loads.map(load => load.schemaName))) {
    const row = await rowAt(storage, versions.get(segment(schemaName))?.[0])
    if (row === undefined) continue
    for (const table of readSchema(schemaOfRow(row)).tables.values()) {
      if (table.name.startsWith('_dlt_')) continue
      const pattern = layout.pattern(table.name, schemaName)
      const files = objects.flatMap(({ key, bytes }): DataFile[] => {
        const found = pattern.exec(key)
        const { loadId = '', ext = key.slice(key.lastIndexOf('.') + 1) } = found?.groups ?? {}
        const format = formatOfExtension(ext)
        return !ids.has(loadId) || format === undefined
          ? []
          : [{ table: table.name, key, format, rows: undefined, bytes }]
      })
      const columns = [...table.columns.values()].filter(column => column.data_type !== undefined)
      if (files.length > 0) tables.push({ name: table.name, columns, files })
    }
  }
  return { tables, keys: new Set(objects.map(({ key }) => key)), newest: loads.at(-1)?.loadId ?? '' }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
