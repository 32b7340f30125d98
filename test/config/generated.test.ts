import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { generatedFiles } from '../../scripts/configSchema.js'

test.each([...generatedFiles()])('%s is fresh; `npx tsx scripts/generate-docs.ts` makes it so', async (path, text) => {
  expect(await readFile(new URL(`../../${path}`, import.meta.url), 'utf8')).toBe(text)
})
