import type { RunEvent } from '../../model/events.js'
import type { Extent, Receipt } from '../../model/receipt.js'
import type { ListEnd, Page, Unread } from '../../model/source.js'
import { type Judgement, judgeList, lackingEnd, ResourceJudge } from '../../model/verdict.js'

/** Counts the requests and answers of one resource, and collects how its lists ended. */
export interface Meter {
  /** Lists that were requested. */
  readonly lists: number
  /** Why records of these lists were not read. */
  readonly unread: ReadonlySet<Unread>
  /** Rows that contracts rejected. */
  readonly discardedRows: number
  /** Records of all pages, before filters. */
  readonly records: number
  /** Pages that an interrupted run received, and pages that this run received. */
  readonly pagesOf: { readonly earlier: number; readonly now: number }
  /** Counts requests, retries and waits from the run's events. */
  observe(event: RunEvent): void
  /** Starts counting for one list: the whole resource, or the records of one parent. */
  list(): ListMeter
  filtered(records: number): void
  /** Rows of a root table that came from records of the resource. */
  wrote(table: string, rows: number): void
  /** By root table: what `wrote` was told. */
  readonly written: ReadonlyMap<string, number>
  discarded(rows: number, values: number): void
  /** The verdict on the resource's own lists; see `ResourceJudge`. */
  judgement(): Judgement
  receipt(rows: Readonly<Record<string, number>>, judgement: Judgement, extent: Extent): Receipt
}

export interface ListMeter {
  page(page: Page, records: number): void
  /** The end of the list, with what its records lack. */
  whole(end: ListEnd): ListEnd
  /**
   * `undefined`: the run stopped reading before the list ended. Returns whether every record of the list that anything
   * tells of was read.
   */
  end(end: ListEnd | undefined): boolean
}

/** `areMerged`: records of the resource that arrive twice become one row. */
export function meter(resource: string, areMerged: boolean): Meter {
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
  let pagesNow = 0
  const judge = new ResourceJudge(areMerged)
  const written = new Map<string, number>()

  return {
    get lists() {
      return judge.lists
    },
    unread: judge.unread,
    get discardedRows() {
      return count.discardedRows
    },
    get records() {
      return count.records
    },
    get pagesOf() {
      return { earlier: count.pagesFromJournal, now: pagesNow }
    },
    observe(event) {
      if (event.type === 'request') count.requests += 1
      else if (event.type === 'retry') {
        count.retries += 1
        count.waitedMs += event.delayMs
      } else if (event.type === 'waiting') count.waitedMs += event.delayMs
      else if (event.type === 'page' && event.fromJournal) count.pagesFromJournal += 1
      else if (event.type === 'page') pagesNow += 1
    },
    list() {
      let records = 0
      let total: number | undefined
      let lacks: ListEnd | undefined
      return {
        page(page, pageRecords) {
          if (page.lacks !== undefined) lacks = lacks === undefined ? page.lacks : graverLack(lacks, page.lacks)
          count.pages += 1
          count.records += pageRecords
          count.bytes += page.bytes
          records += pageRecords
          if (page.announced !== undefined) total = page.announced
        },
        whole(end) {
          if (lacks === undefined) return end
          const { verdict } = judgeList(end, end.distinct ?? records, total)
          return verdict === 'incomplete' ? end : lackingEnd(end, lacks)
        },
        end(end) {
          if (total !== undefined) announced = (announced ?? 0) + total
          judge.list(end, records, total)
          if (end === undefined || end.end === 'suspect' || end.unread !== undefined) return false
          return total === undefined || (end.distinct ?? records) >= total
        },
      }
    },
    filtered(records) {
      count.filtered += records
    },
    wrote(table, rows) {
      written.set(table, (written.get(table) ?? 0) + rows)
    },
    written,
    discarded(rows, values) {
      count.discardedRows += rows
      count.discardedValues += values
    },
    judgement: () => judge.judgement(),
    receipt: (rows, { verdict, reasons }, extent) => ({
      resource,
      extent,
      ...count,
      rows,
      announced,
      verdict,
      reasons,
    }),
  }
}

/** One reason is told: there may be as many as records. */
function graverLack(a: ListEnd, b: ListEnd): ListEnd {
  return a.end !== 'suspect' && b.end === 'suspect' ? b : a
}
