import type { z } from 'zod'
import { nearMiss } from '../../model/texts/nearMiss.js'
import type { Problems, PropertyPath } from '../../rest/document/problems.js'
import type { wrapperOnly } from '../pipelineDocument.js'

/** Where a document loads to, and how much, with the profile that was chosen. */
export interface LoadTarget {
  readonly profile?: string | undefined
  readonly destination?: string | undefined
  /** The key of the destination. */
  readonly at: PropertyPath
  readonly dataset?: string | undefined
  readonly datasetAt?: PropertyPath | undefined
  readonly limit?: number | undefined
  readonly concurrency?: number | undefined
  readonly notify?: Keys['notify']
  readonly notifyAt: PropertyPath
}

type Keys = Pick<z.output<typeof wrapperOnly>, 'destination' | 'dataset' | 'profiles' | 'notify'>

/**
 * What the profile changes, over what the document says. Two profiles with one destination and one dataset are a
 * problem: each would go on with the state of the other.
 */
export function targetOf(keys: Keys, profile: string | undefined, problems: Problems): LoadTarget {
  const profiles = keys.profiles ?? {}
  checkApart(keys, problems)
  const base: LoadTarget = {
    destination: keys.destination ?? undefined,
    at: ['destination'],
    dataset: keys.dataset ?? undefined,
    datasetAt: ['dataset'],
    notify: keys.notify,
    notifyAt: ['notify'],
  }
  if (profile === undefined) return base
  const chosen = Object.hasOwn(profiles, profile) ? profiles[profile] : undefined
  if (chosen === undefined) {
    problems.add(['profiles'], unknown(profile, Object.keys(profiles)))
    return base
  }
  const within = (key: string): PropertyPath => ['profiles', profile, key]
  return {
    profile,
    ...(chosen.destination == null
      ? { destination: base.destination, at: base.at }
      : { destination: chosen.destination, at: within('destination') }),
    ...(chosen.dataset == null
      ? { dataset: base.dataset, datasetAt: base.datasetAt }
      : { dataset: chosen.dataset, datasetAt: within('dataset') }),
    ...(chosen.notify == null
      ? { notify: base.notify, notifyAt: base.notifyAt }
      : { notify: chosen.notify, notifyAt: within('notify') }),
    limit: chosen.limit ?? undefined,
    concurrency: chosen.concurrency ?? undefined,
  }
}

function unknown(profile: string, known: readonly string[]): string {
  if (known.length === 0) return `the file has none, so there is no profile \`${profile}\``
  const meant = nearMiss(profile, known)
  return `there is no profile \`${profile}\`; ${meant === undefined ? `there are ${known.join(', ')}` : `did you mean \`${meant}\`?`}`
}

function checkApart(keys: Keys, problems: Problems): void {
  const placeOf = ({ destination, dataset }: Pick<Keys, 'destination' | 'dataset'>): string =>
    JSON.stringify([destination ?? keys.destination ?? null, dataset ?? keys.dataset ?? null])
  const taken = new Map([[placeOf(keys), 'the document without a profile']])
  for (const [name, profile] of Object.entries(keys.profiles ?? {})) {
    const place = placeOf(profile)
    const other = taken.get(place)
    if (other !== undefined) {
      problems.add(
        ['profiles', name],
        `loads into the same dataset as ${other}, so their states would mix: give it a \`destination\` or a \`dataset\` of its own`,
      )
    }
    taken.set(place, `profile ${name}`)
  }
}
