import { parseJson } from '../../json/parse.js'
import { stringifyJson } from '../../json/write.js'
import type { WindowAttempt, WindowsOf } from '../../model/cursors/cursorRange.js'
import type { WindowAttempts } from '../../model/destination.js'
import type { ReadonlyTable } from '../../schema/schemaTypes.js'
import { columnsOf } from '../systemRows.js'
import { DatasetTables } from './ddl.js'
import type { SqlSession, SqlValue } from './sqlSession.js'
import { insertRows, takeTurn, turnsTable } from './systemStatements.js'

/** One row for each attempt that is remembered. Ends of windows are JSON, as text, so that they can be compared. */
export const ATTEMPTS: ReadonlyTable = {
  name: '_sluice_window_attempts',
  columns: columnsOf([
    ['pipeline_name', 'text'],
    ['schema_name', 'text'],
    ['resource', 'text'],
    ['cursor_path', 'text'],
    ['window_start', 'text'],
    ['window_end', 'text'],
    ['state', 'text'],
    ['tries', 'bigint'],
    ['at_ms', 'bigint'],
    ['reason', 'text', true],
  ]),
}

/** Apart from the turns of commits, which take longer. */
const ATTEMPT_TURNS = turnsTable('_sluice_attempt_turns')

/**
 * The attempts in a table of the dataset. `reading` runs work in a session, `writing` in a transaction that no other writer
 * of the dataset interrupts.
 */
export function windowAttempts(
  reading: <T>(work: (session: SqlSession) => Promise<T>) => Promise<T>,
  writing: <T>(work: (session: SqlSession) => Promise<T>) => Promise<T>,
): WindowAttempts {
  return {
    read: of => reading(async session => readAttempts(session, await DatasetTables.inspect(session), of)),
    async change(of, change) {
      await writing(async session => {
        const tables = await DatasetTables.inspect(session)
        const before = await readAttempts(session, tables, of)
        const after = change(before)
        const gone = before.filter(attempt => !after.includes(attempt))
        const added = after.filter(attempt => !before.includes(attempt))
        if (gone.length + added.length === 0) return
        await session.createDataset()
        await tables.ensure(ATTEMPTS)
        await takeTurn(session, tables, ATTEMPT_TURNS)
        for (const attempt of gone) await remove(session, of, attempt)
        await insertRows(
          session,
          ATTEMPTS,
          added.map(attempt => rowOf(of, attempt)),
        )
      })
    },
  }
}

async function readAttempts(
  session: SqlSession,
  tables: DatasetTables,
  of: WindowsOf,
): Promise<readonly WindowAttempt[]> {
  if (tables.get(ATTEMPTS.name) === undefined) return []
  const { condition, values } = matching(keyOf(of))
  const rows = await session.rows(
    `SELECT window_start, window_end, state, tries, at_ms, reason FROM ${session.table(ATTEMPTS.name)} WHERE ${condition} ORDER BY at_ms`,
    values,
  )
  return rows.map(([start, end, state, tries, atMs, reason]) => ({
    start: parseJson(String(start)),
    end: parseJson(String(end)),
    state: state as WindowAttempt['state'],
    tries: Number(tries),
    atMs: Number(atMs),
    reason: reason === null ? undefined : String(reason),
  }))
}

async function remove(session: SqlSession, of: WindowsOf, attempt: WindowAttempt): Promise<void> {
  const { window_start, window_end, state } = rowOf(of, attempt)
  const { condition, values } = matching({ ...keyOf(of), window_start, window_end, state })
  await session.run(`DELETE FROM ${session.table(ATTEMPTS.name)} WHERE ${condition}`, values)
}

function keyOf({ pipeline, schemaName, resource, cursorPath }: WindowsOf) {
  return { pipeline_name: pipeline, schema_name: schemaName, resource, cursor_path: cursorPath }
}

function rowOf(of: WindowsOf, { start, end, state, tries, atMs, reason }: WindowAttempt) {
  return {
    ...keyOf(of),
    window_start: stringifyJson(start),
    window_end: stringifyJson(end),
    state,
    tries,
    at_ms: BigInt(Math.round(atMs)),
    reason: reason ?? null,
  }
}

function matching(columns: Readonly<Record<string, SqlValue>>) {
  const names = Object.keys(columns)
  return {
    condition: names.map((name, index) => `${name} = $${index + 1}`).join(' AND '),
    values: Object.values(columns),
  }
}
