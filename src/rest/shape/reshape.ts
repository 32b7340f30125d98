import { JsonBytesError, kindAt, skipSpace, skipValue, stringAt } from '../../json/bytes.js'
import { MAX_JSON_DEPTH } from '../../json/value.js'
import { shortened } from '../../model/errors.js'

/** Members by name; true: the whole value. */
export interface MemberTree extends ReadonlyMap<string, MemberTree | true> {}

/** How the members of a record change. Names of `select` and `drop` are those after `rename`. */
export interface Reshaping {
  readonly rename: ReadonlyMap<string, string>
  /** Undefined: everything. */
  readonly select: MemberTree | undefined
  readonly drop: MemberTree | undefined
}

const [QUOTE, COMMA, COLON, CLOSE_OBJECT, CLOSE_ARRAY] = [0x22, 0x2c, 0x3a, 0x7d, 0x5d]

/**
 * The records, an array as UTF-8 text, with other members. Values keep their bytes, and no object is made. Trees lead through
 * lists. Throws an Error if a new name is already that of another member.
 */
export function reshaped(records: Uint8Array, { rename, select, drop }: Reshaping): Uint8Array {
  const writer = new Writer(records)
  writer.list(skipSpace(records, 0), select, drop, rename.size === 0 ? undefined : rename)
  return writer.bytes()
}

/** Writes one text from the parts of another. */
class Writer {
  readonly #from: Uint8Array
  #to: Buffer
  #length = 0
  #depth = 0

  constructor(from: Uint8Array) {
    this.#from = from
    this.#to = Buffer.allocUnsafe(from.length + 64)
  }

  bytes(): Buffer {
    return this.#to.subarray(0, this.#length)
  }

  #write(byte: number): void {
    this.#room(1)
    this.#to[this.#length++] = byte
  }

  #copy(start: number, end: number): void {
    this.#room(end - start)
    this.#to.set(this.#from.subarray(start, end), this.#length)
    this.#length += end - start
  }

  #text(text: string): void {
    this.#room(Buffer.byteLength(text))
    this.#length += this.#to.write(text, this.#length)
  }

  #room(bytes: number): void {
    if (this.#length + bytes <= this.#to.length) return
    const larger = Buffer.allocUnsafe((this.#length + bytes) * 2)
    larger.set(this.bytes())
    this.#to = larger
  }

  /** Writes what the trees leave of a value, and returns where it ends. */
  #value(
    at: number,
    select: MemberTree | undefined,
    drop: MemberTree | undefined,
    rename?: ReadonlyMap<string, string>,
  ): number {
    const kind = kindAt(this.#from, at)
    if ((kind === 'object' || kind === 'array') && (select ?? drop ?? rename) !== undefined)
      return kind === 'object' ? this.#object(at, select, drop, rename) : this.list(at, select, drop, rename)
    const end = skipValue(this.#from, at)
    this.#copy(at, end)
    return end
  }

  list(
    at: number,
    select: MemberTree | undefined,
    drop: MemberTree | undefined,
    rename?: ReadonlyMap<string, string>,
  ): number {
    const from = this.#from
    if (++this.#depth > MAX_JSON_DEPTH) throw new JsonBytesError(`more than ${MAX_JSON_DEPTH} lists in each other`, at)
    this.#write(0x5b)
    let next = skipSpace(from, at + 1)
    if (from[next] === CLOSE_ARRAY) {
      this.#depth--
      this.#write(CLOSE_ARRAY)
      return next + 1
    }
    for (;;) {
      const after = skipSpace(from, this.#value(next, select, drop, rename))
      if (from[after] === CLOSE_ARRAY) {
        this.#depth--
        this.#write(CLOSE_ARRAY)
        return after + 1
      }
      if (from[after] !== COMMA) throw new JsonBytesError('expected `,` or `]`', after)
      this.#write(COMMA)
      next = skipSpace(from, after + 1)
    }
  }

  #object(
    at: number,
    select: MemberTree | undefined,
    drop: MemberTree | undefined,
    rename?: ReadonlyMap<string, string>,
  ): number {
    const from = this.#from
    const names = rename === undefined ? undefined : new Map<string, string>()
    let isFirst = true
    this.#write(0x7b)
    let next = skipSpace(from, at + 1)
    if (from[next] === CLOSE_OBJECT) {
      this.#write(CLOSE_OBJECT)
      return next + 1
    }
    for (;;) {
      if (from[next] !== QUOTE) throw new JsonBytesError('expected the name of a member', next)
      const nameEnd = skipValue(from, next)
      const colon = skipSpace(from, nameEnd)
      if (from[colon] !== COLON) throw new JsonBytesError('expected `:`', colon)
      const start = skipSpace(from, colon + 1)
      const old = stringAt(from, { start: next, end: nameEnd })
      const name = rename?.get(old) ?? old
      refuseTwice(names, name, old)
      const [wanted, unwanted] = [select?.get(name), drop?.get(name)]
      const kind = kindAt(from, start)
      const isThere =
        select === undefined || wanted === true || (wanted !== undefined && (kind === 'object' || kind === 'array'))
      let end: number
      if (isThere && unwanted !== true) {
        if (!isFirst) this.#write(COMMA)
        isFirst = false
        if (name === old) this.#copy(next, nameEnd)
        else this.#text(JSON.stringify(name))
        this.#write(COLON)
        end = this.#value(start, wanted === true ? undefined : wanted, unwanted)
      } else end = skipValue(from, start)
      const after = skipSpace(from, end)
      if (from[after] === CLOSE_OBJECT) {
        this.#write(CLOSE_OBJECT)
        return after + 1
      }
      if (from[after] !== COMMA) throw new JsonBytesError('expected `,` or `}`', after)
      next = skipSpace(from, after + 1)
    }
  }
}

/** `names`: the old name of each member of a record so far. A name that comes twice by itself is no clash. */
function refuseTwice(names: Map<string, string> | undefined, name: string, old: string): void {
  if (names === undefined) return
  const before = names.get(name)
  if (before !== undefined && before !== old) {
    const [one, other] = [before, old].map(text => JSON.stringify(shortened(text)))
    throw new Error(`${one} and ${other} would both be ${JSON.stringify(name)}; choose another name`)
  }
  names.set(name, old)
}
