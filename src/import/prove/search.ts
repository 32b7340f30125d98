import type { JsonValue } from '../../json/value.js'
import { type PagingHint, pagingHints } from '../../rest/evidence/pagingHints.js'
import type { DraftAnswer, DraftQuestion, PagingConfig } from '../draft/answer.js'
import { bodyPlaces } from '../draft/bodyPlaces.js'
import { firmHints, saidWhole } from '../draft/candidates.js'
import { findPaging, type PagingFinding } from '../draft/findPaging.js'
import { type Declared, following, type Listing, paginatorFrom, patched } from './listing.js'
import type { Sight, SightOutcome } from './sightings.js'

/** Members beside the records that speak of other pages. */
export function hintsOf({ answer: { document } }: Sight): readonly PagingHint[] {
  return pagingHints(document)
}

/** What a page says of there being more, in a few words. Undefined if nothing does. */
export function saysMoreThanThis(page: Sight, listing: Listing): string | undefined {
  const [more] = firmHints(asDraft(page, listing))
  return more
}

/** What shows that a page is the whole list. Undefined if nothing does. */
export function saysWhole(page: Sight, listing: Listing): string | undefined {
  return saidWhole(asDraft(page, listing))
}

function asDraft(page: Sight, { probe }: Listing): DraftAnswer {
  const { answer, records, count } = page
  const { headers, status } = answer.page
  const path = probe.resource.endpoint.dataSelector ?? probe.detected(answer)?.path?.text ?? '$'
  return {
    records,
    count,
    selector: { path, why: '' },
    hints: hintsOf(page),
    headers,
    recorded: { status, headers, body: answer.document?.bytes ?? new Uint8Array() },
  }
}

export interface FoundPaging {
  readonly seen: string
  readonly by: readonly SightOutcome[]
  /** Only for a way that the API showed. */
  readonly write: Readonly<Record<string, JsonValue>> | undefined
  readonly finding: PagingFinding
}

/**
 * Searches for the way to page 2, as `sluice init` does. Undefined if no way was found or the budget is used up.
 * `declared`: the paginator that is not the way, whose parameters are left out.
 */
export async function searched(listing: Listing, declared?: Declared): Promise<FoundPaging | undefined> {
  const by: SightOutcome[] = []
  const { first, probe } = listing
  const opening = probe.opening()
  const ask = async ({ params, paginator, after, selector }: DraftQuestion): Promise<DraftAnswer | undefined> => {
    const way = paginatorFrom(paginator.type, paginator)
    const base = { ...opening, params }
    const start = patched(base, way.first)
    let request = start
    if (after !== undefined) {
      const next = following(way, {
        ...first,
        request: start,
        answer: { ...first.answer, page: { ...first.answer.page, request: start } },
      })
      if (!('request' in next)) return undefined
      request = next.request
    }
    const outcome = await listing.asking.ask(`page 2 by ${paginator.type}`, request, {
      keep: 1,
      ...(listing.resource.endpoint.dataSelector === undefined && { selector }),
    })
    if (outcome.kind === 'unasked') return undefined
    by.push(outcome)
    if (outcome.kind === 'refused') throw outcome.error
    return asDraft(outcome, listing)
  }
  const { body } = opening
  const places = body?.kind === 'json' || body?.kind === 'form' ? bodyPlaces(body) : undefined
  const draft = {
    answer: asDraft(first, listing),
    params: withLimit(opening.params, first, declared),
    moved: [],
    body: places,
  }
  const finding = await findPaging(draft, ask, new AbortController().signal)
  if (finding.config === undefined || finding.certainty === 'unknown' || finding.config.type === 'single_page')
    return undefined
  const isProven = finding.certainty === 'proven'
  const written = isProven ? writeConfig(listing, finding.config, finding.sends) : undefined
  return {
    seen: `${finding.config.type} ${isProven ? 'leads to other records' : 'may be the way'} (${finding.clue ?? finding.why})`,
    by,
    write: written,
    finding,
  }
}

/** The query of the first request, with the limit that the declared paginator sends. */
function withLimit(
  params: readonly (readonly [string, string])[],
  { request }: Sight,
  declared: Declared | undefined,
): readonly (readonly [string, string])[] {
  const { keys } = declared ?? {}
  if (typeof keys?.limit !== 'number' || keys.limit === 0 || typeof keys.limit_body_path === 'string') return params
  const name = typeof keys.limit_param === 'string' ? keys.limit_param : 'limit'
  const sent = request.params.find(([other]) => other === name)
  return sent === undefined ? params : [...params.filter(([other]) => other !== name), sent]
}

/** The found paginator in place of the written one, without parameters that it sends itself. */
function writeConfig(
  { endpointPath, probe }: Listing,
  config: PagingConfig,
  sends: readonly string[],
): Readonly<Record<string, JsonValue>> {
  const written: Record<string, JsonValue> = { [`${endpointPath}.paginator`]: { ...config } }
  for (const { name, path } of probe.resource.endpoint.params) {
    const [text] = name
    if (typeof text === 'string' && sends.includes(text)) written[path] = null
  }
  return written
}
