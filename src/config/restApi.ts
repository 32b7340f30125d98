import { join, resolve } from 'node:path'
import { ConfigError } from '../model/errors.js'
import {
  anything,
  callback,
  checkOptions,
  environment,
  flag,
  havingFunctions,
  needed,
  optionsOf,
  path,
  text,
} from '../model/optionKinds.js'
import type { Clock, Source } from '../model/source.js'
import { systemClock } from '../pipeline/clock.js'
import type { TokenStore } from '../rest/auth/authenticator.js'
import type {
  DocumentPipelineConfig,
  RestApiConfig,
  SourcePipelineConfig,
} from '../rest/document/declaration/configTypes.js'
import type { RestModel } from '../rest/document/model.js'
import { parseRestConfig } from '../rest/document/parseDocument.js'
import type { PlaceOf } from '../rest/document/problems.js'
import type { Lookup } from '../rest/document/references.js'
import type { HostBudget } from '../rest/http/rateLimit.js'
import { restSource, type SourceRecording } from '../rest/restSource.js'
import type { ContractMode, SchemaContract } from '../schema/schemaTypes.js'
import { type Environment, processEnvironment, proxySettings, requestSettings } from './lookup/environment.js'
import { workingFolder } from './lookup/secretFiles.js'
import { findingAll, secretResolver } from './lookup/secrets.js'
import { tokenFolder } from './lookup/tokenFolder.js'
import { schedulerSettings } from './scheduler.js'

/** The same as below for a document under `source`. */
export function defineConfig<Name extends string = string, Table extends string = Name>(
  config: SourcePipelineConfig<Name, Table>,
): SourcePipelineConfig<NoInfer<Name>, NoInfer<Table>>
/**
 * The default export of a pipeline file in TypeScript, for its types: editors complete every key and show its text, and
 * `restApi` of the result knows the names of its resources. Returns what it is given, unchecked; `sluice run` checks it.
 *
 * @example
 * ```ts
 * import { defineConfig } from 'sluice'
 *
 * export default defineConfig({
 *   destination: 'duckdb:shops.duckdb',
 *   client: { base_url: 'https://api.example.com' },
 *   resources: [{ name: 'shops', primary_key: 'id', write_disposition: 'merge' }],
 * })
 * ```
 */
export function defineConfig<Name extends string = string, Table extends string = Name>(
  // TypeScript tells of a mistake what the last signature says. This one knows both forms, so that it names the key.
  config:
    | (DocumentPipelineConfig<Name, Table> & { readonly source?: undefined })
    | (SourcePipelineConfig<Name, Table> & { readonly client?: undefined; readonly resources?: undefined }),
): DocumentPipelineConfig<NoInfer<Name>, NoInfer<Table>>
export function defineConfig(config: object): object {
  return config
}

export interface RestApiOptions {
  /** Name of the source and its schema, and key of its state. Default `rest_api`. */
  readonly name?: string | undefined
  /** Depth to which nested lists become tables, for resources without their own setting. */
  readonly maxTableNesting?: number | undefined
  /** Whether nested tables carry the key of their root row. */
  readonly rootKey?: boolean | undefined
  readonly schemaContract?: ContractMode | Partial<SchemaContract> | undefined
  /** No effect: lists are always read in parallel. For callers that come from dlt. */
  readonly parallelized?: boolean | undefined
  /** Where secrets and settings come from. Default: the environment of this process. */
  readonly env?: Environment | undefined
  /** Where to find `.sluice/secrets.toml` and `.dlt/secrets.toml`. Default: the current folder. */
  readonly cwd?: string | undefined
  /** Folder of the pipeline file, searched before `cwd`. */
  readonly folder?: string | undefined
  /** Name of the pipeline. Its own secrets come first. */
  readonly pipeline?: string | undefined
  /** Limits of hosts that several sources share: `hostBudget()`. Default: each source has its own. */
  readonly budget?: HostBudget | undefined
  /** Line and column of keys, for messages. */
  readonly place?: PlaceOf | undefined
  /**
   * For recordings of the API.
   *
   * @internal
   */
  readonly recording?: PipelineRecording | undefined
  /** Called with each warning. Default: a warning of the process. */
  readonly warn?: ((message: string) => void) | undefined
}

/** How a recording stands between a pipeline and its API. */
export interface PipelineRecording extends SourceRecording {
  /** Replaces the clock of the pipeline. */
  readonly clock: Clock
  /** Replaces the working folder of the pipeline. */
  readonly home: string
  /** Replaces the tokens that are kept between runs. */
  readonly tokenStore?: TokenStore | undefined
}

/** A `rest_api` document with resource and table names that TypeScript knows. */
export type RestApiDocument<Name extends string, Table extends string> = RestApiConfig<Name, Table>

/**
 * A source from a `rest_api` document. Checks all of it and looks its secrets up, but requests nothing yet. Does not
 * change it. Throws a ConfigError with every problem found. A missing secret is an error only where requests begin: a
 * run or a check rejects with it, and what was loaded can be read without.
 *
 * TypeScript knows the resource and table names that are literals in the document: `run({ select })` and
 * `dataset().table()` complete and check them.
 *
 * @example
 * ```ts
 * import { duckdb, pipeline, restApi } from 'sluice'
 *
 * const source = restApi({
 *   client: { base_url: 'https://api.example.com' },
 *   resources: [
 *     { name: 'shops', primary_key: 'id', write_disposition: 'merge' },
 *     { name: 'orders', endpoint: 'shops/{resources.shops.id}/orders' },
 *   ],
 * })
 * const shops = pipeline({ name: 'shops', source, destination: duckdb('shops.duckdb') })
 * await shops.run({ select: ['orders'] })
 * console.log(await shops.dataset().table('orders').count())
 * ```
 */
export function restApi<Name extends string = string, Table extends string = Name>(
  document: RestApiDocument<Name, Table>,
  options: RestApiOptions = {},
  // Within `pipeline({ … })`, TypeScript would otherwise infer the names from what is expected there: any text.
): Source<NoInfer<Name>, NoInfer<Table>> {
  return restApiFrom(document, options) as Source<Name, Table>
}

const forRestApi = optionsOf<RestApiOptions>('options of restApi()', {
  name: text,
  // The document is checked with them.
  maxTableNesting: anything,
  schemaContract: anything,
  rootKey: flag,
  parallelized: flag,
  env: environment,
  cwd: path,
  folder: path,
  pipeline: text,
  budget: havingFunctions('a budget, as hostBudget() makes it', ['gate'] satisfies readonly (keyof HostBudget)[]),
  place: callback,
  recording: anything,
  warn: callback,
})

/**
 * The same for a value that may not be a valid document. `namesMissing`: whether the error of a wrong document also names
 * the secrets that are missing.
 */
export function restApiFrom(document: unknown, options: RestApiOptions, namesMissing = true): Source {
  checkOptions(needed(forRestApi), options)
  const { env = processEnvironment(), cwd = process.cwd(), folder, pipeline, name, warn = warnProcess } = options
  const resolver = secretResolver({ env, cwd, folder, pipeline, source: name, warn })
  const settings = { ...options, ...requestSettings(env), scheduler: schedulerSettings(env) }
  const parse = (lookup: Lookup): RestModel => parseRestConfig(document, { ...settings, lookup })
  const { model, missing } = read(parse, resolver, namesMissing)
  const base = folder ?? cwd
  const { recording } = options
  const kept = recording?.tokenStore
  return restSource(model, {
    missing,
    recording,
    budget: options.budget,
    proxies: proxySettings(env),
    folder: base,
    tokenStore: (place = join(workingFolder(env, base), 'tokens')) =>
      kept ?? tokenFolder(resolve(base, place), systemClock),
  })
}

/**
 * A document in which nothing is wrong but that secrets are missing is read without them. What is missing may make more
 * seem wrong, such as a placeholder in the text of a missing variable.
 */
function read(
  parse: (lookup: Lookup) => RestModel,
  resolver: Lookup,
  namesMissing: boolean,
): { readonly model: RestModel; readonly missing?: ConfigError } {
  try {
    return { model: parse(resolver) }
  } catch (missing) {
    if (!(missing instanceof ConfigError)) throw missing
    try {
      return { model: parse(findingAll(resolver)), missing }
    } catch (wrong) {
      throw namesMissing && wrong instanceof ConfigError ? missing : wrong
    }
  }
}

function warnProcess(message: string): void {
  process.emitWarning(message, 'SluiceWarning')
}
