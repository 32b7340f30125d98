import { fileError } from '../../../config/file/documentFile.js'
import type { Imported, ImportInput, LeftOut } from '../../imported.js'
import { isSecret, SecretNames } from '../../requests/credentials.js'
import { requestsImported } from '../../requests/requestDocument.js'
import {
  hasVariable,
  jsonOrText,
  type Pair,
  type SourceAnswer,
  type SourceBody,
  type SourceRequest,
  variableMark,
  withoutMarks,
} from '../../requests/sourceRequest.js'
import { isMembers, listOf, type Members, membersOf, sourceData, textAt } from '../../sourceData.js'

/** Most nested folders, and most nested variables. */
const DEEPEST = 50

/**
 * Makes pipelines from a Postman collection (2.0 and 2.1): one for each origin, with a resource for each request that
 * reads a list. `more` has environments. Their variables override those of the collection. Scripts are not run.
 */
export function importPostman({ text, file, more = [], name }: ImportInput): Imported {
  const shown = file ?? 'postman'
  const collection = membersOf(sourceData(withoutMarks(text), shown).value)
  const root = membersOf(collection.collection ?? collection)
  if (!Array.isArray(root.item)) throw fileError(shown, 'is no Postman collection: it has no list of `item`')
  const environments = more.map(one => membersOf(sourceData(withoutMarks(one.text), one.file ?? 'environment').value))
  const secrets = new SecretNames()
  const reader = new CollectionReader(new Variables(root.variable, environments), secrets)
  reader.folder(root, 'item', undefined, 0)
  const title = textAt(membersOf(root.info), 'name')
  const imported = requestsImported(reader.requests, {
    name: name ?? title,
    source: 'collection',
    findsIds: false,
    keepsCookies: true,
    secrets,
  })
  return { ...imported, leftOut: [...imported.leftOut, ...reader.leftOut] }
}

/** The variables of a collection and its environments. Those that are secret, or have no value, stay variables. */
/** Numbers and flags are values of variables too. */
function plainText(value: unknown): string {
  return ['string', 'number', 'bigint', 'boolean'].includes(typeof value) ? String(value) : ''
}

class Variables {
  readonly #values = new Map<string, string>()

  constructor(own: unknown, environments: readonly Members[]) {
    for (const list of [own, ...environments.map(({ values }) => values)]) {
      for (const variable of objectsOf(list)) {
        const key = textAt(variable, 'key') ?? textAt(variable, 'id')
        const value = plainText(variable.value)
        if (key === undefined || variable.enabled === false || variable.disabled === true) continue
        const isHidden = variable.type === 'secret' || value === '' || isSecret(key, value)
        if (isHidden) this.#values.delete(key)
        else this.#values.set(key, value)
      }
    }
  }

  /** The text with known variables replaced, and the others marked. */
  filled(text: string, depth = 0): string {
    return text.replace(/\{\{([^{}]+)\}\}/g, (_, written: string) => {
      const name = written.trim()
      const value = depth < DEEPEST ? this.#values.get(name) : undefined
      return value === undefined ? variableMark(name) : this.filled(value, depth + 1)
    })
  }
}

class CollectionReader {
  readonly requests: SourceRequest[] = []
  readonly leftOut: LeftOut[] = []
  readonly #variables: Variables
  readonly #secrets: SecretNames

  constructor(variables: Variables, secrets: SecretNames) {
    this.#variables = variables
    this.#secrets = secrets
  }

  /** Reads a folder. Its authentication holds for everything in it that has none. */
  folder(folder: Members, path: string, inherited: Members | undefined, depth: number): void {
    const auth = isMembers(folder.auth) ? folder.auth : inherited
    for (const [index, item] of objectsOf(folder.item).entries()) {
      const place = `${path}[${index}]`
      if (Array.isArray(item.item) && depth < DEEPEST) this.folder(item, `${place}.item`, auth, depth + 1)
      else {
        const read = Array.isArray(item.item) ? 'it lies too deep in folders' : this.#requestOf(item, place, auth)
        if (typeof read !== 'string') this.requests.push(read)
        else this.leftOut.push({ what: textAt(item, 'name') ?? 'a request', place: { path: place }, why: read })
      }
    }
  }

  /** The request of an item, or why it is no list. */
  #requestOf(item: Members, place: string, inherited: Members | undefined): SourceRequest | string {
    const request = typeof item.request === 'string' ? { url: item.request } : membersOf(item.request)
    const method = (textAt(request, 'method') ?? 'GET').toUpperCase()
    const url = this.#url(request.url)
    if (url === undefined) return 'it has no address'
    const answers = objectsOf(item.response).flatMap(answerOf)
    const body = this.#body(membersOf(request.body))
    const why = answers.length === 0 ? whyNoList(method, url, body) : undefined
    if (why !== undefined) return why
    return {
      name: textAt(item, 'name'),
      method,
      url,
      headers: this.#pairs(request.header),
      body,
      place: { path: place },
      answers,
      ...this.#auth(isMembers(request.auth) ? request.auth : inherited),
    }
  }

  /** The address as text. A path variable such as `:id` is filled, or is a variable. */
  #url(written: unknown): string | undefined {
    const url = membersOf(written)
    const raw = typeof written === 'string' ? written : (textAt(url, 'raw') ?? addressOfParts(url))
    if (raw === undefined || raw.trim() === '') return undefined
    const values = new Map(objectsOf(url.variable).map(one => [textAt(one, 'key') ?? '', textAt(one, 'value') ?? '']))
    const [address = '', query] = raw.split(/\?(.*)/s)
    const path = address.replace(/\/:([A-Za-z_][\w-]*)/g, (_, name: string) => {
      const value = values.get(name) ?? ''
      return `/${value === '' || value.startsWith(':') ? `{{${name}}}` : value}`
    })
    const disabled = new Set(objectsOf(url.query).flatMap(one => (one.disabled === true ? [textAt(one, 'key')] : [])))
    const kept = (query ?? '').split('&').filter(pair => pair !== '' && !disabled.has(pair.split('=')[0]))
    return this.#variables.filled(kept.length === 0 ? path : `${path}?${kept.join('&')}`)
  }

  /** Pairs as a list has them, or lines of headers, as they may be written in 2.0. */
  #pairs(list: unknown): Pair[] {
    const pairs = typeof list === 'string' ? headerLines(list) : objectsOf(list)
    return pairs.flatMap(pair => {
      const [name, value] = [textAt(pair, 'key'), textAt(pair, 'value') ?? '']
      if (name === undefined || name === '' || pair.disabled === true) return []
      return [[name, this.#variables.filled(value)] as const]
    })
  }

  #body(body: Members): SourceBody | undefined {
    const mode = textAt(body, 'mode')
    if (body.disabled === true || mode === undefined) return undefined
    if (mode === 'urlencoded') return { kind: 'form', pairs: this.#pairs(body.urlencoded) }
    if (mode === 'graphql') {
      const { query, variables } = membersOf(body.graphql)
      const given = typeof variables === 'string' ? jsonOrText(variables) : { kind: 'json' as const, value: variables }
      return { kind: 'json', value: { query, variables: given.kind === 'json' ? given.value : undefined } }
    }
    if (mode === 'formdata' && listOf(body.formdata).length === 0) return undefined
    if (mode !== 'raw') return { kind: 'parts' }
    const text = this.#variables.filled(textAt(body, 'raw') ?? '')
    if (text.trim() === '') return undefined
    return jsonOrText(text)
  }

  /** The `auth` block, with references in place of what it holds. */
  #auth(auth: Members | undefined): Pick<SourceRequest, 'auth' | 'open'> {
    if (auth === undefined) return {}
    const type = textAt(auth, 'type') ?? ''
    const settings = settingsOf(auth[type])
    const secret = (key: string, name: string, what: string): string =>
      this.#secrets.text(this.#variables.filled(settings.get(key) ?? '') || variableMark(name), name, what)
    switch (type) {
      case 'noauth':
        return { auth: null }
      case 'bearer':
        return { auth: { type: 'bearer', token: secret('token', 'token', 'bearer token') } }
      case 'basic':
        return {
          auth: {
            type: 'http_basic',
            username: secret('username', 'username', 'user name'),
            password: secret('password', 'password', 'password'),
          },
        }
      case 'apikey': {
        const location = settings.get('in') === 'query' ? 'query' : 'header'
        const name = this.#variables.filled(settings.get('key') ?? '')
        if (name === '' || hasVariable(name)) return { open: ['the name of its API key is not in the collection'] }
        return { auth: { type: 'api_key', name, location, api_key: secret('value', name, `${location} ${name}`) } }
      }
      case 'oauth2': {
        const address = this.#variables.filled(settings.get('accessTokenUrl') ?? '')
        if (settings.get('grant_type') === 'client_credentials' && address !== '' && !hasVariable(address)) {
          const scope = settings.get('scope') ?? ''
          return {
            auth: {
              type: 'oauth2_client_credentials',
              access_token_url: address,
              client_id: secret('clientId', 'client_id', 'client id'),
              client_secret: secret('clientSecret', 'client_secret', 'client secret'),
              ...(scope !== '' &&
                !hasVariable(this.#variables.filled(scope)) && { scope: this.#variables.filled(scope) }),
              ...(settings.get('client_authentication') === 'header' && { client_auth: 'basic' }),
            },
          }
        }
        return {
          auth: { type: 'bearer', token: secret('accessToken', 'access_token', 'access token') },
          open: ['its OAuth 2.0 token is taken as it is; Sluice can also fetch tokens (docs/authentication.md)'],
        }
      }
      default:
        return { open: [`its authentication, ${type || 'unnamed'}, must be written by hand (docs/authentication.md)`] }
    }
  }
}

/** An address that is written in parts alone. */
function addressOfParts(url: Members): string | undefined {
  const joined = (value: unknown, by: string): string =>
    typeof value === 'string'
      ? value
      : listOf(value)
          .filter(part => typeof part === 'string')
          .join(by)
  const host = joined(url.host, '.')
  if (host === '') return undefined
  // A variable that is the whole host is one of the whole origin.
  const scheme = textAt(url, 'protocol') ?? (/^\{\{[^{}]+\}\}$/.test(host) ? undefined : 'https')
  const port = textAt(url, 'port')
  const path = joined(url.path, '/').replace(/^\/*/, '/')
  const query = objectsOf(url.query).map(one => `${textAt(one, 'key') ?? ''}=${textAt(one, 'value') ?? ''}`)
  const start = `${scheme === undefined ? '' : `${scheme}://`}${host}${port === undefined ? '' : `:${port}`}${path}`
  return query.length === 0 ? start : `${start}?${query.join('&')}`
}

function headerLines(text: string): Members[] {
  return text.split(/\r?\n/).flatMap(line => {
    const [, key, value = ''] = /^\s*([^:\s]+)\s*:\s*(.*?)\s*$/.exec(line) ?? []
    return key === undefined ? [] : [{ key, value }]
  })
}

/** Why a request without an example is no list. Undefined: it may be one. */
function whyNoList(method: string, url: string, body: SourceBody | undefined): string | undefined {
  if (method === 'POST') {
    const query = body?.kind === 'json' ? membersOf(body.value).query : undefined
    const reads =
      (typeof query === 'string' && !/^\s*mutation\b/.test(query)) ||
      /\/_?(?:search|query|list|find)\/?(?:\?|$)/i.test(url)
    return reads ? undefined : 'it has no example answer, and POST need not read'
  }
  if (method !== 'GET') return `${method} reads no list`
  const [path = ''] = url.split('?')
  const last = path.replace(/\/+$/, '').split('/').at(-1) ?? ''
  return hasVariable(last) && path.split('/').length > 4 ? 'its path ends with the id of one record' : undefined
}

function answerOf(response: Members): SourceAnswer[] {
  const text = textAt(response, 'body')
  const status = Number(response.code)
  if (text === undefined || text === '' || status < 200 || status > 299) return []
  const written = typeof response.header === 'string' ? headerLines(response.header) : objectsOf(response.header)
  const headers = Object.fromEntries(
    written.map(one => [(textAt(one, 'key') ?? '').toLowerCase(), textAt(one, 'value') ?? '']),
  )
  return [{ status: status || 200, headers, text }]
}

/** The settings of an authentication: a list of keys and values in 2.1, an object in 2.0. */
function settingsOf(written: unknown): ReadonlyMap<string, string> {
  const pairs = Array.isArray(written)
    ? objectsOf(written).map(one => [textAt(one, 'key'), one.value] as const)
    : Object.entries(membersOf(written))
  return new Map(
    pairs.flatMap(([key, value]) => (key !== undefined && typeof value === 'string' ? [[key, value]] : [])),
  )
}

function objectsOf(value: unknown): readonly Members[] {
  return listOf(value).filter(isMembers)
}
