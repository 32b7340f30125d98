import { type Frame, PythonExpressions } from './pythonExpressions.js'
import { children, parts, ScriptText, type SyntaxNode, walk } from './pythonSyntax.js'
import {
  type Call,
  copier,
  isList,
  isMap,
  isUnknown,
  LONGEST_LIST,
  merged,
  type PythonValue,
  spoil,
  type Unknown,
} from './pythonValues.js'

/** One execution of a call in the script. */
export interface Seen {
  /** The function as written: `dlt.pipeline`. */
  readonly written: string
  readonly call: Call
  /** The name of the innermost function that contains the call. */
  readonly within: string | undefined
}

/** An assumption. */
export interface Assumed {
  readonly what: string
  readonly line: number
}

/** Most values of a script. Stops endless lists of lists. */
const MOST_VALUES = 200_000
/** Most comparisons of values after conditions whose result is unknown. */
const MOST_COMPARED = 5_000_000
/** Most nested calls. */
const DEEPEST_CALLS = 20

/** Thrown for a script that is larger than anybody writes. */
export class TooMuch extends Error {}

interface OwnFunction {
  readonly name: string
  readonly node: SyntaxNode
  readonly frame: Frame
}

/** The result of a statement: the returned value, if it ends the function. */
type Left = { readonly returned: PythonValue } | undefined

/**
 * Follows the values of a script through its statements: assignments, changes of lists and dictionaries, conditions,
 * loops over known lists, and its own functions. It runs nothing. A value that only a run could tell is unknown, and so
 * is everything that depends on it.
 */
export class PythonScript {
  readonly text: ScriptText
  readonly seen: Seen[] = []
  readonly assumed: Assumed[] = []
  readonly #expressions: PythonExpressions
  readonly #functions = new Map<string, OwnFunction>()
  readonly #calledFunctions = new Set<string>()
  readonly #within: string[] = []
  /** Values that functions return early, under a condition that is unknown. */
  #early: { readonly value: PythonValue; readonly unlike: Unknown }[] = []
  #values = 0
  #compared = 0

  /** Keeps the calls whose last name is `wanted`. Throws {@link TooMuch}. */
  constructor(text: string, top: SyntaxNode, wanted: RegExp) {
    this.text = new ScriptText(text)
    this.#expressions = new PythonExpressions({
      text: this.text,
      count: () => {
        this.#values += 1
        if (this.#values > MOST_VALUES) throw new TooMuch()
      },
      assume: (what, line) => void this.assumed.push({ what, line }),
      callFunction: (name, call) => this.#callOwn(name, call),
      called: (written, call) => {
        if (!wanted.test(call.call)) return
        // The script may change the value after the call.
        const copy = copier(this.#countCompared)
        const named = new Map([...call.named].map(([name, value]) => [name, copy(value)]))
        const given = { ...call, positional: call.positional.map(copy), named }
        this.seen.push({ written, call: given, within: this.#within.at(-1) })
      },
    })
    const frame: Frame = { names: new Map([['__name__', '__main__']]), outer: undefined }
    this.#block(children(top), frame)
    // Functions that the script itself does not call.
    for (const { name } of this.#functions.values())
      if (!this.#calledFunctions.has(name)) this.#callOwn(name, nothingGiven(name), true)
  }

  readonly #countCompared = (): void => {
    this.#compared += 1
    if (this.#compared > MOST_COMPARED) throw new TooMuch()
  }

  #merged(left: PythonValue, right: PythonValue, unlike: Unknown): PythonValue {
    return merged(left, right, unlike, this.#countCompared)
  }

  /** The dictionaries of a script, for scripts without a call. */
  dictionaries(top: SyntaxNode): readonly (readonly [value: PythonValue, line: number])[] {
    const found: (readonly [PythonValue, number])[] = []
    const frame: Frame = { names: new Map(), outer: undefined }
    walk(top, node => {
      if (node.name !== 'DictionaryExpression' || !/["']client["']\s*:/.test(this.text.of(node))) return
      found.push([this.#expressions.of(node, frame), this.text.lineOf(node)])
    })
    return found
  }

  #block(statements: readonly SyntaxNode[], frame: Frame): Left {
    for (const statement of statements) {
      const left = this.#statement(statement, frame)
      if (left !== undefined) return left
    }
    return undefined
  }

  #statement(node: SyntaxNode, frame: Frame): Left {
    switch (node.name) {
      case 'AssignStatement':
        this.#assign(node, frame)
        return undefined
      case 'UpdateStatement':
        this.#update(node, frame)
        return undefined
      case 'DeleteStatement':
        for (const target of parts(node).slice(1)) this.#put(target, undefined, frame)
        return undefined
      case 'ExpressionStatement': {
        const [expression] = children(node)
        if (expression !== undefined) this.#value(expression, frame)
        return undefined
      }
      case 'YieldStatement':
        this.#value(node, frame)
        return undefined
      case 'ReturnStatement': {
        const value = parts(node)[1]
        return { returned: value === undefined ? null : this.#value(value, frame) }
      }
      case 'IfStatement':
        return this.#branches(children(node), frame)
      case 'ForStatement':
        return this.#loop(node, frame)
      case 'WhileStatement':
        this.#uncertain(node, frame)
        return undefined
      case 'WithStatement':
        return this.#block(bodyOf(node), frame)
      case 'TryStatement':
        // Assumes that nothing is raised, so `except` is left out.
        return this.#block(withoutHandlers(node), frame)
      case 'DecoratedStatement': {
        const definition = children(node).find(
          ({ name }) => name === 'FunctionDefinition' || name === 'ClassDefinition',
        )
        return definition === undefined ? undefined : this.#statement(definition, frame)
      }
      case 'FunctionDefinition': {
        const name = children(node).find(child => child.name === 'VariableName')
        if (name !== undefined) this.#functions.set(this.text.of(name), { name: this.text.of(name), node, frame })
        return undefined
      }
      case 'ClassDefinition': {
        this.#class(node, frame)
        return undefined
      }
      default:
        return undefined
    }
  }

  /** `yield from rest_api_resources(config)`, and everything else that is an expression. */
  #value(node: SyntaxNode, frame: Frame): PythonValue {
    if (!/^(?:Yield(?:Statement|Expression)|AwaitExpression)$/.test(node.name)) return this.#expressions.of(node, frame)
    const value = parts(node).find(({ name }) => !/^(?:yield|from|await)$/.test(name))
    return value === undefined ? null : this.#expressions.of(value, frame)
  }

  #assign(node: SyntaxNode, frame: Frame): void {
    const all = children(node).filter(({ name }) => name !== 'TypeDef')
    const last = all.map(({ name }) => name).lastIndexOf('AssignOp')
    const values = all.slice(last + 1).filter(({ name }) => name !== ',')
    const [first] = values
    if (last < 1 || first === undefined) return
    const value = values.length === 1 ? this.#value(first, frame) : values.map(one => this.#value(one, frame))
    let targets: SyntaxNode[] = []
    for (const part of all.slice(0, last + 1)) {
      if (part.name !== 'AssignOp') {
        if (part.name !== ',') targets.push(part)
        continue
      }
      const [only] = targets
      if (targets.length === 1 && only?.name === 'MemberExpression') this.#put(only, value, frame)
      else if (!this.#expressions.bind(targets, value, frame))
        for (const target of targets) this.#expressions.bind([target], this.#expressions.unknown(target), frame)
      targets = []
    }
  }

  /** `config["client"]["auth"] = …`, and `del` without a value. */
  #put(target: SyntaxNode, value: PythonValue | undefined, frame: Frame): void {
    const [object, open, key] = children(target)
    if (target.name !== 'MemberExpression' || object === undefined || key === undefined) return
    const holder = this.#expressions.of(object, frame)
    const index = open?.name === '[' ? this.#expressions.of(key, frame) : this.text.of(key)
    if (isMap(holder) && (typeof index === 'string' || typeof index === 'number')) {
      if (value === undefined) holder.delete(String(index))
      else holder.set(String(index), value)
    } else if (isList(holder) && typeof index === 'number' && index < holder.length && index >= 0) {
      if (value === undefined) holder.splice(index, 1)
      else holder[index] = value
    } else spoil(holder, this.#expressions.unknown(target))
  }

  #update(node: SyntaxNode, frame: Frame): void {
    const [target, operator, added] = children(node)
    if (target === undefined || operator === undefined || added === undefined) return
    const value = this.#value(added, frame)
    const before = this.#expressions.of(target, frame)
    const sign = this.text.of(operator)
    if (sign === '+=' && isList(before) && isList(value) && before.length + value.length <= LONGEST_LIST)
      before.push(...value)
    else if (sign === '|=' && isMap(before) && isMap(value)) for (const [key, item] of value) before.set(key, item)
    else {
      const isText = sign === '+=' && typeof before === 'string' && typeof value === 'string'
      const isNumber = sign === '+=' && typeof before === 'number' && typeof value === 'number'
      const after = isText ? before + value : isNumber ? before + value : this.#expressions.unknown(node)
      if (isUnknown(after)) spoil(before, after)
      if (target.name === 'VariableName') frame.names.set(this.text.of(target), after)
      else this.#put(target, after, frame)
    }
  }

  /** Follows `if`, `elif` and `else`. */
  #branches(rest: readonly SyntaxNode[], frame: Frame): Left {
    const [word, condition, body, ...others] = rest
    if (word === undefined) return undefined
    if (word.name === 'else') return condition === undefined ? undefined : this.#block(statementsOf(condition), frame)
    if (condition === undefined || body === undefined) return undefined
    const holds = this.#expressions.holds(condition, frame)
    if (holds === true) return this.#block(statementsOf(body), frame)
    if (holds === false) return this.#branches(others, frame)
    const other = copied(frame, this.#countCompared)
    const left = this.#block(statementsOf(body), frame)
    const right = this.#branches(others, other)
    const unlike = this.#expressions.unknown(condition, `it depends on ${this.text.of(condition).slice(0, 50)}`)
    // A branch that raises or returns is not the one that continues.
    if (left !== undefined && right !== undefined)
      return { returned: this.#merged(left.returned, right.returned, unlike) }
    if (left !== undefined) this.#early.push({ value: left.returned, unlike })
    if (right !== undefined) this.#early.push({ value: right.returned, unlike })
    if (endsThere(body, left)) takeOver(other, frame)
    else if (right === undefined) this.#mergeFrames(frame, other, unlike)
    return undefined
  }

  #loop(node: SyntaxNode, frame: Frame): Left {
    const all = parts(node)
    const within = all.findIndex(({ name }) => name === 'in')
    const source = all[within + 1]
    const targets = all.slice(1, within).filter(({ name }) => name !== 'for')
    const body = all.find(({ name }) => name === 'Body')
    const items = source === undefined ? undefined : this.#value(source, frame)
    const list = isMap(items) ? [...items.keys()] : items
    if (body === undefined || !isList(list)) {
      this.#uncertain(node, frame)
      return undefined
    }
    for (const item of [...list]) {
      this.#countCompared()
      if (!this.#expressions.bind(targets, item, frame)) {
        this.#uncertain(node, frame)
        return undefined
      }
      const left = this.#block(statementsOf(body), frame)
      if (left !== undefined) return left
    }
    return undefined
  }

  /** Statements that run an unknown number of times. Whatever they change is unknown afterwards. */
  #uncertain(node: SyntaxNode, frame: Frame): void {
    const body = children(node).find(({ name }) => name === 'Body')
    if (body === undefined) return
    const other = copied(frame, this.#countCompared)
    const targets = parts(node).filter(({ name }) => name === 'VariableName')
    for (const target of targets) frame.names.set(this.text.of(target), this.#expressions.unknown(target))
    this.#block(statementsOf(body), frame)
    const line = this.text.of(node).split('\n')[0]?.slice(0, 50) ?? ''
    this.#mergeFrames(frame, other, this.#expressions.unknown(node, `it depends on ${line}`))
  }

  #mergeFrames(into: Frame | undefined, other: Frame | undefined, unlike: Unknown): void {
    if (into === undefined || other === undefined) return
    for (const name of new Set([...into.names.keys(), ...other.names.keys()])) {
      const [one, two] = [into.names.get(name), other.names.get(name)]
      into.names.set(name, one === undefined || two === undefined ? unlike : this.#merged(one, two, unlike))
    }
    this.#mergeFrames(into.outer, other.outer, unlike)
  }

  /** The attributes of a class that its body assigns: `Settings.BASE_URL`. */
  #class(node: SyntaxNode, frame: Frame): void {
    const name = children(node).find(child => child.name === 'VariableName')
    const body = children(node).find(child => child.name === 'Body')
    if (name === undefined || body === undefined) return
    const inner: Frame = { names: new Map(), outer: frame }
    for (const statement of statementsOf(body))
      if (statement.name === 'AssignStatement') this.#statement(statement, inner)
    if (inner.names.size > 0) frame.names.set(this.text.of(name), inner.names)
  }

  /** Calls a function of the script. `alone`: its changes do not stay. */
  #callOwn(name: string, call: Call, alone = false): PythonValue | undefined {
    const own = this.#functions.get(name)
    if (own === undefined) return undefined
    this.#calledFunctions.add(name)
    const unknown = this.#expressions.unknown(own.node, `${name}(…)`)
    if (this.#within.length >= DEEPEST_CALLS || this.#within.includes(name)) return unknown
    const outer = alone ? copied(own.frame, this.#countCompared) : own.frame
    const frame: Frame = { names: this.#parameters(own, call), outer }
    const early = this.#early
    this.#early = []
    this.#within.push(name)
    try {
      const last = this.#block(bodyOf(own.node), frame)?.returned ?? null
      // Only a run tells what a generator yields.
      if (isGenerator(own.node)) return unknown
      // A function that returns early without a value gives up.
      return this.#early
        .filter(({ value }) => value !== null && !(isList(value) && value.length === 0))
        .reduce((made, { value, unlike }) => this.#merged(made, value, unlike), last)
    } finally {
      this.#within.pop()
      this.#early = early
    }
  }

  #parameters({ node, frame }: OwnFunction, { positional, named }: Call): Map<string, PythonValue> {
    const values = new Map<string, PythonValue>()
    const list = children(node).find(({ name }) => name === 'ParamList')
    const given = [...positional]
    const taken = new Set<string>()
    for (const [first, second, third] of list === undefined ? [] : parametersOf(list)) {
      if (first?.name === '*' || first?.name === '**') {
        const rest = first.name === '*' ? given.splice(0) : new Map([...named].filter(([name]) => !taken.has(name)))
        if (second?.name === 'VariableName') values.set(this.text.of(second), rest)
        continue
      }
      if (first?.name !== 'VariableName') continue
      const name = this.text.of(first)
      taken.add(name)
      const fallback = second?.name === 'AssignOp' ? third : undefined
      const told = given.length > 0 ? given.shift() : named.get(name)
      const byDefault = fallback === undefined ? undefined : this.#default(name, fallback, frame)
      const isBetter = told === undefined || (isUnknown(told) && byDefault !== undefined)
      const value = isBetter ? byDefault : told
      values.set(name, value === undefined ? this.#expressions.unknown(first, name, name) : value)
    }
    return values
  }

  /** `token=dlt.secrets.value`: dlt finds it by the name of the parameter. */
  #default(name: string, fallback: SyntaxNode, frame: Frame): PythonValue {
    const written = this.text.of(fallback)
    if (written === 'dlt.secrets.value') return `\${secrets.${name}}`
    if (written === 'dlt.config.value') return `\${env.${name.toUpperCase()}}`
    return this.#expressions.of(fallback, frame)
  }
}

const nothingGiven = (call: string): Call => ({ call, positional: [], named: new Map(), line: 0 })

/** The nodes of each parameter, without its type. A bare `*` and `**rest` are parameters of their own. */
function parametersOf(list: SyntaxNode): readonly (readonly SyntaxNode[])[] {
  const groups: SyntaxNode[][] = [[]]
  for (const child of children(list)) {
    if (child.name === ',') groups.push([])
    else if (!/^(?:TypeDef|[()/])$/.test(child.name)) groups.at(-1)?.push(child)
  }
  return groups.filter(({ length }) => length > 0)
}

function statementsOf(body: SyntaxNode): readonly SyntaxNode[] {
  return children(body).filter(({ name }) => name !== ':')
}

function bodyOf(node: SyntaxNode): readonly SyntaxNode[] {
  const body = children(node).find(({ name }) => name === 'Body')
  return body === undefined ? [] : statementsOf(body)
}

function isGenerator(node: SyntaxNode): boolean {
  const waiting = [...bodyOf(node)]
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (/^Yield/.test(next.name)) return true
    if (next.name !== 'FunctionDefinition') waiting.push(...children(next))
  }
  return false
}

/** `try`, `else` and `finally`. */
function withoutHandlers(node: SyntaxNode): readonly SyntaxNode[] {
  const all = children(node)
  const isHandled = (at: number): boolean => {
    const before = all.slice(0, at).findLast(({ name }) => /^(?:try|except|else|finally)$/.test(name))
    return before?.name === 'except'
  }
  return all.flatMap((child, at) => (child.name === 'Body' && !isHandled(at) ? statementsOf(child) : []))
}

/** Whether a branch ends the function or raises. */
function endsThere(body: SyntaxNode, left: Left): boolean {
  return left !== undefined || statementsOf(body).some(({ name }) => name === 'RaiseStatement')
}

/** Copies the names and values of all frames. Shared values stay shared. */
function copied(frame: Frame, count: () => void): Frame {
  const copy = copier(count)
  const again = (one: Frame): Frame => ({
    names: new Map([...one.names].map(([name, value]) => [name, copy(value)])),
    outer: one.outer === undefined ? undefined : again(one.outer),
  })
  return again(frame)
}

function takeOver(from: Frame | undefined, into: Frame | undefined): void {
  if (from === undefined || into === undefined) return
  into.names.clear()
  for (const [name, value] of from.names) into.names.set(name, value)
  takeOver(from.outer, into.outer)
}
