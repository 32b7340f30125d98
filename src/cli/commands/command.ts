import { ConfigError } from '../../model/errors.js'
import type { Clock } from '../../model/source.js'
import type { Pipeline } from '../../pipeline/pipeline.js'
import type { HostBudget } from '../../rest/http/hostBudget.js'
import { printable } from '../terminal/printable.js'
import type { Prompt } from '../terminal/prompt.js'
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
}

/** `reads`: the command reads only the destination, so that secrets of the API may be missing. */
export type Purpose = 'requests' | 'reads'

/**
 * The pipelines of a file. Usually one. Loads the heavy modules only now. Says the profile and the warnings of the file
 * on `output`; without one, the first events of a run say them.
 */
export async function openPipelines(
  file: string,
  { destination, dataset, profile }: PipelineOverrides,
  purpose: Purpose,
  output?: Output,
  budget?: HostBudget,
): Promise<readonly Pipeline[]> {
  const { loadPipelineFile } = await import('../../config/pipelineFile.js')
  const withoutSecrets = purpose === 'reads'
  const loaded = await loadPipelineFile(file, { destination, dataset, profile, withoutSecrets, budget })
  if (loaded.profile !== undefined) output?.line(printable(`profile ${loaded.profile}`))
  for (const warning of loaded.warnings) output?.line(output.styled('yellow', printable(`warning: ${warning}`)))
  return loaded.pipelines
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
