import type { ReadonlyColumn } from '../../../schema/schemaTypes.js'
import type { DataFile, LoadRecord } from './manifest.js'
import { hexOfHash } from './systemObjects.js'

/** Position of a commit among those of a dataset: by its sequence, then by the id of its load. */
export interface CommitPlace {
  readonly sequence: number
  readonly loadId: string
}

/** A data file and the load that added it. */
interface LedgerFile {
  readonly file: DataFile
  readonly loadId: string
}

interface LedgerTable {
  readonly columns: readonly ReadonlyColumn[]
  /** The last commit that said so. */
  readonly at: CommitPlace
}

/** The result of complete loads. */
export interface LoadLedger {
  /** Keys of the loads' records. */
  readonly records: ReadonlySet<string>
  /** The newest load of each schema, by the schema's name. */
  readonly newest: ReadonlyMap<string, { readonly loadId: string; readonly schemaVersionHash: string | undefined }>
  /** Hashes of all schemas of loads, in hex. */
  readonly schemaHashes: ReadonlySet<string>
  /** Sequence of the newest commit of each pipeline. */
  readonly sequences: ReadonlyMap<string, number>
  /** Sequence of the newest commit of all. */
  readonly sequence: number
  /** Loads without a manifest, committed by dlt. */
  readonly foreign: readonly { readonly loadId: string; readonly schemaName: string }[]
  /** Data files that count, by key, in the order in which loads added them. */
  readonly files: ReadonlyMap<string, LedgerFile>
  /** Removed keys, except those of files that a load of this ledger had added. */
  readonly removed: ReadonlySet<string>
  readonly tables: ReadonlyMap<string, LedgerTable>
  /** Dropped tables, each with the last commit that dropped it. */
  readonly dropped: ReadonlyMap<string, CommitPlace>
}

export const emptyLedger: LoadLedger = {
  records: new Set(),
  newest: new Map(),
  schemaHashes: new Set(),
  sequences: new Map(),
  sequence: 0,
  foreign: [],
  files: new Map(),
  removed: new Set(),
  tables: new Map(),
  dropped: new Map(),
}

/**
 * A ledger with more loads, all complete. Loads that it already has change nothing. The order of adding does not
 * matter, with one exception: the columns of a table and their order, if it was dropped or two loads changed it at
 * once.
 */
export function withLoads(ledger: LoadLedger, records: readonly LoadRecord[]): LoadLedger {
  const added = records.filter(record => !ledger.records.has(record.key))
  if (added.length === 0) return ledger
  const newest = new Map(ledger.newest)
  for (const { schemaName, loadId, schemaVersionHash } of added) {
    if (loadId >= (newest.get(schemaName)?.loadId ?? '')) newest.set(schemaName, { loadId, schemaVersionHash })
  }
  const sequences = new Map(ledger.sequences)
  for (const { manifest } of added) {
    if (manifest === undefined) continue
    sequences.set(manifest.pipeline, Math.max(manifest.sequence, sequences.get(manifest.pipeline) ?? 0))
  }
  const foreign = added.filter(record => record.manifest === undefined)
  return {
    records: new Set([...ledger.records, ...added.map(record => record.key)]),
    newest,
    schemaHashes: new Set([...ledger.schemaHashes, ...added.map(one => hexOfHash(one.schemaVersionHash ?? ''))]),
    sequences,
    sequence: Math.max(0, ...sequences.values()),
    foreign: [...ledger.foreign, ...foreign.map(({ loadId, schemaName }) => ({ loadId, schemaName }))],
    ...withManifests(ledger, added),
  }
}

function withManifests(
  ledger: LoadLedger,
  added: readonly LoadRecord[],
): Pick<LoadLedger, 'files' | 'removed' | 'tables' | 'dropped'> {
  const files = new Map(ledger.files)
  const removed = new Set(ledger.removed)
  const tables = new Map(ledger.tables)
  const dropped = new Map(ledger.dropped)
  const commits = added
    .flatMap(({ manifest, loadId }) =>
      manifest === undefined ? [] : [{ manifest, at: { sequence: manifest.sequence, loadId } }],
    )
    .sort((a, b) => order(a.at, b.at))
  for (const { manifest, at } of commits) {
    for (const file of manifest.files) files.set(file.key, { file, loadId: at.loadId })
    for (const key of manifest.removed) removed.add(key)
    for (const name of manifest.dropped) {
      if (!isBehind(tables.get(name)?.at, at)) tables.delete(name)
      if (!isBehind(dropped.get(name), at)) dropped.set(name, at)
    }
    for (const [name, columns] of manifest.tables) {
      if (isBehind(dropped.get(name), at)) continue
      const before = tables.get(name)
      const later = isBehind(before?.at, at)
      const [first, last] = later ? [before?.columns ?? [], columns] : [columns, before?.columns ?? []]
      const names = new Set(first.map(column => column.name))
      const others = last.filter(column => !names.has(column.name))
      tables.set(name, { columns: [...first, ...others], at: later ? (before?.at ?? at) : at })
    }
  }
  for (const key of removed) if (files.delete(key)) removed.delete(key)
  return { files, removed, tables, dropped }
}

function isBehind(one: CommitPlace | undefined, other: CommitPlace): boolean {
  return one !== undefined && order(one, other) > 0
}

function order(a: CommitPlace, b: CommitPlace): number {
  return a.sequence - b.sequence || (a.loadId < b.loadId ? -1 : a.loadId > b.loadId ? 1 : 0)
}
