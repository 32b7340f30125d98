import { Document, isMap, isScalar, isSeq, type Node, type Pair, type YAMLMap, type YAMLSeq } from 'yaml'
import { pathKeys } from '../../rest/document/problems.js'
import type { ImportedPipeline, ImportNote } from '../imported.js'

/** A comment beside a key of a document. */
export interface PlacedComment {
  /**
   * Key path: `source.client.paginator`, `source.resources[0].endpoint`, or with the name of a resource,
   * `source.resources.orders`. Where the key is not there, the comment follows the keys around it.
   */
  readonly target: string
  readonly text: string
}

export interface DocumentParts {
  /** Where an editor finds the JSON Schema. */
  readonly schema: string
  /** Lines of comments under that. */
  readonly head: readonly string[]
  readonly document: Readonly<Record<string, unknown>>
  readonly comments: readonly PlacedComment[]
}

/** A pipeline file in YAML with its comments. */
export function documentText({ schema, head, document, comments }: DocumentParts): string {
  const yaml = documentComments(document, comments)
  for (const keys of [['source'], ['source', 'resources']]) {
    const key = pairAt(yaml, keys)?.key
    if (isScalar(key)) key.spaceBefore = true
  }
  const first = [`$schema=${schema}`, ...head].map((line, index) =>
    index === 0 ? `# yaml-language-server: ${inOneLine(line)}` : `# ${inOneLine(line)}`,
  )
  return [...first, yaml.toString({ lineWidth: 0 })].join('\n')
}

/** A value as YAML, with its comments. */
export function documentComments(value: object, comments: readonly PlacedComment[]): Document {
  // Readers of YAML 1.1 take `no` for false, so that it is quoted for them.
  const yaml = new Document(value, { version: '1.1', aliasDuplicateObjects: false })
  for (const { target, text } of comments) place(yaml, pathKeys(target).map(String), text)
  return yaml
}

/** A pipeline that an importer made, as a file. Its notes stand beside the keys that they are about. */
export function importedText({ document, notes }: ImportedPipeline, schema: string, from: string): string {
  const open = notes.filter(({ kind }) => kind === 'open')
  const head = [
    `Imported by \`sluice import\` from ${from}. \`sluice plan\` says what it would ask.`,
    ...(open.length === 0 ? [] : [`Open points: ${open.length}. Search for \`Open:\`.`]),
    ...open.filter(note => targetOf(note) === undefined).map(({ text }) => `Open: ${text}`),
  ]
  const comments = notes.flatMap((note): PlacedComment[] => {
    const target = targetOf(note)
    return target === undefined ? [] : [{ target, text: `${TITLES[note.kind]}${note.text}` }]
  })
  return documentText({ schema, head, document, comments })
}

const TITLES = { taken: '', assumed: 'Assumed: ', open: 'Open: ' } as const

/** What is open shows in the file, also where the importer names no key. */
function targetOf({ kind, resource, target }: ImportNote): string | undefined {
  if (target !== undefined || kind !== 'open' || resource === undefined) return target
  return `source.resources[${JSON.stringify(resource)}]`
}

function place(yaml: Document, keys: readonly string[], text: string): void {
  const pair = pairAt(yaml, keys)
  if (pair !== undefined && isScalar(pair.key)) {
    pair.key.commentBefore = joined(pair.key.commentBefore, text)
    return
  }
  const node = nodeAt(yaml, keys)
  if (node !== undefined && pair === undefined) {
    node.commentBefore = joined(node.commentBefore, text)
    return
  }
  for (let above = keys.slice(0, -1); ; above = above.slice(0, -1)) {
    const around = nodeAt(yaml, above)
    if (isMap(around)) {
      around.comment = joined(around.comment, text)
      return
    }
    if (above.length === 0) return
  }
}

/** The pair of a map that the keys name. The first one of an item of a list has its comment before the item. */
function pairAt(yaml: Document, keys: readonly string[]): Pair | undefined {
  const last = keys.at(-1)
  const map = nodeAt(yaml, keys.slice(0, -1))
  return last !== undefined && isMap(map) ? pairOf(map, last) : undefined
}

function pairOf(map: YAMLMap, name: string): Pair | undefined {
  return map.items.find(({ key }) => isScalar(key) && String(key.value) === name)
}

function nodeAt(yaml: Document, keys: readonly string[]): Node | undefined {
  let node: unknown = yaml.contents
  for (const key of keys) {
    if (isMap(node)) node = pairOf(node, key)?.value
    else if (isSeq(node)) node = itemsOf(node).get(key)
    else return undefined
  }
  return isMap(node) || isSeq(node) || isScalar(node) ? node : undefined
}

const known = new WeakMap<YAMLSeq, ReadonlyMap<string, unknown>>()

/** The items of a list by their positions and names. A document may have thousands, each with several comments. */
function itemsOf(list: YAMLSeq): ReadonlyMap<string, unknown> {
  const found = known.get(list)
  if (found !== undefined) return found
  const items = new Map<string, unknown>()
  for (const [index, item] of list.items.entries()) {
    for (const key of [String(index), nameOf(item)]) if (key !== undefined && !items.has(key)) items.set(key, item)
  }
  known.set(list, items)
  return items
}

function nameOf(item: unknown): string | undefined {
  const name = isMap(item) ? item.get('name') : isScalar(item) ? item.value : undefined
  return typeof name === 'string' ? name : undefined
}

function joined(before: string | null | undefined, text: string): string {
  const lines = text
    .split('\n')
    .map(line => ` ${inOneLine(line)}`)
    .join('\n')
  return before == null ? lines : `${before}\n${lines}`
}

/** What comes from a source must not end the comment. */
function inOneLine(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029\uFEFF]+/gu, ' ').trimEnd()
}
