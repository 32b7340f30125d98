import { afterAll, beforeAll, expect, it } from 'vitest'
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
    timeout: 60_000,
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
    const of = `/api/pipelines/${id}/tables/things`
    const rows = async (body: object): Promise<RowsGiven> => {
      const answer = await studio.ask(`${of}/rows`, { body })
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
      const counts = { '=': await found('='), '!=': await found('!='), '<': await found('<'), '>': await found('>') }
      expect(counts, `${column} ${value}`).toEqual({ '=': 1, '!=': 1, '<': 0, '>': 0 })
      // Engines write times with a blank.
      if (column !== 'at') expect(await found('contains'), `${column} ${value}`).toBe(1)
      const { text, json } = await studio.ask(`${of}/columns/${column}`)
      expect(json, text).toMatchObject({ nulls: 1, distinct: 1, top: [{ rows: 1 }] })
      const [{ value: top }] = (json as { top: [{ value: unknown }] }).top
      expect(String(top), column).toBe(value)
    }
  },
)
