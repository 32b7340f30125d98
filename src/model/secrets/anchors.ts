/**
 * Finds any of several texts in bytes (Wu and Manber). Each pair of bytes gives the least distance to the next possible
 * match, so most bytes are never read.
 */
export class Anchors<Owner> {
  readonly #shortest: number
  /** The distance to skip, by two bytes. */
  readonly #shifts = new Uint8Array(1 << 16)
  /** By the last two of the first `shortest` bytes of an anchor. */
  readonly #ending = new Map<number, { readonly bytes: Buffer; readonly owner: Owner }[]>()

  /** An anchor has at least two ASCII characters. */
  constructor(anchors: readonly (readonly [text: string, owner: Owner])[]) {
    const shortest = Math.min(255, ...anchors.map(([text]) => text.length))
    this.#shortest = shortest
    this.#shifts.fill(shortest - 1)
    for (const [text, owner] of anchors) {
      const bytes = Buffer.from(text, 'latin1')
      for (let end = 2; end <= shortest; end++) {
        const pair = pairAt(bytes, end - 2)
        this.#shifts[pair] = Math.min(this.#shifts[pair] ?? 0, shortest - end)
        if (end < shortest) continue
        const there = this.#ending.get(pair)
        if (there === undefined) this.#ending.set(pair, [{ bytes, owner }])
        else there.push({ bytes, owner })
      }
    }
  }

  /** Calls `found` with the place of each anchor, in order. */
  search(bytes: Uint8Array, found: (at: number, owner: Owner) => void): void {
    if (this.#ending.size === 0) return
    const shifts = this.#shifts
    const last = bytes.length - 1
    for (let at = this.#shortest - 2; at < last; ) {
      const pair = pairAt(bytes, at)
      const shift = shifts[pair] as number
      if (shift > 0) {
        at += shift
        continue
      }
      const start = at - this.#shortest + 2
      for (const anchor of this.#ending.get(pair) ?? [])
        if (isAt(bytes, start, anchor.bytes)) found(start, anchor.owner)
      at++
    }
  }
}

function pairAt(bytes: Uint8Array, at: number): number {
  return ((bytes[at] as number) << 8) | (bytes[at + 1] as number)
}

function isAt(bytes: Uint8Array, start: number, wanted: Uint8Array): boolean {
  for (let index = 0; index < wanted.length; index++) if (bytes[start + index] !== wanted[index]) return false
  return true
}
