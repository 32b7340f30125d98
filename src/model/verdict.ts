import type { SluiceError } from './errors.js'
import type { Verdict } from './receipt.js'
import type { DispositionHint, ListEnd, Unread } from './source.js'

/** Why `deletes` cannot work with this write disposition. Undefined if it can, given a primary key. */
export function deletesRefusal({ disposition, strategy }: DispositionHint): string | undefined {
  const remedy = 'write `write_disposition: merge` and a `primary_key`, or leave `deletes` out'
  if (disposition === 'merge' && strategy === 'cdc') {
    return 'cannot work with the strategy cdc, which itself deletes rows that are gone; use another strategy, or leave `deletes` out'
  }
  if (disposition === 'merge' && strategy !== 'scd2') return undefined
  if (disposition === 'merge') {
    return `cannot work with the strategy scd2, which itself ends the version of a row that is gone; use another strategy, or leave \`deletes\` out`
  }
  if (disposition === 'replace') {
    return `cannot work with \`write_disposition: replace\`, which keeps no row that is gone; ${remedy}`
  }
  return `cannot work with \`write_disposition: ${disposition}\`, which only adds rows; ${remedy}`
}

/** A verdict with the reasons for it, one sentence each. */
export interface Judgement {
  readonly verdict: Verdict
  readonly reasons: readonly string[]
}

/** As in `1 record`, `2 records`. */
export function count(number: number, noun: string): string {
  return `${number} ${number === 1 ? noun : `${noun}s`}`
}

const RANK: Readonly<Record<Verdict, number>> = { complete: 0, unproven: 1, incomplete: 2 }
const OF_END: Readonly<Record<ListEnd['end'], Verdict>> = {
  proven: 'complete',
  limited: 'unproven',
  suspect: 'incomplete',
}

/**
 * Judges one list by how it ended and by the number of records that it announced. Undefined: the list was not read to
 * its end.
 */
export function judgeList(end: ListEnd | undefined, records: number, announced: number | undefined): Judgement {
  if (end === undefined) return { verdict: 'unproven', reasons: ['the list was not read to its end'] }
  if (end.end !== 'proven' || announced === undefined || records === announced)
    return { verdict: OF_END[end.end], reasons: [end.reason] }
  const both = `the API announced ${count(announced, 'record')}, ${records} arrived`
  return records < announced
    ? { verdict: 'incomplete', reasons: [both] }
    : { verdict: 'unproven', reasons: [`${both}: the list changed while it was read, or that is not its length`] }
}

/** The end of a list whose records lack something. */
export function lackingEnd(end: ListEnd, lacks: ListEnd): ListEnd {
  const { unlessSeen, token: _token, ...rest } = end
  const unread = end.unread ?? lacks.unread
  const otherwise = unlessSeen && { ...unlessSeen, end: lackingEnd(unlessSeen.end, lacks) }
  const [own, other] = [RANK[OF_END[end.end]], RANK[OF_END[lacks.end]]]
  const about = own > other ? end : lacks
  const reason = own === other ? `${end.reason}; ${lacks.reason}` : about.reason
  return { ...rest, end: about.end, reason, isOpen: false, unread, unlessSeen: otherwise }
}

/** Most different judgements that are remembered until it is known what other lists saw. */
const MOST_UNSEEN = 1_000

function worse(one: Judgement, other: Judgement): Judgement {
  return RANK[one.verdict] >= RANK[other.verdict] ? one : other
}

/** What another list may have seen. */
type Unless = Pick<NonNullable<ListEnd['unlessSeen']>, 'what' | 'longerThan'>

/** Judges a resource by its lists. The worst verdict counts, with all its reasons. Memory is bounded. */
export class ResourceJudge {
  readonly #reasons = new Map<string, number>()
  readonly #saw = new Set<string>()
  /** Why records of the lists were not read. */
  readonly unread = new Set<Unread>()
  readonly #unseen = new Map<
    string,
    { readonly judged: Judgement; readonly otherwise: Judgement; readonly unless: Unless; times: number }
  >()
  #longestPage = 0
  #verdict: Verdict = 'complete'
  #failure: { readonly what: string; readonly error: SluiceError } | undefined
  #lists = 0
  readonly #areMerged: boolean

  /** `areMerged`: a record that comes twice, with its nested records, becomes one row in the end. */
  constructor(areMerged = false) {
    this.#areMerged = areMerged
  }

  get lists(): number {
    return this.#lists
  }

  list(end: ListEnd | undefined, delivered: number, announced: number | undefined): void {
    this.#lists += 1
    const records = end?.distinct ?? delivered
    for (const what of end?.saw ?? []) this.#saw.add(what)
    this.#longestPage = Math.max(this.#longestPage, end?.longestPage ?? 0)
    if (end?.unread !== undefined) this.unread.add(end.unread)
    if (end?.end === 'proven' && delivered !== records && !this.#areMerged) {
      const twice = `${count(delivered - records, 'record')} came twice, and rows are not merged by their keys`
      this.#take({ verdict: 'unproven', reasons: [`${end.reason}; ${twice}`] })
      return
    }
    const judged = judgeList(end, records, announced)
    if (end?.unlessSeen === undefined) {
      this.#take(judged)
      return
    }
    const { what, longerThan, failure, end: otherEnd } = end.unlessSeen
    if (failure !== undefined) this.#failure ??= { what, error: failure }
    const otherwise = judgeList(otherEnd, records, announced)
    const key = JSON.stringify([what, judged, otherwise])
    const known = this.#unseen.get(key)
    if (known !== undefined) known.times += 1
    // Beyond that, the worse of the two counts at once.
    else if (this.#unseen.size < MOST_UNSEEN)
      this.#unseen.set(key, { judged, otherwise, unless: { what, longerThan }, times: 1 })
    else this.#take(worse(judged, otherwise))
  }

  /**
   * The verdict on the resource's own lists. Throws if no list had what the document says that all have: that is a
   * mistake in the document. One list alone cannot show this, because an API may leave the member out.
   */
  judgement(): Judgement {
    if (this.#failure !== undefined && !this.#saw.has(this.#failure.what)) throw this.#failure.error
    for (const { judged, otherwise, unless, times } of this.#unseen.values())
      this.#take(this.#hasSeen(unless) ? otherwise : judged, times)
    this.#unseen.clear()
    if (this.#lists === 0) this.#take({ verdict: 'complete', reasons: ['there was no parent record to ask for'] })
    const reasons = [...this.#reasons].map(([reason, times]) => (times === 1 ? reason : `${reason} (${times} lists)`))
    return { verdict: this.#verdict, reasons }
  }

  #hasSeen({ what, longerThan }: Unless): boolean {
    return this.#saw.has(what) || (longerThan !== undefined && this.#longestPage > longerThan)
  }

  #take({ verdict, reasons }: Judgement, times = 1): void {
    if (RANK[verdict] > RANK[this.#verdict]) {
      this.#verdict = verdict
      this.#reasons.clear()
    }
    if (verdict !== this.#verdict) return
    for (const reason of reasons) {
      if (this.#reasons.size < MOST_REASONS || this.#reasons.has(reason))
        this.#reasons.set(reason, (this.#reasons.get(reason) ?? 0) + times)
    }
  }
}

/** Most different sentences in one receipt. Lists of thousands of parents may each have their own numbers. */
const MOST_REASONS = 100

/** Records that break what the user expects of them are `incomplete`, however their lists ended. */
export function judgeExpected(own: Judgement, broken: readonly string[]): Judgement {
  return broken.length === 0 ? own : graver(own, { verdict: 'incomplete', reasons: broken })
}

/** Lists that were left out were not read, whatever those that were read say. */
export function judgeLeftOut(read: Judgement, leftOut: Judgement | undefined): Judgement {
  return leftOut === undefined ? read : graver(read, leftOut)
}

/** A part of a list that does not fit to another one, for this reason. */
export function judgeMoved(read: Judgement, reason: string | undefined): Judgement {
  return reason === undefined ? read : graver(read, { verdict: 'unproven', reasons: [reason] })
}

/** Records that differ only in what these columns of a key do not store become one row. */
export function judgeKeys(read: Judgement, table: string, columns: readonly string[]): Judgement {
  if (columns.length === 0) return read
  const names = columns.map(column => `${table}.${column}`).join(', ')
  const reason = `values of the key ${names} were not stored as they came, so different records may be one row: declare the column with a type that keeps them, such as text`
  return graver(read, { verdict: 'unproven', reasons: [reason] })
}

/** The verdict on the parent of a resource, and how the parent was read. */
export interface JudgedParent extends Judgement {
  readonly name: string
  /** Only its records inside a cursor's window were requested. */
  readonly isIncremental: boolean
}

/** A child is at most as complete as its parent: unknown parents mean unknown children. */
export function judgeChild(own: Judgement, parent: JudgedParent | undefined): Judgement {
  if (parent === undefined) return own
  const inherited: Judgement = parent.isIncremental
    ? {
        verdict: 'unproven',
        reasons: [`it was asked for records of ${parent.name} inside the window of its cursor only`],
      }
    : { verdict: 'complete', reasons: [] }
  const above: Judgement = {
    verdict: parent.verdict,
    reasons: parent.reasons.map(reason => `its parent ${parent.name} is ${parent.verdict}: ${reason}`),
  }
  return graver(graver(own, inherited), above)
}

/** The worse of two judgements. If both are equal, the reasons of both. */
function graver(a: Judgement, b: Judgement): Judgement {
  if (RANK[a.verdict] !== RANK[b.verdict]) return RANK[a.verdict] > RANK[b.verdict] ? a : b
  return a.verdict === 'complete' ? a : { verdict: a.verdict, reasons: [...a.reasons, ...b.reasons] }
}
