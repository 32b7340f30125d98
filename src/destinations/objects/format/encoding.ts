import { ConfigError } from '../../../model/errors.js'
import { lineage } from '../../../schema/lineage.js'
import type { ReadonlySchema } from '../../../schema/schemaTypes.js'
import type { CommittedTable, Snapshot } from '../dataset/committedDataset.js'
import { type Compression, compressionOfKey, type FileFormatName, fileFormats } from './formats.js'

/** How the files of one table are written. */
export interface Encoding {
  readonly format: FileFormatName
  readonly compression: Compression
}

/** What the options of a destination say of its files; what they leave out is decided for each table. */
export type EncodingOptions = { readonly [key in keyof Encoding]?: Encoding[key] | undefined }

export const DEFAULT_FORMAT: FileFormatName = 'parquet'

/**
 * How the rows of a table are written: as the options say, else as the table's `file_format` says, else as the files that
 * are there already, else as Parquet. dlt reads all files of a table as one format, the first one's: a table that holds
 * two can be read by it no more.
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
  const { compressions } = fileFormats[format]
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

/** The format that a table or the nearest table above it asks for, where files can have it. */
function formatHint(schema: ReadonlySchema, name: string): FileFormatName | undefined {
  const hint = lineage(schema, name).find(table => table.file_format !== undefined)?.file_format
  return typeof hint === 'string' && Object.hasOwn(fileFormats, hint) ? (hint as FileFormatName) : undefined
}

/** The newest file of the table, else of one that follows the others as well. */
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
