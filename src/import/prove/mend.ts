import { type Document, isMap, isScalar, isSeq, parseDocument } from 'yaml'
import type { JsonValue } from '../../json/value.js'
import { pathKeys } from '../../rest/document/problems.js'
import { ABSENT_KEYS, REPLACES } from '../document/absentKeys.js'

/** Changes by key path, as findings have them. Null takes a key away, unless the key itself may be null. */
type Changes = Readonly<Record<string, JsonValue>>

/** Keys whose null says something: that there is none. */
const NULL_MEANS: ReadonlySet<string> = new Set(['total_path'])

/** The text of a YAML file with these changes. Comments and everything else stay as they are. */
export function mended(text: string, changes: Changes): string {
  const { document, root } = read(text)
  for (const [path, value] of Object.entries(changes)) {
    const keys = inLists(document, [...root, ...pathKeys(path)])
    const last = keys.at(-1)
    if (value === null && !(typeof last === 'string' && NULL_MEANS.has(last))) {
      if (document.hasIn(keys)) document.deleteIn(keys)
      continue
    }
    widen(document, keys)
    if (last === 'paginator' || last === 'data_selector') forget(document, keys.slice(0, -1), ABSENT_KEYS[last])
    // The doubts of a draft stand where its client is, wherever the paginator is written.
    if (last === 'paginator') forget(document, [...root, 'client'], ABSENT_KEYS.paginator)
    if (last === 'primary_key') mergeByKey(document, keys.slice(0, -1))
    // A plain value takes the place of another one, whose comment stays.
    document.setIn(keys, typeof value === 'object' && value !== null ? document.createNode(value) : value)
  }
  return document.toString({ lineWidth: 0 })
}

/** A file, and where the keys of its source are. */
function read(text: string): { readonly document: Document; readonly root: readonly string[] } {
  const document = parseDocument(text, { keepSourceTokens: true })
  return { document, root: isMap(document.contents) && document.has('source') ? ['source'] : [] }
}

/** The text of a YAML file without the doubts of an import about keys that are proven. Everything else stays as it is. */
export function withoutDoubts(text: string, proven: readonly string[]): string {
  const { document, root } = read(text)
  let hasDoubts = false
  const without = (comment: string | null = null): string | null => {
    const kept = withoutLines(comment, line => line.startsWith(' Assumed: '))
    hasDoubts ||= kept !== (comment || null)
    return kept
  }
  for (const path of proven) {
    const keys = [...root, ...pathKeys(path)]
    const map = document.getIn(keys.slice(0, -1), true)
    if (!isMap(map)) continue
    const at = map.items.findIndex(({ key }) => isScalar(key) && key.value === keys.at(-1))
    const key = map.items[at]?.key
    if (isScalar(key)) key.commentBefore = without(key.commentBefore)
    // What stands above the first key belongs to the map.
    if (at === 0) map.commentBefore = without(map.commentBefore)
  }
  return hasDoubts ? document.toString({ lineWidth: 0 }) : text
}

/** With a key, what an import replaces for want of one is merged. A `replace` that a person wrote stays. */
function mergeByKey(document: Document, resource: readonly (string | number)[]): void {
  const map = document.getIn(resource, true)
  if (!isMap(map)) return
  const at = map.items.findIndex(({ key }) => isScalar(key) && key.value === 'write_disposition')
  const key = map.items[at]?.key
  if (!isScalar(key)) return
  const isDoubt = (line: string): boolean => line.trim().startsWith(`Assumed: ${REPLACES}`)
  // What stands above the first key belongs to the map.
  const above = key.commentBefore ?? (at === 0 ? map.commentBefore : undefined)
  if (above?.split('\n').some(isDoubt) !== true) return
  key.commentBefore = withoutLines(key.commentBefore, isDoubt)
  if (at === 0) map.commentBefore = withoutLines(map.commentBefore, isDoubt)
  map.set('write_disposition', 'merge')
}

/** Takes away the comment of an import or a draft that a key is absent or unknown. */
function forget(document: Document, above: readonly (string | number)[], text: string): void {
  const map = document.getIn(above, true)
  if (!isMap(map)) return
  const isGone = (line: string): boolean => line.trim() === `Assumed: ${text}` || DRAFT_DOUBT.test(line.trim())
  const without = (comment: string | null | undefined): string | null => withoutLines(comment, isGone)
  map.comment = without(map.comment)
  for (const { key, value } of map.items) {
    if (isScalar(key)) key.commentBefore = without(key.commentBefore)
    if (isScalar(value)) value.comment = without(value.comment)
  }
}

/** The lines of a comment that stay. Null: none do. */
function withoutLines(comment: string | null | undefined, isGone: (line: string) => boolean): string | null {
  return (
    comment
      ?.split('\n')
      .filter(line => !isGone(line))
      .join('\n') || null
  )
}

/** What a draft says of pages that it could not find. A paginator that the API has shown answers it. */
const DRAFT_DOUBT = /^(?:Unknown: |Question: |Without a paginator, a run )/

/** The same keys, where hints of columns are written as a list of named entries. An entry that lacks is added. */
function inLists(document: Document, keys: readonly (string | number)[]): readonly (string | number)[] {
  const places: (string | number)[] = []
  for (const key of keys) {
    const node = places.length === 0 ? document.contents : document.getIn(places, true)
    if (typeof key === 'number' || !isSeq(node)) {
      places.push(key)
      continue
    }
    const at = node.items.findIndex(item => isMap(item) && item.get('name') === key)
    if (at === -1) node.add(document.createNode({ name: key }))
    places.push(at === -1 ? node.items.length - 1 : at)
  }
  return places
}

/** Short forms become maps: `page_number`, `orders`. */
function widen(document: Document, keys: readonly (string | number)[]): void {
  for (let length = 1; length < keys.length; length++) {
    const above = keys.slice(0, length)
    const node = document.getIn(above, true)
    if (isMap(node) || isSeq(node)) continue
    if (!isScalar(node)) continue
    document.setIn(above, document.createNode(longForm(above, node.value)))
  }
}

function longForm(path: readonly (string | number)[], value: unknown): object {
  const last = path.at(-1)
  if (value === null) return {}
  if (last === 'endpoint') return { path: value }
  if (typeof last === 'number' && path.at(-2) === 'resources') return { name: value }
  return { type: value }
}
