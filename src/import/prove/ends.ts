import { count } from '../../model/verdict.js'
import { flagOf } from '../../rest/paginators/paginator.js'
import { declaresTotal, totalOf, totalPath, totalValue } from '../../rest/paginators/totals.js'
import { type Declared, intoPaginator, type Listing } from './listing.js'
import type { Sight, SightOutcome } from './sightings.js'

interface Counted {
  readonly total: number
  readonly totalIs: 'right' | 'small' | 'large' | 'open'
  readonly unit: 'page' | 'record'
  readonly by: readonly SightOutcome[]
}

function totalKeys({ keys }: Declared) {
  const text = (name: string): string | null | undefined => {
    const value = keys[name]
    return value === null || typeof value === 'string' ? value : undefined
  }
  return { total_path: text('total_path'), total_header: text('total_header') }
}

function keyOf(declared: Declared): string {
  return `${declared.path}.${totalKeys(declared).total_header == null ? 'total_path' : 'total_header'}`
}

/** Takes the total away, or names that there is none. */
function withoutTotal(listing: Listing, declared: Declared) {
  const { total_header: header } = totalKeys(declared)
  return intoPaginator(listing, declared, { ...(header != null && { total_header: null }), total_path: null })
}

/** APIs that search often stop at such a number, whatever there is. */
function mayBeLimit(total: number, unit: 'page' | 'record'): boolean {
  const step = unit === 'page' ? 100 : 1000
  return total > 0 && total % step === 0
}

export const judgeTotal = {
  /** The total that a page announces, in what the paginator counts. */
  claimed({ answer }: Sight, declared: Declared): number | undefined {
    const keys = totalKeys(declared)
    if (totalPath(keys) === undefined) return undefined
    return totalOf(totalValue(answer.page, keys), 0)
  },

  /** Whether page 1 has a number where the document has it. False: there is none, and that is told. */
  isThere(listing: Listing, declared: Declared): boolean {
    const keys = totalKeys(declared)
    if (!declaresTotal(keys) || judgeTotal.claimed(listing.first, declared) !== undefined) return true
    const write = withoutTotal(listing, declared)
    const seen = 'there is no number at this place'
    listing.judge(keyOf(declared), { status: 'wrong', seen, by: [listing.first], write })
    return false
  },

  /** Of lists whose last position was asked for. */
  counted(listing: Listing, declared: Declared, { total, totalIs, unit, by }: Counted): undefined {
    const key = keyOf(declared)
    const write = withoutTotal(listing, declared)
    if (listing.unrest !== undefined && totalIs !== 'open')
      return listing.judge(key, { status: 'assumed', seen: `it says ${total}, but page 2, ${listing.unrest}`, by })
    switch (totalIs) {
      case 'right':
        if (mayBeLimit(total, unit))
          return listing.judge(key, {
            status: 'assumed',
            seen: `it says ${total}, and none was seen behind ${unit} ${total}; a round number may be a limit of the API`,
            by,
          })
        return listing.judge(key, {
          status: 'proven',
          seen: `it says ${total}: there is a ${unit} ${total}, and none behind it`,
          by,
        })
      case 'small':
        return listing.judge(key, {
          status: 'wrong',
          seen: `it says ${total}, but there are records behind ${unit} ${total}`,
          by,
          write,
        })
      case 'large':
        return listing.judge(key, {
          status: 'wrong',
          seen: `it says ${total}, but there is no ${unit} ${total}`,
          by,
          write,
        })
      case 'open':
        return listing.judge(key, { status: 'assumed', seen: `it says ${total}; where that is was not seen`, by })
    }
  },

  /** Of lists that were followed. `records`: how many were seen. */
  followed(listing: Listing, declared: Declared, records: number): undefined {
    const { first } = listing
    if (!declaresTotal(totalKeys(declared))) return
    const total = judgeTotal.claimed(first, declared)
    const key = keyOf(declared)
    const by = listing.pages
    const write = withoutTotal(listing, declared)
    if (!judgeTotal.isThere(listing, declared) || total === undefined) return
    if (listing.unrest !== undefined)
      return listing.judge(key, { status: 'assumed', seen: `it says ${total}, but ${listing.unrest}`, by })
    if (listing.isWhole && total === records)
      return listing.judge(key, {
        status: 'proven',
        seen: `it says ${total}, and as many records were read to the end`,
        by,
      })
    if (listing.isWhole || total < records)
      return listing.judge(key, {
        status: 'wrong',
        seen: `it says ${total}, but ${count(records, 'record')} came ${listing.isWhole ? 'to the end' : 'so far'}`,
        by,
        write,
      })
    listing.judge(key, {
      status: 'assumed',
      seen: `it says ${total}; ${count(records, 'record')} came, not to the end`,
      by,
    })
  },
}

/** Whether the flag of a page says that it is the last one. */
export function saysLast({ keys }: Declared, { answer }: Sight): boolean {
  const isDone = typeof keys.done_path === 'string'
  const path = isDone ? keys.done_path : keys.has_more_path
  return typeof path === 'string' && flagOf(answer.page.first(path)) === isDone
}

/** The flag that ends the list, held against pages that are there. */
export function judgeFlag(
  listing: Listing,
  declared: Declared,
  {
    page2,
    third,
    beyond,
  }: {
    readonly page2: Sight | undefined
    /** What is behind page 2, if its flag says that it is the last one. */
    readonly third?: SightOutcome | undefined
    readonly beyond: SightOutcome | undefined
  },
): undefined {
  const { keys } = declared
  const isDone = typeof keys.done_path === 'string'
  const path = isDone ? keys.done_path : keys.has_more_path
  if (typeof path !== 'string') return
  const name = isDone ? 'done_path' : 'has_more_path'
  const key = `${declared.path}.${name}`
  const moreAt = ({ answer }: Sight): boolean | undefined => {
    const value = flagOf(answer.page.first(path))
    return value === undefined ? undefined : value !== isDone
  }
  const { first } = listing
  const said = moreAt(first)
  const by = [first, page2, beyond]
  if (said === undefined)
    return listing.judge(key, {
      status: 'wrong',
      seen: 'page 1 has no true or false at this place',
      by: [first],
      write: intoPaginator(listing, declared, { [name]: null }),
    })
  if (page2 === undefined)
    return listing.judge(key, {
      status: 'assumed',
      seen: `page 1 says ${said ? 'that there is more' : 'that it is the last'}, and no other was seen`,
      by,
    })
  if (!said) {
    const write = intoPaginator(listing, declared, { [name]: null, [isDone ? 'has_more_path' : 'done_path']: path })
    return listing.judge(key, {
      status: 'wrong',
      seen: 'page 1 says by it that there is no more, but page 2 has records: it means the opposite',
      by,
      write,
    })
  }
  if (page2 !== undefined && third?.kind === 'page' && third.count > 0 && listing.like(page2, third).shared === 0)
    return listing.judge(key, {
      status: 'wrong',
      seen: 'page 2 says by it that there is no more, but page 3 has records',
      by: [...by, third],
      write: intoPaginator(listing, declared, { [name]: null }),
    })
  const atEnd = beyond?.kind === 'page' ? moreAt(beyond) : undefined
  const lastSeen = listing.isWhole ? listing.pages.at(-1) : undefined
  const atLast = lastSeen === undefined ? atEnd : moreAt(lastSeen)
  if (atLast === false)
    return listing.judge(key, {
      status: 'proven',
      seen: 'it says that there is more on page 1, and that there is not at the end',
      by: [...by, lastSeen],
    })
  if (atLast === true && beyond?.kind === 'page' && beyond.count === 0)
    return listing.judge(key, {
      status: 'wrong',
      seen: 'it says that there is more even behind the end',
      by,
      write: intoPaginator(listing, declared, { [name]: null }),
    })
  listing.judge(key, {
    status: 'assumed',
    seen: 'it says on page 1 that there is more, and there is; the end was not seen',
    by,
  })
}
