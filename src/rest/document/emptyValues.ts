import { type JsonObject, keepNumberLiterals } from '../../json/value.js'
import { isPlain } from './references.js'

/**
 * A copy of the document without the values that dlt treats as absent. dlt tests `if total_path:`, and documents from
 * its generators use `""` for open values. Only such keys are changed; other empty texts stay. Numbers keep their
 * spelling. Other values are left to the shape check.
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

/** dlt's name for a resource with an empty name, also in tables and state. */
const UNNAMED = 'paginate_resource'

type Change = (value: unknown) => unknown
type Changes = Readonly<Record<string, Change>>

const absent: Change = value => (value === '' ? null : value)

function resource(written: unknown): unknown {
  if (written === '') return { name: UNNAMED, endpoint: { path: '' } }
  if (!isPlain(written)) return written
  const changed = change(written, { endpoint, table_name: absent })
  if (written.name !== '') return changed
  // Without a path, the name would become the path.
  const own = changed.endpoint
  const located = own == null ? { path: '' } : isPlain(own) && own.path == null ? { ...own, path: '' } : own
  return { ...changed, name: UNNAMED, endpoint: located }
}

const endpoint: Change = written => inMap(written, { paginator, incremental, params })

const incremental: Change = written => {
  if (isPlain(written) && Object.keys(written).length === 0) return null
  return inMap(written, { start_param: absent, end_param: absent })
}

/** An incremental used as a parameter cannot have an end. dlt accepts an explicitly empty end, so it is removed. */
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

/** Names of which one is empty because the other is given. */
const pairs = [
  ['page_param', 'page_body_path'],
  ['offset_param', 'offset_body_path'],
  ['limit_param', 'limit_body_path'],
  ['cursor_param', 'cursor_body_path'],
] as const

const paginator: Change = written => {
  if (!isPlain(written)) return written
  const changes: Record<string, Change> = {
    total_path: absent,
    has_more_path: absent,
    done_path: absent,
    total_header: absent,
  }
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
