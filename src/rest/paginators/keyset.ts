import { z } from 'zod'
import { type CursorRank, compareRanks, cursorRank } from '../../model/cursors/cursorOrder.js'
import { RequestError } from '../../model/errors.js'
import type { ListEnd } from '../../model/source.js'
import { nearMiss } from '../../model/texts/nearMiss.js'
import type { ApiPage, Paginator, RecordField, RequestPatch } from '../api.js'
import { strictObject } from '../document/declaration/strictObject.js'
import { because, perhapsBeforeStart, perhapsTurned } from '../evidence/evidence.js'
import { checkEnds, emptyPage, endKeys, maySayMore, withEnds } from './listEnds.js'
import { bodyPath, definePaginator, describe, jsonPath, pageError, paramName } from './paginator.js'
import { read, target, valueIn, write } from './range.js'

const schema = strictObject(() => ({
  type: z.literal('keyset'),
  field: jsonPath.meta({
    description:
      'Field of a record, as a name or JSONPath. Its value in the last record is sent with the next request.',
    examples: ['id'],
  }),
  param: paramName.nullish().meta({ description: 'Query parameter for the value.', examples: ['since_id'] }),
  body_path: bodyPath.nullish().meta({ description: 'Place of the value in the JSON or form body.' }),
  pick: z.enum(['last', 'greatest', 'least']).default('last').meta({
    description: 'Which record of a page gives the value: the last one, or that with the greatest or smallest value.',
  }),
  inclusive: z.boolean().default(false).meta({
    description:
      'The API gives records with the value that is sent once more. Those that were read before are left out, by the primary key.',
  }),
  ties: z.boolean().default(false).meta({
    description: 'Several records may have one value. The next request then begins before the last value of a page.',
  }),
  start: z.union([z.string(), z.number()]).nullish().meta({ description: 'Value of the first request.' }),
  limit: z.int().nonnegative().meta({ description: 'Records per page, sent with every request. 0: none is sent.' }),
  limit_param: paramName.nullish().meta({
    description: 'Query parameter for the limit. Default: `limit`, unless `limit_body_path` is given.',
  }),
  limit_body_path: bodyPath.nullish().meta({ description: 'Place of the limit in the body.' }),
  stop_after_short_page: z.boolean().default(false).meta({
    description: 'A page with fewer records than `limit` is the last one.',
  }),
  ...endKeys(),
  stop_after_empty_page: z.boolean().default(true).meta({ description: 'A page without records ends the list.' }),
}))
  .superRefine((config, context) => {
    checkEnds(config, context)
    const refuse = (key: string, message: string): void => context.addIssue({ code: 'custom', path: [key], message })
    if (config.param == null && config.body_path == null) refuse('param', 'is missing: where does the value go?')
    if (config.param != null && config.body_path != null)
      refuse('body_path', 'the value goes either into `param` or into `body_path`, not into both')
    if (config.limit_param != null && config.limit_body_path != null)
      refuse('limit_body_path', 'the limit goes either into `limit_param` or into `limit_body_path`, not into both')
    if (config.stop_after_short_page && config.limit === 0)
      refuse('stop_after_short_page', 'needs a `limit` greater than 0: which page is short?')
    if (config.ties && config.inclusive) refuse('ties', 'is not needed with `inclusive`; leave one of them out')
  })
  .meta({
    description:
      'Sends the value of a field of the last record, as `since_id` or `starting_after`, until a page is empty, or a flag or a short page ends the list.',
  })

/** A field of the last record leads to the next page. */
export const keyset = definePaginator({
  type: 'keyset',
  aliases: [],
  shorthand: false,
  schema,
  create(config): Paginator {
    const { limit, start } = config
    const limits = limit === 0 ? {} : write([target(config.limit_param, config.limit_body_path, 'limit'), limit])
    const first = start == null ? limits : joined(sent(config, { value: start, text: String(start) }), limits)
    const follow: Paginator = {
      first,
      // Records with one value, and those that are asked for again, come on several pages.
      ...(!config.ties && !config.inclusive && /^\w+$/.test(config.field) && { field: config.field }),
      next(page) {
        const size = sizeOf(page, config)
        const isShort = config.stop_after_short_page && page.records < size
        if (isShort && maySayMore(page, config) !== true) return because('short_page', page.records, size)
        // No record leads on.
        if (page.records === 0) return emptyPage(page, config)
        const values = readValues(page, config)
        const place = boundaryOf(page, values, config)
        if (place === undefined) return because('unsettled_value')
        return sent(config, place)
      },
      resized: () => ({}),
      repeats(page, previous) {
        if (previous.records === 0 || page.records === 0) return undefined
        const { last, hasTies } = readValues(previous, config)
        if (!config.inclusive && !config.ties && !hasTies) return undefined
        return (page.fields?.(config.field) ?? []).map(field => field !== undefined && keyOf(field) === keyOf(last))
      },
      doubt(page, previous) {
        if (previous.records === 0) return undefined
        if (page.records === 0) {
          const isAskedAgain = config.inclusive || sentValue(page, config) !== readValues(previous, config).last.text
          return isAskedAgain ? because('known_not_again', config.field) : undefined
        }
        const { ties } = config
        const [before, now] = [readValues(previous, config), readValues(page, config)]
        if (comesAgain(page, previous, before.last, config)) return because('values_repeat', config.field)
        if (config.inclusive) return undefined
        // The rest of a group that came again is shorter than the page before, and the page after it is empty: if not,
        // the API caps its pages.
        const isCapped = now.earlier === undefined && page.records >= previous.records
        // Behind a page that shows none, no group comes again, though the list has groups.
        const isBare = before.hasTies && !now.hasTies && keyOf(now.last) !== keyOf(before.last)
        const isLost = ties
          ? before.earlier === undefined
          : before.hasTies
            ? before.earlier === undefined || isBare
            : now.hasTies
        return isLost || (isCapped && (ties || now.hasTies)) ? because('keyset_ties', config.field, ties) : undefined
      },
    }
    follow.suspicion = (page, previous, first) => {
      const disorder = config.pick === 'last' ? suspicionOf : disorderOf
      return disorder(page, previous, config) ?? turnOf([page, previous], first, config)
    }
    const paginator = withEnds(follow, config)
    return {
      ...paginator,
      next(page) {
        const next = paginator.next(page)
        const isStart = start != null && page.records === 0 && sentValue(page, config) === String(start)
        return isStart && next !== undefined && 'end' in next && next.end === 'proven'
          ? perhapsBeforeStart(String(start))
          : next
      },
    }
  },
})

type KeysetConfig = z.output<typeof schema>

/** What the records of a page say about where the next one begins. */
interface Values {
  /** The value by which the page ends. */
  readonly last: RecordField
  /** The value before it. Undefined if all records have the last one. */
  readonly earlier: RecordField | undefined
  /** Several records have one value. */
  readonly hasTies: boolean
}

function readValues(page: ApiPage, config: KeysetConfig): Values {
  const fields = (page.fields?.(config.field) ?? []).map((field, index) => checked(page, field, index, config))
  const ordered = config.pick === 'last' ? fields : fields.toSorted((one, other) => order(page, one, other, config))
  const last = ordered.at(-1) as RecordField
  return {
    last,
    earlier: ordered.findLast(field => keyOf(field) !== keyOf(last)),
    hasTies: new Set(fields.map(keyOf)).size < fields.length,
  }
}

/** The value for the next request. Undefined if none can lead on, and the page may be the last. */
function boundaryOf(page: ApiPage, { last, earlier, hasTies }: Values, config: KeysetConfig): RecordField | undefined {
  const { field, inclusive, ties } = config
  const size = sizeOf(page, config)
  const isFull = size === 0 ? page.records > 1 : page.records >= size
  const from = sentValue(page, config)
  if (earlier === undefined && isFull && (page.records > 1 || inclusive || ties)) {
    const problem = `all records of a page (${page.records}) have one value at "${field}", ${last.text}: records with it that did not fit would be lost; raise \`limit\` above the number of records with one value, or page by a field that is unique`
    throw new RequestError('pagination_loop', problem, { status: page.status })
  }
  if (inclusive) return last.text === from ? undefined : advancing(page, last, from, config)
  if (!hasTies && !ties) return advancing(page, last, from, config)
  // Back to the value before, so that the whole group of the last value comes again.
  return earlier !== undefined && earlier.text !== from ? earlier : advancing(page, last, from, config)
}

/** Refuses a value that does not lead on. */
function advancing(page: ApiPage, next: RecordField, from: string | undefined, config: KeysetConfig): RecordField {
  if (from === undefined) return next
  // The first request may begin at a word, such as `latest`.
  const isBehind =
    config.pick !== 'last' &&
    from !== String(config.start) &&
    order(page, next, { value: from, text: from }, config) <= 0
  if (next.text !== from && !isBehind) return next
  const problem = `the records after ${from} end with ${next.text} at "${config.field}", which does not lead on; does the API use what \`${config.param ?? config.body_path}\` sends, and sort by this field? If it gives the record with the value again, set \`inclusive: true\``
  throw new RequestError('pagination_loop', problem, { status: page.status })
}

function order(page: ApiPage, one: RecordField, other: RecordField, { pick, field }: KeysetConfig): number {
  const found = compareRanks(cursorRank(one.value, one.text), cursorRank(other.value, other.text))
  if (found === undefined) {
    throw pageError(
      page,
      `the values ${describe(one.value)} and ${describe(other.value)} at "${field}" cannot be compared`,
    )
  }
  return pick === 'least' ? -found : found
}

/** Whether the records of both pages rise by the field, or fall in both: an API that sorts by it shows all pages alike. */
function areAlike(page: ApiPage, previous: ApiPage, config: KeysetConfig): boolean {
  const steps = [page, previous].flatMap(one => {
    const fields = one.fields?.(config.field) ?? []
    return fields.slice(1).flatMap((field, index) => {
      const before = fields[index]
      return field === undefined || before === undefined ? [] : [order(one, before, field, config)]
    })
  })
  return steps.every(step => step <= 0) || steps.every(step => step >= 0)
}

/** Whether a record of the page comes before the value that it was asked for, as none can where the API sorts by the field. */
function goesBack(page: ApiPage, config: KeysetConfig): boolean {
  const from = sentValue(page, config)
  if (from === undefined) return false
  const start = cursorRank(from, from)
  return (page.fields?.(config.field) ?? []).some(field => {
    const found = field && compareRanks(cursorRank(field.value, field.text), start)
    return found !== undefined && (config.pick === 'least' ? found > 0 : found < 0)
  })
}

/** Whether a record has a value of the page before other than its last one, as none can where the API sorts by the field. */
function comesAgain(page: ApiPage, previous: ApiPage, last: RecordField, config: KeysetConfig): boolean {
  const known = new Set(fieldsIn(previous, config).map(keyOf))
  return fieldsIn(page, config).some(field => known.has(keyOf(field)) && keyOf(field) !== keyOf(last))
}

/**
 * The doubt of a list of which no value came that is not on its first page. If that is full, or falls where the values
 * that are sent rise, the API may begin at the other end: nothing comes after its last records either.
 */
function turnOf(pages: readonly ApiPage[], first: ApiPage, config: KeysetConfig): ListEnd | undefined {
  const fields = fieldsIn(first, config)
  const size = sizeOf(first, config)
  const isFull = size === 0 ? fields.length > 1 : fields.length >= size
  // That a short page is the last one is the document's word: an API may cap its pages.
  const mayFall = config.pick !== 'last' && !config.stop_after_short_page
  if (!isFull && !(mayFall && isFalling(first, fields, config))) return undefined
  const known = new Set(fields.map(keyOf))
  const isAll = pages.every(page => fieldsIn(page, config).every(field => known.has(keyOf(field))))
  return isAll ? perhapsTurned(config.field) : undefined
}

function isFalling(page: ApiPage, fields: readonly RecordField[], config: KeysetConfig): boolean {
  const steps = fields.slice(1).map((field, index) => order(page, fields[index] ?? field, field, config))
  return steps.some(step => step > 0) && steps.every(step => step >= 0)
}

function fieldsIn(page: ApiPage, { field }: KeysetConfig): readonly RecordField[] {
  return (page.fields?.(field) ?? []).filter(found => found !== undefined)
}

/** Whether the records seem not to be sorted by the field. Which of them were left out, only a total of the list tells. */
function disorderOf(page: ApiPage, previous: ApiPage, config: KeysetConfig): ListEnd | undefined {
  if (previous.records === 0) return undefined
  const isSorted = areAlike(page, previous, config) && !goesBack(page, config)
  return isSorted ? undefined : because('keyset_order', config.field)
}

/**
 * Whether the API seems to filter by the field and to sort otherwise: numbers or times of the page before rise and fall,
 * or run away from this page, and yet every record of this page lies on one side of the value that was sent. Where that
 * value is a place in the list, records follow on both sides.
 */
function suspicionOf(page: ApiPage, previous: ApiPage, config: KeysetConfig): ListEnd | 'denied' | undefined {
  const before = ranksOf(previous, config)
  const last = before?.at(-1)
  if (before === undefined || last === undefined) return undefined
  const now = ranksOf(page, config)
  if (now === undefined) return undefined
  const side = sideOf(now, last)
  if (side === 'both') return 'denied'
  const steps = before.slice(1).map((rank, index) => compareRanks(rank, before[index] ?? rank) ?? 0)
  const [rises, falls] = [steps.some(step => step > 0), steps.some(step => step < 0)]
  const isMixed = rises && falls
  const isAway = (side === 'before' && rises) || (side === 'behind' && falls)
  // At the end, only the greatest or least value of a page may have left others out.
  const isEnd = page.records === 0
  const mayLack = isEnd ? isMixed && sideOf(before, last) !== 'both' && mayBeCut(previous, config) : isMixed || isAway
  return mayLack ? because('keyset_order', config.field) : undefined
}

/** Whether a page may have left records out. That a short one has not is the document's word: an API may cap its pages. */
function mayBeCut(page: ApiPage, config: KeysetConfig): boolean {
  return page.records >= sizeOf(page, config) || !config.stop_after_short_page
}

/** Where values lie, seen from another one. Equal ones lie nowhere. */
function sideOf(ranks: readonly CursorRank[], of: CursorRank): 'before' | 'behind' | 'both' | 'none' {
  const sides = ranks.map(rank => compareRanks(rank, of) ?? 0)
  const [isBefore, isBehind] = [sides.some(side => side < 0), sides.some(side => side > 0)]
  if (isBefore && isBehind) return 'both'
  if (isBefore) return 'before'
  return isBehind ? 'behind' : 'none'
}

/** Undefined if a value is neither a number nor a time: then nobody knows how the API compares it. */
function ranksOf(page: ApiPage, { field }: KeysetConfig): readonly CursorRank[] | undefined {
  const ranks = (page.fields?.(field) ?? []).map(found => found && cursorRank(found.value, found.text))
  const known = ranks.filter(rank => rank?.kind === 'number' || rank?.kind === 'instant')
  return known.length === ranks.length ? (known as readonly CursorRank[]) : undefined
}

function checked(page: ApiPage, found: RecordField | undefined, index: number, { field }: KeysetConfig): RecordField {
  const { value } = found ?? {}
  if (found !== undefined && value !== null && value !== '' && typeof value !== 'object') return found
  const what = value === undefined ? 'is missing' : `is ${describe(value)}`
  const near = value === undefined ? nearMiss(field, page.names?.(index) ?? []) : undefined
  const hint = near === undefined ? 'the next page begins after it' : `did you mean "${near}"?`
  throw pageError(page, `field "${field}" ${what} in record ${index + 1} of the page; ${hint}`)
}

/** The limit that the page was asked for with. 0: none. */
function sizeOf({ request }: ApiPage, { limit, limit_param: param, limit_body_path: path }: KeysetConfig): number {
  return limit === 0 ? 0 : (read(request, target(param, path, 'limit')) ?? limit)
}

const keyOf = ({ value, text }: RecordField): string => `${typeof value} ${text}`

function sent({ param, body_path: path }: KeysetConfig, { value, text }: RecordField): RequestPatch {
  return path == null ? { params: { [param ?? '']: text } } : { body: [{ path, value }] }
}

function joined(one: RequestPatch, other: RequestPatch): RequestPatch {
  return { params: { ...one.params, ...other.params }, body: [...(one.body ?? []), ...(other.body ?? [])] }
}

function sentValue(page: ApiPage, { param, body_path: path }: KeysetConfig): string | undefined {
  const value = valueIn(page.request, target(param, path, ''))
  return value === undefined || value === null ? undefined : String(value)
}
