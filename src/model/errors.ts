import type { Receipt } from './receipt.js'

/**
 * Errors are grouped by what the reader does next. Each says what failed, where, and what to do. `message` is complete
 * and safe to print: it never holds a secret or a stack.
 */

/** The kind of failure, stable across releases; `docs/troubleshooting.md` has an entry for each. */
export type ErrorCode =
  | 'config'
  | 'secret_missing'
  | 'http_status'
  | 'connection'
  | 'timeout'
  | 'rate_limit'
  | 'response_format'
  | 'response_too_large'
  | 'pagination_loop'
  | 'forbidden_url'
  | 'auth'
  | 'placeholder'
  | 'selector'
  | 'incremental_cursor'
  | 'primary_key'
  | 'not_null'
  | 'coercion'
  | 'integer_range'
  | 'user_function'
  | 'contract'
  | 'schema'
  | 'destination'
  | 'destination_locked'
  | 'commit_unknown'
  | 'query'
  | 'incomplete'
  | 'windows_failed'
  | 'too_many_deletes'
  | 'journal'
  | 'aborted'
  | 'memory'
  | 'environment'

/** Common part of every error Sluice throws on purpose. */
export abstract class SluiceError extends Error {
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(message, options)
    this.name = new.target.name
    this.code = code
  }
}

/** Place of a configuration key: `path` as in `resources[1].endpoint.params`, with the file's line where known. */
export interface ConfigPlace {
  readonly path: string
  readonly file?: string | undefined
  /** 1-based. */
  readonly line?: number | undefined
  /** 1-based. */
  readonly column?: number | undefined
}

/** Fix the file. */
export class ConfigError extends SluiceError {
  readonly place: ConfigPlace
  /** Every problem found: a document is checked as a whole. The message holds all of them, one a line. */
  readonly problems: readonly ConfigProblem[]

  constructor(problems: readonly [ConfigProblem, ...ConfigProblem[]], code: 'config' | 'secret_missing' = 'config') {
    super(code, problems.map(formatProblem).join('\n'))
    this.problems = problems
    this.place = problems[0].place
  }

  /** The key of the first problem, as in `resources[1].endpoint.paginator.limit`. */
  get path(): string {
    return this.place.path
  }
}

export interface ConfigProblem {
  readonly place: ConfigPlace
  /** What is wrong, what was expected and, if there is one, a similar name. No trailing dot, no path. */
  readonly message: string
  /** The line of the file, with a caret below the place. Secrets in it are `***`. */
  readonly excerpt?: string | undefined
}

/** `file:line:column path: message`, leaving out what is not known, and the excerpt below it. */
function formatProblem({ place, message, excerpt }: ConfigProblem): string {
  const position =
    place.line === undefined ? '' : `:${place.line}${place.column === undefined ? '' : `:${place.column}`}`
  const file = place.file === undefined ? '' : `${place.file}${position} `
  const text = `${file}${place.path === '' ? '' : `${place.path}: `}${message}`
  return excerpt === undefined ? text : `${text}\n${excerpt}`
}

/** Wait, check the token or the API. `url` is redacted. */
export class RequestError extends SluiceError {
  readonly resource: string | undefined
  readonly method: string | undefined
  readonly url: string | undefined
  readonly status: number | undefined
  readonly attempts: number | undefined
  /** Configuration key that caused the error, as in `client.auth`, if there is one. */
  readonly path: string | undefined

  constructor(
    code: Extract<
      ErrorCode,
      | 'http_status'
      | 'connection'
      | 'timeout'
      | 'rate_limit'
      | 'response_format'
      | 'response_too_large'
      | 'pagination_loop'
      | 'forbidden_url'
      | 'auth'
    >,
    message: string,
    details: {
      readonly resource?: string | undefined
      readonly method?: string | undefined
      readonly url?: string | undefined
      readonly status?: number | undefined
      readonly attempts?: number | undefined
      readonly path?: string | undefined
      readonly cause?: unknown
    } = {},
  ) {
    super(code, message, { cause: details.cause })
    this.resource = details.resource
    this.method = details.method
    this.url = details.url
    this.status = details.status
    this.attempts = details.attempts
    this.path = details.path
  }
}

/** A signal stopped the work, which committed nothing since. `cause` is the reason of the signal. */
export class AbortError extends SluiceError {
  readonly resource: string | undefined

  constructor(message: string, details: { readonly resource?: string | undefined; readonly cause?: unknown } = {}) {
    super('aborted', message, { cause: details.cause })
    this.resource = details.resource
  }
}

/**
 * One error for whatever a signal stopped. Failures of other kinds are returned as they are. `told`: what to say, with
 * the reason of the signal.
 */
export function stoppedBy(
  signal: AbortSignal | undefined,
  error: unknown,
  told: (why: string) => string = why => `stopped (${why})`,
): unknown {
  if (signal?.aborted !== true || signal.reason instanceof SluiceError) return error
  const isStop =
    error === signal.reason ||
    (error instanceof SluiceError ? error.code === 'aborted' : error instanceof Error && error.name === 'AbortError')
  if (!isStop) return error
  const why = signal.reason instanceof Error ? signal.reason.message : String(signal.reason)
  const resource = error instanceof AbortError ? error.resource : undefined
  return new AbortError(told(why), { resource, cause: signal.reason })
}

/** Look at the data: add a hint, or fix the selector or the parent's field. */
export class DataError extends SluiceError {
  readonly resource: string | undefined
  /** Configuration path, or table and column, that the value belongs to. */
  readonly path: string | undefined
  /** With the code `incomplete`: what the run read of each resource. Nothing of it was committed. */
  readonly receipts?: readonly Receipt[] | undefined

  constructor(
    code: Extract<
      ErrorCode,
      | 'placeholder'
      | 'selector'
      | 'incremental_cursor'
      | 'primary_key'
      | 'not_null'
      | 'coercion'
      | 'integer_range'
      | 'user_function'
      | 'incomplete'
      | 'windows_failed'
      | 'too_many_deletes'
      | 'journal'
    >,
    message: string,
    details: {
      readonly resource?: string | undefined
      readonly path?: string | undefined
      readonly receipts?: readonly Receipt[] | undefined
      readonly cause?: unknown
    } = {},
  ) {
    super(code, message, { cause: details.cause })
    this.resource = details.resource
    this.path = details.path
    if (details.receipts !== undefined) this.receipts = details.receipts
  }
}

/** Accept or forbid the schema change. */
export class SchemaError extends SluiceError {
  readonly table: string | undefined
  readonly column: string | undefined
  readonly resource: string | undefined
  /** Configuration path of the key that forbids it, as in `resources[0].schema_contract`. */
  readonly path: string | undefined

  constructor(
    code: Extract<ErrorCode, 'contract' | 'schema'>,
    message: string,
    details: {
      readonly table?: string | undefined
      readonly column?: string | undefined
      readonly resource?: string | undefined
      readonly path?: string | undefined
    } = {},
  ) {
    super(code, message)
    this.table = details.table
    this.column = details.column
    this.resource = details.resource
    this.path = details.path
  }
}

/** Check permissions, space, the connection, or a table that was changed by hand. */
export class DestinationError extends SluiceError {
  readonly destination: string
  /** Whether the same run may succeed later without a change. */
  readonly transient: boolean

  constructor(
    code: Extract<ErrorCode, 'destination' | 'destination_locked' | 'commit_unknown'>,
    message: string,
    details: { readonly destination: string; readonly transient?: boolean; readonly cause?: unknown },
  ) {
    super(code, message, { cause: details.cause })
    this.destination = details.destination
    this.transient = details.transient ?? false
  }
}

/** Fix the statement. The message has the engine's words. */
export class QueryError extends SluiceError {
  constructor(message: string, options: { readonly cause?: unknown } = {}) {
    super('query', `the statement cannot be run: ${message}`, options)
  }
}

/** Give the process what it is missing. */
export class EnvironmentError extends SluiceError {
  constructor(message: string, options: { readonly cause?: unknown; readonly code?: 'environment' | 'memory' } = {}) {
    super(options.code ?? 'environment', message, options)
  }
}

/** The error for a port that a server cannot listen at. `path`: the option or key that names the port. */
export function portError(
  { code, message }: NodeJS.ErrnoException,
  {
    port,
    host = '127.0.0.1',
    path = '--port',
  }: { readonly port: number; readonly host?: string; readonly path?: string },
): ConfigError {
  const which = port === 0 ? 'a free port' : `port ${port}`
  const taken = code === 'EADDRINUSE' ? '; another program listens there: choose another port' : ''
  return new ConfigError([
    { place: { path }, message: `${which} of ${host} cannot be used (${code ?? message})${taken}` },
  ])
}

/**
 * Shortens text of an API or a user for a message, to at most `longest` characters with `…` at a cut. Remove secrets
 * from the text first. A piece of a secret next to the `…` is removed later, with the whole message.
 */
export function shortened(text: string, longest = 80): string {
  if (text.length <= longest) return text
  // Half of a surrogate pair is not a character.
  const end = /[\ud800-\udbff]/.test(text[longest - 1] ?? '') ? longest - 1 : longest
  return `${text.slice(0, end)}…`
}

/** `a`, `a or b`, `a, b or c`. */
export function alternatives(names: readonly string[]): string {
  if (names.length <= 1) return names[0] ?? 'nothing'
  return `${names.slice(0, -1).join(', ')} or ${names.at(-1)}`
}
