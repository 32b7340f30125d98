import { limitParam, type Param, type PositionKind, positionKind } from './address.js'

/** A body as a source or a request has it. */
export type PagedBody =
  | { readonly kind: 'json'; readonly value: unknown }
  | { readonly kind: 'form'; readonly pairs: readonly Param[] }

/** A plain value of a body: where it is, and its text. Null is the empty text. */
export interface BodyValue {
  readonly path: string
  /** Last part of the path. */
  readonly name: string
  readonly value: string
}

const DEEPEST = 3
const MOST_PLACES = 200

/** The plain values of a body. Those in lists belong to what is searched for, and not to pages. */
export function bodyPlaces(body: PagedBody | undefined): readonly BodyValue[] {
  if (body === undefined) return []
  if (body.kind === 'form') return body.pairs.map(([name, value]) => ({ path: name, name, value }))
  return [...placesIn(body.value, []), ...declaredVariables(body.value)].slice(0, MOST_PLACES)
}

function placesIn(value: unknown, above: readonly string[]): BodyValue[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || above.length >= DEEPEST) return []
  return Object.entries(value).flatMap(([name, item]: readonly [string, unknown]): BodyValue[] => {
    // A path has no way to name such a key.
    if (name === '' || name.includes('.')) return []
    const path = [...above, name]
    const isPlain = item === null || ['string', 'number', 'bigint', 'boolean'].includes(typeof item)
    return isPlain ? [{ path: path.join('.'), name, value: item === null ? '' : String(item) }] : placesIn(item, path)
  })
}

/** Variables that a query of GraphQL declares for a cursor, and that have no value yet. */
function declaredVariables(value: unknown): BodyValue[] {
  const { query, variables } = (value ?? {}) as { readonly query?: unknown; readonly variables?: unknown }
  if (typeof query !== 'string') return []
  const [, name] = /\bafter\s*:\s*\$(\w{1,60})/.exec(query.slice(0, 20_000)) ?? []
  if (name === undefined || Object.hasOwn((variables ?? {}) as object, name)) return []
  return [{ path: `variables.${name}`, name: 'after', value: '' }]
}

export interface BodyPosition {
  readonly kind: PositionKind
  readonly place: BodyValue
}

/** Values that say where in the list a page begins. An empty one may be a cursor. */
export function bodyPositions(places: readonly BodyValue[]): readonly BodyPosition[] {
  const pairs = pairsOf(places)
  return places.flatMap((place): BodyPosition[] => {
    // GraphQL's `first` is a number of records.
    if (/^(?:variables\.)?first$/.test(place.path)) return []
    const value = place.value === '' ? 'x' : place.value
    const kind = positionKind([place.name, value], pairs) ?? positionKind([place.path, value], pairs)
    return kind === undefined ? [] : [{ kind, place }]
  })
}

/** The value for the number of records on a page. */
export function bodyLimit(places: readonly BodyValue[], records: number): { path: string; limit: number } | undefined {
  const found = limitParam(pairsOf(places), records)
  const place = found && places.find(({ name, value }) => name === found.name && Number(value) === found.limit)
  return found === undefined || place === undefined ? undefined : { path: place.path, limit: found.limit }
}

function pairsOf(places: readonly BodyValue[]): readonly Param[] {
  return places.map(({ name, value }) => [name, value] as const)
}
