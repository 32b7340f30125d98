import type { Finding, Proof, ResourceProof } from '../../../import/prove/proof.js'
import type { EarlierProofs } from '../../../import/prove/prover.js'
import type { JsonValue } from '../../../json/value.js'
import { stringifyJson } from '../../../json/write.js'
import { ConfigError } from '../../../model/errors.js'
import type { Pipeline } from '../../../pipeline/pipeline.js'
import type { ExitCode } from '../../failure.js'
import { counted, printable } from '../../terminal/printable.js'
import { tell } from '../../terminal/tell.js'
import type { Output } from '../../terminal/terminal.js'
import { writeWhole } from '../../writtenFile.js'
import { type CommandContext, openPipelines, type PipelineOverrides } from '../command.js'

export interface ProveCommandOptions extends PipelineOverrides {
  readonly resource?: readonly string[] | undefined
  readonly budget?: number | undefined
  readonly write?: boolean | undefined
  readonly json?: boolean | undefined
}

/** Times that a file is mended and proven again. What the first answers show may lead to more. */
const MOST_ROUNDS = 3

/**
 * `sluice prove FILE`: asks the API whether the file is right, and keeps what it showed beside it. 3 if something is
 * wrong, 1 if a list could not be asked. With `--write`, a YAML file is mended, gets the keys that it lacks, and is
 * proven again.
 */
export async function proveCommand(
  file: string,
  options: ProveCommandOptions,
  context: CommandContext,
): Promise<ExitCode> {
  const { out, err } = context.terminal
  const [{ proveAfter }, { AnswerMemory }, { keepProofs }] = await Promise.all([
    import('../../../import/prove/proveDocument.js'),
    import('../../../import/prove/answerMemory.js'),
    import('../../../import/prove/proofFile.js'),
  ])
  const earlier = new Map<string, EarlierProofs>()
  const proofs = new Map<string, Proof>()
  let path = ''
  for (let round = 1; ; round++) {
    for (const pipeline of await openPipelines(file, options, 'requests', round === 1 ? err : undefined)) {
      const before = earlier.get(pipeline.name) ?? { answers: new AnswerMemory(), spent: new Map<string, number>() }
      earlier.set(pipeline.name, before)
      const proof = await proveAfter(
        pipeline,
        { signal: context.signal, select: options.resource, budget: options.budget, clock: context.clock },
        options.write === true ? before : undefined,
      )
      before.answers.turn()
      // What follows a first proof has a budget of its own, together.
      if (round === 1) before.spent.clear()
      const known = proofs.get(pipeline.name)?.resources ?? []
      proofs.set(pipeline.name, proof)
      if (options.json !== true) for (const line of proofLines(proof, known)) tell(out, printable(line), hanging(line))
    }
    path = await keepProofs(file, [...proofs.values()])
    const findings = [...proofs.values()].flatMap(proof => proof.resources.flatMap(resource => resource.findings))
    if (round > MOST_ROUNDS || !(await mend(file, findings, options, context))) {
      if (options.write === true) await settleDoubts(file, findings)
      break
    }
  }
  if (options.json === true) for (const proof of proofs.values()) out.line(stringifyJson(proof))
  tell(err, printable(`${path} is written`))
  const resources = [...proofs.values()].flatMap(proof => proof.resources)
  if (resources.some(({ problem }) => problem !== undefined)) return 1
  return resources.some(({ findings }) => findings.some(({ status }) => status === 'wrong')) ? 3 : 0
}

function hanging(line: string): number {
  return line.startsWith('  ') ? 10 : 2
}

/** `known`: what was told before, and is not told again where nothing changed. */
function proofLines({ resources }: Proof, known: readonly ResourceProof[]): string[] {
  const told = new Set(known.map(resource => JSON.stringify(resource)))
  const news = resources.filter(resource => !told.has(JSON.stringify(resource)))
  return news.flatMap(resource => [
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

const YAML = /\.ya?ml$/i

/** Mends a YAML file, and says whether it did. Of other files, the lines above say what to write. */
async function mend(
  file: string,
  findings: readonly Finding[],
  { write, profile }: ProveCommandOptions,
  { terminal: { err } }: CommandContext,
): Promise<boolean> {
  const changes: Record<string, JsonValue> = Object.assign({}, ...findings.map(finding => finding.write ?? {}))
  if (write !== true || Object.keys(changes).length === 0) return false
  if (!YAML.test(file)) {
    tell(err, printable(`${file} is no YAML file: write these keys yourself`))
    return false
  }
  const { readText } = await import('../../../config/file/documentFile.js')
  const { mended } = await import('../../../import/prove/mend.js')
  const before = await readText(file)
  const after = mended(before, changes)
  if (after === before) return false
  await writeWhole(file, after)
  try {
    const { loadPipelineFile } = await import('../../../config/pipelineFile.js')
    await loadPipelineFile(file, { profile, withoutSecrets: true })
  } catch (error) {
    await writeWhole(file, before)
    const message = `the changes do not fit together and were taken back (${error instanceof Error ? error.message : String(error)}); write them yourself`
    throw new ConfigError([{ place: { path: '', file }, message }])
  }
  tell(err, printable(`${file} is fixed: ${Object.keys(changes).join(', ')}. Proving it again:`))
  return true
}

/** A doubt that an import wrote beside a key goes when the key is proven. */
async function settleDoubts(file: string, findings: readonly Finding[]): Promise<void> {
  if (!YAML.test(file)) return
  const { readText } = await import('../../../config/file/documentFile.js')
  const { withoutDoubts } = await import('../../../import/prove/mend.js')
  const proven = findings.filter(({ status }) => status === 'proven').map(({ key }) => key)
  const before = await readText(file)
  const after = withoutDoubts(before, proven)
  if (after !== before) await writeWhole(file, after)
}

/** Lines about the proofs beside a file, for what describes it: one for each resource of this pipeline. */
export async function keptProofLines(
  file: string,
  { name, source }: Pick<Pipeline, 'name' | 'source'>,
  err: Output,
): Promise<ReadonlyMap<string, string>> {
  const { readProofs } = await import('../../../import/prove/proofFile.js')
  const { proofLine } = await import('../../../import/prove/proof.js')
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
