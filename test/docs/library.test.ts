import { expect, test } from 'vitest'
import { blocksOf } from './blocks.js'
import { typeErrors } from './compile.js'

test('every block of the library page compiles', { timeout: 120_000 }, async () => {
  const blocks = await blocksOf('docs/library.md')
  expect(blocks.length).toBeGreaterThan(8)
  expect(blocks.filter(({ language }) => language !== 'ts').map(({ place }) => place)).toEqual([])
  expect(typeErrors(blocks)).toEqual([])
})
