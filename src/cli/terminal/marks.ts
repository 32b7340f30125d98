import type { Verdict } from '../../model/receipt.js'
import type { Output, Style } from './terminal.js'

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

/** A line that says that all went well. */
export function doneLine(text: string, out: Pick<Output, 'isTerminal' | 'styled'>): string {
  return out.isTerminal ? `${out.styled('green', MARKS.complete.mark)} ${text}` : text
}
