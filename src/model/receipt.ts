import type { ReadonlySchema } from '../schema/schemaTypes.js'

/**
 * What a load can prove about one resource.
 *
 * - `complete`: the API announced a number and that many records arrived, or the list ended by its own rule.
 * - `unproven`: nothing proves completeness and nothing contradicts it (no total, or the user's limit ended it).
 * - `incomplete`: something is missing, or seems to be. The run fails unless allowed. Nothing is deleted.
 */
export type Verdict = 'complete' | 'unproven' | 'incomplete'

/** From the strongest to the weakest. */
export const VERDICTS = ['complete', 'unproven', 'incomplete'] as const satisfies readonly Verdict[]

/**
 * How much of a resource a run was asked for: all of it, the first pages of its lists or of those of its parents
 * (`maxPages`), or one window of a backfill.
 */
export type Extent = 'whole' | 'pages' | 'window'

/** `Name` is a resource of the source, if TypeScript knows the names. */
export interface Receipt<Name extends string = string> {
  readonly resource: Name
  /** What the run was asked for: all of the resource, the first pages of its lists, or one window of a backfill. */
  readonly extent: Extent
  /** Requests sent, retries included; answers taken from the journal are not requests. */
  readonly requests: number
  readonly retries: number
  /** Pages read, including those from the journal. */
  readonly pages: number
  readonly pagesFromJournal: number
  /** Records selected from the pages, before filters. */
  readonly records: number
  /** Records dropped by `filter` steps and by the incremental window. */
  readonly filtered: number
  /** Rows and values dropped by a schema contract. */
  readonly discardedRows: number
  readonly discardedValues: number
  /** Columns that this load created for values that did not fit, as `table.column`. Absent if there are none. */
  readonly variants?: readonly string[] | undefined
  /** Rows staged, by table, including nested tables. */
  readonly rows: Readonly<Record<string, number>>
  /** Rows that `deletes` removed or marked, without nested rows. Absent if this load deleted nothing that way. */
  readonly deleted?: number | undefined
  /** Bytes of decoded bodies. */
  readonly bytes: number
  /** Number of records that the API announced, summed over the lists. */
  readonly announced?: number | undefined
  /** Milliseconds spent waiting for rate limits and retries. */
  readonly waitedMs: number
  /**
   * Whether all records arrived. `complete`: the list showed its end or its number. `unproven`: nothing speaks for or against
   * it. `incomplete`: something is missing, or seems to be; the run fails unless allowed.
   */
  readonly verdict: Verdict
  /** Reasons for the verdict, one sentence each. */
  readonly reasons: readonly string[]
}

/** Adds the deleted rows of each table to the receipt of the resource that owns the table. */
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

/** The weakest verdict of several receipts. Undefined if there are none. */
export function worstVerdict(receipts: readonly Pick<Receipt, 'verdict'>[]): Verdict | undefined {
  const verdicts = new Set(receipts.map(({ verdict }) => verdict))
  return VERDICTS.findLast(verdict => verdicts.has(verdict))
}

/** Whether all pages came from a journal, as in a replay, or in a run that went on after all of them were read. */
export function isFromJournal(receipt: Pick<Receipt, 'requests' | 'pages' | 'pagesFromJournal'> | undefined): boolean {
  if (receipt === undefined) return false
  const { requests, pages, pagesFromJournal } = receipt
  return requests === 0 && pages > 0 && pages === pagesFromJournal
}

/** Rows of a receipt, nested tables included. */
export function rowsOf({ rows }: Pick<Receipt, 'rows'>): number {
  return Object.values(rows).reduce((total, count) => total + count, 0)
}
