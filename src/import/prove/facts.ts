import { valueAt } from '../../json/bytes.js'
import type { JsonObject, JsonValue } from '../../json/value.js'
import { canonicalJson } from '../../json/write.js'
import { type CursorRank, compareRanks, cursorRank } from '../../model/cursors/cursorOrder.js'
import type { IncrementalWindow } from '../../model/source.js'
import { count } from '../../model/verdict.js'
import type { RecordField } from '../../rest/api.js'
import type { EndpointResource } from '../../rest/document/model.js'
import { formatPath, pathKeys } from '../../rest/document/problems.js'
import { includedName } from '../../rest/list/answer/includeParent.js'
import { mixedName, mixedNumbers } from '../../schema/mixedNumbers.js'
import { candidateKeys } from '../draft/guesses.js'
import { type Listing, patched } from './listing.js'
import type { Finding } from './proof.js'
import { type RecordMap, recordMapIn } from './recordMaps.js'
import { identity, isAlike, type Sight, type SightOutcome, valueIn } from './sightings.js'

/** Where the records are. False: the records of the document's place cannot be proven any further. */
export function judgeSelector(listing: Listing): boolean {
  const { first, probe, resource } = listing
  const { endpoint } = resource
  const key = `${endpoint.path}.data_selector`
  const { selection } = first.answer
  const detected = probe.detected(first.answer)
  const path = detected?.path?.text
  const by = [first]
  if (endpoint.singleEntity && endpoint.dataSelector === undefined) return true
  if (endpoint.dataSelector === undefined) {
    const map = mapInBody(listing)
    if (map !== undefined && (path === undefined || path === '$' || path.startsWith(map.path)))
      return judgeMap(listing, map, { [key]: map.path })
    if (path === undefined) return true
    const write = first.count > 0 && path !== '$' ? { [key]: path } : undefined
    listing.judge(key, {
      status: 'assumed',
      seen: `it is not written; ${count(first.count, 'record')} ${first.count === 1 ? 'was' : 'were'} found at ${path}`,
      by,
      write,
    })
    return true
  }
  const other = detected?.sticks === true && path !== undefined && path !== endpoint.dataSelector ? path : undefined
  const write = other === undefined ? undefined : { [key]: other }
  switch (selection.met) {
    case 'nothing':
      listing.judge(key, {
        status: 'wrong',
        seen: `there is nothing at this place${other === undefined ? '' : `, and a list at ${other}`}`,
        by,
        write,
      })
      return false
    case 'record': {
      const map = endpoint.singleEntity ? undefined : mapAt(listing, endpoint.dataSelector)
      if (map !== undefined) return judgeMap(listing, map, {})
      // An object where a list is inside it.
      if (other?.startsWith(endpoint.dataSelector) === true || (endpoint.dataSelector === '$' && other !== undefined)) {
        listing.judge(key, {
          status: 'wrong',
          seen: `there is one object at this place, and a list inside it, at ${other}`,
          by,
          write,
        })
        return false
      }
      listing.judge(key, { status: 'assumed', seen: 'there is one value at this place, and no list', by })
      return true
    }
    case 'null':
      listing.judge(key, { status: 'assumed', seen: 'there is null at this place, as in an empty list', by })
      return true
    default: {
      if (first.count === 0) {
        listing.judge(key, { status: 'assumed', seen: 'there is an empty list at this place', by })
        return true
      }
      const objects = first.records.length
      if (objects < first.texts.length)
        listing.judge(key, {
          status: 'assumed',
          seen: `${count(first.count, 'value')} at this place, of which ${first.texts.length - objects} no object`,
          by,
        })
      else listing.judge(key, { status: 'proven', seen: `${count(first.count, 'record')} at this place`, by })
      return true
    }
  }
}

/** The map of records at the place that the document names. */
function mapAt({ first, resource }: Listing, place: string): RecordMap | undefined {
  const [record] = first.records
  if (record === undefined || resource.endpoint.reading.keyColumn !== undefined) return undefined
  const map = recordMapIn(record)
  return map?.path === '$' ? { ...map, path: place } : undefined
}

function mapInBody({ first: { answer } }: Listing): RecordMap | undefined {
  const { document } = answer
  return document === undefined ? undefined : recordMapIn(valueAt(document.bytes, document.root))
}

/** A map of records without `key_column`: a run would take it for one record. */
function judgeMap(
  listing: Listing,
  { path, keyColumn, isProven, seen }: RecordMap,
  selector: Readonly<Record<string, JsonValue>>,
): boolean {
  const key = `${listing.endpointPath}.key_column`
  listing.judge(key, {
    status: isProven ? 'wrong' : 'assumed',
    seen: `it is not written; ${seen} (${path})`,
    by: [listing.first],
    write: { ...selector, [key]: keyColumn },
  })
  return !isProven
}

/** A field that could be the key, where the document names none. */
function judgeLackingKey(listing: Listing, key: string, records: readonly JsonObject[]): undefined {
  const { resource, pages, unrest } = listing
  if (resource.steps.length > 0 || records.length < 2) return
  const [candidate] = candidateKeys(records, resource.name)
  if (candidate === undefined) return
  const seen = `it is not written; ${candidate} is different in each of ${count(records.length, 'record')}`
  listing.judge(key, {
    status: 'assumed',
    seen,
    by: pages,
    write: unrest === undefined ? { [key]: candidate } : undefined,
  })
}

/** Whether the primary key is there, and different in every record that was seen. */
export function judgeKey(listing: Listing): undefined {
  const { resource, pages } = listing
  const columns = resource.hints.primaryKey ?? []
  const key = `${resource.path}.primary_key`
  const records = pages.flatMap(page => page.records)
  if (records.length === 0) return
  if (columns.length === 0) return judgeLackingKey(listing, key, records)
  // What `steps` make of records is not in the answer.
  if (resource.steps.length > 0)
    return listing.judge(key, {
      status: 'assumed',
      seen: 'records are changed after they are read, so that the API does not show it',
      by: pages,
    })
  const by = pages
  const name = columns.join(', ')
  const own = ownColumns(resource)
  const lacking = records.filter(record => own.some(column => valueIn(record, column) == null)).length
  const better = candidateKeys(records, resource.name).find(candidate => !columns.includes(candidate))
  const write = better === undefined ? undefined : { [key]: better }
  if (lacking > 0) {
    const seen = `${name} is missing in ${lacking} of ${count(records.length, 'record')}${better === undefined ? '' : `; ${better} is different in all of them`}`
    return listing.judge(key, { status: 'wrong', seen, by, write })
  }
  const { twice, others } = repeated(records, own)
  if (others > 0) {
    const seen = `${count(others, 'record')} of ${records.length} with a key of another record${better === undefined ? '' : `; ${better} is different in all of them`}`
    if (listing.unrest !== undefined)
      return listing.judge(key, { status: 'assumed', seen: `${seen}, but ${listing.unrest}`, by })
    return listing.judge(key, { status: 'wrong', seen, by, write })
  }
  const kinds = new Set(records.flatMap(record => own.map((column, at) => `${at} ${typeof valueIn(record, column)}`)))
  if (kinds.size > own.length)
    return listing.judge(key, { status: 'assumed', seen: `${name} is text in some records and a number in others`, by })
  if (twice > 0)
    return listing.judge(key, {
      status: 'assumed',
      seen: `${count(twice, 'record')} of ${records.length} came twice`,
      by,
    })
  if (listing.unrest !== undefined)
    return listing.judge(key, {
      status: 'assumed',
      seen: `different in ${count(records.length, 'record')}, but ${listing.unrest}`,
      by,
    })
  if (pages.length < 2 && !listing.isWhole)
    return listing.judge(key, {
      status: 'assumed',
      seen: `different in ${count(records.length, 'record')} of one page`,
      by,
    })
  listing.judge(key, {
    status: 'proven',
    seen: `there, and different in ${count(records.length, 'record')} of ${count(pages.length, 'page')}`,
    by,
  })
}

/** The columns of the key that the answer has. Those of the parent are one value in a list. */
function ownColumns({ hints, parent, includeFromParent }: EndpointResource): readonly string[] {
  const fromParent = new Set(includeFromParent.map(field => includedName(parent ?? '', field)))
  return (hints.primaryKey ?? []).filter(column => !fromParent.has(column))
}

/**
 * What the list of another parent says about a key: it must tell the records of all lists apart. `other`: its records,
 * undefined if it was not asked for.
 */
export function amongParents(
  finding: Finding,
  resource: EndpointResource,
  { records, other, request }: AmongParents,
): Finding {
  const columns = resource.hints.primaryKey ?? []
  const own = ownColumns(resource)
  if (finding.status === 'wrong' || own.length < columns.length || records.length === 0) return finding
  if (other === undefined || other.length === 0)
    return { ...finding, status: 'assumed', seen: `${finding.seen}, all of one parent` }
  const requests = [...finding.requests, ...(request === undefined ? [] : [request])]
  const { twice, others } = repeated([...records, ...other], own)
  const again = twice - repeated(records, own).twice
  if (others === 0 && again > 0)
    return {
      ...finding,
      requests,
      status: 'assumed',
      seen: `${finding.seen}; ${count(again, 'record')} came below another parent too, with the same values`,
    }
  if (others === 0)
    return { ...finding, requests, seen: `${finding.seen}, and in ${count(other.length, 'record')} of another parent` }
  return {
    key: finding.key,
    status: 'wrong',
    seen: `${count(others, 'record')} of another parent with a key of the first one: add the parent to the key, by \`include_from_parent\``,
    requests,
  }
}

export interface AmongParents {
  readonly records: readonly JsonObject[]
  readonly other: readonly JsonObject[] | undefined
  /** Number of the request that gave them. */
  readonly request: number | undefined
}

/** Records that have the key of an earlier one: the same record, or another. */
function repeated(
  records: readonly JsonObject[],
  columns: readonly string[],
): { readonly twice: number; readonly others: number } {
  const known = new Map<string, JsonObject>()
  let [twice, others] = [0, 0]
  for (const record of records) {
    const id = identity(record, columns)
    const earlier = known.get(id)
    if (earlier === undefined) known.set(id, record)
    else if (canonicalJson(earlier) === canonicalJson(record)) twice += 1
    else if (isAlike(earlier, record, columns) && Object.keys(record).length > 2) twice += 1
    else others += 1
  }
  return { twice, others }
}

/** Columns whose type the first record would choose, and not rightly for the others. */
export function judgeNumbers(listing: Listing): undefined {
  const { resource, pages } = listing
  // What `steps` make of records is not in the answer.
  if (resource.steps.length > 0) return
  const records = pages.flatMap(page => page.records)
  for (const mixed of mixedNumbers(records, resource.hints)) {
    const { list, column } = mixed
    const path = list === undefined ? ['columns', column] : ['nested_hints', list, 'columns', column]
    const key = formatPath([...pathKeys(resource.path), ...path, 'data_type'])
    listing.judge(key, {
      status: 'wrong',
      seen: `it is not written; ${mixedName(mixed)} is a whole number in some of ${count(records.length, 'record')} and a fraction in others: the first one would choose the type, and the others would go into a column of their own`,
      by: pages,
      write: { [key]: 'double' },
    })
  }
}

/** What the list is sorted by, as far as its pages show. */
export function noteOrder(listing: Listing): undefined {
  const records = listing.pages.flatMap(page => page.records)
  const [first] = records
  if (first === undefined || records.length < FEWEST_TO_SORT) return
  const sorted = Object.keys(first).flatMap(name => {
    const ranks = records.map(record => rankOf(record[name]))
    const way = directionOf(ranks)
    return way === undefined ? [] : [`${name}, ${way === 'asc' ? 'ascending' : 'descending'}`]
  })
  const told = sorted.slice(0, 3).join('; ')
  listing.notes.push(
    told === ''
      ? `none of their fields sorts the ${count(records.length, 'record')}`
      : `sorted by ${told} (${count(records.length, 'record')})`,
  )
}

const FEWEST_TO_SORT = 4

function rankOf(value: JsonValue | undefined): CursorRank | undefined {
  const isSortable =
    typeof value === 'number' || typeof value === 'bigint' || (typeof value === 'string' && value !== '')
  return isSortable ? cursorRank(value) : undefined
}

function directionOf(ranks: readonly (CursorRank | undefined)[]): 'asc' | 'desc' | undefined {
  let [up, down] = [0, 0]
  for (let at = 1; at < ranks.length; at++) {
    const [before, now] = [ranks[at - 1], ranks[at]]
    const step = before === undefined || now === undefined ? undefined : compareRanks(now, before)
    if (step === undefined) return undefined
    if (step > 0) up += 1
    if (step < 0) down += 1
    if (up > 0 && down > 0) return undefined
  }
  if (up > 0) return 'asc'
  return down > 0 ? 'desc' : undefined
}

/** Limits that the answers tell. */
export function noteLimits(listing: Listing): undefined {
  const { headers } = listing.first.answer.page
  const told = Object.entries(headers).filter(
    ([name, value]) => LIMIT_HEADERS.test(name) && /^[\w ;=,."-]{1,60}$/.test(value),
  )
  if (told.length > 0)
    listing.notes.push(`the API tells its limits: ${told.map(([name, value]) => `${name}: ${value}`).join(', ')}`)
}

const LIMIT_HEADERS = /^(?:x-)?rate-?limit(?:-|$)|^retry-after$/

/** The cursor of incremental loading: whether it is there, what its order is, and whether its parameter filters. */
export async function judgeCursor(listing: Listing, window: IncrementalWindow | undefined): Promise<undefined> {
  const { resource, first } = listing
  const { incremental } = resource
  if (incremental === undefined || incremental.token !== undefined || window === undefined) return
  const { hint, startParam } = incremental
  const path = hint.path
  const fields = fieldsIn(listing.pages, hint.cursorPath)
  const there = fields.filter(field => field !== undefined && field.value !== null)
  const key = `${path}.cursor_path`
  const by = listing.pages
  if (first.count === 0) return listing.judge(key, { status: 'assumed', seen: 'the list is empty', by })
  if (there.length === 0)
    return listing.judge(key, { status: 'wrong', seen: `no value there in ${count(fields.length, 'record')}`, by })
  if (there.length < fields.length) {
    const seen = `no value there in ${fields.length - there.length} of ${count(fields.length, 'record')}`
    if (hint.onCursorValueMissing !== 'raise') listing.judge(key, { status: 'assumed', seen, by })
    else
      listing.judge(key, {
        status: 'wrong',
        seen: `${seen}: a run would fail`,
        by,
        write: { [`${path}.on_cursor_value_missing`]: 'include' },
      })
  } else
    listing.judge(key, {
      status: listing.pages.length > 1 || listing.isWhole ? 'proven' : 'assumed',
      seen: `a value there in ${count(fields.length, 'record')}`,
      by,
    })
  judgeRowOrder(listing, fields)
  if (startParam !== undefined) await judgeFilter(listing, window, startParam)
}

function fieldsIn(pages: readonly Sight[], path: string): readonly (RecordField | undefined)[] {
  return pages.flatMap(page => page.answer.page.fields?.(path) ?? [])
}

function judgeRowOrder(listing: Listing, fields: readonly (RecordField | undefined)[]): undefined {
  const { hint } = listing.resource.incremental ?? {}
  if (hint?.rowOrder === undefined) return
  const key = `${hint.path}.row_order`
  const ranks = fields.map(field => (field === undefined ? undefined : cursorRank(field.value, field.text)))
  const way = directionOf(ranks)
  const by = listing.pages
  const write = { [key]: way ?? null }
  if (way === undefined && new Set(fields.map(field => field?.text)).size < 2)
    return listing.judge(key, { status: 'assumed', seen: 'all records have one value', by })
  if (way !== hint.rowOrder)
    return listing.judge(key, {
      status: 'wrong',
      seen: `${fields.length} records are ${way === undefined ? 'not sorted by the cursor' : `sorted by the cursor, ${way === 'asc' ? 'ascending' : 'descending'}`}`,
      by,
      write,
    })
  const isProven = listing.pages.length > 1 && listing.unrest === undefined
  listing.judge(key, {
    status: isProven ? 'proven' : 'assumed',
    seen: `${fields.length} records of ${listing.pages.length} pages are sorted by the cursor`,
    by,
  })
}

/** Asks for what is new since the cursor of a record in the middle, and holds the answer against what is known. */
async function judgeFilter(listing: Listing, window: IncrementalWindow, startParam: string): Promise<undefined> {
  const { first, resource, probe } = listing
  const { incremental } = resource
  if (incremental === undefined) return
  const { hint } = incremental
  const key = `${hint.path}.start_param`
  const isMin = hint.lastValueFunc === 'min'
  const known = fieldsIn([first], hint.cursorPath).filter(
    field => field !== undefined && field.value !== null,
  ) as RecordField[]
  const order = (one: RecordField, other: RecordField): number =>
    (compareRanks(cursorRank(one.value, one.text), cursorRank(other.value, other.text)) ?? 0) * (isMin ? -1 : 1)
  const values = [...new Map(known.toSorted(order).map(field => [field.text, field])).values()]
  const openingAt = ({ value }: RecordField) => probe.opening({ ...window, startValue: value, lastValue: value })
  /** The value as it is sent: a day, where only days are. */
  const sent = (field: RecordField): string | undefined =>
    openingAt(field).params.find(([name]) => name === startParam)?.[1]
  const [oldest] = values
  const later = values.filter(field => oldest !== undefined && sent(field) !== sent(oldest))
  const bound = later.find(field => field === values[Math.floor(values.length / 2)]) ?? later[0] ?? values[1]
  if (oldest === undefined || bound === undefined)
    return listing.judge(key, {
      status: 'assumed',
      seen: 'the records of page 1 have one cursor, so that no filter can be seen',
      by: [first],
    })
  const opening = openingAt(bound)
  if (!opening.params.some(([name]) => name === startParam))
    return listing.judge(key, {
      status: 'assumed',
      seen: 'its value is left out of requests by `convert`',
      by: [first],
    })
  if (later.length === 0)
    return listing.judge(key, {
      status: 'assumed',
      seen: 'the cursors of page 1 are sent as one value, so that no filter can be seen',
      by: [first],
    })
  const filtered = await listing.ask('what is new since a record of page 1', patched(opening, probe.paginator?.first))
  const by = [first, filtered]
  if (filtered.kind === 'unasked')
    return listing.judge(key, { status: 'assumed', seen: `it was not asked: ${filtered.why}`, by })
  if (filtered.kind === 'refused') {
    if (filtered.isFinal || filtered.status === undefined)
      return listing.judge(key, { status: 'assumed', seen: `no answer came (${filtered.text})`, by })
    return listing.judge(key, {
      status: 'wrong',
      seen: `the API refuses the value of a record (${filtered.text}): in what format does it want it?`,
      by,
    })
  }
  const got = fieldsIn([filtered], hint.cursorPath).filter(
    field => field !== undefined && field.value !== null,
  ) as RecordField[]
  const isBefore = (field: RecordField): boolean => order(field, bound) < 0 && sent(field) !== sent(bound)
  const before = got.filter(isBefore)
  const wereBefore = known.filter(isBefore)
  if (filtered.count === 0)
    return listing.judge(key, {
      status: 'wrong',
      seen: 'since a record of page 1 the API gives nothing, not even the records after it: in what format does it want the value?',
      by,
    })
  if (before.length > 0) {
    const isSame = listing.like(first, filtered).shared === filtered.count && filtered.count === first.count
    const dayAfter = isSame ? laterDay(values.at(-1), known) : undefined
    if (dayAfter !== undefined) {
      const none = await listing.ask(
        'what is new since a day after page 1',
        patched(probe.opening({ ...window, startValue: dayAfter, lastValue: dayAfter }), probe.paginator?.first),
      )
      const isIgnored = none.kind === 'page' && none.count > 0 && listing.like(first, none).shared === none.count
      if (!isIgnored)
        return listing.judge(key, {
          status: 'assumed',
          seen: `with it, the same ${count(filtered.count, 'record')} came as without it; all are of one day, and it may filter by days`,
          by: [...by, none],
        })
    }
    if (isSame)
      return listing.judge(key, {
        status: 'wrong',
        seen: `with it, the same ${count(filtered.count, 'record')} came as without it: the API ignores it`,
        by,
        write: { [key]: null },
      })
    const isCoarse = before.length < wereBefore.length
    return listing.judge(key, {
      status: isCoarse ? 'assumed' : 'wrong',
      seen: `${count(before.length, 'record')} of ${filtered.count} older than what was asked for`,
      by,
      ...(!isCoarse && { write: { [key]: null } }),
    })
  }
  const isIncluded = got.some(field => order(field, bound) === 0)
  const gone = goneAfter(first, filtered, known, field => order(field, bound) > 0)
  if (gone > 0) {
    const seen = `${count(gone, 'record')} of page 1, newer than what was asked for, did not come`
    const isWhole = filtered.count < first.count
    return listing.judge(key, {
      status: isWhole && listing.unrest === undefined ? 'wrong' : 'assumed',
      seen: isWhole ? `${seen}: the API filters by something else` : `${seen} on its first page`,
      by,
    })
  }
  const isSure = wereBefore.length > 0 && listing.unrest === undefined
  const seen = `of ${wereBefore.length} older records of page 1, none came`
  listing.judge(key, {
    status: isSure ? 'proven' : 'assumed',
    seen: isSure ? seen : `${seen}, but ${listing.unrest ?? 'there are none'}`,
    by,
  })
  judgeRange(listing, isIncluded, got.length, by)
}

const DAY = /^\d{4}-\d\d-\d\d(?=[T ])/

/** A time two days after records that are all of one day. Undefined: they are not, or are no times. */
function laterDay(newest: RecordField | undefined, known: readonly RecordField[]): string | undefined {
  const days = new Set(known.map(({ value }) => (typeof value === 'string' ? DAY.exec(value)?.[0] : undefined)))
  const [day] = days
  if (days.size !== 1 || day === undefined || typeof newest?.value !== 'string') return undefined
  const start = Date.parse(`${day}T00:00:00Z`)
  return Number.isNaN(start)
    ? undefined
    : new Date(start + 2 * DAY_MS).toISOString().slice(0, 10) + newest.value.slice(day.length)
}

const DAY_MS = 86_400_000

/** How many cursors of records that must come are not among those that came. */
function goneAfter(
  first: Sight,
  filtered: Sight,
  known: readonly RecordField[],
  isAfter: (field: RecordField) => boolean,
): number {
  const texts = new Set(filtered.texts)
  // Each text of a record of page 1 stands beside its cursor where all of them were kept.
  if (first.texts.length !== first.count || known.length !== first.count) return 0
  return known.filter((field, at) => isAfter(field) && !texts.has(first.texts[at] ?? '')).length
}

/** Whether the records of the bound itself come again. */
function judgeRange(listing: Listing, isIncluded: boolean, records: number, by: readonly SightOutcome[]): undefined {
  const { hint } = listing.resource.incremental ?? {}
  if (hint === undefined || records === 0) return
  const key = `${hint.path}.range_start`
  if (isIncluded && hint.rangeStart === 'closed')
    return listing.judge(key, {
      status: 'proven',
      seen: 'the record that was asked from comes again, as `closed` expects',
      by,
    })
  if (isIncluded)
    return listing.judge(key, {
      status: 'proven',
      seen: 'the record that was asked from comes again, and `open` leaves it out',
      by,
    })
  listing.judge(key, {
    status: 'assumed',
    seen: 'the record that was asked from does not come again: of records that share a cursor, those that appear later are never given; `lag` asks for them once more',
    by,
  })
}
