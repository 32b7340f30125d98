import { destinationForms } from '../src/config/places/destinations.js'
import { duckdbCapabilities } from '../src/destinations/duckdb/duckdbDialect.js'
import { ducklakeCapabilities } from '../src/destinations/ducklake/ducklakeDialect.js'
import { filesCapabilities } from '../src/destinations/objects/filesCapabilities.js'
import { COMPRESSIONS } from '../src/destinations/objects/format/fileEncoding.js'
import { DEFAULT_LAYOUT } from '../src/destinations/objects/format/layout.js'
import { postgresCapabilities } from '../src/destinations/postgres/postgresDialect.js'
import type { Capabilities } from '../src/model/destination.js'
import { ducklakeSection } from './ducklakeReference.js'
import { postgresSection } from './postgresReference.js'

interface Described {
  readonly title: string
  readonly schemes: readonly string[]
  readonly capabilities: Capabilities
}

const destinations: readonly Described[] = [
  { title: 'DuckDB', schemes: ['duckdb'], capabilities: duckdbCapabilities },
  { title: 'Postgres', schemes: ['postgres'], capabilities: postgresCapabilities },
  { title: 'DuckLake', schemes: ['ducklake'], capabilities: ducklakeCapabilities },
  { title: 'Files', schemes: ['files', 's3'], capabilities: filesCapabilities },
]

/** Text of `docs/destinations.md`, made from what the destinations say about themselves. */
export function destinationsReference(): string {
  const described = new Set(destinations.flatMap(({ schemes }) => schemes))
  const missing = [...destinationForms.keys()].filter(scheme => !described.has(scheme))
  if (missing.length > 0) throw new Error(`docs/destinations.md has no place for ${missing.join(', ')}`)
  return `# Destinations

<!-- Generated from the destinations by \`npx tsx scripts/generate-docs.ts\`; edits here are lost. -->

Where rows can go. Nothing but this table tells the destinations apart: what one cannot do is refused before the first
request, with the reason.

${capabilityTable()}

${refusals()}

## Who may read what

A DuckDB file, the folders and files of a dataset and the files of a schema are made as the umask says, so a dataset can be shared: with
\`umask 027\` a group reads it, with \`umask 077\` nobody else does. Whatever the umask, what a run keeps for itself is for its user alone:
journals, locks, and the rows that it stages beside a DuckDB file or inside a dataset's folder. Their folders are 0700.

## BigQuery, Snowflake, MotherDuck and others

They are no destinations of Sluice. Load Parquet files (\`files:DIR\` or \`s3://BUCKET/PREFIX\`) and let the warehouse take them in, as with \`bq load\` or
\`COPY INTO\`; what one row replaces, the warehouse has to merge then. MotherDuck takes a whole DuckDB file:
\`CREATE DATABASE shops FROM 'shops.duckdb'\`. Or [write a destination](custom.md).

Neither are Iceberg and a Quack server of DuckDB, because a load could not be committed there as a whole (tried with DuckDB 1.5.5): without a REST catalog its extension
\`iceberg\` can only write a table anew by \`COPY … (FORMAT iceberg)\`, which adds to none, and stays when its transaction is rolled back; of \`quack\`, a row that
was inserted in a transaction is there after its rollback, and \`CREATE SCHEMA\` fails.

${postgresSection()}
${ducklakeSection()}${filesSection()}`
}

const rows: readonly (readonly [title: string, value: (capabilities: Capabilities) => string])[] = [
  ['Write dispositions', ({ dispositions }) => codes(dispositions)],
  ['Merge strategies, the first is the default', ({ mergeStrategies }) => codes(mergeStrategies)],
  ['Schema, rows and state become visible together', ({ transactionalDdl }) => yesOrNo(transactionalDdl)],
  ['Longest name, in characters', ({ maxIdentifierLength }) => maxIdentifierLength.toLocaleString('en')],
  ['Names may differ by case alone', ({ caseSensitive }) => yesOrNo(caseSensitive)],
  ['Digits of a decimal (all, behind the point)', ({ decimal }) => decimal.join(', ')],
  ['Digits of `wei`', ({ wei }) => wei.join(', ')],
  ['Digits of a second (default, most)', ({ timestampPrecision }) => timestampPrecision.join(', ')],
  ['U+0000 in text', ({ nulInText }) => (nulInText ? 'kept' : 'removed, with a warning')],
  ['Type in the state', ({ dltType }) => `\`${dltType}\``],
]

function capabilityTable(): string {
  const forms = ({ schemes }: Described): string =>
    schemes.map(scheme => `\`${destinationForms.get(scheme)}\``).join(', ')
  return [
    `| | ${destinations.map(({ title }) => title).join(' | ')} |`,
    `|---|${destinations.map(() => '---').join('|')}|`,
    `| Written as | ${destinations.map(forms).join(' | ')} |`,
    ...rows.map(
      ([title, value]) => `| ${title} | ${destinations.map(({ capabilities }) => value(capabilities)).join(' | ')} |`,
    ),
  ].join('\n')
}

function refusals(): string {
  return destinations
    .filter(({ capabilities }) => capabilities.mergeRefusal !== undefined)
    .map(({ title, capabilities }) => `No merge into ${title.toLowerCase()}: ${capabilities.mergeRefusal}.`)
    .join('\n')
}

function filesSection(): string {
  const table = Object.entries(COMPRESSIONS).map(
    ([name, compressions], index) =>
      `| \`${name}\`${index === 0 ? ' (default)' : ''} | ${compressions.map(one => `\`${one}\``).join(', ')} |`,
  )
  return `## Files and buckets

\`\`\`sh
sluice run feedback.yaml --destination files:lake
sluice run feedback.yaml --destination 'files:lake?format=jsonl&compression=zstd'
sluice run feedback.yaml --destination 's3://bucket/lake?endpoint=https://minio.example.com:9000&region=eu-west-1'
\`\`\`

From code: \`files('lake')\`, or \`files({ path: 's3://bucket/lake', format: 'csv', s3: { region: 'eu-west-1' } })\`.

| Format | Compressions, the first is the default |
|---|---|
${table.join('\n')}

Each dataset is a folder with the layout of dlt's \`filesystem\` destination: data files by the layout
(\`${DEFAULT_LAYOUT}\` unless \`layout\` says otherwise, with dlt's placeholders), \`init\`, and one JSON object for each
load (\`_dlt_loads\`), schema (\`_dlt_version\`) and state (\`_dlt_pipeline_state\`), and one for the receipts of each load
(\`_sluice_receipts\`). Sluice reads and continues a dataset that dlt began.

**Which format.** The first of these that is given counts: \`format\` of the destination, the table's \`file_format\`, the format of the
table's files, the format of the dataset's files, Parquet. So a dataset that dlt keeps as \`jsonl\` stays readable for dlt, which reads all
files of a table in the format of the first one. If Sluice begins a dataset that dlt will continue, name one format for both:
\`format=jsonl\` here, or \`loader_file_format="parquet"\` in dlt. dlt reads text files uncompressed or as gzip.

**Which files count.** Sluice writes the record of a load in \`_dlt_loads\` last, and only if there is none. Under \`_sluice\` it lists
the files that the load added and those that it replaced. A reader that follows these records never sees half a load or an empty
table: a replaced file is deleted only after the record of its replacement is there. A reader that takes all files of a folder
also sees files of a load that is still being written, as with dlt.

**Many loads.** Every 25 loads, Sluice sums up the records in \`_sluice_checkpoints\`. A load reads the newest checkpoint and the
records after it. So the thousandth load sends no more requests than the fiftieth: a small load sends a bucket 33 requests after a
checkpoint, and 73 if it makes one, instead of 1,023. The records stay. You may delete the folder of checkpoints at any time; the
next load then reads all records once. If dlt loads into the dataset too, Sluice lists all names. A load that commits with an older
id than those of a checkpoint keeps its note in \`_sluice_intents\` until a checkpoint has it. Do not let a version of Sluice without
checkpoints load into a bucket at the same time: its load may stay unseen.

**When a load dies.** Before its first file, a load notes in \`_sluice_intents\` what it will write. The next run of the pipeline
removes what a dead load left. If that load is still alive on another machine, its commit fails. Parts of a large upload that a
killed run left in a bucket are removed too, if the key has \`s3:ListBucketMultipartUploads\`. Otherwise set a rule of the bucket
(\`AbortIncompleteMultipartUpload\`), because the store keeps them and bills them.

**Several pipelines.** Load those that share a dataset in one command (\`sluice run a.yaml b.yaml\`), or give each source a \`name\` of its own.
Objects have no transactions: two processes that commit in the same moment, for sources of one name, may each leave the other's new
tables out of the stored schema.

**Text formats.** NDJSON is as dlt writes it: ISO times, decimals as texts, JSON inline, missing values left out; \`NaN\` and
infinities are texts. In CSV, texts are quoted, an empty field is null, \`""\` is the empty text, and binary is base64.
In Parquet, JSON is text.

**S3.** Any store that speaks S3 with Signature Version 4. Keys stand in the address
(\`?access_key_id=\${secrets.key_id}&secret_access_key=\${secrets.key}\`, also \`session_token\`) or come from \`AWS_ACCESS_KEY_ID\`, \`AWS_SECRET_ACCESS_KEY\` and
\`AWS_SESSION_TOKEN\`, or from dlt's \`DESTINATION__FILESYSTEM__CREDENTIALS__*\`. The region comes from \`AWS_REGION\`, another store from
\`AWS_ENDPOINT_URL\`. The key needs \`s3:ListBucket\`, \`s3:GetObject\`, \`s3:PutObject\`, \`s3:DeleteObject\` and
\`s3:AbortMultipartUpload\`. Settings behind the \`?\` of the URL: \`format\`, \`compression\`, \`layout\`, \`staging_dir\`, \`region\`,
\`endpoint\`, \`path_style\`. A store that ignores \`If-None-Match\` works, but cannot keep two machines apart that run one
pipeline at the same time.

**Profiles, SSO and roles.** If the environment holds no keys, install AWS's own package. Sluice then uses it:

\`\`\`sh
npm install @aws-sdk/credential-providers
AWS_PROFILE=work sluice run feedback.yaml --destination s3://bucket/lake
\`\`\`

It looks in the places of all AWS tools, in this order: \`~/.aws/credentials\` and \`~/.aws/config\` with \`AWS_PROFILE\` (keys, SSO,
roles, \`credential_process\`), a web identity (\`AWS_WEB_IDENTITY_TOKEN_FILE\` and \`AWS_ROLE_ARN\`), the role of a container, the role of an
instance. Without \`AWS_REGION\`, the region of the profile counts. Credentials are renewed five minutes before they expire,
and when the store refuses them, so a load may take longer than they last. An answer of more than 256 kB, or none within 30 s, is an
error. Your own provider is a function:
\`files({ path: 's3://bucket/lake', s3: { credentials: fromTemporaryCredentials({ ... }) } })\`.

**Disk space.** Rows wait on this machine until the commit, uncompressed. Then each table becomes one file. Rows wait in the folder
itself, or for S3 in the system's temporary folder; \`stagingDir\` names another one. Reading a table of a bucket fetches its files.
`
}

function codes(names: readonly string[]): string {
  return names.length === 0 ? 'none' : names.map(name => `\`${name}\``).join(', ')
}

function yesOrNo(value: boolean): string {
  return value ? 'yes' : 'no'
}
