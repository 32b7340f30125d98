import { shortened } from '../../model/errors.js'
import type { Scrubber } from '../../model/secrets/scrubber.js'

/** Query parameters that carry credentials. Compared in lower case, without `-` and `_`. */
const secretNames = new Set([
  'accesskey',
  'accesstoken',
  'apikey',
  'apitoken',
  'appkey',
  'assertion',
  'auth',
  'authkey',
  'authorization',
  'authtoken',
  'awsaccesskeyid',
  'bearer',
  'clientid',
  'clientsecret',
  'clienttoken',
  'credential',
  'credentials',
  'hapikey',
  'idtoken',
  'jwt',
  'key',
  'passphrase',
  'passwd',
  'password',
  'privatekey',
  'pwd',
  'refreshtoken',
  'secret',
  'secretkey',
  'securitytoken',
  'sessionid',
  'sessiontoken',
  'sig',
  'signature',
  'subscriptionkey',
  'token',
  'xamzcredential',
  'xamzsecuritytoken',
  'xamzsignature',
  'xapikey',
  'xgoogcredential',
  'xgoogsignature',
])

/** Whether a query parameter with this name counts as a credential. */
export function isSecretName(name: string): boolean {
  return secretNames.has(name.toLowerCase().replace(/[-_]/g, ''))
}

/**
 * A URL that is safe to print. These become `***`: values of parameters named like a credential (in query and
 * fragment), user information, and all secrets that `scrubber` knows. The rest keeps its spelling. Takes any text, URL
 * or not.
 */
export function redactUrl(url: string, scrubber?: Scrubber): string {
  const withoutUser = url.replace(/^([a-z][a-z0-9+.-]*:)?\/\/[^/?#@]*@/i, '$1//***@')
  const start = withoutUser.search(/[?#]/)
  const named =
    start < 0
      ? withoutUser
      : withoutUser.slice(0, start) +
        withoutUser
          .slice(start)
          .replace(/([?&#;])([^=&#;]+)=([^&#;]*)/g, (pair, separator: string, name: string) =>
            isSecretName(decoded(name)) ? `${separator}${name}=***` : pair,
          )
  // Shortened last, so that no half of a secret stays.
  return shortened(scrubber === undefined ? named : scrubber.text(named), LONGEST_URL)
}

/** A cursor in the URL may have any length. */
const LONGEST_URL = 1000

/** Percent-decoded, or unchanged if it cannot be decoded. */
export function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
