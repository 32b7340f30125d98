import { naming } from '../../schema/naming.js'
import { Anchors } from './anchors.js'
import { BASE64_ENDS, type Base64End, base64, encoderOf, utf16, written } from './encodings.js'
import { reveal, type Secret } from './secret.js'
import { isInLines, LONGEST_SPELLING, type Needle, reach } from './spelling.js'

/**
 * The second safeguard: removes known secrets, in any spelling, from text and bytes that are printed or stored. The
 * first safeguard is the type `Secret`, which should keep values from getting that far.
 */
export interface Scrubber {
  add(secret: Secret): void
  /** For people: also removes pieces of a secret next to a cut, which `…` or `...` marks. */
  text(text: string): string
  /** The same bytes if nothing was found, else a copy. */
  bytes(bytes: Uint8Array): Uint8Array
  /** Like `bytes`, but notes where each secret was. The note holds only their origins, no secrets. */
  seal(bytes: Uint8Array): Sealed
  /** Restores the secrets that are known again. Others stay `***`. */
  unseal(sealed: Sealed): Unsealed
}

export interface Sealed {
  readonly bytes: Uint8Array
  /** By origin, number among the secrets of that origin and spelling: offsets of the `***` in `bytes`, rising. */
  readonly seals: readonly (readonly [origin: string, number: number, spelling: string, ...offsets: number[]])[]
}

export interface Unsealed {
  readonly bytes: Uint8Array
  /** Whether everything was restored. */
  readonly whole: boolean
}

/** Shorter values are too common to search for. */
const SHORTEST_SCRUBBED = 4
/** From this length on, letters match in either case, since a value may become part of a host or a column name. */
const SHORTEST_FOLDED = 8
/** Shortest piece of a value at a cut that is removed. Shorter pieces are common and reveal little. */
const SHORTEST_PIECE = 4

interface Known {
  readonly origin: string
  readonly number: number
  readonly value: string
  readonly needles: readonly Needle[]
}

/** A place where a secret stands. */
interface Hit {
  readonly start: number
  readonly end: number
  /** Undefined if several secrets touch. */
  readonly secret: Known | undefined
}

export function scrubber(secrets: Iterable<Secret> = []): Scrubber {
  const known = new Map<string, Known>()
  let search: Search | undefined
  const current = (): Search => {
    search ??= new Search([...known.values()])
    return search
  }

  const add = (secret: Secret): void => {
    const value = reveal(secret)
    if (value.length < SHORTEST_SCRUBBED || known.has(value)) return
    const { origin } = secret
    const number = [...known.values()].filter(other => other.origin === origin).length
    known.set(value, { origin, number, value, needles: needlesOf(value) })
    search = undefined
  }
  for (const secret of secrets) add(secret)

  const seal = (bytes: Uint8Array): Sealed => {
    if (known.size === 0) return { bytes, seals: [] }
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
    const hits = current().hits(bytes, text)
    if (hits.length === 0) return { bytes, seals: [] }
    const seals = new Map<string, [string, number, string, ...number[]]>()
    let shift = 0
    for (const { start, end, secret } of hits) {
      const [origin, number, spelling] =
        secret === undefined
          ? ['', 0, UNKNOWN_SPELLING]
          : [secret.origin, secret.number, noted(secret, text.slice(start, end))]
      const key = `${spelling} ${number} ${origin}`
      const offsets = seals.get(key)
      if (offsets === undefined) seals.set(key, [origin, number, spelling, start + shift])
      else offsets.push(start + shift)
      shift += MASK.length - (end - start)
    }
    return { bytes: Buffer.from(masked(text, hits), 'latin1'), seals: [...seals.values()] }
  }

  return {
    add,
    text(input) {
      if (known.size === 0 || input.length < SHORTEST_SCRUBBED) return input
      const bytes = Buffer.from(input)
      const text = bytes.toString('latin1')
      const hits = current().hitsAndPieces(bytes, text)
      return hits.length === 0 ? input : Buffer.from(masked(text, hits), 'latin1').toString()
    },
    bytes: input => seal(input).bytes,
    seal,
    unseal({ bytes, seals }) {
      let whole = true
      const places = seals.flatMap(([origin, number, spelling, ...offsets]) => {
        const secret = [...known.values()].find(other => other.origin === origin && other.number === number)
        const text = secret === undefined ? undefined : written(secret.value, spelling)
        if (text === undefined) whole = false
        return text === undefined ? [] : offsets.map(at => ({ at, text: Buffer.from(text) }))
      })
      if (places.length === 0) return { bytes, whole }
      const parts: Uint8Array[] = []
      let from = 0
      for (const { at, text } of places.sort((a, b) => a.at - b.at)) {
        parts.push(bytes.subarray(from, at), text)
        from = at + MASK.length
      }
      return { bytes: Buffer.concat([...parts, bytes.subarray(from)]), whole }
    },
  }
}

const MASK = '***'
const UNKNOWN_SPELLING = ''

/** The spelling, if it can be restored. */
function noted({ value }: Known, found: string): string {
  return encoderOf(value, Buffer.from(found, 'latin1').toString()) ?? UNKNOWN_SPELLING
}

function masked(text: string, hits: readonly Hit[]): string {
  let cleaned = ''
  let from = 0
  for (const { start, end } of hits) {
    cleaned += text.slice(from, start) + MASK
    from = end
  }
  return cleaned + text.slice(from)
}

interface Wanted {
  readonly secret: Known
  readonly needle: Needle
  /** Bytes of the needle before its anchor. */
  readonly offset: number
}

/** Letters and digits are rarely encoded, so a run of them in a needle shows where to search. */
const ANCHOR = /[A-Za-z0-9]{3,}/g
const LONGEST_ANCHOR = 10
const GOOD_ANCHOR = 6

/** An encoded letter or digit, for needles without a usable run of letters and digits. */
const WRITTEN_LETTER = (() => {
  const code = '(?:3[0-9]|4[1-9a-fA-F]|5[0-9aA]|6[1-9a-fA-F]|7[0-9aA])'
  const escaping = `(?:u00${code}|u\\{|U000000|x[3-7]|[01][0-7][0-7])`
  const decimal = '0*(?:4[89]|5[0-7]|6[5-9]|[78][0-9]|90|9[7-9]|1[01][0-9]|12[0-2])(?![0-9])'
  const entity = `(?:amp;)*(?:#|%23)(?:${decimal}|[xX]0*${code}(?![0-9a-fA-F]))`
  return new RegExp(
    `=${code}=[0-9a-fA-F]{2}|%(?:25)*(?:${code}|u00${code}|5[cC]${escaping}|26${entity})|\\\\(?:${escaping}|u0026${entity})|&${entity}`,
  )
})()

/** Searches for some secrets. Texts are latin1 strings of the bytes. */
class Search {
  readonly #all: readonly Wanted[]
  readonly #unanchored: readonly Wanted[]
  readonly #anchors: Anchors<Wanted>

  constructor(secrets: readonly Known[]) {
    const all: Wanted[] = []
    const unanchored: Wanted[] = []
    const anchors: [string, Wanted][] = []
    for (const secret of secrets) {
      for (const needle of secret.needles) {
        const wanted = { secret, needle, offset: 0 }
        all.push(wanted)
        const found = anchorsOf(needle)
        if (found.length === 0) unanchored.push(wanted)
        for (const { texts, offset } of found) for (const text of texts) anchors.push([text, { ...wanted, offset }])
      }
    }
    this.#all = all
    this.#unanchored = unanchored
    this.#anchors = new Anchors(anchors)
  }

  hits(bytes: Uint8Array, text: string): readonly Hit[] {
    return joined(this.#found(bytes, text))
  }

  /** Also finds what is left of a secret next to a cut. */
  hitsAndPieces(bytes: Uint8Array, text: string): readonly Hit[] {
    const found = this.#found(bytes, text)
    let [cuts, last] = [0, 0]
    for (const cut of text.matchAll(CUT)) {
      if (++cuts > MOST_CUTS) {
        found.push({ start: last, end: text.length, secret: undefined })
        break
      }
      last = cut.index + cut[0].length
      const before = regionBefore(text, cut.index)
      const behind = regionBehind(text, cut.index + cut[0].length)
      for (const { needle } of this.#all) {
        if (needle.isWhole === true) continue
        const piece = pieceBefore(text, before, needle) ?? pieceBehind(text, behind, needle)
        if (piece !== undefined) found.push({ ...piece, secret: undefined })
      }
    }
    return joined(found)
  }

  #found(bytes: Uint8Array, text: string): Hit[] {
    const found: Hit[] = []
    if (WRITTEN_LETTER.test(text)) {
      for (const wanted of this.#all) scan(text, 0, text.length, wanted, found)
      return found
    }
    for (const wanted of this.#unanchored) scan(text, 0, text.length, wanted, found)
    this.#anchors.search(bytes, (at, wanted) =>
      scan(text, Math.max(0, at - wanted.offset * LONGEST_SPELLING), at + 1, wanted, found),
    )
    return found
  }
}

function scan(text: string, from: number, to: number, { needle, secret }: Wanted, found: Hit[]): void {
  for (let start = from; start < to; start++) {
    const { end } = reach(text, start, text.length, needle)
    if (end < 0) continue
    found.push({ start, end, secret })
    start = end - 1
  }
}

/** In order, without overlaps. */
function joined(hits: readonly Hit[]): readonly Hit[] {
  if (hits.length < 2) return hits
  const sorted = [...hits].sort((a, b) => a.start - b.start || b.end - a.end)
  const [first, ...rest] = sorted
  const whole: Hit[] = first === undefined ? [] : [first]
  for (const hit of rest) {
    const last = whole.at(-1)
    if (last === undefined || hit.start >= last.end) whole.push(hit)
    else if (hit.end > last.end) whole[whole.length - 1] = { start: last.start, end: hit.end, secret: undefined }
  }
  return whole
}

interface Anchor {
  readonly texts: readonly string[]
  readonly offset: number
}

function anchorsOf(needle: Needle): readonly Anchor[] {
  const { bytes, foldsCase, isWhole, numbers } = needle
  if (numbers !== undefined)
    return NUMBER_ANCHORS.map(offset => ({ texts: numberAnchors(bytes, numbers, offset), offset }))
  const text = Buffer.from(bytes).toString('latin1')
  if (isWhole === true && !isInLines(needle)) return [{ texts: [text.slice(0, LONGEST_ANCHOR)], offset: 0 }]
  const shortest = isInLines(needle) ? SHORTEST_BASE64 / 2 : GOOD_ANCHOR
  const runs = [...text.matchAll(ANCHOR)].flatMap(({ 0: run, index }) => split(run, index, shortest))
  const longest = runs.reduce((most, run) => Math.max(most, run.text.length), 0)
  const good = runs.filter(run => run.text.length >= Math.min(longest, GOOD_ANCHOR, shortest))
  // A line may end inside of one.
  return good.slice(0, 2).map(({ text: run, at }) => ({
    texts: foldsCase ? [...new Set([run, run.toLowerCase(), run.toUpperCase()])] : [run],
    offset: at,
  }))
}

/** Two anchors where a run is long enough for both. */
function split(run: string, at: number, shortest: number): readonly { readonly text: string; readonly at: number }[] {
  const length = Math.min(LONGEST_ANCHOR, run.length >> 1)
  if (length < shortest) return [{ text: run.slice(0, LONGEST_ANCHOR), at }]
  return [0, length].map(from => ({ text: run.slice(from, from + length), at: at + from }))
}

/** A line may end behind the first numbers of a list, but hardly also behind later ones. */
const NUMBER_ANCHORS = [0, 4]

/** The numbers from `offset` on, with what programs write between them: JSON, Node and Go; dumps of bytes. */
function numberAnchors(bytes: Uint8Array, base: 10 | 16, offset: number): readonly string[] {
  const numbers = [...bytes.subarray(offset, offset + 4)].map(byte =>
    base === 16 ? byte.toString(16).padStart(2, '0') : String(byte),
  )
  const gaps = base === 16 ? [' ', ':', ', 0x', ',0x', ' 0x'] : [',', ', ', ' ']
  const texts = gaps.map(gap => numbers.join(gap).slice(0, LONGEST_ANCHOR))
  return base === 16 ? [...new Set([...texts, ...texts.map(text => text.toUpperCase().replaceAll('X', 'x'))])] : texts
}

const CUT = /(?:\.\.\.|\xe2\x80\xa6)+/g
/** What is behind so many of them is not looked into, but hidden. */
const MOST_CUTS = 64
/** How far from a cut a piece may begin. */
const FURTHEST_PIECE = 1024
const QUOTE_BEFORE = /\\{0,8}["'`]$/
const QUOTE_BEHIND = /^["'`]/

/** Text on one side of a cut, without the quotation mark at the cut. */
interface Region {
  readonly start: number
  readonly end: number
  /** In lower case, if letters and digits are not encoded. */
  readonly plain: string | undefined
  /** Whether the region is cut at both ends. */
  readonly isCutTwice: boolean
}

function regionBefore(text: string, cut: number): Region {
  const start = Math.max(0, cut - FURTHEST_PIECE)
  const near = text.slice(start, cut)
  const end = cut - (QUOTE_BEFORE.exec(near)?.[0].length ?? 0)
  return { start, end, plain: WRITTEN_LETTER.test(near) ? undefined : near.toLowerCase(), isCutTwice: false }
}

function regionBehind(text: string, cut: number): Region {
  const near = text.slice(cut, cut + FURTHEST_PIECE)
  const start = cut + (QUOTE_BEHIND.exec(near)?.[0].length ?? 0)
  const next = near.search(CUT)
  const end =
    next < 0 ? text.length : Math.max(start, cut + next - (QUOTE_BEFORE.exec(near.slice(0, next))?.[0].length ?? 0))
  return { start, end, plain: undefined, isCutTwice: next >= 0 }
}

interface Piece {
  readonly start: number
  readonly end: number
}

function pieceBefore(text: string, { start, end, plain }: Region, needle: Needle): Piece | undefined {
  const shortest = shortestPiece(needle)
  const head = plain === undefined ? '' : headOf(needle)
  for (let at = start; at < end; at++) {
    if (plain !== undefined && head !== '') {
      const next = plain.indexOf(head, at - start)
      if (next < 0) return undefined
      at = start + next
    }
    if (reach(text, at, end, needle).atLimit >= shortest) return { start: at, end }
  }
  return undefined
}

/** Letters and digits at the start of a needle, in lower case. Every piece that is worth a check contains them. */
function headOf({ bytes, numbers }: Needle): string {
  if (numbers !== undefined) return ''
  const head = Buffer.from(bytes.subarray(0, SHORTEST_PIECE - 1)).toString('latin1')
  return /^[A-Za-z0-9]*/.exec(head)?.[0].toLowerCase() ?? ''
}

/** Also finds a piece from the middle, if both ends are cut. */
function pieceBehind(text: string, { start, end, isCutTwice }: Region, needle: Needle): Piece | undefined {
  const shortest = shortestPiece(needle)
  for (let first = 1; first <= needle.bytes.length - shortest; first++) {
    const reached = reach(text, start, end, needle, first)
    if (reached.end >= 0) return { start, end: reached.end }
    if (isCutTwice && reached.atLimit >= shortest) return { start, end }
  }
  return undefined
}

function shortestPiece({ bytes }: Needle): number {
  return Math.min(SHORTEST_PIECE, bytes.length - 1)
}

/** The value as it is, in hexadecimal, in base64 at any place of a longer text, in UTF-16, and as a column name. */
function needlesOf(value: string): readonly Needle[] {
  const found = new Map<string, Needle>()
  const add = (text: string | Uint8Array, kind: Partial<Needle> = {}): void => {
    const bytes = Buffer.from(text as string)
    const foldsCase = bytes.length >= SHORTEST_FOLDED && kind.isBase64 !== true
    const key = `${kind.isBase64 === true} ${bytes.toString('latin1')}`
    if (!found.has(key)) found.set(key, { bytes, foldsCase, isBase64: false, ...kind })
  }
  const addBase64 = (text: string | Uint8Array, ends: readonly Base64End[], kind: Partial<Needle> = {}): void => {
    for (const before of PLACES_OF_BASE64) {
      for (const end of ends) {
        const piece = base64(text, before, end)
        if (piece.length >= SHORTEST_BASE64) add(piece, { isBase64: true, ...kind })
      }
    }
  }
  for (const text of alike(value)) add(text)
  add(Buffer.from(value).toString('hex'), { foldsCase: true, isHex: true })
  const bytes = Buffer.from(value)
  if (bytes.length >= SHORTEST_LIST && !isCounting(bytes)) {
    for (const numbers of [10, 16] as const) found.set(`numbers ${numbers}`, { ...NUMBERS, bytes, numbers })
  }
  for (const inner of new Set(INSIDE_BASE64.map(name => written(value, name) ?? value))) addBase64(inner, BASE64_ENDS)
  const wide = utf16(value)
  const rare: (string | Uint8Array)[] = [wide]
  for (const before of PLACES_OF_BASE64) rare.push(base64(value, before, 'Within'))
  if (/[\x80-\xff]/.test(value) && /^[\0-\xff]*$/.test(value)) rare.push(Buffer.from(value, 'latin1'))
  for (const inner of rare) addBase64(inner, ['Within'], { isWhole: true })
  for (const bytes of [wide, Buffer.from(wide).swap16()]) add(bytes, { isWhole: true, foldsCase: false })
  const name = columnName(value)
  if (name !== undefined && name.length >= SHORTEST_FOLDED) add(name)
  return [...found.values()]
}

/** The value with outer blanks removed, characters composed differently, or letters in another case. */
function alike(value: string): readonly string[] {
  const texts = [value, value.trim()].flatMap(text => [text, text.normalize('NFC'), text.normalize('NFD')])
  const cased = /[^\0-\x7f]/.test(value) ? [value.toLowerCase(), value.toUpperCase()] : []
  return [...texts, ...cased].filter(text => text.length >= SHORTEST_SCRUBBED)
}

const NUMBERS = { foldsCase: false, isBase64: false }
/** Shorter lists of numbers occur by chance. */
const SHORTEST_LIST = 8

/** Numbers that rise or fall in equal steps are ordinary: `12345678` would be the ids from 49 to 56. */
function isCounting(bytes: Uint8Array): boolean {
  const step = (bytes[1] ?? 0) - (bytes[0] ?? 0)
  return bytes.every((byte, at) => at === 0 || byte - (bytes[at - 1] as number) === step)
}

const PLACES_OF_BASE64 = [0, 1, 2] as const
/** How a value may be written before it is encoded in base64. */
const INSIDE_BASE64 = ['plain', 'json', 'jsonAscii', 'uri', 'form']
/** Shorter pieces of base64 occur by chance. */
const SHORTEST_BASE64 = 8

function columnName(value: string): string | undefined {
  return value.trim() === '' ? undefined : naming('snake_case').identifier(value)
}

/** The same value with secrets removed from all texts and keys. Only plain objects, lists and texts are changed. */
export function scrubbed<Value>(value: Value, scrubber: Scrubber): Value {
  return scrubbedValue(value, scrubber) as Value
}

function scrubbedValue(value: unknown, scrubber: Scrubber): unknown {
  if (typeof value === 'string') return scrubber.text(value)
  if (Array.isArray(value)) return value.map(element => scrubbedValue(element, scrubber))
  if (!isPlain(value)) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => [scrubber.text(key), scrubbedValue(member, scrubber)]),
  )
}

/** Deeper causes and details are not checked. */
const DEEPEST = 8

/**
 * Removes secrets from the message, stack, causes and details of a thrown value. An error stays the same object, so
 * callers still recognise it.
 */
export function scrubbedFailure(failure: unknown, scrubber: Scrubber): unknown {
  return cleanDetail(failure, scrubber, DEEPEST, new Set())
}

/** The result of the work. If it fails, known secrets are removed from the failure. */
export async function withoutSecrets<Result>(work: () => Promise<Result>, scrubber: Scrubber): Promise<Result> {
  try {
    return await work()
  } catch (error) {
    throw scrubbedFailure(error, scrubber)
  }
}

function cleanDetail(detail: unknown, scrubber: Scrubber, depth: number, seen: Set<object>): unknown {
  if (typeof detail === 'string') return scrubber.text(detail)
  if (typeof detail !== 'object' || detail === null || depth === 0 || seen.has(detail)) return detail
  seen.add(detail)
  const inner = (value: unknown): unknown => cleanDetail(value, scrubber, depth - 1, seen)
  if (detail instanceof Error) {
    // Includes members of the prototype, where an abort has its message.
    for (const key of new Set(['message', 'stack', ...Reflect.ownKeys(detail)])) replace(detail, key, inner)
  } else if (Array.isArray(detail) || isPlain(detail)) {
    for (const key of Reflect.ownKeys(detail)) replace(detail, key, inner)
  }
  return detail
}

function replace(holder: object, key: string | symbol, clean: (value: unknown) => unknown): void {
  const before: unknown = Reflect.get(holder, key)
  const after = clean(before)
  if (after === before) return
  const enumerable = Object.getOwnPropertyDescriptor(holder, key)?.enumerable ?? false
  Reflect.defineProperty(holder, key, { value: after, enumerable, configurable: true, writable: true })
}

function isPlain(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}
