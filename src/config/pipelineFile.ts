import { basename, dirname, extname, isAbsolute, relative, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { z } from 'zod'
import { ConfigError, SluiceError } from '../model/errors.js'
import { checkOptions, environment, path as filePath, flag, needed, optionsOf, text } from '../model/optionKinds.js'
import { type Pipeline, pipeline } from '../pipeline/pipeline.js'
import { checkShape } from '../rest/document/checkShape.js'
import { formatPath, type PlaceOf, Problems } from '../rest/document/problems.js'
import { isPlain, resolveReferences } from '../rest/document/references.js'
import { contractOf } from '../rest/document/resources/readHints.js'
import { destinationFromUrl } from './destinations.js'
import { type DocumentFile, fileError, readDocument, readText } from './documentFile.js'
import { type Environment, processEnvironment } from './environment.js'
import { pipelineKeyNames, sourceKeyNames, wrapperOnly } from './pipelineDocument.js'
import { restApi, restApiFrom } from './restApi.js'
import { workingFolder } from './secretFiles.js'
import { secretResolver } from './secrets.js'

/** Overrides for the file, and where to read it. */
export interface PipelineFileOptions {
  /** As in `duckdb:demo.duckdb`. */
  readonly destination?: string | undefined
  readonly dataset?: string | undefined
  /** Default: the environment of this process. */
  readonly env?: Environment | undefined
  /** Default: the current folder. */
  readonly cwd?: string | undefined
  /**
   * For pipelines that only read their destination: a missing secret or environment variable of the source is no
   * error. Nothing can be requested with such a source.
   */
  readonly withoutSecrets?: boolean | undefined
}

export interface PipelineFile {
  /** Absolute. */
  readonly path: string
  /** One, unless a TypeScript file exports several. */
  readonly pipelines: readonly Pipeline[]
  /** Warnings about the file. They are also the first events of a run. */
  readonly warnings: readonly string[]
}

const forFile = optionsOf<PipelineFileOptions>('options of loadPipelineFile()', {
  destination: text,
  dataset: text,
  env: environment,
  cwd: filePath,
  withoutSecrets: flag,
})

interface Reading {
  readonly path: string
  /** The path in messages: relative if it is under the current folder. */
  readonly shown: string
  readonly env: Environment
  readonly cwd: string
  readonly overrides: PipelineFileOptions
  readonly warnings: string[]
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
  const env = options.env ?? processEnvironment()
  const reading: Reading = { path, shown, cwd, env, overrides: options, warnings: [] }
  const pipelines = await readPipelines(reading)
  return { path, pipelines: pipelines.map(one => announcing(one, reading.warnings)), warnings: reading.warnings }
}

async function readPipelines(reading: Reading): Promise<Pipeline[]> {
  const extension = extname(reading.path).toLowerCase()
  if (['.yaml', '.yml', '.json'].includes(extension)) {
    const document = await readDocument(reading.path, reading.shown)
    return [await pipelineFrom(document.value, reading, document)]
  }
  if (['.ts', '.mts', '.cts', '.js', '.mjs', '.cjs'].includes(extension)) return await modulePipelines(reading)
  // A folder says that it is one.
  if (extension === '') await readText(reading.path, reading.shown)
  throw fileError(reading.shown, 'is no pipeline file: expected .yaml, .yml, .json, .ts or .js')
}

async function modulePipelines(reading: Reading): Promise<Pipeline[]> {
  const exported = await importDefault(reading)
  const values: unknown[] = Array.isArray(exported) ? exported : [exported]
  if (values.length === 0) throw fileError(reading.shown, 'exports an empty list; expected a pipeline')
  const pipelines: Pipeline[] = []
  for (const value of values) {
    if (isPipeline(value)) pipelines.push(await overridden(value, reading))
    else if (isPlain(value)) pipelines.push(await pipelineFrom(value, reading))
    else throw fileError(reading.shown, 'its default export must be a pipeline, a list of pipelines or a document')
  }
  return pipelines
}

/** The entry points of the package, by what follows `sluice` in an import. */
const doors = { sluice: 'index', 'sluice/destination': 'destinationDoor', 'sluice/source': 'sourceDoor' }

/** Compiles TypeScript in memory. `sluice` is this very copy, even if another is installed beside the file. */
async function importDefault({ path, shown, overrides }: Reading): Promise<unknown> {
  await readText(path, shown)
  const { createJiti } = await import('jiti')
  const own = extname(import.meta.url)
  const virtualModules: Record<string, Record<string, unknown>> = {}
  for (const [name, door] of Object.entries(doors)) {
    virtualModules[name] = await import(new URL(`../${door}${own}`, import.meta.url).href)
  }
  if (overrides.withoutSecrets === true) {
    const withoutSecrets: typeof restApi = (document, options) =>
      restApi(document, { ...options, withoutSecrets: true })
    virtualModules.sluice = { ...virtualModules.sluice, restApi: withoutSecrets }
  }
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

function isPipeline(value: unknown): value is Pipeline {
  if (typeof value !== 'object' || value === null) return false
  const { run, source, destination } = value as Partial<Pipeline>
  return typeof run === 'function' && source !== undefined && destination !== undefined
}

async function overridden(made: Pipeline, reading: Reading): Promise<Pipeline> {
  const { destination, dataset } = reading.overrides
  if (destination === undefined && dataset === undefined) return made
  return made.with({
    ...(destination !== undefined && {
      destination: await destinationFromUrl(destination, { path: '--destination' }, reading.env),
    }),
    dataset,
  })
}

/** A document alone, beside the keys of its pipeline, or under `source`. */
async function pipelineFrom(value: unknown, reading: Reading, file?: DocumentFile): Promise<Pipeline> {
  const { path, shown, env, cwd } = reading
  const place: PlaceOf = file?.place ?? (keys => ({ path: formatPath(keys), file: shown }))
  if (!isPlain(value)) throw fileError(shown, 'expected a map with `client` and `resources`')
  const wrapped = Object.hasOwn(value, 'source')
  const around = wrapped ? value : pick(value, pipelineKeyNames)
  const problems = new Problems(place)
  const fileName = basename(path, extname(path))
  const folder = dirname(path)
  const warn = (message: string): void => void reading.warnings.push(message)
  const resolver = secretResolver({ env, cwd, folder, pipeline: fileName, warn: () => {} })
  const inner = wrapped && isPlain(value.source) ? value.source : {}
  const settled = resolveReferences(
    { ...around, ...(wrapped && { source: pick(inner, sourceKeyNames) }) },
    resolver,
    problems,
  )
  if (wrapped && !isPlain(value.source)) problems.add(['source'], 'expected a map with `client` and `resources`')
  checkShape(wrapperOnly, settled, [], problems)
  problems.throwIfAny()
  const keys = settled as Wrapper
  const name = keys.name ?? fileName
  const source = keys.source ?? {}
  const document = wrapped ? omit(inner, sourceKeyNames) : omit(value, pipelineKeyNames)
  return pipeline({
    name,
    source: restApiFrom(document, {
      name: source.name ?? undefined,
      maxTableNesting: source.max_table_nesting ?? undefined,
      rootKey: source.root_key ?? undefined,
      schemaContract: contractOf(source.schema_contract),
      env,
      cwd,
      folder,
      pipeline: name,
      withoutSecrets: reading.overrides.withoutSecrets,
      place: wrapped ? path => place(['source', ...path]) : place,
      warn,
    }),
    destination: await destinationOf(keys, name, reading, place),
    dataset: reading.overrides.dataset ?? keys.dataset ?? `${name}_dataset`,
    home: workingFolder(env, folder),
    schema: {
      import: keys.import_schema_path == null ? undefined : resolve(folder, keys.import_schema_path),
      export: keys.export_schema_path == null ? undefined : resolve(folder, keys.export_schema_path),
    },
  })
}

type Wrapper = z.output<typeof wrapperOnly>

function destinationOf(keys: Wrapper, name: string, reading: Reading, place: PlaceOf) {
  const { destination } = reading.overrides
  if (destination !== undefined) return destinationFromUrl(destination, { path: '--destination' }, reading.env)
  return destinationFromUrl(keys.destination ?? `duckdb:${name}.duckdb`, place(['destination']), reading.env)
}

function pick(value: Readonly<Record<string, unknown>>, keys: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).filter(([key]) => keys.includes(key)))
}

function omit(value: Readonly<Record<string, unknown>>, keys: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).filter(([key]) => !keys.includes(key)))
}

/** The same pipeline. Its runs start with the warnings of its file. */
function announcing(made: Pipeline, warnings: readonly string[]): Pipeline {
  if (warnings.length === 0) return made
  return {
    ...made,
    async run(options) {
      const emit = options?.onEvent
      // The pipeline says what else it may not be.
      if (typeof emit === 'function')
        for (const message of warnings) emit({ type: 'warning', code: 'secrets_file_readable', message })
      return await made.run(options)
    },
  }
}
