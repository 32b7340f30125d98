import { z } from 'zod'
import { compilePath } from '../../json/path.js'
import type { JsonValue } from '../../json/value.js'
import { RequestError, shortened } from '../../model/errors.js'
import type { ListEnd } from '../../model/source.js'
import { nearMiss } from '../../model/texts/nearMiss.js'
import type { ApiPage, Paginator } from '../api.js'

/** A kind of paginator, as `paginator.type` names it. */
export interface PaginatorKind<Schema extends z.ZodType = z.ZodType> {
  readonly type: string
  /** Older names that `type` may also have. */
  readonly aliases: readonly string[]
  /** Strict object with the kind's keys, `type` included. */
  readonly schema: Schema
  /** Whether the type as plain text is a complete configuration: true if every other key may be left out. */
  readonly shorthand: TakesTypeAlone<z.input<Schema>>
  create(config: z.output<Schema>): Paginator
}

/** `boolean` if nothing is known of the keys, as in a list of all kinds. */
type TakesTypeAlone<Config> = unknown extends Config
  ? boolean
  : Config extends { type: infer Type extends string }
    ? { type: Type } extends Config
      ? true
      : false
    : never

/** Keeps the schema's type in the table. */
export function definePaginator<Schema extends z.ZodType>(kind: PaginatorKind<Schema>): PaginatorKind<Schema> {
  return kind
}

/** Text that is a JSONPath. */
export const jsonPath = z.string().superRefine((text, context) => {
  try {
    compilePath(text)
  } catch (error) {
    context.addIssue({ code: 'custom', message: (error as Error).message })
  }
})

/** The name of a query parameter. */
export const paramName = z.string().min(1)

/** Dots lead into objects of the JSON body, which are created if needed. In a form it is a field's name. */
export const bodyPath = z.string().min(1)

export function proven(reason: string): ListEnd {
  return { end: 'proven', reason }
}

export function suspect(reason: string): ListEnd {
  return { end: 'suspect', reason }
}

/** The error for an answer without what the paginator needs. The page reader adds resource, method and URL. */
export function pageError(page: ApiPage, problem: string): RequestError {
  return new RequestError('response_format', `${problem}; the answer begins ${page.excerpt()}`, { status: page.status })
}

/** The error for an answer with nothing at a configured path. It names the place that was probably meant. */
export function lacking(page: ApiPage, key: string, path: string, expected: string, remedy?: string): RequestError {
  const near = page.near?.(path)
  const hint = near === undefined ? remedy : `did you mean "${near}"?`
  return pageError(page, `${key} "${path}" must give ${expected}, but is not in the answer${after(hint)}`)
}

/** The same for a response header. */
export function lackingHeader(page: ApiPage, key: string, header: string, expected: string): RequestError {
  const value = page.headers[header.toLowerCase()]
  const near = value === undefined ? nearMiss(header.toLowerCase(), Object.keys(page.headers)) : undefined
  const found = value === undefined ? 'not in the answer' : describe(value)
  const hint = near === undefined ? undefined : `did you mean "${near}"?`
  return pageError(page, `${key} "${header}" must give ${expected}, but is ${found}${after(hint)}`)
}

function after(hint: string | undefined): string {
  return hint === undefined ? '' : `; ${hint}`
}

/**
 * Reads a flag at a configured path: a boolean, or a text that stands for one. Undefined if it is missing, null or an
 * empty text, as many APIs write false: then it says nothing. Anything else is a RequestError, numbers too, as with dlt.
 */
export function flag(page: ApiPage, key: string, path: string): boolean | undefined {
  const value = page.first(path)
  const found = flagOf(value)
  if (found !== undefined || value === undefined || value === null || value === '') return found
  throw pageError(page, `${key} "${path}" must give true or false, but is ${describe(value)}`)
}

/** The flag that a value is. Undefined if it is none. */
export function flagOf(value: JsonValue | undefined): boolean | undefined {
  if (typeof value === 'boolean') return value
  if (typeof value !== 'string') return undefined
  if (/^(?:yes|true|t|y|1)$/i.test(value)) return true
  return /^(?:no|false|f|n|0)$/i.test(value) ? false : undefined
}

/** Reads a whole number. Numeric text counts, and fractions are dropped. Undefined if there is none. */
export function wholeNumber(value: JsonValue | undefined): number | undefined {
  const isNumber = typeof value === 'number' || typeof value === 'bigint'
  const isDigits = typeof value === 'string' && /^\s*[+-]?\d+\s*$/.test(value)
  return isNumber || isDigits ? Math.trunc(Number(value)) : undefined
}

/** A value for messages: its type and, if short, the value. */
export function describe(value: JsonValue): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object') return 'an object'
  return typeof value === 'string' ? `the text ${JSON.stringify(shortened(value, 40))}` : String(value)
}
