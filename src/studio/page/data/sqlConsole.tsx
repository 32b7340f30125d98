import { useEffect, useRef, useState } from 'preact/hooks'
import type { Cell, RowsGiven, TableFacts } from '../../pageContract.js'
import { api } from '../apiClient.js'
import { counted, DownloadButtons, Grid, Problem } from '../parts.js'

interface SqlConsoleProps {
  readonly id: string
  readonly tables: readonly TableFacts[]
}

type Answer =
  | { readonly state: 'none' | 'waiting' }
  | { readonly state: 'failed'; readonly message: string }
  | { readonly state: 'there'; readonly sql: string; readonly given: RowsGiven }

/** Statements that only read; the destination refuses every other. */
export function SqlConsole({ id, tables }: SqlConsoleProps) {
  const [first] = tables
  const [sql, setSql] = useState(first === undefined ? 'SELECT 1' : `SELECT * FROM ${quotedName(first.name)} LIMIT 100`)
  const [answer, setAnswer] = useState<Answer>({ state: 'none' })
  const running = useRef<AbortController | undefined>(undefined)
  // The database stops with the question.
  useEffect(() => () => running.current?.abort(), [])
  const run = async () => {
    running.current?.abort()
    const stop = new AbortController()
    running.current = stop
    setAnswer({ state: 'waiting' })
    try {
      const given = await api<RowsGiven>(`pipelines/${id}/query`, {
        method: 'POST',
        body: { sql },
        signal: stop.signal,
      })
      if (!stop.signal.aborted) setAnswer({ state: 'there', sql, given })
    } catch (error) {
      if (!stop.signal.aborted) setAnswer({ state: 'failed', message: (error as Error).message })
    }
  }
  const stop = () => {
    running.current?.abort()
    setAnswer({ state: 'none' })
  }
  return (
    <>
      <h2>Ask in SQL</h2>
      <form
        onSubmit={event => {
          event.preventDefault()
          void run()
        }}
      >
        <label>
          <span class="label">One statement that reads. Ctrl-Enter runs it.</span>
          <textarea
            rows={6}
            spellcheck={false}
            value={sql}
            onInput={event => setSql(event.currentTarget.value)}
            onKeyDown={event => {
              if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey)) return
              event.preventDefault()
              void run()
            }}
          />
        </label>
        {/* One button at one place, so that the focus stays. */}
        <button
          type={answer.state === 'waiting' ? 'button' : 'submit'}
          class="main"
          onClick={event => {
            if (answer.state !== 'waiting') return
            event.preventDefault()
            stop()
          }}
        >
          {answer.state === 'waiting' ? 'Stop' : 'Run'}
        </button>
      </form>
      <div aria-live="polite">
        {answer.state === 'waiting' && <p class="quiet">Running…</p>}
        {answer.state === 'failed' && <Problem message={answer.message} />}
        {answer.state === 'there' && (
          <>
            <p class="quiet">
              {answer.given.isCut
                ? `the first ${counted(answer.given.rows.length, 'row')}`
                : counted(answer.given.rows.length, 'row')}
            </p>
            <BarChart given={answer.given} />
            <Grid label="Rows of the statement" columns={answer.given.columns} rows={answer.given.rows} />
            <div class="bar">
              <DownloadButtons id={id} sql={answer.sql} what="all rows" />
            </div>
          </>
        )}
      </div>
    </>
  )
}

const MOST_BARS = 40

/** Rows of one text and one number are a chart, too. */
function BarChart({ given: { columns, rows } }: { readonly given: RowsGiven }) {
  const numberAt = columns.findIndex((_, at) => rows.length > 0 && rows.every(row => isNumberOrNull(row[at])))
  const nameAt = columns.findIndex((_, at) => at !== numberAt)
  if (columns.length < 2 || columns.length > 4 || numberAt === -1 || rows.length < 2 || rows.length > MOST_BARS)
    return null
  const most = Math.max(...rows.map(row => Math.abs(Number(row[numberAt]))), Number.MIN_VALUE)
  return (
    <dl class="bars" aria-label={`${columns[numberAt]?.name} by ${columns[nameAt]?.name}`}>
      {rows.map((row, index) => (
        <div key={index}>
          <dt>{String(row[nameAt] ?? 'NULL')}</dt>
          <dd>
            <span class="fill" style={{ width: `${(Math.abs(Number(row[numberAt])) / most) * 70}%` }} />{' '}
            {row[numberAt] === null ? 'NULL' : Number(row[numberAt]).toLocaleString('en-US')}
          </dd>
        </div>
      ))}
    </dl>
  )
}

function isNumberOrNull(value: Cell | undefined): boolean {
  return value === null || typeof value === 'number'
}

function quotedName(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`
}
