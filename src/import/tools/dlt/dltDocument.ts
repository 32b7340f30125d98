import { count } from '../../../model/verdict.js'
import type { ImportedPipeline, ImportedSecret, ImportNote } from '../../imported.js'
import { isSecret } from '../../requests/credentials.js'
import { variable } from './pythonExpressions.js'
import { type Assumed, TooMuch } from './pythonScript.js'
import { type Call, isCall, isMap, isUnknown, type PythonValue, type Unknown } from './pythonValues.js'

/** Classes of dlt that a document names by `type`. */
const TYPES: ReadonlyMap<string, { readonly type: string; readonly positional: readonly string[] }> = new Map([
  ['BearerTokenAuth', { type: 'bearer', positional: ['token'] }],
  ['APIKeyAuth', { type: 'api_key', positional: ['name', 'api_key', 'location'] }],
  ['HttpBasicAuth', { type: 'http_basic', positional: ['username', 'password'] }],
  [
    'OAuth2ClientCredentials',
    {
      type: 'oauth2_client_credentials',
      positional: [
        'access_token_url',
        'client_id',
        'client_secret',
        'access_token_request_data',
        'default_token_expiration',
      ],
    },
  ],
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

/** Keys whose text the user can supply: a name that the script does not define becomes a variable there. */
const SAYABLE =
  /\.(?:base_url|path|data_selector)$|\.(?:headers|auth|params)\.[^.]+$|\.(?:params\.[^.]+|incremental)\.(?:initial_value|end_value)$/
/** A run without these keys may request more or show less, but it misses nothing. */
const OPTIONAL =
  /processing_steps|\.(?:map|filter|yield_map|convert|transform|columns|schema_contract|max_table_nesting|parallelized|table_format|initial_value|end_value|last_value_func|references)$/

/** The pipeline for a script's dictionary, with its assumptions and open points. */
export class DltDocument {
  readonly #line: number
  readonly #notes: ImportNote[] = []
  readonly #secrets = new Map<string, ImportedSecret>()
  /** The parameters in the path of the current endpoint. */
  #inPath: ReadonlySet<string> = new Set()
  #values = 0

  constructor(line: number, assumed: readonly Assumed[]) {
    this.#line = line
    const told = new Set<string>()
    for (const { what, line: at } of assumed) {
      if (told.has(what)) continue
      told.add(what)
      this.#notes.push({ kind: 'assumed', text: what, place: { line: at } })
    }
  }

  pipeline(document: ReadonlyMap<string, PythonValue>): ImportedPipeline {
    const source = this.#map(document, 'source') as Readonly<Record<string, unknown>>
    const resources = Array.isArray(source.resources) ? source.resources : []
    this.#notes.unshift({
      kind: 'taken',
      place: { line: this.#line },
      text: `the document with ${count(resources.length, 'resource')}`,
    })
    return { name: 'rest_api', document: { source }, notes: this.#notes, secrets: [...this.#secrets.values()] }
  }

  #map(given: ReadonlyMap<string, PythonValue>, path: string): Record<string, unknown> {
    const values = /^source\.resources\[\d+\]$|^source\.resource_defaults$/.test(path)
      ? this.#resource(given, path)
      : given
    const inPath = values.get('path')
    if (typeof inPath === 'string')
      this.#inPath = new Set([...inPath.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name))
    const entries = [...values].flatMap(([key, value]) => {
      const at = `${path}.${key}`
      const made = this.#secret(key, value, path) ?? this.#value(value, at)
      if (made === undefined) return []
      if (!/\.headers$/.test(path) || key === key.trim()) return [[key, made] as const]
      this.#assume(`${path}: the name ${JSON.stringify(key)} has spaces around it, which are left out`)
      return [[key.trim(), made] as const]
    })
    return Object.fromEntries(entries)
  }

  /** Moves the `incremental` hint of a resource to its endpoint. */
  #resource(given: ReadonlyMap<string, PythonValue>, path: string): ReadonlyMap<string, PythonValue> {
    const incremental = given.get('incremental')
    const endpoint = given.get('endpoint') ?? new Map()
    if (incremental === undefined || !(isMap(endpoint) || typeof endpoint === 'string')) return given
    const before = isMap(endpoint) ? endpoint : new Map([['path', endpoint]])
    if (before.has('incremental')) return given
    this.#assume(`${path}.incremental: it stands in \`endpoint\` here`)
    const values = new Map([...given, ['endpoint', new Map([...before, ['incremental', incremental]])]])
    values.delete('incremental')
    return values
  }

  #assume(text: string): void {
    this.#notes.push({ kind: 'assumed', text, place: { line: this.#line } })
  }

  /** The variable for a name that the script does not define, where a text is expected. */
  #variable({ name = '', unknown, line }: Unknown, path: string): string {
    const isAuth = /\.auth\.[^.]+$/.test(path)
    const text = isAuth || isSecret(name, '') ? `\${secrets.${name.toLowerCase()}}` : variable(name)
    this.#notes.push({
      kind: 'open',
      target: path,
      text: `${path}: the script does not say what ${unknown} is; set ${text}`,
      place: { line },
      stopsRun: true,
    })
    this.#referred(text)
    return text
  }

  #value(value: PythonValue, path: string): unknown {
    this.#values += 1
    if (this.#values > MOST_VALUES) throw new TooMuch()
    if (isUnknown(value)) {
      if (value.name !== undefined && SAYABLE.test(path)) return this.#variable(value, path)
      this.#open(path, value.unknown, value.line)
      return undefined
    }
    if (isCall(value)) return this.#called(value, path)
    if (isMap(value)) return this.#map(value, path)
    if (Array.isArray(value)) {
      const list = value as readonly PythonValue[]
      const isSteps = path.endsWith('.processing_steps')
      const isActions = path.endsWith('.response_actions')
      return list.flatMap((one, index) => {
        const made = this.#value(one, `${path}[${index}]`)
        // A step without its function does nothing.
        const isGone = made === undefined || (isSteps && isEmpty(made)) || (isActions && lacksAction(made))
        return isGone ? [] : [made]
      })
    }
    if (typeof value !== 'string') return value
    const text = this.#placed(value, path)
    this.#referred(text)
    return text
  }

  /** A dlt object that a document can express. */
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

  /** Replaces a secret in the script by a reference. */
  #secret(key: string, value: PythonValue, path: string): string | undefined {
    const isAuth = /\.auth$/.test(path) && SECRET_KEYS.has(key)
    const isInPath = /\.params$/.test(path) && this.#inPath.has(key)
    const isSent = /\.(?:params|headers)$/.test(path) && typeof value === 'string' && isSecret(key, value) && !isInPath
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

  /** Where a document allows no secret reference, it becomes an environment variable. */
  #placed(text: string, path: string): string {
    if (/\.(?:auth|headers|params|json|data)\b/.test(path)) return text
    return text.replace(/\$\{secrets\.([\w.-]+)\}/g, (secret, name: string) => {
      const instead = variable(name.replace(/[.-]/g, '__'))
      this.#assume(`${path}: ${secret} is ${instead} here, because only credentials are secrets`)
      return instead
    })
  }

  #referred(text: string): void {
    for (const [, name = ''] of text.matchAll(/\$\{secrets\.([\w.-]+)\}/g))
      this.#secrets.set(name, { name, what: 'secret of the script' })
  }

  #open(path: string, what: string, line: number): void {
    const stopsRun = !OPTIONAL.test(path)
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

/** More values than anybody writes. Stops lists that contain themselves many times. */
const MOST_VALUES = 200_000

function lacksAction(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !('action' in value)
}

function isEmpty(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0
}
