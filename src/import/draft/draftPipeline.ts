import type { Environment } from '../../config/environment.js'
import {
  abortSignal,
  anything,
  checkOptions,
  environment,
  isObject,
  needed,
  optionKind,
  optionsOf,
  path,
  secretText,
  text,
} from '../../model/optionKinds.js'
import type { DraftAuth } from './draftYaml.js'

export interface DraftOptions {
  /** Address of one list, query included. */
  readonly url: string
  /** Default: none, or `api_key` if the query of the URL holds a key. */
  readonly auth?: DraftAuth | undefined
  /** Name of the secret, as in `${secrets.api_key}`. Default: the name of its field. */
  readonly secretName?: string | undefined
  /**
   * The secret itself, for these few requests. It is never written to the file. Default: looked up by its name, as in a
   * run.
   */
  readonly secret?: string | undefined
  /** Name of pipeline and resource. Default: the last part of the path. */
  readonly name?: string | undefined
  /** Default: `duckdb:<name>.duckdb`. */
  readonly destination?: string | undefined
  /** Where the file will be, to find secrets beside it. Default: `<name>.yaml`. */
  readonly file?: string | undefined
  /** Default: the environment of this process. */
  readonly env?: Environment | undefined
  /** Default: the current folder. */
  readonly cwd?: string | undefined
  readonly signal?: AbortSignal | undefined
}

export interface PipelineDraft {
  readonly name: string
  /** YAML with comments; a pipeline file. */
  readonly text: string
  /** Findings for the user, one line each. */
  readonly findings: readonly string[]
  /** Name of the secret that the file refers to, if it needs one. */
  readonly secretName: string | undefined
  /** Where the file says to load to. */
  readonly destination: string
}

const forDraft = optionsOf<DraftOptions>('options of draftPipeline()', {
  // The address is checked with its parts.
  url: anything,
  auth: optionKind('an object with `type`', value => isObject(value) && 'type' in value),
  secretName: text,
  secret: secretText,
  name: text,
  destination: text,
  file: path,
  env: environment,
  cwd: path,
  signal: abortSignal,
})

/**
 * Drafts a pipeline file for one list of an API. Uses its address, one page, and a few requests for the next page to
 * find selector, paginator, primary key and cursor candidates. Sends the requests of a run and writes nothing. Rejects
 * with a ConfigError if the secret is missing (`secret_missing`), and with a RequestError if the first page fails. Page
 * 2 may be missing.
 *
 * @example
 * ```ts
 * import { writeFile } from 'node:fs/promises'
 * import { draftPipeline } from 'sluice'
 *
 * const { name, text, findings } = await draftPipeline({ url: 'https://api.example.com/shops' })
 * await writeFile(`${name}.yaml`, text)
 * console.log(findings.join('\n'))
 * ```
 */
export async function draftPipeline(options: DraftOptions): Promise<PipelineDraft> {
  checkOptions(needed(forDraft), options)
  const { drafted } = await import('./drafting.js')
  return drafted(options)
}
