// @ts-nocheck: AssemblyScript, part of walk.as.ts.

export const QUOTE: u32 = 0x22
export const COMMA: u32 = 0x2c
export const MINUS: u32 = 0x2d
export const COLON: u32 = 0x3a
export const LIST_START: u32 = 0x5b
export const BACKSLASH: u32 = 0x5c
export const LIST_END: u32 = 0x5d
export const OBJECT_START: u32 = 0x7b
export const OBJECT_END: u32 = 0x7d

/** A bit for each of 16 bytes of a text that is a quote, a backslash or a control character. */
@inline export function textEnds(bytes: v128): u32 {
  const quotes = i8x16.eq(bytes, i8x16.splat(0x22))
  const backslashes = i8x16.eq(bytes, i8x16.splat(0x5c))
  const controls = i8x16.lt_u(bytes, i8x16.splat(0x20))
  return i8x16.bitmask(v128.or(v128.or(quotes, backslashes), controls))
}

@inline export function isDigit(byte: u32): bool {
  return byte - 0x30 <= 9
}

export function skipSpace(start: usize): usize {
  let at = start
  let byte: u32 = load<u8>(at)
  while (byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09) byte = load<u8>(++at)
  return at
}
