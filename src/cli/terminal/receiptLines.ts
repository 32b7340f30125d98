import type { TableChanges } from '../../model/destination.js'
import { SluiceError } from '../../model/errors.js'
import type { Receipt } from '../../model/receipt.js'
import { byteText } from '../../model/texts/byteText.js'
import { amount, counted, duration, printable, wrapped } from './printable.js'
import { type TextColumn, textTable } from './table.js'
import { markedVerdict, verdictStyle } from './tell.js'
import { type Output, widthOf } from './terminal.js'

/** What is known besides the receipts, and where the lines go. */
export interface ReceiptView {
  /** False: the run failed, and nothing of what it read is loaded. */
  readonly isCommitted?: boolean | undefined
  /** Whether reasons for `incomplete` are told elsewhere. */
  readonly toldIncomplete?: boolean | undefined
  /** What the commit did, by table. */
  readonly changes?: Readonly<Record<string, TableChanges>> | undefined
  readonly out?: Pick<Output, 'isTerminal' | 'columns' | 'styled'> | undefined
}

/** What a run can prove, as lines: a table of receipts, the reasons if a verdict is not `complete`, rows by table. */
export function receiptLines(
  receipts: readonly Receipt[],
  { changes, out, isCommitted = true, toldIncomplete = false }: ReceiptView = {},
): string[] {
  if (receipts.length === 0) return []
  const width = out === undefined ? Number.POSITIVE_INFINITY : widthOf(out)
  const lines = textTable(
    [
      { title: 'resource' },
      {
        title: 'verdict',
        styled: (cell, row) => out?.styled(verdictStyle(receipts[row]?.verdict ?? 'unproven'), cell) ?? cell,
      },
      { title: 'requests', align: 'right', mayGoBelow: true },
      { title: 'retries', align: 'right', mayGoBelow: true },
      { title: 'pages', align: 'right', mayGoBelow: true },
      { title: 'records', align: 'right' },
      { title: 'announced', align: 'right' },
      { title: 'body', align: 'right', mayGoBelow: true },
      { title: 'waited', align: 'right', mayGoBelow: true },
    ],
    receipts.map(receipt => [
      receipt.resource,
      out === undefined ? receipt.verdict : markedVerdict(receipt.verdict, out),
      amount(receipt.requests),
      amount(receipt.retries),
      amount(receipt.pages),
      amount(receipt.records),
      receipt.announced === undefined ? '–' : amount(receipt.announced),
      byteText(receipt.bytes),
      receipt.waitedMs === 0 ? '–' : duration(receipt.waitedMs),
    ]),
    width,
  )
  for (const receipt of receipts) {
    for (const note of notes(receipt, toldIncomplete))
      lines.push(...wrapped(printable(`${receipt.resource}: ${note}`), width, 2))
  }
  const tables = isCommitted ? tableLines(receipts, changes ?? {}, width) : []
  return tables.length === 0 ? lines : [...lines, '', ...tables]
}

/** The receipts of a run that failed: what it read is not loaded. */
export function failedLines(receipts: readonly Receipt[], error: unknown, out: Output): string[] {
  const isUnknown = error instanceof SluiceError && error.code === 'commit_unknown'
  const title = isUnknown ? 'whether it is committed is not known' : 'nothing of it is committed'
  const toldIncomplete = error instanceof SluiceError && error.code === 'incomplete'
  return [`What was read; ${title}:`, ...receiptLines(receipts, { out, isCommitted: false, toldIncomplete })]
}

function notes(receipt: Receipt, toldIncomplete: boolean): string[] {
  const found: string[] = []
  const isTold = receipt.verdict === 'complete' || (toldIncomplete && receipt.verdict === 'incomplete')
  if (!isTold) found.push(...receipt.reasons.map(reason => `${receipt.verdict}: ${reason}`))
  if (receipt.filtered > 0) found.push(`${counted(receipt.filtered, 'record')} left out: known already, or filtered`)
  if (receipt.deleted !== undefined) found.push(`${counted(receipt.deleted, 'row')} deleted`)
  if (receipt.discardedRows > 0) found.push(`${counted(receipt.discardedRows, 'row')} discarded by the schema contract`)
  if (receipt.discardedValues > 0)
    found.push(`${counted(receipt.discardedValues, 'value')} discarded by the schema contract`)
  if (receipt.variants !== undefined)
    found.push(`new columns for values that did not fit: ${receipt.variants.join(', ')}`)
  return found
}

const COUNTS = ['inserted', 'updated', 'replaced', 'deleted'] as const

/**
 * As a person counts: a row in the place of an earlier one was replaced, and not inserted. Where fewer rows came than made
 * way, the others were deleted.
 */
function byPlace(change: TableChanges): TableChanges {
  const { inserted, replaced = 0, deleted = 0 } = change
  if (inserted === undefined) return change
  const inPlace = Math.min(inserted, replaced)
  return { ...change, inserted: inserted - inPlace, replaced: inPlace, deleted: deleted + replaced - inPlace }
}

function tableLines(
  receipts: readonly Receipt[],
  counted: Readonly<Record<string, TableChanges>>,
  width: number,
): string[] {
  const changes = Object.fromEntries(Object.entries(counted).map(([table, change]) => [table, byPlace(change)]))
  const rows = rowsByTable(receipts)
  const tables = [...new Set([...rows.keys(), ...Object.keys(changes)])].filter(
    table => rows.has(table) || COUNTS.some(count => changes[table]?.[count] !== 0),
  )
  if (tables.length === 0) return []
  const counts = tellingCounts(tables, rows, changes)
  const news = tables.map(table => newsOf(changes[table]))
  const columns: TextColumn[] = [
    { title: 'table' },
    { title: 'rows loaded', align: 'right' },
    ...counts.map(title => ({ title, align: 'right', mayGoBelow: true }) as const),
    ...(news.some(text => text !== '') ? [{ title: 'new', mayGoBelow: true }] : []),
  ]
  const cells = tables.map((table, index) => [
    table,
    amount(rows.get(table) ?? 0),
    ...counts.map(count => amountOrDash(changes[table]?.[count])),
    news[index] ?? '',
  ])
  return textTable(columns, cells, width)
}

/** The counts that say more than that every row was inserted. */
function tellingCounts(
  tables: readonly string[],
  rows: ReadonlyMap<string, number>,
  changes: Readonly<Record<string, TableChanges>>,
): readonly (typeof COUNTS)[number][] {
  const known = tables.filter(table => changes[table] !== undefined)
  const others = COUNTS.slice(1).filter(count => known.some(table => (changes[table]?.[count] ?? 0) > 0))
  const isTelling = others.length > 0 || known.some(table => changes[table]?.inserted !== rows.get(table))
  return isTelling ? ['inserted', ...others] : []
}

function amountOrDash(count: number | undefined): string {
  return count === undefined ? '–' : amount(count)
}

function newsOf(change: TableChanges | undefined): string {
  if (change === undefined) return ''
  if (change.isNew) return 'table'
  const { newColumns } = change
  return newColumns.length === 0 ? '' : `${newColumns.length === 1 ? 'column' : 'columns'} ${newColumns.join(', ')}`
}

/** Several resources may fill one table. */
function rowsByTable(receipts: readonly Receipt[]): ReadonlyMap<string, number> {
  const tables = new Map<string, number>()
  for (const receipt of receipts) {
    for (const [table, rows] of Object.entries(receipt.rows)) tables.set(table, (tables.get(table) ?? 0) + rows)
  }
  return tables
}
