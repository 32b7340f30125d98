import { JsonSyntaxError, parseJson } from '../../json/parse.js'
import type { JsonValue } from '../../json/value.js'
import { stringifyJson } from '../../json/write.js'
import type { DataType } from '../../schema/schemaTypes.js'
import { microsPerDay } from './calendar.js'
import { detectIso, epochMicros, instantMicros, isoTimeMicros, isoTimestampMicros, parseIso } from './isoText.js'
import {
  finite,
  parseDecimal,
  parseDouble,
  parseInteger,
  plainDecimal,
  printFloat,
  shortestDecimal,
} from './pythonNumbers.js'

/**
 * A value of a JSON document. `text` is unescaped. A `literal` is the number as written (`double`: with a fraction or
 * an exponent). The text of `json` is compact.
 */
export type JsonScalar =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'bigint'; readonly literal: string }
  | { readonly kind: 'double'; readonly literal: string }
  | { readonly kind: 'bool'; readonly value: boolean }
  | { readonly kind: 'json'; readonly text: string }

/**
 * A value of a column:
 *
 * | data type | value |
 * |---|---|
 * | text, json (compact) | string |
 * | decimal, wei | string `-?digits[.digits]` of any scale, or `NaN`, `Infinity`, `-Infinity`, which few engines hold |
 * | binary | Uint8Array |
 * | bigint | bigint of any size |
 * | double | number, NaN and ±Infinity among them |
 * | bool | boolean |
 * | timestamp | bigint, microseconds since 1970-01-01T00:00:00Z |
 * | time | bigint, microseconds since midnight |
 * | date | number, days since 1970-01-01 |
 */
export type Coerced = string | bigint | number | boolean | Uint8Array

/** Digits below seconds that columns of times hold at most. */
export const MOST_PRECISION = 6

/**
 * Converts the value to type `to` by dlt's rules. Numbers and texts are read and printed as in Python. Doubles become
 * their shortest decimals (as with dlt since 1.31: 2.675 with two decimal places is 2.68). Epochs are seconds, and
 * times without an offset are UTC. Undefined if the value does not fit: it then goes into a variant column. The
 * destination applies precision and scale. `timezone` changes nothing, since both kinds of timestamp columns hold UTC.
 */
export function coerce(
  value: JsonScalar,
  to: DataType,
  _column?: {
    readonly timezone?: boolean | undefined
    readonly precision?: number | undefined
    readonly scale?: number | undefined
  },
): Coerced | undefined {
  switch (value.kind) {
    case 'text':
      return fromText[to](value.text)
    case 'bigint':
      return fromInteger(BigInt(value.literal), to)
    case 'double':
      return fromDouble(value.literal, to)
    case 'bool':
      if (to === 'bool') return value.value
      if (to === 'text') {
        return value.value ? 'True' : 'False'
      }
      return undefined

    case 'json':
      return to === 'json' || to === 'text' ? value.text : undefined
  }
}

const fromText: Readonly<Record<DataType, (text: string) => Coerced | undefined>> = {
  text: text => text,
  binary: textToBinary,
  bigint: parseInteger,
  double: parseDouble,
  decimal: parseDecimal,
  wei: parseDecimal,
  bool: text => truths.get(text.toLowerCase()),
  json: textToJson,
  timestamp: textToMicros,
  date: text => daysOf(textToMicros(text)),
  time: text => {
    const micros = isoTimeMicros(text)
    return micros === undefined ? undefined : BigInt(micros)
  },
}

const truths: ReadonlyMap<string, boolean> = new Map([
  ...['yes', 'true', 't', 'y', '1'].map(text => [text, true] as const),
  ...['no', 'false', 'f', 'n', '0'].map(text => [text, false] as const),
])

function fromInteger(value: bigint, to: DataType): Coerced | undefined {
  switch (to) {
    case 'text':
    case 'decimal':
    case 'wei':
      return value.toString()
    case 'bigint':
      return value
    case 'double':
      return finite(Number(value))
    case 'bool':
      return value !== 0n
    case 'binary':
      return value < 0n ? undefined : littleEndian(value)
    case 'timestamp':
      return epochMicros(Number(value))
    case 'date':
      return daysOf(epochMicros(Number(value)))
    default:
      return undefined
  }
}

function fromDouble(literal: string, to: DataType): Coerced | undefined {
  const value = Number(literal)
  switch (to) {
    case 'text':
      return printFloat(value)
    case 'double':
      return value
    case 'bigint':
      return Number.isInteger(value) ? BigInt(value) : undefined
    case 'bool':
      return value !== 0
    case 'decimal':
    case 'wei':
      return Number.isFinite(value) ? shortestDecimal(value) : plainDecimal(literal)
    case 'timestamp':
      return epochMicros(value)
    case 'date':
      return daysOf(epochMicros(value))
    default:
      return undefined
  }
}

/** ISO timestamp or date, else epoch seconds. */
function textToMicros(text: string): bigint | undefined {
  const iso = parseIso(text)
  if (iso?.kind === 'timestamp') return instantMicros(iso)
  if (iso?.kind === 'date') return BigInt(iso.days) * BigInt(microsPerDay)
  if (iso?.kind === 'time') return undefined
  const seconds = /^\s*0x/.test(text) ? undefined : parseDouble(text)
  return seconds === undefined ? undefined : epochMicros(seconds)
}

function daysOf(micros: bigint | undefined): number | undefined {
  if (micros === undefined) return undefined
  const perDay = BigInt(microsPerDay)
  return Number(micros >= 0n ? micros / perDay : (micros - perDay + 1n) / perDay)
}

function textToJson(text: string): string | undefined {
  try {
    return stringifyJson(parseJson(text))
  } catch (error) {
    if (error instanceof JsonSyntaxError) return undefined
    throw error
  }
}

const strictBase64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/
// Python's fromhex skips ASCII white space between bytes.
const hexBytes = /^0x\s*(?:[0-9a-fA-F]{2}\s*)*$/

function textToBinary(text: string): Uint8Array | undefined {
  if (text.startsWith('0x')) {
    return hexBytes.test(text) ? Buffer.from(text.slice(2).replace(/\s/g, ''), 'hex') : undefined
  }
  return strictBase64.test(text) ? Buffer.from(text, 'base64') : undefined
}

/** The fewest bytes that hold the number, lowest first; none for 0. */
function littleEndian(value: bigint): Uint8Array {
  const bytes: number[] = []
  for (let rest = value; rest > 0n; rest >>= 8n) bytes.push(Number(rest & 0xffn))
  return Uint8Array.from(bytes)
}

/** Epoch seconds this close to the start of the load look like a time: five years of 365 days. */
const MOMENT_RANGE_S = 5 * 31_536_000

const GREATEST_WEI = 578960446186580977117854925043439539266n
const GREATEST_INT64 = 2n ** 63n - 1n

/**
 * The type that a schema's `detections` find in a value, tried in order. Undefined keeps the type of the value. Skips
 * detections for values that JSON does not have.
 */
export function detectType(
  value: JsonScalar,
  detections: JsonValue | undefined,
  loadSeconds: number,
): DataType | undefined {
  if (!Array.isArray(detections)) return undefined
  for (const detection of detections) {
    const type = detect(String(detection), value, loadSeconds)
    if (type !== undefined) return type
  }
  return undefined
}

function detect(detection: string, value: JsonScalar, loadSeconds: number): DataType | undefined {
  switch (detection) {
    case 'iso_timestamp':
      // A text such as `…+24:00` has the form and no instant. As a timestamp, it would fail the load.
      return value.kind === 'text' && isoTimestampMicros(value.text) !== undefined ? 'timestamp' : undefined
    case 'iso_date':
      return value.kind === 'text' && detectIso(value.text) === 'date' ? 'date' : undefined
    case 'timestamp':
      if (value.kind !== 'bigint' && value.kind !== 'double') return undefined
      return Math.abs(Number(value.literal) - loadSeconds) < MOMENT_RANGE_S ? 'timestamp' : undefined
    case 'large_integer': {
      if (value.kind !== 'bigint') return undefined
      const integer = BigInt(value.literal)
      if (integer > GREATEST_WEI) return 'text'
      return integer > GREATEST_INT64 ? 'wei' : undefined
    }
    default:
      return undefined
  }
}
