import { ConfigError } from '../core/errors.js'
import type { Pipeline } from '../pipeline/pipeline.js'

/** What the command line says instead of the file. */
export interface PipelineOverrides {
  readonly destination?: string | undefined
  readonly dataset?: string | undefined
}

/** The pipelines of a file, ready to run: usually one. Everything heavy is loaded here, not before. */
export async function openPipelines(file: string, overrides: PipelineOverrides): Promise<readonly Pipeline[]> {
  const { loadPipelineFile } = await import('../config/index.js')
  const loaded = await loadPipelineFile(file, overrides)
  return loaded.pipelines
}

/** The one pipeline of a file; where it holds several, `name` says which. Throws a ConfigError otherwise. */
export async function openPipeline(
  file: string,
  overrides: PipelineOverrides & { readonly pipeline?: string | undefined },
): Promise<Pipeline> {
  const pipelines = await openPipelines(file, overrides)
  const { pipeline: name } = overrides
  const chosen = name === undefined ? pipelines : pipelines.filter(pipeline => pipeline.name === name)
  const [only, second] = chosen
  if (only !== undefined && second === undefined) return only
  const names = pipelines.map(pipeline => pipeline.name).join(', ')
  const message =
    name === undefined
      ? `holds several pipelines, ${names}: say which one with --pipeline`
      : `has no pipeline ${name}; it has ${names}`
  throw new ConfigError([{ place: { path: '', file }, message }])
}
