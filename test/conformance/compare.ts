import { isDeepStrictEqual } from 'node:util'
import type { CellRow, Expect, ExpectedTable, Run, SeenRequest } from './case.js'
import { canonical, type Dataset, nestedId, type RawTable, type StoredTable } from './database.js'
import { samePairs } from './server.js'

const ID_COLUMNS = ['_dlt_id', '_dlt_parent_id', '_dlt_root_id']
const SYSTEM_COLUMNS = [...ID_COLUMNS, '_dlt_load_id', '_dlt_list_idx']

/** Differences between what a run left and what it should have left; empty when they agree. */
export function compareDataset(expect: Expect, actual: Dataset, sourceName: string, deviates: boolean): string[] {
  const problems: string[] = []
  if (expect.loads !== undefined && expect.loads !== actual.loads.size)
    problems.push(`loads: expected ${expect.loads}, found ${actual.loads.size}`)
  if (expect.tables !== undefined) problems.push(...compareTables(expect.tables, actual))
  if (expect.schema !== undefined) problems.push(...compareSchema(expect.schema, actual))
  if (expect.stored_schema !== undefined && actual.schema !== undefined) {
    const { version, version_hash } = actual.schema
    if (!isDeepStrictEqual({ version, version_hash }, expect.stored_schema))
      problems.push(
        `stored_schema: expected ${JSON.stringify(expect.stored_schema)}, found ${JSON.stringify({ version, version_hash })}`,
      )
  }
  if (expect.state !== undefined || (!deviates && expect.error === undefined)) {
    const found = incrementalState(actual, sourceName)
    if (!same(expect.state ?? {}, found))
      problems.push(`state: expected ${JSON.stringify(expect.state ?? {})}, found ${JSON.stringify(found)}`)
  }
  return problems
}

function same(a: unknown, b: unknown): boolean {
  return isDeepStrictEqual(canonical(a), canonical(b))
}

function compareTables(expected: Readonly<Record<string, ExpectedTable>>, actual: Dataset): string[] {
  const problems: string[] = []
  const names = Object.keys(expected).sort()
  const found = [...actual.tables.keys()].sort()
  if (!isDeepStrictEqual(names, found)) problems.push(`tables: expected ${names.join(', ')}; found ${found.join(', ')}`)
  for (const table of names) {
    const raw = actual.tables.get(table)
    const want = expected[table]
    if (raw === undefined || want === undefined) continue
    if (!isDeepStrictEqual(want.columns, raw.columns))
      problems.push(
        `${table} columns:\n  expected ${columnsText(want.columns)}\n  found    ${columnsText(raw.columns)}`,
      )
    problems.push(...compareRows(table, expected, actual), ...checkIds(table, actual))
  }
  return problems
}

function columnsText(columns: RawTable['columns']): string {
  return columns.map(({ name, type, nullable }) => `${name} ${type}${nullable ? '' : ' NOT NULL'}`).join(', ')
}

function parentOf(table: string, tables: readonly string[], actual: Dataset): string | undefined {
  const stored = actual.schema?.tables[table]
  if (stored !== undefined) return stored.parent
  return tables.filter(other => table.startsWith(`${other}__`)).sort((a, b) => b.length - a.length)[0]
}

function compareRows(table: string, expected: Readonly<Record<string, ExpectedTable>>, actual: Dataset): string[] {
  const want = (expected[table]?.rows ?? []).map(row => expectedForm(table, row, expected, actual)).sort()
  const keepIds = keepsIds(table, expected)
  const found = (actual.tables.get(table)?.rows ?? [])
    .map(row => foundForm(table, row, actual, keepIds, expected))
    .sort()
  if (isDeepStrictEqual(want, found)) return []
  const missing = difference(want, found)
  const extra = difference(found, want)
  return [
    `${table} rows:\n  missing ${missing.slice(0, 3).join('\n          ')}\n  extra   ${extra.slice(0, 3).join('\n          ')}`,
  ]
}

function difference(a: readonly string[], b: readonly string[]): string[] {
  const rest = [...b]
  return a.filter(one => {
    const at = rest.indexOf(one)
    if (at >= 0) rest.splice(at, 1)
    return at < 0
  })
}

function keepsIds(table: string, expected: Readonly<Record<string, ExpectedTable>>): boolean {
  return (expected[table]?.rows ?? []).some(row => '_dlt_id' in row)
}

/** A row without its place in the file: sorted keys, its parent spelled out. */
function expectedForm(
  table: string,
  row: CellRow,
  expected: Readonly<Record<string, ExpectedTable>>,
  actual: Dataset,
): string {
  const { _parent, ...own } = row
  const parent = typeof _parent === 'number' ? parentOf(table, Object.keys(expected), actual) : undefined
  const parentRow = parent === undefined ? undefined : expected[parent]?.rows[_parent as number]
  return form(
    own,
    parent !== undefined && parentRow !== undefined ? expectedForm(parent, parentRow, expected, actual) : undefined,
  )
}

function foundForm(
  table: string,
  row: ReadonlyMap<string, unknown>,
  actual: Dataset,
  keepIds: boolean,
  expected: Readonly<Record<string, ExpectedTable>>,
): string {
  const own: Record<string, unknown> = {}
  for (const [column, value] of row) {
    if (column === '_dlt_load_id') own[column] = actual.loads.get(String(value)) ?? 'load:unfinished'
    else if (keepIds || !ID_COLUMNS.includes(column)) own[column] = value
  }
  const parent = row.has('_dlt_parent_id') ? parentOf(table, [...actual.tables.keys()], actual) : undefined
  const parentRow =
    parent === undefined
      ? undefined
      : actual.tables.get(parent)?.rows.find(one => one.get('_dlt_id') === row.get('_dlt_parent_id'))
  if (parent !== undefined && parentRow === undefined) return form(own, 'ORPHAN')
  return form(
    own,
    parent !== undefined && parentRow !== undefined
      ? foundForm(parent, parentRow, actual, keepsIds(parent, expected), expected)
      : undefined,
  )
}

function form(own: Readonly<Record<string, unknown>>, parent: string | undefined): string {
  const sorted = Object.fromEntries(
    Object.keys(own)
      .sort()
      .filter(key => own[key] !== null)
      .map(key => [key, sortKeys(canonical(own[key]))]),
  )
  return JSON.stringify(parent === undefined ? sorted : { ...sorted, _parent: parent })
}

function sortKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortKeys)
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, one]) => [key, sortKeys(one)]),
  )
}

function checkIds(table: string, actual: Dataset): string[] {
  const problems: string[] = []
  const stored: StoredTable | undefined = actual.schema?.tables[table]
  const rows = actual.tables.get(table)?.rows ?? []
  const ids = rows.map(row => row.get('_dlt_id'))
  const versions = stored?.['x-merge-strategy'] === 'scd2' && stored.parent === undefined
  if (ids.includes(undefined) || (!versions && new Set(ids).size !== ids.length))
    problems.push(`${table}: _dlt_id is null or not unique`)
  for (const row of rows) {
    if (!row.has('_dlt_parent_id')) continue
    const want = nestedId(String(row.get('_dlt_parent_id')), table, row.get('_dlt_list_idx'))
    if (row.get('_dlt_id') !== want) {
      problems.push(`${table}: the id of a nested row is ${row.get('_dlt_id')}, not ${want}`)
      break
    }
  }
  return problems
}

function compareSchema(expected: NonNullable<Expect['schema']>, actual: Dataset): string[] {
  const problems: string[] = []
  for (const [table, want] of Object.entries(expected)) {
    const stored = actual.schema?.tables[table]
    if (stored === undefined) {
      problems.push(`schema: table ${table} is missing`)
      continue
    }
    const { columns, name: _name, 'x-normalizer': _normalizer, description: _description, ...hints } = stored
    const { columns: wantColumns, ...wantHints } = want as { columns: Readonly<Record<string, unknown>> }
    if (!same(wantHints, hints))
      problems.push(`schema ${table}: expected ${JSON.stringify(wantHints)}, found ${JSON.stringify(hints)}`)
    const found = Object.entries(columns)
      .filter(([column]) => !SYSTEM_COLUMNS.includes(column))
      .map(([column, { name: _columnName, ...rest }]) => [column, rest] as const)
    if (!same(Object.entries(wantColumns), found))
      problems.push(
        `schema ${table} columns:\n  expected ${JSON.stringify(wantColumns)}\n  found    ${JSON.stringify(Object.fromEntries(found))}`,
      )
  }
  return problems
}

function incrementalState(actual: Dataset, sourceName: string): Record<string, Record<string, unknown>> {
  const sources = actual.state?.sources as
    | Record<string, { resources?: Record<string, { incremental?: Record<string, unknown> }> }>
    | undefined
  const found: Record<string, Record<string, unknown>> = {}
  for (const [resource, state] of Object.entries(sources?.[sourceName]?.resources ?? {})) {
    for (const [cursor, value] of Object.entries(state.incremental ?? {})) {
      const entry = value as { unique_hashes?: string[] }
      found[resource] = {
        ...found[resource],
        [cursor]: { ...entry, unique_hashes: [...(entry.unique_hashes ?? [])].sort() },
      }
    }
  }
  return found
}

/** Differences between the requests that came and those that should have. */
export function compareRequests(run: Run, config: unknown, actual: readonly SeenRequest[]): string[] {
  const expected = run.expect.requests
  if (expected === undefined) return []
  const relevant = configuredHeaders(config)
  if (run.request_order === 'any') {
    const rest = [...actual]
    const missing = expected.filter(want => {
      const at = rest.findIndex(one => sameRequest(want, one, relevant))
      if (at >= 0) rest.splice(at, 1)
      return at < 0
    })
    return missing.length + rest.length === 0 ? [] : [`requests: missing ${show(missing)}, extra ${show(rest)}`]
  }
  const problems: string[] = []
  const key = (request: SeenRequest): string => `${request.origin ?? 'base'} ${request.method} ${request.path}`
  for (const place of new Set([...expected, ...actual].map(key))) {
    const want = expected.filter(request => key(request) === place)
    const found = actual.filter(request => key(request) === place)
    if (
      want.length !== found.length ||
      want.some((one, index) => !sameRequest(one, found[index] as SeenRequest, relevant))
    )
      problems.push(`requests ${place}:\n  expected ${show(want)}\n  found    ${show(found)}`)
  }
  return problems
}

function show(requests: readonly SeenRequest[]): string {
  return `${requests.length} ${JSON.stringify(requests).slice(0, 1500)}`
}

function sameRequest(want: SeenRequest, found: SeenRequest, relevant: ReadonlySet<string>): boolean {
  if (want.method !== found.method || want.path !== found.path || want.status !== found.status) return false
  if (!samePairs(want.query ?? [], found.query ?? [])) return false
  if (!isDeepStrictEqual(want.json, found.json) || want.text !== found.text) return false
  if (!samePairs(want.form ?? [], found.form ?? [])) return false
  for (const header of relevant) {
    const [a, b] = [want.headers?.[header], found.headers?.[header]]
    if ((header === 'content-type' ? a?.split(';')[0] : a) !== (header === 'content-type' ? b?.split(';')[0] : b))
      return false
  }
  return true
}

/** Headers that must agree: credentials, the content type, and whatever the configuration names. */
function configuredHeaders(config: unknown): ReadonlySet<string> {
  const names = new Set(['authorization', 'cookie', 'content-type'])
  const visit = (node: unknown): void => {
    if (Array.isArray(node)) node.forEach(visit)
    else if (node !== null && typeof node === 'object') {
      const entry = node as Record<string, unknown>
      if (entry.headers !== null && typeof entry.headers === 'object')
        for (const header of Object.keys(entry.headers as object)) names.add(header.toLowerCase())
      if (entry.type === 'api_key' && typeof entry.name === 'string' && (entry.location ?? 'header') === 'header')
        names.add(entry.name.toLowerCase())
      Object.values(entry).forEach(visit)
    }
  }
  visit(config)
  return names
}
