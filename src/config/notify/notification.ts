import type { Secret } from '../../model/secrets/secret.js'
import type { Environment } from '../lookup/environment.js'
import type { Notice } from './notice.js'
import type { Occasion } from './occasions.js'

/** Who is told of what, and how. Has a `command`, a `webhook`, or both. */
export interface Notification {
  /** Default: `failure`, `incomplete`, `late` and `drift`. */
  readonly on?: readonly Occasion[] | undefined
  /** Program and arguments, run without a shell. Gets the {@link Notice} as JSON on its standard input. */
  readonly command?: readonly string[] | undefined
  /** Address that the {@link Notice} is posted to as JSON. */
  readonly webhook?: string | Secret | undefined
  /** Key that signs the webhook by HMAC-SHA256, as Standard Webhooks does. */
  readonly secret?: string | Secret | undefined
  /** The longest time between loads, as an ISO 8601 duration: `PT2H`. */
  readonly lateAfter?: string | undefined
  /** Longest time that notifying takes, with every retry. The run waits for it. Default 10. */
  readonly maxSeconds?: number | undefined
}

export interface NotifyOptions {
  /** Where commands run. Default: the current folder. */
  readonly cwd?: string | undefined
  /** Where the settings of a proxy come from. Default: the environment of this process. */
  readonly env?: Environment | undefined
}

/** A notification of a file. `missing`: the secret of it that was not found, which is told only when it is needed. */
export interface Receiver extends Notification {
  readonly missing?: string | undefined
}

/** {@link NotifyOptions} with every default taken. */
export type NotifySettings = Required<{ readonly [Key in keyof NotifyOptions]: NonNullable<NotifyOptions[Key]> }>
