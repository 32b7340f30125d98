import { elements, skipSpace, valueAt } from '../../json/bytes.js'
import { isJsonObject, type JsonObject } from '../../json/value.js'
import type { Scrubber } from '../../model/secrets/scrubber.js'
import { type Clock, type Resource, ResourceNotes } from '../../model/source.js'
import { openWindow } from '../../pipeline/run/incremental/cursorValue.js'
import { runSteps } from '../../pipeline/run/steps.js'
import type { ListContext } from '../../rest/list/listReader.js'
import { noJournal, type Probe, probeOf } from '../../rest/list/probe.js'
import type { AnswerMemory } from './answerMemory.js'
import { judgeFirstPage } from './counted.js'
import { amongParents } from './facts.js'
import { Listing, patched } from './listing.js'
import type { ProveOptions, ResourceProof } from './proof.js'
import { proveList } from './proveList.js'
import { Asking, type SightOutcome, shownRequest } from './sightings.js'

/** Requests that decide most of what can be decided. */
const BUDGET = 12

/** Records of a parent whose lists are asked for. */
const MOST_PARENTS = 2

/** Proofs of the same file before it was mended. */
export interface EarlierProofs {
  readonly answers: AnswerMemory
  /** Requests, by resource, which count for the budget. */
  readonly spent: Map<string, number>
}

/** Proves one resource after the other, parents first. */
export class Prover {
  readonly origins = new Set<string>()
  readonly #resources: readonly Resource[]
  readonly #options: ProveOptions & { readonly clock: Clock }
  readonly #scrubber: Scrubber | undefined
  /** Records of resources that others need, by name. */
  readonly #records = new Map<string, readonly JsonObject[]>()
  readonly #memory: AnswerMemory | undefined
  /** What the questions about each resource cost so far. */
  readonly #spent: Map<string, number>

  constructor(
    resources: readonly Resource[],
    options: ProveOptions & { readonly clock: Clock },
    scrubber: Scrubber | undefined,
    earlier?: EarlierProofs,
  ) {
    this.#memory = earlier?.answers
    this.#spent = earlier?.spent ?? new Map()
    this.#resources = resources
    this.#options = options
    this.#scrubber = scrubber
  }

  async proof(resource: Resource): Promise<ResourceProof> {
    const nothing = { resource: resource.name, findings: [], notes: [], requests: [] }
    if (resource.describe === undefined) return { ...nothing, notes: ['not asked: its records need no request'] }
    const parents = await this.#parentsOf(resource)
    if (parents === undefined) return { ...nothing, problem: `its parent ${resource.parent} gave no record to ask for` }
    let told: ResourceProof = nothing
    for (const [at, parent] of parents.entries()) {
      const { proof, count, records } = await this.#list(resource, parent, told.requests.length)
      // The list of the first parent may be empty.
      told = { ...proof, requests: [...told.requests, ...proof.requests] }
      if (count > 0 && parent !== undefined) return await this.#amongParents(resource, told, records, parents[at + 1])
      if (count > 0 || this.#leftFor(resource) <= 0 || parent === undefined) break
    }
    return told
  }

  /** Holds the key against page 1 of the list of another parent. */
  async #amongParents(
    resource: Resource,
    told: ResourceProof,
    records: readonly JsonObject[],
    parent: readonly JsonObject[] | undefined,
  ): Promise<ResourceProof> {
    const at = told.findings.findIndex(({ key }) => key.endsWith('.primary_key'))
    const finding = told.findings[at]
    const probe = await probeOf(resource, { ...this.#context(resource, parent), journal: this.#memory ?? noJournal })
    if (finding === undefined || probe === undefined || resource.batchSize !== undefined) return told
    let other: SightOutcome | undefined
    let asking: Asking | undefined
    try {
      if (parent !== undefined && finding.status !== 'wrong' && this.#leftFor(resource) > 0) {
        const opening = probe.opening()
        const path = this.#pathOf(resource, opening.url)
        const shown = { opening, path, isChild: true, scrubber: this.#scrubber }
        asking = new Asking(probe, 1, request => shownRequest(request, shown), told.requests.length)
        other = await asking.ask('page 1 of another parent', patched(opening, probe.paginator?.first))
        this.#spend(resource, asking)
      }
      const seen = other?.kind === 'page' ? { other: other.records, request: other.number } : {}
      const judged = amongParents(finding, probe.resource, { records, other: undefined, request: undefined, ...seen })
      return {
        ...told,
        findings: told.findings.with(at, judged),
        requests: [...told.requests, ...(asking?.requests ?? [])],
      }
    } finally {
      probe.close()
    }
  }

  #leftFor({ name }: Resource): number {
    return (this.#options.budget ?? BUDGET) - (this.#spent.get(name) ?? 0)
  }

  #spend({ name }: Resource, { spent }: Asking): undefined {
    this.#spent.set(name, (this.#spent.get(name) ?? 0) + spent)
  }

  /** For each list to ask: undefined for a root. Undefined: no record of the parent is known. */
  async #parentsOf({
    parent,
    batchSize,
  }: Resource): Promise<readonly (readonly JsonObject[] | undefined)[] | undefined> {
    if (parent === undefined) return [undefined]
    const records = await this.#recordsOf(parent)
    if (records.length === 0) return undefined
    const few = records.slice(0, MOST_PARENTS)
    return batchSize === undefined ? few.map(record => [record]) : [few]
  }

  /** The first records of a resource, asked for if nobody did before. */
  async #recordsOf(name: string): Promise<readonly JsonObject[]> {
    const known = this.#records.get(name)
    if (known !== undefined) return known
    const resource = this.#resources.find(other => other.name === name)
    const [parent] = resource === undefined ? [] : ((await this.#parentsOf(resource)) ?? [])
    if (resource === undefined || (resource.parent !== undefined && parent === undefined)) return []
    const pages = resource.pages({ ...this.#context(resource, parent), maxPages: 1 })
    try {
      const step = await pages.next()
      const bytes = step.done === true ? Buffer.from('[]') : step.value.records
      await pages.return({ end: 'limited', reason: 'a proof needs no more' })
      return this.#keep(resource, bytes)
    } catch {
      this.#options.signal?.throwIfAborted()
      this.#records.set(name, [])
      return []
    }
  }

  #keep(resource: Resource, bytes: Uint8Array): readonly JsonObject[] {
    const { records } = runSteps(resource, resource.steps, bytes)
    const kept = elements(records, skipSpace(records, 0))
      .slice(0, MOST_PARENTS)
      .map(span => valueAt(records, span))
      .filter(isJsonObject)
    this.#records.set(resource.name, kept)
    return kept
  }

  #context(resource: Resource, parents: readonly JsonObject[] | undefined, sent: () => void = () => {}): ListContext {
    const { signal = new AbortController().signal, clock, onEvent } = this.#options
    return {
      signal,
      clock,
      journal: noJournal,
      concurrency: 1,
      notes: new ResourceNotes(),
      window: resource.incremental === undefined ? undefined : openWindow(resource.incremental, undefined),
      ...(parents !== undefined && (resource.batchSize === undefined ? { parent: parents[0] } : { parents })),
      emit: event => {
        if (event.type === 'request') sent()
        onEvent?.(event)
      },
    }
  }

  async #list(
    resource: Resource,
    parents: readonly JsonObject[] | undefined,
    asked: number,
  ): Promise<{ readonly proof: ResourceProof; readonly count: number; readonly records: readonly JsonObject[] }> {
    let asking: Asking | undefined
    const context = {
      ...this.#context(resource, parents, () => asking?.count()),
      journal: this.#memory ?? noJournal,
    }
    const probe = await probeOf(resource, context)
    const nothing = { resource: resource.name, findings: [], notes: [], requests: [] }
    const refusal = probe === undefined ? 'it belongs to a source that cannot be asked' : unasked(probe)
    if (probe === undefined || refusal !== undefined)
      return { proof: { ...nothing, notes: [`not asked: ${refusal}`] }, count: 0, records: [] }
    try {
      const opening = probe.opening()
      this.origins.add(new URL(opening.url).origin)
      const shown = {
        opening,
        path: this.#pathOf(resource, opening.url),
        isChild: parents !== undefined,
        scrubber: this.#scrubber,
      }
      asking = new Asking(probe, this.#leftFor(resource), request => shownRequest(request, shown), asked)
      const first = await asking.ask('page 1', patched(opening, probe.paginator?.first))
      if (first.kind === 'unasked' && (this.#spent.get(resource.name) ?? 0) > 0)
        return {
          proof: { ...nothing, notes: ['not asked again: the budget of requests was used up'] },
          count: 0,
          records: [],
        }
      if (first.kind !== 'page')
        return {
          proof: { ...nothing, ...(await judgeFirstPage(probe, asking, first)), requests: asking.requests },
          count: 0,
          records: [],
        }
      if (this.#resources.some(other => other.parent === resource.name) && first.count > 0)
        this.#keep(resource, first.answer.selection.records)
      const listing = new Listing(probe, asking, first)
      await proveList(listing, context.window)
      const { findings, notes } = listing
      const records = listing.pages.flatMap(page => page.records)
      return {
        proof: { resource: resource.name, findings, notes, requests: asking.requests },
        count: first.count,
        records,
      }
    } catch (error) {
      this.#options.signal?.throwIfAborted()
      if (asking === undefined) return { proof: { ...nothing, problem: errorText(error) }, count: 0, records: [] }
      throw error
    } finally {
      if (asking !== undefined) this.#spend(resource, asking)
      probe.close()
    }
  }

  /** The address as the document has it, with placeholders. */
  #pathOf(resource: Resource, url: string): string {
    if (resource.parent === undefined) return url.split(/[?#]/)[0] ?? url
    try {
      const described = resource.describe?.(undefined)
      return described?.request.url.split(/[?#]/)[0] ?? `${new URL(url).origin}/…`
    } catch {
      return `${new URL(url).origin}/…`
    }
  }
}

function errorText(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('; ')[0] ?? ''
}

/** Why a list must not be asked, if it must not. */
function unasked({ resource: { endpoint } }: Probe): string | undefined {
  if (endpoint.job !== undefined) return 'each question would order an export'
  return ['PUT', 'PATCH', 'DELETE'].includes(endpoint.method)
    ? `its requests are ${endpoint.method}, which may change something`
    : undefined
}
