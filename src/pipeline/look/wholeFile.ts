import { rename, writeFile } from 'node:fs/promises'

/** Writes to a temporary file beside it, then renames. Nobody reads half a file. Replaces an existing file. */
export async function replaceFile(path: string, text: string): Promise<void> {
  await writeFile(`${path}.partial`, text)
  await rename(`${path}.partial`, path)
}
