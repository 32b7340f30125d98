import { describe, expect, test } from 'vitest'
import { backoffMs } from '../../src/model/runtime/backoff.js'
import { scrubber } from '../../src/model/secrets/scrubber.js'
import { Secret } from '../../src/model/secrets/secret.js'
import { answered, decide, type GateState, newGate, pauseUntil, started } from '../../src/rest/http/rateLimit.js'
import { redactUrl } from '../../src/rest/http/redact.js'
import { destinationOf, isLocal } from '../../src/rest/http/redirects.js'
import { withParam } from '../../src/rest/http/wire.js'
import fc from '../properties.js'
import { get, quickPolicy } from './clientServer.js'

describe('redactUrl', () => {
  test.each([
    ['https://a.example/x?api_key=1&page=2', 'https://a.example/x?api_key=***&page=2'],
    ['https://a.example/x?page=2&API-Key=1#access_token=3', 'https://a.example/x?page=2&API-Key=***#access_token=***'],
    ['https://a.example/x?api%5Fkey=1;sig=2&page_token=3', 'https://a.example/x?api%5Fkey=***;sig=***&page_token=3'],
    ['https://ann:pw@a.example/x', 'https://***@a.example/x'],
    ['https://a.example/@x?q=a@b', 'https://a.example/@x?q=a@b'],
    ['/x?token=1', '/x?token=***'],
    ['https://a.example/x?%E0=1&key=2', 'https://a.example/x?%E0=1&key=***'],
    ['not a url', 'not a url'],
  ])('%s', (url, expected) => expect(redactUrl(url)).toBe(expected))

  test('no known secret is left in any part, however it is encoded', () => {
    const secret = fc
      .string({ unit: 'grapheme', minLength: 4 })
      .filter(text => text.trim().length > 3 && !text.includes('*'))
    fc.assert(
      fc.property(secret, text => {
        const known = scrubber([new Secret(text)])
        const spelled = encodeURIComponent(text)
        const url = `https://a.example/${spelled}?q=${spelled}&r=${Buffer.from(text).toString('base64url')}#${spelled}`
        return !redactUrl(url, known).includes(spelled)
      }),
    )
  })
})

describe('where a request may go', () => {
  const about = { resource: 'plants', shown: () => 'shown' }
  test.each([
    ['https://api.example/x', ['https://api.example'], 'bound'],
    ['https://api.example:8443/x', ['https://api.example'], 'foreign'],
    ['https://other.example/x', ['https://api.example'], 'foreign'],
    ['http://other.example/x', ['http://api.example'], 'foreign'],
    ['http://127.0.0.1:9/x', ['http://127.0.0.1:8'], 'foreign'],
    ['http://10.0.0.7/x', ['http://10.0.0.7'], 'bound'],
  ])('%s with %j: %s', (url, bound, expected) =>
    expect(destinationOf(get(url), new URL(url), bound, about)).toBe(expected),
  )

  test.each([
    ['file:///etc/passwd', ['https://api.example'], 'neither http nor https'],
    ['http://169.254.169.254/latest', ['http://api.example'], 'inside this network'],
    ['https://localhost/x', ['https://api.example'], 'inside this network'],
    ['https://2130706433/x', ['https://api.example'], 'inside this network'],
    ['http://api.example/x', ['https://api.example'], 'from https to plain http'],
  ])('%s with %j is refused', (url, bound, text) => {
    expect(() => destinationOf(get(url), new URL(url), bound, about)).toThrow(
      expect.objectContaining({ code: 'forbidden_url', message: expect.stringContaining(text) }),
    )
  })

  test.each([
    ['127.0.0.1', true],
    ['10.1.2.3', true],
    ['172.16.0.1', true],
    ['172.32.0.1', false],
    ['192.168.1.1', true],
    ['169.254.169.254', true],
    ['100.64.0.1', true],
    ['0.0.0.0', true],
    ['8.8.8.8', false],
    ['[::1]', true],
    ['[fd00::1]', true],
    ['[fe80::1]', true],
    ['[::ffff:7f00:1]', true],
    ['[2606:4700::1111]', false],
    ['192.0.0.192', true],
    ['198.18.0.1', true],
    ['224.0.0.1', true],
    ['255.255.255.255', true],
    ['[fec0::1]', true],
    ['[ff02::1]', true],
    ['[::7f00:1]', true],
    ['[::808:808]', false],
    ['[::ffff:808:808]', false],
    ['[64:ff9b::7f00:1]', true],
    ['[64:ff9b:1::a00:1]', true],
    ['[64:ff9b::808:808]', false],
    ['[2002:7f00:1::1]', true],
    ['[2002:808:808::1]', false],
    ['192.31.196.1', false],
    ['localhost', true],
    ['a.localhost.', true],
    ['metadata.google.internal', true],
    ['localhost.example', false],
  ])('%s is local: %s', (name, expected) => expect(isLocal(name)).toBe(expected))
})

describe('the gate', () => {
  const now = 1_700_000_000_000
  const ok = { status: 200, headers: {}, startedAt: now }
  const run = (state: GateState, ...statuses: number[]): GateState =>
    statuses.reduce((before, status) => answered(started(before, {}, now), { ...ok, status }, now), state)

  test.each([
    [[], 4],
    [[200, 200, 200], 7],
    [[200, 200, 200, 200], 8],
    [[429], 2],
    [[429, 200], 2],
    [[429, 200, 200], 3],
    [[429, 200, 200, 200, 200, 200], 4],
    [[200, 200, 200, 200, 429], 4],
    [[429, 429, 503], 2],
    [[500, 404], 5],
  ])('after %j %d may be in flight', (statuses, allowed) => expect(run(newGate, ...statuses).allowed).toBe(allowed))

  test('a refusal of a later request cuts again, down to one', () => {
    let state = newGate
    for (let at = 1; at < 6; at++)
      state = answered(started(state, {}, now + at), { status: 429, headers: {}, startedAt: now + at }, now + at)
    expect(state.allowed).toBe(1)
  })

  test.each([
    [{ inFlight: 3 }, {}, 16, { kind: 'go' }],
    [{ inFlight: 4 }, {}, 16, { kind: 'full' }],
    [{ inFlight: 1 }, {}, 1, { kind: 'full' }],
    [{ inFlight: 2 }, { maxConcurrency: 2 }, 16, { kind: 'full' }],
    [{ pausedUntil: now + 5 }, {}, 1, { kind: 'wait', until: now + 5 }],
    [{ pausedUntil: now }, {}, 1, { kind: 'go' }],
    [{ started: [now - 900, now - 10] }, { requests: 2 }, 1, { kind: 'wait', until: now + 100 }],
    [{ started: [now - 900, now - 10] }, { requests: 3 }, 1, { kind: 'go' }],
    [{ started: [now - 1000, now - 10] }, { requests: 2 }, 1, { kind: 'go' }],
    [{ started: [now - 50] }, { requests: 1, perMs: 60_000 }, 1, { kind: 'wait', until: now + 59_950 }],
  ])('state %j, limits %j, concurrency %d', (state, limits, concurrency, expected) => {
    expect(decide({ ...newGate, ...state }, limits, concurrency, now)).toMatchObject(expected)
  })

  test('a declared rate holds in every window', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5 }),
        fc.array(fc.integer({ min: 0, max: 400 }), { maxLength: 60 }),
        (requests, gaps) => {
          const limits = { requests, perMs: 1000 }
          const starts: number[] = []
          let state = newGate
          let at = 0
          for (const gap of gaps) {
            at += gap
            const decision = decide(state, limits, 1, at)
            if (decision.kind === 'wait') at = decision.until
            state = { ...started(state, limits, at), inFlight: 0 }
            starts.push(at)
          }
          return starts.every((start, index) => (starts[index + requests] ?? Number.POSITIVE_INFINITY) - start >= 1000)
        },
      ),
    )
  })

  const date = 'Tue, 14 Nov 2023 22:13:20 GMT'
  test.each([
    [429, { 'retry-after': '3' }, 3000],
    [200, { 'retry-after': '3' }, undefined],
    [429, { 'retry-after': '3, 60' }, 60_000],
    [429, { 'retry-after': '60,3' }, 60_000],
    [429, { 'retry-after': '3, soon' }, undefined],
    [200, { 'x-ratelimit-remaining': '1', 'x-ratelimit-reset': '30' }, undefined],
    [200, { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '30' }, 30_000],
    [200, { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '1700000030', date }, 30_000],
    [200, { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '1700000030000' }, 30_000],
    [200, { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '2023-11-14T22:13:30Z' }, 10_000],
    [200, { 'x-ratelimit-remaining': '0' }, undefined],
    [200, { ratelimit: 'limit=10, remaining=0, reset=7' }, 7000],
    [200, { ratelimit: '"default";r=0;t=8' }, 8000],
    [200, { ratelimit: '"default";r=5;t=8' }, undefined],
    [200, { 'ratelimit-remaining': '0', 'ratelimit-reset': '9' }, 9000],
    [200, { ratelimit: '"default";r=50;t=30, "burst";r=0;t=5' }, 5000],
    [200, { ratelimit: '"burst";r=0;t=5, "default";r=50;t=30' }, 5000],
    [200, { ratelimit: '"burst";r=0;t=5, "default";r=0;t=30, "day";r=0' }, 30_000],
    [200, { ratelimit: '"burst";r=5;t=5, "default";r=50;t=30' }, undefined],
    [200, { ratelimit: '"burst"; r=0; t=5,default ; r=50 ; t=30' }, 5000],
    [200, { ratelimit: '"r=0;t=99, x";r=7;t=3, "a\\"b;r=0";r=0;t=4' }, 4000],
    [200, { ratelimit: '"default";r=0;pk="a, b;c";t=8, "burst";r=1;t=2' }, 8000],
    [200, { ratelimit: '"default";pk=:Zm9vPQ==:;r=0;t=8' }, 8000],
    [200, { ratelimit: '"a";t=30;r=0, "b";t=5;r=0' }, 30_000],
    [200, { ratelimit: 'limit=100, remaining=50, reset=30, limit=10, remaining=0, reset=5' }, 5000],
    [200, { ratelimit: 'limit=100;w=60, remaining=0, reset=7' }, 7000],
    [200, { ratelimit: 'reset=7, remaining=0, limit=100' }, 7000],
    [200, { ratelimit: '"default";r=50;t=30', 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '6' }, 6000],
    [200, { 'x-ratelimit-remaining': '5, 0', 'x-ratelimit-reset': '60, 2' }, 2000],
    [200, { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': 'Tue, 14 Nov 2023 22:13:30 GMT' }, 10_000],
    [200, { ratelimit: '"a";r=-1;t=30' }, undefined],
    [200, { ratelimit: '"a";r=0;t=-5' }, undefined],
    [200, { ratelimit: '"a";r=00;t=0' }, 0],
    [200, { ratelimit: `"a";r=${'9'.repeat(400)};t=30` }, undefined],
    [200, { ratelimit: `"a";r=0;t=${'9'.repeat(400)}` }, Number.POSITIVE_INFINITY],
    [200, { ratelimit: 'r=x;t=y, "b";r;t, =0' }, undefined],
    [200, { ratelimit: '' }, undefined],
    [403, { ratelimit: '"a";r=9;t=30, "b";r=0;t=3' }, 3000],
    [403, { 'retry-after': '4' }, 4000],
  ])('status %d with %j pauses for %s ms', (status, headers, expected) => {
    expect(pauseUntil(status, headers, now)).toBe(expected === undefined ? undefined : now + expected)
  })
})

test('a RateLimit header of any length is read at once', () => {
  for (const text of ['"\\', '"', 'r=0,', 'a;', '=', '"a";r=0;t=1, '])
    expect(pauseUntil(200, { ratelimit: text.repeat(2 ** 20) }, 0) ?? 1000).toBe(1000)
})

test('no backoff is longer than the policy allows', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2000 }), fc.double({ min: 0, max: 0.999, noNaN: true }), (n, random) => {
      const delay = backoffMs({ ...quickPolicy, jitter: 'full', maxDelayMs: 5000 }, n, random)
      return delay >= 0 && delay <= 5000
    }),
  )
})

test.each([
  ['https://a.example/x', 'https://a.example/x'],
  ['https://a.example/x?key=1', 'https://a.example/x'],
  ['https://a.example/x?a=1&key=2&key=3&b=4#c', 'https://a.example/x?a=1&b=4#c'],
  ['https://a.example/x?k%65y=1&keys=2', 'https://a.example/x?keys=2'],
])('withParam replaces %s', (url, kept) => {
  const request = withParam(
    get(url, {
      params: [
        ['key', 'old'],
        ['z', '1'],
      ],
    }),
    'key',
    'new',
  )
  expect(request).toMatchObject({
    url: kept,
    params: [
      ['z', '1'],
      ['key', 'new'],
    ],
  })
})
