import type { ApiFailure, Download, DownloadAsked, RunNews } from '../pageContract.js'

const KEPT_TOKEN = 'sluice-studio-token'

/** The token behind the `#` of the printed address. It is kept for reloads and other tabs, and leaves the address. */
export function takeToken(): void {
  const given = location.hash.slice(1)
  if (given === '' || given.startsWith('/')) return
  localStorage.setItem(KEPT_TOKEN, given)
  history.replaceState(null, '', '#/')
}

/** What the studio refused, or that it does not answer (`gone`). */
export class ApiError extends Error {
  readonly code: string

  constructor({ code, message }: ApiFailure) {
    super(message)
    this.code = code
  }
}

interface AskOptions {
  readonly method?: 'GET' | 'POST' | 'PUT'
  readonly body?: object
  readonly signal?: AbortSignal | undefined
}

async function ask(path: string, { method = 'GET', body, signal }: AskOptions = {}): Promise<Response> {
  let response: Response
  try {
    response = await fetch(`/api/${path}`, {
      method,
      headers: { authorization: `Bearer ${localStorage.getItem(KEPT_TOKEN) ?? ''}` },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      ...(signal !== undefined && { signal }),
    })
  } catch (error) {
    throw signal?.aborted === true ? error : gone()
  }
  if (response.ok) return response
  const failure = await response.json().catch(() => undefined)
  throw new ApiError(failure ?? { code: 'internal', message: `The studio answered ${response.status}` })
}

function gone(): ApiError {
  return new ApiError({ code: 'gone', message: 'The studio does not answer. Is `sluice studio` still running?' })
}

/** The JSON of an answer. Rejects with an ApiError, whose message is for people. */
export async function api<Answer>(path: string, options?: AskOptions): Promise<Answer> {
  return (await (await ask(path, options)).json()) as Answer
}

/** The parts of a path, as one path segment each. */
export function pathOf(...parts: readonly string[]): string {
  return parts.map(encodeURIComponent).join('/')
}

/** What stands behind `?`. */
export function queryOf(given: Readonly<Record<string, string>>): string {
  return new URLSearchParams(given).toString()
}

/** The events of a run as they come, until it ends. Rejects with an ApiError if the studio ends before it. */
export async function* runNews(run: string, from: number, signal: AbortSignal): AsyncGenerator<readonly RunNews[]> {
  const { body } = await ask(`runs/${run}/events?from=${from}`, { signal })
  if (body === null) return
  let rest = ''
  const reader = body.pipeThrough(new TextDecoderStream()).getReader()
  for (;;) {
    const { done, value } = await reader.read().catch(error => {
      throw signal.aborted ? error : gone()
    })
    if (done) return
    const lines = `${rest}${value}`.split('\n')
    rest = lines.pop() ?? ''
    if (lines.length > 0) yield lines.map(line => JSON.parse(line) as RunNews)
  }
}

/** Has the browser save the rows of a statement. */
export async function download(id: string, asked: DownloadAsked): Promise<void> {
  const { path } = await api<Download>(`pipelines/${id}/downloads`, { method: 'POST', body: asked })
  const link = document.createElement('a')
  link.href = path
  link.download = ''
  link.click()
}
