import { stringifyJson } from '../../../json/write.js'
import type { PipelineState } from '../../../model/pipelineState.js'
import type { ExitCode } from '../../failure.js'
import { printable } from '../../terminal/printable.js'
import { textTable } from '../../terminal/table.js'
import { tell } from '../../terminal/tell.js'
import { widthOf } from '../../terminal/terminal.js'
import type { CommandContext } from '../command.js'
import { openPipeline, type PipelineOverrides } from '../command.js'
import { nothingLoaded } from './schema.js'

export interface StateCommandOptions extends PipelineOverrides {
  readonly pipeline?: string | undefined
  /** Resources whose cursors to reset. */
  readonly reset?: readonly string[] | undefined
  readonly json?: boolean | undefined
}

/** `sluice state FILE`: shows where incremental loading continues. With `--reset`, resets it. */
export async function stateCommand(
  file: string,
  options: StateCommandOptions,
  context: CommandContext,
): Promise<ExitCode> {
  const { out, err } = context.terminal
  const pipeline = await openPipeline(file, options, 'reads', err)
  if (options.reset !== undefined) {
    const { cursors, loadId } = await pipeline.resetState(options.reset, { signal: context.signal })
    if (loadId === undefined) tell(out, printable(`Nothing to reset: ${options.reset.join(', ')} keeps no cursor.`))
    else tell(out, printable(`Load ${loadId} committed: ${cursors.join(', ')} will start again; the rows stay.`))
    return 0
  }
  const state = await pipeline.dataset().state()
  if (state === undefined) {
    tell(err, nothingLoaded(pipeline))
    return 1
  }
  if (options.json === true) out.line(stringifyJson(state))
  else for (const line of stateLines(state, widthOf(out))) out.line(line)
  return 0
}

function stateLines(state: PipelineState, width: number): string[] {
  const cursors: string[][] = []
  const values: string[][] = []
  for (const [source, { resources = {}, ...own }] of Object.entries(state.sources ?? {})) {
    for (const [key, value] of Object.entries(own)) values.push([source, key, stringifyJson(value)])
    for (const [resource, { incremental = {}, ...kept }] of Object.entries(resources)) {
      for (const [key, value] of Object.entries(kept)) values.push([resource, key, stringifyJson(value)])
      for (const [path, cursor] of Object.entries(incremental)) {
        cursors.push([
          resource,
          path,
          stringifyJson(cursor.last_value ?? null),
          stringifyJson(cursor.initial_value ?? null),
        ])
      }
    }
  }
  const lines = [printable(`${state.pipeline_name}: version ${state._state_version} of the state`)]
  if (cursors.length === 0) lines.push('no cursors')
  else lines.push('', ...textTable(CURSOR_COLUMNS, cursors, width))
  if (values.length > 0) lines.push('', ...textTable(VALUE_COLUMNS, values, width))
  return lines
}

const CURSOR_COLUMNS = [
  { title: 'resource' },
  { title: 'cursor' },
  { title: 'goes on from', maxWidth: 60 },
  { title: 'began with', maxWidth: 60 },
]

const VALUE_COLUMNS = [{ title: 'kept by' }, { title: 'key' }, { title: 'value', maxWidth: 80 }]
