import type { JsonDocument, Span } from '../../json/bytes.js'
import type { JsonValue } from '../../json/value.js'
import { isJsonObject } from '../../json/value.js'
import type { ListEnd } from '../../model/source.js'
import { count as amountOf } from '../../model/verdict.js'
import type { ApiPage, ApiRequest, Paginator } from '../api.js'
import { because } from '../evidence/evidence.js'
import { barePath } from '../evidence/listEvidence.js'
import {
  bareName,
  count,
  type NextHint,
  nextHints,
  type PagingHint,
  pagingHints,
  saidMore,
  surelyTotal,
  wholeTotal,
} from '../evidence/pagingHints.js'
import { cursor } from '../paginators/cursor.js'
import { headerLink, jsonLink, linkTarget } from '../paginators/nextLink.js'
import { pageNumber } from '../paginators/pageNumber.js'
import { proven, suspect, wholeNumber } from '../paginators/paginator.js'
import { type NumberPlace, read, target } from '../paginators/range.js'
import { pathOfKeys } from './answer/selector.js'

export interface DetectedPaginator {
  readonly paginator: Paginator
  /** As it would be written in the configuration. */
  readonly guess: string
  readonly why: string
  readonly kind: 'header_link' | 'json_link' | 'cursor' | 'page_number' | 'single_page'
  /** Where in the body it looks. */
  readonly paths: readonly string[]
}

/**
 * Guesses the paginator from the first page: a Link header, a link in the body, a number of pages, a cursor, else one
 * page. A wrong guess fails at the first request that repeats an earlier one.
 */
export function detectPaginator(page: ApiPage, document: JsonDocument | undefined): DetectedPaginator {
  const hints = pagingHints(document)
  return leading(page, hints) ?? ended(page, hints) ?? onePage(page, hints)
}

/** How the list ends instead, if a guessed paginator ends it but this page shows another way to go on. */
export function otherWay(
  answer: ApiPage,
  document: JsonDocument | undefined,
  guessed: DetectedPaginator,
): ListEnd | undefined {
  const { kind, paths } = guessed
  const { guess } = guessed
  const hints = pagingHints(document)
  if (kind !== 'header_link' && linkTarget(answer.headers.link, 'next') !== undefined) {
    return because('guess_missed_more', guess, 'its last page has a Link header with rel="next"')
  }
  const next = nextHints(hints).find(({ leads, path }) => leads && !paths.includes(path))
  if (next?.kind === 'link') return because('guess_missed_more', guess, `its last page has a link at ${next.path}`)
  const said = saidMore(hints)
  if (said?.more === true) return because('guess_missed_more', guess, `"${said.path}" says there is more`)
  if (next !== undefined) return because('guess_in_doubt', guess, `its last page has a value at ${next.path}`)
  const [pages, page] = [count(hints, 'pages', 1), count(hints, 'page', 0)]
  if (kind === 'page_number' || pages === undefined || page === undefined || page.number >= pages.number) {
    return undefined
  }
  return because('guess_in_doubt', guess, `its last page is, by its own number, page ${page.number} of ${pages.number}`)
}

/** A paginator for the next page that the answer leads to. */
function leading(page: ApiPage, hints: readonly PagingHint[]): DetectedPaginator | undefined {
  if (linkTarget(page.headers.link, 'next') !== undefined) {
    const paginator = headerLink.create(headerLink.schema.parse({ type: 'header_link', links_next_key: 'next' }))
    return { paginator, guess: 'header_link', kind: 'header_link', paths: [], why: 'the Link header has rel="next"' }
  }
  const next = nextHints(hints).filter(({ leads }) => leads)
  const link = next.find(({ kind }) => kind === 'link')
  if (link !== undefined) return followedLink(link)
  const pages = countedPages(page, hints)
  if (pages !== undefined) return pages
  const position = next.find(
    ({ path }) => !path.endsWith('endCursor') || bodyPlace(page.request, ['after']) !== undefined,
  )
  return position === undefined ? undefined : followedCursor(page, position)
}

/** A link or cursor that is present but empty: the list ends with this page. */
function ended(page: ApiPage, hints: readonly PagingHint[]): DetectedPaginator | undefined {
  const [end] = nextHints(hints)
  if (end === undefined || end.leads || contradiction(page, hints) !== undefined) return undefined
  return end.kind === 'link' ? followedLink(end) : followedCursor(page, end)
}

function followedLink({ path }: NextHint): DetectedPaginator {
  const paginator = jsonLink.create(jsonLink.schema.parse({ type: 'json_link', next_url_path: path }))
  const guess = `json_link, next_url_path: ${path}`
  return { paginator, guess, kind: 'json_link', paths: [path], why: `the body has a link at ${path}` }
}

function followedCursor({ request }: ApiPage, { path, param, morePath }: NextHint): DetectedPaginator {
  const place = placeOf(request, [param])
  const paginator = cursor.create({
    type: 'cursor',
    cursor_path: path,
    stop_after_empty_page: false,
    stop_when_missing: false,
    ...(morePath !== undefined && { has_more_path: morePath }),
    ...keys('cursor', place),
  })
  const guess = `cursor, cursor_path: ${path}${placeText('cursor', place, 'cursor')}${morePath === undefined ? '' : `, has_more_path: ${morePath}`}`
  const paths = morePath === undefined ? [path] : [path, morePath]
  return { paginator, guess, kind: 'cursor', paths, why: `the body has a value at ${path}` }
}

function onePage(page: ApiPage, hints: readonly PagingHint[]): DetectedPaginator {
  const end = saidEnd(page, hints)
  return {
    paginator: { next: () => end },
    guess: 'single_page',
    kind: 'single_page',
    paths: [],
    why: 'the answer tells of no other page',
  }
}

/** A guess proves nothing: a list may have more records than the answer mentions. */
function saidEnd(page: ApiPage, hints: readonly PagingHint[]): ListEnd {
  const contradicted = contradiction(page, hints)
  if (contradicted !== undefined)
    return because(contradicted.isSure ? 'no_way_on' : 'perhaps_no_way_on', contradicted.what)
  if (page.records === 0) return proven('the list is empty')
  const said = saidMore(hints)
  if (said?.more === false) return proven(`"${said.path}" says there is no more`)
  const total = wholeTotal(hints, page.records)
  if (total !== undefined) return proven(`"${total.path}" counts as many records as came`)
  return because('no_paginator')
}

/** What the first page says that cannot be true if it is the only page. */
function contradiction(
  { records }: ApiPage,
  hints: readonly PagingHint[],
): { readonly what: string; readonly isSure: boolean } | undefined {
  const said = saidMore(hints)
  if (said?.more === true) return { what: `"${said.path}" says there is more`, isSure: true }
  const total = count(hints, 'total', records + 1)
  if (total !== undefined) {
    const isSure = records > 0 && surelyTotal(hints, total.number) !== undefined
    return { what: `"${total.path}" counts ${amountOf(total.number, 'record')}`, isSure }
  }
  const pages = count(hints, 'pages', 2)
  return pages === undefined ? undefined : { what: `"${pages.path}" counts ${pages.number} pages`, isSure: false }
}

/** The number of the first page comes from the request, or else from the answer. Without either it is 0, as in dlt. */
function countedPages(page: ApiPage, hints: readonly PagingHint[]): DetectedPaginator | undefined {
  const total = count(hints, 'pages', 1)
  if (total === undefined) return undefined
  const siblings = hints.filter(({ above }) => above.join('\0') === total.above.join('\0'))
  const own = count(siblings, 'page', 0) ?? count(hints, 'page', 0)
  const place = placeOf(page.request, ['page', 'pageNumber', 'pageNo', 'pageIndex', 'p'])
  const first = read(page.request, place) ?? own?.number ?? 0
  // The base only decides at which page number the total is reached. It is 0 or 1, whatever the first page was.
  const base = first === 0 || own?.number === 0 ? 0 : 1
  const paginator = pageNumber.create({
    type: 'page_number',
    base_page: base,
    page: first,
    total_path: total.path,
    stop_after_empty_page: true,
    ...keys('page', place),
  })
  const shift = own === undefined ? 0 : own.number - first
  return {
    paginator: own === undefined ? paginator : checked(paginator, place, own.path, shift),
    kind: 'page_number',
    paths: [total.path],
    guess: `page_number, base_page: ${base}, total_path: ${total.path}${placeText('page', place, 'page')}`,
    why: `the body has a number of pages at ${total.path}${own === undefined ? '' : ` and is page ${own.number}`}`,
  }
}

/** Doubts an answer whose own page number is not the one that was requested. */
function checked(paginator: Paginator, place: NumberPlace, path: string, shift: number): Paginator {
  return {
    ...paginator,
    doubt(page, previous) {
      const asked = read(page.request, place)
      const own = wholeNumber(page.first(path))
      if (asked === undefined || own === undefined || own === asked + shift) return paginator.doubt?.(page, previous)
      return suspect(`page ${asked + shift} was asked for, but the answer says at ${path} that it is page ${own}`)
    },
  }
}

/** The place of one of these parameters in the request's query or body. If it has none, the usual place of the first. */
function placeOf(request: ApiRequest, names: readonly string[]): NumberPlace {
  const [first = ''] = names
  const sent = [...request.params.map(([name]) => name), ...queryNames(request.url)]
  const inQuery = sent.find(name => names.some(known => bareName(known) === bareName(name)))
  if (inQuery !== undefined) return target(inQuery, undefined, first)
  const inBody = bodyPlace(request, names)
  if (inBody !== undefined) return target(undefined, inBody, first)
  const { method, body } = request
  const isAskedByBody =
    method !== 'GET' && (body?.kind === 'form' || (body?.kind === 'json' && isJsonObject(body.value)))
  return isAskedByBody ? target(undefined, first, first) : target(first, undefined, first)
}

function queryNames(url: string): readonly string[] {
  return url.includes('?') ? [...new URL(url).searchParams.keys()] : []
}

/** The dot path of the first member with one of these names, or the name of a form field. */
function bodyPlace({ body }: ApiRequest, names: readonly string[]): string | undefined {
  const wanted = new Set(names.map(bareName))
  if (body?.kind === 'form') return body.pairs.find(([name]) => wanted.has(bareName(name)))?.[0]
  return body?.kind === 'json' ? memberPath(body.value, wanted) : undefined
}

function memberPath(value: JsonValue, wanted: ReadonlySet<string>): string | undefined {
  if (!isJsonObject(value)) return undefined
  const members = Object.entries(value).filter(([key]) => !key.includes('.'))
  for (const [key, inner] of members) {
    if (wanted.has(bareName(key)) && (inner === null || typeof inner !== 'object')) return key
  }
  for (const [key, inner] of members) {
    const path = inner === undefined ? undefined : memberPath(inner, wanted)
    if (path !== undefined) return `${key}.${path}`
  }
  return undefined
}

/** The place, as configuration keys of a paginator. */
function keys(what: 'cursor' | 'page', place: NumberPlace): Record<string, string> {
  return 'param' in place ? { [`${what}_param`]: place.param } : { [`${what}_body_path`]: place.bodyPath }
}

function placeText(what: 'cursor' | 'page', place: NumberPlace, standard: string): string {
  if ('bodyPath' in place) return `, ${what}_body_path: ${place.bodyPath}`
  return place.param === standard ? '' : `, ${what}_param: ${place.param}`
}

/** A non-empty place in the envelope whose last key is the last key of one of these paths. */
export function elsewhere(document: JsonDocument, paths: readonly string[]): string | undefined {
  const bare = (key: string): string => key.toLowerCase().replace(/[-_@$. ]/g, '')
  const wanted = new Set(paths.map(path => bare(barePath(path).split('.').at(-1) ?? '')))
  const search = (object: Span, keys: readonly string[]): string | undefined => {
    for (const [key, span] of document.members(object)) {
      const kind = document.kind(span)
      const isFilled = (kind === 'string' && span.end - span.start > 2) || kind === 'number'
      if (wanted.has(bare(key)) && isFilled) return pathOfKeys([...keys, key])
      const found = kind === 'object' && keys.length < 3 ? search(span, [...keys, key]) : undefined
      if (found !== undefined) return found
    }
    return undefined
  }
  return document.kind(document.root) === 'object' ? search(document.root, []) : undefined
}
