import { decoded } from '../../rest/http/redact.js'
import type { SourcePlace } from '../imported.js'

export type Pair = readonly [name: string, value: string]

/** The body of a request, as far as it matters to a list. */
export type SourceBody =
  | { readonly kind: 'json'; readonly value: unknown }
  | { readonly kind: 'form'; readonly pairs: readonly Pair[] }
  | { readonly kind: 'text'; readonly text: string }
  /** A form in parts, or a file. */
  | { readonly kind: 'parts' }

/** The body as JSON if it is any, as text otherwise. */
export function jsonOrText(text: string): SourceBody {
  try {
    return { kind: 'json', value: JSON.parse(text) }
  } catch {
    return { kind: 'text', text }
  }
}

export interface SourceAnswer {
  readonly status: number
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>
  readonly text: string
}

/** One request that a source holds. Variables in its texts are marked (`variable`). */
/** A key of AWS, and what it signs for. Empty texts are not in the source. */
export interface SourceAwsKey {
  readonly id: string
  readonly secret: string
  readonly region: string | undefined
  readonly service: string | undefined
}

export interface SourceRequest {
  /** Name that the source has for it. */
  readonly name?: string | undefined
  readonly method: string
  /** With its query. */
  readonly url: string
  readonly headers: readonly Pair[]
  readonly body?: SourceBody | undefined
  /** An `auth` block of the document, its secrets as references. It replaces what the headers say. */
  readonly auth?: Readonly<Record<string, unknown>> | null | undefined
  /** What signs it as AWS does. */
  readonly awsKey?: SourceAwsKey | undefined
  readonly place: SourcePlace
  readonly answers: readonly SourceAnswer[]
  /** What the source says of it that the document cannot. */
  readonly open?: readonly string[] | undefined
}

const [OPENED, CLOSED] = ['\uE000', '\uE001'] as const

/** A variable of a shell or of Postman within a text. */
export function variableMark(name: string): string {
  return `${OPENED}${name}${CLOSED}`
}

/** The text without characters that mark variables. */
export function withoutMarks(text: string): string {
  return text.replace(/[\uE000\uE001]/g, '')
}

export function hasVariable(text: string): boolean {
  return text.includes(OPENED)
}

/** The names of the variables in a text. */
export function variablesOf(text: string): string[] {
  return [...text.matchAll(/\uE000([^\uE001]*)\uE001/g)].map(([, name = '']) => name)
}

/** The text with each variable replaced. */
export function replacingVariables(text: string, by: (name: string) => string): string {
  return text.replace(/\uE000([^\uE001]*)\uE001/g, (_, name: string) => by(name))
}

/** Names of variables as the environment has them. */
export function environmentName(name: string): string {
  return name.replace(/\W+/g, '_')
}

export interface UrlParts {
  /** Scheme, host and port. */
  readonly origin: string
  /** With the slash in front. */
  readonly path: string
  readonly query: readonly Pair[]
  /** `user:password`, decoded. */
  readonly user: string | undefined
}

/** The parts of `user:password`. Empty: not there. */
export function userParts(user: string): { readonly name: string; readonly password: string } {
  const [, name = '', password = ''] = /^([^:]*)(?::(.*))?$/s.exec(user) ?? []
  return { name, password }
}

/** Servers put the session of a browser behind a `;` of the path. */
const SESSION_IN_PATH = /;(?:\w*sess(?:ion)?_?id|sid)=[^/;]*/gi

/** The parts of an address, also where a variable is its beginning. Undefined for what is no address of http. */
export function urlParts(url: string): UrlParts | undefined {
  const [, scheme, host, path = '', query = ''] =
    /^(?:(https?):\/\/)?([^/?#]+)([^?#]*)(?:\?([^#]*))?/i.exec(url.trim()) ?? []
  if (host === undefined || (scheme === undefined && !hasVariable(host))) return undefined
  const [, user, server = ''] = /^(?:(.*)@)?([^@]*)$/s.exec(host) ?? []
  if (scheme !== undefined && !hasVariable(server) && !URL.canParse(`${scheme}://${server}/`)) return undefined
  const origin = scheme === undefined ? server : `${scheme.toLowerCase()}://${server}`
  return {
    origin,
    path: path === '' ? '/' : path.replace(SESSION_IN_PATH, ''),
    query: pairsOf(query),
    user: user && decoded(user),
  }
}

/** The pairs of a query or a form body. */
export function pairsOf(query: string): Pair[] {
  return query
    .split('&')
    .filter(part => part !== '')
    .map(part => {
      const [, name = '', value = ''] = /^([^=]*)(?:=(.*))?$/s.exec(part) ?? []
      return [decoded(name.replaceAll('+', ' ')), decoded(value.replaceAll('+', ' '))] as const
    })
}
