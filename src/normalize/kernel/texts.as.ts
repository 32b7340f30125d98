// @ts-nocheck: AssemblyScript, part of walk.as.ts.

import { BACKSLASH, QUOTE, textEnds } from './characters.as'
import { beginText, Column, endText, growText, textLimit } from './columns.as'
import { giveUp, nulRemoved, surrogateReplaced } from './host.as'

/** Where not, U+0000 is left out. */
let nulInText: bool = true

export function allowNul(allowed: bool): void {
  nulInText = allowed
}

/** Puts the text behind an opening quote into the column, copied while its end is looked for; behind its closing quote. */
export function putText(start: usize, column: Column, row: i32): usize {
  let at = start
  let to = beginText(column, 0)
  let limit = textLimit(column)
  while (true) {
    if (to > limit) {
      to = growText(column, to)
      limit = textLimit(column)
    }
    const bytes = v128.load(at)
    // What is copied too much is written over by the next.
    v128.store(to, bytes)
    const ends = textEnds(bytes)
    if (ends == 0) {
      at += 16
      to += 16
      continue
    }
    at += ctz(ends)
    to += ctz(ends)
    const byte = load<u8>(at)
    if (byte == QUOTE) break
    if (byte != BACKSLASH) giveUp()
    to = putEscaped(at, to, column)
    at = escapeEnd
  }
  endText(column, row, to)
  return at + 1
}

function plainEscape(letter: u32): u32 {
  switch (letter) {
    case 0x22:
    case 0x5c:
    case 0x2f:
      return letter
    case 0x62:
      return 0x08
    case 0x66:
      return 0x0c
    case 0x6e:
      return 0x0a
    case 0x72:
      return 0x0d
    case 0x74:
      return 0x09
    default:
      return 0
  }
}

/** Behind the escape that was read last. */
let escapeEnd: usize = 0

/** Writes the character of the escape at `at`, at most four bytes, and returns the position behind it. */
function putEscaped(at: usize, to: usize, column: Column): usize {
  const letter: u32 = load<u8>(at, 1)
  escapeEnd = at + 2
  const plain = plainEscape(letter)
  if (plain != 0) {
    store<u8>(to, plain)
    return to + 1
  }
  if (letter != 0x75) giveUp()
  let code = hexadecimal(at + 2)
  escapeEnd = at + 6
  if (code >= 0xd800 && code < 0xe000) {
    const low = code < 0xdc00 && load<u16>(at, 6) == 0x755c ? hexadecimal(at + 8) : 0
    if (low >= 0xdc00 && low < 0xe000) {
      escapeEnd = at + 12
      code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00)
      store<u8>(to, 0xf0 | (code >> 18))
      store<u8>(to, 0x80 | ((code >> 12) & 63), 1)
      store<u8>(to, 0x80 | ((code >> 6) & 63), 2)
      store<u8>(to, 0x80 | (code & 63), 3)
      return to + 4
    }
    surrogateReplaced(column.number)
    code = 0xfffd
  }
  if (code < 0x80) {
    if (code == 0 && !nulInText) {
      nulRemoved(column.number)
      return to
    }
    store<u8>(to, code)
    return to + 1
  }
  if (code < 0x800) {
    store<u8>(to, 0xc0 | (code >> 6))
    store<u8>(to, 0x80 | (code & 63), 1)
    return to + 2
  }
  store<u8>(to, 0xe0 | (code >> 12))
  store<u8>(to, 0x80 | ((code >> 6) & 63), 1)
  store<u8>(to, 0x80 | (code & 63), 2)
  return to + 3
}

/** The value of four hexadecimal digits. */
function hexadecimal(at: usize): u32 {
  let value: u32 = 0
  for (let place: usize = 0; place < 4; place++) {
    const byte: u32 = load<u8>(at + place)
    const letter = (byte | 0x20) - 0x61
    if (byte - 0x30 <= 9) value = (value << 4) | (byte - 0x30)
    else if (letter <= 5) value = (value << 4) | (letter + 10)
    else giveUp()
  }
  return value
}
