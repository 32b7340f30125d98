import { deflateSync } from 'node:zlib'
import { parseJson } from '../json/parse.js'
import {
  isJsonObject,
  type JsonObject,
  type JsonValue,
  keepNumberLiterals,
  member,
  objectMember,
  withMember,
  withoutMember,
} from '../json/value.js'
import { canonicalJson, stringifyJson } from '../json/write.js'
import { inflatedText } from '../schema/stored/document.js'
import { sha3Base64 } from './cursors/boundaryHashes.js'
import { SchemaError } from './errors.js'

/** Incremental state of one cursor of one resource, as dlt stores it. */
export interface CursorState {
  readonly initial_value?: JsonValue
  readonly last_value?: JsonValue
  readonly start_value?: JsonValue
  readonly unique_hashes: readonly string[]
}

/**
 * dlt's pipeline state document (engine 4), without `_local`. It is stored at the destination and changes only with a
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

/** Version of the state document: dlt's engine 4. */
const STATE_ENGINE_VERSION = 4

/** What a new state says about its pipeline. */
export interface NewStateOptions {
  readonly datasetName: string
  /** Name of the schema, which is the source's. */
  readonly schemaName: string
  /** dlt's class of the destination, as in `dlt.destinations.duckdb`. */
  readonly destinationType: string
}

/** A new state, as in dlt: version 0, no sources. Storing it makes it version 1. */
export function newState(pipeline: string, options: NewStateOptions): PipelineState {
  return {
    _state_version: 0,
    _state_engine_version: STATE_ENGINE_VERSION,
    pipeline_name: pipeline,
    default_schema_name: options.schemaName,
    dataset_name: options.datasetName,
    schema_names: [options.schemaName],
    destination_type: options.destinationType,
    destination_name: null,
  }
}

/** The value of the `state` column: base64 of zlib of the document, without `_local`. */
export function encodeState(state: PipelineState): string {
  return deflateSync(stringifyJson(withoutMember(state as JsonObject, '_local')), { level: 9 }).toString('base64')
}

/**
 * Reads a value of the `state` column: base64 of zlib of JSON, or JSON. Strings with dlt's marks of typed values stay
 * as they are. Fails with a {@link SchemaError} if it is no state or comes from a newer engine.
 */
export function decodeState(text: string): PipelineState {
  let document: JsonValue
  try {
    document = parseJson(inflatedText(text))
  } catch (cause) {
    throw new SchemaError('schema', `The stored pipeline state cannot be read: ${(cause as Error).message}`)
  }
  if (!isJsonObject(document) || typeof document.pipeline_name !== 'string') {
    throw new SchemaError('schema', 'The stored pipeline state cannot be read: it names no pipeline')
  }
  const engine = document._state_engine_version
  if (typeof engine === 'number' && engine > STATE_ENGINE_VERSION) {
    throw new SchemaError(
      'schema',
      `The stored pipeline state was written by a newer tool (engine ${engine}); update first`,
    )
  }
  return {
    ...document,
    _state_version: versionOf(document),
    _state_engine_version: STATE_ENGINE_VERSION,
  } as PipelineState
}

function versionOf(document: JsonObject): number {
  return typeof document._state_version === 'number' ? document._state_version : 0
}

const NOT_HASHED = new Set(['_local', '_state_version', '_state_engine_version', '_version_hash'])

/** dlt's hash of a state's content: base64 of SHA3-256 of its JSON with sorted keys, without its versions. */
export function stateHash(state: PipelineState): string {
  const content = Object.entries(state as JsonObject).filter(([key]) => !NOT_HASHED.has(key))
  return sha3Base64(canonicalJson(Object.fromEntries(content)))
}

/**
 * The state, ready to be stored. If its content still matches `_version_hash`, it is the same state. Otherwise it has
 * the new hash and the next version.
 */
export function bumpState(state: PipelineState): PipelineState {
  const hash = stateHash(state)
  if (hash === state._version_hash) return state
  const { sources, ...rest } = state
  return {
    ...rest,
    _state_version: state._state_version + 1,
    _version_hash: hash,
    ...(sources !== undefined && { sources }),
  }
}

/** The stored state of a resource's cursor. Undefined before its first load. */
export function cursorState(
  state: PipelineState,
  source: string,
  resource: string,
  cursorPath: string,
): CursorState | undefined {
  const incremental = objectMember(resourceObject(state, source, resource), 'incremental')
  const stored = objectMember(incremental, cursorPath)
  if (stored === undefined) return undefined
  const hashes = member(stored, 'unique_hashes')
  const cursor = { ...stored, unique_hashes: Array.isArray(hashes) ? hashes.map(String) : [] }
  keepNumberLiterals(stored, cursor)
  return cursor
}

/** The state with one cursor replaced. Everything else is shared. */
export function withCursorState(
  state: PipelineState,
  source: string,
  resource: string,
  cursorPath: string,
  cursor: CursorState,
): PipelineState {
  return withResource(state, source, resource, stored => {
    const incremental = objectMember(stored, 'incremental') ?? {}
    return withMember(stored, 'incremental', withMember(incremental, cursorPath, cursor as unknown as JsonValue))
  })
}

/** The state without the data of a resource: its cursors and its own values. */
export function withoutResource(state: PipelineState, source: string, resource: string): PipelineState {
  const stored = sourceObject(state, source)
  const resources = objectMember(stored, 'resources')
  if (stored === undefined || resources === undefined || !Object.hasOwn(resources, resource)) return state
  const rest = withoutMember(resources, resource)
  const next =
    Object.keys(rest).length === 0 ? withoutMember(stored, 'resources') : withMember(stored, 'resources', rest)
  return withSource(state, source, next)
}

/** The key in the state of a resource that names its backfill: which of the committed windows still count. */
export const BACKFILL_KEY = 'sluice_backfill'

/** The key in the state of a resource for the cursors that its parents' records have, by cursor path and digest of the key. */
export const PARENT_CURSORS_KEY = 'sluice_parent_cursors'

/** The key in the state of a resource for the parents' records whose lists were read. */
export const PARENTS_READ_KEY = 'sluice_parents_read'

/** The key in the state of a resource that names, by resource above it, the lists of that one that it was read with. */
export const READ_WITH_KEY = 'sluice_read_with'

/** The key in the state of a resource for the table that its cursors were made for, if it has not the name of the resource. */
const TABLE_KEY = 'sluice_table'

/** The key in the state of a resource for tables that were taken away with its rows: its next run makes up for them. */
const LOST_KEY = 'sluice_lost_tables'

/** The key in the state of a resource for tables that lack rows of it, until it is loaded anew. */
const LACKING_KEY = 'sluice_lacking_tables'

const READING_KEYS = ['incremental', BACKFILL_KEY, PARENT_CURSORS_KEY, PARENTS_READ_KEY, READ_WITH_KEY]
const POSITION_KEYS = [...READING_KEYS, TABLE_KEY, LOST_KEY, LACKING_KEY]

/** The state without what a resource remembers of its reading: cursors, backfill, parents. Its other values stay (refresh `drop_data`). */
export function withoutCursors(state: PipelineState, source: string, resource: string): PipelineState {
  const stored = resourceObject(state, source, resource)
  if (stored === undefined) return state
  if (!POSITION_KEYS.some(key => Object.hasOwn(stored, key))) return state
  return withResource(state, source, resource, values =>
    POSITION_KEYS.reduce((rest, key) => withoutMember(rest, key), values),
  )
}

/** Whether the next run of a resource leaves out what earlier ones have read. */
export function hasPosition(state: PipelineState, source: string, resource: string): boolean {
  const stored = resourceObject(state, source, resource)
  return stored !== undefined && READING_KEYS.some(key => Object.hasOwn(stored, key))
}

/** The table that the cursors of a resource were made for. Undefined if the state does not say. */
export function cursorTable(state: PipelineState, source: string, resource: string): string | undefined {
  const table = member(resourceObject(state, source, resource), TABLE_KEY)
  return typeof table === 'string' ? table : undefined
}

export function withCursorTable(state: PipelineState, source: string, resource: string, table: string): PipelineState {
  return withResource(state, source, resource, values => withMember(values, TABLE_KEY, table))
}

/** Tables in which rows of a resource are missing: `lost` with the table itself, `lacking` for good. */
export interface MissingRows {
  readonly lost: readonly string[]
  readonly lacking: readonly string[]
}

export function missingRows(state: PipelineState, source: string, resource: string): MissingRows {
  const stored = resourceObject(state, source, resource)
  const names = (key: string): readonly string[] => {
    const value = member(stored, key)
    return Array.isArray(value) ? value.map(String) : []
  }
  return { lost: names(LOST_KEY), lacking: names(LACKING_KEY) }
}

/** The state with other tables in which rows of a resource are missing. The same state if nothing changes. */
export function withMissingRows(
  state: PipelineState,
  source: string,
  resource: string,
  { lost, lacking }: MissingRows,
): PipelineState {
  const given = [
    [LOST_KEY, lost],
    [LACKING_KEY, lacking],
  ] as const
  const before = missingRows(state, source, resource)
  const isSame = stringifyJson([...before.lost, null, ...before.lacking]) === stringifyJson([...lost, null, ...lacking])
  if (isSame) return state
  return withResource(state, source, resource, values =>
    given.reduce(
      (current, [key, names]) =>
        names.length === 0 ? withoutMember(current, key) : withMember(current, key, [...names].sort()),
      values,
    ),
  )
}

/** The state without the data of a source (refresh `drop_sources`). */
export function withoutSource(state: PipelineState, source: string): PipelineState {
  const sources = state.sources as JsonObject | undefined
  if (sources === undefined || !Object.hasOwn(sources, source)) return state
  return { ...state, sources: withoutMember(sources, source) } as PipelineState
}

/** A user's value in the state of a source or of one of its resources. */
export function stateValue(
  state: PipelineState,
  key: string,
  place: { readonly source: string; readonly resource?: string },
): JsonValue | undefined {
  const object =
    place.resource === undefined
      ? sourceObject(state, place.source)
      : resourceObject(state, place.source, place.resource)
  return member(object, key)
}

/**
 * The state with a user's value set, or removed if it is undefined. Two keys are refused because they are not the
 * user's: `resources` of a source and `incremental` of a resource.
 */
export function withStateValue(
  state: PipelineState,
  key: string,
  value: JsonValue | undefined,
  place: { readonly source: string; readonly resource?: string },
): PipelineState {
  const reserved = place.resource === undefined ? 'resources' : 'incremental'
  if (key === reserved)
    throw new SchemaError('schema', `The state key ${reserved} is reserved for the pipeline; choose another`)
  const change = (object: JsonObject): JsonObject =>
    value === undefined ? withoutMember(object, key) : withMember(object, key, value)
  if (place.resource !== undefined) return withResource(state, place.source, place.resource, change)
  return withSource(state, place.source, change(sourceObject(state, place.source) ?? {}))
}

function sourceObject(state: PipelineState, source: string): JsonObject | undefined {
  return objectMember(state.sources as JsonObject | undefined, source)
}

function resourceObject(state: PipelineState, source: string, resource: string): JsonObject | undefined {
  return objectMember(objectMember(sourceObject(state, source), 'resources'), resource)
}

function withSource(state: PipelineState, source: string, value: JsonObject): PipelineState {
  return { ...state, sources: withMember((state.sources ?? {}) as JsonObject, source, value) } as PipelineState
}

function withResource(
  state: PipelineState,
  source: string,
  resource: string,
  change: (stored: JsonObject) => JsonObject,
): PipelineState {
  const stored = sourceObject(state, source) ?? {}
  const resources = objectMember(stored, 'resources') ?? {}
  const next = change(objectMember(resources, resource) ?? {})
  return withSource(state, source, withMember(stored, 'resources', withMember(resources, resource, next)))
}
