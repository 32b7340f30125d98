import { fileError } from '../../config/file/documentFile.js'
import type { JsonObject } from '../../json/value.js'
import { pathOfKeys } from '../../rest/list/answer/selector.js'
import { ABSENT_KEYS } from '../document/absentKeys.js'
import { nameFrom } from '../document/pipelineName.js'
import { fromTheBeginning, limitParam, positionKind } from '../draft/address.js'
import type { DraftAnswer } from '../draft/answer.js'
import { type BodyValue, bodyLimit, bodyPlaces, bodyPositions } from '../draft/bodyPlaces.js'
import { candidates } from '../draft/candidates.js'
import { candidateKeys } from '../draft/guesses.js'
import { type LeftOut, MOST_LISTS } from '../imported.js'
import { isSecret } from './credentials.js'
import { listAnswer } from './recordedAnswer.js'
import { hasVariable, type Pair, type SourceRequest, type UrlParts, urlParts } from './sourceRequest.js'

/** A request with the parts of its address. */
interface Asked {
  readonly request: SourceRequest
  readonly url: UrlParts
  readonly answer: DraftAnswer | undefined
}

/** A segment of a path that is the id of a record of another list. */
export interface IdSegment {
  readonly index: number
  readonly values: readonly string[]
}

/** The requests for one list. */
export interface RequestList {
  readonly name: string
  readonly origin: string
  readonly segments: readonly string[]
  readonly ids: readonly IdSegment[]
  /** The first of them. */
  readonly request: SourceRequest
  readonly url: UrlParts
  /** Parameters that all of them have, without positions. */
  readonly query: readonly Pair[]
  /** Names of parameters whose values differ. */
  readonly varied: readonly string[]
  readonly moved: readonly Pair[]
  /** Plain values of the body of the first one. Undefined: it has none that a paginator could write into. */
  readonly body: readonly BodyValue[] | undefined
  /** Places in the bodies whose values differ. */
  readonly variedBody: readonly string[]
  readonly answer: DraftAnswer | undefined
  readonly records: readonly JsonObject[]
  readonly requests: number
}

export interface GroupOptions {
  /** Where ids in paths mean records of other lists. Otherwise they are part of the address. */
  readonly findsIds: boolean
  /** What the source is, for messages. */
  readonly source: string
}

const READS = new Set(['GET', 'POST', 'PUT', 'PATCH'])

/** Gathers the requests of each list. Others are left out, each with its reason. */
export function requestLists(
  requests: readonly SourceRequest[],
  { findsIds, source }: GroupOptions,
): { readonly lists: readonly RequestList[]; readonly leftOut: readonly LeftOut[] } {
  const groups = new Map<string, Asked[]>()
  const refused = new Map<string, LeftOut>()
  const listKeys = new Set<string>()
  for (const request of requests) {
    const url = urlParts(request.url)
    const what = `${request.method} ${url === undefined ? 'request' : `${shownOrigin(url.origin)}${shownPath(url.path)}`}`
    const leave = (key: string, why: string): void => {
      if (!refused.has(key)) refused.set(key, { what, place: request.place, why })
    }
    if (url === undefined) {
      leave(what, 'its address is none of http or https')
      continue
    }
    const segments = url.path.split('/').slice(1)
    const key = JSON.stringify([
      request.method,
      url.origin,
      segments.map(segment => (findsIds && isId(segment) ? '{}' : segment)),
      bodyKey(request),
    ])
    if (!READS.has(request.method)) {
      leave(key, `${request.method} reads no list`)
      continue
    }
    const answers = request.answers.map(listAnswer)
    const answer = answers.find(answer => !('why' in answer)) as DraftAnswer | undefined
    const [first] = answers
    if (answer === undefined && first !== undefined && 'why' in first) {
      leave(key, first.why)
      continue
    }
    listKeys.add(key)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [{ request, url, answer }])
    else group.push({ request, url, answer })
    if (groups.size > MOST_LISTS)
      throw fileError(`the ${source}`, `has more than ${MOST_LISTS} lists; import a part of it`)
  }
  const names = new Set<string>()
  const lists = [...groups.values()].map(group => listOf(group, findsIds, names))
  const leftOut = [...refused].filter(([key]) => !listKeys.has(key)).map(([, left]) => left)
  return { lists, leftOut }
}

function listOf(group: readonly Asked[], findsIds: boolean, names: Set<string>): RequestList {
  const [first] = group as readonly [Asked, ...Asked[]]
  const { request, url } = first
  const segments = url.path.split('/').slice(1)
  const ids = segments.flatMap((segment, index): IdSegment[] => {
    if (!findsIds || !isId(segment)) return []
    return [{ index, values: [...new Set(group.map(asked => asked.url.path.split('/')[index + 1] ?? ''))] }]
  })
  const moved = new Map<string, Pair>()
  const fixed = new Map<string, Set<string>>()
  for (const { url } of group) {
    const parts = fromTheBeginning(url.query)
    for (const param of parts.moved) moved.set(param[0], param)
    for (const [name, value] of parts.params) {
      const isPosition = positionKind([name, value], url.query) !== undefined
      if (isPosition && group.length > 1) continue
      fixed.set(name, (fixed.get(name) ?? new Set()).add(value))
    }
  }
  const everywhere = (name: string): boolean => group.every(({ url }) => url.query.some(([other]) => other === name))
  const isRepeated = (name: string): boolean => url.query.filter(([other]) => other === name).length > 1
  const varied = [...fixed].filter(([name, values]) => (values.size > 1 && !isRepeated(name)) || !everywhere(name))
  const differs = new Set(varied.map(([name]) => name))
  const answers = group.flatMap(({ answer }) => (answer === undefined ? [] : [answer]))
  const answer = answers.find(({ count }) => count > 0) ?? answers[0]
  const records = answers.filter(({ selector }) => selector.path === answer?.selector.path).flatMap(one => one.records)
  return {
    name: freeName(request.name, segments, ids, url.origin, names),
    origin: url.origin,
    segments,
    ids,
    request,
    url,
    query: fromTheBeginning(url.query).params.filter(([name]) => !differs.has(name)),
    varied: [...differs].filter(name => !moved.has(name)),
    moved: [...moved.values()],
    ...bodiesOf(group),
    answer,
    records: records.slice(0, MOST_COMPARED),
    requests: group.length,
  }
}

const MOST_COMPARED = 1_000

function bodiesOf(group: readonly Asked[]): Pick<RequestList, 'body' | 'variedBody'> {
  const bodies = group.map(({ request: { body } }) =>
    body?.kind === 'json' || body?.kind === 'form' ? bodyPlaces(body) : [],
  )
  const [first = []] = bodies
  const paths = new Set(bodies.flatMap(places => places.map(({ path }) => path)))
  const valuesAt = (path: string) => new Set(bodies.map(places => places.find(place => place.path === path)?.value))
  return {
    body: first.length === 0 ? undefined : first,
    variedBody: [...paths].filter(path => valuesAt(path).size > 1),
  }
}

function freeName(
  named: string | undefined,
  segments: readonly string[],
  ids: readonly IdSegment[],
  origin: string,
  names: Set<string>,
): string {
  const words = segments.filter(
    (segment, index) =>
      segment !== '' && !hasVariable(segment) && !ids.some(id => id.index === index) && !isId(segment),
  )
  const tries = [
    named,
    words.at(-1),
    words.slice(-2).join('_'),
    words.slice(-3).join('_'),
    origin.replace(/^https?:\/\//, ''),
    'list',
  ]
  for (const text of tries) {
    const name = text === undefined ? undefined : nameFrom(text)?.slice(0, 60)
    if (name !== undefined && /^[a-z_]/.test(name) && !names.has(name)) {
      names.add(name)
      return name
    }
  }
  for (let number = 2; ; number++) {
    const name = `${nameFrom(words.at(-1) ?? 'list') ?? 'list'}_${number}`
    if (names.has(name)) continue
    names.add(name)
    return name
  }
}

/** A number, a UUID, or a word as only a machine makes it. */
function isId(segment: string): boolean {
  return (
    /^\d+$/.test(segment) ||
    /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/i.test(segment) ||
    (/^[\w-]{12,}$/.test(segment) && /\d.*\d.*\d/.test(segment) && /[a-z]/i.test(segment))
  )
}

/** What tells lists of one address from each other. */
function bodyKey({ body }: SourceRequest): unknown {
  if (body?.kind !== 'json') return body?.kind
  const { query, operationName } = (body.value ?? {}) as { query?: unknown; operationName?: unknown }
  return typeof query === 'string' ? [query, operationName] : 'json'
}

export interface ListPaging {
  readonly paginator: Readonly<Record<string, unknown>> | undefined
  /** Parameters that the paginator sends. */
  readonly sends: readonly string[]
  readonly certainty: 'taken' | 'assumed' | 'open'
  readonly why: string
}

/** How the pages of a list follow each other, as its answers and its address say. */
export function pagingOf({ answer, url, moved, query, body, variedBody, requests }: RequestList): ListPaging {
  if (answer !== undefined) {
    const [found] = candidates({ answer, params: query, moved, body }).filter(({ isSuggested }) => isSuggested)
    const followed =
      found?.sends.some(name => moved.some(([other]) => other === name)) === true ||
      variedBody.some(path =>
        Object.entries(found?.config ?? {}).some(([key, at]) => BODY_PATH.test(key) && at === path),
      )
    if (found !== undefined) {
      const certainty = followed && requests > 1 ? 'taken' : 'assumed'
      const why = certainty === 'taken' ? `${found.why}, and the recording has further pages` : found.why
      return { paginator: found.config, sends: found.sends, certainty, why }
    }
  }
  const sent = [...url.query, ...moved]
  for (const param of sent) {
    const [name, value] = param
    // The first page of a list has no cursor yet.
    const kind = positionKind(value === '' ? [name, 'x'] : param, sent)
    if (kind === undefined) continue
    const limit = limitParam(sent, 0)
    if (kind === 'page') {
      const base = sent.some(([other, at]) => other === name && at === '0') ? 0 : 1
      const paginator = {
        type: 'page_number',
        base_page: base,
        ...(name === 'page' ? {} : { page_param: name }),
        total_path: null,
      }
      const why = `\`${name}\` of the address counts pages, from ${base}; an empty page ends the list`
      return { paginator, sends: [name], certainty: 'assumed', why }
    }
    if (kind === 'offset') {
      const paginator = {
        type: 'offset',
        limit: limit?.limit ?? 0,
        ...(value === '1' ? { offset: 1 } : {}),
        ...(name === 'offset' ? {} : { offset_param: name }),
        ...(limit === undefined || limit.name === 'limit' ? {} : { limit_param: limit.name }),
      }
      const why = `\`${name}\` of the address counts records; a total or an empty page ends the list`
      return { paginator, sends: [name, ...(limit === undefined ? [] : [limit.name])], certainty: 'assumed', why }
    }
    const why = `\`${name}\` of the address is a cursor: write \`paginator: { type: cursor, cursor_path: …, cursor_param: ${name} }\` with the place of the next one in the answer`
    return { paginator: undefined, sends: [name], certainty: 'open', why }
  }
  const counted = body === undefined ? undefined : countedInBody(body)
  if (counted !== undefined) return counted
  return { paginator: undefined, sends: [], certainty: 'assumed', why: ABSENT_KEYS.paginator }
}

const BODY_PATH = /^(?:page|offset|cursor)_body_path$/

/** A body that counts pages or records, or names a cursor. */
function countedInBody(body: readonly BodyValue[]): ListPaging | undefined {
  for (const { kind, place } of bodyPositions(body)) {
    const { path, value } = place
    if (kind === 'page') {
      const base = value === '0' ? 0 : 1
      const paginator = { type: 'page_number', base_page: base, page_body_path: path, total_path: null }
      const why = `\`${path}\` of the body counts pages, from ${base}; an empty page ends the list`
      return { paginator, sends: [], certainty: 'assumed', why }
    }
    if (kind === 'offset') {
      const limit = bodyLimit(body, 0)
      const paginator = {
        type: 'offset',
        limit: limit?.limit ?? 0,
        ...(value === '1' ? { offset: 1 } : {}),
        offset_body_path: path,
        ...(limit !== undefined && { limit_body_path: limit.path }),
      }
      const why = `\`${path}\` of the body counts records; a total or an empty page ends the list`
      return { paginator, sends: [], certainty: 'assumed', why }
    }
    const why = `\`${path}\` of the body is a cursor: write \`paginator: { type: cursor, cursor_path: …, cursor_body_path: ${path} }\` with the place of the next one in the answer`
    return { paginator: undefined, sends: [], certainty: 'open', why }
  }
  return undefined
}

export interface ParentOf {
  readonly parent: RequestList
  /** JSONPath in the record of the parent. */
  readonly field: string
  readonly certainty: 'taken' | 'assumed'
}

/** The list whose records have the ids of a segment. */
export function parentOf(list: RequestList, id: IdSegment, lists: readonly RequestList[]): ParentOf | undefined {
  const above = list.segments.slice(0, id.index)
  const isSame = (other: RequestList): boolean =>
    other !== list && other.origin === list.origin && other.ids.length < list.ids.length
  const near = lists.filter(other => isSame(other) && other.segments.join('/') === above.join('/'))
  const alike = lists.filter(
    other =>
      isSame(other) &&
      !near.includes(other) &&
      other.segments.length === above.length &&
      above.every((segment, index) => segment === other.segments[index] || other.ids.some(at => at.index === index)),
  )
  const others = lists.filter(other => isSame(other) && !near.includes(other) && !alike.includes(other))
  for (const [parents, isNear] of [
    [[...near, ...alike], true],
    [others, false],
  ] as const) {
    for (const parent of parents) {
      const field = fieldWith(parent.records, id.values, isNear)
      if (field !== undefined) return { parent, field, certainty: 'taken' }
    }
  }
  const [parent] = [...near, ...alike]
  if (parent === undefined) return undefined
  const [key = 'id'] = candidateKeys(parent.records, parent.name)
  return { parent, field: pathOfKeys([key]), certainty: 'assumed' }
}

/** The field that has one of the values. Only a list right above may have it under another name than that of a key. */
function fieldWith(records: readonly JsonObject[], values: readonly string[], isNear: boolean): string | undefined {
  for (const record of records) {
    for (const [name, value] of Object.entries(record)) {
      const isText = typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint'
      if (isText && values.includes(String(value)) && (isNear || /^(?:_?id|uuid|key|slug)$/i.test(name))) {
        if (isNear || String(value).length > 5) return pathOfKeys([name])
      }
    }
  }
  return undefined
}

function shownOrigin(origin: string): string {
  return hasVariable(origin) ? '' : origin
}

/** A path without what may be a token. */
export function shownPath(path: string): string {
  return path
    .split('/')
    .map(segment => (isSecret('', segment) || (segment.length > 30 && /\d/.test(segment)) ? '…' : segment))
    .join('/')
    .replace(/[\uE000\uE001]/g, '')
}
