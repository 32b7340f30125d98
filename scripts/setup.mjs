/**
 * Makes a clone ready for work, doing only what is missing: installs the locked dependencies, builds `dist`.
 * Plain JavaScript without dependencies, because it runs before there are any.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const buildStamp = join(root, 'node_modules', '.cache', 'sluice-build')

requireNode(20, 19)
if (!dependenciesInstalled()) {
  say('installing dependencies (npm ci)')
  run('npm', ['ci', '--no-audit', '--no-fund'], 'npm ci failed: the npm registry must be within reach')
}
const sources = fingerprint(['src', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json', 'scripts/bundle.mjs'])
if (!existsSync(join(root, 'dist', 'index.js')) || readIfAny(buildStamp) !== sources) {
  say('building dist')
  run('npm', ['run', '--silent', 'build'], 'the build failed')
  mkdirSync(join(buildStamp, '..'), { recursive: true })
  writeFileSync(buildStamp, sources)
}

/** Compares what npm noted in node_modules at its end with the lock file: same packages, same versions. */
function dependenciesInstalled() {
  const locked = packagesOf(join(root, 'package-lock.json'))
  const installed = packagesOf(join(root, 'node_modules', '.package-lock.json'))
  if (locked === undefined) fail('package-lock.json cannot be read')
  if (installed === undefined) return false
  const missing = Object.keys(locked).filter(path => path !== '' && !locked[path].optional && !(path in installed))
  const other = Object.keys(installed).filter(path => locked[path]?.version !== installed[path].version)
  return missing.length === 0 && other.length === 0
}

function packagesOf(file) {
  const text = readIfAny(file)
  return text === undefined ? undefined : JSON.parse(text).packages
}

/** Content, not times: a checkout or a copy changes those. */
function fingerprint(paths) {
  const hash = createHash('sha256')
  for (const path of paths) {
    for (const file of filesOf(path))
      hash
        .update(`${file}\0`)
        .update(readFileSync(join(root, file)))
        .update('\0')
  }
  return hash.digest('hex')
}

function filesOf(path) {
  if (path.includes('.')) return [path]
  return readdirSync(join(root, path), { withFileTypes: true, recursive: true })
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath ?? entry.path, entry.name).slice(root.length))
    .sort()
}

function readIfAny(file) {
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined
}

function run(command, args, failure) {
  const { status } = spawnSync(command, args, { cwd: root, stdio: 'inherit', shell: process.platform === 'win32' })
  if (status !== 0) fail(failure)
}

function requireNode(major, minor) {
  const [hasMajor = 0, hasMinor = 0] = process.versions.node.split('.').map(Number)
  if (hasMajor > major || (hasMajor === major && hasMinor >= minor)) return
  fail(`Node ${major}.${minor} or newer is needed, this is ${process.versions.node}`)
}

function say(line) {
  console.log(`set-up: ${line}`)
}

function fail(line) {
  console.error(`set-up: ${line}`)
  process.exit(1)
}
