import { createServer } from 'node:https'
import { createRequire } from 'node:module'
import type { AddressInfo, LookupFunction } from 'node:net'
import { Agent, buildConnector, Dispatcher } from 'undici'
import { afterEach, describe, expect, it } from 'vitest'
import { createClient } from '../../src/rest/http/client.js'
import { httpTransport, undiciPaths } from '../../src/rest/http/transport.js'
import { get, quickPolicy, sending, serve } from './clientServer.js'

const opened: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of opened.splice(0)) await close()
})

/** For tests alone: nobody trusts it. */
const untrusted = {
  key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgXc9T5eyN5k4JFv+F
7Fwon6FMpf5xIo5VqpdfR/+EEQqhRANCAAT4T/3Cpez4fZmvzRKnkjoOqvl5+RH3
QiTvK6EBv1cvS+KGAzNJtFA9OhuE+5c3pdRRgcmj+WWT3RA6iaHZWy8U
-----END PRIVATE KEY-----`,
  cert: `-----BEGIN CERTIFICATE-----
MIIBmzCCAUGgAwIBAgIUaItUVSdrzFI9+FSoafyq6RKV7s0wCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMTA0MzcwN1oYDzIxMjYxMDI4
MDQzNzA3WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAT4T/3Cpez4fZmvzRKnkjoOqvl5+RH3QiTvK6EBv1cvS+KGAzNJtFA9
OhuE+5c3pdRRgcmj+WWT3RA6iaHZWy8Uo28wbTAdBgNVHQ4EFgQU3D8AKOemRB+P
hP/mB+HbK++uoYswHwYDVR0jBBgwFoAU3D8AKOemRB+PhP/mB+HbK++uoYswDwYD
VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZI
zj0EAwIDSAAwRQIhAOm+3s6Ime8k5PSQLZ/LYy0pOEeUZlTXwDawe6+2Dyv2AiAa
cYYZXi51C0QtXhigyYLGfvY8kpfdEdWQuZ2ulY+5Gw==
-----END CERTIFICATE-----`,
}

describe('a certificate that nobody trusts', () => {
  it('ends the run at once, before a request or a credential is sent', async () => {
    let requests = 0
    const server = createServer(untrusted, (_request, response) => {
      requests++
      response.end('[]')
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    opened.push(() => new Promise(resolve => server.close(resolve)))
    const origin = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
    const client = createClient({ retry: quickPolicy })
    opened.push(() => client.close())
    await expect(client.send(get(`${origin}/x`), sending(origin))).rejects.toMatchObject({
      code: 'connection',
      attempts: 1,
      message: expect.stringMatching(
        /certificate of 127\.0\.0\.1:\d+ is not trusted \([A-Z_]*CERT[A-Z_]*\); [^;]* NODE_EXTRA_CA_CERTS$/,
      ),
    })
    expect(requests).toBe(0)
  })
})

/** A name server that has one address for every name. */
function standsFor(address: string): LookupFunction {
  const family = address.includes(':') ? 6 : 4
  return (_name, { all }, done) => (all ? done(null, [{ address, family }]) : done(null, address, family))
}

it.each([
  ['Agent', Agent],
  ['connector', buildConnector],
  ['ask', Dispatcher.prototype.request],
] as const)(
  'finds %s of undici by its path: where this release has moved it, undiciPaths must follow',
  (part, whole) => {
    expect(createRequire(import.meta.url)(undiciPaths[part])).toBe(whole)
  },
)

it('can be prepared and closed without a request', async () => {
  const transport = httpTransport()
  transport.prepare()
  await transport.close()
})

describe('a public name that stands for an address inside this network', () => {
  const API = 'https://api.example.com'

  it.each(['127.0.0.1', '10.1.2.3', '169.254.169.254', '192.168.0.1', '::1', 'fe80::1%eth0', '::ffff:127.0.0.1'])(
    '%s is not connected to where the API leads there',
    async address => {
      const transport = httpTransport({ lookup: standsFor(address) })
      opened.push(() => transport.close())
      const client = createClient({ transport: transport.send, retry: quickPolicy })
      await expect(client.send(get('https://rebound.example.net/x'), sending(API))).rejects.toMatchObject({
        code: 'forbidden_url',
        message: expect.stringMatching(/rebound\.example\.net stands for .*inside this network.*allowed_hosts/),
      })
    },
  )

  it('is connected to where the configuration names it, or is about such an address itself', async () => {
    const server = await serve((_request, response) => response.end('[]'))
    opened.push(() => server.close())
    const named = `http://named.example.net:${new URL(server.origin).port}`
    const transport = httpTransport({ lookup: standsFor('127.0.0.1') })
    opened.push(() => transport.close())
    const client = createClient({ transport: transport.send, retry: quickPolicy })
    expect((await client.send(get(`${named}/x`), sending(named))).status).toBe(200)
    expect((await client.send(get(`${named}/x`), sending('http://127.0.0.1:1'))).status).toBe(200)
    expect(server.seen).toHaveLength(2)
  })
})
