import type { RunEvent } from '../../model/events.js'
import { systemClock } from '../../pipeline/clock.js'
import type { Pipeline } from '../../pipeline/pipeline.js'
import type { RunResult } from '../../pipeline/setup.js'
import { printable } from '../terminal/printable.js'
import type { Output } from '../terminal/terminal.js'
import type { CommandContext, PipelineOverrides } from './command.js'

export interface RunCommandOptions extends PipelineOverrides {
  readonly select?: readonly string[] | undefined
  /** Pages of each list. */
  readonly limit?: number | undefined
  readonly concurrency?: number | undefined
  readonly json?: boolean | undefined
  readonly verbose?: boolean | undefined
  readonly debug?: boolean | undefined
  /** Of several files: stop all when one fails. */
  readonly failFast?: boolean | undefined
  readonly fullRefresh?: boolean | undefined
  readonly allowIncomplete?: boolean | undefined
  readonly keepJournal?: boolean | undefined
  /** False: `--no-resume`. */
  readonly resume?: boolean | undefined
}

/** Files stay as they are named, and folders give theirs. Says on `err` what is left out of a folder. */
export async function namedFiles(paths: readonly string[], err: Output): Promise<readonly string[]> {
  const { files, skipped } = await (await import('../../config/pipelineFiles.js')).pipelineFiles(paths)
  for (const path of skipped) err.line(printable(`${path} is no pipeline file: skipped`))
  return files
}

/** Prints each event as a line of JSON, with its time and, if there is one, the name of its pipeline. */
export function eventLines(out: Output): (event: RunEvent) => void {
  let pipeline: string | undefined
  return event => {
    if (event.type === 'run_started') pipeline = event.pipeline
    out.line(JSON.stringify({ time: new Date(systemClock.now()).toISOString(), pipeline, ...event }))
  }
}

/** Runs a pipeline as the options say. */
export function execute(
  pipeline: Pipeline,
  options: RunCommandOptions,
  context: CommandContext,
  onEvent: (event: RunEvent) => void,
): Promise<RunResult> {
  const { select, limit, concurrency, fullRefresh, allowIncomplete, keepJournal, resume } = options
  return pipeline.run({
    signal: context.signal,
    onEvent,
    ...(select === undefined ? {} : { select }),
    ...(limit === undefined ? {} : { maxPages: limit }),
    ...(concurrency === undefined ? {} : { concurrency }),
    ...(fullRefresh === true ? { refresh: 'drop_resources' } : {}),
    ...(allowIncomplete === undefined ? {} : { allowIncomplete }),
    ...(keepJournal === undefined ? {} : { keepJournal }),
    ...(resume === undefined ? {} : { resume }),
  })
}
