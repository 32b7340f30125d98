import { ConfigError } from '../../../model/errors.js'
import { lineage } from '../../../schema/rootKey.js'
import type { ReadonlySchema } from '../../../schema/schemaTypes.js'
import type { CommittedTable, Snapshot } from '../dataset/committedDataset.js'
import {
  COMPRESSIONS,
  DEFAULT_FORMAT,
  type Encoding,
  type EncodingOptions,
  type FileFormatName,
} from './fileEncoding.js'
import { compressionOfKey } from './formats.js'

/**
 * How to write the rows of a table. In this order: the options, the table's `file_format`, the format of its existing
 * files, Parquet. dlt reads all files of a table in the format of the first one, so it cannot read a table with two
 * formats.
 */
export function encodingOf(
  table: string,
  schema: ReadonlySchema,
  { tables }: Pick<Snapshot, 'tables'>,
  options: EncodingOptions,
): Encoding {
  const hinted = options.format ?? formatHint(schema, table)
  const example = exampleFile(table, schema, tables)
  const format = hinted ?? example?.format ?? DEFAULT_FORMAT
  const compressions = COMPRESSIONS[format]
  const [standard = 'none'] = compressions
  if (options.compression === undefined) {
    const follows = options.format === undefined && example?.format === format
    const found = follows ? compressionOfKey(example.key) : undefined
    return { format, compression: found ?? standard }
  }
  if (compressions.includes(options.compression)) return { format, compression: options.compression }
  const message = `table ${table} is kept as ${format}, which knows no ${options.compression}: name one of ${compressions.join(', ')}, or name the format of all tables`
  throw new ConfigError([{ place: { path: 'compression' }, message }])
}

/** The format set on a table or the nearest table above it, if files support it. */
function formatHint(schema: ReadonlySchema, name: string): FileFormatName | undefined {
  const hint = lineage(schema, name).find(table => table.file_format !== undefined)?.file_format
  return typeof hint === 'string' && Object.hasOwn(COMPRESSIONS, hint) ? (hint as FileFormatName) : undefined
}

/** The newest file of the table, else of another table without its own format. */
function exampleFile(name: string, schema: ReadonlySchema, tables: Snapshot['tables']) {
  const newest = (table: CommittedTable | undefined) => table?.files.at(-1)
  const own = newest(tables.get(name))
  if (own !== undefined) return own
  for (const table of tables.values()) {
    const file = formatHint(schema, table.name) === undefined ? newest(table) : undefined
    if (file !== undefined) return file
  }
  return undefined
}
