import { describe, expect, it, onTestFinished } from 'vitest'
import { SluiceError } from '../../src/index.js'
import { paginatorKinds } from '../../src/rest/paginators/kinds.js'
import { type Seen, serve } from './clientServer.js'
import { read, things } from './listServer.js'

/** Every paginator over every kind of lie: what is `complete` has all records. */

/** What an answer says before it is written down. */
interface Told {
  readonly ids: readonly number[]
  /** Where the list goes on. Undefined: it ends here. */
  readonly next: number | undefined
  readonly more?: object
  readonly status?: number
  readonly listName?: string
  /** The answer ends with its connection. */
  readonly isCut?: boolean
}

interface Written {
  readonly json: object
  readonly headers?: Readonly<Record<string, string>>
}

/** A way of paging: how it is read, where a request begins, and how an answer is written. */
interface Way {
  readonly endpoint: { readonly paginator?: unknown; readonly [key: string]: unknown }
  readonly startOf: (url: URL, body: string) => number
  readonly write: (told: Told, origin: string) => Written
}

const size = 2
const named = ({ ids, more, listName = 'data' }: Told): object => ({ [listName]: ids.map(id => ({ id })), ...more })
const param = (name: string) => (url: URL) => Number(url.searchParams.get(name)?.replace('c', '') ?? 0)
const cursorOf = ({ next }: Told) => (next === undefined ? null : `c${next}`)
const linkOf = ({ next }: Told, origin: string) => (next === undefined ? null : `${origin}?at=${next}`)

const ways = {
  offset: {
    endpoint: { paginator: { type: 'offset', limit: size, total_path: null } },
    startOf: param('offset'),
    write: told => ({ json: named(told) }),
  },
  page: {
    endpoint: { paginator: { type: 'page_number', base_page: 1, total_path: null } },
    startOf: url => (Number(url.searchParams.get('page')) - 1) * size,
    write: told => ({ json: named(told) }),
  },
  cursor: {
    endpoint: { paginator: { type: 'cursor', cursor_path: 'next', cursor_param: 'at' } },
    startOf: param('at'),
    write: told => ({ json: { ...named(told), next: cursorOf(told) } }),
  },
  'cursor in the body': {
    endpoint: {
      method: 'POST',
      json: { size },
      paginator: { type: 'cursor', cursor_path: 'next', cursor_body_path: 'at' },
    },
    startOf: (_url, body) => Number((JSON.parse(body).at ?? 'c0').slice(1)),
    write: told => ({ json: { ...named(told), next: cursorOf(told) } }),
  },
  'header cursor': {
    endpoint: { paginator: { type: 'header_cursor', cursor_key: 'x-next', cursor_param: 'at' } },
    startOf: param('at'),
    write: told => ({ json: named(told), headers: told.next === undefined ? {} : { 'x-next': `c${told.next}` } }),
  },
  link: {
    endpoint: { paginator: { type: 'json_link', next_url_path: 'next' } },
    startOf: param('at'),
    write: (told, origin) => ({ json: { ...named(told), next: linkOf(told, origin) } }),
  },
  'header link': {
    endpoint: { paginator: 'header_link' },
    startOf: param('at'),
    write: (told, origin) => ({
      json: named(told),
      headers: told.next === undefined ? {} : { link: `<${linkOf(told, origin)}>; rel="next"` },
    }),
  },
  keyset: {
    endpoint: { paginator: { type: 'keyset', field: 'id', param: 'since', limit: size } },
    // The records have the ids 1, 2, 3 …
    startOf: param('since'),
    write: told => ({ json: named(told) }),
  },
  relay: {
    endpoint: {
      method: 'POST',
      json: { query: 'q', variables: { after: null } },
      data_selector: 'data.things.nodes',
      paginator: {
        type: 'cursor',
        cursor_path: 'data.things.pageInfo.endCursor',
        cursor_body_path: 'variables.after',
        has_more_path: 'data.things.pageInfo.hasNextPage',
      },
    },
    startOf: (_url, body) => Number((JSON.parse(body).variables.after ?? 'c0').slice(1)),
    write: told => {
      const { ids, next, more = {}, listName = 'nodes' } = told
      const pageInfo = { hasNextPage: next !== undefined, endCursor: cursorOf(told) }
      const { errors, ...rest } = more as { readonly errors?: unknown }
      return {
        json: {
          data: { things: { [listName]: ids.map(id => ({ id })), pageInfo, ...rest } },
          ...(errors === undefined ? {} : { errors }),
        },
      }
    },
  },
  guessed: {
    endpoint: {},
    startOf: param('at'),
    write: (told, origin) => ({ json: { ...named(told), next: linkOf(told, origin) } }),
  },
  'sync token': {
    endpoint: {
      paginator: { type: 'json_link', next_url_path: 'next' },
      incremental: { token_path: 'sync', token_param: 'sync' },
    },
    startOf: param('at'),
    write: (told, origin) => ({
      json: { ...named(told), next: linkOf(told, origin), ...(told.next === undefined && { sync: 's1' }) },
    }),
  },
} satisfies Readonly<Record<string, Way>>

interface Asked {
  readonly start: number
  /** Number of the request, from 1. */
  readonly number: number
}

const whole = [1, 2, 3, 4, 5]
const honest = (start: number, list: readonly number[] = whole, most = size): Told => ({
  ids: list.slice(start, start + most),
  next: start + most < list.length ? start + most : undefined,
})
/** The second page is not as it should be. */
const onSecond =
  (lie: (told: Told) => Told) =>
  ({ start }: Asked): Told =>
    start === size ? lie(honest(start)) : honest(start)
/** Nothing comes behind the first page but this. */
const behindFirst =
  (told: Omit<Told, 'ids' | 'next'>) =>
  ({ start }: Asked): Told =>
    start < size ? honest(start) : { ids: [], next: undefined, ...told }

type Outcome = 'complete' | 'unproven' | 'incomplete' | 'pagination_loop'

interface Lie {
  readonly lie: string
  readonly tell: (asked: Asked) => Told
  readonly outcome: Outcome
  /** Ways of paging for which the same answers mean something else. */
  readonly otherwise?: Partial<Record<keyof typeof ways, Outcome>>
}

const lies: readonly Lie[] = [
  { lie: 'none', tell: ({ start }) => honest(start), outcome: 'complete' },
  { lie: 'what is sent is ignored', tell: () => honest(0), outcome: 'pagination_loop' },
  {
    lie: 'the same page with another member each time',
    tell: ({ number }) => ({ ...honest(0), more: { asked: `at ${number}` } }),
    outcome: 'pagination_loop',
  },
  {
    lie: 'pages that come again',
    tell: ({ start }) => (start < 2 * size ? honest(start) : { ...honest(size), next: size }),
    outcome: 'pagination_loop',
  },
  {
    lie: 'a total that is larger',
    tell: ({ start }) => ({ ...honest(start), more: { total_count: 8 } }),
    outcome: 'unproven',
  },
  {
    lie: 'a total that is smaller',
    tell: ({ start }) => ({ ...honest(start), more: { total_count: 4 } }),
    outcome: 'unproven',
    // The flag of the connection counts, and all is there.
    otherwise: { relay: 'complete' },
  },
  { lie: 'an end before the total', tell: totalled(behindFirst({})), outcome: 'unproven' },
  {
    lie: 'an empty page that says that there is more',
    tell: behindFirst({ more: { has_more: true } }),
    outcome: 'unproven',
    otherwise: { guessed: 'incomplete' },
  },
  {
    lie: 'an empty page that says that there are errors',
    tell: behindFirst({ more: { errors: [{ message: 'timeout' }] } }),
    outcome: 'incomplete',
  },
  {
    lie: 'another name for the list',
    tell: behindFirst({ listName: 'rows' }),
    outcome: 'unproven',
  },
  {
    lie: 'an answer that ends with its connection',
    tell: onSecond(told => ({ ...told, ids: [3], isCut: true })),
    outcome: 'unproven',
  },
  { lie: 'an answer in part', tell: onSecond(told => ({ ...told, ids: [3], status: 206 })), outcome: 'unproven' },
  {
    lie: 'another order each time',
    tell: ({ start, number }) => honest(start, [...whole.slice(1 - number), ...whole.slice(0, 1 - number)]),
    outcome: 'unproven',
    otherwise: { keyset: 'pagination_loop' },
  },
  {
    lie: 'a record is gone, and the total says so',
    tell: ({ start, number }) => {
      const list = number === 1 ? whole : whole.slice(1)
      return { ...honest(start, list), more: { total_count: list.length } }
    },
    outcome: 'unproven',
  },
  // Shorter by one record each: whoever counts pages by numbers is told nothing of what lies between them.
  { lie: 'pages that are shorter than asked for', tell: ({ start }) => honest(start, whole, 1), outcome: 'complete' },
]

function totalled(tell: Lie['tell']): Lie['tell'] {
  return asked => ({ ...tell(asked), more: { total_count: whole.length } })
}

/** Which no answer shows: docs/guarantees.md, "What is not promised". */
const untold = ({ lie }: Lie, way: string): boolean => lie === 'pages that are shorter than asked for' && way === 'page'

/** What becomes of a list, and the records that arrived. */
async function outcomeOf(way: Way, lie: (asked: Asked) => Told) {
  const arrived = new Set<number>()
  const server = await serve((request: Seen, response, number) => {
    const url = new URL(request.url, server.origin)
    const told = lie({ start: way.startOf(url, request.body), number })
    const { json, headers } = way.write(told, `${server.origin}/things`)
    if (told.isCut === true) {
      response.useChunkedEncodingByDefault = false
      response.shouldKeepAlive = false
    }
    response.writeHead(told.status ?? 200, { 'content-type': 'application/json', ...headers })
    response.write(JSON.stringify(json))
    response.end()
  })
  onTestFinished(() => server.close())
  const endpoint = { data_selector: 'data', ...way.endpoint }
  try {
    const { end, records } = await read(things(server.origin, endpoint, { primary_key: 'id' }))
    for (const { id } of records as { readonly id: number }[]) arrived.add(Number(id))
    const verdict = { proven: 'complete', limited: 'unproven', suspect: 'incomplete' }[end.end] as Outcome
    return { outcome: verdict, arrived, reason: end.reason }
  } catch (error) {
    if (!(error instanceof SluiceError)) throw error
    return { outcome: error.code as Outcome, arrived, reason: error.message }
  }
}

describe.each(lies)('$lie', ({ outcome, otherwise, ...lie }) => {
  it.each(Object.entries(ways))('%s', async (name, way) => {
    const told = await outcomeOf(way, lie.tell)
    const text = `${told.reason} (${[...told.arrived].join(', ')})`
    expect(told.outcome, text).toBe(otherwise?.[name as keyof typeof ways] ?? outcome)
    if (told.outcome === 'complete' && !untold({ outcome, ...lie }, name))
      expect([...told.arrived].toSorted(), text).toEqual(whole)
  })
})

it('there is a way of paging for each paginator', () => {
  const tried = Object.values<Way>(ways).map(({ endpoint: { paginator } }) =>
    typeof paginator === 'object' && paginator !== null && 'type' in paginator ? paginator.type : paginator,
  )
  const kinds = paginatorKinds.map(({ type }) => type)
  // A GraphQL connection sets its own. One page has no way on.
  expect(kinds.filter(type => !tried.includes(type))).toEqual(['single_page'])
})
