import { createInterface } from 'node:readline'
import { QueryError, SluiceError } from '../../model/errors.js'
import { queryBatches } from '../../pipeline/look/dataset.js'
import { type Pipeline, scrubberOf } from '../../pipeline/pipeline.js'
import type { ExitCode } from '../failure.js'
import { printableLines } from '../terminal/printable.js'
import { printRows, type RowFormat, rowFormat } from '../terminal/rowFormats.js'
import { type CommandContext, openPipeline, type PipelineOverrides } from './command.js'

export interface QueryCommandOptions extends PipelineOverrides {
  readonly pipeline?: string | undefined
  readonly json?: boolean
  readonly csv?: boolean
  /** Rows to print. Default: 100 in a table, otherwise all. */
  readonly limit?: number | undefined
  readonly interactive?: boolean
}

/**
 * `sluice query FILE [SQL]`: prints the rows of one statement that only reads. Without SQL, reads it from the standard
 * input, or asks for one statement after the other on a terminal.
 */
export async function queryCommand(
  file: string,
  sql: string | undefined,
  options: QueryCommandOptions,
  context: CommandContext,
): Promise<ExitCode> {
  const pipeline = await openPipeline(file, options, 'reads', context.terminal.err)
  const { input } = context
  const ask = (statement: string): Promise<void> => answer(pipeline, statement, rowFormat(options), options, context)
  if (sql !== undefined) await ask(sql)
  else if (input !== undefined && (options.interactive === true || input.isTTY)) await converse(ask, input, context)
  else if (input !== undefined) await ask(await textOf(input))
  else throw new QueryError("there is none. Write it behind the file: sluice query FILE 'SELECT …'")
  return 0
}

async function answer(
  pipeline: Pipeline,
  sql: string,
  format: RowFormat,
  { limit }: QueryCommandOptions,
  { terminal, signal }: CommandContext,
): Promise<void> {
  const place = { ...pipeline, scrubber: scrubberOf(pipeline) }
  await printRows(queryBatches(place, { sql, exactTimes: true }, signal), format, terminal.out, limit)
}

/**
 * A statement ends with `;` at the end of a line. Each one has a connection of its own, so that a run can load while
 * nothing is asked.
 */
async function converse(
  ask: (sql: string) => Promise<void>,
  input: NodeJS.ReadStream,
  { terminal: { out, err }, signal }: CommandContext,
): Promise<void> {
  const isTerminal = input.isTTY && out.isTerminal
  const lines = createInterface({ input, ...(isTerminal ? { output: process.stdout } : {}), prompt: FIRST, signal })
  if (isTerminal) err.line('A statement ends with `;`. SHOW TABLES; lists the tables, .quit ends.')
  let statement = ''
  const show = (): void => {
    lines.setPrompt(statement === '' ? FIRST : NEXT)
    if (isTerminal) lines.prompt()
  }
  show()
  for await (const line of lines) {
    if (statement === '' && /^\s*\.(quit|exit|q)\s*$/.test(line)) break
    statement = `${statement}${line}\n`
    if (statement.trim() === '') statement = ''
    if (/;\s*$/.test(statement)) {
      await ask(statement).catch((error: unknown) => {
        if (!(error instanceof SluiceError) || signal.aborted) throw error
        err.line(printableLines(err.styled('red', error.message)))
      })
      statement = ''
    }
    show()
  }
  if (statement.trim() !== '') await ask(statement)
  lines.close()
}

const FIRST = 'sluice> '
const NEXT = '   ...> '

async function textOf(input: NodeJS.ReadStream): Promise<string> {
  let text = ''
  for await (const part of input.setEncoding('utf8')) text += part
  return text
}
