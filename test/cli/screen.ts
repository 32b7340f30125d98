import type { Output } from '../../src/cli/terminal/terminal.js'

/** An output that keeps what was written, and can act as a terminal's screen of `columns`. */
export interface Screen extends Output {
  /** Everything written, raw. */
  text(): string
  /** The lines that would be visible now: cursor-up with erase, as the live display uses it, is carried out. */
  visible(): string[]
}

export function screen(
  options: { readonly isTerminal?: boolean; readonly columns?: number; readonly rows?: number } = {},
): Screen {
  let written = ''
  const write = (text: string): void => {
    written += text
  }
  return {
    isTerminal: options.isTerminal ?? false,
    erasers: new Set(),
    columns: () => options.columns ?? 80,
    rows: () => options.rows ?? 24,
    write,
    line: (text = '') => write(`${text}\n`),
    styled: (_style, text) => text,
    text: () => written,
    visible() {
      const lines: string[] = ['']
      for (const token of written.split(TOKENS)) {
        const up = REDRAW.exec(token)
        if (up !== null) lines.splice(lines.length - 1 - Number(up[1]), Number.POSITIVE_INFINITY, '')
        else if (token === '\n') lines.push('')
        else if (token === CLEAR) lines[lines.length - 1] = ''
        else lines[lines.length - 1] += token
      }
      return lines.slice(0, -1)
    },
  }
}

const ESCAPE = String.fromCharCode(27)
const CLEAR = `\r${ESCAPE}[K`
const TOKENS = new RegExp(`(${ESCAPE}\\[\\d+A${ESCAPE}\\[0J|\\r${ESCAPE}\\[K|\\n)`)
const REDRAW = new RegExp(`^${ESCAPE}\\[(\\d+)A`)
