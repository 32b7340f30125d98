import { subscribe } from 'node:diagnostics_channel'
import { systemClock } from '../clock.js'
import type { EventMessage, WorkMessage } from '../eventChannel.js'
import { WorkMetrics } from './workMetrics.js'
import { type TelemetryApi, WorkSpans } from './workSpans.js'

const SCOPE = 'sluice'

interface Followed {
  readonly spans: WorkSpans
  readonly metrics: WorkMetrics
}

/** Makes spans and measurements of every work that begins from now on, for the SDK that is registered at that time. */
export function subscribeTelemetry(api: TelemetryApi): void {
  const works = new WeakMap<object, Followed>()
  subscribe(
    'sluice:work',
    neverThrowing<WorkMessage>(api, message => {
      const { work, state, failure } = message
      if (state === 'begun') {
        works.set(work, {
          spans: new WorkSpans(api, api.trace.getTracer(SCOPE), message, systemClock),
          metrics: new WorkMetrics(api.metrics.getMeter(SCOPE), message, systemClock),
        })
        return
      }
      const followed = works.get(work)
      followed?.spans.end(failure)
      followed?.metrics.end(failure)
    }),
  )
  subscribe(
    'sluice:event',
    neverThrowing<EventMessage>(api, ({ work, event }) => {
      const followed = works.get(work)
      followed?.spans.hear(event)
      followed?.metrics.hear(event)
    }),
  )
}

/** A subscriber that throws would end the process. */
function neverThrowing<Message>(
  { diag }: TelemetryApi,
  listener: (message: Message) => void,
): (message: unknown) => void {
  return message => {
    try {
      listener(message as Message)
    } catch (error) {
      diag.error('sluice could not tell OpenTelemetry what happened', error)
    }
  }
}
