import { readLock } from '../pipeline/look/schemaFiles.js'
import type { Pipeline } from '../pipeline/pipeline.js'
import { describeLockChange, lockChanges, lockedTables } from '../schema/export/schemaLock.js'
import { readSchema } from '../schema/stored/document.js'
import type { SchemaDrift, SchemaVersion } from './pageContract.js'

/** Versions that are read at the most, the newest ones. */
const MOST_VERSIONS = 50

/** The stored versions of a pipeline's schema, newest first, each with what it changed. */
export async function schemaVersions(pipeline: Pipeline, signal?: AbortSignal): Promise<readonly SchemaVersion[]> {
  const rows = await pipeline
    .dataset()
    .query<{ readonly version: bigint; readonly inserted_at: Date; readonly schema: string }>(
      'SELECT version, inserted_at, schema FROM _dlt_version WHERE schema_name = $1 ' +
        `ORDER BY version DESC, inserted_at DESC LIMIT ${MOST_VERSIONS + 1}`,
      [pipeline.source.name],
      { signal },
    )
  const versions = rows.map(({ version, inserted_at, schema }) => ({
    version: Number(version),
    storedAt: inserted_at.toISOString(),
    tables: lockedTables(readSchema(schema)),
  }))
  return versions.slice(0, MOST_VERSIONS).map(({ version, storedAt, tables }, index) => {
    const before = versions[index + 1]?.tables ?? new Map()
    return { version, storedAt, changes: lockChanges(before, tables).map(describeLockChange) }
  })
}

/** Loads whose receipts are looked at for refused data. */
const LOOKED_AT_LOADS = 20

/** How the stored schema differs from its lock, and what the contract refused of the last loads. */
export async function schemaDrift(pipeline: Pipeline): Promise<SchemaDrift> {
  const dataset = pipeline.dataset()
  const locked = await readLock(pipeline.schema)
  const schema = await dataset.schema()
  const loads = await dataset.history({ limit: LOOKED_AT_LOADS, pipeline: pipeline.name })
  const now = schema === undefined ? new Map() : lockedTables(schema)
  return {
    ...(locked !== undefined && { sinceLock: lockChanges(locked, now).map(describeLockChange) }),
    refused: loads.flatMap(({ loadId, committedAt, receipts }) =>
      receipts
        .filter(({ discardedRows, discardedValues }) => discardedRows + discardedValues > 0)
        .map(({ resource, discardedRows: rows, discardedValues: values }) => ({
          loadId,
          committedAt: committedAt.toISOString(),
          resource,
          rows,
          values,
        })),
    ),
  }
}
