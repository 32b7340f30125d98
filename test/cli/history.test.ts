import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import type { Answer } from '../rest/listServer.js'
import { testApi } from '../rest/loading.js'
import { type Ended, sluiceProcess } from './process.js'

const document = (ids: readonly number[]) => `
client: {base_url: "https://api.example.com", auth: {type: bearer, token: "\${secrets.token}"}}
resources:
  - {name: shops, primary_key: id, write_disposition: merge, records: [${ids.map(id => `{id: ${id}, tags: [a]}`).join(', ')}]}
`

it('sluice history lists the loads, newest first, and prints the receipts of one', { timeout: 90_000 }, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-history-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const sluice = (args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ended> =>
    sluiceProcess(args, { cwd: folder, env })
  await writeFile(join(folder, 'shops.yaml'), document([1]))
  expect(await sluice(['history', 'shops.yaml'])).toMatchObject({ exitCode: 1, stdout: '' })
  for (const ids of [[1], [1, 2, 3]]) {
    await writeFile(join(folder, 'shops.yaml'), document(ids))
    expect(await sluice(['run', 'shops.yaml'], { TOKEN: 'token-4711' })).toMatchObject({ exitCode: 0 })
  }
  const list = await sluice(['history', 'shops.yaml'])
  expect(list).toMatchObject({ exitCode: 0, stderr: '' })
  const [head, , ...lines] = list.stdout.trimEnd().split('\n')
  expect(head).toMatch(/^load +committed +verdict +records +rows +deleted$/)
  expect(
    lines.map(line =>
      line
        .replace(/\S*\d{4}-\d\d-\d\dT[\d:]+Z/, 'TIME')
        .split(/\s+/)
        .slice(1),
    ),
  ).toEqual([
    ['TIME', 'complete', '3', '6', '0'],
    ['TIME', 'complete', '1', '2', '0'],
  ])
  const ids = lines.map(line => line.split(' ')[0] ?? '')
  const one = await sluice(['history', 'shops.yaml', ids[1] ?? ''])
  expect(one.stdout).toMatch(new RegExp(`^Load ${ids[1]}, committed \\d{4}-`))
  expect(one.stdout).toMatch(/^shops +complete +0 +0 +1 +1 /m)
  const json = await sluice(['history', 'shops.yaml', '--json', '--limit', '1'])
  expect(JSON.parse(json.stdout)).toMatchObject({
    loadId: ids[0],
    committedAt: expect.stringMatching(/Z$/),
    receipts: [{ resource: 'shops', verdict: 'complete', records: 3, rows: { shops: 3, shops__tags: 3 } }],
  })
  const unknown = await sluice(['history', 'shops.yaml', '1.5'])
  expect(unknown).toMatchObject({ exitCode: 2, stdout: '' })
  expect(unknown.stderr).toContain('error: there is no load 1.5')
})

it('tells when a run last found nothing new, until a load is newer', { timeout: 90_000 }, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-history-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const historyAfter = async (...ids: number[]): Promise<string> => {
    await writeFile(join(folder, 'shops.yaml'), document(ids))
    const env = { TOKEN: 'token-4711' }
    expect(await sluiceProcess(['run', 'shops.yaml'], { cwd: folder, env })).toMatchObject({ exitCode: 0 })
    return (await sluiceProcess(['history', 'shops.yaml'], { cwd: folder })).stdout
  }
  expect(await historyAfter(1)).not.toContain('without news')
  const quiet = await historyAfter()
  const time = /^Last run without news: (\S+Z), complete\. Only this machine knows of it\.$/m.exec(quiet)?.[1]
  expect(Date.parse(time ?? '')).toBeGreaterThan(0)
  expect(quiet.match(/^\d+\.\d+ /gm)).toHaveLength(1)
  await writeFile(join(folder, '.sluice', 'shops', 'uncommitted_runs.ndjson'), '{"at": "yest')
  expect((await sluiceProcess(['history', 'shops.yaml'], { cwd: folder })).stdout).not.toContain('without news')
  expect(await historyAfter(2)).not.toContain('without news')
})

it('tells the loads apart of pipelines that share a dataset', { timeout: 90_000 }, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-history-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  for (const name of ['shops', 'orders']) {
    await writeFile(
      join(folder, `${name}.yaml`),
      `destination: duckdb:both.duckdb\ndataset: both\nclient: {base_url: "https://api.example.com"}\nresources: [{name: ${name}, records: [{id: 1}]}]\n`,
    )
    expect(await sluiceProcess(['run', `${name}.yaml`], { cwd: folder })).toMatchObject({ exitCode: 0 })
  }
  const { stdout } = await sluiceProcess(['history', 'shops.yaml'], { cwd: folder })
  const [head, , ...lines] = stdout.trimEnd().split('\n')
  expect(head).toMatch(/ resources +records /)
  expect(lines.map(line => line.split(/\s+/).at(3))).toEqual(['orders', 'shops'])
})

it('lists runs that failed with verdict, reason and time, and tells no secret', { timeout: 90_000 }, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-history-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  let answer: Answer = { status: 500, json: { error: 'token-4711 is ill' } }
  const { origin } = await testApi(() => answer)
  await writeFile(
    join(folder, 'shops.yaml'),
    `client: {base_url: "${origin}", auth: {type: bearer, token: "\${secrets.token}"}}\nresources: [{name: shops, expect: {min_records: 2}, endpoint: {paginator: single_page, retry: {attempts: 1}}}]\n`,
  )
  const env = { TOKEN: 'token-4711' }
  const command = (...args: string[]) => sluiceProcess(args, { cwd: folder, env })
  expect(await command('run', 'shops.yaml')).toMatchObject({ exitCode: 1 })
  const first = await command('history', 'shops.yaml')
  expect(first.exitCode).toBe(1)
  expect(first.stdout).toMatch(/^Runs that committed nothing, newest first\./)
  expect(first.stdout.replace(/\s+/g, ' ')).toMatch(/\d{4}-\S+Z failed: .*was answered 500 .* \(http_status\)/)
  answer = { json: { items: [{ id: 1 }] } }
  expect(await command('run', 'shops.yaml')).toMatchObject({ exitCode: 1 })
  answer = { json: { items: [{ id: 1 }, { id: 2 }] } }
  expect(await command('run', 'shops.yaml')).toMatchObject({ exitCode: 0 })
  const { stdout } = await command('history', 'shops.yaml')
  const [loads, failures] = stdout.split('Runs that committed nothing')
  expect(loads).toMatch(/^load +committed +verdict/)
  expect(failures?.match(/Z failed/g)).toHaveLength(2)
  expect(failures).toMatch(/Z failed, incomplete: shops is incomplete: /)
  const listed = await command('history', 'shops.yaml', '--failed', '--json')
  expect(listed.exitCode).toBe(0)
  expect(
    listed.stdout
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line)),
  ).toEqual([
    {
      at: expect.stringMatching(/Z$/),
      outcome: 'failed',
      verdicts: { shops: 'incomplete' },
      code: 'incomplete',
      reason: expect.stringContaining('min_records'),
    },
    {
      at: expect.stringMatching(/Z$/),
      outcome: 'failed',
      verdicts: {},
      code: 'http_status',
      reason: expect.stringContaining('500'),
    },
  ])
  expect(await readFile(join(folder, '.sluice', 'shops', 'uncommitted_runs.ndjson'), 'utf8')).not.toContain('4711')
})
