import type { InspectedColumn, OnStatement, TypeName } from '../../model/destination.js'
import type { ReadonlyColumn } from '../../schema/schemaTypes.js'

/** A value bound to `$1`, `$2`, … */
export type SqlValue = null | boolean | number | bigint | string

/** What the shared statements need from an engine: a session in one open transaction, and the dataset's names. */
export interface SqlSession {
  readonly dialect: Dialect
  /** Full, quoted name of a table of the dataset. */
  table(name: string): string
  /** Makes sure that the dataset exists. */
  createDataset(): Promise<void>
  /** Runs one statement; resolves to the number of rows it changed. */
  run(sql: string, values?: readonly SqlValue[]): Promise<number>
  /** Rows of a query as arrays. Integers may be number or bigint. */
  rows(sql: string, values?: readonly SqlValue[]): Promise<readonly (readonly unknown[])[]>
  /** Tables of the dataset and their columns, as this transaction sees them. */
  inspect(): Promise<ReadonlyMap<string, ReadonlyMap<string, InspectedColumn>>>
}

/** The same session, but it reports each statement before it runs. */
export function toldSession(session: SqlSession, onStatement: OnStatement | undefined): SqlSession {
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

/** Whether a query returns a row. */
export async function hasRow(session: SqlSession, query: string): Promise<boolean> {
  return (await session.rows(`${query} LIMIT 1`)).length > 0
}

/** The number that a query of one row and one column returns. */
export async function numberFrom(session: SqlSession, query: string, values?: readonly SqlValue[]): Promise<number> {
  return Number((await session.rows(query, values))[0]?.[0] ?? 0)
}

/** The staged rows of one table, as something to select from. */
export interface StagedTable {
  /**
   * Goes after FROM, with an alias, which some engines require. It has every column of the schema under its own name,
   * with its type in the dataset.
   */
  readonly relation: string
  /** Columns that arrived. The others are null in every row. */
  readonly columns: ReadonlySet<string>
  /** A column of `relation` that identifies a row and increases in order of arrival. */
  readonly ordinal: string
  /** How much there is, if the staging knows. */
  readonly size?: StagedSize | undefined
  /** Columns in which every row certainly has another value, and none is null. There may be more of them. */
  readonly distinct?: ReadonlySet<string> | undefined
  /** `rootRuns` of all batches, if they had them. */
  readonly rootRuns?: StagedTable | undefined
}

interface StagedSize {
  readonly rows: number
  readonly bytes: number
}

/** How an engine spells SQL, as data. Statements use nothing else that is specific to an engine. */
export interface Dialect {
  /** Quotes a name; any name is allowed. */
  readonly identifier: (name: string) => string
  readonly typeName: TypeName
  /** Storage clause after the type of a column in a new table. Empty if the engine decides. */
  readonly storage: (column: ReadonlyColumn) => string
  /** A point of time as a literal. With zone it is an instant, without zone the same moment in UTC. */
  readonly timestamp: (microseconds: bigint, timezone: boolean) => string
  /** The name under which a temporary table is read, already quoted. */
  readonly temporary: (name: string) => string
  /** A condition that two values are equal or both null, in a form that the engine can hash-join. */
  readonly same: (left: string, right: string) => string
  /**
   * A query of two numbers: the first grows by one with each row that this transaction inserts into the table, whose
   * name is quoted, the second with each that it updates. Null if the engine does not count them. It reads no rows.
   */
  readonly changeCounts: (table: string) => string
  /** False: names that differ only by case are one name. */
  readonly caseSensitive: boolean
  /** `ALTER TABLE … ADD COLUMN a …, ADD COLUMN b …` in one statement. */
  readonly addsManyColumns: boolean
  /** `ALTER COLUMN … SET NOT NULL` for a new column of a table without rows. */
  readonly setsNotNull: boolean
  /**
   * Up to so many rows in a table, and so many staged bytes, a `delete-insert` updates rows where they are, because that
   * is cheaper. Such an engine counts the rows of a table without reading them. Undefined: it never is.
   */
  readonly cheapUpdate: StagedSize | undefined
  /**
   * Two commits to one dataset may overlap, and each would not see the rows of the other. So each changes one row, and
   * the engine refuses the second one.
   */
  readonly letsCommitsOverlap: boolean
}

/** Double quotes, doubled inside: standard SQL. */
export function doubleQuoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** Single quotes, doubled inside: standard SQL. Backslashes have no meaning. */
export function textLiteral(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}
