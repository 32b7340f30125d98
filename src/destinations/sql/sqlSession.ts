import type { InspectedColumn, TypeName } from '../../model/destination.js'
import type { ReadonlyColumn } from '../../schema/schemaTypes.js'

/** A value bound to `$1`, `$2`, … */
export type SqlValue = null | boolean | number | bigint | string

/** What the shared statements need of an engine: a session inside one open transaction, and the dataset's names. */
export interface SqlSession {
  readonly dialect: Dialect
  /** Full, quoted name of a table of the dataset. */
  table(name: string): string
  /** Makes sure that the dataset exists. */
  createDataset(): Promise<void>
  /** Runs one statement; resolves to the number of rows it changed. */
  run(sql: string, values?: readonly SqlValue[]): Promise<number>
  /** Rows of a query as arrays; integers may come as number or bigint. */
  rows(sql: string, values?: readonly SqlValue[]): Promise<readonly (readonly unknown[])[]>
  /** Tables of the dataset and their columns, as they are in this transaction. */
  inspect(): Promise<ReadonlyMap<string, ReadonlyMap<string, InspectedColumn>>>
}

/** The same session, telling of each statement before it runs. */
export function toldSession(session: SqlSession, onStatement: ((sql: string) => void) | undefined): SqlSession {
  if (onStatement === undefined) return session
  return {
    ...session,
    async run(sql, values) {
      onStatement(sql)
      return await session.run(sql, values)
    },
    async rows(sql, values) {
      onStatement(sql)
      return await session.rows(sql, values)
    },
  }
}

/** Whether a query has a row. */
export async function hasRow(session: SqlSession, query: string): Promise<boolean> {
  return (await session.rows(`${query} LIMIT 1`)).length > 0
}

/** The number that a query of one row and one column gives. */
export async function numberFrom(session: SqlSession, query: string, values?: readonly SqlValue[]): Promise<number> {
  return Number((await session.rows(query, values))[0]?.[0] ?? 0)
}

/** The staged rows of one table, as something to select from. */
export interface StagedTable {
  /**
   * Follows FROM and is given an alias there, which not every engine does without; has every column of the schema under
   * its own name, with its type in the dataset.
   */
  readonly relation: string
  /** Columns that arrived; the others are null in every row. */
  readonly columns: ReadonlySet<string>
  /** A column of `relation` that rises in the order of arrival and names a row. */
  readonly ordinal: string
}

/** How an engine spells SQL, as data. Statements are built from these and from nothing else that is the engine's. */
export interface Dialect {
  /** Quotes a name; any name is allowed. */
  readonly identifier: (name: string) => string
  readonly typeName: TypeName
  /** What a new table says, behind its type, of how a column is kept; empty where the engine decides. */
  readonly storage: (column: ReadonlyColumn) => string
  /** A point of time as a literal: with zone an instant, without one the same moment's UTC clock. */
  readonly timestamp: (microseconds: bigint, timezone: boolean) => string
  /** The name under which a temporary table is read, already quoted. */
  readonly temporary: (name: string) => string
  /** A condition that two values are equal or both null, in the form that the engine can join by hash. */
  readonly same: (left: string, right: string) => string
  /** Names that differ only by case are one name. */
  readonly caseSensitive: boolean
  /** `ALTER TABLE … ADD COLUMN a …, ADD COLUMN b …` in one statement. */
  readonly addsManyColumns: boolean
}

/** Double quotes, doubled inside: standard SQL. */
export function doubleQuoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** Single quotes, doubled inside: standard SQL. Backslashes have no meaning. */
export function textLiteral(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}
