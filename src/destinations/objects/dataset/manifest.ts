import type { JsonObject, JsonValue } from '../../../json/value.js'
import { isJsonObject } from '../../../json/value.js'
import type { ReadonlyColumn } from '../../../schema/schemaTypes.js'
import type { FileFormatName } from '../format/fileEncoding.js'
import { fileFormats } from '../format/formats.js'

/** A data file of a committed load. */
export interface DataFile {
  readonly table: string
  /** Relative to the dataset, like every key here. */
  readonly key: string
  readonly format: FileFormatName
  /** Unknown for files that another tool wrote. */
  readonly rows: number | undefined
  /** Undefined if unknown. */
  readonly bytes: number | undefined
  readonly sha256?: string | undefined
}

/** The changes of a load. They count from the moment its record exists. */
export interface Manifest {
  /** Increases with each commit of a dataset. Orders the definitions of tables. */
  readonly sequence: number
  readonly pipeline: string
  readonly files: readonly DataFile[]
  /** Keys of earlier loads that no longer count. */
  readonly removed: readonly string[]
  /** Tables that were dropped first, before anything else. */
  readonly dropped: readonly string[]
  /** All columns of the tables that took part, in the table's order. */
  readonly tables: ReadonlyMap<string, readonly ReadonlyColumn[]>
}

/** A record of `_dlt_loads`. Without a manifest it was written by dlt. */
export interface LoadRecord {
  readonly key: string
  readonly loadId: string
  readonly schemaName: string
  /** 0: complete. */
  readonly status: number
  /** ISO time. */
  readonly insertedAt: string
  readonly schemaVersionHash: string | undefined
  readonly manifest: Manifest | undefined
}

/** Status of a load that another process gave up: it can no longer commit. */
export const GIVEN_UP = 1

/** The key for the manifest in dlt's record of a load. dlt ignores keys that it does not know. */
const MANIFEST = '_sluice'

/** dlt's keys in dlt's order, then the manifest. */
export function loadRecordObject(record: Omit<LoadRecord, 'key'>): JsonObject {
  return {
    load_id: record.loadId,
    schema_name: record.schemaName,
    status: record.status,
    inserted_at: record.insertedAt,
    schema_version_hash: record.schemaVersionHash ?? null,
    ...(record.manifest === undefined ? {} : { [MANIFEST]: manifestObject(record.manifest) }),
  }
}

function manifestObject(manifest: Manifest): JsonObject {
  return {
    sequence: manifest.sequence,
    pipeline: manifest.pipeline,
    files: manifest.files.map(file => ({ ...dataFileObject(file), sha256: file.sha256 ?? null })),
    removed: manifest.removed,
    dropped: manifest.dropped,
    // A list, because an object would reorder names that look like numbers.
    tables: [...manifest.tables].map(([name, columns]) => ({ name, columns: columns.map(columnObject) })),
  }
}

/** A file without the digest of its content. */
export function dataFileObject({ table, key, format, rows, bytes }: DataFile): JsonObject {
  return { table, key, format, rows: rows ?? null, bytes: bytes ?? null }
}

export function columnObject({ name, data_type, nullable, precision, scale, timezone }: ReadonlyColumn): JsonObject {
  return {
    name,
    data_type: data_type ?? 'text',
    nullable: nullable !== false,
    ...(precision === undefined ? {} : { precision }),
    ...(scale === undefined ? {} : { scale }),
    ...(timezone === undefined ? {} : { timezone }),
  }
}

/** Reads a record. Undefined for any other text. */
export function readLoadRecord(key: string, document: JsonValue): LoadRecord | undefined {
  if (!isJsonObject(document) || typeof document.load_id !== 'string') return undefined
  return {
    key,
    loadId: document.load_id,
    schemaName: text(document.schema_name),
    status: Number(document.status ?? 0),
    insertedAt: text(document.inserted_at),
    schemaVersionHash: typeof document.schema_version_hash === 'string' ? document.schema_version_hash : undefined,
    manifest: isJsonObject(document[MANIFEST]) ? readManifest(document[MANIFEST]) : undefined,
  }
}

function readManifest(document: JsonObject): Manifest {
  return {
    sequence: Number(document.sequence ?? 0),
    pipeline: text(document.pipeline),
    files: objects(document.files).map(readDataFile),
    removed: texts(document.removed),
    dropped: texts(document.dropped),
    tables: new Map(objects(document.tables).map(table => [text(table.name), readColumns(table.columns)])),
  }
}

export function readDataFile(file: JsonObject): DataFile {
  return {
    table: text(file.table),
    key: text(file.key),
    format: Object.hasOwn(fileFormats, text(file.format)) ? (text(file.format) as FileFormatName) : 'parquet',
    rows: typeof file.rows === 'number' ? file.rows : undefined,
    bytes: typeof file.bytes === 'number' ? file.bytes : undefined,
    sha256: typeof file.sha256 === 'string' ? file.sha256 : undefined,
  }
}

/** Reads columns that {@link columnObject} wrote. */
export function readColumns(value: JsonValue | undefined): readonly ReadonlyColumn[] {
  return objects(value) as unknown as readonly ReadonlyColumn[]
}

export function text(value: JsonValue | undefined): string {
  return typeof value === 'string' ? value : ''
}

export function texts(value: JsonValue | undefined): string[] {
  return Array.isArray(value) ? value.map(String) : []
}

export function objects(value: JsonValue | undefined): JsonObject[] {
  return Array.isArray(value) ? value.filter(isJsonObject) : []
}
