import { writeFile } from 'node:fs/promises'
import { replaceFile } from '../journal/wholeFile.js'
import { ConfigError } from '../model/errors.js'

/** Writes a whole file or nothing. Replaces an existing file. If `replace` is false, an existing file is an error. */
export async function writeWhole(path: string, text: string, { replace = true } = {}): Promise<void> {
  try {
    if (!replace) {
      await writeFile(path, text, { flag: 'wx' })
      return
    }
    await replaceFile(path, text)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const message =
      code === 'EEXIST'
        ? 'exists already and is not overwritten; name another file with --out'
        : `cannot be written (${code ?? 'unknown reason'})`
    throw new ConfigError([{ place: { path: '', file: path }, message }])
  }
}
