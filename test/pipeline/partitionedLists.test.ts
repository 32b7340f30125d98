import { mkdtemp, rm } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import {
  type BackfillOptions,
  duckdb,
  files,
  type Pipeline,
  type PipelineOptions,
  pipeline,
  type ResourceConfig,
  restApi,
  type WindowOutcome,
} from '../../src/index.js'
import type { Resource } from '../../src/model/source.js'
import { slicesOf } from '../../src/pipeline/backfill/ranges.js'
import { ALL_SHARES, PartitionParents } from '../../src/pipeline/run/incremental/partitions.js'
import fc from '../properties.js'
import { jsonApi } from './hourlyVisits.js'

vi.setConfig({ testTimeout: 120_000 })

const PROJECTS = Array.from({ length: 40 }, (_, place) => ({ id: place + 1, name: `p${place + 1}` }))
const PAGE = 15
const issuesOf = (project: string) =>
  [1, 2, 3].map(number => ({ id: `${project}-${number}`, labels: [project, 'all'] }))

/** An API of projects, in pages, and of the issues of each. `answer`: true if it answers a list of issues by itself. */
async function api(answer: (project: string, response: ServerResponse) => boolean = () => false) {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-parts-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const asked: string[] = []
  const url = await jsonApi((query, response, request) => {
    const [, kind, project = ''] = new URL(request.url ?? '/', 'http://api').pathname.split('/')
    asked.push(kind === 'projects' && project === '' ? 'projects' : project)
    if (project === '') {
      const offset = Number(query.get('offset') ?? 0)
      return { total: PROJECTS.length, data: PROJECTS.slice(offset, offset + PAGE) }
    }
    return answer(project, response) ? undefined : { total: 3, data: issuesOf(project) }
  })
  return { folder, url, asked }
}

type Api = Awaited<ReturnType<typeof api>>

const issues = (partition: object, more: object = {}): ResourceConfig =>
  ({
    name: 'issues',
    primary_key: 'id',
    write_disposition: 'append',
    include_from_parent: ['id'],
    ...more,
    endpoint: {
      path: 'projects/{resources.projects.id}/issues',
      data_selector: 'data',
      paginator: { type: 'single_page', total_path: 'total' },
      partition,
    },
  }) as unknown as ResourceConfig

const written = (...ids: readonly (string | number)[]): ResourceConfig => ({
  name: 'projects',
  primary_key: 'id',
  records: ids.map(id => ({ id })),
  selected: false,
})
const listed: ResourceConfig = {
  name: 'projects',
  primary_key: 'id',
  selected: false,
  endpoint: {
    path: 'projects',
    data_selector: 'data',
    paginator: { type: 'offset', limit: PAGE, total_path: 'total' },
  },
}

function made(
  { url, folder }: Api,
  resources: readonly ResourceConfig[],
  destination: PipelineOptions['destination'] = duckdb(join(folder, 'issues.duckdb')),
): Pipeline {
  return pipeline({
    name: 'issues',
    source: restApi({ client: { base_url: url, retry: { attempts: 1 } }, resources: [...resources] }),
    destination,
    home: join(folder, 'home'),
  }) as Pipeline
}

const rowsOf = async (of: Pipeline): Promise<readonly string[]> =>
  (await of.dataset().table('issues').orderBy('id').rows()).map(({ id, _projects_id }) => `${id} ${_projects_id}`)
const ofProjects = (projects: readonly (string | number)[]): readonly string[] =>
  projects.flatMap(project => issuesOf(String(project)).map(({ id }) => `${id} ${project}`)).sort()

describe('partitions by values', () => {
  it.each([
    ['DuckDB', ({ folder }: Api) => duckdb(join(folder, 'issues.duckdb'))],
    ['files', ({ folder }: Api) => files(join(folder, 'lake'))],
  ])('loads each value once, in a load of its own: %s', async (_, place) => {
    const there = await api()
    const loading = made(there, [written('b', 'a', 'c'), issues({ by: 'values' })], place(there))
    const planned: unknown[] = []
    const outcomes: WindowOutcome[] = []
    const { loads, from, to } = await loading.backfill('issues', {
      onPlan: status => planned.push(status),
      onWindow: one => outcomes.push(one),
    })
    const values = ['b', 'a', 'c'].map(value => ({ start: value, end: value }))
    expect(planned).toMatchObject([{ partition: 'values', from: null, to: null, done: [], missing: values }])
    expect({ from, to }).toEqual({ from: null, to: null })
    expect(loads.map(({ start, end, records, verdict, requests }) => [start, end, records, verdict, requests])).toEqual(
      ['b', 'a', 'c'].map(value => [value, value, 3, 'complete', 1]),
    )
    expect(new Set(loads.map(({ loadId }) => loadId)).size).toBe(3)
    expect(outcomes.map(({ outcome, left }) => [outcome, left])).toEqual([2, 1, 0].map(left => ['loaded', left]))
    expect(await rowsOf(loading)).toEqual(ofProjects(['a', 'b', 'c']))
    expect(there.asked).toEqual(['b', 'a', 'c'])

    const more = made(there, [written('a', 'd', 'b', 'c'), issues({ by: 'values' })], place(there))
    expect(await more.backfillStatus('issues')).toMatchObject({ missing: [{ start: 'd', end: 'd' }] })
    expect(await more.backfill('issues')).toMatchObject({ before: 3, loads: [{ start: 'd' }] })
    expect(await more.backfill('issues')).toMatchObject({ before: 4, loads: [] })
    expect(await rowsOf(more)).toEqual(ofProjects(['a', 'b', 'c', 'd']))
    expect(there.asked).toHaveLength(4)
  })

  it('tells values apart by what they are, and knows those of several keys', async () => {
    const there = await api()
    const projects = [
      { id: '7', of: 1 },
      { id: 7, of: 1 },
      { id: '2024-01-01', of: 1 },
      { id: '2024-01-01T00:00:00Z', of: 1 },
    ]
    const parent: ResourceConfig = { ...written(), primary_key: ['id', 'of'], records: projects }
    const loading = made(there, [parent, issues({ by: 'values' }, { include_from_parent: [] })])
    expect((await loading.backfill('issues', { parallel: 3 })).loads).toHaveLength(4)
    expect((await loading.backfillStatus('issues')).done.map(({ start }) => start)).toHaveLength(4)
    expect(await loading.backfill('issues')).toMatchObject({ loads: [] })
    expect(there.asked.toSorted()).toEqual(['2024-01-01', '2024-01-01T00%3A00%3A00Z', '7', '7'])
  })

  it('commits the others where one fails, and tries that one again', async () => {
    let isRefused = true
    const there = await api((project, response) => {
      if (project !== 'b' || !isRefused) return false
      response.writeHead(403).end()
      return true
    })
    const loading = made(there, [written('a', 'b', 'c'), issues({ by: 'values' })])
    await expect(loading.backfill('issues')).rejects.toMatchObject({
      code: 'windows_failed',
      message: expect.stringMatching(/^issues: 1 window failed, 2 committed\.\nb: .*403/),
    })
    expect(await loading.backfillStatus('issues')).toMatchObject({
      done: [{ start: 'a' }, { start: 'c' }],
      failed: [{ start: 'b', end: 'b', tries: 1 }],
      missing: [],
    })
    isRefused = false
    expect(await loading.backfill('issues', { retryFailed: true })).toMatchObject({ loads: [{ start: 'b' }] })
    expect(await loading.backfillStatus('issues')).toMatchObject({ failed: [], missing: [] })
    expect(await rowsOf(loading)).toEqual(ofProjects(['a', 'b', 'c']))
  })

  it('loads one value alone, if both ends name it', async () => {
    const loading = made(await api(), [written('a', 'b'), issues({ by: 'values' })])
    expect(await loading.backfill('issues', { from: 'b', to: 'b' })).toMatchObject({ loads: [{ start: 'b' }] })
    expect(await loading.backfillStatus('issues')).toMatchObject({ missing: [{ start: 'a' }] })
  })

  it('never deletes a row, and leaves those of other values', async () => {
    const there = await api()
    const merged = { write_disposition: 'merge', deletes: 'hard' }
    const loading = made(there, [written('a', 'b'), issues({ by: 'values' }, merged)])
    const warnings: string[] = []
    await loading.backfill('issues', {
      onEvent: event => event.type === 'warning' && warnings.push(`${event.code} ${event.message}`),
    })
    expect(await rowsOf(loading)).toEqual(ofProjects(['a', 'b']))
    expect(warnings.filter(one => one.startsWith('deletes_skipped'))).not.toEqual([])
    expect(warnings.join()).toContain('issues was read for one partition only')
  })

  it('loads children of the list with each value', async () => {
    const there = await api()
    const child: ResourceConfig = {
      name: 'comments',
      endpoint: {
        path: 'projects/{resources.issues.id}/comments',
        data_selector: 'data',
        paginator: { type: 'single_page', total_path: 'total' },
      },
    }
    const loading = made(there, [written('a', 'b'), issues({ by: 'values' }), child])
    const { loads } = await loading.backfill('issues')
    expect(loads.map(({ rows }) => rows)).toEqual([1, 2].map(() => expect.objectContaining({ issues: 3, comments: 9 })))
  })
})

describe('partitions by parents', () => {
  it('deals out the parents to slices, each in a load of its own, and leaves what a run leaves', async () => {
    const there = await api()
    const loading = made(there, [listed, issues({ by: 'parents', slices: 4 })])
    const { loads, from, to } = await loading.backfill('issues')
    expect({ from, to }).toEqual({ from: 0, to: ALL_SHARES })
    expect(loads.map(({ start, end, verdict }) => [start, end, verdict])).toEqual(
      [0, 1, 2, 3].map(slice => [slice * 250_000, (slice + 1) * 250_000, 'complete']),
    )
    expect(await rowsOf(loading)).toEqual(ofProjects(PROJECTS.map(({ id }) => id)))
    // Each slice lists the parents, which are three pages, and asks for its own alone.
    expect(there.asked.filter(one => one === 'projects')).toHaveLength(4 * 3)
    expect(there.asked.filter(one => one !== 'projects')).toHaveLength(PROJECTS.length)

    const again = made(there, [listed, issues({ by: 'parents', slices: 8 })])
    expect(await again.backfill('issues')).toMatchObject({ before: 4, loads: [] })
    const run = made(there, [listed, issues({ by: 'parents', slices: 4 })], duckdb(join(there.folder, 'run.duckdb')))
    await run.run()
    expect(await rowsOf(run)).toEqual(await rowsOf(loading))
  })

  it.each([
    ['by another key of the parents', [{ ...listed, primary_key: 'name' }, issues({ by: 'parents', slices: 4 })]],
    ['by values', [written(1, 2), issues({ by: 'values' })]],
  ] as const)('is not cut %s in the middle', async (_what, resources) => {
    const there = await api()
    await made(there, [listed, issues({ by: 'parents', slices: 4 })]).backfill('issues', { to: 500_000 })
    const other = made(there, [...resources])
    await expect(other.backfill('issues')).rejects.toThrow(/cut by parents by id before, and would be cut by .* now/)
    await expect(other.backfillStatus('issues')).rejects.toThrow(/cut by parents by id before/)
  })

  it('deals a number and its text out to the same slice', () => {
    const parent = { name: 'projects', hints: { primaryKey: ['id'] } } as unknown as Resource
    for (let id = 0; id < 50; id++) {
      const range = { start: 0, end: ALL_SHARES / 2, by: 'parents' } as const
      const parents = new PartitionParents(range, parent)
      expect(parents.has({ id })).toBe(parents.has({ id: String(id) }))
    }
  })

  it('goes on where it was stopped, and halves a slice that is too much', async () => {
    let asks = 0
    const stop = new AbortController()
    const there = await api((_, response) => {
      if (++asks !== 1) return false
      response.writeHead(504).end()
      return true
    })
    const loading = made(there, [listed, issues({ by: 'parents', slices: 2 })])
    const outcomes: string[] = []
    const onWindow: BackfillOptions['onWindow'] = ({ outcome, start, end }) => {
      outcomes.push(`${outcome} ${start} ${end}`)
      if (outcome === 'loaded') stop.abort(new Error('enough'))
    }
    await expect(loading.backfill('issues', { onWindow, signal: stop.signal })).rejects.toThrow(/stopped.*enough/)
    expect(outcomes).toEqual(['halved 0 500000', 'loaded 0 250000'])
    const { loads } = await loading.backfill('issues')
    expect(loads.map(({ start, end }) => [start, end])).toEqual([
      [250_000, 500_000],
      [500_000, 750_000],
      [750_000, 1_000_000],
    ])
    expect(await rowsOf(loading)).toEqual(ofProjects(PROJECTS.map(({ id }) => id)))
  })

  it('asks anew for the parents where another slice was interrupted', async () => {
    const stop = new AbortController()
    const there = await api(() => {
      stop.abort(new Error('enough'))
      return false
    })
    const loading = made(there, [listed, issues({ by: 'parents', slices: 2 })])
    const lists = () => there.asked.filter(one => one === 'projects').length
    await expect(loading.backfill('issues', { signal: stop.signal })).rejects.toThrow(/enough/)
    const before = lists()
    expect((await loading.backfill('issues', { from: 500_000 })).loads).toHaveLength(1)
    expect(lists() - before).toBe(3)
    expect((await loading.backfill('issues')).loads).toHaveLength(1)
    expect(await rowsOf(loading)).toEqual(ofProjects(PROJECTS.map(({ id }) => id)))
  })

  it('counts no slice as loaded while the list of parents is cut', async () => {
    const there = await api()
    const capped = { ...listed, endpoint: { ...(listed.endpoint as object), max_pages: 1 } } as ResourceConfig
    const loading = made(there, [capped, issues({ by: 'parents', slices: 2 })])
    await expect(loading.backfill('issues')).rejects.toMatchObject({
      code: 'windows_failed',
      message: expect.stringMatching(/not read to its end/),
    })
    expect((await loading.backfillStatus('issues')).done).toEqual([])
  })

  it('puts every record into exactly one slice, also after halving', () => {
    const parent = { name: 'projects', path: 'resources[0]', hints: { primaryKey: ['id'] } } as never
    fc.assert(
      fc.property(fc.uuid(), fc.integer({ min: 1, max: 500 }), fc.nat(ALL_SHARES), (id, slices, edge) => {
        const ranges = [
          ...slicesOf([{ start: 0, end: edge }], slices),
          ...slicesOf([{ start: edge, end: ALL_SHARES }], slices),
        ]
        const holding = ranges.filter(range => new PartitionParents({ by: 'parents', ...range }, parent).has({ id }))
        expect(holding).toHaveLength(1)
      }),
    )
  })
})

describe('what cannot be cut by partitions', () => {
  const document = (...resources: readonly ResourceConfig[]) =>
    restApi({ client: { base_url: 'https://api.example.com' }, resources: [...resources] })
  const cursor = { incremental: { cursor_path: 'at', initial_value: 0 } }
  const with_ = (endpoint: object, partition: object = { by: 'values' }): ResourceConfig => {
    const resource = issues(partition)
    return { ...resource, endpoint: { ...(resource.endpoint as object), ...endpoint } } as ResourceConfig
  }

  it.each([
    ['another kind', issues({ by: 'value' }), /partition\.by.*(did you mean|expected).*values/],
    ['a wrong key', issues({ by: 'parents', slice: 4 }), /did you mean `slices`/],
    ['slices of values', issues({ by: 'values', slices: 4 }), /slices.*has no meaning with `values`/],
    ['parents in no slices', issues({ by: 'parents' }), /slices.*is missing/],
    ['no slice at all', issues({ by: 'parents', slices: 0 }), /slices/],
    ['a cursor', with_(cursor), /partition.*cannot be combined with `incremental`/],
    ['parents that changed', with_({ read_when: 'parent_changed' }), /cannot be combined with `read_when/],
    ['no parent', with_({ path: 'issues' }), /partition.*needs a parent/],
  ])('%s', (_, resource, message) => {
    expect(() => document(written('a'), resource)).toThrow(message)
  })

  it('values of an API', () => {
    expect(() => document(listed, issues({ by: 'values' }))).toThrow(
      /partition\.by: is values, and the records of projects are not written in the file/,
    )
  })

  it.each<[string, readonly ResourceConfig[], BackfillOptions, RegExp]>([
    ['a step', [written('a'), issues({ by: 'values' })], { step: 'P7D' }, /step: has no meaning: `partition` cuts/],
    ['an order', [written('a'), issues({ by: 'values' })], { order: 'newest_first' }, /order: has no meaning/],
    [
      'a range of values',
      [written('a', 'b'), issues({ by: 'values' })],
      { from: 'a', to: 'b' },
      /values have no order/,
    ],
    [
      'no such value',
      [written('alpha', 'beta'), issues({ by: 'values' })],
      { from: 'alpa', to: 'alpa' },
      /there is no value alpa \(did you mean alpha\?\)/,
    ],
    [
      'a value twice',
      [written('a', 'b', 'a'), issues({ by: 'values' })],
      {},
      /records: has two records with the key a/,
    ],
    [
      'shares that are none',
      [listed, issues({ by: 'parents', slices: 2 })],
      { to: 2_000_000 },
      /to: is 2000000; parents/,
    ],
    ['a range backwards', [listed, issues({ by: 'parents', slices: 2 })], { from: 9, to: 3 }, /to: 3 is before/],
    [
      'parents without a key',
      [{ ...listed, primary_key: undefined } as ResourceConfig, issues({ by: 'parents', slices: 2 })],
      {},
      /give projects a `primary_key`/,
    ],
    [
      'rows that a partition would take away',
      [written('a'), issues({ by: 'values' }, { write_disposition: 'replace' })],
      {},
      /is replace: each window would take away/,
    ],
  ])('%s', async (_, resources, options, message) => {
    const there = await api()
    await expect(made(there, resources).backfill('issues', options)).rejects.toThrow(message)
    expect(there.asked).toEqual([])
  })
})
