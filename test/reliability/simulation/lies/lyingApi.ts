import type { Transport } from '../../../../src/rest/api.js'
import { type Asked, asked, honest, listed, placed, type Told, written } from './honest.js'
import { type Lie, lying, type Moment, type Serving } from './lies.js'
import type { Plan, Run } from './plan.js'
import { placeOf, type Truth } from './truth.js'

/** An answer as it was given. */
export interface Answer {
  readonly asked: Asked
  readonly told: Told
  /** Of the run that it was given to. */
  readonly run: Run
}

/** What the API did in one run. */
export interface Log {
  readonly answers: ReadonlyMap<string, readonly Answer[]>
  /** It gave up: nobody needs so many requests. */
  readonly isEndless: boolean
  /** The lies and motions of the run, and of those before it that it goes on with. */
  readonly runs: readonly Run[]
}

export interface LyingApi {
  readonly transport: Transport
  /** A run is about to begin; `stop` is called when it is to end. */
  begin(run: Run, stop: () => void): void
  /** The run does not go on with what an earlier one was told. */
  startAnew(): void
  readonly log: Log
}

/**
 * Answers for one reading of a list after which a run is endless. A thousand empty pages in a row may still lead somewhere;
 * no list has so many pages with records, even if each of them is asked for twice. Children of a parent that comes again
 * are read again.
 */
const MOST_EMPTY = 1_100
const MOST_FILLED = 60

export function lyingApi({ levels }: Plan, truth: Truth): LyingApi {
  let run: Run = { lies: [], motions: [], isSelective: false, allowIncomplete: false }
  let answers = new Map<string, Answer[]>()
  let isEndless = false
  let nonce = 0
  let runs: Run[] = []
  /** Lengths of the lists when the run began. */
  let before = new Map<string, number>()
  /** What is to happen once a number of answers was given. */
  let stop = (): void => {}
  let left = Number.POSITIVE_INFINITY

  const concerns = (address: string, { level, list }: { readonly level: number; readonly list: number | 'every' }) =>
    placeOf(address).level === level && (list === 'every' || truth.addresses(level)[list] === address)

  const answer = (address: string, request: Asked, lies: readonly Lie[]): Told => {
    const { level } = placeOf(address)
    const { style } = levels[level] as Plan['levels'][number]
    const list = listed(style, truth.list(address), request)
    const moments = lies.map(
      (lie): Moment => ({
        lie,
        asked: request,
        nonce,
        length: list.length,
        lengthBefore: before.get(address) ?? list.length,
      }),
    )
    const whole: Serving = { ...request, list }
    const serving = moments.reduce((now, moment) => lying(moment.lie.kind).serve?.(now, moment, style) ?? now, whole)
    const page = Math.floor(request.start / request.size)
    const isLast = serving.start + serving.size >= serving.list.length
    const chosen = ({ page: which }: Lie): boolean => which === 'every' || (which === 'last' ? isLast : which === page)
    return moments
      .filter(({ lie }) => lying(lie.kind).serve !== undefined || chosen(lie))
      .reduce(
        (told, moment) => lying(moment.lie.kind).tell?.(told, moment, style) ?? told,
        honest(style, serving.list, serving),
      )
  }

  return {
    begin(next, onStop) {
      run = next
      runs.push(next)
      left = next.stopsAfter ?? Number.POSITIVE_INFINITY
      stop = onStop
      isEndless = false
      before = new Map(
        levels.flatMap((_, at) => truth.addresses(at).map(one => [one, truth.list(one).length] as const)),
      )
    },
    startAnew() {
      answers = new Map()
      runs = [run]
      truth.begin()
    },
    get log() {
      return { answers, isEndless, runs }
    },
    transport: async ({ url: text, body, signal }) => {
      await Promise.resolve()
      signal.throwIfAborted()
      const url = new URL(text)
      const address = url.pathname
      const { level } = placeOf(address)
      const { style } = levels[level] as Plan['levels'][number]
      const all = answers.get(address) ?? []
      for (const { answer: at, move, ...where } of run.motions)
        if (at === all.length && concerns(address, where)) truth.move(address, move)
      nonce++
      const wanted = asked(style, url, body)
      const request = placed(style, listed(style, truth.list(address), wanted), wanted)
      // What an earlier run was told and this one asks for again, it does not know.
      const isAgain = ({ asked: { start, after } }: Answer): boolean =>
        style.way === 'keyset' ? after === request.after : start === request.start
      const given = all.filter(one => one.run === run || !isAgain(one))
      answers.set(address, given)
      const lied = answer(
        address,
        request,
        run.lies.filter(lie => concerns(address, lie)),
      )
      const told = lied.sync === 'now' ? { ...lied, sync: `t${truth.newest}` } : lied
      given.push({ asked: request, told, run })
      if (--left === 0) stop()
      if (isTooMuch(given)) {
        isEndless = true
        return written(style, { status: 410, list: undefined, error: { error: 'endless' } }, url, nonce)
      }
      return written(style, told, url, nonce)
    },
  }
}

function isTooMuch(answers: readonly Answer[]): boolean {
  if (answers.length <= MOST_FILLED) return false
  const filled = answers.filter(({ told }) => (told.list ?? []).length > 0).length
  const readings = Math.max(1, answers.filter(({ asked: { start } }) => start === 0).length)
  // In a feed, each page may be another change of the same record.
  const isFeed = answers.some(({ asked: { since } }) => since !== undefined)
  return filled > (isFeed ? MOST_EMPTY : MOST_FILLED) * readings || answers.length - filled > MOST_EMPTY * readings
}
