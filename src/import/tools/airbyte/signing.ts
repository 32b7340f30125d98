import { Unsayable, type Value } from './jinja.js'
import { type Part, partOf, textOf, typeOf } from './manifestParts.js'
import { type RequestPlace, requestPlace } from './paging.js'
import { jsonPath, type Scene } from './rendering.js'

/** The `auth` of the document. Null if there is none, undefined (with a note) if it cannot be expressed. */
export function signingOf(given: unknown, scene: Scene): Readonly<Record<string, unknown>> | null | undefined {
  const part = scene.told(partOf(given))
  if (part === undefined) return null
  scene.of(part)
  return scene.attempt('the authentication', typeOf(part), () => signed(part, scene))
}

function signed(part: Part, scene: Scene): Readonly<Record<string, unknown>> | null | undefined {
  const at = (key: string): string | undefined => credential(part[key], scene)
  switch (typeOf(part)) {
    case 'NoAuth':
      return null
    case 'BearerAuthenticator':
      return { type: 'bearer', token: needed(part.api_token, 'token', scene) }
    case 'BasicHttpAuthenticator':
      return { type: 'http_basic', username: at('username') ?? '', password: at('password') ?? '' }
    case 'ApiKeyAuthenticator':
      return apiKey(part, scene)
    case 'OAuthAuthenticator':
      return oauth(part, scene)
    case 'SelectiveAuthenticator':
      return selected(part, scene)
    case 'SessionTokenAuthenticator':
      return login(part, scene)
    case 'LegacySessionTokenAuthenticator':
      return {
        type: 'login',
        path: `${at('api_url') ?? ''}/${at('login_url') ?? ''}`.replace(/([^:])\/+/g, '$1/'),
        json: { username: at('username') ?? '', password: at('password') ?? '' },
        token_path: at('session_token_response_key'),
        location: 'header',
        name: at('header'),
      }
    default:
      scene.stop(`the authentication ${textOf(part.class_name) ?? typeOf(part)} is none that a document has`)
      return undefined
  }
}

/** The key that an authenticator writes into the body of each request. It is a member of the document's body. */
export function bodyKeyOf(
  given: unknown,
  scene: Scene,
): { readonly place: RequestPlace; readonly value: string } | undefined {
  const part = partOf(given)
  if (part === undefined || typeOf(part) !== 'ApiKeyAuthenticator') return undefined
  scene.of(part)
  const place = requestPlace(partOf(part.inject_into), scene)
  if (place?.into !== 'body_json' && place?.into !== 'body_data') return undefined
  scene.of(part)
  const value = scene.attempt('the authentication', typeOf(part), () => needed(part.api_token, 'api_key', scene))
  return value === undefined ? undefined : { place, value }
}

/** The text of a credential, which may contain secret references. */
function credential(given: unknown, scene: Scene, isSecret = true): string | undefined {
  if (given === undefined || given === null) return undefined
  const value = scene.value(given, 'a credential')
  if (value === undefined) throw new Unsayable('a credential that cannot be said')
  return unbraced(scene.text(value, isSecret))
}

/** The members of a map of texts. One with a member `type` looks like a component, and so has parameters. */
function textsOf(given: unknown, scene: Scene): Record<string, string> {
  const members = Object.entries(partOf(given) ?? {}).filter(([key]) => key !== '$parameters')
  return Object.fromEntries(members.map(([key, value]) => [key, credential(value, scene) ?? '']))
}

/** The fields of a request for a token. Null removes one. */
function fieldsOf(given: unknown, scene: Scene): Record<string, string | null> {
  const removed = Object.entries(partOf(given) ?? {}).flatMap(([key, value]) => (value === null ? [[key, null]] : []))
  return { ...textsOf(given, scene), ...Object.fromEntries(removed) }
}

/** A credential that must not be empty. If the options do not give it, the user has to. */
function needed(given: unknown, name: string, scene: Scene): string {
  const text = credential(given, scene)
  if (text !== undefined && text !== '') return text
  scene.assume(`the manifest leaves the ${name} to options that are not set; \${secrets.${name}} holds it`)
  return `\${secrets.${name}}`
}

/** Texts of `auth` have no placeholders, so braces are not doubled there. */
function unbraced(text: string | undefined): string | undefined {
  return text?.replace(/\{\{/g, '{').replace(/\}\}/g, '}')
}

function apiKey(part: Part, scene: Scene): Readonly<Record<string, unknown>> | undefined {
  const token = needed(part.api_token, 'api_key', scene)
  const place = requestPlace(partOf(part.inject_into), scene)
  const name = place?.name ?? credential(part.header, scene) ?? ''
  scene.of(part)
  if (place !== undefined && place.into !== 'header' && place.into !== 'request_parameter') {
    scene.stop('the key goes into the body, which this document cannot say')
    return undefined
  }
  if (name === '') throw new Unsayable('a key without the name of its header')
  return { type: 'api_key', name, api_key: token, location: place?.into === 'request_parameter' ? 'query' : 'header' }
}

function oauth(part: Part, scene: Scene): Readonly<Record<string, unknown>> {
  const at = (key: string): string | undefined => credential(part[key], scene)
  const grant = at('grant_type') ?? 'refresh_token'
  const body = fieldsOf(part.refresh_request_body, scene)
  const headers = Object.keys(partOf(part.refresh_request_headers) ?? {})
  const isBasic = headers.some(name => name.toLowerCase() === 'authorization')
  const scopes = Array.isArray(part.scopes) ? part.scopes.map(scope => credential(scope, scene) ?? '').join(' ') : ''
  if (grant === 'refresh_token' && part.refresh_token === undefined && part.access_token_value !== undefined) {
    return { type: 'bearer', token: needed(part.access_token_value, 'access_token', scene) }
  }
  if (part.token_refresh_endpoint === undefined) {
    return { type: 'bearer', token: needed(part.access_token_value, 'access_token', scene) }
  }
  const common = {
    access_token_url: credential(part.token_refresh_endpoint, scene, false),
    client_id: needed(part.client_id, 'client_id', scene),
    client_secret: needed(part.client_secret, 'client_secret', scene),
    ...(isBasic && { client_auth: 'basic' }),
    ...(scopes !== '' && { scope: scopes }),
    ...(Object.keys(body).length > 0 && { access_token_request_data: body }),
  }
  if (textOf(part.access_token_name) !== undefined && part.access_token_name !== 'access_token') {
    scene.open(
      `the token is in the member ${String(part.access_token_name)} of the answer; Sluice looks for access_token`,
    )
  }
  if (grant === 'client_credentials') return { type: 'oauth2_client_credentials', ...common }
  if (grant === 'password') {
    const { scope: _scope, access_token_request_data: more, ...rest } = common
    return {
      type: 'oauth2_client_credentials',
      ...rest,
      access_token_request_data: { ...more, grant_type: 'password' },
    }
  }
  if (grant !== 'refresh_token')
    return { type: 'oauth2_client_credentials', ...common, access_token_request_data: { ...body, grant_type: grant } }
  return { type: 'oauth2_refresh_token', ...common, refresh_token: needed(part.refresh_token, 'refresh_token', scene) }
}

/** The authenticator that the options select. */
function selected(part: Part, scene: Scene): Readonly<Record<string, unknown>> | null | undefined {
  const path = (Array.isArray(part.authenticator_selection_path) ? part.authenticator_selection_path : []).map(String)
  const ways = partOf(part.authenticators) ?? {}
  const found: Value | undefined = scene.option(path, false)
  const key = found?.kind === 'known' ? String(found.value) : undefined
  const names = Object.keys(ways)
  const isOfKind = (name: string, kind: RegExp): boolean => kind.test(typeOf(partOf(ways[name])) ?? '')
  // A class of its own is not taken where the document can have another way.
  const sayable = names.filter(name => !isOfKind(name, /^Custom/))
  const among = sayable.length > 0 ? sayable : names
  const chosen =
    key !== undefined && among.includes(key)
      ? key
      : (among.find(name => !isOfKind(name, /^OAuthAuthenticator$/)) ?? among[0])
  if (chosen === undefined) throw new Unsayable('no way to sign in')
  const others = names.filter(name => name !== chosen)
  if (others.length > 0) scene.assume(`of the ways to sign in ${chosen} is taken; others are ${others.join(', ')}`)
  return signingOf(ways[chosen], scene)
}

function login(part: Part, scene: Scene): Readonly<Record<string, unknown>> | undefined {
  const requester = partOf(part.login_requester) ?? {}
  const use = partOf(part.request_authentication) ?? {}
  const text = (value: unknown): string | undefined => credential(value, scene)
  const map = (value: unknown): Record<string, string> | undefined => {
    const texts = textsOf(value, scene)
    return Object.keys(texts).length === 0 ? undefined : texts
  }
  scene.of(requester)
  const signed = signedLogin(partOf(requester.authenticator), scene)
  if (signed === undefined) {
    scene.stop('the login is signed in a way that a document does not have')
    return undefined
  }
  const path = [text(requester.url_base), text(requester.path)]
    .filter(Boolean)
    .join('/')
    .replace(/([^:])\/\/+/g, '$1/')
  const keys = (Array.isArray(part.session_token_path) ? part.session_token_path : []).map(String)
  const place = requestPlace(partOf(use.inject_into), scene)
  const body = { json: map(requester.request_body_json), data: map(requester.request_body_data) }
  return {
    type: 'login',
    path: path === '' ? text(requester.url) : path,
    ...(requester.http_method !== undefined && { method: String(requester.http_method).toUpperCase() }),
    ...defined({
      ...body,
      params: joined(map(requester.request_parameters), signed.params),
      headers: joined(map(requester.request_headers), signed.headers),
    }),
    token_path: jsonPath(keys),
    ...(typeOf(use) === 'ApiKey' && place !== undefined
      ? { location: place.into === 'request_parameter' ? 'query' : 'header', name: place.name }
      : { location: 'bearer' }),
    ...(textOf(use.api_token) !== undefined && {
      template: String(use.api_token).replace(/\{\{\s*session_token\s*\}\}/g, '{token}'),
    }),
  }
}

type Texts = Readonly<Record<string, string>>

/** How the login request itself is signed. Undefined if a document cannot express it. */
function signedLogin(
  auth: Part | undefined,
  scene: Scene,
): { readonly params?: Texts; readonly headers?: Texts } | undefined {
  switch (typeOf(auth)) {
    case undefined:
    case 'NoAuth':
      return {}
    case 'BearerAuthenticator':
      return { headers: { Authorization: `Bearer ${needed(auth?.api_token, 'login_token', scene)}` } }
    case 'ApiKeyAuthenticator': {
      const key = auth === undefined ? undefined : apiKey(auth, scene)
      if (key === undefined) return undefined
      const sent = { [String(key.name)]: String(key.api_key) }
      return key.location === 'query' ? { params: sent } : { headers: sent }
    }
    case 'BasicHttpAuthenticator':
      scene.assume(
        'the login is signed by user name and password: ${secrets.login_basic} holds the Base64 of the two, with a colon between them',
      )
      return { headers: { Authorization: 'Basic ${secrets.login_basic}' } }
    default:
      return undefined
  }
}

function joined(one: Texts | undefined, other: Texts | undefined): Texts | undefined {
  return one === undefined && other === undefined ? undefined : { ...one, ...other }
}

function defined<T extends object>(object: T): Partial<T> {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as Partial<T>
}
