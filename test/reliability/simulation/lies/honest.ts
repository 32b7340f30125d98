import type { TransportResponse } from '../../../../src/rest/api.js'
import type { Thing } from './truth.js'

/** How an API gives a list, and what it says about it. */
export interface Style {
  readonly way: (typeof ways)[number]
  /** Records a page; an offset API gives as many as it is asked for. */
  readonly size: number
  /** Number of the first page. */
  readonly base: 0 | 1
  /** Where the request says which page: in its query, or in its JSON body. */
  readonly asks: 'query' | 'body'
  /** The body is the list, without an envelope. */
  readonly bare: boolean
  /** Where it tells the number of records, the number of pages, whether there is more, and a link to more; if it does. */
  readonly total?: string | undefined
  readonly pages?: string | undefined
  readonly more?: string | undefined
  readonly link?: string | undefined
  /** It tells the number of the page. */
  readonly numbers: boolean
  /** On the last page the next link or cursor is null, or not there, or leads to an empty page. */
  readonly end: 'null' | 'absent' | 'empty page'
  /** A keyset's field: each record has its own value, or two records may share one. */
  readonly key: 'id' | 'pair'
  /** A keyset gives the records of the value that is sent once more. */
  readonly isInclusive: boolean
  /** The newest records come first. */
  readonly isDescending: boolean
  /** The header of a link: in the form of `Link`, or the link alone. */
  readonly header: 'Link' | 'Next-Page'
  /** The last page has a token, which gives what has changed since. */
  readonly syncs: boolean
  /** Members that have errors when there are some. */
  readonly noErrors?: Readonly<Record<string, unknown>> | undefined
}

export const ways = [
  'offset',
  'page_number',
  'cursor',
  'json_link',
  'header_link',
  'header_cursor',
  'keyset',
  'single_page',
] as const

/** What a request asks for. */
export interface Asked {
  readonly start: number
  readonly size: number
  /** The value that a keyset begins behind. */
  readonly after?: number | undefined
  /** The token of a run before. */
  readonly since?: number | undefined
}

/** What one answer says. Absent: it says nothing about that. */
export interface Told {
  readonly status: number
  readonly list: readonly Thing[] | null | undefined
  readonly total?: number | undefined
  readonly pages?: number | undefined
  readonly more?: boolean | string | null | undefined
  readonly number?: number | undefined
  /** Where the list goes on. */
  readonly next?: string | null | undefined
  /** The token for the next run. */
  readonly sync?: number | string | null | undefined
  readonly error?: Readonly<Record<string, unknown>> | undefined
  /** How the Link header is spelled. */
  readonly spelling?: 'cut' | 'single quotes' | undefined
  /** Something that is another one each time: in the envelope, in each record. */
  readonly changing?: 'envelope' | 'records' | undefined
  /** One of its records, by place, has a text where others have a number. */
  readonly odd?: number | undefined
  /** The answer has no length, and ends when the connection does. */
  readonly isCut?: boolean | undefined
}

/** A request as the API reads it. */
export function asked(style: Style, url: URL, body: string | undefined): Asked {
  const sent: Readonly<Record<string, unknown>> =
    style.asks === 'body' ? JSON.parse(body ?? '{}') : Object.fromEntries(url.searchParams)
  const given = (name: string): number | undefined => {
    const digits = /\d+/.exec(String(sent[name]))?.[0]
    return digits === undefined ? undefined : Number(digits)
  }
  const whole = (name: string, standard: number): number => given(name) ?? standard
  return { ...paged(style, given, whole), since: style.syncs ? tokenOf(url) : undefined }
}

function tokenOf(url: URL): number | undefined {
  const token = url.searchParams.get('since')
  return token === null ? undefined : Number(token.slice(1))
}

function paged(
  style: Style,
  given: (name: string) => number | undefined,
  whole: (name: string, standard: number) => number,
): Asked {
  switch (style.way) {
    case 'keyset':
      return { start: 0, size: whole('limit', style.size), after: given('after') }
    case 'offset':
      return { start: whole('offset', 0), size: whole('limit', style.size) }
    case 'page_number':
      return { start: Math.max(0, whole('page', style.base) - style.base) * style.size, size: style.size }
    default:
      return { start: whole('after', 0), size: style.size }
  }
}

/** The field of a record that a keyset goes by. */
export function keyOf({ key }: Style, { id }: Thing): number {
  return key === 'id' ? id : Math.floor(id / 2)
}

/** The list as the API has it: what has changed since the token, in the order of its keyset, if that is how it is paged. */
export function listed(style: Style, list: readonly Thing[], { since }: Asked): readonly Thing[] {
  const changed = since === undefined ? list : list.filter(({ rev }) => rev > since)
  const inOrder = style.way === 'keyset' ? changed.toSorted((one, other) => one.id - other.id) : changed
  return style.isDescending ? inOrder.toReversed() : inOrder
}

/** What is asked for, by its place in the list. */
export function placed(style: Style, list: readonly Thing[], asked: Asked): Asked {
  const { after } = asked
  if (style.way !== 'keyset' || after === undefined) return asked
  const isBefore = (thing: Thing): boolean => {
    const key = keyOf(style, thing)
    return (key === after && !style.isInclusive) || (style.isDescending ? key > after : key < after)
  }
  return { ...asked, start: list.filter(isBefore).length }
}

/** The answer of an API that tells the truth about `list`; a record that it keeps for itself is undefined. */
export function honest(style: Style, list: readonly (Thing | undefined)[], { start, size }: Asked): Told {
  const isMore = start + size < list.length
  const leadsOn = style.end === 'empty page' && linked.has(style.way) && start < list.length
  const goesOn = style.link !== undefined || linked.has(style.way)
  return {
    status: 200,
    list: list.slice(start, start + size).filter(thing => thing !== undefined),
    ...(style.total !== undefined && { total: list.length }),
    ...(style.pages !== undefined && { pages: Math.ceil(list.length / style.size) }),
    ...(style.more !== undefined && { more: isMore }),
    ...(style.numbers && { number: style.base + Math.floor(start / style.size) }),
    ...(style.syncs && !isMore && { sync: 'now' }),
    ...(goesOn && (isMore || leadsOn ? { next: `c${start + size}` } : saysNull(style) && { next: null })),
  }
}

const linked: ReadonlySet<Style['way']> = new Set(['cursor', 'json_link', 'header_link', 'header_cursor'])

/** A header cannot be null. */
function saysNull({ way, end }: Style): boolean {
  return end !== 'absent' && way !== 'header_link' && way !== 'header_cursor'
}

/** Puts an answer on the wire. */
export function written(style: Style, told: Told, url: URL, nonce: number): TransportResponse {
  const headers: Record<string, string> = { 'content-type': 'application/json' }
  const body: Record<string, unknown> = { ...style.noErrors }
  const say = (place: string | undefined, value: unknown): void => {
    if (place === undefined || value === undefined) return
    if (place.startsWith('X-')) headers[place.toLowerCase()] = String(value)
    else put(body, place, value)
  }
  const list = told.list?.map((thing, at) => ({
    ...thing,
    ...(style.way === 'keyset' && style.key === 'pair' && { pair: keyOf(style, thing) }),
    ...(told.odd === at && { rev: 'odd' }),
    ...(told.changing === 'records' && { seen: nonce }),
  }))
  if (told.changing === 'envelope') body.query_ms = nonce
  say('records', told.list === null ? null : list)
  say(style.total, told.total)
  say(style.pages, told.pages)
  say(style.more, style.more === 'done' && typeof told.more === 'boolean' ? !told.more : told.more)
  if (told.number !== undefined) body.page = told.number
  if (told.sync !== undefined) body.sync = told.sync
  const { next } = told
  const href = next === null || next === undefined ? next : linkTo(url, next)
  if (style.way === 'cursor') say('next', next)
  else if (style.way === 'json_link') say('next', href)
  else if (style.way === 'header_cursor') say('X-Next', next ?? undefined)
  else if (style.way === 'header_link' && style.header === 'Next-Page') say('X-Link', href ?? undefined)
  else if (style.way === 'header_link') say('X-Link', href == null ? undefined : linkHeader(href, told.spelling))
  else say(style.link, href)
  if (headers['x-link'] !== undefined) {
    headers[style.header.toLowerCase()] = headers['x-link']
    delete headers['x-link']
  }
  Object.assign(body, told.error)
  const text = JSON.stringify(style.bare && told.error === undefined && told.list !== undefined ? (list ?? null) : body)
  return {
    status: told.status,
    headers,
    body: bytes(Buffer.from(text)),
    ...(told.isCut && { endsWithConnection: true }),
  }
}

function linkTo(url: URL, next: string): string {
  const link = new URL(url)
  link.searchParams.set('after', next)
  return link.href
}

function linkHeader(href: string, spelling: Told['spelling']): string {
  if (spelling === 'cut') return `<${href.slice(0, -2)}`
  return spelling === 'single quotes' ? `<${href}>; rel='next'` : `<${href}>; rel="next"`
}

/** Dots lead into objects, except in names that begin with `@`. */
function put(body: Record<string, unknown>, place: string, value: unknown): void {
  const [outer, inner] = place.startsWith('@') ? [place] : place.split('.')
  if (outer === undefined) return
  body[outer] = inner === undefined ? value : { ...(body[outer] as object | undefined), [inner]: value }
}

async function* bytes(content: Uint8Array): AsyncGenerator<Uint8Array> {
  yield content
}
