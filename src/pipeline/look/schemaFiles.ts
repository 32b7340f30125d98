import { mkdir, readFile } from 'node:fs/promises'
import { dirname, extname, join } from 'node:path'
import { isJsonObject, withoutMember } from '../../json/value.js'
import { SchemaError } from '../../model/errors.js'
import type { TableHints } from '../../model/source.js'
import { hasSeenData, isComplete } from '../../schema/columns.js'
import { exportSchema, importSchemaYaml } from '../../schema/export/export.js'
import type { ColumnSchema, ReadonlySchema, Schema, TableSchema } from '../../schema/schemaTypes.js'
import { cloneSchema, versionHash } from '../../schema/stored/document.js'
import { replaceFile } from './wholeFile.js'

/** Where the schema is read from before a run and written to after it: folders, or files named `.yaml` or `.yml`. */
export interface SchemaFiles {
  /**
   * Hints for tables and columns, which win over what data and source say. In a folder: `<schema>.schema.yaml`, written
   * by the first run with what the source declares, to be edited then.
   */
  readonly import?: string | undefined
  /** The schema as it was committed. In a folder: `<schema>.schema.yaml`. */
  readonly export?: string | undefined
}

/** The file of a schema under one of the two paths, as dlt names it. */
function schemaFile(path: string, schemaName: string): string {
  return /^\.ya?ml$/i.test(extname(path)) ? path : join(path, `${schemaName}.schema.yaml`)
}

/** The schema to import; undefined when its file is not there. Rejects with a SchemaError when it is no schema. */
export async function readImport(files: SchemaFiles, schemaName: string): Promise<Schema | undefined> {
  if (files.import === undefined) return undefined
  const file = schemaFile(files.import, schemaName)
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return undefined
    throw new SchemaError('schema', `${file} cannot be read (${code ?? 'unknown reason'})`)
  }
  try {
    const schema = await importSchemaYaml(text)
    schema.version_hash = versionHash(schema)
    return schema
  } catch (error) {
    throw new SchemaError('schema', `${file}: ${(error as Error).message}`)
  }
}

/** A schema for a dataset without one: what is imported, beside the system tables that `fresh` has. */
export function importedAnew(imported: Schema, fresh: Schema): Schema {
  const schema = cloneSchema(imported)
  schema.tables = new Map([...fresh.tables, ...schema.tables])
  // A file written by hand may hold tables only.
  schema.settings = { ...fresh.settings, ...schema.settings }
  schema.normalizers = { ...fresh.normalizers, ...schema.normalizers }
  return { ...schema, previous_hashes: [], ...firstVersion(imported) }
}

/**
 * The stored schema while the file is as it was when it was last imported; else the imported one, which wins whatever
 * both have. Tables that only the stored schema has stay, as do the columns of tables that hold rows. Fails where a file
 * wants another type for a column that holds values.
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

/** The hints of a resource, without what the imported schema says otherwise about its table. */
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

/** Writes the files: the export always, the import only where there is none yet. */
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
