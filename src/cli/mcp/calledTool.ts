import type { JsonObject } from '../../json/value.js'
import { stringifyJson } from '../../json/write.js'
import { ConfigError, SluiceError } from '../../model/errors.js'
import { checkOptions, needed } from '../../model/optionKinds.js'
import { scrubbedFailure } from '../../model/secrets/scrubber.js'
import { nearMiss } from '../../model/texts/nearMiss.js'
import { type Pipeline, scrubberOf } from '../../pipeline/pipeline.js'
import type { OpenPipeline, OpenPipelines } from '../../studio/openPipelines.js'
import { TOOLS, type ToolContext } from './tools.js'

/** Longer answers are cut: an agent pays for each character. */
const MOST_CHARACTERS = 100_000

export interface CallContext extends Pick<ToolContext, 'approve' | 'signal' | 'clock'> {
  readonly pipelines: OpenPipelines
}

/** What a tool answers, as JSON without secrets. Rejects with a SluiceError, whose message holds none either. */
export async function calledTool(
  { name, arguments: given = {} }: { readonly name: string; readonly arguments?: Record<string, unknown> | undefined },
  { pipelines, ...context }: CallContext,
): Promise<string> {
  const tool = TOOLS.find(one => one.name === name)
  if (tool === undefined) throw refused('tool', `there is no tool ${name}`)
  const { pipeline: wanted, ...asked } = given
  checkOptions(needed(tool.kind), asked, name)
  if (tool.needs === 'files') return cut(stringifyJson(await listed(pipelines)))
  const found = await chosen(pipelines, wanted)
  const pipeline = tool.needs === 'secrets' ? await withSecrets(pipelines, found) : found.pipeline
  const clean = await cleaning(pipelines, found, pipeline)
  try {
    const answer = await tool.answer(asked, { ...context, pipeline, path: found.path })
    return cut(clean.text(stringifyJson(answer)))
  } catch (error) {
    throw scrubbedFailure(error, clean)
  }
}

/** Files with their pipelines, or what is wrong with them. */
async function listed(pipelines: OpenPipelines): Promise<readonly JsonObject[]> {
  const files = (await pipelines.files()).slice(0, MOST_FILES)
  const entries = (await Promise.all(files.map(file => pipelines.ofFile(file)))).flat()
  return entries.map((entry): JsonObject => {
    if (!('facts' in entry)) return { file: entry.file, problem: entry.problem }
    const { file, name, destination, dataset, resources, schedule = null } = entry.facts
    return { file, name, destination, dataset, resources, schedule }
  })
}

const MOST_FILES = 100

/** By its name or its file. The only one needs no name. */
async function chosen(pipelines: OpenPipelines, wanted: unknown): Promise<OpenPipeline> {
  const entries = (await Promise.all((await pipelines.files()).map(file => pipelines.ofFile(file)))).flat()
  const open = entries.filter((entry): entry is OpenPipeline => 'facts' in entry)
  const [only, second] =
    wanted === undefined ? open : open.filter(({ facts }) => [facts.name, facts.file].includes(String(wanted)))
  if (only !== undefined && second === undefined) return only
  const broken = entries.find(entry => !('facts' in entry) && (wanted === undefined || entry.file === wanted))
  if (only === undefined && broken !== undefined && 'problem' in broken) throw refused(broken.file, broken.problem)
  const names = open.map(({ facts }) => facts.name)
  if (wanted === undefined || second !== undefined)
    throw refused('pipeline', `say which one, by its file: ${open.map(({ facts }) => facts.file).join(', ')}`)
  const near = nearMiss(String(wanted), names)
  const hint = near === undefined ? `there are ${names.join(', ')}` : `did you mean ${near}?`
  throw refused('pipeline', `there is no pipeline ${JSON.stringify(wanted)}; ${hint}`)
}

async function withSecrets(pipelines: OpenPipelines, found: OpenPipeline): Promise<Pipeline> {
  const pipeline = await pipelines.forRequests(found)
  if (pipeline === undefined) throw refused('pipeline', 'the file has no such pipeline any more')
  return pipeline
}

/**
 * Knows every secret of the pipeline, so that it finds them in rows too. Where one is missing, reading goes on: what is not
 * known here cannot have come from here.
 */
async function cleaning(pipelines: OpenPipelines, found: OpenPipeline, pipeline: Pipeline) {
  if (pipeline !== found.pipeline) return scrubberOf(pipeline)
  try {
    return scrubberOf((await pipelines.forRequests(found)) ?? pipeline)
  } catch (error) {
    if (!(error instanceof SluiceError)) throw error
    return scrubberOf(pipeline)
  }
}

function refused(path: string, message: string): ConfigError {
  return new ConfigError([{ place: { path }, message }])
}

function cut(text: string): string {
  if (text.length <= MOST_CHARACTERS) return text
  return `${text.slice(0, MOST_CHARACTERS)}… (cut: ${text.length} characters; ask for less)`
}
