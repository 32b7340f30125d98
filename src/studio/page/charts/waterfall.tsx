import { duration, Scrolled } from '../parts.js'
import type { DrawnRequest } from '../runs/runProgress.js'

const ROW = 9

/** The newest requests and waits over time. */
export function Waterfall({ requests }: { readonly requests: readonly DrawnRequest[] }) {
  if (requests.length === 0) return null
  const from = Math.min(...requests.map(({ fromMs }) => fromMs))
  const to = Math.max(...requests.map(({ fromMs, tookMs }) => fromMs + tookMs), from + 1)
  const at = (ms: number) => ((ms - from) / (to - from)) * 1_000
  const count = (kind: DrawnRequest['kind']) => requests.filter(request => request.kind === kind).length
  return (
    <>
      <h3>Requests</h3>
      <p class="quiet">
        The last {requests.length}: {count('good')} answered, {count('bad')} refused, {count('wait')} waits.
      </p>
      <svg
        class="waterfall"
        role="img"
        aria-label={`${requests.length} requests and waits over ${Math.round(to - from)} milliseconds`}
        viewBox={`0 0 1000 ${requests.length * ROW}`}
        preserveAspectRatio="none"
        height={requests.length * ROW}
      >
        {requests.map(({ number, resource, what, kind, fromMs, tookMs }, index) => (
          <rect
            key={number}
            class={kind}
            x={at(fromMs)}
            y={index * ROW}
            width={Math.max(2, at(fromMs + tookMs) - at(fromMs))}
            height={ROW - 2}
          >
            <title>{`${resource}: ${what}`}</title>
          </rect>
        ))}
      </svg>
      <details>
        <summary>Each request and wait</summary>
        <Scrolled label="Requests and waits">
          <table>
            <thead>
              <tr>
                <th scope="col" class="number">
                  at
                </th>
                <th scope="col" class="number">
                  took
                </th>
                <th scope="col">resource</th>
                <th scope="col">what</th>
              </tr>
            </thead>
            <tbody>
              {requests.map(({ number, resource, what, kind, fromMs, tookMs }) => (
                <tr key={number}>
                  <td class="number">{duration(fromMs)}</td>
                  <td class="number">{duration(tookMs)}</td>
                  <td>{resource}</td>
                  <td class={`wraps ${kind}`}>{what}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </Scrolled>
      </details>
    </>
  )
}
