import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { duckdb, pipeline, type RestApiConfig, restApi } from '../../src/index.js'
import { testFolder } from './api.js'

/** What becomes of the lists beside one that fails. */

interface Wild {
  readonly url: string
  readonly asked: string[]
  /** Resolves when a path was asked for. */
  waitFor(path: string): Promise<void>
}

async function wildApi(answer: (path: string, url: URL, response: ServerResponse) => void): Promise<Wild> {
  const asked: string[] = []
  const waiting = new Map<string, () => void>()
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://127.0.0.1')
    asked.push(url.pathname)
    waiting.get(url.pathname)?.()
    answer(url.pathname, url, response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    waitFor: path =>
      asked.includes(path) ? Promise.resolve() : new Promise(resolve => waiting.set(path, () => resolve())),
  }
}

function json(response: ServerResponse, value: unknown, status = 200, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers })
  response.end(JSON.stringify(value))
}

async function parentAndChildren(url: string, retry: object = { attempts: 1 }) {
  const folder = await testFolder()
  const config: RestApiConfig = {
    client: { base_url: url, retry },
    resources: [
      { name: 'users', endpoint: { path: 'users', paginator: 'single_page' } },
      {
        name: 'posts',
        endpoint: { path: 'users/{resources.users.id}/posts', paginator: { type: 'page_number', total_path: null } },
      },
    ],
  }
  return pipeline({
    name: 'test',
    source: restApi(config, { env: {} }),
    destination: duckdb(join(folder, 'test.duckdb')),
    home: join(folder, 'home'),
  })
}

test('a child list that fails stops the pages of its siblings', async () => {
  const held: ServerResponse[] = []
  let failed = false
  const api = await wildApi((path, url, response) => {
    if (path === '/users') json(response, [{ id: 1 }, { id: 2 }, { id: 3 }])
    else if (path === '/users/2/posts') held.push(response)
    else {
      const page = Number(url.searchParams.get('page') ?? 1)
      if (!failed && page === 3) {
        failed = true
        for (const one of held) json(one, { error: 'gone wrong' }, 500)
      }
      // Without end: only a stop ends them.
      json(response, [{ page, of: path }])
    }
  })
  const made = await parentAndChildren(api.url)
  await expect(made.run()).rejects.toMatchObject({ code: 'http_status', status: 500, resource: 'posts' })
  expect(api.asked.length).toBeLessThan(1000)
})

test('a sibling that waits because of Retry-After is stopped too', async () => {
  let waits: () => void = () => {}
  const waiting = new Promise<void>(resolve => {
    waits = resolve
  })
  const api = await wildApi((path, _url, response) => {
    if (path === '/users') json(response, [{ id: 1 }, { id: 2 }])
    else if (path === '/users/1/posts') {
      json(response, {}, 429, { 'retry-after': '600' })
      waits()
    } else void waiting.then(() => json(response, { error: 'gone wrong' }, 404))
  })
  const made = await parentAndChildren(api.url, { attempts: 5 })
  await expect(made.run()).rejects.toMatchObject({ code: 'http_status', status: 404 })
})

test('the failure that came first is the one that is thrown, whichever list it is of', async () => {
  const api = await wildApi((path, _url, response) => {
    if (path === '/users') json(response, [{ id: 1 }, { id: 2 }, { id: 3 }])
    // The first list is still under way when the last one fails: what it says of being stopped is not the cause.
    else if (path === '/users/3/posts') {
      void Promise.all([api.waitFor('/users/1/posts'), api.waitFor('/users/2/posts')]).then(() =>
        json(response, { error: 'the cause' }, 400),
      )
    }
  })
  const made = await parentAndChildren(api.url)
  const events: string[] = []
  const run = made.run({ onEvent: event => event.type === 'run_failed' && events.push(event.message) })
  await expect(run).rejects.toMatchObject({ code: 'http_status', status: 400 })
  expect(events).toEqual([expect.stringContaining('the cause')])
})

test('a root list that fails stops the children of another', async () => {
  const folder = await testFolder()
  const api = await wildApi((path, _url, response) => {
    if (path === '/users') json(response, [{ id: 1 }])
    else if (path === '/broken') void api.waitFor('/users/1/posts').then(() => json(response, {}, 410))
  })
  const config: RestApiConfig = {
    client: { base_url: api.url, retry: { attempts: 1 }, paginator: 'single_page' },
    resources: ['users', { name: 'posts', endpoint: { path: 'users/{resources.users.id}/posts' } }, 'broken'],
  }
  const made = pipeline({
    name: 'test',
    source: restApi(config, { env: {} }),
    destination: duckdb(join(folder, 'test.duckdb')),
    home: join(folder, 'home'),
  })
  await expect(made.run()).rejects.toMatchObject({ status: 410, resource: 'broken' })
})
