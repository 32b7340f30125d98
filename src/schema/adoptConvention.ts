import { withoutMember } from '../json/value.js'
import { SchemaError } from '../model/errors.js'
import { hasSeenData } from './columns.js'
import type { Naming } from './naming.js'
import { normalizerConfig, setNormalizerConfig } from './rootKey.js'
import type { ReadonlySchema, Schema } from './schemaTypes.js'
import { newSchema } from './stored/document.js'
import { systemNames } from './systemTables.js'

/** The short name of the naming convention of a stored schema. Undefined if the document has none. */
export function storedConvention(schema: Pick<ReadonlySchema, 'normalizers'>): string | undefined {
  const stored = schema.normalizers.names
  return typeof stored === 'string' ? stored.split('.').at(-1) : undefined
}

/**
 * Applies this run's naming convention to a stored schema. While no table holds rows, the schema starts again under it.
 * Later a different convention is refused with a {@link SchemaError}, because existing column names would not be found.
 * `normalizers.allow_identifier_change_on_table_with_data` instead allows new tables next to the old ones.
 */
export function adoptConvention(schema: Schema, naming: Naming): void {
  const stored = storedConvention(schema)
  if (stored === naming.name) return
  const { prefix } = systemNames(naming)
  const loaded = [...schema.tables.values()].find(table => hasSeenData(table) && !table.name.startsWith(prefix))
  if (loaded !== undefined && schema.normalizers.allow_identifier_change_on_table_with_data !== true) {
    throw new SchemaError(
      'schema',
      `The dataset was loaded with the naming convention ${stored ?? 'of an unknown name'} and cannot go on with ` +
        `${naming.name}: table ${loaded.name} holds rows. Keep the convention, or load into a new dataset`,
      { table: loaded.name },
    )
  }
  const fresh = newSchema(schema.name, { naming })
  schema.tables = fresh.tables
  const hints = fresh.settings.default_hints
  schema.settings = { ...schema.settings, ...(hints !== undefined && { default_hints: hints }) }
  schema.normalizers = { ...schema.normalizers, names: naming.name }
  // The columns that nested rows carry are written again, with new names, when hints are applied.
  setNormalizerConfig(schema, withoutMember(normalizerConfig(schema), 'propagation'))
}
