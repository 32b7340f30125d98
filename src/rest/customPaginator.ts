import { DataError, SluiceError } from '../core/errors.js'
import { JsonSyntaxError } from '../core/json.js'
import type { Paginator } from './types.js'

/**
 * A paginator of the user's, whose failures are DataErrors `user_function` that name resource and key path. Errors of
 * Sluice itself, as for a body that turns out to be damaged, stay what they are.
 */
export function customPaginator(
  paginator: Paginator,
  { resource, path }: { readonly resource: string; readonly path: string },
): Paginator {
  const told = <Result>(method: string, run: () => Result): Result => {
    try {
      const result = run()
      if (result instanceof Promise) throw new TypeError('it must not be async')
      return result
    } catch (error) {
      if (error instanceof SluiceError || error instanceof JsonSyntaxError) throw error
      const reason = error instanceof Error ? error.message : String(error)
      const message = `${resource}: \`${method}\` of the paginator at ${path} failed: ${reason}`
      throw new DataError('user_function', message, { resource, path, cause: error })
    }
  }
  const { first, announced, rest, ahead, doubt } = paginator
  return {
    first,
    next: page => told('next', () => paginator.next(page)),
    ...(announced && { announced: page => told('announced', () => announced.call(paginator, page)) }),
    ...(rest && { rest: page => told('rest', () => rest.call(paginator, page)) }),
    ...(ahead && { ahead: request => told('ahead', () => ahead.call(paginator, request)) }),
    ...(doubt && { doubt: (page, previous) => told('doubt', () => doubt.call(paginator, page, previous)) }),
  }
}
