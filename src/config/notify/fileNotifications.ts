import { type PlaceOf, Problems, type PropertyPath } from '../../rest/document/problems.js'
import { type Lookup, resolveReferences } from '../../rest/document/references.js'
import type { Receiver } from './notification.js'
import { incoherence } from './notifying.js'
import type { NotificationKeys } from './notifyKeys.js'

/**
 * The notifications of a pipeline file with their secrets. `needsSecrets`: a missing one is a problem of the file. Throws a
 * ConfigError.
 */
export function fileNotifications(
  keys: NotificationKeys | readonly NotificationKeys[] | null | undefined,
  at: PropertyPath,
  lookup: Lookup,
  { place, needsSecrets }: { readonly place: PlaceOf; readonly needsSecrets: boolean },
): readonly Receiver[] {
  const problems = new Problems(place)
  const lookups: Problems[] = []
  const isList = Array.isArray(keys)
  const listed = (isList ? keys : [keys]) as readonly (NotificationKeys | null | undefined)[]
  const receivers = listed.flatMap((one, index): readonly Receiver[] => {
    if (one == null) return []
    const path = isList ? [...at, index] : at
    const missing = new Problems(keys => place([...path, ...keys]))
    const { webhook, secret } = resolveReferences(
      { webhook: one.webhook, secret: one.secret },
      lookup,
      missing,
    ) as Pick<Receiver, 'webhook' | 'secret'>
    const receiver: Receiver = {
      on: typeof one.on === 'string' ? [one.on] : (one.on ?? undefined),
      command: one.command ?? undefined,
      webhook: webhook ?? undefined,
      secret: secret ?? undefined,
      lateAfter: one.late_after ?? undefined,
      maxSeconds: one.max_seconds ?? undefined,
    }
    const wrong = incoherence(receiver)
    if (wrong !== undefined) problems.add(path, wrong)
    lookups.push(missing)
    return [{ ...receiver, missing: missing.first }]
  })
  problems.throwIfAny()
  if (needsSecrets) for (const missing of lookups) missing.throwIfAny()
  return receivers
}
