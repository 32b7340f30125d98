import { isUtf8 } from 'node:buffer'
import type { ColumnBatch } from '../model/batch.js'
import { DataError } from '../model/errors.js'
import type { WarningCode } from '../model/events.js'
import { isComplete, markSeenData } from '../schema/columns.js'
import type { Naming } from '../schema/naming.js'
import type { ColumnSchema, Schema, SchemaContract } from '../schema/schemaTypes.js'
import { type CellLimits, CellRules } from './exact/cells.js'
import { Evolver } from './exact/evolve.js'
import { excerpt, isListTree, isObjectTree, type Tree } from './exact/tree.js'
import { GIVE_UP, Kernel } from './kernel/kernel.js'
import { type Family, Walk } from './kernel/walk.js'
import { LoadShapes, type RootFamily } from './tables/loadShapes.js'
import { keyIdOfBytes, recordIdOfBytes, textValue } from './tables/rowIds.js'
import type { TableWriter } from './tables/tableWriter.js'

const DEFAULT_BATCH_ROWS = 61_440
/**
 * A batch of many bytes ends before its rows are complete, the sooner the longer they are. Including the piece of a page
 * added before the next check, a text column stays within one block of 32 MB, or of 8 MB. The kernel's memory has
 * blocks of powers of two.
 */
const BATCH_BYTES = 24 << 20
const LONG_ROWS_BATCH_BYTES = 7 << 20
const LONG_ROW_BYTES = 4096
/** For all tables together: a load of many tables with long rows does not hold a full batch for each. */
const BATCHES_BYTES = 48 << 20

export interface NormalizerOptions {
  /** It evolves: tables and columns are added. */
  readonly schema: Schema
  readonly naming: Naming
  readonly loadId: string
  readonly warn: (code: WarningCode, message: string, resource?: string) => void
  /** The contract of a root table and its nested tables. Default: everything may evolve. */
  readonly contract?: ((table: string) => SchemaContract) | undefined
  /**
   * Levels of nested tables. Deeper objects and lists stay whole as JSON. Default: the schema's setting, else 1,000. A
   * table's own hint overrides it.
   */
  readonly maxNesting?: number | undefined
  /** Texts may hold U+0000. If not, it is removed, with one warning for each column. */
  readonly nulInText: boolean
  /** Most columns of a table, default 10,000. */
  readonly maxColumns?: number | undefined
  /** Digits and scale of decimal columns without such hints. More digits than that are an error. */
  readonly decimals: CellLimits['decimals']
  /**
   * Rows of a full batch, default 61,440. A record's rows are never split, so a batch may hold more. It holds fewer if
   * their values take more than 24 MiB, or 7 MiB with rows of more than 4 kB.
   */
  readonly batchRows?: number | undefined
}

/** The results for the records of one page. */
export interface WriteCounts {
  readonly records: number
  /** Rows of any table that the contract rejected. Rows below a discarded row are not counted. */
  readonly discardedRows: number
  /** Values that the contract rejected in rows that stayed. */
  readonly discardedValues: number
}

/** Turns pages of records into column batches of dlt's tables while the schema evolves. Each load has its own. */
export interface Normalizer {
  /**
   * Adds the records of a page, or a piece of one with `before` earlier records. `table` is a root table: its name is
   * normalised, and the schema already has it with its hints. `records` is the UTF-8 text of one JSON array. Fails with
   * a DataError, SchemaError or RequestError (invalid JSON) that names table, column and value. Do not use the
   * normaliser after that.
   */
  write(table: string, records: Uint8Array, before?: number): WriteCounts
  /** The full batches, or everything that is left. The next call reuses their buffers. */
  take(all?: boolean): ColumnBatch[]
  /** Rows written so far, by table. Omits tables without rows. */
  rows(): ReadonlyMap<string, number>
  /** Columns created for values that did not fit the column of their key, by table. */
  variants(): ReadonlyMap<string, readonly string[]>
  /** By root table: columns of its primary key or merge key with a value that was stored as another value would be. */
  changedKeys(): ReadonlyMap<string, readonly string[]>
  /**
   * Call it once, after the last page. Marks tables that have seen data. Warns of columns that were only null, or were
   * declared and never came.
   */
  finish(): void
}

/** A normaliser for one load. */
export function createNormalizer(options: NormalizerOptions): Normalizer {
  return new LoadNormalizer(options)
}

class LoadNormalizer implements Normalizer {
  readonly #shapes: LoadShapes
  readonly #cells: CellRules
  readonly #walk: Walk
  readonly #evolver: Evolver
  readonly #loadId: Uint8Array
  readonly #batchRows: number
  readonly #families = new Map<RootFamily, Family>()
  readonly #ready: ColumnBatch[] = []
  /** Buffers of ready batches, and of those that the caller has. */
  #readyBuffers: Uint8Array[] = []
  #lent: Uint8Array[] = []
  /** Records of the page before those that are written. */
  #recordsBefore = 0
  /** Resource of the page, for warnings. */
  #resource: string | undefined

  constructor(options: NormalizerOptions) {
    const { schema, naming, loadId, maxNesting, maxColumns, contract } = options
    const kernel = new Kernel(() => this.#walk)
    this.#shapes = new LoadShapes({ kernel, schema, naming, loadId, maxNesting, maxColumns, contract })
    this.#cells = new CellRules(options, (code, message) => options.warn(code, message, this.#resource))
    this.#walk = new Walk(kernel, this.#cells, options.nulInText)
    this.#evolver = new Evolver(this.#shapes, this.#cells)
    this.#loadId = textValue(loadId)
    this.#batchRows = options.batchRows ?? DEFAULT_BATCH_ROWS
  }

  write(table: string, records: Uint8Array, before = 0): WriteCounts {
    const family = this.#family(table)
    this.#recordsBefore = before
    const walk = this.#walk
    this.#resource = family.table.schema.resource
    const rowsBefore = this.#walk.discardedRows + this.#evolver.discardedRows
    const valuesBefore = this.#cells.discardedValues
    walk.setPage(this.#validText(table, records), family.table.rootIdKind === 'key' ? family.keys.length : 0)
    const firstRow = family.table.cutRows + family.table.rows
    for (const one of family.tables) one.mark()
    this.#readRecords(family, firstRow)
    for (const one of family.tables) this.#checkNotNull(one, family, firstRow)
    return {
      records: walk.records,
      discardedRows: walk.discardedRows + this.#evolver.discardedRows - rowsBefore,
      discardedValues: this.#cells.discardedValues - valuesBefore,
    }
  }

  /** The page as valid UTF-8. */
  #validText(table: string, records: Uint8Array): Uint8Array {
    if (isUtf8(records)) return records
    this.#cells.warnOnce('text_changed', table, `Pages of ${table}: bytes that are not UTF-8 were replaced by U+FFFD`)
    return Buffer.from(Buffer.from(records.buffer, records.byteOffset, records.length).toString('utf8'))
  }

  #family(table: string): Family {
    const shapes = this.#shapes.family(table)
    const known = this.#families.get(shapes)
    if (known !== undefined) return known
    const family: Family = { ...shapes, rootId: this.#rootId(shapes) }
    this.#families.set(shapes, family)
    return family
  }

  #rootId({ table, keys }: RootFamily): Family['rootId'] {
    const walk = this.#walk
    if (table.rootIdKind === 'row') {
      return (row, start, end) => table.ids.set(row, recordIdOfBytes(walk.slice(start, end)))
    }
    if (table.rootIdKind === 'random') return undefined
    return row => {
      table.ids.set(
        row,
        keyIdOfBytes(table.name, keys, slot => walk.keyValue(slot)),
      )
    }
  }

  #readRecords(family: Family, firstRow: number): void {
    const walk = this.#walk
    walk.reader.expect(0x5b)
    let open = !walk.reader.accept(0x5d)
    walk.position = walk.reader.position
    while (open) {
      try {
        if (walk.walk(family, this.#batchRows)) {
          open = false
        } else {
          const full = family.tables.filter(table => table.rows >= this.#batchRows)
          for (const table of full) this.#checkNotNull(table, family, firstRow)
          this.#cut(full)
        }
      } catch (error) {
        if (error !== GIVE_UP) throw error
        walk.rollback(family)
        open = this.#readExactly(family)
      }
    }
    const { reader } = walk
    reader.position = walk.position
    reader.skipSpace()
    if (!walk.atEnd(reader.position)) throw reader.malformed()
  }

  /** Reads one record in the exact way. False at the end of the list. */
  #readExactly(family: Family): boolean {
    const walk = this.#walk
    walk.reader.position = walk.recordStart
    const record = walk.reader.read()
    this.#evolver.record(family.root, record)
    for (const table of family.tables) table.mark()
    const { reader } = walk
    const more = reader.accept(0x2c)
    if (!more) reader.expect(0x5d)
    walk.passRecord(reader.position)
    return more
  }

  #checkNotNull(table: TableWriter, family: Family, firstRow: number): void {
    if (table.rows === 0) return
    for (const column of table.schema.columns.values()) {
      if (column.nullable !== false || this.#isMade(table, column.name)) continue
      const writer = table.known(column.name)
      const row = writer === undefined ? 0 : writer.firstGap(table.rows)
      if (row >= 0) throw this.#nullError(table, column, family, row, firstRow)
    }
  }

  #isMade(table: TableWriter, column: string): boolean {
    const { id, loadId, parentId, listIndex, rootId } = this.#shapes.names
    if (column === rootId) return table.hasRootIds
    if (table.parent === undefined) return column === id || column === loadId
    return column === id || column === parentId || column === listIndex
  }

  #nullError(table: TableWriter, column: ColumnSchema, family: Family, row: number, firstRow: number): DataError {
    const isKey = column.primary_key === true || column.merge_key === true
    const rule = isKey ? `is part of the ${column.primary_key ? 'primary' : 'merge'} key` : 'must not be null'
    const index = table.cutRows + row - firstRow
    const record = table === family.table ? this.#recordAt(index, family, firstRow) : undefined
    const misfit = record === undefined ? undefined : this.#misfit(record, column)
    const culprit =
      record === undefined
        ? 'a row has no value for it'
        : `record ${this.#recordsBefore + index + 1} of the page has ${misfit ?? 'no value'} for it: ${excerpt(record)}`
    return new DataError(
      isKey ? 'primary_key' : 'not_null',
      `Column ${table.name}.${column.name} ${rule}${misfit === undefined || column.data_type === undefined ? '' : ` and has the type ${column.data_type}`}, but ${culprit}${this.#remedy(table, column, misfit)}`,
      { resource: this.#resource, path: `${table.name}.${column.name}` },
    )
  }

  /** The record's value for the column that did not fit it. */
  #misfit(record: Tree, column: ColumnSchema): string | undefined {
    const value = isObjectTree(record) ? this.#shapes.valueOf(record, column.name) : undefined
    if (value === undefined || value === null) return undefined
    if (isObjectTree(value)) return 'an object'
    return isListTree(value) ? 'a list' : `the ${typeof value === 'string' ? 'text' : 'value'} ${excerpt(value)}`
  }

  #remedy(table: TableWriter, column: ColumnSchema, misfit: string | undefined): string {
    if (misfit !== undefined && column.data_type !== undefined) {
      return '; make the values of one type with a `map` step, or declare the column as text and load into a new table'
    }
    const letters = (name: string): string => name.toLowerCase().replace(/[^\p{L}\p{Nd}]/gu, '')
    const near = [...table.schema.columns.keys()].find(
      name => name !== column.name && letters(name) === letters(column.name),
    )
    return near === undefined ? '' : `; did you mean ${near}?`
  }

  /** The record of the `index`th root row of the page. Undefined if rows were discarded. */
  #recordAt(index: number, { table }: Family, firstRow: number): Tree | undefined {
    const { reader, records } = this.#walk
    if (index < 0 || table.cutRows + table.rows - firstRow !== records) return undefined
    reader.position = 0
    reader.expect(0x5b)
    for (let skipped = 0; skipped < index; skipped++) {
      reader.read()
      reader.expect(0x2c)
    }
    return reader.read()
  }

  take(all = false): ColumnBatch[] {
    for (const buffer of this.#lent) this.#shapes.pool.release(buffer)
    this.#cut(all ? [...this.#shapes.writers].filter(table => table.rows > 0) : this.#full())
    this.#lent = this.#readyBuffers
    this.#readyBuffers = []
    return this.#ready.splice(0)
  }

  /** Tables with enough rows or bytes for a batch. If all together hold too many bytes, the largest ones. */
  #full(): readonly TableWriter[] {
    const full: TableWriter[] = []
    const others: { readonly table: TableWriter; readonly bytes: number }[] = []
    let rest = 0
    for (const table of this.#shapes.writers) {
      const bytes = table.valueBytes
      const most = bytes > table.rows * LONG_ROW_BYTES ? LONG_ROWS_BATCH_BYTES : BATCH_BYTES
      if (table.rows >= this.#batchRows || bytes >= most) full.push(table)
      else {
        others.push({ table, bytes })
        rest += bytes
      }
    }
    if (rest < BATCHES_BYTES) return full
    others.sort((a, b) => b.bytes - a.bytes)
    for (const { table, bytes } of others) {
      full.push(table)
      rest -= bytes
      if (rest < BATCHES_BYTES / 2) break
    }
    return full
  }

  #cut(tables: readonly TableWriter[]): void {
    for (const table of tables) table.root.resolveIds()
    for (const table of tables) this.#ready.push(table.cut(this.#shapes.names, this.#loadId, this.#readyBuffers))
  }

  rows(): ReadonlyMap<string, number> {
    const rows = new Map<string, number>()
    for (const table of this.#shapes.writers) {
      if (table.cutRows + table.rows > 0) rows.set(table.name, table.cutRows + table.rows)
    }
    return rows
  }

  variants(): ReadonlyMap<string, readonly string[]> {
    return this.#shapes.variants
  }

  changedKeys(): ReadonlyMap<string, readonly string[]> {
    const changed = new Map<string, readonly string[]>()
    for (const { name, parent, schema } of this.#shapes.writers) {
      if (parent !== undefined) continue
      const columns = [...(this.#cells.changedColumns.get(name) ?? [])]
      const keys = columns.filter(name => {
        const column = schema.columns.get(name)
        return column?.primary_key === true || column?.merge_key === true
      })
      if (keys.length > 0) changed.set(name, keys)
    }
    return changed
  }

  finish(): void {
    for (const table of this.#shapes.writers) {
      if (table.cutRows + table.rows === 0) continue
      this.#resource = table.schema.resource
      for (const column of table.schema.columns.values()) {
        if (isComplete(column) || this.#shapes.hasInner(table.name, column.name)) continue
        this.#cells.warnOnce(
          'null_only_column',
          `${table.name}.${column.name}`,
          `Column ${table.name}.${column.name} is declared without a type and no record had a value for it`,
        )
      }
      markSeenData(table.schema)
    }
    this.#resource = undefined
    for (const [table, columns] of this.#shapes.onlyNull()) {
      const [first, ...others] = columns
      const named = others.length === 0 ? `Column ${table}.${first} was` : `Columns ${listed(columns)} of ${table} were`
      const rest = others.length === 0 ? 'its type is unknown and it was' : 'their types are unknown and they were'
      this.#cells.warnOnce('null_only_column', table, `${named} null in every record, so ${rest} not created`)
    }
  }
}

const MOST_LISTED = 20

function listed(names: readonly string[]): string {
  const more = names.length - MOST_LISTED
  return more <= 0 ? names.join(', ') : `${names.slice(0, MOST_LISTED).join(', ')} and ${more} more`
}
