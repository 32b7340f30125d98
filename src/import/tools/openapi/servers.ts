import { isLocal } from '../../../rest/http/redirects.js'
import { nameFrom } from '../../document/pipelineName.js'
import { asTemplate } from '../../draft/draftYaml.js'
import { listOf, type Members, membersOf, textOf } from '../../sourceData.js'

/** Where the API is. */
export interface Server {
  /** As a document has it: literal text escaped, unknown parts as `${env.NAME}`. */
  readonly baseUrl: string
  /** Without placeholders, for addresses relative to it. */
  readonly plain: string
  readonly assumed: readonly string[]
  /** What the user has to supply before a run, with its variable. */
  readonly open: readonly string[]
}

interface Context {
  /** Address of the document, if it was fetched. */
  readonly source: string | undefined
  /** Prefix of names of environment variables. */
  readonly prefix: string
}

/** The server of a document. Production comes before trials, `https` before `http`. */
export function serverOf(root: Members, context: Context): Server {
  if (textOf(root.swagger) !== undefined) return swaggerServer(root, context)
  return listedServer(root.servers, context) ?? unknownServer('/', context)
}

/** Of a list `servers`, or undefined if it has none. */
export function listedServer(servers: unknown, context: Context): Server | undefined {
  const all = listOf(servers)
    .map(membersOf)
    .filter(({ url }) => typeof url === 'string')
  const rank = ({ url, description }: Members): number =>
    (/sandbox|test|staging|dev\b|mock|localhost|127\.0\.0\.1|preview/i.test(
      `${String(url)} ${String(description ?? '')}`,
    )
      ? 2
      : 0) + (/^http:/i.test(String(url)) ? 1 : 0)
  const [best] = all
    .map((server, index) => ({ server, index, rank: rank(server) }))
    .sort((a, b) => a.rank - b.rank || a.index - b.index)
  if (best === undefined) return undefined
  const others = all.length - 1
  const found = filled(String(best.server.url), membersOf(best.server.variables), context)
  if (others === 0) return found
  return {
    ...found,
    assumed: [...found.assumed, `the document names ${others} more ${others === 1 ? 'server' : 'servers'}`],
  }
}

function filled(url: string, variables: Members, context: Context): Server {
  const assumed: string[] = []
  const open: string[] = []
  let plain = ''
  let text = ''
  for (const part of url.trim().split(/(\{[^{}]*\})/)) {
    const [, name] = /^\{([^{}]*)\}$/.exec(part) ?? []
    if (name === undefined) {
      plain += part
      text += asTemplate(part)
      continue
    }
    const variable = membersOf(variables[name])
    const value =
      textOf(variable.default) ?? (typeof variable.default === 'number' ? String(variable.default) : undefined)
    if (value !== undefined && !/[{}$]/.test(value) && !isYours(value, name, variable)) {
      plain += value
      text += value
      assumed.push(`${name} of the server is ${value}`)
    } else {
      const environment = variableName(context.prefix, name)
      plain += 'x'
      text += `\${env.${environment}}`
      open.push(`set the variable ${environment}: ${textOf(variable.description) ?? `the part ${name} of the address`}`)
    }
  }
  if (/^\/\//.test(plain)) return { baseUrl: `https:${text}`, plain: `https:${plain}`, assumed, open }
  if (/^https?:\/\/[^/]/i.test(plain) && URL.canParse(plain)) {
    const { username, password, hostname, pathname, protocol } = new URL(plain)
    if (SOMEBODYS.test(hostname)) return unknownServer(pathname, { ...context, source: undefined })
    if (username === '' && password === '') {
      if (protocol === 'https:' || isLocal(hostname)) return { baseUrl: bare(text), plain: bare(plain), assumed, open }
      const safe = (url: string): string => bare(url).replace(/^http:/i, 'https:')
      const says = 'the document says http; https is taken, so that nobody on the way reads credentials'
      return { baseUrl: safe(text), plain: safe(plain), assumed: [...assumed, says], open }
    }
  }
  if (text.startsWith('${env.')) return { baseUrl: bare(text), plain: 'https://example.com', assumed, open }
  return unknownServer(plain, context)
}

/** A host with a part that the user replaces, as in `your-domain.atlassian.net`. Somebody may own that very host. */
const SOMEBODYS =
  /(?:^|[.-])(?:your|my)[-_]?(?:\w*[-_])?(?:domain|company|subdomain|instance|tenant|account|org\w*|site|store|shop|server|host|api|app|team|workspace)\b/i

/** Whether a part of the address is a name that only the user knows. */
function isYours(value: string, name: string, { enum: allowed, description }: Members): boolean {
  if (listOf(allowed).length > 0) return false
  if (
    /^(?:[<[(]|your|my[-_.]?|example|demo$|subdomain|sub-domain|tenant|account|company|domain|customer|organi[sz]ation|instance|site|host|localhost|changeme|xxx|acme|test$)/i.test(
      value,
    )
  )
    return true
  return (
    /domain|tenant|account|company|organi[sz]ation|instance|customer|shop|store|hostname/i.test(name) &&
    /\b(?:your|customer'?s)\b/i.test(String(description ?? ''))
  )
}

/** A relative address begins at the document, if that was fetched. */
function unknownServer(path: string, { source, prefix }: Context): Server {
  if (source !== undefined && URL.canParse(path, source)) {
    const { origin, pathname, protocol } = new URL(path, source)
    if (/^https?:$/.test(protocol)) {
      const base = bare(`${origin}${pathname}`)
      return { baseUrl: asTemplate(base), plain: base, assumed: ['the server is that of the document'], open: [] }
    }
  }
  const environment = variableName(prefix, 'base_url')
  const below = /^\/[^/]/.test(path) ? bare(asTemplate(path)) : ''
  const says = `set the variable ${environment}: the document does not say where the API is`
  return { baseUrl: `\${env.${environment}}${below}`, plain: 'https://example.com', assumed: [], open: [says] }
}

function swaggerServer({ host, basePath, schemes }: Members, context: Context): Server {
  const path = textOf(basePath) ?? '/'
  const name = textOf(host)
  if (name === undefined || !/^[^\s/?#@]+$/.test(name)) return unknownServer(path, context)
  const offered = listOf(schemes)
  const scheme = offered.includes('http') && !offered.includes('https') ? 'http' : 'https'
  const found = filled(`${scheme}://${name}${path.startsWith('/') ? '' : '/'}${path}`, {}, context)
  return offered.length === 0 ? { ...found, assumed: [...found.assumed, 'the scheme is https'] } : found
}

function bare(url: string): string {
  return url.replace(/[?#].*$/s, '').replace(/\/+$/, '')
}

/** `GITHUB_OWNER`. The prefix keeps it apart from variables of the shell, such as USER. */
export function variableName(prefix: string, name: string): string {
  const text = `${prefix}_${nameFrom(name) ?? 'value'}`.toUpperCase()
  return /^\d/.test(text) ? `API_${text}` : text
}
