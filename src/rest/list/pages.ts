import { createHash } from 'node:crypto'
import { elements, skipSpace } from '../../json/bytes.js'
import { joinRecords } from '../../json/records.js'
import type { JsonObject } from '../../json/value.js'
import { canonicalJson } from '../../json/write.js'
import { DataError, RequestError, type SluiceError } from '../../model/errors.js'
import { NotRecordedError } from '../../model/responses.js'
import type { ListEnd, Page } from '../../model/source.js'
import { count } from '../../model/verdict.js'
import { because } from '../evidence/evidence.js'
import { recordKeys } from '../evidence/recordKeys.js'
import { KeyTable } from '../evidence/repetition.js'
import type { Selection } from './answer/selector.js'
import type { ListContext, ListReader } from './listReader.js'
import { type Ended, ListWalk } from './listWalk.js'
import { Restart } from './restart.js'
import { Caps } from './shortPages.js'
import { firstToken, TokenExpiredError } from './syncToken.js'
import { hasToken } from './tokenWindow.js'

/** Reads one list, page by page in order. */
export function readList(reader: ListReader, context: ListContext): AsyncGenerator<Page, ListEnd> {
  // Computed now and not with the first page, so that it follows the order in which lists are requested.
  const asker = context.parents ?? context.parent
  const part = reader.part === undefined ? '' : `~${reader.part}`
  const suffix = asker === undefined ? part : `${part}.${parentIdentity(asker, context.notes.parents)}`
  return synced(reader, context, suffix)
}

/** Reads what changed since the sync token, and the list from its beginning if there is none or the API no longer knows it. */
async function* synced(reader: ListReader, context: ListContext, suffix: string): AsyncGenerator<Page, ListEnd> {
  try {
    if (!hasToken(reader, context.window)) return yield* fromBeginning(reader, context, suffix)
    return yield* looks(reader.changes ?? reader, context, suffix)
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
  if (reader.resource.incremental?.token?.initial === undefined) return yield* looks(reader, context, suffix, isSecond)
  const { token, isNew } = await firstToken(reader, context, suffix)
  if (isFeedAlone(reader)) {
    const window = { cursorPath: '', ...context.window, lastValue: token }
    return yield* looks(reader, { ...context, window, isTokenNew: isNew || context.isTokenNew }, suffix, isSecond)
  }
  const end = yield* looks(reader, context, suffix, isSecond)
  return end.end === 'proven' ? { ...end, token } : end
}

/** Whether the list tells changes alone: it needs a token from elsewhere, and there is no other list of all there is. */
function isFeedAlone({ resource, changes }: ListReader): boolean {
  return resource.incremental?.token?.initial !== undefined && changes === undefined
}

/** Reads the list, and once more if it changed meanwhile. `isSecond`: some of its records came before, by a token. */
async function* looks(
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
  const again = SecondLook.at(first, reader)
  if (again === undefined || caps.reached(first.pages, 0) !== undefined) return first.end
  const message = `${name}: ${again.reason}; it is read once more`
  context.emit({ type: 'warning', code: 'list_changed', resource: name, namesResource: true, message })
  try {
    const walk = { suffix: `${suffix}~again`, caps, pagesBefore: first.pages, fresh: again.fresh }
    return again.judge(yield* new ListWalk(reader, context, walk).pages())
  } catch (error) {
    if (context.signal.aborted || !isOfAnswers(error)) throw error
    return again.failed(`that failed (${error.code})`)
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

/** A list that changed while it was read is read again only if it has at most this many pages. */
const MOST_PAGES = 20

/**
 * Reads a list again because it changed during the first reading. Delivers only records whose keys are new. The list is
 * whole if nothing changed this time and every record of the first reading came again. Records are missed
 * when earlier ones are deleted while the list is read. One of those was read before and does not come again.
 */
class SecondLook {
  readonly #first: Ended
  readonly #known: KeyTable
  readonly #primaryKey: readonly string[]
  readonly #seen = new KeyTable()
  #cameAgain = 0
  #fresh = 0
  #isUnclear = false

  private constructor(first: Ended, known: KeyTable, primaryKey: readonly string[]) {
    this.#first = first
    this.#known = known
    this.#primaryKey = primaryKey
  }

  /** The second look at a list. Undefined if the list is long, did not change, or has no keys or no total. */
  static at(first: Ended, { resource: { endpoint, hints, incremental } }: ListReader): SecondLook | undefined {
    const { primaryKey } = hints
    // If a record changed in between, a cursor that newer records advanced would skip it.
    if (incremental !== undefined || endpoint.maxRecords !== undefined || primaryKey === undefined) return undefined
    const { isOnlyMoved, isCounted, keys: known } = first.evidence
    // Without a total nothing proves that the second reading is whole.
    if (!isOnlyMoved || !isCounted || first.pages > MOST_PAGES) return undefined
    return known === undefined ? undefined : new SecondLook(first, known, primaryKey)
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
      return { ...selection, records: joinRecords(records, []), count: 0, separators: undefined }
    }
    const spans = elements(records, skipSpace(records, 0)).filter((_, index) =>
      this.#isFresh(keys.hashes[index] as number),
    )
    return { ...selection, records: joinRecords(records, spans), count: spans.length, separators: undefined }
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
    if (end.end !== 'proven') return this.failed(`that did not show it whole: ${end.reason}`)
    if (this.#isUnclear || !evidence.isCounted || (announced !== undefined && announced !== records))
      return this.failed('it changed again, or its records could not be told apart')
    if (gone > 0) return this.failed(`${count(gone, 'record')} of the first reading did not come again`)
    const reason = `${this.reason}; a second look found it whole, with ${count(this.#fresh, 'record')} that the first had missed`
    return { ...end, reason, distinct: records }
  }

  /** The doubt about the list remains. */
  failed(why: string): ListEnd {
    return { ...this.#first.end, reason: `${this.reason}; it was read once more, and ${why}` }
  }
}
