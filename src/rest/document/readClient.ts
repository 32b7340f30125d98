import type { Authenticator } from '../api.js'
import { type AuthKind, authKinds } from '../auth/authKinds.js'
import { checkShape } from './checkShape.js'
import type { AuthConfig, ClientConfig } from './declaration/configTypes.js'
import { auth as authDeclaration, shapeOf } from './declaration/variants.js'
import type { AuthModel, ClientModel } from './model.js'
import { formatPath, type Problems, type PropertyPath } from './problems.js'
import type { Lookup } from './references.js'
import { milliseconds } from './resources/readResponses.js'

export function clientOf(client: ClientConfig, problems: Problems): ClientModel {
  const limit = client.rate_limit
  const baseUrl = client.base_url ?? ''
  const origins = (client.allowed_hosts ?? []).flatMap((host, position) => {
    const origin = originOf(host, baseUrl)
    if (origin === undefined) {
      problems.add(
        ['client', 'allowed_hosts', position],
        'expected a host, or an origin such as `https://files.example.com`',
      )
    }
    return origin ?? []
  })
  checkBaseUrl(baseUrl, problems)
  return {
    baseUrl,
    allowedOrigins: [...new Set(origins)],
    concurrency: client.concurrency ?? undefined,
    rateLimit:
      limit == null
        ? undefined
        : {
            requests: limit.requests ?? undefined,
            perMs: milliseconds(limit.per) ?? 1_000,
            maxConcurrency: limit.max_concurrency ?? undefined,
          },
    transport: client.transport ?? undefined,
  }
}

/** The value is not shown, because it may hold a password. */
function checkBaseUrl(text: string, problems: Problems): void {
  if (text === '') return
  const url = parseUrl(text)
  if (url === undefined || !/^https?:\/\//i.test(text)) {
    problems.add(['client', 'base_url'], 'expected a URL that begins with `https://` or `http://`')
  } else if (url.username !== '' || url.password !== '') {
    problems.add(['client', 'base_url'], 'must hold no user name or password; use `auth` with `type: http_basic`')
  }
}

/** A host without a scheme gets the scheme of the base URL. */
function originOf(host: string, baseUrl: string): string | undefined {
  const scheme = /^http:\/\//i.test(baseUrl) ? 'http' : 'https'
  const url = parseUrl(/^[a-z][a-z\d+.-]*:\/\//i.test(host) ? host : `${scheme}://${host}`)
  if (url === undefined || !/^https?:$/.test(url.protocol)) return undefined
  const nothingElse = url.pathname === '/' && url.search === '' && url.hash === '' && url.username === ''
  return nothingElse ? url.origin : undefined
}

function parseUrl(text: string): URL | undefined {
  return URL.canParse(text) ? new URL(text) : undefined
}

/** Kinds that choose among others, and so must be outside. */
const NO_BLOCKS: ReadonlySet<string> = new Set(['rotate'])

/** Reads `auth` blocks. One block gives one object, however many resources use it. */
export class AuthReader {
  readonly #lookup: Lookup
  readonly #problems: Problems
  readonly #read = new Map<string, AuthModel | undefined>()

  constructor(lookup: Lookup, problems: Problems) {
    this.#lookup = lookup
    this.#problems = problems
  }

  auth(written: AuthConfig | null | undefined, at: PropertyPath): AuthModel | undefined {
    if (written == null) return undefined
    const path = formatPath(at)
    if (this.#read.has(path)) return this.#read.get(path)
    const model = this.#build(written, at, path)
    this.#read.set(path, model)
    return model
  }

  #build(written: AuthConfig, at: PropertyPath, path: string): AuthModel | undefined {
    if (typeof (written as Authenticator).sign === 'function') {
      return { kind: 'custom', authenticator: written as Authenticator, path }
    }
    const shorthand = typeof written === 'string'
    const config: Record<string, unknown> = shorthand ? {} : { ...(written as object) }
    const type = shorthand ? written : (config.type ?? 'bearer')
    const kind = authKinds.find(known => known.type === type)
    if (kind === undefined) return undefined
    const before = this.#problems.count
    if (kind.nested !== undefined) this.#readNested(kind.nested, config, at)
    if (this.#problems.count > before) return undefined
    const lookedUp = typeof kind.lookedUp === 'function' ? kind.lookedUp(config) : kind.lookedUp
    for (const [field, schema] of Object.entries(shapeOf(kind.schema))) {
      if (field === 'type' || config[field] != null) continue
      delete config[field]
      if (lookedUp.includes(field)) this.#lookUp(field, kind, config, [...at, field])
      else this.#lookUpSetting(field, !schema.safeParse(undefined).success, config)
    }
    if (this.#problems.count > before) return undefined
    const complete = { ...config, type: kind.type }
    const checked = kind.schema.safeParse(complete)
    if (!checked.success) {
      checkShape(kind.schema, complete, at, this.#problems)
      return undefined
    }
    return { kind: 'declared', type: kind.type, config: checked.data as Readonly<Record<string, unknown>>, path }
  }

  /** Blocks inside a block become models, too. */
  #readNested(field: string, config: Record<string, unknown>, at: PropertyPath): void {
    const model = (block: unknown, place: PropertyPath): unknown => {
      if (!checkShape(authDeclaration, block, place, this.#problems)) return block
      const made = this.#build(block as AuthConfig, place, formatPath(place))
      const isInside = made?.kind === 'declared' && NO_BLOCKS.has(made.type)
      if (isInside) this.#problems.add([...place, 'type'], `\`${made.type}\` cannot be inside another block`)
      return made
    }
    const value = config[field]
    if (Array.isArray(value)) config[field] = value.map((block, index) => model(block, [...at, field, index]))
    else if (value != null) config[field] = model(value, [...at, field])
  }

  #lookUp(field: string, kind: AuthKind, config: Record<string, unknown>, at: PropertyPath): void {
    const { secretFields, without } = kind
    const found = secretFields.includes(field)
      ? this.#lookup.credential(field, secretFields.length === 1)
      : this.#lookup.setting(field, true)
    if ('value' in found) config[field] = found.value
    else {
      const advice = without?.[field]
      this.#problems.addMissingSecret(at, advice === undefined ? found.missing : `${found.missing}\n    ${advice}`)
    }
  }

  /** Optional fields also come from the environment, if set there. The document's values win. */
  #lookUpSetting(field: string, needed: boolean, config: Record<string, unknown>): void {
    const found = this.#lookup.setting(field, needed)
    if ('value' in found) config[field] = found.value
  }
}
