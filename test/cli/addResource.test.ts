import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { parse } from 'yaml'
import { testApi } from '../rest/loading.js'
import { sluiceProcess } from './process.js'

const KEY = 'k-4711-4711'

/** Two lists that page alike, one that pages by a cursor, and one outside of `/v1`, for whoever has the key. */
async function shop() {
  const keys: unknown[] = []
  const api = await testApi((url, request) => {
    keys.push(request.headers['x-api-key'])
    if (request.headers['x-api-key'] !== KEY) return { status: 401, json: { error: 'no key' } }
    const records = Array.from({ length: 25 }, (_, place) => ({
      id: `r${(place * 7919) % 1009}`,
      title: `no ${place}`,
    }))
    const offset = Number(url.searchParams.get('offset') ?? 0)
    if (url.pathname === '/v1/customers') {
      const at = Number(url.searchParams.get('cursor') ?? 0)
      const next_cursor = at + 10 < records.length ? String(at + 10) : null
      return { json: { data: records.slice(at, at + 10), meta: { next_cursor } } }
    }
    if (!['/v1/orders', '/v1/refunds', '/v2/shops'].includes(url.pathname)) return { status: 404, json: {} }
    const limit = Math.min(Number(url.searchParams.get('limit') ?? 10), 10)
    return { json: { items: records.slice(offset, offset + limit), total: records.length, offset } }
  })
  return { origin: api.origin, keys }
}

const head = (origin: string): string => `# The shop. Keep this line.
name: shop
destination:   duckdb:shop.duckdb   # ours

client:
  base_url: ${origin}/v1
  auth: { type: api_key, name: X-API-Key, api_key: "\${secrets.api_key}" }
  paginator: { type: offset, limit: 10, total_path: total }
`

/** A folder with the file, and the command in it. */
async function folderWith(name: string, text: string) {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-add-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  await writeFile(join(folder, name), text)
  const command = (...args: readonly string[]) => sluiceProcess(args, { cwd: folder, env: { API_KEY: KEY }, input: '' })
  return { command, read: () => readFile(join(folder, name), 'utf8') }
}

/** What was put into the text. Fails where anything else changed. */
function inserted(before: string, after: string): string {
  let from = 0
  while (from < before.length && before[from] === after[from]) from++
  const rest = before.slice(from)
  expect(after.endsWith(rest), after).toBe(true)
  return after.slice(from, after.length - rest.length)
}

describe('sluice init --add', () => {
  const layouts: readonly (readonly [string, string, string])[] = [
    [
      'a list with comments behind it',
      'shop.yaml',
      `resources:
  - name: orders      # the first
    primary_key:   id
    endpoint: orders

    # incremental: { cursor_path: id }

# The end of the file.
`,
    ],
    ['a list at the left margin, keys behind it', 'shop.yaml', 'resources:\n- orders\n\nschedule: "0 6 * * *"\n'],
    ['a list without a last line end', 'shop.yaml', 'resources:\n    - { name: orders, primary_key: id }'],
    ['a list in brackets', 'shop.yaml', 'resources: [orders, ]  # short\n'],
    ['items with space between', 'shop.yaml', 'resources:\n  - name: orders\n\n  - name: o2\n    endpoint: orders\n'],
  ]
  it.each(layouts)('adds to %s, and changes nothing else', async (_layout, name, resources) => {
    const { origin, keys } = await shop()
    const before = head(origin) + resources
    const { command, read } = await folderWith(name, before)
    const ended = await command('init', '--add', name, '--url', `${origin}/v1/customers?sort=id`, '--no-prove')
    expect(ended, ended.stderr).toMatchObject({ exitCode: 0 })
    expect(ended.stdout).toContain(`${name} has one more resource, customers.`)
    const after = await read()
    expect(inserted(before, after)).toContain('customers')
    const [earlier, later] = [parse(before), parse(after)] as { resources: unknown[] }[]
    expect(later).toEqual({
      ...earlier,
      resources: [
        ...(earlier?.resources ?? []),
        expect.objectContaining({
          name: 'customers',
          primary_key: 'id',
          endpoint: expect.objectContaining({ paginator: { type: 'cursor', cursor_path: 'meta.next_cursor' } }),
        }),
      ],
    })
    expect(new Set(keys)).toEqual(new Set([KEY]))
  })

  it('adds to a JSON file, to a file with Windows line ends, and to one with `source`', async () => {
    const { origin } = await shop()
    const client = {
      base_url: `${origin}/v1`,
      auth: { type: 'api_key', name: 'X-API-Key', api_key: '${secrets.api_key}' },
    }
    const json = `${JSON.stringify({ client, resources: [{ name: 'orders' }] }, undefined, 4)}\n`
    const windows = `${head(origin)}resources:\n  - name: orders\n`.replaceAll('\n', '\r\n')
    const wrapped = `name: shop\nsource:\n  client: ${JSON.stringify(client)}\n  resources:\n    - orders\ndataset: shop\n`
    for (const [name, before] of [
      ['a.json', json],
      ['b.yaml', windows],
      ['c.yml', wrapped],
    ] as const) {
      const { command, read } = await folderWith(name, before)
      const ended = await command('init', '--add', name, '--url', 'customers', '--no-prove')
      expect(ended, ended.stderr).toMatchObject({ exitCode: 0 })
      const after = await read()
      const added = inserted(before, after)
      if (name === 'b.yaml') expect(added.replaceAll('\r\n', '')).not.toContain('\n')
      if (name === 'a.json') expect(JSON.stringify(JSON.parse(after), undefined, 4)).toBe(after.trimEnd())
      expect((await command('check', name)).exitCode).toBe(0)
    }
  })

  it('uses the paginator of the client where the new list pages alike, proves the list, and loads both', async () => {
    const { origin } = await shop()
    const before = `${head(origin)}resources:\n  - name: orders\n    primary_key: id\n`
    const { command, read } = await folderWith('shop.yaml', before)
    const ended = await command('init', '--add', 'shop.yaml', '--url', `${origin}/v1/refunds?limit=10`)
    expect(ended, ended.stdout + ended.stderr).toMatchObject({ exitCode: 0 })
    expect(ended.stdout).toMatch(/^refunds: \d+ proven, 0 assumed, 0 wrong/)
    const { resources } = parse(await read()) as { resources: { endpoint: object }[] }
    expect(resources[1]?.endpoint).not.toHaveProperty('paginator')
    const run = await command('run', 'shop.yaml')
    expect(run, run.stderr).toMatchObject({ exitCode: 0 })
    const counted = await command(
      'query',
      'shop.yaml',
      '--csv',
      'SELECT count(*) FROM orders UNION ALL SELECT count(*) FROM refunds',
    )
    expect(counted.stdout.split('\n').slice(1, 3)).toEqual(['25', '25'])
  })

  it('keeps the whole address of a list that is not below the base URL', async () => {
    const { origin } = await shop()
    const { command, read } = await folderWith('shop.yaml', `${head(origin)}resources: [orders]\n`)
    const ended = await command('init', '--add', 'shop.yaml', '--url', `${origin}/v2/shops`, '--no-prove')
    expect(ended, ended.stderr).toMatchObject({ exitCode: 0 })
    const { resources } = parse(await read()) as { resources: unknown[] }
    expect(resources[1]).toMatchObject({ name: 'shops', endpoint: { path: `${origin}/v2/shops` } })
    expect((await command('check', 'shop.yaml')).exitCode).toBe(0)
  })

  it('refuses another API, a name that is taken, a secret in the address and files that it cannot add to', async () => {
    const { origin, keys } = await shop()
    const before = `${head(origin)}resources:\n  - orders\n`
    const { command, read } = await folderWith('shop.yaml', before)
    const refusals: readonly (readonly [RegExp, ...string[]])[] = [
      [/another API than that of shop\.yaml/, '--url', 'https://other.example.com/v1/customers'],
      [/has a resource orders already \(it has orders\); --name/, '--url', `${origin}/v1/orders`],
      [/holds a secret in `api_key`/, '--url', `${origin}/v1/customers?api_key=s3cr3t-s3cr3t`],
      [/--auth' belongs to a new file/, '--url', 'customers', '--auth', 'bearer'],
    ]
    for (const [message, ...flags] of refusals) {
      const ended = await command('init', '--add', 'shop.yaml', ...flags)
      expect(ended.exitCode, ended.stderr).toBe(2)
      expect(ended.stderr).toMatch(message)
      expect(ended.stderr).not.toContain('s3cr3t')
    }
    expect(keys).toEqual([])
    const module = await command('init', '--add', 'shop.ts', '--url', 'customers')
    expect(module.stderr).toContain('is no YAML or JSON file')
    expect(await read()).toBe(before)
  })

  it('leaves a list that comes from elsewhere as it is, and says what to add', async () => {
    const { origin } = await shop()
    const lists = 'resources: &lists [orders]\n'
    const before = `name: shop\nsource:\n  <<: &api\n    client: { base_url: "${origin}/v1", headers: { X-API-Key: "\${secrets.api_key}" } }\n    ${lists}`
    const { command, read } = await folderWith('shop.yaml', before)
    const ended = await command('init', '--add', 'shop.yaml', '--url', 'customers', '--no-prove')
    expect(ended.exitCode, ended.stderr).toBe(2)
    expect(ended.stderr).toContain('add this yourself: {"name":"customers"')
    expect(await read()).toBe(before)
  })
})
