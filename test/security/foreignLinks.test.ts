import { expect, test } from 'vitest'
import { load, prepared, testApi } from '../rest/loading.js'

test('a key in the query stays at home when a next link repeats it elsewhere', async () => {
  const other = await testApi(() => ({ json: { data: [] } }))
  const api = await testApi(({ searchParams }) => ({
    json: { data: [{ id: 1 }], next: `${other.origin.replace('127.0.0.1', 'localhost')}/a?k=${searchParams.get('k')}` },
  }))
  const failing = load({
    client: { base_url: api.origin, auth: { type: 'api_key', name: 'k', api_key: 'hush-hush-1', location: 'query' } },
    resources: [{ name: 'things', endpoint: { data_selector: 'data', paginator: { type: 'json_link' } } }],
  })
  const error = await failing.catch(reason => reason)
  expect(error).toMatchObject({ code: 'forbidden_url', message: expect.stringContaining('holds a credential') })
  expect(error.message).not.toContain('hush-hush-1')
  expect(other.asked).toEqual([])
})

const json = 'application/json'

test.each([
  ['a link', (origin: string) => ({ json: { data: [{ id: 1 }], next: `http://us%zz:100%@${origin}/b` } })],
  [
    'a redirect',
    (origin: string) => ({ status: 302, headers: { location: `http://us%zz:100%@${origin}/b` }, type: json }),
  ],
])('%s whose user has a percent sign that encodes nothing is followed', async (_what, first) => {
  const api = await testApi(({ pathname, host }) =>
    pathname === '/b' ? { json: { data: [{ id: 2 }] } } : first(host || new URL(api.origin).host),
  )
  const { result } = await load({
    client: { base_url: api.origin },
    resources: [{ name: 'things', endpoint: { data_selector: 'data', paginator: { type: 'json_link' } } }],
  })
  expect(result.receipts[0]?.records).toBeGreaterThan(0)
  expect(api.seen.at(-1)?.headers.authorization).toBe(`Basic ${Buffer.from('us%zz:100%').toString('base64')}`)
})

test.each(['file:///etc/passwd', 'http://localhost/x?k=hush-hush-1'])(
  'a link that may not be followed, %s, stops no more than two runs',
  async next => {
    let link: string | undefined = next
    const api = await testApi(() => ({ json: { data: [{ id: 1 }], ...(link !== undefined && { next: link }) } }))
    const made = await prepared({
      client: { base_url: api.origin, auth: { type: 'api_key', name: 'k', api_key: 'hush-hush-1' } },
      resources: [{ name: 'things', endpoint: { data_selector: 'data', paginator: { type: 'json_link' } } }],
    })
    await expect(made.run()).rejects.toMatchObject({ code: 'forbidden_url' })
    link = undefined
    await expect(made.run()).rejects.toMatchObject({ code: 'forbidden_url' })
    expect(api.asked).toHaveLength(1)
    expect((await made.run()).receipts[0]).toMatchObject({ records: 1 })
    expect(api.asked).toHaveLength(2)
  },
)
