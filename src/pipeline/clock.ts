import { type Clock, LONGEST_TIMER_MS } from '../model/source.js'

/** The real time and random numbers of this machine. */
export const systemClock: Clock = {
  now: () => Date.now(),
  random: () => Math.random(),
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason)
        return
      }
      let left = ms
      let timer = setTimeout(finish, Math.min(left, LONGEST_TIMER_MS))
      function finish(): void {
        left -= LONGEST_TIMER_MS
        if (left > 0) {
          timer = setTimeout(finish, Math.min(left, LONGEST_TIMER_MS))
          return
        }
        signal?.removeEventListener('abort', cancel)
        resolve()
      }
      function cancel(): void {
        clearTimeout(timer)
        reject(signal?.reason)
      }
      signal?.addEventListener('abort', cancel, { once: true })
    }),
}
