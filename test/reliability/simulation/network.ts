import { gzipSync } from 'node:zlib'
import type { Clock } from '../../../src/model/source.js'
import type { Transport, TransportResponse } from '../../../src/rest/api.js'
import { seeded } from '../chance.js'
import type { Life } from './life.js'

/** A thing that the simulated API lists. */
export interface Thing {
  readonly id: number
  /** Rises with every change, no two alike. */
  readonly changed: number
  readonly name: string
}

export interface SimulatedApi {
  /** The network as one process sees it. */
  transport(life: Life): Transport
  /** Moves on: new things, changed ones. */
  setDay(day: number): void
  /** What goes wrong from now on. */
  setWeather(weather: Weather): void
  /** Requests since the last change of weather. */
  readonly requests: number
  /** Whether an answer of this day said what is not so. */
  readonly lied: boolean
  things(): readonly Thing[]
  members(): readonly { readonly id: number; readonly group: number }[]
}

/** Shares of requests, chosen by `seed`. */
interface Weather {
  readonly seed: number
  /** Fail. */
  readonly faults: number
  /** Are answered with the page before, or with another total. */
  readonly lies: number
}

const PAGE = 4

/** The page of a list that an address asks for, by number, offset, cursor or link. */
export function pageText(url: URL, all: readonly object[]): string {
  const { searchParams: query } = url
  const page = query.get('page')
  const start = page === null ? Number(query.get('offset') ?? query.get('after') ?? 0) : (Number(page) - 1) * PAGE
  const after = start + PAGE < all.length ? start + PAGE : null
  const link = new URL(url)
  link.searchParams.set('after', String(after))
  return JSON.stringify({
    records: all.slice(start, start + PAGE),
    total: all.length,
    pages: Math.ceil(all.length / PAGE),
    next: after,
    next_url: after === null ? null : link.href,
  })
}

const GROUPS = 3

/**
 * An API in memory, with every way through a list: `things` (pages, offsets, cursors, links; `since` narrows it),
 * `groups`, and `groups/<id>/members`. What goes wrong with a request follows from the seed, its URL and how often it
 * was asked for, so that it is the same whatever else is under way.
 */
export function simulatedApi(clock: VirtualClock, skewMs: number): SimulatedApi {
  let day = 1
  let weather: Weather = { seed: 0, faults: 0, lies: 0 }
  let requests = 0
  let lied = false
  const asked = new Map<string, number>()

  const things = (): Thing[] =>
    Array.from({ length: 9 + 7 * day }, (_, id) => {
      const born = id < 16 ? 1 : 1 + Math.ceil((id - 15) / 7)
      const changes = Array.from({ length: day }, (_, before) => before + 1).filter(
        on => on > born && id % 5 === on % 5,
      )
      const changedOn = changes.at(-1) ?? born
      return { id, changed: changedOn * 1000 + id, name: `thing ${id} of day ${changedOn}` }
    })
  const members = (group: number) => Array.from({ length: 5 + day }, (_, n) => ({ id: group * 100 + n, group }))

  const listed = (path: string, query: URLSearchParams): readonly object[] => {
    if (path === '/groups') return Array.from({ length: GROUPS }, (_, id) => ({ id, label: `group ${id}` }))
    const group = /^\/groups\/(\d+)\/members$/.exec(path)?.[1]
    if (group !== undefined) return members(Number(group))
    const since = Number(query.get('since') ?? 0)
    return things().filter(thing => thing.changed >= since)
  }

  const answer = (url: URL): string => pageText(url, listed(url.pathname, url.searchParams))

  return {
    setDay(next) {
      day = next
      lied = false
    },
    setWeather(next) {
      weather = next
      requests = 0
      asked.clear()
    },
    get requests() {
      return requests
    },
    get lied() {
      return lied
    },
    things,
    members: () => Array.from({ length: GROUPS }, (_, group) => members(group)).flat(),
    transport: life => async request => {
      // What a dead process still has to do stays undone.
      if (!life.isDead) requests++
      await life.step()
      const times = (asked.get(request.url) ?? 0) + 1
      asked.set(request.url, times)
      const random = seeded(hash(`${weather.seed} ${times} ${request.url}`))
      const text = answer(new URL(request.url))
      if (random() < 0.05) clock.pass(random() * 50_000)
      await life.step()
      request.signal.throwIfAborted()
      if (random() < weather.lies) {
        const lie = random() < 0.5 ? pageBefore(request.url) : withAnotherTotal(text, isFirst(request.url), random)
        lied ||= lie !== text
        return response(200, lie)
      }
      if (random() >= weather.faults) return response(200, text)
      // Only a paginator that knows how much there is can notice records that are left out.
      if (/[?&](page|offset)=/.test(request.url) && random() < 0.1) return response(200, withoutRecords(text))
      return fault(Math.floor(random() * faults.length), text, random)
    },
  }

  function fault(which: number, text: string, random: () => number): TransportResponse {
    const make = faults[which]
    if (make === undefined) throw new RangeError('no such fault')
    return make(text, random, new Date(clock.now() + skewMs))
  }

  /** As a cache gives it that takes two requests for one. */
  function pageBefore(url: string): string {
    const before = new URL(url)
    const { searchParams: query } = before
    for (const [name, step] of [
      ['page', 1],
      ['offset', PAGE],
      ['after', PAGE],
    ] as const) {
      const value = query.get(name)
      if (value !== null) query.set(name, String(Math.max(name === 'page' ? 1 : 0, Number(value) - step)))
    }
    return answer(before)
  }
}

/** A clock on which time passes when somebody says so. */
export interface VirtualClock extends Clock {
  pass(ms: number): void
}

type Fault = (text: string, random: () => number, serverTime: Date) => TransportResponse

const faults: readonly Fault[] = [
  () => {
    throw networkError('ECONNRESET')
  },
  () => {
    throw networkError('ECONNREFUSED')
  },
  () => {
    throw networkError('UND_ERR_HEADERS_TIMEOUT')
  },
  (text, random) => ({ ...response(200, ''), body: cut(text, Math.floor(random() * text.length), 'UND_ERR_SOCKET') }),
  (text, random) => ({
    ...response(200, ''),
    body: cut(text, Math.floor(random() * text.length), 'UND_ERR_BODY_TIMEOUT'),
  }),
  text => ({ ...response(200, text), headers: { ...json, 'content-length': String(text.length + 10) } }),
  () => response(500, '{"error":"sorry"}'),
  () => response(503, 'down'),
  (_text, random) => response(429, '', { 'retry-after': String(Math.floor(random() * 30)) }),
  (_text, random, serverTime) =>
    response(429, '', {
      date: serverTime.toUTCString(),
      'retry-after': new Date(serverTime.getTime() + random() * 60_000).toUTCString(),
    }),
  text => response(200, text, { 'content-encoding': 'gzip' }),
  text => {
    const packed = gzipSync(text)
    return {
      ...response(200, '', { 'content-encoding': 'gzip' }),
      body: bytes(packed.subarray(0, packed.length - 9)),
    }
  },
  // What follows is taken for an answer: it ends the run, or is seen for what it is.
  (text, random) => response(200, text.slice(0, 1 + Math.floor(random() * (text.length - 2)))),
  () => response(304, ''),
  () => response(401, '{}'),
]

/** The first page may announce too much only: nothing contradicts one that announces too little. */
function withAnotherTotal(text: string, first: boolean, random: () => number): string {
  const factor = first ? 1 + random() : random() * 2
  return text.replace(
    /"(total|pages)":(\d+)/g,
    (_all, name, total) => `"${name}":${Math.floor(Number(total) * factor)}`,
  )
}

function isFirst(url: string): boolean {
  const { searchParams: query } = new URL(url)
  return (query.get('page') ?? '1') === '1' && (query.get('offset') ?? query.get('after') ?? '0') === '0'
}

function withoutRecords(text: string): string {
  return text.replace(/"records":\[.*?\]/, '"records":[]')
}

const json = { 'content-type': 'application/json' }

function response(status: number, text: string, headers: Readonly<Record<string, string>> = {}): TransportResponse {
  return { status, headers: { ...json, ...headers }, body: bytes(Buffer.from(text)) }
}

async function* bytes(content: Uint8Array): AsyncGenerator<Uint8Array> {
  if (content.length > 0) yield content
}

async function* cut(text: string, at: number, code: string): AsyncGenerator<Uint8Array> {
  if (at > 0) yield Buffer.from(text.slice(0, at))
  throw networkError(code)
}

function networkError(code: string): Error {
  return Object.assign(new Error(`simulated ${code}`), { code })
}

export function hash(text: string): number {
  let value = 0x811c9dc5
  for (let at = 0; at < text.length; at++) value = Math.imul(value ^ text.charCodeAt(at), 0x01000193)
  return value
}
