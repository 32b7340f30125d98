import { createHash } from 'node:crypto'
import type { ColumnBatch } from '../../model/batch.js'
import { DestinationError } from '../../model/errors.js'
import type { ReadonlySchema, ReadonlyTable } from '../../schema/schemaTypes.js'
import { columnType, freeName } from '../sql/ddl.js'
import type { SqlSession, StagedTable } from '../sql/sqlSession.js'
import { RowEncoder } from './copy/rowEncoder.js'
import { rowSender } from './copy/rowSender.js'
import type { PostgresAddress } from './postgresAddress.js'
import type { PostgresClient } from './postgresClient.js'
import { baseType, postgresDialect, takes } from './postgresDialect.js'
import { postgresSession } from './postgresSession.js'

/**
 * The staged rows of a load. No other session sees them, and they end with this session. Rows for an existing table are
 * in a temporary table, which is not logged. Rows for a new table are in a table of a schema that the load's open
 * transaction creates. The commit can then move the table instead of copying its rows.
 */
export interface Staging {
  /** Whether the load's transaction is open. */
  readonly inTransaction: boolean
  /** Schema of the new tables. Undefined if there are none. */
  readonly newSchema: string | undefined
  /** New tables, by name, with their non-null columns. */
  readonly newTables: ReadonlyMap<string, ReadonlySet<string>>
  /**
   * Resolves when the rows are encoded. The server may still be taking them. If it refuses them, the next call fails.
   */
  add(batch: ColumnBatch, schema: ReadonlySchema): Promise<void>
  /** Resolves when the server has all rows. */
  settle(): Promise<void>
  /** Number of staged rows of a table. */
  rows(table: string): number
  /** Describes the staged rows, compared with the tables as the transaction sees them. */
  relations(session: SqlSession, schema: ReadonlySchema): Promise<Map<string, StagedTable>>
}

export const BEGIN = 'BEGIN ISOLATION LEVEL READ COMMITTED'

interface Stage {
  /** Full, quoted name. */
  readonly relation: string
  /** Goes after SELECT: increases in order of arrival. */
  readonly ordinal: string
  readonly isNew: boolean
  /** Columns of the table, by name in the dataset. */
  readonly columns: Map<string, StagedColumn>
  readonly arrived: Set<string>
  rows: number
}

interface StagedColumn {
  /** Quoted if necessary. */
  readonly name: string
  readonly type: string
}

interface NewColumn {
  readonly name: string
  readonly type: string
  /** Cannot be null. */
  readonly strict: boolean
}

const ORDINAL = 'r'

export function openStaging(
  client: PostgresClient,
  address: PostgresAddress,
  dataset: string,
  loadId: string,
): Staging {
  const { identifier } = postgresDialect
  const stages = new Map<string, Stage>()
  /** Rows of the batches' `rootRuns`, by table of the batch. */
  const rootRuns = new Map<string, Stage>()
  const newTables = new Map<string, ReadonlySet<string>>()
  const sender = rowSender(client)
  const session = postgresSession(client, dataset)
  let existing: ReadonlySet<string> | undefined
  let mayCreate = false
  let newSchema: string | undefined

  const look = async (): Promise<ReadonlySet<string>> => {
    const { rows } = await client.query(
      `SELECT pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE')`,
    )
    mayCreate = rows[0]?.[0] === 't'
    return new Set((await session.inspect()).keys())
  }

  const createTemporary = (): Stage => {
    const relation = `_sluice_${stages.size + rootRuns.size}`
    sender.run(`CREATE TEMPORARY TABLE ${relation} (${ORDINAL} bigint)`)
    return { ...emptyStage(), relation: postgresDialect.temporary(relation), ordinal: ORDINAL, isNew: false }
  }

  const create = async (name: string, columns: readonly NewColumn[]): Promise<Stage> => {
    existing ??= await look()
    if (existing.has(name) || !mayCreate) return createTemporary()
    if (newSchema === undefined) {
      newSchema = identifier(`_sluice_${digest(dataset, loadId)}`)
      sender.run(BEGIN)
      sender.run(`CREATE SCHEMA ${newSchema}`)
    }
    const relation = `${newSchema}.${identifier(name)}`
    const definitions = columns.map(
      column => `${identifier(column.name)} ${column.type}${column.strict ? ' NOT NULL' : ''}`,
    )
    sender.run(`CREATE TABLE ${relation} (${definitions.join(', ')})`)
    newTables.set(name, new Set(columns.filter(({ strict }) => strict).map(column => column.name)))
    const known = columns.map(column => [column.name, { name: identifier(column.name), type: column.type }] as const)
    // In a table created by its own transaction, new rows always come after the others.
    return { ...emptyStage(), relation, ordinal: 'ctid', isNew: true, columns: new Map(known) }
  }

  const createFor = async (batch: ColumnBatch, table: ReadonlyTable | undefined): Promise<Stage> => {
    const complete = [...(table?.columns.values() ?? [])].filter(column => column.data_type !== undefined)
    // Arriving values are checked on their way. Columns missing in the first rows may be filled later.
    const arriving = new Set(batch.columns.map(({ name }) => name))
    return await create(
      batch.table,
      complete.map(column => ({
        name: column.name,
        type: columnType(postgresDialect, column),
        strict: column.nullable === false && arriving.has(column.name),
      })),
    )
  }

  /** Gives the stage every column of the batch, and sends the rows. */
  const send = async (stage: Stage, batch: ColumnBatch, table: ReadonlyTable | undefined): Promise<void> => {
    const typeOf = ({ name, dataType }: ColumnBatch['columns'][number]): string => {
      const column = table?.columns.get(name)
      return column?.data_type === dataType ? columnType(postgresDialect, column) : postgresDialect.typeName(dataType)
    }
    const additions: string[] = []
    for (const column of batch.columns) {
      stage.arrived.add(column.name)
      if (stage.columns.has(column.name)) continue
      // Temporary tables have numbered columns, so that none has the name of the ordinal.
      const staged = { name: stage.isNew ? identifier(column.name) : `c${stage.columns.size}`, type: typeOf(column) }
      stage.columns.set(column.name, staged)
      additions.push(`ADD COLUMN ${staged.name} ${staged.type}`)
    }
    if (additions.length > 0) sender.run(`ALTER TABLE ${stage.relation} ${additions.join(', ')}`)
    const columns = batch.columns.map(({ name }) => stage.columns.get(name)?.name ?? '')
    const types = new Map([...stage.columns].map(([name, { type }]) => [name, type] as const))
    const rows = new RowEncoder(batch, types, stage.isNew ? undefined : stage.rows)
    stage.rows += batch.rows
    const into = stage.isNew ? columns : [ORDINAL, ...columns]
    await sender.send(`COPY ${stage.relation} (${into.join(', ')}) FROM STDIN (FORMAT binary)`, rows)
  }

  return {
    get inTransaction() {
      return newSchema !== undefined
    },
    get newSchema() {
      return newSchema
    },
    newTables,
    async add(batch, schema) {
      if (batch.rows === 0) return
      const table = schema.tables.get(batch.table)
      const stage = stages.get(batch.table) ?? (await createFor(batch, table))
      stages.set(batch.table, stage)
      await send(stage, batch, table)
      if (batch.rootRuns === undefined) return
      const runs = rootRuns.get(batch.table) ?? createTemporary()
      rootRuns.set(batch.table, runs)
      await send(runs, batch.rootRuns, undefined)
    },
    async settle() {
      await sender.settle()
    },
    rows: table => stages.get(table)?.rows ?? 0,
    async relations(of, schema) {
      const tables = await of.inspect()
      const staged = new Map<string, StagedTable>()
      for (const [name, stage] of stages) {
        const rows = stagedTable(address.name, name, stage, schema.tables.get(name), tables.get(name))
        const runs = rootRuns.get(name)
        staged.set(name, runs === undefined ? rows : { ...rows, rootRuns: stagedTable(address.name, name, runs) })
      }
      return staged
    },
  }
}

function emptyStage() {
  return { columns: new Map<string, StagedColumn>(), arrived: new Set<string>(), rows: 0 }
}

function digest(...parts: readonly string[]): string {
  return createHash('sha256').update(parts.join('\0')).digest('hex').slice(0, 16)
}

function stagedTable(
  destination: string,
  table: string,
  stage: Stage,
  schema?: ReadonlyTable | undefined,
  existing?: ReadonlyMap<string, { readonly type: string }> | undefined,
): StagedTable {
  const { identifier } = postgresDialect
  const columns = [...stage.columns].map(([name, { name: column, type }]) => {
    const actual = existing?.get(name)?.type ?? type
    if (!takes(actual, type)) throw typeChanged(destination, table, name, actual, type)
    // Keys are compared with the type in the table.
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
  return {
    relation: `(SELECT ${[...columns, ...nulls, `${stage.ordinal} AS ${identifier(ordinal)}`].join(', ')} FROM ${stage.relation})`,
    columns: stage.arrived,
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
