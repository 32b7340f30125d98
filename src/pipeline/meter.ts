import type { RunEvent } from '../core/events.js'
import type { Receipt, Verdict } from '../core/receipt.js'
import type { ListEnd, Page } from '../core/source.js'

/** Counts what one resource asks for and gets, and judges at the end whether everything arrived. */
export interface Meter {
  /** Counts requests, retries and waits from the run's events. */
  observe(event: RunEvent): void
  /** Starts the account of one list: the whole resource, or what belongs to one parent. */
  list(): ListMeter
  filtered(records: number): void
  discarded(rows: number, values: number): void
  receipt(rows: Readonly<Record<string, number>>): Receipt
}

export interface ListMeter {
  page(page: Page, records: number): void
  /** `undefined`: the run stopped reading before the list ended. */
  end(end: ListEnd | undefined, why?: string): void
}

export function meter(resource: string): Meter {
  const count = {
    requests: 0,
    retries: 0,
    pages: 0,
    pagesFromJournal: 0,
    records: 0,
    filtered: 0,
    discardedRows: 0,
    discardedValues: 0,
    bytes: 0,
    waitedMs: 0,
  }
  let announced: number | undefined
  let lists = 0
  let verdict: Verdict = 'complete'
  const reasons = new Map<string, number>()

  const judge = (judgement: Verdict, reason: string): void => {
    if (rank[judgement] > rank[verdict]) {
      verdict = judgement
      reasons.clear()
    }
    if (judgement === verdict) reasons.set(reason, (reasons.get(reason) ?? 0) + 1)
  }

  return {
    observe(event) {
      if (event.type === 'request') count.requests += 1
      else if (event.type === 'retry') {
        count.retries += 1
        count.waitedMs += event.delayMs
      } else if (event.type === 'waiting') count.waitedMs += event.delayMs
      else if (event.type === 'page' && event.fromJournal) count.pagesFromJournal += 1
    },
    list() {
      lists += 1
      let records = 0
      let total: number | undefined
      return {
        page(page, pageRecords) {
          count.pages += 1
          count.records += pageRecords
          count.bytes += page.bytes
          records += pageRecords
          if (page.announced !== undefined) total = page.announced
        },
        end(end, why) {
          if (total !== undefined) announced = (announced ?? 0) + total
          if (end === undefined) judge('unproven', why ?? 'the list was not read to its end')
          else if (end.end === 'suspect') judge('incomplete', end.reason)
          else if (end.end === 'limited') judge('unproven', end.reason)
          else if (total !== undefined && records < total)
            judge('incomplete', `the API announced ${total} records, ${records} arrived`)
          else if (total !== undefined && records > total)
            judge(
              'unproven',
              `the API announced ${total} records, ${records} arrived: the list changed while it was read`,
            )
          else judge('complete', end.reason)
        },
      }
    },
    filtered(records) {
      count.filtered += records
    },
    discarded(rows, values) {
      count.discardedRows += rows
      count.discardedValues += values
    },
    receipt(rows) {
      if (lists === 0) judge('complete', 'there was no parent record to ask for')
      return {
        resource,
        ...count,
        rows,
        announced,
        verdict,
        reasons: [...reasons].map(([reason, times]) => (times === 1 ? reason : `${reason} (${times} lists)`)),
      }
    },
  }
}

const rank: Readonly<Record<Verdict, number>> = { complete: 0, unproven: 1, incomplete: 2 }
