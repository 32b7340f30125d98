import { parseJson } from '../../json/parse.js'
import type { QueryBatch, RowValue, SqlQuery } from '../../model/destination.js'
import { QueryError } from '../../model/errors.js'
import { distinctNames } from '../sql/ddl.js'
import type { PostgresClient, ResultColumn } from './postgresClient.js'
import { postgresDialect } from './postgresDialect.js'
import { boundValue, converterOf, DEFAULT_BATCH_ROWS } from './postgresRead.js'

/**
 * Runs one statement that only reads, see {@link SqlQuery}. The transaction only reads. The statement goes alone in a
 * message of its own, so that no second one can end that transaction.
 */
export async function* queryRows(
  client: PostgresClient,
  dataset: string,
  { sql, values = [], batchRows = DEFAULT_BATCH_ROWS }: SqlQuery,
): AsyncGenerator<QueryBatch> {
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
  try {
    const path = postgresDialect.identifier(dataset)
    await client.query(`SELECT pg_catalog.set_config('search_path', $1, true)`, [path])
    const bound = values.map(value => boundValue<null | boolean | number | bigint | string>(value))
    const isDeclarable = !SHOWS.test(sql)
    if (isDeclarable) await client.query(`DECLARE _sluice_rows NO SCROLL CURSOR FOR ${sql}`, bound)
    let described: Described | undefined
    for (;;) {
      const { columns, rows } = await (isDeclarable
        ? client.query(`FETCH ${Math.max(1, Math.trunc(batchRows))} FROM _sluice_rows`)
        : client.query(sql, bound))
      const isFirst = described === undefined
      described ??= await describe(client, columns)
      const { readers } = described
      if (rows.length > 0 || isFirst) {
        yield {
          columns: described.columns,
          rows: rows.map(row => row.map((text, index) => (text === null ? null : readers[index]!(text)))), // one a column
        }
      }
      if (!isDeclarable || rows.length < batchRows) return
    }
  } catch (error) {
    throw queryError(error, sql)
  } finally {
    await client.rollBack()
  }
}

const BEFORE = String.raw`^(\s|--[^\n]*\n|/\*.*?\*/|\()*`
const READS = new RegExp(`${BEFORE}(select|with|values|table|explain|show)\\b`, 'is')
/** These give rows, and Postgres has no cursors for them. */
const SHOWS = new RegExp(`${BEFORE}(explain|show)\\b`, 'is')

interface Described {
  readonly columns: QueryBatch['columns']
  readonly readers: readonly ((text: string) => RowValue)[]
}

async function describe(client: PostgresClient, columns: readonly ResultColumn[]): Promise<Described> {
  const { rows } = await client.query(
    'SELECT pg_catalog.format_type(t.oid, NULL) FROM unnest($1::oid[]) WITH ORDINALITY AS t(oid, position) ORDER BY t.position',
    [`{${columns.map(({ typeId }) => typeId).join(',')}}`],
  )
  const types = rows.map(([type]) => String(type))
  const names = distinctNames(columns.map(({ name }) => name))
  return { columns: names.map((name, index) => ({ name, type: types[index] ?? '' })), readers: types.map(readerOf) }
}

function readerOf(type: string): (text: string) => RowValue {
  if (type === 'json' || type === 'jsonb') return text => parseJson(text)
  const convert = converterOf(type)
  return text => {
    const value = convert(text)
    // Dates that JavaScript does not have, such as infinity.
    return value instanceof Date && Number.isNaN(value.getTime()) ? text : value
  }
}

/** Failures of the statement itself, with the server's words and the place in the statement. Others stay as they are. */
function queryError(error: unknown, sql: string): unknown {
  const { code, message, hint } = error as { readonly [key in 'code' | 'message' | 'hint']?: unknown }
  if (code === '25006') {
    return new QueryError('a query only reads, and this statement would write', { cause: error })
  }
  // Data exceptions, wrong syntax and unknown names, features that are not there.
  if (typeof code !== 'string' || !/^(22|42(?!501)|0A|26|34)/.test(code)) return error
  const advice =
    code === '42601' && !READS.test(sql) ? `SELECT, WITH, VALUES, TABLE, EXPLAIN and SHOW are possible` : hint
  return new QueryError(`${String(message)}${typeof advice === 'string' ? `. ${advice}` : ''}`, { cause: error })
}
