import { parse, tokenize } from '@huggingface/jinja'
import { isJsonObject } from '../../../json/value.js'

/** A node of the syntax tree. */
export interface Syntax {
  readonly type: string
  readonly [key: string]: unknown
}

/** Where a value comes from that is known only during a run. */
export type Root =
  | 'record'
  | 'response'
  | 'headers'
  | 'last_record'
  | 'last_page_size'
  | 'partition'
  | 'extra'
  | 'interval'
  | 'state'
  | 'token'
  | 'now'

/** The result of an expression, as far as it is known before a run. */
export type Value =
  | { readonly kind: 'known'; readonly value: unknown }
  /** A reference to an option that the user sets. */
  | { readonly kind: 'setting'; readonly keys: readonly string[]; readonly secret: boolean }
  | { readonly kind: 'path'; readonly root: Root; readonly keys: readonly (string | number)[] }
  | { readonly kind: 'time'; readonly of: Value; readonly format: string | undefined }
  | { readonly kind: 'joined'; readonly parts: readonly Value[] }

/** Thrown for something that a document cannot express. */
export class Unsayable extends Error {}

/** What names mean in an expression. */
export interface Names {
  /** The option at these keys, undefined if it is not set. `isNeeded`: the expression has no other value for it. */
  option(keys: readonly string[], isNeeded: boolean): Value | undefined
  readonly parameters: Readonly<Record<string, unknown>>
  /** Notes an assumption. */
  assume(text: string): void
}

const NONE: Value = { kind: 'known', value: null }
/** What Jinja makes of what is not there. Unlike Python's None it is printed as nothing. */
const UNDEFINED: Value = { kind: 'known', value: undefined }

export const known = (value: unknown): Value => ({ kind: 'known', value })

/** Parses a template. Throws Unsayable if it cannot be parsed. */
function syntaxOf(template: string): readonly Syntax[] {
  if (template.length > 20_000) throw new Unsayable('the expression is too long')
  try {
    return parse(tokenize(withPlainBackslashes(template))).body as unknown as Syntax[]
  } catch (error) {
    if (error instanceof RangeError) throw error
    throw new Unsayable(`the expression cannot be read (${(error as Error).message.split('\n')[0]})`)
  }
}

/** Python keeps a backslash before most letters, as in `'\\d'`. The parser would read it as an escape. */
function withPlainBackslashes(template: string): string {
  if (!template.includes('\\')) return template
  return template.replace(/\{[{%][\s\S]*?[%}]\}/g, code =>
    code.replace(/'(?:[^'\\]|\\[\s\S])*'|"(?:[^"\\]|\\[\s\S])*"/g, text =>
      text.replace(/\\([\s\S])/g, (whole, letter: string) => (ESCAPED.test(letter) ? whole : `\\${whole}`)),
    ),
  )
}

/** The characters that make an escape after a backslash in Python. */
const ESCAPED = /['"\\\nabfnrtvuUNx0-7]/

/** The parts of a template, without blank text between them. */
export function partsIn(template: string): readonly Syntax[] {
  return syntaxOf(template).filter(node => !(node.type === 'StringLiteral' && /^\s*$/.test(String(node.value))))
}

/** The only expression of a template. Throws Unsayable if it has several. */
export function expressionOf(template: string): Syntax {
  const [only, ...others] = partsIn(template)
  if (only === undefined || others.length > 0) throw new Unsayable('several parts')
  return only
}

export const isTemplate = (text: string): boolean => text.includes('{{') || text.includes('{%')

/** The value of a template. Throws Unsayable if it is neither known before a run nor a place in an answer. */
export function templateValue(text: unknown, names: Names): Value {
  if (typeof text !== 'string' || !isTemplate(text)) return known(text)
  const parts = bodyValues(syntaxOf(text), new Map(), names)
  const [only] = parts
  return only !== undefined && parts.length === 1 ? literal(only) : joined(parts)
}

/** The result of Python's `literal_eval`, which Airbyte applies to the result of an expression. */
function literal(value: Value): Value {
  return value.kind === 'known' && typeof value.value === 'string' ? known(literalOf(value.value)) : value
}

export function literalOf(text: string): unknown {
  if (/^-?(0|[1-9]\d*)(\.\d+)?$/.test(text) && Number.isSafeInteger(Math.trunc(Number(text)))) return Number(text)
  if (text === 'True' || text === 'False') return text === 'True'
  if (text === 'None') return null
  // A text within quotes is that text.
  return /^(['"])[^'"\\\n]*\1$/.test(text) ? text.slice(1, -1) : text
}

const TEXTS = /'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"/g
/** What Python writes otherwise than JSON: texts in single quotes, constants, and a comma behind the last member. */
const PYTHON_PIECES = new RegExp(`${TEXTS.source}|[A-Z][a-z]+|,(?=\\s*[\\]}])`, 'g')
const CONSTANTS: Readonly<Record<string, string>> = { True: 'true', False: 'false', None: 'null' }

/**
 * The list or map that Python's `literal_eval` makes of a text. Undefined if it makes none. Throws Unsayable if the text may
 * be one and is not read here.
 */
export function containerOf(text: string): unknown {
  if (!/^[[{(]/.test(text.trim())) return undefined
  const outside = text.replace(TEXTS, '')
  // A word, as in a query of GraphQL, is no value.
  if ((outside.match(/[A-Za-z_]\w*/g) ?? []).some(word => !Object.hasOwn(CONSTANTS, word))) return undefined
  const json = text.replace(PYTHON_PIECES, piece => {
    if (piece === ',') return ''
    return CONSTANTS[piece] ?? (/^'[^"\\]*'$/.test(piece) ? `"${piece.slice(1, -1)}"` : piece)
  })
  try {
    return JSON.parse(json) as unknown
  } catch {
    throw new Unsayable('a text that Python may read as a list or a map')
  }
}

/** The keys of an option, if the template only refers to one. */
export function optionOf(template: unknown): readonly string[] | undefined {
  const option = (keys: readonly string[]): Value => ({ kind: 'setting', keys, secret: false })
  const value = ifSayable(() => templateValue(template, { option, parameters: {}, assume() {} }))
  return value?.kind === 'setting' ? value.keys : undefined
}

function bodyValues(body: readonly Syntax[], variables: Map<string, Value>, names: Names): Value[] {
  const parts: Value[] = []
  for (const node of body) {
    if (node.type === 'Comment') continue
    if (node.type === 'Set') {
      const { value: name } = node.assignee as Syntax
      variables.set(String(name), evaluate(node.value as Syntax, { variables, names }))
    } else if (node.type === 'If') {
      const holds = truth(evaluate(node.test as Syntax, { variables, names }))
      parts.push(...bodyValues((holds ? node.body : node.alternate) as Syntax[], variables, names))
    } else if (node.type === 'For' || node.type === 'Macro')
      throw new Unsayable(`a statement \`${node.type.toLowerCase()}\``)
    else parts.push(settled(evaluate(node, { variables, names }), names))
  }
  if (body.length === 1) return parts
  // Blank lines between statements and around them do not count. A space between two values does.
  const isBlank = (part: Value): boolean => part.kind === 'known' && /^\s*$/.test(shown(part.value))
  const [from, to] = [parts.findIndex(part => !isBlank(part)), parts.findLastIndex(part => !isBlank(part))]
  return parts
    .slice(Math.max(0, from), to + 1)
    .filter(part => !isBlank(part) || (part.kind === 'known' && /^ +$/.test(String(part.value))))
}

function joined(parts: readonly Value[]): Value {
  const flat = parts
    .flatMap(part => (part.kind === 'joined' ? part.parts : [part]))
    .filter(part => part.kind !== 'known' || part.value !== undefined)
  if (flat.every(part => part.kind === 'known')) return literal(known(flat.map(({ value }) => shown(value)).join('')))
  return { kind: 'joined', parts: withoutQuotes(flat) }
}

/** The same as a text within quotes is, if there are quotes around all. */
function withoutQuotes(parts: readonly Value[]): readonly Value[] {
  const texts = parts.map(part => (part.kind === 'known' ? shown(part.value) : ''))
  const [first = '', last = ''] = [texts[0], texts.at(-1)]
  const [quote = ''] = first
  if (parts.length < 2 || !/['"]/.test(quote) || !last.endsWith(quote)) return parts
  if (/['"\\\n]/.test([first.slice(1), ...texts.slice(1, -1), last.slice(0, -1)].join(''))) return parts
  const inner = [known(first.slice(1)), ...parts.slice(1, -1), known(last.slice(0, -1))]
  return inner.filter(part => part.kind !== 'known' || part.value !== '')
}

/** A value as a template prints it. */
function shown(value: unknown): string {
  if (value === undefined) return ''
  if (value === null) return 'None'
  if (value === true) return 'True'
  if (value === false) return 'False'
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}

interface Scope {
  readonly variables: ReadonlyMap<string, Value>
  readonly names: Names
}

type Config = { readonly kind: 'config'; readonly keys: readonly string[] }
type Raw = Value | Config

function settled(value: Raw, names: Names): Value {
  return value.kind === 'config' ? (names.option(value.keys, true) ?? NONE) : value
}

function evaluate(node: Syntax, scope: Scope): Value {
  return settled(raw(node, scope), scope.names)
}

const ROOTS: Readonly<Record<string, Root>> = {
  record: 'record',
  response: 'response',
  headers: 'headers',
  last_record: 'last_record',
  last_page_size: 'last_page_size',
  stream_partition: 'partition',
  stream_slice: 'partition',
  stream_interval: 'interval',
  stream_state: 'state',
  next_page_token: 'token',
}

function raw(node: Syntax, scope: Scope): Raw {
  switch (node.type) {
    case 'StringLiteral':
    case 'IntegerLiteral':
    case 'FloatLiteral':
      return known(node.value)
    case 'ArrayLiteral':
    case 'TupleLiteral':
      return known((node.value as Syntax[]).map(item => plain(evaluate(item, scope))))
    case 'ObjectLiteral':
      return known(
        Object.fromEntries(
          [...(node.value as Map<Syntax, Syntax>)].map(([key, value]) => [
            String(plain(evaluate(key, scope))),
            plain(evaluate(value, scope)),
          ]),
        ),
      )
    case 'Identifier':
      return identifier(String(node.value), scope)
    case 'MemberExpression':
      return member(node, scope)
    case 'CallExpression':
      return call(node, scope)
    case 'FilterExpression':
      return filtered(node, scope)
    case 'BinaryExpression':
      return binary(node, scope)
    case 'UnaryExpression':
      return known(!truth(evaluate(node.argument as Syntax, scope)))
    case 'TestExpression':
      return known(tested(node, scope))
    case 'Ternary':
      return ternary(node.condition as Syntax, node.trueExpr as Syntax, node.falseExpr as Syntax, scope)
    case 'SelectExpression':
      return ternary(node.test as Syntax, node.lhs as Syntax, undefined, scope)
    default:
      throw new Unsayable(`an expression of the kind ${node.type}`)
  }
}

/** A member of a list or map. It must be known, or an option. */
function plain(value: Value): unknown {
  if (value.kind === 'known') return value.value
  if (value.kind === 'setting') return new SettingInside(value)
  throw new Unsayable('a list or map of values that are known during the run only')
}

/** An option inside a list. */
export class SettingInside {
  readonly setting: Extract<Value, { kind: 'setting' }>

  constructor(setting: Extract<Value, { kind: 'setting' }>) {
    this.setting = setting
  }
}

function identifier(name: string, { variables, names }: Scope): Raw {
  const variable = variables.get(name)
  if (variable !== undefined) return variable
  if (name === 'config') return { kind: 'config', keys: [] }
  if (name === 'parameters') return known(names.parameters)
  if (/^(none|true|false)$/i.test(name)) return known({ none: null, true: true, false: false }[name.toLowerCase()])
  const root = ROOTS[name]
  if (root !== undefined) return { kind: 'path', root, keys: [] }
  if (Object.hasOwn(names.parameters, name)) return known(names.parameters[name])
  throw new Unsayable(`the name \`${name}\``)
}

function member(node: Syntax, scope: Scope): Raw {
  const property = node.property as Syntax
  const object = raw(node.object as Syntax, scope)
  if (property.type === 'SliceExpression') throw new Unsayable('a part of a text or list')
  const key = node.computed === true ? evaluate(property, scope) : known(property.value)
  if (key.kind === 'setting') return chosenMember(object, key, scope.names)
  if (key.kind !== 'known' || (typeof key.value !== 'string' && typeof key.value !== 'number')) {
    throw new Unsayable('a key that is known during the run only')
  }
  return memberOf(object, key.value)
}

/** The member of a known map that an option chooses. Without a default it is the first one, as of a list of choices. */
function chosenMember(object: Raw, { keys }: Extract<Value, { kind: 'setting' }>, names: Names): Value {
  const map = object.kind === 'known' && !Array.isArray(object.value) ? object.value : undefined
  const [first, ...others] = typeof map === 'object' && map !== null ? Object.entries(map) : []
  if (first === undefined) throw new Unsayable('a key that is known during the run only')
  const [name, value] = first
  names.assume(
    `option \`${keys.join('.')}\`: ${JSON.stringify(name)}; others are ${JSON.stringify(others.map(([other]) => other))}`,
  )
  return value instanceof SettingInside ? value.setting : known(value)
}

function memberOf(object: Raw, key: string | number): Raw {
  if (object.kind === 'config') return { kind: 'config', keys: [...object.keys, String(key)] }
  if (object.kind === 'path') {
    const { root, keys } = object
    if (root === 'partition' && keys.length === 0) {
      if (key === 'start_time' || key === 'end_time') return { kind: 'path', root: 'interval', keys: [key] }
      if (key === 'extra_fields') return { kind: 'path', root: 'extra', keys: [] }
      if (key === 'cursor_slice') return { kind: 'path', root: 'interval', keys: [] }
      if (key === 'partition') return object
    }
    // In the CDK `stream_interval` is another name of `stream_slice`.
    if (root === 'interval' && keys.length === 0 && key !== 'start_time' && key !== 'end_time')
      return { kind: 'path', root: 'partition', keys: [key] }
    return { kind: 'path', root, keys: [...keys, key] }
  }
  if (object.kind === 'known') {
    const { value } = object
    if (typeof key === 'string' && key.startsWith('__')) throw new Unsayable(`\`${key}\`, which Airbyte refuses`)
    if (typeof value === 'object' && value !== null && Object.hasOwn(value, key)) {
      const found: unknown = (value as Record<string | number, unknown>)[key]
      return found instanceof SettingInside ? found.setting : known(found)
    }
    return NONE
  }
  throw new Unsayable(`\`.${key}\` of a value that is known during the run only`)
}

interface Arguments {
  readonly plain: readonly Syntax[]
  readonly named: Readonly<Record<string, Syntax>>
}

function argumentsOf(nodes: readonly Syntax[]): Arguments {
  const isNamed = (node: Syntax) => node.type === 'KeywordArgumentExpression'
  return {
    plain: nodes.filter(node => !isNamed(node)),
    named: Object.fromEntries(
      nodes.filter(isNamed).map(node => [String((node.key as Syntax).value), node.value as Syntax]),
    ),
  }
}

function call(node: Syntax, scope: Scope): Raw {
  const callee = node.callee as Syntax
  const { plain: given, named } = argumentsOf(node.args as Syntax[])
  const first = given[0]
  if (callee.type === 'Identifier') return macro(String(callee.value), given, named, scope)
  if (callee.type !== 'MemberExpression') throw new Unsayable('a call')
  const method = String((callee.property as Syntax).value)
  const object = raw(callee.object as Syntax, scope)
  if (method === 'get' && first !== undefined) {
    const key = plain(evaluate(first, scope))
    const other = given[1]
    const found = memberOf(object, key as string)
    const fallback = (): Value => (other === undefined ? NONE : evaluate(other, scope))
    if (found.kind === 'config') {
      if (other?.type === 'ObjectLiteral') return found
      const option = scope.names.option(found.keys, false)
      // Members of an option are looked up one by one, as some of them are references.
      return option?.kind === 'known' && isJsonObject(option.value) ? found : (option ?? fallback())
    }
    return found.kind === 'known' && found.value == null ? fallback() : found
  }
  const on = settled(object, scope.names)
  if (isMoment(on) && ['strftime', 'isoformat', 'date', 'timestamp'].includes(method)) {
    const format = method === 'strftime' && first !== undefined ? String(plain(evaluate(first, scope))) : undefined
    return {
      kind: 'time',
      of: on.kind === 'time' ? on.of : on,
      format: format ?? (method === 'timestamp' ? '%s' : undefined),
    }
  }
  // Users write an option as the API expects it, so nothing has to be stripped.
  if (on.kind === 'setting' && /^[rl]?strip$/.test(method)) return on
  if (on.kind === 'time' && on.format === '%s' && method === 'split') return on
  if (on.kind !== 'known' || typeof on.value !== 'string') throw new Unsayable(`the method \`${method}\``)
  const text = on.value
  const values = given.map(item => plain(evaluate(item, scope)))
  if (method === 'join' && values.length === 1) return joinedList(values[0], text)
  if (method === 'lower') return known(text.toLowerCase())
  if (method === 'upper') return known(text.toUpperCase())
  if (method === 'strip') return known(text.trim())
  if (method === 'replace') return known(text.replaceAll(String(values[0]), String(values[1])))
  if (method === 'split' && values.length > 0) return known(text.split(String(values[0])))
  if (method === 'startswith') return known(text.startsWith(String(values[0])))
  if (method === 'endswith') return known(text.endsWith(String(values[0])))
  if (method === 'rstrip' && values[0] === '/') return known(text.replace(/\/+$/, ''))
  throw new Unsayable(`the method \`${method}\``)
}

function isMoment(value: Value): boolean {
  if (value.kind === 'time') return true
  return value.kind === 'path' && (value.root === 'now' || value.root === 'interval')
}

function macro(name: string, given: readonly Syntax[], named: Arguments['named'], scope: Scope): Value {
  const now: Value = { kind: 'path', root: 'now', keys: [] }
  const [first, second] = given
  if (name === 'now_utc') return now
  if (name === 'today_utc' || name === 'today_with_timezone') return { kind: 'path', root: 'now', keys: ['today'] }
  if (name === 'day_delta' && first !== undefined) {
    const days = plain(evaluate(first, scope))
    const format = named.format ?? second
    const of: Value = days === 0 ? now : { kind: 'path', root: 'now', keys: [Number(days)] }
    return { kind: 'time', of, format: format === undefined ? undefined : String(plain(evaluate(format, scope))) }
  }
  if (name === 'format_datetime' && first !== undefined) {
    const value = evaluate(first, scope)
    const format = named.format ?? second
    const of = value.kind === 'time' ? value.of : value
    return { kind: 'time', of, format: format === undefined ? undefined : String(plain(evaluate(format, scope))) }
  }
  if (name === 'str_to_datetime' && first !== undefined) {
    return { kind: 'time', of: evaluate(first, scope), format: undefined }
  }
  if (name === 'timestamp' && first !== undefined) {
    const value = evaluate(first, scope)
    return { kind: 'time', of: value.kind === 'time' ? value.of : value, format: '%s' }
  }
  if (name === 'duration' && first !== undefined)
    return { kind: 'time', of: evaluate(first, scope), format: 'duration' }
  if (name === 'min' || name === 'max')
    return bound(
      name,
      given.map(item => evaluate(item, scope)),
      scope.names,
    )
  if (name === 'sanitize_url' && first !== undefined) return evaluate(first, scope)
  throw new Unsayable(`the function \`${name}\``)
}

/** The `min` or `max` of a constant and an option is the option. */
function bound(name: 'min' | 'max', values: readonly Value[], names: Names): Value {
  if (values.every(value => value.kind === 'known')) {
    const [first, ...rest] = values.map(({ value }) => value as number)
    return known(rest.reduce((best, value) => ((name === 'min') === value < (best ?? value) ? value : best), first))
  }
  const unwrapped = (value: Value): Value => (value.kind === 'time' ? unwrapped(value.of) : value)
  const chosen = values.find(value => ['setting', 'known'].includes(unwrapped(value).kind))
  if (chosen === undefined) throw new Unsayable(`\`${name}\` of values that are known during the run only`)
  names.assume(`Airbyte bounds this value by \`${name}\`; the document does not`)
  return chosen
}

function filtered(node: Syntax, scope: Scope): Value {
  const value = evaluate(node.operand as Syntax, scope)
  const filter = node.filter as Syntax
  const name = String((filter.type === 'CallExpression' ? (filter.callee as Syntax) : filter).value)
  const given = filter.type === 'CallExpression' ? (filter.args as Syntax[]) : []
  if (name === 'default' || name === 'd') {
    return value.kind === 'known' && value.value == null && given[0] !== undefined ? evaluate(given[0], scope) : value
  }
  if (['string', 'trim', 'safe'].includes(name) && value.kind !== 'known') return value
  if (name === 'int' && value.kind === 'time' && /^%m?s$/.test(value.format ?? '')) return value
  if (name === 'join' && value.kind === 'path' && value.root === 'partition') {
    const between = given[0] === undefined ? '' : shown(plain(evaluate(given[0], scope)))
    if (between === ',') return value
  }
  if (value.kind !== 'known') throw new Unsayable(`the filter \`${name}\``)
  const { value: held } = value
  if (name === 'string') return known(shown(held))
  if (name === 'int') return known(Math.trunc(Number(held)) || 0)
  if (name === 'float') return known(Number(held) || 0)
  if (name === 'lower') return known(shown(held).toLowerCase())
  if (name === 'upper') return known(shown(held).toUpperCase())
  if (name === 'trim') return known(shown(held).trim())
  if (name === 'tojson') return known(JSON.stringify(held))
  if (name === 'length' && (typeof held === 'string' || Array.isArray(held))) return known(held.length)
  if (name === 'join') return joinedList(held, given[0] === undefined ? '' : shown(plain(evaluate(given[0], scope))))
  if (name === 'replace' && given.length === 2) {
    const [from, to] = given.map(item => shown(plain(evaluate(item, scope))))
    return known(shown(held).replaceAll(from ?? '', to ?? ''))
  }
  throw new Unsayable(`the filter \`${name}\``)
}

/** Joins a list into one text. Options that are not set are left out. */
function joinedList(list: unknown, between: string): Value {
  if (list == null) return known('')
  if (!Array.isArray(list)) throw new Unsayable('`join` of what is no list')
  if (list.every(item => !(item instanceof SettingInside))) return known(list.map(shown).join(between))
  if (list.length === 1) return (list[0] as SettingInside).setting
  throw new Unsayable('`join` of several options of the user')
}

/** Whether an expression is true, if that is known before a run. An option that need not be set counts as not set. */
export function knownTruth(node: Syntax, definitions: ReadonlyMap<string, Syntax>, names: Names): boolean | undefined {
  return ifSayable(() => {
    const variables = new Map<string, Value>()
    for (const [name, definition] of definitions) {
      const value = ifSayable(() => evaluate(definition, { variables, names }))
      if (value !== undefined) variables.set(name, value)
    }
    const value = optional(node, { variables, names })
    return value.kind === 'known' ? truth(value) : undefined
  })
}

function ifSayable<T>(work: () => T): T | undefined {
  try {
    return work()
  } catch (error) {
    if (error instanceof Unsayable) return undefined
    throw error
  }
}

/** Whether a value is true in Python. An option counts as set. */
function truth(value: Value): boolean {
  if (value.kind === 'setting' || isMoment(value)) return true
  if (value.kind !== 'known') throw new Unsayable('a condition on what is known during the run only')
  const { value: held } = value
  if (Array.isArray(held)) return held.length > 0
  if (typeof held === 'object' && held !== null) return Object.keys(held).length > 0
  return Boolean(held)
}

function binary(node: Syntax, scope: Scope): Raw {
  const operator = String((node.operator as Syntax).value)
  if (operator === 'or' || operator === 'and') {
    const left = optional(node.left as Syntax, scope)
    if (isMoment(left)) return operator === 'or' ? left : evaluate(node.right as Syntax, scope)
    return truth(left) === (operator === 'or') ? left : evaluate(node.right as Syntax, scope)
  }
  const left =
    operator === '==' || operator === '!=' ? optional(node.left as Syntax, scope) : evaluate(node.left as Syntax, scope)
  const right = evaluate(node.right as Syntax, scope)
  if (left.kind === 'known' && right.kind === 'known') return known(computed(operator, left.value, right.value))
  if (operator === '~' || operator === '+') {
    const isNumber = (value: Value) => value.kind === 'known' && typeof value.value === 'number'
    if (operator === '+' && (isNumber(left) || isNumber(right))) throw new Unsayable('a sum')
    if (left.kind !== 'time' && right.kind !== 'time') return joined([left, right])
  }
  if (operator === '*' && left.kind === 'time' && left.format === '%s' && right.kind === 'known') {
    if (right.value === 1000) return { ...left, format: '%ms' }
  }
  if (operator === '-' && isMoment(left)) return { kind: 'path', root: 'now', keys: ['earlier'] }
  throw new Unsayable(`\`${operator}\` on what is known during the run only`)
}

/** An option that may be missing, because the expression checks whether it is set. */
function optional(node: Syntax, scope: Scope): Value {
  const value = raw(node, scope)
  return value.kind === 'config' ? (scope.names.option(value.keys, false) ?? NONE) : value
}

function computed(operator: string, left: unknown, right: unknown): unknown {
  const [a, b] = [left as number, right as number]
  switch (operator) {
    case '==':
      return left === right
    case '!=':
      return left !== right
    case '<':
      return a < b
    case '<=':
      return a <= b
    case '>':
      return a > b
    case '>=':
      return a >= b
    case '+':
      return Array.isArray(left) && Array.isArray(right) ? [...(left as unknown[]), ...(right as unknown[])] : a + b
    case '-':
      return a - b
    case '*':
      return a * b
    case '/':
      return a / b
    case '//':
      return Math.floor(a / b)
    case '~':
      return shown(left) + shown(right)
    case 'in':
    case 'not in':
      return isIn(left, right) === (operator === 'in')
    default:
      throw new Unsayable(`\`${operator}\``)
  }
}

function isIn(item: unknown, among: unknown): boolean {
  if (typeof among === 'string') return among.includes(String(item))
  if (Array.isArray(among)) return among.includes(item)
  return typeof among === 'object' && among !== null && Object.hasOwn(among, String(item))
}

function tested(node: Syntax, scope: Scope): boolean {
  const test = String((node.test as Syntax).value)
  const value = optional(node.operand as Syntax, scope)
  if (value.kind !== 'known' && value.kind !== 'setting')
    throw new Unsayable('a condition on what is known during the run only')
  const held = value.kind === 'known' ? value.value : 'set'
  const holds: Readonly<Record<string, () => boolean>> = {
    defined: () => held != null,
    undefined: () => held == null,
    none: () => held == null,
    true: () => held === true,
    false: () => held === false,
    string: () => typeof held === 'string',
    mapping: () => typeof held === 'object' && held !== null && !Array.isArray(held),
  }
  const check = holds[test]
  if (check === undefined) throw new Unsayable(`the test \`${test}\``)
  return check() !== node.negate
}

function ternary(condition: Syntax, yes: Syntax, no: Syntax | undefined, scope: Scope): Raw {
  if (truth(optional(condition, scope))) return raw(yes, scope)
  return no === undefined ? UNDEFINED : raw(no, scope)
}
