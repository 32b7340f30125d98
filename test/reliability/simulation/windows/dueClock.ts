import { setImmediate as nothingLeft, setTimeout as pause } from 'node:timers/promises'
import type { Clock } from '../../../../src/model/source.js'

/** A clock that moves on when nobody can do anything before the next sleeper wakes: what several processes do at once. */
export interface DueClock extends Clock {
  /** Lets time pass until the work has ended. Rejects if it waits for something that never comes. */
  until<T>(work: Promise<T>): Promise<T>
}

/** Modules of this machine that are loaded, and its threads, may take so many milliseconds. */
const MOST_IDLE = 20_000

export function dueClock(random: () => number): DueClock {
  let at = Date.parse('2026-01-01T00:00:00Z')
  const sleepers: { readonly at: number; readonly wake: () => void }[] = []
  return {
    now: () => at,
    random,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        const stop = (): void => {
          const place = sleepers.indexOf(sleeper)
          if (place >= 0) sleepers.splice(place, 1)
          reject(signal?.reason)
        }
        const sleeper = {
          at: at + ms,
          wake: () => {
            signal?.removeEventListener('abort', stop)
            resolve()
          },
        }
        if (signal?.aborted === true) return reject(signal.reason)
        signal?.addEventListener('abort', stop, { once: true })
        sleepers.push(sleeper)
      }),
    async until(work) {
      let isOver = false
      const end = (): void => {
        isOver = true
      }
      work.then(end, end)
      for (let idle = 0; !isOver; ) {
        await nothingLeft()
        await nothingLeft()
        if (isOver) break
        sleepers.sort((one, other) => one.at - other.at)
        const next = sleepers.shift()
        if (next === undefined) {
          if (++idle > MOST_IDLE) throw new Error('it waits for something that never comes')
          if (idle > 100) await pause(1)
          continue
        }
        idle = 0
        at = Math.max(at, next.at)
        next.wake()
      }
      return await work
    },
  }
}
