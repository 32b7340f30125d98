import { isJsonObject } from '../../json/value.js'
import {
  bareName,
  count,
  nextHints,
  type PagingHint,
  positionParam,
  saidMore,
  wholeTotal,
} from '../../rest/evidence/pagingHints.js'
import { linkTarget } from '../../rest/paginators/nextLink.js'
import { countsFromOne, limitParam, type Param, positionKind } from './address.js'
import type { DraftAnswer, PagingConfig } from './answer.js'
import { type BodyValue, bodyLimit, bodyPositions } from './bodyPlaces.js'

/** A possible way to page 2. */
export interface Candidate {
  readonly config: PagingConfig
  /** The reason to try it. */
  readonly why: string
  /** The answer or the address suggests it. It is not just common among APIs. */
  readonly isSuggested: boolean
  /** Query parameters that the paginator sends, so they are not params of the endpoint. */
  readonly sends: readonly string[]
  /** If pages are counted: the place of the position, its first value if known, and whether page 1 was asked for so. */
  readonly counter?: { readonly param: string; readonly first: number | undefined; readonly isSent: boolean }
}

export interface FirstPage {
  readonly answer: DraftAnswer
  /** The query that was sent. */
  readonly params: readonly Param[]
  /** Positions that were removed from the address. */
  readonly moved: readonly Param[]
  /** Plain values of the body that was sent. */
  readonly body?: readonly BodyValue[] | undefined
}

/** Ways to page 2, the likeliest first. */
export function candidates(first: FirstPage): Candidate[] {
  const [lastId, ...lastIdsElse] = lastIds(first)
  const counted = counters(first)
  const found = [
    ...links(first),
    ...headerCursors(first),
    ...bodyCursors(first),
    ...cursors(first),
    ...(lastId === undefined ? [] : [lastId]),
    ...counted.filter(({ isSuggested }) => isSuggested),
    ...lastIdsElse,
    ...counted.filter(({ isSuggested }) => !isSuggested),
  ]
  const met = new Set<string>()
  return found.filter(({ config }) => {
    const { total_path: _total, ...ways } = config
    const key = JSON.stringify(ways)
    return !met.has(key) && met.add(key)
  })
}

function links({ answer }: FirstPage): Candidate[] {
  const found: Candidate[] = []
  const { link } = answer.headers
  if (linkTarget(link, 'next') !== undefined) {
    const why = 'the Link header has rel="next"'
    found.push({ config: { type: 'header_link' }, why, isSuggested: true, sends: [] })
  }
  for (const { kind, leads, path } of nextHints(answer.hints)) {
    if (kind !== 'link' || !leads) continue
    const why = `the body has a link at ${path}`
    found.push({ config: { type: 'json_link', next_url_path: path }, why, isSuggested: true, sends: [] })
  }
  return found
}

/** Headers with a position. One with a URL is not a cursor. */
export function headerPosition(headers: Readonly<Record<string, string>>): string | undefined {
  return Object.keys(headers).find(name => /(?:^|-)(?:next|continuation|cursor)/.test(name) && headers[name] !== '')
}

function headerCursors({ answer, moved }: FirstPage): Candidate[] {
  const header = headerPosition(answer.headers)
  if (header === undefined || /^https?:|^\//.test(answer.headers[header] ?? '')) return []
  const bare = header.replace(/^x-/, '').replace(/^next-?/, '')
  const named = bare === 'continuationtoken' ? 'continuationToken' : bare.replaceAll('-', '_') || 'cursor'
  const params = [...moved.map(([name]) => name), named, 'cursor']
  return [...new Set(params)].map(param => ({
    config: { type: 'header_cursor', cursor_key: header, ...(param === 'cursor' ? {} : { cursor_param: param }) },
    why: `the header ${header} has a value`,
    isSuggested: true,
    sends: [param],
  }))
}

function cursors({ answer, moved, params: sent }: FirstPage): Candidate[] {
  const found = nextHints(answer.hints).filter(({ kind, leads }) => kind === 'cursor' && leads)
  const known = new Set(found.map(({ path }) => path))
  const alone = answer.hints
    .filter(
      ({ kind, value, path }) =>
        kind === 'position' &&
        (typeof value === 'string' || bareName(path) === 'lastseq') &&
        value !== '' &&
        !known.has(path),
    )
    .map(({ key, path, value }) => ({ path, value, param: positionParam(key), morePath: undefined }))
  return [...found, ...alone].flatMap(({ path, param, value, morePath }) => {
    const own = path.split('.').at(-1) ?? path
    const numbered =
      typeof value === 'number' ? [...sent, ...moved].filter(pair => positionKind(pair, sent) === 'page') : []
    const usual = [
      ...(typeof value === 'number' ? ['page'] : []),
      'cursor',
      ...(/cursor/i.test(own) ? ['start_cursor', 'after'] : []),
    ]
    const names = [
      ...numbered.map(([name]) => name),
      ...positions(moved),
      ...(param === 'cursor' ? [] : [param, own]),
      ...usual,
    ]
    return [...new Set(names)].map(name => ({
      config: {
        type: 'cursor',
        cursor_path: path,
        ...(name === 'cursor' ? {} : { cursor_param: name }),
        ...(morePath === undefined ? {} : { has_more_path: morePath }),
        // CouchDB's sequence stays the same at the end of the list.
        ...(bareName(own) === 'lastseq' ? { stop_after_empty_page: true } : {}),
      },
      why: `the body has a value at ${path}`,
      isSuggested: true,
      sends: [name],
    }))
  })
}

/** Cursors that go into the body of the next request. A body without a place for one gets it under a usual name. */
function bodyCursors({ answer, body }: FirstPage): Candidate[] {
  if (body === undefined) return []
  const places = bodyPositions(body).flatMap(({ kind, place }) => (kind === 'cursor' ? [place.path] : []))
  return nextHints(answer.hints)
    .filter(({ kind, leads }) => kind === 'cursor' && leads)
    .flatMap(({ path, param, morePath }) =>
      [...new Set([...places, ...(places.length > 0 ? [] : [param, 'start_cursor'])])].map(place => ({
        config: {
          type: 'cursor',
          cursor_path: path,
          cursor_body_path: place,
          ...(morePath === undefined ? {} : { has_more_path: morePath }),
        },
        why: `the body has a value at ${path}`,
        isSuggested: true,
        sends: [],
      })),
    )
}

function positions(moved: readonly Param[]): string[] {
  return moved.filter(param => positionKind(param, moved) === 'cursor').map(([name]) => name)
}

/** As with Stripe: the id of the last record leads to the next page, while the answer says that there is more. */
function lastIds({ answer, moved }: FirstPage): Candidate[] {
  const more = answer.hints.find(({ kind, value }) => kind === 'more' && value === true)
  if (more === undefined || nextHints(answer.hints).some(({ leads }) => leads)) return []
  const last = answer.records.at(-1)
  const body = answer.hints.find(({ kind }) => kind === 'last_id')
  const path = body?.path ?? (last !== undefined && 'id' in last ? `${answer.selector.path}[-1].id` : undefined)
  if (path === undefined) return []
  const usual = body === undefined ? ['starting_after', 'after'] : ['after_id', 'after', 'starting_after']
  return [...new Set([...positions(moved), ...usual])].map(name => ({
    config: { type: 'cursor', cursor_path: path, cursor_param: name, has_more_path: more.path },
    why: `"${more.path}" is true, and the last record has an id`,
    isSuggested: true,
    sends: [name],
  }))
}

interface Counter {
  readonly kind: 'page' | 'offset'
  readonly param: string
  readonly why: string
  readonly isSuggested: boolean
  /** Where to put the limit, if no parameter of the address has it. */
  readonly limit?: string
  /** `param` is a place in the body of the request. */
  readonly isInBody?: boolean
}

/** Names that usually go together with the name of a limit. */
const PARTNERS: Readonly<Record<string, readonly (readonly [Counter['kind'], string])[]>> = {
  $top: [['offset', '$skip']],
  top: [['offset', 'skip']],
  _limit: [
    ['offset', '_start'],
    ['page', '_page'],
  ],
  _per_page: [['page', '_page']],
  limit: [
    ['offset', 'offset'],
    ['page', 'page'],
    ['offset', 'skip'],
  ],
  max: [
    ['offset', 'first'],
    ['offset', 'offset'],
    ['page', 'page'],
  ],
  first: [
    ['offset', 'skip'],
    ['offset', 'offset'],
  ],
  take: [['offset', 'skip']],
  rows: [['offset', 'start']],
  num: [['offset', 'start']],
  length: [['offset', 'start']],
  count: [
    ['offset', 'offset'],
    ['offset', 'startIndex'],
    ['page', 'page'],
  ],
  size: [
    ['page', 'page'],
    ['offset', 'from'],
  ],
  maxresults: [
    ['offset', 'startAt'],
    ['offset', 'startIndex'],
  ],
  'pagination[limit]': [['offset', 'pagination[start]']],
  'pagination[pagesize]': [['page', 'pagination[page]']],
}

function partners(limit: string): (readonly [Counter['kind'], string])[] {
  const known = PARTNERS[limit.toLowerCase()]
  if (known !== undefined) return [...known]
  const derived: (readonly [Counter['kind'], string])[] = []
  if (/size/i.test(limit)) derived.push(['page', alike(limit, /size/i, 'number')], ['page', 'page'])
  else if (/limit/i.test(limit)) derived.push(['offset', alike(limit, /limit/i, 'offset')])
  return derived.length > 0
    ? derived
    : [
        ['page', 'page'],
        ['offset', 'offset'],
      ]
}

/** Replaces the matched word in the name. Keeps an upper-case first letter. */
function alike(name: string, pattern: RegExp, word: string): string {
  return name.replace(pattern, found => (/^[A-Z]/.test(found) ? word.charAt(0).toUpperCase() + word.slice(1) : word))
}

function counters(first: FirstPage): Candidate[] {
  const { answer, params, moved } = first
  const sent = limitParam(params, answer.count)
  return [
    ...fromBody(first.body),
    ...fromAddress([...params, ...moved]),
    ...fromAnswer(answer),
    ...fromLimit(sent?.name),
    ...usual(),
  ].map(counter => (counter.kind === 'page' ? pageCandidate(counter, first) : offsetCandidate(counter, first, sent)))
}

function fromBody(body: readonly BodyValue[] = []): Counter[] {
  return bodyPositions(body).flatMap(({ kind, place: { path } }): Counter[] =>
    kind === 'cursor' ? [] : [{ kind, param: path, why: `the request has ${path}`, isSuggested: true, isInBody: true }],
  )
}

function fromAddress(params: readonly Param[]): Counter[] {
  return params.flatMap((param): Counter[] => {
    const kind = positionKind(param, params)
    if (kind !== 'page' && kind !== 'offset') return []
    return [{ kind, param: param[0], why: `the address has ${param[0]}`, isSuggested: true }]
  })
}

function fromLimit(limit: string | undefined): Counter[] {
  if (limit === undefined) return []
  const why = `the address has ${limit}`
  return partners(limit).map(([kind, param]) => ({ kind, param, why, isSuggested: true }))
}

/** What the answer's own numbers and the style of its body suggest. */
function fromAnswer({ hints, records, headers, recorded }: DraftAnswer): Counter[] {
  const found: Counter[] = []
  const add = (kind: Counter['kind'], param: string, why: string, limit?: string): void => {
    found.push({ kind, param, why, isSuggested: true, ...(limit === undefined ? {} : { limit }) })
  }
  const offset = count(hints, 'offset', 0)
  const limit = hints.find(({ kind, value }) => kind === 'limit' && typeof value === 'number')
  if (offset !== undefined) {
    const why = `the body has ${offset.path}: ${offset.number}`
    const couch = hints.some(({ key }) => key === 'total_rows')
    if (couch) add('offset', 'skip', why)
    else if (bareName(offset.key) === 'start' && hints.some(({ key }) => key === 'numFound'))
      add('offset', 'start', why, 'rows')
    else if (bareName(offset.key) === 'startindex') add('offset', offset.key, why, 'count')
    else add('offset', offset.key, why, limit?.key)
  }
  const page = count(hints, 'page', 0)
  if (page !== undefined) {
    const why = `the body has ${page.path}: ${page.number}`
    const outer = page.above.at(-1)
    // Strapi's names. Others have the same object, but plain parameters.
    const isNested = outer === 'pagination' && hints.some(({ key }) => key === 'pageSize' || key === 'pageCount')
    if (isNested) add('page', 'pagination[page]', why)
    if (isJsonApi(records)) add('page', 'page[number]', why)
    if (/^page(?:number|no|index)$/.test(bareName(page.key))) add('page', page.key, why)
    add('page', 'page', why)
  }
  const body = recorded.body.subarray(0, 2000)
  if (Buffer.from(body).includes('"@odata.') || Buffer.from(body).includes('"odata.')) {
    add('offset', '$skip', 'the body is in the style of OData', '$top')
  }
  if ('x-pagination' in headers) {
    add('page', 'pageNumber', 'the answer has the header x-pagination')
    add('page', 'page', 'the answer has the header x-pagination')
  }
  if (isJsonApi(records)) {
    add('page', 'page[number]', 'the records are in the style of JSON:API')
    add('offset', 'page[offset]', 'the records are in the style of JSON:API', 'page[limit]')
  }
  if (hints.some(({ path }) => path === 'hits.total.value' || path === 'hits.total')) {
    add('offset', 'from', 'the body is in the style of Elasticsearch', 'size')
  }
  if (count(hints, 'pages', 1) !== undefined || 'x-total-pages' in headers || 'x-wp-totalpages' in headers) {
    add('page', 'page', 'the answer has a number of pages')
  }
  return found
}

function isJsonApi(records: DraftAnswer['records']): boolean {
  return records.length > 0 && records.every(record => 'type' in record && isJsonObject(record.attributes ?? null))
}

/** Counters that many APIs have. */
function usual(): Counter[] {
  const why = 'many APIs have it'
  return [
    { kind: 'page', param: 'page', why, isSuggested: false },
    { kind: 'offset', param: 'offset', why, isSuggested: false },
    { kind: 'offset', param: 'skip', why, isSuggested: false },
    { kind: 'offset', param: '_start', why, isSuggested: false, limit: '_limit' },
  ]
}

function offsetCandidate(counter: Counter, first: FirstPage, sent: ReturnType<typeof limitParam>): Candidate {
  const { answer } = first
  const { param } = counter
  const own = answer.hints.find(
    ({ kind, value }) => kind === 'limit' && typeof value === 'number' && value >= answer.count,
  )
  const inBody = counter.isInBody === true ? bodyLimit(first.body ?? [], answer.count) : undefined
  const limitName = sent?.name ?? counter.limit ?? 'limit'
  const asked = (inBody ?? sent)?.limit ?? (typeof own?.value === 'number' ? own.value : answer.count)
  // If a server returns fewer records although it has more, it caps its pages.
  const limit = asked > answer.count && firmHints(answer).length > 0 ? answer.count : asked
  const base = firstOffset(counter, first)
  const places =
    counter.isInBody === true
      ? { offset_body_path: param, ...(inBody !== undefined && { limit_body_path: inBody.path }) }
      : {
          ...(param === 'offset' ? {} : { offset_param: param }),
          ...(limitName === 'limit' ? {} : { limit_param: limitName }),
        }
  const config = {
    type: 'offset',
    // A body without a place for a size gets none.
    limit: counter.isInBody === true && inBody === undefined ? 0 : limit,
    ...(base === 0 ? {} : { offset: base }),
    ...places,
    ...end(answer, base === 0 ? recordTotal(answer) : undefined),
  }
  const { why, isSuggested } = counter
  const sends = counter.isInBody === true ? [] : [param, limitName]
  return { config, why, isSuggested, sends, counter: { param, first: base, isSent: isSent(counter, first) } }
}

function isSent({ param, isInBody }: Counter, { params }: FirstPage): boolean {
  return isInBody === true || params.some(([name]) => name === param)
}

/** The position that page 1 was asked for by. */
function sentPosition({ param, isInBody }: Counter, { params, body }: FirstPage): string | undefined {
  return isInBody === true
    ? body?.find(({ path }) => path === param)?.value
    : params.find(([name]) => name === param)?.[1]
}

/** As the request or its answer says, else the usual value for that name. */
function firstOffset(counter: Counter, first: FirstPage): 0 | 1 {
  const { answer } = first
  const { param } = counter
  const sent = sentPosition(counter, first)
  const own = answer.hints.find(({ kind, key }) => kind === 'offset' && bareName(key) === bareName(param))?.value
  const said = Number(sent ?? own ?? Number.NaN)
  if (said === 0 || said === 1) return said
  return countsFromOne(param) ? 1 : 0
}

function pageCandidate(counter: Counter, first: FirstPage): Candidate {
  const { param, why, isSuggested } = counter
  const { answer } = first
  const own = count(answer.hints, 'page', 0)?.number
  const sent = sentPosition(counter, first)
  const base = own === 0 || sent === '0' ? 0 : own === 1 ? 1 : undefined
  const config = {
    type: 'page_number',
    base_page: base ?? 1,
    ...(counter.isInBody === true && { page_body_path: param }),
    ...(counter.isInBody !== true && param !== 'page' && { page_param: param }),
    ...end(answer, pageTotal(answer)),
  }
  const sends = counter.isInBody === true ? [] : [param]
  return { config, why, isSuggested, sends, counter: { param, first: base, isSent: isSent(counter, first) } }
}

/** What marks the end: a total, else a flag, else an empty page. */
function end({ hints }: DraftAnswer, total: string | undefined): Readonly<Record<string, string | null>> {
  if (total !== undefined) return { total_path: total }
  const more = hints.find(({ kind, value }) => kind === 'more' && typeof value === 'boolean')
  return { total_path: null, ...(more === undefined ? {} : { has_more_path: more.path }) }
}

/** In some APIs `count` is the number of records on this page. */
function recordTotal({ hints, count: records }: DraftAnswer): string | undefined {
  return totals(hints).find(({ key, number }) => number > records || (number === records && bareName(key) !== 'count'))
    ?.path
}

function totals(hints: readonly PagingHint[]): (PagingHint & { number: number })[] {
  return hints.flatMap(hint => {
    const found = hint.kind === 'total' ? count([hint], 'total', 1) : undefined
    return found === undefined ? [] : [found]
  })
}

/** A number of pages that does not contradict the number of records, if there is one. */
function pageTotal(answer: DraftAnswer): string | undefined {
  const pages = count(answer.hints, 'pages', 1)
  if (pages === undefined || pages.path.endsWith('last_page_url')) return undefined
  const total = totals(answer.hints).find(({ number }) => number > answer.count)
  if (total === undefined || answer.count === 0) return pages.path
  return Math.ceil(total.number / answer.count) === pages.number ? pages.path : undefined
}

/** Headers that count records or pages. */
const TOTAL_HEADERS =
  /^(?:x-|pagination-)*(?:wp-)?(?:pagination-)?(?:total|count)(?:-?(?:count|records|items|results|elements|pages))?$/

/** What shows that there is more than this page, in words. */
export function firmHints({ hints, headers, count: records }: DraftAnswer): string[] {
  const found: string[] = []
  const said = saidMore(hints)
  if (said?.more === true) found.push(`"${said.path}" says there is more`)
  for (const { path, number } of totals(hints)) if (number > records) found.push(`"${path}" is ${number}`)
  const pages = count(hints, 'pages', 2)
  if (pages !== undefined) found.push(`"${pages.path}" is ${pages.number}`)
  for (const { kind, leads, path } of nextHints(hints)) if (leads) found.push(`the body has a ${kind} at ${path}`)
  if (linkTarget(headers.link, 'next') !== undefined) found.push('the Link header has rel="next"')
  const position = headerPosition(headers)
  if (position !== undefined) found.push(`the header ${position} has a value`)
  for (const [name, value] of Object.entries(headers)) {
    const least = name.includes('page') ? 1 : records
    if (TOTAL_HEADERS.test(name) && /^\d+$/.test(value) && Number(value) > least)
      found.push(`the header ${name} is ${value}`)
  }
  const listed = Number(/"Total(?:Count|Items|Records)":\s*"?(\d+)/i.exec(headers['x-pagination'] ?? '')?.[1])
  if (listed > records) found.push(`the header x-pagination tells of ${listed} records`)
  const range = /^(?!\s*bytes\b).*\/(\d+)$/i.exec(headers['content-range'] ?? '')?.[1]
  if (range !== undefined && Number(range) > records) found.push(`the header content-range ends in ${range}`)
  return found
}

/** Whether the answer has a link or cursor to the next page. */
export function leadsOn({ hints, headers }: DraftAnswer): boolean {
  return linkTarget(headers.link, 'next') !== undefined || nextHints(hints).some(({ leads }) => leads)
}

/** What shows that this page is the whole list. Undefined if nothing does. */
export function saidWhole(answer: DraftAnswer): string | undefined {
  const { hints, count: records } = answer
  if (firmHints(answer).length > 0) return undefined
  const said = saidMore(hints)
  if (said?.more === false) return `"${said.path}" says there is no more`
  const total = wholeTotal(hints, records)
  if (total !== undefined) return `"${total.path}" counts as many records as came`
  const pages = count(hints, 'pages', 1)
  return pages?.number === 1 ? `"${pages.path}" is 1` : undefined
}

/** Empty links and cursors: with more records they would lead to the next page. */
export function emptyPositions({ answer, moved }: FirstPage): Candidate[] {
  const found = nextHints(answer.hints).flatMap(({ kind, leads, path, param }): Candidate[] => {
    if (leads) return []
    if (kind === 'link') {
      const why = `the body has an empty link at ${path}`
      return [{ config: { type: 'json_link', next_url_path: path }, why, isSuggested: true, sends: [] }]
    }
    const name = positions(moved)[0] ?? param
    const config = { type: 'cursor', cursor_path: path, ...(name === 'cursor' ? {} : { cursor_param: name }) }
    return [{ config, why: `the body has an empty cursor at ${path}`, isSuggested: true, sends: [name] }]
  })
  if (/rel="?(?:first|last|prev)/.test(answer.headers.link ?? '')) {
    const why = 'the Link header has other relations'
    found.unshift({ config: { type: 'header_link' }, why, isSuggested: true, sends: [] })
  }
  return found
}

/** The paginator that starts at this position, without conditions for the end. */
export function startingAt({ config, counter }: Candidate, position: number): PagingConfig {
  const { has_more_path: _more, ...kept } = config
  if (counter === undefined) return config
  const start =
    config.type === 'page_number' ? { base_page: Math.min(position, 1), page: position } : { offset: position }
  return { ...kept, ...start, total_path: null }
}
