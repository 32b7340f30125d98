import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { RowsGiven } from '../../src/studio/pageContract.js'
import { type PostgresServer, startPostgres } from '../destinations/postgresServer.js'
import { api } from '../rest/listServer.js'
import { onlyPipeline, openStudio, runToEnd } from './studioApi.js'

let server: PostgresServer
beforeAll(async () => {
  server = await startPostgres()
})
afterAll(() => server.stop())

/** A value of each type, and a row without any. The bytes are more than Postgres writes on one line. */
const ROWS = `[{ "id": 1, "whole": 9007199254740993, "broken": 0.1234567890123, "exact": "123.456",
  "wei": 12345678901234567890123456789012345678, "clock": "10:11:12.5", "day": "2024-02-03",
  "at": "2024-02-03T04:05:06.123456Z", "yes": true, "bytes": "${Buffer.alloc(90, 7).toString('base64')}",
  "tree": { "a b": [1, "x:  y"], "c": 2 }, "word": "a'\\"%_\\\\ \u05d0" }, { "id": 2 }]`

it.each(['duckdb', 'postgres', 'files'])(
  'a value that is shown finds its row, whatever its type: %s',
  {
    timeout: 300_000,
  },
  async kind => {
    const served = await api(async () => ({ text: ROWS }))
    const destination =
      kind === 'duckdb' ? 'duckdb:x.duckdb' : kind === 'files' ? 'files:x' : server.url(await server.createDatabase())
    const studio = await openStudio({
      'things.yaml': `client: { base_url: ${served.origin} }
resources:
  - name: things
    primary_key: id
    endpoint: { path: things, data_selector: $, paginator: single_page }
    columns:
      exact: { data_type: decimal }
      wei: { data_type: wei }
      clock: { data_type: time }
      day: { data_type: date }
      bytes: { data_type: binary }
      tree: { data_type: json }
destination: ${destination}
`,
    })
    const { id } = await onlyPipeline(studio)
    await runToEnd(studio, id)
    await served.close()
    const of = `/api/pipelines/${id}`
    const rows = async (body: object): Promise<RowsGiven> => {
      const answer = await studio.ask(`${of}/rows`, { body: { table: 'things', ...body } })
      expect(answer.status, answer.text).toBe(200)
      return answer.json
    }
    const { columns, rows: shown } = await rows({ orderBy: 'id' })
    const names = columns.map(({ name }) => name).filter(name => !/^(_dlt_.*|id)$/.test(name))
    expect(names).toHaveLength(11)
    for (const column of names) {
      const value = String(shown[0]?.[columns.findIndex(({ name }) => name === column)])
      const found = async (operator: string): Promise<number> =>
        (await rows({ filters: [{ column, operator, value }] })).rows.length
      const expected = { '=': 1, '!=': 1, '<': 0, '<=': 1, '>': 0, '>=': 1 }
      const counts: Record<string, number> = {}
      for (const operator of Object.keys(expected)) counts[operator] = await found(operator)
      expect(counts, `${column} ${value}`).toEqual(expected)
      // Engines write times with a blank.
      if (column !== 'at') expect(await found('contains'), `${column} ${value}`).toBe(1)
      const { text, json } = await studio.ask(`${of}/distribution?table=things&column=${column}`)
      expect(json, text).toMatchObject({ nulls: 1, distinct: 1, top: [{ rows: 1 }] })
      const [{ value: top }] = (json as { top: [{ value: unknown }] }).top
      expect(String(top), column).toBe(value)
    }
    // A file of all rows has the same values, with types.
    const sql = 'SELECT whole, broken, exact, wei, clock, day, "at", yes, bytes, tree, word FROM things ORDER BY id'
    const { path } = (await studio.ask(`/api/pipelines/${id}/downloads`, { body: { sql, format: 'parquet' } }))
      .json as {
      path: string
    }
    const answer = await fetch(new URL(path, studio.origin))
    expect(answer.status).toBe(200)
    const file = join(studio.folder, 'rows.parquet')
    await writeFile(file, new Uint8Array(await answer.arrayBuffer()))
    expect(await parquetRows(file, IN_FILE)).toEqual([
      [
        9007199254740993n,
        0.1234567890123,
        expect.stringMatching(/^123\.4560*$/),
        '12345678901234567890123456789012345678',
        '10:11:12.5',
        '2024-02-03',
        '2024-02-03 04:05:06.123456+00',
        true,
        Buffer.alloc(90, 7).toString('base64'),
        // Postgres sorts members.
        expect.stringMatching(/^\{("a b":\[1,"x: {2}y"\],"c":2|"c":2,"a b":\[1,"x: {2}y"\])\}$/),
        'a\'"%_\\ \u05d0',
      ],
      Array.from({ length: 11 }, () => null),
    ])
  },
)

describe('a Parquet file has every digit, whatever the statement', () => {
  const LONG = '170141183460469231731687303715884105727'
  it.each([
    ['DESCRIBE things', [['id'], ['name']], 'column_name'],
    ['-- what is there\nSHOW TABLES', [['things']], 'name'],
    ['/* all of it */ SUMMARIZE things;', [['id'], ['name']], 'column_name'],
    ['SELECT sum(id) AS s FROM things -- 9007199254740993 and 1', [['9007199254740994']], 's'],
    [`SELECT ${LONG}::HUGEINT AS s`, [[LONG]], 's'],
    ['SELECT INTERVAL 1 microsecond AS s', [['00:00:00.000001']], 's'],
    ["SELECT '10:00:00+02'::TIMETZ AS s", [['10:00:00+02']], 's'],
    ['SELECT id AS a, id AS a FROM things ORDER BY id DESC', [['9007199254740993'], ['1']], 'a_1'],
  ])('%s', { timeout: 300_000 }, async (sql, rows, column) => {
    const served = await api(async () => ({ text: '[{ "id": 9007199254740993, "name": "a" }, { "id": 1 }]' }))
    const studio = await openStudio({
      'things.yaml': `client: { base_url: ${served.origin} }
resources: [{ name: things, endpoint: { path: things, data_selector: $, paginator: single_page } }]
destination: duckdb:x.duckdb
`,
    })
    const { id } = await onlyPipeline(studio)
    await runToEnd(studio, id)
    await served.close()
    const asked = await studio.ask(`/api/pipelines/${id}/downloads`, { body: { sql, format: 'parquet' } })
    expect(asked.status, asked.text).toBe(200)
    const answer = await fetch(new URL((asked.json as { path: string }).path, studio.origin))
    expect(answer.status).toBe(200)
    const file = join(studio.folder, 'rows.parquet')
    await writeFile(file, new Uint8Array(await answer.arrayBuffer()))
    expect(await parquetRows(file, `"${column}"::VARCHAR`)).toEqual(expect.arrayContaining(rows))
  })
})

/** What DuckDB reads from a file. */
async function parquetRows(file: string, columns: string): Promise<readonly (readonly unknown[])[]> {
  const instance = await DuckDBInstance.create(':memory:')
  try {
    const connection = await instance.connect()
    try {
      await connection.run("SET TimeZone = 'UTC'")
      return (await connection.runAndReadAll(`SELECT ${columns} FROM read_parquet('${file}')`)).getRows()
    } finally {
      connection.closeSync()
    }
  } finally {
    instance.closeSync()
  }
}

const IN_FILE = `whole, broken, exact::VARCHAR, wei::VARCHAR, clock::VARCHAR, day::VARCHAR, "at"::VARCHAR, yes, base64(bytes),
  replace(replace(tree::VARCHAR, '": ', '":'), ', ', ','), word`
