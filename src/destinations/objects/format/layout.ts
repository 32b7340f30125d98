import { ConfigError } from '../../../model/errors.js'
import { nodeCrypto } from '../../../model/runtime/nodeCrypto.js'
import { literalPattern } from '../../../model/texts/literalPattern.js'

/** dlt's default. */
export const DEFAULT_LAYOUT = '{table_name}/{load_id}.{file_id}.{ext}'

/** The parts of a data file's name. */
interface LayoutValues {
  readonly tableName: string
  readonly schemaName: string
  readonly loadId: string
  readonly fileId: string
  /** Without a leading dot: `parquet`, `jsonl.gz`. */
  readonly ext: string
  /** Microseconds since the epoch. */
  readonly at: bigint
}

/** How data files are named, with dlt's placeholders. */
export interface Layout {
  readonly text: string
  /** The key of a file, relative to the dataset. */
  key(values: LayoutValues): string
  /** Matches the keys of a table's files, from any tool. The groups `loadId` and `ext` give their parts. */
  pattern(tableName: string, schemaName: string): RegExp
}

const NEEDED = ['table_name', 'load_id', 'file_id'] as const

/** Checks a whole layout. Throws a ConfigError that names the placeholder. */
export function layout(text: string, extra: Readonly<Record<string, string>> = {}): Layout {
  const problem = (message: string): ConfigError =>
    new ConfigError([{ place: { path: 'layout' }, message: `${JSON.stringify(text)}: ${message}` }])
  const parts = text.split(/\{([^{}]*)\}/)
  const names = parts.filter((_, index) => index % 2 === 1)
  const known = [...Object.keys(standard(EXAMPLE)), ...Object.keys(dateTokens(new Date(0))), ...Object.keys(extra)]
  for (const name of names) {
    if (!known.includes(name)) throw problem(`there is no placeholder {${name}}; there are ${known.join(', ')}`)
  }
  for (const name of NEEDED) {
    if (!names.includes(name)) throw problem(`needs {${name}}, or files would overwrite each other`)
  }
  const literals = parts.filter((_, index) => index % 2 === 0).join('\0')
  if (/[{}\\]|(^|\/)\.{0,2}(\/|$)/.test(literals.replaceAll('\0', 'x')) || /^[/.]/.test(text) || text.endsWith('/'))
    throw problem('expected relative folders and a file name, without `.`, `..`, empty or hidden parts')
  const filled = (valueFor: (name: string) => string, literal: (part: string) => string): string =>
    parts.map((part, index) => (index % 2 === 0 ? literal(part) : valueFor(part))).join('')

  return {
    text,
    key(values) {
      const all: Readonly<Record<string, string>> = {
        ...dateTokens(new Date(Number(values.at / 1000n))),
        ...Object.fromEntries(Object.entries(extra).map(([name, value]) => [name, segment(value)])),
        ...standard(values),
      }
      return filled(
        name => all[name] ?? '',
        part => part,
      )
    },
    pattern(tableName, schemaName) {
      const seen = new Set<string>()
      const source = filled(
        name => {
          const first = !seen.has(name)
          seen.add(name)
          switch (name) {
            case 'table_name':
              return literalPattern(segment(tableName))
            case 'schema_name':
              return literalPattern(segment(schemaName))
            case 'load_id':
              return first ? '(?<loadId>\\d+\\.\\d+)' : '\\d+\\.\\d+'
            case 'ext':
              return first ? '(?<ext>[a-z]+(?:\\.[a-z]+)?)' : '[a-z]+(?:\\.[a-z]+)?'
            default:
              return '[^/]+?'
          }
        },
        part => literalPattern(part),
      )
      return new RegExp(`^${source}$`)
    },
  }
}

const EXAMPLE: LayoutValues = { tableName: 't', schemaName: 's', loadId: '1.1', fileId: 'f', ext: 'e', at: 0n }

function standard(values: LayoutValues): Record<string, string> {
  const load = microsecondsOf(values.loadId)
  return {
    table_name: segment(values.tableName),
    schema_name: segment(values.schemaName),
    load_id: segment(values.loadId),
    file_id: values.fileId,
    ext: values.ext,
    curr_date: isoDate(values.at),
    timestamp: String(values.at / 1_000_000n),
    timestamp_ms: String(values.at / 1000n),
    load_package_timestamp: String(load / 1_000_000n),
    load_package_timestamp_ms: String(load / 1000n),
  }
}

/** A load id is the time in seconds since the epoch, with up to seven decimals. */
export function microsecondsOf(loadId: string): bigint {
  const [seconds = '0', fraction = ''] = loadId.split('.')
  return /^\d+$/.test(seconds) && /^\d*$/.test(fraction)
    ? BigInt(seconds) * 1_000_000n + BigInt(fraction.padEnd(6, '0').slice(0, 6))
    : 0n
}

function isoDate(microseconds: bigint): string {
  return new Date(Number(microseconds / 1000n)).toISOString().slice(0, 10)
}

const MONTHS = 'january february march april may june july august september october november december'.split(' ')
const DAYS = 'sunday monday tuesday wednesday thursday friday saturday'.split(' ')

/** Tokens of pendulum that dlt has as placeholders, in UTC. As in dlt, month and day names are in lower case. */
function dateTokens(date: Date): Record<string, string> {
  const two = (value: number): string => String(value).padStart(2, '0')
  const year = date.getUTCFullYear()
  const month = date.getUTCMonth()
  const monthName = MONTHS[month] ?? ''
  const dayName = DAYS[date.getUTCDay()] ?? ''
  return {
    YYYY: String(year).padStart(4, '0'),
    YY: two(year % 100),
    Y: String(year),
    MMMM: monthName,
    MMM: monthName.slice(0, 3),
    MM: two(month + 1),
    M: String(month + 1),
    DD: two(date.getUTCDate()),
    D: String(date.getUTCDate()),
    HH: two(date.getUTCHours()),
    H: String(date.getUTCHours()),
    mm: two(date.getUTCMinutes()),
    m: String(date.getUTCMinutes()),
    ss: two(date.getUTCSeconds()),
    s: String(date.getUTCSeconds()),
    dddd: dayName,
    ddd: dayName.slice(0, 3),
    dd: dayName.slice(0, 2),
    d: String(date.getUTCDay()),
    Q: String(Math.floor(month / 3) + 1),
  }
}

/** Longer segments are shortened, in bytes: file systems allow 255, and a layout may join several names. */
const LONGEST_BYTES = 120

/**
 * A name as one path segment. Letters, digits, `_`, `-`, `~`, `=` and inner dots and spaces stay. Everything else is
 * percent-encoded. Long names are cut and end in `~` and a digest. Different names give different segments, never `.`
 * or `..`.
 */
export function segment(name: string): string {
  let encoded = ''
  for (const character of name.normalize('NFC')) {
    encoded += /[\p{L}\p{N}_.=~ -]/u.test(character) ? character : percent(character)
  }
  encoded = encoded.replace(/^[. ]|[. ]$|^init$/g, found => percent(found[0] ?? '') + found.slice(1))
  if (Buffer.byteLength(encoded) <= LONGEST_BYTES) return encoded
  let end = 0
  for (const character of encoded) {
    if (Buffer.byteLength(encoded.slice(0, end + character.length)) > 90) break
    end += character.length
  }
  return `${encoded.slice(0, end)}~${nodeCrypto().createHash('sha256').update(name).digest('hex').slice(0, 20)}`
}

function percent(character: string): string {
  return [...Buffer.from(character)].map(byte => `%${byte.toString(16).padStart(2, '0').toUpperCase()}`).join('')
}
