import { expect, test } from 'vitest'
import { Secret } from '../../src/index.js'
import fc from '../properties.js'
import { type Answer, api } from './listServer.js'
import { prepared, quickRetry, run } from './loading.js'

/** Keys of a resource do not disturb each other: whatever a document combines, the table holds what it asks for. */

const COLUMNS = ['id', 'name', 'email', 'status', 'n', 'note'] as const
const records = Array.from({ length: 23 }, (_, index) => ({
  id: `r${String(index).padStart(2, '0')}`,
  name: index % 5 === 0 ? '' : `name ${index}`,
  email: `user${index}@example.com`,
  status: index % 3 === 0 ? 'off' : 'on',
  n: index * 7,
  note: `n&<${index}>`,
}))
type Item = (typeof records)[number]

/** How the API writes a page, and how the document reads it. */
type Body = 'objects' | 'tuples' | 'map' | 'xml' | 'csv' | 'jsonl'
type Paging = 'offset' | 'page_number' | 'keyset' | 'header_link' | 'cursor' | 'json_link'

interface Choice {
  readonly body: Body
  readonly paging: Paging
  readonly size: number
  /** The most records of a page that the API takes. */
  readonly largest: number
  readonly hasTotal: boolean
  /** Every address is busy when it is asked for the first time. */
  readonly isBusy: boolean
  readonly mask: 'hash' | 'redact' | 'drop' | 'last4' | undefined
  readonly filters: boolean
  readonly renames: boolean
  readonly keeps: 'select' | 'drop' | undefined
  readonly emptyIsNull: boolean
  readonly expects: boolean
  readonly disposition: 'append' | 'merge' | 'replace'
}

const choices: fc.Arbitrary<Choice> = fc
  .record({
    body: fc.constantFrom<Body>('objects', 'tuples', 'map', 'xml', 'csv', 'jsonl'),
    paging: fc.constantFrom<Paging>('offset', 'page_number', 'keyset', 'header_link', 'cursor', 'json_link'),
    size: fc.constantFrom(4, 5, 23, 30),
    largest: fc.constantFrom(1, 2, 3, 5, 1_000),
    hasTotal: fc.boolean(),
    isBusy: fc.boolean(),
    mask: fc.constantFrom('hash', 'redact', 'drop', 'last4', undefined),
    filters: fc.boolean(),
    renames: fc.boolean(),
    keeps: fc.constantFrom('select', 'drop', undefined),
    emptyIsNull: fc.boolean(),
    expects: fc.boolean(),
    disposition: fc.constantFrom('append', 'merge', 'replace'),
  })
  .map(choice => {
    const hasEnvelope = !['csv', 'jsonl'].includes(choice.body)
    const paging = !hasEnvelope && ['cursor', 'json_link'].includes(choice.paging) ? 'offset' : choice.paging
    return {
      ...choice,
      paging,
      largest: ['offset', 'keyset', 'page_number'].includes(paging) ? choice.largest : 1_000,
      // Its total counts pages.
      hasTotal: choice.hasTotal && paging !== 'page_number',
      isBusy: choice.isBusy && hasEnvelope && choice.body !== 'xml',
      // Values in lists have no names to mask by: such a document is refused.
      mask: choice.body === 'tuples' ? undefined : choice.mask,
    }
  })

test('whatever keys a document combines, its table is right after two runs', { timeout: 300_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(choices, async choice => {
      const answer = apiOf(choice)
      const server = await api(answer)
      try {
        const made = await prepared({
          client: { base_url: server.origin, retry: quickRetry },
          resources: [resourceOf(choice)],
        } as never)
        const once = wantedOf(choice)
        for (const wanted of [once, choice.disposition === 'append' ? twice(once) : once]) {
          const { result, rows } = await run(made)
          expect(result.receipts[0]?.verdict).not.toBe('incomplete')
          expect((await rows('items')).map(seenOf(choice))).toEqual(wanted)
        }
      } finally {
        await server.close()
      }
    }),
    { numRuns: 40 },
  )
})

function apiOf({ body, paging, size, largest, hasTotal, isBusy }: Choice): (url: URL) => Answer {
  const known = new Set<string>()
  return url => {
    const asked = url.searchParams
    if (isBusy && !known.has(url.href)) {
      known.add(url.href)
      return { json: { error: 'busy' } }
    }
    const limit = Number(asked.get('limit') ?? size)
    if (limit > largest) return { status: 413, text: 'too large' }
    const start = startOf(paging, asked, limit)
    const end = start + limit
    const next = end < records.length ? `/items?at=${end}` : undefined
    const headers = {
      ...(hasTotal && { 'X-Total': String(records.length) }),
      ...(paging === 'header_link' && next !== undefined && { Link: `<${url.origin}${next}>; rel="next"` }),
    }
    const envelope = {
      ...(paging === 'cursor' && { cursor: next === undefined ? null : String(end) }),
      ...(paging === 'json_link' && { next: next ?? null }),
    }
    return { headers, ...written(body, records.slice(start, end), envelope) }
  }
}

function startOf(paging: Paging, asked: URLSearchParams, limit: number): number {
  switch (paging) {
    case 'offset':
      return Number(asked.get('offset') ?? 0)
    case 'page_number':
      return (Number(asked.get('page') ?? 1) - 1) * limit
    case 'keyset': {
      const after = asked.get('after')
      return after === null ? 0 : records.findIndex(({ id }) => id === after) + 1
    }
    default:
      return Number(asked.get('at') ?? 0)
  }
}

function written(body: Body, page: readonly Item[], envelope: Readonly<Record<string, string | null>>): Answer {
  switch (body) {
    case 'objects':
      return { json: { ...envelope, items: page } }
    case 'tuples':
      return { json: { ...envelope, columns: COLUMNS, items: page.map(item => COLUMNS.map(name => item[name])) } }
    case 'map':
      return { json: { ...envelope, items: Object.fromEntries(page.map(({ id, ...rest }) => [id, rest])) } }
    case 'jsonl':
      return { type: 'application/x-ndjson', text: page.map(item => `${JSON.stringify(item)}\n`).join('') }
    case 'csv': {
      const lines = page.map(item => COLUMNS.map(name => `"${item[name]}"`).join(','))
      return { type: 'text/csv', text: `${[COLUMNS.join(','), ...lines].join('\r\n')}\r\n` }
    }
    case 'xml': {
      const items = page.map(item => element('item', COLUMNS.map(name => element(name, escaped(item[name]))).join('')))
      const around = Object.entries(envelope).map(([name, value]) => (value === null ? '' : element(name, value)))
      return { type: 'application/xml', text: element('r', around.join('') + element('items', items.join(''))) }
    }
  }
}

const element = (name: string, content: string): string => `<${name}>${content}</${name}>`
const escaped = (value: string | number): string => String(value).replaceAll('&', '&amp;').replaceAll('<', '&lt;')

function resourceOf(choice: Choice): object {
  const { body, paging, size, largest, mask, keeps } = choice
  const title = choice.renames ? 'title' : 'name'
  const root = body === 'xml' ? 'r.' : ''
  const hasLimit = paging === 'offset' || paging === 'keyset'
  const selector = { xml: 'r.items.item', csv: undefined, jsonl: undefined }[body as 'xml' | 'csv' | 'jsonl']
  return {
    name: 'items',
    primary_key: 'id',
    write_disposition: choice.disposition,
    columns: { n: { data_type: 'bigint' } },
    ...(mask !== undefined && { mask: { email: mask } }),
    ...(mask === 'hash' && { mask_salt: new Secret('a salt of sixteen or more') }),
    ...(choice.filters && { filter: "record.status == 'on'" }),
    ...(choice.renames && { rename: { name: 'title' } }),
    ...(keeps === 'select' && { select: ['id', title, 'n'] }),
    ...(keeps === 'drop' && { drop: ['note', title] }),
    ...(choice.expects && { expect: { min_records: 5, unique: ['id'], not_null: ['id'] } }),
    endpoint: {
      path: 'items',
      paginator: {
        type: paging,
        ...(hasLimit && { limit: size }),
        ...(paging === 'keyset' && { field: 'id', param: 'after' }),
        ...(paging === 'page_number' && { base_page: 1, total_path: null }),
        ...(paging === 'cursor' && { cursor_path: `${root}cursor`, cursor_param: 'at' }),
        ...(paging === 'json_link' && { next_url_path: `${root}next` }),
        ...(paging === 'offset' && !choice.hasTotal && { total_path: null }),
        ...(choice.hasTotal && { total_header: 'X-Total' }),
      },
      ...(!hasLimit && { params: { limit: size } }),
      ...(largest < 1_000 && { adapt_page_size: hasLimit ? {} : { param: 'limit' } }),
      ...(body !== 'csv' && body !== 'jsonl' && { data_selector: selector ?? 'items' }),
      ...(body === 'tuples' && { columns_from: 'columns' }),
      ...(body === 'map' && { key_column: 'id' }),
      ...(choice.emptyIsNull && { null_values: [''] }),
      ...(choice.isBusy && { response_actions: [{ json_path: 'error', equals: 'busy', action: 'retry' }] }),
    },
  }
}

/** The rows that the document asks for, with masked values as what is certain of them. */
function wantedOf(choice: Choice): Record<string, unknown>[] {
  const kept = choice.filters ? records.filter(({ status }) => status === 'on') : records
  return kept.map(item => wantedRow(choice, item))
}

function wantedRow({ body, mask, renames, keeps, emptyIsNull }: Choice, item: Item): Record<string, unknown> {
  const title = renames ? 'title' : 'name'
  // In XML and CSV, an empty text and no value look alike.
  const mayBeNull = emptyIsNull || body === 'xml' || body === 'csv'
  const row: Record<string, unknown> = { id: item.id, [title]: mayBeNull ? item.name || null : item.name, n: item.n }
  if (keeps === 'select') return row
  const masked = { hash: 'hashed', redact: '***', last4: '.com', drop: undefined }
  Object.assign(row, { email: mask === undefined ? item.email : masked[mask], status: item.status, note: item.note })
  if (mask === 'drop') delete row.email
  if (keeps === 'drop') {
    delete row.note
    delete row[title]
  }
  return row
}

/** A row of the table in the words of {@link wantedRow}. */
function seenOf({
  body,
  mask,
  renames,
  emptyIsNull,
}: Choice): (row: Record<string, unknown>) => Record<string, unknown> {
  const title = renames ? 'title' : 'name'
  return row => {
    const email = String(row.email)
    const isHashed = mask === 'hash' && email.length > 20 && !email.includes('@')
    const isLast4 = mask === 'last4' && email.endsWith('.com') && !email.includes('user')
    return {
      ...row,
      ...(title in row && {
        [title]: emptyIsNull || body === 'xml' || body === 'csv' ? row[title] || null : row[title],
      }),
      ...(isHashed && { email: 'hashed' }),
      ...(isLast4 && { email: '.com' }),
    }
  }
}

function twice<Row>(rows: readonly Row[]): Row[] {
  return rows.flatMap(row => [row, row])
}
