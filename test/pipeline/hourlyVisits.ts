import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'

/** A list for tests of backfills: one visit an hour, from the beginning of 2024. */

export interface Visit {
  readonly id: number
  readonly at: string
}

const HOUR_MS = 3_600_000

/** `more`: further fields of the visit of an hour. */
export function hourlyVisits(hours: number, more: (hour: number) => object = () => ({})): readonly Visit[] {
  return Array.from({ length: hours }, (_, hour) => ({
    id: hour,
    at: new Date(Date.UTC(2024, 0, 1) + hour * HOUR_MS).toISOString(),
    ...more(hour),
  }))
}

/** The visits from `since` to `until` of a query, `until` itself left out. */
export function between(visits: readonly Visit[], query: URLSearchParams): readonly Visit[] {
  const [since = '', until = ''] = ['since', 'until'].map(name => query.get(name) ?? '')
  return visits.filter(({ at }) => at >= since && at < until)
}

/**
 * An API on 127.0.0.1 that is closed with the test. `answer` returns what is sent as JSON, or undefined if it answers by
 * itself, or never.
 */
export async function jsonApi(
  answer: (query: URLSearchParams, response: ServerResponse, request: IncomingMessage) => unknown,
): Promise<string> {
  const server = createServer((request, response) => {
    const found = answer(new URL(request.url ?? '/', 'http://api').searchParams, response, request)
    if (found !== undefined) response.setHeader('content-type', 'application/json').end(JSON.stringify(found))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => new Promise(resolve => server.close(() => resolve()).closeAllConnections()))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
