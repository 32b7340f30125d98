import { describe, expect, it } from 'vitest'
import type { JsonValue } from '../../src/json/value.js'
import { canonicalJson } from '../../src/json/write.js'
import { type Coerced, coerce, type JsonScalar } from '../../src/normalize/exact/coerce.js'
import { formatDate, formatTime, isoTimestampMicros } from '../../src/normalize/exact/isoText.js'
import { plainDecimal, printFloat } from '../../src/normalize/exact/pythonNumbers.js'
import type { DataType } from '../../src/schema/schemaTypes.js'
import golden from '../golden/coercion.json' with { type: 'json' }
import fc from '../properties.js'

/** A golden value: a JSON value, or an object with its Python class. */
type Tagged = JsonValue & { readonly int: string; readonly float: string }

function scalar(type: string, value: JsonValue): JsonScalar | undefined {
  switch (type) {
    case 'text':
      return { kind: 'text', text: value as string }
    case 'bigint':
      return { kind: 'bigint', literal: (value as unknown as Tagged).int }
    case 'double':
      return { kind: 'double', literal: (value as unknown as Tagged).float }
    case 'bool':
      return { kind: 'bool', value: value as boolean }
    case 'json':
      // The double of the golden file's {"a": 1.0} got lost in it.
      return { kind: 'json', text: JSON.stringify(value).replace('{"a":1}', '{"a":1.0}') }
    default:
      return undefined // no JSON document holds it
  }
}

/** The result in the golden file's words; times and decimals in ours, which say the same. */
function worded(to: DataType, result: Coerced | undefined): unknown {
  if (result === undefined) return 'variant'
  switch (to) {
    case 'bigint':
      return { int: String(result) }
    case 'double':
      return { float: printFloat(result as number) }
    case 'binary':
      return { bytes: Buffer.from(result as Uint8Array).toString('hex') }
    case 'date':
      return { date: formatDate(result as number) }
    case 'time':
      return { time: formatTime(result as bigint) }
    case 'timestamp':
      return { micros: result }
    case 'decimal':
    case 'wei':
      return { decimal: result }
    case 'json':
      return JSON.parse(result as string)
    default:
      return result
  }
}

/** What dlt 1.26 made of the value; of doubles dlt makes their shortest decimals since 1.31. */
function expected(from: JsonScalar, to: DataType, vector: unknown): unknown {
  if (vector === 'variant') return vector
  const ok = (vector as { ok: JsonValue }).ok
  if (ok === null || typeof ok !== 'object') return ok
  const [name, text] = Object.entries(ok)[0] as [string, string]
  if (to === 'date') return { date: text }
  if (to === 'time') return { time: text }
  if (to === 'timestamp') return { micros: isoTimestampMicros(text) }
  if (name === 'decimal' || name === 'wei') {
    if (/^\W?[A-Z]/.test(text)) return { decimal: text }
    return { decimal: plainDecimal(from.kind === 'double' ? String(Number(text)) : text) }
  }
  if (to !== 'json') return ok
  return name === 'int' || name === 'float' ? Number(text) : ok
}

describe('coercion', () => {
  const cases = golden.flatMap(({ from_type, value, to }) => {
    const from = scalar(from_type, value as JsonValue)
    if (from === undefined) return []
    return Object.entries(to).map(([type, vector]) => ({
      from,
      type: type as DataType,
      vector,
      name: canonicalJson(value as JsonValue),
    }))
  })

  it.each(cases)('$from.kind $name to $type', ({ from, type, vector }) => {
    expect(worded(type, coerce(from, type))).toEqual(expected(from, type, vector))
  })

  const text = (value: string): JsonScalar => ({ kind: 'text', text: value })
  const integer = (literal: string): JsonScalar => ({ kind: 'bigint', literal })
  const double = (literal: string): JsonScalar => ({ kind: 'double', literal })

  it.each<[JsonScalar, DataType, Coerced | undefined]>([
    [text('١٢٣'), 'bigint', 123n],
    [text('-0x1F'), 'bigint', undefined],
    [text('0x1F'), 'bigint', 31n],
    [text('0x-1f'), 'bigint', -31n],
    [text('1__0'), 'bigint', undefined],
    [text('_1'), 'bigint', undefined],
    [text('99999999999999999999999'), 'bigint', 99999999999999999999999n],
    [text('1'.repeat(4301)), 'bigint', undefined],
    [text('0x0x10'), 'bigint', 16n],
    [text('.5'), 'double', 0.5],
    [text('5.'), 'double', 5],
    [text('1_0.0_1e1_0'), 'double', 10.01e10],
    [text('-Infinity'), 'double', Number.NEGATIVE_INFINITY],
    [text('1e400'), 'double', Number.POSITIVE_INFINITY],
    [text('0x'), 'double', undefined],
    [text('.'), 'double', undefined],
    [text(''), 'decimal', undefined],
    [text('-1.50e-2'), 'decimal', '-0.0150'],
    [text('007.10'), 'decimal', '7.10'],
    [text('12e2'), 'decimal', '1200'],
    [text('-inf'), 'decimal', '-Infinity'],
    [text('1e999999999'), 'decimal', undefined],
    [text('Yes '), 'bool', undefined],
    [text('2024-01-01T10:00:00+25:00'), 'timestamp', undefined],
    [text('2024-01-01T10:00:00-25:00'), 'timestamp', undefined],
    [text('2024-01-01T23:30:00-02:00'), 'date', 19724],
    [text('-0.5'), 'timestamp', -500_000n],
    [text('-0.5'), 'date', -1],
    [text('nan'), 'timestamp', undefined],
    [text('23:30:00.5-02:00'), 'time', 5_400_500_000n],
    [text('{"a" : [1.50, 1e2, 18446744073709551616]}'), 'json', '{"a":[1.50,1e2,18446744073709551616]}'],
    [text('0x616'), 'binary', undefined],
    [text('YWJj='), 'binary', undefined],
    [integer('-0'), 'text', '0'],
    [integer('9007199254740993'), 'decimal', '9007199254740993'],
    [integer(`1${'0'.repeat(400)}`), 'double', undefined],
    [integer('9007199254740993'), 'double', 9007199254740992],
    [double('1.50'), 'text', '1.5'],
    [double('1e2'), 'bigint', 100n],
    [double('1e400'), 'double', Number.POSITIVE_INFINITY],
    [double('1e400'), 'bigint', undefined],
    [double('-0.0'), 'text', '-0.0'],
    [double('0.00001'), 'text', '1e-05'],
    [double('123456789012345680.0'), 'text', '1.2345678901234568e+17'],
    [double('-0.375'), 'decimal', '-0.375'],
    [double('0.1'), 'decimal', '0.1'],
    [double('2.675'), 'decimal', '2.675'],
    [double('0.10000000000000000555'), 'wei', '0.1'],
    [double('1e23'), 'decimal', '100000000000000000000000'],
    [double('-1.5e-7'), 'decimal', '-0.00000015'],
    [double('-0.0'), 'decimal', '-0'],
    [double('123456789.0'), 'wei', '123456789'],
    [double('5e-324'), 'bool', true],
    [double('0.0'), 'bool', false],
    [{ kind: 'json', text: '[1]' }, 'json', '[1]'],
  ])('%o to %s', (from, to, result) => {
    expect(coerce(from, to)).toEqual(result)
  })

  it('makes of a double the shortest decimal that is read as it', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), value => {
        const digits = coerce(double(String(value)), 'decimal') as string
        expect(Number(digits)).toBe(Number(String(value)))
        expect(digits).toMatch(/^-?(0|[1-9][0-9]*)(\.[0-9]+)?$/)
        expect(digits.replace(/[-.]/g, '').replace(/^0+|0+$/g, '').length).toBeLessThanOrEqual(17)
      }),
    )
  })

  it('keeps every digit of a decimal text', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(10n ** 60n), max: 10n ** 60n }), fc.nat(40), (digits, scale) => {
        const plain = coerce(text(`${digits}e-${scale}`), 'decimal') as string
        const fraction = plain.split('.')[1] ?? ''
        expect(fraction.length).toBe(scale)
        expect(BigInt(plain.replace('.', ''))).toBe(digits)
      }),
    )
  })

  it('never fails, whatever the text', () => {
    const types = Object.keys(golden[0]!.to) as DataType[]
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.constantFrom(...types), (value, to) => {
        coerce(text(value), to)
      }),
    )
  })
})
