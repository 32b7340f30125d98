import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { readCases, runCase } from './runner.js'

const cases = await readCases(fileURLToPath(new URL('./cases', import.meta.url)))

test.each(cases.map(one => [one.name, one] as const))('%s', async (_name, one) => {
  expect((await runCase(one)).problems).toEqual([])
})
