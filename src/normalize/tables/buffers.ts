/** Largest buffer to keep for reuse. Larger ones come from an unusual page and are left to the collector. */
const LARGEST_KEPT = 64 << 20
const SMALLEST = 1 << 10

/** Buffers by size, in powers of two, so that a load of many hours allocates no more than its first batches. */
export class BufferPool {
  readonly #free = new Map<number, Uint8Array[]>()

  /** A buffer of at least `size` bytes with undefined content. */
  acquire(size: number): Uint8Array {
    let capacity = SMALLEST
    while (capacity < size) capacity *= 2
    return this.#free.get(capacity)?.pop() ?? new Uint8Array(new ArrayBuffer(capacity))
  }

  /** Takes back a buffer from {@link acquire}. Nobody may use it after that. */
  release(buffer: Uint8Array): void {
    const size = buffer.length
    if (size < SMALLEST || size > LARGEST_KEPT) return
    const free = this.#free.get(size)
    if (free === undefined) this.#free.set(size, [buffer])
    else free.push(buffer)
  }
}
