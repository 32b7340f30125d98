import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { build, type Format } from 'esbuild'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { root } from '../docs/blocks.js'
import { serve, type TestServer } from '../rest/clientServer.js'

/** The packed library inside other programs: bundles, CommonJS, workers. Each loads from a server and reads what it loaded. */
const run = promisify(execFile)

let folder: string
let project: string
let api: TestServer
beforeAll(async () => {
  api = await serve((_request, response) => {
    response.setHeader('content-type', 'application/json')
    response.end('[{"id":1,"name":"one"},{"id":9007199254740993,"name":"two"}]')
  })
  folder = await mkdtemp(join(tmpdir(), 'sluice-embedding-'))
  project = join(folder, 'project')
  const modules = join(project, 'node_modules')
  await mkdir(join(modules, 'sluice'), { recursive: true })
  const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', folder]
  const { stdout } = await run('npm', args, { cwd: root })
  const [packed] = JSON.parse(stdout) as [{ readonly filename: string }]
  await run('tar', ['-xzf', join(folder, packed.filename), '--strip-components=1', '-C', join(modules, 'sluice')])
  const { dependencies } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
    readonly dependencies: Readonly<Record<string, string>>
  }
  for (const name of Object.keys(dependencies)) {
    await mkdir(dirname(join(modules, name)), { recursive: true })
    await symlink(join(root, 'node_modules', name), join(modules, name))
  }
}, 120_000)
afterAll(async () => {
  await api.close()
  await rm(folder, { recursive: true, force: true })
})

/** What a function of such a program does. `database` is a file of its own. */
const HANDLER = `
async function handler(database) {
  const source = restApi({ client: { base_url: process.env.API, paginator: 'single_page' }, resources: ['shops'] })
  const shops = pipeline({ name: 'shops', source, destination: duckdb(database + '.duckdb'), home: database })
  const { receipts } = await shops.run()
  const rows = await shops.dataset().table('shops').select('id', 'name').orderBy('id').rows()
  return receipts[0].verdict + ' ' + rows.map(({ id, name }) => id + ' ' + name).join(', ')
}
`
const IMPORTS = "import { duckdb, pipeline, restApi } from 'sluice'\n"
const REQUIRES = "const { duckdb, pipeline, restApi } = require('sluice')\n"
const LOADED = /^\w+ 1 one, 9007199254740993 two\n$/

async function started(file: string, cwd = project): Promise<{ readonly stdout: string; readonly stderr: string }> {
  return await run(process.execPath, [file], { cwd, env: { ...process.env, API: api.origin } })
}

/** Packages of CommonJS in a bundle of ES modules need it. */
const REQUIRE = "import { createRequire as toRequire } from 'node:module'; const require = toRequire(import.meta.url);"

/** What is imported only where it is used, and need not be installed. */
const optional = ['pg', '@aws-sdk/credential-providers']

describe('a bundle by esbuild', () => {
  const formats: readonly (readonly [name: string, format: Format, extension: string])[] = [
    ['ES modules', 'esm', 'mjs'],
    ['CommonJS, as for a Lambda function', 'cjs', 'cjs'],
  ]

  test.each(formats)('of %s loads and reads, with DuckDB left outside', async (_, format, extension) => {
    const entry = join(project, `${format}-entry.mjs`)
    const database = JSON.stringify(`${format}-bundle`)
    await writeFile(entry, `${IMPORTS}${HANDLER}handler(${database}).then(console.log)\n`)
    // What is shipped: the bundle, and DuckDB with its binaries.
    const shipped = join(folder, format)
    await mkdir(join(shipped, 'node_modules'), { recursive: true })
    await symlink(join(root, 'node_modules/@duckdb'), join(shipped, 'node_modules/@duckdb'))
    const outfile = join(shipped, `bundle.${extension}`)
    const { warnings } = await build({
      entryPoints: [entry],
      outfile,
      format,
      bundle: true,
      platform: 'node',
      target: 'node20',
      external: ['@duckdb/node-api', ...optional],
      logLevel: 'silent',
      ...(format === 'esm' && {
        banner: { js: REQUIRE },
      }),
    })
    expect(warnings.map(({ text }) => text).filter(text => !text.includes('import.meta'))).toEqual([])
    const { stdout, stderr } = await started(outfile, shipped)
    expect(stderr).toBe('')
    expect(stdout).toMatch(LOADED)
  })
})

test('CommonJS requires it', async () => {
  await writeFile(join(project, 'required.cjs'), `${REQUIRES}${HANDLER}handler('required').then(console.log)\n`)
  const { stdout, stderr } = await started('required.cjs')
  // Node 20 says that it is experimental, unless the module is under node_modules.
  expect(stderr).toBe('')
  expect(stdout).toMatch(LOADED)
})

test('a worker runs it, and the program ends', async () => {
  const worker = `${IMPORTS}import { parentPort } from 'node:worker_threads'
${HANDLER}parentPort.postMessage(await handler('worker'))\n`
  await writeFile(join(project, 'worker.mjs'), worker)
  await writeFile(
    join(project, 'host.mjs'),
    `import { Worker } from 'node:worker_threads'
const worker = new Worker(new URL('./worker.mjs', import.meta.url))
worker.on('message', text => console.log(text))
worker.on('error', error => { throw error })\n`,
  )
  const { stdout, stderr } = await started('host.mjs')
  expect(stderr).toBe('')
  expect(stdout).toMatch(LOADED)
})

describe('a folder with some of the packages only', () => {
  test('says that DuckDB lacks, and what to ship', async () => {
    const bare = join(folder, 'bare')
    await mkdir(join(bare, 'node_modules'), { recursive: true })
    for (const name of await readdir(join(project, 'node_modules'))) {
      if (name === '@duckdb') continue
      if (name === 'sluice')
        await cp(join(project, 'node_modules', name), join(bare, 'node_modules', name), { recursive: true })
      else await symlink(join(project, 'node_modules', name), join(bare, 'node_modules', name))
    }
    const failing = `${IMPORTS}${HANDLER}handler('bare').catch(error => console.log(error.code + ': ' + error.message))\n`
    await writeFile(join(bare, 'app.mjs'), failing)
    const { stdout } = await started(join(bare, 'app.mjs'), bare)
    expect(stdout).toMatch(
      /^destination: DuckDB cannot be loaded on this machine \(.*npm install @duckdb\/node-api.*ship all of/,
    )
  })

  // Next.js' standalone output and the like look for `createRequire(import.meta.url)` and for nothing that says the same.
  test('DuckDB is required in words that tools find that gather files', async () => {
    const parts = join(project, 'node_modules', 'sluice', 'dist', 'parts')
    const files = (await readdir(parts)).filter(name => /^database.*\.js$/.test(name))
    const texts = await Promise.all(files.map(name => readFile(join(parts, name), 'utf8')))
    expect(texts.join()).toContain('createRequire(import.meta.url)("@duckdb/node-api")')
  })
})
