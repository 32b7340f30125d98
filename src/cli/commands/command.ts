import type { Environment } from '../../config/lookup/environment.js'
import type { PipelineFile } from '../../config/pipelineFile.js'
import { ConfigError } from '../../model/errors.js'
import type { RunEvent } from '../../model/events.js'
import type { Clock } from '../../model/source.js'
import { systemClock } from '../../pipeline/clock.js'
import type { Pipeline } from '../../pipeline/pipeline.js'
import type { RunResult } from '../../pipeline/setup.js'
import type { HostBudget } from '../../rest/http/rateLimit.js'
import { printable } from '../terminal/printable.js'
import type { Prompt } from '../terminal/prompt.js'
import { isNewWarning, tell } from '../terminal/tell.js'
import type { Output, Terminal } from '../terminal/terminal.js'

/** What every command gets besides its arguments. */
export interface CommandContext {
  readonly terminal: Terminal
  /** The standard input. */
  readonly input?: NodeJS.ReadStream | undefined
  /** Absent if there is nobody to ask. */
  readonly prompt?: Prompt | undefined
  /** Aborted when the user asks to stop. */
  readonly signal: AbortSignal
  /** Milliseconds; never goes back. */
  readonly now: () => number
  /** How the user types this command: `npx sluice` if it belongs to a project. */
  readonly typedAs: 'sluice' | 'npx sluice'
  /** For waits. Default: that of this machine. */
  readonly clock?: Clock | undefined
}

/** Command-line options that override the file. */
export interface PipelineOverrides {
  readonly destination?: string | undefined
  readonly dataset?: string | undefined
  readonly profile?: string | undefined
  /** Default: the environment of this process. */
  readonly env?: Environment | undefined
}

/**
 * `reads`: the command reads only the destination, so that secrets of the API may be missing. `checks`: it only looks at
 * the file.
 */
export type Purpose = 'requests' | 'reads' | 'checks'

/**
 * The pipelines of a file. Usually one. Loads the heavy modules only now. Says the profile and the warnings of the file
 * on `output`; without one, the first events of a run say them.
 */
export async function openPipelines(
  file: string,
  overrides: PipelineOverrides,
  purpose: Purpose,
  output?: Output,
  budget?: HostBudget,
): Promise<readonly Pipeline[]> {
  return (await openFile(file, overrides, purpose, output, budget)).pipelines
}

/** The same with what else the file says. */
export async function openFile(
  file: string,
  { destination, dataset, profile, env }: PipelineOverrides,
  purpose: Purpose,
  output?: Output,
  budget?: HostBudget,
): Promise<PipelineFile> {
  const { loadPipelineFile } = await import('../../config/pipelineFile.js')
  const withoutSecrets = purpose === 'reads'
  const offline = purpose === 'checks'
  const loaded = await loadPipelineFile(file, { destination, dataset, profile, env, withoutSecrets, offline, budget })
  if (output !== undefined) {
    if (loaded.profile !== undefined) tell(output, printable(`profile ${loaded.profile}`))
    for (const warning of loaded.warnings) {
      if (isNewWarning(output, warning)) tell(output, printable(`warning: ${warning}`), 2, 'yellow')
    }
  }
  return loaded
}

/** The one pipeline of a file. If it has several, `name` selects one. Throws a ConfigError otherwise. */
export async function openPipeline(
  file: string,
  overrides: PipelineOverrides & { readonly pipeline?: string | undefined },
  purpose: Purpose,
  output: Output,
): Promise<Pipeline> {
  const pipelines = await openPipelines(file, overrides, purpose, output)
  const { pipeline: name } = overrides
  const chosen = name === undefined ? pipelines : pipelines.filter(pipeline => pipeline.name === name)
  const [only, second] = chosen
  if (only !== undefined && second === undefined) return only
  const names = pipelines.map(pipeline => pipeline.name).join(', ')
  const message =
    name === undefined
      ? `holds several pipelines, ${names}: say which one with --pipeline`
      : `has no pipeline ${name}; it has ${names}`
  throw new ConfigError([{ place: { path: '', file }, message }])
}

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
  for (const path of skipped) tell(err, printable(`${path} is not a pipeline file: skipped`))
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

/** Whether the event says again what was said of another pipeline: the pipelines of a folder share their files of secrets. */
export function isRepeated(event: RunEvent, err: Output): boolean {
  return event.type === 'warning' && event.code === 'secrets_file_readable' && !isNewWarning(err, event.message)
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
