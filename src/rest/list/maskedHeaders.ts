import { LIST_HEADERS } from '../evidence/envelope.js'
import type { ListReader } from './listReader.js'

type Headers = Readonly<Record<string, string>>

const RATE_LIMIT = /^(?:x-)?rate-?limit(?:-|$)/

/**
 * The headers of an answer that is masked: those that tell of the list, the time and limits, and those that the document
 * names. Others may repeat what is masked. A paginator of one's own may go by any, so that it keeps all.
 */
export function maskedHeaders({ resource: { endpoint } }: ListReader, headers: Headers): Headers {
  const { paginator, retry, responseActions } = endpoint
  if (paginator.kind === 'custom') return headers
  const named = new Set(['content-type', 'date', 'retry-after'])
  // The name of a header is the value of some key of the paginator.
  const values = paginator.kind === 'declared' ? Object.values(paginator.config) : []
  for (const value of values) if (typeof value === 'string') named.add(value.toLowerCase())
  for (const { waitFrom } of [retry, ...responseActions]) if (waitFrom?.in === 'header') named.add(waitFrom.at)
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => named.has(name) || LIST_HEADERS.has(name) || RATE_LIMIT.test(name)),
  )
}
