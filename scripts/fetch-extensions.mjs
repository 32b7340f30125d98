/**
 * Fetches DuckDB's extensions for the tests of lakes, from their Python packages, into a folder of its own, and prints
 * the folder: `SLUICE_DUCKDB_EXTENSIONS=$(node scripts/fetch-extensions.mjs)`. An extension fits one version of DuckDB.
 * Where there is none yet for the locked one, the newest older ones come, and with them the DuckDB that they fit; the
 * tests then load that one (`test/destinations/lakeEngine.cjs`). Does nothing if they are there. Fails with one line.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

const NAMES = ['ducklake', 'sqlite-scanner', 'postgres-scanner', 'httpfs']
const DRIVER = '@duckdb/node-api'

const lock = JSON.parse(readFileSync(new URL('../package-lock.json', import.meta.url), 'utf8'))
const [locked] = lock.packages[`node_modules/${DRIVER}`].version.split('-')
const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'sluice-tests')
const folder = join(cache, `duckdb-extensions-${locked}`)

try {
  if (!isThere()) fetch()
  console.log(folder)
} catch (error) {
  const said = `${error.stderr ?? ''}`.trim().split('\n').at(-1) || error.message
  console.error(`DuckDB's extensions cannot be fetched: ${said}`)
  process.exit(1)
}

/** The folder gets its name when all of it is there. */
function isThere() {
  try {
    return readdirSync(folder).length > 0
  } catch {
    return false
  }
}

function fetch() {
  const begun = `${folder}.${process.pid}`
  mkdirSync(begun, { recursive: true })
  try {
    download(begun, [`duckdb-extension-${NAMES[0]}<=${locked}`])
    const [, version] = /-(\d+(?:\.\d+)+)-/.exec(readdirSync(begun)[0] ?? '') ?? []
    download(
      begun,
      NAMES.slice(1).map(name => `duckdb-extension-${name}==${version}`),
    )
    for (const wheel of readdirSync(begun)) {
      run('python3', ['-m', 'zipfile', '-e', join(begun, wheel), begun])
      rmSync(join(begun, wheel))
    }
    if (version !== locked) run('npm', ['install', '--prefix', begun, '--no-audit', '--no-fund', fitting(version)])
    renameSync(begun, folder)
  } finally {
    rmSync(begun, { recursive: true, force: true })
  }
}

function download(into, packages) {
  const quick = ['--quiet', '--disable-pip-version-check', '--retries', '1', '--timeout', '20']
  run('python3', ['-m', 'pip', 'download', ...quick, '--no-deps', '--dest', into, ...packages])
}

/** Of several releases of the driver with one DuckDB, the newest. */
function fitting(version) {
  return `${DRIVER}@>=${version}-r.0 <${version}`
}

function run(program, args) {
  execFileSync(program, args, { stdio: ['ignore', 'ignore', 'pipe'], timeout: 300_000 })
}
