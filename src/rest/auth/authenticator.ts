import { z } from 'zod'
import { RequestError } from '../../model/errors.js'
import { reveal, Secret } from '../../model/secrets/secret.js'
import type { Clock, Source } from '../../model/source.js'
import type { KindAuthenticator, SignContext } from '../api.js'

/**
 * Keeps tokens between runs, for machines and processes that share them. Texts are secrets: nothing of them is printed,
 * and nobody else can read where they are kept.
 */
export interface TokenStore {
  /** What was kept last under this name. */
  read(name: string): Promise<string | undefined>
  /**
   * Runs the work while nobody else does so for this name: in this process, in others, and on machines that share the
   * place. `keep` replaces what is kept, whole or not at all, and resolves when it would survive a power cut. It is called
   * once at most. Rejects before the work if there is no place to keep anything.
   */
  alone<Result>(
    name: string,
    signal: AbortSignal,
    work: (kept: string | undefined, keep: (text: string) => Promise<void>) => Promise<Result>,
  ): Promise<Result>
  /** Where it is, for messages. */
  readonly place: string
}

/** What a sign-in may use of the process. */
export interface SignInContext {
  readonly signal: AbortSignal
  readonly clock: Clock
}

/** How a person gives a pipeline the right to read. */
export interface SignIn {
  /** Key path of the `auth` object. */
  readonly path: string
  /** Where the tokens are kept. */
  readonly place: string
  /** Port that the browser is sent back to. Undefined: any. */
  readonly redirectPort: number | undefined
  /** Absent: the document has no `authorization_url`. */
  readonly byBrowser?: ((redirectUri: string, context: SignInContext) => BrowserSignIn) | undefined
  /** Absent: the document has no `device_authorization_url`. */
  readonly byDevice?: ((context: SignInContext) => Promise<DeviceSignIn>) | undefined
}

export interface BrowserSignIn {
  /** To be opened. */
  readonly url: string
  /** Whether the parameters with which the browser came back are an answer to this sign-in. */
  isAnswer(params: URLSearchParams): boolean
  /** Exchanges the answer for tokens and keeps them. */
  finish(params: URLSearchParams): Promise<void>
}

export interface DeviceSignIn {
  /** To be opened on any device, and the code to enter there. From the server: not safe to print. */
  readonly url: string
  readonly code: string
  /** Waits until somebody has done so, and keeps the tokens. */
  finish(): Promise<void>
}

const bySource = new WeakMap<Source, readonly SignIn[]>()

export function offerSignIns(source: Source, signIns: readonly SignIn[]): void {
  bySource.set(source, signIns)
}

/** Every sign-in that a source of a document needs. None for other sources. */
export function signInsOf(source: Source): readonly SignIn[] {
  return bySource.get(source) ?? []
}

/** A kind of authentication, as `auth.type` names it. */
export interface AuthKind<Schema extends z.ZodType = z.ZodType> {
  readonly type: string
  /** Strict object with the kind's fields, including `type`. Secret fields accept text or a Secret and become a Secret. */
  readonly schema: Schema
  /** Fields whose value is a Secret. */
  readonly secretFields: readonly string[]
  /** Needed fields that are looked up among the secrets if the document leaves them out. They may depend on others. */
  readonly lookedUp: readonly string[] | ((written: Readonly<Record<string, unknown>>) => readonly string[])
  /** By field: what to write if the API needs none, for the message that it is missing. */
  readonly without?: Readonly<Record<string, string>>
  /** Headers and query parameters that signing adds. Default: `Authorization`. */
  carries?(config: z.output<Schema>, ofBlock: (block: unknown) => Carried): Carried
  /** Field with a block of `auth`, or a list of them. */
  readonly nested?: string
  create(config: z.output<Schema>, context: AuthContext): KindAuthenticator
  /** How a person signs in, for `sluice auth`. `signer` makes what requests need. */
  signIn?(
    config: z.output<Schema>,
    context: AuthContext,
    signer: (context: SignInContext) => Promise<SignContext>,
  ): SignIn
}

/** Names of headers and query parameters that hold credentials. */
export interface Carried {
  readonly headers?: readonly string[]
  readonly params?: readonly string[]
}

export interface AuthContext {
  /** Key path of the `auth` object, as in `client.auth`, for messages. */
  readonly path: string
  /** `client.base_url`, which paths are relative to. It may be empty. */
  readonly baseUrl?: string | undefined
  /** Where relative paths of files begin. Default: the current folder. */
  readonly folder?: string | undefined
  /** The authenticator of a block inside this one. */
  readonly nested?: ((block: unknown) => KindAuthenticator) | undefined
  /** Where tokens are kept: in a folder, by default in the working folder. */
  readonly tokenStore?: ((folder: string | undefined) => TokenStore) | undefined
}

/** Keeps the schema's type in the table. */
export function defineAuth<Schema extends z.ZodType>(kind: AuthKind<Schema>): AuthKind<Schema> {
  return kind
}

/** A resolved Secret. */
export const secretAlone = z.custom<Secret>(value => value instanceof Secret, {
  message: 'expected text or a secret',
  params: { type: 'Secret' },
})

/** Text, or a resolved Secret. The output is always a Secret. */
export const secretText = z
  .union([z.string().min(1, 'expected a secret that is not empty'), secretAlone])
  .transform(value => (typeof value === 'string' ? new Secret(value) : value))

/** The text of a secret that is about to be sent. From now on it is removed from everything that is printed. */
export function concealed(secret: Secret, context: SignContext): string {
  context.conceal(secret)
  return reveal(secret)
}

/**
 * The same for a secret that is put unchanged into a header or query. Throws a RequestError `auth` if that is
 * impossible, as with a line break at the end of a file.
 */
export function credential(
  secret: Secret,
  path: string,
  context: SignContext,
  carrier: 'header' | 'query' = 'header',
): string {
  const text = concealed(secret, context)
  if (fits(text, carrier)) return text
  const what = /[\r\n]/.test(text) ? 'a line break' : `a character that no ${carrier} can hold`
  throw new RequestError('auth', `${path} contains ${what} (it comes from ${secret.origin})`, { path })
}

/** Whether a text can be sent in a header or a query as it is. */
export function fits(text: string, carrier: 'header' | 'query'): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters to be found
  const refused = carrier === 'header' ? /[\x00-\x1f\x7f]|[^\x00-\xff]/ : /[\x00-\x1f\x7f]/
  return !refused.test(text)
}
