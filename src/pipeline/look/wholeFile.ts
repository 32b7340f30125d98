import { rename, writeFile } from 'node:fs/promises'

/** Writes a file through a neighbour, so that nobody ever reads half of it. What was there is replaced. */
export async function replaceFile(path: string, text: string): Promise<void> {
  await writeFile(`${path}.partial`, text)
  await rename(`${path}.partial`, path)
}
