import { numberLiteral, setNumberLiteral } from '../../../json/value.js'
import type { ColumnSchema } from '../../../schema/schemaTypes.js'
import type {
  ColumnConfig,
  ColumnsConfig,
  EndpointConfig,
  ResourceConfig,
  ResourceDefaultsConfig,
} from '../declaration/configTypes.js'
import type { PropertyPath } from '../problems.js'

/** A resource merged over the document's defaults. */
export interface MergedResource {
  readonly name: string
  readonly at: PropertyPath
  readonly keys: Omit<ResourceConfig, 'endpoint' | 'columns'>
  readonly columns: readonly ColumnSchema[] | undefined
  /** As written, for checks. */
  readonly ownColumns: WrittenColumns
  readonly defaultColumns: WrittenColumns
  readonly endpoint: EndpointConfig & { readonly path: string }
  /** Where a key was written: in the resource or in the defaults. */
  where(...keys: readonly (string | number)[]): PropertyPath
}

type ResourceEntry = string | ResourceConfig

/**
 * Keys of the resource replace those of the defaults, including `null`. Columns merge hint by hint, `params`, `json`
 * and `mask` key by key. A path in the defaults has no effect, because every resource has one.
 */
export function mergeResource(
  entry: ResourceEntry,
  at: PropertyPath,
  defaults: ResourceDefaultsConfig | null | undefined,
): MergedResource {
  const written: ResourceConfig = typeof entry === 'string' ? { name: entry } : entry
  const ownEndpoint: EndpointConfig =
    typeof written.endpoint === 'string' ? { path: written.endpoint } : (written.endpoint ?? {})
  const defaultEndpoint: EndpointConfig = defaults?.endpoint ?? {}
  const merged = overlay(defaults ?? {}, written)
  if (defaults?.mask && written.mask) Object.assign(merged, { mask: overlay(defaults.mask, written.mask) })
  const endpoint = overlay(defaultEndpoint, ownEndpoint)
  for (const key of ['params', 'json'] as const) {
    const [base, over] = [defaultEndpoint[key], ownEndpoint[key]]
    if (base && over) Object.assign(endpoint, { [key]: overlay(base, over) })
  }
  return {
    name: written.name,
    at,
    keys: merged,
    columns: mergeColumns(defaults?.columns, written.columns),
    ownColumns: written.columns,
    defaultColumns: defaults?.columns,
    endpoint: { ...endpoint, path: ownEndpoint.path ?? written.name },
    where(...keys) {
      const [first, second] = keys
      if (typeof entry === 'string') return isSet(defaults, keys) ? ['resource_defaults', ...keys] : at
      if (first === 'endpoint' && second === 'path') {
        if (typeof written.endpoint === 'string') return [...at, 'endpoint']
        return isSet(written, keys) ? [...at, ...keys] : [...at, 'name']
      }
      if (first === 'endpoint' && typeof written.endpoint === 'string') {
        return isSet(defaults, keys) ? ['resource_defaults', ...keys] : [...at, 'endpoint']
      }
      const depth = second === 'params' || second === 'json' ? 3 : first === 'endpoint' || first === 'mask' ? 2 : 1
      const decisive = keys.slice(0, depth)
      return !isSet(written, decisive) && isSet(defaults, decisive) ? ['resource_defaults', ...keys] : [...at, ...keys]
    },
  }
}

/** The same resource with other keys of its endpoint, which are written at `at`. `params` and `json` merge key by key. */
export function withEndpoint(merged: MergedResource, written: EndpointConfig, at: PropertyPath): MergedResource {
  const base = merged.endpoint
  const endpoint = overlay(base, written)
  for (const key of ['params', 'json'] as const) {
    const [before, over] = [base[key], written[key]]
    if (before && over) Object.assign(endpoint, { [key]: overlay(before, over) })
  }
  return {
    ...merged,
    endpoint: { ...endpoint, path: written.path ?? base.path },
    where(...keys) {
      const [first, ...rest] = keys
      const depth = rest[0] === 'params' || rest[0] === 'json' ? 2 : 1
      return first === 'endpoint' && isSet(written, rest.slice(0, depth)) ? [...at, ...rest] : merged.where(...keys)
    },
  }
}

/** Undefined keys count as absent. Numbers keep their spelling. */
function overlay<Base extends object, Over extends object>(base: Base, over: Over): Base & Over {
  const entries = Object.entries(over).filter(([, value]) => value !== undefined)
  const merged = Object.fromEntries([...Object.entries(base), ...entries])
  for (const [key] of Object.entries(base)) setNumberLiteral(merged, key, numberLiteral(base, key))
  for (const [key] of entries) setNumberLiteral(merged, key, numberLiteral(over, key))
  return merged as Base & Over
}

function isSet(root: unknown, keys: readonly (string | number)[]): boolean {
  let value = root
  for (const key of keys) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return false
    value = (value as Record<string | number, unknown>)[key]
  }
  return value !== undefined
}

type WrittenColumns = ColumnsConfig | null | undefined

function mergeColumns(base: WrittenColumns, over: WrittenColumns): readonly ColumnSchema[] | undefined {
  if (over === null) return undefined
  if (over === undefined) return base == null ? undefined : [...byName(base).values()]
  const merged = base == null ? new Map<string, ColumnSchema>() : byName(base)
  for (const [name, hints] of byName(over)) {
    const known = merged.get(name)
    // A column that gets its type here is now complete, so it moves to the end.
    if (known?.data_type === undefined && hints.data_type !== undefined) merged.delete(name)
    merged.set(name, { ...known, ...hints })
  }
  return [...merged.values()]
}

/** The hints of a map or list, by name. If a name occurs twice, the later entry wins. */
export function byName(written: ColumnsConfig): Map<string, ColumnSchema> {
  const found = new Map<string, ColumnSchema>()
  const entries: readonly (readonly [string, ColumnConfig | null])[] = Array.isArray(written)
    ? written.map(hints => [hints.name ?? '', hints] as const)
    : Object.entries(written)
  for (const [name, hints] of entries) found.set(name, { ...found.get(name), name, ...hintsWithValue(hints) })
  return found
}

/** Without the name, which is the key. */
function hintsWithValue(hints: ColumnConfig | null): Omit<ColumnSchema, 'name'> {
  const present = Object.entries(hints ?? {}).filter(([key, value]) => key !== 'name' && value != null)
  return Object.fromEntries(present) as Omit<ColumnSchema, 'name'>
}
