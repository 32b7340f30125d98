import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { dirname, extname, relative, resolve } from 'node:path'
import { packageVersion } from '../projectFolder.js'

/**
 * A digest of all that decides what a pipeline file does, but for its environment: its text, that of the files which it
 * imports by relative paths, and the version of this package. Processes with the same one do the same.
 */
export async function fileDigest(file: string): Promise<string> {
  const hash = createHash('sha256').update(`${packageVersion()}\n`)
  const folder = dirname(resolve(file))
  for (const [path, text] of [...(await filesOf(resolve(file)))].sort(([a], [b]) => (a < b ? -1 : 1))) {
    // Machines have the project in folders of their own.
    hash.update(`${JSON.stringify([relative(folder, path).replaceAll('\\', '/'), text.length])}\n`).update(text)
  }
  return hash.digest('hex')
}

/** The file and all that it imports, by path. What an import finds nowhere is for the one who runs it to tell. */
async function filesOf(file: string): Promise<ReadonlyMap<string, Buffer>> {
  const found = new Map([[file, await readFile(file)]])
  for (const [path, text] of found) {
    if (!CODE.has(extname(path).toLowerCase())) continue
    for (const wanted of importsIn(text.toString())) {
      for (const candidate of candidatesFor(resolve(dirname(path), wanted))) {
        if (found.has(candidate)) break
        const read = await readFile(candidate).catch(() => undefined)
        if (read === undefined) continue
        found.set(candidate, read)
        break
      }
    }
  }
  return found
}

const ENDINGS = ['.ts', '.mts', '.cts', '.js', '.mjs', '.cjs', '.json']
const CODE: ReadonlySet<string> = new Set(ENDINGS.filter(ending => ending !== '.json'))

/** Paths that begin with a dot, wherever a text in quotes is one: one too many does no harm, one too few would. */
function importsIn(code: string): readonly string[] {
  return [...code.matchAll(/(["'`])(\.\.?\/[^"'`\n]*)\1/g)].map(([, , path = '']) => path)
}

/** As TypeScript and Node find them: `./shared.js` may be `shared.ts`, and `./shared` a file or a folder. */
function candidatesFor(path: string): readonly string[] {
  const bare = path.replace(/\.([mc]?)js$/, '')
  const written = bare === path ? [] : ENDINGS.map(ending => `${bare}${ending}`)
  return [
    path,
    ...written,
    ...ENDINGS.map(ending => `${path}${ending}`),
    ...ENDINGS.map(ending => resolve(path, `index${ending}`)),
  ]
}
