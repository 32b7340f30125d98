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
