import { instantiate } from './instantiate.js'
import skip from './wasm/skip.wasm.js'

const SPACE = 0x20
const BLOCK = 64

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
  const { exports, input } = loaded
  exports.begin(depth, separators)
  for (let at = from; at < bytes.length; at += input.length) {
    const part = bytes.subarray(at, at + input.length)
    input.set(part)
    const padded = Math.ceil(part.length / BLOCK) * BLOCK
    input.fill(SPACE, part.length, padded)
    const found = exports.skip(padded)
    if (found >= 0) return { end: at + found, separators: exports.commas() }
  }
  return undefined
}

interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer }
  readonly CAPACITY: { readonly value: number }
  /** Address. */
  readonly input: { readonly value: number }
  begin(openBrackets: number, commas: number): void
  commas(): number
  skip(length: number): number
}

/** The compiled kernel; loaded with the first long container. Its memory never grows, so the view stays valid. */
let loaded: { readonly exports: Exports; readonly input: Uint8Array } | undefined

function load(): typeof loaded & object {
  const exports = instantiate(skip) as Exports
  return { exports, input: new Uint8Array(exports.memory.buffer, exports.input.value, exports.CAPACITY.value) }
}
