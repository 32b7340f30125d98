import type { Verdict } from '../../../model/receipt.js'
import type { RunFacts, RunNews } from '../../pageContract.js'
import { counted } from '../parts.js'

interface ResourceProgress {
  readonly records: number
  readonly pages: number
  readonly announced?: number | undefined
  readonly parentsRead?: number | undefined
  readonly parentsKnown?: number | undefined
  readonly verdict?: Verdict | undefined
}

/** A request, or a wait, as it is drawn. */
export interface DrawnRequest {
  readonly number: number
  readonly resource: string
  readonly what: string
  readonly kind: 'good' | 'bad' | 'wait'
  readonly fromMs: number
  readonly tookMs: number
}

export interface RunProgress {
  readonly resources: ReadonlyMap<string, ResourceProgress>
  /** The newest. */
  readonly requests: readonly DrawnRequest[]
  readonly notes: readonly { readonly number: number; readonly text: string }[]
  readonly records: number
  readonly atMs: number
  readonly memoryBytes?: number | undefined
  readonly waiting?: string | undefined
  readonly ended?: RunFacts | undefined
}

export const noProgress: RunProgress = { resources: new Map(), requests: [], notes: [], records: 0, atMs: 0 }

const MOST_REQUESTS = 60
const MOST_NOTES = 100

/** The progress after one more event. */
export function progressed(before: RunProgress, { number, atMs, event }: RunNews): RunProgress {
  const after = { ...before, atMs }
  const ofResource = (
    resource: string,
    change: (before: ResourceProgress) => Partial<ResourceProgress>,
  ): RunProgress => {
    const known = before.resources.get(resource) ?? { records: 0, pages: 0 }
    return { ...after, resources: new Map(before.resources).set(resource, { ...known, ...change(known) }) }
  }
  const drawn = (request: Omit<DrawnRequest, 'number'>): RunProgress => ({
    ...after,
    requests: [...before.requests.slice(1 - MOST_REQUESTS), { number, ...request }],
  })
  const noted = (text: string): RunProgress => ({
    ...after,
    notes: [...before.notes.slice(1 - MOST_NOTES), { number, text }],
  })
  switch (event.type) {
    case 'request': {
      const { resource, method, url, status, durationMs } = event
      const isGood = status >= 200 && status < 400
      const what = `${method} ${url}: ${status === 0 ? 'no answer' : status}, ${Math.round(durationMs)} ms`
      const fromMs = Math.max(0, atMs - durationMs)
      return {
        ...drawn({ resource, what, kind: isGood ? 'good' : 'bad', fromMs, tookMs: durationMs }),
        waiting: undefined,
      }
    }
    case 'retry': {
      const { resource, reason, delayMs, attempt } = event
      const what = `attempt ${attempt} failed: ${reason}; waits ${Math.round(delayMs)} ms`
      return {
        ...drawn({ resource, what, kind: 'wait', fromMs: atMs, tookMs: delayMs }),
        waiting: `${resource}: ${what}`,
      }
    }
    case 'waiting': {
      const { resource, reason, delayMs } = event
      return {
        ...drawn({ resource, what: `waits: ${reason}`, kind: 'wait', fromMs: atMs, tookMs: delayMs }),
        waiting: `${resource}: ${reason}`,
      }
    }
    case 'page': {
      const { resource, records, announced } = event
      return {
        ...ofResource(resource, known => ({
          records: known.records + records,
          pages: known.pages + 1,
          ...(announced !== undefined && { announced }),
        })),
        records: before.records + records,
        waiting: undefined,
      }
    }
    case 'list_finished': {
      const { resource, parentsRead, parentsKnown } = event
      return ofResource(resource, () => ({ parentsRead, parentsKnown }))
    }
    case 'resource_finished':
      return ofResource(event.resource, () => ({ verdict: event.receipt.verdict }))
    case 'warning':
      return noted(`warning: ${event.message}`)
    case 'detected':
      return noted(`${event.resource}: ${event.what} ${event.guess}, because ${event.why}`)
    case 'committing':
      return { ...after, waiting: `committing ${counted(event.rows, 'row')}` }
    case 'memory':
      return { ...after, memoryBytes: event.bytes }
    case 'ended':
      return { ...after, ended: event.facts, waiting: undefined }
    default:
      return after
  }
}
