import { readFile } from 'node:fs/promises'
import { fileError } from '../config/file/documentFile.js'
import { loadPipelineFile } from '../config/pipelineFile.js'
import { replaceFile } from '../journal/wholeFile.js'
import type { Pipeline } from '../pipeline/pipeline.js'
import type { TokenStore } from '../rest/auth/authenticator.js'
import { withoutSignatures } from './recordedExchange.js'
import { recordingClock } from './recordingClock.js'
import { type Recording, readRecording } from './recordingFile.js'
import { IN_MEMORY, inFolder, maskRules, masksOf, recordingPath, snapshotPath } from './recordPipeline.js'
import { FAULTS, type Fault, type Replay, replayTransport } from './replayTransport.js'
import { shortened } from './shortened.js'
import { type RecordingSnapshot, snapshotOf, snapshotText } from './snapshot.js'
import { textDiff } from './textDiff.js'

export interface TestOptions {
  /** Writes what is loaded now as what is expected. */
  readonly update?: boolean | undefined
  /** Also lets the recorded API fail in every way that a pipeline has to stand, and expects the same tables. */
  readonly faults?: boolean | undefined
  /** The recording. Default: the one beside the pipeline file. */
  readonly recording?: string | undefined
  readonly profile?: string | undefined
  readonly signal?: AbortSignal | undefined
}

/** What a pipeline makes of its recording, compared with what is expected. */
export interface TestedPipeline {
  readonly pipeline: string
  readonly recording: string
  readonly snapshot: string
  /** `same`, `different`, or `written` by an update or because nothing was expected yet. */
  readonly outcome: 'same' | 'different' | 'written'
  /** Changed lines, with what is around them. */
  readonly difference: readonly string[]
  readonly requests: number
  /** For each fault that the recording can have: nothing, or what it changed. */
  readonly faults: readonly TestedFault[]
}

interface TestedFault {
  readonly fault: Fault
  /** Changed lines, or the error of a run that failed. */
  readonly difference: readonly string[]
  /** What to change in the document, so that the run outlasts the fault. */
  readonly advice?: string | undefined
}

/**
 * Runs the pipelines of a file on their recordings, without a network and without a secret, and compares requests,
 * tables, types, keys and rows with the snapshot beside the file. Rejects with a ConfigError if there is no recording
 * or no snapshot.
 */
export async function testPipeline(file: string, options: TestOptions = {}): Promise<readonly TestedPipeline[]> {
  return await inFolder(async home => {
    const { pipelines } = await loadPipelineFile(file, {
      destination: IN_MEMORY,
      profile: options.profile,
      withoutSecrets: true,
      recording: { clock: recordingClock(0), home },
    })
    refuseSharedRecording(file, options.recording, pipelines)
    const tested: TestedPipeline[] = []
    for (const { name } of pipelines) {
      const recordingFile = options.recording ?? recordingPath(file, name, pipelines)
      const snapshotFile = snapshotPath(file, name, pipelines)
      const recording = await readRecording(recordingFile)
      tested.push(await testOne(file, name, { recording, recordingFile, snapshotFile, home, options }))
    }
    return tested
  })
}

/** Throws a ConfigError if one recording is named for several pipelines. */
export function refuseSharedRecording(
  file: string,
  recording: string | undefined,
  pipelines: readonly Pipeline[],
): void {
  if (recording !== undefined && pipelines.length > 1)
    throw fileError(file, 'holds several pipelines, each with a recording of its own; leave out --recording')
}

/**
 * Fails unless the pipelines of a file load from their recordings what their snapshots say. For any test runner: the
 * error tells the difference. `sluice test --update` writes snapshots.
 *
 * ```ts
 * import { testRecording } from 'sluice/testing'
 *
 * test('orders', () => testRecording('pipelines/orders.yaml', { faults: true }))
 * ```
 */
export async function testRecording(
  file: string,
  options: Pick<TestOptions, 'faults' | 'recording' | 'profile' | 'signal'> = {},
): Promise<void> {
  const { faults, recording, profile, signal } = options
  const problems: string[] = []
  for (const { pipeline, snapshot, difference, faults: tried } of await testPipeline(file, {
    faults,
    recording,
    profile,
    signal,
  })) {
    if (difference.length > 0) problems.push(`${pipeline} does not load what ${snapshot} expects:`, ...difference)
    for (const { fault, difference: changed, advice } of tried)
      if (changed.length > 0)
        problems.push(
          `${pipeline} loads other tables with the fault "${fault}":`,
          ...changed,
          ...(advice === undefined ? [] : [advice]),
        )
  }
  if (problems.length > 0) throw new Error(problems.join('\n'))
}

interface One {
  readonly recording: Recording
  readonly recordingFile: string
  readonly snapshotFile: string
  readonly home: string
  readonly options: TestOptions
}

async function testOne(file: string, name: string, one: One): Promise<TestedPipeline> {
  const { recording, recordingFile, snapshotFile, options } = one
  const plain = await replayed(file, name, one)
  const actual = snapshotText(plain.snapshot, recording)
  const about = {
    pipeline: name,
    recording: recordingFile,
    snapshot: snapshotFile,
    requests: recording.exchanges.length,
  }
  if (options.update === true) {
    const { failure } = plain.snapshot
    if (failure !== undefined) throw fileError(file, `fails on its recording, so nothing is written: ${failure}`)
    await replaceFile(snapshotFile, actual)
  }
  const expected = options.update === true ? actual : await expectedText(snapshotFile)
  const difference = textDiff(expected, actual)
  const faults = options.faults === true ? await faultsOf(file, name, one, plain.snapshot) : []
  const outcome = difference.length > 0 ? 'different' : options.update === true ? 'written' : 'same'
  return { ...about, outcome, difference, faults }
}

async function expectedText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const message =
      code === 'ENOENT'
        ? 'does not exist; `sluice test --update` writes what the pipeline loads now'
        : `cannot be read (${code ?? 'unknown reason'})`
    throw fileError(path, message)
  }
}

/** One run of the pipeline on its recording. */
async function replayed(
  file: string,
  name: string,
  one: One,
  fault?: Fault,
): Promise<{ readonly snapshot: RecordingSnapshot; readonly faults: number; readonly isGivenUp: boolean }> {
  const { pipeline, served, faults, isGivenUp } = await replayedPipeline(file, name, one, fault)
  const snapshot = await snapshotOf(pipeline, one.recording, served, one.options.signal)
  return { snapshot, faults: faults(), isGivenUp: isGivenUp() }
}

/** The pipeline with its recording in place of the API, and a database in memory. */
export async function replayedPipeline(
  file: string,
  name: string,
  { recording, home, options }: Pick<One, 'recording' | 'home' | 'options'>,
  fault?: Fault,
): Promise<Omit<Replay, 'transport'> & { readonly pipeline: Pipeline }> {
  let pipeline: Pipeline | undefined
  const clean = (text: string): string => withoutSignatures(pipeline?.source.scrubber?.text(text) ?? text)
  const { transport, ...replay } = replayTransport(recording.exchanges, { fault, clean })
  const { pipelines } = await loadPipelineFile(file, {
    destination: IN_MEMORY,
    profile: options.profile,
    env: recording.environment,
    withoutSecrets: true,
    recording: {
      transport,
      mask: maskRules(recording.mask),
      shortened: shortened(recording.parents),
      clock: recordingClock(recording.recordedAt),
      home,
      tokenStore: NO_TOKENS,
    },
  })
  pipeline = pipelines.find(one => one.name === name)
  if (pipeline === undefined) throw fileError(file, `holds no pipeline ${name} when it is read again`)
  refuseOtherMask(file, recording, pipeline)
  return { pipeline, ...replay }
}

/** What was masked when it was recorded stays as it is, so a mask that changed since would be tested by nothing. */
function refuseOtherMask(file: string, { masked = {} }: Recording, pipeline: Pipeline): void {
  const now = masksOf(pipeline)
  const isHere = (name: string): boolean => pipeline.source.resources.some(one => one.name === name)
  for (const [name, before] of Object.entries(masked)) {
    if (now[name] === before || !isHere(name)) continue
    const today = now[name] === undefined ? 'nothing' : `"${now[name]}"`
    const message = `masks ${today} in ${name}, and the recording was made with the mask "${before}"; \`sluice record ${file}\` records it anew`
    throw fileError(file, message)
  }
}

/** A recording has no tokens of a person that signed in: one that stands for them is enough. */
const NO_TOKENS: TokenStore = {
  place: 'the recording',
  read: async () => '{"refresh_token":"***"}',
  alone: async (_name, _signal, work) => await work('{"refresh_token":"***"}', async () => {}),
}

async function faultsOf(
  file: string,
  name: string,
  one: One,
  plain: RecordingSnapshot,
): Promise<TestedPipeline['faults']> {
  const canRenew = one.recording.exchanges.some(({ bySigner }) => bySigner)
  const tested: TestedFault[] = []
  for (const fault of FAULTS) {
    if (fault === 'expired token' && !canRenew) continue
    const { snapshot, faults, isGivenUp } = await replayed(file, name, one, fault)
    if (faults === 0) continue
    // An API that repeats itself cannot be read: what counts is that nobody takes it for the whole list.
    const isTold = fault === 'repeated page' && (snapshot.failure !== undefined || snapshot.isIncomplete)
    const { failure } = snapshot
    if (isTold) tested.push({ fault, difference: [] })
    else if (failure !== undefined && failure !== plain.failure) {
      tested.push({ fault, difference: [`+ failed: ${failure}`], ...(isGivenUp && { advice: adviceFor(fault) }) })
    } else tested.push({ fault, difference: textDiff(faultText(plain), faultText(snapshot)) })
  }
  return tested
}

/** How a document asks again after a fault. */
function adviceFor(fault: Fault): string | undefined {
  const attempts = 'set `retry.attempts` to 2 or more'
  switch (fault) {
    case '429':
    case '500':
      return `The request was not sent again: ${attempts}, and let \`retry.statuses\` have ${fault}.`
    case 'cut body':
      return `The request was not sent again: ${attempts}.`
    case 'expired token':
    case 'repeated page':
      return undefined
  }
}

function faultText({ tables, failure }: RecordingSnapshot): string {
  return [...(failure === undefined ? [] : [`failed: ${failure}`, '']), ...tables].join('\n')
}
