import { z } from 'zod'
import { later } from '../../../model/runtime/firstUse.js'
import type { RecordFunction } from '../../../model/userFunction.js'
import { CONTRACT_MODES, DATA_TYPES, MERGE_STRATEGIES, WRITE_DISPOSITIONS } from '../../../schema/schemaTypes.js'
import { functionOf, jsonObject, jsonValue, key, name, names, required } from './pieces.js'
import { strictObject } from './strictObject.js'

const contractMode = z.enum(CONTRACT_MODES).meta({ id: 'contract_mode' })

export const schemaContract = z
  .union([
    contractMode,
    strictObject(() => ({
      tables: key(contractMode, { description: 'New tables.', default: 'evolve' }),
      columns: key(contractMode, { description: 'New columns of known tables.', default: 'evolve' }),
      data_type: key(contractMode, {
        description: 'Values of another type than the column has.',
        default: 'evolve',
      }),
    })),
  ])
  .meta({ id: 'schema_contract' })

const disposition = z.enum(WRITE_DISPOSITIONS)

const mergeStrategy = z.enum(MERGE_STRATEGIES)

const writeDisposition = z
  .union([
    disposition,
    strictObject(() => ({
      disposition: required(disposition, 'What happens to rows that are there already.'),
      strategy: key(mergeStrategy, {
        description: 'How rows are merged. Only with `disposition: merge`.',
        default: 'delete-insert',
      }),
      deduplicated: key(z.boolean(), {
        description:
          '`delete-insert`: true promises that each key arrives once. Sluice then does not look for duplicates.',
        default: false,
      }),
      validity_column_names: key(z.tuple([name, name]), {
        description: '`scd2`: names of the two columns with the start and the end of a row’s validity.',
        default: ['_dlt_valid_from', '_dlt_valid_to'],
      }),
      active_record_timestamp: key(z.string(), {
        description: '`scd2`: end date of rows that are still valid. Default: NULL.',
        examples: ['9999-12-31'],
      }),
      boundary_timestamp: key(z.string(), {
        description:
          '`scd2`: the moment of the change. It stays in the schema for runs that leave it out; null: the start of each load again, as before the first.',
      }),
      row_version_column_name: key(name, {
        description:
          '`scd2`: column with the hash of a row, if the records have one. `upsert`, `cdc`: with `skip_unchanged_rows`, the only column that is compared.',
      }),
      source_filter: key(z.string(), {
        description:
          'SQL condition on the rows that arrived: only rows that meet it are merged, with what is nested in them. Not with `insert-only`.',
        examples: ["status <> 'draft'"],
      }),
      destination_scope: key(z.string(), {
        description:
          '`delete-insert`, `scd2`, `cdc`: SQL condition on the rows of the table. Only rows that meet it are deleted or ended; `delete-insert` deletes all of them. Used instead of keys. `{table}` stands for the table, `{staging_table}` for the rows that arrived.',
        examples: ['day IN (SELECT day FROM {staging_table})'],
      }),
      skip_unchanged_rows: key(z.boolean(), {
        description: '`upsert`, `cdc`: true leaves a row alone that is equal to the one that arrived.',
        default: false,
      }),
    })),
  ])
  .meta({ id: 'write_disposition' })

const dataType = z.enum(DATA_TYPES)

const columnHints = later(() => ({
  data_type: key(dataType, 'Type of the column. Without it, the first value decides.'),
  nullable: key(z.boolean(), { description: 'Whether the column may be NULL.', default: true }),
  precision: key(z.int().min(0), 'Bits of a bigint, bytes of a text, digits of a decimal, or digits of a second.'),
  scale: key(z.int().min(0), 'Digits after the point of a decimal.'),
  timezone: key(z.boolean(), {
    description: 'true: a timestamp with time zone. false: without.',
    default: true,
  }),
  description: key(z.string(), 'Comment on the column, stored with the schema.'),
  primary_key: key(z.boolean(), 'Part of the primary key.'),
  merge_key: key(z.boolean(), 'Part of the merge key.'),
  unique: key(z.boolean(), 'Values do not repeat.'),
  sort: key(z.boolean(), 'Rows are stored in the order of this column, where the destination can.'),
  partition: key(z.boolean(), 'Rows are partitioned by this column, where the destination can.'),
  cluster: key(z.boolean(), 'Rows are clustered by this column, where the destination can.'),
  row_key: key(z.boolean(), 'Identifies a row for its nested tables.'),
  parent_key: key(z.boolean(), 'Holds the row key of the parent row.'),
  root_key: key(z.boolean(), 'Holds the row key of the root row.'),
  hard_delete: key(
    z.boolean(),
    'Merge: a row with true in this column is deleted at the destination. In a column that is not boolean, any value but NULL counts as true.',
  ),
  dedup_sort: key(z.enum(['asc', 'desc']), 'Merge: if several rows have the same key, the first in this order stays.'),
  incremental: key(z.boolean(), 'The column holds the cursor of incremental loading.'),
  variant: key(z.boolean(), 'The column was made for values that did not fit another column.'),
}))

/** Keys of a column hint. `x-` keys are free. */
export const columnKeys = later((): readonly string[] => ['name', ...Object.keys(columnHints())])

const column = strictObject(() => ({ name: key(name, 'Name of the column, not normalised yet.'), ...columnHints() }))
  .catchall(jsonValue)
  .meta({ description: 'Hints of one column. Keys that start with `x-` are free.' })

const columns = z.union([z.record(z.string(), column.nullable()), z.array(column)]).meta({ id: 'columns' })

/** Hints that a resource and its nested tables share. */
export const tableHints = later(() => ({
  write_disposition: key(writeDisposition, {
    description: 'What happens to rows that are there already.',
    default: 'append',
  }),
  primary_key: key(names, {
    description:
      'Columns that identify a row. Incremental loading also uses them to recognise records that it has loaded.',
    examples: ['id', ['shop', 'day']],
  }),
  merge_key: key(names, 'Merge: all old rows with a value that arrives in these columns are deleted first.'),
  columns: key(columns, {
    description: 'Hints for columns: a map from name to hints, or a list of hints with names.',
    examples: [{ created_at: { data_type: 'timestamp' } }],
  }),
  schema_contract: key(schemaContract, {
    description: 'Which changes of the schema are allowed: new tables, new columns, other types.',
    default: 'evolve',
  }),
  max_table_nesting: key(z.int().min(0), 'How many levels of nested lists become tables. Deeper lists stay JSON.'),
  table_format: key(z.enum(['iceberg', 'delta', 'hive', 'native']), 'Table format, where the destination has several.'),
  file_format: key(
    z.string(),
    'Format of the files of the table where rows are kept as files: `parquet`, `jsonl` or `csv`. Elsewhere stored for dlt, and without effect.',
  ),
  references: key(z.array(jsonObject), 'References to other tables, stored with the schema.'),
}))

export const resourceTableName = z.union([
  name,
  functionOf<RecordFunction<string>>('a function that names the table of a record', 'RecordFunction<string>'),
])

export const nestedHints = z
  .record(
    z.string(),
    strictObject(() => ({ table_name: key(name, 'Name of the nested table.'), ...tableHints() })),
  )
  .meta({ id: 'nested_hints' })
