import type { RowFilter, RowsGiven } from '../../pageContract.js'

/** Longer texts of an answer may be cut. */
const LONGEST_TEXT = 1_000
/** Whose texts on the page have another order than their values. */
const OTHER_ORDER = /^(blob|bytea|json|jsonb|struct|map|list|union)|\[\d*\]$/i

/**
 * The filters that show sorted rows from the last one of `given` on, in place of an offset, for which an engine sorts everything
 * before it. Undefined where that leads no further: the value has no order as a text, or fills all that was shown.
 */
export function beyondRow(
  { column, descending }: { readonly column: string; readonly descending: boolean },
  filters: readonly RowFilter[],
  { columns, rows }: Pick<RowsGiven, 'columns' | 'rows'>,
): readonly RowFilter[] | undefined {
  const at = columns.findIndex(({ name }) => name === column)
  const last = rows.at(-1)?.[at] ?? null
  const value = String(last)
  if (last === null || value.length > LONGEST_TEXT || OTHER_ORDER.test(columns[at]?.type ?? '')) return undefined
  const next: RowFilter = { column, operator: descending ? '<=' : '>=', value }
  const isSame = (filter: RowFilter) => filter.column === column && filter.operator === next.operator
  if (filters.some(filter => isSame(filter) && filter.value === value)) return undefined
  return [...filters.filter(filter => !isSame(filter)), next]
}
