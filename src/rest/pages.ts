import { createHash } from 'node:crypto'
import { RequestError } from '../core/errors.js'
import { canonicalJson, type JsonObject } from '../core/json.js'
import type { ExtractContext, ListEnd, Page } from '../core/source.js'
import { conversionOf } from './conversion.js'
import { detectPaginator, otherWay } from './detect.js'
import { type Asked, FetchAhead } from './fetchAhead.js'
import { parentMembers, withMembers } from './includeParent.js'
import { type ListReader, listError } from './listReader.js'
import { limited, proven } from './paginators/kind.js'
import { notJson, type Reading, type ReadingState, readAnswer } from './reading.js'
import { applyPatch, firstRequest, requestKey } from './request.js'
import { declaredAction, mayUse } from './responseActions.js'
import { truncate } from './selector.js'
import type { ApiRequest, ApiResponse, Paginator, RequestPatch } from './types.js'
import { TimeUpError } from './waiting.js'

/** What the lists of one resource remember of each other within a run. */
export interface RunMemory {
  /** How often a parent's record was met, by digest. */
  readonly parents: Map<string, number>
  /** Guesses that were reported. */
  readonly guesses: Set<string>
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
  #records = 0
  #announced: number | undefined
  /** The most records that a page announced. */
  #mostAnnounced = 0
  #doubt: ListEnd | undefined
  #equalPages = 0
  #emptyPages = 0
  #startedAt = 0

  constructor(reader: ListReader, context: ExtractContext, memory: RunMemory, suffix: string) {
    this.#reader = reader
    this.#context = context
    this.#memory = memory
    this.#suffix = suffix
    this.#paginator = reader.paginator
    this.#ahead = new FetchAhead((asked, signal) => this.#send(asked, signal, 0), context.signal)
    this.#state = {
      selector: reader.selector,
      report: (what, guess, why) => this.#report(what, guess, why),
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
        const reading = await readAnswer(this.#reader, this.#context, this.#state, next.request, response, number)
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
      if (error instanceof TimeUpError) return limited(`max_seconds is ${(endpoint.maxMs ?? 0) / 1000}`)
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
      this.#records += page.records
      const { reason } = flow
      return { end: reason === undefined ? proven('an answer without content ended the list') : limited(reason) }
    }
    if (flow.kind === 'continue') this.#watch(reading)
    const step = flow.kind === 'skip' ? this.#skip(page.request) : this.#next(reading)
    if (number === 1) this.#foresee(reading)
    this.#records += page.records
    this.#previous = reading
    return this.#capped(step, number)
  }

  #next({ page, document, response }: Reading): Step {
    try {
      this.#announced = this.#paginator?.announced?.(page) ?? this.#announced
      this.#mostAnnounced = Math.max(this.#mostAnnounced, this.#announced ?? 0)
      if (this.#paginator === undefined) {
        const { paginator, guess, why } = detectPaginator(page, document)
        this.#report('paginator', guess, why)
        this.#paginator = paginator
        this.#guess = guess
      }
      const next = this.#paginator.next(page) ?? proven("the paginator's rule ended the list")
      if (!('end' in next)) return { next: asked(applyPatch(page.request, next)) }
      const guess = this.#previous === undefined ? undefined : this.#guess
      return { end: (guess === undefined ? undefined : otherWay(page, document, guess)) ?? next }
    } catch (error) {
      throw this.#located(notJson(this.#reader, page.request, response, error), page.request)
    }
  }

  #skip(request: ApiRequest): Step {
    const ahead = this.#paginator?.ahead
    if (ahead === undefined) {
      const problem = 'the action skip_page needs a paginator that counts, page_number or offset'
      throw listError(this.#reader, 'http_status', problem, { request })
    }
    const patch = ahead(request)
    return patch === undefined
      ? { end: limited('the bound of the paginator was reached') }
      : { next: asked(this.#patched(request, patch)) }
  }

  #capped(step: Step, number: number): Step {
    if ('end' in step) return step
    const { maxPages, maxRecords, maxMs } = this.#reader.resource.endpoint
    const trial = this.#context.maxPages
    if (maxRecords !== undefined && this.#records >= maxRecords) return { end: limited(`max_records is ${maxRecords}`) }
    if (maxPages !== undefined && number >= maxPages) return { end: limited(`max_pages is ${maxPages}`) }
    if (maxMs !== undefined && this.#context.clock.now() - this.#startedAt >= maxMs)
      return { end: limited(`max_seconds is ${maxMs / 1000}`) }
    if (trial !== undefined && number >= trial) return { end: limited(`the run was asked for ${trial} pages`) }
    return step
  }

  /** Notices lists that go in circles although their requests differ, and pages that contradict each other. */
  #watch({ page, document }: Reading): void {
    const { request } = page
    const previous = this.#previous
    this.#emptyPages = page.records === 0 ? this.#emptyPages + 1 : 0
    if (this.#emptyPages >= MOST_EMPTY_PAGES) {
      const problem = `${MOST_EMPTY_PAGES} pages in a row had no records; set stop_after_empty_page or max_pages`
      throw listError(this.#reader, 'pagination_loop', problem, { request })
    }
    if (previous === undefined) return
    const isEqual =
      page.records > 0 &&
      document !== undefined &&
      previous.document !== undefined &&
      Buffer.compare(document.bytes, previous.document.bytes) === 0
    this.#equalPages = isEqual ? this.#equalPages + 1 : 0
    this.#castDoubt(this.#paginator?.doubt?.(page, previous.page))
    if (isEqual)
      this.#castDoubt(limited('two pages in a row are the same, byte for byte: one may stand in for another'))
    // Two equal pages may be chance; where the paginator is a guess, they are enough to drop it.
    const most = this.#reader.paginator === undefined ? 1 : 2
    if (this.#announced !== undefined || this.#equalPages < most) return
    const problem = 'the API gives the same page again and again: it seems to ignore what the paginator sends'
    throw listError(this.#reader, 'pagination_loop', problem + this.#remedy(), {
      request,
      earlier: previous.page.request,
    })
  }

  /** The gravest doubt counts, of equal ones the first. */
  #castDoubt(doubt: ListEnd | undefined): void {
    if (this.#doubt === undefined || (this.#doubt.end !== 'suspect' && doubt?.end === 'suspect')) this.#doubt = doubt
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
    if (maxRecords !== undefined && records > 0) bounds.push(Math.ceil((maxRecords - this.#records) / records))
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
    const before = this.#records - page.records
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
    return { records, count, bytes, announced: this.#announced }
  }

  #ended(end: ListEnd, pages: number): ListEnd {
    const { name } = this.#reader.resource
    if (end.end !== 'proven') return end
    if (this.#doubt !== undefined) return this.#doubt
    const [most, last] = [this.#mostAnnounced, this.#announced ?? 0]
    if (this.#records >= last && this.#records < most) {
      return limited(`the API announced ${most} records and then ${last}: the list changed while it was read`)
    }
    const { maxRecords } = this.#reader.resource.endpoint
    if (maxRecords !== undefined && this.#records > maxRecords) return limited(`max_records is ${maxRecords}`)
    if (pages > 1 && SUSPICIOUS_COUNTS.has(this.#records)) {
      const message = `${name}: the list has exactly ${this.#records} records; check that the API does not stop there`
      this.#context.emit({ type: 'warning', code: 'other', resource: name, message })
    }
    return end
  }

  #report(what: 'paginator' | 'data_selector', guess: string, why: string): void {
    const key = `${what} ${guess}`
    if (this.#memory.guesses.has(key)) return
    this.#memory.guesses.add(key)
    this.#context.emit({ type: 'detected', resource: this.#reader.resource.name, what, guess, why })
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
