import { createHash } from 'node:crypto'
import { inflateSync } from 'node:zlib'
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api'
import { parseJson } from '../../src/json/parse.js'

/** What a dataset holds, read by DuckDB itself and not through Sluice. */
export interface Dataset {
  readonly loads: ReadonlyMap<string, string>
  readonly tables: ReadonlyMap<string, RawTable>
  readonly schema: StoredSchema | undefined
  readonly state: Readonly<Record<string, unknown>> | undefined
}

export interface RawTable {
  readonly columns: readonly { readonly name: string; readonly type: string; readonly nullable: boolean }[]
  readonly rows: readonly ReadonlyMap<string, unknown>[]
}

export interface StoredSchema {
  readonly version: number
  readonly version_hash: string
  readonly tables: Readonly<Record<string, StoredTable>>
}

export interface StoredTable {
  readonly parent?: string
  readonly columns: Readonly<Record<string, Readonly<Record<string, unknown>>>>
  readonly [hint: string]: unknown
}

/** `restore` puts placeholders back where a value holds an address of the case's server. */
export async function readDataset(
  file: string,
  dataset: string,
  restore: (text: string) => string = text => text,
): Promise<Dataset> {
  const instance = await DuckDBInstance.create(file)
  const connection = await instance.connect()
  try {
    await connection.run("SET TimeZone = 'UTC'")
    return await readAll(connection, dataset, restore)
  } finally {
    connection.closeSync()
    instance.closeSync()
  }
}

async function readAll(
  connection: DuckDBConnection,
  dataset: string,
  restore: (text: string) => string,
): Promise<Dataset> {
  const names = await query(
    connection,
    'SELECT table_name FROM information_schema.tables WHERE table_schema = $1 ORDER BY 1',
    [dataset],
  )
  const all = names.map(row => String(row[0]))
  const loads = new Map<string, string>()
  if (all.includes('_dlt_loads')) {
    const rows = await query(connection, `SELECT load_id FROM ${name(dataset)}._dlt_loads ORDER BY load_id`)
    for (const [index, row] of rows.entries()) loads.set(String(row[0]), `load:${index + 1}`)
  }
  const tables = new Map<string, RawTable>()
  for (const table of all) {
    if (!table.startsWith('_dlt_') && !table.startsWith('_sluice_'))
      tables.set(table, await readTable(connection, dataset, table, restore))
  }
  return {
    loads,
    tables,
    schema: all.includes('_dlt_version') ? await readSchema(connection, dataset) : undefined,
    state: all.includes('_dlt_pipeline_state') ? await readState(connection, dataset, restore) : undefined,
  }
}

async function readTable(
  connection: DuckDBConnection,
  dataset: string,
  table: string,
  restore: (text: string) => string,
): Promise<RawTable> {
  const columns = (
    await query(
      connection,
      'SELECT column_name, data_type, is_nullable FROM information_schema.columns WHERE table_schema = $1 AND table_name = $2 ORDER BY ordinal_position',
      [dataset, table],
    )
  ).map(([column, type, nullable]) => ({ name: String(column), type: String(type), nullable: nullable === 'YES' }))
  const select = columns.map(column => cell(name(column.name), column.type)).join(', ')
  const rows = await query(connection, `SELECT ${select} FROM ${name(dataset)}.${name(table)}`)
  return {
    columns,
    rows: rows.map(
      values =>
        new Map(
          columns
            .map((column, index) => [column.name, value(restored(values[index], restore), column.type)] as const)
            .filter(([, v]) => v !== null),
        ),
    ),
  }
}

function restored(raw: unknown, restore: (text: string) => string): unknown {
  return typeof raw === 'string' ? restore(raw) : raw
}

function cell(column: string, type: string): string {
  if (type.startsWith('TIMESTAMP')) return `epoch_us(${column})`
  if (type === 'BLOB') return `to_base64(${column})`
  if (type === 'BOOLEAN' || type === 'DOUBLE') return column
  return `${column}::VARCHAR`
}

function value(raw: unknown, type: string): unknown {
  if (raw === null || raw === undefined) return null
  if (type.startsWith('TIMESTAMP')) return microseconds(raw as bigint) + (type.includes('ZONE') ? 'Z' : '')
  if (type === 'BLOB') return { $base64: raw }
  if (type === 'TIME') return withMicroseconds(String(raw))
  if (type === 'JSON') return canonical(parseJson(String(raw)))
  if (/^(U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER)$/.test(type)) return canonical(BigInt(String(raw)))
  return canonical(raw)
}

/** Values as the cases spell them. */
export function canonical(raw: unknown): unknown {
  if (typeof raw === 'bigint')
    return raw >= -(2n ** 53n - 1n) && raw <= 2n ** 53n - 1n ? Number(raw) : { $bigint: String(raw) }
  if (typeof raw === 'number' && !Number.isFinite(raw))
    return { $double: Number.isNaN(raw) ? 'nan' : raw > 0 ? 'inf' : '-inf' }
  if (Object.is(raw, -0)) return 0
  if (Array.isArray(raw)) return raw.map(canonical)
  if (raw !== null && typeof raw === 'object')
    return Object.fromEntries(Object.entries(raw).map(([key, one]) => [key, canonical(one)]))
  return raw
}

function microseconds(micros: bigint): string {
  const seconds = micros >= 0n ? micros / 1_000_000n : -((-micros + 999_999n) / 1_000_000n)
  const fraction = micros - seconds * 1_000_000n
  const text = new Date(Number(seconds) * 1000).toISOString()
  return `${text.slice(0, -5)}.${String(fraction).padStart(6, '0')}`
}

function withMicroseconds(time: string): string {
  const [clock, fraction = ''] = time.split('.')
  return `${clock}.${fraction.padEnd(6, '0')}`
}

async function readSchema(connection: DuckDBConnection, dataset: string): Promise<StoredSchema | undefined> {
  const versions = `${name(dataset)}._dlt_version`
  const newest = await oneSchema(
    connection,
    `SELECT schema FROM ${versions} ORDER BY inserted_at DESC, version DESC LIMIT 1`,
  )
  // A schema that comes back gets no new row: then the newest row is not the one of the last load.
  const loaded = await oneSchema(
    connection,
    `SELECT v.schema FROM ${versions} v JOIN ${name(dataset)}._dlt_loads l ON l.schema_version_hash = v.version_hash
     ORDER BY l.load_id DESC LIMIT 1`,
  )
  return newest === undefined ? undefined : { ...newest, tables: (loaded ?? newest).tables }
}

async function oneSchema(connection: DuckDBConnection, sql: string): Promise<StoredSchema | undefined> {
  const text = (await query(connection, sql))[0]?.[0]
  if (text === undefined) return undefined
  const stored = String(text)
  return JSON.parse(
    stored.startsWith('{') ? stored : inflateSync(Buffer.from(stored, 'base64')).toString(),
  ) as StoredSchema
}

async function readState(
  connection: DuckDBConnection,
  dataset: string,
  restore: (text: string) => string,
): Promise<Readonly<Record<string, unknown>> | undefined> {
  const rows = await query(
    connection,
    `SELECT state FROM ${name(dataset)}._dlt_pipeline_state ORDER BY _dlt_load_id DESC LIMIT 1`,
  )
  const text = rows[0]?.[0]
  if (text === undefined) return undefined
  return parseJson(restore(inflateSync(Buffer.from(String(text), 'base64')).toString())) as unknown as Readonly<
    Record<string, unknown>
  >
}

async function query(
  connection: DuckDBConnection,
  sql: string,
  values: readonly string[] = [],
): Promise<readonly (readonly unknown[])[]> {
  const reader = await connection.runAndReadAll(sql, [...values])
  return reader.getRows()
}

function name(identifier: string): string {
  return `"${identifier.replaceAll('"', '""')}"`
}

/** dlt's id of a nested row. */
export function nestedId(parent: string, table: string, index: unknown): string {
  return createHash('shake128', { outputLength: 10 })
    .update(`${parent}_${table}_${index}`)
    .digest('base64')
    .replace(/=+$/, '')
}
