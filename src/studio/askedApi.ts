import { readDocument } from '../config/file/documentFile.js'
import { keepProofs } from '../import/prove/proofFile.js'
import { proveAfter } from '../import/prove/proveDocument.js'
import { isJsonObject, type JsonValue } from '../json/value.js'
import { stringifyJson } from '../json/write.js'
import { AbortError, DataError, RequestError } from '../model/errors.js'
import type { Pipeline } from '../pipeline/pipeline.js'
import { pathKeys } from '../rest/document/problems.js'
import { mixedName } from '../schema/mixedNumbers.js'
import { isDocument } from './editedDocument.js'
import type { ApiFindings, DocumentFinding } from './pageContract.js'

/** A pipeline with its secrets, and its file. */
interface Asked {
  readonly pipeline: Pipeline
  readonly path: string
  readonly signal: AbortSignal
}

type Unplaced = Omit<DocumentFinding, 'line' | 'column'>

/** Asks for one page of each list, as `sluice check` does, and says what came. */
export async function checkedFindings({ pipeline, path, signal }: Asked): Promise<ApiFindings> {
  const keyOf = await keysOfResources(path)
  const said: Unplaced[] = []
  const say = (resource: string, finding: Omit<Unplaced, 'key'>): void =>
    void said.push({ key: keyOf(resource), ...finding })
  let requests = 0
  try {
    const { resources } = await pipeline.check({
      signal,
      onEvent: event => {
        if (event.type === 'request') requests++
        if (event.type === 'warning') say(event.resource ?? '', { status: 'noted', message: event.message })
      },
    })
    for (const { resource, records, announced, guesses, mixedNumbers } of resources) {
      const total = announced === undefined ? '' : `, ${announced} announced`
      say(resource, { status: 'proven', message: `${resource}: ${records} records on the first page${total}` })
      for (const guess of guesses) say(resource, { status: 'assumed', message: `${resource}: detected ${guess}` })
      for (const column of mixedNumbers)
        say(resource, {
          status: 'noted',
          message: `${mixedName(column)} has whole numbers and fractions: give it a data_type`,
        })
    }
  } catch (error) {
    if (error instanceof AbortError || !(error instanceof RequestError || error instanceof DataError)) throw error
    say(error.resource ?? '', { status: 'wrong', message: error.message })
  }
  return { requests, findings: await placed(said, path) }
}

/** Asks the API whether the file is right, as `sluice prove` does, and keeps the proof beside the file. */
export async function provenFindings(
  { pipeline, path, signal }: Asked,
  budget: number,
  file: string,
): Promise<ApiFindings> {
  const keyOf = await keysOfResources(path)
  const proof = await proveAfter(pipeline, { signal, budget }, undefined)
  await keepProofs(path, [proof])
  const said = proof.resources.flatMap(({ resource, findings, notes, problem }): Unplaced[] => [
    ...(problem === undefined ? [] : [{ key: keyOf(resource), status: 'wrong' as const, message: problem }]),
    ...findings.map(({ key, status, seen, write }) => ({ key, status, message: seen, ...writes(write) })),
    ...notes.map(message => ({ key: keyOf(resource), status: 'noted' as const, message })),
  ])
  const requests = proof.resources.reduce((sum, resource) => sum + resource.requests.length, 0)
  return { requests, findings: await placed(said, path), kept: `${file}.proof.json` }
}

function writes(write: Readonly<Record<string, JsonValue>> | undefined): Pick<DocumentFinding, 'write'> {
  const changes = Object.entries(write ?? {}).map(([key, value]) => `${key}: ${stringifyJson(value)}`)
  return changes.length === 0 ? {} : { write: changes }
}

/** The key of a resource in the file, as in `resources[0]`. */
async function keysOfResources(path: string): Promise<(resource: string) => string> {
  const { value } = isDocument(path) ? await readDocument(path) : { value: undefined }
  const listed = isJsonObject(value as JsonValue) ? (value as { readonly resources?: unknown }).resources : undefined
  const names: readonly unknown[] = Array.isArray(listed)
    ? listed.map(one => (typeof one === 'string' ? one : (one as { readonly name?: unknown } | null)?.name))
    : []
  return resource => (names.includes(resource) ? `resources[${names.indexOf(resource)}]` : resource)
}

async function placed(findings: readonly Unplaced[], path: string): Promise<readonly DocumentFinding[]> {
  if (!isDocument(path)) return findings
  const document = await readDocument(path)
  return findings.map(finding => {
    const { line, column } = document.place(pathKeys(finding.key))
    return { ...finding, line, column }
  })
}
