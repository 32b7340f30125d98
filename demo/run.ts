import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { sluice } from '../src/cli/program.js'
import { outputTo } from '../src/cli/terminal/terminal.js'
import { ordinaryFaults, startDemoApi } from './server.js'

/**
 * `npm run demo`: two integrations, synchronised twice from an API that fails now and then, into `demo.duckdb` in the
 * current directory; then a look at what is there. Fresh each time, nothing else is left behind. With `--studio` the page of
 * the studio shows it, and the API stays up for runs that are started there, until Ctrl-C.
 */
const DATABASE = 'demo.duckdb'
const INTEGRATIONS = ['examples/feature_flags.yaml', 'examples/feedback.yaml']

const QUERY = `select f.customer__plan as plan,
       count(distinct f.id) as feedback,
       round(avg(f.rating), 2) as rating,
       count(r._dlt_id) as replies,
       max(f.timestamp) as latest
from feedback_data f
left join feedback_data__replies r on r._dlt_parent_id = f._dlt_id
group by all
order by feedback desc`

const out = outputTo(process.stdout)
const withStudio = askedForStudio()
const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort())
const repository = fileURLToPath(new URL('..', import.meta.url))
const home = await mkdtemp(join(tmpdir(), 'sluice-demo-'))
const api = await startDemoApi({ apiKey: 'demo-key-4711', faults: ordinaryFaults })
Object.assign(process.env, { DEMO_API_URL: api.url, API_KEY: 'demo-key-4711', SLUICE_HOME: home })
try {
  for (const leftover of [DATABASE, `${DATABASE}.wal`]) await rm(leftover, { force: true })
  out.line(`An API with two lists is up at ${api.url}; it fails now and then, as APIs do.`)

  title('First run: everything is new')
  for (const file of INTEGRATIONS) await command('run', [file])
  title('Second run: some records have changed, some are new, and there are new fields')
  api.advance()
  for (const file of INTEGRATIONS) await command('run', [file])
  title('What is there now')
  for (const file of INTEGRATIONS) await command('show', [file])
  title('And a query')
  await command('query', INTEGRATIONS.slice(1), [QUERY])
  out.line(`\nAll of it is in ${DATABASE}; open it with any DuckDB.`)
  if (withStudio) {
    title('And a page')
    await command('studio', INTEGRATIONS, ['--open'])
  } else {
    out.line('To load it again and look at it on a page:')
    out.line(`${out.styled('dim', '$')} npm run demo -- --studio`)
  }
} catch (error) {
  if (!stop.signal.aborted) throw error
} finally {
  await api.close()
  await rm(home, { recursive: true, force: true })
}

function title(text: string): void {
  out.line(`\n${out.styled('bold', text)}`)
}

async function command(name: string, files: readonly string[], more: readonly string[] = []): Promise<void> {
  const destination = `--destination duckdb:${DATABASE}`
  const shown = [name, ...files, destination, ...more.map(word => (word.includes(' ') ? `"${word}"` : word))]
  out.line(`\n${out.styled('dim', '$')} sluice ${shown.join(' ')}`)
  const paths = files.map(file => join(repository, file))
  const exitCode = await sluice([name, ...paths, ...destination.split(' '), ...more], {
    terminal: { out, err: out },
    version: 'demo',
    signal: stop.signal,
    now: () => performance.now(),
  })
  if (exitCode !== 0) throw new Error(`sluice ${name} ${files.join(' ')} ended with exit code ${exitCode}`)
}

/** Ends the process for words that the demo does not know. */
function askedForStudio(): boolean {
  try {
    return parseArgs({ options: { studio: { type: 'boolean', default: false } } }).values.studio
  } catch (error) {
    out.line(`${(error as Error).message}\nThe demo takes --studio, as in: npm run demo -- --studio`)
    process.exit(2)
  }
}
