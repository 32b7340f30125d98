import type { Verdict } from '../../model/receipt.js'
import { wrapped } from './printable.js'
import { tellBegun } from './tell.js'
import { type Output, type Style, widthOf } from './terminal.js'

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
