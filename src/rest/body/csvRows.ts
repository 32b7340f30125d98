import { shortened } from '../../model/errors.js'
import type { BodyFormat } from '../document/declaration/formatKeys.js'
import { BodyFormatError } from './bodyError.js'
import { isBlankText, type JsonText } from './jsonText.js'
import { MOST_JSON } from './zipFiles.js'

export type CsvFormat = Extract<BodyFormat, { type: 'csv' | 'tsv' }>

/** The records of a CSV text, as the text of a JSON array. Values stay texts. */
export async function csvRows(text: Uint8Array, format: CsvFormat, most = MOST_JSON): Promise<JsonText> {
  refuseOther(text)
  const { parse } = await import('csv-parse/sync')
  const { quote, escape: escapedBy, comment } = format
  const table = new RowsWriter('CSV', format.header ?? true, most)
  const rest = withoutLines(text, format.skip_lines ?? 0)
  const lines = Buffer.from(rest)
  const delimiter = delimiterOf(format)
  const options = {
    skip_empty_lines: true,
    relax_quotes: true,
    delimiter,
    // Only a text with such a row could have it.
    ...(text.length > MOST_OF_ROW && { max_record_size: MOST_OF_ROW }),
    ...(mayBeWide(lines, delimiter) && { cast: refuseWide }),
    quote: quote ?? '"',
    ...(quote === false ? {} : { escape: escapedBy ?? quote ?? '"' }),
    // A mark in the middle of a line is part of a value.
    ...(comment == null ? {} : { comment, comment_no_infix: true }),
  }
  let first: readonly string[] = []
  let endOfFirst = 0
  let isFirst = true
  try {
    // The parser knows best which ends of lines are in quotation marks.
    parse(lines, {
      ...options,
      record_delimiter: ANY_END,
      to: 1,
      on_record: (cells: readonly string[], { bytes }) => {
        first = cells
        endOfFirst = bytes
        return null
      },
    })
    parse(lines, {
      ...options,
      // Some files mix them: by the first one alone, two lines could be one. Between lines that end with a line feed,
      // a carriage return is part of a value.
      record_delimiter: lines[endOfFirst - 1] === CR ? ANY_END : ['\r\n', '\n'],
      // Rows are written at once: a list of them would take several times the memory of the text.
      on_record: (cells: readonly string[]) => {
        if (
          isFirst &&
          (format.header ?? true) === true &&
          cells.some((cell, at) => cell.includes('\r') && cell !== first[at])
        ) {
          throw new BodyFormatError('CSV', 'its first line has a carriage return that is not in quotation marks')
        }
        isFirst = false
        table.add(cells)
        return null
      },
    })
  } catch (error) {
    if (error instanceof BodyFormatError) throw error
    if ((error as { code?: unknown }).code === 'CSV_MAX_RECORD_SIZE')
      throw new BodyFormatError('CSV', `a row has more than ${MOST_OF_ROW} bytes (64 MiB); ask for less of it`)
    throw new BodyFormatError('CSV', error instanceof Error ? error.message : String(error))
  }
  const rows = table.end()
  // The names of the columns may be in a line that is left out.
  return { ...rows, isBlank: rows.isBlank && isBlankText(text.subarray(0, text.length - rest.length)) }
}

/** Errors of APIs come as JSON or HTML, whatever was asked for. Read as CSV they would be a header without rows. */
function refuseOther(text: Uint8Array): void {
  const begins = Buffer.from(text.buffer, text.byteOffset, Math.min(text.length, 64)).toString('latin1').trimStart()
  if (/^(?:\{|\[\s*\{|<[!?a-z])/i.test(begins)) {
    throw new BodyFormatError('CSV', 'it begins as JSON, XML or HTML do')
  }
}

function withoutNames(what: string): BodyFormatError {
  return new BodyFormatError(what, 'it is empty, and not even the names of the columns are there')
}

/** Fails if a whole body that should begin with the names of columns has nothing but white space and delimiters. */
export function refuseBlank(format: CsvFormat): void {
  if ((format.header ?? true) === true) throw withoutNames('CSV')
}

/**
 * Fails if a whole body without rows is a sentence, such as "Your report is being generated". Read as CSV it would be a
 * header.
 */
export function refuseMessage(text: Uint8Array, format: CsvFormat): void {
  if ((format.header ?? true) !== true) return
  const line = Buffer.from(withoutLines(text, format.skip_lines ?? 0))
    .toString()
    .trim()
  if (line.includes(delimiterOf(format)) || !/^\S+(?: +\S+)+$/.test(line)) return
  const cure =
    'if it is the name of the only column, give it as a list in `format.header`, and skip the line with `format.skip_lines: 1`'
  const shown = JSON.stringify(shortened(line, 100))
  throw new BodyFormatError('CSV', `it is one line of words, ${shown}, and no rows, as messages of APIs are; ${cure}`)
}

function delimiterOf({ type, delimiter }: CsvFormat): string {
  return delimiter ?? (type === 'tsv' ? '\t' : ',')
}

export const CR = 0x0d
export const LF = 0x0a
/** The longest first. */
const ANY_END = ['\r\n', '\n', '\r']

/** The text after its first lines. */
export function withoutLines(text: Uint8Array, lines: number): Uint8Array {
  const firstFeed = text.indexOf(LF)
  const firstReturn = text.indexOf(CR)
  const isReturn = firstReturn >= 0 && (firstFeed < 0 || firstReturn < firstFeed - 1)
  let start = 0
  for (let line = 0; line < lines; line++) {
    const end = isReturn ? endOfLine(text, start) : text.indexOf(LF, start)
    if (end < 0) return text.subarray(text.length)
    start = end + 1
  }
  return text.subarray(start)
}

/** The last byte of a line, whatever it ends with. */
function endOfLine(text: Uint8Array, start: number): number {
  for (let at = start; at < text.length; at++) {
    if (text[at] === LF) return at
    if (text[at] === CR) return text[at + 1] === LF ? at + 1 : at
  }
  return -1
}

/** A value of a table: text, or JSON that is ready. */
export type CsvCell = string | { readonly json: string }

/** While a row is read, each text of it is in memory several times. */
const MOST_OF_ROW = 64 << 20

/** Commas without an end of line between them that may be one value in quotation marks. */
const MOST_UNSEEN = 1 << 20

/** Whether a line may have so many values that the parser needs the memory of the machine for it. Looks at bytes alone. */
function mayBeWide(text: Uint8Array, delimiter: string): boolean {
  if (text.length <= MOST_UNSEEN) return false
  const [mark] = Buffer.from(delimiter)
  let found = 0
  for (const byte of text) {
    if (byte === LF || byte === CR) found = 0
    else if (byte === mark && ++found > MOST_UNSEEN) return true
  }
  return false
}

/** Looks at each value, which costs time, so that a line ends the parser before it is read whole. */
function refuseWide(value: string, { index, lines }: { readonly index: number; readonly lines: number }): string {
  if (index < MOST_COLUMNS) return value
  throw new BodyFormatError('CSV', `line ${lines} has more than ${MOST_COLUMNS} values`)
}

/** Text is kept as bytes in parts of this size: a text of a whole page could be longer than a text may be. */
const PART_LENGTH = 1 << 20

/** More than any table that is meant has. */
const MOST_COLUMNS = 20_000
const MOST_OF_NAME = 10_000

/** Writes the rows of a table as the text of a JSON array. */
export class RowsWriter {
  readonly #what: string
  readonly #header: boolean | readonly string[]
  readonly #parts: Uint8Array[] = []
  #keys: readonly string[] | undefined
  #text = '['
  /** Bytes that may be written, without those of `#text`. */
  #left: number
  readonly #most: number
  #lines = 0
  #isFirst = true
  /** Whether the first line has a name. */
  #hasNames = false

  /**
   * `header`: whether the first line has the names, or the names. `what` is written: `CSV`. `most`: bytes that may be
   * written. A small body can be very much text: a name comes with every row, and a shared text with many cells.
   */
  constructor(what: string, header: boolean | readonly string[], most: number) {
    this.#what = what
    this.#header = header
    this.#left = most
    this.#most = most
  }

  add(cells: readonly CsvCell[]): void {
    this.#lines += 1
    if (this.#keys === undefined) {
      this.#keys = this.#keysOf(cells)
      if (this.#header === true) return
    }
    const keys = this.#keys
    if (cells.length !== keys.length) {
      const problem = `line ${this.#lines} has ${cells.length} values, and there are ${keys.length} names`
      throw new BodyFormatError(this.#what, problem)
    }
    this.#text += this.#isFirst ? '{' : ',{'
    this.#isFirst = false
    for (const [column, cell] of cells.entries()) {
      if (typeof cell === 'string') this.#refuseMore(cell.length)
      const value = typeof cell === 'string' ? JSON.stringify(cell) : cell.json
      this.#refuseMore(value.length)
      this.#text += `${column === 0 ? '' : ','}${keys[column]}${value}`
      if (this.#text.length >= PART_LENGTH) this.#flush()
    }
    this.#text += '}'
  }

  #flush(): void {
    const part = Buffer.from(this.#text)
    this.#left -= part.length
    this.#parts.push(part)
    this.#text = ''
  }

  #refuseMore(characters: number): void {
    if (this.#text.length + characters <= this.#left) return
    const most = `${this.#most} bytes`
    throw new BodyFormatError(this.#what, `its records would be more than ${most} of JSON; ask for fewer at once`)
  }

  /** The whole text. */
  end(): JsonText {
    const isBlank = this.#isFirst && !this.#hasNames
    if (this.#header === true && this.#keys === undefined) throw withoutNames(this.#what)
    return { text: Buffer.concat([...this.#parts, Buffer.from(`${this.#text}]`)]), isBlank }
  }

  /** Names, each with its colon. */
  #keysOf(first: readonly CsvCell[]): readonly string[] {
    const written = this.#header === true ? first.map(nameIn) : this.#header
    this.#hasNames = this.#header === true && first.some(cell => nameIn(cell).trim() !== '')
    const count = written === false ? first.length : written.length
    if (count > MOST_COLUMNS) {
      throw new BodyFormatError(this.#what, `it has ${count} columns, and ${MOST_COLUMNS} are the most`)
    }
    const names = written === false ? first.map((_, index) => columnName(index)) : written.map(nameOf)
    refuseLong(this.#what, names)
    refuseTwice(this.#what, names)
    return names.map(name => `${JSON.stringify(name)}:`)
  }
}

function nameIn(cell: CsvCell): string {
  if (typeof cell === 'string') return cell
  return cell.json === 'null' ? '' : cell.json
}

function nameOf(name: string, index: number): string {
  return name.trim() === '' ? columnName(index) : name
}

function columnName(index: number): string {
  return `column_${index + 1}`
}

/** Of two columns with one name, one would be lost. */
function refuseTwice(what: string, names: readonly string[]): void {
  const seen = new Set<string>()
  const twice = names.find(name => seen.size === seen.add(name).size)
  if (twice === undefined) return
  const cure = 'give the names as a list in `format.header`, and skip the line with `format.skip_lines: 1`'
  throw new BodyFormatError(what, `two columns are called ${shown(twice)}; ${cure}`)
}

/** Each row has every name, so a long one would become very much text. */
function refuseLong(what: string, names: readonly string[]): void {
  const index = names.findIndex(name => name.length > MOST_OF_NAME)
  const name = names[index]
  if (name === undefined) return
  const problem = `the name of column ${index + 1} has ${name.length} characters, and ${MOST_OF_NAME} are the most`
  throw new BodyFormatError(what, `${problem}: ${shown(name)}`)
}

function shown(name: string): string {
  return name.length <= 100 ? JSON.stringify(name) : `${JSON.stringify(name.slice(0, 100))}…`
}
