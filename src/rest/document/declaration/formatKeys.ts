import { z } from 'zod'
import { later } from '../../../model/runtime/firstUse.js'
import { key, name, names } from './pieces.js'
import { strictObject } from './strictObject.js'

/** Keys that every format has. */
const archive = later(() => ({
  entries: key(names, {
    description:
      'Files to read of a zip archive: names, in which `*` stands for any text. Without it, every file is read. Their records come in the order of the archive.',
    examples: ['orders-*.csv', ['2025/orders.csv', '2026/orders.csv']],
  }),
}))

const header = key(z.union([z.boolean(), z.array(name).min(1)]), {
  description:
    '`true`: the first line has the names · `false`: there are no names, and the columns are `column_1`, `column_2` … · a list: the names of a file that has none. ' +
    'To replace names, give a list and skip the line that has them.',
  default: true,
})

const character = z.string().regex(/^[^\r\n]$/u, 'must be one character')

const quote = z.union([character, z.literal(false)])

const csvKeys = later(() => ({
  delimiter: key(z.string().regex(/^[^\r\n]+$/, 'must be text without line breaks'), {
    description: 'Text between two values. Default: `,`, and a tab for `tsv`.',
    examples: [';', '|', '\t'],
  }),
  quote: key(quote, {
    description: 'Character around values that hold delimiters or line breaks. `false`: quotation marks are text.',
    default: '"',
  }),
  escape: key(character, {
    description: 'Character before a quotation mark that is part of a value. Default: the quotation mark itself.',
    examples: ['\\'],
  }),
  header,
  skip_lines: key(z.int().min(0), {
    description: 'Lines to leave out at the beginning, such as a title above the names.',
    default: 0,
  }),
  comment: key(name, {
    description: 'Lines that begin with this text are left out. Default: none.',
    examples: ['#'],
  }),
  ...archive(),
}))

const csv = strictObject(() => ({ type: z.literal('csv'), ...csvKeys() })).meta({
  description: 'Comma-separated values. They stay texts, unless hints name a type.',
})

const tsv = strictObject(() => ({ type: z.literal('tsv'), ...csvKeys() })).meta({
  description: 'Tab-separated values.',
})

const json = strictObject(() => ({ type: z.literal('json'), ...archive() })).meta({ description: 'One JSON value.' })

const jsonl = strictObject(() => ({ type: z.literal('jsonl'), ...archive() })).meta({
  description: 'Lines of JSON, also called NDJSON. Each value is a record.',
})

const xml = strictObject(() => ({
  type: z.literal('xml'),
  list_elements: key(z.array(name), {
    description:
      'Elements that are lists even if only one arrives. With the element around it, the list is there even if none arrives.',
    examples: [['item'], ['channel.item', 'order.line']],
  }),
  attribute_prefix: key(z.string(), { description: 'Text before the names of attributes.', default: '' }),
  text_key: key(name, {
    description: 'The field for the text of an element that has attributes or elements, too.',
    default: 'text',
  }),
  ...archive(),
})).meta({
  description:
    'XML. Attributes and elements become fields, and values stay texts. `data_selector` begins with the outermost element, as in `rss.channel.item`.',
})

const excel = strictObject(() => ({
  type: z.literal('excel'),
  sheet: key(z.union([name, z.int().min(1)]), 'Name or number of the sheet. Default: the first that is not hidden.'),
  header,
  skip_rows: key(z.int().min(0), { description: 'Rows to leave out at the beginning.', default: 0 }),
  ...archive(),
})).meta({ description: 'A workbook of Excel (`.xlsx`). Dates become texts such as `2026-01-31`.' })

/** How a body is written. */
const bodyFormats = [json, jsonl, csv, tsv, xml, excel] as const

type FormatSchema = (typeof bodyFormats)[number]

const formatNames = [
  'json',
  'jsonl',
  'csv',
  'tsv',
  'xml',
  'excel',
] as const satisfies readonly z.output<FormatSchema>['type'][]

/** The key `format` of an endpoint. */
const format = z.union([z.enum(formatNames), z.discriminatedUnion('type', bodyFormats)]).meta({ id: 'format' })

/** A format with its options, as written. */
export type BodyFormat = ReadonlyLists<z.output<FormatSchema>>

type ReadonlyLists<Keys> = Keys extends object ? { readonly [key in keyof Keys]: ReadonlyList<Keys[key]> } : never
type ReadonlyList<Value> = Value extends (infer Item)[] ? readonly Item[] : Value

/** The keys of an endpoint that say how bytes become records. */
export const bodyKeys = later(() => ({
  format: key(format, {
    description:
      'How the body is written, where its content type says something else or nothing. Without it, the content type decides, and then the ending of the name.',
    examples: ['jsonl', { type: 'csv', delimiter: ';' }],
  }),
  encoding: key(z.string().refine(isEncoding, 'is not a known encoding'), {
    description:
      'Encoding of the text, where the content type says a wrong one or none. A byte order mark counts more. Bytes that are not text in it are an error.',
    examples: ['windows-1252', 'utf-16le', 'shift_jis'],
  }),
  null_values: key(z.array(z.string()), {
    description: 'Texts that mean null. They are compared with the whole value, in nested values too.',
    examples: [[''], ['', 'N/A']],
  }),
  columns_from: key(z.union([name, z.array(name).min(1)]), {
    description:
      'For records that are lists of values: the path of the list with their names in the body, or the names. A list of names among the records is not a record.',
    examples: ['columns', 'values[0]', 'meta.columns[*].name', ['id', 'name']],
  }),
  key_column: key(name, {
    description:
      'For a map of records: the field that takes the name of each member. `data_selector` leads to the map. A value that is not an object goes into the field `value`. Where `data_selector` ends with `[*]`, the field takes the name of the list.',
    examples: ['id'],
  }),
}))

function isEncoding(label: string): boolean {
  try {
    return new TextDecoder(label).encoding !== ''
  } catch {
    return false
  }
}
