import type { Clock } from '../model/source.js'

/**
 * A clock that only waits move. Requests then depend only on the document and the start time, so a recording and its
 * tests request the same windows.
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

/** Waits return at once. */
const AT_ONCE: Pick<Clock, 'sleep' | 'random'> = {
  random: () => 0.5,
  async sleep(_ms, signal) {
    signal?.throwIfAborted()
  },
}
