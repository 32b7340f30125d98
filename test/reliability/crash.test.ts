import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { cp, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readJournal } from '../../src/journal/journal.js'
import type { Pipeline } from '../../src/pipeline/pipeline.js'
import { type ShopApi, shopApi } from './api.js'
import { seeded } from './chance.js'
import { contents } from './contents.js'

/**
 * The crash matrix. A process that loads is killed with SIGKILL, at every named step and at random moments, and the load
 * is run again until it ends: the tables must be those of runs that nobody disturbed.
 *
 * `SLUICE_KILLS` is the number of random kills (25), `SLUICE_SEED` chooses their moments.
 */
const dispositions = ['append', 'replace', 'merge', 'incremental'] as const
type Disposition = (typeof dispositions)[number]

/** Destinations that keep their data in a folder; each is one line. */
const destinations: Readonly<Record<string, (folder: string) => string>> = {
  duckdb: folder => `duckdb:${join(folder, 'shop.duckdb')}`,
}

type Moment =
  | { readonly event: string; readonly number: number }
  | { readonly commitMs: number }
  | { readonly afterMs: number }

const steps: readonly (readonly [name: string, moment: Moment])[] = [
  ['the start', { event: 'run_started', number: 1 }],
  ['the first answer', { event: 'request', number: 1 }],
  ['the first page', { event: 'page', number: 1 }],
  ['a later page', { event: 'page', number: 8 }],
  ['the receipts', { event: 'resource_finished', number: 1 }],
  ['the start of the commit', { event: 'committing', number: 1 }],
  ['3 ms into the commit', { commitMs: 3 }],
  ['12 ms into the commit', { commitMs: 12 }],
  ['the end of the commit', { event: 'committed', number: 1 }],
]

interface Job {
  readonly url: string
  readonly home: string
  readonly destination: string
  readonly disposition: Disposition
  readonly moment?: Moment | undefined
}

const loader = fileURLToPath(new URL('loader.mjs', import.meta.url))
const { shopPipeline } = (await import(loader)) as { shopPipeline(job: Job): Promise<Pipeline> }

let folder: string
let api: ShopApi
let accounts = 0

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-crash-'))
  api = await shopApi()
})

afterAll(async () => {
  await api.close()
  await rm(folder, { recursive: true, force: true })
})

/** A dataset that was loaded on the first day, to be copied, and what a second run makes of it. */
interface Prepared {
  readonly template: string
  readonly expected: Awaited<ReturnType<typeof contents>>
}

const prepared = new Map<string, Promise<Prepared>>()

function prepare(destination: string, disposition: Disposition): Promise<Prepared> {
  const key = `${destination}-${disposition}`
  const known = prepared.get(key) ?? make()
  prepared.set(key, known)
  return known

  async function make(): Promise<Prepared> {
    const template = join(folder, key)
    const undisturbed = join(folder, `${key}-undisturbed`)
    await mkdir(template, { recursive: true })
    await (await shopPipeline(job(template, key))).run()
    await cp(template, undisturbed, { recursive: true })
    api.setDay(key, 2)
    const shop = await shopPipeline(job(undisturbed, key))
    await shop.run()
    return { template, expected: await contents(shop) }
  }

  function job(at: string, account: string): Job {
    return { url: api.url(account), home: join(at, 'home'), destination: place(destination, at), disposition }
  }
}

function place(destination: string, at: string): string {
  return destinations[destination]?.(at) ?? destination
}

/** Loads the second day, killed at each of the moments in turn, and to the end after that. */
async function interrupted(destination: string, disposition: Disposition, moments: readonly Moment[]) {
  const { template, expected } = await prepare(destination, disposition)
  const account = `account${accounts++}`
  const at = join(folder, account)
  await cp(template, at, { recursive: true })
  api.setDay(account, 2)
  const job: Job = { url: api.url(account), home: join(at, 'home'), destination: place(destination, at), disposition }
  let kept: readonly string[] | undefined
  let kills = 0
  const shop = await shopPipeline(job)
  // A process may be killed when its load is over and its journal gone; running again would be another load.
  const isOver = async (): Promise<boolean> => kept === undefined && (await contents(shop)).loads === expected.loads
  const checkRepetition = (before: number): void => {
    const again = api
      .asked(account)
      .slice(before)
      .filter(path => kept?.includes(path))
    expect(again, 'pages that were in the journal').toEqual([])
  }
  for (const moment of moments) {
    const before = api.asked(account).length
    const end = await killed({ ...job, moment })
    if (end.signal === 'SIGKILL') kills++
    else expect(end, end.output).toMatchObject({ exitCode: 0 })
    checkRepetition(before)
    kept = await journaled(job.home, account)
    if (end.signal === null || (await isOver())) break
  }
  const before = api.asked(account).length
  if (!(await isOver())) {
    const { receipts } = await shop.run()
    checkRepetition(before)
    for (const { resource, verdict, pages, records, announced } of receipts) {
      expect({ verdict, pages, records, announced }, resource).toEqual(expected.receipts.get(resource))
    }
    expect(await leftBehind(job.home), 'of a finished load nothing stays').toEqual([])
  }
  expect(await contents(shop)).toEqual(expected)
  await rm(at, { recursive: true })
  return kills
}

async function killed(job: Job) {
  const child = spawn(process.execPath, [loader, JSON.stringify(job)], { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
      const { moment } = job
      if (text.startsWith('started') && moment !== undefined && 'afterMs' in moment) {
        setTimeout(() => child.kill('SIGKILL'), moment.afterMs)
      }
    })
  }
  return new Promise<{ exitCode: number | null; signal: string | null; output: string }>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (exitCode, signal) => resolve({ exitCode, signal, output }))
  })
}

/** Paths of the answers in journals of unfinished loads; undefined where there is none. */
async function journaled(home: string, account: string): Promise<readonly string[] | undefined> {
  const loads = join(home, 'shop', 'loads')
  let paths: string[] | undefined
  for (const load of await readdir(loads).catch(() => [])) {
    if (!existsSync(join(loads, load, 'responses.warc'))) continue
    paths ??= []
    for await (const { url } of readJournal(join(loads, load))) {
      const { pathname, search } = new URL(url)
      paths.push(`${pathname.slice(account.length + 1)}${search}`)
    }
  }
  return paths
}

/** Journals and locks that nobody needs any more. */
async function leftBehind(home: string): Promise<readonly string[]> {
  const entries = await readdir(home, { recursive: true, withFileTypes: true })
  return entries.filter(entry => entry.isFile()).map(entry => entry.name)
}

describe.each(Object.keys(destinations))('a load into %s that is killed', destination => {
  describe.each(dispositions)('%s', disposition => {
    it.each(steps)('at %s is finished by the next run, once', async (_name, moment) => {
      await interrupted(destination, disposition, [moment])
    })
  })

  const seed = Number(process.env.SLUICE_SEED ?? 1)
  const wanted = Number(process.env.SLUICE_KILLS ?? 25)
  it(`at random moments (seed ${seed}) is finished by the next run, once`, {
    timeout: 60_000 + wanted * 5000,
  }, async () => {
    const random = seeded(seed)
    let kills = 0
    for (let round = 0; kills < wanted; round++) {
      const disposition = dispositions[round % dispositions.length] ?? 'merge'
      const moments = Array.from({ length: 1 + Math.floor(random() * 3) }, () => ({ afterMs: random() * 200 }))
      kills += await interrupted(destination, disposition, moments)
    }
  })
})
