export type FileFormatName = 'parquet' | 'jsonl' | 'csv'
export type Compression = 'none' | 'gzip' | 'zstd' | 'snappy'

/** The compressions of each format. The first is the default. */
export const COMPRESSIONS: Readonly<Record<FileFormatName, readonly Compression[]>> = {
  parquet: ['zstd', 'snappy', 'gzip', 'none'],
  jsonl: ['gzip', 'zstd', 'none'],
  csv: ['gzip', 'zstd', 'none'],
}

/** How to write the files of one table. */
export interface Encoding {
  readonly format: FileFormatName
  readonly compression: Compression
}

/** The file options of a destination. Missing ones are decided for each table. */
export type EncodingOptions = { readonly [key in keyof Encoding]?: Encoding[key] | undefined }

export const DEFAULT_FORMAT: FileFormatName = 'parquet'
