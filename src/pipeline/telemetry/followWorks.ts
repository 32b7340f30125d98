import { hasTelemetry } from '../../model/runtime/registeredTelemetry.js'

let following: Promise<void> | undefined

/**
 * Gives the works of this process to OpenTelemetry, from the first one on that begins while an SDK is registered. Undefined
 * if there is none: then nothing is loaded. Never rejects.
 */
export function followWorks(): Promise<void> | undefined {
  if (following === undefined && hasTelemetry()) following = subscribed()
  return following
}

async function subscribed(): Promise<void> {
  try {
    // Awaited right here, within `try`: bundlers then leave it out where it is not installed.
    const api = await import('@opentelemetry/api')
    const { subscribeTelemetry } = await import('./subscribeTelemetry.js')
    subscribeTelemetry(api)
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND'
    const why = isMissing
      ? 'the package @opentelemetry/api is not installed beside sluice: npm install @opentelemetry/api'
      : (error as Error).message
    process.emitWarning(`OpenTelemetry is told nothing of this process: ${why}`, 'SluiceWarning')
  }
}
