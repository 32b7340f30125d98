import { describe, expect, it } from 'vitest'
import {
  countElements,
  documentSpan,
  elements,
  JsonBytesError,
  JsonDocument,
  member,
  memberReader,
  members,
  skipValue,
  valueAt,
} from '../../src/json/bytes.js'
import { parseJson } from '../../src/json/parse.js'
import { type JsonObject, numberLiteral } from '../../src/json/value.js'
import fc from '../properties.js'

const bytes = (text: string): Buffer => Buffer.from(text)

describe('JSON bytes', () => {
  it('skips any value exactly', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom(undefined, 2), (value, indent) => {
        const text = bytes(`${JSON.stringify(value, null, indent)} ,"rest"]`)
        expect(JSON.parse(text.subarray(0, skipValue(text, 0)).toString())).toEqual(JSON.parse(JSON.stringify(value)))
      }),
    )
  })

  it('skips long containers exactly, wherever texts, escapes and brackets fall', () => {
    const unit = fc.constantFrom('\\', '"', '[', ']', '{', '}', ',', 'a', 'é', '\n')
    const element = fc.oneof(
      fc.string({ unit, maxLength: 150 }),
      fc.array(fc.string({ unit, maxLength: 9 })),
      fc.jsonValue(),
    )
    fc.assert(
      fc.property(fc.array(element, { maxLength: 40 }), fc.nat(70_000), fc.boolean(), (list, padding, wrapped) => {
        const long = ['x'.repeat(padding % (wrapped ? 70_000 : 5000)), [], 'y'.repeat(2100), ...list]
        const value = JSON.stringify(wrapped ? { long } : long)
        const text = bytes(`${value}],"rest"`)
        expect(skipValue(text, 0)).toBe(text.length - ']"rest",'.length)
        if (!wrapped) expect(countElements(text, 0)).toBe(long.length)
        const { separators } = documentSpan(bytes(JSON.stringify(long)))
        const ends = elements(text, wrapped ? '{"long":'.length : 0).map(({ end }) => end)
        expect(separators).toEqual(ends.slice(0, -1).map(end => (wrapped ? end - '{"long":'.length : end)))
        expect(() => skipValue(text.subarray(0, text.length - 9), 0)).toThrow('the document ends inside')
      }),
    )
  })

  it('counts and finds the elements of a list', () => {
    fc.assert(
      fc.property(fc.array(fc.jsonValue(), { maxLength: 6 }), fc.constantFrom(undefined, 1), (list, indent) => {
        const text = bytes(JSON.stringify(list, null, indent))
        expect(countElements(text, 0)).toBe(list.length)
        expect(elements(text, 0).map(span => JSON.parse(text.toString('utf8', span.start, span.end)))).toEqual(
          JSON.parse(text.toString()),
        )
      }),
    )
  })

  it('takes the last of members with one name, at the first place', () => {
    const text = bytes('{"a":1,"b":2,"a":3,"\\u0061":4,"é":5}')
    expect([...members(text, 0)].map(([key, span]) => [key, valueAt(text, span)])).toEqual([
      ['a', 4],
      ['b', 2],
      ['é', 5],
    ])
    expect(member(text, 0, '__proto__')).toBeUndefined()
  })

  it('reads some members as those of the whole object', () => {
    const name = fc.constantFrom('id', '"id', 'i\\d', 'é', '__proto__', '', 'a.b', '1')
    const spelled = name.map(text => JSON.stringify(text))
    const escaped = name.map(
      text => `"${[...text].map(char => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`).join('')}"`,
    )
    const number = fc.constantFrom('1.0', '12345678901234567890', '-0', '1e5', '0.5', '7')
    const value = fc.oneof(
      number,
      fc.jsonValue().map(one => JSON.stringify(one, null, 1)),
    )
    const entry = fc.tuple(fc.oneof(spelled, escaped), value)
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 8 }), fc.array(name, { maxLength: 4 }), (entries, wanted) => {
        const object = `{ ${entries.map(([key, text]) => `${key} : ${text}`).join(' , ')} }`
        const { value: part, end } = memberReader(wanted)(bytes(`[${object}]`), 1)
        expect(end).toBe(bytes(object).length + 1)
        const whole = parseJson(object) as JsonObject
        const known = Object.keys(whole).filter(key => (wanted as readonly string[]).includes(key))
        expect(Object.keys(part)).toEqual(known)
        for (const key of known) {
          expect(part[key]).toEqual(whole[key])
          expect(numberLiteral(part, key)).toBe(numberLiteral(whole, key))
        }
      }),
    )
  })

  it('takes for a scalar what JSON takes for one', () => {
    const piece = fc.constantFrom('-', '+', '0', '1', '9', '.', 'e', 'E', 'true', 'false', 'null', 'n', 'x', ' ', ',')
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 6 }), pieces => {
        const text = pieces.join('')
        const scalar = /^[\w.+-]*/.exec(text)?.[0] ?? ''
        const isScalar = /^(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)$/.test(scalar)
        if (isScalar) expect(skipValue(bytes(text), 0)).toBe(scalar.length)
        else expect(() => skipValue(bytes(text), 0)).toThrow(JsonBytesError)
      }),
      { numRuns: 2000 },
    )
  })

  it('keeps digits', () => {
    const text = bytes('[12345678901234567890]')
    expect(valueAt(text, { start: 0, end: text.length })).toEqual([12345678901234567890n])
  })

  it('looks behind a byte order mark', () => {
    expect(documentSpan(bytes('\ufeff {} '))).toEqual({ start: 4, end: 6 })
  })

  it('is not stopped by depth', () => {
    const depth = 200_000
    const text = bytes('['.repeat(depth) + ']'.repeat(depth))
    expect(skipValue(text, 0)).toBe(text.length)
  })

  it.each([
    ['', 0],
    ['<html>', 0],
    ['{"a":1', 6],
    ['{"a":[1,2}', 9],
    ['{"a" 1}', 5],
    ['{"a":1 "b":2}', 7],
    ['{a:1}', 1],
    ['{"a":01}', 5],
    ['{"a":nul}', 5],
    ['{"a":"x}', 8],
    ['{} {}', 3],
    ['{"a":}', 5],
    ['[1,2]]', 5],
  ])('refuses %j at byte %d', (text, offset) => {
    const look = (): unknown => {
      const document = new JsonDocument(bytes(text))
      return document.kind(document.root) === 'object' ? document.members(document.root) : undefined
    }
    expect(look).toThrow(expect.objectContaining({ offset }))
  })
})
