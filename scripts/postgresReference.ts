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
Postgres 15 or later; a dataset is a schema of the database. The package is optional: who loads elsewhere does not need it.

| Type | In Postgres |
|---|---|
${TYPES.map(type => `| ${type} | \`${postgresDialect.typeName(type)}\` |`).join('\n')}

A \`bigint\` of at most 16 or 32 bits is \`smallint\` or \`integer\`; a text with a precision is \`character varying(n)\`. Sluice
makes no index and no constraint but NOT NULL; those you add stay, and one on the primary key makes merges into large tables faster.

**What readers see.** A load is one transaction: until it ends they see what was before, from then on all of it. Where a
table gets a new column they wait for the end of the commit, and the commit waits for readers that hold the table, for
\`lockTimeoutMs\` (60 s). Rows for a table that exists wait in temporary tables; a table that the load makes is filled in the
load's own transaction, which is open until the commit.

**When a load dies,** the server forgets all of it. The next run goes on with the pages in the journal. A lock of the
server (an advisory one) keeps every other host from loading the same pipeline into the same dataset meanwhile. A run waits
up to three seconds for it: the session of a process that was killed in the middle of a statement lives on until the server
looks for its client, which it is told to do every second.

**Connecting.** In the address \`sslmode\` is \`disable\`, \`prefer\` (default), \`require\`, \`verify-ca\` or \`verify-full\`, with the
meaning that libpq gives them: only the last two protect against somebody in between. Further \`sslrootcert\`, \`sslcert\`,
\`sslkey\`, \`connect_timeout\` in seconds, and \`host=/var/run/postgresql\` for a Unix socket. Without a password in the address
\`PGPASSWORD\` and \`~/.pgpass\` are asked. Through a pooler such as PgBouncer use its session mode: one that
hands out sessions for a transaction each is recognised and refused, and nothing is changed.

**Rights.** The least is a role with a schema of its own:

\`\`\`sql
CREATE ROLE loader LOGIN PASSWORD '…';
CREATE SCHEMA feedback_dataset AUTHORIZATION loader;
\`\`\`

and TEMPORARY on the database, which everybody has unless it was taken away. With CREATE on the database the role makes its
schemas itself, and first loads are faster: new tables are then moved into place and not copied. A missing right ends the run
with the GRANT that mends it, and nothing is changed.

**Columns changed by hand** are left alone. Wider types are welcome (\`numeric\` for \`bigint\`, \`text\` for \`character varying\`);
where values would be rounded or not fit at all the load fails and names the column.

**Policies, views, rules, triggers.** A load must see every row of its tables: where a row-level policy hides some from the role, a view
stands in place of a table, or a rule does something else instead (\`DO INSTEAD\`), it ends with an error and changes nothing. Triggers of yours run; no receipt knows of rows that one drops or changes.
`
}
