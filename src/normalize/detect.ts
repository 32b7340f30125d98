import type { JsonValue } from '../core/json.js'
import type { DataType } from '../core/schema.js'
import type { JsonScalar } from './coerce.js'
import { detectIso } from './time.js'

/** Epoch seconds this far from the start of the load still look like a moment: five years of 365 days. */
const MOMENT_RANGE_S = 5 * 31_536_000

const GREATEST_WEI = 578960446186580977117854925043439539266n
const GREATEST_INT64 = 2n ** 63n - 1n

/**
 * The type that a schema's `detections` see in a value, asked in their order; undefined leaves the type of the value.
 * Detections for values that JSON does not have are passed over.
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
      return value.kind === 'text' && detectIso(value.text) === 'timestamp' ? 'timestamp' : undefined
    case 'iso_date':
      return value.kind === 'text' && detectIso(value.text) === 'date' ? 'date' : undefined
    case 'timestamp':
      if (value.kind !== 'bigint' && value.kind !== 'double') return undefined
      return Math.abs(Number(value.literal) - loadSeconds) < MOMENT_RANGE_S ? 'timestamp' : undefined
    case 'large_integer': {
      if (value.kind !== 'bigint') return undefined
      const integer = BigInt(value.literal)
      return integer > GREATEST_WEI ? 'text' : integer > GREATEST_INT64 ? 'wei' : undefined
    }
    default:
      return undefined
  }
}
