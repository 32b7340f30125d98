import { describe, expect, it } from 'vitest'
import { differenceLines } from '../../src/cli/commands/recording/test.js'
import { clip, displayWidth, printable, printableLines, wrapped } from '../../src/cli/terminal/printable.js'
import { textTable } from '../../src/cli/terminal/table.js'
import fc from '../properties.js'

describe('printable', () => {
  it.each([
    ['plain text stays', 'plain text stays'],
    ['Grüße 山田 🎉 é', 'Grüße 山田 🎉 é'],
    ['\x1b[2J\x1b]0;title\x07', '\\x1b[2J\\x1b]0;title\\x07'],
    ['a\rb\nc\td', 'a\\rb\\nc\\td'],
    ['\x7f\x9b31m', '\\x7f\\x9b31m'],
    ['abc\u202Etxt.exe\u2069', 'abc\\u{202e}txt.exe\\u{2069}'],
    ['\uD800', '\\u{d800}'],
    ['\u{E0041}', '\\u{e0041}'],
  ])('%j', (text, expected) => {
    expect(printable(text)).toBe(expected)
  })

  it('leaves no control character in any text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), text => {
        expect(printable(text)).not.toMatch(/[\p{Cc}\p{Cs}\u202A-\u202E\u2066-\u2069]/u)
        expect(printableLines(text)).not.toMatch(/[^\n\P{Cc}]/u)
      }),
    )
  })
})

describe('clip', () => {
  it.each([
    ['short', 10, 'short'],
    ['exactly ten', 11, 'exactly ten'],
    ['too long by far', 8, 'too lon…'],
    ['山田太郎', 5, '山田…'],
    ['\u{17000}\u{1B000}\uFE10\u{1F200}', 5, '\u{17000}\u{1B000}…'],
    ['👨‍👩‍👧‍👦', 4, '👨‍…'],
  ])('%s in %i columns', (text, columns, expected) => {
    expect(clip(text, columns)).toBe(expected)
  })

  it('never exceeds the columns it was given', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.integer({ min: 1, max: 30 }), (text, columns) => {
        expect(displayWidth(clip(text, columns))).toBeLessThanOrEqual(columns)
      }),
    )
  })
})

describe('wrapped', () => {
  it.each([
    ['a word that fits', 10, ['a word', 'that fits']],
    ['invoices.invoices', 13, ['invoices.', 'invoices']],
    ['/srv/loads/.sluice/orders', 20, ['/srv/loads/.sluice/', 'orders']],
    ['a.feedback_of_customers', 8, ['a.feedba', 'ck_of_', 'customer', 's']],
  ])('%s in %i columns', (text, columns, expected) => {
    expect(wrapped(text, columns)).toEqual(expected)
  })
})

describe('a table', () => {
  it('wraps no name that is copied, while other texts can be wrapped', () => {
    const columns = [{ title: 'load', isWhole: true }, { title: 'resources' }]
    expect(textTable(columns, [['1795994537.814448', 'invoices, people, shops']], 32)).toEqual([
      'load               resources',
      '─────────────────  ─────────────',
      '1795994537.814448  invoices,',
      '                   people, shops',
    ])
  })
})

it('a difference shows what is at the end of a long row', () => {
  const row = `{"id":"1","name":"${'x'.repeat(60)}","city":"Oslo"}`
  const lines = differenceLines([`- ${row}`], { isTerminal: true, columns: () => 40, styled: (_style, text) => text })
  expect(lines.at(-1)).toContain('"Oslo"}')
  expect(lines.every(line => displayWidth(line) <= 40)).toBe(true)
})
