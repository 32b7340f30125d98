import { useState } from 'preact/hooks'
import type { Receipt } from '../../../model/receipt.js'
import { byteText } from '../../../model/texts/byteText.js'
import type { LoadFacts, LoadList } from '../../pageContract.js'
import { LoadsChart } from '../charts/charts.js'
import { Ago, amount, counted, duration, useApi, VerdictBadge, When } from '../parts.js'

/** The committed loads with their receipts; two of them side by side. */
export function LoadsView({ id }: { readonly id: string }) {
  const [limit, setLimit] = useState(20)
  const [chosen, setChosen] = useState<readonly string[]>([])
  const list = useApi<LoadList>(`pipelines/${id}/loads?limit=${limit}`)
  const choose = (loadId: string) =>
    setChosen(chosen.includes(loadId) ? chosen.filter(one => one !== loadId) : [...chosen.slice(-1), loadId])
  return (
    <When of={list}>
      {({ loads }) => {
        if (loads.length === 0) return <p>Nothing was loaded yet. The view Run starts a load.</p>
        const shown = loads.filter(({ loadId }) => chosen.includes(loadId))
        const receipts = shown.length === 0 ? loads.slice(0, 1) : shown
        return (
          <>
            {loads.length > 1 && <LoadsChart loads={loads} />}
            <h2>Loads</h2>
            <p class="quiet">Choose one to see its receipts, or two to see them side by side.</p>
            <table class="loads">
              <thead>
                <tr>
                  <th scope="col">load</th>
                  <th scope="col">verdict</th>
                  <th scope="col">committed</th>
                  <th scope="col" class="number">
                    rows
                  </th>
                  <th scope="col" class="number">
                    took
                  </th>
                </tr>
              </thead>
              <tbody>
                {loads.map(load => (
                  <tr key={load.loadId} class={chosen.includes(load.loadId) ? 'chosen' : undefined}>
                    <td>
                      <label>
                        <input
                          type="checkbox"
                          checked={chosen.includes(load.loadId)}
                          onChange={() => choose(load.loadId)}
                        />{' '}
                        {load.loadId}
                      </label>
                    </td>
                    <td>
                      <VerdictBadge verdict={load.verdict} />
                    </td>
                    <td>
                      <Ago time={load.committedAt} />
                    </td>
                    <td class="number rows">{amount(load.rows)}</td>
                    <td class="number">{load.durationMs === undefined ? '' : duration(load.durationMs)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
            {loads.length === limit && limit < 100 && (
              <button type="button" onClick={() => setLimit(100)}>
                Show more
              </button>
            )}
            <div class="side">
              {receipts.map(load => (
                <Receipts key={load.loadId} load={load} />
              ))}
            </div>
          </>
        )
      }}
    </When>
  )
}

function Receipts({ load }: { readonly load: LoadFacts }) {
  return (
    <section aria-label={`Receipts of load ${load.loadId}`}>
      <h2>Receipts of load {load.loadId}</h2>
      {load.receipts.length === 0 && <p class="quiet">Another tool made this load, or it only changed the state.</p>}
      {load.receipts.map(receipt => (
        <ReceiptCard key={receipt.resource} receipt={receipt} />
      ))}
    </section>
  )
}

function ReceiptCard({ receipt }: { readonly receipt: Receipt }) {
  const { resource, verdict, reasons, rows, announced, deleted, filtered, discardedRows, retries, waitedMs } = receipt
  const facts: readonly (readonly [name: string, value: string | undefined])[] = [
    ['records', amount(receipt.records)],
    ['announced', announced === undefined ? undefined : amount(announced)],
    ['requests', amount(receipt.requests)],
    ['retries', retries === 0 ? undefined : amount(retries)],
    ['waited', waitedMs === 0 ? undefined : duration(waitedMs)],
    ['pages', amount(receipt.pages)],
    ['read', byteText(receipt.bytes)],
    ['filtered', filtered === 0 ? undefined : amount(filtered)],
    ['discarded rows', discardedRows === 0 ? undefined : amount(discardedRows)],
    ['deleted', deleted === undefined ? undefined : amount(deleted)],
  ]
  return (
    <article class="card">
      <h3>
        {resource} <VerdictBadge verdict={verdict} />
      </h3>
      <ul>
        {reasons.map(reason => (
          <li key={reason}>{reason}</li>
        ))}
      </ul>
      <dl class="facts">
        {facts.map(
          ([name, value]) =>
            value !== undefined && (
              <div key={name}>
                <dt>{name}</dt>
                <dd>{value}</dd>
              </div>
            ),
        )}
      </dl>
      <dl class="facts">
        {Object.entries(rows).map(([table, count]) => (
          <div key={table}>
            <dt>{table}</dt>
            <dd>{counted(count, 'row')}</dd>
          </div>
        ))}
      </dl>
    </article>
  )
}
