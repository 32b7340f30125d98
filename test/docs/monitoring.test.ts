import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { duckdb, pipeline, postgres, restApi } from '../../src/index.js'
import { startPostgres } from '../destinations/postgresServer.js'
import { testFolder } from '../pipeline/api.js'

it.each(['duckdb', 'postgres'])('the statements of the page on production run on %s', async kind => {
  const folder = await testFolder()
  const made = async () => {
    const server = await startPostgres()
    onTestFinished(() => server.stop())
    return postgres(server.url(await server.createDatabase()))
  }
  const loads = pipeline({
    name: 'shops',
    source: restApi({
      client: { base_url: 'https://api.example.com' },
      resources: [{ name: 'shops', records: [{ id: 1 }] }],
    }),
    destination: kind === 'duckdb' ? duckdb(join(folder, 'x.duckdb')) : await made(),
    home: folder,
  })
  await loads.run()
  const page = await readFile(new URL('../../docs/production.md', import.meta.url), 'utf8')
  const statements = [...page.matchAll(/```sql\n([\s\S]*?)```/g)].map(([, sql = '']) => sql)
  const answers = []
  for (const sql of statements) answers.push(await loads.dataset().query(sql))
  expect(answers).toEqual([[{ fresh: true }], []])
})
