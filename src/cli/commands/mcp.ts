import { systemClock } from '../../pipeline/clock.js'
import type { ExitCode } from '../failure.js'
import type { CommandContext, PipelineOverrides } from './command.js'

export interface McpCommandOptions extends PipelineOverrides {
  readonly allowRun?: boolean | undefined
  readonly version: string
}

/** `sluice mcp [FILES]`: answers the tools of a coding agent, until its client ends. Nothing else is written to the standard output. */
export async function mcpCommand(
  paths: readonly string[],
  { allowRun = false, version, destination, dataset, profile }: McpCommandOptions,
  { input, signal, clock = systemClock }: CommandContext,
): Promise<ExitCode> {
  const [{ OpenPipelines }, { serveTools }] = await Promise.all([
    import('../../studio/openPipelines.js'),
    import('../mcp/toolServer.js'),
  ])
  const pipelines = new OpenPipelines(paths.length === 0 ? ['.'] : paths, { destination, dataset, profile })
  await pipelines.begin()
  await serveTools({ pipelines, allowRun, version, clock, input, signal })
  return 0
}
