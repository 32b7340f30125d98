import { dirname, resolve } from 'node:path'
import { ConfigError } from '../../../model/errors.js'
import type { RunEvent } from '../../../model/events.js'
import type { Receipt } from '../../../model/receipt.js'
import type { Pipeline } from '../../../pipeline/pipeline.js'
import { type ExitCode, reportFailure, worstOf } from '../../failure.js'
import { eventLog } from '../../terminal/eventLog.js'
import { amount, counted, duration, printable } from '../../terminal/printable.js'
import { type ProgressView, progressView } from '../../terminal/progress.js'
import { failedLines, receiptLines } from '../../terminal/receiptLines.js'
import { textTable } from '../../terminal/table.js'
import { type Output, widthOf } from '../../terminal/terminal.js'
import {
  type CommandContext,
  eventLines,
  execute,
  isRepeated,
  openPipelines,
  type RunCommandOptions,
} from '../command.js'

/** Memory and connections are bounded by pipeline. */
const FILES_AT_ONCE = 4

/** How one pipeline, or a file that could not be opened, ended. */
interface FileOutcome {
  readonly name: string
  readonly receipts: readonly Receipt[]
  /** What the summary says. */
  readonly end: string
  readonly error?: unknown
}

/**
 * Runs several files, a few at a time, with one budget for each host. One that fails does not stop the others. Ends with
 * one summary, and with the worst exit code.
 */
export async function runFiles(
  files: readonly string[],
  options: RunCommandOptions,
  context: CommandContext,
): Promise<ExitCode> {
  const { out, err } = context.terminal
  const { hostBudget } = await import('../../../rest/http/rateLimit.js')
  const budget = hostBudget()
  const opened: { readonly file: string; readonly pipelines: readonly Pipeline[] }[] = []
  const outcomes: FileOutcome[] = []
  for (const file of files) {
    try {
      opened.push({ file, pipelines: await openPipelines(file, options, 'requests', undefined, budget) })
    } catch (error) {
      outcomes.push({ name: file, receipts: [], end: 'failed', error })
    }
  }
  refuseTwins(opened)
  const failing = new AbortController()
  const signal = AbortSignal.any([context.signal, failing.signal])
  const view = options.json === true ? undefined : await viewOf(options, context)
  const stopAll = (): void => {
    if (options.failFast === true) failing.abort(new DOMException('stopped: another pipeline failed', 'AbortError'))
  }
  if (outcomes.length > 0) stopAll()
  const waiting = [...opened]
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      for (const pipeline of next.pipelines) {
        const outcome = await runOne(pipeline, options, { ...context, signal }, view)
        outcomes.push(outcome)
        if (outcome.error === undefined) continue
        stopAll()
        break
      }
    }
  }
  await Promise.all(Array.from({ length: FILES_AT_ONCE }, work))
  view?.close()
  if (options.json !== true) for (const line of summary(outcomes, out)) out.line(line)
  const codes = outcomes.flatMap(({ name, error, receipts }): ExitCode[] => {
    if (error === undefined) return []
    err.line(`\n${printable(name)}:`)
    return [
      reportFailure(error, err, {
        typedAs: context.typedAs,
        debug: options.debug === true,
        keptPages: receipts.length > 0,
      }),
    ]
  })
  return worstOf(codes)
}

async function runOne(
  pipeline: Pipeline,
  options: RunCommandOptions,
  context: CommandContext,
  view: ProgressView | undefined,
): Promise<FileOutcome> {
  const { name } = pipeline
  const startedMs = context.now()
  const receipts: Receipt[] = []
  const print = view === undefined ? eventLines(context.terminal.out) : undefined
  const named = (resource: string): string => `${name}.${resource}`
  const onEvent = (event: RunEvent): void => {
    if (event.type === 'resource_finished') receipts.push({ ...event.receipt, resource: named(event.receipt.resource) })
    print?.(event)
    if (isRepeated(event, context.terminal.err)) return
    view?.show(
      'resource' in event && event.resource !== undefined ? { ...event, resource: named(event.resource) } : event,
    )
  }
  try {
    context.signal.throwIfAborted()
    const { rows, loadId } = await execute(pipeline, options, context, onEvent)
    const count = Object.values(rows).reduce((sum, one) => sum + one, 0)
    const took = duration(context.now() - startedMs)
    const end =
      loadId === undefined ? `nothing to load (${took})` : `load ${loadId}: ${counted(count, 'row')} (${took})`
    return { name, receipts, end }
  } catch (error) {
    return { name, receipts, end: context.signal.aborted ? 'stopped' : 'failed', error }
  }
}

async function viewOf(options: RunCommandOptions, { terminal: { err }, now }: CommandContext): Promise<ProgressView> {
  const { isDebugging, processEnvironment } = await import('../../../config/lookup/environment.js')
  return options.verbose === true || isDebugging(processEnvironment()) ? eventLog(err, now) : progressView(err, now)
}

/** Each would go on with the state of the other, and both would commit over it. */
function refuseTwins(opened: readonly { readonly file: string; readonly pipelines: readonly Pipeline[] }[]): void {
  const taken = new Map<string, string>()
  for (const { file, pipelines } of opened) {
    for (const { name, destination, datasetName } of pipelines) {
      const place = JSON.stringify([name, destination.place ?? destination.name, datasetName])
      const journals = JSON.stringify([name, dirname(resolve(file))])
      const other = taken.get(place) ?? taken.get(journals)
      if (other !== undefined) {
        const message = `its pipeline ${name} has the name, and the state or the journals, of the one of ${other}: give one of them another \`name\``
        throw new ConfigError([{ place: { path: '', file }, message }])
      }
      taken.set(place, file)
      taken.set(journals, file)
    }
  }
}

function summary(outcomes: readonly FileOutcome[], out: Output): string[] {
  const loaded = outcomes.flatMap(({ error, receipts }) => (error === undefined ? receipts : []))
  const unloaded = outcomes.filter(({ error, receipts }) => error !== undefined && receipts.length > 0)
  const failed = outcomes.filter(({ error }) => error !== undefined).length
  const done = `${amount(outcomes.length - failed)} of ${counted(outcomes.length, 'pipeline')} loaded`
  return [
    '',
    ...(loaded.length === 0 ? [] : [...receiptLines(loaded, { out }), '']),
    ...unloaded.flatMap(({ receipts, error }) => [...failedLines(receipts, error, out), '']),
    ...textTable(
      [{ title: 'pipeline' }, { title: 'result' }],
      outcomes.map(({ name, end }) => [name, end]),
      widthOf(out),
    ),
    failed === 0 ? done : `${done}, ${amount(failed)} not`,
  ]
}
