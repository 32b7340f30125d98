import type { BackfillStatus } from '../../pipeline/backfill/runBackfill.js'
import { useApi } from './parts.js'

interface WindowStripProps {
  readonly id: string
  readonly resource: string
}

/** Windows of a backfill in the order of the cursor: done, failed, missing. Nothing for a resource without windows. */
export function WindowStrip({ id, resource }: WindowStripProps) {
  const status = useApi<BackfillStatus>(`pipelines/${id}/windows/${encodeURIComponent(resource)}`)
  if (status.state !== 'there') return null
  const { done, failed, missing, from, to } = status.answer
  const windows = [
    ...done.map(range => ({ range, kind: 'done' })),
    ...failed.map(range => ({ range, kind: 'failed' })),
    ...missing.map(range => ({ range, kind: 'missing' })),
  ].sort((left, right) => (String(left.range.start) < String(right.range.start) ? -1 : 1))
  return (
    <>
      <p class="quiet">
        Backfill from {String(from)} to {String(to)}: {done.length} windows done, {failed.length} failed,{' '}
        {missing.length} missing
      </p>
      <ol class="windows" aria-label={`Windows of ${resource}`}>
        {windows.map(({ range, kind }) => (
          <li key={`${range.start}`} class={kind} title={`${range.start} to ${range.end}: ${kind}`} />
        ))}
      </ol>
    </>
  )
}
