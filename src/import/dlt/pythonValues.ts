import type { parser } from '@lezer/python'

/** A node of the syntax of a script. */
export type SyntaxNode = ReturnType<typeof parser.parse>['topNode']

/** What the text of a script says that no document can hold: a function, a computed value. */
export interface Unknown {
  readonly unknown: string
  readonly line: number
}

/** A call of a name: `PageNumberPaginator(base_page=1)`. */
export interface Call {
  readonly call: string
  readonly positional: readonly PythonValue[]
  readonly named: ReadonlyMap<string, PythonValue>
  readonly line: number
}

export type PythonValue =
  | string
  | number
  | boolean
  | null
  | readonly PythonValue[]
  | ReadonlyMap<string, PythonValue>
  | Call
  | Unknown

export const isMap = (value: PythonValue | undefined): value is ReadonlyMap<string, PythonValue> => value instanceof Map
export const isUnknown = (value: PythonValue | undefined): value is Unknown =>
  typeof value === 'object' && value !== null && 'unknown' in value
export const isCall = (value: PythonValue | undefined): value is Call =>
  typeof value === 'object' && value !== null && 'call' in value

/** Names within names, and values within values. */
const DEEPEST = 60
/** A list that holds itself many times is none that somebody wrote. */
const MOST_VALUES = 200_000

/** Reads expressions of a script as values. Runs nothing: what would have to be run is unknown. */
export class PythonValues {
  readonly #text: string
  readonly #assigned = new Map<string, SyntaxNode[]>()
  readonly #lineStarts: number[] = [0]
  #values = 0

  constructor(text: string, top: SyntaxNode) {
    this.#text = text
    for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) this.#lineStarts.push(at + 1)
    this.#collect(top)
  }

  /** 1-based. */
  lineOf({ from }: SyntaxNode): number {
    let [low, high] = [0, this.#lineStarts.length - 1]
    while (low < high) {
      const middle = Math.ceil((low + high) / 2)
      if ((this.#lineStarts[middle] ?? 0) <= from) low = middle
      else high = middle - 1
    }
    return low + 1
  }

  textOf({ from, to }: SyntaxNode): string {
    return this.#text.slice(from, to)
  }

  of(node: SyntaxNode, depth = 0): PythonValue {
    this.#values += 1
    if (depth > DEEPEST || this.#values > MOST_VALUES) return this.#unknown(node, 'it is nested too deep')
    switch (node.name) {
      case 'String':
        return unquoted(this.textOf(node)) ?? this.#unknown(node, 'bytes')
      case 'ContinuedString':
        return this.#joined(children(node), node, depth)
      case 'FormatString':
        return this.#formatted(node, depth)
      case 'Number':
        return Number(this.textOf(node).replaceAll('_', ''))
      case 'Boolean':
        return this.textOf(node) === 'True'
      case 'None':
        return null
      case 'ParenthesizedExpression': {
        const [, inner] = children(node)
        return inner === undefined ? this.#unknown(node) : this.of(inner, depth + 1)
      }
      case 'UnaryExpression': {
        const [sign, operand] = children(node)
        const value = operand === undefined ? undefined : this.of(operand, depth + 1)
        return sign !== undefined && this.textOf(sign) === '-' && typeof value === 'number'
          ? -value
          : this.#unknown(node)
      }
      case 'BinaryExpression':
        return this.#sum(node, depth)
      case 'ArrayExpression':
      case 'TupleExpression':
      case 'SetExpression':
        return this.#list(node, depth)
      case 'DictionaryExpression':
        return this.#dictionary(node, depth)
      case 'VariableName':
        return this.#named(node, depth)
      case 'MemberExpression':
        return this.#member(node, depth)
      case 'CallExpression':
        return this.#call(node, depth)
      default:
        return this.#unknown(node)
    }
  }

  #unknown(node: SyntaxNode, what = this.textOf(node).split('\n')[0]?.slice(0, 60) ?? ''): Unknown {
    return { unknown: what, line: this.lineOf(node) }
  }

  /** Every assignment to a name, wherever it stands. */
  #collect(node: SyntaxNode): void {
    const waiting = [node]
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      if (next.name === 'AssignStatement') {
        const parts = children(next)
        const [target] = parts
        const value = parts.at(-1)
        const operator = parts.findIndex(({ name }) => name === 'AssignOp')
        if (target?.name === 'VariableName' && value !== undefined && operator > 0 && operator === parts.length - 2) {
          const name = this.textOf(target)
          this.#assigned.set(name, [...(this.#assigned.get(name) ?? []), value])
        }
      }
      waiting.push(...children(next).reverse())
    }
  }

  /** The value that was assigned last before the name is used. */
  #named(node: SyntaxNode, depth: number): PythonValue {
    const before = (this.#assigned.get(this.textOf(node)) ?? []).filter(({ to }) => to <= node.from)
    const value = before.at(-1)
    return value === undefined ? this.#unknown(node) : this.of(value, depth + 1)
  }

  #joined(parts: readonly SyntaxNode[], node: SyntaxNode, depth: number): PythonValue {
    const texts = parts.map(part => this.of(part, depth + 1))
    return texts.every(text => typeof text === 'string') ? texts.join('') : this.#unknown(node)
  }

  #formatted(node: SyntaxNode, depth: number): PythonValue {
    const [, quote = ''] = /^[a-zA-Z]*('''|"""|'|")/.exec(this.textOf(node)) ?? []
    const start = node.from + this.textOf(node).indexOf(quote) + quote.length
    let text = ''
    let at = start
    for (const replacement of children(node).filter(({ name }) => name === 'FormatReplacement')) {
      text += this.#text.slice(at, replacement.from)
      const inner = children(replacement).filter(({ name }) => name !== '{' && name !== '}')
      const [only] = inner
      const value = only === undefined || inner.length > 1 ? undefined : this.of(only, depth + 1)
      if (typeof value !== 'string' && typeof value !== 'number') return this.#unknown(node)
      text += String(value)
      at = replacement.to
    }
    // `{{` of an f-string is a brace, and a placeholder of dlt then.
    return (text + this.#text.slice(at, node.to - quote.length)).replaceAll('{{', '{').replaceAll('}}', '}')
  }

  #sum(node: SyntaxNode, depth: number): PythonValue {
    const [left, operator, right] = children(node)
    if (left === undefined || right === undefined || operator === undefined) return this.#unknown(node)
    const [a, b] = [this.of(left, depth + 1), this.of(right, depth + 1)]
    const sign = this.textOf(operator)
    if (sign === '+' && typeof a === 'string' && typeof b === 'string') return a + b
    if (sign === '+' && Array.isArray(a) && Array.isArray(b)) return [...a, ...b]
    if (sign === '*' && typeof a === 'number' && typeof b === 'number') return a * b
    if (sign === '|' && isMap(a) && isMap(b)) return new Map([...a, ...b])
    return this.#unknown(node)
  }

  #list(node: SyntaxNode, depth: number): PythonValue {
    const values: PythonValue[] = []
    let isSpread = false
    for (const child of children(node)) {
      if (PUNCTUATION.has(child.name)) continue
      if (child.name === '*') isSpread = true
      else {
        const value = this.of(child, depth + 1)
        if (isSpread && Array.isArray(value)) values.push(...value)
        else values.push(isSpread ? this.#unknown(child) : value)
        isSpread = false
      }
    }
    return values
  }

  #dictionary(node: SyntaxNode, depth: number): PythonValue {
    const values = new Map<string, PythonValue>()
    const parts = children(node).filter(({ name }) => !['{', '}', ','].includes(name))
    for (let at = 0; at < parts.length; ) {
      const part = parts[at] as SyntaxNode
      if (part.name === '**') {
        const spread = parts[at + 1] === undefined ? undefined : this.of(parts[at + 1] as SyntaxNode, depth + 1)
        if (isMap(spread)) for (const [key, value] of spread) values.set(key, value)
        else return this.#unknown(node, `**${this.textOf(parts[at + 1] ?? part)}`)
        at += 2
        continue
      }
      const [colon, value] = [parts[at + 1], parts[at + 2]]
      const key = this.of(part, depth + 1)
      // A comprehension, or a key that must be computed.
      if (colon?.name !== ':' || value === undefined || (typeof key !== 'string' && typeof key !== 'number'))
        return this.#unknown(node)
      values.set(String(key), this.of(value, depth + 1))
      at += 3
    }
    return values
  }

  /** `dlt.secrets["x"]`, `os.environ["X"]`, `config["x"]` of a known dictionary. */
  #member(node: SyntaxNode, depth: number): PythonValue {
    const [object, open, key] = children(node)
    if (object === undefined || key === undefined) return this.#unknown(node)
    const place = this.textOf(object)
    if (open?.name === '[') {
      const name = this.of(key, depth + 1)
      const reference = typeof name === 'string' ? referenceOf(place, name) : undefined
      if (reference !== undefined) return reference
      const known = this.of(object, depth + 1)
      const found = isMap(known) && typeof name === 'string' ? known.get(name) : undefined
      return found ?? this.#unknown(node)
    }
    return this.#unknown(node)
  }

  #call(node: SyntaxNode, depth: number): PythonValue {
    const [callee, list] = children(node)
    if (callee === undefined || list === undefined) return this.#unknown(node)
    const written = this.textOf(callee)
    const positional: PythonValue[] = []
    const named = new Map<string, PythonValue>()
    const parts = children(list).filter(({ name }) => !PUNCTUATION.has(name))
    for (let at = 0; at < parts.length; at++) {
      const part = parts[at] as SyntaxNode
      if (parts[at + 1]?.name === 'AssignOp' && parts[at + 2] !== undefined) {
        named.set(this.textOf(part), this.of(parts[at + 2] as SyntaxNode, depth + 1))
        at += 2
      } else if (part.name === '**' && parts[at + 1] !== undefined) {
        const spread = this.of(parts[at + 1] as SyntaxNode, depth + 1)
        if (!isMap(spread)) return this.#unknown(node)
        for (const [key, value] of spread) named.set(key, value)
        at += 1
      } else if (part.name !== '*') positional.push(this.of(part, depth + 1))
      else return this.#unknown(node)
    }
    const [first] = positional
    const [, place = '', method] = /^(.*)\.(\w+)$/s.exec(written) ?? []
    if (method === 'get' && typeof first === 'string') {
      const reference = referenceOf(place, first)
      if (reference !== undefined) return reference
    }
    if (/^(?:os\.)?getenv$/.test(written) && typeof first === 'string') return `\${env.${first}}`
    if (written === 'dict') return named
    if (written === 'str' && typeof first === 'string') return first
    if (written === 'cast' && positional.length === 2) return positional[1] ?? null
    return { call: written.replace(/^.*\./s, ''), positional, named, line: this.lineOf(node) }
  }
}

/** A value of the configuration, as a document refers to it. */
function referenceOf(place: string, name: string): string | undefined {
  if (!/^[\w.-]+$/.test(name)) return undefined
  if (/^(?:dlt\.)?secrets$/.test(place)) return `\${secrets.${name}}`
  if (/^dlt\.config$/.test(place)) return `\${env.${name.replace(/[.-]/g, '__').toUpperCase()}}`
  return /^(?:os\.)?environ$/.test(place) ? `\${env.${name}}` : undefined
}

const PUNCTUATION = new Set(['[', ']', '(', ')', '{', '}', ','])

export function children(node: SyntaxNode): SyntaxNode[] {
  const found: SyntaxNode[] = []
  for (let child = node.firstChild; child !== null; child = child.nextSibling) {
    if (child.name !== 'Comment') found.push(child)
  }
  return found
}

/** The text of a string literal. Undefined for bytes. */
function unquoted(written: string): string | undefined {
  const [, prefix = '', quote = ''] = /^([a-zA-Z]*)('''|"""|'|")/.exec(written) ?? []
  if (/b/i.test(prefix)) return undefined
  const text = written.slice(prefix.length + quote.length, written.length - quote.length)
  if (/r/i.test(prefix)) return text
  return text.replace(/\\(\r?\n|u[\da-fA-F]{4}|x[\da-fA-F]{2}|.)/gs, (_, escaped: string) => {
    if (/^\r?\n$/.test(escaped)) return ''
    if (/^[ux]./.test(escaped)) return String.fromCharCode(Number.parseInt(escaped.slice(1), 16))
    return ESCAPES.get(escaped) ?? (/^['"\\]$/.test(escaped) ? escaped : `\\${escaped}`)
  })
}

const ESCAPES: ReadonlyMap<string, string> = new Map([
  ['n', '\n'],
  ['t', '\t'],
  ['r', '\r'],
  ['0', '\0'],
])
