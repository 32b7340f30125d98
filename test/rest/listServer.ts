import { parseJson } from '../../src/json/parse.js'
import type { JsonObject } from '../../src/json/value.js'
import type { RunEvent } from '../../src/model/events.js'
import type { ExtractContext, ListEnd, Page, Source } from '../../src/model/source.js'
import { parseRestConfig } from '../../src/rest/document/parseDocument.js'
import { restSource } from '../../src/rest/restSource.js'
import { fakeClock, memoryJournal, type Seen, serve } from './clientServer.js'

/** What a test's API answers: a status and a body, the body alone, or with headers. */
export interface Answer {
  readonly status?: number
  readonly json?: unknown
  readonly text?: string
  readonly type?: string
  readonly headers?: Readonly<Record<string, string>>
}

export interface Api {
  readonly origin: string
  /** Method, path with query and body of every request, as in `GET /x?a=1`. */
  readonly asked: string[]
  readonly seen: Seen[]
  close(): Promise<void>
}

/** An API that answers by a function of the URL; undefined is 404. */
export async function api(
  answer: (url: URL, request: Seen) => Answer | undefined | Promise<Answer | undefined>,
): Promise<Api> {
  const asked: string[] = []
  const server = await serve(async (request, response) => {
    asked.push(`${request.method} ${request.url}${request.body === '' ? '' : ` ${request.body}`}`)
    const found = (await answer(new URL(request.url, server.origin), request)) ?? {
      status: 404,
      json: { error: 'none' },
    }
    const body = found.text ?? (found.json === undefined ? undefined : JSON.stringify(found.json))
    const type = found.type ?? 'application/json'
    response.writeHead(found.status ?? 200, {
      ...(body === undefined ? {} : { 'content-type': type }),
      ...found.headers,
    })
    response.end(body)
  })
  return { origin: server.origin, asked, seen: server.seen, close: server.close }
}

/** The source of a document. */
export function source(document: unknown): Source {
  return restSource(parseRestConfig(document))
}

/** A document with one resource `things`. */
export function things(origin: string, endpoint: object = {}, more: object = {}): Source {
  return source({ client: { base_url: origin }, resources: [{ name: 'things', endpoint, ...more }] })
}

export interface Read {
  readonly pages: Page[]
  readonly records: unknown[]
  readonly end: ListEnd
  readonly events: RunEvent[]
}

/** Reads the list of a resource to its end. */
export async function read(from: Source, name = 'things', more: Partial<ExtractContext> = {}): Promise<Read> {
  const events: RunEvent[] = []
  const resource = from.resources.find(candidate => candidate.name === name)
  if (resource === undefined) throw new Error(`no resource ${name}`)
  const pages: Page[] = []
  const records: unknown[] = []
  try {
    const list = resource.pages(context({ emit: event => events.push(event), ...more }))
    for (;;) {
      const next = await list.next()
      if (next.done === true) return { pages, records, end: next.value, events }
      pages.push(next.value)
      records.push(...recordsOf(next.value))
    }
  } finally {
    await from.close()
  }
}

export function context(more: Partial<ExtractContext> = {}): ExtractContext {
  return {
    signal: new AbortController().signal,
    clock: fakeClock(),
    journal: memoryJournal(),
    emit: () => undefined,
    concurrency: 1,
    ...more,
  }
}

export function recordsOf(page: Page): JsonObject[] {
  const records = parseJson(page.records) as unknown as JsonObject[]
  if (records.length !== page.count) throw new Error(`the page says ${page.count} records, but has ${records.length}`)
  return records
}
