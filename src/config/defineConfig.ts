import type { DocumentPipelineConfig, SourcePipelineConfig } from '../rest/document/declaration/configTypes.js'

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
  config: DocumentPipelineConfig<Name, Table>,
): DocumentPipelineConfig<NoInfer<Name>, NoInfer<Table>>
/** The same for a document under `source`. */
export function defineConfig<Name extends string = string, Table extends string = Name>(
  config: SourcePipelineConfig<Name, Table>,
): SourcePipelineConfig<NoInfer<Name>, NoInfer<Table>>
export function defineConfig(config: object): object {
  return config
}
