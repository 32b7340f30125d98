import { describe, expect, test } from 'vitest'
import type { RestApiConfig, Verdict } from '../../src/index.js'
import { waitAskedMs } from '../../src/rest/http/answerCondition.js'
import type { Answer } from './listServer.js'
import { load, prepared, quickRetry, run, testApi } from './loading.js'

/** Conditions on bodies, and what may follow from them: through the public door and into tables. */

const paginator = { type: 'page_number', base_page: 1, total_path: null }

function things(origin: string, endpoint: object, more: object = {}, client: object = {}): RestApiConfig {
  return {
    client: { base_url: origin, retry: quickRetry, ...client },
    resources: [{ name: 'things', endpoint: { paginator, ...endpoint }, ...more }],
  } as RestApiConfig
}

/** Pages 1 to 3 with a record each, then an empty one. Page 2 is first answered by these, in their order. */
async function pagesWith(...second: readonly Answer[]) {
  const left = [...second]
  return testApi(url => {
    const page = Number(url.searchParams.get('page'))
    const odd = page === 2 ? left.shift() : undefined
    return odd ?? { json: { data: page < 4 ? [{ id: page }] : [] } }
  })
}

const busy: Answer = { json: { data: [], status: { code: 42, text: 'Busy' } } }

describe('a condition on a value of the body', () => {
  test.each<[string, object, Answer, boolean]>([
    ['equals a number', { json_path: 'status.code', equals: 42 }, busy, true],
    ['equals the digits of a number', { json_path: 'status.code', equals: '42' }, busy, true],
    ['equals another number', { json_path: 'status.code', equals: 4 }, busy, false],
    ['equals a text, with its case', { json_path: 'status.text', equals: 'busy' }, busy, false],
    ['equals an object', { json_path: 'status', equals: '[object Object]' }, busy, false],
    ['is in a list', { json_path: 'status.text', in: ['Late', 'Busy'] }, busy, true],
    ['is in no list', { json_path: 'status.text', in: ['Late'] }, busy, false],
    [
      'one of several',
      { json_path: 'errors[*].code', equals: 'b' },
      { json: { errors: [{ code: 'a' }, { code: 'b' }], data: [] } },
      true,
    ],
    ['exists', { json_path: 'status' }, busy, true],
    ['is null', { json_path: 'status', exists: true }, { json: { status: null, data: [{ id: 2 }] } }, false],
    ['does not exist', { json_path: 'data', exists: false }, { json: { state: 'queued' } }, true],
    [
      'a digit more than JavaScript keeps',
      { json_path: 'n', equals: '9007199254740993' },
      { text: '{"n":9007199254740993,"data":[]}' },
      true,
    ],
    ['and a status', { json_path: 'status', status_code: 500 }, busy, false],
    [
      'of an answer with an error status',
      { json_path: 'error', equals: 'wait' },
      { status: 418, json: { error: 'wait' } },
      true,
    ],
    [
      'of a body that is no JSON',
      { json_path: 'data', exists: false, status_code: 418 },
      { status: 418, text: '<html>' },
      false,
    ],
    ['of an empty body', { json_path: 'data', exists: false, status_code: 418 }, { status: 418, text: '' }, false],
    ['and a text', { json_path: 'status', content: 'Busy' }, busy, true],
  ])('%s', async (_name, condition, answer, isMet) => {
    const api = await pagesWith(answer)
    const document = things(api.origin, {
      data_selector: 'data',
      response_actions: [{ ...condition, action: 'retry' }],
    })
    await load(document, { allowIncomplete: true }).catch(() => undefined)
    expect(api.asked.filter(request => request.includes('page=2'))).toHaveLength(isMet ? 2 : 1)
  })

  test.each<[string, object, RegExp]>([
    ['no path', { equals: 1, action: 'fail' }, /response_actions\[0\]\.equals: needs `json_path`/],
    [
      'two tests',
      { json_path: 'a', equals: 1, exists: true, action: 'fail' },
      /\.exists: cannot be combined with `equals`/,
    ],
    ['an empty list', { json_path: 'a', in: [], action: 'fail' }, /\.in: must have at least 1 entry/],
    ['no JSONPath', { json_path: 'a[', action: 'fail' }, /\.json_path: is not a JSONPath/],
    ['a near miss', { json_pth: 'a', action: 'fail' }, /json_pth.*json_path/s],
    [
      'a message of another action',
      { json_path: 'a', action: 'stop', message: 'x' },
      /\.message: needs `action: fail`/,
    ],
    [
      'a wait of another action',
      { json_path: 'a', action: 'stop', wait_from: { header: 'x' } },
      /\.wait_from: needs `action: retry`/,
    ],
    [
      'a proof of another action',
      { json_path: 'a', action: 'skip_page', proves_end: true },
      /\.proves_end: needs `action: empty`/,
    ],
    [
      'two places of a wait',
      { json_path: 'a', action: 'retry', wait_from: { header: 'x', json_path: 'y' } },
      /needs one of `header` and `json_path`/,
    ],
    ['a message with no path', { json_path: 'a', action: 'fail', message: 'x {a[}' }, /\.message: is not a JSONPath/],
    ['a reset without a key', { json_path: 'a', action: 'reset_pagination' }, /\.action: needs `primary_key`/],
  ])('%s is refused', async (_name, action, message) => {
    await expect(prepared(things('http://127.0.0.1:9', { response_actions: [action] }))).rejects.toThrow(message)
  })
})

describe('retry', () => {
  const now = Date.parse('2026-11-28T00:00:00Z')

  test.each<[string, 'seconds' | 'milliseconds' | 'date', unknown, number | undefined]>([
    ['seconds', 'seconds', 1.5, 1500],
    ['seconds as text', 'seconds', ' 2 ', 2000],
    ['milliseconds', 'milliseconds', 250, 250],
    ['a date', 'date', '2026-11-28T00:00:10Z', 10_000],
    ['a moment in seconds', 'date', now / 1000 + 5, 5000],
    ['a date that is over', 'date', '2020-01-01T00:00:00Z', undefined],
    ['no time', 'seconds', 0, undefined],
    ['less than none', 'seconds', -5, undefined],
    ['a word', 'seconds', 'soon', undefined],
    ['an object', 'seconds', { s: 1 }, undefined],
    ['null', 'seconds', null, undefined],
    ['nothing', 'seconds', undefined, undefined],
    ['more than a number holds', 'milliseconds', '1e400', Number.POSITIVE_INFINITY],
  ])('waits for %s', (_name, unit, value, expected) => {
    const response = {
      status: 200,
      headers: {},
      body: Buffer.from(JSON.stringify({ wait: value })),
      url: '',
      fromJournal: false,
    }
    expect(waitAskedMs({ in: 'body', at: 'wait', unit }, response, now)).toBe(expected)
  })

  test.each<[string, object, Answer]>([
    ['a value of the body', { json_path: 'retry_ms', unit: 'milliseconds' }, { json: { error: 'slow', retry_ms: 7 } }],
    ['a header', { header: 'X-Wait', unit: 'milliseconds' }, { json: { error: 'slow' }, headers: { 'x-wait': '7' } }],
  ])('waits as %s says', async (_name, wait_from, answer) => {
    const api = await pagesWith(answer)
    const action = { json_path: 'error', action: 'retry', wait_from }
    const { result, events } = await load(things(api.origin, { data_selector: 'data', response_actions: [action] }))
    expect(events).toContainEqual(expect.objectContaining({ type: 'retry', delayMs: 7 }))
    expect(result.rows).toEqual({ things: 3 })
    expect(result.receipts[0]?.verdict).toBe('complete')
  })

  test('refuses to wait longer than max_wait', async () => {
    const api = await pagesWith({ json: { error: 'slow', retry_after: 86_400 } })
    const action = { json_path: 'error', action: 'retry', wait_from: { json_path: 'retry_after' } }
    const failing = load(things(api.origin, { data_selector: 'data', response_actions: [action] }))
    await expect(failing).rejects.toMatchObject({ code: 'rate_limit' })
  })

  test('by conditions of the client, with a wait', async () => {
    const api = await pagesWith({ status: 418, json: { error: { code: 'slow', ms: 3 } } })
    const retry = {
      ...quickRetry,
      when: [{ json_path: 'error.code', equals: 'slow' }],
      wait_from: { json_path: 'error.ms', unit: 'milliseconds' },
    }
    const { result, events } = await load(things(api.origin, { data_selector: 'data' }, {}, { retry }))
    expect(events).toContainEqual(expect.objectContaining({ type: 'retry', delayMs: 3 }))
    expect(result.rows).toEqual({ things: 3 })
  })

  test.each<[string, object]>([
    ['when', { when: [{ json_path: 'state', equals: 'queued' }] }],
    ['body_contains', { body_contains: 'queued' }],
  ])('an answer that `%s` still refuses fails, and the next run asks again', async (key, more) => {
    let isReady = false
    const api = await testApi(() => ({ json: isReady ? { data: [{ id: 1 }] } : { data: [], state: 'queued' } }))
    const retry = { ...quickRetry, attempts: 2, ...more }
    const made = await prepared(things(api.origin, { data_selector: 'data', paginator: 'single_page', retry }))
    await expect(run(made)).rejects.toThrow(`as \`retry.${key}\` says, did not help`)
    isReady = true
    expect((await run(made)).result.rows).toEqual({ things: 1 })
    expect(api.asked).toHaveLength(3)
  })
})

describe('fail', () => {
  test('tells the error in the words of the document and of the body, on one line and without secrets', async () => {
    const api = await pagesWith({ json: { data: [], error: { code: 7, text: 'no\nright for s3cret-token' } } })
    const action = {
      json_path: 'error',
      action: 'fail',
      message: 'the report failed: {error.text} ({error.code}, {error.why})',
    }
    const auth = { type: 'bearer', token: 's3cret-token' }
    const failing = load(things(api.origin, { data_selector: 'data', response_actions: [action] }, {}, { auth }))
    await expect(failing).rejects.toMatchObject({
      code: 'http_status',
      message: expect.stringMatching(
        /^things: the report failed: no right for \*\*\* \(7, \(nothing at error\.why\)\) \(resources\[0\]\.endpoint\.response_actions\[0\]; GET .*page=2 was answered 200\)$/,
      ),
    })
  })

  test('the next run asks again for an answer that failed', async () => {
    const api = await pagesWith({ json: { data: [], error: 'quota' } })
    const action = { json_path: 'error', action: 'fail' }
    const made = await prepared(things(api.origin, { data_selector: 'data', response_actions: [action] }))
    await expect(run(made)).rejects.toThrow('response_actions[0] makes it an error')
    expect((await run(made)).result.rows).toEqual({ things: 3 })
    expect(api.asked.filter(request => request.endsWith('page=1'))).toHaveLength(1)
  })
})

describe('the verdict after', () => {
  const over: Answer = { json: { error: 'no more pages' } }
  test.each<[string, object, Answer, number[], Verdict]>([
    ['empty', { action: 'empty' }, over, [1], 'unproven'],
    ['empty that proves the end', { action: 'empty', proves_end: true }, over, [1], 'complete'],
    [
      'empty that would prove the end, with records',
      { action: 'empty', proves_end: true },
      { json: { error: 'last', data: [{ id: 2 }] } },
      [1],
      'unproven',
    ],
    ['stop', { action: 'stop' }, over, [1], 'unproven'],
    ['stop that proves the end', { action: 'stop', proves_end: true }, over, [1], 'complete'],
    ['stop with records', { action: 'stop' }, { json: { error: 'x', data: [{ id: 2 }] } }, [1, 2], 'unproven'],
    [
      'stop with records and an error',
      { action: 'stop', proves_end: true },
      { json: { error: 'x', data: [{ id: 2 }] } },
      [1, 2],
      'unproven',
    ],
    [
      'stop against a total',
      { action: 'stop', proves_end: true },
      { json: { error: 0.5, data: [{ id: 2 }], total: 9 } },
      [1, 2],
      'unproven',
    ],
    ['ignore', { action: 'ignore' }, over, [1], 'unproven'],
    ['skip_page', { action: 'skip_page' }, over, [1, 3], 'unproven'],
  ])('%s', async (_name, action, second, expected, verdict) => {
    const api = await pagesWith(second)
    const { rows, result } = await load(
      things(api.origin, { data_selector: 'data', response_actions: [{ json_path: 'error', ...action }] }),
    )
    expect((await rows('things')).map(({ id }) => id)).toEqual(expected)
    expect(result.receipts[0]?.verdict).toBe(verdict)
  })
})

describe('refresh_auth', () => {
  const auth = (origin: string) => ({
    type: 'oauth2_client_credentials',
    access_token_url: `${origin}/token`,
    client_id: 'me',
    client_secret: 'hush-hush',
  })
  const action = { json_path: 'error.code', equals: 'token_expired', action: 'refresh_auth' }

  test('fetches a token once and asks again', async () => {
    let tokens = 0
    const api = await testApi((url, { headers }) => {
      if (url.pathname === '/token') return { json: { access_token: `token-${++tokens}`, expires_in: 3600 } }
      if (headers.authorization !== 'Bearer token-2') return { json: { error: { code: 'token_expired' } } }
      return { json: { data: [{ id: 1 }] } }
    })
    const { result } = await load(
      things(
        api.origin,
        { data_selector: 'data', paginator: 'single_page', response_actions: [action] },
        {},
        { auth: auth(api.origin) },
      ),
    )
    expect(result.rows).toEqual({ things: 1 })
    expect(tokens).toBe(2)
  })

  test.each<[string, object | undefined, string]>([
    [
      'new credentials that do not help',
      {},
      'new credentials, as resources[0].endpoint.response_actions[0] says, did not help',
    ],
    ['credentials that cannot be fetched', { type: 'bearer', token: 'fixed-token' }, 'use a type that fetches a token'],
  ])('%s fail the run', async (_name, given, message) => {
    let tokens = 0
    const api = await testApi(url =>
      url.pathname === '/token'
        ? { json: { access_token: `token-${++tokens}` } }
        : { json: { error: { code: 'token_expired' } } },
    )
    const client = { auth: given !== undefined && 'type' in given ? given : auth(api.origin) }
    const failing = load(things(api.origin, { paginator: 'single_page', response_actions: [action] }, {}, client))
    await expect(failing).rejects.toThrow(message)
    expect(tokens).toBeLessThanOrEqual(2)
  })
})

describe('reset_pagination', () => {
  const action = { json_path: 'error', equals: 'cursor expired', action: 'reset_pagination' }
  const cursor = { type: 'cursor', cursor_path: 'next', cursor_param: 'after' }
  interface Feed {
    readonly pages: readonly (readonly object[])[]
    readonly more: readonly object[]
    /** How often the cursor of page 2 expires. */
    readonly times?: number
  }

  /** A list by cursor. When the cursor of the third page expires, records were changed. */
  async function feed({ pages, more, times = 1 }: Feed) {
    let expired = 0
    return testApi(url => {
      const page = Number(url.searchParams.get('after') ?? 0)
      if (page === 2 && expired < times) {
        expired += 1
        return { status: 410, json: { error: 'cursor expired' } }
      }
      const now = expired === 0 ? pages : [more, ...pages.slice(1)]
      return { json: { data: now[page], next: page + 1 < now.length ? page + 1 : null } }
    })
  }

  const three = [[{ id: 1 }, { id: 2 }], [{ id: 3 }], [{ id: 4 }]]
  const endpoint = { data_selector: 'data', paginator: cursor, response_actions: [action] }

  test.each<[string, Feed, number[], Verdict]>([
    ['the same records', { pages: three, more: [{ id: 1 }, { id: 2 }] }, [1, 2, 3, 4], 'complete'],
    ['a new record', { pages: three, more: [{ id: 0 }, { id: 1 }, { id: 2 }] }, [0, 1, 2, 3, 4], 'complete'],
    ['a record less', { pages: three, more: [{ id: 2 }] }, [1, 2, 3, 4], 'unproven'],
  ])('reads from the start once, with %s', async (_name, list, expected, verdict) => {
    const api = await feed(list)
    const { rows, result, events } = await load(things(api.origin, endpoint, { primary_key: 'id' }))
    expect((await rows('things')).map(({ id }) => id)).toEqual(expected)
    expect(result.receipts[0]?.verdict).toBe(verdict)
    expect(events).toContainEqual(expect.objectContaining({ code: 'list_changed' }))
  })

  test('once only', async () => {
    const api = await feed({ pages: three, more: [{ id: 1 }, { id: 2 }], times: 2 })
    await expect(load(things(api.origin, endpoint, { primary_key: 'id' }))).rejects.toThrow('the answer came again')
  })

  test('a change that a cursor would move past is not missed', async () => {
    const at = (id: number, updated: number) => ({ id, updated })
    const api = await feed({ pages: [[at(1, 1), at(2, 2)], [at(3, 3)], [at(4, 9)]], more: [at(1, 5), at(2, 2)] })
    const { rows } = await load(
      things(
        api.origin,
        { ...endpoint, incremental: { cursor_path: 'updated', initial_value: 0 } },
        { primary_key: 'id', write_disposition: 'merge' },
      ),
    )
    expect(await rows('things')).toEqual([at(1, 5), at(2, 2), at(3, 3), at(4, 9)])
  })

  test('records without the key cannot be read again', async () => {
    const api = await feed({ pages: [[{ n: 1 }], [{ n: 2 }], [{ n: 3 }]], more: [{ n: 1 }] })
    const steps = { processing_steps: [{ map: (record: object) => ({ ...record, id: 1 }) }] }
    const failing = load(things(api.origin, endpoint, { primary_key: 'id', ...steps }))
    await expect(failing).rejects.toThrow('cannot be told apart')
  })
})

test('a plan says what certain answers lead to, and what becomes of nulls', async () => {
  const wait_from = { header: 'X-Reset', unit: 'date' }
  const retry = {
    body_contains: 'try again',
    when: [{ json_path: 'status.code', in: [42, 'busy'] }],
    wait_from: { json_path: 'error.after' },
  }
  const response_actions = [
    { status_code: 404, action: 'ignore' },
    { status_code: '5xx', content: 'gone', action: 'retry', wait_from },
    { json_path: 'error', exists: false, action: 'fail', message: 'it failed: {error.text}' },
  ]
  const made = await prepared({
    client: { base_url: 'https://api.example.com', paginator: 'single_page' },
    resources: [
      'others',
      { name: 'things', endpoint: { path: 'things/{resources.others.id}', retry, response_actions, on_null: 'skip' } },
    ],
  } as unknown as RestApiConfig)
  const [others, things] = (await made.plan()).resources
  expect(things?.request).toMatchObject({
    onNull: 'skip',
    answers: [
      'ignore for status 404',
      'retry for status 500 to 599 and "gone" in the body, waiting as the header x-reset (date) says',
      'fail for error is not there, "it failed: {error.text}"',
      'retry for status.code is 42 or "busy"',
      'retry for "try again" in the body',
      'waits as the body at error.after (seconds) says',
    ],
  })
  expect(others?.request?.answers).toEqual([])
  expect(others?.request?.onNull).toBeUndefined()
})
