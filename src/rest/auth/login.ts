import { z } from 'zod'
import { compiledPath } from '../../json/path.js'
import type { JsonValue } from '../../json/value.js'
import { RequestError } from '../../model/errors.js'
import { Secret, secretPlaces } from '../../model/secrets/secret.js'
import type { ApiRequest, ApiResponse, RequestBody, SignContext } from '../api.js'
import { jsonObject, jsonValue } from '../document/declaration/pieces.js'
import { strictObject } from '../document/declaration/strictObject.js'
import { isSecretName } from '../http/redact.js'
import { joinUrl } from '../http/wire.js'
import { jsonPath } from '../paginators/paginator.js'
import { concealed, credential, defineAuth, secretAlone } from './authenticator.js'
import { type Carrier, carriedIn, carrying, mediumOf } from './staticCredentials.js'
import { renewalAt, type Token, tokenAuthenticator } from './token.js'
import { answered, keysOf, momentOf, secondsOf } from './tokenAnswer.js'

const field = z.union([z.string(), z.number(), z.boolean(), z.null(), secretAlone])
const bodyField = z.union([field, jsonObject, z.array(jsonValue)])

const schema = strictObject(() => ({
  type: z.literal('login').meta({ description: 'A request that returns a token, which signs the other requests.' }),
  path: z.string().meta({
    description: 'Where to log in: relative to `base_url`, or an address.',
    examples: ['auth/login', 'https://login.example.com/v1/session'],
  }),
  method: z.enum(['POST', 'GET', 'PUT']).default('POST').meta({ description: 'HTTP method of the login.' }),
  params: z.record(z.string(), field).optional().meta({ description: 'Query parameters of the login.' }),
  json: z
    .record(z.string(), bodyField)
    .optional()
    .meta({
      description: 'JSON body of the login. It may hold secrets.',
      examples: [{ user: 'ann', password: '${secrets.password}' }],
    }),
  data: z.record(z.string(), field).optional().meta({ description: 'Form body of the login. It may hold secrets.' }),
  headers: z.record(z.string(), field).optional().meta({ description: 'Headers of the login. They may hold secrets.' }),
  token_path: jsonPath.optional().meta({
    description: 'JSONPath of the token in the answer. `$`: the answer is the token.',
    examples: ['data.token'],
  }),
  token_header: z
    .string()
    .min(1)
    .optional()
    .meta({
      description: 'Header of the answer with the token, in place of `token_path`.',
      examples: ['X-Auth-Token'],
    }),
  token_cookie: z
    .string()
    .min(1)
    .optional()
    .meta({ description: 'Cookie of the answer with the token, in place of `token_path`.', examples: ['session'] }),
  expires_path: jsonPath.optional().meta({
    description: 'JSONPath of the moment when the token ends: a date, or seconds or milliseconds since 1970.',
  }),
  expires_in_path: jsonPath.optional().meta({ description: 'JSONPath of the lifetime of the token in seconds.' }),
  ttl: z
    .number()
    .positive()
    .optional()
    .meta({ description: 'Lifetime of the token in seconds, if the answer does not tell it. Default: until a 401.' }),
  location: z.enum(['bearer', 'header', 'query', 'cookie']).default('bearer').meta({
    description:
      'Where the token goes in the other requests. `bearer`: into the header Authorization, as a bearer token.',
  }),
  name: z
    .string()
    .min(1)
    .optional()
    .meta({
      description:
        'Name of the header, the query parameter or the cookie. Default: that of `token_header` or `token_cookie`.',
      examples: ['X-Auth-Token'],
    }),
  template: z
    .string()
    .includes('{token}', { message: 'expected a text with `{token}` in it' })
    .optional()
    .meta({ description: 'What is sent, with `{token}` for the token.', examples: ['Token {token}'] }),
})).superRefine((login, context) => {
  const issue = (key: string, message: string): void => context.addIssue({ code: 'custom', path: [key], message })
  const places = (['token_path', 'token_header', 'token_cookie'] as const).filter(key => login[key] !== undefined)
  if (places.length !== 1)
    issue('token_path', 'say where the token is: by one of `token_path`, `token_header` and `token_cookie`')
  if (login.json !== undefined && login.data !== undefined) issue('data', 'a login has either `json` or `data`')
  if (login.method === 'GET' && (login.json ?? login.data) !== undefined)
    issue('method', 'a GET has no body; leave out `method`')
  if (login.location !== 'bearer' && nameOf(login) === undefined)
    issue('name', `is missing: the name of the ${PLACES[login.location]}`)
  if (login.location === 'bearer' && login.name !== undefined)
    issue('name', 'has no effect; add `location: header`, `query` or `cookie`')
})

const PLACES = { header: 'header', query: 'query parameter', cookie: 'cookie' } as const

interface Naming {
  readonly location: 'bearer' | Carrier['location']
  readonly name?: string | undefined
  readonly token_header?: string | undefined
  readonly token_cookie?: string | undefined
}

function nameOf({ location, name, token_header, token_cookie }: Naming): string | undefined {
  if (location === 'bearer') return 'Authorization'
  return name ?? (location === 'header' ? token_header : location === 'cookie' ? token_cookie : undefined)
}

function carrierOf(login: Naming): Carrier {
  return { location: login.location === 'bearer' ? 'header' : login.location, name: nameOf(login) ?? '' }
}

type Login = z.output<typeof schema>

/** A request that returns a token. It is sent at first use, before the token ends, and after a 401. */
export const login = defineAuth({
  type: 'login',
  schema,
  secretFields: [],
  lookedUp: [],
  carries: config => carriedIn(carrierOf(config)),
  create(config, { path, baseUrl = '' }) {
    const carrier = carrierOf(config)
    const template = config.template ?? (config.location === 'bearer' ? 'Bearer {token}' : '{token}')
    return tokenAuthenticator({
      async get(context) {
        const askedAt = context.now()
        const response = await context.send(loginRequest(config, baseUrl, path, context))
        return loggedIn(config, path, response, askedAt, context)
      },
      place(request, token, context) {
        const text = credential(token, path, context, mediumOf(carrier))
        return carrying(
          request,
          carrier,
          template.replaceAll('{token}', () => text),
        )
      },
    })
  },
})

function loginRequest(config: Login, baseUrl: string, path: string, context: SignContext): ApiRequest {
  const url = joinUrl(baseUrl, config.path)
  if (!URL.canParse(url)) {
    throw new RequestError('auth', `${path}.path is not an address; set client.base_url, or begin it with https://`, {
      path,
    })
  }
  const fields = (pairs: Login['params']): [string, string][] =>
    Object.entries(pairs ?? {}).flatMap(([name, value]) =>
      value === null ? [] : [[name, String(opened(name, value, context))]],
    )
  const body = ((): RequestBody | undefined => {
    if (config.data !== undefined) return { kind: 'form', pairs: fields(config.data) }
    return config.json === undefined
      ? undefined
      : { kind: 'json', value: opened('', config.json, context) as JsonValue }
  })()
  return {
    method: config.method,
    url,
    params: fields(config.params),
    headers: Object.fromEntries(fields(config.headers)),
    body,
  }
}

/** The value with the texts of its secrets. A text under the name of a credential is a secret, however it is written. */
function opened(name: string, value: unknown, context: SignContext): unknown {
  if (value instanceof Secret) return concealed(value, context)
  if (typeof value === 'string')
    return isSecretName(name) ? concealed(new Secret(value, 'the document'), context) : value
  if (Array.isArray(value)) return value.map(item => opened(name, item, context))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, opened(key, item, context)]))
}

function loggedIn(config: Login, path: string, response: ApiResponse, askedAt: number, context: SignContext): Token {
  const { status, url } = response
  const fail = (what: string): RequestError =>
    new RequestError('auth', `${path}: the login ${url} ${what}`, { path, url, status })
  if (status >= 400) {
    const places = secretPlaces(config)
    const sent = places.length === 0 ? '' : ` (${places.join(', and ')})`
    throw fail(`answered ${status}; check what it sends${sent}, and the rights of the user`)
  }
  const answer = answered(response)
  const first = (jsonpath: string | undefined): JsonValue | undefined =>
    jsonpath === undefined || answer === undefined ? undefined : compiledPath(jsonpath).matches(answer)[0]
  const text = tokenText(config, response, first)
  if (text === undefined) {
    const where = config.token_path ?? config.token_header ?? config.token_cookie ?? ''
    throw fail(`gave no token at ${where}, it answered ${status}${shapeOf(answer)}`)
  }
  const secret = new Secret(text, `token of ${path}`)
  context.conceal(secret)
  const endsAt = ((): number | undefined => {
    if (config.expires_path !== undefined) {
      const moment = momentOf(first(config.expires_path))
      if (moment !== undefined) return renewalAt(askedAt, moment - askedAt)
    }
    const seconds = secondsOf(first(config.expires_in_path)) ?? config.ttl
    return seconds === undefined ? undefined : renewalAt(askedAt, seconds * 1000)
  })()
  return { secret, endsAt: endsAt ?? Number.POSITIVE_INFINITY }
}

function tokenText(
  config: Login,
  response: ApiResponse,
  first: (path: string | undefined) => JsonValue | undefined,
): string | undefined {
  const { token_path, token_header, token_cookie } = config
  const found = ((): JsonValue | undefined => {
    if (token_header !== undefined) return response.headers[token_header.toLowerCase()]
    if (token_cookie !== undefined) return cookieOf(response.headers['set-cookie'] ?? '', token_cookie)
    const value = first(token_path)
    return value === undefined && token_path === '$' ? Buffer.from(response.body).toString().trim() : value
  })()
  return (typeof found === 'string' && found !== '') || typeof found === 'number' ? String(found) : undefined
}

/** Several cookies arrive joined by commas, which dates have too. */
function cookieOf(header: string, name: string): string | undefined {
  for (const part of header.split(/,\s*(?=[^;,=\s]+=)/)) {
    const [pair = ''] = part.split(';')
    const at = pair.indexOf('=')
    if (pair.slice(0, at).trim() === name) return pair.slice(at + 1).trim()
  }
  return undefined
}

function shapeOf(answer: JsonValue | undefined): string {
  if (answer === undefined) return ' with something that is not JSON'
  return typeof answer !== 'object' || answer === null || Array.isArray(answer) ? '' : keysOf(answer)
}
