/**
 * Orders two numbers by value with every digit of their texts, which are those of JSON or of a plain decimal (`+`, zeros in front).
 */
export function compareDecimals(a: string, b: string): number {
  const [left, right] = [Number(a), Number(b)]
  // Rounding keeps the order, so doubles that differ decide.
  if (left !== right) return left < right ? -1 : 1
  if (a === b) return 0
  const [one, other] = [decimal(a), decimal(b)]
  if (one.sign !== other.sign) return one.sign - other.sign
  return one.sign < 0 ? compareMagnitudes(other, one) : compareMagnitudes(one, other)
}

interface Decimal {
  /** 0 for zero, whatever its sign. */
  readonly sign: -1 | 0 | 1
  /** Without zeros in front and at the end. */
  readonly digits: string
  /** Where the point stands: digits before it, negative for zeros behind it. */
  readonly point: number
}

function decimal(text: string): Decimal {
  const match = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?$/.exec(text)
  const [, sign, whole = '', fraction = '', exponent = '0'] = match ?? []
  const all = whole + fraction
  const zeros = /^0*/.exec(all)?.[0].length ?? 0
  const digits = all.slice(zeros).replace(/0+$/, '')
  if (digits === '') return { sign: 0, digits, point: 0 }
  return { sign: sign === '-' ? -1 : 1, digits, point: whole.length - zeros + Number(exponent) }
}

function compareMagnitudes(a: Decimal, b: Decimal): number {
  if (a.point !== b.point) return a.point < b.point ? -1 : 1
  return a.digits === b.digits ? 0 : a.digits < b.digits ? -1 : 1
}
