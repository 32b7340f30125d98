import { CR, type CsvFormat, LF, withoutLines } from './csvRows.js'

/** Where a text of rows may be cut, so that its parts are read as it would be. */
export interface RowEnds {
  /** Bytes that every part begins with, such as the names of a table. Undefined: they are not all there yet. */
  readonly head: number | undefined
  /** The last place for a cut. Undefined: there is none yet. */
  readonly last: number | undefined
}

/**
 * Finds the ends of rows as the parser of `csvRows.ts` does, without making values of them. In the text, which may end
 * anywhere, a byte of ASCII is always a character.
 */
export function csvRowEnds(text: Uint8Array, format: CsvFormat): RowEnds {
  const body = withoutLines(text.subarray(hasMark(text) ? 3 : 0), format.skip_lines ?? 0)
  const rows = new RowScan(body, format)
  const offset = text.length - body.length
  const hasHeader = (format.header ?? true) === true
  const first = rows.next()
  if (first === undefined) return { head: hasHeader ? undefined : offset, last: undefined }
  let last: number | undefined
  for (let row = rows.next(); row !== undefined; row = rows.next()) {
    if (hasHeader) last = row.end
    // Without names, the end of a part's first row decides how its other rows end.
    else if (!row.hasReturn && (body[row.end - 1] === CR) === (body[first.end - 1] === CR)) last = row.start
  }
  return { head: hasHeader ? offset + first.end : offset, last: last === undefined ? undefined : offset + last }
}

function hasMark(text: Uint8Array): boolean {
  return text[0] === 0xef && text[1] === 0xbb && text[2] === 0xbf
}

interface Row {
  readonly start: number
  readonly end: number
  /** A carriage return in it is part of a value, although no quotation marks are around it. */
  readonly hasReturn: boolean
}

/** The rows of a text, one after the other. */
class RowScan {
  readonly #text: Uint8Array
  readonly #delimiter: Uint8Array
  readonly #quote: Uint8Array | undefined
  readonly #escape: Uint8Array | undefined
  readonly #comment: Uint8Array | undefined
  readonly #isEscapedByQuote: boolean
  /** Bytes after a quotation mark that show what it means. */
  readonly #lookahead: number
  /** Whether a byte may end a value or a row. */
  readonly #mayEnd = new Uint8Array(256)
  #at = 0
  /** Whether a carriage return alone ends a row. Any end of the first row is taken; it decides about the others. */
  #endsWithReturn = true
  #isFirst = true
  #hasReturn = false

  constructor(text: Uint8Array, { type, delimiter, quote: quotedBy, escape: escapedBy, comment }: CsvFormat) {
    const quote = quotedBy ?? '"'
    this.#text = text
    this.#delimiter = Buffer.from(delimiter ?? (type === 'tsv' ? '\t' : ','))
    this.#quote = quote === false ? undefined : Buffer.from(quote)
    this.#escape = quote === false ? undefined : Buffer.from(escapedBy ?? quote)
    this.#comment = comment == null ? undefined : Buffer.from(comment)
    this.#isEscapedByQuote = quote !== false && (escapedBy ?? quote) === quote
    this.#lookahead = Math.max(2, ...[this.#delimiter, this.#quote, this.#comment].map(mark => mark?.length ?? 0))
    for (const byte of [CR, LF, this.#delimiter[0] ?? LF]) this.#mayEnd[byte] = 1
  }

  /** The next row that is whole, with empty lines and comments before it. */
  next(): Row | undefined {
    const start = this.#at
    this.#hasReturn = false
    let isEmptyRow = true
    let isEmptyField = true
    let at = start
    while (at < this.#text.length) {
      if (isEmptyField && this.#isAt(this.#quote, at)) {
        const after = this.#afterQuoted(at + (this.#quote?.length ?? 1))
        if (after === undefined) return undefined
        isEmptyRow = false
        isEmptyField = after.isEmpty
        at = after.at
        continue
      }
      const end = this.#rowEnd(at)
      if (end === 'unknown') return undefined
      if (end > 0) {
        at += end
        if (isEmptyRow && isEmptyField) continue
        this.#at = at
        if (this.#isFirst) this.#endsWithReturn = this.#text[at - 1] === CR
        this.#isFirst = false
        return { start, end: at, hasReturn: this.#hasReturn }
      }
      if (isEmptyRow && isEmptyField && this.#isAt(this.#comment, at)) {
        const after = this.#afterLine(at)
        if (after === undefined) return undefined
        at = after
        continue
      }
      if (this.#isAt(this.#delimiter, at)) {
        at += this.#delimiter.length
        isEmptyRow = false
        isEmptyField = true
        continue
      }
      isEmptyField = false
      for (at++; at < this.#text.length && this.#mayEnd[this.#text[at] as number] === 0; ) at++
    }
    return undefined
  }

  /** The place after a quoted value. Undefined if the text ends before it. */
  #afterQuoted(from: number): { readonly at: number; readonly isEmpty: boolean } | undefined {
    const text = this.#text
    const [mark = 0] = this.#quote ?? []
    const width = this.#quote?.length ?? 1
    for (let at = from; at < text.length; at++) {
      if (this.#isEscapedByQuote) at = text.indexOf(mark, at)
      if (at < 0) return undefined
      if (!this.#isEscapedByQuote && this.#isAt(this.#escape, at)) {
        // The character after it is part of the value, whatever it is.
        at += this.#escape?.length ?? 1
        continue
      }
      if (!this.#isAt(this.#quote, at)) continue
      const next = at + width
      if (next + this.#lookahead > text.length) return undefined
      if (this.#isEscapedByQuote && this.#isAt(this.#quote, next)) {
        at = next + width - 1
        continue
      }
      const end = this.#rowEnd(next)
      const isClosed =
        text[next] === 0 || this.#isAt(this.#delimiter, next) || end !== 0 || this.#isAt(this.#comment, next)
      // A quotation mark in the middle of a value: the value goes on without quotation.
      return { at: next, isEmpty: isClosed && at === from }
    }
    return undefined
  }

  /** Length of the end of a row that is here. 0: there is none. */
  #rowEnd(at: number): number | 'unknown' {
    const byte = this.#text[at]
    if (byte === LF) return 1
    if (byte !== CR) return 0
    if (at + 1 >= this.#text.length) return 'unknown'
    if (this.#text[at + 1] === LF) return 2
    if (this.#endsWithReturn) return 1
    this.#hasReturn = true
    return 0
  }

  #afterLine(from: number): number | undefined {
    for (let at = from; at < this.#text.length; at++) {
      const end = this.#rowEnd(at)
      if (end === 'unknown') return undefined
      if (end > 0) return at + end
    }
    return undefined
  }

  #isAt(what: Uint8Array | undefined, at: number): boolean {
    if (what === undefined || this.#text[at] !== what[0]) return false
    for (let index = 1; index < what.length; index++) if (this.#text[at + index] !== what[index]) return false
    return true
  }
}
