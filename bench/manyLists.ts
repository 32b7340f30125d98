import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  type Bench,
  type Cost,
  cost,
  databaseOf,
  described,
  emptied,
  homeOf,
  inTurns,
  listDocument,
  loadDocument,
  medianOf,
  seconds,
  timedInTurns,
  withApi,
  withServer,
} from './measure.js'
import { feedbackRecord, idsUpTo, writeRecords } from './records.js'

/** One list for each of many parents, beside a bare client that asks the same and parses the answers. */
export async function tree(bench: Bench): Promise<void> {
  const parents = Math.round(20_000 * bench.scale)
  for (const [delayMs, goal] of [
    [0, 0.5],
    [20, 0.95],
  ] as const) {
    bench.print(`${parents} parents with a list of three records each, ${delayMs} ms an answer, 16 in flight`)
    await withApi('treeServer.ts', [parents, delayMs], async url => {
      const endpoint = (path: string) => ({ path, data_selector: 'data' })
      const document = {
        client: { base_url: url, paginator: 'single_page' },
        resource_defaults: { primary_key: 'id', write_disposition: 'merge' },
        resources: [
          {
            name: 'parents',
            endpoint: {
              ...endpoint('/parents'),
              paginator: { type: 'page_number', base_page: 1, total_path: null, stop_after_empty_page: true },
            },
          },
          { name: 'children', endpoint: endpoint('/parents/{resources.parents.id}/children') },
        ],
      }
      const [ours, bare] = await inTurns(
        bench.runs,
        () => loadDocument(bench, document, { concurrency: 16 }),
        () => cost('bareTree.mjs', url, parents, 16),
      )
      bench.print(described('Sluice', ours))
      bench.print(described('bare client', bare))
      bench.ratio(`speed, ${delayMs} ms`, medianOf(bare, 'wallMs') / medianOf(ours, 'wallMs'), goal, false)
      if (delayMs === 0) bench.ratio('MB', medianOf(ours, 'peakMb'), 200)
    })
  }
}

/** Pages of which each is known by the one before. */
export async function cursor(bench: Bench): Promise<void> {
  const pages = Math.round(1000 * bench.scale)
  const path = join(bench.data, `feedback-${pages * 100}.ndjson`)
  await writeRecords(path, idsUpTo(pages * 100), feedbackRecord)
  bench.print(`${pages} pages of 100 records by a cursor, of an API that takes 100 ms for each`)
  await withServer(path, { pageSize: 100, delayMs: 100 }, async url => {
    const paginator = { type: 'cursor', cursor_path: 'next', cursor_param: 'page' }
    const ours: Cost[] = []
    for (let run = 0; run < bench.runs; run++)
      ours.push(await loadDocument(bench, listDocument(url, 'feedback', 'merge', paginator)))
    bench.print(described('Sluice', ours))
    bench.print(`  ideal ${seconds(pages * 100)}`)
    bench.ratio('wall time', medianOf(ours, 'wallMs') / (pages * 100), 1.03)
  })
}

/** 800 resources of two rows each, then the same again. */
export async function resources(bench: Bench): Promise<void> {
  const count = Math.round(800 * bench.scale)
  bench.print(`${count} resources of two rows, first and second run`)
  await withApi('treeServer.ts', [0, 0], async url => {
    const document = {
      client: { base_url: url, paginator: 'single_page' },
      resource_defaults: { primary_key: 'id', write_disposition: 'merge', endpoint: { data_selector: 'data' } },
      resources: Array.from({ length: count }, (_, index) => ({
        name: `r${index}`,
        endpoint: { path: `/lists/${index}` },
      })),
    }
    await twice(bench, document, { firstMs: 2500, secondMb: 300 })
  })
}

/** 1,000 records of 2,000 columns, then the same again. */
export async function columns(bench: Bench): Promise<void> {
  const count = Math.round(2000 * bench.scale)
  const path = join(bench.data, `columns-${count}.ndjson`)
  await writeRecords(path, idsUpTo(1000), id => {
    const pairs = Array.from({ length: count }, (_, column) => `"c${column}":${(id * column) % 1000}`)
    return `{"id":${id},${pairs.join(',')}}`
  })
  bench.print(`1,000 records of ${count} columns, first and second run`)
  await withServer(path, { pageSize: 100 }, async url => {
    await twice(bench, listDocument(url, 'feedback'), { secondMb: 400 })
  })
}

async function twice(
  bench: Bench,
  document: unknown,
  goals: { readonly firstMs?: number; readonly secondMb: number },
): Promise<void> {
  const [first, second] = await inTurns(
    bench.runs,
    () => loadDocument(bench, document),
    () => loadDocument(bench, document, {}, false),
  )
  bench.print(described('first', first))
  bench.print(described('second', second))
  if (goals.firstMs !== undefined) bench.ratio('seconds', medianOf(first, 'wallMs') / 1000, goals.firstMs / 1000)
  bench.ratio('MB of the second', medianOf(second, 'peakMb'), goals.secondMb)
}

/** Ten loads in one process at once, beside the same one after the other. */
export async function together(bench: Bench): Promise<void> {
  const records = Math.round(50_000 * bench.scale)
  const path = join(bench.data, `feedback-${records}.ndjson`)
  await writeRecords(path, idsUpTo(records), feedbackRecord)
  bench.print(`10 loads of ${records} nested records in one process`)
  await withServer(path, {}, async url => {
    const document = JSON.stringify(listDocument(url))
    const load = (order: string) => async () => {
      await emptied(bench)
      return await cost('together.mjs', document, bench.work, 10, order)
    }
    const [once, sequence] = await inTurns(bench.runs, load('at once'), load('in sequence'))
    bench.print(described('at once', once))
    bench.print(described('in sequence', sequence))
    bench.ratio('speed', medianOf(sequence, 'wallMs') / medianOf(once, 'wallMs'), 0.9, false)
    bench.ratio('memory', medianOf(once, 'peakMb') / medianOf(sequence, 'peakMb'), 2.5)
  })
}

/** A whole process that loads one page, beside one that opens and closes the database. */
export async function short(bench: Bench): Promise<void> {
  const path = join(bench.data, 'feedback-100.ndjson')
  await writeRecords(path, idsUpTo(100), feedbackRecord)
  await withServer(path, { pageSize: 100 }, async url => {
    await emptied(bench)
    const database = databaseOf(bench)
    const load = [script('load.mjs'), JSON.stringify(listDocument(url)), database, homeOf(bench)]
    const [ours = 0, bare = 0] = timedInTurns(Math.max(bench.runs, 15), [load, [script('openDatabase.mjs'), database]])
    bench.print(`a page of 100 records ${ours.toFixed(0)} ms, the database alone ${bare.toFixed(0)} ms, medians`)
    bench.ratio('seconds over the database', (ours - bare) / 1000, 0.25)
  })
}

/** The library, beside an empty module. */
export async function importing(bench: Bench): Promise<void> {
  const evaluated = (code: string): readonly string[] => ['--input-type=module', '-e', code]
  const sides = [evaluated(`import ${JSON.stringify(LIBRARY)}`), evaluated('')]
  const [ours = 0, bare = 0] = timedInTurns(Math.max(bench.runs, 15), sides)
  bench.print(`the library ${ours.toFixed(0)} ms, an empty module ${bare.toFixed(0)} ms, medians`)
  bench.ratio('seconds over an empty module', (ours - bare) / 1000, 0.06)
}

const LIBRARY = new URL('../dist/index.js', import.meta.url).href

function script(name: string): string {
  return fileURLToPath(new URL(name, import.meta.url))
}
