import { ConfigError } from '../../model/errors.js'
import { hasSeenData, isComplete, variantOf } from '../columns.js'
import type { ReadonlySchema } from '../schemaTypes.js'
import { type ColumnFacts, columnFacts, readColumnFacts } from './columnFacts.js'

/** What consumers of a dataset rely on: its tables with their columns, each as one line of facts. */
export type LockedTables = ReadonlyMap<string, ReadonlyMap<string, string>>

/** How a schema differs from a lock. */
export interface LockChange {
  /** `breaking`: a query that worked may fail, or find other rows. */
  readonly severity: 'breaking' | 'notice'
  readonly what: 'new' | 'gone' | 'type' | 'nullability' | 'keys'
  /** A table, or `table.column`. */
  readonly place: string
  /** As the lock has it. */
  readonly before?: string | undefined
  readonly now?: string | undefined
}

/**
 * The tables that have held rows, and their columns with a type, in alphabetical order. What is Sluice's own is left
 * out: tables and columns that begin with `_dlt`.
 */
export function lockedTables(schema: ReadonlySchema): LockedTables {
  const tables = [...schema.tables.values()].filter(table => hasSeenData(table) && !isOwn(table.name))
  return new Map(
    tables.sort(byName).map(({ name, columns }) => {
      const shown = [...columns.values()].filter(column => isComplete(column) && !isOwn(column.name))
      return [name, new Map(shown.sort(byName).map(column => [column.name, columnFacts(column)]))]
    }),
  )
}

const isOwn = (name: string): boolean => name.startsWith('_dlt')

function byName({ name: left }: { readonly name: string }, { name: right }: { readonly name: string }): number {
  if (left < right) return -1
  return left > right ? 1 : 0
}

const VERSION = 1

/** A lock as the text of a file for Git: one line for each column. */
export async function lockText(pipeline: string, tables: LockedTables): Promise<string> {
  const { stringify } = await import('yaml')
  const document = new Map<string, unknown>([
    ['version', VERSION],
    ['tables', tables],
  ])
  const about = `The tables of the pipeline ${pipeline.replace(/\s+/g, ' ')}. \`sluice schema accept\` writes this file.`
  return `# ${about}\n${stringify(document, { lineWidth: 0, aliasDuplicateObjects: false })}`
}

/** Reads what {@link lockText} writes, with later edits. Fails with a ConfigError that names `file`. */
export async function readLockText(text: string, file: string): Promise<LockedTables> {
  const { parse } = await import('yaml')
  const refused = (why: string): ConfigError =>
    new ConfigError([
      { place: { path: '', file }, message: `${why}; fix it, or delete it and run \`sluice schema lock\`` },
    ])
  let document: unknown
  try {
    document = parse(text, { mapAsMap: true, uniqueKeys: true, maxAliasCount: 0, logLevel: 'silent' })
  } catch (error) {
    throw refused(`cannot be read: ${(error as Error).message.split('\n')[0]}`)
  }
  if (!(document instanceof Map) || !(document.get('tables') instanceof Map)) throw refused('has no `tables`')
  const other = [...document.keys()].find(key => key !== 'version' && key !== 'tables')
  if (other !== undefined) throw refused(`has something else beside its tables: ${String(other).slice(0, 40)}`)
  if (document.get('version') !== VERSION) throw refused(`is not a lock of version ${VERSION}`)
  const tables = new Map<string, ReadonlyMap<string, string>>()
  for (const [table, columns] of document.get('tables') as ReadonlyMap<unknown, unknown>) {
    if (!(columns instanceof Map)) throw refused(`has no columns for the table ${table}`)
    const lines = new Map<string, string>()
    for (const [column, line] of columns as ReadonlyMap<unknown, unknown>) {
      if (typeof line !== 'string' || readColumnFacts(line) === undefined)
        throw refused(`does not say the type of ${table}.${column}`)
      lines.set(String(column), line)
    }
    tables.set(String(table), lines)
  }
  return tables
}

/** What is otherwise than in the lock, table by table. */
export function lockChanges(locked: LockedTables, now: LockedTables): readonly LockChange[] {
  const names = [...new Set([...locked.keys(), ...now.keys()])].sort()
  return names.flatMap((table): readonly LockChange[] => {
    const [before, after] = [locked.get(table), now.get(table)]
    if (before === undefined) return [{ severity: 'notice', what: 'new', place: table }]
    if (after === undefined) return [{ severity: 'breaking', what: 'gone', place: table }]
    const columns = [...new Set([...before.keys(), ...after.keys()])].sort()
    return columns.flatMap((name): readonly LockChange[] => {
      const place = `${table}.${name}`
      const [was, now] = [before.get(name), after.get(name)]
      // Values that no longer fit a column go into this one.
      const isVariant = was === undefined && variantOf(name, column => before.has(column)) !== undefined
      return isVariant ? [{ severity: 'breaking', what: 'new', place, now }] : columnChanges(place, was, now)
    })
  })
}

function columnChanges(place: string, before: string | undefined, now: string | undefined): readonly LockChange[] {
  if (before === undefined) return [{ severity: 'notice', what: 'new', place, now }]
  if (now === undefined) return [{ severity: 'breaking', what: 'gone', place, before }]
  const [was, is] = [readColumnFacts(before), readColumnFacts(now)]
  if (was === undefined || is === undefined) return []
  const changes: LockChange[] = []
  if (was.type !== is.type) changes.push({ severity: 'breaking', what: 'type', place, before: was.type, now: is.type })
  if (was.isNullable !== is.isNullable)
    changes.push({ severity: 'notice', what: 'nullability', place, before: nullsOf(was), now: nullsOf(is) })
  if (was.keys.join() !== is.keys.join())
    changes.push({ severity: 'breaking', what: 'keys', place, before: keysOf(was), now: keysOf(is) })
  return changes
}

const nullsOf = ({ isNullable }: ColumnFacts): string => (isNullable ? 'nullable' : 'not null')
const keysOf = ({ keys }: ColumnFacts): string => (keys.length === 0 ? 'none' : keys.join(', '))

/** A change on one line: `~ breaking: type orders.id: bigint → text`. */
export function describeLockChange({ severity, what, place, before, now }: LockChange): string {
  const sign = what === 'new' ? '+' : what === 'gone' ? '-' : '~'
  const fact = before !== undefined && now !== undefined ? `: ${before} → ${now}` : ` (${before ?? now ?? 'table'})`
  return `${sign} ${severity}: ${what} ${place}${fact}`
}
