import { describe, expect, it, test } from 'vitest'
import type { RestApiConfig } from '../../src/index.js'
import { ResourceNotes } from '../../src/model/source.js'
import type { Transport } from '../../src/rest/api.js'
import { seeded } from '../reliability/chance.js'
import type { Api } from './listServer.js'
import { context, recordsOf, source } from './listServer.js'
import { load, prepared, run, testApi } from './loading.js'

interface Thing {
  readonly id: number
}

const upTo = (last: number): Thing[] => Array.from({ length: last }, (_, index) => ({ id: index + 1 }))
const ids = (rows: readonly Record<string, unknown>[]): unknown[] => rows.map(({ id }) => id)

/** A list of things, as it is before the request of this number: 1 is the first. */
type Moving = (request: number) => readonly Thing[]

/** An API that gives pages of a list of things that moves, and one part for each of them. */
function moving(at: Moving, { total = true } = {}): Promise<Api> {
  let requests = 0
  return testApi(url => {
    if (url.pathname.endsWith('/parts')) return { json: { data: [{ part: url.pathname }], total: 1 } }
    const things = at(++requests)
    const [offset, limit] = ['offset', 'limit'].map(name => Number(url.searchParams.get(name)))
    const data = things.slice(offset, (offset ?? 0) + (limit ?? 0))
    return { json: { data, ...(total && { total: things.length }) } }
  })
}

function document(origin: string, more: object = {}, endpoint: object = {}): RestApiConfig {
  const paginator = { type: 'offset', limit: 3, total_path: 'total' }
  const resource = {
    name: 'things',
    primary_key: 'id',
    write_disposition: 'merge',
    ...more,
    endpoint: { data_selector: 'data', paginator, ...endpoint },
  }
  return { client: { base_url: origin }, resources: [resource] } as RestApiConfig
}

/** One more thing in front from request `from` on. */
const insertedFrom =
  (from: number): Moving =>
  request =>
    request < from ? upTo(7) : [{ id: 100 }, ...upTo(7)]

/** Without one of its things from request `from` on. */
const deletedFrom =
  (from: number, id: number): Moving =>
  request =>
    upTo(7).filter(thing => request < from || thing.id !== id)

describe('a list that moved while it was read is read once more', () => {
  it('and is complete with what the first reading missed: inserted in front', async () => {
    const api = await moving(insertedFrom(2))
    const { result, rows, events } = await load(document(api.origin))
    expect(ids(await rows('things'))).toEqual([1, 2, 3, 4, 5, 6, 7, 100])
    const [receipt] = result.receipts
    expect(receipt).toMatchObject({ verdict: 'complete', records: 9, pages: 6, requests: 6, announced: 8 })
    expect(receipt?.reasons.join()).toContain('a second look found it whole, with 1 record that the first had missed')
    expect(events).toContainEqual(expect.objectContaining({ type: 'warning', code: 'list_changed' }))
    expect(api.asked).toHaveLength(6)
  })

  it('and what slipped past the first reading arrives, though the list stays in doubt: deleted before it', async () => {
    const { result, rows } = await load(document((await moving(deletedFrom(2, 2))).origin))
    expect(ids(await rows('things'))).toEqual([1, 2, 3, 4, 5, 6, 7])
    const [receipt] = result.receipts
    expect(receipt?.verdict).toBe('unproven')
    expect(receipt?.reasons.join()).toContain(
      'it was read once more, and 1 record of the first reading did not come again',
    )
  })

  it('and is complete where only what was not read yet is gone', async () => {
    const api = await moving(deletedFrom(2, 7))
    const { result, rows } = await load(document(api.origin, { write_disposition: 'append' }))
    expect(ids(await rows('things'))).toEqual([1, 2, 3, 4, 5, 6])
    expect(result.receipts[0]).toMatchObject({ verdict: 'complete', records: 6 })
  })

  it('and never a third time: a list that moves for ever stays in doubt', async () => {
    const api = await moving(request => [
      ...upTo(request)
        .map(({ id }) => ({ id: 100 - id }))
        .reverse(),
      ...upTo(7),
    ])
    const { result } = await load(document(api.origin))
    const [receipt] = result.receipts
    expect(receipt?.verdict).toBe('unproven')
    expect(receipt?.reasons.join()).toContain('it was read once more, and')
    expect(api.asked.filter(request => request.includes('offset=0&'))).toHaveLength(2)
  })

  it('and stays in doubt where something that the first reading brought is gone', async () => {
    // In front from the second request on, and gone before the second look.
    const api = await moving(request => (request === 2 || request === 3 ? [{ id: 100 }, ...upTo(7)] : upTo(6)))
    const { result, rows } = await load(document(api.origin))
    expect(ids(await rows('things'))).toEqual([1, 2, 3, 4, 5, 6, 7])
    expect(result.receipts[0]?.verdict).toBe('unproven')
  })

  it('and stays in doubt where a page brings one record twice this time', async () => {
    const api = await moving(request =>
      request < 4 ? insertedFrom(2)(request) : [{ id: 1 }, ...insertedFrom(2)(request)],
    )
    const twice = await moving(request => (request < 4 ? deletedFrom(2, 7)(request) : [{ id: 1 }, ...upTo(6)]))
    for (const { origin } of [api, twice])
      expect((await load(document(origin))).result.receipts[0]?.verdict).toBe('unproven')
  })

  it('page by page', async () => {
    let requests = 0
    const api = await testApi(url => {
      const things = insertedFrom(2)(++requests)
      const page = Number(url.searchParams.get('page'))
      return { json: { data: things.slice(page * 3 - 3, page * 3), total: things.length } }
    })
    const paginator = { type: 'page_number', base_page: 1, total_path: null }
    const { result, rows } = await load(document(api.origin, {}, { paginator }))
    expect(ids(await rows('things'))).toEqual([1, 2, 3, 4, 5, 6, 7, 100])
    expect(result.receipts[0]?.verdict).toBe('complete')
  })

  it('so that rows that are gone may be deleted', async () => {
    let things: Moving = () => [...upTo(8)]
    const api = await moving(request => things(request))
    const made = await prepared(document(api.origin, { deletes: 'hard', max_delete_share: 1 }))
    await run(made)
    things = request => insertedFrom(5)(request)
    const { result, rows } = await run(made)
    expect(result.receipts[0]).toMatchObject({ verdict: 'complete', deleted: 1 })
    expect(ids(await rows('things'))).toEqual([1, 2, 3, 4, 5, 6, 7, 100])
  })

  it('with what belongs to the new records', async () => {
    const api = await moving(insertedFrom(2))
    const { resources = [], ...rest } = document(api.origin)
    const parts = {
      name: 'parts',
      primary_key: 'part',
      write_disposition: 'merge',
      endpoint: { path: 'things/{resources.things.id}/parts', data_selector: 'data', paginator: 'single_page' },
    }
    const { result, rows } = await load({ ...rest, resources: [...resources, parts] } as RestApiConfig)
    expect(result.receipts.map(({ verdict }) => verdict)).toEqual(['complete', 'complete'])
    expect(await rows('parts', 'part')).toHaveLength(8)
  })
})

describe('rows that are not merged by their keys', () => {
  it('get nothing twice by the second look, and a list that came twice before stays in doubt', async () => {
    const api = await moving(insertedFrom(2))
    const { result, rows } = await load(document(api.origin, { write_disposition: 'append' }))
    expect(ids(await rows('things'))).toEqual([1, 2, 3, 3, 4, 5, 6, 7, 100])
    expect(result.receipts[0]?.verdict).toBe('unproven')
    expect(result.receipts[0]?.reasons.join()).toContain('1 record came twice')
  })

  it('nor their children', async () => {
    const api = await moving(insertedFrom(2))
    const { resources = [], ...rest } = document(api.origin)
    const endpoint = { path: 'things/{resources.things.id}/parts', data_selector: 'data', paginator: 'single_page' }
    const { result } = await load({ ...rest, resources: [...resources, { name: 'parts', endpoint }] } as RestApiConfig)
    expect(result.receipts.map(({ verdict }) => verdict)).toEqual(['unproven', 'unproven'])
  })
})

describe('a list with a cursor that moved while it was read is read once more', () => {
  interface Version extends Thing {
    readonly rev: number
  }
  /** The pages of both readings, of records `[id, rev]`. */
  const readings = async (pages: readonly (readonly (readonly [number, number])[])[], { total = true } = {}) => {
    const api = await testApi(() => {
      const data = (pages[api.asked.length - 1] ?? []).map(([id, rev]): Version => ({ id, rev }))
      const isLast = api.asked.length % 2 === 0
      return { json: { data, next: isLast ? null : `?page=${api.asked.length}`, ...(total && { total: 5 }) } }
    })
    const paginator = { type: 'json_link', next_url_path: 'next', ...(total && { total_path: 'total' }) }
    const made = await prepared(
      document(api.origin, {}, { paginator, incremental: { cursor_path: 'rev', initial_value: 0 } }),
    )
    const { result, rows } = await run(made)
    const [source] = Object.values((await made.dataset().state())?.sources ?? {})
    return {
      rows: (await rows('things')).map(({ id, rev }) => [id, rev]),
      cursor: source?.resources?.things?.incremental?.rev?.last_value,
      verdict: result.receipts[0]?.verdict,
      codes: result.warnings.map(({ code }) => code),
    }
  }
  const moved = [
    [
      [2, 2],
      [3, 3],
      [1, 1],
    ],
    [
      [1, 1],
      [5, 5],
    ],
  ] as const
  const whole = [
    [
      [1, 1],
      [2, 6],
    ],
    [
      [3, 3],
      [4, 4],
      [5, 5],
    ],
  ] as const
  const shuffled = [
    [
      [5, 5],
      [3, 3],
      [2, 2],
    ],
    [
      [3, 3],
      [1, 1],
    ],
  ] as const

  it('and is whole with what it missed and what has changed meanwhile', async () => {
    const told = await readings(
      [...moved, ...whole].map(page => [...page]),
      { total: false },
    )
    expect(told).toEqual({
      rows: whole.flat().map(pair => [...pair]),
      cursor: 6,
      verdict: 'unproven',
      codes: ['list_changed', 'cursor_ahead'],
    })
  })

  it('and is complete where the answers tell how much there is', async () => {
    const told = await readings([...moved, ...whole].map(page => [...page]))
    expect(told).toMatchObject({ cursor: 6, verdict: 'complete', codes: ['list_changed'] })
  })

  it('and its cursor waits where the records come in another order each time', async () => {
    const told = await readings(
      [...moved, ...shuffled].map(page => [...page]),
      { total: false },
    )
    expect(told).toEqual({
      rows: [1, 2, 3, 5].map(id => [id, id]),
      cursor: undefined,
      verdict: 'unproven',
      codes: ['list_changed', 'cursor_held'],
    })
  })

  it('and its cursor moves where the API repeats the same', async () => {
    const told = await readings(
      [...moved, ...moved].map(page => [...page]),
      { total: false },
    )
    expect(told).toMatchObject({ cursor: 5, verdict: 'unproven', codes: ['list_changed', 'cursor_ahead'] })
  })

  it('and its cursor waits where the API repeats the same, and a total counts more', async () => {
    const told = await readings([...moved, ...moved].map(page => [...page]))
    expect(told).toMatchObject({ cursor: undefined, verdict: 'unproven', codes: ['list_changed', 'cursor_held'] })
  })
})

describe('no second look is taken', () => {
  it.each<[string, object, object, object]>([
    ['at records without a key', { primary_key: undefined, write_disposition: 'append' }, {}, {}],
    ['beyond the pages of the document', {}, { max_pages: 3 }, {}],
    ['beyond the pages of the run', {}, {}, { maxPages: 3 }],
    ['where records are counted', {}, { max_records: 100 }, {}],
    [
      'behind a cursor of appended rows',
      { write_disposition: 'append' },
      { incremental: { cursor_path: 'id', initial_value: 0 } },
      {},
    ],
  ])('%s', async (_what, more, endpoint, options) => {
    const api = await moving(insertedFrom(2))
    const { result } = await load(document(api.origin, more, endpoint), options)
    expect(api.asked).toHaveLength(3)
    expect(result.receipts[0]?.verdict).toBe('unproven')
  })

  it('where the API does not tell how much there is', async () => {
    const paginator = { type: 'offset', limit: 3, total_path: null }
    const api = await moving(insertedFrom(2), { total: false })
    const { result } = await load(document(api.origin, {}, { paginator }))
    expect(api.asked).toHaveLength(4)
    expect(result.receipts[0]?.verdict).toBe('unproven')
  })

  it('at a long list', async () => {
    const api = await moving(request => (request === 1 ? upTo(61) : [{ id: 100 }, ...upTo(61)]))
    const { result } = await load(document(api.origin))
    expect(api.asked).toHaveLength(21)
    expect(result.receipts[0]?.verdict).toBe('unproven')
  })

  it('further than the pages of the run', async () => {
    const api = await moving(insertedFrom(2))
    const { result } = await load(document(api.origin), { maxPages: 4 })
    expect(api.asked).toHaveLength(4)
    expect(result.receipts[0]?.reasons.join()).toContain('the run was asked for 4 pages')
  })
})

describe('the second look', () => {
  it('that fails leaves the list in its doubt', async () => {
    let requests = 0
    const api = await testApi(url => {
      const things = insertedFrom(2)(++requests)
      if (requests === 5) return { status: 400, json: {} }
      const offset = Number(url.searchParams.get('offset'))
      return { json: { data: things.slice(offset, offset + 3), total: things.length } }
    })
    const made = await prepared(document(api.origin))
    const { result, rows } = await run(made, { keepJournal: true })
    expect(result.receipts[0]?.verdict).toBe('unproven')
    expect(result.receipts[0]?.reasons.join()).toContain('that failed (http_status)')
    expect(ids(await rows('things'))).toEqual([1, 2, 3, 4, 5, 6, 7, 100])
    const again = await made.replay()
    expect(again.receipts[0]).toMatchObject({ verdict: 'unproven', requests: 0 })
  })

  it('is in the journal: a replay asks for nothing and comes to the same', async () => {
    const api = await moving(insertedFrom(2))
    const made = await prepared(document(api.origin))
    const { result } = await run(made, { keepJournal: true })
    const again = await made.replay()
    expect(api.asked).toHaveLength(6)
    const [first, second] = [result, again].map(({ receipts: [receipt] }) => receipt)
    expect(second).toMatchObject({ verdict: 'complete', reasons: first?.reasons, rows: first?.rows, requests: 0 })
  })

  it('goes on where an interrupted run was', async () => {
    const stop = new AbortController()
    let isFirst = true
    const api = await moving(request => {
      if (request === 5 && isFirst) stop.abort(new Error('enough'))
      return insertedFrom(2)(request)
    })
    const made = await prepared(document(api.origin))
    await expect(run(made, { signal: stop.signal })).rejects.toMatchObject({ code: 'aborted' })
    isFirst = false
    const { result, rows } = await run(made)
    expect(result.receipts[0]).toMatchObject({ verdict: 'complete', requests: 2, pagesFromJournal: 4 })
    expect(ids(await rows('things'))).toEqual([1, 2, 3, 4, 5, 6, 7, 100])
  })
})

test('what is called complete has every record that was there all the time, whatever moves', async () => {
  const seeds = Number(process.env.SLUICE_MOVES ?? 400)
  let [looks, trusted] = [0, 0]
  for (let seed = 1; seed <= seeds; seed++) {
    const told = await moved(seed)
    expect(told.missing, `seed ${seed}`).toEqual([])
    if (told.isLooked) looks++
    if (told.isTrusted) trusted++
  }
  expect(looks).toBeGreaterThan(seeds / 20)
  expect(trusted).toBeGreaterThan(seeds / 100)
})

/** One reading of a list that moves by chance; with what is missing of it although it is called complete. */
async function moved(
  seed: number,
): Promise<{ readonly missing: readonly number[]; readonly isLooked: boolean; readonly isTrusted: boolean }> {
  const chance = seeded(seed)
  const below = (bound: number): number => Math.floor(chance() * bound)
  const things = upTo(2 + below(9)).map(({ id }) => id)
  const lasting = new Set(things)
  let next = 100
  const [size, restlessness, keepsLength] = [1 + below(4), chance(), chance() < 0.3]
  const take = (): void => {
    const [id] = things.splice(below(things.length), 1)
    if (id !== undefined) lasting.delete(id)
  }
  const put = (): void => void things.splice(below(things.length + 1), 0, next++)
  const move = (): void => {
    if (chance() > restlessness) return
    if (keepsLength) {
      take()
      put()
    } else if (chance() < 0.4) take()
    else if (chance() < 0.7) put()
    // A record that goes to another place is there all the time.
    else things.splice(below(things.length), 0, ...things.splice(below(things.length), 1))
  }
  let requests = 0
  const isQuietLater = chance() < 0.5
  const transport: Transport = async ({ url }) => {
    if (requests++ > 0 && !(isQuietLater && requests > 4)) move()
    const start = Number(new URL(url).searchParams.get('offset'))
    const data = things.slice(start, start + size).map(id => ({ id }))
    const text = JSON.stringify({ data, total: things.length })
    return { status: 200, headers: { 'content-type': 'application/json' }, body: once(text) }
  }
  const paginator = { type: 'offset', limit: size }
  const endpoint = { data_selector: 'data', paginator }
  const from = source({
    client: { base_url: 'http://api.test', transport },
    resources: [{ name: 'things', primary_key: 'id', endpoint }],
  })
  const delivered = new Set<number>()
  let isLooked = false
  const emit = (event: { readonly type: string; readonly code?: string }): void => {
    isLooked ||= event.type === 'warning' && event.code === 'list_changed'
  }
  const pages = from.resources[0]?.pages(context({ emit, notes: new ResourceNotes() }))
  try {
    for (let step = await pages?.next(); step !== undefined; step = await pages?.next()) {
      if (step.done !== true) {
        for (const { id } of recordsOf(step.value)) delivered.add(Number(id))
        continue
      }
      const isTrusted = isLooked && step.value.end === 'proven'
      return { isLooked, isTrusted, missing: isTrusted ? [...lasting].filter(id => !delivered.has(id)) : [] }
    }
  } catch (error) {
    // A list that moves may look like one that goes in circles.
    if ((error as { code?: unknown }).code !== 'pagination_loop') throw error
  }
  return { isLooked: false, isTrusted: false, missing: [] }
}

async function* once(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text)
}

describe('records are told apart by the key, however the document names it', () => {
  it.each<[string, object]>([
    ['of a column', { columns: { noteId: { primary_key: true } } }],
    ['as its column is called', { primary_key: 'note_id' }],
    ['with the key of the parent', { primary_key: ['_shops_id', 'noteId'], include_from_parent: ['id'] }],
  ])('%s', async (_, keys) => {
    let requests = 0
    const api = await testApi(url => {
      if (url.pathname === '/shops') return { json: { data: [{ id: 7 }] } }
      const at = Number(url.searchParams.get('offset'))
      // Behind the first page one comes first, and the last one is gone.
      const list = ++requests < 2 ? [1, 2, 3, 4] : [9, 1, 2, 3]
      return { json: { data: list.slice(at, at + 2).map(noteId => ({ noteId })), total: 4 } }
    })
    const notes = { name: 'notes', write_disposition: 'merge', ...keys }
    const paginator = { type: 'offset', limit: 2, total_path: 'total' }
    const { result, rows } = await load({
      client: { base_url: api.origin },
      resources: [
        { name: 'shops', endpoint: { path: 'shops', data_selector: 'data', paginator: 'single_page' } },
        { ...notes, endpoint: { path: 'shops/{resources.shops.id}/notes', data_selector: 'data', paginator } },
      ],
    } as unknown as RestApiConfig)
    expect((await rows('notes', 'note_id')).map(({ note_id }) => note_id)).toEqual([1, 2, 3, 9])
    expect(result.receipts[1]?.reasons.join()).toContain('a second look found it whole')
  })
})
