import { DataError } from '../../model/errors.js'
import type { Chain, ChainTable } from './chain.js'
import { requiredRowKey } from './chain.js'
import { keepTest } from './rows.js'
import { hasRow, type SqlSession } from './sqlSession.js'

/** Conditions on the staged rows `s` of nested tables, by table. */
export interface KeptNested {
  readonly conditions: ReadonlyMap<ChainTable, string>
  /** Temporary tables for the caller to drop. */
  readonly tables: readonly string[]
}

/**
 * Finds the nested rows of the records that stay. It is needed if records with one key arrived more than once and row
 * ids follow from the key: rows of different records then share an id. Each arrival's nested rows start again at index
 * 0. If each arrival brought some, the first group belongs to the first arrival, and so on. If only some did, nothing
 * tells which, and a DataError `primary_key` ends the load. `kept` is a table with the `ordinal` and `row_key` of the
 * root rows that stay.
 */
export async function keepNested(session: SqlSession, chain: Chain, kept: string): Promise<KeptNested> {
  const { temporary, identifier } = session.dialect
  const conditions = new Map<ChainTable, string>()
  const tables: string[] = []
  const keptOf = new Map<ChainTable, string>([[chain.root, kept]])
  for (const table of chain.nested) {
    const { parent } = table
    const parents = parent === undefined ? undefined : keptOf.get(parent)
    if (table.staged === undefined || parent?.staged === undefined || parents === undefined) continue
    const stays = parent === chain.root ? keepTest(session, chain, 'n') : undefined
    const level = { table, parent, parents, stays }
    await refuseMixed(session, level)
    const name = `_sluice_kept_${tables.length}`
    await session.run(`CREATE TEMPORARY TABLE ${identifier(name)} AS ${keptRows(session, level)}`)
    tables.push(name)
    keptOf.set(table, temporary(name))
    conditions.set(table, `s.${identifier(table.staged.ordinal)} IN (SELECT ordinal FROM ${temporary(name)})`)
  }
  return { conditions, tables }
}

interface Level {
  readonly table: ChainTable
  readonly parent: ChainTable
  /** The parent's rows that stay. */
  readonly parents: string
  /** Condition on a row `n` of the parent: it is not a deletion. */
  readonly stays: string | undefined
}

function keptRows(session: SqlSession, { table, parent, parents, stays }: Level): string {
  return `
    SELECT g.ordinal, g.row_key FROM (${groups(session, table)}) AS g
    JOIN (${arrivals(session, parent, stays)}) AS a
      ON a.row_key = g.parent_key AND g.number = CASE WHEN g.total = a.total THEN a.number ELSE a.live_number END
    JOIN ${parents} AS k ON k.ordinal = a.ordinal`
}

/** Rows with the number of their group under one parent, and the number of groups. */
function groups({ dialect }: SqlSession, table: ChainTable): string {
  const { parent, index, ordinal, key } = columnsOf(table)
  const [p, i, o, k] = [parent, index, ordinal, key].map(name => dialect.identifier(name))
  const begins = `sum(CASE WHEN n.${i} = 0 THEN 1 ELSE 0 END) OVER (PARTITION BY n.${p}`
  return `
    SELECT n.${o} AS ordinal, n.${k} AS row_key, n.${p} AS parent_key,
      ${begins} ORDER BY n.${o} ROWS UNBOUNDED PRECEDING) AS number,
      ${begins}) AS total
    FROM ${table.staged?.relation} AS n`
}

/**
 * Rows with their number among the rows of one id, and the total. Also the same without deletions, which mostly come
 * without nested rows.
 */
function arrivals({ dialect }: SqlSession, table: ChainTable, stays = '1 = 1'): string {
  const [o, k] = [table.staged?.ordinal ?? '', requiredRowKey(table)].map(name => dialect.identifier(name))
  const live = `sum(CASE WHEN ${stays} THEN 1 ELSE 0 END) OVER (PARTITION BY n.${k}`
  return `
    SELECT n.${o} AS ordinal, n.${k} AS row_key,
      row_number() OVER (PARTITION BY n.${k} ORDER BY n.${o}) AS number,
      count(*) OVER (PARTITION BY n.${k}) AS total,
      CASE WHEN ${stays} THEN ${live} ORDER BY n.${o} ROWS UNBOUNDED PRECEDING) END AS live_number,
      ${live}) AS live_total
    FROM ${table.staged?.relation} AS n`
}

async function refuseMixed(session: SqlSession, { table, parent, parents, stays }: Level): Promise<void> {
  const mixed = `
    SELECT 1 FROM (${groups(session, table)}) AS g
    JOIN (${arrivals(session, parent, stays)}) AS a ON a.row_key = g.parent_key
    WHERE g.total <> a.total AND g.total <> a.live_total AND g.parent_key IN (SELECT row_key FROM ${parents})`
  if (!(await hasRow(session, mixed))) return
  throw new DataError(
    'primary_key',
    `Records with one primary key arrived more than once for table ${parent.name}, some with rows for ${table.name} and some without, and this merge strategy cannot tell which rows belong to the last one. Load with the strategy delete-insert, or see that each key comes once`,
    { path: table.name },
  )
}

function columnsOf(table: ChainTable) {
  const index = [...table.schema.columns.keys()].find(name => /dlt_list_idx$/i.test(name)) ?? '_dlt_list_idx'
  return { parent: table.parentKey ?? '', index, ordinal: table.staged?.ordinal ?? '', key: requiredRowKey(table) }
}
