import { parser } from '@lezer/python'
import { fileError } from '../../../config/file/documentFile.js'
import type { Imported, ImportedPipeline, ImportInput, ImportNote } from '../../imported.js'
import { DltDocument } from './dltDocument.js'
import { PythonScript, type Seen, TooMuch } from './pythonScript.js'
import { isCall, isMap, type PythonValue } from './pythonValues.js'

/** Most nested brackets. The parser's time grows with their square. */
const DEEPEST = 1_000

function isDeep(text: string): boolean {
  let depth = 0
  for (const [bracket] of text.matchAll(/[[({\])}]/g)) {
    depth = '[({'.includes(bracket) ? depth + 1 : Math.max(0, depth - 1)
    if (depth > DEEPEST) return true
  }
  return false
}

/**
 * Makes pipelines from the `rest_api` documents in a dlt script: the arguments of `rest_api_source`,
 * `rest_api_resources` and `rest_api`. If there are none, every dictionary with `client` and `resources` counts. The
 * script is parsed and never run.
 */
export function importDlt({ text, file, name }: ImportInput): Imported {
  const shown = file ?? 'script'
  if (isDeep(text)) throw fileError(shown, 'is nested too deeply to be read')
  const top = parser.parse(text).topNode
  try {
    const script = new PythonScript(text, top, WANTED)
    const documents = documentsOf(script.seen)
    const found = documents.length > 0 ? documents : writtenIn(script.dictionaries(top))
    if (found.length === 0) {
      const why =
        'holds no `rest_api` document: no call of rest_api_source or rest_api_resources, and no dictionary with `client` and `resources`'
      throw fileError(shown, why)
    }
    const target = targetOf(script.seen)
    const changes = changesOf(script.seen)
    const pipelines = found.map(({ document, line, wanted }) => {
      const made = new DltDocument(line, script.assumed).pipeline(document)
      return withTarget(
        { ...made, notes: [...made.notes, ...changes] },
        {
          ...target,
          name: name ?? (found.length > 1 ? wanted : undefined) ?? target.name ?? wanted ?? 'rest_api',
        },
      )
    })
    return { pipelines: unlike(pipelines), leftOut: [] }
  } catch (error) {
    if (error instanceof TooMuch) throw fileError(shown, 'makes more values than a script that somebody wrote')
    throw error
  }
}

interface WrittenDocument {
  readonly document: ReadonlyMap<string, PythonValue>
  readonly line: number
  readonly wanted: string | undefined
}

const SOURCES = /^(?:rest_api_source|rest_api_resources|rest_api)$/
/** Methods that change the resources of a source. */
const CHANGES = /^(?:add_(?:map|filter|yield_map|limit|step)|apply_hints|with_resources)$/
const WANTED = new RegExp(`${SOURCES.source}|${CHANGES.source}|^pipeline$`)

function documentsOf(seen: readonly Seen[]): readonly WrittenDocument[] {
  return seen.flatMap(({ call: { call, positional, named, line }, within }) => {
    if (!SOURCES.test(call)) return []
    const config = positional[0] ?? named.get('config') ?? new Map(named)
    const given = named.get('name')
    return isDocument(config) ? [{ document: config, line, wanted: typeof given === 'string' ? given : within }] : []
  })
}

function writtenIn(dictionaries: ReturnType<PythonScript['dictionaries']>): readonly WrittenDocument[] {
  return dictionaries.flatMap(([document, line]) =>
    isDocument(document) ? [{ document, line, wanted: undefined }] : [],
  )
}

function isDocument(value: PythonValue | undefined): value is Map<string, PythonValue> {
  return isMap(value) && value.has('client') && value.has('resources')
}

/** Notes what the script does with its resources later. A document cannot express that. */
function changesOf(seen: readonly Seen[]): readonly ImportNote[] {
  const lines = new Map(
    seen.filter(({ call }) => CHANGES.test(call.call)).map(({ written, call }) => [call.line, written] as const),
  )
  return [...lines].map(([line, written]) => ({
    kind: 'open',
    text: `the script changes its resources by ${written.slice(-60)}: say it in the document, or leave it`,
    place: { line },
  }))
}

/** Leaves out equal pipelines, as from a function that is called twice with the same values. */
function unlike(pipelines: readonly ImportedPipeline[]): readonly ImportedPipeline[] {
  const documents = pipelines.map(({ name, document }) => JSON.stringify([name, document.source]))
  return pipelines.filter((_, index) => documents.indexOf(documents[index] ?? '') === index)
}

interface Target {
  readonly name?: string | undefined
  readonly dataset?: string | undefined
  readonly notes: readonly ImportNote[]
}

/** The arguments of `dlt.pipeline(…)`. */
function targetOf(seen: readonly Seen[]): Target {
  const found = seen.find(({ written }) => written === 'dlt.pipeline' || written === 'pipeline')?.call
  if (found === undefined) return { notes: [] }
  const text = (key: string): string | undefined => {
    const value = found.named.get(key)
    return typeof value === 'string' && !value.includes('${') ? value : undefined
  }
  const written = found.named.get('destination')
  const engine = isCall(written) ? written.call : typeof written === 'string' ? written : undefined
  const notes: ImportNote[] =
    engine === undefined || engine === 'duckdb'
      ? []
      : [
          {
            kind: 'open',
            place: { line: found.line },
            target: 'destination',
            text: `the script loads into ${engine}; name the place here, as in postgres://host/database`,
          },
        ]
  const [first] = found.positional
  return {
    name: text('pipeline_name') ?? (typeof first === 'string' ? first : undefined),
    dataset: text('dataset_name'),
    notes,
  }
}

function withTarget(made: ImportedPipeline, { name = made.name, dataset, notes }: Target): ImportedPipeline {
  return {
    ...made,
    name,
    document: { ...made.document, ...(dataset !== undefined && { dataset }) },
    notes: [...made.notes, ...notes],
  }
}
