import { isSecretName } from '../../rest/http/redact.js'
import { nameFrom } from '../document/pipelineName.js'
import { asTemplate } from '../draft/draftYaml.js'
import type { ImportedSecret } from '../imported.js'
import {
  hasVariable,
  type Pair,
  replacingVariables,
  type SourceAwsKey,
  type SourceRequest,
  userParts,
  variableMark,
} from './sourceRequest.js'

/** The secrets of a source by their values, which leave this file only as references. */
export class SecretNames {
  readonly #names = new Map<string, string>()
  readonly #found = new Map<string, ImportedSecret>()

  /** The reference to a secret. The same value has one name. */
  reference(wanted: string, what: string, value: string): string {
    const known = this.#names.get(value)
    if (known !== undefined) return `\${secrets.${known}}`
    const base = nameFrom(wanted) ?? 'secret'
    let name = base
    for (let number = 2; this.#found.has(name); number++) name = `${base}_${number}`
    this.#names.set(value, name)
    this.#found.set(name, { name, what })
    return `\${secrets.${name}}`
  }

  /** A text that is a secret or holds variables. A text before a variable, such as `Token `, stays. */
  text(text: string, wanted: string, what: string): string {
    if (!hasVariable(text)) return this.reference(wanted, what, text)
    return replacingVariables(escapedReferences(text), name => this.reference(name, what, `\uE000${name}`))
  }

  get all(): readonly ImportedSecret[] {
    return [...this.#found.values()]
  }
}

/** `${secrets.x}` that a source holds as text. */
export function escapedReferences(text: string): string {
  return text.replace(/\$(?=\{(?:secrets|env)\.)/g, '$$$$')
}

/** A text of the source where placeholders are read, with its variables as secrets. */
export function templateText(text: string, secrets: SecretNames, what: string): string {
  return replacingVariables(asTemplate(text), name => secrets.reference(name, what, `\uE000${name}`))
}

export interface RequestCredentials {
  /** Undefined: none were found. */
  readonly auth: Readonly<Record<string, unknown>> | null | undefined
  readonly headers: Readonly<Record<string, string>>
  readonly query: readonly Pair[]
  /** The same query with credentials as references. */
  readonly secretParams: Readonly<Record<string, string>>
  readonly taken: readonly string[]
  readonly cookies: readonly string[]
}

/** What a browser or a tool sends of itself. */
const NOISE =
  /^(?::|sec-|accept-(?:language|encoding|charset)$|(?:connection|cache-control|pragma|dnt|upgrade-insecure-requests|user-agent|referer|origin|priority|te|content-length|host|if-none-match|if-modified-since|postman-token|proxy-(?:connection|authorization)|keep-alive|transfer-encoding|expect|newrelic|traceparent|tracestate|x-b3-.*|sentry-trace|baggage)$)/

/** Names of headers, in small letters, that hold a secret. */
export const SECRET_HEADER =
  /(?:^|[-_])(?:api-?key|apikey|key|token|secret|auth\w*|authorization|password|passwd|session(?:-?id)?|credentials?|signature|jwt|bearer|cookie|\w*sid|\w*sess(?:ion)?id)(?:$|[-_])/

/** How tokens begin that show themselves by their form, whatever they are called. */
const TOKEN_START =
  'eyJ[\\w-]{8,}\\.[\\w-]+\\.|(?:sk|pk|rk)_(?:live|test)_|gh[opsur]_|github_pat_|glpat-|xox[abeprs]-|AKIA[A-Z\\d]{12}|AIza[\\w-]{20,}|ya29\\.|pat[A-Z]\\w{12,}|shp(?:at|ca|pa)_|sq0|SG\\.[\\w-]{16,}|dop_v1_|npm_|key-[a-f\\d]{20,}|(?:bot)?\\d{6,12}:[\\w-]{30,}'
const TOKEN = new RegExp(`^(?:${TOKEN_START})`)

/** What stands in place of a token where nothing may refer to it. */
export const CONCEALED = '***'

/** Such tokens within a text. What is shorter than a token is a word that begins alike. */
export const TOKENS_WITHIN = new RegExp(`(?<![\\w-])(?=[\\w.:-]{16,})(?:${TOKEN_START})[\\w.-]*`, 'g')

/** Whether a value is a secret by its name or by its form. */
export function isSecret(name: string, value: string): boolean {
  return isSecretName(name) || TOKEN.test(value) || SECRET_PARAM.test(name.toLowerCase())
}

const SECRET_PARAM =
  /(?:^|[-_.[])(?:api[-_]?key|apikey|access[-_]?token|auth[-_]?token|secret|password|passwd)(?:$|[-_.\]])/

/** The name of a value in a text of any form, such as XML or a query, that is a secret by its name. */
export function secretNameIn(text: string): string | undefined {
  const pairs = text.matchAll(/([A-Za-z][\w-]{0,60})["']?\s{0,3}(?:[:=]|>)\s{0,3}["']?([^\s"'<>&,;{}]+)/g)
  for (const [, name = '', value = ''] of pairs) if (isSecret(name, value)) return name
  return undefined
}

/** Takes the credentials out of a request. A Cookie is kept only where `keepsCookies` says so. */
export function credentialsOf(
  request: SourceRequest,
  query: readonly Pair[],
  user: string | undefined,
  secrets: SecretNames,
  keepsCookies: boolean,
): RequestCredentials {
  let auth = request.auth
  const headers: Record<string, string> = {}
  const taken: string[] = []
  const cookies: string[] = []
  if (request.awsKey !== undefined) {
    const [, token] = request.headers.find(([name]) => name.toLowerCase() === AWS_TOKEN) ?? []
    auth = signedForAws(request.awsKey, token, secrets)
    taken.push('the key that signs for AWS')
  }
  if (auth === undefined && user !== undefined && user !== '') {
    auth = basic(user, secrets)
    taken.push('the user name and the password of the address')
  }
  for (const [written, value] of request.headers) {
    const name = written.toLowerCase()
    if (NOISE.test(name) || value === '' || (request.awsKey !== undefined && name === AWS_TOKEN)) continue
    if (name === 'cookie') {
      for (const part of value.split(';')) cookies.push(part.split('=')[0]?.trim() ?? '')
      if (!keepsCookies) continue
      const single = /^\s*([^=;\s]+)=([^;]*?)\s*;?\s*$/.exec(value)
      if (auth === undefined && single !== null) {
        const [, key = '', text = ''] = single
        auth = { type: 'api_key', name: key, location: 'cookie', api_key: secrets.text(text, key, `cookie ${key}`) }
      } else headers.Cookie = secrets.text(value, 'cookie', 'header Cookie')
      taken.push('cookies')
    } else if (name === 'authorization') {
      if (request.auth !== undefined) continue
      auth = authorization(value, secrets)
      taken.push('the header Authorization')
    } else if (name === 'content-type') {
      if (request.body?.kind === 'text') headers[written] = escapedReferences(value)
    } else if (name === 'accept') {
      if (!/^(?:\*\/\*|application\/json(?:\b.*\*\/\*.*|;.*)?|text\/html\b.*)$/i.test(value))
        headers[written] = escapedReferences(value)
    } else if (SECRET_HEADER.test(name) || TOKEN.test(value) || isRandom(value)) {
      taken.push(`the header ${written}`)
      const text = secrets.text(value, secretHeaderName(name), `header ${written}`)
      if (auth === undefined) auth = { type: 'api_key', name: written, location: 'header', api_key: text }
      else headers[written] = text
    } else headers[written] = templateText(value, secrets, `header ${written}`)
  }
  const kept: Pair[] = []
  const secretParams: Record<string, string> = {}
  for (const [name, value] of query) {
    if (!isSecret(name, value) || value === '') {
      kept.push([name, value])
      continue
    }
    taken.push(`the query parameter ${name}`)
    const text = secrets.text(value, name, `query parameter ${name}`)
    if (auth === undefined) auth = { type: 'api_key', name, location: 'query', api_key: text }
    else secretParams[name] = text
  }
  return { auth, headers, query: kept, secretParams, taken, cookies }
}

function secretHeaderName(name: string): string {
  return name.replace(/^x-/, '')
}

/** Whether a text is a word as only a machine makes it. */
export function isRandom(value: string): boolean {
  return (
    /^[A-Za-z\d+/_=.-]{24,}$/.test(value) &&
    /\d/.test(value) &&
    /[a-z]/i.test(value) &&
    !/^[\w.-]+\/[\w.+-]+$/.test(value)
  )
}

function authorization(value: string, secrets: SecretNames): Readonly<Record<string, unknown>> {
  const [, scheme = '', rest = ''] = /^(\S+)\s+(.+)$/s.exec(value.trim()) ?? []
  if (/^bearer$/i.test(scheme)) return { type: 'bearer', token: secrets.text(rest, 'token', 'bearer token') }
  if (/^basic$/i.test(scheme) && !hasVariable(rest)) {
    const user = Buffer.from(rest, 'base64').toString('utf8')
    if (user.includes(':')) return basic(user, secrets)
  }
  const key = (text: string) => ({ type: 'api_key', name: 'Authorization', location: 'header', api_key: text })
  if (/^[A-Za-z][\w-]{1,20}$/.test(scheme) && /^\S+$/.test(rest)) {
    return key(`${scheme} ${secrets.text(rest, 'token', 'key in the header Authorization')}`)
  }
  return key(secrets.text(value, 'authorization', 'header Authorization'))
}

/** `user:password`, both as references: many APIs expect a key as the user. */
function basic(user: string, secrets: SecretNames): Readonly<Record<string, unknown>> {
  const { name, password } = userParts(user)
  return {
    type: 'http_basic',
    username: name === '' ? '' : secrets.text(name, 'username', 'user name'),
    password: password === '' ? '' : secrets.text(password, 'password', 'password'),
  }
}

/** The header of temporary credentials, which is signed with the request. */
const AWS_TOKEN = 'x-amz-security-token'

function signedForAws(
  { id, secret, region, service }: SourceAwsKey,
  token: string | undefined,
  secrets: SecretNames,
): Readonly<Record<string, unknown>> {
  const text = (value: string, name: string, what: string): string =>
    secrets.text(value || variableMark(name), name, what)
  return {
    type: 'aws_sigv4',
    access_key_id: text(id, 'access_key_id', 'id of the AWS key'),
    secret_access_key: text(secret, 'secret_access_key', 'AWS key'),
    ...(token !== undefined && { session_token: text(token, 'session_token', 'session token of AWS') }),
    region: region ?? '${env.AWS_REGION}',
    ...(service !== undefined && { service }),
  }
}
