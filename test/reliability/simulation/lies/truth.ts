import { hash } from '../network.js'

/** A record: no two versions of it have the same `rev`. */
export interface Thing {
  readonly id: number
  readonly rev: number
}

/** The resources of a tree, parents first. */
export const names = ['shops', 'orders', 'lines'] as const

/** How many records a list has at most: the root's, that of a shop, that of an order. */
export type Sizes = readonly number[]

/** Something that happens to a list while it is read. */
export type Move = 'insert first' | 'insert last' | 'delete first' | 'delete last' | 'swap' | 'replace first'

/** What the API really has; what of it was there all through a run, and what was there at any time of it. */
export interface Truth {
  list(address: string): readonly Thing[]
  addresses(level: number): readonly string[]
  /** A run begins. */
  begin(): void
  /** Records that were there, unchanged, since the run began. */
  lasting(level: number): ReadonlyMap<number, number>
  /** Whether a record was there at any time since the run began. */
  wasThere(thing: Thing): boolean
  /** Whether a record was ever there. */
  wasEver(thing: Thing): boolean
  /** The newest `rev`. */
  readonly newest: number
  /** Time passes between two runs. */
  change(seed: number): void
  /** Something happens during a run. */
  move(address: string, move: Move): void
}

/** Two resources may fill one table: each lists its half of the records. */
export const halves = ['shops', 'stalls'] as const

/** The list that has a record. */
export function addressOf(level: number, id: number, isShared: boolean): string {
  if (level > 0) return listOf(level, Math.floor(id / 100))
  return isShared ? `/shops/${halves[id % 2]}` : '/shops'
}

/** Where the children of a parent are, themselves on `level`. */
function listOf(level: number, parent: number): string {
  return `/${names[level - 1]}/${parent}/${names[level]}`
}

/** Level and parent of a list. */
export function placeOf(address: string): { readonly level: number; readonly parent: number } {
  const [, , parent, own] = address.split('/')
  return own === undefined
    ? { level: 0, parent: 0 }
    : { level: names.indexOf(own as (typeof names)[number]), parent: Number(parent) }
}

export function truth(sizes: Sizes, isShared: boolean): Truth {
  const lists = new Map<string, readonly Thing[]>()
  let rev = 0
  let lasting = new Set<string>()
  let during = new Set<string>()
  const ever = new Set<string>()

  const set = (address: string, list: readonly Thing[]): void => {
    const before = lists.get(address) ?? []
    lists.set(address, list)
    for (const thing of list) {
      ever.add(key(thing))
      during.add(key(thing))
    }
    for (const thing of before) if (!list.includes(thing)) forget(address, thing)
    for (const { id } of list) grow(address, id)
  }
  /** What belongs to a record that is gone can still be asked for, but is not missed. */
  const forget = (address: string, thing: Thing): void => {
    lasting.delete(key(thing))
    const { level } = placeOf(address)
    if (level + 1 >= sizes.length) return
    const below = listOf(level + 1, thing.id)
    for (const child of lists.get(below) ?? []) forget(below, child)
  }
  /** The list of a new parent. */
  const grow = (address: string, id: number): void => {
    const { level } = placeOf(address)
    const most = sizes[level + 1]
    if (most === undefined || lists.has(listOf(level + 1, id))) return
    const count = Math.abs(hash(`${id}`)) % (most + 1)
    set(
      listOf(level + 1, id),
      Array.from({ length: count }, (_, n) => ({ id: id * 100 + n, rev: ++rev })),
    )
  }
  const reachable = (level: number): string[] =>
    level >= sizes.length
      ? []
      : level === 0
        ? ['/shops']
        : reachable(level - 1).flatMap(address => (lists.get(address) ?? []).map(({ id }) => listOf(level, id)))
  const fresh = (address: string): Thing => {
    const { level, parent } = placeOf(address)
    const used = [...ever].map(text => Number(text.split(' ')[0]))
    const taken = used.filter(id => level === 0 || Math.floor(id / 100) === parent)
    const first = level === 0 ? 1 : parent * 100
    const ids = level === 0 ? taken.filter(id => id < 100) : taken
    return { id: Math.max(first - 1, ...ids) + 1, rev: ++rev }
  }

  set(
    '/shops',
    Array.from({ length: sizes[0] ?? 0 }, (_, n) => ({ id: n + 1, rev: ++rev })),
  )
  return {
    list(address) {
      const half = isShared ? halves.findIndex(name => address === `/shops/${name}`) : -1
      const list = lists.get(half < 0 ? address : '/shops') ?? []
      return half < 0 ? list : list.filter(({ id }) => id % 2 === half)
    },
    addresses: level => (isShared && level === 0 ? halves.map(name => `/shops/${name}`) : reachable(level)),
    begin() {
      lasting = new Set(
        sizes.flatMap((_, level) => reachable(level).flatMap(address => (lists.get(address) ?? []).map(key))),
      )
      during = new Set([...lists.values()].flat().map(key))
    },
    lasting: level =>
      new Map(
        reachable(level).flatMap(address =>
          (lists.get(address) ?? [])
            .filter(thing => lasting.has(key(thing)))
            .map(({ id, rev: version }) => [id, version] as const),
        ),
      ),
    wasThere: thing => during.has(key(thing)),
    wasEver: thing => ever.has(key(thing)),
    get newest() {
      return rev
    },
    change(seed) {
      for (const [level] of sizes.entries()) {
        for (const address of reachable(level)) {
          const list = lists.get(address) ?? []
          const dice = Math.abs(hash(`${seed} ${address}`))
          const kept = list
            .filter((_, n) => (dice >> (n % 20)) % 4 !== 0)
            .map((thing, n) => ((dice >> (n % 20)) % 4 === 1 ? { id: thing.id, rev: ++rev } : thing))
          set(address, dice % 3 === 0 ? [...kept, fresh(address)] : kept)
        }
      }
    },
    move(of, move) {
      const address = placeOf(of).level === 0 ? '/shops' : of
      const list = lists.get(address) ?? []
      const [first, second, ...others] = list
      if (move === 'insert first') set(address, [fresh(address), ...list])
      else if (move === 'insert last') set(address, [...list, fresh(address)])
      else if (move === 'delete first') set(address, list.slice(1))
      else if (move === 'delete last') set(address, list.slice(0, -1))
      else if (move === 'replace first') set(address, [...list.slice(1), fresh(address)])
      else if (first !== undefined && second !== undefined) set(address, [...others, second, first])
    },
  }
}

function key({ id, rev }: Thing): string {
  return `${id} ${rev}`
}
