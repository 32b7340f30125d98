import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'
import { sluiceProcess } from '../cli/process.js'
import { extensions } from '../destinations/lakeExtensions.js'
import { serve } from '../rest/clientServer.js'

/** The commands of the section, in their order. */
async function commands(): Promise<readonly (readonly string[])[]> {
  const page = await readFile(new URL('../../docs/production.md', import.meta.url), 'utf8')
  const [, section = ''] = /### Back to an earlier state\n([\s\S]*?)\n## /.exec(page) ?? []
  return [...section.matchAll(/^ {4}(.+)$/gm)].map(([, line = '']) =>
    [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, word]) => quoted ?? word ?? ''),
  )
}

/** A pipeline of one order, whose total is the number of runs so far. */
async function orders(destination: string) {
  let total = 0
  const { origin, close } = await serve((_, response) => {
    total++
    response.setHeader('content-type', 'application/json').end(JSON.stringify([{ id: 1, total }]))
  })
  onTestFinished(() => close())
  const folder = await mkdtemp(join(tmpdir(), 'sluice-earlier-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  await writeFile(
    join(folder, 'orders.yaml'),
    `name: orders
destination: ${destination}
client: { base_url: '${origin}', paginator: single_page }
resources: [{ name: orders, primary_key: id, write_disposition: merge }]
`,
  )
  const run = async ([program = '', ...args]: readonly string[]): Promise<string> => {
    if (program !== 'sluice') return (await promisify(execFile)(program, args, { cwd: folder })).stdout
    const { NODE_OPTIONS = '' } = process.env
    const env = { SLUICE_DUCKDB_EXTENSIONS: extensions ?? '', NODE_OPTIONS, COLUMNS: '200' }
    const { exitCode, stdout, stderr } = await sluiceProcess([...args], { cwd: folder, env })
    expect({ exitCode, stderr: exitCode === 0 ? '' : stderr }).toEqual({ exitCode: 0, stderr: '' })
    return stdout
  }
  const load = (): Promise<string> => run(['sluice', 'run', 'orders.yaml', '--keep-journal'])
  const totals = (): Promise<string> => run(['sluice', 'query', 'orders.yaml', 'SELECT total FROM orders', '--csv'])
  return { run, load, totals }
}

test('a journal, and a copy of the file, bring an earlier state back', { timeout: 180_000 }, async () => {
  const [history = [], replay = [], copy = [], putBack = []] = await commands()
  const { run, load, totals } = await orders('duckdb:orders.duckdb')
  await load()
  const [loadId = ''] = /^\d+\.\d+/m.exec(await run(history)) ?? []
  await run(copy)
  await load()
  expect(await totals()).toMatch(/^total\s+2\s*$/)
  await run(replay.map(word => (word === 'LOAD' ? loadId : word)))
  expect(await totals()).toMatch(/^total\s+1\s*$/)
  await load()
  expect(await totals()).toMatch(/^total\s+3\s*$/)
  await run(putBack)
  expect(await totals()).toMatch(/^total\s+1\s*$/)
})

test.skipIf(extensions === undefined)('a lake has the rows of each load', { timeout: 180_000 }, async () => {
  const [, , , , snapshots = [], before = []] = await commands()
  const { run, load, totals } = await orders('ducklake:orders.ducklake')
  await load()
  await load()
  expect(await totals()).toMatch(/^total\s+2\s*$/)
  expect(await run([...snapshots, '--csv'])).toMatch(/^0,.*\n1,.*\n2,/m)
  expect(await run([...before, '--csv'])).toMatch(/^id,total\s+1,1\s*$/)
})
