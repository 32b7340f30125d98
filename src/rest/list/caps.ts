import type { Clock, ListEnd } from '../../model/source.js'
import type { EndpointModel } from '../document/model.js'
import { because } from '../evidence/evidence.js'
import { type Selection, truncate } from './selector.js'

/** How far a list may be read, by the document and by the run; counted from the moment at which this is made. */
export class Caps {
  readonly #endpoint: Pick<EndpointModel, 'maxPages' | 'maxRecords' | 'maxMs'>
  readonly #trial: number | undefined
  readonly #clock: Clock
  readonly #startedAt: number

  /** `trial`: pages that the run was asked for. */
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

  /** When the time of the list is up. */
  get deadline(): number | undefined {
    const { maxMs } = this.#endpoint
    return maxMs === undefined ? undefined : this.#startedAt + maxMs
  }

  /** How the list ends once its time is up. */
  timeUp(): ListEnd {
    return because('cap', 'max_seconds', (this.#endpoint.maxMs ?? 0) / 1000)
  }

  /** How the list ends because so much of it is read; undefined: it goes on. */
  reached(pages: number, records: number): ListEnd | undefined {
    const { maxPages, maxRecords } = this.#endpoint
    if (maxRecords !== undefined && records >= maxRecords) return because('cap', 'max_records', maxRecords)
    if (maxPages !== undefined && pages >= maxPages) return because('cap', 'max_pages', maxPages)
    if (this.deadline !== undefined && this.#clock.now() >= this.deadline) return this.timeUp()
    return this.#trial !== undefined && pages >= this.#trial ? because('trial', this.#trial) : undefined
  }

  /** How a list that ended by itself was cut. */
  cut(records: number): ListEnd | undefined {
    const { maxRecords } = this.#endpoint
    return maxRecords !== undefined && records > maxRecords ? because('cap', 'max_records', maxRecords) : undefined
  }

  /** The records of a page that belong to the list; `before`: those of the pages before it. */
  kept(selection: Selection, before: number): Selection {
    const { maxRecords } = this.#endpoint
    return maxRecords === undefined ? selection : truncate(selection, maxRecords - before)
  }

  /** Pages that may follow, as far as can be told. `perPage`: records of the last one. */
  pagesLeft(pages: number, records: number, perPage: number): number {
    const { maxPages, maxRecords } = this.#endpoint
    const bounds = [maxPages, this.#trial].map(bound => (bound ?? Number.POSITIVE_INFINITY) - pages)
    if (maxRecords !== undefined && perPage > 0) bounds.push(Math.ceil((maxRecords - records) / perPage))
    return Math.min(...bounds)
  }
}
