/** What several views show alike. */

import type { ComponentChildren } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import type { Verdict } from '../../model/receipt.js'
import { isNumberType } from '../../model/texts/engineTypes.js'
import type { Cell, DownloadFormat } from '../pageContract.js'
import { DOWNLOAD_FORMATS } from '../pageContract.js'
import { ApiError, api, download } from './apiClient.js'

export type Loaded<Answer> =
  | { readonly state: 'waiting' }
  | { readonly state: 'failed'; readonly error: Error }
  /** Old: another question was asked since, and its answer is waited for. */
  | { readonly state: 'there'; readonly answer: Answer; readonly isOld: boolean }

/** Between two questions that cannot be answered yet. */
const ASKED_AGAIN_MS = 2_000

/**
 * Asks for `path` whenever it, or `again`, changes. Undefined: asks for nothing. Asks until there is an answer where another program
 * holds the destination, or the studio does not answer, or does not know the token: it may be started again.
 */
export function useApi<Answer>(path: string | undefined, again: unknown = 0, body?: object): Loaded<Answer> {
  const [loaded, setLoaded] = useState<Loaded<Answer>>({ state: 'waiting' })
  const [answered, setAnswered] = useState<string>()
  const asked = body === undefined ? undefined : JSON.stringify(body)
  const question = JSON.stringify([path, asked])
  useEffect(() => {
    if (path === undefined) return
    const stop = new AbortController()
    let later: ReturnType<typeof setTimeout> | undefined
    setLoaded(before => (before.state === 'there' ? before : { state: 'waiting' }))
    const ask = async (): Promise<void> => {
      try {
        const answer = await api<Answer>(path, {
          signal: stop.signal,
          ...(body !== undefined && { method: 'POST', body }),
        })
        if (stop.signal.aborted) return
        setLoaded({ state: 'there', answer, isOld: false })
        setAnswered(question)
      } catch (error) {
        if (stop.signal.aborted) return
        setLoaded({ state: 'failed', error: error as Error })
        if (passingOf(error) !== undefined) later = setTimeout(ask, ASKED_AGAIN_MS)
      }
    }
    void ask()
    return () => {
      stop.abort()
      clearTimeout(later)
    }
  }, [path, again, asked])
  return loaded.state === 'there' ? { ...loaded, isOld: answered !== question } : loaded
}

/** What is asked until it changes, by the code of the error. */
const PASSING: Readonly<Record<string, string>> = {
  destination_locked: 'This page asks again until it is free.',
  gone: 'This page asks again until it does.',
  refused: 'This page asks again: that address, opened in another tab, is enough for it too.',
}

function passingOf(error: unknown): string | undefined {
  return error instanceof ApiError ? PASSING[error.code] : undefined
}

interface WhenProps<Answer> {
  readonly of: Loaded<Answer>
  readonly children: (answer: Answer, isOld: boolean) => ComponentChildren
}

/** The answer, or that it is waited for, or why there is none. */
export function When<Answer>({ of, children }: WhenProps<Answer>) {
  if (of.state === 'waiting')
    return (
      <p class="quiet waiting" role="status">
        Loading…
      </p>
    )
  if (of.state === 'failed') {
    const passing = passingOf(of.error)
    return (
      <>
        <Problem message={of.error.message} />
        {passing !== undefined && <p class="quiet">{passing}</p>}
      </>
    )
  }
  return <>{children(of.answer, of.isOld)}</>
}

/** A line that points at a place of the line above it. */
const POINTS = /\n *\^/

export function Problem({ message }: { readonly message: string }) {
  return (
    <p class={POINTS.test(message) ? 'problem mono' : 'problem'} role="alert">
      {message}
    </p>
  )
}

interface DownloadButtonsProps {
  readonly id: string
  readonly sql: string
  /** Of what, as in `the table`. */
  readonly what: string
}

const FORMATS: Readonly<Record<DownloadFormat, string>> = { csv: 'CSV', parquet: 'Parquet' }

/** Saves the rows of a statement in one of the formats, or says why not. */
export function DownloadButtons({ id, sql, what }: DownloadButtonsProps) {
  const [problem, setProblem] = useState<string>()
  const start = (format: DownloadFormat) => {
    setProblem(undefined)
    download(id, { sql, format }).catch((error: Error) => setProblem(error.message))
  }
  return (
    <>
      {DOWNLOAD_FORMATS.map(format => (
        <button key={format} type="button" onClick={() => start(format)}>
          Download {what} as {FORMATS[format]}
        </button>
      ))}
      {problem !== undefined && <Problem message={problem} />}
    </>
  )
}

const SIGNS: Readonly<Record<Verdict, string>> = { complete: '✓', unproven: '?', incomplete: '✗' }

export function VerdictBadge({ verdict }: { readonly verdict: Verdict | undefined }) {
  if (verdict === undefined) return <span class="quiet">no receipts</span>
  return (
    <span class={`badge ${verdict}`}>
      <span aria-hidden="true">{SIGNS[verdict]}</span> {verdict}
    </span>
  )
}

export function amount(value: number): string {
  return value.toLocaleString('en-US')
}

/** `1 row`, `2 rows`. */
export function counted(value: number, one: string): string {
  return `${amount(value)} ${value === 1 ? one : `${one}s`}`
}

export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`
  const minutes = Math.floor(ms / 60_000)
  return minutes < 60
    ? `${minutes} min ${Math.round((ms % 60_000) / 1_000)} s`
    : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}

/** How long ago. The exact time is its title. */
export function Ago({ time }: { readonly time: string }) {
  return (
    <time dateTime={time} title={time}>
      {largestUnit(Date.now() - Date.parse(time))} ago
    </time>
  )
}

/** How long it takes until then. The exact time is its title. */
export function Until({ time }: { readonly time: string }) {
  return (
    <time dateTime={time} title={time}>
      in {largestUnit(Date.parse(time) - Date.now())}
    </time>
  )
}

/** In the largest unit that fits. */
function largestUnit(ms: number): string {
  const seconds = Math.max(0, ms / 1_000)
  const units = [
    [86_400, 'd'],
    [3_600, 'h'],
    [60, 'min'],
  ] as const
  const [size, unit] = units.find(([size]) => seconds >= size) ?? [1, 's']
  return `${Math.floor(seconds / size)} ${unit}`
}

export function CellText({ value }: { readonly value: Cell }) {
  if (value === null) return <span class="null">NULL</span>
  const text = String(value)
  // Each text has the direction of its own first letter.
  return (
    <span dir="auto" title={text.length > 60 ? text : undefined}>
      {text.length > 200 ? `${text.slice(0, 200)}…` : text}
    </span>
  )
}

interface ScrolledProps {
  readonly label: string
  readonly children: ComponentChildren
}

/** What may be wider than the screen. Whoever has no mouse scrolls it by keys. */
export function Scrolled({ label, children }: ScrolledProps) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: keys scroll what has the focus
    <section class="scroll" aria-label={label} tabIndex={0}>
      {children}
    </section>
  )
}

interface GridProps {
  readonly label: string
  readonly columns: readonly { readonly name: string; readonly type: string }[]
  readonly rows: readonly (readonly Cell[])[]
  readonly sorted?: { readonly column: string; readonly descending: boolean } | undefined
  readonly onSort?: ((column: string) => void) | undefined
  /** Stands before the cells of a row. */
  readonly lead?: ((row: readonly Cell[]) => ComponentChildren) | undefined
}

/** Rows of a table or of a statement. */
export function Grid({ label, columns, rows, sorted, onSort, lead }: GridProps) {
  const direction = (name: string) => {
    if (sorted?.column === name) {
      return sorted.descending ? ('descending' as const) : ('ascending' as const)
    }
    return undefined
  }
  return (
    <Scrolled label={label}>
      <table class="grid">
        <thead>
          <tr>
            {lead !== undefined && <th scope="col">row</th>}
            {columns.map(({ name, type }) => (
              <th key={name} scope="col" aria-sort={direction(name)}>
                {onSort === undefined ? (
                  name
                ) : (
                  <button type="button" class="plain" onClick={() => onSort(name)}>
                    {name}
                    {direction(name) !== undefined && (direction(name) === 'descending' ? ' ↓' : ' ↑')}
                  </button>
                )}
                <small>{type.toLowerCase()}</small>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, index) => (
            <tr key={index}>
              {lead !== undefined && <td class="lead">{lead(row)}</td>}
              {row.map((value, at) => (
                <td key={columns[at]?.name} class={isNumberType(columns[at]?.type ?? '') ? 'number' : undefined}>
                  <CellText value={value} />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {rows.length === 0 && <p class="quiet">No rows.</p>}
    </Scrolled>
  )
}
