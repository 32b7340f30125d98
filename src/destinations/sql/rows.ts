import type { Chain, ChainTable } from './chain.js'
import { hasRow, type SqlSession, type StagedTable } from './sqlSession.js'

/** The time in ISO form, with all the digits of a second that the engine's text of it has: at least three. */
export function exactTime(time: Date, text: string): string {
  const [, digits = ''] = /\.(\d+)/.exec(text) ?? []
  return time.toISOString().replace(/\.\d+Z$/, `.${digits.padEnd(3, '0')}Z`)
}

/** `d."a" = s."a" AND …`. Nullable columns match null with null. */
export function sameKey(
  session: SqlSession,
  table: ChainTable,
  columns: readonly string[],
  left: string,
  right: string,
): string {
  const { identifier, same } = session.dialect
  return columns
    .map(name => {
      const strict = table.columns.get(name)?.nullable === false
      const sides = [`${left}.${identifier(name)}`, `${right}.${identifier(name)}`] as const
      return strict ? `${sides[0]} = ${sides[1]}` : same(...sides)
    })
    .join(' AND ')
}

/** The distinct keys of the staged rows, as something to join with. */
export function stagedKeys(session: SqlSession, staged: StagedTable, columns: readonly string[]): string {
  return `(SELECT DISTINCT ${columns.map(session.dialect.identifier).join(', ')} FROM ${staged.relation} AS r)`
}

export async function hasDuplicates(
  session: SqlSession,
  staged: StagedTable,
  columns: readonly string[],
): Promise<boolean> {
  if (columns.some(name => staged.distinct?.has(name) === true)) return false
  const key = columns.map(session.dialect.identifier).join(', ')
  return await hasRow(session, `SELECT 1 FROM ${staged.relation} AS r GROUP BY ${key} HAVING count(*) > 1`)
}

/** Condition for a staged root row that is not a deletion. Undefined if there are no deletions. */
export function keepTest(session: SqlSession, chain: Chain, alias: string): string | undefined {
  const { hardDelete, root } = chain
  if (hardDelete === undefined || root.staged?.columns.has(hardDelete.name) !== true) return undefined
  const column = `${alias}.${session.dialect.identifier(hardDelete.name)}`
  return hardDelete.data_type === 'bool' ? `(${column} IS NULL OR NOT ${column})` : `${column} IS NULL`
}

/** Deletes the rows whose keys arrived. Resolves to their number. */
export async function deleteByKey(
  session: SqlSession,
  table: ChainTable,
  staged: StagedTable,
  key: readonly string[],
): Promise<number> {
  return await session.run(
    `DELETE FROM ${table.target} AS d USING ${stagedKeys(session, staged, key)} AS s WHERE ${sameKey(session, table, key, 'd', 's')}`,
  )
}

/** Inserts the staged rows that meet the condition. Columns that did not arrive are null. */
export async function insertStaged(
  session: SqlSession,
  table: ChainTable,
  where?: string | undefined,
  constants: readonly (readonly [column: string, expression: string])[] = [],
): Promise<void> {
  if (table.staged === undefined) return
  const { identifier } = session.dialect
  const fixed = new Map(constants)
  const columns = insertable(table).filter(name => !fixed.has(name))
  const names = [...columns, ...fixed.keys()].map(identifier).join(', ')
  const values = [...columns.map(name => `s.${identifier(name)}`), ...fixed.values()].join(', ')
  const condition = where === undefined ? '' : ` WHERE ${where}`
  const rows = await session.run(
    `INSERT INTO ${table.target} (${names}) SELECT ${values} FROM ${table.staged.relation} AS s${condition}`,
  )
  table.tally.insertedRows(rows)
}

/** Staged columns in the order of the schema. */
export function insertable(table: ChainTable): string[] {
  return [...table.schema.columns.keys()].filter(name => table.staged?.columns.has(name) === true)
}

/** Condition that keeps the last arrived of the staged rows that are equal in these columns. */
export function lastOfItsKey(session: SqlSession, table: ChainTable, key: readonly string[], alias: string): string {
  const { identifier } = session.dialect
  const ordinal = identifier(table.staged?.ordinal ?? '')
  return `${alias}.${ordinal} IN (SELECT max(${ordinal}) FROM ${table.staged?.relation} AS r GROUP BY ${key.map(identifier).join(', ')})`
}
