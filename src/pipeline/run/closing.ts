import { lockPipeline, type PipelineLock } from '../../journal/journal.js'
import type { Connection } from '../../model/destination.js'
import { SluiceError, stoppedBy } from '../../model/errors.js'
import type { RunEvent } from '../../model/events.js'
import type { Source } from '../../model/source.js'
import { type PipelineSetup, pipelineFolder, type RunOptions } from '../setup.js'

/** Runs `work` under the lock of a folder, that of the pipeline if no other is given. Always releases the lock. */
export async function underLock<T>(
  setup: PipelineSetup,
  options: Pick<RunOptions, 'onEvent' | 'signal'>,
  work: (lock: PipelineLock) => Promise<T>,
  folder: string = pipelineFolder(setup),
): Promise<T> {
  const emit = options.onEvent ?? (() => {})
  const lock = await lockPipeline(setup.files, folder, {
    ...setup.clock,
    signal: options.signal,
    warn: (code, message) => emit({ type: 'warning', code, message }),
  }).catch((error: unknown) => {
    throw stopped(options.signal, error)
  })
  try {
    return await work(lock)
  } finally {
    await warningOf(emit, 'its lock could not be released', () => lock.release())
  }
}

/** Runs `work`. If it fails, says so in an event. A run that is stopped always fails alike, whatever it was doing. */
export async function failingAloud<T>(
  { onEvent = () => {}, signal }: Pick<RunOptions, 'onEvent' | 'signal'>,
  work: () => Promise<T>,
): Promise<T> {
  try {
    signal?.throwIfAborted()
    return await work()
  } catch (error) {
    throw failing(stopped(signal, error), onEvent)
  }
}

/** Works that use a source at this moment: windows of one list are loaded beside each other. */
const users = new WeakMap<Source, number>()

/** Runs `work` and closes the source when nobody uses it any more. */
export async function closingSource<T>(
  { source }: Pick<PipelineSetup, 'source'>,
  emit: (event: RunEvent) => void,
  work: () => Promise<T>,
): Promise<T> {
  users.set(source, (users.get(source) ?? 0) + 1)
  try {
    return await work()
  } finally {
    const others = (users.get(source) ?? 1) - 1
    users.set(source, others)
    if (others === 0) await warningOf(emit, 'its source could not be closed', () => source.close())
  }
}

/** Runs `work` with a connection and always closes it afterwards. */
export async function closingConnection<T>(
  connection: Connection,
  emit: (event: RunEvent) => void,
  work: (connection: Connection) => Promise<T>,
): Promise<T> {
  try {
    return await work(connection)
  } finally {
    await warningOf(emit, 'its destination could not be closed', async () => await connection[Symbol.asyncDispose]())
  }
}

/** A failure at the end of a run does not hide an earlier failure, and does not fail a run that has committed. */
export async function warningOf(
  emit: (event: RunEvent) => void,
  what: string,
  step: () => Promise<void>,
): Promise<void> {
  try {
    await step()
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    emit({ type: 'warning', code: 'other', message: `The run is over, but ${what}: ${reason}` })
  }
}

/** A stopped run always reports the same error, whatever it was doing. */
function stopped(signal: AbortSignal | undefined, error: unknown): unknown {
  return stoppedBy(signal, error, why => `the run was stopped (${why}); nothing was committed`)
}

/** Emits the failure and returns the error. */
function failing(error: unknown, emit: (event: RunEvent) => void): unknown {
  const message = error instanceof Error ? error.message : String(error)
  emit({ type: 'run_failed', code: error instanceof SluiceError ? error.code : 'unexpected', message })
  return error
}
