/** One process: whatever it does to the world is a step, and before one of them it may be killed. */
export interface Life {
  /** Resolves, or never does: then the process is dead. */
  step(): Promise<void>
  /** Kills the process before the n-th step from now, 1-based; undefined: let it live. */
  killBefore(step: number | undefined): void
  readonly isDead: boolean
  /** Resolves when the process was killed. */
  readonly death: Promise<void>
}

export function life(): Life {
  let left = Number.POSITIVE_INFINITY
  let die = (): void => {}
  const death = new Promise<void>(resolve => {
    die = resolve
  })
  const alive = Promise.resolve()
  const never = new Promise<never>(() => {})
  return {
    death,
    get isDead() {
      return left <= 0
    },
    killBefore(step) {
      if (left > 0) left = step ?? Number.POSITIVE_INFINITY
    },
    step() {
      if (--left > 0) return alive
      die()
      return never
    },
  }
}
