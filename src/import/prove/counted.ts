import { isJsonObject, type JsonValue } from '../../json/value.js'
import { count } from '../../model/verdict.js'
import type { ApiRequest, RequestPatch } from '../../rest/api.js'
import { count as hintedCount } from '../../rest/evidence/pagingHints.js'
import { statusAdvice } from '../../rest/list/listReader.js'
import type { Probe } from '../../rest/list/probe.js'
import { target, write } from '../../rest/paginators/range.js'
import { judgeFlag, judgeTotal, saysLast } from './ends.js'
import { type Declared, intoPaginator, type JudgedFact, type Listing, type PagingKeys, patched } from './listing.js'
import type { ResourceProof } from './proof.js'
import { hintsOf, saysMoreThanThis, searched } from './search.js'
import type { Asking, Refused, Sight, SightOutcome } from './sightings.js'

/** A list whose pages or records are counted: any of its pages can be asked for. */
interface Counter {
  readonly declared: Declared
  readonly counts: 'pages' | 'records'
  readonly first: number
  readonly limit: number
  /** Name of the place of the position, as in `page`. */
  readonly name: string
  at(position: number, limit?: number): RequestPatch
}

function counterOf(declared: Declared): Counter {
  const { type, keys } = declared
  const number = (key: string, standard: number): number => (typeof keys[key] === 'number' ? keys[key] : standard)
  const text = (key: string): string | null => (typeof keys[key] === 'string' ? keys[key] : null)
  if (type === 'page_number') {
    const place = target(text('page_param'), text('page_body_path'), 'page')
    const first = number('page', number('base_page', 0))
    const name = text('page_param') ?? text('page_body_path') ?? 'page'
    return { declared, counts: 'pages', first, limit: 0, name, at: position => write([place, position]) }
  }
  const place = target(text('offset_param'), text('offset_body_path'), 'offset')
  const limitPlace = target(text('limit_param'), text('limit_body_path'), 'limit')
  const own = number('limit', 0)
  const name = text('offset_param') ?? text('offset_body_path') ?? 'offset'
  return {
    declared,
    counts: 'records',
    first: number('offset', 0),
    limit: own,
    name,
    at: (position, limit = own) => write([place, position], ...(limit === 0 ? [] : [[limitPlace, limit] as const])),
  }
}

/** Asks for page 2, twice, for what is before the first page, behind the last one, and for another size. */
export async function proveCounted(listing: Listing, declared: Declared): Promise<undefined> {
  const counter = counterOf(declared)
  const { first } = listing
  const key = declared.path
  const ask = (asked: string, position: number, keep = 1, limit?: number): Promise<SightOutcome> =>
    listing.ask(asked, patched(first.request, counter.at(position, limit)), keep)
  if (first.count === 0) return await provenEmpty(listing, counter, ask)
  const step = counter.counts === 'pages' ? 1 : first.count
  const second = await ask('page 2', counter.first + step)
  const isWay = await judgeWay(listing, counter, second, ask)
  if (!isWay.goes) {
    listing.judge(key, isWay.judged)
    return
  }
  const page2 = second.kind === 'page' && second.count > 0 ? second : undefined
  if (page2 !== undefined) listing.pages.push(page2)
  const again = page2 === undefined ? undefined : await ask('page 2 again', counter.first + step)
  noteUnrest(listing, page2, again)
  const start = page2 === undefined ? undefined : await judgeStart(listing, counter, page2, ask)
  const { judged } = isWay
  const by = [first, second, again, ...(start?.by ?? [])]
  if (start?.write !== undefined) listing.judge(key, { ...start, status: 'wrong', by })
  else if (judged.status !== 'proven') listing.judge(key, judged)
  else if (listing.unrest !== undefined)
    listing.judge(key, { status: 'assumed', seen: `page 2 has other records, but ${listing.unrest}`, by })
  else if (again?.kind !== 'page')
    listing.judge(key, { status: 'assumed', seen: 'page 2 has other records; it was not asked for twice', by })
  else if (start?.status !== 'proven')
    listing.judge(key, {
      status: 'assumed',
      seen: `page 2 has other records; ${start?.seen ?? 'where the list begins was not asked'}`,
      by,
    })
  else
    listing.judge(key, { status: 'proven', seen: `page 2 has other records, twice the same ones; ${start.seen}`, by })
  await judgeEnds(listing, counter, page2, ask)
  if (page2 === undefined) return
  await judgeSize(listing, counter, page2, ask)
  await seePage3(listing, counter, page2, ask)
}

/** Two pages show little of a key. What the questions about a cursor need is kept. */
async function seePage3(listing: Listing, counter: Counter, page2: Sight, ask: Ask): Promise<undefined> {
  const { first, pages, resource } = listing
  const isAsked = resource.hints.primaryKey !== undefined && pages.length === 2 && page2.count === first.count
  if (!isAsked || listing.isWhole || listing.unrest !== undefined) return
  const step = counter.counts === 'pages' ? 1 : first.count
  const third = await ask('page 3', counter.first + 2 * step, resource.incremental === undefined ? 1 : 5)
  if (third.kind !== 'page' || third.count === 0) return
  const known = new Set(pages.flatMap(({ texts }) => texts))
  // The last page may come again behind the end. Other records with a known key are what is looked for.
  if (!third.texts.some(text => known.has(text))) pages.push(third)
}

type Ask = (asked: string, position: number, keep?: number, limit?: number) => Promise<SightOutcome>

/** A first page without records may be before the list, or the list is empty. */
async function provenEmpty(listing: Listing, counter: Counter, ask: Ask): Promise<undefined> {
  const { declared } = counter
  const next = await ask('the page after it', counter.first + 1)
  const by = [listing.first, next]
  if (counter.counts === 'pages' && next.kind === 'page' && next.count > 0) {
    const written = intoPaginator(listing, declared, { base_page: counter.first + 1 })
    const seen = `page ${counter.first} is empty and page ${counter.first + 1} is not`
    listing.judge(declared.path, { status: 'wrong', seen, by, write: written })
    return
  }
  listing.judge(declared.path, {
    status: 'assumed',
    seen: 'the list is empty, so that nothing shows how its pages follow',
    by,
  })
}

interface Way {
  /** Whether other questions make sense. */
  readonly goes: boolean
  readonly judged: JudgedFact
}

async function judgeWay(listing: Listing, counter: Counter, second: SightOutcome, ask: Ask): Promise<Way> {
  const { first } = listing
  const { declared } = counter
  const by = [first, second]
  const more = saysMoreThanThis(first, listing)
  const stuck = (judged: JudgedFact): Way => ({ goes: false, judged })
  const other = async (seen: string): Promise<Way> => {
    const found = await searched(listing, declared)
    if (found === undefined) return stuck({ status: 'wrong', seen: `${seen}; no other way was found`, by })
    return stuck({ status: 'wrong', seen: `${seen}; ${found.seen}`, by: [...by, ...found.by], write: found.write })
  }
  if (second.kind === 'unasked')
    return stuck({ status: 'assumed', seen: `page 2 was not asked for: ${second.why}`, by })
  if (second.kind === 'refused') {
    if (second.isFinal) return stuck({ status: 'assumed', seen: `page 2 could not be seen (${second.text})`, by })
    if (more !== undefined) return await other(`${more}, but page 2 is refused (${second.text})`)
    return {
      goes: true,
      judged: { status: 'assumed', seen: `page 2 is refused (${second.text}), as behind the end of a list`, by },
    }
  }
  if (second.count === 0) {
    if (more !== undefined) return await other(`${more}, but page 2 is empty`)
    return {
      goes: true,
      judged: { status: 'assumed', seen: 'page 2 is empty: the list has one page, which shows no way to others', by },
    }
  }
  const like = listing.like(first, second)
  if (like.shared === 0) return { goes: true, judged: { status: 'proven', seen: '', by } }
  if (like.shared === second.count && (like.isEqual || second.count === first.count)) {
    if (counter.counts === 'pages') {
      const third = await ask('page 3', counter.first + 2)
      if (third.kind === 'page' && third.count > 0 && listing.like(first, third).shared === 0) {
        const written = intoPaginator(listing, declared, {
          base_page: counter.first + 1,
          ...(declared.keys.page != null && { page: counter.first + 1 }),
        })
        const seen = `pages ${counter.first} and ${counter.first + 1} are the same, and page ${counter.first + 2} is another: the API counts from ${counter.first + 1}`
        return stuck({ status: 'wrong', seen, by: [...by, third], write: written })
      }
    }
    if (more === undefined)
      return stuck({
        status: 'assumed',
        seen: `page 2 has the records of page 1: the API ignores \`${counter.name}\`, or gives its last page again; nothing says that there is more`,
        by,
      })
    return await other(`page 2 has the records of page 1: the API ignores \`${counter.name}\``)
  }
  const again = await listing.ask('page 1 again', first.request, 0)
  if (again.kind === 'page' && !listing.like(first, again).isEqual) {
    listing.unrest = 'page 1 has changed meanwhile'
    return stuck({
      status: 'assumed',
      seen: `pages 1 and 2 share ${count(like.shared, 'record')}, but page 1 has changed meanwhile`,
      by: [...by, again],
    })
  }
  if (counter.counts === 'records' && like.shared === 1 && first.texts.at(-1) === second.texts[0]) {
    const written = intoPaginator(listing, declared, { offset: counter.first + 1 })
    const seen = `the record at offset ${counter.first + first.count} is the last of page 1: the API counts records from ${counter.first + 1}`
    return stuck({ status: 'wrong', seen, by, write: written })
  }
  return await other(
    `pages 1 and 2 share ${like.shared} of ${count(second.count, 'record')}: \`${counter.name}\` counts something else`,
  )
}

export function noteUnrest(listing: Listing, page: Sight | undefined, again: SightOutcome | undefined): undefined {
  if (page === undefined || again?.kind !== 'page') return
  const like = listing.like(page, again)
  if (like.isEqual) return
  listing.unrest = like.isReordered ? 'asked twice, it has them in another order' : 'asked twice, it has other records'
}

/** Whether the list begins where the document says, and the position counts what it says. */
async function judgeStart(listing: Listing, counter: Counter, page2: Sight, ask: Ask): Promise<JudgedFact> {
  const { first } = listing
  const { declared } = counter
  if (counter.counts === 'records') {
    const position = counter.first + first.count - 1
    const before = await ask('the last record of page 1', position)
    const by = [before]
    if (before.kind !== 'page') return { status: 'assumed', seen: 'whether the offset counts records was not seen', by }
    const isLast =
      before.texts[0] === first.texts.at(-1) ||
      (before.records[0] !== undefined &&
        listing.like(first, {
          ...before,
          texts: before.texts.slice(0, 1),
          records: before.records.slice(0, 1),
          count: 1,
        }).shared === 1)
    if (!isLast) {
      const seen = `the record at offset ${position} is not the last one of page 1, so that the offset does not count records from ${counter.first}`
      if (listing.unrest !== undefined) return { status: 'assumed', seen, by }
      return await pagesInstead(listing, counter, page2, seen, by)
    }
    if (counter.first === 0) return { status: 'proven', seen: 'the offset counts records from 0', by }
    const zero = await ask('offset 0', 0)
    if (zero.kind !== 'page' || zero.count === 0)
      return {
        status: 'proven',
        seen: `the offset counts records; ${zero.kind === 'unasked' ? 'what is before was not asked' : `offset 0 has none`}`,
        by: [...by, zero],
      }
    if (zero.texts[0] === first.texts[0])
      return { status: 'proven', seen: `the offset counts records from ${counter.first}`, by: [...by, zero] }
    return {
      status: 'wrong',
      seen: `there are records before offset ${counter.first}`,
      by: [...by, zero],
      write: intoPaginator(listing, declared, { offset: 0 }),
    }
  }
  const base = counter.first
  if (base === 0) {
    // A number below the first may be answered with the last page.
    const plain = await listing.ask('the list without a page number', withoutPosition(listing, counter))
    const by = [first, page2, plain]
    if (plain.kind === 'page' && listing.like(first, plain).isEqual)
      return { status: 'proven', seen: 'pages 0 and 1 differ, and without a number the API gives page 0', by }
    if (plain.kind === 'page' && listing.like(page2, plain).isEqual)
      return {
        status: 'wrong',
        seen: 'without a number the API gives page 1, and page 0 has records of another page: pages count from 1',
        by,
        write: intoPaginator(listing, declared, {
          base_page: 1,
          ...(declared.keys.page != null && { page: 1 }),
        }),
      }
    return { status: 'assumed', seen: 'pages 0 and 1 differ; which of them is the first was not seen', by }
  }
  const before = await ask(`page ${base - 1}`, base - 1)
  if (before.kind === 'unasked')
    return { status: 'assumed', seen: `page ${base - 1} was not asked for: ${before.why}`, by: [] }
  if (before.kind === 'refused')
    return {
      status: before.isFinal ? 'assumed' : 'proven',
      seen: `page ${base - 1} is refused (${before.text})`,
      by: [before],
    }
  if (before.count === 0) return { status: 'proven', seen: `page ${base - 1} is empty`, by: [before] }
  const like = listing.like(first, before)
  if (like.shared === before.count)
    return { status: 'proven', seen: `page ${base - 1} is page ${base} again`, by: [before] }
  if (like.shared > 0)
    return {
      status: 'assumed',
      seen: `pages ${base - 1} and ${base} share ${count(like.shared, 'record')}`,
      by: [before],
    }
  // A number below the first may be answered with the last page. Without a number, an API gives its first one.
  const plain = await listing.ask('the list without a page number', withoutPosition(listing, counter))
  const by = [before, plain]
  if (plain.kind === 'page' && listing.like(before, plain).isEqual) {
    const write = intoPaginator(listing, declared, {
      base_page: base - 1,
      ...(declared.keys.page != null && { page: base - 1 }),
    })
    return {
      status: 'wrong',
      seen: `page ${base - 1} has other records than page ${base}, and is what the API gives without a number: pages count from ${base - 1}`,
      by,
      write,
    }
  }
  if (plain.kind === 'page' && listing.like(first, plain).isEqual)
    return { status: 'proven', seen: `without a number, the API gives page ${base}`, by }
  return {
    status: 'assumed',
    seen: `page ${base - 1} has other records than page ${base}; which of them is the first was not seen`,
    by,
  }
}

/** The first request without the position that the document itself writes beside the paginator. */
function withoutPosition({ probe }: Listing, { name, declared }: Counter): ApiRequest {
  const opening = probe.opening()
  const path = declared.keys.page_body_path
  if (typeof path !== 'string') return { ...opening, params: opening.params.filter(([other]) => other !== name) }
  const { body } = opening
  if (body?.kind === 'form')
    return { ...opening, body: { kind: 'form', pairs: body.pairs.filter(([other]) => other !== path) } }
  return body?.kind === 'json'
    ? { ...opening, body: { kind: 'json', value: withoutKey(body.value, path.split('.')) } }
    : opening
}

function withoutKey(value: JsonValue, [key = '', ...rest]: readonly string[]): JsonValue {
  if (!isJsonObject(value) || !Object.hasOwn(value, key)) return value
  const { [key]: inner = null, ...others } = value
  return rest.length === 0 ? others : { ...others, [key]: withoutKey(inner, rest) }
}

/** An offset that skips whole pages: the parameter counts pages. */
async function pagesInstead(
  listing: Listing,
  counter: Counter,
  page2: Sight,
  seen: string,
  by: readonly SightOutcome[],
): Promise<JudgedFact> {
  const { declared, name } = counter
  const one = await listing.ask(`${name} 1`, patched(listing.first.request, counter.at(counter.first + 1)))
  const isPage = one.kind === 'page' && one.count > 0 && listing.like(listing.first, one).shared === 0
  if (!isPage || typeof declared.keys.offset_body_path === 'string')
    return { status: 'wrong', seen, by: [...by, page2, one], write: undefined }
  const { limit, limit_param: limitParam } = declared.keys
  const write: Record<string, JsonValue> = {
    [`${listing.endpointPath}.paginator`]: {
      type: 'page_number',
      base_page: counter.first,
      page_param: name,
      total_path: null,
    },
  }
  if (typeof limit === 'number' && limit > 0)
    write[`${listing.endpointPath}.params.${typeof limitParam === 'string' ? limitParam : 'limit'}`] = limit
  return {
    status: 'wrong',
    seen: `${seen}; ${name} 1 has no record of page 1: it counts pages`,
    by: [...by, one],
    write,
  }
}

/** Asks behind the end, and at the last position that a total names. */
async function judgeEnds(listing: Listing, counter: Counter, page2: Sight | undefined, ask: Ask): Promise<undefined> {
  const { first } = listing
  const { declared } = counter
  judgeTotal.isThere(listing, declared)
  const total = judgeTotal.claimed(first, declared)
  const unit = counter.counts === 'pages' ? 'page' : 'record'
  const last = total === undefined ? undefined : counter.first + total - 1
  let beyond: SightOutcome
  let totalIs: 'right' | 'small' | 'large' | 'open' = 'open'
  if (total !== undefined && last !== undefined) {
    const atLast =
      total <= (counter.counts === 'pages' ? 1 : first.count)
        ? first
        : await ask(`the last ${unit}, by the total`, last)
    beyond = await ask(`behind the last ${unit}, by the total`, last + 1)
    const known = beyond.kind === 'page' && beyond.count > 0 ? knownAmong(listing, atLast, beyond) : undefined
    const isBehind =
      beyond.kind === 'refused' ? !beyond.isFinal : beyond.kind === 'page' && (beyond.count === 0 || known === true)
    const isThere =
      atLast.kind === 'page' &&
      atLast.count > 0 &&
      (counter.counts === 'pages' || atLast.count <= 1 || atLast === first)
    const goesOn =
      counter.counts === 'records' &&
      atLast.kind === 'page' &&
      (atLast === first ? total < first.count : atLast.count > 1)
    if (
      goesOn ||
      isOutrun(listing, counter, page2, total) ||
      (beyond.kind === 'page' && beyond.count > 0 && known === false)
    )
      totalIs = 'small'
    else if ((atLast.kind === 'page' && atLast.count === 0) || (atLast.kind === 'refused' && !atLast.isFinal))
      totalIs = 'large'
    else if (isBehind && isThere) totalIs = 'right'
    judgeTotal.counted(listing, declared, { total, totalIs, unit, by: [first, atLast, beyond] })
    if (totalIs === 'small' || totalIs === 'large') beyond = await farBeyond(counter, ask)
    else if (
      atLast.kind === 'page' &&
      totalIs === 'right' &&
      counter.counts === 'pages' &&
      total === 2 &&
      page2 !== undefined
    )
      listing.isWhole = true
    if (
      totalIs === 'right' &&
      (counter.counts === 'records'
        ? total <= listing.pages.reduce((sum, page) => sum + page.count, 0)
        : total <= listing.pages.length)
    )
      listing.isWhole = true
  } else beyond = await farBeyond(counter, ask)
  const third =
    page2 !== undefined && saysLast(declared, page2)
      ? await ask('page 3', counter.first + 2 * (counter.counts === 'pages' ? 1 : first.count))
      : undefined
  judgeFlag(listing, declared, { page2, third, beyond })
  judgeEmptyEnd(listing, counter, { beyond, totalIs })
}

/** Whether the first two pages have more than the total says. What is behind such a total is known, for it is on page 2. */
function isOutrun(listing: Listing, { counts }: Counter, page2: Sight | undefined, total: number): boolean {
  if (page2 === undefined || page2.count === 0 || listing.like(listing.first, page2).shared > 0) return false
  return counts === 'pages' ? total < 2 : total < listing.first.count + page2.count
}

function knownAmong(listing: Listing, last: SightOutcome, beyond: Sight): boolean {
  return [...listing.pages, ...(last.kind === 'page' ? [last] : [])].some(page => listing.like(page, beyond).shared > 0)
}

async function farBeyond(counter: Counter, ask: Ask): Promise<SightOutcome> {
  return await ask('far behind the end', counter.first + (counter.counts === 'pages' ? 9_999 : 999_999))
}

/** What happens behind the end, where an empty page, or nothing else, ends the list. */
function judgeEmptyEnd(
  listing: Listing,
  counter: Counter,
  { beyond, totalIs }: { readonly beyond: SightOutcome; readonly totalIs: 'right' | 'small' | 'large' | 'open' },
): undefined {
  const { declared } = counter
  const key = `${declared.path}.stop_after_empty_page`
  const hasFlag = declared.keys.has_more_path != null || declared.keys.done_path != null
  const endsOtherwise =
    totalIs === 'right' || hasFlag || declared.keys.maximum_page != null || declared.keys.maximum_offset != null
  const by = [beyond]
  if (declared.keys.stop_after_empty_page === false) return
  if (beyond.kind === 'unasked')
    return listing.judge(key, { status: 'assumed', seen: `what is behind the end was not asked: ${beyond.why}`, by })
  if (beyond.kind === 'page' && beyond.count === 0)
    return listing.judge(key, { status: 'proven', seen: 'behind the end, a page is empty', by })
  if (beyond.kind === 'refused') {
    if (beyond.isFinal || beyond.status === undefined)
      return listing.judge(key, { status: 'assumed', seen: `behind the end, there was no answer (${beyond.text})`, by })
    const seen = `behind the end, the API answers ${beyond.text}, and not an empty page`
    if (endsOtherwise) return listing.note(seen)
    const write = withAction(listing, beyond.status)
    return listing.judge(key, { status: 'wrong', seen: `${seen}: a run would fail there`, by, write })
  }
  const isKnown = listing.pages.some(page => listing.like(page, beyond).shared > 0)
  const seen = isKnown
    ? 'behind the end, pages that were read before come again'
    : 'far behind the end, there are still records'
  if (endsOtherwise) return listing.note(seen)
  if (!isKnown) return listing.judge(key, { status: 'assumed', seen: `${seen}: the end was not seen`, by })
  const total =
    counter.counts === 'records'
      ? hintsOf(listing.first).find(({ kind, value }) => kind === 'total' && Number(value) > listing.first.count)?.path
      : hintedCount(hintsOf(listing.first), 'pages', 1)?.path
  const flag = hintsOf(listing.first).find(
    ({ kind, value }) => (kind === 'more' && value === true) || (kind === 'last' && value === false),
  )
  const told =
    total === undefined
      ? flag && { [flag.kind === 'more' ? 'has_more_path' : 'done_path']: flag.path }
      : { total_path: total }
  const write = told === undefined ? undefined : intoPaginator(listing, declared, told)
  listing.judge(key, { status: 'wrong', seen: `${seen}: no page is empty, and nothing else ends the list`, by, write })
}

/** A status behind the end that ends the list. Actions that the document has come first. */
function withAction(
  { resource, endpointPath }: Listing,
  status: number,
): Readonly<Record<string, JsonValue>> | undefined {
  if (resource.endpoint.responseActions.length > 0) return undefined
  return { [`${endpointPath}.response_actions`]: [{ status_code: status, action: 'stop', proves_end: true }] }
}

/** Whether the size of pages is as asked for. */
async function judgeSize(listing: Listing, counter: Counter, page2: Sight, ask: Ask): Promise<undefined> {
  const { first } = listing
  const { declared, limit } = counter
  if (counter.counts === 'pages') return judgeSizeParam(listing, page2)
  if (limit === 0) return
  const key = `${declared.path}.limit`
  const by: SightOutcome[] = [first, page2]
  if (first.count === limit) {
    const half = Math.max(1, Math.floor(limit / 2))
    const small = half === limit ? undefined : await ask(`${count(half, 'record')} a page`, counter.first, 1, half)
    if (small?.kind === 'page' && small.count === half)
      return listing.judge(key, {
        status: 'proven',
        seen: `${count(limit, 'record')} came as asked for, and ${half} where ${half} were`,
        by: [...by, small],
      })
    if (small?.kind === 'page')
      return listing.judge(key, {
        status: 'assumed',
        seen: `${count(limit, 'record')} came as asked for, but ${small.count} where ${half} were`,
        by: [...by, small],
      })
    return listing.judge(key, {
      status: 'assumed',
      seen: `${count(limit, 'record')} came as asked for; another size was not seen`,
      by,
    })
  }
  if (listing.unrest !== undefined)
    return listing.judge(key, {
      status: 'assumed',
      seen: `${count(first.count, 'record')} came where ${limit} were asked for, but ${listing.unrest}`,
      by,
    })
  if (first.count < limit && page2.count > first.count)
    return listing.judge(key, {
      status: 'assumed',
      seen: `pages have ${first.count} and ${count(page2.count, 'record')} where ${limit} were asked for: the API leaves records out`,
      by,
    })
  const seen = `${count(first.count, 'record')} came where ${limit} were asked for, and there are more`
  return listing.judge(key, {
    status: 'wrong',
    seen,
    by,
    write: intoPaginator(listing, declared, { limit: first.count }),
  })
}

/** A parameter of the document that asks for a size, beside page numbers. */
export function judgeSizeParam(listing: Listing, page2: Sight): undefined {
  const { first, resource } = listing
  for (const field of resource.endpoint.params) {
    const { name, value } = field
    const [text, ...more] = name
    if (typeof text !== 'string' || more.length > 0 || !SIZE.test(text)) continue
    if (value.kind !== 'literal' && value.kind !== 'text') continue
    const asked = Number(value.kind === 'literal' ? value.value : value.template.join(''))
    if (!Number.isInteger(asked) || asked < 2) continue
    const by = [first, page2]
    if (first.count === asked)
      listing.judge(field.path, { status: 'proven', seen: `${count(asked, 'record')} came as asked for`, by })
    else if (first.count > asked)
      listing.judge(field.path, {
        status: 'wrong',
        seen: `${count(first.count, 'record')} came where ${asked} were asked for: the API ignores it`,
        by,
        write: { [field.path]: first.count },
      })
    else if (page2.count > 0 && page2.count <= first.count && listing.unrest === undefined)
      listing.judge(field.path, {
        status: 'wrong',
        seen: `${count(first.count, 'record')} came where ${asked} were asked for, and there are more`,
        by,
        write: { [field.path]: first.count },
      })
    else
      listing.judge(field.path, {
        status: 'assumed',
        seen: `${count(first.count, 'record')} came where ${asked} were asked for`,
        by,
      })
  }
}

const SIZE = /^(?:limit|per_?page|page_?size|size|page\[size\]|max_?results|count|take|\$top|rows)$/i

/** Why the first page is refused: it may be a page before the first. */
export async function judgeFirstPage(
  probe: Probe,
  asking: Asking,
  first: Exclude<SightOutcome, Sight>,
): Promise<Partial<ResourceProof>> {
  const problem = first.kind === 'unasked' ? first.why : problemOf(first, probe)
  const { paginator, path } = probe.resource.endpoint
  if (first.kind !== 'refused' || first.isFinal || paginator.kind !== 'declared') return { problem }
  if (paginator.type !== 'page_number' && paginator.type !== 'offset') return { problem }
  const isOwn = paginator.path.startsWith(`${path}.`)
  const declared = { type: paginator.type, keys: paginator.config as PagingKeys, path: paginator.path, isOwn }
  const counter = counterOf(declared)
  const next = await asking.ask(
    `${counter.name} ${counter.first + 1}`,
    patched(first.request, counter.at(counter.first + 1)),
  )
  if (next.kind !== 'page' || next.count === 0) return { problem }
  const key = counter.counts === 'pages' ? 'base_page' : 'offset'
  const write = intoPaginator({ endpointPath: path }, declared, {
    [key]: counter.first + 1,
    ...(declared.keys.page != null && { page: counter.first + 1 }),
  })
  const seen = `${counter.name} ${counter.first} is refused (${first.text}), and ${counter.name} ${counter.first + 1} has records: the API counts from ${counter.first + 1}`
  return { findings: [{ key: declared.path, status: 'wrong', seen, requests: [first.number, next.number], write }] }
}

/** The status or the failure, and one thing to do. Never the text of the answer. */
function problemOf({ text, status, error }: Refused, probe: Probe): string {
  if (status === 401 || status === 403) return `${text}: ${statusAdvice(status, probe.credentials)}`
  if (status === 404) return `${text}: check \`base_url\` and \`path\``
  if (status !== undefined && status >= 500) return `${text}: the API has a problem of its own; try later`
  if (error.code === 'connection') return `${text}: check the address and that the server runs`
  if (error.code === 'response_format') return `${text}: check \`path\`, and \`format\` if it is not JSON`
  if (error.code === 'response_too_large') return `${text}: ask for smaller pages`
  return text
}
