import type * as Restate from '@restatedev/restate-sdk'
import { ConfigError } from '../model/errors.js'

export type RestateSdk = typeof Restate

/** Loads the SDK of Restate, an optional peer. Throws a ConfigError if it is not installed. */
export async function restateSdk(): Promise<RestateSdk> {
  addWithResolvers()
  try {
    return await import('@restatedev/restate-sdk')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw cause
    const message =
      'a worker needs the package @restatedev/restate-sdk, which is not installed: npm install @restatedev/restate-sdk'
    throw new ConfigError([{ place: { path: '' }, message }])
  }
}

/** The SDK (1.17) calls `Promise.withResolvers`, which Node 20 does not have, and hangs without it. */
function addWithResolvers(): void {
  const known = Promise as unknown as { withResolvers?: unknown }
  known.withResolvers ??= function withResolvers<T>() {
    let resolve: (value: T | PromiseLike<T>) => void = () => {}
    let reject: (reason: unknown) => void = () => {}
    const promise = new Promise<T>((accept, refuse) => {
      resolve = accept
      reject = refuse
    })
    return { promise, resolve, reject }
  }
}
