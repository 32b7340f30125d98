import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { restApi } from '../../src/config/restApi.js'
import { duckdb } from '../../src/destinations/duckdb/duckdb.js'
import { type Pipeline, pipeline } from '../../src/pipeline/pipeline.js'
import { type ShopApi, shopApi } from './api.js'
import { contents } from './contents.js'

let home: string
let api: ShopApi

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'sluice-replay-'))
  api = await shopApi()
})

afterEach(async () => {
  await api.close()
  await rm(home, { recursive: true, force: true })
})

type Disposition = 'append' | 'replace' | 'merge'

function shop(disposition: Disposition, more: { readonly nesting?: number; readonly broken?: boolean } = {}): Pipeline {
  const check = (record: { readonly id?: unknown }): boolean => {
    if (more.broken === true && record.id === 45) throw new Error('no such number')
    return true
  }
  const source = restApi(
    {
      client: { base_url: api.url('shop') },
      resource_defaults: {
        primary_key: 'id',
        write_disposition: disposition,
        ...(more.nesting !== undefined && { max_table_nesting: more.nesting }),
      },
      resources: [
        {
          name: 'orders',
          processing_steps: [{ filter: check }],
          endpoint: {
            path: 'orders',
            data_selector: 'orders',
            paginator: { type: 'page_number', base_page: 1, total_path: 'pages' },
            incremental: { cursor_path: 'changed', start_param: 'since', initial_value: 0 },
          },
        },
        { name: 'shops', endpoint: { path: 'shops', data_selector: 'shops', paginator: 'single_page' } },
        {
          name: 'staff',
          endpoint: { path: 'shops/{resources.shops.id}/staff', data_selector: 'staff', paginator: { type: 'cursor' } },
        },
      ],
    },
    { env: {}, cwd: home },
  )
  return pipeline({ name: 'shop', source, destination: duckdb(join(home, 'shop.duckdb')), home: join(home, 'work') })
}

describe('a replay', () => {
  it.each(['replace', 'merge'] as const)('rebuilds the tables of a kept journal without a request (%s)', async how => {
    await shop(how).run({ keepJournal: true })
    const before = await contents(shop(how))
    const asked = api.asked('shop').length
    const { loadId, receipts } = await shop(how).replay()
    const after = await contents(shop(how))
    expect(api.asked('shop')).toHaveLength(asked)
    expect(after).toEqual({ ...before, loads: 2 })
    expect(receipts.map(receipt => [receipt.requests, receipt.pagesFromJournal === receipt.pages])).toEqual([
      [0, true],
      [0, true],
      [0, true],
    ])
    expect(loadId).toBeDefined()
  })

  it('makes room first where it is told to', async () => {
    await shop('append').run({ keepJournal: true })
    const before = await contents(shop('append'))
    await shop('append').replay(undefined, { refresh: 'drop_resources' })
    expect((await contents(shop('append'))).tables).toEqual(before.tables)
  })

  it("follows today's rules of the schema", async () => {
    await shop('replace').run({ keepJournal: true })
    await shop('replace', { nesting: 0 }).replay(undefined, { refresh: 'drop_resources' })
    const tables = (await contents(shop('replace'))).tables
    expect(Object.keys(tables).sort()).toEqual(['orders', 'shops', 'staff'])
    expect(tables.orders?.join()).toContain('items')
  })

  it('of a journal that does not hold every page says which one is missing', async () => {
    await expect(shop('merge', { broken: true }).run()).rejects.toMatchObject({ code: 'user_function' })
    expect((await readdir(join(home, 'work', 'shop', 'loads'))).join()).toMatch(/^[\d.]+\.aside$/)
    // The journal ends where the run failed.
    await expect(shop('merge').replay()).rejects.toMatchObject({
      code: 'journal',
      message: expect.stringContaining('is not in the journal'),
    })
    expect((await contents(shop('merge'))).loads).toBe(0)
  })

  it('of an old load moves no cursor back', async () => {
    const { loadId } = await shop('merge').run({ keepJournal: true })
    api.setDay('shop', 2)
    await shop('merge').run()
    const { cursors } = await contents(shop('merge'))
    await shop('merge').replay(loadId)
    expect((await contents(shop('merge'))).cursors).toBe(cursors)
  })

  it('of an unknown load names those there are', async () => {
    const { loadId } = await shop('merge').run({ keepJournal: true })
    await expect(shop('merge').replay('1.0')).rejects.toMatchObject({
      code: 'journal',
      message: expect.stringContaining(`there are ${loadId}`),
    })
  })
})
