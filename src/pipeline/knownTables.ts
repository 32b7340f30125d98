/** What TypeScript knows of a source's tables. */

/**
 * Rows by table. A table whose name TypeScript knows is always there; any other name is open, if a name is spelt otherwise at
 * the destination, or if resources name their tables.
 */
export type RowCounts<Name extends string, Table extends string> =
  IsSpeltAlike<Name | Table> extends true
    ? Readonly<Record<Table, number>> &
        Readonly<Record<[Name] extends [Table] ? `${Table}__${string}` : string, number>>
    : Readonly<Record<string, number>>

/** Whether every naming convention leaves the names as they are. */
export type IsSpeltAlike<Name extends string> = [Name] extends [Lowercase<Name>]
  ? [Extract<Name, `${string}${' ' | '-' | '.' | '/' | '@' | '+' | '*' | '|' | ':'}${string}` | `${string}_`>] extends [
      never,
    ]
    ? true
    : false
  : false
