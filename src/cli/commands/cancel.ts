import type { ExitCode } from '../failure.js'
import { printable } from '../terminal/printable.js'
import { tell } from '../terminal/tell.js'
import type { CommandContext } from './command.js'

/** `sluice cancel JOB`: stops a job. */
export async function cancelCommand(
  job: string,
  { restate, force = false }: { readonly restate: string; readonly force?: boolean | undefined },
  { terminal: { out } }: CommandContext,
): Promise<ExitCode> {
  const { RestateServer } = await import('../../worker/restateServer.js')
  await new RestateServer(restate).cancel(job, force)
  tell(out, printable(`job ${job} ${force ? 'is ended' : 'is told to stop'}; what it has committed stays`))
  return 0
}
