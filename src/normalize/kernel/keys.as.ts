// @ts-nocheck: AssemblyScript, part of walk.as.ts.
//
// Which key stands at a position. Objects of one kind have their keys in one order, so the key that came next the last
// time is compared first; where that fails too often, as in sparse objects, keys are looked up by hash at once.

import { BACKSLASH, QUOTE, textEnds } from './characters.as'
import { escapedKey, giveUp } from './host.as'
import { acquireZeroed, release } from './memory.as'
import { Field, Node } from './shapes.as'

/** One way to write a key. */
@unmanaged export class Key {
  /** The first 16 bytes of the spelling and its closing quote, zeros behind it. */
  low: u64
  high: u64
  /** All ones where these hold a byte of the key. */
  lowMask: u64
  highMask: u64
  /** The whole spelling with its closing quote, and its length. */
  bytes: usize
  length: u32
  hash: u32
  field: Field
  /** What came behind it the last time. */
  next: Key
  /** How often that was wrong of late. */
  doubt: i32
}

/** From here on the next key is looked up without a guess: of the last ones more than a third were wrong. */
const DOUBTFUL: i32 = 4
const MOST_DOUBT: i32 = 8
const FIRST_SLOTS: u32 = 16

/** 16 bytes of ones and 16 zeros: a mask of the first n bytes is 16 - n bytes before the zeros. */
const ones: usize = memory.data<u64>([u64.MAX_VALUE, u64.MAX_VALUE, 0, 0])

/** What stands for the key before the first: it is like none. */
export function noKey(): Key {
  const key = changetype<Key>(acquireZeroed(offsetof<Key>()))
  // No text holds such bytes.
  key.low = u64.MAX_VALUE
  key.lowMask = u64.MAX_VALUE
  key.next = key
  return key
}

/**
 * Adds a spelling of a field's key: `length` bytes with the closing quote, from `bytes` on, which are the node's from now
 * on. Behind them stand zeros, 16 bytes at least.
 */
export function addKey(node: Node, field: Field, bytes: usize, length: u32): Key {
  const key = changetype<Key>(acquireZeroed(offsetof<Key>()))
  key.field = field
  key.bytes = bytes
  key.length = length
  key.low = load<u64>(bytes)
  key.high = load<u64>(bytes, 8)
  const mask = ones + 16 - min<u32>(length, 16)
  key.lowMask = load<u64>(mask)
  key.highMask = load<u64>(mask, 8)
  key.hash = hashOf(key.low, key.high) ^ (length > 16 ? longHash(bytes, length) : 0)
  key.next = node.noKey
  if (node.keys * 4 >= node.slotCount) widen(node)
  occupy(node, key)
  node.keys++
  return key
}

function widen(node: Node): void {
  const slots = node.slots
  const slotCount = node.slotCount
  node.slotCount = max(FIRST_SLOTS, slotCount << 1)
  node.slots = acquireZeroed(node.slotCount << 2)
  if (slotCount == 0) return
  for (let slot: u32 = 0; slot < slotCount; slot++) {
    const key = load<Key>(slots + (<usize>slot << 2))
    if (changetype<usize>(key) != 0) occupy(node, key)
  }
  release(slots, slotCount << 2)
}

function occupy(node: Node, key: Key): void {
  const mask = node.slotCount - 1
  let slot = key.hash & mask
  while (load<usize>(node.slots + (<usize>slot << 2)) != 0) slot = (slot + 1) & mask
  store<Key>(node.slots + (<usize>slot << 2), key)
}

@inline function hashOf(low: u64, high: u64): u32 {
  return <u32>(((low ^ rotl<u64>(high, 29)) * 0x9e3779b97f4a7c15) >> 32)
}

/** Of what is behind the first 16 bytes. */
function longHash(bytes: usize, length: u32): u32 {
  let hash: u32 = length
  for (let index: u32 = 16; index < length; index += 16) {
    const part = bytes + min(index, length - 16)
    hash = rotl<u32>(hash, 5) ^ hashOf(load<u64>(part), load<u64>(part, 8))
  }
  return hash
}

/** Behind the closing quote of the key that was read last. */
export let keyEnd: usize = 0

/** The key at `at`, behind its opening quote; `previous` came before it. */
@inline export function keyAt(node: Node, previous: Key, at: usize): Key {
  const foreseen = previous.next
  if (previous.doubt < DOUBTFUL && isSpelled(foreseen, at)) {
    if (previous.doubt > 0) previous.doubt--
    keyEnd = at + foreseen.length
    return foreseen
  }
  return unforeseen(node, previous, at)
}

function unforeseen(node: Node, previous: Key, at: usize): Key {
  const key = find(node, at)
  // Without a branch: in sparse objects it would be foreseen wrongly, and waited for, too often.
  const doubt = previous.doubt + (key == previous.next ? -1 : 2)
  previous.doubt = max(0, min(doubt, MOST_DOUBT))
  previous.next = key
  return key
}

@inline function isSpelled(key: Key, at: usize): bool {
  const low = (load<u64>(at) ^ key.low) & key.lowMask
  const high = (load<u64>(at, 8) ^ key.high) & key.highMask
  return (low | high) == 0 && (key.length <= 16 || endsAlike(key, at))
}

/** Whether the bytes behind the sixteenth are those of the key. No further than 16 bytes behind the first other byte is read. */
function endsAlike(key: Key, at: usize): bool {
  const bytes = key.bytes
  const length = key.length
  for (let index: u32 = 16; index < length; index += 16) {
    const part = min(index, length - 16)
    const differing = v128.xor(v128.load(bytes + part), v128.load(at + part))
    if (v128.any_true(differing)) return false
  }
  return true
}

@inline function find(node: Node, at: usize): Key {
  const head = v128.load(at)
  const ends = textEnds(head)
  if (ends != 0) {
    const length = <u32>ctz(ends) + 1
    if (load<u8>(at + length - 1) == QUOTE) return findShort(node, at, length, head)
  }
  return findOther(node, at)
}

@inline function findShort(node: Node, at: usize, length: u32, head: v128): Key {
  keyEnd = at + length
  const masked = v128.and(head, v128.load(ones + 16 - length))
  const low = i64x2.extract_lane(masked, 0)
  const high = i64x2.extract_lane(masked, 1)
  const mask = node.slotCount - 1
  for (let slot = hashOf(low, high) & mask; ; slot = (slot + 1) & mask) {
    const key = load<Key>(node.slots + (<usize>slot << 2))
    if (changetype<usize>(key) == 0) break
    if (key.low == low && key.high == high && key.length == length) return key
  }
  return unknown(node, at, at + length - 1)
}

/** Of more than 15 bytes, or with an escape. */
function findOther(node: Node, at: usize): Key {
  const quote = closingQuote(at)
  const length = <u32>(quote - at) + 1
  if (length <= 16) return findShort(node, at, length, v128.load(at))
  keyEnd = quote + 1
  const hash = hashOf(load<u64>(at), load<u64>(at, 8)) ^ longHash(at, length)
  const mask = node.slotCount - 1
  for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
    const key = load<Key>(node.slots + (<usize>slot << 2))
    if (changetype<usize>(key) == 0) break
    if (key.hash == hash && key.length == length && isSpelled(key, at)) return key
  }
  return unknown(node, at, quote)
}

function closingQuote(start: usize): usize {
  let at = start
  while (true) {
    const ends = textEnds(v128.load(at))
    if (ends == 0) {
      at += 16
      continue
    }
    at += ctz(ends)
    const byte = load<u8>(at)
    if (byte == QUOTE) return at
    if (byte != BACKSLASH || load<u8>(at, 1) < 0x20) giveUp()
    at += 2
  }
}

/** A key with needless escapes may be known by another spelling. */
function unknown(node: Node, start: usize, end: usize): Key {
  return changetype<Key>(escapedKey(node.number, start, end))
}
