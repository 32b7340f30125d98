import { afterAll, beforeAll, expect, test } from 'vitest'
import { pipeline, postgres, restApi } from '../../src/index.js'
import { testApi, testFolder } from '../pipeline/api.js'
import { type PostgresServer, startPostgres } from './postgresServer.js'

/** What others may have put on a table, or set for the role, between two loads. */

let server: PostgresServer
beforeAll(async () => {
  server = await startPostgres()
})
afterAll(() => server.stop())

let roles = 0

/** A pipeline of a role of its own. The second load brings the records 1 to 3 with another `round`. */
async function loads(disposition: 'merge' | 'replace', settings = '') {
  const role = `foreign_${++roles}`
  const database = await server.createDatabase()
  await server.sql(
    database,
    `CREATE ROLE ${role} LOGIN PASSWORD 'role'; ${settings.replaceAll('%', role)}; GRANT CREATE ON DATABASE ${database} TO ${role}`,
  )
  let round = 0
  let asked = 0
  const api = await testApi(() => {
    asked += 1
    return { json: [1, 2, ...(round > 0 ? [3] : [])].map(id => ({ id, round })) }
  })
  const under = pipeline({
    name: 'foreign',
    dataset: 'api_data',
    home: await testFolder(),
    destination: postgres(server.url(database, role, 'role')),
    source: restApi(
      {
        client: { base_url: api.url },
        resources: [
          {
            name: 'items',
            primary_key: 'id',
            write_disposition: disposition,
            endpoint: { path: 'items', paginator: 'single_page' },
          },
        ],
      },
      { env: {} },
    ),
  })
  await under.run()
  round++
  return {
    again: () => under.run(),
    asked: () => asked,
    count: () => under.dataset().table('items').count(),
    sql: (text: string) => server.sql(database, text.replaceAll('%', role)),
    rows: async () =>
      (await server.sql(database, 'SELECT id::int, round::int FROM api_data.items ORDER BY id, round')).map(
        ({ id, round }) => `${id}/${round}`,
      ),
    loadCount: async () => (await server.sql(database, 'SELECT 1 FROM api_data._dlt_loads')).length,
  }
}

const HIDDEN = `ALTER TABLE api_data.items ENABLE ROW LEVEL SECURITY; ALTER TABLE api_data.items FORCE ROW LEVEL SECURITY;
CREATE POLICY a ON api_data.items FOR SELECT USING (id < 2);
CREATE POLICY b ON api_data.items FOR INSERT WITH CHECK (true);
CREATE POLICY c ON api_data.items FOR DELETE USING (true)`

/** Takes the place of a table, with all of its columns. */
const view = (table: string, where: string): string =>
  `ALTER TABLE api_data.${table} RENAME TO kept; CREATE VIEW api_data.${table} AS SELECT * FROM api_data.kept WHERE ${where};
ALTER VIEW api_data.${table} OWNER TO %`

test.each([
  ['merge', 'a policy that hides rows', HIDDEN, /row-level security.*ALTER ROLE … BYPASSRLS/],
  ['replace', 'a policy that hides rows', HIDDEN, /row-level security.*ALTER ROLE … BYPASSRLS/],
  [
    'merge',
    'a rule that deletes nothing',
    'CREATE RULE keep AS ON DELETE TO api_data.items DO INSTEAD NOTHING',
    /items has the rule keep.*drop the rule/,
  ],
  [
    'replace',
    'a rule that inserts nothing',
    'CREATE RULE closed AS ON INSERT TO api_data.items DO INSTEAD NOTHING',
    /items has the rule closed.*drop the rule/,
  ],
  ['merge', 'a view in its place', view('items', 'true'), /api_data\.items is a view.*rename it/],
  [
    'merge',
    'a column whose values the server makes',
    'ALTER TABLE api_data.items DROP COLUMN round; ALTER TABLE api_data.items ADD COLUMN round bigint GENERATED ALWAYS AS (0) STORED',
    /"round".*the server makes the values.*drop the column/,
  ],
  ['merge', 'a constraint', 'ALTER TABLE api_data.items ADD CHECK (id < 3)', /items_id_check.*drop the constraint/],
] as const)('a load by %s into a table with %s changes nothing and says why', async (disposition, _, text, message) => {
  const { again, sql, rows, loadCount } = await loads(disposition)
  await sql(text)
  await expect(again()).rejects.toMatchObject({ code: 'destination', transient: false, message })
  expect(await rows()).toEqual(['1/0', '2/0'])
  expect(await loadCount()).toBe(1)
})

test.each([
  ['items', 'id < 2', ['1/0', '2/0']],
  ['_dlt_loads', 'false', ['1/0', '2/0']],
] as const)('a view that hides rows of %s is no table to load into', async (table, where, expected) => {
  const { again, sql } = await loads('merge')
  await sql(view(table, where))
  await expect(again()).rejects.toMatchObject({ code: 'destination', message: /is a view.*Nothing was changed/ })
  const all = await sql(`SELECT id::int, round::int FROM api_data.${table === 'items' ? 'kept' : 'items'} ORDER BY id`)
  expect(all.map(({ id, round }) => `${id}/${round}`)).toEqual(expected)
})

test.each([
  ['policies are errors', 'ALTER ROLE % SET row_security = off', ''],
  ['a rule does something besides', '', 'CREATE RULE told AS ON INSERT TO api_data.items DO ALSO NOTHING'],
  ['policies do not bind the role', '', `${HIDDEN}; ALTER ROLE % BYPASSRLS`],
])('a load is as ever where %s', async (_, settings, text) => {
  const { again, sql, rows } = await loads('merge', settings)
  if (text !== '') await sql(text)
  await again()
  expect(await rows()).toEqual(['1/1', '2/1', '3/1'])
})

test('a role whose transactions only read loads nothing, asks the API nothing, and may read what is there', async () => {
  const { again, sql, rows, loadCount, asked, count } = await loads('merge')
  const before = asked()
  await sql('ALTER ROLE % SET default_transaction_read_only = on')
  await expect(again()).rejects.toMatchObject({
    code: 'destination',
    transient: false,
    message: /transactions only read there.*ALTER ROLE … SET default_transaction_read_only = off/,
  })
  expect(asked()).toBe(before)
  expect(await rows()).toEqual(['1/0', '2/0'])
  expect(await loadCount()).toBe(1)
  expect(await count()).toBe(2)
  await sql('ALTER ROLE % SET default_transaction_read_only = off')
  await again()
  expect(await rows()).toEqual(['1/1', '2/1', '3/1'])
})
