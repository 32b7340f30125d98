import { readFile } from 'node:fs/promises'
import { type ConnectionOptions, checkServerIdentity } from 'node:tls'
import type { Client, ClientConfig, QueryResult } from 'pg'
import { DestinationError } from '../../model/errors.js'
import { reveal } from '../../model/secrets/secret.js'
import type { SqlValue } from '../sql/sqlSession.js'
import type { Address, Pem } from './postgresAddress.js'
import { isConnectionLoss, postgresError } from './postgresErrors.js'

/** One session of the server. */
export interface PostgresClient {
  readonly pg: Client
  /** Set once the connection is lost. Every further statement fails with it. */
  readonly lost: Error | undefined
  /** Rows as arrays of texts, as printed by the server. */
  query(sql: string, values?: readonly (SqlValue | Buffer)[]): Promise<TextResult>
  /** Closes the session in order. Idempotent, never fails. */
  end(): Promise<void>
  /** Closes at once. The server rolls back what the session was doing. */
  destroy(): void
}

interface TextResult {
  readonly rows: readonly (readonly (string | null)[])[]
  /** Rows that were changed. */
  readonly changed: number
}

type Settings = readonly (readonly [name: string, value: string])[]

/** The meaning of rows and statements depends on these. */
function requiredSettings(address: Address): Settings {
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
const OPTIONAL_SETTINGS: Settings = [
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

/** Opens a session. Fails with a DestinationError that says what to check, and leaves nothing open. */
export async function openClient(address: Address, applicationName: string): Promise<PostgresClient> {
  let client: PostgresClient | undefined
  try {
    client = clientOf(await connected(address, applicationName))
    await set(client, requiredSettings(address))
    await setWhatIsTaken(client, OPTIONAL_SETTINGS)
    return client
  } catch (error) {
    await client?.end()
    throw postgresError(error, address.name, 'connecting')
  }
}

/** All at once. If one of them is refused, one by one. */
async function setWhatIsTaken(client: PostgresClient, settings: Settings): Promise<void> {
  try {
    await set(client, settings)
  } catch (error) {
    if (client.lost !== undefined || isConnectionLoss(error)) throw error
    const [, ...others] = settings
    if (others.length > 0) for (const setting of settings) await setWhatIsTaken(client, [setting])
  }
}

/** Leaves out settings that the server does not know. */
async function set(client: PostgresClient, settings: Settings): Promise<void> {
  const [names, values] = [settings.map(([name]) => name), settings.map(([, value]) => value)]
  await client.query(
    `SELECT pg_catalog.set_config(s.name, v.value, false) FROM unnest($1::text[], $2::text[]) AS v(name, value) JOIN pg_catalog.pg_settings AS s ON lower(s.name) = v.name`,
    [arrayText(names), arrayText(values)],
  )
}

function clientOf(pg: Client): PostgresClient {
  let lost: Error | undefined
  let ended: Promise<void> | undefined
  pg.on('error', error => {
    lost ??= error
  })
  return {
    pg,
    get lost() {
      return lost
    },
    async query(sql, values) {
      if (lost !== undefined) throw lost
      const result: QueryResult<(string | null)[]> = await pg.query({
        text: sql,
        rowMode: 'array',
        ...(values === undefined
          ? {}
          : { values: values.map(value => (typeof value === 'bigint' ? String(value) : value)) }),
      })
      return { rows: result.rows, changed: result.rowCount ?? 0 }
    },
    async end() {
      ended ??= pg.end().catch(() => {})
      await ended
    },
    destroy() {
      socketOf(pg).destroy()
    },
  }
}

/** The socket of a client, which pg's types do not expose. */
function socketOf(pg: Client): { destroy(): void } {
  return (pg as unknown as { readonly connection: { readonly stream: { destroy(): void } } }).connection.stream
}

async function connected(address: Address, applicationName: string): Promise<Client> {
  const { tls, host } = address
  const local = host.startsWith('/')
  if (tls.mode === 'disable' || local) return await attempt(address, applicationName, false)
  const options = await tlsOptions(address)
  if (tls.mode !== 'prefer') return await attempt(address, applicationName, options)
  try {
    return await attempt(address, applicationName, options)
  } catch (error) {
    if (!(error instanceof Error) || !/does not support SSL/i.test(error.message)) throw error
    return await attempt(address, applicationName, false)
  }
}

async function attempt(address: Address, applicationName: string, ssl: false | ConnectionOptions): Promise<Client> {
  const { Client } = await driver(() => import('pg'), address)
  const config: ClientConfig = {
    host: address.host,
    port: address.port,
    database: address.database,
    ...(address.user === undefined ? {} : { user: address.user }),
    ...(address.password === undefined ? {} : { password: reveal(address.password) }),
    ssl,
    application_name: applicationName,
    connectionTimeoutMillis: address.connectTimeoutMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: 60_000,
    // Values stay texts as the server sends them: their meaning depends on the column.
    types: { getTypeParser: () => (text: string) => text },
  }
  const client = new Client(config)
  // Without a listener, a lost connection would end the process.
  client.on('error', () => {})
  try {
    await client.connect()
  } catch (error) {
    await client.end().catch(() => {})
    throw error
  }
  return client
}

async function tlsOptions({ tls, host }: Address): Promise<ConnectionOptions> {
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
export async function driver<T>(load: () => Promise<T>, { name: destination }: Address): Promise<T> {
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
  readonly #address: Address
  readonly #idle: PostgresClient[] = []
  #closed = false

  constructor(address: Address) {
    this.#address = address
  }

  async take(applicationName = 'sluice'): Promise<PostgresClient> {
    const idle = this.#idle.pop()
    if (idle === undefined) return await openClient(this.#address, applicationName)
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
