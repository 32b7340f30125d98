/**
 * Finds a text in any spelling. Programs may percent-encode all or part of a text, in upper or lower case, escape it
 * for JSON once or twice, use HTML entities, or combine these. No list of spellings is complete. So this code decodes
 * at each place every byte that the text may stand for, and compares the result with the needle. Texts are latin1
 * strings of UTF-8 bytes.
 */

/** A text to find, as bytes. */
export interface Needle {
  readonly bytes: Uint8Array
  /** Whether ASCII letters match in either case. */
  readonly foldsCase: boolean
  /** Written in base64: `-` and `_` also match `+` and `/`. */
  readonly isBase64: boolean
  /** Written in hexadecimal. */
  readonly isHex?: boolean
  /** Only the whole text is found, not the rest of it at a cut. */
  readonly isWhole?: boolean
  /** The bytes are written as numbers of this base with something between them, as in `[115, 101]` and `<Buffer 73 65>`. */
  readonly numbers?: 10 | 16
}

/** Programs break base64 and hexadecimal into lines. */
export function isInLines({ isBase64, isHex }: Needle): boolean {
  return isBase64 || isHex === true
}

/** Longest spelling of one byte that is read: a few layers of percent signs, backslashes, `amp;`. */
export const LONGEST_SPELLING = 24
/** Backslashes double with every layer of JSON. */
const MOST_BACKSLASHES = 16

/** How much of a needle is found at one place. */
export interface Reach {
  /** End of the longest complete spelling, or -1. */
  readonly end: number
  /** Most bytes of the needle that are read at `limit`, or that the limit cuts in two. 0 if none. */
  readonly atLimit: number
}

const NOWHERE: Reach = { end: -1, atLimit: 0 }

/** Reads `needle` from its byte `first`, at `start` of `text`, up to `limit`. */
export function reach(text: string, start: number, limit: number, needle: Needle, first = 0): Reach {
  if (needle.numbers !== undefined) return reachNumbers(text, start, limit, needle.bytes, needle.numbers, first)
  if (!mayBegin(text, start, needle, first)) return NOWHERE
  const size = needle.bytes.length
  // Reached places of the text, by the number of bytes read.
  const reached: Set<number>[] = []
  reached[first] = new Set([start])
  let atLimit = 0
  // Trailing blanks of a value do not match the text after it.
  const isStretched = !isBlank(needle.bytes[size - 1] ?? -1)
  for (let index = first; index < size; index++) {
    const places = reached[index]
    if (places === undefined) continue
    const isInBlanks = isStretched && index > first && isBlank(needle.bytes[index] ?? -1)
    const mayBeLeftOut = isInBlanks && (needle.bytes[index] !== SPACE || isBlank(needle.bytes[index - 1] ?? -1))
    // The set grows during the loop.
    for (const place of places) {
      if (place === limit || isTorn(text, place, limit)) atLimit = index
      if (mayBeLeftOut) add(reached, index + 1, place)
      if (place >= limit) continue
      if (index > first && text.charCodeAt(place) === EQUALS)
        softBreak(text, place, end => places.add(Math.min(end, limit)))
      if (index > first && isInLines(needle)) lineBreak(text, place, end => places.add(Math.min(end, limit)))
      spellings(text, place, (value, end) => {
        if (end > limit || !matches(needle, index, value)) return
        add(reached, index + value.length, end)
        if (isInBlanks && end - start < size * LONGEST_SPELLING) places.add(end)
      })
    }
    reached[index] = EMPTY
  }
  const ends = reached[size]
  if (ends === undefined || ends.size === 0) return atLimit === 0 ? NOWHERE : { end: -1, atLimit: atLimit - first }
  return { end: Math.max(...ends), atLimit: Math.max(atLimit - first, 0) }
}

const EMPTY: Set<number> = new Set()

/** A list of numbers may be printed with one of them on each line. */
const LONGEST_GAP = 64
const GAP = /^[\s,:;]{1,64}(?:0x)?/i

function reachNumbers(
  text: string,
  start: number,
  limit: number,
  bytes: Uint8Array,
  base: 10 | 16,
  first: number,
): Reach {
  let at = start
  for (let index = first; index < bytes.length; index++) {
    if (index > first) {
      if (at >= limit) return { end: -1, atLimit: index - first }
      at += GAP.exec(text.slice(at, at + LONGEST_GAP))?.[0].length ?? 0
    }
    const isNext = index > first && isGap(text.charCodeAt(at - 1))
    if (at >= limit) return { end: -1, atLimit: index - first }
    const length = index === first || isNext ? numberLength(text, at, bytes[index] as number, base) : 0
    if (length === 0) {
      const isCut = isNext && limit - at < String(bytes[index]).length && /^[0-9a-f]+$/i.test(text.slice(at, limit))
      return isCut ? { end: -1, atLimit: index - first } : NOWHERE
    }
    at += length
    if (at > limit) return { end: -1, atLimit: index - first }
  }
  return { end: at, atLimit: at === limit ? bytes.length - first : 0 }
}

function isGap(byte: number): boolean {
  return isBlank(byte) || byte === 0x2c || byte === 0x3a || byte === 0x3b || (byte | 0x20) === 0x78
}

/** Length of the byte at this place, or 0 if it is not there. */
function numberLength(text: string, at: number, byte: number, base: 10 | 16): number {
  if (base === 16) return hex(text, at, 2) === byte ? 2 : 0
  const written = String(byte)
  if (!text.startsWith(written, at) || isDigit(text.charCodeAt(at + written.length))) return 0
  return written.length
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39
}

/** A line of a mail that goes on. */
function softBreak(text: string, at: number, found: (end: number) => void): void {
  if (text[at + 1] === '\n') found(at + 2)
  else if (text[at + 1] === '\r' && text[at + 2] === '\n') found(at + 3)
}

/** The end of a line, mostly after 60 to 76 characters. The break may be escaped for JSON, or percent-encoded. */
function lineBreak(text: string, at: number, found: (end: number) => void): void {
  const length = BROKEN_LINE.exec(text.slice(at, at + LONGEST_SPELLING))?.[0].length
  if (length !== undefined) found(at + length)
}

const BROKEN_LINE = /^(?:\r?\n|(?:\\+r)?\\+n|(?:%0[dD])?%0[aA])[ \t]?/

function add(reached: Set<number>[], index: number, end: number): void {
  const ends = reached[index]
  if (ends === undefined) reached[index] = new Set([end])
  else ends.add(end)
}

/** Whether a spelling may begin here and continue after the limit. */
function isTorn(text: string, place: number, limit: number): boolean {
  return limit - place < LONGEST_SPELLING && isSpecial(text.charCodeAt(place))
}

function isSpecial(byte: number): boolean {
  return byte === PERCENT || byte === BACKSLASH || byte === AMPERSAND || byte === EQUALS || byte >= 0x80
}

/** A cheap check that rules out most places of a text. */
function mayBegin(text: string, at: number, needle: Needle, first: number): boolean {
  const byte = text.charCodeAt(at)
  const wanted = needle.bytes[first] ?? -1
  if (isSpecial(byte)) return true
  if (byte === PLUS && wanted === SPACE) return true
  return isSame(needle, wanted, byte)
}

function matches(needle: Needle, index: number, value: readonly number[]): boolean {
  for (let at = 0; at < value.length; at++) {
    if (!isSame(needle, needle.bytes[index + at] ?? -1, value[at] as number)) return false
  }
  return true
}

function isSame({ foldsCase, isBase64 }: Needle, wanted: number, found: number): boolean {
  if (wanted === found) return true
  if (isBlank(wanted)) return isBlank(found)
  // In the path of a URL.
  if (wanted === BACKSLASH) return found === SLASH
  if (isBase64) {
    if (wanted === PLUS) return found === 0x2d || found === SPACE
    if (wanted === SLASH) return found === 0x5f
  }
  return foldsCase && (wanted ^ found) === 0x20 && isLetter(wanted)
}

/** Programs change blanks: several may become one, and line breaks may change or disappear. */
function isBlank(byte: number): boolean {
  return byte === SPACE || (byte >= 0x09 && byte <= 0x0d)
}

function isLetter(byte: number): boolean {
  const lower = byte | 0x20
  return lower >= 0x61 && lower <= 0x7a
}

const SPACE = 0x20
const PERCENT = 0x25
const AMPERSAND = 0x26
const PLUS = 0x2b
const SLASH = 0x2f
const EQUALS = 0x3d
const BACKSLASH = 0x5c

type OnSpelling = (value: readonly number[], end: number) => void

/** Everything that the text at `at` may stand for, with the place after it. */
function spellings(text: string, at: number, found: OnSpelling): void {
  const byte = text.charCodeAt(at)
  const next = at + 1
  if (byte === PERCENT) {
    found([byte], next)
    // JavaScript's `escape` writes characters outside latin1 as `%u20ac`.
    const written = (end: number): void => {
      if (text[end] === 'u') unicode(text, end, found)
    }
    percent(text, next, (decoded, end) => {
      special(text, decoded, end, found)
      if (decoded === PERCENT) written(end)
    })
    written(next)
  } else if (byte === EQUALS) {
    found([byte], next)
    // Mails write `=3D`.
    const quoted = hex(text, next, 2)
    if (quoted !== undefined) special(text, quoted, next + 2, found)
  } else special(text, byte, next, found)
}

/** A byte, plain or percent-encoded, and the spellings that begin with it. */
function special(text: string, byte: number, end: number, found: OnSpelling): void {
  found([byte], end)
  if (byte === PLUS) found([SPACE], end)
  else if (byte === AMPERSAND) entity(text, end, found)
  else if (byte === BACKSLASH) escaped(text, end, found)
  else if (isQuote(byte)) doubled(text, byte, end, found)
  else if (byte >= 0x80) {
    // A byte of latin1, or UTF-8 that was read as latin1 and encoded again.
    found(utf8(byte), end)
    if (byte === 0xc2 || byte === 0xc3) {
      continuation(text, end, (second, behind) => found([((byte & 3) << 6) | (second & 0x3f)], behind))
    }
  }
}

/** A quotation mark inside a literal or name of SQL, a field of CSV, or a word of a shell. */
function doubled(text: string, quote: number, end: number, found: OnSpelling): void {
  const mark = String.fromCharCode(quote)
  for (const second of [mark, `\\${mark}`, `\\${mark}${mark}`]) {
    if (text.startsWith(second, end)) found([quote], end + second.length)
  }
}

function isQuote(byte: number): boolean {
  return byte === 0x22 || byte === 0x27 || byte === 0x60
}

/** The second byte of a two-byte character, plain or percent-encoded. */
function continuation(text: string, at: number, found: (byte: number, end: number) => void): void {
  const byte = text.charCodeAt(at)
  const take = (second: number, end: number): void => {
    if (second >= 0x80 && second < 0xc0) found(second, end)
  }
  if (byte === PERCENT) percent(text, at + 1, take)
  else take(byte, at + 1)
}

/** After a percent sign: a byte in hexadecimal. The sign itself may be encoded any number of times. */
function percent(text: string, from: number, found: (byte: number, end: number) => void): void {
  for (let at = from; at < from + LONGEST_SPELLING; at += 2) {
    const byte = hex(text, at, 2)
    if (byte === undefined) return
    found(byte, at + 2)
    if (byte !== PERCENT) return
  }
}

/** After a backslash. */
function escaped(text: string, from: number, found: OnSpelling): void {
  let at = from
  for (let run = 2, next = backslash(text, at); next !== undefined; next = backslash(text, at), run++) {
    if (run > MOST_BACKSLASHES) return
    at = next
    // One backslash, escaped once or more often.
    if ((run & (run - 1)) === 0) found([BACKSLASH], at)
  }
  const letter = text[at] ?? ''
  switch (letter) {
    case 'u':
    case 'U':
      unicode(text, at, found)
      return
    case 'x': {
      const byte = hex(text, at + 1, 2)
      if (byte !== undefined) special(text, byte, at + 3, found)
      return
    }
    default:
  }
  const control = CONTROLS[letter]
  if (control !== undefined) found([control], at + 1)
  const octal = /^[0-3][0-7]{2}/.exec(text.slice(at, at + 3))?.[0]
  if (octal !== undefined) found([Number.parseInt(octal, 8)], at + 3)
  if (/^[^A-Za-z0-9\\]/.test(letter)) spellings(text, at, found)
}

const CONTROLS: Readonly<Record<string, number>> = { b: 8, f: 12, n: 10, r: 13, t: 9, v: 11, 0: 0 }

function backslash(text: string, at: number): number | undefined {
  if (text.charCodeAt(at) === BACKSLASH) return at + 1
  if (text.charCodeAt(at) !== PERCENT) return undefined
  let behind: number | undefined
  percent(text, at + 1, (byte, end) => {
    if (byte === BACKSLASH) behind = end
  })
  return behind
}

/** At the `u` after a backslash: `u00e9`, `u{e9}`, `U000000e9`, and two of the first form for one character. */
function unicode(text: string, at: number, found: OnSpelling): void {
  if (text[at] === 'U') {
    const long = hex(text, at + 1, 8)
    if (long !== undefined) found(utf8(long), at + 9)
    return
  }
  const braced = /^\{([0-9a-fA-F]{1,6})\}/.exec(text.slice(at + 1, at + 9))
  if (braced?.[1] !== undefined) found(utf8(Number.parseInt(braced[1], 16)), at + 1 + braced[0].length)
  const unit = hex(text, at + 1, 4)
  if (unit === undefined) return
  const end = at + 5
  if (unit < 0x80) {
    special(text, unit, end, found)
    return
  }
  if (unit >= 0xd800 && unit < 0xdc00) {
    const behind = end + (/^(?:%(?=u)|(?:\\|%(?:25){0,4}5[cC]){1,16})/.exec(text.slice(end, end + 64))?.[0].length ?? 0)
    const low = behind > end && text[behind] === 'u' ? hex(text, behind + 1, 4) : undefined
    if (low !== undefined && low >= 0xdc00 && low < 0xe000) {
      found(utf8(0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00)), behind + 5)
      return
    }
  }
  found(utf8(unit), end)
}

/** After `&`, which may itself be encoded as an entity. */
function entity(text: string, from: number, found: OnSpelling): void {
  let at = from
  for (let layer = 0; layer < 4 && /^amp(?:;|%3[bB])/.test(text.slice(at, at + 6)); layer++) {
    at += text[at + 3] === ';' ? 4 : 6
    found([AMPERSAND], at)
  }
  const match = ENTITY.exec(text.slice(at, at + LONGEST_SPELLING))
  if (match === null) return
  const [whole, decimal, hexadecimal, name = ''] = match
  const digits = decimal ?? hexadecimal
  const code = digits === undefined ? NAMED.get(name) : Number.parseInt(digits, decimal === undefined ? 16 : 10)
  if (code === undefined || code > 0x10ffff) return
  const end = at + whole.length
  found(utf8(code), end)
  if (code === PERCENT) percent(text, end, (decoded, behind) => special(text, decoded, behind, found))
}

const ENTITY = /^(?:(?:#|%23)(?:([0-9]{1,10})|[xX]([0-9a-fA-F]{1,8}))|([A-Za-z]{2,8}[0-9]{0,2}))(?:;|%3[bB])?/

/** HTML names for ASCII, for the HTML 4 characters outside latin1 and, in order from U+00A0, for the rest of latin1. */
const NAMED: ReadonlyMap<string, number> = new Map([
  ...Object.entries({
    Tab: 9,
    NewLine: 10,
    excl: 33,
    quot: 34,
    QUOT: 34,
    num: 35,
    dollar: 36,
    percnt: 37,
    amp: 38,
    AMP: 38,
    apos: 39,
    lpar: 40,
    rpar: 41,
    ast: 42,
    plus: 43,
    comma: 44,
    period: 46,
    sol: 47,
    colon: 58,
    semi: 59,
    lt: 60,
    LT: 60,
    equals: 61,
    gt: 62,
    GT: 62,
    quest: 63,
    commat: 64,
    lsqb: 91,
    lbrack: 91,
    bsol: 92,
    rsqb: 93,
    rbrack: 93,
    Hat: 94,
    lowbar: 95,
    grave: 96,
    lcub: 123,
    lbrace: 123,
    verbar: 124,
    vert: 124,
    rcub: 125,
    rbrace: 125,
  }),
  ...[
    ...'OElig 152 oelig 153 Scaron 160 scaron 161 Yuml 178 fnof 192 circ 2c6 tilde 2dc Alpha 391 Beta 392 Gamma 393 Delta 394 Epsilon 395 Zeta 396 Eta 397 Theta 398 Iota 399 Kappa 39a Lambda 39b Mu 39c Nu 39d Xi 39e Omicron 39f Pi 3a0 Rho 3a1 Sigma 3a3 Tau 3a4 Upsilon 3a5 Phi 3a6 Chi 3a7 Psi 3a8 Omega 3a9 alpha 3b1 beta 3b2 gamma 3b3 delta 3b4 epsilon 3b5 zeta 3b6 eta 3b7 theta 3b8 iota 3b9 kappa 3ba lambda 3bb mu 3bc nu 3bd xi 3be omicron 3bf pi 3c0 rho 3c1 sigmaf 3c2 sigma 3c3 tau 3c4 upsilon 3c5 phi 3c6 chi 3c7 psi 3c8 omega 3c9 thetasym 3d1 upsih 3d2 piv 3d6 ensp 2002 emsp 2003 thinsp 2009 zwnj 200c zwj 200d lrm 200e rlm 200f ndash 2013 mdash 2014 lsquo 2018 rsquo 2019 sbquo 201a ldquo 201c rdquo 201d bdquo 201e dagger 2020 Dagger 2021 bull 2022 hellip 2026 permil 2030 prime 2032 Prime 2033 lsaquo 2039 rsaquo 203a oline 203e frasl 2044 euro 20ac image 2111 weierp 2118 real 211c trade 2122 alefsym 2135 larr 2190 uarr 2191 rarr 2192 darr 2193 harr 2194 crarr 21b5 lArr 21d0 uArr 21d1 rArr 21d2 dArr 21d3 hArr 21d4 forall 2200 part 2202 exist 2203 empty 2205 nabla 2207 isin 2208 notin 2209 ni 220b prod 220f sum 2211 minus 2212 lowast 2217 radic 221a prop 221d infin 221e ang 2220 and 2227 or 2228 cap 2229 cup 222a int 222b there4 2234 sim 223c cong 2245 asymp 2248 ne 2260 equiv 2261 le 2264 ge 2265 sub 2282 sup 2283 nsub 2284 sube 2286 supe 2287 oplus 2295 otimes 2297 perp 22a5 sdot 22c5 lceil 2308 rceil 2309 lfloor 230a rfloor 230b lang 2329 rang 232a loz 25ca spades 2660 clubs 2663 hearts 2665 diams 2666'.matchAll(
      /(\w+) (\w+)/g,
    ),
  ].map(([, name = '', code = '']) => [name, Number.parseInt(code, 16)] as const),
  ...'nbsp iexcl cent pound curren yen brvbar sect uml copy ordf laquo not shy reg macr deg plusmn sup2 sup3 acute micro para middot cedil sup1 ordm raquo frac14 frac12 frac34 iquest Agrave Aacute Acirc Atilde Auml Aring AElig Ccedil Egrave Eacute Ecirc Euml Igrave Iacute Icirc Iuml ETH Ntilde Ograve Oacute Ocirc Otilde Ouml times Oslash Ugrave Uacute Ucirc Uuml Yacute THORN szlig agrave aacute acirc atilde auml aring aelig ccedil egrave eacute ecirc euml igrave iacute icirc iuml eth ntilde ograve oacute ocirc otilde ouml divide oslash ugrave uacute ucirc uuml yacute thorn yuml'
    .split(' ')
    .map((name, index) => [name, 0xa0 + index] as const),
])

function hex(text: string, at: number, digits: number): number | undefined {
  let value = 0
  for (let index = at; index < at + digits; index++) {
    const digit = Number.parseInt(text[index] ?? '', 16)
    if (Number.isNaN(digit)) return undefined
    value = value * 16 + digit
  }
  return value
}

/** A lone surrogate becomes U+FFFD, as when it is sent. */
function utf8(code: number): readonly number[] {
  return code > 0x10ffff ? [] : [...Buffer.from(String.fromCodePoint(code))]
}
