import { ConfigError, RequestError } from '../../../model/errors.js'
import { scrubbedFailure } from '../../../model/secrets/scrubber.js'
import type { Clock } from '../../../model/source.js'
import type { SignIn } from '../../../rest/auth/authenticator.js'
import type { ExitCode } from '../../failure.js'
import { printable } from '../../terminal/printable.js'
import { tell, tellDone } from '../../terminal/tell.js'
import { type CommandContext, openPipelines, type PipelineOverrides } from '../command.js'

export interface AuthCommandOptions extends PipelineOverrides {
  readonly device?: boolean | undefined
  /** False: no browser is opened. */
  readonly open?: boolean | undefined
}

/** `sluice auth FILE`: lets a person sign in, and keeps the refresh token for the runs of the file. */
export async function authCommand(
  file: string,
  options: AuthCommandOptions,
  context: CommandContext,
): Promise<ExitCode> {
  const { out, err } = context.terminal
  const { signInsOf } = await import('../../../rest/auth/authenticator.js')
  const clock = context.clock ?? (await import('../../../pipeline/clock.js')).systemClock
  let found = 0
  for (const { source } of await openPipelines(file, options, 'requests', err)) {
    try {
      for (const signIn of signInsOf(source)) {
        found++
        await signInTo(signIn, options, clock, context)
        tellDone(out, printable(`${signIn.path}: signed in; the tokens are kept in ${signIn.place}`))
      }
    } catch (error) {
      throw source.scrubber === undefined ? error : scrubbedFailure(error, source.scrubber)
    } finally {
      await source.close?.()
    }
  }
  if (found > 0) return 0
  const message = 'there is nothing to sign in to: no `auth` has `type: oauth2_refresh_token`'
  throw new ConfigError([{ place: { path: '', file }, message }])
}

/** A person who has not signed in by then has gone. */
const PATIENCE_MS = 15 * 60_000

async function signInTo(
  signIn: SignIn,
  { device, open }: AuthCommandOptions,
  clock: Clock,
  context: CommandContext,
): Promise<void> {
  const { err } = context.terminal
  const { path, byBrowser, byDevice } = signIn
  if (byDevice !== undefined && (device === true || byBrowser === undefined)) {
    const { url, code, finish } = await byDevice({ signal: context.signal, clock })
    tell(err, printable(`${path}: open ${url} on any device, and enter the code ${code}`))
    return await finish()
  }
  if (byBrowser === undefined || device === true) {
    const key = device === true ? 'device_authorization_url' : 'authorization_url'
    const message = `is missing: the address where ${device === true ? 'devices get their code' : 'people sign in'}`
    throw new ConfigError([{ place: { path: `${path}.${key}` }, message }])
  }
  const { listenForRedirect } = await import('../../redirectListener.js')
  const patience = new AbortController()
  const signal = AbortSignal.any([context.signal, patience.signal])
  const listener = await listenForRedirect(signIn.redirectPort, signal)
  const waiting = clock.sleep(PATIENCE_MS, AbortSignal.any([signal, context.signal])).then(
    () => patience.abort(new RequestError('auth', `${path}: nobody signed in for 15 minutes; begin again`, { path })),
    () => undefined,
  )
  try {
    const { url, isAnswer, finish } = byBrowser(listener.uri, { signal: context.signal, clock })
    tell(err, printable(`${path}: sign in at`))
    // Not wrapped: terminals and people copy it.
    err.line(printable(url))
    if (open !== false) {
      const [{ openBrowser }, { processEnvironment }] = await Promise.all([
        import('../../redirectListener.js'),
        import('../../../config/lookup/environment.js'),
      ])
      openBrowser(url, processEnvironment())
    }
    await finish(await listener.answer(isAnswer))
  } finally {
    patience.abort()
    await waiting
    await listener.close()
  }
}
