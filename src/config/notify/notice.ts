import { SluiceError, shortened } from '../../model/errors.js'
import type { RunEvent, WarningCode } from '../../model/events.js'
import { type Receipt, rowsOf } from '../../model/receipt.js'
import type { PastLoad } from '../../pipeline/look/pastLoads.js'
import { describeLockChange, type LockChange } from '../../schema/export/schemaLock.js'
import type { Occasion } from './occasions.js'

/** What a run, replay or backfill is told of. Programs read it: keys are added, never renamed, in one `version`. */
export interface Notice {
  readonly version: 1
  /** The same for every attempt and every receiver. */
  readonly id: string
  readonly time: string
  readonly work: NotifiedWork
  readonly pipeline: string
  readonly dataset: string
  readonly destination: string
  readonly profile: string | null
  /** Of the load that was committed last by this work. Null: none was. */
  readonly load_id: string | null
  /** `test`: nothing happened, and somebody wants to see a notice arrive. */
  readonly occasions: readonly (Occasion | 'test')[]
  /** One line for people, which may quote the API. */
  readonly message: string
  /** The same for chats, where it can neither mention anybody nor make a link. */
  readonly text: string
  readonly error: { readonly code: string; readonly message: string } | null
  /** With the incomplete ones first. */
  readonly resources: readonly NoticedResource[]
  readonly changes: readonly LockChange[]
  readonly warnings: readonly { readonly code: WarningCode; readonly message: string }[]
  /** If `late_after` made somebody look. Null: there was never a load. */
  readonly last_load?: string | null
}

/** What is known of a notice before anything happened. */
export type NoticeAbout = Pick<Notice, 'id' | 'time' | 'work' | 'pipeline' | 'dataset' | 'destination' | 'occasions'>

export type NotifiedWork = 'run' | 'replay' | 'backfill'

export interface NoticedResource {
  readonly resource: string
  readonly verdict: Receipt['verdict']
  readonly records: number
  readonly rows: number
  readonly discarded_rows: number
  readonly discarded_values: number
  readonly reasons: readonly string[]
}

const REMEMBERED = 'its process ended after the commit, so warnings and changes of the schema are not in this notice'

/** Most entries of each list in a notice, and most characters of each text. */
const MOST_ENTRIES = 50
const LONGEST_TEXT = 2_000

/** The warnings that say that tables are not what they were, or that the contract refused something. */
const DRIFT_WARNINGS: ReadonlySet<WarningCode> = new Set<WarningCode>([
  'variant_column',
  'schema_unlocked',
  'nested_rows_gone',
  'table_emptied',
  'fields_gone',
  'schema_changed_at_destination',
  'rows_discarded',
])

/** Those that say what does not come any more. */
const GONE: ReadonlySet<WarningCode> = new Set<WarningCode>(['nested_rows_gone', 'table_emptied', 'fields_gone'])

/** Hears the events of some work, and says afterwards what happened. Memory is bounded by the number of resources. */
export class Hearing {
  readonly #receipts = new Map<string, Receipt>()
  readonly #warnings: Extract<RunEvent, { readonly type: 'warning' }>[] = []
  readonly #changes = new Map<string, LockChange>()
  #isDrift = false
  #started: Extract<RunEvent, { readonly type: 'run_started' }> | undefined
  #loadId: string | undefined
  #isRemembered = false

  /** What a load left at the destination, where the events of its run are gone. */
  static of({ loadId, receipts }: Pick<PastLoad, 'loadId' | 'receipts'>): Hearing {
    const hearing = new Hearing()
    hearing.#loadId = loadId
    hearing.#isRemembered = true
    for (const receipt of receipts) hearing.#hearReceipt(receipt)
    return hearing
  }

  hear(event: RunEvent): void {
    switch (event.type) {
      case 'run_started':
        this.#started = event
        break
      case 'resource_finished':
        this.#hearReceipt(event.receipt)
        break
      case 'schema_changed':
        for (const change of event.changes) this.#hearChange(change)
        break
      case 'warning':
        this.#isDrift ||= DRIFT_WARNINGS.has(event.code)
        if (this.#warnings.length < MOST_ENTRIES) this.#warnings.push(event)
        break
      case 'committed':
        this.#loadId = event.loadId
        break
      default:
    }
  }

  /** Of the windows of a backfill, the worst one counts. */
  #hearReceipt(receipt: Receipt): void {
    this.#isDrift ||= receipt.discardedRows > 0 || receipt.discardedValues > 0
    const before = this.#receipts.get(receipt.resource)
    if (before === undefined || rank(receipt) <= rank(before)) this.#receipts.set(receipt.resource, receipt)
  }

  #hearChange(change: LockChange): void {
    this.#isDrift = true
    if (this.#changes.size < MOST_ENTRIES) this.#changes.set(`${change.what} ${change.place}`, change)
  }

  get hasCommitted(): boolean {
    return this.#loadId !== undefined
  }

  /** What somebody may want to be told. `error`: why the work failed. */
  occasions(error: unknown): readonly Exclude<Occasion, 'late'>[] {
    const isIncomplete =
      codeOf(error) === 'incomplete' || [...this.#receipts.values()].some(({ verdict }) => verdict === 'incomplete')
    const isDrift = this.#isDrift || codeOf(error) === 'contract' || codeOf(error) === 'schema'
    const found = [
      ...(error === undefined ? [] : (['failure'] as const)),
      ...(isIncomplete ? (['incomplete'] as const) : []),
      ...(isDrift ? (['drift'] as const) : []),
    ]
    return found.length === 0 ? ['success'] : found
  }

  notice(about: NoticeAbout, error: unknown, late: Lateness | undefined): Notice {
    const { pipeline, work } = about
    const receipts = [...this.#receipts.values()].sort((one, other) => rank(one) - rank(other))
    const told = [
      ...(about.occasions.includes('test') ? ['a test: nothing ran'] : []),
      ...(error === undefined ? [] : [`the ${work} failed: ${messageOf(error)}`]),
      ...(error === undefined ? incompleteText(receipts) : []),
      ...(late === undefined ? [] : [lateText(late)]),
      ...this.#driftText(receipts),
    ]
    const all = [...(told.length === 0 ? [`the ${work} succeeded`] : told), ...(this.#isRemembered ? [REMEMBERED] : [])]
    const start = `${pipeline}: `
    const text = all.map(part => withoutStart(part, start)).join('; ')
    const message = shortened(`${start}${oneLine(text)}`, LONGEST_TEXT)
    return {
      version: 1,
      ...about,
      dataset: this.#started?.dataset ?? about.dataset,
      profile: this.#started?.profile ?? null,
      load_id: this.#loadId ?? null,
      message,
      text: forChats(message),
      error: error === undefined ? null : { code: codeOf(error), message: shortened(messageOf(error), LONGEST_TEXT) },
      resources: receipts.slice(0, MOST_ENTRIES).map(noticed),
      changes: [...this.#changes.values()],
      warnings: this.#warnings.map(({ code, message: text }) => ({ code, message: shortened(text, LONGEST_TEXT) })),
      ...(late === undefined ? {} : { last_load: late.lastLoad?.toISOString() ?? null }),
    }
  }

  #driftText(receipts: readonly Receipt[]): readonly string[] {
    const changes = [...this.#changes.values()]
    const discarded = receipts.filter(({ discardedRows, discardedValues }) => discardedRows + discardedValues > 0)
    return [
      ...(changes.length === 0
        ? []
        : [
            `the schema changed: ${changes.slice(0, 5).map(describeLockChange).join(', ')}${changes.length > 5 ? ', …' : ''}`,
          ]),
      ...this.#warnings.flatMap(({ code, message }) => (GONE.has(code) ? [message] : [])).slice(0, 3),
      ...discarded.map(
        ({ resource, discardedRows, discardedValues }) =>
          `${resource}: the contract discarded rows (${discardedRows}) or values (${discardedValues})`,
      ),
    ]
  }
}

/** The last load is older than it may be. */
export interface Lateness {
  readonly lastLoad: Date | undefined
  /** As written: `PT2H`. */
  readonly lateAfter: string
}

function lateText({ lastLoad, lateAfter }: Lateness): string {
  return lastLoad === undefined
    ? 'late: there was never a load'
    : `late: the last load is of ${lastLoad.toISOString()}, more than ${lateAfter} ago`
}

function incompleteText(receipts: readonly Receipt[]): readonly string[] {
  return receipts
    .filter(({ verdict }) => verdict === 'incomplete')
    .slice(0, 3)
    .map(({ resource, reasons }) => `${resource} is incomplete: ${reasons[0] ?? 'records are missing'}`)
}

function noticed(receipt: Receipt): NoticedResource {
  const { resource, verdict, records, discardedRows, discardedValues, reasons } = receipt
  return {
    resource,
    verdict,
    records,
    rows: rowsOf(receipt),
    discarded_rows: discardedRows,
    discarded_values: discardedValues,
    reasons: reasons.slice(0, 5).map(reason => shortened(reason, LONGEST_TEXT)),
  }
}

/** A resource may be called as its pipeline. */
function withoutStart(text: string, start: string): string {
  return text.startsWith(start) ? text.slice(start.length) : text
}

function rank({ verdict }: Receipt): number {
  return ['incomplete', 'unproven', 'complete'].indexOf(verdict)
}

function codeOf(error: unknown): string {
  return error instanceof SluiceError ? error.code : 'unexpected'
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** What the API sent must not mention people or make links: `<!channel>` in one chat, `@channel` in another. */
function forChats(message: string): string {
  return message.replaceAll('<', '‹').replaceAll('>', '›').replaceAll('@', '@\u200b')
}

/** A line that ends without a sign of its own ends a sentence. */
function oneLine(text: string): string {
  return text.replace(/(?<=[^\s.,:;!?])\s*\n/g, '. ').replace(/\s+/g, ' ')
}
