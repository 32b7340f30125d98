import { spawn } from 'node:child_process'
import { shortened } from '../../model/errors.js'
import type { Notice } from './notice.js'

/** Most characters that are kept of what a command says against itself. */
const LONGEST_COMPLAINT = 300

/**
 * Runs a command without a shell, with the notice as JSON on its standard input. It is killed when the signal is aborted.
 * Rejects with an Error that names the program.
 */
export async function runNotifyCommand(
  [program = '', ...args]: readonly string[],
  notice: Notice,
  { cwd, signal }: { readonly cwd: string; readonly signal: AbortSignal },
): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const child = spawn(program, args, { cwd, stdio: ['pipe', 'ignore', 'pipe'], windowsHide: true })
    let complaint = ''
    const failed = (why: string): void => {
      signal.removeEventListener('abort', stop)
      // A program that it started may hold the pipe for longer.
      child.stderr.destroy()
      reject(new Error(`the command ${program} ${why}`))
    }
    const stop = (): void => {
      child.kill('SIGKILL')
      failed('did not end in time')
    }
    signal.addEventListener('abort', stop, { once: true })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      complaint = (complaint + text).slice(-LONGEST_COMPLAINT)
    })
    // A command that does not read its input is right too.
    child.stdin.on('error', () => {})
    child.stdin.end(`${JSON.stringify(notice)}\n`)
    child.on('error', (error: NodeJS.ErrnoException) =>
      failed(`could not be started (${REASONS[error.code ?? ''] ?? error.code ?? error.message})`),
    )
    child.on('exit', (code, killedBy) => {
      if (code === 0) {
        signal.removeEventListener('abort', stop)
        child.stderr.destroy()
        resolve()
        return
      }
      const last = complaint.trim().split('\n').at(-1) ?? ''
      const said = last === '' ? '' : `: ${shortened(last, LONGEST_COMPLAINT)}`
      failed(code === null ? `was ended by ${killedBy ?? 'a signal'}` : `ended with ${code}${said}`)
    })
  })
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such program',
  EACCES: 'this user may not run it: `chmod +x` allows it',
}
