import { describe, expect, it } from 'vitest'
import type { RestApiConfig } from '../../src/index.js'
import { type Answer, things } from './listServer.js'
import { prepared, run, testApi } from './loading.js'

/** Sync tokens: what the last answer of a list gives for the next run. */

const byToken = { token_path: 'sync', token_param: 'sync' }
const byLink = { next_url_path: "['@odata.deltaLink']" }

function document(origin: string, incremental: object, endpoint: object = {}): RestApiConfig {
  return {
    client: { base_url: origin },
    resources: [
      {
        name: 'things',
        primary_key: 'id',
        write_disposition: 'merge',
        columns: { deleted: { hard_delete: true }, aremoved__reason: { hard_delete: true } },
        endpoint: {
          data_selector: 'items',
          paginator: { type: 'cursor', cursor_path: 'page', cursor_param: 'page', stop_when_missing: true },
          incremental,
          ...endpoint,
        },
      },
    ],
  } as unknown as RestApiConfig
}

/** Runs once for each of the answers, with one dataset, and fails at a request that has none. */
async function runs(
  incremental: object,
  answer: (url: URL, number: number) => Answer,
  count: number,
  endpoint?: object,
) {
  const api = await testApi(url => answer(url, api.asked.length))
  const made = await prepared(document(api.origin, incremental, endpoint))
  const done: Awaited<ReturnType<typeof run>>[] = []
  for (let number = 1; number <= count; number++) done.push(await run(made))
  return { api, made, done, last: done.at(-1) as Awaited<ReturnType<typeof run>> }
}

const idsOf = async (one: Awaited<ReturnType<typeof run>>) =>
  (await one.rows('things')).map(({ id }) => Number(id)).toSorted()
const tokenOf = async (one: Awaited<ReturnType<typeof runs>>, path = 'sync') =>
  Object.values((await one.made.dataset().state())?.sources ?? {})[0]?.resources?.things?.incremental?.[path]

describe('changes since a token', () => {
  const feed = async (pages: number, ends: boolean) => {
    const api = await testApi(url => {
      const at = Number(url.searchParams.get('page') ?? 0)
      if (!url.searchParams.has('sync') && at === 0) return { json: { items: [{ id: 1, value: 0 }], sync: 's1' } }
      const isLast = ends && at + 1 === pages
      return { json: { items: [{ id: 1, value: at }], ...(isLast ? { sync: 's2' } : { page: String(at + 1) }) } }
    })
    const made = await prepared(document(api.origin, byToken))
    await run(made)
    return { api, made }
  }

  it('that name one record with new values for ever end as a loop', { timeout: 120_000 }, async () => {
    const { api, made } = await feed(0, false)
    await expect(run(made)).rejects.toMatchObject({
      code: 'pagination_loop',
      message: expect.stringContaining('the same records with other values'),
    })
    expect(api.asked.length).toBeLessThan(1_100)
  })

  it('that name one record many times are all read', { timeout: 60_000 }, async () => {
    const { made } = await feed(300, true)
    const { rows } = await run(made)
    expect(await rows('things')).toMatchObject([{ id: 1, value: 299 }])
  })
})

describe('a sync token', () => {
  it('is sent by the next run, moves with it, and entries that say so delete rows', async () => {
    const answers: readonly object[] = [
      { items: [{ id: 1 }, { id: 2 }], page: 'p2' },
      { items: [{ id: 3 }], sync: 's1' },
      { items: [{ id: 2, deleted: true }, { id: 4 }], sync: 's2' },
      { items: [], sync: 's3' },
    ]
    const made = await runs(byToken, (_url, number) => ({ json: answers[number - 1] }), 3)
    expect(made.api.asked).toEqual(['GET /things', 'GET /things?page=p2', 'GET /things?sync=s1', 'GET /things?sync=s2'])
    expect(await idsOf(made.last)).toEqual([1, 3, 4])
    expect(made.done.map(({ result }) => result.receipts[0]?.verdict)).toEqual(['complete', 'complete', 'complete'])
    expect(await tokenOf(made)).toEqual({ initial_value: null, last_value: 's3', unique_hashes: [], start_value: 's2' })
  })

  it('is no next page, whatever its name, unless that speaks of pages', async () => {
    const byName = async (name: string) =>
      await runs(
        { token_path: name, token_param: 'since' },
        (_url, number) => ({ json: { items: [{ id: number }], [name]: `s${number}` } }),
        2,
        { paginator: 'single_page' },
      )
    const sync = await byName('nextToken')
    expect(sync.api.asked).toEqual(['GET /things', 'GET /things?since=s1'])
    expect(sync.last.result.receipts[0]?.verdict).not.toBe('unproven')
    const page = await byName('nextPageToken')
    expect(page.api.asked).toEqual(['GET /things', 'GET /things'])
    expect(page.last.result.receipts[0]?.reasons.join()).toContain('has a next page at "nextPageToken"')
  })

  it('may be a link, which is followed as it is', async () => {
    const made = await runs(
      byLink,
      ({ pathname, origin }) =>
        pathname === '/things'
          ? { json: { items: [{ id: 1 }, { id: 2 }], '@odata.deltaLink': `${origin}/delta?$token=d1` } }
          : {
              json: {
                items: [{ id: 2, '@removed': { reason: 'deleted' } }],
                '@odata.deltaLink': `${origin}/delta?$token=d2`,
              },
            },
      2,
    )
    expect(made.api.asked).toEqual(['GET /things', 'GET /delta?$token=d1'])
    expect(await idsOf(made.last)).toEqual([1])
  })

  it('goes into the body where a placeholder is', async () => {
    const made = await runs({ token_path: 'sync' }, () => ({ json: { items: [{ id: 1 }], sync: 7 } }), 2, {
      method: 'POST',
      json: { cursor: '{incremental.last_value}' },
    })
    expect(made.api.asked.map(text => text.replace(/^\S+ \S+ /, ''))).toEqual(['{"cursor":null}', '{"cursor":7}'])
  })

  it.each([
    ['410', byToken, { status: 410, json: { error: 'gone' } }],
    [
      'a named error',
      { ...byToken, token_expired: { status: 400, body: 'INVALID_CURSOR' } },
      { status: 400, json: { code: 'INVALID_CURSOR' } },
    ],
    [
      'an error with status 200',
      { ...byToken, token_expired: { body: 'TOKEN_EXPIRED' } },
      { json: { error: 'TOKEN_EXPIRED' } },
    ],
  ])('that expired means that everything is read again, once: %s', async (_what, incremental, refusal) => {
    const made = await runs(
      incremental,
      ({ searchParams }, number) =>
        searchParams.has('sync') ? refusal : { json: { items: [{ id: number }], sync: `s${number}` } },
      2,
    )
    expect(made.api.asked).toEqual(['GET /things', 'GET /things?sync=s1', 'GET /things'])
    const [receipt] = made.last.result.receipts
    expect(receipt).toMatchObject({
      verdict: 'complete',
      reasons: [expect.stringContaining('no longer knows the sync token')],
    })
    expect(made.last.events).toContainEqual(expect.objectContaining({ type: 'warning', code: 'token_expired' }))
    expect(await tokenOf(made)).toMatchObject({ last_value: 's3' })
  })

  it.each([
    [
      'is merged',
      {},
      'complete',
      [
        [3, 'new'],
        [4, 'new'],
      ],
    ],
    [
      'is inserted only',
      { write_disposition: { disposition: 'merge', strategy: 'insert-only' } },
      'complete',
      undefined,
    ],
    ['is appended', { write_disposition: 'append', columns: {} }, 'unproven', undefined],
  ])(
    'that expires on a later page means the same, once, and what came before stays: %s',
    async (_what, hints, verdict, rows) => {
      const api = await testApi(({ searchParams }) => {
        if (searchParams.get('page') === 'p2') return { status: 410, json: {} }
        if (searchParams.get('sync') === 's1')
          return {
            json: {
              items: [
                { id: 2, deleted: true },
                { id: 3, name: 'delta' },
              ],
              page: 'p2',
              total: 9,
            },
          }
        if (searchParams.has('sync')) return { json: { items: [], sync: 's3' } }
        const items = api.asked.length === 1 ? [1, 2] : [3, 4]
        return { json: { items: items.map(id => ({ id, name: 'new' })), sync: `s${items[0]}`, total: 2 } }
      })
      const plain = document(api.origin, byToken)
      const [resource] = plain.resources as readonly object[]
      const made = await prepared({ ...plain, resources: [{ ...resource, ...hints }] } as unknown as RestApiConfig)
      await run(made)
      const second = await run(made)
      expect(second.result.receipts[0]).toMatchObject({ verdict, records: 4 })
      expect(second.events.filter(event => 'code' in event && event.code === 'token_expired')).toHaveLength(1)
      if (rows !== undefined) {
        const found = (await second.rows('things')).map(({ id, name }) => [Number(id), name]).toSorted()
        expect(found).toEqual([[1, 'new'], ...rows])
      }
      await run(made)
      const expected = ['', '?sync=s1', '?sync=s1&page=p2', '', '?sync=s3']
      expect(api.asked).toEqual(expected.map(query => `GET /things${query}`))
    },
  )

  it.each([
    ['to the first request of all', 1, ['GET /things', 'GET /things', 'GET /things?sync=s2']],
    ['to the new reading', 3, ['GET /things', 'GET /things?sync=s1', 'GET /things', 'GET /things']],
    [
      'to the new reading after a second page',
      4,
      ['GET /things', 'GET /things?sync=s1', 'GET /things?sync=s1&page=2', 'GET /things', 'GET /things'],
    ],
  ])(
    'an answer that looks like an expired token is asked for again after a failure: %s',
    async (what, fails, asked) => {
      const api = await testApi(({ searchParams }) => {
        const number = api.asked.length
        if (number === fails) return { status: 410, json: {} }
        const isPaged = what.endsWith('second page') && searchParams.has('sync')
        if (searchParams.has('page')) return { status: 410, json: {} }
        if (what === 'to the new reading' && searchParams.has('sync')) return { status: 410, json: {} }
        return { json: { items: [{ id: number }], ...(isPaged ? { page: '2' } : { sync: `s${number}` }) } }
      })
      const made = await prepared(document(api.origin, byToken))
      const outcomes: boolean[] = []
      for (let number = 1; number <= 3; number++) {
        outcomes.push(
          await run(made).then(
            () => true,
            () => false,
          ),
        )
      }
      expect(outcomes).toEqual(fails === 1 ? [false, true, true] : [true, false, true])
      expect(api.asked).toEqual(asked)
    },
  )

  it('that is refused without being sent fails the run', async () => {
    const api = await testApi(() => ({ status: 410, json: {} }))
    await expect(run(await prepared(document(api.origin, byToken)))).rejects.toMatchObject({ code: 'http_status' })
    expect(api.asked).toHaveLength(1)
  })

  it.each([
    ['another page is told of', { items: [{ id: 2 }], sync: 's2', has_more: true }],
    ['a total is larger', { items: [{ id: 2 }], sync: 's2', total: 9 }],
  ])('stays where the end is not proven: %s', async (_what, second) => {
    const made = await runs(
      byToken,
      (_url, number) => ({ json: number === 1 ? { items: [{ id: 1 }], sync: 's1' } : second }),
      2,
    )
    expect(made.last.result.receipts[0]?.verdict).toBe('unproven')
    expect(made.last.result.warnings).toContainEqual(
      expect.objectContaining({ code: 'cursor_held', message: expect.stringContaining('so the sync token stays') }),
    )
    expect(await tokenOf(made)).toMatchObject({ last_value: 's1' })
  })

  it('stays where a run was limited', async () => {
    const api = await testApi(() => ({ json: { items: [{ id: 1 }], sync: 's1', page: 'p2' } }))
    const made = await prepared(document(api.origin, byToken))
    await run(made, { maxPages: 1 })
    expect((await made.dataset().state())?.sources ?? {}).toEqual({})
  })

  it.each<[string, object, object, string]>([
    ['is not there', byToken, { items: [], synk: 's1' }, 'did you mean "synk"?'],
    ['is null', byToken, { items: [], sync: null }, 'but is null'],
    ['is a list', byToken, { items: [], sync: [1] }, 'but is a list'],
    [
      'leads elsewhere',
      byLink,
      { items: [], '@odata.deltaLink': 'https://evil.example/x?token=t' },
      'client.allowed_hosts',
    ],
  ])('that %s is an error, and nothing is kept', async (_what, incremental, json, problem) => {
    const api = await testApi(() => ({ json }))
    const made = await prepared(document(api.origin, incremental))
    await expect(run(made)).rejects.toThrow(problem)
    expect(api.asked).toHaveLength(1)
  })

  describe('whose changes come twice, word for word, on several pages', () => {
    type Reading = readonly (readonly number[])[]
    const stable: Reading = [
      [2, 4],
      [4, 5],
    ]
    /** The first run reads a list, the second the changes: each of its readings gets the next of these. */
    const changes = async (readings: readonly Reading[], more: object = {}) => {
      let begun = 0
      const api = await testApi(({ searchParams }) => {
        if (!searchParams.has('sync')) return { json: { items: [{ id: 1 }], sync: 's1' } }
        const at = Number(searchParams.get('page') ?? 0)
        if (at === 0) begun += 1
        const pages = readings[begun - 1]
        if (pages === undefined) return { status: 410, json: {} }
        const items = (pages[at] ?? []).map(id => ({ id }))
        return { json: { items, ...(at + 1 < pages.length ? { page: `${at + 1}` } : { sync: `s${begun + 1}` }) } }
      })
      const plain = document(api.origin, byToken)
      const [resource] = plain.resources as readonly object[]
      const made = await prepared({ ...plain, resources: [{ ...resource, ...more }] } as unknown as RestApiConfig)
      await run(made)
      const last = await run(made)
      const state = (await made.dataset().state())?.sources ?? {}
      const [token] = Object.values(state)
      return {
        ids: (await idsOf(last)).sort((a, b) => a - b),
        token: token?.resources?.things?.incremental?.sync?.last_value,
        receipt: last.result.receipts[0],
        codes: last.result.warnings.map(({ code }) => code).filter(code => code !== 'null_only_column'),
        readings: begun,
      }
    }

    it('is read once more, and is whole where none does then', async () => {
      const read = await changes([
        stable,
        [
          [2, 4],
          [5, 13],
        ],
      ])
      expect(read).toMatchObject({ ids: [1, 2, 4, 5, 13], token: 's3', readings: 2, codes: ['list_changed'] })
      expect(read.receipt).toMatchObject({ verdict: 'complete', records: 5 })
    })

    it('moves where the API repeats the same, and says that nothing proves it', async () => {
      const read = await changes([stable, stable])
      expect(read).toMatchObject({ ids: [1, 2, 4, 5], token: 's3', codes: ['list_changed', 'cursor_ahead'] })
      expect(read.receipt?.verdict).toBe('unproven')
      expect(read.receipt?.reasons.join()).toContain('1 change came again word for word on a later page')
    })

    it.each<[string, Reading]>([
      [
        'in another order',
        [
          [4, 5],
          [2, 4],
        ],
      ],
      [
        'others',
        [
          [4, 2],
          [2, 13],
        ],
      ],
      ['and the API then knows the token no longer', undefined as never],
    ])('stays where they come twice again: %s', async (_what, second) => {
      const read = await changes([stable, ...(second === undefined ? [] : [second])])
      expect(read).toMatchObject({ token: 's1', codes: ['list_changed', 'cursor_held'] })
      expect(read.receipt?.verdict).toBe('unproven')
      expect(read.ids).toEqual([...new Set([1, ...stable.flat(), ...(second ?? []).flat()])].toSorted((a, b) => a - b))
    })

    it('appends what the second reading has beyond the first, and nothing else again', async () => {
      const read = await changes(
        [
          [[2, 4], [4]],
          [[2, 4], [13]],
        ],
        { write_disposition: 'append', columns: {} },
      )
      expect(read.ids).toEqual([1, 2, 4, 4, 13])
      expect(read.token).toBe('s3')
      expect(read.receipt?.reasons.join()).toContain('1 record came twice, and rows are not merged')
    })

    it('is read once where they come twice on one page', async () => {
      const read = await changes([[[2, 2], [4]]])
      expect(read).toMatchObject({ ids: [1, 2, 4], token: 's2', readings: 1, codes: [] })
      expect(read.receipt?.verdict).toBe('complete')
    })
  })

  it('is shown by the plan', async () => {
    const made = await runs(byToken, () => ({ json: { items: [{ id: 1 }], sync: 's1' } }), 1)
    const { resources } = await made.made.plan()
    expect(JSON.stringify(resources)).toContain('sync=s1')
  })
})

describe('the document', () => {
  it.each([
    [{ token_pth: 'x' }, 'token_path'],
    [{ initial_value: 1 }, 'is missing'],
    [{ cursor_path: 'a', token_path: 'b' }, 'leave one out'],
    [{ next_url_path: 'a', token_param: 'b' }, 'needs `token_path`'],
    [{ cursor_path: 'a', token_expired: { status: 410 } }, 'needs `token_path`'],
    [{ token_path: 'a', lag: 5 }, 'makes no sense'],
    [{ token_path: 'a[' }, 'JSONPath'],
    [{ token_path: 'a', token_expired: {} }, 'needs `status` or `body`'],
    [{ token_path: 'a', token_expired: { stauts: 410 } }, 'status'],
  ])('is refused with what is wrong: %j', (incremental, problem) => {
    expect(() => things('https://api.example', { incremental })).toThrow(problem)
  })
})
