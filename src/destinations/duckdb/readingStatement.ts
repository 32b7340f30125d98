import type { DuckDBConnection, DuckDBPreparedStatement } from '@duckdb/node-api'
import { parseJson } from '../../json/parse.js'
import type { JsonValue } from '../../json/value.js'
import { QueryError } from '../../model/errors.js'
import { driver } from './database.js'

/**
 * The one statement of `sql`, prepared, if it reads tables and does nothing else. Fails with a QueryError otherwise. A
 * transaction that only reads is not enough: COPY, EXPORT and some table functions write files, and DuckDB begins some
 * of that while it prepares a statement. So what the statement is, is known before.
 */
export async function readingStatement(connection: DuckDBConnection, sql: string): Promise<DuckDBPreparedStatement> {
  const statements = sql.trim() === '' ? undefined : await connection.extractStatements(sql).catch(withoutStatement)
  if (statements === undefined || statements.count !== 1) {
    const hint = /^\s*pivot\b/i.test(sql) ? '. PIVOT needs its values: PIVOT … ON column IN (…)' : ''
    throw new QueryError(`expected one statement that reads, not ${statements?.count ?? 0}${hint}`)
  }
  // EXPLAIN ANALYZE runs the statement behind it.
  const selected = sql.replace(EXPLAINS, '')
  const tree = await treeOf(connection, selected)
  if (tree === undefined) throw otherStatement(sql)
  const sources = sourcesIn(tree)
  await refuseFunctions(connection, sources)
  await refuseFiles(connection, sources)
  const statement = await statements.prepare(0)
  const { StatementType } = driver()
  const type = statement.statementType
  if (type !== StatementType.SELECT && type !== StatementType.EXPLAIN) throw otherStatement(sql)
  return statement
}

function otherStatement(sql: string): QueryError {
  const [, word = 'another'] = FIRST_WORD.exec(sql) ?? []
  return new QueryError(
    `a query only reads, and this statement is ${word.toUpperCase()}; SELECT, FROM, WITH, DESCRIBE, SHOW, SUMMARIZE and EXPLAIN of these are possible`,
  )
}

/** What is no statement, such as a comment alone, is an error without a message of its own. */
function withoutStatement(error: unknown): undefined {
  if (/native callback/.test(String(error))) return undefined
  throw error
}

const BEFORE = String.raw`^(?:\s|;|\(|--[^\n]*\n|/\*.*?\*/)*`
const FIRST_WORD = new RegExp(`${BEFORE}(\\w+)`, 's')
const EXPLAINS = new RegExp(
  String.raw`${BEFORE}explain\b(?:\s+analy[sz]e\b)?(?:\s*\((?!\s*(?:select|from|with|values)\b)[^()]*\))?`,
  'is',
)

/** The statement as DuckDB has parsed it. Undefined for all but a SELECT, in its many forms. */
async function treeOf(connection: DuckDBConnection, sql: string): Promise<JsonValue | undefined> {
  const reader = await connection.runAndReadAll('SELECT json_serialize_sql($1::VARCHAR, skip_default := true)', [sql])
  const tree = parseJson(String(reader.getRows()[0]?.[0]))
  const { error, statements } = tree as { readonly error?: JsonValue; readonly statements?: readonly JsonValue[] }
  return error === false && statements?.length === 1 ? tree : undefined
}

interface Sources {
  /** Names of table functions. */
  readonly functions: ReadonlySet<string>
  /** Names of tables, each with what stands before it. */
  readonly tables: readonly (readonly string[])[]
}

/** Where a statement takes its rows from, in all of its parts. */
function sourcesIn(tree: JsonValue): Sources {
  const functions = new Set<string>()
  const tables: (readonly string[])[] = []
  const left: unknown[] = [tree]
  for (let node = left.pop(); node !== undefined; node = left.pop()) {
    const { type, function: called, catalog_name = '', schema_name = '', table_name = '' } = node as SyntaxNode
    if (type === 'TABLE_FUNCTION') functions.add(String(called?.function_name).toLowerCase())
    if (type === 'BASE_TABLE') {
      tables.push([catalog_name, schema_name, table_name].filter(Boolean).map(name => name.toLowerCase()))
    }
    left.push(...Object.values(node as object).filter(child => typeof child === 'object' && child !== null))
  }
  return { functions, tables }
}

interface SyntaxNode {
  readonly type?: string
  readonly function?: { readonly function_name?: string }
  readonly catalog_name?: string
  readonly schema_name?: string
  readonly table_name?: string
}

/** They read nothing but their arguments and what the database says about itself. */
const READERS =
  /^(range|generate_series|unnest|repeat|repeat_row|summary|json_each|json_tree|histogram|histogram_values|icu_calendar_names|pg_timezone_names|sql_auto_complete|test_all_types|test_vector_types|duckdb_\w+|pragma_\w+|ducklake_(snapshots|table_info|table_changes|table_insertions|table_deletions|list_files|options))$/

async function refuseFunctions(connection: DuckDBConnection, { functions }: Sources): Promise<void> {
  const others = [...functions].filter(name => !READERS.test(name))
  if (others.length === 0) return
  const reader = await connection.runAndReadAll(
    "SELECT lower(function_name) FROM duckdb_functions() WHERE function_type = 'table_macro' AND NOT internal",
  )
  const macros = new Set(reader.getRows().map(([name]) => String(name)))
  const refused = others.find(name => !macros.has(name))
  if (refused !== undefined) throw new QueryError(`a query only reads tables of the database; ${refused}() does more`)
}

/** DuckDB takes a name that no table has for the file of that name. */
async function refuseFiles(connection: DuckDBConnection, { tables }: Sources): Promise<void> {
  const doubtful = tables.filter(names => /[./\\:]/.test(names.join('.')))
  if (doubtful.length === 0) return
  const reader = await connection.runAndReadAll(
    `SELECT lower(database_name), lower(schema_name), lower(table_name) FROM duckdb_tables()
    UNION ALL SELECT lower(database_name), lower(schema_name), lower(view_name) FROM duckdb_views()`,
  )
  const existing = reader.getRows().map(row => row.map(String))
  const isThere = (names: readonly string[]): boolean =>
    existing.some(
      ([database, schema, table]) =>
        names.at(-1) === table && names.slice(0, -1).every(name => name === schema || name === database),
    )
  const absent = doubtful.find(names => !isThere(names))
  if (absent !== undefined) {
    throw new QueryError(`a query only reads tables of the database, and there is no table ${absent.join('.')}`)
  }
}
