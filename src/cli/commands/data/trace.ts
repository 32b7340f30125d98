import type { JsonObject } from '../../../json/value.js'
import { setMember } from '../../../json/value.js'
import { stringifyJson } from '../../../json/write.js'
import { shownValue } from '../../../model/texts/rowText.js'
import type { RowKey, RowTrace, TracedJournal, TracedSource } from '../../../pipeline/look/traceRow.js'
import type { ReadonlyTable } from '../../../schema/schemaTypes.js'
import type { ExitCode } from '../../failure.js'
import { amount, counted, printable } from '../../terminal/printable.js'
import { jsonValue } from '../../terminal/rowFormats.js'
import { textTable } from '../../terminal/table.js'
import { tell } from '../../terminal/tell.js'
import { type Output, widthOf } from '../../terminal/terminal.js'
import { type CommandContext, openPipeline, type PipelineOverrides } from '../command.js'
import { nothingLoaded } from './schema.js'

export interface TraceCommandOptions extends PipelineOverrides {
  readonly pipeline?: string | undefined
  readonly json?: boolean
}

/** `sluice trace FILE TABLE KEY…`: where a row and each of its values come from. 1 if there is no such row. */
export async function traceCommand(
  file: string,
  asked: { readonly table: string; readonly key: readonly string[] },
  options: TraceCommandOptions,
  { terminal: { out, err }, signal, typedAs }: CommandContext,
): Promise<ExitCode> {
  const pipeline = await openPipeline(file, options, 'reads', err)
  const table = (await pipeline.dataset().schema())?.tables
  if (table === undefined) {
    err.line(nothingLoaded(pipeline))
    return 1
  }
  const key = rowKeyOf(asked.key, table.get(asked.table))
  const trace = await pipeline.trace(asked.table, key, { signal })
  if (trace === undefined) {
    tell(
      err,
      printable(`error: ${asked.table} has no row ${asked.key.join(' ')}; ${howToName(table.get(asked.table))}`),
    )
    return 1
  }
  if (options.json === true) out.line(stringifyJson(traceJson(trace)))
  else tellTrace(trace, `${typedAs} run ${file} --keep-journal`, out)
  return 0
}

/** `column=value` names a column of the table; every other text is the key itself. */
function rowKeyOf(words: readonly string[], table: ReadonlyTable | undefined): RowKey {
  const pairs = words.map(word => [word.slice(0, word.indexOf('=')), word.slice(word.indexOf('=') + 1)] as const)
  const [only = ''] = words
  if (words.length === 1 && !pairs.every(([column]) => table?.columns.has(column) === true)) return only
  return Object.fromEntries(
    pairs.map(([column, value], index) => (column === '' ? [words[index] ?? '', ''] : [column, value])),
  )
}

function howToName(table: ReadonlyTable | undefined): string {
  const columns = [...(table?.columns.values() ?? [])]
  const keys = columns.filter(({ primary_key }) => primary_key === true).map(({ name }) => `${name}=…`)
  return `name it by ${keys.length === 0 ? '' : `its key (${keys.join(' ')}), `}its _dlt_id, or as column=value`
}

/** Bytes are base64, times ISO texts. */
export function traceJson({ row, committedAt, journal, ...trace }: RowTrace): JsonObject {
  const values: Record<string, ReturnType<typeof jsonValue>> = {}
  for (const [column, value] of Object.entries(row)) setMember(values, column, jsonValue(value))
  const sources =
    journal.state === 'not_kept'
      ? undefined
      : journal.sources.map(({ recordedAt, ...source }) => ({ ...source, recordedAt: recordedAt.toISOString() }))
  return {
    ...trace,
    row: values,
    committedAt: committedAt?.toISOString(),
    journal: { ...journal, ...(sources !== undefined && { sources }) },
  } as unknown as JsonObject
}

function tellTrace(trace: RowTrace, keeping: string, out: Output): void {
  const { table, rowsWithKey, above, loadId, committedAt, receipt, journal, resource } = trace
  const say = (name: string, text: string): void => tell(out, printable(`${name.padEnd(9)} ${text}`), 10)
  say('table', resource === undefined || resource === table ? table : `${table}, of the resource ${resource}`)
  if (rowsWithKey > 1) say('row', `one of ${counted(rowsWithKey, 'row')} with this key, of the newest load`)
  for (const { table, id } of above) say('above', `${table}, row ${id}`)
  const when =
    committedAt === undefined
      ? ', which is not among the loads of this pipeline'
      : `, committed ${committedAt.toISOString()}`
  say('load', `${loadId}${when}`)
  if (receipt !== undefined) {
    const { verdict, records, pages } = receipt
    say(
      'receipt',
      `${verdict}, ${counted(records, 'record')} on ${counted(pages, 'page')}: ${receipt.reasons.join('; ')}`,
    )
  }
  say('journal', journalText(journal, keeping))
  if (journal.state === 'not_kept') return
  for (const source of journal.sources) tellSource(source, trace, out)
}

function journalText(journal: TracedJournal, keeping: string): string {
  if (journal.state === 'not_kept')
    return `was not kept, so that no request is known; \`${keeping}\` keeps the one of the next load`
  const { path, answers, ofResource, sources, replayed } = journal
  const earlier =
    replayed === undefined
      ? ''
      : `the load took its pages from a journal, as a replay does; the newest one before it, of load ${replayed}: `
  const all = `${earlier}${path}, ${counted(answers, 'answer')}, ${amount(ofResource)} of the resource`
  if (journal.state === 'unreadable') return `${all}; they are no JSON, so that nothing is found in them`
  if (ofResource === 0) return `${all}: its records came from no request`
  if (journal.state === 'not_found') return `${all}; none holds a record with this key: a step may have changed it`
  return sources.length === 1 ? all : `${all}; ${counted(sources.length, 'place')} hold the key, the likest first`
}

function tellSource(source: TracedSource, { row }: RowTrace, out: Output): void {
  const { answer, method, url, status, recordedAt, record, values, differing } = source
  const say = (name: string, text: string): void => tell(out, printable(`${name.padEnd(9)} ${text}`), 10)
  out.line()
  say('request', `${method} ${url}`)
  say('answer', `${amount(answer)} of the journal, status ${status}, at ${recordedAt.toISOString()}`)
  say('record', `${record.path}, bytes ${record.start} to ${record.end} of the journal`)
  if (differing.length > 0) say('differs', `${differing.join(', ')}: the row has other values`)
  out.line()
  const placed = new Map(values.map(value => [value.column, value]))
  const rows = Object.entries(row).map(([column, value]) => {
    const from = placed.get(column)
    if (from !== undefined) return [column, shownValue(value), from.path, `${from.start}–${from.end}`]
    if (column.startsWith('_dlt_')) return [column, shownValue(value), 'Sluice', '']
    return [column, shownValue(value), value === null ? 'no value in the answer' : 'not in the answer by this name', '']
  })
  for (const line of textTable(COLUMNS, rows, widthOf(out))) out.line(line)
}

const COLUMNS = [
  { title: 'column' },
  { title: 'value', maxWidth: 60 },
  { title: 'from' },
  { title: 'bytes', mayGoBelow: true },
] as const
