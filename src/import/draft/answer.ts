import type { Environment } from '../../config/lookup/environment.js'
import { restApiFrom } from '../../config/restApi.js'
import { elements, JsonDocument, valueAt } from '../../json/bytes.js'
import type { JsonObject } from '../../json/value.js'
import { isJsonObject } from '../../json/value.js'
import { RequestError } from '../../model/errors.js'
import type { RecordedResponse, ResponseJournal } from '../../model/responses.js'
import type { Page } from '../../model/source.js'
import { systemClock } from '../../pipeline/clock.js'
import { located } from '../../pipeline/run/steps.js'
import { jsonBody } from '../../rest/body/jsonBody.js'
import { type PagingHint, pagingHints } from '../../rest/evidence/pagingHints.js'
import type { Param } from './address.js'
import { asTemplate, requestParams } from './draftYaml.js'

/** A paginator as it would be configured. */
export interface PagingConfig {
  readonly type: string
  readonly [key: string]: string | number | boolean | null
}

/** The list of a draft, and how to request it. */
export interface DraftList {
  readonly name: string
  readonly baseUrl: string
  readonly path: string
  /** The `client` of the document, without a paginator. */
  readonly client: object
  /** What the file that the list is added to sends with every list. */
  readonly resourceDefaults?: object | undefined
}

export interface DraftContext {
  readonly env: Environment
  readonly cwd: string
  readonly folder: string
  readonly pipeline: string
  /** Name of the source. Default: that of every source without one. */
  readonly source?: string | undefined
  readonly signal: AbortSignal
}

export interface DraftAnswer {
  /** Objects among the records. */
  readonly records: readonly JsonObject[]
  /** Records of any kind. */
  readonly count: number
  readonly selector: { readonly path: string; readonly why: string }
  readonly hints: readonly PagingHint[]
  readonly headers: Readonly<Record<string, string>>
  readonly recorded: RecordedResponse
}

export interface DraftQuestion {
  readonly params: readonly Param[]
  readonly paginator: PagingConfig
  /** Absent: Sluice searches for it. */
  readonly selector?: string
  /** Whether somebody waits for the answer, so that a failure is not worth another try. */
  readonly once?: boolean
  /** The first page, which is not requested again. The answer is the page after it. */
  readonly after?: DraftAnswer
}

/** Seconds that an answer may take. Nobody should wait long for a guess. */
const GUESS_TIMEOUT = 20
const GUESS_RETRY = { attempts: 3, max_delay: 10, max_wait: 10 }

/**
 * Requests one page as a run would. Undefined if the paginator ends the list before it. Rejects with the errors of a
 * run. Requests for page 2 are retried a few times, and not where the API asks to wait long.
 */
export async function askPage(
  list: DraftList,
  { params, paginator, selector, once = false, after }: DraftQuestion,
  context: DraftContext,
): Promise<DraftAnswer | undefined> {
  const endpoint = {
    path: asTemplate(list.path),
    params: requestParams(params),
    paginator,
    ...(selector !== undefined && { data_selector: selector, data_selector_required: false }),
    ...((once || selector !== undefined) && { retry: once ? { attempts: 1 } : GUESS_RETRY, timeout: GUESS_TIMEOUT }),
  }
  const document = {
    client: list.client,
    ...(list.resourceDefaults !== undefined && { resource_defaults: list.resourceDefaults }),
    resources: [{ name: list.name, endpoint }],
  }
  const { env, cwd, folder, pipeline, source: name } = context
  const source = restApiFrom(document, { env, cwd, folder, pipeline, name, warn: () => {} })
  const { journal, last } = journalAfter(after?.recorded)
  let found = { path: selector ?? '$', why: 'the answer was empty' }
  try {
    const [resource] = source.resources
    const pages = resource?.pages({
      signal: context.signal,
      clock: systemClock,
      journal,
      emit: event => {
        if (event.type === 'detected' && event.what === 'data_selector') found = { path: event.guess, why: event.why }
      },
      maxPages: after === undefined ? 1 : 2,
      concurrency: 1,
    })
    if (after !== undefined) await pages?.next()
    const step = await pages?.next()
    const recorded = last()
    if (resource === undefined || recorded === undefined || step === undefined || step.done === true) return undefined
    try {
      const answer = await answerOf(step.value, recorded, `${list.baseUrl}/${list.path}`)
      await pages?.return({ end: 'limited', reason: 'a draft needs no more' })
      return { ...answer, selector: found }
    } catch (error) {
      // A list is read without its records, so a broken record is noticed only here.
      throw located(error, resource, step.value)
    }
  } finally {
    await source.close()
  }
}

/** Has the answer to the first request, and keeps the last one. */
function journalAfter(first: RecordedResponse | undefined) {
  let known = first
  let recorded: RecordedResponse | undefined
  const journal: ResponseJournal = {
    lookup: async () => {
      const answer = known
      known = undefined
      return answer
    },
    record: async (_identity, response) => {
      recorded = { ...response, body: Buffer.from(response.body) }
    },
  }
  return { journal, last: () => recorded }
}

async function answerOf(page: Page, recorded: RecordedResponse, url: string): Promise<Omit<DraftAnswer, 'selector'>> {
  const bytes = Buffer.from(page.records)
  const values = elements(bytes, 0).map(record => valueAt(bytes, record))
  const { text: body } = await jsonBody(recorded.body, recorded.headers, url)
  return {
    records: values.filter(value => isJsonObject(value)),
    count: page.count,
    hints: pagingHints(new JsonDocument(body)),
    headers: recorded.headers,
    recorded,
  }
}

/** Why a request for page 2 has no answer, in a few words. */
export function refusal(error: unknown): { readonly text: string; readonly isFinal: boolean } {
  if (!(error instanceof RequestError) || error.code === 'response_format')
    return { text: 'its answer could not be read', isFinal: false }
  if (error.code === 'pagination_loop') return { text: 'the same records again', isFinal: false }
  if (error.code !== 'http_status' && error.status !== 429) return { text: 'no answer came', isFinal: true }
  const { status = 0 } = error
  return { text: `status ${status}`, isFinal: status === 429 || status === 401 || status >= 500 }
}
