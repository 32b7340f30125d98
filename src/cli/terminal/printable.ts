import { eastAsianWidth } from 'get-east-asian-width'

/**
 * Makes text from APIs, files and databases safe to print on a terminal. Escapes control characters, which could move
 * the cursor, rewrite lines or set the title. Also escapes characters that reverse the direction of text.
 */
export function printable(text: string): string {
  return text.replace(UNSAFE, escaped)
}

/** Like {@link printable}, but keeps line breaks, for messages with several lines. */
export function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n')
}

// C0 and C1 controls, line and paragraph separators, direction marks, overrides and isolates, the byte order mark,
// tag characters and halves of surrogate pairs.
const UNSAFE = /[\p{Cc}\u061C\u200E\u200F\u2028-\u202E\u2066-\u2069\uFEFF\u{E0000}-\u{E007F}\p{Cs}]/gu

const SHORT_ESCAPES: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }

function escaped(character: string): string {
  const code = character.codePointAt(0) ?? 0
  return SHORT_ESCAPES[character] ?? (code <= 0xff ? `\\x${hex(code, 2)}` : `\\u{${hex(code, 4)}}`)
}

function hex(code: number, digits: number): string {
  return code.toString(16).padStart(digits, '0')
}

/** Columns that printable text takes on a terminal. An estimate: terminals treat emoji differently. */
export function displayWidth(text: string): number {
  let width = 0
  for (const character of text) width += characterWidth(character)
  return width
}

/** The text, shortened with `…` if it is wider than `columns`. */
export function clip(text: string, columns: number): string {
  if (displayWidth(text) <= columns) return text
  let width = 0
  let kept = ''
  for (const character of text) {
    width += characterWidth(character)
    if (width > columns - 1) break
    kept += character
  }
  return `${kept}…`
}

/**
 * The text as lines no wider than `columns`. Breaks at spaces, and a longer word between its parts or where it must.
 * Lines after the first begin with `indent` spaces.
 */
export function wrapped(text: string, columns: number, indent = 0): string[] {
  const margin = ' '.repeat(Math.min(indent, Math.max(0, columns - 1)))
  const lines: string[] = []
  let line = ''
  let isBegun = false
  const end = (): void => {
    lines.push(line.trimEnd())
    line = margin
    isBegun = false
  }
  for (const word of text.split(/(?<= )(?! )/)) {
    let rest = word
    if (isBegun && displayWidth(line) + displayWidth(rest.trimEnd()) > columns) end()
    while (displayWidth(line) + displayWidth(rest.trimEnd()) > columns) {
      const part = betweenParts(head(rest, Math.max(1, columns - displayWidth(line))))
      line += part
      rest = rest.slice(part.length)
      end()
    }
    line += rest
    isBegun = true
  }
  if (isBegun || lines.length === 0) lines.push(line.trimEnd())
  return lines
}

/** As many characters as fit, at least one. */
function head(text: string, columns: number): string {
  let width = 0
  let kept = ''
  for (const character of text) {
    width += characterWidth(character)
    if (width > columns && kept !== '') break
    kept += character
  }
  return kept
}

/** Without the beginning of a part of a name or path, unless less than half would be left. */
function betweenParts(text: string): string {
  const [whole = ''] = /^.*[./_,:-]/su.exec(text) ?? []
  return whole.length * 2 >= text.length ? whole : text
}

/** Each part of an emoji counts: a terminal that does not join the parts shows them all. */
function characterWidth(character: string): number {
  if (ZERO_WIDTH.test(character)) return 0
  return EMOJI.test(character) ? 2 : eastAsianWidth(character.codePointAt(0) ?? 0)
}

const ZERO_WIDTH = /^[\p{Mn}\p{Me}\p{Cf}]$/u
const EMOJI = /^\p{Emoji_Presentation}$/u

/** `1,234,567`, whatever this machine's language. */
export function amount(value: number | bigint): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: 0 })
}

/** `1 page`, `2 pages`, `0 retries`. */
export function counted(value: number, one: string, many = `${one}s`): string {
  return `${amount(value)} ${value === 1 ? one : many}`
}

/** `120 ms`, `1.4 s`, `2 min 5 s`. */
export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`
  if (ms < 59_950) return `${(ms / 1_000).toFixed(1)} s`
  const seconds = Math.round(ms / 1_000)
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`
}

/** Items per second over `ms` milliseconds, as `1,234/s`. Empty while there is too little time to tell. */
export function rate(items: number, ms: number): string {
  return ms < 50 || items === 0 ? '' : `${amount(Math.round((items * 1_000) / ms))}/s`
}
