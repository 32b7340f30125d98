import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { duckdb, pipeline, type RestApiConfig, type RunOptions, restApi } from '../../src/index.js'
import { testFolder } from './api.js'

/** What `deletes` and `replace` take from a table, and what the receipts say of it. */

async function listApi(answers: Readonly<Record<string, unknown>>): Promise<string> {
  const server = createServer((request, response) => {
    const answer = answers[new URL(request.url ?? '/', 'http://127.0.0.1').pathname]
    response.writeHead(answer === undefined ? 404 : 200, { 'content-type': 'application/json' })
    response.end(JSON.stringify(answer ?? {}))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function loads(resources: () => RestApiConfig['resources']) {
  const folder = await testFolder()
  const answers: Record<string, unknown> = {}
  const url = await listApi(answers)
  const under = pipeline({
    name: 'test',
    source: restApi({ client: { base_url: url }, resources: resources() }, { env: {} }),
    destination: duckdb({ path: join(folder, 'test.duckdb') }),
    home: join(folder, 'home'),
  })
  return {
    answers,
    url,
    run: (options: RunOptions = {}) => under.run(options),
    ids: async (table: string) => {
      const rows = await under.dataset().table(table).rows()
      return rows.map(({ id }) => Number(id)).sort((a, b) => a - b)
    },
  }
}

const ids = (...all: number[]): { readonly id: number }[] => all.map(id => ({ id }))

const items = {
  name: 'items',
  primary_key: 'id',
  write_disposition: 'merge',
  max_delete_share: 1,
  endpoint: { path: 'items', paginator: 'single_page' },
} as const

test.each(['hard', 'soft'] as const)('a receipt counts the rows that `deletes: %s` takes', async deletes => {
  const { answers, run } = await loads(() => [{ ...items, deletes }])
  answers['/items'] = ids(1, 2, 3, 4)
  const first = await run()
  expect(first.receipts[0]?.deleted).toBeUndefined()
  answers['/items'] = ids(1, 5)
  const second = await run()
  expect(second.receipts).toMatchObject([{ resource: 'items', verdict: 'complete', deleted: 3 }])
})

test('a limited load of a replaced table takes no rows away unseen', async () => {
  const made = await loads(() => [
    {
      name: 'items',
      write_disposition: 'replace',
      endpoint: { path: 'items', data_selector: 'data', paginator: { type: 'json_link', next_url_path: 'next' } },
    },
  ])
  made.answers['/items'] = { data: ids(1), next: `${made.url}/more` }
  made.answers['/more'] = { data: ids(2, 3, 4, 5), next: null }
  await made.run()
  await expect(made.run({ maxPages: 1 })).rejects.toMatchObject({ code: 'too_many_deletes' })
  expect(await made.ids('items')).toEqual([1, 2, 3, 4, 5])
  await made.run({ maxPages: 1, allowIncomplete: true })
  expect(await made.ids('items')).toEqual([1])
})
