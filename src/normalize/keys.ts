/**
 * The keys of the objects at one place: which key stands at a position of the page. Objects of one kind have their keys
 * in one order, though often not all of them, so the next few keys of the order learned so far are tried first, each by
 * one comparison; what is not among them is looked up by hash.
 */

/** What a key stands for. */
export interface Keyed {
  /** As `JSON.stringify` writes the key. */
  readonly spelling: Spelling
  /** Number of the key in the order learned so far. */
  place: number
}

/** Keys that are tried before one is looked up: where three of four are absent, the next one is nearly always among them. */
const LOOK_AHEAD = 16

/** Places by which keys may move in all, for each key: enough to learn an order, soon used up where there is none. */
const MOVES_A_KEY = 256

/**
 * Longest key, in bytes, that is tried. Its last word is compared first, wherever the page ends: pages have as many
 * bytes behind their end.
 */
export const LONGEST_TRIED = 124

export class KeyTable<Key extends Keyed> {
  /** In the order learned so far. */
  readonly #ordered: Key[] = []
  /**
   * In that order, four numbers for each: place and value of the last word of its spelling, by which keys that begin
   * alike differ, and where the words before it begin and end in `#words`.
   */
  #clues = new Int32Array(32)
  #words = new Int32Array(32)
  #usedWords = 0
  readonly #spelled: { readonly spelling: Spelling; readonly key: Key }[] = []
  /** Open addressing by hash: index in `#spelled` plus one. */
  #slots = new Int32Array(16)
  /** Places by which keys may still move. */
  #moves = 0

  get spellings(): number {
    return this.#spelled.length
  }

  /** Adds a key, with its usual spelling; it is the last of the order. */
  add(key: Key): void {
    const { spelling } = key
    key.place = this.#ordered.length
    this.#ordered.push(key)
    this.#clues = roomy(this.#clues, key.place * 4 + 4)
    this.#clues.set(this.#cluesOf(spelling), key.place * 4)
    this.#moves += MOVES_A_KEY
    this.enter(spelling, key)
  }

  #cluesOf({ bytes }: Spelling): readonly number[] {
    // No page has such a word: a zero is no part of any key.
    if (bytes.length > LONGEST_TRIED) return [0, 0, 0, 0]
    // The last word of a short key takes in what is around it.
    const place = Math.max(bytes.length - 4, -1)
    const last = Buffer.concat([Buffer.from('"'), bytes, Buffer.from(': ')]).readInt32LE(place + 1)
    const first = this.#usedWords
    this.#usedWords += Math.ceil(Math.max(place, 0) / 4)
    this.#words = roomy(this.#words, this.#usedWords)
    for (let word = first; word < this.#usedWords; word++) {
      this.#words[word] = bytes.readInt32LE((word - first) * 4)
    }
    return [place, last, first, this.#usedWords]
  }

  /** Adds a spelling of a key. */
  enter(spelling: Spelling, key: Key): void {
    this.#spelled.push({ spelling, key })
    if (this.#spelled.length * 2 <= this.#slots.length) {
      this.#occupy(spelling.hash, this.#spelled.length)
      return
    }
    this.#slots = new Int32Array(this.#slots.length * 2)
    for (const [index, one] of this.#spelled.entries()) this.#occupy(one.spelling.hash, index + 1)
  }

  #occupy(hash: number, number: number): void {
    const mask = this.#slots.length - 1
    let slot = hash & mask
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask
    this.#slots[slot] = number
  }

  /**
   * The key at `at`, behind its opening quote, if it is one of the next few from `place` on. Pages are read up to
   * {@link LONGEST_TRIED} bytes behind `at`.
   */
  foreseen(view: DataView, at: number, place: number): Key | undefined {
    const clues = this.#clues
    const words = this.#words
    const end = Math.min(place + LOOK_AHEAD, this.#ordered.length) << 2
    for (let index = place << 2; index < end; index += 4) {
      if (view.getInt32(at + clues[index]!, true) !== clues[index + 1]) continue
      const lastWord = clues[index + 3]!
      let word = clues[index + 2]!
      let here = at
      while (word < lastWord && view.getInt32(here, true) === words[word]) {
        word++
        here += 4
      }
      if (word === lastWord) return this.#ordered[index >> 2]
    }
    return undefined
  }

  /** The key that is spelled as the `length` bytes at `at`, followed by a quote, with this hash. */
  find(view: DataView, at: number, length: number, hash: number): Key | undefined {
    const slots = this.#slots
    const mask = slots.length - 1
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const number = slots[slot]!
      if (number === 0) return undefined
      const { spelling, key } = this.#spelled[number - 1]!
      if (spelling.hash === hash && spelling.length === length + 1 && isSpelled(view, at, spelling.bytes)) return key
    }
  }

  /** Learns that the key comes right behind the one at place `last`, if it was thought to come before. */
  comesBehind(key: Key, last: number): void {
    const distance = last - key.place
    if (distance <= 0 || distance > this.#moves) return
    this.#moves -= distance
    const ordered = this.#ordered
    const clues = this.#clues.slice(key.place * 4, key.place * 4 + 4)
    this.#clues.copyWithin(key.place * 4, key.place * 4 + 4, last * 4 + 4)
    this.#clues.set(clues, last * 4)
    for (let place = key.place; place < last; place++) {
      const next = ordered[place + 1]! // last < length
      ordered[place] = next
      next.place = place
    }
    ordered[last] = key
    key.place = last
  }
}

/** One way to write a key. */
export class Spelling {
  readonly hash: number
  /** Of `bytes`. */
  readonly length: number
  /** With the closing quote. */
  readonly bytes: Buffer

  constructor(raw: Uint8Array) {
    this.hash = keyHash(raw)
    this.length = raw.length + 1
    this.bytes = Buffer.concat([raw, Buffer.from('"')])
  }
}

function isSpelled(view: DataView, at: number, bytes: Uint8Array): boolean {
  for (let index = 0; index < bytes.length; index++) {
    if (view.getUint8(at + index) !== bytes[index]) return false
  }
  return true
}

function roomy(numbers: Int32Array<ArrayBuffer>, size: number): Int32Array<ArrayBuffer> {
  if (size <= numbers.length) return numbers
  const larger = new Int32Array(Math.max(size, numbers.length * 2))
  larger.set(numbers)
  return larger
}

/**
 * Hash of a key's raw bytes: word by word as long as words hold neither quote, backslash nor control character, then
 * byte by byte. The walk computes the same while it looks for the end of a key.
 */
function keyHash(raw: Uint8Array): number {
  const view = new DataView(raw.buffer, raw.byteOffset, raw.length)
  let hash = KEY_HASH_SEED
  let at = 0
  while (at + 4 <= raw.length) {
    const word = view.getInt32(at, true)
    if (endsPlainText(word)) break
    hash = keyHashStep(hash, word)
    at += 4
  }
  for (; at < raw.length; at++) hash = keyHashStep(hash, raw[at]!)
  return hash
}

export const KEY_HASH_SEED = 0x2b7e1516
export function keyHashStep(hash: number, part: number): number {
  const mixed = Math.imul(hash ^ part, 0x9e3779b1)
  return mixed ^ (mixed >>> 15)
}

/** Whether one of four bytes of a text is a quote, a backslash or a control character. */
export function endsPlainText(word: number): boolean {
  return textEnds(word) !== 0
}

/**
 * Marks quotes, backslashes and control characters among four bytes of a text by the highest bit of their byte. The
 * lowest mark is exact; bytes above it may be marked by mistake.
 */
export function textEnds(word: number): number {
  const quotes = word ^ 0x22222222
  const backslashes = word ^ 0x5c5c5c5c
  const controls = (word - 0x20202020) & ~word
  return (controls | ((quotes - 0x01010101) & ~quotes) | ((backslashes - 0x01010101) & ~backslashes)) & 0x80808080
}
