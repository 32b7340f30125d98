import { readFile, readlink } from 'node:fs/promises'
import { hostname } from 'node:os'
import { basename, join } from 'node:path'
import { DestinationError } from '../model/errors.js'
import { nodeCrypto } from '../model/runtime/nodeCrypto.js'
import { failure } from './append.js'
import type { Files, OpenFile } from './fileSystem.js'

/**
 * Keeps other runs of the same pipeline out until `release()` or the end of the process. While the lock is held, a
 * heartbeat is written into it every few seconds, for runs that cannot see the process.
 */
export interface PipelineLock {
  /**
   * Call it before a commit. Rejects with `destination_locked` if another run took over the lock because this process
   * gave no heartbeat for too long. Between this check and the commit only the destination separates the two runs.
   */
  check(): Promise<void>
  /** Idempotent. */
  release(): Promise<void>
}

export interface LockOptions {
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** Resolves after this many milliseconds, even if the clock is changed meanwhile. */
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>
  readonly signal?: AbortSignal | undefined
  /** Called when the run waits for another run's lock, and when it takes the lock over. */
  readonly warn?: ((code: 'lock_waited_for' | 'lock_taken_over', message: string) => void) | undefined
}

/** The time between two heartbeats. */
export const BEAT_MS = 5000
/** After this long without a heartbeat an owner on another machine or in another container counts as dead. */
const SILENCE_MS = 30_000
/** If the clocks say that the last heartbeat is older than that, the lock is watched only this long: clocks may be wrong. */
const LOOK_MS = 12_000

/** Who has a lock, or a journal that others can reach. */
export interface Holder {
  readonly pid: number
  readonly host: string
  /** ISO timestamp. */
  readonly startedAt: string
  /** When the process began, as the system reports it, if it does. Pids are reused. */
  readonly process?: string | undefined
  /** Where the pid is valid: one boot of one machine, one container. Undefined if unknown. */
  readonly place?: string | undefined
  /** Identifies the lock. */
  readonly id: string
  /** ISO timestamp of the last heartbeat. */
  readonly beat?: string | undefined
  /** What is known of a file that names no holder. The other fields say nothing then. */
  readonly broken?: string | undefined
}

/**
 * Takes the lock of the pipeline in `dir`: the file `lock.json`. If its owner's process on this machine is gone, the
 * lock is taken over at once. A lock of another machine or container is watched for a heartbeat, for up to
 * {@link SILENCE_MS} by a clock that does not jump, and taken over without one. Rejects with a DestinationError
 * `destination_locked` that names the pid and start time of the owner.
 */
export async function lockPipeline(files: Files, dir: string, options: LockOptions): Promise<PipelineLock> {
  const path = join(dir, 'lock.json')
  const { now } = options
  const mine = await ownHolder(now)
  try {
    await files.makeFolder(dir)
    // A dead process's lock is moved away. The next attempt then finds the place free, unless another run was faster.
    for (let attempts = 0; attempts < 20; attempts++) {
      const taken = await take(files, path, mine, now)
      if (taken !== undefined) {
        await removeDrafts(files, dir, path)
        return held(files, dir, path, mine, taken)
      }
      const holder = await read(files, path)
      if (holder === undefined) continue
      const beating = () => isBeating(basename(dir), () => read(files, path), holder, options)
      if (await isAlive(holder, beating)) throw lockedBy(basename(dir), holder)
      await moveAway(files, path, holder)
      // A dead process on this machine needs no warning.
      if (holder.broken === undefined && holder.host === mine.host && holder.place === mine.place) continue
      options.warn?.('lock_taken_over', takenOver(path, basename(dir), holder))
    }
  } catch (error) {
    options.signal?.throwIfAborted()
    throw error instanceof DestinationError ? error : failure(path, error)
  }
  throw new DestinationError('destination_locked', `${path} changes hands all the time; run again`, {
    destination: basename(dir),
    transient: true,
  })
}

/** This process, under a new id. */
export async function ownHolder(now: () => number): Promise<Holder> {
  return {
    pid: process.pid,
    host: hostname(),
    startedAt: new Date(now()).toISOString(),
    process: await ownStart(),
    place: await ownPlace(),
    id: nodeCrypto().randomUUID(),
  }
}

/** Writes heartbeats into the file of its own lock, even after a rename, and never into another's. */
interface Pulse {
  stop(): Promise<void>
}

/** Takes the lock completely or not at all. It writes a draft and links it, which fails if a lock exists. */
async function take(files: Files, path: string, holder: Holder, now: () => number): Promise<Pulse | undefined> {
  const draft = `${path}.${holder.id}`
  const beatOf = (): string => new Date(now()).toISOString()
  const text = `${JSON.stringify({ ...holder, beat: beatOf() })}\n`
  await files.writeText(draft, text)
  let file: OpenFile | undefined
  let isTaken = false
  try {
    file = await files.open(draft, 'r+')
    await files.link(draft, path)
    isTaken = true
    return pulse(file, Buffer.byteLength(text) - '0000-00-00T00:00:00.000Z"}\n'.length, beatOf)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    // Another run may have removed the half-written draft, because it looked like that of a dead process.
    if (code === 'EEXIST' || code === 'ENOENT') return undefined
    throw error
  } finally {
    if (!isTaken) await file?.close().catch(() => {})
    await files.remove(draft)
  }
}

function pulse(file: OpenFile, position: number, beatOf: () => string): Pulse {
  let beating: Promise<void> | undefined
  const beat = async (): Promise<void> => {
    await file.write([Buffer.from(beatOf())], position)
    // For machines that share the file over a network.
    await file.sync()
  }
  const timer = setInterval(() => {
    // The next heartbeat makes up for a failed one. A lost lock is noticed before the commit.
    beating ??= beat()
      .catch(() => {})
      .finally(() => {
        beating = undefined
      })
  }, BEAT_MS)
  timer.unref()
  let stopping: Promise<void> | undefined
  return {
    stop() {
      clearInterval(timer)
      stopping ??= (beating ?? Promise.resolve()).then(() => file.close())
      return stopping
    },
  }
}

function held(files: Files, dir: string, path: string, mine: Holder, beats: Pulse): PipelineLock {
  return {
    async check() {
      const holder = await read(files, path)
      if (holder?.id === mine.id) return
      throw new DestinationError(
        'destination_locked',
        `this run of pipeline "${basename(dir)}" lost its lock ${path}: ${whatHappened(holder)}; nothing was committed`,
        { destination: basename(dir), transient: true },
      )
    },
    async release() {
      await beats.stop().catch(() => {})
      await release(files, path, mine)
    },
  }
}

function whatHappened(holder: Holder | undefined): string {
  if (holder === undefined) return 'it was removed. Run again'
  if (holder.broken !== undefined) return `the file ${holder.broken} now. Run again`
  return `process ${holder.pid} on ${holder.host} has it now. This run stood still for too long`
}

function takenOver(path: string, pipeline: string, { broken, pid, host }: Holder): string {
  if (broken === undefined)
    return `The lock of pipeline "${pipeline}" was taken over from process ${pid} on ${host}, which gives no sign of life. If it goes on after all, it commits nothing`
  return `The lock of pipeline "${pipeline}" was taken over, and its former holder is unknown: ${path} ${broken}, as after a power cut or on a full disk. If its run goes on after all, it commits nothing`
}

/** Watches a lock of a process that cannot be seen from here, until a heartbeat comes or the wait is over. */
export async function isBeating(
  pipeline: string,
  read: () => Promise<Holder | undefined>,
  holder: Holder,
  { now, sleep, signal, warn }: LockOptions,
): Promise<boolean> {
  const silentMs = now() - Date.parse(holder.beat ?? holder.startedAt)
  const isRecent = silentMs >= 0 && silentMs < SILENCE_MS
  const watchMs = isRecent ? Math.max(LOOK_MS, SILENCE_MS - silentMs) : LOOK_MS
  const who = `process ${holder.pid} on ${holder.host}`
  warn?.(
    'lock_waited_for',
    `Pipeline "${pipeline}" is locked by ${who} since ${holder.startedAt}; waiting up to ${Math.ceil(watchMs / 1000)} s for a sign of life`,
  )
  for (let waitedMs = 0; waitedMs < watchMs; waitedMs += 1000) {
    await sleep(1000, signal)
    const found = await read()
    if (found === undefined || found.id !== holder.id || found.beat !== holder.beat) return found !== undefined
  }
  return false
}

/** Removes drafts of locks whose processes were killed before they could do it. */
async function removeDrafts(files: Files, dir: string, path: string): Promise<void> {
  for (const name of await files.list(dir)) {
    if (!name.startsWith(`${basename(path)}.`)) continue
    const draft = join(dir, name)
    const holder = await read(files, draft)
    // Nothing is known about processes elsewhere. Their drafts do no harm.
    if (holder !== undefined && !(await isAlive(holder, async () => true))) await files.remove(draft)
  }
}

/** Undefined if the lock is gone. */
async function read(files: Files, path: string): Promise<Holder | undefined> {
  let text = ''
  try {
    text = await files.readText(path)
    const value: unknown = JSON.parse(text)
    if (isHolder(value)) return value
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    if (!(error instanceof SyntaxError)) throw error
  }
  // No lock owner writes such a file. A power cut or an editor left it.
  const broken = text.trim() === '' ? 'is empty' : 'names no process'
  return { pid: 0, host: '', startedAt: '', id: '', broken }
}

export function isHolder(value: unknown): value is Holder {
  if (typeof value !== 'object' || value === null) return false
  const { pid, host, startedAt, id } = value as Partial<Record<keyof Holder, unknown>>
  // To the system, 0 and less stand for many processes.
  return Number.isSafeInteger(pid) && Number(pid) > 0 && [host, startedAt, id].every(text => typeof text === 'string')
}

/** `isBeating` is asked of a process that cannot be seen from here. */
export async function isAlive(holder: Holder, isBeating: () => Promise<boolean>): Promise<boolean> {
  if (holder.broken !== undefined) return false
  if (!(await isHere(holder))) return await isBeating()
  try {
    process.kill(holder.pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
  const start = await processStart(holder.pid)
  return start === undefined || holder.process === undefined || start === holder.process
}

/** Whether its process can be seen from here. */
export async function isHere(holder: Holder): Promise<boolean> {
  const own = await ownPlace()
  return own === undefined || holder.place === undefined ? holder.host === hostname() : holder.place === own
}

let here: Promise<string | undefined> | undefined

/** The boot of this machine and the pid namespace of this process, on Linux. */
function ownPlace(): Promise<string | undefined> {
  here ??= Promise.all([readFile('/proc/sys/kernel/random/boot_id', 'utf8'), readlink('/proc/self/ns/pid')]).then(
    ([boot, pids]) => `${boot.trim()} ${pids}`,
    () => undefined,
  )
  return here
}

/** When a process began, in ticks since boot, on Linux. Undefined elsewhere. */
async function processStart(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined)
  // The second field is the program's name in parentheses and may hold anything; the 20th after it is the start.
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
}

let own: Promise<string | undefined> | undefined

/** The start of this process, which never changes. */
function ownStart(): Promise<string | undefined> {
  own ??= processStart(process.pid)
  return own
}

async function moveAway(files: Files, path: string, dead: Holder): Promise<void> {
  const aside = `${path}.${nodeCrypto().randomUUID()}`
  try {
    await files.rename(path, aside)
    // Another run may have put its own lock there meanwhile.
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

export function lockedBy(pipeline: string, { pid, host, startedAt }: Holder): DestinationError {
  const where = host === hostname() ? '' : ` on ${host}`
  const isOwn = where === '' && pid === process.pid
  let remedy = 'it gives signs of life: wait for it, or stop it; once it is silent, the next run takes its lock over'
  if (isOwn) remedy = 'await the run before this one'
  else if (where === '') remedy = 'wait for it, or stop it'
  const message = `pipeline "${pipeline}" is being run by ${isOwn ? 'this program' : `process ${pid}${where}`} since ${startedAt}; ${remedy}`
  return new DestinationError('destination_locked', message, { destination: pipeline, transient: true })
}
