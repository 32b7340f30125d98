import type { Terminal } from '../terminal.js'

/** What every command is given besides its arguments. */
export interface CommandContext {
  readonly terminal: Terminal
  /** Aborted when the user asks to stop. */
  readonly signal: AbortSignal
  /** Milliseconds; never goes back. */
  readonly now: () => number
}
