import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { hostname, tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  systemFiles as files,
  type Journal,
  type JournaledResponse,
  type JournalOptions,
  lockPipeline,
  openJournal,
  readJournal,
  replayJournal,
  unfinishedLoads,
} from '../../src/journal/journal.js'
import { scrubber } from '../../src/model/secrets/scrubber.js'
import { Secret } from '../../src/model/secrets/secret.js'
import fc from '../properties.js'

let dir = ''
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'sluice-journal-'))
})
afterEach(() => rm(dir, { recursive: true, force: true }))

const fileOf = (loadId = '1.5'): string => join(dir, 'loads', loadId, 'responses.warc')

function open(more: Partial<JournalOptions> = {}): Promise<Journal> {
  const meta = { startedAt: 17, big: 2n ** 60n, text: 'zwei\r\nZeilen' }
  return openJournal({ files, dir, loadId: '1.5', fingerprint: 'f', meta, now: () => 1_700_000_000_000, ...more })
}

const identity = (number: number) => ({ resource: 'plants: ü', request: `r${number}` })
const page = (number: number) => ({
  status: 200,
  headers: { 'content-type': 'application/json', link: `<x?page=${number}>; rel="next"` },
  body: Buffer.from(`{"page":${number},"text":"\r\n\r\nWARC/1.1\r\n"}`.repeat(number + 1)),
})
const about = (number: number) => ({ method: 'GET', url: `https://api.example/p?page=${number}` })

async function record(journal: Journal, numbers: readonly number[]): Promise<void> {
  for (const number of numbers) await journal.record(identity(number), page(number), about(number))
}

async function all(loadDir: string): Promise<JournaledResponse[]> {
  const found: JournaledResponse[] = []
  for await (const answer of readJournal(files, loadDir)) found.push(answer)
  return found
}

describe('resuming', () => {
  test('gives back what speaks against an answer, in a replay too', async () => {
    const doubtful = { ...page(1), doubt: 'the answer ended: it may be cut off' }
    const first = await open()
    await first.record(identity(1), doubtful, about(1))
    await first.close()
    const second = await open()
    expect(await second.lookup(identity(1))).toEqual(doubtful)
    await second.close()
    const replay = await replayJournal(files, join(dir, 'loads', '1.5'))
    expect(await replay.lookup(identity(1))).toEqual(doubtful)
    await replay.close()
  })

  test('gives every answer back, once, in order, and the facts of the beginning', async () => {
    const first = await open()
    await record(first, [1, 2, 2, 3])
    await first.close()
    const second = await open({ meta: { other: true } })
    expect(second).toMatchObject({ pages: 4, resumedPages: 4, setAside: undefined })
    expect(second.meta).toEqual({ startedAt: 17, big: 2n ** 60n, text: 'zwei\r\nZeilen' })
    expect(await second.lookup(identity(3))).toEqual(page(3))
    expect(await second.lookup(identity(2))).toEqual(page(2))
    expect(await second.lookup(identity(2))).toEqual(page(2))
    expect(await second.lookup(identity(2))).toBeUndefined()
    expect(await second.lookup(identity(9))).toBeUndefined()
    await record(second, [4])
    expect(second.pages).toBe(5)
    await second.close()
    const read = await all(join(dir, 'loads', '1.5'))
    expect(read.map(answer => answer.identity.request)).toEqual(['r1', 'r2', 'r2', 'r3', 'r4'])
    expect(read[0]).toEqual({ identity: identity(1), response: page(1), recordedAt: 1_700_000_000_000, ...about(1) })
  })

  test('many answers at once all arrive', async () => {
    const journal = await open({ durability: 'power' })
    const numbers = Array.from({ length: 1500 }, (_, index) => index % 7)
    await Promise.all(numbers.map(number => journal.record(identity(number), page(number), about(number))))
    await journal.close()
    const read = await all(join(dir, 'loads', '1.5'))
    expect(read.map(answer => answer.identity)).toEqual(numbers.map(identity))
  })

  test('a tail torn at any byte loses only the answers that it cuts', { timeout: 120_000 }, async () => {
    const journal = await open()
    const ends: number[] = []
    ends.push((await stat(fileOf())).size)
    for (const number of [1, 2, 3]) {
      await record(journal, [number])
      ends.push((await stat(fileOf())).size)
    }
    await journal.close()
    const whole = `${fileOf()}.whole`
    await copyFile(fileOf(), whole)
    const [begun = 0] = ends
    const size = ends.at(-1) ?? 0
    for (let cut = begun; cut <= size; cut++) {
      await copyFile(whole, fileOf())
      await truncate(fileOf(), cut)
      const kept = ends.filter(end => end <= cut).length - 1
      const resumed = await open()
      expect(resumed.pages).toBe(kept)
      for (const number of [1, 2, 3]) {
        expect(await resumed.lookup(identity(number))).toEqual(number <= kept ? page(number) : undefined)
      }
      await resumed.close()
      expect((await stat(fileOf())).size).toBe(ends[kept])
    }
  })

  test('a file cut inside its first record begins anew', async () => {
    await (await open()).close()
    const { size } = await stat(fileOf())
    for (let cut = 0; cut < size; cut++) {
      await truncate(fileOf(), cut)
      const journal = await open()
      expect(journal).toMatchObject({ pages: 0, setAside: undefined })
      await record(journal, [1])
      await journal.close()
      expect(await all(join(dir, 'loads', '1.5'))).toHaveLength(1)
    }
  })

  test('a damaged byte ends the journal before its record', async () => {
    const journal = await open()
    const ends = [(await stat(fileOf())).size]
    for (const number of [1, 2, 3]) {
      await record(journal, [number])
      ends.push((await stat(fileOf())).size)
    }
    await journal.close()
    const whole = await readFile(fileOf())
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: (ends[3] ?? 0) - page(3).body.length - 4, max: whole.length - 1 }),
        async at => {
          const damaged = Buffer.from(whole)
          damaged[at] = (damaged[at] ?? 0) ^ 1
          await writeFile(fileOf(), damaged)
          const resumed = await open()
          const { pages } = resumed
          await resumed.close()
          return pages === 2
        },
      ),
      { numRuns: 40 },
    )
  })

  test('any headers and any body come back as they were', async () => {
    const names = fc.stringMatching(/^[a-z][a-z-]{0,10}$/)
    const values = fc.string({ unit: 'grapheme' }).map(text => text.replace(/[\r\n]/g, '').trim())
    const body = fc.uint8Array({ maxLength: 300 }).map(bytes => Buffer.from(bytes))
    await fc.assert(
      fc.asyncProperty(fc.dictionary(names, values), body, fc.string(), async (headers, bytes, resource) => {
        await rm(join(dir, 'loads'), { recursive: true, force: true })
        const odd = { resource, request: 'x y' }
        const response = { status: 201, headers: { ...headers }, body: bytes }
        const journal = await open()
        await journal.record(odd, response, about(1))
        await journal.close()
        const resumed = await open()
        expect(await resumed.lookup(odd)).toEqual(response)
        await resumed.close()
      }),
      { numRuns: 50 },
    )
  })

  test('another fingerprint sets the journal aside, again and again', async () => {
    for (const [fingerprint, folder] of [
      ['a', undefined],
      ['b', '1.5.aside'],
      ['c', '1.5.aside2'],
    ] as const) {
      const journal = await open({ fingerprint })
      expect(journal.setAside).toBe(folder && join(dir, 'loads', folder))
      await record(journal, [1])
      await journal.close()
    }
    expect((await unfinishedLoads(files, dir)).map(load => load.fingerprint)).toEqual(['c'])
  })
})

describe('the end of a load', () => {
  test('removes the journal, or keeps it out of the way', async () => {
    const journal = await open()
    await record(journal, [1])
    await journal.remove()
    expect(await readdir(join(dir, 'loads'))).toEqual([])
    const kept = await open()
    await record(kept, [1])
    await kept.remove({ keep: true })
    expect(await readdir(join(dir, 'loads'))).toEqual(['1.5.done'])
    expect(await unfinishedLoads(files, dir)).toEqual([])
    expect(await all(join(dir, 'loads', '1.5.done'))).toHaveLength(1)
  })

  test('unfinished loads are listed oldest first, with whether they hold an answer', async () => {
    for (const loadId of ['10.25', '9.5']) {
      const journal = await open({ loadId, meta: { id: loadId } })
      if (loadId === '9.5') await record(journal, [1])
      await journal.close()
    }
    await mkdir(join(dir, 'loads', 'other'))
    expect(await unfinishedLoads(files, dir)).toEqual([
      { loadId: '9.5', fingerprint: 'f', meta: { id: '9.5' }, isEmpty: false, path: join(dir, 'loads', '9.5') },
      { loadId: '10.25', fingerprint: 'f', meta: { id: '10.25' }, isEmpty: true, path: join(dir, 'loads', '10.25') },
    ])
    expect(await unfinishedLoads(files, join(dir, 'nowhere'))).toEqual([])
  })

  test('close may be called twice; recording afterwards is refused', async () => {
    const journal = await open()
    await journal.close()
    await journal.close()
    await expect(record(journal, [1])).rejects.toMatchObject({ code: 'journal' })
  })
})

test('a folder that cannot be written is told', async () => {
  await writeFile(join(dir, 'loads'), 'a file')
  await expect(open()).rejects.toMatchObject({ code: 'journal', message: expect.stringContaining('cannot be written') })
})

describe('secrets', () => {
  const secrets = (): ReturnType<typeof scrubber> =>
    scrubber([new Secret('p\u00e4ss:word', 'PASSWORD'), new Secret('s3cr3t-key', 'KEY')])
  const response = {
    status: 200,
    headers: { link: '<https://a/p?key=s3cr3t-key>; rel="next"' },
    body: Buffer.from(
      `{"next":"https://a/?k=s3cr3t-key&p=p%C3%A4ss%3Aword","b":"${Buffer.from('s3cr3t-key').toString('base64')}","ü":"päss:word"}`,
    ),
  }

  test('are not on the disk, and come back for whoever knows them', async () => {
    const journal = await open({ scrubber: secrets() })
    await journal.record(identity(1), response, { method: 'GET', url: 'https://a/?k=s3cr3t-key' })
    await journal.close()
    const stored = (await readFile(fileOf())).toString()
    for (const form of ['s3cr3t', 'päss', 'p%C3%A4ss', Buffer.from('s3cr3t-key').toString('base64').slice(0, 8)]) {
      expect(stored).not.toContain(form)
    }
    const resumed = await open({ scrubber: secrets() })
    expect(await resumed.lookup(identity(1))).toEqual(response)
    await resumed.close()
    const [read] = await all(join(dir, 'loads', '1.5'))
    expect(Buffer.from(read?.response.body ?? []).toString()).toBe(
      '{"next":"https://a/?k=***&p=***","b":"***","ü":"***"}',
    )
  })
})

describe('replay', () => {
  test('answers what was recorded and refuses the rest', async () => {
    const journal = await open()
    await record(journal, [1, 2])
    await journal.remove({ keep: true })
    const replay = await replayJournal(files, join(dir, 'loads', '1.5.done'))
    expect(replay).toMatchObject({ loadId: '1.5', fingerprint: 'f', pages: 2 })
    expect(await replay.lookup(identity(2))).toEqual(page(2))
    await expect(replay.lookup(identity(2))).rejects.toMatchObject({ code: 'journal' })
    await replay.close()
    await expect(replayJournal(files, join(dir, 'nowhere'))).rejects.toMatchObject({ code: 'journal' })
  })
})

describe('the lock', () => {
  const at = (ms: number) => ({ now: () => ms, sleep: async () => {} })

  test('keeps a second run out, and names the first', async () => {
    const lock = await lockPipeline(files, dir, at(0))
    await expect(lockPipeline(files, dir, at(1))).rejects.toMatchObject({
      code: 'destination_locked',
      message: expect.stringMatching(/by this program since 1970-01-01T00:00:00.000Z/),
    })
    await lock.release()
    await lock.release()
    await (await lockPipeline(files, dir, at(2))).release()
    expect(await readdir(dir)).toEqual([])
  })

  test.each([
    ['a process that is gone', { pid: 2 ** 22 + 1, host: hostname(), startedAt: 'x', id: 'y' }],
    [
      'a process whose pid was given out again',
      { pid: process.pid, host: hostname(), startedAt: 'x', id: 'y', process: '1' },
    ],
    ['garbage', 'gar'],
  ])('of %s is taken over', async (what, holder) => {
    if (what.includes('given out') && process.platform !== 'linux') return
    await writeFile(join(dir, 'lock.json'), typeof holder === 'string' ? holder : JSON.stringify(holder))
    await (await lockPipeline(files, dir, at(0))).release()
  })

  test.each([
    ['is empty', ''],
    ['is empty', '\n '],
    ['names no process', '{"pid":12,"host":"here","star'],
    ['names no process', 'null'],
    ['names no process', '[]'],
    ['names no process', '{"pid":0,"host":"here","startedAt":"x","id":"y"}'],
    ['names no process', '{"pid":-1,"host":"elsewhere","startedAt":"x","id":"y"}'],
    ['names no process', '\0'.repeat(200)],
  ])('whose file %s is taken over at once, and the warning says no more than is known: %j', async (broken, text) => {
    const path = join(dir, 'lock.json')
    await writeFile(path, text)
    const told: string[] = []
    const lock = await lockPipeline(files, dir, { ...at(0), warn: (...warning) => told.push(warning.join(': ')) })
    expect(told).toEqual([
      expect.stringContaining(
        `lock_taken_over: The lock of pipeline "${basename(dir)}" was taken over, and its former holder is unknown: ${path} ${broken}`,
      ),
    ])
    expect(told[0]).not.toContain('process 0')
    await writeFile(path, text)
    await expect(lock.check()).rejects.toThrow(
      `lost its lock ${path}: the file ${broken} now. Run again; nothing was committed`,
    )
    await lock.release()
    expect(await readFile(path, 'utf8')).toBe(text)
  })

  test.each([
    [
      'the working folder is a file',
      'file',
      (at: string) => writeFile(join(at, 'file'), ''),
      'there is a file where a folder is needed',
    ],
    [
      'the lock is a folder',
      '.',
      (at: string) => mkdir(join(at, 'lock.json')),
      'there is a folder where a file is needed',
    ],
  ])('is an error with the cure where %s', async (_, home, prepare, message) => {
    await prepare(dir)
    await expect(lockPipeline(files, join(dir, home), at(0))).rejects.toMatchObject({
      code: 'journal',
      message: expect.stringContaining(message),
    })
  })

  test('takes drafts of killed processes away with it', async () => {
    const dead = { pid: 2 ** 22 + 1, host: hostname(), startedAt: 'x', id: 'y' }
    await writeFile(join(dir, 'lock.json.y'), JSON.stringify(dead))
    await writeFile(join(dir, 'lock.json.z'), '{"pid":')
    await (await lockPipeline(files, dir, at(0))).release()
    expect(await readdir(dir)).toEqual([])
  })

  const elsewhere = { pid: 1, host: 'elsewhere', startedAt: '2024-01-01T00:00:00.000Z', id: 'y' }
  const lockOf = async (holder: object): Promise<void> =>
    await writeFile(join(dir, 'lock.json'), JSON.stringify(holder))

  test.each([
    ['another machine', elsewhere],
    ['another container of the same name', { ...elsewhere, host: hostname(), place: 'another boot pid:[1]' }],
  ])('of %s is respected as long as it gives signs of life', async (_what, holder) => {
    await lockOf(holder)
    const told: string[] = []
    const locking = lockPipeline(files, dir, {
      ...at(Date.parse('2026-01-01')),
      sleep: () => lockOf({ ...holder, beat: '2026-01-01T00:00:01.000Z' }),
      warn: code => told.push(code),
    })
    await expect(locking).rejects.toMatchObject({
      code: 'destination_locked',
      message: expect.stringMatching(/process 1.* since 2024-01-01.*wait for it/),
    })
    expect(told).toEqual(['lock_waited_for'])
  })

  test.each([
    ['a second ago', '2025-12-31T23:59:59.000Z', 29],
    ['two years ago', undefined, 12],
    ['in a future that a clock that was set back told', '2026-01-03T00:00:00.000Z', 12],
  ])(
    'of another machine whose last sign of life was %s is taken over after a silence',
    async (_when, beat, seconds) => {
      await lockOf({ ...elsewhere, ...(beat === undefined ? {} : { beat }) })
      let waitedMs = 0
      const told: string[] = []
      const lock = await lockPipeline(files, dir, {
        ...at(Date.parse('2026-01-01')),
        async sleep(ms) {
          waitedMs += ms
        },
        warn: (code, message) => told.push(`${code}: ${message}`),
      })
      expect(waitedMs).toBe(seconds * 1000)
      expect(told).toEqual([
        expect.stringMatching(/^lock_waited_for: .*process 1 on elsewhere/),
        expect.stringMatching(/^lock_taken_over: .*process 1 on elsewhere/),
      ])
      await lock.check()
      await lock.release()
      expect(await readdir(dir)).toEqual([])
    },
  )

  test('is waited for no longer than the run', async () => {
    await lockOf(elsewhere)
    const stop = new AbortController()
    const locking = lockPipeline(files, dir, {
      ...at(0),
      signal: stop.signal,
      async sleep(_ms, signal) {
        stop.abort(new Error('enough'))
        signal?.throwIfAborted()
      },
    })
    await expect(locking).rejects.toThrow('enough')
  })

  test('that another one has taken over is noticed, and left to it', async () => {
    const lock = await lockPipeline(files, dir, at(0))
    await lock.check()
    await rm(join(dir, 'lock.json'))
    await lockOf(elsewhere)
    await expect(lock.check()).rejects.toMatchObject({
      code: 'destination_locked',
      message: expect.stringContaining('process 1 on elsewhere has it now'),
    })
    await lock.release()
    expect(await readdir(dir)).toEqual(['lock.json'])
  })

  test.skipIf(process.platform === 'win32')('and the journal are for their user alone', async () => {
    const home = join(dir, 'new', 'home')
    const lock = await lockPipeline(files, home, at(0))
    const modes = [await stat(join(dir, 'new')), await stat(home), await stat(join(home, 'lock.json'))]
    expect(modes.map(({ mode }) => mode & 0o777)).toEqual([0o700, 0o700, 0o600])
    await lock.release()
  })

  test('goes to exactly one of many that find a dead one', async () => {
    await writeFile(
      join(dir, 'lock.json'),
      JSON.stringify({ pid: 2 ** 22 + 1, host: hostname(), startedAt: 'x', id: 'y' }),
    )
    const results = await Promise.allSettled(Array.from({ length: 10 }, () => lockPipeline(files, dir, at(0))))
    expect(results.filter(result => result.status === 'fulfilled')).toHaveLength(1)
  })
})
