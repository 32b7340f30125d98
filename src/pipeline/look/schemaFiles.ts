import { mkdir, readFile } from 'node:fs/promises'
import { dirname, extname, join } from 'node:path'
import { replaceFile } from '../../journal/wholeFile.js'
import { isJsonObject, withoutMember } from '../../json/value.js'
import { SchemaError } from '../../model/errors.js'
import type { TableHints } from '../../model/source.js'
import { hasSeenData, isComplete } from '../../schema/columns.js'
import { exportSchema, importSchemaYaml } from '../../schema/export/export.js'
import { type LockedTables, readLockText } from '../../schema/export/schemaLock.js'
import type { ColumnSchema, ReadonlySchema, Schema, TableSchema } from '../../schema/schemaTypes.js'
import { cloneSchema, versionHash } from '../../schema/stored/document.js'

/**
 * Where a run reads the schema before it starts and writes it afterwards. `import` and `export` are folders, or files
 * named `.yaml` or `.yml`.
 */
export interface SchemaFiles {
  /**
   * Hints for tables and columns, which override data and source. In a folder: `<schema>.schema.yaml`. The first run
   * writes it with what the source declares; you can edit it then.
   */
  readonly import?: string | undefined
  /** The committed schema. In a folder: `<schema>.schema.yaml`. */
  readonly export?: string | undefined
  /**
   * The tables that are agreed on: a file that `sluice schema lock` writes. A run that makes something else of them
   * warns. A file that does not exist is no lock.
   */
  readonly lock?: string | undefined
}

/** The schema's file under one of the two paths, named as dlt names it. */
function schemaFile(path: string, schemaName: string): string {
  return /^\.ya?ml$/i.test(extname(path)) ? path : join(path, `${schemaName}.schema.yaml`)
}

/** The schema to import. Undefined if the file does not exist. Rejects with a SchemaError if it is not a schema. */
export async function readImport(files: SchemaFiles, schemaName: string): Promise<Schema | undefined> {
  if (files.import === undefined) return undefined
  const file = schemaFile(files.import, schemaName)
  const text = await textOf(file)
  if (text === undefined) return undefined
  try {
    const schema = await importSchemaYaml(text)
    schema.version_hash = versionHash(schema)
    return schema
  } catch (error) {
    throw new SchemaError('schema', `${file}: ${(error as Error).message}`)
  }
}

/** The lock, if there is one. Rejects with a ConfigError for a file that is none. */
export async function readLock({ lock }: SchemaFiles): Promise<LockedTables | undefined> {
  if (lock === undefined) return undefined
  const text = await textOf(lock)
  return text === undefined ? undefined : await readLockText(text, lock)
}

/** The text of a file. Undefined if there is none. */
async function textOf(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return undefined
    throw new SchemaError('schema', `${file} cannot be read (${code ?? 'unknown reason'})`)
  }
}

/** A schema for a dataset without one: the imported schema, plus the system tables of `fresh`. */
export function importedAnew(imported: Schema, fresh: Schema): Schema {
  const schema = cloneSchema(imported)
  schema.tables = new Map([...fresh.tables, ...schema.tables])
  // A file written by hand may hold tables only.
  schema.settings = { ...fresh.settings, ...schema.settings }
  schema.normalizers = { ...fresh.normalizers, ...schema.normalizers }
  return { ...schema, previous_hashes: [], ...firstVersion(imported) }
}

/**
 * The stored schema, if the file has not changed since its last import. Otherwise the imported schema, which wins for
 * everything that both have. Tables that only the stored schema has stay, as do the columns of tables with rows. Fails
 * if a file changes the type of a column that holds values.
 */
export function importedOver(imported: Schema, stored: Schema): Schema {
  if (stored.imported_version_hash === imported.version_hash) return stored
  const schema = cloneSchema(stored)
  schema.settings = { ...stored.settings, ...imported.settings }
  if (imported.description !== undefined) schema.description = imported.description
  for (const table of imported.tables.values())
    schema.tables.set(table.name, over(table, stored.tables.get(table.name)))
  schema.imported_version_hash = imported.version_hash
  return schema
}

function firstVersion(imported: Schema): Pick<Schema, 'version' | 'version_hash' | 'imported_version_hash'> {
  return { version: 1, version_hash: '', imported_version_hash: imported.version_hash }
}

function over(imported: TableSchema, stored: TableSchema | undefined): TableSchema {
  const table = cloneTable(imported)
  if (stored === undefined || !hasSeenData(stored)) return table
  const columns = new Map<string, ColumnSchema>()
  for (const [name, column] of stored.columns) {
    const wanted = table.columns.get(name)
    if (wanted?.data_type !== undefined && isComplete(column) && wanted.data_type !== column.data_type) {
      throw new SchemaError(
        'schema',
        `The imported schema wants column ${stored.name}.${name} to be ${wanted.data_type}, but it holds ${column.data_type} at the destination; ` +
          `drop the resource ${stored.resource ?? stored.name} first, or leave the type as it is`,
        { table: stored.name, column: name },
      )
    }
    const type = column.data_type === undefined ? {} : { data_type: column.data_type }
    columns.set(name, wanted === undefined ? { ...column } : { ...wanted, ...type })
  }
  for (const [name, column] of table.columns) if (!columns.has(name)) columns.set(name, column)
  const marks = isJsonObject(stored['x-normalizer']) ? stored['x-normalizer'] : {}
  const own = isJsonObject(table['x-normalizer']) ? table['x-normalizer'] : {}
  return { ...table, columns, 'x-normalizer': { ...own, ...marks } }
}

function cloneTable(table: TableSchema): TableSchema {
  const columns = new Map([...table.columns].map(([name, column]) => [name, { ...column }]))
  return { ...table, columns } as TableSchema
}

/** The hints of a resource, without those that the imported schema overrides for its table. */
export function underImport(
  hints: TableHints,
  table: string,
  imported: ReadonlySchema | undefined,
  columnName: (raw: string) => string,
): TableHints {
  const wanted = imported?.tables.get(table)
  if (wanted === undefined || hints.columns === undefined) return hints
  const columns = hints.columns.map(column => {
    const hint = wanted.columns.get(columnName(column.name))
    return hint === undefined
      ? column
      : { ...column, ...withoutMember({ ...hint } as never, 'name'), name: column.name }
  })
  return { ...hints, columns }
}

/** Writes the files: always the export, and the import only if it does not exist yet. */
export async function writeSchemaFiles(
  files: SchemaFiles,
  declared: ReadonlySchema,
  schema: ReadonlySchema,
): Promise<void> {
  if (files.import !== undefined) {
    const file = schemaFile(files.import, schema.name)
    if (await isMissing(file)) await writeSchema(file, await exportSchema(declared, 'yaml'))
  }
  if (files.export !== undefined) {
    await writeSchema(schemaFile(files.export, schema.name), await exportSchema(schema, 'yaml'))
  }
}

async function isMissing(file: string): Promise<boolean> {
  return await readFile(file).then(
    () => false,
    () => true,
  )
}

async function writeSchema(file: string, text: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true })
  await replaceFile(file, text)
}
