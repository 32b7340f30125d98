import { JsonSyntaxError } from '../../json/parse.js'
import type { ListEnd } from '../../model/source.js'
import { functionError, isPromise, shownResult, unheard } from '../../model/userFunction.js'
import type { ApiPage, Paginator, RequestPatch } from '../api.js'

/**
 * A user's paginator. If a method throws, or returns something invalid, that is a DataError `user_function` with
 * resource and key path. Sluice's own errors, as for a damaged body, stay as they are. Numbers and booleans in a
 * patch's parameters are sent as text.
 */
export function customPaginator(
  paginator: Paginator,
  { resource, path }: { readonly resource: string; readonly path: string },
): Paginator {
  const told = <Result>(method: string, run: () => unknown, read: (result: unknown) => Result): Result => {
    try {
      return read(run())
    } catch (error) {
      if (error instanceof JsonSyntaxError) throw error
      throw functionError(resource, `\`${method}\` of the paginator at ${path}`, error, { path })
    }
  }
  const { first, announced, rest, ahead, doubt, counts, isPart, goesBy, goesByHeaders } = paginator
  return {
    counts,
    isPart,
    goesBy,
    goesByHeaders,
    first: first === undefined ? undefined : told('first', () => first, patchOf),
    next: page => told('next', () => paginator.next(page), nextOf),
    ...(announced && {
      announced: (page: ApiPage) => told('announced', () => announced.call(paginator, page), totalOf),
    }),
    ...(rest && { rest: page => told('rest', () => rest.call(paginator, page), patchesOf) }),
    ...(ahead && { ahead: request => told('ahead', () => ahead.call(paginator, request), patchOf) }),
    ...(doubt && { doubt: (page, previous) => told('doubt', () => doubt.call(paginator, page, previous), endOf) }),
  }
}

function isNothing(result: unknown): result is undefined | null {
  return result === undefined || result === null
}

function nextOf(result: unknown): RequestPatch | ListEnd | undefined {
  return typeof result === 'object' && result !== null && 'end' in result ? endOf(result) : patchOf(result)
}

function endOf(result: unknown): ListEnd | undefined {
  if (isNothing(result)) return undefined
  const { end, reason } = result as Partial<Record<keyof ListEnd, unknown>>
  if ((end === 'proven' || end === 'limited' || end === 'suspect') && typeof reason === 'string') return { end, reason }
  throw wrong(result, "{ end: 'proven' | 'limited' | 'suspect', reason: a sentence }, or undefined")
}

function totalOf(result: unknown): number | undefined {
  if (isNothing(result)) return undefined
  if (typeof result === 'number' && !Number.isNaN(result)) return result
  throw wrong(result, 'a number of records, or undefined')
}

function patchesOf(result: unknown): readonly RequestPatch[] | undefined {
  if (isNothing(result)) return undefined
  if (!Array.isArray(result)) throw wrong(result, 'a list of what changes in each request, or undefined')
  return result.map((patch: unknown) => {
    const found = patchOf(patch)
    if (found === undefined) throw wrong(result, 'a list of what changes in each request, none of them empty')
    return found
  })
}

const PATCH =
  'what changes in the next request, as { url }, { params }, { headers } or { body }, or undefined at the end'

const PATCH_KEYS = ['url', 'params', 'headers', 'body']

/** Headers that carry credentials, or that belong to the connection. */
const NOT_OF_PAGES =
  /^(?:authorization|proxy-authorization|cookie|host|connection|content-length|transfer-encoding|upgrade|te|trailer|keep-alive|expect)$/i

function patchOf(result: unknown): RequestPatch | undefined {
  if (isNothing(result)) return undefined
  if (typeof result !== 'object' || Array.isArray(result) || isPromise(result)) throw wrong(result, PATCH)
  const { url, params, headers, body } = result as Partial<Record<keyof RequestPatch, unknown>>
  const unknown = Object.keys(result).filter(key => !PATCH_KEYS.includes(key))
  if (unknown.length > 0) throw new TypeError(`it returned the key \`${unknown[0]}\`, expected ${PATCH}`)
  if (url !== undefined && typeof url !== 'string')
    throw new TypeError(`\`url\` is ${shownResult(url)}, expected a text`)
  if (body !== undefined && !isBodyPatch(body)) {
    throw new TypeError('`body` must be a list of { path, value }, each with a path like `page.number`')
  }
  return {
    ...(url !== undefined && { url }),
    ...(params !== undefined && { params: textsOf(params, 'params', 'parameter') }),
    ...(headers !== undefined && { headers: headersOf(headers) }),
    ...(body !== undefined && { body }),
  }
}

function isBodyPatch(body: unknown): body is NonNullable<RequestPatch['body']> {
  return (
    Array.isArray(body) &&
    body.every((entry: unknown) => {
      if (typeof entry !== 'object' || entry === null) return false
      const { path, value } = entry as { readonly path?: unknown; readonly value?: unknown }
      return typeof path === 'string' && value !== undefined && !isPromise(value)
    })
  )
}

/** Values of headers may come from an answer, so a wrong one is not shown. */
function headersOf(headers: unknown): Record<string, string | null> {
  const texts = textsOf(headers, 'headers', 'header')
  for (const [name, value] of Object.entries(texts)) {
    if (!/^[!#$%&'*+.^_`|~\w-]+$/.test(name)) throw new TypeError(`${JSON.stringify(name)} is not the name of a header`)
    if (NOT_OF_PAGES.test(name))
      throw new TypeError(
        `the header \`${name}\` is not the paginator's: credentials belong to \`auth\`, and the rest to the connection`,
      )
    if (value !== null && /[^\t\x20-\x7e\x80-\xff]/.test(value))
      throw new TypeError(`the header \`${name}\` has a value with characters that cannot stand in a header`)
    if (value?.includes('***') === true)
      throw new TypeError(
        `the header \`${name}\` holds \`***\`, which is what a Secret shows; a secret belongs to \`auth\``,
      )
  }
  return texts
}

function textsOf(params: unknown, key: string, one: string): Record<string, string | null> {
  if (typeof params !== 'object' || params === null || Array.isArray(params)) {
    throw new TypeError(`\`${key}\` is ${shownResult(params)}, expected an object of texts`)
  }
  const texts = Object.entries(params).flatMap(([name, value]: [string, unknown]) => {
    if (value === undefined) return []
    if (typeof value === 'string' || value === null) return [[name, value] as const]
    if (['number', 'bigint', 'boolean'].includes(typeof value)) return [[name, String(value)] as const]
    throw new TypeError(`the ${one} \`${name}\` is ${shownResult(value)}, expected a text, or null to remove it`)
  })
  return Object.fromEntries(texts)
}

function wrong(result: unknown, expected: string): TypeError {
  if (isPromise(result)) {
    unheard(result)
    return new TypeError('it must not be async')
  }
  return new TypeError(`it returned ${shownResult(result)}, expected ${expected}`)
}
