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
import { IN_MEMORY, inFolder, maskRules, recordingPath } from './recordPipeline.js'
import { shortened } from './shortened.js'
import { replayedPipeline } from './testRecording.js'

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
  readonly recording: string
  readonly drifts: readonly Drift[]
  /** Resources whose lists answered with an error. That is no drift. */
  readonly errors: readonly { readonly resource: string; readonly message: string }[]
}

/**
 * Requests one page of each list, and compares it with the recording, with the lock of the schema if there is one, and
 * with the schema at the destination. Loads nothing.
 */
export async function driftOf(file: string, options: DriftOptions = {}): Promise<readonly DriftedPipeline[]> {
  return await inFolder(async home => {
    const { profile } = options
    const committed = (await loadPipelineFile(file, { profile, withoutSecrets: true })).pipelines
    const found: DriftedPipeline[] = []
    for (const made of committed) {
      const path = options.recording ?? recordingPath(file, made.name, committed)
      const before: Recording = { ...(await readRecording(path)), pages: 1, parents: 1 }
      const { recording: now, errors } = await today(file, made, before, home, options)
      const failed = new Set(errors.map(({ resource }) => resource))
      const select = made.source.resources.map(({ name }) => name).filter(name => !failed.has(name))
      const tablesOf = async (recording: Recording): Promise<Tables> =>
        select.length === 0
          ? new Map()
          : await columnsOf(await loaded(file, made.name, recording, home, select, options))
      const [old, fresh] = [await tablesOf(before), await tablesOf(now)]
      const sinceRecording = changes(old, fresh, 'recording')
      const drifts = [...sinceRecording, ...envelopeChanges(before, now, select)]
      for (const [against, tables] of [
        ['lock', await lockedColumns(made)],
        ['committed', await committedColumns(made)],
      ] as const) {
        const told = new Set(drifts.map(({ place }) => place))
        drifts.push(...changesOf(tables, fresh, against).filter(({ place }) => !told.has(place)))
      }
      found.push({ pipeline: made.name, recording: path, drifts, errors })
    }
    return found
  })
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

async function loaded(
  file: string,
  name: string,
  recording: Recording,
  home: string,
  select: readonly string[],
  { profile, signal }: DriftOptions,
): Promise<Pipeline> {
  const { pipeline } = await replayedPipeline(file, name, { recording, home, options: { profile } })
  // A resource that the recording lacks counts as new.
  for (const resource of select) {
    await pipeline
      .run({ select: [resource], maxPages: 1, concurrency: 1, allowIncomplete: true, signal })
      .catch((error: unknown) => {
        signal?.throwIfAborted()
        if (!(error instanceof SluiceError)) throw error
      })
  }
  return pipeline
}

interface Column {
  readonly type: string
  readonly hasNulls: boolean | undefined
}

type Tables = ReadonlyMap<string, ReadonlyMap<string, Column>>

async function columnsOf(pipeline: Pipeline): Promise<Tables> {
  const dataset = pipeline.dataset()
  const names = new Set(await dataset.tables())
  const tables = new Map<string, ReadonlyMap<string, Column>>()
  for (const table of (await dataset.schema())?.tables.values() ?? []) {
    if (!names.has(table.name)) continue
    const rows = await dataset.table(table.name).rows()
    const columns = new Map<string, Column>()
    for (const column of table.columns.values()) {
      if (!isComplete(column) || column.name.startsWith('_dlt_')) continue
      const hasNulls = rows.some(row => row[column.name] === null)
      columns.set(column.name, { type: String(column.data_type), hasNulls })
    }
    tables.set(table.name, columns)
  }
  return tables
}

/** The tables that were loaded before. */
async function committedColumns(made: Pipeline): Promise<Tables> {
  const schema = (await exists(made)) ? await made.dataset().schema() : undefined
  return new Map(
    [...(schema?.tables ?? [])].map(([name, { columns }]) => {
      const typed = [...columns.values()].filter(isComplete)
      return [name, new Map(typed.map(column => [column.name, seenAs(String(column.data_type))]))]
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
      new Map([...columns].map(([column, line]) => [column, seenAs(/^\w*/.exec(line)?.[0] ?? '')])),
    ]),
  )
}

/** A column of which nobody knows whether it had nulls. */
const seenAs = (type: string): Column => ({ type, hasNulls: undefined })

/** The changes that today's page shows. It may lack columns and tables that were seen before. */
function changesOf(tables: Tables, fresh: Tables, against: Drift['against']): readonly Drift[] {
  // A table that was never loaded is not a change.
  const shared = [...fresh].filter(([table]) => (tables.get(table)?.size ?? 0) > 0)
  const known = shared.map(([table, columns]) => {
    const before = [...(tables.get(table) ?? [])].filter(([column]) => columns.has(column))
    return [table, new Map(before)] as const
  })
  return changes(new Map(known), new Map(shared), against)
}

/** Whether the destination can be asked: a new machine has none yet. */
async function exists({ destination }: Pipeline): Promise<boolean> {
  if (destination.localPath === undefined) return true
  const { access } = await import('node:fs/promises')
  return await access(destination.localPath).then(
    () => true,
    () => false,
  )
}

function changes(before: Tables, now: Tables, against: Drift['against']): readonly Drift[] {
  const drifts: Drift[] = []
  for (const [table, columns] of now) {
    const old = before.get(table)
    if (old === undefined) {
      drifts.push({ severity: 'notice', what: 'new', against, place: table })
      continue
    }
    for (const [name, { type, hasNulls }] of columns) {
      const place = `${table}.${name}`
      const was = old.get(name)
      if (was === undefined) {
        // Values that no longer fit a column go into this one.
        const severity = variantOf(name, column => old.has(column)) === undefined ? 'notice' : 'breaking'
        drifts.push({ severity, what: 'new', against, place, now: type })
      } else if (was.type !== type)
        drifts.push({ severity: 'breaking', what: 'type', against, place, before: was.type, now: type })
      else if (was.hasNulls !== undefined && was.hasNulls !== hasNulls) {
        const told = (nulls: boolean | undefined): string => (nulls === true ? 'nulls' : 'no nulls')
        const facts = { before: told(was.hasNulls), now: told(hasNulls) }
        drifts.push({ severity: 'notice', what: 'nullability', against, place, ...facts })
      }
    }
    for (const [name, { type }] of old)
      if (!columns.has(name))
        drifts.push({ severity: 'breaking', what: 'gone', against, place: `${table}.${name}`, before: type })
  }
  for (const table of before.keys())
    if (!now.has(table)) drifts.push({ severity: 'breaking', what: 'gone', against, place: table })
  return drifts
}

/** Changes in the first answer of each resource, outside of its records. Paging depends on that part. */
function envelopeChanges(before: Recording, now: Recording, select: readonly string[]): readonly Drift[] {
  return select.flatMap(resource => {
    const [old, fresh] = [envelopeOf(before, resource), envelopeOf(now, resource)]
    if (old === undefined || fresh === undefined) return []
    const at = (key: string): string => `${resource}: ${key}`
    const what = 'pagination'
    const against = 'recording'
    return [
      ...[...old.keys]
        .filter(key => isMissing(key, fresh))
        .map(key => ({ severity: 'breaking', what, against, place: at(key), now: 'gone' }) as const),
      ...[...fresh.keys]
        .filter(key => isMissing(key, old))
        .map(key => ({ severity: 'notice', what, against, place: at(key), now: 'new' }) as const),
    ]
  })
}

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
