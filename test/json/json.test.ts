import { describe, expect, it } from 'vitest'
import { JsonSyntaxError, parseJson } from '../../src/json/parse.js'
import { type JsonValue, keepNumberLiterals, MAX_JSON_DEPTH, numberLiteral } from '../../src/json/value.js'
import { canonicalJson, stringifyJson } from '../../src/json/write.js'
import golden from '../golden/row_hash.json' with { type: 'json' }
import fc from '../properties.js'

/** The exact reader reads it too: a member that JSON.parse would change sits beside the text. */
function parseExactly(text: string): JsonValue {
  return (parseJson(`{"odd":1.0,"value":${text}}`) as { value: JsonValue }).value
}

const nested = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`

describe('parseJson', () => {
  it('reads what JSON.parse reads', () => {
    fc.assert(
      fc.property(fc.json(), text => {
        const plain = JSON.stringify(JSON.parse(text)) // without −0
        fc.pre(!/\d{16}/.test(plain))
        expect(parseJson(plain)).toEqual(JSON.parse(plain))
        expect(parseExactly(plain)).toEqual(JSON.parse(plain))
      }),
    )
  })

  it('refuses what JSON.parse refuses, with a place', () => {
    const broken = fc
      .tuple(fc.json(), fc.nat(), fc.constantFrom('', ',', '"', '{', ']', '\\', '0', '.', 'e', '-', '\u0000', 'x'))
      .map(
        ([text, at, insert]) =>
          text.slice(0, at % (text.length + 1)) + insert + text.slice((at % (text.length + 1)) + 1),
      )
    fc.assert(
      fc.property(broken, text => {
        let accepted = true
        try {
          JSON.parse(text)
        } catch {
          accepted = false
        }
        for (const read of [parseJson, parseExactly]) {
          if (accepted) read(text)
          else expect(() => read(text)).toThrow(JsonSyntaxError)
        }
      }),
      { numRuns: 1000 },
    )
  })

  it.each([
    ['', 0],
    ['{"a" 1}', 5],
    ['{"a":1,}', 7],
    ['[1 2]', 3],
    ['[01]', 2],
    ['[NaN]', 1],
    ['[Infinity]', 1],
    ['["a\nb"]', 3],
    ['["\\x"]', 1],
    ['["abc', 5],
    ['[tru]', 1],
    ['[1]x', 3],
    ['[+1]', 1],
    ['[.5]', 1],
    ['[5.]', 2],
    ["{'a':1}", 1],
  ])('refuses %j at %i', (text, offset) => {
    expect(() => parseJson(text)).toThrow(expect.objectContaining({ name: 'JsonSyntaxError', offset }))
  })

  it.each([
    ['9007199254740991', 9007199254740991],
    ['9007199254740992', 9007199254740992n],
    ['-9007199254740992', -9007199254740992n],
    ['18446744073709551615', 18446744073709551615n],
    [`1${'0'.repeat(40)}`, 10n ** 40n],
    ['-0', 0],
    ['0.1', 0.1],
    ['1e400', Number.POSITIVE_INFINITY],
  ])('reads %s', (text, value) => {
    expect(parseJson(text)).toBe(value)
    expect(parseJson(`[ ${text}]`)).toEqual([value])
  })

  it('reads whole numbers of 4,300 digits, and takes longer ones for numbers that no double holds', () => {
    expect(parseJson('9'.repeat(4300))).toBe(BigInt('9'.repeat(4300)))
    const longer = `[${'9'.repeat(4301)},-${'9'.repeat(30_000_000)}]`
    expect(parseJson(longer)).toEqual([Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])
    expect(stringifyJson(parseJson(longer)) === longer).toBe(true)
  })

  it('keeps the last of duplicate keys at the place of the first', () => {
    for (const text of ['{"a":1,"b":2,"a":3}', '{"a":1.0,"b":2,"a":3}']) {
      expect(Object.entries(parseJson(text) as object)).toEqual([
        ['a', 3],
        ['b', 2],
      ])
      expect(stringifyJson(parseJson(text))).toBe('{"a":3,"b":2}')
    }
  })

  it('takes hostile keys for data', () => {
    for (const text of [
      '{"__proto__":{"admin":true},"constructor":1,"toString":null}',
      '{"__proto__":{"admin":true},"constructor":1,"toString":null,"x":1.0}',
    ]) {
      const value = parseJson(text) as { admin?: unknown }
      expect(value.admin).toBeUndefined()
      expect(Object.getPrototypeOf(value)).toBe(Object.prototype)
      expect(stringifyJson(value)).toBe(text)
    }
  })

  it('keeps lone surrogates', () => {
    expect(parseJson('"\\ud800"')).toBe('\ud800')
    expect(stringifyJson('\ud800')).toBe('"\\ud800"')
  })

  it('reads bytes with a byte order mark and with invalid sequences', () => {
    expect(parseJson(Buffer.from('\ufeff{"ż":1}'))).toEqual({ ż: 1 })
    expect(parseJson(Buffer.from([0x22, 0xff, 0x22]))).toBe('\ufffd')
  })

  it('limits nesting, whichever reader reads', () => {
    const text = nested(MAX_JSON_DEPTH)
    expect(stringifyJson(parseJson(text))).toBe(text)
    const strings = `["${'['.repeat(3000)}\\"[",${nested(MAX_JSON_DEPTH - 1)}]`
    expect(stringifyJson(parseJson(strings))).toBe(strings)
    expect(() => parseJson(nested(MAX_JSON_DEPTH + 1))).toThrow(/nested more than 1024/)
    expect(() => parseExactly(nested(MAX_JSON_DEPTH))).toThrow(/nested more than 1024/)
    expect(() => parseJson(nested(1_000_000))).toThrow(JsonSyntaxError)
  })
})

describe('number literals', () => {
  const odd = '{"a":1.0,"b":[1e5,0.10,-0.0],"c":0.12345678901234567890,"d":1E+2,"e":0.0000001,"f":5}'

  it('are written as they were read', () => {
    expect(stringifyJson(parseJson(odd))).toBe(odd)
  })

  it('are known by container and key', () => {
    const value = parseJson(odd) as { a: number; b: number[]; f: number }
    expect(numberLiteral(value, 'a')).toBe('1.0')
    expect(numberLiteral(value.b, 1)).toBe('0.10')
    expect(numberLiteral(value, 'f')).toBeUndefined()
    value.a = 2
    expect(stringifyJson(value)).toContain('"a":2,')
  })

  it('follow copies on demand', () => {
    const record = parseJson(odd)
    const copy = { ...(record as object), b: [...(record as { b: number[] }).b], f: 6 }
    expect(stringifyJson(copy)).toContain('"a":1,')
    keepNumberLiterals(record, copy)
    expect(stringifyJson(copy)).toBe(odd.replace('"f":5', '"f":6'))
  })

  it('survive any document', () => {
    const digits = fc.stringMatching(/^-?(0|[1-9][0-9]{0,24})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?$/)
    fc.assert(
      fc.property(fc.array(digits, { minLength: 1 }), numbers => {
        const text = `{"n":[${numbers.map(number => (number === '-0' ? '0' : number)).join(',')}]}`
        expect(stringifyJson(parseJson(text))).toBe(text)
      }),
    )
  })
})

describe('stringifyJson', () => {
  it('writes what JSON.stringify writes', () => {
    fc.assert(
      fc.property(fc.jsonValue(), value => {
        // A negative zero keeps its sign, as a double; JSON.stringify drops it.
        fc.pre(!stringifyJson(value).includes('-0.0'))
        expect(stringifyJson(value)).toBe(JSON.stringify(value))
      }),
    )
  })

  it('takes what user functions return', () => {
    const value = {
      at: new Date(Date.UTC(2024, 0, 2, 3, 4, 5, 6)),
      never: new Date(Number.NaN),
      bytes: new Uint8Array([104, 105]),
      not: [Number.NaN, Number.POSITIVE_INFINITY, undefined],
      gone: undefined,
      url: new URL('https://example.com/a'),
      big: 2n ** 64n,
    }
    expect(stringifyJson(value)).toBe(
      '{"at":"2024-01-02T03:04:05.006Z","never":null,"bytes":"aGk=","not":[null,null,null],"url":"https://example.com/a","big":18446744073709551616}',
    )
  })

  it('names the place of what is not data', () => {
    expect(() => stringifyJson({ a: [{ b: () => 1 }] })).toThrow('a[0].b is a function, which JSON cannot hold')
    expect(() => stringifyJson({ a: new Map() })).toThrow('a is a Map, which JSON cannot hold')
    expect(() => stringifyJson(undefined)).toThrow(TypeError)
    const cycle: { self?: unknown } = {}
    cycle.self = cycle
    expect(() => stringifyJson(cycle)).toThrow(TypeError)
  })
})

describe('canonicalJson', () => {
  it.each(golden.row_hash)('of $json', ({ json, canonical }) => {
    expect(canonicalJson(parseJson(json))).toBe(canonical)
  })

  it.each([
    [1e15, '1000000000000000'],
    [0.5, '0.5'],
    [1e16, '1e+16'],
    [1.5e16, '1.5e+16'],
    [1e15 + 0.5, '1000000000000000.5'],
    [0.00001, '0.00001'],
    [0.0000123, '0.0000123'],
    [0.000001, '1e-6'],
    [-1.25e-7, '-1.25e-7'],
    [1e22, '1e+22'],
    [5e-324, '5e-324'],
    [Number.NaN, 'null'],
  ])('prints %d as %s', (value, text) => {
    expect(canonicalJson(value)).toBe(text)
  })

  it('prints integral doubles with .0', () => {
    expect(canonicalJson(parseJson('[1.0,1e3,1e15,100e-2,0e0]'))).toBe('[1.0,1000.0,1000000000000000.0,1.0,0.0]')
  })

  it('sorts keys by code point', () => {
    expect(canonicalJson({ '😀': 1, '\uf027': 2, a: 3 })).toBe('{"a":3,"\uf027":2,"😀":1}')
  })

  it('is the same for every order of keys', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string({ unit: 'binary' }), fc.integer()), object => {
        const reversed = Object.fromEntries(Object.entries(object).reverse())
        expect(canonicalJson(reversed)).toBe(canonicalJson(object))
      }),
    )
  })
})
