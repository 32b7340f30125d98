import { timingSafeEqual } from 'node:crypto'
import type { MiddlewareHandler } from 'hono'
import type { ApiFailure } from './pageContract.js'

/** The page loads nothing from elsewhere, runs no script but its own, and is in no frame. */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

/** On every answer. */
export const SAFE_HEADERS: Readonly<Record<string, string>> = {
  'Content-Security-Policy': POLICY,
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Cross-Origin-Opener-Policy': 'same-origin',
}

export interface GuardOptions {
  /** Host and port of this server, as browsers write them. */
  readonly hosts: () => ReadonlySet<string>
  readonly token: string
}

/**
 * Lets requests of the page through, and no other. A name that leads to this machine (DNS rebinding), a page of another
 * origin and a request without the token are refused. The page itself holds nothing, and needs no token.
 */
export function guard({ hosts, token }: GuardOptions): MiddlewareHandler {
  return async (context, next) => {
    for (const [name, value] of Object.entries(SAFE_HEADERS)) context.header(name, value)
    const refuse = (status: 401 | 403, message: string): Response =>
      context.json({ code: 'refused', message } satisfies ApiFailure, status)
    const host = context.req.header('host') ?? ''
    if (!hosts().has(host)) return refuse(403, 'this server answers 127.0.0.1 alone')
    const origin = context.req.header('origin')
    if (origin !== undefined && origin !== `http://${host}`) return refuse(403, 'a page of another origin asked')
    const site = context.req.header('sec-fetch-site')
    const isOfPage = site === undefined || site === 'same-origin' || site === 'none'
    if (!isOfPage) return refuse(403, 'a page of another site asked')
    if (context.req.path.startsWith('/api/')) {
      context.header('Cache-Control', 'no-store')
      const given = /^Bearer (.+)$/.exec(context.req.header('authorization') ?? '')?.[1]
      if (given === undefined || !isSame(given, token))
        return refuse(401, 'the token is missing or of another start: open the address that `sluice studio` printed')
    }
    await next()
    return undefined
  }
}

function isSame(given: string, token: string): boolean {
  const [left, right] = [Buffer.from(given), Buffer.from(token)]
  return left.length === right.length && timingSafeEqual(left, right)
}
