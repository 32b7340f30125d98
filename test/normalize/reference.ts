import { type Coerced, coerce, type JsonScalar } from '../../src/normalize/exact/coerce.js'
import { isoTimestampMicros } from '../../src/normalize/exact/isoText.js'
import type { Naming } from '../../src/schema/naming.js'
import type { DataType } from '../../src/schema/schemaTypes.js'
import type { Cell, DecodedRow } from './decode.js'

/** A JSON value that remembers how it is written: members may repeat keys, numbers are texts. */
export type Model =
  | { readonly kind: 'null' }
  | { readonly kind: 'bool'; readonly value: boolean }
  | { readonly kind: 'bigint' | 'double'; readonly literal: string }
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'list'; readonly elements: readonly Model[] }
  | { readonly kind: 'object'; readonly members: readonly (readonly [key: string, value: Model])[] }

export interface ReferenceTable {
  readonly columns: Map<string, DataType>
  readonly rows: DecodedRow[]
}

export class ReferenceFailure extends Error {}

interface Row {
  readonly cells: Map<string, Model>
  readonly lists: Map<string, { readonly path: readonly string[]; readonly elements: readonly Model[] }>
}

/**
 * The relational rules written down once more, as simply as they can be: whole records in memory, one after the other.
 * Types of values are left to `coerce`, which has tests of its own.
 */
export class Reference {
  readonly tables = new Map<string, ReferenceTable>()
  readonly #naming: Naming

  constructor(naming: Naming) {
    this.#naming = naming
  }

  record(table: string, record: Model): void {
    const members = record.kind === 'object' ? record.members : [['value', record] as const]
    this.#write([table], this.#flatten(members), undefined)
  }

  #flatten(members: readonly (readonly [string, Model])[]): Row {
    const row: Row = { cells: new Map(), lists: new Map() }
    const open = [{ path: [] as readonly string[], members }]
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      for (const [key, value] of new Map(next.members)) {
        const path = [...next.path, this.#fragment(key)]
        if (value.kind === 'object') open.push({ path, members: value.members })
        else if (value.kind === 'list') row.lists.set(path.join('\0'), { path, elements: value.elements })
        else row.cells.set(this.#naming.shortenFragments(...path), value)
      }
    }
    return row
  }

  #fragment(key: string): string {
    if (key.trim() === '') return '_empty'
    return this.#naming.path(key) || this.#naming.identifier(key)
  }

  #write(path: readonly string[], { cells, lists }: Row, index: number | undefined): void {
    const table = this.#table(this.#naming.shortenFragments(...path))
    const row: DecodedRow = {}
    for (const [name, model] of cells) this.#cell(table, row, name, model)
    const made = index === undefined ? ['_dlt_load_id', '_dlt_id'] : ['_dlt_parent_id', '_dlt_list_idx', '_dlt_id']
    for (const name of made) if (!table.columns.has(name)) table.columns.set(name, 'text')
    if (index !== undefined) row._dlt_list_idx = index
    table.rows.push(row)
    const counts = new Map<string, number>()
    for (const list of lists.values()) {
      const childPath = [...path, ...list.path]
      const child = this.#naming.shortenFragments(...childPath)
      const first = counts.get(child) ?? 0
      for (const [at, element] of list.elements.entries()) this.#write(childPath, this.#element(element), first + at)
      counts.set(child, first + list.elements.length)
    }
  }

  #element(element: Model): Row {
    if (element.kind === 'object') return this.#flatten(element.members)
    return this.#flatten([[element.kind === 'list' ? 'list' : 'value', element]])
  }

  #table(name: string): ReferenceTable {
    const known = this.tables.get(name)
    if (known !== undefined) return known
    const table: ReferenceTable = { columns: new Map(), rows: [] }
    this.tables.set(name, table)
    return table
  }

  #cell(table: ReferenceTable, row: DecodedRow, name: string, model: Model): void {
    if (model.kind === 'null') return
    const value = model as JsonScalar
    const main = converted(table, name, value)
    const column = main === undefined ? this.#naming.shortenFragments(name, `v_${value.kind}`) : name
    const cell = main ?? converted(table, column, value)
    if (cell === undefined) throw new ReferenceFailure(`${column} takes no ${value.kind}`)
    table.columns.set(column, cell.type)
    Object.defineProperty(row, column, { value: shown(cell), enumerable: true, configurable: true, writable: true })
  }
}

interface Fitted {
  readonly type: DataType
  readonly value: Coerced
}

function converted(table: ReferenceTable, name: string, value: JsonScalar): Fitted | undefined {
  const detected = value.kind === 'text' && isoTimestampMicros(value.text) !== undefined ? 'timestamp' : undefined
  const type = table.columns.get(name) ?? detected ?? value.kind
  const fitted = coerce(value, type, {})
  if (type === 'bigint' && typeof fitted === 'bigint' && fitted !== BigInt.asIntN(64, fitted)) return undefined
  return fitted === undefined ? undefined : { type, value: fitted }
}

function shown({ type, value }: Fitted): Cell {
  if (typeof value !== 'bigint') return typeof value === 'string' ? value.replace(/\p{Surrogate}/gu, '\ufffd') : value
  if (type !== 'timestamp') return Number.isSafeInteger(Number(value)) ? Number(value) : value
  const micros = ((value % 1_000_000n) + 1_000_000n) % 1_000_000n
  const seconds = Number((value - micros) / 1_000_000n)
  return `${new Date(seconds * 1000).toISOString().slice(0, 19)}.${String(micros).padStart(6, '0')}Z`
}
