import type { TableHints } from '../../src/model/source.js'
import { createNormalizer, type Normalizer, type WriteCounts } from '../../src/normalize/normalizer.js'
import { resolveContract, setSchemaContract } from '../../src/schema/contracts.js'
import { type NamingName, naming } from '../../src/schema/naming.js'
import type { Schema, SchemaContract } from '../../src/schema/schemaTypes.js'
import { newSchema } from '../../src/schema/stored/document.js'
import { applyTableHints } from '../../src/schema/tableHints.js'
import { type DecodedRow, decodeBatches } from './decode.js'

export interface LoadOptions {
  readonly schema?: Schema
  readonly table?: string
  readonly hints?: TableHints
  readonly naming?: NamingName
  readonly maxLength?: number
  readonly maxNesting?: number
  readonly nulInText?: boolean
  readonly batchRows?: number
  readonly schemaContract?: Partial<SchemaContract>
}

export interface Loaded {
  readonly schema: Schema
  /** Data columns and system columns, ids left out. */
  readonly tables: ReadonlyMap<string, readonly DecodedRow[]>
  readonly counts: readonly WriteCounts[]
  readonly warnings: readonly { readonly code: string; readonly message: string }[]
  readonly rows: ReadonlyMap<string, number>
}

export const LOAD_ID = '1700000000.25'

export interface OpenedLoad {
  readonly schema: Schema
  readonly normalizer: Normalizer
  readonly warnings: { readonly code: string; readonly message: string }[]
}

/** A load of one root table, `items` by default. */
export function openLoad(options: LoadOptions = {}): OpenedLoad {
  const convention = naming(options.naming ?? 'snake_case', options.maxLength)
  const schema = options.schema ?? newSchema('s', { naming: convention })
  if (options.schemaContract !== undefined) setSchemaContract(schema, options.schemaContract)
  const table = options.table ?? 'items'
  applyTableHints(schema, { resource: table, table, hints: options.hints ?? {}, naming: convention })
  const warnings: { code: string; message: string }[] = []
  const normalizer = createNormalizer({
    schema,
    naming: convention,
    loadId: LOAD_ID,
    warn: (code, message) => warnings.push({ code, message }),
    contract: name => resolveContract(schema, name),
    nulInText: options.nulInText ?? true,
    decimals: { decimal: [38, 9], wei: [38, 0] },
    maxNesting: options.maxNesting,
    batchRows: options.batchRows,
  })
  return { schema, normalizer, warnings }
}

/** Loads pages, each the text of a JSON array, and decodes all batches. */
export function load(pages: readonly (string | Uint8Array)[], options: LoadOptions = {}): Loaded {
  const { schema, normalizer, warnings } = openLoad(options)
  const tables = new Map<string, DecodedRow[]>()
  const counts: WriteCounts[] = []
  for (const page of pages) {
    counts.push(normalizer.write(options.table ?? 'items', typeof page === 'string' ? Buffer.from(page) : page))
    decodeBatches(normalizer.take(), tables)
  }
  const rows = normalizer.rows()
  decodeBatches(normalizer.take(true), tables)
  normalizer.finish()
  return { schema, tables, counts, warnings, rows }
}

/** Rows without their ids, which are random. */
export function withoutIds(rows: readonly DecodedRow[] | undefined): DecodedRow[] {
  return (rows ?? []).map(row => {
    const { _dlt_id, _dlt_parent_id, _dlt_root_id, _dlt_load_id, ...rest } = row
    return rest
  })
}

export function columnNames(schema: Schema, table: string): string[] {
  return [...(schema.tables.get(table)?.columns.keys() ?? [])]
}
