import { basename, dirname, extname, isAbsolute, join, relative, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { z } from 'zod'
import type { JournalBucket } from '../journal/bucketJournals.js'
import type { Destination } from '../model/destination.js'
import { ConfigError, SluiceError } from '../model/errors.js'
import type { WarningCode } from '../model/events.js'
import {
  anything,
  checkOptions,
  environment,
  path as filePath,
  flag,
  havingFunctions,
  needed,
  optionsOf,
  text,
  wholeFromZero,
} from '../model/optionKinds.js'
import { SecretReference } from '../model/secrets/secret.js'
import type { Source } from '../model/source.js'
import { type Pipeline, type PipelineOptions, pipeline } from '../pipeline/pipeline.js'
import { asFolder } from '../pipeline/setup.js'
import { checkShape, unknownKey } from '../rest/document/checkShape.js'
import { formatPath, type PlaceOf, Problems } from '../rest/document/problems.js'
import { isPlain, resolveReferences } from '../rest/document/references.js'
import { contractOf } from '../rest/document/resources/readHints.js'
import type { HostBudget } from '../rest/http/rateLimit.js'
import { type DocumentFile, fileError, parseDocumentText, readDocument, readText } from './file/documentFile.js'
import { everyProblem, placed } from './file/placedErrors.js'
import { type Environment, isSet, processEnvironment } from './lookup/environment.js'
import { withEnvFile, workingFolder } from './lookup/secretFiles.js'
import { findingEvery, reference, type SecretResolver, secretResolver } from './lookup/secrets.js'
import { announced } from './notify/notifying.js'
import { everyFlatKey, flatKeyNames, flatWrapper, sourceKeyNames, wrapperOnly } from './pipelineDocument.js'
import { destinationAddress, type destinationFromUrl, leftBehind, openDestination } from './places/destinations.js'
import { type LoadTarget, targetOf } from './places/profiles.js'
import { type PipelineRecording, restApi, restApiFrom } from './restApi.js'

/** Overrides for the file, and where to read it. */
export interface PipelineFileOptions {
  /** As in `duckdb:demo.duckdb`. */
  readonly destination?: string | undefined
  readonly dataset?: string | undefined
  /** One of the `profiles` of the document. Default: `SLUICE_PROFILE` of the environment, if it is set. */
  readonly profile?: string | undefined
  /** Default: the environment of this process. A `.env` beside the file adds what is not set there. */
  readonly env?: Environment | undefined
  /** Default: the current folder. */
  readonly cwd?: string | undefined
  /** Limits of hosts that the pipelines of several files share: `hostBudget()`. */
  readonly budget?: HostBudget | undefined
  /**
   * For pipelines that only read their destination: a missing secret or environment variable of the source is an
   * error only once something is requested.
   */
  readonly withoutSecrets?: boolean | undefined
  /** For pipelines that are only looked at: no secret needs to exist, not even one of the destination. */
  readonly offline?: boolean | undefined
  /**
   * How long to wait for a database file that another process has open. Default: as long as the destination waits.
   *
   * @internal
   */
  readonly lockTimeoutMs?: number | undefined
  /**
   * For recordings of the API: nothing is written but to the destination.
   *
   * @internal
   */
  readonly recording?: PipelineRecording | undefined
}

export interface PipelineFile {
  /** Absolute. */
  readonly path: string
  /** One, unless a TypeScript file exports several. */
  readonly pipelines: readonly Pipeline[]
  /** The profile that was asked for. */
  readonly profile: string | undefined
  /** When a worker runs its pipelines by itself. */
  readonly schedule: string | undefined
  /** Warnings about the file. They are also the first events of a run. */
  readonly warnings: readonly string[]
}

const forFile = optionsOf<PipelineFileOptions>('options of loadPipelineFile()', {
  destination: text,
  dataset: text,
  profile: text,
  env: environment,
  cwd: filePath,
  withoutSecrets: flag,
  offline: flag,
  lockTimeoutMs: wholeFromZero,
  recording: anything,
  budget: havingFunctions('a budget, as hostBudget() makes it', ['gate'] satisfies readonly (keyof HostBudget)[]),
})

interface FileContext {
  readonly path: string
  /** The path in messages: relative if it is under the current folder. */
  readonly shown: string
  readonly env: Environment
  readonly cwd: string
  readonly folder: string
  readonly overrides: PipelineFileOptions
  readonly profile: string | undefined
  readonly warn: (code: WarningCode, message: string) => void
  /** Hears the `schedule` of the document. */
  readonly scheduled: (schedule: string) => void
}

interface Warning {
  readonly code: WarningCode
  readonly message: string
}

/**
 * Reads a pipeline file and finds its secrets. Opens no connection. Throws a ConfigError that names file, line and key.
 *
 * A `.yaml`, `.yml` or `.json` file holds a `rest_api` document, alone, beside `name`, `destination` and `dataset`, or
 * under `source`. A `.ts`, `.mts`, `.js` or `.mjs` file exports as its default such a document, a pipeline, or a list
 * of pipelines.
 *
 * @example
 * ```ts
 * import { writeFile } from 'node:fs/promises'
 * import { loadPipelineFile } from 'sluice'
 *
 * await writeFile('shops.yaml', 'client: { base_url: "https://api.example.com" }\nresources: [shops]\n')
 * const { pipelines } = await loadPipelineFile('shops.yaml', { destination: 'duckdb:shops.duckdb' })
 * for (const pipeline of pipelines) await pipeline.run()
 * ```
 */
export async function loadPipelineFile(file: string, options: PipelineFileOptions = {}): Promise<PipelineFile> {
  checkOptions(needed(filePath), file, 'file')
  checkOptions(forFile, options)
  const cwd = options.cwd ?? process.cwd()
  const path = resolve(cwd, file)
  const shown = isAbsolute(file) || file.startsWith('..') ? path : relative(cwd, path) || '.'
  const folder = dirname(path)
  const warnings = new Map<string, Warning>()
  const warn = (code: WarningCode, message: string): void => void warnings.set(message, { code, message })
  const env = withEnvFile(options.env ?? processEnvironment(), folder, message => warn(READABLE, message))
  const profile = options.profile ?? (isSet(env, 'SLUICE_PROFILE') ? env.SLUICE_PROFILE : undefined)
  let schedule: string | undefined
  const scheduled = (written: string): void => {
    schedule = written
  }
  const reading: FileContext = { path, shown, cwd, folder, env, overrides: options, profile, warn, scheduled }
  const pipelines = await readPipelines(reading)
  const announced = pipelines.map(one => announcing(one, [...warnings.values()]))
  return { path, pipelines: announced, profile, schedule, warnings: [...warnings.keys()] }
}

/** Checks the text of a pipeline file as `sluice check --offline` does. `file` is where it would be. Throws a ConfigError. */
export async function checkPipelineText(text: string, file: string, cwd = process.cwd()): Promise<void> {
  const path = resolve(cwd, file)
  const overrides = { offline: true }
  const folder = dirname(path)
  const reading = {
    path,
    shown: file,
    cwd,
    folder,
    env: {},
    overrides,
    profile: undefined,
    warn: () => {},
    scheduled: () => {},
  }
  const document = await parseDocumentText(text, file)
  await pipelineFrom(document.value, reading, document)
}

const READABLE = 'secrets_file_readable'

async function readPipelines(reading: FileContext): Promise<Pipeline[]> {
  const extension = extname(reading.path).toLowerCase()
  if (['.yaml', '.yml', '.json'].includes(extension)) {
    const document = await readDocument(reading.path, reading.shown)
    refuseOtherTools(document.value, reading.shown)
    return [await pipelineFrom(document.value, reading, document)]
  }
  if (['.ts', '.mts', '.cts', '.js', '.mjs', '.cjs'].includes(extension)) return await modulePipelines(reading)
  // A folder says that it is one.
  if (extension === '') await readText(reading.path, reading.shown)
  const importing = extension === '.har' ? `; \`sluice import har ${reading.shown}\` writes one of it` : ''
  throw fileError(reading.shown, `is not a pipeline file: expected .yaml, .yml, .json, .ts or .js${importing}`)
}

/** Documents of tools that `sluice import` reads, by keys that a pipeline file never has. */
const OTHER_TOOLS = [
  { keys: ['openapi'], kind: 'openapi', what: 'an OpenAPI document' },
  { keys: ['swagger'], kind: 'openapi', what: 'a Swagger document' },
  { keys: ['info', 'item'], kind: 'postman', what: 'a Postman collection' },
  { keys: ['log'], kind: 'har', what: 'a HAR file' },
  { keys: ['streams', 'check'], kind: 'airbyte', what: 'a manifest of Airbyte' },
] as const

/** One error in place of one for each key. */
function refuseOtherTools(value: unknown, shown: string): void {
  const isAbout = (key: string): boolean => isPlain(value) && Object.hasOwn(value, key)
  if (isAbout('client') || isAbout('source') || isAbout('resources')) return
  const other = OTHER_TOOLS.find(({ keys }) => keys.every(isAbout))
  if (other === undefined) return
  const { what, kind } = other
  throw fileError(shown, `is ${what}, no pipeline file; \`sluice import ${kind} ${shown}\` writes one of it`)
}

async function modulePipelines(reading: FileContext): Promise<Pipeline[]> {
  const exported = await importDefault(reading)
  const values: unknown[] = Array.isArray(exported) ? exported : [exported]
  if (values.length === 0) throw fileError(reading.shown, 'exports an empty list; expected a pipeline')
  const pipelines: Pipeline[] = []
  for (const value of values) {
    if (isPipeline(value)) {
      requireSecrets(value.source, reading)
      pipelines.push(await overridden(value, reading))
    } else if (isPlain(value)) pipelines.push(await pipelineFrom(value, reading))
    else throw fileError(reading.shown, 'its default export must be a pipeline, a list of pipelines or a document')
  }
  return pipelines
}

/** The entry points of the package, by what follows `sluice` in an import. */
const doors = { sluice: 'index', 'sluice/destination': 'destinationDoor', 'sluice/source': 'sourceDoor' }

/** Compiles TypeScript in memory. `sluice` is this very copy, even if another is installed beside the file. */
async function importDefault(reading: FileContext): Promise<unknown> {
  const { path, shown } = reading
  await readText(path, shown)
  const { createJiti } = await import('jiti')
  const own = extname(import.meta.url)
  const virtualModules: Record<string, Record<string, unknown>> = {}
  for (const [name, door] of Object.entries(doors)) {
    virtualModules[name] = await import(new URL(`../${door}${own}`, import.meta.url).href)
  }
  virtualModules.sluice = { ...virtualModules.sluice, ...(await besideTheFile(reading)) }
  const jiti = createJiti(import.meta.url, {
    fsCache: false,
    moduleCache: false,
    interopDefault: false,
    virtualModules,
  })
  try {
    const { default: exported } = await jiti.import<{ default?: unknown }>(pathToFileURL(path).href)
    return typeof exported === 'function' ? await exported() : exported
  } catch (error) {
    if (error instanceof SluiceError) throw error
    throw new ConfigError([
      { place: { path: '', file: shown }, message: `cannot be loaded: ${(error as Error).message}` },
    ])
  }
}

/** What a module imports from `sluice`, with paths, secrets and journals that begin in the folder of the file. */
async function besideTheFile({
  path,
  folder,
  env,
  cwd,
  overrides,
  warn,
}: FileContext): Promise<Record<string, unknown>> {
  const from = (given: string): string =>
    given === '' || given === ':memory:' || given.startsWith('s3://') ? given : resolve(folder, given)
  const target = (scheme: 'duckdb' | 'files', path: string): string => {
    const former = leftBehind(`${scheme}:${path}`, folder, cwd)
    if (former !== undefined) warn('other', former)
    return from(path)
  }
  const placed = <Options extends { readonly path: string; readonly stagingDir?: string | undefined }>(
    scheme: 'duckdb' | 'files',
    given: string | Options,
  ): string | Options => {
    if (typeof given === 'string') return target(scheme, given)
    if (typeof given?.path !== 'string') return given
    const { path, stagingDir } = given
    return {
      ...given,
      path: target(scheme, path),
      ...(typeof stagingDir === 'string' && { stagingDir: from(stagingDir) }),
    }
  }
  const { duckdb } = await import('../destinations/duckdb/duckdb.js')
  const { ducklake, inFolder } = await import('./places/ducklakeOptions.js')
  const { files } = await import('./places/filesOptions.js')
  const own: {
    duckdb: typeof duckdb
    ducklake: typeof ducklake
    files: typeof files
    destinationFromUrl: typeof destinationFromUrl
    pipeline: typeof pipeline
    restApi: typeof restApi
  } = {
    duckdb: given => duckdb(placed('duckdb', given)),
    ducklake: given => ducklake(inFolder(given, folder), env),
    files: given => files(placed('files', given), env),
    destinationFromUrl: (text, place = { path: 'destination' }) =>
      openDestination({ text, secrets: [] }, place, { env, folder }),
    pipeline: options =>
      pipeline({
        ...options,
        home: options.home === undefined ? workingFolder(env, folder) : from(asFolder(options.home, 'home')),
        schema: { lock: lockFile(path, options.name), ...options.schema },
        ...aside(overrides.recording),
      }),
    restApi: (document, options) =>
      restApi(document, {
        env,
        cwd,
        folder,
        budget: overrides.budget,
        warn: message => warn(READABLE, message),
        ...options,
        recording: overrides.recording,
      }),
  }
  return own
}

function isPipeline(value: unknown): value is Pipeline {
  if (typeof value !== 'object' || value === null) return false
  const { run, source, destination } = value as Partial<Pipeline>
  return typeof run === 'function' && source !== undefined && destination !== undefined
}

async function overridden(made: Pipeline, reading: FileContext): Promise<Pipeline> {
  const { env, cwd, folder, shown } = reading
  const { destination, dataset, profile } = reading.overrides
  if (profile !== undefined) {
    const advice = 'export a document with `profiles`, or choose in the module by process.env.SLUICE_PROFILE'
    throw fileError(shown, `exports a pipeline, which has no profile ${JSON.stringify(profile)}: ${advice}`)
  }
  if (destination === undefined && dataset === undefined) return made
  const warn = (message: string): void => reading.warn(READABLE, message)
  const resolver = lookedUp(secretResolver({ env, cwd, folder, pipeline: made.name, warn }), reading)
  return made.with({
    ...(destination !== undefined && { destination: await commandDestination(destination, resolver, reading) }),
    dataset,
  })
}

/** A document alone, beside the keys of its pipeline, or under `source`. */
async function pipelineFrom(value: unknown, reading: FileContext, file?: DocumentFile): Promise<Pipeline> {
  const { path, shown, env, cwd, folder } = reading
  const place: PlaceOf = file?.place ?? (keys => ({ path: formatPath(keys), file: shown }))
  if (!isPlain(value)) throw fileError(shown, 'expected a map with `client` and `resources`')
  const wrapped = Object.hasOwn(value, 'source')
  const around = wrapped ? value : pick(value, flatKeyNames())
  const problems = new Problems(place)
  const fileName = basename(path, extname(path))
  const warn = (message: string): void => reading.warn(READABLE, message)
  const resolver = lookedUp(secretResolver({ env, cwd, folder, pipeline: fileName, warn: () => {} }), reading)
  const inner = wrapped && isPlain(value.source) ? value.source : {}
  const settled = resolveReferences(
    { ...omit(around, ADDRESSED), ...(wrapped && { source: pick(inner, sourceKeyNames()) }) },
    resolver,
    problems,
  )
  if (wrapped && !isPlain(value.source)) problems.add(['source'], 'expected a map with `client` and `resources`')
  const addressed = textsOfReferences(pick(around, ADDRESSED)) as Record<string, unknown>
  const outer = { ...(settled as object), ...addressed }
  checkShape(wrapped ? wrapperOnly : flatWrapper, outer, [], problems)
  if (!wrapped) {
    // The check of the document knows only the keys of the document.
    const unknown = Object.keys(value).filter(key => !everyFlatKey().includes(key))
    for (const key of unknown) problems.add([key], unknownKey(key, everyFlatKey(), []))
  }
  problems.throwIfAny()
  const keys = outer as Wrapper
  const target = targetOf(keys, reading.profile, problems)
  problems.throwIfAny()
  if (keys.schedule != null) reading.scheduled(keys.schedule)
  const name = keys.name ?? fileName
  const source = wrapped ? (keys.source ?? {}) : { ...(outer as FlatWrapper), name: undefined }
  const document = wrapped ? omit(inner, sourceKeyNames()) : omit(value, flatKeyNames())
  const home = workingFolder(env, folder)
  const inDocument: PlaceOf = wrapped ? path => place(['source', ...path]) : place
  const [api, destination, journal] = await everyProblem(
    () => {
      const options = {
        name: source.name ?? undefined,
        maxTableNesting: source.max_table_nesting ?? undefined,
        rootKey: source.root_key ?? undefined,
        schemaContract: contractOf(source.schema_contract),
        env,
        cwd,
        folder,
        pipeline: name,
        budget: reading.overrides.budget,
        recording: reading.overrides.recording,
        place: inDocument,
        warn,
      }
      const made = restApiFrom(document, options, needsSecrets(reading))
      requireSecrets(made, reading)
      return made
    },
    () => destinationOf(target, name, resolver, reading, place),
    () => journalOf(keys.journal, target, reading, place),
  )
  const made = pipeline({
    name,
    source: api,
    destination,
    dataset: reading.overrides.dataset ?? datasetOf(target, resolver, place) ?? `${name}_dataset`,
    // Journals of one profile are never those of another.
    home: target.profile === undefined ? home : join(home, 'profiles', target.profile),
    schema: {
      import: keys.import_schema_path == null ? undefined : resolve(folder, keys.import_schema_path),
      export: keys.export_schema_path == null ? undefined : resolve(folder, keys.export_schema_path),
      lock: lockFile(path, name),
    },
    journal,
    ...aside(reading.overrides.recording),
  })
  const profiledOne = profiled(placed(made, inDocument), target)
  // A recording is of a document, and its runs are nobody's loads.
  if (target.notify == null || reading.overrides.recording !== undefined) return profiledOne
  const { fileNotifications } = await import('./notify/fileNotifications.js')
  const needed = { place, needsSecrets: needsSecrets(reading) }
  const told = fileNotifications(target.notify, target.notifyAt, resolver, needed)
  return announced(profiledOne, told, { cwd: folder, env })
}

/** The lock of the schema beside a pipeline file. A module may hold several pipelines, each with its own. */
function lockFile(file: string, pipeline: string): string {
  const extension = extname(file)
  const stem = file.slice(0, file.length - extension.length)
  // Any name becomes part of a file name that leads nowhere else.
  return /^\.(?:ya?ml|json)$/i.test(extension)
    ? `${stem}.schema.lock`
    : `${stem}.${encodeURIComponent(pipeline)}.schema.lock`
}

/** What a recording does not touch: the files of the working folder, and those of the schema. */
function aside(
  recording: PipelineRecording | undefined,
): Pick<PipelineOptions, 'clock' | 'home' | 'journal' | 'schema'> {
  return recording === undefined ? {} : { clock: recording.clock, home: recording.home, journal: undefined, schema: {} }
}

type Wrapper = z.output<typeof wrapperOnly>
type FlatWrapper = z.output<typeof flatWrapper>

/** Keys whose references are replaced in their own way, and only if they are used. */
const ADDRESSED = ['destination', 'profiles', 'notify']

/** `secret('x')` as it is written in YAML. */
function textsOfReferences(value: unknown): unknown {
  if (value instanceof SecretReference) return `\${secrets.${value.reference}}`
  if (Array.isArray(value)) return value.map(textsOfReferences)
  if (!isPlain(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, textsOfReferences(item)]))
}

/** Of a file that is opened to request something, all that is missing is told before anything begins. */
function requireSecrets(source: Source, reading: FileContext): void {
  if (needsSecrets(reading)) source.requireSecrets?.()
}

function needsSecrets({ overrides: { withoutSecrets, offline } }: FileContext): boolean {
  return withoutSecrets !== true && offline !== true
}

function lookedUp(resolver: SecretResolver, { overrides }: FileContext): SecretResolver {
  return overrides.offline === true ? findingEvery(resolver) : resolver
}

/** An address that is one reference may be of any kind, and of one that is missing nobody knows which. */
function known(written: string, resolver: SecretResolver, { overrides }: FileContext): string {
  const [whole, , context, name = ''] = new RegExp(reference.source).exec(written) ?? []
  if (overrides.offline !== true || whole === undefined || whole !== written.trim()) return written
  const found = context === 'env' ? resolver.variable(name) : resolver.named(name)
  return 'value' in found && found.value.origin === 'missing' ? 'duckdb::memory:' : written
}

/** The bucket of the journals. Those of one profile are never those of another. */
async function journalOf(
  address: string | null | undefined,
  { profile }: LoadTarget,
  reading: FileContext,
  place: PlaceOf,
): Promise<JournalBucket | undefined> {
  if (address == null) return undefined
  const { journalBucket } = await import('./places/journalBucket.js')
  // A file that is only looked at needs no credentials.
  const s3 = needsSecrets(reading) ? {} : { credentials: async () => Promise.reject(new Error('not looked up')) }
  try {
    const folder = profile === undefined ? undefined : `profiles/${profile}`
    return journalBucket(address, { env: reading.env, folder, s3 })
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    const message = error.problems.map(problem => problem.message).join('; ')
    throw new ConfigError([{ place: place(['journal']), message }])
  }
}

async function destinationOf(
  { destination, at }: LoadTarget,
  name: string,
  resolver: SecretResolver,
  reading: FileContext,
  place: PlaceOf,
): Promise<Destination> {
  const { overrides, env, folder, cwd } = reading
  if (overrides.destination !== undefined) return commandDestination(overrides.destination, resolver, reading)
  const problems = new Problems(place)
  const address = destinationAddress(
    known(destination ?? `duckdb:${name}.duckdb`, resolver, reading),
    resolver,
    problems,
    at,
  )
  problems.throwIfAny()
  const { text, secrets } = address ?? { text: '', secrets: [] }
  const former = secrets.length > 0 ? undefined : leftBehind(text, folder, cwd)
  if (former !== undefined) reading.warn('other', former)
  return await openDestination({ text, secrets }, place(at), { env, folder, lockTimeoutMs: overrides.lockTimeoutMs })
}

/** The destination that the command line names. Its paths begin in the current folder. */
async function commandDestination(
  written: string,
  resolver: SecretResolver,
  reading: FileContext,
): Promise<Destination> {
  const { env, cwd, overrides } = reading
  const place = { path: '--destination' }
  const problems = new Problems(() => place)
  const address = destinationAddress(known(written, resolver, reading), resolver, problems, [place.path])
  problems.throwIfAny()
  const where = { env, folder: cwd, lockTimeoutMs: overrides.lockTimeoutMs }
  return await openDestination(address ?? { text: written, secrets: [] }, place, where)
}

function datasetOf({ dataset, datasetAt }: LoadTarget, resolver: SecretResolver, place: PlaceOf): string | undefined {
  if (dataset === undefined || datasetAt === undefined) return dataset
  const problems = new Problems(place)
  const settled = resolveReferences({ dataset }, resolver, new Problems(() => place(datasetAt)))
  const { dataset: text } = settled as { dataset: unknown }
  if (typeof text !== 'string') problems.add(datasetAt, 'the name of a dataset is printed, so it cannot be a secret')
  problems.throwIfAny()
  return text as string
}

function pick(value: Readonly<Record<string, unknown>>, keys: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).filter(([key]) => keys.includes(key)))
}

function omit(value: Readonly<Record<string, unknown>>, keys: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).filter(([key]) => !keys.includes(key)))
}

/** The same pipeline. Its runs start with the warnings of its file. */
function announcing(made: Pipeline, warnings: readonly Warning[]): Pipeline {
  if (warnings.length === 0) return made
  return {
    ...made,
    with: changes => announcing(made.with(changes), warnings),
    async run(options) {
      const emit = options?.onEvent
      // The pipeline says what else it may not be.
      if (typeof emit === 'function') for (const { code, message } of warnings) emit({ type: 'warning', code, message })
      return await made.run(options)
    },
  }
}

/** The same pipeline. Its runs say the profile and take its limits, which the options of a run override. */
function profiled(made: Pipeline, target: LoadTarget): Pipeline {
  const { profile, limit, concurrency } = target
  if (profile === undefined) return made
  const limits = { ...(limit !== undefined && { maxPages: limit }), ...(concurrency !== undefined && { concurrency }) }
  return {
    ...made,
    with: changes => profiled(made.with(changes), target),
    run(options) {
      const emit = options?.onEvent
      if (typeof emit !== 'function') return made.run({ ...limits, ...options })
      return made.run({
        ...limits,
        ...options,
        onEvent: event => emit(event.type === 'run_started' ? { ...event, profile } : event),
      })
    },
  }
}
