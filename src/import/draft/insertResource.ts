import { isDeepStrictEqual } from 'node:util'
import { type Document, isAlias, isMap, isScalar, isSeq, parseDocument, type YAMLSeq } from 'yaml'
import { documentComments, type PlacedComment } from '../document/documentText.js'

/**
 * The text of a pipeline file with one more resource behind the others. Nothing else of it changes, not even a space.
 * Undefined: the resources are not written as a list in this file, or it would not mean the same with one more.
 */
export function withResource(
  text: string,
  resource: object,
  comments: readonly PlacedComment[] = [],
): string | undefined {
  const document = parseDocument(text, MERGING)
  const list = resourcesOf(document)
  if (list === undefined) return undefined
  const last = list.items.at(-1)
  const end = rangeOf(last)?.[1]
  const start = rangeOf(list)?.[0]
  if (start === undefined || end === undefined) return undefined
  const changed =
    list.flow === true ? intoFlow(text, last, end, resource) : intoBlock(text, list, start, end, resource, comments)
  return isSameBut(document, changed, resource) ? changed : undefined
}

const MERGING = { merge: true, logLevel: 'silent' } as const

function resourcesOf(document: Document): YAMLSeq | undefined {
  const { contents } = document
  const source = isMap(contents) && contents.has('source') ? contents.get('source') : contents
  const list = isMap(source) ? source.get('resources', true) : undefined
  return isSeq(list) && !isAlias(list) && list.items.length > 0 ? list : undefined
}

function rangeOf(node: unknown): readonly [number, number, number] | undefined {
  return isMap(node) || isSeq(node) || isScalar(node) || isAlias(node) ? (node.range ?? undefined) : undefined
}

/** JSON is YAML between brackets, and the whole of a JSON file. */
function intoFlow(text: string, last: unknown, end: number, resource: object): string {
  const begin = lineStart(text, rangeOf(last)?.[0] ?? end)
  const [indent = ''] = /^[ \t]*/.exec(text.slice(begin, end)) ?? []
  const isOwnLine = text.slice(begin + indent.length, rangeOf(last)?.[0]) === ''
  const [step = '  '] = /(?<=\n)[ \t]+/.exec(text) ?? []
  const item = isOwnLine ? JSON.stringify(resource, undefined, step) : JSON.stringify(resource)
  const between = isOwnLine ? `,${eolOf(text)}${indent}` : ', '
  const lines = item.split('\n').join(`${eolOf(text)}${indent}`)
  return `${text.slice(0, end)}${between}${lines}${text.slice(end)}`
}

function intoBlock(
  text: string,
  list: YAMLSeq,
  start: number,
  end: number,
  resource: object,
  comments: readonly PlacedComment[],
): string {
  const indent = start - lineStart(text, start)
  const eol = eolOf(text)
  const place = behindItem(text, end, indent)
  const written = documentComments([resource], comments)
    .toString({ lineWidth: 0 })
    .trimEnd()
    .split('\n')
    .map(line => (line === '' ? '' : ' '.repeat(indent) + line))
  const before = list.items.at(-1)
  const isSpaced = list.items.length > 1 && isMap(before) && before.spaceBefore === true
  const head = text.slice(0, place)
  const isOpen = head !== '' && !head.endsWith('\n')
  return `${head}${isOpen ? eol : ''}${isSpaced ? eol : ''}${written.join(eol)}${eol}${text.slice(place)}`
}

/** Where the line after an item begins, and after the comments that are indented as its keys are. */
function behindItem(text: string, end: number, indent: number): number {
  const after = (from: number): number => {
    const at = text.indexOf('\n', from)
    return at === -1 ? text.length : at + 1
  }
  let place = text[end - 1] === '\n' ? end : after(end)
  for (let from = place; from < text.length; from = after(from)) {
    const line = text.slice(from, after(from))
    const [space = ''] = /^ */.exec(line) ?? []
    if (line.trim() === '') continue
    if (line[space.length] !== '#' || space.length <= indent) break
    place = after(from)
  }
  return place
}

function lineStart(text: string, at: number): number {
  return text.lastIndexOf('\n', at - 1) + 1
}

function eolOf(text: string): string {
  return text.includes('\r\n') ? '\r\n' : '\n'
}

/** Whether a reader sees all that was there, and the resource. */
function isSameBut(before: Document, changed: string, resource: object): boolean {
  const after = parseDocument(changed, MERGING)
  const added = resourcesOf(after)?.items.length
  if (after.errors.length > 0 || added === undefined) return false
  const expected = before.toJS() as Record<string, unknown>
  const source = (expected.source ?? expected) as { resources: unknown[] }
  source.resources = [...source.resources, resource]
  return isDeepStrictEqual(after.toJS(), expected)
}
