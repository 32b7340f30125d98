import { DestinationError, SluiceError } from '../../model/errors.js'

/** What the server says about a failed statement. */
interface ServerError {
  /** SQLSTATE, or Node's code of a socket error. */
  readonly code: string | undefined
  readonly message: string
  readonly table: string | undefined
  readonly column: string | undefined
  readonly detail: string | undefined
}

type Explain = (error: ServerError, doing: string) => string

/** Failures that a later run may not have. */
const TRANSIENT: Readonly<Record<string, Explain>> = {
  ECONNREFUSED: () => 'nothing answers there; check host and port, and that the server runs',
  ENOTFOUND: () => 'the host name is not known; check the host',
  EAI_AGAIN: () => 'the host name could not be looked up; check the host and the network',
  ENOENT: () => 'there is no socket in that folder; check host and port, and that the server runs',
  EHOSTUNREACH: () => 'the host cannot be reached; check the host and the network',
  ENETUNREACH: () => 'the host cannot be reached; check the host and the network',
  ETIMEDOUT: (_, doing) => `the server did not answer in time (while ${doing}); check host, port and firewall`,
  '53100': (_, doing) => `its disk is full (while ${doing}); make room there, then run again`,
  '53200': (_, doing) => `the server is out of memory (while ${doing}); run again later`,
  '53300': () => 'the server has no connection left; close others, or raise max_connections',
  '55P03': (_, doing) =>
    `a table is held by another session for too long (while ${doing}); end that session, or raise lockTimeoutMs`,
  '40P01': (_, doing) => `another session wanted the same tables in another order (while ${doing}); run again`,
  '40001': (_, doing) => `another session changed the same rows (while ${doing}); run again`,
  '57014': (_, doing) =>
    `a statement was cancelled (while ${doing}), by its time limit or by an administrator; raise statementTimeoutMs, or the role’s own limit`,
  '57P03': () => 'the server is starting or stopping; run again in a moment',
}

/** Failures that last until somebody fixes the cause. */
const LASTING: Readonly<Record<string, Explain>> = {
  '28P01': ({ message }) => `${message}; check user and password`,
  '28000': ({ message }) =>
    `${message}; the server’s pg_hba.conf does not let this user in from here, or only with TLS (sslmode)`,
  '3D000': ({ message }) => `${message}; create it first, or name another one`,
  '25006': () =>
    'transactions only read there, and nothing was changed: the server is a standby, or default_transaction_read_only is on for the role, the database or the server. Connect to the server that writes, or let this role write: ALTER ROLE … SET default_transaction_read_only = off',
  '42501': missingRight,
  '42804': typeChanged,
  '42846': typeChanged,
  '42883': typeChanged,
  '42809': ({ message }) =>
    `${message}: a view, or something else that is not a plain table, stands in its place; rename it, or load into a new dataset`,
  '428C9': ({ message, table }) =>
    `${message}: the server makes the values of this column${table === undefined ? '' : ` of table ${table}`} itself; drop the column, and the load adds it as it needs it`,
  '23503': refusedByConstraint,
  '23514': refusedByConstraint,
  '54011': ({ message }) =>
    `${message}: a Postgres table has at most 1600 columns, dropped ones included; load less deep (max_table_nesting), or leave fields out`,
  '23502': ({ table, column }) =>
    `${place(table, column)} got a row without a value and does not allow empty ones; fix the data, or drop NOT NULL from the column`,
  '23505': ({ message, table, detail }) =>
    `${message}${detail === undefined ? '' : ` (${detail})`}: table ${table} has a unique index that the rows break; drop the index, or merge by that key`,
  '22001': ({ message }, doing) =>
    `${message} (while ${doing}): a text is longer than its column allows; widen the column, or take the precision off its hints`,
  '22003': ({ message, column }, doing) =>
    `${column === undefined ? '' : `column ${column}: `}${message} (while ${doing}): a number is too large for its column; declare a larger precision`,
  '22P05': ({ message }, doing) =>
    `${message} (while ${doing}): the database’s encoding cannot hold the text; load into a database with the encoding UTF8`,
}

/** The server said nothing for so long that nobody waits any longer. */
export class SilentServer extends Error {
  readonly code = 'ETIMEDOUT'

  constructor(ms: number) {
    super(`no answer in ${ms / 1000} s`)
  }
}

/** A pooler gave this client another session of the server than before, or one that others have too. */
export class SharedSessions extends Error {}

/** The connection was lost after COMMIT was sent. */
export class UnansweredCommit extends Error {}

/** Explains a failure of Postgres, and what to do about it. `name` is the destination's. */
export function postgresError(thrown: unknown, name: string, doing: string): Error {
  if (thrown instanceof SluiceError) return thrown
  const error = serverError(thrown)
  const { code = '', message } = error
  const fail = (text: string, transient: boolean): DestinationError =>
    new DestinationError('destination', `${name}: ${text}`, { destination: name, transient, cause: thrown })
  if (thrown instanceof UnansweredCommit) {
    return new DestinationError(
      'commit_unknown',
      `${name}: the connection was lost after COMMIT was sent and before its answer came (while ${doing}), so that it may have happened or not. Run again: what has happened is not done twice`,
      { destination: name, transient: true, cause: thrown.cause },
    )
  }
  if (thrown instanceof SharedSessions) {
    return fail(
      `a pooler there gives each transaction any free session of the server, as PgBouncer does in transaction mode (while ${doing}). A load needs one session for its lock and its staged rows; nothing was changed. Connect to the pooler’s session mode, which often has a port of its own, or to the server itself`,
      false,
    )
  }
  const refused = /startup parameter[^:]*: ?"?(\w+)/i.exec(message)?.[1]
  if (refused !== undefined) {
    return fail(
      `a pooler there refuses the setting ${refused} of a connection (while ${doing}); name it in its ignore_startup_parameters, or connect to the server itself`,
      false,
    )
  }
  if (isConnectionLoss(thrown)) {
    return fail(
      `the connection was lost while ${doing} (${message}); nothing of this load is visible there. Run again: pages that were read are kept`,
      true,
    )
  }
  const transient = TRANSIENT[code]
  if (transient !== undefined) return fail(transient(error, doing), true)
  const lasting = LASTING[code]
  if (lasting !== undefined) return fail(lasting(error, doing), false)
  if (/client password must be a string|no password/i.test(message)) {
    return fail(
      'the server asks for a password and none was given; add it to the connection string, or set PGPASSWORD',
      false,
    )
  }
  if (speaksNoTls(thrown)) {
    return fail(
      'the server does not speak TLS; use sslmode=disable on a network you trust, or turn TLS on there',
      false,
    )
  }
  if (/certificate|altname|self.signed|CERT_|unable to verify/i.test(`${code} ${message}`)) {
    return fail(
      `its certificate is not accepted: ${message}; name the authority with sslrootcert or NODE_EXTRA_CA_CERTS, or the host as the certificate does`,
      false,
    )
  }
  return fail(`failed while ${doing}: ${message}${code === '' ? '' : ` (${code})`}`, false)
}

export function speaksNoTls(thrown: unknown): boolean {
  return /does not support SSL/i.test(serverError(thrown).message)
}

/** Whether the connection itself is lost, not only a statement refused. */
export function isConnectionLoss(thrown: unknown): boolean {
  const { code = '', message } = serverError(thrown)
  if (['57P01', '57P02', '57P05', '25P03', '25P04', 'ECONNRESET', 'EPIPE'].includes(code) || code.startsWith('08'))
    return true
  return /connection terminated|not queryable|connection error|client was closed|socket (hang up|closed)|has been ended|Cannot call write after/i.test(
    message,
  )
}

function refusedByConstraint({ message, table }: ServerError): string {
  return `${message}: a constraint${table === undefined ? '' : ` of table ${table}`} that somebody added refuses the rows; fix the data, or drop the constraint`
}

function missingRight({ message }: ServerError, doing: string): string {
  const [, kind, object] = /(?:permission denied for|must be owner of) (\w+) (.+)$/.exec(message) ?? []
  const grants: Readonly<Record<string, string>> = {
    database: `GRANT CREATE ON DATABASE ${object} TO the role, or have somebody create the dataset’s schema for it`,
    schema: `GRANT USAGE, CREATE ON SCHEMA ${object} TO the role`,
    table: /owner/.test(message)
      ? `make the role the owner of table ${object}, or a member of the role that is`
      : `GRANT SELECT, INSERT, UPDATE, DELETE ON ${object} TO the role`,
  }
  let grant = (kind === undefined ? undefined : grants[kind]) ?? 'grant it'
  if (/temporary/.test(message)) grant = 'GRANT TEMPORARY ON DATABASE … TO the role'
  else if (/row-level security/.test(message))
    grant = 'ALTER ROLE … BYPASSRLS, because a load must see every row of its tables'
  return `the role lacks a right (while ${doing}): ${message}. Nothing was changed; ${grant}`
}

function typeChanged({ message }: ServerError, doing: string): string {
  return `a column has another type than Sluice gave it (while ${doing}): ${message}. Change it back, or load into a new dataset`
}

function place(table: string | undefined, column: string | undefined): string {
  return table === undefined ? `column ${column ?? '?'}` : `column ${table}.${column ?? '?'}`
}

function serverError(thrown: unknown): ServerError {
  const error = (typeof thrown === 'object' && thrown !== null ? thrown : {}) as {
    readonly [key in 'code' | 'message' | 'table' | 'column' | 'detail']?: unknown
  } & { readonly errors?: readonly unknown[] }
  // Several addresses of one host were tried. The first error is enough.
  if (Array.isArray(error.errors) && error.errors.length > 0) return serverError(error.errors[0])
  const text = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined)
  return {
    code: text(error.code),
    message: text(error.message) ?? String(thrown),
    table: text(error.table),
    column: text(error.column),
    detail: text(error.detail),
  }
}
