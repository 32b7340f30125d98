import type { CellRules } from './cells.js'
import { BIGINT, BOOL, type ColumnWriter, DOUBLE, GIVE_UP, TEXT, TIMESTAMP } from './columns.js'
import { endsPlainText, KEY_HASH_SEED, keyHashStep, LONGEST_TRIED, textEnds } from './keys.js'
import type { Field, ListShape, Node } from './shapes.js'
import type { TableWriter } from './tables.js'
import { isoMicros, isoMicrosAt } from './time.js'
import { TreeReader } from './tree.js'

const QUOTE = 0x22
const COMMA = 0x2c
const MINUS = 0x2d
const COLON = 0x3a
const LIST_START = 0x5b
const BACKSLASH = 0x5c
const LIST_END = 0x5d
const OBJECT_START = 0x7b
const OBJECT_END = 0x7d

/** `rue`, `alse` and `ull` with what follows, as little-endian words. */
const TRUE_WORD = 0x65757274
const ALSE_WORD = 0x65736c61
const NULL_WORD = 0x6c6c756e

const TWO_32 = 4294967296
const POWERS_OF_TEN = Float64Array.from({ length: 23 }, (_, exponent) => Number(`1e${exponent}`))
/** Doubles below hold every integer; at 2^53 itself a rounded neighbour may hide. */
const EXACT_BELOW = 9007199254740992

/** Zero bytes behind the page, so that words may be read past its end and every scan stops. */
const PADDING = LONGEST_TRIED

/** Bytes of room that a text needs at least before it is copied piece by piece. */
const TEXT_ROOM = 72

const INTEGER = 0
const FRACTION = 1
const WIDE_INTEGER = 2

/** The tables that the records of one root table spread over. */
export interface Family {
  readonly root: ListShape
  readonly table: TableWriter
  readonly tables: readonly TableWriter[]
  /** Makes the id of a root row from its record `bytes[start, end)`; absent where ids are random. */
  readonly rootId: ((row: number, start: number, end: number) => void) | undefined
}

/**
 * The walk over the bytes of a page, straight into columns. It knows only what the shapes know; anything else makes it
 * throw {@link GIVE_UP}, after which the caller forgets the record's rows and reads `recordStart` in the exact way.
 * It never accepts what is not JSON.
 *
 * Positions are byte offsets into the page; methods take the position of a value and return the one behind it.
 */
export class Walk {
  readonly #cells: CellRules
  readonly #nulInText: boolean
  #page = new Uint8Array(1 << 16)
  /** The page in other forms. */
  #view = new DataView(this.#page.buffer)
  #text8 = Buffer.from(this.#page.buffer)
  reader = new TreeReader(this.#page)
  #length = 0
  /** Where the current record begins. */
  recordStart = 0
  /** Records read since the page was set. */
  records = 0
  /** Where {@link walk} stopped. */
  position = 0
  /** Number of the row being written, over all tables and the whole load; wraps. */
  #serial = 0
  /** Spans of the values that the root row's id is made from; start -1 where there is none. */
  readonly keyStarts: number[] = []
  readonly keyEnds: number[] = []
  /** Rows not begun because a contract does not admit their table. */
  discardedRows = 0
  #discardedRowsBefore = 0
  #discardedValuesBefore = 0

  /** What the last number was. */
  #low = 0
  #high = 0
  #float = 0

  constructor(cells: CellRules, nulInText: boolean) {
    this.#cells = cells
    this.#nulInText = nulInText
  }

  /** Copies the page, which must be valid UTF-8. */
  setPage(records: Uint8Array): void {
    const size = records.length + PADDING
    if (size > this.#page.length) {
      let capacity = this.#page.length
      while (capacity < size) capacity *= 2
      this.#page = new Uint8Array(capacity)
      this.#view = new DataView(this.#page.buffer)
      this.#text8 = Buffer.from(this.#page.buffer)
      this.reader = new TreeReader(this.#page)
    }
    this.#page.set(records)
    this.#page.fill(0, records.length, size)
    this.#length = records.length
    this.records = 0
  }

  /** A part of the page, valid until the next. */
  slice(start: number, end: number): Uint8Array {
    return this.#page.subarray(start, end)
  }

  /** Whether nothing of the page is left at `position`. */
  atEnd(position: number): boolean {
    return position === this.#length
  }

  /**
   * Reads records from `position` on until the end of the list (true) or until a table of the family holds
   * `batchRows` rows (false, `position` is at the next record).
   */
  walk(family: Family, batchRows: number): boolean {
    const { root, table, tables, rootId } = family
    let at = this.position
    for (;;) {
      let full = false
      for (let index = 0; index < tables.length; index++) {
        const one = tables[index]!
        one.recordStart = one.rows
        if (one.rows >= batchRows) full = true
      }
      at = this.#skipSpace(at)
      this.position = at
      if (full) return false
      this.recordStart = at
      this.#discardedRowsBefore = this.discardedRows
      this.#discardedValuesBefore = this.#cells.discardedValues
      for (let slot = 0; slot < this.keyStarts.length; slot++) this.keyStarts[slot] = -1
      // The first record of a load takes the exact way, to see that the table has its system columns.
      if (root.table === undefined) throw GIVE_UP
      const row = table.startRow()
      const serial = this.#nextSerial()
      if (this.#page[at] === OBJECT_START) at = this.#object(at, root.root, table, row, serial)
      else at = this.#wrapped(at, root, table, row, serial)
      if (rootId !== undefined) rootId(row, this.recordStart, at)
      this.records++
      at = this.#skipSpace(at)
      const byte = this.#page[at]
      if (byte === COMMA) at++
      else if (byte === LIST_END) {
        this.position = at + 1
        for (const one of tables) one.recordStart = one.rows
        return true
      } else throw GIVE_UP
    }
  }

  /** Forgets the current record, after the walk gave up. */
  rollback(family: Family): void {
    for (const table of family.tables) table.rollback()
    this.discardedRows = this.#discardedRowsBefore
    this.#cells.discardedValues = this.#discardedValuesBefore
  }

  #nextSerial(): number {
    this.#serial = (this.#serial + 1) & 0x3fffffff
    return this.#serial
  }

  #skipSpace(at: number): number {
    const page = this.#page
    let byte = page[at]!
    while (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09) byte = page[++at]!
    return at
  }

  /** A record that is no object counts as an object with the key `value`. */
  #wrapped(at: number, root: ListShape, table: TableWriter, row: number, serial: number): number {
    const field = root.root.field('value')
    if (field === undefined || field.special) throw GIVE_UP
    return this.#value(at, field, table, row, serial)
  }

  #object(start: number, node: Node, table: TableWriter, row: number, serial: number): number {
    const page = this.#page
    const view = this.#view
    const keys = node.keys
    /** Place of the key that would come next if none is absent. */
    let expected = 0
    let at = start + 1
    if (page[at]! <= 0x20) at = this.#skipSpace(at)
    if (page[at] === OBJECT_END) return at + 1
    for (;;) {
      if (page[at] !== QUOTE) throw GIVE_UP
      at++
      let field = keys.foreseen(view, at, expected)
      if (field === undefined) {
        field = this.#findField(at, node)
        at = this.#keyEnd
        keys.comesBehind(field, expected - 1)
      } else at += field.keyLength
      expected = field.place + 1
      if (page[at] !== COLON) {
        at = this.#skipSpace(at)
        if (page[at] !== COLON) throw GIVE_UP
      }
      at++
      if (page[at]! <= 0x20) at = this.#skipSpace(at)
      if (field.stamp === serial) throw GIVE_UP
      field.stamp = serial
      if (field.special) at = this.#special(at, field, table, row, serial)
      else at = this.#value(at, field, table, row, serial)
      let byte = page[at]!
      if (byte <= 0x20) {
        at = this.#skipSpace(at)
        byte = page[at]!
      }
      if (byte === COMMA) {
        at++
        if (page[at]! <= 0x20) at = this.#skipSpace(at)
      } else if (byte === OBJECT_END) return at + 1
      else throw GIVE_UP
    }
  }

  /** Behind the closing quote of the key that {@link #findField} read. */
  #keyEnd = 0

  #findField(start: number, node: Node): Field {
    const page = this.#page
    const view = this.#view
    let hash = KEY_HASH_SEED
    let at = start
    for (let word = view.getInt32(at, true); !endsPlainText(word); word = view.getInt32(at, true)) {
      hash = keyHashStep(hash, word)
      at += 4
    }
    for (;;) {
      const byte = page[at]!
      if (byte === QUOTE) break
      if (byte < 0x20) throw GIVE_UP
      hash = keyHashStep(hash, byte)
      at++
      if (byte === BACKSLASH) hash = keyHashStep(hash, page[at++]!)
    }
    this.#keyEnd = at + 1
    const field = node.keys.find(view, start, at - start, hash) ?? node.findSpelling(page, start, at)
    if (field === undefined) throw GIVE_UP
    return field
  }

  #special(at: number, field: Field, table: TableWriter, row: number, serial: number): number {
    if (field.exact) throw GIVE_UP
    if (field.shared !== undefined) {
      if (field.shared.stamp === serial) throw GIVE_UP
      field.shared.stamp = serial
    }
    const end = this.#value(at, field, table, row, serial)
    if (field.keySlot >= 0) {
      this.keyStarts[field.keySlot] = at
      this.keyEnds[field.keySlot] = end
    }
    return end
  }

  #value(at: number, field: Field, table: TableWriter, row: number, serial: number): number {
    const byte = this.#page[at]!
    const column = field.column
    if (byte === QUOTE) {
      if (column !== undefined) {
        if (column.kind === TEXT) return this.#text(at + 1, column, table, row)
        if (column.kind === TIMESTAMP) return this.#timestamp(at, column, field, table, row)
      }
      return this.#uncommon(at, field, table, row)
    }
    if (byte <= 0x39 && (byte >= 0x30 || byte === MINUS)) {
      if (column !== undefined) {
        if (column.kind === BIGINT) {
          const end = this.#number(at)
          if (this.#numberKind !== INTEGER) return this.#uncommon(at, field, table, row)
          column.putInt64(row, this.#low, this.#high)
          return end
        }
        if (column.kind === DOUBLE) {
          const end = this.#number(at)
          const value = this.#numberKind === FRACTION ? this.#float : this.#integerAsDouble(at, end)
          if (!Number.isFinite(value)) return this.#uncommon(at, field, table, row)
          column.putDouble(row, value)
          return end
        }
      }
      return this.#uncommon(at, field, table, row)
    }
    switch (byte) {
      case 0x6e:
        if (this.#view.getInt32(at, true) !== NULL_WORD) throw GIVE_UP
        return at + 4
      case 0x74:
        if (this.#view.getInt32(at, true) !== TRUE_WORD) throw GIVE_UP
        if (column === undefined || column.kind !== BOOL) return this.#uncommon(at, field, table, row)
        column.putBool(row, true)
        return at + 4
      case 0x66:
        if (this.#view.getInt32(at + 1, true) !== ALSE_WORD) throw GIVE_UP
        if (column === undefined || column.kind !== BOOL) return this.#uncommon(at, field, table, row)
        column.putBool(row, false)
        return at + 5
      case OBJECT_START:
        if (field.keepsJson) return this.#uncommon(at, field, table, row)
        if (field.node === undefined) throw GIVE_UP
        return this.#object(at, field.node, table, row, serial)
      case LIST_START:
        if (field.keepsJson) return this.#uncommon(at, field, table, row)
        if (field.list === undefined) throw GIVE_UP
        return this.#list(at, field.list, table, row)
      default:
        throw GIVE_UP
    }
  }

  #list(start: number, shape: ListShape, parent: TableWriter, parentRow: number): number {
    const page = this.#page
    let at = this.#skipSpace(start + 1)
    if (page[at] === LIST_END) return at + 1
    const table = shape.table
    if (table === undefined || shape.exact) {
      if (shape.discarded) return this.#discardList(at)
      throw GIVE_UP
    }
    const nested = table.parent === parent
    if (nested) {
      if (table.lastParentRow === parentRow) throw GIVE_UP
      table.lastParentRow = parentRow
    }
    for (let index = 0; ; index++) {
      const row = nested ? table.startNestedRow(parentRow, index) : table.startRow()
      const byte = page[at]
      const serial = this.#nextSerial()
      if (byte === OBJECT_START) at = this.#object(at, shape.root, table, row, serial)
      else if (byte === LIST_START) at = this.#value(at, shape.list, table, row, serial)
      else at = this.#value(at, shape.value, table, row, serial)
      if (page[at]! <= 0x20) at = this.#skipSpace(at)
      if (page[at] === COMMA) {
        at++
        if (page[at]! <= 0x20) at = this.#skipSpace(at)
      } else if (page[at] === LIST_END) return at + 1
      else throw GIVE_UP
    }
  }

  /** Passes over a list, from its first element. */
  #discardList(start: number): number {
    const reader = this.reader
    reader.position = start
    let rows = 0
    do {
      reader.read()
      rows++
    } while (reader.accept(COMMA))
    if (!reader.accept(LIST_END)) throw GIVE_UP
    this.discardedRows += rows
    return reader.position
  }

  /** A value that needs converting or is kept as JSON. */
  #uncommon(at: number, field: Field, table: TableWriter, row: number): number {
    const reader = this.reader
    reader.position = at
    const tree = reader.read()
    if (!this.#cells.store(tree, field, table.name, row)) throw GIVE_UP
    return reader.position
  }

  #timestamp(at: number, column: ColumnWriter, field: Field, table: TableWriter, row: number): number {
    const page = this.#page
    const start = at + 1
    // Most timestamps are written alike. Where the guess is wrong, one of these bytes is in no timestamp.
    let end = start + this.#timestampLength
    if (page[end] !== QUOTE || !isoMicrosAt(page, start, end)) {
      end = this.#plainEnd(start)
      if (page[end] !== QUOTE || !isoMicrosAt(page, start, end)) return this.#uncommon(at, field, table, row)
      this.#timestampLength = end - start
    }
    column.putInt64(row, isoMicros[0]!, isoMicros[1]!)
    return end + 1
  }

  /** Bytes of the last timestamp. */
  #timestampLength = 0

  /** The first quote, backslash or control character from `start` on. */
  #plainEnd(start: number): number {
    const view = this.#view
    let end = start
    let ends = textEnds(view.getInt32(end, true))
    for (; ends === 0; ends = textEnds(view.getInt32(end, true))) end += 4
    return end + ((31 - Math.clz32(ends & -ends)) >> 3)
  }

  /** A text from behind its opening quote, copied four bytes at a time while the end is looked for. */
  #text(start: number, column: ColumnWriter, table: TableWriter, row: number): number {
    const page = this.#page
    const view = this.#view
    let at = start
    const textStart = column.position + 4
    let to = textStart
    if (to + TEXT_ROOM > column.values.length) column.reserve(TEXT_ROOM + 4)
    let out = column.view
    let room = out.byteLength - 8
    for (;;) {
      if (to > room) {
        column.reserve(to - column.position + TEXT_ROOM)
        out = column.view
        room = out.byteLength - 8
      }
      const word = view.getInt32(at, true)
      const ends = textEnds(word)
      // What is copied too much is written over by the next.
      out.setInt32(to, word, true)
      if (ends === 0) {
        to += 4
        at += 4
        continue
      }
      const plain = (31 - Math.clz32(ends & -ends)) >> 3
      to += plain
      at += plain
      const byte = page[at]!
      if (byte === QUOTE) break
      if (byte !== BACKSLASH) throw GIVE_UP
      to = this.#escape(at, column.values, to, column, table)
      at = this.#escapeEnd
    }
    column.endText(row, to - textStart)
    return at + 1
  }

  /** Behind the escape that {@link #escape} read. */
  #escapeEnd = 0

  /** Writes the characters of the escape at `at`, at most four bytes, and returns the position behind them. */
  #escape(at: number, out: Uint8Array, to: number, column: ColumnWriter, table: TableWriter): number {
    const letter = this.#page[at + 1]!
    this.#escapeEnd = at + 2
    const plain = ESCAPES[letter]!
    if (plain !== 0) {
      out[to] = plain
      return to + 1
    }
    if (letter !== 0x75) throw GIVE_UP
    let code = this.#hex(at + 2)
    this.#escapeEnd = at + 6
    if (code >= 0xd800 && code < 0xe000) {
      const low =
        code < 0xdc00 && this.#page[at + 6] === BACKSLASH && this.#page[at + 7] === 0x75 ? this.#hex(at + 8) : 0
      if (low >= 0xdc00 && low < 0xe000) {
        this.#escapeEnd = at + 12
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00)
        out[to] = 0xf0 | (code >> 18)
        out[to + 1] = 0x80 | ((code >> 12) & 63)
        out[to + 2] = 0x80 | ((code >> 6) & 63)
        out[to + 3] = 0x80 | (code & 63)
        return to + 4
      }
      this.#cells.surrogateReplaced(table.name, column.name)
      code = 0xfffd
    }
    if (code < 0x80) {
      if (code === 0 && !this.#nulInText) {
        this.#cells.nulRemoved(table.name, column.name)
        return to
      }
      out[to] = code
      return to + 1
    }
    if (code < 0x800) {
      out[to] = 0xc0 | (code >> 6)
      out[to + 1] = 0x80 | (code & 63)
      return to + 2
    }
    out[to] = 0xe0 | (code >> 12)
    out[to + 1] = 0x80 | ((code >> 6) & 63)
    out[to + 2] = 0x80 | (code & 63)
    return to + 3
  }

  #hex(at: number): number {
    const page = this.#page
    const digits =
      (HEX[page[at]!]! << 12) | (HEX[page[at + 1]!]! << 8) | (HEX[page[at + 2]!]! << 4) | HEX[page[at + 3]!]!
    if (digits < 0) throw GIVE_UP
    return digits
  }

  #numberKind = INTEGER

  /** Reads a number: its kind, the halves of its 64 bits if it is an INTEGER, its nearest double unless it is WIDE. */
  #number(start: number): number {
    const page = this.#page
    let at = start
    let byte = page[at]!
    const negative = byte === MINUS
    if (negative) byte = page[++at]!
    const first = at
    let digits = byte - 0x30
    if (digits < 0 || digits > 9) throw GIVE_UP
    byte = page[++at]!
    if (digits !== 0) {
      while (byte >= 0x30 && byte <= 0x39) {
        digits = digits * 10 + (byte - 0x30)
        byte = page[++at]!
      }
    } else if (byte >= 0x30 && byte <= 0x39) throw GIVE_UP
    if (byte !== 0x2e && byte !== 0x65 && byte !== 0x45) {
      this.#integer(first, at, digits, negative)
      return at
    }
    return this.#fraction(start, first, at, digits, negative)
  }

  #integer(first: number, end: number, digits: number, negative: boolean): void {
    this.#numberKind = INTEGER
    if (end - first <= 15) {
      const value = negative ? -digits : digits
      this.#float = value === 0 ? 0 : value
      this.#low = value | 0
      this.#high = value >= -2147483648 && value <= 2147483647 ? value >> 31 : Math.floor(value / TWO_32)
      return
    }
    if (end - first > 19) {
      this.#numberKind = WIDE_INTEGER
      return
    }
    // value = upper · 10⁹ + lower, put together from pieces that doubles hold exactly
    const page = this.#page
    const split = end - 9
    let upper = 0
    for (let at = first; at < split; at++) upper = upper * 10 + (page[at]! - 0x30)
    let lower = 0
    for (let at = split; at < end; at++) lower = lower * 10 + (page[at]! - 0x30)
    const upperHigh = Math.floor(upper / 65536)
    const high = upperHigh * 1e9
    const low = (upper - upperHigh * 65536) * 1e9 + lower
    const highOfHigh = Math.floor(high / 65536)
    const sum = (high - highOfHigh * 65536) * 65536 + low
    const carry = Math.floor(sum / TWO_32)
    const lowWord = sum - carry * TWO_32
    const highWord = highOfHigh + carry
    if (highWord >= 2147483648 && !(negative && highWord === 2147483648 && lowWord === 0)) {
      this.#numberKind = WIDE_INTEGER
      return
    }
    this.#low = negative ? -lowWord | 0 : lowWord | 0
    this.#high = negative ? ~highWord + (lowWord === 0 ? 1 : 0) : highWord
    this.#float = Number.NaN
  }

  #integerAsDouble(start: number, end: number): number {
    const value = this.#numberKind === INTEGER ? this.#float : Number.NaN
    return Number.isNaN(value) ? this.#exactDouble(start, end) : value
  }

  #exactDouble(start: number, end: number): number {
    return Number(this.#text8.toString('latin1', start, end))
  }

  #fraction(start: number, first: number, point: number, whole: number, negative: boolean): number {
    const page = this.#page
    this.#numberKind = FRACTION
    let at = point
    let byte = page[at]!
    let mantissa = whole
    let digits = point - first
    let exponent = 0
    if (byte === 0x2e) {
      byte = page[++at]!
      const from = at
      while (byte >= 0x30 && byte <= 0x39) {
        mantissa = mantissa * 10 + (byte - 0x30)
        byte = page[++at]!
      }
      if (at === from) throw GIVE_UP
      digits += at - from
      exponent = from - at
    }
    if (byte === 0x65 || byte === 0x45) {
      byte = page[++at]!
      const down = byte === MINUS
      if (down || byte === 0x2b) byte = page[++at]!
      const from = at
      let power = 0
      while (byte >= 0x30 && byte <= 0x39) {
        if (power < 100000) power = power * 10 + (byte - 0x30)
        byte = page[++at]!
      }
      if (at === from) throw GIVE_UP
      exponent += down ? -power : power
    }
    if (digits <= 17 && mantissa < EXACT_BELOW && exponent >= -22 && exponent <= 22) {
      const value = exponent < 0 ? mantissa / POWERS_OF_TEN[-exponent]! : mantissa * POWERS_OF_TEN[exponent]!
      this.#float = negative ? -value : value
    } else this.#float = this.#exactDouble(start, at)
    return at
  }
}

const ESCAPES = new Uint8Array(256)
for (const [letter, code] of [
  ['"', 0x22],
  ['\\', 0x5c],
  ['/', 0x2f],
  ['b', 0x08],
  ['f', 0x0c],
  ['n', 0x0a],
  ['r', 0x0d],
  ['t', 0x09],
] as const) {
  ESCAPES[letter.charCodeAt(0)] = code
}

/** Values of hexadecimal digits; others make the whole negative. */
const HEX = new Int32Array(256).fill(-1)
for (const [value, digit] of [...'0123456789abcdef'].entries()) {
  HEX[digit.charCodeAt(0)] = value
  HEX[digit.toUpperCase().charCodeAt(0)] = value
}
