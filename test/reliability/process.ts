import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { RunEvent } from '../../src/model/events.js'
import type { Pipeline } from '../../src/pipeline/pipeline.js'

/** One load of the shop's API, as `loader.mjs` takes it. */
export interface Job {
  readonly url: string
  readonly home: string
  readonly destination: string
  readonly disposition: 'append' | 'replace' | 'merge'
  /** Orders are asked for from the newest change on. */
  readonly cursor?: boolean | undefined
  /** Which lists are loaded: orders, shops and their staff, or only the many visits. */
  readonly list?: 'shop' | 'visits' | undefined
  readonly moment?: Moment | undefined
}

/** When a process is killed: at the n-th event of a type, or of any, or so many milliseconds later. */
export interface Moment {
  readonly event?: RunEvent['type'] | undefined
  readonly number: number
  readonly laterMs?: number | undefined
}

export interface Ended {
  readonly exitCode: number | null
  readonly signal: NodeJS.Signals | null
  readonly output: string
}

const loader = fileURLToPath(new URL('loader.mjs', import.meta.url))

/** The pipeline of a job, to be run in this process. */
export const { shopPipeline } = (await import(loader)) as { shopPipeline(job: Job): Promise<Pipeline> }

/** Runs a job as a process of its own, which ends at its moment or with the load. */
export function loaderProcess(job: Job): { kill(): void; readonly ended: Promise<Ended> } {
  const child = spawn(process.execPath, [loader, JSON.stringify(job)], { stdio: ['ignore', 'pipe', 'pipe'] })
  const kill = (): void => void child.kill('SIGKILL')
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
      const laterMs = job.moment?.laterMs
      if (laterMs !== undefined && text.startsWith('now')) setTimeout(kill, laterMs)
    })
  }
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (exitCode, signal) => resolve({ exitCode, signal, output }))
  })
  return { kill, ended }
}
