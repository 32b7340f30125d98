import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { loadPipelineFile } from '../../src/index.js'
import type { TestServer } from '../rest/clientServer.js'
import { API_KEY, docsApi } from './api.js'
import { blocksOf, userDocuments } from './blocks.js'
import { typeErrors } from './compile.js'

/**
 * Blocks of the documents that begin with ```` ```ts run ```` or ```` ```yaml run ```` are pipeline files. They are run
 * against an API of ours in place of https://api.example.com; the words after `run` say how many rows each table gets.
 */
const blocks = (await Promise.all((await userDocuments()).map(blocksOf))).flat()
const examples = blocks.filter(({ words }) => words[0] === 'run')

let api: TestServer
let folder: string
beforeAll(async () => {
  api = await docsApi()
  folder = await mkdtemp(join(tmpdir(), 'sluice-docs-'))
  vi.stubEnv('API_KEY', API_KEY)
  vi.stubEnv('MASK_SALT', 'a salt for the documents')
})
afterAll(async () => {
  vi.unstubAllEnvs()
  await api.close()
  await rm(folder, { recursive: true, force: true })
})

test.each(['docs/custom.md', 'docs/recipes.md'])('there are examples in %s', document => {
  expect(examples.filter(({ place }) => place.startsWith(document)).length).toBeGreaterThan(4)
})

test.each(examples.map(example => [example.place, example] as const))(
  '%s loads what it says',
  async (_place, example) => {
    const home = join(folder, example.place.replaceAll(/\W/g, '_'))
    const here = join(home, 'here')
    await mkdir(here, { recursive: true })
    await writeFile(join(here, 'only.txt'), 'the one file that is here')
    const file = join(home, `example.${example.language}`)
    await writeFile(file, example.text.replaceAll('https://api.example.com', api.origin))
    const { pipelines } = await loadPipelineFile(file, {
      cwd: home,
      destination: `duckdb:${join(home, 'example.duckdb')}`,
    })
    const before = process.cwd()
    process.chdir(here)
    try {
      for (const pipeline of pipelines) {
        const { rows } = await pipeline.run()
        const loaded = Object.fromEntries(Object.entries(rows).filter(([, count]) => count > 0))
        expect(loaded).toEqual(
          Object.fromEntries(
            example.words
              .slice(1)
              .map(word => word.split('='))
              .map(([table, count]) => [table, Number(count)]),
          ),
        )
      }
    } finally {
      process.chdir(before)
    }
  },
)

test('all TypeScript passes the compiler', { timeout: 120_000 }, () => {
  expect(typeErrors(blocks.filter(({ language }) => language === 'ts'))).toEqual([])
})
