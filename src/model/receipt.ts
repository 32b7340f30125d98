import type { ReadonlySchema } from '../schema/schemaTypes.js'

/**
 * What a load can prove about one resource.
 *
 * - `complete`: the API announced how much there is, or the list ended by its own rule, and that much arrived.
 * - `unproven`: nothing contradicts completeness, nothing proves it (no total, the user's limit ended it).
 * - `incomplete`: something is missing or looks so. Fails the run unless allowed; never deletes.
 */
export type Verdict = 'complete' | 'unproven' | 'incomplete'

export interface Receipt {
  readonly resource: string
  /** Requests sent, retries included; answers taken from the journal are not requests. */
  readonly requests: number
  readonly retries: number
  /** Pages read, those from the journal included. */
  readonly pages: number
  readonly pagesFromJournal: number
  /** Records selected from the pages, before filters. */
  readonly records: number
  /** Records dropped by `filter` steps and by the incremental window. */
  readonly filtered: number
  /** Rows and values dropped by a schema contract. */
  readonly discardedRows: number
  readonly discardedValues: number
  /** Columns that this load made for values that did not fit, as `table.column`; absent where there are none. */
  readonly variants?: readonly string[] | undefined
  /** Rows staged, by table; nested tables included. */
  readonly rows: Readonly<Record<string, number>>
  /** Rows that `deletes` removed or marked; nested rows are not counted. Absent where this load deleted nothing by it. */
  readonly deleted?: number | undefined
  /** Bytes of bodies, decoded. */
  readonly bytes: number
  /** Number of records the API announced, summed over its lists. */
  readonly announced?: number | undefined
  /** Milliseconds spent waiting for rate limits and retries. */
  readonly waitedMs: number
  readonly verdict: Verdict
  /** Why the verdict is what it is, one sentence each. */
  readonly reasons: readonly string[]
}

/** The receipts with the rows that were deleted from each table, counted for the resource that the table belongs to. */
export function withDeleted(
  receipts: readonly Receipt[],
  deleted: ReadonlyMap<string, number>,
  schema: ReadonlySchema,
): readonly Receipt[] {
  return receipts.map(receipt => {
    let rows = 0
    for (const [table, count] of deleted) if (schema.tables.get(table)?.resource === receipt.resource) rows += count
    return rows === 0 ? receipt : { ...receipt, deleted: rows }
  })
}
