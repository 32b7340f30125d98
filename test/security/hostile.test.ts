import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { restApiFrom } from '../../src/config/restApi.js'
import { duckdb } from '../../src/destinations/duckdb/duckdb.js'
import { SluiceError } from '../../src/model/errors.js'
import type { Clock } from '../../src/model/source.js'
import { type Pipeline, pipeline } from '../../src/pipeline/pipeline.js'
import type { Transport, TransportRequest, TransportResponse } from '../../src/rest/api.js'
import fc from '../properties.js'
import { life } from '../reliability/simulation/life.js'
import { memoryDestination } from '../reliability/simulation/memoryDestination.js'

/** An API that means harm, as far as it can: whatever it sends ends in data or in one error, soon. */
let home: string
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'sluice-hostile-'))
})
afterEach(async () => {
  await rm(home, { recursive: true, force: true })
})

type Answer = (
  request: TransportRequest,
  number: number,
) => Partial<Omit<TransportResponse, 'body'>> & { body: unknown }

function hostile(
  answer: Answer,
  endpoint: object = {},
  more: { readonly memory?: boolean; readonly names?: object; readonly clock?: Clock } = {},
): { readonly run: Pipeline['run']; readonly pipeline: Pipeline; readonly urls: readonly string[] } {
  const urls: string[] = []
  const transport: Transport = async request => {
    urls.push(request.url)
    const { status = 200, headers = {}, body } = answer(request, urls.length)
    const content =
      body instanceof Uint8Array ? body : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
    return {
      status,
      headers: { 'content-type': 'application/json', ...headers },
      body: (async function* () {
        if (content.length > 0) yield content
      })(),
    }
  }
  const document = {
    client: { base_url: 'https://api.example.com/', transport },
    resources: [
      { name: 'things', endpoint: { path: 'things', retry: { attempts: 2, base: 0.001 }, ...endpoint }, ...more.names },
    ],
  }
  const made = pipeline({
    name: 'hostile',
    source: restApiFrom(document, { env: {}, cwd: home, warn: () => {} }),
    destination: more.memory === true ? memoryDestination().of(life()) : duckdb(join(home, 'hostile.duckdb')),
    home: join(home, 'work'),
    clock: more.clock,
  })
  return { run: options => made.run(options), pipeline: made, urls }
}

const list = { data_selector: 'records', paginator: 'single_page' }

describe('lists that would not end', () => {
  const record = { id: 1 }
  const cases: readonly (readonly [name: string, endpoint: object, answer: Answer, most: number])[] = [
    [
      'a cursor that repeats',
      { data_selector: 'records', paginator: { type: 'cursor', cursor_path: 'next' } },
      (_request, n) => ({ body: { records: [{ id: n }], next: n % 3 === 0 ? 'a' : n % 3 === 1 ? 'b' : 'c' } }),
      6,
    ],
    [
      'a link to itself',
      { data_selector: 'records', paginator: { type: 'json_link', next_url_path: 'next' } },
      ({ url }, n) => ({ body: { records: [{ id: n }], next: url } }),
      2,
    ],
    [
      'cursors without end and equal pages',
      { data_selector: 'records', paginator: { type: 'cursor', cursor_path: 'next' } },
      (_request, n) => ({ body: `{"records":[{"id":1}],"next":"c"}`.replace('"c"', `"c${n > 1 ? 2 : 1}"`) }),
      5,
    ],
    [
      'has_more without a cursor',
      { data_selector: 'records', paginator: { type: 'cursor', cursor_path: 'next', has_more_path: 'more' } },
      () => ({ body: { records: [record], more: true } }),
      1,
    ],
    [
      'empty pages for ever',
      { data_selector: 'records', paginator: { type: 'cursor', cursor_path: 'next' } },
      (_request, n) => ({ body: { records: [], next: `c${n}` } }),
      1000,
    ],
    [
      'a page number that is ignored',
      { data_selector: 'records', paginator: { type: 'page_number', total_path: null } },
      () => ({ body: { records: [record] } }),
      5,
    ],
  ]
  it.each(cases)('%s ends with an error that shows the request', async (_name, endpoint, answer, most) => {
    const { run, urls } = hostile(answer, endpoint, { memory: true })
    await expect(run({ concurrency: 1 })).rejects.toMatchObject({
      code: 'pagination_loop',
      message: expect.stringContaining('https://api.example.com/things'),
    })
    expect(urls.length).toBeLessThanOrEqual(most)
  })

  it.each([
    ['max_pages', { max_pages: 7 }],
    ['max_records', { max_records: 7 }],
    // Every page takes ten seconds.
    ['max_seconds', { max_seconds: 61 }],
  ])('a total that grows for ever is capped by %s', async (name, cap) => {
    const endpoint = { data_selector: 'records', paginator: { type: 'offset', limit: 1, total_path: 'total' }, ...cap }
    let now = 0
    const clock: Clock = { now: () => now, random: () => 0.5, sleep: async () => {} }
    const answer: Answer = (_request, n) => {
      now += 10_000
      return { body: { records: [{ id: n }], total: n + 5 } }
    }
    const { run, urls } = hostile(answer, endpoint, { memory: true, clock })
    const { receipts } = await run({ concurrency: 1 })
    expect(urls).toHaveLength(7)
    expect(receipts[0]).toMatchObject({ verdict: 'unproven', reasons: [`${name} is ${Object.values(cap)[0]}`] })
  })

  it('is stopped by a signal, as for a limit of time', async () => {
    const endpoint = { data_selector: 'records', paginator: { type: 'offset', limit: 1, total_path: 'total' } }
    const abort = new AbortController()
    const { run } = hostile(
      (_request, n) => {
        if (n === 20) abort.abort(new Error('out of time'))
        return { body: { records: [{ id: n }], total: n + 5 } }
      },
      endpoint,
      { memory: true },
    )
    await expect(run({ signal: abort.signal })).rejects.toThrow()
  })
})

describe('bodies', () => {
  it.each([
    ['100,000 open brackets', '['.repeat(100_000)],
    ['100,000 nested lists', `{"records":[{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}]}`],
    ['100,000 nested objects', `{"records":[{"a":${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}}]}`],
    ['a number of a million digits', `{"records":[{"a":${'9'.repeat(1_000_000)}}]}`],
    ['an exponent without end', '{"records":[{"a":1e999999999999}]}'],
    [
      'a text that is no UTF-8',
      Buffer.concat([Buffer.from('{"records":[{"a":"'), Buffer.from([0xff, 0xc0, 0x80]), Buffer.from('"}]}')]),
    ],
    ['lone surrogates and U+0000', '{"records":[{"a":"\\ud800","b":"\\u0000","\\u0000":1,"\\udfff":2}]}'],
    ['nothing but commas', '{"records":[,,,,]}'],
    ['a bomb', gzipSync(Buffer.alloc(64))],
  ])('%s: data or one error, soon', { timeout: 20_000 }, async (_name, body) => {
    const { run } = hostile(() => ({ body }), list)
    const end = await run().catch((error: unknown) => error)
    if (end instanceof Error) expect(end, String(end)).toBeInstanceOf(SluiceError)
  })

  it('a body that unpacks to more than 1 GiB is refused without being unpacked', { timeout: 60_000 }, async () => {
    const mebibyte = gzipSync(Buffer.alloc(2 ** 20, 32))
    const bomb = Buffer.concat(Array.from({ length: 1100 }, () => mebibyte))
    const { run } = hostile(() => ({ body: bomb, headers: { 'content-encoding': 'gzip' } }), list, { memory: true })
    await expect(run()).rejects.toMatchObject({ code: 'response_too_large' })
  })
})

describe('names and values', () => {
  const keys = [
    '__proto__',
    'constructor',
    'toString',
    'id"; DROP TABLE things; --',
    "x'); DELETE FROM _dlt_loads; --",
    '$1',
    '../../../etc/passwd',
    '\u001b[2J\u0007',
    'a\u0000b',
    '',
    ' ',
    '💣'.repeat(100),
    'select',
    '_dlt_id',
  ]
  it('are data and never code', async () => {
    const record = Object.fromEntries([['id', 1], ...keys.map(key => [key, key] as const)])
    const text = `{"records":[{"id":1,${keys.map(key => `${JSON.stringify(key)}:${JSON.stringify(key)}`).join(',')}},{"id":2,"__proto__":{"polluted":true,"list":[{"__proto__":"x"}]}}]}`
    expect(Object.keys(record).length).toBeGreaterThan(keys.length)
    const { run, pipeline: made } = hostile(() => ({ body: text }), list, {
      names: { write_disposition: 'merge', primary_key: 'id' },
    })
    await run()
    await run()
    expect(await made.dataset().table('things').count()).toBe(2)
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined()
    const [row] = await made.dataset().table('things').where('id', '=', 1n).rows()
    const values = Object.values(row ?? {})
    for (const value of ["x'); DELETE FROM _dlt_loads; --", 'id"; DROP TABLE things; --', '../../../etc/passwd']) {
      expect(values).toContain(value)
    }
  })

  it.each([
    '../../escaped',
    '..',
    '.',
    '/etc/escaped',
    'a\\..\\..\\b',
    'x"; DROP SCHEMA main; --',
    "'; ATTACH 'evil.duckdb'; --",
    'CON',
    'name\nwith\nlines',
  ])('%j as a name of pipeline, dataset, resource and table stays in its folder', async name => {
    const transport: Transport = async () => ({
      status: 200,
      headers: {},
      body: (async function* () {
        yield Buffer.from('[{"id":1,"list":[{"a":1}]}]')
      })(),
    })
    const root = join(home, 'a', 'b')
    const end = await (async () => {
      const source = restApiFrom(
        {
          client: { base_url: 'https://api.example.com/', transport },
          resources: [{ name, table_name: name, endpoint: { path: 'x', paginator: 'single_page' } }],
        },
        { env: {}, cwd: home, warn: () => {}, name: 'source' },
      )
      return await pipeline({
        name,
        dataset: name,
        source,
        destination: duckdb(join(home, 'names.duckdb')),
        home: root,
      }).run({ keepJournal: true })
    })().catch((error: unknown) => error)
    if (end instanceof Error) expect(end, String(end)).toBeInstanceOf(SluiceError)
    const outside = (await readdir(home, { recursive: true })).filter(
      path => !/^(a|a.b(.[^/]+)*|a.b.*|names\.duckdb.*)$/.test(path),
    )
    expect(outside).toEqual([])
    expect(await readdir(join(home, 'a'))).toEqual(['b'])
    // One folder for the pipeline, not the root itself.
    expect((await readdir(root)).includes('lock.json')).toBe(false)
    expect((await readdir(root)).includes('loads')).toBe(false)
  })
})

describe('links', () => {
  it.each([
    'http://127.0.0.1:8080/admin',
    'http://localhost/admin',
    'http://169.254.169.254/latest/meta-data/',
    'http://metadata.google.internal/computeMetadata/v1/',
    'http://[::1]/',
    'http://[::ffff:127.0.0.1]/',
    'http://2130706433/',
    'http://0x7f.1/',
    'https://10.0.0.7/',
    'http://api.example.com/things?page=2',
    'file:///etc/passwd',
    'ftp://example.com/x',
    'gopher://example.com/x',
    'data:application/json,[]',
    'javascript:alert(1)',
  ])('to %s is not followed', async url => {
    const { run, urls } = hostile(
      () => ({ body: { records: [{ id: 1 }], next: url } }),
      { data_selector: 'records', paginator: { type: 'json_link', next_url_path: 'next' } },
      { memory: true },
    )
    await expect(run()).rejects.toMatchObject({ code: 'forbidden_url' })
    expect(urls).toEqual(['https://api.example.com/things'])
  })
})

describe('values in paths', () => {
  const children = (path: string, value: string): { readonly run: () => Promise<unknown>; readonly urls: string[] } => {
    const urls: string[] = []
    const transport: Transport = async ({ url }) => {
      urls.push(url)
      return {
        status: 200,
        headers: { 'content-type': 'application/json' },
        body: (async function* () {
          yield Buffer.from(JSON.stringify([{ v: value }]))
        })(),
      }
    }
    const source = restApiFrom(
      {
        client: { base_url: 'https://api.example.com/v1', transport },
        resources: [
          { name: 'parents', endpoint: { path: 'parents', paginator: 'single_page' } },
          { name: 'things', endpoint: { path, paginator: 'single_page' } },
        ],
      },
      { env: {}, cwd: home, warn: () => {} },
    )
    const destination = memoryDestination().of(life())
    const made = pipeline({ name: 'hostile', source, destination, home: join(home, 'work') })
    return { run: () => made.run(), urls }
  }
  /** What a server reads, and one behind it that decodes again. */
  const readings = (path: string): string[] => {
    const once = path.replace(/%[\da-f]{2}/gi, code => unescape(code))
    return [path, once, once.replace(/%[\da-f]{2}/gi, code => unescape(code))]
  }

  it('change neither host nor query and climb nowhere, whatever they are', { timeout: 60_000 }, async () => {
    const piece = fc.constantFrom(
      ...['.', '..', '/', '//', '\\', '%2e', '%2E', '%2f', '%5c', '%25', '%00', '%', '?', '#', '&', '=', '@', ':', ';'],
      ...['http:', 'https://', 'evil.example', 'admin', 'a', ' ', '\t', '\n', '\r', 'ü', '\u3002', '\ud800', '*'],
    )
    const value = fc.oneof(
      fc.array(piece, { maxLength: 8 }).map(pieces => pieces.join('')),
      fc.string({ unit: 'binary' }),
    )
    const path = fc.constantFrom('of/{resources.parents.v}', 'of/{resources.parents.v}/x', 'of/a{resources.parents.v}')
    await fc.assert(
      fc.asyncProperty(path, value, async (template, v) => {
        const { run, urls } = children(template, v)
        await run().catch((error: unknown) => {
          if (!(error instanceof SluiceError)) throw error
        })
        expect(urls[0]).toBe('https://api.example.com/v1/parents')
        for (const url of urls.slice(1)) {
          const read = new URL(url)
          expect([read.origin, read.search, read.hash, read.username]).toEqual(['https://api.example.com', '', '', ''])
          expect(read.pathname).toMatch(/^\/v1\/of\//)
          for (const reading of readings(url.slice('https://api.example.com'.length))) {
            expect(reading.split(/[/\\]/).filter(segment => segment === '.' || segment === '..')).toEqual([])
          }
        }
      }),
      { numRuns: 400 },
    )
  })

  it.each(['dlt-hub/dlt', 'group%2Fproject', '/v1/series/9', 'a b'])('reach what they name: %s', async value => {
    const { run, urls } = children('of/{resources.parents.v}/x', value)
    await run()
    const path = value.replace(/^\//, '').replace(' ', '%20')
    expect(urls[1]).toBe(`https://api.example.com/v1/of/${path}/x`)
  })
})

describe('anything at all', () => {
  const settled = async (work: () => Promise<unknown>): Promise<void> => {
    const end = await work().catch((error: unknown) => error)
    if (end instanceof Error && !(end instanceof SluiceError)) throw end
  }

  it('as a body ends in data or a clear error', { timeout: 60_000 }, async () => {
    const bodies = fc.oneof(
      fc.json({ maxDepth: 6 }),
      fc.json().map(text => `{"records":[${text}],"next":${text}}`),
      fc.string({ unit: 'binary' }),
      fc.json().chain(text => fc.nat(text.length).map(at => text.slice(0, at))),
    )
    await fc.assert(
      fc.asyncProperty(
        bodies,
        fc.constantFrom('auto', 'cursor', 'json_link', 'single_page'),
        async (body, paginator) => {
          const { run } = hostile(() => ({ body }), paginator === 'auto' ? {} : { paginator, max_pages: 5 })
          await settled(() => run({ allowIncomplete: true, maxPages: 5 }))
        },
      ),
      { numRuns: 25 },
    )
  })

  it('as headers ends in data or a clear error', { timeout: 60_000 }, async () => {
    const names = fc.constantFrom(
      'link',
      'location',
      'retry-after',
      'content-type',
      'content-encoding',
      'content-length',
      'ratelimit',
      'x-ratelimit-remaining',
      'x-ratelimit-reset',
      'date',
    )
    const values = fc.oneof(
      fc.string(),
      fc.constantFrom(
        '0',
        '-1',
        '1e3',
        '<x>; rel="next"',
        '<http://[>; rel=next',
        'gzip, br, zip',
        'text/csv',
        '\u0000',
      ),
    )
    const statuses = fc.constantFrom(200, 201, 204, 206, 301, 302, 304, 308, 400, 404, 500, 999)
    await fc.assert(
      fc.asyncProperty(fc.dictionary(names, values), statuses, async (headers, status) => {
        delete headers['retry-after']
        const { run } = hostile(() => ({ body: [{ id: 1 }], headers, status }), { max_pages: 3 }, { memory: true })
        await settled(() => run({ allowIncomplete: true }))
      }),
      { numRuns: 60 },
    )
  })

  it('as a document ends in a source or a ConfigError', () => {
    const keys = fc.constantFrom(
      'client',
      'base_url',
      'auth',
      'paginator',
      'resources',
      'resource_defaults',
      'endpoint',
      'path',
      'params',
      'type',
      'name',
      'incremental',
      '__proto__',
      'headers',
    )
    const { value } = fc.letrec(tie => ({
      value: fc.oneof(
        { maxDepth: 5 },
        fc.constantFrom<unknown>(
          'bearer',
          'cursor',
          'x',
          'https://a.example/',
          '{resources.a.b}',
          '${X}',
          1,
          null,
          true,
          '',
        ),
        fc.array(tie('value'), { maxLength: 3 }),
        fc.dictionary(keys, tie('value'), { maxKeys: 6 }),
      ),
    }))
    fc.assert(
      fc.property(value, document => {
        try {
          restApiFrom(document, { env: {}, cwd: home, warn: () => {} })
        } catch (error) {
          if (!(error instanceof SluiceError)) throw error
        }
      }),
      { numRuns: 2000 },
    )
  })
})
