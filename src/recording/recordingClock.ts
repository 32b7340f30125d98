import type { Clock } from '../model/source.js'

/**
 * Time that stands still but for waits, so that what is asked depends on nothing but the document and the moment it
 * begins with: a recording and its tests ask for the same windows.
 */
export function recordingClock(startMs: number, { sleep, random }: Pick<Clock, 'sleep' | 'random'> = AT_ONCE): Clock {
  let nowMs = startMs
  return {
    now: () => nowMs,
    random,
    async sleep(ms, signal) {
      await sleep(ms, signal)
      nowMs += ms
    },
  }
}

/** Waits that take no time. */
const AT_ONCE: Pick<Clock, 'sleep' | 'random'> = {
  random: () => 0.5,
  async sleep(_ms, signal) {
    signal?.throwIfAborted()
  },
}
