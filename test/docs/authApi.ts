import { createHmac } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'

type Made = { readonly status?: number; readonly type?: string; readonly body: unknown } | undefined

const orders = [{ id: 1 }, { id: 2 }]
const refused = { status: 401, body: {} }

/** The guarded parts of the API that the examples of the documents are written for. `key` is the secret of all. */
export function authAnswers(
  key: string,
): Readonly<Record<string, (url: URL, body: string, headers: IncomingHttpHeaders) => Made>> {
  let ended = 0
  return {
    '/session/invoices': (_url, _body, headers) => {
      if (headers['x-session'] !== 'docs-session-4711') return refused
      return ended++ === 0 ? { body: { error: { code: 'session_ended' } } } : { body: { data: orders } }
    },
    '/hmac/orders': (_url, _body, headers) => {
      const text = `${headers['x-timestamp']}GET/hmac/orders`
      const isSigned = headers['x-signature'] === createHmac('sha256', key).update(text).digest('hex')
      return isSigned ? { body: orders } : refused
    },
    '/aws/orders': (_url, _body, { authorization }) =>
      authorization?.startsWith('AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/') === true ? { body: orders } : refused,
    '/oauth1/orders': (_url, _body, { authorization }) =>
      authorization?.startsWith('OAuth oauth_consumer_key="loader"') === true ? { body: orders } : refused,
    '/limited/orders': (_url, _body, { authorization }) =>
      authorization === `Bearer ${key}` ? { body: orders } : { status: 429, body: {} },
    '/session': (_url, body) => {
      const { user, password } = JSON.parse(body) as { readonly user?: string; readonly password?: string }
      if (user !== 'ann' || password !== key) return refused
      return { body: { data: { token: 'docs-session-4711', expires_at: '2999-01-01T00:00:00Z' } } }
    },
    '/oauth/token': (_url, body, { authorization }) => {
      const form = new URLSearchParams(body)
      const grant = form.get('grant_type')
      const basic = `Basic ${Buffer.from(`loader:${key}`).toString('base64')}`
      const isClient =
        authorization === basic || (form.get('client_id') === 'loader' && form.get('client_secret') === key)
      const isGranted =
        (grant === 'client_credentials' && form.get('scope') === 'orders.read') ||
        (grant === 'refresh_token' && form.get('refresh_token') === key)
      if (!isClient || !isGranted) return { status: 400, body: { error: 'invalid_grant' } }
      return {
        body: { access_token: 'docs-token-4711', token_type: 'bearer', expires_in: 3600, refresh_token: 'docs-next' },
      }
    },
    '/oauth/orders': (_url, _body, { authorization }) =>
      authorization === 'Bearer docs-token-4711' ? { body: orders } : refused,
    '/session/orders': (_url, _body, headers) =>
      headers['x-session'] === 'docs-session-4711' ? { body: orders } : refused,
  }
}
