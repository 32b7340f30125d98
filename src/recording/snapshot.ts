import { createHash } from 'node:crypto'
import { SluiceError } from '../model/errors.js'
import type { Pipeline } from '../pipeline/pipeline.js'
import type { RunResult } from '../pipeline/setup.js'
import { isComplete } from '../schema/columns.js'
import { columnFacts } from '../schema/export/columnFacts.js'
import type { ReadonlyTable } from '../schema/schemaTypes.js'
import type { Recording } from './recordingFile.js'
import type { Served } from './replayTransport.js'

/** What a pipeline makes of its recording, as text. */
export interface RecordingSnapshot {
  readonly requests: readonly string[]
  readonly lists: readonly string[]
  readonly tables: readonly string[]
  /** Why the run failed. */
  readonly failure: string | undefined
  /** Whether something is said to be missing. */
  readonly isIncomplete: boolean
}

const ROWS_SHOWN = 5

/** Runs the pipeline, and describes what it loaded. Rejects only if the signal is aborted. */
export async function snapshotOf(
  pipeline: Pipeline,
  { pages }: Pick<Recording, 'pages'>,
  served: readonly Served[],
  signal?: AbortSignal,
): Promise<RecordingSnapshot> {
  let result: RunResult | undefined
  let failure: string | undefined
  try {
    result = await pipeline.run({ maxPages: pages, concurrency: 1, allowIncomplete: true, signal })
  } catch (error) {
    signal?.throwIfAborted()
    if (!(error instanceof SluiceError)) throw error
    failure = error.message.replace(/\s*\n\s*/g, ' ')
  }
  const requests = served.map(({ resource, request, status }) => `${status ?? 'not recorded'}  ${resource}  ${request}`)
  const lists = (result?.receipts ?? []).map(
    ({ resource, pages: read, records, filtered, verdict, reasons }) =>
      `${resource}: records ${records}, pages ${read}${filtered > 0 ? `, filtered ${filtered}` : ''}; ${verdict}: ${reasons.join('; ')}`,
  )
  const isIncomplete = (result?.receipts ?? []).some(({ verdict }) => verdict === 'incomplete')
  return { requests, lists, tables: result === undefined ? [] : await tablesOf(pipeline), failure, isIncomplete }
}

/** The text of a snapshot, for a file in Git. */
export function snapshotText({ requests, lists, tables, failure }: RecordingSnapshot, recording: Recording): string {
  const { pipeline, recordedAt, pages, parents } = recording
  return [
    `# What the pipeline ${pipeline} makes of its recording. \`sluice test --update\` writes this file.`,
    '',
    `recorded ${new Date(recordedAt).toISOString()}, at most ${pages} pages of a list and ${parents} parents`,
    ...(failure === undefined ? [] : ['', `failed: ${failure}`]),
    '',
    '## requests',
    ...requests,
    '',
    '## lists',
    ...lists,
    '',
    ...tables,
  ]
    .join('\n')
    .trimEnd()
    .concat('\n')
}

async function tablesOf(pipeline: Pipeline): Promise<readonly string[]> {
  const dataset = pipeline.dataset()
  const schema = await dataset.schema()
  const names = new Set(await dataset.tables())
  const lines: string[] = []
  for (const table of schema?.tables.values() ?? []) {
    if (!names.has(table.name)) continue
    lines.push(`## table ${table.name}`, ...headLines(table))
    const columns = [...table.columns.values()].filter(isComplete)
    // Not aligned: a long name that comes or goes would change every line.
    for (const column of columns) lines.push(`  ${column.name}  ${columnFacts(column)}`.trimEnd())
    const rows = await rowsOf(pipeline, table.name)
    const digest = createHash('sha256').update(rows.join('\n')).digest('hex').slice(0, 16)
    lines.push(`${rows.length} rows, digest ${digest}`, ...rows.slice(0, ROWS_SHOWN).map(row => `  ${row}`))
    if (rows.length > ROWS_SHOWN) lines.push(`  … ${rows.length - ROWS_SHOWN} more`)
    lines.push('')
  }
  return lines
}

function headLines(table: ReadonlyTable): readonly string[] {
  const { write_disposition: disposition, resource, parent } = table
  const strategy = table['x-merge-strategy']
  const facts = [
    ...(resource === undefined ? [] : [`of ${resource}`]),
    ...(parent === undefined ? [] : [`nested in ${parent}`]),
    ...(disposition === undefined ? [] : [disposition]),
    ...(typeof strategy === 'string' ? [strategy] : []),
  ]
  return facts.length === 0 ? [] : [facts.join(', ')]
}

/** Columns that are another in every load. */
const PASSING = /^_dlt_(?:load_id|id|parent_id|root_id)$/

/** Sorted, so that they do not depend on the order in which lists were read. */
async function rowsOf(pipeline: Pipeline, table: string): Promise<readonly string[]> {
  const rows = await pipeline.dataset().table(table).rows()
  return rows
    .map(row => JSON.stringify(Object.fromEntries(Object.entries(row).filter(([name]) => !PASSING.test(name))), shown))
    .sort()
}

function shown(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return String(value)
  return value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value
}
