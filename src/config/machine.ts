import { constants, statSync } from 'node:fs'
import { access, readFile, statfs } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, resolve } from 'node:path'
import { ConfigError } from '../model/errors.js'
import type { Clock } from '../model/source.js'
import { type Environment, isSet } from './lookup/environment.js'
import { envFilePath, secretFiles, warnIfReadable } from './lookup/secretFiles.js'

/** One thing that was looked at. */
export interface MachineFinding {
  /** What was looked at, as in `node` or `secrets`. */
  readonly check: string
  /** `note`: nothing is wrong, and it may explain something. */
  readonly status: 'ok' | 'note' | 'failed'
  readonly says: string
  /** How to mend it, in one sentence. */
  readonly cure?: string | undefined
}

export interface MachineOptions {
  readonly env: Environment
  /** Folders of pipeline files and the current one. */
  readonly folders: readonly string[]
  readonly clock: Pick<Clock, 'now'>
}

/** What a run needs of this machine. Never rejects, requests nothing, changes nothing, and names no secret. */
export async function machineFindings({ env, folders, clock }: MachineOptions): Promise<readonly MachineFinding[]> {
  const [folder = '.'] = folders
  return [
    nodeFinding(),
    platformFinding(),
    duckdbFinding(),
    pgFinding(),
    clockFinding(clock),
    ...(await folderFindings('folder', resolve(folder))),
    ...secretFindings(env, folders),
    ...proxyFindings(env),
    ...(await certificateFindings(env)),
  ]
}

const OLDEST_NODE = [20, 19] as const

function nodeFinding(): MachineFinding {
  const { node } = process.versions
  const [major = 0, minor = 0] = node.split('.').map(Number)
  const isNew = major > OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1])
  if (isNew) return { check: 'node', status: 'ok', says: `Node ${node}` }
  const cure = `Install Node ${OLDEST_NODE.join('.')} or newer.`
  return { check: 'node', status: 'failed', says: `Node ${node} is too old`, cure }
}

/** The C library decides which native binding fits. */
function platformFinding(): MachineFinding {
  const { header } = process.report.getReport() as { readonly header?: { readonly glibcVersionRuntime?: string } }
  const glibc = header?.glibcVersionRuntime
  const library = process.platform !== 'linux' ? '' : glibc === undefined ? ', musl' : `, glibc ${glibc}`
  return { check: 'platform', status: 'ok', says: `${process.platform} ${process.arch}${library}` }
}

const load = createRequire(import.meta.url)

function duckdbFinding(): MachineFinding {
  const check = 'duckdb'
  try {
    const { version } = load('@duckdb/node-api') as { readonly version: () => string }
    return { check, status: 'ok', says: `DuckDB ${version()} (@duckdb/node-api)` }
  } catch (error) {
    const says = `the driver of DuckDB cannot be loaded: ${firstLine(error)}`
    const cure = 'Install again on this machine, with optional dependencies: npm install @duckdb/node-api.'
    return { check, status: 'failed', says, cure }
  }
}

function pgFinding(): MachineFinding {
  const check = 'pg'
  try {
    const { version } = load('pg/package.json') as { readonly version: string }
    return { check, status: 'ok', says: `pg ${version}, the driver of Postgres` }
  } catch {
    const cure = 'To load into Postgres: npm install pg.'
    return { check, status: 'note', says: 'pg, the driver of Postgres, is not installed', cure }
  }
}

/** No certificate is valid on a clock of before. */
const EARLIEST = Date.UTC(2025, 0, 1)

function clockFinding({ now }: Pick<Clock, 'now'>): MachineFinding {
  const at = new Date(now()).toISOString().replace(/\.\d+Z$/, 'Z')
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone
  const says = `${at}, time zone ${zone}; Sluice works in UTC`
  if (now() >= EARLIEST) return { check: 'clock', status: 'ok', says }
  return { check: 'clock', status: 'failed', says, cure: 'Set the clock: certificates and cursors go by it.' }
}

const LEAST_FREE = 256 * 1024 * 1024

/** Whether a folder, or the folder that it will be made in, can be written, and how much room is there. */
export async function folderFindings(check: string, path: string): Promise<readonly MachineFinding[]> {
  const folder = await nearestFolder(path)
  try {
    await access(folder, constants.W_OK)
  } catch {
    const cure = `Give this user the right to write ${folder}, or name another place.`
    return [{ check, status: 'failed', says: `${path} cannot be written`, cure }]
  }
  const { bavail, bsize } = await statfs(folder)
  const free = bavail * bsize
  const says = `${path} can be written, ${(free / 1024 ** 3).toFixed(1)} GiB are free`
  if (free >= LEAST_FREE) return [{ check, status: 'ok', says }]
  return [{ check, status: 'failed', says, cure: 'Make room there: journals and staged rows need it.' }]
}

/** The path itself, or the first above it that is there. */
async function nearestFolder(path: string): Promise<string> {
  for (let folder = path; ; folder = dirname(folder)) {
    const isThere = await access(folder).then(
      () => true,
      () => false,
    )
    if (isThere || folder === dirname(folder)) return folder
  }
}

function secretFindings(env: Environment, folders: readonly string[]): MachineFinding[] {
  const check = 'secrets'
  const open = new Set<string>()
  try {
    const files = secretFiles(env, folders, message => void open.add(message))
    const found = files.filter(({ tables }) => tables !== undefined).map(({ path }) => path)
    for (const path of new Set(folders.map(envFilePath))) {
      if (!isFile(path)) continue
      found.push(path)
      warnIfReadable(path, message => void open.add(message))
    }
    if (open.size > 0) {
      return [...open].map(message => {
        const [says = message, cure = ''] = message.split('; ')
        return { check, status: 'failed', says, cure: `${cure}.` }
      })
    }
    const says = found.length === 0 ? 'there is no file of secrets; the environment may have them' : found.join(', ')
    return [{ check, status: found.length === 0 ? 'note' : 'ok', says }]
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return [{ check, status: 'failed', says: error.message, cure: 'Fix that file: key = "value", one per line.' }]
  }
}

/** Python's tools call a folder `.env`. */
function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true
}

function proxyFindings(env: Environment): MachineFinding[] {
  return ['HTTPS_PROXY', 'HTTP_PROXY', 'ALL_PROXY', 'NO_PROXY'].flatMap(name => {
    const set = [name, name.toLowerCase()].find(spelt => isSet(env, spelt))
    if (set === undefined) return []
    const value = env[set] ?? ''
    return [{ check: 'proxy', status: 'note', says: `${set} is ${name === 'NO_PROXY' ? value : hostOf(value)}` }]
  })
}

/** A proxy's address may hold a password. */
function hostOf(address: string): string {
  return URL.canParse(address) ? new URL(address).origin.replace('null', 'an address without a host') : 'no address'
}

async function certificateFindings(env: Environment): Promise<MachineFinding[]> {
  const check = 'certificates'
  const findings: MachineFinding[] = []
  if (env.NODE_TLS_REJECT_UNAUTHORIZED === '0') {
    const cure = 'Unset it, and name the authority of your network in NODE_EXTRA_CA_CERTS.'
    findings.push({ check, status: 'failed', says: 'NODE_TLS_REJECT_UNAUTHORIZED=0 lets everybody listen', cure })
  }
  const extra = env.NODE_EXTRA_CA_CERTS
  if (extra === undefined || extra === '') return findings
  const text = await readFile(extra, 'utf8').catch(() => undefined)
  const count = text?.match(/-----BEGIN (?:TRUSTED )?CERTIFICATE-----/g)?.length ?? 0
  const says = `NODE_EXTRA_CA_CERTS is ${extra}`
  if (count > 0) return [...findings, { check, status: 'ok', says: `${says} (${count} of them)` }]
  const why = text === undefined ? 'which cannot be read' : 'which holds no certificate'
  return [...findings, { check, status: 'failed', says: `${says}, ${why}`, cure: 'Name a file of PEM certificates.' }]
}

function firstLine(error: unknown): string {
  return String(error instanceof Error ? error.message : error).split('\n')[0] ?? ''
}
