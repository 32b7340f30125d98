import type { Dropped } from '../../../pipeline/look/dropResources.js'
import type { ExitCode } from '../../failure.js'
import { counted, printable } from '../../terminal/printable.js'
import { tell } from '../../terminal/tell.js'
import type { CommandContext } from '../command.js'
import { openPipeline, type PipelineOverrides } from '../command.js'

export interface DropCommandOptions extends PipelineOverrides {
  readonly pipeline?: string | undefined
  /** Do not ask. */
  readonly yes?: boolean | undefined
}

/** `sluice drop FILE RESOURCE…`: drops tables and state of resources, after asking. */
export async function dropCommand(
  file: string,
  resources: readonly string[],
  options: DropCommandOptions,
  context: CommandContext,
): Promise<ExitCode> {
  const { out, err } = context.terminal
  const { signal, prompt } = context
  const pipeline = await openPipeline(file, options, 'reads', err)
  const plan = await pipeline.drop(resources, { signal, dryRun: true })
  if (options.yes !== true) {
    const place = `${pipeline.destination.name}, dataset ${pipeline.datasetName}`
    tell(err, printable(`This drops, in ${place}: ${summary(plan)}`))
    if (prompt === undefined) {
      tell(err, 'Nothing was dropped: there is no terminal to ask on; --yes drops without asking.')
      return 2
    }
    const answer = await prompt.ask('Drop them? [y/N] ')
    if (!/^y(es)?$/i.test(answer)) {
      out.line('Nothing was dropped.')
      return 1
    }
  }
  const dropped = await pipeline.drop(resources, { signal })
  tell(out, printable(`Load ${dropped.loadId ?? ''} committed, dropped: ${summary(dropped)}`))
  return 0
}

function summary({ tables, cursors, resources, losing }: Dropped): string {
  const listed = tables.length === 0 ? 'no tables' : `${counted(tables.length, 'table')} (${tables.join(', ')})`
  const state = cursors.length === 0 ? '' : `, ${counted(cursors.length, 'cursor')} (${cursors.join(', ')})`
  const others = losing
    .map(({ pipeline, resets }) => {
      const reset = resets.length === 0 ? '' : ` and its cursors for ${resets.join(', ')}`
      return `, with the rows of pipeline ${pipeline}${reset}`
    })
    .join('')
  return `${listed} and the state of ${resources.join(', ')}${state}${others}`
}
