import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { loadPipelineFile } from '../../src/config/pipelineFile.js'
import { command, emptyFolder } from '../import/importing.js'
import { serve } from '../rest/clientServer.js'

/** A pipeline over an API that can change its mind. */
async function shop() {
  const api: { orders: unknown } = {
    orders: [{ id: 1, total: 9.5, lines: [{ sku: 'a' }] }],
  }
  const { origin, close } = await serve((_, response) => {
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end(JSON.stringify(api.orders))
  })
  onTestFinished(() => close())
  const folder = await emptyFolder()
  const file = join(folder, 'shop.yaml')
  await writeFile(
    file,
    `client: { base_url: "${origin}" }
destination: duckdb:shop.duckdb
resources:
  - { name: orders, primary_key: id, write_disposition: merge, endpoint: { path: orders, paginator: single_page } }
`,
  )
  const load = async () => {
    const { pipelines } = await loadPipelineFile(file)
    const result = await pipelines[0]?.run()
    return (result?.warnings ?? []).filter(({ code }) => code === 'schema_unlocked').map(({ message }) => message)
  }
  return { api, file, load, lock: join(folder, 'shop.schema.lock') }
}

const LOCK = `# The tables of the pipeline shop. \`sluice schema accept\` writes this file.
version: 1
tables:
  orders:
    id: bigint, not null, primary key
    total: double
  orders__lines:
    sku: text
`

test('a lock is written once, compared, and taken over', async () => {
  const { api, file, load, lock } = await shop()
  expect(await command(['schema', 'lock', file])).toMatchObject({
    exitCode: 1,
    err: expect.stringContaining('has loaded nothing'),
  })
  expect(await load()).toEqual([])
  expect(await command(['schema', 'diff', file])).toMatchObject({
    exitCode: 2,
    err: expect.stringMatching(/shop\.schema\.lock.*does not exist: `sluice schema lock` writes it/),
  })
  expect(await command(['schema', 'lock', file])).toMatchObject({ exitCode: 0, err: '' })
  expect(await readFile(lock, 'utf8')).toBe(LOCK)
  expect(await command(['schema', 'lock', file])).toMatchObject({
    exitCode: 2,
    err: expect.stringContaining('exists already'),
  })
  expect(await command(['schema', 'diff', file])).toMatchObject({ exitCode: 0 })
  expect(await load()).toEqual([])

  api.orders = [{ id: 2, total: 'nine', city: 'Bern', lines: [] }]
  const [warning, ...others] = await load()
  expect(others).toEqual([])
  expect(warning).toMatch(
    /no longer match shop\.schema\.lock: new orders\.city, new orders\.total__v_text; `sluice schema diff`/,
  )
  const changed = await command(['schema', 'diff', file])
  expect(changed.exitCode).toBe(3)
  expect(changed.out).toContain('+ notice: new orders.city (text)')
  const { out, exitCode } = await command(['schema', 'diff', file, '--json'])
  expect(exitCode).toBe(3)
  expect(JSON.parse(out)).toMatchObject({
    pipeline: 'shop',
    changes: [
      { severity: 'notice', what: 'new', place: 'orders.city', now: 'text' },
      { severity: 'breaking', what: 'new', place: 'orders.total__v_text' },
    ],
  })
  expect(await command(['schema', 'accept', file])).toMatchObject({
    exitCode: 0,
    out: expect.stringContaining('2 changes accepted'),
  })
  expect(await readFile(lock, 'utf8')).toContain('    city: text\n')
  expect(await command(['schema', 'diff', file])).toMatchObject({ exitCode: 0 })
  expect(await command(['schema', 'accept', file])).toMatchObject({
    exitCode: 0,
    out: expect.stringContaining('nothing to accept'),
  })
})

test('tables and columns that are gone, types, nulls and keys are told', async () => {
  const { file, load, lock } = await shop()
  await load()
  await writeFile(
    lock,
    `version: 1
tables:
  orders:
    id: text, unique
    "on": bool
    total: double
  orders__lines: {}
  shops: { id: bigint }
`,
  )
  const { out } = await command(['schema', 'diff', file, '--json'])
  expect(JSON.parse(out).changes).toEqual([
    { severity: 'breaking', what: 'type', place: 'orders.id', before: 'text', now: 'bigint' },
    { severity: 'notice', what: 'nullability', place: 'orders.id', before: 'nullable', now: 'not null' },
    { severity: 'breaking', what: 'keys', place: 'orders.id', before: 'unique', now: 'primary key' },
    { severity: 'breaking', what: 'gone', place: 'orders.on', before: 'bool' },
    { severity: 'notice', what: 'new', place: 'orders__lines.sku', now: 'text' },
    { severity: 'breaking', what: 'gone', place: 'shops' },
  ])
  // A run cannot know whether a table is gone, or not loaded yet.
  const [warning] = await load()
  expect(warning).not.toMatch(/gone/)
})

test('the numbers of a decimal are part of its type', async () => {
  const { file, load, lock } = await shop()
  await load()
  await writeFile(lock, LOCK.replace('total: double', 'total: decimal(38, 9), not null'))
  const { out } = await command(['schema', 'diff', file, '--json'])
  expect(JSON.parse(out).changes).toMatchObject([
    { what: 'type', before: 'decimal(38, 9)', now: 'double' },
    { what: 'nullability', before: 'not null', now: 'nullable' },
  ])
})

test.each([
  ['a conflict of Git', LOCK.replace('    total', '<<<<<<< mine\n    total')],
  ['the conflict within a column', LOCK.replace('total: double', 'total: double\n<<<<<<< mine')],
  ['a type that there is not', LOCK.replace('double', 'float8')],
  ['another version', LOCK.replace('version: 1', 'version: 2')],
  ['no tables', 'version: 1\n'],
  ['a table without columns', 'version: 1\ntables: { orders: 7 }\n'],
  ['a column without a type', 'version: 1\ntables: { orders: { id: null } }\n'],
  ['aliases', 'version: 1\ntables: &a { orders: { id: bigint }, b: *a }\n'],
])('a lock with %s is refused before anything is asked for', async (_what, text) => {
  const { file, load, lock } = await shop()
  await writeFile(lock, text)
  await expect(load()).rejects.toMatchObject({ name: 'ConfigError', message: expect.stringContaining('schema.lock') })
  expect(await command(['run', file])).toMatchObject({ exitCode: 2 })
})

test('each pipeline of a module has a lock of its own', async () => {
  const folder = await emptyFolder()
  const file = join(folder, 'shops.mjs')
  await writeFile(
    file,
    `import { duckdb, pipeline, restApi } from 'sluice'
const source = restApi({ client: { base_url: 'https://api.example.com' }, resources: ['orders'] })
export default ['a', 'b/c'].map(name => pipeline({ name, source, destination: duckdb('shops.duckdb') }))
`,
  )
  const { pipelines } = await loadPipelineFile(file)
  expect(pipelines.map(({ schema }) => schema.lock)).toEqual([
    join(folder, 'shops.a.schema.lock'),
    join(folder, 'shops.b%2Fc.schema.lock'),
  ])
})
