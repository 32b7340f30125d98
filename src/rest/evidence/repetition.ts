import { crc32 } from 'node:zlib'
import type { ListEnd } from '../../model/source.js'
import type { Reading } from '../list/answer/readAnswer.js'
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
  textNumbers,
} from './recordKeys.js'

/** What is wrong with a list that goes in circles. The list's reader makes an error of it. */
export interface Circle {
  readonly problem: string
  /** Number of the page that had the same records. */
  readonly earlier: number
}

/** How a page relates to those before it. */
export interface Comparison {
  readonly circle?: Circle
  readonly doubt?: ListEnd
}

/** The texts of a list's records. */
export interface ListTexts {
  readonly known: KeyTable
  /** One number for all of them, in which their order counts. */
  readonly digest: number
  /** How many came again on a later page. */
  readonly repeated: number
}

/** Whether two readings of a list brought the same in the same order. */
export function isSameReading(one: ListTexts | undefined, other: ListTexts | undefined): boolean {
  return one !== undefined && one.digest === other?.digest && one.repeated === other.repeated
}

/** A page that was read before. */
interface SeenPage {
  readonly number: number
  readonly first: FirstRecord
}

/** Most pages in a row without new records, and most first records that are remembered to detect that. */
const MOST_STALE_PAGES = 20
const MOST_FIRST_RECORDS = 256

/** A record's time that is this close to the answer's time counts as the answer's time. */
const NEAR_MS = 300_000

/** Most pages in a row with the keys of earlier pages but other values. */
const MOST_OTHER_PAGES = 100

/** Most pages in a row of a feed with the same keys in the same order. One record may change often, and each change is a page. */
const MOST_FEED_PAGES = 1_000

/** Distinct pages that are remembered, to detect repeated ones: so many of the last ones, and a share of those before. */
const MOST_PAGES = 10_000

export interface RepetitionKind {
  /** Names of the primary key's fields in the records. */
  readonly primaryKey: readonly string[] | undefined
  /** Field by which the paginator goes, with another value in each record. */
  readonly field?: string | undefined
  /** No paginator is configured. */
  readonly isGuess: boolean
  /** The list tells changes since a sync token. It names a record each time that it changed. */
  readonly isFeed: boolean
  /** The texts of the records are remembered, so that a second reading tells what is new. */
  readonly keepsTexts: boolean
}

/** Detects repetition in one list: pages, and records on later pages. Memory is bounded. */
export class Repetition {
  readonly #kind: RepetitionKind
  readonly #pages = new Map<string, SeenPage>()
  readonly #older = new OlderPages()
  readonly #keys = new KeyTable()
  #texts: ListTexts | undefined
  /** Values of the paginator's field. Undefined: several records share one. */
  #values: KeyTable | undefined = new KeyTable()
  #first: Reading | undefined
  #repeatedKeys = 0
  /** Whether all records so far had the declared keys. */
  #areKeyed = true
  #equalPages = 0
  readonly #firstRecords = new Map<number, FirstRecord>()
  #stalePages = 0
  /** Keys of the last page of a feed, and pages in a row that have them. */
  #feedDigest: number | undefined
  #feedPages = 0
  /** Of a list without keys: the last page, and the pages in a row as long as it. */
  #previous = { count: 0, bytes: 0, pages: 0, sum: 0 }
  #equalSums = 0
  /** Moments of the last page that repeated keys, and the direction in which they have moved since. */
  #moments: readonly Moment[] = []
  #directions = new Map<string, number>()

  constructor(kind: RepetitionKind) {
    this.#kind = kind
    if (kind.keepsTexts) this.#texts = { known: new KeyTable(), digest: 0, repeated: 0 }
  }

  /** The texts of the records, of a list with several pages. Undefined if they are not remembered. */
  get texts(): ListTexts | undefined {
    return this.#texts
  }

  /** The declared keys of all records. Undefined if some are unknown, or if the list has one page. */
  get keys(): KeyTable | undefined {
    return this.#areKeyed && this.#pages.size > 0 && this.#keys.isWhole ? this.#keys : undefined
  }

  /** Compares a page of the list with those before it. */
  page(reading: Reading, number: number): Comparison {
    const { selection } = reading
    if (selection.count === 0) return {}
    // A list of one page is compared with nothing. The first page's bytes stay as long as the list is read.
    if (number === 1) {
      this.#first = reading
      return {}
    }
    if (this.#first !== undefined && this.#pages.size === 0) this.#remember(this.#first, 1)
    return this.#remember(reading, number)
  }

  /** Remembers the keys of another part of page `number`. */
  part({ selection: { records, separators, count } }: Reading, number: number): void {
    if (count > 0) this.#takeTexts(records, number)
    // Of a first page, only its first part is remembered, and that only once there is another page.
    if (number === 1) this.#areKeyed = false
    else if (count > 0) this.#takeKeys(this.#keysOf(records, separators), number)
  }

  /** Remembers the texts of records. Whether some came on an earlier page. */
  #takeTexts(records: Uint8Array, number: number): boolean {
    if (this.#texts === undefined) return false
    const { known, digest, repeated } = this.#texts
    const hashes = Float64Array.from(textNumbers(records))
    const again = hashes.filter(hash => (known.add(hash, number) ?? number) !== number).length
    this.#texts = { known, digest: keysDigest({ hashes }, digest), repeated: repeated + again }
    return again > 0
  }

  /** What tells the records apart. In a feed nothing does but their text. */
  #keysOf(records: Uint8Array, separators: readonly number[] | undefined): RecordKeys | undefined {
    return this.#kind.isFeed ? undefined : recordKeys(records, this.#kind.primaryKey, separators)
  }

  #remember(reading: Reading, number: number): Comparison {
    const again = this.#takeTexts(reading.selection.records, number)
    const circle = this.#kind.isFeed ? this.#feedCircle(reading, number) : undefined
    if (circle !== undefined) return { circle }
    const comparison = this.#compared(reading, number)
    if (!again || !this.#kind.isFeed) return comparison
    return { ...comparison, doubt: because('texts_repeat', this.#texts?.repeated ?? 0) }
  }

  #compared({ selection: { records, count, separators }, response }: Reading, number: number): Comparison {
    const keys = this.#keysOf(records, separators)
    if (keys?.by !== 'declared') this.#areKeyed = false
    const { areDistinct, repeated } = this.#takeKeys(keys, number)
    const isKeyed = keys !== undefined && areDistinct
    const first = firstRecord(records)
    // The same keys with another day or year are other records.
    const name = isKeyed
      ? `keys ${count} ${keysDigest(keys)} ${first.periods}`
      : `text ${count} ${records.length} ${crc32(records)}`
    const earlier = this.#pages.get(name) ?? this.#older.get(name)
    if (keys !== undefined && this.#isStale(first, keys, repeated === count)) {
      const problem = `${this.#stalePages} pages, up to page ${number}, brought only records that were there before: the API seems to ignore what the paginator sends. Check the paginator's parameters, or set max_pages`
      return { circle: { problem, earlier: 1 } }
    }
    if (keys === undefined && this.#isShuffled(records, count)) {
      const problem = `${this.#equalSums} pages in a row, up to page ${number}, brought the same records in another order: the API seems to ignore what the paginator sends. Check the paginator's parameters, or set max_pages`
      return { circle: { problem, earlier: number - 1 } }
    }
    if (earlier === undefined) {
      if (this.#pages.size >= MOST_PAGES) this.#ageOldest()
      this.#pages.set(name, { number, first })
      this.#equalPages = 0
      if (keys?.by === 'declared' && repeated > 0) {
        this.#repeatedKeys += repeated
        return { doubt: because('keys_repeat', this.#repeatedKeys) }
      }
      const { field } = this.#kind
      const isKnown = field !== undefined && this.#hasKnownValue(field, records, separators, number)
      return isKnown ? { doubt: because('values_repeat', field) } : {}
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

  /** A feed names a record each time that it changed. Only very many pages of the same records show that it never ends. */
  #feedCircle({ selection: { records, separators } }: Reading, number: number): Circle | undefined {
    const keys = recordKeys(records, this.#kind.primaryKey, separators)
    const digest = keys && keysDigest(keys)
    this.#feedPages = digest !== undefined && digest === this.#feedDigest ? this.#feedPages + 1 : 0
    this.#feedDigest = digest
    if (this.#feedPages < MOST_FEED_PAGES) return undefined
    const problem = `${MOST_FEED_PAGES} pages in a row, up to page ${number}, brought the same records with other values: the API seems to ignore what the paginator sends. Check the paginator's parameters, or set max_pages`
    return { problem, earlier: number - 1 }
  }

  /**
   * Whether many pages in a row have the same records, in any order. They are compared only behind many pages of one
   * length, which those have.
   */
  #isShuffled(records: Uint8Array, count: number): boolean {
    const isAlike = count === this.#previous.count && records.length === this.#previous.bytes
    const pages = isAlike ? this.#previous.pages + 1 : 0
    const sum = pages < MOST_OTHER_PAGES ? 0 : textNumbers(records).reduce((all, text) => (all + text) % 2 ** 52, 0)
    this.#equalSums = sum !== 0 && sum === this.#previous.sum ? this.#equalSums + 1 : 0
    this.#previous = { count, bytes: records.length, pages, sum }
    return this.#equalSums >= MOST_OTHER_PAGES
  }

  #ageOldest(): void {
    const [name, page] = this.#pages.entries().next().value as [string, SeenPage]
    this.#pages.delete(name)
    this.#older.add(name, page)
  }

  /**
   * Whether too many pages brought nothing new, with none between them that did. On such a page all keys are known, and
   * the first record has the same members as when it first began a page, or with a declared key nearly the same. Later
   * versions of the same records are new.
   */
  #isStale(now: FirstRecord, { hashes, by }: RecordKeys, isKnown: boolean): boolean {
    const first = hashes[0] as number
    const before = this.#firstRecords.get(first)
    if (before === undefined && this.#firstRecords.size < MOST_FIRST_RECORDS) this.#firstRecords.set(first, now)
    if (!isKnown) this.#stalePages = 0
    else if (before !== undefined) this.#stalePages = isAlike(now, before, by) ? this.#stalePages + 1 : 0
    return this.#stalePages >= (by === 'declared' ? MOST_STALE_PAGES : MOST_OTHER_PAGES)
  }

  /** Number of consecutive pages with known keys after which a list certainly goes in circles. */
  #leastKeyedPages(count: number, changed: number, members: number, isSeries: boolean): number {
    if (changed === 0) return count === 1 ? 2 : 1
    // A page of one record may be another version of that record.
    if (count === 1) return MOST_STALE_PAGES
    if (isSeries && !isStamped(changed, members)) return MOST_OTHER_PAGES
    return this.#kind.isGuess ? 1 : 2
  }

  /**
   * Whether repeated keys come with moments that move in one direction, page by page: later values of the same things.
   * The answer's own time does not count.
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

  /** The same for records without keys. One equal page may be chance, and identical records prove little. */
  #leastTextPages(records: Uint8Array, count: number): number {
    if (this.#kind.isGuess) return 1
    const areAlike = count > 1 && new Set(recordNumbers(records, undefined)).size === 1
    return areAlike ? MOST_STALE_PAGES : 2
  }

  /** Whether a record has a value of the paginator's field that came on an earlier page. Primary keys tell more. */
  #hasKnownValue(
    field: string,
    records: Uint8Array,
    separators: readonly number[] | undefined,
    number: number,
  ): boolean {
    if (this.#kind.primaryKey !== undefined || this.#values === undefined) return false
    const { hashes } = recordKeys(records, [field], separators) ?? NO_KEYS
    const pages = Array.from(hashes, hash => this.#values?.add(hash, number))
    if (pages.includes(number)) this.#values = undefined
    return this.#values !== undefined && pages.some(page => page !== undefined)
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

/** Pages that were read long ago. Of a list of any length only a share of them is remembered, which the page decides. */
class OlderPages {
  readonly #pages = new Map<string, SeenPage>()
  /** Only pages whose number has none of these bits are remembered. */
  #left = 0

  get(name: string): SeenPage | undefined {
    return this.#pages.get(name)
  }

  add(name: string, page: SeenPage): void {
    if (!this.#isOfShare(name)) return
    this.#pages.set(name, page)
    if (this.#pages.size < MOST_PAGES) return
    this.#left = (this.#left << 1) | 1
    for (const one of this.#pages.keys()) if (!this.#isOfShare(one)) this.#pages.delete(one)
  }

  #isOfShare(name: string): boolean {
    return this.#left === 0 || (crc32(name) & this.#left) === 0
  }
}

function changedMembers(now: FirstRecord, before: FirstRecord): number {
  const members = new Set(before.members)
  return now.members.filter(digest => !members.has(digest)).length
}

function isAlike(now: FirstRecord, before: FirstRecord, by: RecordKeys['by']): boolean {
  const changed = changedMembers(now, before)
  const isStampedOnly = by === 'declared' && isStamped(changed, now.members.length)
  return now.periods === before.periods && (changed === 0 || isStampedOnly)
}

/** An API may stamp what it repeats. In a time series both the time and the value change. */
function isStamped(changed: number, members: number): boolean {
  return changed <= 1 && members > 2
}

const NO_KEYS = { hashes: new Float64Array(0) }

/** Most keys that a list remembers. Beyond that it forgets every second key, again and again. */
const MOST_KEYS = 1 << 20
/** V8 keeps arrays of 64 bytes in its own heap. Most lists below a parent are short, and larger ones cost more than their reading. */
const FEWEST_SLOTS = 8
/** Bits of a hash that select the share. The others select the slot. */
const LEFT_BITS = 8

/**
 * The page on which each key of a list first appeared. Memory is bounded: of a list of millions only a share of the
 * keys is remembered. The key itself decides, so a repeated key is either always noticed or never.
 */
export class KeyTable {
  #hashes = new Float64Array(FEWEST_SLOTS)
  #pages = new Uint32Array(FEWEST_SLOTS)
  #size = 0
  /** Only keys without any of these bits are remembered. */
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

  /** The page on which the key appeared before. Undefined: it is new, and is remembered for this page. */
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
