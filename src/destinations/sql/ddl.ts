import type { InspectedColumn } from '../../model/destination.js'
import { SchemaError } from '../../model/errors.js'
import type { ReadonlyColumn, ReadonlyTable } from '../../schema/schemaTypes.js'
import { CommitTally } from './commitTally.js'
import { type Dialect, hasRow, type SqlSession } from './sqlSession.js'

/** The columns of a table as the transaction sees them. */
export type TargetColumns = NameMap<InspectedColumn>

/** The tables of a dataset as the transaction sees them. Callers that change tables update it. */
export class DatasetTables {
  readonly #session: SqlSession
  readonly #tables: NameMap<TargetColumns>
  /** Names of the schema's tables that were already ensured. */
  readonly #ensured: NameMap<string>
  /** Counts what happens to the tables. */
  readonly tally: CommitTally

  private constructor(session: SqlSession, tables: NameMap<TargetColumns>, tally: CommitTally) {
    this.#session = session
    this.#tables = tables
    this.tally = tally
    this.#ensured = new NameMap(session.dialect.caseSensitive)
  }

  static async inspect(session: SqlSession, tally = new CommitTally()): Promise<DatasetTables> {
    const { caseSensitive } = session.dialect
    const tables = new NameMap<TargetColumns>(caseSensitive)
    for (const [table, columns] of await session.inspect()) tables.set(table, new NameMap(caseSensitive, columns))
    return new DatasetTables(session, tables, tally)
  }

  get(table: string): TargetColumns | undefined {
    return this.#tables.get(table)
  }

  async drop(table: string): Promise<void> {
    if (!this.#tables.has(table)) return
    await this.#session.run(`DROP TABLE ${this.#session.table(table)}`)
    this.#tables.delete(table)
  }

  async empty(table: string): Promise<void> {
    if (!this.#tables.has(table)) return
    this.tally.of(table).deleted += await this.#session.run(`DELETE FROM ${this.#session.table(table)}`)
  }

  /** Creates the table, or adds the columns that it lacks. Never changes existing columns. */
  async ensure(table: ReadonlyTable): Promise<TargetColumns> {
    const other = this.#ensured.get(table.name)
    if (other !== undefined && other !== table.name) throw oneTable(other, table.name)
    this.#ensured.set(table.name, table.name)
    const wanted = [...table.columns.values()].filter(column => column.data_type !== undefined)
    const existing = this.#tables.get(table.name)
    if (existing === undefined) return await this.#create(table.name, wanted)
    const missing = wanted.filter(column => !existing.has(column.name))
    if (missing.length > 0) await this.#add(table.name, existing, missing)
    return existing
  }

  async #create(name: string, columns: readonly ReadonlyColumn[]): Promise<TargetColumns> {
    if (columns.length === 0)
      throw new SchemaError('schema', `Table ${name} has no column with a type`, { table: name })
    const { dialect } = this.#session
    const known: TargetColumns = new NameMap(dialect.caseSensitive)
    for (const column of columns) {
      if (known.has(column.name)) throw oneName(name, column.name)
      known.set(column.name, inspected(dialect, column))
    }
    const definitions = columns.map(column => columnDefinition(dialect, column, column.nullable === false))
    await this.#session.run(`CREATE TABLE ${this.#session.table(name)} (${definitions.join(', ')})`)
    this.#tables.set(name, known)
    this.tally.of(name).isNew = true
    return known
  }

  /** Existing rows have no value, so new columns of a table with rows are nullable. */
  async #add(name: string, existing: TargetColumns, columns: readonly ReadonlyColumn[]): Promise<void> {
    const { dialect } = this.#session
    const table = this.#session.table(name)
    const additions = columns.map(column => `ADD COLUMN ${columnDefinition(dialect, column, false)}`)
    const strict = columns.filter(column => column.nullable === false)
    if (dialect.setsNotNull && strict.length > 0 && !(await hasRow(this.#session, `SELECT 1 FROM ${table}`))) {
      additions.push(...strict.map(column => `ALTER COLUMN ${dialect.identifier(column.name)} SET NOT NULL`))
      for (const column of columns) existing.set(column.name, inspected(dialect, column))
    } else {
      for (const column of columns) existing.set(column.name, { ...inspected(dialect, column), nullable: true })
    }
    const statements = dialect.addsManyColumns ? [additions.join(', ')] : additions
    for (const statement of statements) await this.#session.run(`ALTER TABLE ${table} ${statement}`)
    const tally = this.tally.of(name)
    if (!tally.isNew) tally.newColumns.push(...columns.map(column => column.name))
  }
}

function columnDefinition(dialect: Dialect, column: ReadonlyColumn, notNull: boolean): string {
  const storage = dialect.storage(column)
  return `${dialect.identifier(column.name)} ${columnType(dialect, column)}${storage === '' ? '' : ` ${storage}`}${notNull ? ' NOT NULL' : ''}`
}

/** The engine's type of a column of the schema, whose data type is known. */
export function columnType(dialect: Dialect, column: ReadonlyColumn): string {
  return dialect.typeName(column.data_type ?? 'text', column.precision, column.scale, column.timezone)
}

function inspected(dialect: Dialect, column: ReadonlyColumn): InspectedColumn {
  return { type: columnType(dialect, column), nullable: column.nullable !== false }
}

function oneName(table: string, column: string): SchemaError {
  return new SchemaError(
    'schema',
    `Table ${table} has two columns that differ from ${column} only by case, which are one name to this destination; rename one`,
    { table, column },
  )
}

function oneTable(table: string, other: string): SchemaError {
  return new SchemaError(
    'schema',
    `Tables ${table} and ${other} differ only by case, which are one name to this destination; rename one`,
    { table },
  )
}

/** A map by name, for engines that may ignore case. */
export class NameMap<T> {
  readonly #entries = new Map<string, T>()
  readonly #caseSensitive: boolean

  constructor(caseSensitive: boolean, entries: Iterable<readonly [string, T]> = []) {
    this.#caseSensitive = caseSensitive
    for (const [name, value] of entries) this.set(name, value)
  }

  get size(): number {
    return this.#entries.size
  }

  get(name: string): T | undefined {
    return this.#entries.get(this.#key(name))
  }

  has(name: string): boolean {
    return this.#entries.has(this.#key(name))
  }

  set(name: string, value: T): void {
    this.#entries.set(this.#key(name), value)
  }

  delete(name: string): void {
    this.#entries.delete(this.#key(name))
  }

  #key(name: string): string {
    return this.#caseSensitive ? name : name.toLowerCase()
  }
}

/** A name that no column has, ignoring case. */
export function freeName(base: string, columns: readonly string[]): string {
  const taken = new Set(columns.map(name => name.toLowerCase()))
  let name = base
  while (taken.has(name)) name += '_'
  return name
}

/** The names of a result's columns, each once: later equal ones get a number. */
export function distinctNames(names: readonly string[]): string[] {
  const distinct: string[] = []
  for (const name of names) {
    let free = name
    for (let number = 2; distinct.includes(free); number++) free = `${name}_${number}`
    distinct.push(free)
  }
  return distinct
}
