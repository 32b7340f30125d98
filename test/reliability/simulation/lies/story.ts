import { resourcesOf } from './document.js'
import type { Told } from './honest.js'
import type { Breach, Outcome } from './laws.js'
import type { Run } from './plan.js'
import { names, type Truth } from './truth.js'

/** So many answers of a list are told. */
const MOST_ANSWERS = 8

/** The lists of the API, as texts. */
export function listsText({ addresses, list }: Truth): readonly string[] {
  return names.flatMap((_, level) => addresses(level).map(address => `${address}: ${idsText(list(address))}`))
}

/** What happened in the run that broke a law, to be read; `was` is what there was when it began. */
export function storyOf(number: number, outcome: Outcome, breach: Breach, was: readonly string[]): readonly string[] {
  const { plan, log, receipts, error, after, isResumed } = outcome
  return [
    `run ${number} of ${plan.runs.length}${isResumed ? ', goes on with the one before' : ''}`,
    ...resourcesOf(plan).map(resource => `  reads ${JSON.stringify(resource)}`),
    ...log.runs.flatMap(runText),
    ...was.map(text => `  there was ${text}`),
    ...[...log.answers].flatMap(([address, answers]) =>
      answers
        .slice(0, MOST_ANSWERS)
        .map(({ asked, told }) => `  ${address} from ${asked.start}, ${asked.size}: ${toldText(told)}`),
    ),
    ...[...after.tables].map(
      ([name, rows]) =>
        `  table ${name}: ${rows.map(row => `${row.id}${row._sluice_deleted_at == null ? '' : ' (gone)'}`).join(' ') || 'nothing'}`,
    ),
    ...(receipts ?? []).map(({ resource, verdict, reasons }) => `  ${resource} is ${verdict}: ${reasons.join('; ')}`),
    ...(error === undefined ? [] : [`  failed: ${error}`]),
    `BROKEN ${breach.law}${breach.resource && ` (${breach.resource})`}: ${breach.details.join('; ')}`,
  ]
}

function runText({ lies, motions, maxPages, isSelective }: Run): readonly string[] {
  return [
    ...lies.map(({ kind, level, list, page }) => `  lie for ${names[level]}, list ${list}, page ${page}: ${kind}`),
    ...motions.map(
      ({ move, level, list, answer }) => `  before answer ${answer + 1} for ${names[level]}, list ${list}: ${move}`,
    ),
    ...(maxPages === undefined ? [] : [`  at most ${maxPages} pages of each list`]),
    ...(isSelective ? [`  only ${names[0]}`] : []),
  ]
}

function toldText({ list, ...others }: Told): string {
  const records = list === undefined ? 'no list' : list === null ? 'null' : `[${idsText(list)}]`
  const said = Object.entries(others).map(([key, value]) => `${key} ${JSON.stringify(value)}`)
  return [records, ...said.filter(text => text !== 'status 200')].join(', ')
}

function idsText(things: readonly { readonly id: number }[]): string {
  return things.map(({ id }) => id).join(' ') || 'nothing'
}
