import {
  isTemplate,
  knownTruth,
  literalOf,
  type Names,
  partsIn,
  type Root,
  type Syntax,
  templateValue,
  Unsayable,
  type Value,
} from './jinja.js'

/** The names of an expression. A value of a slice is a CEL expression. */
export interface CelNames extends Names {
  sliceValue(root: Root, keys: readonly (string | number)[]): string
}

/** The CEL expression for a template that reads the record. Throws Unsayable. */
export function celOf(template: string, names: CelNames): string {
  if (!isTemplate(template)) return celValue(literalOf(template))
  const constant = settledValue(template, names)
  if (constant !== undefined) return constant
  const { variables, parts } = withVariables(template)
  const compiler = new Compiler(variables, names)
  const [only] = parts
  if (only === undefined) return 'null'
  if (parts.length === 1) return compiler.of(only)
  return parts.map(part => compiler.text(part)).join(' + ')
}

/** The CEL condition for a template. Throws Unsayable. */
export function celCondition(template: string, names: CelNames): string {
  if (!isTemplate(template)) throw new Unsayable('a condition without an expression')
  const { variables, parts } = withVariables(template)
  const [only, ...others] = parts
  if (only === undefined || others.length > 0) throw new Unsayable('several parts')
  const condition = new Compiler(variables, names).condition(only)
  if (condition === 'false') throw new Unsayable('it is never true while the options of the connector are not set')
  return condition
}

function withVariables(template: string): {
  readonly variables: ReadonlyMap<string, Syntax>
  readonly parts: readonly Syntax[]
} {
  const variables = new Map<string, Syntax>()
  const parts: Syntax[] = []
  for (const node of partsIn(template)) {
    if (node.type === 'Set') variables.set(String((node.assignee as Syntax).value), node.value as Syntax)
    else parts.push(node)
  }
  return { variables, parts }
}

/** The value, if it is known before a run. */
function settledValue(template: string, names: CelNames): string | undefined {
  let value: Value
  try {
    value = templateValue(template, names)
  } catch (error) {
    if (error instanceof Unsayable) return undefined
    throw error
  }
  if (value.kind === 'known') return celValue(value.value)
  if (value.kind === 'setting') throw new Unsayable('an option of the user in an expression')
  return undefined
}

/** A value in CEL's syntax. */
function celValue(value: unknown): string {
  if (value === null || value === undefined) return 'null'
  if (typeof value === 'string') return JSON.stringify(value)
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  if (Array.isArray(value)) return `[${value.map(celValue).join(', ')}]`
  if (typeof value === 'object' && Object.getPrototypeOf(value) === Object.prototype) {
    return `{${Object.entries(value)
      .map(([key, item]) => `${JSON.stringify(key)}: ${celValue(item)}`)
      .join(', ')}}`
  }
  throw new Unsayable('an option of the user in an expression')
}

interface Chain {
  readonly root: Root
  readonly keys: readonly (string | number)[]
  readonly fallback?: Syntax | undefined
}

class Compiler {
  private readonly variables: ReadonlyMap<string, Syntax>
  private readonly names: CelNames

  constructor(variables: ReadonlyMap<string, Syntax>, names: CelNames) {
    this.variables = variables
    this.names = names
  }

  of(given: Syntax): string {
    const node = this.unfolded(given)
    const chain = this.chain(node)
    if (chain !== undefined) return this.place(chain)
    switch (node.type) {
      case 'StringLiteral':
      case 'IntegerLiteral':
      case 'FloatLiteral':
        return celValue(node.value)
      case 'ArrayLiteral':
      case 'TupleLiteral':
        return `[${(node.value as Syntax[]).map(item => this.of(item)).join(', ')}]`
      case 'ObjectLiteral':
        return `{${[...(node.value as Map<Syntax, Syntax>)].map(([key, item]) => `${this.of(key)}: ${this.of(item)}`).join(', ')}}`
      case 'Identifier':
        if (/^none$/i.test(String(node.value))) return 'null'
        if (/^(true|false)$/i.test(String(node.value))) return String(node.value).toLowerCase()
        return this.constant(node)
      case 'Ternary':
        return `(${this.condition(node.condition as Syntax)} ? dyn(${this.of(node.trueExpr as Syntax)}) : dyn(${this.of(node.falseExpr as Syntax)}))`
      case 'SelectExpression':
        return `(${this.condition(node.test as Syntax)} ? dyn(${this.of(node.lhs as Syntax)}) : dyn(null))`
      case 'BinaryExpression':
        return this.binary(node)
      case 'UnaryExpression':
      case 'TestExpression':
        return this.condition(node)
      case 'FilterExpression':
        return this.filter(node)
      case 'CallExpression':
        return this.call(node)
      default:
        throw new Unsayable(`an expression of the kind ${node.type}`)
    }
  }

  /** Whether a value is true in Python. */
  condition(given: Syntax): string {
    const node = this.unfolded(given)
    const settled = knownTruth(node, this.variables, this.names)
    if (settled !== undefined) return String(settled)
    if (node.type === 'UnaryExpression') return negated(this.condition(node.argument as Syntax))
    if (node.type === 'Identifier' && /^(true|false)$/i.test(String(node.value)))
      return String(node.value).toLowerCase()
    if (node.type === 'TestExpression') return this.test(node)
    if (node.type === 'BinaryExpression') {
      const operator = String((node.operator as Syntax).value)
      if (operator === 'and' || operator === 'or') return this.both(node, operator)
      if (COMPARISONS.has(operator)) return this.binary(node)
    }
    if (node.type === 'CallExpression' && /^(starts|ends)with$/.test(methodOf(node) ?? '')) return this.call(node)
    return `!(${this.of(node)} in [null, "", 0, false])`
  }

  /** Two conditions. Where one of them decides, the other one need not be said. */
  private both(node: Syntax, operator: 'and' | 'or'): string {
    const sides = [node.left as Syntax, node.right as Syntax]
    const decides = operator === 'or'
    const known = sides.map(side => knownTruth(side, this.variables, this.names))
    if (known.includes(decides)) return String(decides)
    const said = sides.flatMap((side, index) => (known[index] === undefined ? [this.condition(side)] : []))
    if (said.includes(String(decides))) return String(decides)
    const left = said.filter(text => text !== String(!decides))
    if (left.length < 2) return left[0] ?? String(!decides)
    return `(${left.join(operator === 'and' ? ' && ' : ' || ')})`
  }

  /** A value inside a text. */
  text(node: Syntax): string {
    if (node.type === 'StringLiteral') return celValue(node.value)
    const value = this.of(node)
    return value.startsWith('"') ? value : `(${value} == null ? "None" : string(${value}))`
  }

  private unfolded(node: Syntax): Syntax {
    const variable = node.type === 'Identifier' ? this.variables.get(String(node.value)) : undefined
    return variable === undefined || variable === node ? node : this.unfolded(variable)
  }

  private constant(node: Syntax): string {
    const value = this.option(node)
    if (value === undefined) throw new Unsayable(`the name \`${String(node.value)}\``)
    return value
  }

  private option(node: Syntax): string | undefined {
    const keys: string[] = []
    for (let at = node; ; ) {
      if (at.type === 'Identifier') {
        const name = String(at.value)
        if (name === 'parameters' && keys[0] !== undefined) return celValue(this.names.parameters[keys[0]])
        if (name !== 'config') return undefined
        const found = this.names.option(keys, true)
        if (found?.kind !== 'known') throw new Unsayable('an option of the user in an expression')
        return celValue(found.value)
      }
      const first = at.type === 'CallExpression' && methodOf(at) === 'get' ? (at.args as Syntax[])[0] : undefined
      const key = first ?? (at.type === 'MemberExpression' ? (at.property as Syntax) : undefined)
      if (key === undefined) return undefined
      keys.unshift(String(key.value))
      at = (first === undefined ? at.object : (at.callee as Syntax).object) as Syntax
    }
  }

  /** The place in the record or its parent, if the expression is only that. */
  private chain(given: Syntax): Chain | undefined {
    const node = this.unfolded(given)
    if (node.type === 'Identifier') {
      const root = CHAINS[String(node.value)]
      return root === undefined ? undefined : { root, keys: [] }
    }
    if (node.type === 'MemberExpression') {
      const above = this.chain(node.object as Syntax)
      if (above === undefined) return undefined
      const property = node.property as Syntax
      const named = node.computed === true && property.type === 'MemberExpression' ? this.option(property) : undefined
      if (named?.startsWith('"')) return { root: above.root, keys: [...above.keys, JSON.parse(named) as string] }
      if (node.computed === true && !/^(String|Integer)Literal$/.test(property.type)) {
        throw new Unsayable('a key that is known during the run only')
      }
      return { root: above.root, keys: [...above.keys, property.value as string | number] }
    }
    if (node.type === 'CallExpression' && methodOf(node) === 'get') {
      const above = this.chain((node.callee as Syntax).object as Syntax)
      const [key, fallback] = node.args as Syntax[]
      if (above === undefined || key?.type !== 'StringLiteral') return undefined
      return { root: above.root, keys: [...above.keys, key.value as string], fallback }
    }
    // `(record.get('a') or {}).get('b')`
    if (node.type === 'BinaryExpression' && (node.operator as Syntax).value === 'or') {
      const right = node.right as Syntax
      if (right.type === 'ObjectLiteral' && (right.value as Map<unknown, unknown>).size === 0)
        return this.chain(node.left as Syntax)
    }
    return undefined
  }

  private place({ root, keys, fallback }: Chain): string {
    const other =
      fallback === undefined ||
      (fallback.type === 'ObjectLiteral' && (fallback.value as Map<unknown, unknown>).size === 0)
        ? 'null'
        : this.of(fallback)
    if (root !== 'record') return this.names.sliceValue(...aliased(root, keys))
    if (keys.length === 0) return 'record'
    return `record${keys.map(optionalKey).join('')}.orValue(${other})`
  }

  private binary(node: Syntax): string {
    const operator = String((node.operator as Syntax).value)
    const [leftNode, rightNode] = [node.left as Syntax, node.right as Syntax]
    if (operator === 'or')
      return `(${this.condition(leftNode)} ? dyn(${this.of(leftNode)}) : dyn(${this.of(rightNode)}))`
    if (operator === 'and')
      return `(${this.condition(leftNode)} ? dyn(${this.of(rightNode)}) : dyn(${this.of(leftNode)}))`
    if (operator === 'in' || operator === 'not in') {
      const within = this.chain(rightNode)
      if (within !== undefined && within.root !== 'record') throw new Unsayable('`in` of a value of the parent')
      if (within !== undefined && within.keys.length > 0)
        throw new Unsayable('`in` of a value that may be a text or a list')
      const found = `(${this.of(leftNode)} in ${this.of(rightNode)})`
      return operator === 'in' ? found : `!${found}`
    }
    const [left, right] = [this.of(leftNode), this.of(rightNode)]
    if (operator === '~') return `${this.text(leftNode)} + ${this.text(rightNode)}`
    if (operator === '==' || operator === '!=') return `(${left} ${operator} ${right})`
    if (COMPARISONS.has(operator)) return `(${left} != null && ${left} ${operator} ${right})`
    if (['+', '-', '*', '/'].includes(operator)) return `(${left} ${operator} ${right})`
    throw new Unsayable(`\`${operator}\``)
  }

  private test(node: Syntax): string {
    const test = String((node.test as Syntax).value)
    const value = this.of(node.operand as Syntax)
    const said = TESTS[test]?.(value)
    if (said === undefined) throw new Unsayable(`the test \`${test}\``)
    return node.negate === true ? `!${said}` : said
  }

  private filter(node: Syntax): string {
    const filter = node.filter as Syntax
    const name = String((filter.type === 'CallExpression' ? (filter.callee as Syntax) : filter).value)
    const given = filter.type === 'CallExpression' ? (filter.args as Syntax[]) : []
    const value = this.of(node.operand as Syntax)
    if (name === 'string') return this.text(node.operand as Syntax)
    if (name === 'default' && given[0] !== undefined)
      return `(${value} == null ? dyn(${this.of(given[0])}) : dyn(${value}))`
    if (name === 'int') return `(${value} == null ? 0 : int(${value}))`
    if (name === 'float') return `(${value} == null ? 0.0 : double(${value}))`
    if (name === 'length') return `(${value} == null ? 0 : size(${value}))`
    if (name === 'lower') return `string(${value}).lowerAscii()`
    if (name === 'upper') return `string(${value}).upperAscii()`
    if (name === 'trim') return `string(${value}).trim()`
    if (name === 'first') return `${value}[0]`
    throw new Unsayable(`the filter \`${name}\``)
  }

  private call(node: Syntax): string {
    const method = methodOf(node)
    const object = (node.callee as Syntax).object as Syntax | undefined
    const given = node.args as Syntax[]
    const option = this.option(node)
    if (option !== undefined) return option
    if (method === undefined || object === undefined)
      throw new Unsayable(`the function \`${String((node.callee as Syntax).value)}\``)
    const on = this.of(object)
    const values = given.map(item => this.of(item))
    if (method === 'lower') return `${on}.lowerAscii()`
    if (method === 'upper') return `${on}.upperAscii()`
    if (method === 'strip' && given.length === 0) return `${on}.trim()`
    if (method === 'split' && given.length === 1) return `${on}.split(${values.join('')})`
    if (method === 'startswith' && given.length === 1) return `${on}.startsWith(${values.join('')})`
    if (method === 'endswith' && given.length === 1) return `${on}.endsWith(${values.join('')})`
    throw new Unsayable(`the method \`${method}\``)
  }
}

function negated(condition: string): string {
  if (condition === 'true' || condition === 'false') return String(condition === 'false')
  return `!${condition}`
}

/** In the CDK `stream_interval`, `stream_partition` and `stream_slice` are one thing: the partition, and the window in it. */
function aliased(
  root: Root,
  keys: readonly (string | number)[],
): readonly [root: Root, keys: readonly (string | number)[]] {
  const [first] = keys
  if (root !== 'partition' && root !== 'interval') return [root, keys]
  return [first === 'start_time' || first === 'end_time' ? 'interval' : 'partition', keys]
}

const CHAINS: Readonly<Record<string, Root>> = {
  record: 'record',
  stream_partition: 'partition',
  stream_slice: 'partition',
  stream_interval: 'interval',
  stream_state: 'state',
}

const COMPARISONS = new Set(['==', '!=', '<', '<=', '>', '>=', 'in', 'not in'])

const TESTS: Readonly<Record<string, (value: string) => string>> = {
  defined: value => `(${value} != null)`,
  none: value => `(${value} == null)`,
  true: value => `(${value} == true)`,
  false: value => `(${value} == false)`,
  mapping: value => `(type(${value}) == map)`,
  string: value => `(type(${value}) == string)`,
}

function methodOf(node: Syntax): string | undefined {
  const callee = node.callee as Syntax | undefined
  return callee?.type === 'MemberExpression' && callee.computed !== true
    ? String((callee.property as Syntax).value)
    : undefined
}

function optionalKey(key: string | number): string {
  if (typeof key === 'number') {
    if (key < 0) throw new Unsayable('an element counted from the end')
    return `[?${key}]`
  }
  return /^[A-Za-z_]\w*$/.test(key) && !RESERVED.has(key) ? `.?${key}` : `[?${JSON.stringify(key)}]`
}

const RESERVED = new Set(
  'true false null in as break const continue else for function if import let loop package namespace return var void while'.split(
    ' ',
  ),
)
