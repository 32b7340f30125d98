import type { Context, ObjectContext, RestatePromise, TerminalError } from '@restatedev/restate-sdk'
import { z } from 'zod'
import type { NotifiedWork } from '../config/notify/notice.js'
import { asPart, tellEnd } from '../config/notify/notifying.js'
import type { Tell } from '../config/notify/toldWork.js'
import { nextTime } from '../config/schedule.js'
import { parseJson } from '../json/parse.js'
import { stringifyJson } from '../json/write.js'
import type { CursorRange } from '../model/cursors/cursorRange.js'
import { DataError, type ErrorCode, RequestError, SluiceError, shortened } from '../model/errors.js'
import type { RunEvent } from '../model/events.js'
import type { Verdict } from '../model/receipt.js'
import type { CursorBound } from '../pipeline/backfill/askedRange.js'
import type { PastLoad } from '../pipeline/look/pastLoads.js'
import type { Pipeline } from '../pipeline/pipeline.js'
import type { RestateSdk } from './restateSdk.js'
import { SERVICES } from './restateServer.js'

/** A pipeline that a worker serves. */
export interface ServedPipeline {
  readonly pipeline: Pipeline
  /** Of its file, with all that this imports. Windows that were planned with another one are refused. */
  readonly digest: string
}

/** What a worker tells of its work. */
export type WorkEvent =
  | { readonly type: 'started' | 'finished'; readonly job: string; readonly pipeline: string; readonly what: string }
  | {
      readonly type: 'failed'
      readonly job: string
      readonly pipeline: string
      readonly what: string
      readonly message: string
    }
  | { readonly type: 'event'; readonly job: string; readonly pipeline: string; readonly event: RunEvent }

export interface ServiceOptions {
  readonly onWork: (event: WorkEvent) => void
  /** Attempts of a run or a window. */
  readonly attempts: number
  /** Before the second attempt. Each further wait is twice as long, up to ten minutes. */
  readonly retryDelayMs: number
}

/** What a run came to. Facts only: rows never pass through the engine. */
export interface RunOutcome {
  readonly loadId: string | null
  readonly verdicts: Readonly<Record<string, Verdict>>
  readonly records: number
}

/** What a backfill came to. */
export interface BackfillFacts {
  readonly windows: number
  readonly records: number
  /** Load ids in the order in which windows were handed out. */
  readonly loadIds: readonly string[]
}

/** Windows of one backfill. Each is an entry in the journal of the engine. */
const MOST_WINDOWS = 10_000
/** Windows of one backfill that are handed out at the same time. */
const MOST_PARALLEL = 64
const USUAL_PARALLEL = 4

const runInput = z.strictObject({
  select: z.array(z.string()).min(1).optional(),
  fullRefresh: z.boolean().optional(),
  maxPages: z.int().min(1).optional(),
})
const bound = z.union([z.string(), z.number()])
const backfillInput = z.strictObject({
  resource: z.string(),
  from: bound.optional(),
  to: bound.optional(),
  step: bound.optional(),
  order: z.enum(['oldest_first', 'newest_first']).optional(),
  parallel: z.int().min(1).max(MOST_PARALLEL).optional(),
})
/** Ends of a window are JSON texts, so that long numbers keep their digits. */
const windowInput = z.strictObject({
  pipeline: z.string(),
  digest: z.string(),
  resource: z.string(),
  start: z.string(),
  end: z.string(),
  step: bound.optional(),
})
const scheduleInput = z.strictObject({ schedule: z.string().nullable() })
const tickInput = z.strictObject({ generation: z.string() })

type WindowInput = z.output<typeof windowInput>

/** A long run is no sign of a dead worker: the engine notices that by the connection. */
const LONGEST_ATTEMPT_MS = 7 * 24 * 3_600_000
const LONGEST_RETRY_DELAY_MS = 600_000
const WINDOWS_FAILED = 'windows_failed'
/** Jobs whose last failed attempt is remembered, to tell of it where it was the last one. */
const MOST_FAILED = 1_000
/** The engine refuses long ones, and would ask for them again and again. */
const LONGEST_MESSAGE = 20_000

/** Failures that may pass by themselves. Others need a person. */
const PASSING: ReadonlySet<ErrorCode> = new Set([
  'connection',
  'timeout',
  'rate_limit',
  'http_status',
  'destination',
  'destination_locked',
  'commit_unknown',
  'journal',
  'memory',
  'incomplete',
  'aborted',
] satisfies ErrorCode[])

/**
 * The services of a worker. One object for each pipeline runs one job of it at a time, whoever sends it; windows of a
 * backfill go to whichever worker is free.
 */
export function pipelineServices(
  sdk: RestateSdk,
  served: ReadonlyMap<string, ServedPipeline>,
  { onWork, attempts, retryDelayMs }: ServiceOptions,
) {
  const options = { inactivityTimeout: LONGEST_ATTEMPT_MS, abortTimeout: LONGEST_ATTEMPT_MS }
  const retries = {
    maxRetryAttempts: attempts,
    initialRetryInterval: retryDelayMs,
    retryIntervalFactor: 2,
    maxRetryInterval: LONGEST_RETRY_DELAY_MS,
  }

  function parsed<T>(shape: z.ZodType<T>, input: unknown): T {
    const { data, error } = shape.safeParse(input ?? {})
    if (error !== undefined) throw new sdk.TerminalError(z.prettifyError(error), { errorCode: 400 })
    return data as T
  }

  function servedBy(name: string): ServedPipeline {
    const found = served.get(name)
    if (found !== undefined) return found
    const known = [...served.keys()].join(', ')
    throw new sdk.TerminalError(`the worker has no pipeline ${name}; it has ${known}`, { errorCode: 404 })
  }

  /**
   * Does a part of a job, and tells of it. What cannot pass by itself ends the job. What this worker is asked for is
   * looked up within such parts alone: a handler that ended before a part that another worker has done would not be
   * that handler any more.
   */
  async function work<T>(ctx: Context, pipeline: string, what: string, action: () => Promise<T>): Promise<T> {
    const job = ctx.request().id
    onWork({ type: 'started', job, pipeline, what })
    try {
      const result = await action()
      onWork({ type: 'finished', job, pipeline, what })
      return result
    } catch (error) {
      const whole = error instanceof Error ? error.message : String(error)
      const message = shortened(whole, LONGEST_MESSAGE)
      onWork({ type: 'failed', job, pipeline, what, message })
      if (error instanceof SluiceError && !mayPass(error)) throw new sdk.TerminalError(message)
      throw message === whole ? error : new Error(message)
    }
  }

  const failedAttempts = new Map<string, Tell>()

  function rememberFailure(job: string, tell: Tell): void {
    failedAttempts.delete(job)
    failedAttempts.set(job, tell)
    for (const oldest of [...failedAttempts.keys()].slice(0, -MOST_FAILED)) failedAttempts.delete(oldest)
  }

  function said(ctx: ObjectContext, warnings: readonly RunEvent[]): void {
    for (const event of warnings) onWork({ type: 'event', job: ctx.request().id, pipeline: ctx.key, event })
  }

  /** Tells once how a job ended, whatever its attempts were. An attempt that may be made again is nothing to tell of. */
  async function tellOfJob(ctx: ObjectContext, work: NotifiedWork, error?: unknown): Promise<void> {
    const job = ctx.request().id
    const tell = async (): Promise<void> => {
      const pipeline = served.get(ctx.key)?.pipeline
      if (pipeline === undefined) return
      // The worker that made the last attempt knows what it read.
      const known = error === undefined ? undefined : failedAttempts.get(job)
      failedAttempts.delete(job)
      const failed = await (known === undefined
        ? tellEnd(pipeline, { work, error, noticeId: noticeIdOf(ctx) })
        : known())
      said(ctx, failed)
    }
    await ctx.run('notify', tell, { maxRetryAttempts: 1 })
  }

  /** Does a job. Tells of its failure, unless somebody cancelled it. */
  async function toldJob<T>(ctx: ObjectContext, work: NotifiedWork, action: () => Promise<T>): Promise<T> {
    try {
      return await action()
    } catch (error) {
      const isFailure = error instanceof sdk.TerminalError && !(error instanceof sdk.CancelledError)
      if (isFailure) {
        const isOfWindows = error.metadata?.code === WINDOWS_FAILED
        await tellOfJob(ctx, work, isOfWindows ? new DataError(WINDOWS_FAILED, error.message) : error)
      }
      throw error
    }
  }

  const listening = (ctx: Context, pipeline: string) => ({
    signal: ctx.request().attemptCompletedSignal,
    onEvent: (event: RunEvent) => onWork({ type: 'event', job: ctx.request().id, pipeline, event }),
  })

  const windows = sdk.service({
    name: SERVICES.window,
    options,
    handlers: {
      load: async (ctx: Context, input: unknown): Promise<BackfillFacts> => {
        const { pipeline: name, digest, resource, start, end, step } = parsed(windowInput, input)
        const what = `${resource} ${start} … ${end}`
        const range = { from: boundOf(start), to: boundOf(end), step }
        // A window that is in the ledger already is loaded by nobody again: then there are no loads.
        const load = async (): Promise<BackfillFacts> => {
          const { pipeline, digest: own } = servedBy(name)
          if (own !== digest) {
            const message = `the file of ${name}, one that it imports, or the version of Sluice, has changed since the backfill was planned, or this worker has others; give all workers the same files and one version, and submit the backfill again`
            throw new sdk.TerminalError(message, { errorCode: 409 })
          }
          // How the whole ended is told by the job.
          const part = asPart(pipeline, {
            only: ['incomplete', 'drift'],
            onFailure: () => {},
            noticeId: noticeIdOf(ctx),
          })
          const { loads } = await part.backfill(resource, {
            ...range,
            ...listening(ctx, name),
            shared: takesMany(pipeline),
          })
          const records = loads.reduce((sum, one) => sum + one.records, 0)
          return { windows: loads.length, records, loadIds: loads.map(({ loadId }) => loadId) }
        }
        return await ctx.run('load', () => work(ctx, name, what, load), retries)
      },
    },
  })

  const pipelines = sdk.object({
    name: SERVICES.pipeline,
    options,
    handlers: {
      run: async (ctx: ObjectContext, input: unknown): Promise<RunOutcome> => {
        const { select, fullRefresh, maxPages } = parsed(runInput, input)
        const newest = () => work(ctx, ctx.key, 'look', async () => factsBefore(servedBy(ctx.key).pipeline))
        const run = async (before: RunOutcome | null): Promise<RunOutcome> => {
          const { pipeline } = servedBy(ctx.key)
          const noticeId = noticeIdOf(ctx)
          // The worker before may have died between its commit and its answer. Whether it told of it, nobody knows.
          const since = await newestLoad(pipeline)
          if (since !== undefined && since.loadId !== before?.loadId) {
            said(ctx, await tellEnd(pipeline, { work: 'run', load: since, noticeId }))
            return factsOf(since.loadId, since.receipts)
          }
          const attempt = asPart(pipeline, { noticeId, onFailure: tell => rememberFailure(ctx.request().id, tell) })
          const { loadId, receipts } = await attempt.run({
            ...listening(ctx, ctx.key),
            ...(select !== undefined && { select }),
            ...(fullRefresh === true && { refresh: 'drop_resources' }),
            ...(maxPages !== undefined && { maxPages }),
          })
          return factsOf(loadId ?? null, receipts)
        }
        return await toldJob(ctx, 'run', async () => {
          const before = await ctx.run('newest load', newest, retries)
          return await ctx.run('run', () => work(ctx, ctx.key, 'run', () => run(before)), retries)
        })
      },

      backfill: async (ctx: ObjectContext, input: unknown): Promise<BackfillFacts> => {
        const { resource, parallel, ...asked } = parsed(backfillInput, input)
        const plan = async (): Promise<PlannedWindows> => {
          const { pipeline, digest } = servedBy(ctx.key)
          if (parallel !== undefined && parallel > 1 && !takesMany(pipeline)) {
            const message = `${pipeline.destination.name} takes loads of one process at a time, so that windows are loaded one after the other: leave parallel out, or load into Postgres, or into a DuckLake with its catalog in Postgres`
            throw new sdk.TerminalError(message)
          }
          const { missing: untried, failed } = await pipeline.backfillStatus(resource, asked)
          const missing = [...untried, ...failed.map(({ start, end }) => ({ start, end }))]
          if (missing.length > MOST_WINDOWS) {
            const message = `the backfill has ${missing.length} windows, and a job at most ${MOST_WINDOWS}: widen the step, or submit parts of the range`
            throw new sdk.TerminalError(message)
          }
          return {
            windows: missing.map(window => windowOf(ctx.key, digest, resource, window, asked.step)),
            parallel: takesMany(pipeline) ? (parallel ?? USUAL_PARALLEL) : 1,
          }
        }
        const facts = await toldJob(ctx, 'backfill', async () => {
          const planned = await ctx.run('plan', () => work(ctx, ctx.key, `plan ${resource}`, plan), retries)
          return await loadAll(ctx, planned)
        })
        await tellOfJob(ctx, 'backfill')
        return facts
      },

      /** Sets, changes or ends the schedule. The same one again changes nothing. */
      schedule: async (ctx: ObjectContext, input: unknown): Promise<void> => {
        const { schedule } = parsed(scheduleInput, input)
        const current = await ctx.get<Schedule>('schedule')
        if (current?.schedule === (schedule ?? undefined)) return
        ctx.clear('schedule')
        if (schedule === null) return
        const generation = ctx.rand.uuidv4()
        ctx.set('schedule', { schedule, generation } satisfies Schedule)
        await tickLater(ctx, schedule, generation)
      },

      /** A run is due. Ticks of a schedule that was changed do nothing. */
      tick: async (ctx: ObjectContext, input: unknown): Promise<void> => {
        const { generation } = parsed(tickInput, input)
        const current = await ctx.get<Schedule>('schedule')
        if (current?.generation !== generation) return
        itself(ctx).run({})
        await tickLater(ctx, current.schedule, generation)
      },
    },
  })

  const itself = (ctx: ObjectContext) => ctx.objectSendClient<SelfCalled>({ name: SERVICES.pipeline }, ctx.key)

  /** The next tick, from now on. Ticks that were due during a long run are one. */
  async function tickLater(ctx: ObjectContext, schedule: string, generation: string): Promise<void> {
    const now = await ctx.date.now()
    const next = nextTime(schedule, now)
    if (next === undefined) return
    itself(ctx).tick({ generation }, sdk.rpc.sendOpts({ delay: next - now }))
  }

  /** Hands out so many windows at a time, to whoever is free. One that fails does not stop the others. */
  async function loadAll(ctx: ObjectContext, { windows: planned, parallel }: PlannedWindows): Promise<BackfillFacts> {
    const ends: HandedOut[] = []
    const out = new Map<number, RestatePromise<HandedOut>>()
    for (const [place, window] of planned.entries()) {
      const loading = ctx.serviceClient(windows).load(window)
      out.set(
        place,
        loading.map((facts, failure): HandedOut => ({ place, window, facts, failure })),
      )
      if (out.size === parallel) await next()
    }
    while (out.size > 0) await next()

    async function next(): Promise<void> {
      const end = await sdk.RestatePromise.race([...out.values()])
      if (end.failure instanceof sdk.CancelledError) throw end.failure
      out.delete(end.place)
      ends.push(end)
    }
    ends.sort((a, b) => a.place - b.place)
    const done = ends.flatMap(({ facts }) => facts ?? [])
    const failures = ends.flatMap(({ window, failure }) =>
      failure === undefined ? [] : [`${window.start} … ${window.end}: ${failure.message}`],
    )
    if (failures.length > 0) {
      const [first] = failures
      const message = `${failures.length} of ${planned.length} windows failed; the others are committed, and the same backfill loads what is missing. The first: ${first}`
      throw new sdk.TerminalError(message, { metadata: { code: WINDOWS_FAILED } })
    }
    return {
      windows: done.reduce((sum, one) => sum + one.windows, 0),
      records: done.reduce((sum, one) => sum + one.records, 0),
      loadIds: done.flatMap(one => one.loadIds),
    }
  }

  return [pipelines, windows]
}

/** Whether windows of the pipeline may be loaded by several processes at the same time. */
function takesMany({ destination }: Pipeline): boolean {
  return destination.capabilities.parallelLoads === 'many_processes'
}

/** The windows of a job, and how many of them are handed out at the same time. */
interface PlannedWindows {
  readonly windows: readonly WindowInput[]
  readonly parallel: number
}

/** A window that came back. */
interface HandedOut {
  /** In the plan. */
  readonly place: number
  readonly window: WindowInput
  readonly facts: BackfillFacts | undefined
  readonly failure: TerminalError | undefined
}

/** What the object of a pipeline sends to itself. */
interface SelfCalled {
  run(ctx: ObjectContext, input: unknown): Promise<RunOutcome>
  tick(ctx: ObjectContext, input: unknown): Promise<void>
}

/** Whether another attempt may succeed. A window that failed says so by its cause. */
function mayPass(error: SluiceError): boolean {
  if (error.code === 'windows_failed') return error.cause instanceof SluiceError && mayPass(error.cause)
  const status = error instanceof RequestError ? error.status : undefined
  const isRefused = error.code === 'http_status' && status !== undefined && status < 500
  return PASSING.has(error.code) && (!isRefused || status === 408 || status === 425)
}

interface Schedule {
  readonly schedule: string
  /** Changes with the schedule, so that ticks of the one before are recognised. */
  readonly generation: string
}

async function newestLoad(pipeline: Pipeline): Promise<PastLoad | undefined> {
  // Another pipeline may load into the same dataset, with resources of the same names.
  const [newest] = await pipeline.dataset().history({ pipeline: pipeline.name, limit: 1 })
  return newest
}

/** Every attempt at a job tells of it by one id, so that who is told twice can see it. */
function noticeIdOf(ctx: Context): string {
  return `msg_${ctx.request().id}`
}

async function factsBefore(pipeline: Pipeline): Promise<RunOutcome | null> {
  const newest = await newestLoad(pipeline)
  return newest === undefined ? null : factsOf(newest.loadId, newest.receipts)
}

function factsOf(
  loadId: string | null,
  receipts: readonly { readonly resource: string; readonly verdict: Verdict; readonly records: number }[],
): RunOutcome {
  return {
    loadId,
    verdicts: Object.fromEntries(receipts.map(({ resource, verdict }) => [resource, verdict])),
    records: receipts.reduce((sum, { records }) => sum + records, 0),
  }
}

/** The key of a partition may be a list. The backfill knows it by its text. */
function boundOf(text: string): CursorBound {
  const value = parseJson(text)
  return typeof value === 'object' ? text : (value as CursorBound)
}

function windowOf(
  pipeline: string,
  digest: string,
  resource: string,
  { start, end }: CursorRange,
  step: string | number | undefined,
): WindowInput {
  return { pipeline, digest, resource, start: stringifyJson(start), end: stringifyJson(end), step }
}
