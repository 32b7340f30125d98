import { doubleHints, mixedNumbers } from '../../schema/mixedNumbers.js'
import { ABSENT_KEYS, REPLACES } from '../document/absentKeys.js'
import { nameFrom } from '../document/pipelineName.js'
import { requestParams } from '../draft/draftYaml.js'
import { candidateKeys } from '../draft/guesses.js'
import type { Imported, ImportedPipeline, ImportNote, LeftOut } from '../imported.js'
import {
  credentialsOf,
  escapedReferences,
  isSecret,
  type RequestCredentials,
  SecretNames,
  secretNameIn,
  templateText,
} from './credentials.js'
import { pagingOf, parentOf, type RequestList, requestLists, shownPath } from './requestLists.js'
import { environmentName, hasVariable, replacingVariables, type SourceRequest, variablesOf } from './sourceRequest.js'

export interface RequestOptions {
  readonly name?: string | undefined
  /** What the source is, for notes: `recording`, `command line`. */
  readonly source: string
  /** Where ids in paths are records of other lists of the source. */
  readonly findsIds: boolean
  /** Whether the user wrote the cookies. Those of a browser hold more than the API needs. */
  readonly keepsCookies: boolean
  readonly secrets?: SecretNames | undefined
}

/** One pipeline for each origin of the requests, with a resource for each list. */
export function requestsImported(requests: readonly SourceRequest[], options: RequestOptions): Imported {
  const { lists, leftOut } = requestLists(requests, options)
  const byOrigin = new Map<string, RequestList[]>()
  for (const list of lists) byOrigin.set(list.origin, [...(byOrigin.get(list.origin) ?? []), list])
  const secrets = options.secrets ?? new SecretNames()
  const made = [...byOrigin.values()].map(own => pipelineOf(own, options, secrets))
  return {
    pipelines: made.flatMap(({ pipeline }) => (pipeline === undefined ? [] : [pipeline])),
    leftOut: [...leftOut, ...made.flatMap(one => one.leftOut)],
  }
}

interface WrittenResource {
  readonly list: RequestList
  readonly keys: Readonly<Record<string, unknown>>
  readonly endpoint: Readonly<Record<string, unknown>>
  readonly credentials: RequestCredentials
  readonly notes: readonly ImportNote[]
}

function pipelineOf(
  lists: readonly RequestList[],
  options: RequestOptions,
  secrets: SecretNames,
): { readonly pipeline?: ImportedPipeline; readonly leftOut: readonly LeftOut[] } {
  const leftOut: LeftOut[] = []
  const folder = commonFolder(lists)
  const made: WrittenResource[] = []
  // Children come after their parents.
  const waiting = [...lists].sort((a, b) => a.ids.length - b.ids.length)
  for (const list of waiting) {
    const resource = resourceOf(
      list,
      made.map(({ list }) => list),
      folder.length,
      options,
      secrets,
    )
    if ('why' in resource) leftOut.push(resource)
    else made.push(resource)
  }
  const [first] = made
  if (first === undefined) return { leftOut }
  const origin = replacingVariables(escapedReferences(first.list.origin), name => `\${env.${environmentName(name)}}`)
  const base = [origin, ...folder].join('/')
  const auths = new Set(made.map(({ credentials }) => JSON.stringify(credentials.auth ?? null)))
  const shared = auths.size === 1 ? first.credentials.auth : undefined
  const resources = made.map(({ keys, endpoint, credentials }) => ({
    ...keys,
    endpoint: { ...endpoint, ...(auths.size > 1 && { auth: credentials.auth ?? null }) },
  }))
  const name = options.name ?? nameFrom(made.length === 1 ? first.list.name : hostName(first.list.origin)) ?? 'api'
  const notes: ImportNote[] = [
    { kind: 'taken', place: first.list.request.place, text: `base_url ${base}` },
    ...(shared == null ? [] : [authNote(first)]),
    ...made.flatMap(resource => resource.notes),
  ]
  const client = { base_url: base, ...(shared != null && { auth: shared }) }
  return { pipeline: { name, document: { source: { client, resources } }, notes, secrets: secrets.all }, leftOut }
}

function authNote({ list, credentials }: WrittenResource): ImportNote {
  const type = String(credentials.auth?.type)
  return {
    kind: 'taken',
    place: list.request.place,
    text: `auth ${type}; the secrets are no part of this file`,
    target: 'source.client.auth',
  }
}

function hostName(origin: string): string {
  const host = origin.replace(/^https?:\/\//, '').replace(/:\d+$/, '')
  const words = host.split('.').filter(word => !/^(?:www|api\d*|app|com|net|org|io|dev|co|localhost)$/.test(word))
  return words.length === 0 || /^[\d.]+$/.test(host) ? 'api' : words.join('_')
}

/** The segments that all paths begin with, without their last one. */
function commonFolder(lists: readonly RequestList[]): string[] {
  const [first, ...others] = lists
  if (first === undefined) return []
  const folder: string[] = []
  for (const [index, segment] of first.segments.slice(0, -1).entries()) {
    const isShared = others.every(({ segments }) => index < segments.length - 1 && segments[index] === segment)
    const isPlain = /^[\w.~-]+$/.test(segment) && !isSecret('', segment) && !first.ids.some(id => id.index === index)
    if (!isShared || !isPlain) break
    folder.push(segment)
  }
  return folder
}

function resourceOf(
  list: RequestList,
  parents: readonly RequestList[],
  from: number,
  options: RequestOptions,
  secrets: SecretNames,
): WrittenResource | LeftOut {
  const { request, name } = list
  const { place } = request
  const what = `${request.method} ${shownPath(list.url.path)}`
  const notes: ImportNote[] = []
  const note = (kind: ImportNote['kind'], text: string, key?: string, stopsRun?: boolean): void => {
    const target = key === undefined ? undefined : `source.resources[${JSON.stringify(name)}]${key}`
    notes.push({ kind, resource: name, place, text, target, ...(stopsRun === true && { stopsRun }) })
  }
  const credentials = credentialsOf(request, list.query, list.url.user, secrets, options.keepsCookies)
  const path = pathOf(list, from, parents, secrets, note)
  if ('why' in path) return { what, place, why: path.why }
  const body = bodyOf(request)
  if ('why' in body) return { what, place, why: body.why }
  note('taken', `${request.method} ${shownPath(list.url.path)}`)
  for (const text of request.open ?? []) note('open', text)
  const taken = credentials.taken.filter(text => text !== 'cookies' || options.keepsCookies)
  if (taken.length > 0) note('taken', `credentials as references: ${taken.join(', ')}`)
  if (!options.keepsCookies && credentials.cookies.length > 0 && credentials.auth == null) {
    note('open', 'the browser sent cookies, which are left out; if the API needs them, add an `auth`')
  }
  const paging = pagingOf(list)
  note(paging.certainty, paging.why, '.endpoint.paginator')
  if (list.varied.length > 0)
    note('open', `left out, because their values differ: ${list.varied.join(', ')}`, '.endpoint.params')
  const differs = list.variedBody.filter(path => !Object.values(paging.paginator ?? {}).includes(path))
  if (differs.length > 0)
    note(
      'open',
      `its requests have different values for ${differs.join(', ')} of the body; the file has those of the first one`,
    )
  const params = {
    ...requestParams(credentials.query.filter(([param]) => !paging.sends.includes(param))),
    ...credentials.secretParams,
  }
  const settled = Object.fromEntries(
    Object.entries(params).map(([param, value]) => [param, settledParam(value, param, secrets)]),
  )
  const keys = keysOf(list, note)
  const selector = list.answer?.selector
  if (selector === undefined) note('assumed', ABSENT_KEYS.data_selector, '.endpoint.data_selector')
  else note('taken', `data_selector ${selector.path}: ${selector.why}`)
  const endpoint = {
    path: path.text,
    ...(request.method !== 'GET' && { method: request.method }),
    ...(Object.keys(credentials.headers).length > 0 && { headers: credentials.headers }),
    ...(Object.keys(settled).length > 0 && { params: settled }),
    ...body.keys,
    ...(paging.paginator !== undefined && { paginator: paging.paginator }),
    ...(selector !== undefined && { data_selector: selector.path }),
  }
  return { list, keys, endpoint, credentials, notes }
}

type Note = (kind: ImportNote['kind'], text: string, key?: string, stopsRun?: boolean) => void

/** Values of the path are escaped already; those of credentials are references. */
function settledParam(value: string | readonly string[], name: string, secrets: SecretNames): string | string[] {
  const settle = (text: string): string =>
    replacingVariables(text, variable => secrets.reference(variable, `query parameter ${name}`, `\uE000${variable}`))
  return typeof value === 'string' ? settle(value) : value.map(settle)
}

function keysOf({ name, answer, records }: RequestList, note: Note): Record<string, unknown> {
  const keys = candidateKeys(records, name)
  const [key] = keys
  const columns = doubleHints(mixedNumbers(records))
  if (key !== undefined) {
    note('assumed', `different in each of ${records.length} records`, '.primary_key')
    return { name, primary_key: key, write_disposition: 'merge', ...columns }
  }
  const why =
    answer === undefined ? 'the source has no answer to find a key in' : 'no field is different in every record'
  note('assumed', `${REPLACES}: ${why}. With a primary_key, \`merge\` keeps it`, '.write_disposition')
  return { name, write_disposition: 'replace', ...columns }
}

function pathOf(
  list: RequestList,
  from: number,
  parents: readonly RequestList[],
  secrets: SecretNames,
  note: Note,
): { readonly text: string } | { readonly why: string } {
  const parts: string[] = []
  let bound: RequestList | undefined
  for (const [index, segment] of list.segments.entries()) {
    if (index < from) continue
    const id = list.ids.find(id => id.index === index)
    if (id !== undefined) {
      const found = parentOf(list, id, parents)
      if (found === undefined)
        return { why: 'its path holds the id of a record, and the list of that record is not in the source' }
      if (bound !== undefined && bound !== found.parent) return { why: 'its path holds ids of several lists' }
      bound = found.parent
      parts.push(`{resources.${found.parent.name}.${found.field}}`)
      note(
        found.certainty,
        `one list for each record of ${found.parent.name}, by its \`${found.field}\``,
        '.endpoint.path',
      )
    } else if (isSecret('', segment)) {
      return { why: 'its path holds a secret, and a document has no place for one there' }
    } else if (hasVariable(segment)) {
      parts.push(replacingVariables(withMarks(segment), variable => `\${env.${environmentName(variable)}}`))
    } else parts.push(templateText(segment, secrets, 'part of the path'))
  }
  return { text: parts.join('/') }
}

function withMarks(text: string): string {
  return escapedReferences(text.replace(/[{}]/g, '$&$&'))
}

function bodyOf({
  body,
  method,
}: SourceRequest): { readonly keys: Readonly<Record<string, unknown>> } | { readonly why: string } {
  if (body === undefined || method === 'GET') return { keys: {} }
  if (body.kind === 'parts') return { why: 'it sends a form in parts or a file, which reads no list' }
  const text = JSON.stringify(body.kind === 'json' ? body.value : body.kind === 'form' ? body.pairs : body.text)
  const hidden = variablesOf(text).find(name => isSecret(name, 'a value'))
  if (hidden !== undefined) return { why: `its body holds a secret, the variable ${hidden}` }
  if (body.kind === 'json') {
    const { query, variables, operationName } = (body.value ?? {}) as Record<string, unknown>
    if (typeof query === 'string' && /^\s*(?:#.*\n\s*)*mutation\b/.test(query))
      return { why: 'a mutation of GraphQL reads no list' }
    if (typeof query === 'string' && /[{]/.test(query)) {
      const secret = secretKey(variables) ?? secretNameIn(query)
      if (secret !== undefined) return { why: `its query holds a secret, \`${secret}\`` }
      return {
        keys: {
          json: withVariables(
            templated({
              query,
              ...(variables != null && { variables }),
              ...(operationName != null && { operationName }),
            }),
          ),
        },
      }
    }
    const secret = secretKey(body.value)
    if (secret !== undefined)
      return { why: `its body holds a secret, \`${secret}\`; write an \`auth\` of the type \`login\` if it is a login` }
    if (typeof body.value !== 'object' || body.value === null || Array.isArray(body.value))
      return { why: 'its body is no JSON object' }
    return { keys: { json: withVariables(templated(body.value)) } }
  }
  if (body.kind === 'form') {
    const secret = body.pairs.find(([name, value]) => isSecret(name, value))
    if (secret !== undefined) return { why: `its body holds a secret, \`${secret[0]}\`` }
    return { keys: { data: withVariables(requestParams(body.pairs)) } }
  }
  const secret = secretNameIn(body.text)
  if (secret !== undefined) return { why: `its body holds a secret, \`${secret}\`` }
  if (isSecret('', body.text)) return { why: 'its body holds a secret' }
  return { keys: { data: withVariables(withMarks(body.text)) } }
}

function secretKey(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  for (const [name, item] of Object.entries(value)) {
    if (typeof item === 'string' && item !== '' && isSecret(Array.isArray(value) ? '' : name, item)) return name
    if (typeof item === 'number' && /passw|secret/i.test(name)) return name
    // Data within a text of its own.
    const inner = typeof item === 'string' && /^\s*[[{<]/.test(item) ? secretNameIn(item) : secretKey(item)
    if (inner !== undefined) return inner
  }
  return undefined
}

/** A value with variables as references, in all of its texts. */
function withVariables(value: unknown): unknown {
  if (typeof value === 'string') return replacingVariables(value, variable => `\${env.${environmentName(variable)}}`)
  if (Array.isArray(value)) return value.map(withVariables)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withVariables(item)]))
}

/** Texts of a body with their braces and references as they are meant. */
function templated(value: unknown): unknown {
  if (typeof value === 'string') return withMarks(value)
  if (Array.isArray(value)) return value.map(templated)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, templated(item)]))
}
