import { isJsonObject, type JsonObject } from '../../../json/value.js'
import {
  PARENTS_READ_KEY,
  type PipelineState,
  READ_WITH_KEY,
  stateValue,
  withStateValue,
} from '../../../model/pipelineState.js'
import type { ParentChangedHint, Resource, Source } from '../../../model/source.js'
import { count, type Judgement } from '../../../model/verdict.js'
import { flattenPlan, type PlannedResource } from '../planResources.js'
import { identityOf, versionOf } from './parentIdentity.js'

/** The parents' records whose lists earlier runs have read, as the state has them. */
export interface ParentsRead {
  /** The load that began to remember them. Resources below that were not read with them since then have another. */
  readonly since: string
  /** Fingerprint of the resource as they were read. */
  readonly fingerprint: string
  /** By digest of the record's key: digest of what tells that it changed. */
  readonly versions: Readonly<Record<string, string>>
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

/** Decides for which records of the parent the lists of a resource are read in this run, and remembers which were. */
export class ParentChanges {
  readonly #hint: ParentChangedHint
  readonly #key: readonly string[]
  readonly #parent: string
  readonly #known: ParentsRead | undefined
  readonly #fingerprint: string
  readonly #unchanged = new Map<string, string>()
  readonly #read = new Map<string, string>()
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
    }: {
      readonly resource: Resource
      readonly parent: Resource
      readonly source: Source
      readonly known: ParentsRead | undefined
    },
  ) {
    this.#hint = hint
    this.#fingerprint = fingerprintOf(resource, source)
    this.#parent = parent.name
    this.#key = parent.hints.primaryKey ?? []
    this.#known = known
  }

  /** Whether lists were left out. */
  get isPart(): boolean {
    return this.#leftOut > 0
  }

  /** Whether lists were left out while records of the parent, of which it has met every one, are gone. */
  hasLostParents(): boolean {
    return this.isPart && Object.keys(this.#known?.versions ?? {}).some(key => !this.#met.has(key))
  }

  /** Whether the list of the record is to be read. One without a key always is. */
  wants(record: JsonObject): boolean {
    const key = identityOf(record, this.#key)
    const version = key === undefined ? undefined : versionOf(record, this.#hint.by)
    const versions = this.#known?.versions ?? {}
    if (key !== undefined) this.#met.add(key)
    if (key !== undefined && version !== undefined && Object.hasOwn(versions, key) && versions[key] === version) {
      this.#leftOut += 1
      this.#unchanged.set(key, version)
      return false
    }
    this.#asked += 1
    return true
  }

  /** Takes note that the lists of these records, and all lists below them, were read to their ends. */
  wasRead(records: readonly JsonObject[]): void {
    for (const record of records) {
      const key = identityOf(record, this.#key)
      if (key !== undefined) this.#read.set(key, versionOf(record, this.#hint.by))
    }
  }

  /** What not reading a list means for the verdict. Undefined if every list was read. */
  judgement(): Judgement | undefined {
    if (this.#leftOut === 0) return undefined
    const lists = count(this.#leftOut + this.#asked, 'list')
    const reason = `${this.#leftOut} of ${lists} were not read again, because the records of ${this.#parent} that they belong to have not changed`
    return { verdict: 'unproven', reasons: [reason] }
  }

  /** What the state remembers where every list is to be read again. */
  forgotten(loadId: string): ParentsRead {
    return { since: loadId, fingerprint: this.#fingerprint, versions: {} }
  }

  /** `isWhole`: the run has met every record of the parent, so that those it did not meet are gone. */
  remembered(loadId: string, isWhole: boolean): ParentsRead {
    const before = isWhole ? this.#unchanged : new Map(Object.entries(this.#known?.versions ?? {}))
    const versions = new Map([...before, ...this.#read])
    const sorted = [...versions].sort(([one], [other]) => (one < other ? -1 : 1))
    return { since: this.#known?.since ?? loadId, fingerprint: this.#fingerprint, versions: Object.fromEntries(sorted) }
  }
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
