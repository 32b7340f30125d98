import { join } from 'node:path'
import { columns, cursor, importing, resources, short, together, tree } from './manyLists.js'
import {
  type Bench,
  type Cost,
  described,
  inTurns,
  loadByReadJson,
  loadBySluice,
  loadInWindows,
  median,
  medianOf,
  seconds,
  withServer,
} from './measure.js'
import { postgres, postgresMerge } from './postgres.js'
import { feedbackRecord, idsUpTo, wideRecord, writeRecords } from './records.js'
import { matrix } from './shapes.js'
import { startUps } from './startUp.js'

/** By name, in the order in which they run. */
export const benchmarks: Readonly<Record<string, (bench: Bench) => Promise<void>>> = {
  small: bench => againstReadJson(bench, 100_000),
  feedback: bench => againstReadJson(bench, 1_000_000, 1.2),
  wide,
  growth,
  second,
  postgres,
  postgresMerge,
  memory,
  page,
  latency,
  windows,
  matrix,
  tree,
  cursor,
  resources,
  columns,
  together,
  short,
  import: importing,
  help,
}

async function feedbackFile(bench: Bench, records: number): Promise<{ readonly path: string; readonly bytes: number }> {
  const path = join(bench.data, `feedback-${records}.ndjson`)
  return { path, bytes: await writeRecords(path, idsUpTo(records), feedbackRecord) }
}

/** Nested records over HTTP, merged into a new file, beside `read_json` of the same records from the disk. */
async function againstReadJson(bench: Bench, full: number, goal?: number): Promise<void> {
  const records = Math.round(full * bench.scale)
  const { path, bytes } = await feedbackFile(bench, records)
  bench.print(`${records} nested records, ${Math.round(bytes / records)} bytes each, 1,000 a page`)
  await withServer(path, {}, async url => {
    const [ours, theirs] = await inTurns(
      bench.runs,
      () => loadBySluice(bench, url),
      () => loadByReadJson(bench, 'feedback', path),
    )
    const wall = medianOf(ours, 'wallMs') / 1000
    bench.print(described('Sluice', ours))
    bench.print(`  ${Math.round(records / wall)} records/s, ${(bytes / 1e6 / wall).toFixed(1)} MB/s`)
    bench.print(described('read_json', theirs))
    bench.ratio('wall time', ratio(ours, theirs), goal ?? 1.2)
    bench.print(`  CPU time: ${cpuRatio(ours, theirs).toFixed(2)}`)
  })
}

/** 200 sparse columns. */
async function wide(bench: Bench): Promise<void> {
  const records = Math.round(100_000 * bench.scale)
  const path = join(bench.data, `wide-${records}.ndjson`)
  await writeRecords(path, idsUpTo(records), wideRecord)
  bench.print(`${records} sparse records of 200 columns`)
  await withServer(path, { pageSize: 200 }, async url => {
    const [ours, theirs] = await inTurns(
      bench.runs,
      () => loadBySluice(bench, url, { table: 'wide' }),
      () => loadByReadJson(bench, 'wide', path),
    )
    bench.print(described('Sluice', ours))
    bench.print(described('read_json', theirs))
    bench.ratio('wall time', ratio(ours, theirs), 1.3)
    bench.print(`  CPU time: ${cpuRatio(ours, theirs).toFixed(2)}`)
  })
}

/** Ten times the records. */
async function growth(bench: Bench): Promise<void> {
  const few = Math.round(100_000 * bench.scale)
  const small = await feedbackFile(bench, few)
  const large = await feedbackFile(bench, few * 10)
  bench.print(`${few} against ${few * 10} records`)
  const load = (path: string) => () => withServer(path, {}, url => loadBySluice(bench, url))
  const [ones, tens] = await inTurns(bench.runs, load(small.path), load(large.path))
  bench.print(described(String(few), ones))
  bench.print(described(String(few * 10), tens))
  bench.ratio('wall time', ratio(tens, ones), 10.5)
  bench.print(`  CPU time: ${cpuRatio(tens, ones).toFixed(2)}`)
}

/** A second load with changes of every twentieth record: the commit against the best SQL by hand. */
async function second(bench: Bench): Promise<void> {
  const records = Math.round(2_000_000 * bench.scale)
  const { path } = await feedbackFile(bench, records)
  const changed = join(bench.data, `changed-${records}.ndjson`)
  await writeRecords(changed, everyTwentieth(records), id => feedbackRecord(id, 1))
  bench.print(`${Math.round(records / 20)} changed records into ${records}`)
  const commits: number[] = []
  const byHand: Cost[] = []
  for (let run = 0; run < bench.runs; run++) {
    await withServer(path, {}, url => loadBySluice(bench, url))
    const load = await withServer(changed, {}, url => loadBySluice(bench, url, { fresh: false }))
    commits.push(Number(load.commitMs))
    await loadByReadJson(bench, 'feedback', path)
    byHand.push(await loadByReadJson(bench, 'merge', changed))
  }
  const commit = median(commits)
  bench.print(`  Sluice: commit ${seconds(commit)} (${commits.map(ms => (ms / 1000).toFixed(1)).join(' ')})`)
  bench.print(described('by hand', byHand))
  bench.ratio('commit', commit / medianOf(byHand, 'wallMs'), 1.5)
}

function* everyTwentieth(records: number): Iterable<number> {
  for (let id = 20; id <= records; id += 20) yield id
}

/** Peak memory of loads of different sizes. */
async function memory(bench: Bench): Promise<void> {
  const [one, five] = [Math.round(1_000_000 * bench.scale), Math.round(5_000_000 * bench.scale)]
  const small = await feedbackFile(bench, one)
  const large = await feedbackFile(bench, five)
  bench.print(`Peak memory of ${one} and ${five} records`)
  const load = (path: string) => () => withServer(path, {}, url => loadBySluice(bench, url))
  const [ones, fives] = await inTurns(Math.min(bench.runs, 3), load(small.path), load(large.path))
  bench.print(described(String(one), ones))
  bench.print(described(String(five), fives))
  bench.ratio('peak', medianOf(fives, 'peakMb') / medianOf(ones, 'peakMb'), 1.1)
  bench.ratio('MB', medianOf(fives, 'peakMb'), 500)
}

/** Peak memory of a list that is one page of about 200 MB. */
async function page(bench: Bench): Promise<void> {
  const records = Math.round(430_000 * bench.scale)
  const { path, bytes } = await feedbackFile(bench, records)
  bench.print(`${records} nested records in one page of ${Math.round(bytes / 1e6)} MB`)
  await withServer(path, { pageSize: records }, async url => {
    const ours: Cost[] = []
    for (let run = 0; run < bench.runs; run++) ours.push(await loadBySluice(bench, url))
    bench.print(described('Sluice', ours))
    bench.print(`  peak: ${(medianOf(ours, 'peakMb') / (bytes / 2 ** 20)).toFixed(2)} times the page`)
  })
}

/** Many small pages of a slow API. */
async function latency(bench: Bench): Promise<void> {
  const pages = Math.round(1000 * bench.scale)
  const { path } = await feedbackFile(bench, pages * 10)
  const ideal = Math.ceil(pages / 16) * 100
  bench.print(`${pages} pages of an API that takes 100 ms for each, 16 in flight`)
  await withServer(path, { pageSize: 10, delayMs: 100 }, async url => {
    const ours: Cost[] = []
    for (let run = 0; run < bench.runs; run++) ours.push(await loadBySluice(bench, url, { concurrency: 16 }))
    const most = await (await fetch(`${url}/most_in_flight`)).text()
    bench.print(described('Sluice', ours))
    bench.print(`  ideal ${seconds(ideal)}, at most ${most} in flight`)
    bench.ratio('wall time', medianOf(ours, 'wallMs') / ideal, 1.15)
  })
}

/** A backfill, beside the same rows as one load. */
async function windows(bench: Bench): Promise<void> {
  const step = 1000
  const count = Math.round(1000 * bench.scale)
  const { path } = await feedbackFile(bench, count * step)
  bench.print(`${count} windows of ${step} nested records, each with its own commit, beside one load`)
  await withServer(path, { pageSize: step }, async url => {
    const [cut, whole] = await inTurns(
      bench.runs,
      () => loadInWindows(bench, url, count * step, step),
      () => loadInWindows(bench, url, count * step, ''),
    )
    bench.print(described('windows', cut))
    bench.print(described('one load', whole))
    bench.ratio('wall time', ratio(cut, whole), 1.15)
  })
}

/** Start-up of the command line tool, which must have been built. */
async function help(bench: Bench): Promise<void> {
  const { tool, bare } = startUps(Math.max(bench.runs, 15))
  bench.print(`sluice --help ${tool.toFixed(0)} ms, node -e 0 ${bare.toFixed(0)} ms, medians`)
  bench.ratio('wall time', tool / bare, 1.5)
}

function ratio(ours: readonly Cost[], theirs: readonly Cost[]): number {
  return medianOf(ours, 'wallMs') / medianOf(theirs, 'wallMs')
}

function cpuRatio(ours: readonly Cost[], theirs: readonly Cost[]): number {
  const cpu = (costs: readonly Cost[]): number => medianOf(costs, 'userMs') + medianOf(costs, 'systemMs')
  return cpu(ours) / cpu(theirs)
}
