import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { AuthConfig } from '../../src/index.js'
import { load, quickRetry, testApi } from './loading.js'

const file = (name: string): string => fileURLToPath(new URL(`tls/${name}`, import.meta.url))
const pem = (name: string): string => readFileSync(file(name), 'utf8')

/** An API that talks to holders of the client's certificate alone. */
async function guarded(answer: (path: string, authorization: string | undefined) => unknown) {
  const shown: (string | undefined)[] = []
  const server = createServer(
    { cert: pem('server.pem'), key: pem('server.key'), ca: pem('client.pem'), requestCert: true },
    (request, response) => {
      shown.push((request.socket as TLSSocket).getPeerCertificate().subject?.CN as string | undefined)
      const body = answer(request.url ?? '', request.headers.authorization)
      response.writeHead(body === undefined ? 401 : 200, { 'content-type': 'application/json' })
      response.end(JSON.stringify(body ?? {}))
    },
  )
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(
    () =>
      new Promise(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  )
  return { origin: `https://127.0.0.1:${(server.address() as AddressInfo).port}`, shown }
}

const client = { type: 'mtls', cert: file('client.pem'), key: file('client.key'), ca: file('server.pem') }

function document(origin: string, auth: object, more: object = {}) {
  return {
    client: { base_url: origin, auth: auth as AuthConfig, retry: { ...quickRetry, attempts: 1 }, ...more },
    resources: [{ name: 'things', endpoint: { paginator: 'single_page' as const } }],
  }
}

describe('mtls', () => {
  test.each<[string, object]>([
    ['files', client],
    ['PEM texts', { ...client, cert: pem('client.pem'), key: pem('client.key'), ca: pem('server.pem') }],
    ['a key with line breaks as two characters', { ...client, key: pem('client.key').replaceAll('\n', '\\n') }],
    ['a key with a passphrase', { ...client, key: file('locked.key'), key_passphrase: 'open-sesame' }],
  ])('shows the certificate: %s', async (_, auth) => {
    const api = await guarded(() => [{ id: 1 }])
    const { rows } = await load(document(api.origin, auth))
    expect(await rows('things')).toEqual([{ id: 1 }])
    expect(api.shown).toEqual(['sluice-test-client'])
  })

  test('goes with other credentials, and with the request for their token', async () => {
    const api = await guarded((path, authorization) => {
      if (path === '/login') return { token: 'session-4711' }
      return authorization === 'Bearer session-4711' ? [{ id: 1 }] : undefined
    })
    const { rows } = await load(
      document(api.origin, { ...client, auth: { type: 'login', path: 'login', token_path: 'token' } }),
    )
    expect(await rows('things')).toEqual([{ id: 1 }])
    expect(api.shown).toEqual(['sluice-test-client', 'sluice-test-client'])
  })

  test('is shown to no other host', async () => {
    const other = await guarded(() => [{ id: 1 }])
    const api = await testApi(() => ({ status: 302, headers: { location: `${other.origin}/x` } }))
    const { ca: _ca, ...auth } = client
    await expect(load(document(api.origin, auth))).rejects.toMatchObject({ code: 'connection' })
    expect(other.shown).toEqual([])
  })

  test.each<[string, object, RegExp]>([
    [
      'a file that is not there',
      { ...client, cert: 'nowhere.pem' },
      /client\.auth\.cert: the file cannot be read \(ENOENT\)/,
    ],
    ['no certificate', { ...client, cert: file('client.key') }, /client\.auth\.cert cannot be read as a certificate/],
    [
      'the key of another',
      { ...client, key: file('server.key') },
      /client\.auth\.key is not the key of the certificate/,
    ],
    [
      'no key',
      { ...client, key: file('client.pem') },
      /client\.auth\.private_key cannot be read|client\.auth\.key cannot be read/,
    ],
    [
      'a wrong passphrase',
      { ...client, key: file('locked.key'), key_passphrase: 'wrong-sesame' },
      /cannot be read as a PEM key/,
    ],
    [
      'a block inside that is wrong',
      { ...client, auth: { type: 'login', token_pth: 'x' } },
      /client\.auth\.auth\.token_pth: unknown key/,
    ],
    [
      'a block inside that chooses',
      { ...client, auth: { type: 'rotate', auths: [{ token: 'a' }, { token: 'b' }] } },
      /cannot be inside/,
    ],
  ])('says what is wrong: %s', async (_, auth, text) => {
    const error = await load(document('https://127.0.0.1:1', auth)).catch((reason: Error) => reason)
    expect(String((error as Error).message)).toMatch(text)
    expect(String((error as Error).message)).not.toMatch(/sesame|BEGIN/)
  })

  test('an API that wants one says so', async () => {
    const api = await guarded(() => [{ id: 1 }])
    const auth = { ...client, cert: file('server.pem'), key: file('server.key') }
    await expect(load(document(api.origin, auth))).rejects.toMatchObject({ code: 'connection' })
  })
})
