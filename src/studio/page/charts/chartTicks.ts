/** What stands at the axes of charts. No two ticks of an axis read alike, however near they are. */

const DAY_S = 86_400

/** Dates as everywhere on the page: the day where it changes, or where a step is a day or more, and otherwise the time. */
export function timeTicks(ticksS: readonly number[], stepS: number): string[] {
  let before = ''
  return ticksS.map(tickS => {
    const at = new Date(Math.round(tickS * 1_000))
    const two = (part: number): string => String(part).padStart(2, '0')
    const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`
    const isNew = day !== before
    before = day
    if (stepS >= DAY_S) return day
    const seconds = stepS < 60 ? `:${two(at.getSeconds())}` : ''
    const fraction = stepS < 1 ? `.${String(at.getMilliseconds()).padStart(3, '0').slice(0, digitsOf(stepS))}` : ''
    const time = `${two(at.getHours())}:${two(at.getMinutes())}${seconds}${fraction}`
    return isNew ? `${time}\n${day}` : time
  })
}

/** Digits behind the point that tell steps below one second. A time of a load has three. */
function digitsOf(stepS: number): number {
  return Math.min(3, Math.max(1, Math.ceil(-Math.log10(stepS) - 1e-9)))
}

interface AmountOptions {
  /** Parts of one are no amount, as of rows: such a tick has no text. */
  readonly areWhole?: boolean
  readonly unit?: string
}

/** Amounts as everywhere on the page; from a million on shortened, as `1.25M`, so that they fit beside the chart. */
export function amountTicks(ticks: readonly number[], { areWhole = false, unit = '' }: AmountOptions): string[] {
  const most = Math.max(...ticks.map(Math.abs))
  const notation = most >= 1_000_000 ? ('compact' as const) : ('standard' as const)
  const format = new Intl.NumberFormat('en-US', { notation, maximumFractionDigits: 3 })
  return ticks.map(tick => (areWhole && !Number.isInteger(tick) ? '' : `${format.format(tick)}${unit}`))
}
