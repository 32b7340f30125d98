import { describe, expect, it } from 'vitest'
import { JsonDocument } from '../../src/json/bytes.js'
import { compilePath } from '../../src/json/path.js'
import type { ApiRequest, RequestPatch } from '../../src/rest/api.js'
import { joinUrl } from '../../src/rest/http/wire.js'
import { detectSelector, pathOfKeys, select, truncate } from '../../src/rest/list/answer/selector.js'
import { linkTarget } from '../../src/rest/paginators/nextLink.js'
import { applyPatch, requestKey } from '../../src/rest/request/request.js'

const request: ApiRequest = {
  method: 'GET',
  url: 'https://a.example/v1/x?p=0&q=%20',
  params: [
    ['p', '1'],
    ['z', 'a b'],
    ['p', '2'],
  ],
  headers: {},
}

describe('URLs', () => {
  it.each([
    ['https://a.example/v1', 'x', 'https://a.example/v1/x'],
    ['https://a.example/v1//', '//x/y', 'https://a.example/v1/x/y'],
    ['https://a.example/v1', '', 'https://a.example/v1'],
    ['', 'https://b.example', 'https://b.example'],
    ['https://a.example', 'HTTP://b.example/x', 'HTTP://b.example/x'],
    ['https://a.example', 'ftp://b.example', 'https://a.example/ftp://b.example'],
  ])('%j and %j', (base, path, url) => {
    expect(joinUrl(base, path)).toBe(url)
  })
})

describe('patches', () => {
  it.each<[string, RequestPatch, Partial<ApiRequest>]>([
    [
      'set a parameter wherever it stands',
      { params: { p: '3' } },
      {
        url: 'https://a.example/v1/x?q=%20',
        params: [
          ['p', '3'],
          ['z', 'a b'],
        ],
      },
    ],
    ['add one', { params: { n: '1' } }, { url: request.url, params: [...request.params, ['n', '1']] }],
    ['remove one', { params: { p: null } }, { url: 'https://a.example/v1/x?q=%20', params: [['z', 'a b']] }],
    ['resolve a link', { url: '../y?k=1' }, { url: 'https://a.example/y?k=1', params: [] }],
    ['resolve a query', { url: '?k=1' }, { url: 'https://a.example/v1/x?k=1', params: [] }],
    ['follow another host', { url: '//b.example/y' }, { url: 'https://b.example/y', params: [] }],
    [
      'write a body',
      {
        body: [
          { path: 'a.b', value: 1 },
          { path: 'a.__proto__', value: 2 },
        ],
      },
      { body: { kind: 'json', value: JSON.parse('{"a":{"b":1,"__proto__":2}}') } },
    ],
  ])('%s', (_name, patch, expected) => {
    expect(applyPatch(request, patch)).toMatchObject(expected)
  })

  it('leave the original as it is', () => {
    const posted: ApiRequest = { ...request, body: { kind: 'json', value: { a: { c: 1 } } } }
    const before = JSON.stringify(posted)
    applyPatch(posted, { params: { p: '9' }, body: [{ path: 'a.b', value: 1 }] })
    expect(JSON.stringify(posted)).toBe(before)
  })

  it.each<[RequestPatch, ApiRequest]>([
    [{ body: [{ path: 'a.b', value: 1 }] }, { ...request, body: { kind: 'json', value: { a: [] } } }],
    [{ body: [{ path: 'a', value: 1 }] }, { ...request, body: { kind: 'text', text: 'x' } }],
    [{ url: 'http://[' }, request],
  ])('%j is refused', (patch, from) => {
    expect(() => applyPatch(from, patch)).toThrow(expect.objectContaining({ code: 'response_format' }))
  })
})

describe('the key of a request', () => {
  it('differs by method, URL and body, and by nothing else', () => {
    const others: ApiRequest[] = [
      { ...request, method: 'POST' },
      { ...request, params: [] },
      { ...request, body: { kind: 'json', value: 1 } },
      { ...request, body: { kind: 'text', text: '1' } },
    ]
    expect(new Set([request, ...others].map(one => requestKey(one))).size).toBe(5)
    expect(requestKey({ ...request, headers: { a: 'b' } })).toBe(requestKey(request))
    const [one, other] = ['k1', 'k2'].map(key => ({ ...request, params: [...request.params, ['key', key] as const] }))
    expect(requestKey(one!, new Set(['key']))).toBe(requestKey(other!, new Set(['key'])))
  })
})

describe('Link headers', () => {
  it.each([
    ['<a?x=1,2>; rel="prev", <b>; rel=next', 'b'],
    ['<b>; title="a, \\"b\\"; rel=x"; rel="last Next"', 'b'],
    ['<>; rel="next"', undefined],
    ['<b>; rel="nextish"', undefined],
    ['<<b>; rel=next', 'b'],
    ["<b>; title=Bob's; rel=next", 'b'],
    ['<a>; title="<b>; rel=next"; rel=prev', undefined],
    ['', undefined],
  ])('%s', (header, target) => {
    expect(linkTarget(header, 'next')).toBe(target)
  })

  it.each([
    ['open brackets', '<'],
    ['closed brackets', '>'],
    ['links without parameters', '<a>'],
    ['quotes that are never closed', '<a>;x="\\"'],
    ['single quotes', "<a>;x='"],
    ['semicolons', '<a>; ; '],
    ['spaces', '<a>; rel=b                      '],
  ])('a megabyte of %s is read in one go', (_, part) => {
    // What looks at the rest once for every character needs an hour.
    expect(linkTarget(`${part.repeat(1e6 / part.length)}, <z>; rel="next"`, 'next')).toBeOneOf(['z', undefined])
  })
})

describe('selectors', () => {
  const chosen = (body: string, selector: string): unknown => {
    const selection = select(new JsonDocument(Buffer.from(body)), compilePath(selector))
    if (selection === undefined) return undefined
    const records = JSON.parse(Buffer.from(selection.records).toString())
    expect(records).toHaveLength(selection.count)
    return records
  }

  it.each([
    ['{"a":[1,{"b":2}]}', 'a', [1, { b: 2 }]],
    ['{"a":[ ]}', 'a', []],
    ['{"a":{"b":2}}', 'a', [{ b: 2 }]],
    ['{"a":"x"}', 'a', ['x']],
    ['{"a":null}', 'a', []],
    ['{"a":[[1],[2,3]]}', 'a[*]', [[1], [2, 3]]],
    ['{"a":[[1,2]]}', 'a[*]', [1, 2]],
    ['{"a":[{"i":2},{"i":1}]}', 'a[/i]', [{ i: 1 }, { i: 2 }]],
    ['{"a":1}', 'b', undefined],
  ])('%s by %s', (body, selector, records) => {
    expect(chosen(body, selector)).toEqual(records)
  })

  it('give the bytes of the body itself', () => {
    const body = Buffer.from('{"a": [1.0, 2]}')
    const selection = select(new JsonDocument(body), compilePath('a'))
    expect(Buffer.from(selection!.records).toString()).toBe('[1.0, 2]')
    expect(selection!.records.buffer).toBe(body.buffer)
    expect(Buffer.from(truncate(selection!, 1).records).toString()).toBe('[1.0]')
  })

  it.each([
    ['[1]', '$'],
    ['{"a":1}', '$'],
    ['{"links":[],"x":{"items":[]}}', 'x.items'],
    ['{"a":{"b":[1]},"c":[2]}', 'a.b'],
    ['{"meta":{"data":[1]},"results":[2]}', 'meta.data'],
    ['{"a":{"b":{"c":{"d":[1]}}}}', '$'],
    ['{"a.b":{"@x y":[1]}}', "['a.b']['@x y']"],
  ])('guess for %s: %s', (body, path) => {
    expect(detectSelector(new JsonDocument(Buffer.from(body))).path?.text).toBe(path)
  })

  it('quote keys so that the path finds them', () => {
    const keys = ["it's", 'a"b', 'back\\slash', 'ünï', '', '@odata.value']
    for (const key of keys) expect(compilePath(pathOfKeys([key])).matches({ [key]: 1 })).toEqual([1])
  })
})
