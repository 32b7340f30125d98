import type { Receipt } from '../../model/receipt.js'
import { amount, bytes, duration, printable } from './printable.js'
import { textTable } from './table.js'

/** What a run can prove, as lines: a table of receipts, the reasons if a verdict is not `complete`, rows by table. */
export function receiptLines(receipts: readonly Receipt[]): string[] {
  if (receipts.length === 0) return []
  const lines = textTable(
    [
      { title: 'resource' },
      { title: 'verdict' },
      { title: 'requests', align: 'right' },
      { title: 'retries', align: 'right' },
      { title: 'pages', align: 'right' },
      { title: 'records', align: 'right' },
      { title: 'announced', align: 'right' },
      { title: 'body', align: 'right' },
      { title: 'waited', align: 'right' },
    ],
    receipts.map(receipt => [
      receipt.resource,
      receipt.verdict,
      amount(receipt.requests),
      amount(receipt.retries),
      amount(receipt.pages),
      amount(receipt.records),
      receipt.announced === undefined ? '–' : amount(receipt.announced),
      bytes(receipt.bytes),
      receipt.waitedMs === 0 ? '–' : duration(receipt.waitedMs),
    ]),
  )
  for (const receipt of receipts) {
    for (const note of notes(receipt)) lines.push(printable(`${receipt.resource}: ${note}`))
  }
  const tables = rowsByTable(receipts)
  if (tables.length === 0) return lines
  return [
    ...lines,
    '',
    ...textTable(
      [{ title: 'table' }, { title: 'rows loaded', align: 'right' }],
      tables.map(([table, rows]) => [table, amount(rows)]),
    ),
  ]
}

function notes(receipt: Receipt): string[] {
  const found: string[] = []
  if (receipt.verdict !== 'complete') found.push(...receipt.reasons.map(reason => `${receipt.verdict}: ${reason}`))
  if (receipt.filtered > 0) found.push(`${amount(receipt.filtered)} records filtered`)
  if (receipt.deleted !== undefined)
    found.push(`${amount(receipt.deleted)} ${receipt.deleted === 1 ? 'row' : 'rows'} deleted`)
  if (receipt.discardedRows > 0) found.push(`${amount(receipt.discardedRows)} rows discarded by the schema contract`)
  if (receipt.discardedValues > 0)
    found.push(`${amount(receipt.discardedValues)} values discarded by the schema contract`)
  if (receipt.variants !== undefined)
    found.push(`new columns for values that did not fit: ${receipt.variants.join(', ')}`)
  return found
}

/** Several resources may fill one table. */
function rowsByTable(receipts: readonly Receipt[]): [table: string, rows: number][] {
  const tables = new Map<string, number>()
  for (const receipt of receipts) {
    for (const [table, rows] of Object.entries(receipt.rows)) tables.set(table, (tables.get(table) ?? 0) + rows)
  }
  return [...tables]
}
