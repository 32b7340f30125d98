import { z } from 'zod'
import { later } from '../../../model/runtime/firstUse.js'
import { nodeCrypto } from '../../../model/runtime/nodeCrypto.js'
import { reveal, Secret } from '../../../model/secrets/secret.js'
import type { ApiRequest, SignContext } from '../../api.js'
import { jsonPath } from '../../paginators/paginator.js'
import { concealed, secretText } from '../authenticator.js'
import { privateKey, signingAlgorithm } from '../privateKey.js'
import { type Grant, requestToken, type TokenRequest } from '../tokenAnswer.js'

/** The key of all grants of OAuth. */
export const tokenLifetime = z
  .number()
  .int()
  .min(0)
  .default(3600)
  .meta({ description: 'Lifetime of a token in seconds, if the answer does not tell it.' })

const extraValue = z.union([z.string(), z.number(), z.boolean(), z.null(), secretText])

/** Keys of every grant of OAuth 2.0 that has a client: who it is, what it asks for, and what the answer tells. */
export const clientKeys = later(() => ({
  client_auth: z.enum(['body', 'basic', 'private_key_jwt', 'none']).default('body').meta({
    description:
      'How the client proves who it is: its secret in the `body`, or in a header (`basic`); an assertion that it signs (`private_key_jwt`); or not at all (`none`).',
  }),
  private_key: secretText
    .optional()
    .meta({ description: 'Key for `private_key_jwt`, as PEM text: RSA, EC or Ed25519. A secret.' }),
  private_key_passphrase: secretText.optional().meta({ description: 'Passphrase of the key. A secret.' }),
  private_key_id: z.string().min(1).optional().meta({ description: 'Id of the key, for the header `kid`.' }),
  assertion_audience: z
    .string()
    .min(1)
    .optional()
    .meta({ description: 'Audience of the assertion. Default: `access_token_url`.' }),
  scope: z
    .union([z.string(), z.array(z.string())])
    .optional()
    .meta({ description: 'Scopes: a list, or a text with spaces between them.', examples: ['read offline_access'] }),
  audience: z
    .string()
    .min(1)
    .optional()
    .meta({ description: 'The API that the token is for, where the server wants to know.' }),
  access_token_request_data: z
    .record(z.string(), extraValue)
    .nullable()
    .default({})
    .meta({
      description: 'More fields of the token request. They replace fields of the same name; null removes one.',
      examples: [{ scope: 'read' }],
    }),
  default_token_expiration: tokenLifetime,
  base_url_path: jsonPath.optional().meta({
    description:
      'JSONPath of an address in the token’s answer. Requests go there instead of to the host of `base_url`. Needs `base_url_hosts`.',
    examples: ['instance_url'],
  }),
  base_url_hosts: z
    .array(z.string().regex(HOST_PATTERN(), 'expected a host such as `api.example.com` or `*.example.com`'))
    .optional()
    .meta({
      description: 'Hosts that the address may have. `*.` stands for any names in front. Always https.',
      examples: [['*.salesforce.com']],
    }),
}))

/** A star needs two names behind it: `*.com` would be everybody. */
function HOST_PATTERN(): RegExp {
  return /^(?:\*\.[\w-]+(?:\.[\w-]+)+|[\w.-]+(?::\d+)?)$/
}

export interface OAuthClient {
  readonly access_token_url: string
  readonly client_id: Secret
  readonly client_secret?: Secret | undefined
  readonly client_auth: 'body' | 'basic' | 'private_key_jwt' | 'none'
  readonly private_key?: Secret | undefined
  readonly private_key_passphrase?: Secret | undefined
  readonly private_key_id?: string | undefined
  readonly assertion_audience?: string | undefined
  readonly scope?: string | readonly string[] | undefined
  readonly audience?: string | undefined
  readonly access_token_request_data: Readonly<Record<string, string | number | boolean | null | Secret>> | null
}

interface AddressKeys {
  readonly base_url_path?: string | undefined
  readonly base_url_hosts?: readonly string[] | undefined
}

/** Reports keys that do not go together. */
export function checkClient(client: Partial<OAuthClient> & AddressKeys, context: z.RefinementCtx): void {
  const issue = (key: string, message: string): void => context.addIssue({ code: 'custom', path: [key], message })
  const { client_auth: how, private_key: key } = client
  if (how === 'private_key_jwt' && key === undefined)
    issue('private_key', 'is missing; `private_key_jwt` signs with it')
  if (how !== 'private_key_jwt' && key !== undefined)
    issue('private_key', 'has no effect; add `client_auth: private_key_jwt`')
  checkAddress(client, context)
}

/** Reports an address of the token's answer that may lead anywhere. */
export function checkAddress(
  { base_url_path: path, base_url_hosts: hosts }: AddressKeys,
  context: z.RefinementCtx,
): void {
  const issue = (key: string, message: string): void => context.addIssue({ code: 'custom', path: [key], message })
  if (path !== undefined && (hosts ?? []).length === 0)
    issue('base_url_hosts', 'is missing: the hosts that `base_url_path` may lead to, as in `["*.example.com"]`')
  if (path === undefined && hosts !== undefined) issue('base_url_hosts', 'has no effect without `base_url_path`')
}

/** Secrets of a client that are looked up, by how it proves who it is. */
export function clientSecrets({ client_auth: how = 'body' }: Readonly<Record<string, unknown>>): readonly string[] {
  if (how === 'none') return ['client_id']
  return how === 'private_key_jwt' ? ['client_id', 'private_key'] : ['client_id', 'client_secret']
}

export function scopeText(scope: OAuthClient['scope']): string | undefined {
  return scope === undefined || typeof scope === 'string' ? scope : scope.join(' ')
}

export type Fields = readonly (readonly [string, string | Secret])[]

/** A request of this client to its token server, or to another address of it. */
export async function clientRequest(
  client: OAuthClient,
  { url, grant, path }: { readonly url: string; readonly grant: Fields; readonly path: string },
  context: SignContext,
): Promise<ApiRequest> {
  const proof = await proofOf(client, path, context)
  const scope = scopeText(client.scope)
  const fields = new Map<string, string | number | boolean | null | Secret>([
    ...proof.fields,
    ...grant,
    ...(scope === undefined ? [] : [['scope', scope] as const]),
    ...(client.audience === undefined ? [] : [['audience', client.audience] as const]),
    ...Object.entries(client.access_token_request_data ?? {}),
  ])
  // A client id is not removed from data, because it may be a common word.
  const text = (name: string, value: string | number | boolean | Secret): string => {
    if (!(value instanceof Secret)) return String(value)
    return name === 'client_id' ? reveal(value) : concealed(value, context)
  }
  const pairs = [...fields].flatMap(([name, value]) => (value === null ? [] : [[name, text(name, value)] as const]))
  return { method: 'POST', url, params: [], headers: proof.headers, body: { kind: 'form', pairs } }
}

/** Asks the client's token server, as `requestToken` does. */
export async function requestGrant(
  client: OAuthClient & AddressKeys & { readonly default_token_expiration: number },
  { grant, path, ...more }: { readonly grant: Fields } & Pick<TokenRequest, 'path' | 'cure' | 'isFinished' | 'rescue'>,
  context: SignContext,
): Promise<Grant> {
  const request = await clientRequest(client, { url: client.access_token_url, grant, path }, context)
  const defaultExpirySeconds = client.default_token_expiration
  return await requestToken({ ...more, path, request, defaultExpirySeconds, baseUrl: client, client }, context)
}

/** How the client proves who it is. */
async function proofOf(
  client: OAuthClient,
  path: string,
  context: SignContext,
): Promise<{ readonly fields: Fields; readonly headers: Readonly<Record<string, string>> }> {
  const { client_id: id, client_secret: secret } = client
  switch (client.client_auth) {
    case 'none':
      return { fields: [['client_id', id]], headers: {} }
    case 'basic': {
      const text = secret === undefined ? '' : concealed(secret, context)
      const pair = Buffer.from(`${formText(reveal(id))}:${formText(text)}`).toString('base64')
      context.conceal(new Secret(pair, 'basic credentials'))
      return { fields: [], headers: { Authorization: `Basic ${pair}` } }
    }
    case 'private_key_jwt':
      return {
        fields: [
          ['client_id', id],
          ['client_assertion_type', 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'],
          ['client_assertion', new Secret(await assertionOf(client, path, context), `assertion of ${path}`)],
        ],
        headers: {},
      }
    case 'body':
      return {
        fields: [['client_id', id], ...(secret === undefined ? [] : [['client_secret', secret] as const])],
        headers: {},
      }
  }
}

/** RFC 6749 wants both parts encoded as in a form. */
function formText(text: string): string {
  return new URLSearchParams([['', text]]).toString().slice(1)
}

const ASSERTION_SECONDS = 120

async function assertionOf(client: OAuthClient, path: string, context: SignContext): Promise<string> {
  const { SignJWT } = await import('jose')
  const { private_key: pem, private_key_passphrase: passphrase, private_key_id: kid } = client
  if (pem === undefined) throw new TypeError(`${path}: private_key_jwt without a key`)
  const key = privateKey(pem, passphrase, path, context)
  const id = reveal(client.client_id)
  const issuedAt = Math.floor(context.now() / 1000)
  return new SignJWT()
    .setProtectedHeader({ alg: signingAlgorithm(key), typ: 'JWT', ...(kid !== undefined && { kid }) })
    .setIssuer(id)
    .setSubject(id)
    .setAudience(client.assertion_audience ?? client.access_token_url)
    .setJti(nodeCrypto().randomUUID())
    .setIssuedAt(issuedAt)
    .setExpirationTime(issuedAt + ASSERTION_SECONDS)
    .sign(key)
}
