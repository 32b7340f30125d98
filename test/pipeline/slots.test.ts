import { setImmediate } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { ResourceNotes } from '../../src/model/source.js'
import { createRunMemory, createSlots } from '../../src/pipeline/run/runMemory.js'

/** Runs three levels of four items each, and gives the most leaves that were under way at once. */
async function mostAtOnce(count: number, hasRoom: () => boolean): Promise<{ most: number; leaves: number }> {
  const slots = createSlots(count, hasRoom)
  let [now, most, leaves] = [0, 0, 0]
  const level = (depth: number): Promise<void> =>
    slots.run([1, 2, 3, 4], async () => {
      if (depth > 1) return await level(depth - 1)
      most = Math.max(most, ++now)
      await setImmediate()
      now--
      leaves++
    })
  await level(3)
  return { most, leaves }
}

test('lists of all depths share the slots, and none waits for its own children', async () => {
  const { most, leaves } = await mostAtOnce(3, () => true)
  expect(leaves).toBe(64)
  expect(most).toBeGreaterThan(1)
  expect(most).toBeLessThanOrEqual(4)
})

test('without room one list after the other is read', async () => {
  expect(await mostAtOnce(15, () => false)).toEqual({ most: 1, leaves: 64 })
})

test('the first failure ends the rest', async () => {
  const slots = createSlots(1)
  const begun: number[] = []
  const run = slots.run([1, 2, 3, 4, 5], async item => {
    begun.push(item)
    await setImmediate()
    throw new Error(`item ${item}`)
  })
  await expect(run).rejects.toThrow('item 1')
  expect(begun).toEqual([1, 2])
})

test('pages count as long as their list holds them', () => {
  let changes = 0
  const memory = createRunMemory(100, () => changes++)
  const resource = new ResourceNotes()
  const lists = [1, 2, 3].map(() => memory.list(resource))
  // Unknown lists are taken for a quarter of the budget each.
  expect(memory.hasRoom()).toBe(true)
  for (const list of lists) list.page(40)
  expect(memory.hasRoom()).toBe(false)
  for (const list of lists) list.end()
  expect(memory.hasRoom()).toBe(true)
  expect(changes).toBe(3)
  const next = memory.list(resource)
  memory.add(59)
  expect(memory.hasRoom()).toBe(true)
  memory.add(1)
  expect(memory.hasRoom()).toBe(false)
  next.end()
})
