import type { ListEnd } from '../../model/source.js'
import type { Paginator } from '../api.js'
import type { Reading } from '../list/readAnswer.js'
import type { Claim, Envelope } from './envelope.js'
import { because, moveOf } from './evidence.js'
import { type Circle, type KeyTable, Repetition } from './repetition.js'

/** How a list is read, as far as its judgement depends on it. */
export interface ListKind {
  /** Names of the primary key's fields, as they stand in the records. */
  readonly primaryKey: readonly string[] | undefined
  /** Nobody configured a paginator. */
  readonly isGuess: boolean
  /** What the resource's selector is called in messages; undefined where the records are looked for. */
  readonly selector: string | undefined
}

/** Different sentences beside records that are remembered. */
const MOST_REMARKS = 100

/**
 * Everything that the pages of one list say about its completeness, gathered page by page and judged once at the end.
 * What is kept is bounded, whatever the length of the list.
 */
export class ListEvidence {
  readonly #kind: ListKind
  readonly #repetition: Repetition
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
  #hasOtherDoubt = false
  #isOnlyMoved = false
  #announced: number | undefined
  #mostAnnounced = 0
  #leavesOut = false
  #sawList = false
  #met: 'list' | 'record' | undefined
  #missing = false
  #failure: Reading['failure']

  constructor(kind: ListKind) {
    this.#kind = kind
    this.#repetition = new Repetition(kind)
  }

  /** Records of the list so far. */
  get records(): number {
    return this.#records
  }

  /** What the list announced with its last page, by the paginator's own total. */
  get announced(): number | undefined {
    return this.#leavesOut ? undefined : this.#announced
  }

  /** Whether nothing but changes while it was read speaks against the list, once it is judged. */
  get isOnlyMoved(): boolean {
    return this.#isOnlyMoved
  }

  /** Whether an answer told how much there is: records or pages. */
  get isCounted(): boolean {
    const told = [this.#announced, this.#total, this.#count, this.#pageCount]
    return told.some(one => one !== undefined)
  }

  /** The declared keys of its records; undefined where not all are known. */
  get keys(): KeyTable | undefined {
    return this.#repetition.keys
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
    const { circle, doubt } = this.#repetition.page(reading, number)
    this.doubt(doubt)
    return circle
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
    if (doubt !== undefined && moveOf(doubt) !== 'moved') this.#hasOtherDoubt = true
    if (this.#doubt === undefined || (this.#doubt.end !== 'suspect' && doubt?.end === 'suspect')) this.#doubt = doubt
  }

  /** The API leaves records out of its pages: their number and its totals are not about the same. */
  leavesRecordsOut(): void {
    this.#leavesOut = true
  }

  /** How the list ended, all in all. `led`: the paginator found its way in an earlier answer. */
  judge(end: ListEnd, paginator: Paginator | undefined, led: boolean): ListEnd {
    const saw = [...(end.saw ?? []), ...this.#sawListText()]
    const own = led && end.unlessSeen !== undefined ? end.unlessSeen.end : end
    const judged = this.#judged(own, paginator)
    const move = moveOf(judged)
    const isMoved = move === 'moved' || (move === 'outdated' && this.#doubt !== undefined)
    this.#isOnlyMoved = isMoved && own.end === 'proven' && !this.#hasOtherDoubt && paginator?.isPart !== true
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
}

/** A path without what may be written in several ways. */
export function barePath(path: string): string {
  return path.replace(/^\$\.?|[[\]'"]/g, '')
}

function listAt(selector: string): string {
  return `list at ${selector}`
}
