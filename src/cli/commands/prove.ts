import type { Finding, Proof, ResourceProof } from '../../import/prove/proof.js'
import type { JsonValue } from '../../json/value.js'
import { stringifyJson } from '../../json/write.js'
import { ConfigError } from '../../model/errors.js'
import type { Pipeline } from '../../pipeline/pipeline.js'
import type { ExitCode } from '../failure.js'
import { counted, printable } from '../terminal/printable.js'
import { tell } from '../terminal/tell.js'
import type { Output } from '../terminal/terminal.js'
import { writeWhole } from '../writtenFile.js'
import { type CommandContext, openPipelines, type PipelineOverrides } from './command.js'

export interface ProveCommandOptions extends PipelineOverrides {
  readonly resource?: readonly string[] | undefined
  readonly budget?: number | undefined
  readonly write?: boolean | undefined
  readonly json?: boolean | undefined
}

/**
 * `sluice prove FILE`: asks the API whether the file is right, and keeps what it showed beside it. 3 if something is
 * wrong, 1 if a list could not be asked. With `--write`, a YAML file is mended, and gets the keys that it lacks.
 */
export async function proveCommand(
  file: string,
  options: ProveCommandOptions,
  context: CommandContext,
): Promise<ExitCode> {
  const { out, err } = context.terminal
  const { prove } = await import('../../import/prove/proveDocument.js')
  const proofs: Proof[] = []
  for (const pipeline of await openPipelines(file, options, 'requests', err)) {
    const proof = await prove(pipeline, {
      signal: context.signal,
      select: options.resource,
      budget: options.budget,
      clock: context.clock,
    })
    proofs.push(proof)
    if (options.json === true) out.line(stringifyJson(proof))
    else for (const line of proofLines(proof)) tell(out, printable(line), line.startsWith('  ') ? 10 : 2)
  }
  const { keepProofs } = await import('../../import/prove/proofFile.js')
  const path = await keepProofs(file, proofs)
  tell(err, printable(`${path} is written`))
  const resources = proofs.flatMap(proof => proof.resources)
  const wrong = resources.flatMap(({ findings }) => findings.filter(({ status }) => status === 'wrong'))
  await mend(
    file,
    resources.flatMap(({ findings }) => findings),
    options,
    context,
  )
  if (resources.some(({ problem }) => problem !== undefined)) return 1
  return wrong.length > 0 ? 3 : 0
}

function proofLines({ resources }: Proof): string[] {
  return resources.flatMap(resource => [
    `${resource.resource}: ${summary(resource)}`,
    ...(resource.problem === undefined ? [] : [`  could not be asked: ${resource.problem}`]),
    ...resource.findings.flatMap(findingLines),
    ...resource.notes.map(note => `  noted   ${note}`),
  ])
}

function summary({ findings, requests }: ResourceProof): string {
  const counts = (['proven', 'assumed', 'wrong'] as const).map(
    status => `${findings.filter(finding => finding.status === status).length} ${status}`,
  )
  return `${counts.join(', ')}, by ${counted(requests.length, 'request')}`
}

function findingLines({ key, status, seen, requests, write }: Finding): string[] {
  const by = requests.length === 0 ? '' : ` (request${requests.length === 1 ? '' : 's'} ${requests.join(', ')})`
  return [
    `  ${status.padEnd(7)} ${key}: ${seen}${by}`,
    ...Object.entries(write ?? {}).map(([path, value]) => `          write ${path}: ${stringifyJson(value)}`),
  ]
}

/** Mends a YAML file. Of other files, the lines above say what to write. */
async function mend(
  file: string,
  findings: readonly Finding[],
  { write, profile }: ProveCommandOptions,
  { terminal: { err }, typedAs }: CommandContext,
): Promise<void> {
  const changes: Record<string, JsonValue> = Object.assign({}, ...findings.map(finding => finding.write ?? {}))
  if (write !== true || Object.keys(changes).length === 0) return
  if (!/\.ya?ml$/i.test(file)) return tell(err, printable(`${file} is no YAML file: write these keys yourself`))
  const { readText } = await import('../../config/documentFile.js')
  const { mended } = await import('../../import/prove/mend.js')
  const before = await readText(file)
  const after = mended(before, changes)
  await writeWhole(file, after)
  try {
    const { loadPipelineFile } = await import('../../config/pipelineFile.js')
    await loadPipelineFile(file, { profile, withoutSecrets: true })
  } catch (error) {
    await writeWhole(file, before)
    const message = `the changes do not fit together and were taken back (${error instanceof Error ? error.message : String(error)}); write them yourself`
    throw new ConfigError([{ place: { path: '', file }, message }])
  }
  tell(
    err,
    printable(`${file} is mended: ${Object.keys(changes).join(', ')}. Prove it again: ${typedAs} prove ${file}`),
  )
}

/** Lines about the proofs beside a file, for what describes it: one for each resource of this pipeline. */
export async function keptProofLines(
  file: string,
  { name, source }: Pick<Pipeline, 'name' | 'source'>,
  err: Output,
): Promise<ReadonlyMap<string, string>> {
  const { readProofs } = await import('../../import/prove/proofFile.js')
  const { proofLine } = await import('../../import/prove/proof.js')
  const { proofs, refused } = await readProofs(file)
  if (refused !== undefined) tell(err, printable(`warning: ${refused}`))
  const proof = proofs.find(({ pipeline }) => pipeline === name)
  if (proof === undefined) return new Map()
  if (proof.about !== source.fingerprint) {
    const day = printable(proof.at.slice(0, 10))
    tell(
      err,
      printable(
        `the proof of ${day} is about another document: the file has changed since; \`sluice prove\` asks again`,
      ),
    )
    return new Map()
  }
  return new Map(proof.resources.map(resource => [resource.resource, proofLine(proof, resource)]))
}
