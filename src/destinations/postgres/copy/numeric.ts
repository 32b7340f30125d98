import { type Column, readUint32 } from '../../../model/batch.js'
import { DataError } from '../../../model/errors.js'

const MINUS = 45
const DOT = 46
const ZERO = 48
/** Number of groups, weight, sign and scale. */
const HEAD_BYTES = 8

/**
 * Converts decimal texts to values of `numeric`, each after its u32 length. Digits are base 10,000, in groups of four
 * aligned at the decimal point. Groups of zeros at either end may be sent: the server removes them. Fails with a
 * DataError if a text is not a decimal number.
 */
export function numericValues(table: string, column: Column): Uint8Array {
  const { count, values } = column
  // Two bytes for each group of four digits, plus one group for each side of the point.
  const out = Buffer.allocUnsafe(values.length + count * (HEAD_BYTES + 4))
  let at = 0
  let from = 0
  for (let value = 0; value < count; value++) {
    const end = from + 4 + readUint32(values, from)
    const start = at + 4
    at = writeNumeric(out, start, table, column, from + 4, end)
    out.writeUInt32LE(at - start, start - 4)
    from = end
  }
  return out.subarray(0, at)
}

function writeNumeric(
  out: Buffer,
  place: number,
  table: string,
  column: Column,
  textStart: number,
  end: number,
): number {
  const { values } = column
  const digit = (at: number): number => {
    const found = values[at]! - ZERO // within the text
    if (found < 0 || found > 9) throw notDecimal(table, column, textStart, end)
    return found
  }
  const start = values[textStart] === MINUS ? textStart + 1 : textStart
  const point = pointOf(values, start, end)
  const whole = groupsOf(point - start)
  const fractionDigits = Math.max(0, end - point - 1)
  let at = out.writeInt16BE(whole + groupsOf(fractionDigits), place)
  at = out.writeInt16BE(whole - 1, at)
  at = out.writeInt16BE(start > textStart ? 0x4000 : 0, at)
  at = out.writeInt16BE(fractionDigits, at)
  let group = 0
  for (let byte = start; byte < point; byte++) {
    group = group * 10 + digit(byte)
    // A group is full when the remaining digits before the point are a multiple of four.
    if (((point - byte - 1) & 3) !== 0) continue
    at = out.writeInt16BE(group, at)
    group = 0
  }
  let digits = 0
  for (let byte = point + 1; byte < end; byte++) {
    group = group * 10 + digit(byte)
    if ((++digits & 3) !== 0) continue
    at = out.writeInt16BE(group, at)
    group = 0
  }
  if ((digits & 3) !== 0) {
    for (; (digits & 3) !== 0; digits++) group *= 10
    at = out.writeInt16BE(group, at)
  }
  return at
}

function notDecimal(table: string, { name, values }: Column, start: number, end: number): DataError {
  const text = Buffer.from(values.subarray(start, Math.min(end, start + 60))).toString()
  return new DataError('coercion', `Column ${table}.${name}: ${text} is not a decimal number`, {
    path: `${table}.${name}`,
  })
}

function pointOf(values: Uint8Array, start: number, end: number): number {
  for (let at = start; at < end; at++) if (values[at] === DOT) return at
  return end
}

function groupsOf(digits: number): number {
  return digits <= 0 ? 0 : (digits + 3) >> 2
}
