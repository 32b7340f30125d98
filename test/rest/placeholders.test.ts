import { describe, expect, it } from 'vitest'
import { parseJson } from '../../src/json/parse.js'
import { DataError } from '../../src/model/errors.js'
import {
  evaluateJson,
  evaluatePath,
  evaluateText,
  parseReference,
  parseTemplate,
  type Scope,
  templateParents,
} from '../../src/rest/request/placeholders.js'

const record = parseJson(
  '{"id":7,"big":12345678901234567890,"f":1.0,"slug":"a/b?x=1#f","n":null,"ok":true,"tags":["x",1],"deep":{"list":[{"id":3}]},"url":"https://o.example/f?x=1","up":"..","none":""}',
) as Record<string, never>
const scope: Scope = {
  resource: 'child',
  parent: record,
  window: { cursorPath: 'at', startValue: 5, lastValue: 6 },
  convert: value => (typeof value === 'number' ? value * 10 : value),
}
const text = (template: string): string | undefined => evaluateText(parseTemplate(template), scope, 'p')
const path = (template: string): string => evaluatePath(parseTemplate(template), scope, 'p')

describe('templates', () => {
  it.each([
    ['plain', ['plain']],
    ['', []],
    ['{{x}} {y}', ['{x} ', { expression: 'y' }]],
    ['{resources.p.a[0:2].b}/z', [{ expression: 'resources.p.a[0:2].b' }, '/z']],
    ["{resources.p['a}b']}", [{ expression: "resources.p['a}b']" }]],
  ])('reads %j', (source, template) => {
    expect(parseTemplate(source)).toEqual(template)
  })

  it.each(['{', '}', 'a{b', 'a}b', '{}', '{ }', '{a{b}}', '{a:>4}', '{a!r}'])('refuses %j', source => {
    expect(() => parseTemplate(source)).toThrow(SyntaxError)
  })

  it.each(['resources.p', 'resources', 'resources.p.', 'other.x', 'incremental.__class__', 'resources.p.a['])(
    'refuses the expression %s',
    expression => {
      expect(() => parseReference(expression)).toThrow(SyntaxError)
    },
  )

  it('names the parents, each once', () => {
    expect(templateParents(parseTemplate('{resources.a-b.id}/{resources.a-b.x}/{incremental.start_value}'))).toEqual([
      'a-b',
    ])
  })
})

describe('values', () => {
  it.each([
    ['{resources.p.id}', '7'],
    ['{resources.p.big}', '12345678901234567890'],
    ['{resources.p.f}', '1.0'],
    ['{resources.p.ok}', 'true'],
    ['{resources.p.tags}', '["x",1]'],
    ['{resources.p.deep.list[*].id}!', '3!'],
    ['>{incremental.start_value}', '>50'],
    ['{incremental.end_value}', undefined],
    ['a{incremental.initial_value}', undefined],
  ])('%s is the text %j', (template, expected) => {
    expect(text(template)).toBe(expected)
  })

  it('keeps types inside JSON', () => {
    const json = (template: string) => evaluateJson(parseTemplate(template), scope, 'p').value
    expect(json('{resources.p.id}')).toBe(7)
    expect(json('id={resources.p.id}')).toBe('id=7')
    expect(json('{resources.p.n}')).toBeNull()
    expect(json('{resources.p.deep}')).toEqual({ list: [{ id: 3 }] })
  })

  it('keeps the digits of numbers inside JSON', () => {
    expect(evaluateJson(parseTemplate('{resources.p.f}'), scope, 'p')).toEqual({ value: 1, literal: '1.0' })
  })

  it.each([
    ['tags/{resources.p.slug}/posts', 'tags/a%2Fb%3Fx%3D1%23f/posts'],
    ['{resources.p.url}', 'https://o.example/f?x=1'],
    ['x/{resources.p.url}', 'x/https%3A%2F%2Fo.example%2Ff%3Fx%3D1'],
    ['x/..{resources.p.up}', 'x/....'],
    ['../a/{resources.p.id}', '../a/7'],
  ])('%s is the path %s', (template, expected) => {
    expect(path(template)).toBe(expected)
  })

  it.each([
    'x/{resources.p.n}',
    'x/{resources.p.up}',
    'x/{resources.p.none}/y',
    'x/{incremental.end_value}',
    '{resources.p.up}/y',
  ])('%s cannot be a path', template => {
    expect(() => path(template)).toThrow(expect.objectContaining({ code: 'placeholder', path: 'p', resource: 'child' }))
  })

  const withValue = (template: string, v: string): string =>
    evaluatePath(parseTemplate(template), { resource: 'child', parent: { v } }, 'p')

  it.each([
    ['repos/{resources.p.v}/issues', 'dlt-hub/dlt', 'repos/dlt-hub/dlt/issues'],
    ['x/{resources.p.v}', 'a b/c+d', 'x/a%20b/c%2Bd'],
    ['x/{resources.p.v}', 'a//b/', 'x/a//b/'],
    // A slash in front is that of the path.
    ['{resources.p.v}', '/v1/series/9', 'v1/series/9'],
    ['/{resources.p.v}', '/v1/series/9', '/v1/series/9'],
    ['x{resources.p.v}', '/v1/series/9', 'x/v1/series/9'],
    // What is encoded already.
    ['projects/{resources.p.v}/issues', 'group%2Fproject', 'projects/group%2Fproject/issues'],
    ['x/{resources.p.v}', 'a%20b/ü%C3%BC', 'x/a%20b/%C3%BC%C3%BC'],
    ['x/{resources.p.v}', '100%', 'x/100%25'],
    // Text, and no path: one segment.
    ['x/{resources.p.v}', '//evil.example/y', 'x/%2F%2Fevil.example%2Fy'],
    ['{resources.p.v}', '//evil.example/y', '%2F%2Fevil.example%2Fy'],
    ['x/{resources.p.v}', 'a/b?admin=1', 'x/a%2Fb%3Fadmin%3D1'],
    ['x/{resources.p.v}', 'a\\b', 'x/a%5Cb'],
    ['x/{resources.p.v}', 'ftp://evil.example', 'x/ftp%3A%2F%2Fevil.example'],
    ['x/{resources.p.v}', 'a\r\nb/c', 'x/a%0D%0Ab%2Fc'],
    ['x/{resources.p.v}/y', '/', 'x/%2F/y'],
    ['x/{resources.p.v}', 'javascript:alert(1)', 'x/javascript%3Aalert(1)'],
    // Behind a question mark.
    ['x?q={resources.p.v}', 'a/b&admin=1#f', 'x?q=a%2Fb%26admin%3D1%23f'],
    ['x?q={resources.p.v}', 'a%26b', 'x?q=a%26b'],
    // In the place of a host.
    ['https://{resources.p.v}/x', 'shop.example', 'https://shop.example/x'],
    ['https://{resources.p.v}.example/x', 'evil.com/', 'https://evil.com%2F.example/x'],
    ['https://api.example{resources.p.v}', '/v1/a', 'https://api.example/v1/a'],
    ['https://api.example:{resources.p.v}/x', '8080', 'https://api.example:8080/x'],
  ])('%s with %j is %s', (template, value, expected) => {
    expect(withValue(template, value)).toBe(expected)
  })

  it.each([
    ['x/{resources.p.v}', '../admin'],
    ['x/{resources.p.v}', 'a/../b'],
    ['x/{resources.p.v}', 'a/..'],
    ['x/{resources.p.v}', './a'],
    ['x/{resources.p.v}', '..%2fadmin'],
    ['x/{resources.p.v}', '%2e%2e/admin'],
    ['x/{resources.p.v}', '%2E%2E'],
    ['x/{resources.p.v}', '.%2e'],
    ['x/{resources.p.v}', '%252e%252e%252fadmin'],
    ['x/{resources.p.v}', '%25%32%65%25%32%65'],
    ['x/{resources.p.v}', '..\\admin'],
    ['x/{resources.p.v}', 'a%5c..%5cb'],
    ['x/{resources.p.v}', '/../../admin'],
    ['x/.{resources.p.v}', '.'],
    ['x/%2e{resources.p.v}', '%2e'],
    ['x/{resources.p.v}/y', ''],
    ['https://api.example{resources.p.v}', '.evil.com'],
    ['https://api.example{resources.p.v}', '@evil.com'],
    ['https://api.example{resources.p.v}/x', ':80@evil.com'],
    ['https://api.example{resources.p.v}', '//evil.com'],
  ])('%s with %j is refused', (template, value) => {
    expect(() => withValue(template, value)).toThrow(expect.objectContaining({ code: 'placeholder', path: 'p' }))
  })

  it('looks at a value of any length in no time', () => {
    const value = `${'%25'.repeat(300_000)}%32%65`
    expect(withValue('x/{resources.p.v}', value)).toBe(`x/${value}`)
    expect(withValue('x/{resources.p.v}', '%2525'.repeat(200_000)).length).toBe(1_000_002)
  })

  it('names the field that is missing and the keys there are', () => {
    expect(() => text('{resources.p.nope}')).toThrow(DataError)
    expect(() => text('{resources.p.nope}')).toThrow(/"nope".*id, big, f/)
  })
})
