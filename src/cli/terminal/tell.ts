import { wrapped } from './printable.js'
import { type Output, type Style, widthOf } from './terminal.js'

/** Writes a text of one line, in several where a terminal would wrap it. Those after the first are indented. */
export function tell(output: Output, text: string, indent = 2, style?: Style): void {
  for (const line of wrapped(text, widthOf(output), indent))
    output.line(style === undefined ? line : output.styled(style, line))
}

/** Writes lines of which the first begins with `start`, in a style of its own. */
export function tellBegun(output: Output, lines: readonly string[], start: string, style: Style): void {
  lines.forEach((line, index) => {
    output.line(index === 0 ? output.styled(style, start) + line.slice(start.length) : line)
  })
}
