import { useRef, useState } from 'preact/hooks'
import type { ApiAsked, ApiFindings, DocumentFinding, PipelineFacts } from '../../pageContract.js'
import { api } from '../apiClient.js'
import { amount, Problem, useApi } from '../parts.js'
import { Plan } from '../runs/runView.js'

interface ApiQuestionsProps {
  readonly id: string
  /** The text in the editor is another one than that of the file. */
  readonly isChanged: boolean
  readonly onFindings: (found: ApiFindings) => void
  readonly onLine: (line: number) => void
}

type Answer =
  | { readonly state: 'none' | 'asking' | 'plan' }
  | { readonly state: 'failed'; readonly message: string }
  | { readonly state: 'there'; readonly found: ApiFindings }

const STANDARD_BUDGET = 12

/** What is asked for by a button begins where it can be answered. */
function focused(place: HTMLElement | null): void {
  place?.focus()
}

/** Asks the API about the file: one page of each list (check), or whether its keys are right (prove). Shows the plan, too. */
export function ApiQuestions({ id, isChanged, onFindings, onLine }: ApiQuestionsProps) {
  const facts = useApi<PipelineFacts>(`pipelines/${id}`, isChanged)
  const [answer, setAnswer] = useState<Answer>({ state: 'none' })
  const [budget, setBudget] = useState<number>()
  const opener = useRef<HTMLButtonElement>(null)
  const cancel = () => {
    setBudget(undefined)
    opener.current?.focus()
  }
  // A file with problems is no pipeline that could be asked about.
  if (facts.state !== 'there') return null
  const { resources } = facts.answer
  const ask = async (asked: ApiAsked) => {
    setBudget(undefined)
    setAnswer({ state: 'asking' })
    try {
      const found = await api<ApiFindings>(`pipelines/${id}/document/asked`, { method: 'POST', body: asked })
      onFindings(found)
      setAnswer({ state: 'there', found })
    } catch (error) {
      setAnswer({ state: 'failed', message: (error as Error).message })
    }
  }
  const isOff = isChanged || answer.state === 'asking'
  return (
    <section aria-label="Ask the API about the file">
      <h3>Ask the API</h3>
      <div class="bar">
        <button type="button" disabled={isOff} onClick={() => void ask({ what: 'check' })}>
          Check
        </button>
        <button ref={opener} type="button" disabled={isOff} onClick={() => setBudget(STANDARD_BUDGET)}>
          Prove…
        </button>
        <button type="button" disabled={isOff} onClick={() => setAnswer({ state: 'plan' })}>
          Plan
        </button>
        <span class="quiet">
          {isChanged
            ? 'Save first: the file is asked about as it is on disk.'
            : 'Check requests one page of each list, prove more of them, plan nothing.'}
        </span>
      </div>
      {budget !== undefined && (
        <form
          class="bar card"
          onKeyDown={event => {
            if (event.key === 'Escape') cancel()
          }}
          onSubmit={event => {
            event.preventDefault()
            void ask({ what: 'prove', budget })
          }}
        >
          <label>
            <span class="label">Requests for each list</span>
            <input
              type="number"
              min="1"
              max="1000"
              required
              ref={focused}
              value={budget}
              onInput={event => setBudget(Math.max(1, Number(event.currentTarget.value)))}
            />
          </label>
          <p>
            That sends at most {amount(budget * resources.length)} requests to the API, for {amount(resources.length)}{' '}
            {resources.length === 1 ? 'list' : 'lists'}. Nothing is loaded.
          </p>
          <button type="submit" class="main">
            Send them
          </button>
          <button type="button" onClick={cancel}>
            Cancel
          </button>
        </form>
      )}
      <div aria-live="polite">
        {answer.state === 'asking' && <p class="quiet">Asking…</p>}
        {answer.state === 'failed' && <Problem message={answer.message} />}
        {answer.state === 'plan' && <Plan facts={facts.answer} />}
        {answer.state === 'there' && <Findings found={answer.found} onLine={onLine} />}
      </div>
    </section>
  )
}

interface FindingsProps {
  readonly found: ApiFindings
  readonly onLine: (line: number) => void
}

function Findings({ found: { requests, findings, kept }, onLine }: FindingsProps) {
  const sorted = [...findings].sort((left, right) => (left.line ?? 0) - (right.line ?? 0))
  return (
    <>
      <p>
        {amount(requests)} {requests === 1 ? 'request was' : 'requests were'} sent.
        {kept !== undefined && (
          <>
            {' '}
            The proof is kept in <code>{kept}</code>.
          </>
        )}
      </p>
      <ul class="findings">
        {sorted.map((finding, index) => (
          <li key={index}>
            <Finding finding={finding} onLine={onLine} />
          </li>
        ))}
      </ul>
    </>
  )
}

/** Words, not colours alone: `complete` and its like are the styles of verdicts. */
const STYLES: Readonly<Record<DocumentFinding['status'], string>> = {
  proven: 'complete',
  assumed: 'unproven',
  wrong: 'incomplete',
  noted: '',
}

function Finding({ finding, onLine }: { readonly finding: DocumentFinding; readonly onLine: (line: number) => void }) {
  const { key, status, message, write, line } = finding
  return (
    <>
      <span class={`badge ${STYLES[status]}`}>{status}</span>{' '}
      {line !== undefined && (
        <button type="button" class="plain" onClick={() => onLine(line)}>
          line {line}
        </button>
      )}{' '}
      <code>{key}</code> {message}
      {write?.map(change => (
        <div key={change}>
          write <code>{change}</code>
        </div>
      ))}
    </>
  )
}
