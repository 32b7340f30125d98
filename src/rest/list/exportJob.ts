import { JsonDocument } from '../../json/bytes.js'
import { compiledPath } from '../../json/path.js'
import { RequestError, shortened } from '../../model/errors.js'
import {
  NotRecordedError,
  type RecordedResponse,
  type ResponseIdentity,
  type ResponseJournal,
} from '../../model/responses.js'
import { retryAfterMs } from '../../model/runtime/backoff.js'
import type { ListEnd } from '../../model/source.js'
import { uriComponent } from '../../model/texts/percentEncoding.js'
import { count } from '../../model/verdict.js'
import type { ApiPage, ApiRequest, ApiResponse, Paginator, RequestPatch } from '../api.js'
import { jsonBody } from '../body/jsonBody.js'
import type { JobModel, JobRequest } from '../document/model.js'
import { envelopeOf } from '../evidence/envelope.js'
import { because } from '../evidence/evidence.js'
import { barePath, type ListEvidence } from '../evidence/listEvidence.js'
import { pagingHints } from '../evidence/pagingHints.js'
import type { OwnedResponse } from '../http/exchange.js'
import { checkAskedWait, checkDeadline } from '../http/retry.js'
import { isAbsoluteUrl, joinUrl, requestUrl } from '../http/wire.js'
import { wholeNumber } from '../paginators/paginator.js'
import { answerPage, notJson, notRenewed } from './answer/readAnswer.js'
import { declaredEntry } from './answer/responseActions.js'
import { nothing, type Selection } from './answer/selector.js'
import { bodyExcerpt, declaredError, type ListContext, type ListReader, listError, statusError } from './listReader.js'

/** What a job needs of its list. */
export interface JobWalk {
  readonly reader: ListReader
  readonly context: ListContext
  /** Identity of the order among the answers of the load. */
  readonly key: string
  readonly deadline: number | undefined
  ask(request: ApiRequest, identity: string, journal?: ResponseJournal): Promise<OwnedResponse>
}

/** A status of the job that ends the waiting. */
interface Done {
  readonly request: ApiRequest
  readonly answer: RecordedResponse & Pick<ApiResponse, 'url' | 'fromJournal'>
  readonly page: ApiPage
  readonly document: JsonDocument | undefined
  readonly status: string
}

/**
 * An export that was ordered and is done. The order is journaled, so that a killed run waits for the same job. That the
 * job is done is journaled when its result is: until then, a run asks again, as the addresses of results expire.
 */
export class ExportJob {
  readonly #walk: JobWalk
  readonly #model: JobModel
  readonly #order: ApiRequest
  readonly #identity: string
  readonly #handle: string
  readonly #done: Done
  /** The URLs of its files, in order. */
  readonly #urls: readonly string[]

  private constructor(walk: JobWalk, model: JobModel, order: ApiRequest, identity: string, handle: string, done: Done) {
    this.#walk = walk
    this.#model = model
    this.#order = order
    this.#identity = identity
    this.#handle = handle
    this.#done = done
    this.#urls = this.#found()
  }

  /** Orders the export, or takes up the order of an earlier run, and waits until it is done. */
  static async ended(model: JobModel, order: ApiRequest, walk: JobWalk): Promise<ExportJob> {
    const identity = await unspent(walk)
    const answer = await walk.ask(order, identity)
    try {
      const handle = await handleIn(model, order, answer, walk)
      const done = await waited(model, order, handle, identity, walk)
      return new ExportJob(walk, model, order, identity, handle, done)
    } finally {
      answer.release()
    }
  }

  /** The request for the first file. Undefined: the job found nothing, and made no file. */
  get first(): ApiRequest | undefined {
    const [url] = this.#urls
    const { download } = this.#model
    if (download !== undefined) return jobRequest(download, this.#handle, this.#order, this.#walk.reader)
    return url === undefined ? undefined : { method: 'GET', url, params: [], headers: this.#order.headers }
  }

  /** The end of a list whose last file was read. */
  get end(): ListEnd {
    return because('job_done', this.#done.status)
  }

  /** The end of a list without a file. Only a total of 0 proves that there is nothing. */
  get endWithoutFile(): ListEnd {
    const total = this.#total()
    if (total !== undefined && total > 0) return because('no_file_for_total', total)
    return total === 0 || this.#saysZero() ? this.end : because('no_file', this.#done.status)
  }

  /** Tells what the last status says of the result: how much it is, that there is more, an error. */
  testify(evidence: ListEvidence): void {
    const { document, answer, request, status } = this.#done
    const { statusPath, urlPath } = this.#model
    const place = statusPath ?? urlPath
    const within = place === undefined ? undefined : document?.locate(compiledPath(place))?.[0]
    const around: Selection = within === undefined ? nothing : { ...nothing, met: 'list', within }
    const said = envelopeOf(answer.headers, document, around, request)
    const { error, part, count: counted, next } = said
    // The status that is declared as done is none.
    const isError = error !== undefined && error.text !== JSON.stringify(status)
    if (isError) evidence.doubt(because('job_error', error.key))
    if (part !== undefined) evidence.doubt(because('answer_in_part', part))
    evidence.announce(
      {
        ...said,
        // The size of a file is that of its bytes.
        count: counted !== undefined && /size\W*$/i.test(counted.path) ? undefined : counted,
        next: next !== undefined && barePath(next.path) === barePath(urlPath ?? '') ? undefined : next,
      },
      this.#urls.length,
    )
  }

  /** Walks through the files, or through the pages of `declared`, which know only one of them. */
  paginator(declared: Paginator | undefined): Paginator {
    if (declared !== undefined && this.#urls.length > 1) {
      const { path } = this.#walk.reader.resource.endpoint
      throw this.#error(
        `the export has ${this.#urls.length} files, and ${path}.paginator walks through the pages of one; leave it out, and every file is read`,
      )
    }
    const total = this.#total()
    const announced = total === undefined ? {} : { announced: () => total }
    if (declared !== undefined) return { ...declared, ...announced }
    return { goesByHeaders: true, next: page => this.#after(page), ...announced }
  }

  /** The identity of a file: its URL may change from run to run. Undefined for other requests. */
  identityOf(request: ApiRequest): string | undefined {
    const index = this.#urls.indexOf(request.url)
    return index < 0 ? undefined : `${this.#identity}-file${index}`
  }

  /** After the last file: records that the job is done, and removes it. */
  async finish(): Promise<void> {
    const { context } = this.#walk
    const { answer, request } = this.#done
    if (!answer.fromJournal) {
      const { status, headers, body } = answer
      const about = { method: request.method, url: answer.url }
      await context.journal.record(this.#named('status'), { status, headers, body }, about)
    }
    const { cleanup } = this.#model
    // A journal that is replayed sends nothing.
    if (cleanup === undefined || answer.fromJournal) return
    await this.#cleanUp(jobRequest(cleanup, this.#handle, this.#order, this.#walk.reader))
  }

  /** After an error: a result that is gone will not come back. */
  async failed(error: unknown): Promise<void> {
    if (!(error instanceof RequestError) || !isGone(error.status)) return
    await spend(this.#walk, this.#identity, this.#done.request, this.#done.answer.url)
  }

  async #cleanUp(request: ApiRequest): Promise<void> {
    const { reader, context } = this.#walk
    const { name } = reader.resource
    const warn = (why: string): void => {
      const message = `${name}: the export job could not be removed: ${why}`
      context.emit({ type: 'warning', code: 'other', resource: name, namesResource: true, message })
    }
    if (!reader.authOrigins.includes(new URL(request.url).origin)) {
      warn(`${new URL(request.url).host} is not the API; if it is, add it to client.allowed_hosts`)
      return
    }
    try {
      const answer = await this.#walk.ask(request, `${this.#identity}-cleanup`)
      if (answer.status >= 300) warn(`${request.method} ${answer.url} was answered ${answer.status}`)
      answer.release()
    } catch (error) {
      if (context.signal.aborted || !(error instanceof RequestError)) throw error
      warn(error.message)
    }
  }

  #total(): number | undefined {
    const { totalPath } = this.#model
    if (totalPath === undefined) return undefined
    const total = wholeNumber(this.#done.page.first(totalPath))
    if (total === undefined) throw this.#error(`job.total_path "${totalPath}" is not a number in the last status`)
    return total
  }

  /** Whether all that the last status counts is 0, without any configuration. */
  #saysZero(): boolean {
    const totals = pagingHints(this.#done.document, () => false).filter(({ kind }) => kind === 'total')
    return totals.length > 0 && totals.every(({ value }) => wholeNumber(value) === 0)
  }

  #named(part: string) {
    return { resource: this.#walk.reader.resource.name, request: `${this.#identity}-${part}` }
  }

  #after(page: ApiPage): RequestPatch | ListEnd {
    const url = this.#urls[this.#urls.indexOf(page.request.url) + 1]
    return url === undefined || this.#urls.length === 0 ? this.end : { url }
  }

  #found(): string[] {
    const { urlPath } = this.#model
    if (urlPath === undefined) return []
    const { document, request } = this.#done
    const bytes = document?.bytes.length ?? 0
    if (bytes > MOST_STATUS_BYTES) {
      throw this.#error(`the last status has ${bytes} bytes, and ${MOST_STATUS_BYTES} are the most`)
    }
    const status = document?.value(document.root) ?? null
    const path = compiledPath(urlPath)
    const matches = path.matches(status)
    const urls = matches.flat()
    const isNull = urls.length === 1 && urls[0] === null
    if (isNull && (this.#total() === 0 || (this.#model.totalPath === undefined && this.#saysZero()))) return []
    if (matches.length === 0 || urls.some(url => typeof url !== 'string' || !URL.canParse(url, requestUrl(request)))) {
      throw this.#error(`job.download.url_path "${urlPath}" leads to no URL in the last status`)
    }
    if (path.misses(status)) {
      const got = count(urls.length, 'URL')
      throw this.#error(
        `job.download.url_path "${urlPath}" gives ${got} in the last status, and one of its files has none`,
      )
    }
    const found = urls.map(url => new URL(String(url), requestUrl(request)).href)
    const again = found.findIndex((url, index) => found.indexOf(url) < index)
    if (again < 0) return found
    const first = found.indexOf(found[again] ?? '')
    throw this.#error(
      `job.download.url_path "${urlPath}" gives one URL twice, as ${first + 1} and ${again + 1} of ${found.length}`,
    )
  }

  #error(problem: string): RequestError {
    const { request, answer } = this.#done
    const begins = bodyExcerpt(this.#walk.reader, answer)
    return listError(this.#walk.reader, 'response_format', `${problem}; it begins ${begins}`, { request })
  }
}

/** The status of a job is short, even with the addresses of many files. It becomes objects as a whole. */
const MOST_STATUS_BYTES = 16 << 20

/** The identity of the first order that did not fail: a job that failed is ordered again by the next run. */
async function unspent({ reader, context, key }: JobWalk): Promise<string> {
  for (let number = 1; ; number++) {
    const identity = `${key}~job${number}`
    const spent = { resource: reader.resource.name, request: `${identity}-failed` }
    if ((await recorded(context.journal, spent)) === undefined) return identity
  }
}

/** In a journal that is replayed, what is not there is an error. */
async function recorded(journal: ResponseJournal, identity: ResponseIdentity): Promise<RecordedResponse | undefined> {
  try {
    return await journal.lookup(identity)
  } catch (error) {
    if (error instanceof NotRecordedError) return undefined
    throw error
  }
}

/** Notes that a job will never have a result, so that the next run orders another. */
function spend({ reader, context }: JobWalk, identity: string, { method }: ApiRequest, url: string): Promise<void> {
  const about = { resource: reader.resource.name, request: `${identity}-failed` }
  return context.journal.record(about, { status: 200, headers: {}, body: new Uint8Array() }, { method, url })
}

async function handleIn(
  { handlePath, handleHeader }: JobModel,
  order: ApiRequest,
  answer: OwnedResponse,
  { reader }: JobWalk,
): Promise<string> {
  const refusal = refusalOf(reader, order, answer)
  if (refusal !== undefined) throw refusal
  if (handleHeader !== undefined) {
    const value = answer.headers[handleHeader.toLowerCase()]
    if (value !== undefined && value !== '') return value
    throw listError(reader, 'response_format', `the answer has no header ${handleHeader}`, { request: order })
  }
  const { page } = await pageOf(reader, order, answer)
  const handle = page.text(handlePath ?? '$')
  if (handle === '.' || handle === '..') {
    const problem = `the job is called ${JSON.stringify(handle)}, which would lead to another place`
    throw listError(reader, 'response_format', problem, { request: order })
  }
  if (handle !== undefined && handle !== '') return handle
  const problem = `job.handle_path "${handlePath}" leads to no text or number; the answer begins ${page.excerpt()}`
  throw listError(reader, 'response_format', problem, { request: order })
}

async function waited(
  model: JobModel,
  order: ApiRequest,
  handle: string,
  identity: string,
  walk: JobWalk,
): Promise<Done> {
  const { reader, context, deadline } = walk
  const { clock, signal, journal, emit } = context
  const { name, endpoint } = reader.resource
  const request = jobRequest(model.poll, handle, order, reader)
  const until = clock.now() + model.timeoutMs
  // Only the last status is worth keeping, and only once its result is there.
  const looking: ResponseJournal = { lookup: about => journal.lookup(about), record: async () => {} }
  for (;;) {
    const answer = await walk.ask(request, `${identity}-status`, looking)
    const { status: httpStatus, headers, url, fromJournal } = answer
    const kept = { status: httpStatus, headers, url, fromJournal, body: Buffer.from(answer.body) }
    answer.release()
    const refusal = refusalOf(reader, request, kept)
    if (refusal !== undefined) {
      const isFailed = httpStatus < 300 && declaredEntry(endpoint.responseActions, kept)?.action === 'fail'
      if (isFailed || isGone(httpStatus)) await spend(walk, identity, request, url)
      throw refusal
    }
    const { page, document } = await pageOf(reader, request, kept)
    const status = model.statusPath === undefined ? String(httpStatus) : page.text(model.statusPath)
    if (status === undefined) {
      const problem = `job.poll.status_path "${model.statusPath}" leads to no text or number; the answer begins ${page.excerpt()}`
      throw listError(reader, 'response_format', problem, { request })
    }
    if (model.done.includes(status)) return { request, answer: kept, page, document, status }
    if (model.failed.some(failed => failed.toLowerCase() === status.toLowerCase())) {
      // A message about somebody may name them anywhere.
      const isShown = model.messagePath !== undefined && reader.mask === undefined
      const told = isShown ? page.text(model.messagePath ?? '') : undefined
      const words = told === undefined ? page.excerpt() : JSON.stringify(shortened(told, 500))
      const problem = `the export job ended as ${JSON.stringify(status)}: ${words}; the next run orders it again`
      await spend(walk, identity, request, url)
      throw listError(reader, 'response_format', problem, { request })
    }
    const asked = retryAfterMs(headers, clock.now())
    const about = { resource: name, method: request.method, url }
    if (asked !== undefined) checkAskedWait(asked, endpoint.retry, clock, () => about)
    const delayMs = Math.max(asked ?? 0, model.everyMs)
    if (clock.now() + delayMs > until) {
      const waitedFor = `${model.timeoutMs / 1000} seconds (job.poll.timeout)`
      const message = `${name}: the export job is still ${JSON.stringify(shortened(status, 100))} after ${waitedFor}; run again to wait for the same job (${request.method} ${url})`
      throw new RequestError('timeout', reader.scrubber.text(message), about)
    }
    checkDeadline(delayMs, deadline, clock)
    emit({ type: 'waiting', resource: name, reason: `the export job is ${shortened(status, 40)}`, delayMs })
    await clock.sleep(delayMs, signal)
  }
}

/** The error for an answer about the job, by its status or by a response action that refuses it. */
function refusalOf(reader: ListReader, request: ApiRequest, answer: ApiResponse): RequestError | undefined {
  const entry = declaredEntry(reader.resource.endpoint.responseActions, answer)
  switch (entry?.action) {
    case 'fail':
      return entry.message === undefined
        ? statusError(reader, request, answer, `${entry.path} makes it an error`, 1)
        : declaredError(reader, request, answer, entry.message, entry.path, 1)
    case 'retry':
      return statusError(reader, request, answer, `asking again, as ${entry.path} says, did not help`)
    case 'refresh_auth':
      return statusError(reader, request, answer, notRenewed(reader, entry.path))
    default:
      return answer.status < 300 ? undefined : statusError(reader, request, answer)
  }
}

function isGone(status: number | undefined): boolean {
  return status === 404 || status === 410
}

async function pageOf(
  reader: ListReader,
  request: ApiRequest,
  answer: ApiResponse,
): Promise<{ readonly page: ApiPage; readonly document: JsonDocument | undefined }> {
  const excerpt = (): string => bodyExcerpt(reader, answer)
  if (answer.body.length === 0)
    return { page: answerPage(request, answer, nothing, undefined, excerpt), document: undefined }
  try {
    const { text } = await jsonBody(Buffer.from(answer.body), answer.headers)
    const document = new JsonDocument(text)
    return { page: answerPage(request, answer, nothing, document, excerpt), document }
  } catch (error) {
    throw notJson(reader, request, answer, error)
  }
}

/** A request about the job, with the headers of the order. */
function jobRequest(model: JobRequest, handle: string, order: ApiRequest, { baseUrl }: ListReader): ApiRequest {
  const isWhole = isAbsoluteUrl(handle) && model.path.startsWith('{handle}')
  const path = isWhole
    ? model.path.replace('{handle}', () => handle)
    : model.path.replaceAll('{handle}', () => uriComponent(handle))
  const relative = !isWhole && handle.startsWith('/') && model.path === '{handle}'
  const base = requestUrl(order)
  const url = relative && URL.canParse(handle, base) ? new URL(handle, base).href : joinUrl(baseUrl, path)
  const params = model.params.map(([name, value]) => [name, value.replaceAll('{handle}', () => handle)] as const)
  return { method: model.method, url, params, headers: order.headers }
}
