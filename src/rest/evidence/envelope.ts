import type { JsonDocument } from '../../json/bytes.js'
import { remembered } from '../../model/runtime/remembered.js'
import type { ApiRequest } from '../api.js'
import type { Selection } from '../list/answer/selector.js'
import { linkTarget } from '../paginators/nextLink.js'
import { wholeNumber } from '../paginators/paginator.js'
import { type AnswerError, errorAmong, errorOf, partOf, type Remark, remarkOf } from './answerError.js'
import { briefValue } from './briefValue.js'
import {
  bareName,
  count,
  type Enters,
  type HintKind,
  hintKind,
  isSureTotal,
  mayCountPage,
  nextHints,
  type PagingHint,
  pagingHints,
  positionAt,
  saidMore,
  saidRest,
} from './pagingHints.js'

/** A number that an answer gives outside its records, and its place. */
export interface Claim {
  /** A JSONPath in the body, or the name of a header. */
  readonly path: string
  readonly value: number
  /** The API counted only so far: there may be more. */
  readonly isLeast?: boolean | undefined
}

/** What an answer says about its list, outside the records. It is read without any configuration. */
export interface Envelope {
  /** The number of records in the whole list, by a name that hardly means anything else. */
  readonly total?: Claim | undefined
  /** A number that counts the whole list, and not a page, is 0. */
  readonly isEmptyList?: boolean | undefined
  /** A number that may count the whole list, or only this page. */
  readonly count?: Claim | undefined
  /** The number of pages. */
  readonly pages?: Claim | undefined
  /** A flag that says whether there is more, such as `has_more` or `done`. */
  readonly more?: { readonly path: string; readonly more: boolean } | undefined
  /** A link to the next page, or a cursor for it. */
  readonly next?: { readonly path: string } | undefined
  /** There is a member for a link or cursor, and it says that there is none. */
  readonly isLast?: boolean | undefined
  /** A member that says that there is more, such as `end: false` or `remaining: 7`. */
  readonly rest?: { readonly path: string } | undefined
  /** A cursor that may belong to this page. */
  readonly position?: { readonly path: string } | undefined
  /** The last page's number, from a link, if it is not this page. */
  readonly lastPage?: Claim | undefined
  /** What says that there is a page before this one. */
  readonly before?: { readonly path: string } | undefined
  /** The page number that the answer states. */
  readonly number?: Claim | undefined
  /** The failure that the answer reports. */
  readonly error?: AnswerError | undefined
  /** The answer's message. */
  readonly remark?: Remark | undefined
  /** The flag by which the answer says that it is incomplete. */
  readonly part?: string | undefined
}

/** What may stand before the name of a header: `x-`, the name of a product, and what the header is about. */
const BEFORE_NAME = /^(?:x-)?(?:(?:amz|ms|wp)-)?(?:pag(?:ination|ing)-)?/

/** A header that says something of the list, by the same names as members of the body. Undefined for all others. */
const headerKind: (name: string) => HintKind | undefined = remembered(name => {
  // A `remaining` counts requests there.
  const kind = hintKind(name.replace(BEFORE_NAME, ''))
  return kind !== undefined && OF_LIST.has(kind) ? kind : undefined
})

const OF_LIST: ReadonlySet<HintKind> = new Set(['total', 'pages', 'next', 'more', 'last'])

/** Headers that may tell something of the list. */
export function isListHeader(name: string): boolean {
  return WRITTEN_HEADERS.has(name) || headerKind(name) !== undefined
}

/** Headers with a syntax of their own. */
const WRITTEN_HEADERS: ReadonlySet<string> = new Set(['link', 'content-range', 'x-pagination'])

function headerHints(headers: Readonly<Record<string, string>>): PagingHint[] {
  return Object.entries(headers).flatMap(([name, text]): PagingHint[] => {
    const kind = WRITTEN_HEADERS.has(name) ? undefined : headerKind(name)
    return kind === undefined ? [] : [{ kind, key: name, above: [], path: name, value: text.trim() }]
  })
}

/** Names of objects that describe the list, without case and signs. */
const ABOUT_LIST =
  /^(?:(?:list|page|paging|query|records?|request|response|results?|resultset|search)?(?:info(?:rmation)?|meta(?:data|info)?|stats|statistics|summary|header)|pag(?:ing|ination|inator|er|eable|es?)|cursors?|resultset|view|nav(?:igation)?|hits|links?|next|response)$/

/**
 * What an answer says outside its records. Only objects around the records are searched, never the records. If the body
 * is itself the record, or a list, only its headers count. Numbers that cannot be totals are ignored: negative ones, 0,
 * and those smaller than the page's number of records. So is the sync token at `tokenPath`, unless its name speaks of
 * pages.
 */
export function envelopeOf(
  headers: Readonly<Record<string, string>>,
  document: JsonDocument | undefined,
  selection: Selection,
  request: ApiRequest,
  tokenPath?: string,
): Envelope {
  const inHeaders = headerHints(headers)
  const isRecord =
    document !== undefined && selection.met === 'record' && selection.within?.start === document.root.start
  const found = isRecord ? [] : pagingHints(document, entersEnvelope(selection))
  const hints = found.filter(({ path, key }) => path !== tokenPath || /page/i.test(key))
  const least = Math.max(1, selection.count)
  const isTotal = (hint: PagingHint): boolean =>
    isSureTotal(hint) && !(mayCountPage(hint.key) && wholeNumber(hint.value) === selection.count)
  const next = nextAt(headers, inHeaders, hints)
  return {
    total:
      claim(inHeaders, 'total', least) ??
      rangeClaim(headers, least) ??
      paginationClaim(headers, /"total_?(?:count|items|records|results)"\s*:\s*"?(\d+)/i, least) ??
      claim(hints.filter(isTotal), 'total', least),
    isEmptyList: haveTotalOfNone(inHeaders) || haveTotalOfNone(hints),
    count: claim(
      hints.filter(hint => !isTotal(hint)),
      'total',
      least,
    ),
    pages:
      claim(inHeaders, 'pages', 1) ??
      paginationClaim(headers, /"(?:total_?pages|page_?count)"\s*:\s*"?(\d+)/i, 1) ??
      claim(hints, 'pages', 1),
    more: saidMore([...hints, ...inHeaders]),
    next,
    isLast: next === undefined && hints.some(({ kind, value }) => kind === 'next' && value === null),
    rest: at(saidRest(hints)),
    position: at(positionAt(hints)),
    lastPage: lastPage(headers, hints, request),
    before: isRecord || document === undefined ? undefined : pageBefore(headers, document, request),
    number: claim(hints, 'page', 0),
    ...(document !== undefined && !isRecord && { remark: remarkOf(document), part: partOf(document) }),
    error:
      document === undefined || (isRecord && selection.isGuess !== true)
        ? undefined
        : (errorOf(document, isRecord) ?? errorAmong(selection)),
  }
}

/** Whether headers say that the list has no records. */
export function saysEmpty(headers: Readonly<Record<string, string>>): boolean {
  return haveTotalOfNone(headerHints(headers))
}

function haveTotalOfNone(hints: readonly PagingHint[]): boolean {
  return hints.some(hint => isTotalOfAll(hint) && wholeNumber(hint.value) === 0)
}

function isTotalOfAll(hint: PagingHint): boolean {
  return isSureTotal(hint) && !mayCountPage(hint.key)
}

/** Objects to search: by name, or because the records are inside them. The records are not searched. */
function entersEnvelope({ met, within }: Selection): Enters {
  return (span, key) => {
    const isAround = within !== undefined && within.start >= span.start && within.end <= span.end
    if (!isAround) return ABOUT_LIST.test(bareName(key))
    return met === 'list' || (met === 'record' && within.start !== span.start)
  }
}

function claim(hints: readonly PagingHint[], kind: 'total' | 'pages' | 'page', least: number): Claim | undefined {
  const found = count(hints, kind, least)
  return found === undefined ? undefined : { path: found.path, value: found.number, isLeast: found.isLeast }
}

/** As in `Content-Range: items 0-24/319`, or without the unit. Bytes are no records. */
function rangeClaim(headers: Readonly<Record<string, string>>, least: number): Claim | undefined {
  const total = /^\s*(?:(?!bytes\b)\w+[\s=]+)?[\d*-]+\/(\d+)\s*$/i.exec(headers['content-range'] ?? '')?.[1]
  return total === undefined || Number(total) < least ? undefined : { path: 'content-range', value: Number(total) }
}

function at(path: string | undefined): { readonly path: string } | undefined {
  return path === undefined ? undefined : { path }
}

/** From the Link header, or from a link in the body. A `last` link alone is enough. */
function lastPage(
  headers: Readonly<Record<string, string>>,
  hints: readonly PagingHint[],
  request: ApiRequest,
): Claim | undefined {
  const inBody = hints.find(({ kind, value }) => kind === 'last' && typeof value === 'string')
  const link = linkTarget(headers.link, 'last') ?? (inBody?.value as string | undefined)
  if (link === undefined || !link.includes('?')) return undefined
  for (const [name, text] of new URLSearchParams(link.slice(link.indexOf('?')))) {
    const value = wholeNumber(text)
    if (value === undefined || !PAGE_PARAM.test(name)) continue
    const own = asked(request, name)
    return own !== undefined && own >= value ? undefined : { path: inBody?.path ?? 'link', value }
  }
  return undefined
}

/** A link to a page with a smaller number, or a flag. Cursors have links backwards on their first page too. */
function pageBefore(
  headers: Readonly<Record<string, string>>,
  document: JsonDocument,
  request: ApiRequest,
): { readonly path: string } | undefined {
  if (isEarlier(linkTarget(headers.link, 'prev') ?? linkTarget(headers.link, 'previous'), request))
    return { path: 'link' }
  if (document.kind(document.root) !== 'object') return undefined
  for (const [key, span] of document.members(document.root)) {
    const name = bareName(key)
    if (!BEFORE.test(name)) continue
    const value = briefValue(document, span)
    const says = name === 'first' || name === 'isfirst' ? value === false : value === true
    if (says || (typeof value === 'string' && isEarlier(value, request))) return { path: key }
  }
  return undefined
}

const BEFORE = /^(?:(?:is)?first|has(?:prev|previous)(?:page)?|prev(?:ious)?(?:page)?(?:link|ur[il])?)$/

function isEarlier(link: string | undefined, request: ApiRequest): boolean {
  if (link === undefined || !link.includes('?')) return false
  return [...new URLSearchParams(link.slice(link.indexOf('?')))].some(([name, text]) => {
    const [value, own] = [wholeNumber(text), asked(request, name)]
    return PAGE_PARAM.test(name) && value !== undefined && own !== undefined && value < own
  })
}

const PAGE_PARAM = /^_?(?:p|page|pg|paged|page_?(?:no|num|number|index)|page\[number\])$/i

function asked({ url, params }: ApiRequest, name: string): number | undefined {
  const sent = params.findLast(([key]) => key === name)?.[1]
  return wholeNumber(sent ?? new URL(url).searchParams.get(name) ?? undefined)
}

/** Many APIs write their paging data as JSON into one header. */
function paginationClaim(headers: Readonly<Record<string, string>>, number: RegExp, least: number): Claim | undefined {
  const value = wholeNumber(number.exec(headers['x-pagination'] ?? '')?.[1] ?? null)
  return value !== undefined && value >= least ? { path: 'x-pagination', value } : undefined
}

const LEADS_NOWHERE = /^(?:0|false|nil|none|null|undefined)?$/i

function nextAt(
  headers: Readonly<Record<string, string>>,
  inHeaders: readonly PagingHint[],
  hints: readonly PagingHint[],
): Envelope['next'] {
  const isLast = saidMore(hints)?.more === false
  // In Relay it is the place of the last record, even on the last page.
  const isOfRecord = (path: string): boolean => isLast && /end_?cursor\W*$/i.test(path)
  const leading = nextHints(hints).filter(({ leads, value, path }) => leads && value !== true && !isOfRecord(path))
  const hint = leading.find(({ kind }) => kind === 'link') ?? leading[0]
  if (hint !== undefined) return { path: hint.path }
  if (linkTarget(headers.link, 'next') !== undefined) return { path: 'link' }
  return at(inHeaders.find(({ kind, value }) => kind === 'next' && !LEADS_NOWHERE.test(String(value)))?.path)
}
