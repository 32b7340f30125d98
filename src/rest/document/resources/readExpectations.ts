import { durationMs, type Expectations } from '../../../model/expectations.js'
import type { Problems } from '../problems.js'
import type { MergedResource } from './mergeResource.js'
import { checkPath } from './readIncremental.js'

/** What the document expects of the records of a run. */
export function expectationsOf({ keys, where }: MergedResource, problems: Problems): Expectations | undefined {
  const { expect } = keys
  if (expect == null) return undefined
  const { min_records, max_change, max_age, not_null, unique } = expect
  const checked = (path: string, ...place: readonly (string | number)[]): string => {
    checkPath(path, where('expect', ...place), problems)
    return path
  }
  const age = max_age == null ? undefined : durationMs(max_age.duration)
  if (max_age != null && age === undefined) {
    problems.add(
      where('expect', 'max_age', 'duration'),
      'expected an ISO 8601 duration without years and months, as in `P1D` or `PT6H`',
    )
  }
  return {
    minRecords: min_records ?? undefined,
    maxChange: max_change ?? undefined,
    maxAge:
      max_age == null
        ? undefined
        : { path: checked(max_age.path, 'max_age', 'path'), ms: age ?? 0, text: max_age.duration },
    notNull: not_null?.map((path, position) => checked(path, 'not_null', position)) ?? [],
    unique: unique?.map((paths, position) => [paths].flat().map(path => checked(path, 'unique', position))) ?? [],
  }
}
