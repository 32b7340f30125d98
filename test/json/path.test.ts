import { describe, expect, it } from 'vitest'
import { JsonDocument, valueAt } from '../../src/json/bytes.js'
import { parseJson } from '../../src/json/parse.js'
import { compilePath } from '../../src/json/path.js'
import { stringifyJson } from '../../src/json/write.js'
import fc from '../properties.js'

const b1 = { id: 1, t: 'x' }
const b2 = { id: 2, t: 'y' }
const b3 = { id: 3 }
const body = {
  a: { b: [b1, b2, b3] },
  c: { d: 5 },
  '@o.n': 7,
  '@x': 8,
  'a-b': 9,
  list: [[1, 2], [3]],
  s: 'abc',
  n: null,
  f: 1.5,
  e: [],
  z: true,
}

/** What jsonpath-ng 1.7 (its extended parser) gives for the same document. */
const cases: readonly (readonly [path: string, matches: unknown[]])[] = [
  ['$', [body]],
  ['a.b|c', [body.a.b]],
  ['a.b|c.d', []],
  ['c.d|f', [5]],
  ['(c|a).d', [5]],
  ['c|a.b', [body.a.b]],
  ['$.a.b[*].id', [1, 2, 3]],
  ['a.b.id', []],
  ['a.*', [body.a.b]],
  ['list[*]', body.list],
  ['list[*][*]', [1, 2, 3]],
  ['list.*', []],
  ['c[*]', [body.c]],
  ['s[*]', ['abc']],
  ['n[*]', []],
  ['n', [null]],
  ['n.x', []],
  ['list[-1]', [[3]]],
  ['list[5]', []],
  ['a.b[?(@.id>1)]', [b2, b3]],
  ['a.b[?@.id>1]', [b2, b3]],
  ['a.b[?id>1]', [b2, b3]],
  ["a.b[?t='x']", [b1]],
  ["a.b[?(@.t=='x')].id", [1]],
  ['a.b[?(@.t==x)].id', [1]],
  ['a.b[?(@.t)]', [b1, b2]],
  ["a.b[?(@.id>1 & @.t='y')]", [b2]],
  ['a.b[?(@.id!=1)]', [b2, b3]],
  ["a.b[?(@.t=~'[xy]')]", [b1, b2]],
  ['a.b[?(@.id==1.0)]', [b1]],
  ['a.b[?(@.id=="1")]', []],
  ['c[?(@>4)]', [5]],
  ['a.b.`len`', [3]],
  ['list[*].`len`', [2, 1]],
  ['f.`len`', []],
  ['c.`keys`', ['d']],
  ['$.`this`', [body]],
  ['a.`this`.b', [body.a.b]],
  ['$..id', [1, 2, 3]],
  ['a..id', [1, 2, 3]],
  ['@x', [8]],
  ['$.@x', [8]],
  ["'@o.n'", [7]],
  ["$['@o.n']", [7]],
  ["['a-b','f']", [9, 1.5]],
  ['a-b', [9]],
  ['a.b[1:]', [b2, b3]],
  ['a.b[:2].id', [1, 2]],
  ['a.b[::2].id', [1, 3]],
  ['a.b[-2:].id', [2, 3]],
  ['a.b[/id]', [[b1, b2, b3]]],
  ['a.b[\\id][*].id', [3, 2, 1]],
  ["a['b'][0].id", [1]],
  ['a.b[ 0 ].id', [1]],
  [' a . b ', [body.a.b]],
  ['$.a.$.c', [body.c]],
  ['a[b,c]', [body.a.b]],
  ['a.[b]', [body.a.b]],
  ['a.b[*]["id","t"]', [1, 'x', 2, 'y', 3]],
]

const order = {
  id: 7,
  lines: [{ sku: 'a-1-x', note: 'two, three' }, { sku: 'b-2' }, { qty: 1.5 }],
  by: { '0': 'zero', "it's": 1, 'a b': 2 },
  paid: true,
  total: 1e16,
  rate: 0.00001,
  none: null,
}

/** What jsonpath-ng 1.16 (its extended parser) gives, which dlt 1.31 brings. */
const newerCases: readonly (readonly [path: string, matches: unknown[]])[] = [
  ['lines[*] where note', [order.lines[0]]],
  ['lines[*] wherenot note', [order.lines[1], order.lines[2]]],
  ['lines[*].sku where x', []],
  ['(by where id).x', []],
  ['lines where [0]', [order.lines]],
  ['by|lines where zz', [order.by]],
  ['by where id wherenot zz', []],
  ['lines[*] where sku.`split(-, 2, -1)`', []],
  ['by.0', ['zero']],
  ['lines.0', []],
  ['lines[0,2]', [order.lines[0], order.lines[2]]],
  ['lines[2,0,9,-1].qty', [1.5, 1.5]],
  ['lines[*].sku.`split(-, 0, -1)`', ['a', 'b']],
  ['lines[*].sku.`split(-, 2, -1)`', ['x']],
  [
    'lines[*].sku.`split(-, *, 1)`',
    [
      ['a', '1-x'],
      ['b', '2'],
    ],
  ],
  ['lines[*].sku.`split(-, -1, -1)`', ['x', '2']],
  ["lines[*].note.`split(', ', 1, -1)`", ['three']],
  ['lines[*].note.`split( , 0, -1)`', ['two,']],
  ['id.`split(7, 0, -1)`', []],
  ['lines[*].sku.`sub(/-/, _)`', ['a_1_x', 'b_2']],
  ['lines[*].sku.`sub(/(.)-(.)/, \\\\2$\\\\1)`', ['1$a-x', '2$b']],
  ["lines[*].sku.`sub(/[.x]/, '')`", ["a-1-''"]],
  ['id.`str()`', ['7']],
  ['paid.`str()`', ['True']],
  ['none.`str()`', ['None']],
  ['lines[2].qty.`str()`', ['1.5']],
  ['rate.`str()`', ['1e-05']],
  ['lines[0].sku.`str()`', ['a-1-x']],
  ['lines[*].`path`', ['[0]', '[1]', '[2]']],
  ['lines[*].sku.`path`', ['sku', 'sku']],
  ['by.*.`path`', ["'0'", `"it's"`, "'a b'"]],
  ['lines[*].sku.`parent`', [order.lines[0], order.lines[1]]],
  ['lines[*].note.`parent`.sku', ['a-1-x']],
  ['lines[0].`parent`.`len`', [3]],
  ['lines[*].sku.`parent`.`parent`.`parent`.id', [7, 7]],
  ['lines[?(@.qty)].`parent`', [order.lines]],
  ['lines[?(@.sku && @.note)].sku', ['a-1-x']],
  ['lines[?(@.qty || @.note)]', [order.lines[0], order.lines[2]]],
  ['lines[?(!@.sku)]', [order.lines[2]]],
  ["lines[?@.qty || @.sku == 'b-2' && !@.note]", [order.lines[1], order.lines[2]]],
  ["lines[?(@.qty || @.sku == 'b-2') && !@.sku]", [order.lines[2]]],
]

/** What RFC 9535 has besides. */
const standardCases: readonly (readonly [string, unknown[]])[] = [
  ["lines[?(!(@.sku == 'b-2'))]", [order.lines[0], order.lines[2]]],
  ['lines[?(!(@.note || @.qty))]', [order.lines[1]]],
]

describe('paths', () => {
  it.each(standardCases)('%s', (text, matches) => {
    expect(compilePath(text).matches(order)).toEqual(matches)
  })

  it.each(newerCases)('%s', (text, matches) => {
    expect(compilePath(text).matches(order)).toEqual(matches)
  })

  it.each(newerCases)('%s in bytes', (text, matches) => {
    const document = new JsonDocument(Buffer.from(JSON.stringify(order)))
    const spans = document.locate(compilePath(text))
    if (spans !== undefined) expect(spans.map(span => valueAt(document.bytes, span))).toEqual(matches)
    expect(document.first(compilePath(text))).toEqual(matches[0])
  })

  it('writes numbers as Python does', () => {
    const document = parseJson(
      '{"d": 1.0, "e": 1e16, "i": 10000000000000000, "s": 1.5e-7, "n": -0.0001, "b": 123456789012345678901}',
    )
    const texts = ['d', 'e', 'i', 's', 'n', 'b'].map(key => compilePath(`${key}.\`str()\``).matches(document)[0])
    expect(texts).toEqual(['1.0', '1e+16', '10000000000000000', '1.5e-07', '-0.0001', '123456789012345678901'])
  })

  it.each(cases)('%s', (text, matches) => {
    expect(compilePath(text).matches(body)).toEqual(matches)
  })

  it.each(cases)('%s in bytes', (text, matches) => {
    const document = new JsonDocument(Buffer.from(JSON.stringify(body, null, 1)))
    const spans = document.locate(compilePath(text))
    if (spans !== undefined) expect(spans.map(span => valueAt(document.bytes, span))).toEqual(matches)
    expect(document.first(compilePath(text))).toEqual(matches[0])
  })

  it.each([
    ['e[*]', true],
    ['e[0].id', true],
    ['n[*]', true],
    ['e[*].x[*]', true],
    ['a.b[?(@.id>9)]', true],
    ['a.b[5:].id', true],
    ['a.b[/id][?(@.id>9)]', true],
    ['typo|e[*]', true],
    ['typo', false],
    ['typo[*]', false],
    ['a.b.id', false],
    ['a.b[*].typo', false],
    ['s[0]', false],
    ['$..typo', false],
  ])('without a match, %s had something to choose from: %s', (text, expected) => {
    const path = compilePath(text)
    expect(path.matches(body)).toEqual([])
    expect(path.choosesFrom(body)).toBe(expected)
  })

  it.each<[string, boolean]>([
    ['f[*].u', true],
    ['f[*].u|v', false],
    ['f[*].l[*].u', true],
    ['f[0].u', false],
    ['f[3].u', true],
    ['f[?(@.u)].u', false],
    ['f', false],
    ['typo', true],
    ['$..u', false],
    ['e[*].u', false],
  ])('%s lacks a place in one of the values on its way: %s', (text, expected) => {
    const value = { f: [{ u: 1, l: [{ u: 1 }] }, { v: 2 }, { u: 3, l: [] }], e: [] }
    expect(compilePath(text).misses(value)).toBe(expected)
  })

  it.each(['', ' ', '.a', 'a.', 'a..', '..a', 'a b', '$a', '1a', 'é', 'a[', 'a[0', 'a[]', "a['b", 'a[?(@.x in 1)]'])(
    'refuses %j and says where',
    text => {
      expect(() => compilePath(text)).toThrow(/^JSONPath .*position \d+: /)
    },
  )

  it.each([
    'f+1',
    '`foo`',
    's.`sub(/\\\\d/, x)`',
    's.`sub(/a$/, x)`',
    's.`sub(a, b)`',
    's.`split(b)`',
    "a.b[?(!@.t='x')]",
    'a.b[?(!!@.t)]',
    "a[?(@.t=~'[')]",
    'a[::0]',
  ])('refuses %s, which it does not know', text => {
    expect(() => compilePath(text)).toThrow(SyntaxError)
  })

  it('throws nothing but SyntaxErrors', () => {
    const token = fc.constantFrom(
      'a',
      '.',
      '..',
      '[',
      ']',
      '(',
      ')',
      '$',
      '*',
      '|',
      '?',
      '@',
      "'",
      '"',
      '1',
      '-',
      ',',
      '`',
      '=',
      ' ',
      'where',
      '`parent`',
      '`path`',
      '`split(a, 0, 1)`',
      '`sub(/a/, b)`',
    )
    fc.assert(
      fc.property(fc.array(token, { maxLength: 14 }), tokens => {
        try {
          compilePath(tokens.join('')).matches(body)
        } catch (error) {
          expect(error).toBeInstanceOf(SyntaxError)
        }
      }),
    )
  })

  it('tells plain paths from others', () => {
    expect(compilePath("a['b.c'][0]").steps).toEqual(['a', 'b.c', 0])
    expect(compilePath('a[*]').steps).toBeUndefined()
  })

  it('finds the same in bytes as in values', () => {
    const paths = ['$', 'a', 'a.b', 'a[0]', 'a[-1]', '$..a', '*', 'a[*].b', '[*]', 'a|b', '$..*'].map(compilePath)
    const { value } = fc.letrec(tie => ({
      value: fc.oneof(
        { maxDepth: 4 },
        fc.constantFrom(null, true, 1, 1.5, 'x', '"\\\u00e9'),
        fc.array(tie('value'), { maxLength: 3 }),
        fc.dictionary(fc.constantFrom('a', 'b', 'c"', 'é'), tie('value'), { maxKeys: 3 }),
      ),
    }))
    fc.assert(
      fc.property(value, fc.constantFrom(...paths), fc.constantFrom(0, 1), (sample, path, indent) => {
        const document = new JsonDocument(Buffer.from(JSON.stringify(sample, null, indent)))
        const located = document.locate(path)?.map(span => stringifyJson(valueAt(document.bytes, span)))
        expect(located).toEqual(path.matches(sample as null).map(match => stringifyJson(match)))
      }),
    )
  })
})
