import { z } from 'zod'
import { nodeCrypto } from '../../model/runtime/nodeCrypto.js'
import { Secret } from '../../model/secrets/secret.js'
import { nearMiss } from '../../model/texts/nearMiss.js'
import type { ApiRequest, SignContext } from '../api.js'
import { strictObject } from '../document/declaration/strictObject.js'
import { requestUrl, wireBody, withHeader, withParam } from '../http/wire.js'
import { concealed, defineAuth, secretAlone, secretText } from './authenticator.js'

const MESSAGE_NAMES = [
  'method',
  'url',
  'host',
  'path',
  'query',
  'path_and_query',
  'body',
  'body_sha256',
  'body_sha512',
  'body_md5',
  'timestamp',
  'nonce',
] as const
const SENT_NAMES = ['signature', 'timestamp', 'nonce', 'body_sha256', 'body_sha512', 'body_md5'] as const

/** Text with known names in braces. Other braces are text. */
function template(known: readonly string[]) {
  return z.string().superRefine((text, context) => {
    for (const [whole, name = ''] of text.matchAll(/\{(\w+)\}/g)) {
      if (known.includes(name)) continue
      const meant = nearMiss(name, known)
      const advice = meant === undefined ? `known here: ${known.join(', ')}` : `did you mean \`{${meant}}\`?`
      context.addIssue({ code: 'custom', message: `unknown placeholder \`${whole}\`; ${advice}` })
    }
  })
}

const sent = z.record(z.string(), z.union([template(SENT_NAMES), secretAlone]))

const schema = strictObject(() => ({
  type: z.literal('hmac').meta({ description: 'A signature (HMAC) over parts of each request.' }),
  key: secretText.meta({ description: 'Key of the signature. A secret.' }),
  key_encoding: z.enum(['text', 'base64', 'hex']).default('text').meta({ description: 'How the key is written.' }),
  algorithm: z
    .enum(['sha256', 'sha1', 'sha384', 'sha512', 'md5'])
    .default('sha256')
    .meta({ description: 'Hash of the signature.' }),
  encoding: z
    .enum(['hex', 'base64', 'base64url'])
    .default('hex')
    .meta({ description: 'How the signature is written.' }),
  message: template(MESSAGE_NAMES).meta({
    description: `What is signed. Placeholders: ${MESSAGE_NAMES.map(name => `\`{${name}}\``).join(', ')}.`,
    examples: ['{timestamp}{method}{path_and_query}{body}'],
  }),
  timestamp: z
    .enum(['seconds', 'milliseconds', 'iso'])
    .default('seconds')
    .meta({ description: 'Form of `{timestamp}`: since 1970, or as in `2026-01-31T00:00:00.000Z`.' }),
  headers: sent.optional().meta({
    description:
      'Headers to add, with `{signature}`, `{timestamp}`, `{nonce}` and hashes of the body. They may hold secrets.',
    examples: [{ 'X-Signature': '{signature}', 'X-Timestamp': '{timestamp}' }],
  }),
  params: sent.optional().meta({
    description: 'Query parameters to add. Those without `{signature}` are part of the `{query}` that is signed.',
    examples: [{ timestamp: '{timestamp}', signature: '{signature}' }],
  }),
})).superRefine(({ headers = {}, params = {} }, context) => {
  const texts = [...Object.values(headers), ...Object.values(params)]
  // A text with a secret in it may hold the signature too.
  if (texts.some(text => text instanceof Secret || text.includes('{signature}'))) return
  const message = 'say where the signature goes: `{signature}` in one of `headers` or `params`'
  context.addIssue({ code: 'custom', path: ['headers'], message })
})

/** A signature over parts of the request, as a template says. */
export const hmac = defineAuth({
  type: 'hmac',
  schema,
  secretFields: ['key'],
  lookedUp: ['key'],
  carries: ({ headers = {}, params = {} }) => ({ headers: Object.keys(headers), params: Object.keys(params) }),
  create(config) {
    const { algorithm, encoding, key_encoding: keyEncoding, message, timestamp: form } = config
    return {
      sign(request, context) {
        const body = request.body === undefined ? '' : wireBody(request.body).text
        const now = context.now()
        const common = {
          timestamp: { seconds: `${Math.floor(now / 1000)}`, milliseconds: `${now}`, iso: new Date(now).toISOString() }[
            form
          ],
          nonce: nodeCrypto().randomUUID(),
          body_sha256: hashOf('sha256', body),
          body_sha512: hashOf('sha512', body),
          body_md5: hashOf('md5', body),
        }
        const added = additions(config, context)
        const before = added.filter(({ text }) => !text.includes('{signature}'))
        const unsigned = before.reduce((ready, one) => one.add(ready, filled(one.text, common)), request)
        const url = new URL(requestUrl(unsigned))
        const query = url.search.slice(1)
        const parts = {
          ...common,
          method: request.method,
          url: `${url.origin}${url.pathname}${url.search}`,
          host: url.host,
          path: url.pathname,
          query,
          path_and_query: `${url.pathname}${url.search}`,
          body,
        }
        const key = Buffer.from(concealed(config.key, context), keyEncoding === 'text' ? 'utf8' : keyEncoding)
        const signature = nodeCrypto().createHmac(algorithm, key).update(filled(message, parts)).digest(encoding)
        const after = added.filter(({ text }) => text.includes('{signature}'))
        return after.reduce((ready, one) => one.add(ready, filled(one.text, { ...common, signature })), unsigned)
      },
    }
  },
})

interface Addition {
  readonly text: string
  add(request: ApiRequest, text: string): ApiRequest
}

/** Headers and parameters to add, as templates in clear. */
function additions({ headers = {}, params = {} }: z.output<typeof schema>, context: SignContext): Addition[] {
  const clear = (value: string | Secret): string => (value instanceof Secret ? opened(value, context) : value)
  return [
    ...Object.entries(headers).map(([name, value]) => ({
      text: clear(value),
      add: (request: ApiRequest, text: string) => withHeader(request, name, text),
    })),
    ...Object.entries(params).map(([name, value]) => ({
      text: clear(value),
      add: (request: ApiRequest, text: string) => withParam(request, name, text),
    })),
  ]
}

/** Shorter words beside a secret are part of a scheme, as `HMAC` or `id`. */
const SHORTEST_SECRET_WORD = 8

/** A secret may stand beside a placeholder, which is not there when it is sent: its words are secrets too. */
function opened(secret: Secret, context: SignContext): string {
  const text = concealed(secret, context)
  for (const word of text.split(/\{\w+\}|[\s:;,="]+/))
    if (word.length >= SHORTEST_SECRET_WORD) context.conceal(new Secret(word, secret.origin))
  return text
}

function filled(text: string, values: Readonly<Record<string, string>>): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => values[name] ?? whole)
}

function hashOf(algorithm: string, text: string): string {
  return nodeCrypto().createHash(algorithm).update(text).digest('hex')
}
