import { rm } from 'node:fs/promises'
import type { DuckDBConnection, DuckDBValue } from '@duckdb/node-api'
import { distinctNames } from '../sql/ddl.js'
import { doubleQuoted, textLiteral } from '../sql/sqlSession.js'
import { driver } from './database.js'

/** DuckDB writes these into Parquet files as DOUBLE, without an offset, or in whole milliseconds. */
const INEXACT = /\b(U?HUGEINT|TIME WITH TIME ZONE|INTERVAL)\b/
const WIDE = /^U?HUGEINT$/

/**
 * Writes the rows of a statement into a Parquet file, and gives their number. No value changes: whole numbers beyond 64
 * bits are DECIMAL(38,0), or texts where one has more digits; what Parquet has no exact type for is text.
 */
export async function copyToParquet(
  connection: DuckDBConnection,
  sql: string,
  values: readonly DuckDBValue[],
  path: string,
): Promise<number> {
  const prepared = await connection.prepare(`SELECT * FROM (\n${sql}\n) AS given`)
  const columns = Array.from({ length: prepared.columnCount }, (_, index) => ({
    name: prepared.columnName(index),
    type: String(prepared.columnType(index)),
    place: `c${index}`,
  }))
  prepared.destroySync()
  const given = `(\n${sql}\n) AS given(${columns.map(({ place }) => place).join(', ')})`
  const wide = columns.filter(({ type }) => WIDE.test(type)).map(({ place }) => place)
  const tooLong = wide.length === 0 ? new Set() : await placesThatDoNotFit(connection, given, wide, values)
  const names = distinctNames(columns.map(({ name }) => name))
  const selected = columns.map(({ type, place }, index) => {
    const isDecimal = WIDE.test(type) && !tooLong.has(place)
    const exact = isDecimal ? `CAST(${place} AS DECIMAL(38, 0))` : `CAST(${place} AS VARCHAR)`
    return `${INEXACT.test(type) ? exact : place} AS ${doubleQuoted(names[index] ?? place)}`
  })
  const written = await connection.run(
    `COPY (SELECT ${selected.join(', ')} FROM ${given}) TO ${textLiteral(path)} (FORMAT parquet)`,
    [...values],
  )
  return written.rowsChanged
}

async function placesThatDoNotFit(
  connection: DuckDBConnection,
  given: string,
  places: readonly string[],
  values: readonly DuckDBValue[],
): Promise<ReadonlySet<string>> {
  const counts = places.map(place => `count(${place}) = count(TRY_CAST(${place} AS DECIMAL(38, 0)))`)
  const reader = await connection.runAndReadAll(`SELECT ${counts.join(', ')} FROM ${given}`, [...values])
  const [fit = []] = reader.getRows()
  return new Set(places.filter((_, index) => fit[index] === false))
}

/** Rows of another engine, each value as its text. */
export interface RowsOfTexts {
  readonly columns: readonly { readonly name: string; readonly type: string }[]
  readonly rows: readonly (readonly (string | null)[])[]
}

/**
 * Writes rows of another engine into a Parquet file, and gives their number. `typeOf` names the DuckDB type of a column's
 * type; a column that holds a value which is not of it is text, as is one without such a type. Memory is bounded: until all
 * rows are known they lie in a database beside the file.
 */
export async function textsToParquet(
  batches: AsyncIterable<RowsOfTexts>,
  path: string,
  typeOf: (type: string) => string | undefined,
): Promise<number> {
  const beside = `${path}.rows`
  const instance = await driver().DuckDBInstance.create(beside)
  try {
    const connection = await instance.connect()
    try {
      let columns: RowsOfTexts['columns'] | undefined
      for await (const batch of batches) {
        if (columns === undefined) {
          columns = batch.columns
          await connection.run(`CREATE TABLE given (${columns.map((_, index) => `c${index} VARCHAR`).join(', ')})`)
        }
        const appender = await connection.createAppender('given')
        for (const row of batch.rows) {
          for (const text of row) {
            if (text === null) appender.appendNull()
            else appender.appendVarchar(text)
          }
          appender.endRow()
        }
        appender.closeSync()
      }
      const typed = await Promise.all(
        (columns ?? []).map(async ({ name, type }, index) => {
          const expression = await typedText(connection, `c${index}`, typeOf(type))
          return `${expression} AS ${doubleQuoted(name)}`
        }),
      )
      return await copyToParquet(connection, `SELECT ${typed.join(', ')} FROM given`, [], path)
    } finally {
      connection.closeSync()
    }
  } finally {
    instance.closeSync()
    for (const file of [beside, `${beside}.wal`, `${beside}.tmp`]) await rm(file, { recursive: true, force: true })
  }
}

/** The expression that gives a column of texts its type, if every text has it. */
async function typedText(connection: DuckDBConnection, place: string, type: string | undefined): Promise<string> {
  if (type === undefined) return place
  if (type === 'BLOB') return `unhex(substr(${place}, 3))`
  const known = type === 'DECIMAL' ? await decimalOf(connection, place) : type
  if (known === undefined) return place
  const typed = `TRY_CAST(${place} AS ${known})`
  const reader = await connection.runAndReadAll(`SELECT count(${place}) = count(${typed}) FROM given`)
  return reader.getRows()[0]?.[0] === true ? typed : place
}

/** The DECIMAL that holds every digit of a column, if need be without zeros at the end. Undefined if DuckDB has none so long. */
async function decimalOf(connection: DuckDBConnection, place: string): Promise<string | undefined> {
  const reader = await connection.runAndReadAll(
    `SELECT coalesce(max(length(regexp_extract(${place}, '^-?0*([0-9]*)', 1))), 0)::INTEGER,
      coalesce(max(length(regexp_extract(${place}, '\\.([0-9]+)$', 1))), 0)::INTEGER,
      coalesce(max(length(rtrim(regexp_extract(${place}, '\\.([0-9]+)$', 1), '0'))), 0)::INTEGER,
      count(*) FILTER (NOT regexp_full_match(${place}, '-?[0-9]+(\\.[0-9]+)?')) = 0
    FROM given`,
  )
  const [whole, digits, withoutZeros, areNumbers] = reader.getRows()[0] ?? []
  const scale = [Number(digits), Number(withoutZeros)].find(one => Number(whole) + one <= 38)
  if (areNumbers !== true || scale === undefined) return undefined
  return `DECIMAL(${Math.max(1, Number(whole) + scale)}, ${scale})`
}
