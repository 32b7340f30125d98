/** What an answer says of one limit of the API. */
interface RateWindow {
  /** Requests that are left. */
  readonly left: number
  /** When there are more, as the header gives it. */
  readonly reset: string | undefined
}

/**
 * Every limit that an answer tells, in any form: `RateLimit` as a list of items (`"default";r=50;t=30, "burst";r=0;t=5`)
 * or of members (`limit=10, remaining=0, reset=5`), `RateLimit-Remaining`, `X-RateLimit-Remaining` and
 * `X-Rate-Limit-Remaining`. All of them hold.
 */
export function rateWindows(headers: Readonly<Record<string, string>>): RateWindow[] {
  const separate = ['ratelimit', 'x-ratelimit', 'x-rate-limit'].flatMap(prefix =>
    pairs(headers[`${prefix}-remaining`], headers[`${prefix}-reset`]),
  )
  return [...combined(headers.ratelimit ?? ''), ...separate]
}

/** Longer headers hold no limits that anybody would read. */
const LONGEST = 4096
/** A member, maybe with a quoted value, a quoted name, or a bare one. */
const parts = /[^\s;,"=]+=(?:"(?:[^"\\]|\\.)*"|[^\s;,"]*)|"(?:[^"\\]|\\.)*"|[^\s;,"]+/g
const names: Readonly<Record<string, 'left' | 'reset'>> = { r: 'left', remaining: 'left', t: 'reset', reset: 'reset' }

/** A name, or a member that was there already, begins the next window. */
function combined(header: string): RateWindow[] {
  const windows: Partial<Record<'left' | 'reset', string>>[] = [{}]
  for (const part of header.slice(0, LONGEST).match(parts) ?? []) {
    const [, key = '', value = ''] = /^([^"=]+)=(.*)$/s.exec(part) ?? []
    const name = names[key.toLowerCase()]
    const current = windows.at(-1)
    if (key === '' || current === undefined || (name !== undefined && current[name] !== undefined)) windows.push({})
    const window = windows.at(-1)
    if (name !== undefined && window !== undefined) window[name] = value
  }
  return windows.flatMap(({ left, reset }) => windowOf(left, reset))
}

/** A header that came twice holds two numbers, and its reset either as many or one for both. A date has a comma too. */
function pairs(lefts: string | undefined, reset: string | undefined): RateWindow[] {
  const all = lefts?.slice(0, LONGEST).split(',') ?? []
  const resets = reset?.split(',') ?? []
  return all.flatMap((left, index) => windowOf(left, resets.length === all.length ? resets[index] : reset))
}

/** None if the number is none: some APIs write -1 for a limit that there is not. */
function windowOf(left: string | undefined, reset: string | undefined): RateWindow[] {
  const digits = /^\s*(\d+)/.exec(left ?? '')?.[1]
  return digits === undefined ? [] : [{ left: Number(digits), reset: reset?.trim() }]
}
