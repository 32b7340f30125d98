import { SluiceError } from '../../model/errors.js'
import { shownResult } from '../../model/userFunction.js'
import type { ApiRequest, Authenticator } from '../api.js'

/** A user's authenticator. Its failures name its key path, and its results are checked before they are sent. */
export function customAuthenticator(authenticator: Authenticator, path: string): Authenticator {
  const told = async <Result>(
    method: string,
    run: () => unknown,
    read: (result: unknown) => Result,
  ): Promise<Result> => {
    try {
      return read(await run())
    } catch (error) {
      if (error instanceof SluiceError) throw error
      const reason = error instanceof Error ? error.message : String(error)
      throw new Error(`\`${method}\` at ${path}: ${reason}`, { cause: error })
    }
  }
  const { renew } = authenticator
  return {
    sign: (request, context) => told('sign', () => authenticator.sign(request, context), signedRequest),
    ...(renew && { renew: context => told('renew', () => renew.call(authenticator, context), renewed) }),
  }
}

function signedRequest(result: unknown): ApiRequest {
  if (typeof result === 'object' && result !== null) {
    const { url, params, headers } = result as Partial<Record<keyof ApiRequest, unknown>>
    if (typeof url === 'string' && Array.isArray(params) && typeof headers === 'object' && headers !== null) {
      const masked = Object.entries(headers).find(([, value]) => typeof value === 'string' && value.includes('***'))
      if (masked === undefined) return result as ApiRequest
      throw new TypeError(
        `the header ${masked[0]} holds \`***\`, which is what a Secret shows in place of its value; use the text it was made of`,
      )
    }
  }
  throw new TypeError(`it returned ${shownResult(result)}, expected the request with its credentials`)
}

function renewed(result: unknown): boolean {
  if (typeof result === 'boolean') return result
  throw new TypeError(`it returned ${shownResult(result)}, expected true or false`)
}
