import { AbortError } from '../../model/errors.js'
import type { EventListener, RunEvent } from '../../model/events.js'
import { durationMs } from '../../model/expectations.js'
import { nodeCrypto } from '../../model/runtime/nodeCrypto.js'
import { type Scrubber, scrubbed } from '../../model/secrets/scrubber.js'
import { Secret } from '../../model/secrets/secret.js'
import { systemClock } from '../../pipeline/clock.js'
import type { PastLoad } from '../../pipeline/look/pastLoads.js'
import { type Pipeline, scrubberOf } from '../../pipeline/pipeline.js'
import type { RunWarning } from '../../pipeline/setup.js'
import { proxySettings } from '../lookup/environment.js'
import { Hearing, type Lateness, type Notice, type NoticeAbout, type NotifiedWork } from './notice.js'
import type { Notification, NotifySettings, Receiver } from './notification.js'
import { runNotifyCommand } from './notifyCommand.js'
import { DEFAULT_NOTIFYING_SECONDS, DEFAULT_OCCASIONS, type Occasion } from './occasions.js'
import { sendWebhook } from './webhook.js'

export interface WorkOptions {
  readonly signal?: AbortSignal | undefined
  readonly onEvent?: EventListener<RunEvent> | undefined
}

export interface Told<Result> {
  readonly result: Result
  /** Notifications that failed. */
  readonly failed: readonly RunWarning[]
}

/** Who is told, of the work of which pipeline. */
export interface Telling {
  readonly made: Pipeline
  readonly receivers: readonly Receiver[]
  readonly settings: NotifySettings
}

/** What a piece of work is to those who are told. */
export interface ToldPart {
  /** Only these are told of. Default: all that a receiver wants to know. */
  readonly only?: readonly Occasion[] | undefined
  /** Hears how to tell of a failure, in place of the receivers: another attempt may succeed. */
  readonly onFailure?: ((tell: Tell) => void) | undefined
  /** Of its notices. The same one where some work may be told of again. Default: a new one for each time. */
  readonly noticeId?: string | undefined
}

/** Tells every receiver, and gives what went wrong with that. */
export type Tell = () => Promise<readonly RunWarning[]>

/** Does the work, and then tells the receivers how it went. Rejects as the work does, and for no other reason. */
export async function toldWork<Result>(
  telling: Telling,
  {
    work,
    asked = {},
    part = {},
    start,
  }: {
    readonly work: NotifiedWork
    readonly asked: WorkOptions | undefined
    readonly part?: ToldPart | undefined
    readonly start: (listening: EventListener<RunEvent>) => Promise<Result>
  },
): Promise<Told<Result>> {
  const hearing = new Hearing()
  const { onEvent, signal } = asked
  const conclude = (error?: unknown) => toldEnd(telling, { ...part, work, hearing, error, signal })
  const listen = (event: RunEvent): void => {
    hearing.hear(event)
    onEvent?.(event)
  }
  let result: Result
  try {
    result = await start(listen)
  } catch (error) {
    // Who stopped the work knows.
    if (error instanceof AbortError) throw error
    // An attempt that ended has no signal any more.
    if (part.onFailure !== undefined)
      part.onFailure(() => toldEnd(telling, { work, hearing, error, noticeId: part.noticeId }))
    else for (const warning of await conclude(error)) onEvent?.(warning)
    throw error
  }
  const failed = await conclude()
  for (const warning of failed) onEvent?.(warning)
  return { result, failed }
}

export interface WorkEnd extends Pick<ToldPart, 'only' | 'noticeId'> {
  readonly work: NotifiedWork
  readonly hearing?: Hearing
  /** What it committed, where nothing else is known of it. */
  readonly load?: PastLoad | undefined
  /** Why it failed. */
  readonly error?: unknown
  readonly signal?: AbortSignal | undefined
}

/** Tells the receivers how some work ended. Gives the notifications that failed. */
export async function toldEnd(
  { made, receivers, settings }: Telling,
  {
    load,
    hearing = load === undefined ? new Hearing() : Hearing.of(load),
    work,
    error,
    signal,
    only,
    noticeId,
  }: WorkEnd,
): Promise<readonly RunWarning[]> {
  const about = aboutNow(made, work, noticeId)
  const scrubber = scrubberOf(made)
  const failures = await Promise.all(
    receivers.map((one, index) => {
      const { on = DEFAULT_OCCASIONS } = one
      const wanted = only === undefined ? one : { ...one, on: on.filter(occasion => only.includes(occasion)) }
      const conclusion = { ...settings, made, hearing, about, error, signal, scrubber }
      return tellOne(wanted, conclusion).catch((failure: unknown) => {
        const reason = failure instanceof Error ? failure.message : String(failure)
        return `notify[${index}]: ${reason}; the work itself is not affected`
      })
    }),
  )
  return failures.flatMap(message => {
    if (message === undefined) return []
    const warning = { type: 'warning', code: 'notify_failed', message } as const
    return [scrubbed(warning, scrubber)]
  })
}

function aboutNow(
  made: Pipeline,
  work: NotifiedWork,
  id = `msg_${nodeCrypto().randomUUID()}`,
): Omit<NoticeAbout, 'occasions'> {
  return {
    id,
    time: new Date(systemClock.now()).toISOString(),
    work,
    pipeline: made.name,
    dataset: made.datasetName,
    destination: made.destination.name,
  }
}

/** Tells every receiver, whatever it waits for, that this is a test. Gives what went wrong, for each. */
export async function toldTest(
  { made, receivers, settings }: Telling,
  asked?: AbortSignal,
): Promise<readonly (string | undefined)[]> {
  const scrubber = scrubberOf(made)
  const about = aboutNow(made, 'run')
  return await Promise.all(
    receivers.map(async receiver => {
      try {
        const signal = within(receiver, asked)
        const notice = new Hearing().notice({ ...about, occasions: ['test'] }, undefined, undefined)
        await deliver(receiver, notice, { ...settings, scrubber, signal })
        return undefined
      } catch (error) {
        return scrubbed(error instanceof Error ? error.message : String(error), scrubber)
      }
    }),
  )
}

/** The time that a receiver may take. */
function within({ maxSeconds = DEFAULT_NOTIFYING_SECONDS }: Receiver, asked: AbortSignal | undefined): AbortSignal {
  const bound = AbortSignal.timeout(maxSeconds * 1000)
  return asked === undefined ? bound : AbortSignal.any([bound, asked])
}

interface Conclusion extends NotifySettings {
  readonly made: Pipeline
  readonly hearing: Hearing
  readonly about: Omit<NoticeAbout, 'occasions'>
  readonly error: unknown
  readonly signal: AbortSignal | undefined
  readonly scrubber: Scrubber
}

/** Tells one receiver, if it wants to know. Rejects if that fails. */
async function tellOne(notification: Receiver, conclusion: Conclusion): Promise<undefined> {
  const { on = DEFAULT_OCCASIONS } = notification
  const { hearing, about, error } = conclusion
  const signal = within(notification, conclusion.signal)
  const late = on.includes('late') ? await latenessOf(notification, conclusion, signal) : undefined
  const happened = hearing.occasions(error)
  const occasions: readonly Occasion[] =
    late === undefined ? happened : [...happened.filter(occasion => occasion !== 'success'), 'late']
  if (!occasions.some(occasion => on.includes(occasion))) return undefined
  await deliver(notification, hearing.notice({ ...about, occasions }, error, late), { ...conclusion, signal })
  return undefined
}

interface Delivery extends NotifySettings {
  readonly scrubber: Scrubber
  readonly signal: AbortSignal
}

/** Sends a notice to one receiver, by all of its ways. Rejects with an Error that says which of them failed. */
async function deliver(
  { command = [], webhook, secret, missing }: Receiver,
  unscrubbed: Notice,
  { cwd, env, scrubber, signal }: Delivery,
): Promise<void> {
  if (missing !== undefined) throw new Error(missing)
  for (const known of [webhook, secret]) if (known instanceof Secret) scrubber.add(known)
  const notice: Notice = scrubbed(unscrubbed, scrubber)
  const told = await Promise.allSettled([
    ...(command.length === 0 ? [] : [runNotifyCommand(command, notice, { cwd, signal })]),
    ...(webhook === undefined
      ? []
      : [
          sendWebhook(
            {
              url: webhook,
              secret: typeof secret === 'string' ? new Secret(secret) : secret,
              proxies: proxySettings(env),
            },
            notice,
            { clock: systemClock, signal },
          ),
        ]),
  ])
  const reasons = told.flatMap(one => (one.status === 'rejected' ? [(one.reason as Error).message] : []))
  if (reasons.length > 0) throw new Error(reasons.join('; '))
}

/** Whether the last load is too old. After work that committed it is not. */
async function latenessOf(
  { lateAfter }: Notification,
  { made, hearing }: Conclusion,
  signal: AbortSignal,
): Promise<Lateness | undefined> {
  if (lateAfter === undefined || hearing.hasCommitted) return undefined
  const ended = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(new Error('the last load could not be looked up in time')), {
      once: true,
    })
  })
  const [last] = await Promise.race([made.dataset().history({ limit: 1, pipeline: made.name }), ended])
  const age = last === undefined ? Number.POSITIVE_INFINITY : systemClock.now() - last.committedAt.getTime()
  return age > (durationMs(lateAfter) ?? 0) ? { lastLoad: last?.committedAt, lateAfter } : undefined
}
