import { BLOCK, CAPACITY, type Exports, newInstance } from './kernel/skip.wasm.js'

const SPACE = 0x20

/**
 * From inside of a JSON container, outside of texts, to the bracket that closes it: `depth` brackets are open,
 * `separators` commas between elements were seen. Undefined where the bytes end before it.
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

/** Places that are kept of one list; the kernel finds those of a longer one again. */
const MOST_PLACES = 1 << 16

/**
 * The end of the list that starts at `at` with its bracket, and where the commas between its elements stand, counted from
 * `at`; `places` is undefined where they are too many to be kept. Undefined where the bytes end before the list does.
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

/** Where the commas between the elements of a list stand, however many. The bytes are the list, and its brackets match. */
export function separatorsOf(list: Uint8Array): readonly number[] {
  return skipList(list, 0, Number.POSITIVE_INFINITY)?.places ?? []
}

/** Looks at the bytes part by part, up to the bracket that closes the container; undefined where they end before it. */
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

/** The compiled kernel; loaded with the first long container. Its memory never grows, so the view stays valid. */
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
