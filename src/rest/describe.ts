import { stringifyJson } from '../json/write.js'
import type { Decision, IncrementalWindow, PartitionHint, ResourceDescription } from '../model/source.js'
import { count } from '../model/verdict.js'
import type { ApiRequest } from './api.js'
import { carriedBy } from './auth/authKinds.js'
import type {
  AuthModel,
  EndpointModel,
  FieldTemplate,
  JobModel,
  PaginatorModel,
  RestModel,
  ShapeModel,
  Template,
  ValueTemplate,
} from './document/model.js'
import { conditionText, waitText } from './http/answerCondition.js'
import { redactUrl } from './http/redact.js'
import { requestUrl, wireBody, withBodyMember } from './http/wire.js'
import type { NestedOutline } from './list/answer/completeNested.js'
import type { ListOutline } from './list/listReader.js'
import { hasToken } from './list/tokenWindow.js'
import { applyPatch, conversionOf, firstRequest } from './request/request.js'

/**
 * Describes the first request of a resource and how the rest of its list is found. Sends nothing. If a required value
 * is missing, it fails like the request itself.
 */
export function describeEndpoint(
  reader: ListOutline,
  nested: readonly NestedOutline[],
  { client }: RestModel,
  window: IncrementalWindow | undefined,
): ResourceDescription {
  const { resource } = reader
  const read = hasToken(reader, window) ? (reader.changes ?? reader) : reader
  const { endpoint } = read.resource
  const { attempts, statuses, onConnectionError, baseMs, factor, maxDelayMs } = endpoint.retry
  return {
    request: describeRequest(read, window),
    initialToken: initialTokenText(reader),
    changes: read === reader && reader.changes !== undefined ? changesText(reader.changes) : undefined,
    paginator: paginatorDecision(endpoint),
    selector: selectorDecision(endpoint),
    format: formatText(endpoint.reading),
    mask: resource.mask?.rules.map(({ text, kind }) => `${text}: ${kind}`).join(', '),
    shape: resource.shape && shapeText(resource.shape),
    job: endpoint.job === undefined ? undefined : jobText(endpoint.job),
    completes: nested.map(completionText),
    answers: answerTexts(endpoint),
    onNull: endpoint.onNull,
    auth: authDecision(endpoint),
    retry: { attempts, statuses, onConnectionError, baseMs, factor, maxDelayMs },
    timeoutMs: endpoint.timeoutMs,
    maxPages: endpoint.maxPages,
    maxRecords: endpoint.maxRecords,
    maxMs: endpoint.maxMs,
    batchSize: endpoint.batch?.size,
    partition: endpoint.partition && partitionText(endpoint.partition),
    ...changeOf(endpoint),
    smallestPage: endpoint.adapt?.min,
    concurrency: client.concurrency ?? client.rateLimit?.maxConcurrency,
    rateLimit: client.rateLimit,
  }
}

/** What decides for which records of the parent its list is read. */
function changeOf({ parentChanged: hint }: EndpointModel): Pick<ResourceDescription, 'parentChanged' | 'parentNewer'> {
  if (hint === undefined) return {}
  const by = hint.by?.join(', ')
  return hint.isOrdered === true ? { parentNewer: by } : { parentChanged: by ?? 'anything' }
}

function partitionText(partition: PartitionHint): string {
  switch (partition.by) {
    case 'values':
      return 'each record of the parent'
    case 'parents':
      return `records of the parent in ${partition.slices} slices`
    case 'pages':
      return `${count(partition.pages, 'page')} of the list each`
  }
}

function describeRequest(reader: ListOutline, window: IncrementalWindow | undefined): ResourceDescription['request'] {
  const { resource, baseUrl, scrubber } = reader
  const { endpoint, incremental, name } = resource
  const scope = { resource: name, window, convert: conversionOf(incremental, name) }
  const first = firstRequest(baseUrl, withoutParent(endpoint), incremental, scope)
  const patch = reader.paginator?.first
  const patched = patch === undefined ? first : applyPatch(first, patch)
  const request = endpoint.credentials.body.reduce((made, { keys }) => withBodyMember(made, keys, '***'), patched)
  const credentials = credentialNames(endpoint)
  const url = requestUrl({ ...request, params: [...request.params, ...credentials.params.map(mask)] })
  const headers: Record<string, string> = {}
  for (const [header, value] of Object.entries(request.headers)) {
    if (value !== null) headers[header] = CREDENTIAL_HEADER.test(header) ? '***' : scrubber.text(value)
  }
  for (const header of credentials.headers) headers[header] = '***'
  return {
    method: request.method,
    url: shownUrl(redactUrl(url, scrubber), endpoint),
    headers,
    body: request.body === undefined ? undefined : scrubber.text(bodyText(request)),
  }
}

/** Headers that usually carry credentials, even if the document has them as plain text. */
const CREDENTIAL_HEADER = /auth|token|secret|cookie|key|session|signature|password/i

function mask(name: string): readonly [string, string] {
  return [name, '***']
}

function bodyText({ body }: ApiRequest): string {
  return body === undefined ? '' : wireBody(body).text
}

/** Headers and query parameters that signing will add. */
function credentialNames({ auth, credentials }: EndpointModel) {
  const headers = Object.keys(credentials.headers)
  const params = Object.keys(credentials.params)
  if (auth?.kind !== 'declared') return { headers, params }
  const carried = carriedBy(auth)
  return { headers: [...headers, ...(carried.headers ?? [])], params: [...params, ...(carried.params ?? [])] }
}

/** Placeholder for a URL that begins with a field of the parent. */
const ELSEWHERE = 'https://url-of-the-parent.invalid'

/** Replaces placeholders for the parent's record by their own text. */
function withoutParent(endpoint: EndpointModel): EndpointModel {
  const [start, ...rest] = endpoint.url
  const startsElsewhere = typeof start === 'object' && isOfParent(start.expression)
  const url: Template = startsElsewhere ? [ELSEWHERE, ...literalTemplate(rest)] : literalTemplate(endpoint.url)
  const { body } = endpoint
  return {
    ...endpoint,
    url,
    params: endpoint.params.map(literalField),
    headers: endpoint.headers.map(header => ({
      ...header,
      name: literalTemplate(header.name),
      value: header.value === null ? null : literalTemplate(header.value),
    })),
    body:
      body?.kind === 'json'
        ? { ...body, value: literalValue(body.value) }
        : body?.kind === 'form'
          ? { ...body, fields: body.fields.map(literalField) }
          : body?.kind === 'text'
            ? { ...body, text: literalTemplate(body.text) }
            : undefined,
  }
}

function isOfParent(expression: string): boolean {
  return expression.startsWith('resources.')
}

function literalTemplate(template: Template): Template {
  return template.map(part => (typeof part === 'object' && isOfParent(part.expression) ? `{${part.expression}}` : part))
}

function literalField(field: FieldTemplate): FieldTemplate {
  return { ...field, name: literalTemplate(field.name), value: literalValue(field.value) }
}

function literalValue(value: ValueTemplate): ValueTemplate {
  switch (value.kind) {
    case 'literal':
      return value
    case 'text':
      return { ...value, template: literalTemplate(value.template) }
    case 'list':
      return { ...value, items: value.items.map(literalValue) }
    case 'object':
      return {
        ...value,
        entries: value.entries.map(({ key, value: member }) => ({
          key: literalTemplate(key),
          value: literalValue(member),
        })),
      }
  }
}

/** Shows placeholders and `***` readably, not encoded as in a query. */
function shownUrl(url: string, { url: template }: EndpointModel): string {
  const shown = url.replaceAll('%2A%2A%2A', '***').replace(/%7B(resources\.[^&]*?)%7D/gi, (whole, inner: string) => {
    try {
      return `{${decodeURIComponent(inner)}}`
    } catch {
      return whole
    }
  })
  const [start] = template
  return typeof start === 'object' ? shown.replace(ELSEWHERE, `{${start.expression}}`) : shown
}

function paginatorDecision(endpoint: EndpointModel): Decision {
  const { paginator } = endpoint
  if (paginator.kind === 'auto') return { value: 'looked for in the first answer', because: 'detected' }
  const { path } = paginator
  if (paginator.kind === 'custom') return { value: 'a paginator of the document', ...decidedAt(path, endpoint) }
  if (endpoint.singleEntity && paginator.type === 'single_page' && !path.endsWith('.paginator')) {
    return { value: 'single_page', because: 'single_entity', path }
  }
  return { value: oneLine(paginator), ...decidedAt(path, endpoint) }
}

function oneLine({ type, config }: Extract<PaginatorModel, { kind: 'declared' }>): string {
  const set = Object.entries(config).filter(([key, value]) => key !== 'type' && value !== undefined && value !== null)
  return [type, ...set.map(([key, value]) => `${key}: ${plain(value)}`)].join(', ')
}

function plain(value: unknown): string {
  return typeof value === 'object' ? stringifyJson(value as Parameters<typeof stringifyJson>[0]) : String(value)
}

function selectorDecision({ dataSelector, singleEntity, path }: EndpointModel): Decision {
  if (dataSelector === undefined) return { value: 'looked for in the first answer', because: 'detected' }
  if (singleEntity && dataSelector === '$') return { value: '$', because: 'single_entity', path: `${path}.path` }
  return { value: dataSelector, because: 'configured' }
}

function jobText({ poll, everyMs, timeoutMs, done, download, urlPath }: JobModel): string {
  const look = `${poll.method} ${poll.path} every ${everyMs / 1000} s for ${timeoutMs / 1000} s at most`
  const result = download === undefined ? `the URL at ${urlPath}` : `GET ${download.path}`
  return `${look}, until it is ${done.join(' or ')}; then ${result}`
}

/** What the document says of certain answers, each in one line. */
function answerTexts({ responseActions, retry }: EndpointModel): readonly string[] {
  const actions = responseActions.map(action => {
    const what = typeof action.action === 'string' ? action.action : 'a function'
    const wait = action.waitFrom === undefined ? '' : `, waiting as ${waitText(action.waitFrom)} says`
    const text = action.message === undefined ? '' : `, ${JSON.stringify(action.message)}`
    return `${what} for ${conditionText(action) || 'any'}${wait}${text}`
  })
  const retried = [
    ...(retry.when ?? []).map(conditionText),
    ...(retry.bodyContains ?? []).map(text => `${JSON.stringify(text)} in the body`),
  ]
  const wait = retry.waitFrom === undefined ? [] : [`waits as ${waitText(retry.waitFrom)} says`]
  return [...actions, ...retried.map(text => `retry for ${text}`), ...wait]
}

/** The window of a run that has a token, for what would be asked then. */
const WITH_TOKEN: IncrementalWindow = { cursorPath: '', lastValue: '<token>' }

function changesText(changes: ListOutline): string {
  const { method, url } = describeRequest(changes, WITH_TOKEN)
  return `by later runs, since the token: ${method} ${url.replaceAll('%3Ctoken%3E', '<token>')}`
}

function initialTokenText(reader: ListOutline): string | undefined {
  const { initial } = reader.resource.incremental?.token ?? {}
  if (initial === undefined) return undefined
  const tokenReader = { ...reader, resource: { ...reader.resource, endpoint: initial.endpoint }, paginator: undefined }
  const { method, url } = describeRequest(tokenReader, undefined)
  return `${initial.tokenPath} of ${method} ${url}, before the list is first read`
}

function completionText({ list, reader }: NestedOutline): string {
  const { method, url } = describeRequest(reader, undefined)
  const { when, hasMorePath, totalPath } = list
  const signs = [
    ...(when === undefined ? [] : [when]),
    ...(hasMorePath === undefined ? [] : [`${hasMorePath} is true`]),
    ...(totalPath === undefined ? [] : [`${totalPath} is more than there is`]),
  ]
  return `${list.names.join('.')}, where ${signs.join(', or ')}: ${method} ${url}`
}

/** The declared keys of a body, in one line. Undefined if there are none. */
function formatText({
  format,
  encoding,
  columnsFrom,
  keyColumn,
  nullValues,
}: EndpointModel['reading']): string | undefined {
  const { type, ...options } = format ?? {}
  const keys = { ...options, encoding, columns_from: columnsFrom, key_column: keyColumn, null_values: nullValues }
  const set = Object.entries(keys).filter(([, value]) => value != null)
  const words = [...(type === undefined ? [] : [type]), ...set.map(([key, value]) => `${key}: ${plain(value)}`)]
  return words.length === 0 ? undefined : words.join(', ')
}

/** The keys that change records, in the order in which they do. Undefined if there are none. */
function shapeText({ filter, add, rename, select, drop }: ShapeModel): string | undefined {
  const pairs = (map: Readonly<Record<string, string>>, sign: string): string =>
    Object.entries(map)
      .map(([name, value]) => `${name} ${sign} ${value}`)
      .join(', ')
  const words = [
    filter === undefined ? '' : `filter: ${filter}`,
    Object.keys(add).length === 0 ? '' : `add: ${pairs(add, '=')}`,
    Object.keys(rename).length === 0 ? '' : `rename: ${pairs(rename, 'to')}`,
    select === undefined ? '' : `select: ${select.join(', ')}`,
    drop.length === 0 ? '' : `drop: ${drop.join(', ')}`,
  ].filter(word => word !== '')
  return words.length === 0 ? undefined : words.join('; ')
}

function authDecision(endpoint: EndpointModel): Decision {
  const { auth, credentials } = endpoint
  if (auth !== undefined) return { value: authText(auth), ...decidedAt(auth.path, endpoint) }
  const { headers, params, body } = credentials
  const secrets = Object.keys(headers).length + Object.keys(params).length + body.length
  if (secrets > 0) return { value: 'secrets in headers, params or the body', because: 'configured' }
  return { value: 'none', because: 'default' }
}

function authText(auth: AuthModel): string {
  if (auth.kind === 'custom') return 'an authenticator of the document'
  const { name, location } = auth.config
  return auth.type === 'api_key' ? `api_key, ${String(name)} in ${String(location)}` : auth.type
}

function decidedAt(path: string, endpoint: EndpointModel): Pick<Decision, 'because' | 'path'> {
  return { because: path.startsWith(`${endpoint.path}.`) ? 'configured' : 'inherited', path }
}
