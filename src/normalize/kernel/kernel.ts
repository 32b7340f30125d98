import type { Address } from '../../json/kernel/instantiate.js'
import { EnvironmentError } from '../../model/errors.js'
import { type Exports, type Imports, newInstance } from './walk.wasm.js'

/**
 * Thrown through the kernel to its caller when a record holds something that the walk does not know. It is thrown so
 * often that it is created only once.
 */
export const GIVE_UP = new Error('the record needs the exact way')

/** What the walk leaves to its host, see host.as.ts. Each may throw {@link GIVE_UP}. */
export type KernelHost = Omit<Imports['host'], 'giveUp' | 'outOfMemory'>

/** A column as named in messages. */
interface NumberedColumn {
  readonly table: string
  readonly name: string
}

/** The keys of the objects at one place. */
interface NumberedNode {
  /** The field of a key that is written with escapes. */
  findSpelling(raw: Uint8Array): Address | undefined
}

/** The walk of one load, with the memory for its shapes, its page and the columns of the current batches. */
export class Kernel {
  readonly exports: Exports
  /** What the kernel names by number. */
  readonly columns: NumberedColumn[] = []
  /** See `fieldAt`. */
  readonly fields: object[] = []
  readonly nodes: NumberedNode[] = []
  #bytes = Buffer.alloc(0)
  #words = new Int32Array(0)

  constructor(host: () => KernelHost) {
    this.exports = newInstance({
      host: {
        giveUp: () => {
          throw GIVE_UP
        },
        outOfMemory,
        uncommon: (at: Address, field: number, row: number) => host().uncommon(at, field, row),
        discardList: (at: Address) => host().discardList(at),
        nearestDouble: (start: Address, end: Address) => host().nearestDouble(start, end),
        escapedKey: (node: number, start: Address, end: Address) => host().escapedKey(node, start, end),
        surrogateReplaced: (column: number) => host().surrogateReplaced(column),
        nulRemoved: (column: number) => host().nulRemoved(column),
        digitsCut: (column: number) => host().digitsCut(column),
        rootId: (row: number, start: Address, end: Address) => host().rootId(row, start, end),
      },
    })
  }

  /** The memory. Get it again after every call of the kernel, which may have enlarged it. */
  get bytes(): Buffer {
    if (this.#bytes.length === 0) this.#bytes = Buffer.from(this.exports.memory.buffer)
    return this.#bytes
  }

  /** The same in 32-bit integers. */
  get words(): Int32Array {
    if (this.#words.length === 0) this.#words = new Int32Array(this.exports.memory.buffer)
    return this.#words
  }
}

function outOfMemory(bytes: number): never {
  throw new EnvironmentError(
    `There is no memory for the rows of a batch, which may take 2 GB: another ${bytes >>> 0} bytes were needed; ask for smaller records, or give the process more memory`,
    { code: 'memory' },
  )
}
