import { honest, keyOf, listed, placed, type Style, type Told } from './honest.js'
import type { Answer } from './lyingApi.js'
import type { Thing } from './truth.js'

/*
 * What a reader can know. A list that is not as it seems leaves a trace unless
 *
 * 1. an API that pages in the same way, tells the truth and has exactly the records that arrived would have given these
 *    answers to these requests. It may be silent where it could tell something (a total, a has_more), but nothing that was
 *    told may differ from what it would have told; and it never answers with an error, without its list, in part (206) or
 *    with a link that cannot be read. A number that can be no total (-1, 0, less than the page it came with) tells nothing,
 *    and neither does one that is never greater than the page, which it may count;
 *    an empty list may be said to have one page; a has_more or next link may lead to an empty page, if that was asked for;
 *    a cursor may stand beside a has_more of false, and a link where the document names that flag;
 *    pages that are reached by links and cursors may be of any length, and those that are reached by numbers all of one
 *    length that nobody is told, unless the document says that records are left out of them, or the numbers are those of
 *    pages and no answer counts records (docs/guarantees.md: no answer mentions what a page lacks then); a token of an earlier run may no longer be known (410). And
 * 2. the answers hold positive evidence that the list ended: an empty list or null where the list is, a next link or cursor
 *    that is null, or was there before (in this list or another one of its resource) and is now absent, a has_more of false,
 *    a total or number of pages that was reached. An empty page far behind a short one, where the offset left out what the
 *    shorter page did not give, is no evidence, unless another page of the resource was longer: an API that caps its pages
 *    caps them all alike. Neither is one behind the full first page of a keyset, or one that brings only its last records
 *    again, unless another list of the resource went on.
 *    A document that declares the list to be one page is evidence, and one that declares a cursor's list to end with its
 *    first empty page, whatever cursor that has.
 *
 * Only then nobody could have known, and the laws ask for nothing. What speaks against a list anywhere in its answers is a
 * trace, whichever way of paging is used and whatever else the answers say.
 */

/** How else than by its answers a list is known to end. */
export interface Known {
  /** The document says that it is one page. */
  readonly isOnePage: boolean
  /** The document says that an empty page ends it, whatever cursor that has. */
  readonly endsEmpty: boolean
  /** The document says that a page with fewer records than asked for ends it. */
  readonly endsShort: boolean
  /** The document says that a missing link or cursor ends it. */
  readonly endsMissing: boolean
  /** The document says that pages may have fewer records than fit, or none, where the answers tell in another way how the list ends. */
  readonly leavesOut: boolean
  /** A keyset goes on behind the last record, in whatever order the records come. */
  readonly isAnyOrder: boolean
  /** Records with one value are asked for once more. */
  readonly rereads: boolean
  /** The document names the flag that says whether there is more. It decides alone, beside a link that is always there. */
  readonly goesByFlag: boolean
  /** The document names the total. Its word for it counts, also for a `count`. */
  readonly namesTotal: boolean
  /** Records of the longest page of the resource. */
  readonly longestPage: number
  /** Another list of the resource had a next link or cursor. */
  readonly sawNext: boolean
  /** A list of the resource had records behind its first page. */
  readonly wentOn: boolean
}

/** What gave a list away; undefined where nothing did. */
export function traceOf(style: Style, given: readonly Answer[], known: Known): string | undefined {
  const trace = traceInOrder(style, given, known)
  // An API may show the records behind a value with the newest first, as with `min_id` at Mastodon.
  const isSorted = style.way === 'keyset' && !known.isAnyOrder
  return isSorted && trace !== undefined && traceInOrder(style, given.map(backwards), known) === undefined
    ? undefined
    : trace
}

function backwards(answer: Answer): Answer {
  const { list } = answer.told
  return Array.isArray(list) ? { ...answer, told: { ...answer.told, list: list.toReversed() } } : answer
}

function traceInOrder(declared: Style, given: readonly Answer[], known: Known): string | undefined {
  const answers = asRead(given.filter(isOfList), declared, known)
  if (answers.length === 0) return 'it was never asked for'
  const style = { ...declared, size: pageSize(declared, known) }
  const isCounted = style.way === 'offset' || style.way === 'page_number'
  const counts = isCounted && !known.leavesOut && !mayBeShortened(style, answers)
  const inOrder = isCounted ? answers.toSorted((one, other) => one.asked.start - other.asked.start) : answers
  const came = distinct(inOrder.flatMap(({ told }) => told.list ?? []))
  const arrived = style.way === 'keyset' && !known.isAnyOrder ? listed(style, came, { start: 0, size: 0 }) : came
  // Pages that links and cursors lead to are of any length: there are as many as arrived.
  const filled = inOrder.filter(({ told }) => (told.list ?? []).length > 0).length
  const isOfPage = answers.every(({ told }) => countsPage(told))
  let at = 0
  for (const [page, { asked, told }] of inOrder.entries()) {
    const size = told.list?.length ?? 0
    const wanted =
      style.way === 'keyset' && asked.after !== undefined
        ? { start: known.isAnyOrder ? behind(style, arrived, asked.after) : placed(style, arrived, asked).start, size }
        : { start: style.way === 'keyset' ? 0 : at, size }
    // An API may cap the pages of an offset list.
    const capped = { ...asked, size: Math.min(asked.size, Math.max(known.longestPage, 1)) }
    const one = honest(style, arrived, !counts ? wanted : style.way === 'offset' ? capped : asked)
    const said = isOfPage ? { ...one, total: told.total } : one
    const truth = !counts && told.pages === filled ? { ...said, pages: filled } : said
    const isDeclaredEnd = known.endsEmpty && (told.list ?? []).length === 0
    const problem = contradiction(
      told,
      truth,
      page + 1 < inOrder.length || isDeclaredEnd,
      known.goesByFlag || style.way === 'cursor',
    )
    if (problem !== undefined) return `answer ${page + 1}: ${problem}`
    // The list of a parent that came twice is read twice.
    at = style.way === 'single_page' && told.next == null ? 0 : at + (told.list?.length ?? 0)
  }
  const mayMissTies = style.way === 'keyset' && !known.rereads && haveTies(style, arrived)
  if (mayMissTies && passesTies(style, inOrder, known) && !isTotalReached(style, inOrder, arrived.length, known))
    return 'records with one value, of which those behind a page are not asked for'
  return known.isOnePage || hasEnded(style, inOrder, arrived.length, known)
    ? undefined
    : 'nothing said that the list had ended'
}

/** An honest API may no longer know a token: the list is then asked for from its start. */
function isOfList({ asked, told }: Answer): boolean {
  return asked.since === undefined || told.status !== 410
}

/** Nobody is told how long the pages are that numbers lead to: as long as the longest one, and page 2 begins behind page 1. */
function pageSize({ way, size }: Style, { longestPage }: Known): number {
  return way === 'page_number' ? Math.min(size, Math.max(longestPage, 1)) : size
}

function asRead(answers: readonly Answer[], style: Style, known: Known): readonly Answer[] {
  const size = pageSize(style, known)
  if (size === style.size) return answers
  return answers.map(one => ({ ...one, asked: { ...one.asked, start: (one.asked.start / style.size) * size, size } }))
}

/** Whether records may be left out of pages that are reached by numbers, and no answer counts them. */
function mayBeShortened({ way }: Style, answers: readonly Answer[]): boolean {
  return way === 'page_number' && answers.every(({ told: { total } }) => total === undefined)
}

/** Whether a number of records may be that of the page. */
function countsPage({ list, total }: Told): boolean {
  return total === undefined || total <= (list?.length ?? 0)
}

/** What an honest API would not have said. */
function contradiction(told: Told, truth: Told, isFollowed: boolean, decidesAlone: boolean): string | undefined {
  if (told.status !== truth.status) return `status ${told.status}`
  if (told.isCut) return 'an answer that ended with its connection'
  if (told.error !== undefined) return 'an error'
  if (told.list === undefined) return 'no list'
  if (told.spelling !== undefined && told.next != null && !isFollowed) return 'a link that cannot be read'
  const [ids, wanted] = [told.list, truth.list].map(list => (list ?? []).map(({ id }) => id).join())
  if (ids !== wanted) return `records ${ids || 'none'} and not ${wanted || 'none'}`
  const most = Math.max(told.list?.length ?? 0, 1)
  if (told.total !== undefined && told.total >= most && told.total !== truth.total)
    return `a total of ${told.total}, not ${truth.total}`
  if (told.pages !== undefined && told.pages >= 1 && told.pages !== Math.max(truth.pages ?? 0, 1))
    return `${told.pages} pages, not ${truth.pages}`
  if (told.more === false && truth.more === true) return 'has_more is false'
  if (told.more === true && truth.more === false && !isFollowed) return 'has_more is true'
  const leads = told.next != null && !(told.more === false && decidesAlone)
  return leads && truth.next == null && !isFollowed ? 'a next link' : undefined
}

function hasEnded(style: Style, answers: readonly Answer[], records: number, known: Known): boolean {
  const last = answers.at(-1)
  if (last === undefined) return false
  const { told, asked } = last
  if (told.more === false || told.next === null) return true
  if (known.endsShort && (told.list?.length ?? 0) < asked.size) return true
  if (style.way === 'keyset' && known.rereads && !isEmpty(told) && isKnown(answers, told))
    return (known.wentOn || !isFull(answers[0])) && (told.list?.length ?? 0) < known.longestPage
  if (isTotalReached(style, answers, records, known)) return true
  if (isEmpty(told) && style.way === 'keyset') return known.wentOn || !isFull(answers[0])
  if (isEmpty(told)) return style.way !== 'offset' || isReached(answers, known)
  if (told.pages !== undefined && asked.start + asked.size >= told.pages * style.size) return true
  return (
    told.next === undefined &&
    (known.endsMissing || known.sawNext || answers.some(one => typeof one.told.next === 'string'))
  )
}

/** Whether a total tells that all records arrived. A `count` beside one page may be that of the page. */
function isTotalReached({ total }: Style, answers: readonly Answer[], records: number, known: Known): boolean {
  const isTotal = total !== 'count' || answers.length > 1 || known.namesTotal
  return isTotal && answers.some(one => one.told.total === records)
}

/** Whether nothing lies between the last records and an empty page behind them. */
function isReached(answers: readonly Answer[], { longestPage }: Known): boolean {
  const last = answers.findLast(({ told }) => (told.list ?? []).length > 0)
  const length = last?.told.list?.length ?? 0
  if (last === undefined || length < longestPage) return true
  const end = last.asked.start + length
  return answers.some(({ asked, told }) => isEmpty(told) && asked.start > last.asked.start && asked.start <= end)
}

/** Whether more records may be behind a first page. Where they are not asked for by their order, none comes then. */
function isFull(first: Answer | undefined): boolean {
  const length = first?.told.list?.length ?? 0
  return first !== undefined && length > 0 && length >= first.asked.size
}

/** Whether all records of the last page had come before. */
function isKnown(answers: readonly Answer[], { list }: Told): boolean {
  const before = new Set(answers.slice(0, -1).flatMap(one => (one.told.list ?? []).map(({ id }) => id)))
  return (list ?? []).every(({ id }) => before.has(id))
}

/** The place behind the records with this value, or of the first one where the API gives them once more. */
function behind(style: Style, things: readonly Thing[], value: number): number {
  const has = (thing: Thing): boolean => keyOf(style, thing) === value
  return style.isInclusive ? Math.max(0, things.findIndex(has)) : things.findLastIndex(has) + 1
}

function haveTies(style: Style, things: readonly Thing[]): boolean {
  return new Set(things.map(thing => keyOf(style, thing))).size < things.length
}

/** Whether the value at the end of a full page was passed, so that more records with it may be behind that page. */
function passesTies(style: Style, answers: readonly Answer[], { longestPage }: Known): boolean {
  return answers.some(({ asked }, index) => {
    const { list } = answers[index - 1]?.told ?? {}
    const last = list?.at(-1)
    if (last === undefined || (list?.length ?? 0) < longestPage) return false
    return !style.isInclusive && asked.after === keyOf(style, last)
  })
}

/** An empty list, or null in its place. */
function isEmpty({ list }: Told): boolean {
  return list === null || list?.length === 0
}

function distinct(things: readonly Thing[]): Thing[] {
  return [...new Map(things.map(thing => [thing.id, thing])).values()]
}
