import { createHash } from 'node:crypto'
import type { JsonObject } from '../../json/value.js'
import { canonicalJson } from '../../json/write.js'
import { DataError, RequestError, type SluiceError } from '../../model/errors.js'
import { NotRecordedError } from '../../model/responses.js'
import type { ListEnd, Page } from '../../model/source.js'
import { count } from '../../model/verdict.js'
import { declaredKeys } from '../evidence/declaredKeys.js'
import { because } from '../evidence/evidence.js'
import { recordKeys } from '../evidence/recordKeys.js'
import { isSameReading, KeyTable } from '../evidence/repetition.js'
import { recordsWhere, type Selection } from './answer/selector.js'
import { FeedAgain } from './feedAgain.js'
import type { ListContext, ListReader } from './listReader.js'
import { type Ended, ListWalk } from './listWalk.js'
import { NewRecords } from './newRecords.js'
import { Restart } from './restart.js'
import { Caps } from './shortPages.js'
import { firstToken, TokenExpiredError } from './syncToken.js'
import { hasToken } from './tokenWindow.js'

/** Reads one list, page by page in order. */
export function readList(reader: ListReader, context: ListContext): AsyncGenerator<Page, ListEnd> {
  // Computed now and not with the first page, so that it follows the order in which lists are requested.
  const parents = context.parents ?? context.parent
  const part = reader.part === undefined ? '' : `~${reader.part}`
  const suffix = parents === undefined ? part : `${part}.${parentIdentity(parents, context.notes.parents)}`
  return synced(reader, context, suffix)
}

/** Reads what changed since the sync token, and the list from its beginning if there is none or the API no longer knows it. */
async function* synced(reader: ListReader, context: ListContext, suffix: string): AsyncGenerator<Page, ListEnd> {
  try {
    if (!hasToken(reader, context.window)) return yield* fromBeginning(reader, context, suffix)
    return yield* withSecondLook(reader.changes ?? reader, context, suffix)
  } catch (error) {
    if (!(error instanceof TokenExpiredError)) throw error
    const { name, incremental } = reader.resource
    const isFeed = isFeedAlone(reader)
    const why = isFeed
      ? `${error.message}, so the list goes on from a new one`
      : `${error.message}, so everything was read again; rows that are gone meanwhile are not reported`
    const message = `${name}: ${error.message}: ${isFeed ? 'what changed since it is lost' : 'everything is read again'}`
    context.emit({ type: 'warning', code: 'token_expired', resource: name, namesResource: true, message })
    const window = { cursorPath: incremental?.hint.cursorPath ?? '' }
    const anew = { ...context, window, isTokenNew: true }
    const end = yield* fromBeginning(reader, anew, `${suffix}~anew`, error.records > 0)
    const judged = isFeed && end.end === 'proven' ? { ...end, ...because('changes_lost') } : end
    return { ...judged, reason: `${judged.reason}; ${why}` }
  }
}

/** Reads the list from its beginning. A first token that comes from elsewhere is taken before. */
async function* fromBeginning(
  reader: ListReader,
  context: ListContext,
  suffix: string,
  isSecond = false,
): AsyncGenerator<Page, ListEnd> {
  if (reader.resource.incremental?.token?.initial === undefined)
    return yield* withSecondLook(reader, context, suffix, isSecond)
  const { token, isNew } = await firstToken(reader, context, suffix)
  if (isFeedAlone(reader)) {
    const window = { cursorPath: '', ...context.window, lastValue: token }
    return yield* withSecondLook(
      reader,
      { ...context, window, isTokenNew: isNew || context.isTokenNew },
      suffix,
      isSecond,
    )
  }
  const end = yield* withSecondLook(reader, context, suffix, isSecond)
  return end.end === 'proven' ? { ...end, token } : end
}

/** Whether the list tells changes alone: it needs a token from elsewhere, and there is no other list of all there is. */
function isFeedAlone({ resource, changes }: ListReader): boolean {
  return resource.incremental?.token?.initial !== undefined && changes === undefined
}

/** Reads the list, and once more if it changed meanwhile. `isSecond`: some of its records came before, by a token. */
async function* withSecondLook(
  reader: ListReader,
  context: ListContext,
  suffix: string,
  isSecond = false,
): AsyncGenerator<Page, ListEnd> {
  const { name, endpoint } = reader.resource
  const caps = new Caps(endpoint, context.maxPages, context.clock)
  const restart = Restart.of(reader)
  const first = yield* new ListWalk(reader, context, { suffix, caps, ...(restart && { fresh: restart.note }) }).pages()
  if (first.reset !== undefined) return yield* fromStart(reader, context, { suffix, caps }, first, restart)
  if (isSecond) return { ...first.end, distinct: first.evidence.records }
  const again = SecondLook.at(first, reader) ?? FeedAgain.at(first, reader)
  if (again === undefined) return first.end
  if (caps.reached(first.pages, 0) !== undefined) return again.first
  const message = `${name}: ${again.reason}; it is read once more`
  context.emit({ type: 'warning', code: 'list_changed', resource: name, namesResource: true, message })
  try {
    const walk = { suffix: `${suffix}~again`, caps, pagesBefore: first.pages, fresh: again.fresh }
    return again.judge(yield* new ListWalk(reader, context, walk).pages())
  } catch (error) {
    const isKnown = isOfAnswers(error) || error instanceof TokenExpiredError
    if (context.signal.aborted || !isKnown) throw error
    return again.failed(`that failed (${error instanceof TokenExpiredError ? 'token_expired' : error.code})`)
  }
}

/** Reads the list from its start again, because an answer says that its place in the list is lost. */
async function* fromStart(
  reader: ListReader,
  context: ListContext,
  { suffix, caps }: { readonly suffix: string; readonly caps: Caps },
  first: Ended,
  restart: Restart | undefined,
): AsyncGenerator<Page, ListEnd> {
  const { name } = reader.resource
  if (restart === undefined || restart.problem !== undefined) {
    const problem = `the list must be read from its start again, as ${first.reset} says, but ${restart?.problem ?? 'its records have no keys'}`
    throw new RequestError('pagination_loop', `${name}: ${problem}`, { resource: name })
  }
  if (caps.reached(first.pages, 0) !== undefined) return first.end
  const message = `${name}: ${first.end.reason}; it is read again, without the records that are known`
  context.emit({ type: 'warning', code: 'list_changed', resource: name, namesResource: true, message })
  const walk = { suffix: `${suffix}~reset`, caps, pagesBefore: first.pages, fresh: restart.fresh }
  const second = yield* new ListWalk(reader, context, walk).pages()
  if (second.reset === undefined) return restart.judge(first, second)
  const problem = `reading the list from its start again, as ${second.reset} says, did not help: the answer came again`
  throw new RequestError('pagination_loop', `${name}: ${problem}`, { resource: name })
}

/** Whether the error is about the API's answers, or about a replayed journal that has no second look. */
function isOfAnswers(error: unknown): error is SluiceError {
  if (error instanceof RequestError || error instanceof NotRecordedError) return true
  return error instanceof DataError && error.code === 'selector'
}

/** Separates the lists of different parents or batches, and also those of equal ones. */
function parentIdentity(parent: JsonObject | readonly JsonObject[], met: Map<string, number>): string {
  const digest = createHash('sha256').update(canonicalJson(parent)).digest('base64url').slice(0, 16)
  const times = met.get(digest) ?? 0
  met.set(digest, times + 1)
  return times === 0 ? digest : `${digest}.${times}`
}

const AGAIN = 'it was read once more, and'

/** A list that changed while it was read is read again only if it has at most this many pages. */
const MOST_PAGES = 20

/**
 * Reads a list again because it changed during the first reading. Delivers only records whose keys are new, and with a
 * cursor also those that changed: it would move past them. The list is whole if nothing changed this time and every
 * record of the first reading came again. Records are missed when earlier ones are deleted while the list is read. One of
 * those was read before and does not come again.
 *
 * A cursor waits if the second reading does not help: an API that gives its records in another order each time never
 * shows them all. It moves where the same comes again in the same order, and no total counts more: the API would repeat
 * that in each run. One that is busy changes twice in a row until its list is too long for a second reading.
 */
class SecondLook {
  readonly #first: Ended
  readonly #known: KeyTable
  readonly #primaryKey: readonly string[]
  /** What changed of the records of a list with a cursor. */
  readonly #news: NewRecords | undefined
  readonly #seen = new KeyTable()
  #cameAgain = 0
  #fresh = 0
  #isUnclear = false

  private constructor(first: Ended, known: KeyTable, primaryKey: readonly string[], news: NewRecords | undefined) {
    this.#first = first
    this.#known = known
    this.#primaryKey = primaryKey
    this.#news = news
  }

  /** The second look at a list. Undefined if the list is long, did not change, or has no keys or no total. */
  static at(first: Ended, { resource }: ListReader): SecondLook | undefined {
    const { endpoint, incremental } = resource
    const primaryKey = declaredKeys(resource)
    const { isOnlyMoved, isCounted, keys: known, texts } = first.evidence
    if (incremental?.token !== undefined || endpoint.maxRecords !== undefined || primaryKey === undefined)
      return undefined
    if (!isOnlyMoved || first.pages > MOST_PAGES || known === undefined) return undefined
    // Without a total nothing proves that the second reading is whole. For a cursor it is still worth knowing.
    if (incremental === undefined) return isCounted ? new SecondLook(first, known, primaryKey, undefined) : undefined
    if (texts === undefined || !texts.known.isWhole) return undefined
    return new SecondLook(first, known, primaryKey, new NewRecords(texts.known, primaryKey))
  }

  /** How the list ended where it is not read again. */
  get first(): ListEnd {
    const { end } = this.#first
    return this.#news === undefined ? end : { ...end, unread: 'doubt' }
  }

  /** Why the list is read again. */
  get reason(): string {
    return this.#first.end.reason
  }

  /** The records of a page that are not in the first reading. */
  readonly fresh = (selection: Selection): Selection => {
    const { records, separators } = selection
    if (selection.count === 0) return selection
    const keys = recordKeys(records, this.#primaryKey, separators)
    if (keys?.by !== 'declared') {
      this.#isUnclear = true
      return this.#news?.of(selection) ?? recordsWhere(selection, () => false)
    }
    const fresh = recordsWhere(selection, (_, index) => this.#isFresh(keys.hashes[index] as number))
    return this.#news?.of(selection) ?? fresh
  }

  #isFresh(key: number): boolean {
    if (this.#seen.add(key, 1) !== undefined) {
      this.#isUnclear = true
      return false
    }
    const isFresh = !this.#known.has(key)
    if (isFresh) this.#fresh += 1
    else this.#cameAgain += 1
    return isFresh
  }

  /** How the list ended overall. */
  judge({ end, evidence }: Ended): ListEnd {
    const { records, announced } = evidence
    const gone = this.#known.size - this.#cameAgain
    const { evidence: before, end: doubt } = this.#first
    if (end.end !== 'proven' && isSameReading(before.texts, evidence.texts)) {
      const lacksRecords = announced !== undefined && announced > this.#known.size
      const reason = `${this.reason}; ${AGAIN} the same came again, so that the API repeats it`
      return { ...doubt, ...(lacksRecords && { unread: 'doubt' }), reason }
    }
    if (end.end !== 'proven') return this.failed(`that did not show it whole: ${end.reason}`)
    if (this.#isUnclear || (announced !== undefined && announced !== records))
      return this.failed('it changed again, or its records could not be told apart')
    if (gone > 0) return this.failed(`${count(gone, 'record')} of the first reading did not come again`)
    // The cursor may move: this time nothing spoke against the list.
    if (!evidence.isCounted)
      return {
        ...doubt,
        reason: `${this.reason}; ${AGAIN} nothing changed this time, and no answer tells how much there is`,
      }
    const reason = `${this.reason}; a second look found it whole, with ${count(this.#fresh, 'record')} that the first had missed`
    return { ...end, reason, distinct: records }
  }

  /** The doubt about the list remains. */
  failed(why: string): ListEnd {
    return { ...this.first, reason: `${this.reason}; ${AGAIN} ${why}` }
  }
}
