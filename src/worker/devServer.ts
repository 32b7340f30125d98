import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { ConfigError } from '../model/errors.js'
import type { Clock } from '../model/source.js'

export interface DevServer {
  /** Address of its admin API. */
  readonly admin: string
  close(): Promise<void>
}

export interface DevServerOptions {
  /** Folder of its data. A later server goes on with them. */
  readonly folder: string
  /** Of the admin API on 127.0.0.1. */
  readonly adminPort: number
  /** Project that holds the package of the server. */
  readonly cwd: string
  readonly clock: Clock
}

const START_MS = 30_000
const LOOK_EVERY_MS = 50

/**
 * Starts a Restate server on 127.0.0.1, from the npm package `@restatedev/restate-server`. It sends nothing to
 * anywhere, and ends with this process, also if that is killed. Rejects with a ConfigError if the package is missing or the server does not start.
 */
export async function startDevServer({ folder, adminPort, cwd, clock }: DevServerOptions): Promise<DevServer> {
  const admin = `http://127.0.0.1:${adminPort}`
  if (await isHealthy(admin)) {
    const message = `a Restate server answers at ${admin} already: leave --dev out to work for that one, or name another address with --restate`
    throw new ConfigError([{ place: { path: '--dev' }, message }])
  }
  const binary = serverBinary(cwd)
  await mkdir(folder, { recursive: true })
  const settings = join(folder, 'restate.toml')
  const [ingressPort, nodePort] = [await freePort(), await freePort()]
  const lines = [
    'disable-telemetry = true',
    'listen-mode = "tcp"',
    'log-filter = "error"',
    `base-dir = ${JSON.stringify(folder)}`,
    'bind-ip = "127.0.0.1"',
    `bind-port = ${nodePort}`,
    `advertised-address = "http://127.0.0.1:${nodePort}/"`,
    'node-name = "sluice-dev"',
    '[ingress]',
    `bind-port = ${ingressPort}`,
    '[admin]',
    `bind-port = ${adminPort}`,
  ]
  await writeFile(settings, `${lines.join('\n')}\n`)
  const child = spawn('/bin/sh', ['-c', GUARD, 'sluice-dev', binary, '--config-file', settings], {
    cwd: folder,
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  // The guard may be gone before its pipe is closed.
  child.stdin.on('error', () => {})
  let last = ''
  const keep = (text: Buffer): void => {
    last = `${last}${text}`.slice(-2_000)
  }
  child.stdout.on('data', keep)
  child.stderr.on('data', keep)
  const until = clock.now() + START_MS
  while (!(await isHealthy(admin))) {
    if (child.exitCode !== null || clock.now() > until) {
      await ended(child)
      const message = `the Restate server did not start on port ${adminPort}: ${last.trim() || 'it said nothing'}`
      throw new ConfigError([{ place: { path: '--dev' }, message }])
    }
    await clock.sleep(LOOK_EVERY_MS)
  }
  return { admin, close: () => ended(child) }
}

/**
 * Runs the server, and ends it as soon as the standard input ends: the system closes that pipe also if this process is
 * killed. There is no server for Windows, so that there is a shell. Ctrl-C reaches the guard too, which waits for its server.
 */
const GUARD = `
"$@" & server=$!
exec 3<&0
(cat <&3 >/dev/null; kill "$server") 2>/dev/null & watch=$!
trap : INT TERM
while :; do
  wait "$server"; code=$?
  kill -0 "$server" 2>/dev/null || break
done
kill "$watch" 2>/dev/null
exit "$code"
`

function serverBinary(cwd: string): string {
  try {
    const name = `@restatedev/restate-server-${process.platform}-${process.arch}/bin/restate-server`
    const require = createRequire(join(cwd, 'package.json'))
    return createRequire(require.resolve('@restatedev/restate-server/package.json')).resolve(name)
  } catch {
    const message =
      'the server comes with the package @restatedev/restate-server, which is not installed here: npm install --save-dev @restatedev/restate-server'
    throw new ConfigError([{ place: { path: '--dev' }, message }])
  }
}

async function isHealthy(admin: string): Promise<boolean> {
  try {
    return (await fetch(`${admin}/health`, { signal: AbortSignal.timeout(1_000) })).ok
  } catch {
    return false
  }
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise(resolve => server.close(resolve))
  return typeof address === 'object' && address !== null ? address.port : 0
}

async function ended(child: ChildProcessWithoutNullStreams): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  await new Promise(resolve => {
    child.once('exit', resolve)
    child.stdin.end()
  })
}
