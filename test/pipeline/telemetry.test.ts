import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { join } from 'node:path'
import { context, type Span, SpanKind, SpanStatusCode, metrics as telemetryMetrics, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import {
  AggregationTemporality,
  type DataPoint,
  type Histogram,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base'
import { afterAll, beforeAll, beforeEach, expect, it, onTestFinished } from 'vitest'
import {
  type Clock,
  duckdb,
  type Pipeline,
  pipeline,
  type RestApiConfig,
  restApi,
  Secret,
  type Transport,
} from '../../src/index.js'
import { testApi, testFolder } from './api.js'
import { between, hourlyVisits, jsonApi } from './hourlyVisits.js'

const SECRET = 'tok-4711-very-secret'

const spans = new InMemorySpanExporter()
const measured = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
const tracers = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] })
const meters = new MeterProvider({
  readers: [new PeriodicExportingMetricReader({ exporter: measured, exportIntervalMillis: 3_600_000 })],
})

beforeAll(() => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
  trace.setGlobalTracerProvider(tracers)
  telemetryMetrics.setGlobalMeterProvider(meters)
})
beforeEach(() => spans.reset())
afterAll(async () => {
  await Promise.all([tracers.shutdown(), meters.shutdown()])
  trace.disable()
  telemetryMetrics.disable()
  context.disable()
})

/** Waits take no time, and are added to it. */
function quickClock(): Clock {
  let nowMs = Date.UTC(2026, 0, 1)
  return {
    now: () => nowMs,
    random: () => 0.5,
    sleep: async ms => {
      nowMs += ms
    },
  }
}

async function made(name: string, config: RestApiConfig): Promise<Pipeline> {
  const folder = await testFolder()
  return pipeline({
    name,
    source: restApi(config),
    destination: duckdb(join(folder, 'out.duckdb')),
    home: join(folder, 'home'),
    clock: quickClock(),
  })
}

function named(name: string): ReadableSpan {
  const found = spans.getFinishedSpans().filter(span => span.name === name)
  expect(found, `spans ${spans.getFinishedSpans().map(span => span.name)}`).toHaveLength(1)
  return found[0] as ReadableSpan
}

/** Each span as `name < name of its parent`, once each, in order. */
function tree(): readonly string[] {
  const all = spans.getFinishedSpans()
  const nameOf = (id: string | undefined): string => all.find(one => one.spanContext().spanId === id)?.name ?? '-'
  return [...new Set(all.map(span => `${span.name} < ${nameOf(span.parentSpanContext?.spanId)}`))].sort()
}

/** The sum of a counter, or the sum and the number of what was measured, by the chosen attribute. */
async function measurements(name: string, pipelineName: string, attribute: string): Promise<Record<string, number>> {
  measured.reset()
  await meters.forceFlush()
  const points = measured
    .getMetrics()
    .flatMap(({ scopeMetrics }) => scopeMetrics)
    .flatMap(({ metrics }) => metrics)
    .filter(({ descriptor }) => descriptor.name === name)
    .flatMap(({ dataPoints }): readonly DataPoint<number | Pick<Histogram, 'sum'>>[] => dataPoints)
    .filter(({ attributes }) => attributes['sluice.pipeline'] === pipelineName)
  const sums: Record<string, number> = {}
  for (const { attributes, value } of points) {
    const key = String(attributes[attribute])
    sums[key] = (sums[key] ?? 0) + (typeof value === 'number' ? value : (value.sum ?? 0))
  }
  return sums
}

/** Everything that the SDK was given. */
async function exported(): Promise<string> {
  measured.reset()
  await meters.forceFlush()
  const told = spans
    .getFinishedSpans()
    .map(({ name, attributes, events, status, links }) => ({ name, attributes, events, status, links }))
  return JSON.stringify([told, measured.getMetrics()])
}

it('makes spans of a run, its resources, requests and commit, with retries and waits', async () => {
  let asked = 0
  const { url } = await testApi(({ pathname }) => {
    asked += 1
    if (asked === 1) return { status: 429, json: {}, headers: { 'retry-after': '2' } }
    if (pathname === '/shops')
      return {
        json: {
          data: [
            { id: 1, tags: ['a', 'b'] },
            { id: 2, tags: [] },
          ],
          total: 2,
        },
      }
    return { json: { data: [{ id: `${pathname}-1` }] } }
  })
  const shops = await made('shops', {
    client: {
      base_url: url,
      rate_limit: { requests: 1, per: 10 },
      auth: { type: 'api_key', name: 'key', location: 'query', api_key: new Secret(SECRET) },
    },
    resource_defaults: { primary_key: 'id', write_disposition: 'merge' },
    resources: [
      { name: 'shops', endpoint: { path: 'shops', data_selector: 'data', paginator: 'single_page' } },
      {
        name: 'orders',
        endpoint: { path: 'shops/{resources.shops.id}/orders', data_selector: 'data', paginator: 'single_page' },
      },
    ],
  })
  const { loadId } = await shops.run()
  expect(tree()).toEqual([
    'GET < read orders',
    'GET < read shops',
    'commit < run shops',
    'read orders < run shops',
    'read shops < run shops',
    'run shops < -',
  ])
  const run = named('run shops')
  expect(run.attributes).toMatchObject({
    'sluice.work': 'run',
    'sluice.pipeline': 'shops',
    'sluice.dataset': 'shops_dataset',
    'sluice.destination': 'duckdb:out.duckdb',
    'sluice.load_id': loadId,
  })
  expect(run.status.code).toBe(SpanStatusCode.UNSET)
  const read = named('read shops')
  expect(read.attributes).toMatchObject({ 'sluice.records': 2, 'sluice.rows': 4, 'sluice.retries': 1 })
  expect(read.events.map(({ name }) => name)).toContain('retry')
  expect(read.events.find(({ name }) => name === 'retry')?.attributes).toMatchObject({ 'sluice.delay_ms': 2_000 })
  expect(named('read orders').attributes).toMatchObject({ 'sluice.parent_resource': 'shops' })
  const requests = spans.getFinishedSpans().filter(({ name }) => name === 'GET')
  expect(requests).toHaveLength(4)
  expect(requests.every(({ kind }) => kind === SpanKind.CLIENT)).toBe(true)
  const { hostname, port } = new URL(url)
  expect(requests[0]).toMatchObject({
    status: { code: SpanStatusCode.ERROR },
    attributes: {
      'http.request.method': 'GET',
      'http.response.status_code': 429,
      'error.type': '429',
      'server.address': hostname,
      'server.port': Number(port),
    },
  })
  expect(requests[1]?.attributes).toMatchObject({ 'http.request.resend_count': 1, 'http.response.status_code': 200 })
  expect(requests[1]?.attributes['url.full']).toBe(`${url}/shops`)
  const [began, ended] = [read.startTime, read.endTime].map(([seconds, nanos]) => seconds * 1e9 + nanos)
  expect(ended).toBeGreaterThanOrEqual(began as number)
  expect(await measurements('sluice.rows', 'shops', 'sluice.table')).toEqual({ shops: 2, shops__tags: 2, orders: 2 })
  expect(await measurements('sluice.records', 'shops', 'sluice.resource')).toEqual({ shops: 2, orders: 2 })
  expect(await measurements('sluice.retries', 'shops', 'sluice.resource')).toEqual({ shops: 1 })
  expect(await measurements('sluice.wait.duration', 'shops', 'sluice.wait')).toMatchObject({
    retry: 2,
    limit: expect.toSatisfy((seconds: number) => seconds >= 20),
  })
  expect(named('read orders').events.map(({ name }) => name)).toContain('wait')
  expect(await measurements('sluice.request.duration', 'shops', 'http.response.status_code')).toEqual({
    200: expect.any(Number),
    429: expect.any(Number),
  })
  expect(await exported()).not.toContain('4711')
})

it('marks what failed, and tells no secret that an answer or an error repeats', async () => {
  const { url } = await testApi((_, { headers }) => ({ status: 500, json: { you_sent: headers.authorization } }))
  const refused = await made('refused', {
    client: {
      base_url: url,
      retry: { attempts: 2 },
      auth: { type: 'bearer', token: SECRET },
      paginator: 'single_page',
    },
    resources: ['shops'],
  })
  await expect(refused.run()).rejects.toThrow(/500/)
  const run = named('run refused')
  expect(run.status).toMatchObject({ code: SpanStatusCode.ERROR, message: expect.stringContaining('500') })
  expect(run.attributes).toMatchObject({ 'error.type': 'http_status' })
  expect(named('read shops')).toMatchObject({ status: { code: SpanStatusCode.ERROR } })
  expect(tree()).not.toContain('commit < run refused')
  expect(await measurements('sluice.work.duration', 'refused', 'error.type')).toHaveProperty('http_status')
  expect(await measurements('sluice.rows', 'refused', 'sluice.table')).toEqual({})
  expect(await exported()).toContain('you_sent')
  expect(await exported()).not.toContain('4711')
})

it('says that a run failed before it began', async () => {
  const secretless = await made('secretless', {
    client: { base_url: 'http://127.0.0.1:9', auth: { type: 'bearer', token: '${secrets.no_such_secret_4711}' } },
    resources: ['shops'],
  })
  await expect(secretless.run()).rejects.toThrow()
  expect(tree()).toEqual(['run secretless < -'])
  expect(named('run secretless').status.code).toBe(SpanStatusCode.ERROR)
})

it('makes a run a part of what the program does at that time', async () => {
  const { url } = await testApi(() => ({ json: [{ id: 1 }] }))
  const part = await made('part', { client: { base_url: url, paginator: 'single_page' }, resources: ['shops'] })
  await trace.getTracer('test').startActiveSpan('nightly', async (span: Span) => {
    await part.run()
    await part.check()
    span.end()
  })
  expect(tree()).toContain('run part < nightly')
  expect(tree()).toContain('check part < nightly')
  expect(tree()).toContain('GET < check part')
})

it('keeps the windows of a backfill apart, which are loaded beside each other', async () => {
  const visits = hourlyVisits(96)
  const url = await jsonApi(query => between(visits, query))
  const backfilled = await made('visits', {
    client: { base_url: url, paginator: 'single_page' },
    resources: [
      {
        name: 'visits',
        primary_key: 'id',
        write_disposition: 'merge',
        endpoint: {
          path: 'visits',
          incremental: {
            cursor_path: 'at',
            start_param: 'since',
            end_param: 'until',
            initial_value: '2024-01-01T00:00:00.000Z',
          },
        },
      },
    ],
  })
  await backfilled.backfill('visits', {
    from: '2024-01-01T00:00:00.000Z',
    to: '2024-01-05T00:00:00.000Z',
    step: 'P1D',
    parallel: 4,
  })
  expect(tree()).toEqual([
    'GET < read visits',
    'backfill visits < -',
    'commit < window',
    'read visits < window',
    'window < backfill visits',
  ])
  const all = spans.getFinishedSpans()
  const windows = all.filter(({ name }) => name === 'window')
  expect(windows).toHaveLength(4)
  // The requests of a window ask for what is in it.
  for (const window of windows) {
    const within = (parent: ReadableSpan): readonly ReadableSpan[] =>
      all.filter(({ parentSpanContext }) => parentSpanContext?.spanId === parent.spanContext().spanId)
    const requests = within(window).flatMap(within)
    const start = String(window.attributes['sluice.window']).slice(0, 10)
    expect(requests.map(({ attributes }) => new URL(String(attributes['url.full'])).searchParams.get('since'))).toEqual(
      [expect.stringContaining(start)],
    )
  }
  expect(await measurements('sluice.rows', 'visits', 'sluice.table')).toEqual({ visits: 96 })
})

async function* bodyOf(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text)
}

it('sends requests unseen by those who make spans of whole addresses', async () => {
  // As the instrumentation of undici does, whose spans hold the credentials in an address.
  const traced = (): void => trace.getTracer('undici').startSpan('whole address').end()
  subscribe('undici:request:create', traced)
  onTestFinished(() => void unsubscribe('undici:request:create', traced))
  const { url, asked } = await testApi(() => ({ json: [{ id: 1 }] }))
  const auth = { type: 'api_key', name: 'key', location: 'query', api_key: new Secret(SECRET) } as const
  const unseen = await made('unseen', {
    client: { base_url: url, auth, paginator: 'single_page' },
    resources: ['shops'],
  })
  await unseen.run()
  const transport: Transport = async request => {
    traced()
    const answer = await fetch(request.url, { signal: request.signal })
    return { status: answer.status, headers: {}, body: bodyOf(await answer.text()) }
  }
  const own = await made('own', {
    client: { base_url: url, auth, paginator: 'single_page', transport },
    resources: ['shops'],
  })
  await own.run()
  expect(asked).toEqual([`/shops?key=${SECRET}`, `/shops?key=${SECRET}`])
  expect(spans.getFinishedSpans().map(({ name }) => name)).not.toContain('whole address')
  await fetch(url)
  expect(spans.getFinishedSpans().map(({ name }) => name)).toContain('whole address')
})
