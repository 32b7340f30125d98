import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import {
  type BackfillOptions,
  duckdb,
  type Pipeline,
  pipeline,
  type ResourceConfig,
  type RunEvent,
  restApi,
} from '../../src/index.js'
import fc from '../properties.js'
import { jsonApi } from './hourlyVisits.js'

vi.setConfig({ testTimeout: 300_000 })

const SIZE = 10
const numbers = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, place) => from + place)

/** A list that a test may change. `answered`: called after each answer. */
async function api(ids: number[], answered: (requests: number) => void = () => {}) {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-list-parts-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const asked: number[] = []
  const url = await jsonApi((query, response) => {
    const page = query.get('page')
    const offset = page === null ? Number(query.get('offset')) : (Number(page) - 1) * SIZE
    asked.push(offset)
    const data = ids.slice(offset, offset + SIZE).map(id => ({ id, tags: [`tag ${id}`] }))
    response.once('finish', () => answered(asked.length))
    return { total: ids.length, pages: Math.ceil(ids.length / SIZE), has_more: offset + SIZE < ids.length, data }
  })
  return { folder, url, asked, ids }
}

type Api = Awaited<ReturnType<typeof api>>

const BY_OFFSET = { type: 'offset', limit: SIZE, total_path: 'total' }
const BY_NUMBER = { type: 'page_number', base_page: 1, total_path: 'pages' }
const WAYS = [
  ['records', BY_OFFSET, 1],
  ['pages', BY_NUMBER, SIZE],
] as const

const list = (paginator: object, more: object = {}, endpoint: object = {}): ResourceConfig =>
  ({
    name: 'items',
    primary_key: 'id',
    write_disposition: 'merge',
    ...more,
    endpoint: { path: 'items', data_selector: 'data', paginator, partition: { by: 'pages', pages: 3 }, ...endpoint },
  }) as unknown as ResourceConfig

function made({ url, folder }: Api, ...resources: readonly ResourceConfig[]): Pipeline {
  return pipeline({
    name: 'items',
    source: restApi({ client: { base_url: url, retry: { attempts: 1 } }, resources: [...resources] }),
    destination: duckdb(join(folder, 'items.duckdb')),
    home: join(folder, 'home'),
  }) as Pipeline
}

const idsOf = async (of: Pipeline): Promise<readonly number[]> =>
  (await of.dataset().table('items').orderBy('id').rows()).map(({ id }) => Number(id))

/** What a backfill loaded, and of what it warned. */
async function loaded(of: Pipeline, options: BackfillOptions = {}) {
  const warnings: string[] = []
  const onEvent = (event: RunEvent) => event.type === 'warning' && warnings.push(`${event.code} ${event.message}`)
  const { loads } = await of.backfill('items', { ...options, onEvent })
  return { loads, warnings, verdicts: loads.map(({ start, end, verdict }) => `${start} ${end} ${verdict}`) }
}

const MOVES: readonly (readonly [string, (ids: number[]) => unknown])[] = [
  ['a record comes before', ids => ids.unshift(-1)],
  ['a record before goes', ids => ids.shift()],
  // As in a list whose newest changes come first.
  ['one that is not yet read moves to the front', ids => ids.unshift(...ids.splice(75, 1))],
  ['the list becomes far shorter', ids => ids.splice(40)],
]

describe('a list in parts of so many pages', () => {
  it.each(WAYS)('loads each part once, in a load of its own: counted in %s', async (_, paginator, unit) => {
    const there = await api(numbers(0, 95))
    const loading = made(there, list(paginator))
    const status = await loading.backfillStatus('items')
    const end = Math.ceil(95 / unit)
    expect(status).toMatchObject({ partition: 'pages', from: 0, to: end, done: [] })
    expect(status.missing).toHaveLength(4)
    const step = 30 / unit
    const { loads, verdicts, warnings } = await loaded(loading)
    expect(verdicts).toEqual([0, 1, 2, 3].map(part => `${part * step} ${Math.min((part + 1) * step, end)} complete`))
    expect(warnings).toEqual([])
    expect(new Set(loads.map(({ loadId }) => loadId)).size).toBe(4)
    // One request to count, and in each part the page before it.
    expect(loads.map(({ requests }) => requests)).toEqual([3, 4, 4, 2])
    expect(await idsOf(loading)).toEqual(there.ids)
    // Of a last page that is not full, nobody knows whether it has more by now.
    const open = unit === 1 ? [] : [{ start: 9, end: 10 }]
    expect(await loading.backfillStatus('items')).toMatchObject({
      missing: open,
      done: { length: 4 - open.length },
    })
    expect((await loaded(loading)).loads).toHaveLength(open.length)
  })

  it.each(WAYS)(
    'asks again for places where nothing was when their part was loaded: counted in %s',
    async (_, paginator, unit) => {
      const there = await api(numbers(0, 55))
      const loading = made(there, list(paginator))
      const to = 90 / unit
      const end = unit === 1 ? 55 : 5
      await loaded(loading, { to })
      const open = await loading.backfillStatus('items', { to })
      expect(open.done.map(one => [one.start, one.end])).toEqual([
        [0, 30 / unit],
        [30 / unit, end],
      ])
      expect(open.missing.map(one => [one.start, one.end])).toEqual([
        [end, 60 / unit],
        [60 / unit, to],
      ])
      // Still nothing there: each backfill looks once.
      expect((await loaded(loading, { to })).loads).toHaveLength(2)
      there.ids.push(...numbers(55, 90))
      const { verdicts } = await loaded(loading, { to })
      expect(verdicts).toEqual([`${end} ${60 / unit} complete`, `${60 / unit} ${to} complete`])
      expect(await idsOf(loading)).toEqual(there.ids)
      expect(await loading.backfillStatus('items', { to })).toMatchObject({ missing: [] })
      expect((await loaded(loading, { to })).loads).toEqual([])
    },
  )

  it('loads what comes onto a last page that was not full', async () => {
    const there = await api(numbers(0, 95))
    const loading = made(there, list(BY_NUMBER))
    await loading.backfill('items')
    there.ids.push(...numbers(95, 100))
    const { verdicts } = await loaded(loading)
    expect(verdicts).toEqual(['9 10 complete'])
    expect(await idsOf(loading)).toEqual(there.ids)
    expect(await loading.backfillStatus('items')).toMatchObject({ missing: [] })
  })

  it.each(WAYS)('goes on where the list has grown at its end: counted in %s', async (_, paginator) => {
    const there = await api(numbers(0, 95))
    const loading = made(there, list(paginator))
    await loading.backfill('items')
    there.ids.push(...numbers(95, 122))
    const { verdicts } = await loaded(loading)
    expect(verdicts.every(one => one.endsWith('complete'))).toBe(true)
    expect(await idsOf(loading)).toEqual(there.ids)
  })

  it.each(WAYS)(
    'is unproven where nothing is at the last place of a part: counted in %s',
    async (_, paginator, unit) => {
      const there = await api(numbers(0, 55))
      const { verdicts } = await loaded(made(there, list(paginator)), { to: 90 / unit })
      const step = 30 / unit
      // The last page of a list may have fewer records than fit.
      const second = unit === 1 ? 'unproven' : 'complete'
      expect(verdicts).toEqual([
        `0 ${step} complete`,
        `${step} ${2 * step} ${second}`,
        `${2 * step} ${3 * step} unproven`,
      ])
    },
  )

  it('is unproven where it becomes shorter after it was counted', async () => {
    const there = await api(numbers(0, 65), requests => requests === 1 && there.ids.splice(62))
    const { verdicts } = await loaded(made(there, list(BY_OFFSET)))
    expect(verdicts).toEqual(['0 30 complete', '30 60 complete', '60 65 unproven'])
  })

  it('is refused where its pages may have another length than before', async () => {
    const there = await api(numbers(0, 95))
    const sized = (size: unknown) => made(there, list(BY_NUMBER, {}, { params: { size } }))
    expect((await loaded(sized(10))).loads).toHaveLength(4)
    expect((await loaded(sized(10))).verdicts).toEqual(['9 10 complete'])
    await expect(sized('50').backfill('items')).rejects.toThrow('were cut by pages by id with size 10 before')
  })

  it('is refused where the API says that there are no pages, and gives records', async () => {
    const there = await api([])
    const url = await jsonApi(() => ({ pages: 0, data: [{ id: 1 }] }))
    await expect(made({ ...there, url }, list(BY_NUMBER)).backfill('items')).rejects.toThrow('does not tell how long')
  })

  it('says that the key must be in the answers where a step makes it', async () => {
    const there = await api(numbers(0, 25))
    const step = { map: (record: { readonly id: number }) => ({ number: record.id }) }
    const failing = made(there, list(BY_OFFSET, { primary_key: 'number', processing_steps: [step] })).backfill('items')
    await expect(failing).rejects.toThrow('name a key that is in its answers, and that no processing step makes')
  })

  it.each(
    WAYS.flatMap(([name, paginator, unit]) =>
      MOVES.map(([what, change]) => [name, what, paginator, unit, change] as const),
    ),
  )('is unproven, counted in %s, where %s between two parts', async (_name, _what, paginator, unit, change) => {
    const there = await api(numbers(0, 95))
    const loading = made(there, list(paginator, {}, {}), comments)
    const step = 30 / unit
    expect((await loaded(loading, { to: 2 * step })).verdicts).toEqual([
      `0 ${step} complete`,
      `${step} ${2 * step} complete`,
    ])
    change(there.ids)
    const { verdicts, loads } = await loaded(loading, { to: 3 * step })
    expect(verdicts).toEqual([`${2 * step} ${3 * step} unproven`])
    const receipts = (await loading.dataset().history()).find(({ loadId }) => loadId === loads[0]?.loadId)?.receipts
    const reasons = Object.fromEntries(receipts?.map(({ resource, reasons: why }) => [resource, why.join()]) ?? [])
    expect(reasons.items).toMatch(
      /the list has moved since 0 … \d+ was loaded: where the two parts meet is another record/,
    )
    expect(reasons.comments).toMatch(/its parent items is unproven: .*the list has moved/)
    // Nothing twice, whatever moved.
    const ids = await idsOf(loading)
    expect(new Set(ids).size).toBe(ids.length)
  })

  it('is told of parts that one commit holds, and of those that are read at the same time', async () => {
    for (const parallel of [1, 2]) {
      const there = await api(numbers(0, 90), requests => {
        // Two parts have all their pages, and the third one none.
        if (requests === 3 + 4) there.ids.shift()
      })
      const { verdicts, warnings } = await loaded(made(there, list(BY_OFFSET)), { to: 90, parallel })
      if (parallel === 1) expect(verdicts).toEqual(['0 30 complete', '30 60 complete', '60 90 unproven'])
      expect(verdicts.some(one => one.endsWith('unproven'))).toBe(true)
      if (parallel === 1) expect(warnings.join()).toMatch(/list_changed items: the list has moved since 0 … 60/)
    }
  })

  it('never says complete of parts that lack a record which was there all the time', async () => {
    type Change = {
      readonly after: number
      readonly at: number
      readonly records: number
      readonly kind: 'insert' | 'delete'
    }
    const change: fc.Arbitrary<Change> = fc.record({
      // Most of them where a part ends: what moves within one shows there.
      after: fc.oneof({ weight: 3, arbitrary: fc.constantFrom(4, 8) }, fc.integer({ min: 1, max: 14 })),
      at: fc.integer({ min: 0, max: 60 }),
      records: fc.integer({ min: 1, max: 25 }),
      kind: fc.constantFrom('insert', 'delete'),
    })
    await fc.assert(
      fc.asyncProperty(
        fc.array(change, { maxLength: 3 }),
        fc.constantFrom(BY_OFFSET, BY_NUMBER),
        fc.constantFrom(1, 2),
        async (changes, paginator, parallel) => {
          const removed = new Set<number>()
          let next = 1000
          const there = await api(numbers(0, 65), requests => {
            for (const { at, records, kind } of changes.filter(one => one.after === requests)) {
              if (kind === 'insert') {
                there.ids.splice(at, 0, ...numbers(next, next + records))
                next += records
              } else for (const id of there.ids.splice(at, records)) removed.add(id)
            }
          })
          const loading = made(there, list(paginator))
          const { verdicts } = await loaded(loading, { parallel })
          const isComplete = verdicts.every(one => one.endsWith(' complete'))
          const rows = await idsOf(loading)
          expect(new Set(rows).size).toBe(rows.length)
          const lost = numbers(0, 65).filter(id => !removed.has(id) && !rows.includes(id))
          // What came meanwhile may have pushed records beyond the end that was planned: they are missing, and said to be.
          const { missing } = await loading.backfillStatus('items')
          if (isComplete && missing.length === 0) expect(lost).toEqual([])
        },
      ),
      { numRuns: 15 },
    )
  })
})

const comments: ResourceConfig = {
  name: 'comments',
  primary_key: 'id',
  write_disposition: 'merge',
  endpoint: { path: 'comments/{resources.items.id}', data_selector: 'data[:1]', paginator: 'single_page' },
} as unknown as ResourceConfig

describe('what cannot be read in parts', () => {
  const parent: ResourceConfig = {
    name: 'shops',
    primary_key: 'id',
    write_disposition: 'merge',
    endpoint: { path: 'shops', data_selector: 'data', paginator: BY_OFFSET },
  } as unknown as ResourceConfig
  const partition = (value: object) => ({ partition: value })

  it.each([
    ['no number of pages', list(BY_OFFSET, {}, partition({ by: 'pages' })), /pages: is missing: how many pages/],
    [
      'slices',
      list(BY_OFFSET, {}, partition({ by: 'pages', pages: 3, slices: 2 })),
      /slices: has no meaning with `pages`/,
    ],
    [
      'pages of parents',
      list(BY_OFFSET, {}, partition({ by: 'parents', slices: 2, pages: 3 })),
      /pages: has no meaning/,
    ],
  ])('%s', async (_, resource, message) => {
    expect(() => restApi({ client: { base_url: 'https://api.example.com' }, resources: [resource] })).toThrow(message)
  })

  it.each<[string, readonly ResourceConfig[], BackfillOptions, RegExp]>([
    [
      'a list of a parent',
      [parent, list(BY_OFFSET, {}, { path: '{resources.shops.id}' })],
      {},
      /has a list for each record of shops; use `\{ by: parents/,
    ],
    [
      'a cursor in the answers',
      [list({ type: 'cursor', cursor_path: 'next' })],
      {},
      /needs to know how long the list is: a paginator `offset`/,
    ],
    ['a list without a total', [list({ ...BY_NUMBER, total_path: null })], {}, /needs to know how long the list is/],
    ['a list with an end', [list({ ...BY_OFFSET, maximum_offset: 50 })], {}, /neither a maximum/],
    [
      'no key',
      [list(BY_OFFSET, { primary_key: undefined, write_disposition: 'append' })],
      {},
      /give items a `primary_key`/,
    ],
    [
      'appended rows',
      [list(BY_OFFSET, { write_disposition: 'append' })],
      {},
      /write_disposition: is append, and a record may be in two parts/,
    ],
    [
      'appended rows of a child',
      [list(BY_OFFSET), { ...comments, write_disposition: 'append' } as ResourceConfig],
      {},
      /is append.*\(resource comments\)/,
    ],
    ['a step', [list(BY_OFFSET)], { step: 10 }, /step: has no meaning/],
    ['a place that is none', [list(BY_OFFSET)], { from: 'x' }, /from: is x; places in the list are counted from 0/],
    ['a range backwards', [list(BY_OFFSET)], { from: 9, to: 3 }, /to: 3 is before/],
  ])('%s', async (_, resources, options, message) => {
    const there = await api(numbers(0, 95))
    await expect(made(there, ...resources).backfill('items', options)).rejects.toThrow(message)
    expect(there.asked).toEqual([])
  })

  it('a list whose first answer tells no total', async () => {
    const there = await api(numbers(0, 95))
    const loading = made(there, list({ type: 'offset', limit: SIZE, total_path: 'not_there' }))
    await expect(loading.backfill('items')).rejects.toThrow(/does not tell how long the list is|total_path "not_there"/)
  })
})
