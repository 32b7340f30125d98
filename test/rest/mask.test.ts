import { createHmac } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import {
  type ConfigError,
  duckdb,
  type Pipeline,
  pipeline,
  type RestApiConfig,
  type RunOptions,
  restApi,
  secret,
} from '../../src/index.js'
import { documentSpan, elements } from '../../src/json/bytes.js'
import { maskBytes } from '../../src/rest/mask/maskBytes.js'
import { maskWays } from '../../src/rest/mask/maskRules.js'
import { zipOf } from './archives.js'
import type { Answer } from './listServer.js'
import { bytesApi, load, run, testApi } from './loading.js'

const MASK_SALT = 'a salt of this test alone'

function hashed(text: string, salt = MASK_SALT): string {
  return createHmac('sha256', salt).update(text).digest('hex')
}

type Resource = Exclude<RestApiConfig['resources'][number], string | ((...args: never[]) => unknown)>

/** A pipeline with one masked resource, `people`, in a folder whose files can be searched. */
async function masked(client: RestApiConfig['client'] | string, resource: Omit<Resource, 'name'>, salt = MASK_SALT) {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-mask-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const made = pipelineIn(folder, typeof client === 'string' ? { base_url: client } : client, resource, salt)
  return {
    folder,
    made,
    again: (more = resource, other = salt) =>
      pipelineIn(folder, typeof client === 'string' ? { base_url: client } : client, more, other),
  }
}

function pipelineIn(
  folder: string,
  client: RestApiConfig['client'],
  resource: Omit<Resource, 'name'>,
  salt: string,
): Pipeline {
  const document: RestApiConfig = {
    client,
    resources: [{ name: 'people', mask_salt: secret('mask_salt'), ...resource }],
  }
  return pipeline({
    name: 'masked',
    source: restApi(document, { env: { MASK_SALT: salt }, cwd: folder }),
    destination: duckdb(join(folder, 'masked.duckdb')),
    home: join(folder, 'home'),
  })
}

/** Names of files under the folder that hold the text. */
async function holding(folder: string, text: string): Promise<string[]> {
  const files = await readdir(folder, { recursive: true, withFileTypes: true })
  const found: string[] = []
  for (const file of files) {
    if (!file.isFile()) continue
    const bytes = await readFile(join(file.parentPath, file.name))
    if (bytes.includes(text)) found.push(file.name)
  }
  return found
}

const keeping: RunOptions = { keepJournal: true }

test('personal data is nowhere: not in tables, journal, events or what a second run reads', async () => {
  const person =
    '{"id":1,"e\\u006dail":"ann@x.org","email":"ann@x.org","card":4242424242424242,"big":12345678901234567890,"price":1.10,' +
    '"address":{"street":"Elm 1","city":"Rome"},"contacts":[{"phone":"+391234567890","kind":"home"},{"phone":"7","kind":"work"}],"secrets":{"a":"Elm 1","b":["Elm 1"]}}'
  const origin = await bytesApi(({ url }) =>
    url.startsWith('/people')
      ? { type: 'application/json', body: `{"sent_to":{"email":"ann@x.org"},"data":[${person}]}` }
      : { status: 404, body: '' },
  )
  const mask = {
    email: 'hash',
    card: 'last4',
    'address.street': 'redact',
    'contacts[*].phone': 'last4',
    'secrets.*': 'drop',
  } as const
  const { folder, made } = await masked(
    { base_url: origin, paginator: 'single_page' },
    { endpoint: { data_selector: 'data' }, mask, primary_key: 'id', columns: { big: { data_type: 'decimal' } } },
  )
  const { rows, events } = await run(made, keeping)
  const [row] = await rows('people')
  expect(row).toMatchObject({
    id: 1,
    email: hashed('ann@x.org'),
    card: '***4242',
    address__street: '***',
    address__city: 'Rome',
    price: 1.1,
  })
  expect(String(row?.big)).toContain('1234567890123456')
  expect((await rows('people__contacts', 'kind')).map(({ phone }) => phone)).toEqual(['***7890', '***'])
  expect(await holding(folder, '12345678901234567890')).not.toEqual([])
  for (const text of ['ann@x.org', 'Elm 1', '4242424242424242', '+391234567890']) {
    expect(await holding(folder, text), text).toEqual([])
    expect(JSON.stringify(events), text).not.toContain(text)
  }
})

test('hashes are the same in every run and resource, so that a masked key still merges', async () => {
  let name = 'Ann'
  const api = await testApi(() => ({ json: [{ email: 'ann@x.org', name }] }))
  const { made } = await masked(api.origin, {
    endpoint: { paginator: 'single_page' },
    mask: { email: 'hash' },
    primary_key: 'email',
    write_disposition: 'merge',
  })
  await run(made)
  name = 'Anna'
  const { rows } = await run(made)
  expect(await rows('people', 'email')).toEqual([{ email: hashed('ann@x.org'), name: 'Anna' }])
})

test('an interrupted run goes on with masked pages, and asks for none of them again', async () => {
  let isDown = true
  const api = await testApi(url => {
    const page = Number(url.searchParams.get('page') ?? 1)
    if (page === 2 && isDown) return { status: 500, json: { email: 'ann@x.org' } }
    return { json: { data: page > 2 ? [] : [{ id: page, email: `ann${page}@x.org` }], total_pages: 2 } }
  })
  const endpoint: Resource['endpoint'] = {
    data_selector: 'data',
    retry: { attempts: 1 },
    paginator: { type: 'page_number', base_page: 1, total_path: 'total_pages' },
    read_ahead: 0,
  }
  const { folder, made, again } = await masked(api.origin, { endpoint, mask: { email: 'hash' } })
  await expect(run(made)).rejects.toThrow(/answered 500.* not shown because of `mask`/)
  expect(await holding(folder, 'ann1@x.org')).toEqual([])
  isDown = false
  const { rows } = await run(again({ endpoint, mask: { email: 'hash' } }))
  expect(await rows('people')).toEqual([
    { id: 1, email: hashed('ann1@x.org') },
    { id: 2, email: hashed('ann2@x.org') },
  ])
  expect(api.asked.filter(asked => !asked.includes('page=2'))).toHaveLength(1)
})

test('an interrupted run with another salt begins anew', async () => {
  let isDown = true
  const api = await testApi(url =>
    url.searchParams.get('page') === '2' && isDown
      ? { status: 500 }
      : { json: { data: [{ id: url.searchParams.get('page'), email: 'a@x.org' }], total_pages: 2 } },
  )
  const endpoint: Resource['endpoint'] = {
    data_selector: 'data',
    retry: { attempts: 1 },
    paginator: { type: 'page_number', base_page: 1, total_path: 'total_pages' },
    read_ahead: 0,
  }
  const { made, again } = await masked(api.origin, { endpoint, mask: { email: 'hash' } })
  await expect(run(made)).rejects.toThrow('500')
  isDown = false
  const other = 'another salt of this test'
  const { rows } = await run(again({ endpoint, mask: { email: 'hash' } }, other))
  expect((await rows('people')).map(({ email }) => email)).toEqual([hashed('a@x.org', other), hashed('a@x.org', other)])
})

test('masks what completes a list inside a record, before it is journaled', async () => {
  const phones = ['+391', '+392', '+393'].map((phone, index) => ({ id: index, phone: `${phone}234567` }))
  const api = await testApi(url =>
    url.pathname === '/people'
      ? { json: [{ id: 1, total: 3, contacts: phones.slice(0, 1) }] }
      : { json: { items: phones, total: 3 } },
  )
  const endpoint = { path: 'people/{resources.people.id}/contacts', data_selector: 'items' }
  const { folder, made } = await masked(
    { base_url: api.origin, paginator: 'single_page' },
    {
      mask: { 'contacts.phone': 'last4', '$..email': 'drop' },
      complete_nested: { contacts: { total_path: 'total', endpoint } },
    },
  )
  const { rows } = await run(made, keeping)
  expect((await rows('people__contacts')).map(({ phone }) => phone)).toEqual(['***4567', '***4567', '***4567'])
  for (const phone of ['+391', '+392', '+393']) expect(await holding(folder, phone)).toEqual([])
  expect(await holding(folder, '***4567')).not.toEqual([])
})

test('replay masks a journal that was kept before there was a mask', async () => {
  const api = await testApi(() => ({ json: [{ id: 1, email: 'ann@x.org' }] }))
  const endpoint = { paginator: 'single_page' } as const
  const { made, again } = await masked(api.origin, { endpoint, write_disposition: 'replace' })
  await run(made, keeping)
  const later = again({ endpoint, write_disposition: 'replace', mask: { email: 'redact' } })
  await later.replay()
  const rows = await later.dataset().table('people').rows()
  expect(rows).toMatchObject([{ email: '***' }])
})

test.each([
  ['lines of JSON', 'application/x-ndjson', '{"id":1,"email":"ann@x.org"}\n{"id":2,"email":null}\n'],
  ['CSV', 'text/csv', 'id,email\n1,ann@x.org\n2,"bob@x.org"\n'],
  ['CSV with a dot in its header', 'text/csv', 'id,email\n1,ann@x.org\n'],
  ['UTF-16', 'application/json', Buffer.from('\ufeff[{"id":1,"email":"ann@x.org"}]', 'utf16le')],
])('%s is masked too', async (_, type, body) => {
  const origin = await bytesApi(() => ({ type, body }))
  const { folder, made } = await masked(origin, { endpoint: { paginator: 'single_page' }, mask: { email: 'redact' } })
  const { rows } = await run(made, keeping)
  expect((await rows('people'))[0]).toMatchObject({ email: '***' })
  expect(await holding(folder, 'ann@x.org')).toEqual([])
  expect(await holding(folder, Buffer.from('ann@x.org', 'utf16le').toString('latin1'))).toEqual([])
})

test.each([
  ['an error', { status: 422, text: 'ann@x.org is no address', type: 'text/plain' }, 'http_status'],
  ['an error in JSON', { status: 422, json: { message: 'ann@x.org is no address' } }, 'http_status'],
  ['no JSON', { text: '<p>ann@x.org</p>', type: 'text/html' }, 'response_format'],
  ['JSON that ends early', { text: '[{"id":1,"email":"ann@x.org"' }, 'response_format'],
  ['a damaged record', { text: '[{"id":1,"email":"ann@x.org" "x":1}]' }, 'response_format'],
  ['nothing at the selector', { json: { users: [{ email: 'ann@x.org' }] } }, 'selector'],
])('%s shows nothing in the failure, and leaves nothing on disk', async (_, answer, code) => {
  const api = await testApi(() => answer)
  const { folder, made } = await masked(api.origin, {
    endpoint: { data_selector: 'data', paginator: 'single_page' },
    mask: { email: 'hash' },
  })
  const error: unknown = await run(made, keeping).catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ code })
  expect(String(error)).not.toContain('ann@')
  expect(await holding(folder, 'ann@x.org')).toEqual([])
})

describe('what the document looks for in an answer that cannot be masked', () => {
  const people = Array.from({ length: 5 }, (_, id) => ({ id, email: 'ann@x.org' }))
  const text = (words: string): Answer => ({ status: 400, text: `ann@x.org: ${words}`, type: 'text/plain' })
  const rows = (url: URL): object[] => {
    const offset = Number(url.searchParams.get('offset'))
    return people.slice(offset, offset + Number(url.searchParams.get('limit')))
  }
  const offset = (limit: number) => ({ type: 'offset', limit, total_path: null }) as const

  test.each<[string, (url: URL) => Answer, Resource['endpoint'], runs: number, wanted: number[]]>([
    [
      'a response action',
      url => (url.searchParams.get('offset') === '4' ? text('no more') : { json: rows(url).slice(0, 2) }),
      { paginator: offset(2), response_actions: [{ status_code: 400, content: 'no more', action: 'stop' }] },
      1,
      [0, 1, 2, 3],
    ],
    [
      'sizes of pages',
      url => (url.searchParams.get('limit') === '4' ? text('"too" much') : { json: rows(url) }),
      { paginator: offset(4), adapt_page_size: { when: [{ content: '"too" much' }] } },
      1,
      [0, 1, 2, 3, 4],
    ],
    [
      'a token that is no longer known',
      url => (url.searchParams.has('token') ? text('stale') : { json: { data: people, token: 't' } }),
      {
        data_selector: 'data',
        paginator: 'single_page',
        incremental: { token_path: 'token', token_param: 'token', token_expired: { body: 'stale' } },
      },
      2,
      [0, 1, 2, 3, 4],
    ],
  ])('is found for %s', async (_, answer, endpoint, runs, wanted) => {
    const api = await testApi(answer)
    const { folder, made } = await masked(api.origin, {
      endpoint,
      mask: { email: 'redact' },
      primary_key: 'id',
      write_disposition: 'merge',
    })
    for (let number = 1; number <= runs; number++) {
      const { rows } = await run(made, keeping)
      const ids = (await rows('people')).map(({ id }) => id)
      expect(ids).toEqual(wanted)
    }
    expect(await holding(folder, 'ann@x.org')).toEqual([])
  })

  test('is not shown in the words of the document', async () => {
    const api = await testApi(() => ({ status: 400, json: { error: { text: 'ann@x.org' } } }))
    const action = { status_code: 400, action: 'fail', message: 'refused: {error.text}' } as const
    const { made } = await masked(api.origin, { endpoint: { response_actions: [action] }, mask: { email: 'redact' } })
    await expect(run(made)).rejects.toThrow('people: refused: (not shown because of `mask`) (resources[0]')
  })
})

test('a format that the document declares, texts that mean null and maps of records', async () => {
  const csv = await bytesApi(() => ({ type: 'text/plain', body: 'id;email\n1;ann@x.org\n2;\n' }))
  const format = { type: 'csv', delimiter: ';' } as const
  const endpoint: Resource['endpoint'] = { paginator: 'single_page', format, null_values: [''] }
  const first = await masked(csv, { endpoint, mask: { email: 'redact' } })
  const { rows } = await run(first.made, keeping)
  expect(await rows('people')).toEqual([
    { id: '1', email: '***' },
    { id: '2', email: null },
  ])
  const api = await testApi(() => ({ json: { users: { a: { email: 'ann@x.org' }, b: { email: 'bob@x.org' } } } }))
  const map = { paginator: 'single_page', data_selector: 'users', key_column: 'id' } as const
  const second = await masked(api.origin, { endpoint: map, mask: { email: 'redact' } })
  expect(await (await run(second.made, keeping)).rows('people')).toEqual([
    { id: 'a', email: '***' },
    { id: 'b', email: '***' },
  ])
  const log = await testApi(() => ({ json: { added: [{ id: 1, email: { of: 'ann@x.org' } }], gone: [{ id: 2 }] } }))
  const lists = { paginator: 'single_page', data_selector: "['added', 'gone'][*]", key_column: 'change' } as const
  const third = await masked(log.origin, { endpoint: lists, mask: { email: 'redact' } })
  expect(await (await run(third.made, keeping)).rows('people')).toMatchObject([
    { change: 'added', id: 1, email: '***' },
    { change: 'gone', id: 2 },
  ])
  for (const { folder } of [first, second, third]) expect(await holding(folder, 'ann@')).toEqual([])
})

describe('what an API says of an export job', () => {
  const email = 'ann@x.org'
  const job = {
    handle_path: 'id',
    poll: { path: 'jobs/{handle}', status_path: 'state', done: ['done'], message_path: 'message' },
    download: { url_path: 'url' },
    cleanup: { path: 'jobs/{handle}' },
  }
  const people = { mask: { email: 'redact' }, endpoint: { method: 'POST', json: {}, job } } as const

  test('is masked at every depth', async () => {
    const requester = { email, name: 'Ann' }
    const api = await testApi(({ pathname }) => {
      if (pathname === '/people') return { json: { id: 7, requester } }
      if (pathname === '/jobs/7') return { json: { state: 'done', url: '/file', by: [{ requester }] } }
      return { json: [{ id: 1, email }] }
    })
    const { folder, made } = await masked(api.origin, people)
    expect(await (await run(made, keeping)).rows('people')).toEqual([{ id: 1, email: '***' }])
    expect(await holding(folder, email)).toEqual([])
    expect(await holding(folder, 'Ann')).not.toEqual([])
  })

  test('is not shown in errors', async () => {
    const api = await testApi(({ pathname }) =>
      pathname === '/people' ? { json: { id: 7 } } : { json: { state: 'failed', message: `${email} is unknown` } },
    )
    const { folder, made } = await masked(api.origin, people)
    const failure = run(made, keeping)
    await expect(failure).rejects.toThrow('the export job ended as "failed": with a text that is not shown')
    await expect(failure).rejects.not.toThrow(email)
    expect(await holding(folder, email)).toEqual([])
  })
})

test.each([
  [
    'a value beside the records',
    { items: [{ id: 1, phones: [{ number: 'mine' }] }], related: { phones: [{ number: '+3912' }] } },
  ],
  ['a list of values beside them', { items: [{ id: 1 }], related: { numbers: ['+3912'] } }],
  ['a list of values in one object', { id: 1, name: 'n', numbers: ['+3912'] }],
  ['one object', { id: 1, name: 'n', phones: [{ number: '+3912' }] }],
])('where nobody says which values are records, %s is masked', async (_, json) => {
  const api = await testApi(() => ({ json }))
  const { folder, made } = await masked(api.origin, {
    endpoint: { paginator: 'single_page' },
    mask: { 'phones.number': 'redact', numbers: 'redact' },
  })
  await run(made, keeping)
  expect(await holding(folder, '+3912')).toEqual([])
})

test.each([
  ['case', 'application/json', '[{"id":1,"email":"a","Email":"ann@x.org"}]', 'email'],
  ['signs', 'application/json', '[{"id":1,"E-mail":"ann@x.org","e_mail":"ann@x.org","eMail":"ann@x.org"}]', 'email'],
  ['letters of a column', 'application/json', '[{"id":1,"em@il":"ann@x.org","emails_":"ann@x.org"}]', 'emailsx'],
  ['blanks of CSV', 'text/csv', 'id, email\n1, ann@x.org\n', 'email'],
  ['a prefix of XML', 'application/xml', '<r><p id="1" x:email="ann@x.org" xmlns:x="u"/></r>', 'email'],
])('names are the same whatever their %s', async (_, type, body, path) => {
  const origin = await bytesApi(() => ({ type, body }))
  const { folder, made } = await masked(origin, {
    endpoint: { paginator: 'single_page', ...(type.endsWith('xml') && { data_selector: 'r.p' }) },
    mask: { [path]: 'redact', email: 'redact', 'em@il': 'redact' },
  })
  await run(made, keeping)
  expect(await holding(folder, 'ann@x.org')).toEqual([])
})

describe('a body that cannot be read', () => {
  const sheet = (cells: string): Promise<Buffer> =>
    zipOf({
      'xl/workbook.xml': '<workbook xmlns:r="r"><sheets><sheet name="S" r:id="a"/></sheets></workbook>',
      'xl/_rels/workbook.xml.rels': '<Relationships><Relationship Id="a" Target="worksheets/s.xml"/></Relationships>',
      'xl/worksheets/s.xml': `<worksheet><sheetData><row>${cells}</row></sheetData></worksheet>`,
    })

  test.each<[string, string, string | (() => Promise<Buffer>), object]>([
    ['JSON', 'application/json', '[{"id":1,"email":"ann@x.org"}, ann@x.org]', {}],
    ['a message in place of CSV', 'text/csv', 'nobody is called ann@x.org here', {}],
    ['a line of CSV', 'text/csv', 'id,email\n1,ann@x.org,3\n', {}],
    ['CSV without names', 'text/csv', 'ann@x.org,ann@x.org\n1,2\n', {}],
    ['XML', 'application/xml', '<r><email>&ann@x.org;</email></r>', { data_selector: 'r' }],
    ['a cell', 'application/zip', () => sheet('<c r="A1"><v>ann@x.org</v></c>'), { format: 'excel' }],
    ['the name of a file', 'application/zip', () => zipOf({ 'ann@x.org.json': '{}', 'b.json': '[]' }), {}],
    [
      'the name of a file that nobody wants',
      'application/zip',
      () => zipOf({ 'ann@x.org.json': '[]' }),
      { format: { type: 'json', entries: 'b.json' } },
    ],
  ])('is not shown in its error: %s', async (_, type, body, endpoint) => {
    const bytes = typeof body === 'string' ? body : await body()
    const origin = await bytesApi(() => ({ type, body: bytes }))
    const { folder, made } = await masked(origin, {
      endpoint: { paginator: 'single_page', ...endpoint },
      mask: { email: 'redact' },
    })
    const failure = run(made, keeping)
    await expect(failure).rejects.toThrow('cannot be read as JSON, so that nothing in it could be masked')
    await expect(failure).rejects.not.toThrow('ann@x.org')
    expect(await holding(folder, 'ann@x.org')).toEqual([])
  })
})

test('headers that nothing goes by are not kept, and those of paginators and totals still work', async () => {
  const told = {
    'x-user': 'ann@x.org',
    'set-cookie': 'user=ann@x.org',
    'content-disposition': 'attachment; filename="ann@x.org.json"',
    etag: '"ann@x.org"',
  }
  const api = await testApi(url => {
    const isLast = url.searchParams.get('cursor') === 'two'
    const headers = { ...told, 'X-Whole': '2', ...(!isLast && { 'X-Then': 'two' }) }
    return { json: [{ id: isLast ? 2 : 1, email: 'ann@x.org' }], headers }
  })
  const paginator = { type: 'header_cursor', cursor_key: 'X-Then', total_header: 'X-Whole' } as const
  const { folder, made } = await masked(api.origin, { endpoint: { paginator }, mask: { email: 'redact' } })
  const { rows } = await run(made, keeping)
  expect((await rows('people')).map(({ id }) => id)).toEqual([1, 2])
  expect(await holding(folder, 'ann@x.org')).toEqual([])
})

test('a list that is found as the records stays, although a path of the mask has its name', async () => {
  const api = await testApi(() => ({ json: { people: [{ id: 1, people: 'x' }] } }))
  const { made } = await masked(api.origin, { endpoint: { paginator: 'single_page' }, mask: { people: 'redact' } })
  expect(await (await run(made)).rows('people')).toEqual([{ id: 1, people: '***' }])
})

test('masked pages do not share the memory of their bodies, which later pages use again', async () => {
  const page = (number: number) =>
    JSON.stringify({ data: [{ id: number, text: String(number).repeat(50_000) }], total_pages: 6 })
  const origin = await bytesApi(({ url }) => ({
    type: 'application/json',
    body: `\ufeff${page(Number(/page=(\d+)/.exec(url)?.[1]))}`,
  }))
  const paginator = { type: 'page_number', base_page: 1, total_path: 'total_pages' } as const
  const { made } = await masked(origin, { endpoint: { data_selector: 'data', paginator }, mask: { email: 'redact' } })
  const { rows } = await run(made, { concurrency: 4 })
  expect((await rows('people')).map(({ id, text }) => text === String(id).repeat(50_000))).toEqual(Array(6).fill(true))
})

test('a path that leads to nothing is told, one of the defaults only if it leads to nothing anywhere', async () => {
  const api = await testApi(url => ({ json: [url.pathname === '/a' ? { id: 1, email: 'x' } : { id: 1 }] }))
  const { events } = await load({
    client: { base_url: api.origin, paginator: 'single_page' },
    resource_defaults: { mask: { email: 'redact', phone: 'redact' } },
    resources: [{ name: 'a', mask: { emial: 'drop' } }, 'b'],
  })
  const told = events.flatMap(event =>
    event.type === 'warning' && event.code === 'path_unmatched' ? [event.message] : [],
  )
  expect(told).toEqual([
    expect.stringMatching(/^resource_defaults\.mask\.phone: no record of a, b has anything there/),
    expect.stringMatching(/^resources\[0\]\.mask\.emial: no record of a has/),
  ])
})

test('records of a document and of a function are masked', async () => {
  const { rows } = await load({
    client: { base_url: '' },
    resource_defaults: { mask: { name: 'redact' } },
    resources: [
      { name: 'listed', records: [{ id: 1, name: 'Ann' }] },
      {
        name: 'made',
        *records() {
          yield { id: 1, name: 'Ann' }
        },
      },
    ],
  })
  expect(await rows('listed')).toEqual([{ id: 1, name: '***' }])
  expect(await rows('made')).toEqual([{ id: 1, name: '***' }])
})

describe('a mask that would break the run is refused', () => {
  const people = (keys: object, ...others: object[]): unknown => ({
    client: { base_url: 'https://api.example.com' },
    resources: [{ name: 'people', ...keys }, ...others],
  })
  const incremental = { cursor_path: 'seen.at', initial_value: 0 }
  test.each<[string, unknown, RegExp]>([
    ['no salt', people({ mask: { email: 'hash' } }), /resources\[0\].*mask_salt.*needs a secret salt/s],
    ['a short salt', people({ mask: { email: 'hash' }, mask_salt: secret('short') }), /shorter than 16 characters/],
    ['a salt as text', people({ mask: { email: 'hash' }, mask_salt: 'in the file' }), /mask_salt.*expected a secret/s],
    ['an unknown kind', people({ mask: { email: 'hsah' } }), /mask\.email.*hash/s],
    ['an index', people({ mask: { 'phones[0]': 'drop' } }), /would leave the others/],
    ['a path of the record itself', people({ mask: { $: 'drop' } }), /must end with the name/],
    ['the cursor', people({ mask: { 'seen.at': 'redact' }, endpoint: { incremental } }), /is the cursor/],
    ['around the cursor', people({ mask: { seen: 'hash' }, endpoint: { incremental } }), /is the cursor/],
    ['any depth', people({ mask: { '$..at': 'hash' }, endpoint: { incremental } }), /is the cursor/],
    ['a key in another spelling', people({ mask: { userID: 'drop' }, primary_key: 'user_id' }), /is part of a key/],
    ['a key', people({ mask: { id: 'last4' }, primary_key: 'id' }), /is part of a key/],
    ['a merge key', people({ mask: { day: 'redact' }, merge_key: ['day'] }), /is part of a key/],
    [
      'a typed column',
      people({ mask: { age: 'redact' }, columns: { age: { data_type: 'bigint' } } }),
      /declares as bigint/,
    ],
    [
      'what deletes',
      people({ mask: { gone: 'redact' }, columns: { gone: { hard_delete: true } } }),
      /decides which rows stay/,
    ],
    [
      'the next page',
      people({
        mask: { next: 'redact' },
        endpoint: { paginator: { type: 'json_link', next_url_path: 'paging.next' } },
      }),
      /the paginator goes by `paging\.next`/,
    ],
    [
      'a function',
      people({ mask: { email: 'redact' }, endpoint: { response_actions: [() => undefined] } }),
      /no mask sees/,
    ],
    [
      'what an action goes by',
      people({
        mask: { status: 'redact' },
        endpoint: { response_actions: [{ json_path: 'error.status', in: ['gone'], action: 'empty' }] },
      }),
      /response_actions\[0\] goes by `error\.status`/,
    ],
    [
      'what sizes of pages go by',
      people({
        mask: { error: 'drop' },
        endpoint: {
          paginator: { type: 'offset', limit: 5 },
          adapt_page_size: { when: [{ json_path: 'error', exists: true }] },
        },
      }),
      /adapt_page_size\.when goes by `error`/,
    ],
    [
      'a sync token',
      people({
        mask: { token: 'drop' },
        endpoint: { incremental: { token_path: 'sync.token', token_param: 'token' } },
      }),
      /`sync\.token` is the cursor/,
    ],
    [
      'the field that leads to the next page',
      people({
        mask: { id: 'hash' },
        mask_salt: secret('mask_salt'),
        endpoint: { paginator: { type: 'keyset', field: 'id', param: 'after', limit: 10 } },
      }),
      /the paginator goes by `id` \(`field`\)/,
    ],
    [
      'what an export job goes by',
      people({
        mask: { url: 'redact' },
        endpoint: {
          job: {
            handle_path: 'id',
            poll: { path: 'jobs/{handle}', done: [200] },
            download: { url_path: 'result.url' },
          },
        },
      }),
      /the export job goes by `result\.url` \(`url_path`\)/,
    ],
    [
      'lists of values',
      people({ mask: { a: 'drop' }, endpoint: { columns_from: ['a'] } }),
      /values in lists have no names/,
    ],
    [
      'names of members',
      people({
        mask: { id: 'hash' },
        mask_salt: secret('mask_salt'),
        endpoint: { data_selector: '$', key_column: 'id' },
      }),
      /cannot mask what `key_column` makes/,
    ],
    [
      'what a child asks with',
      people({ mask: { email: 'redact' } }, { name: 'of', endpoint: 'of/{resources.people.email}' }),
      /resources\[1\].*is masked by resources\[0\]\.mask\.email/s,
    ],
    [
      'a new name',
      people({ mask: { mail: 'redact' }, rename: { email: 'mail' } }),
      /new name of `email`.*write.*`email`/,
    ],
    [
      'below a new name',
      people({ mask: { 'contact.email': 'redact' }, rename: { person: 'contact' } }),
      /`contact` is the new name of `person`/,
    ],
    [
      'what an expression makes',
      people({ mask: { full: 'redact' }, add: { full: "record.first + ' ' + record['last name']" } }),
      /made by `add` after the mask; mask what it is made of, .*`first`/,
    ],
    [
      'a key by its new name',
      people({ mask: { email: 'last4' }, rename: { email: 'mail' }, primary_key: 'mail' }),
      /`mail` is part of a key/,
    ],
    [
      'a key that is a copy',
      people({ mask: { email: 'redact' }, add: { key: 'record.email' }, primary_key: 'key' }),
      /`key` is part of a key/,
    ],
    [
      'a cursor by its new name',
      people({
        mask: { at: 'redact' },
        rename: { at: 'changed' },
        endpoint: { incremental: { cursor_path: 'changed', initial_value: 0 } },
      }),
      /`changed` is the cursor/,
    ],
    [
      'a cursor that is made of it',
      people({
        mask: { 'seen.at': 'hash' },
        mask_salt: secret('mask_salt'),
        add: { day: "record.?seen.at.orValue('').split('T')[0]" },
        endpoint: { incremental: { cursor_path: 'day', initial_value: '2026-01-01' } },
      }),
      /`day` is the cursor/,
    ],
    [
      'a typed column by its new name',
      people({ mask: { age: 'redact' }, rename: { age: 'years' }, columns: { years: { data_type: 'bigint' } } }),
      /`years`, which `columns` declares as bigint/,
    ],
    [
      'the second of two columns',
      people({
        mask: { '$..at': 'redact' },
        columns: { 'one.at': { data_type: 'text' }, 'two.at': { data_type: 'timestamp' } },
      }),
      /`two\.at`, which `columns` declares as timestamp/,
    ],
    [
      'what a filter compares',
      people({ mask: { email: 'redact' }, filter: "record.email.endsWith('@example.com')" }),
      /resources\[0\]\.filter.*goes by `email`, which is masked by resources\[0\]\.mask\.email/s,
    ],
    [
      'what a filter looks for, and is dropped',
      people({ mask: { email: 'drop' }, filter: 'has(record.email)' }),
      /resources\[0\]\.filter.*goes by `email`/s,
    ],
    [
      'what a child asks with, by its new name',
      people(
        { mask: { email: 'redact' }, rename: { email: 'mail' } },
        { name: 'of', endpoint: 'of/{resources.people.mail}' },
      ),
      /resources\[1\].*is masked by resources\[0\]\.mask\.email/s,
    ],
    [
      'what a child copies',
      people(
        { mask: { email: 'drop' } },
        { name: 'of', endpoint: 'of/{resources.people.id}', include_from_parent: ['email'] },
      ),
      /is dropped by/,
    ],
  ])('%s', (_, document, message) => {
    const env = { SHORT: 'short', MASK_SALT }
    const error = failure(() => restApi(document as RestApiConfig, { env, cwd: tmpdir() }))
    expect(error?.message).toMatch(message)
  })
})

test('names are followed back to those of the API', async () => {
  const records = [
    { id: 1, email: 'ann@example.com', login: 'ann', age: 7 },
    { id: 2, email: null, login: 'bob', age: 8 },
  ]
  const server = await testApi(() => ({ json: records }))
  const { rows } = await load({
    client: { base_url: server.origin, paginator: 'single_page' },
    resources: [
      {
        name: 'people',
        // The key is the login, which nothing masks; the masked field has another name than it had.
        rename: { email: 'login', login: 'email' },
        add: { length: 'size(record.email)' },
        mask: { email: 'redact' },
        filter: 'has(record.email) && record.email != null',
        primary_key: 'email',
        columns: { length: { data_type: 'bigint' } },
        select: ['email', 'login', 'length'],
        endpoint: 'people',
      },
    ],
  } as RestApiConfig).catch((error: unknown) => ({ rows: () => error }))
  expect(await rows('people', 'email')).toEqual([{ email: 'ann', login: '***', length: 3 }])
})

function failure(make: () => unknown): ConfigError | undefined {
  try {
    make()
  } catch (error) {
    return error as ConfigError
  }
  return undefined
}

describe('maskBytes', () => {
  const mask = (
    record: string,
    rules: Record<string, 'hash' | 'redact' | 'drop' | 'last4'>,
    around = (text: string) => text,
  ): string => {
    const bytes = Buffer.from(around(`[${record}]`))
    const at = bytes.indexOf(`[${record}]`)
    const made = maskBytes(bytes, documentSpan(bytes), {
      rules: Object.entries(rules).map(([text, kind]) => ({ text, kind, ways: maskWays(text), path: text })),
      records: elements(bytes, at).map(({ start }) => start),
      hash: text => `#${text}`,
      met: () => {},
    })
    return Buffer.from(made).toString()
  }
  test.each<[string, Parameters<typeof mask>[1], string]>([
    ['{"a":"x"}', { a: 'hash' }, '[{"a":"#x"}]'],
    ['{"a":"\\u0078","\\u0061":"y"}', { a: 'hash' }, '[{"a":"#x","\\u0061":"#y"}]'],
    ['{"a":null,"b":1e400}', { a: 'redact', b: 'hash' }, '[{"a":null,"b":"#1e400"}]'],
    ['{"a":1.0,"b":1,"c":1e0}', { a: 'hash', b: 'hash', c: 'hash' }, '[{"a":"#1","b":"#1","c":"#1"}]'],
    ['{"a":12345678901234567890,"b":0.10}', { a: 'hash' }, '[{"a":"#12345678901234567890","b":0.10}]'],
    ['{"a":true,"b":{"z":1,"y":2}}', { '*': 'hash' }, '[{"a":"#true","b":"#{\\"y\\":2,\\"z\\":1}"}]'],
    ['{"a":1,"b":2,"c":3}', { a: 'drop' }, '[{"b":2,"c":3}]'],
    ['{"a":1,"b":2,"c":3}', { b: 'drop', c: 'drop' }, '[{"a":1}]'],
    ['{ "a" : 1 , "b" : 2 }', { a: 'drop', b: 'drop' }, '[{ }]'],
    ['{"a":{"b":1,"c":2},"d":3}', { 'a.b': 'drop', d: 'drop' }, '[{"a":{"c":2}}]'],
    ['{"a":[{"b":1},[{"b":2}]]}', { 'a.b': 'redact' }, '[{"a":[{"b":"***"},[{"b":"***"}]]}]'],
    ['{"a":["x",["y"],null]}', { a: 'hash' }, '[{"a":["#x",["#y"],null]}]'],
    ['{"a":{"b":{"c":"x"}},"c":"y"}', { '$..c': 'redact' }, '[{"a":{"b":{"c":"***"}},"c":"***"}]'],
    ['{"a.b":"x","a":{"b":"y"}}', { 'a.b': 'redact' }, '[{"a.b":"***","a":{"b":"***"}}]'],
    ['{"E-mail address":"x"}', { 'E-mail address': 'redact' }, '[{"E-mail address":"***"}]'],
    ['{"__proto__":"x"}', { __proto__x: 'redact', ['__proto__']: 'redact' }, '[{"__proto__":"***"}]'],
    ['{"a":"x","b":{"a":"y"}}', { a: 'redact' }, '[{"a":"***","b":{"a":"y"}}]'],
    ['{"a":"12345678"}', { a: 'last4' }, '[{"a":"***5678"}]'],
    [
      '{"a":"1234567","b":"💶💶💶💶💶💶💶\\"","c":{"d":"123456789"}}',
      { a: 'last4', b: 'last4', c: 'last4' },
      '[{"a":"***","b":"***💶💶💶\\"","c":"***"}]',
    ],
    ['{"a":"x"}', { a: 'last4', '*': 'drop' }, '[{}]'],
    ['7,"x",{"a":1}', { a: 'redact' }, '[7,"x",{"a":"***"}]'],
  ])('%s with %o', (record, rules, expected) => {
    expect(mask(record, rules)).toBe(expected)
  })

  test('beside the records a path holds at every depth, but never takes the records away', () => {
    const made = mask(
      '{"data":"x","b":{"data":"y"}}',
      { data: 'redact' },
      text => `{"data":${text},"more":[{"deep":{"data":"z"}}]}`,
    )
    expect(made).toBe('{"data":[{"data":"***","b":{"data":"y"}}],"more":[{"deep":{"data":"***"}}]}')
  })

  test('paths with several `$..` are as quick in a deep answer as others', () => {
    const members = Array.from({ length: 2000 }, (_, index) => `"m${index}":1`).join(',')
    const deep = `${'{"a":'.repeat(900)}{${members},"ssn":"x"}${'}'.repeat(900)}`
    expect(mask(deep, { '$..a..a..a..ssn': 'redact' })).toBe(`[${deep.replace('"x"', '"***"')}]`)
  })
})
