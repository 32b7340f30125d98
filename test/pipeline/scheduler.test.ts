import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { duckdb, pipeline, restApi } from '../../src/index.js'
import { testFolder } from './api.js'

/** The window of a run comes from a scheduler, as dlt 1.31 reads it. Requests were measured there. */

const WINDOW = { DLT_INTERVAL_START: '1970-01-01T00:00:10Z', DLT_INTERVAL_END: '1970-01-01T00:00:20Z' }
const ALLOWED = { ...WINDOW, DLT_ALLOW_EXTERNAL_SCHEDULERS: 'true' }

async function list(records: readonly unknown[]) {
  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(new URL(request.url ?? '/', 'http://127.0.0.1').search)
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify(records))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const folder = await testFolder()
  const made = (incremental: object, env: Readonly<Record<string, string>>) =>
    pipeline({
      name: 'test',
      source: restApi(
        {
          client: { base_url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, paginator: 'single_page' },
          resources: [
            {
              name: 'items',
              endpoint: {
                path: 'items',
                incremental: { cursor_path: 'at', start_param: 'since', end_param: 'until', ...incremental },
              },
            },
          ],
        },
        { env },
      ),
      destination: duckdb({ path: join(folder, 'test.duckdb') }),
      home: join(folder, 'home'),
    })
  return { asked, made }
}

const numbers = [0, 5, 10, 15, 20, 25].map(at => ({ at }))
const joins = { allow_external_schedulers: true }

test.each<[string, object, Readonly<Record<string, string>>, string, readonly number[]]>([
  ['the document asks for it', { initial_value: 0, ...joins }, WINDOW, '?since=10&until=20', [10, 15]],
  ['the environment asks for it', { initial_value: 0 }, ALLOWED, '?since=10&until=20', [10, 15]],
  ['nobody asks for it', { initial_value: 0 }, WINDOW, '?since=0', [0, 5, 10, 15, 20, 25]],
  [
    'the document forbids it',
    { initial_value: 0, allow_external_schedulers: false },
    ALLOWED,
    '?since=0',
    [0, 5, 10, 15, 20, 25],
  ],
  ['it begins before initial_value', { initial_value: 12, ...joins }, WINDOW, '?since=12&until=20', [15]],
  ['it ends before initial_value', { initial_value: 25, ...joins }, WINDOW, '?since=25&until=20', []],
  ['it ends behind end_value', { initial_value: 0, end_value: 14, ...joins }, WINDOW, '?since=10&until=14', [10]],
  ['it ends before end_value', { initial_value: 0, end_value: 40, ...joins }, WINDOW, '?since=10&until=20', [10, 15]],
  ['there is a lag', { initial_value: 0, lag: 5, ...joins }, WINDOW, '?since=10&until=20', [10, 15]],
  [
    'it has parts of seconds',
    { initial_value: 0, ...joins },
    { DLT_INTERVAL_START: '1970-01-01T00:00:10.75Z', DLT_INTERVAL_END: '1970-01-01T00:00:20.5Z' },
    '?since=10&until=20',
    [10, 15],
  ],
  [
    'its ends have other forms',
    { initial_value: 0, ...joins },
    { DLT_INTERVAL_START: '1970-01-01 00:00:10', DLT_INTERVAL_END: '1970-01-01T01:00:20+01:00' },
    '?since=10&until=20',
    [10, 15],
  ],
])('a window of the scheduler: %s', async (_, incremental, env, query, loaded) => {
  const { asked, made } = await list(numbers)
  const run = made(incremental, env)
  await run.run()
  expect(asked).toEqual([query])
  const rows = loaded.length === 0 ? [] : await run.dataset().table('items').rows()
  expect(rows.map(({ at }) => Number(at))).toEqual(loaded)
})

test('a window of the scheduler leaves no state behind, and reads none', async () => {
  const { asked, made } = await list(numbers)
  await made({ initial_value: 0 }, {}).run()
  await made({ initial_value: 0 }, ALLOWED).run()
  await made({ initial_value: 0 }, {}).run()
  expect(asked).toEqual(['?since=0', '?since=10&until=20', '?since=25'])
})

test.each([
  ['2024-01-01T00:00:00Z', {}, '?since=2024-03-31T00%3A30%3A00Z&until=2024-03-31T01%3A00%3A00Z'],
  [
    '2024-01-01T00:00:00Z',
    { DLT_INTERVAL_TIMEZONE: 'Europe/Berlin' },
    '?since=2024-03-31T01%3A30%3A00%2B01%3A00&until=2024-03-31T03%3A00%3A00%2B02%3A00',
  ],
  ['2024-01-01', {}, '?since=2024-03-31&until=2024-03-31'],
] as const)('a window of the scheduler is written as initial_value %s is, %j', async (initial, env, query) => {
  const { asked, made } = await list([
    { at: '2024-03-31T00:29:59Z' },
    { at: '2024-03-31T00:30:00Z' },
    { at: '2024-03-31T01:00:00Z' },
  ])
  const window = { DLT_INTERVAL_START: '2024-03-31T00:30:00Z', DLT_INTERVAL_END: '2024-03-31T01:00:00Z', ...env }
  const receipts = await made({ initial_value: initial, ...joins }, window).run()
  expect(asked).toEqual([query])
  expect(receipts.receipts[0]?.rows).toEqual(initial.length > 10 ? { items: 1 } : {})
})

const KEY = 'resources[0].endpoint.incremental.allow_external_schedulers'

test.each<[string, object, Readonly<Record<string, string>>, string]>([
  ['no window', { initial_value: 0, ...joins }, {}, KEY],
  ['half a window', { initial_value: 0, ...joins }, { DLT_INTERVAL_START: WINDOW.DLT_INTERVAL_START }, KEY],
  ['no initial value', {}, ALLOWED, KEY],
  ['a text that is no time', { initial_value: 'a-17', ...joins }, WINDOW, KEY],
  ['milliseconds', { initial_value: 1704067200000, ...joins }, WINDOW, KEY],
  ['no time', { initial_value: 0, ...joins }, { ...WINDOW, DLT_INTERVAL_END: 'soon' }, 'DLT_INTERVAL_END'],
  [
    'an end before its beginning',
    { initial_value: 0, ...joins },
    { ...WINDOW, DLT_INTERVAL_END: '1970-01-01T00:00:09Z' },
    'DLT_INTERVAL_END',
  ],
  [
    'no time zone',
    { initial_value: 0, ...joins },
    { ...WINDOW, DLT_INTERVAL_TIMEZONE: 'Nowhere/X' },
    'DLT_INTERVAL_TIMEZONE',
  ],
  [
    'no answer',
    { initial_value: 0 },
    { ...ALLOWED, DLT_ALLOW_EXTERNAL_SCHEDULERS: 'maybe' },
    'DLT_ALLOW_EXTERNAL_SCHEDULERS',
  ],
])('a window of the scheduler is refused with %s', async (_, incremental, env, path) => {
  const { asked, made } = await list([])
  expect(() => made(incremental, env)).toThrow(path)
  expect(asked).toEqual([])
})

test('variables of a scheduler that nobody asked for do not matter', async () => {
  const { asked, made } = await list(numbers)
  await made({ initial_value: 0 }, { DLT_INTERVAL_START: 'x', DLT_INTERVAL_END: 'y', DLT_INTERVAL_TIMEZONE: 'z' }).run()
  expect(asked).toEqual(['?since=0'])
})
