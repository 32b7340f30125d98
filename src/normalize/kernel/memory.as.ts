// @ts-nocheck: AssemblyScript, part of walk.as.ts.
//
// Blocks of powers of two. A block that is given back is used again, so that a load that lasts for hours needs no more
// memory than its largest batches.

import { outOfMemory } from './host.as'

const PAGE_BITS: u32 = 16
/** Addresses stay positive for the host, whose integers have a sign. */
const MOST_PAGES: i32 = 0x7fff
const SMALLEST: u32 = 64
const LARGEST: u32 = 1 << 30

/** The first free block of each size; each holds the address of the next. */
const free: usize = memory.data(32 * 4, 4)
let end: usize = 0

/** Bytes of the block for `size` bytes. */
export function blockSize(size: u32): u32 {
  if (size > LARGEST) outOfMemory(size)
  return size <= SMALLEST ? SMALLEST : 1 << (32 - clz(size - 1))
}

/** A block of at least `size` bytes, aligned to 16, with undefined content. */
export function acquire(size: u32): usize {
  const bytes = blockSize(size)
  const list = free + (ctz(bytes) << 2)
  const block = load<usize>(list)
  if (block != 0) {
    store<usize>(list, load<usize>(block))
    return block
  }
  if (end == 0) end = (__heap_base + 63) & ~63
  const made = end
  const pages = <i32>((<u64>made + bytes + 0xffff) >> PAGE_BITS)
  if (pages > MOST_PAGES) outOfMemory(size)
  if (pages > memory.size()) growTo(pages, size)
  end = made + bytes
  return made
}

/** By a quarter at the least, so that growing is rare; where that much cannot be had, by what is needed. */
function growTo(pages: i32, size: u32): void {
  const have = memory.size()
  const ample = min(max(pages, have + (have >> 2)), MOST_PAGES)
  if (memory.grow(ample - have) < 0 && memory.grow(pages - have) < 0) outOfMemory(size)
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
