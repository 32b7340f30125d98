import { describe, expect, it } from 'vitest'
import { parseDocumentText } from '../../src/config/file/documentFile.js'

async function told(text: string, file = 'm.yaml'): Promise<string> {
  const failure: unknown = await parseDocumentText(text, file).then(
    () => undefined,
    (error: unknown) => error,
  )
  return failure instanceof Error ? failure.message : 'it is well-formed'
}

describe('a text that is no YAML is refused with its line, a caret and what to do', () => {
  const mistakes: readonly (readonly [string, string, string, string, string])[] = [
    ['a tab', 'client:\n\tbase_url: x\n', '2:1', 'a tab indents this line', '^'],
    ['a tab after spaces', 'client:\n  a: 1\n  \tb: 2\n', '3:3', 'a tab indents this line', '  ^'],
    ['no closing quote', 'client:\n  a: "x\n  b: y\n', '2:6', 'the quote `"` that opens here', '     ^'],
    ['no closing quote before others', 'a: "x\nb: "y"\n', '1:4', 'the quote `"` that opens here', '   ^'],
    ['no closing single quote', "a: 'x\nb: y\n", '1:4', "the quote `'` that opens here", '   ^'],
    ['no closing quote in a flow', 'a: { b: "x, c: y }\nd: 1\n', '1:9', 'the quote `"` that opens here', '        ^'],
    ['no space after a colon', 'a:\n  b:https://x\n  c: y\n', '2:5', 'a space is missing after `b:`', '    ^'],
    ['no space after the last colon', 'a:\n  b: 1\n  c:x\n', '3:5', 'a space is missing after `c:`', '    ^'],
    ['no space after a dash', '-a\nb: 1\n', '1:2', 'a space is missing after the `-`', ' ^'],
    ['no colon', 'client\n  a: x\n', '1:1', '`client` is no key: a colon is missing', '^'],
    ['a key twice', 'a: 1\nb: 2\na: 3\n', '3:1', 'the key `a` stands twice in this map, first in line 1', '^'],
    ['a line too deep', 'a:\n  b: 1\n   c: 2\n', '3:4', 'this line is indented deeper than line 2', '   ^'],
    ['a line not deep enough', 'a:\n   b: 1\n  c: 2\n', '3:3', 'this line begins in another column', '  ^'],
    ['a line beside a list', 'a:\n  - b: 1\n   c: 2\n', '3:4', 'belongs neither to the list', '   ^'],
    ['no closing brace', 'a: { b: 1\nc: 2\n', '1:4', 'the `{` that opens here is not closed; add `}`', '   ^'],
    ['no closing bracket', 'a: { b: [1, 2 }\n', '1:9', 'the `[` that opens here is not closed; add `]`', '        ^'],
    ['a bracket too many', 'a: [1]]\n', '1:7', '`]` closes nothing; remove it', '      ^'],
    ['no comma', 'a: { b: 1 c: 2 }\n', '1:10', 'a comma is missing here', '         ^'],
    ['a colon in a value', 'a: note: this\n', '1:4', 'this text has a `: ` of its own; put the text in quotes', '   ^'],
    ['a sign of YAML', 'a: @x\n', '1:4', '`@` cannot begin a text; put the text in quotes', '   ^'],
    ['a reference', 'a: { b: ${x} }\n', '1:9', 'put a text with `${` in quotes', '        ^'],
    ['a backslash', 'a: "C:\\path"\n', '1:7', 'write `\\\\` for a backslash', '      ^'],
    ['text after a quote', 'a: "x" y\n', '1:8', 'text follows the closing quote', '       ^'],
    ['an alias of nothing', 'a: *x\n', '1:4', 'put a text that begins with `*` in quotes', '   ^'],
    ['a merge of no map', 'a:\n  <<: 3\n', '2:3', '`<<` takes a map', '  ^'],
    ['a second document', 'a: 1\n---\nb: 2\n', '2:1', '`---` begins a second document; keep one', '^'],
  ]
  it.each(mistakes)('%s', async (_, text, place, message, caret) => {
    const [line = ''] = place.split(':')
    const shown = (text.split('\n')[Number(line) - 1] ?? '').replaceAll('\t', '→')
    const lines = (await told(text)).split('\n')
    expect(lines[0]).toContain(`m.yaml:${place} is not valid YAML: `)
    expect(lines[0]).toContain(message)
    expect(lines.slice(1)).toEqual([`  ${line} | ${shown}`, `    | ${caret}`])
  })

  it.each([
    ['{\n "a": 1\n "b": 2\n}', '2:8', 'a comma is missing here'],
    ['{\n "a: 1,\n "b": 2\n}', '2:2', 'the quote `"` that opens here is not closed'],
    ['{\n "a": 1,\n "b": [1,2\n}', '3:7', 'the `[` that opens here is not closed'],
    ['{"a": 1', '1:1', 'the `{` that opens here is not closed'],
    ['{"a": 1}}', '1:9', '`}` closes nothing'],
    ['{"a" 1}', '1:6', 'a comma or a colon is missing before this'],
    ['{"a": 1, "a": 2}', '1:10', 'the key `a` stands twice in this map'],
  ])('JSON: %j', async (text, place, message) => {
    expect(await told(text, 'm.json')).toContain(`m.json:${place} is not valid JSON: ${message}`)
  })

  it('shows a long line around the place, in 80 columns, and puts the caret below wide characters', async () => {
    const long = await told(`a: { b: "${'x/'.repeat(80)}" c: 1 }\n`)
    for (const line of long.split('\n').slice(1)) expect(line.length).toBeLessThan(80)
    const [, shown = '', below = ''] = long.split('\n')
    expect(shown[below.indexOf('^')]).toBe('c')
    expect((await told('a: "日本語" x\n')).split('\n')[2]).toBe(`    | ${' '.repeat('a: "'.length + 6 + '" '.length)}^`)
  })

  it.each([
    'token: "abc\nb: 1\n',
    'auth: { type: bearer, token: abc\nb: 1\n',
    'x-api-key:abc\nb: 1\n',
    'headers: { "X-Api-Key": abc d: 1 }\n',
    'a: "https://x?api_key=abc" b\n',
    'a: https://abc:abc@host: 1\n',
    'a: [abc0123456789abcdefgh\nb: 1\n',
    'client_secret: *abc\n',
  ])('shows no secret of a line: %j', async text => {
    const message = await told(text)
    expect(message).toContain('***')
    expect(message).not.toContain('abc')
  })
})
