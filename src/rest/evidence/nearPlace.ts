import type { JsonDocument, Span } from '../../json/bytes.js'
import { nearMiss } from '../../model/texts/nearMiss.js'
import { pathOfKeys } from '../list/answer/selector.js'

/** Most members that are compared, and how deep they lie. */
const MOST_MEMBERS = 500
const DEEPEST = 4

/** Shorter names are like too many others. */
const SHORTEST = 5

/**
 * The place outside the lists of an answer whose name is most like the last one of a path, nearest to it. The place may
 * hold nothing.
 */
export function nearPlace(document: JsonDocument, path: string): string | undefined {
  const places = nearestFirst([...membersOf(document)], path)
  const near = nearMiss(lastName(path), places.keys())
  return near === undefined ? undefined : places.get(near)
}

/**
 * A place with a text or a number whose name is so like the last one of a path that it may be meant: a member of the
 * body outside its lists, or a header.
 */
export function filledNearPlace(
  document: JsonDocument | undefined,
  headers: Readonly<Record<string, string>>,
  path: string,
): string | undefined {
  const name = lastName(path)
  if (name.length < SHORTEST) return undefined
  const filled = document === undefined ? [] : [...membersOf(document)].filter(({ isFilled }) => isFilled)
  const places = new Map([
    ...Object.entries(headers).flatMap(([key, value]) => (value.trim() === '' ? [] : [[key, key] as const])),
    ...nearestFirst(filled, path),
  ])
  const near = nearMiss(
    name,
    [...places.keys()].filter(({ length }) => length >= SHORTEST),
  )
  return near === undefined ? undefined : places.get(near)
}

/** One place for each name: that beside the place of the path, or else the one that lies least deep. */
function nearestFirst(members: readonly Member[], path: string): ReadonlyMap<string, string> {
  const above = parentOf(path)
  const farness = ({ place, depth }: Member): number => (parentOf(place) === above ? -1 : depth)
  return new Map([...members].sort((one, other) => farness(other) - farness(one)).map(({ key, place }) => [key, place]))
}

function parentOf(path: string): string {
  return path.replace(/^\$\.?/, '').replace(/[^.\]]*\]?$/, '')
}

function lastName(path: string): string {
  return path.match(/[\w@-]+/g)?.at(-1) ?? path
}

interface Member {
  readonly key: string
  readonly place: string
  /** Names above it. */
  readonly depth: number
  readonly isFilled: boolean
}

/** Members of the answer's objects, but not of its lists. */
function* membersOf(document: JsonDocument): Generator<Member> {
  let left = MOST_MEMBERS
  function* within(object: Span, above: readonly string[]): Generator<Member> {
    for (const [key, span] of document.members(object)) {
      if (left-- <= 0) return
      const kind = document.kind(span)
      const isFilled = (kind === 'string' && span.end - span.start > 2) || kind === 'number'
      yield { key, place: pathOfKeys([...above, key]), depth: above.length, isFilled }
      if (kind === 'object' && above.length < DEEPEST) yield* within(span, [...above, key])
    }
  }
  if (document.kind(document.root) === 'object') yield* within(document.root, [])
}
