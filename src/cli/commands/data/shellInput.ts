import { readFile, writeFile } from 'node:fs/promises'
import { createInterface, type Interface } from 'node:readline'
import type { Pipeline } from '../../../pipeline/pipeline.js'

/** Lines that are kept from one session to the next. */
const MOST_LINES = 1_000

/** What Tab completes: names, and the columns of a table behind its name and a dot. */
interface Names {
  readonly tables: ReadonlyMap<string, readonly string[]>
}

/**
 * The lines that a person types on a terminal. Tab completes tables, columns, words of SQL and the commands of the shell; the arrow keys bring
 * back lines of earlier sessions. `remember` keeps those of this one. They may hold anything, so that only their owner may read the file.
 */
export async function typedLines(
  pipeline: Pipeline,
  commands: readonly string[],
  historyFile: string,
  input: NodeJS.ReadStream,
  settings: { readonly prompt: string; readonly signal: AbortSignal },
): Promise<{ readonly lines: Interface; readonly remember: () => Promise<void> }> {
  const earlier = await readFile(historyFile, 'utf8').catch(() => '')
  let known: Promise<Names> | undefined
  const completed = async (line: string): Promise<[string[], string]> => {
    // The tables are asked for once, and only when somebody needs them.
    known ??= namesOf(pipeline)
    return completions(line, await known, commands)
  }
  const lines = createInterface({
    ...settings,
    input,
    output: process.stdout,
    history: earlier.split('\n').filter(line => line !== ''),
    historySize: MOST_LINES,
    removeHistoryDuplicates: true,
    completer: (line: string, done: (error: null, result: [string[], string]) => void) => {
      void completed(line).then(result => done(null, result))
    },
  })
  let history: readonly string[] | undefined
  lines.on('history', (all: readonly string[]) => {
    history = [...all]
  })
  const remember = async (): Promise<void> => {
    // Where nobody loads there is no working folder, and none is made.
    if (history !== undefined) await writeFile(historyFile, history.join('\n'), { mode: 0o600 }).catch(() => {})
  }
  return { lines, remember }
}

async function namesOf(pipeline: Pipeline): Promise<Names> {
  try {
    const schema = await pipeline.dataset().schema()
    return { tables: new Map([...(schema?.tables ?? [])].map(([name, { columns }]) => [name, [...columns.keys()]])) }
  } catch {
    return { tables: new Map() }
  }
}

const WORDS =
  'SELECT FROM WHERE GROUP BY ORDER LIMIT JOIN LEFT ON USING AS AND OR NOT IN IS NULL LIKE BETWEEN HAVING DISTINCT COUNT SUM AVG MIN MAX CASE WHEN THEN ELSE END WITH UNION ALL DESC ASC DESCRIBE'.split(
    ' ',
  )

function completions(line: string, { tables }: Names, commands: readonly string[]): [string[], string] {
  const [, table, begun = ''] = /(?:([\p{L}_][\p{L}\p{N}_]*)\.)?([\p{L}_][\p{L}\p{N}_]*|)$/u.exec(line) ?? []
  const isCommand = /^\s*[.\\]\S*$/.test(line)
  if (isCommand) return [commands.filter(name => name.startsWith(line.trim())), line.trim()]
  const ofTable = table === undefined ? undefined : tables.get(table)
  if (table !== undefined) return [matching(ofTable ?? [...new Set([...tables.values()].flat())], begun), begun]
  if (begun === '') return [[...tables.keys()], begun]
  const columns = [...new Set([...tables.values()].flat())]
  return [[...new Set([...matching([...tables.keys()], begun), ...matching(columns, begun), ...words(begun)])], begun]
}

function matching(names: readonly string[], begun: string): string[] {
  return names.filter(name => name.toLowerCase().startsWith(begun.toLowerCase())).sort()
}

/** In the case in which it was begun. */
function words(begun: string): string[] {
  const found = matching(WORDS, begun)
  return begun === begun.toUpperCase() ? found : found.map(word => word.toLowerCase())
}
