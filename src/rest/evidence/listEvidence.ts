import { crc32 } from 'node:zlib'
import type { ListEnd } from '../../model/source.js'
import type { Paginator } from '../api.js'
import type { Reading } from '../list/readAnswer.js'
import type { Claim, Envelope } from './envelope.js'
import { because } from './evidence.js'
import {
  type FirstRecord,
  firstRecord,
  KeyTable,
  keysDigest,
  type Moment,
  momentsOf,
  type RecordKeys,
  recordKeys,
  recordNumbers,
} from './recordKeys.js'

/** What is wrong with a list that goes in circles; the reader of the list makes an error of it. */
export interface Circle {
  readonly problem: string
  /** Number of the page that had the same records. */
  readonly earlier: number
}

/** How a list is read, as far as its judgement depends on it. */
export interface ListKind {
  /** Names of the primary key's fields, as they stand in the records. */
  readonly primaryKey: readonly string[] | undefined
  /** Nobody configured a paginator. */
  readonly isGuess: boolean
  /** What the resource's selector is called in messages; undefined where the records are looked for. */
  readonly selector: string | undefined
}

/** A page that was read before. */
interface SeenPage {
  readonly number: number
  readonly first: FirstRecord
}

/** Pages in a row that may bring nothing new, and records that are remembered to find that out. */
const MOST_STALE_PAGES = 20
const MOST_FIRST_RECORDS = 256

/** A time of a record that is so near to that of each answer is the time of the answer. */
const NEAR_MS = 300_000

/** Pages in a row that may have the keys of earlier ones and other values. */
const MOST_OTHER_PAGES = 100

/** Different sentences beside records that are remembered. */
const MOST_REMARKS = 100

/** Distinct pages that are remembered, to notice those that come again. */
const MOST_PAGES = 10_000

/**
 * Everything that the pages of one list say about its completeness, gathered page by page and judged once at the end.
 * What is kept is bounded, whatever the length of the list.
 */
export class ListEvidence {
  readonly #kind: ListKind
  readonly #pages = new Map<string, SeenPage>()
  readonly #keys = new KeyTable()
  #first: Reading | undefined
  #records = 0
  #last: Envelope = {}
  #lastRecords = 0
  #total: Claim | undefined
  readonly #remarks = new Set<string>()
  readonly #totals = new Map<string, number>()
  #pageCount: Claim | undefined
  #count: Claim | undefined
  #filled = 0
  #saidEnd: string | undefined
  #doubt: ListEnd | undefined
  #announced: number | undefined
  #mostAnnounced = 0
  #leavesOut = false
  #sawList = false
  #met: 'list' | 'record' | undefined
  #missing = false
  #failure: Reading['failure']
  #repeatedKeys = 0
  #equalPages = 0
  readonly #firstRecords = new Map<number, FirstRecord>()
  #stalePages = 0
  /** Moments of the last page with the keys of an earlier one, and whether they have gone one way since. */
  #moments: readonly Moment[] = []
  #directions = new Map<string, number>()

  constructor(kind: ListKind) {
    this.#kind = kind
  }

  /** Records of the list so far. */
  get records(): number {
    return this.#records
  }

  /** What the list announced with its last page, by the paginator's own total. */
  get announced(): number | undefined {
    return this.#leavesOut ? undefined : this.#announced
  }

  /** Takes a page that belongs to the list. A list that goes in circles is told of. */
  page(reading: Reading, number: number, announced: number | undefined): Circle | undefined {
    const { selection, envelope, response } = reading
    this.#records += selection.count
    if (announced !== undefined) this.#announced = announced
    this.#mostAnnounced = Math.max(this.#mostAnnounced, announced ?? 0)
    this.#takeClaims(envelope, selection.count)
    if (selection.count > 0) {
      this.#filled += 1
      if (this.#saidEnd !== undefined) this.doubt(because('came_after_end', this.#saidEnd))
    }
    this.#saidEnd = envelope.more?.more === false ? envelope.more.path : undefined
    this.#takeMissing(reading)
    if (selection.met === 'list' || selection.met === 'record') {
      if (this.#met !== undefined && this.#met !== selection.met) this.doubt(because('other_than_list'))
      this.#met = selection.met
    }
    if (response.doubt !== undefined) this.doubt(because('cut_answer', response.doubt))
    if (envelope.error !== undefined) {
      const { key, text, isOfRecord } = envelope.error
      const isPage = isOfRecord || (selection.count > 0 && selection.isGuess !== true)
      this.doubt(isPage ? because('partial_error', key) : because('error_answer', key, text))
    }
    if (envelope.part !== undefined) this.doubt(because('answer_in_part', envelope.part))
    this.#takeRemark(reading)
    this.#last = envelope
    this.#lastRecords = selection.count
    return this.#compare(reading, number)
  }

  /** Words that come for the first time where the list is null, or that tell of trouble where it is empty. */
  #takeRemark({ selection, envelope: { remark } }: Reading): void {
    if (remark === undefined) return
    if (selection.count > 0) {
      if (this.#remarks.size < MOST_REMARKS) this.#remarks.add(remark.key).add(`${remark.key} ${remark.text}`)
      return
    }
    const isKnown = this.#remarks.has(`${remark.key} ${remark.text}`)
    const isNew = selection.met !== 'list' && !this.#remarks.has(remark.key)
    if (!isKnown && (remark.isTrouble || isNew)) this.doubt(because('remark_for_list', remark.key, remark.text))
  }

  /** The gravest doubt counts, of equal ones the first. */
  doubt(doubt: ListEnd | undefined): void {
    if (this.#doubt === undefined || (this.#doubt.end !== 'suspect' && doubt?.end === 'suspect')) this.#doubt = doubt
  }

  /** The API leaves records out of its pages: their number and its totals are not about the same. */
  leavesRecordsOut(): void {
    this.#leavesOut = true
  }

  /** How the list ended, all in all. `led`: the paginator found its way in an earlier answer. */
  judge(end: ListEnd, paginator: Paginator | undefined, led: boolean): ListEnd {
    const saw = [...(end.saw ?? []), ...this.#sawListText()]
    const judged = this.#judged(led && end.unlessSeen !== undefined ? end.unlessSeen.end : end, paginator)
    const vouches = led && end.unlessSeen !== undefined ? [...saw, end.unlessSeen.what] : saw
    return vouches.length === 0 ? judged : { ...judged, saw: vouches }
  }

  #judged(end: ListEnd, paginator: Paginator | undefined): ListEnd {
    if (end.end === 'suspect') return end
    if (this.#doubt?.end === 'suspect') return this.#doubt
    if (end.end === 'limited' && end.isOpen !== true) return end
    if (this.#failure !== undefined || this.#missing) return this.#withoutList()
    const contradiction = this.#contradiction(end, paginator)
    if (contradiction !== undefined) return contradiction
    if (this.#doubt !== undefined) return this.#doubt
    if (end.end === 'proven') return end
    return this.#proof() ?? end
  }

  /** The last answer, or the only one, had no list. */
  #withoutList(): ListEnd {
    const { selector } = this.#kind
    if (this.#sawList || selector === undefined) return because('no_list')
    const end = because('list_left_out', selector)
    return { ...end, unlessSeen: { what: listAt(selector), end, failure: this.#failure } }
  }

  #sawListText(): string[] {
    return this.#sawList && this.#kind.selector !== undefined ? [listAt(this.#kind.selector)] : []
  }

  /** The greatest numbers count; a number that is another one than before tells of a list that changes. */
  #takeClaims({ total, count, pages }: Envelope, records: number): void {
    // A count of what is on the page is no count of the list.
    const all = total ?? (count?.value === records ? undefined : count)
    if (count !== undefined && count.value !== records) this.#count = count
    if (all !== undefined) {
      const before = this.#totals.get(all.path)
      this.#totals.set(all.path, all.value)
      if (before !== undefined && before !== all.value) this.doubt(because('total_changed', before, all.value))
    }
    if (total !== undefined && (this.#total === undefined || total.value > this.#total.value)) this.#total = total
    if (pages !== undefined) {
      if (this.#pageCount !== undefined && this.#pageCount.value !== pages.value)
        this.doubt(because('pages_changed', this.#pageCount.value, pages.value))
      this.#pageCount = pages
    }
  }

  #takeMissing({ selection, failure }: Reading): void {
    if (selection.met === 'nothing') {
      if (this.#sawList) this.doubt(because('no_list'))
      this.#missing = true
      this.#failure = failure
      return
    }
    if (this.#missing && selection.count > 0) this.doubt(because('list_missing'))
    this.#missing = false
    this.#failure = undefined
    this.#sawList = true
  }

  /** What the answers said beside their records, where it speaks against the end. */
  #contradiction(end: ListEnd, paginator: Paginator | undefined): ListEnd | undefined {
    const goesBy = (paginator?.goesBy ?? []).map(barePath)
    const ofItsOwn = (path: string): boolean => goesBy.includes(barePath(path))
    if (this.#announced !== undefined && this.#records >= this.#announced && this.#records < this.#mostAnnounced)
      return because('total_changed', this.#mostAnnounced, this.#announced)
    // An empty page may be one of which all records were left out, and totals count those that were.
    if (this.#leavesOut) return because('filtered_pages')
    const isPart = paginator?.isPart === true
    const { more, next, rest, position, lastPage } = this.#last
    const [count, pages] = [this.#count, this.#pageCount]
    const total = this.#announced === undefined ? this.#total : undefined
    if (!isPart && total !== undefined && !ofItsOwn(total.path) && total.value > this.#records)
      return because('total_says_more', total.path, total.value, this.#records)
    if (more?.more === true) return because('says_more', more.path)
    if (rest !== undefined && !ofItsOwn(rest.path)) return because('says_more', rest.path)
    // Some APIs give the last page a next one too; the flag that the document names alone decides.
    if (next !== undefined && end.basis !== 'flag' && !ofItsOwn(next.path)) return because('has_next', next.path)
    const isWhole = this.#total !== undefined && this.#total.value === this.#records
    if (position !== undefined && end.basis === 'blind' && !isWhole && more === undefined)
      return because('has_position', position.path)
    if (isPart) return undefined
    if (count !== undefined && !ofItsOwn(count.path) && this.#announced === undefined && count.value > this.#records)
      return because('total_says_more', count.path, count.value, this.#records)
    // An empty list may be said to have one page.
    if (pages !== undefined && (pages.value > Math.max(this.#filled, 1) || pages.value < this.#filled))
      return because('pages_say_other', pages.path, pages.value, this.#filled)
    if (lastPage !== undefined && lastPage.value > this.#filled)
      return because('last_link_further', lastPage.path, lastPage.value, this.#filled)
    return undefined
  }

  /** What shows that the list was whole, where the paginator itself cannot. */
  #proof(): ListEnd | undefined {
    const { more } = this.#last
    const pages = this.#pageCount
    if (this.#total !== undefined && this.#total.value === this.#records)
      return because('total_arrived', this.#records, this.#total.path)
    if (more?.more === false) return because('no_more', more.path)
    if (pages !== undefined && pages.value === this.#filled) return because('pages_reached', pages.value)
    return this.#lastRecords === 0 && this.#sawList ? because('empty_page') : undefined
  }

  /** Notices pages that came before, and records that come again on a later page. */
  #compare(reading: Reading, number: number): Circle | undefined {
    const { selection } = reading
    if (selection.count === 0) return undefined
    // A list of one page is compared with nothing; the bytes of the first page stay as long as the list is read.
    if (number === 1) {
      this.#first = reading
      return undefined
    }
    if (this.#first !== undefined && this.#pages.size === 0) this.#remember(this.#first, 1)
    return this.#remember(reading, number)
  }

  #remember({ selection: { records, count, separators }, response }: Reading, number: number): Circle | undefined {
    const keys = recordKeys(records, this.#kind.primaryKey, separators)
    const { areDistinct, repeated } = this.#takeKeys(keys, number)
    const isKeyed = keys !== undefined && areDistinct
    const first = firstRecord(records)
    // The same things of another day, or another year, are other records.
    const name = isKeyed
      ? `keys ${count} ${keysDigest(keys)} ${first.periods}`
      : `text ${count} ${records.length} ${crc32(records)}`
    const earlier = this.#pages.get(name)
    if (keys?.by === 'declared' && this.#isStale(first, keys, repeated === count)) {
      const problem = `${MOST_STALE_PAGES} pages in a row, up to page ${number}, brought only records that were there before: the API seems to ignore what the paginator sends. Check the paginator's parameters, or set max_pages`
      return { problem, earlier: 1 }
    }
    if (earlier === undefined) {
      if (this.#pages.size >= MOST_PAGES) this.#pages.delete(this.#pages.keys().next().value as string)
      this.#pages.set(name, { number, first })
      this.#equalPages = 0
      if (keys?.by === 'declared' && repeated > 0) {
        this.#repeatedKeys += repeated
        this.doubt(because('keys_repeat', this.#repeatedKeys))
      }
      return undefined
    }
    this.#equalPages += 1
    this.doubt(because('page_repeats'))
    const least = isKeyed
      ? this.#leastKeyedPages(
          count,
          changedMembers(first, earlier.first),
          first.members.length,
          keys.by === 'likely' && this.#isSeries(records, response.headers.date),
        )
      : this.#leastTextPages(records, count)
    if (this.#equalPages < least) return undefined
    const remedy = isKeyed
      ? '; where pages have the same things at other times, declare a primary_key with the time'
      : ''
    const problem = `the records of page ${number} are those of page ${earlier.number}: the API seems to ignore what the paginator sends. Check the paginator's parameters; where the API repeats its last page, set max_pages, or maximum_page or maximum_offset${remedy}`
    return { problem, earlier: earlier.number }
  }

  /**
   * Whether too many pages in a row brought nothing new: records whose keys were there before, the first of each page with
   * nearly the same members as when it was first of a page before. Later versions of the same things are not stale.
   */
  #isStale(now: FirstRecord, { hashes }: RecordKeys, isKnown: boolean): boolean {
    const first = hashes[0] as number
    const before = this.#firstRecords.get(first)
    if (before === undefined && this.#firstRecords.size < MOST_FIRST_RECORDS) this.#firstRecords.set(first, now)
    if (!isKnown) this.#stalePages = 0
    else if (before !== undefined) this.#stalePages = isAlike(now, before) ? this.#stalePages + 1 : 0
    return this.#stalePages >= MOST_STALE_PAGES
  }

  /** After how many pages in a row with keys that were there before a list goes in circles for certain. */
  #leastKeyedPages(count: number, changed: number, members: number, isSeries: boolean): number {
    if (changed === 0) return count === 1 ? 2 : 1
    // A page of one record may well be another version of it.
    if (count === 1) return MOST_STALE_PAGES
    if (isSeries && !isStamped(changed, members)) return MOST_OTHER_PAGES
    return this.#kind.isGuess ? 1 : 2
  }

  /**
   * Whether equal keys come with moments that go one way, page by page: later values of the same things. A moment that is
   * that of the answer tells nothing.
   */
  #isSeries(records: Uint8Array, date: string | undefined): boolean {
    const answered = Date.parse(date ?? '')
    const now = momentsOf(records).filter(({ isTime, value }) => !isTime || !(Math.abs(value - answered) < NEAR_MS))
    const isFirst = this.#equalPages === 1
    const directions = new Map<string, number>()
    for (const { name, value } of now) {
      const before = this.#moments.find(moment => moment.name === name)
      const direction = before === undefined ? 0 : Math.sign(value - before.value)
      const goesOn = isFirst || direction === (this.#directions.get(name) ?? direction)
      if (direction !== 0 && goesOn) directions.set(name, direction)
    }
    const isSeries = isFirst ? now.length > 0 : directions.size > 0
    this.#moments = now
    this.#directions = isFirst ? new Map() : directions
    return isSeries
  }

  /** The same without keys: one equal page may be chance, and records that are all equal say little. */
  #leastTextPages(records: Uint8Array, count: number): number {
    if (this.#kind.isGuess) return 1
    const areAlike = count > 1 && new Set(recordNumbers(records, undefined)).size === 1
    return areAlike ? MOST_STALE_PAGES : 2
  }

  #takeKeys(keys: RecordKeys | undefined, number: number): { areDistinct: boolean; repeated: number } {
    let repeated = 0
    let areDistinct = true
    const { hashes } = keys ?? NO_KEYS
    for (let index = 0; index < hashes.length; index++) {
      const before = this.#keys.add(hashes[index] as number, number)
      if (before === number) areDistinct = false
      else if (before !== undefined) repeated += 1
    }
    return { areDistinct, repeated }
  }
}

function changedMembers(now: FirstRecord, before: FirstRecord): number {
  const members = new Set(before.members)
  return now.members.filter(digest => !members.has(digest)).length
}

function isAlike(now: FirstRecord, before: FirstRecord): boolean {
  return now.periods === before.periods && isStamped(changedMembers(now, before), now.members.length)
}

/** An API may stamp what it repeats; in a time series the time and the value are others. */
function isStamped(changed: number, members: number): boolean {
  return changed <= 1 && members > 2
}

/** A path without what may be written in several ways. */
export function barePath(path: string): string {
  return path.replace(/^\$\.?|[[\]'"]/g, '')
}

const NO_KEYS = { hashes: new Float64Array(0) }

function listAt(selector: string): string {
  return `list at ${selector}`
}
