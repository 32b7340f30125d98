import { ConfigError, type ConfigProblem, shortened } from '../../model/errors.js'
import type { RunOptions } from '../setup.js'

const REFRESHES = ['drop_sources', 'drop_resources', 'drop_data']
const DISPOSITIONS = ['append', 'replace', 'merge', 'skip']
const STRATEGIES = ['delete-insert', 'upsert', 'insert-only', 'scd2']
const CONTRACT_KEYS = ['tables', 'columns', 'data_type']
const CONTRACT_MODES = ['evolve', 'freeze', 'discard_row', 'discard_value']

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
    const expected = `${known.slice(0, -1).join(', ')} or ${known.at(-1)}`
    expect(found === undefined || (typeof found === 'string' && known.includes(found)), path, expected, found)
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
    word('writeDisposition.disposition', DISPOSITIONS, writeDisposition.disposition ?? null)
    word('writeDisposition.strategy', STRATEGIES, writeDisposition.strategy)
  } else word('writeDisposition', DISPOSITIONS, writeDisposition)
  if (typeof schemaContract === 'object' && schemaContract !== null) {
    for (const [key, mode] of Object.entries(schemaContract)) {
      if (CONTRACT_KEYS.includes(key)) word(`schemaContract.${key}`, CONTRACT_MODES, mode)
      else problems.push({ place: { path: `schemaContract.${key}` }, message: `expected ${CONTRACT_KEYS.join(', ')}` })
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
