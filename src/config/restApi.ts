import type { Source } from '../model/source.js'
import type { ResourceConfig, ResourceDefaultsConfig, RestApiConfig } from '../rest/document/declaration/declaration.js'
import type { RecordsFunction } from '../rest/document/model.js'
import { parseRestConfig } from '../rest/document/parseDocument.js'
import type { PlaceOf } from '../rest/document/problems.js'
import { restSource } from '../rest/restSource.js'
import type { ContractMode, SchemaContract } from '../schema/schemaTypes.js'
import { type Environment, processEnvironment, requestSettings } from './environment.js'
import { secretResolver } from './secrets.js'

export interface RestApiOptions {
  /** Name of the source and of its schema; the key of its state. Default `rest_api`. */
  readonly name?: string | undefined
  /** Depth to which nested lists become tables, for resources that do not say. */
  readonly maxTableNesting?: number | undefined
  /** Whether nested tables carry the key of their root row. */
  readonly rootKey?: boolean | undefined
  readonly schemaContract?: ContractMode | Partial<SchemaContract> | undefined
  /** Without effect, as lists are read in parallel in any case; for callers that come from dlt. */
  readonly parallelized?: boolean | undefined
  /** Where secrets and settings come from. Default: the environment of this process. */
  readonly env?: Environment | undefined
  /** Where `.sluice/secrets.toml` and `.dlt/secrets.toml` are. Default: the current folder. */
  readonly cwd?: string | undefined
  /** Folder of the pipeline file, looked at before `cwd`. */
  readonly folder?: string | undefined
  /** Name of the pipeline, whose own secrets come first. */
  readonly pipeline?: string | undefined
  /** Line and column of keys, for messages. */
  readonly place?: PlaceOf | undefined
  /** Told of what is worth a warning. Default: a warning of the process. */
  readonly warn?: ((message: string) => void) | undefined
}

/** A `rest_api` document whose resources and tables TypeScript knows by name. */
export interface RestApiDocument<Name extends string, Table extends string>
  extends Omit<RestApiConfig, 'resources' | 'resource_defaults'> {
  readonly resources: readonly (Name | NamedResource<Name, Table> | RecordsFunction)[]
  readonly resource_defaults?: TableNamed<ResourceDefaultsConfig, Table> | null | undefined
}

type NamedResource<Name, Table> = Omit<TableNamed<ResourceConfig, Table>, 'name'> & { readonly name: Name }

type TableNamed<Keys extends Pick<ResourceConfig, 'table_name'>, Table> = Omit<Keys, 'table_name'> & {
  readonly table_name?: Table | Exclude<Keys['table_name'], string>
}

/**
 * A source from a `rest_api` document: checked whole, secrets found, nothing requested yet. The document is not
 * changed. Throws a ConfigError with every problem found.
 *
 * TypeScript knows the names of resources and tables that the document gives as literals: `run({ select })` and
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
): Source<Name, Table> {
  return restApiFrom(document, options) as Source<Name, Table>
}

/** The same for a document that is not known to be one. */
export function restApiFrom(document: unknown, options: RestApiOptions): Source {
  const { env = processEnvironment(), cwd = process.cwd(), folder, pipeline, name, warn = warnProcess } = options
  const lookup = secretResolver({ env, cwd, folder, pipeline, source: name, warn })
  return restSource(parseRestConfig(document, { ...options, ...requestSettings(env), lookup }))
}

function warnProcess(message: string): void {
  process.emitWarning(message, 'SluiceWarning')
}
