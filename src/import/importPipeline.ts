import { join } from 'node:path'
import { fileError } from '../config/file/documentFile.js'
import { checkPipelineText } from '../config/pipelineFile.js'
import { schemaAddress } from '../config/projectFolder.js'
import { ConfigError, type ConfigProblem } from '../model/errors.js'
import { anything, checkOptions, names, needed, optionsOf, path, text, wordOf } from '../model/optionKinds.js'
import { nameFrom } from './document/pipelineName.js'
import { referencesIn } from './draft/draftYaml.js'
import type { Imported, ImportedPipeline, ImportInput, ImportNote, LeftOut } from './imported.js'
import { type ImportKind, importers } from './importers.js'

export interface ImportOptions extends ImportInput {
  readonly kind: ImportKind
  /** Where to load to. Default: what the source says, or `duckdb:<name>.duckdb`. */
  readonly destination?: string | undefined
  /** Where the file will be. Default: the current folder. */
  readonly folder?: string | undefined
}

/** A pipeline file to be, which passes `sluice check --offline`. */
export interface ImportedFile extends ImportedPipeline {
  /** YAML with comments. */
  readonly text: string
}

export interface ImportResult {
  /** Empty where nothing in the source is a list that can be read; `leftOut` says why. */
  readonly pipelines: readonly ImportedFile[]
  readonly leftOut: readonly LeftOut[]
}

const forImport = optionsOf<ImportOptions>('options of importPipeline()', {
  kind: wordOf(Object.keys(importers)),
  text: text,
  file: text,
  more: anything,
  name: text,
  destination: text,
  folder: path,
  tags: names,
  paths: names,
})

/**
 * Makes pipeline files of what another tool wrote: a curl line, a HAR, OpenAPI or Postman file, a manifest of Airbyte.
 * Sends nothing, executes nothing and writes nothing. Every file has been checked; what would be refused is left out,
 * with the reason. Rejects with a ConfigError for a source that is none of its kind.
 *
 * @example
 * ```ts
 * import { writeFile } from 'node:fs/promises'
 * import { importPipeline } from 'sluice'
 *
 * const line = "curl 'https://api.example.com/shops?page=1' -H 'Authorization: Bearer …'"
 * const { pipelines, leftOut } = await importPipeline({ kind: 'curl', text: line })
 * for (const { name, text } of pipelines) await writeFile(`${name}.yaml`, text)
 * for (const { what, why } of leftOut) console.log(`${what}: ${why}`)
 * ```
 */
export async function importPipeline(options: ImportOptions): Promise<ImportResult> {
  checkOptions(needed(forImport), options)
  const { kind, destination, folder = process.cwd(), ...input } = options
  const entry = importers[kind]
  if (entry === undefined) throw fileError(kind, 'cannot be imported')
  const [importer, { concealed }] = await Promise.all([entry.load(), import('./document/conceal.js')])
  const made = concealed(await bounded(() => importer(input), options))
  const schema = schemaAddress(folder).address
  const pipelines: ImportedFile[] = []
  const leftOut = [...made.leftOut]
  for (const one of made.pipelines) {
    const complete = completed(one, options, pipelines)
    const { accepted, refused } = await checked(complete, { folder, schema, from: entry.source })
    leftOut.push(...refused)
    if (accepted !== undefined) pipelines.push(accepted)
  }
  return { pipelines, leftOut }
}

/** What is nested without end ends here. */
async function bounded(read: () => Imported | Promise<Imported>, { file, kind }: ImportOptions): Promise<Imported> {
  try {
    return await read()
  } catch (error) {
    if (error instanceof RangeError) throw fileError(file ?? kind, 'is nested too deeply to be read')
    throw error
  }
}

/** The same with a name that is free, and the keys in the usual order. */
function completed(
  made: ImportedPipeline,
  { name, destination }: ImportOptions,
  others: readonly ImportedPipeline[],
): ImportedPipeline {
  const told = nameFrom(others.length === 0 && name !== undefined ? name : made.name)?.slice(0, LONGEST_NAME) ?? 'api'
  const wanted = DEVICE.test(told) ? `${told}_api` : told
  let free = wanted
  for (let number = 2; others.some(other => other.name === free); number++) free = `${wanted}_${number}`
  const { name: _name, destination: said, dataset, source, ...more } = made.document
  const document = {
    name: free,
    destination: destination ?? said ?? `duckdb:${free}.duckdb`,
    dataset: dataset ?? `${free}_dataset`,
    ...more,
    source,
  }
  return { ...made, name: free, document, notes: made.notes.map(note => namedTarget(note, document)) }
}

/** Windows has devices of these names, and no files. */
const DEVICE = /^(?:con|prn|aux|nul|com\d|lpt\d)$/

/** Also the name of a file, which has 255 characters at most. */
const LONGEST_NAME = 100

interface Place {
  readonly folder: string
  readonly schema: string
  readonly from: string
}

/** Leaves out the resources that the checker refuses, and those that need them. */
async function checked(
  pipeline: ImportedPipeline,
  place: Place,
): Promise<{ readonly accepted?: ImportedFile; readonly refused: readonly LeftOut[] }> {
  const { importedText } = await import('./document/documentText.js')
  const refused: LeftOut[] = []
  for (let current = pipeline; ; ) {
    const resources = resourcesOf(current.document)
    if (resources.length === 0) {
      const { text, place: at } = current.notes.find(({ stopsRun }) => stopsRun === true) ?? {}
      const why = `it has no list that can be read${text === undefined ? '' : `: ${text}`}`
      const none = { what: `pipeline ${current.name}`, place: at, why }
      return { refused: refused.length > 0 ? refused : [none] }
    }
    const text = importedText(current, place.schema, place.from)
    const problems = await problemsOf(text, join(place.folder, `${current.name}.yaml`))
    if (problems.length === 0) return { accepted: { ...current, text, secrets: referred(current, text) }, refused }
    const wrong = new Map<number, string>()
    for (const { place: at, message } of problems) {
      const [, index] = /^(?:source\.)?resources\[(\d+)\]/.exec(at.path) ?? []
      if (index !== undefined && !wrong.has(Number(index))) wrong.set(Number(index), `${at.path}: ${message}`)
    }
    if (wrong.size === 0) {
      const [{ place: at, message } = { place: { path: '' }, message: '' }] = problems
      const why = `the document would be refused: ${at.path}: ${message}`
      return { refused: [...refused, { what: `pipeline ${current.name}`, why }] }
    }
    for (const [index, why] of wrong) {
      const what = nameOf(resources[index]) ?? `resource ${index + 1}`
      refused.push({ what, why: `the document would be refused: ${why}` })
    }
    current = without(current, new Set(wrong.keys()))
  }
}

async function problemsOf(text: string, file: string): Promise<readonly ConfigProblem[]> {
  try {
    await checkPipelineText(text, file)
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
}

function without(pipeline: ImportedPipeline, indexes: ReadonlySet<number>): ImportedPipeline {
  const resources = resourcesOf(pipeline.document)
  const gone = new Set([...indexes].map(index => nameOf(resources[index])))
  return {
    ...pipeline,
    document: {
      ...pipeline.document,
      source: {
        ...(pipeline.document.source as object),
        resources: resources.filter((_, index) => !indexes.has(index)),
      },
    },
    notes: pipeline.notes.filter(({ resource }) => resource === undefined || !gone.has(resource)),
  }
}

function resourcesOf({ source }: Readonly<Record<string, unknown>>): readonly unknown[] {
  const { resources } = (source ?? {}) as { resources?: unknown }
  return Array.isArray(resources) ? resources : []
}

function nameOf(resource: unknown): string | undefined {
  if (typeof resource === 'string') return resource
  const { name } = (resource ?? {}) as { name?: unknown }
  return typeof name === 'string' ? name : undefined
}

/** Positions change when a resource is left out; names do not. */
function namedTarget(note: ImportNote, document: Readonly<Record<string, unknown>>): ImportNote {
  const [start, index] = /^source\.resources\[(\d+)\]/.exec(note.target ?? '') ?? []
  if (start === undefined) return note
  const name = nameOf(resourcesOf(document)[Number(index)])
  if (name === undefined) return note
  const target = `source.resources[${JSON.stringify(name)}]${note.target?.slice(start.length)}`
  return { ...note, target, resource: note.resource ?? name }
}

/** The secrets that the text refers to, each once. */
function referred({ secrets }: ImportedPipeline, text: string): ImportedPipeline['secrets'] {
  return referencesIn(text, 'secrets').map(
    name => secrets.find(secret => secret.name === name) ?? { name, what: 'a secret' },
  )
}
