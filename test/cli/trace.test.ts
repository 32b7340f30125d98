import { mkdtemp, open, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { TracedSource } from '../../src/index.js'
import { type Api, api } from '../rest/listServer.js'
import { type Ended, sluiceProcess } from './process.js'

const TOKEN = 'key-4711-$ecret'

const SHOPS = Array.from({ length: 5 }, (_, index) => ({
  id: index + 1,
  name: `Bücher "${index + 1}"`,
  address: { city: ['Bonn', 'Graz'][index % 2], 'Post Code': 53_000 + index },
  opened: `2024-01-0${index + 1}T10:00:00Z`,
  rating: index === 0 ? null : index / 4,
  tags: ['a', `b${index}`],
  visits: [
    { guests: index, by: [{ who: `x${index}` }] },
    { guests: index + 1, by: [] },
  ],
}))

const NULLS = [
  { id: 1, owner: null },
  { id: 2, owner: { name: 'Ann', home: { city: 'Bonn' } } },
]

interface Setting {
  readonly folder: string
  readonly shops: Api
  sluice(...args: string[]): Promise<Ended>
}

async function loaded(
  document: (origin: string) => string,
  args: readonly string[] = ['--keep-journal'],
): Promise<Setting> {
  const shops = await api(async url => {
    const offset = Number(url.searchParams.get('offset') ?? 0)
    if (url.pathname === '/lines')
      return { text: SHOPS.map(shop => `${JSON.stringify(shop)}\n`).join(''), type: 'application/x-ndjson' }
    if (url.pathname === '/table') return { text: 'id,name\n1,one\n2,two\n', type: 'text/csv' }
    if (url.pathname === '/twice')
      return { json: { items: offset === 0 ? SHOPS.slice(0, 2) : [{ ...SHOPS[1], name: 'another' }], total: 3 } }
    if (url.pathname === '/nulls') return { json: { items: NULLS.slice(offset, offset + 2), total: NULLS.length } }
    if (url.pathname !== '/shops') return undefined
    return { json: { items: SHOPS.slice(offset, offset + 2), total: SHOPS.length } }
  })
  onTestFinished(() => shops.close())
  const folder = await mkdtemp(join(tmpdir(), 'sluice-trace-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  await writeFile(join(folder, 'shops.yaml'), document(shops.origin))
  const sluice = (...given: string[]): Promise<Ended> =>
    sluiceProcess(given, { cwd: folder, env: { API_KEY: TOKEN, COLUMNS: '200' } })
  expect(await sluice('run', 'shops.yaml', ...args)).toMatchObject({ exitCode: 0 })
  return { folder, shops, sluice }
}

const client = (origin: string): string => `
client:
  base_url: ${origin}
  auth: { type: api_key, name: api_key, location: query, api_key: '\${secrets.api_key}' }
  paginator: { type: offset, limit: 2 }
resources:
`
const shopsOf = (origin: string): string => `${client(origin)}
  - name: shops
    primary_key: id
    write_disposition: merge
    endpoint: { path: shops, data_selector: items }
`

/** The bytes of a place in a file. */
async function bytesOf(path: string, { start, end }: { start: number; end: number }): Promise<string> {
  const file = await open(path)
  onTestFinished(() => file.close())
  const { buffer } = await file.read(Buffer.alloc(end - start), 0, end - start, start)
  return buffer.toString()
}

describe('sluice trace', { timeout: 90_000 }, () => {
  it('leads from a row, and from nested rows, to the bytes that the API sent', async () => {
    const { sluice } = await loaded(shopsOf)
    const traced = async (...args: string[]) => {
      const ended = await sluice('trace', 'shops.yaml', ...args, '--json')
      expect(ended).toMatchObject({ exitCode: 0, stderr: '' })
      expect(ended.stdout).not.toContain(TOKEN)
      return JSON.parse(ended.stdout)
    }
    const trace = await traced('shops', '4')
    expect(trace).toMatchObject({
      table: 'shops',
      rowsWithKey: 1,
      resource: 'shops',
      row: { id: 4, address__city: 'Graz' },
      receipt: { verdict: 'complete', records: 5, pages: 3 },
      journal: {
        state: 'found',
        answers: 3,
        ofResource: 3,
        sources: [{ answer: 2, method: 'GET', status: 200, differing: [], record: { path: '$.items[1]' } }],
      },
    })
    const [source] = trace.journal.sources as [TracedSource]
    expect(source.url).toContain('/shops?')
    expect(source.url).not.toContain(TOKEN)
    const paths = Object.fromEntries(source.values.map(({ column, path }) => [column, path]))
    expect(paths).toEqual({
      id: '$.items[1].id',
      name: '$.items[1].name',
      address__city: '$.items[1].address.city',
      address__post_code: '$.items[1].address["Post Code"]',
      opened: '$.items[1].opened',
      rating: '$.items[1].rating',
    })
    expect(source.values.every(({ isEqual }) => isEqual === true)).toBe(true)
    expect(JSON.parse(await bytesOf(trace.journal.path, source.record))).toEqual(SHOPS[3])
    for (const value of source.values) expect(await bytesOf(trace.journal.path, value)).toBe(value.text)

    // Nested rows are reached through the rows above them.
    const nested = await sluice(
      'query',
      'shops.yaml',
      "SELECT w._dlt_id AS id FROM shops__visits__by w JOIN shops__visits v ON w._dlt_parent_id = v._dlt_id WHERE who = 'x2'",
      '--json',
    )
    const { id } = JSON.parse(nested.stdout) as { id: string }
    const deep = await traced('shops__visits__by', id)
    expect(deep.above.map(({ table }: { table: string }) => table)).toEqual(['shops__visits', 'shops'])
    expect(deep.journal.sources).toMatchObject([
      { answer: 2, values: [{ column: 'who', path: '$.items[0].visits[0].by[0].who', text: '"x2"' }] },
    ])
    const tag = await traced('shops__tags', 'value=b4')
    expect(tag.journal.sources).toMatchObject([
      { answer: 3, values: [{ column: 'value', path: '$.items[0].tags[1]', text: '"b4"' }] },
    ])

    const shown = await sluice('trace', 'shops.yaml', 'shops', 'name=Bücher "3"', 'id=3')
    expect(shown.exitCode).toBe(0)
    expect(shown.stdout).toMatch(/^receipt +complete, 5 records on 3 pages: /m)
    expect(shown.stdout).toMatch(/^record +\$\.items\[0\], bytes \d+ to \d+ of the journal$/m)
    expect(shown.stdout).toMatch(/^address__city +Bonn +\$\.items\[0\]\.address\.city +\d+–\d+$/m)
    expect(shown.stdout).toMatch(/^_dlt_id .* Sluice$/m)
  })

  it('leads from the columns of an object that is null to that null', async () => {
    const { sluice } = await loaded(origin => shopsOf(origin).replace('path: shops', 'path: nulls'))
    const { stdout } = await sluice('trace', 'shops.yaml', 'shops', '1')
    expect(stdout).toMatch(/^owner__name .* \$\.items\[0\]\.owner +\d+–\d+$/m)
    expect(stdout).toMatch(/^owner__home__city .* \$\.items\[0\]\.owner +\d+–\d+$/m)
  })

  it('finds a row of a replay in the journal that was kept, and the history marks the load', async () => {
    const { sluice } = await loaded(shopsOf)
    const first = await sluice('history', 'shops.yaml')
    expect(first.stdout).not.toContain('pages from')
    const [kept] = /^\d+\.\d+/m.exec(first.stdout) ?? []
    expect(await sluice('replay', 'shops.yaml')).toMatchObject({ exitCode: 0 })
    const { stdout } = await sluice('trace', 'shops.yaml', 'shops', '4')
    expect(stdout.replace(/\s+/g, ' ')).toContain(
      `journal the load took its pages from a journal, as a replay does; the newest one before it, of load ${kept}: `,
    )
    expect(stdout).toMatch(/^name .*\$\.items\[1\]\.name/m)
    const loads = (await sluice('history', 'shops.yaml')).stdout
    expect(loads).toMatch(/ a journal .*\n.* the API /)
  })

  it('says that the journal was not kept, and how to keep it', async () => {
    const { sluice } = await loaded(shopsOf, [])
    const { exitCode, stdout } = await sluice('trace', 'shops.yaml', 'shops', '4')
    expect(exitCode).toBe(0)
    expect(stdout).toMatch(/^load +\d+\.\d+, committed /m)
    expect(stdout.replace(/\s+/g, ' ')).toContain(
      'journal was not kept, so that no request is known; `sluice run shops.yaml --keep-journal`',
    )
  })

  it('says so where several answers hold the key, and which one is like the row', async () => {
    const { sluice } = await loaded(
      origin => `${client(origin)}
  - name: shops
    primary_key: id
    write_disposition: merge
    endpoint: { path: twice, data_selector: items }
`,
      ['--keep-journal', '--allow-incomplete'],
    )
    const { stdout } = await sluice('trace', 'shops.yaml', 'shops', '2', '--json')
    const { row, journal } = JSON.parse(stdout)
    expect(row.name).toBe('another')
    // The list repeats a key, so that it is read once more.
    expect(
      journal.sources.map(({ answer, differing }: TracedSource) => ({ answer, differing: differing.join() })),
    ).toEqual([
      { answer: 2, differing: '' },
      { answer: 4, differing: '' },
      { answer: 1, differing: 'name' },
      { answer: 3, differing: 'name' },
    ])
    const told = await sluice('trace', 'shops.yaml', 'shops', '2')
    expect(told.stdout).toContain('4 places hold the key')
    expect(told.stdout).toMatch(/^differs +name: the row has other values$/m)
  })

  it.each([
    ['JSON in lines', 'lines', 'found', '$[3]'],
    ['a table of texts', 'table', 'unreadable', undefined],
  ])('%s', async (_, path, state, record) => {
    const { sluice } = await loaded(
      origin => `${client(origin).replace(/ +paginator.*\n/, '')}
  - name: shops
    primary_key: id
    endpoint: { path: ${path}, paginator: single_page }
`,
    )
    const { stdout } = await sluice('trace', 'shops.yaml', 'shops', path === 'lines' ? '4' : '2', '--json')
    const { journal } = JSON.parse(stdout)
    expect(journal.state).toBe(state)
    expect(journal.sources[0]?.record.path).toBe(record)
    if (record !== undefined)
      expect(JSON.parse(await bytesOf(journal.path, journal.sources[0].record))).toEqual(SHOPS[3])
  })

  it('finds rows without a key by their values, and says what it cannot find', async () => {
    const { sluice } = await loaded(
      origin => `${client(origin)}
  - name: shops
    endpoint: { path: shops, data_selector: items }
    rename: { name: title }
`,
    )
    const { stdout } = await sluice('trace', 'shops.yaml', 'shops', 'id=5', '--json')
    expect(JSON.parse(stdout).journal.sources).toMatchObject([{ answer: 3, record: { path: '$.items[0]' } }])
    const told = await sluice('trace', 'shops.yaml', 'shops', 'id=5')
    expect(told.stdout).toMatch(/^title +Bücher "5" +not in the answer by this name$/m)
  })

  it('says what is not there', async () => {
    const { sluice } = await loaded(shopsOf, [])
    const cases: readonly (readonly [args: readonly string[], exitCode: number, says: string])[] = [
      [['shops', '99'], 1, 'shops has no row 99; name it by its key (id=…), its _dlt_id, or as column=value'],
      [['shops', "4' OR 1=1 --"], 1, 'shops has no row'],
      [['shop', '4'], 2, 'there is no such table (did you mean shops?)'],
      [['shops', 'idd=4', 'x=2'], 2, 'table shops has no column idd (did you mean id?)'],
    ]
    for (const [args, exitCode, says] of cases) {
      const ended = await sluice('trace', 'shops.yaml', ...args)
      expect(ended).toMatchObject({ exitCode, stdout: '' })
      expect(ended.stderr.replace(/\s+/g, ' ')).toContain(says)
    }
  })
})
