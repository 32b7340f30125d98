import type { BackfillStatus } from '../../../pipeline/backfill/runBackfill.js'
import { queryOf } from '../apiClient.js'
import { amount, useApi } from '../parts.js'

interface WindowStripProps {
  readonly id: string
  readonly resource: string
}

/** Squares that are drawn at the most, of the newest windows. */
const MOST_WINDOWS = 1_000

type Range = BackfillStatus['missing'][number]

/** Windows of a backfill in the order of the cursor, each with its state. Nothing for a resource without windows. */
export function WindowStrip({ id, resource }: WindowStripProps) {
  const status = useApi<BackfillStatus>(`pipelines/${id}/windows?${queryOf({ resource })}`)
  if (status.state !== 'there') return null
  const { done, failed, missing, running, partition, from, to } = status.answer
  const isRunning = ({ start }: Range) => running.some(one => String(one.start) === String(start))
  const named = ({ start, end }: Range) => (partition === 'values' ? String(start) : `${start} to ${end}`)
  const windows = [
    ...done.map(range => ({ range, kind: 'done', why: '' })),
    ...failed.map(range => ({ range, kind: isRunning(range) ? 'running' : 'failed', why: `: ${range.reason}` })),
    ...missing.map(range => ({ range, kind: isRunning(range) ? 'running' : 'missing', why: '' })),
  ].sort((left, right) => order(left.range, right.range))
  const drawn = windows.slice(-MOST_WINDOWS)
  const periods = [...new Set(drawn.map(({ range }) => periodOf(range)))]
  return (
    <>
      <p class="quiet">
        Backfill {partition === undefined ? '' : `by ${partition} `}
        {partition === 'values' ? '' : `from ${from} to ${to}`}: {amount(done.length)} windows done,{' '}
        {amount(failed.length)} failed, {amount(missing.length)} missing, {amount(running.length)} of them running
        {windows.length > MOST_WINDOWS && `; the last ${amount(MOST_WINDOWS)} are drawn`}
      </p>
      <div
        class="calendar"
        role="img"
        aria-label={`${amount(drawn.length)} windows of ${resource}, each with its state`}
      >
        {periods.map(period => (
          <div key={period}>
            {period !== '' && <small>{period}</small>}
            <div class="windows">
              {drawn
                .filter(({ range }) => periodOf(range) === period)
                .map(({ range, kind, why }) => (
                  <span key={`${range.start}`} class={kind} title={`${named(range)}: ${kind}${why}`} />
                ))}
            </div>
          </div>
        ))}
      </div>
      <details>
        <summary>Each window of {resource}</summary>
        <ul class="changes">
          {drawn.map(({ range, kind, why }) => (
            <li key={`${range.start}`}>
              {named(range)}: <span class={STYLES[kind]}>{kind}</span>
              {why}
            </li>
          ))}
        </ul>
      </details>
    </>
  )
}

const DAY_MS = 86_400_000
const ISO_DAY = /^\d{4}-\d{2}-\d{2}/

/** The line of a calendar on which a window stands: hours below their day, days and weeks below their month, months below their year. */
function periodOf({ start, end }: Range): string {
  const tookMs = Date.parse(String(end)) - Date.parse(String(start))
  if (!ISO_DAY.test(String(start)) || Number.isNaN(tookMs)) return ''
  if (tookMs < DAY_MS) return String(start).slice(0, 10)
  return String(start).slice(0, tookMs < 28 * DAY_MS ? 7 : 4)
}

/** As the badges of verdicts and runs. */
const STYLES: Readonly<Record<string, string>> = {
  done: 'complete',
  running: 'running',
  failed: 'failed',
  missing: 'quiet',
}

/** Those with more digits than a number has are told as texts. */
const WHOLE = /^-?\d+$/

function order({ start: left }: Range, { start: right }: Range): number {
  const [one, other] = [String(left), String(right)]
  if (WHOLE.test(one) && WHOLE.test(other)) return Number(BigInt(one) - BigInt(other))
  if (typeof left === 'number' && typeof right === 'number') return left - right
  return one < other ? -1 : 1
}
