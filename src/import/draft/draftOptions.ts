import type { Environment } from '../../config/lookup/environment.js'
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
  /** Default: the environment of this process. The `.env` beside the file adds to it. */
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
