import { render } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import type { PipelineFacts } from '../pageContract.js'
import { ApiError, takeToken } from './apiClient.js'
import { SchemaView } from './data/schemaView.js'
import { TablesView } from './data/tablesView.js'
import { DocumentView } from './document/documentView.js'
import { Overview } from './overview.js'
import { useApi, When } from './parts.js'
import { LoadsView } from './runs/loadsView.js'
import { RunView } from './runs/runView.js'

const VIEWS = ['loads', 'data', 'schema', 'run', 'document'] as const
type View = (typeof VIEWS)[number]
const TITLES: Readonly<Record<View, string>> = {
  loads: 'Loads',
  data: 'Data',
  schema: 'Schema',
  run: 'Run',
  document: 'Document',
}

/** `#/`, or `#/p/ID/VIEW/…`. */
function useRoute(): readonly string[] {
  const read = () => location.hash.replace(/^#\/?/, '').split('/').map(decoded)
  const [route, setRoute] = useState(read)
  useEffect(() => {
    const changed = () => setRoute(read())
    addEventListener('hashchange', changed)
    return () => removeEventListener('hashchange', changed)
  }, [])
  return route
}

/** A part that somebody wrote by hand may hold a `%` of its own. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

function Page() {
  const [kind, id, view, ...rest] = useRoute()
  const isPipeline = kind === 'p' && id !== undefined
  useEffect(() => {
    document.title = isPipeline ? `${view ?? 'loads'} · Sluice studio` : 'Sluice studio'
  }, [isPipeline, view])
  const main = useRef<HTMLElement>(null)
  // The link that led here may be gone: whoever has no mouse goes on where the view begins.
  useEffect(() => {
    if (document.activeElement === document.body) main.current?.focus()
  }, [id, view])
  return (
    <>
      <header class="top">
        <a href="#/" class="brand">
          <img src="/assets/icon.svg" alt="" width="22" height="22" /> Sluice studio
        </a>
      </header>
      <main ref={main} tabIndex={-1}>
        {isPipeline ? <PipelinePage key={id} id={id} view={view} rest={rest} /> : <Overview />}
      </main>
    </>
  )
}

interface PipelinePageProps {
  readonly id: string
  readonly view: string | undefined
  readonly rest: readonly string[]
}

function PipelinePage({ id, view, rest }: PipelinePageProps) {
  const [saves, setSaves] = useState(0)
  const pipeline = useApi<PipelineFacts>(`pipelines/${id}`, saves)
  const shown = VIEWS.find(one => one === view) ?? 'loads'
  // Only a file can be mended here: a wrong token or a studio that ended cannot.
  if (pipeline.state === 'failed' && pipeline.error instanceof ApiError && pipeline.error.code === 'config')
    return <BrokenPipeline id={id} message={pipeline.error.message} onSaved={() => setSaves(saves + 1)} />
  return (
    <When of={pipeline}>
      {facts => (
        <>
          <h1>{facts.name}</h1>
          <p class="quiet">
            {facts.file} → {facts.destination}, dataset {facts.dataset}
            {facts.schedule !== undefined && <>, scheduled {facts.schedule}</>}
          </p>
          <nav class="tabs" aria-label="Views of the pipeline">
            {VIEWS.map(one => (
              <a key={one} href={`#/p/${id}/${one}`} aria-current={one === shown ? 'page' : undefined}>
                {TITLES[one]}
              </a>
            ))}
          </nav>
          {shown === 'loads' && <LoadsView id={id} />}
          {shown === 'data' && <TablesView id={id} table={rest[0]} filter={rest.slice(1)} />}
          {shown === 'schema' && <SchemaView id={id} />}
          {shown === 'run' && <RunView facts={facts} />}
          {shown === 'document' && <DocumentView id={id} onSaved={() => setSaves(saves + 1)} />}
        </>
      )}
    </When>
  )
}

interface BrokenPipelineProps {
  readonly id: string
  readonly message: string
  readonly onSaved: () => void
}

/** A file with problems can still be mended. */
function BrokenPipeline({ id, message, onSaved }: BrokenPipelineProps) {
  return (
    <>
      <h1>This file has problems</h1>
      <p class="problem" role="alert">
        {message}
      </p>
      <DocumentView id={id} onSaved={onSaved} />
    </>
  )
}

takeToken()
const place = document.getElementById('page')
if (place !== null) render(<Page />, place)
