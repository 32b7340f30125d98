import { elements } from '../json/bytes.js'
import { compilePath } from '../json/path.js'
import { stringifyJson } from '../json/write.js'
import type { ConfigError } from '../model/errors.js'
import { later } from '../model/runtime/firstUse.js'
import { nodeCrypto } from '../model/runtime/nodeCrypto.js'
import { scrubber as createScrubber, type Scrubber } from '../model/secrets/scrubber.js'
import { Secret } from '../model/secrets/secret.js'
import {
  type CountedList,
  type DeletePolicy,
  type ExtractContext,
  type ListEnd,
  type Page,
  type Resource,
  ResourceNotes,
  type Source,
} from '../model/source.js'
import { functionError, isRecord, type MadeRecord, shownResult, unheard } from '../model/userFunction.js'
import type { KindAuthenticator, Paginator, RetryPolicy, Transport, Witness } from './api.js'
import { offerSignIns, type SignIn } from './auth/authenticator.js'
import { type AuthContext, authenticators, blocksIn, carriedBy, signInBy } from './auth/authKinds.js'
import { customAuthenticator } from './auth/customAuthenticator.js'
import { credentialPlacesOf, offerSecretPlaces } from './credentialPlaces.js'
import { describeEndpoint } from './describe.js'
import type {
  AuthModel,
  EndpointModel,
  EndpointResource,
  FunctionResource,
  ListResource,
  NestedListModel,
  PaginatorModel,
  ResourceModel,
  RestModel,
} from './document/model.js'
import { because } from './evidence/evidence.js'
import type { Client, ClientOptions } from './http/client.js'
import type { Proxies } from './http/proxies.js'
import type { HostBudget } from './http/rateLimit.js'
import { isAbsoluteUrl } from './http/wire.js'
import type { NestedList } from './list/answer/completeNested.js'
import { includedName } from './list/answer/includeParent.js'
import type { ListContext, ListOutline, ListReader } from './list/listReader.js'
import { offerReader } from './list/listReaders.js'
import { tellOnce } from './list/tellOnce.js'
import { maskBelow, maskDigest } from './mask/maskHash.js'
import { hides, type MaskRule } from './mask/maskRules.js'
import { recordMask } from './mask/recordMask.js'
import { customPaginator } from './paginators/custom.js'
import { paginatorKinds } from './paginators/kinds.js'
import type { PaginatorKind } from './paginators/paginator.js'
import { proven } from './paginators/paginator.js'
import { writtenNumbers } from './request/writtenNumbers.js'

export interface RestSourceOptions {
  /** Sends requests instead of the network. A transport in the document wins. */
  readonly transport?: Transport | undefined
  /** Knows secrets that are not in the document. */
  readonly scrubber?: Scrubber | undefined
  /** Limits of hosts that other sources share. */
  readonly budget?: HostBudget | undefined
  readonly proxies?: Proxies | undefined
  readonly userAgent?: string | undefined
  readonly maxBodyBytes?: number | undefined
  /** Where tokens are kept between runs: in this folder, by default in the working folder. */
  readonly tokenStore?: AuthContext['tokenStore']
  /** Where relative paths of the document's files begin. Default: the current folder. */
  readonly folder?: string | undefined
  readonly recording?: SourceRecording | undefined
  /** Names the secrets of the document that were not found. Thrown where something is about to be requested. */
  readonly missing?: ConfigError | undefined
}

/** How a recording stands between a source and its API. */
export interface SourceRecording {
  /** Answers instead of the network, whatever transport the document has. Signing fails for nobody. */
  readonly transport?: Transport | undefined
  readonly witness?: Witness | undefined
  /** Paths that are masked in every resource, besides those of the document. */
  readonly mask?: readonly MaskRule[] | undefined
  /** Changes how the lists of a resource are read. */
  readonly shortened?: ((resource: Resource) => Resource) | undefined
}

/** The source of a checked document. It opens nothing until the first page is requested. */
export function restSource(declared: RestModel, options: RestSourceOptions = {}): Source {
  const { recording } = options
  const model = withMask(declared, recording?.mask)
  const scrubber = options.scrubber ?? createScrubber()
  for (const secret of [...secretsIn(model), ...(options.proxies?.secrets ?? [])]) scrubber.add(secret)
  const { rateLimit } = model.client
  // A recording needs no secret.
  const missing = recording?.transport === undefined ? options.missing : undefined
  const requireSecrets = (): void => {
    if (missing !== undefined) throw missing
  }
  const client = new LateClient(requireSecrets, {
    transport: recording?.transport ?? model.client.transport ?? options.transport,
    witness: recording?.witness,
    isReplay: recording?.transport !== undefined,
    retry: ONE_ATTEMPT,
    scrubber,
    limits: { requests: rateLimit?.requests, perMs: rateLimit?.perMs, maxConcurrency: rateLimit?.maxConcurrency },
    budget: options.budget,
    proxies: options.proxies,
    userAgent: options.userAgent,
    maxBodyBytes: options.maxBodyBytes,
  })
  const authenticate = authenticatorOf(model, options)
  const made = (resource: ResourceModel): Resource => {
    switch (resource.kind) {
      case 'endpoint':
        return endpointResource(resource, model, client, scrubber, authenticate)
      case 'function':
        return functionResource(resource)
      case 'list':
        return listResource(resource)
    }
  }
  const source: Source = {
    name: model.name,
    fingerprint: fingerprint(model),
    resources: model.resources.map(resource => {
      const whole = made(resource)
      return recording?.shortened?.(whole) ?? whole
    }),
    maxTableNesting: model.maxTableNesting,
    rootKey: model.rootKey,
    schemaContract: model.schemaContract,
    scrubber,
    requireSecrets,
    prepare: () => client.prepare(),
    close: () => client.close(),
  }
  offerSignIns(source, signInsFor(model, client, options.tokenStore))
  offerSecretPlaces(source, secretsIn(model))
  return source
}

const listReading = later(() => Promise.all([import('./list/pages.js'), import('./list/answer/completeNested.js')]))

/** The client of a source, with all that it needs, is loaded when something is first sent: many programs only describe. */
class LateClient {
  readonly #options: ClientOptions
  readonly #requireSecrets: () => void
  #made: Promise<Client> | undefined

  constructor(requireSecrets: () => void, options: ClientOptions) {
    this.#requireSecrets = requireSecrets
    this.#options = options
  }

  /** Rejects if a secret is missing, whoever asks. */
  async get(): Promise<Client> {
    this.#requireSecrets()
    this.#made ??= import('./http/client.js').then(({ createClient }) => createClient(this.#options))
    return this.#made
  }

  /** Loads what the first list needs. */
  prepare(): void {
    const loading = Promise.all([this.get(), listReading()])
    loading.then(
      ([client]) => client.prepare(),
      () => undefined,
    )
  }

  async close(): Promise<void> {
    await (await this.#made)?.close()
  }
}

/** The reader of a list, and those of the lists inside its records. */
interface Readers {
  readonly reader: ListReader
  readonly nested: readonly NestedList[]
}

/** Begins a list as soon as all that reads lists is loaded, in the order of the calls, which tells equal parents apart. */
function readLate(readers: Promise<Readers>, context: ListContext): AsyncGenerator<Page, ListEnd> {
  const begun = Promise.all([readers, listReading()]).then(([{ reader, nested }, [{ readList }, { completed }]]) => {
    const pages = readList(reader, context)
    return nested.length === 0 ? pages : completed(pages, nested, context)
  })
  // Whoever reads the list hears of it.
  begun.catch(() => undefined)
  return (async function* () {
    return yield* await begun
  })()
}

function withMask(model: RestModel, rules: readonly MaskRule[] = []): RestModel {
  if (rules.length === 0) return model
  const resources = model.resources.map((resource): ResourceModel => {
    const masked = { ...resource, mask: { ...resource.mask, rules: [...(resource.mask?.rules ?? []), ...rules] } }
    if (masked.kind !== 'endpoint') return masked
    // A list that is masked as a whole has no rest that could be read.
    const lists = masked.completeNested.filter(({ names }) => !rules.some(rule => hides(rule, names)))
    const below = (list: NestedListModel) => ({ ...list.resource, mask: maskBelow(masked.mask, list.names) })
    return { ...masked, completeNested: lists.map(list => ({ ...list, resource: below(list) })) }
  })
  return { ...model, resources }
}

/** Every sign-in of the document once, however many resources use it. */
function signInsFor(model: RestModel, client: LateClient, tokenStore: AuthContext['tokenStore']): SignIn[] {
  const auths = model.resources.flatMap(endpointsOf).flatMap(({ auth }) => auth ?? [])
  const withBlocks = (auth: AuthModel): readonly AuthModel[] =>
    auth.kind === 'declared' ? [auth, ...(blocksIn(auth) as readonly AuthModel[]).flatMap(withBlocks)] : [auth]
  return [...new Set(auths)].flatMap(withBlocks).flatMap(auth => {
    if (auth.kind !== 'declared') return []
    const context = { path: auth.path, baseUrl: model.client.baseUrl, tokenStore }
    const about = { resource: auth.path, retry: SIGN_IN_POLICY, emit: () => undefined }
    return signInBy(auth, context, async process => (await client.get()).signer({ ...about, ...process })) ?? []
  })
}

/** The endpoint of a resource, those that its sync token needs, and those of the lists inside its records. */
function endpointsOf(resource: ResourceModel): EndpointModel[] {
  if (resource.kind !== 'endpoint') return []
  const { initial, changes } = resource.incremental?.token ?? {}
  const ofToken = [initial?.endpoint, changes].filter(endpoint => endpoint !== undefined)
  return [resource.endpoint, ...ofToken, ...resource.completeNested.map(list => list.resource.endpoint)]
}

/** For requests outside of any resource. Each resource has its own policy. */
const ONE_ATTEMPT: RetryPolicy = {
  attempts: 1,
  statuses: [],
  onConnectionError: false,
  baseMs: 0,
  factor: 1,
  maxDelayMs: 0,
  maxWaitMs: 900_000,
  jitter: 'none',
}

const SIGN_IN_POLICY: RetryPolicy = {
  ...ONE_ATTEMPT,
  attempts: 3,
  statuses: [500, 502, 503, 504],
  onConnectionError: true,
  baseMs: 1000,
  factor: 2,
  maxDelayMs: 10_000,
}

function endpointResource(
  resource: EndpointResource,
  model: RestModel,
  client: LateClient,
  scrubber: Scrubber,
  authenticate: (auth: AuthModel) => KindAuthenticator,
): Resource {
  const { endpoint, completeNested } = resource
  const outlineOf = (list: EndpointResource, part?: string): ListOutline => {
    const selector = list.endpoint.dataSelector ?? (list.endpoint.singleEntity ? '$' : undefined)
    const changes = changesList(list)
    return {
      resource: list,
      baseUrl: model.client.baseUrl,
      scrubber,
      auth: list.endpoint.auth === undefined ? undefined : authenticate(list.endpoint.auth),
      credentialPlaces: credentialPlacesOf(list.endpoint),
      authOrigins: authOrigins(list, model),
      paginator: paginatorOf(list.endpoint.paginator, list.name),
      selector: selector === undefined ? undefined : compilePath(selector),
      secretParams: secretParams(list),
      mask: list.mask && recordMask(list.mask, list.endpoint.reading.nullValues),
      part,
      changes: changes && outlineOf(changes, part),
    }
  }
  const outline = outlineOf(resource)
  const nested = completeNested.map(list => ({ list, reader: outlineOf(list.resource, list.names.join('.')) }))
  const suspicions = endpointsOf(resource).flatMap(one => one.suspicions)
  const readers = later(async (): Promise<Readers> => {
    const sender = await client.get()
    return {
      reader: readerFrom(outline, sender),
      nested: nested.map(({ list, reader }) => ({ list, reader: readerFrom(reader, sender) })),
    }
  })
  const limit = model.client.concurrency
  const made: Resource = {
    ...described(resource),
    parent: resource.parent,
    sendsWindowStart: resource.sendsWindowStart,
    sendsWindowEnd: resource.sendsWindowEnd,
    batchSize: endpoint.batch?.size,
    parentChanged: endpoint.parentChanged,
    partition: endpoint.partition,
    counted: countedBy(outline, endpoint),
    fingerprint: readsChanges(resource, model) ? recordsDigest(resource, model) : undefined,
    describe: window => describeEndpoint(outline, nested, model, window),
    pages(context) {
      const concurrency = limit === undefined ? context.concurrency : Math.min(context.concurrency, limit)
      const list = { ...context, concurrency, notes: context.notes ?? new ResourceNotes() }
      for (const suspicion of suspicions) {
        const message = `${resource.name}: ${suspicion}`
        const event = { type: 'warning', code: 'other', resource: resource.name, namesResource: true, message } as const
        tellOnce(list, suspicion, event)
      }
      return readLate(readers(), list)
    },
  }
  return offerReader(made, async () => (await readers()).reader)
}

/** Pages whose size changes on the way have no place that another process would find again. */
function countedBy({ paginator }: ListOutline, endpoint: EndpointModel): CountedList | undefined {
  if (paginator?.parts === undefined || paginator.counts === undefined) return undefined
  if (endpoint.adapt !== undefined || endpoint.job !== undefined) return undefined
  const { counts, parts } = paginator
  const numbers = counts === 'pages' ? writtenNumbers(endpoint) : []
  return { counts, page: parts.page, ...(numbers.length > 0 && { size: numbers.join(', ') }) }
}

function readerFrom(outline: ListOutline, client: Client): ListReader {
  return { ...outline, client, changes: outline.changes && readerFrom(outline.changes, client) }
}

/** The resource as it is read by a run that has a sync token. Undefined: by its endpoint, as without one. */
function changesList(resource: EndpointResource): EndpointResource | undefined {
  const { incremental } = resource
  if (incremental?.token?.changes === undefined) return undefined
  const { changes: endpoint, ...token } = incremental.token
  return { ...resource, endpoint, incremental: { ...incremental, token } }
}

function described(resource: ResourceModel) {
  const { name, selected, hints, incremental, steps, path, maxDeleteShare, expect } = resource
  return {
    name,
    selected,
    hints,
    incremental: incremental?.hint,
    steps,
    path,
    deletes: deletePolicy(resource),
    maxDeleteShare,
    expect,
  }
}

function deletePolicy(resource: ResourceModel): DeletePolicy | undefined {
  const { deletes } = resource
  if (deletes !== 'with_parent') return deletes === undefined ? undefined : { mode: deletes }
  const included = resource.kind === 'endpoint' ? resource.includeFromParent : []
  const parent = resource.kind === 'endpoint' ? resource.parent : undefined
  return { mode: deletes, keys: included.map(key => ({ parent: key, child: includedName(parent ?? '', key) })) }
}

function paginatorOf(model: PaginatorModel, resource: string): Paginator | undefined {
  switch (model.kind) {
    case 'auto':
      return undefined
    case 'custom':
      return customPaginator(model.paginator, { resource, path: model.path })
    case 'declared': {
      const kinds: readonly PaginatorKind[] = paginatorKinds as unknown as readonly PaginatorKind[]
      const kind = kinds.find(({ type, aliases }) => type === model.type || aliases.includes(model.type))
      if (kind === undefined) throw new TypeError(`${model.path}: no paginator is called "${model.type}"`)
      return kind.create(model.config)
    }
  }
}

/** One authenticator for each auth object of the model. Resources that share the object share its token. */
function authenticatorOf(
  { client }: RestModel,
  { tokenStore, folder }: RestSourceOptions,
): (auth: AuthModel) => KindAuthenticator {
  const make = authenticators()
  const of = (auth: AuthModel): KindAuthenticator => {
    const { path } = auth
    if (auth.kind === 'custom') return customAuthenticator(auth.authenticator, path)
    return make(auth, { path, baseUrl: client.baseUrl, tokenStore, folder, nested: block => of(block as AuthModel) })
  }
  return of
}

/**
 * Origins that get the resource's credentials: those of the base URL and the allowed hosts. An absolute path adds its
 * own, if the endpoint has its own credentials or there is no base URL.
 */
function authOrigins(resource: EndpointResource, { client }: RestModel): string[] {
  const { endpoint } = resource
  const urls = [client.baseUrl, ...client.allowedOrigins]
  const [start] = endpoint.url
  const isOwn = endpoint.auth?.path.startsWith(endpoint.path) ?? false
  if (typeof start === 'string' && isAbsoluteUrl(start) && (isOwn || client.baseUrl === '')) urls.push(start)
  return [...new Set(urls.filter(url => URL.canParse(url)).map(url => new URL(url).origin))]
}

function secretParams({ endpoint }: EndpointResource): Set<string> {
  const names = new Set(Object.keys(endpoint.credentials.params))
  if (endpoint.auth?.kind === 'declared') for (const name of carriedBy(endpoint.auth).params ?? []) names.add(name)
  return names
}

/** One page that needs no request. */
function listResource(resource: ListResource): Resource {
  const { name, records } = resource
  const written = Buffer.from(stringifyJson(records))
  const mask = ownMask(resource)
  return {
    ...described(resource),
    written: () => mask(written, undefined),
    async *pages({ emit, notes }) {
      const bytes = mask(written, notes)
      const page: Page = { records: bytes, count: records.length, bytes: bytes.length, announced: records.length }
      const told = { records: page.count, bytes: page.bytes, announced: page.announced }
      emit({ type: 'page', resource: name, ...told, fromJournal: false })
      yield page
      return proven('the document holds the whole list')
    },
  }
}

/** Masks pages that no answer brought. */
function ownMask({ mask: model }: ResourceModel): (records: Buffer, notes: ResourceNotes | undefined) => Uint8Array {
  if (model === undefined) return records => records
  const mask = recordMask(model)
  return (records, notes) => {
    const starts = elements(records, 0).map(({ start }) => start)
    return mask.apply(records, { start: 0, end: records.length }, { records: starts }, notes?.paths)
  }
}

/** Single records are collected into pages of this many. */
const RECORDS_A_PAGE = 1000

function functionResource(resource: FunctionResource): Resource {
  return { ...described(resource), pages: context => functionPages(resource, context) }
}

async function* functionPages(resource: FunctionResource, context: ExtractContext): AsyncGenerator<Page, ListEnd> {
  const { signal, window, emit, notes, maxPages = Number.POSITIVE_INFINITY } = context
  const mask = ownMask(resource)
  const page = (records: readonly MadeRecord[]): Page => {
    const bytes = mask(encoded(resource, records), notes)
    emit({ type: 'page', resource: resource.name, records: records.length, bytes: bytes.length, fromJournal: false })
    return { records: bytes, count: records.length, bytes: bytes.length }
  }
  let gathered: MadeRecord[] = []
  let pages = 0
  for await (const item of userRecords(resource, { signal, window })) {
    signal.throwIfAborted()
    // One list may hold more elements than a call may have arguments.
    if (Array.isArray(item))
      gathered = gathered.length === 0 ? [...item] : gathered.concat(item as readonly MadeRecord[])
    else gathered.push(item as MadeRecord)
    if (!Array.isArray(item) && gathered.length < RECORDS_A_PAGE) continue
    yield page(gathered)
    gathered = []
    if (++pages >= maxPages) return because('trial', maxPages)
  }
  if (gathered.length > 0) yield page(gathered)
  return proven('the function has ended')
}

async function* userRecords(
  resource: FunctionResource,
  context: Parameters<FunctionResource['records']>[0],
): AsyncGenerator<MadeRecord | readonly MadeRecord[]> {
  try {
    for await (const item of listOf(resource.records(context))) {
      const wrong = Array.isArray(item) ? item.find(record => !isRecord(record)) : item
      if (Array.isArray(item) ? item.some(record => !isRecord(record)) : !isRecord(item)) {
        throw new TypeError(`it gave ${shownResult(wrong)} where a record, an object, was expected`)
      }
      yield item
    }
  } catch (error) {
    throw functionError(resource.name, `the function at ${resource.path}`, error, { path: resource.path })
  }
}

function listOf(result: unknown): ReturnType<FunctionResource['records']> {
  const isList = typeof result === 'object' && result !== null
  if (isList && (Symbol.asyncIterator in result || Symbol.iterator in result)) {
    return result as ReturnType<FunctionResource['records']>
  }
  unheard(result)
  throw new TypeError(
    `it returned ${shownResult(result)}; it must be a generator (\`async *records()\`), or return a list`,
  )
}

/** A record that JSON cannot hold is a mistake of the function. */
function encoded({ name, path }: FunctionResource, records: readonly MadeRecord[]): Buffer {
  try {
    return Buffer.from(stringifyJson(records))
  } catch (error) {
    throw functionError(name, `the function at ${path}`, error, { path })
  }
}

/** Everything that decides which requests are made and what the answers mean. */
function fingerprint({ name, client, resources }: RestModel): string {
  return digestOf([name, client.baseUrl, resources.map(meaningOf)])
}

/** Functions count by their source text. */
function digestOf(value: unknown, textOf = (text: string): string => text): string {
  const text = JSON.stringify(value, (_key, inner: unknown) => {
    if (typeof inner === 'string') return textOf(inner)
    if (typeof inner === 'function') return inner.toString()
    return typeof inner === 'bigint' ? `${inner}n` : inner
  })
  return nodeCrypto().createHash('sha256').update(text).digest('hex').slice(0, 32)
}

function meaningOf(full: ResourceModel): object {
  const resource = { ...full, mask: full.mask && maskDigest(full.mask) }
  if (resource.kind !== 'endpoint') return resource
  const { completeNested: lists, incremental, ...rest } = resource
  const completeNested = lists.map(list => ({ ...list, resource: meaningOf(list.resource) }))
  const { initial, changes } = incremental?.token ?? {}
  const token = {
    ...incremental?.token,
    ...(initial && { initial: { ...initial, endpoint: endpointMeaning(initial.endpoint) } }),
    ...(changes && { changes: endpointMeaning(changes) }),
  }
  // Documents without such lists keep the fingerprint that their journals have.
  return {
    ...rest,
    incremental: incremental?.token === undefined ? incremental : { ...incremental, token },
    endpoint: endpointMeaning(resource.endpoint),
    ...(lists.length > 0 && { completeNested }),
  }
}

function endpointMeaning(model: EndpointModel): object {
  const { retry: _retry, timeoutMs: _timeoutMs, readAhead: _readAhead, ...endpoint } = model
  // Objects from users may hold anything, even cycles. Only their place counts.
  const { auth, paginator } = endpoint
  return {
    ...endpoint,
    auth: auth?.kind === 'custom' ? auth.path : auth,
    paginator: paginator.kind === 'custom' ? paginator.path : paginator,
  }
}

/** Whether its lists, or those of a resource above it, are read only where a record of the parent changed. */
function readsChanges(resource: ResourceModel, model: RestModel): boolean {
  return lineOf(resource, model).some(one => one.kind === 'endpoint' && one.endpoint.parentChanged !== undefined)
}

/**
 * Digest of what decides the records of a resource's lists, and of those above it by which they are asked for. The place
 * of a resource in the document does not.
 */
function recordsDigest(resource: ResourceModel, model: RestModel): string {
  const [own, ...above] = lineOf(resource, model).map(one => ({ ...one, ...WITHOUT_LIMITS }))
  const parents = above.map(one => (one.kind === 'list' ? one.name : meaningOf({ ...one, hints: {} })))
  const decides = [model.client.baseUrl, own && meaningOf(own), parents]
  return digestOf(decides, text => text.replace(/^resources\[\d+\]/, 'resources'))
}

/** What a run says or takes away decides no record. */
const WITHOUT_LIMITS = { selected: true, deletes: undefined, maxDeleteShare: undefined, expect: undefined } as const

/** The resource, its parent, and so on. */
function lineOf(resource: ResourceModel, model: RestModel): readonly ResourceModel[] {
  const parent = resource.kind === 'endpoint' ? resource.parent : undefined
  const above = parent === undefined ? undefined : named(model.resources).get(parent)
  return above === undefined ? [resource] : [resource, ...lineOf(above, model)]
}

const byNames = new WeakMap<RestModel['resources'], ReadonlyMap<string, ResourceModel>>()

/** Resources by their names. A document may have thousands, and each asks for those above it. */
function named(resources: RestModel['resources']): ReadonlyMap<string, ResourceModel> {
  const known = byNames.get(resources)
  if (known !== undefined) return known
  const found = new Map(resources.map(resource => [resource.name, resource]))
  byNames.set(resources, found)
  return found
}

function secretsIn(value: unknown, seen = new Set<object>()): Secret[] {
  if (value instanceof Secret) return [value]
  if (typeof value !== 'object' || value === null || seen.has(value)) return []
  seen.add(value)
  return Object.values(value).flatMap(inner => secretsIn(inner, seen))
}
