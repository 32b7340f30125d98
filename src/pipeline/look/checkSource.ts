import { elements, valueAt } from '../../json/bytes.js'
import { isJsonObject, type JsonValue } from '../../json/value.js'
import type { RunEvent } from '../../model/events.js'
import type { ResponseJournal } from '../../model/responses.js'
import type { Page, Resource } from '../../model/source.js'
import { type MixedColumn, mixedNumbers } from '../../schema/mixedNumbers.js'
import { openWindow } from '../run/incremental/cursorValue.js'
import { planResources } from '../run/plan/planResources.js'
import { located, runSteps } from '../run/steps.js'
import type { PipelineSetup } from '../setup.js'

export interface CheckOptions {
  readonly signal?: AbortSignal | undefined
  readonly select?: readonly string[] | undefined
  readonly onEvent?: ((event: RunEvent) => void) | undefined
}

export interface CheckResult {
  readonly resources: readonly CheckedResource[]
}

export interface CheckedResource {
  readonly resource: string
  /** On the first page. */
  readonly records: number
  readonly announced: number | undefined
  /** Keys of the first record. */
  readonly keys: readonly string[]
  readonly sample: JsonValue | undefined
  /** What Sluice guessed: paginator, selector. */
  readonly guesses: readonly string[]
  /** Columns without a declared type that have whole numbers and fractions: the fractions would get a column of their own. */
  readonly mixedNumbers: readonly MixedColumn[]
}

/**
 * Requests the first page of each root resource, as the first run would. Reads no state, writes nothing, and requests
 * no children. Rejects with the first error.
 */
export async function checkSource(setup: PipelineSetup, options: CheckOptions): Promise<CheckResult> {
  const roots = planResources(setup.source, setup.destination, { select: options.select })
  const resources: CheckedResource[] = []
  try {
    for (const { resource } of roots) {
      const guesses: string[] = []
      const onEvent = (event: RunEvent): void => {
        if (event.type === 'detected') guesses.push(`${event.what} ${event.guess}: ${event.why}`)
        options.onEvent?.(event)
      }
      const checked = await ofFirstPage(setup, resource, { ...options, onEvent }, page => {
        const records = page === undefined ? [] : recordsOf(resource, page)
        const [sample] = records
        return {
          resource: resource.name,
          records: page?.count ?? 0,
          announced: page?.announced,
          keys: sample !== undefined && isJsonObject(sample) ? Object.keys(sample) : [],
          sample,
          mixedNumbers: mixedNumbers(records.filter(isJsonObject), resource.hints),
        }
      })
      resources.push({ ...checked, guesses })
    }
  } finally {
    await setup.source.close()
  }
  return { resources }
}

/** What the first page of the list of a root resource gives. It has none if it is undefined. */
async function ofFirstPage<T>(
  setup: PipelineSetup,
  resource: Resource,
  { signal, onEvent }: Pick<CheckOptions, 'signal' | 'onEvent'>,
  take: (page: Page | undefined) => T,
): Promise<T> {
  const pages = resource.pages({
    signal: signal ?? new AbortController().signal,
    clock: setup.clock,
    journal: forgetful,
    window: resource.incremental === undefined ? undefined : openWindow(resource.incremental, undefined),
    maxPages: 1,
    concurrency: 1,
    emit: event => onEvent?.(event),
  })
  const step = await pages.next()
  const taken = take(step.done ? undefined : step.value)
  await pages.return({ end: 'limited', reason: 'checked' })
  return taken
}

/** How long a counted list is now, by its first page. Undefined if that does not tell. Leaves the source open. */
export async function lengthOf(
  setup: PipelineSetup,
  resource: Resource,
  options: Pick<CheckOptions, 'signal' | 'onEvent'>,
): Promise<number | undefined> {
  return await ofFirstPage(setup, resource, options, page => (page === undefined ? 0 : page.place?.length))
}

/** The first of the records that the steps keep. */
function recordsOf(resource: Resource, page: Page): readonly JsonValue[] {
  try {
    const { records } = runSteps(resource, resource.steps, page.records)
    return elements(records, 0)
      .slice(0, MOST_RECORDS)
      .map(place => valueAt(records, place))
  } catch (error) {
    throw located(error, resource, page)
  }
}

/** More say little more. */
const MOST_RECORDS = 1_000

const forgetful: ResponseJournal = {
  lookup: async () => undefined,
  record: async () => undefined,
}
