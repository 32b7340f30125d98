import type { JsonObject } from '../../../json/value.js'
import { stringifyJson } from '../../../json/write.js'
import { isFromJournal, type Receipt, rowsOf, worstVerdict } from '../../../model/receipt.js'
import type { PastLoad } from '../../../pipeline/look/pastLoads.js'
import type { UncommittedRun } from '../../../pipeline/look/uncommittedRuns.js'
import type { Pipeline } from '../../../pipeline/pipeline.js'
import type { ExitCode } from '../../failure.js'
import { amount, printable } from '../../terminal/printable.js'
import { receiptLines } from '../../terminal/receiptLines.js'
import { textTable } from '../../terminal/table.js'
import { tell } from '../../terminal/tell.js'
import { type Output, widthOf } from '../../terminal/terminal.js'
import { type CommandContext, openPipeline, type PipelineOverrides } from '../command.js'
import { nothingLoaded } from './schema.js'

export interface HistoryCommandOptions extends PipelineOverrides {
  readonly pipeline?: string | undefined
  readonly limit?: number | undefined
  /** Only runs that committed nothing. */
  readonly failed?: boolean
  readonly json?: boolean
}

/** `sluice history FILE [LOAD]`: lists the committed loads and the runs without one, or prints the receipts of a load. */
export async function historyCommand(
  file: string,
  loadId: string | undefined,
  options: HistoryCommandOptions,
  { terminal: { out, err } }: CommandContext,
): Promise<ExitCode> {
  const pipeline = await openPipeline(file, options, 'reads', err)
  if (options.failed === true) return await listUncommitted(pipeline, options, out)
  const loads = await pipeline.dataset().history({ limit: options.limit, loadId })
  const [newest] = loads
  if (newest === undefined) {
    tell(
      err,
      loadId === undefined
        ? nothingLoaded(pipeline)
        : printable(`error: there is no load ${loadId}; sluice history ${file} lists them`),
    )
    if (loadId !== undefined) return 2
    const runs = await failedRuns(pipeline, options)
    if (options.json !== true) for (const line of runLines(runs)) tell(out, line, 2)
    return 1
  }
  if (options.json === true) {
    for (const { committedAt, ...load } of loads) {
      out.line(stringifyJson({ ...load, committedAt: committedAt.toISOString() } as unknown as JsonObject))
    }
    return 0
  }
  if (loadId === undefined) {
    for (const line of listed(loads, pipeline, widthOf(out))) out.line(line)
    const [last] = (await pipeline.uncommittedRuns()).filter(({ outcome }) => outcome === 'unchanged')
    if (last !== undefined && last.at > newest.committedAt) for (const line of ['', lookLine(last)]) out.line(line)
    const lines = runLines(await failedRuns(pipeline, options))
    if (lines.length > 0) out.line()
    for (const line of lines) tell(out, line, 2)
  } else {
    tell(out, printable(`Load ${newest.loadId}, committed ${newest.committedAt.toISOString()}`))
    out.line()
    const lines = receiptLines(newest.receipts, { out })
    for (const line of lines.length === 0 ? [NO_RECEIPTS] : lines) out.line(line)
  }
  return 0
}

const NO_RECEIPTS = 'It has no receipts: it stored only the state or the schema, or another tool made it.'

/** The newest runs that failed or were stopped. */
async function failedRuns(
  pipeline: Pipeline,
  { limit = MOST_LISTED }: HistoryCommandOptions,
): Promise<readonly UncommittedRun[]> {
  const runs = await pipeline.uncommittedRuns()
  return runs.filter(({ outcome }) => outcome !== 'unchanged').slice(0, limit)
}

const MOST_LISTED = 5

/** Each run in one paragraph. Nothing if there is none. */
function runLines(runs: readonly UncommittedRun[]): readonly string[] {
  if (runs.length === 0) return []
  return [
    'Runs that committed nothing, newest first. Only this machine knows of them.',
    ...runs.map(({ at, outcome, verdicts, code, reason }) => {
      const weakest = weakestOf(verdicts)
      const why = reason === undefined ? '' : `: ${reason.replace(/\s*\n\s*/g, '; ')} (${code})`
      return printable(`${secondsOf(at)} ${outcome}${weakest === undefined ? '' : `, ${weakest}`}${why}`)
    }),
  ]
}

async function listUncommitted(
  pipeline: Pipeline,
  { limit, json }: HistoryCommandOptions,
  out: Output,
): Promise<ExitCode> {
  const runs = (await pipeline.uncommittedRuns()).slice(0, limit)
  if (json === true) {
    for (const { at, outcome, verdicts, code = null, reason = null } of runs)
      out.line(stringifyJson({ at: at.toISOString(), outcome, verdicts: { ...verdicts }, code, reason }))
    return 0
  }
  const lines = runs.length === 0 ? ['This machine knows of no run that committed nothing.'] : runLines(runs)
  for (const line of lines) tell(out, line, 2)
  return 0
}

function weakestOf(verdicts: UncommittedRun['verdicts']): string | undefined {
  return worstVerdict(Object.values(verdicts).map(verdict => ({ verdict })))
}

function lookLine({ at, verdicts }: UncommittedRun): string {
  const weakest = weakestOf(verdicts)
  return printable(
    `Last run without news: ${secondsOf(at)}, ${weakest ?? 'nothing was read'}. Only this machine knows of it.`,
  )
}

function secondsOf(at: Date): string {
  return `${at.toISOString().slice(0, 19)}Z`
}

const ABOUT = [
  { title: 'load', isWhole: true },
  { title: 'committed', isWhole: true },
  { title: 'verdict', isWhole: true },
] as const

const COUNTS = [
  { title: 'records', align: 'right' },
  { title: 'rows', align: 'right' },
  { title: 'deleted', align: 'right', mayGoBelow: true },
  { title: 'discarded', align: 'right', mayGoBelow: true },
] as const

const ORIGIN = { title: 'pages from', isWhole: true } as const

const RESOURCES = { title: 'resources', mayGoBelow: true } as const

/**
 * `discarded` only where something was: every other list fits into 80 columns. `resources` where other pipelines load into the dataset. `pages from`
 * where a load took them from a journal.
 */
function listed(loads: readonly PastLoad[], { source }: Pipeline, width: number): readonly string[] {
  const own = new Set(source.resources.map(({ name }) => name))
  const isShared = loads.some(({ receipts }) => receipts.some(({ resource }) => !own.has(resource)))
  const hasDiscarded = loads.some(({ receipts }) => receipts.some(({ discardedRows }) => discardedRows > 0))
  const hasReplays = loads.some(load => originOf(load) === A_JOURNAL)
  const end = hasDiscarded ? COUNTS.length : COUNTS.length - 1
  return textTable(
    [...ABOUT, ...(hasReplays ? [ORIGIN] : []), ...(isShared ? [RESOURCES] : []), ...COUNTS.slice(0, end)],
    loads.map(load => [
      ...aboutOf(load),
      ...(hasReplays ? [originOf(load)] : []),
      ...(isShared ? [resourcesOf(load)] : []),
      ...countsOf(load).slice(0, end),
    ]),
    width,
  )
}

const A_JOURNAL = 'a journal'

function originOf({ receipts }: PastLoad): string {
  if (receipts.some(({ requests }) => requests > 0)) return 'the API'
  return receipts.some(isFromJournal) ? A_JOURNAL : '–'
}

const MOST_NAMES = 3

function resourcesOf({ receipts }: PastLoad): string {
  const names = receipts.map(({ resource }) => resource)
  const others = names.length - MOST_NAMES
  return others > 0 ? `${names.slice(0, MOST_NAMES).join(', ')} and ${amount(others)} more` : names.join(', ')
}

function aboutOf({ loadId, committedAt, receipts }: PastLoad): string[] {
  return [loadId, secondsOf(committedAt), worstVerdict(receipts) ?? '–']
}

function countsOf({ receipts }: PastLoad): string[] {
  const sum = (of: (receipt: Receipt) => number): string =>
    receipts.length === 0 ? '–' : amount(receipts.reduce((total, receipt) => total + of(receipt), 0))
  return [
    sum(({ records }) => records),
    sum(rowsOf),
    sum(({ deleted = 0 }) => deleted),
    sum(({ discardedRows }) => discardedRows),
  ]
}
