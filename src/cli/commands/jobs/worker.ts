import { join } from 'node:path'
import { ConfigError } from '../../../model/errors.js'
import { systemClock } from '../../../pipeline/clock.js'
import type { WorkEvent } from '../../../worker/pipelineServices.js'
import type { ExitCode } from '../../failure.js'
import { printable } from '../../terminal/printable.js'
import { tell } from '../../terminal/tell.js'
import { type CommandContext, namedFiles, type PipelineOverrides } from '../command.js'

export interface WorkerCommandOptions extends PipelineOverrides {
  readonly restate: string
  readonly dev?: boolean | undefined
  readonly host?: string | undefined
  readonly port?: number | undefined
  readonly url?: string | undefined
  readonly identityKey?: readonly string[] | undefined
  readonly json?: boolean | undefined
  readonly verbose?: boolean | undefined
}

/** A job in flight belongs to the address of its worker: one that starts again has the same. */
const PORT = 9080

/** `sluice worker FILES`: serves pipelines to a Restate server, until Ctrl-C. */
export async function workerCommand(
  paths: readonly string[],
  options: WorkerCommandOptions,
  context: CommandContext,
): Promise<ExitCode> {
  const { out, err } = context.terminal
  const { destination, dataset, profile, host, port = PORT, url, identityKey, json } = options
  const { RestateServer } = await import('../../../worker/restateServer.js')
  const { startWorker } = await import('../../../worker/startWorker.js')
  const clock = context.clock ?? systemClock
  const files = await namedFiles(paths, err)
  const server = new RestateServer(options.restate)
  const dev = options.dev === true ? await devServer(options.restate, clock) : undefined
  try {
    const worker = await startWorker({
      files,
      from: { destination, dataset, profile },
      server,
      host,
      port,
      url,
      identityKeys: identityKey,
      now: clock.now(),
      onWork: event => {
        if (json === true) out.line(JSON.stringify({ time: new Date(clock.now()).toISOString(), ...event }))
        else for (const line of told(event, options.verbose === true)) tell(out, printable(line))
      },
    })
    if (json !== true) {
      if (dev !== undefined) tell(out, printable(`Restate server at ${dev.admin}, with a page at ${dev.admin}/ui`))
      tell(out, printable(`${worker.pipelines.join(', ')}: served at ${worker.url}; Ctrl-C ends it`))
      for (const [name, schedule] of worker.schedules) tell(out, printable(`${name} runs by itself: ${schedule}`))
    }
    await new Promise<void>(resolve => {
      context.signal.addEventListener('abort', () => resolve(), { once: true })
      if (context.signal.aborted) resolve()
    })
    await worker.close()
    return 0
  } finally {
    await dev?.close()
  }
}

async function devServer(admin: string, clock: NonNullable<CommandContext['clock']>) {
  const { startDevServer } = await import('../../../worker/devServer.js')
  const { hostname, port, protocol } = new URL(admin)
  if (protocol !== 'http:' || !['127.0.0.1', 'localhost'].includes(hostname) || port === '') {
    const message = `${admin} is no address for a server on this machine; expected one as in http://127.0.0.1:9070`
    throw new ConfigError([{ place: { path: '--restate' }, message }])
  }
  const cwd = process.cwd()
  return await startDevServer({ folder: join(cwd, '.sluice', 'restate'), adminPort: Number(port), cwd, clock })
}

function told(event: WorkEvent, isVerbose: boolean): readonly string[] {
  const { pipeline } = event
  switch (event.type) {
    case 'event':
      return isVerbose ? [`${pipeline}: ${JSON.stringify(event.event)}`] : []
    case 'failed':
      return [`${pipeline}: ${event.what} failed: ${event.message}`]
    default:
      return event.what === 'look' ? [] : [`${pipeline}: ${event.what} ${event.type}`]
  }
}
