import type { JsonValue } from '../../json/value.js'
import { isJsonObject } from '../../json/value.js'
import { SchemaError } from '../../model/errors.js'
import { conditionProblem, SCOPE_PLACEHOLDERS } from '../mergeConditions.js'
import { rootOf } from '../rootKey.js'
import {
  CONTRACT_ENTITIES,
  CONTRACT_MODES,
  DATA_TYPES,
  MERGE_STRATEGIES,
  type ReadonlyColumn,
  type ReadonlySchema,
  type ReadonlyTable,
  WRITE_DISPOSITIONS,
} from '../schemaTypes.js'

/** What a run will do with a root table and its nested tables. */
export interface TableUse {
  readonly merges: boolean
  /** Whether the run gives the strategy. Otherwise the stored one counts. */
  readonly givesStrategy: boolean
}

/**
 * Fails with a {@link SchemaError} if a stored schema or schema file has an unknown setting that decides which rows a
 * load leaves behind. A newer tool may have written it, and ignoring it would silently load wrong rows. `uses`: root
 * tables that the run may write. `tableFormats`: formats that the destination can write, if they matter there.
 * Descriptive hints are ignored.
 */
export function refuseUnknown(
  schema: ReadonlySchema,
  uses: ReadonlyMap<string, TableUse>,
  tableFormats?: readonly string[],
): void {
  const refuse = (where: string, what: string, table?: string): never => {
    throw new SchemaError(
      'schema',
      `The stored schema ${schema.name} says of ${where}: ${what}. That is not known here, and rows would be loaded otherwise than it says. Load with the tool that wrote it, or a newer version of this one`,
      table === undefined ? undefined : { table },
    )
  }
  refuseUnknownSettings(schema, refuse)
  for (const table of schema.tables.values()) {
    const refuseTable: Refusal = (where, what) => refuse(where, what, table.name)
    refuseUnknownTable(table, refuseTable)
    const use = uses.get(rootOf(schema, table))
    if (use === undefined) continue
    refuseUnknownUse(table, use, refuseTable)
    const { table_format: format } = table
    if (typeof format === 'string' && tableFormats?.includes(format) === false)
      refuseTable(`table ${table.name}`, shown('table_format', format))
  }
}

type Refusal = (where: string, what: string) => never

const has = <T extends string>(known: readonly T[], value: unknown): value is T =>
  typeof value === 'string' && (known as readonly string[]).includes(value)

const settings = ['detections', 'default_hints', 'preferred_types', 'schema_contract']
const detections = ['timestamp', 'iso_timestamp', 'iso_date', 'large_integer', 'hexbytes_to_text', 'wei_to_double']
const normalizers = [
  'names',
  'json',
  'detections',
  'allow_identifier_change_on_table_with_data',
  'use_break_path_on_normalize',
]
const normalizerModule = 'dlt.common.normalizers.json.relational'
const normalizerConfigs = ['max_nesting', 'propagation', 'root_key_propagation']

/** Values that ask for nothing. dlt writes them for open settings. */
const isOpen = (value: unknown): boolean => value === undefined || value === null || value === false

function refuseUnknownSettings(schema: ReadonlySchema, refuse: Refusal): void {
  const check = (where: string, object: JsonValue | undefined, known: readonly string[]): void => {
    for (const [key, value] of entries(object)) if (!has(known, key) && !isOpen(value)) refuse(where, shown(key, value))
  }
  check('its settings', schema.settings, settings)
  for (const detection of list(schema.settings.detections))
    if (!has(detections, detection)) refuse('its detections', JSON.stringify(detection))
  for (const [pattern, type] of entries(schema.settings.preferred_types))
    if (!has(DATA_TYPES, type)) refuse('its preferred types', shown(pattern, type))
  refuseUnknownContract('its settings', schema.settings.schema_contract, refuse)
  check('its normalizers', schema.normalizers, normalizers)
  const json = isJsonObject(schema.normalizers.json) ? schema.normalizers.json : {}
  if (json.module !== undefined && json.module !== normalizerModule)
    refuse('its normalizers', shown('json.module', json.module))
  check('its normalizers', json.config, normalizerConfigs)
}

function refuseUnknownTable(table: ReadonlyTable, refuse: Refusal): void {
  const where = `table ${table.name}`
  const { write_disposition: disposition } = table
  if (!isOpen(disposition) && !has(WRITE_DISPOSITIONS, disposition))
    refuse(where, shown('write_disposition', disposition as JsonValue | undefined))
  refuseUnknownContract(where, table.schema_contract, refuse)
  for (const column of table.columns.values())
    refuseUnknownColumn(`column ${table.name}.${column.name}`, column, refuse)
}

function refuseUnknownColumn(where: string, { data_type, dedup_sort }: ReadonlyColumn, refuse: Refusal): void {
  if (!isOpen(data_type) && !has(DATA_TYPES, data_type)) refuse(where, shown('data_type', data_type))
  if (!isOpen(dedup_sort) && dedup_sort !== 'asc' && dedup_sort !== 'desc')
    refuse(where, shown('dedup_sort', dedup_sort))
}

function refuseUnknownContract(where: string, contract: unknown, refuse: Refusal): void {
  if (isOpen(contract)) return
  const modes = isJsonObject(contract) ? Object.entries(contract) : [['', contract] as const]
  for (const [entity, mode] of modes) {
    if (entity !== '' && !has(CONTRACT_ENTITIES, entity)) refuse(where, shown(`schema_contract.${entity}`, mode))
    if (!isOpen(mode) && !has(CONTRACT_MODES, mode)) refuse(where, shown('schema_contract', mode))
  }
}

/** Checks what matters only if the run writes rows. */
function refuseUnknownUse(table: ReadonlyTable, { merges, givesStrategy }: TableUse, refuse: Refusal): void {
  const where = `table ${table.name}`
  for (const kind of ['excludes', 'includes'])
    if (list(isJsonObject(table.filters) ? table.filters[kind] : undefined).length > 0)
      refuse(where, `rows are left out by filters.${kind}`)
  if (!merges) return
  for (const [key, value] of Object.entries(table)) {
    if (!key.startsWith('x-merge-') || isOpen(value)) continue
    if (key === 'x-merge-strategy') {
      if (givesStrategy || has(MERGE_STRATEGIES, value)) continue
      refuse(where, `${shown(key, value)} (a strategy in the resource’s write_disposition would take its place)`)
    }
    if (table.parent !== undefined || !isMergeOption(key, value)) refuse(where, shown(key, value))
  }
}

/** Whether an option of a merge is known, and one that can be used. */
function isMergeOption(key: string, value: unknown): boolean {
  if (key === 'x-merge-skip-unchanged-rows') return value === true
  if (typeof value !== 'string') return false
  if (key === 'x-merge-source-filter') return conditionProblem(value) === undefined
  return key === 'x-merge-destination-scope' && conditionProblem(value, SCOPE_PLACEHOLDERS) === undefined
}

const entries = (value: unknown): [string, JsonValue][] => (isJsonObject(value) ? Object.entries(value) : [])

const list = (value: unknown): readonly JsonValue[] => (Array.isArray(value) ? value : [])

const shown = (key: string, value: unknown): string => `${key}: ${JSON.stringify(value)}`
