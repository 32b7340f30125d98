import type { JsonValue } from '../../json/value.js'
import type { ApiRequest, Paginator, RequestPatch } from '../../rest/api.js'
import type { EndpointResource } from '../../rest/document/model.js'
import { changed, type Probe } from '../../rest/list/probe.js'
import { paginatorKinds } from '../../rest/paginators/kinds.js'
import type { PaginatorKind } from '../../rest/paginators/paginator.js'
import { candidateKeys } from '../draft/guesses.js'
import type { Finding, ProofStatus } from './proof.js'
import { type Asking, type Likeness, likeness, type Sight, type SightOutcome, valueIn } from './sightings.js'

/** Keys of a declared paginator, as the document has them, defaults included. */
export type PagingKeys = Readonly<Record<string, JsonValue | undefined>>

export interface JudgedFact {
  readonly status: ProofStatus
  readonly seen: string
  readonly by?: readonly (SightOutcome | undefined)[]
  readonly write?: Readonly<Record<string, JsonValue>> | undefined
}

/** One list that is asked questions: what was seen of it, and what that says about the document. */
export class Listing {
  readonly probe: Probe
  readonly asking: Asking
  readonly resource: EndpointResource
  readonly first: Sight
  readonly findings: Finding[] = []
  readonly notes: string[] = []
  /** Different pages of the list, in the order of the list. */
  readonly pages: Sight[]
  /** Why pages cannot be compared with each other. */
  unrest: string | undefined
  /** Every page of the list was seen. */
  isWhole = false
  /** Fields that tell records apart on the first page. */
  readonly keys: readonly string[]

  constructor(probe: Probe, asking: Asking, first: Sight) {
    this.probe = probe
    this.asking = asking
    this.resource = probe.resource
    this.first = first
    this.pages = [first]
    this.keys = tellingKeys(first, this.resource.hints.primaryKey ?? [])
  }

  ask(asked: string, request: ApiRequest, keep = 1): Promise<SightOutcome> {
    return this.asking.ask(asked, request, { keep })
  }

  judge(key: string, { status, seen, by = [], write }: JudgedFact): undefined {
    const requests = [
      ...new Set(by.flatMap(outcome => (outcome === undefined || outcome.kind === 'unasked' ? [] : [outcome.number]))),
    ]
    this.findings.push({
      key,
      status,
      seen,
      requests: requests.sort((a, b) => a - b),
      ...(write !== undefined && { write }),
    })
  }

  /** Something that belongs to no key. */
  note(seen: string): undefined {
    this.notes.push(seen)
  }

  like(one: Sight, other: Sight): Likeness {
    return likeness(one, other, this.keys)
  }

  get endpointPath(): string {
    return this.resource.endpoint.path
  }
}

/** Fields with a different value in each record of a page. A row number begins again on each page. */
function tellingKeys({ records }: Sight, declared: readonly string[]): readonly string[] {
  const isDistinct = (columns: readonly string[]): boolean => {
    if (columns.length === 0 || records.length === 0) return false
    const values = records.map(record => JSON.stringify(columns.map(column => String(valueIn(record, column) ?? ''))))
    return (
      new Set(values).size === records.length &&
      records.every(record => columns.every(column => valueIn(record, column) != null))
    )
  }
  if (isDistinct(declared)) return declared
  const [likely] = candidateKeys(records, '')
  return likely === undefined ? [] : [likely]
}

/** The paginator of these keys, by the table of paginators. */
export function paginatorFrom(type: string, keys: PagingKeys): Paginator {
  const kinds: readonly PaginatorKind[] = paginatorKinds as unknown as readonly PaginatorKind[]
  const kind = kinds.find(candidate => candidate.type === type || candidate.aliases.includes(type))
  if (kind === undefined) throw new TypeError(`no paginator is called "${type}"`)
  const written = Object.fromEntries(Object.entries(keys).filter(([, value]) => value !== undefined))
  return kind.create(kind.schema.parse({ ...written, type: kind.type }))
}

/** The same without anything that ends the list: only its way is left. */
export function endless(keys: PagingKeys): PagingKeys {
  const {
    has_more_path: _more,
    done_path: _done,
    total_header: _header,
    maximum_page: _page,
    maximum_offset: _offset,
    ...way
  } = keys
  return way
}

export interface Declared {
  readonly type: string
  readonly keys: PagingKeys
  /** Where it is written: at the endpoint, or for all lists. */
  readonly path: string
  readonly isOwn: boolean
}

/** Keys to write into the paginator. One for all lists is not changed for the sake of one of them. */
export function intoPaginator(
  { endpointPath }: Pick<Listing, 'endpointPath'>,
  { type, keys, path, isOwn }: Declared,
  changes: Readonly<Record<string, JsonValue>>,
): Readonly<Record<string, JsonValue>> {
  if (isOwn) return Object.fromEntries(Object.entries(changes).map(([key, value]) => [`${path}.${key}`, value]))
  const merged = Object.entries({ ...keys, type, ...changes }).filter(([, value]) => value !== undefined)
  return { [`${endpointPath}.paginator`]: Object.fromEntries(merged) as JsonValue }
}

export function patched(request: ApiRequest, patch: RequestPatch | undefined): ApiRequest {
  return changed(request, patch)
}

/** The request after a page, or why there is none. */
export function following(
  paginator: Paginator,
  { answer, request }: Sight,
): { readonly request: ApiRequest } | { readonly end: string } | { readonly error: string } {
  try {
    const next = paginator.next(answer.page)
    if (next === undefined) return { end: 'its own rule' }
    return 'end' in next ? { end: next.reason } : { request: patched(request, next) }
  } catch (error) {
    // The text of an error may quote the answer.
    return { error: (error instanceof Error ? error.message : String(error)).split('; the answer begins')[0] ?? '' }
  }
}
