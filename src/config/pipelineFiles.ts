import { readdir, stat } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { isPlain } from '../rest/document/references.js'
import { fileError, readDocument, readText } from './file/documentFile.js'

/** What files and folders name. */
export interface NamedFiles {
  readonly files: readonly string[]
  /** Documents of folders that are no pipelines, but for those that Sluice writes. */
  readonly skipped: readonly string[]
}

/**
 * The pipeline files among these files and folders. Of a folder, its YAML and JSON documents with `client`, `resources`
 * or `source` count; modules run code, so that they have to be named. Throws a ConfigError for a folder without any.
 */
export async function pipelineFiles(paths: readonly string[]): Promise<NamedFiles> {
  const files: string[] = []
  const skipped: string[] = []
  for (const path of paths) {
    if (!(await isFolder(path))) {
      files.push(path)
      continue
    }
    const documents = (await readdir(path)).filter(name => /\.(ya?ml|json)$/i.test(name)).sort()
    let found = 0
    for (const document of documents.map(name => join(path, name))) {
      if (await mayBePipeline(document)) {
        files.push(document)
        found += 1
      } else if (!OWN_FILES.test(document)) skipped.push(document)
    }
    if (found === 0) throw fileError(path, 'holds no pipeline file: no YAML or JSON document with `resources`')
  }
  return { files: [...new Set(files)], skipped }
}

const OWN_FILES = /\.(?:proof\.json|schema\.ya?ml)$/i

/** Throws a ConfigError about the first path that is neither a file nor a folder. */
export async function refuseMissing(paths: readonly string[]): Promise<void> {
  for (const path of paths) if (!(await isFolder(path))) await readText(path)
}

async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() === true
}

/** A document that cannot be read may be one: running it says why it is none. */
async function mayBePipeline(path: string): Promise<boolean> {
  try {
    const { value } = await readDocument(path)
    return isPlain(value) && ['client', 'resources', 'source'].some(key => Object.hasOwn(value, key))
  } catch {
    return extname(path).toLowerCase() !== '.json'
  }
}
