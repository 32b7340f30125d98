import type { ExitCode } from '../../failure.js'
import type { CommandContext } from '../command.js'
import { openPipelines, type PipelineOverrides } from '../command.js'
import { reported } from './run.js'

export interface ReplayCommandOptions extends PipelineOverrides {
  readonly select?: readonly string[] | undefined
  readonly fullRefresh?: boolean | undefined
  readonly allowIncomplete?: boolean | undefined
  readonly json?: boolean | undefined
  readonly verbose?: boolean | undefined
}

/** `sluice replay FILE [LOAD]`: loads the contents of a journal again, without a request to the API. */
export async function replayCommand(
  file: string,
  loadId: string | undefined,
  options: ReplayCommandOptions,
  context: CommandContext,
): Promise<ExitCode> {
  const { select, fullRefresh, allowIncomplete } = options
  const pipelines = await openPipelines(file, options, 'reads', context.terminal.err)
  for (const pipeline of pipelines) {
    const start = (onEvent: NonNullable<Parameters<typeof pipeline.run>[0]>['onEvent']) =>
      pipeline.replay(loadId, {
        signal: context.signal,
        onEvent,
        ...(select === undefined ? {} : { select }),
        ...(fullRefresh === true ? { refresh: 'drop_resources' as const } : {}),
        ...(allowIncomplete === undefined ? {} : { allowIncomplete }),
      })
    const name = pipelines.length === 1 ? undefined : pipeline.name
    await reported(start, { ...options, file, pipeline: name }, context)
  }
  return 0
}
