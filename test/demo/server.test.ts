import { afterEach, describe, expect, it } from 'vitest'
import { type DemoApi, type DemoOptions, ordinaryFaults, startDemoApi } from '../../demo/server.js'

let api: DemoApi | undefined
afterEach(async () => {
  await api?.close()
  api = undefined
})

async function start(options: Partial<DemoOptions> = {}): Promise<DemoApi> {
  api = await startDemoApi({ apiKey: 'k', ...options })
  return api
}

async function get(url: string): Promise<{ status: number; text: string; headers: Headers }> {
  const response = await fetch(url)
  return { status: response.status, text: await response.text(), headers: response.headers }
}

describe('the demo API', () => {
  it('refuses a missing or wrong key with a body that says so', async () => {
    const { url } = await start()
    for (const query of ['', '?api_key=', '?api_key=wrong']) {
      const { status, text } = await get(`${url}/v1/feedback${query}`)
      expect(status).toBe(401)
      expect(JSON.parse(text)).toMatchObject({ error: 'unauthorized' })
    }
  })

  it('pages by offset, caps the limit at 100 and announces the total', async () => {
    const { url } = await start({ records: { featureFlags: 250 } })
    const sizes: number[] = []
    for (const offset of [0, 100, 200, 300]) {
      const { text } = await get(`${url}/v1/feature_flags?api_key=k&limit=1000&offset=${offset}`)
      const body = JSON.parse(text) as { items: unknown[]; total: number }
      expect(body.total).toBe(250)
      sizes.push(body.items.length)
    }
    expect(sizes).toEqual([100, 100, 50, 0])
  })

  it('sends ids beyond 2^53 digit by digit', async () => {
    const { url } = await start()
    const { text } = await get(`${url}/v1/feedback?api_key=k&limit=2&offset=1`)
    expect(text).toMatch(/^\{"data":\[\{"id":7190000000000004098,/)
  })

  it('gives the same records for the same page, changes and adds some with each revision', async () => {
    const { url, advance } = await start({ records: { featureFlags: 100 } })
    const page = `${url}/v1/feature_flags?api_key=k`
    const first = await get(page)
    expect((await get(page)).text).toBe(first.text)
    advance()
    const second = await get(page)
    const before = (JSON.parse(first.text) as { items: { id: string }[] }).items
    const after = JSON.parse(second.text) as { items: { id: string; owner?: unknown }[]; total: number }
    expect(after.total).toBe(140)
    expect(after.items.map(item => item.id)).toEqual(before.map(item => item.id))
    const changed = after.items.filter((item, index) => JSON.stringify(item) !== JSON.stringify(before[index]))
    expect(changed).toHaveLength(5)
    expect(changed.every(item => item.owner !== undefined)).toBe(true)
  })

  it('fails as it was told to, and answers well when asked again', async () => {
    const { url, requests } = await start({ faults: ordinaryFaults })
    const limited = await get(`${url}/v1/feedback?api_key=k&offset=500`)
    expect([limited.status, limited.headers.get('retry-after')]).toEqual([429, '1'])
    expect((await get(`${url}/v1/feature_flags?api_key=k&offset=300`)).status).toBe(503)
    await expect(get(`${url}/v1/feedback?api_key=k&offset=1200`)).rejects.toThrow()
    expect((await get(`${url}/v1/feedback?api_key=k&offset=1200`)).status).toBe(200)
    expect(requests.map(request => request.status)).toEqual([429, 503, 0, 200])
    expect(JSON.stringify(requests)).not.toContain('api_key')
  })
})
