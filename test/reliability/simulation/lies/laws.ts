import type { DatasetRow } from '../../../../src/model/destination.js'
import { cursorState } from '../../../../src/model/pipelineState.js'
import type { Receipt } from '../../../../src/model/receipt.js'
import type { Resource } from '../../../../src/model/source.js'
import { parentCursors } from '../../../../src/pipeline/run/incremental/parentCursors.js'
import { identityOf } from '../../../../src/pipeline/run/incremental/parentIdentity.js'
import type { Stored } from '../memoryDestination.js'
import { leavesRecordsOut } from './document.js'
import { type Known, traceOf } from './knowable.js'
import type { Answer, Log } from './lyingApi.js'
import { type Level, type Plan, type Run, readsMore, readsTotals } from './plan.js'
import { addressOf, halves, names, placeOf, type Truth } from './truth.js'

/** One run, as it went. */
export interface Outcome {
  readonly plan: Plan
  readonly run: Run
  readonly truth: Truth
  readonly log: Log
  /** It went on with what an earlier run was told. */
  readonly isResumed: boolean
  readonly before: Stored
  readonly after: Stored
  /** Undefined where the run failed. */
  readonly receipts: readonly Receipt[] | undefined
  /** What it failed with. */
  readonly error: string | undefined
}

/** What a world went through, so that a test can tell that it went through something. */
export interface Tally {
  complete: number
  /** Complete where an honest API must be called so. */
  believed: number
  unproven: number
  incomplete: number
  failed: number
  /** Resources that are called complete and are not, where nobody could know. */
  unknowable: number
}

/** A law that a run broke. */
export interface Breach {
  readonly law: string
  readonly resource: string
  readonly details: readonly string[]
}

/** A resource and its part of a table. */
interface Part {
  readonly resource: string
  readonly at: number
  readonly level: Level
  readonly has: (id: number) => boolean
}

/** The first law that the run broke. */
export function breachOf(outcome: Outcome, tally: Tally): Breach | undefined {
  const { log, receipts, error = '', before, after } = outcome
  if (log.isEndless) return { law: 'every run ends', resource: '', details: [error] }
  if (receipts === undefined) {
    tally.failed++
    if (before !== after) return { law: 'a failed run changes nothing', resource: '', details: [error] }
    // What is unproven must not empty a table.
    const isGuarded = error.startsWith('too_many_deletes') && !partsOf(outcome).every(part => isProvable(outcome, part))
    const isRefused = isHonest(outcome) && !isGuarded
    return isRefused ? { law: 'an honest API is read', resource: '', details: [error] } : undefined
  }
  let unreceipted: Breach | undefined
  for (const part of partsOf(outcome)) {
    const { resource } = part
    const receipt = receipts.find(one => one.resource === resource)
    if (receipt === undefined) {
      unreceipted ??= { law: 'every resource that was read has a receipt', resource, details: [] }
      continue
    }
    tally[receipt.verdict]++
    const isTrustworthy = isProvable(outcome, part)
    if (isTrustworthy && receipt.verdict === 'complete') tally.believed++
    const breach =
      (isLoaded(outcome, part) ? breachOfTable(outcome, part, receipt, tally) : undefined) ??
      (receipt.verdict !== 'complete' && isTrustworthy
        ? { law: 'an honest API is believed', details: receipt.reasons }
        : undefined)
    if (breach !== undefined) return { ...breach, resource }
  }
  return unreceipted
}

/** The resources that took part, with what they have of their tables. */
function partsOf({ plan, run }: Outcome): readonly Part[] {
  const parts = plan.levels.flatMap((level, at): Part[] =>
    plan.isShared
      ? halves.map((resource, half) => ({ resource, at, level, has: id => id % 2 === half }))
      : [{ resource: names[at] as string, at, level, has: () => true }],
  )
  return run.isSelective ? parts.slice(0, 1) : parts
}

/** The cursor of a resource that is only loaded for once is where its children left it. */
function isLoaded({ run }: Outcome, { level }: Part): boolean {
  return level.selected || (run.isSelective && !level.incremental)
}

/** The share of its rows that a table may lose when it is replaced by a list that is not known to be complete. */
const SHRINKS = 0.1

function breachOfTable(
  outcome: Outcome,
  { resource, at, level, has }: Part,
  { verdict, discardedRows }: Receipt,
  tally: Tally,
): Omit<Breach, 'resource'> | undefined {
  const { truth, before, after } = outcome
  const name = names[at] as string
  const old = before.tables.get(name) ?? []
  const rows = after.tables.get(name) ?? []
  const loadId = after.loads.length > before.loads.length ? after.loads.at(-1) : undefined
  const loaded = rows.filter(row => loadId !== undefined && row._dlt_load_id === loadId)
  const live = new Map(rows.filter(isLive).map(row => [Number(row.id), Number(row.rev)]))
  const lasting = truth.lasting(at)

  const invented = loaded.filter(row => !truth.wasEver(thingOf(row)))
  if (invented.length > 0)
    return { law: 'no record is invented', details: invented.map(({ id, rev }) => `${id} (${rev})`) }

  const orphans = [...live.keys()].filter(id => isOrphan(outcome, at, id))
  if (orphans.length > 0) return { law: 'rows go with their parents', details: [orphans.join(', ')] }

  const parents = new Set((after.tables.get(names[at - 1] ?? '') ?? []).filter(isLive).map(row => Number(row.id)))
  const left = old.filter(isLive).flatMap(row => (live.has(Number(row.id)) ? [] : Number(row.id)))
  const alone = level.deletes === 'with_parent' ? left.filter(id => parents.has(Math.floor(id / 100))) : []
  if (alone.length > 0) return { law: 'rows go only with their parents', details: [alone.join(', ')] }

  // What an earlier run left behind its cursor is not asked for again.
  const behind = (stored: Stored, id: number): number => cursorOf({ resource, at, level, has }, stored, id)
  const missing = [...lasting]
    .filter(([id, rev]) => has(id) && rev > behind(before, id) && live.get(id) !== rev)
    .map(([id]) => id)
  // Rows of a table that several resources fill are only deleted where all of them are complete.
  const goesByItself = level.deletes === 'hard' || level.deletes === 'soft'
  const isCleared =
    !outcome.isResumed &&
    goesByItself &&
    (!outcome.plan.isShared || (!outcome.run.isSelective && isAllComplete(outcome)))
  const held = isCleared || level.disposition === 'replace' ? rows.filter(isLive) : loaded
  const stale = level.incremental
    ? []
    : held
        .map(thingOf)
        .filter(thing => has(thing.id) && !truth.wasThere(thing))
        .map(({ id }) => id)
  const counted = loaded.map(row => Number(row.id))
  const repeated = counted.filter((id, place) => has(id) && counted.indexOf(id) !== place)
  const concerns = (id: number): boolean => has(id) || outcome.run.isSelective
  const deleted = old
    .filter(isLive)
    .map(row => Number(row.id))
    .filter(id => concerns(id) && !live.has(id) && lasting.has(id))

  const passed = missing.filter(id => (lasting.get(id) ?? 0) <= behind(after, id))
  const lost = isMoving(outcome, at) || discardedRows > 0 ? [] : passed.flatMap(id => doubtOf(outcome, at, id) ?? [])
  if (level.disposition === 'merge' && lost.length > 0)
    return {
      law: 'no cursor moves past records that were not read',
      details: [listed('missing', passed), verdict, ...lost],
    }

  const mayShrink = outcome.run.allowIncomplete || rows.length >= old.length * (1 - SHRINKS)
  // What was discarded arrived, and the table has it not, or as it was before.
  const wrong = [...(discardedRows > 0 ? [] : [...missing, ...stale]), ...repeated]
  const told = (ids: readonly number[]): string[] => [...new Set(ids.flatMap(id => traceFor(outcome, at, id) ?? []))]
  if (verdict === 'complete' && wrong.length > 0) {
    // Nobody is excused who lost what arrived, or left what did not.
    const known = [
      ...missing.filter(id => discardedRows === 0 && hasArrived(outcome, at, id, lasting.get(id))),
      ...stale.filter(id => discardedRows === 0 && isCleared && wasAsked(outcome, at) && !hasArrived(outcome, at, id)),
    ]
    const traces = [...told(wrong), ...known.map(id => `${id} is known`)]
    const details = [
      listed('missing', missing),
      listed('not in the truth', stale),
      listed('repeated', repeated),
      ...traces,
    ]
    if (traces.length > 0)
      return { law: 'complete: the table equals the truth', details: details.filter(text => text !== '') }
    tally.unknowable++
  }
  const isAllowed = level.disposition === 'replace' && (isPartial(outcome) || (verdict !== 'complete' && mayShrink))
  const isExcused =
    level.deletes === 'with_parent'
      ? deleted.every(id => isUnknowablyGone(outcome, at, id))
      : verdict === 'complete' && deleted.every(has) && told(deleted).length === 0
  if (deleted.length === 0 || isAllowed || isExcused) return undefined
  return { law: 'no row of the truth is deleted', details: [deleted.join(', '), verdict, ...told(deleted)] }
}

/** The place in `rev` from which the next run asks for what belongs to the list of a record. */
function cursorOf({ resource, level }: Part, { state }: Stored, id: number): number {
  if (!level.incremental || state === undefined) return 0
  const path = level.style.syncs ? 'sync' : 'rev'
  const stored = level.perParent
    ? parentCursors(state, 'rest_api', { name: resource, incremental: { cursorPath: path } } as Resource)[
        identityOf({ id: Math.floor(id / 100) }, ['id']) ?? ''
      ]
    : cursorState(state, 'rest_api', resource, path)
  return Number(String(stored?.last_value ?? 0).replace('t', ''))
}

/** Whether a list changed while it was read, or an answer was skipped as the document says. */
function isMoving({ log }: Outcome, at: number): boolean {
  const isPassedOver = [...log.answers].some(
    ([address, answers]) => placeOf(address).level <= at && answers.some(({ told }) => told.status === 404),
  )
  return isPassedOver || log.runs.some(({ motions }) => motions.length > 0)
}

/** What spoke against the list of a record; undefined where nothing did, or where its parent was not known. */
function doubtOf(outcome: Outcome, at: number, id: number): string | undefined {
  if (at > 0 && !hasArrived(outcome, at - 1, Math.floor(id / 100))) return undefined
  const trace = traceFor(outcome, at, id)
  // What only lacks evidence of its end may always lack it; what a parent outside its window has, nobody asks for.
  return trace !== undefined && /nothing said|never asked/.test(trace) ? undefined : trace
}

/** The first above a row, among those that it goes with, that did not arrive. */
function lackedAbove(
  outcome: Outcome,
  at: number,
  id: number,
): { readonly at: number; readonly id: number } | undefined {
  if (outcome.plan.levels[at]?.deletes !== 'with_parent') return undefined
  const above = { at: at - 1, id: Math.floor(id / 100) }
  return lackedAbove(outcome, above.at, above.id) ?? (hasArrived(outcome, above.at, above.id) ? undefined : above)
}

/** Whether a row went with a record above it of which nobody could know that it is there. */
function isUnknowablyGone(outcome: Outcome, at: number, id: number): boolean {
  const lacked = lackedAbove(outcome, at, id)
  return (
    lacked !== undefined &&
    verdictOf(outcome, lacked.at) === 'complete' &&
    traceFor(outcome, lacked.at, lacked.id) === undefined
  )
}

/**
 * Whether a row should have gone: its list goes with one above that is complete and has not what the row belongs to.
 * Nothing goes by a list that is not loaded, that a cursor cuts or that nobody was left to ask for. Of a row that the
 * table of its parents never had, nothing is known.
 */
function isOrphan(outcome: Outcome, at: number, id: number): boolean {
  const { plan } = outcome
  const lacked = lackedAbove(outcome, at, id)
  if (lacked === undefined || plan.levels[lacked.at]?.deletes === 'with_parent') return false
  // A run that goes on with another one deletes nothing: its pages are of two times.
  if (outcome.isResumed || verdictOf(outcome, lacked.at) !== 'complete') return false
  const above = plan.levels.slice(0, at)
  const isKnown = above.every(({ selected, incremental }, level) => !incremental && (selected || level < lacked.at))
  const isAdmitted = !plan.runs.some(({ lies }) =>
    lies.some(({ kind, level }) => kind === 'a record of another type' && level < at),
  )
  return isKnown && isAdmitted && wasAsked(outcome, lacked.at)
}

function wasAsked({ log }: Outcome, at: number): boolean {
  return [...log.answers.keys()].some(address => placeOf(address).level === at)
}

function verdictOf({ receipts = [] }: Outcome, at: number): Receipt['verdict'] | undefined {
  return receipts.find(({ resource }) => resource === names[at])?.verdict
}

function isAllComplete({ receipts = [] }: Outcome): boolean {
  return receipts.every(({ verdict }) => verdict === 'complete')
}

/** Whoever replaces a table with half of what fills it asks for that. */
function isPartial({ plan, run }: Outcome): boolean {
  return plan.isShared && run.isSelective
}

function listed(how: string, ids: readonly number[]): string {
  return ids.length === 0 ? '' : `${how}: ${ids.join(', ')}`
}

/** What told that something is wrong with this record; undefined where nobody could know. */
function traceFor(outcome: Outcome, at: number, id: number): string | undefined {
  const { plan } = outcome
  const parent = Math.floor(id / 100)
  if (at > 0 && !hasArrived(outcome, at - 1, parent)) return traceFor(outcome, at - 1, parent)
  const address = addressOf(at, id, plan.isShared)
  const trace = traceOf((plan.levels[at] as Level).style, lastReading(outcome, address), knownOf(outcome, address))
  return trace === undefined ? undefined : `${address}: ${trace}`
}

/** A list that moved is read once more. Then the second reading tells what there is. */
function lastReading({ plan, log }: Outcome, address: string): readonly Answer[] {
  const answers = log.answers.get(address) ?? []
  const { slip } = plan.levels[placeOf(address).level] as Level
  const isMoved = log.runs.some(({ motions }) => motions.length > 0)
  const begins = answers.findLastIndex(({ asked: { start, after } }) => start === 0 && after === undefined)
  return isMoved && slip === undefined && begins > 0 ? answers.slice(begins) : answers
}

/** With this `rev`, where one is given. */
function hasArrived({ plan, log }: Outcome, at: number, id: number, rev?: number): boolean {
  const answers = log.answers.get(addressOf(at, id, plan.isShared)) ?? []
  return answers.some(({ told }) =>
    told.list?.some(thing => thing.id === id && (rev === undefined || thing.rev === rev)),
  )
}

function knownOf({ plan, log }: Outcome, address: string): Known {
  const { level } = placeOf(address)
  const one = plan.levels[level] as Level
  const { style, auto, stopAfterEmpty, stopsMissing, keyset, reads } = one
  const leads = style.way !== 'offset' && style.way !== 'page_number' && style.way !== 'keyset'
  const answers = [...log.answers].flatMap(([other, given]) => (isOfOneResource(plan, address, other) ? given : []))
  return {
    isOnePage: style.way === 'single_page' && !auto,
    endsEmpty: leads && stopAfterEmpty && !auto,
    endsShort: style.way === 'keyset' && keyset.stopsShort && !auto,
    endsMissing: leads && stopsMissing && !auto,
    goesByFlag: readsMore(reads) && style.more !== undefined && !auto,
    namesTotal: readsTotals(reads) && style.total !== undefined && !auto,
    leavesOut: leavesRecordsOut(one),
    isAnyOrder: keyset.pick === 'last',
    rereads: keyset.mode !== 'plain',
    longestPage: Math.max(0, ...answers.map(({ told }) => told.list?.length ?? 0)),
    sawNext: answers.some(({ told }) => typeof told.next === 'string'),
    wentOn: wentOn(answers),
  }
}

/** Whether records came behind a value that were on no first page. */
function wentOn(answers: readonly Answer[]): boolean {
  const idsOf = ({ told }: Answer): readonly number[] => (told.list ?? []).map(({ id }) => id)
  const first = new Set(answers.filter(({ asked }) => asked.after === undefined).flatMap(idsOf))
  return answers.some(one => one.asked.after !== undefined && idsOf(one).some(id => !first.has(id)))
}

function isOfOneResource({ isShared }: Plan, one: string, other: string): boolean {
  return isShared ? one === other : placeOf(one).level === placeOf(other).level
}

/** Whether nothing was wrong: a reader has no reason to fail. */
function isHonest({ run, log, plan, isResumed }: Outcome): boolean {
  const { levels, isShared } = plan
  return (
    !isResumed &&
    run.stopsAfter === undefined &&
    log.runs.every(({ lies, motions }) => lies.length + motions.length === 0) &&
    levels.every(level => {
      const { slip, bound, auto, style, deletes } = level
      const isPlain =
        slip === undefined && bound === undefined && !auto && style.way !== 'single_page' && isFitting(level)
      return isPlain && !(isShared && (deletes !== undefined || run.isSelective))
    })
  )
}

/** Whether a keyset is read as the API gives it, with pages that are longer than the records of one value. */
function isFitting({ style, keyset: { mode, stopsShort } }: Level): boolean {
  if (style.way !== 'keyset') return true
  if (stopsShort || style.isInclusive !== (mode === 'inclusive')) return false
  return style.key === 'pair' ? mode !== 'plain' && style.size > 2 : mode === 'plain' || style.size > 1
}

/** Whether the resource must be called complete: an honest API, and positive evidence for each of its lists and those above. */
function isProvable(outcome: Outcome, { at }: Part): boolean {
  const { plan, run, log } = outcome
  if (!isHonest(outcome) || run.maxPages !== undefined) return false
  return plan.levels.slice(0, at + 1).every(({ style, incremental }, level) => {
    if (incremental && level < at) return false
    // No value leads on from a last page of one pair.
    if (style.way === 'keyset' && style.key === 'pair') return false
    const lists = [...log.answers].filter(([address]) => placeOf(address).level === level)
    return (
      lists.length > 0 &&
      lists.every(([address, given]) => traceOf(style, given, knownOf(outcome, address)) === undefined)
    )
  })
}

function isLive(row: DatasetRow): boolean {
  return row._sluice_deleted_at === undefined || row._sluice_deleted_at === null
}

function thingOf(row: DatasetRow): { readonly id: number; readonly rev: number } {
  return { id: Number(row.id), rev: Number(row.rev) }
}
