import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it, onTestFinished, vi } from 'vitest'
import { sluiceProcess } from '../cli/process.js'
import { extensions } from '../destinations/lakeExtensions.js'
import { type PostgresServer, startPostgres } from '../destinations/postgresServer.js'
import { between, hourlyVisits, jsonApi } from '../pipeline/hourlyVisits.js'

vi.setConfig({ testTimeout: 600_000, hookTimeout: 120_000 })

/** For processes that load a lake. */
const ENV = {
  SLUICE_DUCKDB_EXTENSIONS: extensions ?? '',
  NODE_OPTIONS: process.env.NODE_OPTIONS ?? '',
}

const VISITS = hourlyVisits(72, hour => ({
  tags: ['a', `tag ${hour}`],
  // Windows find tables of each other's making.
  [`day_${Math.floor(hour / 24)}`]: hour,
  value: hour < 36 ? hour : `text ${hour}`,
}))
const WINDOWS = 9
const TO = '2024-01-04T00:00:00.000Z'

let server: PostgresServer
beforeAll(async () => {
  server = await startPostgres()
})
afterAll(() => server?.stop())

/** An API of visits. `asked`: called with the process that asks; true if it answers nothing. */
function api(asked: (by: string, response: ServerResponse) => boolean): Promise<string> {
  return jsonApi((query, response, request) =>
    asked(String(request.headers['x-process']), response) ? undefined : between(VISITS, query),
  )
}

type Cut = 'cursor' | 'values' | 'parents'

const CUT: Readonly<Record<Cut, string>> = {
  cursor: `
      write_disposition: append
      endpoint:
        timeout: 600
        incremental:
          cursor_path: at
          initial_value: "2024-01-01T00:00:00.000Z"
          start_param: since
          end_param: until
          window: { step: PT8H }`,
  values: `
      write_disposition: append
      endpoint:
        params: { since: "{resources.shifts.since}", until: "{resources.shifts.until}" }
        partition: { by: values }`,
  parents: `
      write_disposition: append
      endpoint:
        params: { since: "{resources.shifts.since}", until: "{resources.shifts.until}" }
        partition: { by: parents, slices: 9 }`,
}

/** As many shifts as there are windows of a cursor. */
const SHIFTS = Array.from({ length: WINDOWS }, (_, place) => {
  const [since, until] = [place, place + 1].map(shift => new Date(Date.UTC(2024, 0, 1, shift * 8)).toISOString())
  return { since, until }
})

/** All processes have the same file. The environment names each. */
const pipeline = (url: string, destination: string, cut: Cut = 'cursor'): string => `name: visits
destination: "${destination}"
source:
  client: { base_url: "${url}", headers: { x-process: "\${env.WHO}" }, paginator: single_page }
  resources:
    - name: shifts
      selected: false
      primary_key: since
      records: ${JSON.stringify(SHIFTS)}
    - name: visits
      primary_key: id${CUT[cut]}
`

const READS = [
  'SELECT id, at, day_0, day_1, day_2 FROM visits ORDER BY id',
  'SELECT v.id, t.value, t._dlt_list_idx AS place FROM visits AS v JOIN visits__tags AS t ON t._dlt_parent_id = v._dlt_id ORDER BY 1, 3',
  'SELECT CAST(window_start AS text) AS a, CAST(window_end AS text) AS b, verdict, records, count(*) AS times FROM _sluice_windows GROUP BY 1, 2, 3, 4 ORDER BY 1',
]

const lakeOf = (address: string, data: string): string => `ducklake:${address}?data_path=${data}`
const inPostgres = async (): Promise<string> => server.url(await server.createDatabase())
const inLake = async (folder: string): Promise<string> =>
  lakeOf(server.url(await server.createDatabase()), join(folder, 'data'))
const places: readonly (readonly [string, Cut, (folder: string) => Promise<string>])[] = [
  ['Postgres', 'cursor', inPostgres],
  ['Postgres', 'values', inPostgres],
  ['Postgres', 'parents', inPostgres],
  ...(extensions === undefined ? [] : [['a lake with its catalog in Postgres', 'cursor', inLake] as const]),
]

it.each(places)(
  'three processes, of which one is killed, leave what one process leaves: %s by %s',
  async (_, cut, open) => {
    const folder = await mkdtemp(join(tmpdir(), 'sluice-partitions-'))
    onTestFinished(() => rm(folder, { recursive: true, force: true }))
    const to = cut === 'cursor' ? ['--to', TO] : []
    let kill = (): void => {}
    let asked = 0
    const url = await api(by => {
      // It dies with a window in its hands, after it has loaded one.
      if (by !== 'killed' || ++asked < 2) return false
      kill()
      return true
    })
    const backfill = async (
      who: string,
      file: string,
      more: readonly string[],
      started: (kill: () => void) => void = () => {},
    ) =>
      await sluiceProcess(['backfill', file, '--resource', 'visits', ...to, '--json', ...more], {
        cwd: folder,
        env: { ...ENV, WHO: who, SLUICE_HOME: join(folder, who) },
        started: running => started(() => void running.kill('SIGKILL')),
      })
    const tables = async (file: string) => {
      const read = []
      for (const sql of READS)
        read.push(
          (await sluiceProcess(['query', file, sql, '--json'], { cwd: folder, env: { ...ENV, WHO: 'query' } })).stdout,
        )
      return read
    }

    await writeFile(join(folder, 'calm.yaml'), pipeline(url, await open(join(folder, 'calm')), cut))
    expect((await backfill('calm', 'calm.yaml', [])).exitCode).toBe(0)
    const calm = await tables('calm.yaml')
    expect(calm[2]?.trim().split('\n')).toHaveLength(WINDOWS)

    const destination = await open(join(folder, 'shared'))
    await writeFile(join(folder, 'shared.yaml'), pipeline(url, destination, cut))
    const part = (index: number): readonly string[] => ['--partition', `${index}/3`, '--claim-timeout', '8']
    const [killed, ...others] = await Promise.all([
      backfill('killed', 'shared.yaml', part(1), die => {
        kill = die
      }),
      backfill('second', 'shared.yaml', part(2)),
      backfill('third', 'shared.yaml', part(3)),
    ])
    expect(killed.signal).toBe('SIGKILL')
    for (const { exitCode, stderr } of others) expect([exitCode, stderr.match(/error/i)]).toEqual([0, null])
    expect(await tables('shared.yaml')).toEqual(calm)
    const status = await sluiceProcess(
      ['backfill', 'shared.yaml', '--resource', 'visits', ...to, '--status', '--json'],
      {
        cwd: folder,
        env: { ...ENV, WHO: 'status' },
      },
    )
    expect(JSON.parse(status.stdout)).toMatchObject({ missing: [], failed: [], running: [] })
  },
)

it.each([
  ['a DuckDB file', 'duckdb:visits.duckdb', '1/3', /partition: .*takes loads of one process at a time/],
  ['a part beyond the last', 'postgres://nobody@127.0.0.1:9/none', '4/3', /partition: is 4 of 3; count from 1 to 3/],
  ['what is no part', 'postgres://nobody@127.0.0.1:9/none', 'third', /--partition: is "third"; expected a part/],
] as const)('refuses %s in one clear error', async (_, destination, partition, message) => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-partitions-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  await writeFile(join(folder, 'visits.yaml'), pipeline('http://127.0.0.1:9', destination))
  const { exitCode, stderr } = await sluiceProcess(
    ['backfill', 'visits.yaml', '--resource', 'visits', '--partition', partition],
    { cwd: folder, env: { WHO: 'nobody' } },
  )
  expect([exitCode, stderr]).toEqual([2, expect.stringMatching(message)])
})

it.each([
  ['counts other processes', '2/4', '', /counts 4 processes, and another one that loads this range counts 3/],
  [
    'has another file',
    '2/3',
    '# Edited.\n',
    /another process that loads this range has another text of the pipeline file/,
  ],
] as const)('refuses a process that joins others and %s', async (_, partition, edit, message) => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-partitions-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  let goOn = (): void => {}
  const held: ServerResponse[] = []
  let isHeld = true
  let asked = (): void => {}
  const isAsked = new Promise<void>(resolve => {
    asked = resolve
  })
  const others: string[] = []
  const url = await jsonApi((query, response, request) => {
    if (request.headers['x-process'] !== 'first') others.push(String(request.url))
    if (!isHeld) return between(VISITS, query)
    goOn = () => void response.setHeader('content-type', 'application/json').end(JSON.stringify(between(VISITS, query)))
    held.push(response)
    asked()
    return undefined
  })
  const destination = await inPostgres()
  await writeFile(join(folder, 'visits.yaml'), pipeline(url, destination))
  await writeFile(join(folder, 'other.yaml'), pipeline(url, destination) + edit)
  const backfill = async (who: string, file: string, part: string) =>
    await sluiceProcess(
      ['backfill', file, '--resource', 'visits', '--to', TO, '--partition', part, '--claim-timeout', '40'],
      { cwd: folder, env: { ...ENV, WHO: who, SLUICE_HOME: join(folder, who) } },
    )
  const first = backfill('first', 'visits.yaml', '1/3')
  await isAsked
  const joining = await backfill('joining', edit === '' ? 'visits.yaml' : 'other.yaml', partition)
  expect([joining.exitCode, joining.stderr]).toEqual([2, expect.stringMatching(message)])
  expect(joining.stderr.match(/error/gi)).toHaveLength(1)
  expect(joining.stdout).toBe('')
  expect(others).toEqual([])
  isHeld = false
  goOn()
  const { exitCode, stderr } = await first
  expect([exitCode, stderr.match(/error/i)]).toEqual([0, null])
  expect(held).toHaveLength(1)
})

it('processes that share a list in parts end where it is shorter than they were told', async () => {
  const url = await jsonApi(query => {
    const offset = Number(query.get('offset'))
    return { total: 55, data: Array.from({ length: 55 }, (_, id) => ({ id })).slice(offset, offset + 10) }
  })
  const destination = await inPostgres()
  const folder = await mkdtemp(join(tmpdir(), 'sluice-shared-parts-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const file = join(folder, 'items.yaml')
  await writeFile(
    file,
    `name: items
destination: "${destination}"
source:
  client: { base_url: "${url}" }
  resources:
    - name: items
      primary_key: id
      write_disposition: merge
      endpoint:
        data_selector: data
        paginator: { type: offset, limit: 10, total_path: total }
        partition: { by: pages, pages: 3 }
`,
  )
  const share = (which: string) =>
    sluiceProcess(['backfill', file, '--resource', 'items', '--to', '90', '--partition', which, '--json'], {
      cwd: folder,
      env: { SLUICE_HOME: join(folder, which.replace('/', '-')) },
    })
  const ended = await Promise.all([share('1/2'), share('2/2')])
  expect(ended.map(({ exitCode, stderr }) => ({ exitCode, stderr: exitCode === 0 ? '' : stderr }))).toEqual(
    ended.map(() => ({ exitCode: 0, stderr: '' })),
  )
  const query = ['query', file, 'SELECT count(*) AS n, count(DISTINCT id) AS ids FROM items', '--json']
  const { stdout } = await sluiceProcess(query, { cwd: folder, env: {} })
  expect(JSON.parse(stdout)).toMatchObject({ n: 55, ids: 55 })
})
