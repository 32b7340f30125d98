import { existsSync } from 'node:fs'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readJournal, systemFiles } from '../../src/journal/journal.js'
import type { Pipeline } from '../../src/pipeline/pipeline.js'
import { type ShopApi, shopApi } from './api.js'
import { seeded } from './chance.js'
import { type Contents, contents, loadsOf } from './contents.js'
import { type Disposition, dispositions, type Place, type Room } from './places.js'
import { type Job, loaderProcess, type Moment, shopPipeline } from './process.js'

/**
 * The crash matrix. A process that loads is killed with SIGKILL, at every named step and at random moments, and the load
 * is run again until it ends: the tables must be those of runs that nobody disturbed.
 *
 * `SLUICE_KILLS` is the number of random kills of all destinations together (25), `SLUICE_SEED` chooses their moments;
 * more of them also reach further behind the commit.
 * With `SLUICE_MATRIX=full` every disposition is killed at every step.
 */
const readingSteps: readonly Step[] = [
  ['the start', { event: 'run_started', number: 1 }],
  ['the first answer', { event: 'request', number: 1 }],
  ['the first page', { event: 'page', number: 1 }],
  ['a later page', { event: 'page', number: 8 }],
  ['the receipts', { event: 'resource_finished', number: 1 }],
]
const commitSteps: readonly Step[] = [
  ['the start of the commit', { event: 'committing', number: 1 }],
  // A commit of a process that has just begun takes about 100 ms.
  ['20 ms into the commit', { event: 'committing', number: 1, laterMs: 20 }],
  ['50 ms into the commit', { event: 'committing', number: 1, laterMs: 50 }],
  ['the end of the commit', { event: 'committed', number: 1 }],
]
/** In steps of 5 ms; the file of a database is closed in about 30, on a busy machine in 100. */
const behind = Array.from({ length: Math.max(9, Number(process.env.SLUICE_KILLS ?? 0) / 5) }, (_, step) => step * 5)
const steps = [...readingSteps, ...commitSteps]
/** Kinds of destinations that share the random kills. */
const PLACES = 4
/** Where dispositions differ. */
const decisiveSteps = commitSteps.slice(2)
type Step = readonly [name: string, moment: Moment]

/** The first load of an account meets no dataset, the second one that of the day before. */
type Which = 'first' | 'second'

/** A load that is going to be interrupted. */
interface Attempt {
  readonly account: string
  readonly job: Job
  /** The same load for this process. */
  readonly shop: Pipeline
  readonly before: Contents
  readonly expected: Contents
}

export interface Matrix {
  readonly api: ShopApi
  readonly folder: string
  readonly room: Room
  begin(disposition: Disposition, which: Which): Promise<Attempt>
  /** Loads, killed at each of the moments in turn, and to the end after that. Gives the number of kills. */
  interrupted(disposition: Disposition, which: Which, moments: readonly Moment[]): Promise<number>
  /** Runs a load in this process and compares everything with that of an undisturbed one. */
  finish(attempt: Attempt, kept: readonly string[] | undefined): Promise<void>
  close(): Promise<void>
}

/** Declares the tests of one destination. Further ones may use the same room. */
export function testCrashes(place: Place): () => Matrix {
  let matrix: Matrix
  beforeAll(async () => {
    matrix = await openMatrix(place)
  })
  afterAll(() => matrix.close())

  describe('a first load that is killed', () => {
    it.each(steps.map((step, index) => [...step, place.dispositions[index % place.dispositions.length]] as const))(
      'at %s is finished by the next run, once',
      async (_name, moment, disposition = 'append') => {
        await matrix.interrupted(disposition, 'first', [moment])
      },
    )
  })

  describe.each(place.dispositions)('a second load that is killed (%s)', disposition => {
    const isWhole = process.env.SLUICE_MATRIX === 'full' || disposition === place.dispositions.at(-1)
    it.each(isWhole ? steps : decisiveSteps)('at %s is finished by the next run, once', async (_name, moment) => {
      await matrix.interrupted(disposition, 'second', [moment])
    })
  })

  describe('a load that is killed behind its commit', () => {
    it.each(behind)('by %i ms is not loaded again while anything of it is still open', async laterMs => {
      const disposition = place.dispositions[(laterMs / 5) % place.dispositions.length] ?? 'append'
      await matrix.interrupted(disposition, 'second', [{ event: 'committed', number: 1, laterMs }])
    })
  })

  const seed = Number(process.env.SLUICE_SEED ?? 1)
  const wanted = Math.floor((Number(process.env.SLUICE_KILLS ?? 25) + place.turn) / PLACES)
  it(`a load that is killed at random moments (${wanted} of seed ${seed}) is finished by the next run, once`, {
    timeout: 60_000 + wanted * 5000,
  }, async () => {
    const random = seeded(seed * PLACES + place.turn)
    let kills = 0
    for (let round = 0; kills < wanted; round++) {
      const disposition = place.dispositions[round % place.dispositions.length] ?? 'append'
      const which = random() < 0.3 ? 'first' : 'second'
      const moments = Array.from({ length: 1 + Math.floor(random() * 3) }, () => momentOf(random))
      kills += await matrix.interrupted(disposition, which, moments)
    }
  })
  return () => matrix
}

/** While reading, soon after any event, or somewhere in the commit. */
function momentOf(random: () => number): Moment {
  return random() < 0.5
    ? { event: 'committing', number: 1, laterMs: random() * 160 }
    : { number: 1 + Math.floor(random() * 40), laterMs: random() * 10 }
}

async function openMatrix(place: Place): Promise<Matrix> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-crash-'))
  const [api, room] = await Promise.all([shopApi(), place.open(folder)])
  const prepared = new Map<Disposition, Promise<Prepared>>()
  let accounts = 0

  const jobOf = async (account: string, disposition: Disposition, from?: string): Promise<Job> => {
    const destination = await room.make(account, from)
    return { url: api.url(account), home: join(folder, 'homes', account), destination, ...dispositions[disposition] }
  }
  const prepare = async (disposition: Disposition): Promise<Prepared> => {
    const account = `account${accounts++}`
    const first = await shopPipeline(await jobOf(account, disposition))
    const nothing = await contents(first)
    await first.run()
    const one = await contents(first)
    const again = `account${accounts++}`
    const second = await shopPipeline(await jobOf(again, disposition, account))
    api.setDay(again, 2)
    await second.run()
    return { account, after: [nothing, one, await contents(second)] }
  }
  const begin = async (disposition: Disposition, which: Which): Promise<Attempt> => {
    const preparing = prepared.get(disposition) ?? prepare(disposition)
    prepared.set(disposition, preparing)
    const { account: template, after } = await preparing
    const account = `account${accounts++}`
    const job = await jobOf(account, disposition, which === 'first' ? undefined : template)
    const shop = await shopPipeline(job)
    if (which === 'second') api.setDay(account, 2)
    const [nothing, one, two] = after
    return {
      account,
      job,
      shop,
      ...(which === 'first' ? { before: nothing, expected: one } : { before: one, expected: two }),
    }
  }
  const checkRepetition = ({ account }: Attempt, from: number, kept: readonly string[] | undefined): void => {
    const again = api.asked(account).slice(from)
    expect(
      again.filter(path => kept?.includes(path)),
      'pages that were in the journal',
    ).toEqual([])
  }
  const finish = async (attempt: Attempt, kept: readonly string[] | undefined): Promise<void> => {
    const { account, shop, expected, job } = attempt
    const from = api.asked(account).length
    const { receipts } = await shop.run()
    checkRepetition(attempt, from, kept)
    for (const { resource, verdict, pages, records, announced } of receipts) {
      expect({ verdict, pages, records, announced }, resource).toEqual(expected.receipts.get(resource))
    }
    expect(await leftBehind(job.home), 'of a finished load nothing stays').toEqual([])
    expect(await room.remains(account, expected.tables), 'of a finished load nothing stays').toEqual([])
    expect(await contents(shop)).toEqual(expected)
  }

  const interrupted = async (disposition: Disposition, which: Which, moments: readonly Moment[]): Promise<number> => {
    const attempt = await begin(disposition, which)
    const { account, job, shop, before, expected } = attempt
    let kept: readonly string[] | undefined
    let kills = 0
    for (const moment of moments) {
      const from = api.asked(account).length
      const end = await loaderProcess({ ...job, moment }).ended
      if (end.signal === 'SIGKILL') kills++
      else expect(end, end.output).toMatchObject({ exitCode: 0 })
      checkRepetition(attempt, from, kept)
      // Without a journal the next run loads again: so nothing else may be left to do.
      if (moment.event === 'committed' && (await journaled(job.home, account)) === undefined)
        expect(await room.remains(account, expected.tables), 'the journal goes last').toEqual([])
      // What was under way at a server may end a moment later than its process.
      if (!place.lingers && moment.event === 'committing') {
        expect([before, expected], 'a reader sees all of a load or nothing').toContainEqual(await contents(shop))
      }
      kept = await journaled(job.home, account)
      if (end.signal === null) break
      // A process may be killed when its load is over and its journal gone; running again would be another load.
      if (kept === undefined && (await loadsOf(shop)) === expected.loads) break
    }
    if (kept === undefined && (await loadsOf(shop)) === expected.loads) expect(await contents(shop)).toEqual(expected)
    else await finish(attempt, kept)
    await room.remove(account)
    return kills
  }

  return {
    api,
    folder,
    room,
    begin,
    interrupted,
    finish,
    async close() {
      await api.close()
      await room.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** A dataset that was loaded on the first day, to be copied, and what was there before and after each load. */
interface Prepared {
  readonly account: string
  readonly after: readonly [nothing: Contents, one: Contents, two: Contents]
}

/** Paths of the answers in journals of unfinished loads; undefined where there is none. */
export async function journaled(home: string, account: string): Promise<readonly string[] | undefined> {
  const loads = join(home, 'shop', 'loads')
  let paths: string[] | undefined
  for (const load of await readdir(loads).catch(() => [])) {
    // What is being removed is taken up by nobody.
    if (load.includes('.gone') || !existsSync(join(loads, load, 'responses.warc'))) continue
    paths ??= []
    for await (const { url } of readJournal(systemFiles, join(loads, load))) {
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
