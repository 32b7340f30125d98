import type { RunEvent } from '../../model/events.js'
import { amount, clip, counted, duration, printable, rate } from './printable.js'
import type { Output } from './terminal.js'

/**
 * Shows the progress of a run, one line for each resource. A terminal redraws the lines in place. Other outputs get
 * them now and then.
 */
export interface ProgressView {
  show(event: RunEvent): void
  /** Leaves the last state on the screen and shows nothing more. */
  close(): void
}

const REDRAW_EVERY_MS = 100
const PLAIN_LINE_EVERY_MS = 2_000

interface ResourceProgress {
  readonly resource: string
  readonly startedMs: number
  pages: number
  pagesFromJournal: number
  records: number
  retries: number
  finished: { readonly atMs: number; readonly verdict: string } | undefined
  waiting: { readonly untilMs: number; readonly reason: string } | undefined
}

/** `now` returns milliseconds and never goes back. */
export function progressView(output: Output, now: () => number): ProgressView {
  return output.isTerminal ? liveView(output, now) : plainView(output, now)
}

function liveView(output: Output, now: () => number): ProgressView {
  const resources = new Map<string, ResourceProgress>()
  let drawnLines = 0
  let footer = ''

  const erase = (): void => {
    if (drawnLines > 0) output.write(`\x1b[${drawnLines}A\x1b[0J`)
    drawnLines = 0
  }
  const draw = (mostLines: number): void => {
    let lines = alignedLines([...resources.values()], now())
    if (footer !== '') lines.push(footer)
    // Lines that scrolled off the top cannot be erased.
    const left = lines.length - mostLines
    if (left > 0) lines = [`… ${left + 1} more`, ...lines.slice(left + 1)]
    erase()
    // A wrapped line would count as two and break the next redraw.
    for (const line of lines) output.line(clip(line, output.columns() - 1))
    drawnLines = lines.length
  }
  const drawWhatFits = (): void => draw(Math.max(1, output.rows() - 1))
  const timer = setInterval(drawWhatFits, REDRAW_EVERY_MS)
  timer.unref()
  return {
    show(event) {
      record(resources, event, now())
      if (event.type === 'committing') footer = `committing ${counted(event.rows, 'row')}`
      if (event.type === 'committed') footer = ''
      const line = announcement(event)
      if (line === undefined) return
      erase()
      output.line(event.type === 'warning' ? output.styled('yellow', line) : line)
      drawWhatFits()
    },
    close() {
      clearInterval(timer)
      footer = ''
      draw(Number.POSITIVE_INFINITY)
    },
  }
}

function plainView(output: Output, now: () => number): ProgressView {
  const resources = new Map<string, ResourceProgress>()
  const printedMs = new Map<string, number>()
  return {
    show(event) {
      const time = now()
      record(resources, event, time)
      const line = announcement(event)
      if (line !== undefined) output.line(line)
      if (event.type === 'committing') output.line(`committing ${counted(event.rows, 'row')}`)
      const progress = 'resource' in event && event.resource !== undefined ? resources.get(event.resource) : undefined
      if (progress === undefined || event.type === 'warning' || event.type === 'detected') return
      const due = (printedMs.get(progress.resource) ?? progress.startedMs) + PLAIN_LINE_EVERY_MS <= time
      if (!due && event.type !== 'resource_finished') return
      printedMs.set(progress.resource, time)
      output.line(
        parts(progress, time)
          .filter(part => part !== '')
          .join('  '),
      )
    },
    close() {},
  }
}

/** Text that is printed once and stays on the screen. */
function announcement(event: RunEvent): string | undefined {
  switch (event.type) {
    case 'run_started': {
      const resumed =
        event.resumedPages === 0 ? '' : `, resuming after ${counted(event.resumedPages, 'page')} of an interrupted run`
      return printable(`${event.pipeline} → ${event.destination}, dataset ${event.dataset}${resumed}`)
    }
    case 'warning':
      return printable(`warning: ${warningText(event)}`)
    case 'detected':
      return printable(`${event.resource}: ${event.what} ${event.guess}, detected: ${event.why}`)
    default:
      return undefined
  }
}

function record(resources: Map<string, ResourceProgress>, event: RunEvent, time: number): void {
  if (!('resource' in event) || event.resource === undefined || event.type === 'warning') return
  let progress = resources.get(event.resource)
  if (progress === undefined) {
    progress = {
      resource: event.resource,
      startedMs: time,
      pages: 0,
      pagesFromJournal: 0,
      records: 0,
      retries: 0,
      finished: undefined,
      waiting: undefined,
    }
    resources.set(event.resource, progress)
  }
  switch (event.type) {
    case 'page':
      progress.pages += 1
      progress.pagesFromJournal += event.fromJournal ? 1 : 0
      progress.records += event.records
      progress.waiting = undefined
      break
    case 'retry':
      progress.retries += 1
      progress.waiting = { untilMs: time + event.delayMs, reason: event.reason }
      break
    case 'waiting':
      progress.waiting = { untilMs: time + event.delayMs, reason: event.reason }
      break
    case 'resource_finished':
      progress.finished = { atMs: time, verdict: event.receipt.verdict }
      progress.waiting = undefined
      break
  }
}

function alignedLines(resources: readonly ResourceProgress[], time: number): string[] {
  const rows = resources.map(progress => parts(progress, time))
  const widths = PARTS.map((_, index) => Math.max(...rows.map(row => row[index]?.length ?? 0)))
  return rows.map(row =>
    row
      .map((part, index) =>
        (index === 0 || index === row.length - 1 ? part.padEnd : part.padStart).call(part, widths[index] ?? 0),
      )
      .filter((_, index) => widths[index] !== 0)
      .join('  ')
      .trimEnd(),
  )
}

const PARTS = ['resource', 'pages', 'records', 'rate', 'retries', 'state'] as const

function parts(progress: ResourceProgress, time: number): string[] {
  const { waiting, finished, pagesFromJournal } = progress
  const resumed = pagesFromJournal === 0 ? '' : ` (${amount(pagesFromJournal)} from the journal)`
  return [
    printable(progress.resource),
    `${counted(progress.pages, 'page')}${resumed}`,
    counted(progress.records, 'record'),
    rate(progress.records, (finished?.atMs ?? time) - progress.startedMs),
    progress.retries === 0 ? '' : counted(progress.retries, 'retry', 'retries'),
    finished !== undefined
      ? finished.verdict
      : waiting !== undefined && waiting.untilMs > time
        ? printable(`waiting ${duration(waiting.untilMs - time)}: ${waiting.reason}`)
        : '',
  ]
}

function warningText({ resource, message, namesResource }: Extract<RunEvent, { type: 'warning' }>): string {
  return resource === undefined || namesResource ? message : `${resource}: ${message}`
}
