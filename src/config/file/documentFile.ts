import { readdir, readFile } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import type { Document, LineCounter, Node } from 'yaml'
import { setNumberLiteral } from '../../json/value.js'
import { ConfigError, type ConfigPlace } from '../../model/errors.js'
import { didYouMean } from '../../model/texts/nearMiss.js'
import { formatPath, type PropertyPath } from '../../rest/document/problems.js'
import { parsedYaml } from './parsedYaml.js'

/** Loaded with the first file: a program without one does not need it. */
type Yaml = typeof import('yaml')

/** A parsed YAML or JSON file. */
export interface DocumentFile {
  readonly path: string
  readonly value: unknown
  /** File, line and column of a key. For a missing key, those of the nearest key above it. */
  place(path: PropertyPath): ConfigPlace
}

/**
 * Reads a YAML or JSON file. Messages call it `shown`. Whole numbers beyond ±(2^53−1) become bigint, and numbers keep
 * their spelling (`numberLiteral`). Throws a ConfigError.
 */
export async function readDocument(path: string, shown = path): Promise<DocumentFile> {
  return await parseDocumentText(await readText(path, shown), shown)
}

/** The text of a file. `shown` is its name in messages. */
export async function readText(path: string, shown = path): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    throw fileError(shown, await unreadable(path, error as NodeJS.ErrnoException))
  }
}

async function unreadable(path: string, error: NodeJS.ErrnoException): Promise<string> {
  if (error.code === 'ENOENT') return `does not exist${didYouMean(basename(path), await filesBeside(path))}`
  if (error.code === 'EISDIR') return 'is a folder, not a file'
  if (error.code === 'EACCES') return 'may not be read by this user'
  return `cannot be read (${error.code ?? 'unknown reason'})`
}

/** What may be meant by the name of a file that is not there. */
async function filesBeside(path: string): Promise<readonly string[]> {
  const names = await readdir(dirname(path)).catch(() => [])
  return names.filter(name => /\.(?:ya?ml|json|[cm]?[jt]s)$/i.test(name)).slice(0, MOST_FILES)
}

const MOST_FILES = 1_000

export function fileError(file: string, message: string, at: { line?: number; column?: number } = {}): ConfigError {
  return new ConfigError([{ place: { path: '', file, ...at }, message }])
}

/** YAML 1.2, which includes JSON. `<<` merges maps. */
export async function parseDocumentText(text: string, path: string): Promise<DocumentFile> {
  const yaml = await import('yaml')
  const lineCounter = new yaml.LineCounter()
  const bare = text.replace(/^\uFEFF/, '')
  const document = parsedYaml(yaml, bare, {
    lineCounter,
    intAsBigInt: true,
    merge: true,
    prettyErrors: false,
    // A map as a key is refused with the place of it.
    logLevel: 'error',
  })
  const parsed = { yaml, document, lines: lineCounter, text: bare, file: path }
  if (document.errors.length > 0) throw (await import('./yamlFault.js')).yamlFault(parsed)
  spellNumbers(yaml, document)
  let value: unknown
  try {
    value = narrow(document.toJS({ maxAliasCount: 1_000 }))
  } catch (failure) {
    throw (await import('./yamlFault.js')).valuesFault(parsed, failure as Error)
  }
  if (value === null || value === undefined) throw fileError(path, 'is empty')
  return { path, value, place: keys => placeIn(yaml, document, lineCounter, path, keys) }
}

/** A number that the document spells differently from how JavaScript prints it. */
class SpelledNumber {
  readonly value: number | bigint
  readonly literal: string

  constructor(value: number | bigint, literal: string) {
    this.value = value
    this.literal = literal
  }
}

/** Records the spelling of numbers if it would be lost: `7.0`, `1e3`, `00123`, more digits than a double has. */
function spellNumbers(yaml: Yaml, document: Document): void {
  yaml.visit(document, {
    Scalar(key, node) {
      const { value, source } = node
      if (key === 'key' || source === undefined) return
      if (typeof value !== 'number' && typeof value !== 'bigint') return
      if (String(value) !== source && Number(source) === Number(value)) node.value = new SpelledNumber(value, source)
    },
  })
}

/** Whole numbers that a double holds exactly become numbers again. Spellings are kept with the number's parent. */
function narrow(value: unknown): unknown {
  if (value instanceof SpelledNumber) return narrow(value.value)
  if (typeof value === 'bigint') {
    const number = Number(value)
    return Number.isSafeInteger(number) ? number : value
  }
  if (typeof value !== 'object' || value === null) return value
  const copy: object = Array.isArray(value)
    ? value.map(narrow)
    : Object.fromEntries(Object.entries(value).map(([key, item]) => [key, narrow(item)]))
  for (const [key, item] of Object.entries(value)) {
    if (item instanceof SpelledNumber) setNumberLiteral(copy, key, item.literal)
  }
  return copy
}

function placeIn(
  { isAlias, isMap, isScalar, isSeq }: Yaml,
  document: Document,
  lineCounter: LineCounter,
  file: string,
  path: PropertyPath,
): ConfigPlace {
  let node = document.contents as Node | null | undefined
  let offset: number | undefined
  for (const key of path) {
    if (isAlias(node)) node = node.resolve(document)
    if (isMap(node)) {
      const pair = node.items.find(item => isScalar(item.key) && String(item.key.value) === String(key))
      if (pair === undefined) break
      offset = (pair.key as Node).range?.[0] ?? offset
      node = pair.value as Node | null
    } else if (isSeq(node)) {
      const item = node.items[Number(key)] as Node | undefined
      if (item === undefined) break
      offset = item.range?.[0] ?? offset
      node = item
    } else break
  }
  const place = { path: formatPath(path), file }
  if (offset === undefined) return place
  const { line, col } = lineCounter.linePos(offset)
  return { ...place, line, column: col }
}
