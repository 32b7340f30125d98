import type { BodyFormat } from '../document/declaration/formatKeys.js'
import { BodyFormatError } from './bodyError.js'

export type CsvFormat = Extract<BodyFormat, { type: 'csv' | 'tsv' }>

/** The records of a CSV text, as the text of a JSON array. Values stay texts. */
export async function csvRows(text: Uint8Array, format: CsvFormat): Promise<Uint8Array> {
  refuseOther(text)
  const { parse } = await import('csv-parse/sync')
  const { quote, escape: escapedBy, comment } = format
  const lines = parsed(() =>
    parse(Buffer.from(withoutLines(text, format.skip_lines ?? 0)), {
      skip_empty_lines: true,
      relax_quotes: true,
      delimiter: format.delimiter ?? (format.type === 'tsv' ? '\t' : ','),
      quote: quote ?? '"',
      ...(quote === false ? {} : { escape: escapedBy ?? quote ?? '"' }),
      // A mark in the middle of a line is part of a value.
      ...(comment == null ? {} : { comment, comment_no_infix: true }),
    }),
  )
  return jsonOfRows('CSV', lines, format.header ?? true)
}

/** Errors of APIs come as JSON or HTML, whatever was asked for. Read as CSV they would be a header without rows. */
function refuseOther(text: Uint8Array): void {
  const begins = Buffer.from(text.buffer, text.byteOffset, Math.min(text.length, 64)).toString('latin1').trimStart()
  if (/^(?:\{|\[\s*\{|<[!?a-z])/i.test(begins)) {
    throw new BodyFormatError('CSV', 'it begins as JSON, XML or HTML do')
  }
}

function parsed(parse: () => unknown): readonly (readonly string[])[] {
  try {
    return parse() as string[][]
  } catch (error) {
    throw new BodyFormatError('CSV', error instanceof Error ? error.message : String(error))
  }
}

function withoutLines(text: Uint8Array, lines: number): Uint8Array {
  let start = 0
  for (let line = 0; line < lines; line++) {
    const end = text.indexOf(0x0a, start)
    if (end < 0) return text.subarray(text.length)
    start = end + 1
  }
  return text.subarray(start)
}

/** A value of a table: text, or JSON that is ready. */
export type Cell = string | { readonly json: string }

/** The rows of a table as the text of a JSON array. `header`: whether the first line has the names, or the names. */
export function jsonOfRows(
  what: string,
  lines: readonly (readonly Cell[])[],
  header: boolean | readonly string[],
): Uint8Array {
  const [first] = lines
  if (header === true && first === undefined) {
    throw new BodyFormatError(what, 'it is empty, and not even the names of the columns are there')
  }
  const written = header === true ? (first ?? []).map(nameIn) : header
  const names = written === false ? (first ?? []).map((_, index) => columnName(index)) : written.map(nameOf)
  refuseTwice(what, names)
  const keys = names.map(name => `${JSON.stringify(name)}:`)
  const parts: string[] = []
  for (const [index, cells] of lines.entries()) {
    if (index === 0 && header === true) continue
    if (cells.length !== keys.length) {
      const problem = `line ${index + 1} has ${cells.length} values, and there are ${keys.length} names`
      throw new BodyFormatError(what, problem)
    }
    let row = '{'
    for (const [column, cell] of cells.entries()) {
      row += `${column === 0 ? '' : ','}${keys[column]}${typeof cell === 'string' ? JSON.stringify(cell) : cell.json}`
    }
    parts.push(`${row}}`)
  }
  return Buffer.from(`[${parts.join(',')}]`)
}

function nameIn(cell: Cell): string {
  return typeof cell === 'string' ? cell : cell.json === 'null' ? '' : cell.json
}

function nameOf(name: string, index: number): string {
  return name.trim() === '' ? columnName(index) : name
}

function columnName(index: number): string {
  return `column_${index + 1}`
}

/** Of two columns with one name, one would be lost. */
function refuseTwice(what: string, names: readonly string[]): void {
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice === undefined) return
  const cure = 'give the names as a list in `format.header`, and skip the line with `format.skip_lines: 1`'
  throw new BodyFormatError(what, `two columns are called ${JSON.stringify(twice)}; ${cure}`)
}
