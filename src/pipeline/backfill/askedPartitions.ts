import { elements, valueAt } from '../../json/bytes.js'
import type { JsonObject, JsonValue } from '../../json/value.js'
import { stringifyJson } from '../../json/write.js'
import { cursorText } from '../../model/cursorRange.js'
import { ConfigError } from '../../model/errors.js'
import { didYouMean } from '../../model/nearMiss.js'
import type { PartitionHint, Resource, Source } from '../../model/source.js'
import { ALL_SHARES, keyOf, type PartitionCut, partitionCut } from '../run/incremental/partitions.js'
import { parentOf } from '../run/planResources.js'
import { runSteps } from '../run/steps.js'

/** The options of a backfill that partitions may take. */
interface PartitionOptions {
  readonly from?: JsonValue | undefined
  readonly to?: JsonValue | undefined
  readonly step?: string | number | undefined
  readonly order?: string | undefined
}

/** Which partitions of a resource to load. Throws a ConfigError for an option that only a cursor can take. */
export function askedPartitions(source: Source, resource: Resource, hint: PartitionHint, options: PartitionOptions) {
  const parent = parentOf(source, resource)
  if (parent === undefined) throw new TypeError(`${hint.path}: ${resource.name} has no parent`)
  if ((parent.hints.primaryKey ?? []).length === 0)
    throw wrong(hint.path, `needs to know the records of ${parent.name} again; give ${parent.name} a \`primary_key\``)
  if (options.step !== undefined)
    throw wrong('step', `has no meaning: \`partition\` cuts the list of ${resource.name}; leave it out`)
  if (options.order === 'newest_first')
    throw wrong('order', `has no meaning: partitions of ${resource.name} are not older or newer; leave it out`)
  const cut = partitionCut(hint, parent)
  return { cut, ...parts(cut, parent, options), step: STEP, lookback: undefined, order: ORDER, where: hint.path }
}

const STEP = { amount: 1, unit: undefined }
const ORDER = 'oldest_first' as const

function parts(cut: PartitionCut, parent: Resource, { from, to }: PartitionOptions) {
  if (cut.by === 'values') {
    const range = { start: null, end: null }
    const values = valuesOf(cut, parent)
    return { range, values: from === undefined && to === undefined ? values : [oneOf(values, from, to)] }
  }
  const range = { start: share('from', from, 0), end: share('to', to, ALL_SHARES) }
  if (range.start > range.end) throw wrong('to', `${range.end} is before the first share, ${range.start}`)
  return { range, values: [] }
}

/** The keys of the records that the document holds. */
function valuesOf(cut: PartitionCut, parent: Resource): readonly JsonValue[] {
  if (parent.written === undefined)
    throw wrong(
      cut.path,
      `is by values, and the records of ${parent.name} are not written in the file; use \`{ by: parents, slices: 16 }\``,
    )
  const { records } = runSteps(parent, parent.steps, parent.written())
  const values = new Map<string, JsonValue>()
  for (const span of elements(records, 0)) {
    const key = keyOf(parent, valueAt(records, span) as JsonObject)
    const text = stringifyJson(key)
    if (values.has(text))
      throw wrong(
        `${parent.path}.records`,
        `has two records with the key ${cursorText(key)}; each value is a partition`,
      )
    values.set(text, key)
  }
  return [...values.values()]
}

/** One value, as both ends of the range name it. */
function oneOf(values: readonly JsonValue[], from: JsonValue | undefined, to: JsonValue | undefined): JsonValue {
  const [first, last] = [from, to].map(value => (value === undefined ? undefined : cursorText(value)))
  if (first === undefined || first !== last)
    throw wrong(first === undefined ? 'from' : 'to', 'values have no order; to load one of them, give it as both ends')
  const found = values.find(value => cursorText(value) === first)
  if (found !== undefined) return found
  const names = values.map(cursorText)
  throw wrong('from', `there is no value ${first}${didYouMean(first, names)}; there are ${names.join(', ')}`)
}

function share(option: 'from' | 'to', given: JsonValue | undefined, otherwise: number): number {
  if (given === undefined) return otherwise
  const number = Number(given)
  if (Number.isInteger(number) && number >= 0 && number <= ALL_SHARES) return number
  throw wrong(option, `is ${cursorText(given)}; parents are dealt out to ${ALL_SHARES} shares, from 0 to ${ALL_SHARES}`)
}

function wrong(path: string, message: string): ConfigError {
  return new ConfigError([{ place: { path }, message }])
}
