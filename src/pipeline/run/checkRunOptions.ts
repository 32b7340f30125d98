import { alternatives, ConfigError, type ConfigProblem, shortened } from '../../model/errors.js'
import { CONTRACT_ENTITIES, CONTRACT_MODES, MERGE_STRATEGIES, WRITE_DISPOSITIONS } from '../../schema/schemaTypes.js'
import { REFRESHES, type RunOptions } from '../setup.js'

/**
 * Fails with a ConfigError that names every invalid option of a run. A misspelt word must not drop a table or let a
 * schema change, and an invalid number must not limit a run. JavaScript callers have no types to catch this.
 */
export function checkRunOptions(options: Partial<RunOptions>): void {
  const problems: ConfigProblem[] = []
  const expect = (isMet: boolean, path: string, expected: string, found: unknown): void => {
    if (!isMet) problems.push({ place: { path }, message: `expected ${expected}, not ${shown(found)}` })
  }
  const word = (path: string, known: readonly string[], found: unknown): void => {
    expect(
      found === undefined || (typeof found === 'string' && known.includes(found)),
      path,
      alternatives(known),
      found,
    )
  }
  const count = (path: string, found: unknown): void =>
    expect(
      found === undefined || (Number.isSafeInteger(found) && Number(found) > 0),
      path,
      'a whole number from 1',
      found,
    )

  const { refresh, writeDisposition, schemaContract, maxPages, concurrency } = options
  word('refresh', REFRESHES, refresh)
  if (typeof writeDisposition === 'object' && writeDisposition !== null) {
    word('writeDisposition.disposition', WRITE_DISPOSITIONS, writeDisposition.disposition ?? null)
    word('writeDisposition.strategy', MERGE_STRATEGIES, writeDisposition.strategy)
  } else word('writeDisposition', WRITE_DISPOSITIONS, writeDisposition)
  if (typeof schemaContract === 'object' && schemaContract !== null) {
    for (const [key, mode] of Object.entries(schemaContract)) {
      if ((CONTRACT_ENTITIES as readonly string[]).includes(key)) word(`schemaContract.${key}`, CONTRACT_MODES, mode)
      else
        problems.push({ place: { path: `schemaContract.${key}` }, message: `expected ${CONTRACT_ENTITIES.join(', ')}` })
    }
  } else word('schemaContract', CONTRACT_MODES, schemaContract)
  count('maxPages', maxPages)
  count('concurrency', concurrency)
  const [first, ...others] = problems
  if (first !== undefined) throw new ConfigError([first, ...others])
}

function shown(value: unknown): string {
  return shortened(typeof value === 'string' ? JSON.stringify(value) : String(value))
}
