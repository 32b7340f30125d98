import ipaddr from 'ipaddr.js'
import { RequestError } from '../../model/errors.js'
import type { ApiRequest } from '../api.js'
import { requestUrl } from './wire.js'

/**
 * The request that a redirect leads to, or undefined if the answer is not a redirect. As in browsers, 303 makes any
 * request a GET, 301 and 302 turn a POST into a GET, and 307 and 308 repeat the request with its body.
 */
export function redirected(
  request: ApiRequest,
  status: number,
  headers: Readonly<Record<string, string>>,
): ApiRequest | undefined {
  const location = headers.location
  if (location === undefined || ![301, 302, 303, 307, 308].includes(status)) return undefined
  const from = requestUrl(request)
  if (!URL.canParse(location, from)) return undefined
  const next = { ...request, url: new URL(location, from).href, params: [] }
  const becomesGet = status === 303 || (request.method === 'POST' && (status === 301 || status === 302))
  return becomesGet ? { ...next, method: 'GET', body: undefined } : next
}

/**
 * Where a request to `url` may go. `bound`: an origin that the configuration names. Only such an origin gets credentials,
 * configured headers and a body. `foreign`: any other origin, without these.
 *
 * Throws a RequestError `forbidden_url` in four cases: the URL is not http or https; it is http and the configuration
 * has https; a body would go to another origin; an API outside this machine and network leads into it (as to
 * `http://169.254.169.254/`).
 */
export function destinationOf(
  request: ApiRequest,
  url: URL,
  bound: readonly string[],
  about: { readonly resource: string; readonly shown: () => string; readonly status?: number | undefined },
): 'bound' | 'foreign' {
  if (bound.includes(url.origin)) return 'bound'
  const refuse = (why: string): never => {
    const { resource, status } = about
    const { method } = request
    const shown = about.shown()
    throw new RequestError('forbidden_url', `${resource}: ${method} ${shown} was not sent: ${why}`, {
      resource,
      method,
      url: shown,
      status,
    })
  }
  const allow = `if that is intended, add "${url.host}" to client.allowed_hosts`
  if (url.protocol !== 'https:' && url.protocol !== 'http:') refuse(`${url.protocol} is neither http nor https`)
  if (isLocal(url.hostname) && staysPublic(bound)) {
    refuse(`the API leads to an address inside this network; ${allow}`)
  }
  if (url.protocol === 'http:' && bound.length > 0 && bound.every(origin => origin.startsWith('https:'))) {
    refuse(`the API leads from https to plain http, where others could read it; ${allow}`)
  }
  if (request.body !== undefined) {
    refuse(`its body would go to ${url.host}, which the configuration does not name; ${allow}`)
  }
  return 'foreign'
}

/** Whether requests to origins that are not configured must stay out of this network. */
export function staysPublic(bound: readonly string[]): boolean {
  return !bound.some(origin => isLocal(new URL(origin).hostname))
}

/** Whether an address from a name server is one of those. */
export function isLocalAddress(address: string): boolean {
  const plain = address.replace(/%.*$/, '')
  // Text that is not an address cannot be connected to.
  return !ipaddr.isValid(plain) || !isPublic(ipaddr.parse(plain))
}

/**
 * Whether a host, as `URL` spells it, is this machine, a private or link-local network, a cloud's metadata service, or
 * another address that is not public. A name is judged by its spelling. Its address is judged when a connection
 * is opened.
 */
export function isLocal(hostname: string): boolean {
  const name = hostname
    .toLowerCase()
    .replace(/\.$/, '')
    .replace(/^\[(.*)\]$/, '$1')
  if (name === 'localhost' || name.endsWith('.localhost') || name.endsWith('.internal')) return true
  return ipaddr.isValid(name) && isLocalAddress(name)
}

/** Includes relays for DNS names. They are public, like other addresses on the internet. */
const PUBLIC_RANGES = ['unicast', 'as112', 'as112v6', 'amt']

function isPublic(address: ipaddr.IPv4 | ipaddr.IPv6): boolean {
  const carried = carriedBy(address)
  return carried === undefined ? PUBLIC_RANGES.includes(address.range()) : isPublic(carried)
}

/** The IPv4 address inside an IPv6 address: mapped, compatible, or for the gateways NAT64 and 6to4. */
function carriedBy(address: ipaddr.IPv4 | ipaddr.IPv6): ipaddr.IPv4 | undefined {
  if (!(address instanceof ipaddr.IPv6)) return undefined
  const bytes = address.toByteArray()
  const isCompatible =
    bytes.slice(0, 12).every(byte => byte === 0) && !['unspecified', 'loopback'].includes(address.range())
  if (address.range() === '6to4') return new ipaddr.IPv4(bytes.slice(2, 6))
  return isCompatible || ['ipv4Mapped', 'rfc6052'].includes(address.range())
    ? new ipaddr.IPv4(bytes.slice(12))
    : undefined
}
