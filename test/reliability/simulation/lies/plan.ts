import { seeded } from '../../chance.js'
import { type Style, ways } from './honest.js'
import { type Lie, type LieKind, lies, lying } from './lies.js'
import type { Move, Sizes } from './truth.js'

const reading = ['totals', 'has_more', 'neither', 'both', 'default'] as const
export type Reads = (typeof reading)[number]

/** A resource: how the API lists it and how the document reads it. */
export interface Level {
  readonly style: Style
  /** The document leaves the paginator out. */
  readonly auto: boolean
  readonly selector: boolean
  /** What the paginator is told to go by, where it can. `default`: only what it goes by if nothing is said. */
  readonly reads: Reads
  readonly stopAfterEmpty: boolean
  /** Something in the document leads past the API: the path of its next link, total or has_more; a parameter's name. */
  readonly slip?: 'path' | 'param' | undefined
  /** A bound of the document. */
  readonly bound?: { readonly by: 'maximum' | 'max_pages' | 'max_records'; readonly at: number } | undefined
  /** How a keyset is read. */
  readonly keyset: {
    readonly pick: 'last' | 'furthest'
    readonly mode: 'plain' | 'inclusive' | 'ties'
    readonly stopsShort: boolean
  }
  /** A missing link or cursor is declared to be the end. */
  readonly stopsMissing: boolean
  readonly selected: boolean
  /** With a token where the API gives one, else with the greatest `rev`. */
  readonly incremental: boolean
  /** Each parent has a cursor of its own. */
  readonly perParent: boolean
  readonly disposition: 'append' | 'replace' | 'merge'
  readonly deletes?: 'hard' | 'soft' | 'with_parent' | undefined
  /** A 404 is ignored. */
  readonly ignores404: boolean
}

/** A list moves just before one of its answers. */
interface Motion {
  readonly level: number
  readonly list: number
  readonly answer: number
  readonly move: Move
}

export interface Run {
  readonly lies: readonly Lie[]
  readonly motions: readonly Motion[]
  readonly maxPages?: number | undefined
  /** Its signal ends it after so many answers; the next run goes on. */
  readonly stopsAfter?: number | undefined
  /** Only the first resource is loaded. */
  readonly isSelective: boolean
  readonly allowIncomplete: boolean
}

/** A world of lies, as a value. */
export interface Plan {
  readonly seed: number
  readonly sizes: Sizes
  readonly levels: readonly Level[]
  /** Two resources fill the table of the root, each with half of its records. */
  readonly isShared: boolean
  readonly concurrency: number
  readonly runs: readonly Run[]
}

const totals = ['total', 'count', 'meta.total_count', '@odata.count', 'hits.total', 'X-Total-Count'] as const
const pageCounts = ['pages', 'total_pages', 'meta.pageCount'] as const
const mores = ['has_more', 'hasMore', 'done'] as const
const nexts = ['next', 'links.next', '@odata.nextLink'] as const
const moves: readonly Move[] = ['insert first', 'insert last', 'delete first', 'delete last', 'swap', 'replace first']
const kinds = Object.keys(lies) as LieKind[]

const byItself = ['hard', 'soft'] as const

export function readsTotals(reads: Reads): boolean {
  return reads === 'totals' || reads === 'both'
}

export function readsMore(reads: Reads): boolean {
  return reads === 'has_more' || reads === 'both'
}

/** Whether rows of a parent go, so that others may go with them. */
function losesRows(level: Level | undefined): boolean {
  return level?.deletes !== undefined || level?.disposition === 'replace'
}

/** Whether rows go with their parents' only where those go. */
export function isWritable({ levels }: Plan): boolean {
  return levels.every(({ deletes }, at) => deletes !== 'with_parent' || losesRows(levels[at - 1]))
}

/** The world of a seed. */
export function planOf(seed: number): Plan {
  const random = seeded(seed)
  const below = (most: number): number => Math.floor(random() * most)
  const one = <Item>(items: readonly Item[]): Item => items[below(items.length)] as Item
  const chance = (share: number): boolean => random() < share

  const depth = one([1, 1, 2, 2, 3])
  const sizes = depth === 1 ? [below(14)] : depth === 2 ? [below(7), below(9)] : [below(5), below(5), below(7)]

  // All rows go with those of the root.
  const goesTogether = depth > 1 && chance(0.4)

  const level = (at: number, above: Level | undefined): Level => {
    const way = one(ways)
    const counts = way === 'offset' || way === 'page_number'
    const bare = (way === 'header_link' || way === 'header_cursor') && chance(0.3)
    const envelope = !bare
    const reads = envelope && way !== 'single_page' ? one(reading) : 'neither'
    const total = chance(0.5) || (readsTotals(reads) && way === 'offset') ? one(totals) : undefined
    const style: Style = {
      way,
      size: way === 'single_page' ? one([2, 5, 100, 100]) : 1 + below(4),
      base: one([0, 1]),
      asks: (counts || way === 'cursor' || way === 'keyset') && chance(0.2) ? 'body' : 'query',
      bare,
      total: bare && total !== undefined ? 'X-Total-Count' : total,
      pages:
        way !== 'keyset' && envelope && (chance(0.3) || (readsTotals(reads) && way === 'page_number'))
          ? one(pageCounts)
          : undefined,
      more: envelope && (chance(0.3) || readsMore(reads)) ? one(mores) : undefined,
      link: envelope && (counts || way === 'single_page') && chance(0.2) ? one(nexts) : undefined,
      numbers: envelope && way === 'page_number' && chance(0.4),
      end: one(['null', 'null', 'absent', 'absent', 'empty page']),
      key: chance(0.7) ? 'id' : 'pair',
      isInclusive: chance(0.3),
      isDescending: chance(0.3),
      header: chance(0.7) ? 'Link' : 'Next-Page',
      syncs: envelope && chance(0.15),
      noErrors:
        envelope && chance(0.15)
          ? one([{ errors: [] }, { error: null }, { error: false }, { errors: null }])
          : undefined,
    }
    const disposition = one(
      !goesTogether
        ? (['merge', 'merge', 'merge', 'append', 'replace'] as const)
        : at === 0
          ? (['merge', 'merge', 'replace'] as const)
          : (['merge'] as const),
    )
    return {
      style,
      auto: chance(0.1),
      selector: chance(0.8),
      reads,
      stopAfterEmpty: chance(0.8),
      slip: chance(0.05) ? one(['path', 'param']) : undefined,
      bound: chance(0.06) ? { by: one(['maximum', 'max_pages', 'max_records'] as const), at: 1 + below(6) } : undefined,
      keyset: {
        pick: chance(0.5) ? 'last' : 'furthest',
        mode: style.isInclusive ? (chance(0.9) ? 'inclusive' : 'plain') : chance(0.6) ? 'plain' : 'ties',
        stopsShort: chance(0.2),
      },
      stopsMissing: chance(0.15),
      selected: goesTogether || at === depth - 1 || chance(0.7),
      incremental: chance(style.syncs ? 0.8 : 0.1),
      perParent: at > 0 && (style.syncs || chance(0.5)),
      disposition,
      deletes:
        disposition === 'merge' && (goesTogether || chance(0.7))
          ? one(goesTogether && at > 0 ? ['with_parent'] : losesRows(above) ? [...byItself, 'with_parent'] : byItself)
          : undefined,
      ignores404: chance(0.5),
    }
  }
  const levels: Level[] = []
  for (const at of sizes.keys()) levels.push(level(at, levels[at - 1]))

  const lie = (): Lie => {
    const at = below(depth)
    const way = (levels[at] as Level).style.way
    return {
      kind: one(kinds.filter(kind => lying(kind).only?.includes(way) ?? true)),
      level: at,
      list: at === 0 || chance(0.3) ? 'every' : below(8),
      page: one([0, 1, 2, 'last', 'every'] as const),
      value: below(12),
    }
  }
  const motion = (): Motion => {
    const at = below(depth)
    return { level: at, list: at === 0 ? 0 : below(8), answer: below(4), move: one(moves) }
  }
  const many = <Item>(counts: readonly number[], make: () => Item): Item[] => Array.from({ length: one(counts) }, make)
  const run = (first: boolean): Run => ({
    lies: first && chance(0.6) ? [] : many([0, 1, 1, 1, 2, 3], lie),
    motions: chance(0.75) ? [] : many([1, 1, 2, 3], motion),
    maxPages: chance(0.04) ? 1 + below(3) : undefined,
    stopsAfter: chance(0.05) ? 1 + below(8) : undefined,
    isSelective: chance(0.05),
    allowIncomplete: chance(0.3),
  })
  return {
    seed,
    sizes,
    levels,
    isShared: depth === 1 && chance(0.1),
    concurrency: one([1, 1, 4]),
    runs: Array.from({ length: one([1, 2, 2, 3]) }, (_, at) => run(at === 0)),
  }
}
