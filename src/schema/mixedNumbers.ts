import { isJsonObject, type JsonObject, type JsonValue, numberLiteral } from '../json/value.js'
import type { TableHints } from '../model/source.js'
import type { ColumnSchema } from './schemaTypes.js'

/** A column with whole numbers in some records and fractions in others. */
export interface MixedColumn {
  /** The list that its table is made of, as `nested_hints` names it. Undefined: the records themselves. */
  readonly list?: string | undefined
  readonly column: string
}

/** What keeps a column from being mixed: its declared type. */
type Declared = Pick<TableHints, 'columns' | 'nestedHints' | 'maxTableNesting'>

/**
 * Columns without a declared type whose values are whole numbers in some records and fractions in others, objects and
 * lists included. The first record would make such a column `bigint`, and the fractions would go elsewhere.
 */
export function mixedNumbers(records: readonly JsonObject[], declared: Declared = {}): readonly MixedColumn[] {
  const seen = new Map<string, Sightings>()
  const walk: Walk = { seen, declared, isFlat: declared.maxTableNesting !== undefined }
  for (const record of records) addMembers(walk, record, { list: undefined, prefix: '', depth: 0 })
  return [...seen.values()].flatMap(({ hasWhole, hasFraction, list, column }) =>
    hasWhole && hasFraction ? [{ ...(list !== undefined && { list }), column }] : [],
  )
}

/** As people write it: `total`, `lines.price`. */
export function mixedName({ list, column }: MixedColumn): string {
  return list === undefined ? column : `${list}.${column}`
}

/** Keys of a resource that make these columns `double`. */
export function doubleHints(mixed: readonly MixedColumn[]): DoubleHints {
  const own = mixed.filter(({ list }) => list === undefined)
  const lists = new Set(mixed.flatMap(({ list }) => (list === undefined ? [] : [list])))
  const nested = [...lists].map(
    name => [name, { columns: doubles(mixed.filter(({ list }) => list === name)) }] as const,
  )
  return {
    ...(own.length > 0 && { columns: doubles(own) }),
    ...(nested.length > 0 && { nested_hints: Object.fromEntries(nested) }),
  }
}

type DoubleColumns = Readonly<Record<string, { readonly data_type: 'double' }>>

export interface DoubleHints {
  readonly columns?: DoubleColumns
  readonly nested_hints?: Readonly<Record<string, { readonly columns: DoubleColumns }>>
}

function doubles(columns: readonly MixedColumn[]): DoubleColumns {
  return Object.fromEntries(columns.map(({ column }) => [column, { data_type: 'double' as const }]))
}

interface Sightings extends MixedColumn {
  hasWhole: boolean
  hasFraction: boolean
}

interface Walk {
  readonly seen: Map<string, Sightings>
  readonly declared: Declared
  /** What is inside objects and lists may become JSON. */
  readonly isFlat: boolean
}

/** Where a member stands: in which list, below which objects of a record. */
interface Place {
  readonly list: string | undefined
  readonly prefix: string
  readonly depth: number
}

/** Deeper numbers are not looked for. */
const MOST_DEPTH = 8

function addMembers(walk: Walk, record: JsonObject, place: Place): void {
  for (const [key, value] of Object.entries(record))
    add(walk, { value, container: record, key }, `${place.prefix}${key}`, place)
}

interface Member {
  readonly value: JsonValue
  readonly container: object
  readonly key: string | number
}

function add(walk: Walk, { value, container, key }: Member, column: string, place: Place): void {
  if (isNumber(value)) note(walk, isWhole(value, numberLiteral(container, key)), column, place.list)
  if (walk.isFlat || place.depth === MOST_DEPTH || isTyped(walk.declared, { list: place.list, column })) return
  const depth = place.depth + 1
  if (isJsonObject(value)) addMembers(walk, value, { list: place.list, prefix: `${column}__`, depth })
  // `nested_hints` has no name for a list inside an object.
  if (!isList(value) || place.prefix !== '') return
  const inside = { list: place.list === undefined ? column : `${place.list}__${column}`, prefix: '', depth }
  for (const [at, element] of value.entries()) {
    if (isNumber(element)) add(walk, { value: element, container: value, key: at }, 'value', inside)
    else if (isJsonObject(element)) addMembers(walk, element, inside)
  }
}

function note({ seen, declared }: Walk, isWholeNumber: boolean, column: string, list: string | undefined): void {
  const id = JSON.stringify([list, column])
  let sightings = seen.get(id)
  if (sightings === undefined) {
    if (isTyped(declared, { list, column })) return
    sightings = { list, column, hasWhole: false, hasFraction: false }
    seen.set(id, sightings)
  }
  if (isWholeNumber) sightings.hasWhole = true
  else sightings.hasFraction = true
}

function isTyped({ columns, nestedHints }: Declared, { list, column }: MixedColumn): boolean {
  const hints: readonly ColumnSchema[] | undefined = list === undefined ? columns : nestedHints?.[list]?.columns
  return hints?.some(({ name, data_type }) => name === column && data_type !== undefined) === true
}

function isNumber(value: JsonValue): value is number | bigint {
  return typeof value === 'number' || typeof value === 'bigint'
}

function isList(value: JsonValue): value is readonly JsonValue[] {
  return Array.isArray(value)
}

/** As dlt reads them: `10.0` is a fraction. */
function isWhole(value: number | bigint, literal: string | undefined): boolean {
  return typeof value === 'bigint' || (Number.isInteger(value) && (literal === undefined || /^-?\d+$/.test(literal)))
}
