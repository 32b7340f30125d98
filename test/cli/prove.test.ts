import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { sluice } from '../../src/cli/program.js'
import { provenApi } from '../import/provenApis.js'
import { fakeClock } from '../rest/clientServer.js'
import type { Answer } from '../rest/listServer.js'
import { testApi } from '../rest/loading.js'
import { screen } from './screen.js'

async function project(answer: (url: URL) => Answer, text: (origin: string) => string) {
  const api = await testApi(answer)
  const folder = await mkdtemp(join(tmpdir(), 'sluice-prove-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const file = join(folder, 'things.yaml')
  await writeFile(file, text(api.origin))
  const command = async (...args: readonly string[]) => {
    const [out, err] = [screen(), screen()]
    const exitCode = await sluice(args, {
      terminal: { out, err },
      version: '0',
      signal: new AbortController().signal,
      now: () => 0,
      clock: fakeClock(),
    })
    return { exitCode, printed: (out.text() + err.text()).replaceAll(/\n +/g, ' ') }
  }
  return { file, api, command, kept: async () => await readFile(`${file}.proof.json`, 'utf8') }
}

const document = (origin: string) =>
  `# Mine.
name: things
destination: duckdb::memory
source:
  client:
    base_url: ${origin} # the shop
  resources:
    - name: things
      primary_key: group # a guess
      write_disposition: merge
      endpoint:
        data_selector: items
        paginator: { type: offset, limit: 100, total_path: total }
`.replace('duckdb::memory', 'duckdb:things.duckdb')

test('prove tells what is wrong, keeps it beside the file, mends it, and proves it then', async () => {
  const { file, command, kept } = await project(provenApi({ way: 'offset', total: 'too_small' }), document)
  const first = await command('prove', file)
  expect(first.exitCode, first.printed).toBe(3)
  expect(first.printed).toContain('wrong resources[0].endpoint.paginator.limit'.replace('wrong ', ''))
  expect(first.printed).toContain('write resources[0].primary_key: "id"')
  expect(await kept()).not.toContain('Thing number')
  const plan = await command('plan', file)
  expect(plan.printed).toMatch(/proof +proven on 2026-01-01: data_selector, paginator/)
  expect(plan.printed).toContain('wrong: ')
  const checked = await command('check', file)
  expect(checked.printed).toContain('proven on 2026-01-01')
  const mending = await command('prove', file, '--write')
  expect(mending.exitCode, mending.printed).toBe(0)
  expect(mending.printed).toContain('wrong   resources[0].endpoint.paginator.limit')
  expect(mending.printed).toContain('proven  resources[0].endpoint.paginator.limit')
  const text = await readFile(file, 'utf8')
  expect(text).toContain('# Mine.')
  expect(text).toContain('primary_key: id # a guess')
  expect(text).toContain('limit: 5')
  expect(text).toContain('total_path: null')
  const fresh = await command('plan', file)
  expect(fresh.printed).toMatch(/proof +proven on 2026-01-01: data_selector, paginator/)
  await writeFile(file, text.replace('items', 'things'))
  const stale = await command('plan', file)
  expect(stale.printed).toContain('is about another document')
  await writeFile(file, text)
  const again = await command('prove', file)
  expect(again.exitCode, again.printed).toBe(0)
})

test.each([
  ['no JSON', '{', 'is no proof that this version reads'],
  ['another version', '{"version": 99, "proofs": []}', 'is no proof that this version reads'],
  ['another thing', '[1]', 'is no proof that this version reads'],
])('a file of proofs that is none is told: %s', async (_name, text, told) => {
  const { file, command } = await project(provenApi({ way: 'offset' }), document)
  await writeFile(`${file}.proof.json`, text)
  const plan = await command('plan', file)
  expect(plan).toMatchObject({ exitCode: 0 })
  expect(plan.printed).toContain(told)
})

test.each([
  ['wants credentials', () => ({ status: 401, json: { error: 'no' } }), 'add `auth`'],
  ['answers no JSON', () => ({ text: '<html>', type: 'text/html' }), 'the answer is not what its format says'],
  ['is not there', () => ({ status: 404, json: {} }), 'check `base_url` and `path`'],
])('an API that %s', async (_name, answer, told) => {
  const { file, command, kept } = await project(answer as () => Answer, document)
  const { exitCode, printed } = await command('prove', file, '--budget', '1')
  expect(exitCode, printed).toBe(1)
  expect(printed).toContain(told)
  expect(await kept()).toContain('"problem"')
})

test('with a budget of one request nothing that compares pages is proven', async () => {
  const { file, command, api } = await project(provenApi({ way: 'offset' }), document)
  const { printed } = await command('prove', file, '--budget', '1', '--json')
  expect(api.asked).toHaveLength(1)
  const [line = ''] = printed.split('\n')
  const proof = JSON.parse(line) as { resources: { findings: { key: string; status: string }[] }[] }
  const proven = proof.resources[0]?.findings.filter(({ status }) => status === 'proven').map(({ key }) => key)
  expect(proven).toEqual(['resources[0].endpoint.data_selector'])
})

test('a child is asked for by a record of its parent, and no value of it is kept', async () => {
  const answer = (url: URL): Answer =>
    url.pathname === '/shops'
      ? { json: [{ id: 987654321 }, { id: 987654322 }] }
      : provenApi({ way: 'page1', place: '$' })(url)
  const { file, command, kept } = await project(
    answer,
    origin => `client: { base_url: "${origin}" }
resources:
  - { name: shops, endpoint: { path: shops, paginator: single_page } }
  - name: orders
    primary_key: id
    endpoint:
      path: "shops/{resources.shops.id}/orders"
      data_selector: $
      paginator: { type: page_number, base_page: 1, total_path: null }
`,
  )
  const { exitCode, printed } = await command('prove', file, '--resource', 'orders')
  expect(exitCode, printed).toBe(0)
  expect(printed).toContain('proven  resources[1].endpoint.paginator')
  expect(await kept()).not.toContain('98765432')
})

test('an unknown resource is a mistake of the command line', async () => {
  const { file, command } = await project(provenApi({ way: 'offset' }), document)
  const { exitCode, printed } = await command('prove', file, '--resource', 'thing')
  expect(exitCode).toBe(2)
  expect(printed).toContain('did you mean "things"?')
})

test('--write adds what the file lacks and the API shows', async () => {
  const bare = (origin: string) =>
    `client: { base_url: "${origin}" }
resources:
  - name: things # mine
    # Assumed by us: a run replaces the table.
    write_disposition: replace
    endpoint: { paginator: { type: offset, limit: 5, total_path: total } }
`
  const { file, command } = await project(provenApi({ way: 'offset', total: 'records' }), bare)
  const first = await command('prove', file, '--write')
  expect(first.exitCode, first.printed).toBe(0)
  expect(first.printed).toContain('resources[0].primary_key: it is not written; id is different in each of')
  const text = await readFile(file, 'utf8')
  expect(text).toContain('- name: things # mine')
  expect(text).toContain('write_disposition: replace')
  expect(text).toContain('primary_key: id')
  expect(text).toContain('data_selector: items')
  expect((await command('prove', file)).printed).toContain('proven  resources[0].primary_key')
})

/** A search by POST: the body has the position. */
function search(position: (body: Record<string, unknown>) => number, answer: (start: number, all: number) => object) {
  return (_url: URL, { body }: { readonly body: string }): Answer => {
    const sent = (body.startsWith('{') ? JSON.parse(body) : Object.fromEntries(new URLSearchParams(body))) as never
    const start = position(sent)
    const all = Array.from({ length: 23 }, (_, at) => ({ id: `k${(at * 7919) % 1009}`, name: `Thing number ${at}` }))
    return { json: { items: all.slice(start, start + 5), ...answer(start, all.length) } }
  }
}

test.each([
  {
    kind: 'pages in a JSON body',
    endpoint: 'json: { page: 1, size: 5, sort: { by: id } }',
    answer: search(
      ({ page }) => (Number(page) - 1) * 5,
      (_, total) => ({ total }),
    ),
    mended: 'page_body_path: page',
  },
  {
    kind: 'records in a JSON body',
    endpoint: 'json: { query: { match: all }, from: 0, size: 5 }',
    answer: search(
      ({ from }) => Number(from),
      (_, total) => ({ total }),
    ),
    mended: 'offset_body_path: from',
  },
  {
    kind: 'pages in a form',
    endpoint: 'data: { pageNo: "1", pageSize: "5" }',
    answer: search(
      ({ pageNo }) => (Number(pageNo) - 1) * 5,
      () => ({}),
    ),
    mended: 'page_body_path: pageNo',
  },
  {
    kind: 'a cursor in a JSON body that has none',
    endpoint: 'json: { filter: {} }',
    answer: search(
      ({ start_cursor: at }) => Number(at ?? 0),
      (start, all) => ({
        next_cursor: start + 5 < all ? String(start + 5) : null,
        has_more: start + 5 < all,
      }),
    ),
    mended: 'cursor_body_path: start_cursor',
  },
  {
    kind: 'a variable of GraphQL',
    endpoint:
      'json: { query: "query($after: String) {{ things(first: 5, after: $after) {{ nodes {{ id }} }} }}", variables: { after: null } }',
    answer: search(
      ({ variables }) => Number((variables as { after?: string }).after ?? 0),
      (start, all) => ({ pageInfo: { hasNextPage: start + 5 < all, endCursor: String(start + 5) } }),
    ),
    mended: 'cursor_body_path: variables.after',
  },
])('--write finds $kind, and proves it', async ({ endpoint, answer, mended }) => {
  const { file, api, command } = await project(
    answer as never,
    origin => `name: things
destination: duckdb:things.duckdb
source:
  client: { base_url: "${origin}" }
  resources:
    - name: things
      endpoint: { path: search, method: POST, ${endpoint} }
`,
  )
  const { exitCode, printed } = await command('prove', file, '--write')
  expect(exitCode, printed).toBe(0)
  expect(await readFile(file, 'utf8'), printed).toContain(mended)
  expect(printed).toMatch(/proven +resources\[0\]\.endpoint\.paginator: page 2 has other records, twice/)
  expect(printed).toMatch(/proven +resources\[0\]\.primary_key/)
  expect(api.asked.length, printed).toBeLessThanOrEqual(12)
  const ran = await command('run', file, '--destination', `duckdb:${file}.duckdb`)
  expect(ran.printed).toMatch(/^things +23 /m)
})

test('the page of the body is not taken for a list without a page', async () => {
  const { file, command } = await project(
    search(
      ({ page }) => Number(page ?? 0) * 5,
      () => ({}),
    ) as never,
    origin => `client: { base_url: "${origin}" }
resources:
  - name: things
    primary_key: id
    endpoint:
      { path: search, method: POST, json: { page: 1 }, data_selector: items,
        paginator: { type: page_number, base_page: 1, page_body_path: page, total_path: null } }
`,
  )
  const first = await command('prove', file)
  expect(first.exitCode, first.printed).toBe(3)
  expect(first.printed).toContain('pages count from 0')
})

test('what an import says of an absent key goes away with the key', async () => {
  const { file, api, command } = await project(provenApi({ way: 'link' }), () => '')
  await rm(file)
  await command('import', 'curl', `curl ${api.origin}/things`, '--out', file)
  expect(await readFile(file, 'utf8')).toContain('Assumed: the first answer shows')
  const { exitCode, printed } = await command('prove', file, '--write')
  expect(exitCode, printed).toBe(0)
  const text = await readFile(file, 'utf8')
  expect(text).toContain('type: header_link')
  expect(text).not.toMatch(/Assumed: (?:the first answer|nothing in the source)/)
})

test('what an import assumes of a key goes when the API has proven it', async () => {
  const { file, api, command } = await project(provenApi({ way: 'offset' }), () => '')
  await rm(file)
  await command('import', 'curl', `curl '${api.origin}/things?offset=0&limit=5'`, '--out', file)
  const before = await readFile(file, 'utf8')
  expect(before).toContain('Assumed: `offset` of the address counts records')
  expect(before).toContain('Assumed: a run replaces the table')
  expect(before).toContain('write_disposition: replace')
  const { exitCode, printed } = await command('prove', file, '--write')
  expect(exitCode, printed).toBe(0)
  const after = await readFile(file, 'utf8')
  expect(after).toContain('primary_key: id')
  expect(after).toContain('write_disposition: merge')
  expect(after).not.toContain('Assumed')
  expect(after).toContain('# Imported by `sluice import`')
  // The proof is still about this file.
  expect((await command('plan', file)).printed).toContain('proven on')
})

test('records that are all alike compare no pages', async () => {
  const { file, command } = await project(
    url => ({ json: { items: provenRecords(url).map(() => ({ name: 'x' })), total: 25 } }),
    origin => `client: { base_url: "${origin}" }
resources:
  - { name: things, endpoint: { data_selector: items, paginator: { type: page_number, base_page: 1, total_path: null } } }
`,
  )
  const { exitCode, printed } = await command('prove', file)
  expect(exitCode, printed).toBe(0)
  expect(printed).toContain('are all alike')
})

function provenRecords(url: URL): readonly unknown[] {
  const { json } = provenApi({ way: 'page1' })(url)
  return (json as { items: readonly unknown[] }).items
}

const drafted = (origin: string, file: string) => [
  'init',
  '--url',
  `${origin}/things?limit=5`,
  '--auth',
  'none',
  '--name',
  'things',
  '--out',
  file,
]

test('init proves what it drafted, and fixes it', async () => {
  const { file, api, command, kept } = await project(provenApi({ way: 'offset', total: 'too_small' }), () => '')
  await rm(file)
  const { exitCode, printed } = await command(...drafted(api.origin, file))
  expect(exitCode, printed).toBe(0)
  expect(printed).toMatch(/proven +resources\[0\]\.endpoint\.paginator: page 2/)
  expect(printed).toMatch(/proven +resources\[0\]\.primary_key/)
  expect(await kept()).toContain('"status": "proven"')
  expect(printed).not.toContain('--write')
  expect((await command('plan', file)).printed).toContain('proven on 2026-01-01')
})

test('init --no-prove asks for no more than the draft needs', async () => {
  const { file, api, command, kept } = await project(provenApi({ way: 'offset' }), () => '')
  await rm(file)
  const { exitCode, printed } = await command(...drafted(api.origin, file), '--no-prove')
  expect(exitCode, printed).toBe(0)
  expect(api.asked.length).toBeLessThan(6)
  await expect(kept()).rejects.toThrow('ENOENT')
  expect(printed).toContain('prove')
})

test('init proves with a key that only the address has', async () => {
  const { file, command, api } = await project(
    url =>
      url.searchParams.get('api_key') === 's3cret-key-1'
        ? provenApi({ way: 'offset' })(url)
        : { status: 401, json: {} },
    () => '',
  )
  await rm(file)
  const { exitCode, printed } = await command(
    'init',
    '--url',
    `${api.origin}/things?limit=5&api_key=s3cret-key-1`,
    '--out',
    file,
  )
  expect(exitCode, printed).toBe(0)
  expect(printed).toMatch(/proven +client\.paginator/)
  expect(printed + (await readFile(file, 'utf8'))).not.toContain('s3cret')
})

test('a paginator that is written takes the questions of the draft away, and no other comment', async () => {
  const items = Array.from({ length: 10 }, (_, index) => index)
  const { file, command } = await project(
    url => {
      const page = Number(url.searchParams.get('page') ?? 1)
      const records = page > 3 ? [] : items.map(index => ({ id: page * 10 + index }))
      return { json: { items: records, has_more: page < 3 } }
    },
    origin => `destination: duckdb:things.duckdb
source:
  client:
    base_url: ${origin}
    # Unknown: nothing in the answer tells of pages.
    # Question: how does the API page?
    # Without a paginator, a run reads only this page, and its receipt says so.
  resources:
    # Mine.
    - name: things
      endpoint: { path: things, data_selector: items }
`,
  )
  expect(await command('prove', file, '--write')).toMatchObject({ exitCode: 0 })
  const text = await readFile(file, 'utf8')
  expect(text).toContain('type: page_number')
  expect(text).toContain('# Mine.')
  expect(text).not.toMatch(/Unknown:|Question:|Without a paginator/)
})
