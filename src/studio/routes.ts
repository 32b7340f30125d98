import { randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { Readable, pipeline as streamed } from 'node:stream'
import type { HttpBindings } from '@hono/node-server'
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response'
import { type Context, Hono } from 'hono'
import { nextTime } from '../config/schedule.js'
import { doubleQuoted } from '../destinations/sql/sqlSession.js'
import { numberLiteral } from '../json/value.js'
import { ConfigError, QueryError, SluiceError } from '../model/errors.js'
import {
  checkOptions,
  flag,
  listOf,
  names,
  needed,
  type OptionKind,
  optionsOf,
  text,
  wholeFromOne,
  wholeFromZero,
  wordOf,
} from '../model/optionKinds.js'
import { rowsOf, worstVerdict } from '../model/receipt.js'
import type { Clock } from '../model/source.js'
import { csvLine } from '../model/texts/rowText.js'
import type { PastLoad } from '../pipeline/look/pastLoads.js'
import type { Pipeline } from '../pipeline/pipeline.js'
import { resolveContract } from '../schema/contracts.js'
import { isSystemTable } from '../schema/export/exportedTables.js'
import { tableChain } from '../schema/rootKey.js'
import type { ReadonlyTable } from '../schema/schemaTypes.js'
import { isDocument, problemsOf, readDocumentText, saveDocumentText } from './editedDocument.js'
import { SAFE_HEADERS } from './guard.js'
import { type LoadRuns, problemOf } from './loadRuns.js'
import type { OpenPipeline, OpenPipelines } from './openPipelines.js'
import type {
  ApiAsked,
  ApiFailure,
  DocumentSaved,
  Download,
  DownloadAsked,
  LoadFacts,
  LoadList,
  PipelineFacts,
  PipelineList,
  QueryAsked,
  RowFilter,
  RowsAsked,
  RunAsked,
  RunNews,
  TableCount,
  TableFacts,
  TableList,
  TraceAsked,
  VersionList,
} from './pageContract.js'
import { DOWNLOAD_FORMATS, FILTER_OPERATORS } from './pageContract.js'
import { schemaDrift, schemaVersions } from './schemaVersions.js'
import { distribution, queryRows, rawRows, rowsToParquet, tableRows } from './tableRows.js'

/** At the same place from `src` and from `dist`. */
const DOCUMENT_SCHEMA = new URL('../../schema/pipeline.schema.json', import.meta.url)

const MOST_FILES = 100
const MOST_LOADS = 100
/** Whoever counts for longer than this has too many rows to count for a page. */
const COUNT_WITHIN_MS = 2_000
/** Downloads that were promised and not fetched. */
const MOST_DOWNLOADS = 20
const MOST_BODY_BYTES = 2 ** 22

interface RouteOptions {
  readonly clock: Clock
  /** Statements of the page that take longer are stopped, but for downloads. */
  readonly statementTimeoutMs: number
}

/** What the page asks for. Every answer is JSON, but for downloads and the events of a run. */
export function routes(pipelines: OpenPipelines, runs: LoadRuns, { clock, statementTimeoutMs }: RouteOptions): Hono {
  const app = new Hono()
  const downloads = new Map<string, DownloadAsked & { readonly pipeline: Pipeline }>()

  app.onError((error, context) => failed(context, error))
  app.notFound(context =>
    context.json({ code: 'not_found', message: 'there is no such page' } satisfies ApiFailure, 404),
  )

  app.get('/api/pipelines', async context => {
    const { search, offset, limit } = context.req.query()
    const files = await pipelines.files(search)
    const from = bounded(offset, 0, files.length)
    const shown = files.slice(from, from + bounded(limit, 20, MOST_FILES))
    const entries = (await Promise.all(shown.map(file => pipelines.ofFile(file)))).flat()
    const list: PipelineList = {
      files: files.length,
      pipelines: entries.map(entry => ('facts' in entry ? present(entry.facts) : entry)),
    }
    return told(context, list)
  })

  app.get('/api/pipelines/:id', async context => {
    const { facts } = await opened(context)
    return told(context, present(facts))
  })

  app.get('/api/pipelines/:id/loads', async context => {
    const { pipeline } = await opened(context)
    const { limit, load } = context.req.query()
    const loads = await pipeline.dataset().history({ limit: bounded(limit, 20, MOST_LOADS), loadId: load })
    return told(context, { loads: loads.map(loadFacts) } satisfies LoadList)
  })

  app.get('/api/pipelines/:id/tables', async context => {
    const { pipeline } = await opened(context)
    const dataset = pipeline.dataset()
    const [schema, names] = [await dataset.schema(), new Set(await dataset.tables())]
    if (schema === undefined) return told(context, { tables: [] } satisfies TableList)
    const roots = [...schema.tables.values()].filter(({ parent }) => parent === undefined)
    // Nested tables follow their parents.
    const tables = roots
      .flatMap(({ name }) => tableChain(schema, name))
      .filter(({ name }) => names.has(name) || isSystemTable(name))
    const facts = tables.map(table => tableFacts(table, resolveContract(schema, table.name)))
    return told(context, { tables: facts } satisfies TableList)
  })

  app.get('/api/pipelines/:id/versions', async context => {
    const { pipeline } = await opened(context)
    const hasSchema = (await pipeline.dataset().schema()) !== undefined
    const versions = hasSchema ? await inTime(context, signal => schemaVersions(pipeline, signal)) : []
    return told(context, { versions } satisfies VersionList)
  })

  // Names of tables stand in no path: browsers take `.` and `..` there for folders.
  app.get('/api/pipelines/:id/drift', async context => {
    const { pipeline } = await opened(context)
    return told(context, await schemaDrift(pipeline))
  })

  app.get('/api/pipelines/:id/count', async context => {
    const { pipeline } = await opened(context)
    return told(context, { rows: await countRows(pipeline, queried(context, 'table')) } satisfies TableCount)
  })

  app.post('/api/pipelines/:id/rows', async context => {
    const { pipeline } = await opened(context)
    const asked = await bodyOf<RowsAsked>(context, forRows)
    return told(context, await inTime(context, signal => tableRows(pipeline, asked, signal)))
  })

  app.get('/api/pipelines/:id/distribution', async context => {
    const { pipeline } = await opened(context)
    const [table, column] = [queried(context, 'table'), queried(context, 'column')]
    return told(context, await inTime(context, signal => distribution(pipeline, { table, column }, signal)))
  })

  app.post('/api/pipelines/:id/trace', async context => {
    const { pipeline } = await opened(context)
    const { table, id } = await bodyOf<TraceAsked>(context, forTrace)
    const trace = await inTime(context, signal => pipeline.trace(table, { _dlt_id: id }, { signal }))
    if (trace === undefined) throw new NotFound('the row is not there any more')
    const { row: _, ...rest } = trace
    return told(context, rest)
  })

  app.post('/api/pipelines/:id/query', async context => {
    const { pipeline } = await opened(context)
    const { sql } = await bodyOf<QueryAsked>(context, forQuery)
    return told(context, await inTime(context, signal => queryRows(pipeline, sql, { signal })))
  })

  app.post('/api/pipelines/:id/downloads', async context => {
    const { pipeline } = await opened(context)
    const { sql, format } = await bodyOf<DownloadAsked>(context, forDownload)
    // A file that the browser saves cannot say what is wrong: what fails at once is said here.
    await inTime(context, signal => queryRows(pipeline, sql, { limit: 1, signal }))
    const ticket = randomBytes(16).toString('base64url')
    downloads.set(ticket, { pipeline, sql, format })
    for (const [oldest] of [...downloads].slice(0, Math.max(0, downloads.size - MOST_DOWNLOADS)))
      downloads.delete(oldest)
    return told(context, { path: `/download/${ticket}` } satisfies Download)
  })

  // A link cannot carry the token: the ticket stands for it, once.
  app.get('/download/:ticket', async context => {
    const ticket = context.req.param('ticket')
    const download = downloads.get(ticket)
    if (download === undefined) throw new NotFound('this download was fetched before')
    downloads.delete(ticket)
    const { pipeline, sql, format = 'csv' } = download
    const headers = { 'Content-Disposition': `attachment; filename="rows.${format}"` }
    if (format === 'csv') {
      const stop = new AbortController()
      const rows = Readable.from(csvOf(pipeline, sql, stop.signal))
      const about = { 'Content-Type': 'text/csv; charset=utf-8' }
      return sent(context, { ...headers, ...about }, rows, () => stop.abort())
    }
    const { rows, bytes, remove } = await parquetFile(pipeline, sql, context.req.raw.signal)
    const about = { 'Content-Type': 'application/vnd.apache.parquet', 'Content-Length': String(bytes) }
    return sent(context, { ...headers, ...about }, rows, remove)
  })

  app.get('/api/pipelines/:id/plan', async context => {
    const { pipeline } = await opened(context)
    return told(context, await pipeline.plan({ signal: context.req.raw.signal }))
  })

  app.get('/api/pipelines/:id/windows', async context => {
    const { pipeline } = await opened(context)
    return told(context, await pipeline.backfillStatus(queried(context, 'resource')))
  })

  app.post('/api/pipelines/:id/runs', async context => {
    const found = await opened(context)
    const asked = await bodyOf<RunAsked>(context, forRun)
    const pipeline = await pipelines.forRequests(found)
    if (pipeline === undefined) throw new NotFound('the file has no such pipeline any more')
    return told(context, runs.start(found.facts.id, pipeline, asked), 201)
  })

  app.get('/api/runs', context => told(context, { runs: runs.all }))

  app.post('/api/runs/:run/stop', context => {
    if (!runs.stop(context.req.param('run'))) throw new NotFound('there is no such run')
    return told(context, {})
  })

  app.get('/api/runs/:run/events', context => {
    const run = context.req.param('run')
    if (!runs.all.some(facts => facts.run === run)) throw new NotFound('there is no such run')
    const from = bounded(context.req.query('from'), 0, Number.MAX_SAFE_INTEGER)
    return sent(context, { 'Content-Type': 'application/jsonl; charset=utf-8' }, Readable.from(newsOf(runs, run, from)))
  })

  app.get('/api/document-schema', async context => told(context, JSON.parse(await readFile(DOCUMENT_SCHEMA, 'utf8'))))

  app.get('/api/pipelines/:id/document', async context => {
    const path = await fileOf(context)
    return told(context, await readDocumentText(path, relative(pipelines.cwd, path)))
  })

  app.post('/api/pipelines/:id/document/check', async context => {
    const path = await fileOf(context)
    const { text } = await bodyOf<{ readonly text: string }>(context, forCheck)
    return told(context, { problems: isDocument(path) ? await problemsOf(text, path, pipelines.cwd) : [] })
  })

  app.post('/api/pipelines/:id/document/asked', async context => {
    const found = await opened(context)
    const { what, budget } = await bodyOf<ApiQuestion>(context, forApi)
    const pipeline = await pipelines.forRequests(found)
    if (pipeline === undefined) throw new NotFound('the file has no such pipeline any more')
    const { checkedFindings, provenFindings } = await import('./askedApi.js')
    const asked = { pipeline, path: found.path, signal: context.req.raw.signal }
    const { file } = found.facts
    if (what === 'check') return told(context, await checkedFindings(asked))
    if (budget === undefined) throw sayHowMany()
    return told(context, await provenFindings(asked, budget, file))
  })

  app.put('/api/pipelines/:id/document', async context => {
    const path = await fileOf(context)
    const asked = await bodyOf<DocumentSaved>(context, forDocument)
    return told(context, await saveDocumentText(path, relative(pipelines.cwd, path), asked, pipelines.cwd))
  })

  /** What a statement comes to. One without end does not hold the database, nor whoever waits for it. */
  async function inTime<T>(context: Context, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const limit = AbortSignal.timeout(statementTimeoutMs)
    try {
      return await work(AbortSignal.any([context.req.raw.signal, limit]))
    } catch (error) {
      if (!limit.aborted) throw error
      const message = `the database was stopped after ${statementTimeoutMs / 1_000} s: ask for fewer rows, or start \`sluice studio --statement-timeout\` with more seconds`
      throw new QueryError(message, { cause: error })
    }
  }

  /** A pipeline as it is now. */
  function present(facts: PipelineFacts): PipelineFacts {
    const dueMs = facts.schedule === undefined ? undefined : dueAfter(facts.schedule, clock.now())
    return {
      ...facts,
      running: runs.runningOf(facts.id),
      ...(dueMs !== undefined && { dueAt: new Date(dueMs).toISOString() }),
    }
  }

  async function opened(context: Context): Promise<OpenPipeline> {
    const found = await pipelines.byId(context.req.param('id') ?? '')
    if (found === undefined) throw new NotFound('there is no such pipeline')
    if ('problem' in found) throw new Broken(found.problem)
    return found
  }

  async function fileOf(context: Context): Promise<string> {
    const path = await pipelines.fileOf(context.req.param('id') ?? '')
    if (path === undefined) throw new NotFound('there is no such file')
    return path
  }

  return app
}

/** Undefined for what is no schedule: the worker says so. */
function dueAfter(schedule: string, nowMs: number): number | undefined {
  try {
    return nextTime(schedule, nowMs)
  } catch {
    return undefined
  }
}

function sayHowMany(): ConfigError {
  return new ConfigError([{ place: { path: 'budget' }, message: 'says how many requests a list may cost' }])
}

class NotFound extends Error {}
class Broken extends Error {}

/** An answer whose numbers keep their digits: those that the page's own numbers cannot hold are texts. */
function told(context: Context, answer: object, status: 200 | 201 = 200): Response {
  return context.body(JSON.stringify(withTexts(answer)), status, { 'Content-Type': 'application/json; charset=utf-8' })
}

/** Cursors and the bounds of their windows are such numbers. */
function withTexts(value: unknown, literal?: string): unknown {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : String(value)
  if (typeof value === 'number') return literal ?? value
  if (Array.isArray(value)) return value.map((element, index) => withTexts(element, numberLiteral(value, index)))
  if (typeof value !== 'object' || value === null || value instanceof Date) return value
  const members = Object.entries(value).map(([key, member]) => [key, withTexts(member, numberLiteral(value, key))])
  return Object.fromEntries(members)
}

function failureOf(error: unknown): readonly [code: string, status: 400 | 404 | 409 | 500] {
  if (error instanceof NotFound) return ['not_found', 404]
  if (error instanceof Broken) return ['config', 409]
  if (!(error instanceof SluiceError)) return ['internal', 500]
  return [error.code, error instanceof ConfigError || error instanceof QueryError ? 400 : 409]
}

function failed(context: Context, error: unknown): Response {
  const [code, status] = failureOf(error)
  return context.json({ code, message: problemOf(error) } satisfies ApiFailure, status)
}

const forQuery = optionsOf<QueryAsked>('the body', { sql: needed(text) })
const forDownload = optionsOf<DownloadAsked>('the body', { sql: needed(text), format: wordOf(DOWNLOAD_FORMATS) })
const forTrace = optionsOf<TraceAsked>('the body', { table: needed(text), id: needed(text) })
interface ApiQuestion {
  readonly what: ApiAsked['what']
  readonly budget?: number | undefined
}
const forApi = optionsOf<ApiQuestion>('the body', { what: needed(wordOf(['check', 'prove'])), budget: wholeFromOne })
const forCheck = optionsOf<{ readonly text: string }>('the body', { text: needed(text) })
const forDocument = optionsOf<DocumentSaved>('the body', { text: needed(text), version: needed(text) })
const forRun = optionsOf<RunAsked>('the body', {
  limit: wholeFromOne,
  select: names,
  fullRefresh: flag,
  allowIncomplete: flag,
  keepJournal: flag,
})
const forFilter = optionsOf<RowFilter>('a filter', {
  column: needed(text),
  operator: needed(wordOf(FILTER_OPERATORS)),
  value: text,
})
const forRows = optionsOf<RowsAsked>('the body', {
  table: needed(text),
  filters: listOf('a list of filters', forFilter),
  orderBy: text,
  descending: flag,
  offset: wholeFromZero,
  limit: wholeFromOne,
})

/** The JSON of a request. Throws a ConfigError if it is something else. */
async function bodyOf<Body>(context: Context, kind: OptionKind): Promise<Body> {
  const given = await context.req.arrayBuffer()
  const refuse = (message: string): ConfigError => new ConfigError([{ place: { path: 'body' }, message }])
  if (given.byteLength > MOST_BODY_BYTES) throw refuse('is too large')
  let body: unknown
  try {
    body = JSON.parse(new TextDecoder().decode(given))
  } catch {
    throw refuse('is no JSON')
  }
  checkOptions(needed(kind), body, 'body')
  return body as Body
}

/** What stands behind `?`. Throws a ConfigError if it does not. */
function queried(context: Context, name: string): string {
  const given = context.req.query(name)
  checkOptions(needed(text), given, name)
  return given ?? ''
}

function bounded(given: string | undefined, standard: number, most: number): number {
  const number = Number(given ?? standard)
  return Number.isSafeInteger(number) && number >= 0 ? Math.min(number, most) : standard
}

/**
 * Sends what is read as it comes. Where they fail, the connection ends in the middle: half a file is never taken for a whole one.
 * A page that goes away ends them, without a word.
 */
function sent(
  context: Context,
  headers: Readonly<Record<string, string>>,
  body: Readable,
  ended: () => void = () => {},
): Response {
  const { outgoing } = context.env as HttpBindings
  outgoing.writeHead(200, { ...SAFE_HEADERS, 'Cache-Control': 'no-store', ...headers })
  // A page that goes away before the first row is there ends the statement too.
  outgoing.once('close', ended)
  streamed(body, outgoing, ended)
  return RESPONSE_ALREADY_SENT
}

/** The end of a Parquet file says what is in it: it is written whole before it is sent. */
async function parquetFile(pipeline: Pipeline, sql: string, signal: AbortSignal) {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-download-'))
  const remove = (): void => void rm(folder, { recursive: true, force: true }).catch(() => {})
  try {
    const path = join(folder, 'rows.parquet')
    await rowsToParquet(pipeline, sql, path, signal)
    return { rows: createReadStream(path), bytes: (await stat(path)).size, remove }
  } catch (error) {
    remove()
    throw error
  }
}

async function* csvOf(pipeline: Pipeline, sql: string, signal: AbortSignal): AsyncGenerator<string> {
  let isFirst = true
  for await (const { columns, rows } of rawRows(pipeline, sql, { signal })) {
    const head = isFirst ? [csvLine(columns.map(({ name }) => name))] : []
    isFirst = false
    yield [...head, ...rows.map(row => csvLine(row))].map(line => `${line}\r\n`).join('')
  }
}

/** Lines of JSON until the run ends. */
async function* newsOf(runs: LoadRuns, run: string, from: number): AsyncGenerator<string> {
  const waiting: RunNews[] = []
  let wake = (): void => {}
  const stop = runs.listen(run, from, news => {
    waiting.push(news)
    wake()
  })
  if (stop === undefined) return
  try {
    for (;;) {
      const lines = waiting.splice(0)
      if (lines.length > 0) yield lines.map(line => `${JSON.stringify(line)}\n`).join('')
      if (lines.at(-1)?.event.type === 'ended') return
      if (waiting.length > 0) continue
      await new Promise<void>(resolve => {
        wake = resolve
      })
    }
  } finally {
    stop()
  }
}

async function countRows(pipeline: Pipeline, table: string): Promise<number | undefined> {
  const signal = AbortSignal.timeout(COUNT_WITHIN_MS)
  try {
    const { rows } = await queryRows(pipeline, `SELECT count(*) FROM ${doubleQuoted(table)}`, { signal })
    return Number(rows[0]?.[0])
  } catch (error) {
    if (signal.aborted) return undefined
    throw error
  }
}

function loadFacts({ loadId, committedAt, receipts }: PastLoad): LoadFacts {
  const startedMs = Number(loadId) * 1_000
  const durationMs = committedAt.getTime() - startedMs
  return {
    loadId,
    committedAt: committedAt.toISOString(),
    // Another tool may give ids of its own, and a journal may be older than its load.
    ...(durationMs >= 0 && durationMs < 10 * 86_400_000 && { durationMs }),
    verdict: worstVerdict(receipts),
    rows: receipts.reduce((sum, receipt) => sum + rowsOf(receipt), 0),
    receipts,
  }
}

function tableFacts(
  { name, resource, parent, write_disposition, columns }: ReadonlyTable,
  contract: TableFacts['contract'],
): TableFacts {
  return {
    name,
    resource,
    parent,
    writeDisposition: write_disposition,
    isSystem: isSystemTable(name),
    contract,
    columns: [...columns.values()].flatMap(({ name, data_type, nullable, primary_key, description }) =>
      data_type === undefined
        ? []
        : [
            {
              name,
              type: data_type,
              nullable: nullable !== false,
              isKey: primary_key === true,
              isOwn: name.startsWith('_dlt_'),
              description: typeof description === 'string' ? description : undefined,
            },
          ],
    ),
  }
}
