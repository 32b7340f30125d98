import { nearMiss } from '../../model/texts/nearMiss.js'
import type { BodyFormat } from '../document/declaration/formatKeys.js'
import { BodyFormatError } from './bodyError.js'
import { type CsvCell, RowsWriter } from './csvRows.js'
import type { JsonText } from './jsonText.js'
import { readXml } from './xmlBody.js'
import { type Allowance, isZip, MOST_UNPACKED, zipFiles } from './zipFiles.js'

export type ExcelFormat = Extract<BodyFormat, { type: 'excel' }>

const EXCEL = 'an Excel workbook'
const NULL: CsvCell = { json: 'null' }

/** The rows of one sheet of a workbook (`.xlsx`), as the text of a JSON array. Dates become ISO texts. */
export async function workbookRows(
  body: Uint8Array,
  format: ExcelFormat,
  allowance: Allowance = { left: MOST_UNPACKED },
  most = MOST_UNPACKED,
): Promise<JsonText> {
  if (body[0] === 0xd0 && body[1] === 0xcf) {
    throw new BodyFormatError(EXCEL, 'it is an old .xls file, or it has a password; ask for .xlsx without one')
  }
  if (!isZip(body)) throw new BodyFormatError(EXCEL, 'a workbook is a zip archive, and this is none')
  const parts = new Map<string, Uint8Array>()
  const isPart = (name: string): boolean =>
    /^xl\/(?:workbook\.xml|_rels\/workbook\.xml\.rels|sharedStrings\.xml|styles\.xml)$/.test(name)
  for (const { name, bytes } of await zipFiles(body, isPart, allowance)) parts.set(name, bytes)
  const book = await workbookOf(parts)
  const path = sheetPath(book.sheets, format.sheet ?? undefined)
  const [sheet] = await zipFiles(body, name => name === path, allowance)
  if (sheet === undefined) throw new BodyFormatError(EXCEL, `its file ${path} is missing`)
  const rows = await rowsOf(sheet.bytes, book)
  const rowsBefore = rows.slice(0, format.skip_rows ?? 0)
  const used = rows.slice(rowsBefore.length).filter(row => row.some(cell => !isEmpty(cell)))
  const width = used.reduce((most, row) => Math.max(most, row.length), 0)
  if (used.length * width > MOST_CELLS) throw new BodyFormatError(EXCEL, `its sheet has more than ${MOST_CELLS} cells`)
  const table = new RowsWriter(EXCEL, format.header ?? true, most)
  for (const row of used) table.add([...row, ...Array<CsvCell>(width - row.length).fill(NULL)])
  const { text, isBlank } = table.end()
  // The names of the columns may be in a row that is left out.
  return { text, isBlank: isBlank && rowsBefore.every(row => row.every(isEmpty)) }
}

interface Workbook {
  readonly sheets: readonly { readonly name: string; readonly path: string; readonly isHidden: boolean }[]
  readonly texts: readonly string[]
  /** For each style of cells, whether its numbers are dates or times. */
  readonly styles: readonly TimeStyle[]
  /** Whether days count from 1904. */
  readonly is1904: boolean
}

type TimeStyle = 'number' | 'date' | 'datetime' | 'time'

async function workbookOf(parts: ReadonlyMap<string, Uint8Array>): Promise<Workbook> {
  const targets = new Map<string, string>()
  const found: { name: string; id: string; isHidden: boolean }[] = []
  let is1904 = false
  await elementsOf(parts.get('xl/_rels/workbook.xml.rels'), (name, { Id = '', Target = '' }) => {
    if (name !== 'Relationship') return
    targets.set(Id, Target.startsWith('/') ? Target.slice(1) : `xl/${Target}`)
    bounded(targets.size, MOST_SHEETS, 'parts')
  })
  await elementsOf(parts.get('xl/workbook.xml'), (name, attributes) => {
    if (name === 'workbookPr') is1904 = /^(?:1|true)$/.test(attributes.date1904 ?? '')
    if (name !== 'sheet') return
    const id = Object.entries(attributes).find(([key]) => local(key) === 'id' && key !== 'id')?.[1] ?? ''
    found.push({ name: attributes.name ?? '', id, isHidden: /hidden/i.test(attributes.state ?? '') })
    bounded(found.length, MOST_SHEETS, 'sheets')
  })
  const sheets = found.flatMap(({ name, id, isHidden }) => {
    const path = targets.get(id)
    return path === undefined ? [] : [{ name, path, isHidden }]
  })
  if (sheets.length === 0) throw new BodyFormatError(EXCEL, 'it has no sheets')
  return {
    sheets,
    texts: await textsOf(parts.get('xl/sharedStrings.xml')),
    styles: await stylesOf(parts.get('xl/styles.xml')),
    is1904,
  }
}

function sheetPath(sheets: Workbook['sheets'], wanted: string | number | undefined): string {
  const chosen =
    wanted === undefined
      ? (sheets.find(({ isHidden }) => !isHidden) ?? sheets[0])
      : typeof wanted === 'number'
        ? sheets[wanted - 1]
        : sheets.find(({ name }) => name === wanted)
  if (chosen !== undefined) return chosen.path
  const names = sheets.slice(0, MOST_NAMED).map(({ name }) => name.slice(0, MOST_NAMED))
  const meant = typeof wanted === 'string' ? nearMiss(wanted, names) : undefined
  const hint =
    meant === undefined
      ? `it has ${names.map(name => JSON.stringify(name)).join(', ')}`
      : `did you mean ${JSON.stringify(meant)}?`
  throw new BodyFormatError(EXCEL, `there is no sheet ${JSON.stringify(wanted)}; ${hint}`)
}

/** More than any program writes. A small archive can hold millions, and each takes memory and time. */
const MOST_SHEETS = 10_000
const MOST_STYLES = 100_000
const MOST_TEXTS = 2 ** 22
/** Sheets, and letters of their names, in a message. */
const MOST_NAMED = 31

function bounded(count: number, most: number, what: string): void {
  if (count > most) throw new BodyFormatError(EXCEL, `it has more than ${most} ${what}`)
}

/** A name without its prefix: some programs write `x:row`. */
function local(name: string): string {
  return name.slice(name.indexOf(':') + 1)
}

async function elementsOf(
  bytes: Uint8Array | undefined,
  open: (name: string, attributes: Readonly<Record<string, string>>) => void,
): Promise<void> {
  if (bytes === undefined) return
  await readXml(bytes, { open: (name, attributes) => open(local(name), attributes), close() {}, text() {} }, EXCEL)
}

async function textsOf(bytes: Uint8Array | undefined): Promise<string[]> {
  if (bytes === undefined) return []
  const texts: string[] = []
  let isText = false
  let isReading = false
  await readXml(
    bytes,
    {
      open(name) {
        const own = local(name)
        if (own === 'si') bounded(texts.push(''), MOST_TEXTS, 'texts')
        if (own === 'rPh') isReading = true
        isText = own === 't'
      },
      close(name) {
        if (local(name) === 'rPh') isReading = false
        isText = false
      },
      // How a text is pronounced is not part of it.
      text(text) {
        if (isText && !isReading) texts[texts.length - 1] += text
      },
    },
    EXCEL,
  )
  return texts.map(unescaped)
}

/** Characters that XML cannot hold are written as `_x000D_`. */
function unescaped(text: string): string {
  return text.replace(/_x([0-9A-Fa-f]{4})_/g, (_all, code: string) => String.fromCharCode(Number.parseInt(code, 16)))
}

async function stylesOf(bytes: Uint8Array | undefined): Promise<TimeStyle[]> {
  const codes = new Map<number, string>()
  const styles: TimeStyle[] = []
  let isCells = false
  if (bytes === undefined) return []
  await readXml(
    bytes,
    {
      open(name, { numFmtId = '0', formatCode = '' }) {
        const own = local(name)
        if (own === 'numFmt') bounded(codes.set(Number(numFmtId), formatCode).size, MOST_STYLES, 'formats')
        if (own === 'cellXfs') isCells = true
        if (own === 'xf' && isCells)
          bounded(styles.push(timeStyle(Number(numFmtId), codes.get(Number(numFmtId)))), MOST_STYLES, 'styles')
      },
      close(name) {
        if (local(name) === 'cellXfs') isCells = false
      },
      text() {},
    },
    EXCEL,
  )
  return styles
}

/** Formats that every workbook has, without their code. */
function timeStyle(id: number, code: string | undefined): TimeStyle {
  if (code === undefined) {
    if (
      (id >= 14 && id <= 17) ||
      (id >= 27 && id <= 31) ||
      id === 36 ||
      (id >= 50 && id <= 54) ||
      id === 57 ||
      id === 58
    )
      return 'date'
    if ((id >= 18 && id <= 21) || (id >= 32 && id <= 35) || (id >= 45 && id <= 47) || id === 55 || id === 56)
      return 'time'
    return id === 22 ? 'datetime' : 'number'
  }
  const letters = code.replace(/"[^"]*"|\\.|_.|\*.|\[(?!h+\]|m+\]|s+\])[^\]]*\]/gi, '').toLowerCase()
  const hasDate = /[yd]/.test(letters) || /^[^hs]*mm[^hs]*$/.test(letters)
  const hasTime = /[hs]/.test(letters)
  if (hasDate) {
    return hasTime ? 'datetime' : 'date'
  }
  return hasTime ? 'time' : 'number'
}

interface OpenCell {
  readonly place: string
  readonly type: string
  readonly style: TimeStyle
  value: string | undefined
  hasFormula: boolean
}

/** Every row of a sheet, with nothing for rows that are left out. */
async function rowsOf(bytes: Uint8Array, book: Workbook): Promise<CsvCell[][]> {
  const rows: CsvCell[][] = []
  let row: CsvCell[] = []
  let cell: OpenCell | undefined
  let cells = 0
  let within = ''
  let isReading = false
  await readXml(
    bytes,
    {
      open(name, { r: place, t: type = 'n', s: style = '0' }) {
        const own = local(name)
        if (own === 'row') {
          // A place far away would be an endless table.
          const number = place === undefined ? rows.length + 1 : Number(place)
          if (!(number > rows.length && number <= MOST_ROWS))
            throw new BodyFormatError(EXCEL, `there is no row ${place}`)
          while (rows.length < number - 1) rows.push([])
          row = []
          rows.push(row)
        } else if (own === 'c') {
          const column = place === undefined ? row.length : columnOf(place)
          if (!(column >= row.length && column < MOST_COLUMNS))
            throw new BodyFormatError(EXCEL, `there is no cell ${place}`)
          cells += column + 1 - row.length
          if (cells > MOST_CELLS) throw new BodyFormatError(EXCEL, `its sheet has more than ${MOST_CELLS} cells`)
          while (row.length < column) row.push(NULL)
          cell = {
            place: place ?? `in row ${rows.length}`,
            type,
            style: book.styles[Number(style)] ?? 'number',
            value: undefined,
            hasFormula: false,
          }
        } else if (own === 'f' && cell !== undefined) cell.hasFormula = true
        else if (own === 'rPh') isReading = true
        // How a text is pronounced is not part of it.
        else if ((own === 'v' || own === 't') && cell !== undefined && !isReading) {
          within = own
          cell.value ??= ''
        }
      },
      text(text) {
        if (cell?.value !== undefined && within !== '') cell.value += text
      },
      close(name) {
        const own = local(name)
        if (own === 'v' || own === 't') within = ''
        if (own === 'rPh') isReading = false
        if (own !== 'c' || cell === undefined) return
        row.push(cellOf(cell, book))
        cell = undefined
      },
    },
    EXCEL,
  )
  return rows
}

/** The largest sheet that Excel has. */
const MOST_ROWS = 2 ** 20
const MOST_COLUMNS = 2 ** 14
/** What one page holds in memory. Far cells of a small file would fill it. */
const MOST_CELLS = 2 ** 24

function columnOf(place: string): number {
  let column = 0
  for (const letter of /^[A-Z]+/.exec(place)?.[0] ?? '') column = column * 26 + letter.charCodeAt(0) - 64
  return column - 1
}

function isEmpty(cell: CsvCell): boolean {
  return cell === '' || cell === NULL
}

function cellOf({ place, type, style, value, hasFormula }: OpenCell, { texts, is1904 }: Workbook): CsvCell {
  if (value === undefined || (value === '' && /^[nsb]$/.test(type))) {
    if (!hasFormula) return NULL
    throw new BodyFormatError(EXCEL, `the formula of cell ${place} was never computed; let the program save its values`)
  }
  switch (type) {
    case 's': {
      const text = /^\d+$/.test(value.trim()) ? texts[Number(value)] : undefined
      if (text === undefined) throw new BodyFormatError(EXCEL, `the text of cell ${place} is missing`)
      return text
    }
    case 'b':
      return { json: value.trim() === '1' || value.trim() === 'true' ? 'true' : 'false' }
    case 'n':
      return numberCell(value.trim(), style, is1904, place)
    default:
      return unescaped(value)
  }
}

function numberCell(text: string, style: TimeStyle, is1904: boolean, place: string): CsvCell {
  if (!/^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?$/.test(text)) {
    throw new BodyFormatError(EXCEL, `cell ${place} is no number: ${JSON.stringify(text.slice(0, 40))}`)
  }
  if (style === 'number') return { json: text }
  const days = Number(text)
  if (style !== 'time' && !is1904 && Math.floor(exactly(days)) === NO_DAY) {
    throw new BodyFormatError(EXCEL, `cell ${place} is 29 February 1900, a day that there never was`)
  }
  return timeText(days, style, is1904) ?? { json: text }
}

const DAY_MS = 86_400_000
/** 1970-01-01 in days of Excel. */
const EPOCH_DAY = 25_569
/** From the days that count from 1904 to those from 1900. */
const DAYS_TO_1904 = 1_462
/** The day after 9999-12-31. */
const LAST_DAY = 2_958_466

/** Excel has a 29 February 1900. */
const NO_DAY = 60

/** Days to the millisecond: a number just below a midnight is that midnight. */
function exactly(days: number): number {
  return Math.round(days * DAY_MS) / DAY_MS
}

/** Undefined: the number is no time of the calendar, such as 30 hours. */
function timeText(written: number, style: TimeStyle, is1904: boolean): string | undefined {
  if (style === 'time') return written >= 0 && written < 1 ? isoOf(Math.round(written * DAY_MS)).slice(11) : undefined
  const days = exactly(written + (is1904 ? DAYS_TO_1904 : 0))
  if (!(days >= 1 && days < LAST_DAY)) return undefined
  const real = days < NO_DAY ? days + 1 : days
  const text = isoOf(Math.round((real - EPOCH_DAY) * DAY_MS))
  return style === 'date' && text.endsWith('T00:00:00') ? text.slice(0, 10) : text
}

function isoOf(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace(/(?:\.000)?Z$/, '')
}
