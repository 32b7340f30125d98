import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished, vi } from 'vitest'
import { type DucklakeOptions, ducklake, type Pipeline, pipeline, restApi } from '../../src/index.js'
import { between, hourlyVisits, jsonApi } from '../pipeline/hourlyVisits.js'
import { extensions } from './lakeExtensions.js'
import { type PostgresServer, startPostgres } from './postgresServer.js'
import { ACCESS_KEY_ID, BUCKET, SECRET_ACCESS_KEY, startS3Double } from './s3Server.js'

vi.setConfig({ testTimeout: 240_000 })

/** Four windows of 240 rows: fewer would lie in the catalog. */
const VISITS = hourlyVisits(24 * 40)
const RANGE = { to: '2024-02-10T00:00:00.000Z' } as const

interface Harm {
  readonly options: DucklakeOptions
  /** Called while the second window is read. */
  readonly harm: () => Promise<unknown>
  /** Undefined: what is lost is lost. */
  readonly mend?: () => Promise<unknown>
}

async function bucket(status: number, code: string): Promise<Harm> {
  const store = await startS3Double()
  onTestFinished(() => store.close())
  const credentials = { accessKeyId: ACCESS_KEY_ID, secretAccessKey: SECRET_ACCESS_KEY }
  return {
    options: {
      catalog: join(await newFolder(), 'visits.ducklake'),
      dataPath: `s3://${BUCKET}/lake`,
      s3: { endpoint: store.url, credentials },
    },
    harm: async () => {
      store.fault = request => (/^(GET|HEAD)/.test(request) ? undefined : { status, code })
    },
    mend: async () => {
      store.fault = () => undefined
    },
  }
}

async function inPostgres(harm: (server: PostgresServer, database: string) => Partial<Harm>): Promise<Harm> {
  const server = await startPostgres()
  onTestFinished(() => server.stop().catch(() => {}))
  const database = await server.createDatabase()
  await server.sql(database, `CREATE ROLE loader LOGIN PASSWORD 'p'; GRANT CREATE, USAGE ON SCHEMA public TO loader`)
  const options = { catalog: server.url(database, 'loader', 'p'), dataPath: join(await newFolder(), 'data') }
  return { options, harm: async () => {}, ...harm(server, database) }
}

async function removed(kind: '' | 'sqlite:'): Promise<Harm> {
  const folder = await newFolder()
  const file = join(folder, 'visits.ducklake')
  const options = { catalog: `${kind}${file}`, dataPath: join(folder, 'data') }
  return { options, harm: () => rm(file, { force: true }) }
}

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-lost-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

const TAKE_RIGHTS = `DO $$ DECLARE t text; BEGIN
  FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
    EXECUTE format('ALTER TABLE %I OWNER TO postgres', t);
    EXECUTE format('REVOKE ALL ON %I FROM loader', t);
  END LOOP;
END $$`

it.skipIf(extensions === undefined).each([
  ['a bucket without rights', () => bucket(403, 'AccessDenied'), /^No right to use s3:.* \(status 403, while commit/],
  ['a full bucket', () => bucket(507, 'InsufficientStorage'), /^No space left in s3:.*make room/],
  ['a bucket over its quota', () => bucket(400, 'QuotaExceeded'), /^s3:.* answered with status 400 while .*quota/],
  [
    'a bucket that is out of order',
    () => bucket(501, 'NotImplemented'),
    /^s3:.* answered with status 501 .*again later/,
  ],
  [
    'a catalog in Postgres whose rights are taken',
    () =>
      inPostgres((server, database) => ({
        harm: () => server.sql(database, TAKE_RIGHTS),
        mend: () => server.sql(database, 'GRANT ALL ON ALL TABLES IN SCHEMA public TO loader'),
      })),
    /^No right to use the catalog .*permission denied for table \w+; grant the user/,
  ],
  [
    'a catalog in Postgres that is away',
    () => inPostgres(server => ({ harm: () => server.stop() })),
    /^Cannot connect to the catalog .*refused/,
  ],
  ['a catalog in DuckDB that is removed', () => removed(''), /was removed or replaced while it was being loaded/],
  [
    'a catalog in SQLite that is removed',
    () => removed('sqlite:'),
    /was removed or replaced while it was being loaded/,
  ],
])('a backfill into a lake says what is lost, and leaves nothing half done: %s', async (_, open, message) => {
  const { options, harm, mend } = await open()
  const home = await newFolder()
  let asked = 0
  const url = await jsonApi((query, response) => {
    const visits = between(VISITS, query)
    asked += 1
    const ready = asked === 2 ? harm() : Promise.resolve()
    ready.then(() => response.setHeader('content-type', 'application/json').end(JSON.stringify(visits)))
    return undefined
  })
  const loading = pipeline({
    name: 'visits',
    source: restApi({
      client: { base_url: url, paginator: 'single_page', retry: { attempts: 1 } },
      resources: [
        {
          name: 'visits',
          primary_key: 'id',
          write_disposition: 'append',
          endpoint: {
            incremental: {
              cursor_path: 'at',
              initial_value: '2024-01-01T00:00:00.000Z',
              start_param: 'since',
              end_param: 'until',
              window: { step: 'P10D' },
            },
          },
        },
      ],
    }),
    destination: ducklake({ ...options, extensions }),
    home,
  }) as Pipeline
  await expect(loading.backfill('visits', RANGE)).rejects.toMatchObject({
    code: 'destination',
    message: expect.stringMatching(message),
  })
  if (mend === undefined) return
  await mend()
  const before = asked
  const done = await loading.backfill('visits', RANGE)
  expect(done.before + done.loads.length).toBe(4)
  // What was read before goes in without a request.
  expect(asked - before).toBeLessThan(4)
  const rows = await loading.dataset().query('SELECT count(*) AS n, count(DISTINCT id) AS ids FROM visits')
  expect([...rows]).toEqual([{ n: BigInt(VISITS.length), ids: BigInt(VISITS.length) }])
})
