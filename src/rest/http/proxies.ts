import ipaddr from 'ipaddr.js'
import type { Secret } from '../../model/secrets/secret.js'

/** A proxy for HTTP. */
export interface HttpProxy {
  /** As in `http://proxy.example.com:3128`, without credentials. */
  readonly url: string
  /** Value of `Proxy-Authorization`. */
  readonly authorization?: Secret | undefined
}

/** Which requests go through a proxy. */
export interface Proxies {
  /** For requests to `http://` and `https://` addresses. */
  readonly http?: HttpProxy | undefined
  readonly https?: HttpProxy | undefined
  /** Hosts that are reached without one, as `NO_PROXY` has them: `example.com`, `.example.com`, `host:8080`, `10.0.0.0/8`, `*`. */
  readonly except?: string | undefined
  /** Everything about the proxies that must not be shown. */
  readonly secrets?: readonly Secret[] | undefined
}

/** The proxy for a URL. This machine is never reached through one: there its name means another machine. */
export function proxyFor(url: string, { http, https, except = '' }: Proxies): HttpProxy | undefined {
  const { protocol, hostname, port } = new URL(url)
  const proxy = protocol === 'https:' ? https : http
  if (proxy === undefined) return undefined
  const host = hostname.toLowerCase().replace(/^\[(.*)\]$/, '$1')
  if (isLoopback(host)) return undefined
  const usualPort = protocol === 'https:' ? '443' : '80'
  const actualPort = port === '' ? usualPort : port
  const entries = except.toLowerCase().split(/[\s,]+/)
  return entries.some(entry => entry !== '' && covers(entry, host, actualPort)) ? undefined : proxy
}

function isLoopback(host: string): boolean {
  if (host === 'localhost' || host.endsWith('.localhost')) return true
  return ipaddr.isValid(host) && ipaddr.process(host).range() === 'loopback'
}

function covers(entry: string, host: string, port: string): boolean {
  if (entry === '*') return true
  if (entry.includes('/')) return isWithin(host, entry)
  // An IPv6 address has colons of its own.
  const [, address, name = entry, only] = ipaddr.isValid(entry)
    ? []
    : (/^(?:\[(.*)\]|(.*?))(?::(\d+))?$/.exec(entry) ?? [])
  const suffix = (address ?? name).replace(/^\*?\./, '')
  return (only === undefined || only === port) && (host === suffix || host.endsWith(`.${suffix}`))
}

function isWithin(host: string, range: string): boolean {
  if (!ipaddr.isValid(host) || !ipaddr.isValidCIDR(range)) return false
  const [address, [network, bits]] = [ipaddr.process(host), ipaddr.parseCIDR(range)]
  return address.kind() === network.kind() && address.match(network, bits)
}
