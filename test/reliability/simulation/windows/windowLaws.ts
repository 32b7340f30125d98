import assert from 'node:assert/strict'
import { parseJson } from '../../../../src/json/parse.js'
import { cursorState } from '../../../../src/model/pipelineState.js'
import type { Stored } from '../memoryDestination.js'
import type { Visit, WindowedApi } from './windowedApi.js'

interface Range {
  readonly start: number
  readonly end: number
}

/** The ranges of the ledger, in order. */
function committedRanges({ windows }: Stored): readonly Range[] {
  return windows
    .map(row => ({ start: numberOf(row.window_start), end: numberOf(row.window_end) }))
    .toSorted((one, other) => one.start - other.start)
}

function numberOf(json: unknown): number {
  return Number(parseJson(String(json)))
}

/** No part of the range is loaded twice, and each load has one window. */
export function checkWindows(stored: Stored): void {
  const ranges = committedRanges(stored)
  for (const [place, { start, end }] of ranges.entries()) {
    assert.ok(start < end, `an empty window ${start} … ${end}`)
    const next = ranges[place + 1]
    assert.ok(next === undefined || next.start >= end, `windows overlap: ${start} … ${end} and ${next?.start}`)
  }
  const ids = stored.windows.map(row => row.load_id)
  assert.equal(new Set(ids).size, ids.length, 'two windows of one load')
  const numbers = stored.windows.map(row => Number(row.commit_number))
  assert.deepEqual(
    numbers,
    numbers.map((_, place) => place + 1),
    'the numbers of windows',
  )
}

/** The tables hold what lies in the windows that are committed, and nothing else. */
export function checkRows(stored: Stored, api: WindowedApi, hasNotes: boolean): void {
  const ranges = committedRanges(stored)
  const isIn = ({ at }: Visit): boolean => ranges.some(({ start, end }) => at >= start && at < end)
  checkTables(stored, api, hasNotes, isIn)
}

export function checkTables(
  { tables }: Stored,
  api: WindowedApi,
  hasNotes: boolean,
  isIn: (visit: Visit) => boolean,
): void {
  const there = (tables.get('visits') ?? []).map(row => {
    const values = Object.entries(row).filter(([name, value]) => /^value/.test(name) && value !== null)
    return `${row.id} ${row.at} ${values.map(([, value]) => String(value)).join(' and ')} ${row.extra ?? '-'}`
  })
  const visits = api.visits.filter(isIn)
  const wanted = visits.map(({ id, at, value, extra = '-' }) => `${id} ${at} ${value} ${extra}`)
  assert.deepEqual(there.sort(), wanted.sort())
  if (!hasNotes) return
  const notes = (tables.get('notes') ?? []).map(row => `${row.id} ${row.visit}`)
  const wantedNotes = visits.flatMap(visit => api.notes(visit.id)).map(({ id, visit }) => `${id} ${visit}`)
  assert.deepEqual(notes.sort(), wantedNotes.sort())
}

/** Everything before the cursor is committed: it moves over a range without gaps only. */
export function checkCursorOfWindows(stored: Stored): void {
  if (stored.windows.length === 0) return
  assert.ok(stored.state !== undefined, 'windows without a state')
  const cursor = cursorState(stored.state, 'rest_api', 'visits', 'at')?.last_value
  let reached = 0
  for (const { start, end } of committedRanges(stored)) {
    if (start > reached) break
    reached = Math.max(reached, end)
  }
  if (cursor == null) return
  assert.ok(
    Number(cursor) < Math.max(reached, 1),
    `the cursor is at ${cursor}, and windows without a gap end at ${reached}`,
  )
}

/** Whether the ledger covers the whole range. */
export function coversAll(stored: Stored, to: number): boolean {
  let reached = 0
  for (const { start, end } of committedRanges(stored)) if (start <= reached) reached = Math.max(reached, end)
  return reached >= to
}
