import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { systemClock } from '../../src/pipeline/clock.js'
import { type DevServer, startDevServer } from '../../src/worker/devServer.js'
import { main, sluiceProcess } from '../cli/process.js'

export const root = fileURLToPath(new URL('../..', import.meta.url))

export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise(resolve => server.close(resolve))
  return typeof address === 'object' && address !== null ? address.port : 0
}

/** A real Restate server on free ports, and a folder for pipelines. */
export interface Restate extends DevServer {
  readonly folder: string
  readonly adminPort: number
  /** Runs the command in the folder, with the address of this server. */
  sluice(...args: readonly string[]): ReturnType<typeof sluiceProcess>
  /** Rows of a question about the server's own tables. */
  rows(sql: string): Promise<readonly Readonly<Record<string, unknown>>[]>
}

export async function startRestate(): Promise<Restate> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-worker-'))
  const adminPort = await freePort()
  const server = await startDevServer({ folder: join(folder, 'restate'), adminPort, cwd: root, clock: systemClock })
  return {
    ...server,
    folder,
    adminPort,
    sluice: (...args) =>
      sluiceProcess(args.includes('--restate') ? args : [...args, '--restate', server.admin], { cwd: folder }),
    async rows(query) {
      const response = await fetch(`${server.admin}/query`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', accept: 'application/json' },
        body: JSON.stringify({ query }),
      })
      return ((await response.json()) as { rows: Readonly<Record<string, unknown>>[] }).rows
    },
    async close() {
      await server.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

export interface WorkerProcess {
  /** Resolves when the output holds the text; rejects with the output if the process ends before. */
  says(text: string): Promise<void>
  /** All that it wrote so far. */
  output(): string
  kill(signal: NodeJS.Signals): Promise<void>
}

/** `sluice worker` as a process of its own. */
export function startWorkerProcess(
  restate: Pick<Restate, 'folder' | 'admin'>,
  ...args: readonly string[]
): WorkerProcess {
  return startWorkerOf(main, restate, ...args)
}

/** The worker of another build. Extensions of DuckDB are passed on. */
export function startWorkerOf(
  script: string,
  restate: Pick<Restate, 'folder' | 'admin'>,
  ...args: readonly string[]
): WorkerProcess {
  const { SLUICE_DUCKDB_EXTENSIONS, NODE_OPTIONS = '' } = process.env
  const child = spawn(process.execPath, [script, 'worker', ...args, '--restate', restate.admin], {
    cwd: restate.folder,
    env: { PATH: process.env.PATH ?? '', ...(SLUICE_DUCKDB_EXTENSIONS && { SLUICE_DUCKDB_EXTENSIONS, NODE_OPTIONS }) },
  })
  let output = ''
  const waiting = new Set<() => void>()
  const wake = (): void => {
    for (const look of waiting) look()
  }
  const hear = (text: string): void => {
    output += text
    wake()
  }
  child.stdout.setEncoding('utf8').on('data', hear)
  child.stderr.setEncoding('utf8').on('data', hear)
  const closed = new Promise<void>(resolve => child.once('close', () => resolve()))
  void closed.then(wake)
  return {
    says: text =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          const isThere = output.includes(text)
          if (!isThere && child.exitCode === null && child.signalCode === null) return
          waiting.delete(look)
          if (isThere) resolve()
          else reject(new Error(`the worker ended without ${JSON.stringify(text)}: ${output}`))
        }
        waiting.add(look)
        look()
      }),
    output: () => output,
    async kill(signal) {
      child.kill(signal)
      await closed
    },
  }
}
