import { describe, expect, it } from 'vitest'
import { ConfigError, type RestApiConfig } from '../../src/index.js'
import { parseRestConfig } from '../../src/rest/document/parseDocument.js'
import { read, source } from './listServer.js'
import { type Loaded, load, prepared, run, testApi } from './loading.js'

/** Lists inside records, of which an API gives only the beginning. */

interface Label {
  readonly id: number
  readonly name: string
}

interface Tracker {
  /** Labels of each issue, by its number. */
  readonly labels: Readonly<Record<number, readonly Label[]>>
  /** Labels that an issue has inside it. */
  readonly inside?: number
  /** What the API does at a request for the labels of an issue. */
  readonly at?: (issue: number, url: URL) => { status: number; json?: unknown } | undefined
}

const several = (count: number, from = 0): Label[] =>
  Array.from({ length: count }, (_, index) => ({ id: from + index, name: `label ${from + index}` }))

/** An API of issues: each has its first labels inside it, and a list of them all. */
async function tracker({ labels, inside = 2, at = () => undefined }: Tracker) {
  const api = await testApi(url => {
    const issue = /^\/issues\/(\d+)\/labels$/.exec(url.pathname)?.[1]
    if (issue === undefined) {
      const issues = Object.entries(labels).map(([number, all]) => ({
        number: Number(number),
        total: all.length,
        labels: all.slice(0, inside),
        more: all.length > inside,
      }))
      return { json: issues }
    }
    const all = labels[Number(issue)] ?? []
    const from = Number(url.searchParams.get('offset') ?? 0)
    return at(Number(issue), url) ?? { json: { items: all.slice(from, from + 3), total: all.length } }
  })
  const asked = () => api.asked.splice(0).filter(line => line.includes('/labels'))
  return { api, asked }
}

const listed = {
  path: 'issues/{resources.issues.number}/labels',
  data_selector: 'items',
  paginator: { type: 'offset', limit: 3, total_path: 'total' },
} as const

function document(origin: string, complete: object = {}, more: object = {}): RestApiConfig {
  return {
    client: { base_url: origin },
    resources: [
      {
        name: 'issues',
        primary_key: 'number',
        write_disposition: 'merge',
        endpoint: { paginator: 'single_page' },
        complete_nested: { labels: { total_path: 'total', endpoint: listed, ...complete } },
        ...more,
      },
    ],
  } as unknown as RestApiConfig
}

async function labelsOf(loaded: Loaded): Promise<unknown[]> {
  return (await loaded.rows('issues__labels')).map(({ id }) => id)
}

const ids = (count: number): number[] => Array.from({ length: count }, (_, index) => index)

describe('`complete_nested`', () => {
  it('reads the lists of those records that have more, page by page, and no others', async () => {
    const { api, asked } = await tracker({ labels: { 1: several(1), 2: several(8, 10), 3: several(2, 30) } })
    const loaded = await load(document(api.origin))
    expect(asked()).toEqual([0, 3, 6].map(offset => `GET /issues/2/labels?offset=${offset}&limit=3`))
    expect(await labelsOf(loaded)).toEqual([0, ...ids(8).map(id => 10 + id), 30, 31])
    expect(loaded.result.receipts).toMatchObject([
      { resource: 'issues', verdict: 'complete', records: 3, rows: { issues: 3, issues__labels: 11 } },
    ])
  })

  it('reads them whole in a run of few pages: a merge takes no row away', async () => {
    const { api, asked } = await tracker({ labels: { 1: several(8) } })
    const loaded = await run(await prepared(document(api.origin)), { maxPages: 1 })
    expect(asked()).toHaveLength(3)
    expect(await labelsOf(loaded)).toEqual(ids(8))
  })

  it('goes by an expression, by a flag, or by a total', async () => {
    const labels = { 1: several(2), 2: several(4) }
    for (const sign of [{ when: 'size(record.labels) < record.total' }, { has_more_path: 'more' }, {}]) {
      const { api, asked } = await tracker({ labels })
      const read = Object.keys(sign).length === 0 ? {} : { ...sign, total_path: null }
      const loaded = await load(document(api.origin, read))
      expect(asked()).toHaveLength(2)
      expect(await loaded.rows('issues__labels')).toHaveLength(6)
    }
  })

  it('says of which list it guesses how to read it', async () => {
    const { api } = await tracker({ labels: { 1: several(3) } })
    const found = await load(document(api.origin, { endpoint: { ...listed, data_selector: null } }))
    const guesses = found.events.flatMap(event => (event.type === 'detected' ? [event.guess] : []))
    expect(guesses).toEqual(['$', 'items for labels'])
  })

  it('appends what comes after the elements that are there', async () => {
    const { api } = await tracker({ labels: { 1: several(7) } })
    const rest = { ...listed, paginator: { ...listed.paginator, offset: 2 } }
    const loaded = await load(document(api.origin, { append: true, endpoint: rest }))
    expect(await labelsOf(loaded)).toEqual(ids(7))
  })

  it('goes on behind the cursor of a connection inside the record', async () => {
    const all = several(5)
    const connection = (from: number) => ({
      nodes: all.slice(from, from + 2),
      pageInfo: { hasNextPage: from + 2 < all.length, endCursor: `c${from + 2}` },
    })
    const api = await testApi((_url, { body }) => {
      const { variables = {} } = JSON.parse(body) as { variables?: { number?: number; after?: string } }
      if (variables.number === undefined) {
        const issues = [{ number: 1, labels: connection(0) }]
        return { json: { data: { issues: { nodes: issues, pageInfo: { hasNextPage: false, endCursor: null } } } } }
      }
      return { json: { data: { issue: { labels: connection(Number(variables.after?.slice(1))) } } } }
    })
    const loaded = await load({
      client: { base_url: api.origin },
      resources: [
        {
          name: 'issues',
          endpoint: { path: 'graphql', graphql: { query: 'query { issues }', connection: 'data.issues' } },
          complete_nested: {
            'labels.nodes': {
              has_more_path: 'labels.pageInfo.hasNextPage',
              append: true,
              endpoint: {
                path: 'graphql',
                graphql: {
                  query: 'query { issue { labels } }',
                  variables: {
                    number: '{resources.issues.number}',
                    after: '{resources.issues.labels.pageInfo.endCursor}',
                  },
                  connection: 'data.issue.labels',
                },
              },
            },
          },
        },
      ],
    })
    expect((await loaded.rows('issues__labels__nodes')).map(({ id }) => id)).toEqual(ids(5))
    expect(loaded.result.receipts[0]?.verdict).toBe('complete')
    expect(loaded.events.filter(({ type }) => type === 'warning')).toEqual([])
  })

  it('keeps all other bytes of a record, and makes a list that is missing or null', async () => {
    const records = [
      '{ "id": 12345678901234567890, "deep": {"a":1.50}, "n": 2 }',
      '{"n":1,"deep":{"tags" :null , "z":"é"}}',
      '{"n":1,"deep":{}}',
      '{"n":1}',
      '{"n":0,"deep":{"tags":[]}}',
    ]
    const api = await testApi(url =>
      url.pathname === '/things' ? { text: `[${records.join(' , ')}]` } : { json: [{ tag: 'x' }, { tag: 'y' }] },
    )
    const { records: found, pages } = await read(
      source({
        client: { base_url: api.origin },
        resources: [
          {
            name: 'things',
            endpoint: { paginator: 'single_page' },
            complete_nested: {
              'deep.tags': {
                when: 'record.n > 0',
                endpoint: { path: 'tags', params: { n: '{resources.things.n}' }, paginator: 'single_page' },
              },
            },
          },
        ],
      }),
    )
    const tags = '[{"tag":"x"},{"tag":"y"}]'
    expect(Buffer.from(pages[0]?.records ?? []).toString()).toBe(
      `[${[
        `{ "id": 12345678901234567890, "deep": {"a":1.50,"tags":${tags}}, "n": 2 }`,
        `{"n":1,"deep":{"tags" :${tags} , "z":"é"}}`,
        `{"n":1,"deep":{"tags":${tags}}}`,
        `{"n":1,"deep":{"tags":${tags}}}`,
        records[4],
      ].join(' , ')}]`,
    )
    expect(found).toHaveLength(5)
  })

  /** The records of one list, with the `lines` that an endpoint gives for them. */
  async function linesOf(
    records: readonly object[],
    lines: unknown,
    complete: object = { when: 'true' },
    list = 'lines',
  ): Promise<{ readonly verdict: string; readonly reason: string; readonly records: unknown }> {
    const api = await testApi(({ pathname }) => ({ json: { data: pathname === '/things' ? records : lines } }))
    const endpoint = { path: 'things/{resources.things.id}/lines', data_selector: 'data', paginator: 'single_page' }
    const things = {
      name: 'things',
      endpoint: { path: 'things', data_selector: 'data', paginator: 'single_page' },
      complete_nested: { [list]: { endpoint, ...complete } },
    }
    const config = { client: { base_url: api.origin }, resources: [things] }
    const [receipt] = (await load(config as RestApiConfig)).result.receipts
    const { records: found } = await read(source(config))
    return { verdict: receipt?.verdict ?? '', reason: receipt?.reasons?.join('; ') ?? '', records: found }
  }

  const skus = (...numbers: readonly number[]) => numbers.map(sku => ({ sku, quantity: 1 }))
  const whole = several(3)

  it.each<[string, object, string, object]>([
    ['null', { lines: null }, 'lines.nodes', { lines: { nodes: whole } }],
    ['missing', {}, 'lines.nodes', { lines: { nodes: whole } }],
    ['missing, two of them', { a: {} }, 'a.b.c.nodes', { a: { b: { c: { nodes: whole } } } }],
    ['null, with others around', { a: { b: null, z: 1 } }, 'a.b.c', { a: { b: { c: whole }, z: 1 } }],
    ['there', { lines: { nodes: null } }, 'lines.nodes', { lines: { nodes: whole } }],
  ])('puts the list into objects that are %s', async (_what, record, list, expected) => {
    const { verdict, records } = await linesOf([{ id: 1, n: 3, ...record }], whole, { total_path: 'n' }, list)
    expect(verdict).toBe('complete')
    expect(records).toEqual([{ id: 1, n: 3, ...expected }])
  })

  it.each([['text'], [7], [[]]])('does not read a list that has no place in the record: %j', async lines => {
    const found = await linesOf([{ id: 1, lines }], whole, { when: 'true' }, 'lines.nodes')
    expect(found.verdict).toBe('unproven')
    expect(found.reason).toMatch(/something other than an object where the list belongs/)
    expect(found.records).toEqual([{ id: 1, lines }])
  })

  it.each<[string, readonly unknown[], unknown, RegExp]>([
    ['nothing', several(2), [], /0 records came for a record that has 2 in its list/],
    ['null', several(2), null, /0 records came for a record that has 2/],
    ['fewer', several(2), several(1), /1 record came for a record that has 2/],
    ['the list of something else', several(2), several(4, 10), /without some of the records that its beginning has/],
    ['one of them less', several(2), several(4, 1), /without some of the records/],
    ['something else without ids', skus(1, 2), skus(11, 12, 13), /without some of the records/],
    ['other values', ['a', 'b'], ['a', 'c', 'd'], /without some of the records/],
  ])('doubts %s in place of the beginning', async (_what, lines, came, reason) => {
    const found = await linesOf([{ id: 1, lines }], came)
    expect(found.verdict).toBe('unproven')
    expect(found.reason).toMatch(reason)
    const isShorter = !Array.isArray(came) || came.length < lines.length
    expect(found.records).toEqual([{ id: 1, lines: isShorter ? lines : came }])
  })

  it.each<[string, readonly unknown[], unknown[]]>([
    ['in another order', several(2), several(5).reverse()],
    ['with more fields', several(2), several(3).map(label => ({ color: 'red', ...label, name: `the ${label.name}` }))],
    ['with ids as texts', several(2), several(3).map(({ id }) => ({ id: String(id) }))],
    ['with ids of another kind', several(2), [{ id: 'x' }, { id: 'y' }, { id: 'z' }]],
    ['in which something changes all the time', [{ sku: 1, at: '10:00' }], [2, 1].map(sku => ({ sku, at: '10:01' }))],
    ['in which nothing can be a key', [{ a: 1 }, { a: 1 }], [{ a: 2 }, { a: 2 }]],
    ['as objects instead of names', ['a', 'b'], [{ name: 'a' }, { name: 'b' }]],
    ['that is all there', several(2), several(2)],
  ])('does not doubt a list %s', async (_what, lines, came) => {
    const { verdict, records } = await linesOf([{ id: 1, lines }], came)
    expect(verdict).toBe('complete')
    expect(records).toEqual([{ id: 1, lines: came }])
  })

  it.each<[string, readonly unknown[], unknown[], RegExp | undefined]>([
    ['all of it again', several(2), several(4), /records of the beginning came again/],
    ['its last record again', several(2), several(4, 1), /came again/],
    ['the same with more fields', several(2), several(2).map(label => ({ ...label, color: 'red' })), /came again/],
    ['records without ids again', skus(1, 2), skus(2, 3), /came again/],
    ['values again', ['a', 'b'], ['a', 'b', 'c'], /came again/],
    ['what comes after it', several(2), several(2, 2), undefined],
    ['an equal value', ['a', 'b'], ['b'], undefined],
    ['records that are equal', [{ a: 1 }, { a: 1 }], [{ a: 1 }], undefined],
    ['nothing', several(2), [], undefined],
  ])('takes for the end of a beginning: %s', async (_what, lines, came, reason) => {
    const found = await linesOf([{ id: 1, lines }], came, { when: 'true', append: true })
    expect(found.verdict).toBe(reason === undefined ? 'complete' : 'unproven')
    if (reason !== undefined) expect(found.reason).toMatch(reason)
    expect(found.records).toEqual([{ id: 1, lines: [...lines, ...came] }])
  })

  it.each([
    ['the same', several(2), false, 'unproven'],
    ['nothing', [], true, 'unproven'],
    ['more', several(3), false, 'complete'],
    ['more', several(1, 2), true, 'complete'],
  ])('holds a flag that says more against what came: %s', async (_what, came, append, verdict) => {
    const found = await linesOf([{ id: 1, lines: several(2), more: true }], came, { has_more_path: 'more', append })
    expect(found.verdict).toBe(verdict)
    if (verdict === 'unproven') expect(found.reason).toMatch(/"more" says there is more/)
  })

  it('calls no list complete in whose records a list is known to lack something', async () => {
    const { api } = await tracker({
      labels: { 1: several(5), 2: several(5) },
      at: issue => (issue === 2 ? { status: 200, json: { items: several(2), total: 2 } } : undefined),
    })
    const reason = 'labels is not known to be whole in every record: the API announced 5 records, 2 arrived'
    await expect(load(document(api.origin))).rejects.toMatchObject({
      code: 'incomplete',
      receipts: [{ resource: 'issues', verdict: 'incomplete', reasons: [reason] }],
    })
  })

  it('says that an ignored answer proves nothing, and fails the run with one that is not ignored', async () => {
    const gone = await tracker({ labels: { 1: several(5) }, at: () => ({ status: 404, json: {} }) })
    const ignores = { ...listed, response_actions: [{ status_code: 404, action: 'ignore' }] }
    const { result } = await load(document(gone.api.origin, { endpoint: ignores }))
    expect(result.receipts[0]?.verdict).not.toBe('complete')
    expect(result.receipts[0]?.reasons[0]).toMatch(/^labels is not known .*404.*complete_nested\.labels/)
    await expect(load(document(gone.api.origin))).rejects.toThrow(
      /issues: GET .*\/issues\/1\/labels\S* was answered 404/,
    )
  })

  it('keeps the reasons of two lists that are both in doubt', async () => {
    const api = await testApi(({ pathname }) =>
      pathname === '/issues'
        ? { json: [{ number: 1, labels: several(2), notes: several(2), more: true }] }
        : { json: { items: pathname.endsWith('/labels') ? several(1) : several(3, 7) } },
    )
    const of = (path: string) => ({
      has_more_path: 'more',
      endpoint: { path: `issues/{resources.issues.number}/${path}`, data_selector: 'items', paginator: 'single_page' },
    })
    const nested = { complete_nested: { labels: of('labels'), notes: of('notes') } }
    const { result } = await load(document(api.origin, {}, nested))
    const [receipt] = result.receipts
    expect(receipt?.verdict).toBe('unproven')
    expect(receipt?.reasons.join()).toMatch(/labels is not known to be whole.*notes is not known to be whole/)
  })

  it('says so although the run stops before the end of the list', async () => {
    const { api } = await tracker({
      labels: { 1: several(5), 9: several(1) },
      at: () => ({ status: 200, json: { items: several(2), total: 2 } }),
    })
    const incremental = { cursor_path: 'number', initial_value: 0, end_value: 5, row_order: 'asc' }
    const endpoint = { paginator: 'single_page', incremental }
    await expect(load(document(api.origin, {}, { endpoint }))).rejects.toThrow(/incomplete: labels is not known/)
  })

  it('refuses signs that are in no record, and what is no list', async () => {
    const { api } = await tracker({ labels: { 1: several(3) } })
    await expect(load(document(api.origin, { total_path: 'totals' }))).rejects.toThrow(
      /complete_nested\.labels: "totals" must give a number in every record that has the list, but leads to nothing/,
    )
    await expect(load(document(api.origin, { total_path: null, has_more_path: 'labels' }))).rejects.toThrow(
      /"labels" must give true or false .* but gives a list/,
    )
    const list = { when: 'true', endpoint: listed }
    await expect(load(document(api.origin, {}, { complete_nested: { number: list } }))).rejects.toThrow(
      /complete_nested\.number: leads to 1, and not to a list/,
    )
  })

  it.each([
    ['record', '{"id":1,"x":NaN,"lines":[{"id":0}]}', '{"id":0}'],
    ['element', '{"id":1,"lines":[{"id":0}]}', '{"id":0,"x":NaN}'],
  ])('refuses a %s that is not JSON', async (_what, record, line) => {
    const api = await testApi(({ pathname }) => ({ text: `[${pathname === '/things' ? record : line}]` }))
    const read = { data_selector: '$', paginator: 'single_page' }
    const list = { when: 'true', endpoint: { ...read, path: 'things/{resources.things.id}/lines' } }
    const things = { name: 'things', endpoint: { ...read, path: 'things' }, complete_nested: { lines: list } }
    await expect(
      load({ client: { base_url: api.origin }, resources: [things] } as unknown as RestApiConfig),
    ).rejects.toThrow(/complete_nested\.lines: a record is not JSON/)
  })

  it('gives no masked field to the API, and goes by none', () => {
    const problem = (mask: object) => () => parseRestConfig(document('https://api.example.com', {}, { mask }))
    expect(problem({ labels: 'drop' })).toThrow(/complete_nested\.labels: is masked/)
    expect(problem({ total: 'redact' })).toThrow(/total_path: `total` is masked/)
    expect(problem({ number: 'hash' })).toThrow()
    expect(problem({ 'labels.name': 'redact' })).not.toThrow()
  })

  it('completes before records are shaped and filtered, in lists of parents too', async () => {
    const { api } = await tracker({ labels: { 1: several(5), 2: several(1) } })
    const children = {
      client: { base_url: api.origin },
      resources: [
        { name: 'repos', records: [{ id: 'a' }, { id: 'b' }] },
        {
          name: 'issues',
          include_from_parent: ['id'],
          filter: 'size(record.labels) > 3',
          select: ['number', 'labels.id'],
          endpoint: { path: 'issues', params: { repo: '{resources.repos.id}' }, paginator: 'single_page' },
          complete_nested: {
            labels: {
              total_path: 'total',
              endpoint: { ...listed, params: { repo: '{resources.issues._repos_id}' } },
            },
          },
        },
      ],
    } as unknown as RestApiConfig
    const loaded = await load(children)
    expect(await loaded.rows('issues', '_repos_id')).toEqual([
      { number: 1, _repos_id: 'a' },
      { number: 1, _repos_id: 'b' },
    ])
    expect(await loaded.rows('issues__labels')).toHaveLength(10)
    expect(api.asked).toContain('GET /issues/1/labels?repo=b&offset=3&limit=3')
  })

  it('goes on where a run was stopped, and asks for no page twice', async () => {
    let isDown = true
    const { api, asked } = await tracker({
      labels: { 1: several(7), 2: several(4) },
      at: (_issue, url) => (isDown && url.searchParams.get('offset') === '6' ? { status: 403, json: {} } : undefined),
    })
    const made = await prepared(document(api.origin))
    await expect(run(made)).rejects.toThrow(/403/)
    expect(asked()).toHaveLength(3)
    isDown = false
    api.asked.splice(0)
    const loaded = await run(made)
    expect(api.asked.filter(line => line.startsWith('GET /issues?')).length).toBe(0)
    expect(asked()).toEqual([
      'GET /issues/1/labels?offset=6&limit=3',
      'GET /issues/2/labels?offset=0&limit=3',
      'GET /issues/2/labels?offset=3&limit=3',
    ])
    expect(await labelsOf(loaded)).toEqual([...ids(4), ...ids(7)].sort())
  })

  it('reads several lists at once, under the limits of the client', async () => {
    let [open, most] = [0, 0]
    const { api } = await tracker({ labels: Object.fromEntries(ids(12).map(id => [id, several(4)])) })
    const slow = await testApi(async (_url, request) => {
      most = Math.max(most, ++open)
      const answer = await fetch(`${api.origin}${request.url}`)
      open -= 1
      return { text: await answer.text() }
    })
    const limited = { ...document(slow.origin), client: { base_url: slow.origin, rate_limit: { max_concurrency: 2 } } }
    const loaded = await run(await prepared(limited as RestApiConfig), { concurrency: 8 })
    expect(await loaded.rows('issues__labels')).toHaveLength(48)
    expect(most).toBe(2)
  })

  it('is checked before the first request', () => {
    const problems = (complete: object, more: object = {}): string[] => {
      try {
        parseRestConfig(document('https://api.example.com', complete, more))
        return []
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error
        return error.problems.map(({ place, message }) => `${place.path}: ${message}`)
      }
    }
    expect(problems({})).toEqual([])
    expect(problems({ total_path: null })[0]).toMatch(/does not say which records have more/)
    expect(problems({ when: 'size(record.labels)' })[0]).toMatch(/\.when: gives a int, expected true or false/)
    expect(problems({ endpoint: { paginator: 'single_page' } })[0]).toMatch(/endpoint: needs a `path`/)
    expect(problems({ endpoint: { ...listed, incremental: { cursor_path: 'a' } } })[0]).toMatch(/has no meaning/)
    expect(problems({ endpoint: 'labels' })[0]).toMatch(/must name a field of the record/)
    expect(problems({ endpoint: 'labels/{resources.others.id}/x' })[0]).toMatch(
      /write `\{resources\.issues\.<field>\}`/,
    )
    const list = { when: 'true', endpoint: listed }
    expect(problems({}, { complete_nested: { 'labels[0]': list } })[0]).toMatch(/is not a path of names/)
    expect(problems({}, { complete_nested: { labels: list }, endpoint: null, records: [{ a: 1 }] })[0]).toMatch(
      /needs an `endpoint`|either/,
    )
  })
})

it('is shown by the plan', async () => {
  const { api } = await tracker({ labels: {} })
  const { resources } = await (await prepared(document(api.origin, { when: 'size(record.labels) >= 10' }))).plan()
  expect(resources[0]?.request?.completes).toEqual([
    `labels, where size(record.labels) >= 10, or total is more than there is: GET ${api.origin}/issues/{resources.issues.number}/labels?offset=0&limit=3`,
  ])
})
