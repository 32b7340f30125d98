import type { Committed } from '../../core/destination.js'
import { inflatedText } from '../../core/schemaDocument.js'
import { decodeState } from '../../core/stateDocument.js'
import type { SqlSession } from './session.js'
import { LOADS, STATES, VERSIONS } from './systemTables.js'

/**
 * What the last load left behind: the newest state whose load is complete, and the schema that the newest load of the
 * name was made with, else the one stored last. A schema that came back has its old, not the newest row. Reads datasets that dlt wrote. Undefined where there is neither.
 */
export async function readCommitted(
  session: SqlSession,
  pipeline: string,
  schemaName: string,
): Promise<Committed | undefined> {
  const tables = await session.inspect()
  const has = (name: string): boolean => tables.has(name)
  if (!has(LOADS.name)) return undefined
  const loads = session.table(LOADS.name)
  const states = has(STATES.name)
    ? await session.rows(
        `SELECT s.state, s._dlt_load_id FROM ${session.table(STATES.name)} AS s JOIN ${loads} AS l ON l.load_id = s._dlt_load_id WHERE s.pipeline_name = $1 AND l.status = 0 ORDER BY l.load_id DESC LIMIT 1`,
        [pipeline],
      )
    : []
  const versions = has(VERSIONS.name)
    ? await session.rows(
        `SELECT schema FROM ${session.table(VERSIONS.name)} WHERE schema_name = $1 ORDER BY CASE WHEN version_hash = (SELECT schema_version_hash FROM ${loads} WHERE status = 0 AND schema_name = $1 ORDER BY load_id DESC LIMIT 1) THEN 0 ELSE 1 END, inserted_at DESC LIMIT 1`,
        [schemaName],
      )
    : []
  const newest = await session.rows(`SELECT max(load_id) FROM ${loads} WHERE status = 0 AND schema_name = $1`, [
    schemaName,
  ])
  const state = states[0]
  const schema = versions[0]?.[0]
  if (state === undefined && schema === undefined) return undefined
  return {
    loadId: textOr(newest[0]?.[0]) ?? textOr(state?.[1]),
    state: state === undefined ? undefined : decodeState(String(state[0])),
    schema: schema === undefined ? undefined : inflatedText(String(schema)),
  }
}

function textOr(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}
