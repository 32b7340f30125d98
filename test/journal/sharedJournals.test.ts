import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { systemFiles as files, type Journal, openJournal } from '../../src/journal/journal.js'
import { SharedJournals } from '../../src/journal/sharedJournals.js'
import { scrubber } from '../../src/model/secrets/scrubber.js'

let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-shared-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const now = (): number => 1_700_000_000_000
const open = (isWanted: (part: string) => boolean = () => true) => SharedJournals.open({ files, folder, now }, isWanted)
const begin = (journals: SharedJournals, part: string): Promise<Journal> =>
  journals.begin({ loadId: `1.${part}`, fingerprint: `of ${part}`, meta: { of: part }, part, scrubber: scrubber() })

const identity = (number: number) => ({ resource: 'plants', request: `r${number}` })
const answer = (part: string, number: number) => ({
  status: 200,
  headers: { 'content-type': 'application/json' },
  body: Buffer.from(`{"part":"${part}","page":${number}}`),
})

async function record(journal: Journal, part: string, number: number): Promise<void> {
  const about = { method: 'GET', url: `https://api.example/p?page=${number}` }
  await journal.record(identity(number), answer(part, number), about)
}

/** The journal that the next attempt at the part resumes. */
async function resumed(part: string) {
  const dir = join(folder, part)
  const own = { files, dir, loadId: `1.${part}`, fingerprint: `of ${part}`, meta: {}, now }
  const journal = await openJournal(own)
  const found = []
  for (let number = 1; number <= journal.resumedPages; number++) found.push(await journal.lookup(identity(number)))
  await journal.close()
  return { meta: journal.meta, found }
}

test('loads that are committed leave nothing, and one that is not gets a journal of its own', async () => {
  const journals = await open()
  const [a, b, c] = [await begin(journals, 'a'), await begin(journals, 'b'), await begin(journals, 'c')]
  await record(a, 'a', 1)
  await Promise.all([record(b, 'b', 1), record(a, 'a', 2), record(b, 'b', 2)])
  await a.remove()
  await b.close()
  await c.close()
  await journals.close()
  expect(await readdir(folder)).toEqual(['b'])
  expect(journals.has('a')).toBe(false)
  expect(journals.has('b')).toBe(true)
  // Without an answer there is nothing to go on with.
  expect(journals.has('c')).toBe(false)
  expect(await resumed('b')).toEqual({ meta: { of: 'b', part: 'b' }, found: [answer('b', 1), answer('b', 2)] })
  await journals.forget('b')
  expect(await readdir(folder)).toEqual([])
})

test('what a process that was killed has left is gone on with, as far as it is wanted', async () => {
  const journals = await open()
  const [a, b, c] = [await begin(journals, 'a'), await begin(journals, 'b'), await begin(journals, 'c')]
  for (const [journal, part] of [
    [a, 'a'],
    [b, 'b'],
    [c, 'c'],
  ] as const)
    await record(journal, part, 1)
  await a.close()
  // `b` and `c` are never ended.
  expect((await readdir(folder)).sort()).toEqual(['1.warc', 'a'])
  const next = await open(part => part === 'b')
  expect(await readdir(folder)).toEqual(['b'])
  expect(next.has('b')).toBe(true)
  expect(next.has('a')).toBe(false)
  expect((await resumed('b')).found).toEqual([answer('b', 1)])
  await Promise.allSettled([b.close(), c.close()])
})

test('a tail that is torn at any byte loses only the answers that it cuts', async () => {
  const journals = await open()
  const [a, b] = [await begin(journals, 'a'), await begin(journals, 'b')]
  await record(a, 'a', 1)
  const whole = (await readFile(join(folder, '1.warc'))).length
  await record(b, 'b', 1)
  const bytes = await readFile(join(folder, '1.warc'))
  for (let end = whole; end < bytes.length; end += 41) {
    await writeFile(join(folder, '1.warc'), bytes)
    await truncate(join(folder, '1.warc'), end)
    const next = await open()
    expect([next.has('a'), next.has('b')]).toEqual([true, false])
    expect((await resumed('a')).found).toEqual([answer('a', 1)])
  }
})

test('many loads take few files, which go as soon as their loads have ended', async () => {
  const journals = await open()
  const parts = Array.from({ length: 200 }, (_, index) => `p${index}`)
  const begun = await Promise.all(parts.map(part => begin(journals, part)))
  await Promise.all(begun.map((journal, index) => record(journal, `p${index}`, 1)))
  expect((await readdir(folder)).length).toBe(4)
  for (const journal of begun.slice(0, 130)) await journal.remove()
  expect((await readdir(folder)).length).toBe(2)
  for (const journal of begun.slice(130)) await journal.remove()
  await journals.close()
  expect(await readdir(folder)).toEqual([])
})
