import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { drizzle } from 'drizzle-orm/node-postgres'
import type { PgTable } from 'drizzle-orm/pg-core'
import { Kysely, PostgresDialect } from 'kysely'
import pg from 'pg'
import ts from 'typescript'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse as parseYaml } from 'yaml'
import { z } from 'zod'
import {
  type Destination,
  duckdb,
  exportSchema,
  type JsonObject,
  type Pipeline,
  pipeline,
  postgres,
  type RowFormat,
  restApi,
} from '../../src/index.js'
import { type PostgresServer, startPostgres } from '../destinations/postgresServer.js'
import { root } from '../docs/blocks.js'
import { typeErrors } from '../docs/compile.js'

/** What other libraries make of the types that are written for them, with rows of every type under awkward names. */
const full = {
  id: 1,
  words: 'text',
  big: 9007199254740993n,
  small: 7,
  share: 0.5,
  flag: true,
  at: '2024-02-03T04:05:06.789Z',
  wall: '2024-02-03T04:05:06',
  day: '2024-02-03',
  hour: '01:02:03.5',
  price: '12.340000000',
  wei: '100000000000000000000',
  raw: 'AAEC',
  any: { a: [1, null] },
  'with space': 'a',
  'back\\slash': 'b',
  class: 'c',
  日本: 'd',
  '1st': 'e',
  parts: [{ note: 'f' }],
}
const records = [full, { id: 2 }].map(record => record as unknown as JsonObject)
const columns = {
  id: { nullable: false, primary_key: true, description: 'ends */ here' },
  big: { data_type: 'bigint' },
  small: { data_type: 'bigint', precision: 32 },
  share: { data_type: 'double' },
  at: { data_type: 'timestamp' },
  wall: { data_type: 'timestamp', timezone: false },
  day: { data_type: 'date' },
  hour: { data_type: 'time' },
  price: { data_type: 'decimal' },
  wei: { data_type: 'wei' },
  raw: { data_type: 'binary' },
  any: { data_type: 'json' },
} as const

const TABLE = 'All types'
const NESTED = 'All types▶parts'
const DATASET = 'Rows of all'

let folder: string
let server: PostgresServer
let database: string
const pipelines = new Map<string, Pipeline>()
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-row-formats-'))
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'), 'dir')
  server = await startPostgres()
  database = await server.createDatabase()
  const destinations: Readonly<Record<string, Destination>> = {
    DuckDB: duckdb(join(folder, 'rows.duckdb')),
    Postgres: postgres(server.url(database)),
  }
  for (const [name, destination] of Object.entries(destinations)) {
    const source = restApi({ client: { base_url: '' }, resources: [{ name: TABLE, records, columns }] })
    const home = join(folder, name)
    const made = pipeline({ name: 'rows', source, destination, dataset: DATASET, naming: 'direct', home })
    await made.run()
    pipelines.set(name, made)
  }
})
afterAll(async () => {
  await server.stop()
  await rm(folder, { recursive: true, force: true })
})

describe.each(['DuckDB', 'Postgres'])('of a dataset in %s', engine => {
  test('every module compiles', { timeout: 120_000 }, async () => {
    const consumers: readonly (readonly [RowFormat, string])[] = [
      ['typescript', `export const row = {} as Tables['${TABLE}']; export const big: bigint | null = row.big`],
      ['zod', `export const big: bigint | null = tables['${TABLE}'].parse({}).big`],
      ['drizzle', 'export const big: bigint | null = ({} as typeof allTypes.$inferSelect).big'],
      ['kysely', `export const big: string | null = ({} as Database['${TABLE}']).big`],
    ]
    const blocks = await Promise.all(
      consumers.map(async ([format, more]) => ({ place: format, text: `${await written(engine, format)}\n${more}\n` })),
    )
    expect(typeErrors(blocks)).toEqual([])
  })

  test('zod accepts the rows that the library reads, and no others', async () => {
    const { tables } = await loaded<{ tables: Record<string, z.ZodType> }>(engine, 'zod')
    const rows = await made(engine).dataset().table(TABLE).rows()
    expect(rows).toHaveLength(2)
    for (const row of rows) expect(tables[TABLE]?.parse(row)).toEqual(row)
    for (const row of await made(engine).dataset().table(NESTED).rows()) {
      expect(tables[NESTED]?.parse(row)).toEqual(row)
    }
    expect(tables[TABLE]?.safeParse({ ...rows[0], big: 1 }).success).toBe(false)
    expect(tables[TABLE]?.safeParse({ ...rows[0], id: null }).success).toBe(false)
  })

  test('the JSON Schema accepts rows as JSON', async () => {
    const { $defs } = JSON.parse(await written(engine, 'json-schema')) as { $defs: Record<string, object> }
    const rows = await made(engine).dataset().table(TABLE).rows()
    const schema = z.fromJSONSchema({ ...$defs[TABLE] })
    // zod takes no integer beyond 2^53 from JSON.
    for (const row of rows) expect(schema.safeParse({ ...asJson(row), big: 1 }).error).toBeUndefined()
    expect(schema.safeParse({ ...asJson(rows[0] ?? {}), big: 1, day: 'yesterday' }).success).toBe(false)
    expect(schema.safeParse({ ...asJson(rows[0] ?? {}), big: 1, id: null }).success).toBe(false)
  })

  test('the sources of dbt name every table and column, and quote what needs it', async () => {
    const { version, sources } = parseYaml(await written(engine, 'dbt-sources')) as Sources
    expect(version).toBe(2)
    expect(sources).toMatchObject([{ name: DATASET, schema: DATASET }])
    const tables = new Map(sources[0]?.tables.map(table => [table.name, table]))
    expect([...tables.keys()]).toEqual(expect.arrayContaining([TABLE, NESTED, '_dlt_loads']))
    expect(tables.get(TABLE)?.quoting).toEqual({ identifier: true })
    expect(tables.get('_dlt_loads')?.quoting).toBeUndefined()
    const found = new Map(tables.get(TABLE)?.columns.map(column => [column.name, column]))
    expect([...found.keys()]).toEqual(expect.arrayContaining(Object.keys(full).filter(key => key !== 'parts')))
    expect(found.get('back\\slash')).toEqual({ name: 'back\\slash', data_type: 'text', quote: true })
    expect(found.get('id')).toEqual({ name: 'id', data_type: 'bigint', description: 'ends */ here' })
  })
})

test('Drizzle reads the rows', async () => {
  const { allTypes } = await loaded<{ allTypes: PgTable }>('Postgres', 'drizzle')
  const client = await server.client(database)
  try {
    const rows = await drizzle(client).select().from(allTypes)
    expect(rows.find(row => (row as { id?: bigint }).id === 1n)).toMatchObject({
      ...{ words: 'text', big: 9007199254740993n, small: 7n, share: 0.5, flag: true, day: '2024-02-03' },
      at: new Date('2024-02-03T04:05:06.789Z'),
      wall: new Date('2024-02-03T04:05:06Z'),
      ...{ hour: '01:02:03.5', price: '12.340000000', any: { a: [1, null] }, raw: Buffer.from([0, 1, 2]) },
      ...{ 'with space': 'a', 'back\\slash': 'b', class: 'c', 日本: 'd', '1st': 'e' },
    })
    expect(rows).toHaveLength(2)
  } finally {
    await client.end()
  }
})

test('Kysely reads the rows', async () => {
  const pool = new pg.Pool({ connectionString: server.url(database) })
  // The server stops after the test, maybe before the last connection is closed. The pool passes on what idle ones say.
  pool.on('connect', client => client.on('error', () => {}))
  pool.on('error', () => {})
  const db = new Kysely<Record<string, Record<string, unknown>>>({ dialect: new PostgresDialect({ pool }) })
  try {
    const row = await db.withSchema(DATASET).selectFrom(TABLE).selectAll().where('id', '=', 1).executeTakeFirstOrThrow()
    expect(row).toMatchObject({ big: '9007199254740993', small: 7, share: 0.5, flag: true, hour: '01:02:03.5' })
    expect(row).toMatchObject({ price: '12.340000000', any: { a: [1, null] }, 'back\\slash': 'b', 日本: 'd' })
    expect(row.at).toBeInstanceOf(Date)
    expect(row.day).toBeInstanceOf(Date)
    expect(row.raw).toBeInstanceOf(Uint8Array)
  } finally {
    await db.destroy()
  }
})

interface Sources {
  readonly version: number
  readonly sources: readonly {
    readonly name: string
    readonly schema: string
    readonly tables: readonly {
      readonly name: string
      readonly quoting?: object
      readonly columns: readonly { readonly name: string; readonly data_type: string }[]
    }[]
  }[]
}

function made(engine: string): Pipeline {
  const found = pipelines.get(engine)
  if (found === undefined) throw new Error(`no pipeline into ${engine}`)
  return found
}

async function written(engine: string, format: RowFormat): Promise<string> {
  const schema = await made(engine).dataset().schema()
  if (schema === undefined) throw new Error('nothing is loaded')
  return await exportSchema(schema, format, { dataset: DATASET })
}

/** The module, run. */
async function loaded<Module>(engine: string, format: RowFormat): Promise<Module> {
  const { outputText } = ts.transpileModule(await written(engine, format), {
    compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ES2022 },
  })
  await mkdir(join(folder, 'modules'), { recursive: true })
  const file = join(folder, 'modules', `${engine}-${format}.mjs`)
  await writeFile(file, outputText)
  return (await import(file)) as Module
}

/** As `sluice show --json` prints a row, read again. */
function asJson(row: object): object {
  const members = Object.entries(row).map(([name, value]) => [
    name,
    value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value,
  ])
  return JSON.parse(
    JSON.stringify(Object.fromEntries(members), (_, value) => (typeof value === 'bigint' ? Number(value) : value)),
  ) as object
}
