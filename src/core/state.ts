import type { JsonObject, JsonValue } from './json.js'

/** Incremental state of one cursor of one resource, as dlt stores it. */
export interface CursorState {
  readonly initial_value?: JsonValue
  readonly last_value?: JsonValue
  readonly start_value?: JsonValue
  readonly unique_hashes: readonly string[]
}

/**
 * dlt's pipeline state document (engine 4), without `_local`. It lives at the destination and moves only with a
 * commit.
 */
export interface PipelineState {
  readonly _state_version: number
  readonly _state_engine_version: number
  readonly pipeline_name: string
  readonly default_schema_name?: string | null
  readonly dataset_name?: string | null
  readonly schema_names?: readonly string[]
  readonly destination_type?: string | null
  readonly destination_name?: string | null
  readonly _version_hash?: string
  /** By source name. */
  readonly sources?: Readonly<Record<string, SourceState>>
  readonly [other: string]: unknown
}

export interface SourceState {
  /** By resource name. */
  readonly resources?: Readonly<Record<string, ResourceState>>
  readonly [other: string]: unknown
}

export interface ResourceState {
  /** By cursor path. */
  readonly incremental?: Readonly<Record<string, CursorState>>
  readonly [other: string]: unknown
}

export type StateDocument = JsonObject
