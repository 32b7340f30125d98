/**
 * Lets Airbyte's CDK and Sluice read the same manifests from the same simulated API, and compares what they load, stream
 * by stream. Only manifests count that import with no point that stops a run.
 *
 *     npx tsx scripts/compare-airbyte.ts PYTHON FOLDER [MOST] [NAME...]
 *
 * PYTHON can import `airbyte_cdk`. FOLDER holds manifests as `NAME/manifest.yaml`, fetched by hand and never committed.
 * MOST manifests are compared, spread over the folder; with names only these. A table says for each stream how many
 * distinct records both have; what only one of them has is printed below it. `compare-airbyte.py` simulates the API.
 *
 * A manifest with classes of its own counts only if their code lies beside it, as `components.py` or as the package out of
 * the wheel. For these how both sign their requests is compared, too.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parse } from 'yaml'
import { type ImportedFile, importPipeline, loadPipelineFile } from '../src/index.js'
import { ended, firstLine } from './simulationProcess.js'

/** Longer than any manifest takes on a slow machine. */
const LONGEST_MS = 600_000
const MOST_SHOWN = 2
const HAS_CLASSES = /\bclass_name:/
/** The module of connectors that have none of their own. The CDK looks for `components.py` instead. */
const SHARED_MODULE = 'source_declarative_manifest'
const PER_SECOND: Readonly<Record<string, number>> = { SECONDS: 1, MS: 1e3, MICROSECONDS: 1e6 }

interface Compared {
  readonly stream: string
  readonly same: number
  readonly onlyAirbyte: readonly string[]
  readonly onlySluice: readonly string[]
}

type Outcome =
  | {
      readonly kind: 'compared'
      readonly streams: readonly Compared[]
      readonly odd: readonly string[]
      /** How only one of both signs its requests. */
      readonly signed: readonly string[]
    }
  /** The CDK itself cannot read it from the simulation. */
  | { readonly kind: 'unread'; readonly why: string }
  | { readonly kind: 'failed'; readonly why: string }

interface Read {
  readonly records: Readonly<Record<string, readonly Readonly<Record<string, unknown>>[]>>
  readonly errors: readonly string[]
}

/** What the simulation says when the CDK has read. */
interface Started {
  readonly environment: Readonly<Record<string, string>>
  readonly origin: string
}

type Row = Readonly<Record<string, unknown>>

const [python, root, most = '40', ...only] = process.argv.slice(2)
if (python === undefined || root === undefined) {
  console.error('usage: npx tsx scripts/compare-airbyte.ts PYTHON FOLDER [MOST] [NAME...]')
  process.exit(2)
}

const wanted = Number(most)
let alike = 0
let compared = 0
let unread = 0
for (const name of spread(only.length > 0 ? only : readdirSync(root).sort())) {
  if (compared === wanted) break
  const file = join(root, name, 'manifest.yaml')
  if (!existsSync(file) || !(await isWhole(file))) continue
  const outcome = await outcomeOf(python, file).catch(
    (error: Error): Outcome => ({ kind: 'failed', why: error.stack ?? error.message }),
  )
  if (outcome.kind === 'unread') {
    unread += 1
    console.log(`${name}: not counted, the CDK cannot read it here: ${outcome.why}`)
    continue
  }
  compared += 1
  if (show(name, outcome)) alike += 1
}
console.log(
  `\n${alike} of ${compared} manifests give the same records, stream by stream (${unread} could not be read by the CDK)`,
)

/** The names in an order in which the first ones are spread over all of them. */
function spread(names: readonly string[]): string[] {
  const step = Math.max(1, Math.floor(names.length / wanted))
  return Array.from({ length: step }, (_, start) => names.filter((_name, index) => index % step === start)).flat()
}

async function isWhole(file: string): Promise<boolean> {
  const text = readFileSync(file, 'utf8')
  if (/^dynamic_streams:/m.test(text) || !/InlineSchemaLoader/.test(text)) return false
  if (HAS_CLASSES.test(text) && !hasCode(dirname(file), text)) return false
  const result = await importPipeline({ kind: 'airbyte', text, file }).catch(() => undefined)
  const [pipeline] = result?.pipelines ?? []
  return (
    pipeline !== undefined && result?.leftOut.length === 0 && !pipeline.notes.some(({ stopsRun }) => stopsRun === true)
  )
}

/** Whether the modules of all classes are beside the manifest. */
function hasCode(folder: string, text: string): boolean {
  const packages = [...text.matchAll(/\bclass_name: *["']?(\w+)\./g)].map(([, first = '']) => first)
  return packages.every(
    first => existsSync(join(folder, first)) || (first === SHARED_MODULE && existsSync(join(folder, 'components.py'))),
  )
}

function show(name: string, outcome: Outcome): boolean {
  if (outcome.kind !== 'compared') {
    console.log(`${name}: DIFFERENT: ${outcome.why}`)
    return false
  }
  const { streams, odd, signed } = outcome
  const different = streams.filter(({ onlyAirbyte, onlySluice }) => onlyAirbyte.length + onlySluice.length > 0)
  const empty = streams.filter(({ same }) => same === 0).length
  const isSame = different.length === 0 && empty < streams.length
  const records = streams.reduce((sum, { same }) => sum + same, 0)
  console.log(
    `${name}: ${isSame ? 'same' : 'DIFFERENT'}: ${streams.length - different.length} of ${streams.length} streams, ` +
      `${records} records${empty > 0 ? `, ${empty} streams have none` : ''}`,
  )
  for (const { stream, same, onlyAirbyte, onlySluice } of different) {
    console.log(
      `  ${stream}: ${same} the same, ${onlyAirbyte.length} only Airbyte's, ${onlySluice.length} only Sluice's`,
    )
    for (const record of onlyAirbyte.slice(0, MOST_SHOWN)) console.log(`    Airbyte ${without(record, onlySluice)}`)
    for (const record of onlySluice.slice(0, MOST_SHOWN)) console.log(`    Sluice  ${without(record, onlyAirbyte)}`)
  }
  for (const text of signed) console.log(`  signed only by ${text}`)
  if (!isSame) for (const text of [...new Set(odd)].slice(0, 5)) console.log(`  simulation: ${text}`)
  return isSame
}

/** A record without what the most similar one of the others has, too. */
function without(record: string, others: readonly string[]): string {
  const fields = (text: string) => (JSON.parse(text) as unknown[]).map(field => JSON.stringify(field))
  const rest = others.map(other => {
    const known = new Set(fields(other))
    return fields(record).filter(field => !known.has(field))
  })
  const [nearest = fields(record)] = rest.sort((a, b) => a.length - b.length)
  return nearest.join(' ').slice(0, 400)
}

async function outcomeOf(interpreter: string, file: string): Promise<Outcome> {
  const folder = await mkdtemp(join(tmpdir(), 'compare-'))
  const before = await imported(readFileSync(file, 'utf8'), file)
  const names = [...before.text.matchAll(/\$\{(?:env|secrets)\.([\w.-]+)\}/g)].map(([, name = '']) => name)
  const script = join(import.meta.dirname, 'compare-airbyte.py')
  const child = spawn(interpreter, [script, file, folder, JSON.stringify(names)])
  const timer = setTimeout(() => child.kill('SIGKILL'), LONGEST_MS)
  try {
    const said = await firstLine(child)
    if (said.line === undefined)
      return { kind: 'unread', why: said.errors.trim().split('\n').at(-1)?.slice(0, 300) || 'it takes too long' }
    const { environment, origin } = JSON.parse(said.line) as Started
    const read = JSON.parse(readFileSync(join(folder, 'read.json'), 'utf8')) as Read
    const got = Object.values(read.records).reduce((sum, records) => sum + records.length, 0)
    if (read.errors.length > 0 || got === 0) return { kind: 'unread', why: read.errors[0] ?? 'no stream has a record' }
    return await held(read, folder, { environment, origin }, child)
  } finally {
    clearTimeout(timer)
    child.kill('SIGKILL')
    await rm(folder, { recursive: true, force: true })
  }
}

/** What Sluice loads of the redirected manifest, held against what the CDK read. */
async function held(read: Read, folder: string, { environment, origin }: Started, api: ChildProcess): Promise<Outcome> {
  const manifest = readFileSync(join(folder, 'manifest.yaml'), 'utf8')
  const made = await imported(manifest, join(folder, 'manifest.yaml'))
  // An address that a class has in its code is not in the manifest, which was redirected before.
  const text = made.text.replace(/https?:\/\/(?!127\.0\.0\.1)/g, `${origin}/h/`)
  const document = parse(text) as { source: { resources: readonly Row[] } }
  const { resources } = document.source
  const env = {
    ...environment,
    ...numbersIn(made.text, environment),
    ...secretsIn(made.text, environment),
    ...momentsIn(made),
  }
  const ours = await loaded(join(folder, 'sluice'), env, {
    ...document,
    source: { ...document.source, max_table_nesting: 0 },
  })
  if (typeof ours === 'string') return { kind: 'failed', why: ours }
  const streams = Object.keys(read.records)
  const tableOf = (stream: string) =>
    resources.filter(({ name, table_name: table, selected }) => selected !== false && (table ?? name) === stream)
  const theirs = await loaded(
    join(folder, 'airbyte'),
    {},
    {
      source: {
        max_table_nesting: 0,
        client: { base_url: 'http://127.0.0.1/' },
        resources: streams.map(stream => ({
          name: stream,
          records: read.records[stream] ?? [],
          columns: tableOf(stream)[0]?.columns ?? {},
          write_disposition: 'replace',
        })),
      },
    },
  )
  if (typeof theirs === 'string') return { kind: 'failed', why: `Airbyte's records cannot be loaded: ${theirs}` }
  const odd = [...ours.reasons, ...(await ended(api, folder))]
  const signed = /"class_name"/.test(manifest) ? signedDifferently(folder) : []
  return { kind: 'compared', streams: streams.map(stream => difference(stream, theirs, ours)), odd, signed }
}

function signedDifferently(folder: string): string[] {
  const [airbyte, sluice] = ['signed.json', 'signed-ours.json'].map(
    file => JSON.parse(readFileSync(join(folder, file), 'utf8')) as readonly string[],
  )
  const only = (some: readonly string[] = [], others: readonly string[] = []) =>
    some.filter(text => !others.includes(text))
  return [
    ...only(airbyte, sluice).map(text => `Airbyte: ${text}`),
    ...only(sluice, airbyte).map(text => `Sluice:  ${text}`),
  ]
}

function difference(stream: string, theirs: Tables, ours: Tables): Compared {
  const [left, right] = [theirs.of(stream), ours.of(stream)]
  // What a child takes along of its parent has a column in Sluice only.
  const added = [...new Set(right.flatMap(row => Object.keys(row)))].filter(
    name => name.startsWith('_') && !left.some(row => Object.hasOwn(row, name)),
  )
  const [airbyte, sluice] = [textsOf(left, []), textsOf(right, added)]
  return {
    stream,
    same: [...airbyte].filter(text => sluice.has(text)).length,
    onlyAirbyte: [...airbyte].filter(text => !sluice.has(text)),
    onlySluice: [...sluice].filter(text => !airbyte.has(text)),
  }
}

function textsOf(rows: readonly Row[], without: readonly string[]): Set<string> {
  return new Set(
    rows.map(row =>
      JSON.stringify(
        Object.entries(row)
          .filter(([name, value]) => value !== null && !name.startsWith('_dlt_') && !without.includes(name))
          .sort(([a], [b]) => (a < b ? -1 : 1)),
        (_key, value: unknown) => (typeof value === 'bigint' ? String(value) : value),
      ),
    ),
  )
}

interface Tables {
  of(stream: string): readonly Row[]
  /** Why lists did not end as they should. */
  readonly reasons: readonly string[]
}

/** Runs a document into DuckDB and gives its tables, or says why it failed. */
async function loaded(
  folder: string,
  env: Readonly<Record<string, string>>,
  document: object,
): Promise<Tables | string> {
  const text = JSON.stringify({
    ...document,
    name: 'compared',
    destination: `duckdb:${folder}.duckdb`,
    dataset: 'read',
  })
  const file = `${folder}.yaml`
  await writeFile(file, text)
  try {
    const [pipeline] = (await loadPipelineFile(file, { env, cwd: tmpdir() })).pipelines
    if (pipeline === undefined) return 'no pipeline'
    const { receipts } = await pipeline.run()
    const reasons = receipts
      .filter(({ verdict }) => verdict === 'incomplete')
      .map(one => `${one.resource}: ${one.reasons[0]}`)
    const dataset = pipeline.dataset()
    const tables = new Map<string, readonly Row[]>()
    for (const name of await dataset.tables()) {
      tables.set(bare(name), await dataset.query(`SELECT * FROM "${name}"`))
    }
    return { of: stream => tables.get(bare(stream)) ?? [], reasons }
  } catch (error) {
    return String((error as Error).message).slice(0, 600)
  }
}

function bare(name: string): string {
  return name.replace(/\W|_/g, '').toLowerCase()
}

function secretsIn(text: string, environment: Readonly<Record<string, string>>): Record<string, string> {
  const names = [...text.matchAll(/\$\{secrets\.([\w.-]+)\}/g)].map(([, name = '']) => name)
  return Object.fromEntries(
    names.map(name => [name.toUpperCase(), environment[name.toUpperCase()] ?? `value-of-${name.toLowerCase()}`]),
  )
}

/** What somebody would set who reads what the report says of the moment of the run. */
function momentsIn({ notes }: ImportedFile): Record<string, string> {
  const said = notes.map(({ text }) => /^\$\{env\.(\w+)\} is .*, written as (.+): set it for each run$/.exec(text))
  return Object.fromEntries(
    said.flatMap(found => {
      if (found === null) return []
      const [, name = '', form = ''] = found
      const [, sign = '', days = '0'] = /_(MINUS|PLUS)_(\d+)$/.exec(name) ?? []
      const moment = new Date(Date.now() + Number(days) * (sign === 'MINUS' ? -864e5 : 864e5))
      const [date = '', time = ''] = moment.toISOString().slice(0, 19).split('T')
      const parts: Record<string, string> = {
        '%Y': date.slice(0, 4),
        '%m': date.slice(5, 7),
        '%d': date.slice(8),
        '%H': time.slice(0, 2),
        '%M': time.slice(3, 5),
        '%S': time.slice(6),
        '%z': '+0000',
        '%Z': 'UTC',
        '%f': '000000',
        '%s': String(Math.floor(moment.getTime() / 1000)),
        '%ms': String(moment.getTime()),
      }
      return [[name, form.replace(/%ms|%\w/g, part => parts[part] ?? part)]]
    }),
  )
}

/** Moments as numbers, for the variables that name a unit. */
function numbersIn(text: string, environment: Readonly<Record<string, string>>): Record<string, string> {
  const names = [...text.matchAll(/\$\{env\.((\w+)_(SECONDS|MS|MICROSECONDS))\}/g)]
  return Object.fromEntries(
    names.map(([, name = '', moment = '', unit = '']) => [
      name,
      String((Date.parse(environment[moment] ?? '') / 1000) * (PER_SECOND[unit] ?? 1)),
    ]),
  )
}

async function imported(text: string, file: string): Promise<ImportedFile> {
  const { pipelines } = await importPipeline({ kind: 'airbyte', text, file })
  const [pipeline] = pipelines
  if (pipeline === undefined) throw new Error(`${file} becomes no pipeline`)
  return pipeline
}
