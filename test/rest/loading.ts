import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import {
  duckdb,
  type Pipeline,
  pipeline,
  type RestApiConfig,
  type RunEvent,
  type RunOptions,
  type RunResult,
  restApi,
} from '../../src/index.js'
import { type Seen, serve } from './clientServer.js'
import { type Answer, type Api, api } from './listServer.js'

/** An API that is closed with the test. */
export async function testApi(answer: Parameters<typeof api>[0]): Promise<Api> {
  const server = await api(answer)
  onTestFinished(() => server.close())
  return server
}

/** An API that answers with bytes. */
export async function bytesApi(
  answer: (request: Seen, number: number) => Omit<Answer, 'json' | 'text'> & { readonly body: Uint8Array | string },
): Promise<string> {
  const server = await serve((request, response, number) => {
    const { status = 200, type, headers, body } = answer(request, number)
    response.writeHead(status, { ...(type === undefined ? {} : { 'content-type': type }), ...headers }).end(body)
  })
  onTestFinished(() => server.close())
  return server.origin
}

export interface Loaded {
  readonly result: RunResult
  readonly events: readonly RunEvent[]
  readonly made: Pipeline
  /** Rows of a table without the columns of the system, whole numbers as numbers, in the order of `by`. */
  rows(table: string, by?: string): Promise<Record<string, unknown>[]>
}

/** Loads a document into a DuckDB file of its own; the pipeline stays usable until the test ends. */
export async function load(document: RestApiConfig, options: RunOptions = {}): Promise<Loaded> {
  return run(await prepared(document), options)
}

/** The pipeline of a document, in a folder that is removed with the test. */
export async function prepared(document: RestApiConfig): Promise<Pipeline> {
  return (await preparedVersions())(document)
}

/** Pipelines of one folder, for versions of one document. */
export async function preparedVersions(): Promise<(document: RestApiConfig) => Pipeline> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-rest-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return document =>
    pipeline({
      name: 'test',
      source: restApi(document, { env: {}, cwd: folder }),
      destination: duckdb(join(folder, 'test.duckdb')),
      home: join(folder, 'home'),
    })
}

/** Runs a pipeline, one request after the other. */
export async function run(made: Pipeline, options: RunOptions = {}): Promise<Loaded> {
  const events: RunEvent[] = []
  const result = await made.run({ concurrency: 1, ...options, onEvent: event => events.push(event) })
  return {
    result,
    events,
    made,
    async rows(table, by = 'id') {
      const rows = (await made.dataset().table(table).orderBy(by).rows()) as readonly Record<string, unknown>[]
      return rows.map(row =>
        Object.fromEntries(
          Object.entries(row)
            .filter(([name]) => !name.startsWith('_dlt_'))
            .map(([name, value]) => [name, typeof value === 'bigint' ? Number(value) : value]),
        ),
      )
    },
  }
}

/** Seconds that no test waits for. */
export const quickRetry = { base: 0, jitter: 'none' } as const
