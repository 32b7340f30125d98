import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { sluice } from '../../src/cli/program.js'
import { testApi, testFolder } from '../pipeline/api.js'
import { screen } from './screen.js'

/** The command in this process, on a list of records. */
async function shop(name = 'shop.json'): Promise<{
  readonly api: string
  readonly folder: string
  readonly list: (records: readonly object[], more?: object) => Promise<void>
  readonly command: (...args: readonly string[]) => Promise<{ exitCode: number; out: string; err: string }>
}> {
  const folder = await testFolder()
  let records: readonly object[] = []
  const api = await testApi(() => ({ json: records }))
  const file = join(folder, name)
  return {
    api: api.url,
    folder,
    async list(next, more = {}) {
      records = next
      const resource = { name: 'orders', primary_key: 'id', endpoint: { path: 'orders', paginator: 'single_page' } }
      await writeFile(file, JSON.stringify({ client: { base_url: api.url }, resources: [{ ...resource, ...more }] }))
    },
    async command(verb, ...args) {
      const [out, err] = [screen(), screen()]
      const exitCode = await sluice([verb ?? '', ...(verb === 'init' ? [] : [file]), ...args], {
        terminal: { out, err },
        version: '0.0.0',
        signal: new AbortController().signal,
        now: () => 0,
      })
      return { exitCode, out: out.text(), err: err.text() }
    },
  }
}

it('rows that the contract discards are said by the run and counted in the history', async () => {
  const { list, command } = await shop()
  const contract = { schema_contract: { columns: 'discard_row' } }
  await list([{ id: 1 }], contract)
  expect(await command('run')).toMatchObject({ exitCode: 0 })
  await list([{ id: 1, extra: true }, { id: 2 }, { id: 3, extra: true }], contract)
  const run = await command('run')
  expect(run.exitCode).toBe(0)
  expect(run.err).toMatch(/orders: 2 rows discarded: the schema contract does not admit them/)
  const history = await command('history')
  expect(history.out).toMatch(/^load .* discarded$/m)
  expect(history.out).toMatch(/ complete +3 +1 +0 +2$/m)
})

it('a merge that deletes what is absent does not take the rows of discarded records away', async () => {
  const { list, command } = await shop()
  const more = {
    write_disposition: { disposition: 'merge', strategy: 'cdc' },
    merge_key: 'shop',
    schema_contract: { columns: 'discard_row' },
  }
  await list(
    [1, 2, 3].map(id => ({ id, shop: 1 })),
    more,
  )
  expect(await command('run')).toMatchObject({ exitCode: 0 })
  await list(
    [
      { id: 1, shop: 1, extra: true },
      { id: 2, shop: 1 },
      { id: 3, shop: 1 },
    ],
    more,
  )
  const run = await command('run')
  expect(run).toMatchObject({ exitCode: 0 })
  expect(run.err.replaceAll(/\s+/g, ' ')).toContain('nothing was deleted from table orders: rows of orders arrived')
  expect((await command('query', 'SELECT id FROM orders ORDER BY id', '--csv')).out).toBe('id\n1\n2\n3\n')
})

const PRICES = [
  { id: 1, total: 10, whole: 1, rate: 1.5 },
  { id: 2, total: 11.37, whole: 2, rate: 2.5 },
]

const LINES = [
  { id: 1, total: 10, tax: { rate: 7 }, lines: [{ price: 3 }, { price: 2 }] },
  { id: 2, total: 11.25, tax: { rate: 7.5 }, lines: [{ price: 0.5 }] },
]

it('the warning of a column for values that did not fit holds what to write; that ends it', async () => {
  const { list, command } = await shop()
  await list(PRICES)
  const run = await command('run')
  expect(run.err).toContain('write `columns: { total: { data_type: double } }` in the resource')
  expect(run.err).toContain('--full-refresh')
  await list(PRICES, { columns: { total: { data_type: 'double' } } })
  const again = await command('run', '--full-refresh')
  expect(again).toMatchObject({ exitCode: 0 })
  expect(again.err).not.toContain('did not fit')
  const { out } = await command('query', 'SELECT id, total FROM orders ORDER BY id', '--csv')
  expect(out).toBe('id,total\n1,10\n2,11.37\n')
})

it('check and init propose the type before the first load', async () => {
  const { api, folder, list, command } = await shop()
  await list(PRICES)
  expect((await command('check')).err).toMatch(/hint: orders: .* `columns: \{ total: \{ data_type: double \} \}`/)
  await list(PRICES, { columns: { total: { data_type: 'decimal' } } })
  expect((await command('check')).err).not.toContain('hint:')
  const out = join(folder, 'draft.yaml')
  expect(await command('init', '--url', `${api}/orders`, '--auth', 'none', '--out', out)).toMatchObject({ exitCode: 0 })
  const { readFile } = await import('node:fs/promises')
  expect(await readFile(out, 'utf8')).toMatch(/^ {6}columns:\n {8}total:\n {10}data_type: double\n/m)
})

it('explain lists the codes, and leads from the key to the code', async () => {
  const [out, err] = [screen(), screen()]
  const explain = (...args: readonly string[]) =>
    sluice(['explain', ...args], {
      terminal: { out, err },
      version: '0.0.0',
      signal: new AbortController().signal,
      now: () => 0,
    })
  expect(await explain()).toBe(0)
  const listed = out.visible()
  expect(listed.filter(line => /^[A-Z]/.test(line))).toEqual([
    'The file',
    'The API',
    'The data',
    'Schema and destination',
    'Warnings',
  ])
  expect(listed).toContain('not_null            A record has no value in a column with `nullable: false`')
  for (const code of ['config', 'rate_limit', 'rows_discarded'])
    expect(listed.filter(line => line.startsWith(`${code} `))).toHaveLength(1)
  expect(await explain('schema_contract')).toBe(2)
  expect(err.text()).toMatch(/^error: There is no code schema_contract; did you mean contract\?$/m)
  expect(await explain('limits')).toBe(2)
  expect(err.text()).toMatch(/did you mean rate_limit\?$/m)
})

it('doctor looks at the profile that is named, and finds a .env', async () => {
  const { folder, command, list } = await shop()
  await list([])
  await writeFile(join(folder, '.env'), 'API_KEY=1\n', { mode: 0o600 })
  const wrong = await command('doctor', '--profile', 'prod')
  expect(wrong.out).toMatch(/profile/)
  expect(wrong.out).toContain(join(folder, '.env'))
  expect(wrong.out).not.toContain('there is no file of secrets')
})

it('a flat file takes the keys of the source beside its client, and names all that it takes', async () => {
  const { folder, api, list, command } = await shop()
  await list([{ id: 1 }])
  const file = join(folder, 'shop.json')
  const resources = [{ name: 'orders', primary_key: 'id', endpoint: { path: 'orders', paginator: 'single_page' } }]
  const document = { client: { base_url: api }, resources, schema_contract: { columns: 'freeze' } }
  await writeFile(file, JSON.stringify(document))
  expect(await command('run')).toMatchObject({ exitCode: 0 })
  await list([{ id: 1, extra: true }])
  await writeFile(file, JSON.stringify(document))
  const failed = (await command('run')).err.replace(/\s+/g, ' ')
  expect(failed).toMatch(/orders: column orders\.extra is new, and \S*shop\.json:1:\d+ schema_contract freezes columns/)
  expect(failed).toMatch(/write `columns: evolve` there to accept it code: contract/)
  await writeFile(file, JSON.stringify({ ...document, resources: [{ ...resources[0], schema_contract: 'freeze' }] }))
  expect((await command('run')).err.replace(/\s+/g, ' ')).toMatch(
    /orders: column orders\.extra is new, and \S*shop\.json:1:\d+ resources\[0\]\.schema_contract freezes columns/,
  )
  await writeFile(file, JSON.stringify({ ...document, schema_contract: { columns: 'frozen' } }))
  expect((await command('check')).err).toMatch(/schema_contract\.columns/)
  await writeFile(file, JSON.stringify({ ...document, nonsense_key: 1 }))
  expect((await command('check')).err.replace(/\s+/g, ' ')).toMatch(
    /known here: name, destination, dataset, notify, profiles/,
  )
})

it.each(['no columns', 'a map', 'a list'])('prove writes the type of mixed numbers beside %s', async written => {
  const { folder, list, command } = await shop('shop.yaml')
  const columns = { 'no columns': undefined, 'a map': { id: { nullable: false } }, 'a list': [{ name: 'id' }] }[written]
  await list(LINES, columns === undefined ? {} : { columns })
  const shown = (await command('prove', '--write')).out.replaceAll(/\s+/g, ' ')
  expect(shown).toContain('total is a whole number in some of 2 records and a fraction in others')
  expect(shown).toContain('lines.price is a whole number')
  const { readFile } = await import('node:fs/promises')
  expect(await readFile(join(folder, 'shop.yaml'), 'utf8')).toContain('double')
  expect(await command('run')).toMatchObject({ exitCode: 0 })
  const sums = 'SELECT sum(total) AS total, sum(tax__rate) AS rate FROM orders'
  expect((await command('query', sums, '--csv')).out).toBe('total,rate\n21.25,14.5\n')
  expect((await command('query', 'SELECT sum(price) AS price FROM orders__lines', '--csv')).out).toBe('price\n5.5\n')
})
