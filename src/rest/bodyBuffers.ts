/** Bodies shorter than this get memory of their own: they are cheap to make. */
const SHORTEST = 16 << 10
/** Free memory that is kept; what comes back beyond it is left to the collector. */
const MOST_FREE = 32 << 20
/** Lengths are rounded up to a multiple of this, so that a body that is a little longer fits too. */
const UNIT = 64 << 10

/**
 * Memory of bodies that are done with, for those that follow. V8 marks its whole heap each time 64 MB were taken outside
 * of it: without this, a third of a wide load's collections, and 5 % of its time, were spent on memory for bodies.
 */
export class BodyBuffers {
  /** From the shortest to the longest. */
  readonly #free: Buffer<ArrayBuffer>[] = []
  #freeBytes = 0
  readonly #lent = new WeakSet<ArrayBuffer>()

  /** A buffer of at least `size` bytes with undefined content. */
  acquire(size: number): Buffer<ArrayBuffer> {
    if (size < SHORTEST) return Buffer.allocUnsafeSlow(size)
    const buffer = this.#fitting(size) ?? Buffer.allocUnsafeSlow(Math.ceil((size * 1.125) / UNIT) * UNIT)
    this.#lent.add(buffer.buffer)
    return buffer
  }

  #fitting(size: number): Buffer<ArrayBuffer> | undefined {
    const place = this.#free.findIndex(buffer => buffer.length >= size)
    // A short body in a long buffer would hold memory that is meant for a long one.
    if (place < 0 || this.#free[place]!.length > size * 2 + UNIT) return undefined // place is one of them
    const [buffer] = this.#free.splice(place, 1)
    this.#freeBytes -= buffer?.length ?? 0
    return buffer
  }

  /** Takes back the memory of a body, of which no one may read any more; to be called once. Other memory is left alone. */
  release({ buffer: memory }: Uint8Array): void {
    if (!(memory instanceof ArrayBuffer) || !this.#lent.delete(memory)) return
    if (this.#freeBytes + memory.byteLength > MOST_FREE) return
    const buffer = Buffer.from(memory)
    const longer = this.#free.findIndex(({ length }) => length > buffer.length)
    this.#free.splice(longer < 0 ? this.#free.length : longer, 0, buffer)
    this.#freeBytes += buffer.length
  }

  /** Lets go of all free memory. */
  clear(): void {
    this.#free.length = 0
    this.#freeBytes = 0
  }
}
