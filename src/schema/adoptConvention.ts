import { withoutMember } from '../json/value.js'
import { SchemaError } from '../model/errors.js'
import { hasSeenData } from './columns.js'
import type { Naming } from './naming.js'
import { normalizerConfig, setNormalizerConfig } from './rootKey.js'
import type { ReadonlySchema, Schema } from './schemaTypes.js'
import { newSchema } from './stored/document.js'
import { systemNames } from './systemTables.js'

/** The naming convention a schema was made with, by its short name; undefined where the document says none. */
export function storedConvention(schema: Pick<ReadonlySchema, 'normalizers'>): string | undefined {
  const stored = schema.normalizers.names
  return typeof stored === 'string' ? stored.split('.').at(-1) : undefined
}

/**
 * Brings a stored schema under the naming convention of this run. While no table holds rows it starts anew under that
 * convention. Once one does, another convention than the stored one is refused with a {@link SchemaError}, because the
 * names of its columns would no longer be found, unless `normalizers.allow_identifier_change_on_table_with_data` allows
 * new tables beside the old ones.
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
  // What nested rows carry is written again under the new names when hints are applied.
  setNormalizerConfig(schema, withoutMember(normalizerConfig(schema), 'propagation'))
}
