import type { EventEmitter } from 'node:events'
import { readFile } from 'node:fs/promises'
import { type ConnectionOptions, checkServerIdentity } from 'node:tls'
import type { Client, ClientConfig, QueryResult } from 'pg'
import { DestinationError } from '../../model/errors.js'
import { reveal } from '../../model/secrets/secret.js'
import type { SqlValue } from '../sql/sqlSession.js'
import type { Pem, PostgresAddress } from './postgresAddress.js'
import {
  isConnectionLoss,
  postgresError,
  SharedSessions,
  SilentServer,
  speaksNoTls,
  UnansweredCommit,
} from './postgresErrors.js'

/** One session of the server. */
export interface PostgresClient {
  readonly pg: Client
  /** Fails if the server’s session is another than the one that was opened, as behind a transaction pooler. */
  checkSession(): Promise<void>
  /** Set once the connection is lost. Every further statement fails with it. */
  readonly lost: Error | undefined
  /** Rows as arrays of texts, as printed by the server. With `values`, even none, the text may hold one statement only. */
  query(sql: string, values?: readonly (SqlValue | Buffer)[]): Promise<TextResult>
  /** The result of `work`. It fails, and the session is lost, if the server needs longer. 0 means any time. */
  within<T>(ms: number, work: Promise<T>): Promise<T>
  /** Rolls back an open transaction. Never fails: without an answer the session is lost, and the server rolls back. */
  rollBack(): Promise<void>
  /** What to throw for an error of this session: the reason of a stop, or an error that says what to do. */
  failure(error: unknown, doing: string): unknown
  /** Closes the session in order, or at once if the server says nothing. Idempotent, never fails. */
  end(): Promise<void>
  /** Closes at once. The server rolls back what the session was doing. */
  destroy(): void
}

/** How long a stop tries to send the request that cancels a statement. */
const CANCEL_MS = 1000

/** How long each last statement of a session may take. Then the session ends with its connection. */
export const GOODBYE_MS = 5000

export interface ResultColumn {
  readonly name: string
  /** The type's oid. */
  readonly typeId: number
}

interface TextResult {
  readonly columns: readonly ResultColumn[]
  readonly rows: readonly (readonly (string | null)[])[]
  /** Rows that were changed. */
  readonly changed: number
}

type ConnectionSettings = readonly (readonly [name: string, value: string])[]

/** The meaning of rows and statements depends on these. */
function requiredSettings(address: PostgresAddress): ConnectionSettings {
  return [
    ['timezone', 'UTC'],
    ['datestyle', 'ISO, YMD'],
    ['bytea_output', 'hex'],
    ['extra_float_digits', '1'],
    // Every name is written in full, so that no other function or operator can be used instead.
    ['search_path', ''],
    ['statement_timeout', String(address.statementTimeoutMs)],
  ]
}

/**
 * These make a session faster or safer, but a server may refuse them. On Windows it refuses to watch for closed
 * sockets. A pooled session refuses the size of buffers that another client has used.
 */
const OPTIONAL_SETTINGS: ConnectionSettings = [
  // A session is idle for a long time between two pages of a slow API.
  ['idle_session_timeout', '0'],
  ['idle_in_transaction_session_timeout', '0'],
  ['transaction_timeout', '0'],
  // Staged rows are soon read again.
  ['temp_buffers', '64MB'],
  // If this process dies, the server should notice and release the lock.
  ['tcp_keepalives_idle', '60'],
  ['tcp_keepalives_interval', '10'],
  ['tcp_keepalives_count', '6'],
  ['client_connection_check_interval', '1s'],
]

/**
 * Opens a session, which is lost once the signal is aborted. Fails with a DestinationError that says what to check, and
 * leaves nothing open.
 */
export async function openClient(
  address: PostgresAddress,
  applicationName: string,
  signal?: AbortSignal,
): Promise<PostgresClient> {
  signal?.throwIfAborted()
  const client = await connected(address, applicationName, signal)
  try {
    const settle = async (): Promise<void> => {
      if ((await sessionOf(client)) !== keyOf(client)) await refuseSharing(client, address, signal)
      await set(client, requiredSettings(address))
      await setWhatIsTaken(client, OPTIONAL_SETTINGS)
      await client.checkSession()
    }
    await client.within(address.connectTimeoutMs, settle())
    return client
  } catch (error) {
    await client.end()
    throw client.failure(error, 'connecting')
  }
}

/** The server’s process of a session. */
async function sessionOf(client: PostgresClient): Promise<string> {
  return String((await client.query('SELECT pg_catalog.pg_backend_pid()')).rows[0]?.[0])
}

/** The process that the server, or a pooler in its place, named when it let this client in. */
function keyOf({ pg }: PostgresClient): string {
  return String((pg as unknown as { readonly processID: unknown }).processID)
}

/**
 * Behind a pooler: fails if it hands transactions to any free session. Such sessions have other users, so this runs
 * before a setting is changed. A second client shows it: a free session is given to whoever asks next.
 */
async function refuseSharing(
  client: PostgresClient,
  address: PostgresAddress,
  signal: AbortSignal | undefined,
): Promise<void> {
  const other = await connected(address, 'sluice', signal)
  try {
    const [mine, theirs] = [await sessionOf(client), await other.within(address.connectTimeoutMs, sessionOf(other))]
    if (mine === theirs || theirs !== (await sessionOf(other)) || mine !== (await sessionOf(client))) {
      throw new SharedSessions()
    }
  } finally {
    await other.end()
  }
}

/** All at once. If one of them is refused, one by one. */
async function setWhatIsTaken(client: PostgresClient, settings: ConnectionSettings): Promise<void> {
  try {
    await set(client, settings)
  } catch (error) {
    if (client.lost !== undefined || isConnectionLoss(error)) throw error
    const [, ...others] = settings
    if (others.length > 0) for (const setting of settings) await setWhatIsTaken(client, [setting])
  }
}

/** Leaves out settings that the server does not know. */
async function set(client: PostgresClient, settings: ConnectionSettings): Promise<void> {
  const [names, values] = [settings.map(([name]) => name), settings.map(([, value]) => value)]
  await client.query(
    `SELECT pg_catalog.set_config(s.name, v.value, false) FROM unnest($1::text[], $2::text[]) AS v(name, value) JOIN pg_catalog.pg_settings AS s ON lower(s.name) = v.name`,
    [arrayText(names), arrayText(values)],
  )
}

/** Sends a statement in a message for one statement. The types of `pg` do not know this option. */
const ALONE = { queryMode: 'extended' } as object

/** `cancel` asks the server to end the statement that the session runs. */
function clientOf(
  pg: Client,
  address: PostgresAddress,
  signal: AbortSignal | undefined,
  cancel: (ms: number) => Promise<void>,
): PostgresClient {
  let lost: Error | undefined
  let ended: Promise<void> | undefined
  let cancelled: Promise<void> | undefined
  let running = 0
  let session: string | undefined
  const lose = (reason: Error): void => {
    lost ??= reason
    socketOf(pg).destroy()
  }
  const stop = (): void => {
    // Without its connection a statement goes on until the server looks for it, and not every server does.
    if (running > 0 && lost === undefined) cancelled = cancel(CANCEL_MS)
    lose(new Error('connection terminated by a stop'))
  }
  signal?.addEventListener('abort', stop)
  // Without a listener, a lost connection would end the process.
  pg.on('error', error => {
    lost ??= error
  })
  const client: PostgresClient = {
    pg,
    get lost() {
      return lost
    },
    async query(sql, values) {
      if (lost !== undefined) throw lost
      running++
      const result: QueryResult<(string | null)[]> = await pg
        .query({
          text: sql,
          rowMode: 'array',
          ...(values === undefined
            ? {}
            : { values: values.map(value => (typeof value === 'bigint' ? String(value) : value)), ...ALONE }),
        })
        .finally(() => running--)
      return {
        columns: result.fields.map(({ name, dataTypeID }) => ({ name, typeId: dataTypeID })),
        rows: result.rows,
        changed: result.rowCount ?? 0,
      }
    },
    async checkSession() {
      const now = await sessionOf(client)
      session ??= now
      if (now !== session) throw new SharedSessions()
    },
    async within(ms, work) {
      if (ms === 0) return await work
      let timer: NodeJS.Timeout | undefined
      const silence = new Promise<never>((_, reject) => {
        timer = setTimeout(() => {
          const silent = new SilentServer(ms)
          lose(silent)
          reject(silent)
        }, ms)
      })
      return await Promise.race([work, silence]).finally(() => clearTimeout(timer))
    },
    async rollBack() {
      if (lost === undefined) await client.within(GOODBYE_MS, client.query('ROLLBACK')).catch(() => {})
    },
    failure(error, doing) {
      if (signal?.aborted === true && !(error instanceof UnansweredCommit)) return signal.reason
      return postgresError(error instanceof UnansweredCommit ? error : (lost ?? error), address.name, doing)
    },
    async end() {
      ended ??= client
        .within(GOODBYE_MS, pg.end())
        .catch(() => {})
        .finally(() => signal?.removeEventListener('abort', stop))
      await ended
      await cancelled
    },
    destroy: () => lose(new Error('connection terminated by this side')),
  }
  return client
}

/** What cancels a statement: `pg` has it, and its types do not. */
interface CancelConnection extends EventEmitter {
  readonly stream: { end(sent: () => void): void; destroy(): void }
  connect(port: number | string, host?: string): void
  requestSsl(): void
  cancel(processId: unknown, secretKey: unknown): void
}

/**
 * Asks the server, over a connection of its own, to end what the session is doing. Resolves when the request is sent,
 * and at the latest after `ms`. Never fails.
 */
async function cancelStatement(
  pg: Client,
  connection: CancelConnection,
  { host, port }: PostgresAddress,
  isTls: boolean,
  ms: number,
): Promise<void> {
  const { processID, secretKey } = pg as unknown as { readonly processID: unknown; readonly secretKey: unknown }
  let timer: NodeJS.Timeout | undefined
  await new Promise<void>(resolve => {
    const send = (): void => {
      connection.cancel(processID, secretKey)
      connection.stream.end(resolve)
    }
    timer = setTimeout(resolve, ms)
    connection.on('error', () => resolve())
    connection.once('connect', () => (isTls ? connection.requestSsl() : send()))
    connection.once('sslconnect', send)
    if (host.startsWith('/')) connection.connect(`${host}/.s.PGSQL.${port}`)
    else connection.connect(port, host)
  })
  clearTimeout(timer)
  connection.stream.destroy()
}

/** The socket of a client, which pg's types do not expose. */
function socketOf(pg: Client): { destroy(): void } {
  return (pg as unknown as { readonly connection: { readonly stream: { destroy(): void } } }).connection.stream
}

async function connected(
  address: PostgresAddress,
  applicationName: string,
  signal: AbortSignal | undefined,
): Promise<PostgresClient> {
  const { tls, host } = address
  const attempt = (ssl: false | ConnectionOptions): Promise<PostgresClient> =>
    connect(address, applicationName, ssl, signal)
  const local = host.startsWith('/')
  if (tls.mode === 'disable' || local) return await attempt(false)
  const options = await tlsOptions(address).catch((error: unknown) => {
    throw postgresError(error, address.name, 'connecting')
  })
  if (tls.mode !== 'prefer') return await attempt(options)
  try {
    return await attempt(options)
  } catch (error) {
    if (!(error instanceof DestinationError) || !speaksNoTls(error.cause)) throw error
    return await attempt(false)
  }
}

async function connect(
  address: PostgresAddress,
  applicationName: string,
  ssl: false | ConnectionOptions,
  signal: AbortSignal | undefined,
): Promise<PostgresClient> {
  const { Client, Connection } = await driver(() => import('pg'), address)
  const config: ClientConfig = {
    host: address.host,
    port: address.port,
    database: address.database,
    ...(address.user === undefined ? {} : { user: address.user }),
    ...(address.password === undefined ? {} : { password: reveal(address.password) }),
    ssl,
    application_name: applicationName,
    keepAlive: true,
    keepAliveInitialDelayMillis: 60_000,
    // Values stay texts as the server sends them: their meaning depends on the column.
    types: { getTypeParser: () => (text: string) => text },
  }
  const pg = new Client(config)
  const client = clientOf(pg, address, signal, async ms => {
    const connection = new Connection({ ssl }) as unknown as CancelConnection
    await cancelStatement(pg, connection, address, ssl !== false, ms)
  })
  try {
    await client.within(address.connectTimeoutMs, pg.connect())
  } catch (error) {
    await client.end()
    throw client.failure(error, 'connecting')
  }
  return client
}

async function tlsOptions({ tls, host }: PostgresAddress): Promise<ConnectionOptions> {
  const read = async (pem: Pem): Promise<string> =>
    'text' in pem ? reveal(pem.text) : await readFile(pem.path, 'utf8')
  const verifies = tls.mode === 'verify-ca' || tls.mode === 'verify-full'
  return {
    rejectUnauthorized: verifies,
    checkServerIdentity: (_, certificate) =>
      tls.mode === 'verify-full' ? checkServerIdentity(host, certificate) : undefined,
    ...(tls.ca === undefined ? {} : { ca: await read(tls.ca) }),
    ...(tls.cert === undefined ? {} : { cert: await read(tls.cert) }),
    ...(tls.key === undefined ? {} : { key: await read(tls.key) }),
  }
}

/** The optional package `pg`. If it is missing, the error says how to install it. */
export async function driver<T>(load: () => Promise<T>, { name: destination }: PostgresAddress): Promise<T> {
  try {
    return await load()
  } catch (error) {
    if ((error as { readonly code?: unknown }).code !== 'ERR_MODULE_NOT_FOUND') throw error
    throw new DestinationError(
      'destination',
      'Loading into Postgres needs the package pg, which is not installed: npm install pg',
      { destination, cause: error },
    )
  }
}

function arrayText(texts: readonly string[]): string {
  return `{${texts.map(text => `"${text.replace(/["\\]/g, '\\$&')}"`).join(',')}}`
}

/** A few idle sessions, so that consecutive queries do not connect each time. */
export class Clients {
  readonly #address: PostgresAddress
  readonly #signal: AbortSignal | undefined
  readonly #idle: PostgresClient[] = []
  #closed = false

  constructor(address: PostgresAddress, signal: AbortSignal | undefined) {
    this.#address = address
    this.#signal = signal
  }

  async take(applicationName = 'sluice'): Promise<PostgresClient> {
    const idle = this.#idle.pop()
    if (idle === undefined) return await openClient(this.#address, applicationName, this.#signal)
    if (idle.lost === undefined) return idle
    await idle.end()
    return await this.take(applicationName)
  }

  /** Takes back a session without an open transaction. */
  async give(client: PostgresClient): Promise<void> {
    if (this.#closed || client.lost !== undefined || this.#idle.length >= 1) await client.end()
    else this.#idle.push(client)
  }

  async close(): Promise<void> {
    this.#closed = true
    await Promise.all(this.#idle.splice(0).map(client => client.end()))
  }
}
