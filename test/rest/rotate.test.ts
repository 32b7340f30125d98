import { describe, expect, test } from 'vitest'
import type { AuthConfig } from '../../src/index.js'
import { load, quickRetry, testApi } from './loading.js'

const quota = 3

/** An API with a quota for each key, which says in its headers what is left. `told: false`: it only refuses. */
async function metered(keys: readonly string[], { told = true, afterS = 3600 } = {}) {
  const used = new Map<string, number>()
  const refused: string[] = []
  const api = await testApi((url, { headers }) => {
    const key = headers.authorization?.replace('Bearer ', '') ?? ''
    const count = (used.get(key) ?? 0) + 1
    if (!keys.includes(key)) return { status: 401, json: {} }
    if (count > quota) {
      refused.push(key)
      return { status: 429, json: {}, headers: { 'retry-after': `${afterS}` } }
    }
    used.set(key, count)
    const page = Number(url.searchParams.get('page') ?? 1)
    const left = { 'x-ratelimit-remaining': `${quota - count}`, 'x-ratelimit-reset': `${afterS}` }
    return { json: page > 8 ? [] : [{ id: page }], headers: told ? left : {} }
  })
  return { ...api, used, refused }
}

function document(origin: string, auths: readonly object[]) {
  return {
    client: { base_url: origin, auth: { type: 'rotate', auths } as AuthConfig, retry: { ...quickRetry, max_wait: 1 } },
    resources: [
      { name: 'things', endpoint: { paginator: { type: 'page_number', base_page: 1, total_path: null } as const } },
    ],
  }
}

describe('several credentials', () => {
  const keys = ['key-aaaa', 'key-bbbb', 'key-cccc']
  const auths = keys.map(token => ({ type: 'bearer', token }))

  test.each([1, 6])('are used one after the other, as each has nothing left (%i at once)', async concurrency => {
    const api = await metered(keys)
    const { rows } = await load(document(api.origin, auths), { concurrency })
    expect((await rows('things')).map(({ id }) => id)).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
    expect([...api.used]).toEqual(keys.map(key => [key, quota]))
  })

  test('are used one after the other where the API only refuses', async () => {
    const api = await metered(keys, { told: false })
    const { rows } = await load(document(api.origin, auths))
    expect(await rows('things')).toHaveLength(8)
    expect(api.refused).toEqual(['key-aaaa', 'key-bbbb'])
  })

  test.each(['1e308', '99999999999999999999', '-5', '0'])(
    'end the run soon whatever wait is asked for: Retry-After %s',
    async wait => {
      const api = await testApi(() => ({ status: 429, json: {}, headers: { 'retry-after': wait } }))
      const error = await load({
        ...document(api.origin, auths.slice(0, 2)),
        client: {
          base_url: api.origin,
          auth: { type: 'rotate', auths: auths.slice(0, 2) } as AuthConfig,
          retry: { ...quickRetry, attempts: 2, max_wait: 1 },
        },
      }).catch(reason => reason)
      expect(error).toMatchObject({ code: expect.stringMatching(/^(rate_limit|http_status)$/) })
      expect(api.asked.length).toBeLessThanOrEqual(4)
    },
  )

  test('that all have nothing left end the run with the shortest wait, and show nothing', async () => {
    const api = await metered(keys.slice(0, 2))
    const error = (await load(document(api.origin, auths.slice(0, 2))).catch(reason => reason)) as Error
    expect(error).toMatchObject({ code: 'rate_limit' })
    expect(error.message).not.toMatch(/key-[abc]{4}/)
    expect([...api.used.values()]).toEqual([quota, quota])
  })

  test('that are only refused, without a time, end the run after its attempts', async () => {
    const api = await metered(['key-aaaa', 'key-bbbb'], { told: false, afterS: 0 })
    const loading = load(document(api.origin, auths.slice(0, 2)))
    await expect(loading).rejects.toMatchObject({ code: 'http_status', status: 429 })
    expect(new Set(api.refused)).toEqual(new Set(['key-aaaa', 'key-bbbb']))
  })

  test.each<[readonly object[], string]>([
    [[{ token: 'a' }], 'client.auth.auths: must have at least 2 entries'],
    [[{ token: 'a' }, { type: 'barer' }], 'client.auth.auths[1].type'],
    [[{ token: 'a' }, { type: 'api_key', key: 'b' }], 'client.auth.auths[1].key: unknown key'],
    [[{ token: 'a' }, { type: 'rotate', auths: [] }], 'client.auth.auths[1]'],
  ])('are checked before the first request: %j', async (blocks, message) => {
    await expect(load(document('http://127.0.0.1:1', blocks))).rejects.toThrow(message)
  })
})
