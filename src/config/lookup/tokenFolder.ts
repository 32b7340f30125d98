import { join } from 'node:path'
import { systemFiles } from '../../journal/fileSystem.js'
import type { PipelineLock } from '../../journal/lock.js'
import { DestinationError, RequestError, SluiceError } from '../../model/errors.js'
import type { Clock } from '../../model/source.js'
import type { TokenStore } from '../../rest/auth/authenticator.js'

/** Nobody holds the lock for longer than a token server takes to answer. */
const PATIENCE_MS = 300_000
/** A holder is done after a request: as quick as that is, it is asked again. */
const LOOK_MS = 5
const LONGEST_LOOK_MS = 100

/**
 * Tokens in a folder of this machine, or of several that share it: for each name a folder with the tokens and the lock.
 * Everything can be read by its user only.
 */
export function tokenFolder(place: string, { now, sleep, random }: Clock): TokenStore {
  const fail = (doing: string, error: unknown): RequestError => {
    const { code } = error as NodeJS.ErrnoException
    const reason = error instanceof SluiceError || code === undefined ? String((error as Error).message) : code
    return new RequestError(
      'auth',
      `tokens cannot be ${doing} in ${place}: ${reason}; name another folder in \`token_store\``,
    )
  }
  const read = async (name: string): Promise<string | undefined> => {
    try {
      return await systemFiles.readText(tokenFile(place, name))
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
      throw fail('read', error)
    }
  }
  const lock = async (name: string, signal: AbortSignal): Promise<PipelineLock> => {
    const { lockPipeline } = await import('../../journal/lock.js')
    const since = now()
    for (let looks = 0; ; looks++) {
      try {
        return await lockPipeline(systemFiles, join(place, name), { now, sleep, signal })
      } catch (error) {
        signal.throwIfAborted()
        const isHeld = error instanceof DestinationError && error.code === 'destination_locked'
        if (!isHeld) throw fail('kept', error)
        if (now() - since > PATIENCE_MS) {
          const minutes = PATIENCE_MS / 60_000
          const path = join(place, name, 'lock.json')
          throw new RequestError(
            'auth',
            `another process has been renewing a token for ${minutes} minutes; it holds ${path}`,
          )
        }
        await sleep(Math.min(LONGEST_LOOK_MS, LOOK_MS * (1 + looks)) * (0.5 + random()), signal)
      }
    }
  }
  return {
    place,
    read,
    async alone(name, signal, work) {
      const held = await lock(name, signal)
      const path = tokenFile(place, name)
      const kept = <T>(work: Promise<T>): Promise<T> =>
        work.catch((error: unknown) => {
          throw fail('kept', error)
        })
      let isUnused = true
      try {
        await kept(finishDraft(path))
        await kept(reserveDraft(path))
        return await work(await read(name), text => {
          isUnused = false
          return kept(replace(path, text))
        })
      } finally {
        // A draft that could not be renamed may be all that is left of the tokens.
        if (isUnused) await systemFiles.remove(draftOf(path)).catch(() => {})
        await held.release()
      }
    },
  }
}

function tokenFile(place: string, name: string): string {
  return join(place, name, 'tokens.json')
}

function draftOf(path: string): string {
  return `${path}.new`
}

/** More than tokens take. */
const RESERVED_BYTES = 2 ** 16

/**
 * Takes the place on the disk that new tokens need, before the server is asked for them: a full disk must not be found
 * out when the old ones are no longer good.
 */
async function reserveDraft(path: string): Promise<void> {
  await writeDraft(path, Buffer.alloc(RESERVED_BYTES, '\n'), 'w+')
}

/** What a process wrote that could not rename it, because it was killed for instance, counts if all of it is there. */
async function finishDraft(path: string): Promise<void> {
  const draft = draftOf(path)
  const text = await systemFiles.readText(draft).catch(() => '')
  if (!isJson(text)) return
  await systemFiles.rename(draft, path)
  await systemFiles.syncFolder(join(path, '..'))
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

/** The old text stays until the new one is on the disk. */
async function replace(path: string, text: string): Promise<void> {
  const draft = draftOf(path)
  await writeDraft(path, Buffer.from(text), 'r+')
  await systemFiles.rename(draft, path)
  await systemFiles.syncFolder(join(path, '..'))
}

/** `r+` writes over the place that is reserved. */
async function writeDraft(path: string, bytes: Uint8Array, flags: 'r+' | 'w+'): Promise<void> {
  const file = await systemFiles.open(draftOf(path), flags)
  try {
    for (let written = 0; written < bytes.length; ) written += await file.write([bytes.subarray(written)], written)
    await file.truncate(bytes.length)
    await file.sync()
  } finally {
    await file.close()
  }
}
