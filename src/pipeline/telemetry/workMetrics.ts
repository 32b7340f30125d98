import type { Attributes, Counter, Histogram, Meter } from '@opentelemetry/api'
import type { RunEvent } from '../../model/events.js'
import type { Receipt } from '../../model/receipt.js'
import type { Clock } from '../../model/source.js'
import type { WorkFailure, WorkMessage } from '../eventChannel.js'
import { serverOf } from './serverOf.js'
import { errorType, isFailure } from './workSpans.js'

/** What is measured of one work, made of its events. Attributes have few values: no URL, no id, no text of an API. */
export class WorkMetrics {
  readonly #clock: Pick<Clock, 'now'>
  readonly #begunMs: number
  readonly #about: Attributes
  readonly #kind: string
  /** Of loads that are not committed yet, by window. */
  readonly #receipts = new Map<string | undefined, Receipt[]>()
  readonly #duration: Histogram
  readonly #commits: Histogram
  readonly #requests: Histogram
  readonly #waits: Histogram
  readonly #retries: Counter
  readonly #records: Counter
  readonly #rows: Counter

  constructor(meter: Meter, { kind, pipeline, dataset }: WorkMessage, clock: Pick<Clock, 'now'>) {
    this.#clock = clock
    this.#begunMs = clock.now()
    this.#kind = kind
    this.#about = { 'sluice.pipeline': pipeline, 'sluice.dataset': dataset }
    const seconds = (name: string, description: string): Histogram =>
      meter.createHistogram(name, { description, unit: 's', advice: { explicitBucketBoundaries: [...SECONDS] } })
    this.#duration = seconds('sluice.work.duration', 'Duration of runs, replays, backfills and checks')
    this.#commits = seconds('sluice.commit.duration', 'Duration of commits')
    this.#requests = seconds('sluice.request.duration', 'Duration of requests, each attempt by itself')
    this.#waits = seconds('sluice.wait.duration', 'Waits for rate limits and before retries')
    this.#retries = meter.createCounter('sluice.retries', { description: 'Requests sent again', unit: '{retry}' })
    this.#records = meter.createCounter('sluice.records', { description: 'Records read', unit: '{record}' })
    this.#rows = meter.createCounter('sluice.rows', { description: 'Rows committed', unit: '{row}' })
  }

  hear(event: RunEvent): void {
    switch (event.type) {
      case 'request': {
        const { method, url, status, durationMs, resource } = event
        this.#requests.record(durationMs / 1000, {
          ...this.#of(resource),
          ...serverOf(url),
          'http.request.method': method,
          ...(status === 0 ? {} : { 'http.response.status_code': status }),
          ...(isFailure(status) ? { 'error.type': errorType(status) } : {}),
        })
        break
      }
      case 'retry':
        this.#retries.add(1, this.#of(event.resource))
        if (event.delayMs > 0) this.#waited(event, 'retry')
        break
      case 'waiting':
        this.#waited(event, 'limit')
        break
      case 'page':
        this.#records.add(event.records, this.#of(event.resource))
        break
      case 'run_started':
        this.#receipts.set(event.window, [])
        break
      case 'resource_finished':
        this.#receipts.get(event.window)?.push(event.receipt)
        break
      case 'committed':
        this.#commits.record(event.durationMs / 1000, this.#about)
        this.#committed(this.#receipts.get(event.window) ?? [])
        this.#receipts.delete(event.window)
        break
      case 'run_failed':
        this.#receipts.delete(event.window)
        break
      default:
    }
  }

  end(failure: WorkFailure | undefined): void {
    this.#duration.record((this.#clock.now() - this.#begunMs) / 1000, {
      ...this.#about,
      'sluice.work': this.#kind,
      ...(failure === undefined ? {} : { 'error.type': failure.code }),
    })
  }

  #of(resource: string): Attributes {
    return { ...this.#about, 'sluice.resource': resource }
  }

  #waited(
    { resource, delayMs }: { readonly resource: string; readonly delayMs: number },
    why: 'retry' | 'limit',
  ): void {
    this.#waits.record(delayMs / 1000, { ...this.#of(resource), 'sluice.wait': why })
  }

  #committed(receipts: readonly Receipt[]): void {
    for (const { resource, rows } of receipts) {
      for (const [table, count] of Object.entries(rows))
        this.#rows.add(count, { ...this.#of(resource), 'sluice.table': table })
    }
  }
}

/** From a quick request to a long backfill. */
const SECONDS = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3_600, 14_400] as const
