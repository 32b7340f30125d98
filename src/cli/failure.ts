import { ConfigError, type ErrorCode, QueryError, SluiceError } from '../model/errors.js'
import { printableLines, wrapped } from './terminal/printable.js'
import { NoAnswer } from './terminal/prompt.js'
import { tellBegun } from './terminal/tell.js'
import { type Output, type Style, widthOf } from './terminal/terminal.js'

/**
 * 0: done. 1: it failed. 2: fix the file or the command line first; no request was sent. 3: it was done, and found
 * something to decide: `import` no list, `prove` a fault of the file, `record` and `test` other tables, `drift` and
 * `schema diff` a change. 130: the user ended it instead of answering.
 */
export type ExitCode = 0 | 1 | 2 | 3 | 130

const WORST_FIRST: readonly ExitCode[] = [130, 2, 1, 3]

/** The worst of several: 2 tells of a file to fix. */
export function worstOf(codes: readonly ExitCode[]): ExitCode {
  return WORST_FIRST.find(code => codes.includes(code)) ?? 0
}

export interface FailureOptions {
  /** How the user types the command; default `sluice`. */
  readonly typedAs?: string
  /** Whether to print the stack. */
  readonly debug: boolean
  /** Whether the next run continues after pages of this one. */
  readonly keptPages?: boolean
}

/** Reports what failed and how to fix it, and chooses the exit code. The stack is for `--debug` only. */
export function reportFailure(
  error: unknown,
  output: Output,
  { typedAs = 'sluice', debug, keptPages = false }: FailureOptions,
): ExitCode {
  if (error instanceof NoAnswer) {
    output.line(error.message)
    return 130
  }
  const hint = hintFor(error, keptPages)
  tellTitled(output, 'error:', printableLines(messageOf(error)), 'red')
  if (hint !== undefined) tellTitled(output, 'hint:', hint, 'bold')
  if (error instanceof SluiceError) {
    tellTitled(output, 'code:', `${error.code} (${typedAs} explain ${error.code})`, 'bold')
  }
  if (debug) output.line(printableLines(stackOf(error)))
  return exitCodeOf(error)
}

/** 2 for what the user must fix first, 1 for every other failure. */
export function exitCodeOf(error: unknown): 1 | 2 {
  return error instanceof ConfigError || error instanceof QueryError ? 2 : 1
}

function tellTitled(output: Output, title: string, text: string, style: Style): void {
  const lines = `${title} ${text}`.split('\n').flatMap(line => wrapped(line, widthOf(output), 2))
  tellBegun(output, lines, title, style)
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

/** After these the next run of the same document continues with the pages of this one. Messages say the rest. */
const RESUMED: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['connection', 'timeout', 'http_status', 'aborted'])

function hintFor(error: unknown, keptPages: boolean): string | undefined {
  if (!(error instanceof SluiceError)) return undefined
  if (!keptPages || !RESUMED.has(error.code)) return undefined
  return 'the pages received so far are kept: the next run with the same options continues after them'
}
