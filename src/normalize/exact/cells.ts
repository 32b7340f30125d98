import { MAX_INTEGER_DIGITS } from '../../json/value.js'
import { DataError, shortened } from '../../model/errors.js'
import type { WarningCode } from '../../model/events.js'
import type { ColumnSchema, DataType } from '../../schema/schemaTypes.js'
import type { ColumnWriter } from '../tables/columnWriter.js'
import type { Field } from '../tables/shapes.js'
import { microsPerDay } from './calendar.js'
import { type Coerced, coerce, type JsonScalar, MOST_PRECISION } from './coerce.js'
import { plainDecimal, shortestDecimal } from './pythonNumbers.js'
import { excerpt, NumberText, type Tree, TreeReader, treeJson } from './tree.js'

/** A non-null value with its kind. `text` is clean, see {@link CellRules}. */
export type Scalar = JsonScalar

const LEAST_INT64 = -(2n ** 63n)
const GREATEST_INT64 = 2n ** 63n - 1n

/** What the destination can hold. */
export interface CellLimits {
  /** If false, U+0000 is removed from texts. */
  readonly nulInText: boolean
  /** Digits and scale of columns that specify neither. */
  readonly decimals: Readonly<Record<'decimal' | 'wei', readonly [precision: number, scale: number]>>
}

/** How single values become column values. The walk and the exact way use the same rules. */
export class CellRules {
  readonly #nulInText: boolean
  readonly #decimals: CellLimits['decimals']
  readonly #warn: (code: WarningCode, message: string) => void
  readonly #warned = new Set<string>()
  /** By table: columns of which a value was stored as another value would be. */
  readonly changedColumns = new Map<string, Set<string>>()
  /** Values dropped because a contract rejects them. */
  discardedValues = 0

  constructor({ nulInText, decimals }: CellLimits, warn: (code: WarningCode, message: string) => void) {
    this.#nulInText = nulInText
    this.#decimals = decimals
    this.#warn = warn
  }

  /** Warns only once for each `subject`. */
  warnOnce(code: WarningCode, subject: string, message: string): void {
    const key = `${code} ${subject}`
    if (this.#warned.has(key)) return
    this.#warned.add(key)
    this.#warn(code, message)
  }

  /** The value with its kind. Undefined for null and for numbers that no double can hold. */
  scalar(tree: Tree, table: string, column: string): Scalar | undefined {
    if (tree === null) return undefined
    if (typeof tree === 'string') return { kind: 'text', text: this.cleanText(tree, table, column) }
    if (typeof tree === 'boolean') return { kind: 'bool', value: tree }
    if (tree instanceof NumberText) {
      if (tree.integer && tree.literal.length <= MAX_INTEGER_DIGITS) return { kind: 'bigint', literal: tree.literal }
      if (Number.isFinite(Number(tree.literal))) return { kind: 'double', literal: tree.literal }
      this.numberLost(table, column, tree.literal)
      return undefined
    }
    return { kind: 'json', text: this.json(tree, table, column) }
  }

  /** Compact JSON with clean texts. */
  json(tree: Tree, table: string, column: string): string {
    return treeJson(tree, text => this.cleanText(text, table, column))
  }

  numberLost(table: string, column: string, literal: string): void {
    this.warnOnce(
      'number_out_of_range',
      `${table}.${column}`,
      `Column ${table}.${column}: numbers too large for a double, such as ${shortened(literal, 40)}, were loaded as null`,
    )
  }

  /** Half surrogates become U+FFFD. Removes U+0000 if the destination's texts cannot hold it. */
  cleanText(text: string, table: string, column: string): string {
    let clean = text
    if (HALF_SURROGATE.test(clean)) {
      this.surrogateReplaced(table, column)
      clean = clean.replace(HALF_SURROGATES, '\ufffd')
    }
    if (!this.#nulInText && clean.includes('\0')) {
      this.nulRemoved(table, column)
      clean = clean.replaceAll('\0', '')
    }
    return clean
  }

  /** Takes note that a value of the column was stored as another value would be. */
  changed(table: string, column: string): void {
    const columns = this.changedColumns.get(table)
    if (columns === undefined) this.changedColumns.set(table, new Set([column]))
    else columns.add(column)
  }

  surrogateReplaced(table: string, column: string): void {
    this.changed(table, column)
    this.warnOnce(
      'text_changed',
      `surrogate ${table}.${column}`,
      `Column ${table}.${column}: halves of surrogate pairs are not text and were replaced by U+FFFD`,
    )
  }

  nulRemoved(table: string, column: string): void {
    this.changed(table, column)
    this.warnOnce(
      'text_changed',
      `nul ${table}.${column}`,
      `Column ${table}.${column}: U+0000 was removed, as the destination cannot store it in texts`,
    )
  }

  /** The value converted to this column type. Undefined if it does not fit. */
  fit(scalar: Scalar, type: DataType, hints: ColumnSchema, table: string, column: string): Coerced | undefined {
    const value = coerce(scalar, type, hints)
    if (value === undefined) return undefined
    const isKey = hints.primary_key === true || hints.merge_key === true
    if (isKey && !this.#keepsApart(scalar, value, type, hints)) this.changed(table, column)
    if (type === 'bigint' && typeof value === 'bigint' && (value < LEAST_INT64 || value > GREATEST_INT64)) {
      // A text or double of that size can go to a variant column, an integer cannot.
      if (scalar.kind !== 'bigint') return undefined
      throw new DataError(
        'integer_range',
        `Column ${table}.${column}: ${value} does not fit into 64 bits; declare the column as decimal, double or text`,
        { path: `${table}.${column}` },
      )
    }
    if ((type === 'decimal' || type === 'wei') && typeof value === 'string') {
      this.#refuseTooManyDigits(value, type, hints, `${table}.${column}`)
    }
    if (type === 'json' && scalar.kind === 'text' && typeof value === 'string' && value.includes('\\u')) {
      return this.#cleanJson(value, table, column)
    }
    return value
  }

  /** Whether no other value of its kind becomes the same value of the column. */
  #keepsApart(scalar: Scalar, value: Coerced, type: DataType, hints: ColumnSchema): boolean {
    switch (type) {
      case 'timestamp':
      case 'time':
        return secondsFraction(scalar).length <= Math.min(hints.precision ?? MOST_PRECISION, MOST_PRECISION)
      case 'date': {
        const micros = coerce(scalar, 'timestamp')
        const isMidnight = typeof micros === 'bigint' && micros % BigInt(microsPerDay) === 0n
        return isMidnight && secondsFraction(scalar) === ''
      }
      case 'decimal':
      case 'wei': {
        const { scale = this.#decimals[type][1] } = hints
        return fractionOf(String(value)).length <= scale && hasAllDigits(scalar, value)
      }
      case 'bigint':
        return scalar.kind === 'text' ? String(value) === scalar.text : hasAllDigits(scalar, value)
      case 'double':
      case 'text':
        return hasAllDigits(scalar, value)
      case 'bool':
        return scalar.kind === 'bool'
      case 'binary':
        return scalar.kind !== 'text' || isUsualBinary(scalar.text, value)
      case 'json':
        return true
    }
  }

  #refuseTooManyDigits(value: string, type: 'decimal' | 'wei', hints: ColumnSchema, path: string): void {
    const [standardPrecision, standardScale] = this.#decimals[type]
    const { precision = standardPrecision, scale = standardScale } = hints
    if (fitsDecimal(value, precision, scale)) return
    const before = Math.max(0, precision - scale)
    throw new DataError(
      'coercion',
      `Column ${path}: ${excerpt(value)} has more digits before the point than the ${before} of ${type}(${precision}, ${scale}); declare a greater precision, or the column as text`,
      { path },
    )
  }

  #cleanJson(text: string, table: string, column: string): string {
    const reader = new TreeReader(Buffer.from(`${text}\0`))
    return this.json(reader.read(), table, column)
  }

  /**
   * Stores a non-null value in its field's column or variant column. False if there is no column for it yet. Fails with
   * a {@link DataError} if it fits neither.
   */
  store(tree: Tree, field: Field, table: string, row: number): boolean {
    const column = field.column
    if (column === undefined) {
      if (field.discarded) this.discardedValues++
      return field.discarded
    }
    const scalar = this.scalar(tree, table, field.name)
    if (scalar === undefined) return true
    const value = this.fit(scalar, column.dataType, column.hints, table, column.name)
    if (value !== undefined) {
      column.put(row, value)
      return true
    }
    const variant = variantColumn(field, scalar.kind)
    if (variant === undefined) {
      if (field.variantsDiscarded) this.discardedValues++
      return field.variantsDiscarded
    }
    const converted = this.fit(scalar, variant.dataType, variant.hints, table, variant.name)
    if (converted === undefined) throw misfit(scalar, tree, table, variant.name, variant.dataType)
    variant.put(row, converted)
    return true
  }
}

/** Whether a decimal fits once it is rounded to the scale. Values that are not numbers are left to the destination. */
export function fitsDecimal(value: string, precision: number, scale: number): boolean {
  const [, whole = '', fraction = ''] = /^-?0*(\d*)(?:\.(\d*))?$/.exec(value) ?? []
  const room = Math.max(0, precision - scale)
  if (whole.length !== room) return whole.length < room
  const roundsUp = (fraction[scale] ?? '0') >= '5'
  return !roundsUp || !/^9*$/.test(whole + fraction.slice(0, scale))
}

/** Whether a column has a number with every digit that came. Of a text that is no plain number, a column of numbers has not. */
function hasAllDigits(scalar: Scalar, value: Coerced): boolean {
  const came = numberOf(scalar)
  if (came === undefined) return scalar.kind !== 'text' || typeof value !== 'number'
  const stored = typeof value === 'number' ? shortestDecimal(value) : plainDecimal(String(value))
  return stored !== undefined && withoutZeros(stored) === withoutZeros(came)
}

/** The digits of a value that is a number, or of a text that is one. */
function numberOf(scalar: Scalar): string | undefined {
  if (scalar.kind === 'bigint' || scalar.kind === 'double') return plainDecimal(scalar.literal)
  return scalar.kind === 'text' ? plainDecimal(scalar.text) : undefined
}

function withoutZeros(digits: string): string {
  const fraction = fractionOf(digits)
  return `${digits.split('.', 1)[0]}${fraction === '' ? '' : `.${fraction}`}`
}

/** The digits after the point, without the zeros at their end. */
function fractionOf(digits: string): string {
  const fraction = /[.,|](\d+)/.exec(digits)?.[1] ?? ''
  let end = fraction.length
  while (fraction[end - 1] === '0') end -= 1
  return fraction.slice(0, end)
}

/** The digits of a moment below seconds, without the zeros at their end. Numbers are seconds. */
function secondsFraction(scalar: Scalar): string {
  const seconds = numberOf(scalar)
  if (seconds !== undefined) return fractionOf(seconds)
  return scalar.kind === 'text' ? fractionOf(scalar.text) : ''
}

/** Several texts in Base64 may have the same bytes, as `YQ==` and `YR==` have. */
function isUsualBinary(text: string, value: Coerced): boolean {
  return text.startsWith('0x') || (value instanceof Uint8Array && Buffer.from(value).toString('base64') === text)
}

const HALF_SURROGATE = /\p{Surrogate}/u
const HALF_SURROGATES = /\p{Surrogate}/gu

/** The error for a value that fits neither its column nor its variant column. */
export function misfit(scalar: Scalar, tree: Tree, table: string, column: string, type: DataType): DataError {
  return new DataError(
    'coercion',
    `Column ${table}.${column} is ${type} and cannot take the ${scalar.kind} ${excerpt(tree)}; declare the type of the column, e.g. as text`,
    { path: `${table}.${column}` },
  )
}

export function variantColumn(field: Field, kind: JsonScalar['kind']): ColumnWriter | undefined {
  switch (kind) {
    case 'text':
      return field.textVariant
    case 'bigint':
      return field.bigintVariant
    case 'double':
      return field.doubleVariant
    case 'bool':
      return field.boolVariant
    case 'json':
      return field.jsonVariant
  }
}

export function setVariantColumn(field: Field, kind: JsonScalar['kind'], column: ColumnWriter): void {
  switch (kind) {
    case 'text':
      field.textVariant = column
      break
    case 'bigint':
      field.bigintVariant = column
      break
    case 'double':
      field.doubleVariant = column
      break
    case 'bool':
      field.boolVariant = column
      break
    case 'json':
      field.jsonVariant = column
      break
  }
}
