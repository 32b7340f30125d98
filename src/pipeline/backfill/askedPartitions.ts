import { elements, valueAt } from '../../json/bytes.js'
import type { JsonObject, JsonValue } from '../../json/value.js'
import { stringifyJson } from '../../json/write.js'
import { cursorText } from '../../model/cursors/cursorRange.js'
import { ConfigError } from '../../model/errors.js'
import type { CountedList, PartitionHint, Resource, Source } from '../../model/source.js'
import { didYouMean } from '../../model/texts/nearMiss.js'
import { type CheckOptions, lengthOf } from '../look/checkSource.js'
import { ALL_SHARES, keyOf, type PartitionCut, partitionCut } from '../run/incremental/partitions.js'
import { parentOf } from '../run/plan/planResources.js'
import { runSteps } from '../run/steps.js'
import type { PipelineSetup } from '../setup.js'
import { dispositionIn, loadedTogether } from './loadedTogether.js'

/** The options of a backfill that partitions may take, and what asking the API needs. */
interface PartitionOptions extends Pick<CheckOptions, 'signal' | 'onEvent'> {
  readonly from?: JsonValue | undefined
  readonly to?: JsonValue | undefined
  readonly step?: string | number | undefined
  readonly order?: string | undefined
}

/**
 * Which partitions of a resource to load. Rejects with a ConfigError for an option that only a cursor can take. Pages are
 * counted by asking the API, unless `to` says where to end.
 */
export async function askedPartitions(
  setup: PipelineSetup,
  resource: Resource,
  hint: PartitionHint,
  options: PartitionOptions,
) {
  if (options.step !== undefined)
    throw wrong('step', `has no meaning: \`partition\` cuts the list of ${resource.name}; leave it out`)
  if (options.order === 'newest_first')
    throw wrong('order', `has no meaning: partitions of ${resource.name} are not older or newer; leave it out`)
  const common = { lookback: undefined, order: ORDER, where: hint.path }
  if (hint.by === 'pages') {
    const counted = countedList(setup.source, resource, hint)
    const range = await placesOf(setup, resource, hint, options)
    const step = { amount: hint.pages * counted.page, unit: undefined }
    return { cut: partitionCut(hint, resource), range, values: [], step, ...common }
  }
  const parent = parentOf(setup.source, resource)
  if (parent === undefined) throw new TypeError(`${hint.path}: ${resource.name} has no parent`)
  if ((parent.hints.primaryKey ?? []).length === 0)
    throw wrong(hint.path, `needs to know the records of ${parent.name} again; give ${parent.name} a \`primary_key\``)
  const cut = partitionCut(hint, parent)
  return { cut, ...parts(cut, parent, options), step: STEP, ...common }
}

/** How the list is counted. Throws a ConfigError if its parts could not be read, or not be put together. */
function countedList(source: Source, resource: Resource, { path }: PartitionHint): CountedList {
  const { name, parent, counted, hints } = resource
  if (parent !== undefined)
    throw wrong(
      path,
      `is by pages, and ${name} has a list for each record of ${parent}; use \`{ by: parents, slices: 16 }\``,
    )
  if (counted === undefined)
    throw wrong(
      path,
      'is by pages, which needs to know how long the list is: a paginator `offset` with a `limit`, or `page_number` with a `total_path` that counts pages, and neither a maximum nor `adapt_page_size`',
    )
  if ((hints.primaryKey ?? []).length === 0)
    throw wrong(
      path,
      `is by pages, which are compared by their records where they meet; give ${name} a \`primary_key\``,
    )
  const appended = loadedTogether(source, resource).resources.find(one => dispositionIn(one).disposition !== 'merge')
  if (appended !== undefined)
    throw wrong(
      `${appended.path}.write_disposition`,
      `is ${dispositionIn(appended).disposition}, and a record may be in two parts of a list that moves; merge (resource ${appended.name})`,
    )
  return counted
}

/** The places of a list from one to before another, by default all that it has now. */
async function placesOf(
  setup: PipelineSetup,
  resource: Resource,
  { path }: PartitionHint,
  { from, to, signal, onEvent }: PartitionOptions,
): Promise<{ readonly start: number; readonly end: number }> {
  const start = placeIn('from', from) ?? 0
  const end = placeIn('to', to) ?? (await lengthOf(setup, resource, { signal, onEvent }))
  if (end === undefined)
    throw wrong(
      path,
      `is by pages, and the first answer of ${resource.name} does not tell how long the list is; see \`total_path\` of its paginator, or give the end with --to`,
    )
  // A list may have become shorter.
  if (start > end && to !== undefined) throw wrong('to', `${end} is before the start of the range, ${start}`)
  return { start, end: Math.max(start, end) }
}

function placeIn(option: 'from' | 'to', given: JsonValue | undefined): number | undefined {
  if (given === undefined) return undefined
  const number = Number(given)
  if (Number.isSafeInteger(number) && number >= 0) return number
  throw wrong(option, `is ${cursorText(given)}; places in the list are counted from 0`)
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
