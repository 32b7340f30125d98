import type { JsonValue } from '../../json/value.js'
import { setMember } from '../../json/value.js'
import { stringifyJson } from '../../json/write.js'
import type { QueryBatch, RowValue } from '../../model/destination.js'
import { isNumberType, isTimeType } from '../../model/texts/engineTypes.js'
import { csvLine, shownValue } from '../../model/texts/rowText.js'
import { boxTable } from './boxTable.js'
import { counted, printable } from './printable.js'
import { tell } from './tell.js'
import { type Output, widthOf } from './terminal.js'

/** How rows are printed: a table for people, one line of JSON for each row, or CSV (RFC 4180, with a header). */
export type PrintedFormat = 'table' | 'json' | 'csv'

/** The format that the flags of a command name. */
export function rowFormat({ json, csv }: { readonly json?: boolean; readonly csv?: boolean }): PrintedFormat {
  if (json === true) return 'json'
  return csv === true ? 'csv' : 'table'
}

export interface CsvOptions {
  /** Whether it begins with the mark by which Excel knows UTF-8. */
  readonly bom?: boolean | undefined
  /** Between fields. Default: a comma. */
  readonly separator?: string | undefined
}

/** Rows of a table for people, unless they ask for more. */
const TABLE_ROWS = 100

/** Prints rows as they come, at most `limit` of them. A table needs all of its rows first, and has 100 by default. */
export async function printRows(
  batches: AsyncIterable<QueryBatch>,
  format: PrintedFormat,
  out: Output,
  limit: number | undefined,
  { bom = false, separator }: CsvOptions = {},
): Promise<void> {
  const most = limit ?? (format === 'table' ? TABLE_ROWS : Number.POSITIVE_INFINITY)
  const kept: (readonly RowValue[])[] = []
  let columns: QueryBatch['columns'] = []
  let isFirst = true
  let count = 0
  let isCut = false
  for await (const batch of batches) {
    columns = batch.columns
    const rows = batch.rows.slice(0, most - count)
    if (format === 'table') kept.push(...rows)
    else {
      const head =
        format === 'csv' && isFirst
          ? [
              csvLine(
                columns.map(({ name }) => name),
                separator,
              ),
            ]
          : []
      const lines = rows.map(row => (format === 'csv' ? csvLine(row, separator) : jsonLine(columns, row)))
      const text = [...head, ...lines].map(line => `${out.isTerminal ? printable(line) : line}\n`).join('')
      out.write(bom && format === 'csv' && isFirst && !out.isTerminal ? `\uFEFF${text}` : text)
      await out.drained?.()
    }
    isFirst = false
    count += rows.length
    isCut = rows.length < batch.rows.length
    if (isCut) break
  }
  if (format === 'table') printTable(columns, kept, isCut, out)
}

function printTable(
  columns: QueryBatch['columns'],
  rows: readonly (readonly RowValue[])[],
  isCut: boolean,
  out: Output,
): void {
  const heads = columns.map(({ name, type }) => ({
    title: name,
    type: type.toLowerCase(),
    align: isNumberType(type) ? ('right' as const) : ('left' as const),
    isWhole: isNumberType(type) || isTimeType(type),
  }))
  const { lines, hidden } = boxTable(
    heads,
    rows.map(row => row.map(shownValue)),
    widthOf(out),
    out.styled,
  )
  for (const line of lines) out.line(line)
  const more = isCut ? `; there are more: --limit shows them, --csv and --json print all` : ''
  tell(out, `${counted(rows.length, 'row')}${more}`, 2, 'dim')
  if (hidden.length === 0) return
  const names = hidden.length > SOME_NAMES ? [...hidden.slice(0, SOME_NAMES), '…'] : hidden
  tell(out, `… ${counted(hidden.length, 'more column')}: select them, or --json, --csv (${names.join(', ')})`, 2, 'dim')
}

/** Names of columns without room that are said. */
const SOME_NAMES = 12

function jsonLine(columns: QueryBatch['columns'], row: readonly RowValue[]): string {
  const object: Record<string, JsonValue> = {}
  for (const [index, { name }] of columns.entries()) setMember(object, name, jsonValue(row[index] ?? null))
  return stringifyJson(object)
}

/** Times are ISO texts, binary values base64. JSON has no NaN and no infinity: they are texts. */
export function jsonValue(value: RowValue): JsonValue {
  if (value instanceof Date) return value.toISOString()
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64')
  return typeof value === 'number' && !Number.isFinite(value) ? String(value) : value
}
