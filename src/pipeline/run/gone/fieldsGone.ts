import type { Connection } from '../../../model/destination.js'
import type { Source } from '../../../model/source.js'
import { hasSeenData } from '../../../schema/columns.js'
import type { ReadonlySchema } from '../../../schema/schemaTypes.js'
import { FEWEST, FEWEST_OF_PART, isPart } from './rowsGone.js'

/** Rows of the last load that are looked at. */
const SAMPLE_ROWS = 1_000

/** A field that comes this rarely by chance is told. */
const CHANCE = 1e-4

/** Which columns of a table had a value, in how many rows of a load. */
export class FilledColumns {
  readonly #tables = new Map<string, { rows: number; readonly columns: Set<string> }>()

  /** Rows that are staged. */
  take(table: string, rows: number, columns: readonly { readonly name: string; readonly count: number }[]): void {
    const known = this.#tables.get(table) ?? { rows: 0, columns: new Set() }
    this.#tables.set(table, known)
    known.rows += rows
    for (const { name, count } of columns) if (count > 0) known.columns.add(name)
  }

  get all(): ReadonlyMap<string, { readonly rows: number; readonly columns: ReadonlySet<string> }> {
    return this.#tables
  }
}

interface Loaded {
  readonly source: Source
  /** Before the load. */
  readonly before: ReadonlySchema
  readonly filled: FilledColumns
  /** Tables whose earlier rows make way for those of a list that is read whole. */
  readonly rewritten: ReadonlySet<string>
  /** The last load of the pipeline. */
  readonly loadId: string
  readonly connection: Pick<Connection, 'inspect' | 'read'>
}

/** What to say of a resource whose records lack fields that those of the last load had. */
export interface FieldsGone {
  readonly resource: string
  readonly message: string
}

/**
 * A field that an API stops sending looks like one that is null in each record. Of root tables: what fills them is known by
 * load. It is asked for where it is cheap and news: the table's rows are written anew, or the load brings a column that was
 * not there before. Call it before the commit.
 */
export async function fieldsGone(loaded: Loaded): Promise<readonly FieldsGone[]> {
  const told: FieldsGone[] = []
  for (const [name, { rows, columns }] of loaded.filled.all) {
    const was = loaded.before.tables.get(name)
    if (was === undefined || was.parent !== undefined || !hasSeenData(was) || !was.columns.has('_dlt_load_id')) continue
    const resource = was.resource ?? name
    if (rows < (isPart(loaded.source, resource) ? FEWEST_OF_PART : FEWEST)) continue
    const added = [...columns].filter(column => !was.columns.has(column))
    const absent = [...was.columns.values()]
      .filter(column => column.data_type !== undefined && isOfApi(column.name) && !columns.has(column.name))
      .map(column => column.name)
      // Its values go into another column, which a warning of its own tells.
      .filter(column => !added.some(other => other.startsWith(`${column}__v_`)))
    if (absent.length === 0 || (added.length === 0 && !loaded.rewritten.has(name))) continue
    const gone = await goneOf(loaded, name, absent, rows)
    if (gone.length === 0) continue
    const fields = gone.map(({ column, share }) => `${column} (in ${Math.round(share * 100)} % of the last load)`)
    const news = added.length === 0 ? '' : `, and these are new: ${added.slice(0, MOST_NAMED).join(', ')}`
    const message = `${resource}: ${rows} rows of ${name} arrived, and none has a value of ${fields.slice(0, MOST_NAMED).join(', ')}${fields.length > MOST_NAMED ? `, … (${fields.length} columns)` : ''}${news}. The API may no longer send it, or call it otherwise: look at its answers`
    told.push({ resource, message })
  }
  return told
}

const MOST_NAMED = 5

function isOfApi(column: string): boolean {
  return !column.startsWith('_dlt') && !column.startsWith('_sluice')
}

/** The columns that so many rows cannot lack by chance, with their share of filled rows in the last load. */
async function goneOf(
  { connection, loadId }: Loaded,
  table: string,
  columns: readonly string[],
  rows: number,
): Promise<readonly { readonly column: string; readonly share: number }[]> {
  const there = (await connection.inspect()).get(table)
  const known = columns.filter(column => there?.has(column))
  if (known.length === 0) return []
  const where = [{ column: '_dlt_load_id', operator: '=', value: loadId }] as const
  const counts = new Map<string, number>()
  let sample = 0
  for await (const batch of connection.read({ table, columns: known, where, limit: SAMPLE_ROWS })) {
    sample += batch.length
    for (const row of batch)
      for (const column of known) if (row[column] != null) counts.set(column, (counts.get(column) ?? 0) + 1)
  }
  if (sample < FEWEST) return []
  return [...counts]
    .filter(([, count]) => (1 - count / (sample + 1)) ** rows < CHANCE)
    .map(([column, count]) => ({ column, share: count / sample }))
}
