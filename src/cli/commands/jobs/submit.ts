import type { Clock } from '../../../model/source.js'
import { systemClock } from '../../../pipeline/clock.js'
import type { JobResult, RestateServer } from '../../../worker/restateServer.js'
import type { ExitCode } from '../../failure.js'
import { printable } from '../../terminal/printable.js'
import { tell } from '../../terminal/tell.js'
import type { Output } from '../../terminal/terminal.js'
import { type CommandContext, openPipeline } from '../command.js'

export interface SubmitCommandOptions {
  readonly restate: string
  readonly pipeline?: string | undefined
  readonly ingress?: string | undefined
  readonly select?: readonly string[] | undefined
  readonly fullRefresh?: boolean | undefined
  readonly limit?: number | undefined
  readonly backfill?: string | undefined
  readonly from?: string | undefined
  readonly to?: string | undefined
  readonly step?: string | undefined
  readonly newestFirst?: boolean | undefined
  readonly parallel?: number | undefined
  readonly key?: string | undefined
  readonly wait?: boolean | undefined
  readonly json?: boolean | undefined
}

const LOOK_EVERY_MS = 500

/** `sluice submit PIPELINE`: hands a run or a backfill to the workers. */
export async function submitCommand(
  named: string,
  options: SubmitCommandOptions,
  context: CommandContext,
): Promise<ExitCode> {
  const { out, err } = context.terminal
  const { RestateServer, SERVICES } = await import('../../../worker/restateServer.js')
  const server = new RestateServer(options.restate, options.ingress)
  const [handler, input] = workOf(options)
  const id = await server.send(
    SERVICES.pipeline,
    await pipelineName(named, options.pipeline, err),
    handler,
    input,
    options.key,
  )
  if (options.wait !== true) {
    if (options.json === true) out.line(JSON.stringify({ job: id }))
    else tell(out, printable(`job ${id}; \`${context.typedAs} jobs\` lists it`))
    return 0
  }
  const ended = await resultOf(server, id, context.clock ?? systemClock, context.signal)
  if (options.json === true) out.line(JSON.stringify({ job: id, ...ended }))
  else if (ended.ended === 'done') tell(out, printable(`job ${id} done: ${JSON.stringify(ended.result)}`))
  else tell(err, printable(`job ${id} failed: ${ended.message}`), 2, 'red')
  return ended.ended === 'done' ? 0 : 1
}

/** The handler, and what it gets. */
function workOf(options: SubmitCommandOptions): readonly [string, object] {
  const { backfill, from, to, step, newestFirst, parallel, select, fullRefresh, limit } = options
  if (backfill === undefined) return ['run', { select, fullRefresh, maxPages: limit }]
  const order = newestFirst === true ? 'newest_first' : undefined
  return ['backfill', { resource: backfill, from, to, step, order, parallel }]
}

/** A file gives the name of its pipeline. Secrets need not be here. */
async function pipelineName(named: string, pipeline: string | undefined, err: Output): Promise<string> {
  if (!/\.(ya?ml|json|[cm]?[jt]s)$/i.test(named)) return pipeline ?? named
  return (await openPipeline(named, { pipeline }, 'checks', err)).name
}

async function resultOf(server: RestateServer, id: string, clock: Clock, signal: AbortSignal): Promise<JobResult> {
  for (;;) {
    const result = await server.result(id)
    if (result !== undefined) return result
    await clock.sleep(LOOK_EVERY_MS, signal)
  }
}
