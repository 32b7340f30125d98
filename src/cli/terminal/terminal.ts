import { once } from 'node:events'
import type { Writable } from 'node:stream'
import type { WriteStream } from 'node:tty'
import { styleText } from 'node:util'

export type Style = 'bold' | 'dim' | 'red' | 'yellow' | 'green'

/** Where a command writes. Text is written unchanged: pass text from outside through `printable` first. */
export interface Output {
  /** Whether somebody is watching, so that a live display is useful. */
  readonly isTerminal: boolean
  /** Columns of the terminal, or 80 without one. */
  columns(): number
  /** Lines of the terminal, or 24 without one. */
  rows(): number
  write(text: string): void
  /** Each erases lines that are redrawn in place. Call them before writing between two redraws. */
  readonly erasers?: Set<() => void> | undefined
  /** Resolves when the reader has taken enough of what was written. Absent: there is nothing to wait for. */
  drained?(): Promise<void>
  line(text?: string): void
  /** The text in a style, if the output can show it. `NO_COLOR` and pipes get plain text, `FORCE_COLOR` gets styles. */
  styled(style: Style, text: string): string
}

/** The two outputs of a command: results on `out`, progress and messages on `err`. */
export interface Terminal {
  readonly out: Output
  readonly err: Output
}

export function outputTo(stream: Writable): Output {
  const { isTTY = false } = stream as Partial<WriteStream>
  return {
    isTerminal: isTTY,
    erasers: new Set(),
    // A terminal that does not know its size says 0.
    columns: () => (stream as Partial<WriteStream>).columns || 80,
    rows: () => (stream as Partial<WriteStream>).rows || 24,
    write: text => {
      stream.write(text)
    },
    drained: async () => {
      if (stream.writableNeedDrain) await once(stream, 'drain')
    },
    line: (text = '') => {
      stream.write(`${text}\n`)
    },
    styled: (style, text) => styleText(style, text, { stream }),
  }
}

/** Columns that a line may take: those of a terminal. Nothing else wraps lines. */
export function widthOf({ isTerminal, columns }: Pick<Output, 'isTerminal' | 'columns'>): number {
  return isTerminal ? columns() : Number.POSITIVE_INFINITY
}

/** Writes a line while something may be redrawn in place, and over the `^C` that a terminal shows. */
export function interject(output: Output, text: string): void {
  for (const erase of output.erasers ?? []) erase()
  if (output.isTerminal) output.write('\r\x1b[K')
  output.line(text)
}
