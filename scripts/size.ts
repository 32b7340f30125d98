/**
 * `npm run size`: what a user pays for the package, on the disk and at each start. Fails above a limit. Raise a limit only
 * together with the reason, in the same commit.
 */
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startUps } from '../bench/startUp.js'

const root = fileURLToPath(new URL('..', import.meta.url))
const MEGABYTE = 1e6
const START_UPS = 15

/** DuckDB's engine is by far the greatest part, and differs from platform to platform: it has a limit of its own. */
const LIMITS = {
  packedMb: 1.5,
  unpackedMb: 8,
  dependenciesMb: 16,
  duckdbMb: 100,
  /** Of these, four read XML and zip archives. */
  dependencies: 18,
  /** Of `sluice --help`, in start-ups of bare Node. The goal is 1.5 (`npm run bench -- help`); a busy machine adds a little. */
  startUp: 1.75,
} as const

interface LockedPackage {
  readonly dev?: boolean
  readonly devOptional?: boolean
  readonly peer?: boolean
  readonly optional?: boolean
}

const measured: Readonly<Record<keyof typeof LIMITS, number>> = {
  ...packageSize(),
  ...installSize(),
  startUp: startUp(),
}

for (const [name, limit] of Object.entries(LIMITS)) {
  const value = measured[name as keyof typeof LIMITS]
  const isMet = value <= limit
  console.log(`${name.padEnd(15)} ${value.toFixed(2).padStart(8)}  limit ${limit}${isMet ? '' : '  EXCEEDED'}`)
  if (!isMet) process.exitCode = 1
}

function packageSize() {
  // npm is a script for the shell on Windows.
  const shell = process.platform === 'win32'
  const text = execFileSync('npm', ['pack', '--json', '--dry-run', '--ignore-scripts'], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
    shell,
  })
  const [packed] = JSON.parse(text) as readonly [{ readonly size: number; readonly unpackedSize: number }]
  return { packedMb: packed.size / MEGABYTE, unpackedMb: packed.unpackedSize / MEGABYTE }
}

/** Of what `npm install sluice` installs here: dependencies of dependencies too, tools and peers not. */
function installSize() {
  const text = readFileSync(join(root, 'node_modules', '.package-lock.json'), 'utf8')
  const { packages } = JSON.parse(text) as { readonly packages: Readonly<Record<string, LockedPackage>> }
  const installed = Object.entries(packages)
    .filter(([, { dev, devOptional, peer }]) => dev !== true && devOptional !== true && peer !== true)
    .map(([path]) => path)
  const isDuckdb = (path: string): boolean => path.startsWith('node_modules/@duckdb/node-bindings-')
  const megabytes = (paths: readonly string[]): number =>
    paths.reduce((sum, path) => sum + folderBytes(join(root, path)), 0) / MEGABYTE
  return {
    dependencies: installed.length,
    dependenciesMb: megabytes(installed.filter(path => !isDuckdb(path))),
    // Both forms for Linux are installed where npm does not know the C library.
    duckdbMb: Math.max(0, ...installed.filter(isDuckdb).map(path => megabytes([path]))),
  }
}

function folderBytes(folder: string): number {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size, 0)
}

function startUp(): number {
  const { tool, bare } = startUps(START_UPS)
  return tool / bare
}
