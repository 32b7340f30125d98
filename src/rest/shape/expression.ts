import { createRequire } from 'node:module'
import type { ASTNode, Environment, ParseResult } from '@marcbachmann/cel-js'
import { type JsonObject, type JsonValue, numberLiteral, setMember, setNumberLiteral } from '../../json/value.js'

/** A compiled expression in CEL, the Common Expression Language. `record` is the only name it knows. */
export interface Expression {
  /** `bool`, or `dyn` if only the record can tell. */
  readonly type: string
  /** The fields of the record that it reads. */
  readonly reads: readonly FieldRead[]
  /** Whether its value is that of its one field. */
  readonly isCopy: boolean
  /**
   * Sets the value of the expression for a record as a member of `target`. Sets nothing if the value is an empty optional. Throws
   * an Error in plain words.
   */
  assign(record: JsonObject, target: Record<string, JsonValue>, name: string): void
  /** The value of an expression that decides. Throws an Error if it is neither true nor false. */
  decides(record: JsonObject): boolean
}

/** A field that an expression reads. */
export interface FieldRead {
  readonly names: readonly string[]
  /** Whether it counts what the value is, and not only whether there is one, or whether it equals that of another field. */
  readonly isValue: boolean
}

/** Throws a SyntaxError with the column if the text is no expression, or one that can never work. */
export function compileExpression(text: string): Expression {
  const parsed = parse(text)
  refuseMatches(parsed.ast, text)
  refuseNested(parsed.ast, text)
  const { valid, type = 'dyn', error } = parsed.check()
  if (!valid) throw new SyntaxError(inOneLine(error))
  const evaluate = (record: JsonObject): unknown => {
    try {
      return parsed({ record: celValue(record) })
    } catch (thrown) {
      throw new Error(`${withoutValue(inOneLine(thrown), text)}${advice(thrown)}`, { cause: thrown })
    }
  }
  const path = memberPath(parsed.ast)
  return {
    type,
    reads: readsOf(parsed.ast),
    isCopy: path !== undefined && path.length > 0,
    assign(record, target, name) {
      const found = path === undefined ? undefined : memberAt(record, path)
      if (found === undefined) return assignValue(target, name, evaluate(record))
      // A value that is only copied keeps its digits.
      setMember(target, name, found.holder[found.key] as JsonValue)
      setNumberLiteral(target, name, numberLiteral(found.holder, found.key))
    },
    decides(record) {
      const value = evaluate(record)
      if (typeof value === 'boolean') return value
      throw new Error(`it is ${kindOf(value)}, expected true or false`)
    },
  }
}

/** Loaded with the first expression: most documents have none. */
let environment: Environment | undefined

function parse(text: string): ParseResult {
  if (environment === undefined) {
    const cel = createRequire(import.meta.url)('@marcbachmann/cel-js') as typeof import('@marcbachmann/cel-js')
    environment = new cel.Environment({ enableOptionalTypes: true, homogeneousAggregateLiterals: false })
    environment.registerVariable('record', 'map')
  }
  try {
    return environment.parse(text)
  } catch (error) {
    throw new SyntaxError(inOneLine(error))
  }
}

/** The first line of an error, and the column. The library shows the text and an arrow below it. */
function inOneLine(error: unknown): string {
  const { message, range } = error as { message?: string; range?: { start: number } }
  const [first = 'it cannot be evaluated'] = (message ?? '').split('\n')
  return range === undefined ? first : `${first}, column ${range.start + 1}`
}

/** A key or text that is not written in the expression is a value of the record, which an error must not show. */
function withoutValue(message: string, text: string): string {
  return message.replace(/^([^:]*): ([^,]*)/, (all, what: string, value: string) => (text.includes(value) ? all : what))
}

function advice(error: unknown): string {
  const { code } = error as { code?: string }
  if (code === 'no_such_key') return '; ask before with has(record.name), or write record.?name.orValue(null)'
  if (code === 'no_such_overload') return '; look for null before, or convert with double(), int() or string()'
  return ''
}

/** The library matches patterns with backtracking, so that a value of an API could hold a run up for hours. */
function refuseMatches(ast: ASTNode, text: string): void {
  const open: unknown[] = [ast]
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    if (Array.isArray(node)) open.push(...node)
    else if (typeof node === 'object' && node !== null && 'op' in node) {
      const { op, args, start } = node as ASTNode
      const isCall = op === 'rcall' || op === 'call'
      if (isCall && Array.isArray(args) && args[0] === 'matches') {
        const cure = 'use startsWith, endsWith, contains, split or ==, or a function in `processing_steps`'
        throw new SyntaxError(`matches() is not supported in ${JSON.stringify(text)}, column ${start + 1}; ${cure}`)
      }
      open.push(args)
    }
  }
}

/** Calls that evaluate an expression for each element of a list. */
const FOR_EACH: ReadonlySet<unknown> = new Set(['all', 'exists', 'exists_one', 'filter', 'map', 'sortBy'])
/** With three inside each other, a list of 100 elements takes a million steps for each record. */
const MOST_NESTED = 2

function refuseNested(ast: ASTNode, text: string): void {
  const open: { readonly node: unknown; readonly depth: number }[] = [{ node: ast, depth: 0 }]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { node, depth } = next
    if (Array.isArray(node)) open.push(...node.map((one: unknown) => ({ node: one, depth })))
    else if (typeof node === 'object' && node !== null && 'op' in node) {
      const { op, args, start } = node as ASTNode
      if (op !== 'rcall' || !Array.isArray(args) || !FOR_EACH.has(args[0])) {
        open.push({ node: args, depth })
        continue
      }
      if (depth === MOST_NESTED) {
        const problem = `${args[0]}() stands inside ${MOST_NESTED} other calls that go through a list`
        const cure = 'which could take hours for long lists; use a function in `processing_steps`'
        throw new SyntaxError(`${problem}, ${cure}: ${JSON.stringify(text)}, column ${start + 1}`)
      }
      const [, list, each] = args as readonly unknown[]
      open.push({ node: list, depth }, { node: each, depth: depth + 1 })
    }
  }
}

/** The fields that an expression reads, by whatever way they are written. Those of elements of lists are not told. */
function readsOf(ast: ASTNode): readonly FieldRead[] {
  const reads: FieldRead[] = []
  const open: { readonly node: unknown; readonly isValue: boolean }[] = [{ node: ast, isValue: true }]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { node, isValue } = next
    if (Array.isArray(node)) open.push(...node.map((one: unknown) => ({ node: one, isValue })))
    else if (typeof node === 'object' && node !== null && 'op' in node) {
      const names = fieldNames(node as ASTNode)
      if (names !== undefined && names.length > 0) reads.push({ names, isValue })
      else open.push({ node: (node as ASTNode).args, isValue: isValue && !asksForPresence(node as ASTNode) })
    }
  }
  return reads
}

/** Whether it is `has(record.a)`, `record.a != null` or `record.a == record.b`. */
function asksForPresence({ op, args }: ASTNode): boolean {
  if (op === 'call') return Array.isArray(args) && args[0] === 'has'
  if ((op !== '==' && op !== '!=') || !Array.isArray(args)) return false
  return (args as readonly ASTNode[]).every(one => isNull(one) || fieldNames(one) !== undefined)
}

function isNull({ op, args }: ASTNode): boolean {
  return op === 'value' && args === null
}

/** The names of `record.a.b`, `record.?a` or `record['a']`. Undefined for any other expression. */
function fieldNames(ast: ASTNode): readonly string[] | undefined {
  const { op, args } = ast
  if (op === 'id') return args === 'record' ? [] : undefined
  if ((op !== '.' && op !== '.?' && op !== '[]' && op !== '[?]') || !Array.isArray(args)) return undefined
  const [left, right] = args as readonly [ASTNode, string | ASTNode]
  const name = typeof right === 'string' ? right : right.op === 'value' ? right.args : undefined
  const before = fieldNames(left)
  return before === undefined || typeof name !== 'string' ? undefined : [...before, name]
}

/** The names of `record.a.b`. Undefined for any other expression. */
function memberPath(ast: ASTNode): readonly string[] | undefined {
  if (ast.op === 'id') return ast.args === 'record' ? [] : undefined
  if (ast.op !== '.') return undefined
  const [left, name] = ast.args
  const before = memberPath(left)
  return before === undefined ? undefined : [...before, name]
}

function memberAt(
  record: JsonObject,
  path: readonly string[],
): { readonly holder: JsonObject; readonly key: string } | undefined {
  let holder: JsonValue = record
  for (const [index, key] of path.entries()) {
    if (typeof holder !== 'object' || holder === null || Array.isArray(holder)) return undefined
    const object = holder as JsonObject
    if (!Object.hasOwn(object, key)) return undefined
    if (index === path.length - 1) return { holder: object, key }
    holder = object[key] as JsonValue
  }
  return undefined
}

/** Whole numbers are int in CEL, numbers with a point or an exponent double. */
function celValue(value: JsonValue, literal?: string): unknown {
  if (typeof value === 'number') return literal === undefined && Number.isInteger(value) ? BigInt(value) : value
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map((item: JsonValue, index) => celValue(item, numberLiteral(value, index)))
  const object = value as JsonObject
  return new Map(Object.keys(object).map(key => [key, celValue(object[key] as JsonValue, numberLiteral(object, key))]))
}

function assignValue(target: Record<string, JsonValue>, name: string, value: unknown): void {
  const is = kindOf(value)
  if (is === 'an optional') {
    const optional = value as { hasValue(): boolean; value(): unknown }
    if (optional.hasValue()) assignValue(target, name, optional.value())
    return
  }
  setMember(target, name, jsonValue(value))
  // A double stays one, so that the type of its column does not depend on the first value.
  if (Number.isInteger(value)) setNumberLiteral(target, name, doubleText(value as number))
}

function doubleText(value: number): string {
  const text = String(value)
  return text.includes('e') ? text : `${text}.0`
}

function jsonValue(value: unknown): JsonValue {
  if (value === null || typeof value === 'string' || typeof value === 'boolean' || typeof value === 'bigint')
    return value
  if (typeof value === 'number') {
    if (Number.isFinite(value)) return value
    throw new Error(`it is ${value}, which JSON cannot hold`)
  }
  // A uint.
  const primitive: unknown = (value as object).valueOf()
  if (typeof primitive === 'bigint') return primitive
  if (value instanceof Date) return value.toISOString()
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64')
  if (Array.isArray(value)) {
    const list: JsonValue[] = []
    for (const item of value) assignValue(list as unknown as Record<string, JsonValue>, String(list.length), item)
    return list
  }
  const entries =
    value instanceof Map ? [...(value as Map<unknown, unknown>)] : isPlain(value) ? Object.entries(value) : undefined
  if (entries === undefined)
    throw new Error(`it is ${kindOf(value)}, which JSON cannot hold; make a number or a text of it`)
  const object: Record<string, JsonValue> = {}
  for (const [key, item] of entries) assignValue(object, String(key), item)
  return object
}

function isPlain(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || prototype === Object.prototype
}

function kindOf(value: unknown): string {
  if (value === null) return 'null'
  if (typeof value !== 'object') return typeof value === 'bigint' ? 'an int' : `a ${typeof value}`
  if (Array.isArray(value)) return 'a list'
  const { name } = value.constructor ?? {}
  if (name === 'Optional') return 'an optional'
  return name === 'Map' || isPlain(value) ? 'a map' : `a ${name?.toLowerCase() ?? 'value'}`
}
