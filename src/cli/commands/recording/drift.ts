import { stringifyJson } from '../../../json/write.js'
import type { Drift, DriftedPipeline } from '../../../recording/driftOf.js'
import { type ExitCode, reportFailure, worstOf } from '../../failure.js'
import { counted, printable } from '../../terminal/printable.js'
import { tell, tellDone } from '../../terminal/tell.js'
import { type CommandContext, namedFiles } from '../command.js'

export interface DriftCommandOptions {
  readonly recording?: string | undefined
  readonly profile?: string | undefined
  readonly json?: boolean | undefined
  readonly debug?: boolean | undefined
}

/**
 * `sluice drift FILE…`: what an API does otherwise than when it was recorded. Exit code 3 where something drifted, 1 where
 * a list answered with an error.
 */
export async function driftCommand(
  paths: readonly string[],
  options: DriftCommandOptions,
  context: CommandContext,
): Promise<ExitCode> {
  const { out, err } = context.terminal
  const { driftOf } = await import('../../../recording/driftOf.js')
  const codes: ExitCode[] = []
  for (const file of await namedFiles(paths, err)) {
    try {
      for (const found of await driftOf(file, { ...options, signal: context.signal })) {
        codes.push(found.drifts.length > 0 ? 3 : found.errors.length > 0 ? 1 : 0)
        if (options.json === true) out.line(stringifyJson({ file, ...found }))
        else tellDrift(found, context)
      }
    } catch (error) {
      codes.push(reportFailure(error, err, { typedAs: context.typedAs, debug: options.debug === true }))
      if (context.signal.aborted) break
    }
  }
  return worstOf(codes)
}

function tellDrift(found: DriftedPipeline, { terminal, typedAs }: CommandContext): void {
  const { pipeline, compared, drifts, errors } = found
  const { out, err } = terminal
  const base = basesOf(found)
  if (drifts.length === 0) {
    const where = errors.length === 0 ? '' : ` in ${compared.join(', ')}`
    // Of what could not be asked for, nothing is known.
    if (compared.length > 0) tellDone(out, printable(`${pipeline}: nothing drifted since ${base}${where}`))
  } else tell(out, printable(`${pipeline}: ${counted(drifts.length, 'change')} since ${base}`))
  for (const drift of drifts)
    tell(out, printable(driftLine(drift)), 4, drift.severity === 'breaking' ? 'red' : undefined)
  for (const { resource, message } of errors) tell(err, printable(`not compared: ${resource}: ${message}`))
  if (found.recording === undefined && compared.length > 0)
    tell(out, `Without a recording, only tables and columns that come were compared: ${typedAs} record makes one.`)
  const hasDrifted = (against: Drift['against']): boolean => drifts.some(drift => drift.against === against)
  if (hasDrifted('recording')) tell(out, `${typedAs} record accepts it.`)
  if (hasDrifted('lock')) tell(out, `After a run, ${typedAs} schema accept accepts what differs from the lock.`)
}

function basesOf({ recording, against }: DriftedPipeline): string {
  if (recording !== undefined) return recording
  return against.map(one => (one === 'lock' ? 'the lock of the schema' : 'the last load')).join(' and ')
}

const SIGNS: Readonly<Record<Drift['what'], string>> = {
  new: '+',
  gone: '-',
  type: '~',
  nullability: '~',
  pagination: '~',
}

const BASES: Readonly<Record<Drift['against'], string>> = {
  recording: '',
  lock: ', against the lock of the schema',
  committed: ', against the committed schema',
}

function driftLine({ severity, what, against, place, before, now }: Drift): string {
  const change = before !== undefined && now !== undefined ? `: ${before} → ${now}` : ''
  const fact = change === '' ? ` (${before ?? now ?? 'table'})` : change
  const base = BASES[against]
  return `${SIGNS[what]} ${severity}: ${what} ${place}${fact}${base}`
}
