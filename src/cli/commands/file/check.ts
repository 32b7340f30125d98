import { stringify } from 'yaml'
import { stringifyJson } from '../../../json/write.js'
import type { RunEvent } from '../../../model/events.js'
import type { CheckedResource } from '../../../pipeline/look/checkSource.js'
import { doubleHints } from '../../../schema/mixedNumbers.js'
import { type ExitCode, reportFailure, worstOf } from '../../failure.js'
import { amount, counted, printable, wrapped } from '../../terminal/printable.js'
import { textTable } from '../../terminal/table.js'
import { tell, tellDone } from '../../terminal/tell.js'
import { type Output, widthOf } from '../../terminal/terminal.js'
import type { CommandContext } from '../command.js'
import { namedFiles, openPipelines, type PipelineOverrides } from '../command.js'
import { keptProofLines } from './prove.js'

export interface CheckCommandOptions extends PipelineOverrides {
  readonly debug?: boolean | undefined
  /** Without a request or a secret. */
  readonly offline?: boolean | undefined
}

/**
 * `sluice check FILE…`: validates the files, resolves their secrets and asks for one page of each root resource. Reports
 * what it found and writes nothing. A file that fails does not keep the others from being checked.
 */
export async function checkCommand(
  paths: readonly string[],
  options: CheckCommandOptions,
  context: CommandContext,
): Promise<ExitCode> {
  const { err } = context.terminal
  const files = await namedFiles(paths, err)
  const codes: ExitCode[] = []
  for (const file of files) {
    try {
      codes.push(await checkFile(file, options, context))
    } catch (error) {
      codes.push(reportFailure(error, err, { typedAs: context.typedAs, debug: options.debug === true }))
      if (context.signal.aborted) break
    }
  }
  return worstOf(codes)
}

async function checkFile(file: string, options: CheckCommandOptions, context: CommandContext): Promise<ExitCode> {
  const { out, err } = context.terminal
  if (options.offline === true) {
    for (const { name, source } of await openPipelines(file, options, 'checks', err)) {
      const resources = counted(source.resources.length, 'resource')
      tellDone(out, printable(`${name}: the file is valid, with ${resources}; nothing was asked for`))
    }
    return 0
  }
  for (const pipeline of await openPipelines(file, options, 'requests', err)) {
    const notes: string[] = []
    const { resources } = await pipeline.check({
      signal: context.signal,
      onEvent: event => {
        const note = noteOf(event)
        if (note !== undefined) notes.push(note)
      },
    })
    tellDone(out, printable(`${pipeline.name}: the file is valid, its secrets were found`))
    for (const note of notes) tell(err, printable(note))
    const proofs = await keptProofLines(file, pipeline, err)
    for (const checked of resources) {
      for (const line of checkedLines(checked, out)) out.line(line)
      const proof = proofs.get(checked.resource)
      if (proof !== undefined) tell(out, printable(`${checked.resource}: ${proof}`))
      const hints = Object.entries(doubleHints(checked.mixedNumbers)).map(
        ([key, hint]) => `${key}: ${stringify(hint, FLOW).trimEnd()}`,
      )
      const why = `${checked.resource}: whole numbers and fractions came under one key; the first one would choose the type`
      if (hints.length > 0)
        tell(err, printable(`hint: ${why}. Write \`${hints.join(', ')}\` (or decimal) in the resource.`))
    }
  }
  return 0
}

const FLOW = { collectionStyle: 'flow', lineWidth: 0 } as const

function checkedLines({ resource, records, announced, sample }: CheckedResource, out: Output): string[] {
  const total = announced === undefined ? '' : `, ${amount(announced)} announced`
  const told = printable(`${resource}: ${counted(records, 'record')} on the first page${total}`)
  const lines = ['', ...wrapped(told, widthOf(out), 2)]
  if (sample === undefined) return lines
  const pairs =
    sample !== null && typeof sample === 'object' && !Array.isArray(sample)
      ? Object.entries(sample)
      : [['', sample] as const]
  const rows = pairs.map(([key, value]) => [key, stringifyJson(value)])
  return [
    ...lines,
    ...textTable([{ title: 'key' }, { title: 'in the first record', maxWidth: VALUE_WIDTH }], rows, widthOf(out)),
  ]
}

const VALUE_WIDTH = 80

function noteOf(event: RunEvent): string | undefined {
  if (event.type === 'warning') return `warning: ${event.message}`
  if (event.type === 'detected') return `${event.resource}: ${event.what} ${event.guess}, detected: ${event.why}`
  return undefined
}
