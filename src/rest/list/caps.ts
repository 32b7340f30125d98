import type { Clock, ListEnd } from '../../model/source.js'
import type { EndpointModel } from '../document/model.js'
import { because } from '../evidence/evidence.js'
import { type Selection, truncate } from './selector.js'

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

  /** The end of a list that has reached a cap. Undefined: it goes on. */
  reached(pages: number, records: number): ListEnd | undefined {
    const { maxPages, maxRecords } = this.#endpoint
    if (maxRecords !== undefined && records >= maxRecords) return because('cap', 'max_records', maxRecords)
    if (maxPages !== undefined && pages >= maxPages) return because('cap', 'max_pages', maxPages)
    if (this.deadline !== undefined && this.#clock.now() >= this.deadline) return this.timeUp()
    return this.#trial !== undefined && pages >= this.#trial ? because('trial', this.#trial) : undefined
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
