import type { ClientConfig } from './declaration.js'
import type { ClientModel } from './model.js'
import type { Problems } from './problems.js'
import { milliseconds } from './retry.js'

export function clientOf(client: ClientConfig, problems: Problems): ClientModel {
  const limit = client.rate_limit
  const origins = (client.allowed_hosts ?? []).flatMap((host, position) => {
    const origin = originOf(host, client.base_url)
    if (origin === undefined) {
      problems.add(
        ['client', 'allowed_hosts', position],
        'expected a host, or an origin such as `https://files.example.com`',
      )
    }
    return origin ?? []
  })
  checkBaseUrl(client.base_url, problems)
  return {
    baseUrl: client.base_url,
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

/** The value is not shown: it may hold a password. */
function checkBaseUrl(text: string, problems: Problems): void {
  if (text === '') return
  const url = parseUrl(text)
  if (url === undefined || !/^https?:\/\//i.test(text)) {
    problems.add(['client', 'base_url'], 'expected a URL that begins with `https://` or `http://`')
  } else if (url.username !== '' || url.password !== '') {
    problems.add(['client', 'base_url'], 'must hold no user name or password; use `auth` with `type: http_basic`')
  }
}

/** A bare host is taken to be reached as the base URL is. */
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
