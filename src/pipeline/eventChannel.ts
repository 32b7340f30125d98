import { channel } from 'node:diagnostics_channel'
import type { RunEvent } from '../model/events.js'

/** Whose events they are. */
export interface EventSubject {
  readonly pipeline: string
  readonly dataset: string
}

/** What the channel `sluice:event` of `node:diagnostics_channel` carries: the events of every pipeline in the process. */
export interface EventMessage extends EventSubject {
  /** One object for all events of one run, replay, backfill or check, by which a subscriber tells them apart. */
  readonly work: object
  readonly event: RunEvent
}

const events = channel('sluice:event')

/** Publishes the events of one work. Undefined if nobody subscribes as it begins: then it costs nothing. */
export function eventPublisher(subject: EventSubject): ((event: RunEvent) => void) | undefined {
  if (!events.hasSubscribers) return undefined
  const work = {}
  return event => {
    const message: EventMessage = { ...subject, work, event }
    events.publish(message)
  }
}
