import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { readCases, runCase } from './runner.js'

const folders = ['./cases', './more', './dlt-1.31'].map(folder => fileURLToPath(new URL(folder, import.meta.url)))
const cases = (await Promise.all(folders.map(readCases))).flat()

test.each(cases.map(one => [one.name, one] as const))('%s', async (_name, one) => {
  expect((await runCase(one)).problems).toEqual([])
})
