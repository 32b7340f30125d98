import type { ExitCode } from '../../failure.js'
import { counted, printable } from '../../terminal/printable.js'
import { tell } from '../../terminal/tell.js'
import type { CommandContext } from '../command.js'

export interface ServeCommandOptions {
  readonly port?: number | undefined
  readonly auth?: boolean | undefined
  readonly faults?: boolean | undefined
}

/** `sluice serve RECORDING`: the recording as an API on 127.0.0.1, until Ctrl-C. */
export async function serveCommand(
  path: string,
  { port, auth, faults }: ServeCommandOptions,
  { terminal, signal }: CommandContext,
): Promise<ExitCode> {
  const { readRecording } = await import('../../../recording/recordingFile.js')
  const { serveRecording } = await import('../../../recording/serveRecording.js')
  const recording = await readRecording(path)
  const { origin, close } = await serveRecording(recording, { port, needsAuth: auth, faults })
  const stopped = new Promise<void>(resolve => {
    signal.addEventListener('abort', () => resolve(), { once: true })
    if (signal.aborted) resolve()
  })
  tell(
    terminal.out,
    printable(`${origin}: ${counted(recording.exchanges.length, 'answer')} of ${recording.pipeline}; Ctrl-C ends it`),
  )
  await stopped
  await close()
  return 0
}
