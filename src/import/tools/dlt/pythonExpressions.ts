import { builtIn, methodOf, referenceOf } from './pythonBuiltIns.js'
import { children, parts, type ScriptText, type SyntaxNode, unescaped, unquoted } from './pythonSyntax.js'
import {
  type Call,
  isCall,
  isList,
  isMap,
  isReference,
  isUnknown,
  LONGEST_LIST,
  LONGEST_TEXT,
  type PythonList,
  type PythonMap,
  type PythonValue,
  spoil,
  type Unknown,
} from './pythonValues.js'

/** The names and values of a function or script. */
export interface Frame {
  readonly names: Map<string, PythonValue>
  readonly outer: Frame | undefined
}

/** What the script gives its expressions. */
export interface Around {
  readonly text: ScriptText
  /** Counts a value. Throws if there are too many. */
  readonly count: () => void
  /** Notes an assumption. */
  readonly assume: (what: string, line: number) => void
  /** Calls a function of the script. Undefined if there is none of that name. */
  readonly callFunction: (name: string, call: Call, frame: Frame) => PythonValue | undefined
  /** Told about every call, with the text of the function. */
  readonly called: (written: string, call: Call, node: SyntaxNode) => void
}

/** Most nested expressions. */
const DEEPEST = 60

/** Evaluates the expressions of a script, as far as possible without running it. The rest is unknown. */
export class PythonExpressions {
  readonly #around: Around
  readonly #text: ScriptText
  /** Whole numbers that the script writes with a point. */
  readonly #floats = new Set<number>()
  #depth = 0

  constructor(around: Around) {
    this.#around = around
    this.#text = around.text
  }

  of(node: SyntaxNode, frame: Frame): PythonValue {
    this.#around.count()
    if (this.#depth > DEEPEST) return this.unknown(node, 'it is nested too deep')
    this.#depth += 1
    try {
      const value = this.#of(node, frame)
      const isLong =
        (typeof value === 'string' && value.length > LONGEST_TEXT) || (isList(value) && value.length > LONGEST_LIST)
      return isLong ? this.unknown(node, 'it is too long') : value
    } finally {
      this.#depth -= 1
    }
  }

  #of(node: SyntaxNode, frame: Frame): PythonValue {
    switch (node.name) {
      case 'String':
        return unquoted(this.#text.of(node)) ?? this.unknown(node, 'bytes')
      case 'ContinuedString':
        return this.#joined(children(node), node, frame)
      case 'FormatString':
        return this.#formatted(node, frame)
      case 'Number':
        return this.#number(node)
      case 'Boolean':
        return this.#text.of(node) === 'True'
      case 'None':
        return null
      case 'ParenthesizedExpression': {
        const [inner, ...others] = parts(node)
        return inner === undefined || others.length > 0 ? this.unknown(node) : this.of(inner, frame)
      }
      case 'UnaryExpression':
        return this.#unary(node, frame)
      case 'BinaryExpression':
        return this.#binary(node, frame)
      case 'ConditionalExpression':
        return this.#conditional(node, frame)
      case 'ArrayExpression':
      case 'TupleExpression':
      case 'SetExpression':
        return this.#list(node, frame)
      case 'ArrayComprehensionExpression':
      case 'ComprehensionExpression':
      case 'SetComprehensionExpression':
      case 'DictionaryComprehensionExpression':
        return this.#comprehension(node, frame)
      case 'DictionaryExpression':
        return this.#dictionary(node, frame)
      case 'VariableName':
        return this.#named(node, frame)
      case 'MemberExpression':
        return this.#member(node, frame)
      case 'CallExpression':
        return this.#call(node, frame)
      default:
        return this.unknown(node)
    }
  }

  unknown(node: SyntaxNode, what = this.#text.of(node).split('\n')[0]?.slice(0, 60) ?? '', name?: string): Unknown {
    return { unknown: what, line: this.#text.lineOf(node), ...(name !== undefined && { name }) }
  }

  /** Whether a condition is true. Undefined if that is unknown. */
  holds(node: SyntaxNode, frame: Frame): boolean | undefined {
    return this.#truth(this.of(node, frame), node)
  }

  #truth(value: PythonValue, node: SyntaxNode): boolean | undefined {
    if (isUnknown(value) || isCall(value)) return undefined
    if (isReference(value)) {
      this.#around.assume(`${value} is set, as in \`${this.#text.of(node).slice(0, 60)}\``, this.#text.lineOf(node))
      return true
    }
    if (isList(value)) return value.length > 0
    if (isMap(value)) return value.size > 0
    return Boolean(value)
  }

  #number(node: SyntaxNode): PythonValue {
    const written = this.#text.of(node).replaceAll('_', '')
    const value = Number(written)
    if (Number.isInteger(value) && /^[\d.]*[.e]/i.test(written)) this.#floats.add(value)
    return Number.isNaN(value) || (Number.isInteger(value) && !Number.isSafeInteger(value)) ? this.unknown(node) : value
  }

  #named(node: SyntaxNode, frame: Frame): PythonValue {
    const name = this.#text.of(node)
    for (let at: Frame | undefined = frame; at !== undefined; at = at.outer) {
      const value = at.names.get(name)
      if (value !== undefined) return value
    }
    return this.unknown(node, name, name)
  }

  #joined(texts: readonly SyntaxNode[], node: SyntaxNode, frame: Frame): PythonValue {
    const values = texts.map(text => this.of(text, frame))
    return values.every(value => typeof value === 'string') ? values.join('') : this.unknown(node)
  }

  #formatted(node: SyntaxNode, frame: Frame): PythonValue {
    const written = this.#text.of(node)
    const [, prefix = '', quote = ''] = /^([a-zA-Z]*)('''|"""|'|")/.exec(written) ?? []
    // `{{` in an f-string is a brace, which then begins a placeholder of dlt.
    const literal = (from: number, to: number): string => {
      const text = this.#text.between(from, to).replaceAll('{{', '{').replaceAll('}}', '}')
      return /r/i.test(prefix) ? text : unescaped(text)
    }
    let text = ''
    let at = node.from + prefix.length + quote.length
    for (const replacement of children(node).filter(({ name }) => name === 'FormatReplacement')) {
      text += literal(at, replacement.from)
      const [only, spec, more] = children(replacement).filter(({ name }) => name !== '{' && name !== '}')
      const inner = only === undefined || more !== undefined ? this.unknown(node) : this.of(only, frame)
      // Python writes 1.0 as `1.0`, and here it is the same number as 1.
      const isFloat = typeof inner === 'number' && this.#floats.has(inner)
      const value = isFloat ? undefined : spec === undefined ? textOf(inner) : padded(inner, this.#text.of(spec))
      if (value === undefined) return this.unknown(node)
      text += value
      at = replacement.to
    }
    return text + literal(at, node.to - quote.length)
  }

  #unary(node: SyntaxNode, frame: Frame): PythonValue {
    const [sign, operand] = children(node)
    if (sign === undefined || operand === undefined) return this.unknown(node)
    const value = this.of(operand, frame)
    if (sign.name === 'not') {
      const truth = this.#truth(value, operand)
      return truth === undefined ? this.unknown(node) : !truth
    }
    return this.#text.of(sign) === '-' && typeof value === 'number' ? -value : this.unknown(node)
  }

  #binary(node: SyntaxNode, frame: Frame): PythonValue {
    const [left, ...rest] = children(node)
    const right = rest.pop()
    if (left === undefined || right === undefined) return this.unknown(node)
    const sign = rest.map(part => this.#text.of(part)).join(' ')
    const a = this.of(left, frame)
    if (sign === 'and' || sign === 'or') {
      const truth = this.#truth(a, left)
      if (truth === undefined) return this.unknown(node)
      return truth === (sign === 'and') ? this.of(right, frame) : a
    }
    const found = operation(sign, a, this.of(right, frame))
    return found ?? this.unknown(node)
  }

  #conditional(node: SyntaxNode, frame: Frame): PythonValue {
    const [then, , condition, , otherwise] = children(node)
    if (then === undefined || condition === undefined || otherwise === undefined) return this.unknown(node)
    const truth = this.holds(condition, frame)
    if (truth !== undefined) return this.of(truth ? then : otherwise, frame)
    const [one, other] = [this.of(then, frame), this.of(otherwise, frame)]
    if ((one === null) === (other === null)) return this.unknown(node)
    // A value or nothing: the value is assumed.
    const is = one === null ? 'does not hold' : 'holds'
    this.#around.assume(`\`${this.#text.of(condition).slice(0, 60)}\` ${is}`, this.#text.lineOf(condition))
    return one ?? other
  }

  #list(node: SyntaxNode, frame: Frame): PythonValue {
    const values: PythonList = []
    let isSpread = false
    for (const child of parts(node)) {
      if (child.name === '*') isSpread = true
      else {
        const value = this.of(child, frame)
        if (isSpread && isList(value)) values.push(...value)
        else values.push(isSpread ? this.unknown(child) : value)
        isSpread = false
      }
    }
    return values
  }

  /** `[… for x in LIST if …]` and `{k: v for …}`, with one `for`. */
  #comprehension(node: SyntaxNode, frame: Frame): PythonValue {
    const all = parts(node)
    const [start, within] = [all.findIndex(({ name }) => name === 'for'), all.findIndex(({ name }) => name === 'in')]
    const source = all[within + 1]
    const conditions = all.slice(within + 2)
    const shape = all.slice(0, start)
    const isMade = node.name.startsWith('Dictionary') ? shape.length === 2 : shape.length === 1
    if (start < 1 || source === undefined || !isMade) return this.unknown(node)
    if (conditions.length > 0 && (conditions.length !== 2 || conditions[0]?.name !== 'if')) return this.unknown(node)
    const items = this.of(source, frame)
    if (!isList(items)) return this.unknown(node)
    const list: PythonList = []
    const map: PythonMap = new Map()
    for (const item of items) {
      this.#around.count()
      const inner: Frame = { names: new Map(), outer: frame }
      if (!this.bind(all.slice(start + 1, within), item, inner)) return this.unknown(node)
      const [, condition] = conditions
      const truth = condition === undefined ? true : this.holds(condition, inner)
      if (truth === undefined) return this.unknown(node)
      if (!truth) continue
      const [first, second] = shape.map(part => this.of(part, inner))
      if (second === undefined) list.push(first ?? null)
      else if (typeof first === 'string' || typeof first === 'number') map.set(String(first), second)
      else return this.unknown(node)
    }
    return node.name.startsWith('Dictionary') ? map : list
  }

  /** Assigns a value to names, as `for a, b in …` and `a, b = …` do. False if the number of names does not fit. */
  bind(targets: readonly SyntaxNode[], value: PythonValue, frame: Frame): boolean {
    const flat = targets.flatMap(target =>
      target.name === 'TupleExpression' || target.name === 'ParenthesizedExpression' ? parts(target) : [target],
    )
    if (!flat.every(({ name }) => name === 'VariableName')) return false
    const [only] = flat
    if (flat.length === 1 && only !== undefined) frame.names.set(this.#text.of(only), value)
    else if (isList(value) && value.length === flat.length)
      flat.forEach((target, index) => void frame.names.set(this.#text.of(target), value[index] ?? null))
    else return false
    return true
  }

  #dictionary(node: SyntaxNode, frame: Frame): PythonValue {
    const values: PythonMap = new Map()
    const entries = parts(node)
    for (let at = 0; at < entries.length; at += 2) {
      const [part, other] = [entries[at], entries[at + 1]]
      if (part === undefined || other === undefined) return this.unknown(node)
      const value = this.of(other, frame)
      if (part.name === '**') {
        if (!isMap(value)) return this.unknown(node, `**${this.#text.of(other).slice(0, 60)}`)
        for (const [key, spread] of value) values.set(key, spread)
        continue
      }
      const key = this.of(part, frame)
      if (typeof key !== 'string' && typeof key !== 'number') return this.unknown(node)
      values.set(String(key), value)
    }
    return values
  }

  /** `dlt.secrets["x"]`, `os.environ["X"]`, `config["x"]`, `Settings.X`. */
  #member(node: SyntaxNode, frame: Frame): PythonValue {
    const [object, open, key] = children(node)
    if (object === undefined || key === undefined) return this.unknown(node)
    if (open?.name === '[') {
      const index = this.of(key, frame)
      const reference = typeof index === 'string' ? referenceOf(this.#text.of(object), index) : undefined
      if (reference !== undefined) return reference
      return itemOf(this.of(object, frame), index) ?? this.unknown(node)
    }
    const name = this.#text.of(key)
    const known = this.of(object, frame)
    const found = isMap(known) ? known.get(name) : undefined
    return found ?? this.unknown(node, undefined, name)
  }

  #call(node: SyntaxNode, frame: Frame): PythonValue {
    const [callee, list] = children(node)
    if (callee === undefined || list === undefined) return this.unknown(node)
    const written = this.#text.of(callee)
    const read = this.#argumentsOf(list, frame)
    if (read === undefined) return this.unknown(node)
    const call: Call = { call: written.replace(/^.*\./s, ''), ...read, line: this.#text.lineOf(node) }
    this.#around.called(written, call, node)
    const own = callee.name === 'VariableName' ? this.#around.callFunction(written, call, frame) : undefined
    if (own !== undefined) return own
    if (callee.name === 'MemberExpression') {
      const [object] = children(callee)
      const [first] = call.positional
      const place = object === undefined ? '' : this.#text.of(object)
      const reference = call.call === 'get' && typeof first === 'string' ? referenceOf(place, first) : undefined
      if (reference !== undefined) return this.#withDefault(reference, call)
      const holder = object === undefined ? null : this.of(object, frame)
      const value = methodOf(holder, call)
      if (value !== undefined) return value
      if (CHANGING.test(call.call)) spoil(holder, this.unknown(node))
    }
    const value = builtIn(written, call)
    return value === undefined ? call : this.#withDefault(value, call)
  }

  /** Keeps the script's default for a variable that is not set. */
  #withDefault(value: PythonValue, call: Call): PythonValue {
    const [, fallback] = call.positional
    if (isReference(value) && fallback !== undefined && fallback !== null && fallback !== '' && !isUnknown(fallback))
      this.#around.assume(
        `the script takes ${JSON.stringify(textOf(fallback) ?? '…')} where ${value} is not set`,
        call.line,
      )
    return value
  }

  #argumentsOf(list: SyntaxNode, frame: Frame): Pick<Call, 'positional' | 'named'> | undefined {
    const positional: PythonValue[] = []
    const named = new Map<string, PythonValue>()
    const given = parts(list)
    for (let at = 0; at < given.length; at++) {
      const [part, next, value] = [given[at] as SyntaxNode, given[at + 1], given[at + 2]]
      if (part.name === '*' || part.name === '**') {
        const spread = next === undefined ? undefined : this.of(next, frame)
        if (part.name === '*' && isList(spread)) positional.push(...spread)
        else if (part.name === '**' && isMap(spread)) for (const [key, item] of spread) named.set(key, item)
        else return undefined
        at += 1
      } else if (next?.name === 'AssignOp' && value !== undefined) {
        named.set(this.#text.of(part), this.of(value, frame))
        at += 2
      } else if (next?.name === 'for') {
        // A comprehension without brackets.
        return undefined
      } else positional.push(this.of(part, frame))
    }
    return { positional, named }
  }
}

/** Methods that change a list or map. */
const CHANGING = /^(?:append|extend|insert|update|setdefault|pop|popitem|remove|clear|sort|reverse)$/

/** A value inside a text. An undefined name becomes an environment variable. */
function textOf(value: PythonValue): string | undefined {
  if (typeof value === 'string') return value
  if (typeof value === 'number') return String(value)
  return isUnknown(value) && value.name !== undefined ? variable(value.name) : undefined
}

/** The environment variable for a name of the script. */
export function variable(name: string): string {
  return `\${env.${name.toUpperCase()}}`
}

/** A number with a format as `:04d`. */
function padded(value: PythonValue, spec: string): string | undefined {
  const [all, zero, width] = /^:(0?)(\d{0,2})d?$/.exec(spec) ?? []
  if (all === undefined || typeof value !== 'number' || !Number.isInteger(value) || value < 0) return undefined
  return String(value).padStart(Number(width), zero === '0' ? '0' : ' ')
}

/** `"%s/%d" % (a, b)`. One value is no list: Python would write all of it. */
function filledText(text: string, value: PythonValue): string | undefined {
  const values = isList(value) ? [...value] : [value]
  const isMeant = (text.match(/%[^%]/g)?.length ?? 0) === values.length && (!isList(value) || values.length > 1)
  if (!isMeant || isReference(text)) return undefined
  let isWhole = true
  const made = text.replace(/%(.)/gs, (_, kind: string) => {
    if (kind === '%') return '%'
    const part = values.shift() ?? null
    const filled = kind === 's' || (kind === 'd' && Number.isInteger(part)) ? textOf(part) : undefined
    if (filled === undefined) isWhole = false
    return filled ?? ''
  })
  return isWhole && made.length <= LONGEST_TEXT ? made : undefined
}

function itemOf(object: PythonValue, index: PythonValue): PythonValue | undefined {
  if (isMap(object) && (typeof index === 'string' || typeof index === 'number')) return object.get(String(index))
  return isList(object) && typeof index === 'number' ? object.at(index) : undefined
}

function operation(sign: string, a: PythonValue, b: PythonValue): PythonValue | undefined {
  if (sign === 'is' || sign === '==' || sign === 'is not' || sign === '!=') {
    const same = isSame(a, b)
    return same === undefined ? undefined : same === (sign === 'is' || sign === '==')
  }
  if (sign === 'in' || sign === 'not in') {
    const isIn = isMap(b) && typeof a === 'string' ? b.has(a) : isList(b) ? includes(b, a) : undefined
    return isIn === undefined ? undefined : isIn === (sign === 'in')
  }
  if (typeof a === 'number' && typeof b === 'number') return NUMBERS.get(sign)?.(a, b)
  if (sign === '%' && typeof a === 'string') return filledText(a, b)
  if (sign === '+' && isList(a) && isList(b)) return [...a, ...b]
  if (sign === '|' && isMap(a) && isMap(b)) return new Map([...a, ...b])
  if (sign === '+') {
    const [left, right] = [textOf(a), textOf(b)]
    const isText = typeof a !== 'number' && typeof b !== 'number'
    return isText && left !== undefined && right !== undefined ? left + right : undefined
  }
  return undefined
}

const NUMBERS: ReadonlyMap<string, (a: number, b: number) => PythonValue> = new Map<
  string,
  (a: number, b: number) => PythonValue
>([
  ['+', (a, b) => a + b],
  ['-', (a, b) => a - b],
  ['*', (a, b) => a * b],
  ['>', (a, b) => a > b],
  ['<', (a, b) => a < b],
  ['>=', (a, b) => a >= b],
  ['<=', (a, b) => a <= b],
])

/** Whether two values are equal. Undefined if that is unknown, as with a reference, which is never empty. */
function isSame(a: PythonValue, b: PythonValue): boolean | undefined {
  if (a === null || b === null) return isUnknown(a) || isUnknown(b) ? undefined : a === b
  const isPlain = (value: PythonValue): boolean => typeof value !== 'object' && !isReference(value)
  return isPlain(a) && isPlain(b) ? a === b : undefined
}

function includes(list: PythonList, value: PythonValue): boolean | undefined {
  const found = list.map(item => isSame(item, value))
  if (found.includes(true)) return true
  return found.includes(undefined) ? undefined : false
}
