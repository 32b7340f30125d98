import type { Address } from '../../json/kernel/instantiate.js'
import type { Column, ColumnBatch } from '../../model/batch.js'
import type { Kernel } from '../kernel/kernel.js'

/** Instead of the number of a root row: the row came with a record of another root table. */
const ELSEWHERE = -1

/** Numbers of the root rows that nested rows came with, by row of the batch. Numbers count from the start of the load. */
export class RootRows {
  #numbers = new Float64Array(256)

  at(row: number): number {
    return this.#numbers[row] ?? ELSEWHERE
  }

  /** Undefined: the row came with a record of another root table. */
  set(row: number, rootRow: number | undefined): void {
    this.#numbers[row] = rootRow ?? ELSEWHERE
  }

  /**
   * The rows from `from` up to, but without, `to` came with the root rows of their parents. `parents` are those of the
   * parent table, or the number of the first row of its batch if it is the root table.
   */
  gather(parents: RootRows | number, { words }: Kernel, parentRows: Address, from: number, to: number): void {
    if (to > this.#numbers.length) {
      const larger = new Float64Array(Math.max(to, this.#numbers.length * 2))
      larger.set(this.#numbers)
      this.#numbers = larger
    }
    const first = parentRows >> 2
    for (let row = from; row < to; row++) {
      const parent = words[first + row] ?? 0
      this.#numbers[row] = typeof parents === 'number' ? parents + parent : parents.at(parent)
    }
  }

  /** The runs of a batch of `rows` rows. The table had `before` rows in earlier batches. */
  runs(table: string, rows: number, before: number): ColumnBatch {
    const firstRows: number[] = []
    const rootRows: number[] = []
    for (let row = 0; row < rows; row++) {
      const rootRow = this.at(row)
      if (row > 0 && rootRow === rootRows[rootRows.length - 1]) continue
      firstRows.push(before + row)
      rootRows.push(rootRow)
    }
    const columns = [integers('first_row', firstRows), integers('root_row', rootRows)]
    return { table, rows: firstRows.length, columns }
  }
}

function integers(name: string, numbers: readonly number[]): Column {
  const values = new Uint8Array(BigInt64Array.from(numbers, BigInt).buffer)
  return { name, dataType: 'bigint', count: numbers.length, values }
}
