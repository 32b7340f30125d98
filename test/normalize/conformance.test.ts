import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import type { TableHints } from '../../src/model/source.js'
import type { DataType, Schema } from '../../src/schema/schemaTypes.js'
import { cloneSchema } from '../../src/schema/stored/document.js'
import type { DecodedRow } from './decode.js'
import { load } from './harness.js'

/** Cases of one resource without requests that matter here: what their tables are depends on the normaliser alone. */
const TAGS = new Set(
  'nested types variants text numbers naming columns hints empty javascript json unicode lists bigint'.split(' '),
)
const folder = new URL('../conformance/cases/', import.meta.url)

interface Document {
  readonly name: string
  readonly tags: readonly string[]
  readonly config?: { readonly resources: readonly Record<string, unknown>[] }
  readonly source?: unknown
  readonly runs: readonly Run[]
}
interface Run {
  readonly config?: unknown
  readonly exchanges: readonly { readonly response: { readonly json?: { data?: unknown }; readonly text?: string } }[]
  readonly expect: {
    readonly tables?: Readonly<
      Record<string, { readonly columns: readonly ExpectedColumn[]; readonly rows: readonly Row[] }>
    >
    readonly error?: { readonly code: string; readonly contains?: readonly string[] }
    readonly warnings?: readonly { readonly code: string; readonly contains?: readonly string[] }[]
  }
}
interface ExpectedColumn {
  readonly name: string
  readonly type: string
}
type Row = Readonly<Record<string, unknown>>

const KNOWN_KEYS = new Set(['name', 'endpoint', 'columns', 'max_table_nesting'])

const cases = readdirSync(folder)
  .map(file => JSON.parse(readFileSync(new URL(file, folder), 'utf8')) as Document)
  .filter(({ tags, config, source, runs }) => {
    const resource = config?.resources.length === 1 ? config.resources[0] : undefined
    const plain = resource !== undefined && Object.keys(resource).every(key => KNOWN_KEYS.has(key))
    return (
      plain && source === undefined && tags.some(tag => TAGS.has(tag)) && runs.every(run => pageOf(run) !== undefined)
    )
  })

function pageOf({ exchanges, config }: Run): string | undefined {
  const response = exchanges[0]?.response
  if (config !== undefined || exchanges.length !== 1 || response === undefined) return undefined
  if (Array.isArray(response.json?.data)) return JSON.stringify(response.json.data)
  const text = response.text?.match(/^\{"data":(\[.*\])\}$/s)?.[1]
  return text === undefined || text.includes('"data":') ? undefined : text
}

function hintsOf(resource: Readonly<Record<string, unknown>>): TableHints {
  const columns = resource.columns as { name?: string; data_type?: DataType }[] | Record<string, object> | undefined
  const nesting = resource.max_table_nesting
  return {
    ...(columns === undefined
      ? {}
      : {
          columns: Array.isArray(columns)
            ? columns.map(column => ({ name: '', ...column }))
            : Object.entries(columns).map(([name, hints]) => ({ name, ...hints })),
        }),
    ...(typeof nesting === 'number' ? { maxTableNesting: nesting } : {}),
  }
}

describe('conformance cases of one resource', () => {
  it.each(cases.map(document => [document.name, document] as const))('%s', (_, document) => {
    const resource = document.config?.resources[0] ?? {}
    const table = String(resource.name)
    let schema: Schema | undefined
    const rows = new Map<string, Row[]>()
    for (const run of document.runs) {
      const page = pageOf(run) ?? ''
      const options = {
        table,
        hints: hintsOf(resource),
        nulInText: false,
        ...(schema === undefined ? {} : { schema: cloneSchema(schema) }),
      }
      const { error, warnings = [], tables } = run.expect
      if (error !== undefined) {
        const failure = thrown(() => load([page], options))
        expect(failure).toMatchObject({ code: error.code })
        for (const word of error.contains ?? []) expect(String(failure)).toContain(word)
        continue
      }
      const loaded = load([page], options)
      schema = loaded.schema
      for (const { code, contains = [] } of warnings) {
        const found = loaded.warnings.filter(warning => warning.code === code)
        expect(found.some(({ message }) => contains.every(word => message.includes(word)))).toBe(true)
      }
      for (const [name, found] of loaded.tables) {
        rows.set(name, [...(rows.get(name) ?? []), ...found.map(row => comparable(row))])
      }
      if (tables === undefined) continue
      expect([...rows.keys()].sort()).toEqual(Object.keys(tables).sort())
      for (const [name, expected] of Object.entries(tables)) {
        expect([...(schema.tables.get(name)?.columns.keys() ?? [])], name).toEqual(
          expected.columns.map(one => one.name),
        )
        expect(sorted(rows.get(name) ?? [])).toEqual(
          sorted(expected.rows.map(row => expectedRow(row, expected.columns))),
        )
      }
    }
  })
})

/** The row as cases have it, without ids and place. */
function comparable(row: DecodedRow): Row {
  const entries = Object.entries(row).filter(([name]) => !ID_NAMES.has(name))
  return Object.fromEntries(entries.map(([name, cell]) => [name, comparableCell(cell)]))
}

const ID_NAMES = new Set(['_dlt_id', '_dlt_parent_id', '_dlt_root_id', '_dlt_load_id', '_parent'])

function comparableCell(cell: DecodedRow[string]): unknown {
  if (typeof cell === 'bigint') return { $bigint: String(cell) }
  if (typeof cell === 'number')
    return Number.isFinite(cell) ? cell + 0 : { $double: String(cell).toLowerCase().replace('infinity', 'inf') }
  if (cell instanceof Uint8Array) return { $base64: Buffer.from(cell).toString('base64') }
  return typeof cell === 'object' ? cell.json : cell
}

/** As batches have it: the scale of decimals and the lack of a time zone are the destination's. */
function expectedRow(row: Row, columns: readonly ExpectedColumn[]): Row {
  const types = new Map(columns.map(({ name, type }) => [name, type]))
  const entries = Object.entries(row).filter(([name]) => !ID_NAMES.has(name))
  return Object.fromEntries(
    entries.map(([name, value]) => {
      const type = types.get(name) ?? ''
      if (typeof value !== 'string') return [name, value]
      if (type.startsWith('DECIMAL')) return [name, value.replace(/0+$/, '')]
      return [name, type.startsWith('TIMESTAMP') && !value.endsWith('Z') ? `${value}Z` : value]
    }),
  )
}

function sorted(rows: readonly Row[]): string[] {
  return rows.map(row => canonical(row)).sort()
}

function canonical(value: unknown): string {
  if (typeof value === 'number') return String(value + 0)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return JSON.stringify(value)
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${members.map(([key, member]) => `${JSON.stringify(key)}:${canonical(member)}`).join()}}`
}

function thrown(work: () => unknown): unknown {
  try {
    work()
  } catch (error) {
    return error
  }
  return undefined
}
