import { ConfigError, type ConfigProblem } from '../../model/errors.js'
import type { EventListener, RunEvent } from '../../model/events.js'
import { durationMs } from '../../model/expectations.js'
import {
  checkOptions,
  environment,
  listOf,
  needed,
  optionKind,
  optionsOf,
  path,
  secretText,
  text,
  wordOf,
} from '../../model/optionKinds.js'
import type { Pipeline } from '../../pipeline/pipeline.js'
import type { RunWarning } from '../../pipeline/setup.js'
import { processEnvironment } from '../lookup/environment.js'
import type { NotifiedWork } from './notice.js'
import type { Notification, NotifyOptions, NotifySettings, Receiver } from './notification.js'
import { LONGEST_NOTIFYING_SECONDS, OCCASIONS } from './occasions.js'
import type { Telling, Told, ToldPart, WorkEnd, WorkOptions } from './toldWork.js'

const duration = optionKind(
  'an ISO 8601 duration, as in PT2H',
  value => typeof value === 'string' && (durationMs(value) ?? 0) > 0,
)
const seconds = optionKind(
  `seconds up to ${LONGEST_NOTIFYING_SECONDS}`,
  value => typeof value === 'number' && value > 0 && value <= LONGEST_NOTIFYING_SECONDS,
)
const forNotification = optionsOf<Notification>('a notification', {
  on: listOf('a list of occasions', wordOf(OCCASIONS)),
  command: listOf('a program and its arguments', text),
  webhook: secretText,
  secret: secretText,
  lateAfter: duration,
  maxSeconds: seconds,
})
const forNotifications = listOf('a list of notifications', forNotification)
const forNotify = optionsOf<NotifyOptions>('options of notifying()', { cwd: path, env: environment })

/**
 * The same pipeline. After a run, a replay or a backfill it tells others what happened. That takes bounded time, and what
 * fails becomes a warning `notify_failed`: neither changes the result. Work that a signal stopped is not told.
 *
 * @example
 * ```ts
 * import { duckdb, notifying, pipeline, restApi } from 'sluice'
 *
 * const shops = pipeline({
 *   name: 'shops',
 *   source: restApi({ client: { base_url: 'https://api.example.com' }, resources: ['shops'] }),
 *   destination: duckdb('shops.duckdb'),
 * })
 * const told = notifying(shops, [{ on: ['failure', 'incomplete'], command: ['logger', '-t', 'sluice'] }])
 * await told.run()
 * ```
 */
export function notifying<Name extends string, Table extends string>(
  made: Pipeline<Name, Table>,
  notifications: readonly Notification[],
  options: NotifyOptions = {},
): Pipeline<Name, Table> {
  checkOptions(needed(forNotifications), notifications, 'notifications')
  checkOptions(forNotify, options)
  const [problem, ...others] = notifications.flatMap(problemsOf)
  if (problem !== undefined) throw new ConfigError([problem, ...others])
  const settings = { cwd: options.cwd ?? process.cwd(), env: options.env ?? processEnvironment() }
  // The names do not matter to what is told.
  return announced(made as unknown as Pipeline, notifications, settings) as unknown as Pipeline<Name, Table>
}

function problemsOf({ command, webhook, secret, lateAfter, on }: Notification, index: number): ConfigProblem[] {
  const problem = incoherence({ command, webhook, secret, lateAfter, on })
  return problem === undefined ? [] : [{ place: { path: `notifications[${index}]` }, message: problem }]
}

/** What does not go together in a notification. Undefined if nothing. */
export function incoherence({ command = [], webhook, secret, lateAfter, on }: Notification): string | undefined {
  if (command.length === 0 && webhook === undefined) return 'tells nobody: give a `command` or a `webhook`'
  if (secret !== undefined && webhook === undefined) return 'has a `secret` but no `webhook` that it would sign'
  if (on?.includes('late') === true && lateAfter === undefined)
    return 'nothing is `late` without a longest time between loads: give one, as in PT2H'
  return undefined
}

/** Who is told of the work of a pipeline. */
const tellings = new WeakMap<Pipeline, Telling>()

/**
 * Sends a notice to everybody who is told of a pipeline's work, whatever they wait for: it says that it is a test. Gives what
 * went wrong, for each of them. Nobody is told of a pipeline without notifications: then there is nothing in the list.
 */
export async function testNotifications(
  made: Pipeline,
  signal?: AbortSignal,
): Promise<readonly (string | undefined)[]> {
  const telling = tellings.get(made)
  if (telling === undefined) return []
  const { toldTest } = await import('./toldWork.js')
  return await toldTest(telling, signal)
}

/** The same pipeline, whose work is an attempt at, or a part of, something that others are told of. */
export function asPart(told: Pipeline, part: ToldPart): Pipeline {
  const telling = tellings.get(told)
  return telling === undefined ? told : tellingPipeline(telling, part)
}

/**
 * Tells everybody who is told of a pipeline's work how some of it ended. Gives the notifications that failed.
 */
export async function tellEnd(told: Pipeline, end: Omit<WorkEnd, 'hearing'>): Promise<readonly RunWarning[]> {
  const telling = tellings.get(told)
  if (telling === undefined) return []
  const { toldEnd } = await import('./toldWork.js')
  return await toldEnd(telling, end)
}

/** {@link notifying} without checks. */
export function announced(made: Pipeline, receivers: readonly Receiver[], settings: NotifySettings): Pipeline {
  return receivers.length === 0 ? made : tellingPipeline({ made, receivers, settings }, {})
}

function tellingPipeline(telling: Telling, part: ToldPart): Pipeline {
  const { made, receivers, settings } = telling
  const tell = async <Result>(
    work: NotifiedWork,
    asked: WorkOptions | undefined,
    start: (listening: EventListener<RunEvent>) => Promise<Result>,
  ): Promise<Told<Result>> => {
    const { toldWork } = await import('./toldWork.js')
    return await toldWork(telling, { work, asked, part, start })
  }
  const told: Pipeline = {
    ...made,
    with: changes => tellingPipeline({ made: made.with(changes), receivers, settings }, part),
    async run(options) {
      const { result, failed } = await tell('run', options, onEvent => made.run({ ...options, onEvent }))
      return { ...result, warnings: [...result.warnings, ...failed] }
    },
    async replay(loadId, options) {
      const start = (onEvent: EventListener<RunEvent>) => made.replay(loadId, { ...options, onEvent })
      const { result, failed } = await tell('replay', options, start)
      return { ...result, warnings: [...result.warnings, ...failed] }
    },
    async backfill(resource, options) {
      const start = (onEvent: EventListener<RunEvent>) => made.backfill(resource, { ...options, onEvent })
      return (await tell('backfill', options, start)).result
    },
  }
  tellings.set(told, telling)
  return told
}
