import type { Prompt } from '../prompt.js'
import type { Terminal } from '../terminal.js'

/** What every command is given besides its arguments. */
export interface CommandContext {
  readonly terminal: Terminal
  /** Absent where nobody can be asked. */
  readonly prompt?: Prompt | undefined
  /** Aborted when the user asks to stop. */
  readonly signal: AbortSignal
  /** Milliseconds; never goes back. */
  readonly now: () => number
}
