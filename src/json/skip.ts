import { BLOCK, CAPACITY, type Exports, newInstance } from './kernel/skip.wasm.js'

const SPACE = 0x20

/**
 * Skips from inside a JSON container, outside of texts, to its closing bracket. `depth` brackets are open, and
 * `separators` commas between elements were already seen. Undefined if the bytes end before it.
 */
export function skipLong(
  bytes: Uint8Array,
  from: number,
  depth: number,
  separators: number,
): { readonly end: number; readonly separators: number } | undefined {
  loaded ??= load()
  const { exports } = loaded
  exports.begin(depth, separators, false)
  const end = search(bytes, from)
  return end === undefined ? undefined : { end, separators: exports.commas() }
}

/** Most positions that are kept for one list. The kernel finds those of a longer list again. */
const MOST_PLACES = 1 << 16

/**
 * The end of the list that starts at `at` with its bracket, and the positions of the commas between its elements,
 * counted from `at`. `places` is undefined if they are too many to keep. Undefined if the bytes end before the list.
 */
export function skipList(
  bytes: Uint8Array,
  at: number,
  most = MOST_PLACES,
): { readonly end: number; readonly separators: number; readonly places: readonly number[] | undefined } | undefined {
  loaded ??= load()
  const { exports, marks } = loaded
  const places: number[] = []
  exports.begin(1, 0, true)
  const end = search(bytes, at + 1, start => {
    if (places.length > most) return
    const count = exports.markCount()
    for (let index = 0; index < count; index++) places.push(start - at + (marks[index] as number))
  })
  if (end === undefined) return undefined
  const separators = exports.commas()
  return { end, separators, places: places.length === separators ? places : undefined }
}

/** Positions of all commas between a list's elements. The bytes are the list, and its brackets match. */
export function separatorsOf(list: Uint8Array): readonly number[] {
  return skipList(list, 0, Number.POSITIVE_INFINITY)?.places ?? []
}

/** Reads the bytes in parts, up to the bracket that closes the container. Undefined if they end before it. */
function search(bytes: Uint8Array, from: number, looked?: (start: number) => void): number | undefined {
  const { exports, input } = loaded as typeof loaded & object
  for (let at = from; at < bytes.length; at += input.length) {
    const part = bytes.subarray(at, at + input.length)
    input.set(part)
    const padded = Math.ceil(part.length / BLOCK) * BLOCK
    input.fill(SPACE, part.length, padded)
    const found = exports.skip(padded)
    looked?.(at)
    if (found >= 0) return at + found
  }
  return undefined
}

/** The compiled kernel, loaded for the first long container. Its memory never grows, so the view stays valid. */
let loaded: { readonly exports: Exports; readonly input: Uint8Array; readonly marks: Int32Array } | undefined

function load(): typeof loaded & object {
  const exports = newInstance()
  const { buffer } = exports.memory
  return {
    exports,
    input: new Uint8Array(buffer, exports.input.value, CAPACITY),
    marks: new Int32Array(buffer, exports.marks.value, CAPACITY),
  }
}
