import type { JsonValue } from '../../../json/value.js'
import type { CursorState } from '../../../model/pipelineState.js'
import type { IncrementalWindow, Resource, Unread } from '../../../model/source.js'
import type { CursorTracker } from './incremental.js'

/** A resource as a run has read it. */
export interface ReadResource {
  readonly resource: Resource
  readonly unread: ReadonlySet<Unread>
  /** Rows arrived that the schema contract does not admit. */
  readonly discards: boolean
  /** The resource, or one it depends on, has the verdict `incomplete`. */
  readonly isIncomplete: boolean
  /** Normally loaded, but read only for its children in this run. */
  readonly isLeftOut: boolean
  /** Rows that arrive again replace existing ones. */
  readonly isMerged: boolean
  /** Of a list that is cut, the records with the last value wait for the next run. */
  readonly holdsBack: boolean
  /** The list was seen not to come in the order that the document says. */
  readonly isOutOfOrder: boolean
}

/** A cursor that does not move, or that moves past records that were not read. Holds the message for the user. */
export interface Holding {
  readonly code: 'cursor_held' | 'cursor_ahead'
  readonly message: string
  /** The cursor moves, but not to its last value. `ifStuck`: what to tell if the list has no other. */
  readonly isBeforeLast?: { readonly ifStuck: string }
}

/**
 * By resource: the cursors whose move would skip unread records.
 *
 * What only this run leaves out, by a limit, a selection or an incomplete answer, the next run can still read. The
 * cursors of the resource, its parents and its children wait. What the document leaves out, every run leaves out. There
 * a cursor waits only if its rows are merged, since others would be loaded twice. The same holds if an answer was in
 * part, or not what it should be: the API may always answer so. As with dlt, a cursor moves past answers that the
 * document ignores, and past rows that the schema contract discards. It also moves with a list that changed while it was
 * read, unless a second reading did not help, since a busy one always does. In a root list declared to be in cursor order, and not seen to be in another one, a
 * limit skips nothing but what equals its last value: the cursor stays before that.
 */
export function heldCursors(read: readonly ReadResource[], all: readonly Resource[]): ReadonlyMap<string, Holding> {
  const byName = new Map(read.map(one => [one.resource.name, one]))
  const holdings = new Map<string, Holding>()
  for (const one of read) {
    const { resource } = one
    if (resource.incremental === undefined) continue
    const fixed = ofRun(one, read, byName) ?? ofDocument(one, all, byName)
    const holding = fixed?.code === 'cursor_held' ? fixed : (ofCutValue(one) ?? fixed)
    if (holding !== undefined) holdings.set(resource.name, holding)
  }
  return holdings
}

function ofRun(
  one: ReadResource,
  read: readonly ReadResource[],
  byName: ReadonlyMap<string, ReadResource>,
): Holding | undefined {
  const { resource, isLeftOut, isMerged } = one
  const { name } = resource
  if (isLeftOut) return held(one, 'this run loads none of its records', isMerged)
  if (one.isIncomplete) return held(one, `${name} is incomplete`, isMerged)
  if (one.unread.has('run') && !comesInOrder(one)) return held(one, LIMITED, isMerged, disorder(one))
  const kin = read.find(
    other =>
      (other.isIncomplete || other.unread.has('run')) &&
      (isBelow(resource, other.resource, byName) || isBelow(other.resource, resource, byName)),
  )
  if (kin === undefined) return undefined
  const { name: other } = kin.resource
  return held(one, kin.isIncomplete ? `${other} is incomplete` : `${other} was not read to its end`, isMerged)
}

const LIMITED = 'this run was asked for a part of it only'

function ofDocument(
  one: ReadResource,
  all: readonly Resource[],
  byName: ReadonlyMap<string, ReadResource>,
): Holding | undefined {
  const { resource, unread, isMerged } = one
  const { name } = resource
  const child = all.find(other => other.parent === name && other.selected && !byName.has(other.name))
  if (child !== undefined) {
    const why = `${child.name}, which depends on it, takes no part in this run`
    return isMerged ? held(one, why, true) : ahead(one, why)
  }
  if (unread.has('document') && !comesInOrder(one)) {
    const why = 'the list was not read to its end'
    const cure = disorder(one) ?? ORDER
    return isMerged ? held(one, why, true, cure) : ahead(one, why, cure)
  }
  // Of cursors for each parent, only those wait whose own lists are in doubt.
  const isShared = resource.incremental?.isPerParent !== true
  const doubted = isShared ? doubtedUpwards(one, byName) : undefined
  if (doubted !== undefined) {
    const why = `records of ${doubted} may be missing, as its receipt says`
    return isMerged ? held(one, why, true) : ahead(one, why)
  }
  if (unread.has('answer')) return ahead(one, 'an answer was skipped')
  if (unread.has('moved') && isShared) {
    const isToken = resource.incremental?.isToken === true
    return isToken ? ahead(one, 'changes came twice') : ahead(one, 'the list changed while it was read', LAG)
  }
  return one.discards ? ahead(one, 'the schema contract discarded rows', AGAIN) : undefined
}

const AGAIN = ' Records of the discarded rows do not come again either, unless they change.'
const LAG = ' With `lag`, each run looks back over what may have been skipped.'
const DISORDER =
  ' Its records do not come in the order of the cursor, as `row_order` says: leave that out, or ask the API for it.'
const ORDER = ' Say `row_order: asc` if its records come in the order of the cursor, or read all of it.'

function held({ resource }: ReadResource, why: string, isMerged: boolean, cure = ''): Holding {
  return {
    code: 'cursor_held',
    message: `${resource.name}: ${why}, so the cursor ${resource.incremental?.cursorPath} stays where it was: the next run reads from there.${comeAgain(isMerged)}${cure}`,
  }
}

function comeAgain(isMerged: boolean): string {
  return isMerged ? '' : ' Records of this load come again with it.'
}

/** What to tell of a sync token that stays because its list may not be whole. */
export function heldToken({ name }: Resource, isMerged: boolean): string {
  return `${name}: its list may not be whole, as the receipt says, so the sync token stays where it was: the next run reads from there.${comeAgain(isMerged)}`
}

function ahead({ resource }: ReadResource, why: string, cure = ''): Holding {
  return {
    code: 'cursor_ahead',
    message: `${resource.name}: ${why}, and the cursor ${resource.incremental?.cursorPath} moves on: older records that were not read are not requested again.${cure}`,
  }
}

/** One list, sorted by the cursor: unread records come after the read ones. */
function comesInOrder({ resource: { parent, incremental }, isOutOfOrder }: ReadResource): boolean {
  return parent === undefined && incremental?.rowOrder === 'asc' && !isOutOfOrder
}

function disorder({ resource, isOutOfOrder }: ReadResource): string | undefined {
  return resource.parent === undefined && isOutOfOrder ? DISORDER : undefined
}

/**
 * Whether a cursor at the last value of a list that was cut could leave out others with that value: the list comes in
 * the order of the cursor, and the next run leaves out what equals it, or the API may.
 */
export function losesEqual({ parent, incremental, sendsWindowStart }: Resource): boolean {
  if (parent !== undefined || incremental?.rowOrder !== 'asc' || incremental.endValue !== undefined) return false
  return incremental.rangeStart === 'open' || sendsWindowStart !== false
}

const FULL = ' All new records that were read have that value, so the next run reads the same ones again.'
const STUCK_BY_RUN = `${FULL} A run without a limit loads them, or one whose limit is above the number of records that share a value.`
const STUCK = `${FULL} Raise the cap of the list above the number of records that share a value (\`max_pages\`, \`max_records\`, \`max_seconds\`, \`maximum_page\` or \`maximum_offset\`), or leave it out.`

/** The list was cut between records of which the next may equal the last one. */
function ofCutValue(one: ReadResource): Holding | undefined {
  const { resource, unread, holdsBack } = one
  if (!comesInOrder(one) || !losesEqual(resource)) return undefined
  if (!unread.has('run') && !unread.has('document')) return undefined
  const { name, incremental } = resource
  const what = holdsBack
    ? 'so those that came wait for the next run too, and the cursor stays before it'
    : 'so the cursor stays before it'
  return {
    code: 'cursor_held',
    isBeforeLast: { ifStuck: unread.has('run') ? STUCK_BY_RUN : STUCK },
    message: `${name}: the list was not read to its end, and more records may have the last value of ${incremental?.cursorPath}, ${what}.`,
  }
}

/** The name of the resource, or of the next one above it, whose records may be missing: their lists were not asked for. */
function doubtedUpwards(
  { resource, unread }: ReadResource,
  byName: ReadonlyMap<string, ReadResource>,
): string | undefined {
  if (unread.has('doubt')) return resource.name
  const above = byName.get(resource.parent ?? '')
  return above && doubtedUpwards(above, byName)
}

function isBelow(one: Resource, above: Resource, byName: ReadonlyMap<string, ReadResource>): boolean {
  if (one.parent === undefined) return false
  if (one.parent === above.name) return true
  const parent = byName.get(one.parent)
  return parent !== undefined && isBelow(parent.resource, above, byName)
}

/** Follows a sync token. It drops no records, and moves only when a list that was read to its end gives a new token. */
export function trackToken(window: IncrementalWindow, stored: CursorState | undefined): CursorTracker {
  let token: JsonValue | undefined
  let hasEnded = false
  return {
    window,
    filter: records => ({ records, dropped: 0, beyond: false }),
    ended: end => {
      hasEnded = true
      token = end.token ?? token
    },
    isHeldBack: () => hasEnded && token === undefined,
    state() {
      if (token === undefined) return stored
      return { initial_value: null, last_value: token, unique_hashes: [], start_value: stored?.last_value ?? null }
    },
  }
}
