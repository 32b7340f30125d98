import { RequestError } from '../../model/errors.js'
import { isLocal } from '../http/redirects.js'

/** Where the answer of a token server may say that the API is. */
export interface BaseUrlRule {
  readonly base_url_path?: string | undefined
  readonly base_url_hosts?: readonly string[] | undefined
  readonly access_token_url: string
}

/**
 * The address that the answer names, without a slash at its end. Throws a RequestError `auth` if it is not https, or at a
 * host that the document does not allow: credentials go where the document says, not where an API says.
 */
export function tokenBaseUrl(found: unknown, rule: BaseUrlRule, path: string): string {
  const fail = (why: string): RequestError => new RequestError('auth', `${path}: ${why}`, { path })
  if (typeof found !== 'string' || !URL.canParse(found)) {
    throw fail(`the token’s answer has no address at ${rule.base_url_path ?? ''}, which base_url_path names`)
  }
  const url = new URL(found)
  const shown = `${url.protocol}//${url.host}`
  const isTrial = isLocal(url.hostname) && isLocal(new URL(rule.access_token_url).hostname)
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isTrial)) {
    throw fail(`the token’s answer names ${shown} as address of the API, which is not https`)
  }
  if (!(rule.base_url_hosts ?? []).some(pattern => covers(pattern, url))) {
    throw fail(
      `the token’s answer names ${shown} as address of the API, which is not among base_url_hosts; if that is intended, add "${url.host}"`,
    )
  }
  return `${url.origin}${url.pathname}`.replace(/\/+$/, '')
}

function covers(pattern: string, { host, hostname }: URL): boolean {
  const wanted = pattern.toLowerCase()
  if (!wanted.startsWith('*.')) return host === wanted
  return host === hostname && hostname.endsWith(wanted.slice(1)) && hostname.length >= wanted.length
}
