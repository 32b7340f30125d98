import { z } from 'zod'
import { RequestError } from '../../model/errors.js'
import { later } from '../../model/runtime/firstUse.js'
import type { ListEnd } from '../../model/source.js'
import type { ApiPage, Paginator } from '../api.js'
import { because, isWithoutNext } from '../evidence/evidence.js'
import { describe, flag, flagOf, jsonPath, lacking, lackingHeader, pageError, wholeNumber } from './paginator.js'
import { declaresTotal, totalOf, totalValue } from './totals.js'

/** Keys of the paginators that follow their answers: where an answer says that the list ends, and how long it is. */
export const endKeys = later(() => ({
  has_more_path: jsonPath.nullish().meta({
    description:
      'JSONPath of a flag that says whether there is another page. Where it is missing or null, the rest of the answer decides.',
  }),
  done_path: jsonPath.nullish().meta({ description: 'JSONPath of a boolean that is true on the last page.' }),
  stop_after_empty_page: z
    .boolean()
    .default(false)
    .meta({ description: 'A page without records ends the list, even if it leads to another page.' }),
  total_path: jsonPath.nullish().meta({
    description:
      'JSONPath of the number of records in the whole list. It does not end the list; Sluice compares the list with it.',
  }),
  total_header: headerName().nullish().meta({
    description: 'Response header with the number of records in the whole list, as `total_path`.',
  }),
}))

/** The key of paginators that end where an answer has no link or cursor. */
export const missingKeys = later(() => ({
  stop_when_missing: z.boolean().default(false).meta({
    description:
      "The API's documentation says that a missing link or cursor is the end of the list. Without it, a list of one page is `unproven`.",
  }),
}))

export function headerName(): z.ZodString {
  return z
    .string()
    .regex(/^[!#$%&'*+.^_`|~\w-]+$/, { message: 'expected the name of a response header, as `X-Total-Count`' })
}

interface Flags {
  readonly has_more_path?: string | null | undefined
  readonly done_path?: string | null | undefined
}

export interface Ends extends Flags {
  readonly stop_after_empty_page?: boolean | undefined
  readonly total_path?: string | null | undefined
  readonly total_header?: string | null | undefined
}

/** Refuses two keys that answer one question. */
export function checkEnds(config: Ends, context: z.RefinementCtx): void {
  const pairs = [
    ['has_more_path', 'done_path'],
    ['total_path', 'total_header'],
  ] as const
  for (const [one, other] of pairs) {
    if (config[one] == null || config[other] == null) continue
    context.addIssue({ code: 'custom', path: [other], message: `is given beside \`${one}\`; leave one of them out` })
  }
}

/** The path of the flag that says whether there is more. */
export function flagPath({ has_more_path: more, done_path: done }: Flags): string | undefined {
  return more ?? done ?? undefined
}

/** What the flag of the page says. Undefined if none is configured, or if it has none. */
export function saysMore(page: ApiPage, { has_more_path: more, done_path: done }: Flags): boolean | undefined {
  if (more != null) return flag(page, 'has_more_path', more)
  const isDone = done == null ? undefined : flag(page, 'done_path', done)
  return isDone === undefined ? undefined : !isDone
}

/** Fails if the first page has no flag, and something with nearly the same name. Where it is only missing, other ends count. */
export function checkFlag(first: ApiPage, flags: Flags): void {
  const path = flagPath(flags)
  if (path === undefined || first.records === 0 || first.first(path) !== undefined) return
  if (first.near?.(path) === undefined) return
  throw lacking(first, flags.has_more_path == null ? 'done_path' : 'has_more_path', path, 'true or false')
}

/** The same as {@link saysMore} for a page that needs no flag, as an empty one. Undefined also if it has something else. */
export function maySayMore(page: ApiPage, { has_more_path: more, done_path: done }: Flags): boolean | undefined {
  if (more != null) return flagOf(page.first(more))
  const isDone = done == null ? undefined : flagOf(page.first(done))
  return isDone === undefined ? undefined : !isDone
}

/** The path of the configured flag, if the page has nothing there that says yes or no. */
function unsaidFlag(page: ApiPage, flags: Flags): string | undefined {
  const path = flagPath(flags)
  return path === undefined || maySayMore(page, flags) !== undefined ? undefined : path
}

/** The end of a list at an empty page. It proves nothing if the flag says that there is more. */
export function emptyPage(page: ApiPage, flags: Flags): ListEnd {
  return maySayMore(page, flags) === true ? because('says_more', flagPath(flags) ?? '') : because('empty_page')
}

/** The paginator with the ends that its configuration declares for any list. */
export function withEnds(paginator: Paginator, ends: Ends): Paginator {
  const path = flagPath(ends)
  return {
    ...paginator,
    goesByHeaders: paginator.goesByHeaders === true && path === undefined && ends.total_path == null,
    goesBy: [...(paginator.goesBy ?? []), ...(path === undefined ? [] : [path])],
    saysMore: page => maySayMore(page, ends),
    unsaid: page => unsaidFlag(page, ends),
    next(page) {
      if (ends.stop_after_empty_page === true && page.records === 0) return emptyPage(page, ends)
      const more = saysMore(page, ends)
      if (more === false) return because('no_more', path ?? '')
      const next = paginator.next(page)
      if (more === true && next !== undefined && 'end' in next && isWithoutNext(next))
        throw withoutNext(page, path ?? '', next)
      return next
    },
    check(first) {
      paginator.check?.(first)
      checkFlag(first, ends)
      if (declaresTotal(ends)) checkTotal(first, ends)
    },
    ...(declaresTotal(ends) && {
      announced: page => totalOf(totalValue(page, ends), Math.max(page.records, 0)),
    }),
  }
}

/** Fails if the first page has no number where the document says that it is. */
function checkTotal(first: ApiPage, ends: Ends): void {
  const { total_path: totalPath, total_header: totalHeader } = ends
  if (first.records === 0 || wholeNumber(totalValue(first, ends)) !== undefined) return
  if (totalPath == null) throw lackingHeader(first, 'total_header', totalHeader ?? '', 'a number')
  const value = first.first(totalPath)
  if (value !== undefined)
    throw pageError(first, `total_path "${totalPath}" must give a number, but is ${describe(value)}`)
  throw lacking(first, 'total_path', totalPath, 'a number')
}

function withoutNext(page: ApiPage, flagAt: string, { reason }: ListEnd): RequestError {
  const problem = `"${flagAt}" says there is more, but the answer does not lead there (${reason}); the same page would be asked for again`
  return new RequestError('pagination_loop', problem, { status: page.status })
}
