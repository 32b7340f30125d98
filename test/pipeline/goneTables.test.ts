import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Destination, files, type Pipeline, pipeline, type RunOptions, restApi } from '../../src/index.js'
import { type PostgresServer, startPostgres } from '../destinations/postgresServer.js'
import { testApi, testFolder } from './api.js'
import { sqlPlaces } from './sqlPlaces.js'

/** Tables that somebody has dropped: whoever filled them reads from the beginning, whatever its cursor says. */

let server: PostgresServer
beforeAll(async () => {
  server = await startPostgres()
}, 120_000)
afterAll(() => server?.stop())

interface Place {
  readonly destination: Destination
  /** Drops a table of the dataset around Sluice. */
  gone(table: string): Promise<unknown>
}

const sqlPlace = async (engine: 'duckdb' | 'postgres'): Promise<Place> => {
  const { destination, sql } = await (sqlPlaces(server)[engine] as ReturnType<typeof sqlPlaces>[string])()
  return { destination, gone: table => sql(`DROP TABLE ds.${table}`) }
}
const filesPlace = async (): Promise<Place> => {
  const folder = join(await testFolder(), 'lake')
  return {
    destination: files(folder),
    gone: table => rm(join(folder, 'ds', table), { recursive: true }),
  }
}
const places: Readonly<Record<string, () => Promise<Place>>> = {
  DuckDB: () => sqlPlace('duckdb'),
  Postgres: () => sqlPlace('postgres'),
  files: filesPlace,
}

const CURSOR = { cursor_path: 'at', start_param: 'since', initial_value: 0, range_start: 'open' }
const WINDOWS = { cursor_path: 'at', start_param: 'since', end_param: 'until', initial_value: 1 }

/** Each list has three records with one tag each. Those below a record of it have one record. */
async function api() {
  return await testApi(({ pathname, searchParams }) => {
    const [list, parent] = pathname.slice(1).split('/')
    if (parent !== undefined) return { json: [{ id: `${list}-${parent}` }] }
    const [since, until] = [Number(searchParams.get('since') ?? 0), Number(searchParams.get('until') ?? 99)]
    const isAfter = (at: number): boolean => (searchParams.has('until') ? at >= since : at > since)
    return {
      json: [1, 2, 3]
        .filter(at => isAfter(at) && at < until)
        .map(at => ({ id: `${list}${at}`, at, tags: [{ tag: at }] })),
    }
  })
}

type Given = Readonly<Record<string, unknown>> & { readonly name: string; readonly incremental?: object | undefined }

async function scene(open: () => Promise<Place>) {
  const place = await open()
  const { url } = await api()
  const home = join(await testFolder(), 'home')
  const make = (resources: readonly Given[], names: { pipeline?: string; source?: string } = {}): Pipeline =>
    pipeline({
      name: names.pipeline ?? 'test',
      source: restApi(
        {
          client: { base_url: url },
          resources: resources.map(({ incremental = CURSOR, path, ...resource }) => ({
            write_disposition: 'append',
            ...resource,
            endpoint: {
              path: path ?? resource.name,
              paginator: 'single_page',
              ...(path === undefined && { incremental }),
            },
          })),
        } as unknown as Parameters<typeof restApi>[0],
        { name: names.source ?? 'source' },
      ),
      destination: place.destination,
      dataset: 'ds',
      home,
    }) as Pipeline
  return { ...place, make }
}

/** The verdicts of a run, and its warnings of these kinds. */
async function ran(of: Pipeline, options: RunOptions = {}) {
  const warnings: string[] = []
  const { receipts } = await of.run({
    ...options,
    onEvent: event => {
      if (event.type === 'warning' && event.code === 'schema_changed_at_destination') warnings.push(event.message)
    },
  })
  return { verdicts: Object.fromEntries(receipts.map(one => [one.resource, one.verdict])), receipts, warnings }
}

const count = (of: Pipeline, table: string): Promise<number> => of.dataset().table(table).count()

describe.each(Object.entries(places))('a table that is gone from %s', (_, open) => {
  test('is filled again by all resources that had rows in it, also by those that were not selected', async () => {
    const { make, gone } = await scene(open)
    const both = (): Pipeline => make(['a', 'b'].map(name => ({ name, table_name: 't' })))
    await ran(both())
    expect(await count(both(), 't')).toBe(6)
    await gone('t')
    const { warnings, verdicts } = await ran(both(), { select: ['a'] })
    expect(warnings.join('\n')).toMatch(/Table t is gone .* a, b are read from the beginning/)
    expect(verdicts).toEqual({ a: 'complete' })
    expect((await ran(both())).warnings).toEqual([])
    expect(await count(both(), 't')).toBe(6)
    expect(await count(both(), 't__tags')).toBe(6)
    await ran(both())
    expect(await count(both(), 't')).toBe(6)
  })

  test.each(['source', 'another'])('is filled again by other pipelines, with a source of the name %s', async source => {
    const { make, gone } = await scene(open)
    const one = (): Pipeline => make([{ name: 'a', table_name: 't' }], { pipeline: 'one' })
    const two = (): Pipeline => make([{ name: 'b', table_name: 't' }], { pipeline: 'two', source })
    for (const each of [one(), two()]) await ran(each)
    await gone('t')
    const { warnings } = await ran(two())
    expect(warnings[0]).toMatch(/Table t is gone .* the next run of pipeline one, which fills it by a,/)
    for (const each of [one(), two(), one()]) expect((await ran(each)).warnings).toEqual([])
    expect(await count(one(), 't')).toBe(6)
  })

  test('is filled again by windows of a backfill, and by the run after them', async () => {
    const { make, gone } = await scene(open)
    const of = (): Pipeline => make([{ name: 'a', incremental: WINDOWS }])
    const range = { from: 1, to: 4, step: 1 }
    expect((await of().backfill('a', range)).loads).toHaveLength(3)
    await gone('a')
    expect((await of().backfillStatus('a', range)).missing).toHaveLength(3)
    expect((await of().backfill('a', { ...range, to: 2 })).loads).toHaveLength(1)
    expect((await of().backfillStatus('a', range)).done).toHaveLength(1)
    expect((await of().backfill('a', range)).loads).toHaveLength(2)
    expect(await count(of(), 'a')).toBe(3)
    await ran(of())
    expect(await count(of(), 'a')).toBe(3)
  })

  test('is read from the beginning in the plan too', async () => {
    const { make, gone } = await scene(open)
    const of = (): Pipeline => make([{ name: 'a' }])
    await ran(of())
    expect((await of().plan()).resources[0]?.cursor).toMatchObject({ startValue: 3, because: 'state' })
    await gone('a')
    expect((await of().plan()).resources[0]?.cursor).toMatchObject({ startValue: 0, because: 'initial_value' })
  })

  test('leaves a child that would come twice alone, says so in each run, and is whole after a full refresh', async () => {
    const { make, gone } = await scene(open)
    const of = (): Pipeline => make([{ name: 'a' }, { name: 'c', path: 'c/{resources.a.id}' }])
    await ran(of())
    await gone('a')
    expect((await ran(of())).warnings[0]).toMatch(/Table a is gone .* a is not complete until a full refresh/)
    const { receipts } = await ran(of())
    expect(receipts[0]).toMatchObject({ resource: 'a', verdict: 'unproven' })
    expect(receipts[0]?.reasons.join()).toMatch(/loaded before are missing in a, a__tags, .* by a full refresh/)
    expect((await ran(of(), { refresh: 'drop_resources' })).verdicts.a).toBe('complete')
    for (const table of ['a', 'a__tags', 'c']) expect(await count(of(), table), table).toBe(3)
    expect((await ran(of())).verdicts.a).toBe('complete')
  })

  test('a nested one keeps appended rows from being complete', async () => {
    const { make, gone } = await scene(open)
    const of = (): Pipeline => make([{ name: 'a' }])
    await ran(of())
    await gone('a__tags')
    for (let runs = 0; runs < 2; runs++) expect((await ran(of())).verdicts).toEqual({ a: 'unproven' })
    expect(await count(of(), 'a')).toBe(3)
    expect((await ran(of(), { refresh: 'drop_resources' })).verdicts).toEqual({ a: 'complete' })
    expect(await count(of(), 'a__tags')).toBe(3)
  })
})

describe.each(['DuckDB', 'Postgres'])('rows that are merged into %s', engine => {
  const open = places[engine] as () => Promise<Place>
  const MERGED = { write_disposition: 'merge', primary_key: 'id' }

  test('do not come again in a run that appends them, and come again in one that replaces', async () => {
    const { make, gone } = await scene(open)
    const merged = (): Pipeline => make([{ name: 'a', ...MERGED }])
    await ran(merged())
    await gone('a__tags')
    expect((await ran(merged(), { writeDisposition: 'append' })).verdicts).toEqual({ a: 'unproven' })
    expect(await count(merged(), 'a')).toBe(3)
    expect((await ran(merged())).verdicts).toEqual({ a: 'complete' })
    const appended = (): Pipeline => make([{ name: 'b' }])
    await ran(appended())
    await gone('b__tags')
    expect((await ran(appended(), { writeDisposition: 'replace' })).verdicts).toEqual({ b: 'complete' })
    for (const table of ['a', 'a__tags', 'b', 'b__tags']) expect(await count(appended(), table), table).toBe(3)
  })

  test('come again with a nested table, with a child, and with a parent that are gone', async () => {
    const { make, gone } = await scene(open)
    const of = (): Pipeline =>
      make([
        { name: 'a', ...MERGED },
        { name: 'c', path: 'c/{resources.a.id}', ...MERGED },
      ])
    await ran(of())
    for (const table of ['a__tags', 'c', 'a']) {
      await gone(table)
      const { verdicts, warnings } = await ran(of())
      expect(warnings[0]).toMatch(/read from the beginning/)
      expect(verdicts.a).toBe('complete')
      for (const each of ['a', 'a__tags', 'c']) expect(await count(of(), each), `${table}: ${each}`).toBe(3)
    }
  })

  test.each(['insert-only', 'scd2'])(
    'by %s do not bring a nested table back, so they are not complete',
    async strategy => {
      const { make, gone } = await scene(open)
      const of = (): Pipeline => make([{ name: 'a', ...MERGED, write_disposition: { disposition: 'merge', strategy } }])
      await ran(of())
      await gone('a__tags')
      for (let runs = 0; runs < 2; runs++) expect((await ran(of())).verdicts).toEqual({ a: 'unproven' })
    },
  )

  test('come again if a function names their table', async () => {
    const { make, gone } = await scene(open)
    const of = (): Pipeline => make(['a', 'b'].map(name => ({ name, ...MERGED, table_name: () => 't' })))
    await ran(of())
    await gone('t')
    await ran(of())
    expect(await count(of(), 't')).toBe(6)
  })
})

describe('a table that is gone, and was made by a pipeline that has never filled it,', () => {
  test.each(['DuckDB', 'Postgres'])('is filled again by the others in %s', async engine => {
    const { make, gone } = await scene(places[engine] as () => Promise<Place>)
    const of = (name: string): Pipeline => make([{ name, table_name: 't' }], { pipeline: name, source: name })
    for (const name of ['a', 'b']) await ran(of(name))
    await gone('t')
    for (const name of ['c', 'a', 'b', 'a', 'b', 'c']) await ran(of(name))
    expect(await count(of('a'), 't')).toBe(9)
  })

  test('is refused among files, because only some of its files are there', async () => {
    const { make, gone } = await scene(filesPlace)
    const of = (name: string): Pipeline => make([{ name, table_name: 't' }], { pipeline: name, source: name })
    await ran(of('a'))
    await gone('t')
    await ran(of('c'))
    await expect(ran(of('a'))).rejects.toThrow(/a file of table t, is gone .* remove all files of the table/)
    await gone('t')
    for (const name of ['a', 'c']) await ran(of(name))
    expect(await count(of('a'), 't')).toBe(6)
  })
})

describe('a cursor belongs to the table that it was made for', () => {
  const open = places.DuckDB as () => Promise<Place>

  test('and another table is loaded from the beginning', async () => {
    const { make } = await scene(open)
    const into = (table_name: string | undefined): Pipeline => make([{ name: 'a', table_name }])
    await ran(into('t1'))
    const { warnings } = await ran(into('t2'))
    expect(warnings).toEqual(['a fills table t2 now, and its cursor was made for t1; it is read from the beginning'])
    expect(await count(into('t2'), 't2')).toBe(3)
    expect((await ran(into('t2'))).warnings).toEqual([])
    expect((await ran(into(undefined))).verdicts).toEqual({ a: 'complete' })
    expect(await count(into(undefined), 'a')).toBe(3)
    // What was appended before is still there, and would be there twice.
    expect((await ran(into('t1'))).verdicts).toEqual({ a: 'unproven' })
    expect(await count(into('t1'), 't1')).toBe(3)
  })

  test('although a table with its own name holds no note of it', async () => {
    const { make } = await scene(open)
    const into = (table_name: string | undefined): Pipeline => make([{ name: 'a', table_name }])
    await ran(into(undefined))
    expect((await ran(into('t1'))).warnings[0]).toMatch(/a fills table t1 now, and its cursor was made for a;/)
    expect(await count(into('t1'), 't1')).toBe(3)
  })
})

describe('a table that one resource replaces', () => {
  const open = places.DuckDB as () => Promise<Place>

  test.each([
    [['b'], ['a', 'b']],
    [
      ['a', 'b'],
      ['a', 'b'],
    ],
  ])('is refused to one whose function names it, after runs of %j', async (before, last) => {
    const { make } = await scene(open)
    const of = (): Pipeline =>
      make([
        { name: 'a', table_name: 't', write_disposition: 'replace' },
        { name: 'b', table_name: () => 't' },
      ])
    for (const name of before) await ran(of(), { select: [name] })
    const rows = await count(of(), 't')
    await expect(ran(of(), { select: last })).rejects.toThrow(/b has rows in table t, which another resource replaces/)
    expect(await count(of(), 't')).toBe(rows)
  })

  test('is refused where the children of another one would be appended again and again', async () => {
    const { make } = await scene(open)
    const of = make([
      { name: 'a', table_name: 't', write_disposition: 'replace' },
      { name: 'b', table_name: 't' },
      { name: 'c', path: 'c/{resources.b.id}' },
    ])
    await expect(ran(of)).rejects.toThrow(/rows of c would be appended again each time/)
  })

  test('is refused if its nested rows belong to a table of another one', async () => {
    const { make } = await scene(open)
    const of = (): Pipeline => make([{ name: 'a', write_disposition: 'replace' }, { name: 'a__tags' }])
    await ran(of(), { select: ['a__tags'] })
    await expect(ran(of(), { select: ['a'] })).rejects.toThrow(/one of both is replaced/)
    expect(await count(of(), 'a__tags')).toBe(3)
  })
})
