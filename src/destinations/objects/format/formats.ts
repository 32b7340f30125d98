import type { DataType, ReadonlyColumn } from '../../../schema/schemaTypes.js'
import { duckdbDialect } from '../../duckdb/duckdbDialect.js'
import { columnType } from '../../sql/ddl.js'
import { doubleQuoted, textLiteral } from '../../sql/sqlSession.js'
import type { Compression, FileFormatName } from './fileEncoding.js'

/** How to write rows into a file and read them back, as SQL of DuckDB. */
export interface FileFormat {
  readonly name: FileFormatName
  /** Goes after COPY: a query over `relation`, which has every column with its own type. */
  source(relation: string, columns: readonly ReadonlyColumn[]): string
  options(columns: readonly ReadonlyColumn[], compression: Compression): string
  /** Goes after FROM. If the format takes the columns from the files, only those in `present` exist. */
  reader(paths: readonly string[], columns: readonly ReadonlyColumn[]): string
  /** Files hold only some columns, and a query shows which. */
  readonly describes: boolean
  /** A column from the reader, converted to its own type. */
  value(column: ReadonlyColumn): string
}

const typed = (column: ReadonlyColumn): string => columnType(duckdbDialect, column)
const quoted = (column: ReadonlyColumn): string => doubleQuoted(column.name)
const list = (paths: readonly string[]): string => `[${paths.map(textLiteral).join(', ')}]`

/** DuckDB holds a row group in memory, for each thread. It would count rows alone, whatever they hold. */
const ROW_GROUP_MIB = 64

const parquet: FileFormat = {
  name: 'parquet',
  describes: true,
  source: (relation, columns) => `SELECT ${columns.map(parquetValue).join(', ')} FROM ${relation}`,
  options: (_, compression) =>
    `FORMAT parquet, COMPRESSION ${compression === 'none' ? 'uncompressed' : compression}, ROW_GROUP_SIZE_BYTES '${ROW_GROUP_MIB}MiB'`,
  reader: paths => `read_parquet(${list(paths)}, union_by_name = true)`,
  value: column => `CAST(${quoted(column)} AS ${typed(column)})`,
}

/** JSON is text in dlt's Parquet, and for readers without JSON support. */
function parquetValue(column: ReadonlyColumn): string {
  return `CAST(${quoted(column)} AS ${column.data_type === 'json' ? 'VARCHAR' : typed(column)}) AS ${quoted(column)}`
}

/** One text column, written unchanged. The separator is a character that no line of JSON contains. */
const ONE_COLUMN = `FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER '\u0001'`

const jsonl: FileFormat = {
  name: 'jsonl',
  describes: false,
  source(relation, columns) {
    const members = columns.map(column => {
      const key = textLiteral(`${JSON.stringify(column.name)}:`)
      return `CASE WHEN ${quoted(column)} IS NOT NULL THEN ${key} || ${jsonValue(column)} END`
    })
    return `SELECT '{' || concat_ws(',', ${members.join(', ')}) || '}' AS line FROM ${relation}`
  },
  options: (_, compression) => `${ONE_COLUMN}${textCompression(compression)}`,
  reader(paths, columns) {
    const types = columns.map(column => `${quoted(column)}: '${column.data_type === 'json' ? 'JSON' : 'VARCHAR'}'`)
    return `read_json(${list(paths)}, format = 'newline_delimited', columns = {${types.join(', ')}})`
  },
  value: column => fromText(column),
}

/**
 * As dlt writes it: ISO times, decimals and binary (base64) as strings, JSON inline. Values that JSON lacks are
 * strings.
 */
function jsonValue(column: ReadonlyColumn): string {
  const name = quoted(column)
  switch (column.data_type ?? 'text') {
    case 'text':
      return `CAST(to_json(${name}) AS VARCHAR)`
    case 'json':
      // Line breaks mean nothing outside of strings, and are escaped inside.
      return `regexp_replace(CAST(${name} AS VARCHAR), '[\\r\\n]', ' ', 'g')`
    case 'double':
      return `CASE WHEN isfinite(${name}) THEN CAST(${name} AS VARCHAR) WHEN isnan(${name}) THEN '"NaN"' WHEN ${name} > 0 THEN '"Infinity"' ELSE '"-Infinity"' END`
    case 'bool':
    case 'bigint':
      return `CAST(${name} AS VARCHAR)`
    default:
      return `'"' || ${textValue(column, 'T')} || '"'`
  }
}

/** Values without quotes. `separator` goes between date and time. */
function textValue(column: ReadonlyColumn, separator: string): string {
  const name = quoted(column)
  const plain = `CAST(${name} AS VARCHAR)`
  switch (column.data_type ?? 'text') {
    case 'timestamp': {
      const local = `CAST(${column.timezone === false ? name : `timezone('UTC', ${name})`} AS TIMESTAMP)`
      const fraction = `CASE WHEN epoch_us(${local}) % 1000000 = 0 THEN '' ELSE strftime(${local}, '.%f') END`
      const text = `strftime(${local}, '%Y-%m-%d${separator}%H:%M:%S') || ${fraction}`
      return column.timezone === false ? text : `${text} || '+00:00'`
    }
    case 'time':
      return `CASE WHEN contains(${plain}, '.') THEN rpad(${plain}, 15, '0') ELSE ${plain} END`
    case 'binary':
      return `to_base64(${name})`
    default:
      return plain
  }
}

const QUOTED_IN_CSV: ReadonlySet<DataType> = new Set(['text', 'json', 'binary'])

const csv: FileFormat = {
  name: 'csv',
  describes: true,
  source: (relation, columns) =>
    `SELECT ${columns.map(column => `${textValue(column, ' ')} AS ${quoted(column)}`).join(', ')} FROM ${relation}`,
  options(columns, compression) {
    const texts = columns.filter(column => QUOTED_IN_CSV.has(column.data_type ?? 'text')).map(quoted)
    const forced = texts.length === 0 ? '' : `, FORCE_QUOTE (${texts.join(', ')})`
    return `FORMAT csv, HEADER true, DELIMITER ',', QUOTE '"', ESCAPE '"'${forced}${textCompression(compression)}`
  },
  // A null is nothing between commas. An empty text is a pair of quotes.
  reader: paths =>
    `read_csv(${list(paths)}, header = true, all_varchar = true, union_by_name = true, delim = ',', quote = '"', escape = '"', nullstr = '', allow_quoted_nulls = false, max_line_size = 67108864)`,
  value: column => fromText(column),
}

function fromText(column: ReadonlyColumn): string {
  return column.data_type === 'binary'
    ? `from_base64(${quoted(column)})`
    : `CAST(${quoted(column)} AS ${typed(column)})`
}

function textCompression(compression: Compression): string {
  return compression === 'none' ? '' : `, COMPRESSION ${compression}`
}

export const fileFormats: Readonly<Record<FileFormatName, FileFormat>> = { parquet, jsonl, csv }

/** The text after the last dot of the layout: `parquet`, `jsonl.gz`. */
export function fileExtension(format: FileFormatName, compression: Compression): string {
  if (format === 'parquet' || compression === 'none') return format
  return `${format}.${compression === 'gzip' ? 'gz' : 'zst'}`
}

/** The compression in the name of a text file. Parquet keeps it inside. */
export function compressionOfKey(key: string): Compression | undefined {
  if (key.endsWith('.parquet')) return undefined
  if (key.endsWith('.gz')) return 'gzip'
  return key.endsWith('.zst') ? 'zstd' : 'none'
}

/** The format of an extension, if it can be read. */
export function formatOfExtension(extension: string): FileFormatName | undefined {
  const first = extension.split('.')[0] ?? ''
  return first === 'parquet' || first === 'jsonl' || first === 'csv' ? first : undefined
}
