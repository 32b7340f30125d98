import { systemClock } from '../../pipeline/clock.js'
import type { ExitCode } from '../failure.js'
import { printable } from '../terminal/printable.js'
import { tell } from '../terminal/tell.js'
import type { CommandContext, PipelineOverrides } from './command.js'

export interface StudioCommandOptions extends PipelineOverrides {
  readonly port?: number | undefined
  /** Open the page in the browser. */
  readonly open?: boolean | undefined
  /** Seconds. */
  readonly statementTimeout?: number | undefined
}

/** `sluice studio [FILES]`: serves a page that shows pipelines and what they loaded, until Ctrl-C. */
export async function studioCommand(
  paths: readonly string[],
  { port, open, statementTimeout, destination, dataset, profile }: StudioCommandOptions,
  { terminal: { out }, signal, clock = systemClock }: CommandContext,
): Promise<ExitCode> {
  const { startStudio } = await import('../../studio/startStudio.js')
  const studio = await startStudio({
    paths: paths.length === 0 ? ['.'] : paths,
    from: { destination, dataset, profile },
    port,
    clock,
    statementTimeoutMs: statementTimeout === undefined ? undefined : statementTimeout * 1_000,
  })
  tell(out, printable('The studio is at this address, for this machine alone; Ctrl-C ends it.'))
  out.line(studio.address)
  if (open === true) {
    const [{ openBrowser }, { processEnvironment }] = await Promise.all([
      import('../redirectListener.js'),
      import('../../config/lookup/environment.js'),
    ])
    openBrowser(studio.address, processEnvironment())
  }
  await new Promise<void>(resolve => {
    signal.addEventListener('abort', () => resolve(), { once: true })
    if (signal.aborted) resolve()
  })
  await studio.close()
  return 0
}
