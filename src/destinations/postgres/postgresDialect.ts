import type { Capabilities } from '../../model/destination.js'
import { SchemaError } from '../../model/errors.js'
import type { DataType } from '../../schema/schemaTypes.js'
import { type Dialect, doubleQuoted, textLiteral } from '../sql/sqlSession.js'

/** A type as the server spells it, without the part in parentheses: `numeric(38,9)` is `numeric`. */
export function baseType(type: string): string {
  return type.replace(/\([^)]*\)/, '')
}

/**
 * Whether a column of type `to` takes values of type `from` unchanged: each is stored as it is, or the server refuses
 * it. Both as the server spells them.
 */
export function takes(to: string, from: string): boolean {
  const [target, source] = [baseType(to), baseType(from)]
  const [digits, scale] = modifiers(to)
  const [fromDigits, fromScale] = modifiers(from)
  if (target !== source) return WIDER[source]?.includes(target) === true
  // Fewer decimals, or fewer digits of a second, would round silently.
  if (source === 'numeric')
    return digits === undefined || (fromDigits !== undefined && (scale ?? 0) >= (fromScale ?? 0))
  if (/^time/.test(source)) return (digits ?? 6) >= (fromDigits ?? 6)
  return true
}

function modifiers(type: string): readonly (number | undefined)[] {
  return (/\(([^)]*)\)/.exec(type)?.[1] ?? '').split(',').map(text => (text === '' ? undefined : Number(text)))
}

/** Integers and texts refuse what does not fit, so a narrower column loses nothing silently. */
const INTEGERS = ['smallint', 'integer', 'bigint', 'numeric']
const WIDER: Readonly<Record<string, readonly string[]>> = {
  smallint: INTEGERS,
  integer: INTEGERS,
  bigint: INTEGERS,
  'character varying': ['text'],
  jsonb: ['json'],
}

/** Postgres as dlt 1.26 describes it. */
export const postgresCapabilities: Capabilities = {
  maxIdentifierLength: 63,
  reservedColumns: ['tableoid', 'ctid', 'xmin', 'xmax', 'cmin', 'cmax'],
  maxColumns: 1600,
  caseSensitive: true,
  dispositions: ['skip', 'append', 'replace', 'merge'],
  mergeStrategies: ['delete-insert', 'upsert', 'scd2', 'insert-only', 'cdc'],
  transactionalDdl: true,
  nulInText: false,
  batchRows: 8192,
  decimal: [38, 9],
  wei: [156, 78],
  timestampPrecision: [6, 6],
  parallelLoads: 'many_processes',
  dltType: 'dlt.destinations.postgres',
}

export const postgresDialect: Dialect = {
  identifier,
  typeName,
  storage: () => '',
  timestamp: (microseconds, timezone) =>
    `CAST(${textLiteral(isoText(microseconds))} AS ${typeName('timestamp', undefined, undefined, timezone)})`,
  temporary: name => `pg_temp.${identifier(name)}`,
  // IS NOT DISTINCT FROM would be checked for each pair of rows. Arrays can be hash-joined, and treat nulls as equal.
  same: (left, right) => `ARRAY[${left}] = ARRAY[${right}]`,
  changeCounts: table =>
    `SELECT pg_stat_get_xact_tuples_inserted(t), pg_stat_get_xact_tuples_updated(t) FROM CAST(${textLiteral(table)} AS regclass) AS t WHERE current_setting('track_counts') = 'on'`,
  caseSensitive: true,
  addsManyColumns: true,
  setsNotNull: true,
  cheapUpdate: undefined,
  letsCommitsOverlap: false,
}

/** Most bytes of a name. The server would cut longer ones, and could treat two names as one. */
const LONGEST_NAME_BYTES = 63

/** Quotes a name. Fails with a SchemaError if the server would change it. */
function identifier(name: string): string {
  const length = Buffer.byteLength(name)
  if (length <= LONGEST_NAME_BYTES && length > 0 && !name.includes('\0')) return doubleQuoted(name)
  throw new SchemaError(
    'schema',
    `${JSON.stringify(name)} cannot be a name in Postgres: names have 1 to ${LONGEST_NAME_BYTES} bytes of UTF-8 and no U+0000; give the table or column another name`,
  )
}

const simpleTypes = {
  text: 'character varying',
  double: 'double precision',
  bool: 'boolean',
  binary: 'bytea',
  json: 'jsonb',
  date: 'date',
} as const satisfies Partial<Record<DataType, string>>

/** dlt's types for Postgres, as the server spells them. The precision of a bigint is its width in bits. */
function typeName(type: DataType, precision?: number, scale?: number, timezone?: boolean): string {
  switch (type) {
    case 'text':
      return precision === undefined ? simpleTypes.text : `character varying(${precision})`
    case 'bigint':
      return integerType(precision)
    case 'timestamp':
      return `timestamp${fraction(precision)} ${timezone === false ? 'without' : 'with'} time zone`
    case 'time':
      return `time${fraction(precision)} without time zone`
    case 'decimal':
    case 'wei': {
      const [standardPrecision, standardScale] = postgresCapabilities[type]
      return `numeric(${precision ?? standardPrecision},${scale ?? standardScale})`
    }
    default:
      return simpleTypes[type]
  }
}

function integerType(bits: number | undefined): string {
  if (bits === undefined || bits > 32) return 'bigint'
  return bits <= 16 ? 'smallint' : 'integer'
}

/** Digits of a second in a type's name. Six are the standard. */
function fraction(digits: number | undefined): string {
  return digits === undefined || digits >= 6 ? '' : `(${Math.max(0, digits)})`
}

/** `2024-01-01 00:00:00.123456+00`: an instant, or the time in UTC for a type without zone. */
function isoText(microseconds: bigint): string {
  const rest = ((microseconds % 1000n) + 1000n) % 1000n
  const iso = new Date(Number((microseconds - rest) / 1000n)).toISOString()
  return `${iso.slice(0, -1).replace('T', ' ')}${String(rest).padStart(3, '0')}+00`
}
