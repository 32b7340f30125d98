import { expect, it } from 'vitest'
import { read, source } from './listServer.js'

/** Pages without keys, of which the API has so many, and begins anew behind the last one. */
function circle(pages: number) {
  let asked = 0
  const transport = async ({ url }: { readonly url: string }) => {
    asked += 1
    if (asked > 6 * pages) throw new Error('asked for ever')
    const page = Number(new URL(url).searchParams.get('page')) % pages
    const text = JSON.stringify([{ value: `a ${page}` }, { value: `b ${page}` }])
    return { status: 200, headers: { 'content-type': 'application/json' }, body: once(text) }
  }
  const paginator = { type: 'page_number', total_path: null }
  const list = source({
    client: { base_url: 'http://api.test', transport },
    resources: [{ name: 'things', endpoint: { paginator } }],
  })
  return { list, requests: () => asked }
}

async function* once(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text)
}

it.each([300, 12_000])('a circle of %i pages without keys is told', { timeout: 240_000 }, async pages => {
  const { list, requests } = circle(pages)
  await expect(read(list)).rejects.toMatchObject({ code: 'pagination_loop' })
  expect(requests()).toBeLessThan(2 * pages)
})
