import { join } from 'node:path'
import type { Files } from '../../journal/fileSystem.js'
import { parseJson } from '../../json/parse.js'
import { isJsonObject, type JsonObject, type JsonValue } from '../../json/value.js'
import { stringifyJson } from '../../json/write.js'
import { DataError, SluiceError } from '../../model/errors.js'
import { type Receipt, VERDICTS, type Verdict } from '../../model/receipt.js'
import { type PipelineSetup, pipelineFolder } from '../setup.js'

/** A run that committed nothing. It leaves no load, so only the working folder of its machine tells of it. */
export interface UncommittedRun {
  /** When it ended. */
  readonly at: Date
  /** `unchanged`: it found nothing new. `stopped`: somebody ended it. */
  readonly outcome: 'unchanged' | 'failed' | 'stopped'
  /** By resource, as far as the run judged them. */
  readonly verdicts: Readonly<Record<string, Verdict>>
  /** The code of the error, as `sluice explain` takes it. Undefined where nothing failed. */
  readonly code: string | undefined
  /** The message of the error, shortened, without secrets. Undefined where nothing failed. */
  readonly reason: string | undefined
}

const OUTCOMES = ['unchanged', 'failed', 'stopped'] as const

/** Notes that are kept. The oldest go first. */
const MOST_RUNS = 50

const LONGEST_REASON = 1000

/** What is noted of a run that failed. */
export function failedRun(error: unknown, isStopped: boolean, at: Date): UncommittedRun {
  const message = error instanceof Error ? error.message : String(error)
  return {
    at,
    outcome: isStopped ? 'stopped' : 'failed',
    verdicts: error instanceof DataError ? verdictsOf(error.receipts ?? []) : {},
    code: error instanceof SluiceError ? error.code : 'unexpected',
    reason: message.length > LONGEST_REASON ? `${message.slice(0, LONGEST_REASON)}…` : message,
  }
}

/** What is noted of a run that found nothing new. */
export function unchangedRun(receipts: readonly Receipt[], at: Date): UncommittedRun {
  return { at, outcome: 'unchanged', verdicts: verdictsOf(receipts), code: undefined, reason: undefined }
}

function verdictsOf(receipts: readonly Receipt[]): Readonly<Record<string, Verdict>> {
  return Object.fromEntries(receipts.map(({ resource, verdict }) => [resource, verdict]))
}

/** Adds a note. The caller has the lock of the pipeline. */
export async function noteRun(setup: PipelineSetup, run: UncommittedRun): Promise<void> {
  const path = fileOf(setup)
  const draft = `${path}.new`
  const runs = [run, ...(await uncommittedRuns(setup))].slice(0, MOST_RUNS)
  const lines = runs.map(({ at, outcome, verdicts, code = null, reason }) =>
    stringifyJson({
      at: at.toISOString(),
      outcome,
      verdicts: { ...verdicts },
      code,
      reason: reason === undefined ? null : setup.scrubber.text(reason),
    }),
  )
  await setup.files.writeText(draft, `${lines.join('\n')}\n`)
  await setup.files.rename(draft, path)
}

/** The runs without a commit that were made with this working folder, newest first. What cannot be read is left out. */
export async function uncommittedRuns(setup: PipelineSetup): Promise<readonly UncommittedRun[]> {
  const text = await textAt(setup.files, fileOf(setup))
  return (text ?? '').split('\n').flatMap(line => {
    const run = runOf(parsed(line))
    return run === undefined ? [] : [run]
  })
}

function runOf(note: JsonValue | undefined): UncommittedRun | undefined {
  if (!isJsonObject(note)) return undefined
  const at = new Date(typeof note.at === 'string' ? note.at : Number.NaN)
  const outcome = OUTCOMES.find(known => known === note.outcome)
  if (outcome === undefined || Number.isNaN(at.getTime())) return undefined
  return {
    at,
    outcome,
    verdicts: verdictsIn(note.verdicts),
    code: textOf(note, 'code'),
    reason: textOf(note, 'reason'),
  }
}

function verdictsIn(noted: JsonValue | undefined): Readonly<Record<string, Verdict>> {
  const verdicts = Object.entries(isJsonObject(noted) ? noted : {}).filter((entry): entry is [string, Verdict] =>
    VERDICTS.some(verdict => verdict === entry[1]),
  )
  return Object.fromEntries(verdicts)
}

function textOf(note: JsonObject, key: string): string | undefined {
  const value = note[key]
  return typeof value === 'string' ? value : undefined
}

function fileOf(setup: PipelineSetup): string {
  return join(pipelineFolder(setup), 'uncommitted_runs.ndjson')
}

async function textAt(files: Files, path: string): Promise<string | undefined> {
  try {
    return await files.readText(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** A note that cannot be read is as none: it says nothing that counts. */
function parsed(line: string): JsonValue | undefined {
  try {
    return line === '' ? undefined : parseJson(line)
  } catch {
    return undefined
  }
}
