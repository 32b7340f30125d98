import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { inspect } from 'node:util'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { type DemoApi, startDemoApi } from '../../demo/server.js'
import { driver } from '../../src/destinations/postgres/postgresClient.js'
import { postgresError } from '../../src/destinations/postgres/postgresErrors.js'
import {
  type AnyTables,
  duckdb,
  type PipelineOptions,
  pipeline,
  postgres,
  type RunEvent,
  restApi,
  type TransportResponse,
} from '../../src/index.js'
import type { Connection } from '../../src/model/destination.js'
import { columnBatch } from '../../src/testing/testBatch.js'
import {
  commitPlan,
  rowsOf,
  runLoad,
  stageRecords,
  testSchema,
  testState,
  withConnection,
} from '../../src/testing/testDataset.js'
import { type PostgresServer, startPostgres } from './postgresServer.js'

let server: PostgresServer
let folder: string
beforeAll(async () => {
  server = await startPostgres()
  folder = await mkdtemp(join(tmpdir(), 'sluice-postgres-home-'))
})
afterAll(async () => {
  await server.stop()
  await rm(folder, { recursive: true, force: true })
})

const schema = testSchema({ orders: { columns: { id: 'bigint' } } })
const APPEND = [{ table: 'orders', disposition: 'append' }] as const
const orders = (...ids: number[]) => ({ orders: ids.map(id => ({ id })) })
const KEY = 'demo-key-4711'
const TERMINATE = `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name LIKE 'sluice%' AND datname = current_database()`

async function withApi<T>(options: Partial<Parameters<typeof startDemoApi>[0]>, work: (api: DemoApi) => Promise<T>) {
  const api = await startDemoApi({ apiKey: KEY, records: { feedback: 630, featureFlags: 130 }, ...options })
  try {
    return await work(api)
  } finally {
    await api.close()
  }
}

function feedbackOf(api: DemoApi, destination: PipelineOptions['destination'], home = folder) {
  return pipeline({
    name: 'feedback',
    source: restApi({
      client: {
        base_url: api.url,
        auth: { type: 'api_key', name: 'api_key', api_key: KEY, location: 'query' },
        paginator: { type: 'offset', limit: 100 },
      },
      resources: [
        {
          name: 'feedback_data',
          primary_key: 'id',
          write_disposition: 'merge',
          endpoint: { path: '/v1/feedback', data_selector: 'data' },
        },
      ],
    }),
    destination,
    dataset: 'api_data',
    home,
  })
}

describe('a pipeline into Postgres', () => {
  test('merges what has changed, as into DuckDB', async () => {
    const database = await server.createDatabase()
    await withApi({}, async api => {
      const one = feedbackOf(api, postgres(server.url(database)))
      const other = feedbackOf(api, duckdb(join(folder, 'same.duckdb')), join(folder, 'other'))
      for (const total of [630, 880]) {
        const { loadId, rows } = await one.run()
        expect(rows).toEqual((await other.run()).rows)
        expect(loadId).toBeDefined()
        const dataset = one.dataset<AnyTables>()
        expect(await dataset.tables()).toEqual(await other.dataset().tables())
        expect(await dataset.table('feedback_data').count()).toBe(total)
        for (const table of await dataset.tables()) {
          const columns = [...((await dataset.schema())?.tables.get(table)?.columns.keys() ?? [])]
          const same = columns.filter(
            column => !['_dlt_load_id', '_dlt_id', '_dlt_parent_id', '_dlt_root_id'].includes(column),
          )
          const sorted = async (from: typeof dataset) =>
            (
              await from
                .table(table)
                .select(...same)
                .rows()
            )
              .map(row => inspect(row, { breakLength: Infinity }))
              .sort()
          expect(await sorted(dataset)).toEqual(await sorted(other.dataset<AnyTables>()))
        }
        api.advance()
      }
    })
  })

  test('whose session is ended in the middle goes on with the next run, and asks for no page twice', async () => {
    const database = await server.createDatabase()
    let killed: Promise<unknown> | undefined
    const faults: NonNullable<Parameters<typeof startDemoApi>[0]['faults']> = ({ offset }) => {
      if (offset < 400 || killed !== undefined) return undefined
      killed = server.sql(database, TERMINATE)
      // Until the session is gone.
      return { kind: 'slow', delayMs: 1500 }
    }
    await withApi({ faults }, async api => {
      const destination = postgres(server.url(database))
      await expect(feedbackOf(api, destination).run({ concurrency: 1 })).rejects.toMatchObject({
        code: 'destination',
        transient: true,
        message: /connection was lost/,
      })
      await killed
      expect(await server.sql(database, `SELECT 1 FROM pg_tables WHERE schemaname = 'api_data'`)).toEqual([])
      const asked = api.requests.length
      const events: RunEvent[] = []
      const { receipts } = await feedbackOf(api, destination).run({ onEvent: event => events.push(event) })
      expect(receipts).toMatchObject([{ verdict: 'complete', records: 630, pagesFromJournal: asked }])
      expect(new Set(api.requests.map(({ offset }) => offset)).size).toBe(api.requests.length)
      expect(await server.sql(database, 'SELECT count(*)::int AS n FROM api_data.feedback_data')).toEqual([{ n: 630 }])
    })
  })

  test('stores texts that Postgres cannot hold by the stated rule', async () => {
    const database = await server.createDatabase()
    const body = '{"items":[{"id":1,"t":"a\\u0000b\\ud800c","j":{"k\\u0000":"x\\u0000y\\udfff","n":1.10}}]}'
    const answer = async (): Promise<TransportResponse> => ({
      status: 200,
      headers: { 'content-type': 'application/json' },
      body: (async function* () {
        yield Buffer.from(body)
      })(),
    })
    const one = pipeline({
      name: 'texts',
      source: restApi({
        client: { base_url: 'http://api.test', transport: answer, paginator: 'single_page' },
        resources: [
          {
            name: 'items',
            columns: [{ name: 'j', data_type: 'json' }],
            endpoint: { path: 'items', data_selector: 'items' },
          },
        ],
      }),
      destination: postgres(server.url(database)),
      home: folder,
    })
    const warnings: string[] = []
    await one.run({ onEvent: event => event.type === 'warning' && warnings.push(event.code) })
    expect(await server.sql(database, 'SELECT t, j::text AS j FROM texts_dataset.items')).toEqual([
      { t: 'ab\ufffdc', j: '{"k": "xy\ufffd", "n": 1.10}' },
    ])
    expect(new Set(warnings)).toEqual(new Set(['text_changed']))
  })
})

test('keys with names that the server keeps for itself are loaded under others', async () => {
  const database = await server.createDatabase()
  const names = ['ctid', 'xmin', 'xmax', 'cmin', 'cmax', 'tableoid']
  const record = Object.fromEntries(names.map((name, index) => [name, index]))
  const made = pipeline({
    name: 'own',
    source: restApi({
      client: { base_url: 'http://127.0.0.1' },
      resources: [
        {
          name: 'maps',
          primary_key: 'ctid',
          write_disposition: 'merge',
          records: [{ ...record, inner: record, list: [record] }],
        },
      ],
    }),
    destination: postgres(server.url(database)),
    home: folder,
  })
  for (let run = 0; run < 2; run++) expect((await made.run()).rows).toEqual({ maps: 1, maps__list: 1 })
  const renamed = Object.fromEntries(names.map((name, index) => [`${name}_`, BigInt(index)]))
  const inner = Object.fromEntries(names.map((name, index) => [`inner__${name}`, BigInt(index)]))
  expect(await made.dataset().table('maps').rows()).toMatchObject([{ ...renamed, ...inner }])
  expect(await made.dataset().table('maps__list').rows()).toMatchObject([renamed])
})

test('a table with more columns than the server allows is refused before the commit', async () => {
  const database = await server.createDatabase()
  const wide = Object.fromEntries(Array.from({ length: 1700 }, (_, index) => [`k${index}`, index]))
  const made = pipeline({
    name: 'wide',
    source: restApi({
      client: { base_url: 'http://127.0.0.1' },
      resources: [{ name: 't', records: [{ by_user: wide }] }],
    }),
    destination: postgres(server.url(database)),
    home: folder,
  })
  await expect(made.run()).rejects.toMatchObject({
    code: 'schema',
    message: expect.stringMatching(/more than 1600 columns.*columns: \{by_user: \{data_type: json\}\}/),
  })
})

describe('a server that refuses a setting of the session', () => {
  /** The server behind a port that changes one text on the way to it, so that the server refuses what it says. */
  async function behind(from: string, to: string): Promise<string> {
    const proxy = createServer(client => {
      const upstream = connect(server.port, '127.0.0.1')
      for (const socket of [client, upstream]) socket.on('error', () => socket.destroy())
      client.on('data', data => upstream.write(Buffer.from(data.toString('latin1').replace(from, to), 'latin1')))
      client.on('end', () => upstream.end())
      upstream.pipe(client)
    })
    await new Promise<void>(resolve => proxy.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void proxy.close())
    const url = new URL(server.url(await server.createDatabase()))
    url.port = String((proxy.address() as AddressInfo).port)
    url.searchParams.set('sslmode', 'disable')
    return url.href
  }
  const sessions = async (url: string): Promise<number> => {
    const text = `SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'sluice%' AND datname = $1`
    return (await server.sql('postgres', text, [new URL(url).pathname.slice(1)])).length
  }

  test.each([
    ['as on Windows', '"1s"', '"1x"'],
    ['as a pooled session', '"64MB"', '"64XB"'],
  ])('goes without it where it makes the session no more than quicker or safer: %s', async (_, from, to) => {
    const url = await behind(from, to)
    await withConnection(postgres(url), async connection => {
      await runLoad(connection, schema, { loadId: '1.1', records: orders(1, 2), tables: APPEND })
      expect(await connection.count('orders')).toBe(2)
    })
  })

  test('is refused where rows depend on it, and no session is left open', async () => {
    const url = await behind('"ISO, YMD"', '"IXO, YMD"')
    await expect(postgres(url).connect('api_data')).rejects.toMatchObject({
      code: 'destination',
      message: expect.stringContaining('DateStyle'),
    })
    await expect.poll(() => sessions(url)).toBe(0)
  })
})

describe('a query', () => {
  const asked = async (connection: Connection, sql: string) => {
    const rows: unknown[] = []
    for await (const batch of connection.query?.({ sql, exactTimes: true }) ?? []) rows.push(...batch.rows)
    return rows
  }

  test('acts on nothing, whatever it calls, and finds its mistakes', async () => {
    const database = await server.createDatabase()
    await withConnection(postgres(server.url(database)), async connection => {
      await runLoad(connection, schema, { loadId: '1.1', records: orders(1), tables: APPEND })
      await server.sql(
        database,
        'CREATE SEQUENCE api_data.s; CREATE FUNCTION api_data.clean() RETURNS int LANGUAGE sql AS $$DELETE FROM api_data.orders; SELECT 1$$',
      )
      const refused = async (sql: string) =>
        await expect(asked(connection, sql), sql).rejects.toMatchObject({ code: 'query' })
      for (const sql of [
        "SELECT nextval('s')",
        'SELECT clean()',
        'EXPLAIN ANALYZE SELECT clean()',
        'WITH d AS (DELETE FROM orders RETURNING id) SELECT * FROM d',
        'SELECT pg_terminate_backend(pid) FROM pg_stat_activity',
        'SELECT pg_catalog."pg_advisory_lock" /* /* a */ b */ (1)',
        'SELECT U&"pg\\005fadvisory_lock"(1)',
        "SELECT pg_read_file('/etc/hostname')",
        "SELECT set_config('search_path', 'public', false)",
        "SELECT pg_create_physical_replication_slot('s')",
        "SELECT query_to_xml('SELECT 1', true, true, '')",
        'SELECT lo_create(0)',
        "COPY orders TO PROGRAM 'true'",
        "DO 'BEGIN END'",
        'SELECT $1::int',
        'SELECT (SELECT generate_series(1, 2))',
      ]) {
        await refused(sql)
      }
      const [left] = await server.sql(
        database,
        "SELECT (SELECT count(*)::int FROM api_data.orders) AS rows, (SELECT count(*)::int FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND objid < 10) AS locks, (SELECT count(*)::int FROM pg_replication_slots) AS slots",
      )
      expect(left).toEqual({ rows: 1, locks: 0, slots: 0 })
      expect(await asked(connection, "SELECT pg_total_relation_size('orders') > 0, random() < 1 FROM orders")).toEqual([
        [true, true],
      ])
      expect(
        await asked(
          connection,
          "SELECT timestamptz '1969-12-31 23:59:59.000001Z', timestamp '0044-03-15 01:02:03.5 BC'",
        ),
      ).toEqual([['1969-12-31T23:59:59.000001Z', '-000043-03-15T01:02:03.500Z']])
    })
  })
})

describe('readers', () => {
  test('see one load or the next, never a part', async () => {
    const database = await server.createDatabase()
    const wide = (loadId: string) =>
      testSchema({
        orders: { columns: { id: 'bigint', [`c${loadId.replace('.', '_')}`]: 'bigint' }, disposition: 'replace' },
      })
    await withConnection(postgres(server.url(database)), async connection => {
      const load = (loadId: string) =>
        runLoad(connection, wide(loadId), {
          loadId,
          records: orders(...Array.from({ length: 3000 }, (_, id) => id)),
          tables: [{ table: 'orders', disposition: 'replace' }],
        })
      await load('1.1')
      const reader = await server.client(database)
      let writing = true
      const seen = new Set<string>()
      const reading = (async () => {
        while (writing) {
          const { rows } = await reader.query(
            'SELECT count(*)::int AS n, array_agg(DISTINCT _dlt_load_id) AS loads FROM api_data.orders',
          )
          expect(rows[0]).toEqual({ n: 3000, loads: [expect.any(String)] })
          seen.add(rows[0].loads[0])
        }
      })()
      for (const loadId of ['1.2', '1.3', '1.4', '1.5']) await load(loadId)
      writing = false
      await reading
      await reader.end()
      expect(seen.size).toBeGreaterThan(1)
    })
  })

  test('of many rows get them in batches from one moment', async () => {
    const database = await server.createDatabase()
    await withConnection(postgres(server.url(database)), async connection => {
      await runLoad(connection, schema, { loadId: '1.1', records: orders(...Array(5000).keys()), tables: APPEND })
      const sizes: number[] = []
      for await (const batch of connection.read({ table: 'orders', batchRows: 2000 })) {
        if (sizes.length === 0) {
          await runLoad(connection, schema, { loadId: '1.2', records: orders(1), tables: APPEND })
        }
        sizes.push(batch.length)
      }
      expect(sizes).toEqual([2000, 2000, 1000])
      for await (const _ of connection.read({ table: 'orders', batchRows: 10 })) break
      expect(await connection.count('orders')).toBe(5001)
    })
    const left = `SELECT state FROM pg_stat_activity WHERE application_name LIKE 'sluice%' AND datname = '${database}'`
    expect(await server.sql('postgres', left)).toEqual([])
  })
})

describe('a pipeline that is being loaded', () => {
  test('is refused to others, with the session that has it; and free when that is gone', async () => {
    const database = await server.createDatabase()
    const here = await postgres(server.url(database)).connect('api_data')
    const impatient = postgres({ connectionString: server.url(database), lockTimeoutMs: 100 })
    const there = await impatient.connect('api_data')
    await here.begin({ loadId: '1.1', pipeline: 'p' })
    await expect(there.begin({ loadId: '1.2', pipeline: 'p' })).rejects.toMatchObject({
      code: 'destination_locked',
      transient: true,
      message: /server process \d+ since \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ from 127\.0\.0\.1/,
    })
    await (await there.begin({ loadId: '1.2', pipeline: 'q' })).abort()
    await server.sql(
      database,
      `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'sluice p'`,
    )
    await runLoad(there, schema, { loadId: '1.3', records: orders(1), tables: APPEND })
    await there[Symbol.asyncDispose]()
    await here[Symbol.asyncDispose]()
  })
})

test('a run that was told of cursors before it had the lock is refused when another has moved them since', async () => {
  const database = await server.createDatabase()
  await withConnection(postgres(server.url(database)), async here => {
    await withConnection(postgres(server.url(database)), async there => {
      expect(await here.committed('p', 'api')).toBeUndefined()
      await runLoad(there, schema, { loadId: '1.1', records: orders(1), tables: APPEND, state: testState(1, 'a') })
      await expect(here.begin({ loadId: '1.2', pipeline: 'p' })).rejects.toMatchObject({
        code: 'destination_locked',
        transient: true,
        message: /Another run of pipeline p committed .* run again/,
      })
      await (await here.begin({ loadId: '1.2', pipeline: 'p' })).abort()
    })
  })
})

describe('a connection that is lost', () => {
  const terminate = (database: string): Promise<unknown> => server.sql(database, TERMINATE)

  test.each(['stage', 'commit'] as const)(
    'before %s: nothing is there, and the same connection loads again',
    async when => {
      const database = await server.createDatabase()
      await withConnection(postgres(server.url(database)), async connection => {
        const load = await connection.begin({ loadId: '1.1', pipeline: 'p' })
        const plan = { loadId: '1.1', records: orders(1), tables: APPEND }
        await stageRecords(load.stage.bind(load), schema, plan)
        await terminate(database)
        const next =
          when === 'stage' ? stageRecords(load.stage.bind(load), schema, plan) : load.commit(commitPlan(schema, plan))
        await expect(next).rejects.toMatchObject({
          code: 'destination',
          transient: true,
          message: /connection was lost/,
        })
        await load.abort()
        expect((await connection.inspect()).size).toBe(0)
        await runLoad(connection, schema, plan)
        expect(await connection.count('orders')).toBe(1)
      })
    },
  )

  test('by an aborted signal ends the load', async () => {
    const database = await server.createDatabase()
    const controller = new AbortController()
    const connection = await postgres(server.url(database)).connect('api_data', controller.signal)
    const holder = await server.client(database)
    await runLoad(connection, schema, { loadId: '1.1', records: orders(1), tables: APPEND })
    await holder.query('BEGIN; LOCK TABLE api_data.orders IN ACCESS EXCLUSIVE MODE')
    const loading = runLoad(connection, schema, { loadId: '1.2', records: orders(2), tables: APPEND })
    for (;;) {
      const waiting = await server.sql(
        database,
        `SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'api_data.orders'::regclass`,
      )
      if (waiting.length > 0) break
    }
    controller.abort(new Error('stopped by the test'))
    await expect(loading).rejects.toThrow('stopped by the test')
    await holder.query('ROLLBACK')
    await holder.end()
    await connection[Symbol.asyncDispose]()
    expect(await server.sql(database, 'SELECT count(*)::int AS n FROM api_data.orders')).toEqual([{ n: 1 }])
  })
})

test.each(['PGPASSWORD', 'PGPASSFILE'])('a password that the address lacks is looked up by %s', async name => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-pgpass-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const [url, password] = [
    new URL(server.url('postgres')),
    decodeURIComponent(new URL(server.url('postgres')).password),
  ]
  url.password = ''
  const file = join(folder, 'pgpass')
  await writeFile(file, `*:*:*:postgres:${password.replace(/[\\:]/g, '\\$&')}\n`, { mode: 0o600 })
  vi.stubEnv(name, name === 'PGPASSWORD' ? password : file)
  onTestFinished(() => void vi.unstubAllEnvs())
  await using connection = await postgres(url.href).connect('looked_up')
  expect(await connection.hasLoad('1.1')).toBe(false)
})

describe('what cannot be connected to', () => {
  const refused = async (url: string, expected: RegExp, transient: boolean): Promise<void> => {
    const error = await postgres(url)
      .connect('d')
      .then(
        () => undefined,
        (thrown: unknown) => thrown,
      )
    expect(error).toMatchObject({ code: 'destination', transient, message: expected })
    // The cause as well: what is printed with --debug.
    expect(inspect(error, { depth: 10 })).not.toContain('p@ss')
    expect(inspect(error, { depth: 10 })).not.toContain('p%40ss')
  }

  test('a wrong password', () =>
    refused(
      server.url('postgres', 'postgres', 'p@ss-wrong'),
      /password authentication failed.*check user and password/,
      false,
    ))
  test('no password', () => refused(server.url('postgres').replace(/:[^:]*@/, '@'), /asks for a password/, false))
  test('a user that is not there', () => refused(server.url('postgres', 'nobody'), /check user and password/, false))
  test('a database that is not there', () =>
    refused(server.url('nowhere'), /"nowhere" does not exist.*create it/, false))
  test('a host that is not known', () => refused('postgres://u:p%40ss@host.invalid/db', /host/, true))
  test('TLS that the server does not speak', () =>
    refused(`${server.url('postgres')}?sslmode=require`, /does not speak TLS/, false))
  test('a server that says nothing', async () => {
    const silent = createServer(socket => void socket.on('error', () => {}).resume())
    await new Promise<void>(resolve => silent.listen(0, '127.0.0.1', resolve))
    const { port } = silent.address() as AddressInfo
    await refused(`postgres://u:p%40ss@127.0.0.1:${port}/db?connect_timeout=0.3`, /did not answer in time/, true)
    await new Promise(resolve => silent.close(resolve))
    await refused(`postgres://u:p%40ss@127.0.0.1:${port}/db`, /nothing answers there/, true)
  })
})

describe('rights', () => {
  const roleUrl = (database: string, role: string): string => server.url(database, role, 'role')
  const asRole = <T>(database: string, role: string, work: (connection: Connection) => Promise<T>): Promise<T> =>
    withConnection(postgres(roleUrl(database, role)), work)
  const load = (connection: Connection, loadId = '1.1', grown = schema): Promise<void> =>
    runLoad(connection, grown, { loadId, records: orders(1), tables: APPEND, state: testState(1, loadId) })

  test('a role needs its own schema and nothing else', async () => {
    const database = await server.createDatabase()
    await server.sql(database, `CREATE ROLE least LOGIN PASSWORD 'role'; CREATE SCHEMA api_data AUTHORIZATION least`)
    await asRole(database, 'least', async connection => {
      await load(connection)
      await load(connection, '1.2', testSchema({ orders: { columns: { id: 'bigint', v: 'text' } } }))
      expect(await connection.count('orders')).toBe(2)
    })
  })

  test.each([
    ['create schemas', '', /GRANT CREATE ON DATABASE/],
    [
      'create tables',
      'CREATE SCHEMA api_data; GRANT USAGE ON SCHEMA api_data TO %',
      /GRANT USAGE, CREATE ON SCHEMA api_data/,
    ],
    [
      'make temporary tables',
      'CREATE SCHEMA api_data AUTHORIZATION %; REVOKE TEMPORARY ON DATABASE @ FROM PUBLIC',
      /GRANT TEMPORARY/,
    ],
    [
      'add columns',
      'CREATE SCHEMA api_data AUTHORIZATION %; CREATE TABLE api_data.orders (_dlt_load_id varchar); GRANT ALL ON api_data.orders TO %',
      /owner of table orders/,
    ],
  ])('without the right to %s nothing is changed, and the grant is named', async (name, statements, expected) => {
    const database = await server.createDatabase()
    const role = `no_${name.replaceAll(' ', '_')}`
    await server.sql(
      database,
      `CREATE ROLE ${role} LOGIN PASSWORD 'role'; ${statements.replaceAll('%', role).replaceAll('@', database)}`,
    )
    await asRole(database, role, async connection => {
      await expect(load(connection)).rejects.toMatchObject({ code: 'destination', transient: false, message: expected })
      expect(await connection.hasLoad('1.1')).toBe(false)
    })
    expect(await server.sql(database, `SELECT 1 FROM pg_tables WHERE tablename LIKE '\\_dlt%'`)).toEqual([])
  })
})

describe('rows of several tables in turns, more than wait at a time,', () => {
  const types = { id: 'bigint', note: 'text', _dlt_load_id: 'text', _dlt_id: 'text' } as const
  const both = testSchema({
    orders: {
      columns: { id: { data_type: 'bigint', primary_key: true, nullable: false }, note: 'text' },
      disposition: 'merge',
    },
    items: { columns: { id: 'bigint', note: 'text' } },
  })
  const tables = [
    { table: 'orders', disposition: 'merge', strategy: 'delete-insert' },
    { table: 'items', disposition: 'append' },
  ] as const

  /** 24 batches of a megabyte for each table; every key of `orders` comes twice, in different batches. */
  async function load(connection: Connection, loadId: string): Promise<void> {
    const opened = await connection.begin({ loadId, pipeline: 'p' })
    for (let batch = 0; batch < 24; batch++) {
      for (const table of ['orders', 'items']) {
        const rows = Array.from({ length: 100 }, (_, row) => ({
          id: (batch % 12) * 100 + row,
          note: `${batch}${'.'.repeat(10_000)}`,
          _dlt_load_id: loadId,
          _dlt_id: `${loadId}/${batch}/${row}`,
        }))
        await opened.stage(columnBatch(table, types, rows), both)
      }
    }
    await opened.commit(commitPlan(both, { loadId, tables }))
  }

  test('arrive whole and in their order, in new tables and in those that are there', async () => {
    const database = await server.createDatabase()
    await withConnection(postgres(server.url(database)), async connection => {
      for (const [index, loadId] of ['1.1', '1.2'].entries()) {
        await load(connection, loadId)
        const kept = await server.sql(
          database,
          `SELECT count(*)::int AS rows, count(DISTINCT id)::int AS keys, min(rtrim(note, '.')::int) AS oldest, min(_dlt_load_id) AS load FROM api_data.orders`,
        )
        expect(kept).toEqual([{ rows: 1200, keys: 1200, oldest: 12, load: loadId }])
        const added = 'SELECT count(*)::int AS rows, sum(length(note))::int AS length FROM api_data.items'
        const length = 24 * 100 * 10_000 + (10 + 2 * 14) * 100
        expect(await server.sql(database, added)).toEqual([{ rows: 2400 * (index + 1), length: length * (index + 1) }])
      }
    })
  })

  test('leave nothing behind when the server refuses one of them', async () => {
    const database = await server.createDatabase()
    const odd = testSchema({ orders: { columns: { id: 'bigint' } }, odd: { columns: { value: 'json' } } })
    await withConnection(postgres(server.url(database)), async connection => {
      const opened = await connection.begin({ loadId: '1.1', pipeline: 'p' })
      const system = { _dlt_load_id: '1.1', _dlt_id: 'a' }
      await opened.stage(columnBatch('orders', types, [{ id: 1, ...system }]), odd)
      await opened.stage(columnBatch('odd', { ...types, value: 'json' }, [{ value: '{no json', ...system }]), odd)
      const late = async (): Promise<void> => {
        for (let id = 0; id < 100; id++) {
          await opened.stage(columnBatch('orders', types, [{ id, ...system }]), odd)
          await server.sql(database, 'SELECT 1')
        }
      }
      await expect(late()).rejects.toMatchObject({ code: 'destination', message: /json/ })
      await opened.abort()
      expect(await server.sql(database, `SELECT nspname FROM pg_namespace WHERE nspname ~ '^(api|_sluice)'`)).toEqual(
        [],
      )
      await runLoad(connection, schema, { loadId: '1.2', records: orders(1), tables: APPEND })
      expect(await connection.count('orders')).toBe(1)
    })
  })
})

describe('a table', () => {
  test('that a reader holds is waited for, and then the reader is named', async () => {
    const database = await server.createDatabase()
    const destination = postgres({ connectionString: server.url(database), lockTimeoutMs: 200 })
    await withConnection(destination, async connection => {
      await runLoad(connection, schema, { loadId: '1.1', records: orders(1), tables: APPEND })
      const reader = await server.client(database)
      await reader.query(`SET application_name = 'dashboard'; BEGIN; SELECT * FROM api_data.orders`)
      const grown = testSchema({ orders: { columns: { id: 'bigint', v: 'text' } } })
      const plan = { loadId: '1.2', records: orders(2), tables: APPEND }
      await expect(runLoad(connection, grown, plan)).rejects.toMatchObject({
        code: 'destination',
        transient: true,
        message: /process \d+ \(dashboard, idle in transaction\).*lockTimeoutMs/,
      })
      await reader.query('COMMIT')
      await reader.end()
      await runLoad(connection, grown, plan)
      expect(await rowsOf(connection, 'orders', ['id', 'v'])).toHaveLength(2)
    })
  })

  test.each([
    ['id', 'text USING id::text', /orders\.id has the type text, which cannot take the bigint/],
    ['price', 'numeric(10,2)', /orders\.price has the type numeric\(10,2\)/],
    ['at', 'date USING at::date', /orders\.at has the type date/],
  ])('whose column %s was changed by hand to %s is left alone', async (column, type, expected) => {
    const database = await server.createDatabase()
    const typed = testSchema({ orders: { columns: { id: 'bigint', price: 'decimal', at: 'timestamp' } } })
    const record = { id: 1, price: '1.123456789', at: '2024-01-01T00:00:00.123456Z' }
    await withConnection(postgres(server.url(database)), async connection => {
      await runLoad(connection, typed, { loadId: '1.1', records: { orders: [record] }, tables: APPEND })
      await server.sql(database, `ALTER TABLE api_data.orders ALTER COLUMN ${column} TYPE ${type}`)
      await expect(
        runLoad(connection, typed, { loadId: '1.2', records: { orders: [record] }, tables: APPEND }),
      ).rejects.toMatchObject({ code: 'destination', message: expected })
      expect(await connection.count('orders')).toBe(1)
    })
  })

  test('whose columns were widened by hand is merged into', async () => {
    const database = await server.createDatabase()
    const key = { primary_key: true, nullable: false } as const
    const typed = testSchema({
      orders: {
        columns: { id: { data_type: 'bigint', ...key }, name: { data_type: 'text', merge_key: true } },
        disposition: 'merge',
      },
    })
    const load = (connection: Connection, loadId: string, strategy: 'delete-insert' | 'upsert') =>
      runLoad(connection, typed, {
        loadId,
        records: { orders: [{ id: 1, name: 'a' }, { id: 2 }] },
        tables: [{ table: 'orders', disposition: 'merge', strategy }],
      })
    await withConnection(postgres(server.url(database)), async connection => {
      await load(connection, '1.1', 'delete-insert')
      await server.sql(
        database,
        'ALTER TABLE api_data.orders ALTER id TYPE numeric, ALTER id DROP NOT NULL, ALTER name TYPE text',
      )
      await load(connection, '1.2', 'delete-insert')
      await load(connection, '1.3', 'upsert')
      expect(await rowsOf(connection, 'orders', ['id', 'name', '_dlt_load_id'])).toEqual([
        { id: '1', name: 'a', _dlt_load_id: '1.3' },
        { id: '2', name: null, _dlt_load_id: '1.3' },
      ])
    })
  })

  test('or column with a name of more than 63 bytes is refused, not cut', async () => {
    const database = await server.createDatabase()
    await withConnection(postgres(server.url(database)), async connection => {
      const name = 'ż'.repeat(40)
      const long = testSchema({ orders: { columns: { id: 'bigint', [name]: 'text' } } })
      await expect(
        runLoad(connection, long, { loadId: '1.1', records: { orders: [{ id: 1, [name]: 'x' }] }, tables: APPEND }),
      ).rejects.toMatchObject({ code: 'schema', message: /63 bytes/ })
    })
    await expect(postgres(server.url(database)).connect('d'.repeat(64))).rejects.toMatchObject({ code: 'schema' })
  })
})

describe('a value that the column cannot take', () => {
  test.each([
    ['a text too long', { data_type: 'text', precision: 3 }, 'abcd', /too long/],
    ['a number with too many digits', { data_type: 'decimal', precision: 5, scale: 2 }, '12345', /overflow|too large/],
  ] as const)('%s fails the load', async (_, column, value, expected) => {
    const database = await server.createDatabase()
    await withConnection(postgres(server.url(database)), async connection => {
      const typed = testSchema({ orders: { columns: { v: column } } })
      await expect(
        runLoad(connection, typed, { loadId: '1.1', records: { orders: [{ v: value }] }, tables: APPEND }),
      ).rejects.toMatchObject({ code: 'destination', message: expected })
      expect((await connection.inspect()).size).toBe(0)
    })
  })
})

test('a statement has no more time than it was given', async () => {
  const database = await server.createDatabase()
  await withConnection(
    postgres({ connectionString: server.url(database), statementTimeoutMs: 200 }),
    async connection => {
      await runLoad(connection, schema, { loadId: '1.1', records: orders(1), tables: APPEND })
      const holder = await server.client(database)
      await holder.query('BEGIN; LOCK TABLE api_data.orders IN ACCESS EXCLUSIVE MODE')
      await expect(connection.count('orders')).rejects.toMatchObject({ transient: true, message: /statementTimeoutMs/ })
      await holder.query('ROLLBACK')
      await holder.end()
      expect(await connection.count('orders')).toBe(1)
    },
  )
})

test.each([
  ['53100', 'could not extend file: No space left on device', true, /disk is full/],
  ['53200', 'out of memory', true, /out of memory/],
  ['53300', 'sorry, too many clients already', true, /max_connections/],
  ['40P01', 'deadlock detected', true, /run again/],
  ['25006', 'cannot execute INSERT in a read-only transaction', false, /standby/],
  ['25P03', 'terminating connection due to idle-in-transaction timeout', true, /connection was lost.*Run again/],
  ['25P04', 'terminating connection due to transaction timeout', true, /connection was lost.*Run again/],
  ['28000', 'no pg_hba.conf entry for host', false, /pg_hba/],
  ['54011', 'tables can have at most 1600 columns', false, /1600/],
  ['99999', 'something new', false, /failed while testing: something new \(99999\)/],
])('SQLSTATE %s says what to do', (code, message, transient, expected) => {
  const error = postgresError(Object.assign(new Error(message), { code }), 'postgres:h/d', 'testing')
  expect(error).toMatchObject({ code: 'destination', transient, message: expected, destination: 'postgres:h/d' })
})

test('a package that is not installed is named', async () => {
  const missing = Object.assign(new Error('Cannot find package'), { code: 'ERR_MODULE_NOT_FOUND' })
  await expect(driver(() => Promise.reject(missing), { name: 'postgres:h/d' } as never)).rejects.toThrow(
    'npm install pg',
  )
})

describe('over TLS', () => {
  const file = (name: string): string => fileURLToPath(new URL(`./tls/${name}`, import.meta.url))
  let secured: PostgresServer
  beforeAll(async () => {
    secured = await startPostgres([], { certificate: file('server.pem'), key: file('server.key') })
  })
  afterAll(async () => await secured.stop())
  const url = (parameters: string, host = 'localhost'): string =>
    `${secured.url('postgres').replace('127.0.0.1', host)}?${parameters}`

  test.each([
    '',
    'sslmode=prefer',
    'sslmode=require',
    `sslmode=verify-ca&sslrootcert=${file('ca.pem')}`,
    `sslmode=verify-full&sslrootcert=${file('ca.pem')}`,
  ])('with "%s" the session is encrypted', async parameters => {
    await withConnection(postgres(url(parameters)), async connection => {
      const sessions = `SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'sluice'`
      expect(await secured.sql('postgres', sessions)).toEqual([{ ssl: true }])
      expect(await connection.hasLoad('1.1')).toBe(false)
    })
  })

  test('with sslmode=disable it is not', async () => {
    await withConnection(postgres(url('sslmode=disable')), async () => {
      const sessions = `SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'sluice'`
      expect(await secured.sql('postgres', sessions)).toEqual([{ ssl: false }])
    })
  })

  test.each([
    ['an authority that is not trusted', url.bind(undefined, 'sslmode=verify-full')],
    ['another name', url.bind(undefined, `sslmode=verify-full&sslrootcert=${file('ca.pem')}`, '127.0.0.1')],
  ])('a certificate of %s is refused', async (_, address) => {
    await expect(postgres(address()).connect('d')).rejects.toMatchObject({
      message: /certificate is not accepted/,
      transient: false,
    })
  })

  test('its name is not asked for where only the authority counts', async () => {
    const address = url(`sslmode=verify-ca&sslrootcert=${file('ca.pem')}`, '127.0.0.1')
    await withConnection(postgres(address), async () => {})
  })
})

describe('a connection string', () => {
  test.each([
    ['postgres://u@h/db', 'postgres:h/db'],
    ['postgresql://u:p@h:6543/db?sslmode=require', 'postgres:h:6543/db'],
    ['postgres://u:p@[::1]/db', 'postgres:[::1]/db'],
    ['postgres:///db?host=/var/run/postgresql', 'postgres:localhost/db'],
    ['postgres://u@h', 'postgres:h/u'],
    ['postgres://u:p@h/d%2Fb', 'postgres:h/d/b'],
  ])('%s is shown as %s', (text, name) => {
    expect(postgres(text).name).toBe(name)
  })

  test.each([
    ['mysql://u:hush@h/db', /expected postgres:/],
    ['postgres://u:hu/sh@h/db', /%2F/],
    ['postgres://u:hu%sh@h/db', /%25/],
    ['postgres://u:hush@h/db?sslmod=require', /sslmod/],
    ['postgres://u:hush@h/db?sslmode=maybe', /verify-full/],
    ['postgres://u:hush@a,b/db', /several hosts|cannot be read/],
    ['postgres://h', /no database/],
  ])('%s is refused without being repeated', (text, expected) => {
    expect(() => postgres(text)).toThrow(expected)
    expect(() => postgres(text)).toThrow(
      expect.objectContaining({ code: 'config', message: expect.not.stringMatching(/hush|hu.sh/) }),
    )
  })

  test('is in no printed form of the destination', () => {
    const destination = postgres('postgres://u:hush-4711@h/db')
    expect(`${inspect(destination, { depth: 9 })}${JSON.stringify(destination)}`).not.toContain('hush')
  })
})
