import { seeded } from '../../chance.js'
import type { Asked, Style, Told } from './honest.js'
import type { Thing } from './truth.js'

/** One way in which an API's answers for a list are not what they seem. */
export interface Lie {
  readonly kind: LieKind
  readonly level: number
  /** Which list of the level, by its place among them. */
  readonly list: number | 'every'
  /** Which pages, the first being 0. */
  readonly page: number | 'last' | 'every'
  readonly value: number
}

/** What is served: part of a list, where some records are kept back. */
export interface Serving extends Asked {
  readonly list: readonly (Thing | undefined)[]
}

/** An answer about to be given. */
export interface Moment {
  readonly lie: Lie
  readonly asked: Asked
  /** Differs from answer to answer. */
  readonly nonce: number
  /** Records that the list really has, now and when the run began. */
  readonly length: number
  readonly lengthBefore: number
}

interface Lying {
  /** The ways of paging it needs; all. */
  readonly only?: readonly Style['way'][] | undefined
  /** Changes what is served, for every page of the list. */
  readonly serve?: (serving: Serving, moment: Moment, style: Style) => Serving
  /** Changes what is said with the pages that `page` chooses. */
  readonly tell?: (told: Told, moment: Moment, style: Style) => Told
}

const links: readonly Style['way'][] = ['cursor', 'json_link', 'header_link', 'header_cursor']
const limited: readonly Style['way'][] = ['offset', 'keyset']

/** Every kind of lie. Those that `serve` apply to every page. */
export const lies = {
  'pages are shorter than asked for': {
    only: limited,
    serve: (serving, { lie }) => ({ ...serving, size: Math.min(serving.size, 2 + (lie.value % serving.size)) }),
  },
  'records are kept back after paging': {
    serve: (serving, { lie }) => ({ ...serving, list: withGaps(serving.list, lie.value) }),
  },
  'records are kept back, and not counted': {
    serve: (serving, { lie }) => ({ ...serving, list: withGaps(serving.list, lie.value) }),
    tell: (told, { length }) => (told.total === undefined ? told : { ...told, total: length }),
  },
  'an empty page': { tell: told => ({ ...told, list: [] }) },
  'the first page whatever is asked for': { serve: serving => ({ ...serving, start: 0 }) },
  'new cursors over the same records': {
    only: links,
    serve: serving => ({ ...serving, start: 0 }),
    tell: (told, { asked: { start, size }, nonce }) => ({ ...told, next: `c${start + size}.${nonce}` }),
  },
  'a cursor again': {
    only: links,
    tell: (told, { asked: { start } }) => ({ ...told, next: start === 0 ? `c${start}` : `c${start - 1}` }),
  },
  'the last page for ever': {
    serve: serving => {
      const last = Math.max(0, Math.ceil(serving.list.length / serving.size) - 1) * serving.size
      return { ...serving, start: Math.min(serving.start, last) }
    },
    tell: (told, { asked: { start, size } }, { way }) => ({
      ...told,
      ...(links.includes(way) && { next: `c${start + size}` }),
      ...(told.more !== undefined && { more: true }),
    }),
  },
  'pages overlap': { serve: serving => ({ ...serving, start: Math.max(0, serving.start - 1) }) },
  'another order each time': {
    serve: (serving, { nonce }) => ({ ...serving, list: shuffled(serving.list, nonce) }),
  },
  'the list is cut': {
    serve: (serving, { lie }) => ({ ...serving, list: serving.list.slice(0, lie.value % (serving.list.length + 1)) }),
  },
  'the list is cut, its length is told': {
    serve: (serving, { lie }) => ({ ...serving, list: serving.list.slice(0, lie.value % (serving.list.length + 1)) }),
    tell: (told, { length }, { size }) => ({
      ...told,
      ...(told.total !== undefined && { total: length }),
      ...(told.pages !== undefined && { pages: Math.ceil(length / size) }),
    }),
  },
  'the list is empty': { serve: serving => ({ ...serving, list: [] }) },
  'a total of -1': { tell: told => withTotals(told, -1, -1) },
  'a total of 0': { tell: told => withTotals(told, 0, 0) },
  'a total too small': {
    tell: (told, { lie, length }) => withTotals(told, lie.value % (length + 1), lie.value % ((told.pages ?? 0) + 1)),
  },
  'a total too large': {
    tell: (told, { lie, length }) => withTotals(told, length + 1 + lie.value, (told.pages ?? 0) + 1 + lie.value),
  },
  'the total of before': {
    tell: (told, { lengthBefore }, { size }) => withTotals(told, lengthBefore, Math.ceil(lengthBefore / size)),
  },
  'no total': { tell: ({ total: _, ...told }) => told },
  'no has_more': { tell: ({ more: _, ...told }) => told },
  'has_more is null': { tell: told => (told.more === undefined ? told : { ...told, more: null }) },
  'has_more is wrong': { tell: told => (typeof told.more === 'boolean' ? { ...told, more: !told.more } : told) },
  'has_more is a word': { tell: told => (told.more === undefined ? told : { ...told, more: 'maybe' }) },
  'no list': { tell: told => ({ ...told, list: undefined }) },
  'the list is null': { tell: told => ({ ...told, list: null }) },
  'only an error': {
    tell: (_, { lie }) => ({ status: 200, list: undefined, error: errors[lie.value % errors.length] }),
  },
  'an error and no records': {
    tell: (told, { lie }) => ({
      ...told,
      list: lie.value % 2 === 0 ? null : [],
      error: errors[lie.value % errors.length],
    }),
  },
  'an error beside records': {
    tell: (told, { lie }) => ({ ...told, error: errors[lie.value % errors.length] }),
  },
  'no next': { only: links, tell: ({ next: _, ...told }) => told },
  'the link is cut': { only: ['header_link'], tell: told => ({ ...told, spelling: 'cut' }) },
  'the link has single quotes': { only: ['header_link'], tell: told => ({ ...told, spelling: 'single quotes' }) },
  'a token on each page': { tell: (told, _, { syncs }) => (syncs ? { ...told, sync: 'now' } : told) },
  'no token': { tell: ({ sync: _, ...told }) => told },
  'the token is empty': {
    tell: (told, { lie }) => (told.sync === undefined ? told : { ...told, sync: lie.value % 2 === 0 ? null : '' }),
  },
  'the token is no longer known': {
    tell: (told, { asked: { since } }) =>
      since === undefined ? told : { status: 410, list: undefined, error: { error: 'gone' } },
  },
  'a member that changes': { tell: told => ({ ...told, changing: 'envelope' }) },
  'records that change': { tell: told => ({ ...told, changing: 'records' }) },
  'not found': { tell: () => ({ status: 404, list: undefined, error: { error: 'not found' } }) },
  'a record of another type': { tell: (told, { lie }) => ({ ...told, odd: lie.value % 3 }) },
  'the connection is cut': {
    tell: (told, { lie }) => ({ ...told, list: told.list?.slice(0, lie.value % (told.list.length + 1)), isCut: true }),
  },
  'partial content': { tell: told => ({ ...told, status: 206 }) },
} satisfies Readonly<Record<string, Lying>>

export type LieKind = keyof typeof lies

export function lying(kind: LieKind): Lying {
  return lies[kind]
}

const errors: readonly Told['error'][] = [
  { error: { code: 500, message: 'backend timeout' } },
  { error: 'please retry' },
  { errors: [{ message: 'timeout' }] },
  { errors: [{ message: 'timeout' }], data: null },
]

function withTotals(told: Told, total: number, pages: number): Told {
  return {
    ...told,
    ...(told.total !== undefined && { total }),
    ...(told.pages !== undefined && { pages }),
  }
}

/** Records that are paged but not given. */
function withGaps(list: Serving['list'], value: number): Serving['list'] {
  const random = seeded(value)
  return list.flatMap(thing => {
    const gaps = random() < 0.5 ? 0 : 1 + Math.floor(random() * 3)
    return [...Array<undefined>(gaps).fill(undefined), thing]
  })
}

function shuffled<Item>(list: readonly Item[], seed: number): Item[] {
  const random = seeded(seed)
  return list
    .map(item => [random(), item] as const)
    .sort(([one], [other]) => one - other)
    .map(([, item]) => item)
}
