import type { ListEnd, Unread } from '../../model/source.js'
import type { Paginator } from '../api.js'
import type { Reading } from '../list/answer/readAnswer.js'
import type { Claim, Envelope } from './envelope.js'
import { because, FILLED_PAGE, graverUnread, LED_PAGE, moveOf } from './evidence.js'
import type { OtherLists } from './keysOfLists.js'
import { type Circle, type KeyTable, type ListTexts, Repetition, type RepetitionKind } from './repetition.js'

/** What the judgement of a list needs to know about how it is read. */
export interface ListKind extends RepetitionKind {
  /** The selector's name in messages. Undefined if the records' place is guessed. */
  readonly selector: string | undefined
  /** The records are masked, so that other texts of the answers may name somebody too. */
  readonly isMasked?: boolean
}

/** Most different messages that are remembered. */
const MOST_REMARKS = 100

/**
 * Everything that the pages of one list say about its completeness. It is collected page by page and judged once, at
 * the end. Memory is bounded, whatever the length of the list.
 */
export class ListEvidence {
  readonly #kind: ListKind
  readonly #repetition: Repetition
  #records = 0
  #firstRecords = 0
  /** The first answer says that there is no more. */
  #isAllOnFirst = false
  #longestPage = 0
  #last: Envelope = {}
  #lastRecords = 0
  #total: Claim | undefined
  readonly #remarks = new Set<string>()
  /** Whether a total came with another number of records, so that it is not that of the page. */
  #isTotalOfList = false
  /** Whether several records of a page are one list in its answer. Where a selector gathers them, a total may count the others. */
  #isOneList = true
  readonly #totals = new Map<string, number>()
  #pageCount: Claim | undefined
  #count: Claim | undefined
  #filled = 0
  #saidEnd: string | undefined
  /** What in the first answer says that there is a page before it. */
  #before: string | undefined
  #doubt: ListEnd | undefined
  #hasOtherDoubt = false
  /** What all doubts say about records that were not read. */
  #unread: Unread | undefined
  #isOnlyMoved = false
  #announced: number | undefined
  #mostAnnounced = 0
  #leavesOut = false
  #sizesVary = false
  #uncounted: ListEnd | undefined
  #suspicion: ListEnd | 'denied' | undefined
  #sawList = false
  #met: 'list' | 'record' | undefined
  #missing = false
  #wasNull = false
  #failure: Reading['failure']
  #others: OtherLists | undefined
  #sharedKeys = 0

  constructor(kind: ListKind) {
    this.#kind = kind
    this.#repetition = new Repetition(kind)
  }

  /** Records of the list so far. */
  get records(): number {
    return this.#records
  }

  /** The list's total on its last page, as the paginator reads it. */
  get announced(): number | undefined {
    return this.#leavesOut ? undefined : this.#announced
  }

  /** Whether the only doubt about a judged list is that it changed while it was read. */
  get isOnlyMoved(): boolean {
    return this.#isOnlyMoved
  }

  /** Whether the only doubt about a judged feed is that changes came twice. */
  get isRepeatingFeed(): boolean {
    return this.#kind.isFeed && this.#isOnlyMoved && (this.texts?.repeated ?? 0) > 0
  }

  /** Whether an answer gave a number of records or pages. */
  get isCounted(): boolean {
    const told = [this.#announced, this.#total, this.#count, this.#pageCount]
    return told.some(one => one !== undefined)
  }

  /** The declared keys of the list's records. Undefined if some are unknown. */
  get keys(): KeyTable | undefined {
    return this.#repetition.keys
  }

  /** The texts of the list's records. Undefined if they are not remembered. */
  get texts(): ListTexts | undefined {
    return this.#repetition.texts
  }

  /** Compares the records that follow with those of the other lists of the resource. */
  among(others: OtherLists | undefined): void {
    this.#others = others
  }

  /** Takes the records of a page that become rows. */
  written(records: Uint8Array, separators?: readonly number[]): void {
    const shared = this.#others?.shared(records, separators) ?? 0
    this.#sharedKeys += shared
    if (shared > 0) this.doubt(because('keys_shared', this.#sharedKeys))
  }

  /** Adds a page to the list. Returns a circle if the list goes in one. */
  page(reading: Reading, number: number, announced: number | undefined): Circle | undefined {
    const { selection, envelope, response, page } = reading
    if (selection.met === 'records') this.#isOneList = false
    if (announced !== undefined) this.#announced = announced
    this.#mostAnnounced = Math.max(this.#mostAnnounced, announced ?? 0)
    if (number === 1) this.#before = envelope.before?.path
    this.#takeRecords(reading)
    if (number === 1) {
      this.#firstRecords = this.#records
      this.#isAllOnFirst = envelope.more?.more === false
    }
    // The total of a page is compared with all of it.
    const isWhole = response.following === undefined
    if (isWhole && envelope.total !== undefined && envelope.total.value !== page.records) this.#isTotalOfList = true
    if (selection.count > 0) {
      this.#filled += 1
      if (this.#saidEnd !== undefined) this.doubt(because('came_after_end', this.#saidEnd))
    }
    this.#saidEnd = envelope.more?.more === false ? envelope.more.path : undefined
    this.#takeContent(reading)
    const { circle, doubt } = this.#repetition.page(reading, number)
    this.doubt(doubt)
    return circle
  }

  /** Adds another part of page `number`, whose headers and records before it are known. */
  part(reading: Reading, number: number): void {
    this.#takeRecords(reading)
    if (number === 1) this.#firstRecords = this.#records
    this.#takeContent(reading)
    this.#repetition.part(reading, number)
  }

  /** Takes what an answer without records says of the whole list, which comes in so many files. */
  announce({ total, count, more, rest, next }: Envelope, files: number): void {
    this.#total = total
    // A total that is the number of the files may count those.
    if (total !== undefined && total.value !== files) this.#isTotalOfList = true
    this.#count = count
    const open = more?.more === true ? more : rest
    if (open !== undefined) this.doubt(because('says_more', open.path))
    if (next !== undefined) this.doubt(because('has_next', next.path))
  }

  #takeRecords({ selection: { count }, envelope }: Reading): void {
    this.#records += count
    this.#longestPage = Math.max(this.#longestPage, count)
    this.#takeClaims(envelope, count)
  }

  /** What is in the body, beside the number of its records. */
  #takeContent(reading: Reading): void {
    const { selection, envelope, response } = reading
    this.#takeMissing(reading)
    if (selection.met === 'list' || selection.met === 'record') {
      if (this.#met !== undefined && this.#met !== selection.met) this.doubt(because('other_than_list'))
      this.#met = selection.met
    }
    if (selection.nulls !== undefined) this.doubt(because('null_nodes', selection.nulls))
    if (response.doubt !== undefined) this.doubt(because('cut_answer', response.doubt))
    if (envelope.error !== undefined) {
      const { key, text, isOfRecord } = envelope.error
      const isPage = isOfRecord || (selection.count > 0 && selection.isGuess !== true)
      this.doubt(isPage ? because('partial_error', key) : because('error_answer', key, this.#shown(text)))
    }
    if (envelope.part !== undefined) this.doubt(because('answer_in_part', envelope.part))
    this.#takeRemark(reading)
    this.#last = envelope
    this.#lastRecords = selection.count
  }

  /** Doubts a message that is new where the list is null, or that reports a problem where it is empty. */
  #takeRemark({ selection, envelope: { remark } }: Reading): void {
    if (remark === undefined) return
    if (selection.count > 0) {
      if (this.#remarks.size < MOST_REMARKS) this.#remarks.add(remark.key).add(`${remark.key} ${remark.text}`)
      return
    }
    const isKnown = this.#remarks.has(`${remark.key} ${remark.text}`)
    const isNew = selection.met !== 'list' && !this.#remarks.has(remark.key)
    if (!isKnown && (remark.isTrouble || isNew))
      this.doubt(because('remark_for_list', remark.key, this.#shown(remark.text)))
  }

  /** A text of the answer. It may name somebody, and a reason is stored. */
  #shown(text: string): string {
    return this.#kind.isMasked === true ? 'a text that is not shown because of `mask`' : text
  }

  /** The worst doubt counts. If several are equal, the first one does. */
  doubt(doubt: ListEnd | undefined): void {
    if (doubt !== undefined && moveOf(doubt) !== 'moved') this.#hasOtherDoubt = true
    this.#unread = graverUnread(this.#unread, doubt?.unread)
    if (this.#doubt === undefined || (this.#doubt.unlessSeen !== undefined && doubt !== undefined)) this.#doubt = doubt
    else if (this.#doubt.end !== 'suspect' && doubt?.end === 'suspect') this.#doubt = doubt
  }

  /** The API leaves records out of its pages, so its totals do not match the records that come. */
  leavesRecordsOut(): void {
    this.#leavesOut = true
  }

  /** Pages have several sizes from now on, so a number of pages means nothing. */
  sizesVary(): void {
    this.#sizesVary = true
  }

  /** A doubt that a total of records which is reached removes. */
  doubtUnlessCounted(doubt: ListEnd | undefined): void {
    if (doubt?.end === 'suspect') this.doubt(doubt)
    else this.#uncounted ??= doubt
  }

  /** A doubt that counts unless one of these is denied, or a total says that the list is whole. */
  suspect(suspicion: ListEnd | 'denied' | undefined): void {
    if (suspicion === 'denied') this.#suspicion = suspicion
    else if (suspicion?.unlessSeen?.what !== LED_PAGE || !this.#isAllOnFirst) this.#suspicion ??= suspicion
  }

  /** How the list ended overall. `led`: an earlier answer led the paginator to another page. */
  judge(end: ListEnd, paginator: Paginator | undefined, led: boolean): ListEnd {
    const saw = [
      ...(end.saw ?? []),
      ...this.#sawListText(),
      ...(this.#longestPage > 0 ? [FILLED_PAGE] : []),
      ...(this.#goesOn() ? [LED_PAGE] : []),
    ]
    const own = ownEnd(end, led)
    const judged = this.#withUnread(this.#judged(own, paginator))
    const move = moveOf(judged)
    const isMoved = move === 'moved' || (move === 'outdated' && this.#doubt !== undefined)
    this.#isOnlyMoved = isMoved && own.end === 'proven' && !this.#hasOtherDoubt && paginator?.isPart !== true
    const vouches = led && end.unlessSeen !== undefined ? [...saw, end.unlessSeen.what] : saw
    const longestPage = this.#longestPage
    return vouches.length === 0 ? judged : { ...judged, saw: vouches, ...(longestPage > 0 && { longestPage }) }
  }

  /** Whether records came after the first page, and nothing speaks against their order. */
  #goesOn(): boolean {
    const isInOrder = this.#suspicion === undefined || this.#suspicion === 'denied'
    return this.#records > this.#firstRecords && this.#doubt === undefined && isInOrder
  }

  #withUnread(end: ListEnd): ListEnd {
    const unread = graverUnread(end.unread, this.#unread)
    return end.end !== 'limited' || unread === end.unread ? end : { ...end, unread }
  }

  #judged(end: ListEnd, paginator: Paginator | undefined): ListEnd {
    if (end.end === 'suspect') return end
    if (this.#doubt?.end === 'suspect') return this.#doubt
    if (end.end === 'limited' && end.isOpen !== true) return end
    if (this.#failure !== undefined || this.#missing) return this.#withoutList()
    const contradiction = this.#contradiction(end, paginator)
    if (contradiction !== undefined) return contradiction
    if (this.#doubt !== undefined) return this.#doubt
    const uncounted = this.#uncounted ?? (this.#suspicion === 'denied' ? undefined : this.#suspicion)
    if (uncounted !== undefined && !this.#isCountedWhole()) return uncounted
    if (end.end === 'proven') return end
    return this.#proof() ?? end
  }

  /** Whether a number says that the list is whole. Where pages have several sizes, a `count` may be the size that was asked for. */
  #isCountedWhole(): boolean {
    const count = this.#sizesVary ? undefined : this.#count
    return [this.#announced, this.#total?.value, count?.value].includes(this.#records)
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

  /** The largest numbers count. A number that changes shows that the list changes. */
  #takeClaims({ total, count, pages }: Envelope, records: number): void {
    // A count of the page's records is not a count of the list.
    const all = total ?? (count?.value === records ? undefined : count)
    if (count !== undefined && count.value !== records) this.#count = count
    if (all !== undefined) {
      const before = this.#totals.get(all.path)
      this.#totals.set(all.path, all.value)
      if (before !== undefined && before !== all.value) this.doubt(because('total_changed', before, all.value))
    }
    if (total !== undefined && (this.#total === undefined || total.value > this.#total.value)) this.#total = total
    if (pages !== undefined) {
      if (!this.#sizesVary && this.#pageCount !== undefined && this.#pageCount.value !== pages.value)
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
    if (this.#missing) this.doubt(because(selection.count > 0 ? 'list_missing' : 'list_missing_once'))
    if (this.#wasNull && selection.count > 0) this.doubt(because('null_between'))
    this.#wasNull = selection.met === 'null'
    this.#missing = false
    this.#failure = undefined
    this.#sawList = true
  }

  /** What the answers said outside their records, if it contradicts the end. */
  #contradiction(end: ListEnd, paginator: Paginator | undefined): ListEnd | undefined {
    const goesBy = [...(paginator?.goesBy ?? []), ...(end.by === undefined ? [] : [end.by])].map(barePath)
    const ofItsOwn = (path: string): boolean => goesBy.includes(barePath(path))
    if (this.#announced !== undefined && this.#records >= this.#announced && this.#records < this.#mostAnnounced)
      return because('total_changed', this.#mostAnnounced, this.#announced)
    // An empty page may be one with all records left out, and totals still count those.
    if (this.#leavesOut) return because('filtered_pages')
    // That there is more is what its answers have to say.
    if (end.basis === 'part') return undefined
    const isPart = paginator?.isPart === true
    const { more, next, rest, position, lastPage } = this.#last
    const [count, pages] = [this.#count, this.#sizesVary ? undefined : this.#pageCount]
    const total = this.#announced === undefined ? this.#total : undefined
    if (!isPart && total !== undefined && !ofItsOwn(total.path) && total.value > this.#records)
      return because('total_says_more', total.path, total.value, this.#records)
    if (!isPart && total !== undefined && !ofItsOwn(total.path) && this.#isTooSmall(total, paginator))
      return because('total_says_less', total.path, total.value, this.#records)
    if (more?.more === true) return because('says_more', more.path)
    if (rest !== undefined && !ofItsOwn(rest.path)) return because('says_more', rest.path)
    // Some APIs give a next page even on the last page. A configured flag then decides alone.
    if (next !== undefined && end.basis !== 'flag' && !ofItsOwn(next.path)) return because('has_next', next.path)
    const isWhole = this.#total !== undefined && this.#total.value === this.#records
    if (position !== undefined && end.basis === 'blind' && !isWhole && more === undefined)
      return because('has_position', position.path)
    if (isPart) return undefined
    if (this.#before !== undefined && paginator?.counts === 'pages') return because('has_before', this.#before)
    if (count !== undefined && !ofItsOwn(count.path) && this.#announced === undefined && count.value > this.#records)
      return because('total_says_more', count.path, count.value, this.#records)
    // An API may say that an empty list has one page.
    if (pages !== undefined && (pages.value > Math.max(this.#filled, 1) || pages.value < this.#filled))
      return because('pages_say_other', pages.path, pages.value, this.#filled)
    if (!this.#sizesVary && lastPage !== undefined && lastPage.value > this.#filled)
      return because('last_link_further', lastPage.path, lastPage.value, this.#filled)
    return undefined
  }

  /** Whether fewer records are announced than arrived, by a number that counts neither those of a page nor the pages. */
  #isTooSmall({ value, isLeast }: Claim, paginator: Paginator | undefined): boolean {
    if (value >= this.#records || isLeast === true || !this.#isOneList || !this.#isTotalOfList) return false
    return paginator?.counts !== 'pages' || value !== this.#filled
  }

  /** Proof that the list is whole, if the paginator itself has none. */
  #proof(): ListEnd | undefined {
    const { more } = this.#last
    const pages = this.#sizesVary ? undefined : this.#pageCount
    // If fewer records came, the receipt says so: it compares the two numbers.
    if (this.announced !== undefined) return because('total_reached', this.announced)
    if (this.#total !== undefined && this.#total.value === this.#records)
      return because('total_arrived', this.#records, this.#total.path)
    if (more?.more === false) return because('no_more', more.path)
    if (pages !== undefined && pages.value === this.#filled) return because('pages_reached', pages.value)
    return this.#lastRecords === 0 && this.#sawList ? because('empty_page') : undefined
  }
}

/** Without what only other lists could show: an earlier answer showed it, or the document says that it shows nothing. */
function ownEnd({ unlessSeen, ...end }: ListEnd, led: boolean): ListEnd {
  if (unlessSeen === undefined) return end
  if (led) return unlessSeen.end
  return end.end === 'proven' ? end : { ...end, unlessSeen }
}

/** A path without the characters that can be written in several ways. */
export function barePath(path: string): string {
  return path.replace(/^\$\.?|[[\]'"]/g, '')
}

function listAt(selector: string): string {
  return `list at ${selector}`
}
