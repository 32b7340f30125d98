import type { ImportedSecret, ImportNote } from '../../imported.js'
import { listOf, type Members, membersOf, textOf } from '../../sourceData.js'
import type { Schemas } from './openapiSchemas.js'
import { variableName } from './servers.js'

/** How requests are signed, with references in place of secrets. */
export interface FoundAuth {
  /** Undefined: no authentication, or none that a document can say. */
  readonly auth: Readonly<Record<string, unknown>> | undefined
  /** Keys beside the first one. */
  readonly headers: Readonly<Record<string, string>>
  readonly params: Readonly<Record<string, string>>
  readonly secrets: readonly ImportedSecret[]
  readonly notes: readonly Omit<ImportNote, 'target'>[]
}

interface Context {
  readonly schemes: Members
  readonly schemas: Schemas
  /** Addresses of tokens may be relative to it. */
  readonly baseUrl: string
  /** `paths` of the document, or where the schemes stand. */
  readonly place: string
  /** Name of the service for signatures of AWS. */
  readonly service: string | undefined
  /** Prefix of names of environment variables. */
  readonly prefix: string
}

/** The schemes of a document, wherever its version keeps them. */
export function schemesOf(root: Members): { readonly schemes: Members; readonly place: string } {
  const { components, securityDefinitions } = root
  if (securityDefinitions !== undefined)
    return { schemes: membersOf(securityDefinitions), place: 'securityDefinitions' }
  return { schemes: membersOf(membersOf(components).securitySchemes), place: 'components.securitySchemes' }
}

/** The requirement that is met with the least: a key or a token before a flow of OAuth. */
export function easiest(
  requirements: readonly Members[],
  { schemes, schemas }: Pick<Context, 'schemes' | 'schemas'>,
): Members | undefined {
  const cost = (requirement: Members): number =>
    Object.keys(requirement).reduce((sum, name) => sum + 10 + costOf(schemas.object(schemes[name])), 0)
  return requirements
    .map((requirement, index) => ({ requirement, index, cost: cost(requirement) }))
    .sort((a, b) => a.cost - b.cost || writing(a.requirement) - writing(b.requirement) || a.index - b.index)[0]
    ?.requirement
}

/** 0 where every scope says that it only reads. */
function writing(requirement: Members): number {
  const scopes = Object.values(requirement).flatMap(listOf)
  return scopes.length > 0 && scopes.every(scope => /read/i.test(String(scope))) ? 0 : 1
}

function costOf(scheme: Members): number {
  const type = textOf(scheme.type)?.toLowerCase()
  if (type === 'http') {
    if (/^bearer$/i.test(String(scheme.scheme))) return 0
    return /^basic$/i.test(String(scheme.scheme)) ? 2 : 50
  }
  if (type === 'apikey') {
    if (isSettingName(String(scheme.name))) return 70
    return scheme.in === 'cookie' ? 3 : 1
  }
  if (type === 'basic') return 2
  if (type === 'oauth2') return 4
  return type === 'openidconnect' ? 5 : 60
}

/** What the schemes of one requirement become. */
export function authOf(requirement: Members, context: Context): FoundAuth {
  const found = Object.keys(requirement).map(name => schemeAuth(name, requirement[name], context))
  const settings = found.flatMap(({ auth }) => (isApiKey(auth) && isSettingName(auth.name) ? [auth] : []))
  const [first = NONE, ...others] = found
    .filter(({ auth }) => !(isApiKey(auth) && isSettingName(auth.name)))
    .sort((a, b) => Number(b.auth !== undefined) - Number(a.auth !== undefined))
  const sent: Sent = { headers: {}, params: {} }
  const notes = first === NONE && found.length > 0 ? [] : [...first.notes]
  // Two keys must not have one name.
  const renamed = isApiKey(first.auth) && others.some(({ auth }) => isApiKey(auth)) ? first.auth : undefined
  const own = renamed === undefined ? first : apiKey(renamed.name, renamed.location, secretName(renamed.name))
  const secrets = [...own.secrets]
  for (const { auth, notes: says } of others) {
    // Of two that fill Authorization, one is enough.
    if (auth === undefined) notes.push(...says)
    else if (isApiKey(auth)) {
      const secret = { name: secretName(auth.name), what: `${auth.location} ${auth.name}` }
      if (isSent(auth, `\${secrets.${secret.name}}`, sent)) secrets.push(secret)
      else notes.push({ kind: 'open', text: `the API also wants the cookie ${auth.name}`, stopsRun: true })
    }
  }
  for (const key of settings) {
    const variable = variableName(context.prefix, key.name)
    if (isSent(key, `\${env.${variable}}`, sent))
      notes.push({ kind: 'open', text: `set the variable ${variable} for ${key.name}`, stopsRun: true })
  }
  return { auth: own.auth, ...sent, secrets, notes }
}

interface Sent {
  readonly headers: Record<string, string>
  readonly params: Record<string, string>
}

/** Whether the value has its place beside the first credential. Cookies have none. */
function isSent({ name, location }: ApiKey, value: string, { headers, params }: Sent): boolean {
  if (location === 'cookie') return false
  if (location === 'header') headers[name] = value
  else params[name] = value
  return true
}

const NONE: FoundAuth = {
  auth: undefined,
  headers: {},
  params: {},
  secrets: [],
  notes: [{ kind: 'taken', text: 'the API needs no authentication' }],
}

interface ApiKey {
  readonly type: 'api_key'
  readonly name: string
  readonly location: string
}

function isApiKey(auth: FoundAuth['auth']): auth is FoundAuth['auth'] & ApiKey {
  return auth?.type === 'api_key'
}

/** What documents describe as a key because every request sends it, and is none, as `Plaid-Version`. */
function isSettingName(name: string): boolean {
  return SETTING.test(name) && !/key|token|secret|auth/i.test(name)
}

const SETTING =
  /(?:^|[-_a-z])(?:version|locale|language|host|project|region|environment|format|portal)$|^(?:accept|sudo)$/i

function schemeAuth(name: string, scopes: unknown, context: Context): FoundAuth {
  const scheme = context.schemas.object(context.schemes[name])
  const place = { path: `${context.place}.${name}` }
  const found = (
    auth: Readonly<Record<string, unknown>> | undefined,
    secrets: readonly ImportedSecret[],
    kind: ImportNote['kind'],
    text: string,
  ): FoundAuth => ({
    auth,
    headers: {},
    params: {},
    secrets,
    notes: [{ kind, text, place, ...(kind === 'open' && { stopsRun: true }) }],
  })
  const bearer = (kind: ImportNote['kind'], text: string) =>
    found({ type: 'bearer', token: `\${secrets.token}` }, [{ name: 'token', what: 'bearer token' }], kind, text)
  const basic = () =>
    found(
      { type: 'http_basic', username: `\${secrets.username}`, password: `\${secrets.password}` },
      [
        { name: 'username', what: 'user name' },
        { name: 'password', what: 'password, or what the API takes for it' },
      ],
      'taken',
      `${name}: a user name and a password`,
    )
  const description = textOf(scheme.description) ?? ''
  switch (textOf(scheme.type)?.toLowerCase()) {
    case 'http':
      if (/^bearer$/i.test(String(scheme.scheme))) return bearer('taken', `${name}: a bearer token`)
      if (/^basic$/i.test(String(scheme.scheme))) return basic()
      return found(
        undefined,
        [],
        'open',
        `${name}: authentication by HTTP ${String(scheme.scheme ?? 'scheme without a name')} must be written by hand (docs/authentication.md)`,
      )
    case 'basic':
      return basic()
    case 'apikey': {
      const key = textOf(scheme.name) ?? 'Authorization'
      const location = scheme.in === 'query' || scheme.in === 'cookie' ? scheme.in : 'header'
      const isAws =
        scheme['x-amazon-apigateway-authtype'] === 'awsSigv4' || /amazon signature|aws.?sig/i.test(description)
      if (isAws) return aws(found, context)
      if (/^authorization$/i.test(key) && location === 'header') {
        const text = `${name} ${description}`
        if (/bearer|jwt|oauth|access.?token/i.test(text))
          return bearer('assumed', `${name}: the key in Authorization is a bearer token`)
        if (/basic/i.test(text)) return basic()
      }
      const { auth, secrets } = apiKey(key, location, 'api_key')
      return found(
        auth,
        secrets,
        'taken',
        `${name}: a key in the ${location === 'query' ? 'query parameter' : location} ${key}`,
      )
    }
    case 'oauth2':
      return oauth(name, scheme, scopes, context, found, bearer)
    case 'openidconnect':
      return bearer('assumed', `${name}: OpenID Connect gives a bearer token`)
    case 'mutualtls':
      return found(
        undefined,
        [],
        'open',
        `${name}: a client certificate must be named by hand (mtls in docs/authentication.md)`,
      )
    default:
      return found(undefined, [], 'open', `${name}: the document does not say how to authenticate`)
  }
}

function apiKey(name: string, location: string, secret: string) {
  const auth = { type: 'api_key', name, api_key: `\${secrets.${secret}}`, location }
  return { auth, secrets: [{ name: secret, what: `${location === 'query' ? 'query parameter' : location} ${name}` }] }
}

type AuthFrom = (
  auth: Readonly<Record<string, unknown>> | undefined,
  secrets: readonly ImportedSecret[],
  kind: ImportNote['kind'],
  text: string,
) => FoundAuth

function aws(found: AuthFrom, { service }: Context): FoundAuth {
  const auth = {
    type: 'aws_sigv4',
    access_key_id: `\${secrets.access_key_id}`,
    secret_access_key: `\${secrets.secret_access_key}`,
    region: `\${env.AWS_REGION}`,
    ...(service !== undefined && { service }),
  }
  const secrets = [
    { name: 'access_key_id', what: 'id of the AWS key' },
    { name: 'secret_access_key', what: 'AWS key' },
  ]
  return found(auth, secrets, 'taken', 'requests are signed as AWS does it; the variable AWS_REGION names the region')
}

function oauth(
  name: string,
  scheme: Members,
  scopes: unknown,
  { baseUrl }: Context,
  found: AuthFrom,
  bearer: (kind: ImportNote['kind'], text: string) => FoundAuth,
): FoundAuth {
  // Swagger 2.0 has one flow, and other names for two of them.
  const own = textOf(scheme.flow)
  const flows: Members = own === undefined ? membersOf(scheme.flows) : { [SWAGGER_FLOWS[own] ?? own]: scheme }
  const [client, code] = [membersOf(flows.clientCredentials), membersOf(flows.authorizationCode)]
  const scope = listOf(scopes).filter(one => typeof one === 'string' && one !== '' && one !== 'none')
  const wanted = scope.length === 0 ? {} : { scope }
  const tokenUrl = (flow: Members) => absolute(textOf(flow.tokenUrl), baseUrl)
  const pair = [
    { name: 'client_id', what: 'id of the OAuth client' },
    { name: 'client_secret', what: 'secret of the OAuth client' },
  ]
  const keys = { client_id: `\${secrets.client_id}`, client_secret: `\${secrets.client_secret}` }
  const clientUrl = tokenUrl(client)
  if (clientUrl !== undefined) {
    return found(
      { type: 'oauth2_client_credentials', access_token_url: clientUrl, ...keys, ...wanted },
      pair,
      'taken',
      `${name}: OAuth 2.0 with client credentials`,
    )
  }
  const [codeUrl, signIn] = [tokenUrl(code), absolute(textOf(code.authorizationUrl), baseUrl)]
  if (codeUrl !== undefined && signIn !== undefined) {
    const auth = {
      type: 'oauth2_refresh_token',
      access_token_url: codeUrl,
      authorization_url: signIn,
      ...keys,
      ...wanted,
    }
    return found(
      auth,
      pair,
      'taken',
      `${name}: OAuth 2.0; \`sluice auth FILE\` signs in. With a token of your own: { type: bearer, token: … }`,
    )
  }
  return bearer('assumed', `${name}: OAuth 2.0 gives a bearer token, which you get yourself`)
}

const SWAGGER_FLOWS: Readonly<Record<string, string>> = {
  application: 'clientCredentials',
  accessCode: 'authorizationCode',
}

function absolute(url: string | undefined, baseUrl: string): string | undefined {
  if (url === undefined || /[{}]/.test(url) || !URL.canParse(url, baseUrl)) return undefined
  const { protocol, href, username } = new URL(url, baseUrl)
  return /^https?:$/.test(protocol) && username === '' ? href : undefined
}

/** `X-API-Key` is `api_key`. */
function secretName(name: string): string {
  return (
    name
      .replace(/^x-/i, '')
      .replace(/([a-z\d])([A-Z])/g, '$1_$2')
      .replace(/\W+/g, '_')
      .replace(/^[_\d]+|_+$/g, '')
      .toLowerCase() || 'key'
  )
}
