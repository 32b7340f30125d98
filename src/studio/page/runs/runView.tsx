import { useCallback, useEffect, useReducer, useState } from 'preact/hooks'
import { byteText } from '../../../model/texts/byteText.js'
import type { PipelinePlan } from '../../../pipeline/look/describePipeline.js'
import type { PipelineFacts, RunAsked, RunFacts, RunNews } from '../../pageContract.js'
import { api, runNews } from '../apiClient.js'
import { Waterfall } from '../charts/waterfall.js'
import { WindowStrip } from '../charts/windowStrip.js'
import { amount, counted, duration, Problem, useApi, VerdictBadge, When } from '../parts.js'
import { noProgress, progressed, type RunProgress } from './runProgress.js'

/** Starts a run and shows how it goes. Before it, what it would do. */
export function RunView({ facts }: { readonly facts: PipelineFacts }) {
  const runs = useApi<{ readonly runs: readonly RunFacts[] }>('runs')
  const [started, setStarted] = useState<string>()
  const [ended, setEnded] = useState(0)
  const tellEnd = useCallback(() => setEnded(before => before + 1), [])
  return (
    <When of={runs}>
      {({ runs }) => {
        const run = started ?? runs.find(({ pipelineId }) => pipelineId === facts.id)?.run
        return (
          <>
            <StartForm facts={facts} onStart={setStarted} />
            {run !== undefined && <RunProgressView key={run} run={run} onEnd={tellEnd} />}
            <Plan facts={facts} again={ended} />
          </>
        )
      }}
    </When>
  )
}

interface StartFormProps {
  readonly facts: PipelineFacts
  readonly onStart: (run: string) => void
}

function StartForm({ facts, onStart }: StartFormProps) {
  const [limit, setLimit] = useState('')
  const [fullRefresh, setFullRefresh] = useState(false)
  const [keepJournal, setKeepJournal] = useState(false)
  const [problem, setProblem] = useState<string>()
  const start = async () => {
    setProblem(undefined)
    const asked: RunAsked = {
      ...(limit !== '' && { limit: Number(limit) }),
      ...(fullRefresh && { fullRefresh }),
      ...(keepJournal && { keepJournal }),
    }
    try {
      onStart((await api<RunFacts>(`pipelines/${facts.id}/runs`, { method: 'POST', body: asked })).run)
    } catch (error) {
      setProblem((error as Error).message)
    }
  }
  return (
    <form
      class="bar"
      onSubmit={event => {
        event.preventDefault()
        void start()
      }}
    >
      <button type="submit" class="main">
        Start a run
      </button>
      <label>
        <span class="label">Pages of each list</span>
        <input
          type="number"
          min="1"
          placeholder="all"
          value={limit}
          onInput={event => setLimit(event.currentTarget.value)}
        />
      </label>
      <label>
        <input type="checkbox" checked={fullRefresh} onChange={event => setFullRefresh(event.currentTarget.checked)} />{' '}
        drop the tables first
      </label>
      <label title="Every answer stays on disk, so that each value can be traced to the bytes that the API sent">
        <input type="checkbox" checked={keepJournal} onChange={event => setKeepJournal(event.currentTarget.checked)} />{' '}
        keep the journal
      </label>
      {problem !== undefined && <Problem message={problem} />}
    </form>
  )
}

const STATES: Readonly<Record<RunFacts['state'], string>> = {
  running: 'running',
  committed: 'committed',
  nothing_new: 'nothing new to load',
  failed: 'failed',
  stopped: 'stopped; the pages are kept for the next run',
}

interface RunProgressProps {
  readonly run: string
  /** The next run begins elsewhere now. */
  readonly onEnd: () => void
}

function RunProgressView({ run, onEnd }: RunProgressProps) {
  const [progress, add] = useReducer(
    (before: RunProgress, news: readonly RunNews[]) => news.reduce(progressed, before),
    noProgress,
  )
  const [problem, setProblem] = useState<string>()
  useEffect(() => {
    const stop = new AbortController()
    const listen = async () => {
      for await (const news of runNews(run, 0, stop.signal)) add(news)
    }
    listen().catch((error: Error) => stop.signal.aborted || setProblem(error.message))
    return () => stop.abort()
  }, [run])
  const { resources, requests, notes, memoryBytes, atMs, records, ended, waiting } = progress
  const isOver = ended !== undefined
  useEffect(() => {
    if (isOver) onEnd()
  }, [isOver, onEnd])
  return (
    <section aria-label="Progress of the run">
      <h2>
        Run <span class={`badge ${ended?.state ?? 'running'}`}>{STATES[ended?.state ?? 'running']}</span>
      </h2>
      {problem !== undefined && <Problem message={problem} />}
      {ended?.problem !== undefined && <Problem message={ended.problem} />}
      <dl class="facts" aria-live="polite">
        <div>
          <dt>time</dt>
          <dd>{duration(atMs)}</dd>
        </div>
        <div>
          <dt>records</dt>
          <dd>{amount(records)}</dd>
        </div>
        <div>
          <dt>records a second</dt>
          <dd>{atMs === 0 ? '' : amount(Math.round((records / atMs) * 1_000))}</dd>
        </div>
        {memoryBytes !== undefined && (
          <div>
            <dt>memory</dt>
            <dd>{byteText(memoryBytes)}</dd>
          </div>
        )}
        {waiting !== undefined && ended === undefined && (
          <div>
            <dt>waiting</dt>
            <dd>{waiting}</dd>
          </div>
        )}
      </dl>
      {ended === undefined && (
        <button
          type="button"
          onClick={() => {
            api(`runs/${run}/stop`, { method: 'POST', body: {} }).catch((error: Error) => setProblem(error.message))
          }}
        >
          Stop
        </button>
      )}
      <ul class="resources">
        {[...resources].map(([name, one]) => (
          <li key={name}>
            <strong>{name}</strong> {counted(one.records, 'record')}, {counted(one.pages, 'page')}
            {one.announced !== undefined && (
              <>
                {' '}
                <progress max={Math.max(one.announced, 1)} value={Math.min(one.records, one.announced)}>
                  {one.records} of {one.announced}
                </progress>{' '}
                of {amount(one.announced)}
              </>
            )}
            {one.parentsKnown !== undefined &&
              `, ${amount(one.parentsRead ?? 0)} of ${amount(one.parentsKnown)} parents`}
            {one.verdict !== undefined && (
              <>
                {' '}
                <VerdictBadge verdict={one.verdict} />
              </>
            )}
          </li>
        ))}
      </ul>
      <Waterfall requests={requests} />
      {notes.length > 0 && (
        <>
          <h3>What was said</h3>
          <ul class="notes">
            {notes.map(({ number, text }) => (
              <li key={number}>{text}</li>
            ))}
          </ul>
        </>
      )}
    </section>
  )
}

/** What the next run would do; asked for again with another `again`. */
export function Plan({ facts, again = 0 }: { readonly facts: PipelineFacts; readonly again?: number }) {
  const plan = useApi<PipelinePlan>(`pipelines/${facts.id}/plan`, again)
  return (
    <>
      <h2>What a run does</h2>
      <When of={plan}>
        {({ resources, startsFrom, missing }) => (
          <>
            {missing !== undefined && <Problem message={`A run would end at once: ${missing}`} />}
            <p class="quiet">
              {startsFrom === undefined
                ? 'It starts from the beginning.'
                : `It starts from the state of load ${startsFrom}.`}
            </p>
            <ul class="cards">
              {resources.map(({ resource, parent, request, writeDisposition, primaryKey, cursor }) => (
                <li key={resource} class="card">
                  <h3>{resource}</h3>
                  {request !== undefined && (
                    <p>
                      <code class="wraps">
                        {request.request.method} {request.request.url}
                      </code>
                    </p>
                  )}
                  <dl class="facts">
                    <div>
                      <dt>writes</dt>
                      <dd>
                        {writeDisposition.disposition}
                        {primaryKey.length > 0 && ` by ${primaryKey.join(', ')}`}
                      </dd>
                    </div>
                    {parent !== undefined && (
                      <div>
                        <dt>for each record of</dt>
                        <dd>{parent}</dd>
                      </div>
                    )}
                    {cursor !== undefined && (
                      <div>
                        <dt>from</dt>
                        <dd>
                          {cursor.cursorPath}{' '}
                          {cursor.startValue === undefined ? 'the beginning' : String(cursor.startValue)}
                        </dd>
                      </div>
                    )}
                  </dl>
                  {cursor !== undefined && <WindowStrip id={facts.id} resource={resource} />}
                </li>
              ))}
            </ul>
          </>
        )}
      </When>
    </>
  )
}
