import type { ExitCode } from '../../failure.js'
import { printable, printableLines, wrapped } from '../../terminal/printable.js'
import { textTable } from '../../terminal/table.js'
import { tell } from '../../terminal/tell.js'
import { widthOf } from '../../terminal/terminal.js'
import type { CommandContext } from '../command.js'

export interface JobsCommandOptions {
  readonly restate: string
  readonly limit?: number | undefined
  readonly json?: boolean | undefined
}

const MOST_JOBS = 20

/** `sluice jobs`: the newest jobs of a server, and why they failed. */
export async function jobsCommand(
  { restate, limit = MOST_JOBS, json }: JobsCommandOptions,
  { terminal: { out } }: CommandContext,
): Promise<ExitCode> {
  const { RestateServer } = await import('../../../worker/restateServer.js')
  const jobs = await new RestateServer(restate).jobs(limit)
  if (json === true) {
    for (const job of jobs) out.line(JSON.stringify(job))
    return 0
  }
  if (jobs.length === 0) {
    out.line('no jobs yet; `sluice submit FILE` submits one')
    return 0
  }
  const rows = jobs.map(({ id, pipeline, kind, state, createdAt }) => [
    id,
    pipeline,
    kind,
    state,
    `${createdAt.toISOString().slice(0, 19)}Z`,
  ])
  for (const line of textTable(COLUMNS, rows, widthOf(out))) out.line(line)
  for (const { id, failure } of jobs) {
    if (failure === undefined) continue
    out.line('')
    for (const part of printableLines(`${id}: ${failure}`).split('\n'))
      for (const line of wrapped(part, widthOf(out), 2)) out.line(line)
  }
  return 0
}

const COLUMNS = [{ title: 'job' }, { title: 'pipeline' }, { title: 'kind' }, { title: 'state' }, { title: 'since' }]

/** `sluice cancel JOB`: stops a job. */
export async function cancelCommand(
  job: string,
  { restate, force = false }: { readonly restate: string; readonly force?: boolean | undefined },
  { terminal: { out } }: CommandContext,
): Promise<ExitCode> {
  const { RestateServer } = await import('../../../worker/restateServer.js')
  await new RestateServer(restate).cancel(job, force)
  tell(out, printable(`job ${job} ${force ? 'was ended' : 'was told to stop'}; what it has committed stays`))
  return 0
}
