import type { ChainTable } from './chain.js'
import type { PlannedChain } from './merge/deleteRows.js'
import type { SqlSession } from './sqlSession.js'

/** A query of so many tables is planned in a quarter of the time that as many queries take. */
const TABLES_A_STATEMENT = 100

/**
 * The rows of tables, for engines that count them without reading them. One statement counts many: where tables have few
 * rows, planning a statement is all that it costs.
 */
export class CountedRows {
  readonly #session: SqlSession
  /** By full name. */
  readonly #before: ReadonlyMap<string, number>
  readonly #notes = new Map<ChainTable, (rows: number) => void>()

  private constructor(session: SqlSession, before: ReadonlyMap<string, number>) {
    this.#session = session
    this.#before = before
  }

  /** Counts the root tables of these chains, before the transaction changes any. */
  static async before(session: SqlSession, chains: Iterable<PlannedChain>): Promise<CountedRows> {
    const isCounted = session.dialect.cheapUpdate !== undefined
    const roots = isCounted ? [...chains].filter(isMerged).map(({ chain }) => chain.root) : []
    return new CountedRows(session, await count(session, roots))
  }

  /** The rows of a table that has changed only by its own merge, if at all. */
  async of(table: ChainTable): Promise<number> {
    return this.#before.get(table.target) ?? (await count(this.#session, [table])).get(table.target) ?? 0
  }

  /** Counts the table in {@link settle}, and passes the number on. */
  later(table: ChainTable, note: (rows: number) => void): void {
    this.#notes.set(table, note)
  }

  /** Call it once all merges are done, and before anything else changes their tables. */
  async settle(): Promise<void> {
    const rows = await count(this.#session, [...this.#notes.keys()])
    for (const [table, note] of this.#notes) note(rows.get(table.target) ?? 0)
  }
}

/** Whether the merge finds the table as it is now. */
function isMerged({ chain: { root }, table }: PlannedChain): boolean {
  return (
    table.disposition === 'merge' && table.deletes === undefined && root.staged !== undefined && !root.tally.isEmpty
  )
}

async function count(session: SqlSession, tables: readonly ChainTable[]): Promise<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>()
  for (let from = 0; from < tables.length; from += TABLES_A_STATEMENT) {
    const some = tables.slice(from, from + TABLES_A_STATEMENT)
    const queries = some.map(
      ({ target }, place) => `SELECT ${place} AS place, c.* FROM (${session.dialect.changeCounts(target)}) AS c`,
    )
    for (const [place, rows] of await session.rows(queries.join('\nUNION ALL\n'))) {
      const table = some[Number(place)]
      if (table !== undefined) counts.set(table.target, Number(rows))
    }
  }
  return counts
}
