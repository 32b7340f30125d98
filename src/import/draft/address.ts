import { ConfigError } from '../../model/errors.js'
import { bareName } from '../../rest/evidence/pagingHints.js'
import { isSecretName } from '../../rest/http/redact.js'
import { nameFrom } from '../document/pipelineName.js'
import type { DraftAuth } from './draftYaml.js'

export type Param = readonly [name: string, value: string]

/** The parts of a list's address. */
export interface ListAddress {
  readonly baseUrl: string
  /** The last part, with its trailing slash if it has one. */
  readonly path: string
  readonly name: string
  /** The query, without an API key. */
  readonly params: readonly Param[]
  /** From a key in the query. */
  readonly auth: DraftAuth | undefined
  readonly secret: string | undefined
}

export function addressOf(text: string): ListAddress {
  const refuse = (message: string): ConfigError => new ConfigError([{ place: { path: '--url' }, message }])
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol)) {
    const bare = /^[\w.-]+(:\d+)?\/\S/.test(text)
      ? `; write the http:// or https:// in front of ${text.split('/')[0]}`
      : ''
    throw refuse(`expected the address of a list, as in https://api.example.com/v1/orders${bare}`)
  }
  const url = new URL(text)
  if (url.username !== '' || url.password !== '') {
    throw refuse('must hold no user name or password; use --auth http_basic')
  }
  const [, folder = '', path = ''] = /^(.*)\/([^/]+\/*)$/.exec(url.pathname) ?? []
  const params: Param[] = []
  let key: Param | undefined
  for (const [name, value] of url.searchParams) {
    if (isSecretName(name) && key === undefined) key = [name, value]
    else params.push([name, value])
  }
  const [keyName, keyValue] = key ?? []
  return {
    baseUrl: url.origin + folder,
    path,
    name: nameFrom(path) ?? nameFrom(url.hostname) ?? 'api',
    params,
    auth: keyName === undefined ? undefined : { type: 'api_key', name: keyName, location: 'query' },
    secret: keyValue === '' ? undefined : keyValue,
  }
}

/** The kind of position in the list that a parameter of the address gives. */
export type PositionKind = 'page' | 'offset' | 'cursor'

const POSITIONS: readonly (readonly [PositionKind, RegExp])[] = [
  ['page', /^(?:p|pg|page|pageno|pageindex|currentpage|(?:page|pagination)(?:number|page))$/],
  ['offset', /^(?:from|skip|begin|start(?:at|index|record|row)?|paginationstart|.*offset)$/],
  [
    'cursor',
    /^(?:after(?:id|cursor)?|bookmark|continue|cursor|marker|scrollid|startcursor|startingafter|(?:next|page|continuation)token)$/,
  ],
]

/** Undefined for parameters that are not a position, such as a date under `from`. */
export function positionKind([name, value]: Param, params: readonly Param[]): PositionKind | undefined {
  const bare = bareName(name)
  const isNumber = /^\d{1,7}$/.test(value)
  // Keycloak counts with `first` and `max`. Elsewhere `first` is a limit.
  if (bare === 'first' && params.some(([other]) => bareName(other) === 'max')) return isNumber ? 'offset' : undefined
  for (const [kind, pattern] of POSITIONS) {
    if (!pattern.test(bare)) continue
    if (kind !== 'cursor') return isNumber ? kind : undefined
    return value === '' || /^\d{4}-\d{2}-\d{2}/.test(value) ? undefined : kind
  }
  return undefined
}

/** The same query at the start of the list, and the parameters removed for that. */
export function fromTheBeginning(params: readonly Param[]): { readonly params: Param[]; readonly moved: Param[] } {
  const moved = params.filter(param => {
    const kind = positionKind(param, params)
    if (kind === undefined) return false
    const isFirst = Number(param[1]) === 0 || (Number(param[1]) === 1 && (kind === 'page' || countsFromOne(param[0])))
    return kind === 'cursor' || !isFirst
  })
  return { params: params.filter(param => !moved.includes(param)), moved }
}

/** Offsets are numbers of records from 0, except the index of SCIM and OpenSearch. */
export function countsFromOne(name: string): boolean {
  return /^start(?:index|record)$/.test(bareName(name))
}

const LIMITS =
  /^(?:count|first|hitsperpage|length|limit|max|maxresults|num|perpage|pagelimit|rows|size|take|top|results|(?:items|results)perpage|(?:page|pagination)(?:size|pagesize|limit)|.*limit)$/

/** The parameter for the number of records on a page, and its value. */
export function limitParam(params: readonly Param[], records: number): { name: string; limit: number } | undefined {
  const numbers = params
    .filter(param => /^[1-9]\d{0,5}$/.test(param[1]) && positionKind(param, params) === undefined)
    .map(([name, value]) => ({ name, limit: Number(value) }))
  return (
    numbers.find(({ name }) => LIMITS.test(bareName(name))) ??
    numbers.find(({ limit }) => limit === records && records > 1)
  )
}
