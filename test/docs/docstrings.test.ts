import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { format } from 'node:util'
import { createJiti } from 'jiti'
import ts from 'typescript'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { type PostgresServer, startPostgres } from '../destinations/postgresServer.js'
import type { TestServer } from '../rest/clientServer.js'
import { API_KEY, docsApi } from './api.js'
import { root } from './blocks.js'
import { typeErrors } from './compile.js'

/** What the example in the docstring of each exported function prints, and which files it leaves. */
const outcomes: Readonly<Record<string, { readonly prints?: readonly RegExp[]; readonly leaves: readonly string[] }>> =
  {
    destinationFromUrl: { leaves: ['shops.duckdb'] },
    draftPipeline: { prints: [/3 records/], leaves: ['shops.yaml'] },
    duckdb: { leaves: ['shops.duckdb'] },
    exportSchema: { prints: [/export interface Shops/], leaves: ['shops.duckdb'] },
    fetchTransport: { prints: [/^GET http:.*\/shops$/], leaves: ['shops.duckdb'] },
    files: { leaves: ['lake'] },
    loadPipelineFile: { leaves: ['shops.duckdb', 'shops.yaml'] },
    pipeline: { prints: [/^3$/, /\bid: 1n?\b/], leaves: ['shops.duckdb'] },
    postgres: { leaves: [] },
    restApi: { prints: [/^6$/], leaves: ['shops.duckdb'] },
    secret: { leaves: ['shops.duckdb'] },
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
  vi.stubEnv('API_KEY', API_KEY)
})
afterAll(async () => {
  vi.unstubAllEnvs()
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

test.each(Object.entries(outcomes))('the example of %s does what it says', async (name, { prints = [], leaves }) => {
  const home = join(folder, name)
  await mkdir(home)
  const text = (examples.get(name) ?? '')
    .replaceAll('https://api.example.com', api.origin)
    .replace('postgres://localhost/warehouse', server.url(warehouse))
  await writeFile(join(home, 'example.ts'), text)
  const lines: string[] = []
  const log = vi.spyOn(console, 'log').mockImplementation((...values) => void lines.push(format(...values)))
  const before = process.cwd()
  process.chdir(home)
  try {
    const jiti = createJiti(import.meta.url, { alias: { sluice: join(root, 'src/index.ts') } })
    await jiti.import(join(home, 'example.ts'))
  } finally {
    process.chdir(before)
    log.mockRestore()
  }
  expect(lines).toEqual(prints.map(expected => expect.stringMatching(expected)))
  const left = (await readdir(home)).filter(file => !['.sluice', 'example.ts'].includes(file))
  expect(left.toSorted()).toEqual(leaves)
  if (name === 'postgres')
    expect(await server.sql(warehouse, 'select count(*)::int from crm.shops')).toEqual([{ count: 3 }])
})

/** The text under `@example` in the docstring of each function that `src/index.ts` exports; empty without one. */
function examplesOfDocstrings(): ReadonlyMap<string, string> {
  const index = join(root, 'src/index.ts')
  const config = ts.readConfigFile(join(root, 'tsconfig.json'), path => ts.sys.readFile(path)).config as {
    compilerOptions: object
  }
  const program = ts.createProgram([index], ts.convertCompilerOptionsFromJson(config.compilerOptions, root).options)
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
