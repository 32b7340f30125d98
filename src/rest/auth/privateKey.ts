import type { KeyObject } from 'node:crypto'
import { RequestError } from '../../model/errors.js'
import { nodeCrypto } from '../../model/runtime/nodeCrypto.js'
import type { Secret } from '../../model/secrets/secret.js'
import type { SignContext } from '../api.js'
import { concealed } from './authenticator.js'

/** The key in a PEM text. Throws a RequestError `auth` that does not show it. */
export function privateKey(key: Secret, passphrase: Secret | undefined, path: string, context: SignContext): KeyObject {
  try {
    // In environment variables a line break of PEM is often written as two characters.
    const pem = concealed(key, context).replaceAll('\\n', '\n')
    return nodeCrypto().createPrivateKey({
      key: pem,
      ...(passphrase && { passphrase: concealed(passphrase, context) }),
    })
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code ?? 'unknown form'
    const message = `${path}.private_key cannot be read as a PEM key (${reason}); check the key and its passphrase`
    throw new RequestError('auth', message, { path: `${path}.private_key` })
  }
}

/** The algorithm of JWT that every server knows for a key of this kind. */
export function signingAlgorithm({ asymmetricKeyType: kind, asymmetricKeyDetails: details }: KeyObject): string {
  if (kind === 'ed25519') return 'EdDSA'
  if (kind !== 'ec') return 'RS256'
  return { prime256v1: 'ES256', secp384r1: 'ES384', secp521r1: 'ES512' }[details?.namedCurve ?? ''] ?? 'ES256'
}
