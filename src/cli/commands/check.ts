import type { RunEvent } from '../../core/events.js'
import { counted } from '../amounts.js'
import type { ExitCode } from '../failure.js'
import { openPipelines } from '../pipelineFile.js'
import { printable } from '../printable.js'
import { textTable } from '../table.js'
import type { CommandContext } from './command.js'

/**
 * `sluice check FILE`: validates the file, resolves its secrets and asks for one page of each root resource. Says what
 * was found and writes nothing.
 */
export async function checkCommand(file: string, context: CommandContext): Promise<ExitCode> {
  const { out, err } = context.terminal
  for (const pipeline of await openPipelines(file, {})) {
    const notes: string[] = []
    const { resources } = await pipeline.check({
      signal: context.signal,
      onEvent: event => {
        const note = noteOf(event)
        if (note !== undefined) notes.push(note)
      },
    })
    out.line(printable(`${pipeline.name}: the file is valid, its secrets were found`))
    for (const note of notes) err.line(printable(note))
    for (const { resource, records, announced, tables } of resources) {
      const total = announced === undefined ? '' : `, ${counted(announced, 'record')} announced`
      out.line()
      out.line(printable(`${resource}: ${counted(records, 'record')} on the first page${total}`))
      const rows = Object.entries(tables).flatMap(([table, columns]) =>
        columns.map(({ name, data_type }, index) => [index === 0 ? table : '', name, data_type ?? 'only null so far']),
      )
      for (const line of textTable([{ title: 'table' }, { title: 'column' }, { title: 'type' }], rows)) out.line(line)
    }
  }
  return 0
}

function noteOf(event: RunEvent): string | undefined {
  if (event.type === 'warning') return `warning: ${event.message}`
  if (event.type === 'detected') return `${event.resource}: ${event.what} ${event.guess}, detected: ${event.why}`
  return undefined
}
