import { createHash } from 'node:crypto'
import { stat } from 'node:fs/promises'
import { relative, resolve } from 'node:path'
import { loadPipelineFile, type PipelineFileOptions } from '../config/pipelineFile.js'
import { pipelineFiles, refuseMissing } from '../config/pipelineFiles.js'
import { SluiceError } from '../model/errors.js'
import type { Pipeline } from '../pipeline/pipeline.js'
import type { BrokenFile, PipelineFacts } from './pageContract.js'

/** A pipeline of a file, opened to look at what it loaded. */
export interface OpenPipeline {
  readonly facts: PipelineFacts
  /** Absolute. */
  readonly path: string
  readonly pipeline: Pipeline
}

/** A page waits with somebody before it. A run waits for as long as its destination does. */
const LOOK_LOCK_TIMEOUT_MS = 300

type Opened = { readonly changed: string; readonly entries: readonly (OpenPipeline | BrokenFile)[] }

/**
 * The pipelines of files and folders. A file is read when somebody asks for it, and again when it changed: a thousand
 * files cost nothing until they are looked at.
 */
export class OpenPipelines {
  readonly #paths: readonly string[]
  readonly #overrides: PipelineFileOptions
  #listed: { readonly changed: string; readonly files: readonly string[] } | undefined
  readonly #opened = new Map<string, Opened>()
  /** The file of each id that was told. */
  readonly #files = new Map<string, string>()

  constructor(paths: readonly string[], overrides: PipelineFileOptions) {
    this.#paths = paths
    this.#overrides = overrides
  }

  get cwd(): string {
    return this.#overrides.cwd ?? process.cwd()
  }

  /** Throws a ConfigError if a file or a folder that was named is not there, or a folder holds no pipeline file. */
  async begin(): Promise<void> {
    await refuseMissing(this.#paths.map(path => relative('', resolve(this.cwd, path)) || '.'))
    await this.files()
  }

  /** Files as they are now, in order: a folder may have got new ones. */
  async files(search = ''): Promise<readonly string[]> {
    const paths = this.#paths.map(path => resolve(this.cwd, path))
    const changed = (await Promise.all(paths.map(changeOf))).join()
    if (this.#listed?.changed !== changed) this.#listed = { changed, files: (await pipelineFiles(paths)).files }
    const { files } = this.#listed
    const wanted = search.trim().toLowerCase()
    return wanted === '' ? files : files.filter(file => relative(this.cwd, file).toLowerCase().includes(wanted))
  }

  async ofFile(path: string): Promise<readonly (OpenPipeline | BrokenFile)[]> {
    const changed = await changeOf(path)
    const known = this.#opened.get(path)
    // A problem may lie elsewhere: a secret that is missing is there later, and the file is the same.
    const isKnown = known?.changed === changed && !known.entries.some(entry => 'problem' in entry)
    if (isKnown) return known.entries
    const entries = await this.#read(path)
    this.#opened.set(path, { changed, entries })
    for (const entry of entries) this.#files.set('facts' in entry ? entry.facts.id : entry.id, path)
    return entries
  }

  /** The pipeline of an id, or what is wrong with its file. Undefined if there is none. */
  async byId(id: string): Promise<OpenPipeline | BrokenFile | undefined> {
    const path = await this.fileOf(id)
    const entries = path === undefined ? [] : await this.ofFile(path)
    return entries.find(entry => ('facts' in entry ? entry.facts.id : entry.id) === id)
  }

  /** The file of an id, also where it holds no pipeline. */
  async fileOf(id: string): Promise<string | undefined> {
    return this.#files.get(id) ?? (await this.#find(id))
  }

  /** The same pipeline with its secrets, for requests. */
  async forRequests({ path, facts }: OpenPipeline): Promise<Pipeline | undefined> {
    const { pipelines } = await loadPipelineFile(path, this.#overrides)
    return pipelines.find(({ name }) => name === facts.name)
  }

  async #find(id: string): Promise<string | undefined> {
    for (const file of await this.files()) {
      await this.ofFile(file)
      if (this.#files.has(id)) break
    }
    return this.#files.get(id)
  }

  async #read(path: string): Promise<readonly (OpenPipeline | BrokenFile)[]> {
    const file = relative(this.cwd, path) || path
    try {
      const { pipelines, schedule } = await loadPipelineFile(file, {
        ...this.#overrides,
        withoutSecrets: true,
        lockTimeoutMs: LOOK_LOCK_TIMEOUT_MS,
      })
      return pipelines.map((pipeline, index) => {
        const { name, destination, datasetName: dataset, source } = pipeline
        const resources = source.resources.map(resource => resource.name)
        // The first one keeps its id where the file has problems for a while, or gets another name.
        const id = idOf(path, index === 0 ? '' : name)
        return {
          path,
          pipeline,
          facts: { id, file, name, destination: destination.name, dataset, resources, schedule },
        }
      })
    } catch (error) {
      if (!(error instanceof SluiceError)) throw error
      return [{ id: idOf(path, ''), file, problem: error.message }]
    }
  }
}

/** Another text when the file is another, or when a folder has other entries. */
async function changeOf(path: string): Promise<string> {
  const { mtimeMs, size } = await stat(path).catch(() => ({ mtimeMs: 0, size: 0 }))
  return `${mtimeMs} ${size}`
}

/** Short, and no path that a request could change. */
function idOf(path: string, name: string): string {
  return createHash('sha256').update(`${path}\0${name}`).digest('base64url').slice(0, 16)
}
