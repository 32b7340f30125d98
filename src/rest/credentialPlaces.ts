import { type Secret, secretPlaces } from '../model/secrets/secret.js'
import type { Source } from '../model/source.js'
import type { EndpointModel } from './document/model.js'

/** Where the credentials of the requests of an endpoint were found, in words. */
export function credentialPlacesOf({
  auth,
  credentials,
}: Pick<EndpointModel, 'auth' | 'credentials'>): readonly string[] {
  return secretPlaces(auth?.kind === 'declared' ? auth.config : undefined, credentials)
}

const bySource = new WeakMap<Source, readonly string[]>()

export function offerSecretPlaces(source: Source, secrets: Iterable<Secret>): void {
  bySource.set(source, secretPlaces([...secrets]))
}

/** Where each secret that the document of a source refers to was found, in words. None for other sources. */
export function secretPlacesOf(source: Source): readonly string[] {
  return bySource.get(source) ?? []
}
