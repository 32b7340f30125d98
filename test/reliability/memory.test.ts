import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { describe, expect, it, onTestFinished } from 'vitest'
import { duckdb, pipeline, type RestApiConfig, restApi } from '../../src/index.js'
import { serve } from '../rest/clientServer.js'
import { type Kind, newHome, type Parts, partsApi, peakIn, peakOf, times } from './loadPeak.js'

const MEBIBYTE = Buffer.alloc(2 ** 20, 32)

/** Three levels; a list of the third one for each pair of parents. Pages are as long as what stands beside their records. */
async function levels(parents: number, pageMebibytes: number): Promise<RestApiConfig> {
  const page = Array.from({ length: parents }, (_, id) => ({ id }))
  const base_url = await partsApi(() => ({
    parts: [`{"data":${JSON.stringify(page)},"more":false,"padding":"`, ...times(pageMebibytes, MEBIBYTE), '"}'],
  }))
  return treeOf(base_url)
}

function treeOf(base_url: string): RestApiConfig {
  const endpoint = (path: string) => ({ path, data_selector: 'data', paginator: 'single_page' as const })
  return {
    client: { base_url },
    resources: [
      { name: 'one', endpoint: endpoint('one') },
      { name: 'two', endpoint: endpoint('two/{resources.one.id}') },
      { name: 'three', endpoint: endpoint('three/{resources.two.id}') },
    ],
  }
}

const PARENTS = 4

/**
 * Answers a list of the third level only when nothing more is asked for meanwhile. Gives how many were asked for at once.
 */
async function patientApi(padding: string): Promise<{ base_url: string; most: () => number }> {
  const body = JSON.stringify({ data: Array.from({ length: PARENTS }, (_, id) => ({ id })) })
  const waiting: (() => void)[] = []
  let asked = 0
  let most = 0
  const answerAll = async (): Promise<void> => {
    while (waiting.length > 0) {
      for (let before = -1; before !== asked; ) {
        before = asked
        for (let turn = 0; turn < 100; turn++) await setImmediate()
      }
      most = Math.max(most, waiting.length)
      waiting.shift()?.()
    }
  }
  const server = await serve(({ url }, response) => {
    response.setHeader('content-type', 'application/json')
    if (!url.startsWith('/three')) {
      response.end(body)
      return
    }
    asked++
    waiting.push(() => response.end(body + padding))
    if (waiting.length === 1) void answerAll()
  })
  onTestFinished(() => server.close())
  return { base_url: server.origin, most: () => most }
}

describe('lists of three levels', () => {
  it('ask for no more pages of 5 MiB at once than the budget has room for, whatever the concurrency', {
    timeout: 60_000,
  }, async () => {
    const home = await mkdtemp(join(tmpdir(), 'sluice-budget-'))
    onTestFinished(() => rm(home, { recursive: true, force: true }))
    const { base_url, most } = await patientApi(' '.repeat(5 * 2 ** 20))
    const load = pipeline({
      name: 'budget',
      source: restApi(treeOf(base_url), { env: {}, cwd: home }),
      destination: duckdb(join(home, 'budget.duckdb')),
      home,
    })
    const { rows } = await load.run({ concurrency: 16 })
    expect(rows).toEqual({ one: PARENTS, two: PARENTS ** 2, three: PARENTS ** 3 })
    expect(most()).toBeLessThanOrEqual(8)
  })

  it('stay below a bound of memory together', { timeout: 180_000 }, async () => {
    const { rows, peakMb } = await peakOf(await levels(4, 5))
    expect(rows).toEqual({ one: 4, two: 16, three: 64 })
    expect(peakMb).toBeLessThan(400)
  })

  it('go on where one page is larger than the budget', { timeout: 180_000 }, async () => {
    const { rows } = await peakOf(await levels(2, 40))
    expect(rows).toEqual({ one: 2, two: 4, three: 8 })
  })
})

/** 400 MB in texts of 100 kB, in the records themselves or in lists of them. Ten records a page. */
async function longTexts(where: 'records' | 'lists'): Promise<RestApiConfig> {
  const text = 'x'.repeat(100_000)
  const record = (id: number) => (where === 'records' ? { id, text } : { id, items: [{ text }, { text }] })
  const perPage = where === 'records' ? 10 : 5
  const base_url = await partsApi(({ url }) => {
    const page = Number(new URL(url, 'http://api').searchParams.get('page'))
    const records = page > 400 ? [] : Array.from({ length: perPage }, (_, index) => record(page * perPage + index))
    return { parts: [JSON.stringify({ data: records })] }
  })
  const paginator = { type: 'page_number', base_page: 1, total_path: null } as const
  return {
    client: { base_url },
    resources: [{ name: 'things', endpoint: { data_selector: 'data', paginator } }],
  }
}

describe('4,000 texts of 100 kB', () => {
  it.each<[Kind, 'records' | 'lists', number]>([
    ['duckdb', 'records', 560],
    ['duckdb', 'lists', 560],
    ['files', 'records', 420],
    ['files', 'lists', 420],
  ])('stay below a bound of memory: %s, in %s', { timeout: 300_000 }, async (kind, where, mostMb) => {
    const { rows, peakMb } = await peakOf(await longTexts(where), [], kind)
    expect(rows).toEqual(where === 'records' ? { things: 4000 } : { things: 2000, things__items: 4000 })
    expect(peakMb).toBeLessThan(mostMb)
  })
})

it('400 tables of two rows stay below a bound of memory when they are merged again', { timeout: 300_000 }, async () => {
  const records = [1, 2].map(id => ({
    id,
    name: `record ${id}`,
    at: '2026-01-02T03:04:05Z',
    amount: id / 4,
    open: true,
  }))
  const base_url = await partsApi(() => ({ parts: [JSON.stringify({ data: records })] }))
  const names = Array.from({ length: 400 }, (_, index) => `r${index}`)
  const document: RestApiConfig = {
    client: { base_url, paginator: 'single_page' },
    resource_defaults: { primary_key: 'id', write_disposition: 'merge', endpoint: { data_selector: 'data' } },
    resources: names.map(name => ({ name, endpoint: { path: name } })),
  }
  const home = await newHome()
  await peakIn(home, document)
  const { rows, peakMb } = await peakIn(home, document)
  expect(rows).toEqual(Object.fromEntries(names.map(name => [name, 2])))
  expect(peakMb).toBeLessThan(360)
  // What the log had is in the file.
  expect((await readdir(home)).filter(name => name.startsWith('peak.duckdb'))).toEqual(['peak.duckdb'])
})

describe('a body that is too large', () => {
  const single = (base_url: string): RestApiConfig => ({
    client: { base_url },
    resources: [{ name: 'things', endpoint: { data_selector: 'data', paginator: 'single_page' } }],
  })
  const bomb = Array.from({ length: 600 }, () => gzipSync(MEBIBYTE))

  it.each<[string, Record<string, string>, () => Parts, number]>([
    ['600 MiB that are announced', { 'content-length': String(600 * 2 ** 20) }, () => times(600, MEBIBYTE), 200],
    ['600 MiB in parts', {}, () => times(600, MEBIBYTE), 800],
    ['a gzip bomb of 600 MiB', { 'content-encoding': 'gzip' }, () => bomb, 800],
    ['a gzip file of 600 MiB', { 'content-type': 'application/gzip' }, () => bomb, 800],
  ])('is refused: %s', { timeout: 180_000 }, async (_, headers, parts, mostMb) => {
    const base_url = await partsApi(() => ({ headers, parts: parts() }))
    const peak = await peakOf(single(base_url))
    expect(peak).toMatchObject({ code: 'response_too_large', message: expect.stringContaining('256 MiB') })
    expect(peak.peakMb).toBeLessThan(mostMb)
  })
})

it('too little memory for a record is an error of its own', { timeout: 180_000 }, async () => {
  const base_url = await partsApi(() => ({ parts: ['[{"id":1,"text":"', ...times(20, MEBIBYTE), '"}]'] }))
  const peak = await peakOf({ client: { base_url }, resources: ['things'] }, ['--wasm-max-mem-pages=256'])
  expect(peak).toMatchObject({ code: 'memory', message: expect.stringMatching(/^things: .*memory.*GET http/) })
})
