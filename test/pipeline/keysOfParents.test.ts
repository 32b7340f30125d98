import { expect, test } from 'vitest'
import { notesOfShops } from './childLists.js'

/** Keys that tell the records of one list apart, and not those of the lists of all parents. */

interface Case {
  readonly kind: string
  /** Records of the list of a shop. */
  readonly notes: (shop: number) => readonly object[]
  readonly keys?: object
  readonly verdict: 'complete' | 'unproven'
  readonly rows: number
  /** Records that take the place of others. */
  readonly shared?: number
}

const ofShop = (shop: number) => [1, 2].map(id => ({ id, text: `${shop}.${id}` }))
const same = () => [1, 2].map(id => ({ id, text: `team ${id}` }))
const merged = { primary_key: 'id', write_disposition: 'merge' }

const cases: readonly Case[] = [
  { kind: 'a key that each parent counts anew', notes: ofShop, verdict: 'unproven', rows: 2, shared: 4 },
  { kind: 'the same records below several parents', notes: same, verdict: 'complete', rows: 2 },
  {
    kind: 'the parent in the key',
    notes: ofShop,
    keys: { primary_key: ['_shops_id', 'id'], include_from_parent: ['id'] },
    verdict: 'complete',
    rows: 6,
  },
  {
    kind: 'the parent beside the key',
    notes: same,
    keys: { include_from_parent: ['id'] },
    verdict: 'unproven',
    rows: 2,
    shared: 4,
  },
  { kind: 'append', notes: ofShop, keys: { write_disposition: 'append' }, verdict: 'complete', rows: 6 },
  {
    kind: 'a document that says which one stays',
    notes: ofShop,
    keys: { columns: { text: { data_type: 'text', dedup_sort: 'desc' } } },
    verdict: 'complete',
    rows: 2,
  },
  {
    kind: 'one record of one list',
    notes: shop => [{ id: shop === 3 ? 1 : shop, text: shop }],
    verdict: 'unproven',
    rows: 2,
    shared: 1,
  },
  {
    kind: 'a key of a column',
    notes: ofShop,
    keys: { primary_key: undefined, columns: { id: { primary_key: true } } },
    verdict: 'unproven',
    rows: 2,
    shared: 4,
  },
  {
    kind: 'a key by the name of its column',
    notes: shop => ofShop(shop).map(({ id, text }) => ({ noteId: id, text })),
    keys: { primary_key: 'note_id' },
    verdict: 'unproven',
    rows: 2,
    shared: 4,
  },
  {
    kind: 'records that a step leaves out',
    notes: ofShop,
    keys: { processing_steps: [{ filter: ({ id }: { id: number }) => id === 2 }] },
    verdict: 'unproven',
    rows: 1,
    shared: 1,
  },
  {
    kind: 'records of which a step leaves out what differs',
    notes: ofShop,
    keys: { processing_steps: [{ map: ({ id }: { id: number }) => ({ id }) }] },
    verdict: 'complete',
    rows: 2,
  },
  {
    kind: 'a key that a step makes of the parent and the record',
    notes: ofShop,
    keys: {
      processing_steps: [{ map: ({ id, text }: { id: number; text: string }) => ({ id: `${text}.${id}` }) }],
    },
    verdict: 'complete',
    rows: 6,
  },
  {
    kind: 'another member that has the same name as the key',
    notes: shop => [{ inner: { id: 1 }, id: shop }],
    verdict: 'complete',
    rows: 3,
  },
]

test.each(cases)('$kind', async ({ notes, keys, verdict, rows, shared }) => {
  const made = await notesOfShops({
    shops: [1, 2, 3],
    notes: shop => ({ data: notes(shop) }),
    keys: { ...merged, ...keys },
  })
  const { receipts } = await made.run()
  const receipt = receipts.find(({ resource }) => resource === 'notes')
  expect(receipt?.verdict).toBe(verdict)
  const reason = shared === 1 ? '1 record has the primary key' : 'have the primary key of a record of another parent'
  if (shared !== undefined) expect(receipt?.reasons.join(' ')).toContain(reason)
  expect(await made.dataset().query('SELECT count(*) AS rows FROM notes')).toEqual([{ rows: BigInt(rows) }])
})

const twice = [
  { id: 1, text: 'first' },
  { id: 2, text: 'other' },
  { id: 1, text: 'second' },
]

test('a key that comes twice in the list of one parent tells nothing of other parents', async () => {
  const made = await notesOfShops({
    shops: [1, 2],
    notes: shop => ({ data: shop === 1 ? twice : [{ id: 3, text: 'third' }] }),
    keys: merged,
  })
  const { receipts } = await made.run()
  expect(receipts.find(({ resource }) => resource === 'notes')).toMatchObject({ verdict: 'complete' })
})

test('a list whose records change while it is read gets its second look', async () => {
  let requests = 0
  const made = await notesOfShops({
    shops: [1],
    notes: (_shop, asked) => {
      const at = Number(asked.searchParams.get('offset'))
      // Behind the first page, what was on it is changed and comes last.
      const list = ++requests < 2 ? [1, 2, 3, 4].map(id => ({ id, v: 0 })) : [2, 3, 4, 1].map(id => ({ id, v: id % 2 }))
      return { data: list.slice(at, at + 2), total: 4 }
    },
    keys: merged,
    paginator: { type: 'offset', limit: 2, total_path: 'total' },
  })
  const { receipts } = await made.run({ concurrency: 1 })
  const receipt = receipts.find(({ resource }) => resource === 'notes')
  expect(receipt?.reasons.join()).toContain('a second look found it whole')
  expect(receipt?.verdict).toBe('complete')
})

test('a key that comes twice in each list, and in those of other parents, is shared', async () => {
  const made = await notesOfShops({
    shops: [1, 2],
    notes: shop => ({ data: twice.map(note => ({ ...note, shop })) }),
    keys: merged,
  })
  const receipt = (await made.run()).receipts.find(({ resource }) => resource === 'notes')
  expect(receipt?.reasons.join()).toContain('2 records have the primary key of a record of another parent')
})

test.each([
  ['a number and a text', '1', '"1"'],
  ['a whole number and one with a point', '1', '1.0'],
  ['a text and one with an escape', '"a"', '"\\u0061"'],
])('keys that become one value are shared: %s', async (_what, one, other) => {
  const made = await notesOfShops({
    shops: [0, 1],
    notes: shop => `{"data":[{"id":${shop === 0 ? one : other},"text":"${shop}"}]}`,
    keys: {
      ...merged,
      columns: { id: { data_type: one.startsWith('"') || other.startsWith('"') ? 'text' : 'double' } },
    },
  })
  const { receipts } = await made.run({ concurrency: 1 })
  expect(await made.dataset().table('notes').count()).toBe(1)
  expect(receipts.find(({ resource }) => resource === 'notes')).toMatchObject({ verdict: 'unproven', records: 2 })
})
