/** The part of `docs/destinations.md` on lakes. */
export function ducklakeSection(): string {
  return `## DuckLake

\`\`\`sh
sluice run feedback.yaml --destination ducklake:feedback.ducklake
sluice run feedback.yaml --destination 'ducklake:sqlite:feedback.sqlite?data_path=lake'
sluice run feedback.yaml --destination 'ducklake:postgres://loader@db.example.com/lake?data_path=s3://bucket/lake&region=eu-west-1'
\`\`\`

A [DuckLake](https://ducklake.select) is Parquet files in a folder or a bucket, and a database that lists them: the catalog. The catalog is a DuckDB
file, a file of SQLite, or a Postgres database. A dataset is a schema of the lake. A load is one transaction and one snapshot: rows, tables, \`_dlt_*\`
tables and receipts. All dispositions and merge strategies of DuckDB work, and so do \`show\`, \`query\`, \`history\` and \`drop\`.

From code: \`ducklake('feedback.ducklake')\`, or \`ducklake({ catalog: 'postgres://…', dataPath: 's3://bucket/lake', s3: { region: 'eu-west-1' } })\`.

| Setting | Is |
|---|---|
| \`data_path\` | folder of the data, or \`s3://BUCKET/PREFIX\`. Default: what the catalog says, or for a new file its name plus \`.files\`. A new lake in Postgres needs it; name a bucket each time |
| \`override_data_path=true\` | the data was moved: read and write at \`data_path\`, whatever the catalog says |
| \`metadata_schema\` | schema of the catalog's tables in Postgres, \`public\` by default |
| \`extensions\` | folder with files of DuckDB's extensions |
| \`staging_dir\` | folder for staged rows. Default: beside a DuckDB file, else the system's temporary folder |
| \`region\`, \`endpoint\`, \`path_style\`, \`access_key_id\`, \`secret_access_key\`, \`session_token\` | the bucket, as with [files](#files-and-buckets). What is missing comes from the environment |

Further parameters of a \`postgres://\` address are those of [Postgres](#postgres). Its password may be a secret:
\`ducklake:postgres://loader:\${secrets.db_password}@db.example.com/lake?data_path=lake\`.

**Extensions.** DuckDB needs the extensions \`ducklake\`, and \`sqlite_scanner\`, \`postgres_scanner\` or \`httpfs\` for SQLite, Postgres and buckets. It fetches them
itself from \`extensions.duckdb.org\` and keeps them in \`~/.duckdb\`. Where it cannot, get the files from the Python packages
\`duckdb-extension-ducklake\`, \`-sqlite-scanner\`, \`-postgres-scanner\` and \`-httpfs\`, unpack them into a folder, and name that in
\`SLUICE_DUCKDB_EXTENSIONS\`. An extension fits exactly one version of DuckDB; \`sluice doctor\` shows yours. Where the Python packages are
behind it, take the older DuckDB in \`package.json\`, as in \`"overrides": { "@duckdb/node-api": "1.5.5-r.5" }\`.

**Several machines.** With a catalog in Postgres, several machines may load into one dataset at the same time; with SQLite, several processes of one
machine. DuckLake itself would let two merges at once insert the same key twice. So every load changes the one row of \`_sluice_turns\`. Of two loads that
overlap, DuckLake refuses the second one, and Sluice commits it again from its staged rows. Give each machine a pipeline name of its own. If two runs of
one pipeline overlap and one has moved the cursors, the other is refused and says so. There is no lock that keeps them apart before that. A catalog in a
DuckDB file has one process at a time, like any DuckDB file.

**Differences from DuckDB files.** A lake has no indexes and no keys. A column that is added to a table is nullable, even if the table is empty. A
\`bigint\` of more than 64 bits is \`DECIMAL(38,0)\`. Loads of few rows are kept in the catalog, as DuckLake does by default.

**Old data.** DuckLake keeps the files of old snapshots, and those that a killed commit left behind. No reader counts the latter. Remove them in DuckDB:
\`CALL ducklake_expire_snapshots('lake', older_than => now() - INTERVAL '30 days')\`, \`CALL ducklake_cleanup_old_files('lake', cleanup_all => true)\`,
\`CALL ducklake_delete_orphaned_files('lake', older_than => now() - INTERVAL '1 day')\`. A killed run also leaves its staged rows in the
temporary folder, if the catalog is no DuckDB file.

**With dlt.** The tables are those of dlt's \`ducklake\` destination, so that both can take turns. dlt's \`catalog\` and \`storage\` are the catalog and \`data_path\`
here. In Postgres, dlt puts its catalog into a schema with the name of its lake: name it as \`metadata_schema\`.

`
}
