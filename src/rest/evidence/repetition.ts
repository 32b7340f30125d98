import { crc32 } from 'node:zlib'
import type { ListEnd } from '../../model/source.js'
import type { Reading } from '../list/readAnswer.js'
import { because } from './evidence.js'
import {
  type FirstRecord,
  firstRecord,
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

/** What a page has to do with those before it. */
export interface Comparison {
  readonly circle?: Circle
  readonly doubt?: ListEnd
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

/** Distinct pages that are remembered, to notice those that come again. */
const MOST_PAGES = 10_000

/** Notices what comes again in one list: pages, and records on later pages. What is kept is bounded. */
export class Repetition {
  readonly #kind: { readonly primaryKey: readonly string[] | undefined; readonly isGuess: boolean }
  readonly #pages = new Map<string, SeenPage>()
  readonly #keys = new KeyTable()
  #first: Reading | undefined
  #repeatedKeys = 0
  /** All records so far had the declared keys. */
  #areKeyed = true
  #equalPages = 0
  readonly #firstRecords = new Map<number, FirstRecord>()
  #stalePages = 0
  /** Moments of the last page with the keys of an earlier one, and whether they have gone one way since. */
  #moments: readonly Moment[] = []
  #directions = new Map<string, number>()

  /** `isGuess`: nobody configured a paginator. */
  constructor(kind: { readonly primaryKey: readonly string[] | undefined; readonly isGuess: boolean }) {
    this.#kind = kind
  }

  /** The declared keys of all records; undefined where some are not known, or where the list has one page. */
  get keys(): KeyTable | undefined {
    return this.#areKeyed && this.#pages.size > 0 && this.#keys.isWhole ? this.#keys : undefined
  }

  /** Compares a page of the list with those before it. */
  page(reading: Reading, number: number): Comparison {
    const { selection } = reading
    if (selection.count === 0) return {}
    // A list of one page is compared with nothing; the bytes of the first page stay as long as the list is read.
    if (number === 1) {
      this.#first = reading
      return {}
    }
    if (this.#first !== undefined && this.#pages.size === 0) this.#remember(this.#first, 1)
    return this.#remember(reading, number)
  }

  #remember({ selection: { records, count, separators }, response }: Reading, number: number): Comparison {
    const keys = recordKeys(records, this.#kind.primaryKey, separators)
    if (keys?.by !== 'declared') this.#areKeyed = false
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
      return { circle: { problem, earlier: 1 } }
    }
    if (earlier === undefined) {
      if (this.#pages.size >= MOST_PAGES) this.#pages.delete(this.#pages.keys().next().value as string)
      this.#pages.set(name, { number, first })
      this.#equalPages = 0
      if (keys?.by === 'declared' && repeated > 0) {
        this.#repeatedKeys += repeated
        return { doubt: because('keys_repeat', this.#repeatedKeys) }
      }
      return {}
    }
    this.#equalPages += 1
    const doubt = because('page_repeats')
    const least = isKeyed
      ? this.#leastKeyedPages(
          count,
          changedMembers(first, earlier.first),
          first.members.length,
          keys.by === 'likely' && this.#isSeries(records, response.headers.date),
        )
      : this.#leastTextPages(records, count)
    if (this.#equalPages < least) return { doubt }
    const remedy = isKeyed
      ? '; where pages have the same things at other times, declare a primary_key with the time'
      : ''
    const problem = `the records of page ${number} are those of page ${earlier.number}: the API seems to ignore what the paginator sends. Check the paginator's parameters; where the API repeats its last page, set max_pages, or maximum_page or maximum_offset${remedy}`
    return { doubt, circle: { problem, earlier: earlier.number } }
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

const NO_KEYS = { hashes: new Float64Array(0) }

/** Most keys that a list remembers; beyond it every second one is forgotten, then every second of these, and so on. */
const MOST_KEYS = 1 << 20
/** Bits of a hash that choose the share; the others choose its slot. */
const LEFT_BITS = 8

/**
 * On which page each key of a list was first. Its memory is bounded: of a list of millions a share of the keys is
 * remembered, chosen by the keys themselves, so that a key that comes again is either always noticed or never.
 */
export class KeyTable {
  #hashes = new Float64Array(1 << 8)
  #pages = new Uint32Array(1 << 8)
  #size = 0
  /** Only keys without one of these bits are remembered. */
  #left = 0

  get size(): number {
    return this.#size
  }

  /** Whether no key was forgotten. */
  get isWhole(): boolean {
    return this.#left === 0
  }

  has(hash: number): boolean {
    return this.#hashes[this.#slot(hash)] === hash
  }

  /** The page on which the key was before, or undefined; then it is on this page from now on. */
  add(hash: number, page: number): number | undefined {
    if ((hash & this.#left) !== 0) return undefined
    const slot = this.#slot(hash)
    if (this.#hashes[slot] === hash) return this.#pages[slot]
    this.#hashes[slot] = hash
    this.#pages[slot] = page
    if (++this.#size * 2 > this.#hashes.length) this.#grow()
    return undefined
  }

  #slot(hash: number): number {
    const mask = this.#hashes.length - 1
    let slot = (hash >>> LEFT_BITS) & mask
    while (this.#hashes[slot] !== 0 && this.#hashes[slot] !== hash) slot = (slot + 1) & mask
    return slot
  }

  #grow(): void {
    const [hashes, pages] = [this.#hashes, this.#pages]
    if (this.#size >= MOST_KEYS) this.#left = (this.#left << 1) | 1
    const length = this.#size >= MOST_KEYS ? hashes.length : hashes.length * 2
    this.#hashes = new Float64Array(length)
    this.#pages = new Uint32Array(length)
    this.#size = 0
    for (let index = 0; index < hashes.length; index++) {
      const hash = hashes[index] as number
      if (hash === 0 || (hash & this.#left) !== 0) continue
      const slot = this.#slot(hash)
      this.#hashes[slot] = hash
      this.#pages[slot] = pages[index] as number
      this.#size++
    }
  }
}
