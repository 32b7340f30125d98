import { randomUUID } from 'node:crypto'
import { AbortError, SluiceError } from '../model/errors.js'
import type { Clock } from '../model/source.js'
import type { Pipeline } from '../pipeline/pipeline.js'
import type { RunAsked, RunFacts, RunNews } from './pageContract.js'

/** Events of a run that are kept for pages that come later. The oldest go first. */
const MOST_NEWS = 20_000
/** Ended runs that are kept. */
const MOST_ENDED = 50
const MEMORY_EVERY_MS = 1_000

type Listener = (news: RunNews) => void

interface LoadRun {
  facts: RunFacts
  readonly news: RunNews[]
  readonly listeners: Set<Listener>
  readonly stop: AbortController
  readonly ended: Promise<void>
}

/** Runs that the page started, each with its events. */
export class LoadRuns {
  readonly #clock: Clock
  readonly #runs = new Map<string, LoadRun>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Newest first. */
  get all(): readonly RunFacts[] {
    return [...this.#runs.values()].map(({ facts }) => facts).reverse()
  }

  runningOf(pipelineId: string): string | undefined {
    return this.all.find(facts => facts.pipelineId === pipelineId && facts.state === 'running')?.run
  }

  /** Starts a run. One that goes on already is given instead of a second one. */
  start(pipelineId: string, pipeline: Pipeline, asked: RunAsked): RunFacts {
    const running = this.#runs.get(this.runningOf(pipelineId) ?? '')
    if (running !== undefined) return running.facts
    const startedMs = this.#clock.now()
    const stop = new AbortController()
    const facts: RunFacts = {
      run: randomUUID(),
      pipelineId,
      pipeline: pipeline.name,
      startedAt: new Date(startedMs).toISOString(),
      state: 'running',
    }
    const news: RunNews[] = []
    const listeners = new Set<Listener>()
    let number = 0
    const tell = (event: RunNews['event']): void => {
      number += 1
      const one = { number, atMs: this.#clock.now() - startedMs, event }
      news.push(one)
      if (news.length > MOST_NEWS) news.shift()
      for (const listener of listeners) listener(one)
    }
    const memory = setInterval(() => tell({ type: 'memory', bytes: process.memoryUsage.rss() }), MEMORY_EVERY_MS)
    const { limit: maxPages, select, fullRefresh, allowIncomplete, keepJournal } = asked
    const work = async (): Promise<Pick<RunFacts, 'state' | 'problem'>> => {
      try {
        const { loadId } = await pipeline.run({
          signal: stop.signal,
          onEvent: tell,
          ...(maxPages !== undefined && { maxPages }),
          ...(select !== undefined && { select }),
          ...(allowIncomplete !== undefined && { allowIncomplete }),
          ...(keepJournal !== undefined && { keepJournal }),
          ...(fullRefresh === true && { refresh: 'drop_resources' }),
        })
        return { state: loadId === undefined ? 'nothing_new' : 'committed' }
      } catch (error) {
        return { state: error instanceof AbortError ? 'stopped' : 'failed', problem: problemOf(error) }
      }
    }
    const ended = work().then(end => {
      clearInterval(memory)
      run.facts = { ...facts, ...end }
      tell({ type: 'ended', facts: run.facts })
      this.#forgetOldest()
    })
    const run: LoadRun = { facts, news, listeners, stop, ended }
    this.#runs.set(facts.run, run)
    return facts
  }

  /** False if there is no such run. */
  stop(run: string): boolean {
    const found = this.#runs.get(run)
    found?.stop.abort(new Error('the studio stopped it'))
    return found !== undefined
  }

  /** Tells what was kept behind number `from`, then what comes, until `signal`. Undefined if there is no such run. */
  listen(run: string, from: number, listener: Listener): (() => void) | undefined {
    const found = this.#runs.get(run)
    if (found === undefined) return undefined
    // Whoever has heard all of an ended run hears its end again, and waits for nothing.
    const last = found.facts.state === 'running' ? undefined : found.news.at(-1)
    for (const one of found.news) if (one.number > from || one === last) listener(one)
    found.listeners.add(listener)
    return () => void found.listeners.delete(listener)
  }

  /** Stops every run and waits for its end. */
  async close(): Promise<void> {
    for (const { stop } of this.#runs.values()) stop.abort(new Error('the studio ends'))
    await Promise.all([...this.#runs.values()].map(({ ended }) => ended))
  }

  #forgetOldest(): void {
    const ended = [...this.#runs].filter(([, { facts }]) => facts.state !== 'running')
    for (const [run] of ended.slice(0, Math.max(0, ended.length - MOST_ENDED))) this.#runs.delete(run)
  }
}

/** What went wrong, without a stack. Everything that leaves a pipeline is without secrets. */
export function problemOf(error: unknown): string {
  return error instanceof SluiceError || error instanceof Error ? error.message : String(error)
}
