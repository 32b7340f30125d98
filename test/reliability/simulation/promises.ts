import assert from 'node:assert/strict'
import type { RunResult } from '../../../src/pipeline/setup.js'
import type { Stored } from './memoryDestination.js'
import type { SimulatedApi, Thing } from './network.js'
import { cursorOf, type Plan, type World } from './world.js'

/** What the API had on one day. */
export interface Day {
  readonly things: readonly Thing[]
  readonly members: ReturnType<SimulatedApi['members']>
}

/** No cursor is ahead of the rows that are committed. */
export function checkCursor(plan: Plan, world: World): void {
  if (!plan.incremental) return
  const loaded = (world.destination.stored.tables.get('things') ?? []).map(row => Number(row.changed))
  assert.ok(cursorOf(world) <= Math.max(0, ...loaded), 'the cursor is ahead of the rows')
}

/** Receipts say what happened; `asked` are the requests of each resource that were seen. */
export function checkReceipts(
  plan: Plan,
  { receipts, loadId }: RunResult,
  { api }: World,
  today: Day,
  asked: ReadonlyMap<string, number>,
): void {
  assert.notEqual(loadId, undefined, 'nothing was loaded')
  for (const receipt of receipts) {
    const { resource, verdict, requests, pages, pagesFromJournal, records } = receipt
    assert.equal(verdict, 'complete', `${resource}: ${receipt.reasons.join()}`)
    assert.equal(requests, asked.get(resource) ?? 0, `requests of ${resource}`)
    assert.ok(pagesFromJournal <= pages)
    assert.ok(requests - receipt.retries >= pages - pagesFromJournal)
    if (api.lied) continue
    if (resource === 'members') assert.equal(records, today.members.length)
    if (resource === 'things' && !plan.incremental) assert.equal(records, today.things.length)
  }
  assert.equal(
    [...asked.values()].reduce((sum, count) => sum + count, 0),
    api.requests,
  )
}

/** Nothing is lost, nothing is there twice. */
export function checkTables(plan: Plan, history: readonly Day[], { tables }: Stored): void {
  const things = (tables.get('things') ?? []).map(row => `${row.id} ${row.changed} ${row.name}`)
  const members = (tables.get('members') ?? []).map(row => `${row.id} ${row.group}`)
  assert.deepEqual(members.sort(), expected(plan.disposition, false, history.map(memberTexts)))
  assert.deepEqual(things.sort(), expected(plan.disposition, plan.incremental, history.map(thingTexts)))
}

type Texts = readonly (readonly [id: number, text: string])[]

function thingTexts({ things }: Day): Texts {
  return things.map(({ id, changed, name }) => [id, `${id} ${changed} ${name}`])
}

function memberTexts({ members }: Day): Texts {
  return members.map(({ id, group }) => [id, `${id} ${group}`])
}

function expected(disposition: Plan['disposition'], incremental: boolean, days: readonly Texts[]): readonly string[] {
  if (disposition === 'replace') return (days.at(-1) ?? []).map(([, text]) => text).sort()
  if (disposition === 'merge') return [...new Map(days.flat()).values()].sort()
  const all = days.flat().map(([, text]) => text)
  return (incremental ? [...new Set(all)] : all).sort()
}
