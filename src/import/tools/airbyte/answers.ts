import { expressionOf, type Syntax, Unsayable } from './jinja.js'
import { type Part, partOf, partsOf, textOf, typeOf } from './manifestParts.js'
import { jsonPath, type Scene } from './rendering.js'

export interface Answers {
  readonly actions: readonly Readonly<Record<string, unknown>>[]
  readonly retry: Readonly<Record<string, unknown>>
}

/** Translates a manifest's error handlers into the document's retries and response actions. */
export function answersOf(given: unknown, scene: Scene): Answers {
  const handlers =
    typeOf(partOf(given)) === 'CompositeErrorHandler' ? partsOf(partOf(given)?.error_handlers) : partsOf(given)
  const actions: Record<string, unknown>[] = []
  const retry: Record<string, unknown> = {}
  for (const handler of handlers) {
    if (typeOf(handler) !== 'DefaultErrorHandler' && typeOf(handler) !== undefined) {
      scene.open(
        `the error handler ${textOf(handler.class_name) ?? typeOf(handler)} is a class of its own; the usual retries apply`,
      )
      continue
    }
    scene.of(handler)
    const most =
      handler.max_retries === undefined ? undefined : scene.value(handler.max_retries, 'the number of retries', false)
    if (most?.kind === 'known' && Number.isInteger(Number(most.value)))
      retry.attempts = Math.min(Number(most.value) + 1, 50)
    for (const filter of partsOf(handler.response_filters)) actions.push(...actionsOf(filter, scene))
    for (const strategy of partsOf(handler.backoff_strategies)) Object.assign(retry, waitOf(strategy, scene))
  }
  return { actions: actions.filter(unique), retry }
}

function unique(
  action: Readonly<Record<string, unknown>>,
  index: number,
  all: readonly Readonly<Record<string, unknown>>[],
): boolean {
  return all.findIndex(other => JSON.stringify(other) === JSON.stringify(action)) === index
}

const ACTIONS: Readonly<Record<string, string>> = {
  IGNORE: 'ignore',
  FAIL: 'fail',
  RETRY: 'retry',
  RATE_LIMITED: 'retry',
  REFRESH_TOKEN_THEN_RETRY: 'refresh_auth',
  RESET_PAGINATION: 'reset_pagination',
}

/** A filter applies if one of its conditions is true, so each condition becomes an action. */
function actionsOf(filter: Part, scene: Scene): Record<string, unknown>[] {
  if (typeOf(filter) !== 'HttpResponseFilter' && typeOf(filter) !== undefined) {
    scene.open(`the filter of answers ${textOf(filter.class_name) ?? typeOf(filter)} is a class of its own`)
    return []
  }
  const named = String(filter.action ?? 'FAIL').toUpperCase()
  const action = ACTIONS[named]
  const conditions: Record<string, unknown>[] = []
  for (const code of [filter.http_codes ?? []].flat())
    if (Number.isInteger(Number(code))) conditions.push({ status_code: Number(code) })
  if (textOf(filter.error_message_contains) !== undefined)
    conditions.push({ content: String(filter.error_message_contains) })
  if (textOf(filter.predicate) !== undefined) conditions.push(...predicateOf(String(filter.predicate), scene))
  if (action === undefined) {
    if (named !== 'SUCCESS') scene.open(`the action ${named} for certain answers`)
    else if (conditions.length > 0)
      return conditions.filter(isError).map(condition => ({ ...condition, action: 'empty' }))
    return []
  }
  const message = action === 'fail' ? messageOf(filter.error_message) : undefined
  return conditions.map(condition => ({ ...condition, action, ...(message !== undefined && { message }) }))
}

function isError({ status_code: code }: Readonly<Record<string, unknown>>): boolean {
  return typeof code === 'number' && code >= 400
}

/** The text of the error. Values of the answer become placeholders. */
function messageOf(given: unknown): string | undefined {
  const text = textOf(given)
  if (text === undefined) return undefined
  const shown = text
    .replace(/\{[{%][\s\S]*?[%}]\}/g, '…')
    .replace(/[{}]/g, '')
    .replace(/\$/g, '')
    .trim()
  return shown === '' || shown === '…' ? undefined : shown
}

/** Conditions. One of them must be true. */
function predicateOf(text: string, scene: Scene): Record<string, unknown>[] {
  return scene.attempt('a condition on answers', text, () => conditionsOf(expressionOf(text)), false) ?? []
}

function conditionsOf(node: Syntax): Record<string, unknown>[] {
  const operator = node.type === 'BinaryExpression' ? String((node.operator as Syntax).value) : undefined
  const [left, right] = [node.left as Syntax, node.right as Syntax]
  if (operator === 'or') return [...conditionsOf(left), ...conditionsOf(right)]
  if (operator === 'and') {
    // `'error' in response and response.error.code == 3`: the second implies the first.
    const [first, second] = [conditionsOf(left), conditionsOf(right)]
    if (first.length === 1 && first[0]?.exists === true && second.length === 1) return second
    throw new Unsayable('two conditions at once')
  }
  const place = placeOf(node)
  if (place !== undefined && place.length > 0) return [{ json_path: jsonPath(place), exists: true }]
  if (operator === '==') {
    const on = placeOf(left)
    if (on !== undefined && /^(String|Integer)Literal$/.test(right.type))
      return [{ json_path: jsonPath(on), equals: right.value }]
  }
  if (operator === 'in' && left.type === 'StringLiteral') {
    const on = placeOf(right)
    if (on === undefined) throw new Unsayable('`in` of this')
    // Either a key of a map, or a text inside another text.
    return on.length === 0 && /^\w+$/.test(String(left.value))
      ? [{ json_path: jsonPath([String(left.value)]), exists: true }]
      : [{ content: String(left.value) }]
  }
  if (operator === 'in' && right.type === 'ArrayLiteral') {
    const on = placeOf(left)
    const values = (right.value as Syntax[]).map(item => item.value)
    if (on !== undefined && values.every(value => typeof value === 'string' || typeof value === 'number')) {
      return [{ json_path: jsonPath(on), in: values }]
    }
  }
  throw new Unsayable(`\`${operator ?? node.type}\``)
}

function placeOf(node: Syntax): (string | number)[] | undefined {
  if (node.type === 'Identifier') return node.value === 'response' ? [] : undefined
  if (node.type === 'MemberExpression') {
    const above = placeOf(node.object as Syntax)
    const { type, value } = node.property as Syntax
    return above === undefined || !/^(Identifier|StringLiteral|IntegerLiteral)$/.test(type)
      ? undefined
      : [...above, value as string]
  }
  const callee = node.callee as Syntax | undefined
  if (node.type === 'CallExpression' && callee?.type === 'MemberExpression') {
    const method = (callee.property as Syntax).value
    const on = placeOf(callee.object as Syntax)
    const [key] = node.args as Syntax[]
    if (method === 'get' && on !== undefined && key?.type === 'StringLiteral') return [...on, String(key.value)]
    if (method === 'lower' || method === 'upper') return undefined
  }
  return undefined
}

/** How long to wait before another attempt. */
function waitOf(strategy: Part, scene: Scene): Record<string, unknown> {
  const numberAt = (key: string): number | undefined => {
    const value =
      strategy[key] === undefined ? undefined : scene.of(strategy).value(strategy[key], 'a time to wait', false)
    const number = value?.kind === 'known' ? Number(value.value) : Number.NaN
    return Number.isFinite(number) && number > 0 ? number : undefined
  }
  const header = textOf(strategy.header)
  switch (typeOf(strategy)) {
    case 'ConstantBackoffStrategy': {
      const seconds = numberAt('backoff_time_in_seconds')
      return seconds === undefined
        ? {}
        : { base: seconds, factor: 1, jitter: 'none', ...(seconds > 300 && { max_delay: seconds }) }
    }
    case 'ExponentialBackoffStrategy':
      return { base: numberAt('factor') ?? 5, factor: 2 }
    case 'WaitTimeFromHeader':
      if (strategy.regex !== undefined)
        scene.open(`the time to wait is a part of the header ${header}, found by a regular expression`)
      return header === undefined || strategy.regex !== undefined || /^retry-after$/i.test(header)
        ? {}
        : { wait_from: { header } }
    case 'WaitUntilTimeFromHeader':
      return header === undefined || strategy.regex !== undefined ? {} : { wait_from: { header, unit: 'date' } }
    default:
      scene.open(
        `the time to wait is computed by a class of its own (${textOf(strategy.class_name) ?? '?'}); the usual waits apply`,
      )
      return {}
  }
}
