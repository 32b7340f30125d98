import { describe, expect, it } from 'vitest'
import { type Answer, read, things } from './listServer.js'
import { load, prepared, run, testApi } from './loading.js'

/** Ends of lists that the document declares: a missing link, flags, totals of every paginator. */

const page = (...ids: number[]) => ids.map(id => ({ id }))
const json = (body: object, headers?: Readonly<Record<string, string>>): Answer => ({
  json: body,
  ...(headers && { headers }),
})

/** Reads the list of an API that gives these answers in their order; more than there are is a failure. */
async function reading(answers: readonly Answer[], paginator: unknown, endpoint: object = {}) {
  const api = await testApi(() => answers[api.asked.length - 1] ?? { status: 410, json: {} })
  const list = await read(things(api.origin, { data_selector: 'data', paginator, ...endpoint }))
  return { ...list, asked: api.asked }
}

const link = { type: 'json_link', next_url_path: 'links.next', stop_when_missing: true }
const cursor = { type: 'cursor', cursor_path: 'next_token', stop_when_missing: true }
const header = { type: 'header_link', stop_when_missing: true }
const headerCursor = { type: 'header_cursor', cursor_key: 'X-Cursor', stop_when_missing: true }

describe('stop_when_missing', () => {
  it.each([
    ['a link', link],
    ['a cursor', cursor],
    ['a Link header', header],
    ['a cursor in a header', headerCursor],
  ])('ends a list of one page without %s', async (_what, paginator) => {
    const { end } = await reading(
      [json({ data: page(1, 2), meta: { version: 'v1' } }, { 'x-request-id': 'abc' })],
      paginator,
    )
    expect(end).toMatchObject({ end: 'proven', reason: expect.stringContaining('`stop_when_missing`') })
    expect(end).not.toHaveProperty('unlessSeen')
  })

  it.each<[string, object, Answer]>([
    ['a total', cursor, json({ data: page(1), total: 9 })],
    ['a total in a header', header, json({ data: page(1) }, { 'x-total-count': '9' })],
    ['has_more', link, json({ data: page(1), has_more: true })],
    ['a flag that it is not the last', link, json({ data: page(1), isLast: false })],
    ['a number of pages', cursor, json({ data: page(1), meta: { total_pages: 3 } })],
    ['a rest', cursor, json({ data: page(1), metadata: { remainingItemCount: 7 } })],
    ['a cursor by another name', link, json({ data: page(1), bookmark: 'b' })],
    ['a name that is nearly the same', cursor, json({ data: page(1), next_tokn: 'c' })],
    ['a header of nearly the same name', headerCursor, json({ data: page(1) }, { 'x-curser': 'c' })],
    ['a relation of nearly the same name', header, json({ data: page(1) }, { link: '</p2>; rel="next-page"' })],
    ['a header that is cut', header, json({ data: page(1) }, { link: '<https://api.example/thi' })],
    ['an error beside the records', cursor, json({ data: page(1), errors: [{ message: 'shard 3 failed' }] })],
  ])('does not stand against %s', async (_what, paginator, answer) => {
    const { end } = await reading([answer], paginator)
    expect(end.end).not.toBe('proven')
  })

  it.each<[string, object, Answer, string]>([
    ['a link elsewhere', link, json({ data: page(1), next: '/things?p=2' }), 'next'],
    ['a cursor elsewhere', cursor, json({ data: page(1), meta: { nextToken: 'c' } }), 'meta.nextToken'],
    ['a cursor in a header', link, json({ data: page(1) }, { 'x-next-cursor': 'c' }), 'x-next-cursor'],
    ['a Link header', cursor, json({ data: page(1) }, { link: '</things?p=2>; rel="next"' }), 'link'],
  ])('is refused where the first page has %s', async (_what, paginator, answer, place) => {
    await expect(reading([answer], paginator)).rejects.toMatchObject({
      code: 'response_format',
      message: expect.stringContaining(`"${place}"`),
    })
  })

  it('deletes what a list of one page no longer has', async () => {
    let ids = [1, 2, 3]
    const api = await testApi(() => ({ json: { data: page(...ids) } }))
    const made = await prepared({
      client: { base_url: api.origin },
      resources: [
        {
          name: 'things',
          primary_key: 'id',
          write_disposition: 'merge' as const,
          deletes: 'hard' as const,
          max_delete_share: 1,
          endpoint: { data_selector: 'data', paginator: cursor as never },
        },
      ],
    })
    const first = await run(made)
    expect(first.result.receipts[0]).toMatchObject({ verdict: 'complete' })
    ids = [1]
    const second = await run(made)
    expect(second.result.receipts[0]).toMatchObject({ verdict: 'complete', deleted: 2 })
  })
})

describe('a flag', () => {
  const paginators: readonly (readonly [string, object, object, object])[] = [
    ['a link', { type: 'json_link', next_url_path: 'next' }, { next: '/things?p=2' }, { next: '/things?p=3' }],
    ['a cursor', { type: 'cursor', cursor_path: 'next' }, { next: 'a' }, { next: 'b' }],
    ['page_number', { type: 'page_number', base_page: 1, total_path: null }, {}, {}],
    ['offset', { type: 'offset', limit: 1, total_path: null }, {}, {}],
  ]
  it.each(paginators)('of done_path ends a list by %s, though it leads on', async (_what, paginator, one, two) => {
    const answers = [json({ data: page(1), done: false, ...one }), json({ data: page(2), done: true, ...two })]
    const { end, records, asked } = await reading(answers, { ...paginator, done_path: 'done' })
    expect(end).toMatchObject({ end: 'proven', reason: '"done" says there is no more' })
    expect(records).toHaveLength(2)
    expect(asked).toHaveLength(2)
  })

  it.each(['json_link', 'header_link', 'header_cursor'])('of has_more_path ends a list by %s', async type => {
    const { end, asked } = await reading(
      [json({ data: page(1), more: 'no', next: '/things?p=2' }, { link: '</things?p=2>; rel="next"', next: 'c' })],
      { type, has_more_path: 'more' },
    )
    expect(end.end).toBe('proven')
    expect(asked).toHaveLength(1)
  })

  it.each(['json_link', 'header_link', 'header_cursor', 'cursor'])('that says more is held against %s', async type => {
    const list = reading([json({ data: page(1), done: 'false' })], { type, done_path: 'done', stop_when_missing: true })
    await expect(list).rejects.toMatchObject({
      code: 'pagination_loop',
      message: expect.stringContaining('says there is more'),
    })
  })

  it.each([
    ['is missing', { data: page(1), next: 'c', meta: { end_of_stream: true } }, 'did you mean "meta.end_of_stream"?'],
    ['is no flag', { data: page(1), next: 'c', end_of_strem: 'soon' }, 'but is the text "soon"'],
  ])('that %s is an error', async (_what, body, problem) => {
    const list = reading([json(body)], { type: 'cursor', cursor_path: 'next', done_path: 'end_of_strem' })
    await expect(list).rejects.toMatchObject({ code: 'response_format', message: expect.stringContaining(problem) })
  })
})

describe('a flag as APIs write it', () => {
  const kinds: readonly (readonly [string, object])[] = [
    ['page_number', { type: 'page_number', total_path: null }],
    ['page_number without another end', { type: 'page_number', total_path: null, stop_after_empty_page: false }],
    ['offset', { type: 'offset', limit: 1, total_path: null }],
    ['offset without another end', { type: 'offset', limit: 1, total_path: null, stop_after_empty_page: false }],
    ['keyset', { type: 'keyset', field: 'id', param: 'after', limit: 1 }],
    ['cursor', { type: 'cursor', cursor_path: 'next' }],
    ['json_link', { type: 'json_link', next_url_path: 'link' }],
  ]
  const values: readonly (readonly [unknown, unknown])[] = [
    [true, false],
    ['1', '0'],
    ['true', 'False'],
    ['Y', 'n'],
  ]
  const leads = { next: 'c', link: '/things?p=2' }

  it.each(kinds.flatMap(([kind, paginator]) => values.map(([yes, no]) => [kind, paginator, yes, no] as const)))(
    'ends %s, %j: %j and %j',
    async (_kind, paginator, yes, no) => {
      const answers = [
        json({ data: page(1), more: yes, ...leads }),
        json({ data: page(2), more: no, ...leads, next: 'd', link: '/things?p=3' }),
      ]
      const { end, records } = await reading(answers, { ...paginator, has_more_path: 'more' })
      expect(end).toMatchObject({ end: 'proven', reason: '"more" says there is no more' })
      expect(records).toHaveLength(2)
    },
  )

  it.each(
    kinds.flatMap(([kind, paginator]) =>
      [{ more: null }, { more: '' }, {}].map(none => [kind, paginator, none] as const),
    ),
  )('that is missing at the end is left to the other ends of %s, %j: %j', async (kind, paginator, none) => {
    const answers = [
      json({ data: page(1), more: true, ...leads }),
      json({ data: page(2), ...none }),
      json({ data: [], ...none }),
    ]
    const { end, records } = await reading(answers, { ...paginator, has_more_path: 'more' })
    expect(end).toMatchObject(kind.includes('without') ? { end: 'limited', code: 'flag_missing' } : { end: 'proven' })
    expect(records).toHaveLength(2)
  })

  it.each(kinds)('that one answer leaves out does not end %s, if it leads on: %j', async (kind, paginator) => {
    const answers = [
      json({ data: page(1), more: true, ...leads }),
      json({ data: page(2), ...leads, next: 'd', link: '/things?p=3' }),
      json({ data: page(3), more: false }),
    ]
    const { end, records } = await reading(answers, { ...paginator, has_more_path: 'more' })
    const isOnlyEnd = kind.includes('without')
    expect(records).toHaveLength(isOnlyEnd ? 2 : 3)
    expect(end).toMatchObject({ end: isOnlyEnd ? 'limited' : 'proven' })
  })

  it.each(kinds)('that was never there proves no end of %s: %j', async (kind, paginator) => {
    const answers = [json({ data: page(1) }), json({ data: [] })]
    const { end } = await reading(answers, { ...paginator, has_more_path: 'more' })
    // An API that begins at its other end gives nothing behind a full page either.
    const showsItself = /^(?:page_number|offset)$/.test(kind)
    expect(end).toMatchObject({ end: showsItself ? 'proven' : 'limited' })
  })

  it.each([
    ['page_number', { type: 'page_number', total_path: null }],
    ['offset', { type: 'offset', limit: 1, total_path: null }],
  ])('that has another name is an error with %s', async (_kind, paginator) => {
    const answers = [json({ data: page(1), meta: { has_more: true } })]
    await expect(reading(answers, { ...paginator, has_more_path: 'has_more' })).rejects.toThrow(
      'did you mean "meta.has_more"?',
    )
  })
})

describe('a page 0', () => {
  it('without records, where the API says that the list has none, is the end', async () => {
    const { end } = await reading([json({ data: [], total: 0 })], { type: 'page_number', total_path: null })
    expect(end).toMatchObject({ end: 'proven' })
  })

  it.each([{ count: 0 }, { total: 3 }, { results_count: 0 }])('is no end by %j', async said => {
    const { end } = await reading([json({ data: [], ...said })], { type: 'page_number', total_path: null })
    expect(end.end).not.toBe('proven')
  })

  it('with the records of page 1 names what to set', async () => {
    const answers = [json({ data: page(1, 2) }), json({ data: page(1, 2) })]
    const list = reading(answers, { type: 'page_number', total_path: null })
    await expect(list).rejects.toMatchObject({
      code: 'pagination_loop',
      message: expect.stringContaining('set base_page: 1'),
    })
    const declared = reading(answers, { type: 'page_number', base_page: 0, total_path: null })
    await expect(declared).rejects.not.toThrow('base_page')
  })
})

describe('a total', () => {
  it.each([
    ['json_link', { type: 'json_link', next_url_path: 'next' }],
    ['cursor', { type: 'cursor', cursor_path: 'next' }],
    ['header_link', { type: 'header_link' }],
    ['header_cursor', { type: 'header_cursor', cursor_key: 'X-Next' }],
    ['single_page', { type: 'single_page' }],
  ])('proves the end of a list by %s, and one that is not reached fails the run', async (_type, paginator) => {
    for (const [many, verdict] of [
      [2, 'complete'],
      [3, 'incomplete'],
    ] as const) {
      for (const total of [{ total_path: 'info.many' }, { total_header: 'X-Many' }]) {
        const api = await testApi(() => json({ data: page(1, 2), info: { many } }, { 'x-many': String(many) }))
        const { result } = await load(
          {
            client: { base_url: api.origin },
            resources: [
              { name: 'things', endpoint: { data_selector: 'data', paginator: { ...paginator, ...total } as never } },
            ],
          },
          { allowIncomplete: true },
        )
        expect(result.receipts[0]).toMatchObject({ verdict, announced: many })
      }
    }
  })

  it('of a header counts pages for page_number, which are then asked for together', async () => {
    const answer = (id: number): Answer => json({ data: page(id) }, { 'x-wp-totalpages': '3' })
    const paginator = { type: 'page_number', base_page: 1, total_header: 'X-WP-TotalPages' }
    const { end, asked } = await reading([answer(1), answer(2), answer(3)], paginator)
    expect(end).toMatchObject({ end: 'proven', reason: 'the API announced 3 pages' })
    expect(asked).toHaveLength(3)
  })

  it('of a header counts records for offset', async () => {
    const answer = (...ids: number[]): Answer => json({ data: page(...ids) }, { 'total-rows': '3' })
    const { end, asked } = await reading([answer(1, 2), answer(3)], {
      type: 'offset',
      limit: 2,
      total_header: 'Total-Rows',
    })
    expect(end).toMatchObject({ end: 'proven', reason: 'the API announced 3 records' })
    expect(asked).toHaveLength(2)
  })

  it.each([
    ['a path', { total_path: 'meta.totl' }, 'did you mean "meta.total"?'],
    ['a header', { total_header: 'X-Manny' }, 'did you mean "x-many"?'],
    ['a path of something else', { total_path: 'meta' }, 'but is an object'],
  ])('that is not there is an error with what was meant: %s', async (_what, total, problem) => {
    for (const paginator of [
      { type: 'cursor', cursor_path: 'next' },
      { type: 'page_number', base_page: 1 },
      { type: 'single_page' },
    ]) {
      const list = reading([json({ data: page(1), next: null, meta: { total: 1 } }, { 'x-many': '1' })], {
        ...paginator,
        ...total,
      })
      await expect(list).rejects.toMatchObject({ message: expect.stringContaining(problem) })
    }
  })
})

describe('header_link with another header', () => {
  it('follows a URL that stands alone', async () => {
    const paginator = { type: 'header_link', header: 'Next-Page' }
    const { end, asked } = await reading(
      [json({ data: page(1) }, { 'next-page': '/things?page=2' }), json({ data: page(2) })],
      paginator,
    )
    expect(asked).toEqual(['GET /things', 'GET /things?page=2'])
    expect(end).toMatchObject({ end: 'proven', reason: 'the last page has no header Next-Page' })
  })

  it('reads it as a Link header where it is one', async () => {
    const paginator = { type: 'header_link', header: 'X-Links', links_next_key: 'more' }
    const { asked } = await reading(
      [json({ data: page(1) }, { 'x-links': '</things?page=2>; rel="more"' }), json({ data: page(2) })],
      paginator,
    )
    expect(asked).toEqual(['GET /things', 'GET /things?page=2'])
  })

  it('refuses a number', async () => {
    const list = reading([json({ data: page(1) }, { 'x-next': '2' })], { type: 'header_link', header: 'X-Next' })
    await expect(list).rejects.toMatchObject({ message: expect.stringContaining('header_cursor') })
  })
})

describe('the document', () => {
  it.each([
    [{ type: 'json_link', stop_wen_missing: true }, 'stop_when_missing'],
    [{ type: 'cursor', done_pth: 'done' }, 'done_path'],
    [{ type: 'offset', limit: 1, total_heder: 'X' }, 'total_header'],
    [{ type: 'header_link', hedder: 'X' }, 'header'],
    [{ type: 'header_link', header: 'Next Page' }, 'the name of a response header'],
    [{ type: 'cursor', done_path: 'done', has_more_path: 'more' }, 'leave one of them out'],
    [{ type: 'page_number', total_path: 'a', total_header: 'b' }, 'leave one of them out'],
    [{ type: 'cursor', done_path: 'a[' }, 'done_path'],
  ])('is refused with what was meant: %j', (paginator, problem) => {
    expect(() => things('https://api.example', { paginator })).toThrow(problem)
  })
})

describe('an empty page', () => {
  const flagged = { has_more_path: 'meta.weiter', stop_after_empty_page: true }
  const kinds: [string, object][] = [
    ['offset', { type: 'offset', limit: 2, total_path: null }],
    ['page_number', { type: 'page_number', total_path: null }],
    ['keyset', { type: 'keyset', field: 'id', param: 'after', limit: 3 }],
    ['cursor', { type: 'cursor', cursor_path: 'c' }],
  ]
  const full = json({ data: page(1, 2), c: 'x', meta: { weiter: true, schluss: false } })

  it.each(kinds)('of %s proves nothing if the flag says that there is more', async (_type, paginator) => {
    const empty = json({ data: [], c: 'y', meta: { weiter: true, schluss: false } })
    const { end } = await reading([full, empty], { ...paginator, ...flagged })
    expect(end).toMatchObject({ end: 'limited', reason: '"meta.weiter" says there is more' })
    const done = { done_path: 'meta.schluss', stop_after_empty_page: true }
    expect((await reading([full, empty], { ...paginator, ...done })).end.end).toBe('limited')
  })

  it.each(kinds)('of %s needs no flag', async (_type, paginator) => {
    const { end } = await reading([full, json({ data: [] })], { ...paginator, ...flagged })
    expect(end).toMatchObject({ end: 'proven', reason: 'the last page is empty' })
  })

  it.each([[true], [false], [undefined]])('before the last one proves nothing, if the flag is %s', async weiter => {
    const paginator = { type: 'page_number', total_path: 'seiten', ...flagged }
    const answers = [
      json({ data: page(1), seiten: 5, meta: { weiter: true } }),
      json({ data: [], seiten: 5, meta: { weiter } }),
    ]
    expect((await reading(answers, paginator)).end.end).toBe('limited')
  })
})

describe('an empty page 0', () => {
  const reading0 = (first: object, paginator: object = {}) =>
    reading([json(first)], { type: 'page_number', ...paginator })

  it('is no end where the API may count from 1', async () => {
    const { end } = await reading0({ data: [] })
    expect(end).toMatchObject({ end: 'limited', reason: expect.stringContaining('`base_page`') })
    expect(end).toMatchObject({ unlessSeen: { end: { end: 'proven' } } })
  })

  it.each([
    ['no end without a `base_page`', {}, 'limited'],
    ['the end of a list that begins there', { base_page: 0 }, 'proven'],
  ])('that has no content is %s', async (_what, paginator, end) => {
    const found = await reading([{ status: 204 }], { type: 'page_number', total_path: null, ...paginator })
    expect(found.end).toMatchObject({ end })
  })

  it.each<[string, object, object]>([
    ['the document says where pages begin', { data: [] }, { base_page: 0 }],
    ['the API says that there is none', { data: [], total: 0 }, {}],
    ['a flag says that there is no more', { data: [], more: false }, { has_more_path: 'more' }],
  ])('is the end if %s', async (_what, first, paginator) => {
    expect((await reading0(first, paginator)).end).toMatchObject({ end: 'proven' })
  })

  it('of pages that are announced names the remedy', async () => {
    const { end } = await reading0({ data: [], pages: 3 }, { total_path: 'pages' })
    expect(end).toMatchObject({ end: 'suspect', reason: expect.stringContaining('set base_page: 1') })
  })

  it.each<[string, object, string]>([
    ['page_number', { base_page: 1, total_path: 'total' }, 'if the number is never true, set total_path: null'],
    [
      'page_number',
      { base_page: 1, total_header: 'X-Total' },
      'if the number is never true, leave total_header: X-Total out',
    ],
    ['offset', { limit: 1, total_path: 'total' }, 'if the total is never true, set total_path: null'],
    ['offset', { limit: 1, total_header: 'X-Total' }, 'if the total is never true, leave total_header: X-Total out'],
  ])('of a list of %s with %j names the key that has the total', async (type, keys, remedy) => {
    const answer = (...ids: number[]) => json({ data: page(...ids), total: 3 }, { 'x-total': '3' })
    const { end } = await reading([answer(1), answer()], { type, ...keys })
    expect(end).toMatchObject({ end: 'suspect', reason: expect.stringContaining(remedy) })
  })

  it('of one list is its end if another list of the resource had records there', async () => {
    const api = await testApi(url => {
      if (url.pathname === '/shops') return { json: page(1, 2, 3) }
      const isFirst = url.searchParams.get('page') === '0'
      return { json: { data: isFirst && url.pathname === '/shops/2/visits' ? page(7) : [] } }
    })
    const visits = {
      name: 'visits',
      endpoint: {
        path: 'shops/{resources.shops.id}/visits',
        data_selector: 'data',
        paginator: { type: 'page_number' },
      },
    }
    const shops = { name: 'shops', endpoint: { paginator: 'single_page' } }
    const { result } = await load({ client: { base_url: api.origin }, resources: [shops, visits] } as never)
    expect(result.receipts.map(({ verdict }) => verdict)).toEqual(['complete', 'complete'])
  })

  it('keeps the rows of a table with deletes', async () => {
    let from = 0
    const api = await testApi(url => ({
      json: { data: Number(url.searchParams.get('page')) === from ? page(1, 2) : [] },
    }))
    const things = {
      name: 'things',
      primary_key: 'id',
      write_disposition: 'merge',
      deletes: 'hard',
      max_delete_share: 1,
      endpoint: { data_selector: 'data', paginator: { type: 'page_number' } },
    }
    const pipeline = await prepared({ client: { base_url: api.origin }, resources: [things] } as never)
    await run(pipeline)
    from = 1
    const { result, rows } = await run(pipeline)
    expect(result.receipts).toMatchObject([{ verdict: 'unproven', records: 0 }])
    expect(await rows('things')).toHaveLength(2)
  })
})

describe('an answer without content', () => {
  const flagged = { has_more_path: 'meta.weiter' }
  const meta = { meta: { weiter: true, seiten: 3, anzahl: 6 } }
  const numbered = { type: 'page_number', base_page: 1 }

  it.each<[string, object, Answer]>([
    ['the pages that a path announces', { ...numbered, total_path: 'meta.seiten' }, json({ data: page(1), ...meta })],
    [
      'the pages that a header announces',
      { ...numbered, total_header: 'x-p' },
      json({ data: page(1) }, { 'x-p': '3' }),
    ],
    ['a flag and page_number', { ...numbered, total_path: null, ...flagged }, json({ data: page(1), ...meta })],
    ['a flag and offset', { type: 'offset', limit: 1, total_path: null, ...flagged }, json({ data: page(1), ...meta })],
    [
      'the announced records',
      { type: 'offset', limit: 2, total_path: 'meta.anzahl' },
      json({ data: page(1, 2), ...meta }),
    ],
    ['a flag and a link', { ...link, ...flagged }, json({ data: page(1), links: { next: '/things?p=2' }, ...meta })],
    ['has_more', { ...numbered, total_path: null }, json({ data: page(1), has_more: true })],
  ])('proves nothing against %s', async (_what, paginator, first) => {
    const { end } = await reading([first, { status: 204 }], paginator)
    expect(end).toMatchObject({ end: 'limited', reason: expect.stringContaining('without content') })
  })

  it.each<[string, object, Answer]>([
    ['a cursor', { ...cursor, has_more_path: 'more' }, json({ data: [], next_token: 'x', more: null })],
    ['a link', { ...link, has_more_path: 'more' }, json({ data: [] })],
  ])('is not waited for where pages are empty and the flag says nothing: %s', async (_what, paginator, empty) => {
    const api = await testApi(() => {
      const { json: body, ...answer } =
        api.asked.length === 1 ? json({ data: page(1), next_token: 'a', more: true }) : empty
      return {
        ...answer,
        json: {
          ...(body as object),
          next_token: `t${api.asked.length}`,
          links: { next: `/things?p=${api.asked.length}` },
        },
      }
    })
    const { end, records } = await read(things(api.origin, { data_selector: 'data', paginator }))
    expect(end).toMatchObject({ end: 'limited', unread: 'document', code: 'empty_unsaid' })
    expect(records).toHaveLength(1)
    expect(api.asked).toHaveLength(21)
  })

  it.each<[string, object, Answer, string]>([
    ['lines of JSON', { format: 'jsonl' }, { text: '' }, 'limited'],
    ['lines of JSON, and a total of 0', { format: 'jsonl' }, { text: '', headers: { 'x-total-count': '0' } }, 'proven'],
    ['CSV, and a total of 0', { format: 'csv' }, { text: '', headers: { 'x-total-count': '0' } }, 'proven'],
    ['a workbook, and a total of 0', { format: 'excel' }, { text: '', headers: { 'x-total-count': '0' } }, 'proven'],
  ])('under 200 is an empty list where something says so: %s', async (_what, format, answer, expected) => {
    const api = await testApi(() => answer)
    const { end, records } = await read(things(api.origin, { paginator: 'single_page', ...format }))
    expect(records).toEqual([])
    expect(end).toMatchObject({ end: expected })
  })

  it('ends a list that says nothing of more', async () => {
    const { end } = await reading([json({ data: page(1) }), { status: 204 }], { ...numbered, total_path: null })
    expect(end).toMatchObject({ end: 'proven' })
  })
})
