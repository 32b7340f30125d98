import { readFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { type JsonSchema, suggestionsAt } from '../../src/studio/page/document/documentCompletion.js'

const schema = JSON.parse(
  await readFile(new URL('../../schema/pipeline.schema.json', import.meta.url), 'utf8'),
) as JsonSchema

/** `|` is where the person writes. */
function at(text: string): readonly string[] {
  const place = text.indexOf('|')
  const lines = text.replace('|', '').split('\n')
  const before = text.slice(0, place).split('\n')
  const found = suggestionsAt(lines, before.length - 1, (before.at(-1) ?? '').length, schema)
  return found?.suggestions.map(({ word }) => word) ?? []
}

describe('what may stand in a document', () => {
  it.each([
    ['its first keys', '|', ['client', 'resources', 'destination', 'schedule'], ['base_url']],
    ['not those that are there', 'client:\n  base_url: x\n|', ['resources'], ['client']],
    ['keys of a map', 'client:\n  |', ['base_url', 'auth', 'paginator'], ['resources']],
    [
      'keys behind one half written',
      'client:\n  base_url: x\n  pag|\nresources: []',
      ['paginator'],
      ['base_url', 'resources'],
    ],
    [
      'keys of an element of a list',
      'resources:\n  - name: a\n    |',
      ['primary_key', 'endpoint'],
      ['name', 'base_url'],
    ],
    ['keys of the first line of an element', 'resources:\n  - |', ['name', 'endpoint'], ['base_url']],
    ['keys of the second element', 'resources:\n  - name: a\n  - |\n', ['name', 'endpoint'], ['base_url']],
    [
      'keys deep below',
      'resources:\n  - name: a\n    endpoint:\n      path: x\n      paginator:\n        |',
      ['type'],
      ['path'],
    ],
    [
      'keys of the chosen type',
      'client:\n  paginator:\n    type: offset\n    |',
      ['limit', 'offset_param'],
      ['cursor_path', 'type'],
    ],
    ['keys of another type', 'client:\n  paginator:\n    type: cursor\n    |', ['cursor_path'], ['offset_param']],
    ['values of a key', 'client:\n  paginator:\n    type: |', ['offset', 'cursor', 'page_number'], ['limit']],
    ['values half written', 'resources:\n  - name: a\n    write_disposition: me|', ['merge', 'append', 'replace'], []],
    ['nothing in a flow map', 'client: { |', [], ['base_url']],
    ['nothing in a text', 'client:\n  base_url: "|', [], ['base_url']],
    ['nothing under a key that is unknown', 'nope:\n  |', [], ['client']],
  ])('%s', (_, text, there, away) => {
    const words = at(text)
    expect(words).toEqual(expect.arrayContaining(there))
    expect(words.filter(word => away.includes(word))).toEqual([])
    expect(new Set(words).size).toBe(words.length)
  })
})
