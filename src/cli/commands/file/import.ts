import { mkdir, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import type { ImportText } from '../../../import/imported.js'
import type { ImportKind } from '../../../import/importers.js'
import type { ImportedFile, ImportResult } from '../../../import/importPipeline.js'
import type { ReportLine } from '../../../import/importReport.js'
import { ConfigError } from '../../../model/errors.js'
import { redactUrl } from '../../../rest/http/redact.js'
import type { ExitCode } from '../../failure.js'
import { counted, printable } from '../../terminal/printable.js'
import { inQuotes, shellWord } from '../../terminal/shellWord.js'
import { tell } from '../../terminal/tell.js'
import type { Output } from '../../terminal/terminal.js'
import { writeWhole } from '../../writtenFile.js'
import type { CommandContext } from '../command.js'
import { exists, refuseExisting } from './init.js'

export interface ImportCommandOptions {
  readonly out?: string | undefined
  readonly name?: string | undefined
  readonly destination?: string | undefined
  readonly tag?: readonly string[] | undefined
  readonly path?: readonly string[] | undefined
  readonly json?: boolean | undefined
}

/**
 * `sluice import KIND SOURCE…`: writes pipeline files from files of another tool, and reports what was taken, what is
 * assumed and what is open. Sends nothing to the API. Ends with 3 where there is no list to read.
 */
export async function importCommand(
  kind: ImportKind,
  sources: readonly string[],
  options: ImportCommandOptions,
  context: CommandContext,
): Promise<ExitCode> {
  const { out, name, destination, tag, path } = options
  const [first, ...more] = await readSources(kind, sources, context)
  if (first === undefined) return 2
  const { importPipeline } = await import('../../../import/importPipeline.js')
  const folder = await folderOf(out)
  const result = await importPipeline({
    kind,
    ...first,
    more,
    ...(name !== undefined && { name }),
    ...(destination !== undefined && { destination }),
    tags: tag ?? [],
    paths: path ?? [],
    folder: folder.path,
  })
  const files = result.pipelines.map(({ name }) =>
    folder.isForSeveral ? join(out ?? '', `${name}.yaml`) : (out ?? ''),
  )
  if (!folder.isForSeveral && files.length > 1) {
    const message = `the source has ${files.length} pipelines; name a folder with --out`
    throw new ConfigError([{ place: { path: '--out' }, message }])
  }
  // All or nothing.
  for (const file of files) if (await exists(file)) refuseExisting(file)
  if (files.length > 0) await mkdir(folder.path, { recursive: true })
  for (const [index, { text }] of result.pipelines.entries()) {
    await writeWhole(files[index] ?? '', text, { replace: false })
  }
  const made = result.pipelines.map((pipeline, index) => ({ pipeline, file: files[index] ?? '' }))
  await (options.json === true ? printJson : printReport)(made, result, folder.path, context)
  return made.length > 0 ? 0 : 3
}

interface Made {
  readonly pipeline: ImportedFile
  readonly file: string
}

/** Lines of curl are one source, wherever they stand. Files of other kinds belong to the first one. */
async function readSources(
  kind: ImportKind,
  sources: readonly string[],
  { input, signal }: CommandContext,
): Promise<readonly ImportText[]> {
  const { sourceText } = await import('../../../import/sourceText.js')
  const { processEnvironment } = await import('../../../config/lookup/environment.js')
  const read = (source: string) => sourceText(source, input, { env: processEnvironment(), signal })
  if (kind !== 'curl') return await Promise.all(sources.map(read))
  const texts = await Promise.all(
    sources.map(async (source): Promise<ImportText> => {
      if (/^https?:\/\//i.test(source)) return { text: `curl ${inQuotes(source)}` }
      return /^\s*curl(?:\.exe)?\s/i.test(source) ? { text: source } : await read(source)
    }),
  )
  const file = texts.find(text => text.file !== undefined)?.file
  return [{ text: texts.map(({ text }) => text).join('\n'), file }]
}

async function folderOf(out: string | undefined): Promise<{ readonly path: string; readonly isForSeveral: boolean }> {
  if (out === undefined) return { path: resolve(''), isForSeveral: true }
  const isFolder = /[/\\]$/.test(out) || (await stat(out).catch(() => undefined))?.isDirectory() === true
  if (!isFolder && !/\.(?:ya?ml)$/i.test(out)) {
    const message = 'expected a file that ends in .yaml, or a folder that ends in /'
    throw new ConfigError([{ place: { path: '--out' }, message }])
  }
  if (!isFolder && (await exists(out))) refuseExisting(out)
  return { path: isFolder ? resolve(out) : dirname(resolve(out)), isForSeveral: isFolder }
}

async function printReport(
  made: readonly Made[],
  { leftOut }: ImportResult,
  folder: string,
  context: CommandContext,
): Promise<void> {
  const { out, err } = context.terminal
  const { reportOf, reportOfLeftOut } = await import('../../../import/importReport.js')
  for (const { pipeline, file } of made) {
    tell(out, printable(`${file}: ${counted(resourcesOf(pipeline), 'resource')}`))
    tellLines(out, reportOf(pipeline))
  }
  tellLines(out, reportOfLeftOut(leftOut))
  if (made.length === 0) {
    tell(err, 'Nothing is written: the source has no list that can be read.')
    return
  }
  const { prepareFolder, schemaAddress } = await import('../../../config/projectFolder.js')
  const { referencesIn, variable } = await import('../../../import/draft/draftYaml.js')
  const secrets = new Map(made.flatMap(({ pipeline }) => pipeline.secrets.map(secret => [secret.name, secret])))
  const prepared = await prepareFolder(folder, [...secrets.keys()])
  for (const failure of prepared.failed) tell(err, printable(`warning: ${failure}`))
  const files = [...made.map(({ file }) => file), ...prepared.written]
  tell(out, printable(`${files.join(', ')} ${files.length === 1 ? 'is' : 'are'} written. Next:`))
  for (const { name, what } of secrets.values()) {
    const place = `write ${name} = "…" (${what}) into ${prepared.secrets}, or set the variable ${variable(name)}`
    tell(out, printable(`  ${place}`), 4)
  }
  const variables = new Set(made.flatMap(({ pipeline }) => referencesIn(pipeline.text, 'env')))
  for (const name of variables) tell(out, printable(`  set the variable ${name}, in .env too`), 4)
  const command = schemaAddress(folder).isInstalled ? 'npx sluice' : context.typedAs
  for (const { pipeline, file } of made) {
    const destination = String(pipeline.document.destination)
    tell(
      out,
      printable(`  ${command} prove ${shellWord(file)} --write   asks the API whether it is right, and fixes it`),
    )
    tell(out, printable(`  ${command} run ${shellWord(file)}   loads into ${redactUrl(destination)}`))
  }
}

function tellLines(out: Output, lines: readonly ReportLine[]): void {
  for (const { kind, place, text } of lines) {
    const line = `  ${kind.padEnd(8)}  ${text}${place === undefined ? '' : ` (${place})`}`
    tell(out, printable(line), 12)
  }
}

async function printJson(made: readonly Made[], { leftOut }: ImportResult, folder: string, context: CommandContext) {
  const { prepareFolder } = await import('../../../config/projectFolder.js')
  if (made.length > 0) {
    const secrets = new Set(made.flatMap(({ pipeline }) => pipeline.secrets.map(({ name }) => name)))
    await prepareFolder(folder, [...secrets])
  }
  const pipelines = made.map(({ file, pipeline }) => {
    const { name, notes, secrets } = pipeline
    return { file, name, resources: resourcesOf(pipeline), secrets, notes }
  })
  context.terminal.out.line(JSON.stringify({ pipelines, leftOut }))
}

function resourcesOf({ document }: ImportedFile): number {
  const { resources } = document.source as { resources: readonly unknown[] }
  return resources.length
}
