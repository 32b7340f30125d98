import type { JsonValue } from '../../../json/value.js'
import type { DispositionHint, TableHints } from '../../../model/source.js'
import { conditionProblem, OPTION_STRATEGIES, SCOPE_PLACEHOLDERS } from '../../../schema/mergeConditions.js'
import type { ContractMode, SchemaContract } from '../../../schema/schemaTypes.js'
import { unknownKey } from '../checkShape.js'
import type {
  ColumnsConfig,
  NestedHintConfig,
  SchemaContractConfig,
  WriteDispositionConfig,
} from '../declaration/configTypes.js'
import { columnKeys } from '../declaration/hintKeys.js'
import type { Problems, PropertyPath } from '../problems.js'
import { byName, type MergedResource } from './mergeResource.js'

/** The hints of a resource and of its nested tables. */
export function hintsOf(merged: MergedResource, problems: Problems): TableHints {
  const { keys } = merged
  const nested = keys.nested_hints ?? {}
  checkColumns(merged, problems)
  const nestedEntries = Object.entries(nested).map(([path, hints]) => {
    const at = merged.where('nested_hints', path)
    checkColumnKeys(hints.columns, [...at, 'columns'], problems)
    checkNestedOptions(hints, at, problems)
    return [path, { ...commonHints(hints, [...at], problems), ...nestedOnly(hints) }] as const
  })
  return {
    ...commonHints(keys, key => merged.where(key), problems),
    tableName: keys.table_name ?? undefined,
    columns: merged.columns,
    nestedHints: nestedEntries.length === 0 ? undefined : Object.fromEntries(nestedEntries),
  }
}

function nestedOnly(hints: NestedHintConfig): TableHints {
  return {
    tableName: hints.table_name ?? undefined,
    columns: hints.columns == null ? undefined : [...byName(hints.columns).values()],
  }
}

function commonHints(
  keys: Omit<NestedHintConfig, 'table_name' | 'columns'>,
  where: PropertyPath | ((key: string) => PropertyPath),
  problems: Problems,
): TableHints {
  const at = (key: string): PropertyPath => (typeof where === 'function' ? where(key) : [...where, key])
  return {
    writeDisposition: dispositionOf(keys.write_disposition, at('write_disposition'), problems),
    primaryKey: keyNames(keys.primary_key),
    mergeKey: keyNames(keys.merge_key),
    schemaContract: contractOf(keys.schema_contract),
    maxTableNesting: keys.max_table_nesting ?? undefined,
    tableFormat: keys.table_format ?? undefined,
    fileFormat: keys.file_format ?? undefined,
    references: (keys.references as JsonValue | null | undefined) ?? undefined,
  }
}

/** Empty text and an empty list mean: no key. */
function keyNames(names: string | readonly string[] | null | undefined): readonly string[] | undefined {
  if (names == null) return undefined
  const list = [names].flat().filter(name => name !== '')
  return list.length === 0 ? undefined : list
}

export function contractOf(
  contract: SchemaContractConfig | null | undefined,
): ContractMode | Partial<SchemaContract> | undefined {
  if (contract == null || typeof contract === 'string') return contract ?? undefined
  const modes = Object.entries(contract).filter(([, mode]) => mode != null)
  return Object.fromEntries(modes) as Partial<SchemaContract>
}

function dispositionOf(
  written: WriteDispositionConfig | null | undefined,
  at: PropertyPath,
  problems: Problems,
): DispositionHint | undefined {
  if (written == null) return undefined
  if (typeof written === 'string') return { disposition: written }
  const strategy = written.strategy ?? undefined
  if (strategy !== undefined && written.disposition !== 'merge') {
    problems.add([...at, 'strategy'], 'needs `disposition: merge`')
  }
  checkMergeOptions(written, at, problems)
  for (const timestamp of ['active_record_timestamp', 'boundary_timestamp'] as const) {
    const value = written[timestamp]
    if (value != null && Number.isNaN(Date.parse(value))) {
      problems.add([...at, timestamp], 'expected a timestamp such as `2024-01-31T12:00:00Z`')
    }
  }
  return {
    disposition: written.disposition,
    strategy,
    deduplicated: written.deduplicated ?? undefined,
    validityColumnNames: written.validity_column_names ?? undefined,
    activeRecordTimestamp: written.active_record_timestamp,
    boundaryTimestamp: written.boundary_timestamp,
    rowVersionColumnName: written.row_version_column_name ?? undefined,
    sourceFilter: written.source_filter ?? undefined,
    destinationScope: written.destination_scope ?? undefined,
    skipUnchangedRows: written.skip_unchanged_rows ?? undefined,
  }
}

/** A nested table without keys of its own is loaded with its parent, whose options count. */
function checkNestedOptions(hints: NestedHintConfig, at: PropertyPath, problems: Problems): void {
  const { write_disposition: written } = hints
  if (written == null || typeof written === 'string') return
  if ((keyNames(hints.primary_key) ?? keyNames(hints.merge_key)) !== undefined) return
  for (const option of ['source_filter', 'destination_scope', 'skip_unchanged_rows'] as const) {
    if (!written[option]) continue
    const message = 'needs a `primary_key` or `merge_key` of the nested table, which is else loaded with its parent'
    problems.add([...at, 'write_disposition', option], message)
  }
}

type WrittenDisposition = Exclude<WriteDispositionConfig, string>

/** Which strategies take an option is known only where the strategy is written: another one may be stored. */
function checkMergeOptions(written: WrittenDisposition, at: PropertyPath, problems: Problems): void {
  const { disposition, strategy, source_filter: filter, destination_scope: scope } = written
  for (const option of ['source_filter', 'destination_scope', 'skip_unchanged_rows'] as const) {
    if (!written[option]) continue
    const takers: readonly string[] = OPTION_STRATEGIES[option]
    if (disposition !== 'merge') problems.add([...at, option], 'needs `disposition: merge`')
    else if (strategy == null)
      problems.add([...at, option], `needs a strategy; write \`strategy: ${takers[0]}\` beside it`)
    else if (!takers.includes(strategy)) problems.add([...at, option], notTaken(strategy, takers))
  }
  const takers: readonly string[] = OPTION_STRATEGIES.row_version_column_name
  if (written.row_version_column_name && strategy != null && !takers.includes(strategy)) {
    problems.add([...at, 'row_version_column_name'], notTaken(strategy, takers))
  }
  const wrongFilter = filter == null ? undefined : conditionProblem(filter)
  if (wrongFilter !== undefined) problems.add([...at, 'source_filter'], wrongFilter)
  const wrongScope = scope == null ? undefined : conditionProblem(scope, SCOPE_PLACEHOLDERS)
  if (wrongScope !== undefined) problems.add([...at, 'destination_scope'], wrongScope)
}

function notTaken(strategy: string, takers: readonly string[]): string {
  return `has no effect with the strategy ${strategy}; use ${takers.join(', ')}, or leave it out`
}

/** Own and default columns are merged. Each is checked where it was written. */
function checkColumns(merged: MergedResource, problems: Problems): void {
  checkColumnKeys(merged.ownColumns, [...merged.at, 'columns'], problems)
  checkColumnKeys(merged.defaultColumns, ['resource_defaults', 'columns'], problems)
}

function checkColumnKeys(columns: ColumnsConfig | null | undefined, at: PropertyPath, problems: Problems): void {
  if (columns == null) return
  for (const [position, hints] of Object.entries(columns)) {
    if (hints === null) continue
    const here = [...at, Array.isArray(columns) ? Number(position) : position]
    if (Array.isArray(columns) && hints.name == null) problems.add([...here, 'name'], 'is missing; expected text')
    for (const key of Object.keys(hints)) {
      if (!columnKeys().includes(key) && !key.startsWith('x-')) {
        problems.add([...here, key], unknownKey(key, columnKeys(), here))
      }
    }
  }
}
