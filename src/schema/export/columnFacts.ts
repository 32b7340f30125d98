import { DATA_TYPES, type ReadonlyColumn } from '../schemaTypes.js'

/** Hints of a column that decide what is loaded, beside its type. */
const KEYS = ['primary_key', 'merge_key', 'unique', 'row_key', 'parent_key', 'root_key', 'hard_delete'] as const

/** Type, nullability and keys of a column on one line: `decimal(38, 9), not null, primary key`. */
export function columnFacts(column: ReadonlyColumn): string {
  const { data_type: type, precision, scale, timezone } = column
  const size = precision === undefined ? '' : `(${precision}${scale === undefined ? '' : `, ${scale}`})`
  const zone = timezone === false ? ' without zone' : ''
  const keys = KEYS.filter(key => column[key] === true).map(worded)
  return [`${type}${size}${zone}`, ...(column.nullable === false ? [NOT_NULL] : []), ...keys].join(', ')
}

const NOT_NULL = 'not null'
const worded = (key: string): string => key.replace('_', ' ')

const TYPE = new RegExp(`^(?:${DATA_TYPES.join('|')})(?:\\(\\d+(?:, ?\\d+)?\\))?(?: without zone)?$`)
const WORDS: ReadonlySet<string> = new Set([NOT_NULL, ...KEYS.map(worded)])

/** What such a line says, part by part. */
export interface ColumnFacts {
  readonly type: string
  readonly isNullable: boolean
  /** Sorted. */
  readonly keys: readonly string[]
}

/** Reads what {@link columnFacts} writes. Undefined for any other line. */
export function readColumnFacts(line: string): ColumnFacts | undefined {
  const [type = '', ...rest] = line.split(/, *(?![^(]*\))/).map(part => part.trim())
  if (!TYPE.test(type) || !rest.every(word => WORDS.has(word))) return undefined
  return { type, isNullable: !rest.includes(NOT_NULL), keys: rest.filter(part => part !== NOT_NULL).sort() }
}
