import { type JsonObject, keepNumberLiterals } from '../../json/value.js'
import { isPlain } from './references.js'

/**
 * A copy of the document in which values that Python takes for absent are absent: dlt asks `if total_path:`, and the
 * documents that its generators write say `""` for what is left open. Only where dlt asks so; an empty text elsewhere is
 * one. Numbers keep their spelling. Whatever else the document holds is left to the check of its shape.
 */
export function withoutEmptyValues(document: unknown): unknown {
  if (!isPlain(document)) return document
  const copy = change(document, {
    client: client => inMap(client, { paginator }),
    resource_defaults: defaults => inMap(defaults, { endpoint }),
    resources: resources => (Array.isArray(resources) ? resources.map(resource) : resources),
  })
  keepNumberLiterals(document as JsonObject, copy)
  return copy
}

/** What dlt calls a resource whose name is empty, in tables and state too. */
const UNNAMED = 'paginate_resource'

type Change = (value: unknown) => unknown
type Changes = Readonly<Record<string, Change>>

const absent: Change = value => (value === '' ? null : value)

function resource(written: unknown): unknown {
  if (written === '') return { name: UNNAMED, endpoint: { path: '' } }
  if (!isPlain(written)) return written
  const changed = change(written, { endpoint, table_name: absent })
  if (written.name !== '') return changed
  // The path is the name where there is none.
  const own = changed.endpoint
  const located = own == null ? { path: '' } : isPlain(own) && own.path == null ? { ...own, path: '' } : own
  return { ...changed, name: UNNAMED, endpoint: located }
}

const endpoint: Change = written => inMap(written, { paginator, incremental, params })

const incremental: Change = written => {
  if (isPlain(written) && Object.keys(written).length === 0) return null
  return inMap(written, { start_param: absent, end_param: absent })
}

/** A cursor in the place of a parameter has no end; dlt takes one that says so. */
const params: Change = written => {
  if (!isPlain(written)) return written
  const entries = Object.entries(written).map(([name, value]) => [name, endless(value)] as const)
  return Object.fromEntries(entries)
}

function endless(value: unknown): unknown {
  if (!isPlain(value) || value.type !== 'incremental') return value
  const isOpen = ([key, part]: readonly [string, unknown]): boolean =>
    (key === 'end_value' && part === null) || (key === 'end_param' && (part === null || part === ''))
  return Object.fromEntries(Object.entries(value).filter(entry => !isOpen(entry)))
}

/** Names of which one is left empty because the other is given. */
const pairs = [
  ['page_param', 'page_body_path'],
  ['offset_param', 'offset_body_path'],
  ['limit_param', 'limit_body_path'],
  ['cursor_param', 'cursor_body_path'],
] as const

const paginator: Change = written => {
  if (!isPlain(written)) return written
  const changes: Record<string, Change> = { total_path: absent, has_more_path: absent }
  for (const [one, other] of pairs) {
    if (isGiven(written[other])) changes[one] = absent
    if (isGiven(written[one])) changes[other] = absent
  }
  return change(written, changes)
}

const isGiven = (value: unknown): boolean => value != null && value !== ''

function inMap(value: unknown, changes: Changes): unknown {
  return isPlain(value) ? change(value, changes) : value
}

function change(value: Readonly<Record<string, unknown>>, changes: Changes): Record<string, unknown> {
  const entries = Object.entries(value).map(([key, part]) => [
    key,
    Object.hasOwn(changes, key) ? (changes[key] as Change)(part) : part,
  ])
  return Object.fromEntries(entries)
}
