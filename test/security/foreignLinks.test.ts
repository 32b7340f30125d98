import { expect, test } from 'vitest'
import { load, testApi } from '../rest/loading.js'

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
