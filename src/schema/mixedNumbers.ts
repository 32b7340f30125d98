import { type JsonObject, type JsonValue, numberLiteral } from '../json/value.js'

/**
 * Keys whose values are whole numbers in some records and fractions in others. The first record would make such a column
 * `bigint`, and the fractions would go elsewhere.
 */
export function mixedNumbers(records: readonly JsonObject[]): readonly string[] {
  const whole = new Set<string>()
  const broken = new Set<string>()
  for (const record of records) {
    for (const [key, value] of Object.entries(record)) {
      if (isNumber(value)) (isWhole(value, numberLiteral(record, key)) ? whole : broken).add(key)
    }
  }
  return [...whole].filter(key => broken.has(key))
}

function isNumber(value: JsonValue | undefined): value is number | bigint {
  return typeof value === 'number' || typeof value === 'bigint'
}

/** As dlt reads them: `10.0` is a fraction. */
function isWhole(value: number | bigint, literal: string | undefined): boolean {
  return typeof value === 'bigint' || (Number.isInteger(value) && (literal === undefined || /^-?\d+$/.test(literal)))
}
