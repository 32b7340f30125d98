import { createHash, createHmac } from 'node:crypto'
import { AwsV4Signer } from 'aws4fetch'
import OAuth from 'oauth-1.0a'
import { describe, expect, test } from 'vitest'
import { type AuthConfig, type EndpointConfig, restApi } from '../../src/index.js'
import type { Seen } from './clientServer.js'
import { load, testApi } from './loading.js'

/** The one request of a pipeline that signs so, as the API sees it. */
async function asked(auth: object, endpoint: EndpointConfig = {}): Promise<Seen & { readonly origin: string }> {
  const api = await testApi(() => ({ json: [{ id: 1 }] }))
  await load({
    client: { base_url: `${api.origin}/v1`, auth: auth as AuthConfig },
    resources: [{ name: 'things', endpoint: { path: 'things', paginator: 'single_page', ...endpoint } }],
  })
  const [seen] = api.seen
  if (seen === undefined) throw new Error('nothing was asked')
  return { ...seen, origin: api.origin }
}

const endpoints: readonly (readonly [string, EndpointConfig])[] = [
  ['a plain path', {}],
  ['parameters', { params: { b: "it's (1)*!", a: ['2', '1'], 'é &': 'x=y', empty: '' } }],
  ['a path with signs', { path: 'things/a b/ü(x)/%41' }],
  ['a query of its own', { path: 'things?z=1&a=%20b' }],
  ['a JSON body', { method: 'POST', json: { name: 'Zoë', list: [1, 2] } }],
  ['a form', { method: 'POST', data: { b: '1 2', a: 'ü&', c: '' } }],
]

describe('aws_sigv4', () => {
  const auth = {
    type: 'aws_sigv4',
    access_key_id: 'AKIDEXAMPLE',
    secret_access_key: 'wJalrXUtnFEMI/K7MDENG',
    region: 'eu-central-1',
  }
  test.each(
    endpoints.flatMap(([name, endpoint]) =>
      [{}, { session_token: 'session+token/1' }, { service: 's3' }]
        // For S3 the other one leaves parameters out that come twice.
        .filter(more => name !== 'parameters' || !('service' in more))
        .map(more => [name, more, endpoint] as const),
    ),
  )('signs as another implementation does: %s, %j', async (_, more, endpoint) => {
    const key: typeof auth & { service?: string; session_token?: string } = { ...auth, ...more }
    const { url, method, headers, body, origin } = await asked(key, endpoint)
    const signer = new AwsV4Signer({
      method,
      url: `${origin}${url}`,
      ...(body !== '' && { body }),
      headers: key.service === 's3' ? { 'x-amz-content-sha256': createHash('sha256').update(body).digest('hex') } : {},
      accessKeyId: key.access_key_id,
      secretAccessKey: key.secret_access_key,
      ...(key.session_token !== undefined && { sessionToken: key.session_token }),
      region: key.region,
      service: key.service ?? 'execute-api',
      datetime: String(headers['x-amz-date']),
    })
    const signed = await signer.sign()
    expect(headers.authorization).toBe(signed.headers.get('authorization'))
    expect(headers['x-amz-security-token']).toBe(key.session_token)
  })
})

describe('oauth1', () => {
  const auth = { type: 'oauth1', consumer_key: 'consumer-key', consumer_secret: 'consumer&secret' }
  test.each(
    endpoints.flatMap(([name, endpoint]) =>
      [{ token: 'the-token', token_secret: 'token=secret', realm: '12"34' }, { signature_method: 'HMAC-SHA256' }].map(
        more => [name, more, endpoint] as const,
      ),
    ),
  )('signs as another implementation does: %s, %j', async (name, more, endpoint) => {
    const { url, method, headers, body, origin } = await asked({ ...auth, ...more }, endpoint)
    const header = String(headers.authorization)
    const fields = Object.fromEntries(
      [...header.matchAll(/(oauth_\w+)="([^"]*)"/g)].map(([, field = '', value = '']) => [
        field,
        decodeURIComponent(value),
      ]),
    )
    const hash = fields.oauth_signature_method === 'HMAC-SHA1' ? 'sha1' : 'sha256'
    const other = new OAuth({
      consumer: { key: auth.consumer_key, secret: auth.consumer_secret },
      signature_method: fields.oauth_signature_method ?? '',
      hash_function: (text, key) => createHmac(hash, key).update(text).digest('base64'),
    })
    const address = new URL(url, origin)
    const pairs = [...address.searchParams, ...(name === 'a form' ? new URLSearchParams(body) : [])]
    const data: Record<string, string | string[]> = {}
    for (const [key] of pairs) {
      const values = pairs.filter(([other]) => other === key).map(([, value]) => value)
      data[key] = values.length === 1 ? (values[0] ?? '') : values
    }
    const { oauth_signature: signature, ...rest } = fields
    const secret = 'token_secret' in more ? more.token_secret : ''
    const expected = other.getSignature({ method, url: `${origin}${address.pathname}`, data }, secret, rest as never)
    expect(signature).toBe(expected)
    expect(
      header.startsWith('realm' in more ? 'OAuth realm="12\\"34", oauth_consumer_key=' : 'OAuth oauth_consumer_key='),
    ).toBe(true)
    expect(Math.abs(Number(fields.oauth_timestamp) - Date.now() / 1000)).toBeLessThan(60)
  })

  test('never repeats a nonce', async () => {
    const nonces = await Promise.all(
      [1, 2].map(async () => /oauth_nonce="(\w+)"/.exec(String((await asked(auth)).headers.authorization))?.[1]),
    )
    expect(new Set(nonces).size).toBe(2)
  })
})

describe('hmac', () => {
  const hmac = (algorithm: string, key: string | Buffer, text: string) => createHmac(algorithm, key).update(text)

  test('signs what the template says, and sends it where it says', async () => {
    const { url, headers, body } = await asked(
      {
        type: 'hmac',
        key: Buffer.from('signing-key').toString('base64'),
        key_encoding: 'base64',
        algorithm: 'sha512',
        encoding: 'base64',
        timestamp: 'milliseconds',
        message: '{timestamp}|{nonce}|{method}|{host}|{path_and_query}|{body}|{body_sha256}|{body_md5}|{other',
        headers: { Authorization: 'HMAC key-id:{signature}', 'X-Time': '{timestamp}', 'X-Nonce': '{nonce}' },
      },
      { method: 'POST', params: { a: '1 2' }, json: { x: 1 } },
    )
    const { host, authorization, 'x-time': time, 'x-nonce': nonce } = headers
    const hash = (name: string) => createHash(name).update(body).digest('hex')
    const text = `${time}|${nonce}|POST|${host}|${url}|{"x":1}|${hash('sha256')}|${hash('md5')}|{other`
    expect(authorization).toBe(`HMAC key-id:${hmac('sha512', 'signing-key', text).digest('base64')}`)
    expect(Number(time)).toBeGreaterThan(1e12)
  })

  test('signs a query with the parameters that it adds, but for the signature', async () => {
    const { url } = await asked(
      {
        type: 'hmac',
        key: 'kkkkkkkk',
        message: '{query}',
        params: { signature: '{signature}', timestamp: '{timestamp}' },
      },
      { params: { symbol: 'A B' } },
    )
    const query = url.slice(url.indexOf('?') + 1)
    const [signed, signature] = query.split('&signature=')
    expect(signed).toMatch(/^symbol=A%20B&timestamp=\d{10}$/)
    expect(signature).toBe(hmac('sha256', 'kkkkkkkk', signed ?? '').digest('hex'))
  })

  test.each<[object, string]>([
    [
      { message: '{timestmp}', headers: { X: '{signature}' } },
      'client.auth.message: unknown placeholder `{timestmp}`; did you mean `{timestamp}`?',
    ],
    [{ message: '{body}', headers: { X: '{body}' } }, 'client.auth.headers.X: unknown placeholder `{body}`'],
    [{ message: '{body}' }, 'client.auth.headers: say where the signature goes'],
    [{ message: '{body}', headers: { X: '{nonce}' } }, 'client.auth.headers: say where the signature goes'],
    [{ message: '{body}', algorithm: 'sha-256', headers: { X: '{signature}' } }, 'client.auth.algorithm'],
  ])('is checked before the first request: %j', (more, message) => {
    const auth = { type: 'hmac', key: 'kkkkkkkk', ...more } as AuthConfig
    expect(() => restApi({ client: { base_url: 'https://a.example', auth }, resources: ['a'] }, { env: {} })).toThrow(
      message,
    )
  })
})
