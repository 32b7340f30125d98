import { remembered } from '../model/runtime/remembered.js'
import { type TextFunction, textFunction } from './pathText.js'
import { isJsonObject, type JsonObject, type JsonValue } from './value.js'

/**
 * A compiled JSONPath in dlt's dialect (jsonpath-ng). `$` is optional. Names may contain `-` and `_` and start with
 * `@`, or be a number; other names are quoted, after a dot or in brackets. Also: `[n]`, `[-1]`, `[0,2]`, slices, `[*]`,
 * `..`, `|` (which binds tighter than `.`), `where` and `wherenot` (tighter still), several names `['a','b']`, filters
 * `[?(@.id>1 & !(t='a' || b))]`, sorting `[/a]` and `[\a]`, `` `len` ``, `` `keys` ``, `` `this` ``, `` `path` ``, `` `parent` ``,
 * `` `str()` ``, `` `sub(/a/, b)` ``, `` `split(-, 0, -1)` ``.
 */
export interface JsonPath {
  readonly text: string
  /** Names and indexes from the root, if the path has nothing else. */
  readonly steps: readonly (string | number)[] | undefined
  /** Whether every match is a part of the document, so nothing is sorted or counted. */
  readonly locates: boolean
  /** Every match, in order. None if something on the way is missing. */
  matches(value: JsonValue): JsonValue[]
  /** The same, with the container of each match, for the texts of numbers. */
  find(value: JsonValue): PathMatch[]
  /**
   * For a value without a match: whether the path had values to choose from, such as the empty list of `data[*]`, or a
   * list in which no element passes the filter. Otherwise a name on the way is missing.
   */
  choosesFrom(value: JsonValue): boolean
  /** Whether one of the values to which a part of the path leads lacks what the next name or index asks for. */
  misses(value: JsonValue): boolean
  /** Every match in a document, in any representation. Only for paths with `locates`. */
  locate<Node>(tree: JsonTree<Node>, root: Node): Node[]
}

export interface PathMatch {
  readonly value: JsonValue
  readonly container?: JsonObject | readonly JsonValue[] | undefined
  readonly key?: string | number | undefined
  /** The match for the container. */
  readonly up?: PathMatch | undefined
}

/** How a path walks a document. */
export interface JsonTree<Node> {
  readonly kind: (node: Node) => 'object' | 'array' | 'scalar' | 'null'
  readonly member: (node: Node, key: string) => Node | undefined
  /** Values of an object's members, in order. */
  readonly members: (node: Node) => Iterable<Node>
  readonly elements: (node: Node) => readonly Node[]
  readonly value: (node: Node) => JsonValue
}

/** Compiles a path. Throws a SyntaxError with the position and what was expected. */
export function compilePath(text: string): JsonPath {
  const root = new Parser(text).parse()
  const steps = simpleSteps(root)
  const locates = isLocating(root)
  const find = (value: JsonValue): PathMatch[] => evaluate(root, { value }, { value }, valueTree, computeOnValues)
  return {
    text,
    steps,
    locates,
    find,
    matches: value => find(value).map(match => match.value),
    choosesFrom: value => cameToChoice(root, { value }, { value }),
    misses: value => lacksPlace(root, { value }, { value }),
    locate: (tree, node) => evaluate(root, node, node, tree, undefined),
  }
}

/** The same as {@link compilePath}, but compiles a repeated text only once. */
export const compiledPath: (text: string) => JsonPath = remembered(compilePath)

/** A step of a {@link pathPattern}: one of these members, any member, or any number of members. */
export type PatternStep = { readonly names: readonly string[] } | 'any' | 'deep'

/**
 * The members that lead to the matches of a path, through every element of the lists on the way. Undefined if the path
 * chooses among elements, counts or sorts. Throws as {@link compilePath} does.
 */
export function pathPattern(text: string): readonly PatternStep[] | undefined {
  return patternOf(new Parser(text).parse())
}

type Expression =
  | Computed
  | { readonly kind: 'root' | 'this' | 'any' }
  | { readonly kind: 'names'; readonly names: readonly string[] }
  | { readonly kind: 'index'; readonly indexes: readonly number[] }
  | {
      readonly kind: 'slice'
      readonly start: number | undefined
      readonly end: number | undefined
      readonly step: number
    }
  | { readonly kind: 'filter'; readonly condition: Condition }
  | {
      readonly kind: 'child' | 'descendants' | 'union' | 'where' | 'wherenot'
      readonly left: Expression
      readonly right: Expression
    }

/** Makes values that are no part of the document. */
type Computed =
  | { readonly kind: 'length' | 'keys' | 'path' | 'parent' }
  | { readonly kind: 'text'; readonly of: TextFunction }
  | { readonly kind: 'sort'; readonly by: readonly { readonly path: Expression; readonly descending: boolean }[] }

type Condition =
  | { readonly kind: 'all' | 'some'; readonly of: readonly Condition[] }
  | { readonly kind: 'not'; readonly of: Condition }
  | { readonly kind: 'test'; readonly target: Expression; readonly test?: Test | undefined }

interface Test {
  readonly operator: Operator
  readonly value: string | number | boolean
}

type Operator = '=' | '==' | '!=' | '<' | '<=' | '>' | '>=' | '=~'

const LONGEST_PATH = 2000
const NAME = /@?[A-Za-z_][A-Za-z0-9_@-]*/y
const INTEGER = /-?\d+/y
const WHERE = /where(?![A-Za-z0-9_@-])/y
const WHERENOT = /wherenot(?![A-Za-z0-9_@-])/y
const BACKQUOTED = /`((?:[^`\\]|\\.)*)`/y
const NUMBER = /-?\d+(?:\.\d+)?/y
const OPERATOR = /=~|==|!=|<=|>=|=|<|>/y
const SPACE = /\s*/y

/** Recursive descent: `..` binds loosest, then `.`, `|`, `where`, `wherenot`, brackets. */
class Parser {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  parse(): Expression {
    this.#space()
    if (this.#text.length > LONGEST_PATH) throw this.#error(`longer than ${LONGEST_PATH} characters`)
    if (this.#at === this.#text.length) throw this.#error('expected a name or `$`, the path is empty')
    const path = this.#path()
    if (this.#at < this.#text.length) throw this.#error(`unexpected ${this.#here()}`)
    return path
  }

  #path(): Expression {
    let left = this.#children()
    while (this.#eat('..')) left = { kind: 'descendants', left, right: this.#children() }
    return left
  }

  #children(): Expression {
    let left = this.#union()
    while (this.#peek() === '.' && !this.#startsWith('..') && this.#eat('.')) {
      left = { kind: 'child', left, right: this.#union() }
    }
    return left
  }

  #union(): Expression {
    let left = this.#where()
    while (this.#peek() === '|' && !this.#startsWith('||') && this.#eat('|'))
      left = { kind: 'union', left, right: this.#where() }
    return left
  }

  #where(): Expression {
    let left = this.#whereNot()
    while (this.#match(WHERE) !== undefined) left = { kind: 'where', left, right: this.#whereNot() }
    return left
  }

  #whereNot(): Expression {
    let left = this.#bracketed()
    while (this.#match(WHERENOT) !== undefined) left = { kind: 'wherenot', left, right: this.#bracketed() }
    return left
  }

  #bracketed(): Expression {
    let left = this.#peek() === '[' ? this.#bracket() : this.#primary()
    while (this.#peek() === '[') left = { kind: 'child', left, right: this.#bracket() }
    return left
  }

  #primary(): Expression {
    if (this.#eat('$')) return { kind: 'root' }
    if (this.#eat('*')) return { kind: 'any' }
    if (this.#eat('(')) {
      const inner = this.#path()
      this.#expect(')')
      return inner
    }
    if (this.#peek() === '`') return this.#operation()
    if (this.#peek() === '@' && !this.#test(NAME)) {
      this.#eat('@')
      return { kind: 'this' }
    }
    const number = this.#match(INTEGER)
    return { kind: 'names', names: [number ?? this.#name()] }
  }

  #operation(): Expression {
    BACKQUOTED.lastIndex = this.#at
    const [quoted = '', inner = ''] = BACKQUOTED.exec(this.#text) ?? []
    const call = inner.replace(/\\(.)/g, '$1')
    const name = call.trim()
    const kind = name === 'len' ? 'length' : name
    const of = textFunction(call)
    if (typeof of === 'string') throw this.#error(of)
    if (of === undefined && kind !== 'length' && !isOperation(kind)) {
      const known = 'len, keys, this, path, parent, str(), sub(/a/, b) and split(a, 0, -1)'
      throw this.#error(`only the operations ${known} are supported between backquotes`)
    }
    this.#at += quoted.length
    this.#space()
    return of === undefined ? ({ kind } as Expression) : { kind: 'text', of }
  }

  #bracket(): Expression {
    this.#expect('[')
    const inner = this.#inBracket()
    this.#expect(']')
    return inner
  }

  #inBracket(): Expression {
    if (this.#eat('?')) return { kind: 'filter', condition: this.#condition() }
    const next = this.#peek()
    if (next === '/' || next === '\\') return this.#sort()
    if (this.#eat('*')) return { kind: 'slice', start: undefined, end: undefined, step: 1 }
    if (next === ':' || this.#test(INTEGER)) return this.#indexOrSlice()
    const names = [this.#name()]
    while (this.#eat(',')) names.push(this.#name())
    return { kind: 'names', names }
  }

  #indexOrSlice(): Expression {
    const start = this.#integer()
    if (this.#peek() !== ':') {
      if (start === undefined) throw this.#error(`expected an index, found ${this.#here()}`)
      const indexes = [start]
      while (this.#eat(',')) {
        const next = this.#integer()
        if (next === undefined) throw this.#error(`expected an index, found ${this.#here()}`)
        indexes.push(next)
      }
      return { kind: 'index', indexes }
    }
    this.#eat(':')
    const end = this.#integer()
    const step = this.#eat(':') ? (this.#integer() ?? 1) : 1
    if (step < 1) throw this.#error('the step of a slice must be at least 1')
    return { kind: 'slice', start, end, step }
  }

  #integer(): number | undefined {
    const text = this.#match(INTEGER)
    return text === undefined ? undefined : Number(text)
  }

  #sort(): Expression {
    const by = []
    do {
      const descending = this.#peek() === '\\'
      if (!descending && this.#peek() !== '/') throw this.#error('expected `/` or `\\` before the name to sort by')
      this.#eat(descending ? '\\' : '/')
      by.push({ path: this.#path(), descending })
    } while (this.#eat(','))
    return { kind: 'sort', by }
  }

  /** `!` binds tightest, then `&` and `&&`, then `||`. */
  #condition(): Condition {
    const some = [this.#allOf()]
    while (this.#eat('||')) some.push(this.#allOf())
    return some.length === 1 && some[0] !== undefined ? some[0] : { kind: 'some', of: some }
  }

  #allOf(): Condition {
    const all = [this.#single()]
    while (this.#eat('&&') || this.#eat('&')) all.push(this.#single())
    return all.length === 1 && all[0] !== undefined ? all[0] : { kind: 'all', of: all }
  }

  #single(): Condition {
    if (this.#peek() === '!' && !this.#startsWith('!=')) return this.#negated()
    if (this.#eat('(')) return this.#grouped()
    const target = this.#path()
    const operator = this.#match(OPERATOR) as Operator | undefined
    if (operator === undefined && /[!<>=~]/.test(this.#peek())) {
      throw this.#error('expected one of = == != < <= > >= =~')
    }
    if (operator === undefined) return { kind: 'test', target }
    return { kind: 'test', target, test: { operator, value: this.#literal(operator) } }
  }

  #negated(): Condition {
    this.#eat('!')
    if (this.#eat('(')) return { kind: 'not', of: this.#grouped() }
    const target = this.#path()
    if (this.#test(OPERATOR)) throw this.#error("expected `)`; what `!` denies stands in parentheses, as in !(t='a')")
    return { kind: 'not', of: { kind: 'test', target } }
  }

  #grouped(): Condition {
    const inner = this.#condition()
    this.#expect(')')
    return inner
  }

  #literal(operator: Operator): string | number | boolean {
    const number = this.#match(NUMBER)
    if (number !== undefined) return Number(number)
    const quoted = this.#peek() === '"' || this.#peek() === "'"
    const text = this.#name()
    if (operator === '=~') {
      try {
        new RegExp(text)
      } catch {
        throw this.#error(`${JSON.stringify(text)} is not a regular expression`)
      }
    }
    if (!quoted && /^true$/i.test(text)) return true
    if (!quoted && /^false$/i.test(text)) return false
    return text
  }

  #name(): string {
    const quote = this.#peek()
    if (quote === '"' || quote === "'") return this.#quoted(quote)
    const name = this.#match(NAME)
    if (name === undefined) {
      const found = this.#here()
      const hint = /[^\s\]),.]/.test(this.#peek()) ? '; other names are quoted, as in ["a b"]' : ''
      throw this.#error(`expected a name, found ${found}${hint}`)
    }
    return name
  }

  #quoted(quote: string): string {
    let name = ''
    for (let at = this.#at + 1; at < this.#text.length; at++) {
      const character = this.#text.charAt(at)
      if (character === quote) {
        this.#at = at + 1
        this.#space()
        return name
      }
      if (character === '\\') at++
      name += this.#text.charAt(at)
    }
    throw this.#error(`the quote ${quote} is not closed`)
  }

  #peek(): string {
    return this.#text.charAt(this.#at)
  }

  #startsWith(token: string): boolean {
    return this.#text.startsWith(token, this.#at)
  }

  #test(pattern: RegExp): boolean {
    pattern.lastIndex = this.#at
    return pattern.test(this.#text)
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at
    const text = pattern.exec(this.#text)?.[0]
    if (text === undefined) return undefined
    this.#at += text.length
    this.#space()
    return text
  }

  #eat(token: string): boolean {
    if (!this.#startsWith(token)) return false
    this.#at += token.length
    this.#space()
    return true
  }

  #expect(token: string): void {
    if (!this.#eat(token)) throw this.#error(`expected \`${token}\`, found ${this.#here()}`)
  }

  #space(): void {
    SPACE.lastIndex = this.#at
    this.#at += SPACE.exec(this.#text)?.[0].length ?? 0
  }

  #here(): string {
    return this.#at < this.#text.length ? `\`${this.#text.slice(this.#at, this.#at + 12)}\`` : 'the end'
  }

  #error(reason: string): SyntaxError {
    return new SyntaxError(`JSONPath ${JSON.stringify(this.#text)}, position ${this.#at + 1}: ${reason}`)
  }
}

/** Evaluates counting and sorting. */
type Compute<Node> = (expression: Computed, node: Node) => Node[]

function evaluate<Node>(
  expression: Expression,
  node: Node,
  root: Node,
  tree: JsonTree<Node>,
  compute: Compute<Node> | undefined,
): Node[] {
  switch (expression.kind) {
    case 'root':
      return [root]
    case 'this':
      return [node]
    case 'any':
      return tree.kind(node) === 'object' ? [...tree.members(node)] : []
    case 'names': {
      const found: Node[] = []
      if (tree.kind(node) !== 'object') return found
      for (const name of expression.names) {
        if (name === '*') for (const member of tree.members(node)) found.push(member)
        const member = tree.member(node, name)
        if (member !== undefined) found.push(member)
      }
      return found
    }
    case 'index': {
      if (tree.kind(node) !== 'array') return []
      const elements = tree.elements(node)
      return expression.indexes.flatMap(index => elements.at(index) ?? [])
    }
    case 'slice':
      return slice(expression, node, tree)
    case 'child': {
      const found: Node[] = []
      for (const left of evaluate(expression.left, node, root, tree, compute)) {
        for (const right of evaluate(expression.right, left, root, tree, compute)) found.push(right)
      }
      return found
    }
    case 'descendants': {
      const found: Node[] = []
      for (const left of evaluate(expression.left, node, root, tree, compute)) {
        // Parents come before children. An own stack is used, so that depth uses no call stack.
        const open = [left]
        for (let next = open.pop(); next !== undefined; next = open.pop()) {
          for (const right of evaluate(expression.right, next, root, tree, compute)) found.push(right)
          const inner = innerOf(next, tree)
          for (let at = inner.length - 1; at >= 0; at--) open.push(inner[at] as Node)
        }
      }
      return found
    }
    case 'union':
      return [
        ...evaluate(expression.left, node, root, tree, compute),
        ...evaluate(expression.right, node, root, tree, compute),
      ]
    case 'where':
    case 'wherenot':
      return evaluate(expression.left, node, root, tree, compute).filter(
        left => evaluate(expression.right, left, root, tree, compute).length > 0 === (expression.kind === 'where'),
      )
    case 'filter':
      return innerOf(node, tree).filter(candidate => isMet(expression.condition, candidate, root, tree, compute))
    default: {
      if (compute === undefined) throw new TypeError('the path does not locate')
      return compute(expression, node)
    }
  }
}

function isMet<Node>(
  condition: Condition,
  node: Node,
  root: Node,
  tree: JsonTree<Node>,
  compute: Compute<Node> | undefined,
): boolean {
  const met = (inner: Condition): boolean => isMet(inner, node, root, tree, compute)
  switch (condition.kind) {
    case 'all':
      return condition.of.every(met)
    case 'some':
      return condition.of.some(met)
    case 'not':
      return !met(condition.of)
    case 'test': {
      const { target, test } = condition
      return evaluate(target, node, root, tree, compute).some(
        found => test === undefined || holds(test, tree.value(found)),
      )
    }
  }
}

function innerOf<Node>(node: Node, tree: JsonTree<Node>): readonly Node[] {
  const kind = tree.kind(node)
  if (kind === 'object') return [...tree.members(node)]
  return kind === 'array' ? tree.elements(node) : []
}

function cameToChoice(expression: Expression, node: PathMatch, root: PathMatch): boolean {
  switch (expression.kind) {
    case 'child': {
      const found = evaluate(expression.left, node, root, valueTree, computeOnValues)
      if (found.length === 0) return cameToChoice(expression.left, node, root)
      return found.some(left => cameToChoice(expression.right, left, root))
    }
    case 'union':
      return cameToChoice(expression.left, node, root) || cameToChoice(expression.right, node, root)
    case 'where':
    case 'wherenot': {
      const found = evaluate(expression.left, node, root, valueTree, computeOnValues)
      return found.length > 0 || cameToChoice(expression.left, node, root)
    }
    case 'index':
    case 'slice':
      return node.value === null || Array.isArray(node.value)
    case 'filter':
      return node.value === null || typeof node.value === 'object'
    default:
      return false
  }
}

function lacksPlace(expression: Expression, node: PathMatch, root: PathMatch): boolean {
  switch (expression.kind) {
    case 'child': {
      const { left, right } = expression
      if (lacksPlace(left, node, root)) return true
      return evaluate(left, node, root, valueTree, computeOnValues).some(match => lacksPlace(right, match, root))
    }
    case 'names':
    case 'index':
    case 'union':
      return evaluate(expression, node, root, valueTree, computeOnValues).length === 0
    default:
      return false
  }
}

/** `[*]` of an object or a scalar is the value itself. Other slices of it are empty. */
function slice<Node>(expression: Expression & { kind: 'slice' }, node: Node, tree: JsonTree<Node>): Node[] {
  const kind = tree.kind(node)
  if (kind === 'null') return []
  const elements = kind === 'array' ? tree.elements(node) : [node]
  const { start, end, step } = expression
  const part = elements.slice(start ?? 0, end ?? elements.length)
  return step === 1 ? part : part.filter((_, index) => index % step === 0)
}

function holds(test: Test, value: JsonValue): boolean {
  if (test.operator === '=~') return typeof value === 'string' && new RegExp(test.value as string).test(value)
  const order = compare(value, test.value)
  switch (test.operator) {
    case '=':
    case '==':
      return order === 0
    case '!=':
      return order !== 0
    case '<':
      return order !== undefined && order < 0
    case '<=':
      return order !== undefined && order <= 0
    case '>':
      return order !== undefined && order > 0
    case '>=':
      return order !== undefined && order >= 0
  }
}

/** Values of different types have no order. */
function compare(left: JsonValue, right: JsonValue): number | undefined {
  if (typeof left === 'string' && typeof right === 'string') {
    if (left < right) return -1
    return left > right ? 1 : 0
  }
  if (typeof left === 'boolean' || typeof right === 'boolean') return left === right ? 0 : undefined
  const numbers =
    (typeof left === 'number' || typeof left === 'bigint') && (typeof right === 'number' || typeof right === 'bigint')
  if (!numbers) return undefined
  if (left < right) return -1
  return left > right ? 1 : 0
}

const valueTree: JsonTree<PathMatch> = {
  kind: ({ value }) => {
    if (value === null) return 'null'
    if (Array.isArray(value)) return 'array'
    return typeof value === 'object' ? 'object' : 'scalar'
  },
  member: (up, key) => {
    const container = up.value as JsonObject
    return Object.hasOwn(container, key) ? { value: container[key] as JsonValue, container, key, up } : undefined
  },
  members: up => {
    const container = up.value as JsonObject
    return Object.keys(container).map(key => ({ value: container[key] as JsonValue, container, key, up }))
  },
  elements: up => {
    const container = up.value as readonly JsonValue[]
    return container.map((value, key) => ({ value, container, key, up }))
  },
  value: ({ value }) => value,
}

const computeOnValues: Compute<PathMatch> = (expression, match) => {
  const { value, up, key } = match
  if (expression.kind === 'parent') return up === undefined ? [] : [up]
  if (expression.kind === 'path') return key === undefined ? [] : [{ value: pathOf(key) }]
  if (expression.kind === 'text') {
    const text = expression.of(value, match)
    return text === undefined ? [] : [{ value: text }]
  }
  if (expression.kind === 'keys') {
    return isJsonObject(value) ? Object.keys(value).map(key => ({ value: key })) : []
  }
  if (expression.kind === 'length') {
    if (typeof value === 'string') return [{ value: [...value].length }]
    if (Array.isArray(value)) return [{ value: value.length }]
    return isJsonObject(value) ? [{ value: Object.keys(value).length }] : []
  }
  if (expression.kind !== 'sort' || !Array.isArray(value)) return []
  const list: JsonValue[] = [...value]
  for (const { path, descending } of [...expression.by].reverse()) {
    const field = (element: JsonValue): JsonValue | undefined =>
      evaluate(path, { value: element }, { value: element }, valueTree, computeOnValues)[0]?.value
    list.sort((a, b) => {
      const order = compare(field(a) ?? null, field(b) ?? null) ?? 0
      return descending ? -order : order
    })
  }
  return [{ value: list }]
}

/** The last step of the way to a value, as dlt writes it. */
function pathOf(key: string | number): string {
  if (typeof key === 'number') return `[${key}]`
  if (/^@?[A-Za-z_][A-Za-z0-9_@-]*$/.test(key)) return key
  const quote = key.includes("'") && !key.includes('"') ? '"' : "'"
  return quote + key.replaceAll('\\', '\\\\').replaceAll(quote, `\\${quote}`) + quote
}

function isOperation(name: string): name is 'keys' | 'this' | 'path' | 'parent' {
  return ['keys', 'this', 'path', 'parent'].includes(name)
}

function simpleSteps(expression: Expression): (string | number)[] | undefined {
  switch (expression.kind) {
    case 'root':
    case 'this':
      return []
    case 'names':
      return expression.names.length === 1 ? [...expression.names] : undefined
    case 'index':
      return expression.indexes.length === 1 ? [...expression.indexes] : undefined
    case 'child': {
      const left = simpleSteps(expression.left)
      const right = expression.right.kind === 'root' ? undefined : simpleSteps(expression.right)
      return left === undefined || right === undefined ? undefined : [...left, ...right]
    }
    default:
      return undefined
  }
}

function patternOf(expression: Expression): readonly PatternStep[] | undefined {
  switch (expression.kind) {
    case 'root':
    case 'this':
      return []
    case 'any':
      return ['any']
    case 'names':
      return expression.names.includes('*') ? ['any'] : [{ names: expression.names }]
    case 'slice':
      return expression.start === undefined && expression.end === undefined && expression.step === 1 ? [] : undefined
    case 'child':
    case 'descendants': {
      const left = patternOf(expression.left)
      const right = expression.right.kind === 'root' ? undefined : patternOf(expression.right)
      if (left === undefined || right === undefined) return undefined
      return expression.kind === 'child' ? [...left, ...right] : [...left, 'deep', ...right]
    }
    default:
      return undefined
  }
}

function locatesIn(condition: Condition): boolean {
  switch (condition.kind) {
    case 'all':
    case 'some':
      return condition.of.every(locatesIn)
    case 'not':
      return locatesIn(condition.of)
    case 'test':
      return isLocating(condition.target)
  }
}

function isLocating(expression: Expression): boolean {
  switch (expression.kind) {
    case 'length':
    case 'keys':
    case 'sort':
    case 'path':
    case 'parent':
    case 'text':
      return false
    case 'child':
    case 'descendants':
    case 'union':
    case 'where':
    case 'wherenot':
      return isLocating(expression.left) && isLocating(expression.right)
    case 'filter':
      return locatesIn(expression.condition)
    default:
      return true
  }
}
