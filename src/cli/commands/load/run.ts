import type { RunEvent } from '../../../model/events.js'
import type { Receipt } from '../../../model/receipt.js'
import type { Pipeline } from '../../../pipeline/pipeline.js'
import type { RunResult } from '../../../pipeline/setup.js'
import { redactUrl } from '../../../rest/http/redact.js'
import { type ExitCode, reportFailure } from '../../failure.js'
import { eventLog } from '../../terminal/eventLog.js'
import { counted, duration, printable } from '../../terminal/printable.js'
import { progressView } from '../../terminal/progress.js'
import { failedLines, receiptLines } from '../../terminal/receiptLines.js'
import { shellWord } from '../../terminal/shellWord.js'
import { tell, tellDone } from '../../terminal/tell.js'
import type { CommandContext, PipelineOverrides } from '../command.js'
import { eventLines, execute, isRepeated, namedFiles, openFile, type RunCommandOptions } from '../command.js'

/**
 * `sluice run FILE…`: runs the pipelines of a file one after the other and stops at the first that fails. Several files
 * run in parallel.
 */
export async function runCommand(
  paths: readonly string[],
  options: RunCommandOptions,
  context: CommandContext,
): Promise<ExitCode> {
  const files = await namedFiles(paths, context.terminal.err)
  const [file = '', ...others] = files
  if (others.length > 0) return await (await import('./runFiles.js')).runFiles(files, options, context)
  let pages = 0
  try {
    const { pipelines, schedule } = await openFile(file, options, 'requests')
    for (const pipeline of pipelines) {
      pages = 0
      const start = (onEvent: (event: RunEvent) => void) =>
        execute(pipeline, options, context, event => {
          if (event.type === 'page') pages += 1
          onEvent(event)
        })
      await reported(start, { ...options, file, pipeline: pipelines.length === 1 ? undefined : pipeline.name }, context)
      if (options.json !== true) await tellProofs(file, pipeline, context)
    }
    if (schedule !== undefined && options.json !== true) tellSchedule(schedule, context)
    return 0
  } catch (error) {
    return reportFailure(error, context.terminal.err, {
      typedAs: context.typedAs,
      debug: options.debug === true,
      keptPages: pages > 0,
    })
  }
}

/** For people, who may expect that a run keeps the schedule. */
function tellSchedule(schedule: string, { terminal: { out }, typedAs }: CommandContext): void {
  if (out.isTerminal)
    tell(
      out,
      printable(`This was one run. \`${typedAs} worker\` runs it by its schedule, ${schedule} (docs/scale.md).`),
    )
}

/** What the API showed about the document, after the receipts. */
async function tellProofs(file: string, pipeline: Pipeline, { terminal }: CommandContext): Promise<void> {
  const { keptProofLines } = await import('../file/prove.js')
  for (const [resource, line] of await keptProofLines(file, pipeline, terminal.err))
    tell(terminal.out, printable(`${resource}: ${line}`))
}

/** Starts a run and shows its progress: for people, briefly or with every event, or every event as a line of JSON. */
export async function reported(
  start: (onEvent: (event: RunEvent) => void) => Promise<RunResult>,
  called: Called & { readonly json?: boolean | undefined; readonly verbose?: boolean | undefined },
  context: CommandContext,
): Promise<void> {
  const { json, verbose } = called
  const { out } = context.terminal
  if (json === true) await start(eventLines(out))
  else {
    const { isDebugging, processEnvironment } = await import('../../../config/lookup/environment.js')
    await reportedToPeople(start, called, context, verbose === true || isDebugging(processEnvironment()))
  }
}

async function reportedToPeople(
  start: (onEvent: (event: RunEvent) => void) => Promise<RunResult>,
  called: Called,
  context: CommandContext,
  verbose: boolean,
): Promise<void> {
  const { out, err } = context.terminal
  const receipts: Receipt[] = []
  const progress = verbose ? eventLog(err, context.now) : progressView(err, context.now)
  const startedMs = context.now()
  let place = { destination: '', dataset: '' }
  let profile: string | undefined
  let result: RunResult
  try {
    result = await start(event => {
      if (event.type === 'run_started') {
        place = event
        profile = event.profile
      }
      if (event.type === 'resource_finished') receipts.push(event.receipt)
      if (!isRepeated(event, err)) progress.show(event)
    })
  } catch (error) {
    // The receipts show how far it came. That is worth as much as the error.
    progress.close()
    if (receipts.length > 0) {
      out.line(`\n${failedLines(receipts, error, out).join('\n')}\n`)
    }
    throw error
  }
  // The table of receipts says the same and more.
  if (out.isTerminal && result.receipts.length > 0) progress.clear()
  else progress.close()
  if (result.receipts.length > 0)
    out.line(`\n${receiptLines(result.receipts, { changes: result.changes, out }).join('\n')}\n`)
  const took = duration(context.now() - startedMs)
  if (result.loadId === undefined) {
    out.line(`Nothing to load (${took}).`)
    return
  }
  const rows = Object.values(result.rows).reduce((sum, count) => sum + count, 0)
  tellDone(
    out,
    printable(
      `Load ${result.loadId} committed: ${counted(rows, 'row')} into ${place.destination}, dataset ${place.dataset} (${took}).`,
    ),
  )
  const isGone = place.destination === 'duckdb::memory:'
  const ask = isGone ? undefined : question(result, { ...called, profile }, context.typedAs)
  if (ask !== undefined) tell(out, printable(ask))
}

/** How the command was called, as far as the next one is called like it. */
interface Called extends PipelineOverrides {
  readonly file: string
  /** Named where the file holds several. */
  readonly pipeline?: string | undefined
}

/** The command that asks the new rows, as a person would type it. Undefined if there are none, or if it would show a credential. */
function question(
  { rows }: RunResult,
  { file, destination, dataset, pipeline, profile }: Called,
  typedAs: string,
): string | undefined {
  const [table] = Object.entries(rows).find(([name, count]) => count > 0 && /^[a-z_][a-z0-9_]*$/.test(name)) ?? []
  if (table === undefined) return undefined
  if (destination !== undefined && redactUrl(destination) !== destination) return undefined
  const flags = Object.entries({ destination, dataset, profile, pipeline }).map(([name, value]) =>
    value === undefined ? '' : ` --${name} ${shellWord(value)}`,
  )
  return `Ask it: ${typedAs} query ${shellWord(file)} 'SELECT * FROM ${table} LIMIT 10'${flags.join('')}`
}
