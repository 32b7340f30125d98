import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

/** A JSON API made of one function, that writes down what it was asked. Closed when the test ends. */
export interface TestApi {
  readonly url: string
  /** Path and query of every request. */
  readonly asked: string[]
}

export interface Answer {
  readonly status?: number
  /** Written as JSON; a text that JavaScript would write otherwise is `body`. */
  readonly json?: unknown
  readonly body?: string | Buffer
  readonly headers?: Record<string, string>
}

export async function testApi(
  answer: (url: URL, request: IncomingMessage) => Answer | Promise<Answer>,
): Promise<TestApi> {
  const asked: string[] = []
  const server = createServer(async (request, response) => {
    const url = new URL(request.url ?? '/', 'http://127.0.0.1')
    asked.push(`${url.pathname}${url.search}`)
    const { status = 200, json, body = JSON.stringify(json), headers = {} } = await answer(url, request)
    response.writeHead(status, { 'content-type': 'application/json', ...headers })
    response.end(body)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked }
}

/** Serves `rows` in pages by offset and limit, with a total. */
export function offsetPage(rows: readonly unknown[], url: URL): Answer {
  const offset = Number(url.searchParams.get('offset') ?? 0)
  const limit = Number(url.searchParams.get('limit') ?? rows.length)
  return { json: { items: rows.slice(offset, offset + limit), total: rows.length } }
}

/** A folder that is removed when the test ends. */
export async function testFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-test-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}
