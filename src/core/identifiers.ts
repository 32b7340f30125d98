/** How the names of tables and columns are made from keys of the data: dlt's naming conventions. */
export type NamingName = 'snake_case' | 'direct' | 'duck_case' | 'sql_cs_v1' | 'sql_ci_v1'

/**
 * A naming convention with the length limit of a destination. Results are memoised; every function is pure. Names that
 * are empty or blank throw a RangeError: callers give them another name first (`_empty`).
 */
export interface Naming {
  readonly name: NamingName
  /** Joins the fragments of a path: `__`, for `direct` `▶`. */
  readonly separator: string
  /** Whether names that differ only by case are different names. */
  readonly caseSensitive: boolean
  /** Longest result in code points; longer ones are shortened around a tag. */
  readonly maxLength: number | undefined
  /** One key as one name; separators in it are not kept. */
  identifier(raw: string): string
  /** One key as the name of a table. */
  tableIdentifier(raw: string): string
  /** Fragments between separators, each an identifier; may be empty when every fragment is blank. */
  path(raw: string): string
  /** As `path`, fragments as table identifiers. */
  tablesPath(raw: string): string
  /** Joins normalised parts, leaving out blank ones; nothing is normalised or shortened. */
  joinPath(...normalised: readonly string[]): string
  /** Joins normalised parts and shortens the whole. */
  shortenFragments(...normalised: readonly string[]): string
}

export function naming(_name: NamingName, _maxLength?: number): Naming {
  throw new Error('not written yet')
}

/** The dataset's name at the destination: a table identifier. */
export function datasetName(raw: string, convention: Naming): string {
  return convention.tableIdentifier(raw)
}
