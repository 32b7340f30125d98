import { clip, displayWidth, printable } from './printable.js'

export interface TextColumn {
  readonly title: string
  /** Numbers are aligned right. */
  readonly align?: 'left' | 'right'
  /** Longer values are shortened. */
  readonly maxWidth?: number
}

/**
 * Lines of a plain table: a header, a rule and one line for each row. Two spaces separate columns, with none at the
 * end. Makes cells printable.
 */
export function textTable(columns: readonly TextColumn[], rows: readonly (readonly string[])[]): string[] {
  const cells = rows.map(row =>
    columns.map((column, index) => clip(printable(row[index] ?? ''), column.maxWidth ?? Number.POSITIVE_INFINITY)),
  )
  const widths = columns.map((column, index) =>
    Math.max(displayWidth(column.title), ...cells.map(row => displayWidth(row[index] ?? ''))),
  )
  const line = (row: readonly string[]): string =>
    row
      .map((cell, index) => pad(cell, widths[index] ?? 0, columns[index]?.align ?? 'left'))
      .join('  ')
      .trimEnd()
  return [
    line(columns.map(column => column.title)),
    widths.map(width => '─'.repeat(width)).join('  '),
    ...cells.map(line),
  ]
}

/** The cell with spaces up to the width. */
export function pad(cell: string, width: number, align: 'left' | 'right'): string {
  const space = ' '.repeat(Math.max(0, width - displayWidth(cell)))
  return align === 'left' ? cell + space : space + cell
}
