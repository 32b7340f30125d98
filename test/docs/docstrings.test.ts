import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import ts from 'typescript'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { extensions } from '../destinations/lakeExtensions.js'
import { type PostgresServer, startPostgres } from '../destinations/postgresServer.js'
import type { TestServer } from '../rest/clientServer.js'
import { API_KEY, docsApi } from './api.js'
import { root } from './blocks.js'
import { compilerOptions, typeErrors } from './compile.js'

/** What the example in the docstring of each exported function prints, and which files it leaves. */
const outcomes: Readonly<Record<string, { readonly prints?: RegExp; readonly leaves: readonly string[] }>> = {
  defineConfig: { leaves: [] },
  destinationFromUrl: { leaves: ['shops.duckdb'] },
  draftPipeline: { prints: /3 records/, leaves: ['shops.yaml'] },
  duckdb: { leaves: ['shops.duckdb'] },
  ducklake: { leaves: ['lake', 'shops.ducklake'] },
  exportSchema: { prints: /export interface Shops/, leaves: ['shops.duckdb'] },
  fetchTransport: { prints: /^GET http:.*\/shops\n$/, leaves: ['shops.duckdb'] },
  files: { leaves: ['lake'] },
  hostBudget: { leaves: ['orders.duckdb', 'shops.duckdb'] },
  importPipeline: { leaves: ['shops.yaml'] },
  journalBucket: { leaves: [] },
  loadPipelineFile: { leaves: ['shops.duckdb', 'shops.yaml'] },
  notifying: { leaves: ['shops.duckdb'] },
  pipeline: { prints: /^3\n.*\bid: 1n\b/s, leaves: ['shops.duckdb'] },
  postgres: { leaves: [] },
  prove: { prints: /^proven resources\[0\]|assumed resources\[0\]/m, leaves: [] },
  restApi: { prints: /^6\n$/, leaves: ['shops.duckdb'] },
  secret: { leaves: ['shops.duckdb'] },
  stringifyJson: { prints: /^{"id":7190000000000000001,"at":"1970-01-01T00:00:00(\.000)?Z"}\n$/, leaves: [] },
}

const examples = examplesOfDocstrings()

let api: TestServer
let server: PostgresServer
let warehouse: string
let folder: string
beforeAll(async () => {
  api = await docsApi()
  server = await startPostgres()
  warehouse = await server.createDatabase()
  folder = await mkdtemp(join(tmpdir(), 'sluice-docstrings-'))
})
afterAll(async () => {
  await api.close()
  await server.stop()
  await rm(folder, { recursive: true, force: true })
})

test('every exported function has an example', () => {
  expect([...examples].filter(([, example]) => example === '').map(([name]) => name)).toEqual([])
  expect([...examples.keys()].toSorted()).toEqual(Object.keys(outcomes))
})

test('the examples pass the compiler', { timeout: 120_000 }, () => {
  expect(typeErrors([...examples].map(([place, text]) => ({ place, text })))).toEqual([])
})

/** An example about lakes runs where DuckDB has the extensions. */
const possible = Object.entries(outcomes).filter(([name]) => name !== 'ducklake' || extensions !== undefined)

test.each(possible)('the example of %s does what it says', async (name, { prints = /^$/, leaves }) => {
  const home = join(folder, name)
  await mkdir(join(home, 'node_modules'), { recursive: true })
  await symlink(root, join(home, 'node_modules/sluice'), 'dir')
  const text = (examples.get(name) ?? '')
    .replaceAll('https://api.example.com', api.origin)
    .replace('postgres://localhost/warehouse', server.url(warehouse))
  const { outputText } = ts.transpileModule(text, { compilerOptions: { target: ts.ScriptTarget.ES2022 } })
  await writeFile(join(home, 'example.mjs'), outputText)
  const env = { ...process.env, API_KEY }
  const { stdout } = await promisify(execFile)(process.execPath, ['example.mjs'], { cwd: home, env })
  expect(stdout).toMatch(prints)
  const left = (await readdir(home)).filter(file => !['.sluice', 'example.mjs', 'node_modules'].includes(file))
  expect(left.toSorted()).toEqual(leaves)
  if (name === 'postgres') {
    expect(await server.sql(warehouse, 'select count(*)::int from crm.shops')).toEqual([{ count: 3 }])
  }
})

/** The text under `@example` in the docstring of each function that `src/index.ts` exports; empty without one. */
function examplesOfDocstrings(): ReadonlyMap<string, string> {
  const index = join(root, 'src/index.ts')
  const program = ts.createProgram([index], compilerOptions())
  const checker = program.getTypeChecker()
  const file = program.getSourceFile(index)
  const module = file === undefined ? undefined : checker.getSymbolAtLocation(file)
  const exported = module === undefined ? [] : checker.getExportsOfModule(module)
  return new Map(
    exported
      .map(symbol => (symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol))
      .filter(({ flags }) => flags & ts.SymbolFlags.Function)
      .map(symbol => {
        const tag = symbol.getJsDocTags(checker).find(({ name }) => name === 'example')
        const text = ts.displayPartsToString(tag?.text)
        return [symbol.name, /```ts\n(.*?)```/s.exec(text)?.[1] ?? '']
      }),
  )
}
