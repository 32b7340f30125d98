import { eastAsianWidth } from 'get-east-asian-width'
import { isSecretName } from '../../rest/http/redact.js'

/** Columns of the line that are shown, so that all of it fits into 80. */
const WIDTH = 64

/**
 * The line of a file, with a caret below a column. Both count from 1. What may be a secret is `***`. A long line is cut
 * around the column.
 */
export function excerpt(text: string, line: number, column: number): string {
  const written = text.split(/\r?\n/)[line - 1] ?? ''
  const { shown, at } = concealed(written, column - 1)
  const from = at < WIDTH - 8 ? 0 : at - WIDTH / 2
  const to = from + WIDTH
  const part = `${from > 0 ? '…' : ''}${shown.slice(from > 0 ? from + 1 : 0, to)}${shown.length > to ? '…' : ''}`
  const plain = part.replace(UNPRINTABLE, character => (character === '\t' ? '→' : '·'))
  const gutter = `  ${line} | `
  const blank = `${' '.repeat(gutter.length - 2)}| `
  return `${gutter}${plain}\n${blank}${' '.repeat(widthOf(plain.slice(0, at - from)))}^`
}

/** Also half of a surrogate pair, and what reverses the direction of text. */
const UNPRINTABLE = /[\p{Cc}\p{Cs}\p{Cf}\p{Zl}\p{Zp}]/gu

function widthOf(text: string): number {
  let width = 0
  for (const character of text) width += eastAsianWidth(character.codePointAt(0) ?? 0)
  return width
}

/** Where a value follows a name, as in a key, a parameter or a header. */
const NAMED = /(["']?)([\w.-]{2,60})\1(\s*[:=]\s*["']?)(?=\S)/g
/** The user of an address, and long runs of the characters of tokens. */
const BARE = /(?<=:\/\/)[^\s/@]+(?=@)|(?<![\w+/=-])(?=[\w+/=-]*\d)[\w+=-]{16,}/g
const NO_SECRET = /^(?:primary|merge|row|foreign)[-_]?key$/i

/** The line with `***` in place of what may be a secret, and where the offset is in it. */
function concealed(line: string, offset: number): { readonly shown: string; readonly at: number } {
  let shown = line
  let at = offset
  const conceal = (from: number, to: number): void => {
    shown = `${shown.slice(0, from)}***${shown.slice(to)}`
    if (at >= to) at += 3 - (to - from)
    else if (at > from) at = from
  }
  for (const match of line.matchAll(NAMED)) {
    const [all, , name = ''] = match
    const from = match.index + all.length
    // A reference is no secret, and what is in a map has names of its own.
    if (!isSecret(name) || /^[${[]/.test(line.slice(from))) continue
    conceal(from, line.length)
    break
  }
  for (const { index, 0: run } of [...shown.matchAll(BARE)].reverse()) conceal(index, index + run.length)
  return { shown, at }
}

function isSecret(name: string): boolean {
  const [, last = ''] = /([^-_.]+)$/.exec(name) ?? []
  return !NO_SECRET.test(name) && (isSecretName(name) || isSecretName(last))
}
