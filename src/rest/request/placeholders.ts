import { compiledPath, compilePath } from '../../json/path.js'
import { type JsonObject, type JsonValue, numberLiteral } from '../../json/value.js'
import { stringifyJson } from '../../json/write.js'
import { DataError, shortened } from '../../model/errors.js'
import { remembered } from '../../model/runtime/remembered.js'
import type { IncrementalWindow } from '../../model/source.js'
import { uriComponent } from '../../model/texts/percentEncoding.js'
import type { OnNull, Template, ValueTemplate } from '../document/model.js'
import { isAbsoluteUrl } from '../http/wire.js'

/**
 * Splits text into literal parts and `{expression}`s. `{{` and `}}` stand for single braces. Throws a SyntaxError for
 * an unbalanced or empty brace, and for Python's format specifications and conversions (`{x:>5}`, `{x!r}`).
 */
export function parseTemplate(text: string): Template {
  const parts: (string | { readonly expression: string })[] = []
  let literal = ''
  for (let at = 0; at < text.length; at++) {
    const character = text.charAt(at)
    if (character !== '{' && character !== '}') {
      literal += character
      continue
    }
    if (text.charAt(at + 1) === character) {
      literal += character
      at++
      continue
    }
    if (character === '}') throw templateError(text, at, 'a `}` has no `{` before it; a literal brace is doubled, `}}`')
    const end = expressionEnd(text, at)
    if (literal !== '') parts.push(literal)
    literal = ''
    parts.push({ expression: text.slice(at + 1, end).trim() })
    at = end
  }
  if (literal !== '') parts.push(literal)
  return parts
}

/** Position of the `}` that closes the brace at `open`. Brackets and quotes of a JSONPath may contain anything. */
function expressionEnd(text: string, open: number): number {
  let brackets = 0
  let quote = ''
  for (let at = open + 1; at < text.length; at++) {
    const character = text.charAt(at)
    if (quote !== '') {
      if (character === quote) quote = ''
    } else if (character === '"' || character === "'") quote = character
    else if (character === '[') brackets++
    else if (character === ']') brackets--
    else if (brackets > 0) continue
    else if (character === '}') {
      if (text.slice(open + 1, at).trim() === '')
        throw templateError(text, open, 'the braces are empty; literal braces are doubled, `{{}}`')
      return at
    } else if (character === '{') break
    else if (character === ':' || character === '!') {
      throw templateError(
        text,
        at,
        `a placeholder holds no \`${character}\` (format specifications and conversions of Python are not supported); ` +
          'for literal braces, as in JSON or GraphQL, write each twice: `{{` and `}}`',
      )
    }
  }
  throw templateError(text, open, 'a `{` is not closed; a literal brace is doubled, `{{`')
}

function templateError(text: string, at: number, reason: string): SyntaxError {
  return new SyntaxError(`${JSON.stringify(text)}, position ${at + 1}: ${reason}`)
}

/** What an expression refers to. `name` is a plain word, bound by `params`. */
export type Reference =
  | { readonly context: 'resources'; readonly parent: string; readonly field: string }
  | { readonly context: 'incremental'; readonly attribute: string }
  | { readonly context: 'name'; readonly name: string }

/** Attributes that `{incremental.<attribute>}` may name. */
const incrementalAttributes = ['start_value', 'initial_value', 'last_value', 'end_value', 'lag', 'cursor_path'] as const

/**
 * Reads an expression. Throws a SyntaxError if it has a dot but is neither `resources.<parent>.<jsonpath>` nor
 * `incremental.<attribute>`, or if its JSONPath or attribute is invalid.
 */
export function parseReference(expression: string): Reference {
  const [context, ...rest] = expression.split('.')
  if (rest.length === 0 && context !== 'resources' && context !== 'incremental') {
    return { context: 'name', name: expression }
  }
  if (context === 'resources') {
    const [parent, ...field] = rest
    if (parent === undefined || parent === '' || field.length === 0) {
      throw new SyntaxError(`\`{${expression}}\` must have the form {resources.<resource>.<field>}`)
    }
    compilePath(field.join('.'))
    return { context, parent, field: field.join('.') }
  }
  if (context === 'incremental') {
    const attribute = rest.join('.')
    if (!incrementalAttributes.some(known => known === attribute)) {
      throw new SyntaxError(`\`{${expression}}\` must name one of ${incrementalAttributes.join(', ')}`)
    }
    return { context, attribute }
  }
  throw new SyntaxError(
    `\`{${expression}}\` must start with \`resources.\` or \`incremental.\`; a literal brace is doubled, \`{{\``,
  )
}

/** Expressions of a template, in order. */
export function templateExpressions(template: Template): string[] {
  return template.flatMap(part => (typeof part === 'string' ? [] : [part.expression]))
}

/** Names of the resources that a template takes values from, each once. */
export function templateParents(template: Template): string[] {
  const parents = templateExpressions(template).flatMap(expression => {
    const reference = parseReference(expression)
    return reference.context === 'resources' ? [reference.parent] : []
  })
  return [...new Set(parents)]
}

/** Makes of a cursor value what is sent. `isEnd`: it is where the window ends. */
export type Conversion = (value: JsonValue, isEnd: boolean) => JsonValue

/** Where placeholders get their values from. */
export interface Scope {
  readonly resource: string
  /** Record of the parent. Undefined for root resources. */
  readonly parent?: JsonObject | undefined
  /** Records of the parent in one request, instead of `parent`. */
  readonly batch?: Batch | undefined
  readonly window?: IncrementalWindow | undefined
  /**
   * What the document says of null fields of the parent. `omit` leaves their place in the request out. Undefined: null is
   * an error where it has no text, and a value like others where a member of a JSON body is nothing but the placeholder.
   */
  readonly onNull?: OnNull | undefined
  /** Applied to the four values of the incremental context, but not to null. */
  readonly convert?: Conversion | undefined
}

interface Batch {
  readonly parents: readonly JsonObject[]
  /** Separates the values where they are joined. */
  readonly separator: string
}

/**
 * The scopes of a list element. If the element is one placeholder for a batch field, or an object with such
 * placeholders outside its own lists, there is one scope per record of the batch. Otherwise it is the given scope.
 */
export function elementScopes(element: ValueTemplate, scope: Scope): readonly Scope[] {
  if (scope.batch === undefined || !isOfOneRecord(element)) return [scope]
  return scopesOf(scope, scope.batch)
}

function isOfOneRecord(element: ValueTemplate): boolean {
  if (element.kind === 'object') return holdsField(element)
  if (element.kind !== 'text') return false
  const [only, more] = element.template
  return typeof only === 'object' && more === undefined && isField(only.expression)
}

/** Whether the value holds a batch field. Inner lists expand by themselves. */
function holdsField(value: ValueTemplate): boolean {
  if (value.kind === 'text') return templateExpressions(value.template).some(isField)
  if (value.kind !== 'object') return false
  return value.entries.some(entry => templateExpressions(entry.key).some(isField) || holdsField(entry.value))
}

function isField(expression: string): boolean {
  return expression.startsWith('resources.')
}

function scopesOf(scope: Scope, { parents }: Batch): Scope[] {
  return parents.map(parent => ({ ...scope, parent, batch: undefined }))
}

/**
 * The value of a template inside JSON: the native value if the template is one placeholder, else text. `undefined` if
 * it needs an incremental value that does not exist yet.
 */
export function evaluateJson(template: Template, scope: Scope, path: string): Resolved {
  const [only, more] = template
  if (only !== undefined && more === undefined && typeof only !== 'string') {
    const found = resolve(only.expression, scope, path)
    if (found.value === null && scope.onNull !== undefined) throw nullError(only.expression, scope, path)
    return found
  }
  return { value: evaluateText(template, scope, path) }
}

/**
 * The template as text: numbers as written, `true`/`false`, lists and objects as JSON. `undefined` if it needs an
 * incremental value that does not exist yet. A missing or null field of the parent is a DataError `placeholder` that
 * names `path`, the field and the record's keys.
 */
export function evaluateText(
  template: Template,
  scope: Scope,
  path: string,
  encode: (value: string, position: number, before: string) => string = value => value,
): string | undefined {
  let text = ''
  for (const [position, part] of template.entries()) {
    if (typeof part === 'string') {
      text += part
      continue
    }
    const found = resolve(part.expression, scope, path)
    if (found.value === null) throw nullError(part.expression, scope, path)
    if (found.value === undefined) return undefined
    text += encode(found.literal ?? scalarText(found.value), position, text)
  }
  return text
}

/**
 * The template as a URL or path. Its own text is sent as written. A value is percent-encoded and cannot change the host
 * or the query, or step up in the path. See {@link pathValue}. An absolute http(s) URL at the very start stays as it
 * is. A missing incremental value, empty text, and a segment that would become `.` or `..` are a DataError
 * `placeholder`. Encoding does not make such a segment safe.
 */
export function evaluatePath(template: Template, scope: Scope, path: string): string {
  const text = evaluateText(template, scope, path, (value, position, before) => {
    if (position === 0 && isAbsoluteUrl(value)) return value
    if (value === '') throw emptyError(template[position], scope, path)
    if (isWithinHost(before)) return hostValue(value, before, template[position + 1], scope, path)
    return pathValue(value, before)
  })
  if (text === undefined) {
    const missing = templateExpressions(template).find(one => resolve(one, scope, path).value === undefined)
    throw nullError(missing ?? '', scope, path)
  }
  if (template.some(part => typeof part !== 'string')) {
    const literal = template.map(part => (typeof part === 'string' ? part : '\0')).join('')
    if (stepsIn(text) > stepsIn(literal)) throw pathError('`.` or `..`', scope, path)
  }
  return text
}

/**
 * A value within a path. If it looks like a path, its slashes separate segments. If it has something that no path has
 * (`?`, `#`, `\`, a scheme, control characters, two leading slashes), it is text and stays one segment. Existing
 * percent-encoding is kept. A leading slash does not double one that is there.
 */
function pathValue(value: string, before: string): string {
  const isInQuery = /[?#]/.test(before)
  if (isInQuery || isNoPath(value)) return encodedOnce(value)
  const relative = before === '' || before.endsWith('/') ? value.replace(/^\//, '') : value
  return relative.split('/').map(encodedOnce).join('/')
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const noPath = /^\/?$|^\/\/|[?#\\\u0000-\u001f\u007f]|^[a-z][a-z0-9+.-]*:\/\//i

function isNoPath(value: string): boolean {
  return noPath.test(value)
}

/** Whether the text so far is a URL whose host may continue. */
function isWithinHost(before: string): boolean {
  return /^https?:\/\/[^/?#]*$/i.test(before)
}

/**
 * A value at the place of the host. It may be the whole host, or a part that the document continues. It may not
 * continue a host that the document began, except with a path.
 */
function hostValue(
  value: string,
  before: string,
  next: Template[number] | undefined,
  scope: Scope,
  path: string,
): string {
  const isWhole = before.endsWith('//')
  if (!isWhole && value.startsWith('/') && !isNoPath(value)) return value.split('/').map(encodedOnce).join('/')
  const goesOn = typeof next === 'string' && !/^[/?#:]/.test(next)
  const isPort = before.endsWith(':') && /^\d{1,5}$/.test(value)
  if (isWhole || goesOn || isPort) return uriComponent(value)
  throw pathError(`${JSON.stringify(shortened(value, 100))} would change the host and`, scope, path)
}

/**
 * A value that the document gives for a path, as written. It may hold slashes, escapes and a query. Only what a URL
 * cannot send is encoded: `#`, which would cut off the rest, and a `%` without an escape.
 */
export function writtenPathValue(text: string): string {
  return text.replaceAll('#', '%23').replace(/%(?![\da-f]{2})/gi, '%25')
}

/** Percent-encodes everything that would end or change a path segment, except what is already encoded. */
function encodedOnce(value: string): string {
  const hasEscapes = value.includes('%') && !/%(?![\da-f]{2})/i.test(value)
  const encoded = uriComponent(value)
  return hasEscapes ? encoded.replace(/%25(?=[\da-f]{2})/gi, '%') : encoded
}

/** Counts segments that some server may read as `.` or `..`: also encoded once or more, or after a backslash. */
function stepsIn(url: string): number {
  const path = decodedFully(url.split(/[?#]/, 1)[0] ?? '')
  return path.split(/[/\\]/).filter(segment => segment === '.' || segment === '..').length
}

/** The path after several servers have each decoded it. Longer chains are not known. */
function decodedFully(path: string): string {
  let text = path
  for (let server = 0; server < 4 && text.includes('%'); server++) {
    text = text.replace(/%(?:25)+/g, '%').replace(/%[2-7][\da-f]/gi, decodeURIComponent)
  }
  return text
}

function pathError(found: string, scope: Scope, path: string): DataError {
  return new DataError('placeholder', `${path}: ${found} cannot be a part of a path`, {
    resource: scope.resource,
    path,
  })
}

function emptyError(part: Template[number] | undefined, { resource }: Scope, path: string): DataError {
  const expression = typeof part === 'object' ? part.expression : ''
  const cure = isField(expression)
    ? '; `null_values: [""]` in the endpoint of the parent makes it null, for which `on_null` says what to do'
    : ''
  const message = `${path}: the value of \`{${expression}}\` is an empty text, which cannot be a part of a path${cure}`
  return new DataError('placeholder', message, { resource, path })
}

/**
 * The field of every record of a batch, as one text. Undefined if all are left out: an empty text would be a value. A
 * value with the separator is refused: it would look like two.
 */
function joined(expression: string, scope: Scope, batch: Batch, path: string): string | undefined {
  const { separator } = batch
  const texts = scopesOf(scope, batch).flatMap(one => {
    const { value, literal } = resolve(expression, one, path)
    if (value === undefined) return []
    if (value === null) throw nullError(expression, one, path)
    const text = literal ?? scalarText(value)
    if (!text.includes(separator)) return [text]
    throw new DataError(
      'placeholder',
      `${path}: a value of \`{${expression}}\` contains the separator ${JSON.stringify(separator)}; choose another ` +
        '`batch_separator`, or write the placeholder as the element of a list',
      { resource: scope.resource, path },
    )
  })
  return texts.length === 0 ? undefined : texts.join(separator)
}

/** A scalar as sent in a query, header or form. Lists and objects are JSON. Null has no text. */
export function scalarText(value: JsonValue): string {
  if (typeof value === 'string') return value
  return typeof value === 'object' ? stringifyJson(value) : String(value)
}

export interface Resolved {
  /** Undefined: an incremental value that does not exist yet. */
  readonly value: JsonValue | undefined
  /** A number as written by the API or in the document. */
  readonly literal?: string | undefined
}

function resolve(expression: string, scope: Scope, path: string): Resolved {
  const reference = parsedReference(expression)
  if (reference.context === 'resources' && scope.batch !== undefined) {
    return { value: joined(expression, scope, scope.batch, path) }
  }
  if (reference.context === 'incremental') return incrementalValue(reference.attribute, scope)
  if (reference.context === 'name') throw new TypeError(`\`{${expression}}\` was not bound when the document was read`)
  const record = scope.parent ?? {}
  const match = compiledPath(reference.field).find(record)[0]
  if (match === undefined) {
    const keys = Object.keys(record)
    const message =
      `${path}: a record of ${reference.parent} has no field ${JSON.stringify(reference.field)} for \`{${expression}}\`; ` +
      (keys.length === 0 ? 'the record is empty' : `its keys are ${shortened(keys.slice(0, 30).join(', '), 500)}`)
    throw new NoValueError(message, { expression, isNull: false }, scope, path)
  }
  if (match.value === null && scope.onNull === 'omit') return { value: undefined }
  const literal =
    match.container === undefined || match.key === undefined ? undefined : numberLiteral(match.container, match.key)
  return { value: match.value, literal }
}

const parsedReference = remembered(parseReference)

const windowKeys: Readonly<Record<string, 'startValue' | 'initialValue' | 'lastValue' | 'endValue'>> = {
  start_value: 'startValue',
  initial_value: 'initialValue',
  last_value: 'lastValue',
  end_value: 'endValue',
}

function incrementalValue(attribute: string, scope: Scope): Resolved {
  const { window } = scope
  if (window === undefined) return { value: undefined }
  if (attribute === 'lag') return { value: window.lag }
  if (attribute === 'cursor_path') return { value: window.cursorPath }
  const key = windowKeys[attribute]
  return key === undefined ? { value: undefined } : windowValue(window, key, scope)
}

/** A value of the window as sent. Undefined while there is none. */
export function windowValue(
  window: IncrementalWindow,
  key: 'startValue' | 'initialValue' | 'lastValue' | 'endValue',
  { convert }: Pick<Scope, 'convert'>,
): Resolved {
  const value = window[key]
  if (value === undefined || value === null) return { value: undefined }
  return convert === undefined
    ? { value, literal: numberLiteral(window, key) }
    : { value: convert(value, key === 'endValue') }
}

function nullError(expression: string, scope: Scope, path: string): DataError {
  const advice = adviceOnNull(expression, scope)
  const message = `${path}: the value of \`{${expression}}\` is null; ${advice}`
  return new NoValueError(message, { expression, isNull: true }, scope, path)
}

function adviceOnNull(expression: string, { onNull }: Scope): string {
  if (expression.startsWith('incremental.'))
    return 'set `initial_value`, or place it in `params`, where it is left out as long as there is none'
  if (onNull === 'omit') return 'a path cannot do without it; set `on_null: skip` to leave such records out'
  return 'set `on_null: skip` to leave such records out, or `omit` to ask without the value'
}

/** A placeholder without a value. */
export class NoValueError extends DataError {
  readonly expression: string
  /** The field is there, and null. */
  readonly isNull: boolean

  constructor(
    message: string,
    { expression, isNull }: Pick<NoValueError, 'expression' | 'isNull'>,
    { resource }: Scope,
    path: string,
  ) {
    super('placeholder', message, { resource, path })
    this.expression = expression
    this.isNull = isNull
  }
}
