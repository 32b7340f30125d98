import type { JsonObject, JsonValue } from '../../json/value.js'
import { canonicalJson } from '../../json/write.js'
import { count } from '../../rest/evidence/pagingHints.js'
import { limitParam } from './address.js'
import { type DraftAnswer, type DraftQuestion, type PagingConfig, refusal } from './answer.js'
import {
  type Candidate,
  candidates,
  emptyPositions,
  type FirstPage,
  firmHints,
  headerPosition,
  leadsOn,
  saidWhole,
  startingAt,
} from './candidates.js'
import { candidateKeys } from './guesses.js'

/** How the pages of a list follow each other, as far as a few requests show. */
export interface PagingFinding {
  /** Absent if unknown: a run then reads what `auto` finds, which proves nothing. */
  readonly config?: PagingConfig
  /** `proven`: page 2 exists and is different. `assumed`: the answer suggests it. */
  readonly certainty: 'proven' | 'assumed' | 'unknown'
  readonly why: string
  /** What suggested it, where `why` says more. */
  readonly clue?: string
  readonly sends: readonly string[]
  /** What the user must find out. */
  readonly question?: string
  /** Records of page 2, if it was seen. */
  readonly more: readonly JsonObject[]
}

/** Requests for page 2. One more may be needed to confirm the result. */
const MOST_QUESTIONS = 4

/** An export in one piece. Do not request another one just to guess. */
const LARGE_ANSWER_BYTES = 8 * 2 ** 20

type PagingOutcome =
  | { readonly kind: 'other'; readonly answer: DraftAnswer }
  | { readonly kind: 'same' | 'overlap'; readonly records: readonly JsonObject[] }
  | { readonly kind: 'empty' }
  | { readonly kind: 'refused'; readonly text: string; readonly isFinal: boolean }

/** Requests one page. Undefined if the paginator ends the list before it. Rejects with the errors of a run. */
export type AskWay = (question: DraftQuestion) => Promise<DraftAnswer | undefined>

/** Requests page 2 a few times, in the ways that the answer and the address suggest, and in the usual ones. */
export async function findPaging(first: FirstPage, ask: AskWay, signal: AbortSignal): Promise<PagingFinding> {
  return await new PageTwo(first, ask, signal).find()
}

class PageTwo {
  readonly #first: FirstPage
  readonly #askWay: AskWay
  readonly #signal: AbortSignal
  readonly #tried: string[] = []
  #left = MOST_QUESTIONS
  /** The API allows no more requests. */
  #stopped = false

  constructor(first: FirstPage, ask: AskWay, signal: AbortSignal) {
    this.#first = first
    this.#askWay = ask
    this.#signal = signal
    const { headers } = first.answer
    this.#stopped = (headers['x-ratelimit-remaining'] ?? headers['ratelimit-remaining']) === '0'
  }

  async find(): Promise<PagingFinding> {
    const { answer } = this.#first
    const isObject = answer.selector.path === '$' && answer.selector.why === 'the body has no list'
    const hints = firmHints(answer)
    if (isObject && !leadsOn(answer)) return only('the answer is one object and no list')
    const empty = emptyPositions(this.#first)
    const found = candidates(this.#first)
    let fallback: PagingFinding | undefined
    for (const candidate of found) {
      if (this.#left <= 0 || this.#stopped) break
      // A field that the answer has but leaves empty is likelier than what is merely usual.
      if (!candidate.isSuggested && (empty.length > 0 || answer.recorded.body.length > LARGE_ANSWER_BYTES)) break
      const finding = await this.#tryOut(candidate, hints.length > 0)
      if (finding?.certainty === 'proven') return finding
      fallback ??= finding
    }
    const [place] = empty
    if (fallback === undefined && place !== undefined && hints.length === 0) {
      return { ...assumed(place, `${place.why}, as at the end of a list`) }
    }
    return fallback ?? this.#unknown(hints)
  }

  /** Undefined: this way does not work. */
  async #tryOut(candidate: Candidate, hasMore: boolean): Promise<PagingFinding | undefined> {
    const { counter, config } = candidate
    if (counter === undefined) return await this.#follow(candidate)
    if (config.type === 'page_number' && counter.first === undefined) {
      return await this.#pagesFromAnyNumber(candidate, hasMore)
    }
    const first = counter.first ?? 0
    const position = first + (config.type === 'page_number' ? 1 : this.#first.answer.count)
    const outcome = await this.#ask(candidate, startingAt(candidate, position))
    switch (outcome.kind) {
      case 'other':
        if (!this.#isAsked(outcome.answer, candidate, position)) return undefined
        if (config.type === 'offset' && !(await this.#goesOn(candidate, position))) return undefined
        return proven(candidate, first, outcome.answer)
      case 'refused':
        if (!outcome.isFinal || !candidate.isSuggested) return undefined
        return assumed(candidate, `${candidate.why}; page 2 could not be seen (${outcome.text})`)
      case 'empty': {
        // Nothing comes after the last page. A parameter that acts as a filter gives nothing on page 1 either.
        if (hasMore) return undefined
        const again = await this.#ask(candidate, startingAt(candidate, first))
        return again.kind === 'same'
          ? assumed(candidate, `${candidate.why}; page 2 is empty, as behind the end of a list`)
          : undefined
      }
      default:
        return undefined
    }
  }

  /** Offsets may count pages. The record just before page 2 is the last of page 1 only if they count records. */
  async #goesOn(candidate: Candidate, position: number): Promise<boolean> {
    if (this.#stopped) return false
    const outcome = await this.#ask(candidate, startingAt(candidate, position - 1))
    const { records } = this.#first.answer
    const [before, again] = [
      records.slice(-1),
      outcome.kind === 'overlap' || outcome.kind === 'same' ? outcome.records.slice(0, 1) : [],
    ]
    return again.length > 0 && overlap(before, again, records) === 1
  }

  /** Finds whether pages count from 0 or 1: requests the page that came by its number. */
  async #pagesFromAnyNumber(candidate: Candidate, hasMore: boolean): Promise<PagingFinding | undefined> {
    const two = await this.#ask(candidate, startingAt(candidate, 2))
    if (candidate.counter?.isSent === true) {
      if (two.kind !== 'other') return undefined
      const zero = await this.#ask(candidate, startingAt(candidate, 0))
      return proven(candidate, zero.kind === 'other' ? 0 : 1, two.answer)
    }
    if (two.kind !== 'other' && (two.kind !== 'empty' || hasMore)) return undefined
    const one = await this.#ask(candidate, startingAt(candidate, 1))
    if (one.kind === 'other') return proven(candidate, 0, one.answer)
    if (one.kind !== 'same') return undefined
    return two.kind === 'other'
      ? proven(candidate, 1, two.answer)
      : assumed(candidate, `${candidate.why}; page 2 is empty, as behind the end of a list`)
  }

  async #follow(candidate: Candidate): Promise<PagingFinding | undefined> {
    const outcome = await this.#ask(candidate, candidate.config)
    if (outcome.kind === 'other') return proven(candidate, undefined, outcome.answer)
    const { type } = candidate.config
    const isLink = type === 'header_link' || type === 'json_link'
    if (outcome.kind === 'empty' && isLink) return assumed(candidate, `${candidate.why}; page 2 is empty`)
    if (outcome.kind === 'refused' && (isLink || outcome.isFinal)) {
      return assumed(candidate, `${candidate.why}; page 2 could not be seen (${outcome.text})`)
    }
    return undefined
  }

  async #ask(candidate: Candidate, paginator: PagingConfig): Promise<PagingOutcome> {
    const { answer, params } = this.#first
    this.#left--
    const outcome = await this.#outcome({
      params: params.filter(([name]) => !candidate.sends.includes(name)),
      paginator,
      selector: answer.selector.path,
      ...(candidate.counter === undefined && { after: answer }),
    })
    if (outcome.kind === 'refused' && outcome.isFinal) this.#stopped = true
    this.#tried.push(
      `${inWords(candidate, paginator)} (${OUTCOMES[outcome.kind] ?? (outcome.kind === 'refused' ? outcome.text : '')})`,
    )
    return outcome
  }

  async #outcome(question: DraftQuestion): Promise<PagingOutcome> {
    try {
      const page = await this.#askWay(question)
      if (page === undefined || page.count === 0) return { kind: 'empty' }
      const same = overlap(this.#first.answer.records, page.records)
      if (same === 0) return { kind: 'other', answer: page }
      return { kind: same === page.records.length ? 'same' : 'overlap', records: page.records }
    } catch (error) {
      this.#signal.throwIfAborted()
      const { text, isFinal } = refusal(error)
      return text === 'the same records again' ? { kind: 'same', records: [] } : { kind: 'refused', text, isFinal }
    }
  }

  /** If an answer gives its page number, that must be the requested one. */
  #isAsked({ hints }: DraftAnswer, { config }: Candidate, position: number): boolean {
    const kind = config.type === 'page_number' ? 'page' : 'offset'
    const [before, now] = [count(this.#first.answer.hints, kind, 0), count(hints, kind, 0)]
    if (before === undefined || now === undefined || before.path !== now.path) return true
    return now.number === position || now.number !== before.number
  }

  #unknown(hints: readonly string[]): PagingFinding {
    const { answer, params } = this.#first
    const whole = saidWhole(answer)
    if (hints.length === 0 && whole !== undefined) return only(whole)
    const sent = limitParam(params, answer.count)
    const full = sent?.limit === answer.count ? [`as many records came as ${sent.name} asks for`] : []
    const said = [...hints, ...full]
    const none = this.#stopped ? '; the API allows no more requests now' : ''
    const tried = this.#tried.length === 0 ? none : `; tried: ${this.#tried.join(', ')}`
    const header = headerPosition(answer.headers)
    const isUrl = header !== undefined && /^(?:https?:|\/)/.test(answer.headers[header] ?? '')
    const how = isUrl
      ? `the header ${header} has the address of the next page, which needs a paginator of your own (docs/custom.md)`
      : 'which parameter, link or cursor leads to page 2?'
    return {
      certainty: 'unknown',
      why: `${said.length === 0 ? 'nothing in the answer tells whether there is another page' : `there ${hints.length > 0 ? 'is' : 'may be'} more than this page (${said.join(', ')})`}${tried}`,
      sends: [],
      question:
        said.length === 0
          ? 'is this the whole list? If so, say `paginator: single_page`; if not, how does the API count its pages?'
          : how,
      more: [],
    }
  }
}

const OUTCOMES: Readonly<Partial<Record<PagingOutcome['kind'], string>>> = {
  other: 'other records',
  same: 'the same records',
  overlap: 'some of the same records',
  empty: 'no records',
}

function proven(candidate: Candidate, base: number | undefined, page: DraftAnswer): PagingFinding {
  const { config, why, sends } = candidate
  const based = base === undefined || config.type !== 'page_number' ? config : { ...config, base_page: base }
  return {
    config: lasting(based, page),
    certainty: 'proven',
    why: `page 2 was asked for and has other records (${why})`,
    clue: why,
    sends,
    more: page.records,
  }
}

/** Paths that exist only on page 1 would fail a run at page 2. */
function lasting(config: PagingConfig, page: DraftAnswer): PagingConfig {
  const has = (path: JsonValue | undefined): boolean => page.hints.some(hint => hint.path === path)
  const { has_more_path: more, total_path: total, ...kept } = config
  const isCounted = 'total_path' in config
  return {
    ...kept,
    ...(isCounted && { total_path: total !== undefined && has(total) ? total : null }),
    ...(more !== undefined && has(more) && { has_more_path: more }),
  }
}

function assumed({ config, sends }: Candidate, why: string): PagingFinding {
  return {
    config,
    certainty: 'assumed',
    why,
    sends,
    question: 'does the documentation of the API say so?',
    more: [],
  }
}

function only(why: string): PagingFinding {
  const question = 'can the list become longer than one page? Then say how the API counts its pages.'
  return { config: { type: 'single_page' }, certainty: 'assumed', why, sends: [], question, more: [] }
}

/** What was tried, as in the address. */
function inWords({ config, counter, sends }: Candidate, asked: PagingConfig): string {
  if (counter !== undefined) {
    const position = asked.type === 'page_number' ? asked.page : asked.offset
    return `${counter.param}=${position}`
  }
  const places = config.cursor_body_path == null ? sends : [config.cursor_body_path]
  return places.length > 0 ? `${places.join(', ')} from ${config.cursor_path ?? config.cursor_key}` : 'the link'
}

/** How many records of page 2 were already on page 1. `sample` shows what distinguishes records. */
function overlap(first: readonly JsonObject[], second: readonly JsonObject[], sample = first): number {
  const keys = candidateKeys(sample, '')
  const key = keys.find(name => !isRowNumber(sample, name)) ?? keys[0]
  const identities = new Set(first.map(record => identity(record, key)))
  const texts = new Set(first.map(record => canonicalJson(record)))
  return second.filter(record => identities.has(identity(record, key)) || texts.has(canonicalJson(record))).length
}

/** A row number starts again on each page. */
function isRowNumber(records: readonly JsonObject[], name: string): boolean {
  const start = Number(records[0]?.[name])
  return (start === 0 || start === 1) && records.every((record, place) => Number(record[name]) === start + place)
}

function identity(record: JsonObject, key: string | undefined): string {
  return canonicalJson(key === undefined ? record : (record[key] ?? null))
}
