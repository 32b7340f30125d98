import fc from '../properties.js'
import type { Model } from './reference.js'

const KEYS = [
  'a',
  'b',
  'c',
  'id',
  'aB',
  'a b',
  'a__b',
  'value',
  'list',
  '',
  '__proto__',
  '10',
  '9',
  'x"y',
  'é\\',
  '😀k',
]
const TEXTS = [
  '',
  'hello',
  '5',
  ' 0x1F',
  '1.5',
  'yes',
  '2024-01-02',
  '2024-01-02T03:04:05Z',
  '2024-01-02T03:04:05.123456789+02:00',
]
const INTEGERS = ['0', '-0', '7', '999999999999999', '9007199254740993', '9223372036854775807', '-9223372036854775808']
const DOUBLES = [
  '1.0',
  '-0.0',
  '0.1',
  '1e3',
  '5e-324',
  '1.7976931348623157e308',
  '9007199254740993.5',
  '0.30000000000000004',
]

const integer = fc.oneof(
  fc.constantFrom(...INTEGERS),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String),
)
const double = fc.oneof(
  fc.constantFrom(...DOUBLES),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map(value => value.toExponential()),
  fc.tuple(fc.nat(), fc.nat()).map(([whole, part]) => `${whole}.${part}`),
)
const text = fc.oneof(
  { weight: 2, arbitrary: fc.constantFrom(...TEXTS) },
  { weight: 2, arbitrary: fc.string({ unit: 'grapheme', maxLength: 12 }) },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 40 }) },
  {
    weight: 1,
    arbitrary: fc
      .array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 6 })
      .map(units => String.fromCharCode(...units)),
  },
  { weight: 1, arbitrary: fc.nat({ max: 300 }).map(length => 'x'.repeat(length)) },
)

const { value } = fc.letrec<{ value: Model; object: Model }>(tie => ({
  value: fc.oneof(
    { maxDepth: 4, depthSize: 'small' },
    { weight: 3, arbitrary: text.map(one => ({ kind: 'text', text: one }) as const) },
    { weight: 3, arbitrary: integer.map(literal => ({ kind: 'bigint', literal }) as const) },
    { weight: 2, arbitrary: double.map(literal => ({ kind: 'double', literal }) as const) },
    { weight: 1, arbitrary: fc.boolean().map(one => ({ kind: 'bool', value: one }) as const) },
    { weight: 1, arbitrary: fc.constant({ kind: 'null' } as const) },
    { weight: 2, arbitrary: tie('object') },
    {
      weight: 2,
      arbitrary: fc.array(tie('value'), { maxLength: 4 }).map(elements => ({ kind: 'list', elements }) as const),
    },
  ),
  object: fc
    .array(fc.tuple(fc.constantFrom(...KEYS), tie('value')), { maxLength: 6 })
    .map(members => ({ kind: 'object', members }) as const),
}))

/** Records of few keys and every kind of value; keys may repeat and may collide. */
export const records: fc.Arbitrary<readonly Model[]> = fc.array(value, { maxLength: 8 })

/** A writer of models as JSON text, with white space and escapes wherever `choose`, which gives 0 to 1, wants them. */
export function written(model: Model, choose: () => number): string {
  const space = (): string => (choose() < 0.85 ? '' : (SPACES[Math.floor(choose() * SPACES.length)] ?? ''))
  const text = (content: string): string => {
    let out = ''
    for (let at = 0; at < content.length; at++) {
      const unit = content.charCodeAt(at)
      if (choose() < 0.03) out += `\\u${unit.toString(16).padStart(4, '0')}`
      else if (unit >= 0xd800 && unit < 0xe000) {
        const pair = content.slice(at, at + 2)
        if (/^[\ud800-\udbff][\udc00-\udfff]$/.test(pair) && choose() < 0.7) {
          out += pair
          at++
        } else out += `\\u${unit.toString(16).toUpperCase()}`
      } else out += JSON.stringify(content[at]).slice(1, -1)
    }
    return `"${out}"`
  }
  const any = (one: Model): string => {
    switch (one.kind) {
      case 'null':
        return 'null'
      case 'bool':
        return String(one.value)
      case 'text':
        return text(one.text)
      case 'list':
        return `[${space()}${one.elements.map(any).join(`${space()},${space()}`)}${space()}]`
      case 'object': {
        const members = one.members.map(([key, member]) => `${text(key)}${space()}:${space()}${any(member)}`)
        return `{${space()}${members.join(`${space()},${space()}`)}${space()}}`
      }
      default:
        return one.literal
    }
  }
  return any(model)
}

const SPACES = [' ', '\n', '\t', '\r\n', '   ']
