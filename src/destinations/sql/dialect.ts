import type { TypeName } from '../../core/destination.js'
import type { ReadonlyColumn } from '../../core/schema.js'

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
