/**
 * Writer of Thrift's compact protocol, as far as Parquet's metadata needs it: structures, lists, integers, texts.
 * Field ids of a structure must rise.
 */
export interface ThriftWriter {
  i32(id: number, value: number): void
  i64(id: number, value: number): void
  bool(id: number, value: boolean): void
  text(id: number, value: string): void
  struct(id: number, fields: () => void): void
  /** A list of structures; `element` writes the fields of the one at `index`. */
  structs(id: number, count: number, element: (index: number) => void): void
  i32s(id: number, values: readonly number[]): void
  texts(id: number, values: readonly string[]): void
  /** Ends the outermost structure and returns everything written. */
  finish(): Uint8Array
}

const TYPE = { true: 1, false: 2, i32: 5, i64: 6, binary: 8, list: 9, struct: 12 } as const

export function thriftWriter(): ThriftWriter {
  let bytes = Buffer.allocUnsafe(256)
  let length = 0
  /** Id of the last field of each open structure: ids are written as differences. */
  const lastIds = [0]

  const room = (count: number): void => {
    if (length + count <= bytes.length) return
    const larger = Buffer.allocUnsafe(Math.max(bytes.length * 2, length + count))
    bytes.copy(larger, 0, 0, length)
    bytes = larger
  }
  const byte = (value: number): void => {
    room(1)
    bytes[length++] = value
  }
  /** Arithmetic instead of shifts: sizes and offsets pass 32 bits. */
  const varint = (value: number): void => {
    let rest = value
    while (rest > 127) {
      byte((rest % 128) | 128)
      rest = Math.floor(rest / 128)
    }
    byte(rest)
  }
  const zigzag = (value: number): void => varint(value < 0 ? -value * 2 - 1 : value * 2)
  const field = (id: number, type: number): void => {
    const depth = lastIds.length - 1
    const difference = id - lastIds[depth]! // there is always an open structure
    lastIds[depth] = id
    if (difference < 16) {
      byte((difference << 4) | type)
    } else {
      byte(type)
      zigzag(id)
    }
  }
  const binary = (value: string): void => {
    const encoded = Buffer.from(value)
    varint(encoded.length)
    room(encoded.length)
    length += encoded.copy(bytes, length)
  }
  const open = (fields: () => void): void => {
    lastIds.push(0)
    fields()
    byte(0)
    lastIds.pop()
  }
  const list = (id: number, elementType: number, count: number): void => {
    field(id, TYPE.list)
    if (count < 15) {
      byte((count << 4) | elementType)
    } else {
      byte(0xf0 | elementType)
      varint(count)
    }
  }

  return {
    i32(id, value) {
      field(id, TYPE.i32)
      zigzag(value)
    },
    i64(id, value) {
      field(id, TYPE.i64)
      zigzag(value)
    },
    bool(id, value) {
      field(id, value ? TYPE.true : TYPE.false)
    },
    text(id, value) {
      field(id, TYPE.binary)
      binary(value)
    },
    struct(id, fields) {
      field(id, TYPE.struct)
      open(fields)
    },
    structs(id, count, element) {
      list(id, TYPE.struct, count)
      for (let index = 0; index < count; index++) open(() => element(index))
    },
    i32s(id, values) {
      list(id, TYPE.i32, values.length)
      for (const value of values) zigzag(value)
    },
    texts(id, values) {
      list(id, TYPE.binary, values.length)
      for (const value of values) binary(value)
    },
    finish() {
      byte(0)
      return bytes.subarray(0, length)
    },
  }
}
