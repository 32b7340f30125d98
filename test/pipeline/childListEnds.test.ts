import { expect, test } from 'vitest'
import { notesOfShops } from './childLists.js'

/** Child lists that lack records, while another list of the resource shows how lists end. */

interface Way {
  readonly kind: string
  readonly paginator: object
  /** The page that begins behind so many records. */
  readonly answer: (records: readonly object[], next: number | undefined, total: number) => object
  /** The position that a request asks for. */
  readonly at: (url: URL) => number
}

const number = (name: string) => (url: URL) => Number(url.searchParams.get(name) ?? 0)
const ends = { total_path: 'total' }

const ways: readonly Way[] = [
  {
    kind: 'cursor',
    paginator: { type: 'cursor', cursor_path: 'next', cursor_param: 'at', ...ends },
    answer: (data, next, total) => ({ data, total, ...(next !== undefined && { next: String(next) }) }),
    at: number('at'),
  },
  {
    kind: 'json_link',
    paginator: { type: 'json_link', next_url_path: 'next', ...ends },
    answer: (data, next, total) => ({ data, total, ...(next !== undefined && { next: `?at=${next}` }) }),
    at: number('at'),
  },
  {
    kind: 'keyset',
    paginator: { type: 'keyset', field: 'pair', param: 'at', limit: 2, stop_after_short_page: false, ...ends },
    answer: (data, _next, total) => ({ data, total }),
    at: number('at'),
  },
  {
    kind: 'offset with a flag',
    paginator: { type: 'offset', limit: 2, offset_param: 'at', has_more_path: 'more', ...ends },
    answer: (data, next, total) => ({ data, total, ...(next !== undefined && { more: true }) }),
    at: number('at'),
  },
  {
    kind: 'page_number',
    paginator: { type: 'page_number', base_page: 0, page_param: 'at', total_path: null, has_more_path: 'more' },
    answer: (data, next, total) => ({ data, total, ...(next !== undefined && { more: true }) }),
    at: url => number('at')(url) * 2,
  },
]

test.each(ways)('$kind: one record less than the total is never complete', async ({ paginator, answer, at }) => {
  const lengths = [4, 3, 2]
  const made = await notesOfShops({
    shops: [0, 1, 2],
    notes(shop, asked) {
      const length = lengths[shop] ?? 0
      const list = Array.from({ length }, (_, index) => ({ id: `${shop}.${index}`, pair: index + 1 }))
      const start = at(asked)
      const next = start + 2 < length ? start + 2 : undefined
      // The last shop has lost a record.
      return answer(list.slice(start, start + 2), next, shop === 2 ? length + 1 : length)
    },
    paginator,
  })
  const { receipts } = await made.run({ allowIncomplete: true, concurrency: 1 })
  const receipt = receipts.find(({ resource }) => resource === 'notes')
  expect(receipt?.records).toBe(9)
  expect(receipt?.verdict, receipt?.reasons.join()).not.toBe('complete')
  expect(receipt?.reasons.join()).toContain('3')
})

test.each([
  ['no list before an empty one', { next: '?at=2' }, { data: [], next: null }, 'unproven'],
  ['no list on any page', { next: '?at=2' }, { next: null }, 'unproven'],
  ['two empty lists', { data: [], next: '?at=2' }, { data: [], next: null }, 'complete'],
])('%s of one parent', async (_, first, second, verdict) => {
  const made = await notesOfShops({
    shops: [0, 1],
    notes(shop, asked) {
      if (shop === 0) return { data: [{ id: 1 }], next: null }
      return asked.searchParams.has('at') ? second : first
    },
    paginator: { type: 'json_link', next_url_path: 'next' },
  })
  const { receipts } = await made.run({ allowIncomplete: true })
  expect(receipts.find(({ resource }) => resource === 'notes')).toMatchObject({ verdict })
})
