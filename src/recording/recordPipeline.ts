import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, extname, join, resolve } from 'node:path'
import { type Environment, isSet, processEnvironment } from '../config/lookup/environment.js'
import { withEnvFile } from '../config/lookup/secretFiles.js'
import { reference } from '../config/lookup/secrets.js'
import { loadPipelineFile } from '../config/pipelineFile.js'
import { ConfigError } from '../model/errors.js'
import type { RunEvent } from '../model/events.js'
import { scrubber as createScrubber } from '../model/secrets/scrubber.js'
import { Secret } from '../model/secrets/secret.js'
import { systemClock } from '../pipeline/clock.js'
import type { Pipeline } from '../pipeline/pipeline.js'
import { type MaskRule, maskWays } from '../rest/mask/maskRules.js'
import { createRecorder } from './recorder.js'
import { recordingClock } from './recordingClock.js'
import { encodeRecording, type Recording, writeRecording } from './recordingFile.js'
import { shortened } from './shortened.js'

export interface RecordOptions {
  /** Most pages of a list. Default 2. */
  readonly pages?: number | undefined
  /** Most lists of a child resource. Default 3. */
  readonly parents?: number | undefined
  /** Paths that are masked in every resource, besides those of the document. */
  readonly mask?: readonly string[] | undefined
  /** Where to write. Default: beside the pipeline file. */
  readonly out?: string | undefined
  readonly profile?: string | undefined
  readonly env?: Environment | undefined
  readonly signal?: AbortSignal | undefined
  readonly onEvent?: ((event: RunEvent) => void) | undefined
}

/** A recording that was written. */
export interface Recorded {
  readonly pipeline: string
  readonly path: string
  /** What is expected of it, beside the pipeline file. */
  readonly snapshot: string
  readonly recording: Recording
  readonly bytes: number
}

const PAGES = 2
const PARENTS = 3

/**
 * Makes a trial run of each pipeline of a file, and writes its requests and answers into a recording. Nothing is loaded
 * anywhere, and no secret is written. Rejects with a SluiceError. Then no file was written or changed.
 */
export async function recordPipeline(file: string, options: RecordOptions = {}): Promise<readonly Recorded[]> {
  const { pages = PAGES, parents = PARENTS, mask = [], signal, onEvent } = options
  const recorder = createRecorder()
  const recordedAt = systemClock.now()
  return await inFolder(async home => {
    const { pipelines } = await loadPipelineFile(file, {
      destination: IN_MEMORY,
      profile: options.profile,
      env: options.env,
      recording: {
        witness: recorder,
        mask: maskRules(mask),
        shortened: shortened(parents),
        clock: recordingClock(recordedAt, systemClock),
        home,
      },
    })
    if (options.out !== undefined && pipelines.length > 1)
      throw new ConfigError([{ place: { path: '', file }, message: 'holds several pipelines; leave out --out' }])
    const environment = await namedVariables(file, options.env)
    const recorded: (Recorded & { readonly content: Buffer })[] = []
    for (const pipeline of pipelines) {
      await pipeline.run({ maxPages: pages, concurrency: 1, allowIncomplete: true, signal, onEvent })
      const exchanges = recorder.taken()
      const { name } = pipeline
      const masked = masksOf(pipeline)
      const recording = { pipeline: name, recordedAt, pages, parents, mask, masked, environment, exchanges }
      const scrubber = pipeline.source.scrubber ?? createScrubber()
      for (const [variable, value] of Object.entries(environment))
        if (NAMES_CREDENTIAL.test(variable)) scrubber.add(new Secret(value, `env.${variable}`))
      const content = encodeRecording(recording, scrubber)
      const path = options.out ?? recordingPath(file, pipeline.name, pipelines)
      const snapshot = snapshotPath(file, pipeline.name, pipelines)
      recorded.push({ pipeline: pipeline.name, path, snapshot, recording, bytes: content.length, content })
    }
    for (const { path, content } of recorded) await writeRecording(path, content)
    return recorded
  })
}

/** What each resource masks, those without a mask left out. */
export function masksOf({ source }: Pipeline): Readonly<Record<string, string>> {
  return Object.fromEntries(
    source.resources.flatMap(resource => {
      const mask = resource.describe?.(undefined).mask
      return mask === undefined ? [] : [[resource.name, mask]]
    }),
  )
}

/** A destination without a file or server. */
export const IN_MEMORY = 'duckdb::memory:'

/** Runs the work with a temporary folder, which is removed afterwards. */
export async function inFolder<Result>(work: (folder: string) => Promise<Result>): Promise<Result> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-recording-'))
  try {
    return await work(folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** The recording beside a pipeline file: one for each of its pipelines. */
export function recordingPath(file: string, name: string, pipelines: readonly Pick<Pipeline, 'name'>[]): string {
  return `${stemOf(file, name, pipelines)}.recording.warc`
}

export function snapshotPath(file: string, name: string, pipelines: readonly Pick<Pipeline, 'name'>[]): string {
  return `${stemOf(file, name, pipelines)}.snapshot.txt`
}

function stemOf(file: string, name: string, pipelines: readonly unknown[]): string {
  const stem = file.slice(0, file.length - extname(file).length)
  // Encoded, no name can lead to another folder.
  return pipelines.length > 1 ? `${stem}.${encodeURIComponent(name)}` : stem
}

/** Paths from the command line, as rules of a mask. Throws a ConfigError. */
export function maskRules(paths: readonly string[]): readonly MaskRule[] {
  return paths.map((text, index) => {
    try {
      return { text, kind: 'redact', ways: maskWays(text), path: '--mask' }
    } catch (error) {
      const message = `the path ${JSON.stringify(text)} ${(error as Error).message}`
      throw new ConfigError([{ place: { path: `mask[${index}]` }, message }])
    }
  })
}

/** Names of variables that hold credentials, such as `SHOP_TOKEN`. */
const NAMES_CREDENTIAL =
  /(?:^|_)(?:(?:api)?keys?|tokens?|secrets?|pass(?:word|wd|phrase)?|pwd|pat|jwt|bearer|auth(?:orization)?|cred(?:ential)?s?|signature|session|cookie)(?:_|$)/i

/** The values of `${env.NAME}` in a pipeline file: often addresses. Secrets may be among them. */
export async function namedVariables(
  file: string,
  given: Environment = processEnvironment(),
): Promise<Readonly<Record<string, string>>> {
  const env = withEnvFile(given, dirname(resolve(file)), () => {})
  const text = await readFile(file, 'utf8')
  const named = [...text.matchAll(reference)].filter(([, , context]) => context === 'env')
  const names = [...new Set(named.map(([, , , name = '']) => name))].sort()
  return Object.fromEntries(names.flatMap(name => (isSet(env, name) ? [[name, env[name] ?? '']] : [])))
}
