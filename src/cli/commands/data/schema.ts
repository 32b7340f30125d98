import type { Pipeline } from '../../../pipeline/pipeline.js'
import { exportSchema, type SchemaFormat } from '../../../schema/export/export.js'
import type { ReadonlySchema } from '../../../schema/schemaTypes.js'
import type { ExitCode } from '../../failure.js'
import { counted, printable } from '../../terminal/printable.js'
import { tell } from '../../terminal/tell.js'
import { writeWhole } from '../../writtenFile.js'
import type { CommandContext } from '../command.js'
import { openPipeline, type PipelineOverrides } from '../command.js'

export interface SchemaCommandOptions extends PipelineOverrides {
  readonly pipeline?: string | undefined
  readonly format?: SchemaFormat | undefined
  readonly out?: string | undefined
}

/** `sluice schema FILE`: the schema of the last committed load, as text. */
export async function schemaCommand(
  file: string,
  options: SchemaCommandOptions,
  context: CommandContext,
): Promise<ExitCode> {
  const { out, err } = context.terminal
  const pipeline = await openPipeline(file, options, 'reads', err)
  const schema = await pipeline.dataset().schema()
  if (schema === undefined) {
    tell(err, nothingLoaded(pipeline))
    return 1
  }
  const text = await exportSchema(schema, options.format ?? 'yaml', { dataset: pipeline.datasetName })
  if (options.out === undefined) {
    out.write(text)
    return 0
  }
  await writeWhole(options.out, text)
  tell(out, printable(`${options.out}: ${described(schema)}`))
  return 0
}

/** `sluice types FILE`: the rows of every table, for what reads them. */
export function typesCommand(file: string, options: SchemaCommandOptions, context: CommandContext): Promise<ExitCode> {
  return schemaCommand(file, { ...options, format: options.format ?? 'typescript' }, context)
}

function described({ name, version, tables }: ReadonlySchema): string {
  return `schema ${name}, version ${version}, ${counted(tables.size, 'table')}`
}

/** For commands that look at what was loaded. */
export function nothingLoaded({ name, destination, datasetName }: Pipeline): string {
  const place = destination.localPath === undefined ? '' : ` (${destination.localPath})`
  return printable(
    `${name} has loaded nothing into ${destination.name}${place}, dataset ${datasetName} yet: \`sluice run\` does that`,
  )
}
