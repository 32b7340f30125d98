import type { IncrementalWindow } from '../../model/source.js'
import { count } from '../../model/verdict.js'
import { proveCounted } from './counted.js'
import { judgeCursor, judgeKey, judgeNumbers, judgeSelector, noteLimits, noteOrder } from './facts.js'
import { proveFollowed } from './followed.js'
import { type Declared, following, type Listing, type PagingKeys } from './listing.js'
import { saysMoreThanThis, saysWhole, searched } from './search.js'

/** Decides what the answers of one list can decide about its document. */
export async function proveList(listing: Listing, window: IncrementalWindow | undefined): Promise<undefined> {
  const { first } = listing
  noteLimits(listing)
  if (!judgeSelector(listing)) return
  await provePaging(listing)
  if (listing.pages.length > 1) await lookAgain(listing)
  judgeKey(listing)
  judgeNumbers(listing)
  await judgeCursor(listing, window)
  noteOrder(listing)
  if (first.texts.length < first.count)
    listing.notes.push(`of ${count(first.count, 'record')} of page 1, ${first.texts.length} were compared`)
}

async function provePaging(listing: Listing): Promise<undefined> {
  const { paginator, path } = listing.resource.endpoint
  const key = `${path}.paginator`
  const { first } = listing
  if (first.count > 2 && new Set(first.texts).size === 1)
    return listing.judge(paginator.kind === 'auto' ? key : paginator.path, {
      status: 'assumed',
      seen: `the ${first.count} records of page 1 are all alike, so that pages cannot be compared`,
      by: [first],
    })
  switch (paginator.kind) {
    case 'custom':
      return await proveOwn(listing, paginator.path)
    case 'auto':
      return await proveAbsent(listing, key)
    case 'declared': {
      const declared: Declared = {
        type: paginator.type,
        keys: paginator.config as PagingKeys,
        path: paginator.path,
        isOwn: paginator.path.startsWith(`${path}.`),
      }
      if (paginator.type === 'page_number' || paginator.type === 'offset') return await proveCounted(listing, declared)
      if (paginator.type === 'single_page') return await proveSingle(listing, declared)
      return await proveFollowed(listing, declared)
    }
  }
}

/** A paginator that is code: only its way is seen. */
async function proveOwn(listing: Listing, key: string): Promise<undefined> {
  const { first, probe } = listing
  const next = probe.paginator === undefined ? { end: 'it is none' } : following(probe.paginator, first)
  if (!('request' in next))
    return listing.judge(key, {
      status: 'assumed',
      seen: `page 1 leads to no other (${'end' in next ? next.end : next.error})`,
      by: [first],
    })
  const second = await listing.ask('page 2', next.request)
  const isOther = second.kind === 'page' && second.count > 0 && listing.like(first, second).shared === 0
  if (second.kind === 'page' && isOther) listing.pages.push(second)
  listing.judge(key, {
    status: 'assumed',
    seen: `it is code of the document; page 2 ${isOther ? 'has other records' : 'was not seen to have other records'}`,
    by: [first, second],
  })
}

/** No paginator is written: a run would guess. */
async function proveAbsent(listing: Listing, key: string): Promise<undefined> {
  const { first } = listing
  const found = await searched(listing)
  const by = [first, ...(found?.by ?? [])]
  if (found !== undefined)
    return listing.judge(key, { status: 'assumed', seen: `it is not written; ${found.seen}`, by, write: found.write })
  const whole = saysWhole(first, listing)
  listing.judge(key, { status: 'assumed', seen: `it is not written; ${whole ?? 'no way to page 2 was found'}`, by })
}

/** The document says that there is one page. */
async function proveSingle(listing: Listing, declared: Declared): Promise<undefined> {
  const { first, resource } = listing
  const key = declared.path
  const isOne = resource.endpoint.singleEntity && first.answer.selection.met === 'record'
  if (isOne) return listing.judge(key, { status: 'proven', seen: 'the answer is one object', by: [first] })
  const more = saysMoreThanThis(first, listing)
  const whole = saysWhole(first, listing)
  // Also where it says that it is the whole list: what counts the records of a page may look like it.
  const found = await searched(listing, declared)
  const by = [first, ...(found?.by ?? [])]
  if (found?.write !== undefined)
    return listing.judge(key, { status: 'wrong', seen: `there is another page: ${found.seen}`, by, write: found.write })
  if (more !== undefined)
    return listing.judge(key, { status: 'wrong', seen: `${more}; no way to page 2 was found`, by })
  if (whole !== undefined) {
    listing.isWhole = true
    return listing.judge(key, { status: 'proven', seen: `${whole}, and no other page was found`, by })
  }
  listing.judge(key, {
    status: 'assumed',
    seen: 'nothing speaks of another page, and nothing says that this is the whole list',
    by,
  })
}

/** Whether the list moved while it was read. Everything that compares pages holds only if it did not. */
async function lookAgain(listing: Listing): Promise<undefined> {
  const { first, findings } = listing
  const again = await listing.ask('page 1 again', first.request, 0)
  if (again.kind !== 'page') {
    listing.unrest ??= 'whether the list moved meanwhile was not seen'
  } else {
    const like = listing.like(first, again)
    if (like.isEqual && again.count === first.count) {
      if (listing.unrest === undefined)
        listing.notes.push('page 1, asked again at the end, had the same records: the list did not move')
      return
    }
    listing.unrest ??= like.isReordered
      ? 'page 1 came in another order at the end'
      : 'page 1 had other records at the end: the list moved'
  }
  const { unrest = '' } = listing
  listing.notes.push(unrest)
  for (const [at, finding] of findings.entries()) {
    // One page shows where its records are, whatever moves.
    if (finding.status === 'assumed' || finding.key.endsWith('.data_selector')) continue
    const { write: _write, ...kept } = finding
    findings[at] = { ...kept, status: 'assumed', seen: `${finding.seen}; but ${unrest}` }
  }
}
