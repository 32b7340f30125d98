import type { Connection } from '../../model/destination.js'
import type { Receipt } from '../../model/receipt.js'
import { RECEIPTS, receiptOf, storedReceipts } from '../storedReceipts.js'

/** A committed load, and what it could prove. */
export interface PastLoad {
  readonly loadId: string
  readonly committedAt: Date
  /** One for each resource. None if another tool made the load, or if it only changed the state. */
  readonly receipts: readonly Receipt[]
}

export interface HistoryOptions {
  /** Most loads, newest first. Default 20. */
  readonly limit?: number | undefined
  /** Only this load. */
  readonly loadId?: string | undefined
  /** Only loads of the pipeline with this name. Receipts of older versions do not say whose they are. */
  readonly pipeline?: string | undefined
}

const MOST_LOADS = 20

/** The committed loads of a schema, newest first. */
export async function historyOf(
  connection: Connection,
  schemaName: string,
  { limit = MOST_LOADS, loadId, pipeline }: HistoryOptions,
): Promise<readonly PastLoad[]> {
  if (!(await connection.inspect()).has('_dlt_loads')) return []
  const own = pipeline === undefined ? undefined : await loadsOf(connection, pipeline, limit)
  if (own?.length === 0) return []
  const loads: { readonly loadId: string; readonly committedAt: Date }[] = []
  const query = {
    table: '_dlt_loads',
    columns: ['load_id', 'inserted_at'],
    where: [
      { column: 'schema_name', operator: '=', value: schemaName },
      { column: 'status', operator: '=', value: 0n },
      ...(loadId === undefined ? [] : [{ column: 'load_id', operator: '=', value: loadId } as const]),
      ...(own === undefined ? [] : [{ column: 'load_id', operator: 'in', value: own } as const]),
    ],
    orderBy: [
      { column: 'inserted_at', descending: true },
      { column: 'load_id', descending: true },
    ],
    limit,
  } as const
  for await (const rows of connection.read(query)) {
    for (const { load_id, inserted_at } of rows) {
      const at = inserted_at instanceof Date ? inserted_at : new Date(String(inserted_at))
      loads.push({ loadId: String(load_id), committedAt: at })
    }
  }
  const receipts = await storedReceipts(
    connection,
    loads.map(load => load.loadId),
  )
  return loads.map(load => ({ ...load, receipts: receipts.get(load.loadId) ?? [] }))
}

/**
 * By resource: the newest receipt of a pipeline to compare a run with. A part, or a list without records, says nothing
 * about the usual number. Complete ones come first. Receipts of older versions do not say whose they are.
 */
export async function lastWholeReceipts(
  connection: Connection,
  pipeline: string,
  resources: readonly string[],
): Promise<ReadonlyMap<string, Receipt>> {
  const last = new Map<string, Receipt>()
  // A look costs a load its head start, so that only those that need it take one.
  if (resources.length === 0 || !(await connection.inspect()).has(RECEIPTS)) return last
  const complete = new Set<string>()
  const where = [{ column: 'resource', operator: 'in', value: resources }] as const
  const orderBy = [{ column: 'load_id', descending: true }]
  for await (const rows of connection.read({ table: RECEIPTS, where, orderBy })) {
    for (const row of rows) {
      const receipt = receiptOf(row)
      const { resource, records, extent, verdict } = receipt
      const isOwn = (row.pipeline_name ?? pipeline) === pipeline
      if (!isOwn || records === 0 || extent !== 'whole' || complete.has(resource)) continue
      if (verdict === 'complete') complete.add(resource)
      if (verdict === 'complete' || !last.has(resource)) last.set(resource, receipt)
    }
    if (complete.size === resources.length) break
  }
  return last
}

/** Ids of the newest loads of a pipeline, by their receipts. */
async function loadsOf(connection: Connection, pipeline: string, most: number): Promise<readonly string[]> {
  const found = new Set<string>()
  if ((await connection.inspect()).get(RECEIPTS)?.has('pipeline_name') !== true) return []
  const query = {
    table: RECEIPTS,
    columns: ['load_id'],
    where: [{ column: 'pipeline_name', operator: '=', value: pipeline }],
    orderBy: [{ column: 'load_id', descending: true }],
  } as const
  for await (const rows of connection.read(query)) {
    for (const { load_id } of rows) found.add(String(load_id))
    if (found.size >= most) break
  }
  return [...found].slice(0, most)
}
