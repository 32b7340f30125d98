import { fileError } from '../../../config/file/documentFile.js'
import { nearMiss } from '../../../model/texts/nearMiss.js'
import { nameFrom } from '../../document/pipelineName.js'
import { asTemplate } from '../../draft/draftYaml.js'
import {
  type Imported,
  type ImportedSecret,
  type ImportInput,
  type ImportNote,
  type LeftOut,
  MOST_LISTS,
} from '../../imported.js'
import { CONCEALED, isSecret, TOKENS_WITHIN } from '../../requests/credentials.js'
import { listOf, type Members, membersOf, sourceData, textOf } from '../../sourceData.js'
import { authOf, easiest, type FoundAuth, schemesOf } from './chooseAuth.js'
import { type FoundPaginator, findPaginator } from './findPaginator.js'
import { type FoundRecords, findRecords } from './findRecords.js'
import { Schemas } from './openapiSchemas.js'
import { type Operation, operationsOf } from './operations.js'
import { columnHints, cursorCandidate, primaryKey } from './recordHints.js'
import { requiredValues, secretOf } from './requestValues.js'
import { type ResolvedPath, resolvePaths } from './resolvePaths.js'
import { resourceNames, singular } from './resourceNames.js'
import { listedServer, type Server, serverOf } from './servers.js'

/** A pipeline of the lists in an OpenAPI document (3.0, 3.1) or a Swagger one (2.0). Nothing is fetched. */
export function importOpenapi(input: ImportInput): Imported {
  const shown = input.file ?? 'openapi'
  // No description of an API needs a token. Names are made of its words, so that one would be lost among them.
  const data = sourceData(input.text.replace(TOKENS_WITHIN, CONCEALED), shown)
  return importDocument(data.value, input, path => data.lineOf(path))
}

type LineOf = (path: readonly (string | number)[]) => number | undefined

/** The same of a document that is parsed. */
export function importDocument(
  value: unknown,
  input: Omit<ImportInput, 'text'>,
  lineOf: LineOf = () => undefined,
): Imported {
  const root = membersOf(value)
  refuseOthers(root, input.file ?? 'openapi')
  const schemas = new Schemas(root)
  const tags = input.tags ?? []
  const paths = input.paths ?? []
  const isWanted = (path: string, own: readonly string[]) =>
    (tags.length === 0 || own.some(tag => tags.includes(tag))) &&
    (paths.length === 0 || paths.some(start => path.startsWith(start)))
  const { read, writing, outside } = operationsOf(root, schemas, isWanted)
  if (read.length === 0 && writing.size === 0 && outside.length === 0) {
    return { pipelines: [], leftOut: [{ what: 'the document', why: nothingWanted(root, tags, paths) }] }
  }
  const placed = (place: string) => ({ path: place, line: lineOf(keysOf(place)) })
  const leftOut: LeftOut[] = outside.map(({ path, reference }) => ({
    what: path,
    place: placed(`paths.${path}`),
    why: `it refers to ${JSON.stringify(reference.slice(0, 100))}, which is not in the document, and is not fetched; bundle the document into one file`,
  }))
  const lists: Listed[] = []
  for (const operation of read) {
    const why = operation.isDeprecated ? 'it is deprecated' : undefined
    const records = why === undefined ? findRecords(operation, schemas) : { reason: why }
    if ('reason' in records)
      leftOut.push({ what: operation.title, place: placed(operation.place), why: records.reason })
    else lists.push({ operation, records })
  }
  for (const [method, count] of writing) {
    leftOut.push({
      what: `${count} ${count === 1 ? 'operation' : 'operations'} with ${method}`,
      why: 'they change data, or are not known to read',
    })
  }
  if (lists.length === 0) return { pipelines: [], leftOut }
  if (lists.length > MOST_LISTS) {
    const file = input.file ?? 'openapi'
    throw fileError(file, `has ${lists.length} lists, more than ${MOST_LISTS}; name some by --tag or --path`)
  }
  const made = new Making(root, schemas, lists, input).pipeline()
  return {
    pipelines: [
      {
        ...made,
        notes: made.notes.map(note =>
          note.place?.path === undefined ? note : { ...note, place: placed(note.place.path) },
        ),
      },
    ],
    leftOut,
  }
}

interface Listed {
  readonly operation: Operation
  readonly records: FoundRecords
}

function refuseOthers(root: Members, shown: string): void {
  const version =
    textOf(root.openapi) ??
    textOf(root.swagger) ??
    (typeof root.swagger === 'number' ? root.swagger.toFixed(1) : undefined)
  if (version === undefined) {
    throw fileError(shown, `is no OpenAPI document: it has neither \`openapi\` nor \`swagger\``)
  }
  if (!/^(?:3\.|2\.0)/.test(version))
    throw fileError(shown, `is of version ${version.slice(0, 20)}; OpenAPI 3 and Swagger 2.0 are read`)
  if (root.paths !== undefined && Object.keys(membersOf(root.paths)).length === 0 && root['x-ms-paths'] === undefined) {
    if (typeof root.paths !== 'object' || root.paths === null || Array.isArray(root.paths))
      throw fileError(shown, '`paths` is no map of paths')
  }
}

function nothingWanted(root: Members, tags: readonly string[], paths: readonly string[]): string {
  const all = Object.entries(membersOf(root.paths))
  if (all.length === 0) return 'it has no paths'
  if (tags.length > 0) {
    const known = new Set(
      all.flatMap(([, item]) =>
        Object.values(membersOf(item)).flatMap(operation => listOf(membersOf(operation).tags).map(String)),
      ),
    )
    const missing = tags.find(tag => !known.has(tag))
    if (missing !== undefined) {
      const near = nearMiss(missing, [...known])
      return `no operation has the tag ${missing}${near === undefined ? '' : `; did you mean ${near}?`}`
    }
  }
  return paths.length > 0
    ? `no ${tags.length > 0 ? 'such operation has a path' : 'path'} that begins with ${paths.join(' or ')}`
    : 'it has no operations'
}

/** `paths./v1/users.get` as keys. Paths may hold dots. */
function keysOf(place: string): string[] {
  const [, path, method] = /^paths\.(.*)\.(\w+)$/s.exec(place) ?? []
  return path === undefined || method === undefined ? place.split('.') : ['paths', path, method]
}

/** Makes one pipeline of the lists of a document. */
class Making {
  readonly #root: Members
  readonly #schemas: Schemas
  readonly #lists: readonly Listed[]
  readonly #name: string
  readonly #prefix: string
  readonly #source: string | undefined
  readonly #server: Server
  readonly #notes: ImportNote[] = []
  readonly #secrets = new Map<string, ImportedSecret>()
  readonly #hosts = new Set<string>()
  /** What lists require, by the names of the schemes, with the scopes of all of them. */
  readonly #requirements = new Map<string, { requirement: Members; count: number }>()
  /** Parameters of the paths of one record, by the path of the list. */
  readonly #items = new Map<string, string[]>()

  constructor(root: Members, schemas: Schemas, lists: readonly Listed[], { name, file }: Omit<ImportInput, 'text'>) {
    this.#root = root
    this.#schemas = schemas
    this.#lists = lists
    this.#source = originOf(root, file)
    this.#name = name ?? pipelineName(root)
    this.#prefix = this.#name.toUpperCase().replace(/\W+/g, '_')
    this.#server = serverOf(root, { source: this.#source, prefix: this.#prefix })
    for (const written of Object.keys(membersOf(root.paths))) {
      const path = written.replace(/[?#].*$/s, '')
      const [, before, parameter] = /^(.*)\/\{([^{}/]+)\}\/?$/.exec(path) ?? []
      if (before === undefined || parameter === undefined) continue
      const key = before.replace(/\{[^{}]*\}/g, '{}')
      this.#items.set(key, [...(this.#items.get(key) ?? []), parameter])
    }
  }

  pipeline() {
    const names = resourceNames(this.#lists.map(({ operation }) => operation))
    const named = this.#lists.map(list => ({
      ...list,
      name: names.get(list.operation) ?? 'list',
      record: list.records.record,
    }))
    const paths = resolvePaths(named, this.#schemas, this.#prefix)
    const shared = this.#sharedAuth()
    const taken = new Map<string, Set<string>>()
    for (const { parent, taken: fields } of paths.values()) {
      if (parent === undefined) continue
      const known = taken.get(parent) ?? new Set()
      for (const field of fields) known.add(field)
      taken.set(parent, known)
    }
    const resources = named.map(list => {
      const path = paths.get(list.name)
      return path === undefined ? {} : this.#resource(list, path, shared, [...(taken.get(list.name) ?? [])])
    })
    const client = {
      base_url: this.#server.baseUrl,
      ...(shared.auth !== undefined && { auth: shared.auth }),
      ...(Object.keys(shared.headers).length > 0 && { headers: shared.headers }),
      ...(this.#hosts.size > 0 && { allowed_hosts: [...this.#hosts] }),
    }
    const target = 'source.client.base_url'
    for (const text of this.#server.open) this.#notes.push({ kind: 'open', text, target, stopsRun: true })
    for (const text of this.#server.assumed) this.#notes.push({ kind: 'assumed', text, target })
    this.#notes.push({
      kind: 'assumed',
      text: 'every run reads the whole lists and replaces the tables',
      target: 'source.resource_defaults.write_disposition',
    })
    return {
      name: this.#name,
      document: { source: { client, resource_defaults: { write_disposition: 'replace' }, resources } },
      notes: this.#notes,
      secrets: [...this.#secrets.values()],
    }
  }

  /** Of the requirements, the one that most lists accept. */
  #sharedAuth(): FoundAuth {
    const { schemes } = schemesOf(this.#root)
    const counts = this.#requirements
    let unsaid = 0
    for (const { operation } of this.#lists) {
      const requirement = this.#requirement(operation)
      if (requirement === undefined) unsaid++
      else if (Object.keys(requirement).length > 0) {
        const key = schemeNames(requirement)
        const known = counts.get(key)
        if (known === undefined) counts.set(key, { requirement, count: 1 })
        else {
          // One token reads all lists, so that it needs the scopes of all.
          known.requirement = withScopes(known.requirement, requirement)
          known.count++
        }
      }
    }
    const [best] = [...counts.values()].sort((a, b) => b.count - a.count)
    const all = Object.keys(schemes)
    const target = 'source.client.auth'
    if (best === undefined) {
      if (unsaid === this.#lists.length && all.length > 0) {
        // The document describes schemes, but no operation asks for one.
        const requirement =
          easiest(
            all.map(name => ({ [name]: [] })),
            { schemes, schemas: this.#schemas },
          ) ?? {}
        return this.#noted(this.#auth(requirement), target)
      }
      const text = all.length === 0 ? 'the document names no authentication' : 'the API needs no authentication'
      this.#notes.push({ kind: unsaid > 0 ? 'assumed' : 'taken', text, target })
      return { auth: undefined, headers: {}, params: {}, secrets: [], notes: [{ kind: 'taken', text }] }
    }
    return this.#noted(this.#auth(best.requirement), target)
  }

  #noted(found: FoundAuth, target: string): FoundAuth {
    for (const note of found.notes) this.#notes.push({ ...note, target })
    for (const secret of found.secrets) this.#secrets.set(secret.name, secret)
    return found
  }

  #requirement({ security }: Operation): Members | undefined {
    if (security === undefined) return undefined
    if (security.length === 0) return {}
    return (
      easiest(
        security.filter(one => Object.keys(one).length > 0),
        { schemes: schemesOf(this.#root).schemes, schemas: this.#schemas },
      ) ?? {}
    )
  }

  #auth(requirement: Members): FoundAuth {
    const { schemes, place } = schemesOf(this.#root)
    const service = textOf(membersOf(this.#root.info)['x-serviceName'])
    return authOf(requirement, {
      schemes,
      place,
      schemas: this.#schemas,
      baseUrl: this.#server.plain,
      service,
      prefix: this.#prefix,
    })
  }

  /** What the key of `paths` sends. A credential there is somebody's own. */
  #fixedValues({ fixed }: Operation): Readonly<Record<string, string>> {
    const value = ([name, text]: [string, string]): [string, string] => {
      if (!isSecret(name, text) && !text.includes(CONCEALED)) return [name, asTemplate(text)]
      const secret = secretOf(name)
      this.#secrets.set(secret, { name: secret, what: `query parameter ${name}` })
      return [name, `\${secrets.${secret}}`]
    }
    return Object.fromEntries(Object.entries(fixed).map(value))
  }

  #resource(
    list: Listed & { readonly name: string },
    path: ResolvedPath,
    shared: FoundAuth,
    fields: readonly string[],
  ) {
    const { name, operation, records } = list
    const at = `source.resources[${JSON.stringify(name)}]`
    const place = { path: operation.place }
    const note = (kind: ImportNote['kind'], text: string, key: string, stopsRun = false): void => {
      this.#notes.push({ kind, resource: name, place, text, target: `${at}${key}`, ...(stopsRun && { stopsRun }) })
    }
    note('taken', titled(operation), '')
    const paginator = findPaginator(operation, records, this.#schemas)
    const own = this.#ownAuth(operation, shared)
    for (const { kind, text, stopsRun } of own?.notes ?? []) note(kind, text, '.endpoint.auth', stopsRun)
    const signed = own ?? shared
    const sent = new Set([
      ...Object.keys(operation.fixed),
      ...paginator.sends,
      ...(signed.auth?.type === 'api_key' ? [String(signed.auth.name)] : []),
      ...Object.keys(signed.params),
      ...Object.keys(signed.headers),
    ])
    const values = requiredValues(operation, this.#schemas, {
      prefix: this.#prefix,
      version: textOf(membersOf(this.#root.info).version),
      sent,
      isSigned: signed.auth !== undefined,
    })
    const of = (where: 'query' | 'header' | 'body') =>
      Object.fromEntries(values.filter(value => value.in === where).map(({ name, value }) => [name, value]))
    const params = {
      ...this.#fixedValues(operation),
      ...signed.params,
      ...(paginator.size !== undefined && { [paginator.size.name]: paginator.size.value }),
      ...of('query'),
    }
    const headers = { ...(own === undefined ? {} : own.headers), ...of('header') }
    const body = of('body')
    const address = this.#address(operation, path.path).replaceAll(CONCEALED, '${secrets.token}')
    const endpoint = {
      path: address,
      ...(operation.method === 'POST' && { method: 'POST' }),
      ...(Object.keys(params).length > 0 && { params }),
      ...(Object.keys(headers).length > 0 && { headers }),
      ...(operation.method === 'POST' && { json: body }),
      ...(own !== undefined && { auth: own.auth ?? null }),
      ...(records.selector !== undefined && { data_selector: records.selector }),
      ...(records.keyColumn !== undefined && { key_column: records.keyColumn }),
      ...(paginator.config !== undefined && { paginator: paginator.config }),
    }
    if (records.assumed !== undefined) note('assumed', records.assumed, '.endpoint.data_selector')
    for (const { kind, text } of path.notes) note(kind, text, '.endpoint.path', kind === 'open')
    for (const { name, in: where, assumed, open, secret } of values) {
      const key = `.endpoint.${where === 'query' ? 'params' : where === 'header' ? 'headers' : 'json'}[${JSON.stringify(name)}]`
      if (assumed !== undefined) note('assumed', assumed, key)
      if (open !== undefined) note('open', open, key, true)
      if (secret !== undefined) this.#secrets.set(secret.name, secret)
    }
    this.#notePaginator(paginator, note)
    const noun = singular(
      operation.path
        .split('/')
        .filter(part => part !== '' && !part.includes('{'))
        .at(-1) ?? '',
    )
    const key =
      records.keyColumn === undefined
        ? primaryKey(
            records.record,
            noun,
            this.#items.get(operation.path.replace(/\{[^{}]*\}/g, '{}').replace(/\/+$/, '')) ?? [],
            this.#schemas,
          )
        : { field: records.keyColumn, why: 'the name of the member' }
    if (key !== undefined) note('assumed', `the key is ${key.field}: ${key.why}`, '.primary_key')
    const cursor = cursorCandidate(records.record, operation.parameters, this.#schemas)
    if (cursor !== undefined) {
      note(
        'assumed',
        `every run reads the whole list. The parameter ${cursor.parameter} may select what is new by ${cursor.field} (docs/incremental.md)`,
        '.endpoint',
      )
    }
    const columns = columnHints(records.record, this.#schemas)
    return {
      name,
      ...(key !== undefined && { primary_key: key.field }),
      ...(fields.length > 0 && { include_from_parent: fields }),
      endpoint,
      ...(Object.keys(columns).length > 0 && { columns }),
    }
  }

  #notePaginator(
    { config, certainty, why }: FoundPaginator,
    note: (kind: ImportNote['kind'], text: string, key: string) => void,
  ): void {
    note(certainty, why, config === undefined ? '.endpoint' : '.endpoint.paginator')
    if (config?.limit === 0) {
      const says = 'no size is sent, and the API decides: the document names none'
      note('assumed', says, '.endpoint.paginator.limit')
    }
  }

  /** Where an operation does not take what the others take. */
  #ownAuth(operation: Operation, shared: FoundAuth): FoundAuth | undefined {
    const { security } = operation
    if (security === undefined || security.length === 0) return undefined
    const requirement = this.#requirement(operation)
    if (requirement === undefined || Object.keys(requirement).length === 0) return undefined
    const all = security.map(one => this.#auth(one))
    const alike = (one: FoundAuth) =>
      JSON.stringify([withoutScope(one.auth), one.params, one.headers]) ===
      JSON.stringify([withoutScope(shared.auth), shared.params, shared.headers])
    if (all.some(alike)) return undefined
    const found = this.#auth(this.#requirements.get(schemeNames(requirement))?.requirement ?? requirement)
    for (const secret of found.secrets) this.#secrets.set(secret.name, secret)
    return found
  }

  /** Relative, unless the operation has a server of its own. */
  #address(operation: Operation, path: string): string {
    const own = listedServer(operation.servers, { source: this.#source, prefix: this.#prefix })
    if (own === undefined || own.baseUrl === this.#server.baseUrl) return path
    if (own.baseUrl.startsWith('${env.') || !URL.canParse(own.plain)) return path
    const { host } = new URL(own.plain)
    if (URL.canParse(this.#server.plain) && new URL(this.#server.plain).host !== host && own.open.length === 0)
      this.#hosts.add(host)
    return `${own.baseUrl}/${path}`
  }
}

function schemeNames(requirement: Members): string {
  return Object.keys(requirement).join(' ')
}

/** The same schemes, with the scopes of both. */
function withScopes(one: Members, other: Members): Members {
  return Object.fromEntries(
    Object.entries(one).map(([name, scopes]) => [name, [...new Set([...listOf(scopes), ...listOf(other[name])])]]),
  )
}

/**
 * Where the document is published, which relative addresses begin at. A copy says in `x-origin` where it comes from; that
 * counts where the host is that of an API, and not of a site or a repository.
 */
function originOf(root: Members, file: string | undefined): string | undefined {
  const origins = listOf(membersOf(root.info)['x-origin']).flatMap(origin => textOf(membersOf(origin).url) ?? [])
  if (origins.length === 0) return file !== undefined && /^https?:\/\//i.test(file) ? file : undefined
  return origins.findLast(url => /^https:\/\/(?:[\w-]+[.-])*api[.-][\w.-]+(?:[/:?#]|$)/i.test(url))
}

function withoutScope(auth: FoundAuth['auth']): unknown {
  if (auth === undefined) return null
  const { scope: _scope, ...kept } = auth
  return kept
}

function titled({ title, summary }: Operation): string {
  const line = summary?.split('\n')[0]?.replace(/\s+/g, ' ').trim() ?? ''
  return line === '' ? title : `${title}: ${line.length > 100 ? `${line.slice(0, 99)}…` : line}`
}

function pipelineName(root: Members): string {
  const title = textOf(membersOf(root.info).title) ?? ''
  const words = title.replace(
    /\b(?:the|open|rest|web|public|api|apis|specification|swagger|openapi|v\d+(?:\.\d+)*|\d+(?:\.\d+)+)\b/gi,
    ' ',
  )
  return (nameFrom(words) ?? nameFrom(title) ?? 'api').slice(0, 40).replace(/_+$/, '')
}
