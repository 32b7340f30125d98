import { useEffect, useState } from 'preact/hooks'
import type { LoadList, PipelineFacts, PipelineList } from '../pageContract.js'
import { Sparkline } from './charts/charts.js'
import { Ago, amount, counted, duration, Problem, Until, useApi, VerdictBadge, When } from './parts.js'

const STEP = 25
/** Between two questions about pipelines of which one runs. */
const RUNNING_AGAIN_MS = 2_000

/** Every pipeline with its last loads. */
export function Overview() {
  const [search, setSearch] = useState('')
  const [limit, setLimit] = useState(STEP)
  const [again, setAgain] = useState(0)
  const list = useApi<PipelineList>(`pipelines?search=${encodeURIComponent(search)}&limit=${limit}`, again)
  const shown = list.state === 'there' ? list.answer.pipelines : undefined
  // What runs ends while somebody looks.
  useEffect(() => {
    if (shown?.some(entry => 'running' in entry) !== true) return
    const later = setTimeout(() => setAgain(before => before + 1), RUNNING_AGAIN_MS)
    return () => clearTimeout(later)
  }, [shown])
  return (
    <>
      <h1>Pipelines</h1>
      <label class="search">
        <span>Find a file</span>
        <input type="search" value={search} onInput={event => setSearch(event.currentTarget.value)} />
      </label>
      <When of={list}>
        {({ pipelines, files }) => (
          <>
            <p class="quiet" role="status">
              {files === 0 ? 'No file has this in its name.' : `${amount(files)} ${files === 1 ? 'file' : 'files'}`}
            </p>
            <ul class="cards">
              {pipelines.map(entry =>
                'problem' in entry ? (
                  <li key={entry.id} class="card">
                    <h2>
                      <a class="name" href={`#/p/${entry.id}/document`}>
                        {entry.file}
                      </a>
                    </h2>
                    <Problem message={entry.problem} />
                  </li>
                ) : (
                  <PipelineCard key={entry.id} facts={entry} />
                ),
              )}
            </ul>
            {files > limit && (
              <button type="button" onClick={() => setLimit(limit + STEP)}>
                Show more
              </button>
            )}
          </>
        )}
      </When>
    </>
  )
}

function PipelineCard({ facts }: { readonly facts: PipelineFacts }) {
  const loads = useApi<LoadList>(`pipelines/${facts.id}/loads?limit=20`, facts.running)
  return (
    <li class="card">
      <h2>
        <a class="name" href={`#/p/${facts.id}/loads`}>
          {facts.name}
        </a>
      </h2>
      <p class="quiet">
        {facts.file} → {facts.destination}
        {facts.schedule !== undefined && (
          <>
            <br />
            scheduled <code>{facts.schedule}</code>
            {facts.dueAt !== undefined && (
              <>
                , due <Until time={facts.dueAt} />
              </>
            )}
          </>
        )}
      </p>
      {facts.running !== undefined && (
        <p>
          <a href={`#/p/${facts.id}/run`} class="badge running">
            running now
          </a>
        </p>
      )}
      <When of={loads}>
        {({ loads }) => {
          const [last] = loads
          if (last === undefined) return <p class="quiet">Nothing was loaded yet.</p>
          return (
            <>
              <div class="facts">
                <VerdictBadge verdict={last.verdict} />
                <Ago time={last.committedAt} />
                <span>{counted(last.rows, 'row')}</span>
                {last.durationMs !== undefined && <span>{duration(last.durationMs)}</span>}
              </div>
              {loads.length > 1 && (
                <Sparkline
                  label={`Rows of the last ${loads.length} loads`}
                  values={loads.map(({ rows }) => rows).reverse()}
                />
              )}
            </>
          )
        }}
      </When>
    </li>
  )
}
