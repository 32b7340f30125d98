import type { RunEvent } from '../../model/events.js'
import type { Receipt } from '../../model/receipt.js'
import type { RunResult } from '../../pipeline/setup.js'
import { type ExitCode, reportFailure } from '../failure.js'
import { eventLog } from '../terminal/eventLog.js'
import { amount, duration, printable } from '../terminal/printable.js'
import { progressView } from '../terminal/progress.js'
import { receiptLines } from '../terminal/receiptLines.js'
import type { CommandContext } from './command.js'
import { openPipelines } from './command.js'
import { eventLines, execute, namedFiles, type RunCommandOptions } from './execute.js'

/**
 * `sluice run FILE…`: runs the pipelines of a file one after the other and stops at the first that fails. Several files
 * run in parallel.
 */
export async function runCommand(
  paths: readonly string[],
  options: RunCommandOptions,
  context: CommandContext,
): Promise<ExitCode> {
  const { files, skipped } = await namedFiles(paths)
  for (const path of skipped) context.terminal.err.line(printable(`${path} is no pipeline file: skipped`))
  const [file = '', ...others] = files
  if (others.length > 0) return await (await import('./runFiles.js')).runFiles(files, options, context)
  let pages = 0
  try {
    for (const pipeline of await openPipelines(file, options, 'requests')) {
      pages = 0
      const start = (onEvent: (event: RunEvent) => void) =>
        execute(pipeline, options, context, event => {
          if (event.type === 'page') pages += 1
          onEvent(event)
        })
      await reported(start, options, context)
    }
    return 0
  } catch (error) {
    return reportFailure(error, context.terminal.err, { debug: options.debug === true, keptPages: pages > 0 })
  }
}

/** Starts a run and shows its progress: for people, briefly or with every event, or every event as a line of JSON. */
export async function reported(
  start: (onEvent: (event: RunEvent) => void) => Promise<RunResult>,
  { json, verbose }: { readonly json?: boolean | undefined; readonly verbose?: boolean | undefined },
  context: CommandContext,
): Promise<void> {
  const { out } = context.terminal
  if (json === true) await start(eventLines(out))
  else {
    const { isDebugging, processEnvironment } = await import('../../config/environment.js')
    await reportedToPeople(start, context, verbose === true || isDebugging(processEnvironment()))
  }
}

async function reportedToPeople(
  start: (onEvent: (event: RunEvent) => void) => Promise<RunResult>,
  context: CommandContext,
  verbose: boolean,
): Promise<void> {
  const { out, err } = context.terminal
  const receipts: Receipt[] = []
  const progress = verbose ? eventLog(err, context.now) : progressView(err, context.now)
  const startedMs = context.now()
  let destination = ''
  let result: RunResult
  try {
    result = await start(event => {
      if (event.type === 'run_started') destination = `${event.destination}, dataset ${event.dataset}`
      if (event.type === 'resource_finished') receipts.push(event.receipt)
      progress.show(event)
    })
  } catch (error) {
    // The receipts show how far it came. That is worth as much as the error.
    progress.close()
    if (receipts.length > 0) out.line(`\n${receiptLines(receipts).join('\n')}\n`)
    throw error
  }
  // The table of receipts says the same and more.
  if (out.isTerminal && result.receipts.length > 0) progress.clear()
  else progress.close()
  if (result.receipts.length > 0) out.line(`\n${receiptLines(result.receipts).join('\n')}\n`)
  const took = duration(context.now() - startedMs)
  if (result.loadId === undefined) {
    out.line(`Nothing to load (${took}).`)
    return
  }
  const rows = Object.values(result.rows).reduce((sum, count) => sum + count, 0)
  out.line(printable(`Load ${result.loadId} committed: ${amount(rows)} rows into ${destination} (${took}).`))
}
