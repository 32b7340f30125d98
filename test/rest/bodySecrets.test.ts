import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { duckdb, pipeline, type RestApiConfig, restApi } from '../../src/index.js'
import { run, testApi } from './loading.js'

/** Secrets in the body of a request: sent to the API, and found nowhere else. */

const SECRET = 'sk-body-4711-abcdef'
const document = (origin: string, endpoint: object): RestApiConfig =>
  ({
    client: { base_url: origin },
    resources: [
      { name: 'things', endpoint: { path: 'things', method: 'POST', paginator: 'single_page', ...endpoint } },
    ],
  }) as unknown as RestApiConfig

const KEY = '${secrets.body_key}'
const env = { BODY_KEY: SECRET }

async function prepared(of: RestApiConfig) {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-body-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const home = join(folder, 'home')
  const source = restApi(of, { env, cwd: folder })
  return { made: pipeline({ name: 'test', source, destination: duckdb(join(folder, 'test.duckdb')), home }), home }
}

test('members of JSON at any depth are sent, and no journal, event or plan has them', async () => {
  const api = await testApi(() => ({ json: [{ id: 1, echo: 'no' }] }))
  const json = { page: 9007199254740993n, auth: { key: KEY, user: 'ann' }, secret: KEY }
  const { made, home } = await prepared(document(api.origin, { json }))
  const { events, result } = await run(made, { keepJournal: true })
  expect(result.rows).toEqual({ things: 1 })
  expect(api.asked).toEqual([
    `POST /things {"page":9007199254740993,"auth":{"user":"ann","key":"${SECRET}"},"secret":"${SECRET}"}`,
  ])
  expect(
    JSON.stringify(events, (_key, value: unknown) => (typeof value === 'bigint' ? String(value) : value)),
  ).not.toContain(SECRET)
  const plan = await made.plan()
  expect(plan.resources[0]?.request?.request.body).toBe(
    '{"page":9007199254740993,"auth":{"user":"ann","key":"***"},"secret":"***"}',
  )
  expect(plan.resources[0]?.request?.auth.value).toBe('secrets in headers, params or the body')
  const files = (await readdir(home, { recursive: true, withFileTypes: true })).filter(entry => entry.isFile())
  for (const file of files) expect((await readFile(join(file.parentPath, file.name))).includes(SECRET)).toBe(false)
  expect(files.length).toBeGreaterThan(0)
})

test('fields of a form are sent', async () => {
  const api = await testApi(() => ({ json: [{ id: 1 }] }))
  const { made } = await prepared(document(api.origin, { data: { user: 'ann', key: KEY } }))
  await run(made)
  expect(api.asked).toEqual([`POST /things user=ann&key=${SECRET}`])
})

test('pages carry them too, and another origin gets none', async () => {
  const other = await testApi(() => ({ json: { items: [{ id: 3 }] } }))
  const api = await testApi((_url, { body }) =>
    body.includes('"after":"2"')
      ? { status: 307, headers: { location: `${other.origin}/things` } }
      : { json: { items: [{ id: 1 }], next: '2' } },
  )
  const paginator = { type: 'cursor', cursor_path: 'next', cursor_body_path: 'after', stop_when_missing: true }
  const { made } = await prepared(document(api.origin, { json: { key: KEY }, data_selector: 'items', paginator }))
  await run(made).catch(() => undefined)
  expect(api.asked).toEqual([`POST /things {"key":"${SECRET}"}`, `POST /things {"after":"2","key":"${SECRET}"}`])
  expect(other.asked.join('\n')).not.toContain(SECRET)
})

test.each([
  ['a list', { json: { keys: [KEY] } }],
  ['pairs', { data: [['key', KEY]] }],
  ['the whole body', { data: KEY }],
])('in %s it is refused, with the place where it may stand', (_name, endpoint) => {
  expect(() => restApi(document('https://api.example.com', endpoint), { env })).toThrow(
    /a secret may stand only in .* as a member of a map in `json` or `data`/,
  )
})
