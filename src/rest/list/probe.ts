import type { JsonDocument } from '../../json/bytes.js'
import { compiledPath } from '../../json/path.js'
import type { ResponseJournal } from '../../model/responses.js'
import type { IncrementalWindow, Resource } from '../../model/source.js'
import type { ApiPage, ApiRequest, Paginator } from '../api.js'
import type { EndpointResource } from '../document/model.js'
import type { Envelope } from '../evidence/envelope.js'
import { applyPatch } from '../request/request.js'
import { type Reading, type ReadingState, readAnswer } from './answer/readAnswer.js'
import { judged } from './answer/responseActions.js'
import { type DetectedSelector, detectSelector, type Selection } from './answer/selector.js'
import type { ListContext, ListReader } from './listReader.js'
import { readerOf } from './listReaders.js'
import { batchOf, openingRequest, sendRequest } from './listRequest.js'

/** One answer, read as a run would read it. It stays readable until the probe is closed. */
export interface ProbedAnswer {
  readonly page: ApiPage
  readonly selection: Selection
  /** Undefined if there was no body to read. */
  readonly document: JsonDocument | undefined
  readonly envelope: Envelope
  readonly bytes: number
  /** The journal had it, so that nothing was sent. */
  readonly isRemembered: boolean
}

/** How much one question may cost. */
export interface Patience {
  /** Requests, with those that are sent again. */
  readonly attempts: number
  /** Longest wait that the API may ask for. */
  readonly maxWaitMs: number
}

/**
 * Asks single questions about a list, with requests that are signed, retried, limited and masked as in a run. A run
 * follows its paginator from page to page; a probe may ask for any page, or twice for one.
 */
export class Probe {
  readonly #reader: ListReader
  readonly #context: ListContext
  readonly #state: ReadingState
  readonly #held: Reading[] = []
  /** How often each request was asked. */
  readonly #asked = new Map<string, number>()

  constructor(reader: ListReader, context: ListContext) {
    this.#reader = reader
    this.#context = context
    this.#state = { selector: reader.selector, hasList: false }
  }

  get resource(): EndpointResource {
    return this.#reader.resource
  }

  /** How its requests are signed, for messages. */
  get credentials(): Pick<ListReader, 'auth' | 'credentialPlaces'> {
    return this.#reader
  }

  /** As the document says. Undefined: it is searched. */
  get paginator(): Paginator | undefined {
    return this.#reader.paginator
  }

  /** The first request of the list. `window`: another one than that of the context. */
  opening(window: IncrementalWindow | undefined = this.#context.window): ApiRequest {
    const context = { ...this.#context, window }
    const { parent, parents } = context
    return openingRequest(this.#reader, context, parents === undefined ? { parent } : batchOf(this.#reader, parents))
  }

  /** Rejects with the errors of a run. An answer without a match for the selector is none. */
  async ask(request: ApiRequest, patience: Patience, selector?: string): Promise<ProbedAnswer> {
    const [reader, context] = [this.#reader, this.#context]
    const send = () =>
      sendRequest(reader, context, request, {
        identity: this.#identity(request),
        signal: context.signal,
        journal: context.journal,
        ...patience,
      })
    const judgement = await judged(reader, context, request, await send(), { again: send, deadline: undefined })
    const state = selector === undefined ? this.#state : { selector: compiledPath(selector), hasList: false }
    const reading = await readAnswer(reader, context, state, request, judgement, LATER_PAGE)
    this.#held.push(reading)
    const { page, selection, document, envelope, response } = reading
    const isRemembered = response.fromJournal === true
    return { page, selection, document, envelope, bytes: response.body.length, isRemembered }
  }

  /** The request itself and how often it was asked: another probe of the list asks the same under the same name. */
  #identity({ method, url, params, headers, body }: ApiRequest): string {
    const text = JSON.stringify([method, url, params, headers, body ?? null], (_key, value: unknown) =>
      typeof value === 'bigint' ? `${value}n` : value,
    )
    const times = (this.#asked.get(text) ?? 0) + 1
    this.#asked.set(text, times)
    return `probe ${times} ${text}`
  }

  /** Where the records probably are in an answer, whatever the document says. */
  detected({ document }: ProbedAnswer): DetectedSelector | undefined {
    return document === undefined ? undefined : detectSelector(document)
  }

  /** Gives the memory of the answers back. */
  close(): void {
    for (const { document, response } of this.#held.splice(0)) {
      document?.close()
      response.release()
    }
  }
}

/** Of a first page, an answer without a match would be an error. */
const LATER_PAGE = 2

/** A request with the changes of a paginator. */
export function changed(request: ApiRequest, patch: Parameters<typeof applyPatch>[1] | undefined): ApiRequest {
  return patch === undefined ? request : applyPatch(request, patch)
}

/** For answers that nobody wants again. */
export const noJournal: ResponseJournal = { lookup: async () => undefined, record: async () => undefined }

/** Undefined for resources without requests, and for those of other sources. */
export async function probeOf(resource: Resource, context: ListContext): Promise<Probe | undefined> {
  const reader = await readerOf(resource)
  return reader === undefined ? undefined : new Probe(reader, context)
}
