import type { WriteStream } from 'node:tty'
import { styleText } from 'node:util'

type Style = 'bold' | 'dim' | 'red' | 'yellow' | 'green'

/** Where a command writes. Text is written as it is: what comes from outside goes through `printable` before. */
export interface Output {
  /** Whether a person is looking: a live display is worth it. */
  readonly isTerminal: boolean
  /** Columns of the terminal; 80 where there is none. */
  columns(): number
  /** Lines of the terminal; 24 where there is none. */
  rows(): number
  write(text: string): void
  line(text?: string): void
  /** The text in a style where that can be seen; `NO_COLOR` and pipes get it plain. */
  styled(style: Style, text: string): string
}

/** The two outputs of a command: results on `out`, everything about the way there on `err`. */
export interface Terminal {
  readonly out: Output
  readonly err: Output
}

export function outputTo(stream: NodeJS.WritableStream): Output {
  const { isTTY = false } = stream as Partial<WriteStream>
  return {
    isTerminal: isTTY,
    // A terminal that does not know its size says 0.
    columns: () => (stream as Partial<WriteStream>).columns || 80,
    rows: () => (stream as Partial<WriteStream>).rows || 24,
    write: text => {
      stream.write(text)
    },
    line: (text = '') => {
      stream.write(`${text}\n`)
    },
    styled: (style, text) => (isTTY ? styleText(style, text, { stream }) : text),
  }
}
