import type { JsonDocument } from '../../json/bytes.js'
import type { JsonObject, JsonValue } from '../../json/value.js'
import { RequestError, shortened } from '../../model/errors.js'
import { NotRecordedError, type ResponseJournal } from '../../model/responses.js'
import { retryAfterMs } from '../../model/runtime/backoff.js'
import type { ListEnd, Page } from '../../model/source.js'
import type { ApiPage, ApiRequest, ApiResponse, Paginator, RequestPatch } from '../api.js'
import { declaredKeys } from '../evidence/declaredKeys.js'
import {
  because,
  isPerhapsBeforeFirst,
  isWithoutNext,
  perhapsCapped,
  VALUE_OF_PARENT,
  withoutValue,
} from '../evidence/evidence.js'
import { otherLists } from '../evidence/keysOfLists.js'
import { barePath, ListEvidence } from '../evidence/listEvidence.js'
import { filledNearPlace } from '../evidence/nearPlace.js'
import { recordNumbers } from '../evidence/recordKeys.js'
import type { Circle } from '../evidence/repetition.js'
import { TooLargeError } from '../http/client.js'
import type { OwnedResponse } from '../http/exchange.js'
import { redactUrl } from '../http/redact.js'
import { checkAskedWait, checkDeadline, TimeUpError } from '../http/retry.js'
import { requestUrl } from '../http/wire.js'
import { NoValueError } from '../request/placeholders.js'
import { applyPatch, requestKey } from '../request/request.js'
import { parentMembers, withMembers } from './answer/includeParent.js'
import { notJson, type Reading, type ReadingState, readAnswer } from './answer/readAnswer.js'
import { judged } from './answer/responseActions.js'
import { recordsWhere, type Selection } from './answer/selector.js'
import { type DetectedPaginator, detectPaginator, elsewhere, otherWay } from './detect.js'
import { ExportJob } from './exportJob.js'
import { type ListContext, type ListReader, listError, tellGuess } from './listReader.js'
import { type AskedFor, batchOf, openingRequest, sendRequest } from './listRequest.js'
import { PageSizes } from './pageSizes.js'
import { type KeyedRequest, keyed, ReadAhead } from './readAhead.js'
import type { Caps } from './shortPages.js'
import { settleShortPage } from './shortPages.js'
import { fromLink, isExpired, TokenExpiredError, tokenOf } from './syncToken.js'
import { hasToken, isReadByText } from './tokenWindow.js'

/** What is known about a list after its end. */
export interface Ended {
  readonly end: ListEnd
  readonly evidence: ListEvidence
  readonly pages: number
  /** Key path of the action that asks to read the list from its start again. */
  readonly reset?: string | undefined
  /** The sync token of a list that showed its end, whatever else is in doubt. */
  readonly token?: JsonValue | undefined
}

type Start = { readonly next: KeyedRequest } | { readonly end: ListEnd }

/** `following`: the next part of the same answer comes first. */
type Step = Start | { readonly following: () => Promise<OwnedResponse> }

/** A list with this many empty pages in a row counts as endless. */
const MOST_EMPTY_PAGES = 1000

/** So many empty pages in a row end a list whose flag says neither that there is more nor that there is not. */
const MOST_UNSAID_PAGES = 20

/** A list with this many skipped pages in a row counts as endless. */
const MOST_SKIPPED_PAGES = 100

/** Of a first page, an answer without a match for the selector would be an error. */
const LATER_PAGE = 2

/** Record counts at which some APIs stop without saying so. */
const SUSPICIOUS_COUNTS = new Set([1_000, 10_000])

/** What tells that a page may be too large. In a replay, a page that is not there was. */
function tooLarge(error: unknown): Error {
  if (error instanceof TooLargeError || error instanceof NotRecordedError) return error
  throw error
}

/** Whether neither the body of an answer nor anything beside it shows a list, or that there is none. */
function showsNothing({ isBlank, response: { following }, envelope: { isEmptyList, more }, flow }: Reading): boolean {
  if (isBlank !== true || following !== undefined) return false
  const isDeclared = flow.kind === 'end' && flow.end.end === 'proven'
  return isEmptyList !== true && more?.more !== false && !isDeclared
}

/** Settings of one walk through a list. */
interface Walk {
  /** Separates its requests from those of other lists and walks. */
  readonly suffix: string
  readonly caps: Caps
  /** Number of pages in the previous walk. */
  readonly pagesBefore?: number
  /** Removes records of a page that must not be delivered. */
  readonly fresh?: (selection: Selection) => Selection
}

/** One walk through a list, from its first page to its end. */
export class ListWalk {
  readonly #reader: ListReader
  readonly #context: ListContext
  readonly #walk: Walk
  readonly #state: ReadingState
  readonly #ahead: ReadAhead
  /** Answers that the list owns. Each one's memory is given back when it is dropped. */
  readonly #held = new Set<Reading>()
  /** The number of the page that each request returned, by the request's key. */
  readonly #sent = new Map<string, number>()
  #paginator: Paginator | undefined
  #job: ExportJob | undefined
  /** Undefined: pages keep their size. */
  readonly #sizes: PageSizes | undefined
  /** The guessed paginator. Undefined if one is configured. */
  #guess: DetectedPaginator | undefined
  #previous: Reading | undefined
  #firstPage: ApiPage | undefined
  readonly #evidence: ListEvidence
  /** Whether an earlier answer led the paginator to another page. */
  #isLed = false
  #emptyPages = 0
  /** Whether the last page that was read says that there is another. */
  #saidMore = false
  #skippedPages = 0
  /** Parts of answers after their first ones. */
  #parts = 0
  /** The last page that was read and not skipped. */
  #lastRead: Reading | undefined
  /** The answer that is looked into. */
  #lastAnswer: Reading | undefined

  constructor(reader: ListReader, context: ListContext, walk: Walk) {
    this.#reader = reader
    this.#context = context
    this.#walk = walk
    const { part } = context
    this.#paginator = part === undefined ? reader.paginator : reader.paginator?.parts?.of(part.start, part.end)
    this.#evidence = new ListEvidence({
      primaryKey: declaredKeys(reader.resource),
      field: reader.paginator?.field,
      isGuess: reader.paginator === undefined && reader.resource.endpoint.job === undefined,
      isFeed: hasToken(reader, context.window),
      keepsTexts: isReadByText(reader, context.window),
      selector: reader.resource.endpoint.dataSelector,
      isMasked: reader.mask !== undefined,
    })
    const { adapt } = reader.resource.endpoint
    if (adapt !== undefined && reader.paginator !== undefined) this.#sizes = new PageSizes(adapt, reader.paginator)
    this.#ahead = new ReadAhead(
      (request, signal) => this.#send(request, signal, 0, this.#sizes),
      reader.resource,
      context,
    )
    this.#state = { selector: reader.selector, hasList: false }
  }

  async *pages(): AsyncGenerator<Page, Ended> {
    const { parent } = this.#context
    try {
      const members = parent === undefined ? undefined : parentMembers(this.#reader.resource, parent)
      if (this.#isAmongOthers) this.#evidence.among(otherLists(this.#reader.resource, this.#context.notes))
      let first: Reading | undefined
      const start = await this.#ordered(this.#first())
      if ('end' in start) return { end: start.end, pages: 0, evidence: this.#evidence }
      let next = start.next
      let following: (() => Promise<OwnedResponse>) | undefined
      for (let number = 1; ; ) {
        const reading = following === undefined ? await this.#answer(next, number) : await this.#part(next, following)
        first ??= reading
        const step = this.#step(reading, number, following !== undefined)
        // The consumer is done with the page before, and so is the comparison of the two. The first page is kept: its
        // paginator may read it for as long as the list lasts. Pages are skipped by what the last one before them says.
        this.#letGo(first, reading, ...(this.#lastRead === undefined ? [] : [this.#lastRead]))
        if ('next' in step && !this.#sent.has(step.next.key))
          this.#ahead.start(
            step.next,
            number,
            this.#walk.caps.pagesLeft(this.#pagesUpTo(number), this.#evidence.records, reading.page.records),
            this.#paginator,
          )
        const keeps = reading.flow.kind === 'continue' || (reading.flow.kind === 'end' && reading.flow.keep)
        if (keeps) yield this.#page(reading, members)
        if (reading.flow.kind === 'reset')
          return {
            end: because('reset', reading.flow.path),
            pages: number,
            evidence: this.#evidence,
            reset: reading.flow.path,
          }
        if ('end' in step) {
          await this.#job?.finish()
          const end = this.#judged(step.end, number)
          const hasEnded = end.end === 'proven' || this.#evidence.isRepeatingFeed
          const token = hasEnded && this.#givesToken() ? tokenOf(this.#reader, reading) : undefined
          const isKept = token !== undefined && end.end === 'proven'
          return { ...this.#ended(isKept ? { ...end, token } : end, number), token }
        }
        following = 'following' in step ? step.following : undefined
        if ('next' in step) next = step.next
        if (following === undefined) number += 1
      }
    } catch (error) {
      if (error instanceof TimeUpError) return this.#ended(this.#walk.caps.timeUp(), 0)
      await this.#job?.failed(error)
      throw this.#ofAnswer(error)
    } finally {
      await this.#ahead.close()
      this.#letGo()
    }
  }

  async #answer(next: KeyedRequest, number: number): Promise<Reading> {
    this.#refuseRepetition(next, number)
    if (number === 1) this.#beginSizes(next.request)
    const taken =
      this.#sizes === undefined
        ? { next, answer: await this.#ahead.take(next) }
        : await this.#fitting(next, this.#sizes)
    const read = await this.#read(taken.next, taken.answer, number)
    return this.#withoutRepeats(await this.#settled(read, number))
  }

  /** Another part of the answer that was read last. */
  async #part({ request }: KeyedRequest, following: () => Promise<OwnedResponse>): Promise<Reading> {
    const [reader, context] = [this.#reader, this.#context]
    const again = (): Promise<OwnedResponse> => {
      const problem = 'a response action asks for the answer again in the middle of it, when its first records are read'
      throw listError(reader, 'response_format', problem, { request })
    }
    const judgement = await judged(reader, context, request, await following(), {
      again,
      deadline: this.#walk.caps.deadline,
    })
    const reading = await readAnswer(reader, context, this.#state, request, judgement, LATER_PAGE)
    this.#parts += 1
    this.#held.add(reading)
    this.#lastAnswer = reading
    return reading
  }

  #pagesUpTo(number: number): number {
    return (this.#walk.pagesBefore ?? 0) + number
  }

  /** The end of a list that has reached a cap after so many whole answers, and so many that were begun. */
  #capped(whole: number, begun: number): ListEnd | undefined {
    const pages = this.#pagesUpTo(begun) + this.#parts
    return this.#walk.caps.reached(this.#pagesUpTo(whole), this.#evidence.records, pages)
  }

  /** Gives back the memory of all answers except these. */
  #letGo(...kept: readonly Reading[]): void {
    for (const reading of this.#held) {
      if (kept.includes(reading)) continue
      this.#held.delete(reading)
      reading.document?.close()
      reading.response.release()
    }
  }

  /** The first request, or the end of a list that is not asked for. */
  #first(): Start {
    const [reader, { parent, parents }] = [this.#reader, this.#context]
    const asks = (of: AskedFor): ApiRequest => openingRequest(reader, this.#context, of)
    const { present, missing } = this.#present(parents ?? [parent], one => asks({ parent: one }))
    if (present.length === 0 && missing !== undefined) return { end: withoutValue(missing.expression, missing.isNull) }
    const request = asks(parents === undefined ? { parent } : batchOf(reader, present as JsonObject[]))
    const link = fromLink(reader, this.#context, request)
    if (link !== undefined) return { next: keyed(link) }
    const patch = this.#paginator?.first
    return { next: keyed(patch === undefined ? request : this.#patched(request, patch)) }
  }

  /** The records of the parent that have all values, and what the first of the others lacks. */
  #present<Parent>(
    parents: readonly Parent[],
    ask: (parent: Parent) => unknown,
  ): { readonly present: readonly Parent[]; readonly missing?: NoValueError } {
    if (this.#reader.resource.endpoint.onNull !== 'skip') return { present: parents }
    const lacks: NoValueError[] = []
    const present = parents.filter(parent => {
      try {
        ask(parent)
        return true
      } catch (error) {
        if (!(error instanceof NoValueError) || !error.expression.startsWith('resources.')) throw error
        lacks.push(error)
        return false
      }
    })
    // A field that is missing may have another name. Null is what the API says.
    const missing = lacks.find(({ isNull }) => !isNull) ?? lacks[0]
    return { present, ...(missing !== undefined && { missing }) }
  }

  /** For an export job: the request for its result, once it is there. */
  async #ordered(start: Start): Promise<Start> {
    const { job, paginator } = this.#reader.resource.endpoint
    if (job === undefined || 'end' in start) return start
    const { request, key } = start.next
    const [reader, context] = [this.#reader, this.#context]
    const done = await ExportJob.ended(job, request, {
      reader,
      context,
      key: this.#identity(request, key),
      deadline: this.#walk.caps.deadline,
      ask: async (asking, identity, journal = context.journal) => {
        const answer = await this.#ask(asking, identity, context.signal, { journal, isAboutJob: true })
        if (asking === request) this.#refuseExpired(answer)
        return answer
      },
    })
    this.#job = done
    done.testify(this.#evidence)
    // One for other resources does not know the result.
    const isOwn = paginator.kind !== 'auto' && paginator.path === `${reader.resource.endpoint.path}.paginator`
    this.#paginator = done.paginator(isOwn ? reader.paginator : undefined)
    const first = done.first
    if (first === undefined) {
      await done.finish()
      return { end: this.#judged(done.endWithoutFile, 0) }
    }
    this.#state.areFiles = !isOwn
    const patch = this.#paginator.first
    return { next: keyed(patch === undefined ? first : this.#patched(first, patch)) }
  }

  #identity(request: ApiRequest, key: string): string {
    const { secretParams } = this.#reader
    return `${secretParams.size === 0 ? key : requestKey(request, secretParams)}${this.#walk.suffix}`
  }

  /** The answer to the request, or to one in its place with fewer records. */
  async #fitting(
    next: KeyedRequest,
    sizes: PageSizes,
  ): Promise<{ readonly next: KeyedRequest; readonly answer: OwnedResponse }> {
    const first = await this.#ahead.take(next).catch(tooLarge)
    let [asking, answer] = [next, first]
    for (let attempt = 1; ; attempt++) {
      if (!(answer instanceof Error) && !sizes.isTooLarge(answer)) return { next: asking, answer }
      const request = sizes.smaller(asking.request)
      // Nothing smaller begins there: it is repeated as any other request is.
      if (request === undefined) {
        if (answer instanceof NotRecordedError) throw answer
        const isFinal = !sizes.wasGivenUp(asking)
        if (!(answer instanceof Error)) {
          if (isFinal) return { next: asking, answer }
          answer.release()
        }
        return { next: asking, answer: await this.#send(asking, this.#context.signal, 0) }
      }
      await this.#tellSmaller(asking, answer, attempt)
      if (!(answer instanceof Error)) answer.release()
      this.#evidence.sizesVary()
      this.#ahead.drop()
      asking = keyed(request)
      answer = await this.#send(asking, this.#context.signal, 0, sizes).catch(tooLarge)
    }
  }

  /** Announces that a smaller page is asked for, and waits if the API asks for it. */
  async #tellSmaller({ request }: KeyedRequest, answer: OwnedResponse | Error, attempt: number): Promise<void> {
    const { clock, emit, signal } = this.#context
    const { name: resource, endpoint } = this.#reader.resource
    const { method } = request
    const url = redactUrl(requestUrl(request), this.#reader.scrubber)
    const isError = answer instanceof Error
    const delayMs = (isError || answer.fromJournal ? undefined : retryAfterMs(answer.headers, clock.now())) ?? 0
    checkAskedWait(delayMs, endpoint.retry, clock, () => ({ resource, method, url }))
    checkDeadline(delayMs, this.#walk.caps.deadline, clock)
    const reason = `${isError ? 'no answer' : `status ${answer.status}`}; the page is asked for with fewer records`
    emit({ type: 'retry', resource, url, reason, attempt, delayMs })
    if (delayMs > 0) await clock.sleep(delayMs, signal)
  }

  #beginSizes(request: ApiRequest): void {
    // A link of an earlier run has the size that its API gave it, if any.
    const isLink = this.#reader.resource.incremental?.token?.isUrl === true
    if (this.#sizes?.begin(request) !== false || isLink) return
    const problem = `${this.#reader.resource.endpoint.path}.adapt_page_size: the first request has no number where the size of a page should be`
    throw listError(this.#reader, 'pagination_loop', problem, { request })
  }

  #send(asking: KeyedRequest, signal: AbortSignal, attempt: number, sizes?: PageSizes): Promise<OwnedResponse> {
    const { request, key } = asking
    const asksSmaller = sizes && ((response: ApiResponse | undefined) => sizes.isGivenUp(asking, response))
    const named = this.#job?.identityOf(request) ?? this.#identity(request, key)
    return this.#ask(request, `${named}${attempt === 0 ? '' : `~${attempt}`}`, signal, { asksSmaller })
  }

  #ask(
    request: ApiRequest,
    identity: string,
    signal: AbortSignal,
    {
      journal = this.#context.journal,
      isAboutJob = false,
      asksSmaller,
    }: {
      readonly journal?: ResponseJournal
      readonly isAboutJob?: boolean
      readonly asksSmaller?: ((response: ApiResponse | undefined) => boolean) | undefined
    } = {},
  ): Promise<OwnedResponse> {
    return sendRequest(this.#reader, this.#context, request, {
      identity,
      signal,
      journal,
      isAboutJob,
      deadline: this.#walk.caps.deadline,
      mayBeCut: this.#paginator === undefined || this.#paginator.goesByHeaders === true,
      isExpected: response => this.#isTokenExpired(response),
      asksSmaller,
    })
  }

  /** A list that is read from its beginning gives none where the first one comes from elsewhere. */
  #givesToken(): boolean {
    const reader = this.#reader
    return reader.resource.incremental?.token?.initial === undefined || hasToken(reader, this.#context.window)
  }

  /** A token may expire on any page. Of an export, only the order has it: a file that is gone says nothing about it. */
  #isTokenExpired(answer: ApiResponse): boolean {
    const reader = this.#reader
    const { window, isTokenNew } = this.#context
    if (this.#job !== undefined || isTokenNew === true || !hasToken(reader, window)) return false
    return isExpired(reader.resource.incremental, answer)
  }

  #refuseExpired(answer: OwnedResponse): void {
    if (!this.#isTokenExpired(answer)) return
    answer.release()
    throw new TokenExpiredError(answer.status, this.#evidence.records)
  }

  /** Reads an answer. The list owns it from now on. */
  async #read(next: KeyedRequest, answer: OwnedResponse, number: number): Promise<Reading> {
    const [reader, context] = [this.#reader, this.#context]
    this.#refuseExpired(answer)
    const again = (attempt: number): Promise<OwnedResponse> => this.#send(next, context.signal, attempt)
    const judgement = await judged(reader, context, next.request, answer, { again, deadline: this.#walk.caps.deadline })
    const reading = await readAnswer(reader, context, this.#state, next.request, judgement, number)
    this.#held.add(reading)
    this.#lastAnswer = reading
    return reading
  }

  /** The step after a page. */
  #step(reading: Reading, number: number, isPart: boolean): Step {
    const { page, flow } = reading
    if (flow.kind === 'end') {
      if (flow.keep) this.#take(reading, number, isPart)
      return { end: (this.#saidMore ? flow.early : this.#perhapsBeforeFirst(reading, number)) ?? flow.end }
    }
    if (flow.kind === 'reset') return { end: because('reset', flow.path) }
    if (flow.kind === 'skip') this.#evidence.doubt(because('skipped', flow.path))
    else {
      if (flow.doubt !== undefined) this.#evidence.doubt(flow.doubt)
      this.#take(reading, number, isPart)
      this.#skippedPages = 0
      this.#lastRead = reading
    }
    const { following } = reading.response
    if (flow.kind === 'continue' && following !== undefined) {
      this.#previous = reading
      const capped = this.#capped(number - 1, number)
      return capped === undefined ? { following } : { end: capped }
    }
    const step = flow.kind === 'skip' ? this.#skip(page.request, flow.path) : this.#next(reading)
    this.#doubtRepeatedName(reading)
    if (flow.kind === 'continue')
      this.#saidMore = this.#paginator?.saysMore?.(page) === true || reading.envelope.more?.more === true
    if (number === 1) this.#ahead.foresee({ request: page.request, patches: () => this.#paginator?.rest?.(page) })
    this.#previous = reading
    const capped = 'end' in step ? undefined : this.#capped(number, number)
    return capped === undefined ? step : { end: capped }
  }

  /** The end of a list whose first answer has no content, where the paginator doubts that a first empty page is its end. */
  #perhapsBeforeFirst({ page, flow }: Reading, number: number): ListEnd | undefined {
    if (number > 1 || flow.kind !== 'end' || flow.early === undefined) return undefined
    const next = this.#paginator?.next(page)
    return next !== undefined && 'end' in next && next.unlessSeen !== undefined ? next : undefined
  }

  /** The paginator has looked into all that it needs by now. A name that repeats inside the record itself hides no list. */
  #doubtRepeatedName({ document, selection: { met, within } }: Reading): void {
    const name = document?.repeatedName(met === 'record' ? within?.start : undefined)
    if (name !== undefined) this.#evidence.doubt(because('name_repeats', this.#reader.scrubber.text(shortened(name))))
  }

  #next(reading: Reading): Step {
    const { page, document, response, selection } = reading
    try {
      if (this.#paginator === undefined) {
        this.#guess = detectPaginator(page, document)
        const { paginator, guess, why } = this.#guess
        tellGuess(this.#reader, this.#context, { what: 'paginator', guess, why })
        this.#paginator = paginator
      }
      const next = this.#paginator.next(page) ?? because('own_rule')
      if ('end' in next) {
        if (isPerhapsBeforeFirst(next) && reading.envelope.isEmptyList === true) return { end: because('empty_page') }
        this.#refuseSlip(next, reading)
        if (page.records > 0 && selection.count === 0 && isWithoutNext(next)) return { end: this.#withoutNew(reading) }
        const guess = this.#previous === undefined ? undefined : this.#guess
        return { end: (guess === undefined ? undefined : otherWay(page, document, guess)) ?? next }
      }
      const unsaid = this.#emptyPages < MOST_UNSAID_PAGES ? undefined : this.#paginator.unsaid?.(page)
      if (unsaid !== undefined) return { end: because('empty_unsaid', this.#emptyPages, unsaid) }
      this.#isLed = true
      const following = applyPatch(page.request, next)
      return { next: keyed(this.#sizes?.next(following) ?? following) }
    } catch (error) {
      throw this.#located(notJson(this.#reader, page.request, response, error), page.request)
    }
  }

  /** Refuses a next page that is not where the document says. Only the first page can show this mistake. */
  #refuseSlip({ unlessSeen, end }: ListEnd, { page, document, envelope }: Reading): void {
    if (unlessSeen === undefined || this.#isLed) return
    if (this.#context.notes.seen.has(unlessSeen.what)) return
    if (end === 'proven') this.#doubtNearMiss(unlessSeen.what, page, document)
    if (page.records === 0) return
    const paths = this.#paginator?.goesBy ?? []
    const place = envelope.next?.path ?? (document === undefined ? undefined : elsewhere(document, paths))
    if (place === undefined || paths.some(path => barePath(path) === barePath(place))) return
    const problem = `the answer has no ${unlessSeen.what}, but something at "${place}"; should the paginator use that? If the list has one page, use the paginator single_page`
    throw listError(this.#reader, 'response_format', problem, { request: page.request })
  }

  /** An end that only the document's word proves is in doubt if the answer has something by nearly the same name. */
  #doubtNearMiss(what: string, { headers }: ApiPage, document: JsonDocument | undefined): void {
    const { token, hint } = this.#reader.resource.incremental ?? {}
    for (const path of this.#paginator?.goesBy ?? []) {
      const place = filledNearPlace(document, headers, path)
      if (place === undefined || (token !== undefined && barePath(place) === barePath(hint?.cursorPath ?? ''))) continue
      this.#evidence.doubt(because('near_miss', what, place))
      return
    }
  }

  /** Whether there are other lists of the resource, whose records are other ones than those of this list. */
  get #isAmongOthers(): boolean {
    const { resource, part } = this.#reader
    const isBelow = this.#context.parent !== undefined || this.#context.parents !== undefined
    const isFirstLook = this.#walk.pagesBefore === undefined
    return isBelow && isFirstLook && part === undefined && resource.incremental?.token === undefined
  }

  /** Returns the page, or the one that belongs in its place if the page before was short. */
  async #settled(reading: Reading, number: number): Promise<Reading> {
    const [previous, short] = [this.#previous, this.#paginator?.shortPages]
    if (previous === undefined || short === undefined || reading.flow.kind !== 'continue') return reading
    const { records } = previous.page
    if (previous.flow.kind !== 'continue' || records === 0 || records >= short.limit(previous.page)) return reading
    const after = (patch: RequestPatch): KeyedRequest => keyed(this.#patched(previous.page.request, patch))
    const settled = await settleShortPage(previous, reading, short, {
      primaryKey: declaredKeys(this.#reader.resource),
      longestPage: this.#context.notes.longestPage,
      ask: patch => this.#between(after(patch), number),
      keyOf: patch => after(patch).key,
    })
    switch (settled.means) {
      case 'unknown':
        this.#evidence.doubt(because('unsettled_page', records))
        break
      case 'unasked':
        // An API that caps its pages would not say behind the first one that there is no more.
        if (previous.envelope.more?.more !== false && previous.envelope.isLast !== true)
          this.#evidence.doubtUnlessCounted(perhapsCapped(records))
        break
      case 'filtered':
        this.#evidence.leavesRecordsOut()
        this.#paginator = short.filtered
        break
      case 'capped':
        // In capped mode the list may later reach the page that was read too early. It must then be requested again.
        this.#sent.delete(keyed(reading.page.request).key)
        this.#paginator = short.capped
        break
      default:
    }
    return settled.reading
  }

  /** The end of a list at a page that brought only known records. An API that caps its pages could give no others. */
  #withoutNew({ page: { records }, envelope: { more } }: Reading): ListEnd {
    if (more?.more === false) return because('no_more', more.path)
    const end = because('nothing_new')
    if (records >= this.#context.notes.longestPage) this.#evidence.doubt(perhapsCapped(records, end))
    return end
  }

  /** The page without records of the page before that were asked for again. */
  #withoutRepeats(reading: Reading): Reading {
    const { page, selection } = reading
    const previous = this.#previous
    if (previous === undefined) return reading
    const repeats = this.#paginator?.repeats?.(page, previous.page)
    if (repeats?.includes(true) !== true) return reading
    const primaryKey = declaredKeys(this.#reader.resource)
    // Without a key, several records may be the same. Each comes again as often as it came before.
    const known = new Map<number, number>()
    for (const record of recordNumbers(previous.selection.records, primaryKey))
      known.set(record, (known.get(record) ?? 0) + 1)
    const numbers = recordNumbers(selection.records, primaryKey)
    const fresh = recordsWhere(selection, (_, index) => {
      const record = numbers[index] as number
      const times = known.get(record) ?? 0
      if (repeats[index] !== true || times === 0) return true
      known.set(record, times - 1)
      return false
    })
    const without = { ...reading, selection: fresh }
    this.#held.delete(reading)
    this.#held.add(without)
    return without
  }

  /** The page between a short page and the one after it. Undefined if the API does not return one. */
  async #between(behind: KeyedRequest, number: number): Promise<Reading | undefined> {
    try {
      const reading = await this.#read(behind, await this.#send(behind, this.#context.signal, 0), number)
      return reading.flow.kind === 'continue' ? reading : undefined
    } catch (error) {
      if (error instanceof RequestError && error.code === 'http_status') return undefined
      throw error
    }
  }

  #skip(request: ApiRequest, path: string): Step {
    const ahead = this.#paginator?.ahead
    if (ahead === undefined) {
      const problem = 'the action skip_page needs a paginator that counts, page_number or offset'
      throw listError(this.#reader, 'http_status', problem, { request })
    }
    this.#skippedPages += 1
    const patch = ahead(request)
    if (patch === undefined) return { end: because('bound') }
    // No page is left to skip after the last one that the API announced.
    if (ahead(request, this.#lastRead?.page) === undefined) return { end: because('skipped', path) }
    if (this.#skippedPages >= MOST_SKIPPED_PAGES) {
      const problem = `${MOST_SKIPPED_PAGES} pages in a row were skipped (${path}); let an answer end the list with the action stop, or set max_pages`
      throw listError(this.#reader, 'pagination_loop', problem, { request })
    }
    return { next: keyed(this.#patched(request, patch)) }
  }

  /** Adds a page to the list. Fails if the list goes in circles although its requests differ. */
  #take(reading: Reading, number: number, isPart: boolean): void {
    const { page } = reading
    const { request } = page
    const previous = this.#previous
    const { notes } = this.#context
    notes.longestPage = Math.max(notes.longestPage, page.records)
    this.#emptyPages = page.records === 0 ? this.#emptyPages + 1 : 0
    if (this.#emptyPages >= MOST_EMPTY_PAGES) {
      const problem = `${MOST_EMPTY_PAGES} pages in a row had no records; set stop_after_empty_page or max_pages`
      throw listError(this.#reader, 'pagination_loop', problem, { request })
    }
    if (previous === undefined) {
      this.#firstPage = page
      this.#refuseUnfit(reading)
    }
    if (isPart) {
      this.#evidence.part(reading, number)
      return
    }
    this.#evidence.doubtUnlessCounted(this.#sizes?.came(page))
    if (showsNothing(reading))
      this.#evidence.doubtUnlessCounted(because(this.#state.areFiles === true ? 'empty_file' : 'empty_answer'))
    const circle = this.#evidence.page(reading, number, this.#paginator?.announced?.(page))
    if (circle !== undefined) {
      const earlier = previous === undefined ? {} : { earlier: previous.page.request }
      throw listError(this.#reader, 'pagination_loop', circle.problem + this.#remedyOf(circle), { request, ...earlier })
    }
    if (previous === undefined) return
    // Numbers of pages of different sizes cannot be compared.
    if (this.#paginator?.counts === 'pages' && this.#sizes?.differ(page, previous.page) === true) return
    this.#evidence.doubt(this.#paginator?.doubt?.(page, previous.page))
    this.#evidence.suspect(this.#paginator?.suspicion?.(page, previous.page, this.#firstPage ?? previous.page))
    const [before, now] = [previous.envelope.number?.value, reading.envelope.number?.value]
    if (this.#paginator?.counts === 'pages' && before !== undefined && before === now && page.records > 0)
      this.#evidence.doubt(because('same_number', now))
  }

  #refuseUnfit({ page, response }: Reading): void {
    try {
      this.#paginator?.check?.(page)
    } catch (error) {
      throw this.#located(notJson(this.#reader, page.request, response, error), page.request)
    }
  }

  #refuseRepetition({ request, key }: KeyedRequest, number: number): void {
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

  #remedyOf({ earlier }: Circle): string {
    const ofPages = earlier === 1 && this.#sent.size === 2 ? this.#paginator?.circleRemedy : undefined
    return ofPages === undefined ? this.#remedy() : `; ${ofPages}`
  }

  /** How to correct a wrong guess. */
  #remedy(): string {
    if (this.#guess === undefined) return ''
    return `; the paginator was guessed (${this.#guess.guess}): configure it, as \`paginator: single_page\` where there is no other page`
  }

  #page({ selection, response, page }: Reading, members: Uint8Array | undefined): Page {
    const { resource } = this.#reader
    const before = this.#evidence.records - selection.count
    const within = this.#walk.caps.kept(selection, before)
    const kept = this.#walk.fresh?.(within) ?? within
    const { records, count, separators } = members === undefined ? kept : withMembers(kept, members, resource)
    const bytes = response.body.length
    this.#context.emit({
      type: 'page',
      resource: resource.name,
      records: count,
      bytes,
      fromJournal: response.fromJournal,
      ...(this.#mayEndEarly() ? {} : { announced: this.#evidence.announced }),
    })
    return {
      records,
      count,
      bytes,
      announced: this.#evidence.announced,
      place: this.#paginator?.parts?.place(page),
      from: { method: page.request.method, url: response.url },
      written: rows => this.#evidence.written(rows, rows === records ? separators : undefined),
    }
  }

  /** Whether the run may stop before the end of the list, so that its total says nothing about the run. */
  #mayEndEarly(): boolean {
    return this.#walk.caps.areSet || this.#reader.resource.incremental?.hint.rowOrder !== undefined
  }

  #ended(end: ListEnd, pages: number): Ended {
    const isSure = this.#reader.resource.endpoint.onNull !== 'skip'
    const saw = [...(end.saw ?? []), VALUE_OF_PARENT]
    return { end: isSure ? end : { ...end, saw }, pages, evidence: this.#evidence }
  }

  #judged(end: ListEnd, pages: number): ListEnd {
    const { name } = this.#reader.resource
    const { records } = this.#evidence
    this.#evidence.doubtUnlessCounted(this.#sizes?.unsure)
    const judged = this.#evidence.judge(end, this.#paginator, this.#isLed)
    for (const what of judged.saw ?? []) this.#context.notes.seen.add(what)
    if (judged.end !== 'proven') return judged
    const cut = this.#walk.caps.cut(records)
    if (cut !== undefined) return cut
    if (pages > 1 && SUSPICIOUS_COUNTS.has(records)) {
      const message = `${name}: the list has exactly ${records} records; check that the API does not stop there`
      this.#context.emit({ type: 'warning', code: 'other', resource: name, namesResource: true, message })
    }
    return judged
  }

  #patched(request: ApiRequest, patch: RequestPatch): ApiRequest {
    try {
      return applyPatch(request, patch)
    } catch (error) {
      throw this.#located(error, request)
    }
  }

  /** Damage in a body may show wherever somebody looks into it, and a paginator may refuse a page wherever it is asked. */
  #ofAnswer(error: unknown): unknown {
    const reading = this.#lastAnswer
    if (reading === undefined) return error
    const { request } = reading.page
    return this.#located(notJson(this.#reader, request, reading.response, error), request)
  }

  /** Adds the resource and the redacted URL to a paginator's error. A paginator knows neither. */
  #located(error: unknown, request: ApiRequest): unknown {
    if (!(error instanceof RequestError) || error.url !== undefined || error.path !== undefined) return error
    if (error.code !== 'pagination_loop' && error.code !== 'response_format') return error
    const status = error.status === undefined ? {} : { status: error.status }
    return listError(this.#reader, error.code, error.message, { request, ...status, cause: error.cause })
  }
}
