import { ConfigError } from '../../model/errors.js'
import { reveal, Secret } from '../../model/secrets/secret.js'

/** Protection of a connection, with libpq's names. */
export type TlsMode = 'disable' | 'prefer' | 'require' | 'verify-ca' | 'verify-full'

export interface PostgresOptions {
  /**
   * `postgres://user:password@host:port/database`. Parameters: `sslmode`, `sslrootcert`, `sslcert`, `sslkey` (paths),
   * `host` (a folder, for a Unix socket), `connect_timeout` (seconds).
   */
  readonly connectionString: string | Secret
  /** Overrides the password in the connection string. Without any, `PGPASSWORD` and `~/.pgpass` are used. */
  readonly password?: string | Secret | undefined
  readonly ssl?:
    | {
        /**
         * `prefer` (the default) encrypts if the server can, and verifies nothing. `require` always encrypts.
         * `verify-ca` also checks the certificate, and `verify-full` its name too.
         */
        readonly mode?: TlsMode | undefined
        /** Certificates of the trusted authorities, PEM. Default: those of Node. */
        readonly ca?: string | undefined
        /** The client's own certificate and key, PEM. */
        readonly cert?: string | undefined
        readonly key?: string | Secret | undefined
      }
    | undefined
  /** How long a commit waits for a table that another session has locked. Default 60 000. 0 waits forever. */
  readonly lockTimeoutMs?: number | undefined
  /** How long one statement may take, including a merge of a large table. Default 0, no limit. */
  readonly statementTimeoutMs?: number | undefined
  /** Default 15 000. */
  readonly connectTimeoutMs?: number | undefined
}

/** Where and how to connect. Only `name` is ever printed. */
export interface PostgresAddress {
  /** For messages and receipts: `postgres:host/database`, with the port if it is not 5432. */
  readonly name: string
  /** A name, an IP address, or the folder of a Unix socket. */
  readonly host: string
  readonly port: number
  readonly user: string | undefined
  readonly password: Secret | undefined
  readonly database: string
  readonly tls: Tls
  readonly lockTimeoutMs: number
  readonly statementTimeoutMs: number
  readonly connectTimeoutMs: number
}

interface Tls {
  readonly mode: TlsMode
  /** PEM, or a file to read it from. */
  readonly ca: Pem | undefined
  readonly cert: Pem | undefined
  readonly key: Pem | undefined
}
export type Pem = { readonly text: Secret } | { readonly path: string }

const MODES: readonly TlsMode[] = ['disable', 'prefer', 'require', 'verify-ca', 'verify-full']
const PARAMETERS = ['host', 'port', 'user', 'password', 'dbname', 'sslmode', 'sslrootcert', 'sslcert', 'sslkey']
const MAY_HOLD_AT = ['user', 'password', 'application_name']
const IGNORED = ['application_name', 'client_encoding', 'channel_binding', 'gssencmode', 'target_session_attrs']

/** Reads the options. A ConfigError never repeats the connection string, which holds a password. */
export function addressOf(options: PostgresOptions): PostgresAddress {
  const { connectionString } = options
  const url = parse(typeof connectionString === 'string' ? connectionString : reveal(connectionString))
  const parameters = url.searchParams
  for (const [name, value] of parameters) {
    const isKnown = [...PARAMETERS, ...IGNORED, 'connect_timeout'].includes(name)
    // A password with a question mark reads like a parameter.
    if (`${name}${value}`.includes('@') && !MAY_HOLD_AT.includes(name)) throw notEncoded()
    if (isKnown) continue
    throw wrong(
      `the connection string has a parameter \`${name}\` that is not known here; known are ${PARAMETERS.join(', ')}, connect_timeout`,
    )
  }
  const host = parameters.get('host') || decoded(url.hostname).replace(/^\[(.*)\]$/, '$1') || 'localhost'
  const port = Number(parameters.get('port') || url.port || 5432)
  const user = parameters.get('user') || decoded(url.username) || undefined
  const database = parameters.get('dbname') || decoded(url.pathname.slice(1)) || user
  if (database === undefined)
    throw wrong('the connection string names no database: expected postgres://USER@HOST/DATABASE')
  if (host.includes(',')) throw wrong('the connection string names several hosts; name the one to write to')
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw wrong('the port must be a number from 1 to 65535')
  const given = options.password ?? (parameters.get('password') || decoded(url.password) || undefined)
  const place = host.startsWith('/') ? 'localhost' : host.includes(':') ? `[${host}]` : host
  return {
    name: `postgres:${place}${port === 5432 ? '' : `:${port}`}/${database}`,
    host,
    port,
    user,
    password: typeof given === 'string' ? new Secret(given) : given,
    database,
    tls: tlsOf(options, parameters),
    lockTimeoutMs: milliseconds(options.lockTimeoutMs, 60_000, 'lockTimeoutMs'),
    statementTimeoutMs: milliseconds(options.statementTimeoutMs, 0, 'statementTimeoutMs'),
    connectTimeoutMs: milliseconds(
      options.connectTimeoutMs,
      parameters.has('connect_timeout') ? Number(parameters.get('connect_timeout')) * 1000 : 15_000,
      'connectTimeoutMs',
    ),
  }
}

function parse(text: string): URL {
  if (!/^postgres(ql)?:\/\//i.test(text)) throw wrong('expected postgres://USER:PASSWORD@HOST:PORT/DATABASE')
  // With such a character in the password, a piece of it would be taken for the host or the database.
  if (/#/.test(text) || /^[^/]*\/\/[^/?]*[/][^?]*@/.test(text)) throw notEncoded()
  try {
    return new URL(text)
  } catch {
    throw notEncoded()
  }
}

function notEncoded(): ConfigError {
  return wrong(
    'the connection string cannot be read; percent-encode `/`, `@`, `#`, `?`, `:` and `%` in a password: %2F, %40, %23, %3F, %3A and %25',
  )
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw wrong('the connection string has a `%` that stands for nothing; write it as %25')
  }
}

function tlsOf({ ssl = {} }: PostgresOptions, parameters: URLSearchParams): Tls {
  const written = ssl.mode ?? parameters.get('sslmode') ?? undefined
  if (written !== undefined && !(MODES as readonly string[]).includes(written)) {
    throw wrong(`sslmode must be one of ${MODES.join(', ')}`)
  }
  const pem = (text: string | Secret | undefined, parameter: string): Pem | undefined => {
    if (text !== undefined) return { text: typeof text === 'string' ? new Secret(text) : text }
    const path = parameters.get(parameter)
    // `system` means the default authorities.
    return path === null || path === '' || path === 'system' ? undefined : { path }
  }
  const ca = pem(ssl.ca, 'sslrootcert')
  const verifies = parameters.get('sslrootcert') === 'system'
  return {
    // As in libpq: a given certificate is checked.
    mode: (written as TlsMode | undefined) ?? (verifies ? 'verify-full' : ca === undefined ? 'prefer' : 'verify-ca'),
    ca,
    cert: pem(ssl.cert, 'sslcert'),
    key: pem(ssl.key, 'sslkey'),
  }
}

function milliseconds(value: number | undefined, standard: number, name: string): number {
  const chosen = value ?? standard
  if (Number.isFinite(chosen) && chosen >= 0 && chosen <= 2 ** 31 - 1) return Math.trunc(chosen)
  throw wrong(`${name} must be a number of milliseconds, 0 or more`)
}

function wrong(message: string): ConfigError {
  return new ConfigError([{ place: { path: 'destination' }, message }])
}
