import { pipeline } from 'sluice'
import { testDestination } from 'sluice/testing'
import { expect, test } from 'vitest'
import { memory } from '../../examples/memoryDestination.js'

/** The example of a destination, which `docs/custom.md` names, keeps the promises of every destination. */
const cases = await testDestination({
  name: 'memory',
  create: async () => ({ destination: memory(), dispose: async () => {} }),
})

test.each(cases.map(one => [one.name, one] as const))('%s', (_name, { run }) => run())

test('a pipeline loads into it, and reads it back', async () => {
  const shop = pipeline({
    name: 'shop',
    destination: memory(),
    source: {
      name: 'shop',
      fingerprint: 'shop 1',
      resources: [
        {
          name: 'orders',
          path: 'orders',
          selected: true,
          hints: {},
          steps: [],
          async *pages() {
            const records = new TextEncoder().encode('[{"id":1,"lines":[{"sku":"a"},{"sku":"b"}]},{"id":2}]')
            yield { records, count: 2, bytes: records.length }
            return { end: 'proven', reason: 'both were read' }
          },
        },
      ],
      async close() {},
    },
  })
  const { receipts, rows } = await shop.run()
  expect(receipts.map(({ verdict }) => verdict)).toEqual(['complete'])
  expect(rows).toMatchObject({ orders: 2, orders__lines: 2 })
  const lines = await shop.dataset().table('orders__lines').select('sku').rows()
  expect(lines).toEqual([{ sku: 'a' }, { sku: 'b' }])
  await shop.run()
  expect(await shop.dataset().table('orders').count()).toBe(4)
})
