import type { TableChanges } from '../../model/destination.js'

/** Counts what a commit does to one table. */
export class TableTally implements TableChanges {
  isNew = false
  readonly newColumns: string[] = []
  inserted: number | undefined = 0
  updated: number | undefined = 0
  replaced = 0
  deleted = 0
  keptForOthers: number | undefined

  /** Rows that were inserted or updated. `inserted`: how many of them are new, if that is known. */
  merged(rows: number, inserted: number | undefined): void {
    if (inserted === undefined || this.inserted === undefined || this.updated === undefined) {
      this.inserted = undefined
      this.updated = undefined
      return
    }
    this.inserted += inserted
    this.updated += rows - inserted
  }

  /** Whether the table is new and nothing was inserted yet. */
  get isEmpty(): boolean {
    return this.isNew && this.inserted === 0 && this.updated === 0
  }

  insertedRows(rows: number): void {
    if (this.inserted !== undefined) this.inserted += rows
  }

  updatedRows(rows: number): void {
    if (this.updated !== undefined) this.updated += rows
  }
}

/** Counts what a commit does to the tables of a dataset, by name. */
export class CommitTally {
  readonly #tables = new Map<string, TableTally>()

  of(table: string): TableTally {
    const tally = this.#tables.get(table) ?? new TableTally()
    this.#tables.set(table, tally)
    return tally
  }

  /** What is counted of these tables. */
  changes(tables: Iterable<string>): ReadonlyMap<string, TableChanges> {
    return new Map([...tables].map(name => [name, { ...this.of(name) }]))
  }
}
