// @ts-nocheck: AssemblyScript, part of walk.as.ts.
//
// Blocks of powers of two. A block that is given back is used again, so that a load that lasts for hours needs no more
// memory than its largest batches.

import { outOfMemory } from './host.as'

const PAGE_BITS: u32 = 16
const SMALLEST: u32 = 64

/** The first free block of each size; each holds the address of the next. */
const free: usize = memory.data(32 * 4, 4)
let end: usize = 0

/** Bytes of the block for `size` bytes. */
export function blockSize(size: u32): u32 {
  return size <= SMALLEST ? SMALLEST : 1 << (32 - clz(size - 1))
}

/** A block of at least `size` bytes, aligned to 16, with undefined content. */
export function acquire(size: u32): usize {
  // Addresses stay positive for the host, whose integers have a sign.
  if (size > 0x40000000) outOfMemory(size)
  const bytes = blockSize(size)
  const list = free + (ctz(bytes) << 2)
  const block = load<usize>(list)
  if (block != 0) {
    store<usize>(list, load<usize>(block))
    return block
  }
  if (end == 0) end = (__heap_base + 63) & ~63
  const made = end
  const next = <u64>made + bytes
  const pages = <i32>((next + 0xffff) >> PAGE_BITS) - memory.size()
  if (pages > 0 && (next > 0x7fff0000 || memory.grow(max(pages, memory.size() >> 2)) < 0)) {
    if (next > 0x7fff0000 || memory.grow(pages) < 0) outOfMemory(size)
  }
  end = <usize>next
  return made
}

export function acquireZeroed(size: u32): usize {
  const block = acquire(size)
  memory.fill(block, 0, blockSize(size))
  return block
}

/** Gives a block of `size` bytes back. */
export function release(block: usize, size: u32): void {
  const list = free + (ctz(blockSize(size)) << 2)
  store<usize>(block, load<usize>(list))
  store<usize>(list, block)
}
