import { createHash } from 'node:crypto'
import type { JsonDocument, Span } from '../../json/bytes.js'
import type { JsonObject } from '../../json/value.js'
import { canonicalJson } from '../../json/write.js'
import { RequestError } from '../../model/errors.js'
import type { ExtractContext, ListEnd, Page } from '../../model/source.js'
import type { ApiRequest, ApiResponse, Paginator, RequestPatch, ShortPages } from '../api.js'
import { because } from '../evidence/evidence.js'
import { barePath, ListEvidence } from '../evidence/listEvidence.js'
import { recordNumbers } from '../evidence/recordKeys.js'
import { TimeUpError } from '../http/waiting.js'
import { applyPatch, conversionOf, firstRequest, requestKey } from '../request/request.js'
import { detectPaginator, otherWay } from './detect.js'
import { type Asked, FetchAhead } from './fetchAhead.js'
import { parentMembers, withMembers } from './includeParent.js'
import { type ListReader, listError } from './listReader.js'
import { notJson, type Reading, type ReadingState, readAnswer } from './reading.js'
import { declaredAction, mayUse } from './responseActions.js'
import { pathOfKeys, truncate } from './selector.js'

/** What the lists of one resource remember of each other within a run. */
export interface RunMemory {
  /** How often a parent's record was met, by digest. */
  readonly parents: Map<string, number>
  /** Guesses and warnings that were reported. */
  readonly guesses: Set<string>
  /** What lists saw in their answers, such as next links. */
  readonly seen: Set<string>
  /** The longest page; no page that is shorter was capped. */
  longestPage: number
}

/** Reads one list, page by page in order. */
export function readList(
  reader: ListReader,
  context: ExtractContext,
  memory: RunMemory,
): AsyncGenerator<Page, ListEnd> {
  // Taken now and not with the first page, so that it follows the order in which lists are asked for.
  const asker = context.parents ?? context.parent
  const suffix = asker === undefined ? '' : `.${parentIdentity(asker, memory.parents)}`
  return new List(reader, context, memory, suffix).pages()
}

/** Tells the lists of different parents or batches apart, and those of equal ones too. */
function parentIdentity(parent: JsonObject | readonly JsonObject[], met: Map<string, number>): string {
  const digest = createHash('sha256').update(canonicalJson(parent)).digest('base64url').slice(0, 16)
  const times = met.get(digest) ?? 0
  met.set(digest, times + 1)
  return times === 0 ? digest : `${digest}.${times}`
}

type Step = { readonly next: Asked } | { readonly end: ListEnd }

/** As many pages without a record in a row are taken for an endless list. */
const MOST_EMPTY_PAGES = 1000

/** Numbers of records at which APIs are known to stop without saying so. */
const SUSPICIOUS_COUNTS = new Set([1_000, 10_000])

class List {
  readonly #reader: ListReader
  readonly #context: ExtractContext
  readonly #memory: RunMemory
  readonly #suffix: string
  readonly #state: ReadingState
  readonly #ahead: FetchAhead
  /** Number of the page that a request gave, by the request's key. */
  readonly #sent = new Map<string, number>()
  #paginator: Paginator | undefined
  /** What the paginator was guessed to be; undefined where it is configured. */
  #guess: string | undefined
  /** What the first page lets foresee: the request for each page after it. */
  #foreseen: ForeseenRequests | undefined
  #previous: Reading | undefined
  readonly #evidence: ListEvidence
  /** Whether the paginator found its way in an earlier answer. */
  #isLed = false
  #emptyPages = 0
  #startedAt = 0

  constructor(reader: ListReader, context: ExtractContext, memory: RunMemory, suffix: string) {
    this.#reader = reader
    this.#context = context
    this.#memory = memory
    this.#suffix = suffix
    this.#paginator = reader.paginator
    this.#evidence = new ListEvidence({
      primaryKey: reader.resource.hints.primaryKey,
      isGuess: reader.paginator === undefined,
      selector: reader.resource.endpoint.dataSelector,
    })
    this.#ahead = new FetchAhead((asked, signal) => this.#send(asked, signal, 0), context.signal, context.memory)
    this.#state = {
      selector: reader.selector,
      hasList: false,
      report: (what, guess, why) => this.#report(what, guess, why),
      changed: ({ url }, why) => this.#textChanged(url, why),
      again: (request, attempt) => this.#send(asked(request), context.signal, attempt),
    }
  }

  async *pages(): AsyncGenerator<Page, ListEnd> {
    const { parent, clock } = this.#context
    const { endpoint } = this.#reader.resource
    this.#startedAt = clock.now()
    try {
      const members = parent === undefined ? undefined : parentMembers(this.#reader.resource, parent)
      let next = asked(this.#first())
      for (let number = 1; ; number++) {
        this.#refuseRepetition(next, number)
        const response = await this.#ahead.take(next)
        const read = await readAnswer(this.#reader, this.#context, this.#state, next.request, response, number)
        const reading = await this.#settled(read, number)
        const before = this.#previous
        const step = this.#step(reading, number)
        // Whoever asks for a page is done with the one before, and so is the comparison of the two. The first one stays: a
        // paginator's `rest` may look into it as long as it likes.
        if (before !== undefined && number > 2) this.#release(before)
        if ('next' in step) this.#readAhead(step.next, number)
        const keeps = reading.flow.kind === 'continue' || (reading.flow.kind === 'end' && reading.flow.keep)
        if (keeps) yield this.#page(reading, members)
        if ('end' in step) return this.#ended(step.end, number)
        next = step.next
      }
    } catch (error) {
      if (error instanceof TimeUpError) return because('cap', 'max_seconds', (endpoint.maxMs ?? 0) / 1000)
      throw error
    } finally {
      await this.#ahead.close()
    }
  }

  #release({ document, response }: Reading): void {
    document?.close()
    this.#reader.client.release(response)
  }

  #first(): ApiRequest {
    const { resource, baseUrl } = this.#reader
    const { parent, parents, window } = this.#context
    const { endpoint, incremental, name } = resource
    const batch = parents === undefined ? undefined : { parents, separator: endpoint.batch?.separator ?? ',' }
    const scope = { resource: name, parent, batch, window, convert: conversionOf(incremental, name) }
    const request = firstRequest(baseUrl, endpoint, incremental, scope)
    const patch = this.#paginator?.first
    return patch === undefined ? request : this.#patched(request, patch)
  }

  #send({ request, key }: Asked, signal: AbortSignal, attempt: number): Promise<ApiResponse> {
    const { client, resource, auth, authOrigins, secretParams } = this.#reader
    const { journal, clock, emit, concurrency } = this.#context
    const { responseActions, credentials, retry, timeoutMs, maxMs } = resource.endpoint
    const named = secretParams.size === 0 ? key : requestKey(request, secretParams)
    const identity = `${named}${this.#suffix}${attempt === 0 ? '' : `~${attempt}`}`
    return client.send(request, {
      resource: resource.name,
      identity: { resource: resource.name, request: identity },
      journal,
      signal,
      clock,
      emit,
      concurrency,
      auth,
      credentials,
      authOrigins,
      retry,
      timeoutMs,
      deadline: maxMs === undefined ? undefined : this.#startedAt + maxMs,
      shouldRetry: response => declaredAction(responseActions, response) === 'retry',
      recordable: response => mayUse(responseActions, response),
    })
  }

  /** What follows a page. */
  #step(reading: Reading, number: number): Step {
    const { page, flow } = reading
    if (flow.kind === 'end') {
      if (flow.keep) this.#take(reading, number)
      return { end: flow.end }
    }
    if (flow.kind === 'skip') this.#evidence.doubt(because('skipped', flow.path))
    else this.#take(reading, number)
    const step = flow.kind === 'skip' ? this.#skip(page.request) : this.#next(reading)
    if (number === 1) this.#foresee(reading)
    this.#previous = reading
    return this.#capped(step, number)
  }

  #next(reading: Reading): Step {
    const { page, document, response } = reading
    try {
      if (this.#paginator === undefined) {
        const { paginator, guess, why } = detectPaginator(page, document)
        this.#report('paginator', guess, why)
        this.#paginator = paginator
        this.#guess = guess
      }
      const next = this.#paginator.next(page) ?? because('own_rule')
      if ('end' in next) {
        this.#refuseSlip(next, reading)
        const guess = this.#previous === undefined ? undefined : this.#guess
        return { end: (guess === undefined ? undefined : otherWay(page, document, guess)) ?? next }
      }
      this.#isLed = true
      return { next: asked(applyPatch(page.request, next)) }
    } catch (error) {
      throw this.#located(notJson(this.#reader, page.request, response, error), page.request)
    }
  }

  /** A next page that stands elsewhere than the document says is missed on the first page, or never. */
  #refuseSlip({ unlessSeen }: ListEnd, { page, document, envelope }: Reading): void {
    if (unlessSeen === undefined || this.#isLed || page.records === 0) return
    if (this.#memory.seen.has(unlessSeen.what)) return
    const paths = this.#paginator?.goesBy ?? []
    const place = envelope.next?.path ?? (document === undefined ? undefined : elsewhere(document, paths))
    if (place === undefined || paths.some(path => barePath(path) === barePath(place))) return
    const problem = `the answer has no ${unlessSeen.what}, but something at "${place}"; should the paginator go by that? If the list has one page, use the paginator single_page`
    throw listError(this.#reader, 'response_format', problem, { request: page.request })
  }

  /**
   * Finds out what a short page meant, once the page after it is there: that the API caps pages, or that it leaves records
   * out of them. Gives the page itself, or the one that belongs in its place.
   */
  async #settled(reading: Reading, number: number): Promise<Reading> {
    const [previous, short] = [this.#previous, this.#paginator?.shortPages]
    if (previous === undefined || short === undefined || reading.flow.kind !== 'continue') return reading
    if (previous.flow.kind !== 'continue' || !short.isShort(previous.page)) return reading
    const behind = asked(this.#patched(previous.page.request, short.behind(previous.page)))
    if (behind.key === asked(reading.page.request).key) return this.#overlapping(previous, reading, short, number)
    const isEnd = reading.page.records === 0
    // A page as long as another one is not capped, and nobody caps pages at one record.
    const isUncapped = previous.page.records < this.#memory.longestPage || previous.page.records < 2
    if (isEnd && isUncapped) return reading
    const between = await this.#between(behind, number)
    if (between === undefined) {
      this.#evidence.doubt(because('unsettled_page', previous.page.records))
      return reading
    }
    const numbers = (page: Reading): readonly number[] => recordNumbers(page.selection.records, this.#primaryKey)
    const known = new Set([...numbers(previous), ...numbers(reading)])
    const isNew = between.page.records > 0 && numbers(between).some(record => !known.has(record))
    if (isNew) {
      // The way by what arrives may come to the page that was jumped to, and is right to ask for it again.
      this.#sent.delete(asked(reading.page.request).key)
      this.#paginator = short.capped
      return between
    }
    if (!isEnd || between.page.records > 0) this.#leaveOut(short)
    return reading
  }

  /**
   * The page behind the records of a short one. Where it brings some of them again, the API leaves records out of its
   * pages, and the next whole page begins with the first new one; or the list was added to in front.
   */
  async #overlapping(previous: Reading, reading: Reading, short: ShortPages, number: number): Promise<Reading> {
    const numbers = (page: Reading): readonly number[] => recordNumbers(page.selection.records, this.#primaryKey)
    const [known, now] = [new Set(numbers(previous)), numbers(reading)]
    if (!now.some(record => known.has(record)) || new Set(now).size < now.length) return reading
    const firstNew = now.find(record => !known.has(record))
    const patch = short.filtered.next(previous.page)
    if (patch === undefined || 'end' in patch) {
      if (firstNew === undefined) this.#leaveOut(short)
      return reading
    }
    const whole = await this.#between(asked(this.#patched(previous.page.request, patch)), number)
    if (whole === undefined || numbers(whole)[0] !== firstNew) return reading
    this.#leaveOut(short)
    return whole
  }

  #leaveOut({ filtered }: ShortPages): void {
    this.#evidence.leavesRecordsOut()
    this.#paginator = filtered
  }

  /** What lies between a short page and the one after it; undefined where the API does not say. */
  async #between(behind: Asked, number: number): Promise<Reading | undefined> {
    try {
      const answer = await this.#send(behind, this.#context.signal, 0)
      const reading = await readAnswer(this.#reader, this.#context, this.#state, behind.request, answer, number)
      return reading.flow.kind === 'continue' ? reading : undefined
    } catch (error) {
      if (error instanceof RequestError && error.code === 'http_status') return undefined
      throw error
    }
  }

  get #primaryKey(): readonly string[] | undefined {
    return this.#reader.resource.hints.primaryKey
  }

  #skip(request: ApiRequest): Step {
    const ahead = this.#paginator?.ahead
    if (ahead === undefined) {
      const problem = 'the action skip_page needs a paginator that counts, page_number or offset'
      throw listError(this.#reader, 'http_status', problem, { request })
    }
    const patch = ahead(request)
    return patch === undefined ? { end: because('bound') } : { next: asked(this.#patched(request, patch)) }
  }

  #capped(step: Step, number: number): Step {
    if ('end' in step) return step
    const { maxPages, maxRecords, maxMs } = this.#reader.resource.endpoint
    const trial = this.#context.maxPages
    const { records } = this.#evidence
    if (maxRecords !== undefined && records >= maxRecords) return { end: because('cap', 'max_records', maxRecords) }
    if (maxPages !== undefined && number >= maxPages) return { end: because('cap', 'max_pages', maxPages) }
    if (maxMs !== undefined && this.#context.clock.now() - this.#startedAt >= maxMs)
      return { end: because('cap', 'max_seconds', maxMs / 1000) }
    if (trial !== undefined && number >= trial) return { end: because('trial', trial) }
    return step
  }

  /** Takes a page into the list, and notices lists that go in circles although their requests differ. */
  #take(reading: Reading, number: number): void {
    const { page } = reading
    const { request } = page
    const previous = this.#previous
    this.#memory.longestPage = Math.max(this.#memory.longestPage, page.records)
    this.#emptyPages = page.records === 0 ? this.#emptyPages + 1 : 0
    if (this.#emptyPages >= MOST_EMPTY_PAGES) {
      const problem = `${MOST_EMPTY_PAGES} pages in a row had no records; set stop_after_empty_page or max_pages`
      throw listError(this.#reader, 'pagination_loop', problem, { request })
    }
    const circle = this.#evidence.page(reading, number, this.#paginator?.announced?.(page))
    if (circle !== undefined) {
      const earlier = previous === undefined ? {} : { earlier: previous.page.request }
      throw listError(this.#reader, 'pagination_loop', circle.problem + this.#remedy(), { request, ...earlier })
    }
    if (previous === undefined) return
    this.#evidence.doubt(this.#paginator?.doubt?.(page, previous.page))
    const [before, now] = [previous.envelope.number?.value, reading.envelope.number?.value]
    if (this.#paginator?.counts === 'pages' && before !== undefined && before === now && page.records > 0)
      this.#evidence.doubt(because('same_number', now))
  }

  #refuseRepetition({ request, key }: Asked, number: number): void {
    const before = this.#sent.get(key)
    this.#sent.set(key, number)
    if (before === undefined) return
    const problem = `page ${number} would be asked for by the same request as page ${before}; the list would never end${this.#remedy()}`
    const earlier = this.#previous?.page.request
    throw listError(this.#reader, 'pagination_loop', problem, {
      request,
      ...(earlier === undefined ? {} : { earlier }),
    })
  }

  /** What to do about a guess that was wrong. */
  #remedy(): string {
    if (this.#guess === undefined) return ''
    return `; the paginator was guessed (${this.#guess}): configure it, as \`paginator: single_page\` where there is no other page`
  }

  #foresee({ page }: Reading): void {
    if (this.#window === 0) return
    const patches = this.#paginator?.rest?.(page)
    this.#foreseen = patches === undefined ? undefined : new ForeseenRequests(page.request, patches)
  }

  /** Requests that may be under way before their turn. With a row order, the consumer is likely to stop early. */
  get #window(): number {
    const { endpoint, incremental } = this.#reader.resource
    if (incremental?.hint.rowOrder !== undefined) return 0
    const { concurrency } = this.#context
    return concurrency <= 1 ? 0 : Math.min(endpoint.readAhead ?? concurrency, concurrency)
  }

  /** Starts the next request, and those after it as far as they are known, while the consumer works on this page. */
  #readAhead(next: Asked, number: number): void {
    const window = Math.min(this.#window, this.#pagesLeft(number))
    if (window <= 0 || this.#sent.has(next.key)) return
    const wanted = [next]
    if (this.#foreseen?.after(number)?.key === next.key) {
      this.#foreseen.pass(number)
      for (let later = number + 1; wanted.length < window; later++) {
        const request = this.#foreseen.after(later)
        if (request === undefined) break
        wanted.push(request)
      }
    } else {
      this.#foreseen = undefined
      // Beyond the end of the list there is nothing to ask for, so this much is done only where the user wants it.
      if (this.#reader.resource.endpoint.readAhead !== undefined) this.#speculate(wanted, window)
    }
    this.#ahead.expect(wanted)
  }

  /** Pages that the caps of the list allow after this one, as far as can be told. */
  #pagesLeft(number: number): number {
    const { maxPages, maxRecords } = this.#reader.resource.endpoint
    const bounds = [maxPages, this.#context.maxPages].map(bound => (bound ?? Number.POSITIVE_INFINITY) - number)
    const records = this.#previous?.page.records ?? 0
    if (maxRecords !== undefined && records > 0) bounds.push(Math.ceil((maxRecords - this.#evidence.records) / records))
    return Math.min(...bounds)
  }

  #speculate(wanted: Asked[], window: number): void {
    for (let last = wanted.at(-1); last !== undefined && wanted.length < window; last = wanted.at(-1)) {
      const patch = this.#paginator?.ahead?.(last.request)
      if (patch === undefined) return
      wanted.push(asked(applyPatch(last.request, patch)))
    }
  }

  #page({ selection, response, page }: Reading, members: Uint8Array | undefined): Page {
    const { resource } = this.#reader
    const { maxRecords } = resource.endpoint
    const before = this.#evidence.records - page.records
    const kept = maxRecords === undefined ? selection : truncate(selection, maxRecords - before)
    const { records, count } = members === undefined ? kept : withMembers(kept, members, resource)
    const bytes = response.body.length
    this.#context.emit({
      type: 'page',
      resource: resource.name,
      records: count,
      bytes,
      fromJournal: response.fromJournal,
    })
    return {
      records,
      count,
      bytes,
      announced: this.#evidence.announced,
      from: { method: page.request.method, url: response.url },
    }
  }

  #ended(end: ListEnd, pages: number): ListEnd {
    const { name, endpoint } = this.#reader.resource
    const { records } = this.#evidence
    const judged = this.#evidence.judge(end, this.#paginator, this.#isLed)
    for (const what of judged.saw ?? []) this.#memory.seen.add(what)
    if (judged.end !== 'proven') return judged
    const { maxRecords } = endpoint
    if (maxRecords !== undefined && records > maxRecords) return because('cap', 'max_records', maxRecords)
    if (pages > 1 && SUSPICIOUS_COUNTS.has(records)) {
      const message = `${name}: the list has exactly ${records} records; check that the API does not stop there`
      this.#context.emit({ type: 'warning', code: 'other', resource: name, message })
    }
    return judged
  }

  #report(what: 'paginator' | 'data_selector', guess: string, why: string): void {
    const key = `${what} ${guess}`
    if (this.#memory.guesses.has(key)) return
    this.#memory.guesses.add(key)
    this.#context.emit({ type: 'detected', resource: this.#reader.resource.name, what, guess, why })
  }

  #textChanged(url: string, why: string): void {
    const { name } = this.#reader.resource
    if (this.#memory.guesses.has('text')) return
    this.#memory.guesses.add('text')
    const message = `${name}: the text of the answer of ${url} was changed: ${why}, so U+FFFD stands where it could not be read`
    this.#context.emit({ type: 'warning', code: 'text_changed', resource: name, message })
  }

  #patched(request: ApiRequest, patch: RequestPatch): ApiRequest {
    try {
      return applyPatch(request, patch)
    } catch (error) {
      throw this.#located(error, request)
    }
  }

  /** Paginators know neither resource nor redaction; their errors get both here. */
  #located(error: unknown, request: ApiRequest): unknown {
    if (!(error instanceof RequestError) || error.url !== undefined) return error
    const code = error.code === 'pagination_loop' ? 'pagination_loop' : 'response_format'
    const status = error.status === undefined ? {} : { status: error.status }
    return listError(this.#reader, code, error.message, { request, ...status, cause: error.cause })
  }
}

/** A place of the envelope whose last key is that of one of these paths, and which is not empty. */
function elsewhere(document: JsonDocument, paths: readonly string[]): string | undefined {
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

/** Requests for the pages after the first; each is made once, when it comes into sight, and kept until it is passed. */
class ForeseenRequests {
  readonly #first: ApiRequest
  readonly #patches: readonly RequestPatch[]
  readonly #made = new Map<number, Asked>()

  constructor(first: ApiRequest, patches: readonly RequestPatch[]) {
    this.#first = first
    this.#patches = patches
  }

  /** The request that follows page `number`, the first page being 1. */
  after(number: number): Asked | undefined {
    const made = this.#made.get(number)
    if (made !== undefined) return made
    const patch = this.#patches[number - 1]
    if (patch === undefined) return undefined
    const request = asked(applyPatch(this.#first, patch))
    this.#made.set(number, request)
    return request
  }

  /** The request that follows page `number` is not asked for again. */
  pass(number: number): void {
    this.#made.delete(number)
  }
}

function asked(request: ApiRequest): Asked {
  return { request, key: requestKey(request) }
}
