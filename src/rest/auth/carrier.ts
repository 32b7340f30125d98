import type { ApiRequest } from '../api.js'
import { headerOf, withHeader, withParam } from '../http/wire.js'
import type { Carried } from './authenticator.js'

/** Where a credential goes: which header, query parameter or cookie. */
export interface Carrier {
  readonly location: 'header' | 'query' | 'cookie'
  readonly name: string
}

/** What the carrier's value must be fit for. */
export function mediumOf({ location }: Carrier): 'header' | 'query' {
  return location === 'query' ? 'query' : 'header'
}

/** A copy of the request with the credential. In the query it appears once, even if a next link repeats it. */
export function carrying(request: ApiRequest, { location, name }: Carrier, text: string): ApiRequest {
  if (location === 'header') return withHeader(request, name, text)
  if (location === 'query') return withParam(request, name, text)
  const others = headerOf(request, 'cookie')
  return withHeader(request, 'Cookie', others === undefined ? `${name}=${text}` : `${others}; ${name}=${text}`)
}

export function carriedIn({ location, name }: Carrier): Carried {
  if (location === 'query') return { params: [name] }
  return { headers: [location === 'cookie' ? 'Cookie' : name] }
}
