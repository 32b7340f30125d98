import type { IncomingHttpHeaders } from 'node:http'

type Made = { readonly status?: number; readonly type?: string; readonly body: unknown } | undefined

const orders = [{ id: 1 }, { id: 2 }]
const refused = { status: 401, body: {} }

/** The guarded parts of the API that the examples of the documents are written for. `key` is the secret of all. */
export function authAnswers(
  key: string,
): Readonly<Record<string, (url: URL, body: string, headers: IncomingHttpHeaders) => Made>> {
  return {
    '/session': (_url, body) => {
      const { user, password } = JSON.parse(body) as { readonly user?: string; readonly password?: string }
      if (user !== 'ann' || password !== key) return refused
      return { body: { data: { token: 'docs-session-4711', expires_at: '2999-01-01T00:00:00Z' } } }
    },
    '/session/orders': (_url, _body, headers) =>
      headers['x-session'] === 'docs-session-4711' ? { body: orders } : refused,
  }
}
