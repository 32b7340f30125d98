import type { Secret } from '../../model/secrets/secret.js'
import type { S3Access } from '../objects/storage/s3Bucket.js'
import type { S3Options } from '../objects/storage/s3Identity.js'
import type { PostgresAddress } from '../postgres/postgresAddress.js'

export interface DucklakeOptions {
  /**
   * Where the lake keeps what it knows about its tables: a DuckDB file, `sqlite:FILE` or `postgres://USER@HOST/DATABASE`.
   * Created if missing, but for the database of Postgres.
   */
  readonly catalog: string | Secret
  /**
   * Where the data is: a folder or `s3://bucket/prefix`. Needed for a new lake in Postgres. Default: what the catalog
   * says, or for a new file its name plus `.files`.
   */
  readonly dataPath?: string | undefined
  /** The data was moved: read and write at `dataPath`, whatever the catalog says. */
  readonly overrideDataPath?: boolean | undefined
  /** Schema of the catalog's tables in Postgres. Default `public`. dlt uses the name of its lake. */
  readonly metadataSchema?: string | undefined
  /** Password of the catalog in Postgres. Overrides the one in the address. */
  readonly password?: string | Secret | undefined
  /**
   * Folder with files of DuckDB's extensions, `ducklake.duckdb_extension` and others. Default: those that are installed.
   * DuckDB fetches what is not.
   */
  readonly extensions?: string | undefined
  /** How to reach the bucket of `dataPath`. */
  readonly s3?: S3Options | undefined
  /** Folder for staged rows. Default: beside a catalog in a DuckDB file, else a temporary folder. */
  readonly stagingDir?: string | undefined
  /** How long a run or a read waits while another process has the catalog for itself, in milliseconds. Default: 5,000. */
  readonly lockTimeoutMs?: number | undefined
}

/** Where a lake keeps what it knows about its tables and files. */
export type Catalog =
  | { readonly kind: 'duckdb' | 'sqlite'; readonly path: string }
  | { readonly kind: 'postgres'; readonly address: PostgresAddress }

/** A lake, configured but not attached. */
export interface Lake {
  /** For messages, and to tell lakes apart: a path, or a database without its password. */
  readonly place: string
  readonly catalog: Catalog
  readonly dataPath: string | undefined
  readonly overrideDataPath: boolean
  readonly metadataSchema: string | undefined
  readonly extensions: string | undefined
  readonly lockTimeoutMs: number
  /** How to reach the bucket of the data. */
  readonly s3: S3Access | undefined
}
