import { fileDigest } from '../../../config/file/fileDigest.js'
import type { JsonValue } from '../../../json/value.js'
import { stringifyJson } from '../../../json/write.js'
import { compareRanks, cursorRank } from '../../../model/cursors/cursorOrder.js'
import { type CursorRange, cursorText, rangeText } from '../../../model/cursors/cursorRange.js'
import { ConfigError } from '../../../model/errors.js'
import type { RunEvent } from '../../../model/events.js'
import { count } from '../../../model/verdict.js'
import type { WindowOptions } from '../../../pipeline/backfill/askedRange.js'
import type { Partition, WindowOutcome } from '../../../pipeline/backfill/loadWindows.js'
import type { BackfillStatus } from '../../../pipeline/backfill/runBackfill.js'
import type { ExitCode } from '../../failure.js'
import { amount, counted, duration, printable, wrapped } from '../../terminal/printable.js'
import { textTable } from '../../terminal/table.js'
import { markedVerdict, tell, tellDone } from '../../terminal/tell.js'
import { type Output, widthOf } from '../../terminal/terminal.js'
import { type CommandContext, openPipeline, type PipelineOverrides } from '../command.js'

export interface BackfillCommandOptions extends PipelineOverrides {
  readonly pipeline?: string | undefined
  readonly resource: string
  readonly from?: string | undefined
  readonly to?: string | undefined
  readonly step?: string | undefined
  readonly newestFirst?: boolean | undefined
  readonly status?: boolean | undefined
  readonly parallel?: number | undefined
  readonly partition?: string | undefined
  readonly claimTimeout?: number | undefined
  readonly retryFailed?: boolean | undefined
  readonly json?: boolean | undefined
}

/** `sluice backfill FILE`: loads what is missing of a range, window by window. With `--status`, only shows it. */
export async function backfillCommand(
  file: string,
  options: BackfillCommandOptions,
  context: CommandContext,
): Promise<ExitCode> {
  const { out, err } = context.terminal
  const { resource, from, to, step, json } = options
  const pipeline = await openPipeline(file, options, options.status === true ? 'reads' : 'requests', err)
  const order = options.newestFirst === true ? 'newest_first' : undefined
  const asked: WindowOptions = { from, to, step, order }
  if (options.status === true) {
    const status = await pipeline.backfillStatus(resource, asked)
    if (json === true) out.line(stringifyJson(statusDocument(status)))
    else for (const line of statusLines(status, widthOf(out))) out.line(line)
    return 0
  }
  const partition = partitionOf(options)
  const startedMs = context.now()
  const onEvent = (event: RunEvent): void => {
    if (event.type === 'warning') tell(err, printable(`warning: ${event.message}`), 2, 'yellow')
  }
  const show = json === true ? jsonLines(out) : textLines(out)
  const { loads, dataset } = await pipeline.backfill(resource, {
    ...asked,
    retryFailed: options.retryFailed,
    parallel: options.parallel,
    partition: partition === undefined ? undefined : { ...partition, code: (await fileDigest(file)).slice(0, 16) },
    signal: context.signal,
    onEvent,
    onPlan: status => {
      if (json !== true) tell(out, printable(begun(status, options.retryFailed === true)))
    },
    onWindow: show,
  })
  if (json === true) return 0
  const records = sumOf(loads.map(load => load.records))
  const took = duration(context.now() - startedMs)
  if (loads.length > 0)
    tellDone(
      out,
      printable(
        `${count(loads.length, 'window')} committed: ${counted(records, 'record')} of ${resource} into ${dataset} (${took}).`,
      ),
    )
  return 0
}

function partitionOf({ partition, claimTimeout }: BackfillCommandOptions): Partition | undefined {
  if (partition === undefined) return undefined
  const [, index, of] = /^([1-9]\d{0,5})\/([1-9]\d{0,5})$/.exec(partition) ?? []
  if (index === undefined || of === undefined) {
    const message = `is ${JSON.stringify(partition)}; expected a part of all processes, as in 3/16`
    throw new ConfigError([{ place: { path: '--partition' }, message }])
  }
  const claimTimeoutMs = claimTimeout === undefined ? undefined : claimTimeout * 1000
  return { index: Number(index), of: Number(of), claimTimeoutMs }
}

function begun(status: BackfillStatus, retriesOnly: boolean): string {
  const { resource, done, failed, missing } = status
  const range = `${resource} ${rangeOf(status)}`
  const committed = `${count(done.length, 'window')} committed`
  if (retriesOnly && failed.length === 0) return `${range}: no window has failed; ${committed}.`
  const windows = retriesOnly ? failed : [...missing, ...failed]
  if (windows.length === 0) return `${range}: nothing is missing; ${committed}.`
  const before = done.length === 0 ? '' : `, ${done.length} committed before`
  const again = failed.length === 0 ? '' : `, ${failed.length} of them failed before`
  const requests = sumOf(done.map(one => one.requests))
  const about =
    requests === 0
      ? ''
      : ` At ${requests} requests for those that are committed, about ${Math.ceil((requests / done.length) * windows.length)} more.`
  return `${range}: ${count(windows.length, 'window')} to load${again}${before}.${about} It may be stopped at any time; the same command goes on.`
}

/** What a backfill is asked for, for people. */
function rangeOf({ partition, from, to }: BackfillStatus): string {
  if (partition === 'values') return 'by values'
  const range = `from ${cursorText(from)} to ${cursorText(to)}`
  return partition === undefined ? range : `by ${partition} ${range}`
}

/** A line for each window, with the time left as soon as it can be told. */
function textLines(out: Output): (outcome: WindowOutcome) => void {
  let ended = 0
  return outcome => {
    const window = rangeText(outcome)
    if (outcome.outcome !== 'halved') ended += 1
    if (outcome.outcome !== 'loaded') {
      const reason = outcome.outcome === 'failed' ? `: ${outcome.error.message}` : ''
      tell(out, printable(`${window}  ${OTHERWISE[outcome.outcome]}${reason}`))
      return
    }
    const { load, durationMs, left, estimate } = outcome
    const rest =
      left === 0 ? '' : `, about ${count(estimate.requests, 'request')} and ${duration(estimate.durationMs)} left`
    const facts = `${count(load.records, 'record')}, ${count(load.requests, 'request')}, ${duration(durationMs)}`
    tell(
      out,
      printable(`${window}  ${markedVerdict(load.verdict, out)}  ${facts}  (${ended} of ${ended + left}${rest})`),
    )
  }
}

const OTHERWISE = { failed: 'failed', halved: 'too much for the API: halved', elsewhere: 'loaded by another process' }

function jsonLines(out: Output): (outcome: WindowOutcome) => void {
  return outcome => {
    const { error, ...rest } = 'error' in outcome ? outcome : { ...outcome, error: undefined }
    out.line(stringifyJson({ ...rest, ...(error === undefined ? {} : { message: error.message }) } as never))
  }
}

function statusDocument({ resource, cursorPath, partition, from, to, done, failed, missing, running }: BackfillStatus) {
  const windows = done.map(({ start, end, loadId, verdict, requests, records }) => ({
    start,
    end,
    load_id: loadId,
    verdict,
    requests,
    records,
  }))
  return {
    resource,
    ...(partition === undefined ? { cursor_path: cursorPath } : { partition }),
    from,
    to,
    done: windows,
    failed: failed.map(({ start, end, tries, atMs, reason }) => ({ start, end, tries, at: timeOf(atMs), reason })),
    missing: missing.map(window => ({ ...window })),
    running: running.map(({ start, end, atMs }) => ({ start, end, heard_at: timeOf(atMs) })),
  }
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString()
}

function statusLines(status: BackfillStatus, width: number): readonly string[] {
  const { resource, cursorPath, partition, done, failed, running } = status
  const starts = new Set(running.map(({ start }) => stringifyJson(start)))
  const missing = status.missing.filter(({ start }) => !starts.has(stringifyJson(start)))
  const parts = [
    ...done.map(({ start, end, loadId, verdict, records }) => ({
      start,
      end,
      told: [verdict, amount(records), loadId],
    })),
    ...failed.map(({ start, end, tries }) => ({ start, end, told: [`failed ${count(tries, 'time')}`, '', ''] })),
    ...running.map(({ start, end, atMs }) => ({ start, end, told: [`loading, heard of at ${timeOf(atMs)}`, '', ''] })),
    ...joined(missing).map(({ start, end, windows }) => ({
      start,
      end,
      told: [`missing, ${count(windows, 'window')}`, '', ''],
    })),
  ].sort((a, b) => compareRanks(cursorRank(a.start), cursorRank(b.start)) ?? 0)
  const rows = parts.map(({ start, end, told }) => [
    cursorText(start),
    partition === 'values' ? '' : cursorText(end),
    ...told,
  ])
  return [
    ...wrapped(
      printable(`${resource}${partition === undefined ? ` by ${cursorPath},` : ''} ${rangeOf(status)}`),
      width,
      2,
    ),
    '',
    ...textTable(STATUS_COLUMNS, rows, width),
    ...failed.flatMap(window => [
      '',
      ...wrapped(printable(`${rangeText(window)} failed at ${timeOf(window.atMs)}: ${window.reason}`), width, 2),
    ]),
  ]
}

const STATUS_COLUMNS = [
  { title: 'from' },
  { title: 'to' },
  { title: 'state' },
  { title: 'records', align: 'right' },
  { title: 'load' },
] as const

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0)
}

/** Windows that follow each other, as one range with their number. */
function joined(windows: readonly CursorRange[]): readonly (CursorRange & { readonly windows: number })[] {
  const ranges: { start: JsonValue; end: JsonValue; windows: number }[] = []
  for (const { start, end } of windows) {
    const last = ranges.at(-1)
    if (last === undefined || (last.end !== start && last.start !== end)) {
      ranges.push({ start, end, windows: 1 })
      continue
    }
    if (last.end === start) last.end = end
    else last.start = start
    last.windows += 1
  }
  return ranges
}
