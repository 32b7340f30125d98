import type { JsonObject, JsonValue } from './value.js'
import { numberLiteral } from './value.js'

/** A function of texts between backquotes in a JSONPath, as in `` `split(-, 0, -1)` ``. Undefined: no match. */
export type TextFunction = (value: JsonValue, place: TextPlace) => JsonValue | undefined

/** Where a value was found, for the text of a number. */
interface TextPlace {
  readonly container?: JsonObject | readonly JsonValue[] | undefined
  readonly key?: string | number | undefined
}

/** Compiles `str()`, `sub(/pattern/, text)` or `split(text, which, most)`. A text says what is wrong with it. */
export function textFunction(call: string): TextFunction | string | undefined {
  if (/^str\(\)/.test(call)) return asText
  if (call.startsWith('sub(')) return substitution(call)
  if (/^split\s*\(/.test(call)) return splitting(call)
  return undefined
}

/** As Python writes a value. Lists and objects have no match: their text would be Python’s, not JSON. */
const asText: TextFunction = (value, place) => {
  if (typeof value === 'string') return value
  if (value === null) return 'None'
  if (typeof value === 'boolean') return value ? 'True' : 'False'
  if (typeof value === 'bigint') return String(value)
  return typeof value === 'number' ? numberText(value, place) : undefined
}

/** Python writes doubles with a point, and exponents of two digits from 1e16 up and 1e-5 down. */
function numberText(value: number, { container, key }: TextPlace): string {
  const spelled = container === undefined || key === undefined ? undefined : numberLiteral(container, key)
  const isDouble = !Number.isInteger(value) || (spelled !== undefined && /[.eE]/.test(spelled))
  if (!isDouble) return String(value)
  const [digits = '', exponent = ''] = value.toExponential().split('e')
  const power = Number(exponent)
  if (power >= 16 || power < -4) {
    return `${digits}e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`
  }
  const plain = Math.abs(value) < 1e-6 ? value.toFixed(20).replace(/0+$/, '') : String(value)
  return plain.includes('.') ? plain : `${plain}.0`
}

/** Patterns that mean the same in Python and here. */
function substitution(call: string): TextFunction | string {
  const [, pattern, replacement] = /^sub\(\/(.*)\/,\s+(.*)\)/.exec(call) ?? []
  if (pattern === undefined || replacement === undefined) return 'expected `sub(/pattern/, text)`'
  const source = samePattern(pattern.trim())
  if (source === undefined) {
    return 'only patterns that mean the same in Python are supported: texts, `.`, classes, groups, `|`, `^` and repetitions; use a `map` step for others'
  }
  if (/\\(?![1-9])/.test(replacement)) return 'expected a text with \\1 to \\9 for the groups'
  let expression: RegExp
  try {
    expression = new RegExp(source, 'gu')
  } catch {
    return `${JSON.stringify(pattern)} is not a regular expression`
  }
  const template = replacement
    .trim()
    .replaceAll('$', '$$$$')
    .replace(/\\([1-9])/g, '$$$1')
  return value => {
    if (typeof value !== 'string') return undefined
    const changed = value.replace(expression, template)
    return changed === value ? undefined : changed
  }
}

/** The pattern for this engine. Undefined if it has something that Python would take for something else. */
function samePattern(pattern: string): string | undefined {
  if (/\(\?|\$|\{,|[*+?}]\+/.test(pattern)) return undefined
  let source = ''
  let inClass = false
  for (let at = 0; at < pattern.length; at++) {
    const character = pattern.charAt(at)
    if (character === '\\') {
      at += 1
      const escaped = pattern.charAt(at)
      if (escaped === '' || /[A-Za-z0-9\s]/.test(escaped)) return undefined
      source += /[\\^$.*+?()[\]{}|/]/.test(escaped) || (inClass && escaped === '-') ? `\\${escaped}` : escaped
    } else if (!inClass && character === '.') source += '[^\\n]'
    else {
      if (character === '[') inClass = true
      if (character === ']') inClass = false
      source += character
    }
  }
  return source
}

function splitting(call: string): TextFunction | string {
  const [, quote = '', given, which, most] =
    /^split\s*\(\s*(['"]?)(.*?)\1\s*,\s*(-?\d+|\*)\s*,\s*(-?\d+)\s*\)/.exec(call) ?? []
  if (given === undefined || which === undefined) return 'expected `split(text, which, most)`'
  // A space may stand there without quotes.
  const separator = quote === '' && given === '' ? ' ' : given
  const limit = Number(most)
  return value => {
    if (typeof value !== 'string' || separator === '') return undefined
    const all = value.split(separator)
    const parts = limit < 0 || all.length <= limit ? all : [...all.slice(0, limit), all.slice(limit).join(separator)]
    return which === '*' ? parts : parts.at(Number(which))
  }
}
