import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { onTestFinished } from 'vitest'
import { parse } from 'yaml'
import { sluice } from '../../src/cli/program.js'
import { type ImportedFile, type ImportOptions, importPipeline } from '../../src/index.js'

/** A folder that is removed with the test. */
export async function emptyFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-import-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

export interface Printed {
  readonly exitCode: number
  readonly out: string
  readonly err: string
}

/** The command within this process. Its standard input holds `input`. */
export async function command(args: readonly string[], input = ''): Promise<Printed> {
  const printed = { out: '', err: '' }
  const output = (name: 'out' | 'err') => ({
    isTerminal: false,
    columns: () => 200,
    rows: () => 24,
    write: (text: string) => {
      printed[name] += text
    },
    line: (text = '') => {
      printed[name] += `${text}\n`
    },
    styled: (_style: string, text: string) => text,
  })
  const exitCode = await sluice(args, {
    terminal: { out: output('out'), err: output('err') },
    input: Readable.from([input]) as unknown as NodeJS.ReadStream,
    version: 'test',
    signal: new AbortController().signal,
    now: () => 0,
  })
  return { exitCode, ...printed }
}

// biome-ignore lint/suspicious/noExplicitAny: tests look into documents of any form
export type Data = any

/** The one pipeline that a text becomes, and its document as the file has it. */
export async function imported(options: ImportOptions): Promise<{ readonly file: ImportedFile; readonly data: Data }> {
  const { pipelines, leftOut } = await importPipeline(options)
  const [file] = pipelines
  if (file === undefined) throw new Error(`nothing was imported: ${JSON.stringify(leftOut)}`)
  return { file, data: parse(file.text) }
}

/** Imports by the command, runs what was written, and gives the rows of a table. */
export async function importAndRun(
  args: readonly string[],
  table: string,
  secrets: Readonly<Record<string, string>> = {},
  input = '',
): Promise<{ readonly text: string; readonly printed: string; readonly rows: readonly Record<string, unknown>[] }> {
  const folder = await emptyFolder()
  const file = join(folder, 'made.yaml')
  const made = await command(['import', ...args, '--out', file, '--destination', 'duckdb:made.duckdb'], input)
  if (made.exitCode !== 0) throw new Error(made.out + made.err)
  const env = { ...process.env }
  Object.assign(process.env, secrets)
  try {
    const ran = await command(['run', file])
    if (ran.exitCode !== 0) throw new Error(ran.out + ran.err)
    const shown = await command(['show', file, table, '--json'])
    const rows = shown.out
      .trim()
      .split('\n')
      .filter(line => line !== '')
      .map(line => JSON.parse(line) as Record<string, unknown>)
    return { text: await readFile(file, 'utf8'), printed: made.out + made.err + ran.out, rows }
  } finally {
    for (const name of Object.keys(secrets)) delete process.env[name]
    Object.assign(process.env, env)
  }
}
