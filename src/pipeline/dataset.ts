import type { Condition, Connection, DatasetRow, DatasetValue, ReadQuery } from '../core/destination.js'
import { DestinationError } from '../core/errors.js'
import type { ReadonlySchema } from '../core/schema.js'
import { readSchema } from '../core/schemaDocument.js'
import type { PipelineState } from '../core/state.js'
import type { PipelineSetup } from './pipeline.js'

/**
 * Rows by table name, as `sluice types` writes them; without it, rows are records of values.
 */
export interface AnyTables {
  readonly [table: string]: DatasetRow
}

/** Reads what was loaded. Each call opens and closes its own connection. */
export interface Dataset<Tables extends { readonly [table in keyof Tables]: object } = AnyTables> {
  /** Names of the tables that hold data, system tables left out, in the order of the schema. */
  tables(): Promise<readonly string[]>
  table<Name extends keyof Tables & string>(name: Name): Relation<Tables[Name]>
  /** The committed schema; undefined before the first load. */
  schema(): Promise<ReadonlySchema | undefined>
  /** The committed state; undefined before the first load. */
  state(): Promise<PipelineState | undefined>
}

/** Rows of one table; a value, narrowed by each call. Nothing is read before the rows are asked for. */
export interface Relation<Row extends object> {
  select<Column extends keyof Row & string>(...columns: readonly Column[]): Relation<Pick<Row, Column>>
  /** All conditions must hold. */
  where<Column extends keyof Row & string>(
    column: Column,
    operator: Condition['operator'],
    value?: Row[Column] | readonly Row[Column][],
  ): Relation<Row>
  orderBy(column: keyof Row & string, direction?: 'ascending' | 'descending'): Relation<Row>
  limit(rows: number): Relation<Row>
  /** All rows, in memory. */
  rows(): Promise<readonly Row[]>
  first(): Promise<Row | undefined>
  /** Rows of the table, whatever was selected. */
  count(): Promise<number>
  /** Batches of rows, in the order of the table or of `orderBy`; memory is bounded by one batch. */
  batches(rows?: number): AsyncGenerator<readonly Row[]>
  [Symbol.asyncIterator](): AsyncGenerator<Row>
}

export function datasetOf(setup: PipelineSetup): Dataset {
  const connect = (): Promise<Connection> => setup.destination.connect(setup.datasetName)
  const committedSchema = async (): Promise<ReadonlySchema | undefined> => {
    await using connection = await connect()
    const text = (await connection.committed(setup.name, setup.source.name))?.schema
    return text === undefined ? undefined : readSchema(text)
  }
  return {
    schema: committedSchema,
    async state() {
      await using connection = await connect()
      return (await connection.committed(setup.name, setup.source.name))?.state
    },
    async tables() {
      const schema = await committedSchema()
      await using connection = await connect()
      const present = await connection.inspect()
      return [...(schema?.tables.keys() ?? present.keys())].filter(
        name => !name.startsWith('_dlt') && !name.startsWith('_sluice') && present.has(name),
      )
    },
    table: name => relation(setup, connect, { table: name }),
  }
}

function relation<Row extends object>(
  setup: PipelineSetup,
  connect: () => Promise<Connection>,
  query: ReadQuery,
): Relation<Row> {
  const narrowed = <Narrowed extends object = Row>(change: Partial<ReadQuery>): Relation<Narrowed> =>
    relation<Narrowed>(setup, connect, { ...query, ...change })
  async function* batches(rows?: number): AsyncGenerator<readonly Row[]> {
    await using connection = await connect()
    const known = (await connection.inspect()).get(query.table)
    if (known === undefined)
      throw new DestinationError(
        'destination',
        `${setup.destination.name}: there is no table "${query.table}" in ${connection.dataset}`,
        {
          destination: setup.destination.name,
        },
      )
    for await (const batch of connection.read({ ...query, batchRows: rows })) yield batch as unknown as readonly Row[]
  }
  async function* each(): AsyncGenerator<Row> {
    for await (const batch of batches()) yield* batch
  }
  return {
    select: (...columns) => narrowed({ columns }),
    where: (column, operator, value) =>
      narrowed({
        where: [
          ...(query.where ?? []),
          { column, operator, value: value as DatasetValue | readonly DatasetValue[] | undefined },
        ],
      }),
    orderBy: (column, direction = 'ascending') =>
      narrowed({ orderBy: [...(query.orderBy ?? []), { column, descending: direction === 'descending' }] }),
    limit: limit => narrowed({ limit }),
    async rows() {
      const all: Row[] = []
      for await (const batch of batches()) all.push(...batch)
      return all
    },
    async first() {
      const [row] = await narrowed({ limit: 1 }).rows()
      return row
    },
    async count() {
      await using connection = await connect()
      return connection.count(query.table)
    },
    batches,
    [Symbol.asyncIterator]: each,
  }
}
