import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

export interface Ended {
  readonly exitCode: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface CommandOptions {
  readonly cwd: string
  readonly env?: Readonly<Record<string, string>>
  /** The standard input. Default: nothing, still open. */
  readonly input?: string
  /** The script; default: the built one. */
  readonly script?: string
  /** Called with what was written to the standard output so far. */
  readonly told?: (text: string, running: { kill(signal: NodeJS.Signals): void }) => void
  /** Called once with the process, to send it signals. */
  readonly started?: (running: { kill(signal: NodeJS.Signals): void }) => void
}

export const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))

/** Runs the built command as users do: a process of its own, both outputs piped, only the given environment. */
export function sluiceProcess(args: readonly string[], options: CommandOptions): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const { PATH = '' } = process.env
    const child = spawn(process.execPath, [options.script ?? main, ...args], {
      cwd: options.cwd,
      env: { PATH, ...options.env },
    })
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
      options.told?.(stdout, { kill: signal => child.kill(signal) })
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text
    })
    child.once('error', reject)
    if (options.input !== undefined) child.stdin.end(options.input)
    child.once('close', (exitCode, signal) => resolve({ exitCode, signal, stdout, stderr }))
    options.started?.({ kill: signal => child.kill(signal) })
  })
}
