import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { DuckDBConnection } from '@duckdb/node-api'
import { SchemaError } from '../../../model/errors.js'
import type { ReadonlyColumn } from '../../../schema/schemaTypes.js'
import { duckdbDialect } from '../../duckdb/duckdbDialect.js'
import { columnType } from '../../sql/ddl.js'
import type { StagedTable } from '../../sql/sqlSession.js'
import { doubleQuoted, textLiteral } from '../../sql/sqlSession.js'
import type { LocalFile } from '../storage/storage.js'
import type { Encoding, FileFormatName } from './fileEncoding.js'
import { fileExtension, fileFormats } from './formats.js'

export interface EncodedFile extends LocalFile {
  readonly table: string
  readonly format: FileFormatName
  readonly rows: number
  readonly extension: string
}

/** Writes the staged rows of a table as one file into `folder`. Fails if a required column has a null. */
export async function encodeTable(
  connection: DuckDBConnection,
  staged: { readonly name: string; readonly rows: StagedTable; readonly known: ReadonlySet<string> },
  columns: readonly ReadonlyColumn[],
  encoding: Encoding,
  target: { readonly folder: string; readonly number: number },
): Promise<EncodedFile> {
  const relation = withColumns(staged.rows, staged.known, columns)
  await checkNotNull(connection, staged.name, relation, columns)
  const format = fileFormats[encoding.format]
  const extension = fileExtension(encoding.format, encoding.compression)
  const path = join(target.folder, `encoded-${target.number}.${extension}`)
  const result = await connection.run(
    `COPY (${format.source(relation, columns)}) TO ${textLiteral(path)} (${format.options(columns, encoding.compression)})`,
  )
  const { size } = await stat(path)
  return {
    table: staged.name,
    format: encoding.format,
    path,
    rows: result.rowsChanged,
    bytes: size,
    sha256: await sha256Of(path),
    extension,
  }
}

/** The staged rows with every column of the table. Columns that the schema does not know are null. */
function withColumns(staged: StagedTable, known: ReadonlySet<string>, columns: readonly ReadonlyColumn[]): string {
  const nothing = columns
    .filter(column => !known.has(column.name))
    .map(column => `, CAST(NULL AS ${columnType(duckdbDialect, column)}) AS ${doubleQuoted(column.name)}`)
  return nothing.length === 0 ? staged.relation : `(SELECT *${nothing.join('')} FROM ${staged.relation})`
}

async function checkNotNull(
  connection: DuckDBConnection,
  table: string,
  relation: string,
  columns: readonly ReadonlyColumn[],
): Promise<void> {
  const strict = columns.filter(column => column.nullable === false)
  if (strict.length === 0) return
  const missing = strict.map(column => `count(*) - count(${doubleQuoted(column.name)})`)
  const reader = await connection.runAndReadAll(`SELECT ${missing.join(', ')} FROM ${relation}`)
  const counts = reader.getRows()[0] ?? []
  const at = counts.findIndex(count => Number(count) > 0)
  const column = strict[at]
  if (column === undefined) return
  throw new SchemaError(
    'schema',
    `Column ${table}.${column.name} has no value in ${Number(counts[at])} rows, but must have one`,
    { table, column: column.name },
  )
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(path), hash)
  return hash.digest('hex')
}
