import { parseJson } from '../../../json/parse.js'
import type { Committed } from '../../../model/destination.js'
import type { ReadonlyColumn, ReadonlyTable } from '../../../schema/schemaTypes.js'
import { readSchema } from '../../../schema/stored/document.js'
import { LOADS, RECEIPTS, STATES, VERSIONS, WINDOWS } from '../../systemRows.js'
import { formatOfExtension } from '../format/formats.js'
import type { Layout } from '../format/layout.js'
import { segment } from '../format/layout.js'
import { type KeyRange, keysUnder, mapLimited, type Storage } from '../storage/storage.js'
import { type Checkpoint, checkpointReader } from './checkpoint.js'
import { emptyLedger, type LoadLedger, withLoads } from './ledger.js'
import { type DataFile, type LoadRecord, readLoadRecord } from './manifest.js'
import {
  folders,
  loadPart,
  loadRecordKey,
  nameParts,
  readRow,
  recordGroup,
  schemaOfRow,
  stateOfRow,
} from './systemObjects.js'

/** State and schema, as a load reads them at its beginning and in its commit. */
const KEPT_ROWS = 2

/** Small objects to read at once. */
const READS_AT_ONCE = 16

/** A table after all committed loads. */
export interface CommittedTable {
  readonly name: string
  readonly columns: readonly ReadonlyColumn[]
  readonly files: readonly DataFile[]
}

/** A dataset at one moment, with the data of committed loads only. */
export interface Snapshot {
  /** The result of all complete loads. */
  readonly ledger: LoadLedger
  /** Ids of the complete loads, as spelt in keys. */
  readonly complete: ReadonlySet<string>
  /** Complete loads that the newest checkpoint does not include. */
  readonly behindCheckpoint: number
  readonly tables: ReadonlyMap<string, CommittedTable>
  /** Keys of stored schemas by schema name as spelt in keys, newest first. */
  readonly versions: ReadonlyMap<string, readonly string[]>
  /** Keys of stored states by pipeline as spelt in keys, newest first. */
  readonly states: ReadonlyMap<string, readonly string[]>
  /** Keys of all stored schemas and states, whether they count or not. */
  readonly systemKeys: ReadonlySet<string>
}

/**
 * Reads a dataset: the newest checkpoint, and the records of later loads. A complete record never changes, so it is
 * read once.
 */
export function datasetReader(storage: Storage, layout: Layout) {
  const known = new Map<string, LoadRecord>()
  const checkpoints = checkpointReader(storage)
  /** The last states and schemas that were read. The name of such an object holds the hash of its content. */
  const rows = new Map<string, ReturnType<typeof rowAt>>()

  const systemRow = (key: string | undefined): ReturnType<typeof rowAt> => {
    if (key === undefined) return rowAt(storage, key)
    const row = rows.get(key) ?? rowAt(storage, key)
    rows.delete(key)
    rows.set(key, row)
    const [oldest] = rows.keys()
    if (rows.size > KEPT_ROWS && oldest !== undefined) rows.delete(oldest)
    row.catch(() => rows.delete(key))
    return row
  }

  const readRecord = async (key: string): Promise<LoadRecord | undefined> => {
    const before = known.get(key)
    if (before !== undefined) return before
    const content = await storage.get(key)
    const record = content === undefined ? undefined : parsedRecord(key, content)
    if (record?.status === 0) known.set(key, record)
    return record
  }

  /** Keys of the records of loads that are, or were, in progress. */
  const notedKeys = async (): Promise<readonly string[]> => {
    const notes = await keysUnder(storage, `${folders.intents}/`)
    const rows = await mapLimited(notes, READS_AT_ONCE, key => rowAt(storage, key))
    return rows.flatMap(row => (row === undefined ? [] : [loadRecordKey(String(row.schemaName), String(row.loadId))]))
  }

  const grown = async (ledger: LoadLedger, keys: readonly string[]): Promise<LoadLedger> => {
    const unread = [...new Set(keys)].filter(key => !ledger.records.has(key))
    const records = await mapLimited(unread, READS_AT_ONCE, readRecord)
    return withLoads(
      ledger,
      records.filter(record => record?.status === 0).filter(record => record !== undefined),
    )
  }

  const recordKeys = (passed: readonly KeyRange[]) => keysUnder(storage, `${folders.loads}/`, passed)

  const snapshot = async (): Promise<Snapshot> => {
    // In this order: a note is removed only once the next checkpoint includes its load, or does not cover it.
    const noted = await notedKeys()
    const checkpoint = await checkpoints.newest()
    const base = checkpoint?.ledger ?? emptyLedger
    const passed = passedBy(checkpoint)
    let ledger = await grown(base, [...noted, ...(await recordKeys(passed))])
    const stored = await storedObjects(storage, ledger)
    // dlt leaves no notes, and neither did Sluice before it had checkpoints. So look everywhere.
    if (passed.length > 0 && (ledger.foreign.length > 0 || hasStrangers(stored, ledger)))
      ledger = await grown(ledger, await recordKeys([]))
    const { versions, states } = counting(stored, ledger)
    const foreign = ledger.foreign.length === 0 ? undefined : await foreignTables(storage, layout, ledger, versions)
    return {
      ledger,
      complete: completeIn(ledger),
      behindCheckpoint: ledger.records.size - base.records.size,
      tables: tablesOf(ledger, foreign),
      versions,
      states,
      systemKeys: new Set([...stored.versions, ...stored.states]),
    }
  }

  return {
    snapshot,
    checkpoints,
    /**
     * The record of a load, read again unless complete. Searches under `schemaName` if given, else under any schema
     * with loads.
     */
    async record(loadId: string, schemaName?: string): Promise<LoadRecord | undefined> {
      const passed = passedBy(await checkpoints.newest())
      const end = `__${segment(loadId)}.jsonl`
      const keys = new Set((await recordKeys(passed)).filter(key => key.endsWith(end)))
      for (const { from } of passed) keys.add(`${recordGroup(from)}${end}`)
      if (schemaName !== undefined) keys.add(loadRecordKey(schemaName, loadId))
      const records = await mapLimited([...keys], READS_AT_ONCE, readRecord)
      return records.find(record => record?.status === 0) ?? records.find(record => record !== undefined)
    },
    /** Implements `committed` of a connection. Default: of the dataset as it is now. */
    async committed(pipeline: string, schemaName: string, at?: Snapshot): Promise<Committed | undefined> {
      const { ledger, states, versions } = at ?? (await snapshot())
      const stateKey = states.get(segment(pipeline))?.[0]
      const schemaKey = versions.get(segment(schemaName))?.[0]
      const [state, schema] = await Promise.all([stateKey, schemaKey].map(key => systemRow(key)))
      if (state === undefined && schema === undefined) return undefined
      return {
        loadId: ledger.newest.get(schemaName)?.loadId ?? (state === undefined ? undefined : String(state._dlt_load_id)),
        state: state === undefined ? undefined : stateOfRow(state),
        schema: schema === undefined ? undefined : schemaOfRow(schema),
      }
    },
    /** Implements `pipelines` of a connection. Default: of the dataset as it is now. */
    async pipelines(at?: Snapshot): Promise<readonly string[]> {
      const { states } = at ?? (await snapshot())
      const rows = await mapLimited([...states.values()], READS_AT_ONCE, ([newest]) => rowAt(storage, newest))
      return rows.flatMap(row => (row === undefined ? [] : [String(row.pipeline_name)]))
    },
    /**
     * dlt's tables and Sluice's own, with their files. `most` limits the files of the latter: a load has at most one in
     * each.
     */
    async system(
      { ledger, complete, versions, states }: Snapshot,
      most = Infinity,
    ): Promise<readonly CommittedTable[]> {
      const filesOf = async (folder: string): Promise<readonly string[]> => {
        const files: string[] = []
        for await (const key of storage.keys(`${folder}/`)) {
          if (complete.has(loadPart(key))) files.push(key)
          if (files.length >= most) break
        }
        return files
      }
      return [
        systemTable(VERSIONS, [...versions.values()].flat()),
        systemTable(LOADS, [...ledger.records]),
        systemTable(STATES, [...states.values()].flat()),
        systemTable(RECEIPTS, await filesOf(folders.receipts)),
        systemTable(WINDOWS, await filesOf(folders.windows)),
      ].filter(({ files }) => files.length > 0)
    },
  }
}

export type DatasetReader = ReturnType<typeof datasetReader>

/** Where not to look for records of loads. dlt may commit a load with an older id than existing ones. */
function passedBy(checkpoint: Checkpoint | undefined): readonly KeyRange[] {
  return checkpoint === undefined || checkpoint.ledger.foreign.length > 0 ? [] : checkpoint.covered
}

function completeIn({ records }: LoadLedger): ReadonlySet<string> {
  return new Set([...records].map(loadPart))
}

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

/** Keys of what is stored beside the rows, by any tool. */
interface StoredObjects {
  readonly versions: readonly string[]
  readonly states: readonly string[]
}

async function storedObjects(storage: Storage, { records }: LoadLedger): Promise<StoredObjects> {
  if (records.size === 0) return { versions: [], states: [] }
  const [versions = [], states = []] = await Promise.all(
    [folders.versions, folders.states].map(async folder =>
      (await keysUnder(storage, `${folder}/`)).filter(key => key.endsWith('.jsonl')),
    ),
  )
  return { versions, states }
}

/** An object counts if the load that it names, or a load with the schema that it holds, is complete. */
function counts(ledger: LoadLedger) {
  const complete = completeIn(ledger)
  return {
    version: (key: string): boolean => ledger.schemaHashes.has(nameParts(key, 3)[2] ?? ''),
    state: (key: string): boolean => complete.has(nameParts(key, 3)[1] ?? ''),
  }
}

/** Whether there is an object that no known load wrote. */
function hasStrangers({ versions, states }: StoredObjects, ledger: LoadLedger): boolean {
  const { version, state } = counts(ledger)
  const strange = (key: string, known: boolean): boolean => !known && !ledger.removed.has(key)
  return versions.some(key => strange(key, version(key))) || states.some(key => strange(key, state(key)))
}

function counting({ versions, states }: StoredObjects, ledger: LoadLedger): Pick<Snapshot, 'versions' | 'states'> {
  const { version, state } = counts(ledger)
  const live = (keys: readonly string[], known: (key: string) => boolean): string[] =>
    keys.filter(key => !ledger.removed.has(key) && known(key))
  return { versions: grouped(live(versions, version)), states: grouped(live(states, state)) }
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

function systemTable({ name, columns }: ReadonlyTable, objects: readonly string[]): CommittedTable {
  return {
    name,
    columns: [...columns.values()],
    files: objects.map(key => ({ table: name, key, format: 'jsonl', rows: undefined, bytes: undefined })),
  }
}

function tablesOf(ledger: LoadLedger, foreign: Foreign | undefined): ReadonlyMap<string, CommittedTable> {
  const definitions = new Map<string, readonly ReadonlyColumn[]>()
  for (const { name, columns } of foreign?.tables ?? []) if (!ledger.dropped.has(name)) definitions.set(name, columns)
  for (const [name, { columns }] of ledger.tables) {
    const names = new Set(columns.map(column => column.name))
    const others = (definitions.get(name) ?? []).filter(column => !names.has(column.name))
    definitions.set(name, [...columns, ...others])
  }
  // dlt replaces a table by deleting its files, including ours. It leaves no note of that.
  const deleted = (key: string, loadId: string): boolean =>
    foreign !== undefined && foreign.newest > loadId && !foreign.keys.has(key)
  const files = new Map<string, DataFile[]>([...definitions.keys()].map(name => [name, []]))
  for (const file of foreign?.tables.flatMap(table => table.files) ?? []) files.get(file.table)?.push(file)
  for (const [key, { file, loadId }] of ledger.files) if (!deleted(key, loadId)) files.get(file.table)?.push(file)
  return new Map([...definitions].map(([name, columns]) => [name, { name, columns, files: files.get(name) ?? [] }]))
}

interface Foreign {
  readonly tables: readonly CommittedTable[]
  /** Every existing data file, from any tool. */
  readonly keys: ReadonlySet<string>
  /** Id of the newest of these loads. */
  readonly newest: string
}

/** Tables of loads that dlt committed. Files are found by the layout, columns in the stored schemas. */
async function foreignTables(
  storage: Storage,
  layout: Layout,
  { foreign: loads, removed }: LoadLedger,
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
  const newest = loads.map(load => load.loadId).sort()
  return { tables, keys: new Set(objects.map(({ key }) => key)), newest: newest.at(-1) ?? '' }
}
