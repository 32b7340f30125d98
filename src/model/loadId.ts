/** Load ids count in microseconds. */
const TICKS_PER_SECOND = 1_000_000

/**
 * The id of a new load: seconds since the epoch in decimals, as in `1795189125.770919`, greater than `last`.
 *
 * dlt reads ids as Python floats and orders them as text. Both orders agree while ids have the same number of digits
 * before the point (until the year 2286) and no zeros at the end of the fraction, because then one fraction is less
 * than another exactly when its text is. A whole second is written `.0`. Six digits keep ids
 * apart as doubles too (until 2242).
 *
 * `chance` in [0, 1) fills the digits below the clock's millisecond, so that two loads that start in the same
 * millisecond get different ids.
 */
export function nextLoadId(nowMs: number, last?: string, chance = 0): string {
  const now = Math.floor(nowMs) * 1000 + Math.floor(chance * 1000)
  const ticks = last === undefined ? now : Math.max(now, ticksOf(last) + 1)
  const fraction = String(ticks % TICKS_PER_SECOND)
    .padStart(6, '0')
    .replace(/0+$/, '')
  return `${Math.floor(ticks / TICKS_PER_SECOND)}.${fraction === '' ? '0' : fraction}`
}

/** Gives every load of this process an id of its own, in rising order. */
export class LoadIds {
  readonly #clock: { now(): number; random(): number }
  #last: string | undefined

  constructor(clock: { now(): number; random(): number }) {
    this.#clock = clock
  }

  /** Greater than `last`, and than every one before. */
  next(last: string | undefined): string {
    const newest = [last, this.#last].reduce((a, b) => (b !== undefined && Number(b) > Number(a ?? 0) ? b : a))
    this.#last = nextLoadId(this.#clock.now(), newest, this.#clock.random())
    return this.#last
  }
}

/** Microseconds of an id, rounded down. Ids of dlt may have a seventh digit. */
function ticksOf(loadId: string): number {
  const [seconds = '0', fraction = ''] = loadId.split('.')
  return Number(seconds) * TICKS_PER_SECOND + Number(fraction.slice(0, 6).padEnd(6, '0'))
}
