import type { Clock, Source } from '../../model/source.js'

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
