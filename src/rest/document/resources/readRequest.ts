import { numberLiteral, setMember, setNumberLiteral } from '../../../json/value.js'
import { Secret } from '../../../model/secrets/secret.js'
import { writtenPathValue } from '../../request/placeholders.js'
import type { ClientConfig, EndpointConfig, GraphqlConfig } from '../declaration/configTypes.js'
import type {
  BodyTemplate,
  CredentialsModel,
  FieldTemplate,
  HeaderTemplate,
  ReadingModel,
  Template,
  ValueTemplate,
} from '../model.js'
import { formatPath, type Problems, type PropertyPath } from '../problems.js'
import type { MergedResource } from './mergeResource.js'
import { checkPath, isIncrementalParam } from './readIncremental.js'
import { notJson, type TemplateReader } from './templates.js'

/** How the bytes of an answer become records. */
export function readingOf({ endpoint, where }: MergedResource, problems: Problems): ReadingModel {
  const { format, encoding, columns_from: columnsFrom, key_column: keyColumn, null_values: nullValues } = endpoint
  if (typeof columnsFrom === 'string') checkPath(columnsFrom, where('endpoint', 'columns_from'), problems)
  else refuseTwice(columnsFrom ?? [], where('endpoint', 'columns_from'), problems)
  if (keyColumn != null && (endpoint.data_selector ?? '') === '') {
    problems.add(
      where('endpoint', 'key_column'),
      'needs `data_selector`: the path of the map, `$` where it is the whole body',
    )
  }
  if (format != null && typeof format === 'object' && 'header' in format && Array.isArray(format.header)) {
    refuseTwice(format.header, where('endpoint', 'format', 'header'), problems)
  }
  const type = typeof format === 'string' ? format : format?.type
  if (type === 'xml' && (endpoint.data_selector ?? '') === '') {
    problems.add(
      where('endpoint', 'format'),
      'XML needs `data_selector`, which begins with the outermost element, as in `rss.channel.item`',
    )
  }
  return {
    format: format == null ? undefined : typeof format === 'string' ? { type: format } : format,
    encoding: encoding ?? undefined,
    columnsFrom: columnsFrom ?? undefined,
    keyColumn: keyColumn ?? undefined,
    nullValues: nullValues ?? undefined,
  }
}

function refuseTwice(names: readonly string[], at: ReturnType<MergedResource['where']>, problems: Problems): void {
  const twice = names.findIndex((name, index) => names.indexOf(name) !== index)
  if (twice >= 0) problems.add([...at, twice], 'is there already; each column needs a name of its own')
}

/** The body of a GraphQL request. Braces of the query are text, those of the variables may be placeholders. */
function graphqlBody(
  merged: MergedResource,
  { query, variables, operation_name: operation, connection }: GraphqlConfig,
  reader: TemplateReader,
  problems: Problems,
): BodyTemplate {
  const { endpoint } = merged
  const at = merged.where('endpoint', 'graphql')
  for (const key of ['json', 'data'] as const) {
    if (endpoint[key] != null)
      problems.add(merged.where('endpoint', key), 'cannot be combined with `graphql`, which is the body')
  }
  if (endpoint.method != null && endpoint.method !== 'POST')
    problems.add(merged.where('endpoint', 'method'), 'must be POST with `graphql`')
  if (connection != null) checkPath(connection, [...at, 'connection'], problems)
  const text = (value: string): ValueTemplate => ({ kind: 'text', template: [value] })
  const member = (key: string, value: ValueTemplate) => ({ key: [key], value })
  const value: ValueTemplate = {
    kind: 'object',
    entries: [
      member('query', text(query)),
      ...(operation == null ? [] : [member('operationName', text(operation))]),
      ...(variables == null ? [] : [member('variables', reader.value(variables, [...at, 'variables']))]),
    ],
  }
  return { kind: 'json', value, path: formatPath(at) }
}

/** The paginator of a Relay connection, as it would be written. Undefined if the document names no connection. */
export function relayPaginator({ graphql }: EndpointConfig) {
  if (graphql?.connection == null) return undefined
  const { connection, cursor_variable: variable } = graphql
  return {
    type: 'cursor',
    cursor_path: `${connection}.pageInfo.endCursor`,
    cursor_body_path: `variables.${variable ?? 'after'}`,
    has_more_path: `${connection}.pageInfo.hasNextPage`,
  } as const
}

/** Where the records of a Relay connection are. */
export function relaySelector({ graphql }: EndpointConfig): string | undefined {
  return graphql?.connection == null ? undefined : `${graphql.connection}.nodes`
}

/** The parts of an endpoint's requests. */
export interface RequestParts {
  readonly url: Template
  readonly suspicions: readonly string[]
  readonly params: readonly FieldTemplate[]
  readonly headers: readonly HeaderTemplate[]
  readonly body: BodyTemplate | undefined
  readonly credentials: CredentialsModel
}

interface ResolveParam {
  readonly type: 'resolve'
  readonly resource: string
  readonly field: string
}

/** Reads path, parameters, headers and body of an endpoint. */
export function requestOf(
  merged: MergedResource,
  client: ClientConfig,
  reader: TemplateReader,
  problems: Problems,
): RequestParts {
  const bound = new Set<string>()
  const url = urlOf(merged, reader, bound, problems)
  const params = paramsOf(merged, reader, bound, problems)
  const headers = headersOf(merged, client, reader, problems)
  const body = bodyOf(merged, reader, problems)
  return {
    url,
    suspicions: leftOver(merged),
    params: params.fields,
    headers: headers.templates,
    body: body?.body,
    credentials: { headers: headers.secrets, params: params.secrets, body: body?.secrets ?? [] },
  }
}

function urlOf(merged: MergedResource, reader: TemplateReader, bound: Set<string>, problems: Problems): Template {
  const params = merged.endpoint.params ?? {}
  const at = merged.where('endpoint', 'path')
  return reader.text(merged.endpoint.path, at, name => {
    const value: unknown = Object.hasOwn(params, name) ? params[name] : undefined
    const valueAt = merged.where('endpoint', 'params', name)
    if (value === undefined) {
      problems.add(at, `\`{${name}}\` needs \`params.${name}\`, or must be \`{resources.<resource>.<field>}\``)
      return undefined
    }
    bound.add(name)
    if (isResolveParam(value)) {
      if (value.resource.includes('.')) problems.add([...valueAt, 'resource'], 'must not contain a dot')
      reader.mention(value.resource, value.field, [...valueAt, 'resource'])
      return [{ expression: `resources.${value.resource}.${value.field}` }]
    }
    // Text of the document is sent as written. Only values from an API are encoded.
    if (typeof value === 'string') {
      return reader.text(value, valueAt).map(part => (typeof part === 'string' ? writtenPathValue(part) : part))
    }
    if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean') {
      return [numberLiteral(params, name) ?? String(value)]
    }
    problems.add(valueAt, 'stands in the path, so it must be text, a number, a boolean or `type: resolve`')
    return undefined
  })
}

/** Placeholders of Jinja, as in other tools. Here they are plain braces. */
function leftOver(merged: MergedResource): string[] {
  const place = formatPath(merged.where('endpoint', 'path'))
  return [...merged.endpoint.path.matchAll(/\{\{\s*([^{}]*?)\s*\}\}/g)].map(
    ([written, name]) =>
      `${place}: \`${written}\` is sent as the text \`${written.slice(1, -1)}\`, as a doubled brace stands for one; a placeholder has single braces: \`{${name}}\``,
  )
}

function isResolveParam(value: unknown): value is ResolveParam {
  return typeof value === 'object' && value !== null && (value as { type?: unknown }).type === 'resolve'
}

function paramsOf(merged: MergedResource, reader: TemplateReader, bound: ReadonlySet<string>, problems: Problems) {
  const fields: FieldTemplate[] = []
  const secrets: [string, Secret][] = []
  for (const [name, value] of Object.entries(merged.endpoint.params ?? {})) {
    if (bound.has(name) || value === undefined || isIncrementalParam(value)) continue
    const at = merged.where('endpoint', 'params', name)
    if (value instanceof Secret) secrets.push([name, value])
    else if (isResolveParam(value)) problems.add(at, `is not used: the path has no \`{${name}}\``)
    else {
      const literal = numberLiteral(merged.endpoint.params ?? {}, name)
      fields.push({ name: reader.text(name, at), value: reader.value(value, at, literal), path: formatPath(at) })
    }
  }
  return { fields, secrets: Object.fromEntries(secrets) }
}

function headersOf(merged: MergedResource, client: ClientConfig, reader: TemplateReader, problems: Problems) {
  const found = new Map<string, HeaderTemplate | { readonly name: string; readonly secret: Secret }>()
  for (const [name, value] of Object.entries(client.headers ?? {})) {
    const at = ['client', 'headers', name]
    if (value === undefined || !checkHeader(name, value, at, problems)) continue
    const entry =
      value instanceof Secret
        ? { name, secret: value }
        : { name: [name], value: [value as string], path: formatPath(at) }
    found.set(name.toLowerCase(), entry)
  }
  for (const [name, value] of Object.entries(merged.endpoint.headers ?? {})) {
    const at = merged.where('endpoint', 'headers', name)
    if (value === undefined || !checkHeader(name, value, at, problems)) continue
    if (value instanceof Secret) {
      found.set(name.toLowerCase(), { name, secret: value })
      continue
    }
    const text =
      value === null ? null : reader.text(numberLiteral(merged.endpoint.headers ?? {}, name) ?? String(value), at)
    found.set(name.toLowerCase(), { name: reader.text(name, at), value: text, path: formatPath(at) })
  }
  const templates = [...found.values()].filter(entry => !('secret' in entry))
  const secrets = [...found.values()].flatMap(entry => ('secret' in entry ? [[entry.name, entry.secret] as const] : []))
  return { templates: templates as HeaderTemplate[], secrets: Object.fromEntries(secrets) }
}

/** The value is never shown, because it may be a credential. */
function checkHeader(name: string, value: unknown, at: PropertyPath, problems: Problems): boolean {
  if (!name.includes('{') && !/^[!#$%&'*+.^_`|~\w-]+$/.test(name)) {
    problems.add(at, 'is not the name of a header: letters, digits and `-` only')
    return false
  }
  if (typeof value === 'string' && /[\r\n\0]/.test(value)) {
    problems.add(at, 'a header holds no line breaks')
    return false
  }
  return true
}

interface ReadBody {
  readonly body: BodyTemplate
  readonly secrets: CredentialsModel['body']
}

function bodyOf(merged: MergedResource, reader: TemplateReader, problems: Problems): ReadBody | undefined {
  const { json, data, graphql } = merged.endpoint
  if (graphql != null) return { body: graphqlBody(merged, graphql, reader, problems), secrets: [] }
  const jsonAt = merged.where('endpoint', 'json')
  const dataAt = merged.where('endpoint', 'data')
  if (data instanceof Secret) {
    problems.add(dataAt, notJson(data))
    return undefined
  }
  const hasData = data != null && !(typeof data === 'object' && Object.keys(data).length === 0) && data !== ''
  if (json != null && hasData) problems.add(dataAt, 'a request has one body: `json` is given too')
  if (json != null) {
    const { plain, secrets } = withoutSecrets(json)
    return { body: { kind: 'json', value: reader.value(plain, jsonAt), path: formatPath(jsonAt) }, secrets }
  }
  if (!hasData) return undefined
  if (typeof data === 'string')
    return { body: { kind: 'text', text: reader.text(data, dataAt), path: formatPath(dataAt) }, secrets: [] }
  const { plain, secrets } = withoutSecrets(data)
  const pairs = formPairs(plain, dataAt)
  if (pairs === undefined) {
    problems.add(dataAt, 'expected text, a map, or a list of pairs of name and value')
    return undefined
  }
  const fields = pairs.map(({ name, value, literal, at }) => {
    const isMap = typeof value === 'object' && value !== null && !Array.isArray(value)
    if (isMap)
      problems.add(
        at,
        value instanceof Secret ? notJson(value) : 'a form field is text, a number, a boolean or a list of these',
      )
    return { name: reader.text(name, at), value: reader.value(isMap ? null : value, at, literal), path: formatPath(at) }
  })
  return { body: { kind: 'form', fields, path: formatPath(dataAt) }, secrets }
}

/** A map without its members that are secrets, at any depth, and these members. Numbers keep their spelling. */
function withoutSecrets(
  value: unknown,
  keys: readonly string[] = [],
): { plain: unknown; secrets: CredentialsModel['body'] } {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || value instanceof Secret)
    return { plain: value, secrets: [] }
  const plain: Record<string, unknown> = {}
  const secrets: CredentialsModel['body'][number][] = []
  for (const [key, member] of Object.entries(value)) {
    if (member instanceof Secret) {
      secrets.push({ keys: [...keys, key], secret: member })
      continue
    }
    const inner = withoutSecrets(member, [...keys, key])
    secrets.push(...inner.secrets)
    setMember(plain, key, inner.plain)
    setNumberLiteral(plain, key, numberLiteral(value, key))
  }
  return { plain, secrets }
}

interface FormPair {
  readonly name: string
  readonly value: unknown
  readonly literal: string | undefined
  readonly at: PropertyPath
}

function formPairs(data: unknown, at: PropertyPath): FormPair[] | undefined {
  if (typeof data !== 'object' || data === null) return undefined
  if (!Array.isArray(data)) {
    return Object.entries(data).map(([name, value]) => {
      return { name, value, literal: numberLiteral(data, name), at: [...at, name] }
    })
  }
  const pairs: FormPair[] = []
  for (const [position, pair] of data.entries()) {
    if (!Array.isArray(pair) || pair.length !== 2 || typeof pair[0] !== 'string') return undefined
    pairs.push({ name: pair[0], value: pair[1], literal: numberLiteral(pair, 1), at: [...at, position] })
  }
  return pairs
}
