import { createHash } from 'node:crypto'
import type { Connection, DatasetRow } from '../../src/model/destination.js'
import type { Pipeline } from '../../src/pipeline/pipeline.js'

/** What a dataset holds, in terms that two equal histories share: no ids that are drawn, no times. */
export interface Contents {
  /** Rows of each table as sorted text; nested rows together with the business values of their parents. */
  readonly tables: Readonly<Record<string, readonly string[]>>
  readonly loads: number
  /** Of the newest load, by resource. */
  readonly receipts: ReadonlyMap<string, Readonly<Record<string, unknown>>>
  readonly cursors: string
}

export async function contents(pipeline: Pipeline): Promise<Contents> {
  await using connection = await pipeline.destination.connect(pipeline.datasetName)
  const present = [...(await connection.inspect()).keys()].filter(
    table => !/^_dlt_(version|pipeline_state)$/.test(table),
  )
  const rows = new Map(await Promise.all(present.map(async table => [table, await rowsOf(connection, table)] as const)))
  const byId = new Map<unknown, DatasetRow>()
  for (const all of rows.values()) for (const row of all) if (row._dlt_id !== undefined) byId.set(row._dlt_id, row)
  const tables: Record<string, string[]> = {}
  for (const [table, all] of rows) {
    if (/^_(dlt|sluice)_/.test(table)) continue
    tables[table] = all.map(row => business(row, byId)).sort()
  }
  const loads = (rows.get('_dlt_loads') ?? []).map(row => String(row.load_id)).sort((a, b) => Number(a) - Number(b))
  const receipts = (rows.get('_sluice_receipts') ?? []).filter(row => row.load_id === loads.at(-1))
  const committed = await connection.committed(pipeline.name, pipeline.source.name)
  return {
    tables,
    loads: loads.length,
    receipts: new Map(
      receipts
        .sort((a, b) => (String(a.resource) < String(b.resource) ? -1 : 1))
        .map(row => [
          String(row.resource),
          {
            verdict: row.verdict,
            pages: Number(row.pages),
            records: Number(row.records),
            announced: row.announced === null ? undefined : Number(row.announced),
          },
        ]),
    ),
    cursors: JSON.stringify(committed?.state?.sources ?? {}),
  }
}

/** Number of committed loads; 0 where there is no dataset yet. */
export async function loadsOf(pipeline: Pipeline): Promise<number> {
  await using connection = await pipeline.destination.connect(pipeline.datasetName)
  return (await connection.inspect()).has('_dlt_loads') ? await connection.count('_dlt_loads') : 0
}

function business(row: DatasetRow, byId: ReadonlyMap<unknown, DatasetRow>): string {
  const own = Object.entries(row).filter(([name]) => !name.startsWith('_dlt_'))
  const parent = row._dlt_parent_id
  const above = parent === undefined || parent === null ? '' : ` under ${parentText(byId.get(parent))}`
  return `${JSON.stringify(own, (_key, value: unknown) => (typeof value === 'bigint' ? String(value) : value))}${above}`
}

function parentText(row: DatasetRow | undefined): string {
  if (row === undefined) return 'nobody'
  return createHash('sha1').update(business(row, new Map())).digest('hex').slice(0, 12)
}

async function rowsOf(connection: Connection, table: string): Promise<readonly DatasetRow[]> {
  const rows: DatasetRow[] = []
  for await (const batch of connection.read({ table })) rows.push(...batch)
  return rows
}
