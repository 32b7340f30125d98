import { clip, displayWidth, printable } from './printable.js'
import { pad } from './table.js'
import type { Output } from './terminal.js'

export interface BoxColumn {
  readonly title: string
  /** Shown under the title. */
  readonly type: string
  /** Numbers are aligned right. */
  readonly align: 'left' | 'right'
  /** A part of it says something else, as with numbers and times: it is shown whole or not at all. */
  readonly isWhole: boolean
}

export interface BoxTable {
  readonly lines: readonly string[]
  /** Columns that have no room. */
  readonly hidden: readonly string[]
}

/** A text is not made narrower than this, nor than its title, so that something can be read in it. */
const LEAST_WIDTH = 14
const LEAST_TITLE = 24

/**
 * A table in a box that is at most `available` columns wide. The widest texts are shortened first. Columns that cannot
 * be read then are left out: those of dlt first, then the last ones. Makes cells printable.
 */
export function boxTable(
  columns: readonly BoxColumn[],
  rows: readonly (readonly string[])[],
  available: number,
  styled: Output['styled'],
): BoxTable {
  const heads = columns.map(column => ({ ...column, title: printable(column.title), type: printable(column.type) }))
  const cells = rows.map(row => heads.map((_, index) => printable(row[index] ?? '')))
  const sizes = heads.map(({ title, type, isWhole }, index) => {
    const natural = Math.max(...[title, type, ...cells.map(row => row[index] ?? '')].map(displayWidth))
    const least = Math.max(LEAST_WIDTH, Math.min(LEAST_TITLE, displayWidth(title)))
    return { natural, least: isWhole ? natural : Math.min(natural, least) }
  })
  const shown = fitting(heads, sizes, available)
  const line = (textOf: (index: number) => string, style = (text: string): string => text): string =>
    `│ ${shown
      .map(({ index, width }) => style(pad(clip(textOf(index), width), width, heads[index]?.align ?? 'left')))
      .join(' │ ')} │`
  const rule = (left: string, middle: string, right: string): string =>
    left + shown.map(({ width }) => '─'.repeat(width + 2)).join(middle) + right
  const lines = [
    rule('┌', '┬', '┐'),
    line(
      index => heads[index]?.title ?? '',
      text => styled('bold', text),
    ),
    line(
      index => heads[index]?.type ?? '',
      text => styled('dim', text),
    ),
    rule('├', '┼', '┤'),
    ...cells.map(row => line(index => row[index] ?? '')),
    rule('└', '┴', '┘'),
  ]
  const kept = new Set(shown.map(({ index }) => index))
  return { lines, hidden: heads.filter((_, index) => !kept.has(index)).map(({ title }) => title) }
}

interface ShownColumn {
  readonly index: number
  readonly width: number
}

/** The columns that can be read in the room, in their order. At least one. */
function fitting(
  heads: readonly BoxColumn[],
  sizes: readonly { readonly natural: number; readonly least: number }[],
  available: number,
): readonly ShownColumn[] {
  const indexes = heads.map((_, index) => index)
  const isOwn = (index: number): boolean => !(heads[index]?.title ?? '').startsWith('_dlt_')
  const kept: number[] = []
  let room = available - 1
  for (const index of [...indexes.filter(isOwn), ...indexes.filter(index => !isOwn(index))]) {
    const { least = 0 } = sizes[index] ?? {}
    if (least + 3 > room && kept.length > 0) break
    room -= least + 3
    kept.push(index)
  }
  return widened(
    kept.sort((a, b) => a - b).map(index => ({ index, ...(sizes[index] ?? NO_SIZE) })),
    available,
  )
}

const NO_SIZE = { natural: 0, least: 0 }

/** Shares the room among the columns, the widest being the first to be narrowed. */
function widened(
  columns: readonly { readonly index: number; readonly natural: number; readonly least: number }[],
  available: number,
): readonly ShownColumn[] {
  const widths = (limit: number): readonly number[] =>
    columns.map(({ natural, least }) => Math.max(least, Math.min(natural, limit)))
  const total = (limit: number): number => widths(limit).reduce((sum, width) => sum + width + 3, 1)
  let limit = Math.max(0, ...columns.map(({ natural }) => natural))
  while (limit > 0 && total(limit) > available) limit--
  const most = columns.length === 1 ? Math.max(1, available - 4) : Number.POSITIVE_INFINITY
  return widths(limit).map((width, place) => ({ index: columns[place]?.index ?? 0, width: Math.min(width, most) }))
}
