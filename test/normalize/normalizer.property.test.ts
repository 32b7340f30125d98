import { describe, expect, it } from 'vitest'
import { nestedId } from '../../src/normalize/tables/rowIds.js'
import { naming } from '../../src/schema/naming.js'
import fc from '../properties.js'
import type { DecodedRow } from './decode.js'
import { columnNames, type Loaded, load, withoutIds } from './harness.js'
import { records, written } from './models.js'
import { type Model, Reference, ReferenceFailure } from './reference.js'

const RUNS = Number(process.env.SLUICE_PROPERTY_RUNS ?? 300)

/** Text, split into pages at random. */
function pagesOf(models: readonly Model[], choose: () => number): string[] {
  const pages: Model[][] = [[]]
  for (const model of models) {
    if (choose() < 0.2) pages.push([])
    pages.at(-1)?.push(model)
  }
  return pages.map(page => written({ kind: 'list', elements: page }, choose))
}

function chooser(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0
    return (state >>> 0) / 2 ** 32
  }
}

function reference(models: readonly Model[]): Reference | ReferenceFailure {
  const made = new Reference(naming('snake_case'))
  try {
    for (const model of models) made.record('items', model)
    return made
  } catch (error) {
    if (error instanceof ReferenceFailure) return error
    throw error
  }
}

function loaded(pages: readonly string[], batchRows: number): Loaded | unknown {
  try {
    return load(pages, { batchRows })
  } catch (error) {
    return error
  }
}

function multiset(rows: readonly DecodedRow[]): string[] {
  return rows.map(row => JSON.stringify(Object.entries(row).sort(), (_, cell) => shown(cell))).sort()
}

function shown(cell: unknown): unknown {
  if (typeof cell === 'bigint') return `${cell}n`
  if (typeof cell === 'number' && (!Number.isFinite(cell) || Object.is(cell, -0))) return `number ${cell}`
  return cell
}

/** Every nested row has the id that its parent, table and index give it, and its parent exists. */
function checkIds(tables: ReadonlyMap<string, readonly DecodedRow[]>): void {
  const ids = new Set<unknown>()
  for (const [name, rows] of tables) {
    for (const row of rows) {
      expect(ids.has(row._dlt_id), `${name} ${row._dlt_id}`).toBe(false)
      ids.add(row._dlt_id)
    }
  }
  for (const [name, rows] of tables) {
    for (const { _dlt_id, _dlt_parent_id, _dlt_list_idx } of rows) {
      if (_dlt_parent_id === undefined) continue
      expect(ids.has(_dlt_parent_id)).toBe(true)
      expect(_dlt_id).toBe(nestedId(String(_dlt_parent_id), name, Number(_dlt_list_idx)))
    }
  }
}

describe('normaliser and reference', () => {
  it('agree on tables, columns and rows, however the text is spelled, paged and batched', () => {
    fc.assert(
      fc.property(records, fc.nat(), fc.integer({ min: 1, max: 9 }), fc.boolean(), (models, seed, batchRows, twice) => {
        const all = twice ? [...models, ...models] : models
        const expected = reference(all)
        const found = loaded(pagesOf(all, chooser(seed)), batchRows)
        if (expected instanceof ReferenceFailure) {
          expect(found).toMatchObject({ code: 'coercion' })
          return
        }
        if (found instanceof Error) throw found
        const { schema, tables } = found as Loaded
        expect([...tables.keys()].sort()).toEqual([...expected.tables.keys()].sort())
        for (const [name, table] of expected.tables) {
          expect(columnNames(schema, name), name).toEqual([...table.columns.keys()])
          expect(multiset(withoutIds(tables.get(name))), name).toEqual(multiset(table.rows))
        }
        checkIds(tables)
      }),
      { numRuns: RUNS },
    )
  })

  it('agree with JSON.parse on what is JSON', () => {
    fc.assert(
      fc.property(records, fc.nat(), fc.nat(), fc.constantFrom(...MUTATIONS), (models, seed, place, mutation) => {
        const choose = chooser(seed)
        const valid = written({ kind: 'list', elements: models }, choose)
        const at = place % (valid.length + 1)
        const text = mutation(valid, at)
        // The first page makes the walk know the records, the second is read by it.
        const found = loaded([valid, text], 61_440)
        if (found instanceof Error && 'code' in found && found.code === 'response_format') {
          expect(isJsonList(text)).toBe(false)
        } else if (!(found instanceof Error)) expect(isJsonList(text)).toBe(true)
      }),
      { numRuns: RUNS },
    )
  })
})

function isJsonList(text: string): boolean {
  try {
    return Array.isArray(JSON.parse(Buffer.from(text).toString()))
  } catch {
    return false
  }
}

const MUTATIONS: readonly ((text: string, at: number) => string)[] = [
  (text, at) => text.slice(0, at),
  (text, at) => text.slice(0, at) + text.slice(at + 1),
  (text, at) => `${text.slice(0, at)},${text.slice(at)}`,
  (text, at) => `${text.slice(0, at)}"${text.slice(at)}`,
  (text, at) => `${text.slice(0, at)}\\${text.slice(at)}`,
  (text, at) => `${text.slice(0, at)}0${text.slice(at)}`,
  (text, at) => `${text.slice(0, at)}-${text.slice(at)}`,
  (text, at) => `${text.slice(0, at)}e${text.slice(at)}`,
  (text, at) => `${text.slice(0, at)}.${text.slice(at)}`,
  (text, at) => `${text.slice(0, at)}]${text.slice(at)}`,
  (text, at) => `${text.slice(0, at)}\u0001${text.slice(at)}`,
  (text, at) => `${text.slice(0, at)}\0${text.slice(at)}`,
  (text, at) => `${text.slice(0, at)}\u00a0${text.slice(at)}`,
  (text, at) => text.slice(0, at) + text.slice(at, at + 5) + text.slice(at),
]
