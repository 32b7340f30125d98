import { type PatternStep, pathPattern } from '../../json/path.js'
import { isSameName } from './spellings.js'

/** What becomes of a value. `hash` is an HMAC of it, `last4` leaves its last four characters. */
export const maskKinds = ['hash', 'redact', 'drop', 'last4'] as const

export type MaskKind = (typeof maskKinds)[number]

/** One path of a `mask`. */
export interface MaskRule {
  /** As written, from the record. */
  readonly text: string
  readonly kind: MaskKind
  /** Ways to the values: the path, and its whole text as one key, as in `address.zip` of a CSV file. */
  readonly ways: readonly (readonly PatternStep[])[]
  /** Key path in the document, for messages. */
  readonly path: string
}

/** The ways of a path. Throws a SyntaxError if it is not one that leads through members alone. */
export function maskWays(text: string): MaskRule['ways'] {
  const pattern = isPlainKey(text) ? [{ names: [text] }] : pathPattern(text)
  if (pattern === undefined)
    throw new SyntaxError('must lead through members alone: what chooses among elements would leave the others')
  if (pattern.length === 0 || pattern.at(-1) === 'deep') throw new SyntaxError('must end with the name of a member')
  const [first, second] = pattern
  const isOneName = second === undefined && typeof first === 'object' && first.names.includes(text)
  return isOneName ? [pattern] : [pattern, [{ names: [text] }]]
}

/** Names that JSONPath would have in quotes, such as `E-mail address`. */
function isPlainKey(text: string): boolean {
  return text !== '' && !/[[\]$*.|`@?()'"\\]/.test(text)
}

/** Whether a mask may change what is at a path: the value itself, or something around it. */
export function meets({ ways }: Pick<MaskRule, 'ways'>, path: string): boolean {
  const key: readonly PatternStep[] = [{ names: [path] }]
  const other = patternOf(path)
  return ways.some(way => leadsTo(way, key) || (other !== undefined && leadsTo(way, other)))
}

/** Whether a mask may change the whole value that these names lead to. */
export function hides({ ways }: Pick<MaskRule, 'ways'>, names: readonly string[]): boolean {
  const place = names.map(name => ({ names: [name] }))
  return ways.some(way => leadsTo(way, place))
}

/** The rule as it is for the elements of a list at these names. Undefined if it leads to nothing in them. */
export function ruleBelow(rule: MaskRule, names: readonly string[]): MaskRule | undefined {
  const ways = rule.ways.flatMap(way => waysBelow(way, names)).filter(way => way.length > 0)
  return ways.length === 0 ? undefined : { ...rule, ways }
}

function waysBelow(way: readonly PatternStep[], names: readonly string[]): readonly (readonly PatternStep[])[] {
  const [name, ...deeper] = names
  const [step, ...rest] = way
  if (name === undefined) return [way]
  if (step === undefined) return []
  if (step === 'deep') return [...waysBelow(rest, names), ...waysBelow(way, deeper)]
  const leads = step === 'any' || step.names.some(one => isSameName(one, name))
  return leads ? waysBelow(rest, deeper) : []
}

/** Also if the path begins somewhere above the record. */
export function meetsAnywhere(rule: Pick<MaskRule, 'ways'>, path: string): boolean {
  return meets({ ways: rule.ways.map(way => ['deep', ...way]) }, path)
}

function patternOf(path: string): readonly PatternStep[] | undefined {
  try {
    // An index is one of the elements.
    return pathPattern(path.replace(/\[-?\d+\]/g, '[*]'))
  } catch {
    return undefined
  }
}

/** Whether a pattern may lead to the place of another, or to what is around it. */
function leadsTo(one: readonly PatternStep[], other: readonly PatternStep[]): boolean {
  const [a, ...restA] = one
  const [b, ...restB] = other
  if (a === undefined) return true
  if (b === undefined) return false
  if (a === 'deep') return leadsTo(restA, other) || leadsTo(one, restB)
  if (b === 'deep') return leadsTo(one, restB) || leadsTo(restA, other)
  const same = a === 'any' || b === 'any' || a.names.some(name => b.names.some(other => isSameName(name, other)))
  return same && leadsTo(restA, restB)
}
