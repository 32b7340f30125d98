import { compiledPath } from '../../../json/path.js'
import { isJsonObject, type JsonObject, type JsonValue, numberLiteral, setNumberLiteral } from '../../../json/value.js'
import { type CursorRank, compareRanks, cursorRank, isDoubtfulOrder } from '../../../model/cursors/cursorOrder.js'
import {
  PARENTS_READ_KEY,
  type PipelineState,
  READ_WITH_KEY,
  stateValue,
  withStateValue,
} from '../../../model/pipelineState.js'
import type { ParentChangedHint, Resource, Source } from '../../../model/source.js'
import { count, type Judgement } from '../../../model/verdict.js'
import { flattenPlan, type PlannedResource } from '../plan/planResources.js'
import { hasAny, identityOf, versionOf } from './parentIdentity.js'

/** The parents' records whose lists earlier runs have read, as the state has them. */
export interface ParentsRead {
  /** The load that began to remember them. Resources below that were not read with them since then have another. */
  readonly since: string
  /** Fingerprint of the resource as they were read. */
  readonly fingerprint: string
  /** By digest of the record's key: digest of what tells that it changed. */
  readonly versions: Readonly<Record<string, string>>
  /**
   * Where that is one field which grows with each change: every list of a record with a smaller value was read.
   * `versions` has only the records that are not below it.
   */
  readonly newest?: JsonValue | undefined
}

/**
 * What the state knows of the parents of a resource. Nothing, where its rows are replaced, where its document changed, or
 * where a resource below it takes part that was not read with the same lists by the same document.
 */
export function parentsRead(planned: PlannedResource, state: PipelineState, source: Source): ParentsRead | undefined {
  const { resource, children } = planned
  const stored = stateValue(state, PARENTS_READ_KEY, { source: source.name, resource: resource.name })
  if (!isJsonObject(stored) || typeof stored.since !== 'string' || !isJsonObject(stored.versions)) return undefined
  if (stored.fingerprint !== fingerprintOf(resource, source)) return undefined
  const below = flattenPlan(children).filter(({ loaded }) => loaded)
  const isAnew = [planned, ...below].some(({ loaded, disposition }) => loaded && disposition.disposition === 'replace')
  const together = below.every(
    ({ resource: one }) => readWith(state, source.name, one.name)[resource.name] === mark(stored.since, one, source),
  )
  return isAnew || !together ? undefined : (stored as unknown as ParentsRead)
}

function fingerprintOf({ fingerprint }: Resource, source: Source): string {
  return fingerprint ?? source.fingerprint
}

/** What a resource below remembers of the lists that it was read with. */
function mark(since: unknown, below: Resource, source: Source): string {
  return `${since} ${fingerprintOf(below, source)}`
}

function readWith(state: PipelineState, source: string, resource: string): JsonObject {
  const stored = stateValue(state, READ_WITH_KEY, { source, resource })
  return isJsonObject(stored) ? stored : {}
}

/** What a record of the parent tells of its changes. */
interface Version {
  readonly digest: string
  /** The value of the field that grows with each change. Absent: there is none, or it has no order. */
  readonly place: Place | undefined
}

/** A value of the field that grows with each change, with its digits as the API wrote them. */
interface Place {
  readonly value: JsonValue
  readonly literal: string | undefined
  readonly rank: CursorRank
}

/** How far lists were read, when a run has ended. */
export interface ReadExtent {
  /** The run has met every record of the parent, so that those it did not meet are gone. */
  readonly isWhole: boolean
  /** The run has met every record of the parent that changed. */
  readonly hasAllChanged: boolean
}

/** Decides for which records of the parent the lists of a resource are read in this run, and remembers which were. */
export class ParentChanges {
  readonly #hint: ParentChangedHint
  readonly #key: readonly string[]
  readonly #parent: string
  readonly #known: ParentsRead | undefined
  readonly #newest: Place | undefined
  readonly #fingerprint: string
  readonly #unchanged = new Map<string, Version>()
  /** Records whose lists are asked for and not yet read to their ends. */
  readonly #pending = new Map<string, Version>()
  readonly #read = new Map<string, Version>()
  /** Digests of the keys of all records that the run has met. */
  readonly #met = new Set<string>()
  #asked = 0
  #leftOut = 0

  constructor(
    hint: ParentChangedHint,
    {
      resource,
      parent,
      source,
      known,
      isWindow,
    }: {
      readonly resource: Resource
      readonly parent: Resource
      readonly source: Source
      readonly known: ParentsRead | undefined
      /** The run reads one window of the past, whose records are all older than those of other runs. */
      readonly isWindow: boolean
    },
  ) {
    this.#hint = hint
    this.#fingerprint = fingerprintOf(resource, source)
    this.#parent = parent.name
    this.#key = parent.hints.primaryKey ?? []
    this.#known = known
    this.#newest = isWindow || known === undefined ? undefined : placeIn(known, 'newest')
  }

  /** Whether lists were left out. */
  get isPart(): boolean {
    return this.#leftOut > 0
  }

  /** Whether lists were left out while records of the parent, of which it has met every one, are gone. */
  hasLostParents(): boolean {
    return this.isPart && Object.keys(this.#known?.versions ?? {}).some(key => !this.#met.has(key))
  }

  /** Whether the list of the record is to be read. One without a key, or without what tells a change, always is. */
  wants(record: JsonObject): boolean {
    const key = identityOf(record, this.#key)
    const version = key === undefined ? undefined : this.#versionOf(record)
    if (key !== undefined) this.#met.add(key)
    if (key === undefined || version === undefined) {
      this.#asked += 1
      return true
    }
    const versions = this.#known?.versions ?? {}
    const isKnown = Object.hasOwn(versions, key) && versions[key] === version.digest
    if (isKnown || isBelow(version.place, this.#newest)) {
      this.#leftOut += 1
      this.#unchanged.set(key, version)
      return false
    }
    this.#asked += 1
    this.#pending.set(key, version)
    return true
  }

  /** Takes note that the lists of these records, and all lists below them, were read to their ends. */
  wasRead(records: readonly JsonObject[]): void {
    for (const record of records) {
      const key = identityOf(record, this.#key)
      const version = this.#versionOf(record)
      if (key === undefined || version === undefined) continue
      this.#pending.delete(key)
      this.#read.set(key, version)
    }
  }

  /** What not reading a list means for the verdict. Undefined if every list was read. */
  judgement(): Judgement | undefined {
    if (this.#leftOut === 0) return undefined
    const lists = count(this.#leftOut + this.#asked, 'list')
    const change =
      this.#hint.isOrdered === true ? 'are not newer than those whose lists were read before' : 'have not changed'
    const reason = `${this.#leftOut} of ${lists} were not read again, because the records of ${this.#parent} that they belong to ${change}`
    return { verdict: 'unproven', reasons: [reason] }
  }

  /** What the state remembers where every list is to be read again. */
  forgotten(loadId: string): ParentsRead {
    return { since: loadId, fingerprint: this.#fingerprint, versions: {} }
  }

  remembered(loadId: string, extent: ReadExtent): ParentsRead {
    const since = this.#known?.since ?? loadId
    const isOrdered = this.#hint.isOrdered === true
    const newest = isOrdered ? this.#reached(extent) : undefined
    const isAll = extent.isWhole || (isOrdered && extent.hasAllChanged)
    const versions = new Map<string, string>(isAll ? [] : Object.entries(this.#known?.versions ?? {}))
    for (const [key, { digest, place }] of [...this.#unchanged, ...this.#read]) {
      if (isBelow(place, newest)) versions.delete(key)
      else versions.set(key, digest)
    }
    const sorted = [...versions].sort(([one], [other]) => (one < other ? -1 : 1))
    const read = { since, fingerprint: this.#fingerprint, versions: Object.fromEntries(sorted) }
    if (newest === undefined) return read
    const reached = { ...read, newest: newest.value }
    setNumberLiteral(reached, 'newest', newest.literal)
    return reached
  }

  /** The value below which every list was read. It stays where a record of the parent may not have been met. */
  #reached({ hasAllChanged }: ReadExtent): Place | undefined {
    const before = this.#known === undefined ? undefined : placeIn(this.#known, 'newest')
    if (!hasAllChanged) return before
    const places = (versions: Iterable<Version>) => [...versions].flatMap(({ place }) => place ?? [])
    const furthest = places([...this.#unchanged.values(), ...this.#read.values()]).reduce<Place | undefined>(
      (known, place) => (known === undefined || isBelow(known, place) ? place : known),
      before,
    )
    return places(this.#pending.values()).reduce((known, place) => (isBelow(place, known) ? place : known), furthest)
  }

  /** Undefined if the record has none of the fields that tell. */
  #versionOf(record: JsonObject): Version | undefined {
    const { by, isOrdered } = this.#hint
    if (by !== undefined && !hasAny(record, by)) return undefined
    const place = isOrdered === true ? placeAt(record, by?.[0] ?? '') : undefined
    return isOrdered === true && place === undefined ? undefined : { digest: versionOf(record, by), place }
  }
}

/** Whether the first value is surely the smaller one. Where their order is in doubt, it is not. */
function isBelow(one: Place | undefined, other: Place | undefined): boolean {
  if (one === undefined || other === undefined || isDoubtfulOrder(one.rank, other.rank)) return false
  return (compareRanks(one.rank, other.rank) ?? 0) < 0
}

function placeAt(record: JsonObject, path: string): Place | undefined {
  if (Object.hasOwn(record, path)) return placeIn(record, path)
  const [match] = compiledPath(path).find(record)
  if (match === undefined) return undefined
  const { value, container, key } = match
  return placeOf(value, container === undefined || key === undefined ? undefined : numberLiteral(container, key))
}

function placeIn<Key extends string>(
  holder: { readonly [key in Key]?: JsonValue | undefined },
  key: Key,
): Place | undefined {
  return placeOf(holder[key], numberLiteral(holder, key))
}

function placeOf(value: JsonValue | undefined, literal: string | undefined): Place | undefined {
  const isOrdered = typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint'
  return isOrdered ? { value, literal, rank: cursorRank(value, literal) } : undefined
}

/** The state after the lists of a resource, and of all those below it that were loaded with it, were read. */
export function withParentsRead(
  state: PipelineState,
  source: Source,
  planned: PlannedResource,
  read: ParentsRead,
): PipelineState {
  const { name } = planned.resource
  const at = { source: source.name, resource: name }
  const remembered = withStateValue(state, PARENTS_READ_KEY, read as unknown as JsonObject, at)
  return flattenPlan(planned.children)
    .filter(({ loaded }) => loaded)
    .reduce((current, { resource }) => {
      const place = { source: source.name, resource: resource.name }
      const together = { ...readWith(current, source.name, resource.name), [name]: mark(read.since, resource, source) }
      return withStateValue(current, READ_WITH_KEY, together, place)
    }, remembered)
}
