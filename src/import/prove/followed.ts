import { compareRanks, cursorRank } from '../../model/cursors/cursorOrder.js'
import { count } from '../../model/verdict.js'
import { judgeSizeParam, noteUnrest } from './counted.js'
import { judgeFlag, judgeTotal } from './ends.js'
import { type Declared, endless, following, intoPaginator, type Listing, paginatorFrom } from './listing.js'
import { saysMoreThanThis, searched } from './search.js'
import type { Sight, SightOutcome } from './sightings.js'

/** Pages that are followed to find the end of a list. */
const MOST_PAGES = 5

/** Follows links, cursors, or the last record: page 2 twice, and on while the budget lasts. */
export async function proveFollowed(listing: Listing, declared: Declared): Promise<undefined> {
  const { first } = listing
  const { type, keys, path: key } = declared
  const isKeyset = type === 'keyset'
  const way = paginatorFrom(type, {
    ...endless(keys),
    total_path: null,
    ...(isKeyset && { stop_after_empty_page: true, stop_after_short_page: false, inclusive: true, ties: false }),
  })
  const next = following(way, first)
  const more = saysMoreThanThis(first, listing)
  if (!('request' in next)) {
    const why = 'end' in next ? next.end : next.error
    const isBroken = 'error' in next
    if (more === undefined && !isBroken) {
      listing.judge(key, {
        status: 'assumed',
        seen: `page 1 leads to no other (${why}), which shows no way`,
        by: [first],
      })
      judgeFlag(listing, declared, { page2: undefined, beyond: undefined })
      return
    }
    const seen = isBroken
      ? `page 1 does not have what leads to page 2 (${why})`
      : `${more}, but page 1 leads to no other (${why})`
    return await instead(listing, declared, seen, [first])
  }
  const second = await listing.ask('page 2', next.request)
  const by: SightOutcome[] = [first, second]
  if (second.kind === 'unasked')
    return listing.judge(key, { status: 'assumed', seen: `page 2 was not asked for: ${second.why}`, by })
  if (second.kind === 'refused') {
    if (second.isFinal)
      return listing.judge(key, { status: 'assumed', seen: `page 2 could not be seen (${second.text})`, by })
    return await instead(listing, declared, `page 2 is refused (${second.text})`, by)
  }
  if (second.count === 0) {
    if (more !== undefined && !isKeyset && type !== 'json_link' && type !== 'header_link')
      return await instead(listing, declared, `${more}, but page 2 is empty`, by)
    if (isKeyset) listing.isWhole = true
    listing.judge(key, {
      status: 'assumed',
      seen: 'page 2 is empty: the list has one page, which shows no way to others',
      by,
    })
    judgeFlag(listing, declared, { page2: undefined, beyond: second })
    return
  }
  const like = listing.like(first, second)
  const bound = first.texts.at(-1) === second.texts[0] && like.shared === 1 && second.count > 1
  if (isKeyset && (bound || like.shared === 0)) judgeBound(listing, declared, bound, by)
  else if (like.shared === second.count && like.shared > 0)
    return await instead(
      listing,
      declared,
      'page 2 has the records of page 1: the API ignores what leads to page 2',
      by,
    )
  listing.pages.push(second)
  const again = await listing.ask('page 2 again', next.request)
  by.push(again)
  noteUnrest(listing, second, again)
  const end = await follow(listing, declared, way)
  by.push(...listing.pages.slice(2))
  if (end.kind === 'circle')
    listing.judge(key, {
      status: 'wrong',
      seen: `page ${listing.pages.length + 1} has the records of an earlier page: the list goes in circles`,
      by,
    })
  else if (listing.unrest !== undefined)
    listing.judge(key, { status: 'assumed', seen: `page 2 has other records, but ${listing.unrest}`, by })
  else if (like.shared > 0 && !bound)
    listing.judge(key, { status: 'assumed', seen: `pages 1 and 2 share ${count(like.shared, 'record')}`, by })
  else if (bound && !isKeyset)
    listing.judge(key, {
      status: 'assumed',
      seen: 'page 2 begins with the last record of page 1: records come twice, which `write_disposition: merge` with a `primary_key` takes in',
      by,
    })
  else if (again.kind === 'refused' || again.kind === 'unasked')
    listing.judge(key, {
      status: 'assumed',
      seen: `page 2 has other records; asked again, ${again.kind === 'refused' ? `it was refused (${again.text})` : 'it was not'}`,
      by,
    })
  else {
    const ended =
      end.kind === 'ended' ? `; the list ended after ${count(listing.pages.length, 'page')} (${end.why})` : ''
    listing.judge(key, { status: 'proven', seen: `page 2 has other records, twice the same ones${ended}`, by })
  }
  if (isKeyset) judgeField(listing, declared)
  const records = listing.pages.reduce((sum, page) => sum + page.count, 0)
  judgeFlag(listing, declared, { page2: second, beyond: end.beyond })
  judgeTotal.followed(listing, declared, records)
  judgeSizeParam(listing, second)
  if (isKeyset && typeof keys.limit === 'number' && keys.limit > 0) judgeLimit(listing, declared, keys.limit, second)
}

/** The paginator is wrong: searches for another one. */
async function instead(
  listing: Listing,
  declared: Declared,
  seen: string,
  by: readonly SightOutcome[],
): Promise<undefined> {
  const found = await searched(listing, declared)
  const { path: key } = declared
  if (found === undefined) return listing.judge(key, { status: 'wrong', seen: `${seen}; no other way was found`, by })
  listing.judge(key, { status: 'wrong', seen: `${seen}; ${found.seen}`, by: [...by, ...found.by], write: found.write })
}

type End = { readonly beyond?: SightOutcome | undefined } & (
  | { readonly kind: 'ended'; readonly why: string }
  | { readonly kind: 'open' }
  | { readonly kind: 'circle' }
)

async function follow(listing: Listing, declared: Declared, way: ReturnType<typeof paginatorFrom>): Promise<End> {
  for (;;) {
    const last = listing.pages.at(-1) as Sight
    const next = following(way, last)
    if (!('request' in next)) {
      if ('error' in next) return { kind: 'open' }
      listing.isWhole = listing.unrest === undefined
      return { kind: 'ended', why: next.end }
    }
    if (listing.pages.length >= MOST_PAGES) return { kind: 'open' }
    const number = listing.pages.length + 1
    const page = await listing.ask(`page ${number}`, next.request, 3)
    if (page.kind !== 'page') return { kind: 'open', beyond: page }
    const circle = listing.pages.some(
      earlier =>
        page.count > 0 &&
        listing.like(earlier, page).shared === page.count &&
        (declared.type !== 'keyset' || page.count > 1),
    )
    if (circle) return { kind: 'circle' }
    if (page.count === 0 || (declared.type === 'keyset' && page.count === 1 && listing.like(last, page).shared === 1)) {
      listing.isWhole = listing.unrest === undefined
      return { kind: 'ended', why: 'an empty page', beyond: page }
    }
    listing.pages.push(page)
  }
}

/** Whether the API gives the record with the value that is sent once more. */
function judgeBound(listing: Listing, declared: Declared, isIncluded: boolean, by: readonly SightOutcome[]): undefined {
  const { keys, path } = declared
  const key = `${path}.inclusive`
  const isWritten = keys.inclusive === true
  const seen = isIncluded
    ? 'page 2 begins with the last record of page 1'
    : 'page 2 begins after the last record of page 1'
  if (isWritten === isIncluded) return listing.judge(key, { status: 'proven', seen, by })
  const write = intoPaginator(listing, declared, {
    inclusive: isIncluded,
    ...(isIncluded && keys.ties === true && { ties: false }),
  })
  listing.judge(key, { status: 'wrong', seen, by, write })
}

/** Whether the list is sorted by the field that leads on, and each record has a value of its own. */
function judgeField(listing: Listing, declared: Declared): undefined {
  const { keys, path } = declared
  const field = typeof keys.field === 'string' ? keys.field : ''
  const key = `${path}.field`
  const by = listing.pages
  const values = listing.pages.flatMap((page, at) => {
    const found = page.answer.page.fields?.(field) ?? []
    return at > 0 && page.texts[0] === listing.pages[at - 1]?.texts.at(-1) ? found.slice(1) : found
  })
  const missing = values.filter(value => value === undefined || value.value === null).length
  if (missing > 0)
    return listing.judge(key, {
      status: 'wrong',
      seen: `no value there in ${missing} of ${count(values.length, 'record')}`,
      by,
    })
  const ranks = values.map(value => cursorRank(value?.value ?? null, value?.text))
  const steps = ranks.slice(1).map((rank, at) => compareRanks(rank, ranks[at] ?? rank) ?? 0)
  const isUp = steps.every(step => step >= 0)
  const isDown = steps.every(step => step <= 0)
  const ties = steps.filter(step => step === 0).length
  if (!isUp && !isDown && keys.pick === 'last')
    return listing.judge(key, {
      status: 'assumed',
      seen: `the list is not sorted by it in ${count(values.length, 'record')}, so that records may be left out`,
      by,
    })
  if (ties > 0 && keys.ties !== true && keys.inclusive !== true) {
    const write = intoPaginator(listing, declared, { ties: true })
    return listing.judge(key, {
      status: 'wrong',
      seen: `${ties + 1} or more of ${values.length} records share a value: those that do not fit on a page would be lost`,
      by,
      write,
    })
  }
  listing.judge(key, {
    status: listing.unrest === undefined ? 'proven' : 'assumed',
    seen: `${values.length} records are sorted by it, ${isUp ? 'ascending' : isDown ? 'descending' : 'not from page to page'}${ties === 0 ? ', each with a value of its own' : ''}`,
    by,
  })
}

function judgeLimit(listing: Listing, declared: Declared, limit: number, page2: Sight): undefined {
  const { first } = listing
  const key = `${declared.path}.limit`
  const by = [first, page2]
  if (first.count === limit)
    return listing.judge(key, { status: 'proven', seen: `${count(limit, 'record')} came as asked for`, by })
  listing.judge(key, {
    status: 'wrong',
    seen: `${count(first.count, 'record')} came where ${limit} were asked for, and there are more`,
    by,
    write: intoPaginator(listing, declared, { limit: first.count }),
  })
}
