import { postgresDialect } from '../src/destinations/postgres/postgresDialect.js'
import type { DataType } from '../src/schema/schemaTypes.js'

const TYPES: readonly DataType[] = [
  'text',
  'bigint',
  'double',
  'bool',
  'timestamp',
  'date',
  'time',
  'binary',
  'json',
  'decimal',
  'wei',
]

/** The part of `docs/destinations.md` on Postgres. */
export function postgresSection(): string {
  return `## Postgres

\`\`\`sh
npm install pg
sluice run feedback.yaml --destination 'postgres://loader:secret@db.example.com/warehouse?sslmode=verify-full'
\`\`\`

In a file the password is a secret: \`destination: postgres://loader:\${secrets.db_password}@db.example.com/warehouse\`, or
\`destination: \${secrets.warehouse_url}\` for all of it. Sluice percent-encodes such a value. In a password that stands in the
address itself, write \`/\`, \`@\`, \`#\`, \`?\`, \`:\` and \`%\` as %2F, %40, %23, %3F, %3A and %25.

From code: \`postgres('postgres://…')\`, or \`postgres({ connectionString, password: new Secret(value), lockTimeoutMs: 10_000 })\`.
Postgres 15 or later. A dataset is a schema of the database. Install the package \`pg\` only if you load into Postgres.

| Type | In Postgres |
|---|---|
${TYPES.map(type => `| ${type} | \`${postgresDialect.typeName(type)}\` |`).join('\n')}

A \`bigint\` of at most 16 or 32 bits is \`smallint\` or \`integer\`. A text with a precision is \`character varying(n)\`. Sluice
makes no index, and no constraint but NOT NULL. Those that you add stay. An index on the primary key makes merges into large tables faster.

**Readers during a load.** A load is one transaction. Readers see the old rows until it ends, and all new rows from then on. If a
table gets a new column, readers wait for the end of the commit. The commit waits for readers that hold the table, for
\`lockTimeoutMs\` (60 s). Rows for an existing table wait in temporary tables. A new table is filled inside the transaction of the
load, which stays open until the commit.

**When a load dies,** the server rolls it back. The next run goes on with the pages in the journal. An advisory lock of the server
keeps other hosts from loading the same pipeline into the same dataset at the same time. A run waits up to three seconds for it,
because the session of a killed process lives on until the server notices that its client is gone.

**Connecting.** \`sslmode\` in the address is \`disable\`, \`prefer\` (default), \`require\`, \`verify-ca\` or \`verify-full\`, with the
meaning of libpq. Only the last two protect against somebody in between. Other parameters are \`sslrootcert\`, \`sslcert\`,
\`sslkey\`, \`connect_timeout\` in seconds, and \`host=/var/run/postgresql\` for a Unix socket. Without a password in the address,
Sluice reads \`PGPASSWORD\` and \`~/.pgpass\`. A pooler such as PgBouncer must be in session mode. Sluice recognises and refuses a
pooler in transaction mode, and changes nothing.

**Rights.** A role with a schema of its own is enough:

\`\`\`sql
CREATE ROLE loader LOGIN PASSWORD '…';
CREATE SCHEMA feedback_dataset AUTHORIZATION loader;
\`\`\`

It also needs TEMPORARY on the database, which everybody has by default. With CREATE on the database, the role makes its
schemas itself, and first loads are faster: new tables are moved into place instead of copied. If a right is missing, the run ends
with the GRANT that gives it, and changes nothing. Where transactions of the role or the database only read (\`default_transaction_read_only\`, a standby),
a load ends before its first request; reading works.

**Columns changed by hand** stay as they are. Wider types work (\`numeric\` for \`bigint\`, \`text\` for \`character varying\`).
If values would be rounded or would not fit, the load fails and names the column.

**Policies, views, rules, triggers.** A load must see every row of its tables. It ends with an error and changes nothing if a
row-level policy hides rows from the role, if a view stands in place of a table, or if a rule replaces a statement (\`DO INSTEAD\`).
Your triggers run. Receipts do not know of rows that a trigger drops or changes.
`
}
