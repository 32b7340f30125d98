import { elements, skipSpace, valueAt } from '../../json/bytes.js'
import { isJsonObject, type JsonObject, type JsonValue } from '../../json/value.js'
import { canonicalJson } from '../../json/write.js'
import { RequestError, SluiceError } from '../../model/errors.js'
import type { Scrubber } from '../../model/secrets/scrubber.js'
import type { ApiRequest } from '../../rest/api.js'
import { redactUrl } from '../../rest/http/redact.js'
import { requestUrl } from '../../rest/http/wire.js'
import type { Probe, ProbedAnswer } from '../../rest/list/probe.js'
import type { ProofRequest } from './proof.js'

/** An answer with records, or without. */
export interface Sight {
  readonly kind: 'page'
  /** Number of its request in the proof. */
  readonly number: number
  readonly request: ApiRequest
  readonly answer: ProbedAnswer
  readonly count: number
  /** Objects among the records. */
  readonly records: readonly JsonObject[]
  /** Every record as text, in order. */
  readonly texts: readonly string[]
}

export interface Refused {
  readonly kind: 'refused'
  readonly number: number
  readonly request: ApiRequest
  readonly status: number | undefined
  /** A few words: `status 404`. */
  readonly text: string
  /** The API will refuse every other question, too. */
  readonly isFinal: boolean
  readonly error: SluiceError
}

/** `unasked`: the budget is used up, or the API refused to go on. */
export type SightOutcome = Sight | Refused | { readonly kind: 'unasked'; readonly why: string }

/** Answers beyond this are exports. Few of them are asked for. */
const LARGE_BYTES = 8 * 2 ** 20

/** Nobody waits longer for a proof. */
const MOST_WAIT_MS = 60_000

/** Records of a page that are compared. More say little more. */
const MOST_RECORDS = 20_000

/** Asks the questions of one resource within its budget, and keeps a list of them. */
export class Asking {
  readonly #probe: Probe
  readonly #show: (request: ApiRequest) => string
  readonly #requests: ProofRequest[] = []
  readonly #before: number
  #left: number
  #sent = 0
  #spent = 0
  #stopped: string | undefined

  /** `before`: questions that others have asked about the resource. */
  constructor(probe: Probe, budget: number, show: (request: ApiRequest) => string, before = 0) {
    this.#before = before
    this.#probe = probe
    this.#left = budget
    this.#show = show
  }

  get left(): number {
    return this.#stopped === undefined ? this.#left : 0
  }

  /** What the questions cost. Those that an earlier proof asked cost nothing. */
  get spent(): number {
    return this.#spent
  }

  get requests(): readonly ProofRequest[] {
    return this.#requests
  }

  /** Called with every request that goes out. */
  count(): void {
    this.#sent += 1
  }

  /** `asked`: what the request asks for. `keep`: requests that other questions need. */
  async ask(asked: string, request: ApiRequest, { keep = 0, selector }: AskOptions = {}): Promise<SightOutcome> {
    if (this.#stopped !== undefined) return { kind: 'unasked', why: this.#stopped }
    if (this.#left - keep <= 0) return { kind: 'unasked', why: 'the budget of requests was used up' }
    const before = this.#sent
    let isRemembered = false
    const number = this.#before + this.#requests.length + 1
    const told = { number, asked, request: this.#show(request) }
    try {
      const patience = { attempts: this.#left - keep, maxWaitMs: MOST_WAIT_MS }
      const answer = await this.#probe.ask(request, patience, selector)
      isRemembered = answer.isRemembered && this.#sent === before
      const { count } = answer.selection
      const texts = recordsOf(answer)
      this.#requests.push({ ...told, answer: String(answer.page.status), records: count })
      const { headers } = answer.page
      if (answer.bytes > LARGE_BYTES) this.#left = Math.min(this.#left, this.#requests.length === 1 ? 3 : 1)
      if ((headers['x-ratelimit-remaining'] ?? headers['ratelimit-remaining']) === '0')
        this.#stopped = 'the API allows no more requests now'
      return { kind: 'page', number, request, answer, count, ...texts }
    } catch (error) {
      if (!(error instanceof SluiceError) || error.code === 'aborted') throw error
      const refused = refusalOf(error)
      this.#requests.push({ ...told, answer: refused.text })
      if (refused.isFinal) this.#stopped = `the API did not go on (${refused.text})`
      return { kind: 'refused', number, request, ...refused, error }
    } finally {
      this.#left -= isRemembered ? 0 : Math.max(1, this.#sent - before)
      this.#spent += isRemembered ? 0 : Math.max(1, this.#sent - before)
    }
  }
}

interface AskOptions {
  readonly keep?: number | undefined
  readonly selector?: string | undefined
}

function recordsOf({ selection }: ProbedAnswer): Pick<Sight, 'records' | 'texts'> {
  if (selection.count === 0) return { records: [], texts: [] }
  const { records } = selection
  const values = elements(records, skipSpace(records, 0))
    .slice(0, MOST_RECORDS)
    .map(span => valueAt(records, span))
  return { records: values.filter(isJsonObject), texts: values.map(canonicalJson) }
}

function refusalOf(error: SluiceError): Pick<Refused, 'status' | 'text' | 'isFinal'> {
  const status = error instanceof RequestError ? error.status : undefined
  if (status !== undefined && error.code !== 'response_format')
    return { status, text: `status ${status}`, isFinal: status === 429 || status === 401 || status >= 500 }
  const text = PROBLEMS[error.code] ?? `the answer could not be read (${error.code})`
  return { status, text, isFinal: ['connection', 'timeout', 'rate_limit', 'auth'].includes(error.code) }
}

const PROBLEMS: Readonly<Partial<Record<SluiceError['code'], string>>> = {
  connection: 'no connection',
  timeout: 'no answer in time',
  rate_limit: 'the API asks to wait for too long',
  response_format: 'the answer is not what its format says',
  response_too_large: 'the answer is too large',
  auth: 'the sign-in failed',
  placeholder: 'a placeholder has no value',
}

/** What the document itself writes into requests, which a proof may show. */
export interface Shown {
  readonly opening: ApiRequest
  /** The address as the document has it, without values of a parent. */
  readonly path: string
  /** Its values come from a parent's record. */
  readonly isChild: boolean
  readonly scrubber: Scrubber | undefined
}

/** Method and address of a request. Values that the API gave are left out. */
export function shownRequest(request: ApiRequest, { opening, path, isChild, scrubber }: Shown): string {
  const written = new Set(isChild ? [] : opening.params.map(([name, value]) => `${name}=${value}`))
  const url = new URL(requestUrl(request))
  const own = new URL(requestUrl({ ...opening, params: [] }))
  const params = [...url.searchParams].map(([name, value]) => {
    const isWritten = written.has(`${name}=${value}`) || (!isChild && own.searchParams.get(name) === value)
    const isTold = isWritten || (POSITION.test(name) && /^\d{1,9}$/.test(value))
    return `${name}=${isTold ? value : '…'}`
  })
  const place = url.pathname === own.pathname && url.origin === own.origin ? path : `${url.origin}/…`
  const query = params.length === 0 ? '' : `?${params.join('&')}`
  const full = redactUrl(place + query, scrubber)
  return `${request.method} ${scrubber?.text(full) ?? full}`
}

/** Parameters whose numbers are places in a list, or sizes of pages. */
const POSITION = /page|offset|skip|start$|startat|startindex|limit|size|count|take|top|rows|^first$|^max|^p$/i

/** How two pages are like each other. */
export interface Likeness {
  /** Records of the second page that are on the first. */
  readonly shared: number
  /** As many as both have, in the same order. */
  readonly isEqual: boolean
  /** The same records in another order. */
  readonly isReordered: boolean
}

/** Compares pages by the records themselves, and by keys for records that change with every answer. */
export function likeness(first: Sight, second: Sight, keys: readonly string[]): Likeness {
  const isEqual =
    first.texts.length === second.texts.length && first.texts.every((text, at) => second.texts[at] === text)
  const known = new Set(first.texts)
  const byKey = new Map(first.records.map(record => [identity(record, keys), record]))
  const isShared = (text: string, record: JsonObject | undefined): boolean => {
    if (known.has(text)) return true
    const other = keys.length === 0 || record === undefined ? undefined : byKey.get(identity(record, keys))
    return other !== undefined && record !== undefined && isAlike(record, other, keys)
  }
  const areObjects = second.records.length === second.texts.length
  const shared = second.texts.filter((text, at) => isShared(text, areObjects ? second.records[at] : undefined)).length
  const sameOrder =
    isEqual ||
    (areObjects &&
      first.records.length === second.records.length &&
      shared === second.count &&
      keys.length > 0 &&
      first.records.every((record, at) => identity(record, keys) === identity(second.records[at] ?? {}, keys)))
  return {
    shared,
    isEqual: sameOrder,
    isReordered: !sameOrder && shared === second.count && first.count === second.count,
  }
}

/** One record, perhaps with a time or a counter that changed. Rows of two lists may have one number by chance. */
export function isAlike(one: JsonObject, other: JsonObject, keys: readonly string[]): boolean {
  const names = Object.keys(one).filter(name => !keys.includes(name))
  if (names.length === 0) return true
  const same = names.filter(name => canonicalJson(one[name] ?? null) === canonicalJson(other[name] ?? null)).length
  return same * 2 >= names.length
}

export function identity(record: JsonObject, keys: readonly string[]): string {
  return canonicalJson(keys.map(key => valueIn(record, key) ?? null))
}

/** The value of a column: a member, or nested members joined by `__`. */
export function valueIn(record: JsonObject, column: string): JsonValue | undefined {
  if (Object.hasOwn(record, column)) return record[column]
  for (let at = column.indexOf('__'); at > 0; at = column.indexOf('__', at + 1)) {
    const inner = record[column.slice(0, at)]
    if (isJsonObject(inner)) return valueIn(inner, column.slice(at + 2))
  }
  return undefined
}
