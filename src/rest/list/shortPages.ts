import type { Clock, ListEnd } from '../../model/source.js'
import type { RequestPatch, ShortPages } from '../api.js'
import type { EndpointModel } from '../document/model.js'
import { because } from '../evidence/evidence.js'
import { recordNumbers } from '../evidence/recordKeys.js'
import { requestKey } from '../request/request.js'
import type { Reading } from './answer/readAnswer.js'
import { type Selection, truncate } from './answer/selector.js'

/** How far a list may be read, as set by the document and the run. Time counts from construction. */
export class Caps {
  readonly #endpoint: Pick<EndpointModel, 'maxPages' | 'maxRecords' | 'maxMs'>
  readonly #trial: number | undefined
  readonly #clock: Clock
  readonly #startedAt: number

  /** `trial`: number of pages that the run was limited to. */
  constructor(
    endpoint: Pick<EndpointModel, 'maxPages' | 'maxRecords' | 'maxMs'>,
    trial: number | undefined,
    clock: Clock,
  ) {
    this.#endpoint = endpoint
    this.#trial = trial
    this.#clock = clock
    this.#startedAt = clock.now()
  }

  get areSet(): boolean {
    const { maxPages, maxRecords, maxMs } = this.#endpoint
    return [maxPages, maxRecords, maxMs, this.#trial].some(cap => cap !== undefined)
  }

  /** When the time for the list runs out. */
  get deadline(): number | undefined {
    const { maxMs } = this.#endpoint
    return maxMs === undefined ? undefined : this.#startedAt + maxMs
  }

  /** The end of a list whose time ran out. */
  timeUp(): ListEnd {
    return because('cap', 'max_seconds', (this.#endpoint.maxMs ?? 0) / 1000)
  }

  /**
   * The end of a list that has reached a cap. Undefined: it goes on. `parts`: the pages that were read, of which a long
   * answer may have been several.
   */
  reached(pages: number, records: number, parts = pages): ListEnd | undefined {
    const { maxPages, maxRecords } = this.#endpoint
    if (maxRecords !== undefined && records >= maxRecords) return because('cap', 'max_records', maxRecords)
    if (maxPages !== undefined && pages >= maxPages) return because('cap', 'max_pages', maxPages)
    if (this.deadline !== undefined && this.#clock.now() >= this.deadline) return this.timeUp()
    return this.#trial !== undefined && parts >= this.#trial ? because('trial', this.#trial) : undefined
  }

  /** The end of a list that ended by itself but was cut by a cap. */
  cut(records: number): ListEnd | undefined {
    const { maxRecords } = this.#endpoint
    return maxRecords !== undefined && records > maxRecords ? because('cap', 'max_records', maxRecords) : undefined
  }

  /** The records of a page within the cap. `before`: number of records on earlier pages. */
  kept(selection: Selection, before: number): Selection {
    const { maxRecords } = this.#endpoint
    return maxRecords === undefined ? selection : truncate(selection, maxRecords - before)
  }

  /** Most pages that may follow. `perPage`: records of the last page. */
  pagesLeft(pages: number, records: number, perPage: number): number {
    const { maxPages, maxRecords } = this.#endpoint
    const bounds = [maxPages, this.#trial].map(bound => (bound ?? Number.POSITIVE_INFINITY) - pages)
    if (maxRecords !== undefined && perPage > 0) bounds.push(Math.ceil((maxRecords - records) / perPage))
    return Math.min(...bounds)
  }
}

/** What a short page turned out to mean. */
export interface Settled {
  /** The page after it, or the one that belongs in its place. */
  readonly reading: Reading
  /**
   * `capped`: the API caps its pages. `filtered`: it leaves records out of them. `unknown`: it did not say. `unasked`:
   * all lists of the resource may be capped like this one. Absent: nothing changes.
   */
  readonly means?: 'capped' | 'filtered' | 'unknown' | 'unasked'
}

/** What is needed to find out the cause of a short page. */
export interface Settling {
  readonly primaryKey: readonly string[] | undefined
  /** Records of the longest page of the resource. */
  readonly longestPage: number
  /** Requests the page for this patch of `previous`' request. Undefined if the API does not return it. */
  readonly ask: (patch: RequestPatch) => Promise<Reading | undefined>
  /** The key of the same request. */
  readonly keyOf: (patch: RequestPatch) => string
}

/** Finds out why the page `previous` was short, using `reading`, the page after it. */
export async function settleShortPage(
  previous: Reading,
  reading: Reading,
  short: ShortPages,
  settling: Settling,
): Promise<Settled> {
  const { ask, keyOf, longestPage, primaryKey } = settling
  const behind = short.behind(previous.page)
  if (keyOf(behind) === requestKey(reading.page.request)) return settleOverlap(previous, reading, short, settling)
  const isEnd = reading.page.records === 0
  // A page is not capped if another one was longer.
  if (isEnd && previous.page.records < longestPage) return { reading }
  // A limit of two is not asked about: the conformance cases fix dlt's requests. So one record may be all, or the cap.
  if (isEnd && short.limit(previous.page) === 2) return { reading, means: 'unasked' }
  const between = await ask(behind)
  if (between === undefined) return { reading, means: 'unknown' }
  const known = new Set([...numbersOf(previous, primaryKey), ...numbersOf(reading, primaryKey)])
  const isNew = numbersOf(between, primaryKey).some(record => !known.has(record))
  if (between.page.records > 0 && isNew) return { reading: between, means: 'capped' }
  return isEnd && between.page.records === 0 ? { reading } : { reading, means: 'filtered' }
}

/**
 * `reading` starts right after the records of a short page. If it repeats some of them, there are two causes. The API
 * may leave records out of its pages: then the next whole page begins with the first new record. Or records were added
 * at the front of the list.
 */
async function settleOverlap(
  previous: Reading,
  reading: Reading,
  short: ShortPages,
  { primaryKey, ask }: Settling,
): Promise<Settled> {
  const [known, now] = [new Set(numbersOf(previous, primaryKey)), numbersOf(reading, primaryKey)]
  if (!now.some(record => known.has(record)) || new Set(now).size < now.length) return { reading }
  const firstNew = now.find(record => !known.has(record))
  const patch = short.filtered.next(previous.page)
  if (patch === undefined || 'end' in patch)
    return firstNew === undefined ? { reading, means: 'filtered' } : { reading }
  const whole = await ask(patch)
  if (whole === undefined || numbersOf(whole, primaryKey)[0] !== firstNew) return { reading }
  return { reading: whole, means: 'filtered' }
}

function numbersOf({ selection }: Reading, primaryKey: readonly string[] | undefined): readonly number[] {
  return recordNumbers(selection.records, primaryKey)
}
