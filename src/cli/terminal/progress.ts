import type { RunEvent } from '../../model/events.js'
import { systemClock } from '../../pipeline/clock.js'
import { clip, counted, displayWidth, printable, wrapped } from './printable.js'
import {
  cellsOf,
  clockTime,
  type LineCell,
  observe,
  type ProgressCells,
  type ResourceProgress,
} from './resourceProgress.js'
import { pad } from './table.js'
import type { Output } from './terminal.js'

/**
 * Shows the progress of a run, one line for each resource. A terminal redraws the lines in place. Other outputs get
 * them now and then, each with the time.
 */
export interface ProgressView {
  show(event: RunEvent): void
  /** Leaves the last state on the screen and shows nothing more. */
  close(): void
  /** Takes the lines that were redrawn from the screen and shows nothing more: what follows says the same. */
  clear(): void
}

const REDRAW_EVERY_MS = 100
const PLAIN_LINE_EVERY_MS = 2_000

/** `now` returns milliseconds and never goes back. `time` is the wall's clock, in milliseconds since the epoch. */
export function progressView(output: Output, now: () => number, time: () => number = systemClock.now): ProgressView {
  return output.isTerminal ? liveView(output, now, time) : plainView(output, now, time)
}

function liveView(output: Output, now: () => number, time: () => number): ProgressView {
  const resources = new Map<string, ResourceProgress>()
  let drawnLines = 0
  let commit: { readonly text: string; readonly startedMs: number } | undefined

  const erase = (): void => {
    if (drawnLines > 0) output.write(`\r\x1b[${drawnLines}A\x1b[0J`)
    drawnLines = 0
  }
  const draw = (mostLines: number): void => {
    // A wrapped line would count as two and break the next redraw.
    const columns = output.columns() - 1
    let lines = alignedLines(resources, now(), columns, output)
    if (commit !== undefined) {
      const passed = Math.floor((now() - commit.startedMs) / 1_000)
      lines.push(clip(passed === 0 ? commit.text : `${commit.text} (${passed} s)`, columns))
    }
    // Lines that scrolled off the top cannot be erased.
    const left = lines.length - mostLines
    if (left > 0) lines = [`… ${left + 1} more`, ...lines.slice(left + 1)]
    erase()
    for (const line of lines) output.line(line)
    drawnLines = lines.length
  }
  const drawWhatFits = (): void => draw(Math.max(1, output.rows() - 1))
  const timer = setInterval(drawWhatFits, REDRAW_EVERY_MS)
  timer.unref()
  output.erasers?.add(erase)
  return {
    show(event) {
      observe(resources, event, { nowMs: now(), time: time() })
      if (event.type === 'committing') commit = { text: committingText(event), startedMs: now() }
      if (event.type === 'committed') commit = undefined
      const announced = announcement(event)
      if (announced === undefined) return
      erase()
      for (const line of wrapped(announced, output.columns() - 1))
        output.line(event.type === 'warning' ? output.styled('yellow', line) : line)
      drawWhatFits()
    },
    close() {
      clearInterval(timer)
      output.erasers?.delete(erase)
      commit = undefined
      draw(Number.POSITIVE_INFINITY)
    },
    clear() {
      clearInterval(timer)
      output.erasers?.delete(erase)
      erase()
    },
  }
}

function plainView(output: Output, now: () => number, time: () => number): ProgressView {
  const resources = new Map<string, ResourceProgress>()
  const printedMs = new Map<string, number>()
  const line = (text: string): void => output.line(`${clockTime(time())} ${text}`)
  return {
    show(event) {
      const nowMs = now()
      const progress = observe(resources, event, { nowMs, time: time() })
      const announced = announcement(event)
      if (announced !== undefined) line(announced)
      if (event.type === 'committing') line(committingText(event))
      if (progress === undefined || event.type === 'resource_started') return
      const due = (printedMs.get(progress.resource) ?? progress.startedMs) + PLAIN_LINE_EVERY_MS <= nowMs
      const isLongWait = 'delayMs' in event && event.delayMs >= PLAIN_LINE_EVERY_MS
      if (!due && !isLongWait && event.type !== 'resource_finished') return
      printedMs.set(progress.resource, nowMs)
      const cells = cellsOf(progress, resources, nowMs, output)
      line(
        PLAIN_CELLS.map(name => cells[name].text)
          .filter(text => text !== '')
          .join('  '),
      )
    },
    close() {},
    clear() {},
  }
}

function committingText({ rows }: Extract<RunEvent, { type: 'committing' }>): string {
  return `committing ${counted(rows, 'row')}`
}

/** Text that is printed once and stays on the screen. */
function announcement(event: RunEvent): string | undefined {
  switch (event.type) {
    case 'run_started': {
      const resumed =
        event.resumedPages === 0 ? '' : `, resuming after ${counted(event.resumedPages, 'page')} of an interrupted run`
      const profile = event.profile === undefined ? '' : ` (profile ${event.profile})`
      return printable(`${event.pipeline}${profile} → ${event.destination}, dataset ${event.dataset}${resumed}`)
    }
    case 'warning':
      return printable(`warning: ${warningText(event)}`)
    case 'detected':
      return printable(`${event.resource}: ${event.what} ${event.guess}, detected: ${event.why}`)
    default:
      return undefined
  }
}

function warningText({ resource, message, namesResource }: Extract<RunEvent, { type: 'warning' }>): string {
  return resource === undefined || namesResource ? message : `${resource}: ${message}`
}

type CellName = keyof ProgressCells

const LIVE_CELLS: readonly CellName[] = [
  'resource',
  'bar',
  'parents',
  'pages',
  'records',
  'share',
  'rate',
  'left',
  'retries',
  'state',
]
const PLAIN_CELLS = LIVE_CELLS.filter(name => name !== 'bar')

/** What a narrow terminal goes without, first to last. */
const FIRST_TO_GO: readonly CellName[] = ['bar', 'pages', 'rate', 'retries', 'left', 'share']

/** A name is not made shorter than this for the sake of other cells. */
const LEAST_NAME = 16

function alignedLines(
  resources: ReadonlyMap<string, ResourceProgress>,
  nowMs: number,
  columns: number,
  output: Pick<Output, 'styled' | 'isTerminal'>,
): string[] {
  const rows = [...resources.values()].map(progress => cellsOf(progress, resources, nowMs, output))
  const widths = new Map<CellName, number>(
    LIVE_CELLS.map(name => [name, Math.max(0, ...rows.map(row => displayWidth(row[name].text)))]),
  )
  for (const [name, width] of widths) if (width === 0) widths.delete(name)
  // The state comes last and may be cut: it is a sentence.
  const total = (): number => {
    const sum = [...widths].reduce((all, [name, width]) => (name === 'state' ? all : all + width + 2), -2)
    return sum + (widths.has('state') ? 2 + Math.min(widths.get('state') ?? 0, LEAST_STATE) : 0)
  }
  for (const name of FIRST_TO_GO) {
    if (total() <= columns) break
    widths.delete(name)
  }
  const name = widths.get('resource') ?? 0
  const excess = total() - columns
  if (excess > 0) widths.set('resource', Math.max(Math.min(name, LEAST_NAME), name - excess))
  return rows.map(row => lineOf(row, widths, columns, output))
}

/** So much of a state is worth other cells: `retry in 900 ms: status 503`. */
const LEAST_STATE = 27

function lineOf(
  row: ProgressCells,
  widths: ReadonlyMap<CellName, number>,
  columns: number,
  output: Pick<Output, 'styled' | 'isTerminal'>,
): string {
  const parts = [...widths].map(([name, width]) => ({ ...row[name], text: clip(row[name].text, width), width }))
  const shown = parts.slice(0, parts.findLastIndex(part => part.text !== '') + 1)
  const told = shown.pop()
  if (told === undefined) return ''
  const width = (cells: readonly SizedCell[]): number => cells.reduce((sum, cell) => sum + cell.width + 2, 0)
  // A sentence that is too long begins where the cells before it have nothing to tell.
  if (told.align === 'left')
    while (width(shown) + displayWidth(told.text) > columns && shown.at(-1)?.text === '') shown.pop()
  const room = columns - width(shown)
  const plain = [...shown, told].map(part => pad(part.text, part.width, part.align)).join('  ')
  if (room <= 0) return clip(plain.trimEnd(), columns)
  const styled = (part: SizedCell): string => {
    const padded = pad(part.text, part.width, part.align)
    return part.style === undefined ? padded : output.styled(part.style, padded)
  }
  const isLeft = told.align === 'left'
  const last = { ...told, text: clip(told.text, room), width: isLeft ? 0 : Math.min(told.width, room) }
  return [...shown, last].map(styled).join('  ')
}

interface SizedCell extends LineCell {
  readonly width: number
}
