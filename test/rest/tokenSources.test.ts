import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { duckdb, pipeline, type RestApiConfig, restApi } from '../../src/index.js'
import type { Answer } from './listServer.js'
import { prepared, run, testApi } from './loading.js'

/** Sync tokens that come from elsewhere than the list, and changes that are read elsewhere. */

const paged = { type: 'cursor', cursor_path: 'next', cursor_param: 'page', stop_when_missing: true }

function document(origin: string, incremental: object, more: object = {}): RestApiConfig {
  return {
    client: { base_url: origin },
    resources: [
      {
        name: 'things',
        primary_key: 'id',
        write_disposition: 'merge',
        columns: { deleted: { hard_delete: true } },
        endpoint: { data_selector: 'items', paginator: paged, params: { size: 2 }, incremental },
        ...more,
      },
    ],
  } as unknown as RestApiConfig
}

const feed = {
  token_path: 'token',
  token_param: 'since',
  initial_token: { path: 'now', token_path: 'head' },
  changes: { path: 'feed', params: { size: null, kind: 'all' }, data_selector: 'entries' },
}

/** A store of things with a feed of changes, which counts up. Changes come in while the list is read. */
class Store {
  readonly things = new Map<number, string>()
  readonly log: { id: number; name?: string; deleted?: true }[] = []
  /** Tokens below it are no longer known. */
  oldest = 0
  meanwhile: () => void = () => {}

  put(id: number, name: string): void {
    this.things.set(id, name)
    this.log.push({ id, name })
  }

  remove(id: number): void {
    this.things.delete(id)
    this.log.push({ id, deleted: true })
  }

  answer({ pathname, searchParams }: URL): Answer {
    if (pathname === '/now') return { json: { head: String(this.log.length), owner: 'ann@example.com' } }
    const page = Number(searchParams.get('page') ?? 0)
    if (pathname === '/feed') {
      const since = Number(searchParams.get('since'))
      if (since < this.oldest) return { status: 410, json: {} }
      const entries = this.log.slice(since)
      const isLast = page + 2 >= entries.length
      return {
        json: {
          ...(entries.length > 0 && { entries: entries.slice(page, page + 2) }),
          token: String(this.log.length),
          ...(!isLast && { next: String(page + 2) }),
        },
      }
    }
    const rest = this.truth.filter(([id]) => id > page).map(([id, name]) => ({ id, name }))
    const items = rest.slice(0, 2)
    this.meanwhile()
    this.meanwhile = () => {}
    return { json: { items, ...(rest.length > 2 && { next: String(items[1]?.id) }) } }
  }

  get truth(): [number, string][] {
    return [...this.things].sort(([a], [b]) => a - b)
  }
}

async function storeApi() {
  const store = new Store()
  for (const id of [1, 2, 3]) store.put(id, `first ${id}`)
  const api = await testApi(url => store.answer(url))
  return { store, api }
}

const rowsOf = async (one: Awaited<ReturnType<typeof run>>) =>
  (await one.rows('things')).map(({ id, name }) => [Number(id), name]).sort(([a], [b]) => Number(a) - Number(b))

describe('a feed that names a record each time that it changed', () => {
  it.each(['merge', 'append'])('is complete, and its token moves: %s', async write_disposition => {
    const { store, api } = await storeApi()
    const columns = write_disposition === 'merge' ? { deleted: { hard_delete: true } } : {}
    const made = await prepared(document(api.origin, feed, { write_disposition, columns }))
    await run(made)
    for (const [id, name] of [3, 1, 3, 2, 3].entries()) store.put(name, `change ${id}`)
    const second = await run(made)
    expect(second.result.receipts[0]).toMatchObject({ verdict: 'complete', records: 5 })
    if (write_disposition === 'merge') expect(await rowsOf(second)).toEqual(store.truth)
    api.asked.length = 0
    store.put(1, 'the last change')
    const third = await run(made)
    expect(api.asked).toEqual(['GET /feed?kind=all&since=8'])
    expect(await third.rows('things')).toHaveLength(write_disposition === 'merge' ? 3 : 9)
  })
})

describe('a first token from elsewhere', () => {
  it('is taken before the list is read, so that what changes meanwhile is in the next run', async () => {
    const { store, api } = await storeApi()
    store.meanwhile = () => {
      store.remove(1)
      store.put(2, 'changed')
      store.put(4, 'new')
    }
    const made = await prepared(document(api.origin, feed))
    const first = await run(made)
    const second = await run(made)
    expect(await rowsOf(second)).toEqual(store.truth)
    expect([first, second].map(({ result }) => result.receipts[0]?.verdict)).toEqual(['complete', 'complete'])
    expect(api.asked).toEqual([
      'GET /now',
      'GET /things?size=2',
      'GET /things?size=2&page=2',
      'GET /feed?kind=all&since=3',
      'GET /feed?kind=all&since=3&page=2',
    ])
  })

  it('tells changes in their order, so that the last one of a record counts', async () => {
    const { store, api } = await storeApi()
    const made = await prepared(document(api.origin, feed))
    await run(made)
    store.put(7, 'soon gone')
    store.remove(7)
    store.remove(1)
    store.put(1, 'back')
    store.put(2, 'second')
    store.put(2, 'third')
    expect(await rowsOf(await run(made))).toEqual(store.truth)
  })

  it('moves also where the answer has no list because nothing changed, if the document says that it may be missing', async () => {
    const { store, api } = await storeApi()
    const lenient = { ...feed, changes: { ...feed.changes, data_selector_required: false } }
    const made = await prepared(document(api.origin, lenient))
    await run(made)
    const quiet = await run(made)
    store.put(5, 'late')
    const last = await run(made)
    expect([quiet, last].map(({ result }) => result.receipts[0]?.verdict)).toEqual(['complete', 'complete'])
    expect(await rowsOf(last)).toEqual(store.truth)
    expect(api.asked.slice(3)).toEqual(['GET /feed?kind=all&since=3', 'GET /feed?kind=all&since=3'])
  })

  it('stays where the answer has another list than the document names', async () => {
    const { store, api } = await storeApi()
    const wrong = { ...feed, changes: { ...feed.changes, data_selector: 'entreis', data_selector_required: false } }
    const made = await prepared(document(api.origin, wrong))
    await run(made)
    store.put(5, 'late')
    for (let times = 0; times < 2; times++) expect((await run(made)).result.receipts[0]?.verdict).toBe('unproven')
    expect(api.asked.slice(3)).toEqual(['GET /feed?kind=all&since=3', 'GET /feed?kind=all&since=3'])
  })

  it('is taken anew where the old one is no longer known, and everything is read again, once', async () => {
    const { store, api } = await storeApi()
    const made = await prepared(document(api.origin, feed))
    await run(made)
    store.put(6, 'unheard')
    store.oldest = 100
    const again = await run(made)
    expect(await rowsOf(again)).toEqual(store.truth)
    expect(again.result.receipts[0]).toMatchObject({
      verdict: 'complete',
      reasons: [expect.stringContaining('no longer knows the sync token')],
    })
    expect(api.asked.slice(3)).toEqual([
      'GET /feed?kind=all&since=3',
      'GET /now',
      'GET /things?size=2',
      'GET /things?size=2&page=2',
    ])
  })

  it('is not kept where the end of the list is not proven', async () => {
    const { api } = await storeApi()
    const made = await prepared(document(api.origin, feed))
    await run(made, { maxPages: 1 })
    await run(made)
    expect(api.asked.filter(line => line === 'GET /now')).toHaveLength(2)
    expect(api.asked.some(line => line.startsWith('GET /feed'))).toBe(false)
  })

  it('begins a list of changes alone, which says what is lost when its token expires', async () => {
    const { store, api } = await storeApi()
    const { changes: _changes, ...alone } = feed
    const made = await prepared(
      document(api.origin, alone, {
        endpoint: {
          path: 'feed',
          data_selector: 'entries',
          data_selector_required: false,
          paginator: paged,
          incremental: alone,
        },
      }),
    )
    const first = await run(made)
    expect(first.result.receipts[0]?.verdict).toBe('complete')
    store.put(4, 'new')
    expect(await rowsOf(await run(made))).toEqual([[4, 'new']])
    store.oldest = 4.5
    store.put(5, 'lost')
    const lost = await run(made)
    expect(lost.result.receipts[0]).toMatchObject({
      verdict: 'unproven',
      reasons: [expect.stringContaining('between the old sync token and the new one')],
    })
    store.put(6, 'heard')
    expect(await rowsOf(await run(made))).toEqual([
      [4, 'new'],
      [6, 'heard'],
    ])
    expect(api.asked).toEqual([
      'GET /now',
      'GET /feed?since=3',
      'GET /feed?since=3',
      'GET /feed?since=4',
      'GET /now',
      'GET /feed?since=5',
      'GET /feed?since=5',
    ])
  })

  it.each<[string, Answer, string]>([
    ['is not there', { json: { heat: '3' } }, 'did you mean "heat"?'],
    ['is null', { json: { head: null } }, 'but is null'],
    ['is refused', { status: 403, json: {} }, 'was answered 403'],
    ['is no JSON', { text: '<html>' }, 'is not JSON'],
    ['is empty', { text: '' }, 'JSON'],
  ])('that %s fails the run before the list is read', async (_what, answer, problem) => {
    const api = await testApi(() => answer)
    await expect(run(await prepared(document(api.origin, feed)))).rejects.toThrow(problem)
    expect(api.asked).toEqual(['GET /now'])
  })

  it('is asked for each record of the parent, with its fields', async () => {
    const api = await testApi(({ pathname, searchParams }) => {
      if (pathname === '/boxes') return { json: { items: [{ id: 'a' }, { id: 'b' }] } }
      const [, , box, what] = pathname.split('/')
      if (what === 'head') return { json: { head: `${box}1` } }
      if (what === 'feed') return { json: { items: [{ id: `${box}-new` }], token: `${searchParams.get('since')}+` } }
      return { json: { items: [{ id: `${box}-old` }] } }
    })
    const made = await prepared({
      client: { base_url: api.origin, paginator: 'single_page' },
      resources: [
        { name: 'boxes', primary_key: 'id', write_disposition: 'merge' },
        {
          name: 'things',
          primary_key: 'id',
          write_disposition: 'merge',
          endpoint: {
            path: 'boxes/{resources.boxes.id}/things',
            data_selector: 'items',
            incremental: {
              token_path: 'token',
              token_param: 'since',
              per_parent: true,
              initial_token: { path: 'boxes/{resources.boxes.id}/head', token_path: 'head' },
              changes: { path: 'boxes/{resources.boxes.id}/feed' },
            },
          },
        },
      ],
    })
    await run(made)
    const last = await run(made)
    expect((await last.rows('things')).map(({ id }) => id)).toEqual(['a-new', 'a-old', 'b-new', 'b-old'])
    expect(api.asked.toSorted()).toEqual(
      [
        'GET /boxes',
        'GET /boxes',
        ...['a', 'b'].flatMap(box => [`head`, 'things', `feed?since=${box}1`].map(what => `GET /boxes/${box}/${what}`)),
      ].toSorted(),
    )
  })

  it('may be a link', async () => {
    const api = await testApi(({ pathname, searchParams, origin }) => {
      const link = (number: number) => ({ '@odata.deltaLink': `${origin}/delta?t=${number}` })
      if (pathname === '/things') return { json: { items: [{ id: 1 }] } }
      if (searchParams.get('t') === 'latest') return { json: { items: [], ...link(1) } }
      return { json: { items: [{ id: 2 }], ...link(Number(searchParams.get('t')) + 1) } }
    })
    const incremental = {
      next_url_path: "['@odata.deltaLink']",
      initial_token: { path: 'delta', params: { t: 'latest' } },
      changes: { path: 'delta' },
    }
    const made = await prepared(document(api.origin, incremental))
    await run(made)
    const last = await run(made)
    expect((await last.rows('things')).map(({ id }) => Number(id))).toEqual([1, 2])
    expect(api.asked).toEqual(['GET /delta?t=latest', 'GET /things?size=2', 'GET /delta?t=1'])
  })

  it('is shown by the plan, with the request for the changes', async () => {
    const { api } = await storeApi()
    const made = await prepared(document(api.origin, feed))
    const described = async () => (await made.plan()).resources[0]?.request
    expect(await described()).toMatchObject({
      request: { url: `${api.origin}/things?size=2` },
      initialToken: `head of GET ${api.origin}/now, before the list is first read`,
      changes: `by later runs, since the token: GET ${api.origin}/feed?kind=all&since=<token>`,
    })
    await run(made)
    const later = await described()
    expect(later?.request.url).toBe(`${api.origin}/feed?kind=all&since=3`)
    expect(later?.changes).toBeUndefined()
  })
})

describe('a run that was interrupted', () => {
  it('goes on with the token that it took, and keeps nothing else of that answer', async () => {
    const { store, api } = await storeApi()
    let fails = true
    const answer = store.answer.bind(store)
    store.answer = url => {
      if (fails && url.searchParams.get('page') === '2') return { status: 500, json: {} }
      return answer(url)
    }
    const folder = await mkdtemp(join(tmpdir(), 'sluice-token-'))
    onTestFinished(() => rm(folder, { recursive: true, force: true }))
    const plain = document(api.origin, feed)
    const once = { ...plain, client: { base_url: api.origin, retry: { attempts: 1 } } }
    const made = pipeline({
      name: 'token',
      source: restApi(once, { env: {}, cwd: folder }),
      destination: duckdb(join(folder, 'token.duckdb')),
      home: join(folder, 'home'),
    })
    await expect(run(made)).rejects.toMatchObject({ code: 'http_status' })
    const entries = await readdir(join(folder, 'home'), { recursive: true, withFileTypes: true })
    const files = entries.filter(entry => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name))
    const kept = (await Promise.all(files.map(file => readFile(file, 'latin1')))).join('')
    expect(kept).toContain('first 1')
    expect(kept).not.toContain('ann@example.com')
    store.put(9, 'while it lay')
    fails = false
    await run(made)
    expect(await rowsOf(await run(made))).toEqual(store.truth)
    expect(api.asked).toEqual([
      'GET /now',
      'GET /things?size=2',
      'GET /things?size=2&page=2',
      'GET /things?size=2&page=2',
      'GET /feed?kind=all&since=3',
    ])
  })
})

it('a token of an interrupted run that is no longer known is taken anew', async () => {
  const { store, api } = await storeApi()
  const answer = store.answer.bind(store)
  let fails = true
  store.answer = url => (fails && url.pathname === '/feed' ? { status: 500, json: {} } : answer(url))
  const { changes: _changes, ...alone } = feed
  const plain = document(api.origin, alone, {
    endpoint: {
      path: 'feed',
      data_selector: 'entries',
      data_selector_required: false,
      paginator: paged,
      incremental: alone,
    },
  })
  const made = await prepared({ ...plain, client: { base_url: api.origin, retry: { attempts: 1 } } } as RestApiConfig)
  await expect(run(made)).rejects.toMatchObject({ code: 'http_status' })
  fails = false
  store.oldest = 4
  store.put(4, 'new')
  store.put(5, 'newer')
  const answers = api.asked.length
  const second = run(made)
  store.put(6, 'newest')
  expect((await second).result.receipts[0]?.verdict).toBe('unproven')
  expect(api.asked.slice(answers)).toEqual([
    'GET /feed?since=3',
    'GET /now',
    expect.stringMatching(/^GET .feed.since=6/),
  ])
})

describe('the document', () => {
  it.each([
    [{ cursor_path: 'a', initial_token: { path: 'x' } }, 'needs `token_path` or `next_url_path`'],
    [{ cursor_path: 'a', changes: { path: 'x' } }, 'needs `token_path` or `next_url_path`'],
    [{ ...feed, initial_token: {} }, 'initial_token.path'],
    [{ ...feed, initial_token: { path: 'x', token_path: 'a[' } }, 'initial_token.token_path: is not a JSONPath'],
    [{ ...feed, initial_token: { path: 'x/{incremental.last_value}' } }, 'initial_token.path'],
    [{ ...feed, changes: { pth: 'x' } }, 'did you mean'],
    [{ ...feed, changes: { path: 'x', incremental: {} } }, 'changes.incremental'],
    [{ ...feed, changes: { path: 'x', params: { a: { type: 'incremental', cursor_path: 'b' } } } }, 'changes.params.a'],
  ])('is refused with what is wrong: %j', async (incremental, problem) => {
    await expect(prepared(document('https://api.example', incremental))).rejects.toThrow(problem)
  })
})
