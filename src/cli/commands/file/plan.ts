import { stringifyJson } from '../../../json/write.js'
import type { Expectations } from '../../../model/expectations.js'
import type { Decision, DispositionHint, ResourceDescription } from '../../../model/source.js'
import type { CheckedResource } from '../../../pipeline/look/checkSource.js'
import type { PipelinePlan, PlannedCursor, PlannedList } from '../../../pipeline/look/describePipeline.js'
import type { ExitCode } from '../../failure.js'
import { amount, counted, duration, printable } from '../../terminal/printable.js'
import { tell } from '../../terminal/tell.js'
import type { CommandContext } from '../command.js'
import { openPipelines, type PipelineOverrides } from '../command.js'
import { keptProofLines } from './prove.js'

export interface PlanCommandOptions extends PipelineOverrides {
  readonly select?: readonly string[] | undefined
  /** Ask for one page of each root resource. */
  readonly probe?: boolean | undefined
  readonly json?: boolean | undefined
}

/** `sluice plan FILE`: shows the first requests of a run, and why. Sends requests only with `--probe`. */
export async function planCommand(
  file: string,
  options: PlanCommandOptions,
  context: CommandContext,
): Promise<ExitCode> {
  const { out } = context.terminal
  const { signal } = context
  const { select } = options
  const purpose = options.probe === true ? 'requests' : 'reads'
  for (const pipeline of await openPipelines(file, options, purpose, context.terminal.err)) {
    const plan = await pipeline.plan({ signal, select })
    const probe = options.probe === true ? (await pipeline.check({ signal, select })).resources : undefined
    const proofs = await keptProofLines(file, pipeline, context.terminal.err)
    if (options.json === true)
      out.line(stringifyJson({ ...plan, probe, ...(proofs.size > 0 && { proofs: Object.fromEntries(proofs) }) }))
    else
      for (const line of planLines(plan, probe, proofs)) tell(out, printable(line), line.startsWith('  ') ? HANGING : 2)
  }
  return 0
}

/** Facts go on below their texts. */
const HANGING = 12

function planLines(
  plan: PipelinePlan,
  probe: readonly CheckedResource[] | undefined,
  proofs: ReadonlyMap<string, string>,
): string[] {
  const start =
    plan.startsFrom === undefined
      ? 'it starts from the beginning: nothing was loaded yet'
      : `it starts from the state of load ${plan.startsFrom}`
  const lines = [`${plan.pipeline} → ${plan.destination}, dataset ${plan.dataset}; ${start}`]
  if (plan.missing !== undefined) lines.push(...`a run would end at once: ${plan.missing}`.split('\n'))
  for (const list of plan.resources) {
    const probed = probe?.find(({ resource }) => resource === list.resource)
    lines.push('', list.resource)
    for (const [name, text] of facts(list, probed)) lines.push(`  ${name.padEnd(9)} ${text}`)
    const proof = proofs.get(list.resource)
    if (proof !== undefined) lines.push(`  ${'proof'.padEnd(9)} ${proof}`)
  }
  return lines
}

function facts(list: PlannedList, probed: CheckedResource | undefined): [name: string, text: string][] {
  const { request, parent, cursor, loaded } = list
  return [
    ...(request === undefined
      ? [['records', 'not asked for: in the document, or made by a function'] as [string, string]]
      : requestFacts(request)),
    ...(parent === undefined
      ? []
      : [
          [
            'parent',
            `${request?.batchSize === undefined ? 'one list for each record' : `one list for up to ${request.batchSize} records`} of ${parent}${changeText(request)}`,
          ] as [string, string],
        ]),
    ...(request?.partition === undefined ? [] : [['partition', request.partition] as [string, string]]),
    ...(cursor === undefined ? [] : [['cursor', cursorText(cursor)] as [string, string]]),
    ['loads', loaded ? dispositionText(list.writeDisposition, list) : 'nothing: it is read only for its children'],
    ...(list.expect === undefined ? [] : [['expects', expectationsText(list.expect)] as [string, string]]),
    ...(request === undefined ? [] : limitFacts(request)),
    ...(probed === undefined ? [] : probeFacts(probed)),
  ]
}

function changeText(request: ResourceDescription | undefined): string {
  if (request?.parentNewer !== undefined) return `, where ${request.parentNewer} of it is newer than in earlier loads`
  if (request?.parentChanged === undefined) return ''
  return `, where ${request.parentChanged} of it changed since its list was read`
}

function requestFacts(described: ResourceDescription): [string, string][] {
  const { request, selector, format, mask, shape, job, completes, paginator, auth } = described
  const { initialToken, changes } = described
  const headers = Object.entries(request.headers).map(([name, value]): [string, string] => ['', `${name}: ${value}`])
  return [
    ['request', `${request.method} ${request.url}`],
    ...headers,
    ...(request.body === undefined ? [] : [['', request.body] as [string, string]]),
    ...(job === undefined ? [] : [['job', job] as [string, string]]),
    ...(initialToken === undefined ? [] : [['token', initialToken] as [string, string]]),
    ...(changes === undefined ? [] : [['changes', changes] as [string, string]]),
    ['records', decisionText(selector)],
    ...(format === undefined ? [] : [['format', format] as [string, string]]),
    ...(mask === undefined ? [] : [['masks', mask] as [string, string]]),
    ...(shape === undefined ? [] : [['shape', shape] as [string, string]]),
    ['pages', decisionText(paginator)],
    ...completes.map((list): [string, string] => ['completes', list]),
    ['auth', decisionText(auth)],
    ...(described.answers ?? []).map((text, index): [string, string] => [index === 0 ? 'answers' : '', text]),
    ...(described.onNull === undefined ? [] : [['nulls', NULLS[described.onNull]] as [string, string]]),
  ]
}

const NULLS = {
  fail: 'a placeholder that finds null fails the run',
  skip: 'a record of the parent whose placeholder finds null has no list',
  omit: 'a placeholder that finds null is left out of the request',
} as const

function decisionText({ value, because, path }: Decision): string {
  switch (because) {
    case 'configured':
      return `${value} (configured${path === undefined ? '' : `: ${path}`})`
    case 'inherited':
      return `${value} (from ${path ?? 'the client'})`
    case 'single_entity':
      return `${value} (the path ends with a placeholder: one record)`
    case 'detected':
      return `${value} (none is configured)`
    case 'default':
      return value
  }
}

function cursorText({ cursorPath, startValue, endValue, because, parents }: PlannedCursor): string {
  if (parents !== undefined) return `${cursorPath}, one for each record of the parent: ${parents} in the state`
  const end = endValue === undefined || endValue === null ? '' : ` up to ${stringifyJson(endValue)}`
  if (because === 'nothing') return `${cursorPath}, from the beginning${end}`
  const origin = because === 'state' ? 'the state' : 'initial_value'
  return `${cursorPath}, from ${stringifyJson(startValue)}${end} (${origin})`
}

function dispositionText({ disposition, strategy }: DispositionHint, { primaryKey, mergeKey }: PlannedList): string {
  const how = strategy === undefined ? disposition : `${disposition}, ${strategy}`
  const keys = [...primaryKey, ...mergeKey]
  return keys.length === 0 ? how : `${how}, by ${keys.join(', ')}`
}

function limitFacts(request: ResourceDescription) {
  const { retry, timeoutMs, maxPages, maxRecords, maxMs, smallestPage, concurrency, rateLimit } = request

  const limits = [
    `timeout ${duration(timeoutMs)}`,
    concurrency === undefined ? undefined : `${counted(concurrency, 'request')} in flight at most`,
    rateLimit?.requests === undefined
      ? undefined
      : `${counted(rateLimit.requests, 'request')} in ${duration(rateLimit.perMs)} at most`,
    smallestPage === undefined ? undefined : `pages halved down to ${counted(smallestPage, 'record')} if too large`,
    maxPages === undefined ? undefined : `${counted(maxPages, 'page')} at most`,
    maxRecords === undefined ? undefined : `${counted(maxRecords, 'record')} at most`,
    maxMs === undefined ? undefined : `${duration(maxMs)} a list at most`,
  ].filter(limit => limit !== undefined)
  return [
    ['retry', retryText(retry)],
    ['limits', limits.join(', ')],
  ] as [string, string][]
}

function retryText(retry: ResourceDescription['retry']): string {
  if (retry.attempts <= 1) return 'never'
  const waits = Array.from({ length: retry.attempts - 1 }, (_, retries) =>
    duration(Math.min(retry.baseMs * retry.factor ** retries, retry.maxDelayMs)),
  )
  const causes = [...(retry.statuses.length === 0 ? [] : [statusText(retry.statuses)])]
  if (retry.onConnectionError) causes.push('broken connections')
  const shown = waits.length > 4 ? [...waits.slice(0, 3), '…', waits.at(-1)] : waits
  return `up to ${counted(retry.attempts - 1, 'time')}, after ${shown.join(', ')}, for ${causes.join(' and ')}`
}

/** Ranges of three and more as `500–599`. */
function statusText(statuses: readonly number[]): string {
  const sorted = [...new Set(statuses)].sort((a, b) => a - b)
  const parts: string[] = []
  for (let at = 0; at < sorted.length; ) {
    let end = at
    while (sorted[end + 1] === (sorted[end] ?? 0) + 1) end += 1
    if (end - at < 2) end = at
    parts.push(end === at ? String(sorted[at]) : `${sorted[at]}–${sorted[end]}`)
    at = end + 1
  }
  return parts.join(', ')
}

function probeFacts({ records, announced, keys, guesses }: CheckedResource): [string, string][] {
  const total = announced === undefined ? '' : `, ${amount(announced)} announced`
  return [
    ['probe', `${counted(records, 'record')} on the first page${total}`],
    ...(keys.length === 0 ? [] : [['', `keys ${keys.join(', ')}`] as [string, string]]),
    ...guesses.map((guess): [string, string] => ['', `detected: ${guess}`]),
  ]
}

/** Expectations in one line. */
function expectationsText({ minRecords, maxChange, maxAge, notNull, unique }: Expectations): string {
  return [
    ...(minRecords === undefined ? [] : [`at least ${counted(minRecords, 'record')}`]),
    ...(maxChange === undefined
      ? []
      : [`a number of records within ${Math.round(maxChange * 100)} % of the last load`]),
    ...(maxAge === undefined ? [] : [`the newest ${maxAge.path} at most ${maxAge.text} old`]),
    ...(notNull.length === 0 ? [] : [`values at ${notNull.join(', ')}`]),
    ...(unique.length === 0 ? [] : [`unique ${unique.map(paths => paths.join(' with ')).join(', ')}`]),
  ].join(' · ')
}
