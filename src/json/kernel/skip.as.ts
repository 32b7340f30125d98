// @ts-nocheck: AssemblyScript, compiled by scripts/build-wasm.mjs into skip.wasm.ts.
//
// Finds the end of a JSON object or list, 64 bytes at a time: vectors are compared with the bytes that matter, the results
// become bit masks, and a block whose brackets cannot close the container is only counted.

/** Bytes that one call looks at, at most. */
export const CAPACITY: i32 = 1 << 16
/** Bytes that are looked at together. */
export const BLOCK: i32 = 64
/** Bytes to look at; a multiple of {@link BLOCK}, what is left of the last block filled with spaces. */
export const input: usize = memory.data(1 << 16, 64)

/** Where the commas of the last call stand in its input, where they were asked for. */
export const marks: usize = memory.data(1 << 18, 64)

/** Open brackets. */
let depth: i32 = 0
/** Commas between the elements of the outermost container. */
let separators: i32 = 0
/** All ones where a text goes on into the next block. */
let inText: u64 = 0
/** 1 where the last byte was a backslash that escapes the next one. */
let escaping: u64 = 0
/** Whether the places of commas are kept. */
let marking: bool = false
let marked: i32 = 0

/** Begins outside of texts, inside of `openBrackets` brackets. */
export function begin(openBrackets: i32, commas: i32, keepsMarks: bool): void {
  marking = keepsMarks
  depth = openBrackets
  separators = commas
  inText = 0
  escaping = 0
}

export function commas(): i32 {
  return separators
}

/** Number of `marks` of the last call. */
export function markCount(): i32 {
  return marked
}

/** Looks at the next `length` bytes; the position of the bracket that closes the container, or -1. */
export function skip(length: i32): i32 {
  const space = i8x16.splat(0x20)
  const quote = i8x16.splat(0x22)
  const backslash = i8x16.splat(0x5c)
  const comma = i8x16.splat(0x2c)
  const opening = i8x16.splat(0x7b)
  const closing = i8x16.splat(0x7d)
  marked = 0
  for (let block = 0; block < length; block += BLOCK) {
    const at = input + <usize>block
    const a = v128.load(at)
    const b = v128.load(at, 16)
    const c = v128.load(at, 32)
    const d = v128.load(at, 48)
    let quotes = equal(a, b, c, d, quote)
    const backslashes = equal(a, b, c, d, backslash)
    if ((backslashes | escaping) != 0) quotes &= ~escaped(backslashes)
    // Each quote turns the bits behind it over: ones are inside of texts.
    let text = quotes ^ (quotes << 1)
    text ^= text << 2
    text ^= text << 4
    text ^= text << 8
    text ^= text << 16
    text ^= text << 32
    text ^= inText
    inText = <u64>(<i64>text >> 63)
    // Square and curly brackets differ by this one bit.
    const ab = v128.or(a, space), bb = v128.or(b, space), cb = v128.or(c, space), db = v128.or(d, space)
    const opens = equal(ab, bb, cb, db, opening) & ~text
    const closes = equal(ab, bb, cb, db, closing) & ~text
    const closed = <i32>popcnt(closes)
    if (depth - closed > 1) {
      depth += <i32>popcnt(opens) - closed
      continue
    }
    const between = equal(a, b, c, d, comma) & ~text
    if ((opens | closes) == 0 && !marking) {
      separators += <i32>popcnt(between)
      continue
    }
    for (let rest = opens | closes | between; rest != 0; rest &= rest - 1) {
      const bit = rest & (0 - rest)
      if (between & bit) {
        if (depth == 1) {
          separators++
          if (marking) {
            store<i32>(marks + (<usize>marked << 2), block + <i32>ctz(bit))
            marked++
          }
        }
      } else if (opens & bit) depth++
      else if (--depth == 0) return block + <i32>ctz(bit)
    }
  }
  return -1
}

@inline function equal(a: v128, b: v128, c: v128, d: v128, byte: v128): u64 {
  return (
    <u64>(<u32>i8x16.bitmask(i8x16.eq(a, byte))) |
    (<u64>(<u32>i8x16.bitmask(i8x16.eq(b, byte))) << 16) |
    (<u64>(<u32>i8x16.bitmask(i8x16.eq(c, byte))) << 32) |
    (<u64>(<u32>i8x16.bitmask(i8x16.eq(d, byte))) << 48)
  )
}

/** Bytes behind a backslash that is not escaped itself. */
function escaped(backslashes: u64): u64 {
  let result = escaping
  let rest = backslashes & ~escaping
  escaping = 0
  while (rest != 0) {
    const at = ctz(rest)
    if (at == 63) {
      escaping = 1
      break
    }
    const next: u64 = <u64>2 << at
    result |= next
    rest &= ~(next | (next >> 1))
  }
  return result
}
