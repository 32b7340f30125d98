// @ts-nocheck: AssemblyScript, compiled by scripts/build-wasm.mjs into rows.wasm.ts.
//
// Writes values of columns as rows of Postgres' binary COPY. A column is described by 32 bytes, which `describe` writes:
//
// | at | what |
// |---|---|
// | 0 | u32: one of the kinds below |
// | 4 | u32: address of the bits that say which rows have a value; 0: all |
// | 8 | u32: address of the next value; of a bit field's first byte |
// | 12 | u32: the next bit, of a bit field |
// | 16 | i64: what is subtracted from each number |

/** Bytes that describe a column. */
export const DESCRIPTION_BYTES: i32 = 32
/** Bytes of a vector: as much room is needed behind values, and behind what is written. */
export const VECTOR_BYTES: i32 = 16

/** u32 length and bytes. */
export const BYTES: i32 = 0
/** The same, sent with the version that jsonb begins with. */
export const JSON_BYTES: i32 = 1
/** Eight bytes. */
export const INT64: i32 = 2
/** Four bytes. */
export const INT32: i32 = 3
/** One bit. */
export const BIT: i32 = 4
/** Eight bytes, sent as four. */
export const INT64_AS_32: i32 = 5
/** Eight bytes, sent as two. */
export const INT64_AS_16: i32 = 6

/** Where free memory begins. */
export const heap: usize = __heap_base

/** From here on one instruction for the whole value is faster than vectors. */
const LONG: u32 = 256

/** Describes the column of the number `index` at `columns`: its kind, and where its values and their validity are. */
export function describe(
  columns: usize,
  index: i32,
  kind: i32,
  validity: usize,
  values: usize,
  firstBit: i32,
  epoch: i64,
): void {
  const at = columns + <usize>index * DESCRIPTION_BYTES
  store<i32>(at, kind)
  store<usize>(at, validity, 4)
  store<usize>(at, values, 8)
  store<i32>(at, firstBit, 12)
  store<i64>(at, epoch, 16)
}

/**
 * Writes `rows` rows of `count` columns to `out`, where there must be room for them and {@link VECTOR_BYTES} more, and
 * returns where they end. With an `ordinal` of at least 0 a first field numbers the rows from it on.
 */
export function encode(columns: usize, count: i32, rows: i32, out: usize, ordinal: f64): usize {
  const isNumbered = ordinal >= 0
  let number = <i64>ordinal
  const fields = bswap<u16>(<u16>(isNumbered ? count + 1 : count))
  const end = columns + <usize>count * DESCRIPTION_BYTES
  let at = out
  for (let row = 0; row < rows; row++) {
    store<u16>(at, fields)
    at += 2
    if (isNumbered) {
      store<u32>(at, bswap<u32>(8))
      store<i64>(at, bswap<i64>(number), 4)
      at += 12
      number++
    }
    for (let column = columns; column < end; column += DESCRIPTION_BYTES) {
      const validity = load<u32>(column, 4)
      if (validity != 0 && ((load<u8>(validity + (row >> 3)) >> <u8>(row & 7)) & 1) == 0) {
        store<i32>(at, -1)
        at += 4
        continue
      }
      const from = <usize>load<u32>(column, 8)
      switch (load<i32>(column)) {
        case BYTES: {
          const length = load<u32>(from)
          store<u32>(at, bswap<u32>(length))
          copy(at + 4, from + 4, length)
          at += 4 + length
          store<u32>(column, <u32>from + 4 + length, 8)
          break
        }
        case JSON_BYTES: {
          const length = load<u32>(from)
          store<u32>(at, bswap<u32>(length + 1))
          store<u8>(at, 1, 4)
          copy(at + 5, from + 4, length)
          at += 5 + length
          store<u32>(column, <u32>from + 4 + length, 8)
          break
        }
        case INT64: {
          store<u32>(at, bswap<u32>(8))
          store<i64>(at, bswap<i64>(load<i64>(from) - load<i64>(column, 16)), 4)
          at += 12
          store<u32>(column, <u32>from + 8, 8)
          break
        }
        case INT32: {
          store<u32>(at, bswap<u32>(4))
          store<i32>(at, bswap<i32>(load<i32>(from) - load<i32>(column, 16)), 4)
          at += 8
          store<u32>(column, <u32>from + 4, 8)
          break
        }
        case BIT: {
          const bit = load<u32>(column, 12)
          store<u32>(at, bswap<u32>(1))
          store<u8>(at, (load<u8>(from + (bit >> 3)) >> <u8>(bit & 7)) & 1, 4)
          at += 5
          store<u32>(column, bit + 1, 12)
          break
        }
        case INT64_AS_32: {
          store<u32>(at, bswap<u32>(4))
          store<i32>(at, bswap<i32>(load<i32>(from)), 4)
          at += 8
          store<u32>(column, <u32>from + 8, 8)
          break
        }
        default: {
          store<u32>(at, bswap<u32>(2))
          store<i16>(at, bswap<i16>(load<i16>(from)), 4)
          at += 6
          store<u32>(column, <u32>from + 8, 8)
        }
      }
    }
  }
  return at
}

/** May write up to 15 bytes more, which what comes behind overwrites. */
// @ts-ignore: decorator
@inline
function copy(to: usize, from: usize, length: u32): void {
  if (length >= LONG) {
    memory.copy(to, from, length)
    return
  }
  for (let done: u32 = 0; done < length; done += VECTOR_BYTES) v128.store(to + done, v128.load(from + done))
}
