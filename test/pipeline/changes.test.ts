import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Destination, files, type JsonObject, pipeline, type RunResult, restApi } from '../../src/index.js'
import { type PostgresServer, startPostgres } from '../destinations/postgresServer.js'
import { testFolder } from './api.js'
import { sqlPlaces } from './sqlPlaces.js'

let server: PostgresServer
beforeAll(async () => {
  server = await startPostgres()
}, 60_000)
afterAll(async () => {
  await server.stop()
})

type Row = JsonObject

/** Loads a list of records with these hints, one load after the other. */
async function loading(destination: Destination) {
  const load = await loadingAll(destination)
  return async (records: Row[], hints: object): Promise<RunResult['changes']> =>
    await load([{ name: 't', records, ...hints }])
}

/** The same of any resources. */
async function loadingAll(destination: Destination) {
  const home = join(await testFolder(), 'home')
  return async (resources: { name: string; records: Row[] }[]): Promise<RunResult['changes']> => {
    const source = restApi({ client: { base_url: 'http://127.0.0.1:9' }, resources }, { env: {} })
    return (await pipeline({ name: 'p', source, destination, home }).run()).changes
  }
}

const NONE = { isNew: false, newColumns: [], inserted: 0, updated: 0, replaced: 0, deleted: 0 }

describe.each(['duckdb', 'postgres'])('on %s a run tells what its commit did', { timeout: 60_000 }, place => {
  async function opened(): Promise<ReturnType<typeof loading>> {
    const open = sqlPlaces(server)[place]
    if (open === undefined) throw new TypeError(`no place ${place}`)
    return await loading((await open()).destination)
  }

  it.each<[string, object, object, object]>([
    ['append', { write_disposition: 'append' }, { inserted: 3 }, { inserted: 3 }],
    ['replace', { write_disposition: 'replace' }, { inserted: 3, replaced: 2 }, { inserted: 3, replaced: 2 }],
    [
      'delete-insert',
      { write_disposition: 'merge', primary_key: 'id' },
      { inserted: 3, replaced: 1 },
      { inserted: 3, replaced: 1 },
    ],
    [
      'delete-insert by a merge key',
      { write_disposition: 'merge', merge_key: 'day' },
      { inserted: 3, replaced: 2 },
      { inserted: 3, replaced: 2 },
    ],
    [
      'upsert',
      { write_disposition: { disposition: 'merge', strategy: 'upsert' }, primary_key: 'id' },
      { inserted: 2, updated: 1 },
      { inserted: 3, replaced: 1 },
    ],
    [
      'insert-only',
      { write_disposition: { disposition: 'merge', strategy: 'insert-only' }, primary_key: 'id' },
      { inserted: 2 },
      { inserted: 2 },
    ],
    [
      'scd2',
      { write_disposition: { disposition: 'merge', strategy: 'scd2' } },
      { inserted: 3, updated: 2 },
      { inserted: 3 },
    ],
    [
      'hard deletes',
      { write_disposition: 'merge', primary_key: 'id', columns: { gone: { data_type: 'bool', hard_delete: true } } },
      { inserted: 2, replaced: 0, deleted: 1 },
      { inserted: 2, replaced: 1 },
    ],
    [
      'rows that a listing no longer has',
      { write_disposition: 'merge', primary_key: 'id', deletes: 'hard', max_delete_share: 1 },
      { inserted: 3, replaced: 1, deleted: 1 },
      { inserted: 3, replaced: 1, deleted: 1 },
    ],
  ])('by %s', async (_, hints, root, nested) => {
    const load = await opened()
    const first = await load(
      [
        { id: 1, day: 'a', tags: ['x'] },
        { id: 2, day: 'a', tags: ['y'] },
      ],
      hints,
    )
    const made = { ...NONE, isNew: true, inserted: 2 }
    expect(first).toEqual({ t: made, t__tags: made })
    const second = await load(
      [
        { id: 2, day: 'a', tags: ['z'], gone: true, extra: 1 },
        { id: 3, day: 'b', tags: ['z'] },
        { id: 4, day: 'b', tags: ['z'] },
      ],
      hints,
    )
    expect(second).toEqual({
      t: { ...NONE, ...root, newColumns: expect.arrayContaining(['extra']) },
      t__tags: { ...NONE, ...nested },
    })
  })

  it('counts rows, not keys, where a key is there twice', async () => {
    const load = await opened()
    await load([{ id: 1 }, { id: 1 }], { write_disposition: 'append' })
    const hints = { write_disposition: { disposition: 'merge', strategy: 'upsert' }, primary_key: 'id' }
    expect((await load([{ id: 1 }, { id: 2 }], hints))?.t).toEqual({ ...NONE, inserted: 1, updated: 2 })
  })

  it('counts each of many tables', { timeout: 240_000 }, async () => {
    const open = sqlPlaces(server)[place]
    if (open === undefined) throw new TypeError(`no place ${place}`)
    const load = await loadingAll((await open()).destination)
    const tables = Array.from({ length: 120 }, (_, index) => ({ name: `t${index}`, before: index % 4 }))
    const merged = { write_disposition: 'merge', primary_key: 'id' }
    const ids = (from: number, to: number): Row[] => Array.from({ length: to - from }, (_, at) => ({ id: from + at }))
    await load(tables.map(({ name, before }) => ({ name, records: ids(0, before + 1), ...merged })))
    const changes = await load(tables.map(({ name }) => ({ name, records: ids(1, 4), ...merged })))
    const expected = tables.map(({ name, before }) => [name, { ...NONE, inserted: 3, replaced: before }])
    expect(changes).toEqual(Object.fromEntries(expected))
  })

  it('counts rows that are marked as deleted', async () => {
    const load = await opened()
    const hints = { write_disposition: 'merge', primary_key: 'id', deletes: 'soft', max_delete_share: 1 }
    await load([{ id: 1 }, { id: 2 }], hints)
    expect((await load([{ id: 2 }], hints))?.t).toEqual({ ...NONE, inserted: 1, replaced: 1, deleted: 1 })
  })
})

it('says nothing of files, which it does not count', async () => {
  const folder = await testFolder()
  const load = await loading(files(join(folder, 'lake')))
  expect(await load([{ id: 1 }], { write_disposition: 'append' })).toBeUndefined()
})
