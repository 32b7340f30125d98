import { MAX_JSON_DEPTH } from './value.js'

/**
 * Whether JSON.parse loses nothing of the text, if it is JSON. It has no number that JavaScript would print differently
 * (in doubt the answer is no), and no deeper nesting than allowed. One pass, twice as fast as JSON.parse.
 */
export function isPlainJson(source: string): boolean {
  let depth = 0
  for (let at = 0; at < source.length; at++) {
    const code = source.charCodeAt(at)
    if (code === quote) {
      at = endOfString(source, at + 1)
      if (at < 0) return false
    } else if (code === minus || (code >= zero && code <= nine)) {
      at = endOfPlainNumber(source, at)
      if (at < 0) return false
    } else if (code === openBrace || code === openBracket) {
      if (++depth > MAX_JSON_DEPTH) return false
    } else if (code === closeBrace || code === closeBracket) depth--
  }
  return true
}

const quote = 0x22
const backslash = 0x5c
const minus = 0x2d
const dot = 0x2e
const zero = 0x30
const nine = 0x39
const openBrace = 0x7b
const closeBrace = 0x7d
const openBracket = 0x5b
const closeBracket = 0x5d

/** Offset of the quote that closes a string, or −1. */
function endOfString(source: string, from: number): number {
  let at = source.indexOf('"', from)
  while (at > from && source.charCodeAt(at - 1) === backslash && isEscaped(source, at)) at = source.indexOf('"', at + 1)
  return at
}

function isEscaped(source: string, at: number): boolean {
  let backslashes = 0
  while (source.charCodeAt(at - 1 - backslashes) === backslash) backslashes++
  return backslashes % 2 === 1
}

/** A double holds 15 digits exactly. */
const longestPlainNumber = 15

/** Offset of the last character of a number that is certainly printed as written, or −1. */
function endOfPlainNumber(source: string, start: number): number {
  const first = source.charCodeAt(start) === minus ? start + 1 : start
  let at = first
  let point = -1
  for (;;) {
    const code = source.charCodeAt(at)
    if (code === dot) point = at
    else if (code < zero || code > nine || Number.isNaN(code)) {
      if (code === 0x65 || code === 0x45) return -1
      break
    }
    at++
  }
  const length = at - first
  const leadsWithZero = source.charCodeAt(first) === zero
  if (length > longestPlainNumber) return -1
  if (point < 0) return first > start && leadsWithZero ? -1 : at - 1
  // Below 0.000001 JavaScript prints an exponent.
  const tiny = leadsWithZero && length > 8 && source.startsWith('000000', point + 1)
  return tiny || source.charCodeAt(at - 1) === zero ? -1 : at - 1
}
