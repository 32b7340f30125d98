import type { ComponentChildren } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import type { TraceAsked, TraceGiven } from '../../pageContract.js'
import { pathOf } from '../apiClient.js'
import { Ago, amount, Scrolled, useApi, VerdictBadge, When } from '../parts.js'

interface RowTraceProps {
  readonly id: string
  readonly table: string
  /** The `_dlt_id` of the row. */
  readonly rowId: string
  readonly onClose: () => void
  readonly children: ComponentChildren
}

/** Where a row comes from: its load, the receipt and, if the journal was kept, the bytes that the API sent. Takes the focus; Escape closes it. */
export function RowTraceView({ id, table, rowId, onClose, children }: RowTraceProps) {
  const place = useRef<HTMLElement>(null)
  useEffect(() => place.current?.focus(), [])
  const trace = useApi<TraceGiven>(`pipelines/${id}/trace`, 0, { table, id: rowId } satisfies TraceAsked)
  return (
    <section
      ref={place}
      class="card"
      tabIndex={-1}
      aria-label={`Where row ${rowId} comes from`}
      aria-live="polite"
      onKeyDown={event => {
        if (event.key === 'Escape') onClose()
      }}
    >
      <h3>
        Where row {rowId} comes from{' '}
        <button type="button" onClick={onClose}>
          Close
        </button>
      </h3>
      {children}
      <When of={trace}>{given => <Trace id={id} trace={given} />}</When>
    </section>
  )
}

function Trace({ id, trace }: { readonly id: string; readonly trace: TraceGiven }) {
  const { above, loadId, committedAt, receipt, journal, resource } = trace
  return (
    <>
      <p>
        Load <a href={`#/p/${pathOf(id, 'loads')}`}>{loadId}</a>
        {committedAt === undefined ? (
          ', which is not among the loads of this pipeline'
        ) : (
          <>
            , <Ago time={committedAt} />
          </>
        )}
        {receipt !== undefined && (
          <>
            {' '}
            <VerdictBadge verdict={receipt.verdict} /> {resource}: {amount(receipt.records)} records on{' '}
            {amount(receipt.pages)} pages
          </>
        )}
      </p>
      {above.length > 0 && (
        <p>
          Nested in{' '}
          {above.map(({ table, id: rowId }, index) => (
            <span key={rowId}>
              {index > 0 && ', in '}
              <a href={`#/p/${pathOf(id, 'data', table, '_dlt_id', rowId)}`}>{table}</a>
            </span>
          ))}
        </p>
      )}
      <Journal journal={journal} />
    </>
  )
}

function Journal({ journal }: { readonly journal: TraceGiven['journal'] }) {
  if (journal.state === 'not_kept')
    return (
      <p class="quiet">
        The journal of this load was not kept, so that no request is known. <code>sluice run --keep-journal</code>, or
        “keep the journal” in the view Run, keeps the one of the next load.
      </p>
    )
  if (journal.state === 'unreadable')
    return <p class="quiet">The answers in the journal are no JSON, so that nothing is found in them.</p>
  if (journal.state === 'not_found')
    return (
      <p class="quiet">
        {journal.ofResource === 0
          ? 'Its records came from no request.'
          : 'No answer in the journal holds a record with this key: a step may have changed it.'}
      </p>
    )
  return (
    <>
      {journal.replayed !== undefined && (
        <p>
          The load took its pages from a journal, as a replay does. The newest one before it is of load{' '}
          {journal.replayed}.
        </p>
      )}
      {journal.sources.length > 1 && <p>{amount(journal.sources.length)} places hold the key, the likest first.</p>}
      {journal.sources.map(({ answer, method, url, status, recordedAt, record, values, differing }) => (
        <div key={`${answer} ${record.start}`}>
          <p>
            <code>
              {method} {url}
            </code>
            , status {status}, <Ago time={recordedAt} />: answer {amount(answer)} of {amount(journal.answers)},{' '}
            <code>{record.path}</code>, bytes {record.start} to {record.end} of <code>{journal.path}</code>
          </p>
          {differing.length > 0 && <p class="quiet">The row has other values of {differing.join(', ')}.</p>}
          <Scrolled label={`Values in answer ${answer}`}>
            <table>
              <thead>
                <tr>
                  <th scope="col">column</th>
                  <th scope="col">as the API sent it</th>
                  <th scope="col">from</th>
                  <th scope="col">bytes</th>
                </tr>
              </thead>
              <tbody>
                {values.map(({ column, path, start, end, text }) => (
                  <tr key={column}>
                    <td>{column}</td>
                    <td>
                      <code>{text}</code>
                    </td>
                    <td>
                      <code>{path}</code>
                    </td>
                    <td>
                      {start}–{end}
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </Scrolled>
        </div>
      ))}
      <p class="quiet">
        Other columns have no value in the answer under their names: they are null, or a step, a parent or Sluice made
        them.
      </p>
    </>
  )
}
