import type { Clock } from '../../../../src/model/source.js'
import type { Transport, TransportResponse } from '../../../../src/rest/api.js'
import { seeded } from '../../chance.js'
import type { Life } from '../life.js'
import { hash, pageText } from '../network.js'

/** A record of the list that windows cut. */
export interface Visit {
  readonly id: number
  /** The cursor. Several may have the same one. */
  readonly at: number
  /** A number, and a text in later records. */
  readonly value: number | string
  readonly extra?: string
}

export interface WindowedApi {
  transport(life: Life): Transport
  readonly visits: readonly Visit[]
  /** Records below a visit. */
  notes(visit: number): readonly { readonly id: number; readonly visit: number }[]
  setWeather(weather: { readonly seed: number; readonly faults: number; readonly isPoisoned: boolean }): void
}

export interface ApiPlan {
  readonly records: number
  /** Cursors are below. */
  readonly span: number
  /** So many records of a window are too much, if a narrower one has fewer. */
  readonly most: number
  /** Windows of the API hold their end. */
  readonly isInclusive: boolean
  readonly order: 'rising' | 'falling' | 'none'
  /** A window with this cursor fails in bad weather. */
  readonly poison: number
}

/** An API in memory: `visits` with `from` and `to`, and `visits/<id>/notes`. Answers take a while. */
export function windowedApi(clock: Clock, plan: ApiPlan, random: () => number): WindowedApi {
  const visits: readonly Visit[] = Array.from({ length: plan.records }, (_, id) => {
    const at = Math.floor(random() * plan.span)
    const isLate = at > plan.span / 2
    return { id, at, value: at > plan.span * 0.7 ? `text ${id}` : id, ...(isLate && { extra: `extra ${id}` }) }
  })
  const countAt = (at: number): number => visits.filter(visit => visit.at === at).length
  const densest = Math.max(...visits.map(({ at }) => countAt(at) + (plan.isInclusive ? countAt(at + 1) : 0)))
  const notes = (visit: number) => Array.from({ length: visit % 3 }, (_, n) => ({ id: visit * 10 + n, visit }))
  const ordered =
    plan.order === 'none'
      ? visits
      : visits.toSorted((one, other) => (plan.order === 'rising' ? one.at - other.at : other.at - one.at))
  let weather = { seed: 0, faults: 0, isPoisoned: false }
  const asked = new Map<string, number>()

  const refusal = (url: URL): TransportResponse | undefined => {
    if (url.pathname !== '/visits') return undefined
    const within = between(url)
    const { poison } = plan
    if (weather.isPoisoned && within.some(({ at }) => at === poison)) return answer(400, '{"error":"no"}')
    return within.length > Math.max(plan.most, densest)
      ? answer(plan.most % 2 === 0 ? 413 : 504, 'too much')
      : undefined
  }
  const between = ({ searchParams: query }: URL): readonly Visit[] => {
    const from = Number(query.get('from') ?? 0)
    const to = Number(query.get('to') ?? Number.POSITIVE_INFINITY)
    return ordered.filter(({ at }) => at >= from && (at < to || (plan.isInclusive && at === to)))
  }
  const page = (url: URL): string => {
    const visit = /^\/visits\/(\d+)\/notes$/.exec(url.pathname)?.[1]
    return pageText(url, visit === undefined ? between(url) : notes(Number(visit)))
  }

  return {
    visits,
    notes,
    setWeather(next) {
      weather = next
      asked.clear()
    },
    transport: life => async request => {
      await life.step()
      const times = (asked.get(request.url) ?? 0) + 1
      asked.set(request.url, times)
      const chance = seeded(hash(`${weather.seed} ${times} ${request.url}`))
      await clock.sleep(Math.floor(chance() * 300), request.signal)
      await life.step()
      request.signal.throwIfAborted()
      const url = new URL(request.url)
      const text = page(url)
      if (chance() >= weather.faults) return refusal(url) ?? answer(200, text)
      const fault = faults[Math.floor(chance() * faults.length)]
      return fault?.(text, chance) ?? answer(500, '')
    },
  }
}

const faults: readonly ((text: string, chance: () => number) => TransportResponse)[] = [
  () => {
    throw lost('ECONNRESET')
  },
  () => {
    throw lost('UND_ERR_HEADERS_TIMEOUT')
  },
  (text, chance) => ({ ...answer(200, ''), body: cut(text, Math.floor(chance() * text.length)) }),
  () => answer(500, '{"error":"sorry"}'),
  () => answer(503, 'down'),
  () => answer(504, 'late'),
  (_, chance) => answer(429, '', { 'retry-after': String(Math.floor(chance() * 30)) }),
  (text, chance) => answer(200, text.slice(0, 1 + Math.floor(chance() * (text.length - 2)))),
  () => answer(403, '{}'),
  () => answer(401, '{}'),
]

function answer(status: number, text: string, headers: Readonly<Record<string, string>> = {}): TransportResponse {
  return { status, headers: { 'content-type': 'application/json', ...headers }, body: bytes(text) }
}

async function* bytes(text: string): AsyncGenerator<Uint8Array> {
  if (text.length > 0) yield Buffer.from(text)
}

async function* cut(text: string, at: number): AsyncGenerator<Uint8Array> {
  if (at > 0) yield Buffer.from(text.slice(0, at))
  throw lost('UND_ERR_SOCKET')
}

function lost(code: string): Error {
  return Object.assign(new Error(`simulated ${code}`), { code })
}
