const TYPE = { true: 1, false: 2, i32: 5, i64: 6, binary: 8, list: 9, struct: 12 } as const

/**
 * Writes Thrift's compact protocol, as far as Parquet's metadata needs it: structures, lists, integers, texts. Field
 * ids of a structure must increase. Wide tables have thousands of headers for each load, so nothing here is a closure:
 * V8 spent a fifth of a load's CPU time compiling them.
 */
export class ThriftWriter {
  #bytes: Buffer
  /** Bytes written so far. */
  length = 0
  /** Ids of the last fields of the open structures: ids are written as differences. */
  readonly #outerIds: number[] = []
  #lastId = 0

  constructor(size = 256) {
    this.#bytes = Buffer.allocUnsafe(size)
  }

  i32(id: number, value: number): void {
    this.#field(id, TYPE.i32)
    this.#zigzag(value)
  }

  i64(id: number, value: number): void {
    this.#field(id, TYPE.i64)
    this.#zigzag(value)
  }

  bool(id: number, value: boolean): void {
    this.#field(id, value ? TYPE.true : TYPE.false)
  }

  text(id: number, value: string): void {
    this.#field(id, TYPE.binary)
    this.#binary(value)
  }

  /** Opens a structure. Its fields follow, then {@link end}. */
  struct(id: number): void {
    this.#field(id, TYPE.struct)
    this.element()
  }

  /** A list of structures. {@link element} opens each of them. */
  structs(id: number, count: number): void {
    this.#list(id, TYPE.struct, count)
  }

  /** Opens a structure of a list. */
  element(): void {
    this.#outerIds.push(this.#lastId)
    this.#lastId = 0
  }

  /** Ends the open structure, or the whole. */
  end(): void {
    this.#byte(0)
    this.#lastId = this.#outerIds.pop() ?? 0
  }

  i32s(id: number, values: readonly number[]): void {
    this.#list(id, TYPE.i32, values.length)
    for (const value of values) this.#zigzag(value)
  }

  texts(id: number, values: readonly string[]): void {
    this.#list(id, TYPE.binary, values.length)
    for (const value of values) this.#binary(value)
  }

  /** Fields of a structure from another writer, up to this id. */
  fields(bytes: Uint8Array, lastId: number): void {
    this.append(bytes)
    this.#lastId = lastId
  }

  /** Bytes to add after what is written. */
  append(bytes: ArrayLike<number>): void {
    this.#room(bytes.length)
    this.#bytes.set(bytes, this.length)
    this.length += bytes.length
  }

  /** Everything written. */
  get written(): Uint8Array {
    return this.#bytes.subarray(0, this.length)
  }

  #room(count: number): void {
    if (this.length + count <= this.#bytes.length) return
    const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.length + count))
    this.#bytes.copy(larger, 0, 0, this.length)
    this.#bytes = larger
  }

  #byte(value: number): void {
    this.#room(1)
    this.#bytes[this.length++] = value
  }

  /** Arithmetic instead of shifts: sizes and offsets exceed 32 bits. */
  #varint(value: number): void {
    let rest = value
    while (rest > 127) {
      this.#byte((rest % 128) | 128)
      rest = Math.floor(rest / 128)
    }
    this.#byte(rest)
  }

  #zigzag(value: number): void {
    this.#varint(value < 0 ? -value * 2 - 1 : value * 2)
  }

  #field(id: number, type: number): void {
    const difference = id - this.#lastId
    this.#lastId = id
    if (difference < 16) {
      this.#byte((difference << 4) | type)
    } else {
      this.#byte(type)
      this.#zigzag(id)
    }
  }

  #list(id: number, elementType: number, count: number): void {
    this.#field(id, TYPE.list)
    if (count < 15) {
      this.#byte((count << 4) | elementType)
    } else {
      this.#byte(0xf0 | elementType)
      this.#varint(count)
    }
  }

  #binary(value: string): void {
    const bytes = Buffer.byteLength(value)
    this.#varint(bytes)
    this.#room(bytes)
    this.length += this.#bytes.write(value, this.length)
  }
}
