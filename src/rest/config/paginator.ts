import { paginatorKinds } from '../paginators/index.js'
import type { Paginator } from '../types.js'
import { checkShape } from './check.js'
import type { PaginatorConfig } from './declaration.js'
import type { PaginatorModel } from './model.js'
import type { Problems } from './problems.js'
import { formatPath, type PropertyPath } from './propertyPath.js'

/** Undefined where none is configured: `auto` and null leave the choice to what comes next in line. */
export function paginatorOf(
  written: PaginatorConfig | null | undefined,
  at: PropertyPath,
  problems: Problems,
): PaginatorModel | undefined {
  if (written == null || written === 'auto') return undefined
  const path = formatPath(at)
  if (typeof (written as Paginator).next === 'function') {
    return { kind: 'custom', paginator: written as Paginator, path }
  }
  const config = typeof written === 'string' ? { type: written } : (written as Readonly<Record<string, unknown>>)
  if (config.type === 'auto') return undefined
  const kind = paginatorKinds.find(({ type, aliases }) => type === config.type || aliases.includes(String(config.type)))
  if (kind === undefined || problems.has(at)) return undefined
  const checked = kind.schema.safeParse(config)
  if (!checked.success) {
    checkShape(kind.schema, config, at, problems)
    return undefined
  }
  return { kind: 'declared', type: kind.type, config: checked.data, path }
}
