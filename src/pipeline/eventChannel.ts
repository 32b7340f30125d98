import { channel } from 'node:diagnostics_channel'
import { SluiceError } from '../model/errors.js'
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

/** What a pipeline was asked to do. */
export type WorkKind = 'run' | 'replay' | 'backfill' | 'check'

/** What the channel `sluice:work` of `node:diagnostics_channel` carries, before the first event of a work and after its last. */
export interface WorkMessage extends EventSubject {
  /** The one of {@link EventMessage}. */
  readonly work: object
  readonly kind: WorkKind
  readonly state: 'begun' | 'ended'
  /** Why it ended without a result. Holds no secret. */
  readonly failure?: WorkFailure | undefined
}

export interface WorkFailure {
  /** An `ErrorCode`, or `unexpected`. */
  readonly code: string
  readonly message: string
  /** If it is the fault of one. */
  readonly resource: string | undefined
}

/** Publishes what happens in one work. */
export interface WorkPublisher {
  event(event: RunEvent): void
  /** `error`: why it failed, without secrets. */
  ended(error?: unknown): void
}

const events = channel('sluice:event')
const works = channel('sluice:work')

/** Says that a work begins. Undefined if nobody subscribes: then it costs nothing. */
export function publishedWork(about: EventSubject & Pick<WorkMessage, 'kind'>): WorkPublisher | undefined {
  if (!events.hasSubscribers && !works.hasSubscribers) return undefined
  const work = {}
  const tell = (state: WorkMessage['state'], failure?: WorkFailure): void => {
    const message: WorkMessage = { ...about, work, state, failure }
    works.publish(message)
  }
  tell('begun')
  const { pipeline, dataset } = about
  return {
    event(event) {
      const message: EventMessage = { pipeline, dataset, work, event }
      events.publish(message)
    },
    ended: error => tell('ended', error === undefined ? undefined : failureOf(error)),
  }
}

function failureOf(error: unknown): WorkFailure {
  const { resource } = error as { readonly resource?: unknown }
  return {
    code: error instanceof SluiceError ? error.code : 'unexpected',
    message: error instanceof Error ? error.message : String(error),
    resource: typeof resource === 'string' ? resource : undefined,
  }
}
