import { hasTelemetry } from '../../model/runtime/registeredTelemetry.js'

/** By which the SDKs of OpenTelemetry know that no span shall be made. */
const SUPPRESSED = 'OpenTelemetry SDK Context Key SUPPRESS_TRACING'

/**
 * Sends a request unseen by those who make spans of all requests of a process: they write down the whole address, with the
 * credentials in it. The events of a run tell of it, with a redacted address.
 */
export function untraced<Answer>(send: () => Promise<Answer>): Promise<Answer> {
  return hasTelemetry() ? suppressed(send) : send()
}

async function suppressed<Answer>(send: () => Promise<Answer>): Promise<Answer> {
  // Whoever is told nothing, because the package is missing, was warned of that.
  const api = await import('@opentelemetry/api').catch(() => undefined)
  if (api === undefined) return await send()
  const { context, createContextKey } = api
  return await context.with(context.active().setValue(createContextKey(SUPPRESSED), true), send)
}
