import { createServer, type ServerHttp2Session } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { resolve } from 'node:path'
import { fileDigest } from '../config/file/fileDigest.js'
import { loadPipelineFile, type PipelineFileOptions } from '../config/pipelineFile.js'
import { refuseMissing } from '../config/pipelineFiles.js'
import { nextTime } from '../config/schedule.js'
import { ConfigError, portError } from '../model/errors.js'
import { pipelineServices, type ServedPipeline, type WorkEvent } from './pipelineServices.js'
import { budgetObject, leaseAnswer, leasedBudget } from './requestBudget.js'
import { restateSdk } from './restateSdk.js'
import { type RestateServer, SERVICES } from './restateServer.js'

export interface WorkerOptions {
  readonly files: readonly string[]
  /** For the files: profile, destination, environment. */
  readonly from?: Omit<PipelineFileOptions, 'budget'> | undefined
  readonly server: RestateServer
  /** Where to listen. Default 127.0.0.1. */
  readonly host?: string | undefined
  /** Default 0: a free one. */
  readonly port?: number | undefined
  /** Address of this worker, or of what stands before several, as the server sees it. Default: host and port. */
  readonly url?: string | undefined
  /** Public keys of the server. With one, whoever else calls is refused. */
  readonly identityKeys?: readonly string[] | undefined
  /** Attempts of a run or a window. Default 5. */
  readonly attempts?: number | undefined
  /** Before the second attempt. Default 10,000; each further wait is twice as long. */
  readonly retryDelayMs?: number | undefined
  readonly onWork?: ((event: WorkEvent) => void) | undefined
  /** The time, to check schedules. Milliseconds since the epoch. */
  readonly now: number
}

export interface Worker {
  /** The address that the server knows. */
  readonly url: string
  /** Names of its pipelines. */
  readonly pipelines: readonly string[]
  /** Those that run by themselves. */
  readonly schedules: ReadonlyMap<string, string>
  /** Ends the connections. Jobs in flight go to another worker, or wait for one. */
  close(): Promise<void>
}

/**
 * Serves the pipelines of these files to a Restate server, and tells the server where. Pipelines with a `schedule` begin
 * to run by it. Rejects with a ConfigError about a file, a port or the server.
 */
export async function startWorker(options: WorkerOptions): Promise<Worker> {
  const sdk = await restateSdk()
  const { server, onWork = () => {} } = options
  const budget = leasedBudget({
    lease: async (origin, asked) => leaseAnswer.parse(await server.call(SERVICES.budget, origin, 'lease', asked)),
    pause: async (origin, delayMs) => void (await server.send(SERVICES.budget, origin, 'pause', { delayMs })),
  })
  await refuseMissing(options.files)
  const served = new Map<string, ServedPipeline>()
  const schedules = new Map<string, string>()
  for (const file of options.files) {
    const digest = await fileDigest(resolve(options.from?.cwd ?? '', file))
    const { pipelines, schedule } = await loadPipelineFile(file, { ...options.from, budget })
    for (const pipeline of pipelines) {
      if (served.has(pipeline.name))
        throw wrong(file, `two pipelines are named ${pipeline.name}: give one another name`)
      served.set(pipeline.name, { pipeline, digest })
      if (schedule !== undefined) schedules.set(pipeline.name, checkedSchedule(schedule, file, options.now))
    }
  }
  const { attempts = 5, retryDelayMs = 10_000 } = options
  const handler = sdk.createEndpointHandler({
    services: [...pipelineServices(sdk, served, { onWork, attempts, retryDelayMs }), budgetObject(sdk)],
    ...(options.identityKeys !== undefined && { identityKeys: [...options.identityKeys] }),
    // What happens in a job is told by `onWork`, and failures by the engine.
    logger: () => {},
  })
  const { host = '127.0.0.1', port = 0 } = options
  const http = createServer(handler)
  const sessions = new Set<ServerHttp2Session>()
  http.on('session', session => {
    sessions.add(session)
    session.once('close', () => sessions.delete(session))
  })
  await new Promise<void>((resolve, reject) => {
    http.once('error', error => reject(portError(error, { port, host })))
    http.listen(port, host, resolve)
  })
  const close = (): Promise<void> =>
    new Promise(resolve => {
      http.close(() => resolve())
      for (const session of sessions) session.destroy()
    })
  const url = options.url ?? `http://${host.includes(':') ? `[${host}]` : host}:${(http.address() as AddressInfo).port}`
  try {
    await server.register(url)
    for (const name of served.keys()) {
      await server.send(SERVICES.pipeline, name, 'schedule', { schedule: schedules.get(name) ?? null })
    }
  } catch (error) {
    await close()
    throw error
  }
  return { url, pipelines: [...served.keys()], schedules, close }
}

function checkedSchedule(schedule: string, file: string, now: number): string {
  try {
    if (nextTime(schedule, now) !== undefined) return schedule
  } catch (error) {
    throw wrong(
      file,
      `schedule: ${JSON.stringify(schedule)} is none (${(error as Error).message}); expected one as in "0 6 * * *"`,
    )
  }
  throw wrong(file, `schedule: ${JSON.stringify(schedule)} is never due`)
}

function wrong(path: string, message: string): ConfigError {
  return new ConfigError([{ place: { path }, message }])
}
