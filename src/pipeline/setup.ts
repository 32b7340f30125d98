import { join, relative, sep } from 'node:path'
import type { JournalBucket } from '../journal/bucketJournals.js'
import type { Files } from '../journal/fileSystem.js'
import type { Destination, TableChanges } from '../model/destination.js'
import { ConfigError } from '../model/errors.js'
import type { EventListener, RunEvent } from '../model/events.js'
import type { Receipt } from '../model/receipt.js'
import type { Scrubber } from '../model/secrets/scrubber.js'
import type { Clock, DispositionHint, Source } from '../model/source.js'
import { uriComponent } from '../model/texts/percentEncoding.js'
import type { ContractMode, SchemaContract, WriteDisposition } from '../schema/schemaTypes.js'
import type { RowCounts } from './knownTables.js'
import type { SchemaFiles } from './look/schemaFiles.js'

/** A pipeline's options with every default taken. */
export interface PipelineSetup {
  readonly name: string
  readonly source: Source
  readonly destination: Destination
  /** Knows every secret of source and destination. */
  readonly scrubber: Scrubber
  readonly datasetName: string
  readonly home: string
  readonly schemaFiles: SchemaFiles
  readonly naming: string | undefined
  readonly clock: Clock
  readonly files: Files
  /** Where journals lie too, so that another machine goes on with them. */
  readonly journal: JournalBucket | undefined
}

/** What to drop before loading. */
export type Refresh = 'drop_sources' | 'drop_resources' | 'drop_data'
export const REFRESHES = ['drop_sources', 'drop_resources', 'drop_data'] as const satisfies readonly Refresh[]

/** `Name` is a resource of the source, if TypeScript knows the names. */
export interface RunOptions<Name extends string = string> {
  /** Stops the run. Commits nothing, and keeps the pages for the next run. */
  readonly signal?: AbortSignal | undefined
  /** Names of the resources to load. Default: those that the source selects. */
  readonly select?: readonly Name[] | undefined
  /** Stop every list after this many pages. */
  readonly maxPages?: number | undefined
  /** Most requests in flight for one origin and credential. 1 is strictly serial. Default 16. */
  readonly concurrency?: number | undefined
  /** Overrides the write disposition of the resources. */
  readonly writeDisposition?: WriteDisposition | DispositionHint | undefined
  /** The schema keeps it for later runs, as with dlt. */
  readonly schemaContract?: ContractMode | Partial<SchemaContract> | undefined
  /** Drop before loading: everything of the source, tables and state of the resources, or their rows and cursors. */
  readonly refresh?: Refresh | undefined
  /** Commit even if a receipt says that something is missing. */
  readonly allowIncomplete?: boolean | undefined
  /** Resume an interrupted run that had the same options. Default true. */
  readonly resume?: boolean | undefined
  /** Keep the journal after the commit, for `replay`. Default false. */
  readonly keepJournal?: boolean | undefined
  /** Called with each event, in order. If it fails, the run goes on, and the process warns once. */
  readonly onEvent?: EventListener<RunEvent<Name>> | undefined
}

/** A warning of a run, as its listener got it. */
export type RunWarning<Name extends string = string> = Extract<RunEvent<Name>, { readonly type: 'warning' }>

/** `Name` is a resource of the source and `Table` one of its tables, if TypeScript knows the names. */
export interface RunResult<Name extends string = string, Table extends string = string> {
  readonly pipeline: string
  /** Name of the dataset at the destination. */
  readonly dataset: string
  /** Undefined if there was nothing to commit: no rows, no change of state or schema. */
  readonly loadId: string | undefined
  /** One for each loaded resource, in the order of the source. */
  readonly receipts: readonly Receipt<Name>[]
  /**
   * Rows staged by table, nested tables included. 0 for the table of a resource that got none, and for each nested table
   * that the run could have written.
   */
  readonly rows: RowCounts<Name, Table>
  /**
   * What the commit did to each table, nested tables included. Absent if nothing was committed, or if the destination does
   * not know, as with files.
   */
  readonly changes?: Readonly<Record<string, TableChanges>> | undefined
  /** In the order in which they were said. */
  readonly warnings: readonly RunWarning<Name>[]
}

/** A result before its warnings are added. */
export type LoadResult = Omit<RunResult, 'warnings'>

/**
 * The working folder as it is given. Fails with a ConfigError if that is an address, which would make a folder `s3:` on this
 * machine. `path`: the option or variable that holds it.
 */
export function asFolder(home: string, path: string): string {
  const scheme = /^([a-z][a-z0-9+.-]+):\/\//i.exec(home)?.[1]
  if (scheme === undefined) return home
  const message = `is an address (${scheme}://…), and the working folder is a folder: a bucket has no locks, and nothing is written at the end of its files. Workers on several machines share a folder of a file system such as NFS, or give each its own, and let the key journal of the pipeline file (s3://…) keep their pages in a bucket`
  throw new ConfigError([{ place: { path }, message }])
}

/** Folder with the journals and locks of a pipeline. */
export function pipelineFolder(setup: PipelineSetup): string {
  return join(setup.home, folderName(setup.name))
}

/** The name of a pipeline's or window's folder in the bucket of its journals. */
export function bucketFolder({ home }: PipelineSetup, folder: string): string {
  return relative(home, folder).replaceAll(sep, '/')
}

/** Folder with the journals of windows that are loaded at the same time, each in a folder of its own. */
export function windowsFolder(setup: PipelineSetup): string {
  return join(pipelineFolder(setup), 'windows')
}

/** Encodes any text as a folder name that never leads out of the working folder. */
function folderName(name: string): string {
  return uriComponent(name).replace(/^\.+$/, dots => dots.replaceAll('.', '%2E'))
}

export function dispositionOf({ writeDisposition }: Pick<RunOptions, 'writeDisposition'>): DispositionHint | undefined {
  return typeof writeDisposition === 'string' ? { disposition: writeDisposition } : writeDisposition
}
