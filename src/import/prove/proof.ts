import type { JsonValue } from '../../json/value.js'
import type { RunEvent } from '../../model/events.js'
import type { Clock } from '../../model/source.js'

/**
 * `proven`: the API showed it. `assumed`: nothing spoke against it, and something is open. `wrong`: the API showed
 * something else.
 */
export type ProofStatus = 'proven' | 'assumed' | 'wrong'

/** What the API showed about one key of the document. */
export interface Finding {
  /** Key path in the document, as in `resources[0].endpoint.paginator.limit`. */
  readonly key: string
  readonly status: ProofStatus
  /** What was seen, in one sentence. It holds counts and names of fields, never values of records. */
  readonly seen: string
  /** Numbers of the requests that showed it. */
  readonly requests: readonly number[]
  /** Keys to write instead, with their values, from the document's root. Null takes the key away. */
  readonly write?: Readonly<Record<string, JsonValue>> | undefined
}

/** One request of a proof. */
export interface ProofRequest {
  readonly number: number
  /** What it asked for, as in `page 2`. */
  readonly asked: string
  /** Method and address. Values that came from the API, and secrets, are left out. */
  readonly request: string
  /** HTTP status, or why there was no answer. */
  readonly answer: string
  readonly records?: number | undefined
}

/** What the API showed about one resource. */
export interface ResourceProof {
  readonly resource: string
  readonly findings: readonly Finding[]
  /** What belongs to no key: how the list is sorted, what limits the API tells, whether the list moved. */
  readonly notes: readonly string[]
  readonly requests: readonly ProofRequest[]
  /** Why the list could not be asked at all. */
  readonly problem?: string | undefined
}

/** What an API showed about a document. */
export interface Proof {
  readonly pipeline: string
  /** When it was made, as ISO text. */
  readonly at: string
  /** The origins that were asked. */
  readonly origins: readonly string[]
  /** Identifies what the document asks for. Another one is about another document. */
  readonly about: string
  readonly resources: readonly ResourceProof[]
}

/** Names of the keys with this status, as a person says them: `paginator, primary_key`. */
function namesWith({ findings }: ResourceProof, status: ProofStatus): string[] {
  return [...new Set(findings.filter(finding => finding.status === status).map(({ key }) => shortName(key)))]
}

function shortName(key: string): string {
  return key.replace(/^resources\[\d+\]\./, '').replace(/^endpoint\./, '')
}

/** One line about a resource: `proven on 2026-01-31: paginator; assumed: primary_key`. */
export function proofLine(proof: Pick<Proof, 'at'>, resource: ResourceProof): string {
  const day = proof.at.slice(0, 10)
  if (resource.problem !== undefined) return `could not be proven on ${day}: ${resource.problem}`
  const parts = (['proven', 'assumed', 'wrong'] as const).flatMap(status => {
    const names = namesWith(resource, status)
    if (names.length === 0) return []
    return [`${status === 'proven' ? `proven on ${day}` : status}: ${names.join(', ')}`]
  })
  const line = parts.join('; ')
  return line.startsWith('proven') ? line : `asked on ${day}; ${line === '' ? 'nothing could be decided' : line}`
}

export interface ProveOptions {
  /** Names of the resources to prove. Default: all that are read. */
  readonly select?: readonly string[] | undefined
  /** Most requests for a resource, those that are sent again included. Default 12. */
  readonly budget?: number | undefined
  readonly signal?: AbortSignal | undefined
  readonly onEvent?: ((event: RunEvent) => void) | undefined
  /** For waits and the time of the proof. Default: that of this machine. */
  readonly clock?: Clock | undefined
}
