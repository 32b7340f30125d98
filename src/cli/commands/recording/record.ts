import { existsSync } from 'node:fs'
import type { RunEvent } from '../../../model/events.js'
import { byteText } from '../../../model/texts/byteText.js'
import type { ExitCode } from '../../failure.js'
import { counted, printable } from '../../terminal/printable.js'
import { tell, tellDone } from '../../terminal/tell.js'
import type { CommandContext } from '../command.js'
import { differenceLines, tellTested } from './test.js'

export interface RecordCommandOptions {
  readonly out?: string | undefined
  readonly pages?: number | undefined
  readonly parents?: number | undefined
  readonly mask?: readonly string[] | undefined
  readonly profile?: string | undefined
}

/**
 * `sluice record FILE`: asks the API once, and writes a small recording without secrets. Where there is no snapshot yet,
 * the recording makes one.
 */
export async function recordCommand(
  file: string,
  options: RecordCommandOptions,
  context: CommandContext,
): Promise<ExitCode> {
  const { out, err } = context.terminal
  const { recordPipeline } = await import('../../../recording/recordPipeline.js')
  const { testPipeline } = await import('../../../recording/testRecording.js')
  const { profile } = options
  const onEvent = (event: RunEvent): void => {
    if (event.type === 'warning') tell(err, printable(`warning: ${event.message}`))
    if (event.type === 'retry') tell(err, printable(`${event.resource}: ${event.reason}, once more`))
  }
  const recorded = await recordPipeline(file, { ...options, signal: context.signal, onEvent })
  for (const { pipeline, path, recording, bytes } of recorded) {
    const { exchanges } = recording
    const size = `${counted(exchanges.length, 'answer')}, ${byteText(bytes)}`
    tellDone(out, printable(`${pipeline}: ${path}: ${size}`))
    if (bytes > LARGE) tell(err, printable('hint: that is much for Git; fewer --pages or --parents make it smaller'))
  }
  // A recording elsewhere is for others: its tests are not those of the file.
  if (options.out !== undefined) return 0
  let code: ExitCode = 0
  for (const { snapshot } of recorded) {
    const update = !existsSync(snapshot)
    const tested = await testPipeline(file, { profile, update, signal: context.signal })
    const own = tested.find(one => one.snapshot === snapshot)
    if (own === undefined) continue
    tellTested(own, context)
    if (own.outcome === 'different') {
      for (const line of differenceLines(own.difference, out)) out.line(line)
      tell(out, `${context.typedAs} test --update accepts it`)
      code = 3
    }
  }
  return code
}

const LARGE = 2 ** 22
