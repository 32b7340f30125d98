import { access, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { duckdb, pipeline, type RestApiConfig, restApi } from '../../src/index.js'
import { SluiceError } from '../../src/model/errors.js'
import type { RunEvent } from '../../src/model/events.js'
import type { Case, Expect, Run } from './case.js'
import { compareDataset, compareRequests } from './compare.js'
import { readDataset } from './database.js'
import { type CaseServer, startCaseServer } from './server.js'

export interface CaseResult {
  readonly name: string
  /** One entry a difference; empty when the case passed. */
  readonly problems: readonly string[]
}

export async function readCases(dir: string): Promise<readonly Case[]> {
  const files = (await readdir(dir)).filter(file => file.endsWith('.json')).sort()
  return Promise.all(files.map(async file => JSON.parse(await readFile(join(dir, file), 'utf8')) as Case))
}

/** Runs every run of a case through the library, against real HTTP servers and a real DuckDB file. */
export async function runCase(one: Case): Promise<CaseResult> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-case-'))
  const server = await startCaseServer()
  try {
    const problems: string[] = []
    for (const [index, run] of one.runs.entries()) {
      const found = await runOnce(one, run, server, folder)
      problems.push(...found.map(problem => `run ${index}: ${problem}`))
    }
    return { name: one.name, problems }
  } finally {
    await server.close()
    await rm(folder, { recursive: true, force: true })
  }
}

/** What the format's README sets for every case; the attempts are dlt's default. */
const SETTINGS = { RUNTIME__REQUEST_BACKOFF_FACTOR: '0.001', RUNTIME__REQUEST_MAX_ATTEMPTS: '5' }

async function runOnce(one: Case, run: Run, server: CaseServer, folder: string): Promise<string[]> {
  const config = run.config ?? one.config
  const source = { name: 'rest_api', ...one.source, ...run.source }
  const env = JSON.parse(server.substitute(JSON.stringify({ ...SETTINGS, ...one.env, ...run.env }))) as Record<
    string,
    string
  >
  const file = join(folder, 'case.duckdb')
  const name = one.pipeline?.name ?? 'conformance'
  const dataset = one.pipeline?.dataset ?? 'api_data'
  server.reset(run.exchanges, run.max_requests ?? 60)
  const events: RunEvent[] = []
  let failure: unknown
  try {
    const document = JSON.parse(server.substitute(JSON.stringify(config))) as RestApiConfig
    const { name: sourceName, max_table_nesting, root_key, schema_contract, parallelized } = source
    const api = restApi(document, {
      name: sourceName,
      env,
      cwd: folder,
      pipeline: name,
      maxTableNesting: max_table_nesting,
      rootKey: root_key,
      schemaContract: schema_contract as never,
      parallelized,
    })
    await pipeline({ name, source: api, destination: duckdb(file), dataset, home: join(folder, 'home') }).run({
      concurrency: 1,
      resume: false,
      writeDisposition: run.args?.write_disposition as never,
      schemaContract: run.args?.schema_contract as never,
      refresh: run.args?.refresh as never,
      onEvent: event => events.push(event),
    })
  } catch (error) {
    failure = error
  }
  return [
    ...compareFailure(run.expect, failure, server),
    ...compareRequests(run, config, server.requests),
    ...compareWarnings(run.expect, events),
    ...(await compareFile(run, file, run.expect.dataset ?? dataset, sourceNameOf(source), server)),
  ]
}

function sourceNameOf(source: { readonly name: string }): string {
  return source.name
}

async function compareFile(
  run: Run,
  file: string,
  dataset: string,
  sourceName: string,
  server: CaseServer,
): Promise<string[]> {
  const exists = await access(file).then(
    () => true,
    () => false,
  )
  if (!exists) return run.expect.loads === undefined || run.expect.loads === 0 ? [] : ['nothing was loaded']
  return compareDataset(
    run.expect,
    await readDataset(file, dataset, server.restore),
    sourceName,
    run.deviation !== undefined,
  )
}

function compareFailure(expect: Expect, failure: unknown, server: CaseServer): string[] {
  if (expect.error === undefined) {
    if (failure === undefined) return []
    const text =
      failure instanceof SluiceError
        ? `${failure.name} ${failure.code}: ${failure.message}`
        : String((failure as Error).stack)
    return [`failed: ${server.restore(text)}`]
  }
  if (failure === undefined) return [`should have failed with ${JSON.stringify(expect.error)}`]
  if (!(failure instanceof SluiceError)) return [`threw a raw error: ${(failure as Error).stack}`]
  const problems: string[] = []
  if (failure.code !== expect.error.code)
    problems.push(`error code ${failure.code}, expected ${expect.error.code}: ${failure.message}`)
  const path = 'path' in failure ? failure.path : undefined
  if (expect.error.path !== undefined && path !== expect.error.path && !failure.message.includes(expect.error.path))
    problems.push(`error path ${String(path)}, expected ${expect.error.path}: ${failure.message}`)
  for (const word of expect.error.contains ?? [])
    if (!server.restore(failure.message).includes(word))
      problems.push(`the message lacks "${word}": ${failure.message}`)
  return problems
}

function compareWarnings(expect: Expect, events: readonly RunEvent[]): string[] {
  const warnings = events.filter(event => event.type === 'warning')
  return (expect.warnings ?? []).flatMap(({ code, contains = [] }) =>
    warnings.some(warning => warning.code === code && contains.every(word => warning.message.includes(word)))
      ? []
      : [`no warning ${code} with ${contains.join(', ')}; found ${JSON.stringify(warnings)}`],
  )
}
