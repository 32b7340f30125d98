import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { z } from 'zod'
import { RequestError } from '../../model/errors.js'
import { nodeCrypto } from '../../model/runtime/nodeCrypto.js'
import { reveal, Secret } from '../../model/secrets/secret.js'
import type { ClientCertificate, KindAuthenticator, SignContext } from '../api.js'
import { strictObject } from '../document/declaration/strictObject.js'
import { authBlock } from './authBlock.js'
import { type AuthContext, defineAuth, secretText } from './authenticator.js'
import { privateKey } from './privateKey.js'

const schema = strictObject(() => ({
  type: z.literal('mtls').meta({ description: 'A certificate that the connection shows (mutual TLS).' }),
  cert: z.union([z.string().min(1), secretText]).meta({
    description: 'The certificate, with those between it and its authority: a file, or PEM text.',
    examples: ['client.pem'],
  }),
  key: secretText.meta({ description: 'Its key: a file, or PEM text. A secret.', examples: ['client.key'] }),
  key_passphrase: secretText.optional().meta({ description: 'Passphrase of the key. A secret.' }),
  ca: z
    .union([z.string().min(1), secretText])
    .optional()
    .meta({
      description:
        'Authority that the server’s certificate is checked by, in place of those that Node knows: a file, or PEM text.',
    }),
  auth: authBlock.optional().meta({
    description: 'Further credentials of the requests. Their tokens are requested with the certificate too.',
  }),
}))

type Mtls = z.output<typeof schema>

/** A certificate of the client. Only connections to the origins of the document show it. */
export const mtls = defineAuth({
  type: 'mtls',
  schema,
  secretFields: ['key', 'key_passphrase'],
  lookedUp: ['cert', 'key'],
  nested: 'auth',
  carries: ({ auth }, ofBlock) => (auth === undefined ? {} : ofBlock(auth)),
  create(config, about) {
    const inner = config.auth === undefined ? undefined : about.nested?.(config.auth)
    let reading: Promise<ClientCertificate> | undefined
    const certificate = (context: SignContext): Promise<ClientCertificate> => {
      reading ??= certificateOf(config, about, context)
      return reading
    }
    const contexts = new WeakMap<SignContext, SignContext>()
    /** One for each request: signers recognise a request by it. */
    const certified = (context: SignContext): SignContext => {
      const known = contexts.get(context)
      if (known !== undefined) return known
      const made: SignContext = {
        signal: context.signal,
        now: context.now,
        conceal: context.conceal,
        send: async request => context.send({ ...request, certificate: await certificate(context) }),
        finish: async request => context.finish({ ...request, certificate: await certificate(context) }),
      }
      contexts.set(context, made)
      return made
    }
    const authenticator: KindAuthenticator = {
      async sign(request, context) {
        const shown = { ...request, certificate: await certificate(context) }
        return inner === undefined ? shown : await inner.sign(shown, certified(context))
      },
    }
    return {
      ...authenticator,
      ...(inner?.renew !== undefined && { renew: async context => (await inner.renew?.(certified(context))) ?? false }),
      ...(inner?.baseUrl !== undefined && { baseUrl: async context => inner.baseUrl?.(certified(context)) }),
    }
  },
})

async function certificateOf(config: Mtls, about: AuthContext, context: SignContext): Promise<ClientCertificate> {
  const { path } = about
  const cert = await pemOf(config.cert, `${path}.cert`, about)
  const keyText = await pemOf(config.key, `${path}.key`, about)
  const key = new Secret(keyText.replaceAll('\\n', '\n'), config.key.origin)
  const ca = config.ca === undefined ? undefined : await pemOf(config.ca, `${path}.ca`, about)
  const opened = privateKey(key, config.key_passphrase, path, context)
  const fail = (field: string, what: string): RequestError =>
    new RequestError('auth', `${path}.${field} ${what}`, { path: `${path}.${field}` })
  const x509 = (() => {
    try {
      return new (nodeCrypto().X509Certificate)(cert)
    } catch {
      throw fail('cert', 'cannot be read as a certificate in PEM')
    }
  })()
  if (!x509.checkPrivateKey(opened)) throw fail('key', 'is not the key of the certificate')
  if (Date.parse(x509.validTo) < context.now()) throw fail('cert', `ended on ${x509.validTo}; get a new certificate`)
  return { cert, key, passphrase: config.key_passphrase, ca }
}

/** PEM text as it is, or the text of a file. */
async function pemOf(value: string | Secret, at: string, { folder = '.' }: AuthContext): Promise<string> {
  const text = typeof value === 'string' ? value : reveal(value)
  if (text.includes('-----BEGIN')) return text.replaceAll('\\n', '\n')
  try {
    return await readFile(resolve(folder, text), 'utf8')
  } catch (error) {
    const { code = 'unknown reason' } = error as NodeJS.ErrnoException
    throw new RequestError('auth', `${at}: the file cannot be read (${code}), and it is not PEM text`, { path: at })
  }
}
