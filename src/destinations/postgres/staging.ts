import { once } from 'node:events'
import type { ColumnBatch } from '../../core/batch.js'
import { DestinationError, SchemaError } from '../../core/errors.js'
import type { ReadonlySchema, ReadonlyTable } from '../../core/schema.js'
import { columnType } from '../sql/ddl.js'
import { freeName } from '../sql/names.js'
import type { SqlSession, StagedTable } from '../sql/session.js'
import type { Address } from './address.js'
import { driver, type PostgresClient } from './client.js'
import { baseType, takes } from './compatible.js'
import { postgresDialect } from './dialect.js'
import { COPY_HEADER, COPY_TRAILER, RowEncoder } from './encoder.js'

/**
 * The rows of a load on their way: temporary tables of its own session, which nobody else sees, which are not logged,
 * and which are gone with the session.
 */
export interface Staging {
  /** Resolves when the rows are encoded; the server may still be taking them. Its refusal comes with the next call. */
  add(batch: ColumnBatch, schema: ReadonlySchema): Promise<void>
  /** Resolves when the server has all rows. */
  settle(): Promise<void>
  /** Describes what was staged, against the tables as they are in the transaction. */
  relations(session: SqlSession, schema: ReadonlySchema): Promise<ReadonlyMap<string, StagedTable>>
}

interface Stage {
  readonly name: string
  /** Full, quoted name. */
  readonly relation: string
  /** By name in the dataset; in the temporary table columns are numbered, so that any name is allowed. */
  readonly columns: Map<string, StagedColumn>
  rows: number
}

interface StagedColumn {
  readonly name: string
  readonly type: string
}

/** Encoded rows on their way to the server: while one buffer is sent, the next is filled. */
const BUFFER_BYTES = 8 << 20
/** Larger ones come from unusual rows and are not kept. */
const LARGEST_KEPT = 32 << 20
const ORDINAL = 'r'

export function openStaging(client: PostgresClient, address: Address): Staging {
  const stages = new Map<string, Stage>()
  const free: Buffer[] = []
  /** Settles when the server has what was sent before. */
  let tail: Promise<void> = Promise.resolve()

  const prepare = async (batch: ColumnBatch, table: ReadonlyTable | undefined): Promise<Stage> => {
    const stage = stages.get(batch.table) ?? {
      name: `_sluice_${stages.size}`,
      relation: postgresDialect.temporary(`_sluice_${stages.size}`),
      columns: new Map<string, StagedColumn>(),
      rows: 0,
    }
    const added: StagedColumn[] = []
    for (const { name, dataType } of batch.columns) {
      if (stage.columns.has(name)) continue
      const column = table?.columns.get(name)
      const type =
        column?.data_type === dataType ? columnType(postgresDialect, column) : postgresDialect.typeName(dataType)
      const staged = { name: `c${stage.columns.size}`, type }
      stage.columns.set(name, staged)
      added.push(staged)
    }
    const definitions = added.map(({ name, type }) => `${name} ${type}`)
    if (!stages.has(batch.table)) {
      stages.set(batch.table, stage)
      // A session that has a table of this name brought it from elsewhere: the load's sessions are new.
      await client.query(`CREATE TEMPORARY TABLE ${stage.name} (${[`${ORDINAL} bigint`, ...definitions].join(', ')})`)
    } else if (added.length > 0) {
      await client.query(`ALTER TABLE ${stage.relation} ${definitions.map(one => `ADD COLUMN ${one}`).join(', ')}`)
    }
    return stage
  }

  const copy = async (stage: Stage, batch: ColumnBatch): Promise<void> => {
    const names = batch.columns.map(({ name }) => stage.columns.get(name)?.name ?? '')
    const types = new Map([...stage.columns].map(([name, { type }]) => [name, type] as const))
    const rows = new RowEncoder(batch, types, stage.rows)
    stage.rows += batch.rows
    const { from } = await driver('pg-copy-streams', () => import('pg-copy-streams'), address)
    const stream = client.pg.query(
      from(`COPY ${stage.relation} (${[ORDINAL, ...names].join(', ')}) FROM STDIN (FORMAT binary)`),
    )
    const finished = once(stream, 'finish').then(() => {})
    finished.catch(() => {})
    let last: Promise<void> = Promise.resolve()
    let buffer = free.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES)
    buffer.set(COPY_HEADER)
    let length = COPY_HEADER.length
    const send = async (): Promise<void> => {
      const sent = buffer
      const piece = sent.subarray(0, length)
      await last
      last = Promise.race([
        new Promise<void>((resolve, reject) => stream.write(piece, error => (error ? reject(error) : resolve()))),
        finished,
      ]).then(() => void (sent.length <= LARGEST_KEPT && free.push(sent)))
      last.catch(() => {})
      buffer = free.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES)
      length = 0
    }
    try {
      while (!rows.done) {
        const size = rows.measure()
        if (length > 0 && length + size > buffer.length) await send()
        if (size > buffer.length) buffer = Buffer.allocUnsafeSlow(size)
        rows.write(buffer, length)
        length += size
      }
      if (length + COPY_TRAILER.length > buffer.length) await send()
      buffer.set(COPY_TRAILER, length)
      length += COPY_TRAILER.length
    } catch (error) {
      stream.destroy(error as Error)
      await finished.catch(() => {})
      throw error
    }
    const sent = buffer
    const piece = sent.subarray(0, length)
    tail = last
      .then(() => {
        stream.end(piece)
        return finished
      })
      .then(() => void (sent.length <= LARGEST_KEPT && free.push(sent)))
    tail.catch(() => {})
  }

  return {
    async add(batch, schema) {
      if (batch.rows === 0) return
      await tail
      const stage = await prepare(batch, schema.tables.get(batch.table))
      await copy(stage, batch)
    },
    async settle() {
      await tail
    },
    async relations(session, schema) {
      const existing = await session.inspect()
      const staged = new Map<string, StagedTable>()
      for (const [name, stage] of stages) {
        staged.set(name, stagedTable(address.name, name, stage, schema.tables.get(name), existing.get(name)))
      }
      return staged
    },
  }
}

function stagedTable(
  destination: string,
  table: string,
  stage: Stage,
  schema: ReadonlyTable | undefined,
  existing: ReadonlyMap<string, { readonly type: string }> | undefined,
): StagedTable {
  const { identifier } = postgresDialect
  const columns = [...stage.columns].map(([name, { name: column, type }]) => {
    const actual = existing?.get(name)?.type ?? type
    if (!takes(actual, type)) throw typeChanged(destination, table, name, actual, type)
    // Keys are compared by the type that the table has.
    const cast = baseType(actual) === baseType(type) ? column : `CAST(${column} AS ${baseType(actual)})`
    return `${cast} AS ${identifier(name)}`
  })
  const missing = [...(schema?.columns.values() ?? [])].filter(
    column => column.data_type !== undefined && !stage.columns.has(column.name),
  )
  const nulls = missing.map(column => {
    const type = existing?.get(column.name)?.type ?? columnType(postgresDialect, column)
    return `CAST(NULL AS ${type}) AS ${identifier(column.name)}`
  })
  const ordinal = freeName('_sluice_row', [...stage.columns.keys(), ...missing.map(column => column.name)])
  if (columns.length + nulls.length > 1599) {
    throw new SchemaError('schema', `Table ${table} would have more than 1600 columns, the most that Postgres has`, {
      table,
    })
  }
  return {
    relation: `(SELECT ${[...columns, ...nulls, `${ORDINAL} AS ${identifier(ordinal)}`].join(', ')} FROM ${stage.relation})`,
    columns: new Set(stage.columns.keys()),
    ordinal,
  }
}

function typeChanged(destination: string, table: string, column: string, is: string, was: string): DestinationError {
  return new DestinationError(
    'destination',
    `${destination}: column ${table}.${column} has the type ${is}, which cannot take the ${was} of the schema without loss; nothing was changed. Change it back with ALTER TABLE … ALTER COLUMN … TYPE ${was}, or load into a new dataset`,
    { destination },
  )
}
