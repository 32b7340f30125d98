import { DataError, RequestError } from '../core/errors.js'
import type { Page, Resource } from '../core/source.js'

/**
 * The error with the resource and the request that its page is of: whoever reads, changes or types records knows neither.
 */
export function located(error: unknown, { name, path: place }: Resource, { from }: Page): unknown {
  if (!isRecords(error, name)) return error
  const address = from === undefined || error.message.includes(from.url) ? '' : ` (${from.method} ${from.url})`
  const message = `${error.message.startsWith(`${name}:`) ? '' : `${name}: `}${error.message}${address}`
  if (error instanceof DataError) {
    return new DataError(error.code as DataCode, message, {
      resource: name,
      path: error.path ?? place,
      cause: error.cause,
    })
  }
  return new RequestError(error.code as RequestCode, message, {
    resource: name,
    method: from?.method,
    url: from?.url,
    status: error.status,
    path: error.path,
    cause: error.cause,
  })
}

/** Whether it is about the records of this resource, and not about a request. */
function isRecords(error: unknown, resource: string): error is RequestError | DataError {
  if (error instanceof DataError) return error.resource === undefined || error.resource === resource
  return error instanceof RequestError && error.resource === undefined
}

type DataCode = ConstructorParameters<typeof DataError>[0]
type RequestCode = ConstructorParameters<typeof RequestError>[0]
