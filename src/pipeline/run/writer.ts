import { setImmediate } from 'node:timers/promises'
import { elements, valueAt } from '../../json/bytes.js'
import type { JsonObject, JsonValue } from '../../json/value.js'
import type { Load } from '../../model/destination.js'
import type { Resource } from '../../model/source.js'
import { functionError, isPromise, shownResult, unheard } from '../../model/userFunction.js'
import type { Normalizer } from '../../normalize/normalizer.js'
import type { Schema } from '../../schema/schemaTypes.js'
import { joinRecords, pieces } from './records.js'

/**
 * The one place where records become rows and rows are staged. Resources may write at the same time; their records
 * are normalised one page after the other, and the slower of normaliser and destination sets the pace.
 */
export interface Writer {
  /** Rows so far that contracts did not admit. */
  readonly discardedRows: number
  /** Adds records of a root table. Resolves when the full batches they made are staged. */
  write(
    table: string,
    records: Uint8Array,
  ): Promise<{ readonly discardedRows: number; readonly discardedValues: number }>
  /** Stages what is left and runs the checks at the end of a load. */
  finish(): Promise<void>
}

/** Bytes of records after which others get a turn: sockets, files and signals wait while records are normalised. */
const TURN_BYTES = 256 << 10

/** Larger pages are normalised in pieces, so that no more of a page waits in columns than of other pages. */
const PIECE_BYTES = 1 << 20

export function writer(normalizer: Normalizer, load: Load, schema: Schema): Writer {
  let turn: Promise<unknown> = Promise.resolve()
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const result = turn.then(work)
    turn = result.catch(() => undefined)
    return result
  }
  const stage = async (all: boolean): Promise<void> => {
    for (const batch of normalizer.take(all)) await load.stage(batch, schema)
  }
  let discarded = 0
  let turnBytes = 0
  return {
    get discardedRows() {
      return discarded
    },
    write: (table, records) =>
      inTurn(async () => {
        let [before, discardedRows, discardedValues] = [0, 0, 0]
        for (const piece of pieces(records, PIECE_BYTES)) {
          const counts = normalizer.write(table, piece, before)
          before += counts.records
          discardedRows += counts.discardedRows
          discardedValues += counts.discardedValues
          await stage(false)
          turnBytes += piece.length
          if (turnBytes >= TURN_BYTES) {
            turnBytes = 0
            await setImmediate()
          }
        }
        discarded += discardedRows
        return { discardedRows, discardedValues }
      }),
    finish: () =>
      inTurn(async () => {
        await stage(true)
        normalizer.finish()
      }),
  }
}

/** Splits records by the table a function names for each, keeping their order; the names are not normalised yet. */
export function recordsByTable(
  resource: Pick<Resource, 'name' | 'path'>,
  tableName: (record: JsonObject) => string,
  records: Uint8Array,
): ReadonlyMap<string, Uint8Array> {
  const spans = new Map<string, { start: number; end: number }[]>()
  for (const span of elements(records, 0)) {
    const table = nameOf(resource, tableName, valueAt(records, span))
    const group = spans.get(table)
    if (group === undefined) spans.set(table, [span])
    else group.push(span)
  }
  return new Map([...spans].map(([table, group]) => [table, joinRecords(records, group)]))
}

function nameOf(
  { name: resource, path }: Pick<Resource, 'name' | 'path'>,
  tableName: (record: JsonObject) => string,
  record: JsonValue,
): string {
  try {
    const name: unknown = tableName(record as JsonObject)
    if (typeof name === 'string' && name.trim() !== '') return name
    unheard(name)
    const isAsync = isPromise(name) ? '; it must not be async' : ''
    throw new TypeError(`it returned ${shownResult(name)}, expected the name of a table${isAsync}`)
  } catch (error) {
    throw functionError(resource, `${path}.table_name`, error, { record })
  }
}
