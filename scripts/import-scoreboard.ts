/**
 * What becomes of files that people have, by kind: how many are imported, and what stops the rest.
 *
 *     npx tsx scripts/import-scoreboard.ts airbyte FOLDER
 *     npx tsx scripts/import-scoreboard.ts openapi FOLDER
 *     npx tsx scripts/import-scoreboard.ts dlt FOLDER
 *
 * The files are fetched by hand and never committed.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type ImportOptions, importPipeline } from '../src/import/importPipeline.js'

interface Score {
  readonly rows: readonly (readonly [what: string, value: string])[]
  /** Reasons why a file or a list cannot be run as it is, with their number. */
  readonly obstacles: ReadonlyMap<string, number>
}

const corpora: Readonly<Record<string, (folder: string) => Promise<Score>>> = { airbyte, openapi, dlt }

const [kind = '', folder] = process.argv.slice(2)
const score = corpora[kind]
if (score === undefined || folder === undefined) {
  console.error(`usage: npx tsx scripts/import-scoreboard.ts ${Object.keys(corpora).join('|')} FOLDER`)
  process.exit(2)
}
const { rows, obstacles } = await score(folder)
for (const [what, value] of rows) console.log(`${what.padEnd(44)} ${value}`)
console.log('\nWhat stops the rest:')
for (const [why, count] of [...obstacles].sort((left, right) => right[1] - left[1]).slice(0, 40)) {
  console.log(`${String(count).padStart(6)}  ${why}`)
}

function filesIn(root: string, wanted: RegExp): string[] {
  return readdirSync(root, { withFileTypes: true, recursive: true })
    .filter(entry => entry.isFile() && wanted.test(entry.name))
    .map(entry => join(entry.parentPath, entry.name))
    .sort()
}

function share(part: number, of: number): string {
  return `${part} of ${of} (${of === 0 ? '–' : `${((100 * part) / of).toFixed(1)} %`})`
}

/** Manifests of Airbyte's connectors. A stream counts if no open point about it, or about its pipeline, stops a run. */
async function airbyte(root: string): Promise<Score> {
  const obstacles = new Map<string, number>()
  const count = (why: string) => obstacles.set(why, (obstacles.get(why) ?? 0) + 1)
  let manifests = 0
  let whole = 0
  let streams = 0
  let good = 0
  let refused = 0
  for (const file of filesIn(root, /^manifest\.ya?ml$/)) {
    const options: ImportOptions = { kind: 'airbyte', text: readFileSync(file, 'utf8'), file, folder: root }
    const result = await importPipeline(options).catch((error: Error) => {
      if (/has no list of `streams`/.test(error.message)) return undefined
      manifests += 1
      count(`refused: ${error.message.slice(0, 160)}`)
      return undefined
    })
    if (result === undefined) continue
    manifests += 1
    const names = new Set<string>()
    const stopped = new Set<string>()
    for (const { notes } of result.pipelines) {
      for (const { kind: noted, resource } of notes)
        if (noted === 'taken' && resource !== undefined) names.add(resource)
      const why = new Map<string, string>()
      for (const { stopsRun, resource = '', text } of notes) {
        if (stopsRun !== true) continue
        const stream = [...names].find(name => resource === name || resource.startsWith(`${name}_`)) ?? resource
        if (!why.has(stream)) why.set(stream, text)
      }
      for (const [stream, text] of why) {
        stopped.add(stream)
        count(text.replace(/ of \w+$/, '').slice(0, 140))
        if (process.env.SHOW !== undefined && text.includes(process.env.SHOW))
          console.log(`${file}\t${stream}\t${text}`)
      }
    }
    for (const { what, why } of result.leftOut) {
      if (why.includes('would be refused')) refused += 1
      names.add(what.replace(/^stream /, ''))
      stopped.add(what.replace(/^stream /, ''))
      count(`left out: ${why.replace(/resources\[\d+\]/g, 'resources[]').slice(0, 140)}`)
      if (process.env.SHOW !== undefined && why.includes(process.env.SHOW)) console.log(`${file}\t${what}\t${why}`)
    }
    streams += names.size
    const bad = [...names].filter(name => stopped.has(name)).length
    good += names.size - bad
    if (stopped.size === 0) whole += 1
  }
  return {
    rows: [
      ['manifests', String(manifests)],
      ['manifests without a point that stops a run', share(whole, manifests)],
      ['streams without one', share(good, streams)],
      ['parts that the check refuses', String(refused)],
    ],
    obstacles,
  }
}

/** Files of OpenAPI and Swagger. A resource counts as ready if no open point about it, or about its pipeline, stops a run. */
async function openapi(root: string): Promise<Score> {
  const obstacles = new Map<string, number>()
  const count = (why: string) => obstacles.set(why, (obstacles.get(why) ?? 0) + 1)
  const paginators = new Map<string, number>()
  const tookMs: number[] = []
  let crashed = 0
  let refusedFiles = 0
  let refused = 0
  let resources = 0
  let ready = 0
  let leftOut = 0
  for (const file of filesIn(root, /\.(?:ya?ml|json)$/)) {
    const startedMs = performance.now()
    const options: ImportOptions = { kind: 'openapi', text: readFileSync(file, 'utf8'), file, folder: root }
    const result = await importPipeline(options).catch((error: Error) => {
      const isKnown = error.name === 'ConfigError'
      if (isKnown) refusedFiles += 1
      else crashed += 1
      count(`${isKnown ? 'refused' : 'CRASHED'}: ${error.message.replace(file, '').slice(0, 120)}`)
      if (!isKnown) console.log(file, error.stack)
      return undefined
    })
    tookMs.push(performance.now() - startedMs)
    if (result === undefined) continue
    for (const { why } of result.leftOut) {
      leftOut += 1
      if (why.includes('would be refused')) {
        refused += 1
        console.log(`${file}\t${why}`)
      }
      count(`left out: ${why.replace(/resources\[\d+\]/g, 'resources[]').slice(0, 100)}`)
    }
    for (const { document, notes } of result.pipelines) {
      const stopped = new Set(notes.filter(({ stopsRun }) => stopsRun === true).map(({ resource }) => resource))
      const source = document.source as {
        readonly resources: readonly { readonly name: string; readonly endpoint?: { readonly paginator?: unknown } }[]
      }
      for (const { name, endpoint } of source.resources) {
        resources += 1
        if (!stopped.has(name) && !stopped.has(undefined)) ready += 1
        const { paginator } = endpoint ?? {}
        const type = (paginator as { readonly type?: string } | undefined)?.type ?? String(paginator ?? 'none')
        paginators.set(type, (paginators.get(type) ?? 0) + 1)
      }
    }
  }
  tookMs.sort((a, b) => a - b)
  const ms = (at: number) => `${(tookMs[Math.floor((tookMs.length - 1) * at)] ?? 0).toFixed(0)} ms`
  return {
    rows: [
      ['files', String(tookMs.length)],
      ['crashed', String(crashed)],
      ['refused as no OpenAPI', String(refusedFiles)],
      ['resources', String(resources)],
      ['without a point that stops a run', share(ready, resources)],
      ['left out with a reason', String(leftOut)],
      ['parts that the check refuses', String(refused)],
      ['paginators', [...paginators].map(([type, number]) => `${type} ${number}`).join(', ')],
      ['a file: median, 99 %, longest', `${ms(0.5)}, ${ms(0.99)}, ${ms(1)}`],
      ['memory at the end', `${Math.round(process.memoryUsage().rss / 2 ** 20)} MB`],
    ],
    obstacles,
  }
}

/** Scripts of dlt. `SHOW` prints the notes of the files whose names hold it. */
async function dlt(root: string): Promise<Score> {
  const obstacles = new Map<string, number>()
  const count = (why: string) => obstacles.set(why, (obstacles.get(why) ?? 0) + 1)
  let scripts = 0
  let converted = 0
  let ready = 0
  let pipelineCount = 0
  let resources = 0
  let leftOutCount = 0
  for (const file of filesIn(root, /\.py$/)) {
    scripts += 1
    const name = file.slice(root.length + 1)
    const isShown = process.env.SHOW !== undefined && file.includes(process.env.SHOW)
    const options: ImportOptions = { kind: 'dlt', text: readFileSync(file, 'utf8'), file: name, folder: root }
    const result = await importPipeline(options).catch((error: Error) => {
      const isKnown = error.name === 'ConfigError'
      count(`${isKnown ? 'refused' : 'CRASHED'}: ${error.message.replace(name, '').slice(0, 140)}`)
      console.log(`${isKnown ? 'refused' : `CRASHED ${error.stack}`}\t${name}`)
      return undefined
    })
    if (result === undefined) continue
    for (const { what, why } of result.leftOut) {
      leftOutCount += 1
      count(`left out: ${why.replace(/resources\[\d+\]/g, 'resources[]').slice(0, 140)}`)
      console.log(`left out\t${name}\t${what}\t${why}`)
    }
    if (result.leftOut.length === 0) converted += 1
    pipelineCount += result.pipelines.length
    const notes = result.pipelines.flatMap(pipeline => pipeline.notes)
    const stopping = notes.filter(({ stopsRun }) => stopsRun === true)
    if (result.leftOut.length === 0 && stopping.length === 0) ready += 1
    for (const { text } of stopping) count(text.replace(/\[\d+\]/g, '[]').slice(0, 140))
    for (const { document, text } of result.pipelines) {
      resources += (document.source as { readonly resources: readonly unknown[] }).resources.length
      if (isShown) console.log(text)
    }
    if (isShown) for (const { kind, text, place } of notes) console.log(`${kind}\t${place?.line}\t${text}`)
  }
  return {
    rows: [
      ['scripts', String(scripts)],
      ['converted whole, and accepted by the check', share(converted, scripts)],
      ['without a point that stops a run', share(ready, scripts)],
      ['pipelines', String(pipelineCount)],
      ['resources', String(resources)],
      ['parts left out', String(leftOutCount)],
    ],
    obstacles,
  }
}
