import type { Verdict } from '../../model/receipt.js'
import { wrapped } from './printable.js'
import { type Output, type Style, widthOf } from './terminal.js'

/** Writes a text of one line, in several where a terminal would wrap it. Those after the first are indented. */
export function tell(output: Output, text: string, indent = 2, style?: Style): void {
  for (const line of wrapped(text, widthOf(output), indent))
    output.line(style === undefined ? line : output.styled(style, line))
}

const warned = new WeakMap<Output, Set<string>>()

/** Whether a warning is the first of its words on this output. Files beside each other share a `.env`. */
export function isNewWarning(output: Output, message: string): boolean {
  const told = warned.get(output) ?? new Set<string>()
  warned.set(output, told)
  const isNew = !told.has(message)
  told.add(message)
  return isNew
}

/** Writes lines of which the first begins with `start`, in a style of its own. */
export function tellBegun(output: Output, lines: readonly string[], start: string, style: Style): void {
  lines.forEach((line, index) => {
    output.line(index === 0 ? output.styled(style, start) + line.slice(start.length) : line)
  })
}

const MARKS = {
  complete: { mark: '✔', style: 'green' },
  unproven: { mark: '●', style: 'yellow' },
  incomplete: { mark: '✖', style: 'red' },
} as const satisfies Record<Verdict, { readonly mark: string; readonly style: Style }>

/** The verdict with its mark and colour on a terminal, the bare word elsewhere. */
export function markedVerdict(verdict: Verdict, { isTerminal }: Pick<Output, 'isTerminal'>): string {
  return isTerminal ? `${MARKS[verdict].mark} ${verdict}` : verdict
}

export function verdictStyle(verdict: Verdict): Style {
  return MARKS[verdict].style
}

/** Writes a text that says that all went well. */
export function tellDone(out: Output, text: string): void {
  if (!out.isTerminal) {
    out.line(text)
    return
  }
  const { mark, style } = MARKS.complete
  tellBegun(out, wrapped(`${mark} ${text}`, widthOf(out), 2), mark, style)
}
