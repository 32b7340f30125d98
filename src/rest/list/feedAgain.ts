import type { ListEnd } from '../../model/source.js'
import { declaredKeys } from '../evidence/declaredKeys.js'
import { isSameReading, type ListTexts } from '../evidence/repetition.js'
import type { Selection } from './answer/selector.js'
import type { ListReader } from './listReader.js'
import type { Ended } from './listWalk.js'
import { NewRecords } from './newRecords.js'

/**
 * Reads the changes since a sync token once more, because some came twice. Either the API repeats them, as it may, or it
 * gave them in another order meanwhile: then one that came twice may stand in for another.
 *
 * If none comes twice this time, the second reading is whole. If the same came in the same order, the API repeats
 * them, and would do so in each run: they stay in doubt, since both answers may come from one cache, but the token moves.
 * Otherwise the token stays, and the next run reads from there.
 */
export class FeedAgain {
  readonly #first: Ended
  readonly #texts: ListTexts
  readonly #news: NewRecords

  private constructor(first: Ended, texts: ListTexts, primaryKey: readonly string[] | undefined) {
    this.#first = first
    this.#texts = texts
    this.#news = new NewRecords(texts.known, primaryKey)
  }

  /** The second reading of a feed. Undefined if nothing came twice, or if something else is in doubt. */
  static at(first: Ended, { resource }: ListReader): FeedAgain | undefined {
    const { endpoint, incremental } = resource
    const { isOnlyMoved, texts } = first.evidence
    if (incremental?.token === undefined || !isOnlyMoved || texts === undefined || texts.repeated === 0)
      return undefined
    if (endpoint.maxRecords !== undefined || !texts.known.isWhole) return undefined
    return new FeedAgain(first, texts, declaredKeys(resource))
  }

  /** How the feed ended where it is not read again. */
  get first(): ListEnd {
    return this.#first.end
  }

  /** Why the feed is read again. */
  get reason(): string {
    return this.#first.end.reason
  }

  /** The changes of a page that the first reading had not. */
  readonly fresh = (selection: Selection): Selection => this.#news.of(selection)

  /** How the feed ended overall. */
  judge({ end, evidence, token }: Ended): ListEnd {
    const { texts, records } = evidence
    if (end.end === 'proven')
      return { ...end, reason: `${this.reason}; it was read once more, and nothing came twice`, distinct: records }
    if (!isSameReading(this.#texts, texts) || token === undefined)
      return this.failed(`that did not show it whole: ${end.reason}`)
    return { ...this.failed('the same came again, so that the API repeats it'), token }
  }

  /** The doubt remains. */
  failed(why: string): ListEnd {
    return { ...this.#first.end, reason: `${this.reason}; it was read once more, and ${why}` }
  }
}
