import { parseJson } from '../../json/parse.js'
import type { QueryBatch, RowValue, SqlQuery } from '../../model/destination.js'
import { QueryError } from '../../model/errors.js'
import { distinctNames } from '../sql/ddl.js'
import { exactTime } from '../sql/rows.js'
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
  statement: SqlQuery,
): AsyncGenerator<QueryBatch> {
  let readers: readonly ((text: string) => RowValue)[] | undefined
  for await (const { columns, rows } of queryTexts(client, dataset, statement)) {
    readers ??= columns.map(({ type }) => readerOf(type, statement.exactTimes ?? false))
    const read = readers
    yield {
      columns,
      rows: rows.map(row => row.map((text, index) => (text === null ? null : read[index]!(text)))), // one a column
    }
  }
}

/** DuckDB's names of the types that it writes into Parquet files. All others are texts. */
const PARQUET_TYPES: Readonly<Record<string, string>> = {
  bigint: 'BIGINT',
  integer: 'INTEGER',
  smallint: 'SMALLINT',
  boolean: 'BOOLEAN',
  'double precision': 'DOUBLE',
  real: 'FLOAT',
  numeric: 'DECIMAL',
  'timestamp with time zone': 'TIMESTAMPTZ',
  'timestamp without time zone': 'TIMESTAMP',
  date: 'DATE',
  'time without time zone': 'TIME',
  uuid: 'UUID',
  json: 'JSON',
  jsonb: 'JSON',
  bytea: 'BLOB',
}

/** Writes the rows of a statement that {@link queryRows} would run into a Parquet file, and gives their number. */
export async function queryToParquet(
  client: PostgresClient,
  dataset: string,
  statement: SqlQuery,
  path: string,
): Promise<number> {
  const { textsToParquet } = await import('../duckdb/copyToParquet.js')
  return await textsToParquet(queryTexts(client, dataset, statement), path, type => PARQUET_TYPES[type])
}

async function* queryTexts(
  client: PostgresClient,
  dataset: string,
  { sql, values = [], batchRows = DEFAULT_BATCH_ROWS }: SqlQuery,
): AsyncGenerator<TextBatch> {
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
  try {
    const path = postgresDialect.identifier(dataset)
    await client.query(`SELECT pg_catalog.set_config('search_path', $1, true)`, [path])
    const bound = values.map(value => boundValue<null | boolean | number | bigint | string>(value))
    await refuseActions(client, sql)
    const isDeclarable = !SHOWS.test(sql)
    if (isDeclarable) await client.query(`DECLARE _sluice_rows NO SCROLL CURSOR FOR ${sql}`, bound)
    let described: QueryBatch['columns'] | undefined
    for (;;) {
      const { columns, rows } = await (isDeclarable
        ? client.query(`FETCH ${Math.max(1, Math.trunc(batchRows))} FROM _sluice_rows`)
        : client.query(sql, bound))
      const isFirst = described === undefined
      described ??= await describe(client, columns)
      if (rows.length > 0 || isFirst) yield { columns: described, rows }
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

/**
 * Fails if the statement names a function of the server that acts: ends a session, takes a lock, reads a file, drops a
 * slot. No transaction refuses these. Postgres calls them volatile, as it does a few that are harmless. Functions in
 * SQL and PL/pgSQL are bound to the transaction.
 */
async function refuseActions(client: PostgresClient, sql: string): Promise<void> {
  // Escapes could spell any name.
  if (/\bu&"/i.test(sql)) throw new QueryError('names are written without U&"…"')
  const called = [...sql.toLowerCase().matchAll(CALLED)].map(([, name = '']) => name)
  const { rows } = await client.query(ACTING, [`{${called.filter(name => !HARMLESS.test(name)).join(',')}}`])
  const [acting] = rows
  if (acting !== undefined) throw new QueryError(`a query only reads, and ${acting[0]}() acts on the server`)
}

/** Names before a parenthesis, or before a comment, behind which there may be one. */
const CALLED = /([\p{L}_][\p{L}\p{N}_$]*)"?\s*(?:\(|\/\*|--)/gu

const ACTING = `SELECT p.proname FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
WHERE p.proname = ANY($1::text[]) AND p.provolatile = 'v' AND l.lanname IN ('c', 'internal') LIMIT 1`

const HARMLESS =
  /^(random|random_normal|array_sample|array_shuffle|setseed|bernoulli|system|clock_timestamp|timeofday|gen_random_uuid|uuid_generate_v\w+|uuidv[47]|current_query|currval|lastval|pg_sleep|pg_(relation|table|indexes|total_relation|database|tablespace)_size|pg_is_in_recovery|pg_blocking_pids|pg_partition_\w+)$/

/** Rows as the server sends them. */
interface TextBatch {
  readonly columns: QueryBatch['columns']
  readonly rows: readonly (readonly (string | null)[])[]
}

async function describe(client: PostgresClient, columns: readonly ResultColumn[]): Promise<QueryBatch['columns']> {
  const { rows } = await client.query(
    'SELECT pg_catalog.format_type(t.oid, NULL) FROM unnest($1::oid[]) WITH ORDINALITY AS t(oid, position) ORDER BY t.position',
    [`{${columns.map(({ typeId }) => typeId).join(',')}}`],
  )
  const types = rows.map(([type]) => String(type))
  return distinctNames(columns.map(({ name }) => name)).map((name, index) => ({ name, type: types[index] ?? '' }))
}

function readerOf(type: string, exactTimes: boolean): (text: string) => RowValue {
  if (type === 'json' || type === 'jsonb') return text => parseJson(text)
  const convert = converterOf(type)
  return text => {
    const value = convert(text)
    if (!(value instanceof Date)) return value
    // Dates that JavaScript does not have, such as infinity.
    if (Number.isNaN(value.getTime())) return text
    return exactTimes ? exactTime(value, text) : value
  }
}

/** Failures of the statement itself, with the server's words and the place in the statement. Others stay as they are. */
function queryError(error: unknown, sql: string): unknown {
  const { code, message, hint } = error as { readonly [key in 'code' | 'message' | 'hint']?: unknown }
  if (code === '25006') {
    return new QueryError('a query only reads, and this statement would write', { cause: error })
  }
  const isUnbound = code === '08P01' && /^bind message supplies/.test(String(message))
  // Data and cardinality, wrong syntax and unknown names, features that are not there, limits, states, raised by functions.
  if (typeof code !== 'string' || !(isUnbound || /^(0A|2[124F6]|34|39|3[DF]|42(?!501)|44|54|55000|P0)/.test(code))) {
    return error
  }
  if (isUnbound)
    return new QueryError('the statement and the values differ in the number of parameters', { cause: error })
  const advice =
    code === '42601' && !READS.test(sql) ? `SELECT, WITH, VALUES, TABLE, EXPLAIN and SHOW are possible` : hint
  return new QueryError(`${String(message)}${typeof advice === 'string' ? `. ${advice}` : ''}`, { cause: error })
}
