import { access } from 'node:fs/promises'
import { fileError } from '../config/file/documentFile.js'
import { loadPipelineFile } from '../config/pipelineFile.js'
import { JsonDocument } from '../json/bytes.js'
import { parseJson } from '../json/parse.js'
import { isJsonObject } from '../json/value.js'
import { SluiceError } from '../model/errors.js'
import { systemClock } from '../pipeline/clock.js'
import { readLock } from '../pipeline/look/schemaFiles.js'
import type { Pipeline } from '../pipeline/pipeline.js'
import { pagingHints } from '../rest/evidence/pagingHints.js'
import { isComplete, variantOf } from '../schema/columns.js'
import { createRecorder } from './recorder.js'
import { recordingClock } from './recordingClock.js'
import { type Recording, readRecording } from './recordingFile.js'
import { IN_MEMORY, inFolder, maskRules, namedVariables, recordingPath } from './recordPipeline.js'
import { shortened } from './shortened.js'
import { refuseSharedRecording, replayedPipeline } from './testRecording.js'

export interface DriftOptions {
  /** The recording. Default: the one beside the pipeline file. */
  readonly recording?: string | undefined
  readonly profile?: string | undefined
  readonly signal?: AbortSignal | undefined
}

/** One change of an API. */
export interface Drift {
  /** `breaking`: data that was loaded before is missing now, or goes into another column. */
  readonly severity: 'breaking' | 'notice'
  readonly what: 'new' | 'gone' | 'type' | 'nullability' | 'pagination'
  /** Against the recording, the lock of the schema, or the schema that the destination has. */
  readonly against: 'recording' | 'lock' | 'committed'
  /** A table, `table.column`, or `resource: key of the answer`. */
  readonly place: string
  readonly before?: string | undefined
  readonly now?: string | undefined
}

export interface DriftedPipeline {
  readonly pipeline: string
  /** Undefined if there is none. Then nothing tells what is gone, which nulls are new, or how lists were paged. */
  readonly recording: string | undefined
  /** What there was to compare with. */
  readonly against: readonly Drift['against'][]
  /** Resources whose lists were compared. Of all others nothing is known. */
  readonly compared: readonly string[]
  readonly drifts: readonly Drift[]
  /** Resources whose lists answered with an error. That is no drift. */
  readonly errors: readonly { readonly resource: string; readonly message: string }[]
}

/**
 * Requests one page of each list, and compares it with those of the recording, the lock of the schema and the schema at
 * the destination that there are. Rejects with a ConfigError if there is none of them. Loads nothing.
 */
export async function driftOf(file: string, options: DriftOptions = {}): Promise<readonly DriftedPipeline[]> {
  return await inFolder(async home => {
    const { profile } = options
    const committed = (await loadPipelineFile(file, { profile, withoutSecrets: true })).pipelines
    refuseSharedRecording(file, options.recording, committed)
    const found: DriftedPipeline[] = []
    for (const made of committed) {
      const path = options.recording ?? recordingPath(file, made.name, committed)
      const recording = await recordingAt(path, options)
      const known = [
        { against: 'lock', tables: await lockedColumns(made) },
        { against: 'committed', tables: await committedColumns(made) },
      ] as const
      const others = known.filter(({ tables }) => tables.size > 0)
      if (recording === undefined && others.length === 0) throw fileError(path, NOTHING_TO_COMPARE)
      const before = recording ?? { ...NOTHING_RECORDED, pipeline: made.name, environment: await namedVariables(file) }
      const { recording: now, errors } = await today(file, made, before, home, options)
      const failed = new Set(errors.map(({ resource }) => resource))
      const select = made.source.resources.map(({ name }) => name).filter(name => !failed.has(name))
      const seen = async (recorded: Recording): Promise<Seen> =>
        select.length === 0 ? NOTHING_SEEN : await loaded(file, made.name, recorded, home, select, options)
      const fresh = await seen(now)
      const drifts =
        recording === undefined ? [] : [...changesSince(recording, await seen(recording), now, fresh, select)]
      for (const { against, tables } of others) {
        const told = new Set(drifts.map(({ place }) => place))
        drifts.push(...changesOf(tables, fresh.tables, against).filter(({ place }) => !told.has(place)))
      }
      found.push({
        pipeline: made.name,
        recording: recording && path,
        against: [...(recording === undefined ? [] : (['recording'] as const)), ...others.map(one => one.against)],
        compared: made.source.resources.flatMap(({ name, selected }) =>
          selected === false || failed.has(name) ? [] : [name],
        ),
        drifts,
        errors,
      })
    }
    return found
  })
}

const NOTHING_TO_COMPARE =
  'does not exist, and there is neither a lock nor a load to compare with; `sluice record` makes a recording of a pipeline file'

/** The first page of each list of a recording. Undefined if no recording was named, and there is none. */
async function recordingAt(path: string, { recording }: DriftOptions): Promise<Recording | undefined> {
  if (recording === undefined && !(await isThere(path))) return undefined
  return { ...(await readRecording(path)), ...FIRST_PAGES }
}

const FIRST_PAGES = { pages: 1, parents: 1 }

const NOTHING_RECORDED = { ...FIRST_PAGES, recordedAt: 0, mask: [], exchanges: [] }

function changesSince(
  before: Recording,
  old: Seen,
  now: Recording,
  fresh: Seen,
  resources: readonly string[],
): readonly Drift[] {
  const envelopes = resources.flatMap(resource =>
    envelopeChanges(resource, envelopeOf(before, resource), envelopeOf(now, resource), {
      mayBeLast: (fresh.records.get(resource) ?? 0) < (old.records.get(resource) ?? 0),
    }),
  )
  return [...changes(old.tables, fresh.tables, 'recording'), ...envelopes]
}

/** One page of each list, as it is now. A resource that fails does not stop the others. */
async function today(file: string, { name, source }: Pipeline, before: Recording, home: string, options: DriftOptions) {
  const recorder = createRecorder()
  const recordedAt = systemClock.now()
  const errors: { resource: string; message: string }[] = []
  const exchanges: Recording['exchanges'][number][] = []
  for (const { name: resource, selected } of source.resources) {
    if (selected === false) continue
    try {
      await oneRun(file, name, home, recorder, before, recordedAt, resource, options)
    } catch (error) {
      options.signal?.throwIfAborted()
      if (!(error instanceof SluiceError)) throw error
      errors.push({ resource, message: error.message })
      recorder.taken()
      continue
    }
    exchanges.push(...recorder.taken())
  }
  return { recording: { ...before, recordedAt, exchanges }, errors }
}

/** Each resource has its own pipeline, so that the limit of lists counts for each of them. */
async function oneRun(
  file: string,
  name: string,
  home: string,
  witness: ReturnType<typeof createRecorder>,
  before: Recording,
  recordedAt: number,
  resource: string,
  { profile, signal }: DriftOptions,
): Promise<void> {
  const { pipelines } = await loadPipelineFile(file, {
    destination: IN_MEMORY,
    profile,
    recording: {
      witness,
      mask: maskRules(before.mask),
      shortened: shortened(1),
      clock: recordingClock(recordedAt, systemClock),
      home,
    },
  })
  const pipeline = pipelines.find(one => one.name === name)
  await pipeline?.run({ select: [resource], maxPages: 1, concurrency: 1, allowIncomplete: true, signal })
}

/** What the first pages of a recording hold. */
interface Seen {
  readonly tables: Tables
  /** Records by resource. */
  readonly records: ReadonlyMap<string, number>
}

const NOTHING_SEEN: Seen = { tables: new Map(), records: new Map() }

async function loaded(
  file: string,
  name: string,
  recording: Recording,
  home: string,
  select: readonly string[],
  { profile, signal }: DriftOptions,
): Promise<Seen> {
  const { pipeline } = await replayedPipeline(file, name, { recording, home, options: { profile } })
  const records = new Map<string, number>()
  // A resource that the recording lacks counts as new.
  for (const resource of select) {
    const run = await pipeline
      .run({ select: [resource], maxPages: 1, concurrency: 1, allowIncomplete: true, signal })
      .catch((error: unknown) => {
        signal?.throwIfAborted()
        if (!(error instanceof SluiceError)) throw error
        return undefined
      })
    for (const receipt of run?.receipts ?? []) records.set(receipt.resource, receipt.records)
  }
  return { tables: await tablesOf(pipeline), records }
}

interface Column {
  readonly type: string
  /** Rows without a value. Undefined: nobody knows. */
  readonly nulls: number | undefined
}

interface Table {
  readonly columns: ReadonlyMap<string, Column>
  readonly rows: number
  /** For a table of nested lists: the one around it, with the number of its rows whose lists are empty. */
  readonly above?: { readonly table: string; readonly withoutRows: number } | undefined
}

type Tables = ReadonlyMap<string, Table>

async function tablesOf(pipeline: Pipeline): Promise<Tables> {
  const dataset = pipeline.dataset()
  const names = new Set(await dataset.tables())
  const tables = new Map<string, Table>()
  for (const table of (await dataset.schema())?.tables.values() ?? []) {
    if (!names.has(table.name)) continue
    const rows = await dataset.table(table.name).rows()
    const columns = new Map<string, Column>()
    for (const column of table.columns.values()) {
      if (!isComplete(column) || column.name.startsWith('_dlt_')) continue
      const nulls = rows.filter(row => row[column.name] === null).length
      columns.set(column.name, { type: String(column.data_type), nulls })
    }
    const { parent } = table
    const around = parent === undefined ? 0 : (tables.get(parent)?.rows ?? 0)
    const withRows = new Set(rows.map(row => row._dlt_parent_id)).size
    const above = parent === undefined ? undefined : { table: parent, withoutRows: around - withRows }
    tables.set(table.name, { columns, rows: rows.length, above })
  }
  return tables
}

/** The tables that were loaded before. */
async function committedColumns(made: Pipeline): Promise<Tables> {
  const schema = (await exists(made)) ? await made.dataset().schema() : undefined
  return new Map(
    [...(schema?.tables ?? [])].map(([name, { columns }]) => {
      const typed = [...columns.values()].filter(isComplete)
      return [name, unseen(typed.map(column => [column.name, String(column.data_type)]))]
    }),
  )
}

/** The tables of the lock, if there is one. */
async function lockedColumns({ schema }: Pipeline): Promise<Tables> {
  const locked = await readLock(schema)
  return new Map(
    [...(locked ?? [])].map(([name, columns]) => [
      name,
      // Today's page does not show the precision.
      unseen([...columns].map(([column, line]) => [column, /^\w*/.exec(line)?.[0] ?? ''])),
    ]),
  )
}

/** A table whose rows nobody has seen. */
function unseen(types: readonly (readonly [column: string, type: string])[]): Table {
  return { columns: new Map(types.map(([column, type]) => [column, { type, nulls: undefined }])), rows: 0 }
}

/** The changes that today's page shows. It may lack columns and tables that were seen before. */
function changesOf(tables: Tables, fresh: Tables, against: Drift['against']): readonly Drift[] {
  // A table that was never loaded is not a change.
  const shared = [...fresh].filter(([name]) => (tables.get(name)?.columns.size ?? 0) > 0)
  const known = shared.map(([name, { columns }]) => {
    const before = [...(tables.get(name)?.columns ?? [])].filter(([column]) => columns.has(column))
    return [name, { columns: new Map(before), rows: 0 }] as const
  })
  return changes(new Map(known), new Map(shared), against)
}

/** Whether the destination can be asked: a new machine has none yet. */
async function exists({ destination }: Pipeline): Promise<boolean> {
  return destination.localPath === undefined || (await isThere(destination.localPath))
}

async function isThere(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => error.code !== 'ENOENT',
  )
}

function changes(before: Tables, now: Tables, against: Drift['against']): readonly Drift[] {
  const drifts: Drift[] = []
  for (const [name, table] of now) {
    const old = before.get(name)
    if (old === undefined) drifts.push({ severity: 'notice', what: 'new', against, place: name })
    else drifts.push(...columnChanges(name, old, table, against))
  }
  for (const [name, { above }] of before) {
    // Rows like those that were seen may have nothing in this list.
    const isLack = above !== undefined && (now.get(above.table)?.rows ?? 0) <= above.withoutRows
    if (!now.has(name) && !isLack) drifts.push({ severity: 'breaking', what: 'gone', against, place: name })
  }
  return drifts
}

function columnChanges(table: string, before: Table, now: Table, against: Drift['against']): readonly Drift[] {
  const drifts: Drift[] = []
  for (const [name, column] of now.columns) {
    const place = `${table}.${name}`
    const was = before.columns.get(name)
    if (was === undefined) {
      // Values that no longer fit a column go into this one.
      const severity = variantOf(name, other => before.columns.has(other)) === undefined ? 'notice' : 'breaking'
      drifts.push({ severity, what: 'new', against, place, now: column.type })
    } else if (was.type !== column.type) {
      drifts.push({ severity: 'breaking', what: 'type', against, place, before: was.type, now: column.type })
    } else if (was.nulls !== undefined && was.nulls > 0 !== (column.nulls ?? 0) > 0) {
      // As many rows with a value were seen before as there are today.
      if (was.nulls > 0 && now.rows <= before.rows - was.nulls) continue
      const told = (nulls: number | undefined): string => ((nulls ?? 0) > 0 ? 'nulls' : 'no nulls')
      const facts = { before: told(was.nulls), now: told(column.nulls) }
      drifts.push({ severity: 'notice', what: 'nullability', against, place, ...facts })
    }
  }
  for (const [name, { type, nulls = 0 }] of before.columns) {
    // As many rows without it were seen before as there are today.
    if (!now.columns.has(name) && now.rows > nulls)
      drifts.push({ severity: 'breaking', what: 'gone', against, place: `${table}.${name}`, before: type })
  }
  return drifts
}

/**
 * Changes in the first answer of a resource, outside of its records. Paging depends on that part. `mayBeLast`: today's
 * page has fewer records, and a last page names no next one.
 */
function envelopeChanges(
  resource: string,
  old: Envelope | undefined,
  fresh: Envelope | undefined,
  { mayBeLast }: { readonly mayBeLast: boolean },
): readonly Drift[] {
  if (old === undefined || fresh === undefined) return []
  const at = (key: string): string => `${resource}: ${key}`
  const what = 'pagination'
  const against = 'recording'
  const isNew = [...fresh.keys].filter(key => isMissing(key, old))
  const isGone = [...old.keys].filter(key => isMissing(key, fresh))
  const isOfNext = (key: string): boolean => mayBeLast && isNew.length === 0 && NEXT_PAGE.test(key)
  return [
    ...isGone
      .filter(key => !isOfNext(key))
      .map(key => ({ severity: 'breaking', what, against, place: at(key), now: 'gone' }) as const),
    ...isNew.map(key => ({ severity: 'notice', what, against, place: at(key), now: 'new' }) as const),
  ]
}

/** Keys and headers that lead to the next page. */
const NEXT_PAGE = /next|cursor|after|token|^header link$/i

/** What an answer has outside of its records. */
interface Envelope {
  /** Members of the body, those of nested objects only if their names are about paging, and headers. */
  readonly keys: ReadonlySet<string>
  readonly objects: ReadonlySet<string>
}

/** Whether the other answer lacks a key. If the object around it is another one, that may be a record by its id. */
function isMissing(key: string, { keys, objects }: Envelope): boolean {
  const above = key.startsWith('header ') ? [] : key.split('.').slice(0, -1)
  const isAround = objects.has(above.join('.')) || /pag|meta|link|cursor|info/i.test(above.at(-1) ?? '')
  return !keys.has(key) && (above.length === 0 || (keys.has(above[0] ?? '') && isAround))
}

function envelopeOf({ exchanges }: Recording, resource: string): Envelope | undefined {
  const first = exchanges.find(exchange => exchange.resource === resource && !exchange.bySigner)
  if (first === undefined) return undefined
  const headers = Object.keys(first.answer.headers).filter(name => name !== 'content-type' && name !== 'x-sluice-mask')
  const named = headers.map(name => `header ${name}`)
  try {
    const value = parseJson(first.answer.body)
    if (!isJsonObject(value)) return { keys: new Set(named), objects: new Set() }
    const nested = pagingHints(new JsonDocument(Buffer.from(first.answer.body))).filter(
      ({ key, above }) => above.length > 0 && ![...above, key].some(name => name.includes('.')),
    )
    return {
      keys: new Set([...named, ...Object.keys(value), ...nested.map(({ key, above }) => [...above, key].join('.'))]),
      objects: new Set(nested.map(({ above }) => above.join('.'))),
    }
  } catch {
    return { keys: new Set(named), objects: new Set() }
  }
}
