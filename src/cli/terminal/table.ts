import { clip, displayWidth, printable, wrapped } from './printable.js'

export interface TextColumn {
  readonly title: string
  /** Numbers are aligned right. */
  readonly align?: 'left' | 'right'
  /** Longer values are shortened. */
  readonly maxWidth?: number
  /** Never wrapped, as for names that are copied. */
  readonly isWhole?: boolean
  /** Where the table is too wide, its values go below their row. */
  readonly mayGoBelow?: boolean
  /** Styles a cell, which is padded already. */
  readonly styled?: (cell: string, row: number) => string
}

/** A column is not made narrower than this, so that something can be read in it. */
const LEAST_WIDTH = 12

/** Cells with nothing to tell below a row. */
const NOTHING = new Set(['', '–', '0'])

/**
 * Lines of a plain table: a header, a rule and one line for each row. Two spaces separate columns, with none at the
 * end. Makes cells printable. No line is wider than `width`: values that may go below their row do, then texts are
 * wrapped, and at last each cell gets a line.
 */
export function textTable(
  columns: readonly TextColumn[],
  rows: readonly (readonly string[])[],
  width = Number.POSITIVE_INFINITY,
): string[] {
  const cells = rows.map(row =>
    columns.map((column, index) => clip(printable(row[index] ?? ''), column.maxWidth ?? Number.POSITIVE_INFINITY)),
  )
  const natural = columns.map((column, index) =>
    Math.max(displayWidth(column.title), ...cells.map(row => displayWidth(row[index] ?? ''))),
  )
  const shown = columns.map((_, index) => index)
  const total = (limit: number): number =>
    shown.reduce((sum, index) => sum + limited(columns, natural, index, limit) + 2, -2)
  while (total(LEAST_WIDTH) > width) {
    const last = shown.findLastIndex(index => columns[index]?.mayGoBelow === true)
    if (last === -1) return stacked(columns, cells, width)
    shown.splice(last, 1)
  }
  let limit = Math.max(LEAST_WIDTH, ...natural)
  while (total(limit) > width && limit > LEAST_WIDTH) limit--
  const widths = shown.map(index => limited(columns, natural, index, limit))
  const below = columns.map((_, index) => index).filter(index => !shown.includes(index))
  const lines = (row: readonly string[], number: number | undefined): string[] => {
    const parts = shown.map((index, place) => wrapped(row[index] ?? '', widths[place] ?? 0))
    const height = Math.max(1, ...parts.map(part => part.length))
    return Array.from({ length: height }, (_, line) => {
      const last = parts.findLastIndex(part => (part[line] ?? '') !== '')
      return shown
        .slice(0, last + 1)
        .map((index, place) => {
          const column = columns[index]
          const isLast = place === last && column?.align !== 'right'
          const cell = pad(parts[place]?.[line] ?? '', isLast ? 0 : (widths[place] ?? 0), column?.align ?? 'left')
          return number === undefined ? cell : (column?.styled?.(cell, number) ?? cell)
        })
        .join('  ')
    })
  }
  return [
    ...lines(
      columns.map(column => column.title),
      undefined,
    ),
    widths.map(each => '─'.repeat(each)).join('  '),
    ...cells.flatMap((row, number) => [
      ...lines(row, number),
      ...belowLines(
        below.map(index => [columns[index]?.title ?? '', row[index] ?? '']),
        width,
      ),
    ]),
  ]
}

/** Only texts may be narrowed, and not all of them. */
function limited(columns: readonly TextColumn[], natural: readonly number[], index: number, limit: number): number {
  const width = natural[index] ?? 0
  const { align, isWhole } = columns[index] ?? {}
  return align === 'right' || isWhole === true ? width : Math.min(width, limit)
}

function belowLines(cells: readonly (readonly [title: string, cell: string])[], width: number): string[] {
  const told = cells.filter(([, cell]) => !NOTHING.has(cell)).map(([title, cell]) => `${title} ${cell}`)
  return told.length === 0 ? [] : wrapped(`  ${told.join(', ')}`, width, 2)
}

function stacked(columns: readonly TextColumn[], cells: readonly (readonly string[])[], width: number): string[] {
  return cells.flatMap((row, number) => [
    ...(number === 0 ? [] : ['']),
    ...columns.flatMap(({ title }, index) => wrapped(`${title} ${row[index] ?? ''}`, width, 2)),
  ])
}

/** The cell with spaces up to the width. */
export function pad(cell: string, width: number, align: 'left' | 'right'): string {
  const space = ' '.repeat(Math.max(0, width - displayWidth(cell)))
  return align === 'left' ? cell + space : space + cell
}
