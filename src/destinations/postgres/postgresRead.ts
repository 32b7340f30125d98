import { setMember } from '../../json/value.js'
import type { DatasetRow, DatasetValue, ReadQuery } from '../../model/destination.js'
import { SchemaError } from '../../model/errors.js'
import { selectStatement } from '../sql/selectStatement.js'
import type { PostgresClient } from './postgresClient.js'
import { baseType, postgresDialect } from './postgresDialect.js'
import { inPassing, postgresSession } from './postgresSession.js'

export const DEFAULT_BATCH_ROWS = 2048

/**
 * Rows of a table at one moment, through a cursor. Integers of any width are bigint, floating point numbers are number,
 * timestamps are Date (whole milliseconds), bytea is bytes. Everything else is the server's text, with JSON lacking the
 * blanks that jsonb prints.
 */
export async function* readRows(
  client: PostgresClient,
  dataset: string,
  query: ReadQuery,
): AsyncGenerator<readonly DatasetRow[]> {
  const session = postgresSession(client, dataset)
  const batchRows = Math.max(1, Math.trunc(query.batchRows ?? DEFAULT_BATCH_ROWS))
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
  try {
    const existing = (await session.inspect()).get(query.table)
    if (existing === undefined) {
      throw new SchemaError('schema', `Dataset ${dataset} has no table ${query.table}`, { table: query.table })
    }
    // Values are compared unchanged: the length in a type would cut them.
    const types = new Map(
      [...existing].map(([name, column]) => [name, { ...column, type: baseType(column.type) }] as const),
    )
    const statement = selectStatement<string | boolean | number | bigint | Buffer>(
      postgresDialect,
      session.table(query.table),
      types,
      query,
      column => column,
      boundValue,
    )
    const columns = statement.columns.map(({ name, type }) => ({ name, convert: converterOf(type) }))
    await client.query(`DECLARE _sluice_rows NO SCROLL CURSOR FOR ${statement.sql}`, statement.values)
    for (;;) {
      const { rows } = await client.query(`FETCH ${batchRows} FROM _sluice_rows`)
      if (rows.length > 0) yield rows.map(row => rowOf(columns, row))
      if (rows.length < batchRows) return
    }
  } finally {
    await client.rollBack()
  }
}

/** A value in a form that the driver sends. */
export function boundValue<Value>(value: Value | Date | Uint8Array): Value | string | Buffer {
  if (value instanceof Date) return value.toISOString()
  return value instanceof Uint8Array ? Buffer.from(value) : value
}

interface ReadColumn {
  readonly name: string
  readonly convert: (text: string) => DatasetValue
}

function rowOf(columns: readonly ReadColumn[], values: readonly (string | null)[]): DatasetRow {
  const row: Record<string, DatasetValue> = {}
  columns.forEach(({ name, convert }, index) => {
    const text = values[index] ?? null
    setMember(row, name, text === null ? null : convert(text))
  })
  return row
}

const CONVERTERS: Readonly<Record<string, (text: string) => DatasetValue>> = {
  smallint: BigInt,
  integer: BigInt,
  bigint: BigInt,
  real: Number,
  'double precision': Number,
  boolean: text => text === 't',
  'timestamp with time zone': dateOf,
  'timestamp without time zone': dateOf,
  bytea: text => Buffer.from(text.slice(2), 'hex'),
  jsonb: compactJson,
}

export function converterOf(type: string): (text: string) => DatasetValue {
  return CONVERTERS[type] ?? (text => text)
}

/** `2024-01-01 00:00:00.123456+00`. The session is set to UTC. */
function dateOf(text: string): Date {
  const [, day = '', clock = '', era] = /^(\S+) ([\d:.]+)(?:\+00)?( BC)?$/.exec(text) ?? []
  if (era === undefined && day.length === 10) return new Date(`${day}T${clock}Z`)
  // Years without four digits: dates that JavaScript can hold, not infinity.
  const [, year = '', rest = ''] = /^(\d+)(-.*)$/.exec(day) ?? []
  const signed = era === undefined ? Number(year) : 1 - Number(year)
  return new Date(`${signed < 0 ? '-' : '+'}${String(Math.abs(signed)).padStart(6, '0')}${rest}T${clock}Z`)
}

/** Removes the blanks after `:` and `,` outside of texts. */
function compactJson(text: string): string {
  return text.replace(/("(?:[^"\\]|\\.)*")|\s+/g, (_, quoted?: string) => quoted ?? '')
}

/** Runs `work` so that it sees one moment of the dataset. */
export async function atOneMoment<T>(client: PostgresClient, work: () => Promise<T>): Promise<T> {
  return await inPassing(client, 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY', work)
}
