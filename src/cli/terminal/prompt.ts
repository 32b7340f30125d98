import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'

/** The user ended the command instead of answering. */
export class NoAnswer extends Error {
  override readonly name = 'AbortError'
}

/** Asks the user. Only exists if there is somebody to answer. */
export interface Prompt {
  /** The answer, without spaces around it. A hidden answer is not shown while typing. */
  ask(question: string, options?: { readonly hidden?: boolean }): Promise<string>
}

/** Asks on a terminal. Undefined if input or output is not a terminal, so that no script waits for an answer. */
export function promptOn(
  input: NodeJS.ReadStream,
  output: NodeJS.WriteStream,
  signal: AbortSignal,
): Prompt | undefined {
  if (!input.isTTY || !output.isTTY) return undefined
  return {
    ask: (question, { hidden = false } = {}) =>
      new Promise((resolve, reject) => {
        signal.throwIfAborted()
        const echo = hidden ? new Writable({ write: (_text, _encoding, done) => done() }) : output
        const lines = createInterface({ input, output: echo, terminal: true })
        // Only now are keys ours: a Ctrl-C that answers the question must not reach the process.
        output.write(question)
        const stop = (): void => lines.close()
        signal.addEventListener('abort', stop, { once: true })
        let answered: string | undefined
        lines.setPrompt(hidden ? '' : question)
        lines.once('line', line => {
          answered = line.trim()
          lines.close()
        })
        lines.once('close', () => {
          signal.removeEventListener('abort', stop)
          if (hidden) output.write('\n')
          if (answered === undefined) {
            if (!hidden) output.write('\n')
            reject(new NoAnswer('stopped; nothing was done'))
          } else resolve(answered)
        })
      }),
  }
}
