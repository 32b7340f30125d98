import type { Answer } from '../rest/listServer.js'

/** One record of a simulated list. */
interface Thing {
  readonly [key: string]: unknown
  readonly id: number | string
  readonly name: string
  readonly group: number
  readonly updated: string
}

/** What a simulated API does. Whatever is left out is done as usual. */
export interface Traits {
  /** Records of the list. Default 25. */
  readonly records?: number
  /** Records of a page, and at most so many. Default 5. */
  readonly size?: number
  /** How its pages are asked for. */
  readonly way:
    | 'page0'
    | 'page1'
    | 'offset'
    | 'offset1'
    | 'offset_of_pages'
    | 'cursor'
    | 'cursor_in_header'
    | 'next_url'
    | 'link'
    | 'keyset'
    | 'whole'
  /** Names of its parameters. */
  readonly names?: { readonly position?: string; readonly size?: string }
  /** The size that the client asks for is taken up to `size`, ignored, or taken always. Default: up to. */
  readonly sizes?: 'up_to' | 'ignored' | 'always'
  readonly total?: 'none' | 'records' | 'pages' | 'too_small' | 'too_large' | 'moving'
  readonly flag?: 'none' | 'has_more' | 'last' | 'always'
  /** Behind the end. Default: an empty page. */
  readonly beyond?: 'empty' | '404' | '400' | 'last_again' | 'first_again'
  /** Pages that come whatever is asked for. */
  readonly ignores?: 'position' | 'since'
  /** The record with the position that is sent comes once more. */
  readonly includes?: boolean
  /** Records with the `since` that is sent come, too. Default true. */
  readonly sinceIncludes?: boolean
  readonly moves?: 'grows' | 'shuffles' | 'random'
  readonly ids?: 'unique' | 'repeat' | 'missing' | 'by_page' | 'mixed' | 'nested'
  /** Statuses by the number of the request. */
  readonly fails?: (request: number, position: boolean) => number | undefined
  readonly rateLimit?: boolean
  readonly wraps?: boolean
  /** Where records are. Default `items`. */
  readonly place?: 'items' | 'data.items' | '$'
}

/** A simulated API with these traits. */
export function provenApi(traits: Traits): (url: URL) => Answer {
  const { records = 25, size = 5, way, names, sizes = 'up_to', total = 'none', flag = 'none' } = traits
  const { beyond = 'empty', moves, place = 'items' } = traits
  let requests = 0
  let grown = 0
  return url => {
    requests += 1
    const query = url.searchParams
    const positionName = names?.position ?? POSITIONS[way]
    const sizeName = names?.size ?? (way.startsWith('page') ? 'per_page' : 'limit')
    const hasPosition = query.has(positionName)
    const status = traits.fails?.(requests, hasPosition)
    if (status !== undefined)
      return { status, json: { error: 'no' }, headers: status === 429 ? { 'retry-after': '1' } : {} }
    if (moves === 'grows') grown += 1
    let list = all(records, grown, traits.ids)
    if (moves === 'shuffles') list = list.map((_, at) => list[(at * 7 + requests) % list.length] as Thing)
    if (moves === 'random') list = list.filter((_, at) => (at * 31 + requests * 17) % 3 !== 0)
    const since = query.get('since')
    if (since !== null && traits.ignores !== 'since')
      list = list.filter(({ updated }) => (traits.sinceIncludes === false ? updated > since : updated >= since))
    const asked = Number(query.get(sizeName) ?? size)
    const most = sizes === 'ignored' ? size : sizes === 'always' ? asked : Math.min(asked, size)
    const position = traits.ignores === 'position' ? null : query.get(positionName)
    let start = startOf(way, position, most, list, traits.includes === true)
    if (way === 'whole') start = 0
    if (beyond === 'last_again' && start >= list.length) start = Math.floor((list.length - 1) / most) * most
    if ((beyond === 'first_again' || traits.wraps === true) && start >= list.length)
      start = traits.wraps === true ? start % list.length : 0
    if (start >= list.length && beyond === '404') return { status: 404, json: { error: 'no such page' } }
    if (start >= list.length && beyond === '400') return { status: 400, json: { error: 'out of range' } }
    if (start < 0) return { status: 400, json: { error: 'before the first page' } }
    const page = way === 'whole' ? list : list.slice(start, start + most)
    const end = start + page.length
    const shown = traits.ids === 'by_page' ? page.map((thing, at) => ({ ...thing, id: at + 1 })) : page
    const hasMore = end < list.length
    const body: Record<string, unknown> = {}
    const count = TOTALS[total]?.(list.length, most, requests)
    if (count !== undefined) body.total = count
    if (flag === 'has_more') body.has_more = hasMore
    if (flag === 'last') body.last = !hasMore
    if (flag === 'always') body.has_more = true
    const headers: Record<string, string> = {}
    if (traits.rateLimit === true) headers['x-ratelimit-remaining'] = '500'
    const to = (change: string): string => {
      const next = new URL(url)
      next.searchParams.set('cursor', change)
      return next.href
    }
    if (way === 'cursor') body.next = hasMore ? `c${end}` : null
    if (way === 'cursor_in_header') headers['x-next-cursor'] = hasMore ? `c${end}` : ''
    if (way === 'next_url') body.next = hasMore ? to(`c${end}`) : null
    if (way === 'link' && hasMore) headers.link = `<${to(`c${end}`)}>; rel="next"`
    if (place === '$') return { json: shown, headers }
    if (place === 'data.items') return { json: { ...body, data: { items: shown } }, headers }
    return { json: { ...body, items: shown }, headers }
  }
}

const POSITIONS: Readonly<Record<Traits['way'], string>> = {
  page0: 'page',
  page1: 'page',
  offset: 'offset',
  offset1: 'offset',
  offset_of_pages: 'offset',
  cursor: 'cursor',
  cursor_in_header: 'cursor',
  next_url: 'cursor',
  link: 'cursor',
  keyset: 'after',
  whole: 'page',
}

const TOTALS: Readonly<Record<string, (records: number, size: number, requests: number) => number>> = {
  records: records => records,
  pages: (records, size) => Math.ceil(records / size),
  too_small: records => records - 8,
  too_large: records => records + 40,
  moving: (records, _size, requests) => records + requests,
}

function startOf(
  way: Traits['way'],
  position: string | null,
  size: number,
  list: readonly Thing[],
  includes: boolean,
): number {
  switch (way) {
    case 'page0':
      return Number(position ?? 0) * size
    case 'page1':
      return (Math.max(1, Number(position ?? 1)) - 1) * size
    case 'offset':
      return Number(position ?? 0)
    case 'offset1':
      return Math.max(1, Number(position ?? 1)) - 1
    case 'offset_of_pages':
      return Number(position ?? 0) * size
    case 'keyset': {
      if (position === null) return 0
      const at = list.findIndex(({ id }) => String(id) === position)
      return at < 0 ? 0 : includes ? at : at + 1
    }
    default:
      return position === null ? 0 : Math.max(0, Number(position.slice(1)) - (includes ? 1 : 0))
  }
}

function all(records: number, grown: number, ids: Traits['ids'] = 'unique'): Thing[] {
  return Array.from({ length: records + grown }, (_, index) => {
    const at = index - grown
    const id = 1000 + at
    const made: Record<string, unknown> = {
      id: ids === 'repeat' ? 1000 + (at % 7) : ids === 'mixed' && at % 2 === 1 ? String(id) : id,
      name: `Thing number ${(at * 13) % 101}`,
      group: at % 3,
      size: at * at,
      updated: new Date(Date.UTC(2026, 0, 1, 0, at)).toISOString(),
    }
    if (ids === 'missing' && at % 4 === 3) delete made.id
    if (ids === 'nested') {
      made.meta = { id }
      delete made.id
    }
    return made as unknown as Thing
  })
}
