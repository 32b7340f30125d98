import { clip, displayWidth, printable } from './printable.js'
import { pad } from './table.js'
import type { Output } from './terminal.js'

export interface BoxColumn {
  readonly title: string
  /** Shown under the title. */
  readonly type: string
  /** Numbers are aligned right. */
  readonly align: 'left' | 'right'
}

/** A column is not made narrower than this, so that something can be read in it. */
const LEAST_WIDTH = 6

/** Stands for the columns that have no room. */
const GAP: BoxColumn = { title: '…', type: '', align: 'left' }

/**
 * Lines of a table in a box that is at most as wide as the output. The widest columns are shortened first. Where that
 * is not enough, columns of the middle are left out. Makes cells printable.
 */
export function boxTable(
  columns: readonly BoxColumn[],
  rows: readonly (readonly string[])[],
  out: Pick<Output, 'columns' | 'styled'>,
): string[] {
  const cells = rows.map(row => columns.map((_, index) => printable(row[index] ?? '')))
  const heads = columns.map(({ title, type, align }) => ({ title: printable(title), type: printable(type), align }))
  const natural = heads.map(({ title, type }, index) =>
    Math.max(displayWidth(title), displayWidth(type), ...cells.map(row => displayWidth(row[index] ?? ''))),
  )
  const shown = fitting(natural, out.columns())
  const at = <Value>(values: readonly Value[], index: number | undefined, gap: Value): Value =>
    index === undefined ? gap : (values[index] ?? gap)
  const line = (texts: readonly string[], style: (text: string) => string = text => text): string =>
    `│ ${shown
      .map(({ index, width }, place) => style(pad(clip(texts[place] ?? '', width), width, at(heads, index, GAP).align)))
      .join(' │ ')} │`
  const rule = (left: string, middle: string, right: string): string =>
    left + shown.map(({ width }) => '─'.repeat(width + 2)).join(middle) + right
  return [
    rule('┌', '┬', '┐'),
    line(
      shown.map(({ index }) => at(heads, index, GAP).title),
      text => out.styled('bold', text),
    ),
    line(
      shown.map(({ index }) => at(heads, index, GAP).type),
      text => out.styled('dim', text),
    ),
    rule('├', '┼', '┤'),
    ...cells.map(row => line(shown.map(({ index }) => at(row, index, '…')))),
    rule('└', '┴', '┘'),
  ]
}

interface ShownColumn {
  /** Undefined for the gap. */
  readonly index: number | undefined
  readonly width: number
}

function fitting(natural: readonly number[], available: number): readonly ShownColumn[] {
  const all = natural.map((width, index) => ({ index, width }))
  for (let left = all.length; left > 1; left--) {
    const [head, tail] = [Math.ceil(left / 2), Math.floor(left / 2)]
    const kept: ShownColumn[] =
      left === all.length
        ? all
        : [...all.slice(0, head), { index: undefined, width: 1 }, ...all.slice(all.length - tail)]
    const widths = narrowed(kept, available - 3 * kept.length - 1)
    if (widths !== undefined) return widths
  }
  const [first] = all
  return first === undefined ? [] : [{ index: 0, width: Math.max(1, Math.min(first.width, available - 4)) }]
}

/** The columns in `room`, the widest made narrower. Undefined if they do not fit. */
function narrowed(columns: readonly ShownColumn[], room: number): readonly ShownColumn[] | undefined {
  const total = (limit: number): number => columns.reduce((sum, { width }) => sum + Math.min(width, limit), 0)
  if (total(LEAST_WIDTH) > room) return undefined
  let limit = Math.max(LEAST_WIDTH, ...columns.map(({ width }) => width))
  while (total(limit) > room) limit--
  return columns.map(({ index, width }) => ({ index, width: Math.min(width, limit) }))
}
