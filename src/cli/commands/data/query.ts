import { createWriteStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { finished } from 'node:stream/promises'
import { replaceBy } from '../../../journal/wholeFile.js'
import { ConfigError, QueryError, SluiceError } from '../../../model/errors.js'
import { queryBatches, queryToParquet } from '../../../pipeline/look/dataset.js'
import { type Pipeline, scrubberOf } from '../../../pipeline/pipeline.js'
import { type ExitCode, exitCodeOf, worstOf } from '../../failure.js'
import { counted, printable, printableLines } from '../../terminal/printable.js'
import { type CsvOptions, type PrintedFormat, printRows, rowFormat } from '../../terminal/rowFormats.js'
import { tell, tellDone } from '../../terminal/tell.js'
import { outputTo } from '../../terminal/terminal.js'
import { type CommandContext, openPipeline, type PipelineOverrides } from '../command.js'
import { showPipeline } from './show.js'

export interface QueryCommandOptions extends PipelineOverrides, CsvOptions {
  readonly pipeline?: string | undefined
  readonly json?: boolean
  readonly csv?: boolean
  /** File that gets what would be printed. */
  readonly out?: string | undefined
  /** File that gets the rows instead of the terminal. */
  readonly parquet?: string | undefined
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
  const { parquet, out } = options
  if (parquet !== undefined) await refuseTarget(parquet, '--parquet')
  if (out !== undefined) await refuseTarget(out, '--out')
  const pipeline = await openPipeline(file, options, 'reads', context.terminal.err)
  const { input } = context
  const ask = (statement: string, signal = context.signal): Promise<undefined> =>
    parquet === undefined
      ? answer(pipeline, statement, rowFormat(options), options, { ...context, signal })
      : writeRows(pipeline, statement, parquet, { ...context, signal })
  const look = (table: string | undefined): Promise<ExitCode> =>
    showPipeline(pipeline, table, { columnsOnly: true }, context)
  if (sql !== undefined) await ask(sql)
  else if (input !== undefined && (options.interactive === true || input.isTTY))
    return await converse({ ask, look, pipeline, file }, input, context)
  else await ask(input === undefined ? '' : await textOf(input))
  return 0
}

async function answer(
  pipeline: Pipeline,
  sql: string,
  format: PrintedFormat,
  options: QueryCommandOptions,
  { terminal: { out, err }, signal }: CommandContext,
): Promise<undefined> {
  refuseStatement(sql)
  const place = { ...pipeline, scrubber: scrubberOf(pipeline) }
  const rows = () => queryBatches(place, { sql, exactTimes: true }, signal)
  const { out: path, limit } = options
  if (path === undefined) {
    await printRows(rows(), format, out, limit, options)
    return
  }
  await replaceBy(resolve(path), async partial => {
    const stream = createWriteStream(partial, { flags: 'wx' })
    const ended = finished(stream)
    // Before it is waited for, an error must not be one that nobody catches.
    ended.catch(() => {})
    try {
      await printRows(rows(), format, outputTo(stream), limit, options)
    } finally {
      stream.end()
    }
    await ended
  })
  tellDone(err, printable(`${path} is written.`))
}

async function writeRows(
  pipeline: Pipeline,
  sql: string,
  path: string,
  { terminal: { err }, signal }: CommandContext,
): Promise<undefined> {
  refuseStatement(sql)
  const place = { ...pipeline, scrubber: scrubberOf(pipeline) }
  const rows = await replaceBy(resolve(path), partial => queryToParquet(place, { sql }, partial, signal))
  tellDone(err, printable(`${counted(rows, 'row')} written into ${path}.`))
}

/** Before anything is asked. */
async function refuseTarget(path: string, flag: '--parquet' | '--out'): Promise<void> {
  const refuse = (message: string): ConfigError => new ConfigError([{ place: { path: flag }, message }])
  const target = resolve(path)
  if (path === '' || (await stat(target).catch(() => undefined))?.isDirectory() === true)
    throw refuse(`${JSON.stringify(path)} is a folder; name a file in it`)
  const folder = dirname(target)
  if ((await stat(folder).catch(() => undefined))?.isDirectory() !== true)
    throw refuse(`the folder ${folder} does not exist; make it first`)
}

function refuseStatement(sql: string): void {
  if (sql.trim() === '') throw new QueryError("there is none. Write it behind the file: sluice query FILE 'SELECT …'")
  const [, word] = LONE_WORD.exec(sql) ?? []
  if (word !== undefined) {
    throw new QueryError(`${word} is one word. For the rows of a table write SELECT * FROM ${word} LIMIT 10`)
  }
}

/** A name in place of a statement, as `sluice show` takes it. */
const LONE_WORD = /^\s*("[^"]+"|[\p{L}_][\p{L}\p{N}_.]*)[\s;]*$/u

interface Answers {
  readonly ask: (sql: string, signal?: AbortSignal) => Promise<undefined>
  /** Lists the tables, or shows the columns of one. */
  readonly look: (table: string | undefined) => Promise<ExitCode>
  readonly pipeline: Pipeline
  readonly file: string
}

/**
 * A statement ends with `;` at the end of a line. Each one has a connection of its own, so that a run can load while
 * nothing is asked. One that fails does not stop the others. On a terminal a person has seen it; the statements of a file or
 * a pipe end with the worst exit code of all.
 */
async function converse(
  { ask, look, pipeline, file }: Answers,
  input: NodeJS.ReadStream,
  { terminal: { out, err }, signal }: CommandContext,
): Promise<ExitCode> {
  const isTerminal = input.isTTY && out.isTerminal
  const settings = { prompt: FIRST, signal }
  const { lines, remember } = isTerminal
    ? await typedInShell(pipeline, file, input, settings)
    : { lines: createInterface({ input, ...settings }), remember: async () => {} }
  if (isTerminal) err.line('A statement ends with `;`. .help lists the commands, .quit ends.')
  const codes: ExitCode[] = []
  let stop = new AbortController()
  let isPrompting = false
  const survive = async (work: (signal: AbortSignal) => Promise<ExitCode | undefined>): Promise<void> => {
    try {
      codes.push((await work(AbortSignal.any([signal, stop.signal]))) ?? 0)
    } catch (error) {
      if (!(error instanceof SluiceError) || signal.aborted) throw error
      for (const line of printableLines(error.message).split('\n')) tell(err, line, 2, 'red')
      codes.push(exitCodeOf(error))
    }
  }
  let statement = ''
  const show = (): void => {
    lines.setPrompt(statement === '' ? FIRST : NEXT)
    stop = new AbortController()
    isPrompting = true
    if (isTerminal) lines.prompt()
  }
  lines.on('line', () => {
    isPrompting = false
  })
  // Ctrl-C stops what runs, else forgets what was typed, else ends.
  lines.on('SIGINT', () => {
    if (!isPrompting) return stop.abort(new Error('Ctrl-C'))
    if (statement === '' && lines.line === '') return lines.close()
    statement = ''
    lines.write(null, { ctrl: true, name: 'e' })
    lines.write(null, { ctrl: true, name: 'u' })
    show()
  })
  show()
  for await (const line of lines) {
    const command = statement === '' ? shellCommand(line) : undefined
    if (command?.does === 'quit') break
    if (command?.does === 'help') err.line(HELP)
    else if (command?.does === 'tables') await survive(() => look(command.table))
    else if (command !== undefined) {
      tell(err, printable(`There is no command ${command.name}. .help lists them.`))
      codes.push(2)
    } else statement = `${statement}${line}\n`
    if (statement.trim() === '') statement = ''
    if (/;\s*$/.test(statement)) {
      const whole = statement
      await survive(stopped => ask(whole, stopped))
      statement = ''
    }
    show()
  }
  if (statement.trim() !== '') await survive(stopped => ask(statement, stopped))
  lines.close()
  await remember()
  return isTerminal ? 0 : worstOf(codes)
}

async function typedInShell(
  pipeline: Pipeline,
  file: string,
  input: NodeJS.ReadStream,
  settings: { readonly prompt: string; readonly signal: AbortSignal },
) {
  const [{ typedLines }, { workingFolder }, { processEnvironment }] = await Promise.all([
    import('./shellInput.js'),
    import('../../../config/lookup/secretFiles.js'),
    import('../../../config/lookup/environment.js'),
  ])
  const history = join(workingFolder(processEnvironment(), dirname(resolve(file))), 'query_history')
  const commands = Object.keys(COMMANDS).filter(name => name.startsWith('.') || name.startsWith('\\'))
  return await typedLines(pipeline, commands, history, input, settings)
}

interface ShellCommand {
  /** Undefined: there is no such command. */
  readonly does: 'help' | 'tables' | 'quit' | undefined
  readonly name: string
  readonly table: string | undefined
}

/** Words that people type in the shells of DuckDB, SQLite, psql and MySQL. No statement begins with one of them. */
const COMMANDS: Readonly<Record<string, ShellCommand['does']>> = {
  ...entries(['help', '?', '.help', '.h', '\\?', '\\h'], 'help'),
  ...entries(['.tables', '.schema', '\\d', '\\dt', '\\d+'], 'tables'),
  ...entries(['quit', 'exit', '.quit', '.exit', '.q', '\\q'], 'quit'),
}

function entries(names: readonly string[], does: ShellCommand['does']): Readonly<Record<string, ShellCommand['does']>> {
  return Object.fromEntries(names.map(name => [name, does]))
}

/** The command on a line. Undefined: the line belongs to a statement. */
function shellCommand(line: string): ShellCommand | undefined {
  const [name = '', table, ...more] = line
    .trim()
    .replace(/[;\s]+$/, '')
    .split(/\s+/)
  const known = Object.hasOwn(COMMANDS, name.toLowerCase())
  if (!known && !/^(\.[a-z]|\\)/i.test(name)) return undefined
  const does = more.length === 0 ? COMMANDS[name.toLowerCase()] : undefined
  return { does, name, table: table?.replace(/^"(.*)"$/, '$1') }
}

const HELP = [
  '.tables        lists the tables (or \\d)',
  '.schema TABLE  shows the columns of a table (or \\d TABLE)',
  '.quit          ends (or \\q, quit, exit, Ctrl-D)',
  'Tab            completes tables, columns and words; the arrow keys bring back earlier lines',
  'Ctrl-C         stops a statement, or forgets what is typed',
  'Anything else is SQL. It may take several lines and ends with `;`.',
].join('\n')

const FIRST = 'sluice> '
const NEXT = '   ...> '

async function textOf(input: NodeJS.ReadStream): Promise<string> {
  let text = ''
  for await (const part of input.setEncoding('utf8')) text += part
  return text
}
