import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished, vi } from 'vitest'
import { sluiceProcess } from '../cli/process.js'
import { between, hourlyVisits, jsonApi } from '../pipeline/hourlyVisits.js'
import { seeded } from './chance.js'
import { places } from './places.js'

vi.setConfig({ testTimeout: 300_000 })

const VISITS = hourlyVisits(96, hour => ({
  tags: ['a', `tag ${hour}`],
  ...(hour % 40 === 39 ? { late: hour } : {}),
}))
const WINDOWS = 12
const MOST_KILLS = 4

/** An API of visits, in pages of three. `asked`: called with the number of each request, before it is answered. */
async function api(asked: (requests: number) => void) {
  let requests = 0
  return await jsonApi(query => {
    asked(++requests)
    const found = between(VISITS, query)
    const offset = Number(query.get('offset') ?? 0)
    return { total: found.length, data: found.slice(offset, offset + 3) }
  })
}

const pipeline = (url: string, destination: string): string => `destination: "${destination}"
source:
  client: { base_url: "${url}" }
  resources:
    - name: visits
      primary_key: id
      write_disposition: append
      endpoint:
        data_selector: data
        paginator: { type: offset, limit: 3, total_path: total }
        incremental:
          cursor_path: at
          initial_value: "2024-01-01T00:00:00.000Z"
          start_param: since
          end_param: until
          window: { step: PT8H }
`

const READS = [
  'SELECT id, at, late FROM visits ORDER BY id',
  'SELECT v.id, t.value, t._dlt_list_idx AS place FROM visits AS v JOIN visits__tags AS t ON t._dlt_parent_id = v._dlt_id ORDER BY 1, 3',
  'SELECT window_start, window_end, verdict, records, count(*) AS times FROM _sluice_windows GROUP BY 1, 2, 3, 4 ORDER BY 1',
].map(sql =>
  sql.replaceAll('window_start', 'CAST(window_start AS text)').replaceAll('window_end', 'CAST(window_end AS text)'),
)

it.each([
  ['duckdb', 1],
  ['duckdb', 3],
  ['postgres', 1],
  ['postgres', 3],
] as const)(
  'a backfill that is killed again and again leaves what an undisturbed one leaves: %s, windows at a time: %s',
  async (engine, parallel) => {
    const folder = await mkdtemp(join(tmpdir(), 'sluice-killed-'))
    const room = await places[engine].open(folder)
    onTestFinished(async () => {
      await room.close()
      await rm(folder, { recursive: true, force: true })
    })
    let kill: (() => void) | undefined
    let killAt = Number.POSITIVE_INFINITY
    let since = 0
    const url = await api(() => {
      if (++since === killAt) kill?.()
    })
    const random = seeded(20_261)

    const backfill = async (file: string, atLine: number, atRequest: number) => {
      since = 0
      killAt = atRequest
      return await sluiceProcess(
        [
          'backfill',
          file,
          '--resource',
          'visits',
          '--to',
          '2024-01-05T00:00:00.000Z',
          '--json',
          '--parallel',
          String(parallel),
        ],
        {
          cwd: folder,
          started: running => {
            kill = () => running.kill('SIGKILL')
          },
          told: (text, running) => {
            if (text.split('\n').length > atLine) running.kill('SIGKILL')
          },
        },
      )
    }
    const tables = async (file: string) => {
      const read = []
      for (const sql of READS) read.push((await sluiceProcess(['query', file, sql, '--json'], { cwd: folder })).stdout)
      return read
    }

    await writeFile(join(folder, 'calm.yaml'), pipeline(url, await room.make('calm')))
    expect((await backfill('calm.yaml', Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY)).exitCode).toBe(0)
    const calm = await tables('calm.yaml')
    expect(calm[2]?.trim().split('\n')).toHaveLength(WINDOWS)

    await writeFile(join(folder, 'killed.yaml'), pipeline(url, await room.make('killed')))
    let kills = 0
    while (kills < MOST_KILLS) {
      const isAtLine = random() < 0.5
      const never = Number.POSITIVE_INFINITY
      const moment = 1 + Math.floor(random() * (isAtLine ? 2 : 7))
      const ended = await backfill('killed.yaml', isAtLine ? moment : never, isAtLine ? never : moment)
      if (ended.signal !== 'SIGKILL') break
      kills += 1
    }
    expect(kills).toBeGreaterThan(1)
    const last = await backfill('killed.yaml', Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY)
    expect(last.stderr).not.toContain('error')
    expect(last.exitCode).toBe(0)
    expect(await tables('killed.yaml')).toEqual(calm)
  },
)
