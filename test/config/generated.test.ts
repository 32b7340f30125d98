import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { configExamples } from '../../scripts/configExamples.js'
import { generatedFiles } from '../../scripts/configSchema.js'
import { paginatorKinds } from '../../src/rest/paginators/kinds.js'

test.each([...generatedFiles()])('%s is fresh; `npx tsx scripts/generate-docs.ts` makes it so', async (path, text) => {
  expect(await readFile(new URL(`../../${path}`, import.meta.url), 'utf8')).toBe(text)
})

test.each(paginatorKinds.map(({ type }) => type))(
  'paginator %s has an example and a section of docs/pagination.md',
  async type => {
    expect(Object.keys(configExamples)).toContain(type)
    expect(await readFile(new URL('../../docs/pagination.md', import.meta.url), 'utf8')).toContain(
      `\n### \`${type}\`\n`,
    )
  },
)
