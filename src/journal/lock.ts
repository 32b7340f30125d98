import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { basename, join } from 'node:path'
import { DestinationError } from '../core/errors.js'
import type { Files } from '../core/files.js'
import { failure } from './append.js'

/** Keeps other runs of the same pipeline out; released by `release()` or the end of the process. */
export interface PipelineLock {
  /** Idempotent. */
  release(): Promise<void>
}

interface Holder {
  readonly pid: number
  readonly host: string
  /** ISO timestamp. */
  readonly startedAt: string
  /** When the process began, in the system's own terms, where it can be known: a pid is given out again. */
  readonly process?: string | undefined
  /** Tells one lock from another. */
  readonly id: string
}

/**
 * Takes the lock of the pipeline in `dir`: the file `lock.json`. A lock whose process is gone from this machine is taken
 * over. Rejects with a DestinationError `destination_locked` that names pid and start time of the run that holds it.
 */
export async function lockPipeline(files: Files, dir: string, now: number): Promise<PipelineLock> {
  const path = join(dir, 'lock.json')
  const pid = process.pid
  const mine: Holder = {
    pid,
    host: hostname(),
    startedAt: new Date(now).toISOString(),
    process: await ownStart(),
    id: randomUUID(),
  }
  try {
    await files.makeFolder(dir)
    // A lock of a dead process is moved away and the next attempt finds the place free, unless another run was faster.
    for (let attempts = 0; attempts < 20; attempts++) {
      if (await take(files, path, mine)) {
        await removeDrafts(files, dir, path)
        return { release: () => release(files, path, mine) }
      }
      const holder = await read(files, path)
      if (holder === undefined) continue
      if (await isAlive(holder)) throw locked(dir, path, holder)
      await moveAway(files, path, holder)
    }
  } catch (error) {
    throw error instanceof DestinationError ? error : failure(path, error)
  }
  throw new DestinationError('destination_locked', `${path} changes hands all the time; run again`, {
    destination: basename(dir),
    transient: true,
  })
}

/** Whole or not at all: the file is written beside and then linked, which fails where one is there. */
async function take(files: Files, path: string, holder: Holder): Promise<boolean> {
  const draft = `${path}.${holder.id}`
  await files.writeText(draft, `${JSON.stringify(holder)}\n`)
  try {
    await files.link(draft, path)
    return true
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    // A draft may be gone because another run took it, half written, for one of a dead process.
    if (code === 'EEXIST' || code === 'ENOENT') return false
    throw error
  } finally {
    await files.remove(draft)
  }
}

/** Drafts of locks whose processes were killed before they could remove them. */
async function removeDrafts(files: Files, dir: string, path: string): Promise<void> {
  for (const name of await files.list(dir)) {
    if (!name.startsWith(`${basename(path)}.`)) continue
    const draft = join(dir, name)
    const holder = await read(files, draft)
    if (holder !== undefined && !(await isAlive(holder))) await files.remove(draft)
  }
}

/** Undefined where there is none any more. */
async function read(files: Files, path: string): Promise<Holder | undefined> {
  try {
    const value: unknown = JSON.parse(await files.readText(path))
    if (isHolder(value)) return value
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    if (!(error instanceof SyntaxError)) throw error
  }
  // Nobody writes such a file while holding the lock; it is what a power cut or an editor left.
  return { pid: 0, host: hostname(), startedAt: '', id: '' }
}

function isHolder(value: unknown): value is Holder {
  if (typeof value !== 'object' || value === null) return false
  const { pid, host, startedAt, id } = value as Partial<Record<keyof Holder, unknown>>
  return typeof pid === 'number' && [host, startedAt, id].every(text => typeof text === 'string')
}

async function isAlive(holder: Holder): Promise<boolean> {
  if (holder.host !== hostname()) return true
  if (holder.pid <= 0) return false
  try {
    process.kill(holder.pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
  const start = await processStart(holder.pid)
  return start === undefined || holder.process === undefined || start === holder.process
}

/** Ticks since boot at which a process began, on Linux; undefined elsewhere. */
async function processStart(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined)
  // The second field is the program's name in parentheses and may hold anything; the 20th after it is the start.
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
}

let own: Promise<string | undefined> | undefined

/** That of this process, which never changes. */
function ownStart(): Promise<string | undefined> {
  own ??= processStart(process.pid)
  return own
}

async function moveAway(files: Files, path: string, dead: Holder): Promise<void> {
  const aside = `${path}.${randomUUID()}`
  try {
    await files.rename(path, aside)
    // Another run may have put its own lock there since it was read.
    const moved = await read(files, aside)
    if (moved !== undefined && moved.id !== dead.id) await files.link(aside, path).catch(() => undefined)
    await files.remove(aside)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}

async function release(files: Files, path: string, mine: Holder): Promise<void> {
  const holder = await read(files, path)
  if (holder?.id === mine.id) await files.remove(path)
}

function locked(dir: string, path: string, { pid, host, startedAt }: Holder): DestinationError {
  const where = host === hostname() ? '' : ` on ${host}`
  const remedy = where === '' ? 'wait for it, or stop it' : `if it is gone, delete ${path}`
  const message = `pipeline "${basename(dir)}" is being run by process ${pid}${where} since ${startedAt}; ${remedy}`
  return new DestinationError('destination_locked', message, { destination: basename(dir), transient: true })
}
