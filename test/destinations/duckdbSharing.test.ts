import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { describe, expect, onTestFinished, test } from 'vitest'
import { duckdb, pipeline, type RunEvent, restApi } from '../../src/index.js'
import { offsetPage, testApi, testFolder } from '../pipeline/api.js'

const ROWS = Array.from({ length: 60_000 }, (_, id) => ({ id, name: `name ${id}` }))

async function shop(write_disposition: 'append' | 'merge' = 'append') {
  const api = await testApi(url => offsetPage(ROWS, url))
  const folder = await testFolder()
  const path = join(folder, 'shop.duckdb')
  const made = pipeline({
    name: 'shop',
    source: restApi(
      {
        client: { base_url: api.url, paginator: { type: 'offset', limit: 15_000 } },
        resources: [{ name: 'items', primary_key: 'id', write_disposition }],
      },
      { env: {} },
    ),
    destination: duckdb(path),
    home: join(folder, 'home'),
  })
  return { path, made, count: () => made.dataset().table('items').count() }
}

/** What the program around has open, closed when the test ends. */
async function opened(how: 'create' | 'fromCache', path: string) {
  const instance = await DuckDBInstance[how](path)
  const connection = await instance.connect()
  let isOpen = true
  const close = (): void => {
    if (!isOpen) return
    isOpen = false
    connection.closeSync()
    instance.closeSync()
  }
  onTestFinished(close)
  return { connection, close }
}

describe('a file that the same process has open', () => {
  test.skipIf(process.platform === 'win32')('in an instance of its own is refused, with the cure', async () => {
    const { path, made, count } = await shop()
    const app = await opened('create', path)
    await app.connection.run('CREATE TABLE notes AS SELECT 1 AS note')
    const refusal = {
      code: 'destination_locked',
      message: expect.stringContaining(`DuckDBInstance.fromCache(${JSON.stringify(path)})`),
    }
    await expect(made.run()).rejects.toMatchObject(refusal)
    await expect(count()).rejects.toMatchObject(refusal)
    // The second one does not open it beside the first, which still looks.
    for (const both of await Promise.allSettled([count(), count()])) expect(both).toMatchObject({ reason: refusal })
    await app.connection.run('INSERT INTO notes VALUES (2); CHECKPOINT')
    app.close()
    await made.run()
    expect(await count()).toBe(ROWS.length)
    const after = await opened('create', path)
    expect((await after.connection.runAndReadAll('SELECT count(*)::INTEGER FROM notes')).getRows()).toEqual([[2]])
  })

  test.skipIf(process.platform === 'win32')('in an instance that is just being closed is waited for', async () => {
    const { path, made, count } = await shop()
    await made.run()
    const app = await opened('create', path)
    const counted = count()
    // Long enough to be noticed, and short beside the time that is allowed.
    setTimeout(app.close, 200)
    expect(await counted).toBe(ROWS.length)
  })

  test.skipIf(process.platform === 'win32')(
    'in an instance that comes during the run: nothing is committed',
    async () => {
      const { path, made, count } = await shop()
      await (await shop()).made.run()
      let app: Awaited<ReturnType<typeof opened>> | undefined
      const opening: Promise<void>[] = []
      const run = made.run({
        onEvent({ type }) {
          if (type !== 'page' || opening.length > 0) return
          opening.push(
            opened('create', path).then(open => {
              app = open
            }),
          )
        },
        concurrency: 1,
      })
      await expect(run).rejects.toMatchObject({ code: 'destination_locked' })
      await opening[0]
      app?.close()
      expect((await made.run()).rows).toEqual({ items: ROWS.length })
      expect(await count()).toBe(ROWS.length)
    },
  )

  test('in the shared instance is loaded, and everybody sees the rows', async () => {
    const { path, made, count } = await shop()
    const app = await opened('fromCache', path)
    await made.run()
    expect(await count()).toBe(ROWS.length)
    const rows = await app.connection.runAndReadAll('SELECT count(*)::INTEGER FROM shop_dataset.items')
    expect(rows.getRows()).toEqual([[ROWS.length]])
    await app.connection.run('CREATE TABLE notes AS SELECT 1 AS note; CHECKPOINT')
    app.close()
    expect(await count()).toBe(ROWS.length)
  })
})

const SETTING_NAMES = [
  'threads',
  'memory_limit',
  'allocator_flush_threshold',
  'allocator_bulk_deallocation_flush_threshold',
  'write_buffer_row_group_count',
  'checkpoint_threshold',
  'auto_checkpoint_skip_wal_threshold',
]
const SETTINGS = `SELECT ${SETTING_NAMES.map(name => `current_setting('${name}')::VARCHAR`)}`

/** As a second connection of ours to the file, and the program around, find them. */
async function settingsSeenBeside(path: string): Promise<unknown> {
  const connection = await duckdb(path).connect('shop_dataset')
  const app = await opened('fromCache', path)
  try {
    return (await app.connection.runAndReadAll(SETTINGS)).getRows()[0]
  } finally {
    app.close()
    await connection[Symbol.asyncDispose]()
  }
}

test('the settings of a shared instance are the same before, during and after a load', async () => {
  const { path, made } = await shop()
  const { connection } = await opened('fromCache', path)
  const settings = async (): Promise<unknown> => (await connection.runAndReadAll(SETTINGS)).getRows()[0]
  const before = await settings()
  const seen: Promise<unknown>[] = []
  await made.run({ onEvent: () => void seen.push(settings()) })
  expect(seen.length).toBeGreaterThan(5)
  expect(new Set((await Promise.all(seen)).map(String))).toEqual(new Set([String(before)]))
  expect(await settings()).toEqual(before)
})

test('a second connection of ours finds the settings as they were', async () => {
  const { path, made } = await shop()
  const fresh = await opened('create', ':memory:')
  const usual = (await fresh.connection.runAndReadAll(SETTINGS)).getRows()[0]
  const seen: Promise<unknown>[] = []
  await made.run({
    onEvent({ type }) {
      if (type === 'page') seen.push(settingsSeenBeside(path))
    },
  })
  for (const found of await Promise.all(seen)) expect(found).toEqual(usual)
})

test('a second connection of ours finds the settings as they were while many tables are committed', {
  timeout: 180_000,
}, async () => {
  const api = await testApi(() => ({ json: ROWS.slice(0, 2) }))
  const folder = await testFolder()
  const path = join(folder, 'shop.duckdb')
  const names = Array.from({ length: 80 }, (_, index) => `r${index}`)
  const made = pipeline({
    name: 'shop',
    source: restApi(
      {
        client: { base_url: api.url, paginator: 'single_page' },
        resource_defaults: { primary_key: 'id', write_disposition: 'merge' },
        resources: names.map(name => ({ name, endpoint: { path: name } })),
      },
      { env: {} },
    ),
    destination: duckdb(path),
    home: join(folder, 'home'),
  })
  const fresh = await opened('create', ':memory:')
  const usual = (await fresh.connection.runAndReadAll(SETTINGS)).getRows()[0]
  const seen: Promise<unknown>[] = []
  for (let load = 0; load < 2; load++) {
    await made.run({
      onEvent(event) {
        // In the middle of the commit, when the settings are others.
        const isMiddle = event.type === 'statement' && /^(INSERT|MERGE) INTO \S*"r40"/.test(event.sql)
        if (isMiddle || event.type === 'committed') seen.push(settingsSeenBeside(path))
      },
    })
  }
  expect(seen).toHaveLength(4)
  for (const found of await Promise.all(seen)) expect(found).toEqual(usual)
  expect(await settingsSeenBeside(path)).toEqual(usual)
  for (const name of ['r0', 'r79']) expect(await made.dataset().table(name).count()).toBe(2)
})

test('rows that had to be written twice are told with the commit', async () => {
  const { made } = await shop('merge')
  const lost = async (): Promise<unknown> => {
    const events: RunEvent[] = []
    await made.run({ onEvent: event => events.push(event) })
    const committed = events.find(({ type }) => type === 'committed')
    return committed?.type === 'committed' ? committed.headStartLost : undefined
  }
  expect(await lost()).toBeUndefined()
  expect(await lost()).toMatch(/there are rows to replace/)
})

test.skipIf(process.platform === 'win32')(
  'a file that is deleted during the run is an error, and the next run loads',
  async () => {
    const { path, made, count } = await shop()
    const removing: Promise<void>[] = []
    const run = made.run({
      onEvent({ type }) {
        if (type === 'page') removing.push(rm(path, { force: true }))
      },
    })
    await expect(run).rejects.toMatchObject({
      code: 'destination',
      message: expect.stringMatching(/shop\.duckdb was removed or replaced while it was being loaded/),
    })
    await Promise.all(removing)
    const result = await made.run()
    expect(result.receipts[0]).toMatchObject({ verdict: 'complete', requests: 0 })
    expect(await count()).toBe(ROWS.length)
  },
)
