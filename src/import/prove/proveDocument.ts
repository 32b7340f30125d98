import { ConfigError, stoppedBy } from '../../model/errors.js'
import {
  abortSignal,
  callback,
  checkOptions,
  havingFunctions,
  names,
  optionKind,
  optionsOf,
} from '../../model/optionKinds.js'
import type { Clock, Resource } from '../../model/source.js'
import { nearMiss } from '../../model/texts/nearMiss.js'
import { systemClock } from '../../pipeline/clock.js'
import type { Pipeline } from '../../pipeline/pipeline.js'
import type { Proof, ProveOptions, ResourceProof } from './proof.js'
import type { EarlierProofs } from './prover.js'

const forProve = optionsOf<ProveOptions>('options of prove()', {
  select: names,
  budget: optionKind('a whole number above 0', value => Number.isInteger(value) && (value as number) > 0),
  signal: abortSignal,
  onEvent: callback,
  clock: havingFunctions('a clock', ['now', 'sleep', 'random'] satisfies readonly (keyof Clock)[]),
})

/**
 * Asks the API of a pipeline whether its document is right: how pages follow each other and end, where records are,
 * what the total counts, whether the primary key tells records apart, whether a cursor filters. Sends at most `budget`
 * requests a resource, as a run would, and only those that read. Loads and writes nothing. Every key that an answer
 * decides ends as proven, assumed or wrong, with what was seen. A resource that cannot be asked says why. Rejects only
 * if a name in `select` is unknown, or it is aborted.
 *
 * @example
 * ```ts
 * import { duckdb, pipeline, prove, restApi } from 'sluice'
 *
 * const shops = pipeline({
 *   name: 'shops',
 *   source: restApi({
 *     client: { base_url: 'https://api.example.com' },
 *     resources: [{ name: 'shops', primary_key: 'id' }],
 *   }),
 *   destination: duckdb('shops.duckdb'),
 * })
 * const { resources } = await prove(shops)
 * for (const { findings } of resources) {
 *   for (const { key, status, seen } of findings) console.log(`${status} ${key}: ${seen}`)
 * }
 * ```
 */
export async function prove(pipeline: Pipeline, options: ProveOptions = {}): Promise<Proof> {
  return await proveAfter(pipeline, options, undefined)
}

/** The same for a document that was proven and mended before: what was asked then is not asked again. */
export async function proveAfter(
  pipeline: Pipeline,
  options: ProveOptions,
  earlier: EarlierProofs | undefined,
): Promise<Proof> {
  checkOptions(forProve, options)
  const { source, name } = pipeline
  checkNames(options.select, source.resources)
  const clock = options.clock ?? systemClock
  const { Prover } = await import('./prover.js')
  const prover = new Prover(source.resources, { ...options, clock }, source.scrubber, earlier)
  const at = new Intl.DateTimeFormat('sv', DAY_AND_TIME).format(clock.now()).replace(' ', 'T')
  try {
    const resources: ResourceProof[] = []
    for (const resource of source.resources) {
      const isWanted = options.select?.includes(resource.name) ?? true
      if (isWanted) resources.push(await prover.proof(resource))
    }
    const told = {
      pipeline: name,
      at: `${at}Z`,
      origins: [...prover.origins].sort(),
      about: source.fingerprint,
      resources,
    }
    return source.scrubber === undefined ? told : scrubbedProof(told, text => source.scrubber?.text(text) ?? text)
  } catch (error) {
    throw stoppedBy(options.signal, error)
  } finally {
    await source.close()
  }
}

const DAY_AND_TIME = { timeZone: 'UTC', dateStyle: 'short', timeStyle: 'medium' } as const

/** Nothing of a proof may hold a secret, whatever an API echoes. */
function scrubbedProof(proof: Proof, clean: (text: string) => string): Proof {
  return JSON.parse(JSON.stringify(proof), (_key, value: unknown) =>
    typeof value === 'string' ? clean(value) : value,
  ) as Proof
}

function checkNames(select: readonly string[] | undefined, resources: readonly Resource[]): void {
  const known = resources.map(resource => resource.name)
  for (const name of select ?? []) {
    if (known.includes(name)) continue
    const near = nearMiss(name, known)
    const message = `there is no resource ${JSON.stringify(name)}; ${near === undefined ? `there are ${known.join(', ')}` : `did you mean ${JSON.stringify(near)}?`}`
    throw new ConfigError([{ place: { path: 'select' }, message }])
  }
}
