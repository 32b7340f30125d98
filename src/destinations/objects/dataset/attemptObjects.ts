import { createHash } from 'node:crypto'
import { parseJson } from '../../../json/parse.js'
import { isJsonObject, type JsonValue } from '../../../json/value.js'
import { stringifyJson } from '../../../json/write.js'
import type { WindowAttempt, WindowsOf } from '../../../model/cursors/cursorRange.js'
import type { WindowAttempts } from '../../../model/destination.js'
import { segment } from '../format/layout.js'
import type { Storage } from '../storage/storage.js'
import { folders } from './systemObjects.js'

/** The attempts at windows of each list, in an object of its own. `inTurn` separates writers. */
export function attemptObjects(storage: Storage, inTurn: <T>(work: () => Promise<T>) => Promise<T>): WindowAttempts {
  const read = async (of: WindowsOf): Promise<readonly WindowAttempt[]> => {
    const content = await storage.get(keyOf(of))
    const rows = content === undefined ? [] : parseJson(content)
    return (Array.isArray(rows) ? rows : []).flatMap(row => attemptOf(row) ?? [])
  }
  return {
    read,
    change: (of, change) =>
      inTurn(async () => {
        const before = await read(of)
        const after = change(before)
        if (after === before) return
        const rows = after.map(({ start, end, state, tries, atMs, reason }) => ({
          window_start: start,
          window_end: end,
          state,
          tries,
          at_ms: Math.round(atMs),
          reason: reason ?? null,
        }))
        await storage.put(keyOf(of), Buffer.from(stringifyJson(rows)))
      }),
  }
}

function keyOf({ pipeline, schemaName, resource, cursorPath }: WindowsOf): string {
  const list = createHash('sha256')
    .update(JSON.stringify([pipeline, resource, cursorPath]))
    .digest('hex')
    .slice(0, 16)
  return `${folders.attempts}/${segment(schemaName)}__${list}.json`
}

function attemptOf(row: JsonValue): WindowAttempt | undefined {
  if (!isJsonObject(row)) return undefined
  const { window_start: start = null, window_end: end = null, state, tries, at_ms: atMs, reason } = row
  return {
    start,
    end,
    state: state === 'halved' || state === 'claimed' ? state : 'failed',
    tries: Number(tries),
    atMs: Number(atMs),
    reason: typeof reason === 'string' ? reason : undefined,
  }
}
