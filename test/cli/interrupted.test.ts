import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { DuckDBInstance } from '@duckdb/node-api'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type DemoApi, startDemoApi } from '../../demo/server.js'
import { type Ended, sluiceProcess } from './process.js'

const flags = fileURLToPath(new URL('../../examples/feature_flags.yaml', import.meta.url))

let folder: string
let api: DemoApi
/** Called when the third and last page is asked for, which is then slow. */
let atLastPage: (() => void) | undefined

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-cli-'))
  atLastPage = undefined
  api = await startDemoApi({
    apiKey: 'demo-key',
    records: { featureFlags: 230 },
    faults: ({ offset }) => {
      if (offset < 200 || atLastPage === undefined) return undefined
      atLastPage()
      return { kind: 'slow', delayMs: 20_000 }
    },
  })
})
afterEach(async () => {
  await api.close()
  await rm(folder, { recursive: true, force: true })
})

function sluice(command: readonly string[], started?: (running: { kill(signal: NodeJS.Signals): void }) => void) {
  const env = { API_KEY: 'demo-key', DEMO_API_URL: api.url, SLUICE_HOME: join(folder, 'home') }
  return sluiceProcess([...command, '--destination', 'duckdb:flags.duckdb'], {
    cwd: folder,
    env,
    ...(started === undefined ? {} : { started }),
  })
}

const run = ['run', flags, '--concurrency', '1']

async function killedRun(): Promise<Ended> {
  const ended = await sluice(run, running => {
    atLastPage = () => running.kill('SIGKILL')
  })
  atLastPage = undefined
  return ended
}

/** Offsets that a command asks the API for. */
async function askedBy(command: readonly string[]): Promise<{ readonly ended: Ended; readonly offsets: number[] }> {
  const before = api.requests.length
  const ended = await sluice(command)
  return { ended, offsets: api.requests.slice(before).map(({ offset }) => offset) }
}

/** Rows of a table in the database that the commands load into; undefined where it does not exist. */
async function rowsOf(table: string): Promise<number | undefined> {
  const instance = await DuckDBInstance.create(join(folder, 'flags.duckdb'))
  const connection = await instance.connect()
  try {
    const reader = await connection.runAndReadAll(`SELECT count(*) FROM feature_management.${table}`)
    return Number(reader.getRows()[0]?.[0])
  } catch (error) {
    if (/does not exist/.test(String(error))) return undefined
    throw error
  } finally {
    connection.closeSync()
    instance.closeSync()
  }
}

function loadIdIn({ stdout }: Ended): string {
  return /Load (\S+) committed/.exec(stdout)?.[1] ?? ''
}

describe('a killed sluice run', () => {
  it('cannot be replayed, for a page is missing; the next run goes on behind the pages that were read and says so', async () => {
    expect(await killedRun()).toMatchObject({ signal: 'SIGKILL' })
    const [loadId = ''] = await readdir(join(folder, 'home', 'feature_flags', 'loads'))
    const replayed = await askedBy(['replay', flags, loadId])
    expect(replayed.ended.exitCode).toBe(1)
    expect(replayed.ended.stderr).toMatch(/feature_flags: a page is not in the journal .*code: journal/s)
    expect(replayed.offsets).toEqual([])
    expect(await rowsOf('feature_flags')).toBeUndefined()

    const { ended, offsets } = await askedBy(run)
    expect(ended.exitCode).toBe(0)
    expect(ended.stderr).toContain('resuming after 2 pages of an interrupted run')
    expect(ended.stdout).toMatch(/feature_flags\s+complete\s+1\s+0\s+3\s+230\s+230/)
    expect(offsets).toEqual([200])
    expect(await rowsOf('feature_flags')).toBe(230)
    expect(await rowsOf('_dlt_loads')).toBe(1)
  })

  it('is not resumed with --no-resume: everything is asked for again, and the pages are set aside', async () => {
    await killedRun()
    const { ended, offsets } = await askedBy([...run, '--no-resume'])
    expect(ended.exitCode).toBe(0)
    expect(ended.stderr).not.toContain('resuming')
    expect(offsets).toEqual([0, 100, 200])
    const [, aside = ''] = /told not to resume\. Its pages were set aside in (\S+)/.exec(ended.stderr) ?? []
    expect(await readdir(aside)).toEqual(['responses.warc'])
    expect(await rowsOf('feature_flags')).toBe(230)
    expect(await rowsOf('_dlt_loads')).toBe(1)
  })

  it('of a full refresh is resumed by another one; a run without it says what differs', async () => {
    const refresh = [...run, '--full-refresh']
    const stopped = await sluice(refresh, running => {
      atLastPage = () => running.kill('SIGTERM')
    })
    atLastPage = undefined
    expect(stopped.stderr).toContain('the next run with the same options continues after them')
    const again = await sluice(refresh, running => {
      atLastPage = () => running.kill('SIGTERM')
    })
    atLastPage = undefined
    expect(again.stderr).toContain('resuming after 2 pages of an interrupted run')
    const { ended } = await askedBy(run)
    expect(ended.exitCode).toBe(0)
    expect(ended.stderr.replaceAll(/\s+/g, ' ')).toContain(
      'is not resumed: one of the two runs is a refresh (--full-refresh), and the other is not',
    )
    expect(await rowsOf('feature_flags')).toBe(230)
  })
})

describe('sluice replay', () => {
  it('loads the newest kept journal, or the one that is named, and asks the API nothing', {
    timeout: 90_000,
  }, async () => {
    const loadId = loadIdIn(await sluice([...run, '--keep-journal']))
    await sluice(['drop', flags, 'feature_flags', '--yes'])
    expect(await rowsOf('feature_flags')).toBeUndefined()
    const rebuilt = await askedBy(['replay', flags])
    expect(rebuilt).toMatchObject({ ended: { exitCode: 0 }, offsets: [] })
    expect(rebuilt.ended.stdout).toMatch(/feature_flags\s+complete\s+0\s+0\s+3\s+230\s+230/)
    expect(rebuilt.ended.stderr).not.toContain('interrupted')
    expect(await rowsOf('feature_flags')).toBe(230)

    api.advance()
    await sluice(run)
    expect(await rowsOf('feature_flags')).toBe(270)
    const merged = await askedBy(['replay', flags, loadId])
    expect(merged).toMatchObject({ ended: { exitCode: 0 }, offsets: [] })
    expect(await rowsOf('feature_flags'), 'flags that came later stay').toBe(270)
    // The dropping is recorded as a load, too.
    expect(await rowsOf('_dlt_loads')).toBe(5)

    const unknown = await askedBy(['replay', flags, '1.5'])
    expect(unknown.ended.exitCode).toBe(1)
    expect(unknown.ended.stderr).toContain(`there are ${loadId}`)
  })
})
