import { parseJson } from '../../../json/parse.js'
import { isJsonObject, type JsonObject, type JsonValue, member } from '../../../json/value.js'
import { canonicalJson } from '../../../json/write.js'
import type { ListEnd } from '../../../model/source.js'
import { because } from '../../evidence/evidence.js'
import { LIKELY_KEYS } from '../../evidence/recordKeys.js'

/** What a record had of its list before the rest was read. */
export interface Beginning {
  readonly beginning: readonly JsonValue[]
  /** Path of the flag that says that there is more, if it does. */
  readonly moreAt: string | undefined
  /** What came should come after the beginning, and not in its place. */
  readonly append: boolean
}

/** What was read. */
export interface Came {
  readonly records: number
  /** The elements as JSON text, with commas between them. */
  readonly text: readonly Uint8Array[]
}

/**
 * What speaks against a list that was read for a record, by the beginning that the record has. Undefined: nothing.
 * The order of elements and fields that only one side has do not count.
 */
export function beginningDoubt({ beginning, moreAt, append }: Beginning, { records, text }: Came): ListEnd | undefined {
  const present = beginning.length
  if (!append && records < present) return because('nested_fewer', records, present)
  if (present > 0 && records > 0) {
    const came = elementsOf(text)
    if (append && hasAgain(beginning, came)) return because('nested_again')
    if (!append && lacks(beginning, came)) return because('nested_other')
  }
  if (moreAt !== undefined && records <= (append ? 0 : present)) return because('says_more', moreAt)
  return undefined
}

function elementsOf(text: readonly Uint8Array[]): readonly JsonValue[] {
  return text.flatMap(part => parseJson(Buffer.concat([OPEN, part, CLOSE])) as readonly JsonValue[])
}

const [OPEN, CLOSE] = ['[', ']'].map(mark => Buffer.from(mark)) as [Buffer, Buffer]

/** Whether elements of the beginning are missing. False where the two sides have nothing by which to tell. */
function lacks(beginning: readonly JsonValue[], came: readonly JsonValue[]): boolean {
  if (!beginning.every(isJsonObject) || !came.every(isJsonObject)) {
    // The two may be other views of one thing: names inside the record, objects in the list.
    if (beginning.some(isJsonObject) || came.some(isJsonObject)) return false
    return !isWithin(beginning.map(canonicalJson), came.map(canonicalJson))
  }
  const fields = columnsOf(beginning, came)
  const likely = fields.filter(({ name }) => LIKELY_KEYS.includes(name))
  const telling = likely.length > 0 ? likely : fields.filter(isKey)
  return telling.length > 0 && !telling.some(({ before, after }) => isWithin(before, after))
}

/** Whether elements of the beginning are among those that should come after it. */
function hasAgain(beginning: readonly JsonValue[], came: readonly JsonValue[]): boolean {
  const areObjects = beginning.every(isJsonObject) && came.every(isJsonObject)
  const keys = areObjects
    ? columnsOf(beginning, came).find(column => LIKELY_KEYS.includes(column.name) && isKey(column))
    : undefined
  const before = keys?.before ?? beginning.map(canonicalJson)
  const after = keys?.after ?? came.map(canonicalJson)
  // Values may well come twice in a list of values, and records in one that has records twice.
  if (!areObjects) return isWithin(before, after)
  return isKey({ before, after }) && !areApart(before, after)
}

/** The values of a field, on both sides. */
interface Column {
  readonly before: readonly string[]
  readonly after: readonly string[]
}

/** The fields that every element of both sides has with a text or a number, of one kind on both sides. */
function columnsOf(
  beginning: readonly JsonObject[],
  came: readonly JsonObject[],
): readonly (Column & { readonly name: string })[] {
  return Object.keys(beginning[0] ?? {}).flatMap(name => {
    const [before, after] = [textsOf(beginning, name), textsOf(came, name)]
    const isColumn = before !== undefined && after !== undefined && areNumbers(before) === areNumbers(after)
    return isColumn ? [{ name, before, after }] : []
  })
}

function textsOf(elements: readonly JsonObject[], name: string): readonly string[] | undefined {
  const texts: string[] = []
  for (const element of elements) {
    const value = member(element, name)
    if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'bigint') return undefined
    texts.push(String(value))
  }
  return texts
}

function areNumbers(texts: readonly string[]): boolean {
  return texts.every(text => /^-?\d+$/.test(text))
}

function isKey({ before, after }: Column): boolean {
  return new Set(before).size === before.length && new Set(after).size === after.length
}

function isWithin(some: readonly string[], all: readonly string[]): boolean {
  const known = new Set(all)
  return some.every(text => known.has(text))
}

function areApart(some: readonly string[], others: readonly string[]): boolean {
  const known = new Set(others)
  return !some.some(text => known.has(text))
}
