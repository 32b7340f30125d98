import { DestinationError, SluiceError } from '../../model/errors.js'

/** Explains a failure of the disk, DuckDB or the object store, and what to do about it. */
export function filesError(error: unknown, place: string, doing: string): unknown {
  if (error instanceof SluiceError || (error as { name?: unknown } | null)?.name === 'AbortError') return error
  const text = (error instanceof Error ? error.message : String(error)).split('\n')[0] ?? ''
  const code = (error as { code?: unknown } | null)?.code
  const fail = (message: string, transient = false): DestinationError =>
    new DestinationError('destination', message, { destination: place, transient, cause: error })

  if (code === 'ENOSPC' || code === 'EDQUOT' || /No space left/i.test(text))
    return fail(`No space left for ${place} (while ${doing})`, true)
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS' || /Permission denied|read-only/i.test(text))
    return fail(`No right to write into ${place} (while ${doing}); change the rights or name another folder`)
  if (code === 'ENOTDIR' || code === 'EEXIST')
    return fail(`${place} cannot be used: there is a file where a folder is needed (while ${doing})`)
  if (/Conversion Error|Invalid Input Error/i.test(text))
    return fail(`A value does not fit its column (while ${doing}): ${text}`)
  return fail(`${place}: failed while ${doing}: ${text}`)
}
