import { describe, expect, it } from 'vitest'
import { DataError } from '../../src/core/errors.js'
import { parseJson } from '../../src/core/json.js'
import {
  evaluateJson,
  evaluatePath,
  evaluateText,
  parseReference,
  parseTemplate,
  type Scope,
  templateParents,
} from '../../src/rest/placeholders.js'

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
    const json = (template: string) => evaluateJson(parseTemplate(template), scope, 'p')
    expect(json('{resources.p.id}')).toBe(7)
    expect(json('id={resources.p.id}')).toBe('id=7')
    expect(json('{resources.p.n}')).toBeNull()
    expect(json('{resources.p.deep}')).toEqual({ list: [{ id: 3 }] })
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

  it('names the field that is missing and the keys there are', () => {
    expect(() => text('{resources.p.nope}')).toThrow(DataError)
    expect(() => text('{resources.p.nope}')).toThrow(/"nope".*id, big, f/)
  })
})
