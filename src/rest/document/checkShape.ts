import type { z } from 'zod'
import { alternatives } from '../../model/errors.js'
import { Secret } from '../../model/secrets/secret.js'
import { nearKey, nearMiss } from '../../model/texts/nearMiss.js'
import { paginatorKinds } from '../paginators/kinds.js'
import { endpointKeys } from './declaration/endpointKeys.js'
import type { Problems, PropertyPath } from './problems.js'

type Issue = z.core.$ZodIssue

/** What one issue means. */
export interface ShapeFinding {
  readonly path: PropertyPath
  readonly message: string
  readonly kind: 'unknown_key' | 'missing' | 'discriminator' | 'other'
  /** For values of a wrong kind: what was expected, to join with other alternatives. */
  readonly expected?: string | undefined
}

/** Checks a value against its declaration and reports problems with the document's own key names. */
export function checkShape(schema: z.ZodType, value: unknown, at: PropertyPath, problems: Problems): boolean {
  const findings = shapeFindings(schema, value)
  for (const { path, message } of findings) problems.add([...at, ...path], message)
  return findings.length === 0
}

/** How a value differs from its declaration, in reading order. */
export function shapeFindings(schema: z.ZodType, value: unknown): readonly ShapeFinding[] {
  const result = schema.safeParse(value, { reportInput: true, error: noteKnownKeys })
  return result.success ? [] : inReadingOrder(result.error.issues.flatMap(issue => findingsOf(issue, [])))
}

/** Zod reports unknown keys but not the known ones. Only the message can carry them. */
const noteKnownKeys: z.core.$ZodErrorMap = issue => {
  if (issue.code !== 'unrecognized_keys') return undefined
  const definition = (issue.inst as { _zod?: { def?: { shape?: object } } } | undefined)?._zod?.def
  return Object.keys(definition?.shape ?? {}).join('\n')
}

function findingsOf(issue: Issue, above: PropertyPath): ShapeFinding[] {
  const path = [...above, ...(issue.path as PropertyPath)]
  switch (issue.code) {
    case 'unrecognized_keys': {
      const known = issue.message.split('\n')
      return issue.keys.map(key => ({
        path: [...path, key],
        message: unknownKey(key, known, path),
        kind: 'unknown_key',
      }))
    }
    case 'invalid_union':
      return issue.errors.length === 0 ? [discriminatorFinding(issue, path)] : unionFindings(issue, path)
    case 'invalid_type':
      return [wrongKind(path, typeName(issue.expected), issue.input)]
    case 'invalid_value':
      return [wrongValue(path, issue.values.map(String), issue.input)]
    case 'custom': {
      const expected: unknown = issue.params?.expected
      return [typeof expected === 'string' ? wrongKind(path, expected, issue.input) : other(path, issue.message)]
    }
    case 'too_small': {
      const amount = issue.inclusive === false ? `more than ${issue.minimum}` : `at least ${issue.minimum}`
      if (issue.origin === 'string') return [other(path, 'must not be empty')]
      return [
        other(path, issue.origin === 'array' ? `must have ${amount} ${entries(issue.minimum)}` : `must be ${amount}`),
      ]
    }
    case 'too_big': {
      const amount = issue.inclusive === false ? `less than ${issue.maximum}` : `at most ${issue.maximum}`
      return [
        other(path, issue.origin === 'array' ? `must have ${amount} ${entries(issue.maximum)}` : `must be ${amount}`),
      ]
    }
    case 'invalid_key':
      return issue.issues.flatMap(inner => findingsOf(inner as Issue, path))
    default:
      return [other(path, lowerFirst(issue.message))]
  }
}

function other(path: PropertyPath, message: string): ShapeFinding {
  return { path, message, kind: 'other' }
}

/** In a union, the alternative closest to the value is the one that was meant. */
function unionFindings(issue: Extract<Issue, { code: 'invalid_union' }>, path: PropertyPath): ShapeFinding[] {
  const branches = issue.errors.map(issues => issues.flatMap(inner => findingsOf(inner as Issue, path)))
  let best: ShapeFinding[] | undefined
  let leastWeight = WRONG_KIND
  for (const findings of branches) {
    const weight = findings.reduce((sum, finding) => sum + weightOf(finding, path), 0)
    if (weight < leastWeight) {
      best = findings
      leastWeight = weight
    }
  }
  if (best !== undefined) return best
  const expected = [...new Set(branches.flatMap(findings => findings.flatMap(finding => finding.expected ?? [])))]
  if (expected.length === 0) return branches[0] ?? []
  return [wrongValue(path, expected.flatMap(unquote), issue.input, expected)]
}

const WRONG_KIND = 1_000

function weightOf(finding: ShapeFinding, union: PropertyPath): number {
  if (finding.path.length === union.length && finding.expected !== undefined) return WRONG_KIND
  return finding.kind === 'discriminator' ? WRONG_KIND / 10 : 1
}

function discriminatorFinding(issue: Extract<Issue, { code: 'invalid_union' }>, path: PropertyPath): ShapeFinding {
  const options = ((issue as { options?: readonly unknown[] }).options ?? []).filter(
    option => typeof option === 'string',
  )
  const discriminator = String((issue as { discriminator?: unknown }).discriminator)
  const input = (issue.input as Record<string, unknown> | undefined)?.[discriminator]
  const finding = { ...wrongValue(path, options, input), kind: 'discriminator' } as const
  // A parameter is reported as a whole: a map is wrong there, whatever its type.
  return path.at(-3) === 'params' ? { path: path.slice(0, -1), message: NO_MAPS, kind: 'discriminator' } : finding
}

const NO_MAPS =
  'a query parameter is text, a number, a boolean or a list of these; a map must have `type: incremental` or `type: resolve`'

function wrongKind(path: PropertyPath, expected: string, input: unknown): ShapeFinding {
  if (input === undefined) return { path, message: `is missing; expected ${expected}`, kind: 'missing', expected }
  if (input instanceof Secret) {
    return {
      path,
      message:
        'a secret may stand only in `auth`, `headers` and `params`, and as a member of a map in `json` or `data`',
      kind: 'other',
      expected,
    }
  }
  return { path, message: `expected ${expected}, not ${kindOf(input)}`, kind: 'other', expected }
}

function wrongValue(
  path: PropertyPath,
  values: readonly string[],
  input: unknown,
  expected: readonly string[] = [alternatives(values.map(value => `\`${value}\``))],
): ShapeFinding {
  const phrase = alternatives(expected)
  if (typeof input !== 'string') return wrongKind(path, phrase, input)
  const kind = path.at(-1) === 'paginator' ? paginatorKinds.find(({ type }) => type === input) : undefined
  if (kind !== undefined) {
    const needed = Object.entries(kind.schema.shape).filter(([, field]) => !field.safeParse(undefined).success)
    const keys = needed.map(([field]) => (field === 'type' ? `type: ${kind.type}` : `${field}: …`)).join(', ')
    return { path, message: `\`${input}\` alone is not enough; write \`{${keys}}\``, kind: 'other' }
  }
  const synonym = SYNONYMS.get(input.toLowerCase())
  const meant = synonym !== undefined && values.includes(synonym) ? synonym : nearMiss(input, values)
  const written = isSensitive(path) || input.length > 40 ? '' : `, not ${JSON.stringify(input)}`
  const hint = meant === undefined ? '' : `; did you mean \`${meant}\`?`
  return { path, message: `expected ${phrase}${written}${hint}`, kind: 'other', expected: phrase }
}

/** What other tools call the data types. */
const SYNONYMS: ReadonlyMap<string, string> = new Map(
  Object.entries({
    bigint: ['integer', 'int', 'int64', 'long'],
    text: ['string', 'str', 'varchar', 'char', 'uuid'],
    double: ['float', 'float64', 'number', 'real'],
    bool: ['boolean'],
    timestamp: ['datetime', 'timestamptz'],
    json: ['object', 'array', 'list', 'dict', 'map', 'struct', 'jsonb'],
    decimal: ['numeric', 'money'],
    binary: ['bytes', 'blob', 'bytea'],
  }).flatMap(([type, names]) => names.map(name => [name, type] as const)),
)

/** What other tools call the keys. */
const KEY_SYNONYMS: ReadonlyMap<string, readonly string[]> = new Map(
  Object.entries({
    api_key: ['key', 'value'],
    attempts: ['retries', 'tries', 'max_retries', 'max_attempts', 'total'],
    base: ['delay', 'initial_delay', 'min_delay'],
    base_url: ['url', 'host', 'server'],
    concurrency: ['threads', 'workers', 'parallel'],
    cursor_path: ['next_path', 'next_token_path', 'next_cursor_path'],
    data_selector: ['selector', 'records_path', 'data_path', 'json_path', 'jsonpath', 'items'],
    destination: ['target', 'sink', 'to'],
    factor: ['multiplier', 'backoff'],
    initial_value: ['start', 'start_value', 'start_date', 'since'],
    json: ['body'],
    limit: ['page_size', 'per_page', 'size'],
    limit_param: ['page_size_param', 'per_page_param', 'size_param'],
    method: ['verb', 'http_method'],
    params: ['query', 'query_params', 'querystring', 'qs'],
    path: ['url', 'uri', 'route'],
    per: ['period', 'interval', 'every'],
    primary_key: ['key', 'keys', 'id', 'pk'],
    requests: ['calls', 'max', 'limit'],
    schedule: ['cron'],
    statuses: ['codes', 'status_forcelist', 'http_codes'],
    token: ['access_token', 'api_token', 'bearer'],
    write_disposition: ['mode', 'load_mode', 'write_mode'],
  }),
)

/** Values that may be secrets are never shown. */
function isSensitive(path: PropertyPath): boolean {
  return path.some(key => key === 'auth' || key === 'headers' || key === 'params' || key === 'json' || key === 'data')
}

/** Values named in a phrase such as `` `a` or `b` ``. */
function unquote(phrase: string): string[] {
  return [...phrase.matchAll(/`([^`]+)`/g)].map(match => match[1] ?? '')
}

const advice: Readonly<Record<string, string>> = {
  session: 'unknown key; a session is Python’s: use `transport` (TypeScript), `retry` and `timeout`',
  parent_table_name: 'unknown key; dlt declares it but does not accept it either',
}

/** What to say about a key that is unknown at its place. */
export function unknownKey(key: string, known: readonly string[], path: PropertyPath): string {
  const special = advice[key]
  if (special !== undefined) return special
  const inResource =
    (path.at(-2) === 'resources' && typeof path.at(-1) === 'number') || path.at(-1) === 'resource_defaults'
  if (inResource && Object.hasOwn(endpointKeys(), key))
    return `unknown key; it belongs in \`endpoint\`: \`endpoint.${key}\``
  const meant = known.find(name => KEY_SYNONYMS.get(name)?.includes(key.toLowerCase())) ?? nearKey(key, known)
  if (meant !== undefined) return `unknown key; did you mean \`${meant}\`?`
  return known.length === 0
    ? 'unknown key'
    : `unknown key; known here: ${known.filter(name => name !== '$schema').join(', ')}`
}

function typeName(expected: string): string {
  return expectedNames[expected] ?? expected
}

const expectedNames: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  bigint: 'a whole number',
  boolean: 'true or false',
  object: 'a map',
  record: 'a map',
  array: 'a list',
  tuple: 'a list',
  null: 'null',
}

function kindOf(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'string') return 'text'
  if (typeof value === 'number') return Number.isInteger(value) ? 'a whole number' : 'a number'
  if (typeof value === 'bigint') return 'a whole number'
  if (typeof value === 'boolean') return 'a boolean'
  if (typeof value === 'function') return 'a function'
  return typeof value === 'object' ? 'a map' : `a ${typeof value}`
}

function entries(limit: number | bigint): string {
  return Number(limit) === 1 ? 'entry' : 'entries'
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1)
}

/** A misspelt key explains the missing one next to it, so it comes first. */
function inReadingOrder(findings: readonly ShapeFinding[]): ShapeFinding[] {
  const groups = new Map<string, ShapeFinding[]>()
  for (const finding of findings) {
    const parent = JSON.stringify(finding.path.slice(0, -1))
    const group = groups.get(parent)
    if (group === undefined) groups.set(parent, [finding])
    else group.push(finding)
  }
  return [...groups.values()].flatMap(group => [
    ...group.filter(finding => finding.kind === 'unknown_key'),
    ...group.filter(finding => finding.kind !== 'unknown_key'),
  ])
}
