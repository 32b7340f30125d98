import {
  elements,
  JsonBytesError,
  kindAt,
  type Span,
  skipSpace,
  skipValue,
  stringAt,
  textAt,
  valueAt,
} from '../../json/bytes.js'
import type { PatternStep } from '../../json/path.js'
import { MAX_JSON_DEPTH } from '../../json/value.js'
import { canonicalJson } from '../../json/write.js'
import type { MaskKind, MaskRule } from './maskRules.js'
import { spellings } from './spellings.js'

/** How far a value is on a way of a rule. There is one for each step of a way, so that equal states are the same. */
interface State {
  readonly rule: MaskRule
  readonly step: 'any' | 'deep' | { readonly spellings: ReadonlySet<string> }
  /** Undefined: a member that the step leads to is masked. */
  readonly next: State | undefined
}

/** A part of the text that is replaced. */
interface Edit {
  readonly start: number
  readonly end: number
  readonly text: string
}

/** Makes of a text another that stands for it. */
type Hash = (text: string) => string

export interface MaskOptions {
  readonly rules: readonly MaskRule[]
  readonly hash: Hash
  /** Where the records begin in the text. Paths start at them. Elsewhere they may start anywhere. */
  readonly records: readonly number[]
  /** Whether some of the records may be none. Then paths start anywhere in them too. */
  readonly isGuess?: boolean | undefined
  /** Texts that stand for null. */
  readonly nulls?: readonly string[] | undefined
  /** Called for each value that a rule replaces. */
  readonly met: (rule: MaskRule) => void
}

/**
 * The same JSON text with masked values. Every other byte stays. It sees every member, also a name that is escaped or
 * comes twice. Throws a JsonBytesError if the text is not JSON where it has to look.
 */
export function maskBytes(bytes: Uint8Array, root: Span, options: MaskOptions): Uint8Array {
  const { rules } = options
  const starts = rules.flatMap(rule => rule.ways.flatMap(way => statesOf(rule, way) ?? []))
  const masking = new Masking(bytes, options, starts)
  const anywhere = starts.map((next): State => (next.step === 'deep' ? next : { rule: next.rule, step: 'deep', next }))
  masking.value(root.start, anywhere, 0)
  return edited(bytes, masking.edits)
}

/** The state at the beginning of a way. */
function statesOf(rule: MaskRule, way: readonly PatternStep[]): State | undefined {
  return way.reduceRight<State | undefined>((next, step) => {
    if (typeof step === 'string') return { rule, step, next }
    return { rule, step: { spellings: new Set(step.names.flatMap(spellings)) }, next }
  }, undefined)
}

const [QUOTE, COMMA, COLON, CLOSE_OBJECT, CLOSE_ARRAY] = [0x22, 0x2c, 0x3a, 0x7d, 0x5d]

class Masking {
  readonly edits: Edit[] = []
  readonly #bytes: Uint8Array
  readonly #options: MaskOptions
  /** Where records begin, in order. */
  readonly #places: readonly number[]
  readonly #records: ReadonlySet<number>
  /** States at the beginning of a record. */
  readonly #starts: readonly State[]

  constructor(bytes: Uint8Array, options: MaskOptions, starts: readonly State[]) {
    this.#bytes = bytes
    this.#options = options
    this.#starts = starts
    this.#places = [...options.records].sort((a, b) => a - b)
    this.#records = new Set(this.#places)
  }

  /** Masks what is in the value that starts at `start`, and returns where it ends. */
  value(start: number, states: readonly State[], depth: number): number {
    const bytes = this.#bytes
    const kind = kindAt(bytes, start)
    if (kind !== 'object' && kind !== 'array') return skipValue(bytes, start)
    // The states of a guess are among those that hold anywhere.
    const inner = this.#options.isGuess !== true && this.#records.has(start) ? this.#starts : states
    if (inner.length === 0) return skipValue(bytes, start)
    if (depth > MAX_JSON_DEPTH) throw new JsonBytesError(`more than ${MAX_JSON_DEPTH} levels deep`, start)
    return kind === 'object' ? this.#object(start, inner, depth) : this.#list(start, inner, depth)
  }

  #list(start: number, states: readonly State[], depth: number): number {
    const bytes = this.#bytes
    let next = skipSpace(bytes, start + 1)
    if (bytes[next] === CLOSE_ARRAY) return next + 1
    for (;;) {
      const after = skipSpace(bytes, this.value(next, states, depth + 1))
      if (bytes[after] === CLOSE_ARRAY) return after + 1
      if (bytes[after] !== COMMA) throw new JsonBytesError('expected `,` or `]`', after)
      next = skipSpace(bytes, after + 1)
    }
  }

  #object(start: number, states: readonly State[], depth: number): number {
    const bytes = this.#bytes
    let next = skipSpace(bytes, start + 1)
    if (bytes[next] === CLOSE_OBJECT) return next + 1
    let keptEnd = start + 1
    for (;;) {
      if (bytes[next] !== QUOTE) throw new JsonBytesError('expected the name of a member', next)
      const nameEnd = skipValue(bytes, next)
      const colon = skipSpace(bytes, nameEnd)
      if (bytes[colon] !== COLON) throw new JsonBytesError('expected `:`', colon)
      const at = skipSpace(bytes, colon + 1)
      const found = advance(states, stringAt(bytes, { start: next, end: nameEnd }))
      const { inner } = found
      // A member that has the name of a field may be the list of the records.
      const rule = found.rule !== undefined && this.#holdsRecords(at) ? undefined : found.rule
      const end = rule === undefined ? this.value(at, inner, depth + 1) : skipValue(bytes, at)
      const after = skipSpace(bytes, end)
      const isLast = bytes[after] === CLOSE_OBJECT
      if (!isLast && bytes[after] !== COMMA) throw new JsonBytesError('expected `,` or `}`', after)
      const following = isLast ? after : skipSpace(bytes, after + 1)
      if (rule !== undefined) this.#options.met(rule)
      if (rule?.kind !== 'drop') {
        if (rule !== undefined) this.#replace({ start: at, end }, rule.kind)
        keptEnd = end
      } else if (isLast) {
        // With the comma before it, and with dropped members before that.
        while ((this.edits.at(-1)?.start ?? -1) >= keptEnd) this.edits.pop()
        this.edits.push({ start: keptEnd, end, text: '' })
      } else this.edits.push({ start: next, end: following, text: '' })
      if (isLast) return after + 1
      next = following
    }
  }

  #holdsRecords(start: number): boolean {
    const end = skipValue(this.#bytes, start)
    let [low, high] = [0, this.#places.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#places[middle] ?? 0) < start) low = middle + 1
      else high = middle
    }
    return (this.#places[low] ?? end) < end
  }

  #replace(span: Span, kind: Exclude<MaskKind, 'drop'>): void {
    this.edits.push({ ...span, text: masked(this.#bytes, span, kind, this.#options) })
  }
}

/** The rule for a member, and the states of what is in it. Of several rules the one that shows least counts. */
function advance(
  states: readonly State[],
  name: string,
): { readonly rule?: MaskRule; readonly inner: readonly State[] } {
  const inner = new Set<State>()
  const spelled = spellings(name)
  let rule: MaskRule | undefined
  const take = (state: State): void => {
    const { step, next } = state
    if (step === 'deep') {
      inner.add(state)
      if (next !== undefined) take(next)
    } else if (step === 'any' || spelled.some(text => step.spellings.has(text))) {
      if (next !== undefined) inner.add(next)
      else if (rule === undefined || shows(state.rule.kind) < shows(rule.kind)) rule = state.rule
    }
  }
  for (const state of states) take(state)
  return rule === undefined ? { inner: [...inner] } : { rule, inner: [...inner] }
}

function shows(kind: MaskKind): number {
  return ['drop', 'redact', 'hash', 'last4'].indexOf(kind)
}

const REDACTED = '"***"'

/** Shorter texts would be shown whole, or nearly. */
const SHORTEST_SHOWN = 8

/** The text of a masked value. Null says nothing and stays. Of a list, each element is masked. */
function masked(bytes: Uint8Array, span: Span, kind: Exclude<MaskKind, 'drop'>, options: MaskOptions): string {
  const is = kindAt(bytes, span.start)
  if (is === 'null') return 'null'
  // Parsed, so that what is not JSON fails here too.
  const value = valueAt(bytes, span)
  if (typeof value === 'string' && options.nulls?.includes(value) === true) return JSON.stringify(value)
  if (kind === 'redact' && is !== 'array') return REDACTED
  if (Array.isArray(value))
    return `[${elements(bytes, span.start)
      .map(item => masked(bytes, item, kind, options))
      .join(',')}]`
  const text =
    is === 'object' ? canonicalJson(value) : is === 'number' ? numberText(textAt(bytes, span)) : String(value)
  if (kind === 'hash') return JSON.stringify(options.hash(text))
  const characters = [...text]
  const isShown = is !== 'object' && characters.length >= SHORTEST_SHOWN
  return isShown ? JSON.stringify(`***${characters.slice(-4).join('')}`) : REDACTED
}

/** One text for each whole number, however it is written. Others keep their digits. */
function numberText(literal: string): string {
  const value = Number(literal)
  return /^-?\d+$/.test(literal) || !Number.isSafeInteger(value) ? literal : String(value)
}

function edited(bytes: Uint8Array, edits: readonly Edit[]): Uint8Array {
  if (edits.length === 0) return bytes
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let length = bytes.length
  for (const { start, end, text } of edits) length += Buffer.byteLength(text) - (end - start)
  const output = Buffer.allocUnsafe(length)
  let [from, at] = [0, 0]
  for (const { start, end, text } of edits) {
    at += buffer.copy(output, at, from, start)
    at += output.write(text, at)
    from = end
  }
  buffer.copy(output, at, from)
  return output
}
