import { parser } from '@lezer/python'
import { fileError } from '../../config/documentFile.js'
import type { Imported, ImportedPipeline, ImportedSecret, ImportInput, ImportNote } from '../imported.js'
import { isSecret } from '../requests/credentials.js'
import {
  type Call,
  children,
  isCall,
  isMap,
  isUnknown,
  type PythonValue,
  PythonValues,
  type SyntaxNode,
} from './pythonValues.js'

/**
 * Makes pipelines of the `rest_api` documents in a script of dlt: the arguments of `rest_api_source` and
 * `rest_api_resources`, and else every dictionary with `client` and `resources`. The script is read as syntax and never
 * run.
 */
export function importDlt({ text, file, name }: ImportInput): Imported {
  const shown = file ?? 'script'
  const top = parser.parse(text).topNode
  const values = new PythonValues(text, top)
  const found = documentsIn(top, values)
  if (found.length === 0) {
    const why =
      'holds no `rest_api` document: no call of rest_api_source or rest_api_resources, and no dictionary with `client` and `resources`'
    throw fileError(shown, why)
  }
  const target = targetOf(top, values)
  const pipelines = found.map(({ document, line, wanted }) => {
    const made = new Making(line).pipeline(document)
    return withTarget(made, { ...target, name: name ?? target.name ?? wanted ?? 'rest_api' })
  })
  return { pipelines, leftOut: [] }
}

interface Found {
  readonly document: ReadonlyMap<string, PythonValue>
  readonly line: number
  readonly wanted: string | undefined
}

const SOURCES = /^(?:rest_api_source|rest_api_resources|rest_api)$/

function documentsIn(top: SyntaxNode, values: PythonValues): readonly Found[] {
  const called: Found[] = []
  const written: Found[] = []
  walk(top, node => {
    if (node.name === 'CallExpression') {
      const call = values.of(node)
      if (!isCall(call) || !SOURCES.test(call.call)) return
      const config = call.positional[0] ?? call.named.get('config')
      const wanted = call.named.get('name')
      if (isDocument(config))
        called.push({ document: config, line: call.line, wanted: typeof wanted === 'string' ? wanted : undefined })
    } else if (node.name === 'DictionaryExpression') {
      const document = values.of(node)
      if (isDocument(document)) written.push({ document, line: values.lineOf(node), wanted: undefined })
    }
  })
  return called.length > 0 ? called : written
}

function isDocument(value: PythonValue | undefined): value is ReadonlyMap<string, PythonValue> {
  return isMap(value) && value.has('client') && value.has('resources')
}

function walk(top: SyntaxNode, visit: (node: SyntaxNode) => void): void {
  const waiting = [top]
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    visit(node)
    waiting.push(...children(node).reverse())
  }
}

interface Target {
  readonly name?: string | undefined
  readonly destination?: string | undefined
  readonly dataset?: string | undefined
  readonly notes: readonly ImportNote[]
}

/** What `dlt.pipeline(…)` says. */
function targetOf(top: SyntaxNode, values: PythonValues): Target {
  let found: Call | undefined
  walk(top, node => {
    if (found !== undefined || node.name !== 'CallExpression') return
    const [callee] = children(node)
    const call = callee !== undefined && values.textOf(callee) === 'dlt.pipeline' ? values.of(node) : undefined
    if (isCall(call)) found = call
  })
  if (found === undefined) return { notes: [] }
  const text = (key: string): string | undefined => {
    const value = found?.named.get(key)
    return typeof value === 'string' ? value : undefined
  }
  const written = found.named.get('destination') ?? text('destination')
  const engine = isCall(written) ? written.call : typeof written === 'string' ? written : undefined
  const notes: ImportNote[] =
    engine === undefined || engine === 'duckdb'
      ? []
      : [
          {
            kind: 'open',
            place: { line: found.line },
            target: 'destination',
            text: `the script loads into ${engine}; name the place here, as in postgres://host/database`,
          },
        ]
  return { name: text('pipeline_name'), dataset: text('dataset_name'), notes }
}

function withTarget(made: ImportedPipeline, { name = made.name, dataset, notes }: Target): ImportedPipeline {
  return {
    ...made,
    name,
    document: { ...made.document, ...(dataset !== undefined && { dataset }) },
    notes: [...made.notes, ...notes],
  }
}

/** Classes of dlt that a document names by `type`. */
const TYPES: ReadonlyMap<string, { readonly type: string; readonly positional: readonly string[] }> = new Map([
  ['BearerTokenAuth', { type: 'bearer', positional: ['token'] }],
  ['APIKeyAuth', { type: 'api_key', positional: ['name', 'api_key', 'location'] }],
  ['HttpBasicAuth', { type: 'http_basic', positional: ['username', 'password'] }],
  ['OAuth2ClientCredentials', { type: 'oauth2_client_credentials', positional: [] }],
  ['SinglePagePaginator', { type: 'single_page', positional: [] }],
  ['PageNumberPaginator', { type: 'page_number', positional: ['base_page', 'page', 'page_param', 'total_path'] }],
  ['OffsetPaginator', { type: 'offset', positional: ['limit', 'offset', 'offset_param', 'limit_param', 'total_path'] }],
  ['HeaderLinkPaginator', { type: 'header_link', positional: ['links_next_key'] }],
  ['JSONLinkPaginator', { type: 'json_link', positional: ['next_url_path'] }],
  ['JSONResponsePaginator', { type: 'json_link', positional: ['next_url_path'] }],
  ['JSONResponseCursorPaginator', { type: 'cursor', positional: ['cursor_path', 'cursor_param'] }],
  ['HeaderCursorPaginator', { type: 'header_cursor', positional: ['cursor_key', 'cursor_param'] }],
])

/** Keys of `auth` whose texts are secrets. */
const SECRET_KEYS = new Set(['token', 'api_key', 'password', 'client_secret', 'private_key', 'access_token'])

class Making {
  readonly #line: number
  readonly #notes: ImportNote[] = []
  readonly #secrets = new Map<string, ImportedSecret>()

  constructor(line: number) {
    this.#line = line
  }

  pipeline(document: ReadonlyMap<string, PythonValue>): ImportedPipeline {
    const source = this.#map(document, 'source') as Readonly<Record<string, unknown>>
    const resources = Array.isArray(source.resources) ? source.resources : []
    this.#notes.unshift({
      kind: 'taken',
      place: { line: this.#line },
      text: `the document with ${resources.length} resources`,
    })
    return { name: 'rest_api', document: { source }, notes: this.#notes, secrets: [...this.#secrets.values()] }
  }

  #map(values: ReadonlyMap<string, PythonValue>, path: string): Record<string, unknown> {
    const entries = [...values].flatMap(([key, value]) => {
      const at = `${path}.${key}`
      if (isUnknown(value)) {
        this.#open(at, value.unknown, value.line)
        return []
      }
      return [[key, this.#secret(key, value, path) ?? this.#value(value, at)] as const]
    })
    return Object.fromEntries(entries.filter(([, value]) => value !== undefined))
  }

  #value(value: PythonValue, path: string): unknown {
    if (isUnknown(value)) {
      this.#open(path, value.unknown, value.line)
      return undefined
    }
    if (isCall(value)) return this.#called(value, path)
    if (isMap(value)) return this.#map(value, path)
    if (Array.isArray(value)) {
      const list = value as readonly PythonValue[]
      return list.flatMap((one, index) => {
        const made = this.#value(one, `${path}[${index}]`)
        return made === undefined ? [] : [made]
      })
    }
    if (typeof value === 'string') this.#referred(value)
    return value
  }

  /** An object of dlt that has a form in a document. */
  #called({ call, positional, named, line }: Call, path: string): unknown {
    if (call === 'incremental') {
      const keys = ['cursor_path', 'initial_value', 'last_value_func', 'primary_key', 'end_value']
      const given = new Map([...positional.map((value, at) => [keys[at] ?? '', value] as const), ...named])
      const isParam = /\.params\.[^.]+$/.test(path)
      return { ...(isParam && { type: 'incremental' }), ...this.#map(given, path) }
    }
    const known = TYPES.get(call)
    if (known === undefined) {
      this.#open(path, `${call}(…)`, line)
      return undefined
    }
    const given = new Map([...positional.map((value, at) => [known.positional[at] ?? '', value] as const), ...named])
    given.delete('')
    return { type: known.type, ...this.#map(given, path) }
  }

  /** A secret that the script holds in clear becomes a reference. */
  #secret(key: string, value: PythonValue, path: string): string | undefined {
    const isAuth = /\.auth$/.test(path) && SECRET_KEYS.has(key)
    const isSent = /\.(?:params|headers)$/.test(path) && typeof value === 'string' && isSecret(key, value)
    if (
      typeof value !== 'string' ||
      value === '' ||
      /^\$\{(?:secrets|env)\.[^}]+\}$/.test(value) ||
      !(isAuth || isSent)
    )
      return undefined
    const [, scheme = ''] = /^((?:Bearer|Token|Basic|ApiKey) )/i.exec(value) ?? []
    if (/\$\{secrets\./.test(value)) {
      this.#referred(value)
      return value
    }
    const name = key.toLowerCase().replace(/\W+/g, '_')
    this.#secrets.set(name, { name, what: `${key} of the script` })
    this.#notes.push({
      kind: 'assumed',
      text: `${path}.${key} was in clear; it is the secret ${name} now`,
      place: { line: this.#line },
    })
    return `${scheme}\${secrets.${name}}`
  }

  #referred(text: string): void {
    for (const [, name = ''] of text.matchAll(/\$\{secrets\.([\w.-]+)\}/g))
      this.#secrets.set(name, { name, what: 'secret of the script' })
  }

  #open(path: string, what: string, line: number): void {
    const stopsRun = !/processing_steps|\.(?:map|filter|yield_map|convert|transform)$/.test(path)
    const text = `left out, because it would have to be run: ${what}`
    this.#notes.push({
      kind: 'open',
      target: path.replace(/\[\d+\]$/, ''),
      text: `${path}: ${text}`,
      place: { line },
      stopsRun,
    })
  }
}
