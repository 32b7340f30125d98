// @ts-nocheck: AssemblyScript, part of walk.as.ts.
//
// SHAKE-128 of short messages, two at a time in the halves of 128-bit vectors, for the ids of nested rows: the message is
// `<parent id>_<table>_<list index>`, of its digest the first 10 bytes are kept, in base64.

/** Bytes of a digest that are kept for an id. */
export const ID_BYTES: i32 = 10
/** Characters of an id: its bytes in base64 without padding. */
export const ID_LENGTH: i32 = 14
/** Bytes of an id in a text column: u32 length and the characters. */
export const ID_STRIDE: i32 = 18
const STRIDE: usize = ID_STRIDE
const RATE: usize = 168
/** Bytes between a parent's id and the list index, at most: ten digits and a byte of padding fill the block. */
export const LONGEST_MIDDLE: i32 = 143

/** Two blocks with room behind them for the sixteen bytes that are cleared. */
const blockA: usize = memory.data(192, 16)
const blockB: usize = memory.data(192, 16)

const alphabet: usize = memory.data<u8>([
  65, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79, 80, 81, 82, 83, 84, 85, 86, 87, 88, 89, 90,
  97, 98, 99, 100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111, 112, 113, 114, 115, 116, 117, 118, 119, 120,
  121, 122, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 43, 47,
])

const roundConstants: usize = memory.data<u64>([
  0x0000000000000001, 0x0000000000008082, 0x800000000000808a, 0x8000000080008000, 0x000000000000808b, 0x0000000080000001,
  0x8000000080008081, 0x8000000000008009, 0x000000000000008a, 0x0000000000000088, 0x0000000080008009, 0x000000008000000a,
  0x000000008000808b, 0x800000000000008b, 0x8000000000008089, 0x8000000000008003, 0x8000000000008002, 0x8000000000000080,
  0x000000000000800a, 0x800000008000000a, 0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008,
])

/**
 * Ids of `count` nested rows, as a text column at `output`: of their parents' ids, a text column at `parents`, and the list
 * indexes, u32 each, at `indexes`. `middle` is `_<table>_` in UTF-8, no longer than {@link LONGEST_MIDDLE}. The parents' ids
 * have {@link ID_LENGTH} characters.
 */
export function nestedIds(
  parents: usize,
  indexes: usize,
  output: usize,
  middle: usize,
  middleLength: usize,
  count: i32,
): void {
  prepare(blockA, middle, middleLength)
  prepare(blockB, middle, middleLength)
  for (let i = 0; i < count; i += 2) {
    const last = min(i + 1, count - 1)
    fill(blockA, middleLength, parents + <usize>i * STRIDE, load<u32>(indexes + (<usize>i << 2)))
    fill(blockB, middleLength, parents + <usize>last * STRIDE, load<u32>(indexes + (<usize>last << 2)))
    permute()
    encodeId(digestA0, digestA1, output + <usize>i * STRIDE)
    encodeId(digestB0, digestB1, output + <usize>last * STRIDE)
  }
}

/** Ids of `count` times 10 bytes, as a text column at `output`. */
export function encodedIds(bytes: usize, output: usize, count: i32): void {
  for (let i = 0; i < count; i++) {
    const at = bytes + <usize>i * 10
    encodeId(load<u64>(at), load<u16>(at, 8), output + <usize>i * STRIDE)
  }
}

/** Copies the ids of `count` rows, whose numbers in the text column at `source` are at `rows`, i32 each. */
export function gatherIds(source: usize, rows: usize, output: usize, count: i32): void {
  for (let i = 0; i < count; i++) {
    const from = source + <usize>load<i32>(rows + (<usize>i << 2)) * STRIDE
    const to = output + <usize>i * STRIDE
    store<u64>(to, load<u64>(from))
    store<u64>(to, load<u64>(from, 8), 8)
    store<u16>(to, load<u16>(from, 16), 16)
  }
}

function prepare(block: usize, middle: usize, middleLength: usize): void {
  memory.fill(block, 0, 192)
  memory.copy(block + 14, middle, middleLength)
}

function fill(block: usize, middleLength: usize, parent: usize, index: u32): void {
  store<u64>(block, load<u64>(parent, 4))
  store<u32>(block, load<u32>(parent, 12), 8)
  store<u16>(block, load<u16>(parent, 16), 12)
  let at = block + 14 + middleLength
  v128.store(at, i64x2.splat(0))
  let rest = index
  let digits: usize = 1
  for (let power: u32 = 10; rest >= power; power *= 10) {
    digits++
    if (digits == 10) break
  }
  for (let place = at + digits; place > at; rest /= 10) store<u8>(--place, <u8>(48 + (rest % 10)))
  store<u8>(at + digits, 0x1f)
  store<u8>(block + RATE - 1, load<u8>(block + RATE - 1) | 0x80)
}

@inline function rotate(v: v128, n: i32): v128 {
  return v128.or(i64x2.shl(v, n), i64x2.shr_u(v, 64 - n))
}

@inline function lane(i: usize): v128 {
  return i64x2.replace_lane(i64x2.splat(load<u64>(blockA + (i << 3))), 1, load<u64>(blockB + (i << 3)))
}

/** a ^ (~b & c) */
@inline function chi(a: v128, b: v128, c: v128): v128 {
  return v128.xor(a, v128.andnot(c, b))
}

@inline function parity(a: v128, b: v128, c: v128, d: v128, e: v128): v128 {
  return v128.xor(v128.xor(v128.xor(a, b), v128.xor(c, d)), e)
}

let digestA0: u64 = 0
let digestA1: u64 = 0
let digestB0: u64 = 0
let digestB1: u64 = 0

/** Keccak-f[1600] of both blocks; the first 16 bytes of each result are left in the digests. */
function permute(): void {
  let a00 = lane(0), a01 = lane(1), a02 = lane(2), a03 = lane(3), a04 = lane(4)
  let a05 = lane(5), a06 = lane(6), a07 = lane(7), a08 = lane(8), a09 = lane(9)
  let a10 = lane(10), a11 = lane(11), a12 = lane(12), a13 = lane(13), a14 = lane(14)
  let a15 = lane(15), a16 = lane(16), a17 = lane(17), a18 = lane(18), a19 = lane(19)
  let a20 = lane(20), a21 = i64x2.splat(0), a22 = a21, a23 = a21, a24 = a21

  for (let round: usize = 0; round < 24 * 8; round += 8) {
    const c0 = parity(a00, a05, a10, a15, a20)
    const c1 = parity(a01, a06, a11, a16, a21)
    const c2 = parity(a02, a07, a12, a17, a22)
    const c3 = parity(a03, a08, a13, a18, a23)
    const c4 = parity(a04, a09, a14, a19, a24)
    const d0 = v128.xor(c4, rotate(c1, 1))
    const d1 = v128.xor(c0, rotate(c2, 1))
    const d2 = v128.xor(c1, rotate(c3, 1))
    const d3 = v128.xor(c2, rotate(c4, 1))
    const d4 = v128.xor(c3, rotate(c0, 1))

    const b00 = v128.xor(a00, d0)
    const b01 = rotate(v128.xor(a06, d1), 44)
    const b02 = rotate(v128.xor(a12, d2), 43)
    const b03 = rotate(v128.xor(a18, d3), 21)
    const b04 = rotate(v128.xor(a24, d4), 14)
    const b05 = rotate(v128.xor(a03, d3), 28)
    const b06 = rotate(v128.xor(a09, d4), 20)
    const b07 = rotate(v128.xor(a10, d0), 3)
    const b08 = rotate(v128.xor(a16, d1), 45)
    const b09 = rotate(v128.xor(a22, d2), 61)
    const b10 = rotate(v128.xor(a01, d1), 1)
    const b11 = rotate(v128.xor(a07, d2), 6)
    const b12 = rotate(v128.xor(a13, d3), 25)
    const b13 = rotate(v128.xor(a19, d4), 8)
    const b14 = rotate(v128.xor(a20, d0), 18)
    const b15 = rotate(v128.xor(a04, d4), 27)
    const b16 = rotate(v128.xor(a05, d0), 36)
    const b17 = rotate(v128.xor(a11, d1), 10)
    const b18 = rotate(v128.xor(a17, d2), 15)
    const b19 = rotate(v128.xor(a23, d3), 56)
    const b20 = rotate(v128.xor(a02, d2), 62)
    const b21 = rotate(v128.xor(a08, d3), 55)
    const b22 = rotate(v128.xor(a14, d4), 39)
    const b23 = rotate(v128.xor(a15, d0), 41)
    const b24 = rotate(v128.xor(a21, d1), 2)

    a00 = v128.xor(chi(b00, b01, b02), i64x2.splat(load<u64>(roundConstants + round)))
    a01 = chi(b01, b02, b03)
    a02 = chi(b02, b03, b04)
    a03 = chi(b03, b04, b00)
    a04 = chi(b04, b00, b01)
    a05 = chi(b05, b06, b07)
    a06 = chi(b06, b07, b08)
    a07 = chi(b07, b08, b09)
    a08 = chi(b08, b09, b05)
    a09 = chi(b09, b05, b06)
    a10 = chi(b10, b11, b12)
    a11 = chi(b11, b12, b13)
    a12 = chi(b12, b13, b14)
    a13 = chi(b13, b14, b10)
    a14 = chi(b14, b10, b11)
    a15 = chi(b15, b16, b17)
    a16 = chi(b16, b17, b18)
    a17 = chi(b17, b18, b19)
    a18 = chi(b18, b19, b15)
    a19 = chi(b19, b15, b16)
    a20 = chi(b20, b21, b22)
    a21 = chi(b21, b22, b23)
    a22 = chi(b22, b23, b24)
    a23 = chi(b23, b24, b20)
    a24 = chi(b24, b20, b21)
  }
  digestA0 = i64x2.extract_lane(a00, 0)
  digestA1 = i64x2.extract_lane(a01, 0)
  digestB0 = i64x2.extract_lane(a00, 1)
  digestB1 = i64x2.extract_lane(a01, 1)
}

@inline function character(bits: u64): u8 {
  return load<u8>(alphabet + <usize>(bits & 63))
}

/** 10 bytes (8 in `first`, 2 in `second`, lowest first) as a value of a text column. */
function encodeId(first: u64, second: u64, at: usize): void {
  const high = bswap<u64>(first)
  const low = bswap<u64>(second)
  store<u32>(at, 14)
  store<u8>(at, character(high >> 58), 4)
  store<u8>(at, character(high >> 52), 5)
  store<u8>(at, character(high >> 46), 6)
  store<u8>(at, character(high >> 40), 7)
  store<u8>(at, character(high >> 34), 8)
  store<u8>(at, character(high >> 28), 9)
  store<u8>(at, character(high >> 22), 10)
  store<u8>(at, character(high >> 16), 11)
  store<u8>(at, character(high >> 10), 12)
  store<u8>(at, character(high >> 4), 13)
  store<u8>(at, character((high << 2) | (low >> 62)), 14)
  store<u8>(at, character(low >> 56), 15)
  store<u8>(at, character(low >> 50), 16)
  store<u8>(at, character((low >> 44) & 0x30), 17)
}
