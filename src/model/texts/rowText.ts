import { stringifyJson } from '../../json/write.js'
import type { RowValue } from '../destination.js'

/** A value on one line, for people. */
export function shownValue(value: RowValue): string {
  if (value === null) return 'NULL'
  if (value instanceof Uint8Array) return `${value.length.toLocaleString('en-US')} bytes`
  if (value instanceof Date) return value.toISOString()
  return typeof value === 'object' || Object.is(value, -0) ? stringifyJson(value) : String(value)
}

/** A line of CSV (RFC 4180), without its end. An empty field is NULL, an empty text is `""`. Binary values are base64. */
export function csvLine(values: readonly RowValue[], separator = ','): string {
  return values.map(value => csvField(value, separator)).join(separator)
}

function csvField(value: RowValue, separator: string): string {
  if (value === null) return ''
  const text = value instanceof Uint8Array ? Buffer.from(value).toString('base64') : shownValue(value)
  return text === '' || text.includes(separator) || /[",\r\n]|^\s|\s$/.test(text)
    ? `"${text.replaceAll('"', '""')}"`
    : text
}
