import type { RunEvent } from '../../model/events.js'
import type { Verdict } from '../../model/receipt.js'
import { amount, counted, duration, printable, rate } from './printable.js'
import { markedVerdict, verdictStyle } from './tell.js'
import type { Output, Style } from './terminal.js'

/** What a run did so far for one resource. */
export interface ResourceProgress {
  readonly resource: string
  parent: string | undefined
  readonly startedMs: number
  /** When its list was read to its end. */
  endedMs: number | undefined
  pages: number
  pagesFromJournal: number
  records: number
  recordsFromJournal: number
  /** Number of records that the API announced last. */
  announced: number | undefined
  /** Parent records whose lists were read, and those that are known. */
  parents: { readonly read: number; readonly known: number } | undefined
  retries: number
  verdict: Verdict | undefined
  waiting: Waiting | undefined
}

interface Waiting {
  readonly isRetry: boolean
  readonly untilMs: number
  /** The same moment on the clock, in milliseconds since the epoch. */
  readonly untilTime: number
  readonly reason: string
}

/** The moment of an event: on a clock that never goes back, and on that of the wall. */
export interface EventMoment {
  readonly nowMs: number
  readonly time: number
}

/** Adds an event. Returns the resource that it is about, if it is about one. */
export function observe(
  resources: Map<string, ResourceProgress>,
  event: RunEvent,
  moment: EventMoment,
): ResourceProgress | undefined {
  if (!('resource' in event) || event.resource === undefined) return undefined
  if (event.type === 'warning' || event.type === 'detected') return undefined
  const { nowMs } = moment
  const progress = resources.get(event.resource) ?? begun(event.resource, nowMs)
  resources.set(event.resource, progress)
  switch (event.type) {
    case 'resource_started':
      progress.parent = event.parent
      break
    case 'page':
      progress.pages += 1
      progress.records += event.records
      if (event.fromJournal) {
        progress.pagesFromJournal += 1
        progress.recordsFromJournal += event.records
      }
      progress.announced = event.announced
      progress.waiting = undefined
      break
    case 'list_finished':
      if (event.parentsRead === undefined) progress.endedMs = nowMs
      else progress.parents = { read: event.parentsRead, known: event.parentsKnown ?? event.parentsRead }
      break
    case 'retry':
      progress.retries += 1
      progress.waiting = waitingFor(event, moment)
      break
    case 'waiting':
      progress.waiting = waitingFor(event, moment)
      break
    case 'resource_finished':
      progress.endedMs ??= nowMs
      progress.verdict = event.receipt.verdict
      progress.waiting = undefined
      break
  }
  return progress
}

function begun(resource: string, startedMs: number): ResourceProgress {
  return {
    resource,
    startedMs,
    parent: undefined,
    endedMs: undefined,
    pages: 0,
    pagesFromJournal: 0,
    records: 0,
    recordsFromJournal: 0,
    announced: undefined,
    parents: undefined,
    retries: 0,
    verdict: undefined,
    waiting: undefined,
  }
}

function waitingFor(
  { type, delayMs, reason }: Extract<RunEvent, { type: 'retry' | 'waiting' }>,
  { nowMs, time }: EventMoment,
): Waiting {
  return { isRetry: type === 'retry', untilMs: nowMs + delayMs, untilTime: time + delayMs, reason }
}

/** How much of a resource was read, in records or in parent records. */
interface Share {
  readonly done: number
  readonly total: number
}

/**
 * Undefined while nobody knows how much there is, and when what came contradicts what was announced. The total is the
 * API's number: it may be wrong.
 */
function shareOf(progress: ResourceProgress, parent: ResourceProgress | undefined): Share | undefined {
  const { records, parents, announced } = progress
  if (progress.parent === undefined) return checkedShare(records, announced)
  // Only a parent that is itself one list announces all of its records.
  if (parents === undefined || parent === undefined || parent.parent !== undefined) return undefined
  const isParentRead = parent.endedMs !== undefined
  // A parent whose records are not all passed on says nothing about how many will be.
  if (!isParentRead && parents.known !== parent.records) return undefined
  return checkedShare(
    parents.read,
    isParentRead ? parents.known : checkedShare(parent.records, parent.announced)?.total,
  )
}

function checkedShare(done: number, total: number | undefined): Share | undefined {
  return total !== undefined && Number.isSafeInteger(total) && total > 0 && done <= total ? { done, total } : undefined
}

/** Too little has come before this to tell how long the rest takes. */
const LEAST_MS = 2_000
const LEAST_PAGES = 3
/** Beyond this, a guess is worth nothing. */
const MOST_MS_LEFT = 48 * 60 * 60 * 1000

/** Milliseconds until everything is read, at the pace so far. Pages of the journal tell nothing about the pace. */
function msLeft(progress: ResourceProgress, share: Share | undefined, nowMs: number): number | undefined {
  if (share === undefined || progress.endedMs !== undefined) return undefined
  const passed = nowMs - progress.startedMs
  if (passed < LEAST_MS || progress.pages - progress.pagesFromJournal < LEAST_PAGES) return undefined
  const done = progress.parent === undefined ? share.done - progress.recordsFromJournal : share.done
  if (done <= 0 || (progress.parent !== undefined && progress.pagesFromJournal > 0)) return undefined
  const left = (passed * (share.total - share.done)) / done
  return left > 0 && left <= MOST_MS_LEFT ? left : undefined
}

/** One cell of a resource's line. */
export interface LineCell {
  readonly text: string
  readonly align: 'left' | 'right'
  readonly style?: Style | undefined
}

/** The cells of a resource's line. Those without text have nothing to say. */
export interface ProgressCells {
  readonly resource: LineCell
  readonly bar: LineCell
  readonly parents: LineCell
  readonly pages: LineCell
  readonly records: LineCell
  readonly share: LineCell
  readonly rate: LineCell
  readonly left: LineCell
  readonly retries: LineCell
  readonly state: LineCell
}

export function cellsOf(
  progress: ResourceProgress,
  resources: ReadonlyMap<string, ResourceProgress>,
  nowMs: number,
  output: Pick<Output, 'isTerminal'>,
): ProgressCells {
  const { pagesFromJournal, recordsFromJournal, records, parents, endedMs } = progress
  const isEnded = endedMs !== undefined
  const share = isEnded
    ? undefined
    : shareOf(progress, progress.parent === undefined ? undefined : resources.get(progress.parent))
  const left = msLeft(progress, share, nowMs)
  const resumed = pagesFromJournal === 0 ? '' : ` (${amount(pagesFromJournal)} from the journal)`
  return {
    resource: cell(printable(progress.resource), 'left'),
    bar: { ...cell(share === undefined ? '' : bar(share), 'left'), style: 'dim' },
    parents: cell(parents === undefined ? '' : amountOf(parents.read, 'parent', share?.total)),
    pages: cell(`${counted(progress.pages, 'page')}${resumed}`),
    records: cell(amountOf(records, 'record', parents === undefined ? share?.total : undefined)),
    share: cell(share === undefined ? '' : percent(share)),
    rate: cell(rate(records - recordsFromJournal, (endedMs ?? nowMs) - progress.startedMs)),
    left: cell(left === undefined ? '' : `${roughly(left)} left`),
    retries: cell(progress.retries === 0 ? '' : counted(progress.retries, 'retry', 'retries')),
    state: stateOf(progress, nowMs, output),
  }
}

function cell(text: string, align: LineCell['align'] = 'right'): LineCell {
  return { text, align }
}

function amountOf(done: number, one: string, total: number | undefined): string {
  return total === undefined ? counted(done, one) : `${amount(done)} of ${counted(total, one)}`
}

/** Only what is read to its end is whole. */
function percent({ done, total }: Share): string {
  return `${Math.min(99, Math.floor((100 * done) / total))} %`
}

const BAR_WIDTH = 16

function bar({ done, total }: Share): string {
  const full = Math.floor((BAR_WIDTH * done) / total)
  return '━'.repeat(full) + '╌'.repeat(BAR_WIDTH - full)
}

function roughly(ms: number): string {
  const seconds = Math.ceil(ms / 1_000)
  if (seconds < 60) return `${seconds} s`
  const minutes = Math.ceil(seconds / 60)
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}

function stateOf(
  { verdict, waiting, endedMs }: ResourceProgress,
  nowMs: number,
  output: Pick<Output, 'isTerminal'>,
): LineCell {
  if (verdict !== undefined) return { ...cell(markedVerdict(verdict, output), 'left'), style: verdictStyle(verdict) }
  if (waiting !== undefined && waiting.untilMs > nowMs)
    return { ...cell(printable(waitText(waiting, nowMs)), 'left'), style: 'yellow' }
  return cell(endedMs === undefined ? '' : 'read', 'left')
}

const LONG_WAIT_MS = 60_000
const HALF_A_DAY_MS = 12 * 60 * 60 * 1000

function waitText({ isRetry, untilMs, untilTime, reason }: Waiting, nowMs: number): string {
  const left = untilMs - nowMs
  const moment = left < HALF_A_DAY_MS ? clockTime(untilTime) : dayTime(untilTime)
  const until = left < LONG_WAIT_MS ? '' : ` (until ${moment})`
  return `${isRetry ? 'retry in' : 'waiting'} ${duration(left)}${until}: ${reason}`
}

/** `20:44:01Z`. Empty for a moment that no calendar has. */
export function clockTime(time: number): string {
  return dayTime(time).replace(/^.*T/, '')
}

function dayTime(time: number): string {
  const date = new Date(time)
  return Number.isNaN(date.getTime()) ? '' : date.toISOString().replace(/\.\d+Z$/, 'Z')
}
