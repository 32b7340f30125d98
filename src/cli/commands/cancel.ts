import type { ExitCode } from '../failure.js'
import { printable } from '../terminal/printable.js'
import { tell } from '../terminal/tell.js'
import type { CommandContext } from './command.js'

/** `sluice cancel JOB`: stops a job. */
export async function cancelCommand(
  job: string,
  { restate }: { readonly restate: string },
  { terminal: { out } }: CommandContext,
): Promise<ExitCode> {
  const { RestateServer } = await import('../../worker/restateServer.js')
  await new RestateServer(restate).cancel(job)
  tell(out, printable(`job ${job} is told to stop; what it has committed stays`))
  return 0
}
