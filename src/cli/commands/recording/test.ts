import { stringifyJson } from '../../../json/write.js'
import type { TestedPipeline } from '../../../recording/testRecording.js'
import { type ExitCode, reportFailure, worstOf } from '../../failure.js'
import { clip, counted, printable, wrapped } from '../../terminal/printable.js'
import { tell, tellDone } from '../../terminal/tell.js'
import { type Output, widthOf } from '../../terminal/terminal.js'
import { type CommandContext, namedFiles } from '../command.js'

export interface TestCommandOptions {
  readonly update?: boolean | undefined
  readonly faults?: boolean | undefined
  readonly recording?: string | undefined
  readonly profile?: string | undefined
  readonly json?: boolean | undefined
  readonly debug?: boolean | undefined
}

/**
 * `sluice test FILE…`: runs pipelines on their recordings, without network and secrets, and compares what they load with
 * what is expected. Exit code 3 where it differs.
 */
export async function testCommand(
  paths: readonly string[],
  options: TestCommandOptions,
  context: CommandContext,
): Promise<ExitCode> {
  const { out, err } = context.terminal
  const { testPipeline } = await import('../../../recording/testRecording.js')
  const codes: ExitCode[] = []
  for (const file of await namedFiles(paths, err)) {
    try {
      for (const tested of await testPipeline(file, { ...options, signal: context.signal })) {
        codes.push(isGood(tested) ? 0 : 3)
        if (options.json === true) out.line(stringifyJson({ file, ...tested }))
        else tellWhole(tested, context)
      }
    } catch (error) {
      codes.push(reportFailure(error, err, { typedAs: context.typedAs, debug: options.debug === true }))
      if (context.signal.aborted) break
    }
  }
  return worstOf(codes)
}

function isGood({ outcome, faults }: TestedPipeline): boolean {
  return outcome !== 'different' && faults.every(({ difference }) => difference.length === 0)
}

function tellWhole(tested: TestedPipeline, context: CommandContext): void {
  const { out } = context.terminal
  tellTested(tested, context)
  for (const line of differenceLines(tested.difference, out)) out.line(line)
  for (const { fault, difference, advice } of tested.faults) {
    if (difference.length === 0) {
      tellDone(out, printable(`${tested.pipeline}: ${fault}: the same tables`))
      continue
    }
    const isFailure = difference.every(line => line.startsWith('+ failed: '))
    tell(out, printable(`${tested.pipeline}: ${fault}: ${isFailure ? 'no tables' : 'other tables'}`), 2, 'red')
    for (const line of differenceLines(difference, out)) out.line(line)
    if (advice !== undefined) tell(out, advice, 2)
  }
  if (tested.outcome === 'different') tell(out, `If that is intended, ${context.typedAs} test --update writes it.`)
}

/** One line about a tested pipeline. */
export function tellTested(
  { pipeline, outcome, snapshot, requests }: TestedPipeline,
  { terminal }: CommandContext,
): void {
  const { out } = terminal
  const asked = `on ${counted(requests, 'recorded answer')}`
  if (outcome === 'different') tell(out, printable(`${pipeline}: not as ${snapshot} expects, ${asked}`), 2, 'red')
  else
    tellDone(
      out,
      printable(`${pipeline}: ${outcome === 'written' ? `wrote ${snapshot}` : `as ${snapshot} expects`}, ${asked}`),
    )
}

/** Lines of a difference. What differs may be at the end of a long row, so that rows go on in the next line. */
export function differenceLines(
  difference: readonly string[],
  out: Pick<Output, 'isTerminal' | 'columns' | 'styled'>,
): readonly string[] {
  return difference.flatMap(line =>
    wrapped(clip(printable(`  ${line}`), LONGEST), widthOf(out), 6).map(text => {
      if (line.startsWith('+')) return out.styled('green', text)
      return line.startsWith('-') ? out.styled('red', text) : text
    }),
  )
}

/** A row may have any length. */
const LONGEST = 2_000
