import type { Pipeline } from '../pipeline/pipeline.js'
import { describeLockChange, lockChanges, lockedTables } from '../schema/export/schemaLock.js'
import { readSchema } from '../schema/stored/document.js'
import type { SchemaVersion } from './pageContract.js'

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
