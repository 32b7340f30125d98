import type { Connection, DatasetRow } from '../model/destination.js'
import type { Extent, Receipt, Verdict } from '../model/receipt.js'

export const RECEIPTS = '_sluice_receipts'

/** The receipts of committed loads, by load. Empty if the destination stores none. */
export async function storedReceipts(
  connection: Connection,
  loadIds: readonly string[],
): Promise<ReadonlyMap<string, readonly Receipt[]>> {
  const receipts = new Map<string, Receipt[]>()
  if (loadIds.length === 0 || !(await connection.inspect()).has(RECEIPTS)) return receipts
  const where = [{ column: 'load_id', operator: 'in', value: loadIds }] as const
  for await (const rows of connection.read({ table: RECEIPTS, where })) {
    for (const row of rows) {
      const loadId = String(row.load_id)
      receipts.set(loadId, [...(receipts.get(loadId) ?? []), receiptOf(row)])
    }
  }
  return receipts
}

/** A receipt as it is stored. */
export function receiptOf(row: DatasetRow): Receipt {
  const reasons = JSON.parse(String(row.reasons)) as string[]
  return {
    resource: String(row.resource),
    extent: row.extent == null ? extentBefore(reasons) : (String(row.extent) as Extent),
    requests: Number(row.requests),
    retries: Number(row.retries),
    pages: Number(row.pages),
    pagesFromJournal: Number(row.pages_from_journal),
    records: Number(row.records),
    filtered: Number(row.filtered),
    discardedRows: Number(row.discarded_rows),
    discardedValues: Number(row.discarded_values),
    rows: JSON.parse(String(row.rows)) as Record<string, number>,
    bytes: Number(row.bytes),
    announced: row.announced === null || row.announced === undefined ? undefined : Number(row.announced),
    waitedMs: Number(row.waited_ms),
    verdict: String(row.verdict) as Verdict,
    reasons,
    ...(row.deleted == null ? {} : { deleted: Number(row.deleted) }),
    ...(row.variants == null ? {} : { variants: JSON.parse(String(row.variants)) as string[] }),
  }
}

/** Receipts of older versions say only in their reasons that a run was asked for some pages. */
function extentBefore(reasons: readonly string[]): Extent {
  return reasons.some(reason => reason.includes('the run was asked for')) ? 'pages' : 'whole'
}
