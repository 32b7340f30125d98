import { ConfigError, type ErrorCode, QueryError, SluiceError } from '../model/errors.js'
import { printableLines } from './terminal/printable.js'
import { NoAnswer } from './terminal/prompt.js'
import type { Output } from './terminal/terminal.js'

/**
 * 0: done. 1: it failed. 2: fix the file or the command line first; no request was sent. 130: the user ended it instead
 * of answering.
 */
export type ExitCode = 0 | 1 | 2 | 130

/** Reports what failed and how to fix it, and chooses the exit code. The stack is for `--debug` only. */
export function reportFailure(error: unknown, output: Output, debug: boolean): ExitCode {
  const hint = hintFor(error)
  output.line(`${output.styled('red', 'error:')} ${printableLines(messageOf(error))}`)
  if (hint !== undefined) output.line(`${output.styled('bold', 'hint:')} ${hint}`)
  if (error instanceof SluiceError) {
    output.line(`${output.styled('bold', 'code:')} ${error.code} (sluice explain ${error.code})`)
  }
  if (debug) output.line(printableLines(stackOf(error)))
  if (error instanceof NoAnswer) return 130
  return error instanceof ConfigError || error instanceof QueryError ? 2 : 1
}

function messageOf(error: unknown): string {
  if (error instanceof SluiceError) return error.message
  if (error instanceof Error && error.name === 'AbortError') return error.message
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
  return `unexpected: ${text} (this is a fault in Sluice or in a function of the pipeline; --debug shows where)`
}

function stackOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const own = error.stack ?? error.message
  return error.cause === undefined ? own : `${own}\ncaused by: ${stackOf(error.cause)}`
}

const HINTS: Partial<Readonly<Record<ErrorCode, string>>> = {
  connection: 'check base_url and the network; pages already received are kept, so running again continues there',
  timeout: 'the API may be slow or down; pages already received are kept, so running again continues there',
  rate_limit: 'run again after that time: the run continues after the pages already received',
  incomplete: 'nothing was committed; --allow-incomplete commits what arrived',
  destination_locked: 'run again when whatever holds it has let go',
  commit_unknown: 'run again: it looks whether the load is there, and loads it only if it is not',
  aborted: 'nothing was committed; running again continues after the pages already received',
}

function hintFor(error: unknown): string | undefined {
  return error instanceof SluiceError ? HINTS[error.code] : undefined
}
